//! The thread of a file. Calls to SQLite block, so they are made here and nowhere else: the async side sends a job and awaits
//! its answer. A job that meets a lock is put aside and tried again until its time is over; others run meanwhile.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use dajet_core::SystemError;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::Span;

use super::address::{Location, Mode};
use super::failure::Trouble;
use super::state::{ClaimId, State};

/// Jobs that wait in the channel.
const JOBS_MAX: usize = 64;
/// Places in the channel beyond those, for nudges of dropped claims.
const NUDGES: usize = 16;
/// First and longest wait of a job that met a lock.
const WAIT_FIRST: Duration = Duration::from_millis(1);
const WAIT_LONGEST: Duration = Duration::from_millis(50);

/// One number space for sources and claims of the process: claims of a source are in read order.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A number that nobody has yet.
pub fn fresh_number() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The threads of the process by file and mode, so that all who name a file know of each other's claims.
static WORKERS: Mutex<BTreeMap<(std::path::PathBuf, Mode), Weak<Worker>>> =
    Mutex::new(BTreeMap::new());

/// The way to the thread of a file. The thread ends when the last of its users is gone.
pub struct Worker {
    name: String,
    sender: Sender<Envelope>,
    room: Arc<Semaphore>,
    /// Claims that were dropped: read by the thread before its next job.
    abandoned: Arc<Mutex<Vec<ClaimId>>>,
}

struct Envelope {
    /// None for a nudge.
    job: Option<Parked>,
    room: Option<OwnedSemaphorePermit>,
}

struct Parked {
    job: Box<dyn Job>,
    /// Of whoever waits for it.
    span: Span,
    deadline: Instant,
    again: Instant,
    wait: Duration,
}

/// Something to do on the thread.
trait Job: Send {
    /// Tries; false if it met a lock and should be tried again. The `last` try answers in any case.
    fn attempt(&mut self, state: &mut State, last: bool) -> bool;
}

struct Task<T, F> {
    work: F,
    answer: Option<oneshot::Sender<Result<T, SystemError>>>,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnMut(&mut State) -> Result<T, Trouble> + Send,
{
    fn attempt(&mut self, state: &mut State, last: bool) -> bool {
        if self.answer.as_ref().is_none_or(oneshot::Sender::is_closed) {
            return true; // nobody waits any more
        }
        let result = match (self.work)(state) {
            Err(Trouble::Busy(_)) if !last => return false,
            result => result.map_err(Trouble::into_error),
        };
        if let Some(answer) = self.answer.take() {
            // If nobody takes the answer, dropping it gives back what it holds.
            drop(answer.send(result));
        }
        true
    }
}

impl Worker {
    /// The thread of the file: that of its other users, or a new one.
    ///
    /// # Errors
    /// `Transient` if the system has no thread left.
    pub fn of(location: &Location) -> Result<Arc<Self>, SystemError> {
        let key = (location.path.clone(), location.mode);
        let mut workers = WORKERS.lock();
        if let Some(worker) = workers.get(&key).and_then(Weak::upgrade) {
            return Ok(worker);
        }
        workers.retain(|_, worker| worker.strong_count() > 0);
        let worker = Arc::new(Self::spawn(location)?);
        workers.insert(key, Arc::downgrade(&worker));
        Ok(worker)
    }

    fn spawn(location: &Location) -> Result<Self, SystemError> {
        let (sender, receiver) = bounded(JOBS_MAX + NUDGES);
        let abandoned = Arc::new(Mutex::new(Vec::new()));
        let worker = Self {
            name: location.name(),
            sender,
            room: Arc::new(Semaphore::new(JOBS_MAX)),
            abandoned: Arc::clone(&abandoned),
        };
        let file = location
            .path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let location = location.clone();
        std::thread::Builder::new()
            .name(format!("sqlite {}", file.unwrap_or_default()))
            .spawn(move || serve(&receiver, &abandoned, State::new(location)))
            .map_err(|error| {
                let message = format!("cannot start a thread for database \"{}\"", worker.name);
                SystemError::transient("E_DB", message).with_source(error)
            })?;
        Ok(worker)
    }

    /// Does something on the thread, trying again while it meets locks, for at most `time`.
    ///
    /// # Errors
    /// Those of the work; `Fault` if it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        time: Duration,
        work: impl FnMut(&mut State) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, SystemError> {
        let ended =
            || SystemError::fault(format!("the thread of database \"{}\" failed", self.name));
        let room = Arc::clone(&self.room)
            .acquire_owned()
            .await
            .map_err(|_| ended())?;
        let (answer, answered) = oneshot::channel();
        let now = Instant::now();
        let job = Box::new(Task {
            work,
            answer: Some(answer),
        });
        let parked = Parked {
            job,
            span: Span::current(),
            deadline: now + time,
            again: now,
            wait: WAIT_FIRST,
        };
        // There is room: the permit says so.
        self.sender
            .try_send(Envelope {
                job: Some(parked),
                room: Some(room),
            })
            .map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    /// Gives a claim back without waiting.
    pub fn abandon(&self, claim: ClaimId) {
        self.abandoned.lock().push(claim);
        // A full channel wakes the thread anyway.
        drop(self.sender.try_send(Envelope {
            job: None,
            room: None,
        }));
    }
}

/// The thread.
fn serve(receiver: &Receiver<Envelope>, abandoned: &Mutex<Vec<ClaimId>>, mut state: State) {
    // Bounded by the callers, each of whom waits for one job.
    let mut parked: Vec<Parked> = Vec::new();
    loop {
        let next = parked.iter().map(|parked| parked.again).min();
        let message = match next {
            Some(at) => receiver.recv_deadline(at),
            None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        if matches!(message, Err(RecvTimeoutError::Disconnected)) {
            return;
        }
        let dropped = std::mem::take(&mut *abandoned.lock());
        dropped.into_iter().for_each(|claim| state.release(claim));
        if !parked.is_empty() {
            retry(&mut parked, &mut state);
        }
        if let Ok(Envelope { job, room }) = message {
            drop(room);
            if let Some(mut job) = job
                && !attempt(&mut job, &mut state)
            {
                parked.push(job);
            }
        }
        while !parked.is_empty() && state.take_freed() {
            retry_all(&mut parked, &mut state);
        }
        state.take_freed();
    }
}

fn retry(parked: &mut Vec<Parked>, state: &mut State) {
    if state.take_freed() {
        return retry_all(parked, state);
    }
    let now = Instant::now();
    parked.retain_mut(|job| job.again > now || !attempt(job, state));
}

fn retry_all(parked: &mut Vec<Parked>, state: &mut State) {
    parked.retain_mut(|job| !attempt(job, state));
}

/// True if the job has answered.
fn attempt(parked: &mut Parked, state: &mut State) -> bool {
    let last = Instant::now() >= parked.deadline;
    // The last try gets a moment too, to find a lock that has just been freed.
    let end = parked
        .deadline
        .max(Instant::now() + Duration::from_millis(10));
    state.around.deadline.set(end);
    let job = &mut parked.job;
    let attempted = || parked.span.in_scope(|| job.attempt(state, last));
    let done = catch_unwind(AssertUnwindSafe(attempted));
    match done {
        Ok(true) => return true,
        Ok(false) => {}
        Err(_) => {
            tracing::error!(database = %state.location.name(), "a job on the database's thread panicked");
            state.reset();
            return true;
        }
    }
    parked.again = (Instant::now() + parked.wait).min(parked.deadline);
    parked.wait = (parked.wait * 2).min(WAIT_LONGEST);
    false
}
