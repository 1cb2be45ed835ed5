//! The metadata of an infobase, read as far as it is asked for.

use std::sync::Arc;

use dajet_core::diagnostic::nearest;
use dajet_core::schema::{MappingLine, MetadataKey, MetadataObject, fold};
use dajet_core::value::Entity;
use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::bracket::Tree;
use super::configuration::{self, Configuration};
use super::derive::Making;
use super::derived::Derived;
use super::error::MetadataError;
use super::index::{self, Index, Object, unnumbered};
use super::kind::{KINDS, Kind};
use super::model::{self, Model, listed, sections};
use super::name::{Dependent, Name, near_kind};
use super::numbers::Numbers;
use super::reading::{self, Nameless, Read, Reading};
use super::store::Store;
use super::value;

/// The word for the kind of a tabular section.
pub(crate) const SECTION: &str = "ТабличнаяЧасть";
/// Rounds of reading the types that types stand for.
const ROUNDS_MAX: usize = 8;
/// Objects that one message names.
const TOLD_MAX: usize = 5;
/// Files of objects that are kept.
const BODIES_MAX: usize = 1_000;
/// Files of objects that are looked through together.
const BODIES_AT_ONCE: usize = 100;

/// The metadata of one version of a configuration. Names and identities of all objects are read at once; files of objects,
/// one by one, when something of them is asked.
#[derive(Debug)]
pub struct Metadata {
    version: String,
    year_offset: i16,
    configuration: Configuration,
    numbers: Numbers,
    index: Index,
    bodies: FxHashMap<Uuid, Arc<Tree>>,
    /// Files that cannot be read, and why: each is told once.
    unreadable: FxHashMap<Uuid, String>,
    /// Objects that share a number with another one, and what to say of it.
    disputed: FxHashMap<Uuid, String>,
    nameless: Nameless,
    recorders: FxHashMap<Uuid, Vec<usize>>,
    recorders_known: bool,
    predefined: FxHashMap<Uuid, Arc<Vec<(String, Uuid)>>>,
}

/// Tells of objects that should have a table and have no number for it.
fn tell_unnumbered(objects: &[Object]) {
    let unnumbered = |object: &&Object| object.kind.has_table() && object.number.is_none();
    let all: Vec<String> = objects
        .iter()
        .filter(unnumbered)
        .map(Object::full_name)
        .collect();
    if !all.is_empty() {
        let (count, first) = (all.len(), all[..all.len().min(TOLD_MAX)].join(", "));
        tracing::warn!(
            count,
            first,
            "objects of the configuration have no number in \"DBNames\": they have no table"
        );
    }
}

/// What a name stands for that is no table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedValue {
    /// This reference.
    Identity(Entity),
    /// The row of the table whose column `_PredefinedID` holds the uuid of the entity; its reference is another one.
    Predefined {
        /// The physical table: `_Reference36`.
        table: String,
        /// Type code, and the uuid of the item in database form.
        entity: Entity,
    },
}

impl Metadata {
    /// Reads the lists of objects, their heads, and the numbers of tables and columns.
    ///
    /// # Errors
    /// `root`, the configuration file or `DBNames` is missing or unreadable, or the database does not answer. An object
    /// that cannot be read is no error: it is absent, and a warning names it.
    pub async fn open(store: &mut dyn Store) -> Result<Self, MetadataError> {
        let version = store.version().await?;
        let year_offset = store.year_offset().await?;
        let numbers = reading::numbers(store).await?;
        let root: Arc<str> = "root".into();
        let tree = reading::required(store, &root).await?;
        let file = configuration::file_of(&tree, &root)?;
        let tree = reading::required(store, &file).await?;
        let configuration = Configuration::read(&tree, &file)?;
        drop(tree);
        let (mut heads, nameless) = reading::heads(store, &configuration.objects).await?;
        for object in &mut heads {
            object.number = numbers.find(object.uuid, object.kind.facts().token);
        }
        tell_unnumbered(&heads);
        let disputed = index::settle(&mut heads);
        Ok(Self {
            version,
            year_offset,
            configuration,
            numbers,
            index: Index::new(heads),
            bodies: FxHashMap::default(),
            unreadable: FxHashMap::default(),
            disputed,
            nameless,
            recorders: FxHashMap::default(),
            recorders_known: false,
            predefined: FxHashMap::default(),
        })
    }

    /// What [`Store::version`] said when it was read.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Years that are added to every stored date.
    pub fn year_offset(&self) -> i16 {
        self.year_offset
    }

    /// The compatibility mode: 80320 is 8.3.20.
    pub fn mode(&self) -> u32 {
        self.configuration.mode
    }

    fn model(&self) -> Model<'_> {
        Model {
            configuration: &self.configuration,
            numbers: &self.numbers,
            index: &self.index,
            bodies: &self.bodies,
            recorders: &self.recorders,
        }
    }

    fn find(&self, name: &Name) -> Option<usize> {
        self.index.named(name.kind, &name.object)
    }

    /// Derives the table of a logical name, `None` if metadata knows none. The real columns may differ: they decide.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn table(
        &mut self,
        store: &mut dyn Store,
        name: &str,
    ) -> Result<Option<Derived>, MetadataError> {
        let Some((name, place)) =
            Name::parse(name).and_then(|name| self.find(&name).map(|place| (name, place)))
        else {
            return Ok(None);
        };
        if self.bodies.len() > BODIES_MAX {
            self.bodies.clear();
        }
        self.prepare(store, place).await?;
        Ok(self.derive(&name, place))
    }

    fn derive(&self, name: &Name, place: usize) -> Option<Derived> {
        let model = self.model();
        let object = model.object(place);
        let (full, table) = (object.full_name(), object.table()?);
        let Some(word) = &name.part else {
            return Some(Making::new(&model, place, full, table)?.main());
        };
        let tree = model.body(place)?;
        let mut all = sections(tree, object.kind);
        if let Some(section) = all.find(|section| fold(&section.name()) == *word) {
            let number = self.numbers.find(section.uuid, "VT")?;
            let full = format!("{full}.{}", section.name());
            let table = format!("{table}_VT{number}");
            return Some(Making::new(&model, place, full, table)?.section(&section));
        }
        let dependent = Dependent::parse(word)?;
        let table = self.dependent_table(object, dependent)?;
        let full = format!("{full}.{}", dependent.word());
        Some(Making::new(&model, place, full, table)?.dependent(dependent))
    }

    /// The physical name of a table that depends on an object.
    fn dependent_table(&self, object: &Object, dependent: Dependent) -> Option<String> {
        let mut tokens = dependent.tokens(object.kind).iter();
        let (token, number) =
            tokens.find_map(|token| Some((*token, self.numbers.find(object.uuid, token)?)))?;
        Some(match dependent {
            Dependent::ExtDimensionTypes => format!("{}_{token}{number}", object.table()?),
            _ => format!("_{token}{number}"),
        })
    }

    /// Reads what the derivation of an object's tables looks at.
    async fn prepare(&mut self, store: &mut dyn Store, place: usize) -> Result<(), MetadataError> {
        let object = &self.index.objects[place];
        let kind = object.kind;
        let mut wanted = vec![object.uuid];
        let of = |kind| self.index.of(kind).map(|(_, object)| object.uuid);
        wanted.extend(of(Kind::CommonAttribute));
        if kind == Kind::Task {
            wanted.extend(of(Kind::BusinessProcess));
        }
        for _ in 0..ROUNDS_MAX {
            self.load(store, &wanted).await?;
            let model = self.model();
            let next = reading::mentioned(&model, &wanted);
            if next.is_empty() {
                break;
            }
            wanted = next;
        }
        let is_register = matches!(
            kind,
            Kind::InformationRegister | Kind::AccumulationRegister | Kind::AccountingRegister
        );
        if is_register && !self.recorders_known {
            self.load_recorders(store).await?;
        }
        Ok(())
    }

    /// Reads files of objects.
    async fn load(&mut self, store: &mut dyn Store, uuids: &[Uuid]) -> Result<(), MetadataError> {
        let mut missing: Vec<Uuid> = uuids
            .iter()
            .copied()
            .filter(|uuid| !self.bodies.contains_key(uuid) && !self.unreadable.contains_key(uuid))
            .collect();
        missing.dedup();
        for (uuid, tree) in self.files(store, &missing).await? {
            match tree {
                Ok(tree) => drop(self.bodies.insert(uuid, Arc::new(tree))),
                Err(error) => drop(self.unreadable.insert(uuid, error.to_string())),
            }
        }
        Ok(())
    }

    fn warn(&self, uuid: Uuid, error: &MetadataError) {
        let object = self.index.by_uuid(uuid);
        let object = object.map(|place| self.index.objects[place].full_name());
        tracing::warn!(object, %error, "object of 1C metadata is left out");
    }

    async fn load_recorders(&mut self, store: &mut dyn Store) -> Result<(), MetadataError> {
        let documents: Vec<(usize, Uuid)> = self
            .index
            .of(Kind::Document)
            .map(|(place, object)| (place, object.uuid))
            .collect();
        let places: FxHashMap<Uuid, usize> = documents
            .iter()
            .map(|(place, uuid)| (*uuid, *place))
            .collect();
        let uuids: Vec<Uuid> = documents.iter().map(|(_, uuid)| *uuid).collect();
        let reading = Reading::Beginning(&[1, 24]);
        for (uuid, read) in reading::files(store, &uuids, reading).await? {
            match read {
                Ok(tree) => {
                    for register in listed(tree.root().path(&[1, 24])) {
                        self.recorders
                            .entry(register)
                            .or_default()
                            .push(places[&uuid]);
                    }
                }
                Err(error) => self.warn(uuid, &error),
            }
        }
        self.recorders_known = true;
        Ok(())
    }

    /// The value that a name stands for: a value of an enumeration, a predefined item.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn value(
        &mut self,
        store: &mut dyn Store,
        name: &str,
    ) -> Result<Option<NamedValue>, MetadataError> {
        let Some(name) = Name::parse(name) else {
            return Ok(None);
        };
        let (Some(place), Some(word)) = (self.find(&name), &name.part) else {
            return Ok(None);
        };
        let values = self.values(store, place).await?;
        let object = &self.index.objects[place];
        let found = values.iter().find(|(known, _)| fold(known) == *word);
        let (Some((_, uuid)), Some(table)) = (found, object.table()) else {
            return Ok(None);
        };
        let entity = Entity {
            code: object.code(),
            uuid: value::database_form(*uuid),
        };
        let is_identity =
            object.kind == Kind::Enumeration || self.configuration.mode < value::MODE_OWN_UUID;
        Ok(Some(match is_identity {
            true => NamedValue::Identity(entity),
            false => NamedValue::Predefined { table, entity },
        }))
    }

    /// The values that metadata gives an object, with their uuids in the form of 1C: those of an enumeration, the
    /// predefined items of a catalog or a chart.
    async fn values(
        &mut self,
        store: &mut dyn Store,
        place: usize,
    ) -> Result<Arc<Vec<(String, Uuid)>>, MetadataError> {
        let (uuid, kind) = (
            self.index.objects[place].uuid,
            self.index.objects[place].kind,
        );
        if let Some(known) = self.predefined.get(&uuid) {
            return Ok(Arc::clone(known));
        }
        let values = match (kind, value::predefined_file(kind)) {
            (Kind::Enumeration, _) => {
                self.load(store, &[uuid]).await?;
                let tree = self.bodies.get(&uuid);
                tree.map(|tree| value::of_enumeration(tree))
                    .unwrap_or_default()
            }
            (_, Some(ending)) => {
                let file: Arc<str> = format!("{uuid}.{ending}").into();
                match reading::optional(store, &file).await? {
                    Ok(Some(tree)) => value::of_items(&tree),
                    Ok(None) => Vec::new(),
                    Err(error) => {
                        self.warn(uuid, &error);
                        Vec::new()
                    }
                }
            }
            _ => Vec::new(),
        };
        let values = Arc::new(values);
        self.predefined.insert(uuid, Arc::clone(&values));
        Ok(values)
    }

    /// The object of a name or a type code; a tabular section too.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn object(
        &mut self,
        store: &mut dyn Store,
        key: &MetadataKey,
    ) -> Result<Option<MetadataObject>, MetadataError> {
        let (place, part) = match key {
            MetadataKey::Code(code) => (self.of_code(*code), None),
            MetadataKey::Name(name) => match Name::parse(name) {
                Some(name) => (self.find(&name), name.part),
                None => (None, None),
            },
        };
        let Some(place) = place else {
            return Ok(None);
        };
        let object = &self.index.objects[place];
        let answer = MetadataObject {
            uuid: object.uuid,
            code: object.code(),
            kind: object.kind.word().into(),
            name: Arc::clone(&object.name),
            full_name: object.full_name().into(),
            table: object.table().map(Arc::from),
            owner: None,
        };
        let Some(word) = part else {
            return Ok(Some(answer));
        };
        let (uuid, kind) = (object.uuid, object.kind);
        self.load(store, &[uuid]).await?;
        let tree = self.bodies.get(&uuid);
        let section = tree
            .and_then(|tree| sections(tree, kind).find(|section| fold(&section.name()) == word));
        Ok(section.map(|section| self.section(answer, &section)))
    }

    fn section(&self, owner: MetadataObject, section: &model::Section<'_>) -> MetadataObject {
        let number = self.numbers.find(section.uuid, "VT");
        let table = match (&owner.table, number) {
            (Some(table), Some(number)) => Some(format!("{table}_VT{number}").into()),
            _ => None,
        };
        let name: Arc<str> = section.name().into();
        MetadataObject {
            uuid: section.uuid,
            code: number
                .and_then(|number| i32::try_from(number).ok())
                .unwrap_or(0),
            kind: SECTION.into(),
            full_name: format!("{}.{name}", owner.full_name).into(),
            name,
            table,
            owner: Some(owner.full_name),
        }
    }

    /// The object whose references have this type code: the number of its table.
    fn of_code(&self, code: i32) -> Option<usize> {
        self.index.objects.iter().position(|object| {
            object.kind.has_table() && object.number.is_some() && object.code() == code
        })
    }

    /// The names of all tables and values, kind by kind.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn names(&mut self, store: &mut dyn Store) -> Result<Vec<Arc<str>>, MetadataError> {
        let places: Vec<usize> = (0..self.index.objects.len())
            .filter(|place| self.index.objects[*place].table().is_some())
            .collect();
        let mut names: Vec<Arc<str>> = Vec::new();
        for places in places.chunks(BODIES_AT_ONCE) {
            let objects = places.iter().map(|place| &self.index.objects[*place]);
            let uuids: Vec<Uuid> = objects.map(|object| object.uuid).collect();
            // the order of the answer is that of the question
            let trees = self.files(store, &uuids).await?;
            for (place, (_, tree)) in places.iter().zip(trees) {
                self.names_of(*place, tree.as_ref().ok(), &mut names);
            }
        }
        Ok(names)
    }

    /// The names of an object's tables and of an enumeration's values.
    fn names_of(&self, place: usize, tree: Option<&Tree>, names: &mut Vec<Arc<str>>) {
        let object = &self.index.objects[place];
        let full = object.full_name();
        names.push(full.as_str().into());
        let mut add = |part: &str| names.push(format!("{full}.{part}").into());
        if let Some(tree) = tree {
            sections(tree, object.kind).for_each(|section| add(&section.name()));
        }
        for dependent in Dependent::all() {
            if self.dependent_table(object, dependent).is_some() {
                add(dependent.word());
            }
        }
        if let (Kind::Enumeration, Some(tree)) = (object.kind, tree) {
            value::of_enumeration(tree)
                .iter()
                .for_each(|(name, _)| add(name));
        }
    }

    /// Reads files of objects and tells of those that cannot be read.
    async fn files(
        &self,
        store: &mut dyn Store,
        uuids: &[Uuid],
    ) -> Result<Vec<Read<Tree>>, MetadataError> {
        let read = reading::files(store, uuids, Reading::Whole).await?;
        for (uuid, read) in &read {
            if let Err(error) = read {
                self.warn(*uuid, error);
            }
        }
        Ok(read)
    }

    /// The line of a mapping file that says a value.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn value_line(
        &mut self,
        store: &mut dyn Store,
        name: &str,
    ) -> Result<Option<MappingLine>, MetadataError> {
        let Some(parsed) = Name::parse(name) else {
            return Ok(None);
        };
        let (Some(place), Some(word)) = (self.find(&parsed), &parsed.part) else {
            return Ok(None);
        };
        let values = self.values(store, place).await?;
        let object = &self.index.objects[place];
        let found = values
            .iter()
            .enumerate()
            .find(|(_, (known, _))| fold(known) == *word);
        Ok(found.map(|(number, (name, uuid))| MappingLine {
            name: format!("{}.{name}", object.full_name()),
            table: object.table().unwrap_or_default(),
            columns: format!("=value {number}"),
            server_types: uuid.to_string(),
            types: value::hexadecimal(*uuid),
            code: object.code(),
        }))
    }

    /// Why a name is unknown though the configuration may have it, as a sentence: its object has no number, its file or
    /// one of its kind cannot be read.
    pub fn reason(&self, name: &str) -> Option<String> {
        let name = Name::parse(name)?;
        let Some(place) = self.find(&name) else {
            let of_kind = || self.nameless.iter().filter(|(kind, _)| *kind == name.kind);
            let (kind, error) = of_kind()
                .find(|(_, error)| error.is_about(&name.object))
                .or_else(|| of_kind().next())?;
            let kind = kind.word();
            return Some(format!(
                "An object of the kind \"{kind}\" is left out of 1C metadata: {error}."
            ));
        };
        let object = &self.index.objects[place];
        if let Some(error) = self.unreadable.get(&object.uuid) {
            return Some(format!("Its 1C metadata is damaged: {error}."));
        }
        if let Some(reason) = self.disputed.get(&object.uuid) {
            return Some(reason.clone());
        }
        if object.kind.has_table() && object.number.is_none() {
            return Some(unnumbered(object.uuid));
        }
        let (word, tree) = (name.part?, self.bodies.get(&object.uuid)?);
        let mut sections = sections(tree, object.kind);
        let section = sections.find(|section| fold(&section.name()) == word)?;
        let number = self.numbers.find(section.uuid, "VT");
        number.is_none().then(|| unnumbered(section.uuid))
    }

    /// The object of this name, of whatever kind.
    fn of_another_kind(&self, name: &str) -> Option<Arc<str>> {
        let folded = fold(name);
        let kinds = KINDS.iter().filter(|facts| facts.kind.has_table());
        let mut places = kinds.filter_map(|facts| self.index.named(facts.kind, &folded));
        let place = places.find(|place| self.index.objects[*place].table().is_some())?;
        Some(self.index.objects[place].full_name().into())
    }

    /// The name that comes nearest to one that is unknown.
    pub fn nearest(&self, name: &str) -> Option<Arc<str>> {
        let mut words = name.splitn(3, '.');
        let (first, second) = (words.next()?, words.next());
        let third = words.next();
        let known = near_kind(first)?;
        let has_table = |object: &Object| !known.has_table() || object.table().is_some();
        let of_kind = || {
            let objects = self.index.of(known).map(|(_, object)| object);
            let named = objects.filter(|object| has_table(object));
            named.map(|object| &*object.name)
        };
        let second = second?;
        let exact = of_kind().find(|name| fold(name) == fold(second));
        let Some(object) = exact.or_else(|| nearest(second, of_kind())) else {
            return self.of_another_kind(second);
        };
        let full = format!("{}.{object}", known.word());
        let place = self.index.named(known, &fold(object));
        let tree = place.and_then(|place| self.bodies.get(&self.index.objects[place].uuid));
        let Some(third) = third else {
            return Some(full.into());
        };
        let sections = tree.into_iter().flat_map(|tree| sections(tree, known));
        let sections = sections.filter(|s| self.numbers.find(s.uuid, "VT").is_some());
        let mut all: Vec<String> = sections.map(|section| section.name()).collect();
        let values = place.and_then(|place| self.predefined.get(&self.index.objects[place].uuid));
        all.extend(
            values
                .into_iter()
                .flat_map(|values| values.iter().map(|(name, _)| name.clone())),
        );
        let object = place.map(|place| &self.index.objects[place]);
        let has = |dependent: &Dependent| {
            object.is_some_and(|object| self.dependent_table(object, *dependent).is_some())
        };
        all.extend(Dependent::all().filter(has).map(|d| d.word().to_owned()));
        // what is asked for is not there, whatever metadata says
        all.retain(|word| fold(word) != fold(third));
        Some(match nearest(third, all.iter().map(String::as_str)) {
            Some(word) => format!("{full}.{word}").into(),
            None => full.into(),
        })
    }
}
