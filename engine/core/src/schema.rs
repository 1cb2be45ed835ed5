//! What the schema catalog answers: logical tables and columns, their physical names, types, keys and nullability.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::diagnostic::nearest;
use crate::value::Entity;

/// The logical type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// `boolean`
    Boolean,
    /// A whole number of at most 64 bits.
    Integer,
    /// An exact decimal.
    Decimal,
    /// A date and time without a zone.
    DateTime,
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// A uuid.
    Uuid,
    /// A reference; the code is that of its only type, or 0 where the type code is stored beside it.
    Entity(i32),
    /// A tagged value in several physical columns.
    Union,
    /// Any scalar, kept as it is: a column of SQLite without a declared type.
    Any,
}

/// The role of a physical column within a logical one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnRole {
    /// The whole value.
    Value,
    /// The tag of a union (`_TYPE`).
    Tag,
    /// The boolean of a union (`_L`).
    Boolean,
    /// The number of a union (`_N`).
    Number,
    /// The date and time of a union (`_T`).
    DateTime,
    /// The text of a union (`_S`).
    Text,
    /// The type code of a reference, 4 bytes big-endian (`_RTRef`, `TRef`).
    TypeCode,
    /// The 16 bytes of a reference (`_RRRef`, `RRef`).
    Reference,
}

/// A column of the database itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicalColumn {
    /// The name as it must reach the server; the dialect quotes it.
    pub name: Arc<str>,
    /// What it holds of the logical column.
    pub role: ColumnRole,
    /// The database's own type, as it writes it: `character varying(10)`, `bytea`.
    pub type_name: Arc<str>,
    /// True if NULL may stand in it.
    pub nullable: bool,
    /// True if the database fills it by itself and refuses a value (generated, `GENERATED ALWAYS`).
    pub generated: bool,
}

impl PhysicalColumn {
    /// Digits behind the point that a numeric type declares: 2 of `numeric(15,2)`, 0 of `NUMERIC(15)`.
    pub fn scale(&self) -> Option<u8> {
        let (name, _) = self.type_name.split_once('(')?;
        let is = |word: &str| name.trim().eq_ignore_ascii_case(word);
        (is("numeric") || is("decimal") || is("number"))
            .then(|| declared_scale(&self.type_name))
            .flatten()
    }
}

/// Digits behind the point that a type's brackets say, whatever its word: 2 of `NUMERIC(15,2)`, 0 of `NUMERIC(15)`.
pub fn declared_scale(type_name: &str) -> Option<u8> {
    let inner = type_name.split_once('(')?.1.split_once(')')?.0;
    match inner.split_once(',') {
        Some((_, scale)) => scale.trim().parse().ok(),
        None => inner.trim().parse::<u16>().ok().map(|_| 0),
    }
}

/// What stands in a column that an INSERT does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Omitted {
    /// The empty value of its type.
    Empty,
    /// NULL.
    Null,
    /// These bytes.
    Bytes(&'static [u8]),
}

/// A logical column: one physical column, or several for references of many types and unions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The logical name.
    pub name: Arc<str>,
    /// The logical type.
    pub data_type: DataType,
    /// The physical columns, at least one.
    pub parts: Vec<PhysicalColumn>,
    /// Other names of the column, in another language for example; a column of that name wins.
    pub aliases: Vec<Arc<str>>,
    /// Years that are added to every date stored in it: subtracted in reading, added in writing.
    pub year_offset: i16,
    /// The type code of the references of a union that stores none beside them; 0 if it stores one or holds no references.
    pub reference_code: i32,
    /// What an INSERT that does not name it stores, where its table wants that ([`Defaults::EmptyValue`]).
    pub omitted: Omitted,
    /// True if dates are stored in it to the second.
    pub whole_seconds: bool,
}

impl Column {
    /// Makes a column without other names, whose dates are stored as they are.
    pub fn new(name: Arc<str>, data_type: DataType, parts: Vec<PhysicalColumn>) -> Self {
        Self {
            name,
            data_type,
            parts,
            aliases: Vec::new(),
            year_offset: 0,
            reference_code: 0,
            omitted: Omitted::Empty,
            whole_seconds: false,
        }
    }

    /// The only physical column, if there is just one.
    pub fn single(&self) -> Option<&PhysicalColumn> {
        match self.parts.as_slice() {
            [part] => Some(part),
            _ => None,
        }
    }

    /// True if NULL may stand in one of its physical columns.
    pub fn nullable(&self) -> bool {
        self.parts.iter().any(|part| part.nullable)
    }
}

/// How the rows of a table are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableKey {
    /// Physical names of the columns of a primary key or of a unique index without nullable columns.
    Columns(Vec<Arc<str>>),
    /// No key: the database's own row address (`ctid`, `rowid`).
    RowAddress,
}

/// How a table's columns that an INSERT does not name are filled (language reference, section 14, ruling 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defaults {
    /// A plain table: left to the database.
    Database,
    /// A table of a mapping file or of 1C metadata: the empty value of the type.
    EmptyValue,
}

/// A logical table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The logical name: `РегистрСведений.ИсходящиеСообщения`, `orders`, `public.orders`.
    pub name: Arc<str>,
    /// Physical name, schema first if there is one; the dialect quotes each part.
    pub physical: Vec<Arc<str>>,
    /// The columns in the order of the database.
    pub columns: Vec<Column>,
    /// The key.
    pub key: TableKey,
    /// What fills the columns that an INSERT does not name.
    pub defaults: Defaults,
    /// Names of columns that metadata gives it and that it lacks: somebody may be changing it just now.
    pub lacking: Vec<Arc<str>>,
    /// Names of columns that metadata tells of and that it cannot have, and why, as sentences.
    pub reasons: Vec<(Arc<str>, String)>,
    /// The version of the metadata that it was derived from: what is bound to it is outdated once that has changed.
    pub version: Option<Arc<str>>,
}

impl Table {
    /// True if metadata gives it a column of this name that it lacks.
    pub fn lacks(&self, name: &str) -> bool {
        let folded = fold(name);
        self.lacking.iter().any(|lacking| fold(lacking) == folded)
    }

    /// Why it cannot have a column of this name that metadata tells of.
    pub fn reason(&self, name: &str) -> Option<&str> {
        let folded = fold(name);
        let mut reasons = self.reasons.iter();
        let found = reasons.find(|(known, _)| fold(known) == folded);
        found.map(|(_, reason)| reason.as_str())
    }

    /// Finds a column: exact match first, else the only one that matches without regard to case, else by another name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        find(&self.columns, name, |c| &c.name).or_else(|| {
            let folded = fold(name);
            self.columns
                .iter()
                .find(|column| column.aliases.iter().any(|alias| fold(alias) == folded))
        })
    }
}

/// The tables that a statement names, as far as the catalog knows them.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// One entry for each name asked for, in order: the name as asked, and the table, if it is known.
    pub tables: Vec<(Arc<str>, Option<Arc<Table>>)>,
    /// Those of the names asked for that stand for a value: an enumeration's value (`Перечисление.СтавкиНДС.НДС20`), a
    /// predefined item. They have no table.
    pub values: Vec<(Arc<str>, Entity)>,
    /// Names of tables near to the unknown ones, for "did you mean".
    pub suggestions: Vec<Arc<str>>,
    /// Unknown names, and why the database's metadata cannot explain them, as sentences.
    pub reasons: Vec<(Arc<str>, String)>,
}

/// How an object of metadata is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MetadataKey {
    /// By its logical name: `Справочник.Номенклатура`, in either language, in any case.
    Name(Arc<str>),
    /// By the type code of its references.
    Code(i32),
}

/// An object of a database's own metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataObject {
    /// Its uuid in the metadata, in the form of 1C.
    pub uuid: Uuid,
    /// The type code of its references, and the number of its table.
    pub code: i32,
    /// The word for its kind: `Справочник`.
    pub kind: Arc<str>,
    /// The name within its kind: `Номенклатура`.
    pub name: Arc<str>,
    /// Both: `Справочник.Номенклатура`.
    pub full_name: Arc<str>,
    /// The physical name of its table; none for kinds without data.
    pub table: Option<Arc<str>>,
    /// The full name of the object that it belongs to: a tabular section's catalog.
    pub owner: Option<Arc<str>>,
}

/// A line of a mapping file: a property of a table, or a value of an enumeration. Parts of a property are separated by `,`
/// in `columns` and by `;` in the types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingLine {
    /// The logical name: `Справочник.Номенклатура.Ссылка`.
    pub name: String,
    /// The physical table: `_Reference36`.
    pub table: String,
    /// The physical columns: `_IDRRef`; `=value 0` with its place for a value of an enumeration.
    pub columns: String,
    /// Types of SQL Server; the uuid of a value as 1C shows it.
    pub server_types: String,
    /// Types of PostgreSQL; the bytes of a value.
    pub types: String,
    /// Type code of the object, 0 if it has none.
    pub code: i32,
}

/// As a mapping file has it, without the end of the line.
impl fmt::Display for MappingLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            table,
            columns,
            server_types,
            types,
            code,
        } = self;
        write!(
            f,
            "{name}\t{table}\t{columns}\t{server_types}\t{types}\t{code}"
        )
    }
}

/// What a database knows of a name or a type code: the answer to [`crate::contract::look_up`].
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The value that the name stands for.
    pub value: Option<Entity>,
    /// The object of metadata.
    pub object: Option<Arc<MetadataObject>>,
    /// The table of this name.
    pub table: Option<Arc<Table>>,
    /// Names that are near to an unknown one.
    pub suggestions: Vec<Arc<str>>,
    /// Why the database's metadata cannot explain an unknown one, as a sentence.
    pub reason: Option<String>,
}

impl Known {
    /// True if nothing is known.
    pub fn is_nothing(&self) -> bool {
        self.value.is_none() && self.object.is_none() && self.table.is_none()
    }
}

impl Schema {
    /// Returns the value that exactly this name stands for.
    pub fn value(&self, name: &str) -> Option<Entity> {
        let named = self.values.iter().find(|(known, _)| &**known == name);
        named.map(|(_, value)| *value)
    }

    /// Returns why exactly this name is unknown, if metadata tells.
    pub fn reason(&self, name: &str) -> Option<&str> {
        let named = self.reasons.iter().find(|(known, _)| &**known == name);
        named.map(|(_, reason)| reason.as_str())
    }

    /// True if every name that was asked for is a table or stands for a value.
    pub fn is_complete(&self) -> bool {
        self.unknown() == 0
    }

    /// True for a column behind the name of its table: it might have been a value.
    fn is_column(&self, name: &str) -> bool {
        let Some((owner, column)) = name.rsplit_once('.') else {
            return false;
        };
        let tables = self
            .tables
            .iter()
            .filter(|(table, _)| fold(table) == fold(owner));
        let mut tables = tables.filter_map(|(_, table)| table.as_ref());
        tables.any(|table| table.column(column).is_some())
    }

    fn unknown(&self) -> usize {
        let is_value = |name: &Arc<str>| self.values.iter().any(|(value, _)| value == name);
        let unknown = |(name, table): &&(Arc<str>, _)| {
            Option::is_none(table) && !is_value(name) && !self.is_column(name)
        };
        self.tables.iter().filter(unknown).count()
    }

    /// The known name that an unknown one was probably to be. A suggestion that is not near in its letters is that of the only
    /// unknown name, or of nobody knows which.
    pub fn near(&self, name: &str) -> Option<&str> {
        let suggestions = || self.suggestions.iter().map(|near| &**near);
        let only = || suggestions().next().filter(|_| self.unknown() == 1);
        nearest(name, suggestions()).or_else(only)
    }

    /// Returns the table that was asked for by exactly this name.
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.tables
            .iter()
            .find(|(n, _)| &**n == name)
            .and_then(|(_, table)| table.as_ref())
    }
}

/// The form in which names are compared: small letters, and `ё` is `е`.
pub fn fold(name: &str) -> String {
    name.to_lowercase().replace('ё', "е")
}

/// Finds by name: exact match first, else the only one that matches without regard to case; `ё` is `е`.
pub fn find<'a, T>(items: &'a [T], name: &str, name_of: impl Fn(&T) -> &str) -> Option<&'a T> {
    if let Some(item) = items.iter().find(|item| name_of(item) == name) {
        return Some(item);
    }
    let folded = fold(name);
    let mut matches = items.iter().filter(|item| fold(name_of(item)) == folded);
    matches.next().filter(|_| matches.next().is_none())
}
