//! Apache Kafka as the load generator and the oracle need it: make a topic of one partition, fill it, read it back.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::future::try_join_all;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::scenario::body;

/// Longest wait for an answer of the broker: longer than a fault of a campaign lasts.
const PATIENCE: Duration = Duration::from_secs(100);

/// Longest wait for one of the answers: a question that was lost is asked again.
const ANSWER: Duration = Duration::from_secs(5);

/// Pause between two questions.
const PAUSE: Duration = Duration::from_millis(200);

/// Records produced before their delivery is awaited.
const WINDOW: usize = 10_000;

/// The broker list of the environment variable `DAJET_TEST_KAFKA`.
pub fn brokers() -> Result<String> {
    std::env::var("DAJET_TEST_KAFKA").context("DAJET_TEST_KAFKA is not set (host:port)")
}

/// A topic and how to reach it.
#[derive(Clone)]
pub struct Topic {
    /// `host:port`
    pub brokers: String,
    /// Name of the topic, and of the group that reads it.
    pub name: String,
}

impl Topic {
    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .create()?)
    }

    /// A consumer of this group that commits nothing by itself.
    pub fn consumer(&self, group: &str) -> Result<BaseConsumer> {
        Ok(ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .create()?)
    }

    /// Makes the topic, empty: one of the same name goes first, with the offsets of its group.
    pub async fn create(&self) -> Result<()> {
        self.remove().await?;
        let admin = self.admin()?;
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let topic = NewTopic::new(&self.name, 1, TopicReplication::Fixed(1));
        for result in admin.create_topics(&[topic], &options).await? {
            if let Err((topic, code)) = result {
                bail!("cannot create topic \"{topic}\": {code}");
            }
        }
        Ok(())
    }

    /// Removes the topic and the group; missing ones are no error.
    pub async fn remove(&self) -> Result<()> {
        let (admin, options) = (self.admin()?, AdminOptions::new());
        admin.delete_topics(&[&self.name], &options).await?;
        admin.delete_groups(&[&self.name], &options).await?;
        Ok(())
    }

    /// Produces records with these keys; returns when all are acknowledged.
    pub async fn append(&self, keys: RangeInclusive<u64>, bytes: usize) -> Result<()> {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .create()?;
        let keys: Vec<u64> = keys.collect();
        for window in keys.chunks(WINDOW) {
            let mut deliveries = Vec::with_capacity(window.len());
            for key in window {
                let (text, body) = (key.to_string(), body(*key, bytes));
                let record = FutureRecord::to(&self.name).key(&text).payload(&body);
                deliveries.push(
                    producer
                        .send_result(record)
                        .map_err(|(error, _)| anyhow::Error::from(error))?,
                );
            }
            for delivery in try_join_all(deliveries).await? {
                delivery.map_err(|(error, _)| error)?;
            }
        }
        Ok(())
    }

    /// Records of the topic.
    pub async fn height(&self) -> Result<u64> {
        let topic = self.clone();
        tokio::task::spawn_blocking(move || {
            let consumer = topic.consumer("dajet-oracle")?;
            let (low, high) = watermarks(&consumer, &topic.name)?;
            Ok((high - low) as u64)
        })
        .await?
    }

    /// Records behind the committed offset of the group that is named like the topic.
    pub async fn left(&self) -> Result<u64> {
        let topic = self.clone();
        tokio::task::spawn_blocking(move || {
            let consumer = topic.consumer(&topic.name)?;
            let (low, high) = watermarks(&consumer, &topic.name)?;
            let mut list = TopicPartitionList::new();
            list.add_partition(&topic.name, 0);
            let committed = patiently(|| consumer.committed_offsets(list.clone(), ANSWER))?;
            let next = match committed.elements().first().map(|element| element.offset()) {
                Some(Offset::Offset(offset)) => offset,
                _ => low,
            };
            Ok((high - next) as u64)
        })
        .await?
    }

    /// The keys (as numbers) of all the records, in order.
    pub async fn keys(&self) -> Result<Vec<u64>> {
        let topic = self.clone();
        tokio::task::spawn_blocking(move || topic.read()).await?
    }

    fn read(&self) -> Result<Vec<u64>> {
        let consumer = self.consumer("dajet-oracle")?;
        let (low, high) = watermarks(&consumer, &self.name)?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.name, 0, Offset::Offset(low))?;
        consumer.assign(&list)?;
        let mut keys = Vec::with_capacity((high - low) as usize);
        let deadline = Instant::now() + Duration::from_secs(120);
        let mut next = low;
        while next < high {
            if Instant::now() > deadline {
                bail!(
                    "topic \"{}\" could not be read to its end: {next} of {high}",
                    self.name
                );
            }
            let Some(message) = consumer.poll(Duration::from_millis(500)) else {
                continue;
            };
            let message = message?;
            let key = message.key().context("a record has no key")?;
            let key = std::str::from_utf8(key)?.parse();
            keys.push(key.context("a key is not a number")?);
            next = message.offset() + 1;
        }
        Ok(keys)
    }
}

/// The first offset of the topic's only partition, and the one behind its last record.
fn watermarks(consumer: &BaseConsumer, topic: &str) -> Result<(i64, i64)> {
    patiently(|| consumer.fetch_watermarks(topic, 0, ANSWER))
}

/// Asks again while the broker cannot answer: just started, it knows no leader of a partition for a moment.
#[expect(
    clippy::disallowed_methods,
    reason = "it runs on a thread for calls that block"
)]
fn patiently<T>(ask: impl Fn() -> KafkaResult<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}
