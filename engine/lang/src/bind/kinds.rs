//! References that take turns as one value, in CASE, ISNULL and UNION: the value has one type code, so they are of one kind.

use dajet_core::query::{Expr, Function, Output, Select};
use dajet_core::{DataType, Diagnostic, Span};

use super::Binder;
use crate::names;

/// What an expression may give, and where it stands.
type Turns<'e> = Vec<(&'e Expr, Span)>;

impl Binder<'_> {
    /// Sees to it that what takes turns is of one kind. That of a variable shows when it is sent.
    pub(super) fn of_one_kind(&mut self, turns: &Turns<'_>) {
        let mut all = Vec::new();
        for (expr, span) in turns {
            leaves(expr, *span, &mut all);
        }
        let count = self.plan.parameters.len();
        let kind = |expr: &Expr| match expr {
            Expr::Parameter { index, .. } if *index < count => None,
            expr => kind(expr),
        };
        let Some(kept) = all.iter().find_map(|(expr, _)| kind(expr)) else {
            return;
        };
        for (expr, span) in all {
            match expr {
                Expr::Parameter { index, .. } if *index < count => {
                    self.adaptations[*index].alike = Some(kept);
                }
                expr if kind(expr).is_some_and(|kind| kind != kept) => {
                    let message = "references of different kinds take turns as one value";
                    let hint = "Such a value has one type code: take the identity of each by UUIDOF, or select them apart.";
                    let error = Diagnostic::error("E_UNSUPPORTED", span, message).hint(hint);
                    self.errors.push(error);
                }
                _ => {}
            }
        }
    }

    /// The columns of a query that is added to another one.
    pub(super) fn alike(&mut self, first: &[Output], next: &names::Select, query: &Select) {
        for (index, (a, b)) in first.iter().zip(&query.columns).enumerate() {
            let span = next.span_of(index, first.len());
            self.of_one_kind(&vec![(&a.expr, span), (&b.expr, span)]);
        }
    }
}

fn leaves<'e>(expr: &'e Expr, span: Span, all: &mut Turns<'e>) {
    match expr {
        Expr::Case {
            branches,
            otherwise,
        } => {
            let values = branches.iter().map(|(_, value)| value);
            let values = values.chain(otherwise.as_deref());
            values.for_each(|value| leaves(value, span, all));
        }
        Expr::Call(Function::Max | Function::Min, arguments) => {
            arguments.iter().for_each(|expr| leaves(expr, span, all));
        }
        Expr::Subquery(query) => {
            let first = query.columns.iter();
            first.for_each(|output| leaves(&output.expr, span, all));
        }
        expr => all.push((expr, span)),
    }
}

/// The type code that a reference is read with, if it is known.
fn kind(expr: &Expr) -> Option<i32> {
    let data_type = match expr {
        Expr::Column { column, .. } => column.single().map(|_| column.data_type),
        Expr::Parameter { data_type, .. } => *data_type,
        _ => None,
    };
    match data_type {
        Some(DataType::Entity(code)) if code != 0 => Some(code),
        _ => None,
    }
}
