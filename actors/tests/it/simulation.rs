//! The seeded simulation. `DAJET_TEST_SEED=n` runs one seed and prints its trace, `DAJET_TEST_SEEDS=n` runs so many.

use std::time::Duration;

use dajet_actors::testing::{Defect, run_broken};
use dajet_actors::{Outcome, run};
use dajet_core::testing::World;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::case::{Action, Case};
use crate::monitor::{Monitor, Watch, judge};
use crate::stage::{Stage, fill, on_virtual_time, world};

/// How long the last run, without faults, may take to drain the queue.
const DRAINS_WITHIN: Duration = Duration::from_secs(3_600);

/// What a simulation found.
pub struct Report {
    pub trace: Vec<String>,
    pub violations: Vec<String>,
}

/// Runs a case to its end.
pub fn simulate(case: &Case, defect: Option<Defect>) -> Report {
    on_virtual_time(async {
        let world = world(case.faults.clone());
        case.fill(&world);
        let watch = Monitor::watch(case, &world);
        let script = Script {
            case,
            text: case.script(&world),
            defect,
            stage: Stage::new(),
        };
        let late = actix::spawn(bring_late_rows(case.clone(), world.clone()));
        for action in &case.actions {
            script.run_until(*action, &watch).await;
        }
        late.await.expect("it only inserts rows");
        let (calm_after, calmed) = (case.calm_after, world.clone());
        if calm_after.is_zero() {
            world.stop_faults();
        }
        let calming = actix::spawn(async move {
            sleep(calm_after).await;
            calmed.stop_faults();
        });
        script.drain(&watch).await;
        calming.abort();
        judge(case, &world, &watch);
        let findings = watch.findings.lock();
        Report {
            trace: findings.trace.clone(),
            violations: findings
                .violations
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    })
}

async fn bring_late_rows(case: Case, world: World) {
    for id in case.rows_at_start + 1..=case.rows {
        sleep(Duration::from_millis(150)).await;
        fill(&world, case.source(), id..=id, case.parts);
    }
}

struct Script<'a> {
    case: &'a Case,
    text: String,
    defect: Option<Defect>,
    stage: Stage,
}

impl Script<'_> {
    async fn run(
        &self,
        until_idle: bool,
        stop: CancellationToken,
        kill: CancellationToken,
    ) -> Outcome {
        let spec = self.stage.spec(&self.text, self.case.settings(until_idle));
        match self.defect {
            None => run(spec, stop, kill).await,
            Some(defect) => run_broken(spec, stop, kill, defect).await,
        }
    }

    /// Runs until the script ends by the action, or by an error outside of sources.
    async fn run_until(&self, action: Action, watch: &Watch) {
        watch.run_begins();
        let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
        let running = self.run(false, stop.clone(), kill.clone());
        tokio::pin!(running);
        let (after, limit) = match action {
            // A commit in its course is not cut off, and a release may take its time.
            Action::Stop(after) => (after, self.case.stop_grace + Duration::from_secs(60)),
            Action::Kill(after) => (after, Duration::from_secs(60)),
        };
        let outcome = tokio::select! {
            biased;
            outcome = &mut running => Some(outcome),
            () = sleep(after) => None,
        };
        let outcome = match outcome {
            Some(outcome) => outcome,
            None => {
                watch.note(format!("{action:?}"));
                match action {
                    Action::Stop(_) => stop.cancel(),
                    Action::Kill(_) => kill.cancel(),
                }
                match timeout(limit, &mut running).await {
                    Ok(outcome) => outcome,
                    Err(_) => return watch.blame("stop", format!("does not end by {action:?}")),
                }
            }
        };
        match outcome {
            Outcome::Stopped => {}
            // A look-up in the middle of a program is not repeated.
            Outcome::Failed(_) if self.case.shape == crate::case::Shape::Partitions => {}
            other => watch.blame("outcome", format!("{other:?}")),
        }
    }

    /// The last run: faults stop in its course.
    async fn drain(&self, watch: &Watch) {
        watch.run_begins();
        watch.note("the last run".to_owned());
        let running = self.run(true, CancellationToken::new(), CancellationToken::new());
        match timeout(DRAINS_WITHIN, running).await {
            Ok(Outcome::Ended { .. }) => {}
            Ok(other) => watch.blame("outcome", format!("{other:?}")),
            Err(_) => watch.blame("I6", "the queue does not drain".to_owned()),
        }
    }
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse().expect("a number"))
    };
    match number("DAJET_TEST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("DAJET_TEST_SEEDS").unwrap_or(1_000),
    }
}

/// Runs a case twice: no invariant is broken, and both runs go the same way.
fn check(seed: u64, verbose: bool) {
    let case = Case::draw(seed);
    let report = simulate(&case, None);
    if verbose || !report.violations.is_empty() {
        println!("{case:#?}\n{}", report.trace.join("\n"));
    }
    assert_eq!(report.violations, [""; 0], "DAJET_TEST_SEED={seed}");
    let again = simulate(&case, None);
    let differs = report.trace.iter().zip(&again.trace).find(|(a, b)| a != b);
    assert_eq!(
        differs, None,
        "the same seed went another way: DAJET_TEST_SEED={seed}"
    );
    assert_eq!(
        report.trace.len(),
        again.trace.len(),
        "DAJET_TEST_SEED={seed}"
    );
}

#[test]
fn invariants_hold_whatever_goes_wrong() {
    let seeds = seeds();
    let verbose = seeds.end - seeds.start == 1;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let seeds = seeds.clone().skip(thread).step_by(threads);
            scope.spawn(move || seeds.for_each(|seed| check(seed, verbose)));
        }
    });
}
