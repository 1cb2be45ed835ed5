//! Columns that stand in several columns of the table: where they may stand as a whole, and what is taken of them.

use dajet_core::query::{self, Part};
use dajet_core::schema::ColumnRole;
use dajet_core::{Column, DataType, Diagnostic, Span, Value};

use super::Binder;
use super::columns::{part_of, with_role};
use super::typing::share;
use crate::names::Expr;

const WHOLE: &str = "Compare it with a variable, or take a part of it with UUIDOF or CAST.";

impl Binder<'_> {
    fn refuse(&mut self, span: Span, message: String, hint: &str) {
        let error = Diagnostic::error("E_UNSUPPORTED", span, message).hint(hint);
        self.errors.push(error);
    }

    /// Binds what must be a single value.
    pub(super) fn operand(&mut self, expr: &Expr, wanted: Option<DataType>) -> query::Expr {
        let bound = self.expr(expr, wanted);
        if let Some(column) = several(&bound) {
            self.no_operand(column, expr.span);
        }
        bound
    }

    fn no_operand(&mut self, column: &Column, span: Span) {
        let message = format!(
            "column \"{}\" of several parts cannot stand in an expression",
            column.name
        );
        self.refuse(span, message, WHOLE);
    }

    /// Binds what has an identity: the argument of UUIDOF.
    pub(super) fn identified(&mut self, expr: &Expr) -> query::Expr {
        let bound = self.expr(expr, None);
        if let Some(column) = several(&bound)
            && with_role(column, ColumnRole::Reference).is_none()
        {
            let message = format!("column \"{}\" never holds a reference", column.name);
            self.error("E_TYPE", expr.span, message);
        }
        bound
    }

    /// Sees to it that one side of a comparison, if it has several parts, has the other one beside it that it can be compared with.
    pub(super) fn comparable(
        &mut self,
        equality: bool,
        (side, span): (&query::Expr, Span),
        other: &query::Expr,
    ) {
        let Some(column) = several(side) else { return };
        match other {
            _ if !equality => self.no_operand(column, span),
            query::Expr::Parameter {
                part: Part::Whole, ..
            }
            | query::Expr::Literal(Value::Null) => {}
            query::Expr::Column { column: other, .. } => {
                let has = |role| other.parts.iter().any(|part| part.role == role);
                let same = column.parts.len() == other.parts.len()
                    && column.parts.iter().all(|part| has(part.role));
                if !same {
                    let message = format!(
                        "columns \"{}\" and \"{}\" consist of different parts",
                        column.name, other.name
                    );
                    self.refuse(span, message, WHOLE);
                }
            }
            _ => {
                let message = format!("column \"{}\" is compared with an expression", column.name);
                let hint = "Compare it with a variable or a column.";
                self.refuse(span, message, hint);
            }
        }
    }

    /// `CAST`: of a column of several types the part that holds this one, as it is stored.
    pub(super) fn cast(&mut self, operand: &Expr, to: DataType) -> query::Expr {
        let bound = self.expr(operand, None);
        if let query::Expr::Column { alias, column } = &bound
            && let Some(column) = several(&bound).map(|_| column)
        {
            let role = match to {
                DataType::Uuid => Some(ColumnRole::Reference),
                to => share(to).map(|(_, role)| role),
            };
            match role.and_then(|role| with_role(column, role)) {
                Some(part) if column.data_type != DataType::Union => {
                    let column = part_of(column, part);
                    let part = query::Expr::Column {
                        alias: alias.clone(),
                        column,
                    };
                    return query::Expr::Cast(Box::new(part), to);
                }
                Some(_) => {}
                None => {
                    let message = format!("CAST: column \"{}\" never holds this type", column.name);
                    self.error("E_TYPE", operand.span, message);
                }
            }
        }
        query::Expr::Cast(Box::new(bound), to)
    }
}

/// The column, if it is one of several parts.
pub(super) fn several(bound: &query::Expr) -> Option<&Column> {
    match bound {
        query::Expr::Column { column, .. } if column.parts.len() > 1 => Some(column),
        _ => None,
    }
}
