//! Descriptions of types, and the columns that hold their values.

use std::fmt;

use dajet_core::DataType;
use dajet_core::schema::ColumnRole;
use uuid::Uuid;

use super::bracket::Item;
use super::kind::{ANY_REFERENCE, KINDS, Kind, id};
use super::model::Model;

const STORAGE: Uuid = id("e199ca70-93cf-46ce-a54b-6edc88c3a296");
const UNIQUE: Uuid = id("fc01b5df-97fe-449b-83d4-218a090e681e");
/// Charts and defined types that stand in one another.
const DEPTH_MAX: usize = 8;

/// The type of a physical column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Reference,
    Uuid,
    Code,
    Tag,
    Boolean,
    Number(u32, u32),
    Date,
    /// Length; 0 without limit. True if it is padded to its length.
    Text(u32, bool),
    Blob,
    Version,
    /// A whole number of 2, 4 or 8 bytes.
    Whole(u8),
}

impl Stored {
    /// What a real column stores, by its type in PostgreSQL: what is derived, if the type is that; `None` for a type that no column
    /// of 1C has.
    pub(super) fn real(self, type_name: &str) -> Option<Self> {
        let (name, numbers) = type_name.split_once('(').unwrap_or((type_name, ""));
        let mut numbers = numbers
            .split([',', ')'])
            .map(|number| number.trim().parse());
        let mut number = || numbers.next().and_then(Result::ok);
        let is_bytes = || self.type_name() == "bytea";
        Some(match name.trim() {
            "bytea" if is_bytes() => self,
            "bytea" => Self::Blob,
            "boolean" => Self::Boolean,
            "numeric" => match (number(), number()) {
                (Some(precision), scale) => Self::Number(precision, scale.unwrap_or(0)),
                _ => return None,
            },
            "smallint" => Self::Whole(2),
            "integer" if self == Self::Version => self,
            "integer" => Self::Whole(4),
            "bigint" => Self::Whole(8),
            name if name.starts_with("timestamp") => Self::Date,
            "character varying" | "mvarchar" => Self::Text(number().unwrap_or(0), false),
            "character" | "mchar" => Self::Text(number()?, true),
            _ => return None,
        })
    }

    /// The type of SQL Server.
    pub(super) fn server_type(self) -> String {
        match self {
            Self::Reference | Self::Uuid => "binary(16)".into(),
            Self::Code => "binary(4)".into(),
            Self::Tag | Self::Boolean => "binary(1)".into(),
            Self::Number(precision, scale) => format!("numeric({precision},{scale})"),
            Self::Date => "datetime2(0)".into(),
            Self::Text(0, _) => "nvarchar(max)".into(),
            Self::Text(length, false) => format!("nvarchar({length})"),
            Self::Text(length, true) => format!("nchar({length})"),
            Self::Blob => "varbinary(max)".into(),
            Self::Version => "timestamp".into(),
            Self::Whole(2) => "smallint".into(),
            Self::Whole(4) => "int".into(),
            Self::Whole(_) => "bigint".into(),
        }
    }

    /// The type of PostgreSQL.
    pub(super) fn type_name(self) -> String {
        match self {
            Self::Reference | Self::Uuid | Self::Code | Self::Tag | Self::Blob => "bytea".into(),
            Self::Boolean => "boolean".into(),
            Self::Number(precision, scale) => format!("numeric({precision},{scale})"),
            Self::Date => "timestamp without time zone".into(),
            Self::Text(0, _) => "varchar".into(),
            Self::Text(length, false) => format!("varchar({length})"),
            Self::Text(length, true) => format!("char({length})"),
            Self::Whole(2) => "smallint".into(),
            Self::Version | Self::Whole(4) => "integer".into(),
            Self::Whole(_) => "bigint".into(),
        }
    }

    /// The logical type of a column that stands alone.
    pub(super) fn data_type(self, code: i32) -> DataType {
        match self {
            Self::Reference => DataType::Entity(code),
            Self::Uuid => DataType::Uuid,
            Self::Code | Self::Tag | Self::Blob => DataType::Binary,
            Self::Boolean => DataType::Boolean,
            Self::Number(..) => DataType::Decimal,
            Self::Date => DataType::DateTime,
            Self::Text(..) => DataType::Text,
            Self::Version | Self::Whole(_) => DataType::Integer,
        }
    }
}

/// To how many kinds and names a reference can lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Targets {
    #[default]
    None,
    /// To one object, by its place in the index.
    One(usize),
    Many,
}

impl Targets {
    pub(super) fn add(&mut self, object: usize) {
        *self = match *self {
            Self::None => Self::One(object),
            Self::One(known) if known == object => Self::One(known),
            Self::One(_) | Self::Many => Self::Many,
        };
    }

    pub(super) fn of(objects: impl IntoIterator<Item = usize>) -> Self {
        let mut targets = Self::None;
        objects.into_iter().for_each(|object| targets.add(object));
        targets
    }
}

/// What values a description allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) boolean: bool,
    pub(super) number: Option<(u32, u32)>,
    pub(super) date: bool,
    /// Length, and true if it is fixed.
    pub(super) text: Option<(u32, bool)>,
    pub(super) storage: bool,
    pub(super) unique: bool,
    pub(super) targets: Targets,
    /// A part of the description tells nothing: the real columns decide.
    pub(super) unknown: Option<Unknown>,
}

/// Why a part of a description tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Nothing that is read has this type; it may be of a kind that is not.
    Type(Uuid),
    /// The file of this type cannot be read.
    File(Uuid),
    Form,
    Depth,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(uuid) => write!(f, "type {uuid} is not known to 1C metadata"),
            Self::File(uuid) => write!(f, "file \"{uuid}\" of its type cannot be read"),
            Self::Form => f.write_str("the description of its type has another form"),
            Self::Depth => f.write_str("its type stands for too many others"),
        }
    }
}

/// A physical column as it is derived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) role: ColumnRole,
    pub(super) stored: Stored,
}

/// Reads `{"Pattern", …}`.
pub(super) fn resolve(pattern: Item<'_>, model: &Model<'_>) -> Resolved {
    let mut resolved = Resolved::default();
    add(pattern, model, &mut resolved, 0);
    resolved
}

fn add(pattern: Item<'_>, model: &Model<'_>, resolved: &mut Resolved, depth: usize) {
    if depth > DEPTH_MAX {
        resolved.unknown = Some(Unknown::Depth);
        return;
    }
    let small = |item: Item<'_>| {
        item.number()
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(0)
    };
    for part in pattern.items().skip(1) {
        match part.at(0).text().as_deref() {
            Some("B") => resolved.boolean = true,
            Some("N") => resolved.number = Some((small(part.at(1)), small(part.at(2)))),
            Some("D") => resolved.date = true,
            Some("S") => {
                let length = small(part.at(1));
                let fixed = length > 0 && part.at(2).number() == Some(0);
                resolved.text = Some((length, fixed));
            }
            Some("#") => match part.at(1).uuid() {
                Some(uuid) => add_uuid(uuid, model, resolved, depth),
                None => resolved.unknown = Some(Unknown::Form),
            },
            _ => resolved.unknown = Some(Unknown::Form),
        }
    }
}

fn add_uuid(uuid: Uuid, model: &Model<'_>, resolved: &mut Resolved, depth: usize) {
    let index = model.index;
    let general = KINDS.iter().find(|facts| facts.general == Some(uuid));
    if uuid == STORAGE {
        resolved.storage = true;
    } else if uuid == UNIQUE {
        resolved.unique = true;
    } else if let Some(chart) = index.by_alias(uuid) {
        add_other(chart, &[1, 18], model, resolved, depth);
    } else if uuid == ANY_REFERENCE {
        let kinds = KINDS.iter().filter(|facts| facts.kind.is_reference());
        let objects = kinds.flat_map(|facts| index.of(facts.kind));
        objects.for_each(|(object, _)| resolved.targets.add(object));
    } else if let Some(facts) = general {
        let mut objects = index.of(facts.kind).peekable();
        if objects.peek().is_none() {
            resolved.targets = Targets::Many;
        }
        objects.for_each(|(object, _)| resolved.targets.add(object));
    } else if let Some(object) = index.by_reference(uuid) {
        match index.objects[object].kind {
            Kind::DefinedType => add_other(object, &[1, 4], model, resolved, depth),
            _ => resolved.targets.add(object),
        }
    } else {
        resolved.unknown = Some(Unknown::Type(uuid));
    }
}

fn add_other(
    object: usize,
    path: &[usize],
    model: &Model<'_>,
    resolved: &mut Resolved,
    depth: usize,
) {
    match model.body(object) {
        Some(tree) => add(tree.root().path(path), model, resolved, depth + 1),
        None => resolved.unknown = Some(Unknown::File(model.object(object).uuid)),
    }
}

impl Resolved {
    /// A reference to these.
    pub(super) fn reference(targets: Targets) -> Self {
        Self {
            targets,
            ..Self::default()
        }
    }

    /// The columns that hold the value; none if no value can be stored, or if the real columns decide.
    pub(super) fn columns(&self, base: &str) -> Vec<Part> {
        let part = |ending: &str, role, stored| Part {
            name: format!("{base}{ending}"),
            role,
            stored,
        };
        if self.unique {
            return vec![part("", ColumnRole::Value, Stored::Uuid)];
        }
        if self.storage {
            return vec![part("", ColumnRole::Value, Stored::Blob)];
        }
        let mut scalars = Vec::new();
        if self.boolean {
            scalars.push(("_L", ColumnRole::Boolean, Stored::Boolean));
        }
        if let Some((precision, scale)) = self.number {
            scalars.push(("_N", ColumnRole::Number, Stored::Number(precision, scale)));
        }
        if self.date {
            scalars.push(("_T", ColumnRole::DateTime, Stored::Date));
        }
        if let Some((length, fixed)) = self.text {
            scalars.push(("_S", ColumnRole::Text, Stored::Text(length, fixed)));
        }
        match (&scalars[..], self.targets) {
            ([], Targets::None) => return Vec::new(),
            ([(_, _, stored)], Targets::None) => return vec![part("", ColumnRole::Value, *stored)],
            ([], Targets::One(_)) => {
                return vec![part("RRef", ColumnRole::Reference, Stored::Reference)];
            }
            _ => {}
        }
        let mut parts = vec![part("_TYPE", ColumnRole::Tag, Stored::Tag)];
        parts.extend(
            scalars
                .into_iter()
                .map(|(ending, role, stored)| part(ending, role, stored)),
        );
        if self.targets == Targets::Many {
            parts.push(part("_RTRef", ColumnRole::TypeCode, Stored::Code));
        }
        if self.targets != Targets::None {
            parts.push(part("_RRRef", ColumnRole::Reference, Stored::Reference));
        }
        parts
    }
}
