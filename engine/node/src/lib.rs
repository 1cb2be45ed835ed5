//! The host: files, arguments, settings, the log and what people see. The path of a batch does not pass through here: the
//! host starts scripts (`dajet-actors`) with connectors (`dajet-adapters`) and waits for them to end.
//!
//! Not here on purpose: a service that watches a folder; orders by HTTP (the status only tells).

mod board;
mod check;
mod cli;
mod compile;
mod config;
mod error;
mod explain;
mod host;
mod log;
mod mask;
mod parameters;
mod progress;
mod relaxed;
mod render;
mod run;
mod schema;
mod screen;
mod scripts;
mod signals;
mod status;
mod web;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command};
use crate::config::{ConfigArgs, Settings};
use crate::error::{Chain, Exit, HostError};
use crate::screen::Screen;

/// Runs `dajet` with these arguments, the program's name first, and returns what the process is to answer with.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let screen = Screen::new();
    let outcome = cli::normalise(args).and_then(|args| dispatch(args, &screen));
    match outcome {
        Ok(exit) => exit.into(),
        // Whoever reads the output has seen enough.
        Err(HostError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
            Exit::Success.into()
        }
        Err(error) => {
            screen.say(&Chain(&error).to_string());
            error.exit().into()
        }
    }
}

fn dispatch(args: Vec<OsString>, screen: &Screen) -> Result<Exit, HostError> {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Success
            };
            return error.print().map(|()| exit).map_err(HostError::Output);
        }
    };
    match cli.command {
        None => {
            let help = Cli::command().render_long_help().to_string();
            screen
                .out(help.trim_end())
                .map(|()| Exit::Success)
                .map_err(HostError::Output)
        }
        Some(Command::Run { paths, options }) => {
            run::run(&scripts::find(&paths)?, &options, screen)
        }
        Some(Command::Stream { file, options }) => run::run(&[file], &options, screen),
        Some(Command::Check {
            paths,
            connect,
            json,
            config,
        }) => {
            let form = check::Form { connect, json };
            check::check(
                &scripts::find(&paths)?,
                form,
                &settings(&config, screen)?,
                screen,
            )
        }
        Some(Command::Explain {
            file,
            mermaid,
            sql,
            config,
        }) => explain::explain(
            &file,
            explain::Form { mermaid, sql },
            &settings(&config, screen)?,
            screen,
        ),
        Some(Command::Schema {
            address,
            name,
            format,
            config,
        }) => {
            let settings = settings(&config, screen)?;
            schema::schema(&address, name.as_deref(), format, &settings, screen)
        }
        Some(Command::Status {
            address,
            json,
            config,
        }) => {
            let settings = settings(&config, screen)?;
            let address = address.map(|text| status_address(&text)).transpose()?;
            let address = address.or(settings.status).ok_or_else(no_address)?;
            status::status(&address, json, screen)
        }
    }
}

fn status_address(text: &str) -> Result<String, HostError> {
    web::address::parse(text).map_err(|why| {
        // Before it may stand a password.
        let shown = text.rsplit_once('@').map_or(text, |(_, host)| host);
        HostError::usage(format!("status address cannot be \"{shown}\": {why}"))
    })
}

fn no_address() -> HostError {
    HostError::Usage {
        message: "no address of a node is given".to_owned(),
        hint: Some("Write dajet status ADDRESS, or set DAJET_STATUS for both commands.".to_owned()),
    }
}

/// Puts the settings together and starts the log with them.
fn settings(args: &ConfigArgs, screen: &Screen) -> Result<Settings, HostError> {
    // A variable that is no text cannot be one of ours.
    let variables = std::env::vars_os()
        .filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)));
    let (settings, warnings) = config::load(args, variables)?;
    log::start(settings.log_format, &settings.log_level, screen.clone())?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}
