//! The world of a case: tables, records and answers as text.
//!
//! ```text
//! == facts
//! РегистрСведений.Цены empty
//!   Период datetime
//!   Номенклатура entity(36)
//!   Узел entity null two
//!   Версия binary generated
//! == records
//! [1,"текст"]
//! == answers
//! [{"Код":"1"}]
//! ```
//!
//! A line `Перечисление.СтавкиНДС.НДС10 = {37:…}` tells of a value, `Справочник.Номенклатура # 36` of an object of metadata.
//!
//! `empty`: unnamed columns get the empty value of their type. `two`: a reference in two columns, `tagged`: with a tag beside.
//! A `union` holds numbers, texts and references, with `boolean` those too, `bare` no texts; `union(36)` references of one kind.

use std::collections::VecDeque;
use std::sync::Arc;

use dajet_core::schema::{
    Column, ColumnRole, Defaults, Known, MetadataKey, MetadataObject, PhysicalColumn, Table,
};
use dajet_core::{Answer, DataType, Entity, Record, Schema, Shape, TableKey, Value};

/// Tables, records and answers.
#[derive(Default)]
pub struct World {
    tables: Vec<Arc<Table>>,
    values: Vec<(Arc<str>, Entity)>,
    objects: Vec<Arc<MetadataObject>>,
    pub records: VecDeque<Record>,
    answers: VecDeque<Value>,
}

impl World {
    /// Reads the sections.
    pub fn read(facts: &str, records: &str, answers: &str) -> Self {
        let mut tables: Vec<Table> = Vec::new();
        let (mut values, mut objects) = (Vec::new(), Vec::new());
        for line in facts.lines().filter(|line| !line.trim().is_empty()) {
            if let Some((name, value)) = line.split_once(" = ") {
                let value = dajet_core::value::parse_entity(value).expect("a reference");
                values.push((name.into(), value));
                continue;
            }
            if let Some((name, code)) = line.split_once(" # ") {
                objects.push(Arc::new(object(name, code.parse().expect("a code"))));
                continue;
            }
            match (line.strip_prefix("  "), tables.last_mut()) {
                (Some(column), Some(table)) => table.columns.push(read_column(column)),
                _ => tables.push(read_table(line)),
            }
        }
        let value = |line: &str| Value::from_json(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        let record = |line: &str| match value(line) {
            Value::Array(items) => items,
            other => vec![other],
        };
        Self {
            tables: tables.into_iter().map(Arc::new).collect(),
            values,
            objects,
            records: records.lines().map(record).collect(),
            answers: answers.lines().map(value).collect(),
        }
    }

    /// What the catalog says about these names.
    pub fn schema(&self, names: &[Arc<str>]) -> Schema {
        let find = |name: &Arc<str>| {
            let known = dajet_core::schema::find(&self.tables, name, |table| &table.name);
            (Arc::clone(name), known.cloned())
        };
        let value = |name: &Arc<str>| {
            let known = dajet_core::schema::find(&self.values, name, |(known, _)| known);
            known.map(|(_, value)| (Arc::clone(name), *value))
        };
        let tables = self.tables.iter().map(|table| Arc::clone(&table.name));
        let values = self.values.iter().map(|(name, _)| Arc::clone(name));
        Schema {
            tables: names.iter().map(find).collect(),
            suggestions: tables.chain(values).collect(),
            reasons: Vec::new(),
            values: names.iter().filter_map(value).collect(),
        }
    }

    /// What is known of a name or code.
    pub fn known(&self, key: &MetadataKey) -> Known {
        let object = self.objects.iter().find(|object| match key {
            MetadataKey::Name(name) => object.full_name.to_lowercase() == name.to_lowercase(),
            MetadataKey::Code(code) => object.code == *code,
        });
        let mut known = Known {
            object: object.cloned(),
            ..Known::default()
        };
        if let MetadataKey::Name(name) = key {
            let schema = self.schema(std::slice::from_ref(name));
            known.value = schema.value(name);
            known.table = schema.table(name).cloned();
            known.suggestions = schema.suggestions;
        }
        known
    }

    /// The next answer: an array of objects.
    pub fn answer(&mut self) -> Answer {
        let Some(Value::Array(items)) = self.answers.pop_front() else {
            return Answer::default();
        };
        let mut shape = Arc::default();
        let mut rows = Vec::new();
        for item in items {
            let Value::Object(object) = item else {
                panic!("an answer is an array of objects")
            };
            shape = Shape::new(object.members.iter().map(|(name, _)| Arc::clone(name)));
            rows.push(object.members.into_iter().map(|(_, value)| value).collect());
        }
        Answer {
            shape,
            groups: vec![rows],
        }
    }
}

fn object(name: &str, code: i32) -> MetadataObject {
    let (kind, own) = name.split_once('.').expect("two parts");
    MetadataObject {
        uuid: uuid::Uuid::from_u128(code as u128),
        code,
        kind: kind.into(),
        name: own.into(),
        full_name: name.into(),
        table: Some(format!("_table{code}").into()),
        owner: None,
    }
}

fn read_table(line: &str) -> Table {
    let (name, defaults) = match line.trim().strip_suffix(" empty") {
        Some(name) => (name, Defaults::EmptyValue),
        None => (line.trim(), Defaults::Database),
    };
    Table {
        name: name.into(),
        physical: name.split('.').map(Arc::from).collect(),
        columns: Vec::new(),
        key: TableKey::RowAddress,
        defaults,
        lacking: Vec::new(),
        reasons: Vec::new(),
        version: None,
    }
}

fn read_column(line: &str) -> Column {
    let mut words = line.split_whitespace();
    let name = words.next().expect("a column has a name");
    let type_name = words.next().expect("a column has a type");
    let flags: Vec<&str> = words.collect();
    let code_of = |word| {
        let code = type_name.strip_prefix(word)?.strip_prefix('(')?;
        let code = code.strip_suffix(')')?.parse();
        Some(code.expect("a type code is a number"))
    };
    let only_code: Option<i32> = code_of("union");
    let data_type = match (type_name, code_of("entity")) {
        ("boolean", _) => DataType::Boolean,
        ("integer", _) => DataType::Integer,
        ("decimal", _) => DataType::Decimal,
        ("datetime", _) => DataType::DateTime,
        ("string", _) => DataType::Text,
        ("binary", _) => DataType::Binary,
        ("uuid", _) => DataType::Uuid,
        ("union", _) => DataType::Union,
        _ if only_code.is_some() => DataType::Union,
        ("entity", _) => DataType::Entity(0),
        (_, Some(code)) => DataType::Entity(code),
        (other, _) => panic!("unknown type {other}"),
    };
    let part = |suffix: &str, role| PhysicalColumn {
        name: format!("{name}{suffix}").into(),
        role,
        type_name: "?".into(),
        nullable: flags.contains(&"null"),
        generated: flags.contains(&"generated"),
    };
    let parts = match data_type {
        DataType::Union => {
            let mut parts = vec![part("_TYPE", ColumnRole::Tag)];
            if flags.contains(&"boolean") {
                parts.push(part("_L", ColumnRole::Boolean));
            }
            parts.push(part("_N", ColumnRole::Number));
            if !flags.contains(&"bare") {
                parts.push(part("_S", ColumnRole::Text));
            }
            if only_code.is_none() {
                parts.push(part("_RTRef", ColumnRole::TypeCode));
            }
            parts.push(part("_RRRef", ColumnRole::Reference));
            parts
        }
        DataType::Entity(_) if flags.contains(&"tagged") => vec![
            part("_TYPE", ColumnRole::Tag),
            part("_RTRef", ColumnRole::TypeCode),
            part("_RRRef", ColumnRole::Reference),
        ],
        DataType::Entity(_) if flags.contains(&"two") => {
            vec![
                part("_TRef", ColumnRole::TypeCode),
                part("_RRef", ColumnRole::Reference),
            ]
        }
        DataType::Entity(_) => vec![part("_RRef", ColumnRole::Reference)],
        _ => vec![part("", ColumnRole::Value)],
    };
    Column {
        reference_code: only_code.unwrap_or(0),
        ..Column::new(name.into(), data_type, parts)
    }
}
