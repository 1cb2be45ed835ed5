//! Writes: in bulk, in order, and what is refused.

use std::sync::Arc;

use dajet_core::query::{Body, Expr, Function, Insert, Output, Part, Statement};
use dajet_core::{DataType, ErrorClass, Record, Value};

use super::fixture::{
    Database, column, from, insert, insert_values, number, parameter, select, table,
};

fn records(count: i64) -> Vec<Record> {
    (0..count)
        .map(|n| {
            vec![
                Value::Integer(n),
                Value::text(format!("тело {n} {}", "x".repeat(350))),
            ]
        })
        .collect()
}

#[tokio::test]
async fn inserts_100_000_rows() {
    let database = Database::with("CREATE TABLE t (n bigint PRIMARY KEY, body text)").await;
    let service = database.service();
    let insert = insert(&table(&service, "t").await, &["n", "body"]);
    let records = records(100_000);
    let started = std::time::Instant::now();
    let mut claim = service.begin().await.expect("begins");
    claim.execute(&insert, &records).await.expect("inserts");
    claim.commit().await.expect("commits");
    println!("100 000 rows in {:?}", started.elapsed());
    assert_eq!(database.number("SELECT count(*) FROM t").await, 100_000);
    let sum = "SELECT count(*) FROM t WHERE body = 'тело ' || n || ' ' || repeat('x', 350)";
    assert_eq!(database.number(sum).await, 100_000);
    database.close().await;
}

#[tokio::test]
async fn vector_numbers_follow_the_order_of_records() {
    let sql = "CREATE TABLE t (v bigint, n bigint, s bigserial); CREATE SEQUENCE \"Счётчик\"";
    let database = Database::with(sql).await;
    let service = database.service();
    let vector = Expr::Call(Function::Vector("Счётчик".into()), vec![]);
    let insert = insert_values(
        &table(&service, "t").await,
        1,
        vec![("v", vector), ("n", parameter(0))],
    );
    let records: Vec<Record> = (1..=25_000).map(|n| vec![Value::Integer(n)]).collect();
    service.execute(&insert, &records).await.expect("inserts");
    assert_eq!(
        database
            .number("SELECT count(*) FROM t WHERE v = n AND s = n")
            .await,
        25_000
    );
    database.close().await;
}

#[tokio::test]
async fn names_the_refused_record_and_is_poisoned() {
    let sql =
        "CREATE TABLE t (n bigint PRIMARY KEY, body varchar(10) NOT NULL CHECK (body <> 'плохо'))";
    let database = Database::with(sql).await;
    let service = database.service();
    let insert = insert(&table(&service, "t").await, &["n", "body"]);
    let good = |n: i64| vec![Value::Integer(n), Value::text("да")];
    let cases = [
        (
            vec![Value::Integer(5000), Value::text("плохо")],
            Some("23514"),
        ),
        (vec![Value::Integer(5000), Value::Null], Some("23502")),
        (
            vec![Value::Integer(7), Value::text("дважды")],
            Some("23505"),
        ),
        (
            vec![Value::Integer(5000), Value::text("длиннее десяти")],
            Some("22001"),
        ),
        (vec![Value::text("семь"), Value::text("да")], None),
        (vec![Value::Integer(5000), Value::text("а\0")], None),
    ];
    for (bad, state) in cases {
        let mut records: Vec<Record> = (0..11_000).map(good).collect();
        records[10_500] = bad;
        let mut claim = service.begin().await.expect("begins");
        let error = claim
            .execute(&insert, &records)
            .await
            .expect_err("a record is refused");
        assert_eq!(
            (error.class, error.record),
            (ErrorClass::Rejected, Some(10_500)),
            "{error}"
        );
        assert!(
            !format!("{error:?}").contains("дважды") && std::error::Error::source(&error).is_none()
        );
        assert_eq!(error.native_code.as_deref(), state, "{error}");
        assert!(
            error
                .message
                .starts_with("cannot insert into table \"t\": "),
            "{error}"
        );
        assert!(claim.execute(&insert, &[good(1)]).await.is_err());
        assert!(
            claim.commit().await.is_err(),
            "a poisoned claim commits nothing"
        );
        assert_eq!(database.number("SELECT count(*) FROM t").await, 0);
    }
    // outside of a transaction: all of the records or none
    let records = [good(1), good(2), good(1)];
    let error = service
        .execute(&insert, &records)
        .await
        .expect_err("a record is refused");
    assert_eq!((error.class, error.record), (ErrorClass::Rejected, Some(2)));
    let error = service
        .execute(&insert, &[vec![Value::Integer(1), Value::Null]])
        .await
        .expect_err("refused");
    assert_eq!(error.record, Some(0));
    assert_eq!(database.number("SELECT count(*) FROM t").await, 0);
    service
        .execute(&insert, &[good(1)])
        .await
        .expect("the session is still good");
    database.close().await;
}

#[tokio::test]
async fn computes_constants_and_functions_for_each_record() {
    let sql =
        "CREATE TABLE t (n int, u uuid, at timestamp, flag boolean, x numeric(10, 2), b bytea)";
    let database = Database::with(sql).await;
    let service = database.service();
    let sum = Expr::Binary(
        dajet_core::query::Binary::Add,
        Box::new(parameter(0)),
        Box::new(number(1)),
    );
    let call = |function| Expr::Call(function, vec![]);
    let values = vec![
        ("n", Expr::Cast(Box::new(sum), DataType::Integer)),
        ("u", call(Function::NewUuid)),
        ("at", call(Function::Utc)),
        ("flag", Expr::Literal(Value::Boolean(true))),
        ("x", Expr::Literal(Value::Decimal("-12.5".parse().unwrap()))),
        ("b", call(Function::NewUuid)),
    ];
    let target = table(&service, "t").await;
    let one = insert_values(&target, 1, values);
    let records: Vec<Record> = (0..3).map(|n| vec![Value::Integer(n)]).collect();
    service.execute(&one, &records).await.expect("inserts");
    let sql = "SELECT count(DISTINCT u) + count(DISTINCT b) + sum(n) FROM t
        WHERE flag AND x = -12.5 AND octet_length(b) = 16 AND at > now() AT TIME ZONE 'UTC' - interval '1 min'";
    assert_eq!(
        database.number(&format!("SELECT ({sql})::bigint")).await,
        3 + 3 + 6
    );
    // no parameter at all
    let none = insert_values(
        &target,
        0,
        vec![("flag", Expr::Literal(Value::Boolean(false)))],
    );
    service
        .execute(&none, &vec![vec![]; 5])
        .await
        .expect("inserts");
    assert_eq!(
        database
            .number("SELECT count(*) FROM t WHERE NOT flag")
            .await,
        5
    );
    database.close().await;
}

#[tokio::test]
async fn inserts_the_rows_of_a_query() {
    let sql = "CREATE TABLE s (id int, name text); CREATE TABLE t (id bigint, name varchar(20), batch numeric, v bigint);
        CREATE SEQUENCE seq; INSERT INTO s VALUES (3, 'в'), (1, 'а'), (2, 'б')";
    let database = Database::with(sql).await;
    let service = database.service();
    let (from_table, target) = (table(&service, "s").await, table(&service, "t").await);
    let mut query = select(&from_table, &["id", "name"]);
    query.columns.push(Output {
        name: "batch".into(),
        expr: parameter(0),
        data_type: None,
    });
    query.filter = Some(Expr::Binary(
        dajet_core::query::Binary::GreaterOrEqual,
        Box::new(column(&from_table, "id")),
        Box::new(parameter(1)),
    ));
    query.order = vec![super::fixture::ascending(&from_table, "id")];
    let of = |name: &str| match column(&target, name) {
        Expr::Column { column, .. } => column,
        _ => unreachable!(),
    };
    let columns = vec![
        (of("id"), Expr::Output(0)),
        (of("name"), Expr::Output(1)),
        (of("batch"), Expr::Output(2)),
        (of("v"), Expr::Call(Function::Vector("seq".into()), vec![])),
    ];
    let insert = Insert {
        table: Arc::clone(&target),
        columns,
        query: Some(query),
    };
    let statement = Statement::new(2, Body::Insert(insert));
    let records = [
        vec![Value::text("1.5"), Value::Integer(2)],
        vec![Value::Integer(2), Value::Integer(1)],
    ];
    let answer = service
        .execute(&statement, &records)
        .await
        .expect("inserts");
    assert_eq!(answer.groups.len(), 2);
    let sql = "SELECT count(*) FROM t WHERE (batch, id, v) IN ((1.5, 2, 1), (1.5, 3, 2), (2, 1, 3), (2, 2, 4), (2, 3, 5))";
    assert_eq!(database.number(sql).await, 5);
    database.close().await;
}

#[tokio::test]
async fn a_failed_query_of_many_names_its_record() {
    let database = Database::with(
        "CREATE TABLE t (id int PRIMARY KEY, x int); INSERT INTO t VALUES (1, 0), (2, 5)",
    )
    .await;
    let service = database.service();
    let target = table(&service, "t").await;
    let mut query = select(&target, &["id"]);
    let quotient = Expr::Binary(
        dajet_core::query::Binary::Divide,
        Box::new(number(10)),
        Box::new(column(&target, "x")),
    );
    query.columns.push(Output {
        name: "частное".into(),
        expr: quotient,
        data_type: Some(DataType::Integer),
    });
    query.from = Some(from(&target));
    let id = Expr::Parameter {
        index: 0,
        data_type: None,
        part: Part::Whole,
    };
    query.filter = Some(Expr::Binary(
        dajet_core::query::Binary::Equal,
        Box::new(column(&target, "id")),
        Box::new(id),
    ));
    let statement = Statement::new(1, Body::Select(query));
    let mut claim = service.begin().await.expect("begins");
    let records: Vec<Record> = [2, 2, 3, 1, 2].map(|n| vec![Value::Integer(n)]).to_vec();
    let answer = claim
        .execute(&statement, &records[..3])
        .await
        .expect("reads");
    assert_eq!(
        answer.groups.iter().map(Vec::len).collect::<Vec<_>>(),
        [1, 1, 0]
    );
    assert_eq!(answer.groups[0][0], [Value::Integer(2), Value::Integer(2)]);
    let error = claim
        .execute(&statement, &records)
        .await
        .expect_err("division by zero");
    assert_eq!(
        (error.class, error.record, error.native_code.as_deref()),
        (ErrorClass::Rejected, Some(3), Some("22012"))
    );
    claim.release().await.expect("rolls back");
    database.close().await;
}
