//! Text forms of values and the texts that become values (language reference, sections 2.4 and 3).

use std::fmt::{self, Write as _};

use jiff::civil::DateTime;
use uuid::Uuid;

use super::{Entity, Value};

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}:{}}}", self.code, self.uuid)
    }
}

/// The text form, as PRINT and concatenation show it: NULL is `null`, fractions of a second are cut, objects and arrays are
/// compact JSON.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Boolean(value) => write!(f, "{value}"),
            Value::Integer(value) => write!(f, "{value}"),
            Value::Decimal(value) => write!(f, "{value}"),
            Value::DateTime(value) => write_datetime(f, *value, ' '),
            Value::Text(text) => f.write_str(text),
            Value::Binary(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Value::Uuid(value) => write!(f, "{value}"),
            Value::Entity(value) => write!(f, "{value}"),
            Value::Object(_) | Value::Array(_) => f.write_str(&self.to_json()),
        }
    }
}

/// Writes `yyyy-MM-dd HH:mm:ss` with `separator` between date and time; no fraction.
pub(super) fn write_datetime(
    f: &mut impl fmt::Write,
    at: DateTime,
    separator: char,
) -> fmt::Result {
    let (date, time) = (at.date(), at.time());
    write!(
        f,
        "{:04}-{:02}-{:02}{separator}",
        date.year(),
        date.month(),
        date.day()
    )?;
    write!(
        f,
        "{:02}:{:02}:{:02}",
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// The ISO form of JSON: `yyyy-MM-ddTHH:mm:ss`, a fraction only if it is not zero.
pub fn datetime_to_json(at: DateTime) -> String {
    let mut text = String::with_capacity(29);
    write_datetime(&mut text, at, 'T').expect("writing to a string does not fail");
    let nanosecond = at.subsec_nanosecond();
    if nanosecond != 0 {
        write!(text, ".{nanosecond:09}").expect("writing to a string does not fail");
        text.truncate(text.trim_end_matches('0').len());
    }
    text
}

/// Reads `yyyy-MM-dd`, `yyyy-MM-ddTHH:mm:ss` or `yyyy-MM-dd HH:mm:ss`, with an optional fraction of at most 9 digits.
pub fn parse_datetime(text: &str) -> Option<DateTime> {
    let bytes = text.as_bytes();
    if !text.is_ascii() || bytes.len() < 10 {
        return None;
    }
    let number = |at: usize, length: usize| -> Option<u32> {
        let digits = text.get(at..at + length)?;
        if digits.bytes().all(|b| b.is_ascii_digit()) {
            digits.parse().ok()
        } else {
            None
        }
    };
    let mark = |at: usize, marks: &[u8]| bytes.get(at).is_some_and(|b| marks.contains(b));
    if !(mark(4, b"-") && mark(7, b"-")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (mut hour, mut minute, mut second, mut nanosecond) = (0, 0, 0, 0);
    if bytes.len() > 10 {
        if !(mark(10, b"T ") && mark(13, b":") && mark(16, b":")) {
            return None;
        }
        (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    }
    if bytes.len() > 19 {
        let digits = bytes.len() - 20;
        if !mark(19, b".") || digits == 0 || digits > 9 {
            return None;
        }
        nanosecond = number(20, digits)? * 10u32.pow(9 - digits as u32);
    }
    DateTime::new(
        year as i16,
        month as i8,
        day as i8,
        hour as i8,
        minute as i8,
        second as i8,
        nanosecond as i32,
    )
    .ok()
}

/// Reads the form of 36 characters, groups 8-4-4-4-12, and no other.
pub fn parse_uuid(text: &str) -> Option<Uuid> {
    if text.len() == 36 {
        Uuid::try_parse(text).ok()
    } else {
        None
    }
}

/// Reads `{code:uuid}`.
pub fn parse_entity(text: &str) -> Option<Entity> {
    let (code, uuid) = text.strip_prefix('{')?.strip_suffix('}')?.split_once(':')?;
    if code.is_empty() || !code.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(Entity {
        code: code.parse().ok()?,
        uuid: parse_uuid(uuid)?,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn writes_the_text_forms() {
        let at = parse_datetime("2024-01-02T03:04:05.5").unwrap();
        let uuid = parse_uuid("643C479D-cacf-4048-11f0-2426af738206").unwrap();
        let check = |value: Value, text: &str| assert_eq!(value.to_string(), text);
        check(Value::Null, "null");
        check(Value::Boolean(true), "true");
        check(Value::Decimal("1.00".parse().unwrap()), "1.00");
        check(Value::DateTime(at), "2024-01-02 03:04:05");
        check(Value::Binary(Bytes::from_static(&[0xff, 0x01])), "0xff01");
        check(Value::Uuid(uuid), "643c479d-cacf-4048-11f0-2426af738206");
        let entity = Entity { code: 36, uuid };
        check(
            Value::Entity(entity),
            "{36:643c479d-cacf-4048-11f0-2426af738206}",
        );
        assert_eq!(parse_entity(&entity.to_string()), Some(entity));
    }

    #[test]
    fn reads_iso_dates_only() {
        let read = |text: &str| parse_datetime(text).map(datetime_to_json);
        assert_eq!(read("2024-02-29"), Some("2024-02-29T00:00:00".into()));
        assert_eq!(
            read("2024-01-01 10:20:30"),
            Some("2024-01-01T10:20:30".into())
        );
        assert_eq!(
            read("2024-01-01T10:20:30.120"),
            Some("2024-01-01T10:20:30.12".into())
        );
        for text in [
            "2024-02-30",
            "01.02.2024",
            "2024-01-01T10:20",
            "2024-01-01T10:20:30Z",
            "2024-1-1",
            "2024-01-01T10:20:30.",
            "дата-время!!",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn refuses_other_forms_of_identities() {
        assert_eq!(parse_uuid("643c479dcacf404811f02426af738206"), None);
        assert_eq!(
            parse_entity("{x:643c479d-cacf-4048-11f0-2426af738206}"),
            None
        );
        assert_eq!(parse_entity("{\"a\":1}"), None);
    }
}
