//! JSON of values (function reference, section 2): compact, Unicode unescaped, members in order, decimals exact.

use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserializer as _, Serialize, Serializer};
use serde_json::value::RawValue;

use super::text::datetime_to_json;
use super::{Object, Value};
use crate::Decimal;

/// Deepest nesting of a JSON text.
const DEPTH_MAX: usize = 128;

/// Why a text is no JSON that fits a value.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// The text is not JSON.
    #[error("the text is not JSON: {0}")]
    Syntax(String),
    /// A number has more than 38 digits.
    #[error("the number {0} has more than 38 digits")]
    Number(String),
    /// Nested too deep.
    #[error("the text is nested deeper than {DEPTH_MAX} levels")]
    Depth,
}

impl Value {
    /// The compact JSON text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self)
            .expect("values have no keys but text, and text is written without I/O")
    }

    /// Reads a JSON text; blanks around it are skipped. A string stays text, a number with a point or an exponent becomes a
    /// decimal, another an integer (a decimal if it is wider than 64 bits). Of members with the same name the last one wins.
    ///
    /// # Errors
    /// See [`JsonError`].
    pub fn from_json(text: &str) -> Result<Self, JsonError> {
        let raw: &RawValue = serde_json::from_str(text).map_err(syntax)?;
        read(raw, 0)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Boolean(value) => serializer.serialize_bool(*value),
            Value::Integer(value) => serializer.serialize_i64(*value),
            Value::Decimal(value) => {
                let raw = RawValue::from_string(value.to_string());
                raw.map_err(serde::ser::Error::custom)?
                    .serialize(serializer)
            }
            Value::DateTime(value) => serializer.serialize_str(&datetime_to_json(*value)),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Binary(bytes) => serializer.serialize_str(&base64(bytes)),
            Value::Uuid(value) => serializer.collect_str(value),
            Value::Entity(value) => serializer.collect_str(value),
            Value::Object(object) => {
                let mut map = serializer.serialize_map(Some(object.members.len()))?;
                object
                    .members
                    .iter()
                    .try_for_each(|(name, value)| map.serialize_entry(&**name, value))?;
                map.end()
            }
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items
                    .iter()
                    .try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
        }
    }
}

/// Standard Base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
            text.push(if i <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

fn syntax(error: serde_json::Error) -> JsonError {
    JsonError::Syntax(error.to_string())
}

/// Reads one value. Numbers are read from their text, since the parser's own numbers are binary fractions.
fn read(raw: &RawValue, depth: usize) -> Result<Value, JsonError> {
    let text = raw.get();
    if depth > DEPTH_MAX {
        return Err(JsonError::Depth);
    }
    let mut parser = serde_json::Deserializer::from_str(text);
    match text.as_bytes()[0] {
        b'{' => {
            let members = parser.deserialize_map(Members).map_err(syntax)?;
            let mut object = Object::default();
            for (name, raw) in members {
                let value = read(raw, depth + 1)?;
                object.set(name.into(), value);
            }
            Ok(Value::Object(Box::new(object)))
        }
        b'[' => {
            let items = parser.deserialize_seq(Items).map_err(syntax)?;
            items
                .into_iter()
                .map(|item| read(item, depth + 1))
                .collect::<Result<_, _>>()
                .map(Value::Array)
        }
        b'"' => serde_json::from_str::<String>(text)
            .map(Value::text)
            .map_err(syntax),
        b't' => Ok(Value::Boolean(true)),
        b'f' => Ok(Value::Boolean(false)),
        b'n' => Ok(Value::Null),
        _ => match text.parse() {
            Ok(integer) => Ok(Value::Integer(integer)),
            Err(_) => {
                let decimal: Result<Decimal, _> = text.parse();
                decimal
                    .map(Value::Decimal)
                    .map_err(|_| JsonError::Number(text.to_owned()))
            }
        },
    }
}

impl Object {
    /// Finds a member by its exact name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members
            .iter()
            .find(|(n, _)| &**n == name)
            .map(|(_, value)| value)
    }

    /// Overwrites a member in its place, or appends it.
    pub fn set(&mut self, name: Arc<str>, value: Value) {
        match self.members.iter_mut().find(|(n, _)| *n == name) {
            Some((_, old)) => *old = value,
            None => self.members.push((name, value)),
        }
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

struct Items;

impl<'de> Visitor<'de> for Items {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::value::text::parse_datetime;

    #[test]
    fn round_trips_text_byte_for_byte() {
        for text in [
            r#"{"Ссылка":"643c479d-cacf-4048-11f0-2426af738206","Цены":[{"Цена":1.00},{}],"n":null}"#,
            r#"[1,-2.50,"\"\\\n/",true,false,[[]],12345678901234567890]"#,
            r#""текст""#,
        ] {
            assert_eq!(
                Value::from_json(&format!(" {text}\r\n")).unwrap().to_json(),
                text
            );
        }
    }

    #[test]
    fn reads_numbers_exactly() {
        assert_eq!(
            Value::from_json("9223372036854775807").unwrap(),
            Value::Integer(i64::MAX)
        );
        assert_eq!(
            Value::from_json("0.1").unwrap(),
            Value::Decimal(Decimal::new(1, 1).unwrap())
        );
        assert_eq!(Value::from_json("1e2").unwrap().to_string(), "100");
        assert!(matches!(
            Value::from_json("[1e99]"),
            Err(JsonError::Number(_))
        ));
    }

    #[test]
    fn lets_the_last_of_two_members_win() {
        assert_eq!(
            Value::from_json(r#"{"a":1,"b":2,"a":3}"#)
                .unwrap()
                .to_json(),
            r#"{"a":3,"b":2}"#
        );
    }

    #[test]
    fn refuses_broken_and_deep_texts() {
        for text in [
            "",
            "{",
            "{'a':1}",
            "[1,]",
            "nul",
            "1 2",
            "{\"a\" 1}",
            "01",
            "\"\n\"",
        ] {
            assert!(
                matches!(Value::from_json(text), Err(JsonError::Syntax(_))),
                "{text}"
            );
        }
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(Value::from_json(&deep).is_err());
        let deep = "[".repeat(120) + &"]".repeat(120);
        assert!(Value::from_json(&deep).is_ok());
    }

    #[test]
    fn writes_each_type() {
        let at = parse_datetime("2024-01-02T03:04:05.250").unwrap();
        let list = Value::Array(vec![
            Value::DateTime(at),
            Value::Binary(Bytes::from_static(b"any carnal pleas")),
            Value::Decimal("1.00".parse().unwrap()),
            Value::text("\u{1}é"),
        ]);
        let json = "[\"2024-01-02T03:04:05.25\",\"YW55IGNhcm5hbCBwbGVhcw==\",1.00,\"\\u0001é\"]";
        assert_eq!(list.to_json(), json);
    }
}
