//! Apache Kafka: messages go out by [`Sink`](dajet_core::Sink).
//!
//! Order is kept per partition and nothing is skipped: the producer is idempotent and gapless, so that a message that
//! cannot be delivered ends the producer and everything behind it, and the batch is read again by a new generation.

mod check;
mod client;
mod delivery;
mod error;
mod ledger;
mod limits;
mod message;
mod properties;
mod settings;
mod sink;
mod topics;

use dajet_core::{Connector, Environment, MessageSpec, Sink, SystemError};

pub use settings::SinkOptions;

/// Kafka in the registry.
pub const CONNECTOR: Connector = Connector {
    name: "kafka",
    schemes: &["kafka"],
    service: None,
    sink: Some(open),
    broker: None,
    check: check::check,
};

fn open(spec: &MessageSpec, environment: &Environment) -> Result<Box<dyn Sink>, SystemError> {
    Ok(Box::new(sink::KafkaSink::new(spec, environment)?))
}
