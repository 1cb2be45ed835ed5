//! The schema catalog of a database: logical names of the mapping file first, then the tables as the database names them.

use std::path::PathBuf;
use std::sync::Arc;

use dajet_core::diagnostic::nearest;
use dajet_core::schema::{self, ColumnRole, Defaults};
use dajet_core::{Column, DataType, PhysicalColumn, Schema, SystemError, Table, TableKey};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Oid, ToSql};

use super::failure::classify;
use super::session::Session;
use crate::mapping::{KnownColumn, MappedTable, Mapping};

const ATTEMPT: &str = "cannot read the catalog";

const RELATIONS: &str = "\
SELECT c.oid, n.nspname, c.relname, pg_table_is_visible(c.oid), c.relkind IN ('r', 'p')
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
ORDER BY n.nspname, c.relname";

const COLUMNS: &str = "\
SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), NOT (a.attnotnull OR t.typnotnull),
       a.attgenerated <> '' OR a.attidentity = 'a', format_type(COALESCE(NULLIF(t.typbasetype, 0), t.oid), NULL)
FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum";

/// The primary key first, then the shortest unique index whose columns are all NOT NULL: equality never finds NULL.
const KEYS: &str = "\
SELECT i.indrelid, k.names
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid, LATERAL (
    SELECT array_agg(a.attname::text ORDER BY u.position) AS names, bool_and(a.attnotnull) AS filled
    FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u(number, position)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = u.number
    WHERE u.position <= i.indnkeyatts) AS k
WHERE i.indrelid = ANY($1) AND i.indisunique AND i.indisvalid AND i.indimmediate
      AND i.indpred IS NULL AND i.indexprs IS NULL AND k.filled
ORDER BY i.indrelid, i.indisprimary DESC, i.indnkeyatts, c.relname";

/// What is known of one database, until it is forgotten.
pub(super) struct Catalog {
    /// Where relative paths start, and the path of the mapping file.
    mapping_file: Option<(PathBuf, String)>,
    mapping: Mutex<Option<Arc<Mapping>>>,
    tables: Mutex<FxHashMap<Arc<str>, Arc<Table>>>,
}

/// A table, view or foreign table.
struct Relation {
    oid: Oid,
    schema: Arc<str>,
    name: Arc<str>,
    visible: bool,
    /// False for what only looks like a table: a view, a materialized one, a foreign table.
    is_table: bool,
}

impl Relation {
    /// `schema.table`
    fn qualified(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    fn physical(&self) -> Vec<Arc<str>> {
        match self.visible {
            true => vec![Arc::clone(&self.name)],
            false => vec![Arc::clone(&self.schema), Arc::clone(&self.name)],
        }
    }
}

/// The columns and keys of some relations.
#[derive(Default)]
struct Details {
    columns: FxHashMap<Oid, Vec<(PhysicalColumn, DataType)>>,
    keys: FxHashMap<Oid, Vec<Arc<str>>>,
}

impl Details {
    /// What tells the rows apart; no columns if nothing does, for the rows are not those of a table.
    fn key(&self, relation: &Relation) -> TableKey {
        match self.keys.get(&relation.oid) {
            _ if !relation.is_table => TableKey::Columns(Vec::new()),
            Some(names) => TableKey::Columns(names.clone()),
            None => TableKey::RowAddress,
        }
    }
}

impl Catalog {
    pub(super) fn new(mapping_file: Option<(PathBuf, String)>) -> Self {
        Self {
            mapping_file,
            mapping: Mutex::default(),
            tables: Mutex::default(),
        }
    }

    /// Throws everything away.
    pub(super) fn forget(&self) {
        *self.mapping.lock() = None;
        self.tables.lock().clear();
    }

    /// The answer, if all the tables are known already.
    pub(super) fn recall(&self, names: &[Arc<str>]) -> Option<Schema> {
        let known = self.tables.lock();
        let tables = names.iter().map(|name| {
            known
                .get(name)
                .map(|table| (name.clone(), Some(table.clone())))
        });
        Some(Schema {
            tables: tables.collect::<Option<_>>()?,
            suggestions: Vec::new(),
            values: Vec::new(),
        })
    }

    /// Asks the database.
    ///
    /// # Errors
    /// `Transient` or `Misconfigured`.
    pub(super) async fn describe(
        &self,
        session: &mut Session,
        names: &[Arc<str>],
    ) -> Result<Schema, SystemError> {
        let mapping = self.mapping().await?;
        let relations = relations(session).await?;
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            let mapped = mapping
                .as_ref()
                .and_then(|mapping| mapping.table(name).map(|table| (mapping, table)));
            found.push(match mapped {
                Some((mapping, table)) => {
                    let relation = find_mapped(&relations, table)
                        .ok_or_else(|| mapping.unknown_table(table))?;
                    Some((relation, Some((mapping, table))))
                }
                None => find(&relations, name).map(|relation| (relation, None)),
            });
        }
        let oids: Vec<Oid> = found
            .iter()
            .flatten()
            .map(|(relation, _)| relation.oid)
            .collect();
        let details = details(session, &oids).await?;
        let mut schema = Schema::default();
        for (name, found) in names.iter().zip(found) {
            let table = match found {
                Some((relation, Some((mapping, table)))) => {
                    Some(resolve(mapping, table, relation, &details)?)
                }
                Some((relation, None)) => Some(plain(relation, name, &details)),
                None => {
                    schema
                        .suggestions
                        .extend(suggestion(name, &relations, mapping.as_deref()));
                    None
                }
            };
            let table = table.map(Arc::new);
            if let Some(table) = &table {
                self.tables.lock().insert(name.clone(), Arc::clone(table));
            }
            schema.tables.push((name.clone(), table));
        }
        Ok(schema)
    }

    async fn mapping(&self) -> Result<Option<Arc<Mapping>>, SystemError> {
        let Some((root, file)) = self.mapping_file.clone() else {
            return Ok(None);
        };
        if let Some(mapping) = &*self.mapping.lock() {
            return Ok(Some(Arc::clone(mapping)));
        }
        let reading = tokio::task::spawn_blocking(move || Mapping::read(&root, &file)).await;
        let mapping = Arc::new(
            reading
                .map_err(|_| SystemError::fault("reading the mapping file was broken off"))??,
        );
        *self.mapping.lock() = Some(Arc::clone(&mapping));
        Ok(Some(mapping))
    }
}

/// Finds a plain table: exact match first, else the only one that matches without regard to case.
fn find<'a>(relations: &'a [Relation], name: &str) -> Option<&'a Relation> {
    let exact = |relation: &&Relation| relation.visible && &*relation.name == name;
    if let Some(relation) = relations
        .iter()
        .find(exact)
        .or_else(|| relations.iter().find(|r| r.qualified() == name))
    {
        return Some(relation);
    }
    let lower = name.to_lowercase();
    let mut matching = relations.iter().filter(|relation| {
        relation.visible && relation.name.to_lowercase() == lower
            || relation.qualified().to_lowercase() == lower
    });
    matching.next().filter(|_| matching.next().is_none())
}

/// Finds the table of a mapped one: PostgreSQL has the names of 1C in lower case.
fn find_mapped<'a>(relations: &'a [Relation], table: &MappedTable) -> Option<&'a Relation> {
    find(relations, &table.table.to_lowercase()).or_else(|| find(relations, &table.table))
}

fn plain(relation: &Relation, name: &Arc<str>, details: &Details) -> Table {
    let columns = details
        .columns
        .get(&relation.oid)
        .map_or(&[][..], |columns| columns);
    let columns = columns.iter().map(|(part, data_type)| {
        Column::new(Arc::clone(&part.name), *data_type, vec![part.clone()])
    });
    Table {
        name: Arc::clone(name),
        physical: relation.physical(),
        columns: columns.collect(),
        key: details.key(relation),
        defaults: Defaults::Database,
    }
}

fn resolve(
    mapping: &Mapping,
    table: &MappedTable,
    relation: &Relation,
    details: &Details,
) -> Result<Table, SystemError> {
    let columns = details
        .columns
        .get(&relation.oid)
        .map_or(&[][..], |columns| columns);
    mapping.resolve(table, relation.physical(), details.key(relation), |name| {
        let (part, _) = schema::find(columns, name, |(part, _)| &part.name)?;
        Some(KnownColumn {
            name: Arc::clone(&part.name),
            type_name: Arc::clone(&part.type_name),
            nullable: part.nullable,
            generated: part.generated,
        })
    })
}

fn suggestion(name: &str, relations: &[Relation], mapping: Option<&Mapping>) -> Option<Arc<str>> {
    let qualified: Vec<String> = relations.iter().map(Relation::qualified).collect();
    let visible = relations
        .iter()
        .filter(|relation| relation.visible)
        .map(|relation| &*relation.name);
    let logical = mapping
        .into_iter()
        .flat_map(Mapping::names)
        .map(|name| &**name);
    nearest(
        name,
        logical
            .chain(visible)
            .chain(qualified.iter().map(String::as_str)),
    )
    .map(Arc::from)
}

async fn relations(session: &mut Session) -> Result<Vec<Relation>, SystemError> {
    let client = session.client();
    let rows = session.run(ATTEMPT, client.query(RELATIONS, &[])).await?;
    rows.iter()
        .map(|row| {
            Ok(Relation {
                oid: get(row, 0)?,
                schema: get::<&str>(row, 1)?.into(),
                name: get::<&str>(row, 2)?.into(),
                visible: get(row, 3)?,
                is_table: get(row, 4)?,
            })
        })
        .collect()
}

async fn details(session: &mut Session, oids: &[Oid]) -> Result<Details, SystemError> {
    let mut details = Details::default();
    if oids.is_empty() {
        return Ok(details);
    }
    let client = session.client();
    let parameters: [&(dyn ToSql + Sync); 1] = [&oids];
    let both = futures::future::try_join(
        client.query(COLUMNS, &parameters),
        client.query(KEYS, &parameters),
    );
    let (columns, keys) = session.run(ATTEMPT, both).await?;
    for row in &columns {
        let part = PhysicalColumn {
            name: get::<&str>(row, 1)?.into(),
            role: ColumnRole::Value,
            type_name: get::<&str>(row, 2)?.into(),
            nullable: get(row, 3)?,
            generated: get(row, 4)?,
        };
        let data_type = data_type(get(row, 5)?);
        details
            .columns
            .entry(get(row, 0)?)
            .or_default()
            .push((part, data_type));
    }
    for row in &keys {
        let names: Vec<&str> = get(row, 1)?;
        details
            .keys
            .entry(get(row, 0)?)
            .or_insert_with(|| names.into_iter().map(Arc::from).collect());
    }
    Ok(details)
}

fn get<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, SystemError> {
    row.try_get(index).map_err(|error| classify(ATTEMPT, error))
}

/// The logical type of a type of PostgreSQL; what the language has no type for is text.
fn data_type(base: &str) -> DataType {
    match base {
        "boolean" => DataType::Boolean,
        "smallint" | "integer" | "bigint" => DataType::Integer,
        "numeric" | "real" | "double precision" => DataType::Decimal,
        "date" | "timestamp without time zone" | "timestamp with time zone" => DataType::DateTime,
        "bytea" => DataType::Binary,
        "uuid" => DataType::Uuid,
        _ => DataType::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_exact_names_first() {
        let relation = |oid, schema: &str, name: &str, visible| Relation {
            oid,
            schema: schema.into(),
            name: name.into(),
            visible,
            is_table: true,
        };
        let relations = [
            relation(1, "public", "Заказы", true),
            relation(2, "public", "заказы", true),
            relation(3, "архив", "Заказы", false),
            relation(4, "public", "Оплаты", true),
        ];
        let oid = |name| find(&relations, name).map(|relation| relation.oid);
        assert_eq!(oid("Заказы"), Some(1));
        assert_eq!(oid("заказы"), Some(2));
        assert_eq!(oid("ЗАКАЗЫ"), None, "two tables match");
        assert_eq!(oid("АРХИВ.заказы"), Some(3));
        assert_eq!(oid("оплаты"), Some(4));
        assert_eq!(oid("public.Оплаты"), Some(4));
        assert_eq!(
            suggestion("Оплата", &relations, None).as_deref(),
            Some("Оплаты")
        );
    }
}
