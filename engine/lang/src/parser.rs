//! Tokens to tree: recursive descent that recovers. What could not be parsed is reported, skipped and left out (or stands in
//! the tree as [`crate::ast::ExprKind::Error`]), so that one run reports several independent mistakes.
//!
//! Both dialects go one way: first `END` closes the innermost block of any kind; if a block then stays open, the text is parsed
//! again as the old dialect, in which `USE` and `FOR` never take an `END`, and the reading with fewer mistakes is taken.

mod blocks;
mod cursor;
mod expression;
mod names;
mod produce;
mod query;
mod sequence;
mod skip;
mod statements;
mod unsupported;

#[cfg(test)]
mod dump;
#[cfg(test)]
mod robustness;
#[cfg(test)]
mod tests;

use dajet_core::{Diagnostic, Severity, Span};

use crate::ast::Script;
use crate::lexer::{Lexed, Token, tokenize};
use crate::told::{DIAGNOSTICS_MAX, Untold, in_order};

/// Longest text, in bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Deepest nesting of blocks and expressions together.
const DEPTH_MAX: u32 = 128;

/// Parses a script. The tree is usable for checks even if there are errors. The diagnostics are in the order of the text; at
/// most 100, and one that counts the others.
pub fn parse(text: &str) -> (Script, Vec<Diagnostic>) {
    let (script, diagnostics, untold) = parse_counted(text);
    (script, in_order(diagnostics, untold, text))
}

/// The same; the diagnostics are in no order, and those that are left out are counted.
pub(crate) fn parse_counted(text: &str) -> (Script, Vec<Diagnostic>, Untold) {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("script is longer than {TEXT_BYTES_MAX} bytes");
        return (
            Script::default(),
            vec![Diagnostic::error("E_LEX", Span::new(0, 0), message)],
            Untold::default(),
        );
    }
    let lexed = tokenize(text);
    let (mut script, mut outcome) = run(text, &lexed, Dialect::Closed);
    if outcome.block_left_open {
        let (old_script, old_outcome) = run(text, &lexed, Dialect::Open);
        if old_outcome.errors() < outcome.errors() {
            (script, outcome) = (old_script, old_outcome);
        }
    }
    let (mut diagnostics, mut untold) = (lexed.diagnostics, lexed.untold);
    diagnostics.append(&mut outcome.diagnostics);
    untold.add(outcome.untold);
    (script, diagnostics, untold)
}

/// Which blocks take an `END`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Dialect {
    /// Every block.
    Closed,
    /// Every block but `USE` and `FOR`.
    Open,
}

struct Outcome {
    diagnostics: Vec<Diagnostic>,
    untold: Untold,
    /// A block other than `USE` and `FOR` has no `END`.
    block_left_open: bool,
}

impl Outcome {
    /// Mistakes of syntax; what is not supported yet counts alike in both dialects.
    fn errors(&self) -> usize {
        let is_error = |d: &&Diagnostic| d.severity == Severity::Error && d.code == "E_PARSE";
        self.diagnostics.iter().filter(is_error).count()
    }
}

fn run(text: &str, lexed: &Lexed, dialect: Dialect) -> (Script, Outcome) {
    let mut parser = Parser::new(text, lexed.tokens.clone());
    parser.dialect = dialect;
    parser.aborted = lexed.truncated;
    let statements = parser.root();
    let script = Script {
        statements,
        has_use: parser.has_use,
    };
    let outcome = Outcome {
        diagnostics: parser.diagnostics,
        untold: parser.untold,
        block_left_open: parser.block_left_open,
    };
    (script, outcome)
}

/// Says that a mistake has been reported and the construct could not be finished.
#[derive(Clone, Copy, Debug)]
struct Failed;

type Parsed<T> = Result<T, Failed>;

struct Parser<'t> {
    text: &'t str,
    /// Words become keywords here when they are taken for a slip of the pen, so that it is reported once.
    tokens: Vec<Token>,
    at: usize,
    dialect: Dialect,
    depth: u32,
    blocks: Vec<blocks::BlockKind>,
    diagnostics: Vec<Diagnostic>,
    untold: Untold,
    has_use: bool,
    block_left_open: bool,
    /// The end of the text was reached early, by an unclosed comment or too deep nesting: what seems missing is not.
    aborted: bool,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, tokens: Vec<Token>) -> Self {
        Self {
            text,
            tokens,
            at: 0,
            dialect: Dialect::Closed,
            depth: 0,
            blocks: Vec::new(),
            diagnostics: Vec::new(),
            untold: Untold::default(),
            has_use: false,
            block_left_open: false,
            aborted: false,
        }
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        // Warnings never take the place of an error.
        let alike = |known: &&Diagnostic| known.severity == diagnostic.severity;
        if self.diagnostics.iter().filter(alike).count() < DIAGNOSTICS_MAX {
            self.diagnostics.push(diagnostic);
        } else {
            self.untold.count(&diagnostic);
        }
    }

    /// Goes one level deeper for the time of `parse`.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            if !self.aborted {
                let hint = "Use variables, or scripts of their own, for inner parts.";
                let span = self.token().span;
                self.report(Diagnostic::error("E_PARSE", span, "nested too deeply").hint(hint));
            }
            self.aborted = true;
            self.at = self.tokens.len() - 1;
            return Err(Failed);
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }
}
