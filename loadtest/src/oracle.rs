//! The delivery oracle: what a target received, against what the source held.
//!
//! Keys are numbers in the order of the queue. The oracle compares sets (nothing lost, nothing invented), the order of
//! *first* occurrences, and bounds the duplicates. It knows nothing of the engine.

use serde::Serialize;

/// What the oracle found at one target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Keys that the source held.
    pub expected: u64,
    /// Records that arrived, repeated ones included.
    pub received: u64,
    /// Keys that never arrived.
    pub lost: u64,
    /// Records whose key the source never held.
    pub invented: u64,
    /// First occurrences that came after a greater key.
    pub out_of_order: u64,
    /// Occurrences behind the first one.
    pub duplicates: u64,
    /// Most duplicates that the faults of the run excuse.
    pub duplicates_allowed: u64,
    /// Rows that the source still holds.
    pub left_in_source: u64,
}

impl Verdict {
    /// True if nothing is wrong.
    pub fn passes(&self) -> bool {
        self.lost == 0
            && self.invented == 0
            && self.out_of_order == 0
            && self.left_in_source == 0
            && self.duplicates <= self.duplicates_allowed
    }
}

/// Judges a finished run: the source held the keys `1..=expected`; the target shows `received` in its own order.
///
/// A queue in several parts keeps the order of each: of the keys that leave the same rest when divided by `parts`.
pub fn judge(
    parts: u64,
    expected: u64,
    received: &[u64],
    duplicates_allowed: u64,
    left_in_source: u64,
) -> Verdict {
    let mut seen = vec![false; expected as usize + 1];
    let mut verdict = Verdict {
        expected,
        received: received.len() as u64,
        duplicates_allowed,
        left_in_source,
        ..Verdict::default()
    };
    let mut greatest = vec![0; parts as usize];
    for &key in received {
        let greatest = &mut greatest[(key % parts) as usize];
        if key == 0 || key > expected {
            verdict.invented += 1;
        } else if std::mem::replace(&mut seen[key as usize], true) {
            verdict.duplicates += 1;
        } else if key < *greatest {
            verdict.out_of_order += 1;
        } else {
            *greatest = key;
        }
    }
    verdict.lost = seen.iter().skip(1).filter(|seen| !**seen).count() as u64;
    verdict
}

#[cfg(test)]
mod tests {
    use super::{Verdict, judge as judge_parts};

    fn judge(expected: u64, received: &[u64], allowed: u64, left: u64) -> Verdict {
        judge_parts(1, expected, received, allowed, left)
    }

    #[test]
    fn passes_an_exact_run() {
        assert!(judge(3, &[1, 2, 3], 0, 0).passes());
    }

    #[test]
    fn finds_a_lost_row() {
        let verdict = judge(3, &[1, 3], 0, 0);
        assert_eq!(verdict.lost, 1);
        assert!(!verdict.passes());
    }

    #[test]
    fn finds_rows_out_of_order() {
        let verdict = judge(4, &[1, 3, 2, 4], 0, 0);
        assert_eq!(verdict.out_of_order, 1);
        assert!(!verdict.passes());
    }

    #[test]
    fn judges_the_order_of_each_part() {
        let beside = [2, 4, 1, 3];
        assert_eq!(judge_parts(2, 4, &beside, 0, 0).out_of_order, 0);
        assert_eq!(judge(4, &beside, 0, 0).out_of_order, 2);
        assert_eq!(judge_parts(2, 4, &[4, 2, 1, 3], 0, 0).out_of_order, 1);
    }

    #[test]
    fn allows_repeated_rows_only_within_the_bound() {
        let repeated = [1, 2, 1, 2, 3];
        assert!(!judge(3, &repeated, 0, 0).passes());
        assert!(!judge(3, &repeated, 1, 0).passes());
        let verdict = judge(3, &repeated, 2, 0);
        assert_eq!((verdict.duplicates, verdict.out_of_order), (2, 0));
        assert!(verdict.passes());
    }

    #[test]
    fn finds_invented_rows_and_rows_left_behind() {
        assert!(!judge(2, &[1, 2, 7], 9, 0).passes());
        assert!(!judge(2, &[1, 2], 0, 1).passes());
    }
}
