//! Statements that are recognised, refused and skipped.

use dajet_core::Span;

use super::Parser;
use super::skip::Stop;
use crate::ast::StatementKind;
use crate::lexer::{Keyword, TokenKind};

impl Parser<'_> {
    /// The rest of a statement that is not built yet.
    pub(super) fn unsupported_statement(&mut self, keyword: Keyword, span: Span) -> StatementKind {
        if keyword == Keyword::Import && self.kind() == TokenKind::Text {
            let text = self.slice(self.token().span);
            if text[1..].starts_with("dajet://") {
                let hint = "Import a file: IMPORT 'file://name.djs'.";
                self.error(self.token().span, "\"dajet://\" cannot be imported", hint);
                self.skip(Stop::STATEMENT);
                return StatementKind::Unsupported;
            }
        }
        if keyword == Keyword::Define && !self.blocks.is_empty() {
            let hint = "Move it out of every block.";
            self.error(span, "\"DEFINE\" stands inside a block", hint);
            self.skip(Stop::STATEMENT);
            return StatementKind::Unsupported;
        }
        let (what, name) = self.construct(keyword, span);
        self.unsupported(what, &name);
        match keyword {
            Keyword::Create if name.contains(Keyword::Computed.text()) => {
                self.skip_computed_tables();
            }
            Keyword::Update => self.skip_update(&[]),
            Keyword::Upsert => self.skip_update(&[Keyword::Update]),
            _ => self.skip(Stop {
                own: own_keywords(keyword),
                ..Stop::STATEMENT
            }),
        }
        StatementKind::Unsupported
    }

    /// The keywords that name the construct, as CREATE TYPE; those behind the first are taken.
    fn construct(&mut self, keyword: Keyword, span: Span) -> (Span, String) {
        use Keyword::{Apply, Computed, Create, Drop, Revoke, Table, Temporary, Type};
        let (mut what, mut name) = (span, keyword.text().to_owned());
        while matches!(keyword, Apply | Create | Drop | Revoke)
            && let Some(next) = self.keyword()
            && matches!(next, Computed | Table | Temporary | Type)
        {
            what = what.to(self.advance().span);
            name.push(' ');
            name.push_str(next.text());
        }
        (what, name)
    }

    /// `name AS ( … ), …` in front of the statement that uses the tables.
    fn skip_computed_tables(&mut self) {
        loop {
            self.skip(Stop {
                clauses: false,
                ..Stop::ITEM
            });
            // A query that stands in brackets has been passed with them.
            if !self.eat(TokenKind::Comma) {
                return;
            }
        }
    }

    /// UPDATE and UPSERT have a SET of their own; one with a variable is the next statement.
    fn skip_update(&mut self, own: &[Keyword]) {
        loop {
            self.skip(Stop {
                own,
                ..Stop::STATEMENT
            });
            let is_clause =
                self.at_keyword(Keyword::Set) && self.peek(1).kind != TokenKind::Variable;
            if !is_clause {
                return;
            }
            self.advance();
        }
    }

    /// `( … )` with all that is in it.
    pub(super) fn skip_parenthesised(&mut self) {
        self.advance();
        self.skip(Stop {
            close: true,
            ..Stop::STATEMENT
        });
        self.eat(TokenKind::CloseParen);
    }
}

/// Keywords of a statement that would begin another one.
fn own_keywords(keyword: Keyword) -> &'static [Keyword] {
    match keyword {
        Keyword::Process => &[Keyword::Select],
        Keyword::Request => &[Keyword::Select, Keyword::When],
        _ => &[],
    }
}
