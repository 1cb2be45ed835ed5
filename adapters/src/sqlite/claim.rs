//! Claims: a read that is not yet final, and writes to a target.

use std::sync::Arc;
use std::time::Duration;

use dajet_core::contract::{Answer, BoxFuture, Claim};
use dajet_core::query::{Body, Statement};
use dajet_core::record::Record;
use dajet_core::{Advance, Identity, OffsetTable, SystemError};

use super::run::Batch;
use super::state::{ClaimId, Queued, State};
use super::worker::Worker;

/// What a claim has at the thread of its file. Dropping it gives that back.
pub struct Hold {
    pub(super) worker: Arc<Worker>,
    pub(super) id: ClaimId,
    /// True once nothing is left to give back.
    settled: bool,
}

impl Hold {
    /// Makes the hold of a claim that the thread knows.
    pub fn new(worker: Arc<Worker>, id: ClaimId) -> Self {
        Self {
            worker,
            id,
            settled: false,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.settled {
            self.worker.abandon(self.id);
        }
    }
}

/// How far a claim has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A read: no transaction is open, writes are gathered.
    Gathering,
    /// A target: its transaction begins with its first statement.
    Fresh,
    /// A transaction is open.
    Open,
    /// A statement failed or was broken off.
    Poisoned,
}

/// A claim of an SQLite file.
pub struct FileClaim {
    hold: Hold,
    identity: Identity,
    time: Duration,
    stage: Stage,
    queued: Vec<Queued>,
}

impl FileClaim {
    /// A read that is not yet final.
    pub fn source(hold: Hold, identity: Identity, time: Duration) -> Self {
        Self {
            hold,
            identity,
            time,
            stage: Stage::Gathering,
            queued: Vec::new(),
        }
    }

    /// A transaction that begins with its first statement: the thread is asked once for both.
    pub fn target(hold: Hold, identity: Identity, time: Duration) -> Self {
        Self {
            stage: Stage::Fresh,
            ..Self::source(hold, identity, time)
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut State) -> Result<T, super::failure::Trouble> + Send + 'static,
    ) -> Result<T, SystemError> {
        self.hold.worker.run(self.time, work).await
    }

    async fn perform(
        &mut self,
        statement: &Arc<Statement>,
        parameters: &[Record],
    ) -> Result<Answer, SystemError> {
        let batch = Arc::new(Batch::new(parameters));
        let statement = Arc::clone(statement);
        let id = self.hold.id;
        let stage = self.stage;
        match stage {
            Stage::Poisoned => Err(poisoned()),
            Stage::Gathering if matches!(statement.body, Body::Insert(_)) => {
                let groups = vec![Vec::new(); parameters.len()];
                self.queued.push(Queued { statement, batch });
                Ok(Answer {
                    groups,
                    ..Answer::default()
                })
            }
            // Poisoned until the answer comes: whoever drops this future leaves an unknown state.
            Stage::Gathering => {
                self.stage = Stage::Poisoned;
                let queued = self.queued.clone();
                let (answer, opened) = self
                    .run(move |state| {
                        if queued.is_empty() && !state.draws(&statement)? {
                            return Ok((state.execute(&statement, &batch)?, false));
                        }
                        Ok((state.open_source(id, &queued, &statement, &batch)?, true))
                    })
                    .await?;
                self.stage = stage;
                if opened {
                    self.stage = Stage::Open;
                    self.queued.clear();
                }
                Ok(answer)
            }
            Stage::Fresh | Stage::Open => {
                self.stage = Stage::Poisoned;
                let answer = self
                    .run(move |state| {
                        if stage == Stage::Fresh {
                            state.begin(id)?;
                        }
                        state.execute_in(id, &statement, &batch)
                    })
                    .await?;
                self.stage = Stage::Open;
                Ok(answer)
            }
        }
    }

    async fn advance(
        &mut self,
        table: &OffsetTable,
        advances: &[Advance],
    ) -> Result<(), SystemError> {
        let stage = std::mem::replace(&mut self.stage, Stage::Poisoned);
        if !matches!(stage, Stage::Fresh | Stage::Open) {
            return Err(poisoned());
        }
        let (table, advances, id) = (table.clone(), advances.to_vec(), self.hold.id);
        self.run(move |state| {
            if stage == Stage::Fresh {
                state.begin(id)?;
            }
            state.advance_offsets(id, &table, &advances)
        })
        .await?;
        self.stage = Stage::Open;
        Ok(())
    }

    async fn rehearse_commit(&mut self) -> Result<(), SystemError> {
        let (id, queued) = (self.hold.id, self.queued.clone());
        let stage = std::mem::replace(&mut self.stage, Stage::Poisoned);
        match stage {
            Stage::Poisoned => return Err(poisoned()),
            Stage::Fresh => {}
            Stage::Open => self.run(move |state| state.flush(id)).await?,
            Stage::Gathering => {
                self.run(move |state| state.rehearse_source(id, &queued))
                    .await?;
            }
        }
        self.stage = stage;
        Ok(())
    }

    async fn finish(mut self) -> Result<(), SystemError> {
        let id = self.hold.id;
        let queued = std::mem::take(&mut self.queued);
        match self.stage {
            Stage::Poisoned => return Err(poisoned()),
            Stage::Fresh => {}
            Stage::Open => self.run(move |state| state.commit(id)).await?,
            Stage::Gathering => {
                self.run(move |state| state.commit_source(id, &queued))
                    .await?;
            }
        }
        self.hold.settled = true;
        Ok(())
    }

    async fn give_back(mut self) -> Result<(), SystemError> {
        let id = self.hold.id;
        self.run(move |state| {
            state.release(id);
            Ok(())
        })
        .await?;
        self.hold.settled = true;
        Ok(())
    }
}

fn poisoned() -> SystemError {
    SystemError::transient(
        "E_DB",
        "the transaction cannot go on: a statement in it failed",
    )
}

impl Claim for FileClaim {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn execute<'a>(
        &'a mut self,
        statement: &'a Arc<Statement>,
        parameters: &'a [Record],
    ) -> BoxFuture<'a, Result<Answer, SystemError>> {
        Box::pin(self.perform(statement, parameters))
    }

    fn advance_offsets<'a>(
        &'a mut self,
        table: &'a OffsetTable,
        advances: &'a [Advance],
    ) -> BoxFuture<'a, Result<(), SystemError>> {
        Box::pin(self.advance(table, advances))
    }

    fn rehearse(&mut self) -> BoxFuture<'_, Result<(), SystemError>> {
        Box::pin(self.rehearse_commit())
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), SystemError>> {
        Box::pin((*self).finish())
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, Result<(), SystemError>> {
        Box::pin((*self).give_back())
    }
}
