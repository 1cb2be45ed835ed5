//! The threads that actors live on: one arbiter for each core of the node, a pipeline's actors on one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use actix_rt::{Arbiter, ArbiterHandle};

/// The arbiters of a node. Cheap to clone; their threads end with the last clone.
#[derive(Clone)]
pub struct Arbiters {
    pool: Arc<Pool>,
}

struct Pool {
    arbiters: Vec<Arbiter>,
    next: AtomicUsize,
}

impl Arbiters {
    /// Starts so many arbiter threads. Must be called inside an actix System.
    pub fn new(count: usize) -> Self {
        Self {
            pool: Arc::new(Pool {
                arbiters: (0..count).map(|_| Arbiter::new()).collect(),
                next: AtomicUsize::new(0),
            }),
        }
    }

    /// Starts no thread: actors live on the arbiter that runs the script.
    pub fn here() -> Self {
        Self::new(0)
    }

    /// The arbiter of the next pipeline, in turn.
    pub(crate) fn next(&self) -> ArbiterHandle {
        let pool = &*self.pool;
        if pool.arbiters.is_empty() {
            return Arbiter::current();
        }
        let index = pool.next.fetch_add(1, Relaxed) % pool.arbiters.len();
        pool.arbiters[index].handle()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
    }
}
