//! The third stage: delivers one batch at a time, first to the brokers, then to the databases, and waits for every receipt.
//!
//! What is published cannot be taken back. Until a generation has committed a batch, databases are asked first whether they would
//! commit, so that a row which one of them refuses is not published at each attempt. None is kept waiting for a broker meanwhile.

use std::sync::Arc;

use actix::prelude::*;
use dajet_core::{BoxFuture, MessageSpec, OrderKeys, Receipt, Sink, SystemError};
use dajet_lang::machine::{SinkId, SinkSpec};
use dajet_lang::plan::StatementId;
use futures::future::try_join_all;
use tracing::Instrument;

use crate::batch::{Output, Part, ToProducer, TransformedBatch};
use crate::claims::{self, needs_turn};
use crate::error::PipelineError;
use crate::generation::{Generation, Tombstone};
use crate::mailbox::{Next, Refused};
use crate::pipeline::Stage;

/// Most sinks that are kept open from one batch to the next: an address or option that each record sets opens ever new ones.
const SINKS_KEPT: usize = 32;

/// Delivers transformed batches.
pub(crate) struct Producer {
    work: Option<Work>,
    _tombstone: Tombstone,
}

impl Producer {
    pub(crate) fn new(
        generation: Arc<Generation>,
        tombstone: Tombstone,
        next: Next<crate::batch::ProducedBatch>,
    ) -> Self {
        let work = Work {
            generation,
            next,
            sinks: Vec::new(),
            ahead: Pending::default(),
        };
        Self {
            work: Some(work),
            _tombstone: tombstone,
        }
    }
}

impl Actor for Producer {
    type Context = Context<Self>;
}

impl Handler<ToProducer> for Producer {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, message: ToProducer, _: &mut Self::Context) -> Self::Result {
        let mut work = self.work.take().expect("one message at a time");
        let span = work.generation.log_span();
        let handled = async move {
            work.handle(message).await;
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

/// Deliveries that are handed over and not yet acknowledged.
#[derive(Default)]
struct Pending {
    receipts: Vec<BoxFuture<'static, Result<Receipt, PipelineError>>>,
}

struct OpenSink {
    id: SinkId,
    sink: Box<dyn Sink>,
}

struct Work {
    generation: Arc<Generation>,
    next: Next<crate::batch::ProducedBatch>,
    /// Opened at first use; the one used last at the end.
    sinks: Vec<OpenSink>,
    /// Deliveries of the parts that have come ahead of their batch.
    ahead: Pending,
}

impl Work {
    async fn handle(&mut self, message: ToProducer) {
        match message {
            ToProducer::Part(part) => self.handle_part(part).await,
            ToProducer::Batch(batch) => self.handle_batch(batch).await,
        }
    }

    async fn handle_part(&mut self, part: Part) {
        let generation = self.generation.clone();
        let Part {
            batch,
            outputs,
            keys,
            _slot: slot,
        } = part;
        generation.handles(Stage::Producer, batch);
        if generation.is_killed(batch) {
            return;
        }
        let handed_over = tokio::select! {
            biased;
            result = self.hand_over(outputs.into_list(), &keys) => result,
            () = generation.killed(batch) => return,
        };
        match handed_over {
            Ok(pending) => self.ahead.receipts.extend(pending.receipts),
            Err(error) => generation.fail(batch, error),
        }
        drop(slot);
    }

    async fn handle_batch(&mut self, mut batch: TransformedBatch) {
        let generation = self.generation.clone();
        let id = batch.id();
        generation.handles(Stage::Producer, id);
        if generation.is_killed(id) {
            return batch.fail().release(&generation).await;
        }
        let delivered = tokio::select! {
            biased;
            result = self.deliver(&mut batch) => result.map(Some),
            () = generation.killed(id) => Ok(None),
        };
        match delivered {
            Ok(Some(receipts)) => self.forward(batch, &receipts).await,
            Ok(None) => batch.fail().release(&generation).await,
            Err(error) => {
                generation.fail(id, error);
                batch.fail().release(&generation).await;
            }
        }
    }

    async fn forward(&mut self, batch: TransformedBatch, receipts: &[Receipt]) {
        let id = batch.id();
        let produced = match batch.produced(receipts) {
            Ok(produced) => produced,
            Err((violation, failed)) => {
                self.generation.fail(id, violation.into());
                failed.release(&self.generation).await;
                return;
            }
        };
        if let Err(refused) = self.next.try_send(produced) {
            let full = matches!(refused, Refused::Full(_));
            let (Refused::Full(batch) | Refused::Closed(batch)) = refused;
            self.generation.refused(id, full);
            batch.fail().release(&self.generation).await;
        }
    }

    async fn deliver(
        &mut self,
        batch: &mut TransformedBatch,
    ) -> Result<Vec<Receipt>, PipelineError> {
        let generation = self.generation.clone();
        let mut pending = std::mem::take(&mut self.ahead);
        if pending.receipts.is_empty() {
            // Nothing is on its way: those used longest ago can go.
            let spare = self.sinks.len().saturating_sub(SINKS_KEPT);
            self.sinks.drain(..spare);
        }
        if generation.is_unproven() || needs_turn(&generation, batch)? {
            claims::take_turn(&generation, batch.ticket()).await;
        }
        let (messages, rows) = batch.take_outputs().split();
        let (messages, mut rows) = (messages.into_list(), rows.into_list());
        let keys = batch.ticket().keys().clone();
        let mut receipts = Vec::new();
        // The batches before may have proved it meanwhile.
        let unproven = generation.is_unproven();
        if unproven {
            let joined = claims::take_joined(&generation, batch.ticket(), &mut rows)?;
            self.write(batch, joined, &mut receipts).await?;
            if generation.number > 1 && !messages.is_empty() {
                claims::try_out(&generation, &rows, &keys).await?;
            }
            batch.ticket().rehearse_source(generation.span()).await?;
        }
        let sent = self.hand_over(messages, &keys).await?;
        pending.receipts.extend(sent.receipts);
        self.write(batch, rows, &mut receipts).await?;
        claims::advance_offsets(&generation, batch.ticket()).await?;
        if unproven {
            batch.ticket().rehearse_targets(generation.span()).await?;
        }
        receipts.extend(self.received(pending).await?);
        Ok(receipts)
    }

    /// Writes rows on the claims of their places.
    async fn write(
        &self,
        batch: &mut TransformedBatch,
        rows: Vec<Output>,
        receipts: &mut Vec<Receipt>,
    ) -> Result<(), PipelineError> {
        for output in rows {
            let records = output.records.len();
            claims::write(&self.generation, batch.ticket(), output).await?;
            receipts.push(Receipt { records });
        }
        Ok(())
    }

    #[cfg(not(feature = "testing"))]
    async fn received(&mut self, pending: Pending) -> Result<Vec<Receipt>, PipelineError> {
        try_join_all(pending.receipts).await
    }

    /// Waits for the receipts, unless the defect of the test is to lie about them.
    #[cfg(feature = "testing")]
    async fn received(&mut self, pending: Pending) -> Result<Vec<Receipt>, PipelineError> {
        use crate::testing::Defect;
        if self.generation.script.defect == Some(Defect::CommitsBeforeReceipt) {
            return Ok(vec![Receipt {
                records: usize::MAX / 2,
            }]);
        }
        try_join_all(pending.receipts).await
    }

    /// Hands messages over to their brokers, in order.
    async fn hand_over(
        &mut self,
        outputs: Vec<Output>,
        keys: &Arc<OrderKeys>,
    ) -> Result<Pending, PipelineError> {
        let generation = self.generation.clone();
        let mut pending = Pending::default();
        for Output {
            sink,
            spec,
            records,
            origins,
        } in outputs
        {
            let SinkSpec::Messages { statement, spec } = &*spec else {
                return Err(PipelineError::fault("rows were given to a broker"));
            };
            let span = generation.script.spec.plan.statement(*statement).span;
            let keys = keys.clone();
            let failed = move |error: SystemError| {
                Output::name(PipelineError::system(error, span), &origins, &keys)
            };
            let sink = self.sink(sink, *statement, spec)?;
            match sink.deliver(records).await {
                Ok(receipt) => {
                    pending
                        .receipts
                        .push(Box::pin(async move { receipt.await.map_err(failed) }));
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(pending)
    }

    /// Returns the sink, opened at first use.
    fn sink(
        &mut self,
        id: SinkId,
        statement: StatementId,
        spec: &MessageSpec,
    ) -> Result<&mut Box<dyn Sink>, PipelineError> {
        let script = &self.generation.script.spec;
        let open = match self.sinks.iter().position(|open| open.id == id) {
            Some(place) => self.sinks.remove(place),
            None => {
                let span = script.plan.statement(statement).span;
                let opened = script.services.sink(spec);
                let mut sink = opened.map_err(|error| PipelineError::system(error, span))?;
                sink.show(&self.generation.progress.signs());
                OpenSink { id, sink }
            }
        };
        self.sinks.push(open);
        Ok(&mut self.sinks.last_mut().expect("it was pushed just now").sink)
    }
}
