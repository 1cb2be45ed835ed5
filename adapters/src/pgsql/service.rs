//! A database: look-ups, transactions and sources over capped sessions.

use std::sync::Arc;

use dajet_core::contract::{Runs, SourceSpec};
use dajet_core::query::{Body, Statement};
use dajet_core::schema::{MappingLine, MetadataKey, MetadataObject};
use dajet_core::{
    Address, Answer, BoxFuture, Claim, Environment, Identity, KeptOffset, OffsetTable, Record,
    Schema, Service, Source, SystemError,
};

use super::address::Target;
use super::catalog::Catalog;
use super::claim::PgClaim;
use super::dialect;
use super::execution::{self, Surroundings};
use super::offsets;
use super::pool::{Lease, Pool};
use super::session::{Opening, Role};
use super::source::PgSource;

/// Sessions for look-ups and target transactions of all the scripts of a node.
const SESSIONS_MAX: usize = 16;

/// The database at an address.
pub(super) struct PgService {
    opening: Opening,
    pool: Arc<Pool>,
    catalog: Catalog,
}

/// Opens the database at an address; does not connect yet.
///
/// # Errors
/// `Misconfigured` if the address is wrong.
pub(super) fn open(
    address: &Address,
    environment: &Environment,
) -> Result<Arc<dyn Service>, SystemError> {
    let target = Arc::new(Target::parse(address)?);
    let mapping_file = target
        .map
        .clone()
        .map(|file| (environment.root.clone(), file));
    let catalog = Catalog::new(target.place(), mapping_file);
    let opening = Opening {
        target,
        role: Role::Service,
        name: Arc::clone(&environment.session_name),
        command_timeout: environment.command_timeout,
    };
    let pool = Pool::new(opening.clone(), SESSIONS_MAX);
    Ok(Arc::new(PgService {
        opening,
        pool,
        catalog,
    }))
}

impl PgService {
    async fn begin_claim(&self) -> Result<Box<PgClaim>, SystemError> {
        let mut lease = self.pool.take().await?;
        let client = lease.session.client();
        let begin = client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED");
        lease
            .session
            .run("cannot begin a transaction", begin)
            .await?;
        Ok(Box::new(PgClaim::new(
            lease,
            self.opening.target.identity.clone(),
        )))
    }

    async fn execute_alone(
        &self,
        statement: &Arc<Statement>,
        records: &[Record],
    ) -> Result<Answer, SystemError> {
        let mut lease: Lease = self.pool.take().await?;
        let answer = execution::execute(
            &mut lease.session,
            Surroundings::Nothing,
            statement,
            records,
        )
        .await;
        // a failed statement leaves nothing behind: there is no transaction
        lease.give_back();
        answer
    }
}

impl Service for PgService {
    fn identity(&self) -> &Identity {
        &self.opening.target.identity
    }

    fn describe<'a>(
        &'a self,
        tables: &'a [Arc<str>],
    ) -> BoxFuture<'a, Result<Schema, SystemError>> {
        Box::pin(async move {
            if let Some(schema) = self.catalog.recall(tables) {
                return Ok(schema);
            }
            let mut lease = self.pool.take().await?;
            let schema = self.catalog.describe(&mut lease.session, tables).await;
            lease.give_back();
            schema
        })
    }

    fn metadata<'a>(
        &'a self,
        key: &'a MetadataKey,
    ) -> BoxFuture<'a, Result<Option<Arc<MetadataObject>>, SystemError>> {
        Box::pin(async move {
            let mut lease = self.pool.take().await?;
            let object = self.catalog.metadata(&mut lease.session, key).await;
            lease.give_back();
            object
        })
    }

    fn names(&self) -> BoxFuture<'_, Result<Vec<Arc<str>>, SystemError>> {
        Box::pin(async move {
            let mut lease = self.pool.take().await?;
            let names = self.catalog.names(&mut lease.session).await;
            lease.give_back();
            names
        })
    }

    fn mapping<'a>(
        &'a self,
        names: &'a [Arc<str>],
    ) -> BoxFuture<'a, Result<Vec<MappingLine>, SystemError>> {
        Box::pin(async move {
            let mut lease = self.pool.take().await?;
            let lines = self.catalog.lines(&mut lease.session, names).await;
            lease.give_back();
            lines
        })
    }

    fn check_files(&self) -> Result<(), SystemError> {
        self.catalog.check_files()
    }

    fn forget(&self) {
        self.catalog.forget();
    }

    fn execute<'a>(
        &'a self,
        statement: &'a Arc<Statement>,
        parameters: &'a [Record],
    ) -> BoxFuture<'a, Result<Answer, SystemError>> {
        Box::pin(async move {
            if parameters.len() < 2 || !statement.writes() {
                return self.execute_alone(statement, parameters).await;
            }
            // all of the records or none
            let mut claim = self.begin_claim().await?;
            match claim.execute(statement, parameters).await {
                Ok(answer) => claim.commit().await.map(|()| answer),
                Err(error) => {
                    if let Err(failure) = claim.release().await {
                        tracing::debug!(%failure, "the session of a failed statement is closed");
                    }
                    Err(error)
                }
            }
        })
    }

    fn begin(&self) -> BoxFuture<'_, Result<Box<dyn Claim>, SystemError>> {
        Box::pin(async move { Ok(self.begin_claim().await? as Box<dyn Claim>) })
    }

    fn keep_offsets<'a>(
        &'a self,
        table: &'a OffsetTable,
        beginnings: &'a [KeptOffset],
    ) -> BoxFuture<'a, Result<Vec<KeptOffset>, SystemError>> {
        Box::pin(async move {
            let mut lease = self.pool.take().await?;
            let kept = offsets::keep(&mut lease.session, table, beginnings).await;
            lease.give_back();
            kept
        })
    }

    fn source(&self, spec: SourceSpec) -> Result<Box<dyn Source>, SystemError> {
        let watch = match &spec.statement.body {
            Body::Drain(queue) => self.catalog.watch(&queue.from.table),
            _ => None,
        };
        Ok(Box::new(PgSource::new(spec, &self.opening, watch)?))
    }

    fn text(&self, statement: &Statement, runs: Runs) -> Result<String, SystemError> {
        dialect::for_people(statement, runs)
    }
}
