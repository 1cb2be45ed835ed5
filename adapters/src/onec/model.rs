//! What derivation looks at: everything that has been read, nothing that must be waited for.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::bracket::{Item, Tree};
use super::configuration::Configuration;
use super::index::{Index, Object};
use super::kind::{Kind, id};
use super::numbers::Numbers;

/// Attributes of a tabular section.
const SECTION_ATTRIBUTES: Uuid = id("888744e1-b616-11d4-9436-004095e12fc7");

/// The metadata as far as it has been read.
pub(super) struct Model<'a> {
    pub(super) configuration: &'a Configuration,
    pub(super) numbers: &'a Numbers,
    pub(super) index: &'a Index,
    pub(super) bodies: &'a FxHashMap<Uuid, Arc<Tree>>,
    /// The documents that write to a register.
    pub(super) recorders: &'a FxHashMap<Uuid, Vec<usize>>,
}

/// Something with a name, a number and a type: an attribute, a dimension, a resource, a flag.
#[derive(Clone, Copy)]
pub(super) struct Attribute<'a> {
    pub(super) item: Item<'a>,
    pub(super) uuid: Uuid,
    pub(super) pattern: Item<'a>,
}

impl<'a> Attribute<'a> {
    /// Reads an item of a collection: `{{k, {27, {2, head, pattern}, …}, flag, …}, 0}`.
    fn read(item: Item<'a>) -> Option<Self> {
        let inner = item.path(&[0, 1, 1]);
        Some(Self {
            item,
            uuid: inner.path(&[1, 1, 2]).uuid()?,
            pattern: inner.at(2),
        })
    }

    pub(super) fn name(&self) -> String {
        let name = self.item.path(&[0, 1, 1, 1, 2]).name();
        name.unwrap_or_default().into_owned()
    }

    /// A flag by its place behind the description.
    pub(super) fn flag(&self, place: usize) -> Option<i64> {
        self.item.path(&[0, place]).number()
    }
}

/// A tabular section.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    item: Item<'a>,
    pub(super) uuid: Uuid,
}

impl<'a> Section<'a> {
    fn head(&self) -> Item<'a> {
        self.item.path(&[0, 1, 5, 1])
    }

    pub(super) fn name(&self) -> String {
        self.head().at(2).name().unwrap_or_default().into_owned()
    }

    pub(super) fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> {
        collection_in(self.item, 0, SECTION_ATTRIBUTES).filter_map(Attribute::read)
    }
}

/// The items of the collection with this class, which stands among the items of a list.
fn collection_in<'a>(
    list: Item<'a>,
    skipped: usize,
    class: Uuid,
) -> impl Iterator<Item = Item<'a>> {
    list.items()
        .skip(skipped)
        .filter(move |collection| collection.at(0).uuid() == Some(class))
        .flat_map(|collection| collection.items().skip(2))
}

/// The items of a collection of an object's file.
pub(super) fn collection<'a>(tree: &'a Tree, class: Uuid) -> impl Iterator<Item = Item<'a>> {
    collection_in(tree.root(), 3, class)
}

/// The attributes, dimensions or resources of an object's file.
pub(super) fn attributes<'a>(tree: &'a Tree, class: Uuid) -> impl Iterator<Item = Attribute<'a>> {
    collection(tree, class).filter_map(Attribute::read)
}

/// The tabular sections of an object's file.
pub(super) fn sections<'a>(tree: &'a Tree, kind: Kind) -> impl Iterator<Item = Section<'a>> {
    let class = section_class(kind).unwrap_or(Uuid::nil());
    collection(tree, class).filter_map(|item| {
        let head = item.path(&[0, 1, 5, 1]);
        let uuid = head.path(&[1, 2]).uuid()?;
        Some(Section { item, uuid })
    })
}

const fn section_class(kind: Kind) -> Option<Uuid> {
    Some(match kind {
        Kind::Catalog => id("932159f9-95b2-4e76-a8dd-8849fe5c5ded"),
        Kind::Document => id("21c53e09-8950-4b5e-a6a0-1054f1bbc274"),
        Kind::Publication => id("52293f4b-f98c-43ea-a80f-41047ae7ab58"),
        Kind::Characteristic => id("54e36536-7863-42fd-bea3-c5edd3122fdc"),
        Kind::Account => id("4c7fec95-d1bd-4508-8a01-f1db090d9af8"),
        Kind::Task => id("ee865d4b-a458-48a0-b38f-5a26898feeb0"),
        Kind::BusinessProcess => id("a3fe6537-d787-40f7-8a06-419d2f0c1cfd"),
        _ => return None,
    })
}

/// The uuids of a list of references to metadata: `{0, n, {"#", class, {1, uuid}}, …}`.
pub(super) fn listed<'a>(list: Item<'a>) -> impl Iterator<Item = Uuid> + use<'a> {
    list.items()
        .skip(2)
        .filter_map(|entry| entry.path(&[2, 1]).uuid())
}

impl<'a> Model<'a> {
    /// The file of an object, if it has been read.
    pub(super) fn body(&self, object: usize) -> Option<&'a Tree> {
        let uuid = self.index.objects[object].uuid;
        self.bodies.get(&uuid).map(|tree| &**tree)
    }

    pub(super) fn object(&self, place: usize) -> &'a Object {
        &self.index.objects[place]
    }
}
