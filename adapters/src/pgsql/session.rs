//! A connection that somebody owns: prepared statements, time-outs, and an end that gives everything back.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use dajet_core::SystemError;
use dajet_core::query::{Body, Statement};
use dajet_core::secret::Secret;
use rustc_hash::FxHashMap;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::ToSql;
use tokio_postgres::{CancelToken, Client, Config, Error, NoTls};

use super::address::Target;
use super::dialect::{self, Limit, Rendered};
use super::failure::{CODE, classify};
use super::values::Wire;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Statements that a session keeps prepared.
const PREPARED_MAX: usize = 200;
/// Longest name of a session that the server does not cut.
const NAME_BYTES_MAX: usize = 63;

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Look-ups and writes.
    Service,
    /// Destructive reads: the planner must take the index, and nothing is deleted outside of a transaction.
    Reader,
}

/// How sessions are made.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub(super) target: Arc<Target>,
    pub(super) role: Role,
    /// The sessions' `application_name`.
    pub(super) name: Arc<str>,
    pub(super) command_timeout: Duration,
}

/// A statement that the server has prepared for one session.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) statement: tokio_postgres::Statement,
    pub(super) rendered: Rendered,
    /// Forms of the result's columns.
    pub(super) wires: Vec<Wire>,
}

/// Variants of one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Variant {
    /// As it is.
    Plain,
    /// A query for many parameter records at once.
    Joined,
    /// A drain that skips locked rows.
    Skipping,
    /// A drain that waits for locked rows.
    Waiting,
}

/// An open connection.
///
/// While a command runs the session counts as busy. One that is dropped busy, because its future was dropped or the time-out
/// has passed, closes its socket at once instead of waiting for the answer: the server notices and rolls back.
pub(super) struct Session {
    client: Arc<Client>,
    connection: JoinHandle<()>,
    prepared: FxHashMap<(u64, Variant), Arc<Prepared>>,
    target: Arc<Target>,
    command_timeout: Duration,
    process: i32,
    busy: bool,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// `Transient` if the server cannot be reached, `Misconfigured` if it refuses the user or has no such database.
    pub(super) async fn open(opening: &Opening) -> Result<Self, SystemError> {
        let attempted = format!("cannot connect to PostgreSQL at {}", opening.target.place());
        let config = config(opening);
        let (client, connection) = match timeout(CONNECT_TIMEOUT, config.connect(NoTls)).await {
            Ok(connected) => connected.map_err(|error| classify(&attempted, error))?,
            Err(_) => {
                return Err(SystemError::transient(
                    CODE,
                    format!("{attempted}: no answer within 10 s"),
                ));
            }
        };
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to PostgreSQL ended");
            }
        });
        let mut session = Self {
            client: Arc::new(client),
            connection,
            prepared: FxHashMap::default(),
            target: Arc::clone(&opening.target),
            command_timeout: opening.command_timeout,
            process: 0,
            busy: false,
        };
        session.set_up(opening).await?;
        Ok(session)
    }

    async fn set_up(&mut self, opening: &Opening) -> Result<(), SystemError> {
        let (names, values): (Vec<&str>, Vec<String>) = settings(opening).into_iter().unzip();
        // a setting that this version of the server does not know is left out
        let sql = "SELECT pg_backend_pid(), (SELECT count(set_config(s.name, w.value, false)) \
                   FROM unnest($1::text[], $2::text[]) AS w(name, value) JOIN pg_settings AS s ON s.name = w.name)";
        let client = self.client();
        let parameters: [&(dyn ToSql + Sync); 2] = [&names, &values];
        let row = self
            .run(
                "cannot set up a session",
                client.query_one(sql, &parameters),
            )
            .await?;
        self.process = row
            .try_get(0)
            .map_err(|error| classify("cannot set up a session", error))?;
        Ok(())
    }

    /// True if nothing can be done with it any more.
    pub(super) fn is_broken(&self) -> bool {
        self.busy || self.client.is_closed()
    }

    /// The client, for commands that are given to [`Session::run`].
    pub(super) fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client)
    }

    /// Process number at the server.
    pub(super) fn process(&self) -> i32 {
        self.process
    }

    /// Time-out of one command.
    pub(super) fn command_timeout(&self) -> Duration {
        self.command_timeout
    }

    /// Runs a command under the time-out; `attempted` says what could not be done.
    ///
    /// # Errors
    /// Any class. After a time-out the session is broken.
    pub(super) async fn run<T>(
        &mut self,
        attempted: &str,
        command: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, SystemError> {
        self.complete(attempted, command)
            .await?
            .map_err(|error| classify(attempted, error))
    }

    /// Like [`Session::run`] for commands with errors of their own.
    pub(super) async fn complete<T>(
        &mut self,
        attempted: &str,
        command: impl Future<Output = T>,
    ) -> Result<T, SystemError> {
        self.enter(attempted)?;
        match timeout(self.command_timeout, command).await {
            Ok(result) => {
                self.leave();
                Ok(result)
            }
            Err(_) => Err(self.expired(attempted)),
        }
    }

    /// Marks the session as busy until [`Session::leave`].
    ///
    /// # Errors
    /// `Transient` if it is broken.
    pub(super) fn enter(&mut self, attempted: &str) -> Result<(), SystemError> {
        if self.is_broken() {
            return Err(SystemError::transient(
                CODE,
                format!("{attempted}: the connection is closed"),
            ));
        }
        self.busy = true;
        Ok(())
    }

    /// The command has ended.
    pub(super) fn leave(&mut self) {
        self.busy = false;
    }

    /// Has the server cancel the command that runs; its answer comes to whoever runs it.
    ///
    /// When this returns without an error, no later command is hit: the server has dealt with the request, be it that the
    /// command had ended before.
    ///
    /// # Errors
    /// `Transient` if the server does not take the request.
    pub(super) async fn cancel(&self, attempted: &str) -> Result<(), SystemError> {
        request_cancel(self.client.cancel_token(), &self.target)
            .await
            .map_err(|error| {
                let place = self.target.place();
                let message = format!("{attempted}: cannot cancel it at {place}: {error}");
                SystemError::transient(CODE, message)
            })
    }

    /// Cancels the command that runs too long; the session stays broken.
    pub(super) fn expired(&self, attempted: &str) -> SystemError {
        let token = self.client.cancel_token();
        let target = Arc::clone(&self.target);
        tokio::spawn(async move {
            if let Err(error) = request_cancel(token, &target).await {
                tracing::debug!(%error, "cannot cancel a statement");
            }
        });
        let seconds = self.command_timeout.as_secs_f64();
        SystemError::transient(CODE, format!("{attempted}: no answer within {seconds} s"))
    }

    /// Has the statement prepared, once for each session.
    ///
    /// # Errors
    /// Any class; `Misconfigured` above all.
    pub(super) async fn prepare(
        &mut self,
        statement: &Statement,
        variant: Variant,
    ) -> Result<Arc<Prepared>, SystemError> {
        let key = (statement.id, variant);
        if let Some(prepared) = self.prepared.get(&key) {
            return Ok(Arc::clone(prepared));
        }
        let attempted = statement.attempted();
        let mut rendered = render(statement, variant, &[])?;
        let client = self.client();
        let mut prepared = self.run(&attempted, client.prepare(&rendered.sql)).await?;
        let foreign = foreign_columns(&prepared);
        if !foreign.is_empty() {
            rendered = render(statement, variant, &foreign)?;
            prepared = self.run(&attempted, client.prepare(&rendered.sql)).await?;
        }
        let wires = prepared
            .columns()
            .iter()
            .filter_map(|column| Wire::of(column.type_()))
            .collect();
        let prepared = Arc::new(Prepared {
            statement: prepared,
            rendered,
            wires,
        });
        if self.prepared.len() >= PREPARED_MAX {
            self.prepared.clear();
        }
        self.prepared.insert(key, Arc::clone(&prepared));
        Ok(prepared)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.busy {
            self.connection.abort();
        }
    }
}

/// The server closes the connection of a request once it has signalled the process; who does not wait for that may have a later
/// command of the same session cancelled.
async fn request_cancel(token: CancelToken, target: &Target) -> Result<(), io::Error> {
    let request = async {
        let mut stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
        token
            .cancel_query_raw(&mut stream, NoTls)
            .await
            .map_err(io::Error::other)?;
        // a close with a reset is a close
        let _: Result<usize, io::Error> = stream.read(&mut [0]).await;
        Ok(())
    };
    timeout(CONNECT_TIMEOUT, request).await?
}

fn render(
    statement: &Statement,
    variant: Variant,
    as_text: &[usize],
) -> Result<Rendered, SystemError> {
    match (&statement.body, variant) {
        (_, Variant::Plain) => dialect::render(statement, as_text),
        (Body::Select(query), Variant::Joined) => dialect::look_ups(query, as_text),
        (Body::Drain(queue), variant) => dialect::drain(
            queue,
            Limit::Parameter,
            variant == Variant::Waiting,
            as_text,
        ),
        _ => Err(SystemError::fault(
            "a statement that is no queue is read as one",
        )),
    }
}

/// Columns of a type without a known binary form: the statement casts them to text.
fn foreign_columns(prepared: &tokio_postgres::Statement) -> Vec<usize> {
    let columns = prepared.columns().iter().enumerate();
    columns
        .filter(|(_, column)| Wire::of(column.type_()).is_none())
        .map(|(index, _)| index)
        .collect()
}

fn config(opening: &Opening) -> Config {
    let Target {
        host,
        port,
        database,
        user,
        password,
        ..
    } = &*opening.target;
    let mut config = Config::new();
    config
        .host(host)
        .port(*port)
        .dbname(database)
        .user(user)
        .application_name(application_name(&opening.name))
        .ssl_mode(SslMode::Disable)
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives(true)
        .keepalives_idle(Duration::from_secs(30))
        .keepalives_interval(Duration::from_secs(10))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(60));
    if let Some(password) = password.as_ref().map(Secret::expose) {
        config.password(password);
    }
    config
}

fn settings(opening: &Opening) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        // a statement whose client is gone ends at once
        ("client_connection_check_interval", "100ms".to_owned()),
        // above the deadline of a batch: a client that vanished without a word must not hold its rows for ever
        ("idle_in_transaction_session_timeout", "10min".to_owned()),
        ("standard_conforming_strings", "on".to_owned()),
        ("DateStyle", "ISO, YMD".to_owned()),
        // what a generic plan believes of its cost makes the server compile it anew for each batch: 120 ms
        ("jit", "off".to_owned()),
        // the sort of a batch stays in memory
        ("work_mem", "32MB".to_owned()),
    ];
    if let Some(schema) = &opening.target.schema {
        settings.push(("search_path", dialect::quoted(schema)));
    }
    if opening.role == Role::Reader {
        settings.extend([
            // BEGIN travels together with the first statement: should it fail alone, the statement must not delete
            ("default_transaction_read_only", "on".to_owned()),
            // statistics know nothing of the rows that a drain has just deleted: always through the index
            ("plan_cache_mode", "force_generic_plan".to_owned()),
            ("enable_seqscan", "off".to_owned()),
            ("enable_bitmapscan", "off".to_owned()),
            ("enable_hashjoin", "off".to_owned()),
            ("enable_mergejoin", "off".to_owned()),
        ]);
    }
    settings
}

/// The server knows names of 63 ASCII characters only; others are told apart by their hash.
fn application_name(name: &str) -> String {
    if name.is_ascii() && name.len() <= NAME_BYTES_MAX {
        return name.into();
    }
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let readable: String = name
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .take(NAME_BYTES_MAX - 17)
        .collect();
    format!("{readable}~{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sessions_stay_different() {
        assert_eq!(application_name("host/script.sql"), "host/script.sql");
        let (one, two) = (
            application_name("узел/заказы.sql"),
            application_name("узел/оплаты.sql"),
        );
        assert!(
            one.is_ascii() && one.starts_with("/.sql~") && one != two,
            "{one} {two}"
        );
        assert_eq!(application_name(&"x".repeat(70)).len(), 63);
    }
}
