//! Values go both ways without loss.

use dajet_core::{ErrorClass, Record, Value};

use super::fixture::{
    Database, WAITING, batch, drain, insert, insert_values, parameter, query, select, source, table,
};

const ALL: &str = "
    CREATE TYPE \"Цвет\" AS ENUM ('красный', 'синий');
    CREATE DOMAIN \"Код\" AS varchar(9) CHECK (value <> '');
    CREATE TABLE t (id int PRIMARY KEY, b boolean, i2 smallint, i4 integer, i8 bigint, num numeric, f4 real, f8 double precision,
        txt text, vc varchar(20), ch char(5), js json, jsb jsonb, x xml, ts timestamp, tz timestamptz, d date, tm time,
        bin bytea, u uuid, enum \"Цвет\", dom \"Код\", arr int[], net inet, iv interval)";

const NAMES: [&str; 25] = [
    "id", "b", "i2", "i4", "i8", "num", "f4", "f8", "txt", "vc", "ch", "js", "jsb", "x", "ts",
    "tz", "d", "tm", "bin", "u", "enum", "dom", "arr", "net", "iv",
];

fn decimal(text: &str) -> Value {
    Value::Decimal(text.parse().expect("a decimal"))
}

fn date(text: &str) -> Value {
    Value::DateTime(text.parse().expect("a date"))
}

fn full() -> Record {
    vec![
        Value::Integer(1),
        Value::Boolean(true),
        Value::Integer(-32_768),
        Value::Integer(i32::MAX.into()),
        Value::Integer(i64::MIN),
        decimal("-12345678901234567890123456789012345.678"),
        decimal("0.1"),
        decimal("-1234567.891"),
        Value::text("Привет, 😀 'кавычки' \\ \"и\"\nстроки"),
        Value::text(""),
        Value::text("аб   "),
        Value::text("{\"a\": 1.00}"),
        Value::text("{\"а\": [1, null]}"),
        Value::text("<a>б</a>"),
        date("0001-01-01T00:00:00"),
        date("2026-02-28T23:59:59.123456"),
        date("9999-12-31T00:00:00"),
        Value::text("23:59:59.5"),
        Value::Binary(vec![0, 1, 255].into()),
        Value::Uuid(
            "643c479d-cacf-4048-11f0-2426af738206"
                .parse()
                .expect("a uuid"),
        ),
        Value::text("синий"),
        Value::text("К-1"),
        Value::text("{1,NULL,3}"),
        Value::text("10.0.0.0/8"),
        Value::text("1 day 02:00:00"),
    ]
}

#[tokio::test]
async fn every_type_goes_both_ways() {
    let database = Database::with(ALL).await;
    let service = database.service();
    let target = table(&service, "t").await;
    let nulls = |id| {
        (0..25)
            .map(|i| {
                if i == 0 {
                    Value::Integer(id)
                } else {
                    Value::Null
                }
            })
            .collect::<Record>()
    };
    let records = vec![full(), nulls(2)];
    service
        .execute(&insert(&target, &NAMES), &records)
        .await
        .expect("inserts in bulk");
    let mut one = full();
    one[0] = Value::Integer(3);
    service
        .execute(&insert(&target, &NAMES), std::slice::from_ref(&one))
        .await
        .expect("inserts one");
    let mut read = query(&service, select(&target, &NAMES)).await;
    read.sort_by_key(|record| record[0].to_string());
    assert_eq!(read, [full(), nulls(2), one.clone()]);
    let mut source = source(&service, drain(&target, &NAMES, &["id"], 10));
    let (records, _, claim) = batch(&mut source, WAITING).await;
    assert_eq!(records.rows, [full(), nulls(2), one]);
    claim.commit().await.expect("commits");
    database.close().await;
}

#[tokio::test]
async fn a_text_of_10_megabytes_goes_both_ways() {
    let database = Database::with("CREATE TABLE t (id int PRIMARY KEY, txt text)").await;
    let service = database.service();
    let target = table(&service, "t").await;
    let text = Value::text("ё😀".repeat(10_000_000 / 6));
    let records: Vec<Record> = (1..=3)
        .map(|n| vec![Value::Integer(n), text.clone()])
        .collect();
    service
        .execute(&insert(&target, &["id", "txt"]), &records)
        .await
        .expect("inserts");
    let mut source = source(&service, drain(&target, &["id", "txt"], &["id"], 10));
    let mut rows = Vec::new();
    while rows.len() < 3 {
        let (records, _, claim) = batch(&mut source, WAITING).await;
        rows.extend(records.rows);
        claim.commit().await.expect("commits");
    }
    assert_eq!(rows, records);
    database.close().await;
}

#[tokio::test]
async fn converts_to_the_type_of_the_column_or_names_it() {
    let sql = "CREATE TABLE t (i int, n numeric(10, 2), b boolean, d date, ts timestamp, u uuid, txt text, bin bytea, \
               tz timestamptz)";
    let database = Database::with(sql).await;
    let service = database.service();
    let target = table(&service, "t").await;
    let names = ["i", "n", "b", "d", "ts", "u", "txt", "bin", "tz"];
    let uuid = "643c479d-cacf-4048-11f0-2426af738206";
    let record = vec![
        Value::text(" 42 "),
        Value::Integer(7),
        Value::text("TRUE"),
        Value::text("2026-01-02"),
        Value::text("2026-01-02 03:04:05"),
        Value::text(uuid),
        decimal("1.50"),
        Value::text("0x00ff"),
        Value::text("2026-01-02T03:04:05+05:00"),
    ];
    service
        .execute(&insert(&target, &names), &[record])
        .await
        .expect("converts");
    let expected = vec![
        Value::Integer(42),
        decimal("7.00"),
        Value::Boolean(true),
        date("2026-01-02T00:00:00"),
        date("2026-01-02T03:04:05"),
        Value::Uuid(uuid.parse().expect("a uuid")),
        Value::text("1.50"),
        Value::Binary(vec![0, 255].into()),
        date("2026-01-01T22:04:05"),
    ];
    assert_eq!(query(&service, select(&target, &names)).await, [expected]);
    for (name, value) in [
        ("txt", Value::Binary(vec![0x41, 0xff].into())),
        ("tz", Value::text("2026-01-02T03:04:05+99:00")),
        ("i", Value::text("сорок")),
        ("n", Value::text("1,5")),
        ("d", Value::Integer(1)),
        ("u", Value::text("x")),
    ] {
        let statement = insert_values(&target, 1, vec![(name, parameter(0))]);
        let error = service
            .execute(&statement, &[vec![value]])
            .await
            .expect_err("it is refused");
        assert_eq!(
            (error.class, error.record),
            (ErrorClass::Rejected, Some(0)),
            "{error}"
        );
        assert!(
            error
                .message
                .contains(&format!("column \"{name}\" cannot hold")),
            "{error}"
        );
    }
    database.close().await;
}

#[tokio::test]
async fn what_the_language_cannot_hold_is_refused_by_name() {
    let database = Database::with("").await;
    let service = database.service();
    for (number, (value, expected)) in [
        ("'NaN'::numeric", "NaN"),
        ("'infinity'::timestamp", "an infinite date"),
        ("'infinity'::float8", "an infinite number"),
        ("1e40::numeric", "more than 38 digits"),
        ("'0044-03-15 BC'::date", "a date outside"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("t{number}");
        let sql = format!("CREATE TABLE {name} AS SELECT 1 AS id, {value} AS \"Значение\"");
        database.client.batch_execute(&sql).await.unwrap();
        let target = table(&service, &name).await;
        let mut source = source(&service, drain(&target, &["id", "Значение"], &["id"], 10));
        let error = source
            .read(WAITING, &[])
            .await
            .map(|_| ())
            .expect_err("it is refused");
        assert_eq!(error.class, ErrorClass::Rejected);
        assert!(
            error.message.contains("\"Значение\" holds") && error.message.contains(expected),
            "{error}"
        );
        assert!(error.message.ends_with(", at the row id = 1"), "{error}");
        database
            .becomes(&format!("SELECT count(*) FROM {name}"), 1)
            .await;
    }
    database.close().await;
}

#[tokio::test]
async fn tiny_floating_numbers_are_rounded_to_38_places() {
    let sql = "CREATE TABLE t AS SELECT 1 AS id, 1.17549e-38::real AS a, -1.5e-37::float8 AS b, 5e-324::float8 AS c, 0.1::real AS d";
    let database = Database::with(sql).await;
    let service = database.service();
    let target = table(&service, "t").await;
    let rows = query(&service, select(&target, &["a", "b", "c", "d"])).await;
    let texts: Vec<String> = rows[0].iter().map(ToString::to_string).collect();
    let zeros = "0".repeat(36);
    assert_eq!(
        texts,
        [
            format!("0.{zeros}01"),
            format!("-0.{zeros}15"),
            "0".into(),
            "0.1".into()
        ]
    );
    database.close().await;
}

#[tokio::test]
async fn a_row_is_named_by_what_of_its_order_can_be_read() {
    let sql =
        "CREATE TABLE \"Очередь\" (\"Код\" text PRIMARY KEY, \"Когда\" timestamp, \"Тело\" float8);
        INSERT INTO \"Очередь\" VALUES ('а', 'infinity', 'NaN')";
    let database = Database::with(sql).await;
    let service = database.service();
    let target = table(&service, "Очередь").await;
    let mut source = source(&service, drain(&target, &["Тело"], &["Когда"], 10));
    let error = source
        .read(WAITING, &[])
        .await
        .map(|_| ())
        .expect_err("it is refused");
    let expected = "cannot read queue \"Очередь\": column \"Тело\" holds NaN, at the row Код = а";
    assert_eq!(error.message, expected);
    database.close().await;
}
