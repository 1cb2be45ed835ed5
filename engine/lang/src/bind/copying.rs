//! Columns that an INSERT copies into references and columns of several types: part by part, if there is room for all that they may hold.

use std::sync::Arc;

use bytes::Bytes;
use dajet_core::query::{self, Binary, Part, Unary};
use dajet_core::schema::{ColumnRole, Defaults};
use dajet_core::{Column, DataType, Diagnostic, Entity, PhysicalColumn, Span, Value};

use super::Binder;
use super::columns::{FoundColumn, part_of, with_role};
use super::insert::{Making, type_of_part, typed_part};
use super::typing::{REFERENCE, kind_of, share, word};
use crate::names::{Expr, ExprKind};

/// The types whose values may stand in a column of several types.
const TYPES: [DataType; 5] = [
    DataType::Boolean,
    DataType::Decimal,
    DataType::DateTime,
    DataType::Text,
    DataType::Entity(0),
];

impl Binder<'_> {
    /// The column that an expression copies, if it holds references or values of several types.
    pub(super) fn copied(&self, expr: &Expr) -> Option<FoundColumn> {
        let found = match &expr.kind {
            ExprKind::Column(name) => self.quietly(name),
            _ => self.reference(expr),
        };
        let parted = |data_type| matches!(data_type, DataType::Entity(_) | DataType::Union);
        found.filter(|(_, column)| parted(column.data_type))
    }

    /// Stores a column into a reference or a column of several types.
    pub(super) fn store_column(
        &mut self,
        making: &mut Making,
        column: &Arc<Column>,
        expr: &Expr,
        copied: &FoundColumn,
    ) {
        if !self.has_room(column, &copied.1, expr) {
            return;
        }
        for part in column.parts.iter().filter(|part| !part.generated) {
            let target = typed_part(column, part, type_of_part(column, part));
            let value = self.share_of_column(&target, part.role, copied);
            let wants_empty = making.table.defaults == Defaults::EmptyValue && !part.nullable;
            let value = match value {
                value @ query::Expr::Column { .. } if wants_empty => query::Expr::Case {
                    branches: vec![(is_null(value.clone()), self.empty(&target))],
                    otherwise: Some(Box::new(value)),
                },
                value => value,
            };
            self.add(making, &target, value);
        }
    }

    /// What one part of a column gets of another column.
    fn share_of_column(
        &mut self,
        target: &Column,
        role: ColumnRole,
        (alias, copied): &FoundColumn,
    ) -> query::Expr {
        let own = match role {
            ColumnRole::Value => ColumnRole::Reference,
            role => role,
        };
        let only = || copied.single().filter(|_| own == ColumnRole::Reference);
        if let Some(part) = with_role(copied, own).or_else(only) {
            return column_of(alias, copied, part);
        }
        let known = match role {
            ColumnRole::Tag => {
                let tag = Value::Binary(Bytes::from_static(&[REFERENCE]));
                Some(self.constant(tag, DataType::Binary, Part::Whole))
            }
            ColumnRole::TypeCode => self.known_code(kind_of(copied)),
            _ => None,
        };
        let empty = self.empty(target);
        let reference = with_role(copied, ColumnRole::Reference).or_else(|| copied.single());
        let (Some(known), Some(reference)) = (known, reference) else {
            return empty;
        };
        let mut branches = Vec::new();
        if let Some(tag) = with_role(copied, ColumnRole::Tag) {
            let is_reference = self.has_tag(alias, copied, tag, REFERENCE);
            let is_other = query::Expr::Unary(Unary::Not, Box::new(is_reference));
            branches.push((is_other, empty));
        } else {
            let reference = column_of(alias, copied, reference);
            branches.push((is_null(reference), empty.clone()));
            // no kind: undefined
            if let Some(code) = with_role(copied, ColumnRole::TypeCode) {
                let none = self.value_part(Entity::default(), Part::TypeCode);
                let code = Box::new(column_of(alias, copied, code));
                let is_none = query::Expr::Binary(Binary::Equal, code, Box::new(none));
                branches.push((is_none, empty));
            }
        }
        query::Expr::Case {
            branches,
            otherwise: Some(Box::new(known)),
        }
    }

    /// True if a column has room for all that another one may hold. (CAST to entity takes the identity, of whatever kind.)
    fn has_room(&mut self, column: &Column, copied: &Column, expr: &Expr) -> bool {
        let span = expr.span;
        let is_cast = matches!(expr.kind, ExprKind::Cast(..));
        let lacking: Vec<_> = TYPES
            .into_iter()
            .filter(|data_type| holds(copied, *data_type) && !holds(column, *data_type))
            .map(word)
            .collect();
        let names = (&column.name, &copied.name);
        let message = if lacking.is_empty() {
            if !self.keeps_kinds(column, copied, span) {
                return false;
            }
            if is_cast || !loses_kinds(column, copied) {
                return true;
            }
            format!(
                "column \"{}\" keeps references of one kind, and column \"{}\" may hold others",
                names.0, names.1
            )
        } else {
            format!(
                "column \"{}\" has no room for what column \"{}\" may hold: {}",
                names.0,
                names.1,
                lacking.join(", ")
            )
        };
        let hint = "Take the rows that fit, by TYPEOF or IS, and what they hold, by CAST or UUIDOF; values of a variable are judged one by one.";
        let error = Diagnostic::error("E_TYPE", span, message).hint(hint);
        self.errors.push(error);
        false
    }

    /// References come with their type code to a column that stores one.
    fn keeps_kinds(&mut self, column: &Column, copied: &Column, span: Span) -> bool {
        let stores_code = with_role(column, ColumnRole::TypeCode).is_some();
        let known = with_role(copied, ColumnRole::TypeCode).is_some() || kind_of(copied) != 0;
        let kept = !stores_code || known || !holds(copied, DataType::Entity(0));
        if !kept {
            self.lacks_code(column, span);
        }
        kept
    }
}

/// References of several kinds, or of another one among other values, go into a column of one kind. (Of a plain reference W016 tells.)
fn loses_kinds(column: &Column, copied: &Column) -> bool {
    if with_role(column, ColumnRole::TypeCode).is_some() || !holds(copied, DataType::Entity(0)) {
        return false;
    }
    let kinds = (kind_of(column), kind_of(copied));
    let other = kinds.0 != 0 && kinds.1 != 0 && kinds.0 != kinds.1;
    with_role(copied, ColumnRole::TypeCode).is_some()
        || (copied.data_type == DataType::Union && other)
}

/// True if values of the type may stand in a column.
fn holds(column: &Column, data_type: DataType) -> bool {
    match column.data_type {
        DataType::Union => {
            share(data_type).is_some_and(|(_, role)| with_role(column, role).is_some())
        }
        _ => matches!(data_type, DataType::Entity(_)),
    }
}

fn is_null(operand: query::Expr) -> query::Expr {
    query::Expr::IsNull {
        operand: Box::new(operand),
        negated: false,
    }
}

fn column_of(alias: &Arc<str>, column: &Column, part: &PhysicalColumn) -> query::Expr {
    query::Expr::Column {
        alias: Arc::clone(alias),
        column: part_of(column, part),
    }
}
