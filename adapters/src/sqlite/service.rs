//! The database at an address.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dajet_core::contract::{
    Answer, BoxFuture, Claim, Environment, Runs, Service, Source, SourceSpec,
};
use dajet_core::query::Statement;
use dajet_core::record::Record;
use dajet_core::schema::{MappingLine, MetadataKey, MetadataObject, Schema, Table};
use dajet_core::{Address, Identity, KeptOffset, OffsetTable, SystemError};
use parking_lot::Mutex;

use super::address::Location;
use super::catalog;
use super::claim::{FileClaim, Hold};
use super::dialect::{self, Rendered};
use super::inserts::Bulk;
use super::run::Batch;
use super::source::QueueSource;
use super::worker::{Worker, fresh_number};

/// An SQLite file.
pub struct FileService {
    location: Location,
    identity: Identity,
    time: Duration,
    /// The tables that the catalog has been asked for, by the names as asked.
    known: Mutex<BTreeMap<Arc<str>, Arc<Table>>>,
    /// Started at the first use.
    worker: Mutex<Option<Arc<Worker>>>,
}

impl FileService {
    /// Makes the service; opens nothing yet.
    ///
    /// # Errors
    /// `Misconfigured` if the address is wrong.
    pub fn new(address: &Address, environment: &Environment) -> Result<Self, SystemError> {
        let location = Location::parse(address, environment)?;
        Ok(Self {
            identity: location.identity(),
            location,
            time: environment.command_timeout,
            known: Mutex::default(),
            worker: Mutex::default(),
        })
    }

    fn worker(&self) -> Result<Arc<Worker>, SystemError> {
        let mut worker = self.worker.lock();
        if let Some(worker) = &*worker {
            return Ok(Arc::clone(worker));
        }
        Ok(Arc::clone(worker.insert(Worker::of(&self.location)?)))
    }

    async fn look_up(&self, names: &[Arc<str>]) -> Result<Schema, SystemError> {
        let mut schema = Schema::default();
        {
            let known = self.known.lock();
            for name in names {
                schema
                    .tables
                    .push((Arc::clone(name), known.get(name).cloned()));
            }
        }
        let unknown = |(name, table): &(Arc<str>, Option<_>)| table.is_none().then(|| name.clone());
        let missing: Vec<_> = schema.tables.iter().filter_map(unknown).collect();
        if missing.is_empty() {
            return Ok(schema);
        }
        let map = self.location.map.clone();
        let found = self
            .worker()?
            .run(self.time, move |state| {
                catalog::describe(&*state.main()?, &missing, map.as_deref())
            })
            .await?;
        let mut known = self.known.lock();
        for (name, table) in found.tables {
            let Some(table) = table else { continue };
            for (asked, place) in &mut schema.tables {
                if *asked == name {
                    *place = Some(Arc::clone(&table));
                }
            }
            known.insert(name, table);
        }
        schema.values = found.values;
        schema.suggestions = found.suggestions;
        Ok(schema)
    }

    async fn list(&self) -> Result<Vec<Arc<str>>, SystemError> {
        let map = self.location.map.clone();
        let list =
            move |state: &mut super::state::State| catalog::names(&*state.main()?, map.as_deref());
        self.worker()?.run(self.time, list).await
    }

    fn open(&self) -> Result<Box<dyn Claim>, SystemError> {
        let hold = Hold::new(self.worker()?, fresh_number());
        let claim = FileClaim::target(hold, self.identity.clone(), self.time);
        Ok(Box::new(claim))
    }

    async fn run(&self, statement: Arc<Statement>, batch: Batch) -> Result<Answer, SystemError> {
        self.worker()?
            .run(self.time, move |state| state.execute(&statement, &batch))
            .await
    }
}

impl Service for FileService {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn describe<'a>(
        &'a self,
        tables: &'a [Arc<str>],
    ) -> BoxFuture<'a, Result<Schema, SystemError>> {
        Box::pin(self.look_up(tables))
    }

    fn names(&self) -> BoxFuture<'_, Result<Vec<Arc<str>>, SystemError>> {
        Box::pin(self.list())
    }

    fn metadata<'a>(
        &'a self,
        key: &'a MetadataKey,
    ) -> BoxFuture<'a, Result<Option<Arc<MetadataObject>>, SystemError>> {
        Box::pin(async move {
            if self.location.map.is_none() {
                return Ok(None);
            }
            let (key, map) = (key.clone(), self.location.map.clone());
            let ask = move |_: &mut super::state::State| catalog::object(&key, map.as_deref());
            let object = self.worker()?.run(self.time, ask).await?;
            Ok(object.map(Arc::new))
        })
    }

    fn mapping<'a>(
        &'a self,
        names: &'a [Arc<str>],
    ) -> BoxFuture<'a, Result<Vec<MappingLine>, SystemError>> {
        Box::pin(async move {
            if self.location.map.is_none() {
                return Ok(Vec::new());
            }
            let (names, map) = (names.to_vec(), self.location.map.clone());
            let ask = move |_: &mut super::state::State| catalog::lines(&names, map.as_deref());
            self.worker()?.run(self.time, ask).await
        })
    }

    fn check_files(&self) -> Result<(), SystemError> {
        catalog::check_files(self.location.map.as_deref())
    }

    fn forget(&self) {
        self.known.lock().clear();
    }

    fn execute<'a>(
        &'a self,
        statement: &'a Arc<Statement>,
        parameters: &'a [Record],
    ) -> BoxFuture<'a, Result<Answer, SystemError>> {
        Box::pin(self.run(Arc::clone(statement), Batch::new(parameters)))
    }

    fn begin(&self) -> BoxFuture<'_, Result<Box<dyn Claim>, SystemError>> {
        Box::pin(async { self.open() })
    }

    fn keep_offsets<'a>(
        &'a self,
        table: &'a OffsetTable,
        beginnings: &'a [KeptOffset],
    ) -> BoxFuture<'a, Result<Vec<KeptOffset>, SystemError>> {
        Box::pin(async move {
            let (table, beginnings) = (table.clone(), beginnings.to_vec());
            let keep =
                move |state: &mut super::state::State| state.keep_offsets(&table, &beginnings);
            self.worker()?.run(self.time, keep).await
        })
    }

    fn source(&self, spec: SourceSpec) -> Result<Box<dyn Source>, SystemError> {
        let (worker, identity) = (self.worker()?, self.identity.clone());
        Ok(Box::new(QueueSource::new(
            worker, identity, self.time, &spec,
        )?))
    }

    fn text(&self, statement: &Statement, runs: Runs) -> Result<String, SystemError> {
        let Rendered { sql, bulk, .. } = dialect::render(statement)?;
        Ok(match (runs, bulk) {
            (Runs::Alone, _) => sql,
            (Runs::ForABatch, None) => {
                format!("-- prepared once, run for each record of a batch\n{sql}")
            }
            (Runs::ForABatch, Some(Bulk { records, .. })) => format!(
                "-- prepared once, run for each record of a batch; its values stand {records} times where there are as many records\n{sql}"
            ),
        })
    }
}
