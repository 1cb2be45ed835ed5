//! From a delivered message to a record.

use std::sync::{Arc, LazyLock};

use bytestring::ByteString;
use dajet_core::{OrderKeys, Record, Records, Shape, Value};
use lapin::message::Delivery;
use lapin::types::ShortString;

use super::headers::{from_seconds, from_table};

/// The members of a message.
pub(super) const MEMBERS: &[&str] = &[
    "AppId",
    "MessageId",
    "Type",
    "Body",
    "ContentType",
    "ContentEncoding",
    "ReplyTo",
    "CorrelationId",
    "Headers",
    "Exchange",
    "RoutingKey",
    "Redelivered",
    "Timestamp",
    "DeliveryTag",
];

static SHAPE: LazyLock<Arc<Shape>> = LazyLock::new(|| Shape::new(MEMBERS.iter().copied()));

/// By what error messages name a message.
static KEYS: LazyLock<Arc<Shape>> = LazyLock::new(|| Shape::new(["DeliveryTag", "MessageId"]));

/// Makes the records of a batch, and what names them.
pub(super) fn records(deliveries: Vec<Delivery>) -> (Records, OrderKeys) {
    let mut keys = OrderKeys {
        shape: KEYS.clone(),
        values: Vec::new(),
    };
    let (mut exchange, mut routing_key) = (Value::text(""), Value::text(""));
    let rows = deliveries
        .into_iter()
        .map(|delivery| {
            let tag = Value::Integer(delivery.delivery_tag as i64);
            let id = optional(delivery.properties.message_id());
            keys.values.extend([tag, id.clone()]);
            // Messages of a queue have come by the same way, most of the time.
            share(&mut exchange, delivery.exchange.as_str());
            share(&mut routing_key, delivery.routing_key.as_str());
            record(delivery, id, exchange.clone(), routing_key.clone())
        })
        .collect();
    (
        Records {
            shape: SHAPE.clone(),
            rows,
        },
        keys,
    )
}

/// Bytes that the message holds in memory.
pub(super) fn size(delivery: &Delivery) -> usize {
    // The other members are bounded by the protocol and small as a rule.
    512 + delivery.data.len()
}

/// Makes a new text only if it is another one than before.
fn share(before: &mut Value, text: &str) {
    if !matches!(before, Value::Text(known) if **known == *text) {
        *before = Value::text(text);
    }
}

fn record(delivery: Delivery, id: Value, exchange: Value, routing_key: Value) -> Record {
    let properties = &delivery.properties;
    vec![
        optional(properties.app_id()),
        id,
        optional(properties.kind()),
        body(delivery.data),
        or(properties.content_type(), "application/json"),
        or(properties.content_encoding(), "UTF-8"),
        optional(properties.reply_to()),
        optional(properties.correlation_id()),
        properties
            .headers()
            .as_ref()
            .map_or(Value::Null, from_table),
        exchange,
        routing_key,
        Value::Boolean(delivery.redelivered),
        properties.timestamp().map_or(Value::Null, from_seconds),
        Value::Integer(delivery.delivery_tag as i64),
    ]
}

/// Text; bytes if it is none, so that nothing is lost.
fn body(data: Vec<u8>) -> Value {
    match String::from_utf8(data) {
        Ok(text) => Value::text(text),
        Err(error) => Value::Binary(error.into_bytes().into()),
    }
}

fn optional(text: &Option<ShortString>) -> Value {
    text.as_ref()
        .map_or(Value::Null, |text| Value::text(text.as_str()))
}

fn or(text: &Option<ShortString>, absent: &'static str) -> Value {
    match text {
        Some(text) => Value::text(text.as_str()),
        None => Value::Text(ByteString::from_static(absent)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_records_that_lose_nothing() {
        let text = Delivery::mock(7, "обмен".into(), "ключ".into(), true, "тело\0😀".into());
        let bytes = Delivery::mock(8, "".into(), "q".into(), false, vec![0xff]);
        let (records, keys) = records(vec![text, bytes]);
        let value = |row: usize, name: &str| {
            let column = records.shape.index(name).expect("it is a member");
            records.rows[row][column].clone()
        };
        assert_eq!(value(0, "Body"), Value::text("тело\0😀"));
        assert_eq!(value(0, "Exchange"), Value::text("обмен"));
        assert_eq!(value(0, "Redelivered"), Value::Boolean(true));
        assert_eq!(value(0, "ContentType"), Value::text("application/json"));
        assert_eq!(value(0, "AppId"), Value::Null);
        assert_eq!(value(0, "Headers"), Value::Null);
        assert_eq!(value(1, "Body"), Value::Binary(vec![0xff].into()));
        assert_eq!(
            keys.describe(1).as_deref(),
            Some("DeliveryTag = 8, MessageId = NULL")
        );
    }
}
