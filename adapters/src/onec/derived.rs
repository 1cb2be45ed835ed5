//! A table as metadata derives it, before the real columns are looked at.

use dajet_core::DataType;
use dajet_core::schema::{ColumnRole, MappingLine, fold};

use super::types::{Part, Stored, Unknown};

/// A property of a table: one column or several.
#[derive(Clone, Debug)]
pub(crate) struct Property {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    /// What the names of all its columns begin with.
    pub(super) base: String,
    /// The columns; none where the real ones decide.
    pub(super) parts: Vec<Part>,
    /// The type code of its references, 0 for many types.
    pub(super) code: i32,
    /// Its absence is nothing to speak of.
    pub(super) optional: bool,
    /// Why its type is not known.
    pub(super) unknown: Option<Unknown>,
}

/// A table.
#[derive(Clone, Debug)]
pub struct Derived {
    /// The logical name: `Справочник.Номенклатура.Изменения`.
    pub name: String,
    /// The physical name: `_ReferenceChngR150`.
    pub table: String,
    /// The type code of the object that it belongs to.
    pub code: i32,
    pub(super) properties: Vec<Property>,
    /// Properties that have no columns, and why.
    pub(crate) reasons: Vec<(String, String)>,
}

impl Property {
    /// The logical type of these columns.
    pub(super) fn data_type(parts: &[Part], code: i32) -> DataType {
        let has = |role| parts.iter().any(|part| part.role == role);
        match parts {
            [only] => only.stored.data_type(code),
            _ if !has(ColumnRole::Tag) => DataType::Entity(0),
            [_, _, _] if has(ColumnRole::TypeCode) && has(ColumnRole::Reference) => {
                DataType::Entity(0)
            }
            _ => DataType::Union,
        }
    }
}

impl Derived {
    /// Adds a property, unless one of this name is there.
    pub(super) fn push(&mut self, property: Property) {
        let name = fold(&property.name);
        let known = |known: &Property| fold(&known.name) == name;
        if !property.name.is_empty() && !self.properties.iter().any(known) {
            self.properties.push(property);
        }
    }

    /// Lower-case fragments: properties whose types metadata does not tell.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.properties.iter().filter_map(|property| {
            let (name, unknown) = (&property.name, property.unknown?);
            Some(format!(
                "property \"{name}\" has the type that its columns have: {unknown}"
            ))
        })
    }

    /// The table as lines of a mapping file.
    pub fn lines(&self) -> Vec<MappingLine> {
        let joined = |parts: &[Part], separator: &str, of: fn(&Part) -> String| {
            parts.iter().map(of).collect::<Vec<_>>().join(separator)
        };
        self.properties
            .iter()
            .filter(|property| !property.parts.is_empty())
            .map(|property| MappingLine {
                name: format!("{}.{}", self.name, property.name),
                table: self.table.clone(),
                columns: joined(&property.parts, ",", |part| part.name.clone()),
                server_types: joined(&property.parts, ";", |part| part.stored.server_type()),
                types: joined(&property.parts, ";", |part| part.stored.type_name()),
                code: self.code,
            })
            .collect()
    }
}

/// Makes a property of one column that does not depend on a description.
pub(super) fn fixed(name: &str, aliases: &[&str], column: &str, stored: Stored) -> Property {
    let role = match stored {
        Stored::Reference => ColumnRole::Reference,
        Stored::Code => ColumnRole::TypeCode,
        _ => ColumnRole::Value,
    };
    Property {
        name: name.to_owned(),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        base: column.to_owned(),
        parts: vec![Part {
            name: column.to_owned(),
            role,
            stored,
        }],
        code: 0,
        optional: false,
        unknown: None,
    }
}
