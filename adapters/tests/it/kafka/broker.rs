//! The real broker of the tests: topics are made and read here.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// A message as a consumer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub timestamp_ms: Option<i64>,
}

impl Seen {
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.payload.as_deref().expect("it has a payload")).expect("it is text")
    }
}

/// The brokers of the tests.
pub fn brokers() -> String {
    std::env::var("DAJET_TEST_KAFKA")
        .expect("DAJET_TEST_KAFKA is not set: run `docker/services.sh up` and `eval \"$(docker/services.sh env)\"`")
}

/// Makes a topic with a name of its own.
pub async fn make_topic(about: &str, partitions: i32, config: &[(&str, &str)]) -> String {
    let name = format!("dajet-{about}-{}", uuid::Uuid::new_v4().simple());
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers())
        .create()
        .expect("the settings are valid");
    let mut topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
    for (key, value) in config {
        topic = topic.set(key, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    let made = admin
        .create_topics([&topic], &options)
        .await
        .expect("the broker answers");
    made[0].as_ref().expect("the topic is made");
    name
}

/// Makes a topic of a name that was deleted just now: the broker needs a moment to forget it.
pub async fn remake_topic(name: &str, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers())
        .create()
        .expect("the settings are valid");
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let made = admin.create_topics([&topic], &options).await;
        let refused = match made.expect("the broker answers").remove(0) {
            Ok(_) => return,
            Err((_, code)) => code,
        };
        assert!(
            Instant::now() < deadline,
            "{name} cannot be made: {refused}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A message to write: partition, key, value, headers.
pub type Written<'a> = (
    i32,
    Option<&'a str>,
    Option<&'a [u8]>,
    &'a [(&'a str, Option<&'a [u8]>)],
);

/// Writes messages, in order.
pub async fn write(topic: &str, messages: &[Written<'_>]) {
    write_to(&brokers(), topic, messages).await;
}

/// Writes messages to other brokers than those of the tests, in order.
pub async fn write_to(brokers: &str, topic: &str, messages: &[Written<'_>]) {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("queue.buffering.max.messages", "1000000")
        .create()
        .expect("the settings are valid");
    let mut receipts = Vec::new();
    for (partition, key, value, headers) in messages {
        let mut record: FutureRecord<'_, str, [u8]> = FutureRecord::to(topic).partition(*partition);
        record.key = *key;
        record.payload = *value;
        if !headers.is_empty() {
            let mut made = OwnedHeaders::new();
            for (key, value) in *headers {
                made = made.insert(Header { key, value: *value });
            }
            record.headers = Some(made);
        }
        receipts.push(producer.send_result(record).expect("there is room"));
    }
    for receipt in receipts {
        let answer = receipt.await.expect("the producer lives");
        answer.expect("the message is delivered");
    }
}

/// Writes the numbers to one partition.
pub async fn write_numbers(topic: &str, partition: i32, numbers: std::ops::Range<usize>) {
    let texts: Vec<String> = numbers.map(|n| n.to_string()).collect();
    let messages: Vec<Written<'_>> = texts
        .iter()
        .map(|text| (partition, None, Some(text.as_bytes()), &[][..]))
        .collect();
    write(topic, &messages).await;
}

/// Deletes a topic.
pub async fn delete_topic(topic: &str) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers())
        .create()
        .expect("the settings are valid");
    let deleted = admin.delete_topics(&[topic], &AdminOptions::new()).await;
    assert!(deleted.expect("the broker answers")[0].is_ok());
}

/// The committed offset of a group; `None` if there is none.
pub async fn committed(group: &str, topic: &str, partition: i32) -> Option<i64> {
    let (group, topic) = (group.to_owned(), topic.to_owned());
    let asked = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers())
            .set("group.id", &group)
            .create()
            .expect("the settings are valid");
        let mut list = TopicPartitionList::new();
        list.add_partition(&topic, partition);
        let list = consumer
            .committed_offsets(list, Duration::from_secs(10))
            .expect("the broker answers");
        match list.elements()[0].offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    });
    asked.await.expect("it does not panic")
}

/// How many members a group has.
pub async fn members(group: &str) -> usize {
    let group = group.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers())
            .create()
            .expect("the settings are valid");
        let told = consumer.fetch_group_list(Some(&group), Duration::from_secs(30));
        let told = told.expect("the broker answers");
        told.groups()
            .iter()
            .map(|group| group.members().len())
            .sum()
    });
    asked.await.expect("it does not panic")
}

/// Reads all messages of a topic, partition after partition.
pub async fn read_topic(topic: &str) -> Vec<Seen> {
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || read_all(&topic))
        .await
        .expect("it does not panic")
}

fn read_all(topic: &str) -> Vec<Seen> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers())
        .set("group.id", "dajet-tests")
        .set("enable.auto.commit", "false")
        .create()
        .expect("the settings are valid");
    let metadata = consumer
        .fetch_metadata(Some(topic), PATIENCE)
        .expect("the broker answers");
    let partitions: Vec<i32> = metadata.topics()[0]
        .partitions()
        .iter()
        .map(|p| p.id())
        .collect();
    let mut seen = Vec::new();
    for partition in partitions {
        let (low, high) = consumer
            .fetch_watermarks(topic, partition, PATIENCE)
            .expect("the broker answers");
        if low == high {
            continue;
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Beginning)
            .expect("the offset is valid");
        consumer.assign(&list).expect("the partition is there");
        let begun = Instant::now();
        loop {
            assert!(
                begun.elapsed() < PATIENCE,
                "partition {partition} of {topic} is not read in time"
            );
            let Some(message) = consumer.poll(Duration::from_millis(100)) else {
                continue;
            };
            let message = message.expect("the broker answers");
            seen.push(Seen {
                partition: message.partition(),
                key: message.key().map(<[u8]>::to_vec),
                payload: message.payload().map(<[u8]>::to_vec),
                headers: message.headers().map_or_else(Vec::new, |headers| {
                    headers
                        .iter()
                        .map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec)))
                        .collect()
                }),
                timestamp_ms: message.timestamp().to_millis(),
            });
            if message.offset() + 1 >= high {
                break;
            }
        }
    }
    seen
}

/// Where the first partition of a topic ends.
pub async fn ends(topic: &str) -> i64 {
    let topic = topic.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers())
            .create()
            .expect("the settings are valid");
        let marks = consumer.fetch_watermarks(&topic, 0, Duration::from_secs(30));
        marks.expect("the broker answers").1
    });
    asked.await.expect("it does not panic")
}
