//! How many rows a read asks for, so that a batch stays near the limit of its bytes.
//!
//! What a row weighs is known only when it has come: the server keeps texts compressed and tells the sizes of those. So a
//! read that receives far more than the limit is broken off and begun anew with the rows that had found room.

/// Rows of a first read when nobody knows their size and the table is large.
const PROBE_ROWS: i64 = 100;
/// After a read that was broken off the rows grow at most so many times from batch to batch.
const GROWTH: i64 = 4;
/// A read is broken off when it has received so many times the limit.
const EXCESS: usize = 2;

/// Mean bytes of a row, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mean {
    /// Nobody has asked yet.
    Unasked,
    /// The table is large, the size of its rows unknown.
    Unknown,
    /// All rows are so small together that the limit does not matter, or the mean is known.
    Bytes(usize),
}

/// The pace of a reader.
#[derive(Debug)]
pub(super) struct Pace {
    mean: Mean,
    /// Rows at most, whatever they weigh.
    most: i64,
}

/// What a read has received, weighed against the limit of its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    limit: usize,
    bytes: usize,
    rows: usize,
    /// Rows at the beginning that are within the limit together.
    fitting: usize,
}

impl Load {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: 0,
            rows: 0,
            fitting: 0,
        }
    }

    /// Adds a row.
    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.rows += 1;
        if self.bytes <= self.limit {
            self.fitting = self.rows;
        }
    }

    /// True if the read has to be broken off, though it may ask for this one row only.
    pub(super) fn is_excess(&self) -> bool {
        self.bytes > self.limit.saturating_mul(EXCESS)
    }

    fn mean(&self) -> usize {
        self.bytes / self.rows.max(1)
    }
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            mean: Mean::Unasked,
            most: i64::MAX,
        }
    }

    /// True if the statistics of the database have not been asked yet.
    pub(super) fn is_unasked(&self) -> bool {
        self.mean == Mean::Unasked
    }

    /// Takes what the statistics say.
    pub(super) fn start(&mut self, mean: Mean) {
        self.mean = mean;
    }

    /// Rows to ask for.
    pub(super) fn rows(&self, top: i64, bytes: usize) -> i64 {
        let rows = match self.mean {
            Mean::Unasked => top,
            Mean::Unknown => PROBE_ROWS,
            Mean::Bytes(mean) => i64::try_from(bytes / mean.max(1)).unwrap_or(i64::MAX),
        };
        rows.min(self.most).min(top).max(1)
    }

    /// Learns from a batch: quickly that rows are large, slowly that they are small.
    pub(super) fn learn(&mut self, load: &Load) {
        let mean = load.mean();
        self.mean = match self.mean {
            Mean::Bytes(known) if known > mean => Mean::Bytes((known + 3 * mean) / 4),
            _ => Mean::Bytes(mean),
        };
        self.most = self.most.saturating_mul(GROWTH);
    }

    /// Learns from a read that was broken off; answers how many rows to ask for instead.
    pub(super) fn shrink(&mut self, load: &Load) -> i64 {
        let known = match self.mean {
            Mean::Bytes(known) => known,
            Mean::Unasked | Mean::Unknown => 0,
        };
        self.mean = Mean::Bytes(known.max(load.mean()));
        self.most = i64::try_from(load.fitting).unwrap_or(i64::MAX).max(1);
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 16 << 20;

    fn load(sizes: &[usize]) -> Load {
        let mut load = Load::new(LIMIT);
        sizes.iter().for_each(|bytes| load.add(*bytes));
        load
    }

    #[test]
    fn small_rows_come_in_full_batches() {
        let mut pace = Pace::new();
        pace.start(Mean::Unknown);
        assert_eq!(pace.rows(1000, LIMIT), PROBE_ROWS);
        pace.learn(&load(&[350; 100]));
        assert_eq!(pace.rows(1000, LIMIT), 1000);
    }

    #[test]
    fn large_rows_are_fewer_and_grow_slowly() {
        let mut pace = Pace::new();
        pace.start(Mean::Bytes(1));
        assert_eq!(pace.rows(1000, LIMIT), 1000);
        let large = load(&[10 << 20; 4]);
        assert!(large.is_excess());
        assert_eq!(pace.shrink(&large), 1);
        assert_eq!(pace.rows(1000, LIMIT), 1);
        let mut batches = 0;
        while pace.rows(1000, LIMIT) < 1000 {
            let rows = usize::try_from(pace.rows(1000, LIMIT)).expect("it is positive");
            pace.learn(&load(&vec![350; rows]));
            batches += 1;
        }
        assert!((4..=10).contains(&batches), "{batches}");
    }

    #[test]
    fn what_found_room_is_asked_for_again() {
        let mut sizes = vec![350; 500];
        sizes.extend([10 << 20; 4]);
        let mixed = load(&sizes);
        assert!(mixed.is_excess());
        assert_eq!(Pace::new().shrink(&mixed), 501);
    }
}
