//! The infobase as SQL for PostgreSQL.

use std::fmt::Write;

use super::Infobase;
use super::columns::{Holds, PhysicalColumn, hex, literals};
use super::configuration::StoredFile;
use super::tables::{Table, tables};

const SERVICE_TABLES: [&str; 5] = ["config", "configsave", "configcas", "params", "files"];

impl Infobase {
    /// Statements that make the infobase in an empty database.
    pub fn sql(&self) -> String {
        let mut sql = String::new();
        for name in SERVICE_TABLES {
            push(
                &mut sql,
                format_args!(
                    "CREATE TABLE {name} (filename varchar(128) NOT NULL, creation timestamp NOT NULL, modified timestamp \
                 NOT NULL, attributes smallint NOT NULL, datasize bigint NOT NULL, binarydata bytea NOT NULL, partno \
                 integer NOT NULL, PRIMARY KEY (filename, partno));"
                ),
            );
        }
        push(
            &mut sql,
            format_args!(
                "CREATE TABLE _yearoffset (ofset integer NOT NULL);\nINSERT INTO _yearoffset VALUES ({});",
                self.year_offset
            ),
        );
        push(
            &mut sql,
            format_args!(
                "CREATE TABLE ibversion (ibversion integer NOT NULL, platformversionreq integer NOT NULL);\n\
             INSERT INTO ibversion VALUES (7, 80313);"
            ),
        );
        sql.push_str(&self.metadata_sql());
        for table in tables(&self.model) {
            create(&mut sql, &table);
            self.fill(&mut sql, &table);
        }
        if self.extended {
            self.extend(&mut sql);
        }
        sql
    }

    /// The list of extensions with one of them, and the table that it has beside that of the goods.
    fn extend(&self, sql: &mut String) {
        push(
            sql,
            format_args!(
                "CREATE TABLE _extensionsinfo (_idrref bytea NOT NULL PRIMARY KEY, _extensionorder numeric(9,0) NOT NULL, \
                 _extname varchar(255) NOT NULL, _updatetime timestamp NOT NULL, _extensionusepurpose numeric(2,0) NOT NULL, \
                 _extensionscope numeric(2,0) NOT NULL, _extensionzippedinfo bytea NOT NULL, _masternode varchar NOT NULL, \
                 _usedindistributedinfobase boolean NOT NULL, _version integer NOT NULL);\n\
                 INSERT INTO _extensionsinfo VALUES ('\\x{:032x}', 1, 'Доработки', '2024-03-01', 1, 0, '\\x00', '', false, 0);",
                1
            ),
        );
        let goods = self.columns().of("Справочник.Номенклатура");
        push(
            sql,
            format_args!(
                "CREATE TABLE {goods}x1 (_idrref bytea NOT NULL PRIMARY KEY, _fld2x1 varchar(20) NOT NULL);"
            ),
        );
    }

    /// Statements that put this infobase's metadata into the service tables, in place of what is there.
    pub fn metadata_sql(&self) -> String {
        let mut sql = String::new();
        // No two configurations are of the same moment.
        let moment = format!(
            "timestamp '2024-03-01 12:00:00' + interval '{} s'",
            self.model.seed % 1_000_000
        );
        for (table, files) in [("config", self.config()), ("params", self.params())] {
            push(&mut sql, format_args!("DELETE FROM {table};"));
            for StoredFile { name, parts } in &files {
                for (number, part) in parts.iter().enumerate() {
                    push(
                        &mut sql,
                        format_args!(
                            "INSERT INTO {table} VALUES ('{name}', {moment}, {moment}, 0, {}, '\\x{}', {number});",
                            part.len(),
                            hex(part)
                        ),
                    );
                }
            }
        }
        sql
    }

    /// Statements that take the tables away, as an update of the configuration does for a while.
    pub fn leave_sql(&self) -> String {
        let mut sql = String::new();
        for table in tables(&self.model) {
            let name = table.physical.to_lowercase();
            push(
                &mut sql,
                format_args!("ALTER TABLE {name} RENAME TO {name}_away;"),
            );
        }
        sql
    }

    /// Statements that bring the tables back under the numbers of another infobase, with the metadata of that one.
    pub fn return_sql(&self, other: &Infobase) -> String {
        let mut sql = String::new();
        let codes = self.model.objects.iter().zip(&other.model.objects);
        let codes: Vec<(u32, u32)> = codes
            .filter(|(old, _)| old.kind.is_reference())
            .map(|(old, new)| (self.model.code(old), other.model.code(new)))
            .collect();
        for (old, new) in tables(&self.model).iter().zip(&tables(&other.model)) {
            let name = format!("{}_away", old.physical.to_lowercase());
            let columns = |table: &Table<'_>| -> Vec<PhysicalColumn> {
                let properties = table.properties.iter();
                properties
                    .flat_map(|property| property.columns.clone())
                    .collect()
            };
            for (index, column) in columns(old).iter().enumerate() {
                let column = column.name.to_lowercase();
                push(
                    &mut sql,
                    format_args!("ALTER TABLE {name} RENAME COLUMN {column} TO c{index};"),
                );
            }
            for (index, column) in columns(new).iter().enumerate() {
                let column_name = column.name.to_lowercase();
                push(
                    &mut sql,
                    format_args!("ALTER TABLE {name} RENAME COLUMN c{index} TO {column_name};"),
                );
                if column.holds == Holds::Bytes(4) && column_name.ends_with("tref") {
                    recode(&mut sql, &name, &column_name, &codes);
                }
            }
            push(
                &mut sql,
                format_args!(
                    "ALTER TABLE {name} RENAME TO {};",
                    new.physical.to_lowercase()
                ),
            );
        }
        sql + &other.metadata_sql()
    }

    /// The text with the names of tables and properties in square brackets replaced by what PostgreSQL calls them:
    /// `SELECT [РегистрСведений.ИсходящиеСообщения.НомерСообщения] FROM [РегистрСведений.ИсходящиеСообщения]`.
    ///
    /// # Panics
    /// If a name is unknown.
    pub fn physical(&self, text: &str) -> String {
        let columns = self.columns();
        let mut parts = text.split('[');
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once(']').unwrap_or((part, ""));
            out.push_str(&columns.of(name));
            out.push_str(rest);
        }
        out
    }

    /// Physical names, for a test that needs many of them.
    pub fn columns(&self) -> Columns {
        let all = tables(&self.model).into_iter().flat_map(|table| {
            let own = (table.logical.clone(), table.physical.to_lowercase());
            let logical = table.logical;
            let properties = table.properties.into_iter().map(move |property| {
                let columns = property.columns.iter().map(|c| c.name.to_lowercase());
                let columns: Vec<String> = columns.collect();
                (format!("{logical}.{}", property.name), columns.join(", "))
            });
            std::iter::once(own).chain(properties)
        });
        Columns(all.collect())
    }

    fn fill(&self, sql: &mut String, table: &Table<'_>) {
        for row in table.rows {
            let properties = table.properties.iter().flat_map(|property| {
                let value = row.iter().find(|(name, _)| *name == property.name);
                let value = value.map(|(_, value)| value);
                literals(&self.model, &property.columns, value, self.year_offset)
            });
            let values: Vec<String> = properties.collect();
            let name = table.physical.to_lowercase();
            push(
                sql,
                format_args!("INSERT INTO {name} VALUES ({});", values.join(", ")),
            );
        }
    }
}

/// Logical names, and what PostgreSQL calls them.
#[derive(Clone, Debug)]
pub struct Columns(Vec<(String, String)>);

impl Columns {
    /// The table, or the columns of a property with commas between them.
    ///
    /// # Panics
    /// If the name is unknown.
    pub fn of(&self, name: &str) -> String {
        let found = self.0.iter().find(|(known, _)| known == name);
        let (_, physical) = found.unwrap_or_else(|| panic!("there is nothing called \"{name}\""));
        physical.clone()
    }
}

fn push(sql: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(sql, "{line}").expect("memory takes what is written");
}

fn create(sql: &mut String, table: &Table<'_>) {
    let columns = table
        .properties
        .iter()
        .flat_map(|property| &property.columns);
    let columns: Vec<String> = columns
        .map(|column| {
            let null = if column.nullable { "" } else { " NOT NULL" };
            let default = if column.holds == Holds::Version {
                " DEFAULT 0"
            } else {
                ""
            };
            format!(
                "{} {}{null}{default}",
                column.name.to_lowercase(),
                column.holds.pgsql()
            )
        })
        .collect();
    let name = table.physical.to_lowercase();
    push(
        sql,
        format_args!("CREATE TABLE {name} ({});", columns.join(", ")),
    );
    for (number, key) in table.keys.iter().enumerate() {
        let key = key.join(", ").to_lowercase();
        push(
            sql,
            format_args!(
                "CREATE UNIQUE INDEX {name}_{} ON {name} ({key});",
                number + 1
            ),
        );
    }
}

fn recode(sql: &mut String, table: &str, column: &str, codes: &[(u32, u32)]) {
    let bytes = |code: u32| format!("'\\x{}'::bytea", hex(&code.to_be_bytes()));
    let cases: String = codes
        .iter()
        .map(|(old, new)| format!(" WHEN {} THEN {}", bytes(*old), bytes(*new)))
        .collect();
    push(
        sql,
        format_args!("UPDATE {table} SET {column} = CASE {column}{cases} ELSE {column} END;"),
    );
}
