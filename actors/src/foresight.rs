//! What databases say of a script before it runs: statements and names whose addresses are known are bound and looked up, and
//! nothing is written. What only a run knows is bound when it is first needed.

use std::collections::{BTreeMap, BTreeSet};

use dajet_core::schema::MetadataKey;
use dajet_core::{Address, Diagnostic, ErrorClass, Severity, Span, SystemError, contract};
use dajet_lang::{NamePlan, Plan, StatementId};

use crate::error::PipelineError;
use crate::services::Services;

/// What is found.
#[derive(Debug, Default)]
pub struct Foresight {
    /// What does not fit, and what deserves a look.
    pub diagnostics: Vec<Diagnostic>,
    /// What could not be asked, and for which place of the script. A database that does not answer is asked once.
    pub failures: Vec<(Span, SystemError)>,
    /// Statements and names whose addresses only a run knows.
    pub unknown_addresses: usize,
    /// Statements that fit.
    pub(crate) bound: Vec<StatementId>,
    silent: BTreeSet<Address>,
}

/// Binds every statement and looks up every name whose address is known.
pub async fn foresee(
    plan: &Plan,
    environment: &BTreeMap<String, String>,
    services: &Services,
) -> Foresight {
    let mut found = Foresight::default();
    for (index, statement) in plan.statements().iter().enumerate() {
        if statement.kind.is_of_broker() {
            continue;
        }
        let id = StatementId(index as u32);
        if let Some(address) = found.known(plan.address_of(statement, environment)) {
            let answer = bind(plan, id, &address, services).await;
            found.note(address, statement.span, answer);
        }
    }
    for name in plan.names() {
        if let Some(address) = found.known(plan.address_of_name(name, environment)) {
            let answer = judge(name, &address, services).await;
            found.note(address, name.span, answer);
        }
    }
    found.diagnostics.sort_by_key(|found| found.span.start);
    found
}

impl Foresight {
    /// The address, if it is known and its database answers.
    fn known(&mut self, address: Option<String>) -> Option<Address> {
        let Some(address) = address.map(Address::new) else {
            self.unknown_addresses += 1;
            return None;
        };
        (!self.silent.contains(&address)).then_some(address)
    }

    fn note(&mut self, address: Address, span: Span, answer: Result<Answer, SystemError>) {
        match answer {
            Ok(answer) => {
                self.diagnostics.extend(answer.diagnostics);
                self.bound.extend(answer.bound);
            }
            Err(error) => {
                if error.class == ErrorClass::Transient {
                    self.silent.insert(address);
                }
                self.failures.push((span, error));
            }
        }
    }

    /// The mistakes of the author, as the error that they are.
    pub(crate) fn mistakes(&mut self) -> Result<(), PipelineError> {
        let mistake = |found: &Diagnostic| {
            found.severity == Severity::Error && ErrorClass::Misconfigured.is_mistake(found.code)
        };
        let diagnostics = std::mem::take(&mut self.diagnostics);
        let diagnostics: Vec<_> = diagnostics.into_iter().filter(mistake).collect();
        match diagnostics.is_empty() {
            true => Ok(()),
            false => Err(PipelineError::Bind { diagnostics }),
        }
    }
}

/// What is said of a statement or a name.
#[derive(Default)]
struct Answer {
    diagnostics: Vec<Diagnostic>,
    bound: Option<StatementId>,
}

/// Asks the database for a name of its metadata.
async fn judge(
    name: &NamePlan,
    address: &Address,
    services: &Services,
) -> Result<Answer, SystemError> {
    let service = services.open(address)?;
    let key = MetadataKey::Name(name.name.clone());
    let known = contract::look_up(&*service, &key).await?;
    Ok(Answer {
        diagnostics: name.judge(&known).into_iter().collect(),
        bound: None,
    })
}

/// Asks the database for the tables of a statement, binds it and prepares it.
async fn bind(
    plan: &Plan,
    id: StatementId,
    address: &Address,
    services: &Services,
) -> Result<Answer, SystemError> {
    let statement = plan.statement(id);
    let service = services.open(address)?;
    let mistake = |error: SystemError| match error.class.is_mistake(error.code) {
        true => {
            let diagnostic = Diagnostic::error(error.code, statement.span, error.message);
            Ok(vec![diagnostic.maybe_hint(error.hint)])
        }
        false => Err(error),
    };
    let refused = |diagnostics| Answer {
        diagnostics,
        bound: None,
    };
    let schema = match service.describe(&statement.names()).await {
        Ok(schema) => schema,
        Err(error) => return mistake(error).map(refused),
    };
    let bound = match dajet_lang::bind(plan, id, &schema) {
        Ok(bound) => bound,
        Err(diagnostics) => return Ok(refused(diagnostics)),
    };
    match contract::prepare(&*service, &bound.statement) {
        Ok(()) => Ok(Answer {
            diagnostics: bound.warnings,
            bound: Some(id),
        }),
        Err(error) => mistake(error).map(refused),
    }
}
