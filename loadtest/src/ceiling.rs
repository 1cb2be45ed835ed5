//! The joint ceiling: a bare destructive read loop and a bare produce (or insert) loop, at the same time, on this machine.
//!
//! Both use the statement and the producer settings of the engine and do nothing else. The engine's rate is told as its share
//! of the slower of the two.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, pin_mut};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rusqlite::Connection;
use tokio::sync::Notify;

use crate::drain::Drain;
use crate::pgsql;
use crate::place::Place;
use crate::scenario::BODY_BYTES;

/// Rows for each second of both halves.
#[derive(Clone, Copy, Debug)]
pub struct Ceiling {
    /// The bare destructive read.
    pub read: f64,
    /// The bare produce or insert.
    pub write: f64,
}

impl Ceiling {
    /// The slower half.
    pub fn slower(self) -> f64 {
        self.read.min(self.write)
    }
}

/// Measures both halves at the same time over a prepared drain, whose source is emptied and whose target is filled.
pub async fn measure(drain: &Drain) -> Result<Ceiling> {
    let rows = drain.rows;
    let started = Instant::now();
    let (batch, target) = (drain.batch, &drain.targets[0]);
    let (read, write) = match (&drain.source, target) {
        (Place::Pgsql(server, source), Place::Kafka(topic)) => {
            let read = read_pgsql(server.clone(), source.clone(), batch);
            let write = produce(topic.brokers.clone(), topic.name.clone(), rows, batch);
            tokio::try_join!(timed(read, started), timed(write, started))?
        }
        (Place::Pgsql(server, source), Place::Pgsql(_, target)) if source != target => {
            let read = read_pgsql(server.clone(), source.clone(), batch);
            let write = insert_pgsql(server.clone(), target.clone(), rows, batch);
            tokio::try_join!(timed(read, started), timed(write, started))?
        }
        (Place::Sqlite(source), Place::Sqlite(target)) => {
            let (source, target) = (source.clone(), target.clone());
            let read = async move {
                tokio::task::spawn_blocking(move || read_sqlite(&source, batch)).await?
            };
            let write = async move {
                tokio::task::spawn_blocking(move || insert_sqlite(&target, rows, batch)).await?
            };
            tokio::try_join!(timed(read, started), timed(write, started))?
        }
        _ => bail!("there is no ceiling for {}", drain.scenario.name),
    };
    Ok(Ceiling {
        read: rows as f64 / read,
        write: rows as f64 / write,
    })
}

/// Runs one half on a task of its own and tells the seconds until its end.
async fn timed(
    half: impl Future<Output = Result<()>> + Send + 'static,
    started: Instant,
) -> Result<f64> {
    tokio::spawn(async move {
        half.await?;
        Ok(started.elapsed().as_secs_f64())
    })
    .await?
}

/// The compatible reader's statement, one transaction for each batch, on one session.
async fn read_pgsql(server: pgsql::Server, database: String, batch: u64) -> Result<()> {
    let client = server.connect(&database).await?;
    client
        .batch_execute(
            "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
             SET plan_cache_mode = force_generic_plan",
        )
        .await?;
    let queue = pgsql::QUEUE;
    let statement = client
        .prepare(&format!(
            r#"WITH filter AS (SELECT "НомерСообщения" FROM {queue} ORDER BY "НомерСообщения" LIMIT {batch} FOR UPDATE SKIP LOCKED),
            queue AS (DELETE FROM {queue} AS source USING filter WHERE source."НомерСообщения" = filter."НомерСообщения"
                      RETURNING source."НомерСообщения", source."ТипСообщения", source."ТелоСообщения")
            SELECT * FROM queue ORDER BY "НомерСообщения""#
        ))
        .await?;
    loop {
        let begin = client.batch_execute("BEGIN");
        let rows = client.query_raw(&statement, Vec::<i64>::new());
        let (begin, rows) = futures::join!(begin, rows);
        begin?;
        let rows = rows?;
        pin_mut!(rows);
        let mut count = 0_u64;
        let mut bytes = 0;
        while let Some(row) = rows.next().await {
            bytes += row?.get::<_, &str>(2).len();
            count += 1;
        }
        client.batch_execute("COMMIT").await?;
        if count == 0 {
            return Ok(());
        }
        ensure!(bytes > 0, "empty bodies");
    }
}

/// Counts the delivery reports of its batch.
struct Batch {
    left: AtomicI64,
    failed: AtomicI64,
    done: Notify,
}

struct Reports;

impl rdkafka::ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Batch>;

    fn delivery(&self, result: &DeliveryResult<'_>, batch: Arc<Batch>) {
        if result.is_err() {
            batch.failed.fetch_add(1, Ordering::Relaxed);
        }
        if batch.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            batch.done.notify_one();
        }
    }
}

/// Produces `rows` records, two batches in flight.
async fn produce(brokers: String, topic: String, rows: u64, size: u64) -> Result<()> {
    let producer: ThreadedProducer<Reports> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("enable.gapless.guarantee", "true")
        .set("acks", "all")
        .set("message.timeout.ms", "0")
        .set("linger.ms", "1")
        .create_with_context(Reports)?;
    let body = "x".repeat(BODY_BYTES);
    let mut flying = std::collections::VecDeque::new();
    let mut next = 1;
    while next <= rows {
        let count = size.min(rows + 1 - next);
        let batch = Arc::new(Batch {
            left: AtomicI64::new(count as i64),
            failed: AtomicI64::new(0),
            done: Notify::new(),
        });
        for n in next..next + count {
            send(&producer, &topic, &n.to_string(), &body, &batch).await?;
        }
        next += count;
        flying.push_back(batch);
        if flying.len() == 2 {
            wait(&mut flying).await?;
        }
    }
    while !flying.is_empty() {
        wait(&mut flying).await?;
    }
    tokio::task::spawn_blocking(move || producer.flush(Duration::from_secs(10))).await??;
    Ok(())
}

async fn send(
    producer: &ThreadedProducer<Reports>,
    topic: &str,
    key: &str,
    body: &str,
    batch: &Arc<Batch>,
) -> Result<()> {
    let mut record = BaseRecord::with_opaque_to(topic, batch.clone())
        .key(key)
        .payload(body);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), same)) => {
                record = same
            }
            Err((error, _)) => return Err(error.into()),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn wait(flying: &mut std::collections::VecDeque<Arc<Batch>>) -> Result<()> {
    let batch = flying.pop_front().context("nothing in flight")?;
    batch.done.notified().await;
    ensure!(
        batch.failed.load(Ordering::Relaxed) == 0,
        "the broker refused records"
    );
    Ok(())
}

/// Inserts `rows` rows through `unnest`, one transaction for each batch.
async fn insert_pgsql(
    server: pgsql::Server,
    database: String,
    rows: u64,
    batch: u64,
) -> Result<()> {
    let client = server.connect(&database).await?;
    let statement = client
        .prepare(
            r#"INSERT INTO "ВходящиеСообщения" ("Номер", "Тип", "Тело")
            SELECT c0, c1, c2 FROM unnest($1::bigint[], $2::text[], $3::text[]) WITH ORDINALITY AS p(c0, c1, c2, ord) ORDER BY ord"#,
        )
        .await?;
    let body = "x".repeat(BODY_BYTES);
    let mut next = 1;
    while next <= rows {
        let count = batch.min(rows + 1 - next);
        let keys: Vec<i64> = (next..next + count).map(|n| n as i64).collect();
        let kinds = vec!["заказ"; count as usize];
        let bodies = vec![body.as_str(); count as usize];
        let parameters: [&(dyn postgres_types::ToSql + Sync); 3] = [&keys, &kinds, &bodies];
        let begin = client.batch_execute("BEGIN");
        let insert = client.execute(&statement, &parameters);
        let (begin, insert) = futures::join!(begin, insert);
        begin?;
        insert?;
        client.batch_execute("COMMIT").await?;
        next += count;
    }
    Ok(())
}

fn read_sqlite(path: &Path, batch: u64) -> Result<()> {
    let connection = open(path)?;
    let mut select = connection.prepare(
        r#"SELECT rowid, "НомерСообщения", "ТипСообщения", "ТелоСообщения" FROM "ИсходящиеСообщения" ORDER BY "НомерСообщения" LIMIT ?1"#,
    )?;
    let mut delete = connection.prepare(r#"DELETE FROM "ИсходящиеСообщения" WHERE rowid = ?1"#)?;
    loop {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let rows = select
            .query_map([batch as i64], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(3)?))
            })?
            .collect::<Result<Vec<_>, _>>()?;
        for (rowid, _) in &rows {
            delete.execute([rowid])?;
        }
        connection.execute_batch("COMMIT")?;
        if rows.is_empty() {
            return Ok(());
        }
    }
}

fn insert_sqlite(path: &Path, rows: u64, batch: u64) -> Result<()> {
    let connection = open(path)?;
    let mut insert = connection.prepare(
        r#"INSERT INTO "ВходящиеСообщения" ("Номер", "Тип", "Тело") VALUES (?1, 'заказ', ?2)"#,
    )?;
    let body = "x".repeat(BODY_BYTES);
    let mut next = 1;
    while next <= rows {
        let count = batch.min(rows + 1 - next);
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for n in next..next + count {
            insert.execute((n as i64, body.as_str()))?;
        }
        connection.execute_batch("COMMIT")?;
        next += count;
    }
    Ok(())
}

fn open(path: &Path) -> Result<Connection> {
    Ok(Connection::open(path)?)
}
