//! Queries as PostgreSQL's SQL: names quoted as in the database, variables as `$n`, nothing of a script in the text.

mod drain;
mod expression;
mod identity;
mod insert;
mod select;
mod sequence;
mod texts;

use std::sync::Arc;

use dajet_core::contract::Runs;
use dajet_core::query::{Body, Expr, Select, Statement};
use dajet_core::schema::ColumnRole;
use dajet_core::{Column, DataType, PhysicalColumn, Shape, SystemError};

use super::values::{Holds, Reading, Slot, Take, Wire};

pub(super) use drain::drain;
pub(super) use sequence::sequence;

/// A statement as SQL text.
#[derive(Clone, Debug, Default)]
pub(super) struct Rendered {
    /// The text.
    pub(super) sql: String,
    /// What `$1`, `$2`, … are.
    pub(super) slots: Vec<Slot>,
    /// How the values of a result are made.
    pub(super) readings: Vec<Reading>,
    /// Names of the result's values.
    pub(super) shape: Arc<Shape>,
    /// Of a queue: how the ORDER BY values are made, and their names.
    pub(super) keys: Vec<Reading>,
    /// Names of the keys.
    pub(super) key_shape: Arc<Shape>,
    /// How parameter records are given.
    pub(super) feed: Feed,
}

/// How the records of a call reach the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Feed {
    /// One execution for each record, each slot a single value.
    #[default]
    Each,
    /// Many records in one execution, each slot an array.
    Arrays,
    /// Many records in one execution whose rows come back, each with the number of its record behind it.
    Joined,
    /// Many records in one execution without any value of theirs: the only parameter is their number.
    Count,
}

/// Renders a statement; columns of the result whose index stands in `as_text` are cast to text.
///
/// # Errors
/// `Misconfigured` if PostgreSQL cannot express it.
pub(super) fn render(statement: &Statement, as_text: &[usize]) -> Result<Rendered, SystemError> {
    match &statement.body {
        Body::Select(query) => select::select(query, as_text),
        Body::Insert(insert) => insert::insert(insert),
        Body::Drain(queue) => drain(queue, drain::Limit::Written, queue.strict, as_text),
        Body::Sequence(statement) => Ok(Rendered {
            sql: sequence(statement),
            ..Rendered::default()
        }),
    }
}

pub(super) use drain::Limit;

/// The alias of the parameter records; no alias of a script is written like that.
const RECORD: &str = "\"#p\"";

/// Renders a query that answers many parameter records at once.
///
/// # Errors
/// As [`render`].
pub(super) fn look_ups(query: &Select, as_text: &[usize]) -> Result<Rendered, SystemError> {
    select::look_ups(query, as_text)
}

/// The text of a statement as it runs, for people.
///
/// # Errors
/// As [`render`].
pub(super) fn for_people(statement: &Statement, runs: Runs) -> Result<String, SystemError> {
    let rendered = match (&statement.body, runs) {
        (Body::Select(query), Runs::ForABatch) => look_ups(query, &[])?,
        _ => render(statement, &[])?,
    };
    let how = match (runs, rendered.feed) {
        (Runs::Alone, _) => return Ok(rendered.sql),
        (_, Feed::Each) => "sent for each record of a batch, without waiting for answers",
        (_, Feed::Count) => "for all the records of a batch at once: the parameter is their number",
        (_, Feed::Arrays | Feed::Joined) => {
            "for all the records of a batch at once: parameters are arrays"
        }
    };
    Ok(format!("-- {how}\n{}", rendered.sql))
}

/// An identifier, quoted unless it is one of the lower-case names of 1C, which begin with `_`.
pub(super) fn identifier(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.starts_with('_') && name.chars().all(plain) {
        name.into()
    } else {
        quoted(name)
    }
}

/// A quoted identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal.
fn literal(text: &str) -> String {
    // the sessions set standard_conforming_strings
    format!("'{}'", text.replace('\'', "''"))
}

/// A table's name, each part quoted.
pub(super) fn table_name(physical: &[Arc<str>]) -> String {
    physical
        .iter()
        .map(|part| identifier(part))
        .collect::<Vec<_>>()
        .join(".")
}

/// The type without its length, which a cast would enforce in silence.
fn base_type(type_name: &str) -> String {
    let mut base = String::with_capacity(type_name.len());
    let mut depth = 0;
    for c in type_name.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            c if depth == 0 => base.push(c),
            _ => {}
        }
    }
    match base.strip_suffix("[]").unwrap_or(&base) {
        "character" => base.replace("character", "bpchar"),
        "bit" => base.replace("bit", "bit varying"),
        _ => base,
    }
}

/// The type of a logical type.
fn sql_type(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "boolean",
        DataType::Integer => "bigint",
        DataType::Decimal => "numeric",
        DataType::DateTime => "timestamp without time zone",
        DataType::Text | DataType::Union | DataType::Any => "text",
        DataType::Binary | DataType::Entity(_) => "bytea",
        DataType::Uuid => "uuid",
    }
}

/// Where a parameter stands: what type it must have there.
#[derive(Clone, Debug)]
struct Place {
    type_name: String,
    take: Take,
    column: Option<Arc<str>>,
    empty: Option<usize>,
    /// It stores whole numbers, and would round others.
    whole: bool,
    /// It is compared with a value there.
    compared: bool,
    /// PostgreSQL infers the type by itself.
    inferred: bool,
}

impl Place {
    fn of_type(type_name: &str) -> Self {
        Self {
            type_name: type_name.into(),
            take: Take::Whole,
            column: None,
            empty: None,
            whole: false,
            compared: false,
            inferred: false,
        }
    }

    /// The place of a value that is compared with a column, or stored in it.
    fn of_part(column: &Column, part: &PhysicalColumn) -> Self {
        let reference = matches!(column.data_type, DataType::Entity(_))
            && base_type(&part.type_name) == "bytea";
        let tagged = column.parts.iter().any(|p| p.role == ColumnRole::Tag);
        let take = match part.role {
            role if column.parts.len() > 1 && tagged => {
                Take::Share(role, Holds::of(column.parts.iter().map(|part| part.role)))
            }
            // the key of a line is bytes like those of a type code, and is none
            ColumnRole::TypeCode if column.data_type != DataType::Binary => Take::TypeCode,
            ColumnRole::Reference => Take::Reference,
            _ if reference => Take::Reference,
            _ => Take::Whole,
        };
        let column = Some(column.name.clone());
        Self {
            type_name: base_type(&part.type_name),
            take,
            column,
            empty: None,
            whole: false,
            compared: false,
            inferred: false,
        }
    }

    fn inferred(mut self) -> Self {
        self.inferred = true;
        self
    }

    fn compared(mut self) -> Self {
        self.compared = true;
        self
    }
}

/// Writes SQL and gathers the slots.
struct Writer {
    sql: String,
    slots: Vec<Slot>,
    /// Types of the slots, and whether PostgreSQL infers them.
    types: Vec<(String, bool)>,
    /// Types of the arrays, in the order of the slots; filled for [`Feed::Arrays`] only.
    arrays: Vec<String>,
    feed: Feed,
    /// The alias that stands for the only table, whatever the script calls it.
    alias: Option<&'static str>,
}

impl Writer {
    fn new(feed: Feed, alias: Option<&'static str>) -> Self {
        Self {
            sql: String::new(),
            slots: Vec::new(),
            types: Vec::new(),
            arrays: Vec::new(),
            feed,
            alias,
        }
    }

    fn push(&mut self, text: &str) {
        self.sql.push_str(text);
    }

    /// Writes a list with commas between.
    fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T) -> Result<(), SystemError>,
    ) -> Result<(), SystemError> {
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            write(self, item)?;
        }
        Ok(())
    }

    /// Runs `write` and takes away what it wrote.
    fn apart(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), SystemError>,
    ) -> Result<String, SystemError> {
        let before = std::mem::take(&mut self.sql);
        let result = write(self);
        let written = std::mem::replace(&mut self.sql, before);
        result.map(|()| written)
    }

    /// A column of a table as it is stored.
    fn stored(&mut self, alias: &str, part: &PhysicalColumn) {
        let alias = self.alias.map_or_else(|| identifier(alias), Into::into);
        self.push(&format!("{alias}.{}", identifier(&part.name)));
    }

    /// A part of a column of a table.
    fn column(&mut self, alias: &str, column: &Column, part: &PhysicalColumn) {
        match years(column, part) {
            0 => self.stored(alias, part),
            years => {
                self.push("(");
                self.stored(alias, part);
                self.push(&format!(" - INTERVAL '{years} years')"));
            }
        }
    }

    /// A parameter.
    fn parameter(&mut self, index: usize, place: &Place) {
        let Place {
            type_name,
            take,
            column,
            empty,
            whole,
            compared,
            inferred,
        } = place;
        let slot = Slot {
            index,
            take: *take,
            column: column.clone(),
            empty: *empty,
            whole: *whole,
            compared: *compared,
        };
        let known = Wire::knows(type_name);
        let wire_type = if known { type_name } else { "text" };
        let bare = *inferred && known;
        let number = self.slot(slot, wire_type, bare);
        let value = match self.feed {
            Feed::Arrays | Feed::Joined => format!("{RECORD}.c{number}"),
            _ if bare => format!("${number}"),
            _ => format!("CAST(${number} AS {wire_type})"),
        };
        match known {
            true => self.push(&value),
            false => self.push(&format!("CAST({value} AS {type_name})")),
        }
    }
}

impl Writer {
    /// The number of a slot. What is written twice is sent once, and so it is the same in SELECT and in GROUP BY.
    fn slot(&mut self, slot: Slot, wire_type: &str, bare: bool) -> usize {
        let typed = (wire_type.to_owned(), bare);
        let mut known = self.slots.iter().zip(&self.types);
        if let Some(place) = known.position(|known| known == (&slot, &typed)) {
            return place + 1;
        }
        self.slots.push(slot);
        self.types.push(typed);
        let number = self.slots.len();
        if matches!(self.feed, Feed::Arrays | Feed::Joined) {
            self.arrays
                .push(format!("CAST(${number} AS {wire_type}[])"));
        }
        number
    }
}

/// The years that are added to what is stored in this part of a column.
fn years(column: &Column, part: &PhysicalColumn) -> i16 {
    match (part.role, column.data_type) {
        (ColumnRole::DateTime, _) | (ColumnRole::Value, DataType::DateTime) => column.year_offset,
        _ => 0,
    }
}

/// An error of a query that PostgreSQL cannot express.
fn unsupported(what: impl Into<String>) -> SystemError {
    SystemError::misconfigured("E_UNSUPPORTED", what)
}

/// The logical type of an expression, as far as it is known without the database.
fn data_type_of(expr: &Expr) -> Option<DataType> {
    use dajet_core::query::{Binary, Function, Unary};
    match expr {
        Expr::Column { column, .. } => Some(column.data_type),
        Expr::Parameter { data_type, .. } => *data_type,
        Expr::Cast(_, data_type) => Some(*data_type),
        Expr::IsNull { .. }
        | Expr::InList { .. }
        | Expr::InQuery { .. }
        | Expr::Exists(_)
        | Expr::Unary(Unary::Not, _) => Some(DataType::Boolean),
        Expr::Subquery(query) => query
            .columns
            .first()
            .and_then(|output| output.data_type.or_else(|| data_type_of(&output.expr))),
        Expr::Call(function, arguments) => match function {
            Function::UuidOf | Function::NewUuid | Function::Uuid1c | Function::UuidDb => {
                Some(DataType::Uuid)
            }
            Function::Now | Function::Utc | Function::WholeSeconds => Some(DataType::DateTime),
            Function::Vector(_)
            | Function::Count
            | Function::CountDistinct
            | Function::DataLength
            | Function::CharLength => Some(DataType::Integer),
            Function::StringAgg
            | Function::LTrim
            | Function::RTrim
            | Function::Upper
            | Function::Lower
            | Function::Substring
            | Function::Replace
            | Function::Concat
            | Function::ConcatWs => Some(DataType::Text),
            Function::Max | Function::Min => arguments.first().and_then(data_type_of),
            Function::Average | Function::Sum => Some(DataType::Decimal),
        },
        Expr::Binary(Binary::Concat, ..) => Some(DataType::Text),
        Expr::Binary(
            Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Remainder,
            left,
            right,
        ) => match (data_type_of(left), data_type_of(right)) {
            (Some(DataType::DateTime), Some(DataType::DateTime)) => Some(DataType::Decimal),
            (Some(DataType::DateTime), _) => Some(DataType::DateTime),
            (Some(DataType::Integer), Some(DataType::Integer)) => Some(DataType::Integer),
            _ => Some(DataType::Decimal),
        },
        Expr::Binary(..) => Some(DataType::Boolean),
        Expr::Unary(Unary::Negate, operand) => data_type_of(operand),
        Expr::Literal(value) => match value {
            dajet_core::Value::Boolean(_) => Some(DataType::Boolean),
            dajet_core::Value::Integer(_) => Some(DataType::Integer),
            dajet_core::Value::Decimal(_) => Some(DataType::Decimal),
            _ => None,
        },
        Expr::Case { branches, .. } => branches
            .first()
            .and_then(|(_, result)| data_type_of(result)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
