//! From one system to others, whole and in order.

use super::node::run_script;
use super::servers::{Database, brokers, messages, topic};
use super::sqlite::{self, COPY};

const QUEUE: &str = "CREATE TABLE outbox (id bigint PRIMARY KEY, customer text, body text);
    INSERT INTO outbox SELECT n, 'клиент ' || n % 7, 'тело ' || n FROM generate_series(1, 2500) n";
const ORDERS: &str =
    "CREATE TABLE orders (id bigint, customer text, body text, row_number bigserial)";

fn numbers(count: usize) -> Vec<String> {
    (1..=count).map(|n| n.to_string()).collect()
}

#[test]
fn within_one_file_in_one_transaction() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::outbox(folder.path(), 1000);
    sqlite::make(
        folder.path(),
        "outbox.db",
        "CREATE TABLE orders (id INTEGER NOT NULL, body TEXT NOT NULL)",
    );
    let text = COPY.replace("sqlite://orders.db", "sqlite://./outbox.db");
    run_script(folder.path(), &text, &[]).expect(0, &["ended, 1000 records"]);
    assert_eq!(
        sqlite::column(
            folder.path(),
            "outbox.db",
            "SELECT id FROM orders ORDER BY rowid"
        ),
        numbers(1000)
    );
    assert!(sqlite::column(folder.path(), "outbox.db", "SELECT id FROM outbox").is_empty());
}

#[test]
fn the_pipelines_of_a_parallel_loop_have_numbers_of_their_own_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let tables = "CREATE TABLE очередь (id INTEGER PRIMARY KEY, часть INTEGER);
        INSERT INTO очередь(часть) VALUES (1), (2), (3), (2), (1), (3);
        CREATE TABLE части (часть INTEGER); INSERT INTO части VALUES (1), (2), (3);
        CREATE TABLE разобрано (id INTEGER, часть INTEGER)";
    sqlite::make(folder.path(), "q.db", tables);
    let text = "DECLARE @части array
        DECLARE @часть object
        DECLARE @строка object
        USE 'sqlite://q.db'
        SELECT часть INTO @части FROM части
        FOR @часть IN @части MAXDOP 3
        CONSUME TOP 10 id, часть INTO @строка FROM очередь WHERE часть = @часть.часть ORDER BY id
        INSERT разобрано SELECT id = @строка.id, часть = @строка.часть
        END
        END";
    let run = run_script(folder.path(), text, &[]);
    let starts = ["0", "1", "2"].map(|n| format!("generation=1 pipeline={n}\n"));
    run.expect(0, &[&starts[0], &starts[1], &starts[2]]);
    let each = "SELECT group_concat(id ORDER BY rowid) FROM разобрано GROUP BY часть";
    assert_eq!(
        sqlite::column(folder.path(), "q.db", each),
        ["1,5", "2,4", "3,6"]
    );
}

#[test]
fn postgresql_to_kafka_and_postgresql_in_one_batch() {
    let source = Database::create("source", QUEUE);
    let target = Database::create("target", ORDERS);
    let topic = topic("both");
    let text = format!(
        "DECLARE @order object
         USE '{}'
         CONSUME TOP 1000 id, customer, body INTO @order FROM outbox ORDER BY id ASC
         PRODUCE 'kafka' WITH BootstrapServers = '{}' SELECT Topic = '{topic}', Key = @order.customer, Value = @order.body
         USE '{}'
            INSERT orders SELECT id = @order.id, customer = UPPER(@order.customer), body = @order.body
         END
         END",
        source.address(),
        brokers(),
        target.address(),
    );
    let folder = tempfile::tempdir().unwrap();
    run_script(folder.path(), &text, &[])
        .expect(0, &["ended, 2500 records in 3 batches", "0 errors"]);
    assert_eq!(
        target.column("SELECT id FROM orders ORDER BY row_number"),
        numbers(2500)
    );
    assert_eq!(
        target
            .column("SELECT DISTINCT customer FROM orders ORDER BY 1")
            .len(),
        7
    );
    assert_eq!(
        target.column("SELECT customer FROM orders WHERE id = 1"),
        ["КЛИЕНТ 1"]
    );
    let expected: Vec<_> = (1..=2500)
        .map(|n| (Some(format!("клиент {}", n % 7)), Some(format!("тело {n}"))))
        .collect();
    assert_eq!(messages(&topic, 2500), expected);
    assert_eq!(source.column("SELECT count(*) FROM outbox"), ["0"]);
}
