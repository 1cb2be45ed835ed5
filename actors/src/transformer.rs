//! The second stage: runs the body for each record, does the asking for it, and gathers what it emits.

mod joined;

use std::sync::Arc;

use actix::prelude::*;
use dajet_core::{Answer, Record, Value};
use dajet_lang::machine::{Clock, Machine, MachineSpec, Question, Resume, Step};
use tracing::Instrument;

use crate::batch::{
    Opening, Outputs, Part, ReadBatch, Ticket, ToProducer, Transformed, TransformedBatch, Written,
};
use crate::claims::{self, Call};
use crate::error::PipelineError;
use crate::generation::{Generation, Tombstone};
use crate::mailbox::{Next, Refused};
use crate::pipeline::Stage;
use crate::script::{self, Answered, Prepared, Tokens};

/// How many times `BatchBytes` the outputs of one batch may take until a generation has committed.
const UNPROVEN_BATCHES_MAX: usize = 4;

/// Records after which others may run: a body takes one to three microseconds a record, and a stage may hold its arbiter for 500.
const CHUNK: u32 = 128;

/// Runs the body over read batches.
pub(crate) struct Transformer {
    work: Option<Work>,
    _tombstone: Tombstone,
}

impl Transformer {
    pub(crate) fn new(
        generation: Arc<Generation>,
        tombstone: Tombstone,
        next: Next<ToProducer>,
    ) -> Self {
        let spec = &generation.script.spec;
        let machine = Machine::new(MachineSpec {
            plan: spec.plan.clone(),
            program: generation.plan().body,
            variables: generation.progress.variables(),
            parameters: Arc::default(),
            environment: spec.environment.clone(),
            seed: generation.script.seeds.next(),
        });
        let joins = spec.plan.joins_look_ups(generation.pipeline);
        let clock = script::now();
        let work = Work {
            generation,
            next,
            machine,
            joins,
            clock,
        };
        Self {
            work: Some(work),
            _tombstone: tombstone,
        }
    }
}

impl Actor for Transformer {
    type Context = Context<Self>;
}

impl Handler<ReadBatch> for Transformer {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, batch: ReadBatch, _: &mut Self::Context) -> Self::Result {
        let mut work = self.work.take().expect("one message at a time");
        let span = work.generation.log_span();
        let handled = async move {
            work.handle(batch).await;
            work
        };
        AtomicResponse::new(Box::pin(
            handled
                .instrument(span)
                .into_actor(self)
                .map(|work, actor, _| actor.work = Some(work)),
        ))
    }
}

struct Work {
    generation: Arc<Generation>,
    next: Next<ToProducer>,
    machine: Machine,
    /// True if the look-ups of the records are answered together.
    joins: bool,
    clock: Clock,
}

/// Why the body did not come to the end of the batch.
enum Interrupt {
    Failed(PipelineError),
    /// A first bind that the author must repair.
    FailedForGood(PipelineError),
    Left(Option<Value>),
    /// A stop has ended a SLEEP: what follows it is not run.
    Stopped,
}

impl<E: Into<PipelineError>> From<E> for Interrupt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Interrupt {
    fn at_row(self, name: Option<String>) -> Self {
        match self {
            Self::Failed(error) => Self::Failed(error.at_row(name)),
            Self::FailedForGood(error) => Self::FailedForGood(error.at_row(name)),
            other => other,
        }
    }
}

/// What the body has made of the batch so far.
struct Gathered {
    outputs: Outputs,
    sent_ahead: usize,
    expected: usize,
    /// The row that the body runs for.
    row: u32,
}

impl Work {
    async fn handle(&mut self, mut batch: ReadBatch) {
        let generation = self.generation.clone();
        let id = batch.id();
        generation.handles(Stage::Transformer, id);
        if generation.is_killed(id) {
            return batch.fail().release(&generation).await;
        }
        let transformed = tokio::select! {
            biased;
            result = self.transform(&mut batch) => result.map(Some),
            () = generation.killed(id) => Ok(None),
        };
        match transformed {
            Ok(Some(result)) => return self.forward(batch.transformed(result)).await,
            Ok(None) => {}
            Err(Interrupt::Failed(error)) => generation.fail(id, error),
            Err(Interrupt::FailedForGood(error)) => generation.fail_for_good(id, error),
            Err(Interrupt::Left(returned)) => generation.leave(id, returned),
            Err(Interrupt::Stopped) => generation.kill(id),
        }
        batch.fail().release(&generation).await;
    }

    async fn forward(&self, batch: TransformedBatch) {
        let id = batch.id();
        if let Err(refused) = self.next.try_send(ToProducer::Batch(batch)) {
            let full = matches!(refused, Refused::Full(_));
            self.generation.refused(id, full);
            if let Refused::Full(ToProducer::Batch(batch))
            | Refused::Closed(ToProducer::Batch(batch)) = refused
            {
                batch.fail().release(&self.generation).await;
            }
        }
    }

    async fn transform(&mut self, batch: &mut ReadBatch) -> Result<Transformed, Interrupt> {
        let generation = self.generation.clone();
        let plan = generation.plan();
        if plan.reads_own_writes {
            claims::take_turn(&generation, batch.ticket()).await;
        }
        let records = batch.take_records();
        let expected = records.rows.len();
        let mut gathered = Gathered {
            outputs: Outputs::default(),
            sent_ahead: 0,
            expected,
            row: 0,
        };
        self.clock = script::now();
        self.machine.begin_batch(&records.shape);
        let rows = match self.joins {
            true => {
                self.run_joined(batch.ticket(), records.rows, &mut gathered)
                    .await?;
                Vec::new()
            }
            false => records.rows,
        };
        for (row, record) in (0..).zip(rows) {
            if row % CHUNK == CHUNK - 1 {
                tokio::task::yield_now().await;
                if plan.uses_clock {
                    self.clock = script::now();
                }
            }
            gathered.row = row;
            if let Err(interrupt) = self.run_body(batch.ticket(), record, &mut gathered).await {
                return Err(interrupt.at_row(batch.ticket().keys().describe(row as usize)));
            }
            if gathered.outputs.bytes() > self.bytes_max() {
                self.send_ahead(batch.ticket(), &mut gathered).await?;
            }
        }
        let variables = plan.changes_variables.then(|| self.machine.variables());
        Ok(Transformed {
            outputs: gathered.outputs,
            sent_ahead: gathered.sent_ahead,
            variables,
        })
    }

    /// Runs the body for one record.
    async fn run_body(
        &mut self,
        ticket: &mut Ticket,
        record: Record,
        gathered: &mut Gathered,
    ) -> Result<(), Interrupt> {
        let mut step = self.machine.resume(Resume::Record(record, self.clock))?;
        loop {
            step = match step {
                Step::Emit(sink, record) => {
                    let (expected, origin, machine) =
                        (gathered.expected, gathered.row, &self.machine);
                    gathered.outputs.add(sink, record, origin, || Opening {
                        spec: machine.sink(sink).clone(),
                        expected,
                    });
                    self.machine.resume(Resume::Continue)?
                }
                Step::Done { .. } => return Ok(()),
                Step::Leave { returned } => return Err(Interrupt::Left(returned)),
                step => match self.answer(ticket, step, gathered.row).await? {
                    Answered::Resume(resume) => self.machine.resume(resume)?,
                    Answered::Bound { resume, prepared } => self.resume_bound(resume, &prepared)?,
                    Answered::Known { resume, question } => self.resume_known(resume, &question)?,
                },
            };
        }
    }

    /// Gives the machine a schema; a statement that does not fit at its first bind in this process is the author's mistake.
    fn resume_bound(&mut self, resume: Resume, prepared: &Prepared) -> Result<Step, Interrupt> {
        let script = &self.generation.script;
        let was_bound = script.was_bound(prepared.statement);
        let step = script.resume_bound(&mut self.machine, resume, prepared);
        step.map_err(|error| match error.is_mistake() && !was_bound {
            true => Interrupt::FailedForGood(error),
            false => error.into(),
        })
    }

    /// Tells the machine what is known of a name; one that was never known is the author's mistake.
    fn resume_known(&mut self, resume: Resume, question: &Question) -> Result<Step, Interrupt> {
        let script = &self.generation.script;
        match self.machine.resume(resume) {
            Ok(step) => {
                script.knew(question);
                Ok(step)
            }
            Err(error) if error.code == "E_BIND" && !script.has_known(question) => {
                Err(Interrupt::FailedForGood(error.into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Does what the machine asks for at a row of the batch.
    async fn answer(
        &self,
        ticket: &mut Ticket,
        step: Step,
        row: u32,
    ) -> Result<Answered, Interrupt> {
        let generation = &*self.generation;
        let (script, plan) = (&generation.script, &generation.script.spec.plan);
        match step {
            Step::Bind {
                address,
                statement,
                tables,
            } => Ok(script.schema(statement, &address, &tables).await?),
            Step::Ask(question) => {
                let resume = Resume::Known(script.look_up(&question).await?);
                Ok(Answered::Known { resume, question })
            }
            Step::Call {
                address,
                statement,
                bound,
                parameters,
            } => {
                let span = plan.statement(statement).span;
                let service = claims::open(generation, &address, span)?;
                let call = Call {
                    service: &service,
                    bound: &bound,
                    parameters: &[parameters],
                    span,
                };
                let answer = self.call(ticket, call, row).await?;
                Ok(Answered::Resume(Resume::Answer(answer)))
            }
            Step::Run(run) => {
                let tokens = Tokens::of(&generation.stop);
                // Dropped with the batch: whatever runs inside is killed then.
                let _guard = tokens.kill.clone().drop_guard();
                let ended = script::perform(script.clone(), run, tokens).await;
                let ended = ended.map_err(|failure| failure.error)?;
                Ok(Answered::Resume(Resume::Ended(ended)))
            }
            Step::Print(line) => {
                (script.spec.print)(&line);
                Ok(Answered::Resume(Resume::Continue))
            }
            Step::Warn(warning) => {
                script.warn(&warning);
                Ok(Answered::Resume(Resume::Continue))
            }
            Step::Sleep(pause) => {
                generation.pause(pause).await;
                if generation.stop.is_cancelled() {
                    return Err(Interrupt::Stopped);
                }
                Ok(Answered::Resume(Resume::Continue))
            }
            Step::Yield => {
                tokio::task::yield_now().await;
                Ok(Answered::Resume(Resume::Continue))
            }
            // Sinks of a body are flushed at the end of the batch.
            Step::Flush => Ok(Answered::Resume(Resume::Continue)),
            Step::Emit(..) | Step::Hold | Step::Leave { .. } | Step::Done { .. } => {
                Err(PipelineError::fault("a step was answered twice").into())
            }
        }
    }

    /// A statement for one record.
    async fn call(
        &self,
        ticket: &mut Ticket,
        call: Call<'_>,
        row: u32,
    ) -> Result<Answer, PipelineError> {
        let (writes, span) = (call.bound.writes(), call.span);
        let place = call.service.identity();
        let answer = claims::execute(&self.generation, ticket, call).await?;
        if writes {
            let origins = vec![row];
            ticket.wrote(place, Written { span, origins });
        }
        Ok(answer)
    }

    /// Bytes of gathered records above which a part goes ahead. Before the first commit a part would be published before the
    /// databases have been asked: it waits for the end of its batch, if that is not many times bigger.
    fn bytes_max(&self) -> usize {
        let usual = self.generation.script.spec.settings.batch_bytes;
        match self.generation.is_unproven() {
            true => usual.saturating_mul(UNPROVEN_BATCHES_MAX),
            false => usual,
        }
    }

    /// The gathered records pass the byte limit: rows go to their claims now, messages go ahead to the Producer.
    async fn send_ahead(
        &mut self,
        ticket: &mut Ticket,
        gathered: &mut Gathered,
    ) -> Result<(), Interrupt> {
        let generation = &*self.generation;
        let (messages, rows) = std::mem::take(&mut gathered.outputs).split();
        for output in rows.into_list() {
            claims::write(generation, ticket, output).await?;
        }
        // Rows that are written owe no receipt; those that are handed over do.
        gathered.sent_ahead += messages.records();
        if messages.records() == 0 {
            return Ok(());
        }
        let slot = generation.parts.clone().acquire_owned().await;
        let slot = slot.expect("the semaphore of a generation is never closed");
        let keys = ticket.keys().clone();
        let part = Part {
            batch: ticket.batch(),
            outputs: messages,
            keys,
            _slot: slot,
        };
        if let Err(refused) = self.next.try_send(ToProducer::Part(part)) {
            generation.refused(ticket.batch(), matches!(refused, Refused::Full(_)));
        }
        Ok(())
    }
}
