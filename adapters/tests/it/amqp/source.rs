//! What the source promises.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dajet_adapters::amqp::open_source;
use dajet_core::{
    Address, BrokerSpec, Claim, Environment, ErrorClass, Limit, Read, Records, Signs, Source,
    SystemError, Value,
};
use lapin::types::{AMQPValue, DecimalValue, FieldTable, ShortString};
use lapin::{BasicProperties, ExchangeKind};

use super::broker::{Broker, KINDS, address, unique};

pub const USUAL: Limit = Limit {
    bytes: 16 << 20,
    wait_for_locked: false,
};
const DECIDING: Limit = Limit {
    bytes: 16 << 20,
    wait_for_locked: true,
};

pub fn source_at(
    address: &str,
    queue: &str,
    permits: usize,
    options: &[(&str, Value)],
) -> Box<dyn Source> {
    let mut all = vec![(Arc::from("QueueName"), Value::text(queue))];
    all.extend(
        options
            .iter()
            .map(|(name, value)| (Arc::from(*name), value.clone())),
    );
    let spec = BrokerSpec {
        address: Address::new(address),
        options: all,
        permits,
        target: None,
    };
    open_source(&spec, &Environment::default(), &|_| {
        panic!("no database is asked for")
    })
    .expect("the options are valid")
}

fn source(queue: &str, permits: usize, options: &[(&str, Value)]) -> Box<dyn Source> {
    source_at(&address(), queue, permits, options)
}

/// Records and the right to acknowledge them.
pub type Batch = (Records, Box<dyn Claim>);

/// Reads until there is a batch.
pub async fn batch(source: &mut dyn Source) -> Batch {
    let begun = Instant::now();
    loop {
        match source.read(USUAL, &[]).await.expect("it is read") {
            Read::Batch { records, claim, .. } => return (records, claim),
            Read::Empty { .. } => {
                assert!(begun.elapsed() < Duration::from_secs(30), "nothing comes")
            }
        }
    }
}

/// Reads until the broker says something bad.
pub async fn failure(source: &mut dyn Source) -> SystemError {
    let begun = Instant::now();
    loop {
        match source.read(USUAL, &[]).await {
            Err(error) => return error,
            Ok(Read::Batch { .. }) => panic!("there is a batch"),
            Ok(Read::Empty { .. }) => assert!(begun.elapsed() < Duration::from_secs(60)),
        }
    }
}

pub fn bodies(records: &Records) -> Vec<String> {
    let column = records.shape.index("Body").expect("it is a member");
    records
        .rows
        .iter()
        .map(|row| row[column].to_string())
        .collect()
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

fn of_ten(more: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    let mut options = vec![
        ("BatchSize", Value::Integer(10)),
        ("BatchTimeout", Value::text("2s")),
    ];
    options.extend_from_slice(more);
    options
}

/// Properties as another application sets them.
fn foreign_properties() -> BasicProperties {
    let mut headers = FieldTable::default();
    let fields = [
        ("а", AMQPValue::LongString("текст".into())),
        ("б", AMQPValue::LongString("2024-02-29T10:00:00".into())),
        ("в", AMQPValue::LongUInt(7)),
        (
            "г",
            AMQPValue::DecimalValue(DecimalValue {
                scale: 2,
                value: 150,
            }),
        ),
        ("д", AMQPValue::Void),
        (
            "CC",
            AMQPValue::FieldArray(vec![AMQPValue::LongString("x".into())].into()),
        ),
    ];
    for (name, value) in fields {
        headers.insert(name.into(), value);
    }
    BasicProperties::default()
        .with_app_id("приложение".into())
        .with_message_id("м1".into())
        .with_type("вид".into())
        .with_reply_to("ответ".into())
        .with_correlation_id("связь".into())
        .with_timestamp(1_704_067_201)
        .with_headers(headers)
}

#[tokio::test]
async fn makes_members_of_properties_and_headers() {
    let broker = Broker::connect().await;
    let queue = broker.queue("members", "classic", &[]).await;
    let properties = foreign_properties();
    broker
        .send(&queue, "тело 😀".as_bytes(), properties)
        .await
        .await
        .expect("it is taken");
    broker
        .send(&queue, &[0xff, 0], BasicProperties::default())
        .await
        .await
        .expect("it is taken");
    let mut source = source(
        &queue,
        1,
        &[
            ("BatchSize", Value::Integer(2)),
            ("BatchTimeout", Value::text("2s")),
        ],
    );
    let (records, claim) = batch(&mut *source).await;
    let member = |row: usize, name: &str| {
        records.rows[row][records.shape.index(name).expect("it is a member")].to_string()
    };
    let expected = [
        ("AppId", "приложение", "null"),
        ("MessageId", "м1", "null"),
        ("Type", "вид", "null"),
        ("ReplyTo", "ответ", "null"),
        ("CorrelationId", "связь", "null"),
        ("Body", "тело 😀", "0xff00"),
        ("ContentType", "application/json", "application/json"),
        ("ContentEncoding", "UTF-8", "UTF-8"),
        ("Timestamp", "2024-01-01 00:00:01", "null"),
        ("Exchange", "", ""),
        ("RoutingKey", &queue, &queue),
        ("Redelivered", "false", "false"),
        ("DeliveryTag", "1", "2"),
        (
            "Headers",
            "{\"а\":\"текст\",\"б\":\"2024-02-29T10:00:00\",\"в\":7,\"г\":1.50,\"д\":null}",
            "null",
        ),
    ];
    assert_eq!(records.shape.names.len(), expected.len());
    for (name, first, second) in expected {
        assert_eq!(
            (member(0, name).as_str(), member(1, name).as_str()),
            (first, second),
            "{name}"
        );
    }
    claim.commit().await.expect("it is acknowledged");
}

#[tokio::test]
async fn marks_what_comes_again() {
    let broker = Broker::connect().await;
    let queue = broker.queue("again", "classic", &[]).await;
    broker.fill(&queue, numbers(0..1)).await;
    for again in [false, true] {
        let (records, claim) = batch(&mut *source(&queue, 1, &[])).await;
        let column = records.shape.index("Redelivered").expect("it is a member");
        assert_eq!(records.rows[0][column], Value::Boolean(again));
        claim.release().await.expect("it is given back");
    }
}

#[tokio::test]
async fn commits_the_batch_before_the_one_that_is_released() {
    let broker = Broker::connect().await;
    for kind in KINDS {
        let queue = broker.queue("mixed", kind, &[]).await;
        broker.fill(&queue, numbers(0..50)).await;
        let mut source = source(&queue, 3, &of_ten(&[]));
        let (_, first) = batch(&mut *source).await;
        let (_, second) = batch(&mut *source).await;
        let (_, third) = batch(&mut *source).await;
        second.release().await.expect("it is given back");
        let error = third
            .commit()
            .await
            .expect_err("it is behind one that was given back");
        assert_eq!(
            error.message,
            "the messages were given back with an earlier batch"
        );
        let error = failure(&mut *source).await;
        assert_eq!(error.class, ErrorClass::Transient);
        first.commit().await.expect("it is acknowledged");
        let mut source = self::source(&queue, 1, &of_ten(&[]));
        let (records, _claim) = batch(&mut *source).await;
        assert_eq!(bodies(&records), numbers(10..20), "{kind}");
    }
}

#[tokio::test]
async fn refuses_to_commit_out_of_order() {
    let broker = Broker::connect().await;
    let queue = broker.queue("early", "classic", &[]).await;
    broker.fill(&queue, numbers(0..20)).await;
    let mut source = source(&queue, 2, &of_ten(&[]));
    let (_, _first) = batch(&mut *source).await;
    let (_, second) = batch(&mut *source).await;
    let error = second.commit().await.expect_err("the first one is open");
    assert_eq!(error.class, ErrorClass::Fault);
}

#[tokio::test]
async fn reads_one_by_one_with_a_prefetch_count_of_one() {
    let broker = Broker::connect().await;
    for kind in KINDS {
        let queue = broker.queue("single", kind, &[]).await;
        broker.fill(&queue, numbers(0..3)).await;
        let mut source = source(&queue, 2, &[("PrefetchCount", Value::Integer(1))]);
        let (records, claim) = batch(&mut *source).await;
        assert_eq!(bodies(&records), ["0"]);
        let read = source.read(USUAL, &[]).await.expect("it is read");
        assert!(
            matches!(read, Read::Empty { complete: false }),
            "no more than one is delivered"
        );
        claim.commit().await.expect("it is acknowledged");
        let (records, _claim) = batch(&mut *source).await;
        assert_eq!(bodies(&records), ["1"]);
    }
}

#[tokio::test]
async fn names_a_missing_queue() {
    let queue = unique("нет");
    let error = failure(&mut *source(&queue, 1, &[])).await;
    assert_eq!(error.class, ErrorClass::Misconfigured);
    assert!(
        error.message.contains(&format!("no queue '{queue}'")),
        "{}",
        error.message
    );
    assert_eq!(error.native_code.as_deref(), Some("404 NOT_FOUND"));
}

#[tokio::test]
async fn serves_two_sources_of_one_process_at_once() {
    let broker = Broker::connect().await;
    let queue = broker.queue("shared", "classic", &[]).await;
    broker.fill(&queue, numbers(0..100)).await;
    let begun = Instant::now();
    let ten = [
        ("PrefetchCount", Value::Integer(10)),
        ("BatchTimeout", Value::text("2s")),
    ];
    let (mut one, mut two) = (source(&queue, 1, &ten), source(&queue, 1, &ten));
    let (first, first_claim) = batch(&mut *one).await;
    let (second, second_claim) = batch(&mut *two).await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let all: BTreeSet<_> = bodies(&first).into_iter().chain(bodies(&second)).collect();
    assert_eq!(all.len(), 20);
    first_claim.commit().await.expect("it is acknowledged");
    second_claim.commit().await.expect("it is acknowledged");
}

/// Fails each batch that holds the body `яд`, as a pipeline does: a new source each time.
async fn drain_with_poison(queue: &str, options: &[(&str, Value)]) -> (Vec<String>, usize) {
    let (mut seen, mut failures) = (Vec::new(), 0);
    let mut source = source(queue, 1, options);
    loop {
        match source.read(DECIDING, &[]).await.expect("it is read") {
            Read::Empty { complete: true } => return (seen, failures),
            Read::Empty { .. } => {}
            Read::Batch {
                records, mut claim, ..
            } => {
                let texts = bodies(&records);
                if texts.contains(&"яд".to_owned()) {
                    claim.blame();
                    claim.release().await.expect("it is given back");
                    failures += 1;
                    source = self::source(queue, 1, options);
                } else {
                    claim.commit().await.expect("it is acknowledged");
                    seen.extend(texts);
                }
            }
        }
    }
}

#[tokio::test]
async fn puts_a_message_aside_that_fails_too_often() {
    let broker = Broker::connect().await;
    for kind in KINDS {
        let aside = broker.queue("aside", kind, &[]).await;
        let queue = broker.queue("poison", kind, &[]).await;
        let mut all = numbers(0..20);
        all.insert(7, "яд".to_owned());
        broker.fill(&queue, all).await;
        let options = [
            ("MaxAttempts", Value::Integer(2)),
            ("DeadLetter", Value::text(&*aside)),
        ];
        let (seen, failures) = drain_with_poison(&queue, &options).await;
        assert_eq!(seen, numbers(0..20), "{kind}");
        // Once in its batch, then alone.
        assert_eq!(failures, 3);
        let put = broker.take(&aside, 1).await.remove(0);
        assert_eq!(put.data, "яд".as_bytes());
        let headers = put
            .properties
            .headers()
            .as_ref()
            .expect("there are headers")
            .inner();
        assert_eq!(
            headers["dajet-queue"],
            AMQPValue::LongString(queue.as_str().into())
        );
        assert_eq!(headers["dajet-failures"], AMQPValue::LongLongInt(2));
    }
}

/// Properties that end a message's life, have it refused, or send it to others once more.
#[tokio::test]
async fn what_is_put_aside_stays_there_and_goes_nowhere_else() {
    let broker = Broker::connect().await;
    let aside = broker.queue("kept", "classic", &[]).await;
    let queue = broker.queue("expiring", "classic", &[]).await;
    let copies = broker.queue("copies", "classic", &[]).await;
    let user = url_user(&super::broker::address());
    let mut headers = FieldTable::default();
    let receivers = [AMQPValue::LongString(copies.as_str().into())];
    headers.insert(
        "CC".into(),
        AMQPValue::FieldArray(receivers.to_vec().into()),
    );
    headers.insert("номер".into(), AMQPValue::LongLongInt(7));
    let properties = BasicProperties::default()
        .with_expiration("600000".into())
        .with_user_id(user.as_str().into())
        .with_message_id("ид".into())
        .with_headers(headers);
    let sent = broker.send(&queue, "яд".as_bytes(), properties).await;
    assert!(sent.await.expect("the broker answers").is_ack());
    assert_eq!(
        broker.bodies(&copies).await,
        ["яд"],
        "the sender's own copy"
    );
    let options = [
        ("MaxAttempts", Value::Integer(1)),
        ("DeadLetter", Value::text(&*aside)),
    ];
    drain_with_poison(&queue, &options).await;
    let put = broker.take(&aside, 1).await.remove(0).properties;
    assert_eq!(
        put.message_id().as_ref().map(ShortString::as_str),
        Some("ид")
    );
    assert_eq!((put.expiration(), put.user_id()), (&None, &None));
    let kept = put.headers().as_ref().expect("there are headers").inner();
    assert!(!kept.contains_key("CC") && kept.contains_key("dajet-cc"));
    assert_eq!(kept["номер"], AMQPValue::LongLongInt(7));
    let text = |text: &str| AMQPValue::LongString(text.into());
    assert_eq!(kept["dajet-expiration"], text("600000"));
    assert_eq!(kept["dajet-user-id"], text(&user));
    assert_eq!(broker.counts(&copies).await.0, 0, "no second copy");
}

fn url_user(address: &str) -> String {
    let user = address
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once(':'));
    user.expect("the address has a user").0.to_owned()
}

#[tokio::test]
async fn leaves_it_to_the_queue_where_rejected_messages_go() {
    let broker = Broker::connect().await;
    let exchange = broker.exchange("dead", ExchangeKind::Fanout).await;
    let aside = broker.queue("rejected", "classic", &[]).await;
    broker.bind(&aside, &exchange, "").await;
    let dead = [(
        "x-dead-letter-exchange",
        AMQPValue::LongString(exchange.as_str().into()),
    )];
    let queue = broker.queue("rejecting", "classic", &dead).await;
    broker.fill(&queue, ["яд".to_owned(), "а".to_owned()]).await;
    let (seen, _) = drain_with_poison(&queue, &[("MaxAttempts", Value::Integer(1))]).await;
    assert_eq!(seen, ["а"]);
    assert_eq!(broker.bodies(&aside).await, ["яд"]);
}

#[tokio::test]
async fn looks_for_the_dead_letter_queue_before_it_is_needed() {
    let broker = Broker::connect().await;
    let queue = broker.queue("without", "classic", &[]).await;
    let options = [
        ("MaxAttempts", Value::Integer(1)),
        ("DeadLetter", Value::text("нет такого")),
    ];
    let error = failure(&mut *source(&queue, 1, &options)).await;
    assert_eq!(error.class, ErrorClass::Misconfigured);
    assert_eq!(
        error.hint.as_deref(),
        Some(
            "DeadLetter \"нет такого\" is neither an exchange nor a queue. Without DeadLetter messages are rejected: the queue's own dead-letter exchange takes them."
        )
    );
}

#[tokio::test]
async fn shows_how_many_messages_wait() {
    let broker = Broker::connect().await;
    let queue = broker.queue("lag", "classic", &[]).await;
    broker.fill(&queue, numbers(0..30)).await;
    let mut source = source(&queue, 2, &of_ten(&[]));
    let signs = Signs::default();
    source.show(&signs);
    let mut left = 30;
    while left > 0 {
        let (records, claim) = batch(&mut *source).await;
        assert!(signs.lag().is_some_and(|lag| lag <= 30));
        left -= records.rows.len();
        claim.commit().await.expect("it is committed");
    }
    let deciding = Limit {
        wait_for_locked: true,
        ..USUAL
    };
    let read = source.read(deciding, &[]).await.expect("it is read");
    assert!(matches!(read, Read::Empty { .. }));
    assert_eq!(signs.lag(), Some(0));
    broker.delete(&queue).await;
}
