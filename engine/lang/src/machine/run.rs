//! The loop over the operations. Every operation either goes on to another one or stops the machine with a step; an
//! operation whose step was answered by a schema, or that had to deliver first, is run again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dajet_core::{Address, Answer, MessageSpec, Record, Schema, Shape, Span, Value};

use super::convert;
use super::failure::{Failure, Outcome};
use super::heap::{Datum, Heap, NULL};
use super::memory::Memory;
use super::operate;
use super::sinks::{self, Sinks};
use super::variables::Variables;
use super::{Ended, MachineSpec, Resume, Run, Step};
use crate::bind::bind;
use crate::plan::{Detail, MessagePlan, Plan, ProgramId, StatementId};
use crate::program::{
    Counter, Expr, Op, Parallel, PathStep, Place, Program, Purpose, Slot, Target, Type,
};

/// Operations between two yields.
const BUDGET: usize = 10_000;

/// Objects and arrays in the heap before it is cleaned for the first time within one run.
const COLLECT_LEAST: usize = 10_000;

/// What the next [`Resume`] is expected to be.
#[derive(Debug)]
enum Pending {
    /// The start of the program, or the next record.
    Start,
    /// Go on with the present operation.
    Continue,
    /// The schema for a statement.
    Schema(StatementId, Address),
    /// The answer of a statement.
    Answer(Option<Target>),
    /// The end of a run; then go on there.
    Ended(Counter),
    /// Nothing: the program is over.
    Over,
}

/// What an operation does to the loop.
enum Next {
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
    program: ProgramId,
    memory: Memory,
    addresses: Vec<Option<Address>>,
    iterators: Vec<(Vec<Datum>, usize)>,
    counter: Counter,
    pending: Pending,
    shape: Arc<Shape>,
    /// Length of the heap when the record began: what lies behind is forgotten at its end.
    base: usize,
    /// True if something outside of the record holds what the record made, or handles have moved.
    escaped: bool,
    collect_at: usize,
    /// True if something was emitted outside of a source and is not yet delivered.
    undelivered: bool,
    parameters: Arc<BTreeMap<String, Value>>,
    environment: Arc<BTreeMap<String, String>>,
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
        Self {
            program: spec.program,
            memory: Memory {
                slots,
                heap,
                sites: vec![None; plan.sites],
                clock: None,
                random: spec.seed,
            },
            addresses,
            iterators: (0..plan.iterators).map(|_| (Vec::new(), 0)).collect(),
            counter: 0,
            pending: Pending::Start,
            shape: Arc::default(),
            base,
            escaped: false,
            collect_at: base + COLLECT_LEAST,
            undelivered: false,
            parameters: spec.parameters,
            environment: spec.environment,
            sinks: Sinks::new(plan.statements.len()),
        }
    }

    pub(super) fn begin_batch(&mut self, shape: &Arc<Shape>) {
        self.shape = Arc::clone(shape);
        self.sinks.forget_closed();
    }

    /// A copy of the variables that outlive a record (of all, outside of a body).
    pub(super) fn outliving_variables(&self, plan: &Plan) -> Variables {
        let program = plan.program(self.program);
        let mut slots = self.memory.slots.clone();
        if program.purpose == Purpose::Body {
            clear_record(program, &mut slots);
        }
        Variables::copied(slots, &self.memory.heap, &self.addresses)
    }

    fn all_variables(&self) -> Variables {
        Variables::copied(
            self.memory.slots.clone(),
            &self.memory.heap,
            &self.addresses,
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
            (Pending::Answer(into), Resume::Answer(answer)) => {
                if let Some(target) = into {
                    self.store_answer(program, target, answer)?;
                }
            }
            (Pending::Ended(end), Resume::Ended(ended)) => match ended {
                Ended::Done => self.counter = end,
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
        if self.escaped {
            self.collect();
            self.base = self.memory.heap.len();
            self.escaped = false;
        } else {
            self.memory.heap.truncate(self.base);
        }
    }

    /// Cleans the heap. Handles move: until the record ends, nothing is known to be older than it.
    fn collect(&mut self) {
        let items = self
            .iterators
            .iter_mut()
            .flat_map(|(items, _)| items.iter_mut());
        let roots = self.memory.slots.iter_mut().chain(items);
        let heap: Heap = self.memory.heap.copy_reachable(roots);
        self.memory.heap = heap;
        self.collect_at = COLLECT_LEAST.max(self.memory.heap.len()) * 2;
        self.base = 0;
        self.escaped = true;
    }

    fn run(&mut self, plan: &Plan, program: &Program) -> Outcome<Step> {
        for _ in 0..BUDGET {
            if self.memory.heap.len() >= self.collect_at {
                self.collect();
            }
            match self.operation(plan, program, &program.ops[self.counter])? {
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
            Step::Emit(..) | Step::Flush | Step::Print(_) | Step::Sleep(_) | Step::Yield => {
                self.pending = Pending::Continue;
            }
            Step::Bind { .. }
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
                self.iterators[*iterator] = (self.items(collection)?, 0);
                Ok(Next::Advance)
            }
            Op::ForNext {
                iterator,
                slot,
                declared,
                span,
                end,
            } => self.next_item(program, *iterator, (*slot, *declared), *span, *end),
            Op::Call { statement, into } => self.call(plan, *statement, *into),
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
                let address = self.address(source.place, "CONSUME", source.span)?;
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
    fn assign(&mut self, program: &Program, slot: Slot, datum: Datum) {
        if let Datum::Object(handle) | Datum::Array(handle) = datum
            && !program.is_local[slot]
            && handle as usize >= self.base
        {
            self.escaped = true;
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
            Datum::Object(handle) | Datum::Array(handle) => handle as usize >= self.base,
            Datum::Scalar(_) => false,
        };
        let owner = self.memory.write_path(slot, steps, datum)?;
        let owner = owner.map_err(|failure| failure.at(span))?;
        let old = owner.is_some_and(|owner| (owner as usize) < self.base);
        self.escaped |= made || (young && old);
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

    /// `USE`
    fn enter(&mut self, plan: &Plan, place: Place) -> Outcome<Next> {
        let template = &plan.uses[place];
        if template.invariant && self.addresses[place].is_some() {
            return Ok(Next::Advance);
        }
        let text = sinks::resolve(&mut self.memory, &self.environment, template)?;
        if self.addresses[place]
            .as_ref()
            .is_none_or(|old| old.expose() != text)
        {
            self.addresses[place] = Some(Address::new(text));
        }
        Ok(Next::Advance)
    }

    /// The address of a statement's USE.
    fn address(&self, place: Option<Place>, what: &str, span: Span) -> Outcome<Address> {
        place
            .and_then(|place| self.addresses[place].clone())
            .ok_or_else(|| {
                Failure::new("E_BIND", format!("{what} stands outside of USE"))
                    .hint("Put it between USE 'address' and END.")
                    .at(span)
            })
    }

    /// A snapshot of an array; NULL has no items.
    fn items(&mut self, collection: &Expr) -> Outcome<Vec<Datum>> {
        let datum = self.memory.evaluate(collection)?;
        match self.memory.items(&datum) {
            Some(items) => Ok(items.to_vec()),
            None if datum.is_null() => Ok(Vec::new()),
            None => {
                let message = format!("FOR takes an array, not {}", datum.type_name());
                Err(Failure::of_type(message).at(collection.span))
            }
        }
    }

    fn next_item(
        &mut self,
        program: &Program,
        iterator: usize,
        (slot, declared): (Slot, Type),
        span: Span,
        end: Counter,
    ) -> Outcome<Next> {
        let (items, at) = &mut self.iterators[iterator];
        let Some(item) = items.get(*at).cloned() else {
            self.iterators[iterator] = (Vec::new(), 0);
            return Ok(Next::Jump(end));
        };
        *at += 1;
        let item = convert::coerce(item, declared).map_err(|failure| failure.at(span))?;
        self.assign(program, slot, item);
        Ok(Next::Advance)
    }

    fn run_loop(&mut self, op: &Op) -> Outcome<Next> {
        let Op::RunLoop {
            collection,
            slot,
            declared,
            program,
            parallel,
            span,
        } = op
        else {
            return Ok(Next::Advance);
        };
        let items = self.items(collection)?;
        if items.is_empty() {
            return Ok(Next::Advance);
        }
        let parallel = match parallel {
            Parallel::Unbounded => items.len(),
            Parallel::Number(value) => {
                let number = self.memory.evaluate(value)?;
                degree(&number).map_err(|failure| failure.at(value.span))?
            }
        };
        let mut iterations = Vec::with_capacity(items.len());
        for item in items {
            let item = convert::coerce(item, *declared).map_err(|failure| failure.at(*span))?;
            let mut slots = self.memory.slots.clone();
            slots[*slot] = item;
            iterations.push(Variables::copied(slots, &self.memory.heap, &self.addresses));
        }
        self.pending = Pending::Ended(self.counter + 1);
        Ok(Next::Stay(Step::Run(Run::Loop {
            program: *program,
            iterations,
            parallel,
        })))
    }

    /// A statement that is not bound yet asks for the schema.
    fn ask_schema(&mut self, plan: &Plan, statement: StatementId, address: Address) -> Next {
        let tables = plan.statement(statement).tables.clone();
        self.pending = Pending::Schema(statement, address.clone());
        Next::Stay(Step::Bind {
            address,
            statement,
            tables,
        })
    }

    fn bind(
        &mut self,
        plan: &Plan,
        statement: StatementId,
        address: Address,
        schema: &Schema,
    ) -> Outcome<()> {
        match bind(plan, statement, schema) {
            Ok(bound) => {
                self.sinks.remember(statement, address, bound);
                Ok(())
            }
            Err(diagnostics) => {
                let messages: Vec<_> = diagnostics.iter().map(|d| d.message.as_str()).collect();
                let first = diagnostics.first();
                let code = first.map_or("E_BIND", |d| d.code);
                let hint = first.and_then(|d| d.hint.clone());
                let span = first.map_or(plan.statement(statement).span, |d| d.span);
                let mut error = Failure {
                    code,
                    message: messages.join("; "),
                    hint,
                }
                .at(span);
                error.class = dajet_core::ErrorClass::Misconfigured;
                Err(error)
            }
        }
    }

    fn call(&mut self, plan: &Plan, id: StatementId, into: Option<Target>) -> Outcome<Next> {
        let statement = plan.statement(id);
        let what = if statement.writes { "INSERT" } else { "SELECT" };
        let address = self.address(statement.place, what, statement.span)?;
        let Some(bound) = self.sinks.bound(id, &address) else {
            return Ok(self.ask_schema(plan, id, address));
        };
        let bound = Arc::clone(bound);
        let parameters = sinks::parameters(&mut self.memory, statement, &bound)?;
        self.pending = Pending::Answer(into);
        let bound = Arc::clone(&bound.statement);
        Ok(Next::Stop(Step::Call {
            address,
            statement: id,
            bound,
            parameters,
        }))
    }

    fn emit_row(&mut self, plan: &Plan, id: StatementId) -> Outcome<Next> {
        let statement = plan.statement(id);
        let Some(address) = statement
            .place
            .and_then(|place| self.addresses[place].as_ref())
        else {
            self.address(None, "INSERT", statement.span)?;
            return Ok(Next::Advance);
        };
        let Some(bound) = self.sinks.bound(id, address) else {
            let address = address.clone();
            return Ok(self.ask_schema(plan, id, address));
        };
        let record = sinks::parameters(&mut self.memory, statement, bound)?;
        match self.sinks.rows(id) {
            Some(sink) => Ok(Next::Stop(Step::Emit(sink, record))),
            None => Ok(Next::Advance),
        }
    }

    fn emit_message(&mut self, plan: &Plan, program: &Program, id: StatementId) -> Outcome<Next> {
        let statement = plan.statement(id);
        let Detail::Message(message) = &statement.detail else {
            return Ok(Next::Advance);
        };
        let sink = match self.sinks.first_messages(id) {
            Some(sink) if message.invariant => sink,
            _ => {
                let spec = self.message_spec(message)?;
                self.sinks.messages(id, spec)
            }
        };
        let mut record = Record::with_capacity(statement.parameters.len());
        for value in &statement.parameters {
            record.push(self.memory.evaluate_out(value)?);
        }
        self.undelivered = program.purpose != Purpose::Body;
        Ok(Next::Stop(Step::Emit(sink, record)))
    }

    fn message_spec(&mut self, message: &MessagePlan) -> Outcome<MessageSpec> {
        let text = sinks::resolve(&mut self.memory, &self.environment, &message.address)?;
        let mut options = Vec::with_capacity(message.options.len());
        for (name, value) in &message.options {
            options.push((Arc::clone(name), self.memory.evaluate_out(value)?));
        }
        let columns = Arc::clone(&message.columns);
        Ok(MessageSpec {
            address: Address::new(text),
            options,
            columns,
        })
    }

    /// First value, first row or all rows, as the variable's type asks.
    fn store_answer(&mut self, program: &Program, target: Target, answer: Answer) -> Outcome<()> {
        let shape = answer.shape;
        let mut rows = answer.groups.into_iter().next().unwrap_or_default();
        let datum = match target.declared {
            Type::Array if rows.is_empty() => NULL,
            Type::Array => {
                let items = rows
                    .into_iter()
                    .map(|row| self.memory.heap.row(&shape, row))
                    .collect();
                self.memory.heap.array(items)
            }
            _ if rows.is_empty() => NULL,
            Type::Object => self.memory.heap.row(&shape, rows.swap_remove(0)),
            _ => {
                let value = rows.swap_remove(0).into_iter().next().unwrap_or_default();
                let datum = self.memory.heap.import(value);
                convert::coerce(datum, target.declared).map_err(|f| f.at(target.span))?
            }
        };
        self.assign(program, target.slot, datum);
        Ok(())
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
        Resume::Answer(_) => "an answer",
        Resume::Ended(_) => "an end",
        Resume::Continue => "a go-ahead",
    };
    let pending = match pending {
        Pending::Start => "its start",
        Pending::Continue => "a go-ahead",
        Pending::Schema(..) => "a schema",
        Pending::Answer(_) => "an answer",
        Pending::Ended(_) => "an end",
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

/// `MAXDOP n`
fn degree(number: &Datum) -> Result<usize, Failure> {
    match number {
        Datum::Scalar(Value::Integer(0)) => Ok(Run::CORES),
        Datum::Scalar(Value::Integer(n)) if *n < 0 => Ok(Run::CORES_BUT_ONE),
        Datum::Scalar(Value::Integer(n)) => Ok(usize::try_from(*n).unwrap_or(usize::MAX - 1)),
        other => {
            Err(Failure::of_type(format!("MAXDOP takes an integer, not {}", other.type_name())))
        }
    }
}
