//! Queries: their tables, their columns and the queries in them.

use std::sync::Arc;

use dajet_core::query::{self, Union};
use dajet_core::schema::{ColumnRole, Defaults};
use dajet_core::{Column, DataType, Diagnostic, PhysicalColumn, Span, Table, TableKey};

use super::columns::{FoundColumn, part_of};
use super::parts::several;
use super::{Binder, Source};
use crate::names::{self, ExprKind};

impl Binder<'_> {
    /// A query with names of its own; those of the queries around it are seen too.
    pub(super) fn select(&mut self, select: &names::Select) -> Option<query::Select> {
        self.scopes.push(Vec::new());
        let bound = self.select_here(select, &[]);
        self.scopes.pop();
        bound
    }

    /// A query whose columns, where their type is not known, are of the `wanted` one.
    fn select_here(
        &mut self,
        select: &names::Select,
        wanted: &[query::Output],
    ) -> Option<query::Select> {
        let (from, joins) = self.sources(select)?;
        let columns = self.outputs(&select.columns, wanted);
        let filter = select.filter.as_ref().map(|filter| self.condition(filter));
        let again = std::mem::replace(&mut self.again, !select.group.is_empty());
        let mut bound = query::Select {
            distinct: select.distinct,
            top: self.count(select.top.as_ref()),
            columns,
            from,
            joins,
            filter,
            group: select
                .group
                .iter()
                .flat_map(|key| self.physical(key))
                .collect(),
            having: select.having.as_ref().map(|having| self.condition(having)),
            unions: Vec::new(),
            order: Vec::new(),
            offset: self.count(select.offset.as_ref()),
        };
        if select.unions.is_empty() {
            bound.order = self.order(&select.order, &bound.columns);
            self.again = again;
            return Some(bound);
        }
        self.again = again;
        bound.order = self.order_of_union(&select.order, &bound.columns);
        for (all, next) in &select.unions {
            self.scopes.push(Vec::new());
            let query = self.select_here(next, &bound.columns);
            self.scopes.pop();
            let mut query = query?;
            if query.columns.len() != bound.columns.len() {
                let (expected, found) = (bound.columns.len(), query.columns.len());
                let message =
                    format!("the query has {found} columns; the first one has {expected}");
                self.error("E_BIND", next.span, message);
            }
            self.of_same_parts(&bound.columns, next, &mut query);
            self.alike(&bound.columns, next, &query);
            bound.unions.push(Union { all: *all, query });
        }
        Some(bound)
    }

    /// TOP or OFFSET.
    pub(super) fn count(&mut self, count: Option<&names::Expr>) -> Option<query::Expr> {
        count.map(|count| self.expr(count, Some(DataType::Integer)))
    }

    /// FROM and the joins. Their names are seen from here on.
    pub(super) fn sources(
        &mut self,
        select: &names::Select,
    ) -> Option<(Option<query::From>, Vec<query::Join>)> {
        let from = select.from.as_ref().map(|from| self.from(from));
        let mut joins = Vec::with_capacity(select.joins.len());
        let mut complete = true;
        for join in &select.joins {
            let Some(from) = self.from(&join.table) else {
                complete = false;
                continue;
            };
            let on = join.on.as_ref().map(|on| self.condition(on));
            let kind = join.kind;
            joins.push(query::Join { kind, from, on });
        }
        match from {
            Some(None) => None,
            _ if !complete => None,
            from => Some((from.flatten(), joins)),
        }
    }

    /// A table, or a query in its place, whose columns are seen from here on.
    pub(super) fn from(&mut self, from: &names::Table) -> Option<query::From> {
        let alias = from.alias();
        let (table, query) = match &from.query {
            None => (self.table(&from.name)?, None),
            Some(query) => {
                let bound = self.apart(query)?;
                let (table, bound) = derived(&alias, bound);
                (Arc::new(table), Some(Arc::new(bound)))
            }
        };
        let source = Source {
            table: Arc::clone(&table),
            alias: Arc::clone(&alias),
        };
        let scope = self.scopes.last_mut()?;
        if scope
            .iter()
            .any(|other| other.alias.to_lowercase() == alias.to_lowercase())
        {
            let span = from
                .alias
                .as_ref()
                .map_or(from.name.span, |alias| alias.span);
            let message = format!("two tables of the query are named \"{alias}\"");
            let hint = "Give one of them another name with AS.";
            self.errors
                .push(Diagnostic::error("E_BIND", span, message).hint(hint));
            return None;
        }
        scope.push(source);
        Some(query::From {
            table,
            alias,
            query,
        })
    }

    /// A query in FROM does not see the tables beside it.
    fn apart(&mut self, query: &names::Select) -> Option<query::Select> {
        let beside = self.scopes.pop().unwrap_or_default();
        let seen = self.beside.len();
        self.beside.extend(beside.iter().cloned());
        let bound = self.select(query);
        self.beside.truncate(seen);
        self.scopes.push(beside);
        bound
    }

    /// A query in an expression that is one value: it has one column of one part.
    pub(super) fn single(&mut self, select: &names::Select) -> Option<query::Select> {
        let bound = self.of_one_column(select)?;
        if several(&bound.columns[0].expr).is_none() {
            return Some(bound);
        }
        let message = format!(
            "column \"{}\" stands in several columns of the table",
            bound.columns[0].name
        );
        let hint = "Compare it within the query, by EXISTS or IN.";
        let error = Diagnostic::error("E_UNSUPPORTED", select.span, message).hint(hint);
        self.errors.push(error);
        None
    }

    /// A query in an expression: it has one column.
    pub(super) fn of_one_column(&mut self, select: &names::Select) -> Option<query::Select> {
        let bound = self.select(select)?;
        if bound.columns.len() == 1 {
            return Some(bound);
        }
        let count = bound.columns.len();
        let message = format!("a query in an expression has one column, not {count}");
        self.error("E_BIND", select.span, message);
        None
    }

    /// The SELECT list, `*` expanded. Names are unique.
    pub(super) fn outputs(
        &mut self,
        columns: &[names::Column],
        wanted: &[query::Output],
    ) -> Vec<query::Output> {
        let mut outputs: Vec<query::Output> = Vec::new();
        for item in columns {
            match item {
                names::Column::Star(span) => {
                    for (alias, column) in self.starred() {
                        let (name, data_type) = (Arc::clone(&column.name), Some(column.data_type));
                        let expr = query::Expr::Column { alias, column };
                        self.push_output(
                            &mut outputs,
                            *span,
                            query::Output {
                                name,
                                expr,
                                data_type,
                            },
                        );
                    }
                }
                names::Column::Named { name, expr } => {
                    let beside = wanted
                        .get(outputs.len())
                        .and_then(|output| output.data_type);
                    let data_type = self.type_of(expr).or(beside);
                    let (span, name) = (name.span, Arc::clone(&name.text));
                    let expr = self.expr(expr, data_type);
                    self.push_output(
                        &mut outputs,
                        span,
                        query::Output {
                            name,
                            expr,
                            data_type,
                        },
                    );
                }
            }
        }
        outputs
    }

    /// The columns that `*` stands for: those of all the tables, in order.
    pub(super) fn starred(&self) -> Vec<FoundColumn> {
        let sources = self.scopes.last().into_iter().flatten();
        let columns = sources.flat_map(|source| {
            let columns = source.table.columns.iter();
            columns.map(|column| (Arc::clone(&source.alias), Arc::new(column.clone())))
        });
        columns.collect()
    }

    fn push_output(&mut self, outputs: &mut Vec<query::Output>, span: Span, output: query::Output) {
        if outputs.iter().any(|earlier| earlier.name == output.name) {
            let message = format!("column \"{}\" stands twice in the list", output.name);
            let hint = "Give one of them another name with AS.";
            self.errors
                .push(Diagnostic::error("E_BIND", span, message).hint(hint));
            return;
        }
        outputs.push(output);
    }

    /// Sort keys: columns of the table, else of the SELECT list. A column of several parts stays whole: databases sort by each.
    pub(super) fn order(
        &mut self,
        order: &[names::Order],
        outputs: &[query::Output],
    ) -> Vec<query::Order> {
        let mut keys = Vec::new();
        for item in order {
            let descending = item.descending;
            if let ExprKind::Column(name) = &item.expr.kind
                && self.quietly(name).is_none()
                && let Some(output) = outputs.iter().find(|output| output.name == name.text)
            {
                let expr = output.expr.clone();
                keys.push(query::Order { expr, descending });
                continue;
            }
            let expr = self.expr(&item.expr, None);
            keys.push(query::Order { expr, descending });
        }
        keys
    }

    /// The keys of a UNION are columns of its first query.
    fn order_of_union(
        &mut self,
        order: &[names::Order],
        outputs: &[query::Output],
    ) -> Vec<query::Order> {
        let mut keys = Vec::new();
        for item in order {
            let at = match &item.expr.kind {
                ExprKind::Column(name) => outputs.iter().position(|o| o.name == name.text),
                _ => None,
            };
            match at {
                Some(index) => keys.push(query::Order {
                    expr: query::Expr::Output(index),
                    descending: item.descending,
                }),
                None => {
                    let message = "ORDER BY of a UNION takes columns of its first query";
                    self.error("E_BIND", item.expr.span, message);
                }
            }
        }
        keys
    }
}

/// The table that a query in FROM is: a physical column for each of its outputs, named alike.
pub(super) fn derived(alias: &Arc<str>, mut query: query::Select) -> (Table, query::Select) {
    let mut columns = Vec::with_capacity(query.columns.len());
    let mut count = 0;
    for output in &query.columns {
        let parts = match &output.expr {
            query::Expr::Column { column, .. } => column.parts.clone(),
            _ => vec![PhysicalColumn {
                name: "".into(),
                role: ColumnRole::Value,
                type_name: "".into(),
                nullable: true,
                generated: false,
            }],
        };
        let named = |part: PhysicalColumn| {
            count += 1;
            PhysicalColumn {
                name: format!("c{count}").into(),
                nullable: true,
                generated: false,
                ..part
            }
        };
        let kept = match &output.expr {
            query::Expr::Column { column, .. } => column.reference_code,
            _ => 0,
        };
        columns.push(Column {
            reference_code: kept,
            ..Column::new(
                Arc::clone(&output.name),
                output.data_type.unwrap_or(DataType::Text),
                parts.into_iter().map(named).collect(),
            )
        });
    }
    let widths: Vec<_> = columns.iter().map(|column| column.parts.len()).collect();
    for key in &mut query.order {
        if let query::Expr::Output(index) = &mut key.expr {
            *index = widths[..*index].iter().sum();
        }
    }
    expand(&mut query);
    let table = Table {
        name: Arc::clone(alias),
        physical: Vec::new(),
        columns,
        key: TableKey::RowAddress,
        defaults: Defaults::Database,
        lacking: Vec::new(),
        reasons: Vec::new(),
        version: None,
    };
    (table, query)
}

/// Makes an output of each physical column, named by its number.
fn expand(query: &mut query::Select) {
    let mut outputs = Vec::with_capacity(query.columns.len());
    for output in std::mem::take(&mut query.columns) {
        match &output.expr {
            query::Expr::Column { alias, column } if column.parts.len() > 1 => {
                for part in &column.parts {
                    let (alias, column) = (Arc::clone(alias), part_of(column, part));
                    outputs.push(query::Output {
                        expr: query::Expr::Column { alias, column },
                        ..output.clone()
                    });
                }
            }
            _ => outputs.push(output),
        }
    }
    for (index, output) in outputs.iter_mut().enumerate() {
        output.name = format!("c{}", index + 1).into();
    }
    query.columns = outputs;
    for union in &mut query.unions {
        expand(&mut union.query);
    }
}
