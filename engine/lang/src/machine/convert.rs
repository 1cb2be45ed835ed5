//! Conversions: coercion to a declared type, CAST, and the values of parameters (language reference, section 4.1; function
//! reference, section 6.1).

use bytes::Bytes;
use dajet_core::value::{parse_datetime, parse_entity, parse_uuid};
use dajet_core::{DataType, Decimal, Entity, Value};
use jiff::civil::DateTime;
use uuid::Uuid;

use super::failure::Failure;
use super::heap::Datum;
use crate::program::{CastTarget, Type};

/// The first moment of the calendar: the default of `datetime`, and the origin of its seconds.
pub(crate) const FIRST_MOMENT: DateTime = DateTime::constant(1, 1, 1, 0, 0, 0, 0);

/// The default of a declared type.
pub(crate) fn default_of(declared: Type) -> Value {
    match declared {
        Type::Boolean => Value::Boolean(false),
        Type::Number | Type::Decimal => Value::Decimal(Decimal::ZERO),
        Type::Integer => Value::Integer(0),
        Type::DateTime => Value::DateTime(FIRST_MOMENT),
        Type::String => Value::text(""),
        Type::Binary => Value::Binary(Bytes::new()),
        Type::Uuid => Value::Uuid(Uuid::nil()),
        Type::Entity => Value::Entity(Entity::default()),
        Type::Union | Type::Object | Type::Array => Value::Null,
    }
}

/// The empty value of a column's type.
pub(crate) fn empty_of(data_type: DataType) -> Value {
    match data_type {
        DataType::Boolean => Value::Boolean(false),
        DataType::Integer => Value::Integer(0),
        DataType::Decimal => Value::Integer(0),
        DataType::DateTime => Value::DateTime(FIRST_MOMENT),
        DataType::Text => Value::text(""),
        DataType::Binary => Value::Binary(Bytes::new()),
        DataType::Uuid => Value::Uuid(Uuid::nil()),
        DataType::Entity(code) => Value::Entity(Entity {
            code,
            uuid: Uuid::nil(),
        }),
        DataType::Union | DataType::Any => Value::Null,
    }
}

/// Coerces a value to a declared type, where a lossless or documented conversion exists.
pub(crate) fn coerce(datum: Datum, declared: Type) -> Result<Datum, Failure> {
    let datum = match (datum, declared) {
        (Datum::Scalar(value), _) => match coerce_scalar(value, declared) {
            Ok(value) => return Ok(Datum::Scalar(value)),
            Err(value) => Datum::Scalar(value),
        },
        (object @ Datum::Object(_), Type::Object) => return Ok(object),
        (array @ Datum::Array(_), Type::Array) => return Ok(array),
        (other, _) => other,
    };
    Err(mismatch(&datum, declared))
}

fn mismatch(datum: &Datum, declared: Type) -> Failure {
    let message = format!(
        "cannot convert {} to {}",
        datum.type_name(),
        declared.word()
    );
    match (datum, declared) {
        (Datum::Object(_) | Datum::Array(_), Type::String) => {
            Failure::of_type(message).hint("JSON(…) makes text of an object or array.")
        }
        (Datum::Scalar(Value::Text(text)), _) => {
            let shown: String = text.chars().take(40).collect();
            Failure::of_type(format!(
                "cannot convert the text \"{shown}\" to {}",
                declared.word()
            ))
        }
        _ => Failure::of_type(message),
    }
}

/// Coerces a scalar; gives it back if there is no conversion.
fn coerce_scalar(value: Value, declared: Type) -> Result<Value, Value> {
    use Value::{Binary, Boolean, DateTime, Decimal, Integer, Null, Text, Uuid};
    Ok(match (declared, value) {
        (_, Null) => Null,
        (Type::Union, value)
        | (Type::Boolean, value @ Boolean(_))
        | (Type::Number, value @ (Integer(_) | Decimal(_)))
        | (Type::Integer, value @ Integer(_))
        | (Type::Decimal, value @ Decimal(_))
        | (Type::DateTime, value @ DateTime(_))
        | (Type::String, value @ Text(_))
        | (Type::Binary, value @ Binary(_))
        | (Type::Uuid, value @ Uuid(_))
        | (Type::Entity, value @ Value::Entity(_)) => value,
        (Type::Integer, Decimal(number)) => match number.to_integer() {
            Some(integer) => Integer(integer),
            None => return Err(Decimal(number)),
        },
        (Type::Decimal, Integer(integer)) => Decimal(integer.into()),
        (Type::Uuid, Value::Entity(entity)) => Uuid(entity.uuid),
        (Type::Entity, Uuid(uuid)) => Value::Entity(Entity { code: 0, uuid }),
        (_, Text(text)) => {
            let parsed = match declared {
                Type::DateTime => parse_datetime(&text).map(DateTime),
                Type::Uuid => parse_uuid(&text).map(Uuid),
                Type::Entity => parse_entity(&text).map(Value::Entity),
                Type::Binary => parse_binary(&text).map(Binary),
                _ => None,
            };
            parsed.ok_or(Text(text))?
        }
        (Type::String, value) if !matches!(value, Binary(_)) => Value::text(value.to_string()),
        (_, value) => return Err(value),
    })
}

/// Reads `0x` and pairs of hexadecimal digits.
pub(crate) fn parse_binary(text: &str) -> Option<Bytes> {
    let digits = text.strip_prefix("0x")?;
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
    (0..digits.len())
        .step_by(2)
        .map(pair)
        .collect::<Option<Vec<u8>>>()
        .map(Bytes::from)
}

/// Converts a parameter to the type of the column that it is compared with or stored in, where that is documented; another
/// value is left to the database.
pub(crate) fn adapt(value: Value, data_type: DataType) -> Value {
    match (&value, data_type) {
        (Value::Null, _)
        | (Value::Text(_), DataType::Text)
        | (Value::Integer(_), DataType::Integer)
        | (Value::Decimal(_), DataType::Decimal)
        | (Value::DateTime(_), DataType::DateTime)
        | (Value::Entity(_), DataType::Entity(_)) => return value,
        _ => {}
    }
    let declared = match data_type {
        DataType::Boolean => Type::Boolean,
        DataType::Integer => Type::Integer,
        DataType::Decimal => Type::Decimal,
        DataType::DateTime => Type::DateTime,
        DataType::Text => Type::String,
        DataType::Binary => Type::Binary,
        DataType::Uuid => Type::Uuid,
        DataType::Entity(code) => return adapt_entity(value, code),
        DataType::Union | DataType::Any => return value,
    };
    coerce_scalar(value, declared).unwrap_or_else(|value| value)
}

/// A uuid stored in a reference of one type gets that type's code.
fn adapt_entity(value: Value, code: i32) -> Value {
    match value {
        Value::Uuid(uuid) if code != 0 => Value::Entity(Entity { code, uuid }),
        Value::Text(text) => match (parse_uuid(&text), parse_entity(&text)) {
            (Some(uuid), _) if code != 0 => Value::Entity(Entity { code, uuid }),
            (Some(uuid), _) => Value::Uuid(uuid),
            (_, Some(entity)) => Value::Entity(entity),
            (None, None) => Value::Text(text),
        },
        other => other,
    }
}

/// `CAST(value AS type)` by the table of the function reference.
pub(crate) fn cast(datum: Datum, target: CastTarget) -> Result<Datum, Failure> {
    let value = match datum {
        Datum::Scalar(value) => value,
        other => return coerce(other, target.to).map_err(|_| cast_failure("object", target.to)),
    };
    let from = value.clone();
    let scalar = match target.to {
        _ if value.is_null() => Some(Value::Null),
        Type::Boolean => cast_boolean(&value),
        Type::Integer => cast_integer(&value),
        Type::Number | Type::Decimal => return cast_decimal(&value, target),
        Type::DateTime => cast_datetime(value),
        Type::String => cast_text(value),
        Type::Binary => cast_binary(value, target.size),
        Type::Uuid => match &value {
            Value::Binary(bytes) => Uuid::from_slice(bytes).ok().map(Value::Uuid),
            _ => coerce_scalar(value, Type::Uuid).ok(),
        },
        Type::Entity => coerce_scalar(value, Type::Entity).ok(),
        Type::Union => Some(value),
        Type::Object | Type::Array => None,
    };
    scalar
        .map(Datum::Scalar)
        .ok_or_else(|| cast_failure(&described(&from), target.to))
}

/// The type of a value, and the value itself if it is short.
fn described(value: &Value) -> String {
    const SHOWN_MAX: usize = 40;
    let kind = value.type_name();
    match value {
        Value::Text(text) if text.chars().count() <= SHOWN_MAX => format!("{kind} '{text}'"),
        Value::Integer(_) | Value::Decimal(_) | Value::Boolean(_) | Value::DateTime(_) => {
            format!("{kind} {value}")
        }
        _ => kind.to_owned(),
    }
}

fn cast_failure(from: &str, to: Type) -> Failure {
    Failure::of_type(format!("cannot cast {from} to {}", to.word()))
}

fn cast_boolean(value: &Value) -> Option<Value> {
    Some(Value::Boolean(match value {
        Value::Boolean(value) => *value,
        Value::Integer(value) => *value != 0,
        Value::Decimal(value) => !value.is_zero(),
        Value::Text(text) => text.eq_ignore_ascii_case("true"),
        Value::Binary(bytes) => bytes.first().is_some_and(|byte| *byte != 0),
        _ => return None,
    }))
}

fn cast_integer(value: &Value) -> Option<Value> {
    Some(Value::Integer(match value {
        Value::Boolean(value) => i64::from(*value),
        Value::Integer(value) => *value,
        Value::Decimal(value) => value.truncate()?,
        Value::DateTime(at) => seconds_of(*at),
        Value::Text(text) => text.trim().parse().ok()?,
        Value::Binary(bytes) if (1..=8).contains(&bytes.len()) => {
            let first = if bytes.len() == 8 { bytes[0] } else { 0 };
            let rest = if bytes.len() == 8 { &bytes[1..] } else { bytes };
            let start = i64::from(first as i8);
            rest.iter()
                .fold(start, |sum, byte| (sum << 8) | i64::from(*byte))
        }
        _ => return None,
    }))
}

fn cast_decimal(value: &Value, target: CastTarget) -> Result<Datum, Failure> {
    let number = match value {
        Value::Boolean(value) => Some(Decimal::from(i64::from(*value))),
        Value::Integer(value) => Some(Decimal::from(*value)),
        Value::Decimal(value) => Some(*value),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    let number = number.ok_or_else(|| cast_failure(&described(value), target.to))?;
    let Some(scale) = target.scale.and_then(|scale| u8::try_from(scale).ok()) else {
        return Ok(match value {
            Value::Integer(value) if target.to == Type::Number => {
                Datum::Scalar(Value::Integer(*value))
            }
            _ => Datum::Scalar(Value::Decimal(number)),
        });
    };
    let number = number.rescale(scale);
    let number = number.map_err(|error| Failure::new("E_RANGE", error.to_string()))?;
    Ok(Datum::Scalar(Value::Decimal(number)))
}

fn cast_datetime(value: Value) -> Option<Value> {
    match value {
        Value::Integer(seconds) => shift_seconds(FIRST_MOMENT, Decimal::from(seconds)),
        Value::Decimal(seconds) => shift_seconds(FIRST_MOMENT, seconds),
        Value::DateTime(at) => Some(at),
        Value::Text(text) => parse_datetime(text.trim()),
        _ => None,
    }
    .map(Value::DateTime)
}

fn cast_text(value: Value) -> Option<Value> {
    Some(match value {
        Value::Text(text) => Value::Text(text),
        Value::Binary(bytes) => Value::Text(bytestring::ByteString::try_from(bytes).ok()?),
        other => Value::text(other.to_string()),
    })
}

fn cast_binary(value: Value, size: Option<u32>) -> Option<Value> {
    Some(Value::Binary(match value {
        Value::Binary(bytes) => bytes,
        Value::Boolean(value) => Bytes::from(vec![u8::from(value)]),
        Value::Integer(value) => {
            let bytes = value.to_be_bytes();
            let size = size.unwrap_or(4).clamp(1, 8) as usize;
            Bytes::copy_from_slice(&bytes[8 - size..])
        }
        Value::Text(text) => text.into_bytes(),
        Value::Uuid(uuid) => Bytes::copy_from_slice(uuid.as_bytes()),
        _ => return None,
    }))
}

/// Whole seconds since the first moment.
pub(crate) fn seconds_of(at: DateTime) -> i64 {
    at.duration_since(FIRST_MOMENT).as_secs()
}

/// `at` and so many seconds, if the calendar has it.
pub(crate) fn shift_seconds(at: DateTime, seconds: Decimal) -> Option<DateTime> {
    let whole = seconds.truncate()?;
    let fraction = seconds.checked_subtract(Decimal::from(whole)).ok()?;
    let nanoseconds = fraction
        .checked_multiply(Decimal::from(1_000_000_000))
        .ok()?
        .truncate()?;
    let duration = jiff::SignedDuration::new(whole, i32::try_from(nanoseconds).ok()?);
    let shifted = at.checked_add(duration).ok()?;
    (shifted >= FIRST_MOMENT).then_some(shifted)
}
