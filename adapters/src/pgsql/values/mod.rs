//! Values of the language as PostgreSQL's binary forms, both ways.

mod numeric;
mod read;
mod text;
mod write;

use std::error::Error;
use std::fmt;

use dajet_core::schema::ColumnRole;
use tokio_postgres::types::{Kind, Type};

pub(super) use read::{Buffer, Reading};
pub(super) use write::{Column, Scalar, Slot};

/// A value that PostgreSQL cannot hold, or that the language cannot.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Index of the record in the call's parameter rows.
    pub(super) record: Option<usize>,
    /// What and why: `column "a" cannot hold …`.
    pub(super) message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Refusal {}

/// Binary forms that are known here; every other type travels as text, by a cast in the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Bool,
    Int2,
    Int4,
    Int8,
    Numeric,
    Float4,
    Float8,
    Text,
    Jsonb,
    Timestamp,
    TimestampTz,
    Date,
    Time,
    Bytea,
    Uuid,
}

impl Wire {
    /// The form of a type, domains looked through.
    pub(super) fn of(data_type: &Type) -> Option<Self> {
        if let Kind::Domain(base) = data_type.kind() {
            return Self::of(base);
        }
        Some(match *data_type {
            Type::BOOL => Self::Bool,
            Type::INT2 => Self::Int2,
            Type::INT4 => Self::Int4,
            Type::INT8 => Self::Int8,
            Type::NUMERIC => Self::Numeric,
            Type::FLOAT4 => Self::Float4,
            Type::FLOAT8 => Self::Float8,
            Type::TEXT
            | Type::VARCHAR
            | Type::BPCHAR
            | Type::NAME
            | Type::JSON
            | Type::XML
            | Type::UNKNOWN => Self::Text,
            Type::JSONB => Self::Jsonb,
            Type::TIMESTAMP => Self::Timestamp,
            Type::TIMESTAMPTZ => Self::TimestampTz,
            Type::DATE => Self::Date,
            Type::TIME => Self::Time,
            Type::BYTEA => Self::Bytea,
            Type::UUID => Self::Uuid,
            _ if matches!(data_type.kind(), Kind::Enum(_)) || data_type.name() == "citext" => {
                Self::Text
            }
            _ => return None,
        })
    }

    /// True if a type of this name, as `format_type` writes it, has a known binary form.
    pub(super) fn knows(type_name: &str) -> bool {
        matches!(
            type_name,
            "boolean"
                | "smallint"
                | "integer"
                | "bigint"
                | "numeric"
                | "real"
                | "double precision"
                | "text"
                | "character varying"
                | "bpchar"
                | "name"
                | "json"
                | "xml"
                | "jsonb"
                | "citext"
                | "timestamp without time zone"
                | "timestamp with time zone"
                | "date"
                | "time without time zone"
                | "bytea"
                | "uuid"
        )
    }
}

/// What a parameter takes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Take {
    /// The value itself.
    Whole,
    /// The type code of an entity, 4 bytes big-endian.
    TypeCode,
    /// The 16 bytes of an entity or uuid.
    Reference,
    /// Its share in a column of a union: the other columns get the empty value.
    Share(ColumnRole, Holds),
}

/// Kinds of values that the columns of a union have room for, by their tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holds(u16);

impl Holds {
    /// Of a union whose columns have these roles. Undefined is held by every one.
    pub(super) fn of(roles: impl Iterator<Item = ColumnRole>) -> Self {
        let tag = |role| match role {
            ColumnRole::Boolean => tag::BOOLEAN,
            ColumnRole::Number => tag::NUMBER,
            ColumnRole::DateTime => tag::DATE_TIME,
            ColumnRole::Text => tag::TEXT,
            ColumnRole::Reference => tag::REFERENCE,
            ColumnRole::Tag | ColumnRole::TypeCode | ColumnRole::Value => tag::UNDEFINED,
        };
        Self(roles.fold(1 << tag::UNDEFINED, |held, role| held | 1 << tag(role)))
    }

    fn has(self, tag: u8) -> bool {
        self.0 & 1 << tag != 0
    }
}

/// Tags of unions, as 1C stores them.
mod tag {
    pub(super) const UNDEFINED: u8 = 1;
    pub(super) const BOOLEAN: u8 = 2;
    pub(super) const NUMBER: u8 = 3;
    pub(super) const DATE_TIME: u8 = 4;
    pub(super) const TEXT: u8 = 5;
    pub(super) const REFERENCE: u8 = 8;
}
