//! Batches that are refused again and again: what arrives elsewhere until they pass does not grow with the attempts.

use std::path::Path;
use std::time::Duration;

use super::node::{Node, dajet};
use super::servers::{Database, brokers, published, topic};
use super::sqlite;

const ROWS: usize = 30;

/// Starts a script over the queue `outbox` that tries again at once.
fn start(folder: &Path, body: &str) -> Node {
    let text = format!(
        "DECLARE @order object
        USE 'sqlite://outbox.db'
        CONSUME TOP 10 id, body INTO @order FROM outbox ORDER BY id
        {body}
        END"
    );
    std::fs::write(folder.join("script.djs"), text).unwrap();
    let settings = ["--set", "IdleDelay=0.1", "--set", "ErrorDelay=0.2"];
    let command = [&["run", "script.djs", "--until-idle"], &settings[..]].concat();
    Node::start(folder, &command, &[])
}

/// Waits for more attempts than the first one, which may have been made before the refusal was known.
fn wait_for_attempts(node: &mut Node, error: &str) {
    for _ in 0..4 {
        node.wait_for_errors(&[error]);
    }
}

/// The ids that came to a table of PostgreSQL, in their order.
fn ids_of(database: &Database) -> Vec<String> {
    database.column("SELECT id::text FROM заказы ORDER BY заказы.id")
}

fn numbers(rows: impl IntoIterator<Item = usize>) -> Vec<String> {
    rows.into_iter().map(|n| n.to_string()).collect()
}

#[test]
fn rows_that_the_queue_does_not_let_go_do_not_come_to_the_target() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    sqlite::outbox(path, ROWS);
    let queue = sqlite::make(
        path,
        "outbox.db",
        "CREATE TRIGGER keep BEFORE DELETE ON outbox BEGIN SELECT raise(ABORT, 'строки нужны'); END",
    );
    let body =
        "USE 'sqlite://orders.db' INSERT orders SELECT id = @order.id, body = @order.body END";
    let mut node = start(path, body);
    wait_for_attempts(&mut node, "строки нужны");
    let orders = || sqlite::column(path, "orders.db", "SELECT id FROM orders");
    assert_eq!(orders(), numbers([]));

    queue.execute_batch("DROP TRIGGER keep").unwrap();
    node.finish().expect(0, &["ended, 30 records"]);
    assert_eq!(orders(), numbers(1..=ROWS));
}

#[test]
fn a_constraint_that_is_checked_at_the_commit_keeps_the_other_targets_clean() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    sqlite::outbox(path, ROWS);
    let database = Database::create(
        "deferred",
        "CREATE TABLE заказы (id bigint, body text, CONSTRAINT один UNIQUE (id) DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO заказы VALUES (7, 'раньше')",
    );
    let body = format!(
        "USE 'sqlite://orders.db' INSERT orders SELECT id = @order.id, body = @order.body END
         USE '{}' INSERT заказы SELECT id = @order.id, body = @order.body END",
        database.address()
    );
    let mut node = start(path, &body);
    wait_for_attempts(&mut node, "один");
    let orders = || sqlite::column(path, "orders.db", "SELECT id FROM orders");
    assert_eq!(orders(), numbers([]));

    database.execute("DELETE FROM заказы");
    node.finish().expect(0, &["ended, 30 records"]);
    assert_eq!(orders(), numbers(1..=ROWS));
    assert_eq!(ids_of(&database), numbers(1..=ROWS));
}

#[test]
fn a_row_that_a_database_refuses_is_not_published_at_each_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    sqlite::outbox(path, ROWS);
    let database = Database::create(
        "refused",
        "CREATE TABLE заказы (id bigint, body text, CONSTRAINT мало CHECK (id <> 7))",
    );
    let topic = topic("refused");
    let body = format!(
        "PRODUCE 'kafka' WITH BootstrapServers = '{}', Topic = '{topic}' SELECT Value = @order.id
         USE '{}' INSERT заказы SELECT id = @order.id, body = @order.body END",
        brokers(),
        database.address()
    );
    let mut node = start(path, &body);
    wait_for_attempts(&mut node, "id = 7");
    database.execute("ALTER TABLE заказы DROP CONSTRAINT мало");
    node.finish().expect(0, &["ended, 30 records"]);

    let published: Vec<_> = published(&topic)
        .into_iter()
        .filter_map(|(_, value)| value)
        .collect();
    // The first attempt may have published its batch.
    let (repeated, last) = published.split_at(published.len().saturating_sub(ROWS));
    assert_eq!(last, numbers(1..=ROWS));
    assert!(numbers(1..=10).starts_with(repeated), "{repeated:?}");
    assert_eq!(ids_of(&database), numbers(1..=ROWS));
}

#[test]
fn other_writers_of_a_target_do_not_wait_for_a_broker() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    sqlite::outbox(path, ROWS);
    // Nobody listens there.
    let body = "PRODUCE 'kafka' WITH BootstrapServers = '127.0.0.1:1', Topic = 'nowhere' SELECT Value = @order.id
        USE 'sqlite://orders.db' INSERT orders SELECT id = @order.id, body = @order.body END";
    let mut node = start(path, body);
    node.wait_for_errors(&["no kafka broker can be reached"]);
    for name in ["orders.db", "outbox.db"] {
        let writer = sqlite::make(path, name, "CREATE TABLE журнал (id INTEGER)");
        writer.busy_timeout(Duration::from_secs(20)).unwrap();
        for id in 0..200 {
            writer
                .execute("INSERT INTO журнал VALUES (?1)", [id])
                .unwrap();
        }
    }
    node.signal("KILL");
    let orders = sqlite::column(path, "orders.db", "SELECT id FROM orders");
    assert_eq!(orders, numbers([]));
}

#[test]
fn two_files_that_feed_each_other_do_not_wait_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::create_dir(path.join("scripts")).unwrap();
    for (from, to) in [("x", "y"), ("y", "x")] {
        let tables =
            "PRAGMA journal_mode = WAL; CREATE TABLE outbox (id INTEGER PRIMARY KEY, body TEXT);
            CREATE TABLE inbox (id INTEGER, body TEXT)";
        sqlite::make(path, &format!("{from}.db"), tables);
        let text = format!(
            "DECLARE @m object
            USE 'sqlite://{from}.db'
            CONSUME TOP 100 id, body INTO @m FROM outbox ORDER BY id
            USE 'sqlite://{to}.db' INSERT inbox SELECT id = @m.id, body = @m.body END
            END"
        );
        std::fs::write(path.join("scripts").join(format!("{from}.djs")), text).unwrap();
    }
    let fill = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 1000)
        INSERT INTO outbox SELECT id, 'тело' FROM n";
    for round in 1..=5 {
        for name in ["x.db", "y.db"] {
            sqlite::make(path, name, fill);
        }
        let settings = ["--set", "IdleDelay=0.1"];
        let command = [
            &["run", "scripts", "--root", ".", "--until-idle"],
            &settings[..],
        ]
        .concat();
        let run = dajet(path, &command);
        run.expect(0, &["x.djs: ended, 1000", "y.djs: ended, 1000"]);
        assert_eq!(run.err.matches(" 0 errors,").count(), 2, "{run}");
        for name in ["x.db", "y.db"] {
            let count = sqlite::column(path, name, "SELECT count(*) FROM inbox");
            assert_eq!(count, [(1000 * round).to_string()]);
        }
    }
}
