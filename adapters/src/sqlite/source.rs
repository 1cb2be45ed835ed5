//! A queue table as a source.

use std::sync::Arc;
use std::time::Duration;

use dajet_core::contract::{BoxFuture, Limit, Read, Source, SourceSpec};
use dajet_core::{Identity, SystemError, Value};

use super::claim::{FileClaim, Hold};
use super::drain::DrainPlan;
use super::held::SourceId;
use super::queue::Ask;
use super::state::State;
use super::worker::{Worker, fresh_number};

/// Reads a queue table in order. A read takes no write lock; the claim knows the rows and deletes them at its commit.
///
/// That a claim hides its rows holds for the readers of this process only: another process may read them too, and the one that
/// commits later finds that they changed and reads again.
pub struct QueueSource {
    worker: Arc<Worker>,
    identity: Identity,
    time: Duration,
    plan: Arc<DrainPlan>,
    id: SourceId,
}

impl QueueSource {
    /// Makes the source; reads nothing yet.
    ///
    /// # Errors
    /// `Misconfigured` if the table cannot be a queue.
    pub fn new(
        worker: Arc<Worker>,
        identity: Identity,
        time: Duration,
        spec: &SourceSpec,
    ) -> Result<Self, SystemError> {
        let plan = Arc::new(DrainPlan::new(spec)?);
        Ok(Self {
            worker,
            identity,
            time,
            plan,
            id: fresh_number(),
        })
    }

    async fn next(&mut self, limit: Limit, parameters: Vec<Value>) -> Result<Read, SystemError> {
        let worker = Arc::clone(&self.worker);
        let ask = Ask {
            source: self.id,
            plan: Arc::clone(&self.plan),
            parameters,
            bytes_max: limit.bytes,
        };
        let read = move |state: &mut State| {
            let id = fresh_number();
            let read = state.read(id, &ask)?;
            // If nobody takes the answer, the hold gives the rows back.
            Ok(read.map(|rows| (rows, Hold::new(Arc::clone(&worker), id))))
        };
        Ok(match self.worker.run(self.time, read).await? {
            Err(complete) => Read::Empty { complete },
            Ok((rows, hold)) => Read::Batch {
                records: rows.records,
                keys: rows.keys,
                claim: Box::new(FileClaim::source(hold, self.identity.clone(), self.time)),
            },
        })
    }
}

impl Source for QueueSource {
    fn read<'a>(
        &'a mut self,
        limit: Limit,
        parameters: &'a [Value],
    ) -> BoxFuture<'a, Result<Read, SystemError>> {
        Box::pin(self.next(limit, parameters.to_vec()))
    }
}
