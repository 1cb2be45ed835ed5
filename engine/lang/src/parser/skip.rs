//! Recovery: how far the text is skipped behind a mistake.

use super::Parser;
use crate::lexer::{Keyword, TokenKind};

/// Where to stop. Statements, the ends of blocks and `;` always stop.
#[derive(Clone, Copy, Default)]
pub(super) struct Stop<'k> {
    /// At `FROM`, `WHERE`, `THEN` and the like.
    pub clauses: bool,
    /// At a comma.
    pub comma: bool,
    /// At a `)` that was not opened behind the mistake.
    pub close: bool,
    /// `CASE` expressions that are open where the mistake is; their last `END` stops, and is taken.
    pub cases: u32,
    /// Keywords that belong to the statement although they begin statements or end blocks.
    pub own: &'k [Keyword],
}

impl Stop<'_> {
    /// The next statement.
    pub(super) const STATEMENT: Stop<'static> = Stop {
        clauses: false,
        comma: false,
        close: false,
        cases: 0,
        own: &[],
    };
    /// The next clause of the statement.
    pub(super) const CLAUSE: Stop<'static> = Stop {
        clauses: true,
        close: true,
        ..Stop::STATEMENT
    };
    /// The next item of a list.
    pub(super) const ITEM: Stop<'static> = Stop {
        comma: true,
        ..Stop::CLAUSE
    };
}

impl Parser<'_> {
    /// Skips tokens up to the next place of recovery. Skips nothing if it stands there already.
    pub(super) fn skip(&mut self, stop: Stop<'_>) {
        let mut parens = 0_u32;
        let mut cases = stop.cases;
        loop {
            match self.kind() {
                TokenKind::End | TokenKind::Semicolon => return,
                TokenKind::OpenParen => parens += 1,
                TokenKind::CloseParen if parens > 0 => parens -= 1,
                TokenKind::CloseParen if stop.close => return,
                TokenKind::Comma if stop.comma && parens == 0 && cases == 0 => return,
                TokenKind::Word(Some(keyword)) if !self.is_used_as_name() => match keyword {
                    _ if stop.own.contains(&keyword) => {}
                    Keyword::Case if cases > 0 || self.stands_in_expression() => cases += 1,
                    Keyword::End if cases > 0 => {
                        cases -= 1;
                        if cases == 0 && stop.cases > 0 {
                            self.advance();
                            return;
                        }
                    }
                    Keyword::When | Keyword::Then | Keyword::Else if cases > 0 => {}
                    Keyword::Select if self.is_inner_query() => {}
                    _ if keyword.starts_statement() || keyword.ends_block() => return,
                    _ if keyword.starts_clause() && parens == 0 && stop.clauses => return,
                    _ => {}
                },
                TokenKind::Word(None) if parens == 0 && self.looks_like_statement() => return,
                _ => {}
            }
            self.advance();
        }
    }

    /// True if the word that stands next is a name for its neighbours' sake: `.word`, `AS word`, `word =`.
    pub(super) fn is_used_as_name(&self) -> bool {
        let start = self.token().span.start;
        let is_named = self.previous().is_some_and(|t| {
            (t.kind == TokenKind::Dot && t.span.end == start)
                || t.kind == TokenKind::Word(Some(Keyword::As))
        });
        is_named || self.peek(1).kind == TokenKind::Equal
    }

    /// True for a word that begins a line and would begin a statement or end a block in upper case.
    fn looks_like_statement(&self) -> bool {
        self.begins_line()
            && !self.is_used_as_name()
            && Keyword::find_in_any_case(self.slice(self.token().span))
                .is_some_and(|keyword| keyword.starts_statement() || keyword.ends_block())
    }

    /// True if the SELECT that stands next follows `(` or UNION.
    fn is_inner_query(&self) -> bool {
        self.previous().is_some_and(|t| {
            matches!(
                t.kind,
                TokenKind::OpenParen | TokenKind::Word(Some(Keyword::All | Keyword::Union))
            )
        })
    }

    /// True if what stands before asks for an operand, so that `CASE` is not a statement here.
    fn stands_in_expression(&self) -> bool {
        use TokenKind::*;
        let Some(previous) = self.previous() else {
            return false;
        };
        match previous.kind {
            Plus | Minus | Star | Slash | Percent | Equal | NotEqual | Less | LessOrEqual
            | Greater | GreaterOrEqual | OpenParen | Comma => true,
            Word(Some(keyword)) => matches!(
                keyword,
                Keyword::And
                    | Keyword::Between
                    | Keyword::By
                    | Keyword::Distinct
                    | Keyword::Having
                    | Keyword::If
                    | Keyword::In
                    | Keyword::Is
                    | Keyword::Like
                    | Keyword::Not
                    | Keyword::On
                    | Keyword::Or
                    | Keyword::Print
                    | Keyword::Return
                    | Keyword::Select
                    | Keyword::Sleep
                    | Keyword::Throw
                    | Keyword::When
                    | Keyword::Where
                    | Keyword::While
            ),
            _ => false,
        }
    }
}
