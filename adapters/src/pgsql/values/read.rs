//! From the columns of a row to values. Texts and bytes share one buffer for each batch.

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use dajet_core::schema::ColumnRole;
use dajet_core::{DataType, Entity, Value};
use jiff::SignedDuration;
use jiff::civil::{Date, DateTime};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

use super::{Wire, numeric, tag, text};

/// Where PostgreSQL's calendar begins.
const EPOCH: DateTime = DateTime::constant(2000, 1, 1, 0, 0, 0, 0);

/// The bytes of one column of a row, as they came.
pub(in crate::pgsql) struct Raw<'a>(pub(in crate::pgsql) &'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Where texts and bytes of one result live: values are slices of few blocks, each larger than the one before.
#[derive(Default)]
pub(in crate::pgsql) struct Buffer {
    bytes: BytesMut,
    block: usize,
}

impl Buffer {
    fn put(&mut self, raw: &[u8]) -> Bytes {
        const BLOCK_MIN: usize = 256;
        const BLOCK_MAX: usize = 1024 * 1024;
        if raw.is_empty() {
            return Bytes::new();
        }
        if self.bytes.capacity() < raw.len() {
            self.block = (self.block * 2).clamp(BLOCK_MIN, BLOCK_MAX);
            self.bytes = BytesMut::with_capacity(raw.len().max(self.block));
        }
        self.bytes.put_slice(raw);
        self.bytes.split().freeze()
    }

    fn text(&mut self, raw: &[u8]) -> Result<Value, String> {
        ByteString::try_from(self.put(raw))
            .map(Value::Text)
            .map_err(|_| "a text that is not UTF-8".into())
    }
}

/// How a value of the result is made of the columns of a row.
#[derive(Clone, Debug)]
pub(in crate::pgsql) enum Reading {
    /// The statement's own parameter: it never goes to the server.
    Parameter(usize),
    /// One column.
    Column {
        /// Index in the row.
        index: usize,
        /// What it holds in the logical world.
        data_type: Option<DataType>,
    },
    /// A reference with its type code beside it, perhaps with a tag that says whether there is one.
    Entity {
        /// Index of the tag.
        tag: Option<usize>,
        /// Index of the type code.
        code: usize,
        /// Index of the reference.
        reference: usize,
    },
    /// A tagged value.
    Union {
        /// The columns by their roles.
        parts: Vec<(ColumnRole, usize)>,
        /// The type code of references, where no column holds it.
        code: i32,
    },
}

impl Reading {
    /// Makes the value; `wires` are the forms of the row's columns.
    ///
    /// # Errors
    /// What the column holds, if the language has no value for it: `NaN`, `a date outside …`.
    pub(in crate::pgsql) fn value(
        &self,
        row: &Row,
        wires: &[Wire],
        parameters: &[Value],
        buffer: &mut Buffer,
    ) -> Result<Value, String> {
        match self {
            Self::Parameter(index) => Ok(parameters.get(*index).cloned().unwrap_or_default()),
            Self::Column { index, data_type } => match raw(row, *index)? {
                Some(bytes) => value(wires[*index], *data_type, bytes, buffer),
                None => Ok(Value::Null),
            },
            Self::Entity {
                tag,
                code,
                reference,
            } => {
                let tagged = match tag {
                    Some(index) => {
                        raw(row, *index)?.and_then(<[u8]>::first) == Some(&tag::REFERENCE)
                    }
                    None => true,
                };
                match (raw(row, *code)?, raw(row, *reference)?) {
                    (Some(code), Some(reference)) if tagged => entity(type_code(code)?, reference),
                    _ => Ok(Value::Null),
                }
            }
            Self::Union { parts, code } => union((parts, *code), row, wires, buffer),
        }
    }
}

fn raw<'a>(row: &'a Row, index: usize) -> Result<Option<&'a [u8]>, String> {
    row.try_get::<_, Option<Raw<'a>>>(index)
        .map(|raw| raw.map(|Raw(bytes)| bytes))
        .map_err(|e| e.to_string())
}

fn union(
    (parts, only_code): (&[(ColumnRole, usize)], i32),
    row: &Row,
    wires: &[Wire],
    buffer: &mut Buffer,
) -> Result<Value, String> {
    let find = |role| {
        parts
            .iter()
            .find(|(r, _)| *r == role)
            .map(|(_, index)| *index)
    };
    let column = |role| match find(role) {
        Some(index) => Ok(raw(row, index)?.map(|bytes| (wires[index], bytes))),
        None => Ok::<Option<(Wire, &[u8])>, String>(None),
    };
    let Some((_, [stored, ..])) = column(ColumnRole::Tag)? else {
        return Ok(Value::Null);
    };
    let role = match *stored {
        tag::BOOLEAN => ColumnRole::Boolean,
        tag::NUMBER => ColumnRole::Number,
        tag::DATE_TIME => ColumnRole::DateTime,
        tag::TEXT => ColumnRole::Text,
        tag::REFERENCE => {
            let code = column(ColumnRole::TypeCode)?
                .map_or(Ok(only_code), |(_, bytes)| type_code(bytes))?;
            return column(ColumnRole::Reference)?
                .map_or(Ok(Value::Null), |(_, bytes)| entity(code, bytes));
        }
        _ => return Ok(Value::Null),
    };
    column(role)?.map_or(Ok(Value::Null), |(wire, bytes)| {
        value(wire, None, bytes, buffer)
    })
}

fn value(
    wire: Wire,
    data_type: Option<DataType>,
    raw: &[u8],
    buffer: &mut Buffer,
) -> Result<Value, String> {
    Ok(match wire {
        Wire::Text => return buffer.text(raw),
        Wire::Jsonb => return buffer.text(raw.get(1..).unwrap_or_default()),
        Wire::Int8 => Value::Integer(i64::from_be_bytes(fixed(raw)?)),
        Wire::Int4 => Value::Integer(i32::from_be_bytes(fixed(raw)?).into()),
        Wire::Int2 => Value::Integer(i16::from_be_bytes(fixed(raw)?).into()),
        Wire::Bool => Value::Boolean(raw.first().is_some_and(|byte| *byte != 0)),
        Wire::Numeric => Value::Decimal(numeric::read(raw)?),
        Wire::Float8 => real(f64::from_be_bytes(fixed(raw)?), |f| f.to_string())?,
        Wire::Float4 => real(f32::from_be_bytes(fixed(raw)?), |f| f.to_string())?,
        Wire::Timestamp | Wire::TimestampTz => {
            Value::DateTime(date_time(i64::from_be_bytes(fixed(raw)?))?)
        }
        Wire::Date => Value::DateTime(date(i32::from_be_bytes(fixed(raw)?))?.at(0, 0, 0, 0)),
        Wire::Time => Value::Text(time(i64::from_be_bytes(fixed(raw)?)).into()),
        Wire::Uuid => Value::Uuid(Uuid::from_bytes(fixed(raw)?)),
        Wire::Bytea => match data_type {
            Some(DataType::Entity(code)) => return entity(code, raw),
            Some(DataType::Uuid) => Value::Uuid(Uuid::from_bytes_le(fixed(raw)?)),
            // a tag or a type code that stands alone
            Some(DataType::Integer) => Value::Integer(type_code(raw)?.into()),
            _ => Value::Binary(buffer.put(raw)),
        },
    })
}

fn fixed<const N: usize>(raw: &[u8]) -> Result<[u8; N], String> {
    raw.try_into()
        .map_err(|_| format!("{} bytes where {N} are expected", raw.len()))
}

/// The reference's 16 bytes, read as uuid in database form (function reference, section 3).
fn entity(code: i32, raw: &[u8]) -> Result<Value, String> {
    Ok(Value::Entity(Entity {
        code,
        uuid: Uuid::from_bytes_le(fixed(raw)?),
    }))
}

fn type_code(raw: &[u8]) -> Result<i32, String> {
    match raw {
        [byte] => Ok((*byte).into()),
        _ => Ok(i32::from_be_bytes(fixed(raw)?)),
    }
}

fn real<F: Copy + Into<f64>>(value: F, shortest: impl Fn(F) -> String) -> Result<Value, String> {
    let wide: f64 = value.into();
    if !wide.is_finite() {
        return Err(if wide.is_nan() {
            "NaN"
        } else {
            "an infinite number"
        }
        .into());
    }
    // a tiny number is rounded to the 38 places that a decimal has: it was approximate already
    let tiny = || match wide.abs() < 1.0 {
        true => text::parse_decimal(&format!("{wide:.38}")).map(|rounded| rounded.trimmed(0)),
        false => None,
    };
    text::parse_decimal(&shortest(value))
        .or_else(tiny)
        .map(Value::Decimal)
        .ok_or_else(|| "a floating-point number of more than 38 digits".into())
}

fn date_time(microseconds: i64) -> Result<DateTime, &'static str> {
    if microseconds == i64::MAX || microseconds == i64::MIN {
        return Err("an infinite date");
    }
    EPOCH
        .checked_add(SignedDuration::from_micros(microseconds))
        .ok()
        .filter(|date| date.year() >= 1)
        .ok_or("a date outside of years 1 to 9999")
}

fn date(days: i32) -> Result<Date, &'static str> {
    if days == i32::MAX || days == i32::MIN {
        return Err("an infinite date");
    }
    date_time(i64::from(days) * 86_400_000_000).map(DateTime::date)
}

/// `HH:MM:SS`, and the fraction if there is one.
fn time(microseconds: i64) -> String {
    let (seconds, fraction) = (
        microseconds.div_euclid(1_000_000),
        microseconds.rem_euclid(1_000_000),
    );
    let text = format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    if fraction == 0 {
        text
    } else {
        format!("{text}.{fraction:06}").trim_end_matches('0').into()
    }
}

/// Days from the beginning of PostgreSQL's calendar; for writing.
pub(super) fn days_of(date: Date) -> i32 {
    (date.duration_since(EPOCH.date()).as_secs() / 86_400) as i32
}

/// Microseconds from the beginning of PostgreSQL's calendar; for writing.
pub(super) fn microseconds_of(value: DateTime) -> i64 {
    let duration = value.duration_since(EPOCH);
    duration.as_secs() * 1_000_000 + i64::from(duration.subsec_nanos()).div_euclid(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_both_ways() {
        for text in [
            "0001-01-01T00:00:00",
            "1969-12-31T23:59:59.999999",
            "2000-01-01T00:00:00",
            "9999-12-31T23:59:59",
        ] {
            let value: DateTime = text.parse().expect("a date");
            assert_eq!(date_time(microseconds_of(value)), Ok(value), "{text}");
            assert_eq!(date(days_of(value.date())), Ok(value.date()), "{text}");
        }
        assert_eq!(date_time(i64::MAX), Err("an infinite date"));
        assert!(date_time(i64::MAX - 1).is_err());
        assert_eq!(
            (time(0), time(86_399_120_000)),
            ("00:00:00".into(), "23:59:59.12".into())
        );
    }

    #[test]
    fn slices_of_one_buffer_keep_their_texts() {
        let mut buffer = Buffer::default();
        let texts = ["", "ab", "очень длинный текст", "😀"];
        let values: Vec<Value> = texts
            .iter()
            .map(|t| buffer.text(t.as_bytes()).expect("UTF-8"))
            .collect();
        assert_eq!(values, texts.map(Value::text));
        assert!(buffer.text(&[0xff]).is_err());
    }
}
