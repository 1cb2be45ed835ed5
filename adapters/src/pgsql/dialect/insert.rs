//! `INSERT`: many parameter records in one statement, or a query's rows for each record.

use dajet_core::query::{Binary, Expr, Function, Insert, Output, Part, Unary};
use dajet_core::schema::{ColumnRole, Defaults};
use dajet_core::{Column, DataType, PhysicalColumn, SystemError, Table, Value};

use super::expression::constant;
use super::{
    Feed, Place, RECORD, Rendered, Writer, base_type, data_type_of, identifier, table_name, years,
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
        match &output.expr {
            // the outer list gives it the type of its target
            Expr::Parameter { .. } | Expr::Literal(Value::Null) => {}
            expr => {
                writer.push(if std::mem::take(&mut first) { "" } else { ", " });
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
            _ if target.column.parts.len() > 1 => Err(unshared(target)),
            expr => {
                let name = format!("q.c{index}");
                let value = match target.rounds(expr) {
                    true => target.whole(&name),
                    false => name,
                };
                self.push(&match target.fills() {
                    true => format!("COALESCE({value}, {})", target.nothing()),
                    false => value,
                });
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

    /// It keeps whole numbers, and PostgreSQL would round others.
    fn keeps_whole(&self) -> bool {
        let type_name = base_type(&self.part.type_name);
        matches!(type_name.as_str(), "smallint" | "integer" | "bigint")
            || self.part.scale() == Some(0)
    }

    /// The value of this expression may have a fraction.
    fn rounds(&self, expr: &Expr) -> bool {
        self.keeps_whole() && !is_whole(expr)
    }

    /// A number as a whole one: its text has a fraction, or it is one.
    fn whole(&self, value: &str) -> String {
        let type_name = base_type(&self.part.type_name);
        let checked = |type_name| {
            format!("CAST(CAST(TRIM_SCALE(CAST({value} AS numeric)) AS text) AS {type_name})")
        };
        match type_name.as_str() {
            // more digits than any integer has
            "numeric" => format!(
                "(CASE WHEN {value} = TRUNC({value}) THEN {value} ELSE {} END)",
                checked("bigint")
            ),
            other => checked(other),
        }
    }

    fn place(&self) -> Place {
        Place {
            empty: self.fills().then(|| self.bytes()),
            whole: self.keeps_whole(),
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

/// Binding shares expressions and columns out to the parts of a column.
fn unshared(target: &Target<'_>) -> SystemError {
    let column = &target.column.name;
    SystemError::fault(format!(
        "an expression for all the parts of column \"{column}\""
    ))
}

/// True if the expression surely gives a whole number, or none at all.
fn is_whole(expr: &Expr) -> bool {
    match expr {
        Expr::Column { column, .. } => match column.single() {
            Some(part) if part.scale() == Some(0) => true,
            _ => !matches!(column.data_type, DataType::Decimal | DataType::Union),
        },
        Expr::Literal(value) => {
            !matches!(value, Value::Decimal(number) if number.trimmed(0).scale() != 0)
        }
        Expr::Cast(_, data_type) => *data_type != DataType::Decimal,
        Expr::Call(function, arguments) => match function {
            Function::Average => false,
            Function::Max | Function::Min | Function::Sum => arguments.iter().all(is_whole),
            _ => true,
        },
        Expr::Unary(Unary::Negate, operand) => is_whole(operand),
        Expr::Binary(
            Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Remainder,
            left,
            right,
        ) => {
            let integers = [left, right].map(|side| data_type_of(side) == Some(DataType::Integer));
            integers == [true, true] && is_whole(left) && is_whole(right)
        }
        Expr::Case {
            branches,
            otherwise,
        } => {
            let mut values = branches.iter().map(|(_, value)| value);
            values.all(is_whole) && otherwise.as_deref().is_none_or(is_whole)
        }
        Expr::Subquery(query) => query.columns.iter().all(|output| is_whole(&output.expr)),
        Expr::Parameter { .. } | Expr::Output(_) => false,
        _ => true,
    }
}
