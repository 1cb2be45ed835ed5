//! What the author of a script sees. One struct; terminal, JSON and dashboard are renderers of it.

use crate::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The script runs; something is probably not meant.
    Warning,
    /// The script does not run.
    Error,
}

/// A further place in the text that explains the diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// A lower-case fragment: what is there.
    pub message: String,
}

/// One mistake or warning, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code: `E_PARSE`, `W003`, … (language reference, section 11).
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// The place in the script.
    pub span: Span,
    /// Short, factual, lower case, no final period; quotes the names it speaks of.
    pub message: String,
    /// Further places.
    pub labels: Vec<Label>,
    /// A full sentence that says what to do.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Makes an error.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            span,
            message: message.into(),
            labels: Vec::new(),
            hint: None,
        }
    }

    /// Makes a warning.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, span, message)
        }
    }

    /// Adds a hint: a full sentence.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a hint if there is one.
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// Adds a label.
    pub fn label(mut self, span: Span, message: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            message: message.into(),
        });
        self
    }
}

/// Finds the candidate nearest to `name` (without regard to case), if one is near enough to be a slip of the pen.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = name.to_lowercase().chars().collect();
    let limit = (wanted.len() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|c| {
            (
                distance(&wanted, &c.to_lowercase().chars().collect::<Vec<_>>()),
                c,
            )
        })
        .filter(|(d, _)| *d <= limit)
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

/// Edits between two words: a letter added, left out, replaced, or two neighbours exchanged (`Valeu`).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let replaced = above[j] + usize::from(ca != cb);
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *ca == b[j - 1] && a[i - 1] == *cb {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_name() {
        let names = ["НомерСообщения", "ТелоСообщения", "id"];
        assert_eq!(nearest("НомерСобщения", names), Some("НомерСообщения"));
        assert_eq!(nearest("телосообщения", names), Some("ТелоСообщения"));
        assert_eq!(nearest("amount", names), None);
        assert_eq!(nearest("Valeu", ["Key", "Value"]), Some("Value"));
    }
}
