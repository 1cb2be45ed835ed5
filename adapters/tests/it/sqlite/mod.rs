//! SQLite: real files, no server.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot prepare its file has failed"
)]

mod addresses;
mod fixture;
mod laws;
mod offsets;
mod queues;
mod sharing;
mod targets;
mod values;
