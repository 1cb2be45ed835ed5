//! What the client library reports, classed and told in our words. No message holds a payload or a key.

use dajet_core::{ErrorClass, SystemError};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::ledger::Failure;

/// Classes a code of the library.
pub(super) fn class(code: Code) -> ErrorClass {
    match code {
        Code::MessageSizeTooLarge
        | Code::MessageBatchTooLarge
        | Code::InvalidMessageSize
        | Code::InvalidRecord
        | Code::InvalidTimestamp => ErrorClass::Rejected,
        Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownPartition
        | Code::InvalidTopic
        | Code::TopicAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::SaslAuthenticationFailed
        | Code::Authentication
        | Code::SSL
        | Code::UnsupportedFeature
        | Code::UnsupportedVersion
        | Code::UnsupportedForMessageFormat
        | Code::UnsupportedSASLMechanism
        | Code::PolicyViolation
        | Code::InvalidRequiredAcks
        | Code::InvalidConfig => ErrorClass::Misconfigured,
        _ => ErrorClass::Transient,
    }
}

/// True for reports that follow from another failure and do not tell the cause.
pub(super) fn is_consequence(code: Code) -> bool {
    matches!(
        code,
        Code::Fatal
            | Code::GaplessGuarantee
            | Code::InvalidDifferentRecord
            | Code::PurgeQueue
            | Code::PurgeInflight
            | Code::OutOfOrderSequenceNumber
    )
}

/// True if the size of a request or message is at fault.
pub(super) fn is_size(code: Code) -> bool {
    matches!(
        code,
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize
    )
}

/// The error of a message that was not delivered; names its record if the cause is there.
pub(super) fn undelivered(failure: &Failure) -> SystemError {
    let Failure {
        code,
        ref topic,
        bytes,
        keyless,
        ..
    } = *failure;
    let error = |message: String| {
        SystemError::new(class(code), "E_CONFIRM", message)
            .with_native_code(format!("{code:?}"))
            .with_source(KafkaError::MessageProduction(code))
    };
    let mut told = match code {
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::InvalidTopic => {
            return missing_topic(topic, code);
        }
        Code::TopicAuthorizationFailed => return denied(topic),
        Code::UnknownPartition => error(format!("topic \"{topic}\" has no such partition"))
            .with_hint("Correct Partition, or leave it out."),
        Code::ClusterAuthorizationFailed => {
            error("the brokers refuse idempotent writes".to_owned())
                .with_hint("Grant IDEMPOTENT_WRITE on the cluster.")
        }
        Code::InvalidRecord => error(format!("topic \"{topic}\" refuses a message as invalid"))
            .with_hint("A compacted topic takes no message without Key."),
        _ if is_size(code) => error(format!(
            "topic \"{topic}\" refuses a message of {bytes} bytes as too large"
        ))
        .with_hint("Raise max.message.bytes of the topic, or set BatchSize in WITH below it."),
        _ if is_consequence(code) => {
            return error("a message was given up with its batch".to_owned());
        }
        _ => {
            return error(format!(
                "cannot deliver to topic \"{topic}\": {}",
                lower_case(&code.to_string())
            ));
        }
    };
    // Another invalid message cannot be told from its neighbours.
    told.record = failure
        .record
        .filter(|_| code != Code::InvalidRecord || keyless);
    told
}

/// The error of a topic that the brokers do not know.
pub(super) fn missing_topic(topic: &str, code: Code) -> SystemError {
    let message = match code {
        Code::InvalidTopic => format!("\"{topic}\" is no valid name of a topic"),
        _ => format!("topic \"{topic}\" does not exist"),
    };
    SystemError::misconfigured("E_KAFKA", message)
        .with_native_code(format!("{code:?}"))
        .with_hint("Create it, or correct Topic.")
}

/// The error of a topic that we may not write to.
pub(super) fn denied(topic: &str) -> SystemError {
    SystemError::misconfigured("E_KAFKA", format!("no right to write to topic \"{topic}\""))
        .with_native_code("TopicAuthorizationFailed")
        .with_hint("Grant WRITE and DESCRIBE on it.")
}

/// Makes a fragment of the library's sentence.
pub(super) fn lower_case(sentence: &str) -> String {
    let sentence = sentence.trim().trim_end_matches('.');
    // "MessageTimedOut (Local: Message timed out)": the name stands in the native code already.
    let inner = sentence
        .split_once(" (")
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .unwrap_or(sentence);
    let inner = inner.split_once(": ").map_or(inner, |(_, text)| text);
    let mut letters = inner.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_failures() {
        assert_eq!(class(Code::MessageSizeTooLarge), ErrorClass::Rejected);
        assert_eq!(
            class(Code::UnknownTopicOrPartition),
            ErrorClass::Misconfigured
        );
        assert_eq!(
            class(Code::TopicAuthorizationFailed),
            ErrorClass::Misconfigured
        );
        assert_eq!(class(Code::BrokerTransportFailure), ErrorClass::Transient);
        assert_eq!(class(Code::NotEnoughReplicas), ErrorClass::Transient);
    }

    #[test]
    fn tells_what_happened() {
        let told = |code| {
            let topic = "заказы".to_owned();
            undelivered(&Failure {
                code,
                record: None,
                topic,
                bytes: 7,
                keyless: false,
            })
            .to_string()
        };
        assert_eq!(told(Code::UnknownTopic), "topic \"заказы\" does not exist");
        assert_eq!(
            told(Code::MessageSizeTooLarge),
            "topic \"заказы\" refuses a message of 7 bytes as too large"
        );
        assert_eq!(
            told(Code::NotEnoughReplicas),
            "cannot deliver to topic \"заказы\": not enough in-sync replicas"
        );
    }
}
