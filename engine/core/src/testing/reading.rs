//! How a source of a world reads: in order, around the rows that others have locked.

use crate::Value;
use crate::error::SystemError;
use crate::query::Drain;
use crate::record::{OrderKeys, Record, Records, Shape};

use super::evaluate::{Row, Scope, evaluate, holds};
use super::state::{Event, OpenClaim, State, Stored, StoredRow, not_supported, unknown_table};

/// A source of this world.
pub(super) struct Reading<'a> {
    pub(super) database: &'a str,
    pub(super) source: u64,
    pub(super) drain: &'a Drain,
    pub(super) parameters: &'a [Value],
    pub(super) wait_for_locked: bool,
    pub(super) bytes: usize,
}

/// The answer of an attempt to read.
pub(super) enum Attempt {
    Taken {
        records: Records,
        keys: OrderKeys,
        claim: u64,
    },
    Empty {
        complete: bool,
    },
    /// A row is locked, and the reader wants to wait.
    Locked,
}

impl State {
    pub(super) fn try_read(&mut self, reading: &Reading<'_>) -> Result<Attempt, SystemError> {
        self.sweep();
        let drain = reading.drain;
        let name = (
            reading.database.to_owned(),
            drain.from.table.name.to_string(),
        );
        let stored = self
            .tables
            .get(&name)
            .ok_or_else(|| unknown_table(&name.1))?;
        let scope = |row| Scope {
            row: Some(row),
            outputs: &[],
            parameters: reading.parameters,
        };
        let top = match evaluate(&drain.top, &Scope::of(reading.parameters))? {
            Value::Integer(top) => usize::try_from(top).unwrap_or(0),
            other => return Err(not_supported(&format!("TOP of type {}", other.type_name()))),
        };
        let mut due = Vec::new();
        let mut skipped = false;
        for (id, row) in sorted(stored, drain)? {
            if due.len() == top {
                break;
            }
            if !holds(
                drain.filter.as_ref(),
                &scope(row_in(drain, stored, &row.values)),
            )? {
                continue;
            }
            let own = |holder| {
                self.claims
                    .get(&holder)
                    .is_some_and(|c| c.source == Some(reading.source))
            };
            match row.locked_by {
                Some(holder) if own(holder) => {}
                Some(_) if reading.wait_for_locked => return Ok(Attempt::Locked),
                Some(_) => skipped = true,
                None => due.push(id),
            }
        }
        let mut read = Taken::new(drain);
        let mut taken = Vec::new();
        for id in due {
            let Some(row) = stored.rows.get(&id) else {
                continue;
            };
            read.add(drain, &scope(row_in(drain, stored, &row.values)))?;
            taken.push(id);
            if read.records.size() >= reading.bytes {
                break;
            }
        }
        if taken.is_empty() {
            self.note(Event::Empty {
                source: reading.source,
                complete: !skipped,
            });
            return Ok(Attempt::Empty { complete: !skipped });
        }
        Ok(self.take(reading, name, taken, read))
    }

    fn take(
        &mut self,
        reading: &Reading<'_>,
        table: (String, String),
        rows: Vec<u64>,
        read: Taken,
    ) -> Attempt {
        let claim = self.number();
        let mut firsts = Vec::with_capacity(rows.len());
        if let Some(stored) = self.tables.get_mut(&table) {
            for id in &rows {
                if let Some(row) = stored.rows.get_mut(id) {
                    row.locked_by = Some(claim);
                    firsts.push(row.values.first().cloned().unwrap_or_default());
                }
            }
        }
        let mut open = OpenClaim::new(reading.database, Some(reading.source));
        open.deleted = rows.into_iter().map(|row| (table.clone(), row)).collect();
        self.claims.insert(claim, open);
        self.note(Event::Read {
            source: reading.source,
            claim,
            rows: firsts,
        });
        Attempt::Taken {
            records: read.records,
            keys: read.keys,
            claim,
        }
    }
}

/// Records as they are read.
struct Taken {
    records: Records,
    keys: OrderKeys,
}

impl Taken {
    fn new(drain: &Drain) -> Self {
        let names = |count: usize| (0..count).map(|n| format!("key{n}"));
        let shape = Shape::new(drain.columns.iter().map(|column| column.name.clone()));
        Self {
            records: Records {
                shape,
                rows: Vec::new(),
            },
            keys: OrderKeys {
                shape: Shape::new(names(drain.order.len())),
                values: Vec::new(),
            },
        }
    }

    fn add(&mut self, drain: &Drain, scope: &Scope<'_>) -> Result<(), SystemError> {
        let columns = drain.columns.iter();
        let row: Result<Record, _> = columns
            .map(|output| evaluate(&output.expr, scope))
            .collect();
        self.records.rows.push(row?);
        for order in &drain.order {
            self.keys.values.push(evaluate(&order.expr, scope)?);
        }
        Ok(())
    }
}

fn row_in<'a>(drain: &'a Drain, stored: &'a Stored, values: &'a Record) -> Row<'a> {
    Row {
        alias: &drain.from.alias,
        table: &stored.table,
        values,
    }
}

/// The rows in the order of the statement; integers only.
fn sorted<'a>(
    stored: &'a Stored,
    drain: &'a Drain,
) -> Result<Vec<(u64, &'a StoredRow)>, SystemError> {
    let mut rows = Vec::with_capacity(stored.rows.len());
    for (id, row) in &stored.rows {
        let scope = Scope {
            row: Some(row_in(drain, stored, &row.values)),
            outputs: &[],
            parameters: &[],
        };
        let mut key = Vec::with_capacity(drain.order.len());
        for order in &drain.order {
            match evaluate(&order.expr, &scope)? {
                Value::Integer(n) if order.descending => key.push(-n),
                Value::Integer(n) => key.push(n),
                other => return Err(not_supported(&format!("order by {}", other.type_name()))),
            }
        }
        rows.push((key, *id, row));
    }
    rows.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    Ok(rows.into_iter().map(|(_, id, row)| (id, row)).collect())
}
