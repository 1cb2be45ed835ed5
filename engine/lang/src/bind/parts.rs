//! Columns that stand in several columns of the table: where they may stand as a whole, and what is taken of them.

use std::sync::Arc;

use dajet_core::query::{self, Function, Part};
use dajet_core::schema::ColumnRole;
use dajet_core::{Column, DataType, Diagnostic, PhysicalColumn, Span, Value};

use super::Binder;
use super::columns::{part_of, with_role};
use super::typing::{share, word};
use crate::machine::convert::adapt;
use crate::names::{Expr, ExprKind};
use crate::program;

const WHOLE: &str = "Compare it with a variable, or take a part of it with UUIDOF or CAST.";

impl Binder<'_> {
    fn refuse(&mut self, span: Span, message: String, hint: &str) {
        let error = Diagnostic::error("E_UNSUPPORTED", span, message).hint(hint);
        self.errors.push(error);
    }

    /// Binds what must be a single value.
    pub(super) fn operand(&mut self, expr: &Expr, wanted: Option<DataType>) -> query::Expr {
        let bound = self.expr(expr, wanted);
        if let Some(column) = several(&bound) {
            self.no_operand(column, expr.span);
        }
        bound
    }

    fn no_operand(&mut self, column: &Column, span: Span) {
        let message = format!(
            "column \"{}\" of several parts cannot stand in an expression",
            column.name
        );
        self.refuse(span, message, WHOLE);
    }

    /// A number is not the bytes that stand for it: the key of a line in a tabular section.
    pub(super) fn no_number_as_bytes(&mut self, place: Option<DataType>, expr: &Expr) {
        let of_expr = self.type_of(expr);
        if place == Some(DataType::Binary)
            && matches!(of_expr, Some(DataType::Integer | DataType::Decimal))
        {
            let message = "a number stands where bytes are";
            let hint = "CAST(… AS binary) makes bytes of a whole number: 4, the highest first, as the key of a line has them.";
            let error = Diagnostic::error("E_TYPE", expr.span, message).hint(hint);
            self.errors.push(error);
        }
    }

    /// Binds what has an identity: the argument of UUIDOF and its like. Of a column of several parts that is the reference.
    pub(super) fn identified(&mut self, function: &Function, expr: &Expr) -> query::Expr {
        use DataType::{Boolean, DateTime, Decimal, Integer, Text};
        let bound = self.expr(expr, None);
        if let query::Expr::Column { alias, column } = &bound
            && column.parts.len() > 1
        {
            if let Some(part) = with_role(column, ColumnRole::Reference) {
                let (alias, column) = (Arc::clone(alias), part_of(column, part));
                return query::Expr::Column { alias, column };
            }
            let message = format!("column \"{}\" never holds a reference", column.name);
            self.error("E_TYPE", expr.span, message);
            return bound;
        }
        // the text of a uuid is one for UUID1C and UUIDDB, as in the script
        let takes_text = *function != Function::UuidOf;
        if let Some(found @ (Boolean | DateTime | Decimal | Integer | Text)) = self.type_of(expr)
            && !(takes_text && found == Text)
        {
            let (name, word) = (word_of(function), word(found));
            let message = format!("{name} does not take {word}");
            self.error("E_TYPE", expr.span, message);
        }
        bound
    }

    /// Sees to it that one side of a comparison, if it has several parts, has the other one beside it that it can be compared with.
    pub(super) fn comparable(
        &mut self,
        equality: bool,
        (side, span): (&query::Expr, Span),
        other: &query::Expr,
    ) {
        let Some(column) = several(side) else { return };
        match other {
            _ if !equality => self.no_operand(column, span),
            query::Expr::Parameter {
                part: Part::Whole, ..
            }
            | query::Expr::Literal(Value::Null) => {}
            query::Expr::Column { column: other, .. } => {
                let has = |role| other.parts.iter().any(|part| part.role == role);
                let same = column.parts.len() == other.parts.len()
                    && column.parts.iter().all(|part| has(part.role));
                if !same {
                    let message = format!(
                        "columns \"{}\" and \"{}\" consist of different parts",
                        column.name, other.name
                    );
                    self.refuse(span, message, WHOLE);
                }
            }
            _ => {
                let message = format!("column \"{}\" is compared with an expression", column.name);
                let hint = "Compare it with a variable or a column.";
                self.refuse(span, message, hint);
            }
        }
    }

    /// Binds what MAX and MIN are made of: values of one type.
    pub(super) fn ordered(&mut self, function: &Function, expr: &Expr) -> query::Expr {
        let bound = self.expr(expr, None);
        if let Some(column) = several(&bound) {
            let name = if *function == Function::Max {
                "MAX"
            } else {
                "MIN"
            };
            let message = format!(
                "{name} takes no column of several types: \"{}\"",
                column.name
            );
            let hint = "Take it of what the column holds of one type: CAST(column AS number), UUIDOF(column), TYPEOF(column).";
            self.refuse(expr.span, message, hint);
        }
        bound
    }

    /// `CAST`: of a column of several types the part that holds this one, as it is stored.
    pub(super) fn cast(&mut self, operand: &Expr, to: DataType) -> query::Expr {
        let bound = self.expr(operand, None);
        if matches!(to, DataType::Entity(_)) {
            return self.cast_to_reference(operand, bound);
        }
        if to == DataType::Text
            && matches!(
                self.type_of(operand),
                Some(DataType::Entity(_) | DataType::Union)
            )
        {
            return self.text_of(operand, bound);
        }
        if let query::Expr::Column { alias, column } = &bound
            && (several(&bound).is_some() || is_reference(column) && to == DataType::Uuid)
        {
            let role = match to {
                DataType::Uuid => Some(ColumnRole::Reference),
                to => share(to).map(|(_, role)| role),
            };
            let part = role.and_then(|role| with_role(column, role));
            if let Some(part) = part.or(column.single()) {
                return held(alias, column, part, to);
            }
            let message = format!("CAST: column \"{}\" never holds this type", column.name);
            self.error("E_TYPE", operand.span, message);
        }
        query::Expr::Cast(Box::new(bound), to)
    }
}

impl Binder<'_> {
    /// `CAST(column AS entity)`: what the column holds of a reference.
    fn cast_to_reference(&mut self, operand: &Expr, bound: query::Expr) -> query::Expr {
        let query::Expr::Column { alias, column } = &bound else {
            if !matches!(bound, query::Expr::Literal(Value::Null)) {
                let message = "only a column is cast to entity by a database".into();
                let hint = "ENTITY('Справочник.Имя', uuid) makes a reference of an identity.";
                self.refuse(operand.span, message, hint);
            }
            return bound;
        };
        match references(column) {
            Some(column) => query::Expr::Column {
                alias: alias.clone(),
                column,
            },
            None => {
                let message = format!("CAST: column \"{}\" never holds this type", column.name);
                self.error("E_TYPE", operand.span, message);
                bound
            }
        }
    }

    /// Warns of a reference that is stored where references of another kind are kept: its kind is lost.
    pub(super) fn keep_kind(&mut self, column: &Column, expr: &Expr) {
        let kept = match column.data_type {
            DataType::Entity(code) if column.parts.len() == 1 => code,
            DataType::Union => column.reference_code,
            _ => 0,
        };
        if kept == 0 {
            return;
        }
        if let ExprKind::Parameter(index) = expr.kind {
            self.adaptations[index].kind = Some((kept, column.name.clone()));
        } else if let Some(DataType::Entity(code)) = self.type_of(expr)
            && code != 0
            && code != kept
        {
            self.warnings.push(lost_kind(&column.name, expr.span));
        }
    }
}

impl Binder<'_> {
    /// Sees to it that a reference comes with its type code to a column of several types that stores one.
    pub(super) fn keep_code(&mut self, column: &Column, expr: &Expr) {
        if with_role(column, ColumnRole::TypeCode).is_none() {
            return;
        }
        if let ExprKind::Parameter(index) = &expr.kind {
            self.adaptations[*index].coded = true;
        }
    }

    /// True, and told, if what is written for a reference, or beside it, never is one. What a variable holds shows when it is sent.
    pub(super) fn never_refers(&mut self, column: &Column, expr: &Expr) -> bool {
        use DataType::{Boolean, DateTime, Decimal, Integer, Text};
        let what = match (&expr.kind, self.type_of(expr)) {
            (ExprKind::Parameter(index), _) => match &self.plan.parameters[*index].kind {
                program::ExprKind::Constant(value @ Value::Text(_)) => {
                    let adapted = adapt(value.clone(), DataType::Entity(0));
                    matches!(adapted, Value::Text(_)).then_some("this text")
                }
                _ => None,
            },
            (_, Some(found @ (Boolean | DateTime | Decimal | Integer | Text))) => Some(word(found)),
            _ => None,
        };
        let Some(what) = what else { return false };
        let message = format!("column \"{}\" holds references, never {what}", column.name);
        self.error("E_TYPE", expr.span, message);
        true
    }

    /// The value for a column that stores a type code has none.
    pub(super) fn lacks_code(&mut self, column: &Column, span: Span) {
        let message = format!("the value has no type code for column \"{}\"", column.name);
        self.error("E_TYPE", span, message);
    }
}

/// The name of a function of identities.
fn word_of(function: &Function) -> &'static str {
    match function {
        Function::Uuid1c => "UUID1C",
        Function::UuidDb => "UUIDDB",
        _ => "UUIDOF",
    }
}

/// A reference of a foreign kind goes into the column.
pub(crate) fn lost_kind(column: &str, span: Span) -> Diagnostic {
    let message =
        format!("column \"{column}\" keeps references of one kind, and this one is of another");
    let hint = "It is read back as a reference of the column's kind.";
    Diagnostic::warning("W016", span, message).hint(hint)
}

/// What a column of several types holds of one of them.
fn held(alias: &Arc<str>, column: &Column, part: &PhysicalColumn, to: DataType) -> query::Expr {
    let data_type = match part.role {
        ColumnRole::Number => DataType::Decimal,
        ColumnRole::Value | ColumnRole::Reference => DataType::Entity(column.reference_code),
        _ => to,
    };
    let held = Column {
        year_offset: column.year_offset,
        ..Column::new(Arc::clone(&column.name), data_type, vec![part.clone()])
    };
    let (alias, column) = (Arc::clone(alias), Arc::new(held));
    let held = query::Expr::Column { alias, column };
    match to {
        DataType::Uuid => query::Expr::Call(Function::UuidOf, vec![held]),
        DataType::Integer => query::Expr::Cast(Box::new(held), to),
        _ => held,
    }
}

fn is_reference(column: &Column) -> bool {
    matches!(column.data_type, DataType::Entity(_))
}

/// What a column holds of references, as a column of its own.
pub(super) fn references(column: &Arc<Column>) -> Option<Arc<Column>> {
    if matches!(column.data_type, DataType::Entity(_)) {
        return Some(Arc::clone(column));
    }
    with_role(column, ColumnRole::Reference)?;
    let of_reference = |role| matches!(role, ColumnRole::TypeCode | ColumnRole::Reference);
    let parts = column.parts.iter().filter(|part| of_reference(part.role));
    let data_type = DataType::Entity(column.reference_code);
    let parts = parts.cloned().collect();
    Some(Arc::new(Column::new(column.name.clone(), data_type, parts)))
}

/// The column, if it is one of several parts.
pub(super) fn several(bound: &query::Expr) -> Option<&Column> {
    match bound {
        query::Expr::Column { column, .. } if column.parts.len() > 1 => Some(column),
        _ => None,
    }
}
