//! The right to commit the offsets of a batch.

use std::sync::Arc;
use std::time::Duration;

use dajet_core::contract::Answer;
use dajet_core::query::Statement;
use dajet_core::{Advances, BoxFuture, Claim, Identity, Record, SystemError};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use tokio::time::{Instant, sleep, timeout_at};

use super::attempts::Attempts;
use super::consumer::{Member, commit_batch};
use super::error;
use super::line::{Line, Stretch, Taken};

/// Longest wait for the answer to a commit.
const ANSWER: Duration = Duration::from_secs(30);
/// Pause between two commits while the group is sharing its partitions out.
const PAUSE: Duration = Duration::from_millis(50);

/// An open batch.
pub(super) struct OffsetClaim {
    line: Arc<Line>,
    identity: Identity,
    number: u64,
    stretches: Vec<Stretch>,
    attempts: Option<Attempts>,
    /// The records are to blame for the coming release.
    blamed: bool,
    /// What the batch does to the offsets in a database.
    advances: Option<Advances>,
    /// Taken before the batch is resolved: the last handle must not be ours when the consumer leaves.
    member: Option<Member>,
}

impl OffsetClaim {
    pub(super) fn new(
        line: &Arc<Line>,
        member: &Member,
        identity: &Identity,
        taken: &Taken,
        attempts: Option<Attempts>,
        advances: Option<Advances>,
    ) -> Self {
        Self {
            line: line.clone(),
            identity: identity.clone(),
            number: taken.number,
            stretches: taken.stretches.clone(),
            attempts,
            blamed: false,
            advances,
            member: Some(member.clone()),
        }
    }

    async fn commit_offsets(&self) -> Result<(), SystemError> {
        let member = self
            .member
            .as_ref()
            .ok_or_else(|| SystemError::fault("a batch is committed twice"))?;
        let deadline = Instant::now() + ANSWER;
        loop {
            // A partition may be lost between two attempts.
            self.line.may_commit(self.number)?;
            let stretches = self.stretches.clone();
            let called = member.call(move |consumer| commit_batch(consumer, &stretches));
            let Ok(answer) = timeout_at(deadline, called).await else {
                let message = format!("kafka has not confirmed offsets within {ANSWER:?}");
                return Err(SystemError::transient("E_KAFKA", message));
            };
            match answer? {
                Ok(()) => return Ok(()),
                Err(error) if is_passing(&error) && Instant::now() + PAUSE < deadline => {
                    sleep(PAUSE).await;
                }
                Err(error) => return Err(error::failed("commit offsets", &error)),
            }
        }
    }

    /// Gives the batch back, and all behind it.
    fn give_back(&mut self) {
        if self.member.take().is_none() {
            return;
        }
        // Batches behind a failed one are given back before it or after it: only the earliest is at fault.
        let at_head = self.line.give_back(self.number);
        if let Some(attempts) = self.attempts.as_ref().filter(|_| self.blamed && at_head) {
            attempts.failed(&self.stretches);
        }
    }
}

/// True if the group is only busy.
fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::RebalanceInProgress
                | Code::CoordinatorLoadInProgress
                | Code::CoordinatorNotAvailable
                | Code::NotCoordinator
                | Code::WaitingForCoordinator
                | Code::WaitCache
        )
    )
}

impl Claim for OffsetClaim {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn execute<'a>(
        &'a mut self,
        _: &'a Arc<Statement>,
        _: &'a [Record],
    ) -> BoxFuture<'a, Result<Answer, SystemError>> {
        Box::pin(async { Err(SystemError::fault("a topic of kafka takes no statements")) })
    }

    fn advances(&self) -> Option<&Advances> {
        self.advances.as_ref()
    }

    fn commit(mut self: Box<Self>) -> BoxFuture<'static, Result<(), SystemError>> {
        Box::pin(async move {
            self.commit_offsets().await?;
            if let Some(attempts) = &self.attempts {
                for stretch in &self.stretches {
                    attempts.passed(&stretch.place, stretch.next);
                }
            }
            drop(self.member.take());
            self.line.commit(self.number);
            self.line.left().await;
            Ok(())
        })
    }

    fn blame(&mut self) {
        self.blamed = true;
    }

    fn release(mut self: Box<Self>) -> BoxFuture<'static, Result<(), SystemError>> {
        Box::pin(async move {
            self.give_back();
            self.line.left().await;
            Ok(())
        })
    }
}

impl Drop for OffsetClaim {
    fn drop(&mut self) {
        self.give_back();
    }
}
