//! The four seams: source, sink, service and claim. Actors meet foreign systems here and nowhere else.
//!
//! Futures are boxed and `Send`. A future that is dropped before its end leaves the session behind it in an unknown
//! state: whoever implements a contract takes the session out of its owner before the first await, so that a dropped
//! future closes it.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::address::{Address, Identity};
use crate::diagnostic::{Diagnostic, nearest};
use crate::error::SystemError;
use crate::offsets::{Advance, Advances, KeptOffset, OffsetTable};
use crate::query::{Body, Statement};
use crate::record::{OrderKeys, Record, Records, Shape};
use crate::schema::{Known, MappingLine, MetadataKey, MetadataObject, Schema};
use crate::signs::Signs;
use crate::span::Span;
use crate::value::Value;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How much a read may take, and how.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Most bytes of all the records ([`Records::size`]); a source asks for fewer rows when their mean size would pass it.
    pub bytes: usize,
    /// Wait for rows that other sessions have locked instead of skipping them: set for the first reads of every generation, as
    /// many as there are permits (so many batches may a predecessor still hold), and for those that decide that a source is
    /// idle. No claim of this source is open then.
    pub wait_for_locked: bool,
}

/// The answer of a read.
pub enum Read {
    /// Records, not empty, in order, and the right to make the read final.
    Batch {
        /// The records.
        records: Records,
        /// The ORDER BY values of each record, selected by the script or not: error messages name a record by them.
        keys: OrderKeys,
        /// The open read.
        claim: Box<dyn Claim>,
    },
    /// Nothing to read now.
    Empty {
        /// True if the read skipped nothing, so that the source is idle in truth.
        complete: bool,
    },
}

/// Reads batches from a queue, in order. Owned by one reader.
pub trait Source: Send {
    /// Reads the next batch behind all batches whose claims are still open. `parameters` are the values of the bound
    /// statement's parameters now.
    ///
    /// # Errors
    /// Any class; nothing is claimed then.
    fn read<'a>(
        &'a mut self,
        limit: Limit,
        parameters: &'a [Value],
    ) -> BoxFuture<'a, Result<Read, SystemError>>;

    /// Takes where to show what is to be seen of it, before the first read.
    fn show(&mut self, _: &Signs) {}

    /// Reads no more, and waits within a bound of its own until the system knows that this reader is gone. Claims that are still open may be resolved
    /// later: the last of them waits then.
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>
    where
        Self: 'static,
    {
        Box::pin(async move { drop(self) })
    }
}

/// An open transaction (or its like) that owns its session: a read that is not yet final, or writes at a target.
///
/// Dropping a claim gives everything back without waiting: the session is closed. One statement at a time. A claim on which
/// a statement failed is poisoned: `commit` is an error then, for some systems answer such a commit with success.
pub trait Claim: Send {
    /// The place of the claim's transaction; statements for the same place join it.
    fn identity(&self) -> &Identity;

    /// Runs the statement once for each parameter record, in their order, in bulk where the system can.
    ///
    /// # Errors
    /// `Rejected` with `SystemError::record` set where a record is refused; other classes. The claim is poisoned then.
    fn execute<'a>(
        &'a mut self,
        statement: &'a Arc<Statement>,
        parameters: &'a [Record],
    ) -> BoxFuture<'a, Result<Answer, SystemError>>;

    /// Moves offsets of a source of messages in this transaction, each from where its batch began.
    ///
    /// # Errors
    /// `Transient` if one stands elsewhere; other classes. The claim is poisoned then.
    fn advance_offsets<'a>(
        &'a mut self,
        table: &'a OffsetTable,
        _: &'a [Advance],
    ) -> BoxFuture<'a, Result<(), SystemError>> {
        let error = keeps_no_offsets(self.identity(), table);
        Box::pin(async { Err(error) })
    }

    /// The offsets that have to be moved in the transaction of a database before this claim is committed: of a read only.
    fn advances(&self) -> Option<&Advances> {
        None
    }

    /// Finds out, as far as it can be known before, what would refuse the commit; nothing becomes final. Called behind the last
    /// statement of the claim, for batches of a generation that has not committed any yet.
    ///
    /// # Errors
    /// Those of the commit. The claim is poisoned then.
    fn rehearse(&mut self) -> BoxFuture<'_, Result<(), SystemError>> {
        Box::pin(async { Ok(()) })
    }

    /// Makes everything final.
    ///
    /// # Errors
    /// Nothing is final then, as far as can be known: a connection lost in the midst of a commit may hide a success.
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), SystemError>>;

    /// Tells a source's claim, before its release, that its records are to blame: a target or the script has refused one of them. Without
    /// it the release comes of an outage, or of a batch before this one. Sources that count attempts want to know.
    fn blame(&mut self) {}

    /// Gives everything back, and waits until the system has done so.
    ///
    /// # Errors
    /// The session is closed then, and the system gives back by itself.
    fn release(self: Box<Self>) -> BoxFuture<'static, Result<(), SystemError>>;
}

/// The answer of a statement.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Shape of the rows.
    pub shape: Arc<Shape>,
    /// One group of rows for each parameter record, in their order; empty groups for statements that return none.
    pub groups: Vec<Vec<Record>>,
}

/// The proof that every record given to a sink is durable there: all acknowledgements, all confirms, 2xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Number of records.
    pub records: usize,
}

/// Delivers messages to a broker. Owned by one producer. Writes to databases do not come here: they go through the claim of
/// their address (ADR 0002).
pub trait Sink: Send {
    /// Hands the records over, in order, and answers with the future of the receipt. Records have the columns of the
    /// [`MessageSpec`]. Dropping the receipt's future means that the batch is given up.
    ///
    /// # Errors
    /// Any class. After an error (of either future) the sink is dropped and opened anew.
    fn deliver(
        &mut self,
        records: Vec<Record>,
    ) -> BoxFuture<'_, Result<BoxFuture<'static, Result<Receipt, SystemError>>, SystemError>>;

    /// Takes where to show what is to be seen of it, before the first delivery.
    fn show(&mut self, _: &Signs) {}
}

/// A database: answers statements, opens transactions and sources. Shared by all that name its address; pooled and capped.
pub trait Service: Send + Sync {
    /// The normalised address.
    fn identity(&self) -> &Identity;

    /// Looks names up in the catalog: tables, and names that stand for values ([`Schema::values`]). An unknown one is no
    /// error here.
    ///
    /// # Errors
    /// `Transient` or `Misconfigured` if the database cannot be asked.
    fn describe<'a>(&'a self, tables: &'a [Arc<str>])
    -> BoxFuture<'a, Result<Schema, SystemError>>;

    /// Answers what a name or a type code of the database's own metadata stands for (an infobase of 1C has such; other
    /// databases know none).
    ///
    /// # Errors
    /// `Transient` or `Misconfigured` if the database cannot be asked.
    fn metadata<'a>(
        &'a self,
        key: &'a MetadataKey,
    ) -> BoxFuture<'a, Result<Option<Arc<MetadataObject>>, SystemError>> {
        let _ = key;
        Box::pin(async { Ok(None) })
    }

    /// The names of all the tables and values that [`Service::describe`] knows, in the order of the catalog.
    ///
    /// # Errors
    /// `Transient` or `Misconfigured` if the database cannot be asked.
    fn names(&self) -> BoxFuture<'_, Result<Vec<Arc<str>>, SystemError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// The lines of a mapping file that say of these tables and values what the database's own metadata says; none of
    /// other names, and none at all where a database has no metadata.
    ///
    /// # Errors
    /// `Transient` or `Misconfigured` if the database cannot be asked.
    fn mapping<'a>(
        &'a self,
        names: &'a [Arc<str>],
    ) -> BoxFuture<'a, Result<Vec<MappingLine>, SystemError>> {
        let _ = names;
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Reads the files of this machine that the address names beside the database, to find out what is wrong with them. Does not connect.
    ///
    /// # Errors
    /// `Misconfigured` if one is missing or wrong.
    fn check_files(&self) -> Result<(), SystemError> {
        Ok(())
    }

    /// Throws away what the catalog remembers, after the database said that a name is unknown.
    fn forget(&self);

    /// Runs a statement outside any transaction, once for each parameter record.
    ///
    /// # Errors
    /// Any class.
    fn execute<'a>(
        &'a self,
        statement: &'a Arc<Statement>,
        parameters: &'a [Record],
    ) -> BoxFuture<'a, Result<Answer, SystemError>>;

    /// Opens a transaction.
    ///
    /// # Errors
    /// `Transient` or `Misconfigured`.
    fn begin(&self) -> BoxFuture<'_, Result<Box<dyn Claim>, SystemError>>;

    /// Reads the offsets that a table keeps for a group, after adding those of `beginnings` that it lacks. Makes the table if it is
    /// missing. Outside any transaction.
    ///
    /// # Errors
    /// Any class.
    fn keep_offsets<'a>(
        &'a self,
        table: &'a OffsetTable,
        _: &'a [KeptOffset],
    ) -> BoxFuture<'a, Result<Vec<KeptOffset>, SystemError>> {
        let error = keeps_no_offsets(self.identity(), table);
        Box::pin(async { Err(error) })
    }

    /// Makes a source of a bound `CONSUME`. Connects at the first read.
    ///
    /// # Errors
    /// `Misconfigured` if this database cannot be such a source.
    fn source(&self, spec: SourceSpec) -> Result<Box<dyn Source>, SystemError>;

    /// The text of the statement in the database's own language as it runs, for people; how it runs as a comment.
    ///
    /// # Errors
    /// `Misconfigured` if the database cannot express it.
    fn text(&self, statement: &Statement, runs: Runs) -> Result<String, SystemError>;
}

/// How often a statement runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// For itself, with one parameter record at a time.
    Alone,
    /// With the parameter records of a whole batch.
    ForABatch,
}

fn keeps_no_offsets(place: &Identity, table: &OffsetTable) -> SystemError {
    let message = format!(
        "\"{place}\" cannot keep offsets in a table \"{}\"",
        table.name
    );
    SystemError::misconfigured("E_OFFSET", message)
}

/// Asks a database for all that it knows of a name or a type code.
///
/// # Errors
/// Those of [`Service::describe`] and [`Service::metadata`].
pub async fn look_up(service: &dyn Service, key: &MetadataKey) -> Result<Known, SystemError> {
    let mut known = Known::default();
    if let MetadataKey::Name(name) = key {
        let schema = service.describe(std::slice::from_ref(name)).await?;
        known.value = schema.value(name);
        known.table = schema.table(name).cloned();
        known.reason = schema.reason(name).map(str::to_owned);
        known.suggestions = schema.suggestions;
    }
    known.object = service.metadata(key).await?;
    Ok(known)
}

/// Finds out whether a database can express a bound statement. Nothing is sent to it.
///
/// # Errors
/// `Misconfigured` if it cannot.
pub fn prepare(service: &dyn Service, statement: &Arc<Statement>) -> Result<(), SystemError> {
    match statement.body {
        Body::Drain(_) => {
            let spec = SourceSpec {
                statement: Arc::clone(statement),
                session_name: Arc::default(),
                permits: 1,
            };
            service.source(spec).map(drop)
        }
        Body::Select(_) | Body::Insert(_) | Body::Sequence(_) => {
            service.text(statement, Runs::Alone).map(drop)
        }
    }
}

/// What a source is made of.
#[derive(Clone, Debug)]
pub struct SourceSpec {
    /// A bound `Body::Drain`.
    pub statement: Arc<Statement>,
    /// Name of the session at the server: host and script, by which a later generation knows its predecessor.
    pub session_name: Arc<str>,
    /// Open claims at one time.
    pub permits: usize,
}

/// What a source at a broker is made of: a `CONSUME 'uri'` with its options evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerSpec {
    /// Address: `kafka`, `amqp://…`.
    pub address: Address,
    /// Options as written, values evaluated.
    pub options: Vec<(Arc<str>, Value)>,
    /// Open claims at one time.
    pub permits: usize,
    /// The database that the tail writes to, if there is one and its address has a value.
    pub target: Option<Address>,
}

/// What a message sink is made of: a `PRODUCE` with its options evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageSpec {
    /// Address: `kafka`, `amqp://…`.
    pub address: Address,
    /// Connection options as written, values evaluated.
    pub options: Vec<(Arc<str>, Value)>,
    /// Columns of the records: the message options (`Key`, `Value`, `Topic`, …) in written order.
    pub columns: Arc<Shape>,
}

/// An option as a script writes it.
#[derive(Clone, Debug)]
pub struct OptionUse {
    /// The name as written.
    pub name: Arc<str>,
    /// Where the name stands.
    pub span: Span,
    /// The value if it is a literal.
    pub literal: Option<Value>,
    /// True in the `SELECT` list (of the message), false in `WITH` (of the connection).
    pub of_message: bool,
}

/// How a system is used in a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// `USE`
    Database,
    /// `PRODUCE`
    Sink,
    /// `CONSUME 'uri'`
    BrokerSource(Targets),
}

/// The databases that the tail of a source of messages writes to, as far as the text tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Targets {
    /// None.
    None,
    /// One, at the same address for every message.
    One,
    /// Several.
    Several,
    /// One whose address the tail can change.
    Varying,
}

/// Opens the database at an address: whoever asks for one of the same place shares it.
pub type Databases<'a> = &'a dyn Fn(&Address) -> Result<Arc<dyn Service>, SystemError>;

/// Opens a source of messages.
pub type OpenBroker =
    fn(&BrokerSpec, &Environment, Databases<'_>) -> Result<Box<dyn Source>, SystemError>;

/// A kind of system: one folder of `adapters`, one line in its registry.
#[derive(Clone, Copy)]
pub struct Connector {
    /// The system's noun: `pgsql`, `kafka`.
    pub name: &'static str,
    /// Schemes of addresses, each unique in the registry.
    pub schemes: &'static [&'static str],
    /// Opens the database at an address; does not connect yet. `None` if the system is no database.
    pub service: Option<fn(&Address, &Environment) -> Result<Arc<dyn Service>, SystemError>>,
    /// Batches that a pipeline reads ahead from it, unless a setting says otherwise.
    pub read_ahead: usize,
    /// Opens a sink for one pipeline; connects at the first batch. `None` if the system takes no messages.
    pub sink: Option<fn(&MessageSpec, &Environment) -> Result<Box<dyn Sink>, SystemError>>,
    /// Opens a source of messages (`CONSUME 'uri'`) for one pipeline; connects at the first read. `None` if the system has none.
    pub broker: Option<OpenBroker>,
    /// The members of the messages that it gives, all of them; none if it gives no messages, or nobody knows.
    pub members: &'static [&'static str],
    /// Checks the options of a statement without connecting: unknown names, wrong values, missing ones.
    pub check: fn(Usage, Span, &[OptionUse]) -> Vec<Diagnostic>,
}

/// What connectors know of the node.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Where relative paths start.
    pub root: PathBuf,
    /// Time-out of one statement.
    pub command_timeout: Duration,
    /// Name of this host and script, for the sessions' names at the servers.
    pub session_name: Arc<str>,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            root: PathBuf::from("."),
            command_timeout: Duration::from_secs(30),
            session_name: "dajet".into(),
        }
    }
}

/// The connectors of a node.
#[derive(Clone)]
pub struct Connectors {
    list: Arc<[Connector]>,
}

impl Connectors {
    /// Takes the registry's list.
    pub fn new(list: impl IntoIterator<Item = Connector>) -> Self {
        Self {
            list: list.into_iter().collect(),
        }
    }

    /// Finds the connector of an address.
    ///
    /// # Errors
    /// `Misconfigured` with the nearest scheme.
    pub fn find(&self, address: &Address) -> Result<&Connector, SystemError> {
        let scheme = address.scheme();
        self.list
            .iter()
            .find(|c| c.schemes.contains(&scheme))
            .ok_or_else(|| {
                let schemes = self.list.iter().flat_map(|c| c.schemes.iter().copied());
                let error = SystemError::misconfigured(
                    "E_URI",
                    format!("unknown kind of address \"{address}\""),
                );
                match nearest(scheme, schemes) {
                    Some(near) => error.with_hint(format!("Did you mean \"{near}\"?")),
                    None => error,
                }
            })
    }
}
