//! Files out of the store, inflated and parsed off the threads that must not wait.

use std::sync::Arc;

use uuid::Uuid;

use super::bracket::{Item, Tree};
use super::error::MetadataError;
use super::index::{Object, file_of, take_foreign};
use super::inflate::{INFLATED_MAX, Inflater};
use super::kind::Kind;
use super::model::Model;
use super::numbers::Numbers;
use super::store::{Place, Store, StoredFile};

/// Stored bytes that surely hold a head; longer comments are read again in full.
const HEAD_BYTES: usize = 1_024;
/// Stored bytes that mostly hold a wanted place.
const BEGINNING_BYTES: usize = 8 << 10;
/// Inflated bytes of a beginning.
const BEGINNING_MAX: usize = 64 << 10;
/// Files whose beginnings are fetched at once.
const BEGINNINGS_AT_ONCE: usize = 20_000;
/// Whole files that are fetched at once.
const FILES_AT_ONCE: usize = 200;

/// How much of a file is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading {
    /// All of it.
    Whole,
    /// As much as makes the place at this path complete.
    Beginning(&'static [usize]),
}

/// A file's tree, or why there is none.
pub(super) type Read<T> = (Uuid, Result<T, MetadataError>);

/// Runs a computation where it holds up nobody.
async fn offload<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, MetadataError> {
    let span = tracing::Span::current();
    let done = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    done.map_err(|_| {
        let error = dajet_core::SystemError::fault("reading 1C metadata was broken off");
        MetadataError::Store(error)
    })
}

fn tree(file: &Arc<str>, stored: &[u8], inflater: &mut Inflater) -> Result<Tree, MetadataError> {
    let text = text(file, stored, inflater)?;
    Tree::parse(text).map_err(|broken| {
        let file = Arc::clone(file);
        MetadataError::Broken { file, broken }
    })
}

fn text(file: &Arc<str>, stored: &[u8], inflater: &mut Inflater) -> Result<String, MetadataError> {
    inflater.text(stored).map_err(|reason| {
        let file = Arc::clone(file);
        MetadataError::Damaged { file, reason }
    })
}

async fn fetch(
    store: &mut dyn Store,
    place: Place,
    file: &Arc<str>,
) -> Result<Option<Vec<u8>>, MetadataError> {
    let found = store
        .read(place, std::slice::from_ref(file), INFLATED_MAX)
        .await?;
    Ok(found.into_iter().next().map(|(_, stored)| stored))
}

/// Reads a file of `Config` that must be there.
pub(super) async fn required(
    store: &mut dyn Store,
    file: &Arc<str>,
) -> Result<Tree, MetadataError> {
    let missing = || MetadataError::Missing {
        file: Arc::clone(file),
    };
    optional(store, file).await??.ok_or_else(missing)
}

/// Reads a file of `Config` that may be missing; the outer error is that of the database.
pub(super) async fn optional(
    store: &mut dyn Store,
    file: &Arc<str>,
) -> Result<Result<Option<Tree>, MetadataError>, MetadataError> {
    let Some(stored) = fetch(store, Place::Config, file).await? else {
        return Ok(Ok(None));
    };
    let file = Arc::clone(file);
    offload(move || tree(&file, &stored, &mut Inflater::new()).map(Some)).await
}

/// Reads the numbers of tables and columns.
pub(super) async fn numbers(store: &mut dyn Store) -> Result<Numbers, MetadataError> {
    let file: Arc<str> = "DBNames".into();
    let Some(stored) = fetch(store, Place::Params, &file).await? else {
        return Err(MetadataError::Missing { file });
    };
    offload(move || {
        let text = text(&file, &stored, &mut Inflater::new())?;
        Numbers::parse(&text).map_err(|broken| MetadataError::Broken { file, broken })
    })
    .await?
}

/// Objects without names: their heads cannot be read.
pub(super) type Nameless = Vec<(Kind, MetadataError)>;

/// Reads the heads of objects, in their order. Those that cannot be read are told and left out.
pub(super) async fn heads(
    store: &mut dyn Store,
    objects: &[(Kind, Uuid)],
) -> Result<(Vec<Object>, Nameless), MetadataError> {
    let mut nameless = Nameless::new();
    let mut heads: Vec<Option<Object>> = Vec::with_capacity(objects.len());
    for objects in objects.chunks(BEGINNINGS_AT_ONCE) {
        let first = heads.len();
        heads.extend(beginnings(store, objects).await?);
        let again: Vec<usize> = (0..objects.len())
            .filter(|place| heads[first + place].is_none())
            .collect();
        for places in again.chunks(FILES_AT_ONCE) {
            let uuids: Vec<Uuid> = places.iter().map(|place| objects[*place].1).collect();
            for (uuid, read) in files(store, &uuids, Reading::Whole).await? {
                let place = places.iter().find(|place| objects[**place].1 == uuid);
                let place = *place.expect("only what was asked for is answered");
                let head = read.and_then(|tree| Object::read(objects[place].0, uuid, &tree));
                match head {
                    Ok(head) => heads[first + place] = Some(head),
                    Err(error) => nameless.push((objects[place].0, error)),
                }
            }
        }
    }
    let mut heads = heads.into_iter().flatten().collect();
    nameless.extend(take_foreign(&mut heads, objects));
    for (kind, error) in &nameless {
        tracing::warn!(kind = kind.word(), %error, "object of 1C metadata is left out");
    }
    Ok((heads, nameless))
}

/// The heads that the beginnings of files tell.
async fn beginnings(
    store: &mut dyn Store,
    objects: &[(Kind, Uuid)],
) -> Result<Vec<Option<Object>>, MetadataError> {
    let names: Vec<Arc<str>> = objects.iter().map(|(_, uuid)| file_of(*uuid)).collect();
    let mut stored = store.read(Place::Config, &names, HEAD_BYTES).await?;
    let objects = objects.to_vec();
    offload(move || {
        stored.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut inflater = Inflater::new();
        let mut head = |(kind, uuid): (Kind, Uuid)| {
            let name = file_of(uuid);
            let found = stored.binary_search_by(|(file, _)| file.cmp(&name)).ok()?;
            let text = inflater.beginning(&stored[found].1, BEGINNING_MAX);
            Object::read(kind, uuid, &Tree::parse_beginning(text)).ok()
        };
        objects.into_iter().map(&mut head).collect()
    })
    .await
}

/// Reads files of objects: whole ones in the order of the question. One that is missing is an error of its own.
pub(super) async fn files(
    store: &mut dyn Store,
    uuids: &[Uuid],
    reading: Reading,
) -> Result<Vec<Read<Tree>>, MetadataError> {
    let mut read = Vec::with_capacity(uuids.len());
    for uuids in uuids.chunks(FILES_AT_ONCE) {
        let Reading::Beginning(path) = reading else {
            read.extend(whole(store, uuids).await?);
            continue;
        };
        let mut cut = Vec::new();
        for (uuid, tree) in some(store, uuids, BEGINNING_BYTES, beginning).await? {
            match tree {
                Ok(tree) if tree.root().path(path).is_complete() => read.push((uuid, Ok(tree))),
                _ => cut.push(uuid),
            }
        }
        read.extend(whole(store, &cut).await?);
    }
    Ok(read)
}

async fn whole(store: &mut dyn Store, uuids: &[Uuid]) -> Result<Vec<Read<Tree>>, MetadataError> {
    some(store, uuids, INFLATED_MAX, tree).await
}

fn beginning(_: &Arc<str>, stored: &[u8], inflater: &mut Inflater) -> Result<Tree, MetadataError> {
    Ok(Tree::parse_beginning(
        inflater.beginning(stored, BEGINNING_MAX),
    ))
}

async fn some(
    store: &mut dyn Store,
    uuids: &[Uuid],
    most: usize,
    make: fn(&Arc<str>, &[u8], &mut Inflater) -> Result<Tree, MetadataError>,
) -> Result<Vec<Read<Tree>>, MetadataError> {
    if uuids.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<Arc<str>> = uuids.iter().map(|uuid| file_of(*uuid)).collect();
    let stored = store.read(Place::Config, &names, most).await?;
    let uuids = uuids.to_vec();
    offload(move || {
        let mut inflater = Inflater::new();
        let mut read = |uuid: Uuid| {
            let file = file_of(uuid);
            let found: Option<&StoredFile> = stored.iter().find(|(name, _)| *name == file);
            let tree = match found {
                Some((_, stored)) => make(&file, stored, &mut inflater),
                None => Err(MetadataError::Missing { file }),
            };
            (uuid, tree)
        };
        uuids.into_iter().map(&mut read).collect()
    })
    .await
}

/// The files that are needed to understand these: those of the charts and types that descriptions mention, of the chart of
/// an accounting register, of a chart's kinds of analytics. Only files that have not been read.
pub(super) fn mentioned(model: &Model<'_>, uuids: &[Uuid]) -> Vec<Uuid> {
    let mut found: Vec<Uuid> = Vec::new();
    for uuid in uuids {
        let (Some(place), Some(tree)) = (model.index.by_uuid(*uuid), model.bodies.get(uuid)) else {
            continue;
        };
        let body = tree.root().at(1);
        let direct = match model.object(place).kind {
            Kind::AccountingRegister => body.at(18).uuid(),
            Kind::Account => body.at(19).uuid(),
            _ => None,
        };
        found.extend(direct);
        found.extend(descriptions(tree.root()).filter_map(|uuid| {
            let index = model.index;
            let defined = |place: &usize| model.object(*place).kind == Kind::DefinedType;
            let place = index
                .by_alias(uuid)
                .or(index.by_reference(uuid).filter(defined))?;
            Some(model.object(place).uuid)
        }));
    }
    found.sort_unstable();
    found.dedup();
    found.retain(|uuid| !model.bodies.contains_key(uuid));
    found
}

/// The uuids of all `{"#", uuid}` of a file.
fn descriptions(root: Item<'_>) -> impl Iterator<Item = Uuid> {
    root.all().filter_map(|item| {
        let uuid = item.at(1).uuid()?;
        (item.at(0).text().as_deref() == Some("#")).then_some(uuid)
    })
}
