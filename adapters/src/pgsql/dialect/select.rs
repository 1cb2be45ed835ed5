//! `SELECT`, and the outputs of every statement that returns rows.

use dajet_core::query::{Expr, From, Join, JoinKind, Order, Output, Part, Select};
use dajet_core::schema::ColumnRole;
use dajet_core::{Column, DataType, Shape, SystemError};

use super::{
    Feed, Place, RECORD, Reading, Rendered, Writer, data_type_of, identifier, quoted, sql_type,
    table_name,
};

/// Longest identifier that PostgreSQL does not cut.
const NAME_BYTES_MAX: usize = 63;

/// An expression of a result with its name.
pub(super) struct Item {
    pub(super) sql: String,
    pub(super) name: String,
}

pub(super) fn select(query: &Select, as_text: &[usize]) -> Result<Rendered, SystemError> {
    let mut writer = Writer::new(Feed::Each, None);
    let readings = writer.outer_select(query, as_text)?;
    let shape = Shape::new(query.columns.iter().map(|output| output.name.clone()));
    Ok(Rendered {
        sql: writer.sql,
        slots: writer.slots,
        readings,
        shape,
        ..Rendered::default()
    })
}

/// The same query for many parameter records by one statement: their values come as arrays, one for each slot; the last column
/// of the result is the number of the record, from 1, that the row answers. Rows of a record stand in the query's order.
pub(super) fn look_ups(query: &Select, as_text: &[usize]) -> Result<Rendered, SystemError> {
    let mut writer = Writer::new(Feed::Joined, None);
    let readings = writer.outer_select(query, as_text)?;
    let Writer {
        sql, slots, arrays, ..
    } = writer;
    let (records, feed) = match slots.len() {
        0 => (
            "generate_series(1, $1) WITH ORDINALITY AS r(c1, ord)".to_owned(),
            Feed::Count,
        ),
        count => {
            let names: Vec<String> = (1..=count).map(|number| format!("c{number}")).collect();
            let (arrays, names) = (arrays.join(", "), names.join(", "));
            (
                format!("unnest({arrays}) WITH ORDINALITY AS r({names}, ord)"),
                Feed::Joined,
            )
        }
    };
    let records = records.replace(" AS r(", &format!(" AS {RECORD}("));
    let sql = format!("SELECT q.*, {RECORD}.ord FROM {records} CROSS JOIN LATERAL ({sql}) AS q");
    let shape = Shape::new(query.columns.iter().map(|output| output.name.clone()));
    Ok(Rendered {
        sql,
        slots,
        readings,
        shape,
        feed,
        ..Rendered::default()
    })
}

impl Writer {
    /// A query whose rows reach the caller, and how its values are made of them.
    fn outer_select(
        &mut self,
        query: &Select,
        as_text: &[usize],
    ) -> Result<Vec<Reading>, SystemError> {
        if !query.unions.is_empty() {
            return self.outer_union(query, as_text);
        }
        let (items, readings) = self.outputs(&query.columns)?;
        self.push(distinct(query));
        if items.is_empty() {
            self.push("TRUE");
        }
        for (index, Item { sql, name }) in items.iter().enumerate() {
            self.push(if index == 0 { "" } else { ", " });
            match as_text.contains(&index) {
                true => self.push(&format!("CAST({sql} AS text) AS {name}")),
                false => self.push(&format!("{sql} AS {name}")),
            }
        }
        self.tail(query)?;
        Ok(readings)
    }

    fn outer_union(
        &mut self,
        query: &Select,
        as_text: &[usize],
    ) -> Result<Vec<Reading>, SystemError> {
        let mut readings = Vec::with_capacity(query.columns.len());
        for (index, output) in query.columns.iter().enumerate() {
            readings.push(Reading::Column {
                index,
                data_type: output.data_type.or_else(|| data_type_of(&output.expr)),
            });
        }
        if as_text.is_empty() {
            self.inner_select(query)?;
            return Ok(readings);
        }
        self.push("SELECT ");
        self.list(0..query.columns.len(), |writer, index| {
            match as_text.contains(&index) {
                true => writer.push(&format!("CAST(u.c{index} AS text)")),
                false => writer.push(&format!("u.c{index}")),
            }
            Ok(())
        })?;
        self.push(" FROM (");
        self.inner_select(query)?;
        let names: Vec<_> = (0..query.columns.len()).map(|i| format!("c{i}")).collect();
        self.push(&format!(") AS u({})", names.join(", ")));
        Ok(readings)
    }

    /// A query within another one: every column has one part, and is named as its output.
    pub(super) fn inner_select(&mut self, query: &Select) -> Result<(), SystemError> {
        if query.unions.is_empty() {
            return self.simple_select(query);
        }
        self.push("(");
        self.member_of_union(query)?;
        self.push(")");
        for union in &query.unions {
            self.push(if union.all {
                " UNION ALL ("
            } else {
                " UNION ("
            });
            self.member_of_union(&union.query)?;
            self.push(")");
        }
        self.order_by(&query.order)
    }

    fn member_of_union(&mut self, query: &Select) -> Result<(), SystemError> {
        let (order, unions) = (Vec::new(), Vec::new());
        self.simple_select(&Select {
            order,
            unions,
            ..query.clone()
        })
    }

    fn simple_select(&mut self, query: &Select) -> Result<(), SystemError> {
        self.push(distinct(query));
        self.list(&query.columns, |writer, output| {
            let place = output
                .data_type
                .map(|data_type| Place::of_type(sql_type(data_type)));
            match &output.expr {
                Expr::Parameter { .. } => writer.expression(&output.expr, place.as_ref())?,
                expr => writer.expression(expr, None)?,
            }
            if output.name.len() <= NAME_BYTES_MAX {
                writer.push(&format!(" AS {}", quoted(&output.name)));
            }
            Ok(())
        })?;
        self.tail(query)
    }

    /// A table, or the query in its place.
    fn from(&mut self, from: &From) -> Result<(), SystemError> {
        match &from.query {
            Some(query) => {
                self.push("(");
                self.inner_select(query)?;
                self.push(")");
            }
            None => self.push(&table_name(&from.table.physical)),
        }
        self.push(&format!(" AS {}", identifier(&from.alias)));
        Ok(())
    }

    fn join(&mut self, join: &Join) -> Result<(), SystemError> {
        self.push(match join.kind {
            JoinKind::Inner => " INNER JOIN ",
            JoinKind::Left => " LEFT JOIN ",
            JoinKind::Right => " RIGHT JOIN ",
            JoinKind::Full => " FULL JOIN ",
            JoinKind::Cross => " CROSS JOIN ",
        });
        self.from(&join.from)?;
        if let Some(on) = &join.on {
            self.push(" ON ");
            self.condition(on)?;
        }
        Ok(())
    }

    /// `FROM … WHERE … GROUP BY … HAVING … ORDER BY … LIMIT … OFFSET …`
    pub(super) fn tail(&mut self, query: &Select) -> Result<(), SystemError> {
        if let Some(from) = &query.from {
            self.push(" FROM ");
            self.from(from)?;
        }
        for join in &query.joins {
            self.join(join)?;
        }
        if let Some(filter) = &query.filter {
            self.push(" WHERE ");
            self.condition(filter)?;
        }
        if !query.group.is_empty() {
            self.push(" GROUP BY ");
            self.list(&query.group, |writer, key| writer.expression(key, None))?;
        }
        if let Some(having) = &query.having {
            self.push(" HAVING ");
            self.condition(having)?;
        }
        self.order_by(&query.order)?;
        for (word, count) in [(" LIMIT ", &query.top), (" OFFSET ", &query.offset)] {
            if let Some(count) = count {
                self.push(word);
                self.expression(count, Some(&Place::of_type("bigint").inferred()))?;
            }
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
                Expr::Output(index) => {
                    writer.push(&format!("{}{direction}", index + 1));
                    Ok(())
                }
                Expr::Column { alias, column } => writer.list(&column.parts, |writer, part| {
                    writer.stored(alias, part);
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
                            writer.column(alias, column, part);
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

fn distinct(query: &Select) -> &'static str {
    match query.distinct {
        true => "SELECT DISTINCT ",
        false => "SELECT ",
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
        return Ok(Reading::Union {
            parts: parts.collect(),
            code: column.reference_code,
        });
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
