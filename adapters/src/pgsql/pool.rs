//! Sessions of one kind: idle ones are used again, their number is capped.

use std::sync::Arc;

use dajet_core::SystemError;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::failure::CODE;
use super::session::{Opening, Session};

/// Sessions that wait for work.
pub(super) struct Pool {
    opening: Opening,
    idle: Mutex<Vec<Session>>,
    permits: Arc<Semaphore>,
}

/// A session taken out of the pool. Dropping it closes the session; [`Lease::give_back`] keeps it for others.
pub(super) struct Lease {
    pub(super) session: Session,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(opening: Opening, sessions_max: usize) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(sessions_max.max(1)));
        Arc::new(Self {
            opening,
            idle: Mutex::new(Vec::new()),
            permits,
        })
    }

    /// Takes an idle session or opens one; waits while all are in use.
    ///
    /// # Errors
    /// As [`Session::open`]; `Transient` if none becomes free within the time-out.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Lease, SystemError> {
        let waiting = timeout(
            self.opening.command_timeout,
            Arc::clone(&self.permits).acquire_owned(),
        )
        .await;
        let Ok(permit) = waiting else {
            let message = format!(
                "all sessions of PostgreSQL at {} are in use",
                self.opening.target.place()
            );
            return Err(SystemError::transient(CODE, message));
        };
        let permit = permit.map_err(|_| SystemError::fault("a pool of sessions is closed"))?;
        let session = match self.take_idle() {
            Some(session) => session,
            None => Session::open(&self.opening).await?,
        };
        Ok(Lease {
            session,
            pool: Arc::clone(self),
            _permit: permit,
        })
    }

    /// Opens a session beside the pool.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub(super) async fn open_another(&self) -> Result<Session, SystemError> {
        Session::open(&self.opening).await
    }

    fn take_idle(&self) -> Option<Session> {
        let mut idle = self.idle.lock();
        while let Some(session) = idle.pop() {
            if !session.is_broken() {
                return Some(session);
            }
        }
        None
    }
}

impl Lease {
    /// Gives the session back, unless it is broken. No transaction may be open in it.
    pub(super) fn give_back(self) {
        let Self {
            session,
            pool,
            _permit,
        } = self;
        if !session.is_broken() {
            pool.idle.lock().push(session);
        }
    }
}
