//! What an infobase is made of: objects, their attributes, types and rows, and the numbers that tables and columns have.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Enumeration,
    ExchangePlan,
    Characteristics,
    Catalog,
    Document,
    Account,
    Task,
    BusinessProcess,
    Constant,
    InformationRegister,
    AccumulationRegister,
    AccountingRegister,
    DefinedType,
    CommonAttribute,
}

impl Kind {
    /// The first word of a logical name.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Enumeration => "Перечисление",
            Kind::ExchangePlan => "ПланОбмена",
            Kind::Characteristics => "ПланВидовХарактеристик",
            Kind::Catalog => "Справочник",
            Kind::Document => "Документ",
            Kind::Account => "ПланСчетов",
            Kind::Task => "Задача",
            Kind::BusinessProcess => "БизнесПроцесс",
            Kind::Constant => "Константа",
            Kind::InformationRegister => "РегистрСведений",
            Kind::AccumulationRegister => "РегистрНакопления",
            Kind::AccountingRegister => "РегистрБухгалтерии",
            Kind::DefinedType => "ОпределяемыйТип",
            Kind::CommonAttribute => "ОбщийРеквизит",
        }
    }

    /// What names its tables; none for what has no table.
    pub(super) fn token(self) -> Option<&'static str> {
        match self {
            Kind::Enumeration => Some("Enum"),
            Kind::ExchangePlan => Some("Node"),
            Kind::Characteristics => Some("Chrc"),
            Kind::Catalog => Some("Reference"),
            Kind::Document => Some("Document"),
            Kind::Account => Some("Acc"),
            Kind::Task => Some("Task"),
            Kind::BusinessProcess => Some("BPr"),
            Kind::Constant => Some("Const"),
            Kind::InformationRegister => Some("InfoRg"),
            Kind::AccumulationRegister => Some("AccumRg"),
            Kind::AccountingRegister => Some("AccRg"),
            Kind::DefinedType | Kind::CommonAttribute => None,
        }
    }

    /// True if references to it exist.
    pub(super) fn is_reference(self) -> bool {
        self <= Kind::BusinessProcess
    }
}

/// One of the types that a value may have.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Boolean,
    /// Digits, digits after the point.
    Number(u32, u32),
    Date,
    /// The date alone; stored like `Date`.
    Day,
    Text,
    TextOf(u32),
    FixedText(u32),
    Storage,
    Uuid,
    To(Kind, &'static str),
    /// Any object of a kind, or of all kinds that have references.
    Any(Option<Kind>),
    Defined(&'static str),
    Characteristics(&'static str),
}

/// Where an attribute of a hierarchical catalog is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Usage {
    Items,
    Folders,
    Both,
}

/// An attribute, dimension or resource.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    pub(super) name: &'static str,
    pub(super) types: Vec<Part>,
    pub(super) usage: Usage,
    /// A dimension by which changes are registered.
    pub(super) main_filter: bool,
    /// With correspondence it stands once, for both sides of a record.
    pub(super) balance: bool,
    pub(super) uuid: Uuid,
}

impl Attribute {
    pub(super) fn new(name: &'static str, types: &[Part]) -> Self {
        Self {
            name,
            types: types.to_vec(),
            usage: Usage::Items,
            main_filter: true,
            balance: true,
            uuid: Uuid::nil(),
        }
    }

    pub(super) fn everywhere(name: &'static str, types: &[Part]) -> Self {
        Self {
            usage: Usage::Both,
            ..Self::new(name, types)
        }
    }
}

/// A tabular section.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) attributes: Vec<Attribute>,
    pub(super) rows: Vec<Row>,
    pub(super) uuid: Uuid,
}

/// The values of some properties; the others hold the empty value.
pub(super) type Row = Vec<(&'static str, Value)>;

/// A value of a property.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Boolean(bool),
    /// As written.
    Number(&'static str),
    /// `YYYY-MM-DD hh:mm:ss`
    Date(&'static str),
    Text(&'static str),
    Bytes(Vec<u8>),
    /// A uuid in the form of 1C.
    Uuid(Uuid),
    /// An object and its uuid in the form of 1C.
    To(Kind, &'static str, Uuid),
}

/// How the objects of a catalog are arranged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Hierarchy {
    #[default]
    Flat,
    Items,
    Folders,
}

/// How a common attribute is used.
#[derive(Clone, Debug, Default)]
pub(super) struct CommonUse {
    pub(super) separates: bool,
    pub(super) automatic: bool,
    /// Objects for which it is said, and whether they use it.
    pub(super) said: Vec<(Kind, &'static str, bool)>,
}

/// An object of metadata. What its kind has no use for stays empty.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) synonym: &'static str,
    pub(super) comment: &'static str,
    pub(super) uuid: Uuid,
    pub(super) attributes: Vec<Attribute>,
    pub(super) dimensions: Vec<Attribute>,
    pub(super) resources: Vec<Attribute>,
    /// What stands behind the attributes: accounting flags, addressing attributes.
    pub(super) more: Vec<Attribute>,
    /// Flags of the analytics of accounts.
    pub(super) analytic_flags: Vec<Attribute>,
    pub(super) sections: Vec<Section>,
    /// Length of the code or number; 0 for none.
    pub(super) code: u32,
    pub(super) code_is_number: bool,
    pub(super) description: u32,
    pub(super) hierarchy: Hierarchy,
    pub(super) owners: Vec<(Kind, &'static str)>,
    /// Registers that a document writes to.
    pub(super) registers: Vec<(Kind, &'static str)>,
    /// Numbers are unique within a period.
    pub(super) number_period: bool,
    /// 0 for none, 6 for that of the recorder.
    pub(super) periodicity: u32,
    pub(super) turnovers: bool,
    /// The chart of an accounting register's accounts, that of the kinds of analytics of accounts, the task of a process.
    pub(super) chart: &'static str,
    /// How many analytics an account has.
    pub(super) analytics: u32,
    /// Length of the order of accounts; 0 for none.
    pub(super) order: u32,
    /// Records of a register of accounts have two sides.
    pub(super) correspondence: bool,
    /// The type of a constant, a defined type, a common attribute, of the values of characteristics.
    pub(super) value: Vec<Part>,
    /// Names, codes and descriptions of items that the metadata knows.
    pub(super) predefined: Vec<[&'static str; 3]>,
    /// Names and synonyms of an enumeration.
    pub(super) values: Vec<(&'static str, &'static str)>,
    pub(super) common: CommonUse,
    /// An exchange plan registers its changes.
    pub(super) tracked: bool,
    /// Tokens of dependent tables.
    pub(super) tables: Vec<&'static str>,
    pub(super) rows: Vec<Row>,
    pub(super) change_rows: Vec<Row>,
}

impl Object {
    pub(super) fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            synonym: "",
            comment: "",
            uuid: Uuid::nil(),
            attributes: Vec::new(),
            dimensions: Vec::new(),
            resources: Vec::new(),
            more: Vec::new(),
            analytic_flags: Vec::new(),
            sections: Vec::new(),
            code: 9,
            code_is_number: false,
            description: 50,
            hierarchy: Hierarchy::Flat,
            owners: Vec::new(),
            registers: Vec::new(),
            number_period: false,
            periodicity: 0,
            turnovers: false,
            chart: "",
            analytics: 0,
            order: 0,
            correspondence: false,
            value: Vec::new(),
            predefined: Vec::new(),
            values: Vec::new(),
            common: CommonUse::default(),
            tracked: false,
            tables: Vec::new(),
            rows: Vec::new(),
            change_rows: Vec::new(),
        }
    }

    /// `Справочник.Номенклатура`
    pub(super) fn full_name(&self) -> String {
        format!("{}.{}", self.kind.word(), self.name)
    }

    /// The uuid by which types mean references to it.
    pub(super) fn reference(&self) -> Uuid {
        uid(&["reference", &self.full_name()])
    }

    /// The uuid by which types mean the values of characteristics.
    pub(super) fn characteristic(&self) -> Uuid {
        uid(&["characteristic", &self.full_name()])
    }

    /// The uuid of an enumeration's value.
    pub(super) fn value_uuid(&self, value: &str) -> Uuid {
        uid(&["value", &self.full_name(), value])
    }

    /// The uuid by which the metadata knows an item.
    pub(super) fn predefined_uuid(&self, item: &str) -> Uuid {
        uid(&["predefined", &self.full_name(), item])
    }

    /// Dimensions, resources, attributes and what stands behind them, in the order of the columns.
    pub(super) fn fields(&self) -> impl Iterator<Item = &Attribute> {
        self.dimensions
            .iter()
            .chain(&self.resources)
            .chain(&self.attributes)
            .chain(&self.more)
    }

    /// The token of its table of changes.
    pub(super) fn changes_token(&self) -> Option<String> {
        let token = self.kind.token().filter(|_| self.tracked)?;
        Some(format!("{token}ChngR"))
    }
}

/// Objects, and the numbers of their tables and columns.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) objects: Vec<Object>,
    by_name: BTreeMap<(Kind, String), usize>,
    /// uuid and token: number.
    numbers: BTreeMap<(Uuid, String), u32>,
    pub(super) seed: u64,
    /// The compatibility mode: 80320 is 8.3.20.
    pub(super) mode: u32,
}

impl Model {
    /// Names everything by uuids and gives everything a number drawn from the seed.
    pub(super) fn new(mut objects: Vec<Object>, seed: u64) -> Self {
        let mut by_name = BTreeMap::new();
        for (index, object) in objects.iter_mut().enumerate() {
            by_name.insert((object.kind, object.name.clone()), index);
            let name = object.full_name();
            object.uuid = uid(&["object", &name]);
            let fields = [
                &mut object.attributes,
                &mut object.dimensions,
                &mut object.resources,
                &mut object.more,
                &mut object.analytic_flags,
            ];
            for attribute in fields.into_iter().flatten() {
                attribute.uuid = uid(&["attribute", &name, attribute.name]);
            }
            for section in &mut object.sections {
                section.uuid = uid(&["section", &name, section.name]);
                for attribute in &mut section.attributes {
                    attribute.uuid = uid(&["attribute", &name, section.name, attribute.name]);
                }
            }
        }
        let numbers = draw(&objects, seed);
        Self {
            objects,
            by_name,
            numbers,
            seed,
            mode: 80_320,
        }
    }

    /// The object of this kind and name.
    pub(super) fn object(&self, kind: Kind, name: &str) -> &Object {
        let index = self.by_name.get(&(kind, name.to_owned()));
        &self.objects[*index.unwrap_or_else(|| panic!("there is no {} \"{name}\"", kind.word()))]
    }

    /// The objects of a kind, in order.
    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.objects
            .iter()
            .filter(move |object| object.kind == kind)
    }

    /// The documents that write to a register.
    pub(super) fn recorders(&self, register: &Object) -> Vec<&Object> {
        let writes = |document: &&Object| {
            document
                .registers
                .iter()
                .any(|(kind, name)| *kind == register.kind && *name == register.name)
        };
        self.of(Kind::Document).filter(writes).collect()
    }

    /// The common attributes that an object uses.
    pub(super) fn commons(&self, object: &Object) -> Vec<&Object> {
        if object.kind == Kind::Enumeration || object.kind.token().is_none() {
            return Vec::new();
        }
        let uses = |common: &&Object| {
            let said = common
                .common
                .said
                .iter()
                .find(|(kind, name, _)| *kind == object.kind && *name == object.name);
            said.map_or(common.common.automatic, |(_, _, used)| *used)
        };
        self.of(Kind::CommonAttribute).filter(uses).collect()
    }

    /// The number of a table or column.
    pub(super) fn number(&self, uuid: Uuid, token: &str) -> u32 {
        self.numbers[&(uuid, token.to_owned())]
    }

    /// The main number of an object: that of its table, and the type code of references to it.
    pub(super) fn code(&self, object: &Object) -> u32 {
        let token = object.kind.token().unwrap_or("Fld");
        self.number(object.uuid, token)
    }

    /// uuid, token and number of everything that has a number, in the order of the numbers.
    pub(super) fn names(&self) -> Vec<(Uuid, &str, u32)> {
        let all = self.numbers.iter();
        let mut names: Vec<_> = all.map(|((u, t), n)| (*u, t.as_str(), *n)).collect();
        names.sort_by_key(|(_, _, number)| *number);
        names
    }
}

/// A uuid that only depends on its name.
pub(super) fn uid(name: &[&str]) -> Uuid {
    let mut high = 0xcbf2_9ce4_8422_2325_u64;
    let mut low = 0x6c62_272e_07bb_0142_u64;
    for byte in name
        .iter()
        .flat_map(|part| part.bytes().chain(std::iter::once(0)))
    {
        high = (high ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        low = (low.rotate_left(7) ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    uuid::Builder::from_random_bytes(
        (u128::from(mix(high)) << 64 | u128::from(mix(low))).to_be_bytes(),
    )
    .into_uuid()
}

fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Entries of objects that are long deleted, and one of a token that no reader needs to know.
fn stale(objects: &[Object]) -> Vec<(Uuid, &'static str)> {
    let mut stale = vec![
        (uid(&["deleted"]), "Reference"),
        (uid(&["deleted"]), "ReferenceChngR"),
        (uid(&["deleted", "attribute"]), "Fld"),
    ];
    let catalog = objects.iter().find(|object| object.kind == Kind::Catalog);
    stale.extend(catalog.map(|catalog| (catalog.uuid, "RefSInf")));
    stale
}

fn draw(objects: &[Object], seed: u64) -> BTreeMap<(Uuid, String), u32> {
    let mut wanted: Vec<(Uuid, String)> = Vec::new();
    for object in objects {
        let mut want = |uuid: Uuid, token: &str| wanted.push((uuid, token.to_owned()));
        if let Some(token) = object.kind.token() {
            want(object.uuid, token);
        }
        if matches!(object.kind, Kind::Constant | Kind::CommonAttribute) {
            want(object.uuid, "Fld");
        }
        let flags = object.analytic_flags.iter();
        let fields = object.fields().chain(flags);
        fields.for_each(|field| want(field.uuid, "Fld"));
        if object.kind == Kind::BusinessProcess {
            want(object.uuid, "BPrPoints");
        }
        for section in &object.sections {
            want(section.uuid, "VT");
            want(section.uuid, "LineNo");
            section
                .attributes
                .iter()
                .for_each(|field| want(field.uuid, "Fld"));
        }
        object
            .tables
            .iter()
            .for_each(|token| want(object.uuid, token));
        if let Some(token) = object.changes_token() {
            want(object.uuid, &token);
        }
    }
    wanted.extend(stale(objects).into_iter().map(|(u, t)| (u, t.to_owned())));
    let range = 10_000 + 20 * wanted.len() as u64;
    let (mut state, mut used) = (seed, BTreeSet::new());
    wanted
        .into_iter()
        .map(|key| {
            loop {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let number = 40 + (mix(state) % range) as u32;
                if used.insert(number) {
                    return (key, number);
                }
            }
        })
        .collect()
}
