//! Arrays: handles into the heap, changed in place.

use dajet_core::Value;

use super::Function;
use super::strings::position;
use crate::machine::failure::Failure;
use crate::machine::heap::{Datum, Handle, Node};
use crate::machine::memory::Memory;

pub(super) static TABLE: &[Function] = &[
    Function::of_runtime(
        "ARRAY_CREATE",
        "[capacity]",
        (0, 1),
        create,
        "A new empty array.",
    ),
    Function::of_runtime(
        "ARRAY_COUNT",
        "array",
        (1, 1),
        count,
        "The number of elements; -1 for NULL.",
    ),
    Function::of_runtime(
        "ARRAY_CLEAR",
        "array",
        (1, 1),
        clear,
        "Removes all elements and gives 0; -1 for NULL.",
    ),
    Function::of_runtime(
        "ARRAY_APPEND",
        "array, element",
        (2, 2),
        append,
        "Adds an element, which is shared and not copied, and gives its index.",
    ),
    Function::of_runtime(
        "ARRAY_SELECT",
        "array, index",
        (2, 2),
        select,
        "The element at an index, from 0. An index outside of the array is an error.",
    ),
    Function::of_runtime(
        "ARRAY_DELETE",
        "array, index",
        (2, 2),
        delete,
        "Removes the element at an index, from 0, and gives it.",
    ),
    Function::of_runtime(
        "ARRAY_INSERT",
        "array, index, element",
        (3, 3),
        insert,
        "Inserts an element in front of an index, from 0, and gives the new number of elements. The number of elements as \
         index appends.",
    ),
];

/// Most elements of an array that a script fills: without a bound a loop would take all the memory, and the process with it.
const ELEMENTS_MAX: usize = 1_000_000;

fn create(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    if let Some(capacity) = args.first().filter(|capacity| !capacity.is_null())
        && position(capacity)? < 0
    {
        return Err(Failure::of_type(
            "the capacity of an array cannot be negative",
        ));
    }
    Ok(memory.heap.array(Vec::new()))
}

fn count(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    match known(&args[0])? {
        Some(array) => Ok(integer(items(memory, array).len())),
        None => Ok(Datum::Scalar(Value::Integer(-1))),
    }
}

fn clear(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    match known(&args[0])? {
        Some(array) => {
            items(memory, array).clear();
            Ok(integer(0))
        }
        None => Ok(Datum::Scalar(Value::Integer(-1))),
    }
}

fn append(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    let array = needed(&args[0])?;
    memory.note_store(array, &args[1]);
    let items = items(memory, array);
    check_room(items)?;
    items.push(args[1].clone());
    Ok(integer(items.len() - 1))
}

fn select(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    let array = needed(&args[0])?;
    let items = items(memory, array);
    let index = index_below(&args[1], items.len())?;
    Ok(items[index].clone())
}

fn delete(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    let array = needed(&args[0])?;
    let items = items(memory, array);
    let index = index_below(&args[1], items.len())?;
    Ok(items.remove(index))
}

fn insert(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    let array = needed(&args[0])?;
    memory.note_store(array, &args[2]);
    let items = items(memory, array);
    let index = index_below(&args[1], items.len() + 1)?;
    check_room(items)?;
    items.insert(index, args[2].clone());
    Ok(integer(items.len()))
}

fn check_room(items: &[Datum]) -> Result<(), Failure> {
    if items.len() < ELEMENTS_MAX {
        return Ok(());
    }
    let message = format!("the array has {ELEMENTS_MAX} elements and takes no more");
    let hint = "Keep so many rows in a table, or work on them in parts.";
    Err(Failure::new("E_RANGE", message).hint(hint))
}

/// The array; `None` for NULL.
fn known(datum: &Datum) -> Result<Option<Handle>, Failure> {
    match datum {
        Datum::Array(handle) => Ok(Some(*handle)),
        datum if datum.is_null() => Ok(None),
        other => Err(Failure::of_type(format!(
            "an array function does not take {}",
            other.type_name()
        ))),
    }
}

fn needed(datum: &Datum) -> Result<Handle, Failure> {
    known(datum)?.ok_or_else(|| {
        Failure::of_type("the array is NULL").hint("ARRAY_CREATE() makes an empty one.")
    })
}

fn items(memory: &mut Memory, array: Handle) -> &mut Vec<Datum> {
    memory.note_change(array);
    match memory.heap.node_mut(array) {
        Node::Array(items) => items,
        Node::Row(..) | Node::Object(_) => unreachable!("a handle of an array leads to an array"),
    }
}

fn index_below(datum: &Datum, end: usize) -> Result<usize, Failure> {
    let index = position(datum)?;
    let found = usize::try_from(index).ok().filter(|index| *index < end);
    found.ok_or_else(|| Failure::new("E_RANGE", format!("the array has no index {index}")))
}

fn integer(value: usize) -> Datum {
    Datum::Scalar(Value::Integer(i64::try_from(value).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::heap::NULL;

    #[test]
    fn a_full_array_takes_no_more() {
        let mut items = vec![NULL; ELEMENTS_MAX];
        let refused = check_room(&items).expect_err("it is full");
        assert_eq!(refused.code, "E_RANGE");
        items.pop();
        assert!(check_room(&items).is_ok());
    }
}
