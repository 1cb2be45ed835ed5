//! Functions of the language that give in SQLite what they give in the machine: exact decimals, text forms, casts, parts of
//! texts.

use std::borrow::Cow;
use std::cmp::Ordering;

use dajet_core::value::parse_datetime;
use dajet_core::{DataType, Decimal};
use jiff::SignedDuration;
use jiff::civil::DateTime;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result, ffi};
use uuid::Uuid;

use super::digits;
use super::values::{Stored, decimal_of, from_reference, natural_number};

/// `dajet_add` and the others: exact arithmetic.
pub const ARITHMETIC: [&str; 5] = [
    "dajet_add",
    "dajet_sub",
    "dajet_mul",
    "dajet_div",
    "dajet_rem",
];
/// -1, 0 or 1: how two values compare, texts of numbers as numbers, which come before other texts and these before bytes.
pub const COMPARE: &str = "dajet_compare";
/// A number with the digits that its column declares.
pub const SCALED: &str = "dajet_scaled";
/// A number as a whole one, if it has no fraction.
pub const WHOLE: &str = "dajet_whole";
/// A number as a column without a declared type keeps it.
pub const NATURAL: &str = "dajet_natural";
/// A time and so many seconds.
pub const SHIFT: &str = "dajet_shift";
/// Seconds between two times.
pub const SECONDS: &str = "dajet_seconds";
/// The text form of a value of the type with this letter.
pub const TEXT: &str = "dajet_text";
/// A value of the type with the first letter as one of the type with the second.
pub const CAST: &str = "dajet_cast";
/// `SUBSTRING`
pub const SUBSTRING: &str = "dajet_substring";
/// `UUID1C`
pub const UUID_1C: &str = "dajet_uuid1c";
/// `UUIDDB`
pub const UUID_DB: &str = "dajet_uuiddb";

/// The first moment of the calendar: the origin of seconds.
const FIRST_MOMENT: DateTime = DateTime::constant(1, 1, 1, 0, 0, 0, 0);
/// The bytes of the form of 1C, as places in a reference column.
const OF_REFERENCE: [usize; 16] = [15, 14, 13, 12, 11, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7];
/// The bytes of a reference column, as places in the form of 1C.
const OF_SHOWN: [usize; 16] = [8, 9, 10, 11, 12, 13, 14, 15, 7, 6, 5, 4, 3, 2, 1, 0];

/// The letter of a type for [`TEXT`] and [`CAST`].
pub fn letter(data_type: Option<DataType>) -> char {
    match data_type {
        Some(DataType::Boolean) => 'l',
        Some(DataType::Integer) => 'i',
        Some(DataType::Decimal) => 'n',
        Some(DataType::DateTime) => 't',
        // of any type: what is stored tells
        Some(DataType::Text | DataType::Any) => 's',
        Some(DataType::Binary) => 'b',
        Some(DataType::Uuid) => 'u',
        Some(DataType::Entity(_) | DataType::Union) | None => '?',
    }
}

/// Makes the functions known to a connection.
///
/// # Errors
/// None is expected.
pub fn register(connection: &Connection) -> Result<()> {
    let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    for (index, name) in ARITHMETIC.into_iter().enumerate() {
        connection
            .create_scalar_function(name, 2, pure, move |context| arithmetic(context, index))?;
    }
    connection.create_scalar_function(COMPARE, 2, pure, compare)?;
    connection.create_scalar_function(SCALED, 2, pure, |context| {
        let scale = u8::try_from(context.get::<i64>(1)?).unwrap_or(0);
        Ok(match number(context, 0)? {
            None => Value::Null,
            Some(number) => {
                let exact = number.exact();
                stored(exact.rescale(scale).unwrap_or(exact))
            }
        })
    })?;
    connection.create_scalar_function(WHOLE, 1, pure, |context| {
        let Some(number) = number(context, 0)? else {
            return Ok(None);
        };
        let exact = number.exact();
        let whole = exact.to_integer();
        whole
            .map(Some)
            .ok_or_else(|| refused(format!("a column of whole numbers cannot hold {exact}")))
    })?;
    connection.create_scalar_function(NATURAL, 1, pure, natural)?;
    connection.create_scalar_function(SHIFT, 2, pure, shift)?;
    connection.create_scalar_function(SECONDS, 2, pure, seconds_between)?;
    connection.create_scalar_function(TEXT, 2, pure, |context| {
        let from = context.get::<String>(1)?;
        text_form(context, &from)
    })?;
    connection.create_scalar_function(CAST, 3, pure, cast)?;
    connection.create_scalar_function(SUBSTRING, 2, pure, substring)?;
    connection.create_scalar_function(SUBSTRING, 3, pure, substring)?;
    connection.create_scalar_function(UUID_1C, 1, pure, |context| {
        placed(context, "UUID1C", OF_REFERENCE)
    })?;
    connection.create_scalar_function(UUID_DB, 1, pure, |context| {
        placed(context, "UUIDDB", OF_SHOWN)
    })
}

/// The bytes of a uuid in another order.
fn placed(context: &Context<'_>, name: &str, places: [usize; 16]) -> Result<Value> {
    let bytes = match context.get_raw(0) {
        ValueRef::Null => return Ok(Value::Null),
        ValueRef::Blob(bytes) => <[u8; 16]>::try_from(bytes).ok(),
        ValueRef::Text(text) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| Uuid::try_parse(text.trim()).ok())
            .map(|uuid| uuid.to_bytes_le()),
        _ => None,
    };
    let bytes = bytes.ok_or_else(|| refused(format!("{name}: the value is no uuid")))?;
    Ok(Value::Blob(places.map(|place| bytes[place]).to_vec()))
}

/// An error of the data, not of the statement.
pub fn refused(message: impl Into<String>) -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_MISMATCH), Some(message.into()))
}

/// An operand.
#[derive(Clone, Copy)]
pub enum Number {
    /// A whole one.
    Integer(i64),
    /// Any other one.
    Exact(Decimal),
}

impl Number {
    /// As a decimal.
    pub fn exact(self) -> Decimal {
        match self {
            Self::Integer(value) => Decimal::from(value),
            Self::Exact(value) => value,
        }
    }
}

/// The number of an argument; `None` for NULL.
///
/// # Errors
/// It is no number.
pub fn number(context: &Context<'_>, index: usize) -> Result<Option<Number>> {
    let text = match context.get_raw(index) {
        ValueRef::Null => return Ok(None),
        ValueRef::Integer(value) => return Ok(Some(Number::Integer(value))),
        ValueRef::Real(value) => {
            let exact =
                decimal_of(value).map_err(|error| refused(format!("an operand {error}")))?;
            return Ok(Some(Number::Exact(exact)));
        }
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
    };
    match text.trim().parse() {
        Ok(value) => Ok(Some(Number::Exact(value))),
        Err(_) => Err(refused(format!("\"{text}\" is no number"))),
    }
}

fn compare(context: &Context<'_>) -> Result<Option<i64>> {
    let text = |index| match context.get_raw(index) {
        ValueRef::Integer(value) => Cow::Owned(value.to_string()),
        ValueRef::Real(value) => Cow::Owned(format!("{value}")),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes),
        ValueRef::Null | ValueRef::Blob(_) => Cow::Borrowed(""),
    };
    let ordering = match (context.get_raw(0), context.get_raw(1)) {
        (ValueRef::Null, _) | (_, ValueRef::Null) => return Ok(None),
        (ValueRef::Integer(a), ValueRef::Integer(b)) => a.cmp(&b),
        (ValueRef::Blob(a), ValueRef::Blob(b)) => a.cmp(b),
        (ValueRef::Blob(_), _) => Ordering::Greater,
        (_, ValueRef::Blob(_)) => Ordering::Less,
        _ => digits::compare(&text(0), &text(1)),
    };
    Ok(Some(ordering as i64))
}

/// A number as SQLite holds it with all its digits.
pub fn stored(value: Decimal) -> Value {
    Value::Text(value.to_string())
}

fn arithmetic(context: &Context<'_>, operator: usize) -> Result<Value> {
    let (Some(a), Some(b)) = (number(context, 0)?, number(context, 1)?) else {
        return Ok(Value::Null);
    };
    if let (Number::Integer(a), Number::Integer(b)) = (a, b) {
        let whole = match operator {
            0 => a.checked_add(b),
            1 => a.checked_sub(b),
            2 => a.checked_mul(b),
            3 if b != 0 => a.checked_div(b),
            4 if b != 0 => a.checked_rem(b),
            _ => return Err(refused("division by zero")),
        };
        if let Some(whole) = whole {
            return Ok(Value::Integer(whole));
        }
    }
    let (a, b) = (a.exact(), b.exact());
    let result = match operator {
        0 => a.checked_add(b),
        1 => a.checked_subtract(b),
        2 => a.checked_multiply(b),
        3 => a.checked_divide(b),
        _ => a.checked_remainder(b),
    };
    result
        .map(stored)
        .map_err(|error| refused(error.to_string()))
}

fn natural(context: &Context<'_>) -> Result<Value> {
    let number = match context.get_raw(0) {
        ValueRef::Text(text) => std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()),
        _ => None,
    };
    Ok(match number.map(natural_number) {
        Some(Stored::Integer(whole)) => Value::Integer(whole),
        Some(Stored::Real(real)) => Value::Real(real),
        _ => context.get(0)?,
    })
}

/// The time of an argument; `None` for NULL.
fn time(context: &Context<'_>, index: usize) -> Result<Option<DateTime>> {
    let text = match context.get_raw(index) {
        ValueRef::Null => return Ok(None),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => return Err(refused("the value is no time")),
    };
    let parsed = parse_datetime(text.trim());
    parsed
        .map(Some)
        .ok_or_else(|| refused(format!("\"{text}\" is no time")))
}

fn shifted(at: DateTime, seconds: Decimal) -> Result<Value> {
    let left = || refused("the date leaves the calendar");
    let nanoseconds = seconds
        .checked_multiply(Decimal::from(1_000_000_000))
        .map_err(|error| refused(error.to_string()))?
        .rescale(0)
        .map_err(|error| refused(error.to_string()))?
        .mantissa();
    let whole = i64::try_from(nanoseconds / 1_000_000_000).map_err(|_| left())?;
    let rest = i32::try_from(nanoseconds % 1_000_000_000).map_err(|_| left())?;
    let moved = at.checked_add(SignedDuration::new(whole, rest));
    let moved = moved.ok().filter(|moved| *moved >= FIRST_MOMENT);
    moved
        .map(|moved| Value::Text(moved.to_string()))
        .ok_or_else(left)
}

fn shift(context: &Context<'_>) -> Result<Value> {
    let (Some(at), Some(seconds)) = (time(context, 0)?, number(context, 1)?) else {
        return Ok(Value::Null);
    };
    shifted(at, seconds.exact())
}

fn seconds_between(context: &Context<'_>) -> Result<Value> {
    let (Some(a), Some(b)) = (time(context, 0)?, time(context, 1)?) else {
        return Ok(Value::Null);
    };
    let difference = a.duration_since(b);
    if difference.subsec_nanos() == 0 {
        return Ok(Value::Integer(difference.as_secs()));
    }
    let exact = Decimal::new(difference.as_nanos(), 9);
    let exact = exact.ok_or_else(|| refused("the difference is too large"))?;
    Ok(stored(exact.trimmed(0)))
}

fn text_form(context: &Context<'_>, from: &str) -> Result<Value> {
    let value = context.get_raw(0);
    let text = match (value, from) {
        (ValueRef::Null, _) => return Ok(Value::Null),
        (ValueRef::Integer(value), "l") => (value != 0).to_string(),
        (ValueRef::Text(_), "t") => match time(context, 0)? {
            Some(at) => at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            None => return Ok(Value::Null),
        },
        (ValueRef::Blob(bytes), "u") if bytes.len() == 16 => {
            from_reference(bytes).map_or_else(String::new, |uuid| uuid.to_string())
        }
        (ValueRef::Blob(bytes), _) => {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            format!("0x{}", digits.collect::<String>())
        }
        (ValueRef::Integer(value), _) => value.to_string(),
        (ValueRef::Real(value), _) => format!("{value}"),
        (ValueRef::Text(bytes), _) => String::from_utf8_lossy(bytes).into_owned(),
    };
    Ok(Value::Text(text))
}

/// CAST by the table of the function reference.
fn cast(context: &Context<'_>) -> Result<Value> {
    let (from, to) = (context.get::<String>(1)?, context.get::<String>(2)?);
    let value = context.get_raw(0);
    let text = || match value {
        ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes).trim().to_owned()),
        _ => None,
    };
    let result = match (value, &*from, &*to) {
        (ValueRef::Null, ..) => Some(Value::Null),
        (ValueRef::Blob(_), "u", "s") => Some(text_form(context, &from)?),
        (ValueRef::Blob(bytes), _, "s") => String::from_utf8(bytes.to_vec()).ok().map(Value::Text),
        (_, _, "s") => Some(text_form(context, &from)?),
        (ValueRef::Integer(value), _, "l") => Some(flag(value != 0)),
        (ValueRef::Real(value), _, "l") => Some(flag(value != 0.0)),
        (ValueRef::Blob(bytes), _, "l") => Some(flag(bytes.first().is_some_and(|b| *b != 0))),
        (ValueRef::Text(_), "n", "l") => number(context, 0)?.map(|n| flag(!n.exact().is_zero())),
        (_, _, "l") => text().map(|text| flag(text.eq_ignore_ascii_case("true"))),
        (ValueRef::Text(_), "t", "i") => {
            time(context, 0)?.map(|at| Value::Integer(at.duration_since(FIRST_MOMENT).as_secs()))
        }
        (ValueRef::Text(_), "s", "i") => text()
            .and_then(|text| text.parse().ok())
            .map(Value::Integer),
        (ValueRef::Blob(bytes), _, "i") => integer_of(bytes).map(Value::Integer),
        (_, _, "i") => number(context, 0)?
            .and_then(|number| number.exact().truncate())
            .map(Value::Integer),
        (_, _, "n") => number(context, 0)?.map(|number| stored(number.exact())),
        (ValueRef::Text(_), "t" | "s", "t") => {
            time(context, 0)?.map(|at| Value::Text(at.to_string()))
        }
        (_, _, "t") => match number(context, 0)? {
            Some(seconds) => Some(shifted(FIRST_MOMENT, seconds.exact())?),
            None => None,
        },
        (ValueRef::Integer(value), "l", "b") => Some(Value::Blob(vec![u8::from(value != 0)])),
        (ValueRef::Integer(value), _, "b") => Some(Value::Blob(value.to_be_bytes()[4..].to_vec())),
        (ValueRef::Text(bytes), "s", "b") => Some(Value::Blob(bytes.to_vec())),
        (ValueRef::Text(_), "u", "b") => text()
            .and_then(|text| Uuid::try_parse(&text).ok())
            .map(|uuid| Value::Blob(uuid.as_bytes().to_vec())),
        (ValueRef::Blob(bytes), _, "b") => Some(Value::Blob(bytes.to_vec())),
        _ => Some(context.get(0)?),
    };
    result.ok_or_else(|| refused("CAST: the value does not fit the type"))
}

fn flag(value: bool) -> Value {
    Value::Integer(i64::from(value))
}

/// At most 8 bytes, big-endian.
fn integer_of(bytes: &[u8]) -> Option<i64> {
    let mut wide = [0; 8];
    let start = 8usize.checked_sub(bytes.len()).filter(|start| *start < 8)?;
    wide[start..].copy_from_slice(bytes);
    Some(i64::from_be_bytes(wide))
}

/// Positions count characters from 1; a start below 1 shortens the result.
fn substring(context: &Context<'_>) -> Result<Value> {
    let position = |index: usize| -> Result<Option<i64>> {
        let cut = |number: Number| match number {
            Number::Integer(value) => Ok(value),
            Number::Exact(value) => value
                .truncate()
                .ok_or_else(|| refused("the position is too large")),
        };
        number(context, index)?.map(cut).transpose()
    };
    let text = match context.get_raw(0) {
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => return Ok(Value::Null),
    };
    let Some(start) = position(1)? else {
        return Ok(Value::Null);
    };
    let end = match context.len() {
        2 => i64::MAX,
        _ => match position(2)? {
            None => return Ok(Value::Null),
            Some(length) if length < 0 => {
                return Err(refused("the length of a text cannot be negative"));
            }
            Some(length) => start.saturating_add(length),
        },
    };
    let first = start.max(1);
    let count = |value: i64| usize::try_from(value.max(0)).unwrap_or(usize::MAX);
    let part = text.chars().skip(count(first - 1));
    Ok(Value::Text(
        part.take(count(end.saturating_sub(first))).collect(),
    ))
}
