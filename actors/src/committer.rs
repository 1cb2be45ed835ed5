//! The last stage: makes deliveries final, in read order. It is not killed: what is acknowledged is committed.
//!
//! The target claims of a batch become final while the source claim of the batch before still commits; source claims commit one
//! after another.

use std::sync::Arc;

use actix::prelude::*;
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::batch::{CommitFailure, DeliveredBatch, ProducedBatch};
use crate::error::PipelineError;
use crate::generation::{Generation, Tombstone};
use crate::invariants::committed_in_order;
use crate::pipeline::Stage;

/// Commits produced batches, only the next one in order.
pub(crate) struct Committer {
    work: Option<Work>,
    _tombstone: Tombstone,
}

impl Committer {
    pub(crate) fn new(generation: Arc<Generation>, tombstone: Tombstone) -> Self {
        let due = generation.first();
        let work = Work {
            generation,
            due,
            settling: None,
            #[cfg(feature = "testing")]
            held: None,
        };
        Self {
            work: Some(work),
            _tombstone: tombstone,
        }
    }
}

impl Actor for Committer {
    type Context = Context<Self>;
}

impl Handler<ProducedBatch> for Committer {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, batch: ProducedBatch, _: &mut Self::Context) -> Self::Result {
        let mut work = self.work.take().expect("one message at a time");
        let span = work.generation.log_span();
        let handled = async move {
            work.handle(batch).await;
            work
        };
        AtomicResponse::new(Box::pin(
            handled
                .instrument(span)
                .into_actor(self)
                .map(|work, actor, _| actor.work = Some(work)),
        ))
    }
}

struct Work {
    generation: Arc<Generation>,
    /// Number of the only batch that may be committed.
    due: u64,
    /// The commit of the source claim of the batch before: true if it went well.
    settling: Option<JoinHandle<bool>>,
    #[cfg(feature = "testing")]
    held: Option<ProducedBatch>,
}

impl Work {
    #[cfg(not(feature = "testing"))]
    async fn handle(&mut self, batch: ProducedBatch) {
        self.commit_if_due(batch).await;
    }

    /// Commits as the defect of the test says, if there is one.
    #[cfg(feature = "testing")]
    async fn handle(&mut self, mut batch: ProducedBatch) {
        use crate::testing::Defect;
        match self.generation.script.defect {
            Some(Defect::ForgetsTarget) => {
                batch.forget_targets();
                self.commit_if_due(batch).await;
            }
            // The first batches come one by one.
            Some(Defect::CommitsOutOfOrder) if batch.id() > 4 => match self.held.take() {
                None => self.held = Some(batch),
                Some(earlier) => {
                    self.commit(batch).await;
                    self.commit(earlier).await;
                }
            },
            _ => self.commit_if_due(batch).await,
        }
    }

    async fn commit_if_due(&mut self, batch: ProducedBatch) {
        let id = batch.id();
        self.generation.handles(Stage::Committer, id);
        if id == self.due {
            self.commit(batch).await;
            return;
        }
        // A predecessor has failed, and with it this batch; or else order itself is broken.
        if !self.generation.is_killed(id) {
            let before = usize::try_from(id.abs_diff(self.due)).unwrap_or(usize::MAX);
            if let Err(violation) = committed_in_order(id, before) {
                self.generation
                    .fail(id, PipelineError::Invariant(violation));
            }
        }
        batch.fail().release(&self.generation).await;
    }

    async fn commit(&mut self, batch: ProducedBatch) {
        let id = batch.id();
        let settled = self.settling.as_ref().is_none_or(JoinHandle::is_finished);
        if settled && !self.settled().await {
            return batch.fail().release(&self.generation).await;
        }
        let batch = match batch.deliver(&self.generation).await {
            Ok(batch) => batch,
            Err(CommitFailure { error, rest }) => {
                self.generation.fail(id, error);
                return rest.release(&self.generation).await;
            }
        };
        if !self.settled().await {
            return batch.fail().release(&self.generation).await;
        }
        self.due = id + 1;
        let span = self.generation.log_span();
        let settling = settle(self.generation.clone(), batch).instrument(span);
        self.settling = Some(actix::spawn(settling));
    }

    /// Waits for the commit of the batch before; false if it has failed, and its successors with it.
    async fn settled(&mut self) -> bool {
        match self.settling.take() {
            Some(settling) => settling.await.unwrap_or(false),
            None => true,
        }
    }
}

/// Commits the source claim. The batch has its permit until then: the generation does not end before.
async fn settle(generation: Arc<Generation>, batch: DeliveredBatch) -> bool {
    let id = batch.id();
    match batch.commit(&generation).await {
        Ok(mut finished) => {
            generation.commit(id, finished.variables.take());
            let observer = &generation.script.spec.observer;
            observer.committed(&finished.counted);
            true
        }
        Err(CommitFailure { error, rest }) => {
            generation.fail(id, error);
            rest.release(&generation).await;
            false
        }
    }
}
