//! SUM and AVG as they are everywhere else: exact, whatever the column holds its numbers as. SQLite's own are those of floating numbers.

use dajet_core::Decimal;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::Value;
use rusqlite::{Connection, Result};

use super::computing::{Number, number, refused, stored};

/// `SUM`
pub const SUM: &str = "dajet_sum";
/// `AVG`
pub const AVERAGE: &str = "dajet_avg";

/// Makes the functions known to a connection.
///
/// # Errors
/// None is expected.
pub fn register(connection: &Connection) -> Result<()> {
    let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_aggregate_function(SUM, 1, pure, Total { mean: false })?;
    connection.create_aggregate_function(AVERAGE, 1, pure, Total { mean: true })
}

/// Sums up; `mean` divides by the number of the values.
struct Total {
    mean: bool,
}

/// The values so far that are not NULL.
struct Sum {
    total: Number,
    count: i64,
}

impl Aggregate<Sum, Value> for Total {
    fn init(&self, _: &mut Context<'_>) -> Result<Sum> {
        Ok(Sum {
            total: Number::Integer(0),
            count: 0,
        })
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Sum) -> Result<()> {
        if let Some(value) = number(context, 0)? {
            sum.total = add(sum.total, value)?;
            sum.count += 1;
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Sum>) -> Result<Value> {
        let Some(sum) = sum.filter(|sum| sum.count > 0) else {
            return Ok(Value::Null);
        };
        let total = sum.total.exact();
        if !self.mean {
            // A whole number too: what follows computes with decimals.
            return Ok(stored(total));
        }
        let mean = total.checked_divide(Decimal::from(sum.count));
        let mean = mean.map_err(|error| refused(error.to_string()))?;
        Ok(stored(mean.trimmed(0)))
    }
}

fn add(a: Number, b: Number) -> Result<Number> {
    if let (Number::Integer(a), Number::Integer(b)) = (a, b)
        && let Some(whole) = a.checked_add(b)
    {
        return Ok(Number::Integer(whole));
    }
    let exact = a.exact().checked_add(b.exact());
    exact
        .map(Number::Exact)
        .map_err(|error| refused(error.to_string()))
}
