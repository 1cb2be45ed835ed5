//! What kind of value a column holds: TYPEOF, and comparisons of columns that hold values of several types.

use std::sync::Arc;

use bytes::Bytes;
use dajet_core::query::{self, Binary, Part, Unary};
use dajet_core::schema::ColumnRole;
use dajet_core::{Column, DataType, Diagnostic, Entity, PhysicalColumn, Span, Value};

use super::Binder;
use super::columns::{FoundColumn, part_of, with_role};
use crate::functions::identity::type_code;
use crate::names::{Expr, ExprKind};
use crate::program;

/// The tag of a reference in a union.
pub(super) const REFERENCE: u8 = 8;

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
            (DataType::Union, Some(tag)) if with_role(&column, ColumnRole::Reference).is_some() => {
                let code = code.unwrap_or_else(|| self.only_code(&column, operand.span));
                let reference = self.has_tag(&alias, &column, tag, REFERENCE);
                query::Expr::Case {
                    branches: vec![(reference, code)],
                    otherwise: Some(Box::new(number(tag))),
                }
            }
            (DataType::Union, Some(tag)) => number(tag),
            (data_type, _) => code.unwrap_or_else(|| match data_type {
                DataType::Entity(_) => self.only_code(&column, operand.span),
                other => query::Expr::Literal(Value::Integer(type_code(word(other)))),
            }),
        }
    }

    /// The type code of the references in a column that stores none, for they are all of one kind.
    fn only_code(&mut self, column: &Column, span: Span) -> query::Expr {
        let code = kind_of(column);
        if code == 0 {
            let message = format!(
                "nobody tells the kind of references in column \"{}\"",
                column.name
            );
            let hint = "A mapping file does not tell where a reference of one kind leads: compare its identity by UUIDOF.";
            let error = Diagnostic::error("E_UNSUPPORTED", span, message).hint(hint);
            self.errors.push(error);
        }
        query::Expr::Literal(Value::Integer(code.into()))
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

    /// A column of several types equals a literal, another column, or an expression of one type. (With a parameter the database
    /// compares part by part.)
    pub(super) fn equal_union(&mut self, side: &Expr, other: &Expr) -> Option<query::Expr> {
        let own = self.union(side)?;
        match &other.kind {
            ExprKind::Literal(Value::Null) | ExprKind::Parameter(_) => None,
            ExprKind::Literal(value) => {
                let (alias, column) = own;
                let value = self.sent(value.clone(), DataType::Union);
                let own = query::Expr::Column { alias, column };
                Some(both(Binary::Equal, own, value))
            }
            ExprKind::Column(name) => match self.quietly(name)? {
                found if found.1.data_type == DataType::Union => self.equal_unions(&own, &found),
                found => self.equal_column(&own, side, &found),
            },
            ExprKind::Cast(_, DataType::Entity(_)) => {
                let found = self.reference(other)?;
                self.equal_column(&own, side, &found)
            }
            _ => {
                let data_type = self.type_of(other)?;
                let (tag, role) = share(data_type)?;
                if role == ColumnRole::Reference {
                    return None;
                }
                let Some((is_such, value)) = self.share_of(&own, side, (tag, role)) else {
                    return Some(query::Expr::Literal(Value::Null));
                };
                let other = self.expr(other, Some(data_type));
                Some(both(
                    Binary::And,
                    is_such,
                    both(Binary::Equal, value, other),
                ))
            }
        }
    }

    /// A column of several types equals one of one type.
    fn equal_column(
        &mut self,
        own: &FoundColumn,
        side: &Expr,
        (other_alias, found): &FoundColumn,
    ) -> Option<query::Expr> {
        let (tag, role) = share(found.data_type)?;
        let Some((mut equal, value)) = self.share_of(own, side, (tag, role)) else {
            return Some(query::Expr::Literal(Value::Null));
        };
        let (alias, column) = own;
        let codes = match role {
            ColumnRole::Reference => self.equal_codes((alias, column), (other_alias, found)),
            _ => None,
        };
        if let Some(same) = codes {
            equal = both(Binary::And, equal, same);
        }
        let theirs = with_role(found, role).or_else(|| found.single())?;
        let same = both(Binary::Equal, value, part(other_alias, found, theirs));
        Some(both(Binary::And, equal, same))
    }

    /// The references of two columns are of the same kind; nothing to compare if neither stores a type code, or one that
    /// stores none has no known kind.
    pub(super) fn equal_codes(
        &mut self,
        (alias, column): (&Arc<str>, &Column),
        (other_alias, other): (&Arc<str>, &Column),
    ) -> Option<query::Expr> {
        let code = |column| with_role(column, ColumnRole::TypeCode);
        let (own, theirs) = (code(column), code(other));
        own.or(theirs)?;
        let own = self.code_of(alias, column, own)?;
        let theirs = self.code_of(other_alias, other, theirs)?;
        Some(both(Binary::Equal, own, theirs))
    }

    /// The type code of a column's references as bytes, stored or known.
    fn code_of(
        &mut self,
        alias: &Arc<str>,
        column: &Column,
        stored: Option<&PhysicalColumn>,
    ) -> Option<query::Expr> {
        if let Some(stored) = stored {
            return Some(part(alias, column, stored));
        }
        self.known_code(kind_of(column))
    }

    /// A type code as bytes, if it is known.
    pub(super) fn known_code(&mut self, code: i32) -> Option<query::Expr> {
        let uuid = Default::default();
        let kind = Value::Entity(Entity { code, uuid });
        (code != 0).then(|| self.constant(kind, DataType::Entity(code), Part::TypeCode))
    }

    /// That a column of several types holds a value of this one, and the part that holds it.
    fn share_of(
        &mut self,
        (alias, column): &FoundColumn,
        side: &Expr,
        (tag, role): (u8, ColumnRole),
    ) -> Option<(query::Expr, query::Expr)> {
        let parts = (with_role(column, role), with_role(column, ColumnRole::Tag));
        let (Some(value), Some(own_tag)) = parts else {
            let message = format!("column \"{}\" never holds such values", column.name);
            self.errors
                .push(Diagnostic::error("E_TYPE", side.span, message));
            return None;
        };
        let is_such = self.has_tag(alias, column, own_tag, tag);
        Some((is_such, part(alias, column, value)))
    }

    /// Two columns of several types are equal: the tags, and whatever both have room for. What a value does not need is empty.
    fn equal_unions(&mut self, a: &FoundColumn, b: &FoundColumn) -> Option<query::Expr> {
        with_role(&a.1, ColumnRole::Tag).and(with_role(&b.1, ColumnRole::Tag))?;
        let mut equal: Option<query::Expr> = None;
        for ((alias, column), (other_alias, other)) in [(a, b), (b, a)] {
            for own in &column.parts {
                let same = match with_role(other, own.role) {
                    // each pair once
                    Some(_) if Arc::ptr_eq(column, &b.1) => continue,
                    Some(theirs) => both(
                        Binary::Equal,
                        part(alias, column, own),
                        part(other_alias, other, theirs),
                    ),
                    None if own.role == ColumnRole::TypeCode => {
                        match self.of_kind((alias, column, own), other) {
                            Some(same) => same,
                            None => continue,
                        }
                    }
                    None => continue,
                };
                equal = Some(match equal {
                    Some(equal) => both(Binary::And, equal, same),
                    None => same,
                });
            }
        }
        let other_kind = {
            let only = |column: &Column| match with_role(column, ColumnRole::TypeCode) {
                None => column.reference_code,
                Some(_) => 0,
            };
            let kinds = (only(&a.1), only(&b.1));
            kinds.0 != 0 && kinds.1 != 0 && kinds.0 != kinds.1
        };
        let tag = with_role(&a.1, ColumnRole::Tag).filter(|_| other_kind);
        match (equal, tag) {
            (Some(equal), Some(tag)) => {
                let is_reference = self.has_tag(&a.0, &a.1, tag, REFERENCE);
                let is_other = query::Expr::Unary(Unary::Not, Box::new(is_reference));
                Some(both(Binary::And, equal, is_other))
            }
            (equal, _) => equal,
        }
    }

    /// What a column holds is no reference, or one of the only kind that the other column keeps.
    fn of_kind(
        &mut self,
        (alias, column, code): (&Arc<str>, &Column, &PhysicalColumn),
        other: &Column,
    ) -> Option<query::Expr> {
        let tag = with_role(column, ColumnRole::Tag)?;
        with_role(other, ColumnRole::Reference)?;
        let kept = self.known_code(other.reference_code)?;
        let is_reference = self.has_tag(alias, column, tag, REFERENCE);
        let is_other = query::Expr::Unary(Unary::Not, Box::new(is_reference));
        let same = both(Binary::Equal, part(alias, column, code), kept);
        Some(both(Binary::Or, is_other, same))
    }

    /// The tag of the column is this one.
    pub(super) fn has_tag(
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

/// The type that a variable has beside a column of several types: where no texts stand, a text is a reference written out.
pub(super) fn value_type(column: &Column) -> DataType {
    let has = |role| with_role(column, role).is_some();
    match column.data_type {
        DataType::Union if has(ColumnRole::Reference) && !has(ColumnRole::Text) => {
            DataType::Entity(kind_of(column))
        }
        data_type => data_type,
    }
}

fn part(alias: &Arc<str>, column: &Column, part: &PhysicalColumn) -> query::Expr {
    query::Expr::Column {
        alias: Arc::clone(alias),
        column: part_of(column, part),
    }
}

/// The type code of all the references in a column; 0 if they have several, or if it is not known.
pub(super) fn kind_of(column: &Column) -> i32 {
    match column.data_type {
        DataType::Entity(code) => code,
        _ => column.reference_code,
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
        DataType::Binary | DataType::Uuid | DataType::Union | DataType::Any => return None,
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
        DataType::Any => "any",
    }
}
