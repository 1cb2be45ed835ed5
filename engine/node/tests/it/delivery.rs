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
