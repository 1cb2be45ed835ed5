//! Connections are shared: who publishes to one address by the same options shares one, who consumes another, for a connection that is blocked for
//! publishers cannot acknowledge. A connection has so many channels at most, then there is a further one; it ends with its last channel.
//!
//! They live on a runtime of their own, since they outlive each pipeline that uses them.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use dajet_core::{BoxFuture, Identity, SystemError};
use futures::FutureExt;
use futures::future::Shared;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;

use super::address::Target;
use super::link::{CLOSING, Dial, Link};

/// Most channels of a connection at a time.
const CHANNELS_MAX: u16 = 100;
/// Most channels of a connection in its life: the library fails to take up a number again that the broker has closed, and there are 2047.
const CHANNELS_EVER: u16 = 1000;
/// Most connections that are waited for in vain: each of them was full at once.
const ROUNDS: usize = 100;

static SHELVES: Mutex<BTreeMap<Key, Shelf>> = Mutex::new(BTreeMap::new());

static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("rabbitmq")
        .enable_all()
        .build()
});

/// Where connections live.
///
/// # Errors
/// `Transient`: the system has no thread for it.
pub(super) fn runtime() -> Result<&'static Handle, SystemError> {
    RUNTIME.as_ref().map(Runtime::handle).map_err(|error| {
        SystemError::transient("E_AMQP", format!("no thread for rabbitmq: {error}"))
    })
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    Publish,
    Consume,
}

/// Who has the same one shares. Holds the password, and is never printed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    purpose: Purpose,
    identity: Identity,
    password: String,
    certificates: Option<PathBuf>,
    heartbeat: Duration,
    connection_timeout: Duration,
    /// While the broker blocks publishers, the connection ends with the first who waits no longer.
    patience: Duration,
    name: Arc<str>,
}

impl Key {
    fn new(target: &Target, dial: &Dial, purpose: Purpose) -> Self {
        Self {
            purpose,
            identity: target.identity.clone(),
            password: target.password.expose().to_owned(),
            certificates: target.cacertfile.as_ref().map(|path| dial.root.join(path)),
            heartbeat: dial.heartbeat,
            connection_timeout: dial.connection_timeout,
            patience: dial.patience,
            name: dial.name.clone(),
        }
    }
}

/// Connections of one key.
struct Shelf {
    links: Vec<Weak<Link>>,
    /// A connection that is being made. Whoever comes meanwhile waits for it.
    attempt: Option<Attempt>,
    leaving: Leaving,
}

type Attempt = Shared<BoxFuture<'static, Result<Arc<Link>, Arc<SystemError>>>>;

impl Default for Shelf {
    fn default() -> Self {
        Self {
            links: Vec::new(),
            attempt: None,
            leaving: Leaving(Arc::new(watch::Sender::new(0))),
        }
    }
}

impl Shelf {
    fn is_empty(&self) -> bool {
        self.attempt.is_none() && self.links.iter().all(|link| link.strong_count() == 0)
    }
}

/// Counts the channels that are being closed. No other is opened meanwhile, since a message of theirs may still be on its way to the broker.
#[derive(Clone)]
pub(super) struct Leaving(Arc<watch::Sender<usize>>);

impl Leaving {
    /// Counts one, until the answer is dropped.
    pub(super) fn begin(&self) -> Left {
        self.0.send_modify(|count| *count += 1);
        Left(self.clone())
    }

    async fn awaited(&self) {
        let mut count = self.0.subscribe();
        // Who does not answer by then has lost the socket.
        let _ = timeout(CLOSING * 2, count.wait_for(|count| *count == 0)).await;
    }
}

/// One that is being closed.
pub(super) struct Left(Leaving);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

/// A place for one channel on a connection, which lives as long as any.
pub(super) struct Seat {
    link: Arc<Link>,
    leaving: Leaving,
}

impl Seat {
    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    pub(super) fn leaving(&self) -> &Leaving {
        &self.leaving
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.link.stand_up();
    }
}

/// Finds or makes a connection with a seat.
///
/// # Errors
/// Those of [`Link::connect`].
pub(super) async fn seat(
    target: &Target,
    dial: &Dial,
    purpose: Purpose,
) -> Result<Seat, SystemError> {
    let key = Key::new(target, dial, purpose);
    for _ in 0..ROUNDS {
        let attempt = match find(&key, target, dial)? {
            Found::Seat(seat) => {
                seat.leaving.awaited().await;
                if seat.link.is_dead() {
                    continue;
                }
                return Ok(seat);
            }
            Found::Attempt(attempt) => attempt,
        };
        // Held until the next look, or it would end for want of a channel.
        let made = attempt.await;
        if let Err(error) = made.as_ref() {
            return Err(again(error));
        }
        if let Found::Seat(seat) = find(&key, target, dial)? {
            seat.leaving.awaited().await;
            if !seat.link.is_dead() {
                return Ok(seat);
            }
        }
    }
    let message = format!("no channel is free at \"{}\"", target.place());
    Err(SystemError::transient("E_AMQP", message))
}

enum Found {
    Seat(Seat),
    Attempt(Attempt),
}

fn find(key: &Key, target: &Target, dial: &Dial) -> Result<Found, SystemError> {
    // Dropped behind the lock: with the last handle the connection ends.
    let mut seen = Vec::new();
    let mut shelves = SHELVES.lock();
    if !shelves.contains_key(key) {
        shelves.retain(|_, shelf| !shelf.is_empty());
    }
    let shelf = shelves.entry(key.clone()).or_default();
    shelf.links.retain(|link| link.strong_count() > 0);
    for link in shelf.links.iter().filter_map(Weak::upgrade) {
        if link.sit(CHANNELS_MAX, CHANNELS_EVER) {
            let leaving = shelf.leaving.clone();
            let seat = Seat { link, leaving };
            drop(shelves);
            return Ok(Found::Seat(seat));
        }
        seen.push(link);
    }
    if let Some(attempt) = &shelf.attempt {
        return Ok(Found::Attempt(attempt.clone()));
    }
    let attempt = connect(key.clone(), target.clone(), dial.clone())?;
    shelf.attempt = Some(attempt.clone());
    Ok(Found::Attempt(attempt))
}

/// Begins to connect; goes on even if nobody waits any more.
fn connect(key: Key, target: Target, dial: Dial) -> Result<Attempt, SystemError> {
    let work = runtime()?.spawn(async move {
        let made = Link::connect(&target, &dial).await.map(Arc::new);
        let mut shelves = SHELVES.lock();
        if let Some(shelf) = shelves.get_mut(&key) {
            shelf.attempt = None;
            if let Ok(link) = &made {
                shelf.links.push(Arc::downgrade(link));
            }
        }
        drop(shelves);
        made.map_err(Arc::new)
    });
    let awaited = async move {
        work.await.unwrap_or_else(|error| {
            let fault = SystemError::fault("a connection was given up while it was made");
            Err(Arc::new(fault.with_source(error)))
        })
    };
    let awaited: BoxFuture<'static, _> = Box::pin(awaited);
    Ok(awaited.shared())
}

/// The same error for one more who has waited.
fn again(error: &SystemError) -> SystemError {
    let mut told = SystemError::new(error.class, error.code, error.message.clone());
    told.native_code.clone_from(&error.native_code);
    told.hint.clone_from(&error.hint);
    told
}
