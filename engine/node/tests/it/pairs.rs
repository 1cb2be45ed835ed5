//! Every pair of source and sink at once, in one process: exact, unless the script tells errors. A broker on a busy machine may take
//! a consumer for dead; then batches may come twice, and first occurrences are what counts.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;

use super::node::{Run, dajet};
use super::rabbitmq::{self, Queue};
use super::servers::{Database, brokers, committed, produce, published, topic};
use super::sqlite;

const ROWS: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq)]
enum System {
    Sqlite,
    Pgsql,
    Kafka,
    Rabbitmq,
}

use System::{Kafka, Pgsql, Rabbitmq, Sqlite};

const SYSTEMS: [System; 4] = [Sqlite, Pgsql, Kafka, Rabbitmq];

/// A queue or a target of one pair.
enum Place {
    File(String),
    Table(String),
    Topic(String),
    Queue(Box<Queue>),
}

/// What all the pairs share: a folder with the files, and a database.
struct Ground<'a> {
    folder: &'a Path,
    database: &'a Database,
}

fn bodies() -> Vec<String> {
    (1..=ROWS).map(|n| format!("тело {n} 😀")).collect()
}

impl Ground<'_> {
    /// Makes an empty place of a system, whose kind of queue depends on `about`.
    fn place(&self, system: System, about: &str) -> Place {
        match system {
            Sqlite => {
                let file = format!("{about}.db");
                let table = "CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)";
                sqlite::make(self.folder, &file, table);
                Place::File(file)
            }
            Pgsql => {
                let table = format!("CREATE TABLE {about} (id bigserial PRIMARY KEY, body text)");
                self.database.execute(&table);
                Place::Table(about.to_owned())
            }
            Kafka => Place::Topic(topic(about)),
            Rabbitmq => {
                let kind = if about.contains("gsql") {
                    "quorum"
                } else {
                    "classic"
                };
                Place::Queue(Box::new(Queue::create(about, kind)))
            }
        }
    }

    fn fill(&self, place: &Place) {
        match place {
            Place::File(file) => {
                let rows = format!(
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
                     INSERT INTO rows SELECT i, 'тело ' || i || ' 😀' FROM n"
                );
                sqlite::make(self.folder, file, &rows);
            }
            Place::Table(table) => self.database.execute(&format!(
                "INSERT INTO {table} SELECT n, 'тело ' || n || ' 😀' FROM generate_series(1, {ROWS}) n"
            )),
            Place::Topic(topic) => produce(topic, bodies().into_iter().map(|b| (None, Some(b)))),
            Place::Queue(queue) => queue.fill(bodies()),
        }
    }

    /// The script that drains one into the other.
    fn script(&self, from: &Place, to: &Place) -> String {
        let (pgsql, kafka, amqp) = (self.database.address(), brokers(), rabbitmq::address());
        let table = |address: &str, name: &str| {
            format!("USE '{address}' CONSUME TOP 1000 id, body INTO @m FROM {name} ORDER BY id")
        };
        let (source, body, end) = match from {
            Place::File(file) => (table(&format!("sqlite://{file}"), "rows"), "body", "END"),
            Place::Table(name) => (table(&pgsql, name), "body", "END"),
            Place::Topic(topic) => (
                format!(
                    "CONSUME 'kafka' WITH BootstrapServers = '{kafka}', Topic = '{topic}', GroupId = '{topic}',
                        AutoOffsetReset = 'earliest' INTO @m"
                ),
                "Value",
                "",
            ),
            Place::Queue(queue) => (
                format!("CONSUME '{amqp}' WITH QueueName = '{}' INTO @m", queue.name),
                "Body",
                "",
            ),
        };
        let insert = |address: &str, name: &str| {
            format!("USE '{address}' INSERT {name} SELECT body = @m.{body} END")
        };
        let sink = match to {
            Place::File(file) => insert(&format!("sqlite://{file}"), "rows"),
            Place::Table(name) => insert(&pgsql, name),
            Place::Topic(topic) => format!(
                "PRODUCE 'kafka' WITH BootstrapServers = '{kafka}' SELECT Topic = '{topic}', Value = @m.{body}"
            ),
            Place::Queue(queue) => format!(
                "PRODUCE '{amqp}' SELECT RoutingKey = '{}', Body = @m.{body}",
                queue.name
            ),
        };
        format!("DECLARE @m object\n{source}\n{sink}\n{end}\n")
    }

    /// Rows that a source still holds.
    fn left(&self, place: &Place) -> usize {
        let count = |rows: Vec<String>| rows[0].parse().unwrap();
        match place {
            Place::File(file) => count(sqlite::column(
                self.folder,
                file,
                "SELECT count(*) FROM rows",
            )),
            Place::Table(table) => count(
                self.database
                    .column(&format!("SELECT count(*) FROM {table}")),
            ),
            Place::Topic(topic) => ROWS - committed(topic, topic),
            Place::Queue(queue) => queue.count(),
        }
    }

    /// The bodies at a sink, in the order of writing.
    fn bodies(&self, place: &Place) -> Vec<String> {
        match place {
            Place::File(file) => {
                sqlite::column(self.folder, file, "SELECT body FROM rows ORDER BY id")
            }
            Place::Table(table) => self
                .database
                .column(&format!("SELECT body FROM {table} ORDER BY id")),
            Place::Topic(topic) => {
                let all = published(topic);
                all.into_iter().map(|(_, value)| value.unwrap()).collect()
            }
            Place::Queue(queue) => queue.take(queue.count()),
        }
    }
}

/// The errors that the summary of a script tells.
fn errors(run: &Run, script: &str) -> usize {
    let start = format!("scripts/{script}.djs: ended, ");
    let line = run.err.lines().find_map(|line| line.strip_prefix(&start));
    let line = line.unwrap_or_else(|| panic!("{script} has not ended\n{run}"));
    let part = line
        .split(", ")
        .find_map(|part| part.strip_suffix(" errors"));
    part.and_then(|count| count.parse().ok()).unwrap()
}

/// What is left of the bodies without those that came before.
fn first_occurrences(found: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    found
        .iter()
        .filter(|body| seen.insert(*body))
        .cloned()
        .collect()
}

#[test]
fn every_pair_of_source_and_sink_is_drained_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create("pairs", "");
    let ground = Ground {
        folder: folder.path(),
        database: &database,
    };
    fs::create_dir(folder.path().join("scripts")).unwrap();
    let mut pairs = Vec::new();
    for from in SYSTEMS {
        for to in SYSTEMS {
            let name = format!("{from:?}_{to:?}").to_lowercase();
            let source = ground.place(from, &format!("from_{name}"));
            let sink = ground.place(to, &format!("to_{name}"));
            ground.fill(&source);
            let script = folder.path().join("scripts").join(format!("{name}.djs"));
            fs::write(script, ground.script(&source, &sink)).unwrap();
            pairs.push((name, source, sink));
        }
    }
    let run = dajet(
        folder.path(),
        &["run", "scripts", "--until-idle", "--set", "IdleDelay=0.05"],
    );
    run.expect(0, &[]);
    let mut table = format!("{:<20}{:>8}{:>8}{:>14}\n", "pair", "rows", "left", "order");
    let mut right = true;
    for (name, source, sink) in &pairs {
        let (found, left) = (ground.bodies(sink), ground.left(source));
        let order = match errors(&run, name) {
            _ if found == bodies() => "exact",
            1.. if first_occurrences(&found) == bodies() => "repeated",
            _ => "wrong",
        };
        right &= order != "wrong" && left == 0;
        table += &format!("{name:<20}{:>8}{left:>8}{order:>14}\n", found.len());
    }
    std::io::stdout().write_all(table.as_bytes()).unwrap();
    assert!(right, "{table}\n{run}");
}
