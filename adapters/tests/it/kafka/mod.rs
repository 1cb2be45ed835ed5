//! The Kafka sink against a real broker, and [the source](source).

pub mod broker;
mod group;
mod laws;
mod offsets;
mod source;
mod vanishing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::{brokers, make_topic, read_topic};
use dajet_adapters::kafka::CONNECTOR;
use dajet_core::{
    Address, BoxFuture, Environment, ErrorClass, MessageSpec, Object, Receipt, Record, Shape, Sink,
    SystemError, Value,
};

type ReceiptFuture = BoxFuture<'static, Result<Receipt, SystemError>>;

fn sink(columns: &[&str], options: &[(&str, Value)]) -> Box<dyn Sink> {
    let mut all = vec![(Arc::from("BootstrapServers"), Value::text(brokers()))];
    all.extend(
        options
            .iter()
            .map(|(name, value)| (Arc::from(*name), value.clone())),
    );
    sink_of(columns, all)
}

fn sink_of(columns: &[&str], options: Vec<(Arc<str>, Value)>) -> Box<dyn Sink> {
    let spec = MessageSpec {
        address: Address::new("kafka"),
        options,
        columns: Shape::new(columns.iter().copied()),
    };
    let open = CONNECTOR.sink.expect("kafka takes messages");
    open(&spec, &Environment::default()).expect("the options are valid")
}

async fn hand_over(sink: &mut dyn Sink, records: Vec<Record>) -> ReceiptFuture {
    sink.deliver(records)
        .await
        .expect("the records are handed over")
}

async fn refused(sink: &mut dyn Sink, records: Vec<Record>) -> SystemError {
    match sink.deliver(records).await {
        Ok(receipt) => receipt.await.expect_err("it is refused"),
        Err(error) => error,
    }
}

fn numbered(topic: &str, numbers: std::ops::Range<usize>) -> Vec<Record> {
    numbers
        .map(|n| vec![Value::text(topic), Value::Integer(n as i64)])
        .collect()
}

#[tokio::test]
async fn carries_keys_headers_tombstones_partitions_and_timestamps() {
    let topic = make_topic("members", 2, &[]).await;
    let names = ["Topic", "Key", "Value", "Headers", "Partition", "Timestamp"];
    let headers = Value::Object(Box::new(Object {
        members: vec![
            ("источник".into(), Value::text("база")),
            ("нет".into(), Value::Null),
        ],
    }));
    let time = Value::DateTime(jiff::civil::date(2024, 1, 1).at(0, 0, 1, 0));
    let row = |key: Value, value: Value| {
        vec![
            Value::text(&*topic),
            key,
            value,
            Value::Null,
            Value::Integer(1),
            Value::Null,
        ]
    };
    let mut full = row(Value::text("узел"), Value::text("тело"));
    (full[3], full[5]) = (headers, time);
    let records = vec![
        full,
        row(Value::Null, Value::text("")),
        row(Value::text(""), Value::Null),
        row(Value::Integer(7), Value::Binary(vec![0, 255].into())),
        row(
            Value::Null,
            Value::Array(vec![Value::Integer(1), Value::Null]),
        ),
    ];
    let receipt = hand_over(&mut *sink(&names, &[]), records).await;
    receipt.await.expect("it is delivered");
    let seen = read_topic(&topic).await;
    assert!(seen.iter().all(|message| message.partition == 1));
    assert_eq!(seen[0].timestamp_ms, Some(1_704_067_201_000));
    assert_eq!(
        seen[0].headers,
        [
            ("источник".to_owned(), Some("база".as_bytes().to_vec())),
            ("нет".to_owned(), None)
        ]
    );
    let parts: Vec<_> = seen
        .iter()
        .map(|m| (m.key.as_deref(), m.payload.as_deref()))
        .collect();
    assert_eq!(
        parts,
        [
            (Some("узел".as_bytes()), Some("тело".as_bytes())),
            (None, Some(&b""[..])),
            (Some(&b""[..]), None),
            (Some(&b"7"[..]), Some(&[0, 255][..])),
            (None, Some(&b"[1,null]"[..])),
        ]
    );
}

#[tokio::test]
async fn sends_an_empty_payload_without_value_and_constants_of_with() {
    let topic = make_topic("empty", 1, &[]).await;
    let mut sink = sink(&["Key"], &[("Topic", Value::text(&*topic))]);
    hand_over(&mut *sink, vec![vec![Value::text("а")]])
        .await
        .await
        .expect("it is delivered");
    let seen = read_topic(&topic).await;
    assert_eq!(
        (seen[0].key.as_deref(), seen[0].payload.as_deref()),
        (Some("а".as_bytes()), Some(&b""[..]))
    );
}

#[tokio::test]
async fn names_a_missing_topic_within_5_seconds() {
    let begun = Instant::now();
    let mut sink = sink(&["Topic", "Value"], &[]);
    let error = refused(&mut *sink, numbered("dajet-nowhere", 0..3)).await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(error.class, ErrorClass::Misconfigured);
    assert_eq!(error.message, "topic \"dajet-nowhere\" does not exist");
    assert_eq!(error.hint.as_deref(), Some("Create it, or correct Topic."));
}

#[tokio::test]
async fn keeps_its_deadline_when_no_broker_can_be_reached() {
    let begun = Instant::now();
    let options = vec![
        (Arc::from("BootstrapServers"), Value::text("127.0.0.1:1")),
        (Arc::from("MessageTimeoutMs"), Value::Integer(2000)),
    ];
    let mut sink = sink_of(&["Topic", "Value"], options);
    let error = refused(&mut *sink, numbered("orders", 0..3)).await;
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_secs(2) && took < Duration::from_secs(4),
        "{took:?}"
    );
    assert_eq!(error.class, ErrorClass::Transient);
    assert_eq!(
        error.message,
        "no kafka broker of \"127.0.0.1:1\" answers within 2s"
    );
    assert!(
        error
            .hint
            .is_some_and(|hint| hint.contains("Connection refused"))
    );
}

#[tokio::test]
async fn delivers_nothing_behind_a_message_that_the_topic_refuses() {
    let topic = make_topic("small", 1, &[("max.message.bytes", "5000")]).await;
    let mut sink = sink(&["Topic", "Value"], &[("BatchSize", Value::Integer(2000))]);
    let text = |n: usize| vec![Value::text(&*topic), Value::text(format!("{n:0>500}"))];
    let mut records: Vec<Record> = (0..40).map(text).collect();
    records[20][1] = Value::text("x".repeat(20_000));
    let first = hand_over(&mut *sink, records).await;
    let second = sink.deliver((40..60).map(text).collect()).await;
    let error = first.await.expect_err("it is refused");
    assert_eq!(
        (error.class, error.record),
        (ErrorClass::Rejected, Some(20))
    );
    assert_eq!(
        error.message,
        format!("topic \"{topic}\" refuses a message of 20000 bytes as too large")
    );
    let hint = "The limit is 5000 bytes: raise max.message.bytes of the topic.";
    assert_eq!(error.hint.as_deref(), Some(hint));
    match second {
        Ok(receipt) => drop(receipt.await.expect_err("it is given up")),
        Err(error) => assert_eq!(error.class, ErrorClass::Transient),
    }
    drop(sink);
    let seen = read_topic(&topic).await;
    assert!(seen.len() <= 20, "{}", seen.len());
    for (n, message) in seen.iter().enumerate() {
        assert_eq!(message.text(), format!("{n:0>500}"));
    }
}

#[tokio::test]
async fn names_the_record_that_is_too_large_before_anything_is_sent() {
    let topic = make_topic("large", 1, &[]).await;
    let mut sink = sink(&["Topic", "Value"], &[]);
    let mut records = numbered(&topic, 0..3);
    records[2][1] = Value::text("x".repeat(1_000_001));
    let error = refused(&mut *sink, records).await;
    assert_eq!((error.class, error.record), (ErrorClass::Rejected, Some(2)));
    assert!(read_topic(&topic).await.is_empty());
}

#[tokio::test]
async fn gives_up_what_is_not_sent_when_the_receipt_is_dropped() {
    let topic = make_topic("dropped", 1, &[]).await;
    let mut sink = sink(&["Topic", "Value"], &[("LingerMs", Value::Integer(2000))]);
    drop(hand_over(&mut *sink, numbered(&topic, 0..100)).await);
    let error = refused(&mut *sink, numbered(&topic, 100..200)).await;
    assert_eq!(error.class, ErrorClass::Transient);
    assert_eq!(error.message, "the producer has given up an earlier batch");
    drop(sink);
    let mut again = self::sink(&["Topic", "Value"], &[]);
    hand_over(&mut *again, numbered(&topic, 500..501))
        .await
        .await
        .expect("it is delivered");
    let seen: Vec<_> = read_topic(&topic)
        .await
        .iter()
        .map(|m| m.text().to_owned())
        .collect();
    assert_eq!(seen, ["500"]);
}

#[tokio::test]
async fn refuses_a_partition_that_does_not_exist() {
    let topic = make_topic("partition", 1, &[]).await;
    let mut sink = sink(
        &["Topic", "Partition"],
        &[("MessageTimeoutMs", Value::Integer(10_000))],
    );
    let records = vec![
        vec![Value::text(&*topic), Value::Integer(0)],
        vec![Value::text(&*topic), Value::Integer(9)],
    ];
    let error = refused(&mut *sink, records).await;
    assert_eq!(
        (error.class, error.record),
        (ErrorClass::Misconfigured, Some(1))
    );
    assert_eq!(
        error.message,
        format!("topic \"{topic}\" has no such partition")
    );
}

/// The library's own cluster: no other can be stopped at an exact moment.
#[tokio::test]
async fn gives_a_batch_up_at_its_deadline_when_the_broker_goes_away() {
    let cluster = rdkafka::mocking::MockCluster::new(1).expect("it starts");
    cluster.create_topic("orders", 1, 1).expect("it is made");
    let options = vec![
        (
            Arc::from("BootstrapServers"),
            Value::text(cluster.bootstrap_servers()),
        ),
        (Arc::from("MessageTimeoutMs"), Value::Integer(2000)),
    ];
    let mut sink = sink_of(&["Topic", "Value"], options);
    hand_over(&mut *sink, numbered("orders", 0..10))
        .await
        .await
        .expect("it is delivered");
    cluster.broker_down(1).expect("it stops");
    let begun = Instant::now();
    let receipt = hand_over(&mut *sink, numbered("orders", 10..20)).await;
    let error = receipt.await.expect_err("nobody confirms");
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_secs(2) && took < Duration::from_secs(3),
        "{took:?}"
    );
    assert_eq!(
        (error.class, error.code),
        (ErrorClass::Transient, "E_CONFIRM")
    );
    assert!(
        error
            .message
            .ends_with("did not confirm 10 of 10 messages within 2s"),
        "{error}"
    );
    let again = refused(&mut *sink, numbered("orders", 20..21)).await;
    assert_eq!(again.class, ErrorClass::Transient);
}

#[tokio::test]
async fn keeps_a_batch_through_a_short_outage() {
    let cluster = rdkafka::mocking::MockCluster::new(1).expect("it starts");
    cluster.create_topic("orders", 1, 1).expect("it is made");
    let options = vec![(
        Arc::from("BootstrapServers"),
        Value::text(cluster.bootstrap_servers()),
    )];
    let mut sink = sink_of(&["Topic", "Value"], options);
    hand_over(&mut *sink, numbered("orders", 0..10))
        .await
        .await
        .expect("it is delivered");
    cluster.broker_down(1).expect("it stops");
    let receipt = hand_over(&mut *sink, numbered("orders", 10..20)).await;
    cluster.broker_up(1).expect("it starts");
    assert_eq!(receipt.await.expect("it is delivered").records, 10);
}

#[tokio::test]
async fn names_a_message_without_key_that_a_compacted_topic_refuses() {
    let topic = make_topic("compacted", 1, &[("cleanup.policy", "compact")]).await;
    let mut sink = sink(&["Topic", "Key", "Value"], &[]);
    let row = |key: Value| vec![Value::text(&*topic), key, Value::text("тело")];
    let records = vec![
        row(Value::text("а")),
        row(Value::Null),
        row(Value::text("б")),
    ];
    let error = refused(&mut *sink, records).await;
    assert_eq!((error.class, error.record), (ErrorClass::Rejected, Some(1)));
    assert_eq!(
        error.hint.as_deref(),
        Some("A compacted topic takes no message without Key.")
    );
}

#[tokio::test]
async fn sends_smaller_requests_after_a_topic_has_refused_a_large_one() {
    let topic = make_topic("requests", 1, &[("max.message.bytes", "20000")]).await;
    let records = || {
        (0..500)
            .map(|n| vec![Value::text(&*topic), Value::text(format!("{n:0>350}"))])
            .collect()
    };
    // Another spelling of the address, so that what is learned does not touch the other tests.
    let options = || {
        vec![(
            Arc::from("BootstrapServers"),
            Value::text(format!("{},{}", brokers(), brokers())),
        )]
    };
    let error = refused(&mut *sink_of(&["Topic", "Value"], options()), records()).await;
    assert_eq!((error.class, error.record), (ErrorClass::Transient, None));
    assert_eq!(
        error.message,
        format!("topic \"{topic}\" refuses a request of more than 20000 bytes")
    );
    let mut again = sink_of(&["Topic", "Value"], options());
    hand_over(&mut *again, records())
        .await
        .await
        .expect("it is delivered");
    let seen: Vec<usize> = read_topic(&topic)
        .await
        .iter()
        .map(|m| m.text().parse().expect("a number"))
        .collect();
    assert_eq!(seen, (0..500).collect::<Vec<_>>());
}
