//! What a column keeps: SQLite types values, not columns, so that the declared type decides how a value is read and written.

use dajet_core::query::Part;
use dajet_core::schema::{Column, ColumnRole, DataType, declared_scale};

/// How a value is written to a place or read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As it is stored: undeclared columns, `ANY`, expressions without a type.
    Dynamic,
    /// 0 or 1.
    Boolean,
    /// A whole number.
    Integer,
    /// An exact decimal. With `scale` the declared digits behind the point; `numeric` if SQLite turns its text into a number.
    Decimal {
        /// Declared digits behind the point.
        scale: Option<u8>,
        /// True where the affinity of the column is numeric: at most 15 digits survive.
        numeric: bool,
    },
    /// ISO text.
    DateTime,
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// 36 characters, or where `blob` the 16 bytes of the database form, as .NET and 1C write them.
    Uuid {
        /// Kept as bytes.
        blob: bool,
    },
    /// The 16 bytes of a reference; with the type code, if it has only one.
    Reference(i32),
    /// The type code of a reference: 4 bytes, big-endian.
    TypeCode,
    /// What the column of this role of several types would hold of a value; NULL if the value is of another type.
    Share(ColumnRole),
}

impl Kind {
    /// The kind of a column's only physical part.
    pub fn of_column(column: &Column) -> Self {
        let Some(part) = column.parts.first() else {
            return Self::Dynamic;
        };
        let type_name = &*part.type_name;
        match part.role {
            ColumnRole::Value => {}
            ColumnRole::Tag => return Self::Dynamic,
            ColumnRole::Boolean => return Self::Boolean,
            ColumnRole::Number => return Self::of_type(DataType::Decimal),
            ColumnRole::DateTime => return Self::DateTime,
            ColumnRole::Text => return Self::Text,
            // the key of a line is bytes like those of a type code, and is none
            ColumnRole::TypeCode if column.data_type == DataType::Binary => return Self::Binary,
            ColumnRole::TypeCode => return Self::TypeCode,
            ColumnRole::Reference => {
                return match column.data_type {
                    DataType::Entity(code) => Self::Reference(code),
                    _ => Self::Reference(0),
                };
            }
        }
        match column.data_type {
            DataType::Text if !is_text(type_name) => Self::Dynamic,
            DataType::Decimal => Self::Decimal {
                scale: declared_scale(type_name),
                // a column of a query in FROM has no declared type
                numeric: !(type_name.is_empty() || is_text(type_name) || is_blob(type_name)),
            },
            DataType::Uuid => Self::Uuid {
                blob: is_blob(type_name),
            },
            other => Self::of_type(other),
        }
    }

    /// True for a column that keeps exact decimals as texts, which SQLite by itself compares letter by letter.
    pub fn keeps_digits(column: &Column) -> bool {
        let text = column.single().is_some_and(|part| is_text(&part.type_name));
        text && matches!(Self::of_column(column), Self::Decimal { .. })
    }

    /// The kind of a logical type whose column is not known.
    pub fn of_type(data_type: DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Integer => Self::Integer,
            DataType::Decimal => Self::Decimal {
                scale: None,
                numeric: false,
            },
            DataType::DateTime => Self::DateTime,
            DataType::Text => Self::Text,
            DataType::Binary => Self::Binary,
            DataType::Uuid => Self::Uuid { blob: false },
            DataType::Entity(code) => Self::Reference(code),
            DataType::Union | DataType::Any => Self::Dynamic,
        }
    }

    /// The kind of a part of a parameter.
    pub fn of_part(part: Part, whole: Self) -> Self {
        match part {
            Part::Whole => whole,
            Part::TypeCode => Self::TypeCode,
            Part::Reference => Self::Reference(0),
        }
    }
}

/// The logical type of a declared one.
pub fn logical(type_name: &str) -> DataType {
    let name = type_name.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if name.is_empty() || name == "ANY" {
        DataType::Any
    } else if has(&["BOOL"]) || name == "BIT" {
        DataType::Boolean
    } else if has(&["UUID", "GUID", "UNIQUEIDENTIFIER"]) {
        DataType::Uuid
    } else if has(&["DATE", "TIMESTAMP"]) {
        DataType::DateTime
    } else if has(&[
        "NUMERIC", "DECIMAL", "NUMBER", "MONEY", "REAL", "FLOA", "DOUB",
    ]) {
        DataType::Decimal
    } else if has(&["INT"]) {
        DataType::Integer
    } else if has(&["BLOB", "BINARY"]) {
        DataType::Binary
    } else {
        DataType::Text
    }
}

/// The rules of affinity: `CHAR`, `CLOB` and `TEXT` keep text as text, unless `INT` stands there too.
fn is_text(type_name: &str) -> bool {
    let name = type_name.to_ascii_uppercase();
    !name.contains("INT") && ["CHAR", "CLOB", "TEXT"].iter().any(|w| name.contains(w))
}

fn is_blob(type_name: &str) -> bool {
    let name = type_name.to_ascii_uppercase();
    name.contains("BLOB") || name.contains("BINARY")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_decide_the_logical_ones() {
        let check = |name: &str, expected: DataType| assert_eq!(logical(name), expected, "{name}");
        check("BOOLEAN", DataType::Boolean);
        check("bigint", DataType::Integer);
        check("NUMERIC(15,2)", DataType::Decimal);
        check("double precision", DataType::Decimal);
        check("varchar(50)", DataType::Text);
        check("DECIMAL_TEXT", DataType::Decimal);
        check("datetime", DataType::DateTime);
        check("timestamp", DataType::DateTime);
        check("BLOB", DataType::Binary);
        check("binary(16)", DataType::Binary);
        check("uuid", DataType::Uuid);
        check("uuid_blob", DataType::Uuid);
        check("json", DataType::Text);
        check("", DataType::Any);
        check("any", DataType::Any);
    }

    #[test]
    fn a_scale_is_read_from_the_declaration() {
        assert_eq!(declared_scale("NUMERIC(15, 2)"), Some(2));
        assert_eq!(declared_scale("NUMERIC(15)"), Some(0));
        assert_eq!(declared_scale("NUMERIC"), None);
    }
}
