//! A script: runs its root program, starts the pipelines and parallel loops that it comes to, and waits for them.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use dajet_core::contract;
use dajet_core::schema::Known;
use dajet_core::span::position;
use dajet_core::{Address, Diagnostic, ErrorClass, Schema, Service, Span, SystemError, Value};
use dajet_lang::machine::{Clock, Machine, MachineSpec, Question, Resume, Step};
use dajet_lang::plan::{Plan, StatementId};
use futures::FutureExt;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error, warn};

use crate::arbiters::Arbiters;
use crate::backoff::Seeds;
use crate::error::PipelineError;
use crate::foresight::foresee;
use crate::observe::Observer;
pub(crate) use crate::root::perform;
use crate::root::{self, ProgramEnd};
use crate::services::Services;
use crate::settings::Settings;

/// What a script is run with.
pub struct ScriptSpec {
    /// Its name in logs and at the servers.
    pub name: Arc<str>,
    /// The compiled script.
    pub plan: Arc<Plan>,
    /// Values of root variables, in place of their initialisers.
    pub parameters: Arc<BTreeMap<String, Value>>,
    /// Values of `{$NAME}`.
    pub environment: Arc<BTreeMap<String, String>>,
    /// Settings of its pipelines.
    pub settings: Settings,
    /// The node's databases and brokers.
    pub services: Services,
    /// The threads that its actors live on.
    pub arbiters: Arbiters,
    /// Takes the lines of PRINT. It must not block.
    pub print: Arc<dyn Fn(&str) + Send + Sync>,
    /// Counts what happens.
    pub observer: Observer,
}

/// How a script ended.
#[derive(Debug)]
pub enum Outcome {
    /// Its last statement was completed, or every source was idle with `until_idle`.
    Ended {
        /// The value of RETURN.
        returned: Option<Value>,
    },
    /// It was stopped or killed.
    Stopped,
    /// Errors went on for too long, or too often.
    GaveUp(PipelineError),
    /// An error outside a source, a first bind that does not fit, or a broken invariant.
    Failed(PipelineError),
}

/// Runs a script to its end, inside an actix System. `stop` reads no more and drains; `kill` releases at once.
pub async fn run(spec: ScriptSpec, stop: CancellationToken, kill: CancellationToken) -> Outcome {
    run_script(Script::new(spec), stop, kill).await
}

pub(crate) async fn run_script(
    script: Script,
    stop: CancellationToken,
    kill: CancellationToken,
) -> Outcome {
    let script = Arc::new(script);
    let spec = &script.spec;
    let waits = !spec.settings.until_idle && !spec.plan.pipelines().is_empty();
    let tokens = Tokens { stop, kill, waits };
    let machine = MachineSpec {
        plan: spec.plan.clone(),
        program: spec.plan.root(),
        variables: Default::default(),
        parameters: spec.parameters.clone(),
        environment: spec.environment.clone(),
        seed: script.seeds.next(),
    };
    spec.observer.begun();
    let ran = async {
        script.foresee(&tokens).await?;
        root::run(&script, machine, &tokens).await
    };
    let ran = ran.instrument(script.log_span.clone());
    let ran = AssertUnwindSafe(ran).catch_unwind().await;
    // What a panicking adapter leaves behind is dropped with the program, and nothing of it is used again.
    let ended = ran.unwrap_or_else(|_| Err(PipelineError::Panic { actor: "script" }.into()));
    let outcome = match ended {
        Ok(ProgramEnd::Stopped) => Outcome::Stopped,
        Ok(_) if tokens.stop.is_cancelled() || tokens.kill.is_cancelled() => Outcome::Stopped,
        Ok(ProgramEnd::Done(returned) | ProgramEnd::Left(returned)) => Outcome::Ended { returned },
        Err(Failure {
            error,
            kind: FailureKind::GivenUp,
        }) => Outcome::GaveUp(error),
        Err(Failure { error, .. }) => Outcome::Failed(error),
    };
    let failure = match &outcome {
        Outcome::GaveUp(error) | Outcome::Failed(error) => Some(script.told(error)),
        Outcome::Ended { .. } | Outcome::Stopped => None,
    };
    script.spec.observer.ended(failure);
    outcome
}

/// The ways to end what runs, from outside.
#[derive(Clone)]
pub(crate) struct Tokens {
    /// Read no more, drain, end.
    pub(crate) stop: CancellationToken,
    /// Release at once.
    pub(crate) kill: CancellationToken,
    /// Programs wait for databases that are out of order before they do anything.
    pub(crate) waits: bool,
}

impl Tokens {
    /// Tokens for what runs inside of a batch, which is given back when it fails: nothing waits while rows are held.
    pub(crate) fn of(stop: &CancellationToken) -> Self {
        Self {
            stop: stop.child_token(),
            kill: CancellationToken::new(),
            waits: false,
        }
    }

    /// Tokens that end a part and leave the whole alone.
    pub(crate) fn child(&self) -> Self {
        Self {
            stop: self.stop.child_token(),
            kill: self.kill.child_token(),
            waits: self.waits,
        }
    }
}

/// An error that ends a program.
pub(crate) struct Failure {
    pub(crate) error: PipelineError,
    pub(crate) kind: FailureKind,
}

/// Where an error that ends a program comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// A statement outside of sources failed.
    Statement,
    /// A pipeline cannot go on: a first bind that does not fit, a broken invariant.
    Pipeline,
    /// A pipeline has been tried often enough.
    GivenUp,
}

impl Failure {
    pub(crate) fn of_pipeline(error: PipelineError) -> Self {
        Self {
            error,
            kind: FailureKind::Pipeline,
        }
    }

    pub(crate) fn given_up(error: PipelineError) -> Self {
        Self {
            error,
            kind: FailureKind::GivenUp,
        }
    }

    /// True for a statement that its database may take another time: no value is wrong, and no word of the script.
    pub(crate) fn may_heal(&self) -> bool {
        let of_system = matches!(
            self.error,
            PipelineError::System { .. } | PipelineError::Bind { .. }
        );
        let class = matches!(
            self.error.class(),
            ErrorClass::Transient | ErrorClass::Misconfigured
        );
        self.kind == FailureKind::Statement && of_system && class && !self.error.is_mistake()
    }
}

impl<E: Into<PipelineError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            kind: FailureKind::Statement,
        }
    }
}

/// The answer to a step of a machine.
pub(crate) enum Answered {
    /// Resume with this.
    Resume(Resume),
    /// Resume with this schema; the statement is bound if that succeeds.
    Bound {
        /// The schema.
        resume: Resume,
        /// What is bound, and where.
        prepared: Prepared,
    },
    /// Resume with what is known of a name; the name is right if that succeeds.
    Known {
        /// What is known.
        resume: Resume,
        /// What was asked.
        question: Question,
    },
}

/// A statement that is being bound.
pub(crate) struct Prepared {
    pub(crate) statement: StatementId,
    /// The database that it is for.
    pub(crate) service: Arc<dyn Service>,
}

/// What all parts of a running script share.
pub(crate) struct Script {
    pub(crate) spec: ScriptSpec,
    pub(crate) seeds: Seeds,
    bound: Mutex<BTreeSet<StatementId>>,
    /// Places of names of the metadata that databases knew.
    known: Mutex<BTreeSet<u32>>,
    /// Warnings that the author has got, by their code and place.
    warned: Mutex<BTreeSet<(&'static str, u32)>>,
    /// What is told while it is entered is told of this script.
    pub(crate) log_span: tracing::Span,
    #[cfg(feature = "testing")]
    pub(crate) defect: Option<crate::testing::Defect>,
}

impl Script {
    pub(crate) fn new(spec: ScriptSpec) -> Self {
        Self {
            seeds: Seeds::new(spec.settings.seed),
            // Of the highest level, for a span that the log leaves out names nothing.
            log_span: tracing::error_span!("script", script = %spec.name),
            spec,
            bound: Mutex::default(),
            known: Mutex::default(),
            warned: Mutex::default(),
            #[cfg(feature = "testing")]
            defect: None,
        }
    }

    /// Tells what does not fit databases that are known already, before anything is written. What cannot be asked now is asked
    /// when it is needed.
    async fn foresee(&self, tokens: &Tokens) -> Result<(), PipelineError> {
        let spec = &self.spec;
        let found = tokio::select! {
            biased;
            () = tokens.stop.cancelled() => return Ok(()),
            () = tokens.kill.cancelled() => return Ok(()),
            found = AssertUnwindSafe(foresee(&spec.plan, &spec.environment, &spec.services)).catch_unwind() => found,
        };
        // whoever needs the answer of an adapter that panics will ask it again
        let mut found = found.unwrap_or_default();
        for (_, error) in &found.failures {
            debug!(%error, "a statement is bound later");
        }
        self.bound.lock().extend(found.bound.iter());
        found.mistakes()
    }

    /// Notes that a statement has been bound; true if it is the first time.
    pub(crate) fn bound(&self, statement: StatementId) -> bool {
        self.bound.lock().insert(statement)
    }

    /// True if the statement has been bound before in this process.
    pub(crate) fn was_bound(&self, statement: StatementId) -> bool {
        self.bound.lock().contains(&statement)
    }

    /// Asks the database of a statement for what it is bound with.
    pub(crate) async fn schema(
        &self,
        statement: StatementId,
        address: &Address,
        names: &[Arc<str>],
    ) -> Result<Answered, PipelineError> {
        let span = self.spec.plan.statement(statement).span;
        let failed = |error| PipelineError::system(error, span);
        let service = self.spec.services.open(address).map_err(failed)?;
        let schema = self.describe(&service, names).await.map_err(failed)?;
        Ok(Answered::Bound {
            resume: Resume::Schema(schema),
            prepared: Prepared { statement, service },
        })
    }

    /// Gives the machine a schema and sees to it that the database can express what it binds; the author is told of what deserves
    /// a look. If a statement does not fit, what the catalog remembers is thrown away: it may be older than the database.
    pub(crate) fn resume_bound(
        &self,
        machine: &mut Machine,
        resume: Resume,
        prepared: &Prepared,
    ) -> Result<Step, PipelineError> {
        let step = machine.resume(resume).map_err(PipelineError::from);
        let step = step.and_then(|step| {
            self.prepare(machine, prepared)?;
            Ok(step)
        });
        step.inspect_err(|error| {
            if error.is_mistake() {
                prepared.service.forget();
            }
        })
    }

    fn prepare(&self, machine: &Machine, prepared: &Prepared) -> Result<(), PipelineError> {
        let Some(bound) = machine.bound(prepared.statement) else {
            return Err(PipelineError::fault("a statement was not bound"));
        };
        let span = self.spec.plan.statement(prepared.statement).span;
        contract::prepare(&*prepared.service, &bound.statement)
            .map_err(|error| PipelineError::system(error, span))?;
        bound.warnings.iter().for_each(|warning| self.warn(warning));
        self.bound(prepared.statement);
        Ok(())
    }

    /// Asks the catalog. What it remembers is thrown away once if it does not know a table.
    pub(crate) async fn describe(
        &self,
        service: &Arc<dyn Service>,
        tables: &[Arc<str>],
    ) -> Result<Schema, SystemError> {
        match service.describe(tables).await {
            Ok(schema) if schema.is_complete() => return Ok(schema),
            Err(error) if !error.unknown_name => return Err(error),
            // A table that was made a moment ago is not in what the catalog remembers.
            Ok(_) | Err(_) => service.forget(),
        }
        service.describe(tables).await
    }

    /// Asks a database what it knows of a name. What the catalog remembers is thrown away once if that is nothing, for names
    /// that the script writes.
    pub(crate) async fn look_up(&self, question: &Question) -> Result<Known, PipelineError> {
        let failed = |error| PipelineError::system(error, question.span);
        let service = self.spec.services.open(&question.address).map_err(failed)?;
        match contract::look_up(&*service, &question.key).await {
            Ok(known) if !known.is_nothing() || !question.is_written() => return Ok(known),
            Err(error) if !error.unknown_name => return Err(failed(error)),
            Ok(_) | Err(_) => service.forget(),
        }
        let known = contract::look_up(&*service, &question.key).await;
        known.map_err(failed)
    }

    /// Notes that a name was known; true if it is the first time.
    pub(crate) fn knew(&self, question: &Question) -> bool {
        self.known.lock().insert(question.span.start)
    }

    /// True if the name in this place was known before in this process.
    pub(crate) fn has_known(&self, question: &Question) -> bool {
        self.known.lock().contains(&question.span.start)
    }

    /// The name of a source's session at its server: host and script.
    pub(crate) fn session_name(&self) -> Arc<str> {
        let host = &self.spec.services.environment().session_name;
        format!("{host}:{}", self.spec.name).into()
    }

    /// Reports an error before the program has done anything.
    pub(crate) fn begins_again(&self, error: &PipelineError) {
        let (code, place, hint) = (error.code(), self.place(error.span()), error.hint());
        let chain = error.chain();
        match error.class() {
            ErrorClass::Transient => {
                warn!(code, place, hint, error = %chain, "the script begins again")
            }
            _ => error!(code, place, hint, error = %chain, "the script begins again"),
        }
        self.spec.observer.failed(self.told(error));
    }

    /// Reports an error of a batch.
    pub(crate) fn report(&self, error: &PipelineError, pipeline: u64, batch: u64) {
        let chain = error.chain();
        let (script, code, place) = (&*self.spec.name, error.code(), self.place(error.span()));
        let hint = error.hint();
        match error.class() {
            ErrorClass::Transient => {
                warn!(script, pipeline, batch, code, place, hint, error = %chain, "batch released");
            }
            ErrorClass::Rejected | ErrorClass::Misconfigured => {
                error!(script, pipeline, batch, code, place, hint, error = %chain, "batch released");
            }
            ErrorClass::Fault => {
                error!(script, pipeline, batch, code, place, hint, error = %chain, "pipeline ends");
            }
        }
        self.spec.observer.failed(self.told(error));
    }

    /// An error with its causes and its place, for whoever looks at the script from outside.
    fn told(&self, error: &PipelineError) -> String {
        match self.place(error.span()) {
            Some(place) => format!("{place}: {}", error.chain()),
            None => error.chain(),
        }
    }

    /// Tells the author of something that deserves a look, once for each place.
    pub(crate) fn warn(&self, warning: &Diagnostic) {
        if self
            .warned
            .lock()
            .insert((warning.code, warning.span.start))
        {
            let (code, place) = (warning.code, self.place(Some(warning.span)));
            warn!(script = %self.spec.name, code, place, "{}", warning.message);
        }
    }

    /// Line and column of a place in the script.
    pub(crate) fn place(&self, span: Option<Span>) -> Option<String> {
        span.map(|span| {
            let place = position(self.spec.plan.text(), span.start);
            format!("{}:{}", place.line, place.column)
        })
    }
}

/// The time, for a batch or a statement.
pub(crate) fn now() -> Clock {
    let now = jiff::Zoned::now();
    Clock {
        local: now.datetime(),
        utc: now.with_time_zone(TimeZone::UTC).datetime(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_script_may_move_between_threads() {
        fn sendable<F: Future + Send>(
            _: fn(ScriptSpec, CancellationToken, CancellationToken) -> F,
        ) {
        }
        sendable(run);
    }
}
