//! JSON.

use dajet_core::Value;

use super::Function;
use crate::machine::failure::Failure;
use crate::machine::heap::Datum;
use crate::machine::memory::Memory;
use crate::machine::operate::export;

pub(super) static TABLE: &[Function] = &[Function {
    name: "JSON",
    arguments: "value",
    least: 1,
    most: 1,
    runtime: Some(json),
    database: None,
    text: false,
    reference: "Text of an object or array, as compact JSON; or the object or array that a JSON text says. \
                `JSON(NULL)` is the text `null`. `DaJet.Json` is another name for it.",
}];

fn json(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    match &args[0] {
        Datum::Scalar(Value::Text(text)) => match Value::from_json(text) {
            Ok(tree) => Ok(memory.heap.import(tree)),
            Err(error) => Err(Failure::of_type(error.to_string())),
        },
        value => Ok(Datum::text(export(&memory.heap, value)?.to_json())),
    }
}
