//! How mistakes look: for a terminal, and as JSON. Passwords in the script's text are masked.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde_json::{Value as Json, json};

use dajet_actors::PipelineError;
use dajet_core::span::position;
use dajet_core::{Diagnostic, Label, Severity, Span, SystemError};

use crate::error::causes;
use crate::mask::{Masked, mask};

/// A script as messages show it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The path.
    pub name: &'a str,
    /// The text.
    pub text: &'a str,
}

/// A mistake found before or during a run, in one form.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// Error or warning.
    pub severity: Severity,
    /// Stable code.
    pub code: &'a str,
    /// The place, if there is one.
    pub span: Option<Span>,
    /// What happened, with its causes.
    pub message: String,
    /// Further places.
    pub labels: &'a [Label],
    /// What to do.
    pub hint: Option<&'a str>,
}

impl<'a> From<&'a Diagnostic> for Report<'a> {
    fn from(diagnostic: &'a Diagnostic) -> Self {
        Report {
            severity: diagnostic.severity,
            code: diagnostic.code,
            span: Some(diagnostic.span),
            message: diagnostic.message.clone(),
            labels: &diagnostic.labels,
            hint: diagnostic.hint.as_deref(),
        }
    }
}

impl<'a> Report<'a> {
    /// An error that ended a script.
    pub fn of_run_time(error: &'a PipelineError) -> Self {
        Report {
            severity: Severity::Error,
            code: error.code(),
            span: error.span(),
            message: error.chain(),
            labels: &[],
            hint: error.hint(),
        }
    }

    /// What a database answered to a statement at `span`.
    pub fn of_system(error: &'a SystemError, span: Option<Span>) -> Self {
        Report {
            severity: Severity::Error,
            code: error.code,
            span,
            message: causes(error),
            labels: &[],
            hint: error.hint.as_deref(),
        }
    }
}

/// Renders for a terminal: several lines, the last one ended.
pub fn terminal(source: Source<'_>, report: &Report<'_>, colour: bool) -> String {
    let level = match report.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let text = Masked::new(source.text);
    let title = level
        .primary_title(mask(&report.message))
        .id(report.code.to_owned());
    let mut group = match report.span {
        Some(span) => title.element(snippet(source.name, &text, span, report.labels)),
        // A place in the file makes no sense here, its name does.
        None => title.element(Level::NOTE.message(format!("in script {}", source.name))),
    };
    if let Some(hint) = report.hint {
        group = group.element(Level::HELP.message(mask(hint)));
    }
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut rendered = renderer.render(&[group]);
    rendered.push('\n');
    rendered
}

/// Renders as the objects of `check --json` (language reference, section 14, ruling 25).
pub fn json(source: Source<'_>, diagnostics: &[Diagnostic]) -> Vec<Json> {
    diagnostics
        .iter()
        .map(|diagnostic| {
            let (start, end) = (
                position(source.text, diagnostic.span.start),
                position(source.text, diagnostic.span.end),
            );
            json!({
                "code": diagnostic.code,
                "severity": match diagnostic.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                },
                "file": source.name,
                "line": start.line,
                "column": start.column,
                "end_line": end.line,
                "end_column": end.column,
                "message": mask(&diagnostic.message),
                "hint": diagnostic.hint.as_deref().map(mask),
            })
        })
        .collect()
}

fn snippet<'a>(
    name: &'a str,
    text: &'a Masked,
    span: Span,
    labels: &'a [Label],
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let others = labels.iter().map(|label| {
        AnnotationKind::Context
            .span(range(text, label.span))
            .label(mask(&label.message))
    });
    Snippet::source(&*text.text)
        .path(name)
        .annotation(AnnotationKind::Primary.span(range(text, span)))
        .annotations(others)
}

/// The bytes of a span of the original, moved to whole characters within the text.
fn range(masked: &Masked, span: Span) -> std::ops::Range<usize> {
    let text = &masked.text;
    let boundary = |offset: u32| {
        let offset = masked.place(offset as usize).min(text.len());
        (0..=offset)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0)
    };
    let start = boundary(span.start);
    start..boundary(span.end).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, diagnostic: &Diagnostic, expected: &[&str]) {
        let source = Source {
            name: "заказы.djs",
            text,
        };
        let rendered = terminal(source, &diagnostic.into(), false);
        for part in expected {
            assert!(rendered.contains(part), "no {part:?} in\n{rendered}");
        }
    }

    #[test]
    fn shows_place_message_labels_and_hint() {
        let text = "DECLARE @имя string\nSET @имф = 1\n";
        let at = text.find("@имф").unwrap() as u32;
        let diagnostic =
            Diagnostic::error("E_BIND", Span::new(at, at + 7), "unknown variable \"@имф\"")
                .label(Span::new(8, 15), "a similar name is declared here")
                .hint("Did you mean \"@имя\"?");
        let expected = [
            "error[E_BIND]: unknown variable \"@имф\"",
            "--> заказы.djs:2:5",
            "a similar name is declared here",
            "= help: Did you mean \"@имя\"?",
        ];
        check(text, &diagnostic, &expected);
    }

    #[test]
    fn survives_spans_that_fit_nothing() {
        for (text, span) in [
            ("", Span::new(0, 0)),
            ("ж", Span::new(1, 9)),
            ("a\n", Span::new(2, 2)),
            ("a", Span::new(7, 3)),
        ] {
            check(
                text,
                &Diagnostic::error("E_PARSE", span, "no"),
                &["error[E_PARSE]: no"],
            );
        }
    }

    #[test]
    fn hides_passwords() {
        let text = "USE 'pgsql://user:secret@host/db'";
        let diagnostic = Diagnostic::error(
            "E_BIND",
            Span::new(4, 33),
            "no table in pgsql://user:secret@host/db",
        );
        let source = Source { name: "x", text };
        assert!(!terminal(source, &(&diagnostic).into(), true).contains("secret"));
        assert!(
            !json(source, &[diagnostic])[0]
                .to_string()
                .contains("secret")
        );
    }

    #[test]
    fn json_counts_characters_from_one() {
        let text = "PRINT 'ж'\nSET @х = 1";
        let start = text.find('@').unwrap() as u32;
        let diagnostic =
            Diagnostic::warning("W003", Span::new(start, start + 3), "used before DECLARE");
        let found = &json(
            Source {
                name: "x.djs",
                text,
            },
            &[diagnostic],
        )[0];
        assert_eq!(
            found,
            &json!({ "code": "W003", "severity": "warning", "file": "x.djs", "line": 2, "column": 5, "end_line": 2,
                "end_column": 7, "message": "used before DECLARE", "hint": null })
        );
    }
}
