//! How often a message has failed, for `MaxAttempts`.
//!
//! A batch fails as a whole. So the messages of a failed batch are read one by one, until the guilty one is alone and its failures are its own.
//! This is remembered by the process, since each failure ends its source; a restart of the process forgets it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use dajet_core::Identity;
use lapin::message::Delivery;
use parking_lot::Mutex;

/// Queues remembered.
const QUEUES_MAX: usize = 10_000;

static MEMORY: Mutex<BTreeMap<(Identity, Arc<str>), Memory>> = Mutex::new(BTreeMap::new());

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Memory {
    /// Messages that are still to be read one by one.
    singles: usize,
    /// The message at the head and its failures.
    head: Option<(Mark, u32)>,
}

/// What tells one message from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u64);

impl Mark {
    pub(super) fn of(delivery: &Delivery) -> Self {
        let mut hasher = DefaultHasher::new();
        delivery.exchange.hash(&mut hasher);
        delivery.routing_key.hash(&mut hasher);
        delivery.properties.message_id().hash(&mut hasher);
        delivery.properties.timestamp().hash(&mut hasher);
        delivery.data.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// The failures of one queue's messages.
#[derive(Clone, Debug)]
pub(super) struct Attempts {
    key: (Identity, Arc<str>),
    max: u32,
}

impl Attempts {
    pub(super) fn new(identity: Identity, queue: Arc<str>, max: u32) -> Self {
        Self {
            key: (identity, queue),
            max,
        }
    }

    /// True if messages are to be read one by one.
    pub(super) fn one_by_one(&self) -> bool {
        MEMORY
            .lock()
            .get(&self.key)
            .is_some_and(|memory| memory.singles > 0)
    }

    /// How often the message has failed, if that is often enough.
    pub(super) fn exhausted(&self, mark: Mark) -> Option<u32> {
        let (head, failures) = MEMORY.lock().get(&self.key)?.head?;
        (head == mark && failures >= self.max).then_some(failures)
    }

    /// Notes that the batch at the head of the queue has failed.
    pub(super) fn failed(&self, head: Mark, records: usize) {
        let mut all = MEMORY.lock();
        if all.len() >= QUEUES_MAX && !all.contains_key(&self.key) {
            all.pop_first();
        }
        let memory = all.entry(self.key.clone()).or_default();
        memory.singles = memory.singles.max(records);
        if records == 1 {
            memory.head = match memory.head {
                Some((mark, failures)) if mark == head => Some((mark, failures.saturating_add(1))),
                _ => Some((head, 1)),
            };
        }
    }

    /// Notes that a batch is committed, or a message put aside.
    pub(super) fn passed(&self, records: usize) {
        let mut all = MEMORY.lock();
        let Some(memory) = all.get_mut(&self.key) else {
            return;
        };
        memory.head = None;
        memory.singles = memory.singles.saturating_sub(records);
        if memory.singles == 0 {
            all.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singles_out_the_guilty_message() {
        let attempts = Attempts::new(Identity::new("amqp://тест"), "очередь".into(), 2);
        let mark = |body: &str| {
            Mark::of(&Delivery::mock(
                1,
                "".into(),
                "q".into(),
                false,
                body.as_bytes().to_vec(),
            ))
        };
        assert!(!attempts.one_by_one());
        attempts.failed(mark("а"), 3);
        assert!(attempts.one_by_one());
        assert_eq!(attempts.exhausted(mark("а")), None);
        attempts.passed(1);
        attempts.failed(mark("б"), 1);
        assert_eq!(attempts.exhausted(mark("б")), None);
        attempts.failed(mark("б"), 1);
        assert_eq!(attempts.exhausted(mark("б")), Some(2));
        assert_eq!(attempts.exhausted(mark("в")), None);
        attempts.passed(1);
        assert_eq!(attempts.exhausted(mark("б")), None);
        assert!(attempts.one_by_one());
        attempts.passed(1);
        assert!(!attempts.one_by_one());
    }
}
