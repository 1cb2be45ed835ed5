//! What a running script shows: counters in atomics. The data path never waits for whoever looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use dajet_core::Signs;
use parking_lot::Mutex;

/// The counters of one script. Cheap to clone; clones count together.
#[derive(Clone, Default)]
pub struct Observer {
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    records: AtomicU64,
    batches: AtomicU64,
    bytes: AtomicU64,
    in_flight: AtomicU32,
    errors: AtomicU64,
    retries: AtomicU64,
    latency_us: AtomicU64,
    running: AtomicU32,
    idle: AtomicU32,
    waiting: AtomicU32,
    /// Pipelines that have begun.
    pipelines: AtomicU64,
    begun: AtomicBool,
    stopping: AtomicBool,
    ended: AtomicBool,
    failed: AtomicBool,
    last_error: Mutex<Option<String>>,
    /// Those of the pipelines that live.
    signs: Mutex<Vec<Signs>>,
}

/// The counters at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Records committed.
    pub records: u64,
    /// Batches committed.
    pub batches: u64,
    /// Bytes of the committed records as read.
    pub bytes: u64,
    /// Batches between read and commit.
    pub in_flight: u32,
    /// Errors of pipelines.
    pub errors: u64,
    /// New generations after an error.
    pub retries: u64,
    /// What the script does.
    pub state: State,
    /// Messages behind the last commits, as far as the sources know.
    pub lag: Option<u64>,
    /// Why a system holds the script up, if one does.
    pub blocked: Option<String>,
    /// The latest error, with its causes.
    pub last_error: Option<String>,
    /// Time from read to commit of the latest committed batch.
    pub batch_latency: Option<Duration>,
}

/// What a script does. With several pipelines, the state that wants attention most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does not run yet.
    Starting,
    /// At least one pipeline works, or what stands outside of sources.
    Running,
    /// Every source is empty and nothing is in flight.
    Idle,
    /// A system holds a pipeline up, and says so.
    Blocked,
    /// A pipeline waits before it tries again.
    Waiting,
    /// Drains.
    Stopping,
    /// Ended well, or stopped.
    Ended,
    /// Ended by an error.
    Failed,
}

/// A batch that was committed.
pub(crate) struct Committed {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) latency: Duration,
}

impl Observer {
    /// Starts at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the counters. They are read one after another: a snapshot is consistent to within a batch.
    pub fn snapshot(&self) -> Snapshot {
        let c = &*self.counters;
        let latency = c.latency_us.load(Relaxed);
        Snapshot {
            records: c.records.load(Relaxed),
            batches: c.batches.load(Relaxed),
            bytes: c.bytes.load(Relaxed),
            in_flight: c.in_flight.load(Relaxed),
            errors: c.errors.load(Relaxed),
            retries: c.retries.load(Relaxed),
            state: self.state(),
            lag: self.lag(),
            blocked: self.blocked(),
            last_error: c.last_error.lock().clone(),
            batch_latency: (latency > 0).then(|| Duration::from_micros(latency)),
        }
    }

    fn lag(&self) -> Option<u64> {
        let signs = self.counters.signs.lock();
        let known = signs.iter().filter_map(Signs::lag);
        known.reduce(u64::saturating_add)
    }

    fn blocked(&self) -> Option<String> {
        let signs = self.counters.signs.lock();
        let reason = signs.iter().find_map(Signs::blocked);
        reason.map(|reason| reason.to_string())
    }

    fn state(&self) -> State {
        let c = &*self.counters;
        if c.failed.load(Relaxed) {
            State::Failed
        } else if c.ended.load(Relaxed) {
            State::Ended
        } else if c.stopping.load(Relaxed) {
            State::Stopping
        } else if self.blocked().is_some() {
            State::Blocked
        } else if c.waiting.load(Relaxed) > 0 {
            State::Waiting
        } else if c.running.load(Relaxed) > 0 || c.in_flight.load(Relaxed) > 0 {
            // A source may be empty while its last batch is on its way: that is work too.
            State::Running
        } else if c.idle.load(Relaxed) > 0 {
            State::Idle
        } else if c.begun.load(Relaxed) {
            // Outside of sources.
            State::Running
        } else {
            State::Starting
        }
    }

    pub(crate) fn committed(&self, batch: &Committed) {
        let c = &*self.counters;
        c.records.fetch_add(batch.records, Relaxed);
        c.batches.fetch_add(1, Relaxed);
        c.bytes.fetch_add(batch.bytes, Relaxed);
        let latency = u64::try_from(batch.latency.as_micros()).unwrap_or(u64::MAX);
        c.latency_us.store(latency.max(1), Relaxed);
    }

    pub(crate) fn failed(&self, error: String) {
        self.counters.errors.fetch_add(1, Relaxed);
        *self.counters.last_error.lock() = Some(error);
    }

    pub(crate) fn retried(&self) {
        self.counters.retries.fetch_add(1, Relaxed);
    }

    pub(crate) fn batch_in_flight(&self) -> InFlight {
        self.counters.in_flight.fetch_add(1, Relaxed);
        InFlight {
            counters: self.counters.clone(),
        }
    }

    pub(crate) fn pipeline(&self) -> Gauge {
        let signs = Signs::default();
        self.counters.signs.lock().push(signs.clone());
        Gauge {
            number: self.counters.pipelines.fetch_add(1, Relaxed),
            counters: self.counters.clone(),
            signs,
            shown: None,
        }
    }

    pub(crate) fn begun(&self) {
        self.counters.begun.store(true, Relaxed);
    }

    pub(crate) fn stopping(&self) {
        self.counters.stopping.store(true, Relaxed);
    }

    /// The script has ended, by `error` if there is one. What a pipeline has reported already counts once.
    pub(crate) fn ended(&self, error: Option<String>) {
        let c = &*self.counters;
        c.failed.store(error.is_some(), Relaxed);
        c.ended.store(true, Relaxed);
        if error.is_some() && *c.last_error.lock() != error {
            c.errors.fetch_add(1, Relaxed);
            *c.last_error.lock() = error;
        }
    }
}

/// One batch in flight; ends when dropped.
pub(crate) struct InFlight {
    counters: Arc<Counters>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.counters.in_flight.fetch_sub(1, Relaxed);
    }
}

/// What one pipeline does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    Running,
    Idle,
    Waiting,
}

/// Shows what one pipeline does; shows nothing any more when dropped.
pub(crate) struct Gauge {
    number: u64,
    counters: Arc<Counters>,
    signs: Signs,
    shown: Option<Doing>,
}

impl Gauge {
    /// Number of the pipeline in its script, in the order in which they began, from 0. The iterations of a parallel loop differ in it.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Where source and sinks of the pipeline show what is to be seen of them.
    pub(crate) fn signs(&self) -> &Signs {
        &self.signs
    }

    pub(crate) fn show(&mut self, doing: Doing) {
        if self.shown == Some(doing) {
            return;
        }
        self.hide();
        self.counter(doing).fetch_add(1, Relaxed);
        self.shown = Some(doing);
    }

    pub(crate) fn hide(&mut self) {
        if let Some(doing) = self.shown.take() {
            self.counter(doing).fetch_sub(1, Relaxed);
        }
    }

    fn counter(&self, doing: Doing) -> &AtomicU32 {
        match doing {
            Doing::Running => &self.counters.running,
            Doing::Idle => &self.counters.idle,
            Doing::Waiting => &self.counters.waiting,
        }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.hide();
        let mut signs = self.counters.signs.lock();
        signs.retain(|known| !known.is_same(&self.signs));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_state_that_wants_attention_most() {
        let observer = Observer::new();
        assert_eq!(observer.snapshot().state, State::Starting);
        let (mut a, mut b) = (observer.pipeline(), observer.pipeline());
        a.show(Doing::Idle);
        assert_eq!(observer.snapshot().state, State::Idle);
        b.show(Doing::Running);
        assert_eq!(observer.snapshot().state, State::Running);
        a.show(Doing::Waiting);
        assert_eq!(observer.snapshot().state, State::Waiting);
        drop(a);
        assert_eq!(observer.snapshot().state, State::Running);
        observer.ended(Some("порядок нарушен".to_owned()));
        assert_eq!(observer.snapshot().state, State::Failed);
    }

    #[test]
    fn shows_the_lag_of_all_pipelines_and_what_blocks_one() {
        let observer = Observer::new();
        let (mut a, b) = (observer.pipeline(), observer.pipeline());
        a.show(Doing::Running);
        assert_eq!(observer.snapshot().lag, None);
        a.signs().show_lag(3);
        b.signs().show_lag(4);
        assert_eq!(observer.snapshot().lag, Some(7));
        let blocked = b.signs().block("нет памяти");
        let snapshot = observer.snapshot();
        assert_eq!(snapshot.state, State::Blocked);
        assert_eq!(snapshot.blocked.as_deref(), Some("нет памяти"));
        drop(blocked);
        drop(b);
        let snapshot = observer.snapshot();
        assert_eq!((snapshot.state, snapshot.lag), (State::Running, Some(3)));
    }

    #[test]
    fn an_error_that_ends_the_script_counts_once() {
        let observer = Observer::new();
        observer.failed("нет места".to_owned());
        observer.ended(Some("нет места".to_owned()));
        assert_eq!(observer.snapshot().errors, 1);
        let observer = Observer::new();
        observer.ended(Some("нет места".to_owned()));
        let snapshot = observer.snapshot();
        assert_eq!(snapshot.errors, 1);
        assert_eq!(snapshot.last_error.as_deref(), Some("нет места"));
    }

    #[test]
    fn is_idle_only_when_the_last_batch_is_committed() {
        let observer = Observer::new();
        let mut pipeline = observer.pipeline();
        let batch = observer.batch_in_flight();
        pipeline.show(Doing::Idle);
        assert_eq!(observer.snapshot().state, State::Running);
        drop(batch);
        assert_eq!(observer.snapshot().state, State::Idle);
    }

    #[test]
    fn counts_a_batch_in_flight_until_it_is_dropped() {
        let observer = Observer::new();
        let batch = observer.batch_in_flight();
        assert_eq!(observer.snapshot().in_flight, 1);
        drop(batch);
        assert_eq!(observer.snapshot().in_flight, 0);
    }
}
