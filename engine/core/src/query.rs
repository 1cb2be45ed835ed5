//! Dialect-free statements: names are bound to columns, variables are parameters. Databases receive these, never syntax.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::schema::{Column, DataType, Table};
use crate::value::Value;

/// A bound statement. Its `id` is unique in the process, so that a session may keep the prepared form by it.
#[derive(Debug)]
pub struct Statement {
    /// Unique in the process.
    pub id: u64,
    /// Number of parameters; a parameter record has exactly so many values.
    pub parameters: usize,
    /// What to do.
    pub body: Body,
}

impl Statement {
    /// Makes a statement with a fresh id.
    pub fn new(parameters: usize, body: Body) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            parameters,
            body,
        })
    }

    /// True if the statement changes something.
    pub fn writes(&self) -> bool {
        !matches!(self.body, Body::Select(_))
    }
}

/// The kinds of statements.
#[derive(Debug)]
pub enum Body {
    /// `SELECT`
    Select(Select),
    /// `INSERT`
    Insert(Insert),
    /// `CONSUME … FROM table`: only ever given to `Service::source`.
    Drain(Drain),
}

/// A query.
#[derive(Clone, Debug)]
pub struct Select {
    /// `DISTINCT`
    pub distinct: bool,
    /// Most rows to return.
    pub top: Option<Expr>,
    /// Output columns, at least one; names are unique.
    pub columns: Vec<Output>,
    /// The table, or none for a query of one row.
    pub from: Option<From>,
    /// `WHERE`
    pub filter: Option<Expr>,
    /// `ORDER BY`
    pub order: Vec<Order>,
}

/// A table with the alias under which columns name it.
#[derive(Clone, Debug)]
pub struct From {
    /// The table.
    pub table: Arc<Table>,
    /// The alias; unique in the statement.
    pub alias: Arc<str>,
}

/// An output column.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its name in the result's shape.
    pub name: Arc<str>,
    /// What it holds.
    pub expr: Expr,
    /// Its logical type where it is known; the driver's own otherwise.
    pub data_type: Option<DataType>,
}

/// A sort key.
#[derive(Clone, Debug)]
pub struct Order {
    /// What to sort by.
    pub expr: Expr,
    /// `DESC`
    pub descending: bool,
}

/// An insertion. Given many parameter records, it inserts in their order, and VECTOR numbers follow that order.
#[derive(Clone, Debug)]
pub struct Insert {
    /// The target.
    pub table: Arc<Table>,
    /// Target columns with their values; columns that the script does not name and the catalog says are to be filled
    /// with the empty value of their type are here too. Evaluated over `query` if there is one.
    pub columns: Vec<(Arc<Column>, Expr)>,
    /// `INSERT … SELECT … FROM`: the rows to insert; its output columns are what `columns` name as [`Expr::Output`].
    pub query: Option<Select>,
}

/// A destructive read in order (`CONSUME`): the rows are deleted within the claim that read them.
#[derive(Clone, Debug)]
pub struct Drain {
    /// The queue table.
    pub from: From,
    /// Output columns in the order of the record's shape.
    pub columns: Vec<Output>,
    /// `WHERE`
    pub filter: Option<Expr>,
    /// `ORDER BY`
    pub order: Vec<Order>,
    /// `TOP`: a constant or a parameter.
    pub top: Expr,
    /// `WITH STRICT ORDER`: wait for locked rows, never skip them.
    pub strict: bool,
}

/// An expression that the database evaluates.
#[derive(Clone, Debug)]
pub enum Expr {
    /// A column of the table with this alias.
    Column {
        /// Alias of its table.
        alias: Arc<str>,
        /// The column.
        column: Arc<Column>,
    },
    /// A column of `Insert::query`, by its index.
    Output(usize),
    /// A parameter, by its index, with the logical type that the place asks for, if it is known.
    Parameter {
        /// Index in the parameter record.
        index: usize,
        /// The type of the column that it is compared with or stored in.
        data_type: Option<DataType>,
        /// Which part of the value is meant.
        part: Part,
    },
    /// A constant that is safe to write into the text: integer, decimal, boolean or NULL. Text is always a parameter.
    Literal(Value),
    /// `-x`, `NOT x`
    Unary(Unary, Box<Expr>),
    /// `a op b`
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// `x IS [NOT] NULL`
    IsNull {
        /// The operand.
        operand: Box<Expr>,
        /// `IS NOT NULL`
        negated: bool,
    },
    /// `x [NOT] IN (…)`
    InList {
        /// The operand.
        operand: Box<Expr>,
        /// The list, not empty.
        list: Vec<Expr>,
        /// `NOT IN`
        negated: bool,
    },
    /// `CASE WHEN … THEN … ELSE … END`
    Case {
        /// Conditions with their results, at least one.
        branches: Vec<(Expr, Expr)>,
        /// `ELSE`
        otherwise: Option<Box<Expr>>,
    },
    /// A function of the language, evaluated by the database.
    Call(Function, Vec<Expr>),
    /// `CAST(x AS type)`
    Cast(Box<Expr>, DataType),
}

/// Which part of a parameter's value is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The value itself.
    Whole,
    /// Of an entity: its type code as 4 bytes, big-endian.
    TypeCode,
    /// Of an entity or uuid: the 16 bytes of a reference column.
    Reference,
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    /// `-`
    Negate,
    /// `NOT`
    Not,
}

/// Operators with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `AND`
    And,
    /// `OR`
    Or,
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `LIKE`
    Like,
    /// `NOT LIKE`
    NotLike,
    /// `+` of numbers
    Add,
    /// `+` of texts
    Concat,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

/// Functions that databases evaluate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Function {
    /// Next number of the named sequence.
    Vector(Arc<str>),
    /// Local time of the server.
    Now,
    /// UTC of the server.
    Utc,
    /// A random uuid for each row.
    NewUuid,
    /// `LTRIM`
    LTrim,
    /// `RTRIM`
    RTrim,
    /// `UPPER`
    Upper,
    /// `LOWER`
    Lower,
    /// The uuid of a reference column: its [`Part::Reference`], read as uuid.
    UuidOf,
    /// `DATALENGTH`: bytes.
    DataLength,
    /// `CHARLENGTH`: characters.
    CharLength,
    /// `COUNT(*)` without argument, `COUNT(x)` with one.
    Count,
    /// `MAX`
    Max,
    /// `MIN`
    Min,
    /// `SUM`
    Sum,
}
