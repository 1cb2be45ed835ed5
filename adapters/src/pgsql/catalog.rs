//! The schema catalog of a database: logical names of the mapping file first, then those of 1C metadata, then the tables as
//! the database names them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dajet_core::diagnostic::nearest;
use dajet_core::schema::{self, Defaults, MappingLine, MetadataKey, MetadataObject};
use dajet_core::value::Entity;
use dajet_core::{Column, ErrorClass, Schema, SystemError, Table};
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio_postgres::types::Oid;

use super::failure::CODE;
use super::infobase::{self, Layout, PgStore, Watch};
use super::relations::{Details, Relation, details, find, relations};
use super::session::Session;
use crate::mapping::{KnownColumn, MappedTable, Mapping};
use crate::onec::{self, Derived, Metadata, NamedValue};

/// Attempts to read metadata that is updated in the meantime.
const ATTEMPTS_MAX: usize = 3;

/// What is known of one database, until it is forgotten.
pub(super) struct Catalog {
    /// Where the database is, for messages.
    place: Arc<str>,
    /// Where relative paths start, and the path of the mapping file.
    mapping_file: Option<(PathBuf, String)>,
    mapping: Mutex<Option<Arc<Mapping>>>,
    known: Mutex<Known>,
    infobase: tokio::sync::Mutex<Option<Infobase>>,
    /// How an infobase is asked for its version.
    sign: Mutex<Option<Arc<str>>>,
    /// Metadata is read anew before it is asked again.
    stale: AtomicBool,
}

#[derive(Default)]
struct Known {
    tables: FxHashMap<Arc<str>, Arc<Table>>,
    values: FxHashMap<Arc<str>, Entity>,
    /// Names that metadata has explained in this process, whatever has been forgotten since: the configuration is being
    /// updated when such a name is unknown.
    explained: FxHashSet<Arc<str>>,
}

struct Infobase {
    layout: Layout,
    metadata: Metadata,
    /// Extensions have been spoken of.
    told: bool,
}

/// What a name was found to be.
enum Found<'a> {
    Mapped(&'a Mapping, &'a MappedTable, &'a Relation),
    Derived(Box<Derived>, &'a Relation),
    Value(Entity),
    /// A predefined item that has no row, or several.
    Absent(String),
    Plain(&'a Relation),
    Unknown,
}

impl Found<'_> {
    fn oid(&self) -> Option<Oid> {
        match self {
            Self::Mapped(_, _, relation) | Self::Derived(_, relation) | Self::Plain(relation) => {
                Some(relation.oid)
            }
            Self::Value(_) | Self::Absent(_) | Self::Unknown => None,
        }
    }
}

impl Catalog {
    pub(super) fn new(place: Arc<str>, mapping_file: Option<(PathBuf, String)>) -> Self {
        Self {
            place,
            mapping_file,
            mapping: Mutex::default(),
            known: Mutex::default(),
            infobase: tokio::sync::Mutex::default(),
            sign: Mutex::default(),
            stale: AtomicBool::new(false),
        }
    }

    /// Throws everything away.
    pub(super) fn forget(&self) {
        *self.mapping.lock() = None;
        self.stale.store(true, Ordering::Release);
        self.known.lock().clear();
    }

    /// The answer, if all the names are known already and cannot have become others: an infobase is asked for its version first.
    pub(super) fn recall(&self, names: &[Arc<str>]) -> Option<Schema> {
        let known = self.known.lock();
        match known.explained.is_empty() {
            true => known.recall(names),
            false => None,
        }
    }

    /// What tells that a table is no longer what it was derived from; `None` if it was not derived from metadata.
    pub(super) fn watch(&self, table: &Table) -> Option<Watch> {
        let version = table.version.clone()?;
        let sql = self.sign.lock().clone()?;
        Some(Watch { sql, version })
    }

    /// Asks the database.
    ///
    /// # Errors
    /// `Transient` or `Misconfigured`.
    pub(super) async fn describe(
        &self,
        session: &mut Session,
        names: &[Arc<str>],
    ) -> Result<Schema, SystemError> {
        let mapping = self.mapping().await?;
        let mut infobase = self.infobase.lock().await;
        if self.is_current(session, infobase.as_ref()).await?
            && let Some(schema) = self.known.lock().recall(names)
        {
            return Ok(schema);
        }
        let relations = relations(session).await?;
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            let mapped = match mapping.as_deref() {
                Some(mapping) => mapped(session, mapping, &relations, name).await?,
                None => None,
            };
            let known = match mapped {
                None => {
                    self.explain(session, &mut infobase, &relations, name)
                        .await?
                }
                mapped => mapped,
            };
            found.push(known.unwrap_or_else(|| match find(&relations, name) {
                Some(relation) => Found::Plain(relation),
                None => Found::Unknown,
            }));
        }
        let oids: Vec<Oid> = found.iter().filter_map(Found::oid).collect();
        let details = details(session, &oids).await?;
        let years = years(session, infobase.as_ref(), &relations, &found).await?;
        let mut schema = Schema::default();
        for (name, found) in names.iter().zip(found) {
            let table = match found {
                Found::Mapped(mapping, table, relation) => {
                    Some(resolve(mapping, table, relation, &details, years)?)
                }
                Found::Derived(mut derived, relation) => {
                    let mut table = join(&mut derived, relation, &details, years);
                    let metadata = infobase.as_ref().map(|known| &known.metadata);
                    table.version = metadata.map(|metadata| metadata.version().into());
                    Some(table)
                }
                Found::Plain(relation) => Some(plain(relation, name, &details)),
                Found::Value(entity) => {
                    self.known.lock().values.insert(Arc::clone(name), entity);
                    schema.values.push((Arc::clone(name), entity));
                    None
                }
                Found::Absent(reason) => {
                    schema.reasons.push((Arc::clone(name), reason));
                    None
                }
                Found::Unknown => {
                    let near = || suggestion(name, &relations, mapping.as_deref());
                    tell_unknown(&mut schema, name, infobase.as_ref(), near);
                    None
                }
            };
            let table = table.map(onec::follow).map(Arc::new);
            // One that lacks columns may have them at the next look.
            if let Some(table) = table.as_ref().filter(|table| table.lacking.is_empty()) {
                let mut known = self.known.lock();
                known.tables.insert(name.clone(), Arc::clone(table));
            }
            schema.tables.push((name.clone(), table));
        }
        Ok(schema)
    }

    /// True if what is known of the infobase is of its present version.
    async fn is_current(
        &self,
        session: &mut Session,
        infobase: Option<&Infobase>,
    ) -> Result<bool, SystemError> {
        let Some(Infobase {
            layout, metadata, ..
        }) = infobase
        else {
            return Ok(true);
        };
        if self.stale.load(Ordering::Acquire) {
            return Ok(false);
        }
        use onec::Store;
        match PgStore::new(session, layout).version().await {
            Ok(version) if version == metadata.version() => Ok(true),
            Err(error) if !error.unknown_name => Err(error),
            Ok(_) | Err(_) => {
                tracing::info!(database = %self.place, "the configuration of the infobase has changed");
                self.stale.store(true, Ordering::Release);
                self.known.lock().clear();
                Ok(false)
            }
        }
    }

    /// Looks a name up in 1C metadata; `None` if it is not of that form, or unknown there.
    async fn explain<'a>(
        &self,
        session: &mut Session,
        infobase: &mut Option<Infobase>,
        relations: &'a [Relation],
        name: &Arc<str>,
    ) -> Result<Option<Found<'a>>, SystemError> {
        let is_name = || {
            // a slip of the pen, which metadata knows how to mend
            let nearly = onec::nearly_in_russian(name).is_some();
            onec::is_name(name) || nearly && find(relations, name).is_none()
        };
        if !is_name() {
            return Ok(None);
        }
        self.refresh(session, infobase, relations).await?;
        let unknown = |reason: Option<String>| match self.known.lock().explained.contains(name) {
            true => {
                let error =
                    being_updated(&format!("1C metadata does not know \"{name}\" any more"));
                Err(match reason {
                    Some(reason) => error.with_hint(reason),
                    None => error,
                })
            }
            false => Ok(None),
        };
        let Some(Infobase {
            layout, metadata, ..
        }) = infobase
        else {
            return unknown(None);
        };
        let mut store = PgStore::new(session, layout);
        let found = if let Some(derived) = metadata.table(&mut store, name).await? {
            let relation = find_mapped(relations, &derived.table).ok_or_else(|| {
                let Derived { name, table, .. } = &derived;
                being_updated(&format!(
                    "the database has no table \"{table}\" for \"{name}\""
                ))
            })?;
            Some(Found::Derived(Box::new(derived), relation))
        } else {
            match metadata.value(&mut store, name).await? {
                Some(value) => Some(identity(session, value).await?),
                None => None,
            }
        };
        match found {
            Some(Found::Absent(reason)) => {
                Ok(unknown(Some(reason.clone()))?.or(Some(Found::Absent(reason))))
            }
            Some(found) => {
                self.known.lock().explained.insert(Arc::clone(name));
                Ok(Some(found))
            }
            None => unknown(metadata.reason(name)),
        }
    }

    /// Reads the metadata, unless it is known and current.
    async fn refresh(
        &self,
        session: &mut Session,
        infobase: &mut Option<Infobase>,
        relations: &[Relation],
    ) -> Result<(), SystemError> {
        use onec::Store;
        if infobase.is_some() && !self.stale.load(Ordering::Acquire) {
            return Ok(());
        }
        let told = infobase.take().is_some_and(|known| known.told);
        let Some(layout) = Layout::find(session, relations).await? else {
            return Ok(());
        };
        let mut store = PgStore::new(session, &layout);
        for _ in 0..ATTEMPTS_MAX {
            let metadata = Metadata::open(&mut store).await?;
            if store.version().await? != metadata.version() {
                continue;
            }
            if !told && store.extensions().await? > 0 {
                tracing::warn!(database = %self.place, "the infobase has extensions: their objects are not known");
            }
            *self.sign.lock() = Some(layout.sign().into());
            *infobase = Some(Infobase {
                layout,
                metadata,
                told: true,
            });
            self.stale.store(false, Ordering::Release);
            return Ok(());
        }
        Err(being_updated("1C metadata changes while it is read"))
    }

    /// Sees to it that the metadata is there and current; `None` if the database is no infobase, its tables otherwise.
    async fn current(
        &self,
        session: &mut Session,
        infobase: &mut Option<Infobase>,
    ) -> Result<Option<Vec<Relation>>, SystemError> {
        self.is_current(session, infobase.as_ref()).await?;
        let relations = relations(session).await?;
        self.refresh(session, infobase, &relations).await?;
        Ok(infobase.is_some().then_some(relations))
    }

    /// The object of a name or a type code: the database's own metadata tells more than a mapping file.
    ///
    /// # Errors
    /// `Transient` or `Misconfigured`.
    pub(super) async fn metadata(
        &self,
        session: &mut Session,
        key: &MetadataKey,
    ) -> Result<Option<Arc<MetadataObject>>, SystemError> {
        let mapping = self.mapping().await?;
        let mapped = mapping.and_then(|mapping| mapping.object(key));
        let own = match self.object(session, key).await {
            // what the file says needs no metadata
            Err(error) if error.class == ErrorClass::Misconfigured && mapped.is_some() => None,
            own => own?,
        };
        Ok(own.or(mapped).map(Arc::new))
    }

    async fn object(
        &self,
        session: &mut Session,
        key: &MetadataKey,
    ) -> Result<Option<MetadataObject>, SystemError> {
        let mut infobase = self.infobase.lock().await;
        self.current(session, &mut infobase).await?;
        let Some(Infobase {
            layout, metadata, ..
        }) = &mut *infobase
        else {
            return Ok(None);
        };
        let mut store = PgStore::new(session, layout);
        Ok(metadata.object(&mut store, key).await?)
    }

    /// The names of all tables and values.
    ///
    /// # Errors
    /// `Transient` or `Misconfigured`.
    pub(super) async fn names(&self, session: &mut Session) -> Result<Vec<Arc<str>>, SystemError> {
        let mapping = self.mapping().await?;
        let mut names: Vec<Arc<str>> = mapping
            .iter()
            .flat_map(|mapping| mapping.names().cloned())
            .collect();
        let mut infobase = self.infobase.lock().await;
        self.current(session, &mut infobase).await?;
        if let Some(Infobase {
            layout, metadata, ..
        }) = &mut *infobase
        {
            let mut store = PgStore::new(session, layout);
            let of_metadata = metadata.names(&mut store).await?;
            let mapped: FxHashSet<Arc<str>> = names.iter().cloned().collect();
            names.extend(
                of_metadata
                    .into_iter()
                    .filter(|name| !mapped.contains(name)),
            );
        }
        if names.is_empty() {
            let relations = relations(session).await?;
            names.extend(relations.iter().map(|relation| match relation.visible {
                true => Arc::clone(&relation.name),
                false => relation.qualified().into(),
            }));
        }
        Ok(names)
    }

    /// What the mapping file and metadata say of these names, as lines of a mapping file.
    ///
    /// # Errors
    /// `Transient` or `Misconfigured`.
    pub(super) async fn lines(
        &self,
        session: &mut Session,
        names: &[Arc<str>],
    ) -> Result<Vec<MappingLine>, SystemError> {
        let mut lines = Vec::new();
        let mut others = Vec::new();
        let mapping = self.mapping().await?;
        for name in names {
            let mapped = mapping.as_deref().map(|mapping| mapping.lines(name));
            match mapped.filter(|mapped| !mapped.is_empty()) {
                Some(mapped) => lines.extend(mapped),
                None => others.push(name),
            }
        }
        if others.is_empty() {
            return Ok(lines);
        }
        let mut infobase = self.infobase.lock().await;
        let relations = self.current(session, &mut infobase).await?;
        let (Some(known), Some(relations)) = (&mut *infobase, relations) else {
            return Ok(lines);
        };
        let (layout, metadata) = (&known.layout, &mut known.metadata);
        let years = metadata.year_offset();
        for name in others {
            let mut store = PgStore::new(session, layout);
            let Some(mut derived) = metadata.table(&mut store, name).await? else {
                lines.extend(metadata.value_line(&mut store, name).await?);
                continue;
            };
            let Some(relation) = find_mapped(&relations, &derived.table) else {
                let table = &derived.table;
                tracing::warn!(%name, table, "the database has no such table");
                continue;
            };
            let details = details(session, &[relation.oid]).await?;
            join(&mut derived, relation, &details, years);
            lines.extend(derived.lines());
        }
        Ok(lines)
    }

    /// Finds out whether the mapping file is there and right.
    ///
    /// # Errors
    /// `Misconfigured` with file and line.
    pub(super) fn check_files(&self) -> Result<(), SystemError> {
        match &self.mapping_file {
            Some((root, file)) => Mapping::read(root, file).map(drop),
            None => Ok(()),
        }
    }

    async fn mapping(&self) -> Result<Option<Arc<Mapping>>, SystemError> {
        let Some((root, file)) = self.mapping_file.clone() else {
            return Ok(None);
        };
        if let Some(mapping) = &*self.mapping.lock() {
            return Ok(Some(Arc::clone(mapping)));
        }
        let reading = tokio::task::spawn_blocking(move || Mapping::read(&root, &file)).await;
        let mapping = Arc::new(
            reading
                .map_err(|_| SystemError::fault("reading the mapping file was broken off"))??,
        );
        *self.mapping.lock() = Some(Arc::clone(&mapping));
        Ok(Some(mapping))
    }
}

impl Known {
    fn clear(&mut self) {
        self.tables.clear();
        self.values.clear();
    }

    fn recall(&self, names: &[Arc<str>]) -> Option<Schema> {
        let mut schema = Schema::default();
        for name in names {
            match (self.tables.get(name), self.values.get(name)) {
                (Some(table), _) => schema.tables.push((name.clone(), Some(table.clone()))),
                (None, Some(entity)) => {
                    schema.tables.push((name.clone(), None));
                    schema.values.push((name.clone(), *entity));
                }
                (None, None) => return None,
            }
        }
        Some(schema)
    }
}

/// Says what can be said of a name that is unknown: why, and what may have been meant.
fn tell_unknown(
    schema: &mut Schema,
    name: &Arc<str>,
    infobase: Option<&Infobase>,
    suggestion: impl FnOnce() -> Option<Arc<str>>,
) {
    let metadata = infobase.map(|known| &known.metadata);
    let reason = metadata.and_then(|metadata| metadata.reason(name));
    let reason = reason.map(|reason| (Arc::clone(name), reason));
    schema.reasons.extend(reason);
    let near = metadata.and_then(|metadata| metadata.nearest(name));
    let near = near.filter(|near| schema::fold(near) != schema::fold(name));
    schema.suggestions.extend(near.or_else(suggestion));
}

/// The configuration is being updated, or the database restored: it heals by waiting.
fn being_updated(what: &str) -> SystemError {
    SystemError::transient(CODE, format!("{what}: is the configuration being updated"))
}

/// The years that are added to the dates of these tables.
async fn years(
    session: &mut Session,
    infobase: Option<&Infobase>,
    relations: &[Relation],
    found: &[Found<'_>],
) -> Result<i16, SystemError> {
    let is_mapped = || found.iter().any(|found| matches!(found, Found::Mapped(..)));
    match infobase {
        Some(known) => Ok(known.metadata.year_offset()),
        None if is_mapped() => infobase::years(session, relations).await,
        None => Ok(0),
    }
}

/// What a mapping file says of a name.
async fn mapped<'a>(
    session: &mut Session,
    mapping: &'a Mapping,
    relations: &'a [Relation],
    name: &str,
) -> Result<Option<Found<'a>>, SystemError> {
    if let Some(table) = mapping.table(name) {
        let relation = find_mapped(relations, &table.table);
        let relation = relation.ok_or_else(|| mapping.unknown_table(table))?;
        return Ok(Some(Found::Mapped(mapping, table, relation)));
    }
    let value = match mapping.value(name) {
        Some((value, true)) => NamedValue::Predefined {
            table: value.table.to_string(),
            entity: value.entity,
        },
        Some((value, false)) => NamedValue::Identity(value.entity),
        None => return Ok(None),
    };
    identity(session, value).await.map(Some)
}

/// The reference that a name stands for.
async fn identity<'a>(session: &mut Session, value: NamedValue) -> Result<Found<'a>, SystemError> {
    let (table, entity) = match value {
        NamedValue::Identity(entity) => return Ok(Found::Value(entity)),
        NamedValue::Predefined { table, entity } => (table, entity),
    };
    let found = infobase::predefined(session, &table, entity).await?;
    let rows = match found[..] {
        [only] => return Ok(Found::Value(only)),
        [] => "no row of it",
        _ => "several rows of it: select the reference by a query",
    };
    Ok(Found::Absent(format!(
        "It is a predefined item, and table \"{table}\" has {rows}."
    )))
}

/// Finds a table of 1C: PostgreSQL has its name in lower case.
fn find_mapped<'a>(relations: &'a [Relation], table: &str) -> Option<&'a Relation> {
    find(relations, &table.to_lowercase()).or_else(|| find(relations, table))
}

/// Joins a table of metadata with the real one.
fn join(derived: &mut Derived, relation: &Relation, details: &Details, years: i16) -> Table {
    let real = details
        .columns
        .get(&relation.oid)
        .map_or(&[][..], |columns| columns);
    let checked = onec::check(derived, real, years);
    for warning in checked.warnings.into_iter().chain(derived.warnings()) {
        tracing::warn!(table = derived.name, "{warning}");
    }
    Table {
        name: derived.name.as_str().into(),
        physical: relation.physical(),
        columns: checked.columns,
        key: details.key(relation),
        defaults: Defaults::EmptyValue,
        lacking: checked
            .lacking
            .iter()
            .map(|name| name.as_str().into())
            .collect(),
        reasons: derived
            .reasons
            .iter()
            .map(|(name, reason)| (name.as_str().into(), reason.clone()))
            .collect(),
        version: None,
    }
}

fn plain(relation: &Relation, name: &Arc<str>, details: &Details) -> Table {
    let columns = details
        .columns
        .get(&relation.oid)
        .map_or(&[][..], |columns| columns);
    let columns = columns.iter().map(|(part, data_type)| {
        Column::new(Arc::clone(&part.name), *data_type, vec![part.clone()])
    });
    Table {
        name: Arc::clone(name),
        physical: relation.physical(),
        columns: columns.collect(),
        key: details.key(relation),
        defaults: Defaults::Database,
        lacking: Vec::new(),
        reasons: Vec::new(),
        version: None,
    }
}

fn resolve(
    mapping: &Mapping,
    table: &MappedTable,
    relation: &Relation,
    details: &Details,
    years: i16,
) -> Result<Table, SystemError> {
    let columns = details
        .columns
        .get(&relation.oid)
        .map_or(&[][..], |columns| columns);
    let key = details.key(relation);
    mapping.resolve(table, relation.physical(), key, years, |name| {
        let (part, _) = schema::find(columns, name, |(part, _)| &part.name)?;
        Some(KnownColumn {
            name: Arc::clone(&part.name),
            type_name: Arc::clone(&part.type_name),
            nullable: part.nullable,
            generated: part.generated,
        })
    })
}

fn suggestion(name: &str, relations: &[Relation], mapping: Option<&Mapping>) -> Option<Arc<str>> {
    let qualified: Vec<String> = relations.iter().map(Relation::qualified).collect();
    let visible = relations
        .iter()
        .filter(|relation| relation.visible)
        .map(|relation| &*relation.name);
    let logical = mapping
        .into_iter()
        .flat_map(Mapping::names)
        .map(|name| &**name);
    let asked = onec::nearly_in_russian(name);
    nearest(
        asked.as_deref().unwrap_or(name),
        logical
            .chain(visible)
            .chain(qualified.iter().map(String::as_str)),
    )
    .map(Arc::from)
    .or_else(|| mapping?.of_another_kind(name))
}
