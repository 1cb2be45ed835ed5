//! What can be wrong with metadata.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use dajet_core::SystemError;
use dajet_core::schema::fold;
use uuid::Uuid;

use super::bracket::Broken;

/// Why metadata cannot be read.
#[derive(Debug)]
pub enum MetadataError {
    /// The database did not answer.
    Store(SystemError),
    /// A file without which nothing can be known is missing.
    Missing {
        /// The file: `Params.DBNames`.
        file: Arc<str>,
    },
    /// Its bytes are no text.
    Damaged {
        /// The file.
        file: Arc<str>,
        /// What is wrong.
        reason: &'static str,
    },
    /// Its text is no bracket text.
    Broken {
        /// The file.
        file: Arc<str>,
        /// What is wrong, and where.
        broken: Broken,
    },
    /// A place of the text does not hold what it should.
    Unexpected {
        /// The file.
        file: Arc<str>,
        /// The path to the place: `[1][9][1]`.
        path: String,
        /// What should be there.
        expected: &'static str,
    },
    /// It holds an object whose file has another name.
    Foreign {
        /// The file.
        file: Arc<str>,
        /// The name of the object.
        name: Arc<str>,
        /// The uuid of the object.
        uuid: Uuid,
    },
}

impl MetadataError {
    /// The file, if the error is about one.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Store(_) => None,
            Self::Missing { file }
            | Self::Damaged { file, .. }
            | Self::Broken { file, .. }
            | Self::Unexpected { file, .. }
            | Self::Foreign { file, .. } => Some(file),
        }
    }

    /// True if it says that the object of this folded name stands in a file of another name.
    pub(super) fn is_about(&self, object: &str) -> bool {
        matches!(self, Self::Foreign { name, .. } if fold(name) == object)
    }
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Missing { file } => write!(f, "file \"{file}\" is missing"),
            Self::Damaged { file, reason } => write!(f, "cannot read file \"{file}\": {reason}"),
            Self::Broken { file, broken } => {
                let Broken { reason, at } = broken;
                write!(f, "cannot read file \"{file}\": {reason}, at byte {at}")
            }
            Self::Unexpected {
                file,
                path,
                expected,
            } => write!(f, "cannot read file \"{file}\": no {expected} at {path}"),
            Self::Foreign { file, name, uuid } => write!(
                f,
                "file \"{file}\" holds the object \"{name}\" of another uuid, {uuid}"
            ),
        }
    }
}

impl Error for MetadataError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Store(error) => error.source(),
            _ => None,
        }
    }
}

impl From<SystemError> for MetadataError {
    fn from(error: SystemError) -> Self {
        Self::Store(error)
    }
}

impl From<MetadataError> for SystemError {
    fn from(error: MetadataError) -> Self {
        match error {
            MetadataError::Store(error) => error,
            // an update of the configuration, or somebody who repairs the file, heals it
            error => SystemError::misconfigured("E_DB", format!("1C metadata: {error}")),
        }
    }
}

/// `[1][9]`
pub(super) fn shown(path: &[usize]) -> String {
    path.iter().map(|number| format!("[{number}]")).collect()
}
