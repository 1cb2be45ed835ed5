//! What a source or a sink shows of itself beside its batches: how far behind it is, and what holds it up. The data path never waits for whoever
//! looks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Not a lag: nothing is known.
const UNKNOWN: u64 = u64::MAX;

/// The signs of one pipeline. Cheap to clone; clones show together.
#[derive(Clone, Debug)]
pub struct Signs {
    shown: Arc<Shown>,
}

#[derive(Debug)]
struct Shown {
    lag: AtomicU64,
    /// Why it is held up, by number.
    blocked: Mutex<Vec<(u64, Arc<str>)>>,
    blocks: AtomicU64,
}

/// As long as it lives, something is held up.
#[derive(Debug)]
pub struct Blocked {
    shown: Arc<Shown>,
    number: u64,
}

impl Default for Signs {
    fn default() -> Self {
        Self {
            shown: Arc::new(Shown {
                lag: AtomicU64::new(UNKNOWN),
                blocked: Mutex::default(),
                blocks: AtomicU64::new(0),
            }),
        }
    }
}

impl Signs {
    /// Shows how many messages are behind the last commit.
    pub fn show_lag(&self, messages: u64) {
        self.shown.lag.store(messages, Relaxed);
    }

    /// How many messages are behind the last commit, as far as was shown.
    pub fn lag(&self) -> Option<u64> {
        let lag = self.shown.lag.load(Relaxed);
        (lag != UNKNOWN).then_some(lag)
    }

    /// Shows that something is held up by its system, and why.
    pub fn block(&self, reason: &str) -> Blocked {
        let number = self.shown.blocks.fetch_add(1, Relaxed);
        self.shown.blocked().push((number, reason.into()));
        Blocked {
            shown: self.shown.clone(),
            number,
        }
    }

    /// Why something is held up, if it is.
    pub fn blocked(&self) -> Option<Arc<str>> {
        let blocked = self.shown.blocked();
        blocked.first().map(|(_, reason)| reason.clone())
    }

    /// True if they are clones of each other.
    pub fn is_same(&self, other: &Signs) -> bool {
        Arc::ptr_eq(&self.shown, &other.shown)
    }
}

impl Shown {
    fn blocked(&self) -> MutexGuard<'_, Vec<(u64, Arc<str>)>> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        self.shown
            .blocked()
            .retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_a_reason_for_as_long_as_it_holds() {
        let signs = Signs::default();
        assert_eq!((signs.lag(), signs.blocked()), (None, None));
        signs.clone().show_lag(0);
        assert_eq!(signs.lag(), Some(0));
        let (memory, disk) = (signs.block("память"), signs.block("диск"));
        drop(memory);
        assert_eq!(signs.blocked().as_deref(), Some("диск"));
        drop(disk);
        assert_eq!(signs.blocked(), None);
    }
}
