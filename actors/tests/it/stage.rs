//! Where tests run: an actix System on one thread, with the clock paused.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::{Arc, Once};
use std::time::Duration;

use actix::System;
use dajet_actors::{Arbiters, Observer, ScriptSpec, Services, Settings};
use dajet_core::testing::{FaultPlan, INBOX, SIMULATED_PANIC, Timer, World};
use dajet_core::{DataType, Environment, Value};
use dajet_lang::compile;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Runs the future in a System whose time jumps when all are idle.
pub fn on_virtual_time<F: Future>(future: F) -> F::Output {
    silence_simulated_panics();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime")
    };
    System::with_tokio_rt(runtime).block_on(future)
}

/// A panic of the fault plan is no news.
fn silence_simulated_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let message = info.payload().downcast_ref::<String>();
            if !message.is_some_and(|message| message.starts_with(SIMULATED_PANIC)) {
                report(info);
            }
        }));
    });
}

/// A world on virtual time. Must be called inside of [`on_virtual_time`].
pub fn world(faults: FaultPlan) -> World {
    let start = Instant::now();
    World::new(
        Timer {
            now: Arc::new(move || start.elapsed()),
            sleep: Arc::new(|pause: Duration| Box::pin(tokio::time::sleep(pause))),
        },
        faults,
    )
}

/// Makes the tables that all tests use.
pub fn create_tables(world: &World) {
    let (integer, text) = (DataType::Integer, DataType::Text);
    world.create(
        "queue",
        "Очередь",
        &[("Номер", integer), ("Часть", integer), ("Тело", text)],
    );
    world.create(
        INBOX,
        "Вход",
        &[("Номер", integer), ("Часть", integer), ("Тело", text)],
    );
    world.create("queue", "Части", &[("Часть", integer)]);
    for database in ["queue", "target"] {
        world.create(database, "Копии", &[("Номер", integer), ("Тело", text)]);
        world.create(database, "Имена", &[("Часть", integer), ("Имя", text)]);
    }
}

/// Where the queue stands.
pub const QUEUE: (&str, &str) = ("queue", "Очередь");

/// Adds rows to a table, their parts in turn.
pub fn fill(world: &World, (database, table): (&str, &str), ids: RangeInclusive<i64>, parts: i64) {
    for id in ids {
        let row = vec![
            Value::Integer(id),
            Value::Integer(id % parts),
            Value::text(format!("сообщение {id}")),
        ];
        world.insert(database, table, row);
    }
}

/// What a run of a script shows.
pub struct Stage {
    pub printed: Arc<Mutex<Vec<String>>>,
    pub observer: Observer,
    services: Services,
}

impl Stage {
    pub fn new() -> Self {
        let services = Services::new(World::connectors(), Environment::default());
        Self {
            printed: Arc::default(),
            observer: Observer::new(),
            services,
        }
    }

    pub fn spec(&self, text: &str, settings: Settings) -> ScriptSpec {
        let (plan, diagnostics) = compile(text);
        let plan = plan.unwrap_or_else(|| panic!("{text}\ndoes not compile: {diagnostics:#?}"));
        let printed = self.printed.clone();
        ScriptSpec {
            name: "проверка".into(),
            plan: Arc::new(plan),
            parameters: Arc::default(),
            environment: Arc::new(BTreeMap::new()),
            settings,
            services: self.services.clone(),
            arbiters: Arbiters::here(),
            print: Arc::new(move |line: &str| printed.lock().push(line.to_owned())),
            observer: self.observer.clone(),
        }
    }
}
