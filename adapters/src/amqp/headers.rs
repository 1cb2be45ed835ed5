//! Headers in both directions: an object of the language is a table of the protocol.

use std::sync::Arc;

use dajet_core::value::{datetime_to_json, parse_datetime, parse_entity, parse_uuid};
use dajet_core::{Decimal, Object, Value};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use lapin::types::{AMQPValue, ByteArray, FieldArray, FieldTable, LongString, ShortString};

/// Receivers that are named by the sender; not delivered as a header.
pub(super) const CARBON_COPY: &str = "CC";
/// Receivers that are named by the sender and stripped by the broker.
pub(super) const BLIND_COPY: &str = "BCC";

/// Makes a table; names the header whose name is too long.
pub(super) fn to_table(object: &Object) -> Result<FieldTable, String> {
    let mut table = FieldTable::default();
    for (name, value) in &object.members {
        let Ok(short) = ShortString::try_new(&**name) else {
            let shown: String = name.chars().take(50).collect();
            return Err(format!(
                "the name of header \"{shown}…\" is longer than 255 bytes"
            ));
        };
        table.insert(short, to_field(value));
    }
    Ok(table)
}

/// Booleans, integers and bytes keep their type, what has none in the protocol is text.
fn to_field(value: &Value) -> AMQPValue {
    match value {
        Value::Null => AMQPValue::Void,
        Value::Boolean(value) => AMQPValue::Boolean(*value),
        Value::Integer(number) => AMQPValue::LongLongInt(*number),
        Value::Text(text) => AMQPValue::LongString((&**text).into()),
        Value::Binary(bytes) => AMQPValue::ByteArray(ByteArray::from(bytes.to_vec())),
        // The text form would cut the fraction.
        Value::DateTime(time) => AMQPValue::LongString(datetime_to_json(*time).into()),
        other => AMQPValue::LongString(other.to_string().into()),
    }
}

/// Makes the list of a header `CC` or `BCC`.
pub(super) fn to_list<'a>(names: impl IntoIterator<Item = &'a str>) -> AMQPValue {
    let names = names
        .into_iter()
        .map(|name| AMQPValue::LongString(name.as_bytes().into()));
    AMQPValue::FieldArray(FieldArray::from(names.collect::<Vec<_>>()))
}

/// Makes an object of received headers; NULL if there are none.
pub(super) fn from_table(table: &FieldTable) -> Value {
    let members: Vec<(Arc<str>, Value)> = table
        .inner()
        .iter()
        .filter(|(name, _)| name.as_str() != CARBON_COPY)
        .map(|(name, value)| (name.as_str().into(), from_field(value)))
        .collect();
    if members.is_empty() {
        return Value::Null;
    }
    Value::Object(Box::new(Object { members }))
}

fn from_field(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Void => Value::Null,
        AMQPValue::Boolean(value) => Value::Boolean(*value),
        AMQPValue::ShortShortInt(number) => Value::Integer((*number).into()),
        AMQPValue::ShortShortUInt(number) => Value::Integer((*number).into()),
        AMQPValue::ShortInt(number) => Value::Integer((*number).into()),
        AMQPValue::ShortUInt(number) => Value::Integer((*number).into()),
        AMQPValue::LongInt(number) => Value::Integer((*number).into()),
        AMQPValue::LongUInt(number) => Value::Integer((*number).into()),
        AMQPValue::LongLongInt(number) => Value::Integer(*number),
        AMQPValue::Float(number) => from_fraction(number.to_string()),
        AMQPValue::Double(number) => from_fraction(number.to_string()),
        AMQPValue::DecimalValue(number) => from_decimal(number.value, number.scale),
        AMQPValue::ShortString(text) => from_shape(text.as_str()),
        AMQPValue::LongString(text) => from_long_string(text),
        AMQPValue::ByteArray(bytes) => Value::Binary(bytes.as_slice().to_vec().into()),
        AMQPValue::Timestamp(seconds) => from_seconds(*seconds),
        AMQPValue::FieldArray(items) => {
            Value::Array(items.as_slice().iter().map(from_field).collect())
        }
        AMQPValue::FieldTable(table) => {
            let members = table
                .inner()
                .iter()
                .map(|(name, value)| (name.as_str().into(), from_field(value)))
                .collect();
            Value::Object(Box::new(Object { members }))
        }
    }
}

/// Infinity and NaN are no decimals and stay text.
fn from_fraction(text: String) -> Value {
    text.parse::<Decimal>()
        .map_or_else(|_| Value::text(text.clone()), Value::Decimal)
}

fn from_decimal(digits: u32, scale: u8) -> Value {
    let digits = digits.to_string();
    let scale = usize::from(scale);
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    from_fraction(if scale == 0 {
        digits
    } else {
        format!("{whole}.{fraction}")
    })
}

/// A moment in UTC; NULL beyond the calendar.
pub(super) fn from_seconds(seconds: u64) -> Value {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or(Value::Null, |at| {
            Value::DateTime(at.to_zoned(TimeZone::UTC).datetime())
        })
}

fn from_long_string(text: &LongString) -> Value {
    match std::str::from_utf8(text.as_bytes()) {
        Ok(text) => from_shape(text),
        Err(_) => Value::Binary(text.as_bytes().to_vec().into()),
    }
}

/// A text that looks like a value of another type is that value, as in the original; but only if it is written again as the same text.
fn from_shape(text: &str) -> Value {
    match text {
        "null" => return Value::Null,
        "true" => return Value::Boolean(true),
        "false" => return Value::Boolean(false),
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>()
        && number.to_string() == text
    {
        return Value::Integer(number);
    }
    if let Some(uuid) = parse_uuid(text)
        && uuid.to_string() == text
    {
        return Value::Uuid(uuid);
    }
    if let Some(entity) = parse_entity(text)
        && entity.to_string() == text
    {
        return Value::Entity(entity);
    }
    match parse_datetime(text) {
        Some(time) if datetime_to_json(time) == text => Value::DateTime(time),
        _ => Value::text(text),
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::DecimalValue;

    use super::*;

    #[test]
    fn keeps_types_there_and_back() {
        let decimal = |text: &str| Value::Decimal(text.parse().expect("it is a decimal"));
        let uuid = Value::Uuid(uuid::Uuid::from_u128(7));
        let time = Value::DateTime(jiff::civil::date(2024, 2, 29).at(1, 2, 3, 500_000_000));
        let kept = [
            ("а", Value::Null),
            ("б", Value::Boolean(true)),
            ("в", Value::Integer(-7)),
            ("г", Value::text("текст")),
            ("д", Value::text("007")),
            ("е", Value::Binary(vec![0, 255].into())),
            ("ж", uuid),
            ("з", time),
            ("и", Value::text("")),
            ("к", Value::text("2024-01-02")),
            ("л", Value::text("2024-01-02T03:04:05.1200")),
            ("м", Value::text("2024-01-02 03:04:05")),
            ("н", Value::text("00000000-0000-0000-0000-00000000000A")),
        ];
        let object = Object {
            members: kept
                .iter()
                .map(|(name, value)| (Arc::from(*name), value.clone()))
                .collect(),
        };
        let table = to_table(&object).expect("the names are short");
        assert_eq!(from_table(&table), Value::Object(Box::new(object)));
        // Without a type in the protocol: text.
        assert_eq!(from_field(&to_field(&decimal("1.50"))), Value::text("1.50"));
    }

    #[test]
    fn maps_the_types_of_others() {
        let money = AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 5 });
        assert_eq!(from_field(&money).to_string(), "0.05");
        assert_eq!(from_field(&AMQPValue::Double(2.5)).to_string(), "2.5");
        assert_eq!(from_field(&AMQPValue::Double(f64::NAN)), Value::text("NaN"));
        assert_eq!(
            from_field(&AMQPValue::LongUInt(u32::MAX)),
            Value::Integer(4_294_967_295)
        );
        assert_eq!(
            from_field(&AMQPValue::Timestamp(0)).to_string(),
            "1970-01-01 00:00:00"
        );
        assert_eq!(from_field(&AMQPValue::Timestamp(u64::MAX)), Value::Null);
        let list = to_list(["a", "1"]);
        assert_eq!(
            from_field(&list),
            Value::Array(vec![Value::text("a"), Value::Integer(1)])
        );
    }

    #[test]
    fn does_not_deliver_carbon_copies() {
        let mut table = FieldTable::default();
        table.insert("CC".into(), to_list(["a"]));
        assert_eq!(from_table(&table), Value::Null);
    }
}
