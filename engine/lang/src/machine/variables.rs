//! Copies of variables: what a pipeline or iteration starts with, and what a batch carries to its commit.

use dajet_core::{Address, Record};

use super::ScriptError;
use super::heap::{Datum, Heap};
use super::memory::Memory;
use crate::plan::Plan;
use crate::program::Expr;

/// A deep copy of all the variables that a program can see, and of the resolved addresses around it. What is shared among
/// variables is shared in the copy.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    pub(super) slots: Vec<Datum>,
    pub(super) heap: Heap,
    pub(super) addresses: Vec<Option<Address>>,
}

impl Variables {
    /// Copies what the slots hold.
    pub(super) fn copied(
        mut slots: Vec<Datum>,
        heap: &Heap,
        addresses: &[Option<Address>],
    ) -> Self {
        let heap = heap.copy_reachable(&mut slots);
        Self {
            slots,
            heap,
            addresses: addresses.to_vec(),
        }
    }

    /// Evaluates expressions over the variables.
    pub(crate) fn evaluate(&self, plan: &Plan, exprs: &[Expr]) -> Result<Record, ScriptError> {
        if exprs.is_empty() {
            return Ok(Record::new());
        }
        let mut memory = Memory {
            slots: self.slots.clone(),
            heap: self.heap.clone(),
            sites: vec![None; plan.sites],
            clock: None,
            random: 0,
        };
        exprs
            .iter()
            .map(|expr| memory.evaluate_out(expr).map_err(|error| *error))
            .collect()
    }
}
