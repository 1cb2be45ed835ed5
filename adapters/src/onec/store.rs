//! Where metadata is stored: what a database must answer, whichever it is.

use std::sync::Arc;

use dajet_core::{BoxFuture, SystemError};

/// A service table that holds files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// `Config`: the configuration in force.
    Config,
    /// `Params`: the numbers of tables and columns, and more.
    Params,
}

/// A stored file: its name as it was asked for, and the bytes of its parts joined in their order.
pub type StoredFile = (Arc<str>, Vec<u8>);

/// The service tables of an infobase.
pub trait Store: Send {
    /// Fetches files by their names, which are compared without regard to case; in any order, those that are not there
    /// left out. Of each file's bytes at most the first `most`.
    ///
    /// # Errors
    /// `Transient` or `Misconfigured`; a right that is missing is named.
    fn read<'a>(
        &'a mut self,
        place: Place,
        names: &'a [Arc<str>],
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredFile>, SystemError>>;

    /// A text that changes when the configuration is updated, cheap to ask for: the time stamps of `DBNames`, for example.
    ///
    /// # Errors
    /// As of [`Store::read`].
    fn version(&mut self) -> BoxFuture<'_, Result<String, SystemError>>;

    /// The years that the platform adds to every date it writes: the value of `_YearOffset`, 0 if there is none.
    ///
    /// # Errors
    /// As of [`Store::read`].
    fn year_offset(&mut self) -> BoxFuture<'_, Result<i16, SystemError>>;

    /// Number of extensions in the database.
    ///
    /// # Errors
    /// As of [`Store::read`].
    fn extensions(&mut self) -> BoxFuture<'_, Result<u64, SystemError>>;
}
