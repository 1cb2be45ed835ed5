//! Others that use the file: the application, other readers, other pipelines of this process.

use std::sync::Arc;
use std::time::Duration;

use dajet_core::query::{Body, Statement};
use dajet_core::{ErrorClass, Value};

use super::fixture::*;

const QUEUES: &str = "CREATE TABLE q(id INTEGER PRIMARY KEY, body TEXT);
     CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT NOT NULL);
     INSERT INTO q VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd');";

#[tokio::test]
async fn an_open_read_does_not_lock_the_application_out() {
    for journal in ["DELETE", "WAL"] {
        let fixture = Fixture::new(&format!("PRAGMA journal_mode = {journal}; {QUEUES}"));
        fixture.application.busy_timeout(Duration::ZERO).unwrap();
        let mut source = fixture.source("q", &["id"], 2).await;
        let one = batch(&mut *source).await;
        fixture.run("INSERT INTO q VALUES (5, 'e'); UPDATE q SET body = 'x' WHERE id = 4");
        one.claim.commit().await.unwrap();
        assert_eq!(
            fixture.ask("SELECT body FROM q ORDER BY id"),
            ["c", "x", "e"]
        );
        assert_eq!(fixture.ask("PRAGMA journal_mode"), [journal.to_lowercase()]);
    }
}

#[tokio::test]
async fn a_changed_row_is_read_again() {
    let fixture = Fixture::new(QUEUES);
    let mut source = fixture.source("q", &["id"], 2).await;
    let one = batch(&mut *source).await;
    fixture.run("UPDATE q SET body = 'новое' WHERE id = 2");
    let error = refused(one.claim.commit().await);
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.message.contains("changed meanwhile"), "{error}");
    let again = batch(&mut *source).await;
    assert_eq!(again.rows[1], [Value::Integer(2), Value::text("новое")]);
    again.claim.commit().await.unwrap();
    assert_eq!(fixture.ask("SELECT id FROM q"), ["3", "4"]);
}

#[tokio::test]
async fn a_row_that_somebody_else_took_is_noticed() {
    let fixture = Fixture::new(QUEUES);
    let mut source = fixture.source("q", &["id"], 3).await;
    let one = batch(&mut *source).await;
    fixture.run("DELETE FROM q WHERE id = 2");
    assert_eq!(
        refused(one.claim.commit().await).class,
        ErrorClass::Transient
    );
    assert_eq!(
        fixture.ask("SELECT id FROM q"),
        ["1", "3", "4"],
        "nothing of the batch is deleted"
    );
    assert_eq!(batch(&mut *source).await.first(), [1, 3, 4]);
}

#[tokio::test]
async fn a_rowid_that_is_used_again_is_another_row() {
    let fixture = Fixture::new(QUEUES);
    let mut source = fixture.source("q", &["id"], 9).await;
    let one = batch(&mut *source).await;
    fixture.run("DELETE FROM q WHERE id = 4; INSERT INTO q(body) VALUES ('другое')");
    assert_eq!(fixture.ask("SELECT max(id) FROM q"), ["4"]);
    assert!(one.claim.commit().await.is_err());
    assert_eq!(fixture.ask("SELECT count(*) FROM q"), ["4"]);
}

#[tokio::test]
async fn writes_of_our_own_are_noticed_too() {
    let fixture = Fixture::new(QUEUES);
    let table = fixture.table("q").await;
    let mut source = fixture.source("q", &["id"], 2).await;
    let one = batch(&mut *source).await;
    fixture
        .run("CREATE TRIGGER tr AFTER INSERT ON t BEGIN UPDATE q SET body = 'x' WHERE id = 1; END");
    let two = batch(&mut *source).await;
    let target = fixture.table("t").await;
    let row = [vec![Value::Integer(1), Value::text("a")]];
    fixture
        .service
        .execute(&insert(&target, &["id", "body"]), &row)
        .await
        .unwrap();
    assert!(one.claim.commit().await.is_err(), "a trigger changed a row");
    two.claim.commit().await.unwrap();
    assert_eq!(fixture.ask("SELECT body FROM q ORDER BY id"), ["x", "b"]);
    drop(table);
}

#[tokio::test]
async fn two_sources_of_one_table_share_the_rows() {
    let fixture = Fixture::new(QUEUES);
    let mut one = fixture.source("q", &["id"], 2).await;
    let again = open(fixture.folder.path(), "sqlite://./очередь.db").unwrap();
    assert_eq!(again.identity(), fixture.service.identity());
    let mut two = fixture.source("q", &["id"], 2).await;
    let (a, b) = (batch(&mut *one).await, batch(&mut *two).await);
    assert_eq!((a.first(), b.first()), (vec![1, 2], vec![3, 4]));
    b.claim.commit().await.unwrap();
    a.claim.commit().await.unwrap();
}

#[tokio::test]
async fn a_row_can_go_back_into_its_queue() {
    let fixture = Fixture::new(QUEUES);
    let table = fixture.table("q").await;
    let mut source = fixture.source("q", &["id"], 2).await;
    let mut one = batch(&mut *source).await;
    one.claim
        .execute(&insert(&table, &["id", "body"]), &one.rows)
        .await
        .unwrap();
    one.claim.commit().await.unwrap();
    assert_eq!(fixture.ask("SELECT count(*) FROM q"), ["4"]);
}

#[tokio::test]
async fn a_body_reads_what_it_wrote() {
    let fixture = Fixture::new(QUEUES);
    let target = fixture.table("t").await;
    let write = insert(&target, &["id", "body"]);
    let look = select(&target, &["body"], &["id"]);
    let queue = select(&fixture.table("q").await, &["id"], &["id"]);
    let none = [Vec::new()];
    let mut source = fixture.source("q", &["id"], 2).await;
    let mut one = batch(&mut *source).await;
    let before = one.claim.execute(&look, &none).await.unwrap();
    assert_eq!(before.groups, [Vec::<Vec<Value>>::new()]);
    fixture.run("UPDATE q SET body = 'dd' WHERE id = 4");
    one.claim.execute(&write, &one.rows).await.unwrap();
    let after = one.claim.execute(&look, &none).await.unwrap();
    assert_eq!(after.groups, [[[Value::text("a")], [Value::text("b")]]]);
    let left = one.claim.execute(&queue, &none).await.unwrap();
    assert_eq!(left.groups, [[[Value::Integer(3)], [Value::Integer(4)]]]);
    one.claim
        .execute(&write, &[vec![Value::Integer(9), Value::text("z")]])
        .await
        .unwrap();
    assert!(fixture.ask("SELECT * FROM t").is_empty());
    one.claim.commit().await.unwrap();
    assert_eq!(fixture.ask("SELECT id FROM t ORDER BY id"), ["1", "2", "9"]);
    assert_eq!(fixture.ask("SELECT id FROM q ORDER BY id"), ["3", "4"]);
    let mut two = batch(&mut *source).await;
    two.claim.execute(&write, &two.rows).await.unwrap();
    two.claim.execute(&look, &none).await.unwrap();
    drop(two);
    assert_eq!(batch(&mut *source).await.first(), [3, 4]);
    assert_eq!(fixture.ask("SELECT count(*) FROM t"), ["3"]);
}

#[tokio::test]
async fn one_target_claim_waits_for_the_other() {
    let fixture = Fixture::new(QUEUES);
    let target = fixture.table("t").await;
    let write = insert(&target, &["id", "body"]);
    let mut one = fixture.service.begin().await.unwrap();
    let mut two = fixture.service.begin().await.unwrap();
    let mut row = [vec![Value::Integer(0), Value::text("x")]];
    one.execute(&write, &row).await.unwrap();
    let second = Arc::clone(&write);
    let waiting = tokio::spawn(async move {
        let row = [vec![Value::Integer(99), Value::text("y")]];
        two.execute(&second, &row).await.unwrap();
        two
    });
    for id in 1..50 {
        row[0][0] = Value::Integer(id);
        one.execute(&write, &row).await.unwrap();
    }
    let look = select(&target, &["id"], &[]);
    let seen = fixture.service.execute(&look, &[Vec::new()]).await.unwrap();
    assert!(
        seen.groups[0].is_empty(),
        "readers of this process do not wait"
    );
    assert!(!waiting.is_finished());
    one.commit().await.unwrap();
    waiting.await.unwrap().release().await.unwrap();
    assert_eq!(fixture.ask("SELECT count(*) FROM t"), ["50"]);
}

#[tokio::test]
async fn a_source_commits_after_a_foreign_target_claim_ended() {
    let fixture = Fixture::new(QUEUES);
    let target = fixture.table("t").await;
    let mut source = fixture.source("q", &["id"], 2).await;
    let one = batch(&mut *source).await;
    let mut other = fixture.service.begin().await.unwrap();
    let commit = tokio::spawn(one.claim.commit());
    let row = [vec![Value::Integer(1), Value::text("x")]];
    other
        .execute(&insert(&target, &["id", "body"]), &row)
        .await
        .unwrap();
    drop(other);
    commit.await.unwrap().unwrap();
    assert_eq!(fixture.ask("SELECT count(*) FROM q"), ["2"]);
    assert!(fixture.ask("SELECT * FROM t").is_empty());
}

#[tokio::test]
async fn a_lock_of_the_application_is_waited_for_and_is_an_outage_then() {
    let fixture = Fixture::new(QUEUES);
    let short = Duration::from_millis(100);
    let service = open_for(fixture.folder.path(), "sqlite://очередь.db", short).unwrap();
    fixture.run("BEGIN IMMEDIATE");
    let mut claim = service.begin().await.unwrap();
    let error = refused(claim.execute(&select_one(), &[Vec::new()]).await);
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.message.contains("database is locked"), "{error}");
    let mut claim = fixture.service.begin().await.unwrap();
    let waiting = tokio::spawn(async move {
        claim.execute(&select_one(), &[Vec::new()]).await.unwrap();
        claim
    });
    tokio::task::yield_now().await;
    fixture.run("COMMIT");
    waiting.await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn a_strict_reader_waits_for_rows_that_another_holds() {
    let fixture = Fixture::new(QUEUES);
    let mut one = fixture.source("q", &["id"], 2).await;
    let held = batch(&mut *one).await;
    let mut statement = drain(&fixture.table("q").await, &["id"], 2);
    statement.strict = true;
    let statement = Statement::new(0, Body::Drain(statement));
    let mut two = fixture.service.source(spec(statement)).unwrap();
    let waiting = tokio::spawn(async move { batch(&mut *two).await.first() });
    for _ in 0..20 {
        // The thread has seen the waiting read when it has answered this.
        fixture
            .service
            .execute(&select_one(), &[Vec::new()])
            .await
            .unwrap();
    }
    assert!(!waiting.is_finished());
    held.claim.release().await.unwrap();
    assert_eq!(waiting.await.unwrap(), [1, 2]);
}

#[tokio::test]
async fn a_later_batch_opens_its_transaction_after_the_earlier_one() {
    let fixture = Fixture::new(QUEUES);
    let target = fixture.table("t").await;
    let (write, look) = (
        insert(&target, &["id", "body"]),
        select(&target, &["id"], &["id"]),
    );
    let mut source = fixture.source("q", &["id"], 2).await;
    let (one, mut two) = (batch(&mut *source).await, batch(&mut *source).await);
    two.claim.execute(&write, &two.rows).await.unwrap();
    let second = tokio::spawn(async move {
        let seen = two.claim.execute(&look, &[Vec::new()]).await.unwrap();
        two.claim.commit().await.unwrap();
        seen.groups[0].len()
    });
    for _ in 0..20 {
        fixture
            .service
            .execute(&select_one(), &[Vec::new()])
            .await
            .unwrap();
    }
    assert!(!second.is_finished());
    one.claim.commit().await.unwrap();
    assert_eq!(second.await.unwrap(), 2);
    assert!(fixture.ask("SELECT 1 FROM q").is_empty());
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_broken_off() {
    let fixture = Fixture::new(&format!(
        "{QUEUES} CREATE TRIGGER endless AFTER INSERT ON t BEGIN
           SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                                 SELECT i FROM n);
         END;"
    ));
    let short = Duration::from_millis(100);
    let service = open_for(fixture.folder.path(), "sqlite://очередь.db", short).unwrap();
    let write = insert(&fixture.table("t").await, &["id", "body"]);
    let row = [vec![Value::Integer(1), Value::text("x")]];
    let error = refused(service.execute(&write, &row).await);
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(
        error.message.contains("longer than the time-out"),
        "{error}"
    );
    assert!(fixture.ask("SELECT 1 FROM t").is_empty());
}

#[tokio::test]
async fn reads_ahead_while_the_body_writes_into_the_same_file() {
    let fixture = Fixture::new(
        "CREATE TABLE q(id INTEGER PRIMARY KEY, body TEXT); CREATE TABLE t(id INTEGER, body TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
         INSERT INTO q SELECT i, 'т' || i FROM n;",
    );
    let write = insert(&fixture.table("t").await, &["id", "body"]);
    let mut source = fixture.source("q", &["id"], 50).await;
    let mut ahead = Some(batch(&mut *source).await);
    while let Some(mut now) = ahead {
        ahead = read(&mut *source).await;
        now.claim.execute(&write, &now.rows).await.unwrap();
        now.claim.commit().await.unwrap();
    }
    let moved = "SELECT count(*) || ' ' || sum(rowid = id) FROM t";
    assert_eq!(fixture.ask(moved), ["500 500"]);
    assert!(fixture.ask("SELECT 1 FROM q").is_empty());
}
