//! Copies of variables: what a pipeline or iteration starts with, and what a batch carries to its commit.

use std::sync::Arc;

use dajet_core::{Address, BrokerSpec, Record, Value};

use super::failure::Outcome;
use super::heap::{Datum, Heap};
use super::knowledge::Knowledge;
use super::memory::Memory;
use super::patterns::Patterns;
use super::sinks::resolve;
use super::{Clock, ScriptError};
use crate::plan::{BrokerPlan, Plan, SourceParameters, SourceStart};
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

    /// True if no other database has been named yet: references can be of this one only.
    pub fn come_from(&self, address: &Address) -> bool {
        self.addresses.iter().flatten().all(|used| used == address)
    }

    /// Gives references other type codes, `of` tells which; those without a type code have none.
    pub fn recode(&mut self, mut of: impl FnMut(i32) -> i32) {
        let slots = self.slots.iter_mut().filter_map(Datum::scalar_mut);
        let references = slots.chain(self.heap.scalars_mut());
        for value in references {
            if let Value::Entity(entity) = value
                && entity.code != 0
            {
                entity.code = of(entity.code);
            }
        }
    }

    /// Evaluates expressions over the variables.
    pub(crate) fn evaluate(
        &self,
        plan: &Plan,
        exprs: &[Expr],
        knowledge: &mut Knowledge,
    ) -> Result<SourceParameters, ScriptError> {
        let mut record = Record::with_capacity(exprs.len());
        if exprs.is_empty() {
            return Ok(SourceParameters::Values(record));
        }
        let mut memory = self.memory(plan, None, 0);
        memory.knowledge = std::mem::take(knowledge);
        let evaluated: Outcome<()> = exprs.iter().try_for_each(|expr| {
            record.push(memory.evaluate_out(expr)?);
            Ok(())
        });
        *knowledge = memory.knowledge;
        match (evaluated, knowledge.lacking()) {
            (Ok(()), _) => Ok(SourceParameters::Values(record)),
            (Err(_), Some(question)) => Ok(SourceParameters::Ask(question)),
            (Err(error), None) => Err(*error),
        }
    }

    fn memory(&self, plan: &Plan, clock: Option<Clock>, random: u64) -> Memory {
        Memory {
            slots: self.slots.clone(),
            heap: self.heap.clone(),
            sites: vec![None; plan.sites],
            clock,
            random,
            base: 0,
            escaped: false,
            patterns: Patterns::default(),
            addresses: self.addresses.clone(),
            knowledge: Knowledge::default(),
            replaced: None,
            warning: None,
        }
    }
}

impl SourceStart<'_> {
    /// Evaluates the address and the options of a source at a broker.
    pub(crate) fn evaluate(
        &self,
        plan: &Plan,
        broker: &BrokerPlan,
    ) -> Result<BrokerSpec, ScriptError> {
        let mut memory = self.variables.memory(plan, Some(self.clock), self.seed);
        let address = resolve(&mut memory, self.environment, &broker.address);
        let address = address.map_err(|error| *error)?;
        let evaluated = broker.options.iter().map(|(name, value)| {
            let value = memory.evaluate_out(value).map_err(|error| *error)?;
            Ok((Arc::clone(name), value))
        });
        let options = evaluated.collect::<Result<_, ScriptError>>()?;
        let target = broker.target.and_then(|place| {
            let resolved = self.variables.addresses.get(place).cloned().flatten();
            // An address without a value is told by the statement that stands there.
            let here = |memory| resolve(memory, self.environment, &plan.uses[place]).ok();
            resolved.or_else(|| here(&mut memory).map(Address::new))
        });
        Ok(BrokerSpec {
            options,
            address: Address::new(address),
            permits: self.permits,
            target,
        })
    }
}
