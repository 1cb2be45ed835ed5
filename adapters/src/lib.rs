//! Connectors to foreign systems: one folder for each, one line in [`registry`].
//!
//! An adapter never names an actor and never sees syntax: databases receive `core::query`, brokers records.

mod mapping;
pub mod onec;

pub mod amqp;
pub mod kafka;
pub mod pgsql;
pub mod registry;
pub mod sqlite;

#[cfg(feature = "testing")]
pub mod testing;
