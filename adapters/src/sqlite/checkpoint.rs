//! Copying write-ahead logs back into their files, beside the commits that make them long.
//!
//! SQLite does that within a commit, once the log has a thousand pages, and whoever is behind that commit waits for the disk. Here
//! a thread does it, with the same passive checkpoint: it waits for nobody and keeps nobody out. A log begins anew only when all
//! of it is copied, so that a commit copies the rest itself where commits leave no pause; and where the thread cannot be had. Such a
//! commit waits for the thread: two cannot copy one log, and the thread gets no processor as long as all others want it.

use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, OpenFlags};

use super::address::Location;

/// New pages of a log for which the thread is asked: four times SQLite's own number, for each copying waits for the disk twice and commits wait with it.
const PAGES_BESIDE: c_int = 4000;
/// Pages of a log with which a commit copies them itself: 64 MiB where pages have the usual size.
const PAGES_MAX: c_int = 16000;
/// What only takes what others leave, of Linux's -20 to 19.
#[cfg(target_os = "linux")]
const LOWEST_PRIORITY: i32 = 19;
/// Files that wait for the thread.
const FILES_MAX: usize = 64;

/// The way to the thread, which serves all files of the process; `None` if the system has none left.
static THREAD: OnceLock<Option<Sender<PathBuf>>> = OnceLock::new();

/// Takes the place of SQLite's automatic checkpoints on this connection.
pub fn watch(connection: &mut Connection, location: &Location) -> rusqlite::Result<()> {
    let path = location.path.clone();
    let mut asked = 0;
    connection.wal_hook(Some(move |wal: &mut Wal, pages: c_int| {
        if pages < asked {
            asked = 0; // the log has begun anew
        }
        if pages >= PAGES_MAX {
            copy_here(wal, &path);
        } else if pages - asked >= PAGES_BESIDE {
            asked = pages;
            if !ask(&path) {
                copy_here(wal, &path);
            }
        }
        Ok(())
    }))
}

/// Held by whoever copies.
static COPYING: Mutex<()> = Mutex::new(());

/// The commit has succeeded: what is wrong with the file shows at the next one.
fn copy_here(wal: &mut Wal, path: &Path) {
    let _copying = COPYING.lock();
    if let Err(error) = wal.checkpoint() {
        tracing::debug!(database = %path.display(), %error, "the log is not copied yet");
    }
}

/// Asks the thread; false if there is none.
fn ask(path: &Path) -> bool {
    let thread = THREAD.get_or_init(|| {
        let (sender, receiver) = bounded(FILES_MAX);
        std::thread::Builder::new()
            .name("sqlite logs".into())
            .spawn(move || serve(&receiver))
            .map(|_| sender)
            .inspect_err(
                |error| tracing::warn!(%error, "cannot start a thread for the logs of databases"),
            )
            .ok()
    });
    match thread
        .as_ref()
        .map(|sender| sender.try_send(path.to_owned()))
    {
        // A full channel: the thread has enough to do, and the commits that follow ask again.
        Some(Ok(()) | Err(TrySendError::Full(_))) => true,
        Some(Err(TrySendError::Disconnected(_))) | None => false,
    }
}

/// The thread. It keeps no file open, for that may be replaced at any time.
fn serve(receiver: &Receiver<PathBuf>) {
    make_way();
    for path in receiver {
        let _copying = COPYING.lock();
        if let Err(error) = copy(&path) {
            tracing::debug!(database = %path.display(), %error, "the log is not copied yet");
        }
    }
}

/// Lets all other threads go first: nobody waits for a copy, but everybody waits for a processor that copies.
fn make_way() {
    // Of the thread, not of the process: that is what Linux makes of the caller's own number.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, LOWEST_PRIORITY) {
        tracing::debug!(%error, "logs of databases are copied with the usual priority");
    }
}

fn copy(path: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)
}
