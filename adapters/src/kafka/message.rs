//! From a record to a message: which column is what, and how values become bytes.

use std::borrow::Cow;

use dajet_core::value::{datetime_to_json, parse_datetime};
use dajet_core::{MessageSpec, Object, Record, SystemError, Value};
use jiff::tz::TimeZone;
use rdkafka::message::{Header, OwnedHeaders};

/// Most bytes that the library adds to a message.
const OVERHEAD_BYTES: usize = 36;
/// Most bytes of a topic's name.
const TOPIC_BYTES_MAX: usize = 249;

/// The parts of a message that a script names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Topic,
    Key,
    Value,
    Headers,
    Partition,
    Timestamp,
}

impl Member {
    /// Names, in the order of the enum.
    pub(super) const NAMES: [&str; 6] =
        ["Topic", "Key", "Value", "Headers", "Partition", "Timestamp"];
    const ALL: [Member; 6] = [
        Member::Topic,
        Member::Key,
        Member::Value,
        Member::Headers,
        Member::Partition,
        Member::Timestamp,
    ];

    /// Finds the member of a name; `topic` is an old way to write `Topic`.
    pub(super) fn of(name: &str) -> Option<Self> {
        let name = if name == "topic" { "Topic" } else { name };
        Self::NAMES
            .iter()
            .position(|known| *known == name)
            .map(|index| Self::ALL[index])
    }
}

/// Where the value of a member comes from.
#[derive(Clone, Debug)]
enum Origin {
    Absent,
    Column(usize),
    Constant(Value),
}

impl Origin {
    fn of<'a>(&'a self, record: &'a Record) -> Option<&'a Value> {
        match self {
            Origin::Absent => None,
            Origin::Column(index) => record.get(*index),
            Origin::Constant(value) => Some(value),
        }
    }
}

/// The columns of a sink's records. What is given in `WITH` is constant and wins, as in the original.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    origins: [Origin; 6],
}

impl Columns {
    pub(super) fn new(spec: &MessageSpec) -> Self {
        let mut origins = [const { Origin::Absent }; 6];
        for (index, name) in spec.columns.names.iter().enumerate() {
            if let Some(member) = Member::of(name) {
                origins[member as usize] = Origin::Column(index);
            }
        }
        for (name, value) in &spec.options {
            if let Some(member) = Member::of(name) {
                origins[member as usize] = Origin::Constant(value.clone());
            }
        }
        Self { origins }
    }

    fn value<'a>(&'a self, member: Member, record: &'a Record) -> Option<&'a Value> {
        self.origins[member as usize].of(record)
    }

    /// Makes the message of the record at `index` of its batch.
    ///
    /// # Errors
    /// `Rejected` with the index: no topic, a partition or timestamp out of range, more than `bytes_max` bytes.
    pub(super) fn message<'a>(
        &'a self,
        index: usize,
        record: &'a Record,
        bytes_max: usize,
    ) -> Result<Message<'a>, SystemError> {
        self.convert(record, bytes_max).map_err(|reason| {
            let mut error = SystemError::rejected("E_KAFKA", reason.message);
            error.record = Some(index);
            match reason.hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        })
    }

    fn convert<'a>(&'a self, record: &'a Record, bytes_max: usize) -> Result<Message<'a>, Refusal> {
        let topic = topic(self.value(Member::Topic, record))?;
        let key = self.value(Member::Key, record).and_then(bytes);
        // A missing column is an empty payload, NULL a tombstone.
        let payload = match self.value(Member::Value, record) {
            Some(value) => bytes(value),
            None => Some(Cow::Borrowed(&[][..])),
        };
        let (headers, header_bytes) = headers(self.value(Member::Headers, record))?;
        let message = Message {
            topic,
            key,
            payload,
            headers,
            partition: partition(self.value(Member::Partition, record))?,
            timestamp_ms: timestamp_ms(self.value(Member::Timestamp, record))?,
        };
        let size = message.bytes() + header_bytes;
        if size + OVERHEAD_BYTES > bytes_max {
            return Err(Refusal {
                message: format!("a message of {size} bytes to topic \"{topic}\" is too large"),
                hint: Some(format!(
                    "The limit is {bytes_max} bytes: set MessageMaxBytes in WITH, and max.message.bytes of the topic."
                )),
            });
        }
        Ok(message)
    }
}

/// A message that borrows from its record what it can.
#[derive(Debug)]
pub(super) struct Message<'a> {
    /// Not empty.
    pub(super) topic: &'a str,
    /// `None` for a null key.
    pub(super) key: Option<Cow<'a, [u8]>>,
    /// `None` for a tombstone.
    pub(super) payload: Option<Cow<'a, [u8]>>,
    /// In the order of the object's members.
    pub(super) headers: Option<OwnedHeaders>,
    /// `None` lets the library choose by the key.
    pub(super) partition: Option<i32>,
    /// Since 1970 in UTC; `None` for now.
    pub(super) timestamp_ms: Option<i64>,
}

impl Message<'_> {
    /// Bytes of key and payload.
    pub(super) fn bytes(&self) -> usize {
        let length = |part: &Option<Cow<'_, [u8]>>| part.as_ref().map_or(0, |bytes| bytes.len());
        length(&self.key) + length(&self.payload)
    }
}

/// Why a record is no message.
struct Refusal {
    message: String,
    hint: Option<String>,
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self {
            message,
            hint: None,
        }
    }
}

fn topic(value: Option<&Value>) -> Result<&str, Refusal> {
    let text = match value {
        Some(Value::Text(text)) => &**text,
        Some(Value::Null) | None => "",
        Some(other) => return Err(format!("Topic takes a text, not {}", other.type_name()).into()),
    };
    if text.is_empty() {
        return Err("Topic is empty".to_owned().into());
    }
    let legal = text.len() <= TOPIC_BYTES_MAX
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && text != "."
        && text != "..";
    if !legal {
        let shown: String = text.chars().take(TOPIC_BYTES_MAX).collect();
        return Err(Refusal {
            message: format!("\"{shown}\" is no valid name of a topic"),
            hint: Some(
                "It takes 1 to 249 letters a-z, digits, points, hyphens and underscores."
                    .to_owned(),
            ),
        });
    }
    Ok(text)
}

/// `None` for NULL.
fn bytes(value: &Value) -> Option<Cow<'_, [u8]>> {
    match value {
        Value::Null => None,
        Value::Text(text) => Some(Cow::Borrowed(text.as_bytes())),
        Value::Binary(bytes) => Some(Cow::Borrowed(bytes)),
        other => Some(Cow::Owned(other.to_string().into_bytes())),
    }
}

fn headers(value: Option<&Value>) -> Result<(Option<OwnedHeaders>, usize), Refusal> {
    let object: &Object = match value {
        None | Some(Value::Null) => return Ok((None, 0)),
        Some(Value::Object(object)) => object,
        Some(other) => {
            return Err(format!("Headers takes an object, not {}", other.type_name()).into());
        }
    };
    let mut size = 0;
    let mut headers = OwnedHeaders::new_with_capacity(object.members.len());
    for (name, value) in &object.members {
        let value = match value {
            // The text form would cut the fraction.
            Value::DateTime(time) => Some(Cow::Owned(datetime_to_json(*time).into_bytes())),
            other => bytes(other),
        };
        // Two lengths stand before name and value.
        size += name.len() + value.as_ref().map_or(0, |v| v.len()) + 10;
        let value: Option<&[u8]> = value.as_deref();
        headers = headers.insert(Header { key: name, value });
    }
    Ok((Some(headers), size))
}

fn partition(value: Option<&Value>) -> Result<Option<i32>, Refusal> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Integer(number)) => match i32::try_from(*number) {
            Ok(number) if number >= 0 => Ok(Some(number)),
            _ => Err(
                format!("Partition takes a whole number from 0 to 2147483647, not {number}").into(),
            ),
        },
        Some(other) => {
            Err(format!("Partition takes a whole number, not {}", other.type_name()).into())
        }
    }
}

fn timestamp_ms(value: Option<&Value>) -> Result<Option<i64>, Refusal> {
    let time = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::DateTime(time)) => *time,
        Some(Value::Text(text)) if let Some(time) = parse_datetime(text) => time,
        Some(other) => {
            return Err(format!("Timestamp takes a datetime, not {}", other.type_name()).into());
        }
    };
    // The library takes 0 for now.
    match time
        .to_zoned(TimeZone::UTC)
        .map(|zoned| zoned.timestamp().as_millisecond())
    {
        Ok(ms) if ms > 0 => Ok(Some(ms)),
        _ => Err(format!("Timestamp takes a datetime behind 1970, not {time}").into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use dajet_core::{Address, ErrorClass, Shape};
    use rdkafka::message::Headers;

    use super::*;

    fn columns(names: &[&str], options: &[(&str, Value)]) -> Columns {
        Columns::new(&MessageSpec {
            address: Address::new("kafka"),
            options: options
                .iter()
                .map(|(name, value)| ((*name).into(), value.clone()))
                .collect(),
            columns: Shape::new(names.iter().copied()),
        })
    }

    fn refused(names: &[&str], record: Vec<Value>) -> String {
        let error = columns(names, &[])
            .message(7, &record, 1000)
            .expect_err("it is no message");
        assert_eq!((error.class, error.record), (ErrorClass::Rejected, Some(7)));
        error.message
    }

    fn object(members: &[(&str, Value)]) -> Value {
        let members = members
            .iter()
            .map(|(name, value)| (Arc::from(*name), value.clone()))
            .collect();
        Value::Object(Box::new(Object { members }))
    }

    #[test]
    fn takes_members_from_columns_and_constants() {
        let columns = columns(&["Value", "topic", "Key"], &[("Key", Value::text("узел"))]);
        let record = vec![
            Value::text("тело"),
            Value::text("orders"),
            Value::text("other"),
        ];
        let message = columns.message(0, &record, 1000).expect("it is a message");
        assert_eq!(message.topic, "orders");
        assert_eq!(message.key.as_deref(), Some("узел".as_bytes()));
        assert_eq!(message.payload.as_deref(), Some("тело".as_bytes()));
        assert_eq!((message.partition, message.timestamp_ms), (None, None));
    }

    #[test]
    fn tells_a_tombstone_from_an_empty_payload() {
        let topic = || Value::text("t");
        let record = vec![topic(), Value::Null, Value::Null];
        let with_value = columns(&["Topic", "Key", "Value"], &[]);
        let message = with_value
            .message(0, &record, 1000)
            .expect("it is a message");
        assert!(message.payload.is_none() && message.key.is_none());
        let without_value = columns(&["Topic"], &[]);
        let record = vec![topic()];
        let message = without_value
            .message(0, &record, 1000)
            .expect("it is a message");
        assert_eq!(message.payload.as_deref(), Some(&[][..]));
    }

    #[test]
    fn writes_bytes_as_they_are_and_other_values_as_text() {
        let written =
            |value: Value| bytes(&value).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert_eq!(
            bytes(&Value::Binary(Bytes::from_static(&[0, 255]))).as_deref(),
            Some(&[0, 255][..])
        );
        assert_eq!(written(Value::Integer(-5)).as_deref(), Some("-5"));
        assert_eq!(written(Value::Boolean(true)).as_deref(), Some("true"));
        assert_eq!(
            written(object(&[("Код", Value::text("а"))])).as_deref(),
            Some("{\"Код\":\"а\"}")
        );
        assert_eq!(
            written(Value::Array(vec![Value::Integer(1)])).as_deref(),
            Some("[1]")
        );
    }

    #[test]
    fn fills_headers_partition_and_timestamp() {
        let columns = columns(&["Topic", "Headers", "Partition", "Timestamp"], &[]);
        let record = vec![
            Value::text("t"),
            object(&[
                ("источник", Value::text("база")),
                ("n", Value::Integer(1)),
                ("пусто", Value::Null),
                (
                    "время",
                    Value::DateTime(jiff::civil::date(2024, 1, 2).at(3, 4, 5, 123_456_700)),
                ),
            ]),
            Value::Integer(3),
            Value::text("2024-01-01T00:00:01.5"),
        ];
        let message = columns.message(0, &record, 1000).expect("it is a message");
        assert_eq!(
            (message.partition, message.timestamp_ms),
            (Some(3), Some(1_704_067_201_500))
        );
        let headers = message.headers.expect("there are headers");
        let list: Vec<_> = headers
            .iter()
            .map(|header| (header.key, header.value))
            .collect();
        assert_eq!(
            list,
            [
                ("источник", Some("база".as_bytes())),
                ("n", Some(&b"1"[..])),
                ("пусто", None),
                ("время", Some(&b"2024-01-02T03:04:05.1234567"[..])),
            ]
        );
    }

    #[test]
    fn refuses_records_that_are_no_messages() {
        assert_eq!(refused(&["Value"], vec![Value::Null]), "Topic is empty");
        assert_eq!(refused(&["Topic"], vec![Value::text("")]), "Topic is empty");
        assert_eq!(
            refused(&["Topic"], vec![Value::Integer(1)]),
            "Topic takes a text, not integer"
        );
        assert_eq!(
            refused(&["Topic"], vec![Value::text("заказы")]),
            "\"заказы\" is no valid name of a topic"
        );
        assert_eq!(
            refused(
                &["Topic", "Value"],
                vec![Value::text("t"), Value::text("x".repeat(990))]
            ),
            "a message of 990 bytes to topic \"t\" is too large"
        );
        assert_eq!(
            refused(
                &["Topic", "Partition"],
                vec![Value::text("t"), Value::Integer(-1)]
            ),
            "Partition takes a whole number from 0 to 2147483647, not -1"
        );
        assert_eq!(
            refused(
                &["Topic", "Headers"],
                vec![Value::text("t"), Value::text("x")]
            ),
            "Headers takes an object, not string"
        );
        assert_eq!(
            refused(
                &["Topic", "Timestamp"],
                vec![
                    Value::text("t"),
                    Value::DateTime(jiff::civil::date(1, 1, 1).at(0, 0, 0, 0))
                ]
            ),
            "Timestamp takes a datetime behind 1970, not 0001-01-01T00:00:00"
        );
    }
}
