//! Delivers batches. We are between the Transformer's records and the Committer's receipt: [`Sink::deliver`] ends when
//! the library holds all messages, the receipt comes with their last confirmation.
//!
//! Deliberately not here: retries (the library repeats a request for ever, we give up whole batches) and any wait on
//! one message.

use std::sync::Arc;
use std::time::Duration;

use dajet_core::{BoxFuture, Environment, MessageSpec, Receipt, Record, Sink, SystemError};
use parking_lot::Mutex;
use rustc_hash::FxHashSet;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use tracing::Span;

use super::client::Client;
use super::delivery::Delivery;
use super::message::{Columns, Message};
use super::settings::Settings;
use super::topics;

/// After so long without a batch the producer is given back.
const IDLE: Duration = Duration::from_secs(60);
/// Names of topics remembered as existing.
const TOPICS_MAX: usize = 10_000;

/// A sink of one pipeline, with a producer of its own.
pub(super) struct KafkaSink {
    settings: Arc<Settings>,
    columns: Columns,
    place: Arc<Mutex<Place>>,
    topics: FxHashSet<Box<str>>,
    watch: Option<AbortHandle>,
}

/// Where the producer stands while it is used.
struct Place {
    client: Option<Arc<Client>>,
    used: Instant,
}

impl KafkaSink {
    /// Makes a sink; connects at the first batch.
    ///
    /// # Errors
    /// `Misconfigured`: an option is missing, unknown or wrong.
    pub(super) fn new(spec: &MessageSpec, environment: &Environment) -> Result<Self, SystemError> {
        let settings = Settings::new(&spec.options, environment)?;
        if !settings.strengthened.is_empty() {
            let options = settings.strengthened.join(", ");
            tracing::info!(brokers = %settings.brokers, options, "kafka options are strengthened: a sink keeps the order");
        }
        Ok(Self {
            settings: Arc::new(settings),
            columns: Columns::new(spec),
            place: Arc::new(Mutex::new(Place {
                client: None,
                used: Instant::now(),
            })),
            topics: FxHashSet::default(),
            watch: None,
        })
    }

    async fn hand_over(&mut self, records: &[Record]) -> Result<Delivery, SystemError> {
        let deadline = Instant::now() + self.settings.timeout;
        let client = self.client().await?;
        // All or nothing: a record that is no message is found before the first one is sent.
        let bytes_max = self.settings.message_bytes_max;
        let messages: Vec<Message<'_>> = records
            .iter()
            .enumerate()
            .map(|(index, record)| self.columns.message(index, record, bytes_max))
            .collect::<Result<_, _>>()?;
        for message in &messages {
            if self.topics.contains(message.topic) {
                continue;
            }
            topics::find(&client, message.topic, self.settings.timeout, deadline).await?;
            if self.topics.len() >= TOPICS_MAX {
                self.topics.clear();
            }
            self.topics.insert(message.topic.into());
        }
        let delivery = Delivery::open(&client, &messages, deadline, self.settings.clone());
        delivery.hand_over(messages).await?;
        Ok(delivery)
    }

    /// The producer; makes one if there is none.
    async fn client(&mut self) -> Result<Arc<Client>, SystemError> {
        {
            let mut place = self.place.lock();
            place.used = Instant::now();
            if let Some(client) = &place.client {
                return if client.is_dead() {
                    Err(ended())
                } else {
                    Ok(client.clone())
                };
            }
        }
        let settings = self.settings.clone();
        let span = Span::current();
        let make = move || span.in_scope(|| Client::new(&settings));
        let made = tokio::task::spawn_blocking(make)
            .await
            .map_err(|error| SystemError::fault("a producer was not made").with_source(error))?;
        let client = Arc::new(made?);
        self.place.lock().client = Some(client.clone());
        self.topics.clear();
        self.watch = Some(tokio::spawn(give_back_when_idle(self.place.clone())).abort_handle());
        Ok(client)
    }
}

impl Sink for KafkaSink {
    fn deliver(
        &mut self,
        records: Vec<Record>,
    ) -> BoxFuture<'_, Result<BoxFuture<'static, Result<Receipt, SystemError>>, SystemError>> {
        Box::pin(async move {
            if records.is_empty() {
                let nothing = async { Ok(Receipt { records: 0 }) };
                return Ok(Box::pin(nothing) as BoxFuture<'static, _>);
            }
            let delivery = self.hand_over(&records).await?;
            Ok(Box::pin(delivery.receipt()) as BoxFuture<'static, _>)
        })
    }
}

impl Drop for KafkaSink {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

/// The error of a sink that has failed before.
fn ended() -> SystemError {
    SystemError::transient("E_KAFKA", "the producer has given up an earlier batch")
}

/// Takes the producer out of its place when nothing was sent for a while and nothing is awaited.
async fn give_back_when_idle(place: Arc<Mutex<Place>>) {
    loop {
        let until = place.lock().used + IDLE;
        sleep_until(until).await;
        let mut place = place.lock();
        let awaited = place
            .client
            .as_ref()
            .is_some_and(|client| Arc::strong_count(client) > 1);
        if awaited {
            place.used = Instant::now();
        } else if place.used + IDLE <= Instant::now() {
            place.client = None;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use dajet_core::{Address, Shape, Value};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn gives_its_producer_back_after_an_idle_minute() {
        let spec = MessageSpec {
            address: Address::new("kafka"),
            options: vec![("BootstrapServers".into(), Value::text("127.0.0.1:1"))],
            columns: Shape::new(["Topic"]),
        };
        let mut sink =
            KafkaSink::new(&spec, &Environment::default()).expect("the options are valid");
        let client = sink.client().await.expect("a producer is made");
        let is_there = |sink: &KafkaSink| sink.place.lock().client.is_some();
        tokio::time::sleep(Duration::from_secs(90)).await;
        assert!(is_there(&sink), "it is in use");
        drop(client);
        tokio::time::sleep(Duration::from_secs(59)).await;
        sink.client().await.expect("it is the same");
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert!(is_there(&sink), "it was used a moment ago");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!is_there(&sink));
        sink.client().await.expect("a new one is made");
    }
}
