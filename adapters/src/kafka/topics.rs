//! Asks the brokers whether a topic exists before it is used: the library itself would wait 30 s for it to appear.

use std::sync::Arc;
use std::time::Duration;

use dajet_core::SystemError;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::metadata::Metadata;
use tokio::time::{Instant, sleep};

use super::error;
use super::health::Health;

/// How long one question may block its thread.
const QUESTION: Duration = Duration::from_secs(1);
/// How long an unknown topic may take to appear: brokers that create topics by themselves answer so at first.
const APPEARANCE: Duration = Duration::from_secs(2);
/// How long silence lasts before it is told.
const SILENCE: Duration = Duration::from_secs(5);
/// Pause between two questions.
const PAUSE: Duration = Duration::from_millis(100);

/// A client that can ask.
pub(super) trait Asker: Send + Sync + 'static {
    /// What it wants to do with a topic.
    const RIGHT: &'static str;

    /// Asks for one topic; blocks.
    fn metadata(&self, topic: &str, patience: Duration) -> KafkaResult<Metadata>;

    /// What it has heard of the brokers.
    fn health(&self) -> &Health;
}

/// Waits until the brokers know `topic`.
///
/// # Errors
/// `Misconfigured` if the topic does not exist or may not be used, or if the brokers refuse our credentials;
/// `Transient` if no broker answers within `timeout`, which ends at `deadline`.
pub(super) async fn find<A: Asker>(
    client: &Arc<A>,
    topic: &str,
    timeout: Duration,
    deadline: Instant,
) -> Result<(), SystemError> {
    let begun = Instant::now();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(unreachable(client.health(), timeout));
        }
        match ask(client.clone(), topic.to_owned(), left.min(QUESTION)).await? {
            Ok(Code::NoError) => {
                client.health().end_outage();
                return Ok(());
            }
            Ok(Code::TopicAuthorizationFailed) => return Err(error::denied(A::RIGHT, topic)),
            Ok(
                code @ (Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::InvalidTopic),
            ) => {
                if begun.elapsed() >= APPEARANCE || code == Code::InvalidTopic {
                    return Err(error::missing_topic(topic, code));
                }
            }
            // The topic is there, its leader is being elected.
            Ok(_) => {}
            Err(_) => silent(client.health(), begun.elapsed())?,
        }
        sleep(PAUSE.min(deadline.saturating_duration_since(Instant::now()))).await;
    }
}

/// Asks once whether the brokers say that `topic` is not there.
///
/// # Errors
/// `Fault` if the question ends badly.
pub(super) async fn is_missing<A: Asker>(
    client: &Arc<A>,
    topic: &str,
) -> Result<bool, SystemError> {
    let answer = ask(client.clone(), topic.to_owned(), QUESTION).await?;
    Ok(matches!(
        answer,
        Ok(Code::UnknownTopic | Code::UnknownTopicOrPartition)
    ))
}

/// Asks once. The outer error is a thread that ended badly, the inner one a broker that does not answer.
async fn ask<A: Asker>(
    client: Arc<A>,
    topic: String,
    patience: Duration,
) -> Result<Result<Code, KafkaError>, SystemError> {
    let question = move || {
        let metadata = client.metadata(&topic, patience)?;
        let found = metadata.topics().iter().find(|known| known.name() == topic);
        Ok(found.map_or(Code::UnknownTopic, |known| {
            known.error().map_or(Code::NoError, Code::from)
        }))
    };
    tokio::task::spawn_blocking(question)
        .await
        .map_err(|error| {
            SystemError::fault("the question for a topic ended badly").with_source(error)
        })
}

/// Tells that nobody answers, in time; credentials that are refused do not get better by waiting.
fn silent(health: &Health, silence: Duration) -> Result<(), SystemError> {
    if let Some((code @ (Code::Authentication | Code::SaslAuthenticationFailed), reason)) =
        health.last_error()
    {
        return Err(error::refused_credentials(health.brokers(), code, &reason));
    }
    if silence >= SILENCE {
        health.begin_outage();
    }
    Ok(())
}

/// The error of brokers that did not answer in time.
pub(super) fn unreachable(health: &Health, timeout: Duration) -> SystemError {
    let brokers = health.brokers();
    let message = format!("no kafka broker of \"{brokers}\" answers within {timeout:?}");
    let error = SystemError::transient("E_KAFKA", message);
    match health.last_error() {
        Some((code, reason)) => error
            .with_native_code(format!("{code:?}"))
            .with_hint(format!("The client says: {reason}."))
            .with_source(KafkaError::Global(code)),
        None => error.with_hint("Check that BootstrapServers names running brokers."),
    }
}
