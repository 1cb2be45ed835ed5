//! The machine that runs a program of a plan. Synchronous and pure: it asks for what it needs by a [`Step`] and gets it by
//! the next [`Resume`].

pub(crate) mod convert;
pub(crate) mod failure;
pub(crate) mod heap;
pub(crate) mod knowledge;
mod loops;
pub(crate) mod memory;
pub(crate) mod operate;
mod parking;
pub(crate) mod patterns;
mod run;
mod sinks;
mod statements;
mod variables;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dajet_core::query::Statement;
use dajet_core::schema::Known;
use dajet_core::{
    Address, Answer, Diagnostic, ErrorClass, MessageSpec, Record, Schema, Shape, Span, Value,
};
use jiff::civil::DateTime;

pub use self::knowledge::{Knowledge, Question};
pub use self::parking::Parked;
use self::run::State;
pub use self::variables::Variables;
use crate::bind::Bound;
use crate::plan::{PipelineId, Plan, ProgramId, StatementId};

/// Number of a sink that a machine has opened, an index of its table of [`SinkSpec`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SinkId(pub u32);

/// What the machine asks for.
#[derive(Debug)]
pub enum Step {
    /// The schema of these tables at this address, for binding a statement: [`Resume::Schema`].
    Bind {
        /// The database.
        address: Address,
        /// The statement that is bound, for its place in messages.
        statement: StatementId,
        /// Logical names of the tables, and names that may stand for values.
        tables: Vec<Arc<str>>,
    },
    /// What a database knows of a name or a type code: [`Resume::Known`].
    Ask(Question),
    /// The answer of a bound statement: [`Resume::Answer`].
    Call {
        /// The database.
        address: Address,
        /// The statement.
        statement: StatementId,
        /// Its bound form.
        bound: Arc<Statement>,
        /// The values of its parameters.
        parameters: Record,
    },
    /// A record for a sink, in order; no answer: [`Resume::Continue`].
    Emit(SinkId, Record),
    /// Delivery of all that was emitted outside of sources: [`Resume::Continue`] after the receipts.
    Flush,
    /// A pipeline or parallel loop: [`Resume::Ended`] when it has ended.
    Run(Run),
    /// BREAK or RETURN out of the source: the batch is given back, the pipeline ends. The machine is not resumed.
    Leave {
        /// The value of RETURN; `None` for BREAK.
        returned: Option<Value>,
    },
    /// What follows waits until the records before this one are finished: the record is set aside by [`Machine::park`], and
    /// gets [`Resume::Continue`] when it is taken up. Only where [`Machine::run_ahead`] was told that it runs ahead.
    Hold,
    /// A line for the author: [`Resume::Continue`].
    Print(String),
    /// Something that the author should know, once for each place: [`Resume::Continue`].
    Warn(Box<Diagnostic>),
    /// A pause: [`Resume::Continue`] afterwards.
    Sleep(Duration),
    /// The budget of operations is spent; others may run: [`Resume::Continue`].
    Yield,
    /// The record, or the program, is finished. A body is resumed by the next [`Resume::Record`].
    Done {
        /// The value of RETURN in a root program.
        returned: Option<Value>,
    },
}

/// What [`Step::Run`] wants to be run.
#[derive(Debug)]
pub enum Run {
    /// A pipeline: its source drains until it is stopped or left.
    Pipeline {
        /// Which one.
        pipeline: PipelineId,
        /// The database of the source; none for a broker, whose address and options are evaluated at each start of the pipeline
        /// ([`Plan::broker_spec`]).
        address: Option<Address>,
        /// A copy of the variables.
        variables: Variables,
    },
    /// `FOR … MAXDOP n`: each iteration is a machine of its own over `program`, started with its copy of the variables.
    Loop {
        /// The body.
        program: ProgramId,
        /// One copy of the variables for each iteration, in order.
        iterations: Vec<Variables>,
        /// Most iterations at one time; [`Run::CORES`] and [`Run::CORES_BUT_ONE`] stand for what only the runner knows.
        parallel: usize,
    },
}

impl Run {
    /// `MAXDOP 0`: as many iterations at one time as the machine has cores.
    pub const CORES: usize = 0;
    /// A negative `MAXDOP`: one less than there are cores, but at least one.
    pub const CORES_BUT_ONE: usize = usize::MAX;
}

/// How a [`Run`] ended.
#[derive(Clone, Debug)]
pub enum Ended {
    /// All iterations are done: go on behind the block.
    Done,
    /// The source was left by BREAK: go on behind the block, with the variables as the latest committed batch left them.
    Left(Variables),
    /// RETURN inside: the script ends with the value.
    Returned(Value),
    /// The run was asked to stop, or was idle with `--until-idle`: what follows a source is not run.
    Stopped,
}

/// The time, as NOW and UTC show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Local time of the node.
    pub local: DateTime,
    /// UTC.
    pub utc: DateTime,
}

/// What the machine gets.
#[derive(Debug)]
pub enum Resume {
    /// Start of a root program or an iteration.
    Start(Clock),
    /// The next record of the batch: start of a body.
    Record(Record, Clock),
    /// Answers [`Step::Bind`].
    Schema(Schema),
    /// Answers [`Step::Ask`].
    Known(Known),
    /// Answers [`Step::Call`].
    Answer(Answer),
    /// Answers [`Step::Run`].
    Ended(Ended),
    /// Go on.
    Continue,
}

/// A sink as a machine has opened it: a statement with its address and options evaluated.
#[derive(Clone, Debug)]
pub enum SinkSpec {
    /// `PRODUCE`: messages for a broker.
    Messages {
        /// The statement.
        statement: StatementId,
        /// The connection and the columns of its records.
        spec: MessageSpec,
    },
    /// `INSERT` and its like: parameter records of a bound statement.
    Rows {
        /// The statement.
        statement: StatementId,
        /// The database.
        address: Address,
        /// The bound form.
        bound: Arc<Statement>,
    },
}

/// A mistake at run time, with its place.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ScriptError {
    /// `E_TYPE`, `E_ARITH`, `E_URI`, `E_BIND`, `E_THROW`, …
    pub code: &'static str,
    /// What happened: lower case, no final period.
    pub message: String,
    /// Where.
    pub span: Span,
    /// A full sentence that says what to do.
    pub hint: Option<String>,
    /// `Rejected` for values, `Misconfigured` for names.
    pub class: ErrorClass,
    /// All the mistakes of a statement that does not fit its database, the first of which is this one; empty for other errors.
    pub mistakes: Vec<Diagnostic>,
}

/// What a machine is made of.
#[derive(Clone, Debug)]
pub struct MachineSpec {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The program to run.
    pub program: ProgramId,
    /// The variables as they stand; the default for a root program.
    pub variables: Variables,
    /// Values that take the place of initialisers of root variables; used by the root program only.
    pub parameters: Arc<BTreeMap<String, Value>>,
    /// Values of `{$NAME}`.
    pub environment: Arc<BTreeMap<String, String>>,
    /// Where NEWUUID begins: the machine has no randomness of its own.
    pub seed: u64,
}

/// A running program. Asks by [`Step`], is answered by [`Resume`]; after an error it is thrown away.
#[derive(Debug)]
pub struct Machine {
    plan: Arc<Plan>,
    state: State,
}

impl Machine {
    /// Makes a machine that stands before its first operation.
    pub fn new(spec: MachineSpec) -> Self {
        let plan = Arc::clone(&spec.plan);
        Self {
            plan,
            state: State::new(spec),
        }
    }

    /// Tells the shape of the records that follow. Needed before the first [`Resume::Record`] of a batch.
    pub fn begin_batch(&mut self, shape: &Arc<Shape>) {
        self.state.begin_batch(shape);
    }

    /// Runs until something is needed.
    ///
    /// # Errors
    /// A mistake of the script at run time; a `Fault` if the answer does not fit the question.
    pub fn resume(&mut self, resume: Resume) -> Result<Step, ScriptError> {
        self.state
            .resume(&self.plan, resume)
            .map_err(|error| *error)
    }

    /// What a sink of [`Step::Emit`] is. Known for the batch in which it was emitted to, and as long as it stays open.
    ///
    /// # Panics
    /// If the machine never emitted to it.
    pub fn sink(&self, id: SinkId) -> &SinkSpec {
        self.state.sinks.spec(id)
    }

    /// The bound form of a statement, at the address that it was bound at, or used at, last.
    pub fn bound(&self, statement: StatementId) -> Option<&Bound> {
        self.state.sinks.latest(statement)
    }

    /// Sets the present record aside, which waits for the answer of a [`Step::Call`], holds or has failed: the next record may
    /// start. Only in pipelines whose look-ups are joined.
    pub fn park(&mut self) -> Parked {
        self.state.park(&self.plan)
    }

    /// Takes a record up again; it is resumed by what it waits for.
    pub fn take_up(&mut self, parked: Parked) {
        self.state.take_up(&self.plan, parked);
    }

    /// Forgets a record that was set aside.
    pub fn discard(&mut self, parked: Parked) {
        self.state.discard(parked);
    }

    /// Tells whether records before the present one are unfinished.
    pub fn run_ahead(&mut self, ahead: bool) {
        self.state.ahead = ahead;
    }

    /// Tells that no record is set aside any more: what they have made is forgotten.
    pub fn settle(&mut self) {
        self.state.settle();
    }

    /// A copy of the variables: for a body, of those that outlive a record.
    pub fn variables(&self) -> Variables {
        self.state.outliving_variables(&self.plan)
    }
}
