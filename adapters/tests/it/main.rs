//! The adapters against real servers; addresses come from the environment.

mod amqp;
mod kafka;
mod offsets;
mod pgsql;
mod sqlite;
