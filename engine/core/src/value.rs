//! What scripts compute with, outside the machine: owned trees.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use jiff::civil::DateTime;
use uuid::Uuid;

use crate::Decimal;

mod json;
mod text;

pub use json::JsonError;
pub use text::{datetime_to_json, parse_datetime, parse_entity, parse_uuid};

/// A reference of a 1C infobase: type code and uuid (database form).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Entity {
    /// Type code, 0 for the zero reference.
    pub code: i32,
    /// Identity, in database form (function reference, section 3).
    pub uuid: Uuid,
}

/// A value of the language (reference, section 3). Text and binary share their buffer when cloned.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A 64-bit integer.
    Integer(i64),
    /// An exact decimal of at most 38 digits.
    Decimal(Decimal),
    /// A date and time without a zone.
    DateTime(DateTime),
    /// Unicode text.
    Text(ByteString),
    /// Bytes.
    Binary(Bytes),
    /// A uuid; database form where it comes from a 1C column.
    Uuid(Uuid),
    /// A reference of a 1C infobase.
    Entity(Entity),
    /// An ordered list of named members.
    Object(Box<Object>),
    /// An ordered list of values.
    Array(Vec<Value>),
}

/// An ordered list of (name, value); names are case-sensitive and unique.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object {
    /// The members in order.
    pub members: Vec<(Arc<str>, Value)>,
}

impl Value {
    /// Makes a text value.
    pub fn text(text: impl Into<ByteString>) -> Self {
        Value::Text(text.into())
    }

    /// True for `NULL`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The type's word, as scripts write it: `string`, `integer`, …; `NULL` for nothing.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "NULL",
            Value::Boolean(_) => "boolean",
            Value::Integer(_) => "integer",
            Value::Decimal(_) => "decimal",
            Value::DateTime(_) => "datetime",
            Value::Text(_) => "string",
            Value::Binary(_) => "binary",
            Value::Uuid(_) => "uuid",
            Value::Entity(_) => "entity",
            Value::Object(_) => "object",
            Value::Array(_) => "array",
        }
    }

    /// Bytes that the value holds, for the byte limit of a batch: payload plus a small constant.
    pub fn size(&self) -> usize {
        16 + match self {
            Value::Text(text) => text.len(),
            Value::Binary(bytes) => bytes.len(),
            Value::Object(object) => object
                .members
                .iter()
                .map(|(name, v)| name.len() + v.size())
                .sum(),
            Value::Array(items) => items.iter().map(Value::size).sum(),
            _ => 0,
        }
    }
}
