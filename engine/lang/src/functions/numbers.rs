//! Aggregates and the choice of a value that is not NULL.

use dajet_core::query;

use super::{Function, InDatabase, MANY};
use crate::machine::failure::Failure;
use crate::machine::heap::{Datum, NULL};
use crate::machine::memory::Memory;

const fn aggregate(
    name: &'static str,
    least: usize,
    function: query::Function,
    reference: &'static str,
) -> Function {
    let database = Some(InDatabase::Aggregate(function));
    Function {
        name,
        arguments: "x",
        least,
        most: 1,
        runtime: None,
        database,
        text: false,
        reference,
    }
}

pub(super) static TABLE: &[Function] = &[
    aggregate(
        "COUNT",
        0,
        query::Function::Count,
        "The number of rows, or of values that are not NULL.",
    ),
    aggregate("MAX", 1, query::Function::Max, "The largest value."),
    aggregate("MIN", 1, query::Function::Min, "The smallest value."),
    aggregate(
        "SUM",
        1,
        query::Function::Sum,
        "The sum of the values, as a decimal.",
    ),
    aggregate(
        "AVG",
        1,
        query::Function::Average,
        "The mean of the values, as a decimal: rounded as a quotient is, without zeros at its end.",
    ),
    Function {
        name: "STRING_AGG",
        arguments: "x, separator",
        least: 2,
        most: 2,
        runtime: None,
        database: Some(InDatabase::Aggregate(query::Function::StringAgg)),
        text: true,
        reference: "The texts of the values, joined by the separator.",
    },
    Function {
        name: "ISNULL",
        arguments: "value, other",
        least: 2,
        most: 2,
        runtime: Some(coalesce),
        database: Some(InDatabase::Coalesce),
        text: false,
        reference: "The value, or the other one if it is NULL.",
    },
    Function {
        name: "COALESCE",
        arguments: "value, …",
        least: 1,
        most: MANY,
        runtime: Some(coalesce),
        database: Some(InDatabase::Coalesce),
        text: false,
        reference: "The first value that is not NULL.",
    },
];

fn coalesce(_: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    Ok(args
        .iter()
        .find(|arg| !arg.is_null())
        .cloned()
        .unwrap_or(NULL))
}
