//! The Kafka source against a real broker: what one member of a group reads, commits and gives back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dajet_adapters::kafka::CONNECTOR;
use dajet_core::{
    Address, BrokerSpec, Claim, Environment, ErrorClass, Limit, OrderKeys, Read, Records, Signs,
    Source, SystemError, Value,
};

use super::broker::{brokers, committed, make_topic, read_topic, write, write_numbers, write_to};

/// Longest wait of a test.
const PATIENCE: Duration = Duration::from_secs(30);

/// A name that no other test has.
pub fn group() -> String {
    format!("dajet-{}", uuid::Uuid::new_v4().simple())
}

pub fn source_of(options: Vec<(Arc<str>, Value)>) -> Box<dyn Source> {
    let spec = BrokerSpec {
        address: Address::new("kafka"),
        options,
        permits: 2,
        target: None,
    };
    let open = CONNECTOR.broker.expect("kafka gives messages");
    open(&spec, &Environment::default(), &|_| {
        panic!("no database is asked for")
    })
    .expect("the options are valid")
}

/// A source that begins at the first message.
pub fn source(topic: &str, group: &str, options: &[(&str, Value)]) -> Box<dyn Source> {
    let mut all = vec![
        (Arc::from("BootstrapServers"), Value::text(brokers())),
        (Arc::from("Topic"), Value::text(topic)),
        (Arc::from("GroupId"), Value::text(group)),
        (Arc::from("AutoOffsetReset"), Value::text("earliest")),
    ];
    all.extend(
        options
            .iter()
            .map(|(name, value)| (Arc::from(*name), value.clone())),
    );
    source_of(all)
}

pub async fn read(source: &mut dyn Source, in_earnest: bool) -> Result<Read, SystemError> {
    let limit = Limit {
        bytes: 16 << 20,
        wait_for_locked: in_earnest,
    };
    let read = tokio::time::timeout(PATIENCE, source.read(limit, &[]));
    read.await.expect("a read ends")
}

pub struct Batch {
    pub records: Records,
    pub keys: OrderKeys,
    pub claim: Box<dyn Claim>,
}

impl Batch {
    pub fn member(&self, row: usize, name: &str) -> Value {
        let column = self.records.shape.index(name).expect("it is a member");
        self.records.rows[row][column].clone()
    }

    pub fn column(&self, name: &str) -> Vec<String> {
        (0..self.records.rows.len())
            .map(|row| self.member(row, name).to_string())
            .collect()
    }

    pub async fn commit(self) {
        self.claim.commit().await.expect("it is committed");
    }
}

/// Reads until there is a batch.
pub async fn batch(source: &mut dyn Source) -> Batch {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Read::Batch {
            records,
            keys,
            claim,
        } = read(source, false).await.expect("it reads")
        {
            return Batch {
                records,
                keys,
                claim,
            };
        }
    }
    panic!("no batch has come");
}

/// Reads until the source says that it is idle; every batch is committed.
async fn drain(source: &mut dyn Source) -> Vec<(String, i64, String)> {
    let mut seen = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match read(source, true).await.expect("it reads") {
            Read::Batch { records, claim, .. } => {
                for row in records.rows {
                    let partition = match row[3] {
                        Value::Integer(number) => number,
                        _ => panic!("Partition is a number"),
                    };
                    seen.push((row[2].to_string(), partition, row[1].to_string()));
                }
                claim.commit().await.expect("it is committed");
            }
            Read::Empty { complete: true } => return seen,
            Read::Empty { complete: false } => {}
        }
    }
    panic!("the source is never idle");
}

fn values(seen: &[(String, i64, String)]) -> Vec<usize> {
    seen.iter()
        .map(|(_, _, value)| value.parse().expect("a number"))
        .collect()
}

pub async fn fails(source: &mut dyn Source) -> SystemError {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Err(error) = read(source, false).await {
            return error;
        }
    }
    panic!("it never fails");
}

#[tokio::test]
async fn keeps_the_order_of_each_partition() {
    let (topic, group) = (make_topic("partitions", 3, &[]).await, group());
    for partition in 0..3 {
        let first = partition as usize * 1000;
        write_numbers(&topic, partition, first..first + 700).await;
    }
    let seen = drain(&mut *source(
        &topic,
        &group,
        &[("BatchSize", Value::Integer(64))],
    ))
    .await;
    let mut by_partition: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (_, partition, value) in &seen {
        let value = value.parse().expect("a number");
        by_partition.entry(*partition).or_default().push(value);
    }
    for (partition, numbers) in by_partition {
        let first = partition as usize * 1000;
        assert_eq!(numbers, (first..first + 700).collect::<Vec<_>>());
    }
    for partition in 0..3 {
        assert_eq!(committed(&group, &topic, partition).await, Some(700));
    }
}

#[tokio::test]
async fn carries_keys_headers_tombstones_bytes_and_times() {
    let (topic, group) = (make_topic("carried", 1, &[]).await, group());
    let headers: &[(&str, Option<&[u8]>)] = &[
        ("источник", Some("база".as_bytes())),
        ("нет", None),
        ("источник", Some(&[0xff])),
    ];
    let messages = [
        (0, Some("узел"), Some("тело".as_bytes()), headers),
        (0, None, None, &[][..]),
        (0, Some(""), Some(&[][..]), &[][..]),
        (0, None, Some(&[0, 255][..]), &[][..]),
    ];
    write(&topic, &messages).await;
    let mut source = source(&topic, &group, &[]);
    let batch = batch(&mut *source).await;
    assert_eq!(batch.records.rows.len(), 4);
    let parts = |row| (batch.member(row, "Key"), batch.member(row, "Value"));
    assert_eq!(parts(0), (Value::text("узел"), Value::text("тело")));
    assert_eq!(parts(1), (Value::Null, Value::Null));
    assert_eq!(parts(2), (Value::text(""), Value::text("")));
    assert_eq!(parts(3), (Value::Null, Value::Binary(vec![0, 255].into())));
    assert_eq!(batch.member(3, "Topic"), Value::text(&*topic));
    assert_eq!(batch.member(3, "Partition"), Value::Integer(0));
    assert_eq!(batch.member(3, "Offset"), Value::Integer(3));
    assert_eq!(batch.member(3, "Headers"), Value::Null);
    assert!(matches!(batch.member(3, "Timestamp"), Value::DateTime(_)));
    let Value::Object(found) = batch.member(0, "Headers") else {
        panic!("there are headers");
    };
    let both = vec![Value::text("база"), Value::Binary(vec![0xff].into())];
    assert_eq!(
        found.members,
        [
            ("источник".into(), Value::Array(both)),
            ("нет".into(), Value::Null)
        ]
    );
    let named = format!("Topic = {topic}, Partition = 0, Offset = 2");
    assert_eq!(batch.keys.describe(2), Some(named));
    batch.commit().await;
}

#[tokio::test]
async fn commits_an_earlier_batch_after_a_later_one_was_given_back() {
    let (topic, group) = (make_topic("earlier", 1, &[]).await, group());
    write_numbers(&topic, 0, 0..30).await;
    let mut source = source(&topic, &group, &[("BatchSize", Value::Integer(10))]);
    let first = batch(&mut *source).await;
    let second = batch(&mut *source).await;
    let third = batch(&mut *source).await;
    drop(second);
    first.commit().await;
    let error = third.claim.commit().await.expect_err("it is given back");
    assert_eq!(error.class, ErrorClass::Transient);
    assert_eq!(committed(&group, &topic, 0).await, Some(10));
    let again = values(&drain(&mut *source).await);
    assert_eq!(again, (10..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn skips_nothing_after_a_first_failure_at_the_end_of_a_topic() {
    let (topic, group) = (make_topic("latest", 1, &[]).await, group());
    write_numbers(&topic, 0, 0..5).await;
    let latest = || {
        let mut all = vec![("AutoOffsetReset".into(), Value::text("latest"))];
        all.push(("BootstrapServers".into(), Value::text(brokers())));
        all.push(("Topic".into(), Value::text(&*topic)));
        all.push(("GroupId".into(), Value::text(&*group)));
        source_of(all)
    };
    let mut first = latest();
    assert!(drain(&mut *first).await.is_empty());
    assert_eq!(committed(&group, &topic, 0).await, Some(5));
    write_numbers(&topic, 0, 5..8).await;
    drop(batch(&mut *first).await);
    drop(first);
    assert_eq!(values(&drain(&mut *latest()).await), [5, 6, 7]);
}

#[tokio::test]
async fn reads_lists_and_patterns_of_topics() {
    let about = format!("many-{}", &group()[6..20]);
    let (one, other) = (
        make_topic(&about, 2, &[]).await,
        make_topic(&about, 2, &[]).await,
    );
    for (topic, first) in [(&one, 0), (&other, 100)] {
        write_numbers(topic, 0, first..first + 10).await;
        write_numbers(topic, 1, first + 10..first + 20).await;
    }
    let wanted: Vec<usize> = (0..20).chain(100..120).collect();
    for topics in [format!("{one}, {other}"), format!("^dajet-{about}-.*")] {
        let mut seen = values(&drain(&mut *source(&topics, &group(), &[])).await);
        seen.sort_unstable();
        assert_eq!(seen, wanted, "{topics}");
    }
}

#[tokio::test]
async fn is_idle_only_when_nothing_is_open_or_waiting() {
    let (topic, group) = (make_topic("idle", 2, &[]).await, group());
    write_numbers(&topic, 1, 0..3).await;
    let mut source = source(&topic, &group, &[]);
    let open = batch(&mut *source).await;
    let answer = read(&mut *source, true).await.expect("it reads");
    assert!(matches!(answer, Read::Empty { complete: false }));
    open.commit().await;
    assert!(drain(&mut *source).await.is_empty());
    write_numbers(&topic, 0, 3..5).await;
    assert_eq!(values(&drain(&mut *source).await), [3, 4]);
}

#[tokio::test]
async fn names_a_missing_topic_within_5_seconds() {
    let begun = Instant::now();
    let mut source = source("dajet-nowhere", &group(), &[]);
    let error = fails(&mut *source).await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(error.class, ErrorClass::Misconfigured);
    assert_eq!(error.message, "topic \"dajet-nowhere\" does not exist");
}

#[tokio::test]
async fn says_that_no_broker_can_be_reached() {
    let mut source = source_of(vec![
        ("BootstrapServers".into(), Value::text("127.0.0.1:1")),
        ("Topic".into(), Value::text("t")),
        ("GroupId".into(), Value::text("g")),
    ]);
    let error = fails(&mut *source).await;
    assert_eq!(error.class, ErrorClass::Transient);
    let told = "no kafka broker of \"127.0.0.1:1\" answers within 10s";
    assert_eq!(error.message, told);
}

/// The library's own cluster: no other can be stopped at an exact moment.
#[tokio::test]
async fn goes_on_after_an_outage_of_the_brokers() {
    let cluster = rdkafka::mocking::MockCluster::new(1).expect("it starts");
    cluster.create_topic("orders", 1, 1).expect("it is made");
    let servers = cluster.bootstrap_servers();
    write_to(&servers, "orders", &[(0, None, Some(&b"1"[..]), &[])]).await;
    let options = vec![
        ("BootstrapServers".into(), Value::text(&*servers)),
        ("Topic".into(), Value::text("orders")),
        ("GroupId".into(), Value::text(group())),
        ("AutoOffsetReset".into(), Value::text("earliest")),
    ];
    let mut source = source_of(options);
    batch(&mut *source).await.commit().await;
    cluster.broker_down(1).expect("it stops");
    let answer = read(&mut *source, false).await.expect("it waits");
    assert!(matches!(answer, Read::Empty { complete: false }));
    cluster.broker_up(1).expect("it starts");
    write_to(&servers, "orders", &[(0, None, Some(&b"2"[..]), &[])]).await;
    let next = batch(&mut *source).await;
    assert_eq!(next.column("Value"), ["2"]);
    next.commit().await;
}

#[tokio::test]
async fn puts_a_message_aside_that_has_failed_too_often() {
    let (topic, group) = (make_topic("poison", 1, &[]).await, group());
    let aside = make_topic("aside", 1, &[]).await;
    let messages: Vec<_> = ["а", "яд", "б"]
        .iter()
        .map(|text| (0, Some(*text), Some(text.as_bytes()), &[("h", None)][..]))
        .collect();
    write(&topic, &messages).await;
    let options = [
        ("MaxAttempts", Value::Integer(2)),
        ("DeadLetterTopic", Value::text(&*aside)),
    ];
    let mut passed = Vec::new();
    let mut failures = 0;
    while passed.len() < 2 {
        // Each failure is the end of a generation.
        let mut source = source(&topic, &group, &options);
        loop {
            let mut batch = batch(&mut *source).await;
            let values = batch.column("Value");
            if values.contains(&"яд".to_owned()) {
                failures += 1;
                batch.claim.blame();
                batch.claim.release().await.expect("it is given back");
                break;
            }
            passed.extend(values);
            batch.commit().await;
            if passed.len() == 2 {
                break;
            }
        }
    }
    // Once with its neighbours, then alone.
    assert_eq!((passed.join(""), failures), ("аб".to_owned(), 3));
    assert_eq!(committed(&group, &topic, 0).await, Some(3));
    let seen = read_topic(&aside).await;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].text(), "яд");
    assert_eq!(seen[0].key.as_deref(), Some("яд".as_bytes()));
    let headers: Vec<_> = seen[0]
        .headers
        .iter()
        .map(|(name, value)| {
            let value = value.as_deref().map(String::from_utf8_lossy);
            format!("{name}={}", value.as_deref().unwrap_or("null"))
        })
        .collect();
    let from = format!("dajet-topic={topic}");
    assert_eq!(
        headers,
        [
            "h=null",
            &from,
            "dajet-partition=0",
            "dajet-offset=1",
            "dajet-failures=2"
        ]
    );
}

#[tokio::test]
async fn shows_how_far_behind_it_is() {
    let (topic, group) = (make_topic("lag", 2, &[]).await, group());
    for partition in 0..2 {
        write_numbers(&topic, partition, 0..30).await;
    }
    let mut source = source(&topic, &group, &[("BatchSize", Value::Integer(10))]);
    let signs = Signs::default();
    source.show(&signs);
    let first = batch(&mut *source).await;
    becomes(&signs, 60).await;
    first.commit().await;
    becomes(&signs, 50).await;
    write_numbers(&topic, 0, 30..40).await;
    becomes(&signs, 60).await;
    drain(&mut *source).await;
    becomes(&signs, 0).await;
}

async fn becomes(signs: &Signs, lag: u64) {
    let begun = Instant::now();
    while signs.lag() != Some(lag) {
        assert!(
            begun.elapsed() < PATIENCE,
            "{:?} instead of {lag}",
            signs.lag()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
