//! Looking at tokens, taking them, and saying what was expected instead.

use dajet_core::{Diagnostic, Span};

use super::{Failed, Parsed, Parser};
use crate::lexer::{Keyword, Token, TokenKind};

impl Parser<'_> {
    /// The token that stands next.
    pub(super) fn token(&self) -> Token {
        self.tokens[self.at]
    }

    pub(super) fn kind(&self) -> TokenKind {
        self.token().kind
    }

    /// The token `ahead` places behind the next one; the last one at the end.
    pub(super) fn peek(&self, ahead: usize) -> Token {
        self.tokens[(self.at + ahead).min(self.tokens.len() - 1)]
    }

    /// The token before the next one, if any.
    pub(super) fn previous(&self) -> Option<Token> {
        self.at.checked_sub(1).map(|at| self.tokens[at])
    }

    /// End of the last token taken.
    pub(super) fn last_end(&self) -> u32 {
        self.previous().map_or(0, |t| t.span.end)
    }

    /// From `start` to the last token taken.
    pub(super) fn span_from(&self, start: Span) -> Span {
        start.to(Span::new(start.start, self.last_end()))
    }

    pub(super) fn slice(&self, span: Span) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }

    pub(super) fn advance(&mut self) -> Token {
        let token = self.token();
        // The end of the text stays.
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    pub(super) fn at_end(&self) -> bool {
        self.kind() == TokenKind::End
    }

    pub(super) fn eat(&mut self, kind: TokenKind) -> bool {
        let found = self.kind() == kind;
        if found {
            self.advance();
        }
        found
    }

    /// The keyword that stands next, if one does.
    pub(super) fn keyword(&self) -> Option<Keyword> {
        match self.kind() {
            TokenKind::Word(keyword) => keyword,
            _ => None,
        }
    }

    pub(super) fn at_keyword(&self, keyword: Keyword) -> bool {
        self.keyword() == Some(keyword)
    }

    pub(super) fn eat_keyword(&mut self, keyword: Keyword) -> bool {
        let found = self.at_keyword(keyword);
        if found {
            self.advance();
        }
        found
    }

    /// Takes a keyword where nothing but a clause can stand, so that one in lower case is a slip.
    pub(super) fn eat_clause(&mut self, keyword: Keyword) -> bool {
        let found = self.at_keyword(keyword) || self.slip_of_case(&[keyword]);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn expect(&mut self, kind: TokenKind, expected: &str) -> Parsed<Token> {
        if self.kind() == kind {
            Ok(self.advance())
        } else {
            Err(self.unexpected(expected))
        }
    }

    /// Takes a keyword, also if it was written in lower case.
    pub(super) fn expect_keyword(&mut self, keyword: Keyword) -> Parsed<Span> {
        if self.at_keyword(keyword) || self.slip_of_case(&[keyword]) {
            return Ok(self.advance().span);
        }
        Err(self.unexpected(&format!("\"{}\"", keyword.text())))
    }

    /// If a word stands next that would be one of `keywords` in upper case, reports it and makes it the keyword.
    pub(super) fn slip_of_case(&mut self, keywords: &[Keyword]) -> bool {
        let token = self.token();
        if token.kind != TokenKind::Word(None) {
            return false;
        }
        let word = self.slice(token.span);
        let Some(found) = Keyword::find_in_any_case(word).filter(|k| keywords.contains(k)) else {
            return false;
        };
        let message = format!("keyword \"{word}\" is not in upper case");
        let hint = format!("Write {}.", word.to_uppercase());
        self.report(Diagnostic::error("E_PARSE", token.span, message).hint(hint));
        self.tokens[self.at].kind = TokenKind::Word(Some(found));
        true
    }

    /// Reports what stands next and what was expected instead.
    pub(super) fn unexpected(&mut self, expected: &str) -> Failed {
        self.unexpected_with(expected, None)
    }

    pub(super) fn unexpected_with(&mut self, expected: &str, hint: Option<String>) -> Failed {
        if let Some(diagnostic) = self.surprise(expected) {
            self.report(diagnostic.maybe_hint(hint));
        }
        Failed
    }

    /// Reports that a bracket is not closed where it should be.
    pub(super) fn unclosed(&mut self, open: Span, expected: &str) -> Failed {
        if let Some(diagnostic) = self.surprise(expected) {
            self.report(diagnostic.label(open, "opened here"));
        }
        Failed
    }

    fn surprise(&self, expected: &str) -> Option<Diagnostic> {
        let token = self.token();
        // Already reported, or only seemingly missing.
        if token.kind == TokenKind::Error || (self.aborted && token.kind == TokenKind::End) {
            return None;
        }
        let message = format!("expected {expected}, found {}", self.describe(token));
        Some(Diagnostic::error("E_PARSE", token.span, message))
    }

    pub(super) fn error(&mut self, span: Span, message: impl Into<String>, hint: &str) {
        self.report(Diagnostic::error("E_PARSE", span, message).hint(hint));
    }

    fn describe(&self, token: Token) -> String {
        const SHOWN_MAX: usize = 40;
        if token.kind == TokenKind::End {
            return "the end of the script".to_owned();
        }
        let text = self.slice(token.span);
        let line = text.lines().next().unwrap_or_default();
        let shown: String = line.chars().take(SHOWN_MAX).collect();
        let cut = if shown.len() < text.len() { "…" } else { "" };
        match token.kind {
            TokenKind::Text => format!("{shown}{cut}"),
            _ => format!("\"{shown}{cut}\""),
        }
    }
}
