//! What variables get, for what [`Members`](crate::members::Members) knows of them.

use std::sync::Arc;

use dajet_core::Value;

use super::Lowering;
use crate::ast::{self, ColumnItem, Name, Path, Query};
use crate::members::Content;
use crate::program::{Expr, ExprKind};

impl Lowering {
    /// Lowers an expression whose value may be kept: an object that it gives can be reached by another name from then on.
    pub(super) fn kept(&mut self, path: &Path) -> Expr {
        let value = self.path(path);
        if let ExprKind::Slot(slot) = value.kind {
            self.members.share(slot);
        }
        value
    }

    /// Lowers an expression whose value is looked at, and not kept.
    pub(super) fn looked_at(&mut self, expr: &ast::Expr) -> Expr {
        match &expr.kind {
            ast::ExprKind::Path(path) => self.path(path),
            _ => self.expr(expr),
        }
    }
}

/// What an expression gives.
pub(super) fn content_of(value: &Expr) -> Content {
    match &value.kind {
        ExprKind::Slot(slot) => Content::Of(*slot),
        ExprKind::Constant(Value::Null) => Content::Nothing,
        _ => Content::Unknown,
    }
}

/// What the rows of a query are.
pub(super) fn content_of_query(query: &Query) -> Content {
    let appended = query
        .appends
        .iter()
        .map(|append| Arc::clone(&append.name.text));
    content_of_columns(&query.columns, appended)
}

/// What records with these columns are.
pub(super) fn content_of_columns(
    columns: &[ColumnItem],
    appended: impl Iterator<Item = Arc<str>>,
) -> Content {
    let mut names = Vec::with_capacity(columns.len());
    for (index, item) in columns.iter().enumerate() {
        match item {
            ColumnItem::Star(_) => return Content::Unknown,
            ColumnItem::Expr { alias, expr } => {
                names.push(match written_name(alias.as_ref(), expr) {
                    Some(name) => name.text,
                    None => name_of_place(index),
                })
            }
        }
    }
    names.extend(appended);
    Content::Listed(names)
}

/// The name of a column: the alias, else the last part of the column's name.
pub(super) fn written_name(alias: Option<&Name>, expr: &ast::Expr) -> Option<Name> {
    match (alias, &expr.kind) {
        (Some(alias), _) => Some(alias.clone()),
        (None, ast::ExprKind::Column(name)) => Some(Name::new(name.last(), name.span)),
        _ => None,
    }
}

/// The name of a column that has none.
pub(super) fn name_of_place(index: usize) -> Arc<str> {
    format!("Column{}", index + 1).into()
}
