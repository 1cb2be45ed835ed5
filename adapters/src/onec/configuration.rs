//! From `root` to the list of objects.

use std::sync::Arc;

use uuid::Uuid;

use super::bracket::{Item, Tree};
use super::error::{MetadataError, shown};
use super::kind::{KINDS, Kind, id};

/// Components of a configuration file, and where in them the collections stand.
const COMPONENTS: [(Uuid, &[usize]); 4] = [
    (GENERAL, &[1]),
    (id("9fcd25a0-4822-11d4-9414-008048da11f9"), &[1, 1]),
    (id("e3687481-0a87-462c-a166-9f34594f9bba"), &[1]),
    (id("51f2d5d8-ea4d-4064-8892-82951750031e"), &[1]),
];
const GENERAL: Uuid = id("9cd510cd-abfc-11d4-9434-004095e12fc7");
/// What decides where the configuration does not say its mode; the real columns have the last word anyway.
const MODE_UNKNOWN: u32 = 80_313;

/// What the configuration file says.
#[derive(Debug)]
pub(super) struct Configuration {
    /// The compatibility mode: 80320 is 8.3.20.
    pub(super) mode: u32,
    /// The objects of the kinds that are known, in the order of kinds.
    pub(super) objects: Vec<(Kind, Uuid)>,
}

/// The name of the configuration file, which `root` holds.
///
/// # Errors
/// It is not there.
pub(super) fn file_of(root: &Tree, file: &Arc<str>) -> Result<Arc<str>, MetadataError> {
    let name = root.root().at(1).uuid();
    name.map(|name| name.to_string().into())
        .ok_or_else(|| MetadataError::Unexpected {
            file: Arc::clone(file),
            path: shown(&[1]),
            expected: "uuid of the configuration",
        })
}

impl Configuration {
    /// Reads the configuration file.
    ///
    /// # Errors
    /// It has none of the components.
    pub(super) fn read(tree: &Tree, file: &Arc<str>) -> Result<Self, MetadataError> {
        let mut mode = MODE_UNKNOWN;
        let mut lists: Vec<Item<'_>> = Vec::new();
        for component in tree.root().items().skip(3) {
            let Some(class) = component.at(0).uuid() else {
                continue;
            };
            if class == GENERAL
                && let Some(number) = component.path(&[1, 1, 26]).number()
            {
                mode = mode_of(number);
            }
            if let Some((_, path)) = COMPONENTS.iter().find(|(known, _)| *known == class) {
                lists.push(component.path(path));
            }
        }
        if !lists.iter().any(|list| list.is_list()) {
            return Err(MetadataError::Unexpected {
                file: Arc::clone(file),
                path: shown(&[3]),
                expected: "component of a configuration",
            });
        }
        let collections: Vec<Item<'_>> =
            lists.iter().flat_map(|list| list.items().skip(3)).collect();
        let mut objects = Vec::new();
        for facts in &KINDS {
            let of_kind = collections
                .iter()
                .filter(|collection| collection.at(0).uuid() == Some(facts.class));
            for collection in of_kind {
                let uuids = collection.items().skip(2).filter_map(Item::uuid);
                objects.extend(uuids.map(|uuid| (facts.kind, uuid)));
            }
        }
        Ok(Self { mode, objects })
    }
}

fn mode_of(number: i64) -> u32 {
    match number {
        0 => 80_216,
        1 => 80_100,
        2 => 80_213,
        number => u32::try_from(number).unwrap_or(MODE_UNKNOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_the_objects_of_known_kinds() {
        let text = "{2,{x},3,
            {9cd510cd-abfc-11d4-9434-004095e12fc7,{1,{63},2,
                {857c4a91-e5f4-4fac-86ec-787626f1c108,1,11111111-0000-0000-0000-000000000001},
                {99999999-0000-0000-0000-000000000000,1,11111111-0000-0000-0000-000000000009}}},
            {9fcd25a0-4822-11d4-9414-008048da11f9,{6,{1,{x},1,
                {cf4abea6-37b2-11d4-940f-008048da11f9,2,11111111-0000-0000-0000-000000000002,oops}}}},
            {fb282519-d103-4dd3-bc12-cb271d631dfc,{1}},{{0}}}";
        let tree = Tree::parse(text.into()).expect("the text is right");
        let read = Configuration::read(&tree, &"x".into()).expect("it is a configuration");
        let kinds: Vec<Kind> = read.objects.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [Kind::Publication, Kind::Catalog]);
        assert_eq!(read.mode, MODE_UNKNOWN);
        let other = Tree::parse("{2,{x},0}".into()).expect("the text is right");
        let error = Configuration::read(&other, &"x".into()).expect_err("nothing is there");
        assert_eq!(
            error.to_string(),
            "cannot read file \"x\": no component of a configuration at [3]"
        );
        assert_eq!((mode_of(0), mode_of(80_320)), (80_216, 80_320));
    }
}
