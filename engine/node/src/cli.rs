//! The command line: what may be said, and which command it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::config::{ConfigArgs, settings_help};
use crate::error::HostError;
use crate::schema::Format;

const COMMANDS: [&str; 7] = [
    "run", "stream", "check", "explain", "schema", "status", "help",
];

/// Runs scripts that drain queues and deliver the records elsewhere, in order and at least once.
#[derive(Parser, Debug)]
#[command(name = "dajet", version, after_long_help = settings_help(), disable_help_subcommand = false)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Runs scripts together until all have ended; `dajet FILE` is the same
    Run {
        /// Script files, and folders that are searched for *.djs
        #[arg(required = true, value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
        /// How to run.
        #[command(flatten)]
        options: RunArgs,
    },
    /// Runs one script (the older form of `run`)
    Stream {
        /// Script file
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// How to run.
        #[command(flatten)]
        options: RunArgs,
    },
    /// Finds the mistakes in scripts without running them
    Check {
        /// Script files, and folders that are searched for *.djs
        #[arg(required = true, value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
        /// Asks the databases too: names of tables and columns
        #[arg(long)]
        connect: bool,
        /// Prints the mistakes as a JSON array
        #[arg(long)]
        json: bool,
        /// Settings.
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Shows what a script does: its pipelines, what is joined, emitted and called
    Explain {
        /// Script file
        file: PathBuf,
        /// As a Mermaid diagram
        #[arg(long)]
        mermaid: bool,
        /// The SQL of each statement too; asks the databases
        #[arg(long)]
        sql: bool,
        /// Settings.
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Shows the tables of a database by the names that scripts use; with a name, its properties, columns and parts
    Schema {
        /// Address of the database, as scripts write it
        address: String,
        /// A table, or the beginning of names up to a point: Справочник.Номенклатура, Справочник
        name: Option<String>,
        /// text, json, or tsv: a mapping file for ?map=FILE
        #[arg(long, value_enum, default_value_t = Format::Text, hide_possible_values = true)]
        format: Format,
        /// Settings.
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Shows what the scripts of a running node do: a table
    Status {
        /// Where the node answers (its --status): host:port, or a port of this machine [default: the setting Status]
        address: Option<String>,
        /// Prints the JSON of the node as it comes
        #[arg(long)]
        json: bool,
        /// Settings.
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// How to run.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Gives a variable of the script its value, may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub param: Vec<String>,
    /// A JSON file with values of variables; --param is stronger
    #[arg(long, value_name = "FILE")]
    pub params: Option<PathBuf>,
    /// Ends when every source is idle
    #[arg(long)]
    pub until_idle: bool,
    /// Prints the value that the script returns, as JSON
    #[arg(long)]
    pub result: bool,
    /// Answers by HTTP what the scripts do: host:port, or a port that is open to this machine only
    #[arg(long, value_name = "ADDRESS")]
    pub status: Option<String>,
    /// Settings.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Makes `dajet run FILE` of `dajet FILE`.
///
/// # Errors
/// A first word that is neither a command nor a file, and a configuration where a script is meant.
pub fn normalise(args: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>, HostError> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let Some(first) = args.get(1).map(|a| a.to_string_lossy().into_owned()) else {
        return Ok(args);
    };
    if COMMANDS.contains(&first.as_str())
        || ["-h", "--help", "-V", "--version"].contains(&first.as_str())
    {
        return Ok(args);
    }
    if !first.starts_with('-') {
        if first.to_ascii_lowercase().ends_with(".json") {
            return Err(HostError::Usage {
                message: format!("\"{first}\" is a configuration, not a script"),
                hint: Some(format!("Write dajet run FILE --config {first}.")),
            });
        }
        if Path::new(&first).is_dir() {
            return Err(HostError::Usage {
                message: format!("\"{first}\" is a folder, not a script"),
                hint: Some(format!("Write dajet run {first} to run all scripts in it.")),
            });
        }
        if !Path::new(&first).exists() && !first.contains(['.', '/', '\\']) {
            return Err(HostError::unknown(
                "command or script file",
                &first,
                COMMANDS,
            ));
        }
    }
    args.insert(1, "run".into());
    Ok(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &[&str], expected: Result<&[&str], &str>) {
        let found = normalise(args.iter().map(OsString::from))
            .map_err(|e| crate::error::Chain(&e).to_string());
        let expected = expected
            .map(|words| words.iter().map(OsString::from).collect())
            .map_err(str::to_owned);
        assert_eq!(found, expected);
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_file_alone_is_run() {
        check(&["dajet", "a.sql"], Ok(&["dajet", "run", "a.sql"]));
        check(
            &["dajet", "--until-idle", "a.djs"],
            Ok(&["dajet", "run", "--until-idle", "a.djs"]),
        );
        check(
            &["dajet", "check", "a.djs"],
            Ok(&["dajet", "check", "a.djs"]),
        );
        check(&["dajet", "--version"], Ok(&["dajet", "--version"]));
        check(&["dajet"], Ok(&["dajet"]));
    }

    #[test]
    fn a_slip_of_the_pen_is_named() {
        check(
            &["dajet", "chek", "a.djs"],
            Err("error: unknown command or script file \"chek\"\n  hint: Did you mean \"check\"?"),
        );
        check(
            &["dajet", "dajet.json"],
            Err(
                "error: \"dajet.json\" is a configuration, not a script\n  hint: Write dajet run FILE --config \
                 dajet.json.",
            ),
        );
    }
}
