//! What may be set for the pipelines of a script.

use std::time::Duration;

/// Settings of a script's pipelines.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Pause before an empty source is read again.
    pub idle_delay: Duration,
    /// Longest pause before a failed batch is read again; the first is one second, then it doubles.
    pub error_delay: Duration,
    /// With `until_idle`: how long errors may go on with no commit in between.
    pub give_up_after: Duration,
    /// Batches that are read ahead of the one at the sinks; `None` is the source's default: 1, or 0 where order forbids it.
    pub read_ahead: Option<usize>,
    /// Most bytes of a batch.
    pub batch_bytes: usize,
    /// How long a stopped pipeline may drain before its batches are given back.
    pub stop_grace: Duration,
    /// Failures in a row, with no commit in between, that end a pipeline; `None` retries for ever.
    pub max_attempts: Option<u32>,
    /// End gracefully when the source is idle.
    pub until_idle: bool,
    /// Seed of uuids and of the jitter of pauses; `None` takes one from the operating system.
    pub seed: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            idle_delay: Duration::from_secs(1),
            error_delay: Duration::from_secs(60),
            give_up_after: Duration::from_secs(60),
            read_ahead: None,
            batch_bytes: 4 << 20,
            stop_grace: Duration::from_secs(20),
            max_attempts: None,
            until_idle: false,
            seed: None,
        }
    }
}

/// Most batches that may be read ahead, whatever the setting says: each holds a transaction and its memory.
const READ_AHEAD_MAX: usize = 14;

impl Settings {
    /// Number of permits of a pipeline: the batch at the sinks and those read ahead, `usual` for a source of its kind. `in_order`
    /// is true where reading ahead would break the order or the meaning of the source.
    pub fn permits(&self, in_order: bool, usual: usize) -> usize {
        1 + if in_order {
            0
        } else {
            self.read_ahead.unwrap_or(usual).min(READ_AHEAD_MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_nothing_ahead_where_order_forbids_it() {
        let settings = Settings {
            read_ahead: Some(3),
            ..Settings::default()
        };
        assert_eq!(settings.permits(false, 1), 4);
        assert_eq!(settings.permits(true, 1), 1);
        assert_eq!(Settings::default().permits(false, 2), 3);
        let greedy = Settings {
            read_ahead: Some(1_000_000),
            ..Settings::default()
        };
        assert_eq!(greedy.permits(false, 1), 15, "fits a mailbox of sixteen");
    }
}
