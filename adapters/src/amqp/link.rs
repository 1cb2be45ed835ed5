//! A connection to a broker that ends when we say so: every call has a time-out, and an abandoned connection takes its socket along, so that a
//! broker that does not answer cannot hold the library's thread, and gives back what it has delivered.

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

/// How long the broker may take to say goodbye.
const CLOSING: Duration = Duration::from_secs(2);

/// How a connection is made.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    /// Seconds between signs of life.
    pub(super) heartbeat: Duration,
    /// Longest wait for the connection.
    pub(super) connection_timeout: Duration,
    /// Longest wait for an answer.
    pub(super) call_timeout: Duration,
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
    /// Why it blocks publishers, while it does, and the sign of it.
    blocked: Option<(String, Blocked)>,
    /// Why it has closed a channel.
    error: Option<Error>,
}

/// A connection.
pub(super) struct Link {
    connection: Option<Connection>,
    plug: Plug,
    dead: AtomicBool,
    told: Arc<Mutex<Told>>,
    watch: AbortHandle,
    place: Arc<str>,
    call_timeout: Duration,
}

/// A second handle of the connection's socket.
type Plug = Arc<Mutex<Option<TcpStream>>>;

impl Link {
    /// Connects.
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
        let listened = listen(
            connection.events_listener(),
            told.clone(),
            (place.clone(), dial.signs.clone()),
        );
        let watch = tokio::spawn(listened).abort_handle();
        Ok(Self {
            connection: Some(connection),
            plug,
            dead: AtomicBool::new(false),
            told,
            watch,
            place,
            call_timeout: dial.call_timeout,
        })
    }

    /// `host:port/vhost`, for messages.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Opens a channel.
    ///
    /// # Errors
    /// `Transient`, or `Misconfigured` if the broker allows no more of them.
    pub(super) async fn channel(&self) -> Result<Channel, SystemError> {
        let connection = self.connection.as_ref().expect("it is taken by drop alone");
        self.call("open a channel", connection.create_channel())
            .await
    }

    /// Waits for the answer of the broker: `doing` completes "cannot".
    ///
    /// # Errors
    /// Any class; after a time-out the connection is abandoned.
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
                self.abandon();
                Err(silent)
            }
        }
    }

    /// The error of a call; a mere consequence is told by its cause.
    pub(super) fn failed(&self, doing: &str, error: &Error) -> SystemError {
        let attempt = format!("cannot {doing} at \"{}\"", self.place);
        let cause = self.told.lock().error.clone();
        match cause {
            Some(cause) if error::is_consequence(error) => error::failed(&attempt, &cause),
            _ => error::failed(&attempt, error),
        }
    }

    /// The error of a broker that does not answer.
    pub(super) fn silent(&self, doing: &str, waited: Duration) -> SystemError {
        let place = &self.place;
        match self.blocked() {
            Some(reason) => SystemError::transient(
                "E_AMQP",
                format!("cannot {doing} at \"{place}\": the broker blocks publishers for {waited:?} ({reason})"),
            )
            .with_hint("It lacks memory or disk space."),
            None => SystemError::transient(
                "E_AMQP",
                format!("cannot {doing} at \"{place}\": no answer within {waited:?}"),
            ),
        }
    }

    /// Why the broker blocks publishers, if it does.
    pub(super) fn blocked(&self) -> Option<String> {
        let told = self.told.lock();
        told.blocked.as_ref().map(|(reason, _)| reason.clone())
    }

    /// Ends the connection at once, without a word. The broker gives back what is not acknowledged; what is not confirmed may or may not have
    /// been taken.
    pub(super) fn abandon(&self) {
        self.dead.store(true, Ordering::Release);
        self.told.lock().blocked = None;
        pull(&self.plug);
    }

    /// True if it was abandoned or is lost.
    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
            || self
                .connection
                .as_ref()
                .is_none_or(|connection| !connection.status().connected())
    }

    /// Says goodbye and then drops `kept`; does not wait for that.
    pub(super) fn hang_up(mut self, kept: impl Send + 'static) {
        self.end(kept);
    }

    fn end(&mut self, kept: impl Send + 'static) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        self.watch.abort();
        self.told.lock().blocked = None;
        let plug = self.plug.clone();
        let runtime = tokio::runtime::Handle::try_current();
        let (Ok(runtime), false) = (runtime, self.dead.load(Ordering::Acquire)) else {
            pull(&plug);
            return;
        };
        runtime.spawn(async move {
            // Who does not hear it gets a closed socket.
            let _ = timeout(CLOSING, connection.close(200, "bye".into())).await;
            pull(&plug);
            drop(kept);
        });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.end(());
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
    (place, signs): (Arc<str>, Signs),
) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Event::ConnectionBlocked(reason) => {
                tracing::warn!(%place, reason, "rabbitmq blocks publishers");
                let sign = signs.block(&format!("\"{place}\" blocks publishers: {reason}"));
                told.lock().blocked = Some((reason, sign));
            }
            Event::ConnectionUnblocked => {
                tracing::info!(%place, "rabbitmq takes messages again");
                told.lock().blocked = None;
            }
            Event::Error(error) => told.lock().error = Some(error),
            _ => {}
        }
    }
}
