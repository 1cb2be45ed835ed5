//! Settings of a run: defaults, the configuration file, `DAJET_…` variables and `--set`, each stronger than the one before.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value as Json;

use crate::error::HostError;
use crate::relaxed;
use crate::web::address;

/// Where settings come from, as the command line says it.
#[derive(Args, Debug, Default)]
pub struct ConfigArgs {
    /// Configuration file, TOML or JSON (comments and trailing commas allowed)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets one setting, may be repeated; stronger than DAJET_… variables and the file
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Folder where relative sqlite addresses and file names start [default: the working directory]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
}

/// Layout of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `[time] [level] [script] message`
    Text,
    /// One JSON object per line.
    Json,
}

/// The settings of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What pipelines need.
    pub pipeline: dajet_actors::Settings,
    /// Time-out of one statement.
    pub command_timeout: Duration,
    /// Layout of the log.
    pub log_format: LogFormat,
    /// What is logged: a level, or directives of the form `target=level`.
    pub log_level: String,
    /// Where relative paths start.
    pub root: PathBuf,
    /// Where the status is answered, `host:port`; nowhere if it is missing.
    pub status: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pipeline: dajet_actors::Settings::default(),
            command_timeout: Duration::from_secs(30),
            log_format: LogFormat::Text,
            log_level: "info".to_owned(),
            root: PathBuf::from("."),
            status: None,
        }
    }
}

/// One setting: its name and what it does with a value.
struct Setting {
    name: &'static str,
    default: &'static str,
    meaning: &'static str,
    set: fn(&mut Settings, &str) -> Result<(), String>,
}

/// All settings. The only list of them: file, variables, `--set` and the help text read it.
const SETTINGS: &[Setting] = &[
    Setting {
        name: "IdleDelay",
        default: "1",
        meaning: "seconds between two looks at an empty queue",
        set: |s, v| duration(v).map(|d| s.pipeline.idle_delay = d),
    },
    Setting {
        name: "ErrorDelay",
        default: "60",
        meaning: "longest pause after an error in seconds; the first is 1 s, doubling",
        set: |s, v| duration(v).map(|d| s.pipeline.error_delay = d),
    },
    Setting {
        name: "GiveUpAfter",
        default: "60",
        meaning: "with --until-idle: seconds of errors without a commit, then exit code 1",
        set: |s, v| duration(v).map(|d| s.pipeline.give_up_after = d),
    },
    Setting {
        name: "MaxAttempts",
        default: "unlimited",
        meaning: "attempts at one batch before the script ends with an error",
        set: |s, v| count(v, 1).map(|n| s.pipeline.max_attempts = Some(n)),
    },
    Setting {
        name: "ReadAhead",
        default: "of the source",
        meaning: "batches read before the present one is committed",
        set: |s, v| count(v, 0).map(|n| s.pipeline.read_ahead = Some(n as usize)),
    },
    Setting {
        name: "BatchBytes",
        default: "4MiB",
        meaning: "most bytes of a batch: a number, or with KiB or MiB",
        set: |s, v| bytes(v).map(|n| s.pipeline.batch_bytes = n),
    },
    Setting {
        name: "StopGrace",
        default: "20",
        meaning: "seconds that the batch in progress gets after SIGTERM or SIGINT",
        set: |s, v| duration(v).map(|d| s.pipeline.stop_grace = d),
    },
    Setting {
        name: "CommandTimeout",
        default: "30",
        meaning: "time-out of one database statement in seconds",
        set: |s, v| duration(v).map(|d| s.command_timeout = d),
    },
    Setting {
        name: "LogFormat",
        default: "text",
        meaning: "text or json",
        set: |s, v| log_format(v).map(|f| s.log_format = f),
    },
    Setting {
        name: "LogLevel",
        default: "info",
        meaning: "error, warn, info, debug or trace, or directives like dajet_actors=debug",
        set: |s, v| {
            s.log_level = v.to_owned();
            Ok(())
        },
    },
    Setting {
        name: "Root",
        default: "working directory",
        meaning: "folder where relative sqlite addresses start (--root)",
        set: |s, v| {
            s.root = PathBuf::from(v);
            Ok(())
        },
    },
    Setting {
        name: "Status",
        default: "nowhere",
        meaning: "where run answers what scripts do: host:port, or a port of this machine (--status)",
        set: |s, v| address::parse(v).map(|a| s.status = Some(a)),
    },
];

/// The list of settings, for the help text.
pub fn settings_help() -> String {
    let mut text = String::from(
        "Settings, for --set Name=value, a configuration file, or a variable (IdleDelay is DAJET_IDLE_DELAY).\n\
         --set is stronger than a variable, a variable is stronger than the file:\n",
    );
    for setting in SETTINGS {
        text.push_str(&format!(
            "  {:<15} {} [{}]\n",
            setting.name, setting.meaning, setting.default
        ));
    }
    text.push_str(
        "\nExit codes: 0 success, 1 run-time error, 2 wrong call or configuration,\n\
         3 script does not compile or bind, 130 interrupted.",
    );
    text
}

/// Puts the settings together. The second value are warnings.
///
/// # Errors
/// An unreadable file, an unknown name, a value that does not fit.
pub fn load(
    args: &ConfigArgs,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<(Settings, Vec<String>), HostError> {
    let mut settings = Settings::default();
    if let Some(path) = &args.config {
        apply_file(&mut settings, path)?;
    }
    let warnings = apply_variables(&mut settings, variables)?;
    for pair in &args.set {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            HostError::usage(format!("setting \"{pair}\" has no value: write Name=value"))
        })?;
        apply(&mut settings, name.trim(), value.trim())?;
    }
    if let Some(root) = &args.root {
        settings.root.clone_from(root);
    }
    if !settings.root.is_dir() {
        return Err(HostError::usage(format!(
            "root \"{}\" is not a folder",
            settings.root.display()
        )));
    }
    Ok((settings, warnings))
}

fn apply(settings: &mut Settings, name: &str, value: &str) -> Result<(), HostError> {
    let setting = SETTINGS
        .iter()
        .find(|s| s.name == name)
        .ok_or_else(|| HostError::unknown("setting", name, SETTINGS.iter().map(|s| s.name)))?;
    (setting.set)(settings, value)
        .map_err(|why| HostError::usage(format!("setting \"{name}\" cannot be \"{value}\": {why}")))
}

fn apply_file(settings: &mut Settings, path: &Path) -> Result<(), HostError> {
    const KIND: &str = "configuration";
    let text = std::fs::read_to_string(path).map_err(|e| HostError::file(KIND, path, e))?;
    let malformed = |message: String| HostError::Format {
        kind: KIND,
        path: path.to_owned(),
        message,
    };
    let entries: serde_json::Map<String, Json> = if path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("json"))
    {
        relaxed::parse(&text).map_err(|e| malformed(e.to_string()))?
    } else {
        config::Config::builder()
            .add_source(config::File::from_str(&text, config::FileFormat::Toml))
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|e| malformed(one_line(&e.to_string())))?
    };
    for (name, value) in entries {
        let value = scalar(&value).ok_or_else(|| {
            malformed(format!(
                "setting \"{name}\" is neither a number nor a text nor a boolean"
            ))
        })?;
        apply(settings, &name, &value)?;
        if name == "Root" && settings.root.is_relative() {
            settings.root = path.parent().unwrap_or(Path::new("")).join(&settings.root);
        }
    }
    Ok(())
}

/// How variables begin that are for the project's own tests and servers.
const FOREIGN: [&str; 2] = ["DAJET_TEST_", "DAJET_SERVICES_"];

fn apply_variables(
    settings: &mut Settings,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<String>, HostError> {
    let mut warnings = Vec::new();
    for (variable, value) in variables {
        let ours = variable.starts_with("DAJET_");
        if !ours || FOREIGN.iter().any(|prefix| variable.starts_with(prefix)) {
            continue;
        }
        match SETTINGS.iter().find(|s| variable_of(s.name) == variable) {
            Some(setting) => (setting.set)(settings, &value).map_err(|why| {
                HostError::usage(format!("variable {variable} cannot be \"{value}\": {why}"))
            })?,
            None => warnings.push(format!("variable {variable} means no setting")),
        }
    }
    warnings.sort();
    Ok(warnings)
}

/// `IdleDelay` is `DAJET_IDLE_DELAY`.
fn variable_of(name: &str) -> String {
    let mut variable = String::from("DAJET");
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            variable.push('_');
        }
        variable.push(c.to_ascii_uppercase());
    }
    variable
}

fn scalar(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn one_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Longest duration that a setting may have; the sum of some of them must not overflow.
const SECONDS_MAX: f64 = 1e9;

fn duration(value: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = value
        .parse()
        .ok()
        .filter(|s| (0.0..=SECONDS_MAX).contains(s));
    seconds
        .and_then(|s| Duration::try_from_secs_f64(s).ok())
        .ok_or_else(|| format!("it must be a number of seconds, at most {SECONDS_MAX}"))
}

fn count(value: &str, least: u32) -> Result<u32, String> {
    value
        .parse()
        .ok()
        .filter(|n| *n >= least)
        .ok_or_else(|| format!("it must be a whole number from {least}"))
}

fn bytes(value: &str) -> Result<usize, String> {
    let (digits, unit) = match value.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => (&value[..at], value[at..].trim()),
        None => (value, ""),
    };
    let factor: usize = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => 0,
    };
    digits
        .parse::<usize>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
        .filter(|n| *n > 0)
        .ok_or_else(|| "it must be a number of bytes, or of KiB or MiB".to_owned())
}

fn log_format(value: &str) -> Result<LogFormat, String> {
    match value {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("it must be text or json".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_for_test(
        file: Option<(&str, &str)>,
        variables: &[(&str, &str)],
        set: &[&str],
    ) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let config = file.map(|(name, text)| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        });
        let args = ConfigArgs {
            config,
            set: set.iter().map(|s| (*s).to_owned()).collect(),
            root: None,
        };
        let variables = variables
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        load(&args, variables)
            .map(|(settings, _)| settings)
            .map_err(|e| crate::error::Chain(&e).to_string())
    }

    #[test]
    fn a_stronger_source_wins() {
        let file = Some((
            "dajet.toml",
            "IdleDelay = 2\nErrorDelay = 3.5\nLogFormat = \"json\"\n",
        ));
        let settings = load_for_test(
            file,
            &[("DAJET_ERROR_DELAY", "4"), ("DAJET_STOP_GRACE", "5")],
            &["StopGrace=6"],
        );
        let settings = settings.unwrap();
        assert_eq!(settings.pipeline.idle_delay, Duration::from_secs(2));
        assert_eq!(settings.pipeline.error_delay, Duration::from_secs(4));
        assert_eq!(settings.pipeline.stop_grace, Duration::from_secs(6));
        assert_eq!(settings.log_format, LogFormat::Json);
    }

    #[test]
    fn json_may_hold_comments_and_trailing_commas() {
        let file = Some((
            "dajet.json",
            "{\n // пояснение\n \"BatchBytes\": \"2MiB\", /* x */ \"MaxAttempts\": 3,\n}",
        ));
        let settings = load_for_test(file, &[], &[]).unwrap();
        assert_eq!(settings.pipeline.batch_bytes, 2 << 20);
        assert_eq!(settings.pipeline.max_attempts, Some(3));
    }

    #[test]
    fn unknown_names_are_refused_with_the_nearest() {
        let error = load_for_test(Some(("dajet.toml", "IdelDelay = 2")), &[], &[]).unwrap_err();
        assert_eq!(
            error,
            "error: unknown setting \"IdelDelay\"\n  hint: Did you mean \"IdleDelay\"?"
        );
        let error = load_for_test(None, &[], &["ReadAhed=1"]).unwrap_err();
        assert!(error.contains("ReadAhead"), "{error}");
    }

    #[test]
    fn an_unknown_variable_is_a_warning() {
        let variables = [
            ("DAJET_IDEL_DELAY", "1"),
            ("DAJET_TEST_PGSQL", "x"),
            ("DAJET_SERVICES_DIR", "x"),
            ("HOME", "/"),
        ];
        let variables = variables.map(|(n, v)| (n.to_owned(), v.to_owned()));
        let (_, warnings) = load(&ConfigArgs::default(), variables).unwrap();
        assert_eq!(warnings, ["variable DAJET_IDEL_DELAY means no setting"]);
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        for pair in [
            "IdleDelay=soon",
            "IdleDelay=-1",
            "StopGrace=1e30",
            "StopGrace=NaN",
            "MaxAttempts=0",
            "BatchBytes=2GB",
            "LogFormat=xml",
            "ReadAhead",
            "Status=host",
        ] {
            let error = load_for_test(None, &[], &[pair]).unwrap_err();
            assert!(error.starts_with("error: setting \""), "{error}");
        }
        let error = load_for_test(Some(("dajet.toml", "IdleDelay = [1]")), &[], &[]).unwrap_err();
        assert!(error.contains("neither a number"), "{error}");
        let error = load_for_test(Some(("dajet.toml", "IdleDelay = ")), &[], &[]).unwrap_err();
        assert!(
            error.starts_with("error: cannot read configuration"),
            "{error}"
        );
    }
}
