//! The compatible reader of a queue table: rows deleted in order within an open transaction.

use std::sync::Arc;
use std::time::Duration;

use dajet_core::contract::SourceSpec;
use dajet_core::query::{Body, Drain, Expr, Statement};
use dajet_core::{
    BoxFuture, Identity, Limit, OrderKeys, Read, Record, Records, Source, SystemError, Value,
};
use futures::future::join;
use futures::stream::TryStreamExt;
use tokio::time::{Instant, timeout};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::claim::PgClaim;
use super::dialect;
use super::execution;
use super::failure::{CODE, NO_RIGHT, classify};
use super::infobase::Watch;
use super::pace::{Load, Mean, Pace};
use super::pool::Pool;
use super::session::{Opening, Prepared, Role, Session, Variant};
use super::values::{Buffer, Scalar};

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
/// After this time a waiting read asks who holds the rows.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const RIGHTS: &str = "Grant SELECT, DELETE and UPDATE on the table of the source to the user of the address: its rows are locked \
                      before they are deleted.";

/// A queue table.
pub(super) struct PgSource {
    statement: Arc<Statement>,
    identity: Identity,
    pool: Arc<Pool>,
    pace: Pace,
    /// Of a queue of an infobase.
    watch: Option<Watch>,
}

/// What a read asks for.
#[derive(Clone, Copy)]
struct Ask<'a> {
    top: i64,
    /// Bytes near which the batch should end.
    bytes: usize,
    parameters: &'a [Value],
}

/// How a read ended.
enum Outcome {
    Rows(Records, OrderKeys, Load),
    /// It received too much; everything is rolled back.
    Excess(Load),
    /// Sessions of somebody else hold rows; their names.
    Locked(String),
}

impl PgSource {
    /// Makes a source; connects at the first read.
    ///
    /// # Errors
    /// `Misconfigured` if PostgreSQL cannot express the statement.
    pub(super) fn new(
        spec: SourceSpec,
        opening: &Opening,
        watch: Option<Watch>,
    ) -> Result<Self, SystemError> {
        let Body::Drain(queue) = &spec.statement.body else {
            return Err(SystemError::fault(
                "a statement that is no queue is read as one",
            ));
        };
        dialect::drain(queue, dialect::Limit::Parameter, true, &[])?;
        let opening = Opening {
            role: Role::Reader,
            name: spec.session_name,
            ..opening.clone()
        };
        let identity = opening.target.identity.clone();
        let pool = Pool::new(opening, spec.permits);
        Ok(Self {
            statement: spec.statement,
            identity,
            pool,
            pace: Pace::new(),
            watch,
        })
    }

    fn queue(&self) -> &Drain {
        match &self.statement.body {
            Body::Drain(queue) => queue,
            _ => unreachable!("checked when the source was made"),
        }
    }

    async fn read_batch(
        &mut self,
        limit: Limit,
        parameters: &[Value],
    ) -> Result<Read, SystemError> {
        let top = top(self.queue(), parameters)?;
        // The session is in nobody's hand but this future's: dropping the future closes it.
        let mut lease = self.pool.take().await?;
        let ask = Ask {
            top,
            bytes: limit.bytes,
            parameters,
        };
        let strict = self.queue().strict;
        let mut complete = limit.wait_for_locked || strict;
        let variant = if complete {
            Variant::Waiting
        } else {
            Variant::Skipping
        };
        let mut outcome = self.read_within(&mut lease.session, variant, &ask).await?;
        if let Outcome::Locked(names) = outcome {
            let queue = &*self.queue().from.table.name;
            tracing::warn!(
                queue,
                sessions = names,
                "locked rows are skipped: others hold them for long"
            );
            complete = false;
            outcome = self
                .read_within(&mut lease.session, Variant::Skipping, &ask)
                .await?;
        }
        match outcome {
            Outcome::Rows(records, keys, load) if !records.rows.is_empty() => {
                // after the rows: if they are of an updated table, so is what this sees
                if let Some(watch) = &self.watch {
                    let attempted = self.statement.attempted();
                    watch.check(&mut lease.session, &attempted).await?;
                }
                self.pace.learn(&load);
                let claim = Box::new(PgClaim::new(lease, self.identity.clone()));
                Ok(Read::Batch {
                    records,
                    keys,
                    claim,
                })
            }
            Outcome::Rows(..) => {
                roll_back(&mut lease.session).await?;
                lease.give_back();
                Ok(Read::Empty { complete })
            }
            Outcome::Excess(_) => Err(SystemError::fault("a read of one row was broken off")),
            Outcome::Locked(names) => {
                let attempted = self.statement.attempted();
                Err(SystemError::transient(
                    CODE,
                    format!("{attempted}: its table is locked by {names}"),
                ))
            }
        }
    }

    /// Reads; if more comes than the limit bears, once more with fewer rows.
    async fn read_within(
        &mut self,
        session: &mut Session,
        variant: Variant,
        ask: &Ask<'_>,
    ) -> Result<Outcome, SystemError> {
        let mut rows = self.rows(session, ask).await?;
        loop {
            match self.read_rows(session, variant, rows, ask).await? {
                Outcome::Excess(load) => rows = self.pace.shrink(&load),
                outcome => return Ok(outcome),
            }
        }
    }

    /// Begins a transaction and reads, in one round trip. An error ends the transaction with its session.
    async fn read_rows(
        &self,
        session: &mut Session,
        variant: Variant,
        rows: i64,
        ask: &Ask<'_>,
    ) -> Result<Outcome, SystemError> {
        let attempted = self.statement.attempted();
        let prepared = session.prepare(&self.statement, variant).await?;
        let client = session.client();
        let reading = join(
            client.batch_execute(BEGIN),
            fetch(&client, &prepared, rows, ask),
        );
        let (begun, fetched) = match variant {
            Variant::Waiting => match self.wait(session, &attempted, reading).await? {
                Waited::Done(result) => result,
                Waited::Locked(names) => return Ok(Outcome::Locked(names)),
            },
            _ => session.complete(&attempted, reading).await?,
        };
        begun.map_err(|error| classify(&attempted, error))?;
        let Fetched {
            records,
            keys: values,
            load,
            excess,
        } = fetched.map_err(|failure| failure.classify(&attempted))?;
        if excess {
            drop((records, values));
            // what has not been sent yet need not come
            session.cancel(&attempted).await?;
            roll_back(session).await?;
            return Ok(Outcome::Excess(load));
        }
        let records = Records {
            shape: Arc::clone(&prepared.rendered.shape),
            rows: records,
        };
        Ok(Outcome::Rows(
            records,
            OrderKeys {
                shape: Arc::clone(&prepared.rendered.key_shape),
                values,
            },
            load,
        ))
    }

    /// Waits for a read that may be waiting for locked rows.
    ///
    /// Rows that a session of the same name holds are waited for without end: it is the predecessor that the server has not
    /// yet rolled back, or a batch of our own. Others are waited for as long as a command may last if the order is strict,
    /// else until the first look.
    async fn wait<T>(
        &self,
        session: &mut Session,
        attempted: &str,
        reading: impl Future<Output = T>,
    ) -> Result<Waited<T>, SystemError> {
        session.enter(attempted)?;
        let mut reading = std::pin::pin!(reading);
        let command_timeout = session.command_timeout();
        let pause = LOCK_WAIT.min(command_timeout);
        let mut deadline = Instant::now() + command_timeout;
        loop {
            if let Ok(result) = timeout(pause, &mut reading).await {
                session.leave();
                return Ok(Waited::Done(result));
            }
            match self.holders(session.process()).await? {
                Holders::Ours => deadline = Instant::now() + command_timeout,
                Holders::Others(names) if !self.queue().strict => {
                    session.cancel(attempted).await?;
                    // the cancelled read holds locks until it has ended: nothing may be read before
                    match timeout(command_timeout, &mut reading).await {
                        Ok(_) => session.leave(),
                        Err(_) => return Err(session.expired(attempted)),
                    }
                    roll_back(session).await?;
                    return Ok(Waited::Locked(names));
                }
                Holders::Others(_) | Holders::Nobody if Instant::now() < deadline => {}
                Holders::Others(names) => {
                    let error = session.expired(attempted);
                    return Err(error.with_hint(format!("Rows are locked by {names}.")));
                }
                Holders::Nobody => return Err(session.expired(attempted)),
            }
        }
    }

    /// Asks who keeps the process waiting.
    async fn holders(&self, process: i32) -> Result<Holders, SystemError> {
        let sql = "SELECT COALESCE(a.application_name = current_setting('application_name'), false), \
                   COALESCE(NULLIF(a.application_name, ''), 'process ' || b.pid) \
                   FROM unnest(pg_blocking_pids($1)) AS b(pid) LEFT JOIN pg_stat_activity AS a ON a.pid = b.pid";
        let attempted = "cannot look who holds the locked rows";
        let mut session = self.pool.open_another().await?;
        let client = session.client();
        let parameters: [&(dyn ToSql + Sync); 1] = [&process];
        let rows = session
            .run(attempted, client.query(sql, &parameters))
            .await?;
        let mut names: Vec<String> = Vec::new();
        for row in &rows {
            let ours: bool = row.try_get(0).map_err(|error| classify(attempted, error))?;
            let name: String = row.try_get(1).map_err(|error| classify(attempted, error))?;
            if !ours && !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(match (rows.is_empty(), names.is_empty()) {
            (true, _) => Holders::Nobody,
            (false, true) => Holders::Ours,
            (false, false) => Holders::Others(names.join(", ")),
        })
    }

    /// Rows to ask for.
    async fn rows(&mut self, session: &mut Session, ask: &Ask<'_>) -> Result<i64, SystemError> {
        if self.pace.is_unasked() {
            let mean = self.estimate(session, ask.bytes).await?;
            self.pace.start(mean);
        }
        Ok(self.pace.rows(ask.top, ask.bytes))
    }

    /// The mean size of a row by the statistics of the database.
    async fn estimate(&self, session: &mut Session, bytes: usize) -> Result<Mean, SystemError> {
        let sql = "SELECT c.reltuples::float8, COALESCE((SELECT sum(pg_table_size(t.relid)) \
                   FROM pg_partition_tree(c.oid) AS t), pg_table_size(c.oid))::float8 \
                   FROM pg_class AS c WHERE c.oid = to_regclass($1)";
        let attempted = self.statement.attempted();
        let table = dialect::table_name(&self.queue().from.table.physical);
        let client = session.client();
        let parameters: [&(dyn ToSql + Sync); 1] = [&table];
        let Some(row) = session
            .run(&attempted, client.query_opt(sql, &parameters))
            .await?
        else {
            return Ok(Mean::Unknown);
        };
        let number = |index| {
            row.try_get::<_, f64>(index)
                .map_err(|error| classify(&attempted, error))
        };
        let (rows, size) = (number(0)?, number(1)?);
        Ok(match () {
            // texts may be compressed on the disk: a read of those that are large is broken off
            () if size * 4.0 < bytes as f64 => Mean::Bytes(1),
            () if rows >= 1.0 => Mean::Bytes((size / rows) as usize),
            () => Mean::Unknown,
        })
    }
}

enum Holders {
    Nobody,
    Ours,
    Others(String),
}

enum Waited<T> {
    Done(T),
    Locked(String),
}

impl Source for PgSource {
    fn read<'a>(
        &'a mut self,
        limit: Limit,
        parameters: &'a [Value],
    ) -> BoxFuture<'a, Result<Read, SystemError>> {
        Box::pin(async move {
            let read = self.read_batch(limit, parameters).await;
            read.map_err(|error| match error.native_code.as_deref() {
                Some(NO_RIGHT) => error.with_hint(RIGHTS),
                _ => error,
            })
        })
    }
}

/// Most rows, as the script says.
fn top(queue: &Drain, parameters: &[Value]) -> Result<i64, SystemError> {
    let value = match &queue.top {
        Expr::Literal(value) => Some(value),
        Expr::Parameter { index, .. } => parameters.get(*index),
        _ => None,
    };
    let top = match value {
        Some(Value::Integer(top)) => Some(*top),
        Some(Value::Decimal(top)) => top.to_integer(),
        _ => None,
    };
    top.filter(|top| *top > 0)
        .ok_or_else(|| SystemError::misconfigured("E_TYPE", "TOP is not a positive whole number"))
}

/// What a read has received.
struct Fetched {
    records: Vec<Record>,
    keys: Vec<Value>,
    load: Load,
    /// True if it was too much: rows are missing.
    excess: bool,
}

async fn fetch(
    client: &Client,
    prepared: &Prepared,
    rows: i64,
    ask: &Ask<'_>,
) -> Result<Fetched, execution::Failure> {
    let parameters = ask.parameters;
    let slots = prepared.rendered.slots.iter();
    let scalars: Vec<Scalar<'_>> = slots
        .map(|slot| Scalar {
            slot,
            value: parameters.get(slot.index).unwrap_or(&Value::Null),
            record: 0,
        })
        .collect();
    let mut values: Vec<&(dyn ToSql + Sync)> = scalars
        .iter()
        .map(|scalar| scalar as &(dyn ToSql + Sync))
        .collect();
    values.push(&rows);
    let stream = client.query_raw(&prepared.statement, values).await?;
    let mut stream = std::pin::pin!(stream);
    let mut buffer = Buffer::default();
    let mut fetched = Fetched {
        records: Vec::with_capacity(usize::try_from(rows).unwrap_or(0).min(1024)),
        keys: Vec::new(),
        load: Load::new(ask.bytes),
        excess: false,
    };
    while let Some(row) = stream.try_next().await? {
        let record = execution::read(prepared, &row, parameters, &mut buffer);
        let read = record.and_then(|record| {
            execution::read_keys(prepared, &row, &mut buffer, &mut fetched.keys).map(|()| record)
        });
        let record =
            read.map_err(|failure| execution::at_row(failure, prepared, &row, &mut buffer))?;
        fetched.load.add(record.iter().map(Value::size).sum());
        fetched.records.push(record);
        if rows > 1 && fetched.load.is_excess() {
            fetched.excess = true;
            break;
        }
    }
    Ok(fetched)
}

async fn roll_back(session: &mut Session) -> Result<(), SystemError> {
    let client = session.client();
    session
        .run("cannot roll back", client.batch_execute("ROLLBACK"))
        .await
}
