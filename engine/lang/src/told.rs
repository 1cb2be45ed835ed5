//! Which mistakes of a text are told: the first hundred, and how many more there are.

use std::cmp::Reverse;

use dajet_core::{Diagnostic, Severity, Span};

/// Most diagnostics of one text, beside the one that counts the others.
pub(crate) const DIAGNOSTICS_MAX: usize = 100;

/// Mistakes that were found and are not told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Untold {
    errors: usize,
    warnings: usize,
}

impl Untold {
    pub(crate) fn count(&mut self, diagnostic: &Diagnostic) {
        match diagnostic.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
    }

    pub(crate) fn add(&mut self, other: Untold) {
        self.errors += other.errors;
        self.warnings += other.warnings;
    }

    /// Says at the end of the text how many there are; nothing if there are none.
    fn diagnostic(self, text: &str) -> Option<Diagnostic> {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let (errors, warnings) = (self.errors, self.warnings);
        let errors = (errors > 0).then(|| format!("{errors} more error{}", plural(errors)));
        let warnings =
            (warnings > 0).then(|| format!("{warnings} more warning{}", plural(warnings)));
        let what = match (errors, warnings) {
            (None, None) => return None,
            (Some(errors), Some(warnings)) => format!("{errors} and {warnings}"),
            (Some(some), None) | (None, Some(some)) => some,
        };
        let end = text.len() as u32;
        let verb = if self.errors + self.warnings == 1 {
            "is"
        } else {
            "are"
        };
        let message = format!("{what} {verb} not shown");
        let warning = Diagnostic::warning("W008", Span::new(end, end), message);
        Some(warning.hint("Mend those that are shown, and check again."))
    }
}

/// Puts the diagnostics of a text into its order. Of more than 100, errors stay before warnings; the last one counts the others.
pub(crate) fn in_order(
    mut diagnostics: Vec<Diagnostic>,
    mut untold: Untold,
    text: &str,
) -> Vec<Diagnostic> {
    diagnostics.sort_by_key(|d| (Reverse(d.severity), d.span.start));
    for diagnostic in diagnostics.drain(DIAGNOSTICS_MAX.min(diagnostics.len())..) {
        untold.count(&diagnostic);
    }
    diagnostics.sort_by_key(|d| d.span.start);
    diagnostics.extend(untold.diagnostic(text));
    diagnostics
}
