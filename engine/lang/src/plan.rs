//! The plan: one root program and the pipelines that it starts. Made by lowering, run by machines.

mod explain;

use std::collections::BTreeMap;
use std::sync::Arc;

use dajet_core::contract::OptionUse;
use dajet_core::schema::Known;
use dajet_core::{BrokerSpec, Diagnostic, Record, Shape, Span, Targets};

use crate::ast::Name;
use crate::machine::knowledge::unknown;
use crate::machine::{Clock, Knowledge, Question, ScriptError, Variables};
use crate::members::Members;
use crate::names;
use crate::program::{Expr, Place, Program, Template, TemplatePart, Type};

/// Number of a program in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProgramId(pub u32);

/// Number of a pipeline in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PipelineId(pub u32);

/// Number of a statement that goes to a database or broker, in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatementId(pub u32);

/// Number of a name of the metadata that an expression of the runtime writes, in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NameId(pub u32);

/// A name of the metadata that an expression of the runtime writes.
#[derive(Debug)]
pub struct NamePlan {
    /// The name.
    pub name: Arc<str>,
    /// Where it stands.
    pub span: Span,
    /// The USE around it.
    pub(crate) place: Place,
    pub(crate) meaning: Meaning,
}

/// What a name must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// One that stands for a value.
    Value,
    /// An object.
    Object,
    /// An object, or nothing: TYPEOF and METADATA answer for both.
    Perhaps,
}

impl NamePlan {
    /// What the author should know when a database knows this much of the name.
    pub fn judge(&self, known: &Known) -> Option<Diagnostic> {
        let fits = match self.meaning {
            Meaning::Value => known.value.is_some(),
            Meaning::Object | Meaning::Perhaps => known.object.is_some(),
        };
        if fits {
            return None;
        }
        let failure = unknown(&self.name, known);
        let found = match self.meaning {
            Meaning::Perhaps => Diagnostic::warning("W015", self.span, failure.message),
            _ => Diagnostic::error(failure.code, self.span, failure.message),
        };
        Some(found.maybe_hint(failure.hint))
    }
}

/// The values of the parameters of a source, or what must be asked of the database first.
#[derive(Debug)]
pub enum SourceParameters {
    /// The values.
    Values(Record),
    /// What [`Knowledge::learn`] must be told.
    Ask(Question),
}

/// A compiled script. Shared by all the machines that run it; knows no schema.
#[derive(Debug)]
pub struct Plan {
    pub(crate) text: Arc<str>,
    pub(crate) programs: Vec<Program>,
    pub(crate) pipelines: Vec<PipelinePlan>,
    pub(crate) statements: Vec<StatementPlan>,
    pub(crate) uses: Vec<Template>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) root_variables: Vec<RootVariable>,
    pub(crate) environment_names: Vec<Name>,
    pub(crate) names: Vec<NamePlan>,
    pub(crate) members: Members,
    /// Number of places where a member is read: each has a cache in the machine.
    pub(crate) sites: usize,
    /// Number of loops.
    pub(crate) iterators: usize,
}

/// A variable of the script.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub declared: Type,
}

/// A variable of the script's outermost scope, which a parameter of the run may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootVariable {
    /// The name without `@`.
    pub name: Arc<str>,
    /// The word of its type.
    pub type_name: &'static str,
    /// Where it is declared.
    pub span: Span,
}

/// A source with its body.
#[derive(Debug)]
pub struct PipelinePlan {
    /// The source: a statement of the kind [`StatementKind::Drain`] or [`StatementKind::Consume`].
    pub source: StatementId,
    /// The program that is run for each record.
    pub body: ProgramId,
    /// The source's statement in the text.
    pub span: Span,
    /// `WITH STRICT ORDER`
    pub strict: bool,
    /// TOP or WHERE of the source uses a variable that the body sets: no reading ahead.
    pub feeds_back: bool,
    /// A call of the body reads or writes what the body writes: no transforming ahead.
    pub reads_own_writes: bool,
    /// The body may set variables that outlive a record: their values are carried to the commit.
    pub changes_variables: bool,
    /// The body shows the time.
    pub uses_clock: bool,
}

/// What kind of statement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// `CONSUME … FROM table`
    Drain,
    /// `CONSUME 'uri'`
    Consume,
    /// `SELECT … FROM`
    Select,
    /// `INSERT`
    Insert,
    /// `PRODUCE`
    Produce,
    /// `CREATE SEQUENCE` and its like
    Sequence,
}

impl StatementKind {
    /// True if it starts a pipeline.
    pub fn is_source(self) -> bool {
        matches!(self, StatementKind::Drain | StatementKind::Consume)
    }

    /// True if it goes to a broker: it has options and an address of its own, and nothing is bound.
    pub fn is_of_broker(self) -> bool {
        matches!(self, StatementKind::Consume | StatementKind::Produce)
    }
}

/// A statement that goes to a database or broker.
#[derive(Debug)]
pub struct StatementPlan {
    /// What it is.
    pub kind: StatementKind,
    /// The whole statement in the text.
    pub span: Span,
    /// Logical names of the tables that it names, each once.
    pub tables: Vec<Arc<str>>,
    /// Names that may stand for values: `Перечисление.СтавкиНДС.НДС10`.
    pub values: Vec<Arc<str>>,
    /// True if it changes something.
    pub writes: bool,
    /// The address, if nothing is inserted into it.
    pub address: Option<String>,
    /// The address in the text; the statement itself if it has none.
    pub address_span: Span,
    /// Options as written; of brokers only.
    pub options: Vec<OptionUse>,
    /// True if its answer is awaited, false if it is gathered (or is a source).
    pub called: bool,
    /// The `USE` that it stands in.
    pub(crate) place: Option<Place>,
    /// The values of its parameters.
    pub(crate) parameters: Vec<Expr>,
    /// The query that it is appended to.
    pub(crate) main: Option<MainQuery>,
    pub(crate) detail: Detail,
}

/// The query of an APPEND: it runs first, and the APPEND does not see its tables.
#[derive(Clone, Debug)]
pub(crate) struct MainQuery {
    /// What its tables are called.
    pub names: Vec<Arc<str>>,
    /// The columns that it selects.
    pub columns: Vec<Arc<str>>,
    /// True if it selects all that its tables have.
    pub star: bool,
    /// The variable that holds what it has selected, without `@`.
    pub into: Arc<str>,
}

impl StatementPlan {
    /// All that the catalog is asked about before it is bound.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.tables.iter().chain(&self.values).cloned().collect()
    }
}

impl MainQuery {
    /// True if it names this column in its list.
    pub(crate) fn selects(&self, column: &str) -> bool {
        let lower = column.to_lowercase();
        self.columns
            .iter()
            .any(|known| known.to_lowercase() == lower)
    }
}

/// What a statement is made of.
#[derive(Debug)]
pub(crate) enum Detail {
    /// A database statement.
    Names(Box<names::Body>),
    /// `PRODUCE`
    Message(MessagePlan),
    /// `CONSUME 'uri'`
    Broker(BrokerPlan),
}

/// `PRODUCE`; its `parameters` are the values of the columns.
#[derive(Debug)]
pub(crate) struct MessagePlan {
    pub address: Template,
    /// Options of the connection.
    pub options: Vec<(Arc<str>, Expr)>,
    /// True if the running program cannot change the options or the address.
    pub invariant: bool,
    pub columns: Arc<Shape>,
}

/// `CONSUME 'uri'`
#[derive(Debug)]
pub(crate) struct BrokerPlan {
    pub address: Template,
    pub options: Vec<(Arc<str>, Expr)>,
    /// The databases that the tail writes to.
    pub targets: Targets,
    /// The `USE` of the only one.
    pub target: Option<Place>,
}

impl StatementPlan {
    /// The databases that the tail of a source of messages writes to.
    pub fn targets(&self) -> Targets {
        match &self.detail {
            Detail::Broker(broker) => broker.targets,
            Detail::Names(_) | Detail::Message(_) => Targets::None,
        }
    }
}

/// What a start of a pipeline has to evaluate the address and options of its source with.
#[derive(Clone, Copy, Debug)]
pub struct SourceStart<'a> {
    /// The variables as the latest commit left them.
    pub variables: &'a Variables,
    /// Values of `{$NAME}`.
    pub environment: &'a BTreeMap<String, String>,
    /// The time.
    pub clock: Clock,
    /// Where NEWUUID begins.
    pub seed: u64,
    /// Open claims at one time.
    pub permits: usize,
}

impl Plan {
    /// The script.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The program to start with.
    pub fn root(&self) -> ProgramId {
        ProgramId(0)
    }

    /// The pipelines; the index is their [`PipelineId`].
    pub fn pipelines(&self) -> &[PipelinePlan] {
        &self.pipelines
    }

    /// One pipeline.
    pub fn pipeline(&self, id: PipelineId) -> &PipelinePlan {
        &self.pipelines[id.0 as usize]
    }

    /// The statements; the index is their [`StatementId`].
    pub fn statements(&self) -> &[StatementPlan] {
        &self.statements
    }

    /// One statement.
    pub fn statement(&self, id: StatementId) -> &StatementPlan {
        &self.statements[id.0 as usize]
    }

    /// The variables that parameters of the run may set, in the order of their declaration.
    pub fn root_variables(&self) -> &[RootVariable] {
        &self.root_variables
    }

    /// The address of a statement as far as it is known before a run: that of its USE, with nothing but variables of the
    /// environment inserted into it.
    pub fn address_of(
        &self,
        statement: &StatementPlan,
        environment: &BTreeMap<String, String>,
    ) -> Option<String> {
        self.uses[statement.place?].known(environment)
    }

    /// The address of the USE around a name, as [`Plan::address_of`].
    pub fn address_of_name(
        &self,
        name: &NamePlan,
        environment: &BTreeMap<String, String>,
    ) -> Option<String> {
        self.uses[name.place].known(environment)
    }

    /// The names that `{$NAME}` uses, each once, where it stands first.
    pub fn environment_names(&self) -> &[Name] {
        &self.environment_names
    }

    /// True if the look-ups of a pipeline's records are answered together: its machine may set records aside
    /// ([`crate::machine::Machine::park`]).
    pub fn joins_look_ups(&self, pipeline: PipelineId) -> bool {
        let body = self.program(self.pipeline(pipeline).body);
        body.joining.is_some()
    }

    /// Names of the metadata that the script writes in expressions of the runtime, in the order of the text.
    pub fn names(&self) -> &[NamePlan] {
        &self.names
    }

    /// What the author should know when a database knows this much of what was asked: a name that he writes may be wrong.
    pub fn judge(&self, question: &Question, known: &Known) -> Option<Diagnostic> {
        let name = &self.names[question.name?.0 as usize];
        name.judge(known)
    }

    /// The values of the parameters of a pipeline's source now: what its bound form is given at a read.
    ///
    /// # Errors
    /// An expression of TOP or WHERE has no value.
    pub fn source_parameters(
        &self,
        pipeline: PipelineId,
        variables: &Variables,
        knowledge: &mut Knowledge,
    ) -> Result<SourceParameters, ScriptError> {
        let source = self.statement(self.pipeline(pipeline).source);
        variables.evaluate(self, &source.parameters, knowledge)
    }

    /// What the source of a pipeline is made of if it is a broker: address and options, evaluated now. `None` if it is a table.
    ///
    /// # Errors
    /// An address or option that has no value.
    pub fn broker_spec(
        &self,
        pipeline: PipelineId,
        start: SourceStart<'_>,
    ) -> Result<Option<BrokerSpec>, ScriptError> {
        match &self.statement(self.pipeline(pipeline).source).detail {
            Detail::Broker(broker) => start.evaluate(self, broker).map(Some),
            Detail::Names(_) | Detail::Message(_) => Ok(None),
        }
    }

    /// Warns of members that the messages of a broker do not have. `members_of` knows them by what an address begins with:
    /// the whole one, or what stands in front of the first `{`.
    pub fn unknown_members(
        &self,
        members_of: impl Fn(&str) -> Option<&'static [&'static str]>,
    ) -> Vec<Diagnostic> {
        self.members.warnings_of_messages(|statement| {
            let Detail::Broker(broker) = &self.statement(statement).detail else {
                return None;
            };
            match broker.address.parts.first() {
                Some(TemplatePart::Text(start)) => members_of(start),
                _ => None,
            }
        })
    }

    pub(crate) fn program(&self, id: ProgramId) -> &Program {
        &self.programs[id.0 as usize]
    }
}
