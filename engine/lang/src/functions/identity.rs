//! Uuids, references and sequences.

use dajet_core::value::parse_uuid;
use dajet_core::{Entity, Value, query};
use uuid::{Builder, Uuid};

use super::strings::position;
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
        name: "UUID1C",
        arguments: "reference | uuid",
        least: 1,
        most: 1,
        runtime: Some(uuid_1c),
        database: Some(InDatabase::OverColumns(query::Function::Uuid1c)),
        text: false,
        reference: "The uuid as 1C shows it. Takes a uuid, its text, a reference, or the 16 bytes of a reference column.",
    },
    Function {
        name: "UUIDDB",
        arguments: "reference | uuid",
        least: 1,
        most: 1,
        runtime: Some(uuid_db),
        database: Some(InDatabase::OverColumns(query::Function::UuidDb)),
        text: false,
        reference: "The uuid in database form; the inverse of UUID1C.",
    },
    Function::of_runtime(
        "ENTITY",
        "code | name[, uuid]",
        (1, 2),
        entity,
        "The reference with a type code, or the code of a metadata object, and a uuid in database form; without a uuid the \
         empty reference. Names need USE around them; an unknown one is an error.",
    ),
    Function::of_runtime(
        "TYPEOF",
        "value | name | type",
        (1, 1),
        type_of,
        "The type code of a reference; of the name of a metadata object its code, 0 if it is unknown (within USE). 2 boolean, \
         3 decimal, 4 datetime, 10 integer, 1 anything else and NULL. Of the words of types the same numbers, 5 for `string`, \
         8 for `entity`.",
    ),
    Function::of_runtime(
        "NAMEOF",
        "code | reference",
        (1, 1),
        needs_use,
        "The full name of the metadata object with a type code; NULL if there is none. Needs USE around it.",
    ),
    Function::of_runtime(
        "METADATA",
        "name | reference | code",
        (1, 1),
        needs_use,
        "An object that says what a metadata object is: `Ссылка` (its uuid), `Код` (its type code), `Тип`, `Имя`, \
         `ПолноеИмя`, `Таблица`, `Владелец`; NULL if there is none. Of a reference, or of its type code, the object that \
         it belongs to. Needs USE around it.",
    ),
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

/// The uuid that an argument says; `None` for NULL.
pub(crate) fn identity(function: &str, datum: &Datum) -> Result<Option<Uuid>, Failure> {
    let found = match datum {
        Datum::Scalar(Value::Null) => return Ok(None),
        Datum::Scalar(Value::Uuid(uuid)) => Some(*uuid),
        Datum::Scalar(Value::Entity(entity)) => Some(entity.uuid),
        Datum::Scalar(Value::Text(text)) => parse_uuid(text.trim()),
        Datum::Scalar(Value::Binary(bytes)) => Uuid::from_slice_le(bytes).ok(),
        _ => None,
    };
    let wrong = || match datum {
        Datum::Scalar(Value::Text(text)) => {
            let shown: String = text.chars().take(40).collect();
            Failure::of_type(format!("{function}: the text \"{shown}\" is no uuid"))
        }
        Datum::Scalar(Value::Binary(bytes)) => Failure::of_type(format!(
            "{function}: a uuid has 16 bytes, not {}",
            bytes.len()
        )),
        other => Failure::of_type(format!("{function} does not take {}", other.type_name())),
    };
    found.map(Some).ok_or_else(wrong)
}

/// The byte of the database form that stands at each place of the form of 1C.
const PLACES_1C: [usize; 16] = [12, 13, 14, 15, 10, 11, 8, 9, 3, 2, 1, 0, 5, 4, 7, 6];

fn uuid_1c(_: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    let Some(uuid) = identity("UUID1C", &args[0])? else {
        return Ok(NULL);
    };
    let bytes = PLACES_1C.map(|place| uuid.as_bytes()[place]);
    Ok(Datum::Scalar(Value::Uuid(Uuid::from_bytes(bytes))))
}

fn uuid_db(_: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    let Some(uuid) = identity("UUIDDB", &args[0])? else {
        return Ok(NULL);
    };
    let mut bytes = [0; 16];
    for (byte, place) in uuid.as_bytes().iter().zip(PLACES_1C) {
        bytes[place] = *byte;
    }
    Ok(Datum::Scalar(Value::Uuid(Uuid::from_bytes(bytes))))
}

/// Names mean nothing without a database.
fn needs_use(_: &mut Memory, _: &[Datum]) -> Result<Datum, Failure> {
    let message = "a name of the metadata stands outside of USE";
    Err(Failure::new("E_BIND", message).hint("Put it between USE 'address' and END."))
}

pub(crate) fn entity(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    let nil = Datum::Scalar(Value::Uuid(Uuid::nil()));
    let (code, uuid) = (&args[0], args.get(1).unwrap_or(&nil));
    if matches!(code, Datum::Scalar(Value::Text(_))) {
        return needs_use(memory, args);
    }
    let Some(uuid) = identity("ENTITY", uuid)? else {
        return Ok(NULL);
    };
    if code.is_null() {
        return Ok(NULL);
    }
    let number = position(code)?;
    let code = i32::try_from(number).ok().filter(|code| *code >= 0);
    let code = code.ok_or_else(|| Failure::new("E_RANGE", format!("{number} is no type code")))?;
    Ok(Datum::Scalar(Value::Entity(Entity { code, uuid })))
}

fn type_of(_: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    let code = match &args[0] {
        Datum::Scalar(Value::Entity(entity)) => i64::from(entity.code),
        other => type_code(other.type_name()),
    };
    Ok(Datum::Scalar(Value::Integer(code)))
}

/// What TYPEOF says of the word of a type.
pub(crate) fn type_code(word: &str) -> i64 {
    match word {
        "boolean" => 2,
        "number" | "decimal" => 3,
        "datetime" => 4,
        "string" => 5,
        "entity" => 8,
        "integer" => 10,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_between_both_forms_of_a_uuid() {
        let database = parse_uuid("643c479d-cacf-4048-11f0-2426af738206").unwrap();
        let shown = PLACES_1C.map(|place| database.as_bytes()[place]);
        assert_eq!(
            Uuid::from_bytes(shown).to_string(),
            "af738206-2426-11f0-9d47-3c64cfca4840"
        );
    }
}
