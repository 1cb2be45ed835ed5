//! RabbitMQ (AMQP 0-9-1): messages go out by [`Sink`](dajet_core::Sink) and come in by [`Source`](dajet_core::Source).
//!
//! Reconnecting is the engine's: the client's own recovery is off, since it lets confirmations hang. Whatever fails closes its channel; the batch
//! is given back and another one is opened. Connections are shared.

mod address;
mod attempts;
mod check;
mod delivery;
mod error;
mod headers;
mod lane;
mod line;
mod link;
mod message;
mod poison;
mod pool;
mod publish;
mod settings;
mod sink;
mod source;

use dajet_core::{Connector, Environment, MessageSpec, Sink, SystemError};

pub use settings::{SinkOptions, SourceOptions};
pub use source::open_source;

/// RabbitMQ in the registry.
pub const CONNECTOR: Connector = Connector {
    name: "amqp",
    schemes: &["amqp", "amqps"],
    service: None,
    read_ahead: 1,
    sink: Some(open),
    broker: Some(source::open_source),
    members: delivery::MEMBERS,
    check: check::check,
};

fn open(spec: &MessageSpec, environment: &Environment) -> Result<Box<dyn Sink>, SystemError> {
    Ok(Box::new(sink::AmqpSink::new(spec, environment)?))
}
