//! `CREATE | DROP | APPLY | REVOKE SEQUENCE`.

use dajet_core::Span;

use super::{Parsed, Parser};
use crate::ast::{Sequence, SequenceAction, StatementKind};
use crate::lexer::{Keyword, TokenKind};

impl Parser<'_> {
    /// The rest of a statement about a sequence; `None` if the keyword begins another one.
    pub(super) fn sequence_statement(&mut self, keyword: Keyword) -> Parsed<Option<StatementKind>> {
        if !self.at_keyword(Keyword::Sequence) {
            return Ok(None);
        }
        self.advance();
        let name = self.dotted_name("the name of a sequence")?;
        let action = match keyword {
            Keyword::Create => self.create_sequence()?,
            Keyword::Apply => {
                self.expect_keyword(Keyword::On)?;
                let table = self.dotted_name("the name of a table")?;
                self.expect(TokenKind::OpenParen, "\"(\" and the name of a column")?;
                let column = self.any_word("the name of a column")?;
                self.expect(TokenKind::CloseParen, "\")\"")?;
                let recalculate = self.eat_word("RECALCULATE").is_some();
                SequenceAction::Apply {
                    table,
                    column,
                    recalculate,
                }
            }
            Keyword::Revoke => {
                self.expect_keyword(Keyword::On)?;
                let table = self.dotted_name("the name of a table")?;
                SequenceAction::Revoke { table }
            }
            _ => SequenceAction::Drop,
        };
        let sequence = Sequence { name, action };
        Ok(Some(StatementKind::Sequence(Box::new(sequence))))
    }

    /// `[AS type] [START WITH n] [INCREMENT BY n] [CACHE n]`; numbers of a sequence have 64 bits whatever the type says.
    fn create_sequence(&mut self) -> Parsed<SequenceAction> {
        let (mut start, mut increment, mut cache) = (None, 1, 1);
        if self.eat_keyword(Keyword::As) {
            self.any_word("a type")?;
            if self.kind() == TokenKind::OpenParen {
                self.skip_parenthesised();
            }
        }
        loop {
            if self.eat_word("START").is_some() {
                self.expect_keyword(Keyword::With)?;
                start = Some(self.whole_number()?.0);
            } else if self.eat_word("INCREMENT").is_some() {
                self.expect_keyword(Keyword::By)?;
                let (number, span) = self.whole_number()?;
                if number == 0 {
                    self.error(span, "a sequence cannot increment by 0", "Leave it out.");
                }
                increment = number;
            } else if self.eat_word("CACHE").is_some() {
                let (number, span) = self.whole_number()?;
                if number < 1 {
                    self.error(span, "CACHE takes a positive number", "Leave it out.");
                }
                cache = number;
            } else {
                return Ok(SequenceAction::Create {
                    start,
                    increment,
                    cache,
                });
            }
        }
    }

    /// Takes a word that is no keyword elsewhere.
    fn eat_word(&mut self, word: &str) -> Option<Span> {
        let token = self.token();
        let found = matches!(token.kind, TokenKind::Word(_)) && self.slice(token.span) == word;
        found.then(|| self.advance().span)
    }

    fn whole_number(&mut self) -> Parsed<(i64, Span)> {
        let start = self.token().span;
        let negative = self.eat(TokenKind::Minus);
        if self.kind() != TokenKind::Integer {
            return Err(self.unexpected("a whole number"));
        }
        let digits = self.slice(self.token().span);
        let sign = if negative { "-" } else { "" };
        let number = format!("{sign}{digits}").parse();
        let span = start.to(self.token().span);
        if number.is_err() {
            self.error(
                span,
                "the number has more than 64 bits",
                "Take a smaller one.",
            );
        }
        self.advance();
        Ok((number.unwrap_or(1), span))
    }
}
