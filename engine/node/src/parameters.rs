//! Values for the variables of scripts, from `--param` and `--params`.

use std::collections::BTreeMap;
use std::path::Path;

use dajet_core::Value;
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
/// One of them is not set.
pub fn environment(plan: &Plan) -> Result<BTreeMap<String, String>, HostError> {
    plan.environment_names()
        .iter()
        .map(|name| {
            let value = std::env::var(&**name).map_err(|_| HostError::Usage {
                message: format!("environment variable \"{name}\" is not set"),
                hint: Some(format!("The script uses it in an address: {{${name}}}.")),
            })?;
            Ok((name.to_string(), value))
        })
        .collect()
}

/// Those of the variables of the process that a script's templates name which are set.
pub fn known_environment(plan: &Plan) -> BTreeMap<String, String> {
    let names = plan.environment_names().iter();
    names
        .filter_map(|name| Some((name.to_string(), std::env::var(&**name).ok()?)))
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
