//! The producer of one sink: it takes messages, its own threads send them and its reports end batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dajet_core::SystemError;
use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::metadata::Metadata;
use rdkafka::producer::{Producer, ProducerContext, PurgeConfig, ThreadedProducer};
use tokio::sync::oneshot;

use super::health::Health;
use super::ledger::{Failure, Ledger};
use super::settings::{Settings, refused};
use super::topics::Asker;

/// What the library's threads tell.
pub(super) struct Context {
    health: Health,
    ledger: Mutex<Ledger>,
    /// Set by the first failure: nothing more may be sent, or a gap would arise.
    dead: AtomicBool,
}

impl Context {
    fn new(brokers: Arc<str>) -> Self {
        Self {
            health: Health::new(brokers),
            ledger: Mutex::default(),
            dead: AtomicBool::new(false),
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // What matters comes as error or report too and is told there.
        tracing::debug!(target: "librdkafka", ?level, facility, message, "log of the client");
    }

    fn stats_raw(&self, statistics: &[u8]) {
        tracing::debug!(target: "librdkafka", statistics = %String::from_utf8_lossy(statistics), "statistics of the client");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else {
            return;
        };
        if code == Code::Fatal {
            self.dead.store(true, Ordering::Relaxed);
            self.ledger.lock().fail_all(Code::Fatal);
        } else {
            self.health.note(code, reason);
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        match result {
            Ok(_) => {
                self.ledger.lock().confirm(number);
                self.health.end_outage();
            }
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
                self.dead.store(true, Ordering::Relaxed);
                let failure = Failure {
                    code,
                    record: None,
                    topic: message.topic().to_owned(),
                    bytes: message.key_len() + message.payload_len(),
                    keyless: message.key().is_none(),
                };
                self.ledger.lock().fail(number, failure);
            }
        }
    }
}

/// A producer; dropping it throws away what is not sent, on a thread of its own.
pub(super) struct Client {
    producer: Option<ThreadedProducer<Context>>,
}

impl Client {
    /// Makes a producer; does not connect. Starts threads: not for an async thread.
    ///
    /// # Errors
    /// `Misconfigured` if the library refuses the settings.
    pub(super) fn new(settings: &Settings) -> Result<Self, SystemError> {
        let context = Context::new(settings.brokers.clone());
        let producer = settings
            .client
            .create_with_context(context)
            .map_err(|error| refused(&error))?;
        Ok(Self {
            producer: Some(producer),
        })
    }

    pub(super) fn producer(&self) -> &ThreadedProducer<Context> {
        self.producer.as_ref().expect("it is taken by drop alone")
    }

    pub(super) fn context(&self) -> &Context {
        self.producer().client().context()
    }

    /// True if nothing more may be sent.
    pub(super) fn is_dead(&self) -> bool {
        self.context().dead.load(Ordering::Relaxed)
    }

    /// Gives up everything that is not confirmed.
    pub(super) fn abandon(&self) {
        self.context().dead.store(true, Ordering::Relaxed);
        self.producer()
            .purge(PurgeConfig::default().queue().inflight().non_blocking());
    }

    /// Opens a batch of messages.
    pub(super) fn open(self: &Arc<Self>, total: usize) -> Batch {
        let (first, ended) = self.context().ledger.lock().open(total);
        Batch {
            client: self.clone(),
            first,
            total,
            ended,
            settled: false,
        }
    }
}

impl Asker for Client {
    const RIGHT: &'static str = "write to";

    fn metadata(&self, topic: &str, patience: Duration) -> KafkaResult<Metadata> {
        self.producer()
            .client()
            .fetch_metadata(Some(topic), patience)
    }

    fn health(&self) -> &Health {
        &self.context().health
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let Some(producer) = self.producer.take() else {
            return;
        };
        producer.purge(PurgeConfig::default().queue().inflight().non_blocking());
        // The library joins its threads: up to 700 ms.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(producer))),
            Err(_) => drop(producer),
        }
    }
}

/// An open batch: dropping it before it is settled gives it up, and with it everything on the producer.
pub(super) struct Batch {
    client: Arc<Client>,
    first: usize,
    total: usize,
    ended: oneshot::Receiver<()>,
    settled: bool,
}

impl Batch {
    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Number of the message at `index`.
    pub(super) fn number(&self, index: usize) -> usize {
        self.first.wrapping_add(index)
    }

    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// Waits for the last confirmation or the first failure.
    pub(super) async fn ended(&mut self) {
        // The sender lives in the ledger until the batch is closed, so that an error cannot come.
        let _ = (&mut self.ended).await;
    }

    /// The likeliest cause of the batch's failure, if it has failed.
    pub(super) fn failure(&self) -> Option<Failure> {
        let mut failure = self
            .client
            .context()
            .ledger
            .lock()
            .failure(self.first)
            .cloned()?;
        if matches!(failure.code, Code::Fatal | Code::GaplessGuarantee)
            && let Some((code, _)) = self.client.producer().client().fatal_error()
        {
            failure.code = code;
        }
        Some(failure)
    }

    /// Closes the batch as delivered.
    pub(super) fn settle(mut self) {
        self.settled = true;
    }

    /// How many messages are not confirmed.
    pub(super) fn left(&self) -> usize {
        self.client.context().ledger.lock().left(self.first)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.client.context().ledger.lock().close(self.first);
        if !self.settled {
            self.client.abandon();
        }
    }
}
