//! From a message of the library to a record: each text is copied once.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use bytestring::ByteString;
use dajet_core::{Object, OrderKeys, Record, Records, Shape, Value};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rdkafka::message::{BorrowedMessage, Headers, Message};

/// The members of a message.
pub(super) const MEMBERS: &[&str] = &[
    "Key",
    "Value",
    "Topic",
    "Partition",
    "Offset",
    "Timestamp",
    "Headers",
];

static SHAPE: LazyLock<Arc<Shape>> = LazyLock::new(|| Shape::new(MEMBERS.iter().copied()));

/// By what error messages name a message.
static KEYS: LazyLock<Arc<Shape>> = LazyLock::new(|| Shape::new(["Topic", "Partition", "Offset"]));

/// What a message holds in memory beside its texts.
const OVERHEAD_BYTES: usize = 512;

/// A partition of a topic.
pub(super) type Place = (ByteString, i32);

/// A message in our own memory.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) place: Place,
    pub(super) offset: i64,
    pub(super) key: Value,
    pub(super) value: Value,
    /// Since 1970 in UTC.
    pub(super) timestamp_ms: Option<i64>,
    /// In the order of the message; names may repeat.
    pub(super) headers: Vec<(Arc<str>, Value)>,
}

impl Letter {
    /// Copies a message. `topic` is its topic, to be shared.
    pub(super) fn copy(message: &BorrowedMessage<'_>, topic: ByteString) -> Self {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers
                .iter()
                .map(|header| (Arc::from(header.key), value(header.value)))
                .collect()
        });
        Self {
            place: (topic, message.partition()),
            offset: message.offset(),
            key: value(message.key()),
            value: value(message.payload()),
            timestamp_ms: message.timestamp().to_millis(),
            headers,
        }
    }

    /// Bytes that the message holds in memory.
    pub(super) fn size(&self) -> usize {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.size());
        OVERHEAD_BYTES + self.key.size() + self.value.size() + headers.sum::<usize>()
    }

    /// The time of the message; NULL if it has none.
    pub(super) fn time(&self) -> Value {
        self.timestamp_ms
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .map_or(Value::Null, |time| {
                Value::DateTime(time.to_zoned(TimeZone::UTC).datetime())
            })
    }

    fn record(self) -> Record {
        let time = self.time();
        let (topic, partition) = self.place;
        vec![
            self.key,
            self.value,
            Value::Text(topic),
            Value::Integer(partition.into()),
            Value::Integer(self.offset),
            time,
            object(self.headers),
        ]
    }
}

/// Makes the records of a batch, and what names them.
pub(super) fn records(letters: Vec<Letter>) -> (Records, OrderKeys) {
    let mut keys = OrderKeys {
        shape: KEYS.clone(),
        values: Vec::with_capacity(letters.len() * 3),
    };
    let rows = letters
        .into_iter()
        .map(|letter| {
            keys.values.extend([
                Value::Text(letter.place.0.clone()),
                Value::Integer(letter.place.1.into()),
                Value::Integer(letter.offset),
            ]);
            letter.record()
        })
        .collect();
    let shape = SHAPE.clone();
    (Records { shape, rows }, keys)
}

/// Text; bytes if it is none, so that nothing is lost; NULL for a tombstone.
fn value(bytes: Option<&[u8]>) -> Value {
    let Some(bytes) = bytes else {
        return Value::Null;
    };
    let bytes = Bytes::copy_from_slice(bytes);
    match ByteString::try_from(bytes.clone()) {
        Ok(text) => Value::Text(text),
        Err(_) => Value::Binary(bytes),
    }
}

/// NULL without headers; the values of a name that repeats become an array.
fn object(headers: Vec<(Arc<str>, Value)>) -> Value {
    if headers.is_empty() {
        return Value::Null;
    }
    let mut members: Vec<(Arc<str>, Value)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        // A header's own value is never an array.
        match members.iter_mut().find(|(known, _)| *known == name) {
            Some((_, Value::Array(values))) => values.push(value),
            Some((_, first)) => *first = Value::Array(vec![std::mem::take(first), value]),
            None => members.push((name, value)),
        }
    }
    Value::Object(Box::new(Object { members }))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A small message.
    pub(in crate::kafka) fn letter(topic: &str, partition: i32, offset: i64) -> Letter {
        Letter {
            place: (topic.into(), partition),
            offset,
            key: Value::Null,
            value: Value::text("тело"),
            timestamp_ms: None,
            headers: Vec::new(),
        }
    }

    #[test]
    fn makes_records_that_lose_nothing() {
        let mut full = letter("заказы", 3, 57);
        full.key = value(Some("ключ".as_bytes()));
        full.timestamp_ms = Some(1_704_067_201_500);
        full.headers = vec![
            ("а".into(), value(Some(b"1"))),
            ("б".into(), Value::Null),
            ("а".into(), value(Some(&[0xff]))),
        ];
        let mut empty = letter("заказы", 3, 58);
        empty.value = value(None);
        let (records, keys) = records(vec![full, empty]);
        let member = |row: usize, name: &str| {
            records.rows[row][records.shape.index(name).expect("it is a member")].clone()
        };
        assert_eq!(member(0, "Key"), Value::text("ключ"));
        assert_eq!(member(0, "Value"), Value::text("тело"));
        assert_eq!(member(0, "Partition"), Value::Integer(3));
        assert_eq!(
            member(0, "Headers").to_string(),
            Value::Object(Box::new(Object {
                members: vec![
                    (
                        "а".into(),
                        Value::Array(vec![Value::text("1"), Value::Binary(vec![0xff].into())])
                    ),
                    ("б".into(), Value::Null)
                ]
            }))
            .to_string()
        );
        assert_eq!(member(0, "Timestamp").to_string(), "2024-01-01 00:00:01");
        assert_eq!(member(1, "Value"), Value::Null);
        assert_eq!(member(1, "Headers"), Value::Null);
        assert_eq!(member(1, "Timestamp"), Value::Null);
        assert_eq!(
            keys.describe(0).as_deref(),
            Some("Topic = заказы, Partition = 3, Offset = 57")
        );
    }
}
