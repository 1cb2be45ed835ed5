//! How far a run is: a line per script on a terminal, else a log line now and then; a summary at the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dajet_actors::Snapshot;
use indicatif::ProgressBar;

use crate::board::{Row, state_name};
use crate::screen::Screen;

/// Between two redraws of a progress line.
pub const REDRAW: Duration = Duration::from_millis(250);
/// Between two log lines where there is no terminal.
const LOG: Duration = Duration::from_secs(10);

/// One running script as its audience sees it.
pub struct Watch {
    row: Arc<Row>,
    line: Option<ProgressBar>,
    started: Instant,
    logged: Instant,
    /// Time and number of records of the last measurements, oldest first, at most as many as one second holds.
    marks: Vec<(Instant, u64)>,
}

impl Watch {
    /// Starts watching.
    pub fn new(row: Arc<Row>, screen: &Screen, now: Instant) -> Self {
        let line = screen.line(row.name());
        Self {
            row,
            line,
            started: now,
            logged: now,
            marks: vec![(now, 0)],
        }
    }

    /// Shows the present state: on the board, and on the line, or in the log when it is time for it.
    pub fn tick(&mut self, now: Instant) {
        let snapshot = self.row.snapshot();
        let rate = self.rate(now, snapshot.records);
        self.row.note(snapshot.state, rate);
        match &self.line {
            Some(line) => {
                line.set_message(line_text(&snapshot, rate));
                line.tick();
            }
            None if now.duration_since(self.logged) >= LOG => {
                self.logged = now;
                tracing::info!(
                    script = self.row.name(),
                    state = state_name(snapshot.state),
                    records = snapshot.records,
                    batches = snapshot.batches,
                    per_second = rate,
                    latency_ms = snapshot.batch_latency.map(|d| d.as_millis() as u64),
                    errors = snapshot.errors,
                    "progress"
                );
            }
            None => {}
        }
    }

    /// Takes the line away and returns the summary.
    pub fn finish(self, how: &str, now: Instant) -> String {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
        let snapshot = self.row.snapshot();
        self.row.note(snapshot.state, 0);
        summary_text(
            self.row.name(),
            how,
            &snapshot,
            now.duration_since(self.started),
        )
    }

    /// Records per second over the last second or so.
    fn rate(&mut self, now: Instant, records: u64) -> u64 {
        self.marks.push((now, records));
        while self.marks.len() > 2 && now.duration_since(self.marks[1].0) >= Duration::from_secs(1)
        {
            self.marks.remove(0);
        }
        let (since, before) = self.marks[0];
        per_second(records.saturating_sub(before), now.duration_since(since))
    }
}

/// Records per second, rounded down; 0 while no time has passed.
fn per_second(records: u64, elapsed: Duration) -> u64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 {
        (records as f64 / seconds) as u64
    } else {
        0
    }
}

fn line_text(snapshot: &Snapshot, rate: u64) -> String {
    let mut text = format!(
        "{}  {} records  {rate}/s",
        state_name(snapshot.state),
        snapshot.records
    );
    if let Some(latency) = snapshot.batch_latency {
        text.push_str(&format!("  {} ms/batch", latency.as_millis()));
    }
    if snapshot.errors > 0 {
        text.push_str(&format!("  {} errors", snapshot.errors));
    }
    text
}

fn summary_text(name: &str, how: &str, snapshot: &Snapshot, elapsed: Duration) -> String {
    format!(
        "{name}: {how}, {} records in {} batches, {:.3} s, {} records/s, {} errors, {} retries",
        snapshot.records,
        snapshot.batches,
        elapsed.as_secs_f64(),
        per_second(snapshot.records, elapsed),
        snapshot.errors,
        snapshot.retries,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use dajet_actors::{Observer, State};

    fn snapshot_for_test() -> Snapshot {
        Snapshot {
            records: 10_000,
            batches: 10,
            bytes: 1,
            in_flight: 0,
            errors: 1,
            retries: 1,
            state: State::Running,
            lag: None,
            blocked: None,
            last_error: None,
            batch_latency: Some(Duration::from_millis(12)),
        }
    }

    #[test]
    fn tells_what_a_run_did() {
        assert_eq!(
            summary_text(
                "заказы.djs",
                "ended",
                &snapshot_for_test(),
                Duration::from_millis(2500)
            ),
            "заказы.djs: ended, 10000 records in 10 batches, 2.500 s, 4000 records/s, 1 errors, 1 retries"
        );
        assert_eq!(
            line_text(&snapshot_for_test(), 5),
            "running  10000 records  5/s  12 ms/batch  1 errors"
        );
    }

    #[test]
    fn the_rate_is_that_of_the_last_second() {
        let start = Instant::now();
        let mut watch = Watch {
            row: Row::of_script("x".into(), Observer::new()),
            line: None,
            started: start,
            logged: start,
            marks: vec![(start, 0)],
        };
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(watch.rate(at(500), 100), 200);
        assert_eq!(watch.rate(at(1000), 200), 200);
        assert_eq!(watch.rate(at(1500), 1200), 1100);
        assert_eq!(watch.rate(at(3000), 1200), 0);
    }
}
