//! Kafka to a database that keeps the offsets: no message leaves its row twice, whatever dies in between.

use std::path::Path;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::hosting::pause;
use super::node::{Node, dajet, run_script};
use super::servers::{Database, brokers, produce, topic};
use super::sqlite;

/// Longest wait for the group; rows may take three times as long.
const PATIENCE: Duration = Duration::from_secs(60);
const INBOX: &str = "CREATE TABLE inbox (body text, row_number bigserial)";

fn script(topic: &str, address: &str) -> String {
    format!(
        "DECLARE @message object
         CONSUME 'kafka' WITH Topic = '{topic}', GroupId = '{topic}', BootstrapServers = '{}',
            AutoOffsetReset = 'earliest', SessionTimeoutMs = 6000, BatchSize = 50,
            OffsetTable = 'Смещения' INTO @message
         USE '{address}' INSERT inbox SELECT body = @message.Value END",
        brokers()
    )
}

fn fill(topic: &str, numbers: std::ops::RangeInclusive<usize>) {
    produce(topic, numbers.map(|n| (None, Some(format!("тело {n}")))));
}

fn bodies(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("тело {n}")).collect()
}

/// Makes the group forget what it has committed, as if no commit had reached the brokers. Waits until it has no member, for it cannot be
/// changed from outside before.
fn forget_commits(topic: &str) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers())
        .set("group.id", topic)
        .create()
        .unwrap();
    let begun = Instant::now();
    let has_members = || {
        let groups = consumer.fetch_group_list(Some(topic), Duration::from_secs(10));
        let groups = groups.unwrap();
        groups
            .groups()
            .iter()
            .any(|group| !group.members().is_empty())
    };
    while has_members() {
        assert!(begun.elapsed() < PATIENCE, "a member stays in the group");
        pause(Duration::from_millis(100));
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(0))
        .unwrap();
    consumer.commit(&list, CommitMode::Sync).unwrap();
}

#[test]
fn postgresql_gets_each_message_once_when_offset_commits_are_lost() {
    let (topic, target) = (topic("once"), Database::create("once", INBOX));
    let folder = tempfile::tempdir().unwrap();
    let text = script(&topic, &target.address());
    fill(&topic, 1..=500);
    run_script(folder.path(), &text, &[]).expect(0, &["ended, 500 records", "0 errors"]);
    forget_commits(&topic);
    fill(&topic, 501..=600);
    run_script(folder.path(), &text, &[]).expect(0, &["ended, 100 records", "0 errors"]);
    let all = "SELECT body FROM inbox ORDER BY row_number";
    assert_eq!(target.column(all), bodies(600));
    assert_eq!(
        target.column("SELECT next_offset FROM \"Смещения\""),
        ["600"]
    );
}

#[test]
fn sqlite_gets_each_message_once_when_offset_commits_are_lost() {
    let topic = topic("once");
    let folder = tempfile::tempdir().unwrap();
    sqlite::make(folder.path(), "target.db", "CREATE TABLE inbox (body text)");
    let text = script(&topic, "sqlite://target.db");
    fill(&topic, 1..=500);
    run_script(folder.path(), &text, &[]).expect(0, &["ended, 500 records", "0 errors"]);
    forget_commits(&topic);
    fill(&topic, 501..=600);
    run_script(folder.path(), &text, &[]).expect(0, &["ended, 100 records", "0 errors"]);
    let all = "SELECT body FROM inbox ORDER BY rowid";
    assert_eq!(sqlite::column(folder.path(), "target.db", all), bodies(600));
}

#[test]
fn a_killed_node_leaves_no_duplicates() {
    const MESSAGES: usize = 3000;
    let (topic, target) = (topic("killed"), Database::create("killed", INBOX));
    let folder = tempfile::tempdir().unwrap();
    // Each commit takes its time, so that most kills come between two of them or in the midst of one.
    target.execute(
        "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END';
         CREATE CONSTRAINT TRIGGER pause AFTER INSERT ON inbox DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW WHEN (NEW.row_number % 50 = 0) EXECUTE FUNCTION pause()",
    );
    fill(&topic, 1..=MESSAGES);
    let text = script(&topic, &target.address());
    std::fs::write(folder.path().join("script.djs"), &text).unwrap();
    for kill in 1..=3_usize {
        let node = Node::start(folder.path(), &["run", "script.djs"], &[]);
        let arrived = || target.column("SELECT count(*) FROM inbox")[0].parse::<usize>();
        let begun = Instant::now();
        while arrived().unwrap() < kill * 700 {
            assert!(begun.elapsed() < PATIENCE * 3, "the rows do not come");
            pause(Duration::from_millis(20));
        }
        node.signal("KILL");
        assert_eq!(node.finish().code, None, "it was killed");
        // Were the offset commits all lost, the database would know.
        if kill == 2 {
            forget_commits(&topic);
        }
    }
    run_script(folder.path(), &text, &[]).expect(0, &["ended"]);
    assert_eq!(
        target.column("SELECT body FROM inbox ORDER BY row_number"),
        bodies(MESSAGES)
    );
}

fn check(folder: &Path, tail: &str) -> super::node::Run {
    let text = format!(
        "DECLARE @message object\nDECLARE @address string = 'pgsql://host/one'\n\
         CONSUME 'kafka' WITH Topic = 't', GroupId = 'g', BootstrapServers = 'host:9092', OffsetTable = 't' INTO @message\n{tail}\n"
    );
    std::fs::write(folder.join("script.djs"), text).unwrap();
    dajet(folder, &["check", "script.djs"])
}

#[test]
fn a_check_finds_that_no_single_database_can_keep_the_offsets() {
    let folder = tempfile::tempdir().unwrap();
    let insert = "INSERT inbox SELECT body = @message.Value";
    let one = format!("USE 'pgsql://user:secret@host/one' {insert} END");
    check(folder.path(), &one).expect(0, &[]);
    check(folder.path(), &format!("{one}\n{one}")).expect(0, &[]);
    check(folder.path(), &format!("USE '{{@address}}' {insert} END")).expect(0, &[]);
    check(folder.path(), "PRINT @message.Value").expect(
        3,
        &["script.djs:3", "needs a database that the script writes to"],
    );
    let two = format!("{one}\nUSE 'sqlite://two.db' {insert} END");
    check(folder.path(), &two).expect(3, &["the script writes to several"]);
    let varying = format!("SET @address = @message.Key\nUSE '{{@address}}' {insert} END");
    check(folder.path(), &varying).expect(3, &["the same for every message"]);
}
