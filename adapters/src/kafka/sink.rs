//! Delivers batches. We are between the Transformer's records and the Committer's receipt: [`Sink::deliver`] ends when the library holds all
//! messages, the receipt comes with their last confirmation.
//!
//! Deliberately not here: retries (the library repeats a request for ever, we give up whole batches) and any wait on a message.

use std::sync::Arc;
use std::time::Duration;

use dajet_core::{BoxFuture, Environment, MessageSpec, Receipt, Record, Sink, SystemError};
use parking_lot::Mutex;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::BaseRecord;
use rustc_hash::FxHashSet;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::client::{Batch, Client};
use super::message::{Columns, Message};
use super::settings::Settings;
use super::{error, topics};

/// After so long without a batch the producer is given back.
const IDLE: Duration = Duration::from_secs(60);
/// Pause while the library's queue is full.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(1);
/// Messages handed over in one go: well below 500 us.
const STRIDE: usize = 256;
/// How long the cause may follow its consequences.
const CAUSE_DELAY: Duration = Duration::from_millis(100);
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
        let made = tokio::task::spawn_blocking(move || Client::new(&settings));
        let made = made
            .await
            .map_err(|error| SystemError::fault("a producer was not made").with_source(error))?;
        let client = Arc::new(made?);
        self.place.lock().client = Some(client.clone());
        self.topics.clear();
        self.watch = Some(tokio::spawn(give_back_when_idle(self.place.clone())).abort_handle());
        Ok(client)
    }

    async fn hand_over(
        &mut self,
        records: Vec<Record>,
        deadline: Instant,
    ) -> Result<Batch, SystemError> {
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
            topics::find(&client, &self.settings, message.topic, deadline).await?;
            if self.topics.len() >= TOPICS_MAX {
                self.topics.clear();
            }
            self.topics.insert(message.topic.into());
        }
        let batch = client.open(messages.len());
        for (index, message) in messages.into_iter().enumerate() {
            send(&batch, index, message, deadline, &self.settings).await?;
            if index % STRIDE == STRIDE - 1 {
                tokio::task::yield_now().await;
                if let Some(error) = batch.failure() {
                    return Err(error);
                }
            }
        }
        Ok(batch)
    }
}

impl Drop for KafkaSink {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

impl Sink for KafkaSink {
    fn deliver(
        &mut self,
        records: Vec<Record>,
    ) -> BoxFuture<'_, Result<BoxFuture<'static, Result<Receipt, SystemError>>, SystemError>> {
        Box::pin(async move {
            let deadline = Instant::now() + self.settings.timeout;
            if records.is_empty() {
                let nothing = async { Ok(Receipt { records: 0 }) };
                return Ok(Box::pin(nothing) as BoxFuture<'static, _>);
            }
            let batch = self.hand_over(records, deadline).await?;
            Ok(Box::pin(receipt(batch, deadline, self.settings.clone())) as BoxFuture<'static, _>)
        })
    }
}

/// Puts one message into the library's queue; waits while it is full.
async fn send(
    batch: &Batch,
    index: usize,
    message: Message<'_>,
    deadline: Instant,
    settings: &Settings,
) -> Result<(), SystemError> {
    let (topic, bytes) = (message.topic, message.bytes());
    let mut record = BaseRecord::<'_, [u8], [u8], usize> {
        topic,
        partition: message.partition,
        payload: message.payload.as_deref(),
        key: message.key.as_deref(),
        timestamp: message.timestamp_ms,
        headers: message.headers,
        delivery_opaque: batch.number(index),
    };
    loop {
        match batch.client().producer().send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(Code::QueueFull), same)) => record = same,
            Err((error, _)) => {
                let code = error.rdkafka_error_code().unwrap_or(Code::InvalidArgument);
                return Err(batch.failure().unwrap_or_else(|| {
                    let mut error = error::undelivered(topic, code, bytes);
                    error.record = Some(index).filter(|_| !error::is_consequence(code));
                    error
                }));
            }
        }
        if let Some(error) = batch.failure() {
            return Err(error);
        }
        if Instant::now() >= deadline {
            return Err(late(
                batch.client(),
                settings,
                batch.total() - index,
                batch.total(),
            ));
        }
        sleep(FULL_QUEUE_PAUSE).await;
    }
}

/// Waits for the batch's end. Dropped, it gives up the batch, for it owns it.
async fn receipt(
    mut batch: Batch,
    deadline: Instant,
    settings: Arc<Settings>,
) -> Result<Receipt, SystemError> {
    if timeout_at(deadline, batch.ended()).await.is_err() {
        let total = batch.total();
        let client = batch.client_handle();
        let left = batch.give_up();
        return Err(late(&client, &settings, left, total));
    }
    if batch.failure().is_some() {
        sleep(CAUSE_DELAY).await;
    }
    if let Some(error) = batch.failure() {
        return Err(error);
    }
    let records = batch.total();
    batch.settle();
    Ok(Receipt { records })
}

/// The error of a batch that is not confirmed in time.
fn late(client: &Client, settings: &Settings, left: usize, total: usize) -> SystemError {
    let message = format!(
        "kafka brokers \"{}\" did not confirm {left} of {total} messages within {:?}",
        settings.brokers, settings.timeout
    );
    let error = SystemError::transient("E_CONFIRM", message);
    match client.context().last_error() {
        Some((code, reason)) => error
            .with_native_code(format!("{code:?}"))
            .with_hint(format!("The client says: {reason}."))
            .with_source(KafkaError::Global(code)),
        None => error,
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
