//! What the client library and the broker report, classed and told in our words. No message holds a payload or a password.

use std::io;

use dajet_core::{ErrorClass, SystemError};
use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::{Error, ErrorKind};

/// Makes our error of the library's: `attempt` says what was attempted.
pub(super) fn failed(attempt: &str, error: &Error) -> SystemError {
    match error.kind() {
        ErrorKind::ProtocolError(answer) => refused(attempt, answer),
        ErrorKind::IOError(cause) | ErrorKind::RuntimeShutdownError(cause) => {
            broken(attempt, cause)
        }
        ErrorKind::MissingHeartbeatError => {
            SystemError::transient("E_AMQP", format!("{attempt}: the broker is silent"))
        }
        ErrorKind::InvalidChannelState(..)
        | ErrorKind::InvalidChannel(_)
        | ErrorKind::InvalidConnectionState(_) => {
            SystemError::transient("E_AMQP", format!("{attempt}: the connection is closed"))
        }
        other => SystemError::transient(
            "E_AMQP",
            format!("{attempt}: {}", lower_case(&other_text(other))),
        ),
    }
}

/// True if the error tells that something has ended, but not why.
pub(super) fn is_consequence(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidChannelState(..)
            | ErrorKind::InvalidChannel(_)
            | ErrorKind::InvalidConnectionState(_)
    )
}

/// True if the broker has closed a channel by it, and not the connection.
pub(super) fn is_of_channel(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(answer)
        if matches!(answer.kind(), AMQPErrorKind::Soft(_)))
}

fn other_text(kind: &ErrorKind) -> String {
    Error::from(kind.clone()).to_string()
}

/// The name in the broker's `no exchange 'NAME' in vhost 'V'`, if that is what it says.
pub(super) fn missing_exchange(error: &Error) -> Option<String> {
    let ErrorKind::ProtocolError(answer) = error.kind() else {
        return None;
    };
    let text = answer.get_message().to_string();
    let (_, rest) = text.split_once("no exchange '")?;
    let (name, _) = rest.rsplit_once("' in vhost '")?;
    Some(name.to_owned())
}

/// True if the broker says that a message is larger than it takes.
pub(super) fn is_size(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(answer)
        if answer.get_message().to_string().contains("message size"))
}

/// The broker has closed a channel or the connection, and says why.
fn refused(attempt: &str, answer: &AMQPError) -> SystemError {
    let told = answer.get_message().to_string();
    let (name, reason) = told.split_once(" - ").unwrap_or(("", &told));
    let reason = reason.trim().trim_end_matches('.');
    let (class, hint) = class(answer.kind(), reason);
    let made = SystemError::new(
        class,
        "E_AMQP",
        format!("{attempt}: {}", lower_case(reason)),
    )
    .with_native_code(format!("{} {name}", answer.get_id()).trim_end().to_owned());
    match hint {
        Some(hint) => made.with_hint(hint),
        None => made,
    }
}

fn class(kind: &AMQPErrorKind, reason: &str) -> (ErrorClass, Option<&'static str>) {
    use ErrorClass::{Misconfigured, Rejected, Transient};
    match kind {
        AMQPErrorKind::Soft(soft) => match soft {
            AMQPSoftError::ACCESSREFUSED if reason.starts_with("Login was refused") => (
                Misconfigured,
                Some("Correct user and password of the address."),
            ),
            AMQPSoftError::ACCESSREFUSED => (
                Misconfigured,
                Some("Grant the user configure, write or read on it in the virtual host."),
            ),
            AMQPSoftError::NOTFOUND if reason.contains("home node") => (Transient, None),
            AMQPSoftError::NOTFOUND => (
                Misconfigured,
                Some("Create it, or correct the name in the script."),
            ),
            AMQPSoftError::PRECONDITIONFAILED if reason.contains("message size") => {
                (Rejected, Some("Raise max_message_size of the broker."))
            }
            AMQPSoftError::PRECONDITIONFAILED if reason.contains("timed out") => (
                Transient,
                Some("Raise consumer_timeout of the broker, or read smaller batches."),
            ),
            AMQPSoftError::PRECONDITIONFAILED => (Misconfigured, None),
            // An exclusive queue or consumer of somebody who may leave.
            _ => (Transient, None),
        },
        AMQPErrorKind::Hard(hard) => match hard {
            AMQPHardError::NOTALLOWED if reason.contains("vhost") => (
                Misconfigured,
                Some("Create the virtual host and grant the user access to it."),
            ),
            AMQPHardError::NOTALLOWED
            | AMQPHardError::NOTIMPLEMENTED
            | AMQPHardError::INVALIDPATH => (Misconfigured, None),
            _ => (Transient, None),
        },
    }
}

/// The connection broke, or could not be made.
fn broken(attempt: &str, cause: &io::Error) -> SystemError {
    let told = cause.to_string();
    let certificate = told.contains("certificate") || told.contains("handshake");
    let class = if certificate {
        ErrorClass::Misconfigured
    } else {
        ErrorClass::Transient
    };
    let reason = match cause.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            "the connection broke".to_owned()
        }
        _ => lower_case(&told),
    };
    let made = SystemError::new(class, "E_AMQP", format!("{attempt}: {reason}"))
        .with_native_code(format!("{:?}", cause.kind()));
    if certificate {
        made.with_hint("Give the authority's certificate by ?cacertfile=PATH in the address.")
    } else {
        made
    }
}

/// Makes a fragment of a sentence.
fn lower_case(sentence: &str) -> String {
    let mut letters = sentence.trim().trim_end_matches('.').chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u16, text: &str) -> SystemError {
        let answer = AMQPError::from_id(code, text.into()).expect("the code is known");
        failed(
            "cannot publish to \"h:1/\"",
            &ErrorKind::ProtocolError(answer).into(),
        )
    }

    #[test]
    fn tells_what_the_broker_refuses() {
        let error = answered(404, "NOT_FOUND - no exchange 'заказы' in vhost '/'");
        assert_eq!(
            error.message,
            "cannot publish to \"h:1/\": no exchange 'заказы' in vhost '/'"
        );
        assert_eq!(error.class, ErrorClass::Misconfigured);
        assert_eq!(error.native_code.as_deref(), Some("404 NOT_FOUND"));
        let login = answered(
            403,
            "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.",
        );
        assert_eq!(
            login.hint.as_deref(),
            Some("Correct user and password of the address.")
        );
        let forced = answered(320, "CONNECTION_FORCED - broker forced connection closure");
        assert_eq!(forced.class, ErrorClass::Transient);
        let size = answered(
            406,
            "PRECONDITION_FAILED - message size 9 is larger than configured max size 8",
        );
        assert_eq!(size.class, ErrorClass::Rejected);
    }

    #[test]
    fn finds_the_name_of_a_missing_exchange() {
        let text = "NOT_FOUND - no exchange 'it's' in vhost '/'";
        let answer = AMQPError::from_id(404, text.into()).expect("the code is known");
        let error = ErrorKind::ProtocolError(answer).into();
        assert_eq!(missing_exchange(&error).as_deref(), Some("it's"));
    }
}
