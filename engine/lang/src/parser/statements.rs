//! The statements that compute and control.

use dajet_core::{Diagnostic, Span};

use super::blocks::BlockKind;
use super::query::Into;
use super::skip::Stop;
use super::{Failed, Parsed, Parser};
use crate::ast::{Initializer, MaxParallel, Name, StatementKind, TypeKind, TypeName};
use crate::lexer::{Keyword, TokenKind};

impl Parser<'_> {
    /// The rest of a statement whose keyword has been taken.
    pub(super) fn statement_of(&mut self, keyword: Keyword, span: Span) -> Parsed<StatementKind> {
        let stop = Stop {
            close: false,
            ..Stop::CLAUSE
        };
        Ok(match keyword {
            Keyword::Declare => return self.declare(),
            Keyword::Set => return self.set(),
            Keyword::Use => self.use_statement(span),
            Keyword::If => self.if_statement(span),
            Keyword::While => self.while_statement(span),
            Keyword::For => return self.for_statement(span),
            Keyword::Break => StatementKind::Break,
            Keyword::Continue => StatementKind::Continue,
            Keyword::Return => self.return_statement()?,
            Keyword::Throw => StatementKind::Throw(self.expression()?),
            Keyword::Sleep => StatementKind::Sleep(self.expression()?),
            Keyword::Print => StatementKind::Print(self.expression_or_skip(stop)),
            Keyword::Select => StatementKind::Select(Box::new(self.query(span, Into::Any)?)),
            Keyword::Consume => return self.consume(span),
            Keyword::Produce => return self.produce(),
            Keyword::Insert => return self.insert(),
            Keyword::Try => self.try_statement(span),
            Keyword::Case => self.case_statement(span)?,
            Keyword::Modify => self.modify()?,
            Keyword::Create | Keyword::Drop | Keyword::Apply | Keyword::Revoke => {
                match self.sequence_statement(keyword)? {
                    Some(statement) => statement,
                    None => self.unsupported_statement(keyword, span),
                }
            }
            _ => self.unsupported_statement(keyword, span),
        })
    }

    fn declare(&mut self) -> Parsed<StatementKind> {
        let variable = self.variable()?;
        self.eat_keyword(Keyword::As);
        let type_name = match self.type_name() {
            Ok(type_name) => type_name,
            // The declaration stays, so that its variable is known.
            Err(Failed) => {
                self.skip(Stop::STATEMENT);
                let kind = TypeKind::Union;
                let type_name = TypeName {
                    kind,
                    size: None,
                    scale: None,
                    span: variable.span,
                };
                return Ok(StatementKind::Declare {
                    variable,
                    type_name,
                    of: None,
                    value: None,
                });
            }
        };
        let mut of = None;
        if self.eat_keyword(Keyword::Of) {
            of = self.dotted_name("the name of a defined type").ok();
        }
        let value = if self.eat(TokenKind::Equal) {
            Some(self.initializer())
        } else {
            None
        };
        Ok(StatementKind::Declare {
            variable,
            type_name,
            of,
            value,
        })
    }

    fn set(&mut self) -> Parsed<StatementKind> {
        let path = self.path()?;
        self.expect(TokenKind::Equal, "\"=\"")?;
        Ok(StatementKind::Set {
            path,
            value: self.initializer(),
        })
    }

    /// What stands behind `=`; behind a mistake it is skipped to the next statement.
    fn initializer(&mut self) -> Initializer {
        let start = self.token().span;
        if !self.at_keyword(Keyword::Select) {
            return Initializer::Expr(self.expression_or_skip(Stop::STATEMENT));
        }
        self.advance();
        match self.query(start, Into::Forbidden) {
            Ok(query) => Initializer::Query(Box::new(query)),
            Err(Failed) => {
                self.skip(Stop::STATEMENT);
                Initializer::Expr(self.error_expression(start))
            }
        }
    }

    fn if_statement(&mut self, keyword: Span) -> StatementKind {
        let condition = self.expression_or_skip(Stop {
            close: false,
            ..Stop::CLAUSE
        });
        let then_span = self.token().span;
        let opened_by = match self.expect_keyword(Keyword::Then) {
            Ok(_) => then_span,
            Err(Failed) => {
                self.skip_head();
                keyword
            }
        };
        let then = self.block(BlockKind::Then, opened_by);
        let else_span = self.token().span;
        let mut otherwise = Vec::new();
        if self.eat_keyword(Keyword::Else) {
            otherwise = self.block(BlockKind::Plain, else_span);
        }
        self.close(keyword);
        StatementKind::If {
            condition,
            then,
            otherwise,
        }
    }

    fn while_statement(&mut self, keyword: Span) -> StatementKind {
        let start = self.token().span;
        let condition = match self.expression() {
            Ok(condition) => condition,
            Err(Failed) => {
                self.skip_head();
                self.error_expression(start)
            }
        };
        let body = self.block(BlockKind::Plain, keyword);
        self.close(keyword);
        StatementKind::While { condition, body }
    }

    fn for_statement(&mut self, keyword: Span) -> Parsed<StatementKind> {
        let head = self.for_head();
        if head.is_err() {
            self.skip_head();
        }
        let body = self.block(BlockKind::Open, keyword);
        let closed = self.close_open(keyword);
        let (variable, collection, max_parallel) = head?;
        Ok(StatementKind::For {
            variable,
            collection,
            max_parallel,
            body,
            closed,
        })
    }

    fn for_head(&mut self) -> Parsed<(Name, crate::ast::Path, Option<MaxParallel>)> {
        self.eat_keyword(Keyword::Each);
        let variable = self.variable()?;
        self.expect_keyword(Keyword::In)?;
        let collection = self.path()?;
        let mut max_parallel = None;
        if self.eat_clause(Keyword::MaxDop) {
            max_parallel = Some(self.max_parallel()?);
        }
        Ok((variable, collection, max_parallel))
    }

    fn max_parallel(&mut self) -> Parsed<MaxParallel> {
        if self.eat_keyword(Keyword::Unbounded) {
            return Ok(MaxParallel::Unbounded);
        }
        if self.kind() == TokenKind::Variable {
            return Ok(MaxParallel::Path(self.path()?));
        }
        let negative = self.eat(TokenKind::Minus);
        let token = self.expect(
            TokenKind::Integer,
            "a whole number, a variable or UNBOUNDED",
        )?;
        let Ok(number) = self.slice(token.span).parse::<i64>() else {
            self.error(token.span, "number is too large", "Give a smaller one.");
            return Err(Failed);
        };
        Ok(MaxParallel::Number(if negative { -number } else { number }))
    }

    fn return_statement(&mut self) -> Parsed<StatementKind> {
        let is_bare = match self.kind() {
            TokenKind::End | TokenKind::Semicolon => true,
            TokenKind::Word(Some(keyword)) => keyword.ends_block(),
            _ => false,
        };
        Ok(StatementKind::Return(if is_bare {
            None
        } else {
            Some(self.expression()?)
        }))
    }

    /// `TRY … CATCH … FINALLY … END`: parsed, so that its `END` is found and mistakes inside are, and thrown away.
    fn try_statement(&mut self, keyword: Span) -> StatementKind {
        self.unsupported(keyword, "TRY");
        self.block(BlockKind::Try, keyword);
        let mut has_handler = false;
        let catch = self.token().span;
        if self.eat_keyword(Keyword::Catch) {
            has_handler = true;
            self.block(BlockKind::Try, catch);
        }
        let finally = self.token().span;
        if self.eat_keyword(Keyword::Finally) {
            has_handler = true;
            self.block(BlockKind::Plain, finally);
        }
        if !has_handler && self.at_keyword(Keyword::End) {
            let message = "\"TRY\" has neither \"CATCH\" nor \"FINALLY\"";
            self.error(keyword, message, "Add CATCH, FINALLY or both.");
        }
        self.close(keyword);
        StatementKind::Unsupported
    }

    /// `CASE WHEN … THEN … ELSE … END` as a statement.
    fn case_statement(&mut self, keyword: Span) -> Parsed<StatementKind> {
        let mut branches = Vec::new();
        while self.at_keyword(Keyword::When) || branches.is_empty() {
            if self.expect_keyword(Keyword::When).is_err() {
                self.skip_head();
            }
            let condition = self.expression_or_skip(Stop {
                close: false,
                ..Stop::CLAUSE
            });
            let then = self.token().span;
            let opened_by = self.expect_keyword(Keyword::Then).map_or(keyword, |_| then);
            branches.push((condition, self.block(BlockKind::Case, opened_by)));
        }
        let span = self.token().span;
        let mut otherwise = Vec::new();
        if self.eat_keyword(Keyword::Else) {
            otherwise = self.block(BlockKind::Plain, span);
        }
        self.close(keyword);
        Ok(StatementKind::Case {
            branches,
            otherwise,
        })
    }

    /// `MODIFY @t FROM @s DELETE names SELECT name = expr`
    fn modify(&mut self) -> Parsed<StatementKind> {
        let target = self.path()?;
        let mut from = None;
        if self.eat_clause(Keyword::From) {
            from = Some(self.path()?);
        }
        let mut delete = Vec::new();
        // DELETE FROM is a statement
        let is_statement = self.peek(1).kind == TokenKind::Word(Some(Keyword::From));
        if self.at_keyword(Keyword::Delete) && !is_statement {
            self.advance();
            loop {
                delete.push(self.any_dotted_name("the name of a member")?);
                if !self.eat(TokenKind::Comma) {
                    break;
                }
            }
        }
        let mut select = Vec::new();
        let has_select = self.at_keyword(Keyword::Select) || self.slip_of_case(&[Keyword::Select]);
        if has_select && !self.is_query() {
            self.advance();
            select = self.options();
        }
        Ok(StatementKind::Modify {
            target,
            from,
            delete,
            select,
        })
    }

    /// Reports a construct that is recognised and not built.
    pub(super) fn unsupported(&mut self, span: Span, what: &str) {
        let message = format!("{what} is not supported yet");
        self.report(Diagnostic::error("E_UNSUPPORTED", span, message));
    }
}
