//! The mapping file: logical names for the tables of a database that does not know them itself.
//!
//! Tab-separated, one property a line: logical name, table, columns (`,` between the parts of one property), types of SQL
//! Server, types of PostgreSQL (both `;` between the parts), type code of the object. A value of an enumeration or a
//! predefined item has `=value` and its place for columns, its uuid as 1C writes it and its bytes for types. `#` begins a
//! comment. Keys, nullability and the types as they are come from the database: this module reads no database.

mod named;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use dajet_core::schema::{ColumnRole, Defaults, MappingLine};
use dajet_core::{Column, DataType, PhysicalColumn, SystemError, Table, TableKey};
use rustc_hash::FxHashMap;

pub(crate) use named::MappedValue;

/// The tables and values of a mapping file, in the order of the file.
#[derive(Debug)]
pub(crate) struct Mapping {
    file: Arc<str>,
    tables: Vec<MappedTable>,
    /// Places of the tables by their exact names.
    places: FxHashMap<Arc<str>, usize>,
    values: Vec<MappedValue>,
}

/// A logical table.
#[derive(Debug)]
pub(crate) struct MappedTable {
    /// The logical name.
    pub(crate) name: Arc<str>,
    /// The physical name as the file writes it: `_InfoRg134`.
    pub(crate) table: Arc<str>,
    /// Line of its first property.
    line: usize,
    /// The type code of its object; 0 if it has none.
    code: i32,
    columns: Vec<MappedColumn>,
    /// What the file says of it.
    lines: Vec<MappingLine>,
}

#[derive(Debug)]
struct MappedColumn {
    name: Arc<str>,
    data_type: DataType,
    parts: Vec<(Arc<str>, ColumnRole)>,
    line: usize,
}

/// What a database knows of a column of a mapped table.
pub(crate) struct KnownColumn {
    /// The name as it must reach the server.
    pub(crate) name: Arc<str>,
    /// The database's own type.
    pub(crate) type_name: Arc<str>,
    /// NULL may stand in it.
    pub(crate) nullable: bool,
    /// The database fills it and refuses a value.
    pub(crate) generated: bool,
}

impl Mapping {
    /// Reads the file; a relative path starts at `root`.
    ///
    /// # Errors
    /// `Misconfigured` with file and line.
    pub(crate) fn read(root: &Path, file: &str) -> Result<Self, SystemError> {
        let text = fs::read_to_string(root.join(file)).map_err(|error| {
            SystemError::misconfigured(
                "E_FILE",
                format!("cannot read mapping file \"{file}\": {error}"),
            )
        })?;
        Self::parse(file, &text)
    }

    fn parse(file: &str, text: &str) -> Result<Self, SystemError> {
        let mut mapping = Self {
            file: file.into(),
            tables: Vec::new(),
            places: FxHashMap::default(),
            values: Vec::new(),
        };
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.trim_end_matches('\r');
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            mapping
                .add(index + 1, line)
                .map_err(|message| mapping.error(index + 1, &message))?;
        }
        Ok(mapping)
    }

    /// Finds a table: exact match first, else the only one that matches without regard to case, else by the words of the
    /// other language.
    pub(crate) fn table(&self, name: &str) -> Option<&MappedTable> {
        if let Some(place) = self.places.get(name) {
            return Some(&self.tables[*place]);
        }
        named::find(&self.tables, name, |table| &table.name)
    }

    /// The logical names of tables, then those of values.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        let values = self.values.iter().map(|value| &value.name);
        self.tables.iter().map(|table| &table.name).chain(values)
    }

    /// Joins a mapped table with what the database knows of it. So many years are added to the dates of the database.
    ///
    /// # Errors
    /// `Misconfigured` if the database lacks a column.
    pub(crate) fn resolve(
        &self,
        table: &MappedTable,
        physical: Vec<Arc<str>>,
        key: TableKey,
        year_offset: i16,
        known: impl Fn(&str) -> Option<KnownColumn>,
    ) -> Result<Table, SystemError> {
        let mut columns = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            let parts = column.parts.iter().map(|(name, role)| {
                let known = known(name).ok_or_else(|| {
                    let message = format!("table \"{}\" has no column \"{name}\"", table.table);
                    self.error(column.line, &message)
                })?;
                let KnownColumn {
                    name,
                    type_name,
                    nullable,
                    generated,
                } = known;
                Ok(PhysicalColumn {
                    name,
                    role: *role,
                    type_name,
                    nullable,
                    generated,
                })
            });
            let parts = parts.collect::<Result<_, SystemError>>()?;
            columns.push(Column {
                year_offset,
                ..Column::new(column.name.clone(), column.data_type, parts)
            });
        }
        Ok(Table {
            name: table.name.clone(),
            physical,
            columns,
            key,
            defaults: Defaults::EmptyValue,
            lacking: Vec::new(),
            reasons: Vec::new(),
            version: None,
        })
    }

    /// The error of a table that the file names and the database does not have.
    pub(crate) fn unknown_table(&self, table: &MappedTable) -> SystemError {
        self.error(
            table.line,
            &format!("the database has no table \"{}\"", table.table),
        )
    }

    fn error(&self, line: usize, message: &str) -> SystemError {
        SystemError::misconfigured(
            "E_FILE",
            format!("mapping file \"{}\", line {line}: {message}", self.file),
        )
    }

    fn add(&mut self, line: usize, text: &str) -> Result<(), String> {
        let fields: Vec<&str> = text.split('\t').map(str::trim).collect();
        let [name, table, columns, server_types, types, code] = fields[..] else {
            return Err(format!(
                "expected 6 fields separated by tabs, found {}",
                fields.len()
            ));
        };
        let code: i32 = code
            .parse()
            .map_err(|_| format!("type code \"{code}\" is no integer"))?;
        let told = MappingLine {
            name: name.to_owned(),
            table: table.to_owned(),
            columns: columns.to_owned(),
            server_types: server_types.to_owned(),
            types: types.to_owned(),
            code,
        };
        if columns.starts_with('=') {
            self.values.push(MappedValue::new(told)?);
            return Ok(());
        }
        let Some((owner, property)) = name
            .rsplit_once('.')
            .filter(|(o, p)| !o.is_empty() && !p.is_empty())
        else {
            return Err(format!(
                "logical name \"{name}\" is not of the form \"table.property\""
            ));
        };
        let names: Vec<&str> = columns.split(',').map(str::trim).collect();
        let server_types: Vec<&str> = server_types.split(';').map(str::trim).collect();
        let types: Vec<&str> = types.split(';').map(str::trim).collect();
        if names.len() != types.len() || names.len() != server_types.len() || names.contains(&"") {
            return Err(format!(
                "{} columns have {} types",
                names.len(),
                types.len()
            ));
        }
        let column = match (&names[..], &server_types[..], &types[..]) {
            ([name], [server_type], [data_type]) => {
                single(property, name, server_type, data_type, code, line)?
            }
            _ => composite(property, &names, line)?,
        };
        self.push(owner, column, told)
    }

    fn push(&mut self, owner: &str, column: MappedColumn, told: MappingLine) -> Result<(), String> {
        let Some(place) = self.places.get(owner) else {
            let name: Arc<str> = owner.into();
            self.places.insert(Arc::clone(&name), self.tables.len());
            self.tables.push(MappedTable {
                name,
                table: told.table.as_str().into(),
                line: column.line,
                code: told.code,
                columns: vec![column],
                lines: vec![told],
            });
            return Ok(());
        };
        let found = &mut self.tables[*place];
        if *found.table != *told.table {
            return Err(format!(
                "\"{owner}\" is table \"{}\" in line {}",
                found.table, found.line
            ));
        }
        if let Some(first) = found.columns.iter().find(|c| c.name == column.name) {
            return Err(format!(
                "property \"{}\" stands in line {} already",
                column.name, first.line
            ));
        }
        found.columns.push(column);
        found.lines.push(told);
        Ok(())
    }
}

fn single(
    property: &str,
    name: &str,
    server_type: &str,
    type_name: &str,
    code: i32,
    line: usize,
) -> Result<MappedColumn, String> {
    let base = type_name
        .split('(')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let lower = name.to_ascii_lowercase();
    let (data_type, role) = match base.as_str() {
        "boolean" => (DataType::Boolean, ColumnRole::Value),
        "smallint" | "integer" | "bigint" | "int" => (DataType::Integer, ColumnRole::Value),
        "numeric" | "decimal" | "real" | "double precision" => {
            (DataType::Decimal, ColumnRole::Value)
        }
        "date" | "datetime" => (DataType::DateTime, ColumnRole::Value),
        base if base.starts_with("timestamp") => (DataType::DateTime, ColumnRole::Value),
        "varchar" | "char" | "text" | "character varying" | "character" | "mvarchar" | "mchar" => {
            (DataType::Text, ColumnRole::Value)
        }
        "uuid" => (DataType::Uuid, ColumnRole::Value),
        "any" => (DataType::Any, ColumnRole::Value),
        // The only types that the file tells are those of the object itself: its reference and its parent.
        "bytea" | "blob" if lower.ends_with("idrref") && !lower.ends_with("owneridrref") => {
            (DataType::Entity(code), ColumnRole::Reference)
        }
        "bytea" | "blob" if lower.ends_with("rref") => (DataType::Entity(0), ColumnRole::Reference),
        "bytea" | "blob" if server_type.eq_ignore_ascii_case("binary(16)") => {
            (DataType::Uuid, ColumnRole::Value)
        }
        "bytea" | "blob" if server_type.eq_ignore_ascii_case("binary(4)") => {
            (DataType::Binary, ColumnRole::TypeCode)
        }
        "bytea" | "blob" => (DataType::Binary, ColumnRole::Value),
        _ => return Err(format!("unknown type \"{type_name}\"")),
    };
    Ok(MappedColumn {
        name: property.into(),
        data_type,
        parts: vec![(name.into(), role)],
        line,
    })
}

fn composite(property: &str, names: &[&str], line: usize) -> Result<MappedColumn, String> {
    let mut parts: Vec<(Arc<str>, ColumnRole)> = Vec::with_capacity(names.len());
    for name in names {
        let role = role_of(name)
            .ok_or_else(|| format!("the ending of column \"{name}\" tells no role"))?;
        if parts.iter().any(|(_, known)| *known == role) {
            return Err(format!(
                "two columns of \"{property}\" have the role of \"{name}\""
            ));
        }
        parts.push(((*name).into(), role));
    }
    let has = |role| parts.iter().any(|(_, r)| *r == role);
    let reference = has(ColumnRole::TypeCode) && has(ColumnRole::Reference);
    let data_type = match (has(ColumnRole::Tag), reference, parts.len()) {
        (false, true, 2) | (true, true, 3) => DataType::Entity(0),
        (true, ..) => DataType::Union,
        (false, ..) => {
            return Err(format!(
                "the columns of \"{property}\" make neither a reference nor a union"
            ));
        }
    };
    Ok(MappedColumn {
        name: property.into(),
        data_type,
        parts,
        line,
    })
}

/// The role that the ending of a column's name tells.
fn role_of(name: &str) -> Option<ColumnRole> {
    const ENDINGS: [(&str, ColumnRole); 9] = [
        ("_type", ColumnRole::Tag),
        ("_l", ColumnRole::Boolean),
        ("_n", ColumnRole::Number),
        ("_t", ColumnRole::DateTime),
        ("_s", ColumnRole::Text),
        ("_rtref", ColumnRole::TypeCode),
        ("tref", ColumnRole::TypeCode),
        ("_rrref", ColumnRole::Reference),
        ("rref", ColumnRole::Reference),
    ];
    let lower = name.to_ascii_lowercase();
    ENDINGS
        .iter()
        .find(|(ending, _)| lower.ends_with(ending))
        .map(|(_, role)| *role)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "# logical name\ttable\tcolumns\tSQL Server types\tPostgreSQL types\tmain type code\n";

    fn parse(lines: &str) -> Result<Mapping, String> {
        Mapping::parse("карта.tsv", &format!("{HEAD}{lines}")).map_err(|e| e.to_string())
    }

    #[test]
    fn tells_types_and_roles_by_endings() {
        let mapping = parse(concat!(
            "С.Т.Ссылка\t_R36\t_IDRRef\tbinary(16)\tbytea\t36\n",
            "С.Т.Владелец\t_R36\t_OwnerIDRRef\tbinary(16)\tbytea\t36\n",
            "С.Т.Код\t_R36\t_Fld46\tbinary(16)\tbytea\t36\n",
            "С.Т.Картинка\t_R36\t_Fld45\tvarbinary(max)\tbytea\t36\n",
            "С.Т.Узел\t_R36\t_NodeTRef,_NodeRRef\tbinary(4);binary(16)\tbytea;bytea\t36\n",
            "С.Т.Метка\t_R36\t_F_TYPE,_F_S,_F_RRRef\tbinary(1);nvarchar(20);binary(16)\tbytea;varchar(20);bytea\t36\n",
            "П.С.Без\t_E59\t=value 0\t2bff0a0d-ca47-11ee-9d10-ec086ba0b1a1\t9d10ec086ba0b1a111eeca472bff0a0d\t59\n",
        ))
        .expect("the file is right");
        let table = mapping.table("с.т").expect("without regard to case");
        let types: Vec<DataType> = table.columns.iter().map(|c| c.data_type).collect();
        assert_eq!(
            types,
            [
                DataType::Entity(36),
                DataType::Entity(0),
                DataType::Uuid,
                DataType::Binary,
                DataType::Entity(0),
                DataType::Union
            ]
        );
        let roles: Vec<ColumnRole> = table.columns[5]
            .parts
            .iter()
            .map(|(_, role)| *role)
            .collect();
        assert_eq!(
            roles,
            [ColumnRole::Tag, ColumnRole::Text, ColumnRole::Reference]
        );
        assert_eq!(mapping.names().count(), 2);
    }

    #[test]
    fn names_file_and_line_of_a_mistake() {
        let check = |lines: &str, expected: &str| {
            let error = parse(lines).expect_err("the file is wrong");
            assert!(
                error.contains("\"карта.tsv\", line 2") && error.contains(expected),
                "{error}"
            );
        };
        check("С.Т.Ссылка\t_R36\n", "6 fields");
        check(
            "С.Т.Ссылка\t_R36\t_IDRRef\tbinary(16)\tbytea\tx\n",
            "no integer",
        );
        check(
            "Ссылка\t_R36\t_IDRRef\tbinary(16)\tbytea\t36\n",
            "table.property",
        );
        check(
            "С.Т.А\t_R36\t_A\tx\tgeometry\t36\n",
            "unknown type \"geometry\"",
        );
        check("С.Т.А\t_R36\t_A,_B\tx;x\ty;y\t36\n", "tells no role");
        check(
            "П.С.Без\t_E59\t=value 0\tx\t00ff\t59\n",
            "\"00ff\" is not 16 bytes",
        );
    }
}
