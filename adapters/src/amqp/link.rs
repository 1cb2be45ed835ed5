//! A connection to a broker, shared by [lines](super::line) and ended when we say so: one that is pulled takes its socket along, so that a broker
//! that does not answer cannot hold the library's thread, and gives back what it has delivered.

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dajet_core::SystemError;
use dajet_core::signs::{Blocked, Signs};
use futures::StreamExt;
use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, Error, Event};
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::address::Target;
use super::error;
use super::pool;

/// How long the broker may take to say goodbye.
pub(super) const CLOSING: Duration = Duration::from_secs(5);

/// How a connection is made.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    /// Seconds between signs of life.
    pub(super) heartbeat: Duration,
    /// Longest wait for the connection.
    pub(super) connection_timeout: Duration,
    /// Longest wait for an answer.
    pub(super) call_timeout: Duration,
    /// Longest wait for confirmations.
    pub(super) patience: Duration,
    /// Name at the broker.
    pub(super) name: Arc<str>,
    /// Where relative paths start.
    pub(super) root: PathBuf,
    /// Where it is shown that the broker blocks publishers.
    pub(super) signs: Signs,
}

/// What the broker has told besides answers.
#[derive(Default)]
struct Told {
    /// Why it blocks publishers, while it does.
    blocked: Option<String>,
    /// Who is shown that, by number.
    watched: BTreeMap<u64, (Signs, Option<Blocked>)>,
    watchers: u64,
    /// Why it has closed the connection.
    error: Option<Error>,
}

impl Told {
    fn block(&mut self, place: &str, reason: String) {
        for (signs, sign) in self.watched.values_mut() {
            *sign = Some(signs.block(&sentence(place, &reason)));
        }
        self.blocked = Some(reason);
    }

    fn unblock(&mut self) {
        self.blocked = None;
        for (_, sign) in self.watched.values_mut() {
            *sign = None;
        }
    }
}

fn sentence(place: &str, reason: &str) -> String {
    format!("\"{place}\" blocks publishers: {reason}")
}

/// A connection.
pub(super) struct Link {
    connection: Option<Connection>,
    plug: Plug,
    dead: AtomicBool,
    told: Arc<Mutex<Told>>,
    watch: AbortHandle,
    place: Arc<str>,
    seats: Mutex<Seats>,
}

/// Channels of a connection.
#[derive(Default)]
struct Seats {
    taken: u16,
    ever: u16,
}

/// A second handle of the connection's socket.
type Plug = Arc<Mutex<Option<TcpStream>>>;

impl Link {
    /// Connects. To be called on the runtime of the [`pool`].
    ///
    /// # Errors
    /// `Transient`, or `Misconfigured` if the broker refuses user or virtual host, or its certificate is not trusted.
    pub(super) async fn connect(target: &Target, dial: &Dial) -> Result<Self, SystemError> {
        let place = target.place();
        let attempt = format!("cannot connect to \"{place}\"");
        let plug = Plug::default();
        let made = timeout(dial.connection_timeout, open(target, dial, plug.clone())).await;
        let connection = match made {
            Ok(Ok(connection)) => connection,
            Ok(Err(Opening::Library(error))) => return Err(error::failed(&attempt, &error)),
            Ok(Err(Opening::Certificates(error))) => return Err(error),
            Err(_) => {
                pull(&plug);
                let message = format!("{attempt} within {:?}", dial.connection_timeout);
                return Err(SystemError::transient("E_AMQP", message));
            }
        };
        let told = Arc::new(Mutex::new(Told::default()));
        let listened = listen(connection.events_listener(), told.clone(), place.clone());
        let watch = tokio::spawn(listened).abort_handle();
        Ok(Self {
            connection: Some(connection),
            plug,
            dead: AtomicBool::new(false),
            told,
            watch,
            place,
            seats: Mutex::default(),
        })
    }

    /// `host:port/vhost`, for messages.
    pub(super) fn place(&self) -> &Arc<str> {
        &self.place
    }

    /// Takes a seat, of at most `at_once` at a time and `ever` in all; false if there is none, or the connection is no more.
    pub(super) fn sit(&self, at_once: u16, ever: u16) -> bool {
        let Some(connection) = self.connection.as_ref().filter(|_| !self.is_dead()) else {
            return false;
        };
        // The library counts to the most that the broker allows, then again from one.
        let channel_max = connection.configuration().channel_max();
        let (at_once, ever) = (at_once.min(channel_max), ever.min(channel_max));
        let mut seats = self.seats.lock();
        let free = seats.taken < at_once && seats.ever < ever;
        if free {
            seats.taken += 1;
            seats.ever += 1;
        }
        free
    }

    /// Gives a seat back.
    pub(super) fn stand_up(&self) {
        self.seats.lock().taken -= 1;
    }

    /// Opens a channel.
    ///
    /// # Errors
    /// Those of the library.
    pub(super) async fn channel(&self) -> lapin::Result<Channel> {
        let connection = self.connection.as_ref().expect("it is taken by drop alone");
        connection.create_channel().await
    }

    /// Why the broker blocks publishers, if it does.
    pub(super) fn blocked(&self) -> Option<String> {
        self.told.lock().blocked.clone()
    }

    /// Why the connection is lost, if the broker or the library has said it.
    pub(super) fn cause(&self) -> Option<Error> {
        self.told.lock().error.clone()
    }

    /// Shows there, too, when the broker blocks publishers, until [`Self::forget`].
    pub(super) fn show(&self, signs: &Signs) -> u64 {
        let mut told = self.told.lock();
        told.watchers += 1;
        let number = told.watchers;
        let sign = told
            .blocked
            .as_ref()
            .map(|reason| signs.block(&sentence(&self.place, reason)));
        told.watched.insert(number, (signs.clone(), sign));
        number
    }

    /// Shows nothing more there.
    pub(super) fn forget(&self, number: u64) {
        self.told.lock().watched.remove(&number);
    }

    /// Ends the connection at once, without a word, and all that is on it. The broker gives back what is not acknowledged; what is not confirmed
    /// may or may not have been taken.
    pub(super) fn pull(&self) {
        self.dead.store(true, Ordering::Release);
        self.told.lock().unblock();
        pull(&self.plug);
    }

    /// True if it was pulled or is lost.
    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
            || self
                .connection
                .as_ref()
                .is_none_or(|connection| !connection.status().connected())
    }
}

impl Drop for Link {
    /// Says goodbye; does not wait for that.
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        self.watch.abort();
        self.told.lock().unblock();
        let plug = self.plug.clone();
        let (Ok(runtime), false) = (pool::runtime(), self.dead.load(Ordering::Acquire)) else {
            pull(&plug);
            return;
        };
        runtime.spawn(async move {
            // Who does not hear it gets a closed socket.
            let _ = timeout(CLOSING, connection.close(200, "bye".into())).await;
            pull(&plug);
        });
    }
}

/// Closes the socket.
fn pull(plug: &Plug) {
    if let Some(socket) = plug.lock().take() {
        // It fails if the peer was faster.
        let _ = socket.shutdown(Shutdown::Both);
    }
}

enum Opening {
    Library(Error),
    Certificates(SystemError),
}

async fn open(target: &Target, dial: &Dial, plug: Plug) -> Result<Connection, Opening> {
    let heartbeat = u16::try_from(dial.heartbeat.as_secs()).unwrap_or(u16::MAX);
    let trusted = match &target.cacertfile {
        Some(path) => Some(
            certificates(&dial.root.join(path))
                .await
                .map_err(Opening::Certificates)?,
        ),
        None => None,
    };
    let tls = OwnedTLSConfig {
        cert_chain: trusted,
        ..OwnedTLSConfig::default()
    };
    let runtime = lapin::runtime::default_runtime().map_err(Opening::Library)?;
    let properties = ConnectionProperties::default()
        .with_connection_name(dial.name.as_bytes().into())
        .with_client_property("product".into(), "dajet".into())
        .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
    let (limit, secure) = (dial.connection_timeout, target.tls);
    Connection::connector(
        target.uri(heartbeat),
        runtime,
        async move |uri: AMQPUri, runtime| {
            let AMQPUri { authority, .. } = uri;
            let addresses: Vec<_> =
                tokio::net::lookup_host((authority.host.as_str(), authority.port))
                    .await?
                    .collect();
            let dialled = async {
                let stream = AsyncTcpStream::connect(&runtime, addresses).await?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    let socket = plain.get_ref();
                    socket.set_nodelay(true)?;
                    *plug.lock() = Some(twin(socket)?);
                }
                if secure {
                    stream.into_tls(&authority.host, tls.as_ref()).await
                } else {
                    Ok(stream)
                }
            };
            // The library's thread waits here, even when nobody waits for it any more.
            let late = || io::Error::from(io::ErrorKind::TimedOut);
            Ok(timeout(limit, dialled).await.map_err(|_| late())??)
        },
        properties,
    )
    .await
    .map_err(Opening::Library)
}

/// A second handle of a socket.
fn twin(socket: &tokio::net::TcpStream) -> io::Result<TcpStream> {
    #[cfg(unix)]
    let owned = std::os::fd::AsFd::as_fd(socket).try_clone_to_owned()?;
    #[cfg(windows)]
    let owned = std::os::windows::io::AsSocket::as_socket(socket).try_clone_to_owned()?;
    Ok(TcpStream::from(owned))
}

async fn certificates(path: &Path) -> Result<String, SystemError> {
    tokio::fs::read_to_string(path).await.map_err(|error| {
        let message = format!("cannot read the certificates \"{}\"", path.display());
        SystemError::misconfigured("E_FILE", message).with_source(error)
    })
}

/// Notes and tells what the broker says by itself.
async fn listen(
    events: impl futures::Stream<Item = Event> + Send,
    told: Arc<Mutex<Told>>,
    place: Arc<str>,
) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Event::ConnectionBlocked(reason) => {
                tracing::warn!(%place, reason, "rabbitmq blocks publishers");
                told.lock().block(&place, reason);
            }
            Event::ConnectionUnblocked => {
                tracing::info!(%place, "rabbitmq takes messages again");
                told.lock().unblock();
            }
            // Why a channel was closed its own line knows.
            Event::Error(error) if !error::is_of_channel(&error) => {
                told.lock().error = Some(error);
            }
            _ => {}
        }
    }
}
