//! The adapters against real servers; addresses come from the environment.

mod kafka;
mod pgsql;
mod sqlite;
