//! The actors of DaJet Stream: a script runs its root program and starts pipelines; a pipeline is four actors through which a batch
//! moves forward only, from the queue to the commit.
//!
//! The path of a batch: [`queue_reader`] → [`transformer`] → [`producer`] → [`committer`]; its stages stand in [`batch`].
//! This crate names no foreign system: it meets them at the traits of `dajet_core::contract`.
#![deny(missing_docs)]

mod arbiters;
mod backoff;
mod batch;
mod claims;
mod codes;
mod committer;
mod error;
mod foresight;
mod generation;
pub mod invariants;
mod mailbox;
mod observe;
mod pipeline;
mod producer;
mod queue_reader;
mod root;
pub mod script;
mod services;
mod settings;
#[cfg(feature = "testing")]
pub mod testing;
mod transformer;

pub use arbiters::Arbiters;
pub use error::PipelineError;
pub use foresight::{Foresight, foresee};
pub use observe::{Observer, Snapshot, State};
pub use script::{Outcome, ScriptSpec, run};
pub use services::Services;
pub use settings::Settings;
