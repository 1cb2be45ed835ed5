//! Writing: sequences, functions, sources of rows, what a full disk does.

use std::sync::Arc;

use dajet_core::query::{Body, Expr, Function, Insert, Order, Output, Select, Statement};
use dajet_core::schema::DataType;
use dajet_core::{ErrorClass, Value};

use super::fixture::*;

const TARGET: &str = "CREATE TABLE t(id INTEGER, body TEXT);
     CREATE TABLE s(body TEXT); INSERT INTO s VALUES ('в'), ('а'), ('б');";

fn vector() -> Expr {
    Expr::Call(Function::Vector("Нумератор".into()), Vec::new())
}

#[tokio::test]
async fn sequences_follow_the_order_of_the_records() {
    let fixture = Fixture::new(TARGET);
    let table = fixture.table("t").await;
    let column = |name: &str| Arc::new(table.column(name).unwrap().clone());
    let columns = vec![
        (column("id"), vector()),
        (column("body"), parameter(0, Some(DataType::Text))),
    ];
    let write = insert_of(&table, columns, 1);
    let rows: Vec<_> = ["x", "y", "z"].map(|text| vec![Value::text(text)]).into();
    let mut claim = fixture.service.begin().await.unwrap();
    claim.execute(&write, &rows).await.unwrap();
    claim.release().await.unwrap();
    let mut claim = fixture.service.begin().await.unwrap();
    claim.execute(&write, &rows).await.unwrap();
    claim.execute(&write, &rows[..1]).await.unwrap();
    claim.commit().await.unwrap();
    let select = "SELECT body || id FROM t ORDER BY id";
    assert_eq!(fixture.ask(select), ["x1", "y2", "z3", "x4"]);
    fixture.service.execute(&write, &rows[..1]).await.unwrap();
    assert_eq!(fixture.ask("SELECT value FROM dajet_sequences"), ["5"]);
}

#[tokio::test]
async fn sequences_follow_the_order_of_a_query() {
    let fixture = Fixture::new(TARGET);
    let (table, from_table) = (fixture.table("t").await, fixture.table("s").await);
    let column = |name: &str| Arc::new(table.column(name).unwrap().clone());
    for (descending, expected) in [(false, ["а", "б", "в"]), (true, ["в", "б", "а"])] {
        fixture.run("DELETE FROM t");
        let query = Select {
            distinct: false,
            top: None,
            columns: vec![output(&from_table, "body")],
            from: Some(from(&from_table)),
            filter: None,
            order: vec![Order {
                descending,
                ..orders(&from_table, &["body"]).remove(0)
            }],
            ..Select::default()
        };
        let columns = vec![(column("id"), vector()), (column("body"), Expr::Output(0))];
        let insert = Insert {
            table: Arc::clone(&table),
            columns,
            query: Some(query),
        };
        let write = Statement::new(0, Body::Insert(insert));
        fixture
            .service
            .execute(&write, &[Vec::new()])
            .await
            .unwrap();
        assert_eq!(fixture.ask("SELECT body FROM t ORDER BY id"), expected);
    }
}

fn numbered(numbers: impl Iterator<Item = i64>) -> Vec<Vec<Value>> {
    numbers
        .map(|n| vec![Value::Integer(n), Value::text(format!("тело {n}"))])
        .collect()
}

#[tokio::test]
async fn a_refused_record_among_many_is_named() {
    let fixture =
        Fixture::new("CREATE TABLE Заказы(seq INTEGER PRIMARY KEY, id INTEGER UNIQUE, body TEXT)");
    let table = fixture.table("Заказы").await;
    let write = insert(&table, &["id", "body"]);
    let mut claim = fixture.service.begin().await.unwrap();
    let twice = numbered((1..=47).map(|n| if n == 34 { 7 } else { n }));
    let error = refused(claim.execute(&write, &twice).await);
    assert_eq!(
        (error.record, error.class),
        (Some(33), ErrorClass::Rejected)
    );
    drop(claim);
    let mut claim = fixture.service.begin().await.unwrap();
    let mut wrong = numbered(1..=47);
    wrong[25][0] = Value::text("не число");
    let error = refused(claim.execute(&write, &wrong).await);
    assert_eq!(error.record, Some(25), "{error:?}");
    claim.release().await.unwrap();
    assert!(fixture.ask("SELECT 1 FROM Заказы").is_empty());

    let mut claim = fixture.service.begin().await.unwrap();
    let answer = claim.execute(&write, &numbered(1..=47)).await.unwrap();
    assert_eq!(answer.groups.len(), 47);
    claim.commit().await.unwrap();
    let rows = fixture.ask("SELECT seq || ' ' || id || ' ' || body FROM Заказы ORDER BY seq");
    let expected: Vec<_> = (1..=47).map(|n| format!("{n} {n} тело {n}")).collect();
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_trigger_that_ends_the_transaction_leaves_nothing() {
    let fixture = Fixture::new(
        "CREATE TABLE t(id INTEGER, body TEXT);
         CREATE TRIGGER guard BEFORE INSERT ON t WHEN NEW.id = 34 BEGIN SELECT RAISE(ROLLBACK, 'нельзя'); END;",
    );
    let table = fixture.table("t").await;
    let write = insert(&table, &["id", "body"]);
    let mut claim = fixture.service.begin().await.unwrap();
    let error = refused(claim.execute(&write, &numbered(1..=47)).await);
    assert!(error.message.contains("нельзя"), "{error:?}");
    drop(claim);
    assert!(fixture.ask("SELECT id FROM t").is_empty());
    let mut claim = fixture.service.begin().await.unwrap();
    claim.execute(&write, &numbered(1..=33)).await.unwrap();
    claim.commit().await.unwrap();
    assert_eq!(fixture.ask("SELECT count(*) FROM t"), ["33"]);
}

#[tokio::test]
async fn functions_know_all_scripts() {
    let fixture = Fixture::new("CREATE TABLE t(a TEXT); INSERT INTO t VALUES ('  Ёлка😀 ');");
    let table = fixture.table("t").await;
    let call = |function, name: &str| Output {
        name: name.into(),
        expr: Expr::Call(function, vec![column(&table, "a")]),
        data_type: None,
    };
    let query = Select {
        distinct: false,
        top: Some(parameter(0, None)),
        columns: vec![
            call(Function::Upper, "1"),
            call(Function::Lower, "2"),
            call(Function::LTrim, "3"),
            call(Function::RTrim, "4"),
            call(Function::CharLength, "5"),
            call(Function::DataLength, "6"),
        ],
        from: Some(from(&table)),
        filter: None,
        order: Vec::new(),
        ..Select::default()
    };
    let select = Statement::new(1, Body::Select(query));
    let answer = fixture
        .service
        .execute(&select, &[vec![Value::Integer(5)]])
        .await
        .unwrap();
    let expected = [
        Value::text("  ЁЛКА😀 "),
        Value::text("  ёлка😀 "),
        Value::text("Ёлка😀 "),
        Value::text("  Ёлка😀"),
        Value::Integer(8),
        Value::Integer(15),
    ];
    assert_eq!(answer.groups, [[expected]]);
    let none = fixture
        .service
        .execute(&select, &[vec![Value::Integer(-1)]])
        .await
        .unwrap();
    assert!(none.groups[0].is_empty(), "a negative TOP is none");
}

#[tokio::test]
async fn uuids_and_times_are_made_for_each_row() {
    let fixture = Fixture::new(
        "CREATE TABLE t(a UUID, b BLOB, c DATETIME, d DATETIME, UNIQUE (a), UNIQUE (b));",
    );
    let table = fixture.table("t").await;
    let columns = [
        Function::NewUuid,
        Function::NewUuid,
        Function::Now,
        Function::Utc,
    ];
    let columns = table.columns.iter().zip(columns);
    let columns = columns.map(|(c, f)| (Arc::new(c.clone()), Expr::Call(f, Vec::new())));
    let write = insert_of(&table, columns.collect(), 0);
    fixture
        .service
        .execute(&write, &[Vec::new(), Vec::new()])
        .await
        .unwrap();
    assert_eq!(
        fixture.ask("SELECT length(a) || typeof(b) || length(b) FROM t"),
        ["36blob16"; 2]
    );
    let look = select(&table, &["a", "c", "d"], &[]);
    let answer = fixture.service.execute(&look, &[Vec::new()]).await.unwrap();
    let row = &answer.groups[0][0];
    assert!(
        matches!(
            row[..],
            [Value::Uuid(_), Value::DateTime(_), Value::DateTime(_)]
        ),
        "{row:?}"
    );
}

#[tokio::test]
async fn an_unknown_name_says_so_and_is_found_again() {
    let fixture = Fixture::new(TARGET);
    let table = fixture.table("t").await;
    let write = insert(&table, &["id", "body"]);
    fixture.run("ALTER TABLE t RENAME COLUMN body TO Тело");
    let row = [vec![Value::Integer(1), Value::text("x")]];
    let error = refused(fixture.service.execute(&write, &row).await);
    assert_eq!(error.class, ErrorClass::Misconfigured);
    assert!(
        error.unknown_name && error.message.contains("no column named body"),
        "{error}"
    );
    fixture.service.forget();
    assert!(fixture.table("t").await.column("тело").is_some());
    fixture.run("DROP TABLE t");
    let error = refused(fixture.service.execute(&write, &row).await);
    assert!(error.unknown_name, "{error}");
}

#[tokio::test]
async fn names_are_found_without_regard_to_case_and_near_ones_suggested() {
    let fixture = Fixture::new(
        "CREATE TABLE \"Заказы\"\"2\"(a); CREATE TABLE Товары(\"№ п/п\" INTEGER, b TEXT AS (a) STORED, a);",
    );
    let names: Vec<Arc<str>> = ["заказы\"2", "main.ТОВАРЫ", "Тавары"].map(Arc::from).into();
    let schema = fixture.service.describe(&names).await.unwrap();
    let found: Vec<_> = schema
        .tables
        .iter()
        .map(|(_, t)| t.as_ref().map(|t| &*t.name))
        .collect();
    assert_eq!(found, [Some("Заказы\"2"), Some("Товары"), None]);
    assert_eq!(schema.suggestions, [Arc::from("Товары")]);
    let table = fixture.table("Товары").await;
    assert!(table.column("b").is_some_and(|c| c.parts[0].generated));
    let rows = [vec![Value::Integer(1), Value::text("x")]];
    fixture
        .service
        .execute(&insert(&table, &["№ П/П", "a"]), &rows)
        .await
        .unwrap();
    assert_eq!(fixture.ask("SELECT b FROM Товары"), ["x"]);
}

/// A small disk of its own, where the tests may mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=2m", "dajet"])
            .arg(folder.path());
        mount
            .output()
            .ok()?
            .status
            .success()
            .then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(
            std::process::Command::new("umount")
                .arg("-l")
                .arg(self.0.path())
                .status(),
        );
    }
}

#[tokio::test]
async fn a_full_disk_is_an_outage_that_heals() {
    let Some(disk) = SmallDisk::mount() else {
        return; // only root may mount
    };
    let path = disk.0.path();
    {
        let service = open(path, "sqlite://диск.db").unwrap();
        service.begin().await.unwrap().release().await.unwrap();
        let application = rusqlite::Connection::open(path.join("диск.db")).unwrap();
        application
            .execute_batch("CREATE TABLE t(id INTEGER, body BLOB)")
            .unwrap();
        let write = insert(&table(&*service, "t").await, &["id", "body"]);
        let body = Value::Binary(vec![7; 10_000].into());
        let rows: Vec<_> = (0..50)
            .map(|id| vec![Value::Integer(id), body.clone()])
            .collect();
        std::fs::write(path.join("балласт"), vec![0; 1_600_000]).unwrap();
        let mut claim = service.begin().await.unwrap();
        let written = claim.execute(&write, &rows).await;
        let error = match written {
            Ok(_) => refused(claim.commit().await),
            Err(error) => {
                drop(claim);
                error
            }
        };
        assert_eq!(error.class, ErrorClass::Transient, "{error}");
        std::fs::remove_file(path.join("балласт")).unwrap();
        let mut claim = service.begin().await.unwrap();
        claim.execute(&write, &rows).await.unwrap();
        claim.commit().await.unwrap();
        let count = "SELECT count(*) FROM t";
        assert_eq!(
            application.query_row(count, [], |row| row.get::<_, i64>(0)),
            Ok(50)
        );
    }
}

#[tokio::test]
async fn a_log_stays_bounded_where_commits_leave_no_pause() {
    let fixture = Fixture::new("PRAGMA journal_mode = WAL; CREATE TABLE t(id INTEGER, body BLOB)");
    let write = insert(&fixture.table("t").await, &["id", "body"]);
    let body = Value::Binary(vec![7; 100_000].into());
    let rows: Vec<_> = (0..10)
        .map(|id| vec![Value::Integer(id), body.clone()])
        .collect();
    // 250 pages each: half as much again as a log may hold.
    for _ in 0..100 {
        let mut claim = fixture.service.begin().await.unwrap();
        claim.execute(&write, &rows).await.unwrap();
        claim.commit().await.unwrap();
    }
    assert_eq!(fixture.ask("SELECT count(*) FROM t"), ["1000"]);
    let log = fixture.folder.path().join("очередь.db-wal");
    let pages = log.metadata().unwrap().len() / 4096;
    assert!(pages < 20_000, "{pages} pages");
}
