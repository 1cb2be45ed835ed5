//! The code of a plan: operations with a program counter, and expressions that the machine evaluates. Names are slots here.

use std::collections::BTreeMap;
use std::sync::Arc;

use dajet_core::{Span, Value};

use crate::ast::{BinaryOp, TypeKind, UnaryOp};
use crate::functions::Function;
use crate::plan::{NameId, PipelineId, ProgramId, StatementId};

/// Index of an operation.
pub(crate) type Counter = usize;

/// Number of a variable. All the programs of a plan share one numbering.
pub(crate) type Slot = usize;

/// Number of a `USE` of the plan: where its resolved address is kept.
pub(crate) type Place = usize;

/// A declared type of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Boolean,
    Number,
    Integer,
    Decimal,
    DateTime,
    String,
    Binary,
    Uuid,
    Entity,
    Union,
    Object,
    Array,
}

impl Type {
    /// The type of a written one; `None` for names of metadata objects.
    pub(crate) fn of(kind: &TypeKind) -> Option<Self> {
        Some(match kind {
            TypeKind::Boolean => Type::Boolean,
            TypeKind::Number => Type::Number,
            TypeKind::Integer => Type::Integer,
            TypeKind::Decimal => Type::Decimal,
            TypeKind::DateTime => Type::DateTime,
            TypeKind::String => Type::String,
            TypeKind::Binary => Type::Binary,
            TypeKind::Uuid => Type::Uuid,
            TypeKind::Entity => Type::Entity,
            TypeKind::Union => Type::Union,
            TypeKind::Object => Type::Object,
            TypeKind::Array => Type::Array,
            TypeKind::Named(_) => return None,
        })
    }

    /// The word as scripts write it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Type::Boolean => "boolean",
            Type::Number => "number",
            Type::Integer => "integer",
            Type::Decimal => "decimal",
            Type::DateTime => "datetime",
            Type::String => "string",
            Type::Binary => "binary",
            Type::Uuid => "uuid",
            Type::Entity => "entity",
            Type::Union => "union",
            Type::Object => "object",
            Type::Array => "array",
        }
    }
}

/// What a program is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The script itself.
    Root,
    /// The tail of a source: once for each record.
    Body,
    /// One iteration of a parallel loop.
    Iteration,
}

/// Operations that a machine runs.
#[derive(Debug)]
pub(crate) struct Program {
    /// What it is run for.
    pub purpose: Purpose,
    /// The operations; the last one is [`Op::Done`].
    pub ops: Vec<Op>,
    /// Variables that are declared in it.
    pub locals: Vec<Slot>,
    /// For each slot of the plan: true if it is one of `locals`.
    pub is_local: Vec<bool>,
    /// The variable that gets the record or the loop's item.
    pub record: Option<Slot>,
    /// How the look-ups of a batch are joined, if they are.
    pub joining: Option<Joining>,
    /// For each operation: true if it changes objects or arrays and may have to be begun again, when the metadata has been asked.
    pub repeats: Vec<bool>,
}

impl Program {
    /// True if the operation waits for the records before.
    pub(crate) fn waits_at(&self, at: Counter) -> bool {
        self.joining
            .as_ref()
            .is_some_and(|joining| joining.ordered[at])
    }
}

/// How the look-ups of a batch are joined: a record that has come to one is set aside, and the next one runs.
#[derive(Debug)]
pub(crate) struct Joining {
    /// Variables whose values belong to a record while it is set aside.
    pub own: Vec<Slot>,
    /// `USE` blocks whose addresses do.
    pub places: Vec<Place>,
    /// For each operation: true if the records before must be finished first.
    pub ordered: Vec<bool>,
}

/// An operation.
#[derive(Debug)]
pub(crate) enum Op {
    /// Gives variables the defaults of their types.
    Fresh(Vec<(Slot, Type)>),
    /// `SET @x = …`, `DECLARE @x … = …`
    Assign {
        slot: Slot,
        declared: Type,
        value: Expr,
    },
    /// `SET @x.y = …`
    AssignMember {
        slot: Slot,
        steps: Box<[PathStep]>,
        value: Expr,
        span: Span,
    },
    /// A root variable with an initialiser: a parameter of the run takes its place and jumps.
    Override {
        slot: Slot,
        declared: Type,
        name: Arc<str>,
        span: Span,
        target: Counter,
    },
    /// Goes on elsewhere.
    Jump(Counter),
    /// Goes on elsewhere if the condition is false.
    JumpUnless(Expr, Counter),
    /// `USE`: resolves its address.
    Use(Place),
    /// `FOR`: takes a snapshot of the array.
    ForBegin { iterator: usize, collection: Expr },
    /// The next item, or the end.
    ForNext {
        iterator: usize,
        slot: Slot,
        declared: Type,
        span: Span,
        end: Counter,
    },
    /// `FOR … MAXDOP n`
    RunLoop {
        collection: Expr,
        slot: Slot,
        declared: Type,
        program: ProgramId,
        parallel: Parallel,
        span: Span,
    },
    /// `CONSUME`: runs the pipeline, then goes on behind the block.
    RunPipeline { pipeline: PipelineId, end: Counter },
    /// A statement whose answer is awaited.
    Call {
        statement: StatementId,
        into: Option<Target>,
    },
    /// `APPEND`: a SELECT whose rows become a member of the object in a variable.
    Append {
        statement: StatementId,
        slot: Slot,
        name: Arc<str>,
        /// The first row, in place of all of them.
        single: bool,
    },
    /// An `INSERT` that is gathered.
    EmitRow(StatementId),
    /// A `PRODUCE`.
    EmitMessage(StatementId),
    /// Delivery of what was emitted outside of sources.
    Flush,
    /// `PRINT`
    Print(Expr),
    /// `SLEEP`
    Sleep(Expr),
    /// `THROW`
    Throw(Expr),
    /// `RETURN`
    Return(Option<Expr>),
    /// BREAK out of a source or of a parallel loop.
    Leave,
    /// End of the record, iteration or script.
    Done,
}

/// `MAXDOP`
#[derive(Debug)]
pub(crate) enum Parallel {
    /// A number that is computed.
    Number(Expr),
    /// All at once.
    Unbounded,
}

/// Where an answer goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// The variable.
    pub slot: Slot,
    /// Its type decides what is taken: first value, first row or all rows.
    pub declared: Type,
    /// The variable in the text.
    pub span: Span,
}

/// An expression that the machine evaluates.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

/// The kinds of expressions.
#[derive(Clone, Debug)]
pub(crate) enum ExprKind {
    /// A scalar.
    Constant(Value),
    /// `@x`
    Slot(Slot),
    /// `@x.name`, the usual case of a path.
    Member {
        slot: Slot,
        name: Arc<str>,
        site: usize,
    },
    /// `@x.a[0].b`
    Path { slot: Slot, steps: Box<[PathStep]> },
    /// `-x`, `NOT x`
    Unary(UnaryOp, Box<Expr>),
    /// `a op b`; `text` says that a `+` concatenates because one side is declared as text.
    Binary {
        op: BinaryOp,
        sides: Box<(Expr, Expr)>,
        text: bool,
    },
    /// `x IS [NOT] NULL`
    IsNull(Box<Expr>, bool),
    /// `x IS [NOT] type`
    IsType(Box<Expr>, Type, bool),
    /// `x [NOT] IN (…)`
    InList(Box<Expr>, Box<[Expr]>, bool),
    /// `x [NOT] LIKE pattern`
    Like(Box<(Expr, Expr)>, bool),
    /// `x [NOT] BETWEEN a AND b`
    Between(Box<(Expr, Expr, Expr)>, bool),
    /// `CASE`
    Case(Box<[(Expr, Expr)]>, Option<Box<Expr>>),
    /// A function.
    Call(&'static Function, Box<[Expr]>),
    /// What only the metadata of a database can tell.
    Ask {
        asked: Asked,
        args: Box<[Expr]>,
        /// The USE around it.
        place: Place,
        /// The name that the script writes.
        name: Option<NameId>,
    },
    /// `CAST(x AS type(size, scale))`
    Cast(Box<Expr>, CastTarget),
    /// `SELECT a = …, b = …`: a new object.
    Object(Box<[(Arc<str>, Expr)]>),
    /// `SELECT …` into an array: an array of the one object.
    List(Box<Expr>),
    /// A deep copy.
    Copy(Box<Expr>),
    /// `MODIFY`: the object itself, changed; a new one for NULL.
    Modify {
        object: Box<Expr>,
        delete: Box<[Arc<str>]>,
        members: Box<[(Arc<str>, Expr)]>,
    },
}

/// What is asked of the metadata.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// The value that a name stands for: `Перечисление.СтавкиНДС.НДС10`.
    Value(Arc<str>),
    /// `TYPEOF(name)`; `sure` if a text is a name and no value of its own.
    TypeOf { sure: bool },
    /// `ENTITY(name[, uuid])`
    Entity,
    /// `NAMEOF(code | reference)`
    NameOf,
    /// `METADATA(name)`
    Metadata,
    /// `x IS [NOT] Справочник.Номенклатура`
    Is { name: Arc<str>, negated: bool },
}

impl ExprKind {
    /// True if it makes a new object or array, or is a scalar.
    pub(crate) fn is_fresh(&self) -> bool {
        matches!(
            self,
            ExprKind::Constant(_) | ExprKind::Object(_) | ExprKind::List(_)
        )
    }
}

/// What CAST makes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CastTarget {
    pub to: Type,
    pub size: Option<u32>,
    pub scale: Option<u32>,
}

/// A step of a path.
#[derive(Clone, Debug)]
pub(crate) enum PathStep {
    /// `.name`; `site` numbers the place for the cache of column indexes.
    Member { name: Arc<str>, site: usize },
    /// `[0]`
    Index(u64),
    /// `[name=value]`
    Selector { member: Arc<str>, value: Box<Expr> },
}

/// A compiled address.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub parts: Vec<TemplatePart>,
    pub span: Span,
    /// True if the running program cannot change what it reads: it is evaluated once for each machine.
    pub invariant: bool,
}

/// A part of a template.
#[derive(Clone, Debug)]
pub(crate) enum TemplatePart {
    Text(String),
    Value {
        expr: Expr,
        shown: String,
        encode: bool,
    },
    Environment {
        name: Arc<str>,
        span: Span,
    },
}

impl Template {
    /// The text, if nothing is inserted.
    pub(crate) fn constant(&self) -> Option<String> {
        self.known(&BTreeMap::new())
    }

    /// The text, if only these variables of the environment are inserted.
    pub(crate) fn known(&self, environment: &BTreeMap<String, String>) -> Option<String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                TemplatePart::Text(part) => text.push_str(part),
                TemplatePart::Environment { name, .. } => text.push_str(environment.get(&**name)?),
                TemplatePart::Value { .. } => return None,
            }
        }
        Some(text)
    }
}
