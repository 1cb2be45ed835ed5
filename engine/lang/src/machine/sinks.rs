//! What a machine has bound and opened: statements by their address, sinks by their address and options.

use std::collections::BTreeMap;
use std::sync::Arc;

use dajet_core::{Address, MessageSpec, Record, Value};

use super::failure::{Failure, Outcome};
use super::memory::Memory;
use super::{SinkId, SinkSpec};
use crate::bind::Bound;
use crate::bind::parts::lost_kind;
use crate::plan::{StatementId, StatementPlan};
use crate::program::{Template, TemplatePart};

/// Most sinks, and most bound forms, of one statement at one time; the one that was used longest ago is given up.
pub(super) const OPEN_MAX: usize = 16;

/// A statement bound at an address.
#[derive(Debug)]
struct BoundAt {
    address: Address,
    bound: Arc<Bound>,
    sink: Option<SinkId>,
}

/// What a machine has bound and opened.
#[derive(Debug, Default)]
pub(super) struct Sinks {
    specs: BTreeMap<SinkId, SinkSpec>,
    next: u32,
    /// Sinks that were given up; still known until the next batch.
    closed: Vec<SinkId>,
    /// For each statement: its sinks, the one used last at the end.
    open: Vec<Vec<SinkId>>,
    /// For each statement: its bound forms, the one used last at the end.
    bound: Vec<Vec<BoundAt>>,
}

impl Sinks {
    pub(super) fn new(statements: usize) -> Self {
        let open = vec![Vec::new(); statements];
        let bound = (0..statements).map(|_| Vec::new()).collect();
        Self {
            open,
            bound,
            ..Self::default()
        }
    }

    pub(super) fn spec(&self, id: SinkId) -> &SinkSpec {
        self.specs
            .get(&id)
            .expect("the id comes from a step of this machine's present batch")
    }

    /// Forgets the sinks that were given up before.
    pub(super) fn forget_closed(&mut self) {
        for id in self.closed.drain(..) {
            self.specs.remove(&id);
        }
    }

    fn add(&mut self, spec: SinkSpec) -> SinkId {
        let id = SinkId(self.next);
        self.next += 1;
        self.specs.insert(id, spec);
        id
    }

    /// The sink of a PRODUCE that cannot change, if it is open.
    pub(super) fn first_messages(&self, statement: StatementId) -> Option<SinkId> {
        self.open[statement.0 as usize].first().copied()
    }

    /// The sink of messages with this address and these options.
    pub(super) fn messages(&mut self, statement: StatementId, spec: MessageSpec) -> SinkId {
        let open = &mut self.open[statement.0 as usize];
        let same = |id: &SinkId| match &self.specs[id] {
            SinkSpec::Messages { spec: old, .. } => *old == spec,
            SinkSpec::Rows { .. } => false,
        };
        if let Some(at) = open.iter().position(same) {
            let id = open.remove(at);
            open.push(id);
            return id;
        }
        if open.len() == OPEN_MAX {
            self.closed.push(open.remove(0));
        }
        let id = self.add(SinkSpec::Messages { statement, spec });
        self.open[statement.0 as usize].push(id);
        id
    }

    /// The bound form of a statement at an address.
    pub(super) fn bound(
        &mut self,
        statement: StatementId,
        address: &Address,
    ) -> Option<&Arc<Bound>> {
        let forms = &mut self.bound[statement.0 as usize];
        let at = forms.iter().rposition(|form| form.address == *address)?;
        if at + 1 != forms.len() {
            let form = forms.remove(at);
            forms.push(form);
        }
        forms.last().map(|form| &form.bound)
    }

    /// The bound form of a statement that was made or used last.
    pub(super) fn latest(&self, statement: StatementId) -> Option<&Bound> {
        let form = self.bound[statement.0 as usize].last()?;
        Some(&form.bound)
    }

    /// The sink of rows for the bound form that was used last.
    pub(super) fn rows(&mut self, statement: StatementId) -> Option<SinkId> {
        let form = self.bound[statement.0 as usize].last()?;
        if form.sink.is_some() {
            return form.sink;
        }
        let (address, bound) = (form.address.clone(), Arc::clone(&form.bound.statement));
        let id = self.add(SinkSpec::Rows {
            statement,
            address,
            bound,
        });
        self.bound[statement.0 as usize].last_mut()?.sink = Some(id);
        Some(id)
    }

    pub(super) fn remember(&mut self, statement: StatementId, address: Address, bound: Bound) {
        let forms = &mut self.bound[statement.0 as usize];
        if forms.len() == OPEN_MAX {
            let form = forms.remove(0);
            self.closed.extend(form.sink);
        }
        forms.push(BoundAt {
            address,
            bound: Arc::new(bound),
            sink: None,
        });
    }
}

/// The parameter record of a bound statement.
pub(super) fn parameters(
    memory: &mut Memory,
    plan: &StatementPlan,
    bound: &Bound,
) -> Outcome<Record> {
    let mut record = Record::with_capacity(bound.statement.parameters);
    for (index, expr) in plan.parameters.iter().enumerate() {
        let value = memory.evaluate_out(expr)?;
        if matches!(value, Value::Object(_) | Value::Array(_)) {
            let message = format!("a database takes no {}", value.type_name());
            let failure = Failure::of_type(message).hint("Use JSON(…) to store it as text.");
            return Err(failure.at(expr.span));
        }
        let value = bound.adapt_one(index, value);
        if bound.lacks_code(index, &value) {
            let what = match value {
                Value::Uuid(_) => "a uuid",
                _ => "this reference",
            };
            let failure = Failure::of_type(format!(
                "{what} has no type code, and the column holds references of several types"
            ));
            let hint = "Make a reference of it: ENTITY('Справочник.Имя', uuid).";
            return Err(failure.hint(hint).at(expr.span));
        }
        if bound.stands_out(index, &value) {
            let failure = Failure::of_type("references of different kinds take turns as one value");
            return Err(failure.at(expr.span));
        }
        if let Some(column) = bound.loses_kind(index, &value) {
            memory.warning = Some(Box::new(lost_kind(column, expr.span)));
        }
        record.push(value);
    }
    record.extend(bound.constants.iter().cloned());
    Ok(record)
}

/// Resolves an address.
pub(super) fn resolve(
    memory: &mut Memory,
    environment: &BTreeMap<String, String>,
    template: &Template,
) -> Outcome<String> {
    let mut text = String::new();
    for part in &template.parts {
        match part {
            TemplatePart::Text(part) => text.push_str(part),
            TemplatePart::Environment { name, span } => match environment.get(&**name) {
                Some(value) => text.push_str(value),
                None => {
                    let message = format!("environment variable \"{name}\" is not set");
                    return Err(Failure::new("E_URI", message).at(*span));
                }
            },
            TemplatePart::Value {
                expr,
                shown,
                encode,
            } => {
                let value = memory.evaluate_out(expr)?;
                if value.is_null() {
                    let message = format!("template {shown} is null");
                    return Err(Failure::new("E_URI", message).at(expr.span));
                }
                let value = value.to_string();
                if *encode {
                    encode_into(&mut text, &value)
                } else {
                    text.push_str(&value)
                }
            }
        }
    }
    if text.trim().is_empty() {
        return Err(Failure::new("E_URI", "the address is empty").at(template.span));
    }
    Ok(text)
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encode_into(text: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
}
