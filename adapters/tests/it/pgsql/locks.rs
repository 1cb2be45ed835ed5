//! Locked rows: waited for, or skipped, and told apart by who holds them.

use std::time::{Duration, Instant};

use super::fixture::{
    Database, SKIPPING, WAITING, batch, connect, drain, empty, integers, named_source,
    short_timeout, source, table,
};

const QUEUE: &str = "CREATE TABLE q (id int PRIMARY KEY, body text);
    INSERT INTO q SELECT n, 'x' FROM generate_series(1, 4) AS n";

#[tokio::test]
async fn skips_locked_rows_and_delivers_them_later() {
    let database = Database::with(QUEUE).await;
    let service = database.service();
    let mut source = source(
        &service,
        drain(&table(&service, "q").await, &["id"], &["id"], 10),
    );
    let other = connect(&database.address).await;
    other
        .batch_execute(
            "BEGIN; UPDATE q SET body = 'y' WHERE id = 1; INSERT INTO q VALUES (0, 'late')",
        )
        .await
        .unwrap();
    let (records, _, claim) = batch(&mut source, SKIPPING).await;
    assert_eq!(integers(&records.rows), [2, 3, 4]);
    claim.commit().await.expect("commits");
    assert!(!empty(&mut source, SKIPPING).await);
    other.batch_execute("COMMIT").await.unwrap();
    let (records, _, claim) = batch(&mut source, SKIPPING).await;
    assert_eq!(integers(&records.rows), [0, 1]);
    claim.commit().await.expect("commits");
    assert!(empty(&mut source, WAITING).await);
    database.close().await;
}

#[tokio::test]
async fn waits_for_the_rows_of_its_predecessor() {
    let database = Database::with(QUEUE).await;
    let service = database.service();
    let queue = table(&service, "q").await;
    let reader = || {
        named_source(
            &service,
            drain(&queue, &["id"], &["id"], 10),
            "узел/скрипт.sql",
            0,
        )
    };
    let (mut old, mut new) = (reader(), reader());
    let (records, _, claim) = batch(&mut old, WAITING).await;
    let waiting = tokio::spawn(async move { batch(&mut new, WAITING).await.0 });
    database
        .becomes("SELECT count(*) FROM pg_locks WHERE NOT granted", 1)
        .await;
    assert!(!waiting.is_finished());
    drop(claim);
    assert_eq!(waiting.await.unwrap(), records);
    database.close().await;
}

#[tokio::test]
async fn skips_what_somebody_else_holds_for_long() {
    let database = Database::with(QUEUE).await;
    // the pause until the first look is the time-out here, if that is shorter than 10 s
    let service = database.service_with("", short_timeout(3));
    let mut source = source(
        &service,
        drain(&table(&service, "q").await, &["id"], &["id"], 3),
    );
    let other = connect(&database.address).await;
    other
        .batch_execute("BEGIN; SELECT * FROM q WHERE id = 2 FOR SHARE")
        .await
        .unwrap();
    let started = Instant::now();
    let (records, _, claim) = batch(&mut source, WAITING).await;
    assert_eq!(integers(&records.rows), [1, 3, 4]);
    assert!(started.elapsed() >= Duration::from_secs(3));
    claim.commit().await.expect("commits");
    assert!(!empty(&mut source, WAITING).await, "a row was skipped");
    other.batch_execute("COMMIT").await.unwrap();
    let (records, _, claim) = batch(&mut source, WAITING).await;
    assert_eq!(integers(&records.rows), [2]);
    claim.commit().await.expect("commits");
    database.close().await;
}

#[tokio::test]
async fn waits_for_its_own_name_longer_than_a_command_may_last() {
    let database = Database::with(QUEUE).await;
    let service = database.service_with("", short_timeout(3));
    let queue = table(&service, "q").await;
    let mut reader = named_source(
        &service,
        drain(&queue, &["id"], &["id"], 10),
        "узел/скрипт.sql",
        0,
    );
    let mut predecessor = named_source(
        &service,
        drain(&queue, &["id"], &["id"], 1),
        "узел/скрипт.sql",
        0,
    );
    let (_, _, claim) = batch(&mut predecessor, WAITING).await;
    let waiting = tokio::spawn(async move { batch(&mut reader, WAITING).await.0 });
    tokio::time::sleep(Duration::from_millis(7000)).await;
    assert!(!waiting.is_finished());
    claim.commit().await.expect("commits");
    assert_eq!(integers(&waiting.await.unwrap().rows), [2, 3, 4]);
    database.close().await;
}

#[tokio::test]
async fn strict_order_never_skips() {
    let database = Database::with(QUEUE).await;
    let service = database.service_with("", short_timeout(3));
    let mut queue = drain(&table(&service, "q").await, &["id"], &["id"], 3);
    queue.strict = true;
    let mut source = source(&service, queue);
    let other = connect(&database.address).await;
    other
        .batch_execute("SET application_name = 'учёт'; BEGIN; DELETE FROM q WHERE id = 1")
        .await
        .unwrap();
    let error = source
        .read(SKIPPING, &[])
        .await
        .map(|_| ())
        .expect_err("the row is held for too long");
    assert_eq!(error.class, dajet_core::ErrorClass::Transient);
    assert!(error.hint.is_some_and(|hint| hint.contains("locked by")));
    other.batch_execute("ROLLBACK").await.unwrap();
    let (records, _, claim) = batch(&mut source, SKIPPING).await;
    assert_eq!(integers(&records.rows), [1, 2, 3]);
    claim.commit().await.expect("commits");
    database.close().await;
}
