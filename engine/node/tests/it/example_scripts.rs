//! The scripts of the folder `scripts`: each is checked, and each is run against real servers.

use std::fs;
use std::path::PathBuf;

use super::node::{Node, Run, dajet};
use super::rabbitmq::{self, Queue};
use super::servers::{Database, brokers, messages, produce, topic};

const ORDERS: &str = "CREATE TABLE orders (id bigint, customer text, body text, received_at timestamp, row_number bigserial)";

/// Tables of a small 1C infobase, as the mapping below names them.
pub const INFOBASE: &str = "
    CREATE TABLE _node61 (_idrref bytea PRIMARY KEY, _code varchar(9) NOT NULL, _predefinedid bytea NOT NULL);
    INSERT INTO _node61 VALUES ('\\x01', 'OTHER', decode(repeat('00', 16), 'hex')), ('\\x02', 'MAIN', decode(repeat('07', 16), 'hex'));
    CREATE TABLE _inforg134 (_fld135 numeric(19,0) PRIMARY KEY, _fld220 varchar NOT NULL, _fld137 varchar(1024) NOT NULL,
        _fld138 varchar NOT NULL);
    CREATE TABLE _inforg140 (_fld141 numeric(19,0) PRIMARY KEY, _fld142 varchar(36) NOT NULL, _fld143 varchar NOT NULL,
        _fld144 varchar(1024) NOT NULL, _fld145 varchar NOT NULL, _fld146 timestamp NOT NULL);
    CREATE SEQUENCE so_incoming_queue";

/// Names of its tables and columns.
pub const MAPPING: &str = "# logical name\ttable\tcolumns\tSQL Server types\tPostgreSQL types\tmain type code
ПланОбмена.ПланОбменаРИБ.Ссылка\t_Node61\t_IDRRef\tbinary(16)\tbytea\t61
ПланОбмена.ПланОбменаРИБ.Код\t_Node61\t_Code\tnvarchar(9)\tvarchar(9)\t61
ПланОбмена.ПланОбменаРИБ.Предопределённый\t_Node61\t_PredefinedID\tbinary(16)\tbytea\t61
РегистрСведений.ИсходящиеСообщения.НомерСообщения\t_InfoRg134\t_Fld135\tnumeric(19,0)\tnumeric(19,0)\t134
РегистрСведений.ИсходящиеСообщения.Заголовки\t_InfoRg134\t_Fld220\tnvarchar(max)\tvarchar\t134
РегистрСведений.ИсходящиеСообщения.ТипСообщения\t_InfoRg134\t_Fld137\tnvarchar(1024)\tvarchar(1024)\t134
РегистрСведений.ИсходящиеСообщения.ТелоСообщения\t_InfoRg134\t_Fld138\tnvarchar(max)\tvarchar\t134
РегистрСведений.ВходящиеСообщения.НомерСообщения\t_InfoRg140\t_Fld141\tnumeric(19,0)\tnumeric(19,0)\t140
РегистрСведений.ВходящиеСообщения.Отправитель\t_InfoRg140\t_Fld142\tnvarchar(36)\tvarchar(36)\t140
РегистрСведений.ВходящиеСообщения.Заголовки\t_InfoRg140\t_Fld143\tnvarchar(max)\tvarchar\t140
РегистрСведений.ВходящиеСообщения.ТипСообщения\t_InfoRg140\t_Fld144\tnvarchar(1024)\tvarchar(1024)\t140
РегистрСведений.ВходящиеСообщения.ТелоСообщения\t_InfoRg140\t_Fld145\tnvarchar(max)\tvarchar\t140
РегистрСведений.ВходящиеСообщения.ОтметкаВремени\t_InfoRg140\t_Fld146\tdatetime2(0)\ttimestamp without time zone\t140
";

fn scripts() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts"))
        .canonicalize()
        .unwrap()
}

/// A queue of 1,000 orders in four partitions.
fn shop(prefix: &str) -> Database {
    Database::create(
        prefix,
        "CREATE TABLE outbox (id bigint PRIMARY KEY, customer text, body text, part integer);
         INSERT INTO outbox SELECT n, 'customer ' || n % 5, 'body ' || n, n % 4 FROM generate_series(1, 1000) n",
    )
}

/// Runs a script of the folder until it is idle.
pub fn run(name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mapping.tsv"), MAPPING).unwrap();
    let script = scripts().join(name);
    let mut all = vec![
        "run",
        script.to_str().unwrap(),
        "--until-idle",
        "--set",
        "IdleDelay=0.05",
        "--set",
        "GiveUpAfter=2",
    ];
    all.extend(arguments);
    Node::start(folder.path(), &all, variables).finish()
}

pub fn numbers(count: usize) -> Vec<String> {
    (1..=count).map(|n| n.to_string()).collect()
}

#[test]
fn every_script_is_free_of_mistakes() {
    let run = dajet(&scripts(), &["check", "."]);
    run.expect(0, &["warning[W001]", "register-to-kafka.djs:8:1"]);
    let unset = run.err.matches("warning[W019]").count();
    assert_eq!(
        run.err.matches("warning[").count() - unset,
        1,
        "the older dialect has a block without END, and nobody sets the addresses here: {run}"
    );
}

#[test]
fn outbox_to_kafka() {
    let (source, topic) = (shop("to_kafka"), topic("orders"));
    let (topic_value, brokers) = (format!("topic={topic}"), format!("brokers={}", brokers()));
    let arguments = ["--param", &topic_value, "--param", &brokers];
    run(
        "outbox-to-kafka.djs",
        &arguments,
        &[("OUTBOX_DB", &source.address())],
    )
    .expect(0, &["ended, 1000 records"]);
    let found = messages(&topic, 1000);
    assert_eq!(
        found[0],
        (Some("customer 1".to_owned()), Some("body 1".to_owned()))
    );
    assert_eq!(found[999].1.as_deref(), Some("body 1000"));
    assert_eq!(source.column("SELECT count(*) FROM outbox"), ["0"]);
}

#[test]
fn outbox_to_pgsql() {
    let (source, target) = (shop("to_pgsql"), Database::create("orders", ORDERS));
    let variables = [
        ("OUTBOX_DB", &*source.address()),
        ("TARGET_DB", &*target.address()),
    ];
    run("outbox-to-pgsql.djs", &[], &variables).expect(0, &["ended, 1000 records"]);
    assert_eq!(
        target.column("SELECT id FROM orders ORDER BY row_number"),
        numbers(1000)
    );
    assert_eq!(source.column("SELECT count(*) FROM outbox"), ["0"]);
}

#[test]
fn fan_out() {
    let (source, target, topic) = (
        shop("fan_out"),
        Database::create("orders", ORDERS),
        topic("fan"),
    );
    let (topic_value, brokers) = (format!("topic={topic}"), format!("brokers={}", brokers()));
    let arguments = ["--param", &topic_value, "--param", &brokers];
    let variables = [
        ("OUTBOX_DB", &*source.address()),
        ("TARGET_DB", &*target.address()),
    ];
    run("fan-out.djs", &arguments, &variables).expect(0, &["ended, 1000 records"]);
    assert_eq!(
        target.column("SELECT id FROM orders ORDER BY row_number"),
        numbers(1000)
    );
    assert_eq!(messages(&topic, 1000).len(), 1000);
    assert_eq!(source.column("SELECT count(*) FROM outbox"), ["0"]);
}

#[test]
fn partitions() {
    let (source, target) = (shop("parts"), Database::create("orders", ORDERS));
    let variables = [
        ("OUTBOX_DB", &*source.address()),
        ("TARGET_DB", &*target.address()),
    ];
    run("partitions.djs", &[], &variables).expect(0, &["ended, 1000 records"]);
    assert_eq!(
        target.column("SELECT id FROM orders ORDER BY id"),
        numbers(1000)
    );
    for part in 0..4 {
        let query = format!("SELECT id FROM orders WHERE id % 4 = {part} ORDER BY row_number");
        let expected: Vec<String> = (1..=1000)
            .filter(|n| n % 4 == part)
            .map(|n| n.to_string())
            .collect();
        assert_eq!(
            target.column(&query),
            expected,
            "order within the partition"
        );
    }
}

#[test]
fn kafka_to_register() {
    let (topic, target) = (topic("r"), Database::create("register", INFOBASE));
    produce(
        &topic,
        (1..=1000).map(|n| (None, Some(format!("тело {n}")))),
    );
    let parameters = [
        format!("topic={topic}"),
        format!("group={topic}"),
        format!("brokers={}", brokers()),
    ];
    let arguments: Vec<&str> = parameters
        .iter()
        .flat_map(|parameter| ["--param", parameter])
        .collect();
    let address = format!("{}?map=mapping.tsv", target.address());
    run(
        "kafka-to-register.djs",
        &arguments,
        &[("INFOBASE", &address)],
    )
    .expect(0, &["ended, 1000 records"]);
    let bodies: Vec<String> = (1..=1000).map(|n| format!("тело {n}")).collect();
    assert_eq!(
        target.column("SELECT _fld145 FROM _inforg140 ORDER BY _fld141"),
        bodies
    );
}

#[test]
fn rabbitmq_to_pgsql() {
    let (queue, target) = (
        Queue::create("orders", "quorum"),
        Database::create("orders", ORDERS),
    );
    queue.fill(numbers(1000));
    let (parameter, amqp) = (format!("queue={}", queue.name), rabbitmq::address());
    let variables = [("AMQP", &*amqp), ("TARGET_DB", &*target.address())];
    run(
        "rabbitmq-to-pgsql.djs",
        &["--param", &parameter],
        &variables,
    )
    .expect(0, &["ended, 1000 records"]);
    assert_eq!(
        target.column("SELECT body FROM orders ORDER BY row_number"),
        numbers(1000)
    );
    assert_eq!(queue.count(), 0);
}

#[test]
fn register_to_kafka() {
    let source = Database::create("register", INFOBASE);
    let topics = [topic("type_a"), topic("type_b")];
    source.execute(&format!(
        "INSERT INTO _inforg134 SELECT n, '', CASE WHEN n % 2 = 1 THEN '{}' ELSE '{}' END, 'тело ' || n
         FROM generate_series(1, 10) n",
        topics[0], topics[1]
    ));
    let (brokers, address) = (
        format!("brokers={}", brokers()),
        format!("{}?map=mapping.tsv", source.address()),
    );
    let done = run(
        "register-to-kafka.djs",
        &["--param", &brokers],
        &[("INFOBASE", &address)],
    );
    done.expect(0, &["ended, 10 records"]);
    let expected =
        |numbers: [u32; 5]| numbers.map(|n| (Some("MAIN".to_owned()), Some(format!("тело {n}"))));
    assert_eq!(messages(&topics[0], 5), expected([1, 3, 5, 7, 9]));
    assert_eq!(messages(&topics[1], 5), expected([2, 4, 6, 8, 10]));
    assert_eq!(source.column("SELECT count(*) FROM _inforg134"), ["0"]);
}

#[test]
fn register_to_register() {
    let (source, target) = (
        Database::create("outgoing", INFOBASE),
        Database::create("incoming", INFOBASE),
    );
    source.execute("INSERT INTO _inforg134 SELECT n * 2, 'h' || n, 't', 'тело ' || n FROM generate_series(1, 1500) n");
    let (from, to) = (
        format!("{}?map=mapping.tsv", source.address()),
        format!("{}?map=mapping.tsv", target.address()),
    );
    let done = run(
        "register-to-register.djs",
        &[],
        &[("INFOBASE", &from), ("TARGET_INFOBASE", &to)],
    );
    done.expect(0, &["ended, 1500 records"]);
    assert_eq!(
        target.column("SELECT _fld141 FROM _inforg140 ORDER BY substr(_fld143, 2)::int"),
        numbers(1500)
    );
    assert_eq!(
        target.column("SELECT DISTINCT _fld142 FROM _inforg140"),
        ["DaJet Stream"]
    );
    assert_eq!(source.column("SELECT count(*) FROM _inforg134"), ["0"]);
}
