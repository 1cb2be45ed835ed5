//! `SELECT`, and the outputs of every statement that returns rows.

use dajet_core::query::{Expr, Order, Output, Part, Select};
use dajet_core::schema::ColumnRole;
use dajet_core::{Column, DataType, Shape, SystemError};

use super::{Feed, Place, Reading, Rendered, Writer, data_type_of, identifier, quoted, table_name};

/// Longest identifier that PostgreSQL does not cut.
const NAME_BYTES_MAX: usize = 63;

/// An expression of a result with its name.
pub(super) struct Item {
    pub(super) sql: String,
    pub(super) name: String,
}

pub(super) fn select(query: &Select, as_text: &[usize]) -> Result<Rendered, SystemError> {
    let mut writer = Writer::new(Feed::Each, None);
    let (items, readings) = writer.outputs(&query.columns)?;
    writer.push(if query.distinct {
        "SELECT DISTINCT "
    } else {
        "SELECT "
    });
    if items.is_empty() {
        writer.push("TRUE");
    }
    for (index, Item { sql, name }) in items.iter().enumerate() {
        writer.push(if index == 0 { "" } else { ", " });
        match as_text.contains(&index) {
            true => writer.push(&format!("CAST({sql} AS text) AS {name}")),
            false => writer.push(&format!("{sql} AS {name}")),
        }
    }
    writer.tail(query)?;
    let shape = Shape::new(query.columns.iter().map(|output| output.name.clone()));
    Ok(Rendered {
        sql: writer.sql,
        slots: writer.slots,
        readings,
        shape,
        ..Rendered::default()
    })
}

impl Writer {
    /// `FROM … WHERE … ORDER BY … LIMIT …`
    pub(super) fn tail(&mut self, query: &Select) -> Result<(), SystemError> {
        if let Some(from) = &query.from {
            self.push(&format!(
                " FROM {} AS {}",
                table_name(&from.table.physical),
                identifier(&from.alias)
            ));
        }
        if let Some(filter) = &query.filter {
            self.push(" WHERE ");
            self.condition(filter)?;
        }
        self.order_by(&query.order)?;
        if let Some(top) = &query.top {
            self.push(" LIMIT ");
            self.expression(top, Some(&Place::of_type("bigint").inferred()))?;
        }
        Ok(())
    }

    pub(super) fn order_by(&mut self, order: &[Order]) -> Result<(), SystemError> {
        if order.is_empty() {
            return Ok(());
        }
        self.push(" ORDER BY ");
        self.list(order, |writer, Order { expr, descending }| {
            let direction = if *descending { " DESC" } else { " ASC" };
            match expr {
                Expr::Column { alias, column } => writer.list(&column.parts, |writer, part| {
                    writer.column(alias, part);
                    writer.push(direction);
                    Ok(())
                }),
                expr => {
                    writer.expression(expr, None)?;
                    writer.push(direction);
                    Ok(())
                }
            }
        })
    }

    /// The expressions of a result and how its values are made of them.
    pub(super) fn outputs(
        &mut self,
        outputs: &[Output],
    ) -> Result<(Vec<Item>, Vec<Reading>), SystemError> {
        let mut items: Vec<Item> = Vec::new();
        let mut readings = Vec::with_capacity(outputs.len());
        for output in outputs {
            let reading = match &output.expr {
                Expr::Parameter {
                    index,
                    part: Part::Whole,
                    ..
                } => Reading::Parameter(*index),
                Expr::Column { alias, column } if column.parts.len() > 1 => {
                    let first = items.len();
                    for part in &column.parts {
                        let sql = self.apart(|writer| {
                            writer.column(alias, part);
                            Ok(())
                        })?;
                        items.push(Item {
                            sql,
                            name: quoted(&format!("#{}", items.len())),
                        });
                    }
                    composite(column, first)?
                }
                expr => {
                    let sql = self.apart(|writer| writer.expression(expr, None))?;
                    let index = items.len();
                    let name = match output.name.len() <= NAME_BYTES_MAX
                        && !output.name.starts_with('#')
                    {
                        true => quoted(&output.name),
                        false => quoted(&format!("#{index}")),
                    };
                    items.push(Item { sql, name });
                    // what the database holds decides, unless it holds bytes that mean something else
                    let data_type = match expr {
                        Expr::Column { column, .. } => Some(column.data_type),
                        expr => output.data_type.or_else(|| data_type_of(expr)),
                    };
                    Reading::Column { index, data_type }
                }
            };
            readings.push(reading);
        }
        Ok((items, readings))
    }
}

/// How the value of a column of several parts is made; its first part is the row's column `first`.
pub(super) fn composite(column: &Column, first: usize) -> Result<Reading, SystemError> {
    let find = |role| {
        column
            .parts
            .iter()
            .position(|part| part.role == role)
            .map(|index| first + index)
    };
    let tag = find(ColumnRole::Tag);
    if column.data_type == DataType::Union {
        let parts = column
            .parts
            .iter()
            .enumerate()
            .map(|(index, part)| (part.role, first + index));
        return Ok(Reading::Union(parts.collect()));
    }
    match (find(ColumnRole::TypeCode), find(ColumnRole::Reference)) {
        (Some(code), Some(reference)) => Ok(Reading::Entity {
            tag,
            code,
            reference,
        }),
        _ => Err(SystemError::fault(format!(
            "column \"{}\" has parts without meaning",
            column.name
        ))),
    }
}
