//! From types to columns, and from values to what stands in the columns.

use super::model::{Kind, Model, Object, Part, Value};

/// What a column of the database holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Holds {
    /// Bytes of this length.
    Bytes(u32),
    Blob,
    Boolean,
    Date,
    Version,
    Text(Option<u32>),
    Fixed(u32),
    Number(u32, u32),
}

impl Holds {
    /// The type in PostgreSQL.
    pub(super) fn pgsql(self) -> String {
        match self {
            Holds::Bytes(_) | Holds::Blob => "bytea".to_owned(),
            Holds::Boolean => "boolean".to_owned(),
            Holds::Date => "timestamp without time zone".to_owned(),
            Holds::Version => "integer".to_owned(),
            Holds::Text(None) => "varchar".to_owned(),
            Holds::Text(Some(length)) => format!("varchar({length})"),
            Holds::Fixed(length) => format!("char({length})"),
            Holds::Number(digits, scale) => format!("numeric({digits},{scale})"),
        }
    }

    /// The type in SQL Server.
    pub(super) fn mssql(self) -> String {
        match self {
            Holds::Bytes(length) => format!("binary({length})"),
            Holds::Blob => "varbinary(max)".to_owned(),
            Holds::Boolean => "binary(1)".to_owned(),
            Holds::Date => "datetime2(0)".to_owned(),
            Holds::Version => "timestamp".to_owned(),
            Holds::Text(None) => "nvarchar(max)".to_owned(),
            Holds::Text(Some(length)) => format!("nvarchar({length})"),
            Holds::Fixed(length) => format!("nchar({length})"),
            Holds::Number(digits, scale) => format!("numeric({digits},{scale})"),
        }
    }
}

/// A column of the database.
#[derive(Clone, Debug)]
pub(super) struct PhysicalColumn {
    pub(super) name: String,
    pub(super) holds: Holds,
    pub(super) nullable: bool,
}

impl PhysicalColumn {
    pub(super) fn new(name: impl Into<String>, holds: Holds) -> Self {
        Self {
            name: name.into(),
            holds,
            nullable: false,
        }
    }

    pub(super) fn nullable(self) -> Self {
        Self {
            nullable: true,
            ..self
        }
    }
}

/// Types without aliases.
#[derive(Default)]
struct Flat<'a> {
    scalars: Vec<(&'static str, Holds)>,
    references: Vec<&'a Object>,
}

/// Ways to keep a value of one type, in the order of the columns.
const ORDER: [&str; 4] = ["_L", "_N", "_T", "_S"];

fn flatten<'a>(model: &'a Model, types: &[Part]) -> Flat<'a> {
    let mut flat = Flat::default();
    for part in types {
        match *part {
            Part::Boolean => flat.scalars.push(("_L", Holds::Boolean)),
            Part::Number(digits, scale) => flat.scalars.push(("_N", Holds::Number(digits, scale))),
            Part::Date | Part::Day => flat.scalars.push(("_T", Holds::Date)),
            Part::Text => flat.scalars.push(("_S", Holds::Text(None))),
            Part::TextOf(length) => flat.scalars.push(("_S", Holds::Text(Some(length)))),
            Part::FixedText(length) => flat.scalars.push(("_S", Holds::Fixed(length))),
            Part::Storage => flat.scalars.push(("", Holds::Blob)),
            Part::Uuid => flat.scalars.push(("", Holds::Bytes(16))),
            Part::To(kind, name) => flat.references.push(model.object(kind, name)),
            Part::Any(wanted) => flat.references.extend(
                model
                    .objects
                    .iter()
                    .filter(|o| o.kind.is_reference() && wanted.is_none_or(|kind| kind == o.kind)),
            ),
            Part::Defined(name) => {
                return flatten(model, &model.object(Kind::DefinedType, name).value);
            }
            Part::Characteristics(name) => {
                return flatten(model, &model.object(Kind::Characteristics, name).value);
            }
        }
    }
    flat.scalars
        .sort_by_key(|(ending, _)| ORDER.iter().position(|known| known == ending));
    flat
}

/// The columns of a value on a base name.
pub(super) fn columns(model: &Model, base: &str, types: &[Part]) -> Vec<PhysicalColumn> {
    let flat = flatten(model, types);
    let column = |ending: &str, holds| PhysicalColumn::new(format!("{base}{ending}"), holds);
    match (&flat.scalars[..], &flat.references[..]) {
        ([(_, holds)], []) => vec![column("", *holds)],
        ([], [_]) => vec![column("RRef", Holds::Bytes(16))],
        (scalars, references) => {
            let mut columns = vec![column("_TYPE", Holds::Bytes(1))];
            columns.extend(scalars.iter().map(|(ending, holds)| column(ending, *holds)));
            if references.len() > 1 {
                columns.push(column("_RTRef", Holds::Bytes(4)));
            }
            if !references.is_empty() {
                columns.push(column("_RRRef", Holds::Bytes(16)));
            }
            columns
        }
    }
}

/// The 16 bytes of a reference whose uuid 1C writes so.
pub(super) fn raw(uuid: uuid::Uuid) -> [u8; 16] {
    let text = uuid.as_bytes();
    let mut raw = [0; 16];
    raw[..8].copy_from_slice(&text[8..]);
    raw[8..10].copy_from_slice(&text[6..8]);
    raw[10..12].copy_from_slice(&text[4..6]);
    raw[12..].copy_from_slice(&text[..4]);
    raw
}

/// Hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(value: &[u8]) -> String {
    format!("'\\x{}'", hex(value))
}

fn date(text: &str, years: u32) -> String {
    let (year, rest) = text.split_at(4);
    let year: u32 = year.parse().expect("a date begins with its year");
    format!("'{:04}{rest}'", year + years)
}

fn empty(holds: Holds, ending: &str, years: u32) -> String {
    match holds {
        Holds::Bytes(_) if ending == "_TYPE" => bytes(&[1]),
        Holds::Bytes(length) => bytes(&vec![0; length as usize]),
        Holds::Blob => bytes(&[]),
        Holds::Boolean => "false".to_owned(),
        Holds::Date => date("0001-01-01 00:00:00", years),
        Holds::Version | Holds::Number(..) => "0".to_owned(),
        Holds::Text(_) | Holds::Fixed(_) => "''".to_owned(),
    }
}

/// The literals of PostgreSQL for one property, one for each of its columns.
pub(super) fn literals(
    model: &Model,
    columns: &[PhysicalColumn],
    value: Option<&Value>,
    years: u32,
) -> Vec<String> {
    let single = columns.len() == 1;
    let tagged = columns[0].name.ends_with("_TYPE");
    let literal = |column: &PhysicalColumn| {
        let ending = column
            .name
            .rsplit_once('_')
            .map_or("", |(_, ending)| ending);
        let of = |wanted: &str| single || ending.ends_with(wanted);
        let known = match value {
            None if column.nullable => Some("NULL".to_owned()),
            None => None,
            Some(value) if tagged && ending == "TYPE" => Some(bytes(&[tag(value)])),
            Some(Value::Boolean(value)) => of("L").then(|| value.to_string()),
            Some(Value::Number(value)) => of("N").then(|| (*value).to_owned()),
            Some(Value::Date(value)) => of("T").then(|| date(value, years)),
            Some(Value::Text(value)) => of("S").then(|| format!("'{}'", value.replace('\'', "''"))),
            Some(Value::Bytes(value)) => Some(bytes(value)),
            Some(Value::Uuid(uuid)) => Some(bytes(&raw(*uuid))),
            Some(Value::To(kind, name, uuid)) => match ending.ends_with("TRef") {
                true => Some(bytes(&model.code(model.object(*kind, name)).to_be_bytes())),
                false => of("RRef").then(|| bytes(&raw(*uuid))),
            },
        };
        known.unwrap_or_else(|| {
            let ending = if tagged {
                format!("_{ending}")
            } else {
                String::new()
            };
            empty(column.holds, &ending, years)
        })
    };
    columns.iter().map(literal).collect()
}

fn tag(value: &Value) -> u8 {
    match value {
        Value::Boolean(_) => 2,
        Value::Number(_) => 3,
        Value::Date(_) => 4,
        Value::Text(_) => 5,
        Value::Bytes(_) | Value::Uuid(_) => 6,
        Value::To(..) => 8,
    }
}
