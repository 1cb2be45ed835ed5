//! Expressions, by precedence climbing: OR, AND, NOT, comparison, `+ -`, `* / %`, sign, operand.

use bytes::Bytes;
use dajet_core::{Decimal, Diagnostic, Entity, Span, Value};

use super::skip::Stop;
use super::{Failed, Parsed, Parser};
use crate::ast::{BinaryOp, Expr, ExprKind, UnaryOp};
use crate::lexer::{Keyword, TokenKind};

/// Highest tree of one expression: whoever walks it recursively, and its destructor, rely on that.
const HEIGHT_MAX: u32 = 256;

const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const COMPARISON: u8 = 4;
const SUM: u8 = 5;
const PRODUCT: u8 = 6;

/// An expression and the height of its tree.
pub(super) struct Tree {
    expr: Expr,
    height: u32,
}

impl Tree {
    fn leaf(kind: ExprKind, span: Span) -> Self {
        Self {
            expr: Expr { kind, span },
            height: 1,
        }
    }
}

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        Ok(self.tree(OR)?.expr)
    }

    /// An expression; one that cannot be parsed is skipped and stands as an error in the tree.
    pub(super) fn expression_or_skip(&mut self, stop: Stop<'_>) -> Expr {
        let start = self.token().span;
        match self.expression() {
            Ok(expr) => expr,
            Err(Failed) => {
                self.skip(stop);
                self.error_expression(start)
            }
        }
    }

    pub(super) fn error_expression(&self, start: Span) -> Expr {
        let end = self.last_end().max(start.start);
        Expr {
            kind: ExprKind::Error,
            span: Span::new(start.start, end),
        }
    }

    /// What may stand behind `=` in a selector.
    pub(super) fn selector_value(&mut self) -> Parsed<Expr> {
        Ok(self.tree(PRODUCT + 1)?.expr)
    }

    fn tree(&mut self, lowest: u8) -> Parsed<Tree> {
        self.deeper(|parser| {
            let mut left = parser.prefix()?;
            while let Some(level) = parser.operator_level().filter(|level| *level >= lowest) {
                left = match level {
                    COMPARISON => parser.comparison(left)?,
                    _ => {
                        let op = parser.binary_operator();
                        let right = parser.tree(level + 1)?;
                        parser.combine(op, left, right)?
                    }
                };
            }
            Ok(left)
        })
    }

    /// How tightly the operator binds that stands next, if one does.
    fn operator_level(&mut self) -> Option<u8> {
        if self.kind() == TokenKind::Word(None) && self.starts_operand(1) {
            use Keyword::{And, Between, In, Is, Like, Or};
            // An alias may stand here, but no operand follows an alias.
            self.slip_of_case(&[And, Between, In, Is, Like, Or]);
        }
        match self.kind() {
            TokenKind::Star if self.peek(1).kind == TokenKind::Star => None,
            TokenKind::Star | TokenKind::Slash | TokenKind::Percent => Some(PRODUCT),
            TokenKind::Plus | TokenKind::Minus => Some(SUM),
            TokenKind::Equal
            | TokenKind::NotEqual
            | TokenKind::Less
            | TokenKind::LessOrEqual
            | TokenKind::Greater
            | TokenKind::GreaterOrEqual => Some(COMPARISON),
            TokenKind::Word(Some(keyword)) => match keyword {
                Keyword::Or => Some(OR),
                Keyword::And => Some(AND),
                Keyword::Is | Keyword::In | Keyword::Like | Keyword::Between => Some(COMPARISON),
                Keyword::Not => {
                    let next = self.peek(1).kind;
                    let is_operator = matches!(
                        next,
                        TokenKind::Word(Some(Keyword::In | Keyword::Like | Keyword::Between))
                    );
                    is_operator.then_some(COMPARISON)
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn starts_operand(&self, ahead: usize) -> bool {
        use TokenKind::*;
        match self.peek(ahead).kind {
            Variable | Text | Integer | Decimal | Binary | Entity | OpenParen | Bracketed => true,
            Word(None) => true,
            Word(Some(keyword)) => matches!(keyword, Keyword::Not | Keyword::Case),
            _ => false,
        }
    }

    fn binary_operator(&mut self) -> BinaryOp {
        match self.advance().kind {
            TokenKind::Star => BinaryOp::Multiply,
            TokenKind::Slash => BinaryOp::Divide,
            TokenKind::Percent => BinaryOp::Remainder,
            TokenKind::Plus => BinaryOp::Add,
            TokenKind::Minus => BinaryOp::Subtract,
            TokenKind::NotEqual => BinaryOp::NotEqual,
            TokenKind::Less => BinaryOp::Less,
            TokenKind::LessOrEqual => BinaryOp::LessOrEqual,
            TokenKind::Greater => BinaryOp::Greater,
            TokenKind::GreaterOrEqual => BinaryOp::GreaterOrEqual,
            TokenKind::Word(Some(Keyword::Or)) => BinaryOp::Or,
            TokenKind::Word(Some(Keyword::And)) => BinaryOp::And,
            _ => BinaryOp::Equal,
        }
    }

    fn combine(&mut self, op: BinaryOp, left: Tree, right: Tree) -> Parsed<Tree> {
        let span = left.expr.span.to(right.expr.span);
        let height = left.height.max(right.height);
        let kind = ExprKind::Binary(op, Box::new(left.expr), Box::new(right.expr));
        self.above(height, kind, span)
    }

    /// A node over operands of the given height.
    fn above(&mut self, height: u32, kind: ExprKind, span: Span) -> Parsed<Tree> {
        if height >= HEIGHT_MAX {
            self.error(span, "expression is too long", "Split it by variables.");
            return Err(Failed);
        }
        Ok(Tree {
            expr: Expr { kind, span },
            height: height + 1,
        })
    }

    fn comparison(&mut self, left: Tree) -> Parsed<Tree> {
        if self.eat_keyword(Keyword::Is) {
            return self.is_test(left);
        }
        let negated = self.eat_keyword(Keyword::Not);
        if self.eat_keyword(Keyword::In) {
            return self.in_list(left, negated);
        }
        if self.eat_keyword(Keyword::Like) {
            let pattern = self.tree(SUM)?;
            let span = left.expr.span.to(pattern.expr.span);
            let height = left.height.max(pattern.height);
            let (operand, pattern) = (Box::new(left.expr), Box::new(pattern.expr));
            return self.above(
                height,
                ExprKind::Like {
                    operand,
                    pattern,
                    negated,
                },
                span,
            );
        }
        if self.eat_keyword(Keyword::Between) {
            let low = self.tree(SUM)?;
            self.expect_keyword(Keyword::And)?;
            let high = self.tree(SUM)?;
            let span = left.expr.span.to(high.expr.span);
            let height = left.height.max(low.height).max(high.height);
            let (operand, low) = (Box::new(left.expr), Box::new(low.expr));
            let kind = ExprKind::Between {
                operand,
                low,
                high: Box::new(high.expr),
                negated,
            };
            return self.above(height, kind, span);
        }
        let op = self.binary_operator();
        let quantifier = self.token().span;
        let is_quantified = self.at_keyword(Keyword::All) || self.at_keyword(Keyword::Any);
        if is_quantified && self.peek(1).kind == TokenKind::OpenParen {
            self.unsupported(
                quantifier,
                &format!("comparison with {}", self.slice(quantifier)),
            );
            self.advance();
            self.subquery()?;
            return Ok(Tree::leaf(ExprKind::Error, self.span_from(left.expr.span)));
        }
        let right = self.tree(SUM)?;
        self.combine(op, left, right)
    }

    fn is_test(&mut self, left: Tree) -> Parsed<Tree> {
        let negated = self.eat_keyword(Keyword::Not);
        let operand = Box::new(left.expr);
        let start = operand.span;
        let kind = if self.at_literal_word("null") {
            self.advance();
            ExprKind::IsNull { operand, negated }
        } else {
            let type_name = self.type_name()?;
            ExprKind::IsType {
                operand,
                type_name,
                negated,
            }
        };
        self.above(left.height, kind, self.span_from(start))
    }

    fn in_list(&mut self, left: Tree, negated: bool) -> Parsed<Tree> {
        let start = left.expr.span;
        if self.peek(1).kind == TokenKind::Word(Some(Keyword::Select)) {
            let query = self.subquery()?;
            let kind = ExprKind::InQuery {
                operand: Box::new(left.expr),
                query,
                negated,
            };
            return self.above(left.height, kind, self.span_from(start));
        }
        let (list, height) = self.parenthesised(|parser| parser.operands())?;
        let operand = Box::new(left.expr);
        let kind = ExprKind::InList {
            operand,
            list,
            negated,
        };
        self.above(height.max(left.height), kind, self.span_from(start))
    }

    /// Operands with commas between them, and the height of the highest.
    fn operands(&mut self) -> Parsed<(Vec<Expr>, u32)> {
        let (mut list, mut height) = (Vec::new(), 0);
        loop {
            let item = self.tree(OR)?;
            height = height.max(item.height);
            list.push(item.expr);
            if !self.eat(TokenKind::Comma) {
                return Ok((list, height));
            }
        }
    }

    /// `( … )`. Behind a mistake inside it is skipped to the `)`.
    pub(super) fn parenthesised<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        let open = self.expect(TokenKind::OpenParen, "\"(\"")?.span;
        let parsed = parse(self).and_then(|inside| {
            if self.eat(TokenKind::CloseParen) {
                return Ok(inside);
            }
            Err(self.unclosed(open, "\")\""))
        });
        if parsed.is_err() {
            self.skip(Stop {
                comma: false,
                ..Stop::CLAUSE
            });
            self.eat(TokenKind::CloseParen);
        }
        parsed
    }

    fn prefix(&mut self) -> Parsed<Tree> {
        let start = self.token().span;
        let (op, level) = match self.kind() {
            TokenKind::Minus => (UnaryOp::Minus, PRODUCT + 1),
            TokenKind::Plus => (UnaryOp::Plus, PRODUCT + 1),
            TokenKind::Word(Some(Keyword::Not)) => (UnaryOp::Not, NOT + 1),
            _ => return self.operand(),
        };
        self.advance();
        if op == UnaryOp::Minus && self.number_follows(start) {
            return self.number(true);
        }
        let operand = self.tree(level)?;
        let span = start.to(operand.expr.span);
        self.above(
            operand.height,
            ExprKind::Unary(op, Box::new(operand.expr)),
            span,
        )
    }

    fn number_follows(&self, sign: Span) -> bool {
        let token = self.token();
        let is_number = matches!(token.kind, TokenKind::Integer | TokenKind::Decimal);
        is_number && token.span.start == sign.end
    }

    fn operand(&mut self) -> Parsed<Tree> {
        let token = self.token();
        let kind = match token.kind {
            TokenKind::Integer | TokenKind::Decimal => return self.number(false),
            TokenKind::Variable => ExprKind::Path(self.path()?),
            TokenKind::Text => ExprKind::Literal(Value::text(self.quoted_text(token.span))),
            TokenKind::Binary => ExprKind::Literal(Value::Binary(self.bytes(token.span))),
            TokenKind::Entity => ExprKind::Literal(Value::Entity(self.entity(token.span))),
            TokenKind::OpenParen => return self.grouped(),
            TokenKind::Word(keyword) => return self.word_operand(keyword),
            TokenKind::Bracketed => return self.column_or_call(),
            _ => return Err(self.unexpected("an expression")),
        };
        if !matches!(kind, ExprKind::Path(_)) {
            self.advance();
        }
        Ok(Tree::leaf(kind, self.span_from(token.span)))
    }

    fn grouped(&mut self) -> Parsed<Tree> {
        let start = self.token().span;
        if self.peek(1).kind == TokenKind::Word(Some(Keyword::Select)) {
            let query = self.subquery()?;
            return Ok(Tree::leaf(ExprKind::Subquery(query), self.span_from(start)));
        }
        let mut inner = self.parenthesised(|parser| parser.tree(OR))?;
        inner.expr.span = self.span_from(start);
        Ok(inner)
    }

    fn word_operand(&mut self, keyword: Option<Keyword>) -> Parsed<Tree> {
        let token = self.token();
        let is_call = self.peek(1).kind == TokenKind::OpenParen;
        match keyword {
            Some(Keyword::Case) => return self.case_expression(),
            Some(Keyword::Exists) if is_call => {
                self.advance();
                let query = self.subquery()?;
                let span = self.span_from(token.span);
                return Ok(Tree::leaf(ExprKind::Exists(query), span));
            }
            Some(Keyword::Left | Keyword::Right) if is_call => return self.column_or_call(),
            Some(Keyword::Select) => {
                let hint = "Put a query in an expression in brackets.".to_owned();
                return Err(self.unexpected_with("an expression", Some(hint)));
            }
            Some(keyword) if keyword.is_reserved() => {
                return Err(self.unexpected("an expression"));
            }
            _ => {}
        }
        let value = if self.at_literal_word("true") {
            Value::Boolean(true)
        } else if self.at_literal_word("false") {
            Value::Boolean(false)
        } else if self.at_literal_word("null") {
            Value::Null
        } else if is_call && self.slice(token.span).eq_ignore_ascii_case("cast") {
            return self.cast();
        } else {
            return self.column_or_call();
        };
        self.advance();
        Ok(Tree::leaf(ExprKind::Literal(value), token.span))
    }

    /// True if `true`, `false` or `null` stands next, in any case.
    fn at_literal_word(&self, word: &str) -> bool {
        let token = self.token();
        matches!(token.kind, TokenKind::Word(_))
            && self.slice(token.span).eq_ignore_ascii_case(word)
            && !matches!(self.peek(1).kind, TokenKind::Dot | TokenKind::OpenParen)
    }

    fn column_or_call(&mut self) -> Parsed<Tree> {
        let name = self.any_dotted_name("an expression")?;
        if self.kind() == TokenKind::OpenParen {
            return self.call(name);
        }
        let span = name.span;
        Ok(Tree::leaf(ExprKind::Column(name), span))
    }

    fn call(&mut self, mut name: crate::ast::Name) -> Parsed<Tree> {
        let start = name.span;
        if let Some(english) = aggregate_synonym(&name.text) {
            name.text = english.into();
        }
        let mut star = false;
        let (args, height) = self.parenthesised(|parser| {
            let distinct = parser.token().span;
            if parser.eat_keyword(Keyword::Distinct) {
                let operand = parser.tree(OR)?;
                let height = operand.height + 1;
                let span = distinct.to(operand.expr.span);
                let kind = ExprKind::Distinct(Box::new(operand.expr));
                return Ok((vec![Expr { kind, span }], height));
            }
            if parser.kind() == TokenKind::CloseParen {
                return Ok((Vec::new(), 0));
            }
            if parser.kind() == TokenKind::Star {
                parser.advance();
                star = true;
                return Ok((Vec::new(), 0));
            }
            parser.operands()
        })?;
        let over = self.token().span;
        if self.eat_keyword(Keyword::Over) {
            self.unsupported(over, "OVER");
            if self.kind() == TokenKind::OpenParen {
                self.skip_parenthesised();
            }
        }
        self.above(
            height,
            ExprKind::Call { name, args, star },
            self.span_from(start),
        )
    }

    fn cast(&mut self) -> Parsed<Tree> {
        let start = self.advance().span;
        let (operand, type_name) = self.parenthesised(|parser| {
            let operand = parser.tree(OR)?;
            parser.expect_keyword(Keyword::As)?;
            Ok((operand, parser.type_name()?))
        })?;
        let kind = ExprKind::Cast {
            operand: Box::new(operand.expr),
            type_name,
        };
        self.above(operand.height, kind, self.span_from(start))
    }

    fn case_expression(&mut self) -> Parsed<Tree> {
        let start = self.advance().span;
        let mut height = 0;
        let parsed = self.case_branches(&mut height);
        let Ok((branches, otherwise)) = parsed else {
            // So that its END closes no block.
            self.skip(Stop {
                cases: 1,
                ..Stop::STATEMENT
            });
            return Err(Failed);
        };
        if !self.eat_keyword(Keyword::End) && !self.slip_of_case(&[Keyword::End]) {
            if !self.aborted {
                let message = "\"CASE\" has no \"END\"";
                let hint = "Close the expression with END.";
                self.error(start, message, hint);
            }
            return Err(Failed);
        }
        self.above(
            height,
            ExprKind::Case {
                branches,
                otherwise,
            },
            self.span_from(start),
        )
    }

    fn case_branches(
        &mut self,
        height: &mut u32,
    ) -> Parsed<(Vec<(Expr, Expr)>, Option<Box<Expr>>)> {
        let mut branches = Vec::new();
        while self.at_keyword(Keyword::When)
            || self.slip_of_case(&[Keyword::When])
            || branches.is_empty()
        {
            if !self.at_keyword(Keyword::When) && self.starts_operand(0) {
                let hint = "Write CASE WHEN condition THEN value … END.".to_owned();
                return Err(self.unexpected_with("\"WHEN\"", Some(hint)));
            }
            self.expect_keyword(Keyword::When)?;
            let condition = self.tree(OR)?;
            self.expect_keyword(Keyword::Then)?;
            let value = self.tree(OR)?;
            *height = (*height).max(condition.height).max(value.height);
            branches.push((condition.expr, value.expr));
        }
        let mut otherwise = None;
        if self.eat_keyword(Keyword::Else) {
            let value = self.tree(OR)?;
            *height = (*height).max(value.height);
            otherwise = Some(Box::new(value.expr));
        }
        Ok((branches, otherwise))
    }

    fn number(&mut self, negative: bool) -> Parsed<Tree> {
        let token = self.advance();
        let span = match self.at.checked_sub(2) {
            Some(sign) if negative => self.tokens[sign].span.to(token.span),
            _ => token.span,
        };
        let text = self.slice(token.span);
        let scale = text.find('.').map_or(0, |point| text.len() - point - 1);
        let digits = text.bytes().filter(u8::is_ascii_digit);
        // The lexer refuses more than 38 digits, so this does not overflow.
        let magnitude = digits.fold(0_i128, |sum, d| sum * 10 + i128::from(d - b'0'));
        let mantissa = if negative { -magnitude } else { magnitude };
        let value = match i64::try_from(mantissa) {
            Ok(integer) if token.kind == TokenKind::Integer => Value::Integer(integer),
            _ => match Decimal::new(mantissa, scale as u8) {
                Some(decimal) => Value::Decimal(decimal),
                None => {
                    let message = "number has more than 38 digits";
                    self.report(Diagnostic::error("E_LEX", span, message));
                    return Err(Failed);
                }
            },
        };
        Ok(Tree::leaf(ExprKind::Literal(value), span))
    }

    /// Quoted text without its quotes, doubled ones made single.
    pub(super) fn quoted_text(&self, span: Span) -> String {
        let text = self.slice(span);
        let (quote, inside) = (&text[..1], &text[1..text.len() - 1]);
        inside.replace(&quote.repeat(2), quote)
    }

    fn bytes(&self, span: Span) -> Bytes {
        let digits = &self.slice(span).as_bytes()[2..];
        let half = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
        digits
            .chunks_exact(2)
            .map(|pair| half(pair[0]) << 4 | half(pair[1]))
            .collect()
    }

    fn entity(&self, span: Span) -> Entity {
        let text = self.slice(span);
        let (code, uuid) = text[1..text.len() - 1].split_once(':').unwrap_or_default();
        let code = code.parse().expect("the lexer has checked the code");
        let uuid = uuid::Uuid::try_parse(uuid).expect("the lexer has checked the uuid");
        Entity { code, uuid }
    }
}

/// The English name of an aggregate that is written in Russian.
fn aggregate_synonym(name: &str) -> Option<&'static str> {
    match name {
        "СУММА" => Some("SUM"),
        "МАКСИМУМ" => Some("MAX"),
        "МИНИМУМ" => Some("MIN"),
        "СРЕДНЕЕ" => Some("AVG"),
        "КОЛИЧЕСТВО" => Some("COUNT"),
        _ => None,
    }
}
