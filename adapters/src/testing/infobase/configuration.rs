//! The files of an infobase: the configuration's own, those of its objects, and the numbers.

use uuid::Uuid;

use super::bracket::{Node, Places, bare, count, list, packed, plain, text};
use super::model::{Kind, Model, uid};
use super::objects::{head, object_file, predefined_ending, predefined_file};

/// A file of `Config` or `Params` as it lies there.
#[derive(Clone, Debug)]
pub struct StoredFile {
    /// Its name.
    pub name: String,
    /// Its bytes; most files are one part.
    pub parts: Vec<Vec<u8>>,
}

impl StoredFile {
    fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            parts: vec![bytes],
        }
    }
}

const GENERAL: [(&str, Option<Kind>); 6] = [
    ("37f2fa9a-b276-11d4-9435-004095e12fc7", None),
    (
        "15794563-ccec-41f6-a83c-ec5f7b9a5bc1",
        Some(Kind::CommonAttribute),
    ),
    ("0fffc09c-8f4c-47cc-b41c-8d5c5a221d79", None),
    (
        "857c4a91-e5f4-4fac-86ec-787626f1c108",
        Some(Kind::ExchangePlan),
    ),
    (
        "c045099e-13b9-4fb6-9d50-fca00202971e",
        Some(Kind::DefinedType),
    ),
    ("af547940-3268-434f-a3e7-e47d6d2638c3", None),
];

const OPERATIONS: [(&str, Option<Kind>); 9] = [
    ("4612bd75-71b7-4a5c-8cc5-2b0b65f9fa0d", None),
    ("0195e80c-b157-11d4-9435-004095e12fc7", Some(Kind::Constant)),
    ("061d872a-5787-460e-95ac-ed74ea3a3e84", Some(Kind::Document)),
    (
        "13134201-f60b-11d5-a3c7-0050bae0a776",
        Some(Kind::InformationRegister),
    ),
    ("bf845118-327b-4682-b5c6-285d2a0eb296", None),
    (
        "82a1b659-b220-4d94-a9bd-14d757b95a48",
        Some(Kind::Characteristics),
    ),
    (
        "b64d9a40-1642-11d6-a3c7-0050bae0a776",
        Some(Kind::AccumulationRegister),
    ),
    ("cf4abea6-37b2-11d4-940f-008048da11f9", Some(Kind::Catalog)),
    (
        "f6a80749-5ad7-400b-8519-39dc5dff2542",
        Some(Kind::Enumeration),
    ),
];

const ACCOUNTING: [(&str, Option<Kind>); 2] = [
    ("238e7e88-3c5f-48b2-8a3b-81ebbecb20ed", Some(Kind::Account)),
    (
        "2deed9b8-0056-4ffe-a473-c20a6c32a0bc",
        Some(Kind::AccountingRegister),
    ),
];

const PROCESSES: [(&str, Option<Kind>); 2] = [
    (
        "fcd3404e-1523-48ce-9bc0-ecdb822684a1",
        Some(Kind::BusinessProcess),
    ),
    ("3e63355c-1378-4953-be9b-1deb5fb6bec5", Some(Kind::Task)),
];

/// The name of the configuration's own file.
pub(super) fn root() -> Uuid {
    uid(&["configuration"])
}

/// The files of `Config`.
pub(super) fn config(model: &Model) -> Vec<StoredFile> {
    let mut files = vec![
        StoredFile::new("root", packed(&list![2, root(), Node::Nothing])),
        StoredFile::new(
            "version",
            plain(&list![list![216, 0, list![i64::from(model.mode), 0]]]),
        ),
        StoredFile::new(root().to_string(), packed(&configuration(model))),
        StoredFile::new("DynamicallyUpdated", vec![0xff, 0x00, 0x7b]),
    ];
    for (index, object) in model.objects.iter().enumerate() {
        let node = object_file(model, object);
        // A file is cut anywhere; some lie there as plain text; a module is nothing to read.
        let file = match index % 7 {
            3 => StoredFile::new(object.uuid.to_string(), plain(&node)),
            5 => {
                let bytes = packed(&node);
                let (head, rest) = bytes.split_at(bytes.len() / 3);
                let (middle, tail) = rest.split_at(1);
                StoredFile {
                    name: object.uuid.to_string(),
                    parts: [head, middle, tail].map(<[u8]>::to_vec).to_vec(),
                }
            }
            _ => StoredFile::new(object.uuid.to_string(), packed(&node)),
        };
        files.push(file);
        if !object.predefined.is_empty() {
            let name = format!("{}.{}", object.uuid, predefined_ending(object.kind));
            files.push(StoredFile::new(name, packed(&predefined_file(object))));
        }
        if index % 7 == 1 {
            let module = StoredFile::new(format!("{}.0", object.uuid), vec![0x7f; 64]);
            files.push(module);
        }
    }
    let versions = versions(model, &files);
    files.push(StoredFile::new("versions", packed(&versions)));
    files
}

/// The files of `Params`.
pub(super) fn params(model: &Model) -> Vec<StoredFile> {
    let version = uid(&["numbers", &model.seed.to_string()]);
    let plain_file = |name: &str, node: Node| StoredFile::new(name, plain(&node));
    vec![
        StoredFile::new("DBNames", packed(&names(model))),
        plain_file("DBNamesVersion", list![0, version]),
        plain_file("locale.inf", list![text("ru_RU"), 0, 0, text(""), -1]),
    ]
}

/// The text of the file of numbers.
pub(super) fn numbers(model: &Model) -> String {
    String::from_utf8(plain(&names(model))).expect("what is written is text")
}

/// The numbers of an extension's tables and columns, which are not those of the configuration.
pub(super) fn extension_names(model: &Model) -> StoredFile {
    let goods = model.object(Kind::Catalog, "Номенклатура").uuid;
    let entries = list![
        2,
        list![goods, text("Reference"), 1],
        list![uid(&["attribute", "extension"]), text("Fld"), 2],
    ];
    let name = format!("DBNames-Ext-{}", uid(&["extension"]));
    StoredFile::new(name, packed(&list![2, entries]))
}

/// Changes whenever a file does.
fn versions(model: &Model, files: &[StoredFile]) -> Node {
    let seed = model.seed.to_string();
    let mut items = vec![Node::from(1), count(files), text("")];
    items.push(uid(&["generation", &seed]).into());
    for file in files {
        items.push(text(&file.name));
        items.push(uid(&["generation", &seed, &file.name]).into());
    }
    Node::List(items)
}

fn names(model: &Model) -> Node {
    let own = [
        "Consts",
        "ConfigChngR",
        "SystemSettings",
        "UsersWorkHistory",
    ];
    let own = own.iter().zip(1..);
    let mut entries: Vec<Node> = own
        .map(|(token, number)| list![Uuid::nil(), text(token), number])
        .collect();
    let names = model.names();
    let highest = names.last().map_or(0, |(_, _, number)| *number);
    entries.extend(
        names
            .into_iter()
            .map(|(uuid, token, number)| list![uuid, text(token), i64::from(number)]),
    );
    entries.insert(0, count(&entries));
    list![i64::from(highest), Node::List(entries)]
}

fn collections(model: &Model, list: &[(&str, Option<Kind>)]) -> Vec<Node> {
    let mut items = vec![count(list)];
    items.extend(list.iter().map(|(class, kind)| {
        let mut members: Vec<Node> = match kind {
            Some(kind) => model.of(*kind).map(|object| object.uuid.into()).collect(),
            // Of other kinds; they have no file here.
            None => vec![uid(&["other", class]).into()],
        };
        members.insert(0, count(&members));
        members.insert(0, bare(class));
        Node::List(members)
    }));
    items
}

fn component(class: &str, body: Vec<Node>) -> Node {
    list![bare(class), Node::List(body)]
}

fn configuration(model: &Model) -> Node {
    let id = uid(&["configuration", "head"]);
    let comment = "скобки { } и, запятая;\r\nвторая \"строка\"";
    let head = head(
        id,
        "СкладИМагазин",
        "Склад и \"магазин\", {редакция 2}",
        comment,
    );
    let properties = Places::new(63, 60)
        .set(1, list![0, head])
        .set(14, text("Поставщик, \"{1}\""))
        .set(15, text("2.1.3"))
        .set(17, 1)
        .set(26, i64::from(model.mode));
    let mut general = vec![Node::from(1), Node::from(properties)];
    general.extend(collections(model, &GENERAL));
    let mut operations = vec![Node::from(1), list![list![1, 0, uid(&["operations"])]]];
    operations.extend(collections(model, &OPERATIONS));
    let operations = vec![Node::from(6), Node::List(operations)];
    let listed = |kinds: &[(&str, Option<Kind>)]| {
        let mut body = vec![Node::from(1), list![0]];
        body.extend(collections(model, kinds));
        body
    };
    // In an order of their own: components are found by uuid.
    let components = vec![
        component("9fcd25a0-4822-11d4-9414-008048da11f9", operations),
        component("e3687481-0a87-462c-a166-9f34594f9bba", listed(&ACCOUNTING)),
        component("51f2d5d8-ea4d-4064-8892-82951750031e", listed(&PROCESSES)),
        component("00000000-1111-2222-3333-444444444444", vec![Node::from(7)]),
        component("9cd510cd-abfc-11d4-9434-004095e12fc7", general),
    ];
    let mut file = vec![Node::from(2), list![root()], count(&components)];
    file.extend(components);
    file.push(list![list![0, text(""), text("")]]);
    Node::List(file)
}
