//! What lives on the thread of a file: its connections, the open claims and the only transaction that may write.
//!
//! One connection reads, answers look-ups and commits in one go; the other holds the transaction that stays open. So a reader
//! never waits for a transaction of this process, and there is nothing to dead-lock on: who needs the write lock while it is
//! taken is told so and tried again.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use dajet_core::SystemError;
use dajet_core::contract::Answer;
use dajet_core::query::{Body, Statement};
use rusqlite::Connection;
use rustc_hash::FxHashMap;

use super::address::{Location, Mode};
use super::connection::{self, Absent, Surroundings};
use super::dialect::{self, Rendered};
use super::failure::{Trouble, classify};
use super::queue::SourceClaim;
use super::run::{self, Batch};

/// Number of a claim within the process.
pub type ClaimId = u64;

/// Texts of statements that are kept.
const RENDERED_MAX: usize = 1024;

/// A write that waits for the commit of a source claim.
#[derive(Clone, Debug)]
pub struct Queued {
    /// What to do.
    pub statement: Arc<Statement>,
    /// With which records.
    pub batch: Arc<Batch>,
}

/// What transactions of the reading connection may have done to rows of open claims. (Those of other connections show in
/// SQLite's own version of the file.)
#[derive(Default)]
struct Changes {
    anywhere: u64,
    of_table: BTreeMap<Arc<str>, u64>,
}

/// The writes of one transaction.
#[derive(Default)]
pub struct Written {
    /// Rows that it has to account for.
    pub rows: u64,
    /// Tables that got rows; `None` in it: something that is not known so well.
    tables: Vec<Option<Arc<str>>>,
}

impl Written {
    /// Adds a statement.
    pub fn add(&mut self, rendered: &Rendered, batch: &Batch) {
        self.rows += batch.len() as u64;
        self.tables.push(rendered.grows.clone());
    }
}

/// The state of a file's thread.
pub struct State {
    pub(super) location: Location,
    pub(super) around: Surroundings,
    main: Option<Rc<Connection>>,
    writer: Option<Rc<Connection>>,
    file: Option<(u64, u64)>,
    /// The claim whose transaction is open on the writing connection.
    pub(super) owner: Option<ClaimId>,
    pub(super) claims: BTreeMap<ClaimId, SourceClaim>,
    changes: Changes,
    rendered: FxHashMap<u64, Rc<Rendered>>,
    freed: bool,
}

impl State {
    /// Makes the state; opens nothing yet.
    pub fn new(location: Location) -> Self {
        Self {
            location,
            around: Surroundings::default(),
            main: None,
            writer: None,
            file: None,
            owner: None,
            claims: BTreeMap::new(),
            changes: Changes::default(),
            rendered: FxHashMap::default(),
            freed: false,
        }
    }

    /// True once after something was given back that others may wait for.
    pub fn take_freed(&mut self) -> bool {
        std::mem::take(&mut self.freed)
    }

    /// Closes everything, after a panic: nothing of it can be trusted.
    pub fn reset(&mut self) {
        *self = Self::new(self.location.clone());
        self.freed = true;
    }

    /// The connection that reads. If the file was replaced, the new one is opened; none is created.
    ///
    /// # Errors
    /// See [`connection::open`].
    pub fn main(&mut self) -> Result<Rc<Connection>, Trouble> {
        self.main_or(Absent::Refused)
    }

    fn main_or(&mut self, absence: Absent) -> Result<Rc<Connection>, Trouble> {
        if self.main.is_some() && self.owner.is_none() && self.location.mode != Mode::Memory {
            let now = connection::file_number(&self.location.path);
            if now != self.file {
                (self.main, self.writer) = (None, None);
                self.changes.anywhere += 1;
            }
        }
        if let Some(open) = &self.main {
            return Ok(Rc::clone(open));
        }
        let open = connection::open(&self.location, &self.around, absence)?;
        self.file = connection::file_number(&self.location.path);
        self.main = Some(Rc::clone(&open));
        Ok(open)
    }

    /// The connection of the transaction that stays open.
    ///
    /// # Errors
    /// See [`connection::open`].
    pub fn writer(&mut self) -> Result<Rc<Connection>, Trouble> {
        self.main_or(Absent::Created)?;
        if let Some(open) = &self.writer {
            return Ok(Rc::clone(open));
        }
        let open = connection::open(&self.location, &self.around, Absent::Refused)?;
        self.writer = Some(Rc::clone(&open));
        Ok(open)
    }

    /// The text of a statement.
    ///
    /// # Errors
    /// `Misconfigured` if SQLite cannot express it.
    pub fn rendered(&mut self, statement: &Statement) -> Result<Rc<Rendered>, SystemError> {
        if let Some(known) = self.rendered.get(&statement.id) {
            return Ok(Rc::clone(known));
        }
        if self.rendered.len() >= RENDERED_MAX {
            self.rendered.clear();
        }
        let made = Rc::new(dialect::render(statement)?);
        self.rendered.insert(statement.id, Rc::clone(&made));
        Ok(made)
    }

    /// True if the statement draws from a sequence, which writes.
    ///
    /// # Errors
    /// `Misconfigured` if SQLite cannot express it.
    pub fn draws(&mut self, statement: &Statement) -> Result<bool, SystemError> {
        Ok(!self.rendered(statement)?.sequences.is_empty())
    }

    /// Remembers what a transaction of the reading connection has written: `changed` rows in fact, triggers included.
    pub fn note(&mut self, written: Written, changed: u64) {
        if written.rows != changed || written.tables.contains(&None) {
            self.changes.anywhere += 1;
            return;
        }
        for table in written.tables.into_iter().flatten() {
            *self.changes.of_table.entry(table).or_default() += 1;
        }
    }

    /// Changes of our own that may have met rows of a table.
    pub fn changes(&self, table: &str) -> (u64, u64) {
        (
            self.changes.anywhere,
            self.changes.of_table.get(table).copied().unwrap_or(0),
        )
    }

    /// Busy while a transaction of this process is open.
    ///
    /// # Errors
    /// Busy.
    pub fn need_write_lock(&self) -> Result<(), Trouble> {
        match self.owner {
            None => Ok(()),
            Some(_) => Err(Trouble::Busy(SystemError::transient(
                "E_DB",
                format!(
                    "database \"{}\" is locked by another transaction of this process",
                    self.location.name()
                ),
            ))),
        }
    }

    /// Begins a transaction that stays open, owned by `claim`.
    ///
    /// # Errors
    /// Busy while somebody else writes.
    pub fn begin(&mut self, claim: ClaimId) -> Result<Rc<Connection>, Trouble> {
        self.need_write_lock()?;
        let writer = self.writer()?;
        self.begin_immediate(&writer)?;
        self.owner = Some(claim);
        Ok(writer)
    }

    /// `BEGIN IMMEDIATE`
    ///
    /// # Errors
    /// Busy while somebody else writes.
    pub fn begin_immediate(&self, connection: &Connection) -> Result<(), Trouble> {
        let attempt = self.attempt("begin a transaction in");
        connection
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(|e| classify(&attempt, e))
    }

    /// `COMMIT`. Waits here for readers of other processes, for to begin anew would let further ones come in.
    ///
    /// # Errors
    /// The transaction is rolled back.
    pub fn commit_on(&self, connection: &Connection) -> Result<(), Trouble> {
        let attempt = self.attempt("commit to");
        let now = connection::file_number(&self.location.path);
        if self.location.mode != Mode::Memory && now != self.file {
            self.roll_back(connection);
            let message = format!("{attempt}: the file was removed or replaced");
            return Err(SystemError::transient("E_DB", message).into());
        }
        let wait = self.around.deadline.left().min(Duration::from_secs(60));
        let committed = connection
            .busy_timeout(wait)
            .and_then(|()| connection.execute_batch("COMMIT"));
        let reset = connection.busy_timeout(Duration::ZERO);
        let result = committed.and(reset).map_err(|e| classify(&attempt, e));
        if result.is_err() {
            self.roll_back(connection);
        }
        result
    }

    /// Rolls back what is open. Should that fail, closing the connection does it.
    pub fn roll_back(&self, connection: &Connection) {
        if !connection.is_autocommit()
            && let Err(error) = connection.execute_batch("ROLLBACK")
        {
            tracing::warn!(database = %self.location.name(), %error, "rollback failed");
        }
    }

    fn attempt(&self, what: &str) -> String {
        format!("cannot {what} database \"{}\"", self.location.name())
    }

    /// The connection of the open transaction of `claim`.
    ///
    /// # Errors
    /// `Fault` if it has none.
    pub fn owned(&mut self, claim: ClaimId) -> Result<Rc<Connection>, Trouble> {
        if self.owner != Some(claim) {
            return Err(SystemError::fault("the transaction of a claim has ended").into());
        }
        self.writer()
    }

    /// The connection that reads, for one who will write: a file that is missing is made.
    ///
    /// # Errors
    /// See [`connection::open`].
    pub fn creating(&mut self) -> Result<Rc<Connection>, Trouble> {
        self.main_or(Absent::Created)
    }

    /// Runs a statement in the open transaction of `claim`.
    ///
    /// # Errors
    /// Any class; never busy, for half of the records may have been written.
    pub fn execute_in(
        &mut self,
        claim: ClaimId,
        statement: &Statement,
        batch: &Batch,
    ) -> Result<Answer, Trouble> {
        let writer = self.owned(claim)?;
        let rendered = self.rendered(statement)?;
        run::run(&writer, &rendered, batch, &self.around.sequences)
            .map_err(|trouble| Trouble::Failed(trouble.into_error()))
    }

    /// Runs a statement outside any claim: a query as it is, anything else in a transaction of its own.
    ///
    /// # Errors
    /// Any class; nothing is written then.
    pub fn execute(&mut self, statement: &Statement, batch: &Batch) -> Result<Answer, Trouble> {
        let rendered = self.rendered(statement)?;
        if matches!(statement.body, Body::Select(_)) && rendered.sequences.is_empty() {
            let main = self.main()?;
            return run::run(&main, &rendered, batch, &self.around.sequences);
        }
        let main = self.main_or(Absent::Created)?;
        self.need_write_lock()?;
        self.begin_immediate(&main)?;
        let before = main.total_changes();
        let done = run::run(&main, &rendered, batch, &self.around.sequences);
        match done {
            Ok(answer) => {
                self.commit_on(&main)?;
                let mut written = Written::default();
                written.add(&rendered, batch);
                self.note(written, main.total_changes() - before);
                Ok(answer)
            }
            Err(trouble) => {
                self.roll_back(&main);
                Err(trouble)
            }
        }
    }

    /// Finds out whether the disk has room for the open transaction of a claim.
    ///
    /// # Errors
    /// Those of the commit; the transaction stays open.
    pub fn flush(&mut self, claim: ClaimId) -> Result<(), Trouble> {
        let writer = self.owned(claim)?;
        let flushed = self.flush_pages(&writer);
        flushed.map_err(|trouble| Trouble::Failed(trouble.into_error()))
    }

    /// Writes what a transaction has changed to the log, unmarked as final. Without a log it would be the file itself, from which
    /// readers would then be kept out until the commit: nothing is written there.
    ///
    /// # Errors
    /// Those of the commit.
    pub(super) fn flush_pages(&self, connection: &Connection) -> Result<(), Trouble> {
        let mode = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        let flushed = connection
            .query_row("PRAGMA journal_mode", [], mode)
            .and_then(|mode| match mode.eq_ignore_ascii_case("wal") {
                true => connection.cache_flush(),
                false => Ok(()),
            });
        flushed.map_err(|error| classify(&self.attempt("commit to"), error))
    }

    /// Commits the transaction of a target claim.
    ///
    /// # Errors
    /// Nothing is written then.
    pub fn commit(&mut self, claim: ClaimId) -> Result<(), Trouble> {
        let writer = self.owned(claim)?;
        let result = self.commit_on(&writer);
        self.finish(claim);
        // The transaction is gone: to try again would commit nothing.
        result.map_err(|trouble| Trouble::Failed(trouble.into_error()))
    }

    /// Gives back whatever a claim has.
    pub fn release(&mut self, claim: ClaimId) {
        if self.owner == Some(claim)
            && let Some(writer) = self.writer.take()
        {
            self.roll_back(&writer);
            if writer.is_autocommit() {
                self.writer = Some(writer);
            }
        }
        self.finish(claim);
    }

    /// Forgets a claim.
    pub fn finish(&mut self, claim: ClaimId) {
        if self.owner == Some(claim) {
            self.owner = None;
            self.freed = true;
        }
        if let Some(source) = self.claims.remove(&claim) {
            self.around
                .held
                .lock()
                .remove(&source.plan.table, &source.keys);
            self.freed = true;
        }
    }
}
