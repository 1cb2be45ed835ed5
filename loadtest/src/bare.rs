//! Bare loops that read a queue empty or fill a target, with the statements and client settings of the engine and nothing else.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, pin_mut};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel};
use postgres_types::ToSql;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rusqlite::Connection;
use tokio::sync::{Notify, Semaphore};

use crate::scenario::{BODY_BYTES, PERMITS};
use crate::{amqp, kafka, pgsql};

/// Longest wait for a record that is there.
const PATIENCE: Duration = Duration::from_secs(30);

/// The compatible reader's statement, one transaction for each batch, on one session.
pub async fn read_pgsql(
    server: pgsql::Server,
    database: String,
    batch: u64,
    turns: Option<Arc<Semaphore>>,
) -> Result<()> {
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
        if let Some(turns) = &turns {
            turns.acquire().await?.forget();
        }
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
pub async fn produce(topic: kafka::Topic, rows: u64, size: u64) -> Result<()> {
    let producer: ThreadedProducer<Reports> = ClientConfig::new()
        .set("bootstrap.servers", &topic.brokers)
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
            send(&producer, &topic.name, &n.to_string(), &body, &batch).await?;
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

/// Consumes `rows` messages with two batches ahead, one acknowledgement for each batch.
pub async fn read_amqp(queue: amqp::Queue, rows: u64, batch: u64) -> Result<()> {
    let session = queue.open().await?;
    let channel = &session.channel;
    let ahead = u16::try_from(batch * PERMITS)?;
    channel
        .basic_qos(ahead, BasicQosOptions { global: false })
        .await?;
    let options = BasicConsumeOptions::default();
    let (name, arguments) = (ShortString::default(), FieldTable::default());
    let mut consumer = channel
        .basic_consume(queue.short(), name, options, arguments)
        .await?;
    for n in 1..=rows {
        let delivery = consumer.next().await.context("the consumer has ended")??;
        ensure!(!delivery.data.is_empty(), "an empty body");
        if n % batch == 0 || n == rows {
            let all = BasicAckOptions { multiple: true };
            channel.basic_ack(delivery.delivery_tag, all).await?;
        }
    }
    session.close().await;
    Ok(())
}

/// Publishes `rows` persistent messages with what the engine sets by itself: those of a batch together, then their confirms are awaited.
pub async fn publish(
    queue: amqp::Queue,
    rows: u64,
    batch: u64,
    turns: Option<Arc<Semaphore>>,
) -> Result<()> {
    let session = queue.open().await?;
    let channel = &session.channel;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let body = "x".repeat(BODY_BYTES);
    let mut next = 1;
    while next <= rows {
        let count = batch.min(rows + 1 - next);
        let sent = (next..next + count).map(|n| publish_one(channel, &queue, n, &body));
        futures::future::try_join_all(sent).await?;
        next += count;
        if let Some(turns) = &turns {
            turns.add_permits(1);
        }
    }
    session.close().await;
    Ok(())
}

async fn publish_one(channel: &Channel, queue: &amqp::Queue, n: u64, body: &str) -> Result<()> {
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("UTF-8".into())
        .with_delivery_mode(2)
        .with_message_id(n.to_string().into());
    let mandatory = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let confirm = channel
        .basic_publish(
            ShortString::default(),
            queue.short(),
            mandatory,
            body.as_bytes(),
            properties,
        )
        .await?;
    ensure!(confirm.await?.is_ack(), "the broker refused a message");
    Ok(())
}

/// Consumes `rows` records of the one partition and commits an offset for each batch.
pub fn read_kafka(topic: &kafka::Topic, rows: u64, batch: u64) -> Result<()> {
    let consumer = topic.consumer(&format!("{}_bare", topic.name))?;
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(&topic.name, 0, Offset::Beginning)?;
    consumer.assign(&place)?;
    let mut count = 0;
    while count < rows {
        let message = consumer.poll(PATIENCE).context("no message came")??;
        ensure!(message.payload_len() > 0, "an empty body");
        count += 1;
        if count % batch == 0 || count == rows {
            let mut next = TopicPartitionList::new();
            next.add_partition_offset(&topic.name, 0, Offset::Offset(message.offset() + 1))?;
            consumer.commit(&next, CommitMode::Sync)?;
        }
    }
    Ok(())
}

/// Inserts `rows` rows through `unnest`, one transaction for each batch; keys are texts if the queue is a broker's.
pub async fn insert_pgsql(
    server: pgsql::Server,
    database: String,
    rows: u64,
    batch: u64,
    texts: bool,
) -> Result<()> {
    let client = server.connect(&database).await?;
    let key = if texts { "text" } else { "bigint" };
    let statement = client
        .prepare(&format!(
            r#"INSERT INTO "ВходящиеСообщения" ("Номер", "Тип", "Тело")
            SELECT c0, c1, c2 FROM unnest($1::{key}[], $2::text[], $3::text[]) WITH ORDINALITY AS p(c0, c1, c2, ord) ORDER BY ord"#
        ))
        .await?;
    let body = "x".repeat(BODY_BYTES);
    let mut next = 1;
    while next <= rows {
        let count = batch.min(rows + 1 - next);
        let numbers: Vec<i64> = (next..next + count).map(|n| n as i64).collect();
        let names: Vec<String> = numbers.iter().map(i64::to_string).collect();
        let keys: &(dyn ToSql + Sync) = if texts { &names } else { &numbers };
        let kinds = vec!["заказ"; count as usize];
        let bodies = vec![body.as_str(); count as usize];
        let parameters: [&(dyn ToSql + Sync); 3] = [keys, &kinds, &bodies];
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

/// Reads the rows of a batch and deletes them one by one, one transaction for each batch.
pub fn read_sqlite(path: &Path, batch: u64) -> Result<()> {
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

/// Inserts `rows` rows, one transaction for each batch, by the engine's statement: many rows at once, and those that are left one
/// by one.
pub fn insert_sqlite(path: &Path, rows: u64, batch: u64) -> Result<()> {
    const MANY: u64 = 20;
    let connection = open(path)?;
    let of = |rows: u64| {
        let more = ", (?, 'заказ', ?)".repeat(rows as usize - 1);
        format!(
            r#"INSERT INTO "ВходящиеСообщения" ("Номер", "Тип", "Тело") VALUES (?, 'заказ', ?){more}"#
        )
    };
    let mut many = connection.prepare(&of(MANY))?;
    let mut one = connection.prepare(&of(1))?;
    let body = "x".repeat(BODY_BYTES);
    let mut next = 1;
    while next <= rows {
        let end = next + batch.min(rows + 1 - next);
        connection.execute_batch("BEGIN IMMEDIATE")?;
        while next < end {
            let (insert, count) = match next + MANY <= end {
                true => (&mut many, MANY),
                false => (&mut one, 1),
            };
            for place in 0..count {
                let first = 2 * place as usize + 1;
                insert.raw_bind_parameter(first, (next + place) as i64)?;
                insert.raw_bind_parameter(first + 1, body.as_str())?;
            }
            insert.raw_execute()?;
            next += count;
        }
        connection.execute_batch("COMMIT")?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<Connection> {
    Ok(Connection::open(path)?)
}
