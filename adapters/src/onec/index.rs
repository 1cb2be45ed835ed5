//! The objects of a configuration by name and identity: what the beginnings of their files tell.

use std::collections::BTreeMap;
use std::sync::Arc;

use dajet_core::schema::fold;
use rustc_hash::{FxHashMap, FxHashSet};
use uuid::Uuid;

use super::bracket::Tree;
use super::error::{MetadataError, shown};
use super::kind::Kind;

/// An object as far as its head tells.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) kind: Kind,
    /// The name of its file.
    pub(super) uuid: Uuid,
    /// The uuid that its file says.
    written: Option<Uuid>,
    pub(super) name: Arc<str>,
    /// The identity of references in descriptions of types.
    pub(super) reference: Option<Uuid>,
    /// The other identity of a chart: its types of values.
    pub(super) alias: Option<Uuid>,
    /// The number of the main table; `None` if the object has no table.
    pub(super) number: Option<u32>,
}

impl Object {
    /// Reads the head from a file or its beginning.
    ///
    /// # Errors
    /// The place that is missing.
    pub(super) fn read(kind: Kind, uuid: Uuid, tree: &Tree) -> Result<Self, MetadataError> {
        let missing = |path: &[usize], expected| MetadataError::Unexpected {
            file: file_of(uuid),
            path: shown(path),
            expected,
        };
        let (facts, root) = (kind.facts(), tree.root());
        let name = root.path(facts.head).at(2).name();
        let name = name
            .filter(|name| !name.is_empty())
            .ok_or_else(|| missing(facts.head, "name of an object"))?;
        let identity = |path: Option<&[usize]>| match path {
            None => Ok(None),
            Some(path) => match root.path(path).uuid() {
                None => Err(missing(path, "identity of references")),
                found => Ok(found),
            },
        };
        Ok(Self {
            kind,
            uuid,
            written: root.path(facts.head).path(&[1, 2]).uuid(),
            name: name.as_ref().into(),
            reference: identity(facts.reference)?,
            alias: identity(kind.alias())?,
            number: None,
        })
    }

    /// `Справочник.Номенклатура`
    pub(super) fn full_name(&self) -> String {
        format!("{}.{}", self.kind.word(), self.name)
    }

    /// `_Reference36`; `None` if the object has no table.
    pub(super) fn table(&self) -> Option<String> {
        let number = self.number.filter(|_| self.kind.has_table())?;
        Some(format!("_{}{number}", self.kind.facts().token))
    }

    /// The type code of its references, or the number of its table.
    pub(super) fn code(&self) -> i32 {
        self.number
            .and_then(|number| i32::try_from(number).ok())
            .unwrap_or(0)
    }
}

/// The name of an object's file.
pub(super) fn file_of(uuid: Uuid) -> Arc<str> {
    uuid.to_string().into()
}

/// Why something with this uuid has no table, or no column.
pub(super) fn unnumbered(uuid: Uuid) -> String {
    format!(
        "The configuration has it, but \"DBNames\" has no number for its uuid {uuid}: it is not applied to the database yet, \
         or \"DBNames\" is damaged."
    )
}

/// Takes out objects whose files hold another object of the configuration.
pub(super) fn take_foreign(
    objects: &mut Vec<Object>,
    listed: &[(Kind, Uuid)],
) -> Vec<(Kind, MetadataError)> {
    let known: FxHashSet<Uuid> = listed.iter().map(|(_, uuid)| *uuid).collect();
    let mut foreign = Vec::new();
    objects.retain(|object| {
        let other = |uuid: &Uuid| *uuid != object.uuid && known.contains(uuid);
        let Some(uuid) = object.written.filter(other) else {
            return true;
        };
        let error = MetadataError::Foreign {
            file: file_of(object.uuid),
            name: Arc::clone(&object.name),
            uuid,
        };
        foreign.push((object.kind, error));
        false
    });
    foreign
}

/// Takes the number away from objects that would have the same table or the same type code: nobody can say whose it is.
/// What to say of each of them.
pub(super) fn settle(objects: &mut [Object]) -> FxHashMap<Uuid, String> {
    let mut owners: BTreeMap<(u32, &str), Vec<usize>> = BTreeMap::new();
    for (place, object) in objects.iter().enumerate() {
        let token = match object.kind.is_reference() {
            true => "",
            false => object.kind.facts().token,
        };
        let number = object.number.filter(|_| object.kind.has_table());
        if let Some(number) = number {
            owners.entry((number, token)).or_default().push(place);
        }
    }
    let mut disputed = FxHashMap::default();
    for ((number, _), places) in owners {
        let first = objects[places[0]].uuid;
        if places.iter().all(|place| objects[*place].uuid == first) {
            continue;
        }
        let names = places.iter().map(|place| objects[*place].full_name());
        let names = names.collect::<Vec<_>>().join(", ");
        tracing::warn!(
            number,
            names,
            "objects are left out: \"DBNames\" gives them the same number"
        );
        for place in places {
            objects[place].number = None;
            let reason = format!(
                "\"DBNames\" gives the number {number} to several objects and is damaged: {names}."
            );
            disputed.insert(objects[place].uuid, reason);
        }
    }
    disputed
}

/// All objects whose heads could be read.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) objects: Vec<Object>,
    uuids: FxHashMap<Uuid, usize>,
    names: FxHashMap<(Kind, String), usize>,
    references: FxHashMap<Uuid, usize>,
    aliases: FxHashMap<Uuid, usize>,
}

impl Index {
    pub(super) fn new(objects: Vec<Object>) -> Self {
        let mut index = Self::default();
        for (place, object) in objects.iter().enumerate() {
            index.uuids.entry(object.uuid).or_insert(place);
            let name = (object.kind, fold(&object.name));
            index.names.entry(name).or_insert(place);
            if let Some(reference) = object.reference {
                index.references.entry(reference).or_insert(place);
            }
            if let Some(alias) = object.alias {
                index.aliases.entry(alias).or_insert(place);
            }
        }
        index.objects = objects;
        index
    }

    /// Finds by kind and folded name.
    pub(super) fn named(&self, kind: Kind, name: &str) -> Option<usize> {
        self.names.get(&(kind, name.to_owned())).copied()
    }

    pub(super) fn by_uuid(&self, uuid: Uuid) -> Option<usize> {
        self.uuids.get(&uuid).copied()
    }

    /// What a uuid in the description of a type is a reference to; a defined type too.
    pub(super) fn by_reference(&self, uuid: Uuid) -> Option<usize> {
        self.references.get(&uuid).copied()
    }

    /// The chart whose types of values a uuid in the description of a type means.
    pub(super) fn by_alias(&self, uuid: Uuid) -> Option<usize> {
        self.aliases.get(&uuid).copied()
    }

    /// The objects of a kind, in their order.
    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = (usize, &Object)> {
        let all = self.objects.iter().enumerate();
        all.filter(move |(_, object)| object.kind == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_head_from_the_beginning_of_a_file() {
        let reference = "11111111-0000-0000-0000-000000000003";
        let text = format!(
            "{{1,{{56,a,b,{reference},4,5,6,7,8,{{0,{{3,{{1,0,x}},\"Ёлки\",{{1,\"ru\",\"обр"
        );
        let tree = Tree::parse_beginning(text);
        let uuid = Uuid::from_u128(1);
        let object = Object::read(Kind::Catalog, uuid, &tree).expect("the head is there");
        assert_eq!(&*object.full_name(), "Справочник.Ёлки");
        assert_eq!(
            object.reference.map(|r| r.to_string()).as_deref(),
            Some(reference)
        );
        let error = Object::read(Kind::Document, uuid, &Tree::parse_beginning("{1,{5".into()));
        assert!(error.is_err_and(|error| error.to_string().contains("[1][9][1]")));
        let index = Index::new(vec![object]);
        assert_eq!(index.named(Kind::Catalog, "елки"), Some(0));
        assert_eq!(index.named(Kind::Document, "елки"), None);
    }

    #[test]
    fn a_number_is_disputed_if_it_is_that_of_a_table_or_a_type() {
        let object = |kind, place: u128, number| Object {
            kind,
            uuid: Uuid::from_u128(place),
            written: None,
            name: format!("о{place}").into(),
            reference: None,
            alias: None,
            number: Some(number),
        };
        let mut objects = [
            object(Kind::Catalog, 1, 36),
            object(Kind::InformationRegister, 2, 36),
            object(Kind::CommonAttribute, 3, 36),
            object(Kind::Constant, 4, 40),
            object(Kind::Constant, 5, 40),
            object(Kind::Enumeration, 6, 50),
            object(Kind::Document, 7, 50),
            object(Kind::Task, 8, 60),
            object(Kind::Task, 8, 60),
        ];
        let disputed = settle(&mut objects);
        let numbers = objects.map(|object| object.number);
        let [a, b, c, d] = [36, 36, 36, 60].map(Some);
        assert_eq!(numbers, [a, b, c, None, None, None, None, d, d]);
        assert_eq!(disputed.len(), 4);
    }
}
