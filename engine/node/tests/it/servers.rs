//! The real servers: a database or topic of its own for each test.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Runtime;
use tokio_postgres::{NoTls, SimpleQueryMessage};

pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run the tests by docker/services.sh run cargo test")
    })
}

pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    format!(
        "it_{prefix}_{}_{nanos:x}_{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// A database of its own in PostgreSQL; dropped at the end of the test.
pub struct Database {
    runtime: Runtime,
    name: String,
    client: tokio_postgres::Client,
}

impl Database {
    /// Creates the database and runs statements in it.
    pub fn create(prefix: &str, statements: &str) -> Self {
        let runtime = runtime();
        let name = unique(prefix);
        let admin = connect(&runtime, &server());
        runtime
            .block_on(admin.batch_execute(&format!("CREATE DATABASE {name}")))
            .unwrap();
        let client = connect(&runtime, &address_of(&name));
        let database = Self {
            runtime,
            name,
            client,
        };
        database.execute(statements);
        database
    }

    /// Its address, as scripts write it.
    pub fn address(&self) -> String {
        address_of(&self.name)
    }

    /// Its address with another user and password.
    pub fn address_as(&self, user: &str, password: &str) -> String {
        let address = self.address();
        let place = address.rsplit_once('@').unwrap().1;
        format!("pgsql://{user}:{password}@{place}")
    }

    /// Runs statements.
    pub fn execute(&self, statements: &str) {
        self.runtime
            .block_on(self.client.batch_execute(statements))
            .unwrap();
    }

    /// The first column of all rows of a query, as text.
    pub fn column(&self, query: &str) -> Vec<String> {
        let messages = self
            .runtime
            .block_on(self.client.simple_query(query))
            .unwrap();
        messages
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
                _ => None,
            })
            .collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let admin = connect(&self.runtime, &server());
        let dropped = self
            .runtime
            .block_on(admin.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)));
        if let Err(error) = dropped {
            eprintln!("database {} stays behind: {error}", self.name);
        }
    }
}

fn server() -> String {
    variable("DAJET_TEST_PGSQL")
}

fn address_of(database: &str) -> String {
    let server = server();
    format!("{}/{database}", server.rsplit_once('/').unwrap().0)
}

fn connect(runtime: &Runtime, address: &str) -> tokio_postgres::Client {
    let url = address.replacen("pgsql://", "postgresql://", 1);
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    })
}

/// The brokers.
pub fn brokers() -> String {
    variable("DAJET_TEST_KAFKA")
}

fn admin() -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers())
        .create()
        .unwrap()
}

/// Creates a topic of one partition with a name of its own.
pub fn topic(prefix: &str) -> String {
    topic_of(prefix, &[])
}

/// Creates a topic with properties.
pub fn topic_of(prefix: &str, properties: &[(&str, &str)]) -> String {
    let name = unique(prefix);
    try_to_create(&name, properties).unwrap();
    name
}

/// Creates a topic that was deleted: the brokers need a moment to forget the old one.
pub fn create_topic(name: &str) {
    let begun = Instant::now();
    while let Err(error) = try_to_create(name, &[]) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{error}");
    }
}

fn try_to_create(name: &str, properties: &[(&str, &str)]) -> Result<(), String> {
    let mut topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
    for (key, value) in properties {
        topic = topic.set(key, value);
    }
    let created = runtime().block_on(admin().create_topics([&topic], &AdminOptions::new()));
    match created.map_err(|error| error.to_string())?.remove(0) {
        Ok(_) => Ok(()),
        Err((_, code)) => Err(code.to_string()),
    }
}

/// Deletes a topic.
pub fn delete_topic(name: &str) {
    let deleted = runtime().block_on(admin().delete_topics(&[name], &AdminOptions::new()));
    deleted.unwrap().remove(0).unwrap();
}

/// Produces messages to a topic, in order, and waits until they are durable.
pub fn produce(topic: &str, messages: impl IntoIterator<Item = Pair>) {
    let messages: Vec<Pair> = messages.into_iter().collect();
    let records = messages.iter().map(|(key, value)| BaseRecord {
        key: key.as_deref().map(str::as_bytes),
        payload: value.as_deref().map(str::as_bytes),
        ..BaseRecord::to(topic)
    });
    send(records);
}

/// Produces messages that may be no text.
pub fn produce_bytes(topic: &str, values: &[&[u8]]) {
    send(
        values
            .iter()
            .map(|value| BaseRecord::to(topic).payload(*value)),
    );
}

fn send<'a>(records: impl Iterator<Item = BaseRecord<'a, [u8], [u8]>>) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers())
        .set("enable.idempotence", "true")
        .create()
        .unwrap();
    for record in records {
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(30)).unwrap();
    assert_eq!(producer.in_flight_count(), 0);
}

/// A message: key and value as text.
pub type Pair = (Option<String>, Option<String>);

/// Key and value of all messages in the one partition of a topic, which must be `count`.
pub fn messages(topic: &str, count: usize) -> Vec<Pair> {
    let found = published(topic);
    assert_eq!(found.len(), count, "messages in {topic}");
    found
}

/// Key and value of all messages in the one partition of a topic.
pub fn published(topic: &str) -> Vec<Pair> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers())
        .set("group.id", unique("reader"))
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions
        .add_partition_offset(topic, 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&partitions).unwrap();
    let end = consumer
        .fetch_watermarks(topic, 0, Duration::from_secs(10))
        .unwrap()
        .1;
    let count = usize::try_from(end).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut found = Vec::new();
    while found.len() < count {
        assert!(
            Instant::now() < deadline,
            "only {} of {count} messages came",
            found.len()
        );
        let Some(message) = consumer.poll(Duration::from_millis(200)) else {
            continue;
        };
        let message = message.unwrap();
        let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8(b.to_vec()).unwrap());
        found.push((text(message.key()), text(message.payload())));
    }
    found
}

/// The offset that a group has committed in the one partition of a topic; 0 if there is none.
pub fn committed(group: &str, topic: &str) -> usize {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers())
        .set("group.id", group)
        .create()
        .unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition(topic, 0);
    let patience = Duration::from_secs(30);
    let found = consumer.committed_offsets(partitions, patience).unwrap();
    match found.elements()[0].offset() {
        Offset::Offset(offset) => offset.try_into().unwrap(),
        _ => 0,
    }
}

/// How many members a group has.
pub fn members(group: &str) -> usize {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers())
        .create()
        .expect("the settings are valid");
    let told = consumer.fetch_group_list(Some(group), Duration::from_secs(30));
    let told = told.expect("the broker answers");
    told.groups()
        .iter()
        .map(|group| group.members().len())
        .sum()
}
