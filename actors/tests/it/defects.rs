//! Committers that are broken on purpose: the simulation catches each of them.

use dajet_actors::testing::Defect;

use crate::case::{Case, Shape};
use crate::simulation::simulate;

fn check(defect: Defect, shape: Shape, invariant: &str) {
    let case = Case::peaceful(7, shape);
    assert_eq!(
        simulate(&case, None).violations,
        [""; 0],
        "the sound Committer is sound"
    );
    let violations = simulate(&case, Some(defect)).violations;
    let caught = violations
        .iter()
        .any(|violation| violation.starts_with(invariant));
    assert!(
        caught,
        "{defect:?} was not caught as {invariant}: {violations:?}"
    );
}

#[test]
fn catches_a_committer_that_commits_before_a_receipt() {
    check(Defect::CommitsBeforeReceipt, Shape::Broker, "I2");
}

#[test]
fn catches_a_committer_that_commits_out_of_order() {
    check(Defect::CommitsOutOfOrder, Shape::Broker, "I3");
}

#[test]
fn catches_a_committer_that_forgets_a_target_claim() {
    check(Defect::ForgetsTarget, Shape::Both, "I2");
}
