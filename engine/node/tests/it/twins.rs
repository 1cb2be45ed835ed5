//! One infobase in two databases: PostgreSQL, whose metadata tells the names, and SQLite with a mapping file.

use std::path::Path;

use dajet_adapters::testing::infobase::Infobase;

use super::node::{Run, run_script};
use super::servers::Database;

/// The tables of an infobase in both databases.
pub struct Twins {
    /// What was made.
    pub infobase: Infobase,
    folder: tempfile::TempDir,
    addresses: [String; 2],
    _database: Database,
}

impl Twins {
    /// Makes them.
    pub fn new() -> Self {
        let infobase = Infobase::new(1);
        let database = Database::create("twins", &infobase.sql());
        let folder = tempfile::tempdir().expect("a folder");
        copy(&database, folder.path());
        std::fs::write(folder.path().join("карта.tsv"), infobase.mapping()).expect("a file");
        let addresses = [
            database.address(),
            "sqlite://база.db?map=карта.tsv".to_owned(),
        ];
        Self {
            infobase,
            folder,
            addresses,
            _database: database,
        }
    }

    /// Runs statements at each of the databases.
    pub fn run(&self, statements: &str) -> Vec<Run> {
        let run = |address: &String| {
            let script =
                format!("DECLARE @o object\nDECLARE @t array\nUSE '{address}'\n{statements}\nEND");
            run_script(self.folder.path(), &script, &[])
        };
        self.addresses.iter().map(run).collect()
    }

    /// Runs statements that print; both databases must print these lines.
    #[track_caller]
    pub fn print(&self, statements: &str, expected: &[&str]) {
        for run in self.run(statements) {
            run.expect(0, &[]);
            assert_eq!(run.out.lines().collect::<Vec<_>>(), expected, "{run}");
        }
    }

    /// Runs statements that are wrong; both databases must tell these parts.
    #[track_caller]
    pub fn refuse(&self, statements: &str, code: i32, parts: &[&str]) {
        for run in self.run(statements) {
            run.expect(code, parts);
        }
    }
}

/// Copies the tables of the infobase, the service tables aside.
fn copy(database: &Database, folder: &Path) {
    let columns = "SELECT string_agg(format('%I %s', column_name, CASE
            WHEN data_type = 'bytea' THEN 'BLOB' WHEN data_type = 'boolean' THEN 'BOOLEAN' WHEN data_type = 'numeric' THEN 'DECIMAL_TEXT'
            WHEN data_type LIKE '%int%' THEN 'INTEGER' WHEN data_type LIKE 'timestamp%' THEN 'DATETIME' ELSE 'TEXT' END), ', ' ORDER BY ordinal_position)";
    let values = "SELECT string_agg(format('coalesce(%s, ''NULL'')', CASE
            WHEN data_type = 'bytea' THEN format('''x'''''' || encode(%I, ''hex'') || ''''''''', column_name)
            WHEN data_type = 'boolean' THEN format('CAST(CAST(%I AS integer) AS text)', column_name)
            WHEN data_type LIKE 'timestamp%' THEN format('quote_literal(replace(CAST(%I AS text), '' '', ''T''))', column_name)
            ELSE format('quote_literal(CAST(%I AS text))', column_name) END), ', ' ORDER BY ordinal_position)";
    let from = "FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT IN ('config', 'params')
            GROUP BY table_name ORDER BY table_name";
    let tables = database.column(&format!("SELECT table_name {from}"));
    let columns = database.column(&format!("{columns} {from}"));
    let values = database.column(&format!("{values} {from}"));
    let mut statements = String::new();
    for ((table, columns), values) in tables.iter().zip(columns).zip(values) {
        statements += &format!("CREATE TABLE \"{table}\" ({columns});\n");
        let rows = database.column(&format!("SELECT concat_ws(',', {values}) FROM \"{table}\""));
        for row in rows {
            statements += &format!("INSERT INTO \"{table}\" VALUES ({row});\n");
        }
    }
    super::sqlite::make(folder, "база.db", &statements);
}
