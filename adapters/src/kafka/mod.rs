//! Apache Kafka: messages go out by [`Sink`](dajet_core::Sink) and come in by [`Source`](dajet_core::Source).
//!
//! Out: order is kept per partition and nothing is skipped: the producer is idempotent and gapless, so that a message that
//! cannot be delivered ends the producer and everything behind it, and the batch is read again by a new generation.
//!
//! In: a [task](poller) takes messages from the library and serves the group, a [read](source) makes batches of them, and the [claim](claim) on a
//! batch is the right to commit its offsets. What they share is the [line].

mod attempts;
mod check;
mod check_source;
mod claim;
mod client;
mod consumer;
mod delivery;
mod error;
mod health;
mod ledger;
mod letter;
mod limits;
mod line;
mod literal;
mod message;
mod offsets;
mod poison;
mod poller;
mod properties;
mod settings;
mod sink;
mod source;
mod source_settings;
mod stray;
mod topics;

use dajet_core::{Connector, Environment, MessageSpec, Sink, SystemError};

pub use settings::SinkOptions;
pub use source_settings::SourceOptions;

/// Kafka in the registry.
pub const CONNECTOR: Connector = Connector {
    name: "kafka",
    schemes: &["kafka"],
    service: None,
    read_ahead: 1,
    sink: Some(open),
    broker: Some(source::open_source),
    members: letter::MEMBERS,
    check: check::check,
};

fn open(spec: &MessageSpec, environment: &Environment) -> Result<Box<dyn Sink>, SystemError> {
    Ok(Box::new(sink::KafkaSink::new(spec, environment)?))
}
