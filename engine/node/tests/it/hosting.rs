//! Many scripts in one process: what they cost when they are idle, that none disturbs another, and what the node tells of them.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::node::{Node, dajet, dajet_with};
use super::servers::Database;
use super::sqlite::{self, COPY};

/// Most threads of a node with fifty idle scripts: the runtime, arbiters and the status on a few cores, one for the database file,
/// and a few for blocking calls. A thread for each script would be more.
const THREADS_MAX: u64 = 40;
/// Scripts of each of the two kinds.
const EACH: usize = 25;
/// Rows that each queue gets.
const ROWS: usize = 200;
/// How long the node may take for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// Asks until an answer comes; returns its status line and its body.
fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

fn scripts(address: &str) -> Vec<Json> {
    let (head, body) = get(address, "/status");
    assert!(head.contains("200"), "{head}");
    let status: Json = serde_json::from_str(&body).unwrap();
    status["scripts"].as_array().unwrap().clone()
}

/// Asks for the status until it is as wanted.
fn wait_for(address: &str, wanted: impl Fn(&[Json]) -> bool) -> Vec<Json> {
    let started = Instant::now();
    loop {
        let scripts = scripts(address);
        if wanted(&scripts) {
            return scripts;
        }
        assert!(started.elapsed() < LIMIT, "it stays at {scripts:#?}");
        pause(Duration::from_millis(100));
    }
}

/// Lets the node work for a while.
#[expect(
    clippy::disallowed_methods,
    reason = "no arbiter lives in this process"
)]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn count(scripts: &[Json], state: &str) -> usize {
    scripts.iter().filter(|s| s["state"] == state).count()
}

/// Starts `dajet run` with a status at a free port; returns where it answers.
fn start(folder: &std::path::Path, args: &[&str]) -> (Node, String) {
    let all: Vec<&str> = ["run"]
        .iter()
        .chain(args)
        .chain(&["--status", "0"])
        .copied()
        .collect();
    let mut node = Node::start(folder, &all, &[]);
    let line = node.wait_for_error("status at http://");
    let address = line.split("http://").nth(1).unwrap();
    (node, address.trim_end_matches('/').to_owned())
}

/// Threads of a process, and the CPU seconds that it has used.
fn cost(process: u32) -> (u64, f64) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let threads = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"))
        .unwrap();
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    // utime and stime, in hundredths of a second
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    (threads.trim().parse().unwrap(), ticks / 100.0)
}

fn queue(address: &str, number: usize) -> String {
    format!(
        "DECLARE @order object
         USE '{address}'
            CONSUME TOP 100 id, body INTO @order FROM queue_{number} ORDER BY id ASC
            INSERT orders SELECT queue = {number}, id = @order.id, body = @order.body
         END"
    )
}

/// Statements that make the empty queues and their common target, whose column `place`, of the type given, counts its rows.
fn tables(number_type: &str, place_type: &str) -> String {
    let queues = (0..EACH)
        .map(|n| format!("CREATE TABLE queue_{n} (id {number_type} PRIMARY KEY, body text);\n"));
    let queues: String = queues.collect();
    format!(
        "{queues}CREATE TABLE orders (place {place_type}, queue {number_type}, id {number_type}, body text)"
    )
}

/// Statements that fill every queue.
fn rows() -> String {
    let values: Vec<String> = (1..=ROWS)
        .map(|id| format!("({id}, 'тело {id}')"))
        .collect();
    let values = values.join(",");
    (0..EACH)
        .map(|n| format!("INSERT INTO queue_{n} (id, body) VALUES {values};\n"))
        .collect()
}

#[test]
fn fifty_idle_scripts_cost_little_and_two_bad_ones_disturb_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let file = sqlite::make(path, "queues.db", &tables("INTEGER", "INTEGER PRIMARY KEY"));
    let database = Database::create("hosting", &tables("bigint", "bigserial"));
    fs::create_dir(path.join("scripts")).unwrap();
    let write = |name: String, text: String| fs::write(path.join("scripts").join(name), text);
    for n in 0..EACH {
        write(format!("sqlite_{n}.djs"), queue("sqlite://queues.db", n)).unwrap();
        write(format!("pgsql_{n}.djs"), queue(&database.address(), n)).unwrap();
    }
    write("ошибка.djs".to_owned(), "DECLARE @a strin\n".to_owned()).unwrap();
    write("сбой.djs".to_owned(), "THROW 'так не пойдёт'\n".to_owned()).unwrap();

    let (node, address) = start(path, &["scripts"]);
    let scripts = wait_for(&address, |s| {
        count(s, "idle") == 2 * EACH && count(s, "failed") == 2
    });
    assert_eq!(scripts.len(), 2 * EACH + 2);
    let error = |name: &str| {
        let found = scripts
            .iter()
            .find(|s| s["name"].as_str().unwrap().ends_with(name));
        found.unwrap()["last_error"].as_str().unwrap().to_owned()
    };
    assert!(
        error("ошибка.djs").contains("1:12"),
        "{}",
        error("ошибка.djs")
    );
    assert!(error("сбой.djs").contains("так не пойдёт"));

    let (_, before) = cost(node.id());
    let watched = Duration::from_secs(3);
    pause(watched);
    let (threads, after) = cost(node.id());
    let share = (after - before) / watched.as_secs_f64();
    println!(
        "{threads} threads, {:.1} % of a core while idle",
        share * 100.0
    );
    assert!(threads < THREADS_MAX, "{threads} threads");
    assert!(share < 0.25, "{:.1} % of a core while idle", share * 100.0);

    file.execute_batch(&format!("BEGIN; {} COMMIT", rows()))
        .unwrap();
    database.execute(&rows());
    let all = 2 * EACH * ROWS;
    wait_for(&address, |s| {
        s.iter()
            .map(|s| s["records"].as_u64().unwrap())
            .sum::<u64>()
            >= all as u64
            && count(s, "idle") == 2 * EACH
    });
    // Every queue once and in order. Where a row lies in the file of the database says nothing of when it was written.
    let order = "SELECT count(*) FROM (SELECT id, row_number() OVER (PARTITION BY queue ORDER BY place) AS turn FROM orders) AS o WHERE id = turn";
    let expected = [(EACH * ROWS).to_string()];
    assert_eq!(database.column(order), expected);
    assert_eq!(sqlite::column(path, "queues.db", order), expected);
    assert_eq!(database.column("SELECT count(*) FROM orders"), expected);
    assert_eq!(
        sqlite::column(path, "queues.db", "SELECT count(*) FROM orders"),
        expected
    );

    node.signal("TERM");
    node.finish()
        .expect(3, &["error[E_PARSE]", "так не пойдёт", "stopped"]);
}

#[test]
fn tells_what_it_does_by_http_and_in_a_table() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::outbox(folder.path(), 300);
    fs::write(folder.path().join("copy.djs"), COPY).unwrap();
    let (node, address) = start(folder.path(), &["copy.djs"]);
    let scripts = wait_for(&address, |s| {
        s[0]["state"] == "idle" && s[0]["records"] == 300
    });
    assert_eq!(scripts[0]["batches"], 3);
    assert_eq!(scripts[0]["in_flight"], 0);
    assert_eq!(scripts[0]["last_error"], Json::Null);
    assert!(scripts[0]["batch_latency_seconds"].as_f64().unwrap() > 0.0);

    let table = dajet(folder.path(), &["status", &address]);
    table.expect(0, &[]);
    for part in ["SCRIPT", "copy.djs", "idle", "300"] {
        assert!(table.out.contains(part), "{table}");
    }
    let json = dajet_with(
        folder.path(),
        &["status", "--json"],
        &[("DAJET_STATUS", &address)],
    );
    json.expect(0, &[]);
    let status: Json = serde_json::from_str(&json.out).unwrap();
    assert_eq!(status["scripts"][0]["records"], 300);

    let (head, metrics) = get(&address, "/metrics");
    assert!(head.contains("200"), "{head}");
    for line in [
        "dajet_records_total{script=\"copy.djs\"} 300",
        "dajet_state{script=\"copy.djs\",state=\"idle\"} 1",
    ] {
        assert!(
            metrics.lines().any(|l| l == line),
            "no {line} in\n{metrics}"
        );
    }
    assert!(get(&address, "/health").0.contains("200"));
    assert!(get(&address, "/").1.contains("/metrics"));
    assert!(get(&address, "/nothing").0.contains("404"));

    node.signal("TERM");
    node.finish().expect(0, &["stopped"]);
    dajet(folder.path(), &["status", &address]).expect(
        1,
        &["cannot get the status of the node", "refused", "--status"],
    );
}

#[test]
fn a_node_that_drains_is_no_longer_healthy() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::outbox(folder.path(), 1);
    fs::write(folder.path().join("slow.djs"), COPY).unwrap();
    // The batch waits for the target until the test lets it through.
    let writer = sqlite::make(folder.path(), "orders.db", "BEGIN IMMEDIATE");
    let (mut node, address) = start(folder.path(), &["slow.djs"]);
    let scripts = wait_for(&address, |s| s[0]["in_flight"] == 1);
    assert_eq!(scripts[0]["state"], "running");
    node.signal("TERM");
    node.wait_for_error("stopping");
    assert!(get(&address, "/health").0.contains("503"));
    writer.execute_batch("ROLLBACK").unwrap();
    node.finish().expect(0, &["stopped, 1 records"]);
}

#[test]
fn an_address_that_is_taken_or_makes_no_sense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::outbox(folder.path(), 1);
    fs::write(folder.path().join("copy.djs"), COPY).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = |status: &str| dajet(folder.path(), &["run", "copy.djs", "--status", status]);
    run(&address).expect(2, &["cannot listen at", &address, "Choose another port"]);
    run("здесь").expect(2, &["\"здесь\"", "host:port"]);
    dajet(folder.path(), &["status"]).expect(2, &["no address", "DAJET_STATUS"]);
    // Nothing was started.
    assert_eq!(
        sqlite::column(folder.path(), "outbox.db", "SELECT count(*) FROM outbox"),
        ["1"]
    );
}

#[test]
fn what_connectors_tell_has_the_name_of_its_script() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    sqlite::outbox(folder, 3);
    sqlite::make(
        folder,
        "prices.db",
        "CREATE TABLE queue (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO queue VALUES (1, 'а'), (2, 'б')",
    );
    // One is told on the thread of a database, the other one on a thread of Kafka's client.
    let by_body = "DECLARE @price object
USE 'sqlite://prices.db'
   CONSUME TOP 100 id, body INTO @price FROM queue ORDER BY body ASC
   PRINT @price.body
END";
    let nowhere = "DECLARE @order object
USE 'sqlite://outbox.db'
   CONSUME TOP 100 id, body INTO @order FROM outbox ORDER BY id ASC
   PRODUCE 'kafka' WITH BootstrapServers = '127.0.0.1:1'
   SELECT Topic = 'orders', Value = @order.body
END";
    fs::write(folder.join("цены.djs"), by_body).unwrap();
    fs::write(folder.join("заказы.djs"), nowhere).unwrap();
    let args = ["run", "цены.djs", "заказы.djs", "--set", "LogLevel=warn"];
    let mut node = Node::start(folder, &args, &[]);
    node.wait_for_errors(&[
        "[warn] [цены.djs] each batch sorts the whole queue",
        "[warn] [заказы.djs] no kafka broker can be reached",
    ]);
    node.signal("KILL");
    node.finish();
}
