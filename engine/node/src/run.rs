//! `dajet run`: compiles the scripts, gives them their values and runs them together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use dajet_actors::{Arbiters, Observer, Outcome, PipelineError, ScriptSpec, Services};
use dajet_core::Severity;
use dajet_core::span::position;
use dajet_lang::Plan;

use crate::board::{Board, Row};
use crate::check::show;
use crate::cli::RunArgs;
use crate::compile::{Compiled, compile};
use crate::config::Settings;
use crate::error::{Chain, Exit, HostError, causes};
use crate::host::{self, End, Node, Start, Surroundings};
use crate::parameters::{self, Parameters};
use crate::render::{self, Report};
use crate::screen::Screen;
use crate::scripts;
use crate::signals::Signals;
use crate::web;

/// Runs the scripts until all have ended; returns the highest exit code of them.
///
/// # Errors
/// A wrong call: then none of them is started.
pub fn run(paths: &[PathBuf], options: &RunArgs, screen: &Screen) -> Result<Exit, HostError> {
    let mut settings = crate::settings(&options.config, screen)?;
    settings.pipeline.until_idle = options.until_idle;
    if let Some(text) = &options.status {
        settings.status = Some(crate::status_address(text)?);
    }
    let status = settings.status.as_deref().map(web::listen).transpose()?;
    let parameters = parameters::read(options)?;
    let connectors = host::connectors();
    let compiled: Vec<_> = scripts::read_all(paths)?
        .into_iter()
        .map(|script| compile(script, &connectors))
        .collect();
    show(&compiled, screen);
    let plans = || compiled.iter().filter_map(|c| c.plan.as_deref());
    // With a script that does not compile nobody knows its variables.
    if compiled.iter().all(|c| c.plan.is_some()) {
        parameters.check(plans())?;
    }
    let mut exit = if plans().count() < compiled.len() {
        Exit::Script
    } else {
        Exit::Success
    };
    let node = Node::start()?;
    let call = Call {
        settings: &settings,
        parameters: &parameters,
        services: host::services(&settings),
        arbiters: node.arbiters(),
        screen,
    };
    let (starts, started, rows) = call.prepare(&compiled, &mut exit);
    if starts.is_empty() {
        return Ok(exit);
    }
    let signals = Signals::default();
    let surroundings = Surroundings {
        settings: &settings,
        screen,
        signals: &signals,
        board: Arc::new(Board::new(rows, signals.stop.clone())),
    };
    node.run(starts, status, &surroundings, |index, end, watch| {
        let (how, code) = conclude(started[index], end, options.result, screen);
        screen.say(&watch.finish(how, Instant::now()));
        exit = exit.max(code);
    })?;
    Ok(if signals.interrupted() {
        Exit::Interrupted
    } else {
        exit
    })
}

/// Why a script does not compile, with its place, in one line.
fn first_error(script: &Compiled) -> String {
    let error = script
        .diagnostics
        .iter()
        .find(|d| d.severity == Severity::Error);
    error.map_or_else(
        || "the script does not compile".to_owned(),
        |error| {
            let place = position(&script.text, error.span.start);
            let (line, column) = (place.line, place.column);
            format!("{} at {line}:{column}: {}", error.code, error.message)
        },
    )
}

/// What all scripts of a call share.
struct Call<'a> {
    settings: &'a Settings,
    parameters: &'a Parameters,
    services: Services,
    arbiters: Arbiters,
    screen: &'a Screen,
}

impl Call<'_> {
    /// Makes what is started of the scripts, in their order: the starts, their scripts, and a place on the board for every script.
    fn prepare<'s>(
        &self,
        scripts: &'s [Compiled],
        exit: &mut Exit,
    ) -> (Vec<Start>, Vec<&'s Compiled>, Vec<Arc<Row>>) {
        let (mut starts, mut started, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for script in scripts {
            let Some(plan) = &script.plan else {
                rows.push(Row::refused(script.name.clone(), first_error(script)));
                continue;
            };
            match self.spec(script, plan) {
                Ok(spec) => {
                    let row = Row::of_script(spec.name.clone(), spec.observer.clone());
                    rows.push(row.clone());
                    starts.push(Start { spec, row });
                    started.push(script);
                }
                Err(error) => {
                    rows.push(Row::refused(script.name.clone(), causes(&error)));
                    self.screen
                        .say(&format!("{}: {}", script.name, Chain(&error)));
                    *exit = (*exit).max(error.exit());
                }
            }
        }
        (starts, started, rows)
    }

    fn spec(&self, script: &Compiled, plan: &Arc<Plan>) -> Result<ScriptSpec, HostError> {
        let screen = self.screen.clone();
        let name = script.name.clone();
        Ok(ScriptSpec {
            name: script.name.clone(),
            plan: plan.clone(),
            parameters: Arc::new(self.parameters.of(plan)?),
            environment: Arc::new(parameters::environment(plan)?),
            settings: self.settings.pipeline.clone(),
            services: self.services.clone(),
            arbiters: self.arbiters.clone(),
            print: Arc::new(move |line: &str| {
                if let Err(error) = screen.out(line) {
                    tracing::warn!(script = &*name, %error, "cannot print a line");
                }
            }),
            observer: Observer::new(),
        })
    }
}

/// Tells how a script ended: in a word for the summary, and as an exit code.
fn conclude(script: &Compiled, end: End, result: bool, screen: &Screen) -> (&'static str, Exit) {
    match end {
        End::Outcome(Outcome::Ended { returned }) => {
            let line = returned.filter(|_| result).map(|value| value.to_json());
            match line.map(|line| screen.out(&line)) {
                Some(Err(error)) => {
                    screen.say(&Chain(&HostError::Output(error)).to_string());
                    ("ended", Exit::RunTime)
                }
                _ => ("ended", Exit::Success),
            }
        }
        End::Outcome(Outcome::Stopped) => ("stopped", Exit::Success),
        End::Outcome(Outcome::GaveUp(error)) => {
            report(script, &error, screen);
            ("gave up", Exit::RunTime)
        }
        End::Outcome(Outcome::Failed(error)) => {
            report(script, &error, screen);
            ("failed", exit_of(&error))
        }
        End::Hung => {
            screen.say(&format!(
                "error: {} did not end within its grace period",
                script.name
            ));
            ("abandoned", Exit::RunTime)
        }
        End::Lost => {
            screen.say(&format!("error: {} was lost to a panic", script.name));
            ("lost", Exit::RunTime)
        }
    }
}

/// What an error means that ended a script outside of a source, or at its first bind.
fn exit_of(error: &PipelineError) -> Exit {
    match error {
        // The machine says so of a value of `--param` only.
        PipelineError::Script { error, .. } if error.code == "E_PARAM" => Exit::Usage,
        _ if error.is_mistake() => Exit::Script,
        _ => Exit::RunTime,
    }
}

fn report(script: &Compiled, error: &PipelineError, screen: &Screen) {
    let diagnostics = error.diagnostics();
    for diagnostic in diagnostics {
        screen.say(&render::terminal(
            script.source(),
            &Report::from(diagnostic),
            screen.colour(),
        ));
    }
    if diagnostics.is_empty() {
        screen.say(&render::terminal(
            script.source(),
            &Report::of_run_time(error),
            screen.colour(),
        ));
    }
}
