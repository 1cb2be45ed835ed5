//! Operators of the runtime (language reference, section 5.3 and section 14, rulings 11 and 15 to 18).

use std::cmp::Ordering;

use bytes::{Bytes, BytesMut};
use dajet_core::decimal::ArithmeticError;
use dajet_core::value::{parse_datetime, parse_entity, parse_uuid};
use dajet_core::{Decimal, Value};

use super::convert::shift_seconds;
use super::failure::Failure;
use super::heap::{Datum, Heap, NULL};
use crate::ast::BinaryOp;
use crate::program::Type;

impl From<ArithmeticError> for Failure {
    fn from(error: ArithmeticError) -> Self {
        let code = match error {
            ArithmeticError::Range => "E_RANGE",
            ArithmeticError::DivisionByZero => "E_ARITH",
        };
        Failure::new(code, error.to_string())
    }
}

/// A condition: boolean; NULL and the number 0 are false.
pub(crate) fn truth(datum: &Datum) -> Result<bool, Failure> {
    match datum {
        Datum::Scalar(Value::Boolean(value)) => Ok(*value),
        Datum::Scalar(Value::Null | Value::Integer(0)) => Ok(false),
        Datum::Scalar(Value::Decimal(number)) if number.is_zero() => Ok(false),
        other => Err(Failure::of_type(format!(
            "a condition cannot be {}",
            other.type_name()
        ))),
    }
}

/// The text form; NULL is empty.
pub(crate) fn text_of(heap: &Heap, datum: &Datum) -> Result<String, Failure> {
    match datum {
        Datum::Scalar(Value::Null) => Ok(String::new()),
        Datum::Scalar(Value::Text(text)) => Ok(text.to_string()),
        other => shown(heap, other),
    }
}

/// The text form as PRINT shows it: NULL is `null`.
pub(crate) fn shown(heap: &Heap, datum: &Datum) -> Result<String, Failure> {
    Ok(match datum {
        Datum::Scalar(value) => value.to_string(),
        other => export(heap, other)?.to_json(),
    })
}

/// A tree of the value.
pub(crate) fn export(heap: &Heap, datum: &Datum) -> Result<Value, Failure> {
    heap.export(datum).map_err(|_| {
        Failure::of_type("the value contains itself or is nested too deep")
            .hint("Only trees can leave the script.")
    })
}

/// `a op b` with an arithmetic operator; `+` concatenates if `text` says so or one side is text.
pub(crate) fn arithmetic(
    heap: &Heap,
    op: BinaryOp,
    text: bool,
    a: &Datum,
    b: &Datum,
) -> Result<Datum, Failure> {
    let is_text = |d: &Datum| matches!(d, Datum::Scalar(Value::Text(_)));
    if op == BinaryOp::Add && (text || is_text(a) || is_text(b)) {
        let mut joined = text_of(heap, a)?;
        let more = text_of(heap, b)?;
        check_size(joined.len(), more.len())?;
        joined.push_str(&more);
        return Ok(Datum::text(joined));
    }
    let (Datum::Scalar(a), Datum::Scalar(b)) = (a, b) else {
        return Err(mixed(op, a, b));
    };
    let value = match (a, b) {
        (Value::Null, _) | (_, Value::Null) => return Ok(NULL),
        (Value::Integer(a), Value::Integer(b)) => integers(op, *a, *b)?,
        (Value::Integer(a), Value::Decimal(b)) => decimals(op, Decimal::from(*a), *b)?,
        (Value::Decimal(a), Value::Integer(b)) => decimals(op, *a, Decimal::from(*b))?,
        (Value::Decimal(a), Value::Decimal(b)) => decimals(op, *a, *b)?,
        (a, b) => special(op, a, b)?,
    };
    Ok(Datum::Scalar(value))
}

/// Most bytes of a text or of bytes that the script puts together: without a bound a loop would take all the memory, and the process with it.
const BYTES_MAX: usize = 256 << 20;

fn check_size(a: usize, b: usize) -> Result<(), Failure> {
    if a.saturating_add(b) <= BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "operator + makes a value of more than {} MiB",
        BYTES_MAX >> 20
    );
    Err(Failure::new("E_RANGE", message))
}

fn mixed(op: BinaryOp, a: &Datum, b: &Datum) -> Failure {
    let (a, b) = (a.type_name(), b.type_name());
    Failure::of_type(format!("operator {} does not take {a} and {b}", symbol(op)))
}

fn integers(op: BinaryOp, a: i64, b: i64) -> Result<Value, Failure> {
    let exact = match op {
        BinaryOp::Add => a.checked_add(b),
        BinaryOp::Subtract => a.checked_sub(b),
        BinaryOp::Multiply => a.checked_mul(b),
        BinaryOp::Divide if b != 0 => a.checked_div(b),
        BinaryOp::Remainder if b != 0 => a.checked_rem(b),
        _ => return Err(ArithmeticError::DivisionByZero.into()),
    };
    match exact {
        Some(value) => Ok(Value::Integer(value)),
        None => decimals(op, Decimal::from(a), Decimal::from(b)),
    }
}

fn decimals(op: BinaryOp, a: Decimal, b: Decimal) -> Result<Value, Failure> {
    let result = match op {
        BinaryOp::Add => a.checked_add(b),
        BinaryOp::Subtract => a.checked_subtract(b),
        BinaryOp::Multiply => a.checked_multiply(b),
        BinaryOp::Divide => a.checked_divide(b),
        _ => a.checked_remainder(b),
    };
    Ok(Value::Decimal(result?))
}

/// Dates and bytes.
fn special(op: BinaryOp, a: &Value, b: &Value) -> Result<Value, Failure> {
    let mismatch = || mixed(op, &Datum::Scalar(a.clone()), &Datum::Scalar(b.clone()));
    let number = |value: &Value| match value {
        Value::Integer(value) => Some(Decimal::from(*value)),
        Value::Decimal(value) => Some(*value),
        _ => None,
    };
    match (op, a, b) {
        (BinaryOp::Add | BinaryOp::Subtract, Value::DateTime(at), seconds)
            if number(b).is_some() =>
        {
            let seconds = number(seconds).ok_or_else(mismatch)?;
            let seconds = if op == BinaryOp::Subtract {
                seconds.negate()
            } else {
                seconds
            };
            let shifted = shift_seconds(*at, seconds);
            let shifted =
                shifted.ok_or_else(|| Failure::new("E_RANGE", "the date leaves the calendar"))?;
            Ok(Value::DateTime(shifted))
        }
        (BinaryOp::Subtract, Value::DateTime(a), Value::DateTime(b)) => {
            let difference = a.duration_since(*b);
            if difference.subsec_nanos() == 0 {
                return Ok(Value::Integer(difference.as_secs()));
            }
            let exact = Decimal::new(difference.as_nanos(), 9).ok_or_else(mismatch)?;
            Ok(Value::Decimal(exact.trimmed(0)))
        }
        (BinaryOp::Add, Value::Binary(a), Value::Binary(b)) => {
            check_size(a.len(), b.len())?;
            let mut joined = BytesMut::with_capacity(a.len() + b.len());
            joined.extend_from_slice(a);
            joined.extend_from_slice(b);
            Ok(Value::Binary(Bytes::from(joined)))
        }
        _ => Err(mismatch()),
    }
}

/// `a = b`, two-valued.
pub(crate) fn equal(heap: &Heap, a: &Datum, b: &Datum) -> Result<bool, Failure> {
    Ok(match (a, b) {
        (Datum::Scalar(a), Datum::Scalar(b)) => scalars_equal(a, b),
        (Datum::Object(a), Datum::Object(b)) | (Datum::Array(a), Datum::Array(b)) if a == b => true,
        (Datum::Scalar(Value::Null), _) | (_, Datum::Scalar(Value::Null)) => false,
        (a, b) => text_of(heap, a)? == text_of(heap, b)?,
    })
}

fn scalars_equal(a: &Value, b: &Value) -> bool {
    use Value::{Boolean, DateTime, Decimal as Exact, Entity, Integer, Null, Text, Uuid};
    match (a, b) {
        (Null, Null) => true,
        (Null, Text(text)) | (Text(text), Null) => text.is_empty(),
        (Null, _) | (_, Null) => false,
        (Text(a), Text(b)) => a == b,
        (Integer(a), Integer(b)) => a == b,
        (Boolean(a), Boolean(b)) => a == b,
        (Integer(a), Exact(b)) | (Exact(b), Integer(a)) => Decimal::from(*a).compare(*b).is_eq(),
        (Exact(a), Exact(b)) => a.compare(*b).is_eq(),
        (DateTime(at), Text(text)) | (Text(text), DateTime(at)) => {
            parse_datetime(text) == Some(*at)
        }
        (Uuid(uuid), Text(text)) | (Text(text), Uuid(uuid)) => parse_uuid(text) == Some(*uuid),
        (Entity(entity), Text(text)) | (Text(text), Entity(entity)) => {
            parse_entity(text) == Some(*entity) || parse_uuid(text) == Some(entity.uuid)
        }
        (Entity(entity), Uuid(uuid)) | (Uuid(uuid), Entity(entity)) => entity.uuid == *uuid,
        (DateTime(a), DateTime(b)) => a == b,
        (Uuid(a), Uuid(b)) => a == b,
        (Entity(a), Entity(b)) => a == b,
        (Value::Binary(a), Value::Binary(b)) => a == b,
        (a, b) => a.to_string() == b.to_string(),
    }
}

/// How two values compare; `None` with NULL.
pub(crate) fn order(op: BinaryOp, a: &Datum, b: &Datum) -> Result<Option<Ordering>, Failure> {
    use Value::{DateTime, Decimal as Exact, Integer, Null, Text};
    let (Datum::Scalar(x), Datum::Scalar(y)) = (a, b) else {
        return Err(mixed(op, a, b));
    };
    Ok(Some(match (x, y) {
        (Null, _) | (_, Null) => return Ok(None),
        (Integer(x), Integer(y)) => x.cmp(y),
        (Integer(x), Exact(y)) => Decimal::from(*x).compare(*y),
        (Exact(x), Integer(y)) => x.compare(Decimal::from(*y)),
        (Exact(x), Exact(y)) => x.compare(*y),
        (DateTime(x), DateTime(y)) => x.cmp(y),
        (Text(x), Text(y)) => x.cmp(y),
        (DateTime(x), Text(y)) => match parse_datetime(y) {
            Some(y) => x.cmp(&y),
            None => return Err(mixed(op, a, b)),
        },
        (Text(x), DateTime(y)) => match parse_datetime(x) {
            Some(x) => x.cmp(y),
            None => return Err(mixed(op, a, b)),
        },
        _ => return Err(mixed(op, a, b)),
    }))
}

/// `a op b` with one of `< <= > >=`.
pub(crate) fn compare(op: BinaryOp, a: &Datum, b: &Datum) -> Result<bool, Failure> {
    Ok(order(op, a, b)?.is_some_and(|order| match op {
        BinaryOp::Less => order.is_lt(),
        BinaryOp::LessOrEqual => order.is_le(),
        BinaryOp::Greater => order.is_gt(),
        _ => order.is_ge(),
    }))
}

/// `x IS type`: what the value holds now.
pub(crate) fn is_type(datum: &Datum, wanted: Type) -> bool {
    let Datum::Scalar(value) = datum else {
        return matches!(
            (datum, wanted),
            (Datum::Object(_), Type::Object) | (Datum::Array(_), Type::Array)
        );
    };
    match wanted {
        Type::Number => matches!(value, Value::Integer(_) | Value::Decimal(_)),
        Type::Union => !value.is_null(),
        other => value.type_name() == other.word(),
    }
}

/// The sign of an operator.
pub(crate) fn symbol(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Or => "OR",
        BinaryOp::And => "AND",
        BinaryOp::Equal => "=",
        BinaryOp::NotEqual => "<>",
        BinaryOp::Less => "<",
        BinaryOp::LessOrEqual => "<=",
        BinaryOp::Greater => ">",
        BinaryOp::GreaterOrEqual => ">=",
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
        BinaryOp::Remainder => "%",
    }
}

/// SQL's LIKE: `%`, `_` and sets `[abc]`, `[a-z]`, `[^a]`. Linear in the product of both lengths at worst.
pub(crate) fn like(text: &str, pattern: &str) -> bool {
    let (text, marks) = (text.chars().collect::<Vec<_>>(), parse_pattern(pattern));
    let (mut at, mut mark) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match marks.get(mark) {
            Some(Mark::Many) => {
                retry = Some((at, mark));
                mark += 1;
                continue;
            }
            Some(one) if text.get(at).is_some_and(|c| one.takes(*c)) => {
                (at, mark) = (at + 1, mark + 1);
                continue;
            }
            None if at == text.len() => return true,
            _ => {}
        }
        let Some((start, many)) = retry.filter(|(start, _)| *start < text.len()) else {
            return false;
        };
        retry = Some((start + 1, many));
        (at, mark) = (start + 1, many + 1);
    }
}

/// A part of a LIKE pattern.
enum Mark {
    Many,
    One,
    Char(char),
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Mark {
    fn takes(&self, c: char) -> bool {
        match self {
            Mark::Many => false,
            Mark::One => true,
            Mark::Char(own) => *own == c,
            Mark::Set { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

fn parse_pattern(pattern: &str) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        marks.push(match c {
            '%' => Mark::Many,
            '_' => Mark::One,
            '[' => match rest.as_str().split_once(']') {
                Some((set, behind)) if !set.is_empty() => {
                    rest = behind.chars();
                    parse_set(set)
                }
                _ => Mark::Char('['),
            },
            other => Mark::Char(other),
        });
    }
    marks
}

fn parse_set(set: &str) -> Mark {
    let (negated, set) = set
        .strip_prefix('^')
        .map_or((false, set), |set| (true, set));
    let chars: Vec<char> = set.chars().collect();
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(low) = chars.get(at) {
        match (chars.get(at + 1), chars.get(at + 2)) {
            (Some('-'), Some(high)) => {
                ranges.push((*low, *high));
                at += 3;
            }
            _ => {
                ranges.push((*low, *low));
                at += 1;
            }
        }
    }
    Mark::Set { negated, ranges }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_like_patterns() {
        let check = |text: &str, pattern: &str, expected: bool| {
            assert_eq!(like(text, pattern), expected, "{text} LIKE {pattern}");
        };
        check("заказ-7", "заказ%", true);
        check("заказ-7", "%-_", true);
        check("заказ-17", "%-_", false);
        check("b2", "[a-c][0-9]", true);
        check("d2", "[^a-c]2", true);
        check("a%b", "a[%]b", true);
        check("", "%", true);
        check("x", "", false);
        check("aaaaaaaaaaaaaaaaaaaaaaaa", "%a%a%a%a%a%b", false);
    }
}
