//! What goes to databases and brokers: addresses, binding, calls, and what is gathered.

use std::sync::Arc;

use dajet_core::schema::Known;
use dajet_core::{
    Address, Answer, Diagnostic, ErrorClass, MessageSpec, Record, Schema, Severity, Span,
};

use super::Step;
use super::convert;
use super::failure::{Failure, Outcome};
use super::heap::{Datum, NULL};
use super::knowledge::Question;
use super::run::{Next, Pending, State};
use super::sinks;
use crate::bind::bind;
use crate::plan::{Detail, MessagePlan, Plan, StatementId, StatementKind};
use crate::program::{Op, Place, Program, Purpose, Target, Type};

impl State {
    /// `USE`
    pub(super) fn enter(&mut self, plan: &Plan, place: Place) -> Outcome<Next> {
        let template = &plan.uses[place];
        if template.invariant && self.memory.addresses[place].is_some() {
            return Ok(Next::Advance);
        }
        let text = sinks::resolve(&mut self.memory, &self.environment, template)?;
        if self.memory.addresses[place]
            .as_ref()
            .is_none_or(|old| old.expose() != text)
        {
            self.memory.addresses[place] = Some(Address::new(text));
        }
        Ok(Next::Advance)
    }

    /// The address of a statement's USE.
    pub(super) fn address(&self, place: Option<Place>, what: &str, span: Span) -> Outcome<Address> {
        place
            .and_then(|place| self.memory.addresses[place].clone())
            .ok_or_else(|| {
                Failure::new("E_BIND", format!("{what} stands outside of USE"))
                    .hint("Put it between USE 'address' and END.")
                    .at(span)
            })
    }

    /// A statement that is not bound yet asks for the schema.
    pub(super) fn ask_schema(
        &mut self,
        plan: &Plan,
        statement: StatementId,
        address: Address,
    ) -> Next {
        let tables = plan.statement(statement).names();
        self.pending = Pending::Schema(statement, address.clone());
        Next::Stay(Step::Bind {
            address,
            statement,
            tables,
        })
    }

    /// Stops until the database has told what it knows of a name.
    pub(super) fn ask(&mut self, question: Question) -> Step {
        self.pending = Pending::Known(Box::new(question.clone()));
        Step::Ask(question)
    }

    /// Remembers what the database knows. A name that the script writes and nobody knows is a mistake, or worth a warning.
    pub(super) fn learn(
        &mut self,
        plan: &Plan,
        question: Question,
        known: Known,
    ) -> Outcome<Option<Box<Diagnostic>>> {
        let found = plan.judge(&question, &known);
        self.memory.knowledge.learn(question, known);
        match found {
            Some(found) if found.severity == Severity::Error => Err(Failure {
                code: found.code,
                message: found.message,
                hint: found.hint,
            }
            .at(found.span)),
            found => Ok(found.map(Box::new)),
        }
    }

    pub(super) fn bind(
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
                let first = diagnostics.first();
                let code = first.map_or("E_BIND", |d| d.code);
                let message =
                    first.map_or("the statement does not fit the database", |d| &d.message);
                let span = first.map_or(plan.statement(statement).span, |d| d.span);
                let mut error = Failure {
                    code,
                    message: message.to_owned(),
                    hint: first.and_then(|d| d.hint.clone()),
                }
                .at(span);
                error.class = ErrorClass::Misconfigured;
                error.mistakes = diagnostics;
                Err(error)
            }
        }
    }

    pub(super) fn call(&mut self, plan: &Plan, id: StatementId, pending: Pending) -> Outcome<Next> {
        let statement = plan.statement(id);
        let what = match statement.kind {
            StatementKind::Insert => "INSERT",
            StatementKind::Sequence => "SEQUENCE",
            _ => "SELECT",
        };
        let address = self.address(statement.place, what, statement.span)?;
        let Some(bound) = self.sinks.bound(id, &address) else {
            return Ok(self.ask_schema(plan, id, address));
        };
        let bound = Arc::clone(bound);
        let parameters = sinks::parameters(&mut self.memory, statement, &bound)?;
        self.pending = pending;
        let bound = Arc::clone(&bound.statement);
        Ok(Next::Stop(Step::Call {
            address,
            statement: id,
            bound,
            parameters,
        }))
    }

    pub(super) fn emit_row(&mut self, plan: &Plan, id: StatementId) -> Outcome<Next> {
        let statement = plan.statement(id);
        let Some(address) = statement
            .place
            .and_then(|place| self.memory.addresses[place].as_ref())
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

    pub(super) fn emit_message(
        &mut self,
        plan: &Plan,
        program: &Program,
        id: StatementId,
    ) -> Outcome<Next> {
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

    pub(super) fn message_spec(&mut self, message: &MessagePlan) -> Outcome<MessageSpec> {
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
    pub(super) fn store_answer(
        &mut self,
        program: &Program,
        target: Target,
        answer: Answer,
    ) -> Outcome<()> {
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

    /// The rows of an APPEND become a member of the object: an array of them, or the first one or NULL.
    pub(super) fn append_answer(&mut self, op: &Op, answer: Answer) -> Outcome<()> {
        let Op::Append {
            slot, name, single, ..
        } = op
        else {
            return Ok(());
        };
        let shape = answer.shape;
        let rows = answer.groups.into_iter().next().unwrap_or_default();
        let heap = &mut self.memory.heap;
        let mut rows = rows.into_iter();
        let member = match (single, rows.next()) {
            (true, None) => NULL,
            (true, Some(row)) => heap.row(&shape, row),
            (false, first) => {
                let items = first.into_iter().chain(rows);
                let items = items.map(|row| heap.row(&shape, row)).collect();
                heap.array(items)
            }
        };
        if let Datum::Object(object) = self.memory.slots[*slot] {
            self.memory.heap.set_member(object, name, member);
        }
        Ok(())
    }
}
