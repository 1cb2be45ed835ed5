//! Text forms of references and identities in statements: what the script makes of such values, made by the database.

use std::sync::Arc;

use dajet_core::query::{self, Function};
use dajet_core::schema::ColumnRole;
use dajet_core::{Column, DataType, PhysicalColumn, Value};

use super::Binder;
use super::columns::{part_of, with_role};
use super::insert::{type_of_part, typed_part};
use super::typing::{REFERENCE, kind_of, share};
use crate::names::{Expr, ExprKind};

/// The types whose values a column of several types may keep beside references.
const SCALARS: [DataType; 4] = [
    DataType::Text,
    DataType::Boolean,
    DataType::Decimal,
    DataType::DateTime,
];

impl Binder<'_> {
    /// Binds what is wanted as text.
    pub(super) fn text_operand(&mut self, expr: &Expr) -> query::Expr {
        let wanted = Some(DataType::Text);
        if matches!(expr.kind, ExprKind::Parameter(_) | ExprKind::Literal(_)) {
            return self.operand(expr, wanted);
        }
        match self.type_of(expr) {
            Some(DataType::Uuid) => {
                let bound = self.operand(expr, None);
                query::Expr::Cast(Box::new(bound), DataType::Text)
            }
            Some(DataType::Entity(_) | DataType::Union) => {
                let bound = self.expr(expr, None);
                self.text_of(expr, bound)
            }
            _ => self.operand(expr, wanted),
        }
    }

    /// The text of a reference, or of what a column of several types holds.
    pub(super) fn text_of(&mut self, expr: &Expr, bound: query::Expr) -> query::Expr {
        if let query::Expr::Column { alias, column } = &bound {
            let (alias, column) = (alias.clone(), column.clone());
            let of = |part: &PhysicalColumn| query::Expr::Column {
                alias: alias.clone(),
                column: part_of(&column, part),
            };
            let reference = with_role(&column, ColumnRole::Reference).or_else(|| column.single());
            let code = with_role(&column, ColumnRole::TypeCode);
            let code = code.map(|part| {
                let part = typed_part(&column, part, DataType::Binary);
                let bytes = query::Expr::Column {
                    alias: alias.clone(),
                    column: part,
                };
                as_text(query::Expr::Cast(Box::new(bytes), DataType::Integer))
            });
            let text = reference.map(|part| self.reference_text(of(part), code, kind_of(&column)));
            return match with_role(&column, ColumnRole::Tag) {
                Some(tag) => self.text_by_tag(&alias, &column, tag, text),
                None => text.unwrap_or_else(|| as_text(bound)),
            };
        }
        match self.type_of(expr) {
            Some(DataType::Entity(kind)) if !matches!(bound, query::Expr::Parameter { .. }) => {
                self.reference_text(bound, None, kind)
            }
            _ => as_text(bound),
        }
    }

    /// `{36:uuid}`; NULL of NULL.
    fn reference_text(
        &mut self,
        reference: query::Expr,
        code: Option<query::Expr>,
        kind: i32,
    ) -> query::Expr {
        let text = |this: &mut Self, text: String| this.sent(Value::text(text), DataType::Text);
        let uuid = as_text(query::Expr::Call(Function::UuidOf, vec![reference.clone()]));
        let parts = match code {
            None => vec![
                text(self, format!("{{{kind}:")),
                uuid,
                text(self, "}".into()),
            ],
            Some(code) => vec![
                text(self, "{".into()),
                code,
                text(self, ":".into()),
                uuid,
                text(self, "}".into()),
            ],
        };
        let is_null = query::Expr::IsNull {
            operand: Box::new(reference),
            negated: false,
        };
        query::Expr::Case {
            branches: vec![(is_null, query::Expr::Literal(Value::Null))],
            otherwise: Some(Box::new(query::Expr::Call(Function::Concat, parts))),
        }
    }

    /// The text of whatever the tag says; NULL of what is undefined.
    fn text_by_tag(
        &mut self,
        alias: &Arc<str>,
        column: &Column,
        tag: &PhysicalColumn,
        reference: Option<query::Expr>,
    ) -> query::Expr {
        let mut branches = Vec::new();
        for (number, role) in SCALARS.into_iter().filter_map(share) {
            let Some(part) = with_role(column, role) else {
                continue;
            };
            let part = typed_part(column, part, type_of_part(column, part));
            let part = query::Expr::Column {
                alias: alias.clone(),
                column: part,
            };
            branches.push((self.has_tag(alias, column, tag, number), as_text(part)));
        }
        if let Some(text) = reference.filter(|_| with_role(column, ColumnRole::Reference).is_some())
        {
            branches.push((self.has_tag(alias, column, tag, REFERENCE), text));
        }
        query::Expr::Case {
            branches,
            otherwise: None,
        }
    }
}

fn as_text(expr: query::Expr) -> query::Expr {
    query::Expr::Cast(Box::new(expr), DataType::Text)
}
