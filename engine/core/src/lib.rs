//! The nouns and the contracts of DaJet Stream: values, records, queries, spans, diagnostics and the traits where the
//! engine meets the outside. No I/O, no runtime, no clock.
#![deny(missing_docs)]

pub mod address;
pub mod contract;
pub mod decimal;
pub mod diagnostic;
pub mod error;
pub mod offsets;
pub mod options;
pub mod query;
pub mod record;
pub mod schema;
pub mod secret;
pub mod signs;
pub mod span;
#[cfg(feature = "testing")]
pub mod testing;
pub mod value;

pub use address::{Address, Identity};
pub use contract::{
    Answer, BoxFuture, BrokerSpec, Claim, Connector, Connectors, Environment, Limit, MessageSpec,
    Read, Receipt, Service, Sink, Source, SourceSpec, Targets,
};
pub use decimal::{ArithmeticError, Decimal, DecimalParseError};
pub use diagnostic::{Diagnostic, Label, Severity};
pub use error::{ErrorClass, SystemError};
pub use offsets::{Advance, Advances, KeptOffset, OffsetTable};
pub use record::{OrderKeys, Record, Records, Shape};
pub use schema::{Column, DataType, PhysicalColumn, Schema, Table, TableKey};
pub use secret::Secret;
pub use signs::Signs;
pub use span::Span;
pub use value::{Entity, JsonError, Object, Value};
