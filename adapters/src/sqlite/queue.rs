//! A queue on the thread of its file: reading without a write lock, and the one transaction that makes a read final.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dajet_core::contract::Answer;
use dajet_core::query::Statement;
use dajet_core::record::{OrderKeys, Record, Records, Shape};
use dajet_core::{SystemError, Value};
use rusqlite::Connection;
use rusqlite::types::{Value as Raw, ValueRef};

use super::drain::DrainPlan;
use super::failure::{Trouble, classify};
use super::held::{self, Keys, SourceId};
use super::run::{self, Batch};
use super::state::{ClaimId, Queued, State, Written};
use super::values::Arena;

/// More runs of held rows than these are left out one by one.
const GAPS_MAX: usize = 16;

/// State of a file at which rows were read: changes of others, changes of our own.
type Version = (i64, (u64, u64));

/// A read that is not yet final.
pub struct SourceClaim {
    /// Of which source.
    pub source: SourceId,
    /// What it asks.
    pub plan: Arc<DrainPlan>,
    /// What its texts are bound to.
    parameters: Vec<Value>,
    /// The rows, as reads of others leave them out.
    pub keys: Keys,
    /// Rowids in their order, with the place of their row in `values`; or nothing.
    rowids: Vec<(i64, usize)>,
    /// Keys of the rows of a table WITHOUT ROWID, in read order.
    raw_keys: Vec<Raw>,
    /// What was read, row after row.
    values: Vec<Value>,
    version: Version,
}

/// The answer of a read.
pub struct ReadRows {
    /// The rows.
    pub records: Records,
    /// Their ORDER BY values.
    pub keys: OrderKeys,
}

/// What a reader asks for.
pub struct Ask {
    /// Which source asks.
    pub source: SourceId,
    /// What it asks.
    pub plan: Arc<DrainPlan>,
    /// What its texts are bound to.
    pub parameters: Vec<Value>,
    /// Bytes at which the read stops.
    pub bytes_max: usize,
}

/// Rows on their way.
struct Reading<'a> {
    main: &'a Connection,
    ask: &'a Ask,
    most: i64,
    rows: Vec<Record>,
    rowids: Vec<i64>,
    raw_keys: Vec<Raw>,
    bytes: usize,
    arena: Arena,
}

impl State {
    /// Reads the next rows behind those that claims hold, and holds them as `claim`. `Err(complete)` inside: nothing to read.
    ///
    /// # Errors
    /// Busy: somebody keeps readers out, or another source holds rows and the order is strict.
    pub fn read(&mut self, claim: ClaimId, ask: &Ask) -> Result<Result<ReadRows, bool>, Trouble> {
        let plan = &ask.plan;
        let main = self.main()?;
        warn_of_sorting(&main, plan);
        let version = self.version(&main, &plan.table)?;
        let mut reading = Reading::new(&main, ask)?;
        let skipped = self.gather(&mut reading)?;
        if reading.rows.is_empty() {
            return Ok(Err(!skipped));
        }
        let rows = take_apart(plan, reading.rows);
        let keys = if plan.by_rowid {
            Keys::Runs(held::runs_of(reading.rowids.clone()))
        } else {
            Keys::Encoded(encoded(&reading.raw_keys, plan.key_width))
        };
        let mut rowids: Vec<_> = reading.rowids.into_iter().zip(0..).collect();
        rowids.sort_unstable();
        self.around.held.lock().add(&plan.table, ask.source, &keys);
        let claimed = SourceClaim {
            source: ask.source,
            plan: Arc::clone(plan),
            parameters: ask.parameters.clone(),
            keys,
            rowids,
            raw_keys: reading.raw_keys,
            values: rows.all,
            version,
        };
        self.claims.insert(claim, claimed);
        let records = Records {
            shape: Arc::clone(&plan.rendered.shape),
            rows: rows.visible,
        };
        let keys = OrderKeys {
            shape: Arc::clone(&plan.order_shape),
            values: rows.order,
        };
        Ok(Ok(ReadRows { records, keys }))
    }

    /// Reads; true if held rows were left out.
    fn gather(&mut self, reading: &mut Reading<'_>) -> Result<bool, Trouble> {
        let (plan, source) = (&*reading.ask.plan, reading.ask.source);
        let gaps = {
            let mut held = self.around.held.lock();
            held.start(&plan.table);
            match held.table(&plan.table) {
                None => None,
                Some(table) if plan.strict && table.by_another(source) => {
                    let message =
                        format!("rows of queue \"{}\" are held by another reader", plan.name);
                    return Err(Trouble::Busy(SystemError::transient("E_DB", message)));
                }
                Some(table) => Some(plan.read_between.as_ref().zip(table.gaps(GAPS_MAX))),
            }
        };
        match gaps {
            None => {
                reading.step(&plan.read, &[])?;
                Ok(false)
            }
            // SQLite asks about each row.
            Some(None) => {
                reading.step(&plan.read_free, &[])?;
                Ok(self.around.held.lock().met())
            }
            Some(Some((text, mut gaps))) => {
                if plan.backwards {
                    gaps.reverse();
                }
                for (lower, upper) in gaps {
                    let lower = lower.map_or(Some(i64::MIN), |rowid| rowid.checked_add(1));
                    let upper = upper.map_or(Some(i64::MAX), |rowid| rowid.checked_sub(1));
                    let (Some(lower), Some(upper)) = (lower, upper) else {
                        continue;
                    };
                    if !reading.step(text, &[lower, upper])? {
                        break;
                    }
                }
                Ok(true)
            }
        }
    }

    fn version(&self, main: &Connection, table: &str) -> Result<Version, Trouble> {
        let mut statement = main
            .prepare_cached("PRAGMA data_version")
            .map_err(|e| classify("cannot look at the version of the file", e))?;
        let version = statement
            .query_row([], |row| row.get(0))
            .map_err(|e| classify("cannot look at the version of the file", e))?;
        Ok((version, self.changes(table)))
    }

    /// Makes a read final: deletes its rows if they are what was read, and does the writes of the body.
    ///
    /// # Errors
    /// Busy before anything is done; nothing is final otherwise.
    pub fn commit_source(&mut self, claim: ClaimId, queued: &[Queued]) -> Result<(), Trouble> {
        if self.owner == Some(claim) {
            return self.commit(claim);
        }
        self.need_write_lock()?;
        let main = self.main()?;
        self.begin_immediate(&main)?;
        let done = self.finalise(&main, claim, queued);
        let (written, changed) = done.inspect_err(|_| self.roll_back(&main))?;
        self.commit_on(&main)?;
        self.note(written, changed);
        self.finish(claim);
        Ok(())
    }

    /// Does what [`Self::commit_source`] does and takes it back, so that nobody is kept out of the file until the commit.
    ///
    /// # Errors
    /// Those of the commit.
    pub fn rehearse_source(&mut self, claim: ClaimId, queued: &[Queued]) -> Result<(), Trouble> {
        self.need_write_lock()?;
        let main = self.main()?;
        self.begin_immediate(&main)?;
        let done = self.finalise(&main, claim, queued);
        let done = done.and_then(|_| self.flush_pages(&main));
        self.roll_back(&main);
        done
    }

    /// Deletes and writes; returns what was meant to be written, and how many rows were changed.
    fn finalise(
        &mut self,
        main: &Connection,
        claim: ClaimId,
        queued: &[Queued],
    ) -> Result<(Written, u64), Trouble> {
        let before = main.total_changes();
        let held = self.claims.get(&claim).ok_or_else(gone)?;
        let look = held.version != self.version(main, &held.plan.table)?;
        let mut written = Written::default();
        written.rows += held.take(main, look)?;
        self.write(main, queued, &mut written)?;
        Ok((written, main.total_changes() - before))
    }

    fn write(
        &mut self,
        connection: &Connection,
        queued: &[Queued],
        written: &mut Written,
    ) -> Result<(), Trouble> {
        for (index, write) in queued.iter().enumerate() {
            let rendered = self.rendered(&write.statement)?;
            written.add(&rendered, &write.batch);
            run::run(connection, &rendered, &write.batch, &self.around.sequences).map_err(
                |trouble| {
                    let mut error = trouble.into_error();
                    error.write = Some(index);
                    Trouble::Failed(error)
                },
            )?;
        }
        Ok(())
    }

    /// Opens the transaction of a source claim whose body reads what it wrote, and runs the statement in it.
    ///
    /// # Errors
    /// Busy while somebody else writes or an earlier claim of the source is open, for that one commits first.
    pub fn open_source(
        &mut self,
        claim: ClaimId,
        queued: &[Queued],
        statement: &Statement,
        batch: &Batch,
    ) -> Result<Answer, Trouble> {
        let source = self.claims.get(&claim).ok_or_else(gone)?.source;
        if self
            .claims
            .range(..claim)
            .any(|(_, earlier)| earlier.source == source)
        {
            let message = "an earlier batch of the queue has not ended";
            return Err(Trouble::Busy(SystemError::transient("E_DB", message)));
        }
        let writer = self.begin(claim)?;
        let done = self.open_with(&writer, claim, queued);
        match done {
            Ok(()) => self.execute_in(claim, statement, batch),
            Err(trouble) => Err(Trouble::Failed(trouble.into_error())),
        }
    }

    fn open_with(
        &mut self,
        writer: &Rc<Connection>,
        claim: ClaimId,
        queued: &[Queued],
    ) -> Result<(), Trouble> {
        self.claims
            .get(&claim)
            .ok_or_else(gone)?
            .take(writer, true)?;
        self.write(writer, queued, &mut Written::default())
    }
}

impl SourceClaim {
    /// Deletes the rows; with `look`, only after having looked at them again. Returns their number.
    ///
    /// # Errors
    /// `Transient` if a row is gone or is another one now.
    fn take(&self, connection: &Connection, look: bool) -> Result<u64, Trouble> {
        let attempt = format!("cannot delete from queue \"{}\"", self.plan.name);
        if look {
            self.look_again(connection)?;
        }
        let mut statement = connection
            .prepare_cached(&self.plan.delete)
            .map_err(|e| classify(&attempt, e))?;
        let mut total = 0;
        match &self.keys {
            Keys::Runs(runs) => {
                for (first, last) in runs {
                    let deleted = statement
                        .execute([first, last])
                        .map_err(|e| classify(&attempt, e))?;
                    if deleted as u64 != last.wrapping_sub(*first) as u64 + 1 {
                        return Err(self.changed());
                    }
                    total += deleted as u64;
                }
            }
            Keys::Encoded(_) => {
                for key in self.raw_keys.chunks(self.plan.key_width) {
                    let key = rusqlite::params_from_iter(key);
                    if statement.execute(key).map_err(|e| classify(&attempt, e))? != 1 {
                        return Err(self.changed());
                    }
                    total += 1;
                }
            }
        }
        Ok(total)
    }

    fn changed(&self) -> Trouble {
        let message = format!("rows of queue \"{}\" changed meanwhile", self.plan.name);
        SystemError::transient("E_DB", message)
            .with_hint(
                "Somebody else changes or consumes rows that were just read; they are read again.",
            )
            .into()
    }

    /// Compares the rows with what was read.
    fn look_again(&self, connection: &Connection) -> Result<(), Trouble> {
        let plan = &*self.plan;
        let attempt = format!("cannot read queue \"{}\" again", plan.name);
        let mut statement = connection
            .prepare_cached(&plan.again)
            .map_err(|e| classify(&attempt, e))?;
        run::bind(
            &mut statement,
            &plan.rendered.bindings,
            &self.parameters,
            &attempt,
        )?;
        let first = plan.rendered.bindings.len() + 1;
        let mut arena = Arena::default();
        let mut next = 0;
        let mut compare = |statement: &mut rusqlite::Statement<'_>, count: usize| {
            let mut rows = statement.raw_query();
            for _ in 0..count {
                let row = rows.next().map_err(|e| classify(&attempt, e))?;
                let row = row.ok_or_else(|| self.changed())?;
                self.same(row, next, &mut arena)?;
                next += 1;
            }
            Ok::<_, Trouble>(())
        };
        match &self.keys {
            Keys::Runs(runs) => {
                for (low, high) in runs {
                    for (offset, bound) in [low, high].into_iter().enumerate() {
                        statement
                            .raw_bind_parameter(first + offset, bound)
                            .map_err(|e| classify(&attempt, e))?;
                    }
                    compare(&mut statement, high.wrapping_sub(*low) as usize + 1)?;
                }
            }
            Keys::Encoded(_) => {
                for key in self.raw_keys.chunks(plan.key_width) {
                    for (offset, part) in key.iter().enumerate() {
                        statement
                            .raw_bind_parameter(first + offset, part)
                            .map_err(|e| classify(&attempt, e))?;
                    }
                    compare(&mut statement, 1)?;
                }
            }
        }
        Ok(())
    }

    /// True to what was read: the row at `place` in key order.
    fn same(
        &self,
        row: &rusqlite::Row<'_>,
        place: usize,
        arena: &mut Arena,
    ) -> Result<(), Trouble> {
        let plan = &*self.plan;
        let index = match self.rowids.get(place) {
            Some((rowid, index)) => match row.get_ref(0) {
                Ok(ValueRef::Integer(found)) if found == *rowid => *index,
                _ => return Err(self.changed()),
            },
            None => place,
        };
        let readers = &plan.rendered.readers;
        let before = &self.values[index * readers.len()..][..readers.len()];
        let mut column = plan.key_width;
        for ((reader, before), stable) in readers.iter().zip(before).zip(&plan.stable) {
            if *stable && !run::reads_as((row, column), reader, before, arena) {
                return Err(self.changed());
            }
            column += reader.width();
        }
        Ok(())
    }
}

/// Says once that each batch sorts the whole queue, for that costs more the longer the queue is.
fn warn_of_sorting(main: &Connection, plan: &DrainPlan) {
    if plan.looked_at.swap(true, Ordering::Relaxed) {
        return;
    }
    let sorts = || -> rusqlite::Result<bool> {
        let mut statement = main.prepare(&format!("EXPLAIN QUERY PLAN {}", plan.read))?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let step: String = row.get(3)?;
            if step.starts_with("USE TEMP B-TREE FOR") {
                return Ok(true);
            }
        }
        Ok(false)
    };
    // If there is no answer, the read itself says what is wrong.
    if sorts().unwrap_or(false) {
        tracing::warn!(queue = %plan.name, "each batch sorts the whole queue: no index gives its order");
    }
}

impl<'a> Reading<'a> {
    fn new(main: &'a Connection, ask: &'a Ask) -> Result<Self, SystemError> {
        Ok(Self {
            main,
            ask,
            most: ask.plan.top(&ask.parameters)?,
            rows: Vec::new(),
            rowids: Vec::new(),
            raw_keys: Vec::new(),
            bytes: 0,
            arena: Arena::default(),
        })
    }

    /// Steps through a text; false if there is enough.
    fn step(&mut self, text: &str, bounds: &[i64]) -> Result<bool, Trouble> {
        let plan = &*self.ask.plan;
        let attempt = format!("cannot read queue \"{}\"", plan.name);
        let failed = |error| classify(&attempt, error);
        let left = self.most - self.rows.len() as i64;
        let mut statement = self.main.prepare_cached(text).map_err(failed)?;
        let bindings = &plan.rendered.bindings;
        run::bind(&mut statement, bindings, &self.ask.parameters, &attempt)?;
        for (offset, number) in bounds.iter().chain([&left]).enumerate() {
            let place = bindings.len() + 1 + offset;
            statement
                .raw_bind_parameter(place, number)
                .map_err(failed)?;
        }
        let readers = &plan.rendered.readers;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(failed)? {
            if plan.by_rowid {
                self.rowids.push(row.get(0).map_err(failed)?);
            } else {
                for column in 0..plan.key_width {
                    self.raw_keys.push(row.get(column).map_err(failed)?);
                }
            }
            let record = run::read_row(row, plan.key_width, readers, &mut self.arena);
            let record = record.map_err(|why| {
                let mut error = run::unreadable(&plan.reader_names(), why);
                let place = place(row, plan, &mut self.arena).map(|p| format!(", at the row {p}"));
                let place = place.unwrap_or_default();
                error.message = format!("{attempt}: {}{place}", error.message);
                error
            })?;
            self.bytes += record.iter().map(Value::size).sum::<usize>();
            self.rows.push(record);
            if self.bytes >= self.ask.bytes_max || self.rows.len() as i64 >= self.most {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Names a row by those of its ORDER BY values that can be read.
fn place(row: &rusqlite::Row<'_>, plan: &DrainPlan, arena: &mut Arena) -> Option<String> {
    let values = run::readable(row, plan.key_width, &plan.rendered.readers, arena);
    let names = plan.order_shape.names.iter();
    let named = names.zip(&plan.order).filter_map(|(name, index)| {
        let value = values.get(*index)?.clone()?;
        Some((Arc::clone(name), value))
    });
    let (names, values): (Vec<_>, Vec<_>) = named.unzip();
    let shape = Shape::new(names);
    OrderKeys { shape, values }.describe(0)
}

/// Rows, taken apart: what the script sees, what order keys say, and everything for the comparison.
struct Apart {
    visible: Vec<Record>,
    order: Vec<Value>,
    all: Vec<Value>,
}

fn take_apart(plan: &DrainPlan, mut rows: Vec<Record>) -> Apart {
    let mut all = Vec::with_capacity(rows.len() * plan.stable.len());
    let mut order = Vec::with_capacity(rows.len() * plan.order.len());
    for row in &mut rows {
        order.extend(plan.order.iter().map(|index| row[*index].clone()));
        all.extend(row.iter().cloned());
        row.truncate(plan.visible);
    }
    Apart {
        visible: rows,
        order,
        all,
    }
}

fn encoded(raw: &[Raw], width: usize) -> Vec<Box<[u8]>> {
    raw.chunks(width)
        .map(|key| {
            let mut bytes = Vec::new();
            key.iter()
                .for_each(|part| held::encode(ValueRef::from(part), &mut bytes));
            bytes.into_boxed_slice()
        })
        .collect()
}

fn gone() -> Trouble {
    SystemError::transient("E_DB", "the claim of a batch has been given back").into()
}
