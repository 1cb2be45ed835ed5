//! Values of the language to values of SQLite and back.

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use dajet_core::schema::ColumnRole;
use dajet_core::{Decimal, Entity, SystemError, Value};
use jiff::civil::DateTime;
use rusqlite::types::{ToSqlOutput, ValueRef};
use uuid::Uuid;

use super::kind::Kind;

/// Bytes of one piece of memory that small texts share.
const CHUNK: usize = 64 * 1024;
/// Texts above it get memory of their own, so that one kept text does not keep much else.
const SHARED_MAX: usize = 8 * 1024;

/// Memory for what is read: small texts and bytes of a batch share it, so that there is no allocation for each.
#[derive(Default)]
pub struct Arena(BytesMut);

impl Arena {
    fn keep(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.len() > SHARED_MAX {
            return Bytes::copy_from_slice(bytes);
        }
        if self.0.capacity() < bytes.len() {
            self.0 = BytesMut::with_capacity(CHUNK);
        }
        self.0.extend_from_slice(bytes);
        self.0.split().freeze()
    }

    fn text(&mut self, bytes: &[u8]) -> Result<Value, String> {
        let kept = self.keep(bytes);
        ByteString::try_from(kept)
            .map(Value::Text)
            .map_err(|_| "holds text that is not UTF-8".into())
    }
}

/// Reads a stored value. What does not fit the kind is read as it is stored.
///
/// # Errors
/// A fragment: text that is not UTF-8, a number that no decimal holds.
pub fn read(stored: ValueRef<'_>, kind: Kind, arena: &mut Arena) -> Result<Value, String> {
    match (stored, kind) {
        (ValueRef::Null, _) => Ok(Value::Null),
        (ValueRef::Integer(n), Kind::Boolean) => Ok(Value::Boolean(n != 0)),
        (
            ValueRef::Integer(n),
            Kind::Decimal {
                scale: Some(scale), ..
            },
        ) if scale > 0 => Ok(scaled(Decimal::from(n), scale)),
        (ValueRef::Integer(n), _) => Ok(Value::Integer(n)),
        (ValueRef::Real(x), kind) => real(x, kind),
        (ValueRef::Text(text), kind) => match typed_text(text, kind) {
            Some(value) => Ok(value),
            None => arena.text(text),
        },
        (ValueRef::Blob(&[byte]), Kind::Boolean) => Ok(Value::Boolean(byte != 0)),
        (ValueRef::Blob(bytes), Kind::Uuid { .. }) if bytes.len() == 16 => {
            Ok(from_reference(bytes).map_or(Value::Null, Value::Uuid))
        }
        (ValueRef::Blob(bytes), Kind::Reference(code)) if bytes.len() == 16 => {
            let uuid = from_reference(bytes).unwrap_or_default();
            Ok(Value::Entity(Entity { code, uuid }))
        }
        (ValueRef::Blob(bytes), Kind::TypeCode) => Ok(match <[u8; 4]>::try_from(bytes) {
            Ok(code) => Value::Integer(i64::from(i32::from_be_bytes(code))),
            Err(_) => Value::Binary(arena.keep(bytes)),
        }),
        (ValueRef::Blob(bytes), Kind::Text) => arena.text(bytes),
        (ValueRef::Blob(bytes), _) => Ok(Value::Binary(arena.keep(bytes))),
    }
}

/// True if reading `stored` would give `value`; does not make a value where the stored form tells.
pub fn reads_as(stored: ValueRef<'_>, kind: Kind, value: &Value, arena: &mut Arena) -> bool {
    match (stored, value) {
        (ValueRef::Null, value) => value.is_null(),
        (ValueRef::Integer(now), Value::Integer(before)) => now == *before,
        (ValueRef::Text(now), Value::Text(before)) => now == before.as_bytes(),
        (ValueRef::Blob(now), Value::Binary(before)) => now == &before[..],
        _ => read(stored, kind, arena).is_ok_and(|now| now == *value),
    }
}

/// The value of a text in a column of another type; `None` if it is plain text.
fn typed_text(text: &[u8], kind: Kind) -> Option<Value> {
    if matches!(kind, Kind::Text | Kind::Dynamic) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    match kind {
        Kind::Boolean => match text {
            "true" | "TRUE" => Some(Value::Boolean(true)),
            "false" | "FALSE" => Some(Value::Boolean(false)),
            _ => None,
        },
        Kind::Decimal { .. } => text.parse().ok().map(Value::Decimal),
        Kind::DateTime => plain_time(text.as_bytes())
            .or_else(|| text.parse().ok())
            .map(Value::DateTime),
        Kind::Uuid { .. } if text.len() == 36 => Uuid::try_parse(text).ok().map(Value::Uuid),
        _ => None,
    }
}

/// `yyyy-MM-ddTHH:mm:ss`, the form of nearly all times, or the same with a blank in its middle.
fn plain_time(text: &[u8]) -> Option<DateTime> {
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if text.len() != 19
        || !matches!(text[10], b'T' | b' ')
        || marks.iter().any(|(at, mark)| text[*at] != *mark)
    {
        return None;
    }
    let number = |at: usize, length: usize| {
        text[at..at + length].iter().try_fold(0i16, |sum, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + i16::from(byte - b'0'))
        })
    };
    let two = |at| number(at, 2).and_then(|n| i8::try_from(n).ok());
    DateTime::new(
        number(0, 4)?,
        two(5)?,
        two(8)?,
        two(11)?,
        two(14)?,
        two(17)?,
        0,
    )
    .ok()
}

/// A floating number as the shortest decimal that is read back as the same number; rounded, where that has more than 38 places.
///
/// # Errors
/// A fragment: no decimal holds it.
pub fn decimal_of(x: f64) -> Result<Decimal, String> {
    if !x.is_finite() {
        return Err(format!("holds {x}, which no decimal is"));
    }
    match format!("{x}").parse() {
        Ok(number) => Ok(number),
        Err(_) if x.abs() < 1.0 => {
            let rounded = format!("{x:.38}").parse().unwrap_or(Decimal::ZERO);
            Ok(rounded.trimmed(0))
        }
        Err(_) => Err(format!("holds {x:e}, which has more than 38 digits")),
    }
}

/// A floating number as a column of this kind gives it.
fn real(x: f64, kind: Kind) -> Result<Value, String> {
    if matches!(kind, Kind::Boolean) {
        return Ok(Value::Boolean(x != 0.0));
    }
    let number = decimal_of(x)?;
    match kind {
        Kind::Integer => Ok(number
            .to_integer()
            .map_or(Value::Decimal(number), Value::Integer)),
        Kind::Decimal {
            scale: Some(scale), ..
        } => Ok(scaled(number, scale)),
        _ => Ok(Value::Decimal(number)),
    }
}

/// Gives a number back the zeros that its column declares; never takes a digit away.
fn scaled(number: Decimal, scale: u8) -> Value {
    if number.scale() >= scale {
        return Value::Decimal(number);
    }
    Value::Decimal(number.rescale(scale).unwrap_or(number))
}

/// A value on its way into SQLite: borrowed where that is possible.
pub enum Stored<'a> {
    /// NULL
    Null,
    /// INTEGER
    Integer(i64),
    /// REAL
    Real(f64),
    /// TEXT
    Text(&'a str),
    /// TEXT that had to be made.
    Made(String),
    /// BLOB
    Blob(&'a [u8]),
    /// BLOB of 16 bytes.
    Sixteen([u8; 16]),
    /// BLOB of 1 byte.
    One([u8; 1]),
    /// BLOB of 4 bytes.
    Four([u8; 4]),
}

impl rusqlite::ToSql for Stored<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(n) => ValueRef::Integer(*n),
            Self::Real(x) => ValueRef::Real(*x),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Made(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
            Self::Sixteen(bytes) => ValueRef::Blob(bytes),
            Self::Four(bytes) => ValueRef::Blob(bytes),
            Self::One(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Makes of a value what a column of `kind` keeps.
///
/// # Errors
/// `Rejected`, without the name of the column: the value does not fit.
pub fn store(value: &Value, kind: Kind) -> Result<Stored<'_>, SystemError> {
    let stored = match (kind, value) {
        (Kind::Share(role), value) => share(role, value),
        (_, Value::Null) => Some(Stored::Null),
        (_, Value::Object(_) | Value::Array(_)) => {
            return Err(refused(value, kind).with_hint("Write JSON(…) to keep it as text."));
        }
        (Kind::Dynamic, Value::Decimal(number)) => Some(natural_number(*number)),
        (Kind::Dynamic, value) => Some(natural(value)),
        (Kind::Boolean, value) => boolean(value),
        (Kind::Integer, value) => integer(value),
        (Kind::Decimal { numeric, .. }, value) => decimal(value, numeric)?,
        (Kind::DateTime, value) => date_time(value),
        (Kind::Text, Value::Binary(_)) => {
            let hint =
                "Keep bytes in a column of type BLOB; '' + value makes their hexadecimal text.";
            return Err(refused(value, kind).with_hint(hint));
        }
        (Kind::Text, value) => Some(text(value)),
        (Kind::Binary, Value::Integer(_)) => {
            return Err(
                refused(value, kind).with_hint("CAST(… AS binary) makes bytes of a number.")
            );
        }
        (Kind::Binary, Value::Binary(bytes)) => Some(Stored::Blob(bytes)),
        (Kind::Binary, Value::Uuid(uuid)) => Some(Stored::Sixteen(to_reference(*uuid))),
        (Kind::Binary, Value::Entity(entity)) => Some(Stored::Sixteen(to_reference(entity.uuid))),
        (Kind::Reference(_) | Kind::Uuid { blob: true }, Value::Binary(bytes))
            if bytes.len() == 16 =>
        {
            Some(Stored::Blob(bytes))
        }
        (Kind::Uuid { blob }, value) => uuid(value).map(|uuid| match blob {
            true => Stored::Sixteen(to_reference(uuid)),
            false => Stored::Made(uuid.to_string()),
        }),
        (Kind::Reference(_), value) => uuid(value).map(|u| Stored::Sixteen(to_reference(u))),
        (Kind::TypeCode, Value::Entity(entity)) => Some(Stored::Four(entity.code.to_be_bytes())),
        (Kind::TypeCode, Value::Binary(bytes)) if bytes.len() == 4 => Some(Stored::Blob(bytes)),
        (Kind::TypeCode, Value::Integer(code)) => i32::try_from(*code)
            .ok()
            .map(|code| Stored::Four(code.to_be_bytes())),
        _ => None,
    };
    stored.ok_or_else(|| refused(value, kind))
}

/// What the column of a role would hold of a value in a column of several types; `None` if it is of no such type.
fn share(role: ColumnRole, value: &Value) -> Option<Stored<'_>> {
    let tag = match value {
        Value::Null => 1,
        Value::Boolean(_) => 2,
        Value::Integer(_) | Value::Decimal(_) => 3,
        Value::DateTime(_) => 4,
        Value::Text(_) => 5,
        Value::Entity(_) => 8,
        _ => return None,
    };
    match (role, value) {
        (ColumnRole::Tag, _) => Some(Stored::One([tag])),
        (ColumnRole::TypeCode, Value::Entity(_)) => store(value, Kind::TypeCode).ok(),
        (ColumnRole::Reference, Value::Entity(_)) => store(value, Kind::Reference(0)).ok(),
        (ColumnRole::Boolean, Value::Boolean(_))
        | (ColumnRole::DateTime, Value::DateTime(_))
        | (ColumnRole::Number, Value::Integer(_) | Value::Decimal(_))
        | (ColumnRole::Text, Value::Text(_)) => Some(natural(value)),
        _ => Some(Stored::Null),
    }
}

/// As the value is, whatever the place is: for comparisons that no value fits.
pub fn natural(value: &Value) -> Stored<'_> {
    match value {
        Value::Null | Value::Object(_) | Value::Array(_) => Stored::Null,
        Value::Boolean(b) => Stored::Integer(i64::from(*b)),
        Value::Integer(n) => Stored::Integer(*n),
        Value::Binary(bytes) => Stored::Blob(bytes),
        other => text(other),
    }
}

/// A decimal where nothing is declared: a number of SQLite if that is read back as the same one, else its text.
pub fn natural_number(number: Decimal) -> Stored<'static> {
    if let Some(whole) = number.to_integer() {
        return Stored::Integer(whole);
    }
    let text = number.to_string();
    match text.parse() {
        Ok(real) if survives(number, &text) => Stored::Real(real),
        _ => Stored::Made(text),
    }
}

fn text(value: &Value) -> Stored<'_> {
    match value {
        Value::Text(text) => Stored::Text(text),
        Value::Boolean(true) => Stored::Text("true"),
        Value::Boolean(false) => Stored::Text("false"),
        Value::Integer(n) => Stored::Made(n.to_string()),
        Value::Decimal(n) => Stored::Made(n.to_string()),
        Value::DateTime(time) => Stored::Made(time.to_string()),
        Value::Uuid(uuid) => Stored::Made(uuid.to_string()),
        Value::Entity(entity) => Stored::Made(format!("{{{}:{}}}", entity.code, entity.uuid)),
        Value::Binary(bytes) => Stored::Made(format!("0x{bytes:x}")),
        Value::Null | Value::Object(_) | Value::Array(_) => Stored::Null,
    }
}

fn boolean(value: &Value) -> Option<Stored<'static>> {
    match value {
        Value::Boolean(b) => Some(Stored::Integer(i64::from(*b))),
        Value::Integer(n @ (0 | 1)) => Some(Stored::Integer(*n)),
        Value::Text(text) if text.eq_ignore_ascii_case("true") => Some(Stored::Integer(1)),
        Value::Text(text) if text.eq_ignore_ascii_case("false") => Some(Stored::Integer(0)),
        _ => None,
    }
}

fn integer(value: &Value) -> Option<Stored<'static>> {
    match value {
        Value::Boolean(b) => Some(i64::from(*b)),
        Value::Integer(n) => Some(*n),
        Value::Decimal(n) => n.to_integer(),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
    .map(Stored::Integer)
}

fn decimal(value: &Value, numeric: bool) -> Result<Option<Stored<'static>>, SystemError> {
    let number = match value {
        Value::Integer(n) => return Ok(Some(Stored::Integer(*n))),
        Value::Boolean(b) => return Ok(Some(Stored::Integer(i64::from(*b)))),
        Value::Decimal(number) => *number,
        Value::Text(text) => match text.trim().parse() {
            Ok(number) => number,
            Err(_) => return Ok(None),
        },
        _ => return Ok(None),
    };
    if numeric && let Some(whole) = number.to_integer() {
        return Ok(Some(Stored::Integer(whole)));
    }
    let text = number.to_string();
    if numeric && !survives(number, &text) {
        return Err(SystemError::rejected(
            "E_DB",
            format!("a numeric column of SQLite cannot keep {text} exactly"),
        )
        .with_hint("Declare the column as DECIMAL_TEXT or TEXT: then decimals are kept as text."));
    }
    Ok(Some(Stored::Made(text)))
}

/// True if SQLite's floating number is read back as the same decimal.
fn survives(number: Decimal, text: &str) -> bool {
    if number.mantissa().unsigned_abs() < 1_000_000_000_000_000 {
        return true;
    }
    let back = text
        .parse::<f64>()
        .ok()
        .and_then(|x| format!("{x}").parse::<Decimal>().ok());
    back.is_some_and(|back| back.compare(number).is_eq())
}

fn date_time(value: &Value) -> Option<Stored<'static>> {
    match value {
        Value::DateTime(time) => Some(Stored::Made(time.to_string())),
        Value::Text(text) => {
            let time: DateTime = text.trim().parse().ok()?;
            Some(Stored::Made(time.to_string()))
        }
        _ => None,
    }
}

fn uuid(value: &Value) -> Option<Uuid> {
    match value {
        Value::Uuid(uuid) => Some(*uuid),
        Value::Entity(entity) => Some(entity.uuid),
        Value::Binary(bytes) => uuid_of(bytes),
        Value::Text(text) => Uuid::try_parse(text.trim()).ok(),
        _ => None,
    }
}

fn uuid_of(bytes: &[u8]) -> Option<Uuid> {
    <[u8; 16]>::try_from(bytes).ok().map(Uuid::from_bytes)
}

/// The uuid of a reference column's bytes: the first three groups are stored in the other byte order.
pub fn from_reference(bytes: &[u8]) -> Option<Uuid> {
    <[u8; 16]>::try_from(bytes).ok().map(Uuid::from_bytes_le)
}

fn to_reference(uuid: Uuid) -> [u8; 16] {
    uuid.to_bytes_le()
}

fn refused(value: &Value, kind: Kind) -> SystemError {
    let place = match kind {
        Kind::Dynamic => "column",
        Kind::Boolean => "boolean",
        Kind::Integer => "integer",
        Kind::Decimal { .. } => "decimal",
        Kind::DateTime => "datetime",
        Kind::Text => "string",
        Kind::Binary => "binary",
        Kind::Uuid { .. } => "uuid",
        Kind::Reference(_) => "reference",
        Kind::TypeCode => "type code",
        Kind::Share(_) => "a value of several types",
    };
    SystemError::rejected(
        "E_TYPE",
        format!(
            "a value of type {} does not fit a place of type {place}",
            value.type_name()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(value: &Value, kind: Kind) -> Value {
        use rusqlite::ToSql;
        let stored = store(value, kind).expect("it fits");
        let ToSqlOutput::Borrowed(stored) = stored.to_sql().expect("it binds") else {
            panic!("it is borrowed");
        };
        read(stored, kind, &mut Arena::default()).expect("it is read")
    }

    #[test]
    fn values_come_back_as_they_were() {
        let uuid = Uuid::from_u128(0x3552_1b2a_b154_4ca5_97fc_ae57_33c4_e473);
        let time: DateTime = "2024-05-06T07:08:09.123".parse().expect("it is a time");
        let exact = Kind::Decimal {
            scale: None,
            numeric: false,
        };
        let number: Decimal = "12345678901234567890.10".parse().expect("it is a number");
        for (value, kind) in [
            (Value::Boolean(true), Kind::Boolean),
            (Value::Integer(i64::MIN), Kind::Integer),
            (Value::Decimal(number), exact),
            (Value::DateTime(time), Kind::DateTime),
            (Value::text("Ёж\0🦔"), Kind::Text),
            (Value::Binary(Bytes::from_static(&[0, 255])), Kind::Binary),
            (Value::Uuid(uuid), Kind::Uuid { blob: false }),
            (Value::Uuid(uuid), Kind::Uuid { blob: true }),
            (
                Value::Entity(Entity { code: 36, uuid }),
                Kind::Reference(36),
            ),
            (Value::Null, Kind::Integer),
        ] {
            assert_eq!(round_trip(&value, kind), value);
        }
    }

    #[test]
    fn times_are_read_in_all_iso_forms() {
        let read = |text: &str| match typed_text(text.as_bytes(), Kind::DateTime) {
            Some(Value::DateTime(time)) => time.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(read("2024-05-06T07:08:09"), "2024-05-06T07:08:09");
        assert_eq!(read("2024-05-06 07:08:09"), "2024-05-06T07:08:09");
        assert_eq!(read("2024-05-06 07:08:09.25"), "2024-05-06T07:08:09.25");
        assert_eq!(read("2024-05-06"), "2024-05-06T00:00:00");
        assert_eq!(read("0001-01-01T00:00:00"), "0001-01-01T00:00:00");
        assert_eq!(read("2024-13-06T07:08:09"), "None");
        assert_eq!(read("2024-5-006T07:08:09"), "None");
    }

    #[test]
    fn floating_numbers_are_read_by_their_shortest_form() {
        let kind = Kind::Decimal {
            scale: Some(2),
            numeric: true,
        };
        let read =
            |x| read(ValueRef::Real(x), kind, &mut Arena::default()).map(|v| format!("{v:?}"));
        let expect = |text: &str| {
            let number: Decimal = text.parse().expect("it is a number");
            Ok(format!("{:?}", Value::Decimal(number)))
        };
        assert_eq!(read(12.3), expect("12.30"));
        assert_eq!(read(0.1 + 0.2), expect("0.30000000000000004"));
        assert_eq!(
            read(1.2345678901234567e-30),
            expect("0.00000000000000000000000000000123456789")
        );
        assert_eq!(read(5e-324), expect("0.00"));
        assert!(read(1e300).is_err());
        assert!(read(f64::INFINITY).is_err());
    }

    #[test]
    fn a_decimal_is_a_number_where_nothing_is_declared_if_no_digit_is_lost() {
        let check = |text: &str, expected: &str| {
            let number: Decimal = text.parse().expect("it is a number");
            let shown = match natural_number(number) {
                Stored::Integer(whole) => format!("integer {whole}"),
                Stored::Real(real) => format!("real {real}"),
                Stored::Made(text) => format!("text {text}"),
                _ => "something else".to_owned(),
            };
            assert_eq!(shown, expected);
            let back = round_trip(&Value::Decimal(number), Kind::Dynamic);
            assert_eq!(back.to_string(), number.trimmed(0).to_string());
        };
        check("5.00", "integer 5");
        check("-1.50", "real -1.5");
        check("12345678901234567.89", "text 12345678901234567.89");
        check("100000000000000000000", "real 100000000000000000000");
    }

    #[test]
    fn a_numeric_column_refuses_digits_that_it_would_lose() {
        let kind = Kind::Decimal {
            scale: None,
            numeric: true,
        };
        let number: Decimal = "12345678901234567.89".parse().expect("it is a number");
        assert!(store(&Value::Decimal(number), kind).is_err());
        assert!(store(&Value::text("не число"), Kind::Integer).is_err());
        assert!(store(&Value::Array(Vec::new()), Kind::Text).is_err());
    }
}
