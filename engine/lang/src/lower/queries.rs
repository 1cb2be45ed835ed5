//! Database statements: what the machine evaluates becomes parameters, the rest keeps its names until it is bound.

use std::sync::Arc;

use dajet_core::{Diagnostic, Span, Value};

use super::Lowering;
use super::content::{content_of_query, name_of_place, written_name};
use super::database::any;
use crate::ast::{self, ColumnItem, Consume, FromItem, Name, OrderItem, Query};
use crate::functions::{self, Found};
use crate::names::{self, Expr, ExprKind, last_part};
use crate::plan::{Detail, MainQuery, StatementId, StatementKind, StatementPlan};
use crate::program::{self, Op, Target, Type};

impl Lowering {
    /// `SELECT …` as a statement.
    pub(super) fn select(&mut self, query: &Query) {
        let Some(path) = &query.into else {
            self.warning(
                "W005",
                query.span,
                "the result of this SELECT is not used: it has no INTO",
            );
            return self.select_into(query, None);
        };
        let target = self.target(path, content_of_query(query));
        self.select_into(query, target);
    }

    /// A query whose answer goes to a variable.
    pub(super) fn select_into(&mut self, query: &Query, into: Option<Target>) {
        let may_append = self.may_append(query, into.as_ref());
        if !needs_database(query) {
            let Some(target) = into else {
                self.constructor(query);
                return;
            };
            let Some(value) = self.constructor(query) else {
                return;
            };
            let value = shape_for(value, target.declared);
            let (slot, declared) = (target.slot, target.declared);
            self.builder().emit(Op::Assign {
                slot,
                declared,
                value,
            });
            return;
        }
        let known = self.diagnostics.len();
        let id = self.selection(query, "SELECT", None);
        if let (Some(target), [ColumnItem::Expr { expr, .. }]) = (&into, &*query.columns)
            && !matches!(target.declared, Type::Object | Type::Array | Type::Union)
        {
            // The one value goes into the variable, and nobody asks for its name.
            let later = self.diagnostics.split_off(known);
            let of_name = |d: &Diagnostic| d.code == "W006" && d.span == expr.span;
            self.diagnostics
                .extend(later.into_iter().filter(|d| !of_name(d)));
        }
        self.builder().emit(Op::Call {
            statement: id,
            into,
        });
        if let (true, Some(target)) = (may_append, into) {
            self.append(query, target);
        }
    }

    /// True if there are APPENDs, and an object to append to.
    fn may_append(&mut self, query: &Query, into: Option<&Target>) -> bool {
        let Some(append) = query.appends.first() else {
            return false;
        };
        let is_object = into.is_none_or(|target| target.declared == Type::Object);
        if into.is_none() && query.into.is_none() || !is_object {
            let message = "APPEND needs INTO with a variable of type object";
            let hint = "Select the rows into a variable of type array by a query of their own.";
            self.hinted("E_BIND", append.name.span, message, hint);
        }
        is_object
    }

    /// The APPENDs of a query, each a statement of its own that adds a member to the object, if there is one.
    fn append(&mut self, main: &Query, target: Target) {
        let object = program::Expr {
            kind: program::ExprKind::Slot(target.slot),
            span: target.span,
        };
        let found = program::ExprKind::IsNull(Box::new(object), true);
        let found = program::Expr {
            kind: found,
            span: target.span,
        };
        let nothing = self.builder().emit(Op::JumpUnless(found, 0));
        let into = self.scopes.name_of(target.slot).cloned();
        let main_query = into.map(|into| main_query(main, into));
        for append in &main.appends {
            let query = &append.query;
            if let Some(inner) = query.appends.first() {
                let message = "APPEND within APPEND is not supported yet";
                self.error("E_UNSUPPORTED", inner.name.span, message);
            }
            let statement = self.selection(query, "APPEND", main_query.clone());
            self.builder().emit(Op::Append {
                statement,
                slot: target.slot,
                name: Arc::clone(&append.name.text),
                single: append.single,
            });
        }
        self.builder().land(nothing);
    }

    /// A SELECT for the database.
    fn selection(&mut self, query: &Query, what: &str, main: Option<MainQuery>) -> StatementId {
        let place = self.place(what, query.span);
        let mut parameters = Vec::new();
        let select = self.query(query, &mut parameters);
        self.add_statement(StatementPlan {
            kind: StatementKind::Select,
            span: query.span,
            tables: tables_of(query),
            values: Vec::new(),
            writes: false,
            address: self.constant_address(place),
            address_span: self.address_span(place, query.span),
            options: Vec::new(),
            called: true,
            place,
            parameters,
            main,
            detail: Detail::Names(Box::new(names::Body::Select(select))),
        })
    }

    /// `SELECT` without FROM that needs no database: an object. `None` if it does.
    pub(super) fn constructor(&mut self, query: &Query) -> Option<program::Expr> {
        if needs_database(query) {
            return None;
        }
        let clause = query
            .filter
            .as_ref()
            .or(query.top.as_ref())
            .or(query.having.as_ref());
        let clause = clause
            .or(query.group.first())
            .or(query.order.first().map(|item| &item.expr));
        if let Some(clause) = clause {
            let message = "SELECT without FROM takes neither TOP, WHERE, GROUP, HAVING nor ORDER";
            self.error("E_UNSUPPORTED", clause.span, message);
        }
        let mut members: Vec<(Arc<str>, program::Expr)> = Vec::new();
        for (index, item) in query.columns.iter().enumerate() {
            let (alias, expr) = match item {
                ColumnItem::Star(span) => {
                    self.error("E_BIND", *span, "\"*\" needs FROM");
                    continue;
                }
                ColumnItem::Expr { alias, expr } => (alias, expr),
            };
            let name = self.column_name(alias.as_ref(), expr, index);
            if members.iter().any(|(earlier, _)| *earlier == name.text) {
                self.twice(&name);
            }
            let value = self.expr(expr);
            members.push((name.text, value));
        }
        let kind = program::ExprKind::Object(members.into());
        Some(program::Expr {
            kind,
            span: query.span,
        })
    }

    fn twice(&mut self, name: &Name) {
        let message = format!("column \"{}\" stands twice in the list", name.text);
        self.hinted(
            "E_BIND",
            name.span,
            message,
            "Give one of them another name with AS.",
        );
    }

    /// The alias, else the last part of the column's name, else `Column1`.
    fn column_name(&mut self, alias: Option<&Name>, expr: &ast::Expr, index: usize) -> Name {
        written_name(alias, expr).unwrap_or_else(|| {
            let text = name_of_place(index);
            let message = format!("the expression has no name; it becomes \"{text}\"");
            self.warning("W006", expr.span, message);
            Name::new(text, expr.span)
        })
    }

    /// A query with the queries in it.
    pub(super) fn query(
        &mut self,
        query: &Query,
        parameters: &mut Vec<program::Expr>,
    ) -> names::Select {
        let columns = self.columns(&query.columns, parameters);
        self.query_of(columns, query, parameters)
    }

    /// A query whose columns nobody names.
    pub(super) fn nameless_query(
        &mut self,
        query: &Query,
        parameters: &mut Vec<program::Expr>,
    ) -> names::Select {
        let single_row = std::mem::replace(&mut self.single_row, false);
        let mut columns = Vec::with_capacity(query.columns.len());
        for (index, item) in query.columns.iter().enumerate() {
            columns.push(match item {
                ColumnItem::Star(span) => names::Column::Star(*span),
                ColumnItem::Expr { expr, .. } => {
                    let name = Name::new(name_of_place(index), expr.span);
                    let expr = self.query_expr(expr, parameters);
                    names::Column::Named { name, expr }
                }
            });
        }
        let select = self.query_of(columns, query, parameters);
        self.single_row = single_row;
        select
    }

    fn query_of(
        &mut self,
        columns: Vec<names::Column>,
        query: &Query,
        parameters: &mut Vec<program::Expr>,
    ) -> names::Select {
        let top = query.top.as_ref().or(query.fetch.as_ref());
        let top = top.map(|top| self.top(top, parameters));
        let from = query.from.as_ref().map(|from| self.table(from, parameters));
        let mut joins = Vec::with_capacity(query.joins.len());
        for join in &query.joins {
            let table = self.table(&join.from, parameters);
            let on = join.on.as_ref().map(|on| self.query_expr(on, parameters));
            let kind = join.kind;
            joins.push(names::Join { kind, table, on });
        }
        let last = query.unions.last().map_or(query, |(_, last)| last);
        if let (Some((_, last)), Some(offset)) = (query.unions.last(), &last.offset) {
            let message = "OFFSET with UNION is not supported yet";
            self.hinted(
                "E_UNSUPPORTED",
                offset.span,
                message,
                "Put the UNION into FROM.",
            );
            if last.fetch.is_none() {
                self.query_expr(offset, parameters);
            }
        }
        names::Select {
            distinct: query.distinct,
            top,
            columns,
            from,
            joins,
            filter: query
                .filter
                .as_ref()
                .map(|filter| self.query_expr(filter, parameters)),
            group: self.query_exprs(&query.group, parameters),
            having: query
                .having
                .as_ref()
                .map(|having| self.query_expr(having, parameters)),
            order: self.order(&last.order, parameters),
            unions: query
                .unions
                .iter()
                .map(|(all, next)| {
                    let mut next = self.nameless_query(next, parameters);
                    next.order = Vec::new();
                    (*all, next)
                })
                .collect(),
            offset: query
                .offset
                .as_ref()
                .map(|offset| self.query_expr(offset, parameters)),
            span: query.span,
        }
    }

    fn table(&mut self, from: &FromItem, parameters: &mut Vec<program::Expr>) -> names::Table {
        let query = from.query.as_ref();
        names::Table {
            name: from.table.clone(),
            alias: from.alias.clone(),
            query: query.map(|query| Box::new(self.query(query, parameters))),
        }
    }

    fn columns(
        &mut self,
        items: &[ColumnItem],
        parameters: &mut Vec<program::Expr>,
    ) -> Vec<names::Column> {
        let mut columns: Vec<names::Column> = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let (alias, expr) = match item {
                ColumnItem::Star(span) => {
                    columns.push(names::Column::Star(*span));
                    continue;
                }
                ColumnItem::Expr { alias, expr } => (alias, expr),
            };
            let name = self.column_name(alias.as_ref(), expr, index);
            let same = |column: &names::Column| matches!(column, names::Column::Named { name: earlier, .. } if earlier.text == name.text);
            if columns.iter().any(same) {
                self.twice(&name);
            }
            let expr = self.query_expr(expr, parameters);
            columns.push(names::Column::Named { name, expr });
        }
        columns
    }

    fn order(
        &mut self,
        items: &[OrderItem],
        parameters: &mut Vec<program::Expr>,
    ) -> Vec<names::Order> {
        let lower = |item: &OrderItem| {
            let expr = self.query_expr(&item.expr, parameters);
            names::Order {
                expr,
                descending: item.descending,
            }
        };
        items.iter().map(lower).collect()
    }

    fn top(&mut self, top: &ast::Expr, parameters: &mut Vec<program::Expr>) -> Expr {
        if let ast::ExprKind::Literal(value) = &top.kind
            && !matches!(value, Value::Integer(count) if *count > 0)
        {
            self.error("E_TYPE", top.span, "TOP takes a positive integer");
        }
        self.query_expr(top, parameters)
    }

    /// A source reads one table: what stands in others is looked up behind it.
    fn no_query_within(&mut self, consume: &Consume) {
        let columns = consume.columns.iter().filter_map(|item| match item {
            ColumnItem::Star(_) => None,
            ColumnItem::Expr { expr, .. } => Some(expr),
        });
        let exprs = columns.chain(&consume.filter);
        let is_query = &mut |expr: &ast::Expr| {
            use ast::ExprKind::{Exists, InQuery, Subquery};
            matches!(expr.kind, InQuery { .. } | Exists(_) | Subquery(_))
        };
        let found: Vec<Span> = exprs
            .filter(|expr| any(expr, is_query))
            .map(|expr| expr.span)
            .collect();
        for span in found {
            let message = "a query within CONSUME is not supported yet";
            let hint = "Select behind the source, and pass over the record by IF.";
            self.hinted("E_UNSUPPORTED", span, message, hint);
        }
    }

    /// `CONSUME … FROM table`
    pub(super) fn drain(&mut self, consume: &Consume) -> (names::Drain, Vec<program::Expr>) {
        self.no_query_within(consume);
        let mut parameters = Vec::new();
        let columns = self.columns(&consume.columns, &mut parameters);
        let top = match &consume.top {
            Some(top) => self.top(top, &mut parameters),
            None => Expr {
                kind: ExprKind::Literal(Value::Integer(1000)),
                span: Span::default(),
            },
        };
        let clock = self.builder().uses_clock;
        let drain = names::Drain {
            columns,
            from: names::Table {
                name: consume.from.table.clone(),
                alias: consume.from.alias.clone(),
                query: None,
            },
            filter: consume
                .filter
                .as_ref()
                .map(|e| self.query_expr(e, &mut parameters)),
            order: self.order(&consume.order, &mut parameters),
            top,
            strict: consume.strict,
        };
        for parameter in &parameters {
            super::expressions::walk(parameter, &mut |expr| {
                if let program::ExprKind::Call(function, _) = &expr.kind
                    && matches!(function.name, "NOW" | "UTC" | "NEWUUID")
                {
                    let message = format!(
                        "{} with an argument is not supported in CONSUME",
                        function.name
                    );
                    self.diagnostics.push(dajet_core::Diagnostic::error(
                        "E_UNSUPPORTED",
                        expr.span,
                        message,
                    ));
                }
            });
        }
        self.builder().uses_clock = clock;
        (drain, parameters)
    }

    /// `INSERT table SELECT …`
    pub(super) fn insertion(
        &mut self,
        target: &Name,
        query: &Query,
    ) -> (names::Insert, Vec<program::Expr>) {
        let mut parameters = Vec::new();
        for item in &query.columns {
            if let ColumnItem::Expr { alias: None, expr } = item
                && !matches!(expr.kind, ast::ExprKind::Column(_))
            {
                let message = "a value of INSERT needs the name of its column";
                self.hinted(
                    "E_BIND",
                    expr.span,
                    message,
                    "Write it as column = expression.",
                );
            }
        }
        if query.from.is_none() {
            let clause = query.filter.as_ref().or(query.top.as_ref());
            if let Some(clause) = clause.or(query.order.first().map(|item| &item.expr)) {
                let message = "INSERT … SELECT without FROM takes neither TOP, WHERE nor ORDER";
                self.error("E_UNSUPPORTED", clause.span, message);
            }
            for item in &query.columns {
                if let ColumnItem::Star(span) = item {
                    self.error("E_BIND", *span, "\"*\" needs FROM");
                }
            }
        }
        if let Some((_, next)) = query.unions.first() {
            let message = "UNION in INSERT is not supported yet";
            let hint = "Put it into FROM: INSERT … SELECT … FROM (… UNION …) AS name.";
            self.hinted("E_UNSUPPORTED", next.span, message, hint);
        }
        if let Some(append) = query.appends.first() {
            let message = "APPEND needs INTO with a variable of type object";
            self.error("E_BIND", append.name.span, message);
        }
        self.single_row = query.from.is_none();
        let select = self.query(query, &mut parameters);
        self.single_row = false;
        (
            names::Insert {
                table: target.clone(),
                select,
                reads_itself: tables_of(query).contains(&target.text),
            },
            parameters,
        )
    }
}

/// The names of the tables of a query and of the queries in it, each once, in order.
pub(super) fn tables_of(query: &Query) -> Vec<Arc<str>> {
    let mut tables = Vec::new();
    add_tables(query, &mut tables);
    tables
}

fn add_tables(query: &Query, tables: &mut Vec<Arc<str>>) {
    let joined = query.joins.iter().map(|join| &join.from);
    for from in query.from.iter().chain(joined) {
        match &from.query {
            Some(inner) => add_tables(inner, tables),
            None if !tables.contains(&from.table.text) => tables.push(Arc::clone(&from.table.text)),
            None => {}
        }
    }
    let columns = query.columns.iter().filter_map(|item| match item {
        ColumnItem::Star(_) => None,
        ColumnItem::Expr { expr, .. } => Some(expr),
    });
    let exprs = columns
        .chain(&query.filter)
        .chain(&query.having)
        .chain(&query.group)
        .chain(query.order.iter().map(|item| &item.expr))
        .chain(query.joins.iter().filter_map(|join| join.on.as_ref()));
    for expr in exprs {
        any(expr, &mut |expr| {
            if let ast::ExprKind::Subquery(inner)
            | ast::ExprKind::Exists(inner)
            | ast::ExprKind::InQuery { query: inner, .. } = &expr.kind
            {
                add_tables(inner, tables);
            }
            false
        });
    }
    for (_, next) in &query.unions {
        add_tables(next, tables);
    }
}

/// An object constructor as the variable's type wants it: the object, an array of it, or its first member.
fn shape_for(object: program::Expr, declared: Type) -> program::Expr {
    let span = object.span;
    match (declared, object.kind) {
        (Type::Array, kind) => {
            let item = Box::new(program::Expr { kind, span });
            program::Expr {
                kind: program::ExprKind::List(item),
                span,
            }
        }
        (Type::Object, kind) => program::Expr { kind, span },
        (_, program::ExprKind::Object(members)) => {
            let null = program::ExprKind::Constant(Value::Null);
            let first = members
                .into_vec()
                .into_iter()
                .next()
                .map(|(_, value)| value);
            first.unwrap_or(program::Expr { kind: null, span })
        }
        (_, kind) => program::Expr { kind, span },
    }
}

/// True if a query cannot be answered by the machine itself.
fn needs_database(query: &Query) -> bool {
    query.from.is_some()
        || !query.unions.is_empty()
        || query.columns.iter().any(|item| match item {
            ColumnItem::Star(_) => false,
            ColumnItem::Expr { expr, .. } => calls_database(expr),
        })
}

/// True if the expression, standing in a statement without FROM, needs the database: it holds VECTOR or an aggregate.
fn calls_database(expr: &ast::Expr) -> bool {
    any(expr, &mut |expr| match &expr.kind {
        ast::ExprKind::Subquery(_) | ast::ExprKind::Exists(_) | ast::ExprKind::InQuery { .. } => {
            true
        }
        ast::ExprKind::Call { name, .. } => {
            matches!(functions::find(&name.text), Found::Known(function) if function.runtime.is_none())
        }
        _ => false,
    })
}

/// What an APPEND may say of the query that it belongs to.
fn main_query(query: &Query, into: Arc<str>) -> MainQuery {
    let tables = query
        .from
        .iter()
        .chain(query.joins.iter().map(|join| &join.from));
    let names = tables.flat_map(|table| {
        let alias = table.alias.iter().map(|alias| Arc::clone(&alias.text));
        let name = &table.table.text;
        alias.chain([Arc::clone(name), last_part(name).into()])
    });
    let columns = query.columns.iter().filter_map(|item| match item {
        ColumnItem::Expr {
            alias: Some(alias), ..
        } => Some(Arc::clone(&alias.text)),
        ColumnItem::Expr { expr, .. } => match &expr.kind {
            ast::ExprKind::Column(name) => Some(name.last().into()),
            _ => None,
        },
        ColumnItem::Star(_) => None,
    });
    MainQuery {
        names: names.collect(),
        columns: columns.collect(),
        star: query
            .columns
            .iter()
            .any(|item| matches!(item, ColumnItem::Star(_))),
        into,
    }
}
