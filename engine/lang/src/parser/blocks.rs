//! Lists of statements and what closes them.

use dajet_core::{Diagnostic, Severity, Span};

use super::skip::Stop;
use super::{Dialect, Parser};
use crate::ast::{Block, Statement, StatementKind};
use crate::lexer::{Keyword, TokenKind};
use crate::told::DIAGNOSTICS_MAX;

/// A block that is open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum BlockKind {
    /// `USE` and `FOR`: closed by the end of the script if need be.
    Open,
    /// The first part of `IF`.
    Then,
    /// `WHILE`, and every part that only `END` closes.
    Plain,
    /// The branches of a `CASE` statement.
    Case,
    /// `TRY` and `CATCH`.
    Try,
}

impl BlockKind {
    fn is_closed_by(self, keyword: Keyword, dialect: Dialect) -> bool {
        match keyword {
            Keyword::End => self != BlockKind::Open || dialect == Dialect::Closed,
            Keyword::Else => matches!(self, BlockKind::Then | BlockKind::Case),
            Keyword::When => self == BlockKind::Case,
            _ => self == BlockKind::Try,
        }
    }
}

impl Parser<'_> {
    /// The whole script.
    pub(super) fn root(&mut self) -> Block {
        let mut statements = Vec::new();
        self.statements_into(&mut statements);
        statements
    }

    /// The statements of a block, without the word that closes it. `opened_by` is the keyword in front of it.
    pub(super) fn block(&mut self, kind: BlockKind, opened_by: Span) -> Block {
        let mut statements = Vec::new();
        self.blocks.push(kind);
        self.statements_into(&mut statements);
        self.blocks.pop();
        if statements.is_empty() && !self.aborted && !self.has_error_behind(opened_by) {
            let message = format!("block of \"{}\" is empty", self.slice(opened_by));
            self.report(Diagnostic::warning("W004", opened_by, message));
        }
        statements
    }

    fn has_error_behind(&self, span: Span) -> bool {
        let is_behind = |d: &Diagnostic| d.span.start >= span.start;
        self.diagnostics
            .iter()
            .any(|d| d.severity == Severity::Error && is_behind(d))
    }

    fn statements_into(&mut self, statements: &mut Vec<Statement>) {
        loop {
            while self.eat(TokenKind::Semicolon) {}
            self.mend_block_end();
            match self.keyword() {
                _ if self.at_end() => return,
                Some(keyword) if keyword.ends_block() => {
                    if self.is_awaited(keyword) {
                        return;
                    }
                    self.stray(keyword);
                }
                _ => statements.extend(self.statement()),
            }
        }
    }

    fn is_awaited(&self, keyword: Keyword) -> bool {
        self.blocks
            .iter()
            .any(|block| block.is_closed_by(keyword, self.dialect))
    }

    /// Makes a keyword of `end`, `else` and the like in lower case, where one is awaited.
    fn mend_block_end(&mut self) {
        use Keyword::{Catch, Else, End, Finally, When};
        let awaited: Vec<Keyword> = [Catch, Else, End, Finally, When]
            .into_iter()
            .filter(|keyword| self.is_awaited(*keyword))
            .collect();
        self.slip_of_case(&awaited);
    }

    /// A word that closes nothing.
    fn stray(&mut self, keyword: Keyword) {
        let span = self.advance().span;
        let message = format!("\"{}\" closes nothing", self.slice(span));
        let hint = match keyword {
            Keyword::End => "Every block is closed already; remove this word.",
            Keyword::Else => "ELSE belongs to IF … THEN or to CASE.",
            Keyword::When => "WHEN belongs to CASE.",
            _ => "CATCH and FINALLY belong to TRY.",
        };
        self.error(span, message, hint);
        // What follows ELSE or CATCH are statements again; behind WHEN there is a condition.
        if keyword == Keyword::When {
            self.skip(Stop::CLAUSE);
            self.eat_keyword(Keyword::Then);
        }
    }

    /// The `END` of a block other than `USE` and `FOR`.
    pub(super) fn close(&mut self, opened_by: Span) {
        if !self.eat_keyword(Keyword::End) {
            self.missing_end(opened_by);
        }
    }

    /// The `END` of `USE` or `FOR`; false if it is closed without one.
    pub(super) fn close_open(&mut self, opened_by: Span) -> bool {
        if self.dialect == Dialect::Closed {
            if self.eat_keyword(Keyword::End) {
                return true;
            }
            if !self.at_end() {
                self.missing_end(opened_by);
                return false;
            }
        }
        if !self.aborted {
            let word = self.slice(opened_by);
            let message = format!("\"{word}\" has no \"END\" and is closed implicitly");
            self.report(
                Diagnostic::warning("W001", opened_by, message)
                    .hint("Close the block with END where it ends."),
            );
        }
        false
    }

    fn missing_end(&mut self, opened_by: Span) {
        self.block_left_open = true;
        if !self.aborted {
            let message = format!("\"{}\" has no \"END\"", self.slice(opened_by));
            self.error(opened_by, message, "Close the block with END.");
        }
    }

    /// One statement; none if it could not be parsed.
    fn statement(&mut self) -> Option<Statement> {
        let Some(keyword) = self.statement_keyword() else {
            self.skip(Stop::STATEMENT);
            return None;
        };
        let span = self.advance().span;
        match self.deeper(|parser| parser.statement_of(keyword, span)) {
            Ok(kind) => Some(Statement {
                kind,
                span: self.span_from(span),
                keyword: span,
            }),
            Err(_) => {
                self.skip(Stop::STATEMENT);
                None
            }
        }
    }

    /// The keyword of the statement that stands next, also if it is misspelled; none, reported and passed, if there is none.
    fn statement_keyword(&mut self) -> Option<Keyword> {
        let token = self.token();
        if let TokenKind::Word(Some(keyword)) = token.kind
            && keyword.starts_statement()
        {
            return Some(keyword);
        }
        if token.kind == TokenKind::Star && self.peek(1).kind == TokenKind::Star {
            self.banner();
            return None;
        }
        if token.kind == TokenKind::Word(None) {
            let word = self.slice(token.span);
            let same = Keyword::find_in_any_case(word).filter(|k| k.starts_statement());
            let meant = match same {
                Some(keyword) => Some((word.to_uppercase(), keyword)),
                None => self.nearest_statement(word),
            };
            if let Some((spelling, keyword)) = meant {
                let message = format!("unknown statement \"{word}\"");
                let mut hint = format!("Did you mean {spelling}?");
                if same.is_some() {
                    hint.push_str(" Keywords are written in upper case.");
                }
                self.error(token.span, message, &hint);
                self.tokens[self.at].kind = TokenKind::Word(Some(keyword));
                if keyword.starts_statement() {
                    return Some(keyword);
                }
                return None;
            }
        }
        let hint = self.stranger_hint();
        self.unexpected_with("a statement", hint);
        self.advance();
        None
    }

    fn nearest_statement(&self, word: &str) -> Option<(String, Keyword)> {
        // Dear, and nobody would read it.
        if self.diagnostics.len() >= DIAGNOSTICS_MAX {
            return None;
        }
        Keyword::nearest_at_statement(word).map(|(text, keyword)| (text.to_owned(), keyword))
    }

    /// What to do with something that begins no statement.
    fn stranger_hint(&self) -> Option<String> {
        let hint = match self.kind() {
            TokenKind::Variable => "Assign a variable with SET.",
            TokenKind::Word(Some(keyword)) if keyword.starts_clause() => {
                "A clause belongs to the statement before it, in the order of the reference."
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// A line of asterisks: a comment without its hyphens. The line is skipped, and such lines behind it.
    fn banner(&mut self) {
        let first = self.token().span;
        let mut last = first;
        while self.kind() == TokenKind::Star && self.token().span.start <= last.end {
            last = self.advance().span;
        }
        let message = "a line of asterisks is no statement";
        self.error(first.to(last), message, "Begin a line of comment with --.");
        while !self.begins_line() || self.kind() == TokenKind::Star {
            self.advance();
            if self.at_end() {
                return;
            }
        }
    }

    /// True if a line break stands in front of the next token.
    pub(super) fn begins_line(&self) -> bool {
        let between = Span::new(self.last_end(), self.token().span.start);
        self.slice(between).contains(['\r', '\n'])
    }

    /// `USE 'address' … END`
    pub(super) fn use_statement(&mut self, keyword: Span) -> StatementKind {
        self.has_use = true;
        let start = self.token().span;
        let address = match self.address() {
            Ok(address) => address,
            Err(_) => {
                self.skip_head();
                crate::ast::Template {
                    parts: Vec::new(),
                    span: start,
                }
            }
        };
        let body = self.block(BlockKind::Open, keyword);
        let closed = self.close_open(keyword);
        StatementKind::Use {
            address,
            body,
            closed,
        }
    }

    /// Skips the rest of a block's first line behind a mistake in it: the head seldom spans lines.
    pub(super) fn skip_head(&mut self) {
        let stops = |parser: &Self| {
            let keyword = parser.keyword();
            keyword.is_some_and(|k| k.starts_statement() || k.ends_block())
        };
        while !self.at_end() && !self.begins_line() && !stops(self) {
            self.advance();
        }
    }
}
