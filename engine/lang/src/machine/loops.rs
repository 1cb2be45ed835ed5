//! FOR: one after another in place, or side by side as iterations with copies of the variables.

use dajet_core::{Diagnostic, Span, Value};

use super::convert;
use super::failure::{Failure, Outcome};
use super::heap::Datum;
use super::run::{Next, Pending, State};
use super::variables::Variables;
use super::{Run, Step};
use crate::program::{Counter, Expr, Op, Parallel, Program, Slot, Type};

impl State {
    /// A snapshot of an array; none of NULL.
    pub(super) fn items(&mut self, collection: &Expr) -> Outcome<Option<Vec<Datum>>> {
        let datum = self.memory.evaluate(collection)?;
        match self.memory.items(&datum) {
            Some(items) => Ok(Some(items.to_vec())),
            None if datum.is_null() => Ok(None),
            None => {
                let message = format!("FOR takes an array, not {}", datum.type_name());
                Err(Failure::of_type(message).at(collection.span))
            }
        }
    }

    pub(super) fn next_item(
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

    pub(super) fn run_loop(&mut self, op: &Op) -> Outcome<Next> {
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
        let Some(items) = self.items(collection)? else {
            return Ok(over_null(collection));
        };
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
            iterations.push(Variables::copied(
                slots,
                &self.memory.heap,
                &self.memory.addresses,
            ));
        }
        self.pending = Pending::Ended(self.counter + 1);
        Ok(Next::Stay(Step::Run(Run::Loop {
            program: *program,
            iterations,
            parallel,
        })))
    }
}

/// FOR over NULL: no iteration, and a warning.
pub(super) fn over_null(collection: &Expr) -> Next {
    let message = "FOR runs no iteration: its array is null";
    let warning = Diagnostic::warning("W012", collection.span, message);
    Next::Stop(Step::Warn(Box::new(warning)))
}

/// `MAXDOP n`
fn degree(number: &Datum) -> Result<usize, Failure> {
    match number {
        Datum::Scalar(Value::Integer(0)) => Ok(Run::CORES),
        Datum::Scalar(Value::Integer(n)) if *n < 0 => Ok(Run::CORES_BUT_ONE),
        Datum::Scalar(Value::Integer(n)) => Ok(usize::try_from(*n).unwrap_or(usize::MAX - 1)),
        other => Err(Failure::of_type(format!(
            "MAXDOP takes an integer, not {}",
            other.type_name()
        ))),
    }
}
