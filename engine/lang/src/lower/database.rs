//! Expressions of database statements: what holds no column is computed by the machine and becomes a parameter.

use std::sync::Arc;

use dajet_core::query::{Binary, Unary};
use dajet_core::{DataType, Span, Value};

use super::Lowering;
use super::expressions::is_null;
use crate::ast::{self, BinaryOp, Name, UnaryOp};
use crate::functions::{self, Found, InDatabase};
use crate::names::{Expr, ExprKind};
use crate::program::{self, Type};

impl Lowering {
    /// Lowers an expression of a database statement.
    pub(super) fn query_expr(
        &mut self,
        expr: &ast::Expr,
        parameters: &mut Vec<program::Expr>,
    ) -> Expr {
        let of_machine = self.single_row && is_of_machine(expr);
        let kind = match is_of_database(expr) && !of_machine {
            true => self.database_expr(expr, parameters),
            false => self.computed(expr, parameters),
        };
        Expr {
            kind,
            span: expr.span,
        }
    }

    pub(super) fn query_exprs(
        &mut self,
        exprs: &[ast::Expr],
        parameters: &mut Vec<program::Expr>,
    ) -> Vec<Expr> {
        let lower = |expr| self.query_expr(expr, parameters);
        exprs.iter().map(lower).collect()
    }

    /// An expression without columns: a constant, or a parameter that the machine computes.
    fn computed(&mut self, expr: &ast::Expr, parameters: &mut Vec<program::Expr>) -> ExprKind {
        let value = self.expr(expr);
        match value.kind {
            program::ExprKind::Constant(
                constant
                @ (Value::Null | Value::Boolean(_) | Value::Integer(_) | Value::Decimal(_)),
            ) => ExprKind::Literal(constant),
            kind => {
                parameters.push(program::Expr {
                    kind,
                    span: expr.span,
                });
                ExprKind::Parameter(parameters.len() - 1)
            }
        }
    }

    /// An expression with columns, or with a function that only a database has.
    fn database_expr(&mut self, expr: &ast::Expr, parameters: &mut Vec<program::Expr>) -> ExprKind {
        let span = expr.span;
        match &expr.kind {
            ast::ExprKind::Column(name) => {
                self.note_value(name);
                ExprKind::Column(name.clone())
            }
            ast::ExprKind::Unary(op, operand) => {
                let operand = Box::new(self.query_expr(operand, parameters));
                match op {
                    UnaryOp::Minus => ExprKind::Unary(Unary::Negate, operand),
                    UnaryOp::Plus => operand.kind,
                    UnaryOp::Not => ExprKind::Unary(Unary::Not, operand),
                }
            }
            ast::ExprKind::Binary(op, a, b) => self.query_binary(*op, a, b, parameters),
            ast::ExprKind::IsNull { operand, negated } => {
                ExprKind::IsNull(Box::new(self.query_expr(operand, parameters)), *negated)
            }
            ast::ExprKind::InList { .. }
            | ast::ExprKind::Like { .. }
            | ast::ExprKind::Between { .. } => self.query_predicate(expr, parameters),
            ast::ExprKind::InQuery {
                operand,
                query,
                negated,
            } => {
                let operand = Box::new(self.query_expr(operand, parameters));
                let query = Box::new(self.nameless_query(query, parameters));
                ExprKind::InQuery(operand, query, *negated)
            }
            ast::ExprKind::Exists(query) => {
                ExprKind::Exists(Box::new(self.nameless_query(query, parameters)))
            }
            ast::ExprKind::Subquery(query) => {
                ExprKind::Subquery(Box::new(self.nameless_query(query, parameters)))
            }
            ast::ExprKind::Distinct(operand) => {
                let message = "DISTINCT is supported in COUNT only";
                self.error("E_UNSUPPORTED", span, message);
                self.query_expr(operand, parameters).kind
            }
            ast::ExprKind::Case {
                branches,
                otherwise,
            } => self.query_case(branches, otherwise.as_deref(), parameters),
            ast::ExprKind::Call { name, args, star } => {
                self.query_call(name, args, *star, parameters)
            }
            ast::ExprKind::Cast { operand, type_name } => {
                let operand = Box::new(self.query_expr(operand, parameters));
                let to = self.type_of(type_name);
                self.query_cast(operand, to, type_name.span)
            }
            ast::ExprKind::IsType {
                operand,
                type_name,
                negated,
            } => self.query_is_type(operand, type_name, *negated, parameters),
            ast::ExprKind::Literal(_) | ast::ExprKind::Path(_) | ast::ExprKind::Error => {
                ExprKind::Literal(Value::Null)
            }
        }
    }

    /// IN, LIKE and BETWEEN.
    fn query_predicate(
        &mut self,
        expr: &ast::Expr,
        parameters: &mut Vec<program::Expr>,
    ) -> ExprKind {
        let span = expr.span;
        match &expr.kind {
            ast::ExprKind::InList {
                operand,
                list,
                negated,
            } => {
                let operand = Box::new(self.query_expr(operand, parameters));
                let list = list
                    .iter()
                    .map(|item| self.query_expr(item, parameters))
                    .collect();
                ExprKind::InList(operand, list, *negated)
            }
            ast::ExprKind::Like {
                operand,
                pattern,
                negated,
            } => {
                let op = if *negated {
                    Binary::NotLike
                } else {
                    Binary::Like
                };
                let operand = self.query_expr(operand, parameters);
                ExprKind::Binary(
                    op,
                    Box::new((operand, self.query_expr(pattern, parameters))),
                )
            }
            ast::ExprKind::Between {
                operand,
                low,
                high,
                negated,
            } => {
                let kind = self.query_between(operand, low, high, parameters);
                match negated {
                    true => ExprKind::Unary(Unary::Not, Box::new(Expr { kind, span })),
                    false => kind,
                }
            }
            _ => ExprKind::Literal(Value::Null),
        }
    }

    fn query_case(
        &mut self,
        branches: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
        parameters: &mut Vec<program::Expr>,
    ) -> ExprKind {
        let mut lowered = Vec::with_capacity(branches.len());
        for (condition, value) in branches {
            let condition = self.query_expr(condition, parameters);
            lowered.push((condition, self.query_expr(value, parameters)));
        }
        let otherwise = otherwise.map(|value| Box::new(self.query_expr(value, parameters)));
        ExprKind::Case(lowered, otherwise)
    }

    fn query_cast(&mut self, operand: Box<Expr>, to: Type, span: Span) -> ExprKind {
        let data_type = match to {
            Type::Boolean => DataType::Boolean,
            Type::Integer => DataType::Integer,
            Type::Number | Type::Decimal => DataType::Decimal,
            Type::DateTime => DataType::DateTime,
            Type::String => DataType::Text,
            Type::Binary => DataType::Binary,
            Type::Uuid => DataType::Uuid,
            Type::Entity => DataType::Entity(0),
            Type::Union | Type::Object | Type::Array => {
                let message = format!("a column cannot be cast to {}", to.word());
                self.error("E_UNSUPPORTED", span, message);
                DataType::Text
            }
        };
        ExprKind::Cast(operand, data_type)
    }

    fn query_binary(
        &mut self,
        op: BinaryOp,
        a: &ast::Expr,
        b: &ast::Expr,
        parameters: &mut Vec<program::Expr>,
    ) -> ExprKind {
        let null_side = match (is_null(a), is_null(b)) {
            (_, true) => Some(a),
            (true, _) => Some(b),
            _ => None,
        };
        if let (BinaryOp::Equal | BinaryOp::NotEqual, Some(operand)) = (op, null_side) {
            let operand = Box::new(self.query_expr(operand, parameters));
            return ExprKind::IsNull(operand, op == BinaryOp::NotEqual);
        }
        let sides = (
            self.query_expr(a, parameters),
            self.query_expr(b, parameters),
        );
        ExprKind::Binary(database_operator(op), Box::new(sides))
    }

    fn query_between(
        &mut self,
        operand: &ast::Expr,
        low: &ast::Expr,
        high: &ast::Expr,
        parameters: &mut Vec<program::Expr>,
    ) -> ExprKind {
        let mut side = |op, bound: &ast::Expr| {
            let span = operand.span.to(bound.span);
            let sides = (
                self.query_expr(operand, parameters),
                self.query_expr(bound, parameters),
            );
            Expr {
                kind: ExprKind::Binary(op, Box::new(sides)),
                span,
            }
        };
        let (low, high) = (
            side(Binary::GreaterOrEqual, low),
            side(Binary::LessOrEqual, high),
        );
        ExprKind::Binary(Binary::And, Box::new((low, high)))
    }

    fn query_call(
        &mut self,
        name: &Name,
        args: &[ast::Expr],
        star: bool,
        parameters: &mut Vec<program::Expr>,
    ) -> ExprKind {
        let nothing = ExprKind::Literal(Value::Null);
        let Some(function) = self.function(name, if star { 0 } else { args.len() }) else {
            return nothing;
        };
        if let (
            true,
            [
                ast::Expr {
                    kind: ast::ExprKind::Distinct(operand),
                    ..
                },
            ],
        ) = (function.name == "COUNT", args)
        {
            let operand = self.query_expr(operand, parameters);
            return ExprKind::Call(dajet_core::query::Function::CountDistinct, vec![operand]);
        }
        let lower = |lowering: &mut Self, parameters: &mut Vec<program::Expr>| {
            lowering.query_exprs(args, parameters)
        };
        if let ("TYPEOF", [arg]) = (function.name, args) {
            return self.query_type_of(arg, parameters);
        }
        match &function.database {
            Some(InDatabase::Vector) => match args.first().map(|arg| &arg.kind) {
                Some(ast::ExprKind::Literal(Value::Text(sequence))) => {
                    let sequence: Arc<str> = sequence.to_string().into();
                    ExprKind::Call(dajet_core::query::Function::Vector(sequence), Vec::new())
                }
                _ => {
                    let message = "VECTOR takes the name of a sequence as a literal";
                    self.hinted("E_TYPE", name.span, message, "Write VECTOR('sequence').");
                    nothing
                }
            },
            Some(InDatabase::PerRow(_)) if !args.is_empty() => self.of_script(function, name.span),
            Some(
                InDatabase::OverColumns(call)
                | InDatabase::PerRow(call)
                | InDatabase::Aggregate(call),
            ) => ExprKind::Call(call.clone(), lower(self, parameters)),
            Some(InDatabase::Coalesce) => coalesce(lower(self, parameters), name.span),
            None => self.of_script(function, name.span),
        }
    }

    /// Refuses a function that no database has, over columns.
    fn of_script(&mut self, function: &functions::Function, span: Span) -> ExprKind {
        let message = format!("function {} over a column is not supported", function.name);
        let hint =
            "It is computed by the script: select its argument, and call it with what was read.";
        self.hinted("E_UNSUPPORTED", span, message, hint);
        ExprKind::Literal(Value::Null)
    }
}

/// `CASE WHEN a IS NOT NULL THEN a … ELSE last END`. A parameter stands twice, which is harmless.
fn coalesce(mut values: Vec<Expr>, span: Span) -> ExprKind {
    let Some(last) = values.pop() else {
        return ExprKind::Literal(Value::Null);
    };
    let mut otherwise = last;
    while let Some(value) = values.pop() {
        let known = ExprKind::IsNull(Box::new(value.clone()), true);
        let known = Expr {
            kind: known,
            span: value.span,
        };
        let kind = ExprKind::Case(vec![(known, value)], Some(Box::new(otherwise)));
        otherwise = Expr { kind, span };
    }
    otherwise.kind
}

fn database_operator(op: BinaryOp) -> Binary {
    match op {
        BinaryOp::Or => Binary::Or,
        BinaryOp::And => Binary::And,
        BinaryOp::Equal => Binary::Equal,
        BinaryOp::NotEqual => Binary::NotEqual,
        BinaryOp::Less => Binary::Less,
        BinaryOp::LessOrEqual => Binary::LessOrEqual,
        BinaryOp::Greater => Binary::Greater,
        BinaryOp::GreaterOrEqual => Binary::GreaterOrEqual,
        BinaryOp::Add => Binary::Add,
        BinaryOp::Subtract => Binary::Subtract,
        BinaryOp::Multiply => Binary::Multiply,
        BinaryOp::Divide => Binary::Divide,
        BinaryOp::Remainder => Binary::Remainder,
    }
}

/// True if the expression, standing in a database statement, holds a column or a function that the database evaluates.
fn is_of_database(expr: &ast::Expr) -> bool {
    any(expr, &mut |expr| match &expr.kind {
        ast::ExprKind::Column(_) => true,
        ast::ExprKind::InQuery { .. } | ast::ExprKind::Exists(_) | ast::ExprKind::Subquery(_) => {
            true
        }
        ast::ExprKind::Call { name, args, .. } => match functions::find(&name.text) {
            Found::Known(function) => match function.database {
                Some(InDatabase::Aggregate(_) | InDatabase::Vector) => true,
                Some(InDatabase::PerRow(_)) => args.is_empty(),
                _ => false,
            },
            _ => false,
        },
        _ => false,
    })
}

/// True for a call of a function that no database has, over nothing that only a database can tell.
fn is_of_machine(expr: &ast::Expr) -> bool {
    let function = |expr: &ast::Expr| match &expr.kind {
        ast::ExprKind::Call { name, .. } => match functions::find(&name.text) {
            Found::Known(function) => Some(function),
            _ => None,
        },
        _ => None,
    };
    let told_by_database = &mut |expr: &ast::Expr| match &expr.kind {
        ast::ExprKind::Column(_)
        | ast::ExprKind::InQuery { .. }
        | ast::ExprKind::Exists(_)
        | ast::ExprKind::Subquery(_) => true,
        _ => function(expr).is_some_and(|function| {
            matches!(
                function.database,
                Some(InDatabase::Aggregate(_) | InDatabase::Vector)
            )
        }),
    };
    function(expr).is_some_and(|function| function.database.is_none())
        && !any(expr, told_by_database)
}

/// True if `test` holds for the expression or one below it.
/// (Not within queries that stand in it.)
pub(super) fn any(expr: &ast::Expr, test: &mut dyn FnMut(&ast::Expr) -> bool) -> bool {
    if test(expr) {
        return true;
    }
    match &expr.kind {
        ast::ExprKind::Literal(_)
        | ast::ExprKind::Path(_)
        | ast::ExprKind::Column(_)
        | ast::ExprKind::Exists(_)
        | ast::ExprKind::Subquery(_)
        | ast::ExprKind::Error => false,
        ast::ExprKind::Unary(_, operand)
        | ast::ExprKind::Distinct(operand)
        | ast::ExprKind::InQuery { operand, .. }
        | ast::ExprKind::IsNull { operand, .. }
        | ast::ExprKind::IsType { operand, .. }
        | ast::ExprKind::Cast { operand, .. } => any(operand, test),
        ast::ExprKind::Binary(_, a, b) => any(a, test) || any(b, test),
        ast::ExprKind::InList { operand, list, .. } => {
            any(operand, test) || list.iter().any(|item| any(item, test))
        }
        ast::ExprKind::Like {
            operand, pattern, ..
        } => any(operand, test) || any(pattern, test),
        ast::ExprKind::Between {
            operand, low, high, ..
        } => any(operand, test) || any(low, test) || any(high, test),
        ast::ExprKind::Case {
            branches,
            otherwise,
        } => {
            branches.iter().any(|(c, v)| any(c, test) || any(v, test))
                || otherwise.as_ref().is_some_and(|e| any(e, test))
        }
        ast::ExprKind::Call { args, .. } => args.iter().any(|arg| any(arg, test)),
    }
}
