//! `dajet explain`: what a script does, and the SQL that databases will get.

use std::path::Path;

use dajet_actors::Services;
use dajet_core::contract::Runs;
use dajet_core::{Address, Diagnostic, SystemError, contract};
use dajet_lang::StatementId;

use crate::check::{render_failure, show};
use crate::compile::{Compiled, compile};
use crate::config::Settings;
use crate::error::{Exit, HostError};
use crate::host;
use crate::mask::mask;
use crate::parameters::known_environment;
use crate::render::{self, Report};
use crate::screen::Screen;
use crate::scripts;

/// What is shown.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// As a Mermaid diagram.
    pub mermaid: bool,
    /// The SQL of each statement too.
    pub sql: bool,
}

/// Explains one script.
///
/// # Errors
/// A file that cannot be read.
pub fn explain(
    path: &Path,
    form: Form,
    settings: &Settings,
    screen: &Screen,
) -> Result<Exit, HostError> {
    let compiled = compile(scripts::read(path)?, &host::connectors());
    show(std::slice::from_ref(&compiled), screen);
    let Some(plan) = &compiled.plan else {
        return Ok(Exit::Script);
    };
    let text = if form.mermaid {
        plan.explain_mermaid()
    } else {
        plan.explain()
    };
    screen
        .out(mask(&text).trim_end())
        .map_err(HostError::Output)?;
    if !form.sql {
        return Ok(Exit::Success);
    }
    let services = host::services(settings);
    host::block_on(show_sql(&compiled, &services, screen))?
}

enum Failure {
    System(SystemError),
    Bind(Vec<Diagnostic>),
}

impl From<SystemError> for Failure {
    fn from(error: SystemError) -> Self {
        Failure::System(error)
    }
}

async fn show_sql(
    compiled: &Compiled,
    services: &Services,
    screen: &Screen,
) -> Result<Exit, HostError> {
    let Some(plan) = &compiled.plan else {
        return Ok(Exit::Script);
    };
    let environment = known_environment(plan);
    let mut exit = Exit::Success;
    for (index, statement) in plan.statements().iter().enumerate() {
        let id = StatementId(index as u32);
        if statement.kind.is_of_broker() {
            continue;
        }
        let place = dajet_core::span::position(&compiled.text, statement.span.start);
        let title = format!("\n-- {}:{}:{}", compiled.name, place.line, place.column);
        let Some(address) = plan.address_of(statement, &environment).map(Address::new) else {
            let line = format!("{title}\n-- its address is known only when it runs");
            screen.out(&line).map_err(HostError::Output)?;
            continue;
        };
        match sql(compiled, id, &address, services).await {
            Ok(text) => screen
                .out(&format!("{title}\n{text}"))
                .map_err(HostError::Output)?,
            Err(Failure::System(error)) => {
                exit = exit.max(match error.class.is_mistake(error.code) {
                    true => Exit::Script,
                    false => Exit::RunTime,
                });
                screen.say(&render_failure(compiled, id, &error, screen));
            }
            Err(Failure::Bind(diagnostics)) => {
                exit = exit.max(Exit::Script);
                for diagnostic in &diagnostics {
                    screen.say(&render::terminal(
                        compiled.source(),
                        &Report::from(diagnostic),
                        screen.colour(),
                    ));
                }
            }
        }
    }
    Ok(exit)
}

async fn sql(
    compiled: &Compiled,
    id: StatementId,
    address: &Address,
    services: &Services,
) -> Result<String, Failure> {
    let Some(plan) = &compiled.plan else {
        return Ok(String::new());
    };
    let service = services.open(address)?;
    let schema = service.describe(&plan.statement(id).names()).await?;
    let bound = dajet_lang::bind(plan, id, &schema).map_err(Failure::Bind)?;
    contract::prepare(&*service, &bound.statement)?;
    let runs = match plan.runs_for_a_batch(id) {
        true => Runs::ForABatch,
        false => Runs::Alone,
    };
    Ok(service.text(&bound.statement, runs)?)
}
