//! Uuids, references and sequences.

use dajet_core::Value;
use dajet_core::query;
use uuid::Builder;

use super::{Function, InDatabase};
use crate::machine::failure::Failure;
use crate::machine::heap::{Datum, NULL};
use crate::machine::memory::Memory;

pub(super) static TABLE: &[Function] = &[
    Function {
        name: "NEWUUID",
        arguments: "",
        least: 0,
        most: 0,
        runtime: Some(new_uuid),
        database: Some(InDatabase::PerRow(query::Function::NewUuid)),
        text: false,
        reference: "A random uuid; in a database statement one for each row.",
    },
    Function {
        name: "UUIDOF",
        arguments: "reference",
        least: 1,
        most: 1,
        runtime: Some(uuid_of),
        database: Some(InDatabase::OverColumns(query::Function::UuidOf)),
        text: false,
        reference: "The uuid of a reference, in database form.",
    },
    Function {
        name: "VECTOR",
        arguments: "'sequence'",
        least: 1,
        most: 1,
        runtime: None,
        database: Some(InDatabase::Vector),
        text: false,
        reference: "The next number of a sequence of the database. The name is a literal.",
    },
];

fn new_uuid(memory: &mut Memory, _: &[Datum]) -> Result<Datum, Failure> {
    let (high, low) = (memory.next_random(), memory.next_random());
    let bytes = ((u128::from(high) << 64) | u128::from(low)).to_be_bytes();
    Ok(Datum::Scalar(Value::Uuid(
        Builder::from_random_bytes(bytes).into_uuid(),
    )))
}

fn uuid_of(_: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    match &args[0] {
        Datum::Scalar(Value::Null) => Ok(NULL),
        Datum::Scalar(Value::Entity(entity)) => Ok(Datum::Scalar(Value::Uuid(entity.uuid))),
        Datum::Scalar(Value::Uuid(uuid)) => Ok(Datum::Scalar(Value::Uuid(*uuid))),
        other => Err(Failure::of_type(format!(
            "UUIDOF does not take {}",
            other.type_name()
        ))),
    }
}
