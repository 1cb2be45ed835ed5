//! `dajet schema`: the tables of a database as scripts name them.

use std::fs;

use super::node::dajet;
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
}
