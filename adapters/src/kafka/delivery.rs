//! One batch under way: into the library's queue, and until its last confirmation or its deadline.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dajet_core::{ErrorClass, Receipt, SystemError};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::BaseRecord;
use tokio::time::{Instant, sleep, timeout_at};

use super::client::{Batch, Client};
use super::error;
use super::ledger::Failure;
use super::limits;
use super::message::Message;
use super::settings::Settings;
use super::topics::{self, Asker};

/// Pause while the library's queue is full.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(1);
/// Messages handed over in one go: well below 500 us.
const STRIDE: usize = 256;
/// After so long without the last confirmation it is asked whether the topics are still there: the library waits for them to come back.
const DOUBT: Duration = Duration::from_secs(2);
/// How long the cause may follow its consequences.
const CAUSE_DELAY: Duration = Duration::from_millis(100);

/// A batch with its deadline. Dropping it gives the batch up.
pub(super) struct Delivery {
    batch: Batch,
    deadline: Instant,
    settings: Arc<Settings>,
    /// The topics of the messages.
    topics: Vec<Box<str>>,
    /// True if the script says which partition takes a message.
    places: bool,
}

impl Delivery {
    /// Opens a batch of messages, at least one.
    pub(super) fn open(
        client: &Arc<Client>,
        messages: &[Message<'_>],
        deadline: Instant,
        settings: Arc<Settings>,
    ) -> Self {
        let topics: BTreeSet<&str> = messages.iter().map(|message| message.topic).collect();
        Self {
            batch: client.open(messages.len()),
            deadline,
            settings,
            topics: topics.into_iter().map(Box::from).collect(),
            places: messages.iter().any(|message| message.partition.is_some()),
        }
    }

    /// Hands all messages over, in order; waits while the queue is full.
    ///
    /// # Errors
    /// Any class: the first failure, or the deadline.
    pub(super) async fn hand_over(&self, messages: Vec<Message<'_>>) -> Result<(), SystemError> {
        for (index, message) in messages.into_iter().enumerate() {
            self.send(index, message).await?;
            if index % STRIDE == STRIDE - 1 {
                tokio::task::yield_now().await;
                self.must_not_have_failed().await?;
            }
        }
        Ok(())
    }

    async fn send(&self, index: usize, message: Message<'_>) -> Result<(), SystemError> {
        let (topic, bytes) = (message.topic, message.bytes());
        let mut record = BaseRecord::<'_, [u8], [u8], usize> {
            topic,
            partition: message.partition,
            payload: message.payload.as_deref(),
            key: message.key.as_deref(),
            timestamp: message.timestamp_ms,
            headers: message.headers,
            delivery_opaque: self.batch.number(index),
        };
        loop {
            match self.batch.client().producer().send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), same)) => record = same,
                Err((error, _)) => {
                    self.must_not_have_failed().await?;
                    let code = error.rdkafka_error_code().unwrap_or(Code::InvalidArgument);
                    let failure = Failure {
                        code,
                        record: Some(index),
                        topic: topic.to_owned(),
                        bytes,
                        keyless: message.key.is_none(),
                    };
                    return Err(self.explain(&failure).await);
                }
            }
            self.must_not_have_failed().await?;
            if Instant::now() >= self.deadline {
                return Err(self.late(self.batch.total() - index));
            }
            sleep(FULL_QUEUE_PAUSE).await;
        }
    }

    /// Waits for the batch's end.
    ///
    /// # Errors
    /// Any class: the first failure, or `Transient` at the deadline.
    pub(super) async fn receipt(mut self) -> Result<Receipt, SystemError> {
        loop {
            let doubt = self.deadline.min(Instant::now() + DOUBT);
            if timeout_at(doubt, self.batch.ended()).await.is_ok() {
                break;
            }
            if Instant::now() >= self.deadline {
                return Err(self.late(self.batch.left()));
            }
            let client = self.batch.client().clone();
            tokio::select! {
                () = self.batch.ended() => break,
                found = must_be_there(client, &self.topics, self.deadline) => found?,
            }
        }
        self.must_not_have_failed().await?;
        let records = self.batch.total();
        self.batch.settle();
        Ok(Receipt { records })
    }

    async fn must_not_have_failed(&self) -> Result<(), SystemError> {
        let Some(first) = self.batch.failure() else {
            return Ok(());
        };
        sleep(CAUSE_DELAY).await;
        let failure = self.batch.failure().unwrap_or(first);
        Err(self.explain(&failure).await)
    }

    async fn explain(&self, failure: &Failure) -> SystemError {
        // A topic that was deleted has no partitions.
        if failure.code == Code::UnknownPartition && !self.places {
            return error::missing_topic(&failure.topic, failure.code);
        }
        limits::explain(&self.settings, failure).await
    }

    /// The error of a batch that is not confirmed in time.
    fn late(&self, left: usize) -> SystemError {
        let message = format!(
            "kafka brokers \"{}\" did not confirm {left} of {} messages within {:?}",
            self.settings.brokers,
            self.batch.total(),
            self.settings.timeout
        );
        let error = SystemError::transient("E_CONFIRM", message);
        match self.batch.client().health().last_error() {
            Some((code, reason)) => error
                .with_native_code(format!("{code:?}"))
                .with_hint(format!("The client says: {reason}."))
                .with_source(KafkaError::Global(code)),
            None => error,
        }
    }
}

/// Finds out whether a topic was deleted. Brokers that do not answer are the deadline's matter.
async fn must_be_there(
    client: Arc<Client>,
    topics: &[Box<str>],
    deadline: Instant,
) -> Result<(), SystemError> {
    for topic in topics {
        if topics::is_missing(&client, topic).await? {
            let left = deadline.saturating_duration_since(Instant::now());
            match topics::find(&client, topic, left, deadline).await {
                Err(error) if error.class != ErrorClass::Transient => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
