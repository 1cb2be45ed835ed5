//! The cross-check of a derived table with the real one: real columns decide.

use std::sync::Arc;

use dajet_core::schema::{ColumnRole, fold};
use dajet_core::{Column, DataType, PhysicalColumn};
use rustc_hash::FxHashMap;

use super::derived::{Derived, Property};
use super::types::{Part, Stored};

/// Endings of columns that hold parts of one value, in small letters.
const ENDINGS: [(&str, &str, ColumnRole, Stored); 9] = [
    ("_type", "_TYPE", ColumnRole::Tag, Stored::Tag),
    ("_l", "_L", ColumnRole::Boolean, Stored::Boolean),
    ("_n", "_N", ColumnRole::Number, Stored::Number(0, 0)),
    ("_t", "_T", ColumnRole::DateTime, Stored::Date),
    ("_s", "_S", ColumnRole::Text, Stored::Text(0, false)),
    ("_rtref", "_RTRef", ColumnRole::TypeCode, Stored::Code),
    ("_rrref", "_RRRef", ColumnRole::Reference, Stored::Reference),
    ("tref", "TRef", ColumnRole::TypeCode, Stored::Code),
    ("rref", "RRef", ColumnRole::Reference, Stored::Reference),
];

/// A real column, and the logical type that its database takes it for.
pub(crate) type Real = (PhysicalColumn, DataType);

/// The columns of a table as they are, and what was found on the way.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The properties in the order of their derivation; behind them what is not derived and wants a value.
    pub(crate) columns: Vec<Column>,
    /// Lower-case fragments: what differs.
    pub(crate) warnings: Vec<String>,
    /// The names of properties that have no column, in all languages.
    pub(crate) lacking: Vec<String>,
}

/// Joins a derived table with its real columns; the derived table then says what is there.
pub(crate) fn check(derived: &mut Derived, real: &[Real], year_offset: i16) -> Checked {
    let by_name: FxHashMap<String, usize> = real
        .iter()
        .enumerate()
        .map(|(place, (column, _))| (column.name.to_ascii_lowercase(), place))
        .collect();
    let mut used = vec![false; real.len()];
    let mut checked = Checked {
        columns: Vec::with_capacity(derived.properties.len()),
        warnings: Vec::new(),
        lacking: Vec::new(),
    };
    let (table, reasons) = (derived.table.clone(), &mut derived.reasons);
    derived.properties.retain_mut(|property| {
        let found = found(property, &by_name);
        if found.iter().any(|(_, place)| used[*place]) {
            let (name, base) = (&property.name, &property.base);
            reasons.push((
                name.clone(),
                format!(
                    "Its column \"{base}\" is that of another property: \"DBNames\" is damaged."
                ),
            ));
            checked.warnings.push(format!(
                "property \"{name}\" is left out: its column \"{base}\" is that of another one"
            ));
            return false;
        }
        if found.is_empty() {
            if !property.optional {
                let name = &property.name;
                let columns: Vec<&str> = property.parts.iter().map(|part| &*part.name).collect();
                let columns = match columns.is_empty() {
                    true => property.base.clone(),
                    false => columns.join(", "),
                };
                checked.lacking.push(name.clone());
                checked.lacking.extend(property.aliases.iter().cloned());
                checked.warnings.push(format!(
                    "property \"{name}\" is left out: table \"{table}\" has no column \"{columns}\""
                ));
            }
            return false;
        }
        found.iter().for_each(|(_, place)| used[*place] = true);
        let parts: Vec<&Real> = found.iter().map(|(_, place)| &real[*place]).collect();
        property.parts = found.into_iter().map(|(part, _)| part).collect();
        let column = column(property, &parts, year_offset, &mut checked.warnings);
        checked.columns.push(column);
        true
    });
    unnamed(real, &used, year_offset, &mut checked.columns);
    checked
}

/// The columns of a property that are there: those derived, or others of the same base.
fn found(property: &Property, by_name: &FxHashMap<String, usize>) -> Vec<(Part, usize)> {
    let base = property.base.to_ascii_lowercase();
    let place = |name: &str| by_name.get(&name.to_ascii_lowercase()).copied();
    let mut found: Vec<(Part, usize)> = Vec::new();
    if let Some(place) = place(&base) {
        let derived = property
            .parts
            .iter()
            .find(|part| part.name.to_ascii_lowercase() == base);
        let part = derived.cloned().unwrap_or(Part {
            name: property.base.clone(),
            role: ColumnRole::Value,
            stored: Stored::Blob,
        });
        return vec![(part, place)];
    }
    for (ending, written, role, stored) in ENDINGS {
        let Some(place) = place(&format!("{base}{ending}")) else {
            continue;
        };
        let name = format!("{}{written}", property.base);
        let derived = property.parts.iter().find(|part| part.name == name);
        let part = derived.cloned().unwrap_or(Part { name, role, stored });
        if !found.iter().any(|(known, _)| known.role == part.role) {
            found.push((part, place));
        }
    }
    found
}

fn column(
    property: &mut Property,
    real: &[&Real],
    year_offset: i16,
    warnings: &mut Vec<String>,
) -> Column {
    let mut data_type = Property::data_type(&property.parts, property.code);
    if let ([part], [(physical, real_type)]) = (&mut property.parts[..], real) {
        let fits = match (data_type, real_type) {
            (DataType::Entity(_) | DataType::Uuid | DataType::Binary, DataType::Binary) => true,
            (derived, real) => derived == *real,
        };
        if !fits {
            if part.stored != Stored::Blob && part.stored != Stored::Version {
                let (name, column, stored) = (&property.name, &physical.name, &physical.type_name);
                warnings.push(format!(
                    "property \"{name}\" has the type of its column \"{column}\": {stored}"
                ));
            }
            data_type = *real_type;
            part.stored = stored_of(*real_type);
        }
    }
    for (part, (physical, _)) in property.parts.iter_mut().zip(real) {
        part.stored = part.stored.real(&physical.type_name).unwrap_or(part.stored);
    }
    let parts = property
        .parts
        .iter()
        .zip(real)
        .map(|(part, (physical, _))| PhysicalColumn {
            role: part.role,
            ..physical.clone()
        });
    let stores_code = property
        .parts
        .iter()
        .any(|part| part.role == ColumnRole::TypeCode);
    Column {
        reference_code: if stores_code { 0 } else { property.code },
        aliases: property
            .aliases
            .iter()
            .map(|alias| Arc::from(alias.as_str()))
            .collect(),
        year_offset,
        ..Column::new(property.name.as_str().into(), data_type, parts.collect())
    }
}

fn stored_of(data_type: DataType) -> Stored {
    match data_type {
        DataType::Boolean => Stored::Boolean,
        DataType::Integer => Stored::Whole(8),
        DataType::Decimal => Stored::Number(38, 0),
        DataType::DateTime => Stored::Date,
        DataType::Uuid => Stored::Uuid,
        DataType::Text => Stored::Text(0, false),
        DataType::Binary | DataType::Entity(_) | DataType::Union | DataType::Any => Stored::Blob,
    }
}

/// Columns that nothing derives and that want a value in every row: they have the names of the database.
fn unnamed(real: &[Real], used: &[bool], year_offset: i16, columns: &mut Vec<Column>) {
    for ((physical, data_type), used) in real.iter().zip(used) {
        let name = &physical.name;
        let taken = columns
            .iter()
            .any(|column| fold(&column.name) == fold(name));
        if *used || taken || physical.nullable || physical.generated {
            continue;
        }
        let lower = name.to_ascii_lowercase();
        let role = match data_type {
            DataType::Binary => ENDINGS
                .iter()
                .find(|(ending, ..)| lower.ends_with(ending))
                .map_or(ColumnRole::Value, |(_, _, role, _)| *role),
            _ => ColumnRole::Value,
        };
        let part = PhysicalColumn {
            role,
            ..physical.clone()
        };
        columns.push(Column {
            year_offset,
            ..Column::new(Arc::clone(name), *data_type, vec![part])
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::derived::fixed;
    use super::*;

    fn real(name: &str, data_type: DataType) -> Real {
        let physical = PhysicalColumn {
            name: name.into(),
            role: ColumnRole::Value,
            type_name: "x".into(),
            nullable: false,
            generated: false,
        };
        (physical, data_type)
    }

    fn derived(properties: Vec<Property>) -> Derived {
        Derived {
            name: "Справочник.Ёлки".into(),
            table: "_Reference36".into(),
            code: 36,
            properties,
            reasons: Vec::new(),
        }
    }

    #[test]
    fn real_columns_decide() {
        let mut source = Property {
            name: "Источник".into(),
            aliases: Vec::new(),
            base: "_Fld47".into(),
            parts: vec![],
            code: 0,
            optional: false,
            unknown: None,
        };
        source.parts = vec![super::super::derive::part(
            "_Fld47",
            "RRef",
            Stored::Reference,
        )];
        let twin = Property {
            name: "Двойник".into(),
            ..source.clone()
        };
        let mut derived = derived(vec![
            fixed("Код", &["Code"], "_Code", Stored::Text(9, false)),
            source,
            twin,
            fixed("Вес", &[], "_Fld41", Stored::Number(9, 0)),
            fixed("Период", &[], "_Period", Stored::Date),
            Property {
                name: "Поставщик".into(),
                base: "_Fld43".into(),
                parts: vec![super::super::derive::part(
                    "_Fld43",
                    "RRef",
                    Stored::Reference,
                )],
                ..fixed("", &[], "", Stored::Reference)
            },
        ]);
        let real = [
            real("_code", DataType::Decimal),
            real("_fld47_type", DataType::Binary),
            real("_fld47_rtref", DataType::Binary),
            real("_fld47_rrref", DataType::Binary),
            real("_period", DataType::DateTime),
            real("_fld999rref", DataType::Binary),
        ];
        let checked = check(&mut derived, &real, 2000);
        let names: Vec<&str> = checked.columns.iter().map(|column| &*column.name).collect();
        assert_eq!(names, ["Код", "Источник", "Период", "_fld999rref"]);
        assert_eq!(checked.columns[0].data_type, DataType::Decimal);
        assert_eq!(checked.columns[1].data_type, DataType::Entity(0));
        assert_eq!(checked.columns[1].parts.len(), 3);
        assert_eq!(checked.columns[2].year_offset, 2000);
        assert_eq!(checked.columns[3].parts[0].role, ColumnRole::Reference);
        assert_eq!(checked.warnings.len(), 4, "{:?}", checked.warnings);
        assert_eq!(derived.reasons.len(), 1);
        assert_eq!(derived.reasons[0].0, "Двойник");
        assert!(checked.warnings[2].contains("no column \"_Fld41\""));
        assert!(checked.warnings[3].contains("no column \"_Fld43RRef\""));
        assert_eq!(derived.lines().len(), 3);
        assert_eq!(
            derived.lines()[1].columns,
            "_Fld47_TYPE,_Fld47_RTRef,_Fld47_RRRef"
        );
    }
    #[test]
    fn the_types_of_a_mapping_file_are_those_of_the_real_columns() {
        let check = |derived: Stored, real_type: &str, data_type, types: [&str; 2]| {
            let mut derived = self::derived(vec![fixed("Вес", &[], "_Fld41", derived)]);
            let (mut column, _) = real("_fld41", data_type);
            column.type_name = real_type.into();
            self::check(&mut derived, &[(column, data_type)], 0);
            let line = derived.lines().remove(0);
            assert_eq!([&*line.server_types, &*line.types], types, "{real_type}");
        };
        let (text, number) = (Stored::Text(11, false), Stored::Number(15, 3));
        check(
            text,
            "mvarchar(11)",
            DataType::Text,
            ["nvarchar(11)", "varchar(11)"],
        );
        check(
            text,
            "character(11)",
            DataType::Text,
            ["nchar(11)", "char(11)"],
        );
        check(
            text,
            "character varying",
            DataType::Text,
            ["nvarchar(max)", "varchar"],
        );
        check(
            number,
            "numeric(17,4)",
            DataType::Decimal,
            ["numeric(17,4)", "numeric(17,4)"],
        );
        check(number, "bigint", DataType::Integer, ["bigint", "bigint"]);
        check(
            number,
            "character(6)",
            DataType::Text,
            ["nchar(6)", "char(6)"],
        );
        check(
            Stored::Blob,
            "numeric(10,0)",
            DataType::Decimal,
            ["numeric(10,0)", "numeric(10,0)"],
        );
        check(
            Stored::Reference,
            "bytea",
            DataType::Binary,
            ["binary(16)", "bytea"],
        );
        check(
            Stored::Version,
            "integer",
            DataType::Integer,
            ["timestamp", "integer"],
        );
        check(
            Stored::Date,
            "timestamp(0) without time zone",
            DataType::DateTime,
            ["datetime2(0)", "timestamp without time zone"],
        );
    }
}
