//! Values for the variables of scripts, from `--param` and `--params`.

use std::collections::BTreeMap;
use std::env::VarError;
use std::path::Path;

use dajet_core::diagnostic::nearest;
use dajet_core::{Diagnostic, Span, Value};
use dajet_lang::Plan;
use serde_json::value::RawValue;

use crate::cli::RunArgs;
use crate::error::HostError;
use crate::relaxed;

/// Values as written, by variable name without `@`: JSON from a file, plain text from the command line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    values: BTreeMap<String, Written>,
}

#[derive(Clone, Debug, PartialEq)]
enum Written {
    Text(String),
    Json(String),
}

/// The variables of the process that a script's templates name.
///
/// # Errors
/// Those that are not set, each where the script names it first.
pub fn environment(plan: &Plan) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
    let unset = unset(plan, |span, message| {
        Diagnostic::error("E_URI", span, message)
    });
    match unset.is_empty() {
        true => Ok(known_environment(plan)),
        false => Err(unset),
    }
}

/// Warns of variables of the process that are not set here; they may be where the script runs.
pub fn unset_here(plan: &Plan) -> Vec<Diagnostic> {
    unset(plan, |span, message| {
        Diagnostic::warning("W019", span, message)
    })
}

fn unset(plan: &Plan, make: impl Fn(Span, String) -> Diagnostic) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for name in plan.environment_names() {
        let (text, span) = (&*name.text, name.span);
        found.push(match std::env::var(text) {
            Ok(_) => continue,
            Err(VarError::NotUnicode(_)) => {
                let message = format!("the value of environment variable \"{text}\" is not UTF-8");
                make(span, message)
            }
            Err(VarError::NotPresent) => {
                let message = format!("environment variable \"{text}\" is not set");
                make(span, message).hint(hint(text))
            }
        });
    }
    found
}

/// The nearest name among those that are set.
fn hint(name: &str) -> String {
    let set: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .collect();
    match nearest(name, set.iter().map(String::as_str)) {
        Some(near) => format!("Did you mean \"{near}\"?"),
        None => format!("The address needs it: set {name} for the process that runs the script."),
    }
}

/// Those of the variables of the process that a script's templates name which are set.
pub fn known_environment(plan: &Plan) -> BTreeMap<String, String> {
    let names = plan.environment_names().iter().map(|name| &*name.text);
    names
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
        .collect()
}

/// Reads the parameters of a call; those of the command line are stronger.
///
/// # Errors
/// An unreadable file, a parameter without value.
pub fn read(args: &RunArgs) -> Result<Parameters, HostError> {
    let mut values = BTreeMap::new();
    if let Some(path) = &args.params {
        read_file(path, &mut values)?;
    }
    for pair in &args.param {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            HostError::usage(format!(
                "parameter \"{pair}\" has no value: write name=value"
            ))
        })?;
        values.insert(plain(name), Written::Text(value.to_owned()));
    }
    Ok(Parameters { values })
}

impl Parameters {
    /// Refuses names that none of the scripts declares.
    ///
    /// # Errors
    /// With the nearest name.
    pub fn check<'a>(&self, plans: impl Iterator<Item = &'a Plan>) -> Result<(), HostError> {
        let known: Vec<String> = plans
            .flat_map(Plan::root_variables)
            .map(|v| plain(&v.name))
            .collect();
        match self.values.keys().find(|name| !known.contains(name)) {
            Some(name) => Err(HostError::unknown(
                "parameter",
                name,
                known.iter().map(String::as_str),
            )),
            None => Ok(()),
        }
    }

    /// The values that one script takes.
    ///
    /// # Errors
    /// Text given for an object or array that is no JSON.
    pub fn of(&self, plan: &Plan) -> Result<BTreeMap<String, Value>, HostError> {
        let mut taken = BTreeMap::new();
        for variable in plan.root_variables() {
            let name = plain(&variable.name);
            let Some(written) = self.values.get(&name) else {
                continue;
            };
            let structured = matches!(variable.type_name, "object" | "array");
            let value = match written {
                Written::Text(text) if variable.type_name == "boolean" => boolean(&name, text)?,
                Written::Text(text) if !structured => Value::text(text.as_str()),
                Written::Text(json) | Written::Json(json) => {
                    Value::from_json(json).map_err(|e| {
                        HostError::usage(format!("parameter \"{name}\" is no JSON: {e}"))
                    })?
                }
            };
            taken.insert(variable.name.to_string(), value);
        }
        Ok(taken)
    }
}

/// CAST would take any other text for false, which nobody means on a command line.
fn boolean(name: &str, text: &str) -> Result<Value, HostError> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(Value::Boolean(true)),
        "false" | "0" => Ok(Value::Boolean(false)),
        _ => Err(HostError::usage(format!(
            "parameter \"{name}\" must be true or false, not \"{text}\""
        ))),
    }
}

fn read_file(path: &Path, values: &mut BTreeMap<String, Written>) -> Result<(), HostError> {
    const KIND: &str = "parameters";
    let text = std::fs::read_to_string(path).map_err(|e| HostError::file(KIND, path, e))?;
    let members: BTreeMap<String, Box<RawValue>> =
        relaxed::parse(&text).map_err(|e| HostError::Format {
            kind: KIND,
            path: path.to_owned(),
            message: e.to_string(),
        })?;
    values.extend(
        members
            .into_iter()
            .map(|(name, json)| (plain(&name), Written::Json(json.get().to_owned()))),
    );
    Ok(())
}

fn plain(name: &str) -> String {
    name.trim().trim_start_matches('@').to_owned()
}
