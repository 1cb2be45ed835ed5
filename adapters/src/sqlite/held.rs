//! Rows that open claims of this process hold: reads leave them out.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::types::ValueRef;

/// Number of a source within the process.
pub type SourceId = u64;

/// What tells the rows of one claim apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Keys {
    /// Runs of consecutive rowids, ascending: first and last.
    Runs(Vec<(i64, i64)>),
    /// Primary keys of a table WITHOUT ROWID, encoded.
    Encoded(Vec<Box<[u8]>>),
}

/// The held rows of one table.
#[derive(Default)]
pub struct TableHeld {
    runs: BTreeMap<i64, (i64, SourceId)>,
    keys: BTreeMap<Box<[u8]>, SourceId>,
}

impl TableHeld {
    /// True if no row is held.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.keys.is_empty()
    }

    /// The spaces between the held runs, ascending, if there are few: lower and upper bound, both exclusive.
    pub fn gaps(&self, most: usize) -> Option<Vec<(Option<i64>, Option<i64>)>> {
        if !self.keys.is_empty() {
            return None;
        }
        let mut gaps = Vec::new();
        let mut below = None;
        for (&first, &(last, _)) in &self.runs {
            if below.is_none_or(|b: i64| b.checked_add(1) != Some(first)) {
                gaps.push((below, Some(first)));
            }
            if gaps.len() > most {
                return None;
            }
            below = Some(last);
        }
        gaps.push((below, None));
        Some(gaps)
    }

    /// True if another source holds a row.
    pub fn by_another(&self, source: SourceId) -> bool {
        self.runs.values().any(|(_, s)| *s != source) || self.keys.values().any(|s| *s != source)
    }
}

/// The held rows of all tables, and what the running read meets of them.
#[derive(Default)]
pub struct Held {
    tables: BTreeMap<Arc<str>, TableHeld>,
    current: Option<Arc<str>>,
    met: bool,
}

impl Held {
    /// The held rows of a table, if there are any.
    pub fn table(&self, table: &str) -> Option<&TableHeld> {
        self.tables.get(table).filter(|held| !held.is_empty())
    }

    /// A read of this table begins.
    pub fn start(&mut self, table: &Arc<str>) {
        self.current = Some(Arc::clone(table));
        self.met = false;
    }

    /// True if the read met a held row.
    pub fn met(&self) -> bool {
        self.met
    }

    /// Notes the rows of a claim.
    pub fn add(&mut self, table: &Arc<str>, source: SourceId, keys: &Keys) {
        let held = self.tables.entry(Arc::clone(table)).or_default();
        match keys {
            Keys::Runs(runs) => {
                held.runs
                    .extend(runs.iter().map(|(first, last)| (*first, (*last, source))));
            }
            Keys::Encoded(keys) => held
                .keys
                .extend(keys.iter().map(|key| (key.clone(), source))),
        }
    }

    /// Forgets the rows of a claim.
    pub fn remove(&mut self, table: &str, keys: &Keys) {
        let Some(held) = self.tables.get_mut(table) else {
            return;
        };
        match keys {
            Keys::Runs(runs) => {
                for (first, _) in runs {
                    held.runs.remove(first);
                }
            }
            Keys::Encoded(keys) => {
                for key in keys {
                    held.keys.remove(key);
                }
            }
        }
    }

    /// Called by SQLite for each row of the running read.
    pub fn meets_rowid(&mut self, rowid: i64) -> bool {
        let held = self
            .current
            .as_ref()
            .and_then(|table| self.tables.get(table))
            .is_some_and(|table| {
                let run = table.runs.range(..=rowid).next_back();
                run.is_some_and(|(_, (last, _))| rowid <= *last)
            });
        self.met |= held;
        held
    }

    /// The same for an encoded key.
    pub fn meets_key(&mut self, key: &[u8]) -> bool {
        let held = self
            .current
            .as_ref()
            .and_then(|table| self.tables.get(table))
            .is_some_and(|table| table.keys.contains_key(key));
        self.met |= held;
        held
    }
}

/// Appends a value to an encoded key.
pub fn encode(value: ValueRef<'_>, key: &mut Vec<u8>) {
    let (tag, bytes): (u8, &[u8]) = match value {
        ValueRef::Null => (0, &[]),
        ValueRef::Integer(n) => return extend(key, 1, &n.to_be_bytes()),
        ValueRef::Real(x) => return extend(key, 2, &x.to_bits().to_be_bytes()),
        ValueRef::Text(text) => (3, text),
        ValueRef::Blob(blob) => (4, blob),
    };
    extend(key, tag, bytes);
}

fn extend(key: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    key.push(tag);
    key.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    key.extend_from_slice(bytes);
}

/// Joins rowids, in any order, into runs.
pub fn runs_of(mut rowids: Vec<i64>) -> Vec<(i64, i64)> {
    if !rowids.is_sorted() {
        rowids.sort_unstable();
    }
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for rowid in rowids {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(rowid) => *last = rowid,
            _ => runs.push((rowid, rowid)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rowids_join_into_runs() {
        assert_eq!(runs_of(vec![5, 1, 2, 3, 9, 8]), [(1, 3), (5, 5), (8, 9)]);
        assert_eq!(
            runs_of(vec![i64::MAX, i64::MIN]),
            [(i64::MIN, i64::MIN), (i64::MAX, i64::MAX)]
        );
    }

    #[test]
    fn held_rows_leave_gaps() {
        let mut held = Held::default();
        let table: Arc<str> = "очередь".into();
        held.start(&table);
        assert!(held.table(&table).is_none());
        let keys = Keys::Runs(vec![(1, 3), (4, 6), (9, 9)]);
        held.add(&table, 1, &keys);
        let gaps = held.table(&table).and_then(|t| t.gaps(8));
        assert_eq!(
            gaps,
            Some(vec![(None, Some(1)), (Some(6), Some(9)), (Some(9), None)])
        );
        assert!(held.meets_rowid(5) && !held.meets_rowid(7) && held.meets_rowid(9));
        assert!(
            held.table(&table)
                .is_some_and(|t| t.by_another(2) && !t.by_another(1))
        );
        held.remove(&table, &keys);
        assert!(held.table(&table).is_none());
    }
}
