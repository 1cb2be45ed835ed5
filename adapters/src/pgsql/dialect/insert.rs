//! `INSERT`: many parameter records in one statement, or a query's rows for each record.

use dajet_core::query::{Expr, Function, Insert, Output, Part};
use dajet_core::schema::{ColumnRole, Defaults};
use dajet_core::{Column, DataType, PhysicalColumn, SystemError, Table, Value};

use super::expression::constant;
use super::{
    Feed, Place, RECORD, Rendered, Writer, base_type, data_type_of, identifier, table_name,
    unsupported, years,
};

pub(super) fn insert(insert: &Insert) -> Result<Rendered, SystemError> {
    match &insert.query {
        Some(_) => of_query(insert),
        None => of_records(insert),
    }
}

/// The records' values come as arrays; the sub-select fixes their order before sequences are drawn.
fn of_records(insert: &Insert) -> Result<Rendered, SystemError> {
    let mut writer = Writer::new(Feed::Arrays, None);
    let values = writer.targets(insert, &[])?;
    let Writer { slots, arrays, .. } = writer;
    let head = head(insert);
    let (rows, feed) = match slots.len() {
        0 => ("generate_series(1, $1)".to_owned(), Feed::Count),
        count => {
            let names: Vec<String> = (1..=count).map(|number| format!("c{number}")).collect();
            let arrays = arrays.join(", ");
            let names = names.join(", ");
            let records = format!("unnest({arrays}) WITH ORDINALITY AS r({names}, ord)");
            (
                format!("(SELECT r.* FROM {records} ORDER BY r.ord)"),
                Feed::Arrays,
            )
        }
    };
    let sql = format!("{head} SELECT {values} FROM {rows} AS {RECORD}");
    Ok(Rendered {
        sql,
        slots,
        feed,
        ..Rendered::default()
    })
}

fn of_query(insert: &Insert) -> Result<Rendered, SystemError> {
    let Some(query) = &insert.query else {
        return of_records(insert);
    };
    let mut writer = Writer::new(Feed::Each, None);
    let values = writer.targets(insert, &query.columns)?;
    writer.push(&format!("{} SELECT {values} FROM (", head(insert)));
    writer.push(if query.distinct {
        "SELECT DISTINCT "
    } else {
        "SELECT "
    });
    let mut first = true;
    for (index, output) in query.columns.iter().enumerate() {
        let separator = |first: &mut bool| if std::mem::take(first) { "" } else { ", " };
        match &output.expr {
            // the outer list gives it the type of its target
            Expr::Parameter { .. } | Expr::Literal(Value::Null) => {}
            Expr::Column { alias, column } if column.parts.len() > 1 => {
                for (number, part) in column.parts.iter().enumerate() {
                    writer.push(separator(&mut first));
                    writer.column(alias, column, part);
                    writer.push(&format!(" AS c{index}_{number}"));
                }
            }
            expr => {
                writer.push(separator(&mut first));
                writer.expression(expr, place_of_uuid(insert, index, expr).as_ref())?;
                writer.push(&format!(" AS c{index}"));
            }
        }
    }
    writer.tail(query)?;
    writer.push(") AS q");
    let Writer { sql, slots, .. } = writer;
    Ok(Rendered {
        sql,
        slots,
        ..Rendered::default()
    })
}

/// A random uuid is made in the form of the column that it is for.
fn place_of_uuid(insert: &Insert, output: usize, expr: &Expr) -> Option<Place> {
    if !matches!(expr, Expr::Call(Function::NewUuid, _)) {
        return None;
    }
    let is_target = |expr: &Expr| matches!(expr, Expr::Output(index) if *index == output);
    let mut columns = insert.columns.iter().filter(|(_, expr)| is_target(expr));
    let (column, _) = columns.next()?;
    column.single().map(|part| Place::of_part(column, part))
}

fn head(insert: &Insert) -> String {
    let parts = insert
        .columns
        .iter()
        .flat_map(|(column, _)| column.parts.iter().filter(|part| !part.generated));
    let names: Vec<String> = parts.map(|part| identifier(&part.name)).collect();
    format!(
        "INSERT INTO {} ({})",
        table_name(&insert.table.physical),
        names.join(", ")
    )
}

impl Writer {
    /// The values of the target columns, in the order of [`head`].
    fn targets(&mut self, insert: &Insert, outputs: &[Output]) -> Result<String, SystemError> {
        let targets = insert.columns.iter().flat_map(|(column, expr)| {
            column
                .parts
                .iter()
                .filter(|part| !part.generated)
                .map(move |part| (&**column, part, expr))
        });
        let targets: Vec<_> = targets.collect();
        self.apart(|writer| {
            writer.list(targets, |writer, (column, part, expr)| {
                let target = Target {
                    table: &insert.table,
                    column,
                    part,
                    outputs,
                };
                match years(column, part) {
                    0 => writer.target(&target, expr),
                    years => {
                        let value = writer.apart(|writer| writer.target(&target, expr))?;
                        let type_name = base_type(&part.type_name);
                        writer.push(&format!(
                            "(CAST({value} AS {type_name}) + INTERVAL '{years} years')"
                        ));
                        Ok(())
                    }
                }
            })
        })
    }

    fn target(&mut self, target: &Target<'_>, expr: &Expr) -> Result<(), SystemError> {
        let place = target.place();
        match expr {
            Expr::Parameter {
                index,
                part: Part::Whole,
                ..
            } => self.parameter(*index, &place),
            Expr::Parameter { .. } => self.expression(expr, None)?,
            Expr::Literal(Value::Null) => self.push(&target.nothing()),
            Expr::Output(index) => self.output(target, *index)?,
            _ if target.column.parts.len() > 1 => return Err(unshared(target)),
            Expr::Literal(value) => self.push(&constant(value)?),
            expr if target.rounds(expr) => {
                let value = self.apart(|writer| writer.expression(expr, Some(&place)))?;
                self.push(&target.whole(&value));
            }
            expr => self.expression(expr, Some(&place))?,
        }
        Ok(())
    }

    /// A column of the query.
    fn output(&mut self, target: &Target<'_>, index: usize) -> Result<(), SystemError> {
        let Some(output) = target.outputs.get(index) else {
            return Err(SystemError::fault(
                "an INSERT names a column that its query does not have",
            ));
        };
        match &output.expr {
            expr @ (Expr::Parameter { .. } | Expr::Literal(Value::Null)) => {
                self.target(target, expr)
            }
            Expr::Column { column, .. }
                if column.parts.len() > 1 || target.column.parts.len() > 1 =>
            {
                let sql = part_of_output(column, target, index)?;
                self.push(&sql);
                Ok(())
            }
            _ if target.column.parts.len() > 1 => Err(unshared(target)),
            _ if target.fills() => {
                self.push(&format!("COALESCE(q.c{index}, {})", target.nothing()));
                Ok(())
            }
            expr if target.rounds(expr) => {
                self.push(&target.whole(&format!("q.c{index}")));
                Ok(())
            }
            _ => {
                self.push(&format!("q.c{index}"));
                Ok(())
            }
        }
    }
}

/// One physical column of the target.
struct Target<'a> {
    table: &'a Table,
    column: &'a Column,
    part: &'a PhysicalColumn,
    outputs: &'a [Output],
}

impl Target<'_> {
    /// NULL becomes the empty value here.
    fn fills(&self) -> bool {
        self.table.defaults == Defaults::EmptyValue && !self.part.nullable
    }

    /// PostgreSQL would round the value of this expression to a whole number.
    fn rounds(&self, expr: &Expr) -> bool {
        let type_name = base_type(&self.part.type_name);
        let whole = matches!(type_name.as_str(), "smallint" | "integer" | "bigint");
        whole && data_type_of(expr) == Some(DataType::Decimal)
    }

    /// A decimal as a whole number: its text has a fraction, or it is one.
    fn whole(&self, value: &str) -> String {
        let type_name = base_type(&self.part.type_name);
        format!("CAST(CAST(TRIM_SCALE(CAST({value} AS numeric)) AS text) AS {type_name})")
    }

    fn place(&self) -> Place {
        Place {
            empty: self.fills().then(|| self.bytes()),
            ..Place::of_part(self.column, self.part)
        }
    }

    /// Length of the empty value if it is bytes.
    fn bytes(&self) -> usize {
        match (self.part.role, self.column.data_type) {
            (ColumnRole::Tag, _) => 1,
            (ColumnRole::TypeCode, _) => 4,
            (ColumnRole::Reference, _) | (_, DataType::Uuid | DataType::Entity(_)) => 16,
            _ => 0,
        }
    }

    /// What NULL is in this column.
    fn nothing(&self) -> String {
        let tagged = self.column.parts.len() > 1
            && self.column.parts.iter().any(|p| p.role == ColumnRole::Tag);
        if !self.fills() && !tagged {
            return "NULL".into();
        }
        let type_name = base_type(&self.part.type_name);
        let value = match type_name.as_str() {
            _ if self.part.role == ColumnRole::Tag => "'\\x01'".into(),
            "boolean" => "FALSE".into(),
            "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" => {
                "0".into()
            }
            "bytea" => format!("'\\x{}'", "00".repeat(self.bytes())),
            "uuid" => "'00000000-0000-0000-0000-000000000000'".into(),
            "json" | "jsonb" => "'null'".into(),
            "date" => "'0001-01-01'".into(),
            name if name.starts_with("timestamp") => "'0001-01-01'".into(),
            name if name.starts_with("time") => "'00:00'".into(),
            _ => "''".to_owned(),
        };
        format!("CAST({value} AS {type_name})")
    }
}

/// The part of a column of the query that belongs to this part of the target.
fn part_of_output(
    column: &Column,
    target: &Target<'_>,
    index: usize,
) -> Result<String, SystemError> {
    let name = |number: usize| match column.parts.len() {
        1 => format!("q.c{index}"),
        _ => format!("q.c{index}_{number}"),
    };
    let position = |role| column.parts.iter().position(|part| part.role == role);
    if let [_] = target.column.parts.as_slice() {
        // a reference of many types into one of a single type: its code is known there
        let reference =
            reference_part(column).and_then(|part| column.parts.iter().position(|p| p == part));
        return reference.map(name).ok_or_else(|| mismatch(column, target));
    }
    match (
        position(target.part.role),
        column.data_type,
        target.part.role,
    ) {
        (Some(number), ..) if column.parts.len() > 1 => Ok(name(number)),
        (_, DataType::Entity(code), ColumnRole::TypeCode) if column.parts.len() == 1 => {
            Ok(format!("CAST('\\x{code:08x}' AS bytea)"))
        }
        (_, DataType::Entity(_), ColumnRole::Reference) => Ok(name(0)),
        (_, DataType::Entity(_), ColumnRole::Tag) => Ok("CAST('\\x08' AS bytea)".into()),
        (_, DataType::Entity(_) | DataType::Union, _) => Ok(target.nothing()),
        _ => Err(mismatch(column, target)),
    }
}

/// Binding shares expressions out to the parts of a column.
fn unshared(target: &Target<'_>) -> SystemError {
    let column = &target.column.name;
    SystemError::fault(format!(
        "an expression for all the parts of column \"{column}\""
    ))
}

fn mismatch(column: &Column, target: &Target<'_>) -> SystemError {
    unsupported(format!(
        "column \"{}\" cannot be stored in column \"{}\"",
        column.name, target.column.name
    ))
}

/// The part of a column that holds an identity.
fn reference_part(column: &Column) -> Option<&PhysicalColumn> {
    let reference = column
        .parts
        .iter()
        .find(|part| part.role == ColumnRole::Reference);
    reference.or_else(|| {
        column
            .single()
            .filter(|part| base_type(&part.type_name) == "bytea")
    })
}
