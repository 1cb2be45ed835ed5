//! Classes of what PostgreSQL and the connection to it answer.

use std::error::Error as _;

use dajet_core::{ErrorClass, SystemError};
use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use super::values::Refusal;

/// The code of the language reference for failures of databases.
pub(super) const CODE: &str = "E_DB";
/// PostgreSQL's own code of a right that is missing.
pub(super) const NO_RIGHT: &str = "42501";

/// Classes a failure of the driver; `attempted` says what could not be done: `cannot read queue "orders"`.
pub(super) fn classify(attempted: &str, error: Error) -> SystemError {
    if let Some(refusal) = error
        .source()
        .and_then(|source| source.downcast_ref::<Refusal>())
    {
        let mut refused = SystemError::rejected(CODE, format!("{attempted}: {refusal}"));
        refused.record = refusal.record;
        return refused;
    }
    match error.as_db_error() {
        // the driver's error is no cause to print: it says the same again, with the values of the row
        Some(answer) => from_server(attempted, answer),
        None => {
            let reason = error
                .source()
                .map_or_else(|| error.to_string(), ToString::to_string);
            let class = if is_local(&error) {
                ErrorClass::Misconfigured
            } else {
                ErrorClass::Transient
            };
            SystemError::new(class, CODE, format!("{attempted}: {reason}"))
        }
    }
}

/// Failures that no waiting heals: a method of authentication that the driver does not know, a password that is missing.
fn is_local(error: &Error) -> bool {
    let text = error.to_string();
    text.starts_with("authentication error") || text.starts_with("invalid configuration")
}

fn from_server(attempted: &str, answer: &DbError) -> SystemError {
    let state = answer.code().code();
    let mut message = format!("{attempted}: {}", answer.message());
    // what is checked at the commit was attempted by an earlier statement: only the server knows at which table
    if let Some(table) = answer.table()
        && !message.contains(&format!("\"{table}\""))
    {
        message.push_str(&format!(", in table \"{table}\""));
    }
    // a detail of class 22 and 23 quotes the row's values: payload never stands in a message
    if let Some(detail) = answer
        .detail()
        .filter(|_| !state.starts_with("23") && !state.starts_with("22"))
    {
        message.push_str(&format!(" ({detail})"));
    }
    let mut error = SystemError::new(class_of(state), CODE, message).with_native_code(state);
    error.unknown_name = is_unknown_name(answer);
    match (answer.hint(), state) {
        (_, NO_RIGHT) => {
            error.with_hint("Grant the right that is missing to the user of the address.")
        }
        (_, "28P01") => error.with_hint("Check user and password of the address."),
        (_, "3D000") => error.with_hint("Check the name of the database in the address."),
        (_, "53100") => error.with_hint("Free space on the disk of the server."),
        (Some(hint), _) => error.with_hint(hint),
        (None, _) => error,
    }
}

fn class_of(state: &str) -> ErrorClass {
    match state {
        // restart, shutdown, crash; a cancelled or timed-out statement; a lock that was not to be had
        _ if state.starts_with("57") || state.starts_with("40") || state.starts_with("08") => {
            ErrorClass::Transient
        }
        "55P03" | "55006" | "25P03" | "25006" | "72000" => ErrorClass::Transient,
        _ if state.starts_with("53") || state.starts_with("58") || state.starts_with("XX") => {
            ErrorClass::Transient
        }
        // a plan that an ALTER TABLE made stale: the statement is bound anew
        "0A000" => ErrorClass::Misconfigured,
        _ if state.starts_with("22") || state.starts_with("23") || state == "44000" => {
            ErrorClass::Rejected
        }
        // RAISE EXCEPTION of a trigger speaks of the row
        "P0001" => ErrorClass::Rejected,
        _ => ErrorClass::Misconfigured,
    }
}

fn is_unknown_name(answer: &DbError) -> bool {
    match answer.code().code() {
        "42P01" | "42703" | "42883" | "3F000" | "42704" => true,
        "0A000" => answer.message().contains("cached plan"),
        _ => false,
    }
}

/// True for an answer of the server that refuses a value or a row.
pub(super) fn is_refusal(error: &Error) -> bool {
    error
        .as_db_error()
        .is_some_and(|answer| class_of(answer.code().code()) == ErrorClass::Rejected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_the_state() {
        let check = |class: ErrorClass, states: &[&str]| {
            for state in states {
                assert_eq!(class_of(state), class, "{state}");
            }
        };
        check(
            ErrorClass::Transient,
            &[
                "57P01", "57P03", "57014", "40001", "40P01", "08006", "53100", "53300", "55P03",
            ],
        );
        check(
            ErrorClass::Rejected,
            &[
                "22001", "22P02", "22003", "23505", "23502", "23514", "P0001",
            ],
        );
        check(
            ErrorClass::Misconfigured,
            &[
                "28P01", "3D000", "42501", "42P01", "42703", "42883", "42601",
            ],
        );
    }
}
