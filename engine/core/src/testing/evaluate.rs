//! The few expressions that the in-memory database knows.

use std::cmp::Ordering;

use crate::Value;
use crate::error::SystemError;
use crate::query::{Binary, Expr, Part, Unary};
use crate::schema::Table;

use super::state::not_supported;

/// A row under its alias.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) alias: &'a str,
    pub(super) table: &'a Table,
    pub(super) values: &'a [Value],
}

/// What an expression can see.
pub(super) struct Scope<'a> {
    pub(super) row: Option<Row<'a>>,
    pub(super) outputs: &'a [Value],
    pub(super) parameters: &'a [Value],
}

impl<'a> Scope<'a> {
    /// Parameters only.
    pub(super) fn of(parameters: &'a [Value]) -> Self {
        Self {
            row: None,
            outputs: &[],
            parameters,
        }
    }
}

/// True if there is no condition, or it is true.
pub(super) fn holds(condition: Option<&Expr>, scope: &Scope<'_>) -> Result<bool, SystemError> {
    let Some(condition) = condition else {
        return Ok(true);
    };
    Ok(evaluate(condition, scope)? == Value::Boolean(true))
}

pub(super) fn evaluate(expr: &Expr, scope: &Scope<'_>) -> Result<Value, SystemError> {
    match expr {
        Expr::Literal(value) => Ok(value.clone()),
        Expr::Parameter {
            index,
            part: Part::Whole,
            ..
        } => {
            let value = scope.parameters.get(*index).cloned();
            value.ok_or_else(|| SystemError::fault(format!("parameter {index} is missing")))
        }
        Expr::Output(index) => {
            let value = scope.outputs.get(*index).cloned();
            value.ok_or_else(|| SystemError::fault(format!("output {index} is missing")))
        }
        Expr::Column { alias, column } => {
            let row = scope.row.filter(|row| row.alias == &**alias);
            let index =
                row.and_then(|row| row.table.columns.iter().position(|c| c.name == column.name));
            let value = row
                .zip(index)
                .and_then(|(row, index)| row.values.get(index))
                .cloned();
            value.ok_or_else(|| {
                SystemError::fault(format!("column \"{}\" is out of reach", column.name))
            })
        }
        Expr::Cast(operand, _) => evaluate(operand, scope),
        Expr::Unary(Unary::Not, operand) => Ok(match evaluate(operand, scope)? {
            Value::Boolean(value) => Value::Boolean(!value),
            _ => Value::Null,
        }),
        Expr::Binary(operator, left, right) => {
            binary(*operator, evaluate(left, scope)?, evaluate(right, scope)?)
        }
        Expr::IsNull { operand, negated } => Ok(Value::Boolean(
            evaluate(operand, scope)?.is_null() != *negated,
        )),
        other => Err(not_supported(&format!("expression {other:?}"))),
    }
}

fn binary(operator: Binary, left: Value, right: Value) -> Result<Value, SystemError> {
    let truth = |value: &Value| *value == Value::Boolean(true);
    Ok(match operator {
        Binary::And => Value::Boolean(truth(&left) && truth(&right)),
        Binary::Or => Value::Boolean(truth(&left) || truth(&right)),
        Binary::Add | Binary::Subtract => match (left, right) {
            (Value::Integer(a), Value::Integer(b)) if operator == Binary::Add => {
                Value::Integer(a.wrapping_add(b))
            }
            (Value::Integer(a), Value::Integer(b)) => Value::Integer(a.wrapping_sub(b)),
            _ => Value::Null,
        },
        Binary::Concat => match (left, right) {
            (Value::Text(a), Value::Text(b)) => Value::text(format!("{a}{b}")),
            _ => Value::Null,
        },
        Binary::Equal => compared(&left, &right, Ordering::is_eq),
        Binary::NotEqual => compared(&left, &right, Ordering::is_ne),
        Binary::Less => compared(&left, &right, Ordering::is_lt),
        Binary::LessOrEqual => compared(&left, &right, Ordering::is_le),
        Binary::Greater => compared(&left, &right, Ordering::is_gt),
        Binary::GreaterOrEqual => compared(&left, &right, Ordering::is_ge),
        other => return Err(not_supported(&format!("operator {other:?}"))),
    })
}

/// Values of different types, and NULL, compare as NULL.
fn compared(left: &Value, right: &Value, test: impl Fn(Ordering) -> bool) -> Value {
    let ordering = match (left, right) {
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        _ => return Value::Null,
    };
    Value::Boolean(test(ordering))
}
