//! What a source asks SQLite: reading rows with their keys, looking at them again, deleting them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dajet_core::contract::SourceSpec;
use dajet_core::query::{Body, Drain, Expr, Part};
use dajet_core::schema::{Table, TableKey};
use dajet_core::{Shape, SystemError, Value};

use super::dialect::{Rendered, Writer, quote, table_name};
use super::functions;

/// A `CONSUME` as SQLite's texts. The parameters of every text are the same; what is named after them follows.
#[derive(Debug)]
pub struct DrainPlan {
    /// The table's physical name, quoted: the key of its held rows.
    pub table: Arc<str>,
    /// The table's name, for messages.
    pub name: Arc<str>,
    /// What is bound in every text, and how rows are read: outputs first, then hidden order columns.
    pub rendered: Rendered,
    /// Reads in order; then `?`: most rows.
    pub read: String,
    /// The same between two rowids; then `?`: lower bound, upper bound (inclusive), most rows. Only where the order is that of
    /// the rowids.
    pub read_between: Option<String>,
    /// The same without the rows that open claims hold; then `?`: most rows.
    pub read_free: String,
    /// Reads rows again: between two rowids in their order, or one row by its key.
    pub again: String,
    /// Deletes rows: between two rowids, or one row by its key.
    pub delete: String,
    /// Columns that tell the rows apart: 1 for the rowid.
    pub key_width: usize,
    /// True if that is the rowid.
    pub by_rowid: bool,
    /// True if the order is that of the rowids, backwards.
    pub backwards: bool,
    /// For each reader, whether its value is the same when it is read again.
    pub stable: Vec<bool>,
    /// How many readers the script asked for.
    pub visible: usize,
    /// For each of them, its reader.
    pub order: Vec<usize>,
    /// Names of the ORDER BY keys, then of the columns of the table's key that are not among them.
    pub order_shape: Arc<Shape>,
    /// `TOP`.
    pub top: Expr,
    /// `WITH STRICT ORDER`.
    pub strict: bool,
    /// True once its cost has been looked at.
    pub looked_at: AtomicBool,
}

impl DrainPlan {
    /// Makes the texts.
    ///
    /// # Errors
    /// `Misconfigured` if the table cannot be a queue or SQLite cannot express the statement.
    pub fn new(spec: &SourceSpec) -> Result<Self, SystemError> {
        let Body::Drain(drain) = &spec.statement.body else {
            return Err(SystemError::fault(
                "a source is made of a statement that is no drain",
            ));
        };
        let key = Key::of(&drain.from.table)?;
        let mut builder = Builder::new(drain, &key);
        builder.outputs()?;
        builder.finish()
    }

    /// Names of the readers: those of the outputs, then those of the hidden order columns.
    pub fn reader_names(&self) -> Vec<Arc<str>> {
        let hidden = |index: usize| {
            let place = self.order.iter().position(|reader| *reader == index)?;
            self.order_shape.names.get(place).cloned()
        };
        let outputs = self.rendered.shape.names.iter().cloned();
        let count = self.rendered.readers.len();
        outputs
            .chain((self.visible..count).map(|index| hidden(index).unwrap_or_default()))
            .collect()
    }

    /// The greatest number of rows of one read.
    ///
    /// # Errors
    /// `Rejected` if the parameter is no number.
    pub fn top(&self, parameters: &[Value]) -> Result<i64, SystemError> {
        let value = match &self.top {
            Expr::Literal(value) => Some(value),
            Expr::Parameter {
                index,
                part: Part::Whole,
                ..
            } => parameters.get(*index),
            _ => None,
        };
        let number = match value {
            Some(Value::Integer(number)) => Some(*number),
            Some(Value::Decimal(number)) => number.truncate(),
            _ => None,
        };
        number.map(|n| n.max(0)).ok_or_else(|| {
            let what = value.map_or("an expression", |v| v.type_name());
            SystemError::rejected("E_TYPE", format!("TOP takes a whole number, not {what}"))
        })
    }
}

/// What tells the rows of a table apart, as written in its texts.
enum Key {
    /// `rowid`, or the other name that no column has taken.
    Rowid(String),
    Columns(Vec<Arc<str>>),
}

impl Key {
    fn of(table: &Table) -> Result<Self, SystemError> {
        let refused = |why: &str| {
            let message = format!("cannot read queue \"{}\": {why}", table.name);
            Err(SystemError::misconfigured("E_UNSUPPORTED", message))
        };
        match &table.key {
            TableKey::Columns(columns) if columns.is_empty() => {
                refused("it is a view; only rows of tables can be consumed")
            }
            TableKey::Columns(columns) => Ok(Self::Columns(columns.clone())),
            TableKey::RowAddress => {
                let taken = |word: &str| {
                    let mut parts = table.columns.iter().flat_map(|c| &c.parts);
                    parts.any(|part| part.name.eq_ignore_ascii_case(word))
                };
                match ["rowid", "_rowid_", "oid"]
                    .into_iter()
                    .find(|word| !taken(word))
                {
                    Some(word) => Ok(Self::Rowid(word.to_owned())),
                    None => refused("its columns have taken every name of the rowid"),
                }
            }
        }
    }

    fn names(&self) -> Vec<String> {
        match self {
            Self::Rowid(word) => vec![word.clone()],
            Self::Columns(columns) => columns.iter().map(|c| quote(c)).collect(),
        }
    }
}

struct Builder<'a> {
    drain: &'a Drain,
    key: &'a Key,
    alias: String,
    writer: Writer,
    stable: Vec<bool>,
    order: Vec<usize>,
    order_names: Vec<Arc<str>>,
}

impl<'a> Builder<'a> {
    fn new(drain: &'a Drain, key: &'a Key) -> Self {
        Self {
            drain,
            key,
            alias: quote(&drain.from.alias),
            writer: Writer::default(),
            stable: Vec::new(),
            order: Vec::new(),
            order_names: Vec::new(),
        }
    }

    /// `SELECT key, outputs, hidden order columns FROM …`
    fn outputs(&mut self) -> Result<(), SystemError> {
        self.writer.push("SELECT ");
        let keys: Vec<_> = self
            .key
            .names()
            .iter()
            .map(|name| format!("{}.{name}", self.alias))
            .collect();
        self.writer.push(&keys.join(", "));
        for output in &self.drain.columns {
            self.writer.push(", ");
            self.writer.out.volatile = false;
            self.writer.outputs(std::slice::from_ref(output))?;
            self.stable.push(!self.writer.out.volatile);
        }
        for key in &self.drain.order {
            let name = match &key.expr {
                Expr::Column { column, .. } => Arc::clone(&column.name),
                _ => Arc::from(format!("key {}", self.order.len() + 1)),
            };
            self.name_rows_by(name, &key.expr)?;
        }
        self.complete_names()?;
        if !self.writer.out.sequences.is_empty() {
            let message = "VECTOR cannot stand in a statement that reads a queue";
            return Err(SystemError::misconfigured("E_UNSUPPORTED", message));
        }
        let table = table_name(&self.drain.from.table);
        self.writer
            .push(&format!(" FROM {table} AS {}", self.alias));
        Ok(())
    }

    /// Adds a value to those that name a row, hidden if the script does not select it.
    fn name_rows_by(&mut self, name: Arc<str>, expr: &Expr) -> Result<(), SystemError> {
        let outputs = &mut self.drain.columns.iter();
        let index = match outputs.position(|output| same_column(&output.expr, expr)) {
            Some(index) => index,
            None => {
                self.writer.push(", ");
                let hidden = dajet_core::query::Output {
                    name: Arc::clone(&name),
                    expr: expr.clone(),
                    data_type: None,
                };
                self.writer.outputs(&[hidden])?;
                self.stable.push(true);
                self.stable.len() - 1
            }
        };
        self.order.push(index);
        self.order_names.push(name);
        Ok(())
    }

    /// An order need not tell rows apart: the columns of the key do.
    fn complete_names(&mut self) -> Result<(), SystemError> {
        let table = Arc::clone(&self.drain.from.table);
        for column in &table.columns {
            let Some(part) = column.single() else {
                continue;
            };
            let in_key = match self.key {
                Key::Rowid(_) => &*part.type_name == ROWID_TYPE,
                Key::Columns(names) => names.contains(&part.name),
            };
            if in_key && !self.order_names.contains(&column.name) {
                let expr = Expr::Column {
                    alias: Arc::clone(&self.drain.from.alias),
                    column: Arc::new(column.clone()),
                };
                self.name_rows_by(Arc::clone(&column.name), &expr)?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<DrainPlan, SystemError> {
        let drain = self.drain;
        let (alias, names) = (self.alias.clone(), self.key.names());
        let head = std::mem::take(&mut self.writer.out.sql);
        let filter = match &drain.filter {
            Some(filter) => {
                self.writer.expr(filter)?;
                std::mem::take(&mut self.writer.out.sql)
            }
            None => "TRUE".to_owned(),
        };
        let by_rowid = matches!(self.key, Key::Rowid(_));
        let (order, ordered_by_rowid, backwards) = self.order_text()?;
        let n = self.writer.out.bindings.len();
        let keys: Vec<_> = names.iter().map(|name| format!("{alias}.{name}")).collect();
        let between =
            |first: usize| format!("{}.{} BETWEEN ?{first} AND ?{}", alias, names[0], first + 1);
        let same_row = |first: usize| {
            let tests = names.iter().enumerate();
            let tests = tests.map(|(i, name)| format!("{alias}.{name} = ?{}", first + i));
            tests.collect::<Vec<_>>().join(" AND ")
        };
        let which = |first| {
            if by_rowid {
                between(first)
            } else {
                same_row(first)
            }
        };
        let table: Arc<str> = table_name(&drain.from.table).into();
        Ok(DrainPlan {
            read: format!("{head} WHERE {filter}{order} LIMIT ?{}", n + 1),
            read_between: ordered_by_rowid.then(|| {
                format!(
                    "{head} WHERE {} AND {filter}{order} LIMIT ?{}",
                    between(n + 1),
                    n + 3
                )
            }),
            read_free: format!(
                "{head} WHERE {filter} AND NOT {}({}){order} LIMIT ?{}",
                functions::HELD,
                keys.join(", "),
                n + 1
            ),
            again: format!("{head} WHERE {} ORDER BY {}", which(n + 1), keys.join(", ")),
            delete: format!("DELETE FROM {table} AS {alias} WHERE {}", which(1)),
            table,
            name: Arc::clone(&drain.from.table.name),
            rendered: Rendered {
                shape: Shape::new(drain.columns.iter().map(|c| Arc::clone(&c.name))),
                ..self.writer.out
            },
            key_width: names.len(),
            by_rowid,
            backwards,
            stable: self.stable,
            visible: drain.columns.len(),
            order: self.order,
            order_shape: Shape::new(self.order_names),
            top: drain.top.clone(),
            strict: drain.strict,
            looked_at: AtomicBool::new(false),
        })
    }

    /// ` ORDER BY …`, ended by the key so that equal rows have an order too where an index can still serve it; whether the
    /// order is that of the rowids; and whether it runs backwards.
    fn order_text(&mut self) -> Result<(String, bool, bool), SystemError> {
        let order = &self.drain.order;
        let keys: Vec<_> = self
            .key
            .names()
            .iter()
            .map(|name| format!("{}.{name}", self.alias))
            .collect();
        let Some(first) = order.first() else {
            // With a filter SQLite may choose the index, and with it the order.
            let by_key = self.drain.filter.is_none();
            let text = if by_key {
                format!(" ORDER BY {}", keys.join(", "))
            } else {
                String::new()
            };
            return Ok((text, by_key && matches!(self.key, Key::Rowid(_)), false));
        };
        let is_rowid = matches!(&first.expr, Expr::Column { column, .. }
            if column.single().is_some_and(|part| &*part.type_name == ROWID_TYPE));
        self.writer.order(order)?;
        let mut text = std::mem::take(&mut self.writer.out.sql);
        let uniform = order.iter().all(|key| key.descending == first.descending);
        if uniform && !is_rowid {
            let down = if first.descending { " DESC" } else { "" };
            for key in keys {
                text.push_str(&format!(", {key}{down}"));
            }
        }
        Ok((
            text,
            is_rowid && matches!(self.key, Key::Rowid(_)),
            first.descending,
        ))
    }
}

/// The type that the catalog gives to a column that is the rowid.
pub const ROWID_TYPE: &str = "INTEGER PRIMARY KEY";

fn same_column(a: &Expr, b: &Expr) -> bool {
    match (a, b) {
        (
            Expr::Column {
                alias: x,
                column: c,
            },
            Expr::Column {
                alias: y,
                column: d,
            },
        ) => x == y && c.name == d.name && c.parts == d.parts,
        _ => false,
    }
}
