//! The invariants of a pipeline as pure functions. The actors assert them where they hold; the simulation checks them after
//! every event of its world, with its own eyes.
//!
//! I1 a claim is resolved exactly once. I2 no commit before every receipt. I3 commits follow read order. I4 in flight <=
//! permits. I5 one generation at a time. I6 once faults stop, the queue drains and every output of a committed batch is at its
//! sink; duplicates only after a failure.

use std::collections::BTreeMap;

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {message}")]
pub struct Violation {
    /// `I1` to `I6`.
    pub invariant: &'static str,
    /// What was seen.
    pub message: String,
}

fn ensure(
    holds: bool,
    invariant: &'static str,
    message: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds {
        Ok(())
    } else {
        Err(Violation {
            invariant,
            message: message(),
        })
    }
}

/// I1: a claim is resolved (committed, released or dropped) exactly once.
///
/// # Errors
/// The claim was resolved before, or never.
pub fn resolved_once(claim: u64, resolutions: usize) -> Result<(), Violation> {
    ensure(resolutions == 1, "I1", || {
        format!("claim {claim} was resolved {resolutions} times")
    })
}

/// I2: a source claim is committed only when every record that its batch owes is durable at its sink.
///
/// # Errors
/// Some are missing.
pub fn received_before_commit(claim: u64, owed: usize, received: usize) -> Result<(), Violation> {
    ensure(received >= owed, "I2", || {
        format!("claim {claim} commits with {received} of {owed} receipts")
    })
}

/// I3: commits follow the order of the reads. `open_before` is the number of claims of the same source that were read before
/// and are still open or given back.
///
/// # Errors
/// A predecessor is not committed.
pub fn committed_in_order(claim: u64, open_before: usize) -> Result<(), Violation> {
    ensure(open_before == 0, "I3", || {
        format!("claim {claim} commits before {open_before} predecessors")
    })
}

/// I4: no more batches are in flight than there are permits.
///
/// # Errors
/// There are more.
pub fn within_permits(in_flight: usize, permits: usize) -> Result<(), Violation> {
    ensure(in_flight <= permits, "I4", || {
        format!("{in_flight} batches in flight with {permits} permits")
    })
}

/// I5: a generation starts when nothing of its predecessor is in flight.
///
/// # Errors
/// Something is.
pub fn one_generation(generation: u64, held_by_others: usize) -> Result<(), Violation> {
    ensure(held_by_others == 0, "I5", || {
        format!("generation {generation} starts while others hold {held_by_others} batches")
    })
}

/// I6: what a sink holds in the end, against what the queue held: every output is there, first occurrences are in order,
/// and an output is there more than once only after a failure.
///
/// # Errors
/// Something is missing, out of order, foreign, or there too often.
pub fn delivered(queued: &[u64], sink: &[u64], duplicates_max: usize) -> Result<(), Violation> {
    let mut position: BTreeMap<u64, usize> = BTreeMap::new();
    let mut firsts = Vec::with_capacity(queued.len());
    for &output in sink {
        let count = position.entry(output).or_insert(0);
        *count += 1;
        if *count == 1 {
            firsts.push(output);
        }
    }
    if let Some(missing) = queued.iter().find(|output| !position.contains_key(output)) {
        return ensure(false, "I6", || {
            format!("output {missing} is not at its sink")
        });
    }
    if let Some((a, b)) = firsts.iter().zip(queued).find(|(a, b)| a != b) {
        return ensure(false, "I6", || {
            format!("output {a} came first where {b} was due")
        });
    }
    ensure(firsts.len() == queued.len(), "I6", || {
        "the sink holds outputs that were never queued".to_owned()
    })?;
    let duplicates = sink.len() - firsts.len();
    ensure(duplicates <= duplicates_max, "I6", || {
        format!("{duplicates} duplicates, at most {duplicates_max} are explained by failures")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_loss_disorder_and_unexplained_duplicates() {
        assert_eq!(delivered(&[1, 2, 3], &[1, 2, 3], 0), Ok(()));
        assert_eq!(delivered(&[1, 2, 3], &[1, 2, 1, 2, 3], 2), Ok(()));
        assert!(delivered(&[1, 2, 3], &[1, 3], 9).is_err(), "loss");
        assert!(delivered(&[1, 2, 3], &[1, 3, 2], 9).is_err(), "disorder");
        assert!(
            delivered(&[1, 2], &[1, 2, 2], 0).is_err(),
            "duplicate without a failure"
        );
        assert!(delivered(&[1, 2], &[1, 2, 7], 9).is_err(), "foreign");
    }
}
