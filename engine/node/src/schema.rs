//! `dajet schema`: the tables of a database under the names that scripts use, their properties and columns.

use std::sync::Arc;

use clap::ValueEnum;
use dajet_core::schema::{ColumnRole, MappingLine, MetadataKey, fold};
use dajet_core::{
    Address, Column, DataType, PhysicalColumn, Service, SystemError, Table, TableKey,
};
use serde_json::{Value as Json, json};

use crate::config::Settings;
use crate::error::{Exit, HostError};
use crate::host;
use crate::screen::Screen;

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// A mapping file, as `?map=FILE` takes it.
    Tsv,
}

/// First line of a mapping file.
const HEAD: &str =
    "# logical name\ttable\tcolumns\tSQL Server types\tPostgreSQL types\tmain type code";

/// Prints the schema of a database, or what is called `name` in it.
///
/// # Errors
/// An address of no database, a database that cannot be asked, a name that it does not know.
pub fn schema(
    address: &str,
    name: Option<&str>,
    format: Format,
    settings: &Settings,
    screen: &Screen,
) -> Result<Exit, HostError> {
    let address = Address::new(address);
    let failed = |source| HostError::Database {
        address: address.clone(),
        source,
    };
    let service = host::services(settings).open(&address).map_err(failed)?;
    let asking = async {
        let names = service.names().await?;
        let found = Found::of(&*service, name, &names).await?;
        let text = match &found {
            Some(found) => Some(found.text(&*service, format).await?),
            None => None,
        };
        Ok((text, names))
    };
    let (text, names) = host::block_on(asking)?.map_err(failed)?;
    let Some(text) = text else {
        let name = name.unwrap_or_default();
        let owner = host::block_on(owner(&*service, name))?.map_err(failed)?;
        let known = names.iter().map(|name| &**name);
        let unknown = HostError::unknown("table", name, known);
        return Err(match (unknown, owner) {
            (HostError::Usage { message, .. }, Some(hint)) => HostError::Usage {
                message,
                hint: Some(hint),
            },
            (unknown, _) => unknown,
        });
    };
    if name.is_none() && names.is_empty() {
        screen.say(&format!("\"{address}\" has no tables"));
    }
    screen
        .out(text.trim_end())
        .map(|()| Exit::Success)
        .map_err(HostError::Output)
}

/// What to do if the name is that of a property, not of a table.
async fn owner(service: &dyn Service, name: &str) -> Result<Option<String>, SystemError> {
    let Some((owner, property)) = name.rsplit_once('.') else {
        return Ok(None);
    };
    let schema = service.describe(&[owner.into()]).await?;
    let table = schema.tables.into_iter().find_map(|(_, table)| table);
    Ok(table.and_then(|table| {
        let property = &table.column(property)?.name;
        let table = &table.name;
        Some(format!(
            "\"{property}\" is a property of \"{table}\": ask for the table."
        ))
    }))
}

/// What a name means.
struct Found {
    /// The table of just this name.
    table: Option<Arc<Table>>,
    /// Its name as the catalog has it, folded.
    own: String,
    /// The names of the table and of what belongs to it, or of everything.
    names: Vec<Arc<str>>,
}

impl Found {
    /// None if nothing is called so.
    async fn of(
        service: &dyn Service,
        name: Option<&str>,
        names: &[Arc<str>],
    ) -> Result<Option<Self>, SystemError> {
        let Some(name) = name else {
            let names = names.to_vec();
            let own = String::new();
            return Ok(Some(Self {
                table: None,
                own,
                names,
            }));
        };
        let asked: Arc<str> = name.into();
        let schema = service.describe(&[Arc::clone(&asked)]).await?;
        let object = service.metadata(&MetadataKey::Name(asked)).await?;
        // In the language and the letters of the catalog.
        let own = object.map_or_else(|| fold(name), |object| fold(&object.full_name));
        let part = format!("{own}.");
        let belongs = |known: &&Arc<str>| {
            let known = fold(known);
            known == own || known.starts_with(&part)
        };
        let names: Vec<Arc<str>> = names.iter().filter(belongs).cloned().collect();
        let table = schema.tables.into_iter().find_map(|(_, table)| table);
        let nothing = table.is_none() && names.is_empty();
        Ok((!nothing).then_some(Self { table, own, names }))
    }

    async fn text(&self, service: &dyn Service, format: Format) -> Result<String, SystemError> {
        match (format, &self.table) {
            (Format::Tsv, _) => self.mapping(service).await,
            (Format::Json, None) => {
                let names: Vec<&str> = self.names.iter().map(|name| &**name).collect();
                Ok(format!("{:#}", json!(names)))
            }
            (Format::Json, Some(table)) => {
                let mut json = json_of(table, &object_names(service, table).await?);
                json["parts"] = json!(self.parts());
                Ok(format!("{json:#}"))
            }
            (Format::Text, None) => Ok(self.names.join("\n")),
            (Format::Text, Some(table)) => {
                let mut text = text_of(table, &object_names(service, table).await?);
                let parts = self.parts();
                if !parts.is_empty() {
                    text.push_str("\n\n");
                    text.push_str(&parts.join("\n"));
                }
                Ok(text)
            }
        }
    }

    /// What belongs to the table without being it.
    fn parts(&self) -> Vec<&str> {
        let names = self.names.iter().map(|name| &**name);
        names.filter(|name| fold(name) != self.own).collect()
    }

    /// The mapping file: what the metadata says, else what the catalog says of each table.
    async fn mapping(&self, service: &dyn Service) -> Result<String, SystemError> {
        let mut names = self.names.clone();
        if names.is_empty() {
            names.extend(self.table.iter().map(|table| Arc::clone(&table.name)));
        }
        let mut lines = service.mapping(&names).await?;
        if lines.is_empty() {
            let schema = service.describe(&names).await?;
            let tables = schema.tables.iter().filter_map(|(_, table)| table.as_ref());
            lines = tables.flat_map(|table| lines_of(table)).collect();
        }
        let mut text = HEAD.to_owned();
        for line in lines {
            text.push('\n');
            text.push_str(&line.to_string());
        }
        Ok(text)
    }
}

/// The objects that the columns of a table may refer to, where there is one for a column.
async fn object_names(
    service: &dyn Service,
    table: &Table,
) -> Result<Vec<Option<Arc<str>>>, SystemError> {
    let mut names = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        names.push(match column.data_type {
            DataType::Entity(code) if code > 0 => {
                let object = service.metadata(&MetadataKey::Code(code)).await?;
                object.map(|object| Arc::clone(&object.full_name))
            }
            _ => None,
        });
    }
    Ok(names)
}

fn physical_name(table: &Table) -> String {
    table.physical.join(".")
}

fn key_of(table: &Table) -> &[Arc<str>] {
    match &table.key {
        TableKey::Columns(columns) => columns,
        TableKey::RowAddress => &[],
    }
}

fn type_name(data_type: DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Integer => "integer".to_owned(),
        DataType::Decimal => "decimal".to_owned(),
        DataType::DateTime => "datetime".to_owned(),
        DataType::Text => "string".to_owned(),
        DataType::Binary => "binary".to_owned(),
        DataType::Uuid => "uuid".to_owned(),
        DataType::Entity(0) => "entity".to_owned(),
        DataType::Entity(code) => format!("entity {code}"),
        DataType::Union => "union".to_owned(),
        DataType::Any => "any".to_owned(),
    }
}

fn text_of(table: &Table, objects: &[Option<Arc<str>>]) -> String {
    let mut text = format!("{}, table {}", table.name, physical_name(table));
    let key = key_of(table);
    if !key.is_empty() {
        text.push_str(&format!(", key {}", key.join(", ")));
    }
    text.push_str("\n\n");
    let heads = [
        "PROPERTY",
        "TYPE",
        "COLUMNS",
        "TYPES OF THE DATABASE",
        "NULL",
    ];
    let mut rows = vec![heads.map(str::to_owned)];
    for (column, object) in table.columns.iter().zip(objects) {
        let of = object.as_ref().map(|name| format!(" {name}"));
        let data_type = type_name(column.data_type) + &of.unwrap_or_default();
        // Further columns of a property stand under its first one.
        let mut property = [column.name.to_string(), data_type];
        rows.extend(column.parts.iter().map(|part| {
            let [name, data_type] = std::mem::take(&mut property);
            let null = if part.nullable { "yes" } else { "" };
            let (column, of) = (part.name.to_string(), part.type_name.to_string());
            [name, data_type, column, of, null.to_owned()]
        }));
    }
    let width = |place: usize| {
        let widths = rows
            .iter()
            .map(|row: &[String; 5]| row[place].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: [usize; 5] = std::array::from_fn(width);
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    });
    text + &lines.collect::<Vec<_>>().join("\n")
}

fn json_of(table: &Table, objects: &[Option<Arc<str>>]) -> Json {
    let part = |part: &PhysicalColumn| {
        json!({
            "name": &*part.name,
            "type": &*part.type_name,
            "role": role_name(part.role),
            "nullable": part.nullable,
            "generated": part.generated,
        })
    };
    let columns = table.columns.iter().zip(objects).map(|(column, object)| {
        json!({
            "name": &*column.name,
            "type": type_name(column.data_type),
            "object": object.as_deref(),
            "columns": column.parts.iter().map(part).collect::<Vec<_>>(),
        })
    });
    let key: Vec<&str> = key_of(table).iter().map(|name| &**name).collect();
    json!({
        "name": &*table.name,
        "table": physical_name(table),
        "key": key,
        "properties": columns.collect::<Vec<_>>(),
    })
}

fn role_name(role: ColumnRole) -> &'static str {
    match role {
        ColumnRole::Value => "value",
        ColumnRole::Tag => "tag",
        ColumnRole::Boolean => "boolean",
        ColumnRole::Number => "number",
        ColumnRole::DateTime => "datetime",
        ColumnRole::Text => "string",
        ColumnRole::TypeCode => "code",
        ColumnRole::Reference => "reference",
    }
}

/// What a mapping file says of a table whose database has no metadata. Of types only the family counts there.
fn lines_of(table: &Table) -> Vec<MappingLine> {
    let own = |column: &Column| match (column.data_type, column.single()) {
        (DataType::Entity(code), Some(part)) if fold(&part.name) == "_idrref" => Some(code),
        _ => None,
    };
    let code = table.columns.iter().find_map(own).unwrap_or(0);
    let line = |column: &Column| {
        let families = column.parts.iter().map(|part| match part.role {
            ColumnRole::Value => family(column.data_type, part),
            role => family_of_role(role),
        });
        let (server_types, types): (Vec<&str>, Vec<&str>) = families.unzip();
        let names: Vec<&str> = column.parts.iter().map(|part| &*part.name).collect();
        MappingLine {
            name: format!("{}.{}", table.name, column.name),
            table: physical_name(table),
            columns: names.join(","),
            server_types: server_types.join(";"),
            types: types.join(";"),
            code,
        }
    };
    table.columns.iter().map(line).collect()
}

/// A type of SQL Server and one of PostgreSQL.
fn family(data_type: DataType, part: &PhysicalColumn) -> (&'static str, &'static str) {
    match data_type {
        DataType::Boolean => ("bit", "boolean"),
        DataType::Integer => ("bigint", "bigint"),
        DataType::Decimal => ("numeric", "numeric"),
        DataType::DateTime => ("datetime2(0)", "timestamp"),
        DataType::Text | DataType::Union => ("nvarchar(max)", "varchar"),
        DataType::Binary => ("varbinary(max)", "bytea"),
        DataType::Uuid if &*part.type_name == "uuid" => ("uniqueidentifier", "uuid"),
        DataType::Uuid | DataType::Entity(_) => ("binary(16)", "bytea"),
        DataType::Any => ("sql_variant", "any"),
    }
}

fn family_of_role(role: ColumnRole) -> (&'static str, &'static str) {
    match role {
        ColumnRole::Boolean => ("binary(1)", "boolean"),
        ColumnRole::Number => ("numeric", "numeric"),
        ColumnRole::DateTime => ("datetime2(0)", "timestamp"),
        ColumnRole::Text | ColumnRole::Value => ("nvarchar(max)", "varchar"),
        ColumnRole::Tag => ("binary(1)", "bytea"),
        ColumnRole::TypeCode => ("binary(4)", "bytea"),
        ColumnRole::Reference => ("binary(16)", "bytea"),
    }
}
