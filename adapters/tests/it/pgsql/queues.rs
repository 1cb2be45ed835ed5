//! The laws of a source: order, commit, release, drop, several open claims.

use dajet_core::contract::{Runs, SourceSpec};
use dajet_core::query::{Body, Statement};
use dajet_core::{ErrorClass, Limit, Value};

use super::fixture::{
    Database, SKIPPING, WAITING, ascending, batch, drain, integers, one, query, select, source,
    table,
};

const QUEUE: &str = "CREATE TABLE \"Очередь\" (\"Номер\" bigint PRIMARY KEY, \"Тело\" text);
    INSERT INTO \"Очередь\" SELECT n, 'сообщение ' || n FROM generate_series(1, 10) AS n ORDER BY random()";

#[tokio::test]
async fn open_claims_are_disjoint_and_in_order() {
    let database = Database::with(QUEUE).await;
    let service = database.service();
    let mut source = source(
        &service,
        drain(&table(&service, "Очередь").await, &["Номер"], &["Номер"], 3),
    );
    let (one, _, first) = batch(&mut source, WAITING).await;
    let (two, _, second) = batch(&mut source, SKIPPING).await;
    assert_eq!(
        (integers(&one.rows), integers(&two.rows)),
        (vec![1, 2, 3], vec![4, 5, 6])
    );
    first.commit().await.expect("commits");
    second.release().await.expect("rolls back");
    let (three, _, claim) = batch(&mut source, WAITING).await;
    assert_eq!(integers(&three.rows), [4, 5, 6]);
    claim.commit().await.expect("commits");
    // sessions are used again: two are all there ever were
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'host/%'";
    assert_eq!(database.number(sql).await, 2);
    database.close().await;
}

#[tokio::test]
async fn order_columns_need_not_be_selected_and_may_be_null() {
    let sql = "CREATE TABLE q (id int PRIMARY KEY, \"Приоритет\" int, \"Код\" text);
        INSERT INTO q VALUES (1, NULL, 'а'), (2, 2, 'б'), (3, 1, 'в'), (4, 1, 'г'), (5, NULL, 'д')";
    let database = Database::with(sql).await;
    let service = database.service();
    let queue = table(&service, "q").await;
    let mut drain = drain(&queue, &["id"], &["Приоритет", "Код"], 3);
    drain.order[1].descending = true;
    let mut source = source(&service, drain);
    let (records, keys, claim) = batch(&mut source, WAITING).await;
    assert_eq!(integers(&records.rows), [4, 3, 2]);
    assert_eq!(records.shape.names.len(), 1);
    assert_eq!(
        keys.describe(0).as_deref(),
        Some("Приоритет = 1, Код = г, id = 4")
    );
    claim.commit().await.expect("commits");
    let (records, keys, claim) = batch(&mut source, SKIPPING).await;
    assert_eq!(integers(&records.rows), [5, 1]);
    assert_eq!(
        keys.describe(1).as_deref(),
        Some("Приоритет = NULL, Код = а, id = 1")
    );
    claim.commit().await.expect("commits");
    database.close().await;
}

#[tokio::test]
async fn a_table_without_key_is_read_by_row_address() {
    let sql = "CREATE TABLE q (n int, m int UNIQUE) PARTITION BY LIST (n)".to_owned();
    let sql = sql.replace(", m int UNIQUE", ", m int")
        + "; CREATE TABLE q1 PARTITION OF q FOR VALUES IN (1); CREATE TABLE q2 PARTITION OF q FOR VALUES IN (2);
        INSERT INTO q VALUES (1, 1), (2, 2), (1, 3), (2, NULL), (1, 3)";
    let database = Database::with(&sql).await;
    let service = database.service();
    let mut source = source(
        &service,
        drain(&table(&service, "q").await, &["n", "m"], &["m", "n"], 3),
    );
    let (records, _, claim) = batch(&mut source, WAITING).await;
    assert_eq!(integers(&records.rows), [1, 2, 1]);
    claim.commit().await.expect("commits");
    assert_eq!(database.number("SELECT count(*) FROM q").await, 2);
    let (records, _, claim) = batch(&mut source, WAITING).await;
    assert_eq!(
        records.rows,
        [
            vec![Value::Integer(1), Value::Integer(3)],
            vec![Value::Integer(2), Value::Null]
        ]
    );
    claim.commit().await.expect("commits");
    database.close().await;
}

#[tokio::test]
async fn asks_for_fewer_rows_when_they_are_large() {
    let sql = "CREATE TABLE q (id int PRIMARY KEY, body text);
        INSERT INTO q SELECT n, (SELECT string_agg(md5((n * 10000 + i)::text), '') FROM generate_series(1, 1000) AS i)
        FROM generate_series(1, 60) AS n";
    let database = Database::with(sql).await;
    let service = database.service();
    let mut source = source(
        &service,
        drain(&table(&service, "q").await, &["id", "body"], &["id"], 1000),
    );
    let limit = Limit {
        bytes: 200_000,
        wait_for_locked: true,
    };
    let mut all = Vec::new();
    let mut batches = Vec::new();
    while all.len() < 60 {
        let (records, _, claim) = batch(&mut source, limit).await;
        batches.push(records.size());
        all.extend(integers(&records.rows));
        claim.commit().await.expect("commits");
    }
    assert_eq!(all, (1..=60).collect::<Vec<_>>());
    // nobody knew the size of the first rows
    assert!(
        batches[1..].iter().all(|bytes| *bytes <= limit.bytes),
        "{batches:?}"
    );
    database.close().await;
}

#[tokio::test]
async fn takes_the_index_on_a_table_that_nobody_analysed() {
    let sql = "CREATE TABLE q (id bigint PRIMARY KEY, body text) WITH (autovacuum_enabled = off);
        INSERT INTO q SELECT n, 'x' FROM generate_series(1, 100000) AS n";
    let database = Database::with(sql).await;
    let service = database.service();
    let queue = drain(&table(&service, "q").await, &["id", "body"], &["id"], 1000);
    let statement = Statement::new(0, Body::Drain(queue));
    let text = service
        .text(&statement, Runs::Alone)
        .expect("PostgreSQL can express it")
        .replace("LIMIT 1000", "LIMIT $1");
    let settings = ["seqscan", "bitmapscan", "hashjoin", "mergejoin"]
        .map(|name| format!("SET enable_{name} = off;"));
    let prepare = format!(
        "{} SET plan_cache_mode = force_generic_plan; PREPARE p AS {text}",
        settings.concat()
    );
    database
        .client
        .batch_execute(&prepare)
        .await
        .expect("prepares");
    let rows = database
        .client
        .query("EXPLAIN EXECUTE p (1000)", &[])
        .await
        .expect("explains");
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    assert!(
        plan.contains("Nested Loop") && !plan.contains("Seq Scan"),
        "{plan}"
    );
    assert_eq!(plan.matches("Index Scan using q_pkey").count(), 2, "{plan}");
    database.close().await;
}

#[tokio::test]
async fn sessions_of_a_reader_guard_the_plan() {
    let sql = "CREATE TABLE q (id int PRIMARY KEY); INSERT INTO q VALUES (1);
        CREATE VIEW settings AS SELECT name, setting FROM pg_settings WHERE name IN
        ('enable_seqscan', 'enable_hashjoin', 'jit', 'plan_cache_mode', 'client_connection_check_interval')";
    let database = Database::with(sql).await;
    let service = database.service();
    let mut source = source(
        &service,
        drain(&table(&service, "q").await, &["id"], &["id"], 1),
    );
    let settings = table(&service, "settings").await;
    let mut query = select(&settings, &["name", "setting"]);
    query.order = vec![ascending(&settings, "name")];
    let (_, _, mut claim) = batch(&mut source, WAITING).await;
    let statement = Statement::new(0, Body::Select(query));
    let rows = one(claim
        .execute(&statement, &[vec![]])
        .await
        .expect("the claim reads too"));
    let expected = [
        ("client_connection_check_interval", "100"),
        ("enable_hashjoin", "off"),
        ("enable_seqscan", "off"),
        ("jit", "off"),
        ("plan_cache_mode", "force_generic_plan"),
    ];
    assert_eq!(
        rows,
        expected.map(|(name, value)| vec![Value::text(name), Value::text(value)])
    );
    claim.commit().await.expect("commits");
    database.close().await;
}

#[tokio::test]
async fn large_rows_come_in_small_batches_though_the_disk_keeps_them_small() {
    let sql = "CREATE TABLE t (id int PRIMARY KEY, txt text);
        INSERT INTO t SELECT n, repeat('ж', 5000000) FROM generate_series(1, 24) AS n";
    let database = Database::with(sql).await;
    let service = database.service();
    let queue = drain(&table(&service, "t").await, &["id", "txt"], &["id"], 1000);
    let mut source = source(&service, queue);
    let mut seen = Vec::new();
    while seen.len() < 24 {
        let (records, _, claim) = batch(&mut source, WAITING).await;
        let most = WAITING.bytes + 20_000_000;
        assert!(records.size() <= most, "{} bytes", records.size());
        seen.extend(integers(&records.rows));
        claim.commit().await.expect("commits");
        assert_eq!(
            database.number("SELECT count(*) FROM t").await,
            24 - seen.len() as i64
        );
    }
    assert_eq!(seen, (1..=24).collect::<Vec<_>>());
    database.close().await;
}

#[tokio::test]
async fn rows_that_become_large_break_a_batch_off() {
    let sql = "CREATE TABLE t (id int PRIMARY KEY, txt text);
        INSERT INTO t SELECT n, repeat('ж', CASE WHEN n > 300 THEN 200000 ELSE 100 END) FROM generate_series(1, 400) AS n;
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.002); RETURN OLD; END';
        CREATE TRIGGER slow BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION slow()";
    let database = Database::with(sql).await;
    // the request to break a read off comes late: nothing that is asked next may be hit by it
    let (service, _proxy) = database.distant_service().await;
    let queue = drain(&table(&service, "t").await, &["id", "txt"], &["id"], 1000);
    let mut source = source(&service, queue);
    let limit = Limit {
        bytes: 1 << 20,
        ..WAITING
    };
    let mut sizes = Vec::new();
    let mut seen = Vec::new();
    while seen.len() < 400 {
        let (records, _, claim) = batch(&mut source, limit).await;
        assert!(
            records.size() <= 2 * limit.bytes,
            "{} bytes",
            records.size()
        );
        sizes.push(records.rows.len());
        seen.extend(integers(&records.rows));
        claim.commit().await.expect("commits");
    }
    assert_eq!(seen, (1..=400).collect::<Vec<_>>());
    assert!(sizes.len() <= 53 && sizes[0] + sizes[1] >= 300, "{sizes:?}");
    database.close().await;
}

#[tokio::test]
async fn an_order_that_does_not_tell_rows_apart_is_completed_by_the_key() {
    let sql = "CREATE TABLE t (id int PRIMARY KEY, \"Дата\" int); INSERT INTO t VALUES (7, 1)";
    let database = Database::with(sql).await;
    let service = database.service();
    let queue = drain(&table(&service, "t").await, &["Дата"], &["Дата"], 10);
    let mut source = source(&service, queue);
    let (records, keys, claim) = batch(&mut source, WAITING).await;
    assert_eq!(records.rows, [[Value::Integer(1)]]);
    assert_eq!(keys.describe(0).as_deref(), Some("Дата = 1, id = 7"));
    claim.commit().await.expect("commits");
    database.close().await;
}

#[tokio::test]
async fn what_is_no_table_is_read_and_not_consumed() {
    let sql = "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);
        CREATE VIEW \"Вид\" AS SELECT id FROM t;
        CREATE MATERIALIZED VIEW m AS SELECT id FROM t; CREATE UNIQUE INDEX ON m (id)";
    let database = Database::with(sql).await;
    let service = database.service();
    for name in ["Вид", "m"] {
        let view = table(&service, name).await;
        let rows = query(&service, select(&view, &["id"])).await;
        assert_eq!(rows, [[Value::Integer(1)]]);
        let statement = Statement::new(0, Body::Drain(drain(&view, &["id"], &["id"], 1)));
        let spec = SourceSpec {
            statement,
            session_name: "host/очередь.sql".into(),
            permits: 1,
        };
        let error = service.source(spec).map(|_| ()).expect_err("it is a view");
        assert_eq!(error.class, ErrorClass::Misconfigured);
        assert!(
            error
                .message
                .starts_with(&format!("cannot consume from view \"{name}\"")),
            "{error}"
        );
    }
    database.close().await;
}
