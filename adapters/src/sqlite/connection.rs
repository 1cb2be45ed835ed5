//! Opening the file: flags, journal, functions, and what is wrong with it.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dajet_core::SystemError;
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::address::{Location, Mode};
use super::checkpoint;
use super::failure::{Trouble, classify};
use super::functions::{self, Sequences};
use super::held::Held;

/// Prepared statements that a connection keeps.
const STATEMENTS_MAX: usize = 256;
/// Pages that a connection keeps, in KiB: the batches that are read ahead are still there when they are deleted. Twice SQLite's
/// own number.
const CACHE_KB: i32 = 4096;
/// Steps of SQLite's machine between two looks at the clock.
const STEPS_PER_LOOK: i32 = 50_000;

/// When the running job has to end; shared with the connections.
#[derive(Clone)]
pub struct Deadline {
    start: Instant,
    end: Arc<AtomicU64>,
}

impl Default for Deadline {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            end: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }
}

impl Deadline {
    /// Sets the end of the job that begins now.
    pub fn set(&self, end: Instant) {
        let passed = end.saturating_duration_since(self.start).as_millis();
        self.end
            .store(u64::try_from(passed).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What is left of the time.
    pub fn left(&self) -> Duration {
        let end = Duration::from_millis(self.end.load(Ordering::Relaxed));
        end.saturating_sub(self.start.elapsed())
    }
}

/// What every connection of a file shares.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// When the running job has to end.
    pub deadline: Deadline,
    /// Numbers of the sequences that the running statement draws from.
    pub sequences: Sequences,
    /// Rows of open claims.
    pub held: Arc<Mutex<Held>>,
}

/// What becomes of a file that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// There is nothing to read.
    Refused,
    /// It is created where the mode allows, for something is to be written.
    Created,
}

/// Opens the file.
///
/// # Errors
/// `Misconfigured` with what is wrong with the path or the file; busy.
pub fn open(
    location: &Location,
    around: &Surroundings,
    absence: Absent,
) -> Result<Rc<Connection>, Trouble> {
    let attempt = format!("cannot open database \"{}\"", location.name());
    let absent = location.mode != Mode::Memory && !location.path.exists();
    if let Some(error) = obstacle(location, absent) {
        return Err(SystemError::misconfigured("E_DB", format!("{attempt}: {error}")).into());
    }
    if absent && absence == Absent::Refused {
        let message = format!("{attempt}: the file does not exist");
        let error = SystemError::misconfigured("E_DB", message)
            .with_hint("Check the path. A new file would have no tables: make the database with its tables first.");
        return Err(error.into());
    }
    let mut connection = connect(location, absence).map_err(|e| classify(&attempt, e))?;
    configure(&mut connection, around)
        .and_then(|()| checkpoint::watch(&mut connection, location))
        .map_err(|e| classify(&attempt, e))?;
    if absent {
        // Our own file: writers and readers do not lock each other out then.
        let mode = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        connection
            .query_row("PRAGMA journal_mode = WAL", [], mode)
            .map_err(|e| classify(&attempt, e))?;
    }
    // The first look into the file tells whether it is a database.
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(|e| classify(&attempt, e))?;
    Ok(Rc::new(connection))
}

fn obstacle(location: &Location, absent: bool) -> Option<String> {
    if location.mode == Mode::Memory {
        return None;
    }
    if location.path.is_dir() {
        return Some("it is a folder".into());
    }
    if !absent {
        return None;
    }
    let parent = location.path.parent().unwrap_or(Path::new("/"));
    if !parent.is_dir() {
        return Some(format!("there is no folder \"{}\"", parent.display()));
    }
    let must_exist = location.mode != Mode::ReadWriteCreate;
    must_exist.then(|| "there is no such file, and its mode forbids to create it".into())
}

fn connect(location: &Location, absence: Absent) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let write = OpenFlags::SQLITE_OPEN_READ_WRITE;
    match location.mode {
        Mode::ReadOnly => {
            Connection::open_with_flags(&location.path, flags | OpenFlags::SQLITE_OPEN_READ_ONLY)
        }
        Mode::ReadWriteCreate if absence == Absent::Created => Connection::open_with_flags(
            &location.path,
            flags | write | OpenFlags::SQLITE_OPEN_CREATE,
        ),
        Mode::ReadWrite | Mode::ReadWriteCreate => {
            Connection::open_with_flags(&location.path, flags | write)
        }
        Mode::Memory => Connection::open_with_flags_and_vfs(
            &location.path, // names that begin with a slash are shared
            flags | write | OpenFlags::SQLITE_OPEN_CREATE,
            "memdb",
        ),
    }
}

fn configure(connection: &mut Connection, around: &Surroundings) -> rusqlite::Result<()> {
    // Waiting is the thread's own affair: it serves others meanwhile.
    connection.busy_timeout(Duration::ZERO)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "cache_size", -CACHE_KB)?;
    // An unknown name in double quotes is an error, not a text.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    functions::register(connection, &around.sequences, &around.held)?;
    let deadline = around.deadline.clone();
    connection.progress_handler(STEPS_PER_LOOK, Some(move || deadline.left().is_zero()))?;
    Ok(())
}

/// What makes a file the same file: device and number. `None` where it is gone, or on systems that do not tell.
pub fn file_number(path: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        path.metadata().ok().map(|found| (found.dev(), found.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}
