//! Root programs and iterations of parallel loops: what runs outside of sources. Each database statement is a unit of its own here;
//! messages are acknowledged before the script goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::available_parallelism;

use dajet_core::{BoxFuture, Record, Sink, Span, SystemError, Value};
use dajet_lang::machine::{
    Ended, Machine, MachineSpec, Resume, Run, SinkId, SinkSpec, Step, Variables,
};
use dajet_lang::plan::ProgramId;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;
use tracing::error;

use crate::backoff::{Failures, Verdict};
use crate::batch::{Opening, Output, Outputs};
use crate::claims;
use crate::error::PipelineError;
use crate::pipeline::{self, Order};
use crate::script::{Answered, Failure, FailureKind, Script, Tokens, now};

/// How a program ended.
pub(crate) enum ProgramEnd {
    /// At its last statement, or by RETURN.
    Done(Option<Value>),
    /// By BREAK or RETURN out of what runs it.
    Left(Option<Value>),
    /// By a stop.
    Stopped,
}

/// A program that runs outside of sources.
pub(crate) struct Root {
    script: Arc<Script>,
    machine: Machine,
    tokens: Tokens,
    gathered: Outputs,
    sinks: BTreeMap<SinkId, Box<dyn Sink>>,
    /// It has written, sent or run something: it cannot begin again.
    acted: bool,
}

/// Runs a program to its end. In a script that drains queues, what fails before the program has done anything is tried again, as a
/// source is: a script that is started while a database is out of order waits for it.
pub(crate) async fn run(
    script: &Arc<Script>,
    machine: MachineSpec,
    tokens: &Tokens,
) -> Result<ProgramEnd, Failure> {
    let mut failures = Failures::new(&script.spec.settings);
    loop {
        let mut root = Root::new(script.clone(), machine.clone(), tokens.clone());
        let failure = match root.run(Resume::Start(now())).await {
            Err(failure) if !root.acted && tokens.waits && failure.may_heal() => failure,
            ended => return ended,
        };
        script.begins_again(&failure.error);
        let Verdict::Pause(pause) = failures.next(Instant::now(), script.seeds.next()) else {
            return Err(Failure::given_up(failure.error));
        };
        tokio::select! {
            biased;
            () = tokens.kill.cancelled() => return Ok(ProgramEnd::Stopped),
            () = tokens.stop.cancelled() => return Ok(ProgramEnd::Stopped),
            () = tokio::time::sleep(pause) => {}
        }
        script.spec.observer.retried();
    }
}

impl Root {
    fn new(script: Arc<Script>, machine: MachineSpec, tokens: Tokens) -> Self {
        let machine = Machine::new(machine);
        Self {
            script,
            machine,
            tokens,
            gathered: Outputs::default(),
            sinks: BTreeMap::new(),
            acted: false,
        }
    }

    /// Runs to the end. A stop ends it before its next statement; what is gathered is delivered before the program ends.
    async fn run(&mut self, start: Resume) -> Result<ProgramEnd, Failure> {
        let tokens = self.tokens.clone();
        let mut step = self.machine.resume(start)?;
        loop {
            self.acted |= match &step {
                Step::Emit(..) | Step::Run(_) => true,
                Step::Call { bound, .. } => bound.writes(),
                _ => false,
            };
            let answered = match step {
                Step::Done { returned } => {
                    self.flush().await?;
                    return Ok(ProgramEnd::Done(returned));
                }
                Step::Leave { returned } => {
                    self.flush().await?;
                    return Ok(ProgramEnd::Left(returned));
                }
                Step::Run(run) => {
                    self.flush().await?;
                    let ended = perform(self.script.clone(), run, tokens.clone()).await?;
                    Answered::Resume(Resume::Ended(ended))
                }
                _ if tokens.stop.is_cancelled() || tokens.kill.is_cancelled() => {
                    self.flush().await?;
                    return Ok(ProgramEnd::Stopped);
                }
                // A delivery that is cut off tells so itself, hence it comes first.
                step => tokio::select! {
                    biased;
                    answered = self.answer(step) => answered?,
                    () = tokens.kill.cancelled() => {
                        self.flush().await?;
                        return Ok(ProgramEnd::Stopped);
                    }
                },
            };
            step = match answered {
                Answered::Resume(resume) => self.machine.resume(resume)?,
                Answered::Bound { resume, prepared } => {
                    let script = &self.script;
                    script.resume_bound(&mut self.machine, resume, &prepared)?
                }
                Answered::Known { resume, .. } => self.machine.resume(resume)?,
            };
        }
    }

    async fn answer(&mut self, step: Step) -> Result<Answered, Failure> {
        let script = self.script.clone();
        let plan = &script.spec.plan;
        match step {
            Step::Bind {
                address,
                statement,
                tables,
            } => return Ok(script.schema(statement, &address, &tables).await?),
            Step::Ask(question) => {
                let known = script.look_up(&question).await?;
                let resume = Resume::Known(known);
                return Ok(Answered::Known { resume, question });
            }
            Step::Call {
                address,
                statement,
                bound,
                parameters,
            } => {
                self.flush().await?;
                let span = plan.statement(statement).span;
                let failed = |error| PipelineError::system(error, span);
                let service = script.spec.services.open(&address).map_err(failed)?;
                let answer = service.execute(&bound, &[parameters]).await;
                let answer = answer.map_err(|error| claims::failed(&service, error, span))?;
                return Ok(Answered::Resume(Resume::Answer(answer)));
            }
            Step::Emit(sink, record) => {
                self.gather(sink, record);
                if self.gathered.bytes() > script.spec.settings.batch_bytes {
                    self.flush().await?;
                }
            }
            Step::Flush => self.flush().await?,
            Step::Print(line) => (script.spec.print)(&line),
            Step::Warn(warning) => script.warn(&warning),
            Step::Sleep(pause) => {
                tokio::select! {
                    biased;
                    () = self.tokens.stop.cancelled() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
            Step::Yield => tokio::task::yield_now().await,
            Step::Hold | Step::Run(_) | Step::Leave { .. } | Step::Done { .. } => {
                return Err(PipelineError::fault("a step was answered twice").into());
            }
        }
        Ok(Answered::Resume(Resume::Continue))
    }

    fn gather(&mut self, sink: SinkId, record: Record) {
        let machine = &self.machine;
        self.gathered.add(sink, record, 0, || Opening {
            spec: machine.sink(sink).clone(),
            expected: 1,
        });
    }

    /// Delivers what is gathered, sink after sink, and waits for the receipts. A kill cuts it off, and what is lost by that is an error.
    async fn flush(&mut self) -> Result<(), Failure> {
        let kill = self.tokens.kill.clone();
        for output in std::mem::take(&mut self.gathered).into_list() {
            let span = self.place(&output);
            tokio::select! {
                biased;
                delivered = self.deliver(output, span) => delivered?,
                () = kill.cancelled() => return Err(cut_off(span).into()),
            }
        }
        Ok(())
    }

    fn place(&self, output: &Output) -> Span {
        let (SinkSpec::Messages { statement, .. } | SinkSpec::Rows { statement, .. }) =
            &*output.spec;
        self.script.spec.plan.statement(*statement).span
    }

    async fn deliver(&mut self, output: Output, span: Span) -> Result<(), PipelineError> {
        let script = &self.script.spec;
        let failed = |error| PipelineError::system(error, span);
        match &*output.spec {
            SinkSpec::Messages { spec, .. } => {
                let mut sink = match self.sinks.remove(&output.sink) {
                    Some(sink) => sink,
                    None => script.services.sink(spec).map_err(failed)?,
                };
                let receipt = sink.deliver(output.records).await.map_err(failed)?;
                receipt.await.map_err(failed)?;
                // A sink that failed is not used again.
                self.sinks.insert(output.sink, sink);
            }
            SinkSpec::Rows { address, bound, .. } => {
                let service = script.services.open(address).map_err(failed)?;
                service
                    .execute(bound, &output.records)
                    .await
                    .map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// The error of a delivery that a stop has left no time for.
fn cut_off(span: Span) -> PipelineError {
    let message = "the script was stopped before all was delivered";
    let error = SystemError::transient("E_CONFIRM", message)
        .with_hint("What this statement has sent may have arrived or not.");
    PipelineError::system(error, span)
}

/// Runs a pipeline or a parallel loop to its end.
pub(crate) fn perform(
    script: Arc<Script>,
    run: Run,
    tokens: Tokens,
) -> BoxFuture<'static, Result<Ended, Failure>> {
    Box::pin(async move {
        match run {
            Run::Pipeline {
                pipeline,
                address,
                variables,
            } => {
                pipeline::run(
                    &script,
                    Order {
                        pipeline,
                        address,
                        variables,
                    },
                    &tokens,
                )
                .await
            }
            Run::Loop {
                program,
                iterations,
                parallel,
            } => {
                let cores = || available_parallelism().map_or(1, usize::from);
                let parallel = match parallel {
                    Run::CORES => cores(),
                    Run::CORES_BUT_ONE => cores().saturating_sub(1).max(1),
                    n => n,
                };
                run_loop(
                    &script,
                    Iterations {
                        program,
                        iterations,
                        parallel,
                    },
                    &tokens,
                )
                .await
            }
        }
    })
}

struct Iterations {
    program: ProgramId,
    iterations: Vec<Variables>,
    parallel: usize,
}

/// Runs the iterations, so many at one time, and waits for all of them; the first error is the loop's. A pipeline that cannot go on
/// stops the others, for endless ones would never let the script end.
async fn run_loop(
    script: &Arc<Script>,
    order: Iterations,
    tokens: &Tokens,
) -> Result<Ended, Failure> {
    let Iterations {
        program,
        iterations,
        parallel,
    } = order;
    let tokens = tokens.child();
    let mut waiting = iterations.into_iter();
    let mut running = FuturesUnordered::new();
    let start = |variables| iterate(script.clone(), program, variables, tokens.clone());
    running.extend(waiting.by_ref().take(parallel).map(start));
    let mut result = Ok(Ended::Done);
    while let Some(ended) = running.next().await {
        let more = match ended {
            Ok(ProgramEnd::Done(None)) => true,
            Ok(ProgramEnd::Done(Some(value)) | ProgramEnd::Left(Some(value))) => {
                first(&mut result, Ended::Returned(value))
            }
            Ok(ProgramEnd::Left(None)) => false,
            Ok(ProgramEnd::Stopped) => first(&mut result, Ended::Stopped),
            Err(failure) => {
                if failure.kind == FailureKind::Pipeline {
                    tokens.stop.cancel();
                }
                note(&mut result, failure);
                false
            }
        };
        if !more {
            waiting = Vec::new().into_iter();
        }
        running.extend(waiting.next().map(start));
    }
    result
}

/// Keeps the first end that is not an ordinary one. No further iteration starts.
fn first(result: &mut Result<Ended, Failure>, ended: Ended) -> bool {
    if matches!(result, Ok(Ended::Done)) {
        *result = Ok(ended);
    }
    false
}

/// Keeps the first error and reports the others.
fn note(result: &mut Result<Ended, Failure>, failure: Failure) {
    if result.is_ok() {
        *result = Err(failure);
    } else {
        let (code, chain) = (failure.error.code(), failure.error.chain());
        error!(code, error = %chain, "another iteration of the loop failed");
    }
}

async fn iterate(
    script: Arc<Script>,
    program: ProgramId,
    variables: Variables,
    tokens: Tokens,
) -> Result<ProgramEnd, Failure> {
    let spec = &script.spec;
    let machine = MachineSpec {
        plan: spec.plan.clone(),
        program,
        variables,
        parameters: Arc::default(),
        environment: spec.environment.clone(),
        seed: script.seeds.next(),
    };
    run(&script, machine, &tokens).await
}
