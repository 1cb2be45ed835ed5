//! Apache Kafka as the load generator and the oracle need it: make a topic, read it back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

/// The broker list of the environment variable `DAJET_TEST_KAFKA`.
pub fn brokers() -> Result<String> {
    std::env::var("DAJET_TEST_KAFKA").context("DAJET_TEST_KAFKA is not set (host:port)")
}

/// Makes a topic of one partition.
pub async fn create_topic(brokers: &str, topic: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()?;
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
    let results = admin
        .create_topics(
            &[NewTopic::new(topic, 1, TopicReplication::Fixed(1))],
            &options,
        )
        .await?;
    for result in results {
        if let Err((topic, code)) = result {
            bail!("cannot create topic \"{topic}\": {code}");
        }
    }
    Ok(())
}

/// Removes a topic; a missing one is no error.
pub async fn delete_topic(brokers: &str, topic: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()?;
    admin.delete_topics(&[topic], &AdminOptions::new()).await?;
    Ok(())
}

/// The keys (as numbers) of all the records of the topic's only partition, in order. Blocks.
pub fn read_topic(brokers: &str, topic: &str) -> Result<Vec<u64>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "dajet-oracle")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .create()?;
    let (low, high) = consumer.fetch_watermarks(topic, 0, Duration::from_secs(30))?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(low))?;
    consumer.assign(&list)?;
    let mut keys = Vec::with_capacity((high - low) as usize);
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut next = low;
    while next < high {
        if Instant::now() > deadline {
            bail!("topic \"{topic}\" could not be read to its end: {next} of {high}");
        }
        let Some(message) = consumer.poll(Duration::from_millis(500)) else {
            continue;
        };
        let message = message?;
        let key = message.key().context("a record has no key")?;
        keys.push(
            std::str::from_utf8(key)?
                .parse()
                .context("a key is not a number")?,
        );
        next = message.offset() + 1;
    }
    Ok(keys)
}
