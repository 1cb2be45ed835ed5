//! Running a statement on a connection: binding, stepping, reading.

use std::sync::Arc;

use dajet_core::contract::Answer;
use dajet_core::record::Record;
use dajet_core::schema::ColumnRole;
use dajet_core::{Entity, SystemError, Value};
use rusqlite::{Connection, Row, Statement};

use super::dialect::{Binding, Reader, Rendered};
use super::failure::{Trouble, classify};
use super::functions::Sequences;
use super::inserts::Bulk;
use super::kind::Kind;
use super::values::{self, Arena};

/// Parameter records of one call, in one piece of memory.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    width: usize,
    count: usize,
    values: Vec<Value>,
}

impl Batch {
    /// Copies the records; values share their buffers.
    pub fn new(records: &[Record]) -> Self {
        Self {
            width: records.first().map_or(0, Vec::len),
            count: records.len(),
            values: records.iter().flatten().cloned().collect(),
        }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.count
    }

    /// The record at `index`.
    pub fn record(&self, index: usize) -> &[Value] {
        &self.values[index * self.width..][..self.width]
    }
}

/// Runs a statement for each record, in their order.
///
/// # Errors
/// Any class; a refused record is named.
pub fn run(
    connection: &Connection,
    rendered: &Rendered,
    batch: &Batch,
    sequences: &Sequences,
) -> Result<Answer, Trouble> {
    if rendered.sequences.is_empty() {
        return each(connection, rendered, batch);
    }
    load_sequences(connection, rendered, sequences).map_err(|e| classify(SEQUENCES, e))?;
    let answer = each(connection, rendered, batch);
    let drawn = std::mem::take(&mut *sequences.lock());
    let answer = answer?;
    for (name, last) in drawn {
        let sql = "INSERT INTO dajet_sequences(name, value) VALUES (?1, ?2)
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        let mut statement = connection
            .prepare_cached(sql)
            .map_err(|e| classify(SEQUENCES, e))?;
        statement
            .execute((&*name, last))
            .map_err(|e| classify(SEQUENCES, e))?;
    }
    Ok(answer)
}

const SEQUENCES: &str = "cannot draw from the sequences in table \"dajet_sequences\"";

fn load_sequences(
    connection: &Connection,
    rendered: &Rendered,
    sequences: &Sequences,
) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS dajet_sequences(name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
    )?;
    let mut statement =
        connection.prepare_cached("SELECT value FROM dajet_sequences WHERE name = ?1")?;
    let mut last = sequences.lock();
    last.clear();
    for name in &rendered.sequences {
        let mut rows = statement.query([&**name])?;
        let value = match rows.next()? {
            Some(row) => row.get(0)?,
            None => 0,
        };
        last.insert(Arc::clone(name), value);
    }
    Ok(())
}

fn each(connection: &Connection, rendered: &Rendered, batch: &Batch) -> Result<Answer, Trouble> {
    let attempt = &*rendered.attempted;
    let done = match &rendered.bulk {
        Some(bulk) if batch.len() >= bulk.records => many(connection, rendered, bulk, batch)?,
        _ => 0,
    };
    let mut statement = connection
        .prepare_cached(&rendered.sql)
        .map_err(|e| classify(attempt, e))?;
    let mut answer = Answer {
        shape: Arc::clone(&rendered.shape),
        groups: vec![Vec::new(); batch.len()],
    };
    let mut arena = Arena::default();
    for index in done..batch.len() {
        bind(
            &mut statement,
            &rendered.bindings,
            batch.record(index),
            attempt,
        )
        .map_err(|trouble| trouble.of_record(index))?;
        if rendered.readers.is_empty() {
            statement
                .raw_execute()
                .map_err(|e| classify(attempt, e).of_record(index))?;
            continue;
        }
        let mut rows = statement.raw_query();
        while let Some(row) = rows
            .next()
            .map_err(|e| classify(attempt, e).of_record(index))?
        {
            let record = read_row(row, 0, &rendered.readers, &mut arena);
            let record = record.map_err(|why| unreadable(&rendered.shape.names, why))?;
            answer.groups[index].push(record);
        }
    }
    Ok(answer)
}

/// Inserts as many records as whole statements of many take, and returns their number. A refusal is left to whoever goes on with
/// single records: that tells which one it is.
///
/// # Errors
/// Any class, if the refusal has ended the transaction: nothing may be written after that.
fn many(
    connection: &Connection,
    rendered: &Rendered,
    bulk: &Bulk,
    batch: &Batch,
) -> Result<usize, Trouble> {
    let attempt = &*rendered.attempted;
    let bindings = &rendered.bindings;
    let mut statement = connection
        .prepare_cached(&bulk.sql)
        .map_err(|e| classify(attempt, e))?;
    let mut done = 0;
    while done + bulk.records <= batch.len() {
        let bound = (0..bulk.records).try_for_each(|offset| {
            let record = batch.record(done + offset);
            bind_after(
                &mut statement,
                offset * bindings.len(),
                bindings,
                record,
                attempt,
            )
        });
        if bound.is_err() {
            break;
        }
        match statement.raw_execute() {
            Ok(_) => done += bulk.records,
            Err(error) if connection.is_autocommit() => return Err(classify(attempt, error)),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Binds the parameters of one record.
///
/// # Errors
/// `Rejected` if a value does not fit its column.
pub fn bind(
    statement: &mut Statement<'_>,
    bindings: &[Binding],
    record: &[Value],
    attempt: &str,
) -> Result<(), Trouble> {
    bind_after(statement, 0, bindings, record, attempt)
}

/// Binds the parameters of a record behind those of the records before.
fn bind_after(
    statement: &mut Statement<'_>,
    before: usize,
    bindings: &[Binding],
    record: &[Value],
    attempt: &str,
) -> Result<(), Trouble> {
    for (number, binding) in bindings.iter().enumerate() {
        let value = record.get(binding.index).ok_or_else(|| {
            SystemError::fault("a parameter record is shorter than its statement")
        })?;
        let stored = match values::store(value, binding.kind) {
            Ok(stored) => stored,
            Err(_) if binding.column.is_none() => values::natural(value),
            Err(mut error) => {
                error.message = match &binding.column {
                    Some(column) => format!("cannot write column \"{column}\": {}", error.message),
                    None => format!("{attempt}: {}", error.message),
                };
                return Err(error.into());
            }
        };
        statement
            .raw_bind_parameter(before + number + 1, stored)
            .map_err(|e| classify(attempt, e))?;
    }
    Ok(())
}

/// A value that cannot be read: which of the readers, and why.
pub type Unreadable = (usize, String);

/// Reads the outputs of a row, the first of which is column `first` of the result.
///
/// # Errors
/// The index of the output and what is wrong with it.
pub fn read_row(
    row: &Row<'_>,
    first: usize,
    readers: &[Reader],
    arena: &mut Arena,
) -> Result<Record, Unreadable> {
    let mut record = Vec::with_capacity(readers.len());
    let mut column = first;
    for (index, reader) in readers.iter().enumerate() {
        let value = read_output(row, column, reader, arena).map_err(|why| (index, why))?;
        record.push(value);
        column += reader.width();
    }
    Ok(record)
}

/// Reads the outputs of a row, each for itself; `None` for those that cannot be read.
pub fn readable(
    row: &Row<'_>,
    first: usize,
    readers: &[Reader],
    arena: &mut Arena,
) -> Vec<Option<Value>> {
    let mut column = first;
    let values = readers.iter().map(|reader| {
        let value = read_output(row, column, reader, arena).ok();
        column += reader.width();
        value
    });
    values.collect()
}

/// True if the output at `column` would be read as `before`.
pub fn reads_as(
    (row, column): (&Row<'_>, usize),
    reader: &Reader,
    before: &Value,
    arena: &mut Arena,
) -> bool {
    match reader {
        Reader::One(kind) => row
            .get_ref(column)
            .is_ok_and(|stored| values::reads_as(stored, *kind, before, arena)),
        reader => read_output(row, column, reader, arena).is_ok_and(|now| now == *before),
    }
}

fn read_output(
    row: &Row<'_>,
    column: usize,
    reader: &Reader,
    arena: &mut Arena,
) -> Result<Value, String> {
    let mut read = |offset: usize, kind| {
        let stored = row.get_ref(column + offset).map_err(|e| e.to_string())?;
        values::read(stored, kind, arena)
    };
    match reader {
        Reader::One(kind) => read(0, *kind),
        Reader::Entity => {
            let (code, reference) = (read(0, Kind::TypeCode)?, read(1, Kind::Reference(0))?);
            Ok(match (code, reference) {
                (Value::Integer(code), Value::Entity(entity)) => Value::Entity(Entity {
                    code: i32::try_from(code).unwrap_or(0),
                    ..entity
                }),
                (_, other) => other,
            })
        }
        Reader::Union(roles) => {
            let part = |wanted| roles.iter().position(|role| *role == wanted);
            let tag = match part(ColumnRole::Tag) {
                Some(at) => tag_of(&read(at, Kind::Dynamic)?),
                None => 0,
            };
            let (role, kind) = match tag {
                2 => (ColumnRole::Boolean, Kind::Boolean),
                3 => (
                    ColumnRole::Number,
                    Kind::Decimal {
                        scale: None,
                        numeric: true,
                    },
                ),
                4 => (ColumnRole::DateTime, Kind::DateTime),
                5 => (ColumnRole::Text, Kind::Text),
                8 => (ColumnRole::Reference, Kind::Reference(0)),
                _ => return Ok(Value::Null),
            };
            let Some(at) = part(role) else {
                return Ok(Value::Null);
            };
            let value = read(at, kind)?;
            match (value, part(ColumnRole::TypeCode)) {
                (Value::Entity(entity), Some(at)) => Ok(Value::Entity(Entity {
                    code: match read(at, Kind::TypeCode)? {
                        Value::Integer(code) => i32::try_from(code).unwrap_or(0),
                        _ => 0,
                    },
                    ..entity
                })),
                (value, _) => Ok(value),
            }
        }
    }
}

fn tag_of(value: &Value) -> u8 {
    match value {
        Value::Binary(bytes) => bytes.last().copied().unwrap_or(0),
        Value::Integer(tag) => u8::try_from(*tag).unwrap_or(0),
        _ => 0,
    }
}

/// The error of an unreadable value.
pub fn unreadable(names: &[Arc<str>], (index, why): Unreadable) -> SystemError {
    let name = names.get(index).map_or("", |name| name);
    let message = format!("cannot read column \"{name}\": it {why}");
    SystemError::rejected("E_DB", message)
}
