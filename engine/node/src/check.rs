//! `dajet check`: all mistakes that can be found without running a script.

use std::collections::BTreeSet;
use std::path::PathBuf;

use dajet_actors::{Services, foresee};
use dajet_core::{Address, Diagnostic, Span, SystemError};
use dajet_lang::StatementId;

use crate::compile::{Compiled, compile, has_error};
use crate::config::Settings;
use crate::error::{Exit, HostError};
use crate::host;
use crate::parameters::{known_environment, unset_here};
use crate::render::{self, Report};
use crate::screen::Screen;
use crate::scripts;

/// What is checked and how it is shown.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// Ask the databases too.
    pub connect: bool,
    /// As a JSON array.
    pub json: bool,
}

/// Checks the scripts and shows what it finds.
///
/// # Errors
/// A file that cannot be read.
pub fn check(
    paths: &[PathBuf],
    form: Form,
    settings: &Settings,
    screen: &Screen,
) -> Result<Exit, HostError> {
    let connectors = host::connectors();
    let mut checked: Vec<_> = scripts::read_all(paths)?
        .into_iter()
        .map(|script| compile(script, &connectors))
        .collect();
    let mut failures = Vec::new();
    let mut unset = false;
    for compiled in &mut checked {
        unset |= inspect(compiled, settings);
    }
    if form.connect {
        let services = host::services(settings);
        host::block_on(connect(&mut checked, &services, &mut failures))??;
    }
    if form.json {
        let array: Vec<_> = checked
            .iter()
            .flat_map(|c| render::json(c.source(), &c.diagnostics))
            .collect();
        screen
            .out(&serde_json::Value::Array(array).to_string())
            .map_err(HostError::Output)?;
    } else {
        show(&checked, screen);
    }
    for failure in &failures {
        screen.say(failure);
    }
    let wrong = checked.iter().any(|c| has_error(&c.diagnostics));
    Ok(if wrong {
        Exit::Script
    } else if form.connect && unset {
        Exit::Usage
    } else if failures.is_empty() {
        Exit::Success
    } else {
        Exit::RunTime
    })
}

/// Shows the diagnostics on the screen.
pub fn show(checked: &[Compiled], screen: &Screen) {
    for compiled in checked {
        for diagnostic in &compiled.diagnostics {
            screen.say(&render::terminal(
                compiled.source(),
                &Report::from(diagnostic),
                screen.colour(),
            ));
        }
    }
}

/// Shows an error that a database answered with, at the place of its statement.
pub fn render_failure(
    compiled: &Compiled,
    statement: StatementId,
    error: &SystemError,
    screen: &Screen,
) -> String {
    let span = compiled
        .plan
        .as_ref()
        .map(|plan| plan.statement(statement).span);
    render_at(compiled, span, error, screen)
}

fn render_at(
    compiled: &Compiled,
    span: Option<Span>,
    error: &SystemError,
    screen: &Screen,
) -> String {
    let report = Report::of_system(error, span);
    render::terminal(compiled.source(), &report, screen.colour())
}

/// Looks at the files that known addresses name. A script that lacks one gets no further. True if variables of the environment
/// are not set.
fn inspect(compiled: &mut Compiled, settings: &Settings) -> bool {
    let Some(plan) = compiled.plan.clone() else {
        return false;
    };
    let warnings = unset_here(&plan);
    let unset = !warnings.is_empty();
    compiled.diagnostics.extend(warnings);
    let environment = known_environment(&plan);
    let databases = plan.statements().iter().filter(|s| !s.kind.is_of_broker());
    let of_statements = databases.map(|s| (plan.address_of(s, &environment), s.address_span));
    let of_names = plan
        .names()
        .iter()
        .map(|name| (plan.address_of_name(name, &environment), name.span));
    let mut seen = BTreeSet::new();
    for (address, span) in of_statements.chain(of_names) {
        let Some(address) = address.filter(|address| seen.insert(address.clone())) else {
            continue;
        };
        // What is wrong with the address itself has been told. Addresses of one place would share the file of the first.
        let Ok(service) = host::services(settings).open(&Address::new(address)) else {
            continue;
        };
        if let Err(error) = service.check_files() {
            let diagnostic = Diagnostic::error(error.code, span, error.message);
            compiled.diagnostics.push(diagnostic.maybe_hint(error.hint));
            compiled.plan = None;
        }
    }
    compiled.diagnostics.sort_by_key(|d| d.span.start);
    unset
}

/// Binds every statement whose address is known; adds what does not fit to the diagnostics.
async fn connect(
    checked: &mut [Compiled],
    services: &Services,
    failures: &mut Vec<String>,
) -> Result<(), HostError> {
    for compiled in checked {
        let Some(plan) = compiled.plan.clone() else {
            continue;
        };
        let found = foresee(&plan, &known_environment(&plan), services).await;
        for (span, error) in &found.failures {
            failures.push(render_at(compiled, Some(*span), error, &Screen::new()));
        }
        compiled.diagnostics.extend(found.diagnostics);
        compiled.diagnostics.sort_by_key(|d| d.span.start);
        if found.unknown_addresses > 0 {
            tracing::warn!(
                script = &*compiled.name,
                "{} statements and names have an address that only a run knows: their names are not checked",
                found.unknown_addresses
            );
        }
    }
    Ok(())
}
