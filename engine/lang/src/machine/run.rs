//! The loop over the operations. Every operation either goes on to another one or stops the machine with a step; an
//! operation whose step was answered by a schema, or that had to deliver first, is run again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dajet_core::{Address, Record, Shape, Span, Value};

use super::convert;
use super::failure::{Failure, Outcome};
use super::heap::{Datum, Heap, NULL};
use super::knowledge::{Knowledge, Question};
use super::loops::over_null;
use super::memory::Memory;
use super::operate;
use super::parking::Frame;
use super::patterns::Patterns;
use super::sinks::Sinks;
use super::variables::Variables;
use super::{Ended, MachineSpec, Resume, Run, Step};
use crate::plan::{Plan, ProgramId, StatementId, StatementKind};
use crate::program::{Counter, Expr, Op, PathStep, Program, Purpose, Slot, Target, Type};

/// Operations between two yields.
const BUDGET: usize = 10_000;

/// Objects and arrays in the heap before it is cleaned for the first time within one run.
const COLLECT_LEAST: usize = 10_000;

/// The same where many records are under way: each takes a few.
const COLLECT_LEAST_JOINED: usize = 1_000_000;

/// What the next [`Resume`] is expected to be.
#[derive(Debug)]
pub(super) enum Pending {
    /// The start of the program, or the next record.
    Start,
    /// Go on with the present operation.
    Continue,
    /// The schema for a statement.
    Schema(StatementId, Address),
    /// What the database knows of a name; then the same operation.
    Known(Box<Question>),
    /// The answer of a statement.
    Answer(Option<Target>),
    /// The answer of the APPEND at this operation.
    Appended(Counter),
    /// The end of a run; then go on there.
    Ended(Counter),
    /// Nothing: the program is over.
    Over,
}

/// What an operation does to the loop.
pub(super) enum Next {
    /// The next operation.
    Advance,
    /// Another operation.
    Jump(Counter),
    /// Stops here; the same operation goes on.
    Stay(Step),
    /// Stops here; the next operation goes on.
    Stop(Step),
}

/// All that changes while a program runs.
#[derive(Debug)]
pub(super) struct State {
    pub(super) program: ProgramId,
    pub(super) memory: Memory,
    pub(super) iterators: Vec<(Vec<Datum>, usize)>,
    pub(super) counter: Counter,
    pub(super) pending: Pending,
    shape: Arc<Shape>,
    collect_at: usize,
    collect_least: usize,
    /// Records that are set aside.
    pub(super) parked: Vec<Option<Frame>>,
    /// True if records before the present one are unfinished.
    pub(super) ahead: bool,
    /// True if something was emitted outside of a source and is not yet delivered.
    pub(super) undelivered: bool,
    parameters: Arc<BTreeMap<String, Value>>,
    pub(super) environment: Arc<BTreeMap<String, String>>,
    pub(super) sinks: Sinks,
}

impl State {
    pub(super) fn new(spec: MachineSpec) -> Self {
        let plan = &spec.plan;
        let Variables {
            mut slots,
            heap,
            mut addresses,
        } = spec.variables;
        slots.resize(plan.variables.len(), NULL);
        addresses.resize(plan.uses.len(), None);
        let base = heap.len();
        let least = match plan.program(spec.program).joining {
            Some(_) => COLLECT_LEAST_JOINED,
            None => COLLECT_LEAST,
        };
        Self {
            program: spec.program,
            memory: Memory {
                slots,
                heap,
                sites: vec![None; plan.sites],
                clock: None,
                random: spec.seed,
                base,
                escaped: false,
                patterns: Patterns::default(),
                addresses,
                knowledge: Knowledge::default(),
                replaced: None,
                warning: None,
            },
            iterators: (0..plan.iterators).map(|_| (Vec::new(), 0)).collect(),
            counter: 0,
            pending: Pending::Start,
            shape: Arc::default(),
            collect_at: base + least,
            collect_least: least,
            parked: Vec::new(),
            ahead: false,
            undelivered: false,
            parameters: spec.parameters,
            environment: spec.environment,
            sinks: Sinks::new(plan.statements.len()),
        }
    }

    pub(super) fn begin_batch(&mut self, shape: &Arc<Shape>) {
        self.shape = Arc::clone(shape);
        self.sinks.forget_closed();
        self.settle();
    }

    /// A copy of the variables that outlive a record (of all, outside of a body).
    pub(super) fn outliving_variables(&self, plan: &Plan) -> Variables {
        let program = plan.program(self.program);
        let mut slots = self.memory.slots.clone();
        if program.purpose == Purpose::Body {
            clear_record(program, &mut slots);
        }
        Variables::copied(slots, &self.memory.heap, &self.memory.addresses)
    }

    fn all_variables(&self) -> Variables {
        Variables::copied(
            self.memory.slots.clone(),
            &self.memory.heap,
            &self.memory.addresses,
        )
    }

    pub(super) fn resume(&mut self, plan: &Plan, resume: Resume) -> Outcome<Step> {
        let program = plan.program(self.program);
        let pending = std::mem::replace(&mut self.pending, Pending::Over);
        match (pending, resume) {
            (Pending::Start, Resume::Record(record, clock)) if program.purpose == Purpose::Body => {
                self.memory.clock = Some(clock);
                self.start_record(program, record)?;
            }
            (Pending::Start, Resume::Start(clock)) if program.purpose != Purpose::Body => {
                self.memory.clock = Some(clock);
                self.counter = 0;
            }
            (Pending::Continue, Resume::Continue) => {}
            (Pending::Schema(statement, address), Resume::Schema(schema)) => {
                self.bind(plan, statement, address, &schema)?;
            }
            (Pending::Known(question), Resume::Known(known)) => {
                if let Some(warning) = self.learn(plan, *question, known)? {
                    return Ok(self.stop(Step::Warn(warning)));
                }
            }
            (Pending::Answer(into), Resume::Answer(answer)) => {
                if let Some(target) = into {
                    self.store_answer(program, target, answer)?;
                }
            }
            (Pending::Appended(at), Resume::Answer(answer)) => {
                self.append_answer(&program.ops[at], answer)?;
            }
            (Pending::Ended(end), Resume::Ended(ended)) => match ended {
                Ended::Done => self.counter = end,
                Ended::Left(variables) => {
                    self.take_over(plan, &program.ops[self.counter], variables);
                    self.counter = end;
                }
                Ended::Stopped => return Ok(Step::Done { returned: None }),
                Ended::Returned(value) if program.purpose == Purpose::Root => {
                    return Ok(Step::Done {
                        returned: Some(value),
                    });
                }
                Ended::Returned(value) => {
                    return Ok(Step::Leave {
                        returned: Some(value),
                    });
                }
            },
            (pending, resume) => return Err(unexpected(&pending, &resume)),
        }
        self.run(plan, program)
    }

    /// Takes over what the body of a pipeline has set. (What an open FOR shares with a variable, they share no more.)
    fn take_over(&mut self, plan: &Plan, op: &Op, variables: Variables) {
        let Op::RunPipeline { pipeline, .. } = op else {
            return;
        };
        let pipeline = plan.pipeline(*pipeline);
        if !pipeline.changes_variables {
            return;
        }
        let mut slots = variables.slots;
        slots.resize(plan.variables.len(), NULL);
        clear_record(plan.program(pipeline.body), &mut slots);
        self.memory.heap.append(variables.heap, &mut slots);
        self.memory.slots = slots;
    }

    fn start_record(&mut self, program: &Program, record: Record) -> Outcome<()> {
        if record.len() != self.shape.names.len() {
            let message = "the record does not have the columns of its batch";
            return Err(Failure::new("E_FAULT", message).at(Span::default()));
        }
        let row = self.memory.heap.row(&self.shape, record);
        if let Some(slot) = program.record {
            self.memory.slots[slot] = row;
        }
        self.counter = 0;
        Ok(())
    }

    /// Forgets what the record made.
    fn end_record(&mut self, program: &Program) {
        clear_record(program, &mut self.memory.slots);
        self.iterators
            .iter_mut()
            .for_each(|iterator| *iterator = (Vec::new(), 0));
        if program.joining.is_none() {
            self.clean();
        }
    }

    /// Forgets what the records since the last call have made, but for what outlives them.
    pub(super) fn clean(&mut self) {
        if self.memory.escaped {
            self.collect();
            self.memory.base = self.memory.heap.len();
            self.memory.escaped = false;
        } else {
            self.memory.heap.truncate(self.memory.base);
        }
    }

    /// Cleans the heap. Handles move: until the record ends, nothing is known to be older than it.
    fn collect(&mut self) {
        let items = self
            .iterators
            .iter_mut()
            .flat_map(|(items, _)| items.iter_mut());
        let parked = self.parked.iter_mut().flatten().flat_map(Frame::roots);
        let roots = self.memory.slots.iter_mut().chain(items).chain(parked);
        let heap: Heap = self.memory.heap.copy_reachable(roots);
        self.memory.heap = heap;
        self.collect_at = self.collect_least.max(self.memory.heap.len()) * 2;
        self.memory.base = 0;
        self.memory.escaped = true;
    }

    fn run(&mut self, plan: &Plan, program: &Program) -> Outcome<Step> {
        for _ in 0..BUDGET {
            if let Some(warning) = self.memory.warning.take() {
                return Ok(self.stop(Step::Warn(warning)));
            }
            if self.ahead && program.waits_at(self.counter) {
                return Ok(self.stop(Step::Hold));
            }
            if self.memory.heap.len() >= self.collect_at {
                self.collect();
            }
            let repeats = program.repeats[self.counter];
            if repeats {
                self.memory.replaced = Some(Vec::new());
            }
            let next = match self.operation(plan, program, &program.ops[self.counter]) {
                Ok(next) => next,
                Err(error) => match self.memory.knowledge.lacking() {
                    Some(question) => {
                        self.memory.put_back();
                        Next::Stay(self.ask(question))
                    }
                    None => {
                        self.memory.replaced = None;
                        return Err(error);
                    }
                },
            };
            if repeats {
                self.memory.replaced = None;
            }
            match next {
                Next::Advance => self.counter += 1,
                Next::Jump(target) => self.counter = target,
                Next::Stay(step) => return Ok(self.stop(step)),
                Next::Stop(step) => {
                    self.counter += 1;
                    return Ok(self.stop(step));
                }
            }
        }
        Ok(self.stop(Step::Yield))
    }

    /// Remembers which answer a step waits for, unless the operation has done so.
    fn stop(&mut self, step: Step) -> Step {
        match &step {
            Step::Hold
            | Step::Emit(..)
            | Step::Flush
            | Step::Print(_)
            | Step::Warn(_)
            | Step::Sleep(_)
            | Step::Yield => self.pending = Pending::Continue,
            Step::Bind { .. }
            | Step::Ask(_)
            | Step::Call { .. }
            | Step::Run(_)
            | Step::Leave { .. }
            | Step::Done { .. } => {}
        }
        step
    }

    fn operation(&mut self, plan: &Plan, program: &Program, op: &Op) -> Outcome<Next> {
        match op {
            Op::EmitMessage(statement) => self.emit_message(plan, program, *statement),
            Op::EmitRow(statement) => self.emit_row(plan, *statement),
            Op::Assign {
                slot,
                declared,
                value,
            } => {
                let datum = self.memory.evaluate(value)?;
                let datum = convert::coerce(datum, *declared).map_err(|f| f.at(value.span))?;
                self.assign(program, *slot, datum);
                Ok(Next::Advance)
            }
            Op::AssignMember {
                slot,
                steps,
                value,
                span,
            } => {
                self.assign_member(program, *slot, steps, value, *span)?;
                Ok(Next::Advance)
            }
            Op::Fresh(variables) => {
                for (slot, declared) in variables {
                    self.memory.slots[*slot] = Datum::Scalar(convert::default_of(*declared));
                }
                Ok(Next::Advance)
            }
            Op::Override {
                slot,
                declared,
                name,
                span,
                target,
            } => self.take_parameter(program, (*slot, *declared), name, *span, *target),
            Op::Jump(target) => Ok(Next::Jump(*target)),
            Op::JumpUnless(condition, target) => match self.memory.condition(condition)? {
                true => Ok(Next::Advance),
                false => Ok(Next::Jump(*target)),
            },
            Op::Use(place) => self.enter(plan, *place),
            Op::ForBegin {
                iterator,
                collection,
            } => {
                let items = self.items(collection)?;
                let none = items.is_none();
                self.iterators[*iterator] = (items.unwrap_or_default(), 0);
                Ok(if none {
                    over_null(collection)
                } else {
                    Next::Advance
                })
            }
            Op::ForNext {
                iterator,
                slot,
                declared,
                span,
                end,
            } => self.next_item(program, *iterator, (*slot, *declared), *span, *end),
            Op::Call { statement, into } => self.call(plan, *statement, Pending::Answer(*into)),
            Op::Append { statement, .. } => {
                let pending = Pending::Appended(self.counter);
                self.call(plan, *statement, pending)
            }
            _ => self.control(plan, program, op),
        }
    }

    /// Operations that stop the machine, or end the program.
    fn control(&mut self, plan: &Plan, program: &Program, op: &Op) -> Outcome<Next> {
        match op {
            Op::RunLoop { .. } | Op::RunPipeline { .. } | Op::Return(_) | Op::Flush | Op::Done
                if self.undelivered =>
            {
                self.undelivered = false;
                self.sinks.forget_closed();
                Ok(Next::Stay(Step::Flush))
            }
            Op::RunLoop { .. } => self.run_loop(op),
            Op::RunPipeline { pipeline, end } => {
                let source = plan.statement(plan.pipeline(*pipeline).source);
                let address = match source.kind {
                    StatementKind::Consume => None,
                    _ => Some(self.address(source.place, "CONSUME", source.span)?),
                };
                self.pending = Pending::Ended(*end);
                let variables = self.all_variables();
                let run = Run::Pipeline {
                    pipeline: *pipeline,
                    address,
                    variables,
                };
                Ok(Next::Stay(Step::Run(run)))
            }
            Op::Print(value) => {
                let datum = self.memory.evaluate(value)?;
                let line =
                    operate::shown(&self.memory.heap, &datum).map_err(|f| f.at(value.span))?;
                Ok(Next::Stop(Step::Print(line)))
            }
            Op::Sleep(value) => {
                let seconds = self.memory.evaluate(value)?;
                let pause = duration(&seconds).map_err(|f| f.at(value.span))?;
                Ok(Next::Stop(Step::Sleep(pause)))
            }
            Op::Throw(value) => {
                let datum = self.memory.evaluate(value)?;
                let text =
                    operate::shown(&self.memory.heap, &datum).map_err(|f| f.at(value.span))?;
                Err(Failure::new("E_THROW", text).at(value.span))
            }
            Op::Return(value) => {
                let value = value.as_ref().map(|value| self.memory.evaluate_out(value));
                let returned = Some(value.transpose()?.unwrap_or(Value::Null));
                Ok(Next::Stay(match program.purpose {
                    Purpose::Root => Step::Done { returned },
                    Purpose::Body | Purpose::Iteration => Step::Leave { returned },
                }))
            }
            Op::Leave => Ok(Next::Stay(Step::Leave { returned: None })),
            Op::Done => {
                if program.purpose == Purpose::Body {
                    self.end_record(program);
                    self.pending = Pending::Start;
                }
                Ok(Next::Stay(Step::Done { returned: None }))
            }
            _ => Ok(Next::Advance),
        }
    }

    /// Sets a variable. A handle of this record in a variable that outlives it keeps what the record made.
    pub(super) fn assign(&mut self, program: &Program, slot: Slot, datum: Datum) {
        if let Datum::Object(handle) | Datum::Array(handle) = datum
            && !program.is_local[slot]
            && handle as usize >= self.memory.base
        {
            self.memory.escaped = true;
        }
        self.memory.slots[slot] = datum;
    }

    fn assign_member(
        &mut self,
        program: &Program,
        slot: Slot,
        steps: &[PathStep],
        value: &Expr,
        span: Span,
    ) -> Outcome<()> {
        let datum = self.memory.evaluate(value)?;
        let made = self.memory.slots[slot].is_null() && !program.is_local[slot];
        let young = match datum {
            Datum::Object(handle) | Datum::Array(handle) => handle as usize >= self.memory.base,
            Datum::Scalar(_) => false,
        };
        let owner = self.memory.write_path(slot, steps, datum)?;
        let owner = owner.map_err(|failure| failure.at(span))?;
        let old = owner.is_some_and(|owner| (owner as usize) < self.memory.base);
        self.memory.escaped |= made || (young && old);
        Ok(())
    }

    /// A parameter of the run in place of an initialiser.
    fn take_parameter(
        &mut self,
        program: &Program,
        (slot, declared): (Slot, Type),
        name: &str,
        span: Span,
        target: Counter,
    ) -> Outcome<Next> {
        let Some(value) = self.parameters.get(name) else {
            return Ok(Next::Advance);
        };
        let given = match (value, declared) {
            (Value::Text(text), Type::Object | Type::Array) => {
                Value::from_json(text).unwrap_or_else(|_| value.clone())
            }
            _ => value.clone(),
        };
        let datum = self.memory.heap.import(given);
        let cast = crate::program::CastTarget {
            to: declared,
            size: None,
            scale: None,
        };
        let converted = convert::coerce(datum.clone(), declared);
        let converted = converted.or_else(|failure| match datum {
            Datum::Scalar(Value::Text(_)) => convert::cast(datum, cast).map_err(|_| failure),
            _ => Err(failure),
        });
        let datum = converted.map_err(|failure| {
            let message = format!("parameter \"{name}\": {}", failure.message);
            Failure {
                code: "E_PARAM",
                message,
                hint: failure.hint,
            }
            .at(span)
        })?;
        self.assign(program, slot, datum);
        Ok(Next::Jump(target))
    }
}

/// Empties the variables that live for one record.
fn clear_record(program: &Program, slots: &mut [Datum]) {
    for slot in program.locals.iter().chain(&program.record) {
        slots[*slot] = NULL;
    }
}

fn unexpected(pending: &Pending, resume: &Resume) -> Box<super::ScriptError> {
    let resume = match resume {
        Resume::Start(_) => "a start",
        Resume::Record(..) => "a record",
        Resume::Schema(_) => "a schema",
        Resume::Known(_) => "what is known of a name",
        Resume::Answer(_) => "an answer",
        Resume::Ended(_) => "an end",
        Resume::Continue => "a go-ahead",
    };
    let pending = match pending {
        Pending::Start => "its start",
        Pending::Continue => "a go-ahead",
        Pending::Schema(..) => "a schema",
        Pending::Answer(_) | Pending::Appended(_) => "an answer",
        Pending::Ended(_) => "an end",
        Pending::Known(_) => "what is known of a name",
        Pending::Over => "nothing",
    };
    let message = format!("the machine got {resume} while it waited for {pending}");
    Failure::new("E_FAULT", message).at(Span::default())
}

/// SLEEP: seconds, fractions allowed.
fn duration(seconds: &Datum) -> Result<Duration, Failure> {
    let refused = || Failure::of_type("SLEEP takes a number of seconds that is not negative");
    match seconds {
        Datum::Scalar(Value::Integer(seconds)) => u64::try_from(*seconds)
            .map(Duration::from_secs)
            .map_err(|_| refused()),
        Datum::Scalar(Value::Decimal(seconds)) => {
            let scaled = seconds.checked_multiply(dajet_core::Decimal::from(1_000_000_000))?;
            let nanoseconds = scaled.truncate().and_then(|n| u64::try_from(n).ok());
            nanoseconds.map(Duration::from_nanos).ok_or_else(refused)
        }
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests;
