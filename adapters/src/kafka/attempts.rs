//! How often a message has failed, for `MaxAttempts`.
//!
//! A batch fails as a whole. So the messages of a failed batch are read one by one, until the guilty one is alone and its failures are its own.
//! This is remembered by the process, since each failure ends its source; a restart of the process forgets it.

use std::collections::BTreeMap;

use dajet_core::Identity;
use parking_lot::Mutex;

use super::letter::{Letter, Place};
use super::line::Stretch;

/// Groups remembered.
const GROUPS_MAX: usize = 10_000;

static MEMORY: Mutex<BTreeMap<Identity, BTreeMap<Place, Memory>>> = Mutex::new(BTreeMap::new());

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Memory {
    /// Messages before this offset are read one by one.
    singles_until: i64,
    /// The offset of the message that failed alone, and its failures.
    head: Option<(i64, u32)>,
}

/// The failures of one group's messages.
#[derive(Clone, Debug)]
pub(super) struct Attempts {
    identity: Identity,
    max: u32,
}

impl Attempts {
    pub(super) fn new(identity: Identity, max: u32) -> Self {
        Self { identity, max }
    }

    /// How many of the letters make the next batch: up to the first that must be alone, or that one.
    pub(super) fn batch<'a>(&self, letters: impl Iterator<Item = &'a Letter>) -> usize {
        let all = MEMORY.lock();
        let Some(memory) = all.get(&self.identity) else {
            return usize::MAX;
        };
        let is_single = |letter: &Letter| {
            memory
                .get(&letter.place)
                .is_some_and(|memory| letter.offset < memory.singles_until)
        };
        for (index, letter) in letters.enumerate() {
            if is_single(letter) {
                return index.max(1);
            }
        }
        usize::MAX
    }

    /// How often the message has failed, if that is often enough.
    pub(super) fn exhausted(&self, letter: &Letter) -> Option<u32> {
        let all = MEMORY.lock();
        let (offset, failures) = all.get(&self.identity)?.get(&letter.place)?.head?;
        (offset == letter.offset && failures >= self.max).then_some(failures)
    }

    /// Notes that the batch before all others has failed.
    pub(super) fn failed(&self, batch: &[Stretch]) {
        let mut all = MEMORY.lock();
        if all.len() >= GROUPS_MAX && !all.contains_key(&self.identity) {
            all.pop_first();
        }
        let group = all.entry(self.identity.clone()).or_default();
        for stretch in batch {
            let memory = group.entry(stretch.place.clone()).or_default();
            memory.singles_until = memory.singles_until.max(stretch.next);
        }
        if let [
            Stretch {
                place,
                first,
                count: 1,
                ..
            },
        ] = batch
            && let Some(memory) = group.get_mut(place)
        {
            memory.head = match memory.head {
                Some((offset, failures)) if offset == *first => {
                    Some((offset, failures.saturating_add(1)))
                }
                _ => Some((*first, 1)),
            };
        }
    }

    /// Notes that everything before `next` is committed or put aside.
    pub(super) fn passed(&self, place: &Place, next: i64) {
        let mut all = MEMORY.lock();
        let Some(group) = all.get_mut(&self.identity) else {
            return;
        };
        if let Some(memory) = group.get_mut(place) {
            memory.head = memory.head.filter(|(offset, _)| *offset >= next);
            if memory.singles_until <= next {
                group.remove(place);
            }
        }
        if group.is_empty() {
            all.remove(&self.identity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::letter;
    use super::*;

    fn stretch(first: i64, next: i64) -> Stretch {
        Stretch {
            place: ("заказы".into(), 0),
            epoch: 1,
            began: first,
            first,
            next,
            count: (next - first) as usize,
        }
    }

    #[test]
    fn singles_out_the_guilty_message() {
        let attempts = Attempts::new(Identity::new("kafka://тест/группа"), 2);
        let letters: Vec<_> = (0..6).map(|offset| letter("заказы", 0, offset)).collect();
        let other = [letter("заказы", 1, 0), letter("заказы", 0, 0)];
        assert_eq!(attempts.batch(letters.iter()), usize::MAX);
        attempts.failed(&[stretch(0, 3)]);
        assert_eq!(attempts.batch(letters.iter()), 1);
        assert_eq!(attempts.batch(other.iter()), 1);
        assert_eq!(attempts.batch(letters[3..].iter()), usize::MAX);
        attempts.passed(&("заказы".into(), 0), 1);
        assert_eq!(attempts.exhausted(&letters[1]), None);
        attempts.failed(&[stretch(1, 2)]);
        assert_eq!(attempts.exhausted(&letters[1]), None);
        attempts.failed(&[stretch(1, 2)]);
        assert_eq!(attempts.exhausted(&letters[1]), Some(2));
        assert_eq!(attempts.exhausted(&letters[2]), None);
        attempts.passed(&("заказы".into(), 0), 2);
        assert_eq!(attempts.exhausted(&letters[1]), None);
        assert_eq!(attempts.batch(letters[2..].iter()), 1);
        attempts.passed(&("заказы".into(), 0), 3);
        assert_eq!(attempts.batch(letters.iter()), usize::MAX);
    }
}
