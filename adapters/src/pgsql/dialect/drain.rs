//! `CONSUME … FROM table`: the compatible reader.
//!
//! The first step locks the keys of the next rows in order, the second deletes these rows, the third sorts what was
//! deleted, for `RETURNING` has no order.

use std::ops::Range;
use std::sync::Arc;

use dajet_core::query::{Drain, Expr, From, Order, Output};
use dajet_core::{Shape, SystemError, TableKey};

use super::select::{Item, composite};
use super::{Feed, Place, Reading, Rendered, Writer, data_type_of, identifier, quoted, table_name};

/// How many rows a read takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pgsql) enum Limit {
    /// As the script writes it: for people.
    Written,
    /// A further parameter behind the slots: the reader may ask for fewer rows.
    Parameter,
}

/// Renders the reader; `waits` leaves `SKIP LOCKED` out.
///
/// # Errors
/// `Misconfigured` if PostgreSQL cannot express it.
pub(in crate::pgsql) fn drain(
    queue: &Drain,
    limit: Limit,
    waits: bool,
    as_text: &[usize],
) -> Result<Rendered, SystemError> {
    let mut writer = Writer::new(Feed::Each, Some("source"));
    let table = table_name(&queue.from.table.physical);
    let keys: Vec<String> = match &queue.from.table.key {
        TableKey::Columns(names) if names.is_empty() => return Err(no_table(queue)),
        TableKey::Columns(names) => names.iter().map(|name| identifier(name)).collect(),
        // a row address tells the rows of one partition apart, not those of several
        TableKey::RowAddress => vec!["ctid".into(), "tableoid".into()],
    };
    writer.push("WITH filter AS (SELECT ");
    writer.list(keys.iter().enumerate(), |writer, (index, key)| {
        writer.push(&format!("source.{key} AS k{index}"));
        Ok(())
    })?;
    writer.push(&format!(" FROM {table} AS source"));
    if let Some(filter) = &queue.filter {
        writer.push(" WHERE ");
        writer.condition(filter)?;
    }
    writer.order_by(&queue.order)?;
    writer.push(" LIMIT ");
    let limit_at = writer.sql.len();
    if limit == Limit::Written {
        writer.expression(&queue.top, Some(&Place::of_type("bigint").inferred()))?;
    }
    writer.push(" FOR UPDATE OF source");
    writer.push(if waits { "" } else { " SKIP LOCKED" });
    writer.push(&format!(
        "), queue AS (DELETE FROM {table} AS source USING filter WHERE "
    ));
    for (index, key) in keys.iter().enumerate() {
        writer.push(if index == 0 { "" } else { " AND " });
        writer.push(&format!("source.{key} = filter.k{index}"));
    }
    let (mut items, readings) = writer.outputs(&queue.columns)?;
    let keys = keys_of(&mut writer, queue, &mut items)?;
    returning(&mut writer, &items, &keys, as_text)?;
    if limit == Limit::Parameter {
        writer
            .sql
            .insert_str(limit_at, &format!("${}", writer.slots.len() + 1));
    }
    Ok(Rendered {
        sql: writer.sql,
        slots: writer.slots,
        readings,
        shape: Shape::new(queue.columns.iter().map(|output| output.name.clone())),
        key_shape: Shape::new(keys.iter().map(|key| key.name.clone())),
        keys: keys.into_iter().map(|key| key.reading).collect(),
        feed: Feed::Each,
    })
}

fn no_table(queue: &Drain) -> SystemError {
    let message = format!(
        "cannot consume from view \"{}\": only rows of tables can be consumed",
        queue.from.table.name
    );
    SystemError::misconfigured("E_UNSUPPORTED", message).with_hint(
        "Rows are deleted as they are read: CONSUME from the table itself (views and foreign tables can be read by SELECT).",
    )
}

/// The rows that were deleted, sorted.
fn returning(
    writer: &mut Writer,
    items: &[Item],
    keys: &[Key],
    as_text: &[usize],
) -> Result<(), SystemError> {
    writer.push(" RETURNING ");
    match items.is_empty() {
        true => writer.push("TRUE"),
        false => writer.list(items, |writer, Item { sql, name }| {
            writer.push(&format!("{sql} AS {name}"));
            Ok(())
        })?,
    }
    writer.push(") SELECT ");
    writer.list(
        items.iter().enumerate(),
        |writer, (index, Item { name, .. })| {
            match as_text.contains(&index) {
                true => writer.push(&format!("CAST(queue.{name} AS text)")),
                false => writer.push(&format!("queue.{name}")),
            }
            Ok(())
        },
    )?;
    writer.push(" FROM queue");
    for (number, term) in keys.iter().flat_map(|key| &key.terms).enumerate() {
        writer.push(if number == 0 { " ORDER BY " } else { ", " });
        writer.push(term);
    }
    Ok(())
}

/// A sort key of the result.
struct Key {
    name: Arc<str>,
    reading: Reading,
    /// Its share in the final order.
    terms: Vec<String>,
}

/// The final order. What it needs and the script does not select is added to the items, hidden from the records.
///
/// An order need not tell rows apart: the columns of the table's key follow, for the name of a row only.
fn keys_of(
    writer: &mut Writer,
    queue: &Drain,
    items: &mut Vec<Item>,
) -> Result<Vec<Key>, SystemError> {
    let mut keys: Vec<Key> = Vec::with_capacity(queue.order.len());
    for Order { expr, descending } in &queue.order {
        if matches!(expr, Expr::Parameter { .. } | Expr::Literal(_)) {
            continue; // the same in every row
        }
        let name: Arc<str> = match expr {
            Expr::Column { column, .. } => Arc::clone(&column.name),
            _ => format!("ORDER BY {}", keys.len() + 1).into(),
        };
        let parts = select_key(writer, &name, expr, items)?;
        let first = parts.start;
        let direction = if *descending { "DESC" } else { "ASC" };
        let terms = parts
            .map(|index| format!("queue.{} {direction}", items[index].name))
            .collect();
        let reading = match expr {
            Expr::Column { column, .. } if column.parts.len() > 1 => composite(column, first)?,
            expr => Reading::Column {
                index: first,
                data_type: data_type_of(expr),
            },
        };
        keys.push(Key {
            name,
            reading,
            terms,
        });
    }
    for (name, expr) in missing_key(queue, &keys) {
        let index = select_key(writer, &name, &expr, items)?.start;
        let data_type = data_type_of(&expr);
        keys.push(Key {
            name,
            reading: Reading::Column { index, data_type },
            terms: Vec::new(),
        });
    }
    Ok(keys)
}

/// Columns of the table's key that are not among the sort keys.
fn missing_key(queue: &Drain, keys: &[Key]) -> Vec<(Arc<str>, Expr)> {
    let From { table, alias, .. } = &queue.from;
    let TableKey::Columns(names) = &table.key else {
        return Vec::new();
    };
    let columns = table.columns.iter().filter(|column| {
        let part = column.single();
        part.is_some_and(|part| names.contains(&part.name))
            && !keys.iter().any(|key| key.name == column.name)
    });
    columns
        .map(|column| {
            let expr = Expr::Column {
                alias: Arc::clone(alias),
                column: Arc::new(column.clone()),
            };
            (Arc::clone(&column.name), expr)
        })
        .collect()
}

/// Where among the items the parts of a key are; they are added if the script does not select it.
fn select_key(
    writer: &mut Writer,
    name: &Arc<str>,
    expr: &Expr,
    items: &mut Vec<Item>,
) -> Result<Range<usize>, SystemError> {
    let output = Output {
        name: Arc::clone(name),
        expr: expr.clone(),
        data_type: None,
    };
    let (wanted, _) = writer.outputs(&[output])?;
    let same = |selected: &[Item]| selected.iter().zip(&wanted).all(|(a, b)| a.sql == b.sql);
    let selected = items.windows(wanted.len().max(1)).position(same);
    let first = selected.unwrap_or(items.len());
    let parts = first..first + wanted.len();
    if selected.is_none() {
        items.extend(
            wanted
                .into_iter()
                .zip(parts.clone())
                .map(|(item, index)| Item {
                    name: quoted(&format!("#order{index}")),
                    ..item
                }),
        );
    }
    Ok(parts)
}
