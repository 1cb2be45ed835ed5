//! Values round-trip by the types that columns declare.

use dajet_core::query::{Binary, Body, Expr, Select, Statement};
use dajet_core::schema::DataType;
use dajet_core::{Decimal, ErrorClass, Value};
use uuid::Uuid;

use super::fixture::*;

fn decimal(text: &str) -> Value {
    Value::Decimal(text.parse::<Decimal>().unwrap())
}

#[tokio::test]
async fn values_round_trip_by_declared_types() {
    let fixture = Fixture::new(
        "CREATE TABLE t(l BOOLEAN, i BIGINT, n NUMERIC(15,2), e DECIMAL_TEXT, r REAL, s VARCHAR(10),
                        d DATETIME, b BLOB, u UUID, v UUID_BLOB, x);",
    );
    let table = fixture.table("t").await;
    let names: Vec<&str> = table.columns.iter().map(|c| &*c.name).collect();
    let uuid = Uuid::from_u128(0x3552_1b2a_b154_4ca5_97fc_ae57_33c4_e473);
    let full = vec![
        Value::Boolean(true),
        Value::Integer(i64::MAX),
        decimal("12.30"),
        decimal("12345678901234567890123456789012345.678"),
        decimal("0.1"),
        Value::text("Ёж\0🦔"),
        Value::DateTime("2024-05-06T07:08:09.5".parse().unwrap()),
        Value::Binary(vec![0, 1, 255].into()),
        Value::Uuid(uuid),
        Value::Uuid(uuid),
        Value::text("что угодно"),
    ];
    let rows = [full.clone(), vec![Value::Null; names.len()]];
    fixture
        .service
        .execute(&insert(&table, &names), &rows)
        .await
        .unwrap();
    assert_eq!(
        fixture.ask("SELECT d FROM t"),
        ["2024-05-06T07:08:09.5", "NULL"]
    );
    assert_eq!(
        fixture.ask("SELECT typeof(e) || typeof(u) || typeof(v) FROM t")[0],
        "texttextblob"
    );
    let answer = fixture
        .service
        .execute(&select(&table, &names, &[]), &[Vec::new()])
        .await
        .unwrap();
    assert_eq!(answer.groups[0][0], full);
    assert_eq!(answer.groups[0][1], rows[1]);
}

#[tokio::test]
async fn undeclared_columns_are_read_as_they_are_stored() {
    let fixture = Fixture::new(
        "CREATE TABLE t(x); INSERT INTO t VALUES (1), (1.5), ('т'), (x'00ff'), (NULL), (1e10);",
    );
    let table = fixture.table("t").await;
    let answer = fixture
        .service
        .execute(&select(&table, &["x"], &[]), &[Vec::new()])
        .await
        .unwrap();
    let values: Vec<_> = answer.groups[0].iter().map(|row| row[0].clone()).collect();
    let expected = [
        Value::Integer(1),
        decimal("1.5"),
        Value::text("т"),
        Value::Binary(vec![0, 255].into()),
        Value::Null,
        decimal("10000000000"),
    ];
    assert_eq!(values, expected);
}

/// One value of each kind, and how SQLite shall name what is stored of it.
fn of_each_kind() -> Vec<(Value, Value, &'static str)> {
    let uuid = Uuid::from_u128(0x3552_1b2a_b154_4ca5_97fc_ae57_33c4_e473);
    let as_it_is = |value: Value, stored| (value.clone(), value, stored);
    vec![
        as_it_is(Value::Integer(i64::MAX), "integer"),
        as_it_is(Value::text("007"), "text"),
        as_it_is(Value::Binary(vec![0, 255].into()), "blob"),
        (Value::Boolean(true), Value::Integer(1), "integer"),
        (decimal("5.00"), Value::Integer(5), "integer"),
        (decimal("1.50"), decimal("1.5"), "real"),
        (
            decimal("12345678901234567.89"),
            Value::text("12345678901234567.89"),
            "text",
        ),
        (
            Value::DateTime("2024-05-06T07:08:09".parse().unwrap()),
            Value::text("2024-05-06T07:08:09"),
            "text",
        ),
        (Value::Uuid(uuid), Value::text(uuid.to_string()), "text"),
        as_it_is(Value::Null, "null"),
    ]
}

#[tokio::test]
async fn undeclared_columns_keep_values_as_they_are() {
    for declared in ["Очередь(\"Ключ\")", "Очередь(\"Ключ\" ANY) STRICT"] {
        let fixture = Fixture::new(&format!("CREATE TABLE {declared}"));
        let table = fixture.table("очередь").await;
        assert_eq!(table.columns[0].data_type, DataType::Any);
        let kinds = of_each_kind();
        let rows: Vec<_> = kinds
            .iter()
            .map(|(value, ..)| vec![value.clone()])
            .collect();
        let write = insert(&table, &["Ключ"]);
        fixture.service.execute(&write, &rows).await.unwrap();
        let stored: Vec<_> = kinds.iter().map(|(.., stored)| *stored).collect();
        let types = "SELECT typeof(\"Ключ\") FROM Очередь ORDER BY rowid";
        assert_eq!(fixture.ask(types), stored, "{declared}");
        let all = select(&table, &["Ключ"], &[]);
        let answer = fixture.service.execute(&all, &[Vec::new()]).await.unwrap();
        let back: Vec<_> = answer.groups[0].iter().map(|row| row[0].clone()).collect();
        let expected: Vec<_> = kinds.iter().map(|(_, read, _)| read.clone()).collect();
        assert_eq!(back, expected, "{declared}");
        for (value, read, _) in kinds.iter().filter(|(value, ..)| !value.is_null()) {
            let filter = Expr::Binary(
                Binary::Equal,
                Box::new(column(&table, "Ключ")),
                Box::new(parameter(0, Some(DataType::Any))),
            );
            let found = Select {
                columns: vec![output(&table, "Ключ")],
                from: Some(from(&table)),
                filter: Some(filter),
                ..Select::default()
            };
            let found = Statement::new(1, Body::Select(found));
            let asked = [vec![value.clone()]];
            let answer = fixture.service.execute(&found, &asked).await.unwrap();
            let rows: Vec<_> = answer.groups[0].iter().map(|row| &row[0]).collect();
            assert!(
                rows.contains(&read) && rows.len() == 1,
                "{value:?}: {rows:?}"
            );
        }
    }
}

#[tokio::test]
async fn undeclared_columns_order_a_queue_by_numbers_before_texts() {
    let fixture = Fixture::new(
        "CREATE TABLE q(\"Номер\", body);
         INSERT INTO q VALUES ('а', 6), (10, 4), (9.5, 3), (-2, 1), (x'00', 7), (2, 2), ('10', 5);",
    );
    let mut source = fixture.source("q", &["Номер"], 3).await;
    let mut read = Vec::new();
    while let Some(batch) = super::fixture::read(&mut *source).await {
        read.extend(batch.rows.iter().map(|row| row[1].to_string()));
        batch.claim.commit().await.unwrap();
    }
    assert_eq!(read, ["1", "2", "3", "4", "5", "6", "7"]);
    assert!(fixture.ask("SELECT 1 FROM q").is_empty());
}

#[tokio::test]
async fn strict_tables_take_values_of_their_types() {
    let fixture = Fixture::new("CREATE TABLE t(i INTEGER, r REAL, s TEXT, b BLOB) STRICT");
    let table = fixture.table("t").await;
    let names = ["i", "r", "s", "b"];
    let row = vec![
        Value::Integer(7),
        decimal("1.5"),
        Value::text("Ёж"),
        Value::Binary(vec![1].into()),
    ];
    let write = insert(&table, &names);
    fixture
        .service
        .execute(&write, std::slice::from_ref(&row))
        .await
        .unwrap();
    let types = "SELECT typeof(i) || typeof(r) || typeof(s) || typeof(b) FROM t";
    assert_eq!(fixture.ask(types), ["integerrealtextblob"]);
    let all = select(&table, &names, &[]);
    let answer = fixture.service.execute(&all, &[Vec::new()]).await.unwrap();
    assert_eq!(answer.groups[0], [row]);
}

#[tokio::test]
async fn values_are_converted_to_what_the_column_keeps() {
    let fixture = Fixture::new("CREATE TABLE t(i INTEGER, s TEXT, d DATETIME, n NUMERIC);");
    let table = fixture.table("t").await;
    let write = insert(&table, &["i", "s", "d", "n"]);
    let row = vec![
        decimal("5.00"),
        decimal("1.50"),
        Value::text("2024-05-06 07:08:09"),
        Value::text("2.25"),
    ];
    fixture.service.execute(&write, &[row]).await.unwrap();
    let all = "SELECT i || '|' || s || '|' || d || '|' || n FROM t";
    assert_eq!(fixture.ask(all), ["5|1.50|2024-05-06T07:08:09|2.25"]);
    let wrong = |index: usize, value: Value| {
        let mut row = vec![Value::Null; 4];
        row[index] = value;
        row
    };
    for (index, value, column) in [
        (0, decimal("1.5"), "\"i\""),
        (0, Value::text("x"), "\"i\""),
        (1, Value::Array(Vec::new()), "\"s\""),
        (1, Value::Binary(vec![0x41, 0xff].into()), "\"s\""),
        (2, Value::text("вчера"), "\"d\""),
        (3, decimal("12345678901234567.891"), "\"n\""),
    ] {
        let rows = [vec![Value::Null; 4], wrong(index, value)];
        let error = refused(fixture.service.execute(&write, &rows).await);
        assert_eq!(
            (error.class, error.record),
            (ErrorClass::Rejected, Some(1)),
            "{error}"
        );
        assert!(error.message.contains(column), "{error}");
    }
}

#[tokio::test]
async fn text_that_is_not_utf8_is_refused() {
    let fixture = Fixture::new(
        "CREATE TABLE q(id INTEGER PRIMARY KEY, Тело TEXT);
         INSERT INTO q VALUES (1, 'хорошо'), (2, CAST(x'fffe' AS TEXT));",
    );
    let mut source = fixture.source("q", &["id"], 9).await;
    let error = refused(read_with(&mut *source, ALL, &[]).await);
    assert_eq!(error.class, ErrorClass::Rejected);
    let expected = "cannot read queue \"q\": cannot read column \"Тело\": it holds text that is not UTF-8, at the row id = 2";
    assert_eq!(error.message, expected);
}

#[tokio::test]
async fn an_infinite_number_is_refused_by_the_name_of_its_row() {
    let fixture = Fixture::new(
        "CREATE TABLE q(id INTEGER PRIMARY KEY, x REAL, k INTEGER);
         INSERT INTO q VALUES (1, 1e-320, 1), (57, 1e999, 2);",
    );
    let mut source = fixture.source("q", &["k"], 9).await;
    let error = refused(read_with(&mut *source, ALL, &[]).await);
    assert_eq!(error.class, ErrorClass::Rejected);
    assert!(
        error.message.contains("column \"x\": it holds inf")
            && error.message.ends_with(", at the row k = 2, id = 57"),
        "{error}"
    );
}
