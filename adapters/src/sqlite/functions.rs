//! Functions that our statements call and SQLite lacks.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result};
use uuid::Uuid;

use super::aggregates;
use super::computing;
use super::digits;
use super::held::Held;

/// Next number of a sequence.
pub const VECTOR: &str = "dajet_vector";
/// A random uuid as text.
pub const NEW_UUID: &str = "dajet_newuuid";
/// A random uuid as 16 bytes.
pub const NEW_UUID_BYTES: &str = "dajet_newuuid_bytes";
/// `UPPER` of all scripts.
pub const UPPER: &str = "dajet_upper";
/// `LOWER` of all scripts.
pub const LOWER: &str = "dajet_lower";
/// Characters of a text, those behind U+0000 too.
pub const CHARACTERS: &str = "dajet_characters";
/// The parts of one value, as one.
pub const JOINED: &str = "dajet_joined";
/// True for a row that an open claim of this process holds.
pub const HELD: &str = "dajet_held";

/// Last numbers of the sequences that the running statement draws from.
pub type Sequences = Arc<Mutex<BTreeMap<Arc<str>, i64>>>;

/// Makes the functions known to a connection.
///
/// # Errors
/// None is expected.
pub fn register(
    connection: &Connection,
    sequences: &Sequences,
    held: &Arc<Mutex<Held>>,
) -> Result<()> {
    computing::register(connection)?;
    aggregates::register(connection)?;
    digits::register(connection)?;
    let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let volatile = FunctionFlags::SQLITE_UTF8;
    connection
        .create_scalar_function(UPPER, 1, pure, |context| mapped(context, str::to_uppercase))?;
    connection
        .create_scalar_function(LOWER, 1, pure, |context| mapped(context, str::to_lowercase))?;
    connection.create_scalar_function(CHARACTERS, 1, pure, |context| {
        Ok(text(context)?.map(|text| text.chars().count() as i64))
    })?;
    connection.create_scalar_function(NEW_UUID, 0, volatile, |_| Ok(Uuid::new_v4().to_string()))?;
    connection.create_scalar_function(NEW_UUID_BYTES, 0, volatile, |_| {
        Ok(Uuid::new_v4().as_bytes().to_vec())
    })?;
    connection.create_scalar_function(JOINED, -1, pure, |context| {
        let mut joined = Vec::new();
        (0..context.len()).for_each(|i| super::held::encode(context.get_raw(i), &mut joined));
        Ok(joined)
    })?;
    let sequences = Arc::clone(sequences);
    connection.create_scalar_function(VECTOR, 1, volatile, move |context| {
        let name = context.get_raw(0).as_str().map_err(Error::from)?;
        let mut last = sequences.lock();
        let number = last
            .get_mut(name)
            .ok_or_else(|| Error::UserFunctionError("the sequence is not loaded".into()))?;
        *number = number
            .checked_add(1)
            .ok_or_else(|| Error::UserFunctionError("the sequence has overflowed".into()))?;
        Ok(*number)
    })?;
    let held = Arc::clone(held);
    connection.create_scalar_function(HELD, -1, volatile, move |context| {
        let mut held = held.lock();
        Ok(match (context.len(), context.get_raw(0)) {
            (1, ValueRef::Integer(rowid)) => held.meets_rowid(rowid),
            _ => {
                let mut key = Vec::new();
                (0..context.len()).for_each(|i| super::held::encode(context.get_raw(i), &mut key));
                held.meets_key(&key)
            }
        })
    })
}

fn text(context: &Context<'_>) -> Result<Option<String>> {
    Ok(match context.get_raw(0) {
        ValueRef::Null => None,
        ValueRef::Integer(n) => Some(n.to_string()),
        ValueRef::Real(x) => Some(x.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|e| {
                Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, e.into())
            })?;
            Some(text.to_owned())
        }
    })
}

fn mapped(context: &Context<'_>, map: fn(&str) -> String) -> Result<Value> {
    Ok(text(context)?.map_or(Value::Null, |text| Value::Text(map(&text))))
}
