//! The main tables of objects and their tabular sections, column by column, in physical order.

use uuid::Uuid;

use super::bracket::{Item, Tree};
use super::derived::{Derived, Property, fixed};
use super::index::{Object, unnumbered};
use super::kind::{Kind, id};
use super::model::{Attribute, Model, Section, attributes, listed};
use super::types::{Part, Resolved, Stored, Targets, resolve};

/// The mode from which on an exchange plan marks the node of the infobase itself.
const MODE_THIS_NODE: u32 = 80_216;
/// The mode from which on predefined items have a uuid of their own.
const MODE_PREDEFINED: u32 = 80_303;

/// A table in the making.
pub(super) struct Making<'a> {
    pub(super) model: &'a Model<'a>,
    pub(super) place: usize,
    pub(super) object: &'a Object,
    pub(super) tree: &'a Tree,
    pub(super) derived: Derived,
}

impl<'a> Making<'a> {
    /// Begins a table of an object; `None` if the object's file is unknown.
    pub(super) fn new(
        model: &'a Model<'a>,
        place: usize,
        name: String,
        table: String,
    ) -> Option<Self> {
        let object = model.object(place);
        Some(Self {
            model,
            place,
            object,
            tree: model.body(place)?,
            derived: Derived {
                name,
                table,
                code: object.code(),
                properties: Vec::new(),
                reasons: Vec::new(),
            },
        })
    }

    /// A place of the object's body.
    pub(super) fn body(&self, place: usize) -> Item<'a> {
        self.tree.root().at(1).at(place)
    }

    /// A number of the object's body; 0 where there is none.
    pub(super) fn setting(&self, place: usize) -> i64 {
        self.body(place).number().unwrap_or(0)
    }

    /// A length of the object's body.
    fn length(&self, place: usize) -> u32 {
        u32::try_from(self.setting(place)).unwrap_or(0)
    }

    pub(super) fn fixed(&mut self, name: &str, aliases: &[&str], column: &str, stored: Stored) {
        self.derived.push(fixed(name, aliases, column, stored));
    }

    /// A property whose columns follow from what values it can hold.
    pub(super) fn value(&mut self, name: &str, aliases: &[&str], base: &str, resolved: &Resolved) {
        let parts = resolved.columns(base);
        self.columns(name, aliases, base, parts, resolved);
    }

    /// A reference.
    pub(super) fn reference(&mut self, name: &str, aliases: &[&str], base: &str, targets: Targets) {
        self.value(name, aliases, base, &Resolved::reference(targets));
    }

    /// A reference with a type code, if there are many types, and without a tag.
    pub(super) fn pair(&mut self, name: &str, aliases: &[&str], base: &str, targets: Targets) {
        let mut parts = vec![];
        if targets == Targets::Many {
            parts.push(part(base, "TRef", Stored::Code));
        }
        parts.push(part(base, "RRef", Stored::Reference));
        self.columns(name, aliases, base, parts, &Resolved::reference(targets));
    }

    fn columns(
        &mut self,
        name: &str,
        aliases: &[&str],
        base: &str,
        parts: Vec<Part>,
        resolved: &Resolved,
    ) {
        let code = match resolved.targets {
            Targets::One(object) => self.model.object(object).code(),
            Targets::None | Targets::Many => 0,
        };
        self.derived.push(Property {
            name: name.to_owned(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            base: base.to_owned(),
            parts,
            code,
            optional: false,
            unknown: resolved.unknown,
        });
    }

    /// Marks the last property as one that may be missing.
    pub(super) fn optional(&mut self) {
        if let Some(last) = self.derived.properties.last_mut() {
            last.optional = true;
        }
    }

    /// Attributes of a collection that are wanted; `ending` is put to the bases of their columns and to their names.
    pub(super) fn attributes(&mut self, class: Uuid) {
        for attribute in attributes(self.tree, class) {
            self.attribute(&attribute);
        }
    }

    pub(super) fn attribute(&mut self, attribute: &Attribute<'_>) {
        let name = attribute.name();
        let Some(number) = self.number(attribute) else {
            return;
        };
        let resolved = resolve(attribute.pattern, self.model);
        let is_empty = attribute.pattern.items().nth(1).is_none();
        if !is_empty {
            self.value(&name, &[], &format!("_Fld{number}"), &resolved);
        }
    }

    /// The number of an attribute's columns. Without one it is not applied to the database yet, or its entry is damaged.
    pub(super) fn number(&mut self, attribute: &Attribute<'_>) -> Option<u32> {
        let number = self.model.numbers.find(attribute.uuid, "Fld");
        if number.is_none() {
            let table = &self.derived.name;
            let name = attribute.name();
            tracing::warn!(
                table,
                name,
                "property is left out: \"DBNames\" has no number for it"
            );
            let reason = unnumbered(attribute.uuid);
            self.derived.reasons.push((name, reason));
        }
        number
    }

    /// All common attributes: a real column with its number is the column of it, whatever the lists of use say.
    pub(super) fn commons(&mut self) {
        for (place, common) in self.model.index.of(Kind::CommonAttribute) {
            let Some(tree) = self.model.body(place) else {
                continue;
            };
            let Some(number) = common.number else {
                continue;
            };
            let resolved = resolve(tree.root().path(&[1, 1, 1, 2]), self.model);
            let before = self.derived.properties.len();
            self.value(&common.name, &[], &format!("_Fld{number}"), &resolved);
            if self.derived.properties.len() > before {
                self.optional();
            }
        }
    }

    fn own(&self) -> Targets {
        Targets::One(self.place)
    }

    /// What all kinds of references but enumerations begin with.
    fn common_head(&mut self) {
        self.reference("Ссылка", &["Ref"], "_ID", self.own());
        self.fixed(
            "ВерсияДанных",
            &["DataVersion"],
            "_Version",
            Stored::Version,
        );
        self.fixed(
            "ПометкаУдаления",
            &["DeletionMark"],
            "_Marked",
            Stored::Boolean,
        );
    }

    fn predefined(&mut self) {
        let aliases = ["Predefined"];
        match self.model.configuration.mode >= MODE_PREDEFINED {
            true => self.fixed("Предопределённый", &aliases, "_PredefinedID", Stored::Uuid),
            false => self.fixed("Предопределённый", &aliases, "_IsMetadata", Stored::Boolean),
        }
    }

    /// A code or a number: text, unless `kind` says that it is a number.
    fn code(&mut self, names: (&str, &str), column: &str, length: u32, is_number: bool) {
        let stored = match is_number {
            true => Stored::Number(length, 0),
            false => Stored::Text(length, false),
        };
        if length > 0 {
            self.fixed(names.0, &[names.1], column, stored);
        }
    }

    fn description(&mut self, column: &str, length: u32) {
        self.code(("Наименование", "Description"), column, length, false);
    }

    fn hierarchy(&mut self, folders: bool) {
        self.reference("Родитель", &["Parent"], "_ParentID", self.own());
        if folders {
            self.fixed("ЭтоГруппа", &["IsFolder"], "_Folder", Stored::Boolean);
        }
    }

    /// The columns of the object's main table.
    pub(super) fn main(mut self) -> Derived {
        match self.object.kind {
            Kind::Catalog => self.catalog(),
            Kind::Document => self.document(),
            Kind::Enumeration => self.enumeration(),
            Kind::Publication => self.publication(),
            Kind::Constant => self.constant(),
            Kind::Characteristic => self.characteristic(),
            Kind::Account => self.account(),
            Kind::InformationRegister | Kind::AccumulationRegister | Kind::AccountingRegister => {
                self.register()
            }
            Kind::Task => self.task(),
            Kind::BusinessProcess => self.process(),
            Kind::CommonAttribute | Kind::DefinedType => {}
        }
        if self.object.kind != Kind::Enumeration {
            self.commons();
        }
        self.derived
    }

    fn catalog(&mut self) {
        self.common_head();
        self.predefined();
        let index = self.model.index;
        let owners = Targets::of(listed(self.body(12)).filter_map(|uuid| index.by_uuid(uuid)));
        if owners != Targets::None {
            self.reference("Владелец", &["Owner"], "_OwnerID", owners);
        }
        if self.setting(37) == 1 {
            self.hierarchy(self.setting(36) == 0);
        }
        self.code(
            ("Код", "Code"),
            "_Code",
            self.length(17),
            self.setting(18) == 0,
        );
        self.description("_Description", self.length(19));
        self.attributes(id("cf4abea7-37b2-11d4-940f-008048da11f9"));
    }

    fn characteristic(&mut self) {
        self.common_head();
        self.predefined();
        if self.setting(19) == 1 {
            self.hierarchy(true);
        }
        self.code(("Код", "Code"), "_Code", self.length(21), false);
        self.description("_Description", self.length(23));
        self.fixed("ТипЗначения", &["ValueType"], "_Type", Stored::Blob);
        self.attributes(id("31182525-9346-4595-81f8-6f91a72ebe06"));
    }

    fn document(&mut self) {
        self.common_head();
        self.fixed("Дата", &["Date"], "_Date_Time", Stored::Date);
        self.numbering(12, self.setting(13) != 0, self.setting(11) == 0);
        self.fixed("Проведён", &["Posted"], "_Posted", Stored::Boolean);
        self.attributes(id("45e46cbc-3e24-4165-8b7b-cc98a6f80211"));
    }

    fn numbering(&mut self, length: usize, has_period: bool, is_number: bool) {
        let length = self.length(length);
        if length > 0 && has_period {
            let aliases = ["NumberPeriod", "NumberPrefix"];
            self.fixed("ПериодНомера", &aliases, "_NumberPrefix", Stored::Date);
        }
        self.code(("Номер", "Number"), "_Number", length, is_number);
    }

    fn enumeration(&mut self) {
        self.reference("Ссылка", &["Ref"], "_ID", self.own());
        self.fixed("Порядок", &["Order"], "_EnumOrder", Stored::Number(10, 0));
    }

    fn publication(&mut self) {
        self.common_head();
        self.code(("Код", "Code"), "_Code", self.length(15), false);
        self.description("_Description", self.length(17));
        self.fixed(
            "НомерОтправленного",
            &["SentNo"],
            "_SentNo",
            Stored::Number(10, 0),
        );
        self.fixed(
            "НомерПринятого",
            &["ReceivedNo"],
            "_ReceivedNo",
            Stored::Number(10, 0),
        );
        if self.model.configuration.mode >= MODE_THIS_NODE {
            let aliases = ["Predefined"];
            self.fixed("Предопределённый", &aliases, "_PredefinedID", Stored::Uuid);
        }
        self.attributes(id("1a1b4fea-e093-470d-94ff-1d2f16cda2ab"));
    }

    fn constant(&mut self) {
        if let Some(number) = self.model.numbers.find(self.object.uuid, "Fld") {
            let resolved = resolve(self.tree.root().path(&[1, 1, 1, 2]), self.model);
            self.value("Значение", &["Value"], &format!("_Fld{number}"), &resolved);
        }
        self.fixed("RecordKey", &["КлючЗаписи"], "_RecordKey", Stored::Tag);
    }

    fn account(&mut self) {
        self.common_head();
        self.predefined();
        self.hierarchy(false);
        self.code(("Код", "Code"), "_Code", self.length(22), false);
        self.description("_Description", self.length(23));
        self.fixed(
            "Порядок",
            &["Order"],
            "_OrderField",
            Stored::Text(self.length(25), false),
        );
        self.optional();
        self.fixed("Вид", &["Kind"], "_Kind", Stored::Number(1, 0));
        self.fixed(
            "Забалансовый",
            &["OffBalance"],
            "_OffBalance",
            Stored::Boolean,
        );
        self.attributes(id("6e65cbf5-daa8-4d8d-bef8-59723f4e5777"));
        self.attributes(id("78bd1243-c4df-46c3-8138-e147465cb9a4"));
    }

    fn task(&mut self) {
        self.common_head();
        let processes = self.processes();
        let aliases = ["BusinessProcess"];
        self.reference("БизнесПроцесс", &aliases, "_BusinessProcess", processes);
        self.optional();
        // a point of a route has the type of its process
        self.reference("ТочкаМаршрута", &["RoutePoint"], "_Point", processes);
        self.optional();
        if let (Targets::One(process), Some(point)) =
            (processes, self.derived.properties.last_mut())
        {
            let uuid = self.model.object(process).uuid;
            let number = self.model.numbers.find(uuid, "BPrPoints");
            point.code = number.and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
        }
        self.fixed("Дата", &["Date"], "_Date_Time", Stored::Date);
        self.numbering(19, false, self.setting(18) == 0);
        self.description("_Name", self.length(22));
        self.fixed("Выполнена", &["Executed"], "_Executed", Stored::Boolean);
        self.attributes(id("8ddfb495-c5fc-46b9-bdc5-bcf58341bff0"));
        self.attributes(id("e97c0570-251c-4566-b0f1-10686820f143"));
    }

    /// The processes that make tasks of this kind.
    fn processes(&self) -> Targets {
        let (model, task) = (self.model, self.object.uuid);
        let all = model.index.of(Kind::BusinessProcess);
        Targets::of(all.map(|(place, _)| place).filter(|place| {
            model
                .body(*place)
                .is_some_and(|tree| tree.root().path(&[1, 25]).uuid() == Some(task))
        }))
    }

    fn process(&mut self) {
        self.common_head();
        self.fixed("Дата", &["Date"], "_Date_Time", Stored::Date);
        self.numbering(18, self.setting(17) != 0, self.setting(16) == 0);
        self.fixed("Завершён", &["Completed"], "_Completed", Stored::Boolean);
        let tasks = self.model.index.of(Kind::Task).map(|(place, _)| place);
        self.reference(
            "ВедущаяЗадача",
            &["HeadTask"],
            "_HeadTask",
            Targets::of(tasks),
        );
        self.optional();
        self.fixed("Стартован", &["Started"], "_Started", Stored::Boolean);
        self.attributes(id("87c988de-ecbf-413b-87b0-b9516df05e28"));
    }

    /// The columns of a tabular section.
    pub(super) fn section(mut self, section: &Section<'_>) -> Derived {
        let owner = self.object.table().unwrap_or_default();
        self.reference("Ссылка", &["Ref"], &format!("{owner}_ID"), self.own());
        let separators = self.derived.properties.len();
        self.fixed("KeyField", &["КлючСтроки"], "_KeyField", Stored::Code);
        if let Some(number) = self.model.numbers.find(section.uuid, "LineNo") {
            let column = format!("_LineNo{number}");
            self.fixed(
                "НомерСтроки",
                &["LineNumber"],
                &column,
                Stored::Number(5, 0),
            );
        }
        for attribute in section.attributes() {
            self.attribute(&attribute);
        }
        // separators stand behind the owner
        let own = self.derived.properties.len();
        self.commons();
        self.derived.properties[separators..].rotate_left(own - separators);
        self.derived
    }
}

/// A column with its role.
pub(super) fn part(base: &str, ending: &str, stored: Stored) -> Part {
    use dajet_core::schema::ColumnRole;
    Part {
        name: format!("{base}{ending}"),
        role: match stored {
            Stored::Code => ColumnRole::TypeCode,
            Stored::Reference => ColumnRole::Reference,
            Stored::Tag => ColumnRole::Tag,
            _ => ColumnRole::Value,
        },
        stored,
    }
}
