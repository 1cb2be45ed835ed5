//! The adapters against real servers; addresses come from the environment.

mod amqp;
mod kafka;
mod pgsql;
mod sqlite;
