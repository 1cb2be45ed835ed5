//! UNION over columns of several parts: all the queries have the same ones, in the same order.

use std::sync::Arc;

use dajet_core::query::{Expr, From, Order, Output, Select};
use dajet_core::{Column, Diagnostic, PhysicalColumn};

use super::Binder;
use super::parts::several;
use super::select::derived;
use crate::names;

/// The alias of a UNION whose columns are put together again; no script writes such a name.
const WHOLE: &str = "#union";

impl Binder<'_> {
    /// Sees to it that the columns of an added query consist of the parts of the first one.
    pub(super) fn of_same_parts(
        &mut self,
        first: &[Output],
        next: &names::Select,
        query: &mut Select,
    ) {
        let count = first.len();
        for (index, (a, b)) in first.iter().zip(&mut query.columns).enumerate() {
            if several(&a.expr).is_none() && several(&b.expr).is_none() {
                continue;
            }
            match in_order(&a.expr, &b.expr) {
                Some(ordered) => b.expr = ordered,
                None => {
                    let message = format!(
                        "column \"{}\" of the UNION consists of different parts",
                        a.name
                    );
                    let hint = "Take the same of each query: CAST(column AS string), UUIDOF(column), TYPEOF(column).";
                    let span = next.span_of(index, count);
                    let error = Diagnostic::error("E_UNSUPPORTED", span, message).hint(hint);
                    self.errors.push(error);
                }
            }
        }
    }
}

/// The column with its parts in the order of another one; `None` if they are not the same.
fn in_order(first: &Expr, other: &Expr) -> Option<Expr> {
    let (Expr::Column { column: first, .. }, Expr::Column { alias, column }) = (first, other)
    else {
        return None;
    };
    let same = |part: &PhysicalColumn| column.parts.iter().find(|own| own.role == part.role);
    let parts: Option<Vec<_>> = first.parts.iter().map(|part| same(part).cloned()).collect();
    let parts = parts.filter(|parts| parts.len() == column.parts.len())?;
    // a reference without its type code is of the kind that its column keeps
    if first.reference_code != column.reference_code {
        return None;
    }
    Some(Expr::Column {
        alias: Arc::clone(alias),
        column: Arc::new(Column {
            parts,
            ..(**column).clone()
        }),
    })
}

/// A UNION as a query that reads it, so that values of several parts are put together.
pub(super) fn whole(mut query: Select) -> Select {
    let parted = query
        .columns
        .iter()
        .any(|output| several(&output.expr).is_some());
    if query.unions.is_empty() || !parted {
        return query;
    }
    let alias: Arc<str> = WHOLE.into();
    let order = std::mem::take(&mut query.order);
    let (table, query) = derived(&alias, query);
    let column = |index: usize| Expr::Column {
        alias: Arc::clone(&alias),
        column: Arc::new(table.columns[index].clone()),
    };
    let key = |key: Order| match key.expr {
        Expr::Output(index) => Order {
            expr: column(index),
            ..key
        },
        _ => key,
    };
    let output = |(index, own): (usize, &Column)| Output {
        name: Arc::clone(&own.name),
        expr: column(index),
        data_type: Some(own.data_type),
    };
    Select {
        columns: table.columns.iter().enumerate().map(output).collect(),
        order: order.into_iter().map(key).collect(),
        from: Some(From {
            table: Arc::new(table.clone()),
            alias: Arc::clone(&alias),
            query: Some(Arc::new(query)),
        }),
        ..Select::default()
    }
}
