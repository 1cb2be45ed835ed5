//! Values round-trip by the types that columns declare.

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
