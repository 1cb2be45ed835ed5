//! The catalog: what SQLite's pragmas tell of tables, under the names of the database or of a mapping file.

use std::path::Path;
use std::sync::Arc;

use dajet_core::SystemError;
use dajet_core::diagnostic::nearest;
use dajet_core::schema::{
    Column, ColumnRole, Defaults, MappingLine, MetadataKey, MetadataObject, PhysicalColumn, Schema,
    Table, TableKey, find,
};
use dajet_core::value::Entity;
use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use super::dialect::quote;
use super::drain::ROWID_TYPE;
use super::failure::{Trouble, classify};
use super::kind;
use crate::mapping::{KnownColumn, MappedValue, Mapping};
use crate::onec::nearly_in_russian;

const ATTEMPT: &str = "cannot read the schema";

/// A table or view as the list of tables shows it.
struct Listed {
    name: Arc<str>,
    view: bool,
    without_rowid: bool,
}

/// Looks tables up: exact match first, else the only one that matches without regard to case.
///
/// # Errors
/// Busy; `Misconfigured` if the mapping file is wrong.
pub fn describe(
    connection: &Connection,
    names: &[Arc<str>],
    map: Option<&Path>,
) -> Result<Schema, Trouble> {
    let listed = list(connection).map_err(|e| classify(ATTEMPT, e))?;
    let mapping = read(map)?;
    let mut schema = Schema::default();
    for name in names {
        let mapped = match &mapping {
            Some(mapping) => mapped(connection, &listed, mapping, name)?,
            None => None,
        };
        let table = match mapped {
            Some(table) => Some(table),
            None => plain(connection, &listed, name)?,
        };
        let value = mapping.as_ref().filter(|_| table.is_none());
        if let Some((value, is_item)) = value.and_then(|mapping| mapping.value(name)) {
            let entity = match is_item {
                true => predefined(connection, value).map_err(|e| classify(ATTEMPT, e))?,
                false => Some(value.entity),
            };
            schema
                .values
                .extend(entity.map(|entity| (Arc::clone(name), entity)));
        } else if table.is_none() {
            let logical = mapping.iter().flat_map(Mapping::names).map(|n| &**n);
            let asked = nearly_in_russian(name);
            let asked = asked.as_deref().unwrap_or(name);
            let near = nearest(asked, logical.chain(listed.iter().map(|t| &*t.name)));
            let another = || mapping.as_ref()?.of_another_kind(name);
            let near = near.map(Arc::from).or_else(another);
            schema.suggestions.extend(near);
        }
        schema.tables.push((Arc::clone(name), table.map(Arc::new)));
    }
    Ok(schema)
}

/// The names of the mapping file, then those of the tables.
///
/// # Errors
/// Busy; `Misconfigured` if the mapping file is wrong.
pub fn names(connection: &Connection, map: Option<&Path>) -> Result<Vec<Arc<str>>, Trouble> {
    let mapping = read(map)?;
    let mut names: Vec<Arc<str>> = mapping.iter().flat_map(Mapping::names).cloned().collect();
    let listed = list(connection).map_err(|e| classify(ATTEMPT, e))?;
    names.extend(listed.into_iter().map(|table| table.name));
    Ok(names)
}

/// What the mapping file says of these names.
///
/// # Errors
/// `Misconfigured` if the mapping file is wrong.
pub fn lines(names: &[Arc<str>], map: Option<&Path>) -> Result<Vec<MappingLine>, Trouble> {
    let mapping = read(map)?;
    let of = |name: &Arc<str>| {
        mapping
            .iter()
            .flat_map(|mapping| mapping.lines(name))
            .collect()
    };
    Ok(names.iter().flat_map::<Vec<_>, _>(of).collect())
}

/// What the mapping file says of an object.
///
/// # Errors
/// `Misconfigured` if the mapping file is wrong.
pub fn object(key: &MetadataKey, map: Option<&Path>) -> Result<Option<MetadataObject>, Trouble> {
    Ok(read(map)?.and_then(|mapping| mapping.object(key)))
}

/// The reference of the row that a predefined item is, `None` if the row is not there.
fn predefined(connection: &Connection, item: &MappedValue) -> rusqlite::Result<Option<Entity>> {
    let table = quote(&item.table);
    let sql = format!("SELECT _idrref FROM {table} WHERE _predefinedid = ?1 LIMIT 1");
    let row = connection
        .prepare_cached(&sql)?
        .query_row([item.entity.uuid.to_bytes_le()], |row| {
            row.get::<_, [u8; 16]>(0)
        })
        .optional()?;
    Ok(row.map(|bytes| Entity {
        code: item.entity.code,
        uuid: Uuid::from_bytes_le(bytes),
    }))
}

/// Finds out whether the mapping file is there and right.
///
/// # Errors
/// `Misconfigured` with file and line.
pub fn check_files(map: Option<&Path>) -> Result<(), SystemError> {
    mapping(map).map(drop)
}

fn read(map: Option<&Path>) -> Result<Option<Mapping>, Trouble> {
    Ok(mapping(map)?)
}

fn mapping(map: Option<&Path>) -> Result<Option<Mapping>, SystemError> {
    let read = |map: &Path| Mapping::read(Path::new(""), &map.to_string_lossy());
    map.map(read).transpose()
}

fn list(connection: &Connection) -> rusqlite::Result<Vec<Listed>> {
    let sql = "SELECT name, type = 'view', wr FROM pragma_table_list
               WHERE schema = 'main' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        let name: String = row.get(0)?;
        Ok(Listed {
            name: name.into(),
            view: row.get(1)?,
            without_rowid: row.get(2)?,
        })
    })?;
    rows.collect()
}

fn plain(connection: &Connection, listed: &[Listed], name: &str) -> Result<Option<Table>, Trouble> {
    let of = |name: &str| find(listed, name, |t| &t.name);
    let Some(table) = of(name).or_else(|| of(name.strip_prefix("main.")?)) else {
        return Ok(None);
    };
    let (columns, key) = inspect(connection, table).map_err(|e| classify(ATTEMPT, e))?;
    let columns = columns.into_iter().map(|part| {
        Column::new(
            Arc::clone(&part.name),
            kind::logical(&part.type_name),
            vec![part],
        )
    });
    Ok(Some(Table {
        name: Arc::clone(&table.name),
        physical: vec![Arc::clone(&table.name)],
        columns: columns.collect(),
        key,
        defaults: Defaults::Database,
        lacking: Vec::new(),
        reasons: Vec::new(),
        version: None,
    }))
}

fn mapped(
    connection: &Connection,
    listed: &[Listed],
    mapping: &Mapping,
    name: &str,
) -> Result<Option<Table>, Trouble> {
    let Some(entry) = mapping.table(name) else {
        return Ok(None);
    };
    let table = find(listed, &entry.table, |t| &t.name);
    let table = table.ok_or_else(|| mapping.unknown_table(entry))?;
    let (columns, key) = inspect(connection, table).map_err(|e| classify(ATTEMPT, e))?;
    let known = |name: &str| {
        find(&columns, name, |c| &c.name).map(|part| KnownColumn {
            name: Arc::clone(&part.name),
            type_name: Arc::clone(&part.type_name),
            nullable: part.nullable,
            generated: part.generated,
        })
    };
    Ok(Some(mapping.resolve(
        entry,
        vec![Arc::clone(&table.name)],
        key,
        0,
        known,
    )?))
}

/// SQLite says BLOB of the column of a view that declares no type where it comes from.
fn forget_invented_types(
    connection: &Connection,
    view: &str,
    columns: &mut [PhysicalColumn],
) -> rusqlite::Result<()> {
    let all = connection.prepare(&format!("SELECT * FROM {}", quote(view)))?;
    for (column, origin) in columns.iter_mut().zip(all.columns()) {
        let declared = origin.decl_type().unwrap_or_default();
        if declared.is_empty() && column.type_name.eq_ignore_ascii_case("BLOB") {
            column.type_name = "".into();
        }
    }
    Ok(())
}

/// The columns of a table, and what tells its rows apart: a view has nothing that does.
fn inspect(
    connection: &Connection,
    table: &Listed,
) -> rusqlite::Result<(Vec<PhysicalColumn>, TableKey)> {
    let sql = "SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?1) ORDER BY cid";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([&*table.name])?;
    let mut columns = Vec::new();
    let mut key: Vec<(i64, Arc<str>)> = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, type_name): (String, String) = (row.get(0)?, row.get(1)?);
        let (not_null, place, hidden): (bool, i64, i64) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let name: Arc<str> = name.into();
        if hidden == 1 {
            continue; // of a virtual table; `SELECT *` leaves it out too
        }
        if place > 0 {
            key.push((place, Arc::clone(&name)));
        }
        columns.push(PhysicalColumn {
            name,
            role: ColumnRole::Value,
            type_name: type_name.into(),
            nullable: !(not_null || table.without_rowid && place > 0),
            generated: hidden > 1,
        });
    }
    key.sort();
    if table.view {
        forget_invented_types(connection, &table.name, &mut columns)?;
        return Ok((columns, TableKey::Columns(Vec::new())));
    }
    let names: Vec<_> = key.into_iter().map(|(_, name)| name).collect();
    if table.without_rowid {
        return Ok((columns, TableKey::Columns(names)));
    }
    if let [only] = names.as_slice() {
        let alias = columns.iter_mut().find(|c| c.name == *only);
        if let Some(alias) = alias.filter(|c| c.type_name.eq_ignore_ascii_case("INTEGER")) {
            alias.type_name = ROWID_TYPE.into();
            alias.nullable = false;
        }
    }
    Ok((columns, TableKey::RowAddress))
}
