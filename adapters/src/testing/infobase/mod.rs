//! Makes a small infobase of 1C: service tables with metadata as the platform keeps it, the tables of that metadata and
//! some rows, as SQL for PostgreSQL, and the mapping that whoever reads the metadata must come to.
//!
//! It shares nothing with the reader, whose oracle it is. Among the traps: files in several parts, files that are not
//! compressed, numbers of what is long deleted, quotes, braces and line breaks in texts, components in an unusual order.

mod bracket;
mod columns;
mod configuration;
mod ledger;
mod model;
mod objects;
mod shop;
mod sql;
mod tables;

pub use bracket::bomb;
pub use configuration::StoredFile;
pub use sql::Columns;

use columns::{hex, raw};
use model::{Kind, Model};
use tables::tables;

/// A small infobase of 1C. The same seed makes the same one; another seed gives every table and column another number.
#[derive(Clone, Debug)]
pub struct Infobase {
    model: Model,
    year_offset: u32,
    extended: bool,
}

impl Infobase {
    /// Makes one under the numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self::with_catalogs(seed, 0)
    }

    /// Makes one with this many catalogs more.
    pub fn with_catalogs(seed: u64, count: usize) -> Self {
        let mut objects = shop::objects();
        objects.extend(ledger::objects());
        objects.extend(shop::more_catalogs(count));
        Self {
            model: Model::new(objects, seed),
            year_offset: 0,
            extended: false,
        }
    }

    /// Makes it of another compatibility mode, from 8.3.3 on: `80_310`.
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.model.mode = mode;
        self
    }

    /// Adds this many years to every date in the tables.
    pub fn with_year_offset(mut self, years: u32) -> Self {
        self.year_offset = years;
        self
    }

    /// Adds an extension that gives goods a column: in a table of its own, under numbers of its own.
    pub fn with_extension(mut self) -> Self {
        self.extended = true;
        self
    }

    /// The files of the table `Config`.
    pub fn config(&self) -> Vec<StoredFile> {
        configuration::config(&self.model)
    }

    /// The files of the table `Params`.
    pub fn params(&self) -> Vec<StoredFile> {
        let mut files = configuration::params(&self.model);
        if self.extended {
            files.push(configuration::extension_names(&self.model));
        }
        files
    }

    /// The text of the file `DBNames` of `Params`, which may be stored as it is.
    pub fn numbers(&self) -> String {
        configuration::numbers(&self.model)
    }

    /// The name of an object's file in `Config`: its uuid. `Справочник.Номенклатура`
    ///
    /// # Panics
    /// If there is no such object.
    pub fn file_of(&self, name: &str) -> String {
        let objects = &mut self.model.objects.iter();
        let object = objects.find(|object| object.full_name() == name);
        let object = object.unwrap_or_else(|| panic!("there is no object \"{name}\""));
        object.uuid.to_string()
    }

    /// The name of the configuration's own file in `Config`.
    pub fn configuration_file(&self) -> String {
        configuration::root().to_string()
    }

    /// The 16 bytes by which a row of the business is referred to: `чайник`, `KAFKA`.
    pub fn row(&self, name: &str) -> [u8; 16] {
        shop::row_bytes(name)
    }

    /// The type code of an object.
    ///
    /// # Panics
    /// If there is no such object.
    pub fn code(&self, name: &str) -> i32 {
        let objects = &mut self.model.objects.iter();
        let object = objects.find(|object| object.full_name() == name);
        let object = object.unwrap_or_else(|| panic!("there is no object \"{name}\""));
        i32::try_from(self.model.code(object)).expect("numbers are small")
    }

    /// What a reader must answer, in the form of a mapping file: one property a line, then the values of enumerations.
    pub fn mapping(&self) -> String {
        let mut text = String::from(
            "# logical name\ttable\tcolumns\tSQL Server types\tPostgreSQL types\tmain type code\n",
        );
        let mut line = |fields: [&str; 6]| {
            text.push_str(&fields.join("\t"));
            text.push('\n');
        };
        for table in tables(&self.model) {
            for property in &table.properties {
                let columns = &property.columns;
                let join = |of: fn(&columns::PhysicalColumn) -> String, between: &str| {
                    columns.iter().map(of).collect::<Vec<_>>().join(between)
                };
                line([
                    &format!("{}.{}", table.logical, property.name),
                    &table.physical,
                    &join(|column| column.name.clone(), ","),
                    &join(|column| column.holds.mssql(), ";"),
                    &join(|column| column.holds.pgsql(), ";"),
                    &table.code.to_string(),
                ]);
            }
        }
        for object in self.model.of(Kind::Enumeration) {
            let code = self.model.code(object).to_string();
            for (order, (value, _)) in object.values.iter().enumerate() {
                let uuid = object.value_uuid(value);
                line([
                    &format!("{}.{value}", object.full_name()),
                    &format!("_Enum{code}"),
                    &format!("=value {order}"),
                    &uuid.to_string(),
                    &hex(&raw(uuid)),
                    &code,
                ]);
            }
        }
        text
    }
}
