//! The node: one actix system, one arbiter per core, one set of services; scripts run on it.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_rt::{System, SystemRunner};
use dajet_actors::{Arbiters, Outcome, ScriptSpec, Services};
use dajet_core::{Connectors, Environment};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::board::{Board, Row};
use crate::config::Settings;
use crate::error::HostError;
use crate::progress::{REDRAW, Watch};
use crate::screen::Screen;
use crate::signals::Signals;
use crate::web;

/// How long a script may take, after its grace period, to give back what it holds.
const RELEASE_GRACE: Duration = Duration::from_secs(5);

/// All connectors of this node.
pub fn connectors() -> Connectors {
    dajet_adapters::registry::connectors()
}

/// The services of this node; nothing is opened yet.
pub fn services(settings: &Settings) -> Services {
    let environment = Environment {
        root: settings.root.clone(),
        command_timeout: settings.command_timeout,
        session_name: format!("dajet@{}", host_name()).into(),
    };
    Services::new(connectors(), environment)
}

/// The name of this machine, by which servers tell the sessions of several nodes apart.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME"))
        .or_else(|_| std::env::var("COMPUTERNAME"));
    name.map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

/// Runs a future to its end on the node's runtime, outside of any script.
///
/// # Errors
/// If the runtime cannot start.
pub fn block_on<T>(future: impl Future<Output = T>) -> Result<T, HostError> {
    Ok(runtime()?.block_on(future))
}

/// How a script ended.
pub enum End {
    /// As the script's actors say.
    Outcome(Outcome),
    /// It did not end within its grace period.
    Hung,
    /// Its task was lost to a panic.
    Lost,
}

/// The actix system and its arbiters.
pub struct Node {
    system: SystemRunner,
    arbiters: Arbiters,
}

/// What a run of scripts needs besides them.
pub struct Surroundings<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// Where progress is shown.
    pub screen: &'a Screen,
    /// What asks for the end.
    pub signals: &'a Signals,
    /// What is shown to whoever asks.
    pub board: Arc<Board>,
}

/// A script to be run, and its place on the board.
pub struct Start {
    /// The script.
    pub spec: ScriptSpec,
    /// Its place.
    pub row: Arc<Row>,
}

impl Node {
    /// Starts the system on this thread, and a thread for each core.
    ///
    /// # Errors
    /// If the runtime cannot start.
    pub fn start() -> Result<Self, HostError> {
        let runtime = runtime()?;
        let system = System::with_tokio_rt(|| runtime);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Each arbiter has a runtime of its own: the sessions of a pipeline are driven on the thread of its actors, which saves
        // a wake-up for every answer (a third of the CPU for each row).
        let arbiters = Arbiters::new(cores);
        Ok(Self { system, arbiters })
    }

    /// The threads that actors live on.
    pub fn arbiters(&self) -> Arbiters {
        self.arbiters.clone()
    }

    /// Runs the scripts together until all have ended, and answers what they do at `status`. `on_end` is called for each as it
    /// ends, with its index, how it ended and a watch that holds its summary.
    ///
    /// # Errors
    /// If signals cannot be listened to, or the status cannot be served.
    pub fn run(
        self,
        scripts: Vec<Start>,
        status: Option<TcpListener>,
        surroundings: &Surroundings<'_>,
        on_end: impl FnMut(usize, End, Watch),
    ) -> Result<(), HostError> {
        self.system.block_on(async {
            let server = status
                .map(|listener| web::serve(listener, surroundings.board.clone()))
                .transpose()
                .map_err(|source| HostError::Start {
                    what: "the status",
                    source,
                })?;
            let handle = server.map(|server| {
                let handle = server.handle();
                actix_rt::spawn(server);
                handle
            });
            let ran = run_all(scripts, surroundings, on_end).await;
            if let Some(handle) = handle {
                handle.stop(false).await;
            }
            ran
        })
    }
}

/// The runtime of the root programs and of what they open. It lives until the process ends, since the threads that use it must not
/// be those that drop it.
fn runtime() -> Result<&'static Runtime, HostError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| HostError::Start {
            what: "the runtime",
            source,
        })?;
    Ok(Box::leak(Box::new(runtime)))
}

async fn run_all(
    scripts: Vec<Start>,
    surroundings: &Surroundings<'_>,
    mut on_end: impl FnMut(usize, End, Watch),
) -> Result<(), HostError> {
    let Surroundings {
        settings,
        screen,
        signals,
        board: _,
    } = surroundings;
    let listener = signals.listen().map_err(|source| HostError::Start {
        what: "listening to signals",
        source,
    })?;
    let kill = CancellationToken::new();
    let mut ends = JoinSet::new();
    let mut watches = BTreeMap::new();
    for (index, Start { spec, row }) in scripts.into_iter().enumerate() {
        watches.insert(index, Watch::new(row, screen, Instant::now()));
        let script = dajet_actors::run(spec, signals.stop.clone(), kill.clone());
        let task = tokio::task::spawn_local(script);
        ends.spawn_local(async move { (index, task.await.map_or(End::Lost, End::Outcome)) });
    }
    let mut redraw = tokio::time::interval(REDRAW);
    let mut patience = pin!(patience(settings.pipeline.stop_grace, signals, &kill));
    loop {
        tokio::select! {
            ended = ends.join_next() => match ended {
                Some(Ok((index, end))) => {
                    if let Some(watch) = watches.remove(&index) {
                        on_end(index, end, watch);
                    }
                }
                Some(Err(error)) => tracing::error!(%error, "a script's end is unknown"),
                None => break,
            },
            _ = redraw.tick() => watches.values_mut().for_each(|watch| watch.tick(Instant::now())),
            () = &mut patience => break,
        }
    }
    for (index, watch) in watches {
        on_end(index, End::Hung, watch);
    }
    listener.abort();
    Ok(())
}

/// Ends when a script that was told to stop has had its grace period, then was told to release, and still runs.
async fn patience(grace: Duration, signals: &Signals, kill: &CancellationToken) {
    signals.stop.cancelled().await;
    tokio::time::sleep(grace + RELEASE_GRACE).await;
    kill.cancel();
    tokio::time::sleep(RELEASE_GRACE).await;
}
