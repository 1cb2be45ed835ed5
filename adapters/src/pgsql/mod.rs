//! PostgreSQL over tokio-postgres: queues, look-ups and writes in bulk; binary, prepared, pipelined.
//!
//! A session belongs to whoever uses it and is closed when its future is dropped. Transactions are plain statements on an
//! owned session. There are no triggers, no notifications and no logical replication here.

mod address;
mod catalog;
mod claim;
mod dialect;
mod execution;
mod failure;
mod infobase;
mod offsets;
mod pace;
mod pool;
mod relations;
mod service;
mod session;
mod source;
mod values;

use dajet_core::contract::{OptionUse, Usage};
use dajet_core::{Connector, Diagnostic, Span};

/// The connector of `pgsql://` addresses.
pub const CONNECTOR: Connector = Connector {
    name: "pgsql",
    schemes: &["pgsql"],
    service: Some(service::open),
    read_ahead: 1,
    sink: None,
    broker: None,
    members: &[],
    check,
};

fn check(usage: Usage, span: Span, options: &[OptionUse]) -> Vec<Diagnostic> {
    match usage {
        Usage::Database => options
            .iter()
            .map(|option| {
                let message = format!("a database has no option \"{}\"", option.name);
                Diagnostic::error("E_PARAM", option.span, message)
                    .hint("Parameters of a database stand in its address: pgsql://…?name=value.")
            })
            .collect(),
        Usage::Sink => vec![
            Diagnostic::error("E_URI", span, "PostgreSQL takes no messages")
                .hint("Write rows by INSERT within USE 'pgsql://…'."),
        ],
        Usage::BrokerSource(_) => vec![
            Diagnostic::error("E_URI", span, "PostgreSQL is no message broker")
                .hint("Read a table by CONSUME … FROM within USE 'pgsql://…'."),
        ],
    }
}
