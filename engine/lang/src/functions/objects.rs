//! Members of objects.

use std::sync::Arc;

use dajet_core::Value;

use super::Function;
use super::strings::position;
use crate::machine::failure::Failure;
use crate::machine::heap::{Datum, NULL, Node};
use crate::machine::memory::Memory;

pub(super) static TABLE: &[Function] = &[
    Function::of_runtime(
        "PROPERTY_COUNT",
        "object",
        (1, 1),
        count,
        "The number of members; 0 for NULL.",
    ),
    Function::of_runtime(
        "PROPERTY_EXISTS",
        "object, name",
        (2, 2),
        exists,
        "True if the object has a member of this name; false for NULL.",
    ),
    Function::of_runtime(
        "GET_PROPERTY",
        "object, index | name",
        (2, 2),
        get,
        "A member as an object with `Name`, `Type` and `Value`. `Type` is the word of the type, `number` for integers too, \
         `NULL` for nothing. An index outside of the object gives NULL, an unknown name an object whose `Value` is NULL.",
    ),
];

/// Checks that the argument is an object or NULL.
fn checked(datum: &Datum) -> Result<(), Failure> {
    match datum {
        Datum::Object(_) | Datum::Scalar(Value::Null) => Ok(()),
        other => Err(Failure::of_type(format!(
            "a function of members does not take {}",
            other.type_name()
        ))),
    }
}

fn members(memory: &Memory, datum: &Datum) -> usize {
    match datum {
        Datum::Object(handle) => match memory.heap.node(*handle) {
            Node::Row(shape, _) => shape.names.len(),
            Node::Object(members) => members.len(),
            Node::Array(items) => items.len(),
        },
        Datum::Array(_) | Datum::Scalar(_) => 0,
    }
}

fn count(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    checked(&args[0])?;
    let count = i64::try_from(members(memory, &args[0])).unwrap_or(i64::MAX);
    Ok(Datum::Scalar(Value::Integer(count)))
}

fn exists(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    checked(&args[0])?;
    let found = match &args[1] {
        Datum::Scalar(Value::Text(name)) => memory.find_member(&args[0], name).is_some(),
        Datum::Scalar(Value::Null) => false,
        other => return Err(wrong_name(other)),
    };
    Ok(Datum::Scalar(Value::Boolean(found)))
}

fn wrong_name(datum: &Datum) -> Failure {
    Failure::of_type(format!(
        "the name of a member cannot be {}",
        datum.type_name()
    ))
}

fn get(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    checked(&args[0])?;
    let (name, value): (Arc<str>, Datum) = match &args[1] {
        Datum::Scalar(Value::Text(name)) => {
            let value = memory.find_member(&args[0], name).unwrap_or(NULL);
            (Arc::from(&**name), value)
        }
        Datum::Scalar(Value::Integer(_) | Value::Decimal(_)) => {
            match member_at(memory, &args[0], position(&args[1])?) {
                Some(member) => member,
                None => return Ok(NULL),
            }
        }
        Datum::Scalar(Value::Null) => return Ok(NULL),
        other => return Err(wrong_name(other)),
    };
    let type_name = match value.type_name() {
        "integer" | "decimal" => "number",
        other => other,
    };
    Ok(memory.heap.object(vec![
        ("Name".into(), Datum::text(&*name)),
        ("Type".into(), Datum::text(type_name)),
        ("Value".into(), value),
    ]))
}

fn member_at(memory: &Memory, datum: &Datum, index: i64) -> Option<(Arc<str>, Datum)> {
    let Datum::Object(handle) = datum else {
        return None;
    };
    let index = usize::try_from(index).ok()?;
    match memory.heap.node(*handle) {
        Node::Row(shape, record) => {
            let name = shape.names.get(index)?;
            Some((Arc::clone(name), Datum::Scalar(record[index].clone())))
        }
        Node::Object(members) => members.get(index).cloned(),
        Node::Array(_) => None,
    }
}
