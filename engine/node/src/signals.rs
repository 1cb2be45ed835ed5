//! SIGTERM and SIGINT: the first drains, the second ends the process at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::error::Exit;

/// What the signals have asked for.
#[derive(Clone, Default)]
pub struct Signals {
    /// Cancelled by the first signal.
    pub stop: CancellationToken,
    interrupted: Arc<AtomicBool>,
}

impl Signals {
    /// True if SIGINT asked for the end.
    pub fn interrupted(&self) -> bool {
        self.interrupted.load(Relaxed)
    }

    /// Listens in a task of its own. The second signal ends the process without any return.
    ///
    /// # Errors
    /// If the operating system refuses to deliver signals.
    pub fn listen(&self) -> io::Result<JoinHandle<()>> {
        let mut source = Listener::new()?;
        let signals = self.clone();
        Ok(tokio::spawn(async move {
            signals.interrupted.store(source.next().await, Relaxed);
            // Who reads the line may ask for the health at once.
            signals.stop.cancel();
            tracing::info!(
                "stopping: the batch in progress is finished, a second signal ends at once"
            );
            source.next().await;
            std::process::exit(Exit::Interrupted as i32)
        }))
    }
}

#[cfg(unix)]
struct Listener {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Listener {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for a signal; true for SIGINT.
    async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.interrupt.recv() => true,
            _ = self.terminate.recv() => false,
        }
    }
}

#[cfg(not(unix))]
struct Listener;

#[cfg(not(unix))]
impl Listener {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> bool {
        match tokio::signal::ctrl_c().await {
            Ok(()) => true,
            // No signal will ever come.
            Err(_) => std::future::pending().await,
        }
    }
}
