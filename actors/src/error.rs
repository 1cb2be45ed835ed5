//! What can go wrong in a running script.

use std::error::Error;

use dajet_core::{Diagnostic, ErrorClass, Span, SystemError};
use dajet_lang::machine::ScriptError;

use crate::invariants::Violation;

/// A failure of a script or of one of its pipelines. `Display` prints itself only; [`PipelineError::chain`] prints the causes too.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A database or broker failed.
    #[error("{error}{}", at(.row))]
    System {
        /// The failure; its causes are this error's causes.
        error: SystemError,
        /// The statement that asked for it.
        span: Option<Span>,
        /// The row of the queue that was refused, by its order key.
        row: Option<String>,
    },
    /// The script failed at run time.
    #[error("{error}{}", at(.row))]
    Script {
        /// The mistake.
        error: ScriptError,
        /// The row of the queue that it happened at, by its order key.
        row: Option<String>,
    },
    /// A statement does not fit the database.
    #[error("cannot bind the statement: {}", all(.diagnostics))]
    Bind {
        /// What is wrong, at least one error.
        diagnostics: Vec<Diagnostic>,
    },
    /// An actor panicked.
    #[error("the {actor} panicked")]
    Panic {
        /// Which one: a stage of a pipeline, or the script itself.
        actor: &'static str,
    },
    /// An invariant is broken.
    #[error("an invariant is broken")]
    Invariant(#[from] Violation),
}

impl PipelineError {
    /// Makes an error of the statement at `span`.
    pub(crate) fn system(error: SystemError, span: Span) -> Self {
        Self::System {
            error,
            span: Some(span),
            row: None,
        }
    }

    /// Makes a broken invariant of our own.
    pub(crate) fn fault(message: impl Into<String>) -> Self {
        Self::System {
            error: SystemError::fault(message),
            span: None,
            row: None,
        }
    }

    /// Names the row of the queue that it happened at.
    pub(crate) fn at_row(mut self, name: Option<String>) -> Self {
        if let Self::System { row, .. } | Self::Script { row, .. } = &mut self {
            *row = row.take().or(name);
        }
        self
    }

    /// Index of the refused record in what was given to the system, if it is known.
    pub(crate) fn record(&self) -> Option<usize> {
        match self {
            Self::System { error, .. } => error.record,
            _ => None,
        }
    }

    /// The code of the language reference, section 11.
    pub fn code(&self) -> &'static str {
        match self {
            Self::System { error, .. } => error.code,
            Self::Script { error, .. } => error.code,
            Self::Bind { diagnostics } => diagnostics.first().map_or("E_BIND", |d| d.code),
            Self::Panic { .. } => "E_PANIC",
            Self::Invariant(_) => "E_FAULT",
        }
    }

    /// The class: supervision looks at nothing else. A panic is an outage: a new generation may well pass.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::System { error, .. } => error.class,
            Self::Script { error, .. } => error.class,
            Self::Bind { .. } => ErrorClass::Misconfigured,
            Self::Panic { .. } => ErrorClass::Transient,
            Self::Invariant(_) => ErrorClass::Fault,
        }
    }

    /// True if the script does not fit its database: a mistake of the author, found when a statement is prepared.
    pub fn is_mistake(&self) -> bool {
        self.class().is_mistake(self.code())
    }

    /// The place in the script, if it is known.
    pub fn span(&self) -> Option<Span> {
        match self {
            Self::System { span, .. } => *span,
            Self::Script { error, .. } => Some(error.span),
            Self::Bind { diagnostics } => diagnostics.first().map(|d| d.span),
            Self::Panic { .. } | Self::Invariant(_) => None,
        }
    }

    /// What to do: a full sentence.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::System { error, .. } => error.hint.as_deref(),
            Self::Script { error, .. } => error.hint.as_deref(),
            Self::Bind { diagnostics } => diagnostics.first().and_then(|d| d.hint.as_deref()),
            Self::Panic { .. } | Self::Invariant(_) => None,
        }
    }

    /// The diagnostics of a statement that does not fit its database; empty for other errors.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Self::Bind { diagnostics } => diagnostics,
            _ => &[],
        }
    }

    /// The message and those of all causes, from the outermost to the innermost.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = match self {
            Self::System { error, .. } => error.source(),
            other => other.source(),
        };
        while let Some(error) = cause {
            let message = error.to_string();
            if !text.contains(&message) {
                text.push_str(": ");
                text.push_str(&message);
            }
            cause = error.source();
        }
        if let Self::System { error, .. } = self
            && let Some(native) = &error.native_code
        {
            text.push_str(&format!(" ({native})"));
        }
        text
    }
}

fn at(row: &Option<String>) -> String {
    row.as_ref()
        .map(|name| format!(", at the row {name}"))
        .unwrap_or_default()
}

fn all(diagnostics: &[Diagnostic]) -> String {
    let messages: Vec<_> = diagnostics.iter().map(|d| d.message.as_str()).collect();
    messages.join("; ")
}

impl From<ScriptError> for PipelineError {
    fn from(error: ScriptError) -> Self {
        match error.mistakes.is_empty() {
            true => Self::Script { error, row: None },
            false => Self::Bind {
                diagnostics: error.mistakes,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_the_chain_of_causes_once_each() {
        let cause = std::io::Error::other("соединение разорвано");
        let error = SystemError::transient("E_DB", "cannot read queue \"Очередь\"")
            .with_source(cause)
            .with_native_code("57P01");
        let error = PipelineError::system(error, Span::new(1, 2));
        assert_eq!(error.to_string(), "cannot read queue \"Очередь\"");
        assert_eq!(
            error.chain(),
            "cannot read queue \"Очередь\": соединение разорвано (57P01)"
        );
        let error = error.at_row(Some("Номер = 57".to_owned()));
        assert_eq!(
            error.to_string(),
            "cannot read queue \"Очередь\", at the row Номер = 57"
        );
        assert_eq!(
            (error.code(), error.class()),
            ("E_DB", ErrorClass::Transient)
        );
    }
}
