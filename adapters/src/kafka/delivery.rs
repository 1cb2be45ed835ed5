//! One batch under way: into the library's queue, and until its last confirmation or its deadline.

use std::sync::Arc;
use std::time::Duration;

use dajet_core::{Receipt, SystemError};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::BaseRecord;
use tokio::time::{Instant, sleep, timeout_at};

use super::client::{Batch, Client};
use super::ledger::Failure;
use super::limits;
use super::message::Message;
use super::settings::Settings;
use super::topics::Asker;

/// Pause while the library's queue is full.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(1);
/// Messages handed over in one go: well below 500 us.
const STRIDE: usize = 256;
/// How long the cause may follow its consequences.
const CAUSE_DELAY: Duration = Duration::from_millis(100);

/// A batch with its deadline. Dropping it gives the batch up.
pub(super) struct Delivery {
    batch: Batch,
    deadline: Instant,
    settings: Arc<Settings>,
}

impl Delivery {
    /// Opens a batch of `total` messages, at least one.
    pub(super) fn open(
        client: &Arc<Client>,
        total: usize,
        deadline: Instant,
        settings: Arc<Settings>,
    ) -> Self {
        Self {
            batch: client.open(total),
            deadline,
            settings,
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
                    return Err(limits::explain(&self.settings, &failure).await);
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
        if timeout_at(self.deadline, self.batch.ended()).await.is_err() {
            return Err(self.late(self.batch.left()));
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
        Err(limits::explain(&self.settings, &failure).await)
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
