//! What kind of value a column holds: TYPEOF, and comparisons of columns that hold values of several types.

use std::sync::Arc;

use bytes::Bytes;
use dajet_core::query::{self, Binary, Part};
use dajet_core::schema::ColumnRole;
use dajet_core::{Column, DataType, Diagnostic, PhysicalColumn, Value};

use super::Binder;
use super::columns::{FoundColumn, part_of, with_role};
use crate::functions::identity::type_code;
use crate::names::{Expr, ExprKind};
use crate::program;

/// The tag of a reference in a union.
const REFERENCE: u8 = 8;

impl Binder<'_> {
    /// `TYPEOF(column)`
    pub(super) fn type_code(&mut self, operand: &Expr) -> query::Expr {
        let nothing = query::Expr::Literal(Value::Null);
        let ExprKind::Column(name) = &operand.kind else {
            return nothing;
        };
        if let Some(value) = self.value(name) {
            return query::Expr::Literal(Value::Integer(value.code.into()));
        }
        let Some((alias, column)) = self.column(name) else {
            return nothing;
        };
        let number = |part: &PhysicalColumn| {
            let column = Column::new(
                Arc::clone(&column.name),
                DataType::Binary,
                vec![part.clone()],
            );
            let bytes = query::Expr::Column {
                alias: Arc::clone(&alias),
                column: Arc::new(column),
            };
            query::Expr::Cast(Box::new(bytes), DataType::Integer)
        };
        let code = with_role(&column, ColumnRole::TypeCode).map(number);
        match (column.data_type, with_role(&column, ColumnRole::Tag)) {
            (DataType::Union, Some(tag)) => {
                let reference = self.has_tag(&alias, &column, tag, REFERENCE);
                match code {
                    Some(code) => query::Expr::Case {
                        branches: vec![(reference, code)],
                        otherwise: Some(Box::new(number(tag))),
                    },
                    None => number(tag),
                }
            }
            (data_type, _) => code.unwrap_or_else(|| {
                let code = match data_type {
                    DataType::Entity(code) => code.into(),
                    other => type_code(word(other)),
                };
                query::Expr::Literal(Value::Integer(code))
            }),
        }
    }

    /// `column = TYPEOF(x)` compares the type of the column.
    pub(super) fn by_type(&mut self, op: Binary, a: &Expr, b: &Expr) -> Option<query::Expr> {
        let is_type = |expr: &Expr| match &expr.kind {
            ExprKind::Parameter(index) => match &self.plan.parameters[*index].kind {
                program::ExprKind::Ask { asked, .. } => {
                    matches!(asked, program::Asked::TypeOf { .. })
                }
                program::ExprKind::Call(function, _) => function.name == "TYPEOF",
                _ => false,
            },
            _ => false,
        };
        let of_column = |expr: &Expr| {
            let holds = self.holds_references(expr);
            holds.then(|| Expr {
                kind: ExprKind::TypeOf(Box::new(expr.clone())),
                span: expr.span,
            })
        };
        match (is_type(a), is_type(b)) {
            (false, true) => of_column(a).map(|a| self.comparison(op, &a, b)),
            (true, false) => of_column(b).map(|b| self.comparison(op, a, &b)),
            _ => None,
        }
    }

    fn holds_references(&self, expr: &Expr) -> bool {
        let ExprKind::Column(name) = &expr.kind else {
            return false;
        };
        let found = self.quietly(name);
        found.is_some_and(|(_, column)| {
            matches!(column.data_type, DataType::Entity(_) | DataType::Union)
        })
    }

    /// The column, if the expression is one that holds values of several types.
    pub(super) fn union(&self, expr: &Expr) -> Option<FoundColumn> {
        let ExprKind::Column(name) = &expr.kind else {
            return None;
        };
        self.quietly(name)
            .filter(|(_, column)| column.data_type == DataType::Union)
    }

    /// A column of several types equals a literal, or a column of one type. (With a parameter, and with a column like itself,
    /// the database compares part by part.)
    pub(super) fn equal_union(&mut self, side: &Expr, other: &Expr) -> Option<query::Expr> {
        let (alias, column) = self.union(side)?;
        match &other.kind {
            ExprKind::Literal(Value::Null) => None,
            ExprKind::Literal(value) => {
                let value = self.sent(value.clone(), DataType::Union);
                let own = query::Expr::Column { alias, column };
                Some(both(Binary::Equal, own, value))
            }
            ExprKind::Column(name) => {
                let (other_alias, other) = self.quietly(name)?;
                let (tag, role) = share(other.data_type)?;
                let own = (
                    with_role(&column, role),
                    with_role(&column, ColumnRole::Tag),
                );
                let (Some(part), Some(own_tag)) = own else {
                    let message = format!("column \"{}\" never holds such values", column.name);
                    self.errors
                        .push(Diagnostic::error("E_TYPE", side.span, message));
                    return None;
                };
                let mut equal = self.has_tag(&alias, &column, own_tag, tag);
                let of = |column: &Column, alias: &Arc<str>, part: &PhysicalColumn| {
                    query::Expr::Column {
                        alias: Arc::clone(alias),
                        column: part_of(column, part),
                    }
                };
                if role == ColumnRole::Reference
                    && let Some(code) = with_role(&column, ColumnRole::TypeCode)
                {
                    let code_of_other = Expr {
                        kind: ExprKind::Column(name.clone()),
                        span: side.span,
                    };
                    let code_of_other = self.part(&code_of_other, &column, Part::TypeCode)?;
                    let code = both(Binary::Equal, of(&column, &alias, code), code_of_other);
                    equal = both(Binary::And, equal, code);
                }
                let theirs = with_role(&other, role).or_else(|| other.single())?;
                let value = both(
                    Binary::Equal,
                    of(&column, &alias, part),
                    of(&other, &other_alias, theirs),
                );
                Some(both(Binary::And, equal, value))
            }
            _ => None,
        }
    }

    /// The tag of the column is this one.
    fn has_tag(
        &mut self,
        alias: &Arc<str>,
        column: &Column,
        part: &PhysicalColumn,
        tag: u8,
    ) -> query::Expr {
        let bytes = vec![part.clone()];
        let column = Column::new(Arc::clone(&column.name), DataType::Binary, bytes);
        let own = query::Expr::Column {
            alias: Arc::clone(alias),
            column: Arc::new(column),
        };
        let tag = Value::Binary(Bytes::copy_from_slice(&[tag]));
        let tag = self.constant(tag, DataType::Binary, Part::Whole);
        both(Binary::Equal, own, tag)
    }
}

fn both(op: Binary, a: query::Expr, b: query::Expr) -> query::Expr {
    query::Expr::Binary(op, Box::new(a), Box::new(b))
}

/// Where a union keeps values of this type: the tag and the column.
pub(super) fn share(data_type: DataType) -> Option<(u8, ColumnRole)> {
    Some(match data_type {
        DataType::Boolean => (2, ColumnRole::Boolean),
        DataType::Integer | DataType::Decimal => (3, ColumnRole::Number),
        DataType::DateTime => (4, ColumnRole::DateTime),
        DataType::Text => (5, ColumnRole::Text),
        DataType::Entity(_) => (REFERENCE, ColumnRole::Reference),
        DataType::Binary | DataType::Uuid | DataType::Union => return None,
    })
}

/// The word of a type.
pub(super) fn word(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "boolean",
        DataType::Integer => "integer",
        DataType::Decimal => "decimal",
        DataType::DateTime => "datetime",
        DataType::Text => "string",
        DataType::Binary => "binary",
        DataType::Uuid => "uuid",
        DataType::Entity(_) => "entity",
        DataType::Union => "union",
    }
}
