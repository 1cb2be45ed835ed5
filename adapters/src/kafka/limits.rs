//! What to do about a request that a topic refuses as too large: its limit counts a request, not a message, and the
//! library packs up to 1 MB into one and never splits it. So we ask for the limit, name the record if it is at fault,
//! and otherwise pack less from then on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dajet_core::SystemError;
use parking_lot::Mutex;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use super::error;
use super::ledger::Failure;
use super::settings::Settings;

/// How long the broker may take to tell a limit.
const PATIENCE: Duration = Duration::from_secs(3);
/// Most bytes that surround the messages of a request and one message in it.
const FRAME_BYTES: usize = 128;
/// Broker lists remembered.
const KNOWN_MAX: usize = 1000;

/// The smallest limit seen, by broker list: the producers of later generations need it, and a sink does not live so
/// long.
static KNOWN: Mutex<BTreeMap<Arc<str>, usize>> = Mutex::new(BTreeMap::new());

/// Bytes of the largest request that every topic met so far takes; `None` if none has refused one.
pub(super) fn request_bytes(brokers: &str) -> Option<usize> {
    KNOWN.lock().get(brokers).copied()
}

/// Tells a failure, with the topic's limit if it is a matter of size.
pub(super) async fn explain(settings: &Settings, failure: &Failure) -> SystemError {
    let told = error::undelivered(failure);
    if !error::is_size(failure.code) {
        return told;
    }
    let Some(limit) = ask(settings, &failure.topic).await else {
        return told;
    };
    if failure.bytes + FRAME_BYTES > limit {
        return told.with_hint(format!(
            "The limit is {limit} bytes: raise max.message.bytes of the topic."
        ));
    }
    remember(&settings.brokers, limit.saturating_sub(FRAME_BYTES));
    SystemError::transient(
        "E_CONFIRM",
        format!(
            "topic \"{}\" refuses a request of more than {limit} bytes",
            failure.topic
        ),
    )
    .with_native_code(format!("{:?}", failure.code))
    .with_hint("The next producer sends smaller requests.")
}

fn remember(brokers: &Arc<str>, bytes: usize) {
    let mut known = KNOWN.lock();
    if known.len() >= KNOWN_MAX {
        known.clear();
    }
    let least = known.entry(brokers.clone()).or_insert(bytes);
    *least = bytes.min(*least);
}

/// Asks for the limit of a topic; `None` if there is no answer or no right to it.
async fn ask(settings: &Settings, topic: &str) -> Option<usize> {
    let config = settings.client.clone();
    let made = tokio::task::spawn_blocking(move || config.create_with_context(Quiet));
    let admin: AdminClient<Quiet> = made.await.ok()?.ok()?;
    let topic = [ResourceSpecifier::Topic(topic)];
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let answer = tokio::time::timeout(PATIENCE, admin.describe_configs(&topic, &options)).await;
    // Its drop joins a thread.
    tokio::task::spawn_blocking(move || drop(admin));
    let described = answer.ok()?.ok()?.into_iter().next()?.ok()?;
    described
        .get("max.message.bytes")?
        .value
        .as_ref()?
        .parse()
        .ok()
}

/// Hears nothing: what fails here is told by the failure that made us ask.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: KafkaError, _: &str) {}
}
