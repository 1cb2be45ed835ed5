//! How a failure of a foreign system is classed. Supervision looks at the class and at nothing else.

use std::error::Error;
use std::fmt;

/// What kind of failure it is; only the adapter can tell, for only it knows its system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// An outage: it heals by waiting.
    Transient,
    /// A record that the target refuses: it heals when the record or the target's constraint changes.
    Rejected,
    /// A name, a right or an option is wrong: it heals when somebody repairs it.
    Misconfigured,
    /// A broken invariant of our own: the pipeline ends.
    Fault,
}

impl ErrorClass {
    /// True if an error of this class and code says that the script does not fit its database: its author has made a mistake, which
    /// the preparation of a statement finds.
    pub fn is_mistake(self, code: &str) -> bool {
        self == Self::Misconfigured && matches!(code, "E_BIND" | "E_TYPE" | "E_UNSUPPORTED")
    }
}

/// A failure of a database or broker, classed, with the system's own words and code.
///
/// `Display` prints the message only; whoever reports prints the chain of `source`. Passwords never stand in it.
#[derive(Debug)]
pub struct SystemError {
    /// The class.
    pub class: ErrorClass,
    /// Code of the language reference, section 11: `E_DB`, `E_KAFKA`, `E_CONFIRM`, `E_URI`, `E_BIND`, …
    pub code: &'static str,
    /// What was attempted and what came of it: lower case, no final period.
    pub message: String,
    /// The system's own code: an SQLSTATE, a librdkafka error name.
    pub native_code: Option<String>,
    /// A full sentence that says what to do.
    pub hint: Option<String>,
    /// True if the database says that a table, column, function or sequence is unknown: bound statements are thrown away.
    pub unknown_name: bool,
    /// Index of the refused record in the call's parameter rows, if it is known.
    pub record: Option<usize>,
    /// Which of the writes given to the claim is refused, counted from 0, where the system tells only at the commit.
    pub write: Option<usize>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl SystemError {
    /// Makes an error of `class`.
    pub fn new(class: ErrorClass, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            class,
            code,
            message: message.into(),
            native_code: None,
            hint: None,
            unknown_name: false,
            record: None,
            write: None,
            source: None,
        }
    }

    /// Makes an outage.
    pub fn transient(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Transient, code, message)
    }

    /// Makes a refusal of a record.
    pub fn rejected(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Rejected, code, message)
    }

    /// Makes a mistake in a name, a right or an option.
    pub fn misconfigured(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Misconfigured, code, message)
    }

    /// Makes a broken invariant.
    pub fn fault(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Fault, "E_FAULT", message)
    }

    /// Adds the cause.
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds the system's own code.
    pub fn with_native_code(mut self, code: impl Into<String>) -> Self {
        self.native_code = Some(code.into());
        self
    }

    /// Adds a hint: a full sentence.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for SystemError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_ref()
            .map(|e| e.as_ref() as &(dyn Error + 'static))
    }
}
