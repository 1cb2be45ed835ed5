//! The stages of a batch, in order: [`ReadBatch`], [`TransformedBatch`], [`ProducedBatch`], [`DeliveredBatch`]. Each is made only
//! by consuming the one before; the third commits its target claims, the last its source claim. The other exit of all of them is
//! [`Failed::release`]; dropping a batch gives its rows
//! back too, without waiting.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::Message;
use dajet_core::{
    Advances, Claim, Identity, OrderKeys, Receipt, Record, Records, Span, SystemError,
};
use dajet_lang::machine::{SinkId, SinkSpec, Variables};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};
use tracing::debug;

use crate::error::PipelineError;
use crate::generation::{Generation, Turn};
use crate::invariants::{Violation, received_before_commit};
use crate::mailbox::Permit;
use crate::observe::{Committed, InFlight};
use crate::pipeline::Stage;

/// Longest wait for the orderly release of one claim; then its session is closed.
pub(crate) const RELEASE_LIMIT: Duration = Duration::from_secs(10);

/// The right to commit. Opaque: it lends its claims and is consumed by one commit or one release. Its fields drop in order: the
/// claims, then the turn, then the permit.
pub(crate) struct Ticket {
    targets: Vec<Box<dyn Claim>>,
    source: Box<dyn Claim>,
    turn: Option<Turn>,
    shown: InFlight,
    permit: Permit,
    batch: u64,
    counted: Counted,
    keys: Arc<OrderKeys>,
    /// What was written on the source claim, in order: some sources tell only at the commit that a record is refused.
    written: Vec<Written>,
}

/// A write on the source claim: the statement's place, and for each record the row of the batch that it comes from.
pub(crate) struct Written {
    pub(crate) span: Span,
    pub(crate) origins: Vec<u32>,
}

struct Counted {
    records: u64,
    bytes: u64,
    read_at: Instant,
}

impl Ticket {
    pub(crate) fn batch(&self) -> u64 {
        self.batch
    }

    /// The claim whose transaction is at this place, if the batch holds one.
    pub(crate) fn claim(&mut self, place: &Identity) -> Option<&mut Box<dyn Claim>> {
        if self.source.identity() == place {
            return Some(&mut self.source);
        }
        self.targets
            .iter_mut()
            .find(|claim| claim.identity() == place)
    }

    /// The offsets that the batch moves in a database.
    pub(crate) fn advances(&self) -> Option<&Advances> {
        self.source.advances()
    }

    /// True if the batch holds a claim at this place.
    pub(crate) fn holds(&self, place: &Identity) -> bool {
        self.source.identity() == place || self.targets.iter().any(|c| c.identity() == place)
    }

    /// Remembers a write, if it went to the source claim.
    pub(crate) fn wrote(&mut self, place: &Identity, written: Written) {
        if self.source.identity() == place {
            self.written.push(written);
        }
    }

    /// The order keys of the rows, by which errors name them.
    pub(crate) fn keys(&self) -> &Arc<OrderKeys> {
        &self.keys
    }

    pub(crate) fn has_turn(&self) -> bool {
        self.turn.is_some()
    }

    pub(crate) fn take_turn(&mut self, turn: Turn) {
        self.turn = Some(turn);
    }

    /// Adds a target claim behind those that were used before it. The batch must hold its turn.
    pub(crate) fn add_target(&mut self, claim: Box<dyn Claim>) {
        debug_assert!(
            self.turn.is_some(),
            "a target claim begins when the batch holds its turn"
        );
        self.targets.push(claim);
    }

    /// Lets the source claim find out what would refuse its commit, unless the batch has target claims: at a place that has one
    /// writer the two could wait for each other.
    ///
    /// # Errors
    /// The refusal; nothing is final.
    pub(crate) async fn rehearse_source(&mut self, span: Span) -> Result<(), PipelineError> {
        if !self.targets.is_empty() {
            return Ok(());
        }
        let rehearsed = self.source.rehearse().await;
        rehearsed.map_err(|error| refused_by_source(error, span, &self.written, &self.keys))
    }

    /// The same of the target claims, before the first of them is committed.
    ///
    /// # Errors
    /// The first refusal; nothing is final.
    pub(crate) async fn rehearse_targets(&mut self, span: Span) -> Result<(), PipelineError> {
        for target in &mut self.targets {
            let rehearsed = target.rehearse().await;
            rehearsed.map_err(|error| PipelineError::system(error, span))?;
        }
        Ok(())
    }

    fn fail(self) -> Failed {
        Failed {
            targets: self.targets,
            source: Some(self.source),
            _turn: self.turn,
            _shown: self.shown,
            _permit: self.permit,
            batch: self.batch,
        }
    }
}

/// Read, not yet transformed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ReadBatch {
    ticket: Ticket,
    records: Records,
}

/// What a batch is made of.
pub(crate) struct Claimed {
    pub(crate) records: Records,
    pub(crate) keys: OrderKeys,
    pub(crate) claim: Box<dyn Claim>,
    pub(crate) permit: Permit,
    pub(crate) shown: InFlight,
    pub(crate) batch: u64,
}

impl ReadBatch {
    pub(crate) fn new(claimed: Claimed) -> Self {
        let Claimed {
            records,
            keys,
            claim,
            permit,
            shown,
            batch,
        } = claimed;
        let counted = Counted {
            records: records.rows.len() as u64,
            bytes: records.size() as u64,
            read_at: Instant::now(),
        };
        let ticket = Ticket {
            targets: Vec::new(),
            source: claim,
            turn: None,
            shown,
            permit,
            batch,
            counted,
            keys: Arc::new(keys),
            written: Vec::new(),
        };
        Self { ticket, records }
    }

    pub(crate) fn id(&self) -> u64 {
        self.ticket.batch
    }

    pub(crate) fn ticket(&mut self) -> &mut Ticket {
        &mut self.ticket
    }

    /// The records, once.
    pub(crate) fn take_records(&mut self) -> Records {
        std::mem::take(&mut self.records)
    }

    /// The body has run for every record.
    pub(crate) fn transformed(self, result: Transformed) -> TransformedBatch {
        let Transformed {
            outputs,
            sent_ahead,
            variables,
        } = result;
        let owed = outputs.records + sent_ahead;
        TransformedBatch {
            ticket: self.ticket,
            outputs,
            owed,
            variables,
        }
    }

    pub(crate) fn fail(self) -> Failed {
        self.ticket.fail()
    }
}

/// What the body made of a batch.
pub(crate) struct Transformed {
    /// What is still to be produced.
    pub(crate) outputs: Outputs,
    /// Records that went ahead in parts.
    pub(crate) sent_ahead: usize,
    /// The variables after the batch, if the body sets any.
    pub(crate) variables: Option<Variables>,
}

/// Transformed, not yet produced: the last part of the batch, and its ticket.
pub(crate) struct TransformedBatch {
    ticket: Ticket,
    outputs: Outputs,
    /// Records that must be delivered before the commit, those of the parts included.
    owed: usize,
    variables: Option<Variables>,
}

/// A part of a batch that is too big to wait for its end. It carries no ticket: nothing commits before the last part.
pub(crate) struct Part {
    pub(crate) batch: u64,
    pub(crate) outputs: Outputs,
    pub(crate) keys: Arc<OrderKeys>,
    /// One part at a time is on its way; comes back when the Producer has handed it over.
    pub(crate) _slot: OwnedSemaphorePermit,
}

/// What the Transformer sends.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) enum ToProducer {
    /// A part ahead of its batch.
    Part(Part),
    /// The batch.
    Batch(TransformedBatch),
}

impl TransformedBatch {
    pub(crate) fn id(&self) -> u64 {
        self.ticket.batch
    }

    pub(crate) fn ticket(&mut self) -> &mut Ticket {
        &mut self.ticket
    }

    pub(crate) fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// The outputs, once; how many records are owed is still known.
    pub(crate) fn take_outputs(&mut self) -> Outputs {
        std::mem::take(&mut self.outputs)
    }

    /// Everything is delivered: the receipts prove it.
    ///
    /// # Errors
    /// Receipts are missing. The batch comes back.
    pub(crate) fn produced(
        self,
        receipts: &[Receipt],
    ) -> Result<ProducedBatch, (Violation, Failed)> {
        let received = receipts.iter().map(|receipt| receipt.records).sum();
        match received_before_commit(self.ticket.batch, self.owed, received) {
            Ok(()) => Ok(ProducedBatch {
                ticket: self.ticket,
                variables: self.variables,
            }),
            Err(violation) => Err((violation, self.ticket.fail())),
        }
    }

    pub(crate) fn fail(self) -> Failed {
        self.ticket.fail()
    }
}

/// Delivered, not yet committed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ProducedBatch {
    ticket: Ticket,
    variables: Option<Variables>,
}

/// A committed batch; the permit comes back when it is dropped.
pub(crate) struct Finished {
    pub(crate) variables: Option<Variables>,
    pub(crate) counted: Committed,
    _shown: InFlight,
    _permit: Permit,
}

/// A commit that failed, and what is left of the batch.
pub(crate) struct CommitFailure {
    pub(crate) error: PipelineError,
    pub(crate) rest: Failed,
}

impl ProducedBatch {
    pub(crate) fn id(&self) -> u64 {
        self.ticket.batch
    }

    /// Commits the target claims in order of first use.
    ///
    /// # Errors
    /// A commit failed: those before it are final, the rest comes back.
    pub(crate) async fn deliver(
        self,
        generation: &Generation,
    ) -> Result<DeliveredBatch, CommitFailure> {
        let Self {
            mut ticket,
            variables,
        } = self;
        let mut targets = std::mem::take(&mut ticket.targets).into_iter();
        while let Some(target) = targets.next() {
            if let Err(error) = target.commit().await {
                let error = PipelineError::system(error, generation.span());
                ticket.targets = targets.collect();
                let rest = ticket.fail();
                return Err(CommitFailure { error, rest });
            }
        }
        generation.deliver(ticket.batch);
        Ok(DeliveredBatch { ticket, variables })
    }

    /// Loses the target claims, as a broken Committer would.
    #[cfg(feature = "testing")]
    pub(crate) fn forget_targets(&mut self) {
        self.ticket.targets.clear();
    }

    pub(crate) fn fail(self) -> Failed {
        self.ticket.fail()
    }
}

/// Final at its targets, not yet at its source.
pub(crate) struct DeliveredBatch {
    ticket: Ticket,
    variables: Option<Variables>,
}

impl DeliveredBatch {
    pub(crate) fn id(&self) -> u64 {
        self.ticket.batch
    }

    /// Commits the source claim.
    ///
    /// # Errors
    /// It failed: the source gives the rows back.
    pub(crate) async fn commit(self, generation: &Generation) -> Result<Finished, CommitFailure> {
        let Self { ticket, variables } = self;
        let span = generation.span();
        // Locals drop in reverse: whatever happens below, the permit leaves last, and a panic is told before.
        let permit = ticket.permit;
        let shown = ticket.shown;
        let turn = ticket.turn;
        let _witness = generation.witness(Stage::Committer, ticket.batch);
        if let Err(error) = ticket.source.commit().await {
            let error = refused_by_source(error, span, &ticket.written, &ticket.keys);
            let rest = Failed {
                targets: Vec::new(),
                source: None,
                _turn: turn,
                _shown: shown,
                _permit: permit,
                batch: ticket.batch,
            };
            return Err(CommitFailure { error, rest });
        }
        let counted = Committed {
            records: ticket.counted.records,
            bytes: ticket.counted.bytes,
            latency: ticket.counted.read_at.elapsed(),
        };
        Ok(Finished {
            variables,
            counted,
            _shown: shown,
            _permit: permit,
        })
    }

    pub(crate) fn fail(self) -> Failed {
        self.ticket.fail()
    }
}

/// An error of the source claim: of a write that it keeps until its commit, or its own.
fn refused_by_source(
    error: SystemError,
    span: Span,
    written: &[Written],
    keys: &OrderKeys,
) -> PipelineError {
    match error.write.and_then(|write| written.get(write)) {
        Some(Written { span, origins }) => {
            Output::name(PipelineError::system(error, *span), origins, keys)
        }
        None => PipelineError::system(error, span),
    }
}

/// A batch that is given up. Dropping it gives the rows back without waiting; [`Failed::release`] waits.
pub(crate) struct Failed {
    targets: Vec<Box<dyn Claim>>,
    source: Option<Box<dyn Claim>>,
    _turn: Option<Turn>,
    _shown: InFlight,
    _permit: Permit,
    batch: u64,
}

impl Failed {
    /// Gives everything back, target claims first, and waits until the systems have done so. A claim that does not answer in
    /// time, or fails to, has its session closed: its system gives back by itself.
    pub(crate) async fn release(mut self, generation: &Generation) {
        for target in self.targets.drain(..) {
            release(target).await;
        }
        if let Some(mut source) = self.source.take() {
            if generation.is_to_blame(self.batch) {
                source.blame();
            }
            release(source).await;
        }
    }
}

/// Gives a claim back, and waits for that.
pub(crate) async fn release(claim: Box<dyn Claim>) {
    let place = claim.identity().clone();
    match timeout(RELEASE_LIMIT, claim.release()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%place, %error, "session closed instead of an orderly release"),
        Err(_) => debug!(%place, "session closed: no answer to the release"),
    }
}

/// Records for one sink, in order.
pub(crate) struct Output {
    pub(crate) sink: SinkId,
    pub(crate) spec: Arc<SinkSpec>,
    pub(crate) records: Vec<Record>,
    /// For each record the row of the batch that it comes from.
    pub(crate) origins: Vec<u32>,
}

impl Output {
    /// Names the row that the refused record comes from.
    pub(crate) fn name(error: PipelineError, origins: &[u32], keys: &OrderKeys) -> PipelineError {
        let row = error
            .record()
            .and_then(|record| origins.get(record).copied());
        let name = row.and_then(|row| keys.describe(row as usize));
        error.at_row(name)
    }
}

/// Gathered records, for each sink in order of first use.
#[derive(Default)]
pub(crate) struct Outputs {
    list: Vec<Output>,
    records: usize,
    bytes: usize,
}

impl Outputs {
    /// Adds a record behind those of its sink; `origin` is the row of the batch that it comes from. `open` tells what the sink
    /// is, at its first record.
    pub(crate) fn add(
        &mut self,
        sink: SinkId,
        record: Record,
        origin: u32,
        open: impl FnOnce() -> Opening,
    ) {
        self.records += 1;
        self.bytes += record.iter().map(dajet_core::Value::size).sum::<usize>();
        let place = match self.list.iter().position(|output| output.sink == sink) {
            Some(place) => place,
            None => {
                let Opening { spec, expected } = open();
                let records = Vec::with_capacity(expected);
                self.list.push(Output {
                    sink,
                    spec: Arc::new(spec),
                    records,
                    origins: Vec::with_capacity(expected),
                });
                self.list.len() - 1
            }
        };
        let output = &mut self.list[place];
        output.records.push(record);
        output.origins.push(origin);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn records(&self) -> usize {
        self.records
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Output> {
        self.list.iter()
    }

    pub(crate) fn into_list(self) -> Vec<Output> {
        self.list
    }

    /// Parts the outputs into messages for brokers and rows for databases.
    pub(crate) fn split(self) -> (Outputs, Outputs) {
        let mut messages = Outputs::default();
        let mut rows = Outputs::default();
        for output in self.list {
            let side = match &*output.spec {
                SinkSpec::Messages { .. } => &mut messages,
                SinkSpec::Rows { .. } => &mut rows,
            };
            side.records += output.records.len();
            side.list.push(output);
        }
        (messages, rows)
    }
}

/// What a sink is.
pub(crate) struct Opening {
    pub(crate) spec: SinkSpec,
    /// How many records it is likely to get.
    pub(crate) expected: usize,
}
