//! What a client has heard of its brokers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::error::RDKafkaErrorCode as Code;
use tokio::time::Instant;
use tracing::Span;

/// Whether the brokers answer, and the last complaint.
pub(super) struct Health {
    /// Of whoever has made the client: its threads know nothing of it.
    span: Span,
    brokers: Arc<str>,
    /// True while no broker can be reached: asked for each message.
    down: AtomicBool,
    /// Since when.
    outage: Mutex<Option<Instant>>,
    last_error: Mutex<Option<(Code, String)>>,
}

impl Health {
    pub(super) fn new(brokers: Arc<str>) -> Self {
        Self {
            span: Span::current(),
            brokers,
            down: AtomicBool::new(false),
            outage: Mutex::default(),
            last_error: Mutex::default(),
        }
    }

    /// The broker list.
    pub(super) fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Notes a complaint of the library.
    pub(super) fn note(&self, code: Code, reason: &str) {
        if code == Code::AllBrokersDown {
            self.begin_outage();
        } else {
            *self.last_error.lock() = Some((code, reason.to_owned()));
        }
    }

    /// Says once per outage that no broker answers.
    pub(super) fn begin_outage(&self) {
        let mut outage = self.outage.lock();
        if outage.is_none() {
            *outage = Some(Instant::now());
            self.down.store(true, Ordering::Relaxed);
            let reason = self
                .last_error()
                .map_or(String::new(), |(_, reason)| reason);
            self.span.in_scope(|| {
                tracing::warn!(brokers = %self.brokers, reason, "no kafka broker can be reached");
            });
        }
    }

    /// Notes that a broker answers.
    pub(super) fn end_outage(&self) {
        if self.down.load(Ordering::Relaxed) && self.outage.lock().take().is_some() {
            self.down.store(false, Ordering::Relaxed);
            self.span
                .in_scope(|| tracing::info!(brokers = %self.brokers, "kafka broker answers again"));
        }
    }

    /// How long no broker has been reached.
    pub(super) fn outage(&self) -> Option<Duration> {
        self.outage.lock().map(|since| since.elapsed())
    }

    /// The library's last complaint of a connection.
    pub(super) fn last_error(&self) -> Option<(Code, String)> {
        self.last_error.lock().clone()
    }
}
