//! The tables of a database and their columns, as `pg_catalog` tells them.

use std::sync::Arc;

use dajet_core::schema::ColumnRole;
use dajet_core::{DataType, PhysicalColumn, SystemError, TableKey};
use rustc_hash::FxHashMap;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Oid, ToSql};

use super::failure::classify;
use super::session::Session;

pub(super) const ATTEMPT: &str = "cannot read the catalog";

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

/// A table, view or foreign table.
pub(super) struct Relation {
    pub(super) oid: Oid,
    pub(super) schema: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) visible: bool,
    /// False for what only looks like a table: a view, a materialized one, a foreign table.
    pub(super) is_table: bool,
}

impl Relation {
    /// `schema.table`
    pub(super) fn qualified(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    pub(super) fn physical(&self) -> Vec<Arc<str>> {
        match self.visible {
            true => vec![Arc::clone(&self.name)],
            false => vec![Arc::clone(&self.schema), Arc::clone(&self.name)],
        }
    }
}

/// The columns and keys of some relations.
#[derive(Default)]
pub(super) struct Details {
    pub(super) columns: FxHashMap<Oid, Vec<(PhysicalColumn, DataType)>>,
    keys: FxHashMap<Oid, Vec<Arc<str>>>,
}

impl Details {
    /// What tells the rows apart; no columns if nothing does, for the rows are not those of a table.
    pub(super) fn key(&self, relation: &Relation) -> TableKey {
        match self.keys.get(&relation.oid) {
            _ if !relation.is_table => TableKey::Columns(Vec::new()),
            Some(names) => TableKey::Columns(names.clone()),
            None => TableKey::RowAddress,
        }
    }
}

/// Finds a plain table: exact match first, else the only one that matches without regard to case.
pub(super) fn find<'a>(relations: &'a [Relation], name: &str) -> Option<&'a Relation> {
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

pub(super) async fn relations(session: &mut Session) -> Result<Vec<Relation>, SystemError> {
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

pub(super) async fn details(session: &mut Session, oids: &[Oid]) -> Result<Details, SystemError> {
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

pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, SystemError> {
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
    }
}
