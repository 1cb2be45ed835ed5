//! `dajet run`: compiles the scripts, gives them their values and runs them together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use dajet_actors::{Arbiters, Observer, Outcome, PipelineError, ScriptSpec, Services};
use dajet_core::span::position;
use dajet_core::{Diagnostic, Severity};
use dajet_lang::Plan;

use crate::board::{Board, Row};
use crate::cli::RunArgs;
use crate::compile::{Compiled, compile};
use crate::config::{LogFormat, Settings};
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
    let voice = Voice {
        screen,
        format: settings.log_format,
    };
    for script in &compiled {
        for diagnostic in &script.diagnostics {
            voice.report(script, &Report::from(diagnostic));
        }
    }
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
        voice: &voice,
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
        let (how, code) = conclude(started[index], end, options.result, &voice);
        voice.say(&watch.finish(how, Instant::now()));
        exit = exit.max(code);
    })?;
    Ok(if signals.interrupted() {
        Exit::Interrupted
    } else {
        exit
    })
}

/// Why a script does not compile, with its place, in one line.
fn first_error(script: &Compiled, diagnostics: &[Diagnostic]) -> String {
    let mut errors = diagnostics.iter();
    let error = errors.find(|d| d.severity == Severity::Error);
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
    voice: &'a Voice<'a>,
}

/// What tells people how it goes. Where the log is JSON, each line on standard error is an object.
struct Voice<'a> {
    screen: &'a Screen,
    format: LogFormat,
}

impl Voice<'_> {
    fn say(&self, text: &str) {
        match self.format {
            LogFormat::Text => self.screen.say(text),
            LogFormat::Json => tracing::info!("{}", text.trim_end()),
        }
    }

    fn fail(&self, text: &str) {
        match self.format {
            LogFormat::Text => self.screen.say(text),
            LogFormat::Json => tracing::error!("{}", text.trim_end()),
        }
    }

    fn report(&self, script: &Compiled, report: &Report<'_>) {
        if self.format == LogFormat::Text {
            let colour = self.screen.colour();
            self.screen
                .say(&render::terminal(script.source(), report, colour));
            return;
        }
        let place = report.span.map(|span| {
            let place = position(&script.text, span.start);
            format!("{}:{}", place.line, place.column)
        });
        let (script, code, hint) = (&*script.name, report.code, report.hint);
        match report.severity {
            Severity::Error => tracing::error!(script, code, place, hint, "{}", report.message),
            Severity::Warning => tracing::warn!(script, code, place, hint, "{}", report.message),
        }
    }
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
                let reason = first_error(script, &script.diagnostics);
                rows.push(Row::refused(script.name.clone(), reason));
                continue;
            };
            let environment = match parameters::environment(plan) {
                Ok(environment) => Arc::new(environment),
                Err(unset) => {
                    for diagnostic in &unset {
                        self.voice.report(script, &Report::from(diagnostic));
                    }
                    let reason = first_error(script, &unset);
                    rows.push(Row::refused(script.name.clone(), reason));
                    *exit = (*exit).max(Exit::Usage);
                    continue;
                }
            };
            match self.spec(script, plan, environment) {
                Ok(spec) => {
                    let row = Row::of_script(spec.name.clone(), spec.observer.clone());
                    rows.push(row.clone());
                    starts.push(Start { spec, row });
                    started.push(script);
                }
                Err(error) => {
                    rows.push(Row::refused(script.name.clone(), causes(&error)));
                    self.voice
                        .fail(&format!("{}: {}", script.name, Chain(&error)));
                    *exit = (*exit).max(error.exit());
                }
            }
        }
        (starts, started, rows)
    }

    fn spec(
        &self,
        script: &Compiled,
        plan: &Arc<Plan>,
        environment: Arc<BTreeMap<String, String>>,
    ) -> Result<ScriptSpec, HostError> {
        let screen = self.voice.screen.clone();
        let name = script.name.clone();
        Ok(ScriptSpec {
            name: script.name.clone(),
            plan: plan.clone(),
            parameters: Arc::new(self.parameters.of(plan)?),
            environment,
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
fn conclude(script: &Compiled, end: End, result: bool, voice: &Voice<'_>) -> (&'static str, Exit) {
    match end {
        End::Outcome(Outcome::Ended { returned }) => {
            let line = returned.filter(|_| result).map(|value| value.to_json());
            match line.map(|line| voice.screen.out(&line)) {
                Some(Err(error)) => {
                    voice.fail(&Chain(&HostError::Output(error)).to_string());
                    ("ended", Exit::RunTime)
                }
                _ => ("ended", Exit::Success),
            }
        }
        End::Outcome(Outcome::Stopped) => ("stopped", Exit::Success),
        End::Outcome(Outcome::GaveUp(error)) => {
            report(script, &error, voice);
            ("gave up", Exit::RunTime)
        }
        End::Outcome(Outcome::Failed(error)) => {
            report(script, &error, voice);
            ("failed", exit_of(&error))
        }
        End::Hung => {
            voice.fail(&format!(
                "error: {} did not end within its grace period",
                script.name
            ));
            ("abandoned", Exit::RunTime)
        }
        End::Lost => {
            voice.fail(&format!("error: {} was lost to a panic", script.name));
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

fn report(script: &Compiled, error: &PipelineError, voice: &Voice<'_>) {
    let diagnostics = error.diagnostics();
    for diagnostic in diagnostics {
        voice.report(script, &Report::from(diagnostic));
    }
    if diagnostics.is_empty() {
        voice.report(script, &Report::of_run_time(error));
    }
}
