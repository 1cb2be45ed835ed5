//! Watches a world with eyes of its own: I1 to I5 after every event, I6 at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dajet_actors::invariants::{
    Violation, committed_in_order, delivered, one_generation, received_before_commit,
    resolved_once, within_permits,
};
use dajet_core::Value;
use dajet_core::testing::{Event, View, Watcher, World};
use parking_lot::Mutex;

use crate::case::{Case, Kind, Shape};

/// What happened and what was wrong with it.
#[derive(Default)]
pub struct Findings {
    pub trace: Vec<String>,
    pub violations: Vec<Violation>,
    pub permits: usize,
    claims: BTreeMap<u64, Seen>,
}

/// A claim as the monitor has seen it.
struct Seen {
    source: Option<u64>,
    part: i64,
    rows: Vec<i64>,
    committed: bool,
    resolutions: usize,
}

/// A monitor of one world.
pub struct Monitor {
    case: Case,
    findings: Arc<Mutex<Findings>>,
    permits: BTreeMap<u64, usize>,
    published: BTreeSet<i64>,
    copied: BTreeSet<i64>,
    copies_seen: usize,
    messages_seen: usize,
    offset: Arc<Mutex<Option<i64>>>,
}

/// The monitor's side of the test.
pub struct Watch {
    pub findings: Arc<Mutex<Findings>>,
    offset: Arc<Mutex<Option<i64>>>,
}

impl Watch {
    /// A run of the script begins: its variables start anew.
    pub fn run_begins(&self) {
        *self.offset.lock() = None;
    }

    pub fn note(&self, what: String) {
        self.findings.lock().trace.push(what);
    }

    pub fn blame(&self, invariant: &'static str, message: String) {
        self.findings
            .lock()
            .violations
            .push(Violation { invariant, message });
    }
}

impl Monitor {
    pub fn watch(case: &Case, world: &World) -> Watch {
        let findings: Arc<Mutex<Findings>> = Arc::default();
        let offset = Arc::default();
        let mut monitor = Self {
            case: case.clone(),
            findings: findings.clone(),
            permits: BTreeMap::new(),
            published: BTreeSet::new(),
            copied: BTreeSet::new(),
            copies_seen: 0,
            messages_seen: 0,
            offset: Arc::clone(&offset),
        };
        let watcher: Watcher = Box::new(move |now, event, view| monitor.see(now, event, view));
        world.watch(watcher);
        Watch { findings, offset }
    }

    fn see(&mut self, now: Duration, event: &Event, view: &View<'_>) {
        self.findings
            .lock()
            .trace
            .push(format!("{now:?} {event:?}"));
        let seen = match event {
            Event::Opened { source, permits } => self.opened(*source, *permits),
            Event::Read {
                source,
                claim,
                rows,
            } => self.read(*source, *claim, rows),
            Event::Begun { claim, .. } => self.begun(*claim),
            Event::Committed { claim } => self.committed(*claim, view),
            Event::Released { claim } | Event::Dropped { claim } => self.resolved(*claim),
            Event::Published { .. } => self.published(view),
            Event::Faulted { .. } | Event::Empty { .. } | Event::Blamed { .. } => Ok(()),
        };
        if let Err(violation) = seen {
            self.findings.lock().violations.push(violation);
        }
    }

    fn opened(&mut self, source: u64, permits: usize) -> Result<(), Violation> {
        self.permits.insert(source, permits);
        let mut findings = self.findings.lock();
        findings.permits = findings.permits.max(permits);
        Ok(())
    }

    fn claim(&mut self, claim: u64, source: Option<u64>, part: i64, rows: Vec<i64>) {
        let seen = Seen {
            source,
            part,
            rows,
            committed: false,
            resolutions: 0,
        };
        self.findings.lock().claims.insert(claim, seen);
    }

    fn read(&mut self, source: u64, claim: u64, rows: &[Value]) -> Result<(), Violation> {
        let rows: Vec<i64> = rows.iter().map(integer).collect();
        let part = rows.first().map_or(0, |row| row % self.case.parts);
        self.claim(claim, Some(source), part, rows);
        let findings = self.findings.lock();
        let open = |seen: &&Seen| seen.source.is_some() && seen.resolutions == 0;
        let own = findings
            .claims
            .values()
            .filter(open)
            .filter(|seen| seen.source == Some(source));
        within_permits(own.count(), self.permits.get(&source).copied().unwrap_or(0))?;
        // Partitions are pipelines of their own.
        let others = findings.claims.values().filter(open);
        let others = others.filter(|seen| seen.source != Some(source) && seen.part == part);
        one_generation(source, others.count())
    }

    /// Target transactions of a batch begin when those of its predecessor are over.
    fn begun(&mut self, claim: u64) -> Result<(), Violation> {
        let open = |seen: &&Seen| seen.source.is_none() && seen.resolutions == 0;
        let open = self.findings.lock().claims.values().filter(open).count();
        self.claim(claim, None, 0, Vec::new());
        if open == 0 {
            return Ok(());
        }
        let message = format!("claim {claim} begins while {open} target claims are open");
        Err(Violation {
            invariant: "turn",
            message,
        })
    }

    fn resolved(&mut self, claim: u64) -> Result<(), Violation> {
        let mut findings = self.findings.lock();
        let Some(seen) = findings.claims.get_mut(&claim) else {
            return Ok(());
        };
        seen.resolutions += 1;
        resolved_once(claim, seen.resolutions)
    }

    fn committed(&mut self, claim: u64, view: &View<'_>) -> Result<(), Violation> {
        self.resolved(claim)?;
        if let Some(database) = self.case.copies_into() {
            let rows = view.rows(database, "Копии");
            let new: Vec<i64> = rows
                .skip(self.copies_seen)
                .map(|row| integer(&row[0]))
                .collect();
            self.copies_seen += new.len();
            self.copied.extend(new);
        }
        let mut findings = self.findings.lock();
        let Some(seen) = findings.claims.get_mut(&claim) else {
            return Ok(());
        };
        seen.committed = true;
        if seen.source.is_none() {
            return Ok(());
        }
        let (source, rows) = (seen.source, seen.rows.clone());
        let mut owed = 0;
        let mut received = 0;
        let mut count = |sink: &BTreeSet<i64>| {
            owed += rows.len();
            received += rows.iter().filter(|row| sink.contains(row)).count();
        };
        if self.case.sends_messages() {
            count(&self.published);
        }
        if self.case.copies_into().is_some() {
            count(&self.copied);
        }
        received_before_commit(claim, owed, received)?;
        let before = findings.claims.range(..claim);
        let before = before.filter(|(_, seen)| seen.source == source && !seen.committed);
        committed_in_order(claim, before.count())
    }

    fn published(&mut self, view: &View<'_>) -> Result<(), Violation> {
        let records = view.records("out");
        for record in &records[self.messages_seen..] {
            let id = integer(&record[0]);
            self.published.insert(id);
            if self.case.shape == Shape::Counter {
                let offset = id - integer(&record[1]);
                let first = *self.offset.lock().get_or_insert(offset);
                if first != offset {
                    let message = format!("message {id} counts from {offset}, not from {first}");
                    return Err(Violation {
                        invariant: "variables",
                        message,
                    });
                }
            }
        }
        self.messages_seen = records.len();
        Ok(())
    }
}

/// I1 and I6, when everything has ended.
pub fn judge(case: &Case, world: &World, watch: &Watch) {
    let mut findings = watch.findings.lock();
    let mut found = Vec::new();
    for (claim, seen) in &findings.claims {
        found.extend(resolved_once(*claim, seen.resolutions).err());
    }
    let (database, table) = case.source();
    let left = world.rows(database, table).len();
    if left > 0 {
        found.push(Violation {
            invariant: "I6",
            message: format!("{left} rows are left"),
        });
    }
    // A stop or restart may cost as much as a fault.
    let failures = world.failures() + case.actions.len();
    let duplicates = failures * findings.permits * case.batch_max();
    let check = |sink: Vec<i64>, duplicates| {
        (0..case.parts).find_map(|part| {
            let of_part = |ids: &mut dyn Iterator<Item = i64>| -> Vec<u64> {
                ids.filter(|id| id % case.parts == part)
                    .map(|id| id as u64)
                    .collect()
            };
            let queued = of_part(&mut (1..=case.rows));
            delivered(&queued, &of_part(&mut sink.iter().copied()), duplicates).err()
        })
    };
    if case.sends_messages() {
        let sink = world
            .records("out")
            .iter()
            .map(|record| integer(&record[0]))
            .collect();
        found.extend(check(sink, duplicates));
    }
    if let Some(database) = case.copies_into() {
        let exactly_once = case.shape == Shape::SameDatabase || case.kind == Kind::Kept;
        let sink = world
            .rows(database, "Копии")
            .iter()
            .map(|row| integer(&row[0]))
            .collect();
        found.extend(check(sink, if exactly_once { 0 } else { duplicates }));
    }
    findings.violations.extend(found);
}

fn integer(value: &Value) -> i64 {
    match value {
        Value::Integer(number) => *number,
        other => panic!("a number was expected, not {other:?}"),
    }
}
