//! From the text of a script to a checked plan: the language's own checks, then those of the connectors it names.

use std::collections::BTreeSet;
use std::sync::Arc;

use dajet_core::contract::Usage;
use dajet_core::{
    Address, BrokerSpec, Connector, Connectors, Diagnostic, Environment, MessageSpec, Severity,
    SystemError,
};
use dajet_lang::{Plan, StatementKind, StatementPlan};

use crate::render::Source;
use crate::scripts::ScriptText;

/// A script with everything that is known of it without a database.
pub struct Compiled {
    /// The path as people know it.
    pub name: Arc<str>,
    /// The text.
    pub text: Arc<str>,
    /// The plan; `None` if there is an error.
    pub plan: Option<Arc<Plan>>,
    /// Errors and warnings in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl Compiled {
    /// The script as messages show it.
    pub fn source(&self) -> Source<'_> {
        Source {
            name: &self.name,
            text: &self.text,
        }
    }
}

/// True if one of them is an error.
pub fn has_error(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|d| d.severity == Severity::Error)
}

/// Compiles and checks one script.
pub fn compile(script: ScriptText, connectors: &Connectors) -> Compiled {
    let ScriptText {
        name,
        text,
        unreadable,
    } = script;
    if let Some(diagnostic) = unreadable {
        return Compiled {
            name,
            text,
            plan: None,
            diagnostics: vec![diagnostic],
        };
    }
    let (plan, mut diagnostics) = dajet_lang::compile(&text);
    if let Some(plan) = &plan {
        diagnostics.extend(check_connectors(plan, connectors));
    }
    diagnostics.sort_by_key(|d| d.span.start);
    let plan = plan.filter(|_| !has_error(&diagnostics)).map(Arc::new);
    Compiled {
        name,
        text,
        plan,
        diagnostics,
    }
}

/// Checks the addresses and options that are known before a run.
fn check_connectors(plan: &Plan, connectors: &Connectors) -> Vec<Diagnostic> {
    let mut databases = BTreeSet::new();
    let mut found = Vec::new();
    for statement in plan.statements() {
        // All statements of one USE share its address.
        let database = !statement.kind.is_of_broker();
        if !database || databases.insert(statement.address_span) {
            found.extend(check_statement(statement, connectors));
        }
    }
    found.extend(plan.unknown_members(|start| {
        let connector = connectors.find(&Address::new(start)).ok();
        let members = connector.map(|connector| connector.members);
        members.filter(|members| !members.is_empty())
    }));
    found
}

/// The kinds of addresses that the language knows and no connector has yet.
const LATER: [&str; 3] = ["mssql", "http", "https"];

fn unknown_kind(address: &Address, error: SystemError) -> (&'static str, String) {
    let scheme = address.scheme();
    if LATER.contains(&scheme) {
        let message = format!("addresses of the kind \"{scheme}\" are not supported yet");
        return ("E_UNSUPPORTED", message);
    }
    (error.code, error.message)
}

/// What opening says of the address: nothing connects yet, and the options have their own checks.
fn check_address(
    statement: &StatementPlan,
    connector: &Connector,
    address: &Address,
) -> Option<Diagnostic> {
    let environment = Environment::default();
    let (address, options) = (address.clone(), Vec::new());
    let opened = match statement.kind {
        StatementKind::Produce => {
            let columns = Arc::default();
            let spec = MessageSpec {
                address,
                options,
                columns,
            };
            (connector.sink?)(&spec, &environment).map(drop)
        }
        StatementKind::Consume => {
            let spec = BrokerSpec {
                address,
                options,
                permits: 1,
                target: None,
            };
            let none = |_: &Address| Err(SystemError::fault("no database is opened here"));
            (connector.broker?)(&spec, &environment, &none).map(drop)
        }
        _ => (connector.service?)(&address, &environment).map(drop),
    };
    let error = opened.err().filter(|error| error.code == "E_URI")?;
    let diagnostic = Diagnostic::error(error.code, statement.address_span, error.message);
    Some(diagnostic.maybe_hint(error.hint))
}

fn check_statement(statement: &StatementPlan, connectors: &Connectors) -> Vec<Diagnostic> {
    let Some(address) = statement.address.as_deref().map(Address::new) else {
        return Vec::new();
    };
    let connector = match connectors.find(&address) {
        Ok(connector) => connector,
        Err(error) => {
            let hint = error.hint.clone();
            let (code, message) = unknown_kind(&address, error);
            let diagnostic = Diagnostic::error(code, statement.address_span, message);
            return vec![diagnostic.maybe_hint(hint)];
        }
    };
    let (usage, able, role) = match statement.kind {
        StatementKind::Produce => (Usage::Sink, connector.sink.is_some(), "take messages"),
        StatementKind::Consume => (
            Usage::BrokerSource(statement.targets()),
            connector.broker.is_some(),
            "give messages",
        ),
        _ => (
            Usage::Database,
            connector.service.is_some(),
            "be used as a database",
        ),
    };
    if !able {
        let message = format!("\"{}\" cannot {role}", connector.name);
        return vec![Diagnostic::error("E_URI", statement.address_span, message)];
    }
    let mut found = (connector.check)(usage, statement.span, &statement.options);
    found.extend(check_address(statement, connector, &address));
    found
}
