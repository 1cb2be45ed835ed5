//! What SQLite's errors mean: which class, and whether waiting within the time-out may help.

use dajet_core::error::{ErrorClass, SystemError};
use rusqlite::ffi::ErrorCode;

/// Why a job on the thread did not end well.
#[derive(Debug)]
pub enum Trouble {
    /// Somebody else holds a lock: the job may be tried again until its time is over.
    Busy(SystemError),
    /// It failed.
    Failed(SystemError),
}

impl Trouble {
    /// The error, whichever it is.
    pub fn into_error(self) -> SystemError {
        match self {
            Self::Busy(error) | Self::Failed(error) => error,
        }
    }

    /// Names the record of the call that is refused; a lock or an outage is nobody's fault.
    pub fn of_record(mut self, index: usize) -> Self {
        if let Self::Failed(error) = &mut self
            && error.class == ErrorClass::Rejected
        {
            error.record = Some(index);
        }
        self
    }
}

impl From<SystemError> for Trouble {
    fn from(error: SystemError) -> Self {
        Self::Failed(error)
    }
}

/// Classes an error of SQLite; `attempt` says what was tried: `cannot read queue "orders"`.
pub fn classify(attempt: &str, error: rusqlite::Error) -> Trouble {
    let (failure, text) = match &error {
        rusqlite::Error::SqliteFailure(failure, text) => (*failure, text.clone()),
        rusqlite::Error::SqlInputError { error, msg, .. } => (*error, Some(msg.clone())),
        other => {
            let fault = SystemError::fault(format!("{attempt}: {other}")).with_source(error);
            return Trouble::Failed(fault);
        }
    };
    let text = text.unwrap_or_else(|| error.to_string());
    let unknown_name = failure.code == ErrorCode::Unknown && names_something_unknown(&text);
    let class = class_of(failure.code, unknown_name, &text);
    let message = if failure.code == ErrorCode::OperationInterrupted {
        format!("{attempt}: the statement took longer than the time-out allows")
    } else {
        format!("{attempt}: {text}")
    };
    let mut made = SystemError::new(class, "E_DB", message)
        .with_native_code(failure.extended_code.to_string())
        .with_source(error);
    made.unknown_name = unknown_name;
    made.hint = hint_of(failure.code).map(str::to_owned);
    match failure.code {
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed => Trouble::Busy(made),
        _ => Trouble::Failed(made),
    }
}

fn class_of(code: ErrorCode, unknown_name: bool, text: &str) -> ErrorClass {
    match code {
        ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig => {
            ErrorClass::Rejected
        }
        ErrorCode::Unknown if !unknown_name && text.contains("overflow") => ErrorClass::Rejected,
        ErrorCode::Unknown
        | ErrorCode::CannotOpen
        | ErrorCode::PermissionDenied
        | ErrorCode::ReadOnly
        | ErrorCode::AuthorizationForStatementDenied
        | ErrorCode::NotADatabase
        | ErrorCode::DatabaseCorrupt => ErrorClass::Misconfigured,
        ErrorCode::ApiMisuse | ErrorCode::InternalMalfunction | ErrorCode::ParameterOutOfRange => {
            ErrorClass::Fault
        }
        _ => ErrorClass::Transient,
    }
}

fn hint_of(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::DiskFull => Some("Free some space; the batch is read again."),
        ErrorCode::NotADatabase => Some("The file is not an SQLite database; check the path."),
        ErrorCode::DatabaseCorrupt => Some("Check the file with PRAGMA integrity_check."),
        ErrorCode::ReadOnly => Some("Check the rights of the file and the mode of the address."),
        _ => None,
    }
}

fn names_something_unknown(text: &str) -> bool {
    [
        "no such table",
        "no such column",
        "has no column named",
        "no such function",
    ]
    .iter()
    .any(|words| text.contains(words))
}
