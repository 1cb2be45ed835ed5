//! The syntax tree: what the author wrote, every node with its span. Made by the parser, read by checks and lowering only.

use std::num::NonZeroU32;
use std::sync::Arc;

use dajet_core::query::JoinKind;
use dajet_core::{Span, Value};

/// A whole script.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The statements of the root.
    pub statements: Block,
    /// True if at least one `USE` stands in the file.
    pub has_use: bool,
}

/// A list of statements; a scope of its own.
pub type Block = Vec<Statement>;

/// A word or dotted name; the text is without brackets and with single dots: `РегистрСведений.Цены`.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    /// The name.
    pub text: Arc<str>,
    /// Its place.
    pub span: Span,
    /// Where the dot stands in front of its last part; a dot within brackets is none.
    pub dot: Option<NonZeroU32>,
}

impl Name {
    /// A name of one part.
    pub(crate) fn new(text: impl Into<Arc<str>>, span: Span) -> Self {
        let (text, dot) = (text.into(), None);
        Self { text, span, dot }
    }

    /// A column behind the name of its table.
    pub(crate) fn qualified(table: &str, column: &str, span: Span) -> Self {
        Self {
            text: format!("{table}.{column}").into(),
            span,
            dot: NonZeroU32::new(table.len() as u32),
        }
    }

    /// The last part.
    pub(crate) fn last(&self) -> &str {
        self.dot
            .map_or(&*self.text, |dot| &self.text[dot.get() as usize + 1..])
    }

    /// What stands in front of the last part.
    pub(crate) fn qualifier(&self) -> Option<&str> {
        self.dot.map(|dot| &self.text[..dot.get() as usize])
    }
}

/// A path that begins with a variable: `@m`, `@m.Тело`, `@m.items[0].x`, `@r.Value[name='x'].y`.
#[derive(Clone, Debug)]
pub struct Path {
    /// The variable, its name without `@`.
    pub variable: Name,
    /// The steps behind it.
    pub steps: Vec<PathStep>,
    /// The whole path.
    pub span: Span,
}

/// A step of a path.
#[derive(Clone, Debug)]
pub enum PathStep {
    /// `.name`
    Member(Name),
    /// `[0]`
    Index(u64, Span),
    /// `[name=value]`: the first element whose member equals the value.
    Selector {
        /// The member.
        member: Name,
        /// The value: literal or path.
        value: Box<Expr>,
        /// The selector with its brackets.
        span: Span,
    },
}

/// A string used as an address, split at its templates.
#[derive(Clone, Debug)]
pub struct Template {
    /// The parts in order.
    pub parts: Vec<TemplatePart>,
    /// The literal with its quotes.
    pub span: Span,
}

/// A part of a template.
#[derive(Clone, Debug)]
pub enum TemplatePart {
    /// Fixed text.
    Text(String),
    /// `{@x.y}`, `{@x:url}`
    Path {
        /// What is inserted.
        path: Path,
        /// `:url`: percent-encoded.
        encode: bool,
    },
    /// `{$NAME}`
    Environment(Name),
}

/// A statement.
#[derive(Clone, Debug)]
pub struct Statement {
    /// What it is.
    pub kind: StatementKind,
    /// The whole statement.
    pub span: Span,
    /// The first keyword, for messages.
    pub keyword: Span,
}

/// A statement about a sequence.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// The sequence.
    pub name: Name,
    /// What happens.
    pub action: SequenceAction,
}

/// What happens with a sequence.
#[derive(Clone, Debug)]
pub enum SequenceAction {
    /// `CREATE SEQUENCE name [AS type] [START WITH n] [INCREMENT BY n] [CACHE n]`
    Create {
        /// `START WITH`
        start: Option<i64>,
        /// `INCREMENT BY`
        increment: i64,
        /// `CACHE`
        cache: i64,
    },
    /// `DROP SEQUENCE name`
    Drop,
    /// `APPLY SEQUENCE name ON table(column) [RECALCULATE]`
    Apply {
        /// The table.
        table: Name,
        /// The column.
        column: Name,
        /// `RECALCULATE`
        recalculate: bool,
    },
    /// `REVOKE SEQUENCE name ON table`
    Revoke {
        /// The table.
        table: Name,
    },
}

/// The kinds of statements that are built; others are [`StatementKind::Unsupported`].
#[derive(Clone, Debug)]
pub enum StatementKind {
    /// `DECLARE @x type [OF name] [= value]`
    Declare {
        /// The variable.
        variable: Name,
        /// Its type.
        type_name: TypeName,
        /// `OF`
        of: Option<Name>,
        /// The initialiser.
        value: Option<Initializer>,
    },
    /// `SET @x.y = value`
    Set {
        /// What is assigned.
        path: Path,
        /// The value.
        value: Initializer,
    },
    /// `USE 'address' … END`
    Use {
        /// The address.
        address: Template,
        /// The body.
        body: Block,
        /// False if closed by the end of the file (old dialect).
        closed: bool,
    },
    /// `IF … THEN … ELSE … END`
    If {
        /// The condition.
        condition: Expr,
        /// `THEN`
        then: Block,
        /// `ELSE`
        otherwise: Block,
    },
    /// `CASE WHEN … THEN … ELSE … END` as a statement
    Case {
        /// The conditions with their blocks.
        branches: Vec<(Expr, Block)>,
        /// `ELSE`
        otherwise: Block,
    },
    /// `MODIFY @t FROM @s DELETE names SELECT name = expr`
    Modify {
        /// The object.
        target: Path,
        /// `FROM`: what it becomes a copy of.
        from: Option<Path>,
        /// `DELETE`: members to remove.
        delete: Vec<Name>,
        /// `SELECT`: members to set.
        select: Vec<OptionItem>,
    },
    /// `WHILE … END`
    While {
        /// The condition.
        condition: Expr,
        /// The body.
        body: Block,
    },
    /// `FOR [EACH] @x IN @array [MAXDOP n] … END`
    For {
        /// The loop variable.
        variable: Name,
        /// The array.
        collection: Path,
        /// `MAXDOP`; none means one after another.
        max_parallel: Option<MaxParallel>,
        /// The body.
        body: Block,
        /// False if closed by the end of the file (old dialect).
        closed: bool,
    },
    /// `BREAK`
    Break,
    /// `CONTINUE`
    Continue,
    /// `RETURN [expr]`
    Return(Option<Expr>),
    /// `THROW expr`
    Throw(Expr),
    /// `SLEEP expr`
    Sleep(Expr),
    /// `PRINT expr`
    Print(Expr),
    /// `SELECT …`
    Select(Box<Query>),
    /// `CONSUME … FROM table`
    ConsumeTable(Box<Consume>),
    /// `CONSUME 'uri' WITH … INTO @x`
    ConsumeBroker {
        /// The address.
        address: Template,
        /// `WITH`
        with: Vec<OptionItem>,
        /// `INTO @x`; its absence is reported by the parser.
        into: Option<Path>,
    },
    /// `PRODUCE 'uri' WITH … SELECT …`
    Produce {
        /// The address.
        address: Template,
        /// `WITH`: options of the connection.
        with: Vec<OptionItem>,
        /// `SELECT`: options of the message.
        select: Vec<OptionItem>,
    },
    /// `INSERT [INTO] table SELECT …`
    Insert {
        /// The target.
        table: Name,
        /// The rows.
        query: Box<Query>,
    },
    /// A construct of the language that is not built yet; already reported by the parser, its text skipped.
    Unsupported,
    /// `CREATE | DROP | APPLY | REVOKE SEQUENCE`
    Sequence(Box<Sequence>),
}

/// `MAXDOP …`
#[derive(Clone, Debug)]
pub enum MaxParallel {
    /// A number: 0 = cores, negative = cores − 1.
    Number(i64),
    /// A variable.
    Path(Path),
    /// `UNBOUNDED`
    Unbounded,
}

/// What stands behind `=` in DECLARE and SET.
#[derive(Clone, Debug)]
pub enum Initializer {
    /// An expression.
    Expr(Expr),
    /// `SELECT …`
    Query(Box<Query>),
}

/// A type as written.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeName {
    /// The type.
    pub kind: TypeKind,
    /// Size or precision in brackets.
    pub size: Option<u32>,
    /// Scale in brackets.
    pub scale: Option<u32>,
    /// Its place.
    pub span: Span,
}

/// The types of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// `boolean`
    Boolean,
    /// `number`
    Number,
    /// `integer`
    Integer,
    /// `decimal`
    Decimal,
    /// `datetime`
    DateTime,
    /// `string`
    String,
    /// `binary`
    Binary,
    /// `uuid`
    Uuid,
    /// `entity`
    Entity,
    /// `union`
    Union,
    /// `object`
    Object,
    /// `array`
    Array,
    /// `Справочник.Номенклатура`
    Named(Arc<str>),
}

/// `SELECT …`
#[derive(Clone, Debug)]
pub struct Query {
    /// `DISTINCT`
    pub distinct: bool,
    /// `TOP`
    pub top: Option<Expr>,
    /// The columns.
    pub columns: Vec<ColumnItem>,
    /// `INTO @x`
    pub into: Option<Path>,
    /// `FROM`
    pub from: Option<FromItem>,
    /// `JOIN`s, in order.
    pub joins: Vec<JoinItem>,
    /// `APPEND`s, in order.
    pub appends: Vec<AppendItem>,
    /// `WHERE`
    pub filter: Option<Expr>,
    /// `GROUP BY`
    pub group: Vec<Expr>,
    /// `HAVING`
    pub having: Option<Expr>,
    /// `UNION [ALL]`: true for ALL. The last of them holds the ORDER BY of the whole.
    pub unions: Vec<(bool, Query)>,
    /// `ORDER BY`
    pub order: Vec<OrderItem>,
    /// `OFFSET`
    pub offset: Option<Expr>,
    /// `FETCH`
    pub fetch: Option<Expr>,
    /// The whole query.
    pub span: Span,
}

/// A column of a SELECT list.
#[derive(Clone, Debug)]
pub enum ColumnItem {
    /// `*`
    Star(Span),
    /// An expression, perhaps with a name.
    Expr {
        /// The name given by `name = expr` or `expr AS name`.
        alias: Option<Name>,
        /// The expression.
        expr: Expr,
    },
}

/// A table in FROM.
#[derive(Clone, Debug)]
pub struct FromItem {
    /// The table; without text where a query takes its place.
    pub table: Name,
    /// Its alias.
    pub alias: Option<Name>,
    /// `(SELECT …)`
    pub query: Option<Box<Query>>,
}

/// `JOIN`
#[derive(Clone, Debug)]
pub struct JoinItem {
    /// How.
    pub kind: JoinKind,
    /// The table.
    pub from: FromItem,
    /// `ON`
    pub on: Option<Expr>,
}

/// `APPEND [array|object] (SELECT …) AS name`
#[derive(Clone, Debug)]
pub struct AppendItem {
    /// `object`: the first row only.
    pub single: bool,
    /// The query.
    pub query: Query,
    /// The member.
    pub name: Name,
}

/// A sort key.
#[derive(Clone, Debug)]
pub struct OrderItem {
    /// What to sort by.
    pub expr: Expr,
    /// `DESC`
    pub descending: bool,
}

/// `CONSUME TOP n … FROM table`
#[derive(Clone, Debug)]
pub struct Consume {
    /// `TOP`; its absence is reported by the parser.
    pub top: Option<Expr>,
    /// `WITH STRICT ORDER`
    pub strict: bool,
    /// The columns.
    pub columns: Vec<ColumnItem>,
    /// `INTO @x`; its absence is reported by the parser.
    pub into: Option<Path>,
    /// The queue table.
    pub from: FromItem,
    /// `WHERE`
    pub filter: Option<Expr>,
    /// `ORDER BY`
    pub order: Vec<OrderItem>,
}

/// An item of an option list: `Name = expr`.
#[derive(Clone, Debug)]
pub struct OptionItem {
    /// The name as written: `Acks`, `max.in.flight`, `Content-Type`.
    pub name: Name,
    /// The value.
    pub value: Expr,
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of expressions.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A literal. Quoted text stays [`Value::Text`]; it is converted where the context asks for another type.
    Literal(Value),
    /// A variable or a member of it.
    Path(Path),
    /// A column: `Код`, `Данные.Код`; or, where the context knows it, another dotted name.
    Column(Name),
    /// `-x`, `+x`, `NOT x`
    Unary(UnaryOp, Box<Expr>),
    /// `a op b`
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `x IS [NOT] NULL`
    IsNull {
        /// The operand.
        operand: Box<Expr>,
        /// `NOT`
        negated: bool,
    },
    /// `x IS [NOT] type`
    IsType {
        /// The operand.
        operand: Box<Expr>,
        /// The type.
        type_name: TypeName,
        /// `NOT`
        negated: bool,
    },
    /// `x [NOT] IN (…)`
    InList {
        /// The operand.
        operand: Box<Expr>,
        /// The list.
        list: Vec<Expr>,
        /// `NOT`
        negated: bool,
    },
    /// `x [NOT] LIKE pattern`
    Like {
        /// The operand.
        operand: Box<Expr>,
        /// The pattern.
        pattern: Box<Expr>,
        /// `NOT`
        negated: bool,
    },
    /// `x [NOT] BETWEEN a AND b`
    Between {
        /// The operand.
        operand: Box<Expr>,
        /// The lower bound.
        low: Box<Expr>,
        /// The upper bound.
        high: Box<Expr>,
        /// `NOT`
        negated: bool,
    },
    /// `x [NOT] IN (SELECT …)`
    InQuery {
        /// The operand.
        operand: Box<Expr>,
        /// The query.
        query: Box<Query>,
        /// `NOT`
        negated: bool,
    },
    /// `EXISTS (SELECT …)`
    Exists(Box<Query>),
    /// `(SELECT …)`
    Subquery(Box<Query>),
    /// `DISTINCT x` within a function.
    Distinct(Box<Expr>),
    /// `CASE WHEN … THEN … [ELSE …] END`
    Case {
        /// The branches.
        branches: Vec<(Expr, Expr)>,
        /// `ELSE`
        otherwise: Option<Box<Expr>>,
    },
    /// `NAME(args)`; `COUNT(*)` has no argument and `star`.
    Call {
        /// The function as written.
        name: Name,
        /// The arguments.
        args: Vec<Expr>,
        /// `(*)`
        star: bool,
    },
    /// `CAST(x AS type)`
    Cast {
        /// The operand.
        operand: Box<Expr>,
        /// The type.
        type_name: TypeName,
    },
    /// What could not be parsed, already reported.
    Error,
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`
    Minus,
    /// `+`
    Plus,
    /// `NOT`
    Not,
}

/// Operators with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `OR`
    Or,
    /// `AND`
    And,
    /// `=`
    Equal,
    /// `<>`, `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}
