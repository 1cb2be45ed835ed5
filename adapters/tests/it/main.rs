//! The adapters against real servers; addresses come from the environment.

mod amqp;
mod kafka;
mod laws;
mod offsets;
mod onec;
mod pgsql;
mod sqlite;
mod told;
