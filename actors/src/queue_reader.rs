//! The first stage: takes a permit, reads, sends on. It ends by itself: by stop, by an error anywhere, or when the source is idle.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use dajet_core::{
    Address, Limit, Read, Record, Service, Severity, Source, SourceSpec, SystemError,
};
use dajet_lang::{Bound, Knowledge, SourceParameters, SourceStart, bind};
use tracing::Instrument;

use crate::batch::{Claimed, ReadBatch};
use crate::claims;
use crate::codes;
use crate::error::PipelineError;
use crate::generation::{Generation, Tombstone};
use crate::mailbox::{Next, Permit, Refused};
use crate::observe::Doing;
use crate::pipeline::Stage;
use crate::script;

/// How long a read in its course may take to end after a stop; then its session is closed.
const READ_GRACE: Duration = Duration::from_secs(1);

/// Longest pause before a broker that had nothing is asked again.
const BROKER_PAUSE: Duration = Duration::from_millis(10);

/// Reads batches from the source.
pub(crate) struct QueueReader {
    work: Option<Work>,
    _tombstone: Tombstone,
}

impl QueueReader {
    pub(crate) fn new(
        generation: Arc<Generation>,
        tombstone: Tombstone,
        next: Next<ReadBatch>,
    ) -> Self {
        let batch = generation.first();
        // A predecessor may hold as many batches as there are permits.
        let unsettled = generation.permits.total();
        let work = Work {
            generation,
            next,
            batch,
            unsettled,
            deciding: false,
        };
        Self {
            work: Some(work),
            _tombstone: tombstone,
        }
    }
}

impl Actor for QueueReader {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(work) = self.work.take() else { return };
        let span = work.generation.log_span();
        let run = work.run().instrument(span).into_actor(self);
        ctx.spawn(run.map(|(), _, ctx| ctx.stop()));
    }
}

struct Work {
    generation: Arc<Generation>,
    next: Next<ReadBatch>,
    /// Number of the batch that is read next.
    batch: u64,
    /// Reads that are still to come in earnest: sessions of the generation before, or of the process before, may hold rows of as
    /// many batches as there are permits, and rows behind them that are read earlier would break the order.
    unsettled: usize,
    /// The next read decides whether the source is idle.
    deciding: bool,
}

/// The source and the values of its parameters.
struct Opened {
    /// The database; none for a broker.
    service: Option<Arc<dyn Service>>,
    source: Box<dyn Source>,
    /// The statement of a table; none for a broker.
    bound: Option<Bound>,
    parameters: Record,
    /// What the database has told of names in TOP and WHERE.
    knowledge: Knowledge,
    strict: bool,
    feeds_back: bool,
}

/// What follows a read.
enum Follows {
    Read,
    End,
}

impl Work {
    async fn run(mut self) {
        let generation = self.generation.clone();
        generation.handles(Stage::QueueReader, self.batch);
        let opened = tokio::select! {
            biased;
            () = generation.stop.cancelled() => return,
            () = generation.interrupted() => return,
            opened = self.open() => opened,
        };
        let result = match opened {
            Ok(mut opened) => {
                let read = self.read_on(&mut opened).await;
                // The error is told first: what is open behind it is given back meanwhile.
                self.tell(read);
                // A successor waits for nobody who has taken leave.
                opened.source.close().await;
                return;
            }
            Err(failure) => Err(failure),
        };
        self.tell(result);
    }

    fn tell(&self, result: Result<(), Failed>) {
        let generation = &self.generation;
        match result {
            Ok(()) => {}
            Err(Failed {
                error,
                fatal: false,
            }) => generation.fail(self.batch, error),
            Err(Failed { error, fatal: true }) => generation.fail_for_good(self.batch, error),
        }
    }

    async fn open(&self) -> Result<Opened, Failed> {
        match &self.generation.address {
            Some(address) => self.open_table(address).await,
            None => self.open_broker(),
        }
    }

    /// Evaluates the address and the options of the broker and opens it.
    fn open_broker(&self) -> Result<Opened, Failed> {
        let generation = &*self.generation;
        let script = &generation.script;
        let start = SourceStart {
            variables: &generation.progress.variables(),
            environment: &script.spec.environment,
            clock: script::now(),
            seed: script.seeds.next(),
            permits: generation.permits.total(),
        };
        let spec = script.spec.plan.broker_spec(generation.pipeline, start);
        let Some(spec) = spec.map_err(|error| Failed::retried(error.into()))? else {
            return Err(
                PipelineError::fault("a source has neither a database nor a broker").into(),
            );
        };
        let source = script.spec.services.broker(&spec);
        let mut source = source.map_err(|error| PipelineError::system(error, generation.span()))?;
        source.show(&generation.progress.signs());
        Ok(Opened {
            service: None,
            source,
            bound: None,
            parameters: Record::new(),
            knowledge: Knowledge::default(),
            strict: false,
            feeds_back: false,
        })
    }

    /// Describes the table, binds the source and opens it.
    async fn open_table(&self, address: &Address) -> Result<Opened, Failed> {
        let generation = &*self.generation;
        let (script, plan) = (&generation.script, generation.plan());
        let span = script.spec.plan.statement(plan.source).span;
        let system = |error: SystemError| Failed::retried(PipelineError::system(error, span));
        let service = claims::open(generation, address, span)?;
        let names = script.spec.plan.statement(plan.source).names();
        let schema = script.describe(&service, &names).await.map_err(system)?;
        let refused = |error: PipelineError| Failed {
            fatal: error.is_mistake() && !script.was_bound(plan.source),
            error,
        };
        let bound = bind(&script.spec.plan, plan.source, &schema).map_err(|diagnostics| {
            service.forget();
            refused(PipelineError::Bind { diagnostics })
        })?;
        let source = service
            .source(SourceSpec {
                statement: Arc::clone(&bound.statement),
                session_name: script.session_name(),
                permits: generation.permits.total(),
            })
            .map_err(|error| refused(PipelineError::system(error, span)))?;
        bound
            .warnings
            .iter()
            .for_each(|warning| script.warn(warning));
        script.bound(plan.source);
        // behind the binding: an update between the two is noticed by the first batch
        let kept = codes::keep(&generation.progress, address, &*service).await;
        kept.map_err(system)?;
        let mut opened = Opened {
            service: Some(service),
            source,
            bound: Some(bound),
            parameters: Record::new(),
            knowledge: Knowledge::default(),
            strict: plan.strict,
            feeds_back: plan.feeds_back,
        };
        self.evaluate(&mut opened).await?;
        Ok(opened)
    }

    /// Evaluates the parameters over the variables as the latest commit left them.
    async fn evaluate(&self, opened: &mut Opened) -> Result<(), Failed> {
        let generation = &self.generation;
        let script = &generation.script;
        let variables = generation.progress.variables();
        loop {
            let (plan, knowledge) = (&script.spec.plan, &mut opened.knowledge);
            let parameters = plan.source_parameters(generation.pipeline, &variables, knowledge);
            let question = match parameters.map_err(|error| Failed::retried(error.into()))? {
                SourceParameters::Values(values) => {
                    opened.parameters = match &opened.bound {
                        Some(bound) => bound.adapt(values),
                        None => values,
                    };
                    return Ok(());
                }
                SourceParameters::Ask(question) => question,
            };
            let known = script.look_up(&question).await?;
            if let Some(found) = plan.judge(&question, &known) {
                if found.severity == Severity::Error {
                    return Err(Failed {
                        fatal: !script.has_known(&question),
                        error: PipelineError::Bind {
                            diagnostics: vec![found],
                        },
                    });
                }
                script.warn(&found);
            }
            script.knew(&question);
            opened.knowledge.learn(question, known);
        }
    }

    async fn read_on(&mut self, opened: &mut Opened) -> Result<(), Failed> {
        let generation = self.generation.clone();
        loop {
            let earnest = self.unsettled > 0 || self.deciding || opened.strict;
            if earnest && !self.alone().await {
                return Ok(());
            }
            let permit = tokio::select! {
                biased;
                () = generation.stop.cancelled() => return Ok(()),
                () = generation.interrupted() => return Ok(()),
                permit = generation.permits.take() => permit,
            };
            if opened.feeds_back {
                self.evaluate(opened).await?;
            }
            let bytes = generation.script.spec.settings.batch_bytes;
            let limit = Limit {
                bytes,
                wait_for_locked: earnest,
            };
            let Some(read) = self.read(opened, limit).await? else {
                return Ok(());
            };
            self.unsettled = self.unsettled.saturating_sub(1);
            self.deciding = false;
            let follows = match read {
                Read::Batch {
                    records,
                    keys,
                    claim,
                } => {
                    let shown = generation.script.spec.observer.batch_in_flight();
                    let batch = self.batch;
                    self.send(ReadBatch::new(Claimed {
                        records,
                        keys,
                        claim,
                        permit,
                        shown,
                        batch,
                    }))
                    .await
                }
                Read::Empty { complete } => self.rest(permit, earnest, complete).await,
            };
            if matches!(follows, Follows::End) {
                return Ok(());
            }
        }
    }

    /// Reads; `None` if the generation ends before the read does.
    async fn read(&self, opened: &mut Opened, limit: Limit) -> Result<Option<Read>, Failed> {
        let generation = &*self.generation;
        let overdue = async {
            generation.stop.cancelled().await;
            tokio::time::sleep(READ_GRACE).await;
        };
        let read = tokio::select! {
            biased;
            read = opened.source.read(limit, &opened.parameters) => read,
            () = generation.interrupted() => return Ok(None),
            () = overdue => return Ok(None),
        };
        let span = generation.span();
        read.map(Some).map_err(|error| {
            let error = match &opened.service {
                Some(service) => claims::failed(service, error, span),
                None => PipelineError::system(error, span),
            };
            error.into()
        })
    }

    async fn send(&mut self, batch: ReadBatch) -> Follows {
        let generation = &*self.generation;
        generation.progress.show(Doing::Running);
        if generation.stop.is_cancelled() || generation.is_interrupted() {
            batch.fail().release(generation).await;
            return Follows::End;
        }
        let id = batch.id();
        match self.next.try_send(batch) {
            Ok(()) => {
                self.batch += 1;
                generation.handles(Stage::QueueReader, self.batch);
                Follows::Read
            }
            Err(refused) => {
                let full = matches!(refused, Refused::Full(_));
                let (Refused::Full(batch) | Refused::Closed(batch)) = refused;
                generation.refused(id, full);
                batch.fail().release(generation).await;
                Follows::End
            }
        }
    }

    /// Nothing was there to read. The source is idle if a read in earnest skipped nothing.
    async fn rest(&mut self, permit: Permit, earnest: bool, complete: bool) -> Follows {
        drop(permit);
        let idle = earnest && complete;
        let generation = &*self.generation;
        generation.progress.show(Doing::Idle);
        if idle {
            self.unsettled = 0;
        }
        let settings = &generation.script.spec.settings;
        if settings.until_idle && idle {
            generation.idle();
            return Follows::End;
        }
        if settings.until_idle && !earnest {
            self.deciding = true;
        } else {
            generation.pause(self.idle_delay()).await;
        }
        Follows::Read
    }

    /// The pause before an empty source is read again. A broker waits for messages by itself: it is asked again soon.
    fn idle_delay(&self) -> Duration {
        let delay = self.generation.script.spec.settings.idle_delay;
        match self.generation.address {
            Some(_) => delay,
            None => delay.min(BROKER_PAUSE),
        }
    }

    /// Waits until nothing is in flight: a read that waits for locked rows must not wait for our own, and a batch that fails comes
    /// back. False if the generation ends before.
    async fn alone(&self) -> bool {
        let generation = &*self.generation;
        tokio::select! {
            biased;
            () = generation.stop.cancelled() => false,
            () = generation.interrupted() => false,
            () = generation.permits.all_back() => true,
        }
    }
}

/// An error of the reader; a fatal one ends the script.
struct Failed {
    error: PipelineError,
    fatal: bool,
}

impl Failed {
    fn retried(error: PipelineError) -> Self {
        Self {
            error,
            fatal: false,
        }
    }
}

impl From<PipelineError> for Failed {
    fn from(error: PipelineError) -> Self {
        Self::retried(error)
    }
}
