//! Values that few expect, through whole pairs: they arrive as they are, or a message names the row and the column.

use std::path::Path;

use super::node::{Run, run_script};
use super::rabbitmq::{self, Queue};
use super::servers::{Database, brokers, messages, produce_bytes, topic, topic_of};
use super::sqlite;

/// A file with a table `rows (id, body)` that holds these bodies.
fn file(folder: &Path, name: &str, bodies: &[Option<&str>]) {
    let table = "CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)";
    let file = sqlite::make(folder, name, table);
    for body in bodies {
        file.execute("INSERT INTO rows(body) VALUES (?1)", [body])
            .unwrap();
    }
}

const BODIES: &str = "SELECT body FROM rows ORDER BY id";

/// Drains `rows` at one address into `rows` at another.
fn copy(folder: &Path, from: &str, to: &str) -> Run {
    let text = format!(
        "DECLARE @m object
         USE '{from}' CONSUME TOP 100 id, body INTO @m FROM rows ORDER BY id
         USE '{to}' INSERT rows SELECT body = @m.body END
         END"
    );
    run_script(folder, &text, &[])
}

fn to_broker(folder: &Path, from: &str, produce: &str) -> Run {
    let text = format!(
        "DECLARE @m object
         USE '{from}' CONSUME TOP 100 id, body INTO @m FROM rows ORDER BY id
         {produce}
         END"
    );
    run_script(folder, &text, &[])
}

fn to_kafka(topic: &str) -> String {
    format!(
        "PRODUCE 'kafka' WITH BootstrapServers = '{}', MessageMaxBytes = 20000000
            SELECT Topic = '{topic}', Value = @m.body",
        brokers()
    )
}

fn to_rabbitmq(queue: &Queue) -> String {
    let (address, name) = (rabbitmq::address(), &queue.name);
    format!("PRODUCE '{address}' SELECT RoutingKey = '{name}', Body = @m.body")
}

fn from_kafka(folder: &Path, topic: &str, to: &str) -> Run {
    let text = format!(
        "DECLARE @m object
         CONSUME 'kafka' WITH BootstrapServers = '{}', Topic = '{topic}', GroupId = '{topic}',
            AutoOffsetReset = 'earliest' INTO @m
         USE '{to}' INSERT rows SELECT body = @m.Value END",
        brokers()
    );
    run_script(folder, &text, &[])
}

fn from_rabbitmq(folder: &Path, queue: &Queue, to: &str) -> Run {
    let text = format!(
        "DECLARE @m object
         CONSUME '{}' WITH QueueName = '{}' INTO @m
         USE '{to}' INSERT rows SELECT body = @m.Body END",
        rabbitmq::address(),
        queue.name
    );
    run_script(folder, &text, &[])
}

const PGSQL_ROWS: &str = "CREATE TABLE rows (id bigserial PRIMARY KEY, body text)";

#[test]
fn long_empty_and_missing_texts_and_emoji_pass_through_every_system() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let long = "ё😀".repeat(10_000_000 / 6);
    let odd = [
        Some(""),
        None,
        Some("😀\u{10ffff}👨‍👩‍👧"),
        Some(long.as_str()),
        Some("\r\n\t'\"\\ "),
        Some("\u{feff}е\u{301}"),
    ];
    file(path, "from.db", &odd);
    let texts = |missing: &str| -> Vec<String> {
        odd.iter()
            .map(|text| text.unwrap_or(missing).to_owned())
            .collect()
    };
    let database = Database::create("odd", PGSQL_ROWS);
    let topic = topic_of("odd", &[("max.message.bytes", "20000000")]);
    to_broker(path, "sqlite://from.db", &to_kafka(&topic)).expect(0, &["ended, 6 records"]);
    from_kafka(path, &topic, &database.address()).expect(0, &["ended, 6 records"]);
    assert!(database.column(BODIES) == texts("NULL"));
    let queue = Queue::create("odd", "quorum");
    to_broker(path, &database.address(), &to_rabbitmq(&queue)).expect(0, &["ended, 6 records"]);
    file(path, "to.db", &[]);
    from_rabbitmq(path, &queue, "sqlite://to.db").expect(0, &["ended, 6 records"]);
    // A message of RabbitMQ has a body, and be it an empty one.
    assert!(sqlite::column(path, "to.db", BODIES) == texts(""));
    assert_eq!(queue.count(), 0);
}

#[test]
fn the_character_zero_passes_where_it_can_and_is_named_where_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let zero = [Some("до"), Some("а\0б"), Some("\0")];
    let expected = ["до", "а\0б", "\0"];
    let database = Database::create("zero", PGSQL_ROWS);
    file(path, "from.db", &zero);
    copy(path, "sqlite://from.db", &database.address()).expect(
        1,
        &["table \"rows\"", "column \"body\"", "U+0000", "id = 2"],
    );
    assert_eq!(sqlite::column(path, "from.db", BODIES), expected);

    let (topic, queue) = (topic("zero"), Queue::create("zero", "classic"));
    to_broker(path, "sqlite://from.db", &to_kafka(&topic)).expect(0, &["ended, 3 records"]);
    let values = messages(&topic, 3)
        .into_iter()
        .map(|(_, value)| value.unwrap());
    assert_eq!(values.collect::<Vec<_>>(), expected);
    from_kafka(path, &topic, &database.address())
        .expect(1, &["column \"body\"", "U+0000", &topic, "Offset = 1"]);
    file(path, "back.db", &[]);
    from_kafka(path, &topic, "sqlite://back.db").expect(0, &["ended, 3 records"]);
    assert_eq!(sqlite::column(path, "back.db", BODIES), expected);

    to_broker(path, "sqlite://back.db", &to_rabbitmq(&queue)).expect(0, &["ended, 3 records"]);
    from_rabbitmq(path, &queue, &database.address())
        .expect(1, &["column \"body\"", "U+0000", "DeliveryTag = 2"]);
    file(path, "end.db", &[]);
    from_rabbitmq(path, &queue, "sqlite://end.db").expect(0, &["ended, 3 records"]);
    assert_eq!(sqlite::column(path, "end.db", BODIES), expected);
    assert!(database.column(BODIES).is_empty());
}

#[test]
fn bytes_that_are_no_text_arrive_as_bytes_or_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let bytes: [&[u8]; 2] = [b"abc\xff", &[0, 0xc3]];
    let (topic, queue) = (topic("bytes"), Queue::create("bytes", "classic"));
    produce_bytes(&topic, &bytes);
    queue.fill(bytes);
    let database = Database::create("bytes", PGSQL_ROWS);
    file(path, "texts.db", &[]);
    from_kafka(path, &topic, &database.address()).expect(
        1,
        &["column \"body\" cannot hold bytes as text", "Offset = 0"],
    );
    from_rabbitmq(path, &queue, "sqlite://texts.db").expect(
        1,
        &[
            "column \"body\": a value of type binary does not fit",
            "DeliveryTag = 1",
        ],
    );
    assert!(database.column(BODIES).is_empty());
    assert!(sqlite::column(path, "texts.db", BODIES).is_empty());

    database.execute("DROP TABLE rows; CREATE TABLE rows (id bigserial PRIMARY KEY, body bytea)");
    let table = "CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB)";
    sqlite::make(path, "bytes.db", table);
    let in_bytes = ["616263ff", "00c3"];
    from_rabbitmq(path, &queue, &database.address()).expect(0, &["ended, 2 records"]);
    let hex = "SELECT encode(body, 'hex') FROM rows ORDER BY id";
    assert_eq!(database.column(hex), in_bytes);
    from_kafka(path, &topic, "sqlite://bytes.db").expect(0, &["ended, 2 records"]);
    let hex = "SELECT lower(hex(body)) FROM rows ORDER BY id";
    assert_eq!(sqlite::column(path, "bytes.db", hex), in_bytes);
}

#[test]
fn a_thousand_columns_go_both_ways() {
    const COLUMNS: usize = 1000;
    const ROWS: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let of =
        |each: &dyn Fn(usize) -> String| (2..=COLUMNS).map(each).collect::<Vec<_>>().join(", ");
    let definition = of(&|n| format!("\"К{n}\" text"));
    let table = format!("CREATE TABLE rows (id bigint PRIMARY KEY, {definition})");
    let database = Database::create("wide", &table);
    sqlite::make(path, "to.db", &table);
    let file = sqlite::make(path, "from.db", &table);
    let values = of(&|n| format!("i || '-{n}'"));
    file.execute_batch(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
         INSERT INTO rows SELECT i, {values} FROM n"
    ))
    .unwrap();
    let (names, assigned) = (of(&|n| format!("К{n}")), of(&|n| format!("К{n} = @m.К{n}")));
    let pgsql = database.address();
    for (from, to) in [("sqlite://from.db", &*pgsql), (&pgsql, "sqlite://to.db")] {
        let text = format!(
            "DECLARE @m object
             USE '{from}' CONSUME TOP 150 id, {names} INTO @m FROM rows ORDER BY id
             USE '{to}' INSERT rows SELECT id = @m.id, {assigned} END
             END"
        );
        run_script(path, &text, &[]).expect(0, &["ended, 200 records", "0 errors"]);
    }
    for column in [2, 500, COLUMNS] {
        let query = format!("SELECT \"К{column}\" FROM rows ORDER BY id");
        let expected: Vec<_> = (1..=ROWS).map(|n| format!("{n}-{column}")).collect();
        assert_eq!(sqlite::column(path, "to.db", &query), expected);
    }
}

#[test]
fn a_queue_without_a_key_is_drained_once() {
    const ROWS: usize = 1000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let table = "CREATE TABLE rows (body text)";
    let database = Database::create("keyless", table);
    let file = sqlite::make(path, "from.db", table);
    let fill = "INSERT INTO rows SELECT 'тело ' || (n % 500)";
    file.execute_batch(&format!(
        "{fill} FROM (WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {ROWS}) SELECT n FROM c)"
    ))
    .unwrap();
    sqlite::make(path, "to.db", table);
    let pgsql = database.address();
    for (from, to) in [("sqlite://from.db", &*pgsql), (&pgsql, "sqlite://to.db")] {
        let text = format!(
            "DECLARE @m object
             USE '{from}' CONSUME TOP 64 body INTO @m FROM rows
             USE '{to}' INSERT rows SELECT body = @m.body END
             END"
        );
        run_script(path, &text, &[]).expect(0, &["ended, 1000 records", "0 errors"]);
    }
    // Every body was there twice.
    let query =
        "SELECT count(*) FROM (SELECT body FROM rows GROUP BY body HAVING count(*) = 2) AS b";
    assert_eq!(sqlite::column(path, "to.db", query), ["500"]);
    assert_eq!(database.column("SELECT count(*) FROM rows"), ["0"]);
}
