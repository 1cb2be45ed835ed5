//! The adapters against real servers; addresses come from the environment.

mod pgsql;
