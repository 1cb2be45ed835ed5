//! The list of all connectors: the one line that a new system adds.

use dajet_core::Connectors;

use crate::{amqp, kafka, pgsql, sqlite};

/// The connectors of a node.
pub fn connectors() -> Connectors {
    Connectors::new([
        pgsql::CONNECTOR,
        sqlite::CONNECTOR,
        kafka::CONNECTOR,
        amqp::CONNECTOR,
    ])
}
