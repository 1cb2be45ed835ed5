//! Records whose look-ups are answered together: each runs until it has come to one and is set aside; then one question is asked
//! for all that wait for the same statement, the one that stands first in the text first. What leaves a record is kept until
//! those before it are finished.

use std::sync::Arc;

use dajet_core::query::Statement;
use dajet_core::{Address, Answer, Record, Value};
use dajet_lang::machine::{Parked, Resume, ScriptError, SinkId, Step};
use dajet_lang::plan::StatementId;

use super::{CHUNK, Gathered, Interrupt, Work};
use crate::batch::{Opening, Ticket};
use crate::claims::{self, Call};
use crate::error::PipelineError;
use crate::script::{self, Answered};

/// Most records that are under way at one time.
const WINDOW: usize = 1_000;

/// A record that is under way.
#[derive(Default)]
struct Entry {
    stage: Stage,
    /// What it has emitted so far.
    emitted: Vec<(SinkId, Record)>,
}

/// How far it has come.
#[derive(Default)]
enum Stage {
    /// It runs, or its answer has come and it runs soon.
    #[default]
    Runs,
    /// It is finished.
    Done,
    /// It waits for an answer.
    Asks(Box<Question>),
    /// It waits for those before it.
    Holds(Parked),
    /// It cannot go on, which counts when those before it are finished: one of them may leave the source.
    Failed(PipelineError),
}

struct Question {
    parked: Parked,
    statement: StatementId,
    address: Address,
    bound: Arc<Statement>,
    parameters: Record,
}

/// The records that are under way, in order.
struct Line {
    entries: Vec<Entry>,
    /// The first that is not finished.
    front: usize,
    /// Number of the first in the batch.
    row: u32,
    /// Bytes of the answers.
    bytes: usize,
}

impl Line {
    fn row_of(&self, at: usize) -> u32 {
        self.row + at as u32
    }

    /// Those that wait for the answer of the statement which stands first in the text.
    fn askers(&self) -> Vec<usize> {
        let asking = |entry: &Entry| match &entry.stage {
            Stage::Asks(question) => Some((question.statement, Arc::as_ptr(&question.bound))),
            Stage::Runs | Stage::Done | Stage::Holds(_) | Stage::Failed(_) => None,
        };
        let questions = || self.entries.iter().map(asking).enumerate();
        let first = questions().filter_map(|(_, question)| question);
        let first = first.min_by_key(|(statement, _)| *statement);
        let same = questions().filter(|(_, question)| question.is_some() && *question == first);
        same.map(|(at, _)| at).collect()
    }
}

impl Work {
    /// Runs the body for all the records of a batch.
    pub(super) async fn run_joined(
        &mut self,
        ticket: &mut Ticket,
        records: Vec<Record>,
        gathered: &mut Gathered,
    ) -> Result<(), Interrupt> {
        let bytes_max = self.generation.script.spec.settings.batch_bytes;
        let mut records = records.into_iter();
        let (mut row, mut size) = (0, WINDOW);
        loop {
            let window: Vec<Record> = records.by_ref().take(size).collect();
            if window.is_empty() {
                return Ok(());
            }
            let mut line = Line {
                entries: Vec::with_capacity(window.len()),
                front: 0,
                row,
                bytes: 0,
            };
            row += window.len() as u32;
            self.run_window(ticket, &mut line, window, gathered).await?;
            // Answers may be far larger than the records that asked for them.
            size = match line.bytes > bytes_max / 2 {
                true => (size / 2).max(1),
                false => (size * 2).min(WINDOW),
            };
        }
    }

    async fn run_window(
        &mut self,
        ticket: &mut Ticket,
        line: &mut Line,
        records: Vec<Record>,
        gathered: &mut Gathered,
    ) -> Result<(), Interrupt> {
        for (at, record) in records.into_iter().enumerate() {
            if at as u32 % CHUNK == CHUNK - 1 {
                tokio::task::yield_now().await;
                self.clock = script::now();
            }
            line.entries.push(Entry::default());
            self.machine.run_ahead(at > line.front);
            let step = self.machine.resume(Resume::Record(record, self.clock));
            self.go_on(ticket, line, at, step).await?;
            self.advance(ticket, line, gathered).await?;
        }
        while line.front < line.entries.len() {
            let askers = line.askers();
            if askers.is_empty() {
                return Err(PipelineError::fault("a record waits for nothing").into());
            }
            let (parked, answer) = self.ask(ticket, line, &askers).await?;
            for (number, ((at, parked), group)) in askers
                .into_iter()
                .zip(parked)
                .zip(answer.groups)
                .enumerate()
            {
                if number as u32 % CHUNK == CHUNK - 1 {
                    tokio::task::yield_now().await;
                }
                line.bytes += group.iter().flatten().map(Value::size).sum::<usize>();
                self.machine.take_up(parked);
                self.machine.run_ahead(at > line.front);
                let step = self.machine.resume(Resume::Answer(Answer {
                    shape: Arc::clone(&answer.shape),
                    groups: vec![group],
                }));
                self.go_on(ticket, line, at, step).await?;
                self.advance(ticket, line, gathered).await?;
            }
        }
        self.machine.settle();
        Ok(())
    }

    /// One question for all who ask it.
    async fn ask(
        &mut self,
        ticket: &mut Ticket,
        line: &mut Line,
        askers: &[usize],
    ) -> Result<(Vec<Parked>, Answer), Interrupt> {
        let generation = self.generation.clone();
        let mut parked = Vec::with_capacity(askers.len());
        let mut parameters = Vec::with_capacity(askers.len());
        let mut asked = None;
        for at in askers {
            if let Stage::Asks(question) = std::mem::take(&mut line.entries[*at].stage) {
                parked.push(question.parked);
                parameters.push(question.parameters);
                asked.get_or_insert((question.statement, question.address, question.bound));
            }
        }
        let Some((statement, address, bound)) = asked else {
            return Err(PipelineError::fault("nobody asks").into());
        };
        let span = generation.script.spec.plan.statement(statement).span;
        let service = claims::open(&generation, &address, span)?;
        let call = Call {
            service: &service,
            bound: &bound,
            parameters: &parameters,
            span,
        };
        let answer = claims::execute(&generation, ticket, call).await;
        let answer = answer.map_err(|error| {
            let asker = match askers {
                [only] => Some(only),
                _ => error.record().and_then(|record| askers.get(record)),
            };
            let row = asker.map(|at| line.row_of(*at) as usize);
            error.at_row(row.and_then(|row| ticket.keys().describe(row)))
        })?;
        if answer.groups.len() != parameters.len() {
            return Err(PipelineError::fault("a look-up was not answered for each record").into());
        }
        Ok((parked, answer))
    }

    /// Runs the present record until it is finished or set aside.
    async fn go_on(
        &mut self,
        ticket: &mut Ticket,
        line: &mut Line,
        at: usize,
        mut step: Result<Step, ScriptError>,
    ) -> Result<(), Interrupt> {
        let row = line.row_of(at);
        let entry = &mut line.entries[at];
        loop {
            step = match step {
                Ok(Step::Emit(sink, record)) => {
                    entry.emitted.push((sink, record));
                    self.machine.resume(Resume::Continue)
                }
                Ok(Step::Call {
                    address,
                    statement,
                    bound,
                    parameters,
                }) => {
                    let parked = self.machine.park();
                    entry.stage = Stage::Asks(Box::new(Question {
                        parked,
                        statement,
                        address,
                        bound,
                        parameters,
                    }));
                    return Ok(());
                }
                Ok(Step::Hold) => {
                    entry.stage = Stage::Holds(self.machine.park());
                    return Ok(());
                }
                Ok(Step::Done { .. }) => {
                    entry.stage = Stage::Done;
                    return Ok(());
                }
                Ok(Step::Leave { returned }) => return Err(Interrupt::Left(returned)),
                Ok(step) => match self.answered(ticket, step, row).await {
                    Ok(step) => step,
                    Err(interrupt) => {
                        return Err(interrupt.at_row(ticket.keys().describe(row as usize)));
                    }
                },
                Err(error) => {
                    let parked = self.machine.park();
                    self.machine.discard(parked);
                    entry.stage = Stage::Failed(error.into());
                    return Ok(());
                }
            };
        }
    }

    async fn answered(
        &mut self,
        ticket: &mut Ticket,
        step: Step,
        row: u32,
    ) -> Result<Result<Step, ScriptError>, Interrupt> {
        match self.answer(ticket, step, row).await? {
            Answered::Resume(resume) => Ok(self.machine.resume(resume)),
            Answered::Bound { resume, prepared } => self.resume_bound(resume, &prepared).map(Ok),
            Answered::Known { resume, question } => self.resume_known(resume, &question).map(Ok),
        }
    }

    /// Takes the finished records off the line, in order, and lets the one go on that waited for them.
    async fn advance(
        &mut self,
        ticket: &mut Ticket,
        line: &mut Line,
        gathered: &mut Gathered,
    ) -> Result<(), Interrupt> {
        while let Some(entry) = line.entries.get_mut(line.front) {
            let row = line.row + line.front as u32;
            match std::mem::take(&mut entry.stage) {
                Stage::Done => {
                    let emitted = std::mem::take(&mut entry.emitted);
                    line.front += 1;
                    self.gather(emitted, row, gathered);
                    let bytes_max = self.generation.script.spec.settings.batch_bytes;
                    if gathered.outputs.bytes() > bytes_max {
                        self.send_ahead(ticket, gathered).await?;
                    }
                }
                Stage::Holds(parked) => {
                    self.machine.take_up(parked);
                    self.machine.run_ahead(false);
                    let step = self.machine.resume(Resume::Continue);
                    self.go_on(ticket, line, line.front, step).await?;
                }
                Stage::Failed(error) => {
                    let name = ticket.keys().describe(row as usize);
                    return Err(Interrupt::Failed(error.at_row(name)));
                }
                unfinished @ (Stage::Runs | Stage::Asks(_)) => {
                    entry.stage = unfinished;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn gather(&self, emitted: Vec<(SinkId, Record)>, row: u32, gathered: &mut Gathered) {
        let (expected, machine) = (gathered.expected, &self.machine);
        for (sink, record) in emitted {
            gathered.outputs.add(sink, record, row, || Opening {
                spec: machine.sink(sink).clone(),
                expected,
            });
        }
    }
}
