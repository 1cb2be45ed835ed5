//! A channel of our own on a connection that is shared: what fails here ends here. Only a broker that does not even answer the goodbye of a channel
//! loses the connection, and with it all the others that it does not answer either.
//!
//! Three habits of the library shape this. It closes a channel ahead of messages that it has not yet sent, which then end the connection: so
//! those are waited for. A consumer or channel dropped while the broker closes it ends the connection, too: so each is closed first and dropped
//! then. And it does not say which channel the broker has closed, and why: so the first cause that a call tells is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use dajet_core::SystemError;
use lapin::{Channel, Error};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::address::Target;
use super::error;
use super::link::{CLOSING, Dial, Link};
use super::pool::{self, Left, Purpose, Seat};

/// A channel and its share of the connection.
pub(super) struct Line {
    channel: Channel,
    seat: Arc<Seat>,
    place: Arc<str>,
    call_timeout: Duration,
    /// Number under which the connection shows that it is blocked.
    shown: u64,
    /// Messages that the library has not yet sent.
    unsent: AtomicUsize,
    ended: AtomicBool,
    leaving: Mutex<Option<Left>>,
    /// What has ended the channel.
    cause: Mutex<Option<Error>>,
}

impl Line {
    /// Opens a channel, and a connection if none is there that has room.
    ///
    /// # Errors
    /// `Transient`, or `Misconfigured` if the broker refuses user or virtual host, its certificate is not trusted, or it allows no channels.
    pub(super) async fn open(
        target: &Target,
        dial: &Dial,
        purpose: Purpose,
    ) -> Result<Self, SystemError> {
        let seat = pool::seat(target, dial, purpose).await?;
        let link = seat.link();
        let place = link.place().clone();
        let attempt = format!("cannot open a channel at \"{place}\"");
        let channel = match timeout(dial.call_timeout, link.channel()).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(error)) => {
                let cause = link.cause().filter(|_| error::is_consequence(&error));
                return Err(error::failed(&attempt, cause.as_ref().unwrap_or(&error)));
            }
            Err(_) => {
                let waited = dial.call_timeout;
                let blocked = link.blocked();
                // What waits until publishers are let in again is not the connection's fault.
                if blocked.is_none() {
                    link.pull();
                }
                return Err(silent(&attempt, blocked, waited));
            }
        };
        let shown = link.show(&dial.signs);
        Ok(Self {
            channel,
            seat: Arc::new(seat),
            place,
            call_timeout: dial.call_timeout,
            shown,
            unsent: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            leaving: Mutex::new(None),
            cause: Mutex::new(None),
        })
    }

    /// `host:port/vhost`, for messages.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Waits for the answer of the broker: `doing` completes "cannot".
    ///
    /// # Errors
    /// Any class; after a time-out the channel is given up.
    pub(super) async fn call<T>(
        &self,
        doing: &str,
        answer: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, SystemError> {
        match timeout(self.call_timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.failed(doing, &error)),
            Err(_) => {
                // Why the broker is silent is forgotten with the connection.
                let silent = self.silent(doing, self.call_timeout);
                self.end(());
                Err(silent)
            }
        }
    }

    /// The error of a call; a mere consequence is told by its cause.
    pub(super) fn failed(&self, doing: &str, error: &Error) -> SystemError {
        let attempt = format!("cannot {doing} at \"{}\"", self.place);
        if !error::is_consequence(error) {
            self.cause.lock().get_or_insert_with(|| error.clone());
            return error::failed(&attempt, error);
        }
        let cause = self.cause.lock().clone();
        let cause = cause.or_else(|| self.link().cause());
        error::failed(&attempt, cause.as_ref().unwrap_or(error))
    }

    /// The error of a broker that does not answer.
    pub(super) fn silent(&self, doing: &str, waited: Duration) -> SystemError {
        let attempt = format!("cannot {doing} at \"{}\"", self.place);
        silent(&attempt, self.blocked(), waited)
    }

    /// Why the broker blocks publishers, if it does.
    pub(super) fn blocked(&self) -> Option<String> {
        self.link().blocked()
    }

    /// True if it has ended, or the channel or the connection is lost.
    pub(super) fn is_dead(&self) -> bool {
        self.ended.load(Ordering::Acquire)
            || self.link().is_dead()
            || !self.channel.status().connected()
    }

    /// Counts a message that the library is given to send.
    pub(super) fn sending(&self) {
        self.unsent.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts a message that is sent, or never will be.
    pub(super) fn sent(&self) {
        self.unsent.fetch_sub(1, Ordering::AcqRel);
    }

    /// Messages that the library has not yet sent.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.load(Ordering::Acquire)
    }

    /// Lets nobody open a channel on this connection until this one is closed, which is about to be.
    pub(super) fn will_end(&self) {
        let mut leaving = self.leaving.lock();
        if !self.ended.load(Ordering::Acquire) {
            leaving.get_or_insert_with(|| self.seat.leaving().begin());
        }
    }

    /// Closes the channel and waits until the broker has done so: what was delivered on it is given back then. Goes on if this is dropped.
    ///
    /// # Errors
    /// `Transient`: it does not answer.
    pub(super) async fn close(&self, kept: impl Send + 'static) -> Result<(), SystemError> {
        let Some(work) = self.end(kept) else {
            return Ok(());
        };
        match work.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.silent("close a channel", CLOSING)),
            Err(error) => {
                let fault = SystemError::fault("a channel was given up while it was closed");
                Err(fault.with_source(error))
            }
        }
    }

    /// Begins to close the channel, and drops `kept` when that is done; the answer tells if the broker has heard it.
    pub(super) fn end(&self, kept: impl Send + 'static) -> Option<JoinHandle<bool>> {
        if self.ended.swap(true, Ordering::AcqRel) {
            return None;
        }
        let left = self.leaving.lock().take();
        let given_up = left.is_some();
        let left = left.unwrap_or_else(|| self.seat.leaving().begin());
        let link = self.link();
        link.forget(self.shown);
        let runtime = pool::runtime().ok()?;
        let (channel, seat) = (self.channel.clone(), self.seat.clone());
        // The rest of a message that was begun would end the connection, and in a worse moment.
        let torn = self.unsent() > 0;
        Some(runtime.spawn(async move {
            let heard = goodbye(&channel, seat.link(), torn, given_up).await;
            drop((kept, channel));
            drop((left, seat));
            heard
        }))
    }

    fn link(&self) -> &Link {
        self.seat.link()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.end(());
    }
}

/// The error of a broker that does not answer: `attempt` says what was attempted.
fn silent(attempt: &str, blocked: Option<String>, waited: Duration) -> SystemError {
    match blocked {
        Some(reason) => SystemError::transient(
            "E_AMQP",
            format!("{attempt}: the broker blocks publishers for {waited:?} ({reason})"),
        )
        .with_hint("It lacks memory or disk space."),
        None => SystemError::transient("E_AMQP", format!("{attempt}: no answer within {waited:?}")),
    }
}

/// Closes a channel; false if the broker does not answer. The connection goes then, unless it is blocked and no batch was given up: what waits to be
/// sent is only the goodbye.
async fn goodbye(channel: &Channel, link: &Link, torn: bool, given_up: bool) -> bool {
    // Lost, or closed by the broker: there is nobody to talk to.
    if link.is_dead() || !channel.status().connected() {
        return true;
    }
    if torn {
        link.pull();
        return true;
    }
    match timeout(CLOSING, channel.close(200, "bye".into())).await {
        // An error tells that it has ended otherwise meanwhile.
        Ok(_) => true,
        Err(_) => {
            if given_up || link.blocked().is_none() {
                link.pull();
            }
            false
        }
    }
}
