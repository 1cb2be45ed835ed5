//! What the sink promises.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dajet_adapters::amqp::CONNECTOR;
use dajet_core::{
    Address, BoxFuture, Environment, ErrorClass, MessageSpec, Object, Receipt, Record, Shape, Sink,
    SystemError, Value,
};
use lapin::ExchangeKind;
use lapin::types::{AMQPValue, ShortString};

use super::broker::{Broker, address, unique};

type ReceiptFuture = BoxFuture<'static, Result<Receipt, SystemError>>;

pub fn open(
    address: &str,
    columns: &[&str],
    options: &[(&str, Value)],
) -> Result<Box<dyn Sink>, SystemError> {
    let spec = MessageSpec {
        address: Address::new(address),
        options: options
            .iter()
            .map(|(name, value)| (Arc::from(*name), value.clone()))
            .collect(),
        columns: Shape::new(columns.iter().copied()),
    };
    CONNECTOR.sink.expect("rabbitmq takes messages")(&spec, &Environment::default())
}

fn sink(columns: &[&str], options: &[(&str, Value)]) -> Box<dyn Sink> {
    open(&address(), columns, options).expect("the options are valid")
}

async fn hand_over(sink: &mut dyn Sink, records: Vec<Record>) -> ReceiptFuture {
    sink.deliver(records)
        .await
        .expect("the records are handed over")
}

pub async fn refused(sink: &mut dyn Sink, records: Vec<Record>) -> SystemError {
    match sink.deliver(records).await {
        Ok(receipt) => receipt.await.expect_err("it is refused"),
        Err(error) => error,
    }
}

pub fn numbered(queue: &str, numbers: std::ops::Range<usize>) -> Vec<Record> {
    numbers
        .map(|n| vec![Value::text(queue), Value::Integer(n as i64)])
        .collect()
}

const QUEUE_BODY: [&str; 2] = ["RoutingKey", "Body"];

#[tokio::test]
async fn carries_every_property_and_type_of_header() {
    let broker = Broker::connect().await;
    let queue = broker.queue("properties", "classic", &[]).await;
    let headers = Object {
        members: vec![
            ("источник".into(), Value::text("база")),
            ("номер".into(), Value::Integer(-5)),
            ("да".into(), Value::Boolean(true)),
            ("нет".into(), Value::Null),
            (
                "сумма".into(),
                Value::Decimal("1.50".parse().expect("a decimal")),
            ),
        ],
    };
    let pairs = [
        ("RoutingKey", Value::text(&*queue)),
        ("AppId", Value::text("приложение")),
        ("MessageId", Value::Integer(42)),
        ("Type", Value::text("вид")),
        ("ReplyTo", Value::text("ответ")),
        ("CorrelationId", Value::text("связь")),
        ("Expiration", Value::Integer(600_000)),
        ("Body", Value::text("тело 😀\u{0}")),
        ("ContentType", Value::text("text/plain")),
        ("ContentEncoding", Value::Null),
        ("DeliveryMode", Value::Integer(1)),
        ("Priority", Value::Integer(9)),
        ("Headers", Value::Object(Box::new(headers))),
    ];
    let columns: Vec<_> = pairs.iter().map(|(name, _)| *name).collect();
    let record = pairs.iter().map(|(_, value)| value.clone()).collect();
    let mut sink = sink(&columns, &[]);
    hand_over(&mut *sink, vec![record])
        .await
        .await
        .expect("it is delivered");
    let seen = broker.take(&queue, 1).await.remove(0);
    assert_eq!(seen.data, "тело 😀\u{0}".as_bytes());
    let text = |value: &Option<ShortString>| value.as_ref().map(ToString::to_string);
    let properties = &seen.properties;
    let texts = [
        (text(properties.app_id()), "приложение"),
        (text(properties.message_id()), "42"),
        (text(properties.kind()), "вид"),
        (text(properties.reply_to()), "ответ"),
        (text(properties.correlation_id()), "связь"),
        (text(properties.expiration()), "600000"),
        (text(properties.content_type()), "text/plain"),
        (text(properties.content_encoding()), "UTF-8"),
    ];
    for (seen, expected) in texts {
        assert_eq!(seen.as_deref(), Some(expected));
    }
    assert_eq!(
        (*properties.delivery_mode(), *properties.priority()),
        (Some(1), Some(9))
    );
    let table = properties
        .headers()
        .as_ref()
        .expect("there are headers")
        .inner();
    assert_eq!(table["номер"], AMQPValue::LongLongInt(-5));
    assert_eq!(table["да"], AMQPValue::Boolean(true));
    assert_eq!(table["нет"], AMQPValue::Void);
    assert_eq!(table["сумма"], AMQPValue::LongString("1.50".into()));
    assert_eq!(table["источник"], AMQPValue::LongString("база".into()));
}

#[tokio::test]
async fn sends_copies_openly_and_secretly() {
    let broker = Broker::connect().await;
    let mut queues = Vec::new();
    for about in ["to", "copy", "blind"] {
        queues.push(broker.queue(about, "quorum", &[]).await);
    }
    let columns = ["RoutingKey", "CarbonCopy", "BlindCopy", "Body"];
    let record: Record = queues
        .iter()
        .map(|queue| Value::text(&**queue))
        .chain([Value::text("тело")])
        .collect();
    hand_over(&mut *sink(&columns, &[]), vec![record])
        .await
        .await
        .expect("it is delivered");
    for queue in &queues {
        let seen = broker.take(queue, 1).await.remove(0);
        let headers = seen
            .properties
            .headers()
            .as_ref()
            .expect("there are headers");
        assert!(headers.contains_key("CC"));
        assert!(!headers.contains_key("BCC"));
    }
}

#[tokio::test]
async fn routes_by_exchange_and_takes_constants_of_with() {
    let broker = Broker::connect().await;
    let exchange = broker.exchange("topic", ExchangeKind::Topic).await;
    let queue = broker.queue("routed", "classic", &[]).await;
    broker.bind(&queue, &exchange, "заказы.*").await;
    let mut sink = sink(&QUEUE_BODY, &[("Exchange", Value::text(&*exchange))]);
    let record = vec![Value::text("заказы.новые"), Value::text("")];
    hand_over(&mut *sink, vec![record])
        .await
        .await
        .expect("it is delivered");
    let seen = broker.take(&queue, 1).await.remove(0);
    assert_eq!(
        (seen.routing_key.as_str(), seen.data.len()),
        ("заказы.новые", 0)
    );
    // Nobody listens to this one.
    let stray = vec![
        vec![Value::text("заказы.старые"), Value::text("а")],
        vec![Value::text("прочее"), Value::text("б")],
    ];
    let error = refused(&mut *sink, stray).await;
    assert_eq!((error.class, error.record), (ErrorClass::Rejected, Some(1)));
    assert_eq!(
        error.message,
        format!("no queue is bound to exchange \"{exchange}\" for routing key \"прочее\"")
    );
    assert_eq!(
        (error.code, error.native_code.as_deref()),
        ("E_CONFIRM", Some("312 NO_ROUTE"))
    );
}

#[tokio::test]
async fn lets_messages_vanish_only_if_told_so() {
    let mut silent = sink(&QUEUE_BODY, &[("Mandatory", Value::Integer(0))]);
    let nowhere = unique("nowhere");
    let receipt = hand_over(&mut *silent, numbered(&nowhere, 0..3)).await;
    assert_eq!(receipt.await.expect("it is confirmed").records, 3);
    let error = refused(&mut *sink(&QUEUE_BODY, &[]), numbered(&nowhere, 0..3)).await;
    assert_eq!(
        (error.class, error.record),
        (ErrorClass::Misconfigured, Some(0))
    );
    assert_eq!(error.message, format!("queue \"{nowhere}\" does not exist"));
}

#[tokio::test]
async fn names_a_missing_exchange_and_one_that_is_refused() {
    let columns = ["Exchange", "RoutingKey"];
    let broker = Broker::connect().await;
    let queue = broker.queue("beside", "classic", &[]).await;
    let records = vec![
        vec![Value::text(""), Value::text(&*queue)],
        vec![Value::text("нет такого"), Value::text("к")],
    ];
    let error = refused(&mut *sink(&columns, &[]), records).await;
    assert_eq!(
        (error.class, error.record),
        (ErrorClass::Misconfigured, Some(1))
    );
    assert_eq!(error.message, "exchange \"нет такого\" does not exist");
    let internal = vec![vec![Value::text("amq.rabbitmq.trace"), Value::text("к")]];
    let error = refused(&mut *sink(&columns, &[]), internal).await;
    assert_eq!(error.class, ErrorClass::Misconfigured);
    assert_eq!(error.native_code.as_deref(), Some("403 ACCESS_REFUSED"));
}

#[tokio::test]
async fn names_the_message_that_a_full_queue_refuses() {
    let broker = Broker::connect().await;
    let full = [
        ("x-max-length", AMQPValue::LongInt(2)),
        ("x-overflow", AMQPValue::LongString("reject-publish".into())),
    ];
    let queue = broker.queue("full", "classic", &full).await;
    let mut sink = sink(&QUEUE_BODY, &[("ConfirmWindow", Value::Integer(1))]);
    let error = refused(&mut *sink, numbered(&queue, 0..9)).await;
    assert_eq!(
        (error.class, error.record),
        (ErrorClass::Transient, Some(2))
    );
    assert_eq!(
        error.message,
        format!("queue \"{queue}\" refuses a message")
    );
    // One at a time: nothing behind the refused one is there.
    assert_eq!(broker.bodies(&queue).await, ["0", "1"]);
    let later = sink.deliver(numbered(&queue, 9..10)).await;
    let message = later.err().map(|error| error.message);
    assert_eq!(
        message.as_deref(),
        Some("the connection has given up an earlier batch")
    );
}

#[tokio::test]
async fn carries_ten_megabytes() {
    let broker = Broker::connect().await;
    let queue = broker.queue("large", "classic", &[]).await;
    let text = "ю".repeat(5 << 20);
    let record = vec![Value::text(&*queue), Value::text(&*text)];
    hand_over(&mut *sink(&QUEUE_BODY, &[]), vec![record; 3])
        .await
        .await
        .expect("it is delivered");
    let seen = broker.take(&queue, 3).await;
    assert!(seen.iter().all(|message| message.data == text.as_bytes()));
}

#[tokio::test]
async fn takes_options_of_the_connection_from_the_record_too() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let columns = ["RoutingKey", "RequestedConnectionTimeout"];
    let mut sink = open(&format!("amqp://127.0.0.1:{port}"), &columns, &[]).expect("it is valid");
    let begun = Instant::now();
    // The peer takes the connection and says nothing.
    let error = refused(&mut *sink, vec![vec![Value::text("q"), Value::Integer(1)]]).await;
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(error.class, ErrorClass::Transient);
    assert_eq!(
        error.message,
        format!("cannot connect to \"127.0.0.1:{port}/\" within 1s")
    );
}

#[tokio::test]
async fn tells_why_it_cannot_connect_without_the_password() {
    let failure = async |address: &str| {
        let mut sink = open(address, &QUEUE_BODY, &[]).expect("it is valid");
        let error = refused(&mut *sink, numbered("q", 0..1)).await;
        assert!(!format!("{error:?}").contains("geheim"), "{error:?}");
        error
    };
    let error = failure("amqp://guest:geheim@127.0.0.1:1/").await;
    assert_eq!(
        error.message,
        "cannot connect to \"127.0.0.1:1/\": connection refused"
    );
    assert_eq!(error.class, ErrorClass::Transient);
    let place = address()
        .rsplit('@')
        .next()
        .expect("there is a host")
        .trim_end_matches('/')
        .to_owned();
    let error = failure(&format!("amqp://guest:geheim@{place}/")).await;
    assert_eq!(error.class, ErrorClass::Misconfigured, "{error:?}");
    assert_eq!(
        error.hint.as_deref(),
        Some("Correct user and password of the address.")
    );
    let error = failure(&format!("{}/нет", address().trim_end_matches('/'))).await;
    assert_eq!(error.class, ErrorClass::Misconfigured, "{error:?}");
    assert!(
        error.hint.is_some_and(|hint| hint.contains("virtual host")),
        "{}",
        error.message
    );
}
