//! Statements as SQLite's text. Everything that varies is a parameter; names are always quoted.

use std::sync::Arc;

use dajet_core::query::{
    Binary, Body, Drain, Expr, From, Function, Join, JoinKind, Order, Output, Select, Statement,
    Unary,
};
use dajet_core::schema::{ColumnRole, DataType, Table};
use dajet_core::{Shape, SystemError, Value};

use super::aggregates;
use super::functions;
use super::identity::{kept, parted};
use super::inserts::Bulk;
use super::kind::Kind;
use super::texts::{data_type_of, is_computed, is_number_beside, is_written, single_parts};

/// Where a parameter of the text comes from and how it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// Index in the parameter record.
    pub index: usize,
    /// How it is stored.
    pub kind: Kind,
    /// The column that keeps it; `None` for comparisons, where what does not fit is bound as it is.
    pub column: Option<Arc<str>>,
}

/// How an output column is read.
#[derive(Clone, Debug, PartialEq)]
pub enum Reader {
    /// From one column of the result.
    One(Kind),
    /// A reference of several types: type code, then the bytes.
    Entity,
    /// A union: the roles of the columns in their order.
    Union(Vec<ColumnRole>),
}

impl Reader {
    /// Columns of the result that it takes.
    pub fn width(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Entity => 2,
            Self::Union(roles) => roles.len(),
        }
    }
}

/// A statement as text.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// What running it attempts, for messages.
    pub attempted: String,
    /// The text, with `?1`, `?2`, …
    pub sql: String,
    /// What is bound, in order.
    pub bindings: Vec<Binding>,
    /// Shape of the rows.
    pub shape: Arc<Shape>,
    /// How the rows are read.
    pub readers: Vec<Reader>,
    /// The same for many records at once, where it makes no difference.
    pub bulk: Option<Bulk>,
    /// The table that gets one row for each record; `None` if the statement does anything else.
    pub grows: Option<Arc<str>>,
    /// Sequences that it draws from.
    pub sequences: Vec<Arc<str>>,
    /// True if an output differs each time it is evaluated.
    pub volatile: bool,
}

/// Renders a statement that `execute` takes.
///
/// # Errors
/// `Misconfigured` if SQLite cannot express it.
pub fn render(statement: &Statement) -> Result<Rendered, SystemError> {
    let mut writer = Writer::default();
    writer.out.attempted = statement.attempted();
    match &statement.body {
        Body::Select(select) => {
            writer.select(select)?;
            writer.out.shape = Shape::new(select.columns.iter().map(|c| Arc::clone(&c.name)));
        }
        Body::Insert(insert) => writer.insert(insert)?,
        Body::Drain(drain) => {
            writer.drain_for_people(drain)?;
        }
        Body::Sequence(_) => {
            let error = unsupported("a sequence that SQLite itself would keep");
            return Err(error.with_hint(
                "VECTOR draws from the table \"dajet_sequences\"; it needs no CREATE SEQUENCE.",
            ));
        }
    }
    Ok(writer.out)
}

/// Quotes a name.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The quoted name of a table.
pub fn table_name(table: &Table) -> String {
    table
        .physical
        .iter()
        .map(|part| quote(part))
        .collect::<Vec<_>>()
        .join(".")
}

/// Builds the text.
#[derive(Default)]
pub struct Writer {
    /// What has been built.
    pub out: Rendered,
    /// Parameters of the records before this one.
    pub(super) before: usize,
}

impl Writer {
    /// Adds text.
    pub fn push(&mut self, text: &str) {
        self.out.sql.push_str(text);
    }

    fn select(&mut self, select: &Select) -> Result<(), SystemError> {
        if select.unions.is_empty() {
            self.push(distinct(select));
            self.outputs(&select.columns)?;
            return self.rest(select);
        }
        for output in &select.columns {
            let kind = match &output.expr {
                Expr::Column { column, .. } => Kind::of_column(column),
                _ => output_kind(output),
            };
            self.out.readers.push(Reader::One(kind));
        }
        self.inner(select)
    }

    /// A query within another one: every column has one part, and is named as its output.
    fn inner(&mut self, select: &Select) -> Result<(), SystemError> {
        if select.unions.is_empty() {
            return self.simple(select);
        }
        self.member_of_union(select)?;
        for union in &select.unions {
            self.push(if union.all { " UNION ALL " } else { " UNION " });
            self.member_of_union(&union.query)?;
        }
        self.order(&select.order)
    }

    /// A limit of its own needs a query around it.
    fn member_of_union(&mut self, select: &Select) -> Result<(), SystemError> {
        let (order, unions) = (Vec::new(), Vec::new());
        let member = Select {
            order,
            unions,
            ..select.clone()
        };
        if member.top.is_none() {
            return self.simple(&member);
        }
        self.push("SELECT * FROM (");
        self.simple(&member)?;
        self.push(")");
        Ok(())
    }

    fn simple(&mut self, select: &Select) -> Result<(), SystemError> {
        self.push(distinct(select));
        for (index, output) in select.columns.iter().enumerate() {
            self.push(if index > 0 { ", " } else { "" });
            self.told_apart(&output.expr)?;
            self.push(&format!(" AS {}", quote(&output.name)));
        }
        self.rest(select)
    }

    /// A query in brackets.
    fn bracketed(&mut self, select: &Select) -> Result<(), SystemError> {
        self.push("(");
        self.inner(select)?;
        self.push(")");
        Ok(())
    }

    /// A table, or the query in its place.
    fn from(&mut self, from: &From) -> Result<(), SystemError> {
        match &from.query {
            Some(query) => self.bracketed(query)?,
            None => self.push(&table_name(&from.table)),
        }
        self.push(&format!(" AS {}", quote(&from.alias)));
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
            self.expr(on)?;
        }
        Ok(())
    }

    /// `FROM`, `WHERE`, `GROUP BY`, `HAVING`, `ORDER BY`, `LIMIT`, `OFFSET`
    pub(super) fn rest(&mut self, select: &Select) -> Result<(), SystemError> {
        if let Some(from) = &select.from {
            self.push(" FROM ");
            self.from(from)?;
        }
        for join in &select.joins {
            self.join(join)?;
        }
        if let Some(filter) = &select.filter {
            self.push(" WHERE ");
            self.expr(filter)?;
        }
        for (index, key) in select.group.iter().enumerate() {
            self.push(if index == 0 { " GROUP BY " } else { ", " });
            self.sorted(key)?;
        }
        if let Some(having) = &select.having {
            self.push(" HAVING ");
            self.expr(having)?;
        }
        self.order(&select.order)?;
        match (&select.top, &select.offset) {
            (Some(top), _) => self.limit(top)?,
            (None, Some(_)) => self.push(" LIMIT -1"),
            (None, None) => {}
        }
        if let Some(offset) = &select.offset {
            self.wrapped(" OFFSET CAST(", offset, " AS INTEGER)")?;
        }
        Ok(())
    }

    /// `LIMIT`, at least 0, for SQLite takes a negative number for no limit.
    pub fn limit(&mut self, top: &Expr) -> Result<(), SystemError> {
        self.push(" LIMIT max(0, CAST(");
        self.expr(top)?;
        self.push(" AS INTEGER))");
        Ok(())
    }

    /// Output columns with their readers.
    pub fn outputs(&mut self, columns: &[Output]) -> Result<(), SystemError> {
        for (index, output) in columns.iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            let reader = self.output(output)?;
            self.out.readers.push(reader);
        }
        Ok(())
    }

    fn output(&mut self, output: &Output) -> Result<Reader, SystemError> {
        let (alias, column) = match &output.expr {
            Expr::Column { alias, column } => (alias, column),
            expr => {
                self.exact(expr)?;
                return Ok(Reader::One(output_kind(output)));
            }
        };
        if column.parts.len() == 1 {
            self.keyed(&output.expr)?;
            let of_column = Kind::of_column(column);
            return Ok(Reader::One(match output.data_type {
                Some(asked) if asked != column.data_type => Kind::of_type(asked),
                _ => of_column,
            }));
        }
        let mut parts: Vec<_> = column.parts.iter().collect();
        parts.sort_by_key(|part| part.role != ColumnRole::TypeCode);
        let names: Vec<_> = parts
            .iter()
            .map(|part| format!("{}.{}", quote(alias), quote(&part.name)))
            .collect();
        self.push(&names.join(", "));
        Ok(match column.data_type {
            DataType::Entity(_) if parts.len() == 2 => Reader::Entity,
            _ => Reader::Union(parts.iter().map(|part| part.role).collect()),
        })
    }

    /// ` ORDER BY …`
    pub fn order(&mut self, order: &[Order]) -> Result<(), SystemError> {
        let keys = order.iter().flat_map(|key| {
            let single = single_parts(&key.expr).into_iter();
            single.map(|expr| (expr, key.descending))
        });
        for (index, (expr, descending)) in keys.enumerate() {
            self.push(if index == 0 { " ORDER BY " } else { ", " });
            match &expr {
                Expr::Output(output) => self.push(&(output + 1).to_string()),
                expr => self.sorted(expr)?,
            }
            if descending {
                self.push(" DESC");
            }
        }
        Ok(())
    }

    pub(super) fn bind(&mut self, index: usize, kind: Kind, column: Option<Arc<str>>) {
        let binding = Binding {
            index,
            kind,
            column,
        };
        let known = self.out.bindings.iter().position(|b| *b == binding);
        let number = known.unwrap_or_else(|| {
            self.out.bindings.push(binding);
            self.out.bindings.len() - 1
        });
        self.push(&format!("?{}", self.before + number + 1));
    }

    /// An expression.
    pub fn expr(&mut self, expr: &Expr) -> Result<(), SystemError> {
        match expr {
            Expr::Column { alias, column } => match column.single() {
                Some(part) => self.push(&format!("{}.{}", quote(alias), quote(&part.name))),
                None => return Err(unsupported("a column of several parts in an expression")),
            },
            Expr::InQuery {
                operand,
                query,
                negated,
            } => {
                self.push("(");
                match query.columns.first() {
                    Some(output) => self.beside(operand, &output.expr)?,
                    None => self.expr(operand)?,
                }
                self.push(if *negated { " NOT IN " } else { " IN " });
                self.bracketed(query)?;
                self.push(")");
            }
            Expr::Exists(query) => {
                self.push("EXISTS ");
                self.bracketed(query)?;
            }
            Expr::Subquery(query) => self.bracketed(query)?,
            Expr::Output(index) => self.push(&format!("q.c{index}")),
            Expr::Parameter {
                index,
                data_type,
                part,
            } => {
                let whole = data_type.map_or(Kind::Dynamic, Kind::of_type);
                self.bind(*index, Kind::of_part(*part, whole), None);
            }
            Expr::Literal(value) => self.literal(value)?,
            Expr::Unary(Unary::Negate, operand) => {
                let zero = Expr::Literal(Value::Integer(0));
                self.arithmetic(Binary::Subtract, &zero, operand)?;
            }
            Expr::Unary(Unary::Not, operand) => self.wrapped("(NOT ", operand, ")")?,
            Expr::Binary(op, left, right) => self.binary(*op, left, right)?,
            Expr::IsNull { operand, negated } => {
                let test = if *negated {
                    " IS NOT NULL)"
                } else {
                    " IS NULL)"
                };
                self.wrapped("(", operand, test)?;
            }
            Expr::InList {
                operand,
                list,
                negated,
            } => self.in_list(operand, list, *negated)?,
            Expr::Case {
                branches,
                otherwise,
            } => self.case(branches, otherwise.as_deref())?,
            Expr::Call(function, arguments) => self.call(function, arguments)?,
            Expr::Cast(operand, data_type) => self.cast(operand, *data_type)?,
        }
        Ok(())
    }

    pub(super) fn wrapped(
        &mut self,
        before: &str,
        expr: &Expr,
        after: &str,
    ) -> Result<(), SystemError> {
        self.push(before);
        self.expr(expr)?;
        self.push(after);
        Ok(())
    }

    /// An operand beside a column: a parameter is stored as the column keeps its values.
    pub(super) fn beside(&mut self, expr: &Expr, other: &Expr) -> Result<(), SystemError> {
        match (expr, other) {
            (Expr::Literal(Value::Decimal(_)), Expr::Column { column, .. })
                if Kind::keeps_digits(column) =>
            {
                self.exact(expr)
            }
            (Expr::Literal(value @ Value::Decimal(_)), Expr::Column { column, .. })
                if column.data_type == DataType::Any =>
            {
                self.stored_literal(value, Kind::Dynamic, &column.name)
            }
            (Expr::Parameter { index, part, .. }, Expr::Column { column, .. })
                if column.parts.len() == 1 =>
            {
                self.bind(*index, Kind::of_part(*part, Kind::of_column(column)), None);
                Ok(())
            }
            (Expr::Parameter { index, .. }, other) if kept(other).is_some() => {
                self.bind(*index, kept(other).unwrap_or(Kind::Dynamic), None);
                Ok(())
            }
            _ => self.keyed(expr),
        }
    }

    fn binary(&mut self, op: Binary, left: &Expr, right: &Expr) -> Result<(), SystemError> {
        let is_null = |expr: &Expr| matches!(expr, Expr::Literal(Value::Null));
        let operand = if is_null(right) { left } else { right };
        match op {
            Binary::Equal | Binary::NotEqual
                if let Some((alias, column, index)) = parted(left, right) =>
            {
                return self.equal_parts((alias, column), index, op == Binary::NotEqual);
            }
            Binary::Equal if is_null(left) || is_null(right) => {
                return self.wrapped("(", operand, " IS NULL)");
            }
            Binary::NotEqual if is_null(left) || is_null(right) => {
                return self.wrapped("(", operand, " IS NOT NULL)");
            }
            Binary::Equal
            | Binary::NotEqual
            | Binary::Less
            | Binary::LessOrEqual
            | Binary::Greater
            | Binary::GreaterOrEqual
                if is_number_beside(left, right) || is_number_beside(right, left) =>
            {
                return self.compared(op.sign(), left, right);
            }
            Binary::Concat => return self.joined([left, right]),
            Binary::Add
            | Binary::Subtract
            | Binary::Multiply
            | Binary::Divide
            | Binary::Remainder => return self.arithmetic(op, left, right),
            _ => {}
        }
        self.push("(");
        self.beside(left, right)?;
        self.push(op.sign());
        self.beside(right, left)?;
        self.push(")");
        Ok(())
    }

    fn case(
        &mut self,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
    ) -> Result<(), SystemError> {
        let mut results = branches.iter().map(|(_, result)| result).chain(otherwise);
        let exact = results.any(is_written);
        self.push("CASE");
        for (condition, result) in branches {
            self.wrapped(" WHEN ", condition, " THEN ")?;
            self.chosen(result, exact)?;
        }
        if let Some(result) = otherwise {
            self.push(" ELSE ");
            self.chosen(result, exact)?;
        }
        self.push(" END");
        Ok(())
    }

    pub(super) fn literal(&mut self, value: &Value) -> Result<(), SystemError> {
        match value {
            Value::Null => self.push("NULL"),
            Value::Boolean(value) => self.push(if *value { "1" } else { "0" }),
            Value::Integer(number) => self.push(&number.to_string()),
            Value::Decimal(number) => self.push(&number.to_string()),
            other => {
                return Err(SystemError::fault(format!(
                    "a literal of type {} stands in a statement",
                    other.type_name()
                )));
            }
        }
        Ok(())
    }

    fn call(&mut self, function: &Function, arguments: &[Expr]) -> Result<(), SystemError> {
        let name = match function {
            Function::Vector(sequence) => {
                if !self.out.sequences.contains(sequence) {
                    self.out.sequences.push(Arc::clone(sequence));
                }
                let name = sequence.replace('\'', "''");
                self.out.volatile = true;
                self.push(&format!("{}('{name}')", functions::VECTOR));
                return Ok(());
            }
            Function::WholeSeconds => {
                self.push("substr(");
                arguments.iter().try_for_each(|time| self.expr(time))?;
                self.push(", 1, 19)");
                return Ok(());
            }
            Function::Now => {
                self.out.volatile = true;
                self.push("strftime('%Y-%m-%dT%H:%M:%f', 'now', 'localtime')");
                return Ok(());
            }
            Function::Utc => {
                self.out.volatile = true;
                self.push("strftime('%Y-%m-%dT%H:%M:%f', 'now')");
                return Ok(());
            }
            Function::NewUuid => {
                self.out.volatile = true;
                functions::NEW_UUID
            }
            Function::UuidOf => return self.uuid_of(arguments),
            Function::Substring
            | Function::Replace
            | Function::Concat
            | Function::ConcatWs
            | Function::Uuid1c
            | Function::UuidDb => return self.text_function(function, arguments),
            Function::LTrim
            | Function::RTrim
            | Function::Upper
            | Function::Lower
            | Function::CharLength
            | Function::DataLength => return self.of_text(function, arguments),
            Function::Count if arguments.is_empty() => {
                self.push("count(*)");
                return Ok(());
            }
            Function::Count => "count",
            Function::CountDistinct => return self.count_distinct(arguments),
            Function::Average => aggregates::AVERAGE,
            Function::StringAgg => "group_concat",
            Function::Max => "max",
            Function::Min => "min",
            Function::Sum => aggregates::SUM,
        };
        self.push(name);
        self.push("(");
        for (index, argument) in arguments.iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            self.argument(function, argument)?;
        }
        self.push(")");
        Ok(())
    }

    /// Functions of one text.
    fn of_text(&mut self, function: &Function, arguments: &[Expr]) -> Result<(), SystemError> {
        let name = match function {
            Function::LTrim => "ltrim",
            Function::RTrim => "rtrim",
            Function::Upper => functions::UPPER,
            Function::Lower => functions::LOWER,
            Function::DataLength => "octet_length",
            _ => functions::CHARACTERS,
        };
        self.push(name);
        self.push("(");
        for argument in arguments {
            match (function, argument) {
                (Function::DataLength, Expr::Column { column, .. })
                    if matches!(column.data_type, DataType::Binary | DataType::Any) =>
                {
                    self.expr(argument)?;
                }
                _ => self.text_form(argument)?,
            }
        }
        self.push(")");
        Ok(())
    }

    /// One read of a queue, for `explain`.
    fn drain_for_people(&mut self, drain: &Drain) -> Result<(), SystemError> {
        self.push("SELECT ");
        self.outputs(&drain.columns)?;
        self.push(&format!(
            " FROM {} AS {}",
            table_name(&drain.from.table),
            quote(&drain.from.alias)
        ));
        if let Some(filter) = &drain.filter {
            self.push(" WHERE ");
            self.expr(filter)?;
        }
        self.order(&drain.order)?;
        self.limit(&drain.top)?;
        self.push(&format!(
            ";\nBEGIN IMMEDIATE; DELETE FROM {} WHERE these rows, if unchanged; COMMIT",
            table_name(&drain.from.table)
        ));
        Ok(())
    }
}

pub(super) fn distinct(select: &Select) -> &'static str {
    match select.distinct {
        true => "SELECT DISTINCT ",
        false => "SELECT ",
    }
}

/// How an output that is no plain column is read.
fn output_kind(output: &Output) -> Kind {
    let data_type = match output.data_type.or_else(|| data_type_of(&output.expr)) {
        // what is too large for an integer is a decimal
        Some(DataType::Integer) if is_computed(&output.expr) => Some(DataType::Decimal),
        other => other,
    };
    let kind = data_type.map_or(Kind::Dynamic, Kind::of_type);
    match &output.expr {
        Expr::Call(Function::NewUuid, _) => Kind::Uuid { blob: false },
        Expr::Call(Function::Now | Function::Utc | Function::WholeSeconds, _) => Kind::DateTime,
        Expr::Call(Function::UuidOf | Function::Uuid1c | Function::UuidDb, _) => {
            Kind::Uuid { blob: true }
        }
        Expr::Call(Function::Max | Function::Min, arguments) => match arguments.as_slice() {
            [Expr::Column { column, .. }] if column.parts.len() == 1 => Kind::of_column(column),
            _ => kind,
        },
        _ => kind,
    }
}

pub(super) fn unsupported(what: &str) -> SystemError {
    SystemError::misconfigured("E_UNSUPPORTED", format!("sqlite cannot express {what}"))
}
