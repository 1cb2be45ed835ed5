//! `dajet schema`: the tables of a database as scripts name them.

use std::fs;

use dajet_adapters::testing::infobase::Infobase;

use super::node::dajet;
use super::servers::Database;
use super::sqlite;

const TABLES: &str = "CREATE TABLE Заказы (номер INTEGER PRIMARY KEY, клиент TEXT NOT NULL, сумма DECIMAL(10,2), когда DATETIME);
    CREATE TABLE архив (id INTEGER, тело BLOB)";

#[test]
fn the_tables_of_a_plain_database_are_listed_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::make(folder.path(), "база.db", TABLES);
    let list = dajet(folder.path(), &["schema", "sqlite://база.db"]);
    list.expect(0, &[]);
    assert_eq!(list.out, "Заказы\nархив\n");
    let list = dajet(
        folder.path(),
        &["schema", "sqlite://база.db", "--format", "json"],
    );
    assert_eq!(
        list.out.split_whitespace().collect::<String>(),
        "[\"Заказы\",\"архив\"]"
    );
    let shown = dajet(folder.path(), &["schema", "sqlite://база.db", "заказы"]);
    shown.expect(0, &[]);
    let lines: Vec<Vec<&str>> = shown
        .out
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["Заказы,", "table", "Заказы"]);
    assert_eq!(lines[2][..2], ["PROPERTY", "TYPE"]);
    assert_eq!(lines[4], ["клиент", "string", "клиент", "TEXT"]);
    assert_eq!(
        lines[5],
        ["сумма", "decimal", "сумма", "DECIMAL(10,2)", "yes"]
    );
    let shown = dajet(
        folder.path(),
        &["schema", "sqlite://база.db", "Заказы", "--format", "json"],
    );
    let json: serde_json::Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(json["table"], "Заказы");
    assert_eq!(json["properties"][3]["type"], "datetime");
    assert_eq!(json["properties"][1]["columns"][0]["nullable"], false);
}

#[test]
fn a_plain_database_can_be_said_as_a_mapping_file() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::make(folder.path(), "база.db", TABLES);
    let first = dajet(
        folder.path(),
        &["schema", "sqlite://база.db", "--format", "tsv"],
    );
    first.expect(0, &[]);
    assert_eq!(first.out.lines().count(), 7, "{first}");
    let mapping = first
        .out
        .replace("Заказы.", "Документ.Заказ.")
        .replace(".клиент", ".Покупатель");
    fs::write(folder.path().join("карта.tsv"), mapping).unwrap();
    let address = "sqlite://база.db?map=карта.tsv";
    let mapped = dajet(
        folder.path(),
        &["schema", address, "документ", "--format", "tsv"],
    );
    mapped.expect(0, &[]);
    let wanted = "Документ.Заказ.Покупатель\tЗаказы\tклиент\tnvarchar(max)\tvarchar\t0";
    assert!(mapped.out.lines().any(|line| line == wanted), "{mapped}");
    assert_eq!(mapped.out.lines().count(), 5, "{mapped}");
}

#[test]
fn what_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::make(folder.path(), "база.db", TABLES);
    let check = |arguments: &[&str], code: i32, parts: &[&str]| {
        let arguments = [&["schema"], arguments].concat();
        let run = dajet(folder.path(), &arguments);
        run.expect(code, parts);
        assert!(!run.err.contains("тайна"), "{run}");
    };
    check(
        &["sqlite://база.db", "заказ"],
        2,
        &["unknown table \"заказ\"", "Did you mean \"Заказы\"?"],
    );
    check(
        &["sqlite://нет.db"],
        1,
        &["cannot read the schema of \"sqlite://нет.db\""],
    );
    check(
        &["sqlte://база.db"],
        2,
        &["unknown kind of address", "Did you mean \"sqlite\"?"],
    );
    check(&["kafka"], 2, &["is no database"]);
    check(&["sqlite://база.db", "--format", "xml"], 2, &["xml"]);
    let closed = "pgsql://dajet:тайна@127.0.0.1:1/база";
    check(
        &[closed],
        1,
        &["cannot read the schema of \"pgsql://dajet:***@127.0.0.1:1/база\""],
    );
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn an_infobase_tells_its_mapping_and_can_be_used_by_it() {
    let infobase = Infobase::new(11);
    let database = Database::create("schema", &infobase.sql());
    let folder = tempfile::tempdir().unwrap();
    let address = database.address();
    let told = dajet(folder.path(), &["schema", &address, "--format", "tsv"]);
    told.expect(0, &[]);
    assert_eq!(sorted(&told.out), sorted(&infobase.mapping()));
    fs::write(folder.path().join("карта.tsv"), &told.out).unwrap();
    let mapped = format!("{address}?map=карта.tsv");
    let shown = |address: &str, name: &str, format: &str| {
        let run = dajet(
            folder.path(),
            &["schema", address, name, "--format", format],
        );
        run.expect(0, &[]);
        run.out
    };
    let json = |address: &str, name: &str| -> serde_json::Value {
        serde_json::from_str(&shown(address, name, "json")).unwrap()
    };
    let name = "Справочник.Номенклатура.Изменения";
    let (own, by_file) = (json(&address, name), json(&mapped, name));
    assert_eq!(own["table"], by_file["table"]);
    assert_eq!(own["key"], by_file["key"]);
    assert_eq!(own["properties"].as_array().unwrap().len(), 3);
    for (own, by_file) in own["properties"]
        .as_array()
        .unwrap()
        .iter()
        .zip(by_file["properties"].as_array().unwrap())
    {
        assert_eq!(
            (&own["name"], &own["columns"]),
            (&by_file["name"], &by_file["columns"])
        );
    }
    let text = shown(&address, "catalog.НОМЕНКЛАТУРА", "text");
    assert!(
        text.contains(" Справочник.Контрагенты "),
        "the type of a reference: {text}"
    );
    assert!(
        text.ends_with("Справочник.Номенклатура.Изменения\n"),
        "{text}"
    );
    let values = shown(&address, "Перечисление.СтавкиНДС", "tsv");
    assert_eq!(values.matches("\t=value ").count(), 4, "{values}");
    let run = dajet(
        folder.path(),
        &["schema", &address, "Справочник.Номенклатуры"],
    );
    run.expect(
        2,
        &[
            "unknown table \"Справочник.Номенклатуры\"",
            "Did you mean \"Справочник.Номенклатура\"?",
        ],
    );
}
