//! The time.

use dajet_core::{Decimal, Value, query};
use jiff::civil::DateTime;

use super::{Function, InDatabase};
use crate::machine::Clock;
use crate::machine::convert::shift_seconds;
use crate::machine::failure::Failure;
use crate::machine::heap::{Datum, NULL};
use crate::machine::memory::Memory;

pub(super) static TABLE: &[Function] = &[
    Function {
        name: "NOW",
        arguments: "[seconds]",
        least: 0,
        most: 1,
        runtime: Some(now),
        database: Some(InDatabase::PerRow(query::Function::Now)),
        text: false,
        reference: "The local time; in a database statement that of the server. With an argument: cut to whole seconds, \
                    and so many seconds later.",
    },
    Function {
        name: "UTC",
        arguments: "[hours]",
        least: 0,
        most: 1,
        runtime: Some(utc),
        database: Some(InDatabase::PerRow(query::Function::Utc)),
        text: false,
        reference: "The time of UTC; in a database statement that of the server. With an argument: cut to whole seconds, \
                    and so many hours later.",
    },
];

fn now(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    show(memory, args, |clock| clock.local, 1)
}

fn utc(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    show(memory, args, |clock| clock.utc, 3600)
}

fn show(
    memory: &Memory,
    args: &[Datum],
    choose: fn(Clock) -> DateTime,
    unit: i64,
) -> Result<Datum, Failure> {
    let clock = memory
        .clock
        .ok_or_else(|| Failure::new("E_UNSUPPORTED", "no time is known here"))?;
    let at = choose(clock);
    let count = match args {
        [] => return Ok(Datum::Scalar(Value::DateTime(at))),
        [Datum::Scalar(Value::Null), ..] => return Ok(NULL),
        [Datum::Scalar(Value::Integer(count)), ..] => Decimal::from(*count),
        [Datum::Scalar(Value::Decimal(count)), ..] => *count,
        [other, ..] => {
            return Err(Failure::of_type(format!(
                "a time is not shifted by {}",
                other.type_name()
            )));
        }
    };
    let second = at
        .with()
        .subsec_nanosecond(0)
        .build()
        .map_err(|e| Failure::of_type(e.to_string()))?;
    let shifted = shift_seconds(second, count.checked_multiply(Decimal::from(unit))?);
    let shifted = shifted.ok_or_else(|| Failure::new("E_RANGE", "the date leaves the calendar"))?;
    Ok(Datum::Scalar(Value::DateTime(shifted)))
}
