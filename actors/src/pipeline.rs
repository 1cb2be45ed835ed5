//! A pipeline: spawns its actors from the last stage back, watches them by their tombstones, and restarts it whole.
//!
//! It repairs no actor in place, and it does not rerun what stands before the source.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use dajet_core::Address;
use dajet_lang::machine::{Ended, Variables};
use dajet_lang::plan::PipelineId;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info};

use crate::backoff::{Failures, Verdict};
use crate::batch::RELEASE_LIMIT;
use crate::committer::Committer;
use crate::error::PipelineError;
use crate::generation::{End, Generation, GenerationSpec, Progress, Tombstone};
use crate::invariants::one_generation;
use crate::mailbox::{Next, Permits};
use crate::observe::Doing;
use crate::producer::Producer;
use crate::queue_reader::QueueReader;
use crate::script::{Failure, Script, Tokens};
use crate::transformer::Transformer;

/// How long a killed generation may take to give everything back before it is left alone; only a stop does so.
const ABANDON_AFTER: Duration = RELEASE_LIMIT.saturating_mul(3);

/// The actors of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Reads batches.
    QueueReader,
    /// Runs the body.
    Transformer,
    /// Delivers.
    Producer,
    /// Commits.
    Committer,
}

impl Stage {
    pub(crate) const ALL: [Stage; 4] = [
        Stage::QueueReader,
        Stage::Transformer,
        Stage::Producer,
        Stage::Committer,
    ];

    /// The noun, for messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::QueueReader => "queue reader",
            Stage::Transformer => "transformer",
            Stage::Producer => "producer",
            Stage::Committer => "committer",
        }
    }
}

/// A pipeline that the script wants to be run.
pub(crate) struct Order {
    pub(crate) pipeline: PipelineId,
    /// The database of the source; none for a broker, whose address is evaluated by each generation.
    pub(crate) address: Option<Address>,
    pub(crate) variables: Variables,
}

/// Runs a pipeline until it is stopped, left, idle with `until_idle`, or ended by an error.
pub(crate) async fn run(
    script: &Arc<Script>,
    order: Order,
    tokens: &Tokens,
) -> Result<Ended, Failure> {
    let settings = &script.spec.settings;
    let plan = script.spec.plan.pipeline(order.pipeline);
    let services = &script.spec.services;
    let usual = order.address.as_ref().map_or(1, |a| services.read_ahead(a));
    let permits = Permits::new(settings.permits(plan.strict || plan.feeds_back, usual));
    let gauge = script.spec.observer.pipeline();
    let progress = Arc::new(Progress::new(order.variables, gauge));
    let mut failures = Failures::new(settings);
    // Ends with the pipeline: by a stop, or by an end that the script accepts.
    for number in 1.. {
        if tokens.stop.is_cancelled() || tokens.kill.is_cancelled() {
            break;
        }
        progress.show(Doing::Running);
        let before = progress.committed();
        let end = generation(
            GenerationSpec {
                script: script.clone(),
                pipeline: order.pipeline,
                address: order.address.clone(),
                number,
                progress: progress.clone(),
                permits: permits.clone(),
                stop: tokens.stop.clone(),
            },
            tokens,
        )
        .await;
        if progress.committed() > before {
            failures.forget();
        }
        let error = match end {
            None => break,
            Some(End::Idle) => return Ok(Ended::Stopped),
            Some(End::Left(Some(value))) => return Ok(Ended::Returned(value)),
            Some(End::Left(None)) => return Ok(Ended::Left(progress.variables())),
            Some(End::Failed { error, fatal: true }) => return Err(Failure::of_pipeline(error)),
            Some(End::Failed {
                error,
                fatal: false,
            }) => error,
        };
        if tokens.stop.is_cancelled() {
            break;
        }
        match failures.next(Instant::now(), script.seeds.next()) {
            Verdict::GiveUp => return Err(Failure::given_up(error)),
            Verdict::Pause(pause) => wait(&progress, pause, tokens).await,
        }
        script.spec.observer.retried();
    }
    Ok(Ended::Stopped)
}

async fn wait(progress: &Progress, pause: Duration, tokens: &Tokens) {
    progress.show(Doing::Waiting);
    debug!(
        pause_ms = pause.as_millis() as u64,
        "waits before it tries again"
    );
    tokio::select! {
        biased;
        () = tokens.kill.cancelled() => {}
        () = tokens.stop.cancelled() => {}
        () = tokio::time::sleep(pause) => {}
    }
}

/// Runs one generation to its end: everything it held is back when this returns.
async fn generation(spec: GenerationSpec, tokens: &Tokens) -> Option<End> {
    let permits = spec.permits.clone();
    let started = one_generation(spec.number, permits.in_flight());
    let (generation, mut dead) = Generation::new(spec);
    if let Err(violation) = started {
        generation.fail(generation.first(), violation.into());
        return generation.take_end();
    }
    let script = &generation.script.spec;
    info!(script = %script.name, pipeline = generation.progress.number(), generation = generation.number, "pipeline starts");
    spawn(&generation);
    let ended = async {
        all_dead(&mut dead).await;
        permits.all_back().await;
    };
    tokio::pin!(ended);
    let drained = tokio::select! {
        biased;
        () = &mut ended => true,
        () = killed_or_overdue(&generation, tokens) => false,
    };
    if !drained {
        generation.kill_all();
        // A commit in its course is not cut off; its adapter has a time limit of its own.
        if timeout(ABANDON_AFTER, ended).await.is_err() {
            let held = permits.in_flight();
            tracing::error!(
                held,
                "batches left to their systems: no answer to their release"
            );
        }
    }
    generation.take_end()
}

/// Waits until the generation must not drain any longer.
async fn killed_or_overdue(generation: &Generation, tokens: &Tokens) {
    let overdue = async {
        tokens.stop.cancelled().await;
        generation.script.spec.observer.stopping();
        sleep_until(Instant::now() + generation.script.spec.settings.stop_grace).await;
    };
    tokio::select! {
        biased;
        () = tokens.kill.cancelled() => {}
        () = overdue => {}
    }
}

async fn all_dead(dead: &mut mpsc::Receiver<Stage>) {
    for _ in Stage::ALL {
        // The generation holds a sender: there is always an answer.
        let stage = dead.recv().await;
        debug_assert!(
            stage.is_some(),
            "the channel is open as long as the generation lives"
        );
    }
}

/// Spawns the actors from the last stage back, all on one arbiter. A dead arbiter drops the actor: its tombstone tells.
fn spawn(generation: &Arc<Generation>) {
    let arbiter = generation.script.spec.arbiters.next();
    let mailbox = generation.permits.total() + 1;
    let tombstone = |stage| Tombstone::new(stage, generation);

    let (shared, tomb) = (generation.clone(), tombstone(Stage::Committer));
    let committer = Committer::start_in_arbiter(&arbiter, move |ctx| {
        ctx.set_mailbox_capacity(mailbox);
        Committer::new(shared, tomb)
    });
    let (shared, tomb, next) = (
        generation.clone(),
        tombstone(Stage::Producer),
        Next::new(committer),
    );
    let producer = Producer::start_in_arbiter(&arbiter, move |ctx| {
        // One place more for the part that goes ahead of its batch.
        ctx.set_mailbox_capacity(mailbox + 1);
        Producer::new(shared, tomb, next)
    });
    let (shared, tomb, next) = (
        generation.clone(),
        tombstone(Stage::Transformer),
        Next::new(producer),
    );
    let transformer = Transformer::start_in_arbiter(&arbiter, move |ctx| {
        ctx.set_mailbox_capacity(mailbox);
        Transformer::new(shared, tomb, next)
    });
    let (shared, tomb, next) = (
        generation.clone(),
        tombstone(Stage::QueueReader),
        Next::new(transformer),
    );
    QueueReader::start_in_arbiter(&arbiter, move |_| QueueReader::new(shared, tomb, next));
}

impl Generation {
    /// A message found no place, or nobody to take it: reports what is our own mistake. The batch is killed either way.
    pub(crate) fn refused(&self, batch: u64, full: bool) {
        if full {
            self.fail(
                batch,
                PipelineError::fault("a mailbox is full although permits bound it"),
            );
        } else {
            self.kill(batch);
        }
    }
}
