//! Offsets of a source of messages that a database keeps, in the transaction that holds what became of the messages: so each of
//! them leaves its mark there exactly once.
//!
//! A batch moves an offset from where it began. If it is no longer there, another reader has gone on: the transaction must not commit.

use std::fmt;
use std::sync::Arc;

use crate::contract::Service;
use crate::error::SystemError;

/// A table of offsets, and whose of them are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetTable {
    /// Name of the table, perhaps with its schema.
    pub name: Arc<str>,
    /// The group of readers.
    pub group: Arc<str>,
}

/// Where the reading of a partition goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptOffset {
    /// The topic.
    pub topic: Arc<str>,
    /// Number of the partition.
    pub partition: i32,
    /// The offset of the next message.
    pub next: i64,
}

/// What a batch does to the offset of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The topic.
    pub topic: Arc<str>,
    /// Number of the partition.
    pub partition: i32,
    /// Where the offset must stand.
    pub began: i64,
    /// Where it stands afterwards.
    pub next: i64,
}

/// What a batch does to offsets, and where they are kept.
#[derive(Clone)]
pub struct Advances {
    /// The database.
    pub service: Arc<dyn Service>,
    /// The table.
    pub table: Arc<OffsetTable>,
    /// One for each partition of the batch.
    pub list: Vec<Advance>,
}

impl OffsetTable {
    /// The parts of the name, each for itself to be quoted.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.name.split('.')
    }

    /// The error of an offset that does not stand where the batch began.
    pub fn overtaken(&self) -> SystemError {
        let message = format!(
            "an offset in table \"{}\" is not where the batch began: another reader of group \"{}\" has gone on",
            self.name, self.group
        );
        SystemError::transient("E_OFFSET", message)
    }
}

impl fmt::Debug for Advances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Advances")
            .field("place", self.service.identity())
            .field("table", &self.table)
            .field("list", &self.list)
            .finish()
    }
}
