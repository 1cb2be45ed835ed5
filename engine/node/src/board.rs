//! What the node shows of its scripts: counters that are read when somebody asks, and what only time tells (rate, since when).
//!
//! The data path does not know of it: the counters are those of the observers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dajet_actors::{Observer, Snapshot, State};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// All scripts of a run, in the order of the call.
pub struct Board {
    rows: Vec<Arc<Row>>,
    started: Instant,
    stop: CancellationToken,
}

/// One script.
pub struct Row {
    name: Arc<str>,
    shows: Shows,
    moving: Mutex<Moving>,
}

enum Shows {
    /// It was started.
    Script(Observer),
    /// It was not, and why.
    Refused(String),
}

/// What is measured now and then.
struct Moving {
    state: State,
    since: Timestamp,
    per_second: u64,
}

/// One script at one moment.
pub struct Look {
    /// The script's path.
    pub name: Arc<str>,
    /// Its counters and its state.
    pub snapshot: Snapshot,
    /// When the state was first seen.
    pub since: Timestamp,
    /// Records per second over the last second or so.
    pub per_second: u64,
}

impl Board {
    /// Makes the board of a run that `stop` ends.
    pub fn new(rows: Vec<Arc<Row>>, stop: CancellationToken) -> Self {
        Self {
            rows,
            started: Instant::now(),
            stop,
        }
    }

    /// Every script as it is now.
    pub fn look(&self) -> Vec<Look> {
        self.rows.iter().map(|row| row.look()).collect()
    }

    /// How long the run has lasted.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// True if the run was told to end.
    pub fn stopping(&self) -> bool {
        self.stop.is_cancelled()
    }
}

impl Row {
    /// A script that is started.
    pub fn of_script(name: Arc<str>, observer: Observer) -> Arc<Self> {
        Self::new(name, Shows::Script(observer), State::Starting)
    }

    /// A script that is not started, and why.
    pub fn refused(name: Arc<str>, reason: String) -> Arc<Self> {
        Self::new(name, Shows::Refused(reason), State::Failed)
    }

    fn new(name: Arc<str>, shows: Shows, state: State) -> Arc<Self> {
        Arc::new(Self {
            name,
            shows,
            moving: Mutex::new(Moving {
                state,
                since: Timestamp::now(),
                per_second: 0,
            }),
        })
    }

    /// The script's path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The script's counters and its state.
    pub fn snapshot(&self) -> Snapshot {
        match &self.shows {
            Shows::Script(observer) => observer.snapshot(),
            Shows::Refused(reason) => Snapshot {
                records: 0,
                batches: 0,
                bytes: 0,
                in_flight: 0,
                errors: 1,
                retries: 0,
                state: State::Failed,
                lag: None,
                blocked: None,
                last_error: Some(reason.clone()),
                batch_latency: None,
            },
        }
    }

    /// Takes down a measurement.
    pub fn note(&self, state: State, per_second: u64) {
        let mut moving = self.moving.lock();
        moving.per_second = per_second;
        moving.enter(state);
    }

    fn look(&self) -> Look {
        let snapshot = self.snapshot();
        let mut moving = self.moving.lock();
        moving.enter(snapshot.state);
        Look {
            name: self.name.clone(),
            snapshot,
            since: moving.since,
            per_second: moving.per_second,
        }
    }
}

impl Moving {
    fn enter(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.since = Timestamp::now();
        }
    }
}

/// All states.
pub const STATES: [State; 8] = [
    State::Starting,
    State::Running,
    State::Idle,
    State::Blocked,
    State::Waiting,
    State::Stopping,
    State::Ended,
    State::Failed,
];

/// The state's word.
pub fn state_name(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Running => "running",
        State::Idle => "idle",
        State::Blocked => "blocked",
        State::Waiting => "waiting",
        State::Stopping => "stopping",
        State::Ended => "ended",
        State::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_a_script_that_was_not_started() {
        let board = Board::new(
            vec![Row::refused("заказы.djs".into(), "no such word".to_owned())],
            CancellationToken::new(),
        );
        let look = &board.look()[0];
        assert_eq!(look.snapshot.state, State::Failed);
        assert_eq!(look.snapshot.last_error.as_deref(), Some("no such word"));
        assert!(!board.stopping());
    }

    #[test]
    fn a_state_lasts_since_it_was_entered() {
        let row = Row::of_script("x".into(), Observer::new());
        let first = row.look();
        row.note(State::Starting, 7);
        let second = row.look();
        assert_eq!((second.since, second.per_second), (first.since, 7));
        row.note(State::Idle, 0);
        assert!(row.moving.lock().since >= first.since);
        assert_eq!(row.moving.lock().state, State::Idle);
    }
}
