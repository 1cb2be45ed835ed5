//! What a world holds, and what happens to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::Value;
use crate::error::{ErrorClass, SystemError};
use crate::offsets::Advance;
use crate::query::{Body, Insert, Select, Statement};
use crate::record::Record;
use crate::schema::Table;

use super::Watcher;
use super::evaluate::{Row, Scope, evaluate, holds};
use super::faults::{Fault, FaultPlan, Faults, Operation};

/// What has happened in a world.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The fault plan has struck.
    Faulted {
        /// Where.
        operation: Operation,
        /// How.
        fault: Fault,
    },
    /// A source was opened.
    Opened {
        /// Number of the source.
        source: u64,
        /// Open claims that it may have.
        permits: usize,
    },
    /// A source has read.
    Read {
        /// Number of the source.
        source: u64,
        /// Number of the claim.
        claim: u64,
        /// The first column of the rows.
        rows: Vec<Value>,
    },
    /// A source found nothing.
    Empty {
        /// Number of the source.
        source: u64,
        /// True if it skipped nothing.
        complete: bool,
    },
    /// A transaction was opened.
    Begun {
        /// Number of the claim.
        claim: u64,
        /// Name of the database.
        database: String,
    },
    /// The records of a claim were found to blame for its coming release.
    Blamed {
        /// Number of the claim.
        claim: u64,
    },
    /// A claim became final.
    Committed {
        /// Number of the claim.
        claim: u64,
    },
    /// A claim was given back.
    Released {
        /// Number of the claim.
        claim: u64,
    },
    /// A claim was dropped: its system gives back later.
    Dropped {
        /// Number of the claim.
        claim: u64,
    },
    /// Messages became durable.
    Published {
        /// Name of the topic.
        topic: String,
        /// The first column of the records.
        records: Vec<Value>,
    },
}

/// What a watcher may look at.
pub struct View<'a> {
    state: &'a State,
}

impl View<'_> {
    /// The committed rows of a table in the order of their insertion, locked or not.
    pub fn rows(&self, database: &str, table: &str) -> impl Iterator<Item = &Record> {
        let stored = self
            .state
            .tables
            .get(&(database.to_owned(), table.to_owned()));
        stored
            .into_iter()
            .flat_map(|stored| stored.rows.values().map(|row| &row.values))
    }

    /// The records of a topic.
    pub fn records(&self, topic: &str) -> &[Record] {
        self.state.topics.get(topic).map_or(&[], Vec::as_slice)
    }

    /// Number of claims that are not resolved yet; a dropped one is.
    pub fn open_claims(&self) -> usize {
        self.state
            .claims
            .values()
            .filter(|claim| claim.gone_at.is_none())
            .count()
    }
}

pub(super) struct Stored {
    pub(super) table: Arc<Table>,
    pub(super) rows: BTreeMap<u64, StoredRow>,
    refused: Option<Value>,
}

pub(super) struct StoredRow {
    pub(super) values: Record,
    pub(super) locked_by: Option<u64>,
}

/// Database, table, group, topic, partition.
pub(super) type OffsetKey = (String, String, String, String, i32);

/// A transaction.
pub(super) struct OpenClaim {
    database: String,
    pub(super) source: Option<u64>,
    /// Rows that are deleted by the commit.
    pub(super) deleted: Vec<((String, String), u64)>,
    /// Rows that are inserted by the commit.
    inserted: Vec<((String, String), Record)>,
    /// Offsets that are moved by the commit.
    pub(super) advanced: Vec<(OffsetKey, Advance)>,
    pub(super) poisoned: bool,
    /// When the system notices that the session was closed.
    gone_at: Option<Duration>,
}

pub(super) struct State {
    pub(super) now: Duration,
    pub(super) faults: Faults,
    pub(super) watcher: Option<Watcher>,
    pub(super) tables: BTreeMap<(String, String), Stored>,
    topics: BTreeMap<String, Vec<Record>>,
    /// Offsets that databases keep.
    pub(super) offsets: BTreeMap<OffsetKey, i64>,
    pub(super) claims: BTreeMap<u64, OpenClaim>,
    next: u64,
}

impl State {
    pub(super) fn new(faults: FaultPlan) -> Self {
        Self {
            now: Duration::ZERO,
            faults: Faults::new(faults),
            watcher: None,
            tables: BTreeMap::new(),
            topics: BTreeMap::new(),
            offsets: BTreeMap::new(),
            claims: BTreeMap::new(),
            next: 0,
        }
    }

    pub(super) fn view(&self) -> View<'_> {
        View { state: self }
    }

    pub(super) fn note(&mut self, event: Event) {
        if let Some(mut watcher) = self.watcher.take() {
            watcher(self.now, &event, &self.view());
            self.watcher = Some(watcher);
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn create(&mut self, database: &str, table: Table) {
        let name = (database.to_owned(), table.name.to_string());
        let stored = Stored {
            table: Arc::new(table),
            rows: BTreeMap::new(),
            refused: None,
        };
        self.tables.insert(name, stored);
    }

    pub(super) fn table(&self, database: &str, table: &str) -> Option<&Arc<Table>> {
        let stored = self.tables.get(&(database.to_owned(), table.to_owned()));
        stored.map(|stored| &stored.table)
    }

    pub(super) fn insert_committed(&mut self, database: &str, table: &str, values: Record) {
        let id = self.number();
        if let Some(stored) = self
            .tables
            .get_mut(&(database.to_owned(), table.to_owned()))
        {
            stored.rows.insert(
                id,
                StoredRow {
                    values,
                    locked_by: None,
                },
            );
        }
    }

    pub(super) fn refuse(&mut self, database: &str, table: &str, key: Option<Value>) {
        if let Some(stored) = self
            .tables
            .get_mut(&(database.to_owned(), table.to_owned()))
        {
            stored.refused = key;
        }
    }

    pub(super) fn publish(&mut self, topic: &str, records: Vec<Record>) {
        if records.is_empty() {
            return;
        }
        let firsts = records
            .iter()
            .map(|r| r.first().cloned().unwrap_or_default())
            .collect();
        self.topics
            .entry(topic.to_owned())
            .or_default()
            .extend(records);
        self.note(Event::Published {
            topic: topic.to_owned(),
            records: firsts,
        });
    }

    /// Gives back what closed sessions held, as far as their systems have noticed by now.
    pub(super) fn sweep(&mut self) {
        let now = self.now;
        let due = |claim: &OpenClaim| claim.gone_at.is_some_and(|at| at <= now);
        let gone: Vec<u64> = self
            .claims
            .iter()
            .filter(|(_, claim)| due(claim))
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.give_back(id);
        }
    }

    fn give_back(&mut self, claim: u64) {
        let Some(open) = self.claims.remove(&claim) else {
            return;
        };
        for (table, row) in open.deleted {
            let row = self
                .tables
                .get_mut(&table)
                .and_then(|stored| stored.rows.get_mut(&row));
            if let Some(row) = row {
                row.locked_by = None;
            }
        }
    }

    pub(super) fn begin(&mut self, database: &str) -> u64 {
        let claim = self.number();
        self.claims.insert(claim, OpenClaim::new(database, None));
        self.note(Event::Begun {
            claim,
            database: database.to_owned(),
        });
        claim
    }

    pub(super) fn is_source(&self, claim: u64) -> bool {
        self.claims
            .get(&claim)
            .is_some_and(|open| open.source.is_some())
    }

    pub(super) fn poison(&mut self, claim: u64) {
        if let Some(open) = self.claims.get_mut(&claim) {
            open.poisoned = true;
        }
    }

    /// Runs a statement in a transaction, or as a unit of its own.
    pub(super) fn execute(
        &mut self,
        database: &str,
        claim: Option<u64>,
        (statement, parameters): (&Statement, &[Record]),
    ) -> Result<Vec<Vec<Record>>, SystemError> {
        let mut groups = Vec::with_capacity(parameters.len());
        for (index, parameters) in parameters.iter().enumerate() {
            let group = match &statement.body {
                Body::Select(select) => self.select(database, claim, (select, parameters))?,
                Body::Insert(insert) => {
                    let rows = self.insertion(database, claim, (insert, parameters));
                    let rows = rows.map_err(|mut error| {
                        error.record = Some(index);
                        error
                    })?;
                    let table = (database.to_owned(), insert.table.name.to_string());
                    for row in rows {
                        match claim.and_then(|claim| self.claims.get_mut(&claim)) {
                            Some(open) => open.inserted.push((table.clone(), row)),
                            None => self.insert_committed(database, &table.1, row),
                        }
                    }
                    Vec::new()
                }
                Body::Drain(_) => return Err(not_supported("CONSUME outside of a source")),
                Body::Sequence(_) => return Err(not_supported("a sequence")),
            };
            groups.push(group);
        }
        Ok(groups)
    }

    /// Rows that a transaction sees: the committed ones, and its own.
    fn select(
        &self,
        database: &str,
        claim: Option<u64>,
        (select, parameters): (&Select, &Record),
    ) -> Result<Vec<Record>, SystemError> {
        let project = |scope: &Scope<'_>| -> Result<Record, SystemError> {
            select
                .columns
                .iter()
                .map(|output| evaluate(&output.expr, scope))
                .collect()
        };
        let is_simple = select.joins.is_empty()
            && select.unions.is_empty()
            && select.group.is_empty()
            && select.having.is_none()
            && select.offset.is_none();
        if !is_simple
            || select
                .from
                .as_ref()
                .is_some_and(|from| from.query.is_some())
        {
            return Err(not_supported("query of this form"));
        }
        let Some(from) = &select.from else {
            return Ok(vec![project(&Scope::of(parameters))?]);
        };
        let name = (database.to_owned(), from.table.name.to_string());
        let stored = self
            .tables
            .get(&name)
            .ok_or_else(|| unknown_table(&name.1))?;
        let own = claim.and_then(|claim| self.claims.get(&claim));
        let own = own.into_iter().flat_map(|open| &open.inserted);
        let own = own.filter(|(table, _)| *table == name).map(|(_, row)| row);
        let mut answer = Vec::new();
        for values in stored.rows.values().map(|row| &row.values).chain(own) {
            let row = Row {
                alias: &from.alias,
                table: &stored.table,
                values,
            };
            let scope = Scope {
                row: Some(row),
                outputs: &[],
                parameters,
            };
            if holds(select.filter.as_ref(), &scope)? {
                answer.push(project(&scope)?);
            }
        }
        Ok(answer)
    }

    fn insertion(
        &self,
        database: &str,
        claim: Option<u64>,
        (insert, parameters): (&Insert, &Record),
    ) -> Result<Vec<Record>, SystemError> {
        let outputs = match &insert.query {
            Some(select) => self.select(database, claim, (select, parameters))?,
            None => vec![Record::new()],
        };
        let name = (database.to_owned(), insert.table.name.to_string());
        let stored = self
            .tables
            .get(&name)
            .ok_or_else(|| unknown_table(&name.1))?;
        let mut rows = Vec::with_capacity(outputs.len());
        for outputs in &outputs {
            let scope = Scope {
                row: None,
                outputs,
                parameters,
            };
            let mut row = Record::with_capacity(stored.table.columns.len());
            for column in &stored.table.columns {
                let given = insert
                    .columns
                    .iter()
                    .find(|(target, _)| target.name == column.name);
                row.push(given.map_or(Ok(Value::Null), |(_, expr)| evaluate(expr, &scope))?);
            }
            if stored.refused.is_some() && stored.refused.as_ref() == row.first() {
                let message = format!("table \"{}\" refuses the row", name.1);
                return Err(SystemError::new(ErrorClass::Rejected, "E_DB", message));
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// Makes a claim final; false if it is poisoned.
    pub(super) fn commit(&mut self, claim: u64) -> bool {
        let Some(open) = self.claims.remove(&claim) else {
            return false;
        };
        let stands =
            |(key, advance): &(OffsetKey, Advance)| self.offsets.get(key) == Some(&advance.began);
        if open.poisoned || !open.advanced.iter().all(stands) {
            self.claims.insert(claim, open);
            return false;
        }
        for (table, row) in open.deleted {
            if let Some(stored) = self.tables.get_mut(&table) {
                stored.rows.remove(&row);
            }
        }
        for ((database, table), row) in open.inserted {
            self.insert_committed(&database, &table, row);
        }
        for (key, advance) in open.advanced {
            self.offsets.insert(key, advance.next);
        }
        self.note(Event::Committed { claim });
        true
    }

    pub(super) fn blame(&mut self, claim: u64) {
        self.note(Event::Blamed { claim });
    }

    pub(super) fn release(&mut self, claim: u64) {
        self.give_back(claim);
        self.note(Event::Released { claim });
    }

    /// The session of a claim is closed; its system notices soon.
    pub(super) fn drop_claim(&mut self, claim: u64) {
        let notices = Duration::from_micros(500 + self.faults.below(50_000));
        let now = self.now;
        if let Some(open) = self.claims.get_mut(&claim) {
            open.gone_at = Some(now + notices);
            self.note(Event::Dropped { claim });
        }
    }

    pub(super) fn database_of(&self, claim: u64) -> Option<&str> {
        self.claims.get(&claim).map(|open| &*open.database)
    }
}

impl OpenClaim {
    pub(super) fn new(database: &str, source: Option<u64>) -> Self {
        Self {
            database: database.to_owned(),
            source,
            deleted: Vec::new(),
            inserted: Vec::new(),
            advanced: Vec::new(),
            poisoned: false,
            gone_at: None,
        }
    }
}

pub(super) fn unknown_table(table: &str) -> SystemError {
    let message = format!("table \"{table}\" is unknown");
    let mut error = SystemError::misconfigured("E_BIND", message);
    error.unknown_name = true;
    error
}

pub(super) fn not_supported(what: &str) -> SystemError {
    SystemError::misconfigured("E_DB", format!("the in-memory database has no {what}"))
}
