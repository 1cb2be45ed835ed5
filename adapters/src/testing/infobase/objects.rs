//! The metadata file of one object.

use uuid::Uuid;

use super::bracket::{Node, Places, bare, count, list, text};
use super::model::{Attribute, Hierarchy, Kind, Model, Object, Part, Usage, uid};

const OBJECT_REFERENCE: &str = "157fa490-4ce9-11d4-9415-008048da11f9";
const SECTION_ATTRIBUTES: &str = "888744e1-b616-11d4-9436-004095e12fc7";

/// Name, synonym and comment of what has a name.
pub(super) fn head(uuid: Uuid, name: &str, synonym: &str, comment: &str) -> Node {
    let synonym = match synonym {
        "" => list![0],
        synonym => list![
            2,
            text("ru"),
            text(synonym),
            text("en"),
            text("Synonym, {en}")
        ],
    };
    let id = list![1, 0, uuid];
    list![
        3,
        id,
        text(name),
        synonym,
        text(comment),
        0,
        0,
        Uuid::nil(),
        0
    ]
}

fn object_head(object: &Object) -> Node {
    head(object.uuid, &object.name, object.synonym, object.comment)
}

/// The type description.
pub(super) fn pattern(model: &Model, types: &[Part]) -> Node {
    let mut parts = vec![text("Pattern")];
    let known = |uuid: &str| list![text("#"), bare(uuid)];
    parts.extend(types.iter().map(|part| match *part {
        Part::Boolean => list![text("B")],
        Part::Number(digits, scale) => list![text("N"), i64::from(digits), i64::from(scale), 1],
        Part::Date => list![text("D")],
        Part::Day => list![text("D"), text("D")],
        Part::Text => list![text("S")],
        Part::TextOf(length) => list![text("S"), i64::from(length), 1],
        Part::FixedText(length) => list![text("S"), i64::from(length), 0],
        Part::Storage => known("e199ca70-93cf-46ce-a54b-6edc88c3a296"),
        Part::Uuid => known("fc01b5df-97fe-449b-83d4-218a090e681e"),
        Part::To(kind, name) => list![text("#"), model.object(kind, name).reference()],
        Part::Any(kind) => known(general(kind)),
        Part::Defined(name) => {
            list![text("#"), model.object(Kind::DefinedType, name).reference()]
        }
        Part::Characteristics(name) => {
            let chart = model.object(Kind::Characteristics, name);
            list![text("#"), chart.characteristic()]
        }
    }));
    Node::List(parts)
}

/// The uuid that means any object of a kind.
fn general(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::Catalog) => "e61ef7b8-f3e1-4f4b-8ac7-676e90524997",
        Some(Kind::Document) => "38bfd075-3e63-4aaa-a93e-94521380d579",
        Some(Kind::Enumeration) => "474c3bf6-08b5-4ddc-a2ad-989cedf11583",
        Some(Kind::ExchangePlan) => "0a52f9de-73ea-4507-81e8-66217bead73a",
        Some(Kind::Characteristics) => "99892482-ed55-4fb5-a7f7-20888820a758",
        Some(Kind::Account) => "ac606d60-0209-4159-8e4c-794bc091ce38",
        Some(Kind::Task) => "6291e9b3-8df5-44e1-b6b2-d9fe008016c0",
        Some(Kind::BusinessProcess) => "214fa4d8-6ba4-4748-a5e1-6332b5887780",
        _ => "280f5f0e-9c8a-49cc-bf6d-4d296cc17a63",
    }
}

/// An attribute without what its kind of object adds.
fn attribute_body(model: &Model, head: Node, types: &[Part]) -> Node {
    let mut items = vec![
        Node::from(27),
        list![2, head, pattern(model, types)],
        Node::from(0),
        list![0],
        list![0],
        Node::from(0),
        text(""),
        list![text("U")],
        Node::from(Uuid::nil()),
        Node::from(2),
        list![5006, 0],
        list![3, 0, 0],
    ];
    items.extend((0..8).map(|_| Node::from(0)));
    Node::List(items)
}

/// A collection of attributes; `flags` follow the body of each.
fn attributes(
    model: &Model,
    class: &str,
    attributes: &[Attribute],
    version: i64,
    flags: impl Fn(&Attribute) -> Vec<i64>,
) -> Node {
    let mut items = vec![bare(class), count(attributes)];
    items.extend(attributes.iter().map(|attribute| {
        let head = head(attribute.uuid, attribute.name, "", "");
        let mut inner = vec![
            Node::from(version),
            attribute_body(model, head, &attribute.types),
        ];
        inner.extend(flags(attribute).into_iter().map(Node::from));
        list![Node::List(inner), 0]
    }));
    Node::List(items)
}

fn sections(model: &Model, class: &str, object: &Object) -> Node {
    let mut items = vec![bare(class), count(&object.sections)];
    items.extend(object.sections.iter().map(|section| {
        let id = |n: &str| uid(&["part", &section.uuid.to_string(), n]);
        let head = list![0, head(section.uuid, section.name, "Строки \"особые\"", "")];
        let body = list![
            11,
            id("1"),
            id("2"),
            id("3"),
            id("4"),
            head,
            0,
            list![0],
            list![0]
        ];
        let inner = attributes(model, SECTION_ATTRIBUTES, &section.attributes, 8, |_| {
            vec![0, 1, 1]
        });
        list![list![1, body], 1, inner]
    }));
    Node::List(items)
}

/// A list of other objects: owners, registers.
fn others(model: &Model, names: &[(Kind, &'static str)]) -> Node {
    let mut items = vec![Node::from(0), count(names)];
    items.extend(names.iter().map(|(kind, name)| {
        let uuid = model.object(*kind, name).uuid;
        list![text("#"), bare(OBJECT_REFERENCE), list![1, uuid]]
    }));
    Node::List(items)
}

fn file(body: impl Into<Node>, collections: Vec<Node>) -> Node {
    let mut items = vec![Node::from(1), body.into(), count(&collections)];
    items.extend(collections);
    Node::List(items)
}

/// A collection of what no reader of tables needs.
fn nothing(class: &str) -> Node {
    list![bare(class), 0]
}

const FORMS: &str = "3daea016-69b7-4ed4-9453-127911372fe6";

/// The uuid by which an exchange plan knows the node that the infobase itself is.
pub(super) fn this_node(plan: &Object) -> Uuid {
    uid(&["this node", &plan.full_name()])
}

/// The metadata file of an object.
pub(super) fn object_file(model: &Model, object: &Object) -> Node {
    match object.kind {
        Kind::Catalog => catalog(model, object),
        Kind::Document => document(model, object),
        Kind::Enumeration => enumeration(object),
        Kind::ExchangePlan => exchange_plan(model, object),
        Kind::Characteristics => characteristics(model, object),
        Kind::Constant => constant(model, object),
        Kind::InformationRegister => information_register(model, object),
        Kind::AccumulationRegister => accumulation_register(model, object),
        Kind::DefinedType => {
            let value = pattern(model, &object.value);
            let id = uid(&["part", &object.full_name()]);
            let body = list![0, object.reference(), id, object_head(object), value];
            file(body, Vec::new())
        }
        Kind::CommonAttribute => common_attribute(model, object),
        Kind::Account => account(model, object),
        Kind::AccountingRegister => accounting_register(model, object),
        Kind::Task => task(model, object),
        Kind::BusinessProcess => business_process(model, object),
    }
}

fn usage(attribute: &Attribute) -> Vec<i64> {
    let usage = match attribute.usage {
        Usage::Items => 0,
        Usage::Folders => 1,
        Usage::Both => 2,
    };
    vec![0, usage, 1, 1]
}

fn catalog(model: &Model, object: &Object) -> Node {
    let body = Places::new(56, 60)
        .set(3, object.reference())
        .set(9, list![0, object_head(object)])
        .set(12, others(model, &object.owners))
        .set(17, i64::from(object.code))
        .set(18, i64::from(!object.code_is_number))
        .set(19, i64::from(object.description))
        .set(36, i64::from(object.hierarchy == Hierarchy::Items))
        .set(37, i64::from(object.hierarchy != Hierarchy::Flat));
    let class = "cf4abea7-37b2-11d4-940f-008048da11f9";
    file(
        body,
        vec![
            nothing(FORMS),
            nothing("4fe87c89-9ad4-43f6-9fdb-9dc83b3879c6"),
            sections(model, "932159f9-95b2-4e76-a8dd-8849fe5c5ded", object),
            attributes(model, class, &object.attributes, 5, usage),
            nothing("fdf816d2-1ead-11d5-b975-0050bae0a95d"),
        ],
    )
}

/// The ending of the file of an object's predefined items.
pub(super) fn predefined_ending(kind: Kind) -> &'static str {
    match kind {
        Kind::Characteristics => "7",
        Kind::Account => "9",
        _ => "1c",
    }
}

/// The file of the items of an object that the metadata knows: a table of six columns, a tree of rows. A chart tells the
/// type of a value where a catalog tells the parent.
pub(super) fn predefined_file(object: &Object) -> Node {
    let kind = "ae135932-4f94-44df-92c1-c91f15a92848";
    let reference = |uuid: Uuid| list![text("#"), bare(kind), list![1, uuid]];
    let row = |id: i64, uuid: Uuid, folder: i64, [name, code, description]: [&str; 3]| {
        let texts = [name, code, description].map(|value| list![text("S"), text(value)]);
        let mut row = vec![2.into(), id.into(), 6.into(), reference(uuid)];
        row.push(list![text("B"), folder]);
        if object.kind == Kind::Characteristics {
            row.extend(texts);
            row.push(list![text("Pattern"), list![text("B")]]);
        } else {
            row.push(reference(Uuid::nil()));
            row.extend(texts);
        }
        row
    };
    let items = object.predefined.iter().zip(1..).map(|(item, id)| {
        let mut row = row(id, object.predefined_uuid(item[0]), 0, *item);
        row.push(0.into());
        Node::List(row)
    });
    let mut children = vec![1.into(), count(&object.predefined)];
    children.extend(items);
    let mut root = row(0, Uuid::nil(), 1, ["Элементы", "", ""]);
    root.extend([1.into(), Node::List(children)]);
    let types = ["#", "B", "#", "S", "S", "S"];
    let mut columns = vec![Node::from(6)];
    columns.extend(types.iter().zip(0..).map(|(of, number)| {
        let pattern = list![text("Pattern"), list![text(of), bare(kind)]];
        list![number, text(""), pattern, text(""), 0]
    }));
    let mut rows = vec![2.into(), 6.into()];
    rows.extend((0..6).flat_map(|number| [Node::from(number), Node::from(number)]));
    rows.extend([list![1, 1, Node::List(root)], Node::from(-1), 1.into()]);
    list![0, list![1, Node::List(columns), Node::List(rows)]]
}

fn document(model: &Model, object: &Object) -> Node {
    let body = Places::new(40, 52)
        .set(3, object.reference())
        .set(9, list![0, object_head(object)])
        .set(11, i64::from(!object.code_is_number))
        .set(12, i64::from(object.code))
        .set(13, i64::from(object.number_period))
        .set(24, others(model, &object.registers));
    let class = "45e46cbc-3e24-4165-8b7b-cc98a6f80211";
    file(
        body,
        vec![
            sections(model, "21c53e09-8950-4b5e-a6a0-1054f1bbc274", object),
            nothing(FORMS),
            attributes(model, class, &object.attributes, 5, |_| vec![0, 1, 1]),
            nothing("b544fc6a-2ba3-4885-8fb2-cb289fb6d65e"),
        ],
    )
}

fn enumeration(object: &Object) -> Node {
    let body = Places::new(20, 22)
        .set(1, object.reference())
        .set(5, list![0, object_head(object)]);
    let mut values = vec![
        bare("bee0a08c-07eb-40c0-8544-5c364c171465"),
        count(&object.values),
    ];
    values.extend(object.values.iter().map(|(name, synonym)| {
        let head = head(object.value_uuid(name), name, synonym, "");
        list![list![0, head], 0]
    }));
    file(
        body,
        vec![
            nothing("33f2e54b-37ce-4a7a-a569-b648d7aa4634"),
            nothing(FORMS),
            nothing("6d8d73a7-ba29-401d-9032-3872ec2d6433"),
            Node::List(values),
        ],
    )
}

fn exchange_plan(model: &Model, object: &Object) -> Node {
    let body = Places::new(35, 48)
        .set(3, object.reference())
        .set(11, this_node(object))
        .set(12, object_head(object))
        .set(15, i64::from(object.code))
        .set(17, i64::from(object.description))
        .set(26, 1);
    let class = "1a1b4fea-e093-470d-94ff-1d2f16cda2ab";
    file(
        body,
        vec![
            attributes(model, class, &object.attributes, 3, |_| vec![0, 1, 1]),
            nothing(FORMS),
            sections(model, "52293f4b-f98c-43ea-a80f-41047ae7ab58", object),
        ],
    )
}

fn characteristics(model: &Model, object: &Object) -> Node {
    let body = Places::new(34, 50)
        .set(3, object.reference())
        .set(9, object.characteristic())
        .set(13, list![0, object_head(object)])
        .set(18, pattern(model, &object.value))
        .set(19, i64::from(object.hierarchy != Hierarchy::Flat))
        .set(21, i64::from(object.code))
        .set(23, i64::from(object.description));
    let class = "31182525-9346-4595-81f8-6f91a72ebe06";
    file(
        body,
        vec![
            attributes(model, class, &object.attributes, 5, usage),
            nothing(FORMS),
            sections(model, "54e36536-7863-42fd-bea3-c5edd3122fdc", object),
        ],
    )
}

fn constant(model: &Model, object: &Object) -> Node {
    let attribute = attribute_body(model, object_head(object), &object.value);
    file(Places::new(16, 18).set(1, attribute), Vec::new())
}

fn information_register(model: &Model, object: &Object) -> Node {
    let has = |token| i64::from(object.tables.contains(&token));
    let body = Places::new(33, 40)
        .set(15, list![0, object_head(object)])
        .set(18, i64::from(object.periodicity))
        .set(19, i64::from(!model.recorders(object).is_empty()))
        .set(23, 1)
        .set(34, has("InfoRgSL"))
        .set(35, has("InfoRgSF"));
    let dimension = |attribute: &Attribute| vec![0, 0, 0, i64::from(attribute.main_filter), 1, 1];
    let (resources, dimensions, others) = (
        "13134202-f60b-11d5-a3c7-0050bae0a776",
        "13134203-f60b-11d5-a3c7-0050bae0a776",
        "a2207540-1400-11d6-a3c7-0050bae0a776",
    );
    file(
        body,
        vec![
            attributes(model, resources, &object.resources, 7, |_| vec![0, 1, 1]),
            attributes(model, dimensions, &object.dimensions, 9, dimension),
            nothing("13134204-f60b-11d5-a3c7-0050bae0a776"),
            nothing(FORMS),
            attributes(model, others, &object.attributes, 5, |_| vec![0, 1, 1]),
        ],
    )
}

fn accumulation_register(model: &Model, object: &Object) -> Node {
    let body = Places::new(28, 30)
        .set(13, list![0, object_head(object)])
        .set(15, i64::from(object.turnovers))
        .set(20, 1);
    let dimension = |attribute: &Attribute| vec![0, 0, 1, i64::from(attribute.main_filter)];
    let (resources, dimensions, others) = (
        "b64d9a41-1642-11d6-a3c7-0050bae0a776",
        "b64d9a43-1642-11d6-a3c7-0050bae0a776",
        "b64d9a42-1642-11d6-a3c7-0050bae0a776",
    );
    file(
        body,
        vec![
            nothing(FORMS),
            nothing("99f328af-a77f-4572-a2d8-80ed20c81890"),
            attributes(model, resources, &object.resources, 5, |_| vec![1]),
            attributes(model, others, &object.attributes, 4, |_| vec![0, 1]),
            attributes(model, dimensions, &object.dimensions, 8, dimension),
        ],
    )
}

fn common_attribute(model: &Model, object: &Object) -> Node {
    let attribute = attribute_body(model, object_head(object), &object.value);
    let said = &object.common.said;
    let mut used = vec![Node::from(3), count(said)];
    for (kind, name, uses) in said {
        used.push(model.object(*kind, name).uuid.into());
        used.push(list![2, if *uses { 1 } else { 2 }, Uuid::nil()]);
    }
    let body = Places::new(5, 15)
        .set(1, attribute)
        .set(2, Node::List(used))
        .set(5, i64::from(!object.common.separates))
        .set(6, i64::from(!object.common.automatic))
        .set(12, 0);
    file(body, Vec::new())
}

fn account(model: &Model, object: &Object) -> Node {
    let chart = model.object(Kind::Characteristics, object.chart);
    let body = Places::new(36, 52)
        .set(3, object.reference())
        .set(15, list![0, object_head(object)])
        .set(19, chart.uuid)
        .set(20, i64::from(object.analytics))
        .set(21, text("@@@.@@"))
        .set(22, i64::from(object.code))
        .set(23, i64::from(object.description))
        .set(24, i64::from(object.order > 0))
        .set(25, i64::from(object.order));
    let (others, flags, of_analytics) = (
        "6e65cbf5-daa8-4d8d-bef8-59723f4e5777",
        "78bd1243-c4df-46c3-8138-e147465cb9a4",
        "c70ca527-5042-4cad-a315-dcb4007e32a3",
    );
    file(
        body,
        vec![
            nothing(FORMS),
            nothing("0df30176-6865-4787-9fc8-609eb144174f"),
            sections(model, "4c7fec95-d1bd-4508-8a01-f1db090d9af8", object),
            attributes(model, others, &object.attributes, 5, |_| vec![0, 1, 1]),
            attributes(model, flags, &object.more, 3, |_| vec![0]),
            attributes(model, of_analytics, &object.analytic_flags, 3, |_| vec![0]),
        ],
    )
}

fn accounting_register(model: &Model, object: &Object) -> Node {
    let accounts = model.object(Kind::Account, object.chart);
    let body = Places::new(24, 30)
        .set(15, list![0, object_head(object)])
        .set(18, accounts.uuid)
        .set(20, i64::from(object.correspondence))
        .set(23, 1);
    // Of the balance or not; which flags of the accounts say that it is kept.
    let field = |class: &str, fields: &[Attribute]| {
        let mut items = vec![bare(class), count(fields)];
        items.extend(fields.iter().map(|field| {
            let flag = match field.balance {
                true => Uuid::nil(),
                false => accounts.more[0].uuid,
            };
            let head = head(field.uuid, field.name, "", "");
            let body = attribute_body(model, head, &field.types);
            let balance = i64::from(field.balance);
            list![list![7, body, balance, flag, Uuid::nil(), 0], 0]
        }));
        Node::List(items)
    };
    let others = "9d28ee33-9c7e-4a1b-8f13-50aa9b36607b";
    file(
        body,
        vec![
            field("35b63b9d-0adf-4625-a047-10ae874c19a3", &object.dimensions),
            nothing(FORMS),
            field("63405499-7491-4ce3-ac72-43433cbe4112", &object.resources),
            nothing("d3b5d6eb-4ea2-4610-a3e1-624d4e815934"),
            attributes(model, others, &object.attributes, 4, |_| vec![0, 1]),
        ],
    )
}

fn task(model: &Model, object: &Object) -> Node {
    let body = Places::new(33, 48)
        .set(1, object_head(object))
        .set(5, object.reference())
        .set(18, i64::from(!object.code_is_number))
        .set(19, i64::from(object.code))
        .set(22, i64::from(object.description));
    let (others, addressing) = (
        "8ddfb495-c5fc-46b9-bdc5-bcf58341bff0",
        "e97c0570-251c-4566-b0f1-10686820f143",
    );
    file(
        body,
        vec![
            nothing(FORMS),
            nothing("3f7c65d9-2a3f-4c95-9a5b-9a2f5c3b6e01"),
            attributes(model, others, &object.attributes, 5, |_| vec![0, 1, 1]),
            attributes(model, addressing, &object.more, 5, |_| vec![0, 1, 1]),
            sections(model, "ee865d4b-a458-48a0-b38f-5a26898feeb0", object),
        ],
    )
}

fn business_process(model: &Model, object: &Object) -> Node {
    let body = Places::new(30, 44)
        .set(1, object_head(object))
        .set(5, object.reference())
        .set(16, i64::from(!object.code_is_number))
        .set(17, i64::from(object.number_period))
        .set(18, i64::from(object.code))
        .set(25, model.object(Kind::Task, object.chart).uuid);
    let others = "87c988de-ecbf-413b-87b0-b9516df05e28";
    file(
        body,
        vec![
            nothing(FORMS),
            nothing("3f7c65d9-2a3f-4c95-9a5b-9a2f5c3b6e02"),
            attributes(model, others, &object.attributes, 5, |_| vec![0, 1, 1]),
            sections(model, "a3fe6537-d787-40f7-8a06-419d2f0c1cfd", object),
        ],
    )
}
