//! Database statements with names in place of columns: what lowering makes of them and binding turns into
//! [`dajet_core::query`]. Sub-expressions that the machine evaluates are parameters already.

use std::sync::Arc;

use dajet_core::query::{Binary, Function, JoinKind, Unary};
use dajet_core::{DataType, Span, Value};

use crate::ast::{Name, Sequence};

/// A statement.
#[derive(Debug)]
pub(crate) enum Body {
    Select(Select),
    Insert(Insert),
    Drain(Drain),
    Sequence(Sequence),
}

/// A query.
#[derive(Clone, Debug)]
pub(crate) struct Select {
    pub distinct: bool,
    pub top: Option<Expr>,
    pub columns: Vec<Column>,
    pub from: Option<Table>,
    pub joins: Vec<Join>,
    pub filter: Option<Expr>,
    pub group: Vec<Expr>,
    pub having: Option<Expr>,
    /// `UNION [ALL]`: true for ALL.
    pub unions: Vec<(bool, Select)>,
    /// The order of the whole.
    pub order: Vec<Order>,
    pub offset: Option<Expr>,
    pub span: Span,
}

/// `JOIN`
#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub kind: JoinKind,
    pub table: Table,
    pub on: Option<Expr>,
}

/// `INSERT`
#[derive(Debug)]
pub(crate) struct Insert {
    pub table: Name,
    pub select: Select,
    /// True if the query reads the table too.
    pub reads_itself: bool,
}

/// `CONSUME … FROM table`
#[derive(Debug)]
pub(crate) struct Drain {
    pub columns: Vec<Column>,
    pub from: Table,
    pub filter: Option<Expr>,
    pub order: Vec<Order>,
    pub top: Expr,
    pub strict: bool,
}

/// A table, or a query in its place, with its alias.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub name: Name,
    pub alias: Option<Name>,
    pub query: Option<Box<Select>>,
}

/// An output column.
#[derive(Clone, Debug)]
pub(crate) enum Column {
    /// `*`
    Star(Span),
    /// A named expression.
    Named { name: Name, expr: Expr },
}

/// A sort key.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub expr: Expr,
    pub descending: bool,
}

/// An expression that the database evaluates.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

/// The kinds of expressions.
#[derive(Clone, Debug)]
pub(crate) enum ExprKind {
    /// A column, perhaps with the alias or the table in front.
    Column(Name),
    /// A value that the machine computes.
    Parameter(usize),
    /// A constant.
    Literal(Value),
    Unary(Unary, Box<Expr>),
    Binary(Binary, Box<(Expr, Expr)>),
    IsNull(Box<Expr>, bool),
    InList(Box<Expr>, Vec<Expr>, bool),
    InQuery(Box<Expr>, Box<Select>, bool),
    Exists(Box<Select>),
    Subquery(Box<Select>),
    Case(Vec<(Expr, Expr)>, Option<Box<Expr>>),
    Call(Function, Vec<Expr>),
    /// `TYPEOF(column)`
    TypeOf(Box<Expr>),
    Cast(Box<Expr>, DataType),
}

impl Table {
    /// The name under which columns are qualified: the alias, else the last part of the table's name.
    pub(crate) fn alias(&self) -> Arc<str> {
        match &self.alias {
            Some(alias) => Arc::clone(&alias.text),
            None => self.name.last().into(),
        }
    }
}

impl Select {
    /// Where a column stands of so many; where `*` is among them, the query.
    pub(crate) fn span_of(&self, index: usize, count: usize) -> Span {
        match self.columns.get(index) {
            Some(Column::Named { expr, .. }) if self.columns.len() == count => expr.span,
            _ => self.span,
        }
    }
}

/// The last part of a dotted name.
pub(crate) fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
