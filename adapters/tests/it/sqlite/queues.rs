//! Reading a queue: order, limits, what commit and release do.

use dajet_core::contract::Read;
use dajet_core::query::{Binary, Body, Expr, Statement};
use dajet_core::{ErrorClass, Value};

use super::fixture::*;

const QUEUE: &str = "CREATE TABLE очередь(НомерСообщения INTEGER PRIMARY KEY, ТелоСообщения TEXT);
     INSERT INTO очередь VALUES (3, 'три'), (1, 'раз'), (2, NULL), (10, ''), (7, 'семь');";

#[tokio::test]
async fn open_claims_are_disjoint_and_commit_in_turn() {
    for order in [
        &["НомерСообщения"][..],
        &["-НомерСообщения"],
        &["ТелоСообщения"],
        &[],
    ] {
        let fixture = Fixture::new(QUEUE);
        let mut source = fixture.source("очередь", order, 2).await;
        let (one, two) = (batch(&mut *source).await, batch(&mut *source).await);
        let three = batch(&mut *source).await;
        let mut all = [one.first(), two.first(), three.first()].concat();
        let read = source.read(ALL, &[]).await.unwrap();
        assert!(
            matches!(read, Read::Empty { complete: false }),
            "rows are held"
        );
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3, 7, 10], "{order:?}");
        for claim in [one.claim, two.claim, three.claim] {
            claim.commit().await.unwrap();
        }
        assert!(fixture.ask("SELECT * FROM очередь").is_empty());
    }
}

#[tokio::test]
async fn a_row_that_comes_before_held_rows_is_read_next() {
    let fixture = Fixture::new(QUEUE);
    for order in [&["НомерСообщения"][..], &["ТелоСообщения"]] {
        let mut source = fixture.source("очередь", order, 2).await;
        let one = batch(&mut *source).await;
        fixture.run("INSERT INTO очередь VALUES (0, NULL)");
        let two = batch(&mut *source).await;
        assert_eq!(two.first()[0], 0, "{order:?}");
        drop((one, two));
        fixture.run("DELETE FROM очередь WHERE НомерСообщения = 0");
    }
}

#[tokio::test]
async fn nulls_and_directions_order_as_the_database_does() {
    let fixture = Fixture::new(
        "CREATE TABLE q(id INTEGER PRIMARY KEY, a TEXT, b INTEGER);
         INSERT INTO q VALUES (1, 'б', 1), (2, NULL, 5), (3, 'а', 2), (4, 'б', 2), (5, NULL, NULL);",
    );
    let read = async |order: &[&str]| {
        let mut source = fixture.source("q", order, 9).await;
        batch(&mut *source).await.first()
    };
    assert_eq!(read(&["a", "b"]).await, [5, 2, 3, 1, 4]);
    assert_eq!(read(&["-a", "b"]).await, [1, 4, 3, 5, 2]);
    assert_eq!(read(&["-b"]).await, [2, 4, 3, 1, 5]);
    assert_eq!(
        read(&["a"]).await,
        [2, 5, 3, 1, 4],
        "equal keys stand in the order of rowids"
    );
}

#[tokio::test]
async fn a_filter_and_its_parameters_choose_the_rows() {
    let fixture = Fixture::new(
        "CREATE TABLE q(id INTEGER PRIMARY KEY, Получатель TEXT);
         INSERT INTO q VALUES (1, 'N002'), (2, 'N001'), (3, 'N002'), (4, 'N002');",
    );
    let table = fixture.table("q").await;
    let mut statement = drain(&table, &["id"], 2);
    statement.filter = Some(Expr::Binary(
        Binary::Equal,
        Box::new(column(&table, "Получатель")),
        Box::new(parameter(0, None)),
    ));
    let statement = Statement::new(1, Body::Drain(statement));
    let mut source = fixture.service.source(spec(statement)).unwrap();
    let mut read = async |name: &str| {
        read_with(&mut *source, ALL, &[Value::text(name)])
            .await
            .unwrap()
            .expect("there are rows")
    };
    let (one, two) = (read("N002").await, read("N002").await);
    assert_eq!((one.first(), two.first()), (vec![1, 3], vec![4]));
    assert_eq!(read("N001").await.first(), [2]);
    one.claim.commit().await.unwrap();
    two.claim.commit().await.unwrap();
    assert_eq!(fixture.ask("SELECT id FROM q"), ["2"]);
}

#[tokio::test]
async fn a_table_without_rowid_is_a_queue_too() {
    let fixture = Fixture::new(
        "CREATE TABLE q(Узел TEXT, Номер INTEGER, body TEXT, PRIMARY KEY (Узел, Номер)) WITHOUT ROWID;
         INSERT INTO q VALUES ('б', 1, 'x'), ('а', 2, 'y'), ('а', 1, 'z'), ('в', 1, 'w');",
    );
    let mut source = fixture.source("q", &["Узел", "Номер"], 2).await;
    let (one, two) = (batch(&mut *source).await, batch(&mut *source).await);
    let bodies = |rows: &[Vec<Value>]| rows.iter().map(|row| row[2].clone()).collect::<Vec<_>>();
    assert_eq!(bodies(&one.rows), [Value::text("z"), Value::text("y")]);
    assert_eq!(bodies(&two.rows), [Value::text("x"), Value::text("w")]);
    one.claim.commit().await.unwrap();
    assert_eq!(fixture.ask("SELECT body FROM q ORDER BY 1"), ["w", "x"]);
    fixture.run("UPDATE q SET body = 'v' WHERE body = 'x'");
    let error = refused(two.claim.commit().await);
    assert_eq!(error.class, ErrorClass::Transient, "{error}");
    let again = batch(&mut *source).await;
    assert_eq!(bodies(&again.rows), [Value::text("v"), Value::text("w")]);
    again.claim.commit().await.unwrap();
    assert!(fixture.ask("SELECT 1 FROM q").is_empty());
}

#[tokio::test]
async fn a_table_without_any_key_is_a_queue_too() {
    let fixture = Fixture::new(
        "CREATE TABLE q(rowid TEXT, a INTEGER); INSERT INTO q VALUES ('x', 1), ('x', 1), ('y', 2);",
    );
    let mut source = fixture.source("q", &[], 2).await;
    let one = batch(&mut *source).await;
    assert_eq!(
        one.rows,
        [
            [Value::text("x"), Value::Integer(1)],
            [Value::text("x"), Value::Integer(1)]
        ]
    );
    one.claim.commit().await.unwrap();
    assert_eq!(fixture.ask("SELECT a FROM q"), ["2"]);
}

#[tokio::test]
async fn a_view_is_no_queue() {
    let fixture = Fixture::new("CREATE TABLE t(a); CREATE VIEW Вид AS SELECT a FROM t;");
    let table = fixture.table("вид").await;
    let statement = Statement::new(0, Body::Drain(drain(&table, &[], 1)));
    let error = refused(fixture.service.source(spec(statement)));
    assert_eq!(error.class, ErrorClass::Misconfigured);
    assert!(error.message.contains("\"Вид\": it is a view"), "{error}");
}

#[tokio::test]
async fn hidden_order_columns_do_not_reach_the_script() {
    let fixture = Fixture::new(
        "CREATE TABLE q(id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO q VALUES (1, 9), (2, 8);",
    );
    let table = fixture.table("q").await;
    let mut statement = drain(&table, &["a"], 5);
    statement.columns.truncate(1);
    let statement = Statement::new(0, Body::Drain(statement));
    let mut source = fixture.service.source(spec(statement)).unwrap();
    let one = batch(&mut *source).await;
    assert_eq!(one.rows, [[Value::Integer(2)], [Value::Integer(1)]]);
    assert_eq!(one.keys.describe(0).as_deref(), Some("a = 8, id = 2"));
    fixture.run("UPDATE q SET a = 7 WHERE id = 1");
    assert!(
        one.claim.commit().await.is_err(),
        "a hidden column is compared too"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drains_a_hundred_thousand_rows() {
    let fixture = Fixture::new(
        "PRAGMA journal_mode = WAL; CREATE TABLE q(id INTEGER PRIMARY KEY, body TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
         INSERT INTO q SELECT i, 'сообщение ' || i FROM n;",
    );
    let mut source = fixture.source("q", &["id"], 1000).await;
    let (mut expected, mut ahead) = (1, Some(batch(&mut *source).await));
    while let Some(now) = ahead {
        for id in now.first() {
            assert_eq!(id, expected);
            expected += 1;
        }
        ahead = read(&mut *source).await;
        now.claim.commit().await.unwrap();
    }
    assert_eq!(expected, 100_001);
    assert!(fixture.ask("SELECT 1 FROM q").is_empty());
}
