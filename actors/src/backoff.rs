//! How long a failed pipeline waits, and when it gives up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::settings::Settings;

/// The first pause after an error.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Random numbers of a script, from one seed: what follows from a seed is the same every time.
pub(crate) struct Seeds {
    state: AtomicU64,
}

impl Seeds {
    /// Starts at the seed, or at one of the operating system's.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        let state = seed.unwrap_or_else(|| {
            use std::hash::{BuildHasher, RandomState};
            RandomState::new().hash_one(0_u8)
        });
        Self {
            state: AtomicU64::new(state),
        }
    }

    /// The next number (splitmix64).
    pub(crate) fn next(&self) -> u64 {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.state.fetch_add(GOLDEN, Relaxed).wrapping_add(GOLDEN);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// The failures of a pipeline since its latest commit.
pub(crate) struct Failures {
    in_a_row: u32,
    since: Option<Instant>,
    error_delay: Duration,
    max_attempts: Option<u32>,
    give_up_after: Option<Duration>,
}

/// What follows an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Try again after the pause.
    Pause(Duration),
    /// Errors have gone on for too long, or too often.
    GiveUp,
}

impl Failures {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            in_a_row: 0,
            since: None,
            error_delay: settings.error_delay,
            max_attempts: settings.max_attempts,
            give_up_after: settings.until_idle.then_some(settings.give_up_after),
        }
    }

    /// A batch has been committed.
    pub(crate) fn forget(&mut self) {
        self.in_a_row = 0;
        self.since = None;
    }

    /// Another failure. The pause doubles from one second up to the longest, give or take a quarter, so that pipelines that
    /// failed together do not come back together; it does not reach past the time to give up.
    pub(crate) fn next(&mut self, now: Instant, random: u64) -> Verdict {
        let since = *self.since.get_or_insert(now);
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.max_attempts.is_some_and(|most| self.in_a_row >= most) {
            return Verdict::GiveUp;
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << (self.in_a_row - 1).min(16));
        let per_mille = 750 + u32::try_from(random % 501).expect("at most 500");
        let pause = (doubled.min(self.error_delay) * per_mille / 1000).min(self.error_delay);
        let Some(limit) = self.give_up_after else {
            return Verdict::Pause(pause);
        };
        match (since + limit).checked_duration_since(now) {
            Some(left) if !left.is_zero() => Verdict::Pause(pause.min(left)),
            _ => Verdict::GiveUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(settings: &Settings, count: usize) -> Vec<Verdict> {
        let mut failures = Failures::new(settings);
        let seeds = Seeds::new(Some(1));
        let mut now = Instant::now();
        (0..count)
            .map(|_| {
                let verdict = failures.next(now, seeds.next());
                if let Verdict::Pause(pause) = verdict {
                    now += pause;
                }
                verdict
            })
            .collect()
    }

    #[test]
    fn doubles_with_jitter_up_to_the_longest_pause() {
        let settings = Settings {
            error_delay: Duration::from_secs(10),
            ..Settings::default()
        };
        for (n, verdict) in pauses(&settings, 40).into_iter().enumerate() {
            let Verdict::Pause(pause) = verdict else {
                panic!("retried for ever")
            };
            let due = Duration::from_secs(1 << n.min(10)).min(Duration::from_secs(10));
            assert!(
                pause >= due * 3 / 4 && pause <= Duration::from_secs(10),
                "{n}: {pause:?}"
            );
        }
    }

    #[test]
    fn gives_up_when_errors_go_on_for_too_long_until_idle() {
        let settings = Settings {
            until_idle: true,
            give_up_after: Duration::from_secs(5),
            ..Settings::default()
        };
        let verdicts = pauses(&settings, 10);
        let total: Duration = verdicts
            .iter()
            .map_while(|v| match v {
                Verdict::Pause(pause) => Some(*pause),
                Verdict::GiveUp => None,
            })
            .sum();
        assert_eq!(total, Duration::from_secs(5));
        assert!(verdicts.contains(&Verdict::GiveUp));
    }

    #[test]
    fn counts_attempts_since_the_latest_commit() {
        let settings = Settings {
            max_attempts: Some(2),
            ..Settings::default()
        };
        let mut failures = Failures::new(&settings);
        let now = Instant::now();
        assert!(matches!(failures.next(now, 0), Verdict::Pause(_)));
        failures.forget();
        assert!(matches!(failures.next(now, 0), Verdict::Pause(_)));
        assert_eq!(failures.next(now, 0), Verdict::GiveUp);
    }
}
