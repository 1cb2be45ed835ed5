//! What the names of a mapping file stand for besides tables: values of enumerations, predefined items, objects.

use std::sync::Arc;

use dajet_core::schema::{self, MappingLine, MetadataKey, MetadataObject, fold};
use dajet_core::value::Entity;
use uuid::Uuid;

use super::{MappedTable, Mapping};
use crate::onec;

/// The column by which metadata knows a predefined item.
const PREDEFINED: &str = "_predefinedid";

/// A name that stands for a reference.
#[derive(Debug)]
pub(crate) struct MappedValue {
    /// The logical name.
    pub(crate) name: Arc<str>,
    /// The physical table as the file writes it.
    pub(crate) table: Arc<str>,
    /// Type code, and the uuid in the form of the database.
    pub(crate) entity: Entity,
    line: MappingLine,
}

impl MappedValue {
    /// Reads a line whose bytes are 32 hexadecimal digits; without them the uuid in the form of 1C counts.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub(super) fn new(line: MappingLine) -> Result<Self, String> {
        let uuid = match line.types.as_str() {
            "" => Uuid::try_parse(&line.server_types)
                .map(onec::database_form)
                .map_err(|_| format!("\"{}\" is no uuid", line.server_types)),
            // a uuid without its hyphens: the bytes as they are stored
            bytes => Uuid::try_parse(bytes)
                .map(|stored| Uuid::from_bytes_le(stored.into_bytes()))
                .map_err(|_| format!("\"{bytes}\" is not 16 bytes")),
        };
        Ok(Self {
            name: line.name.as_str().into(),
            table: line.table.as_str().into(),
            entity: Entity {
                code: line.code,
                uuid: uuid?,
            },
            line,
        })
    }
}

/// Finds as the catalog does, else by the words of the other language: `Catalog.Номенклатура.Changes`.
pub(super) fn find<'a, T>(items: &'a [T], name: &str, of: impl Fn(&T) -> &str) -> Option<&'a T> {
    schema::find(items, name, &of).or_else(|| {
        let own = onec::in_russian(name).filter(|own| own != name)?;
        schema::find(items, &own, &of)
    })
}

impl Mapping {
    /// The value that a name stands for, and whether its uuid is that of a predefined item, which is not its reference.
    pub(crate) fn value(&self, name: &str) -> Option<(&MappedValue, bool)> {
        let value = find(&self.values, name, |value| &value.name)?;
        let has_own_uuid = |table: &MappedTable| {
            let mut columns = table.columns.iter().flat_map(|column| &column.parts);
            columns.any(|(name, _)| name.eq_ignore_ascii_case(PREDEFINED))
        };
        let mut tables = self.tables.iter();
        let is_item = tables.any(|table| table.table == value.table && has_own_uuid(table));
        Some((value, is_item))
    }

    /// The name of the same object as this one, of whatever kind.
    pub(crate) fn of_another_kind(&self, name: &str) -> Option<Arc<str>> {
        let object = |name: &str| name.split_once('.').map(|(_, object)| fold(object));
        let wanted = object(name)?;
        let mut names = self.names();
        let known = names.find(|known| object(known).is_some_and(|known| known == wanted));
        known.cloned()
    }

    /// The lines that say this table or value; none if the file does not know it.
    pub(crate) fn lines(&self, name: &str) -> Vec<MappingLine> {
        let of_table = self.table(name).map(|table| table.lines.clone());
        let lines = of_table.or_else(|| Some(vec![self.value(name)?.0.line.clone()]));
        lines.unwrap_or_default()
    }

    /// The object of a name or a type code, as far as the file tells: not its uuid.
    pub(crate) fn object(&self, key: &MetadataKey) -> Option<MetadataObject> {
        match key {
            MetadataKey::Name(name) => {
                let of_table = || object(self.table(name)?);
                of_table().or_else(|| self.enumeration(name))
            }
            MetadataKey::Code(code) => {
                let is_main = |table: &&MappedTable| table.code == *code && !is_part(&table.name);
                let table = self.tables.iter().find(is_main).and_then(object);
                table.or_else(|| {
                    let value = self
                        .values
                        .iter()
                        .find(|value| value.entity.code == *code)?;
                    of_value(value)
                })
            }
        }
    }

    /// An enumeration of which the file says values alone.
    fn enumeration(&self, name: &str) -> Option<MetadataObject> {
        let own = onec::in_russian(name);
        let own = fold(own.as_deref().unwrap_or(name));
        let mut values = self.values.iter();
        of_value(values.find(|value| owner(&value.name).is_some_and(|owner| fold(owner) == own))?)
    }
}

/// What a name begins with: all of it but the last word.
fn owner(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(owner, _)| owner)
}

/// True for a tabular section, a table of changes and the like.
fn is_part(name: &str) -> bool {
    name.matches('.').count() > 1
}

fn of_value(value: &MappedValue) -> Option<MetadataObject> {
    let owner = owner(&value.name)?;
    Some(described(owner, &value.table, value.entity.code, None))
}

/// The object of a table; none for one that belongs to another without being a section of it, or that has no type code.
fn object(table: &MappedTable) -> Option<MetadataObject> {
    let (name, physical) = (&table.name, &table.table);
    if table.code == 0 {
        return None;
    }
    if !is_part(name) {
        return Some(described(name, physical, table.code, None));
    }
    let (_, number) = physical.rsplit_once("_VT")?;
    Some(described(name, physical, number.parse().ok()?, owner(name)))
}

fn described(name: &str, table: &str, code: i32, owner: Option<&str>) -> MetadataObject {
    let (first, last) = name.rsplit_once('.').unwrap_or(("", name));
    MetadataObject {
        uuid: Uuid::nil(),
        code,
        kind: match owner {
            Some(_) => onec::SECTION.into(),
            None => first.into(),
        },
        name: last.into(),
        full_name: name.into(),
        table: Some(table.into()),
        owner: owner.map(Arc::from),
    }
}
