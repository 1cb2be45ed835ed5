//! Mistakes of the caller and of the host itself, and what the process answers with.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dajet_core::diagnostic::nearest;
use dajet_core::{Address, SystemError};

use crate::mask::mask;

/// The process's exit code. Of several scripts the highest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Everything ended well, or was stopped in an orderly way.
    Success = 0,
    /// A run-time error.
    RunTime = 1,
    /// A wrong call or a wrong configuration.
    Usage = 2,
    /// A script that cannot be compiled or bound.
    Script = 3,
    /// Ended by SIGINT.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// A mistake of the caller, or a failure of the host before any script runs.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A wrong argument, setting or parameter.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// A full sentence that says what to do.
        hint: Option<String>,
    },
    /// A file or folder that cannot be read.
    #[error("cannot read {kind} \"{}\"", path.display())]
    File {
        /// What the file is: `script`, `configuration`, …
        kind: &'static str,
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
        /// A full sentence that says what to do.
        hint: Option<String>,
    },
    /// A configuration or parameter file that is not well-formed.
    #[error("cannot read {kind} \"{}\": {message}", path.display())]
    Format {
        /// What the file is.
        kind: &'static str,
        /// Its path.
        path: PathBuf,
        /// Where and why, on one line.
        message: String,
    },
    /// The host cannot start.
    #[error("cannot start {what}")]
    Start {
        /// What was to be started.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The status cannot be answered at this address.
    #[error("cannot listen at \"{address}\"")]
    Listen {
        /// `host:port`.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// A node cannot be asked.
    #[error("cannot get the status of the node at \"{address}\"")]
    Unreachable {
        /// `host:port`.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// A database cannot be asked for its tables.
    #[error("cannot read the schema of \"{address}\"")]
    Database {
        /// Its address; prints masked.
        address: Address,
        /// Why.
        source: SystemError,
    },
    /// Standard output cannot be written.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl HostError {
    /// Makes a usage error.
    pub fn usage(message: impl Into<String>) -> Self {
        HostError::Usage {
            message: message.into(),
            hint: None,
        }
    }

    /// Makes a usage error about an unknown name, with the nearest known one.
    pub fn unknown<'a>(kind: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        HostError::Usage {
            message: format!("unknown {kind} \"{name}\""),
            hint: nearest(name, known).map(|near| format!("Did you mean \"{near}\"?")),
        }
    }

    /// Makes an error about a file; if it is missing, with the nearest name in its folder.
    pub fn file(kind: &'static str, path: &Path, source: io::Error) -> Self {
        let hint = (source.kind() == io::ErrorKind::NotFound)
            .then(|| nearest_file(path))
            .flatten();
        HostError::File {
            kind,
            path: path.to_owned(),
            source,
            hint,
        }
    }

    /// The exit code that this error means.
    pub fn exit(&self) -> Exit {
        match self {
            HostError::Start { .. } | HostError::Output(_) | HostError::Unreachable { .. } => {
                Exit::RunTime
            }
            HostError::Database { source, .. } if source.code != "E_URI" => Exit::RunTime,
            _ => Exit::Usage,
        }
    }

    /// The hint, a full sentence.
    pub fn hint(&self) -> Option<&str> {
        match self {
            HostError::Usage { hint, .. } | HostError::File { hint, .. } => hint.as_deref(),
            HostError::Database { source, .. } => source.hint.as_deref(),
            HostError::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("Another process listens there. Choose another port by --status.")
            }
            HostError::Unreachable { source, .. }
                if source.kind() == io::ErrorKind::ConnectionRefused =>
            {
                Some("A node answers there if it was started by dajet run … --status ADDRESS.")
            }
            _ => None,
        }
    }
}

/// The error and its causes on one line; a cause that the text holds already is left out.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// The error with its chain of causes on one line, and the hint on a second one.
pub struct Chain<'a>(pub &'a HostError);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", mask(&causes(self.0)))?;
        match self.0.hint() {
            Some(hint) => write!(f, "\n  hint: {}", mask(hint)),
            None => Ok(()),
        }
    }
}

fn nearest_file(path: &Path) -> Option<String> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let wanted = path.file_name()?.to_str()?;
    // A link that leads nowhere has the name, and no file.
    let others = names.iter().map(String::as_str).filter(|n| *n != wanted);
    let near = nearest(wanted, others)?;
    Some(format!(
        "Did you mean \"{}\"?",
        path.with_file_name(near).display()
    ))
}
