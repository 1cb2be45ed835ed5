//! PRODUCE and option lists.

use dajet_core::Span;

use super::query::{Into, Target};
use super::skip::Stop;
use super::{Failed, Parsed, Parser};
use crate::ast::{OptionItem, StatementKind};
use crate::lexer::{Keyword, TokenKind};

impl Parser<'_> {
    /// `PRODUCE 'uri' WITH options SELECT options`
    pub(super) fn produce(&mut self) -> Parsed<StatementKind> {
        let address = self.address()?;
        let mut with = Vec::new();
        if self.eat_clause(Keyword::With) {
            with = self.options();
        }
        let mut select = Vec::new();
        let has_select = self.at_keyword(Keyword::Select) || self.slip_of_case(&[Keyword::Select]);
        if has_select && !self.is_query() {
            self.advance();
            select = self.options();
        }
        Ok(StatementKind::Produce {
            address,
            with,
            select,
        })
    }

    /// `Name = expr, …`; behind a mistake it goes on with the next item.
    pub(super) fn options(&mut self) -> Vec<OptionItem> {
        let mut options = Vec::new();
        loop {
            match self.option() {
                Ok(option) => options.push(option),
                Err(Failed) => self.skip(Stop::ITEM),
            }
            if !self.eat(TokenKind::Comma) && !self.comma_is_missing() {
                return options;
            }
        }
    }

    fn option(&mut self) -> Parsed<OptionItem> {
        if self.kind() == TokenKind::Variable {
            let hint = "Write Name = @variable.".to_owned();
            return Err(self.unexpected_with("the name of an option", Some(hint)));
        }
        let is_reserved = self.keyword().is_some_and(Keyword::is_reserved);
        if is_reserved && self.peek(1).kind != TokenKind::Equal {
            return Err(self.unexpected("the name of an option"));
        }
        let name = self.option_name()?;
        self.expect(TokenKind::Equal, "\"=\"")?;
        let start = self.token().span;
        let value = match self.expression() {
            Ok(value) => value,
            Err(Failed) => {
                self.skip(Stop::ITEM);
                self.error_expression(start)
            }
        };
        Ok(OptionItem { name, value })
    }

    /// True if the SELECT that stands next is a statement of its own: it has a FROM or INTO.
    pub(super) fn is_query(&mut self) -> bool {
        let back = self.at;
        self.advance();
        self.skip(Stop {
            own: &[],
            ..Stop::CLAUSE
        });
        let found = self.at_keyword(Keyword::From) || self.at_keyword(Keyword::Into);
        self.at = back;
        found
    }

    /// `CONSUME 'uri' WITH options INTO @variable`
    pub(super) fn consume_broker(&mut self, keyword: Span) -> Parsed<StatementKind> {
        let address = self.address()?;
        let mut with = Vec::new();
        if self.eat_clause(Keyword::With) {
            with = self.options();
        }
        let into = match self.target(Into::Variable)? {
            Target::Path(path) => Some(path),
            Target::Refused => None,
            Target::Absent => {
                let hint = "Write INTO @variable behind the options.";
                self.error(keyword, "\"CONSUME\" has no \"INTO\"", hint);
                None
            }
        };
        Ok(StatementKind::ConsumeBroker {
            address,
            with,
            into,
        })
    }
}
