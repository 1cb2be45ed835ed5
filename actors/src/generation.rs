//! What the four actors of one generation share: who is killed, whose turn it is, how it ended.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::time::Duration;

use dajet_core::{Address, ErrorClass, Signs, Span, Value};
use dajet_lang::machine::Variables;
use dajet_lang::plan::{PipelineId, PipelinePlan};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::codes::Codes;
use crate::error::PipelineError;
use crate::mailbox::Permits;
use crate::observe::{Doing, Gauge};
use crate::pipeline::Stage;
use crate::script::Script;

/// No batch has such a number: nothing is killed.
const NOWHERE: u64 = u64::MAX;

/// What outlives the generations of a pipeline.
pub(crate) struct Progress {
    /// Number of the latest committed batch; batches count from 1.
    committed: AtomicU64,
    /// The variables as the latest committed batch left them.
    variables: Mutex<Variables>,
    codes: Codes,
    gauge: Mutex<Gauge>,
}

impl Progress {
    pub(crate) fn new(variables: Variables, gauge: Gauge) -> Self {
        Self {
            committed: AtomicU64::new(0),
            variables: Mutex::new(variables),
            codes: Codes::default(),
            gauge: Mutex::new(gauge),
        }
    }

    /// Number of the pipeline, as logs tell it.
    pub(crate) fn number(&self) -> u64 {
        self.gauge.lock().number()
    }

    pub(crate) fn committed(&self) -> u64 {
        self.committed.load(Relaxed)
    }

    pub(crate) fn variables(&self) -> Variables {
        self.variables.lock().clone()
    }

    /// Changes the variables while no batch is in flight.
    pub(crate) fn set_variables(&self, variables: Variables) {
        *self.variables.lock() = variables;
    }

    /// What the type codes of the variables mean.
    pub(crate) fn codes(&self) -> &Codes {
        &self.codes
    }

    /// Where source and sinks show what is to be seen of them.
    pub(crate) fn signs(&self) -> Signs {
        self.gauge.lock().signs().clone()
    }

    pub(crate) fn show(&self, doing: Doing) {
        self.gauge.lock().show(doing);
    }
}

/// How a generation ended, other than by a stop.
pub(crate) enum End {
    /// By an error; a fatal one ends the script.
    Failed { error: PipelineError, fatal: bool },
    /// By BREAK (`None`) or RETURN.
    Left(Option<Value>),
    /// The source is idle.
    Idle,
}

/// The batch may begin target transactions: its predecessor has committed. There is one at a time, and batches get it in their
/// order, so that a later batch never holds it while an earlier one waits.
#[derive(Debug)]
pub(crate) struct Turn(());

/// One generation of a pipeline.
pub(crate) struct Generation {
    pub(crate) script: Arc<Script>,
    pub(crate) pipeline: PipelineId,
    /// The database of the source; none for a broker.
    pub(crate) address: Option<Address>,
    pub(crate) number: u64,
    pub(crate) progress: Arc<Progress>,
    pub(crate) permits: Permits,
    pub(crate) stop: CancellationToken,
    /// Parts on their way to the Producer: one.
    pub(crate) parts: Arc<Semaphore>,
    first: u64,
    committed: Gate,
    /// The last batch whose target claims are final; its source claim need not be.
    delivered: Gate,
    horizon: Gate,
    end: Mutex<Option<(u64, End)>>,
    current: [AtomicU64; 4],
    deaths: mpsc::Sender<Stage>,
}

/// What a generation is made of.
pub(crate) struct GenerationSpec {
    pub(crate) script: Arc<Script>,
    pub(crate) pipeline: PipelineId,
    /// The database of the source; none for a broker.
    pub(crate) address: Option<Address>,
    pub(crate) number: u64,
    pub(crate) progress: Arc<Progress>,
    pub(crate) permits: Permits,
    pub(crate) stop: CancellationToken,
}

impl Generation {
    /// Makes a generation, and the receiver of its actors' deaths.
    pub(crate) fn new(spec: GenerationSpec) -> (Arc<Self>, mpsc::Receiver<Stage>) {
        let (deaths, dead) = mpsc::channel(Stage::ALL.len());
        let committed = spec.progress.committed();
        let generation = Self {
            script: spec.script,
            pipeline: spec.pipeline,
            address: spec.address,
            number: spec.number,
            progress: spec.progress,
            permits: spec.permits,
            stop: spec.stop,
            parts: Arc::new(Semaphore::new(1)),
            first: committed + 1,
            committed: Gate::new(committed),
            delivered: Gate::new(committed),
            horizon: Gate::new(NOWHERE),
            end: Mutex::new(None),
            current: [const { AtomicU64::new(0) }; 4],
            deaths,
        };
        (Arc::new(generation), dead)
    }

    /// What is told while it is entered is told of the script.
    pub(crate) fn log_span(&self) -> tracing::Span {
        self.script.log_span.clone()
    }

    /// True until a batch of this generation is committed: what made the one before fail may still be there.
    pub(crate) fn is_unproven(&self) -> bool {
        self.committed.get() < self.first
    }

    /// Number of the first batch.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    pub(crate) fn plan(&self) -> &PipelinePlan {
        self.script.spec.plan.pipeline(self.pipeline)
    }

    /// Notes which batch a stage has in hand, so that a panic is known to be that batch's.
    pub(crate) fn handles(&self, stage: Stage, batch: u64) {
        self.current[stage as usize].store(batch, Relaxed);
    }

    /// Tells a panic of what is done with a batch outside of its actor, before the permit comes back.
    pub(crate) fn witness(&self, stage: Stage, batch: u64) -> Witness<'_> {
        Witness {
            generation: self,
            stage,
            batch,
        }
    }

    /// An error of this batch: it and all behind it are given back, those before it go on to their commit.
    pub(crate) fn fail(&self, batch: u64, error: PipelineError) {
        let fatal = error.class() == ErrorClass::Fault;
        self.end(batch, End::Failed { error, fatal });
    }

    /// An error that ends the script.
    pub(crate) fn fail_for_good(&self, batch: u64, error: PipelineError) {
        self.end(batch, End::Failed { error, fatal: true });
    }

    /// BREAK or RETURN in this batch.
    pub(crate) fn leave(&self, batch: u64, returned: Option<Value>) {
        self.end(batch, End::Left(returned));
    }

    /// The source is idle; nothing is in flight.
    pub(crate) fn idle(&self) {
        *self.end.lock() = Some((NOWHERE, End::Idle));
    }

    fn end(&self, batch: u64, end: End) {
        if let End::Failed { error, .. } = &end {
            self.script.report(error, self.progress.number(), batch);
        }
        {
            let mut first = self.end.lock();
            if first.as_ref().is_none_or(|(earlier, _)| batch < *earlier) {
                *first = Some((batch, end));
            }
        }
        self.kill(batch);
    }

    /// True if this batch ended the generation because one of its records was refused.
    pub(crate) fn is_to_blame(&self, batch: u64) -> bool {
        matches!(
            &*self.end.lock(),
            Some((failed, End::Failed { error, .. })) if *failed == batch && error.class() == ErrorClass::Rejected
        )
    }

    /// Kills this batch and all behind it.
    pub(crate) fn kill(&self, batch: u64) {
        self.horizon.lower(batch);
    }

    /// Kills every batch.
    pub(crate) fn kill_all(&self) {
        self.kill(0);
    }

    /// Waits until this batch is killed.
    pub(crate) async fn killed(&self, batch: u64) {
        self.horizon.wait(|horizon| horizon <= batch).await;
    }

    pub(crate) fn is_killed(&self, batch: u64) -> bool {
        self.horizon.get() <= batch
    }

    /// Waits until any batch is killed: nothing is read any more.
    pub(crate) async fn interrupted(&self) {
        self.horizon.wait(|horizon| horizon != NOWHERE).await;
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.horizon.get() != NOWHERE
    }

    /// Waits until the target claims of the batch's predecessor are final. Its source claim may still commit meanwhile: should that
    /// fail, this batch is killed with its open transactions. A body that reads what it writes waits for the whole commit.
    pub(crate) async fn turn(&self, batch: u64) -> Turn {
        let gate = match self.plan().reads_own_writes {
            true => &self.committed,
            false => &self.delivered,
        };
        gate.wait(|passed| passed + 1 >= batch).await;
        Turn(())
    }

    /// Notes that the target claims of a batch are final.
    pub(crate) fn deliver(&self, batch: u64) {
        self.delivered.set(batch);
    }

    /// Keeps what a committed batch leaves behind. Called before its permit comes back.
    pub(crate) fn commit(&self, batch: u64, variables: Option<Variables>) {
        if let Some(variables) = variables {
            self.progress.set_variables(variables);
        }
        self.progress.committed.store(batch, Relaxed);
        self.delivered.set(batch);
        self.committed.set(batch);
    }

    /// Takes how it ended; `None` means that it was stopped.
    pub(crate) fn take_end(&self) -> Option<End> {
        self.end.lock().take().map(|(_, end)| end)
    }

    pub(crate) fn span(&self) -> Span {
        self.plan().span
    }

    /// Sleeps; woken by stop and by any error.
    pub(crate) async fn pause(&self, pause: Duration) {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = self.interrupted() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// A number that many may wait for. Waiters are woken in the order in which they came, so that a simulation is the same each time
/// (a watch channel wakes them in random order).
struct Gate {
    number: AtomicU64,
    changed: Notify,
}

impl Gate {
    fn new(number: u64) -> Self {
        Self {
            number: AtomicU64::new(number),
            changed: Notify::new(),
        }
    }

    fn get(&self) -> u64 {
        self.number.load(SeqCst)
    }

    fn set(&self, number: u64) {
        self.number.store(number, SeqCst);
        self.changed.notify_waiters();
    }

    fn lower(&self, number: u64) {
        if self.number.fetch_min(number, SeqCst) > number {
            self.changed.notify_waiters();
        }
    }

    async fn wait(&self, condition: impl Fn(u64) -> bool) {
        loop {
            // Made before the look at the number: a change in between is not missed.
            let changed = self.changed.notified();
            if condition(self.get()) {
                return;
            }
            changed.await;
        }
    }
}

/// Tells a panic as the error of a batch.
pub(crate) struct Witness<'a> {
    generation: &'a Generation,
    stage: Stage,
    batch: u64,
}

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let actor = self.stage.name();
            self.generation
                .fail(self.batch, PipelineError::Panic { actor });
        }
    }
}

/// Dies with its actor and tells the pipeline so; a panic is told as one.
pub(crate) struct Tombstone {
    stage: Stage,
    generation: Arc<Generation>,
}

impl Tombstone {
    pub(crate) fn new(stage: Stage, generation: &Arc<Generation>) -> Self {
        Self {
            stage,
            generation: generation.clone(),
        }
    }
}

impl Drop for Tombstone {
    fn drop(&mut self) {
        let generation = &self.generation;
        if std::thread::panicking() {
            let batch = generation.current[self.stage as usize].load(Relaxed);
            generation.fail(
                batch.max(generation.first),
                PipelineError::Panic {
                    actor: self.stage.name(),
                },
            );
        }
        // There is a place for each of the actors; a pipeline that has given up waiting does not listen any more.
        let told = generation.deaths.try_send(self.stage);
        debug_assert!(
            !matches!(told, Err(mpsc::error::TrySendError::Full(_))),
            "one death each"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn a_batch_gets_its_turn_when_its_predecessor_has_committed() {
        let committed = Gate::new(4);
        let turn = |batch| committed.wait(move |committed| committed + 1 >= batch);
        assert!(turn(5).now_or_never().is_some(), "nothing is before it");
        let mut waiting = Box::pin(turn(6));
        assert!(
            waiting.as_mut().now_or_never().is_none(),
            "batch 5 is before it"
        );
        committed.set(5);
        assert!(waiting.now_or_never().is_some());
    }

    #[test]
    fn an_earlier_failure_lowers_the_horizon_and_a_later_one_does_not() {
        let horizon = Gate::new(NOWHERE);
        let mut killed = Box::pin(horizon.wait(|horizon| horizon <= 7));
        assert!(killed.as_mut().now_or_never().is_none());
        horizon.lower(8);
        assert!(
            killed.as_mut().now_or_never().is_none(),
            "batch 7 goes on to its commit"
        );
        horizon.lower(6);
        horizon.lower(9);
        assert!(killed.now_or_never().is_some());
        assert_eq!(horizon.get(), 6);
    }
}
