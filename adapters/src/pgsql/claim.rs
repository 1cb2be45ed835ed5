//! An open transaction that owns its session.

use std::sync::Arc;

use dajet_core::query::Statement;
use dajet_core::{Advance, Answer, BoxFuture, Claim, Identity, OffsetTable, Record, SystemError};

use super::execution::{self, Surroundings};
use super::offsets;
use super::pool::Lease;

/// A read that is not yet final, or writes at a target.
pub(super) struct PgClaim {
    lease: Lease,
    identity: Identity,
    poisoned: bool,
}

impl PgClaim {
    /// Takes a session in which a transaction is open.
    pub(super) fn new(lease: Lease, identity: Identity) -> Self {
        Self {
            lease,
            identity,
            poisoned: false,
        }
    }

    /// Poisons the claim until a statement has ended well: a future that is dropped poisons too.
    fn enter(&mut self) -> Result<(), SystemError> {
        if std::mem::replace(&mut self.poisoned, true) {
            let message = "a statement follows a failed one in the same transaction";
            return Err(SystemError::fault(message));
        }
        Ok(())
    }
}

impl Claim for PgClaim {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn execute<'a>(
        &'a mut self,
        statement: &'a Arc<Statement>,
        parameters: &'a [Record],
    ) -> BoxFuture<'a, Result<Answer, SystemError>> {
        Box::pin(async move {
            self.enter()?;
            let answer = execution::execute(
                &mut self.lease.session,
                Surroundings::Transaction,
                statement,
                parameters,
            )
            .await?;
            self.poisoned = false;
            Ok(answer)
        })
    }

    fn advance_offsets<'a>(
        &'a mut self,
        table: &'a OffsetTable,
        advances: &'a [Advance],
    ) -> BoxFuture<'a, Result<(), SystemError>> {
        Box::pin(async move {
            self.enter()?;
            offsets::advance(&mut self.lease.session, table, advances).await?;
            self.poisoned = false;
            Ok(())
        })
    }

    /// Checks the constraints that wait for the commit.
    fn rehearse(&mut self) -> BoxFuture<'_, Result<(), SystemError>> {
        Box::pin(async move {
            self.enter()?;
            let attempted = format!("cannot commit at \"{}\"", self.identity);
            let session = &mut self.lease.session;
            let client = session.client();
            let check = client.batch_execute("SET CONSTRAINTS ALL IMMEDIATE");
            session.run(&attempted, check).await?;
            self.poisoned = false;
            Ok(())
        })
    }

    fn commit(mut self: Box<Self>) -> BoxFuture<'static, Result<(), SystemError>> {
        Box::pin(async move {
            if self.poisoned {
                // PostgreSQL would answer this COMMIT with success, and roll back
                self.release().await?;
                return Err(SystemError::fault(
                    "a transaction with a failed statement cannot be committed",
                ));
            }
            let attempted = format!("cannot commit at \"{}\"", self.identity);
            let session = &mut self.lease.session;
            let client = session.client();
            session
                .run(&attempted, client.batch_execute("COMMIT"))
                .await?;
            self.lease.give_back();
            Ok(())
        })
    }

    fn release(mut self: Box<Self>) -> BoxFuture<'static, Result<(), SystemError>> {
        Box::pin(async move {
            let attempted = format!("cannot roll back at \"{}\"", self.identity);
            let session = &mut self.lease.session;
            let client = session.client();
            session
                .run(&attempted, client.batch_execute("ROLLBACK"))
                .await?;
            self.lease.give_back();
            Ok(())
        })
    }
}
