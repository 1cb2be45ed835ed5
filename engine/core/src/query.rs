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

    /// What running it attempts, for messages: `cannot insert into table "orders"`.
    pub fn attempted(&self) -> String {
        match &self.body {
            Body::Select(query) => match &query.from {
                Some(from) => format!("cannot read table \"{}\"", from.table.name),
                None => "cannot evaluate a query".into(),
            },
            Body::Insert(insert) => format!("cannot insert into table \"{}\"", insert.table.name),
            Body::Drain(queue) => format!("cannot read queue \"{}\"", queue.from.table.name),
            Body::Sequence(sequence) => sequence.attempted(),
        }
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
    /// `CREATE SEQUENCE` and its like
    Sequence(Sequence),
}

/// A statement about a sequence. Each is one transaction of its own.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// The name of the sequence, as `VECTOR` takes it.
    pub name: Arc<str>,
    /// What happens.
    pub action: SequenceAction,
}

/// What happens with a sequence.
#[derive(Clone, Debug)]
pub enum SequenceAction {
    /// `CREATE SEQUENCE`: nothing if it is there already.
    Create {
        /// `START WITH`
        start: Option<i64>,
        /// `INCREMENT BY`, not 0.
        increment: i64,
        /// `CACHE`, positive.
        cache: i64,
    },
    /// `DROP SEQUENCE`
    Drop,
    /// `APPLY SEQUENCE`: the sequence numbers the rows that are inserted from now on, whatever they bring.
    Apply {
        /// The table.
        table: Arc<Table>,
        /// The physical column that gets the number.
        column: Arc<str>,
        /// Rows that are there already get numbers too, in the order of the column.
        recalculate: bool,
    },
    /// `REVOKE SEQUENCE`: it does so no longer; nothing if it did not.
    Revoke {
        /// The table.
        table: Arc<Table>,
    },
}

impl Sequence {
    fn attempted(&self) -> String {
        let (verb, table) = match &self.action {
            SequenceAction::Create { .. } => ("create", None),
            SequenceAction::Drop => ("drop", None),
            SequenceAction::Apply { table, .. } => ("apply", Some(("to", table))),
            SequenceAction::Revoke { table } => ("revoke", Some(("from", table))),
        };
        let of_table = table.map_or(String::new(), |(word, table)| {
            format!(" {word} table \"{}\"", table.name)
        });
        format!("cannot {verb} sequence \"{}\"{of_table}", self.name)
    }
}

/// A query.
#[derive(Clone, Debug, Default)]
pub struct Select {
    /// `DISTINCT`
    pub distinct: bool,
    /// Most rows to return.
    pub top: Option<Expr>,
    /// Output columns, at least one; names are unique.
    pub columns: Vec<Output>,
    /// The table, or none for a query of one row.
    pub from: Option<From>,
    /// Tables joined to it, in order.
    pub joins: Vec<Join>,
    /// `WHERE`
    pub filter: Option<Expr>,
    /// `GROUP BY`
    pub group: Vec<Expr>,
    /// `HAVING`
    pub having: Option<Expr>,
    /// `UNION`: queries of as many columns, without order of their own. `order` then sorts the whole, each key an
    /// [`Expr::Output`]; `top` limits this query alone.
    pub unions: Vec<Union>,
    /// `ORDER BY`
    pub order: Vec<Order>,
    /// `OFFSET`: rows left out in front of those that `top` counts.
    pub offset: Option<Expr>,
}

/// A table with the alias under which columns name it.
#[derive(Clone, Debug)]
pub struct From {
    /// The table. Where `query` takes its place: the query's output columns, each physical one named as its output is.
    pub table: Arc<Table>,
    /// The alias; unique among the tables of its query.
    pub alias: Arc<str>,
    /// `FROM (SELECT …)`: the query whose rows are read.
    pub query: Option<Arc<Select>>,
}

/// A table that is joined to those in front of it.
#[derive(Clone, Debug)]
pub struct Join {
    /// How.
    pub kind: JoinKind,
    /// The table.
    pub from: From,
    /// `ON`; none for [`JoinKind::Cross`] only.
    pub on: Option<Expr>,
}

/// Kinds of joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// `INNER JOIN`
    Inner,
    /// `LEFT JOIN`
    Left,
    /// `RIGHT JOIN`
    Right,
    /// `FULL JOIN`
    Full,
    /// `CROSS JOIN`
    Cross,
}

/// A query whose rows are added.
#[derive(Clone, Debug)]
pub struct Union {
    /// `UNION ALL`: equal rows stay.
    pub all: bool,
    /// The query.
    pub query: Select,
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
    /// A column of `Insert::query`, or of the whole of a UNION, by its index.
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
    /// `x [NOT] IN (SELECT …)`
    InQuery {
        /// The operand.
        operand: Box<Expr>,
        /// The query, of one column.
        query: Box<Select>,
        /// `NOT IN`
        negated: bool,
    },
    /// `EXISTS (SELECT …)`
    Exists(Box<Select>),
    /// `(SELECT …)`: the only column of the only row, NULL if there is no row.
    Subquery(Box<Select>),
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

impl Binary {
    /// The operator in SQL as PostgreSQL and SQLite write it, with blanks around.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::And => " AND ",
            Self::Or => " OR ",
            Self::Equal => " = ",
            Self::NotEqual => " <> ",
            Self::Less => " < ",
            Self::LessOrEqual => " <= ",
            Self::Greater => " > ",
            Self::GreaterOrEqual => " >= ",
            Self::Like => " LIKE ",
            Self::NotLike => " NOT LIKE ",
            Self::Add => " + ",
            Self::Concat => " || ",
            Self::Subtract => " - ",
            Self::Multiply => " * ",
            Self::Divide => " / ",
            Self::Remainder => " % ",
        }
    }
}

/// Functions that databases evaluate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Function {
    /// Next number of the named sequence.
    Vector(Arc<str>),
    /// A date and time without the fraction of its second.
    WholeSeconds,
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
    /// The uuid of a reference: its [`Part::Reference`], read as uuid; of a uuid itself.
    UuidOf,
    /// `DATALENGTH`: bytes.
    DataLength,
    /// `CHARLENGTH`: characters.
    CharLength,
    /// `SUBSTRING(text, start[, length])`: positions count characters from 1, a start below 1 shortens the result.
    Substring,
    /// `REPLACE(text, find, new)`, literally; an empty `find` changes nothing.
    Replace,
    /// `CONCAT(…)`: text forms, NULL is empty.
    Concat,
    /// `CONCAT_WS(separator, …)`: text forms, NULL is left out.
    ConcatWs,
    /// `UUID1C`: the identity of a reference, or a uuid, in the order in which 1C shows it.
    Uuid1c,
    /// `UUIDDB`: the inverse of `UUID1C`.
    UuidDb,
    /// `COUNT(*)` without argument, `COUNT(x)` with one.
    Count,
    /// `COUNT(DISTINCT x)`
    CountDistinct,
    /// `AVG`, as a decimal.
    Average,
    /// `STRING_AGG(x, separator)`
    StringAgg,
    /// `MAX`
    Max,
    /// `MIN`
    Min,
    /// `SUM`
    Sum,
}
