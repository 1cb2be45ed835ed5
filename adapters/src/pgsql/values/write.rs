//! From values to the binary forms of parameters: one value, or a column of many records as an array.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use dajet_core::schema::ColumnRole;
use dajet_core::value::{parse_datetime, parse_entity};
use dajet_core::{Decimal, Entity, Record, Value};
use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use super::read::{days_of, microseconds_of};
use super::{Holds, Refusal, Take, Wire, numeric, tag, text};

/// A parameter of the SQL text and where its value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pgsql) struct Slot {
    /// Index in the parameter record.
    pub(in crate::pgsql) index: usize,
    /// What is taken of the value.
    pub(in crate::pgsql) take: Take,
    /// Logical name of the column that it is stored in or compared with.
    pub(in crate::pgsql) column: Option<Arc<str>>,
    /// NULL becomes the empty value; bytes get this length.
    pub(in crate::pgsql) empty: Option<usize>,
    /// A number with a fraction is refused, for the column would round it.
    pub(in crate::pgsql) whole: bool,
    /// It is compared: a value that its place has no room for is sent as what equals nothing there.
    pub(in crate::pgsql) compared: bool,
}

/// The value of a slot in one record.
pub(in crate::pgsql) struct Scalar<'a> {
    pub(in crate::pgsql) slot: &'a Slot,
    pub(in crate::pgsql) value: &'a Value,
    /// Index of the record in the call.
    pub(in crate::pgsql) record: usize,
}

/// The values of a slot in many records.
pub(in crate::pgsql) struct Column<'a> {
    pub(in crate::pgsql) slot: &'a Slot,
    pub(in crate::pgsql) records: &'a [Record],
    /// Index of the first record in the call.
    pub(in crate::pgsql) first: usize,
}

type Encoded = Result<IsNull, Box<dyn Error + Sync + Send>>;

impl ToSql for Scalar<'_> {
    fn to_sql(&self, data_type: &Type, out: &mut BytesMut) -> Encoded {
        let wire = Wire::of(data_type).ok_or_else(|| unknown_type(data_type))?;
        self.slot
            .put(self.value, wire, out)
            .map_err(|message| self.slot.refusal(&message, self.record).into())
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Binary
    }

    to_sql_checked!();
}

impl ToSql for Column<'_> {
    fn to_sql(&self, data_type: &Type, out: &mut BytesMut) -> Encoded {
        let Kind::Array(member) = data_type.kind() else {
            return Err(unknown_type(data_type).into());
        };
        let wire = Wire::of(member).ok_or_else(|| unknown_type(data_type))?;
        out.put_i32(1); // dimensions
        out.put_i32(1); // there may be NULLs
        out.put_u32(member.oid());
        out.put_i32(i32::try_from(self.records.len())?);
        out.put_i32(1); // first index
        for (offset, record) in self.records.iter().enumerate() {
            let start = out.len();
            out.put_i32(-1);
            let value = record.get(self.slot.index).unwrap_or(&Value::Null);
            let put = self.slot.put(value, wire, out);
            let put = put.map_err(|message| self.slot.refusal(&message, self.first + offset))?;
            if let IsNull::No = put {
                let length = i32::try_from(out.len() - start - 4)?;
                out[start..start + 4].copy_from_slice(&length.to_be_bytes());
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Binary
    }

    to_sql_checked!();
}

/// The driver prints parameters in its debug log; payload never stands there.
impl fmt::Debug for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl fmt::Debug for Column<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} values]", self.records.len())
    }
}

fn unknown_type(data_type: &Type) -> Refusal {
    Refusal {
        record: None,
        message: format!("the type \"{data_type}\" has no binary form here"),
    }
}

impl Slot {
    fn refusal(&self, message: &str, record: usize) -> Refusal {
        let message = match &self.column {
            Some(column) => format!("column \"{column}\" cannot hold {message}"),
            None => format!("parameter {} cannot be {message}", self.index + 1),
        };
        Refusal {
            record: Some(record),
            message,
        }
    }

    fn put(&self, value: &Value, wire: Wire, out: &mut BytesMut) -> Result<IsNull, String> {
        if self.whole
            && wire == Wire::Numeric
            && decimal(value).is_some_and(|number| number.trimmed(0).scale() != 0)
        {
            return Err(format!("this {} as a whole number", value.type_name()));
        }
        match (self.take, value, self.empty) {
            (take, value, _) if self.compared && !take.has_room(value) => match take {
                // tags, codes and references have bytes
                Take::Share(ColumnRole::Tag, _) | Take::TypeCode | Take::Reference => {}
                Take::Share(role, holds) => return share(role, holds, &Value::Null, wire, out),
                Take::Whole => whole(value, wire, out)?,
            },
            (Take::Share(role, holds), value, _) => return share(role, holds, value, wire, out),
            (_, Value::Null, None) => return Ok(IsNull::Yes),
            (_, Value::Null, Some(length)) => empty(wire, length, out),
            (Take::Whole, value, _) => whole(value, wire, out)?,
            (Take::TypeCode, Value::Entity(entity), _) => out.put_i32(entity.code),
            // the four bytes themselves
            (Take::TypeCode, Value::Binary(bytes), _) if bytes.len() == 4 => out.put_slice(bytes),
            (Take::TypeCode, value, _) => {
                return Err(format!("{} without a type code", value.type_name()));
            }
            (Take::Reference, value, _) => out.put_slice(&reference(value)?),
        }
        Ok(IsNull::No)
    }
}

/// The empty value of a type: 0, empty text, false, the first day of year 1, zero bytes.
fn empty(wire: Wire, length: usize, out: &mut BytesMut) {
    match wire {
        Wire::Bool => out.put_u8(0),
        Wire::Int2 => out.put_i16(0),
        Wire::Int4 => out.put_i32(0),
        Wire::Int8 | Wire::Time => out.put_i64(0),
        Wire::Float4 => out.put_f32(0.0),
        Wire::Float8 => out.put_f64(0.0),
        Wire::Numeric => numeric::write(Decimal::default(), out),
        Wire::Text => {}
        Wire::Jsonb => out.put_slice(b"\x01null"),
        Wire::Timestamp | Wire::TimestampTz => out.put_i64(microseconds_of(FIRST_DAY)),
        Wire::Date => out.put_i32(days_of(FIRST_DAY.date())),
        Wire::Bytea => out.put_bytes(0, length),
        Wire::Uuid => out.put_bytes(0, 16),
    }
}

const FIRST_DAY: DateTime = DateTime::constant(1, 1, 1, 0, 0, 0, 0);

impl Take {
    /// False for a value that no place for this can hold.
    fn has_room(self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null) | (Self::Whole, _) => true,
            (Self::TypeCode, Value::Binary(bytes)) => bytes.len() == 4,
            (Self::TypeCode, value) => matches!(value, Value::Entity(_)),
            (Self::Reference, value) => reference(value).is_ok(),
            (Self::Share(_, holds), value) => tag_of(value).is_some_and(|tag| holds.has(tag)),
        }
    }
}

/// The tag of a value in a union; none if no union holds such a value.
fn tag_of(value: &Value) -> Option<u8> {
    Some(match value {
        Value::Null => tag::UNDEFINED,
        Value::Boolean(_) => tag::BOOLEAN,
        Value::Integer(_) | Value::Decimal(_) => tag::NUMBER,
        Value::DateTime(_) => tag::DATE_TIME,
        Value::Text(_) => tag::TEXT,
        Value::Entity(_) => tag::REFERENCE,
        _ => return None,
    })
}

/// What a value puts into one column of a union.
fn share(
    role: ColumnRole,
    holds: Holds,
    value: &Value,
    wire: Wire,
    out: &mut BytesMut,
) -> Result<IsNull, String> {
    let stored = tag_of(value).ok_or_else(|| format!("a value of type {}", value.type_name()))?;
    match (role, stored, value) {
        (ColumnRole::Tag, ..) if !holds.has(stored) => {
            return Err(format!("a value of type {}", value.type_name()));
        }
        (ColumnRole::Tag, ..) => out.put_u8(stored),
        (ColumnRole::TypeCode, _, Value::Entity(entity)) => out.put_i32(entity.code),
        (ColumnRole::Reference, _, Value::Entity(entity)) => {
            out.put_slice(&entity.uuid.to_bytes_le())
        }
        (ColumnRole::Boolean, tag::BOOLEAN, value)
        | (ColumnRole::Number, tag::NUMBER, value)
        | (ColumnRole::DateTime, tag::DATE_TIME, value)
        | (ColumnRole::Text, tag::TEXT, value) => whole(value, wire, out)?,
        (ColumnRole::TypeCode, ..) => out.put_i32(0),
        (ColumnRole::Reference, ..) => out.put_bytes(0, 16),
        _ => empty(wire, 0, out),
    }
    Ok(IsNull::No)
}

fn reference(value: &Value) -> Result<[u8; 16], String> {
    match value {
        Value::Entity(Entity { uuid, .. }) | Value::Uuid(uuid) => Ok(uuid.to_bytes_le()),
        Value::Binary(bytes) => bytes[..]
            .try_into()
            .map_err(|_| format!("{} bytes as a reference", bytes.len())),
        Value::Text(text) => parse_entity(text.trim())
            .map(|entity| entity.uuid)
            .or_else(|| text::parse_uuid(text))
            .map(|uuid| uuid.to_bytes_le())
            .ok_or_else(|| "this text as a reference".into()),
        other => Err(format!("a value of type {}", other.type_name())),
    }
}

fn whole(value: &Value, wire: Wire, out: &mut BytesMut) -> Result<(), String> {
    let wrong = || match value {
        Value::Text(_) => format!("this text as {}", word(wire)),
        Value::Integer(_) if wire == Wire::Bytea => {
            "a number as bytes; CAST(… AS binary) makes bytes of it".to_owned()
        }
        value => format!("a value of type {} as {}", value.type_name(), word(wire)),
    };
    match wire {
        Wire::Text => put_text(value, out)?,
        Wire::Jsonb => {
            out.put_u8(1);
            put_text(value, out)?;
        }
        Wire::Bool => out.put_u8(boolean(value).ok_or_else(wrong)?.into()),
        Wire::Int2 => out.put_i16(fitting(value, wire)?),
        Wire::Int4 => out.put_i32(fitting(value, wire)?),
        Wire::Int8 => out.put_i64(fitting(value, wire)?),
        Wire::Numeric => numeric::write(decimal(value).ok_or_else(wrong)?, out),
        Wire::Float4 => out.put_f32(real(value).ok_or_else(wrong)?),
        Wire::Float8 => out.put_f64(real(value).ok_or_else(wrong)?),
        Wire::Timestamp | Wire::TimestampTz => {
            let time = match wire {
                Wire::TimestampTz => date_time(value).or_else(|| moment(value)),
                _ => date_time(value),
            };
            out.put_i64(microseconds_of(time.ok_or_else(wrong)?));
        }
        Wire::Date => out.put_i32(days_of(date_time(value).ok_or_else(wrong)?.date())),
        Wire::Time => out.put_i64(time(value).ok_or_else(wrong)?),
        Wire::Uuid => out.put_slice(uuid(value).ok_or_else(wrong)?.as_bytes()),
        Wire::Bytea => match value {
            Value::Binary(bytes) => out.put_slice(bytes),
            Value::Uuid(uuid) | Value::Entity(Entity { uuid, .. }) => {
                out.put_slice(&uuid.to_bytes_le())
            }
            Value::Boolean(value) => out.put_u8((*value).into()),
            Value::Text(text) => match text::parse_binary(text) {
                Some(bytes) => out.put_slice(&bytes),
                None => out.put_slice(&reference(value).map_err(|_| wrong())?),
            },
            _ => return Err(wrong()),
        },
    }
    Ok(())
}

/// What a form is for, in messages.
fn word(wire: Wire) -> &'static str {
    match wire {
        Wire::Bool => "boolean",
        Wire::Int2 | Wire::Int4 | Wire::Int8 => "a whole number",
        Wire::Numeric | Wire::Float4 | Wire::Float8 => "a number",
        Wire::Text | Wire::Jsonb => "text",
        Wire::Timestamp | Wire::TimestampTz => "a date and time",
        Wire::Date => "a date",
        Wire::Time => "a time of day",
        Wire::Bytea => "bytes",
        Wire::Uuid => "a uuid",
    }
}

fn put_text(value: &Value, out: &mut BytesMut) -> Result<(), String> {
    let put = |text: &str, out: &mut BytesMut| {
        if text.as_bytes().contains(&0) {
            return Err("a text with the character U+0000".to_owned());
        }
        out.put_slice(text.as_bytes());
        Ok(())
    };
    match value {
        Value::Text(text) => put(text, out),
        Value::Object(_) | Value::Array(_) => {
            Err(format!("a value of type {}; use JSON()", value.type_name()))
        }
        Value::Binary(_) => {
            Err("bytes as text; keep them in a column of bytes, or write '' + value".to_owned())
        }
        value => put(&value.to_string(), out),
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Boolean(value) => Some(*value),
        Value::Integer(value) => Some(*value != 0),
        Value::Decimal(value) => Some(value.mantissa() != 0),
        Value::Text(text) if text.eq_ignore_ascii_case("true") || text == "1" => Some(true),
        Value::Text(text) if text.eq_ignore_ascii_case("false") || text == "0" => Some(false),
        _ => None,
    }
}

fn fitting<N: TryFrom<i64>>(value: &Value, wire: Wire) -> Result<N, String> {
    let whole = match value {
        Value::Integer(value) => Some(*value),
        Value::Boolean(value) => Some((*value).into()),
        Value::Decimal(value) => value.to_integer(),
        Value::Text(text) => text::parse_decimal(text).and_then(Decimal::to_integer),
        other => {
            return Err(format!(
                "a value of type {} as {}",
                other.type_name(),
                word(wire)
            ));
        }
    };
    let bits = match wire {
        Wire::Int2 => 16,
        Wire::Int4 => 32,
        _ => 64,
    };
    whole
        .and_then(|whole| N::try_from(whole).ok())
        .ok_or_else(|| {
            format!(
                "this {} as a whole number of {bits} bits",
                value.type_name()
            )
        })
}

fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Decimal(value) => Some(*value),
        Value::Integer(value) => Some(Decimal::from(*value)),
        Value::Boolean(value) => Some(Decimal::from(i64::from(*value))),
        Value::Text(text) => text::parse_decimal(text),
        _ => None,
    }
}

fn real<F: std::str::FromStr>(value: &Value) -> Option<F> {
    decimal(value)?.to_string().parse().ok()
}

/// The time in UTC of a text with an offset.
fn moment(value: &Value) -> Option<DateTime> {
    let Value::Text(text) = value else {
        return None;
    };
    let moment: Timestamp = text.trim().parse().ok()?;
    Some(moment.to_zoned(TimeZone::UTC).datetime())
}

fn date_time(value: &Value) -> Option<DateTime> {
    match value {
        Value::DateTime(value) => Some(*value),
        Value::Text(text) => parse_datetime(text.trim()),
        _ => None,
    }
}

fn time(value: &Value) -> Option<i64> {
    let time: Time = match value {
        Value::DateTime(value) => value.time(),
        Value::Text(text) => text::parse_time(text)?,
        _ => return None,
    };
    let seconds =
        i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    Some(seconds * 1_000_000 + i64::from(time.subsec_nanosecond()) / 1000)
}

fn uuid(value: &Value) -> Option<Uuid> {
    match value {
        Value::Uuid(uuid) | Value::Entity(Entity { uuid, .. }) => Some(*uuid),
        Value::Binary(bytes) => Uuid::from_slice(bytes).ok(),
        Value::Text(text) => text::parse_uuid(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn slot(take: Take, empty: Option<usize>) -> Slot {
        Slot {
            index: 0,
            take,
            column: Some("Колонка".into()),
            empty,
            whole: false,
            compared: false,
        }
    }

    fn put(slot: &Slot, value: Value, data_type: &Type) -> Result<Option<Vec<u8>>, String> {
        let mut out = BytesMut::new();
        let scalar = Scalar {
            slot,
            value: &value,
            record: 7,
        };
        match scalar.to_sql(data_type, &mut out) {
            Ok(IsNull::Yes) => Ok(None),
            Ok(IsNull::No) => Ok(Some(out.to_vec())),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn converts_where_nothing_is_lost() {
        let whole = slot(Take::Whole, None);
        assert_eq!(
            put(&whole, Value::text("42"), &Type::INT4),
            Ok(Some(vec![0, 0, 0, 42]))
        );
        assert_eq!(
            put(&whole, Value::Integer(7), &Type::TEXT),
            Ok(Some(b"7".to_vec()))
        );
        assert_eq!(
            put(&whole, Value::Boolean(true), &Type::TEXT),
            Ok(Some(b"true".to_vec()))
        );
        assert_eq!(
            put(&whole, Value::text("0x01ff"), &Type::BYTEA),
            Ok(Some(vec![1, 255]))
        );
        assert_eq!(put(&whole, Value::Null, &Type::INT4), Ok(None));
    }

    #[test]
    fn names_the_column_of_what_it_refuses() {
        let whole = slot(Take::Whole, None);
        for (value, data_type, expected) in [
            (Value::text("а\0б"), Type::VARCHAR, "U+0000"),
            (Value::text("abc"), Type::INT8, "whole number of 64 bits"),
            (Value::Integer(70_000), Type::INT2, "16 bits"),
            (Value::Array(vec![]), Type::TEXT, "JSON()"),
            (
                Value::Binary(vec![1].into()),
                Type::TIMESTAMP,
                "binary as a date and time",
            ),
        ] {
            let error = put(&whole, value, &data_type).expect_err("it is refused");
            assert!(
                error.starts_with("column \"Колонка\" cannot hold") && error.contains(expected),
                "{error}"
            );
        }
        let code = slot(Take::TypeCode, None);
        let key = Value::Binary(Bytes::from_static(&[0, 0, 0, 7]));
        assert_eq!(put(&code, key, &Type::BYTEA), Ok(Some(vec![0, 0, 0, 7])));
        assert!(put(&code, Value::Uuid(Uuid::nil()), &Type::BYTEA).is_err());
    }

    #[test]
    fn references_have_the_byte_order_of_the_database() {
        let uuid = Uuid::parse_str("643c479d-cacf-4048-11f0-2426af738206").expect("a uuid");
        let raw = [
            0x9d, 0x47, 0x3c, 0x64, 0xcf, 0xca, 0x48, 0x40, 0x11, 0xf0, 0x24, 0x26, 0xaf, 0x73,
            0x82, 0x06,
        ];
        let entity = Value::Entity(Entity { code: 36, uuid });
        assert_eq!(
            put(&slot(Take::Reference, None), entity.clone(), &Type::BYTEA),
            Ok(Some(raw.to_vec()))
        );
        assert_eq!(
            put(&slot(Take::TypeCode, None), entity, &Type::BYTEA),
            Ok(Some(vec![0, 0, 0, 36]))
        );
        assert_eq!(
            put(&slot(Take::Whole, None), Value::Uuid(uuid), &Type::BYTEA),
            Ok(Some(raw.to_vec()))
        );
        assert_eq!(
            put(&slot(Take::Whole, None), Value::Uuid(uuid), &Type::UUID),
            Ok(Some(uuid.as_bytes().to_vec()))
        );
    }

    #[test]
    fn shares_of_a_union_fill_the_others_with_the_empty_value() {
        let roles = [ColumnRole::Tag, ColumnRole::Number, ColumnRole::Text];
        let holds = Holds::of(roles.into_iter());
        let share =
            |role, value, data_type| put(&slot(Take::Share(role, holds), None), value, data_type);
        let refused = share(ColumnRole::Tag, Value::Boolean(true), &Type::BYTEA);
        assert!(refused.is_err(), "there is no column for it");
        assert_eq!(
            share(ColumnRole::Tag, Value::Integer(1), &Type::BYTEA),
            Ok(Some(vec![3]))
        );
        assert_eq!(
            share(ColumnRole::Tag, Value::Null, &Type::BYTEA),
            Ok(Some(vec![1]))
        );
        assert_eq!(
            share(ColumnRole::Text, Value::Integer(1), &Type::VARCHAR),
            Ok(Some(vec![]))
        );
        assert_eq!(
            share(ColumnRole::Reference, Value::Null, &Type::BYTEA),
            Ok(Some(vec![0; 16]))
        );
        assert!(share(ColumnRole::Tag, Value::Array(vec![]), &Type::BYTEA).is_err());
    }

    #[test]
    fn null_becomes_the_empty_value_where_the_slot_says_so() {
        let slot = slot(Take::Whole, Some(16));
        assert_eq!(put(&slot, Value::Null, &Type::BYTEA), Ok(Some(vec![0; 16])));
        assert_eq!(put(&slot, Value::Null, &Type::VARCHAR), Ok(Some(vec![])));
    }
}
