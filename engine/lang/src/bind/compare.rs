//! Comparisons. A reference in two columns is compared by both of them: its type code and its identity.

use std::sync::Arc;

use dajet_core::query::{self, Binary, Part, Unary};
use dajet_core::schema::ColumnRole;
use dajet_core::{Column, DataType, Diagnostic, Value};

use super::columns::{FoundColumn, part_of, with_role};
use super::parts::{references, several};
use super::select::derived;
use super::typing::value_type;
use super::{Binder, Source};
use crate::ast::Name;
use crate::machine::convert::adapt;
use crate::names::{self, Expr, ExprKind};

/// The rows of a query behind IN, and their column; no script writes such names.
const ROWS: &str = "#in";
const ROW_COLUMN: &str = "#";

impl Binder<'_> {
    pub(super) fn comparison(&mut self, op: Binary, a: &Expr, b: &Expr) -> query::Expr {
        let equality = matches!(op, Binary::Equal | Binary::NotEqual);
        if let Some(by_type) = self.by_type(op, a, b) {
            return by_type;
        }
        for (side, other) in [(a, b), (b, a)] {
            if equality && let Some(equal) = self.equal_union(side, other) {
                return match op {
                    Binary::Equal => equal,
                    _ => query::Expr::Unary(Unary::Not, Box::new(equal)),
                };
            }
        }
        for (side, other) in [(a, b), (b, a)] {
            if equality && let Some(found) = self.reference(side) {
                let equal = self.equal_reference(&found, other);
                return if op == Binary::Equal {
                    equal
                } else {
                    query::Expr::Unary(Unary::Not, Box::new(equal))
                };
            }
        }
        let (type_a, type_b) = (self.type_of(a), self.type_of(b));
        self.no_number_as_bytes(type_a, b);
        self.no_number_as_bytes(type_b, a);
        let spans = (a.span, b.span);
        let (a, b) = match (&a.kind, &b.kind) {
            // The type of a query's column is known when it is bound.
            (_, ExprKind::Subquery(_)) => {
                let b = self.expr(b, type_a);
                (self.expr(a, type_of_query(&b)), b)
            }
            (ExprKind::Subquery(_), _) => {
                let a = self.expr(a, type_b);
                let wanted = type_of_query(&a);
                (a, self.expr(b, wanted))
            }
            _ => {
                let (type_a, type_b) = (self.type_beside(a), self.type_beside(b));
                (self.side(a, type_b), self.side(b, type_a))
            }
        };
        self.comparable(equality, (&a, spans.0), &b);
        self.comparable(equality, (&b, spans.1), &a);
        query::Expr::Binary(op, Box::new(a), Box::new(b))
    }

    /// The type that a variable has beside an expression.
    fn type_beside(&self, expr: &Expr) -> Option<DataType> {
        match self.union(expr) {
            Some((_, column)) => Some(value_type(&column)),
            None => self.type_of(expr),
        }
    }

    /// One side of a comparison: a number beside a text is what a variable would be there, its text.
    fn side(&mut self, expr: &Expr, wanted: Option<DataType>) -> query::Expr {
        match (&expr.kind, wanted) {
            (
                ExprKind::Literal(value @ (Value::Integer(_) | Value::Decimal(_))),
                Some(DataType::Text),
            ) => self.sent(adapt(value.clone(), DataType::Text), DataType::Text),
            _ => self.expr(expr, wanted),
        }
    }

    pub(super) fn in_query(
        &mut self,
        operand: &Expr,
        query: &names::Select,
        negated: bool,
    ) -> query::Expr {
        let Some(query) = self.of_one_column(query) else {
            return query::Expr::Literal(Value::Null);
        };
        let of_operand = self.reference(operand).or_else(|| self.union(operand));
        let in_operand = of_operand.is_some_and(|(_, column)| column.parts.len() > 1);
        if in_operand || several(&query.columns[0].expr).is_some() {
            return self.in_rows(operand, query, negated);
        }
        let wanted = query.columns[0].data_type;
        query::Expr::InQuery {
            operand: Box::new(self.expr(operand, wanted)),
            query: Box::new(query),
            negated,
        }
    }

    /// `x IN (SELECT …)` over columns of several parts: there is a row whose column equals it.
    fn in_rows(&mut self, operand: &Expr, mut query: query::Select, negated: bool) -> query::Expr {
        query.columns[0].name = ROW_COLUMN.into();
        let alias: Arc<str> = ROWS.into();
        let (table, query) = derived(&alias, query);
        let table = Arc::new(table);
        self.scopes.push(vec![Source {
            table: Arc::clone(&table),
            alias: Arc::clone(&alias),
        }]);
        let span = operand.span;
        let kind = ExprKind::Column(Name::qualified(ROWS, ROW_COLUMN, span));
        let equal = self.comparison(Binary::Equal, operand, &Expr { kind, span });
        self.scopes.pop();
        let exists = query::Expr::Exists(Box::new(query::Select {
            columns: vec![query::Output {
                name: "c1".into(),
                expr: query::Expr::Literal(Value::Integer(1)),
                data_type: Some(DataType::Integer),
            }],
            from: Some(query::From {
                table,
                alias,
                query: Some(Arc::new(query)),
            }),
            filter: Some(equal),
            ..query::Select::default()
        }));
        match negated {
            true => query::Expr::Unary(Unary::Not, Box::new(exists)),
            false => exists,
        }
    }

    /// The column, if the expression is one that holds a reference.
    pub(super) fn reference(&self, expr: &Expr) -> Option<FoundColumn> {
        match &expr.kind {
            ExprKind::Column(name) => self
                .quietly(name)
                .filter(|(_, column)| matches!(column.data_type, DataType::Entity(_))),
            ExprKind::Cast(operand, DataType::Entity(_)) => match &operand.kind {
                ExprKind::Column(name) => {
                    let (alias, column) = self.quietly(name)?;
                    Some((alias, references(&column)?))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Type codes are compared where one of the sides stores them, whichever it is.
    fn equal_reference(&mut self, found: &FoundColumn, other: &Expr) -> query::Expr {
        let both = |a, b| query::Expr::Binary(Binary::And, Box::new(a), Box::new(b));
        let equal = |a, b| query::Expr::Binary(Binary::Equal, Box::new(a), Box::new(b));
        let (alias, column) = found;
        if self.never_refers(column, other) {
            return query::Expr::Literal(Value::Null);
        }
        let codes = self.same_code(found, other);
        let own = with_role(column, ColumnRole::Reference).or_else(|| column.single());
        let same = own.and_then(|own| {
            let other = self.part(other, column, Part::Reference)?;
            let own = query::Expr::Column {
                alias: Arc::clone(alias),
                column: part_of(column, own),
            };
            Some(equal(own, other))
        });
        match (codes, same) {
            (Some(codes), Some(same)) => both(codes, same),
            (codes, same) => codes.or(same).unwrap_or(query::Expr::Literal(Value::Null)),
        }
    }

    /// That the other side is a reference of the same kind, if there is a type code to compare.
    fn same_code(&mut self, (alias, column): &FoundColumn, other: &Expr) -> Option<query::Expr> {
        if let Some((other_alias, other)) = self.reference(other) {
            return self.equal_codes((alias, column), (&other_alias, &other));
        }
        let own = with_role(column, ColumnRole::TypeCode)?;
        let own = query::Expr::Column {
            alias: Arc::clone(alias),
            column: part_of(column, own),
        };
        let errors = self.errors.len();
        let theirs = match &other.kind {
            ExprKind::Parameter(_) | ExprKind::Literal(_) | ExprKind::Column(_) => {
                self.part(other, column, Part::TypeCode)?
            }
            _ => match self.type_of_any(other) {
                _ if self.errors.len() > errors => return None,
                // an identity has no type code
                Some(DataType::Uuid | DataType::Binary) => return None,
                Some(DataType::Entity(code)) if code != 0 => self.known_code(code)?,
                _ => {
                    let message = format!(
                        "column \"{}\" is compared with an expression whose type code is not known",
                        column.name
                    );
                    let hint = "Compare it with a variable or a column, or identities by UUIDOF.";
                    let error = Diagnostic::error("E_UNSUPPORTED", other.span, message);
                    self.errors.push(error.hint(hint));
                    return None;
                }
            },
        };
        Some(query::Expr::Binary(
            Binary::Equal,
            Box::new(own),
            Box::new(theirs),
        ))
    }

    /// The logical type of an expression, that of a query's column too.
    fn type_of_any(&mut self, expr: &Expr) -> Option<DataType> {
        match &expr.kind {
            ExprKind::Subquery(query) => {
                let query = self.single(query)?;
                query.columns.first()?.data_type
            }
            _ => self.type_of(expr),
        }
    }

    /// The part of the other side of a comparison with, or of a value for, a reference column; `None` if it has none.
    pub(super) fn part(
        &mut self,
        other: &Expr,
        column: &Column,
        part: Part,
    ) -> Option<query::Expr> {
        match &other.kind {
            ExprKind::Parameter(index) => {
                Some(self.parameter(*index, Some(column.data_type), part))
            }
            ExprKind::Literal(Value::Null) => Some(query::Expr::Literal(Value::Null)),
            ExprKind::Column(name) => {
                if let Some(value) = self.value(name) {
                    return Some(self.value_part(value, part));
                }
                let found = self.column(name)?;
                self.part_of_found(found, part)
            }
            ExprKind::Cast(_, DataType::Entity(_)) => {
                let Some(found) = self.reference(other) else {
                    return Some(self.expr(other, None));
                };
                self.part_of_found(found, part)
            }
            _ if part == Part::Reference => Some(self.expr(other, Some(column.data_type))),
            _ => None,
        }
    }

    /// The part of a reference in a column; `None` if it has none.
    fn part_of_found(&mut self, (alias, found): FoundColumn, part: Part) -> Option<query::Expr> {
        let role = if part == Part::TypeCode {
            ColumnRole::TypeCode
        } else {
            ColumnRole::Reference
        };
        match (with_role(&found, role), found.data_type) {
            (Some(physical), _) => Some(query::Expr::Column {
                alias,
                column: part_of(&found, physical),
            }),
            (None, DataType::Entity(code)) if part == Part::TypeCode => self.known_code(code),
            (None, _) if part == Part::Reference => Some(query::Expr::Column {
                alias,
                column: found,
            }),
            (None, _) => None,
        }
    }

    pub(super) fn in_list(&mut self, operand: &Expr, list: &[Expr], negated: bool) -> query::Expr {
        let mut all = std::iter::once(operand).chain(list);
        if !all.any(|side| self.reference(side).is_some() || self.union(side).is_some()) {
            let (type_item, type_operand) = (
                list.iter().find_map(|item| self.type_of(item)),
                self.type_of(operand),
            );
            self.no_number_as_bytes(type_item, operand);
            list.iter()
                .for_each(|item| self.no_number_as_bytes(type_operand, item));
            let operand = Box::new(self.operand(operand, type_item));
            let list = list
                .iter()
                .map(|item| match item.kind {
                    ExprKind::Literal(_) => self.side(item, type_operand),
                    _ => self.operand(item, type_operand),
                })
                .collect();
            return query::Expr::InList {
                operand,
                list,
                negated,
            };
        }
        let equals = list
            .iter()
            .map(|item| self.comparison(Binary::Equal, operand, item));
        let any = equals
            .collect::<Vec<_>>()
            .into_iter()
            .reduce(|any, equal| query::Expr::Binary(Binary::Or, Box::new(any), Box::new(equal)));
        let any = any.unwrap_or(query::Expr::Literal(Value::Boolean(false)));
        if negated {
            query::Expr::Unary(Unary::Not, Box::new(any))
        } else {
            any
        }
    }

    /// The physical columns behind an expression: several for a reference of many types, else the expression itself.
    pub(super) fn physical(&mut self, expr: &Expr) -> Vec<query::Expr> {
        let bound = self.expr(expr, None);
        if let query::Expr::Column { alias, column } = &bound
            && column.parts.len() > 1
        {
            let one = |part| query::Expr::Column {
                alias: Arc::clone(alias),
                column: part_of(column, part),
            };
            return column.parts.iter().map(one).collect();
        }
        vec![bound]
    }
}

/// The type of the only column of a bound query.
fn type_of_query(expr: &query::Expr) -> Option<DataType> {
    match expr {
        query::Expr::Subquery(query) => query.columns.first().and_then(|column| column.data_type),
        _ => None,
    }
}
