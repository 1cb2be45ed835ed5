//! Brokers as sources and as sinks, whole and in order.

use super::example_scripts::{INFOBASE, MAPPING};
use super::node::{dajet, run_script};
use super::rabbitmq::{self, Queue};
use super::servers::{Database, brokers, messages, produce, topic};

const INBOX: &str = "CREATE TABLE inbox (kind text, body text, row_number bigserial)";

fn bodies(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("тело {n}")).collect()
}

#[test]
fn rabbitmq_to_postgresql() {
    for kind in ["classic", "quorum"] {
        let (queue, target) = (
            Queue::create("source", kind),
            Database::create("inbox", INBOX),
        );
        queue.fill(bodies(10_000));
        let text = format!(
            "DECLARE @message object
             DECLARE @queue string = '{}'
             CONSUME '{}' WITH QueueName = @queue -- the source
                INTO @message
             USE '{}'
             INSERT inbox SELECT kind = @message.Type, body = @message.Body
             END",
            queue.name,
            rabbitmq::address(),
            target.address()
        );
        let folder = tempfile::tempdir().unwrap();
        run_script(folder.path(), &text, &[]).expect(0, &["ended, 10000 records", "0 errors"]);
        assert_eq!(
            target.column("SELECT body FROM inbox ORDER BY row_number"),
            bodies(10_000),
            "{kind}"
        );
        assert_eq!(target.column("SELECT DISTINCT kind FROM inbox"), ["тип"]);
        assert_eq!(queue.count(), 0);
    }
}

/// The shape of the published sample: comments in the list of options, a template as address, VECTOR, NOW, no END.
const REGISTER: &str = "DECLARE @Источник string = 'TOPIC'
DECLARE @Приёмник string = 'TARGET'
DECLARE @message  object -- Данные сообщения Apache Kafka

-- *******************************************
-- * Источник сообщений Apache Kafka, топик  *
-- *******************************************

CONSUME 'kafka'
   WITH Topic               = @Источник             -- Топик Apache Kafka
      , GroupId             = 'TOPIC'               -- group.id
      , ClientId            = 'dajet'               -- client.id
      , BootstrapServers    = 'BROKERS'             -- bootstrap.servers (csv)
      , EnableAutoCommit    = false                 -- enable.auto.commit
      , AutoOffsetReset     = 'earliest'            -- auto.offset.reset
      , SessionTimeoutMs    = 60000                 -- session.timeout.ms
      , HeartbeatIntervalMs = 20000                 -- heartbeat.interval.ms
   INTO @message

-- *************************************************************
-- * Приёмник сообщений, регистр сведений \"ВходящиеСообщения\" *
-- *************************************************************
USE '{@Приёмник}'

INSERT РегистрСведений.ВходящиеСообщения
SELECT НомерСообщения = VECTOR('so_incoming_queue')
     , ОтметкаВремени = NOW()
     , Отправитель    = @message.Topic
     , ТипСообщения   = @message.Key
     , ТелоСообщения  = @message.Value
";

#[test]
fn kafka_to_a_register() {
    let (topic, target) = (topic("s3"), Database::create("s3", INFOBASE));
    let keyed = |n: usize| (!n.is_multiple_of(3)).then(|| format!("ключ {}", n % 3));
    produce(
        &topic,
        (1..=10_000).map(|n| (keyed(n), Some(format!("тело {n}")))),
    );
    let text = REGISTER
        .replace("TOPIC", &topic)
        .replace("TARGET", &format!("{}?map=mapping.tsv", target.address()))
        .replace("BROKERS", &brokers());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mapping.tsv"), MAPPING).unwrap();
    run_script(folder.path(), &text, &[]).expect(0, &["ended, 10000 records", "0 errors"]);
    let numbers: Vec<String> = (1..=10_000).map(|n| n.to_string()).collect();
    assert_eq!(
        target.column("SELECT _fld141 FROM _inforg140 ORDER BY _fld141"),
        numbers
    );
    assert_eq!(
        target.column("SELECT _fld145 FROM _inforg140 ORDER BY _fld141"),
        bodies(10_000)
    );
    assert_eq!(
        target.column("SELECT DISTINCT _fld144 FROM _inforg140 ORDER BY 1"),
        ["", "ключ 1", "ключ 2"],
        "a message without a key has the empty value of the column"
    );
    assert_eq!(
        target.column("SELECT DISTINCT _fld142 FROM _inforg140"),
        [topic]
    );
    run_script(folder.path(), &text, &[]).expect(0, &["ended, 0 records"]);
}

#[test]
fn kafka_to_kafka() {
    let (from, to) = (topic("from"), topic("to"));
    let sent: Vec<_> = (1..=3000)
        .map(|n| {
            (
                Some(format!("ключ {n}")),
                (n % 7 != 0).then(|| format!("тело {n}")),
            )
        })
        .collect();
    produce(&from, sent.clone());
    let text = format!(
        "DECLARE @message object
         CONSUME 'kafka' WITH Topic = '{from}', GroupId = '{from}', BootstrapServers = '{0}',
            AutoOffsetReset = 'earliest' INTO @message
         PRODUCE 'kafka' WITH BootstrapServers = '{0}'
            SELECT Topic = '{to}', Key = @message.Key, Value = @message.Value",
        brokers()
    );
    let folder = tempfile::tempdir().unwrap();
    run_script(folder.path(), &text, &[]).expect(0, &["ended, 3000 records", "0 errors"]);
    assert_eq!(messages(&to, 3000), sent);
}

#[test]
fn a_refused_row_gives_the_messages_back() {
    let (queue, target) = (
        Queue::create("poison", "quorum"),
        Database::create("inbox", INBOX),
    );
    target.execute("ALTER TABLE inbox ADD CHECK (body <> 'тело 7')");
    queue.fill(bodies(10));
    let text = format!(
        "DECLARE @message object
         CONSUME '{}' WITH QueueName = '{}', BatchSize = 5 INTO @message
         USE '{}' INSERT inbox SELECT body = @message.Body END",
        rabbitmq::address(),
        queue.name,
        target.address()
    );
    let folder = tempfile::tempdir().unwrap();
    run_script(folder.path(), &text, &[]).expect(1, &["inbox_body_check"]);
    assert_eq!(
        target.column("SELECT body FROM inbox ORDER BY row_number"),
        bodies(5)
    );
    target.execute("ALTER TABLE inbox DROP CONSTRAINT inbox_body_check");
    run_script(folder.path(), &text, &[]).expect(0, &["ended, 5 records"]);
    assert_eq!(
        target.column("SELECT body FROM inbox ORDER BY row_number"),
        bodies(10)
    );
    assert_eq!(queue.count(), 0);
}

/// What `dajet check` tells of the options that stand in the third line.
#[track_caller]
fn check_options(statement: &str, options: &str, parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let text = match statement.strip_prefix("CONSUME ") {
        Some(address) => {
            format!("DECLARE @m object\nCONSUME {address} WITH\n{options}\nINTO @m\nPRINT 'x'\n")
        }
        None => format!("DECLARE @m string = ''\n{statement}\n{options}\n"),
    };
    std::fs::write(folder.path().join("script.djs"), text).unwrap();
    let run = dajet(folder.path(), &["check", "script.djs"]);
    run.expect(3, parts);
}

#[test]
fn mistakes_in_the_options_of_a_broker_are_found_before_a_run() {
    check_options(
        "CONSUME 'amqp://localhost/'",
        "QueueNam = 'q', PrefetchCount = 70000, Exchange = 'e'",
        &[
            "error[E_PARAM]: option \"QueueName\" is missing",
            "script.djs:3:1",
            "Did you mean \"QueueName\"?",
            "script.djs:3:17",
            "from 0 to 65535, not 70000",
            "script.djs:3:40",
            "option \"Exchange\" has no effect in CONSUME",
        ],
    );
    check_options(
        "CONSUME 'kafka'",
        "BootstrapServers = 'h:1', GruopId = 'g', Topic = 'a b', AutoOffsetReset = 'erliest'",
        &[
            "option \"GroupId\" is missing",
            "script.djs:3:27",
            "Did you mean \"GroupId\"?",
            "script.djs:3:42",
            "script.djs:3:57",
            "Did you mean 'earliest'?",
        ],
    );
    check_options(
        "PRODUCE 'kafka' WITH BootstrapServers = '', Akcs = 'all'",
        "SELECT Topik = 't', Value = @m",
        &[
            "option \"Topic\" is missing",
            "script.djs:2:22",
            "a list 'host:port, host:port', not ''",
            "script.djs:2:45",
            "Did you mean \"Acks\"?",
            "script.djs:3:8",
            "Did you mean \"Topic\"?",
        ],
    );
    check_options(
        "PRODUCE 'amqp://localhost/' WITH ConfirmWindow = 0",
        "SELECT RoutingKy = 'q', Priority = 300, Body = @m",
        &[
            "neither option \"Exchange\" nor option \"RoutingKey\" is given",
            "script.djs:2:34",
            "a whole number from 1, not 0",
            "script.djs:3:8",
            "Did you mean \"RoutingKey\"?",
            "script.djs:3:25",
        ],
    );
    check_options(
        "CONSUME 'sqlite://a.db'",
        "QueueName = 'q'",
        &["script.djs:2:9", "\"sqlite\" cannot give messages"],
    );
}
