//! SQLite: the service of a file, its queues and its transactions.
//!
//! SQLite has one writer for a file and blocks whoever waits, so that each file has a thread of its own ([`worker`]) with two
//! connections ([`state`]). The journal of a file is left as it is; a file that we create ourselves gets a write-ahead log.
//! Logs are copied into their files beside the commits ([`checkpoint`]). Foreign keys are enforced.
//!
//! Deliberately not here: sinks (writes go through claims) and `?sql` requests.

mod address;
mod aggregates;
mod catalog;
mod checkpoint;
mod claim;
mod computing;
mod connection;
mod dialect;
mod digits;
mod drain;
mod failure;
mod functions;
mod held;
mod identity;
mod inserts;
mod kind;
mod offsets;
mod queue;
mod run;
mod service;
mod source;
mod state;
mod texts;
mod values;
mod worker;

use std::sync::Arc;

use dajet_core::contract::{Connector, Environment, OptionUse, Service, Usage};
use dajet_core::{Address, Diagnostic, Span, SystemError};

/// The connector of SQLite files.
pub const CONNECTOR: Connector = Connector {
    name: "sqlite",
    schemes: &["sqlite"],
    service: Some(open),
    // with one the target would wait: reading and committing take turns on the thread of the file
    read_ahead: 2,
    sink: None,
    broker: None,
    members: &[],
    check,
};

fn open(address: &Address, environment: &Environment) -> Result<Arc<dyn Service>, SystemError> {
    Ok(Arc::new(service::FileService::new(address, environment)?))
}

fn check(usage: Usage, span: Span, options: &[OptionUse]) -> Vec<Diagnostic> {
    let takes_no_messages = |what: &str| {
        Diagnostic::error("E_URI", span, format!("{what} an sqlite database"))
            .hint("Name the database in USE, and its tables in the statements inside.")
    };
    match usage {
        Usage::Database => options
            .iter()
            .map(|option| {
                let message = format!("unknown option \"{}\"", option.name);
                Diagnostic::error("E_PARAM", option.span, message)
            })
            .collect(),
        Usage::Sink => vec![takes_no_messages("messages cannot be produced to")],
        Usage::BrokerSource(_) => vec![takes_no_messages("messages cannot be consumed from")],
    }
}
