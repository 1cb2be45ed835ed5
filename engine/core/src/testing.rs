//! In-memory systems for tests: databases and brokers of a [`World`] that forgets nothing, with a fault plan drawn from a seed.
//!
//! They keep the contracts of [`crate::contract`] to the letter: rows are locked by claims, a dropped claim gives back later, a
//! lost reply hides an effect. They know no runtime: time comes from a [`Timer`].

mod broker;
mod database;
mod evaluate;
mod faults;
mod inbox;
mod offsets;
mod reading;
mod state;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::address::Address;
use crate::contract::{BoxFuture, Connector, Connectors};
use crate::error::SystemError;
use crate::record::Record;
use crate::schema::{Column, ColumnRole, DataType, Defaults, PhysicalColumn, Table, TableKey};

pub use faults::{Chances, Fault, FaultPlan, Operation};
pub use inbox::DATABASE as INBOX;
use state::State;
pub use state::{Event, View};

/// The clock of a world: the runtime's own, so that virtual time is the world's time.
#[derive(Clone)]
pub struct Timer {
    /// Time since some beginning.
    pub now: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// Waits.
    pub sleep: Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>,
}

/// Databases `memory://ID/name`, topics `topic://ID/name` and sources of messages `inbox://ID/name`. Cheap to clone; ends with the last clone.
#[derive(Clone)]
pub struct World {
    id: u64,
    timer: Timer,
    state: Arc<Mutex<State>>,
}

/// Worlds by their number: connectors are plain functions and find theirs by the address.
static WORLDS: Mutex<BTreeMap<u64, (Timer, Weak<Mutex<State>>)>> = Mutex::new(BTreeMap::new());

/// Called after every event.
pub type Watcher = Box<dyn FnMut(Duration, &Event, &View<'_>) + Send>;

impl World {
    /// Makes an empty world.
    pub fn new(timer: Timer, faults: FaultPlan) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Relaxed);
        let state = Arc::new(Mutex::new(State::new(faults)));
        let mut worlds = lock(&WORLDS);
        worlds.retain(|_, (_, state)| state.strong_count() > 0);
        worlds.insert(id, (timer.clone(), Arc::downgrade(&state)));
        Self { id, timer, state }
    }

    /// The address of a database of this world.
    pub fn database(&self, name: &str) -> Address {
        Address::new(format!("memory://{}/{name}", self.id))
    }

    /// The address of a topic of this world.
    pub fn topic(&self, name: &str) -> Address {
        Address::new(format!("topic://{}/{name}", self.id))
    }

    /// The address of a source of messages of this world: those of the table `name` of the database [`INBOX`].
    pub fn inbox(&self, name: &str) -> Address {
        Address::new(format!("inbox://{}/{name}", self.id))
    }

    /// The connectors of all worlds.
    pub fn connectors() -> Connectors {
        Connectors::new([
            Connector {
                name: "memory",
                schemes: &["memory"],
                service: Some(|address, _| database::open(address)),
                read_ahead: 1,
                sink: None,
                broker: None,
                members: &[],
                check: |_, _, _| Vec::new(),
            },
            Connector {
                name: "topic",
                schemes: &["topic"],
                service: None,
                read_ahead: 1,
                sink: Some(|spec, _| broker::open(&spec.address)),
                broker: None,
                members: &[],
                check: |_, _, _| Vec::new(),
            },
            Connector {
                name: "inbox",
                schemes: &["inbox"],
                service: None,
                read_ahead: 1,
                sink: None,
                broker: Some(|spec, _, databases| inbox::open(spec, databases)),
                members: &[],
                check: |_, _, _| Vec::new(),
            },
        ])
    }

    /// Makes an empty table; its first column is its key.
    pub fn create(&self, database: &str, table: &str, columns: &[(&str, DataType)]) {
        let column = |&(name, data_type): &(&str, DataType)| {
            Column::new(
                name.into(),
                data_type,
                vec![PhysicalColumn {
                    name: name.into(),
                    role: ColumnRole::Value,
                    type_name: "memory".into(),
                    nullable: true,
                    generated: false,
                }],
            )
        };
        let described = Table {
            name: table.into(),
            physical: vec![table.into()],
            columns: columns.iter().map(column).collect(),
            key: TableKey::Columns(
                columns
                    .iter()
                    .take(1)
                    .map(|(name, _)| (*name).into())
                    .collect(),
            ),
            defaults: Defaults::Database,
            lacking: Vec::new(),
            reasons: Vec::new(),
            version: None,
        };
        self.state().create(database, described);
    }

    /// Adds a committed row, as an application would.
    pub fn insert(&self, database: &str, table: &str, row: Record) {
        self.state().insert_committed(database, table, row);
    }

    /// Makes a table refuse rows whose first column has this value; `None` accepts all again.
    pub fn refuse(&self, database: &str, table: &str, key: Option<crate::Value>) {
        self.state().refuse(database, table, key);
    }

    /// The committed rows of a table, in the order of their insertion.
    pub fn rows(&self, database: &str, table: &str) -> Vec<Record> {
        self.state().view().rows(database, table).cloned().collect()
    }

    /// The records of a topic.
    pub fn records(&self, topic: &str) -> Vec<Record> {
        self.state().view().records(topic).to_vec()
    }

    /// Number of claims that are not resolved yet.
    pub fn open_claims(&self) -> usize {
        self.state().view().open_claims()
    }

    /// Lets `fault` happen at the next `operation`; several are used in order.
    pub fn fail_next(&self, operation: Operation, fault: Fault) {
        self.state().faults.force(operation, fault);
    }

    /// Draws no faults any more.
    pub fn stop_faults(&self) {
        self.state().faults.stop();
    }

    /// Number of faults so far, delays not counted.
    pub fn failures(&self) -> usize {
        self.state().faults.count()
    }

    /// Calls `watcher` after every event. It must not use the world, only the view.
    pub fn watch(&self, watcher: Watcher) {
        self.state().watcher = Some(watcher);
    }

    fn find(address: &Address) -> Result<(World, String), SystemError> {
        let unknown = || SystemError::misconfigured("E_URI", format!("no world has \"{address}\""));
        let place = address.expose().split_once("://").map(|(_, place)| place);
        let (id, name) = place
            .and_then(|place| place.split_once('/'))
            .ok_or_else(unknown)?;
        let id = id.parse().map_err(|_| unknown())?;
        let (timer, state) = {
            let worlds = lock(&WORLDS);
            let (timer, state) = worlds.get(&id).ok_or_else(unknown)?;
            (timer.clone(), state.upgrade().ok_or_else(unknown)?)
        };
        Ok((World { id, timer, state }, name.to_owned()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = lock(&self.state);
        state.now = (self.timer.now)();
        state
    }

    async fn sleep(&self, pause: Duration) {
        (self.timer.sleep)(pause).await;
    }

    /// Lets the fault plan have its say before the effect of `operation`. True if the reply shall be lost after the effect.
    async fn fate(&self, operation: Operation) -> Result<bool, SystemError> {
        let (pause, fault) = {
            let mut state = self.state();
            let drawn = state.faults.draw(operation);
            if !matches!(drawn.1, Fault::None) {
                state.note(Event::Faulted {
                    operation,
                    fault: drawn.1,
                });
            }
            drawn
        };
        self.sleep(pause).await;
        match fault {
            Fault::None => Ok(false),
            Fault::LoseReply => Ok(true),
            Fault::Stall(pause) => {
                self.sleep(pause).await;
                Ok(false)
            }
            Fault::Refuse(class) => Err(SystemError::new(
                class,
                "E_DB",
                format!("{operation:?} is refused").to_lowercase(),
            )),
            Fault::Panic => panic!("{SIMULATED_PANIC} at {operation:?}"),
        }
    }
}

/// How the message of a panic begins that a fault plan wants.
pub const SIMULATED_PANIC: &str = "simulated panic";

/// The error of a reply that was lost.
fn lost(operation: Operation) -> SystemError {
    SystemError::transient(
        "E_DB",
        format!("the reply to {operation:?} was lost").to_lowercase(),
    )
}

/// A panic that a fault plan wants happens outside of the lock, and leaves the state whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
