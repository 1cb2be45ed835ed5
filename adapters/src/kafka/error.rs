//! What the client library reports, classed and told in our words. No message holds a payload or a key.

use dajet_core::{ErrorClass, SystemError};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::ledger::Failure;
use super::source_settings::SourceSettings;

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
        | Code::InconsistentGroupProtocol
        | Code::InvalidGroupId
        | Code::InvalidSessionTimeout
        | Code::FencedInstanceId
        | Code::AutoOffsetReset
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
        Code::TopicAuthorizationFailed => return denied("write to", topic),
        Code::UnknownPartition => error(format!("topic \"{topic}\" has no such partition"))
            .with_hint("Correct Partition, or leave it out."),
        Code::ClusterAuthorizationFailed => {
            error("the brokers refuse idempotent writes".to_owned())
                .with_hint("Grant IDEMPOTENT_WRITE on the cluster.")
        }
        Code::InvalidTimestamp => error(format!("topic \"{topic}\" refuses the time of a message"))
            .with_hint("Timestamp is in UTC: write UTC(), not NOW(). The topic may also want times that are nearer to its own."),
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

/// True if what a consumer is told does not heal by itself.
pub(super) fn ends_a_source(code: Code) -> bool {
    class(code) == ErrorClass::Misconfigured
}

/// The error of a consumer that cannot go on; `reason` is what the library says.
pub(super) fn unreadable(
    code: Code,
    reason: Option<&str>,
    settings: &SourceSettings,
) -> SystemError {
    let (group, topics) = (&settings.group, settings.topics.join(", "));
    let (message, hint) = match code {
        Code::AutoOffsetReset => (
            format!("group \"{group}\" has no offset in topic \"{topics}\" where it could begin"),
            "Commit an offset for the group, or set AutoOffsetReset to 'earliest' or 'latest'.",
        ),
        Code::TopicAuthorizationFailed => return denied("read", &topics),
        Code::GroupAuthorizationFailed => (
            format!("no right to use group \"{group}\""),
            "Grant READ on it.",
        ),
        Code::InconsistentGroupProtocol => (
            format!("group \"{group}\" has members that share partitions out in another way"),
            "Stop them, or set PartitionAssignmentStrategy to theirs.",
        ),
        Code::FencedInstanceId => (
            format!("another member of group \"{group}\" has the same GroupInstanceId"),
            "Give each member its own.",
        ),
        _ => {
            let told = reason.map_or_else(|| code.to_string(), str::to_owned);
            let message = format!("cannot read topic \"{topics}\": {}", lower_case(&told));
            return SystemError::new(class(code), "E_KAFKA", message)
                .with_native_code(format!("{code:?}"));
        }
    };
    SystemError::misconfigured("E_KAFKA", message)
        .with_native_code(format!("{code:?}"))
        .with_hint(hint)
}

/// The error of a consumer that has lost its place; the next one finds it.
pub(super) fn out_of_range(settings: &SourceSettings) -> SystemError {
    let (group, topics) = (&settings.group, settings.topics.join(", "));
    let message = format!("the place of group \"{group}\" in topic \"{topics}\" is gone");
    SystemError::transient("E_OFFSET", message)
}

/// The error of a call to the library; `doing` is what was attempted.
pub(super) fn failed(doing: &str, error: &KafkaError) -> SystemError {
    let code = error.rdkafka_error_code();
    let told = code.map_or_else(|| error.to_string(), |code| code.to_string());
    let class = code.map_or(ErrorClass::Transient, class);
    let failed = SystemError::new(
        class,
        "E_KAFKA",
        format!("cannot {doing}: {}", lower_case(&told)),
    )
    .with_source(error.clone());
    match code {
        Some(code) => failed.with_native_code(format!("{code:?}")),
        None => failed,
    }
}

/// The error of a topic that we may not use; `right` is what we want to do with it.
pub(super) fn denied(right: &str, topic: &str) -> SystemError {
    let grant = if right == "read" { "READ" } else { "WRITE" };
    SystemError::misconfigured("E_KAFKA", format!("no right to {right} topic \"{topic}\""))
        .with_native_code("TopicAuthorizationFailed")
        .with_hint(format!("Grant {grant} and DESCRIBE on it."))
}

/// The error of credentials that the brokers do not take.
pub(super) fn refused_credentials(brokers: &str, code: Code, reason: &str) -> SystemError {
    let message = format!("kafka brokers \"{brokers}\" refuse the credentials");
    SystemError::misconfigured("E_KAFKA", message)
        .with_native_code(format!("{code:?}"))
        .with_hint(format!("The client says: {reason}."))
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
            told(Code::InvalidTimestamp),
            "topic \"заказы\" refuses the time of a message"
        );
        assert_eq!(
            told(Code::NotEnoughReplicas),
            "cannot deliver to topic \"заказы\": not enough in-sync replicas"
        );
    }
}
