//! Errors of expressions: first without a place, then with the place of the expression that failed.

use dajet_core::{ErrorClass, Span};

use super::ScriptError;

/// An error that does not yet know its place.
#[derive(Debug)]
pub(crate) struct Failure {
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
}

/// The result of an evaluation. The error is boxed, for it is rare and large.
pub(crate) type Outcome<T> = Result<T, Box<ScriptError>>;

impl Failure {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn of_type(message: impl Into<String>) -> Self {
        Self::new("E_TYPE", message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn at(self, span: Span) -> Box<ScriptError> {
        let class = match self.code {
            "E_URI" | "E_BIND" | "E_UNSUPPORTED" => ErrorClass::Misconfigured,
            "E_FAULT" => ErrorClass::Fault,
            _ => ErrorClass::Rejected,
        };
        let (code, message, hint) = (self.code, self.message, self.hint);
        Box::new(ScriptError {
            code,
            message,
            span,
            hint,
            class,
            mistakes: Vec::new(),
        })
    }
}
