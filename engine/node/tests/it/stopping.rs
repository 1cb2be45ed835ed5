//! SIGTERM and SIGINT: what is in progress is finished, everything else stays in the queue.

use super::node::{Node, dajet};
use super::servers::{brokers, members, produce, topic};
use super::sqlite;

/// Each record takes a moment, so that there is always a batch in progress.
const SLOW: &str = "DECLARE @order object
DECLARE @turn integer = 0
USE 'sqlite://outbox.db'
   CONSUME TOP 5 id, body INTO @order FROM outbox ORDER BY id ASC
   SET @turn = 0
   WHILE @turn < 20000 SET @turn = @turn + 1 END
   PRINT @order.id
   USE 'sqlite://orders.db'
      INSERT orders SELECT id = @order.id, body = @order.body
   END
END
";

fn check_stop(signal: &str, code: i32) {
    let folder = tempfile::tempdir().unwrap();
    sqlite::outbox(folder.path(), 1000);
    std::fs::write(folder.path().join("script.djs"), SLOW).unwrap();
    let mut node = Node::start(folder.path(), &["run", "script.djs"], &[]);
    node.wait_for_line("7");
    node.signal(signal);
    node.finish().expect(code, &["stopping", "stopped"]);
    let delivered = sqlite::column(
        folder.path(),
        "orders.db",
        "SELECT id FROM orders ORDER BY rowid",
    );
    let left = sqlite::column(
        folder.path(),
        "outbox.db",
        "SELECT id FROM outbox ORDER BY id",
    );
    assert!(
        delivered.len() >= 10 && delivered.len() < 100,
        "{} delivered: the batch in progress is finished",
        delivered.len()
    );
    assert_eq!(delivered.len() % 5, 0, "whole batches");
    let all: Vec<String> = delivered.into_iter().chain(left).collect();
    assert_eq!(all, (1..=1000).map(|id| id.to_string()).collect::<Vec<_>>());
}

#[test]
fn sigterm_finishes_the_batch_and_is_a_success() {
    check_stop("TERM", 0);
}

#[test]
fn sigint_finishes_the_batch_and_is_an_interruption() {
    check_stop("INT", 130);
}

#[test]
fn a_second_signal_ends_at_once_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::outbox(folder.path(), 20);
    let text = SLOW.replace("   SET @turn = 0\n", "   PRINT @order.id\n");
    let text = text.replace("@turn < 20000", "@order.id > 0");
    std::fs::write(folder.path().join("script.djs"), text).unwrap();
    let mut node = Node::start(folder.path(), &["run", "script.djs"], &[]);
    node.wait_for_line("1");
    node.signal("TERM");
    node.wait_for_error("stopping");
    node.signal("TERM");
    let run = node.finish();
    assert_eq!(run.code, Some(130), "{run}");
    assert_eq!(
        sqlite::column(folder.path(), "outbox.db", "SELECT count(*) FROM outbox"),
        ["20"]
    );
    assert_eq!(
        sqlite::column(folder.path(), "orders.db", "SELECT count(*) FROM orders"),
        ["0"]
    );
}

/// Starts a script that has nothing to do, and ends it by SIGTERM.
fn check_stop_of_waiting(folder: &std::path::Path, text: &str, sign: &str) {
    std::fs::write(folder.join("script.djs"), text).unwrap();
    let started = std::time::Instant::now();
    let mut node = Node::start(
        folder,
        &["run", "script.djs", "--set", "LogLevel=debug"],
        &[],
    );
    node.wait_for_error(sign);
    node.signal("TERM");
    node.finish().expect(0, &["stopped"]);
    assert!(
        started.elapsed().as_secs() < 15,
        "a pause is woken by a stop"
    );
}

#[test]
fn a_pause_after_an_error_is_woken_by_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let text = "DECLARE @x object\nUSE 'pgsql://user@127.0.0.1:1/db'\nCONSUME TOP 10 id INTO @x FROM t\nEND\n";
    check_stop_of_waiting(folder.path(), text, "batch released");
}

#[test]
fn an_idle_script_is_woken_by_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::outbox(folder.path(), 0);
    check_stop_of_waiting(folder.path(), SLOW, "pipeline starts");
}

/// The group would keep the partitions for the session's time otherwise, and the next start would wait.
#[test]
fn an_end_leaves_the_group_of_kafka() {
    let topic = topic("leaving");
    let send = |value: &str| produce(&topic, [(None, Some(value.to_owned()))]);
    send("первое");
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "DECLARE @message object
         CONSUME 'kafka'
            WITH BootstrapServers = '{}', Topic = '{topic}', GroupId = '{topic}'
               , AutoOffsetReset = 'earliest', SessionTimeoutMs = 60000
            INTO @message
         PRINT @message.Value",
        brokers()
    );
    std::fs::write(folder.path().join("script.djs"), text).unwrap();
    let mut node = Node::start(folder.path(), &["run", "script.djs"], &[]);
    node.wait_for_line("первое");
    assert_eq!(members(&topic), 1);
    node.signal("TERM");
    node.finish().expect(0, &["stopped"]);
    assert_eq!(members(&topic), 0, "after a stop");
    send("второе");
    let run = dajet(folder.path(), &["run", "script.djs", "--until-idle"]);
    run.expect(0, &["ended, 1 record"]);
    assert_eq!(run.out, "второе\n");
    assert_eq!(members(&topic), 0, "after an idle end");
}
