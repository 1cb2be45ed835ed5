//! Topics, queues and tables that are deleted under a running node: it says so, waits, and delivers when they are back.

use std::fs;
use std::time::{Duration, Instant};

use super::node::Node;
use super::rabbitmq::{self, Queue};
use super::servers::{Database, brokers, create_topic, delete_topic, messages, produce, topic};
use super::sqlite;

/// How long the node may take for anything.
const LIMIT: Duration = Duration::from_secs(60);

#[expect(
    clippy::disallowed_methods,
    reason = "no arbiter lives in this process"
)]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Starts scripts, each a name and a text, that go on until they are stopped.
fn start(folder: &std::path::Path, scripts: &[(&str, String)]) -> Node {
    fs::create_dir(folder.join("scripts")).unwrap();
    for (name, text) in scripts {
        let text = format!("DECLARE @m object\n{text}\n");
        fs::write(folder.join("scripts").join(name), text).unwrap();
    }
    let settings = ["--set", "IdleDelay=0.1", "--set", "ErrorDelay=1"];
    Node::start(folder, &[&["run", "scripts"], &settings[..]].concat(), &[])
}

fn stop(node: Node) {
    node.signal("TERM");
    node.finish().expect(0, &["stopped"]);
}

const TABLES: &str = "CREATE TABLE to_kafka (id INTEGER PRIMARY KEY, body TEXT);
    CREATE TABLE to_rabbitmq (id INTEGER PRIMARY KEY, body TEXT);
    INSERT INTO to_kafka(body) VALUES ('раз'); INSERT INTO to_rabbitmq(body) VALUES ('раз');";

#[test]
fn rows_wait_for_a_topic_and_a_queue_that_were_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let file = sqlite::make(path, "from.db", TABLES);
    let (topic, queue) = (topic("vanishing"), Queue::create("vanishing", "quorum"));
    let script = |table: &str, produce: String| {
        format!(
            "USE 'sqlite://from.db' CONSUME TOP 10 id, body INTO @m FROM {table} ORDER BY id {produce} END"
        )
    };
    let scripts = [
        (
            "kafka.djs",
            script(
                "to_kafka",
                format!(
                    "PRODUCE 'kafka' WITH BootstrapServers = '{}' SELECT Topic = '{topic}', Value = @m.body",
                    brokers()
                ),
            ),
        ),
        (
            "rabbitmq.djs",
            script(
                "to_rabbitmq",
                format!(
                    "PRODUCE '{}' SELECT RoutingKey = '{}', Body = @m.body",
                    rabbitmq::address(),
                    queue.name
                ),
            ),
        ),
    ];
    let mut node = start(path, &scripts);
    let left = |table: &str| sqlite::column(path, "from.db", &format!("SELECT body FROM {table}"));
    wait_until("the first rows", || {
        left("to_kafka").is_empty() && left("to_rabbitmq").is_empty()
    });

    delete_topic(&topic);
    queue.delete();
    file.execute_batch(
        "INSERT INTO to_kafka(body) VALUES ('два'); INSERT INTO to_rabbitmq(body) VALUES ('два')",
    )
    .unwrap();
    node.wait_for_errors(&[
        &format!("topic \"{topic}\" does not exist"),
        &format!("queue \"{}\" does not exist", queue.name),
    ]);
    assert_eq!(
        (left("to_kafka"), left("to_rabbitmq")),
        (vec!["два".to_owned()], vec!["два".to_owned()])
    );

    create_topic(&topic);
    queue.declare();
    wait_until("the second rows", || {
        left("to_kafka").is_empty() && left("to_rabbitmq").is_empty()
    });
    assert_eq!(messages(&topic, 1), [(None, Some("два".to_owned()))]);
    assert_eq!(queue.take(1), ["два"]);
    stop(node);
}

#[test]
fn messages_are_read_from_a_topic_and_a_queue_that_are_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    sqlite::make(
        path,
        "to.db",
        "CREATE TABLE kafka (body TEXT); CREATE TABLE rabbitmq (body TEXT)",
    );
    let (topic, queue) = (topic("renewed"), Queue::create("renewed", "classic"));
    let text = |word: &str| (None, Some(word.to_owned()));
    produce(&topic, [text("раз"), text("два")]);
    queue.fill(["раз", "два"]);
    let insert = |table: &str, member: &str| {
        format!("USE 'sqlite://to.db' INSERT {table} SELECT body = @m.{member} END")
    };
    let kafka = format!(
        "CONSUME 'kafka' WITH BootstrapServers = '{}', Topic = '{topic}', GroupId = '{topic}',
            AutoOffsetReset = 'earliest' INTO @m {}",
        brokers(),
        insert("kafka", "Value")
    );
    let rabbitmq = format!(
        "CONSUME '{}' WITH QueueName = '{}' INTO @m {}",
        rabbitmq::address(),
        queue.name,
        insert("rabbitmq", "Body")
    );
    let mut node = start(path, &[("kafka.djs", kafka), ("rabbitmq.djs", rabbitmq)]);
    let came = |words: &[&str]| {
        ["kafka", "rabbitmq"].iter().all(|table| {
            let query = format!("SELECT body FROM {table} ORDER BY rowid");
            sqlite::column(path, "to.db", &query) == words
        })
    };
    wait_until("the first messages", || came(&["раз", "два"]));

    delete_topic(&topic);
    queue.delete();
    node.wait_for_errors(&[&topic, &queue.name]);
    create_topic(&topic);
    queue.declare();
    produce(&topic, [text("три"), text("четыре"), text("пять")]);
    queue.fill(["три", "четыре", "пять"]);
    wait_until("what was sent anew", || {
        came(&["раз", "два", "три", "четыре", "пять"])
    });
    stop(node);
}

#[test]
fn rows_wait_for_a_table_that_was_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let queue = "CREATE TABLE queue (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO queue(body) VALUES ('раз')";
    let file = sqlite::make(path, "from.db", queue);
    let target = "CREATE TABLE target (id bigserial PRIMARY KEY, body text)";
    let database = Database::create("dropped", target);
    let script = format!(
        "USE 'sqlite://from.db' CONSUME TOP 10 id, body INTO @m FROM queue ORDER BY id
         USE '{}' INSERT target SELECT body = @m.body END END",
        database.address()
    );
    let mut node = start(path, &[("script.djs", script)]);
    let left = || sqlite::column(path, "from.db", "SELECT body FROM queue");
    wait_until("the first row", || left().is_empty());
    database.execute("DROP TABLE target");
    file.execute_batch("INSERT INTO queue(body) VALUES ('два')")
        .unwrap();
    node.wait_for_errors(&["\"target\""]);
    assert_eq!(left(), ["два"]);
    database.execute(target);
    wait_until("the second row", || left().is_empty());
    assert_eq!(database.column("SELECT body FROM target"), ["два"]);

    file.execute_batch("DROP TABLE queue").unwrap();
    node.wait_for_errors(&["\"queue\""]);
    file.execute_batch(queue).unwrap();
    wait_until("the third row", || left().is_empty());
    assert_eq!(
        database.column("SELECT body FROM target ORDER BY id"),
        ["два", "раз"]
    );
    stop(node);
}

#[test]
fn rows_wait_for_a_column_that_was_renamed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let queues = "CREATE TABLE first (id INTEGER PRIMARY KEY, тело TEXT); INSERT INTO first(тело) VALUES ('раз');
        CREATE TABLE second (id INTEGER PRIMARY KEY, тело TEXT); INSERT INTO second(тело) VALUES ('раз');";
    let file = sqlite::make(path, "from.db", queues);
    let database = Database::create("renamed", "CREATE TABLE входящие (id integer, тело text)");
    let own = sqlite::make(path, "to.db", "CREATE TABLE target (id integer, тело text)");
    let script = |queue: &str, address: &str, target: &str| {
        format!(
            "USE 'sqlite://from.db' CONSUME TOP 10 id, тело INTO @m FROM {queue} ORDER BY id
             USE '{address}' INSERT {target} SELECT id = @m.id, тело = @m.тело END END"
        )
    };
    let scripts = [
        (
            "first.djs",
            script("first", &database.address(), "входящие"),
        ),
        ("second.djs", script("second", "sqlite://to.db", "target")),
    ];
    let mut node = start(path, &scripts);
    let left = || {
        let query = "SELECT тело FROM first UNION ALL SELECT тело FROM second";
        sqlite::column(path, "from.db", query)
    };
    wait_until("the first rows", || left().is_empty());

    let rename = |from: &str, to: &str| {
        let change = format!("RENAME COLUMN {from} TO {to}");
        database.execute(&format!("ALTER TABLE входящие {change}"));
        own.execute_batch(&format!("ALTER TABLE target {change}"))
            .unwrap();
    };
    rename("тело", "текст");
    file.execute_batch(
        "INSERT INTO first(тело) VALUES ('два'); INSERT INTO second(тело) VALUES ('два')",
    )
    .unwrap();
    // By then each has been told by the catalog too, not by the database alone.
    let unknown = |table| format!("unknown column \"тело\" in table \"{table}\"");
    node.wait_for_errors(&[&unknown("входящие"), &unknown("target")]);
    rename("текст", "тело");
    wait_until("the second rows", || left().is_empty());
    let came = database.column("SELECT тело FROM входящие");
    assert_eq!(came, ["раз", "два"]);
    let came = sqlite::column(path, "to.db", "SELECT тело FROM target");
    assert_eq!(came, ["раз", "два"]);
    stop(node);
}
