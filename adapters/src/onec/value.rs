//! Names that stand for values: values of enumerations and predefined items.

use uuid::Uuid;

use super::bracket::{Item, Tree};
use super::kind::{Kind, id};
use super::model::collection;

/// The mode from which on a predefined item has a uuid besides its identity.
pub(super) const MODE_OWN_UUID: u32 = 80_303;
const VALUES: Uuid = id("bee0a08c-07eb-40c0-8544-5c364c171465");
/// Most items of one file; they may hold one another.
const ITEMS_MAX: usize = 1_000_000;

/// The uuid that metadata writes in the order of 1C, in the order of the database.
pub(crate) fn database_form(uuid: Uuid) -> Uuid {
    Uuid::from_bytes_le(stored(uuid))
}

/// The bytes of a reference column.
fn stored(uuid: Uuid) -> [u8; 16] {
    let text = uuid.as_bytes();
    let order = [8, 9, 10, 11, 12, 13, 14, 15, 6, 7, 4, 5, 0, 1, 2, 3];
    order.map(|place: usize| text[place])
}

/// The bytes of a reference column in hexadecimal digits.
pub(super) fn hexadecimal(uuid: Uuid) -> String {
    Uuid::from_bytes(stored(uuid)).simple().to_string()
}

/// The values of an enumeration in their order.
pub(super) fn of_enumeration(tree: &Tree) -> Vec<(String, Uuid)> {
    collection(tree, VALUES)
        .filter_map(|item| {
            let head = item.path(&[0, 1]);
            let name = head.at(2).name()?.into_owned();
            Some((name, head.path(&[1, 2]).uuid()?))
        })
        .collect()
}

/// The ending of the file that holds a kind's predefined items.
pub(super) fn predefined_file(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Catalog => Some("1c"),
        Kind::Characteristic => Some("7"),
        Kind::Account => Some("9"),
        _ => None,
    }
}

/// The predefined items of such a file: `{v, {1, columns, {2, n, …pairs…, {1, k, row, …}, …}}}`, a row
/// `{2, id, n, v1 … vn, c [, {1, k, row, …}]}`. The name is the first text of a row.
pub(super) fn of_items(tree: &Tree) -> Vec<(String, Uuid)> {
    let list = tree.root().path(&[1, 2]);
    let columns = list.at(1).number().and_then(|n| usize::try_from(n).ok());
    let Some(first) = columns.and_then(|columns| columns.checked_mul(2)?.checked_add(2)) else {
        return Vec::new();
    };
    let mut items = Vec::new();
    let mut pending: Vec<Item<'_>> = vec![list.at(first)];
    while let Some(rows) = pending.pop() {
        for row in rows.items().skip(2) {
            if items.len() == ITEMS_MAX {
                return items;
            }
            let values = || row.items().skip(3);
            let name = values().find_map(|value| {
                let is_text = value.at(0).text().as_deref() == Some("S");
                value.at(1).name().filter(|_| is_text)
            });
            let uuid = row.path(&[3, 2, 1]).uuid().filter(|uuid| !uuid.is_nil());
            if let (Some(name), Some(uuid)) = (name, uuid) {
                items.push((name.into_owned(), uuid));
            }
            // children stand behind the values: a list whose items are rows, not the parts of a value
            let children = values().last().filter(|last| last.at(0).number().is_some());
            pending.extend(children);
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_two_forms() {
        let text = Uuid::try_parse("2bff0a0d-ca47-11ee-9d10-ec086ba0b1a1").unwrap();
        assert_eq!(hexadecimal(text), "9d10ec086ba0b1a111eeca472bff0a0d");
        let database = database_form(text).to_string();
        assert_eq!(database, "08ec109d-a06b-a1b1-11ee-ca472bff0a0d");
    }

    #[test]
    fn reads_predefined_items() {
        let row = |id: u8, uuid: &str, name: &str, rest: &str| {
            let reference = "{\"#\",ae135932-4f94-44df-92c1-c91f15a92848,{1,";
            format!(
                "{{2,{id},4,{reference}{uuid}}}}},{{\"B\",0}},{reference}{uuid}}}}},{{\"S\",\"{name}\"}}{rest}}}"
            )
        };
        let one = row(1, "11111111-0000-0000-0000-000000000001", "Услуга", ",0");
        let zero = "00000000-0000-0000-0000-000000000000";
        let top = row(0, zero, "Элементы", &format!(",1,{{1,1,{one}}}"));
        let text = format!("{{0,{{1,{{4}},{{2,4,0,0,1,1,2,2,3,3,{{1,1,{top}}},-1,1}}}}}}");
        let items = of_items(&Tree::parse(text).expect("the text is right"));
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].0, "Услуга");
        assert!(of_items(&Tree::parse("{0}".into()).unwrap()).is_empty());
    }
}
