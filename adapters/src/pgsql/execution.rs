//! Runs bound statements in a session: look-ups pipelined, insertions in bulk.

use std::ops::Range;
use std::sync::Arc;

use dajet_core::query::{Body, Statement};
use dajet_core::{Answer, OrderKeys, Record, Shape, SystemError, Value};
use futures::future::join3;
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row};

use super::dialect::{self, Feed, Rendered};
use super::failure::{CODE, classify, is_refusal};
use super::session::{Prepared, Session, Variant};
use super::values::{Buffer, Column, Scalar};

/// Executions that are under way in one session at a time.
const PIPELINED_MAX: usize = 64;
/// Limits of one bulk statement, which the driver holds several times over.
const CHUNK_RECORDS_MAX: usize = 10_000;
const CHUNK_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Why an execution failed.
pub(super) enum Failure {
    Driver(Error),
    /// A value that the language cannot hold.
    Value(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Driver(error)
    }
}

impl Failure {
    pub(super) fn classify(self, attempted: &str) -> SystemError {
        match self {
            Self::Driver(error) => classify(attempted, error),
            Self::Value(message) => SystemError::rejected(CODE, format!("{attempted}: {message}")),
        }
    }
}

/// What a statement runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surroundings {
    /// It is a transaction of its own.
    Nothing,
    /// An open transaction, which a failure spoils.
    Transaction,
}

/// Runs the statement for each parameter record: a query by one statement for all of them. More than one record of an insertion
/// needs an open transaction.
///
/// # Errors
/// Any class; `SystemError::record` names the refused record where it is known.
pub(super) async fn execute(
    session: &mut Session,
    surroundings: Surroundings,
    statement: &Statement,
    parameters: &[Record],
) -> Result<Answer, SystemError> {
    if let Some(record) = parameters
        .iter()
        .position(|record| record.len() != statement.parameters)
    {
        let found = parameters[record].len();
        let message = format!(
            "{found} parameters where a statement has {}",
            statement.parameters
        );
        return Err(SystemError::fault(message));
    }
    if let Body::Sequence(sequence) = &statement.body {
        let (client, text) = (session.client(), dialect::sequence(sequence));
        let running = client.batch_execute(&text);
        session.run(&statement.attempted(), running).await?;
        return Ok(Answer {
            shape: Arc::default(),
            groups: vec![Vec::new(); parameters.len()],
        });
    }
    if parameters.len() > 1 && matches!(statement.body, Body::Select(_)) {
        return joined(session, surroundings, statement, parameters).await;
    }
    let prepared = session.prepare(statement, Variant::Plain).await?;
    let attempted = statement.attempted();
    let shape = Arc::clone(&prepared.rendered.shape);
    let groups = match prepared.rendered.feed {
        Feed::Each | Feed::Joined => {
            let all = 0..parameters.len();
            each(session, &prepared, &attempted, parameters, all).await?
        }
        Feed::Arrays | Feed::Count => {
            for chunk in chunks(parameters) {
                bulk(session, &prepared, &attempted, parameters, chunk).await?;
            }
            vec![Vec::new(); parameters.len()]
        }
    };
    Ok(Answer { shape, groups })
}

/// One query for all the records; if it is refused, once more one by one, so that the error names the record.
async fn joined(
    session: &mut Session,
    surroundings: Surroundings,
    statement: &Statement,
    parameters: &[Record],
) -> Result<Answer, SystemError> {
    let prepared = session.prepare(statement, Variant::Joined).await?;
    let attempted = statement.attempted();
    let shape = Arc::clone(&prepared.rendered.shape);
    let mut groups = vec![Vec::new(); parameters.len()];
    for chunk in chunks(parameters) {
        let client = session.client();
        let asking = look_up(&client, &prepared, parameters, chunk.clone(), &mut groups);
        let asked = match surroundings {
            Surroundings::Nothing => session.complete(&attempted, asking).await?,
            Surroundings::Transaction => {
                let all = join3(
                    client.batch_execute("SAVEPOINT dajet_look_up"),
                    asking,
                    client.batch_execute("RELEASE SAVEPOINT dajet_look_up"),
                );
                let (saved, asked, released) = session.complete(&attempted, all).await?;
                saved.map_err(|error| classify(&attempted, error))?;
                asked.and_then(|()| released.map_err(|error| (None, error.into())))
            }
        };
        match asked {
            Ok(()) => {}
            Err((_, Failure::Driver(error))) if is_refusal(&error) => {
                if surroundings == Surroundings::Transaction {
                    let back = client.batch_execute("ROLLBACK TO SAVEPOINT dajet_look_up");
                    session.run(&attempted, back).await?;
                }
                let plain = session.prepare(statement, Variant::Plain).await?;
                let answers = each(session, &plain, &attempted, parameters, chunk.clone()).await?;
                for (group, answer) in groups[chunk].iter_mut().zip(answers) {
                    *group = answer;
                }
            }
            Err((record, failure)) => {
                let mut error = failure.classify(&attempted);
                error.record = error.record.or(record);
                return Err(error);
            }
        }
    }
    Ok(Answer { shape, groups })
}

/// Puts the rows of a chunk into the groups of their records.
async fn look_up(
    client: &Client,
    prepared: &Prepared,
    parameters: &[Record],
    chunk: Range<usize>,
    groups: &mut [Vec<Record>],
) -> Result<(), (Option<usize>, Failure)> {
    let of_driver = |error: Error| (None, Failure::Driver(error));
    let ordinal = prepared.statement.columns().len().saturating_sub(1);
    let columns = columns(prepared, parameters, &chunk);
    let count = i32::try_from(chunk.len()).unwrap_or(i32::MAX);
    let stream = match prepared.rendered.feed {
        Feed::Count => client.query_raw(&prepared.statement, [count]).await,
        _ => client.query_raw(&prepared.statement, &columns).await,
    };
    let mut stream = std::pin::pin!(stream.map_err(of_driver)?);
    let mut buffer = Buffer::default();
    while let Some(row) = stream.try_next().await.map_err(of_driver)? {
        let number: i64 = row.try_get(ordinal).map_err(of_driver)?;
        let record = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1))
            .map(|index| chunk.start + index)
            .filter(|record| chunk.contains(record))
            .ok_or_else(|| (None, Failure::Value("a row of no record".into())))?;
        groups[record].push(
            read(prepared, &row, &parameters[record], &mut buffer)
                .map_err(|failure| (Some(record), failure))?,
        );
    }
    Ok(())
}

/// One execution for each record.
async fn each(
    session: &mut Session,
    prepared: &Prepared,
    attempted: &str,
    parameters: &[Record],
    records: Range<usize>,
) -> Result<Vec<Vec<Record>>, SystemError> {
    let mut groups = Vec::with_capacity(records.len());
    for start in records.clone().step_by(PIPELINED_MAX) {
        let window = start..records.end.min(start + PIPELINED_MAX);
        groups.append(&mut pipelined(session, prepared, attempted, parameters, window).await?);
    }
    Ok(groups)
}

/// One execution for each record of the window, all sent before the first answer is awaited.
async fn pipelined(
    session: &mut Session,
    prepared: &Prepared,
    attempted: &str,
    parameters: &[Record],
    window: Range<usize>,
) -> Result<Vec<Vec<Record>>, SystemError> {
    let client = session.client();
    let executions = window.map(|record| {
        let client = &client;
        async move {
            rows(client, prepared, &parameters[record], record)
                .await
                .map_err(|failure| (record, failure))
        }
    });
    let all = stream::iter(executions)
        .buffered(PIPELINED_MAX)
        .try_collect::<Vec<_>>();
    session
        .complete(attempted, all)
        .await?
        .map_err(|(record, failure)| {
            let mut error = failure.classify(attempted);
            error.record = error.record.or(Some(record));
            error
        })
}

/// The rows of one execution.
async fn rows(
    client: &Client,
    prepared: &Prepared,
    parameters: &[Value],
    record: usize,
) -> Result<Vec<Record>, Failure> {
    let slots = prepared.rendered.slots.iter();
    let scalars: Vec<Scalar<'_>> = slots
        .map(|slot| Scalar {
            slot,
            value: parameters.get(slot.index).unwrap_or(&Value::Null),
            record,
        })
        .collect();
    let stream = client.query_raw(&prepared.statement, &scalars).await?;
    let mut stream = std::pin::pin!(stream);
    let mut buffer = Buffer::default();
    let mut records = Vec::new();
    while let Some(row) = stream.try_next().await? {
        records.push(read(prepared, &row, parameters, &mut buffer)?);
    }
    Ok(records)
}

/// The values of a row.
///
/// # Errors
/// Names the value that the language cannot hold.
pub(super) fn read(
    prepared: &Prepared,
    row: &Row,
    parameters: &[Value],
    buffer: &mut Buffer,
) -> Result<Record, Failure> {
    let Rendered {
        readings, shape, ..
    } = &prepared.rendered;
    let mut record = Vec::with_capacity(readings.len());
    for (index, reading) in readings.iter().enumerate() {
        let value = reading.value(row, &prepared.wires, parameters, buffer);
        record.push(value.map_err(|held| unreadable(shape, index, &held))?);
    }
    Ok(record)
}

/// Appends the ORDER BY values of a row.
///
/// # Errors
/// As [`read`].
pub(super) fn read_keys(
    prepared: &Prepared,
    row: &Row,
    buffer: &mut Buffer,
    keys: &mut Vec<Value>,
) -> Result<(), Failure> {
    let Rendered {
        keys: readings,
        key_shape,
        ..
    } = &prepared.rendered;
    for (index, reading) in readings.iter().enumerate() {
        let value = reading.value(row, &prepared.wires, &[], buffer);
        keys.push(value.map_err(|held| unreadable(key_shape, index, &held))?);
    }
    Ok(())
}

/// Names the row of a value that cannot be read by those of its ORDER BY values that can.
pub(super) fn at_row(
    failure: Failure,
    prepared: &Prepared,
    row: &Row,
    buffer: &mut Buffer,
) -> Failure {
    let Failure::Value(message) = failure else {
        return failure;
    };
    let Rendered {
        keys, key_shape, ..
    } = &prepared.rendered;
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for (reading, name) in keys.iter().zip(&key_shape.names) {
        if let Ok(value) = reading.value(row, &prepared.wires, &[], buffer) {
            names.push(Arc::clone(name));
            values.push(value);
        }
    }
    let shape = Shape::new(names);
    Failure::Value(match (OrderKeys { shape, values }).describe(0) {
        Some(place) => format!("{message}, at the row {place}"),
        None => message,
    })
}

fn unreadable(shape: &Shape, index: usize, held: &str) -> Failure {
    let name = shape.names.get(index).map_or("", |name| name);
    Failure::Value(format!("column \"{name}\" holds {held}"))
}

/// Cuts the records so that no statement grows without bound.
fn chunks(parameters: &[Record]) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, record) in parameters.iter().enumerate() {
        let size: usize = record.iter().map(Value::size).sum();
        if index > start && (index - start == CHUNK_RECORDS_MAX || bytes + size > CHUNK_BYTES_MAX) {
            chunks.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes += size;
    }
    if start < parameters.len() {
        chunks.push(start..parameters.len());
    }
    chunks
}

/// Inserts the records by one statement; if it is refused, once more one by one, so that the error names the record.
async fn bulk(
    session: &mut Session,
    prepared: &Prepared,
    attempted: &str,
    parameters: &[Record],
    chunk: Range<usize>,
) -> Result<(), SystemError> {
    let client = session.client();
    if parameters.len() == 1 {
        let inserting = insert(&client, prepared, parameters, chunk.clone());
        return session
            .run(attempted, inserting)
            .await
            .map_err(|error| at(error, chunk.start));
    }
    let inserting = join3(
        client.batch_execute("SAVEPOINT dajet_bulk"),
        insert(&client, prepared, parameters, chunk.clone()),
        client.batch_execute("RELEASE SAVEPOINT dajet_bulk"),
    );
    let (saved, inserted, released) = session.complete(attempted, inserting).await?;
    saved.map_err(|error| classify(attempted, error))?;
    match inserted {
        Ok(()) => released.map_err(|error| classify(attempted, error)),
        Err(error) if is_refusal(&error) => {
            session
                .run(
                    attempted,
                    client.batch_execute("ROLLBACK TO SAVEPOINT dajet_bulk"),
                )
                .await?;
            one_by_one(session, prepared, attempted, parameters, chunk).await
        }
        Err(error) => Err(classify(attempted, error)),
    }
}

async fn one_by_one(
    session: &mut Session,
    prepared: &Prepared,
    attempted: &str,
    parameters: &[Record],
    chunk: Range<usize>,
) -> Result<(), SystemError> {
    let client = session.client();
    for start in chunk.clone().step_by(PIPELINED_MAX) {
        let executions = (start..chunk.end.min(start + PIPELINED_MAX)).map(|record| {
            let client = &client;
            async move {
                let inserting = insert(client, prepared, parameters, record..record + 1);
                inserting.await.map_err(|error| (record, error))
            }
        });
        let all = stream::iter(executions)
            .buffered(PIPELINED_MAX)
            .try_collect::<Vec<()>>();
        let result = session.complete(attempted, all).await?;
        result.map_err(|(record, error)| at(classify(attempted, error), record))?;
    }
    Ok(())
}

fn at(mut error: SystemError, record: usize) -> SystemError {
    error.record = error.record.or(Some(record));
    error
}

async fn insert(
    client: &Client,
    prepared: &Prepared,
    parameters: &[Record],
    chunk: Range<usize>,
) -> Result<(), Error> {
    let columns = columns(prepared, parameters, &chunk);
    let count = i32::try_from(chunk.len()).unwrap_or(i32::MAX);
    let values: Vec<&(dyn ToSql + Sync)> = match prepared.rendered.feed {
        Feed::Count => vec![&count],
        _ => columns
            .iter()
            .map(|column| column as &(dyn ToSql + Sync))
            .collect(),
    };
    client
        .execute(&prepared.statement, &values)
        .await
        .map(|_| ())
}

/// The values of the slots, an array for each.
fn columns<'a>(
    prepared: &'a Prepared,
    parameters: &'a [Record],
    chunk: &Range<usize>,
) -> Vec<Column<'a>> {
    let records = &parameters[chunk.clone()];
    let slots = prepared.rendered.slots.iter();
    slots
        .map(|slot| Column {
            slot,
            records,
            first: chunk.start,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_by_number_and_by_size() {
        let small = vec![vec![Value::Integer(1)]; CHUNK_RECORDS_MAX + 1];
        assert_eq!(
            chunks(&small),
            [
                0..CHUNK_RECORDS_MAX,
                CHUNK_RECORDS_MAX..CHUNK_RECORDS_MAX + 1
            ]
        );
        let large = vec![vec![Value::text("x".repeat(CHUNK_BYTES_MAX))]; 3];
        assert_eq!(chunks(&large), [0..1, 1..2, 2..3]);
        assert!(chunks(&[]).is_empty());
    }
}
