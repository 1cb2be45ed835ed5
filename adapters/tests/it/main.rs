//! The adapters against real servers; addresses come from the environment.

mod amqp;
mod kafka;
mod offsets;
mod onec;
mod pgsql;
mod sqlite;
