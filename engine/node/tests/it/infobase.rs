//! Infobases of 1C by their own names, without a mapping file: the scripts of the folder, and an update of the
//! configuration under a running script.

use std::path::Path;

use dajet_adapters::testing::infobase::{Infobase, bomb};

use super::example_scripts::{numbers, run};
use super::node::{Node, dajet};
use super::rabbitmq::{self, Queue};
use super::servers::{Database, brokers, messages, produce, topic};

/// A database with the infobase, and with the sequence that numbers incoming messages.
fn create(prefix: &str, infobase: &Infobase) -> Database {
    let sql = infobase.sql() + "CREATE SEQUENCE so_incoming_queue;";
    Database::create(prefix, &sql)
}

/// Puts messages `first..=last` into the outgoing queue.
fn fill(database: &Database, infobase: &Infobase, first: usize, last: usize, kind: &str) {
    let queue = "РегистрСведений.ИсходящиеСообщения";
    let names = [
        "НомерСообщения",
        "Заголовки",
        "ТипСообщения",
        "ТелоСообщения",
        "Получатель",
        "ОтметкаВремени",
    ];
    let columns = names.map(|name| format!("[{queue}.{name}]")).join(", ");
    database.execute(&infobase.physical(&format!(
        "INSERT INTO [{queue}] ({columns})
         SELECT n, 'h' || n, {kind}, 'тело ' || n, '', now() FROM generate_series({first}, {last}) n"
    )));
}

fn count(database: &Database, infobase: &Infobase, table: &str) -> String {
    let query = infobase.physical(&format!("SELECT count(*) FROM [{table}]"));
    database.column(&query).remove(0)
}

/// What came into the incoming queue, in the order of its numbers.
fn incoming(database: &Database, infobase: &Infobase) -> Vec<String> {
    let queue = "РегистрСведений.ВходящиеСообщения";
    database.column(&infobase.physical(&format!(
        "SELECT [{queue}.ТелоСообщения] FROM [{queue}] ORDER BY [{queue}.НомерСообщения]"
    )))
}

fn bodies(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("тело {n}")).collect()
}

#[test]
fn a_register_goes_to_kafka() {
    let infobase = Infobase::new(1);
    let source = create("register", &infobase);
    let topics = [topic("type_a"), topic("type_b")];
    let kind = format!(
        "CASE WHEN n % 2 = 1 THEN '{}' ELSE '{}' END",
        topics[0], topics[1]
    );
    fill(&source, &infobase, 1, 10, &kind);
    let brokers = format!("brokers={}", brokers());
    let variables = [("INFOBASE", &*source.address())];
    run("register-to-kafka.djs", &["--param", &brokers], &variables)
        .expect(0, &["ended, 10 records"]);
    let expected =
        |numbers: [u32; 5]| numbers.map(|n| (Some("MAIN".to_owned()), Some(format!("тело {n}"))));
    assert_eq!(messages(&topics[0], 5), expected([1, 3, 5, 7, 9]));
    assert_eq!(messages(&topics[1], 5), expected([2, 4, 6, 8, 10]));
    assert_eq!(
        count(&source, &infobase, "РегистрСведений.ИсходящиеСообщения"),
        "0"
    );
}

#[test]
fn a_register_goes_to_rabbitmq() {
    let (infobase, queue) = (Infobase::new(2), Queue::create("register", "quorum"));
    let source = create("register", &infobase);
    fill(&source, &infobase, 1, 1500, "'тип'");
    let (parameter, amqp) = (format!("queue={}", queue.name), rabbitmq::address());
    let variables = [("INFOBASE", &*source.address()), ("AMQP", &*amqp)];
    run(
        "register-to-rabbitmq.djs",
        &["--param", &parameter],
        &variables,
    )
    .expect(0, &["ended, 1500 records"]);
    assert_eq!(queue.take(1500), bodies(1500));
    assert_eq!(
        count(&source, &infobase, "РегистрСведений.ИсходящиеСообщения"),
        "0"
    );
}

#[test]
fn changes_for_one_node_go_to_kafka_and_those_for_others_stay() {
    let (infobase, topic) = (Infobase::new(3), topic("goods"));
    let source = create("changes", &infobase);
    let (topic_value, brokers) = (format!("topic={topic}"), format!("brokers={}", brokers()));
    let arguments = ["--param", &topic_value, "--param", &brokers];
    let variables = [("INFOBASE", &*source.address())];
    run("changes-to-kafka.djs", &arguments, &variables).expect(0, &["ended, 2 records"]);
    let mut goods: Vec<(String, serde_json::Value)> = messages(&topic, 2)
        .into_iter()
        .map(|(key, value)| (key.unwrap(), serde_json::from_str(&value.unwrap()).unwrap()))
        .collect();
    goods.sort_by(|a, b| a.0.cmp(&b.0));
    let uuid = |name: &str| uuid_text(infobase.row(name));
    let expected = [
        (
            "ПС-1".to_owned(),
            serde_json::json!({
                "Ссылка": uuid("чайник"), "Код": "ПС-1", "Наименование": "чайник", "ПометкаУдаления": false,
                "Цены": [{"Период": "2024-01-01T00:00:00", "Цена": 1000.50}, {"Период": "2024-02-01T00:00:00", "Цена": 1200.00}],
            }),
        ),
        (
            "ПС-2".to_owned(),
            serde_json::json!({
                "Ссылка": uuid("чашка"), "Код": "ПС-2", "Наименование": "чашка", "ПометкаУдаления": false,
                "Цены": [{"Период": "2024-02-01T00:00:00", "Цена": 110.00}],
            }),
        ),
    ];
    assert_eq!(goods, expected);
    let left = "SELECT encode([Справочник.Номенклатура.Изменения.Ссылка], 'hex') FROM [Справочник.Номенклатура.Изменения]
        ORDER BY [Справочник.Номенклатура.Изменения.НомерСообщения]";
    let of_filial = ["чайник", "поднос"].map(|name| hex(infobase.row(name)));
    assert_eq!(source.column(&infobase.physical(left)), of_filial);
}

/// The uuid as scripts show it: that of the bytes with the first three groups turned round.
fn uuid_text(raw: [u8; 16]) -> String {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let hex = hex(order.map(|place: usize| raw[place]));
    let groups = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    groups.join("-")
}

fn hex(bytes: [u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn kafka_goes_to_a_register() {
    let (infobase, topic) = (Infobase::new(4), topic("r"));
    let target = create("register", &infobase);
    produce(
        &topic,
        (1..=1000).map(|n| (None, Some(format!("тело {n}")))),
    );
    let brokers = brokers();
    let parameters = [("topic", &topic), ("group", &topic), ("brokers", &brokers)];
    let parameters = parameters.map(|(name, value)| format!("{name}={value}"));
    let arguments: Vec<&str> = parameters.iter().flat_map(|p| ["--param", p]).collect();
    let variables = [("INFOBASE", &*target.address())];
    run("kafka-to-register.djs", &arguments, &variables).expect(0, &["ended, 1000 records"]);
    assert_eq!(incoming(&target, &infobase), bodies(1000));
}

#[test]
fn a_register_goes_to_a_register_of_another_infobase() {
    let (infobase, other) = (Infobase::new(5), Infobase::new(6));
    let (source, target) = (create("outgoing", &infobase), create("incoming", &other));
    fill(&source, &infobase, 1, 1500, "'t'");
    let variables = [
        ("INFOBASE", &*source.address()),
        ("TARGET_INFOBASE", &*target.address()),
    ];
    run("register-to-register.djs", &[], &variables).expect(0, &["ended, 1500 records"]);
    assert_eq!(incoming(&target, &other), bodies(1500));
    let register = "РегистрСведений.ВходящиеСообщения";
    let numbers_came = format!("SELECT [{register}.НомерСообщения] FROM [{register}] ORDER BY 1");
    assert_eq!(target.column(&other.physical(&numbers_came)), numbers(1500));
    assert_eq!(
        count(&source, &infobase, "РегистрСведений.ИсходящиеСообщения"),
        "0"
    );
}

#[test]
fn a_script_waits_for_an_update_of_the_configuration_and_goes_on() {
    let (before, after) = (Infobase::new(7), Infobase::new(8));
    let (source, target) = (create("updated", &before), create("incoming", &before));
    fill(&source, &before, 1, 500, "'t'");
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../scripts/register-to-register.djs"
    );
    let arguments = [
        "run",
        script,
        "--set",
        "IdleDelay=0.05",
        "--set",
        "ErrorDelay=0.5",
    ];
    let variables = [
        ("INFOBASE", &*source.address()),
        ("TARGET_INFOBASE", &*target.address()),
    ];
    let mut node = Node::start(folder.path(), &arguments, &variables);
    wait_for(&target, &before, 500);
    fill(&source, &before, 501, 1000, "'t'");
    source.execute(&before.leave_sql());
    for _ in 0..3 {
        node.wait_for_error("ИсходящиеСообщения");
    }
    source.execute(&before.return_sql(&after));
    fill(&source, &after, 1001, 1500, "'t'");
    wait_for(&target, &before, 1500);
    node.signal("TERM");
    node.finish().expect(0, &[]);
    assert_eq!(incoming(&target, &before), bodies(1500));
    assert_eq!(
        count(&source, &after, "РегистрСведений.ИсходящиеСообщения"),
        "0"
    );
}

#[test]
fn references_of_variables_have_the_type_codes_of_an_updated_configuration() {
    let (before, after) = (Infobase::new(13), Infobase::new(14));
    let source = create("recoded", &before);
    let folder = tempfile::tempdir().unwrap();
    let (plan, changes) = (
        "ПланОбмена.ПланОбменаРИБ",
        "Справочник.Номенклатура.Изменения",
    );
    assert_ne!(before.code(plan), after.code(plan));
    let script = format!(
        "DECLARE @c object
         USE '{}'
           DECLARE @узлы array = SELECT Узел = Ссылка FROM {plan} WHERE Код = 'KAFKA'
           DECLARE @узел entity = @узлы[0].Узел
           CONSUME TOP 1 Ссылка INTO @c FROM {changes} WHERE УзелОбмена = @узел ORDER BY Ссылка
           IF @узел = @узлы[0].Узел THEN PRINT NAMEOF(@узел) + ' ' + NAMEOF(@c.Ссылка) END
         END",
        source.address()
    );
    let mut node = started(folder.path(), &script, &[]);
    let left = format!("SELECT count(*) FROM [{changes}]");
    until(&source, &before.physical(&left), "2");
    source.execute(&before.leave_sql());
    node.wait_for_error("Изменения");
    source.execute(&before.return_sql(&after));
    let insert = format!(
        "INSERT INTO [{changes}] ([{changes}.УзелОбмена], [{changes}.НомерСообщения], [{changes}.Ссылка])
         VALUES ('\\x{:08x}', '\\x{}', NULL, '\\x{}')",
        after.code(plan),
        hex(after.row("KAFKA")),
        hex(after.row("поднос")),
    );
    source.execute(&after.physical(&insert));
    until(&source, &after.physical(&left), "2");
    node.signal("TERM");
    let run = node.finish();
    run.expect(0, &["references have other type codes"]);
    let line = format!("{plan} Справочник.Номенклатура\n");
    assert_eq!(run.out, line.repeat(3), "{run}");
}

#[test]
fn columns_that_are_missing_at_the_first_bind_are_waited_for() {
    let infobase = Infobase::new(9);
    let source = create("lacking", &infobase);
    fill(&source, &infobase, 1, 1, "'t'");
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "DECLARE @m object
         DECLARE @o object
         USE '{}'
           CONSUME TOP 5 НомерСообщения, ТипСообщения INTO @m FROM РегистрСведений.ИсходящиеСообщения ORDER BY НомерСообщения
           SELECT n = COUNT(Вес) INTO @o FROM Справочник.Номенклатура WHERE Код = @m.ТипСообщения
           PRINT @o.n
         END",
        source.address()
    );
    let columns = [
        (
            "РегистрСведений.ИсходящиеСообщения",
            "ТипСообщения",
            "varchar(1024) NOT NULL DEFAULT 't'",
        ),
        (
            "Справочник.Номенклатура",
            "Вес",
            "numeric(15,3) NOT NULL DEFAULT 0",
        ),
    ];
    for (table, name, _) in columns {
        let drop = format!("ALTER TABLE [{table}] DROP COLUMN [{table}.{name}]");
        source.execute(&infobase.physical(&drop));
    }
    let more = ["--until-idle", "--set", "GiveUpAfter=600"];
    let mut node = started(folder.path(), &script, &more);
    for (table, name, type_name) in columns {
        node.wait_for_error(&format!("no column for \"{name}\""));
        let add = format!("ALTER TABLE [{table}] ADD COLUMN [{table}.{name}] {type_name}");
        source.execute(&infobase.physical(&add));
    }
    let run = node.finish();
    run.expect(0, &["is the configuration being updated"]);
    assert_eq!(run.out, "0\n", "{run}");
}

#[test]
fn a_script_that_is_started_during_an_update_waits_for_its_look_ups() {
    let infobase = Infobase::new(15);
    let source = create("early", &infobase);
    fill(&source, &infobase, 1, 1, "'t'");
    let folder = tempfile::tempdir().unwrap();
    let plan = "ПланОбмена.ПланОбменаРИБ";
    let script = format!(
        "DECLARE @m object
         USE '{}'
           DECLARE @код string = SELECT Код FROM {plan} WHERE Код = 'KAFKA'
           CONSUME TOP 5 НомерСообщения INTO @m FROM РегистрСведений.ИсходящиеСообщения ORDER BY НомерСообщения
           PRINT CONCAT(@код, ' ', @m.НомерСообщения)
         END",
        source.address()
    );
    let rename = |from: &str, to: &str| {
        source.execute(&infobase.physical(&format!("ALTER TABLE {from} RENAME TO {to}")));
    };
    let table = format!("[{plan}]");
    rename(&table, "away");
    let mut node = started(folder.path(), &script, &[]);
    for _ in 0..2 {
        let line = node.wait_for_error("is the configuration being updated");
        assert!(line.contains("the script begins again"), "{line}");
    }
    rename("away", &table);
    node.wait_for_line("KAFKA 1");
    node.signal("TERM");
    node.finish().expect(0, &[]);

    rename(&table, "away");
    let arguments = ["run", "s.djs", "--until-idle"];
    let run = dajet(folder.path(), &arguments);
    run.expect(1, &["is the configuration being updated", "s.djs:3:"]);
}

/// Starts the script with short pauses.
fn started(folder: &Path, script: &str, more: &[&str]) -> Node {
    std::fs::write(folder.join("s.djs"), script).unwrap();
    let pauses = ["--set", "IdleDelay=0.05", "--set", "ErrorDelay=0.2"];
    let arguments = [&["run", "s.djs"], &pauses[..], more].concat();
    Node::start(folder, &arguments, &[])
}

/// Waits until so many messages have come.
fn wait_for(target: &Database, infobase: &Infobase, wanted: usize) {
    let query = "SELECT count(*) FROM [РегистрСведений.ВходящиеСообщения]";
    until(target, &infobase.physical(query), &wanted.to_string());
}

/// Waits until a query answers this.
fn until(database: &Database, query: &str, wanted: &str) {
    let mut found = String::new();
    for _ in 0..3_000 {
        found = database.column(query).remove(0);
        if found == wanted {
            return;
        }
        database.execute("SELECT pg_sleep(0.02)");
    }
    panic!("{found}, not {wanted}");
}

/// The most memory that a process has had, in kB.
fn peak(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.expect("the kernel tells it")
}

#[test]
fn bombs_among_the_metadata_take_little_memory() {
    let infobase = Infobase::new(61);
    let database = create("bombs", &infobase);
    // a gibibyte of nothing, and as many empty values as a file of the longest length has room for
    let bombs = [
        ("Справочник.Контрагенты", bomb(b' ', 1024)),
        ("Справочник.Договоры", bomb(b',', 127)),
    ];
    for (name, bomb) in bombs {
        let hexadecimal: String = bomb.iter().map(|byte| format!("{byte:02x}")).collect();
        let file = infobase.file_of(name);
        database.execute(&format!(
            "UPDATE config SET binarydata = '\\x{hexadecimal}' WHERE filename = '{file}'"
        ));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!(
        "DECLARE @o object
         USE '{}'
           SELECT n = COUNT(*) INTO @o FROM РегистрСведений.ЗначенияСвойств
           PRINT 'готово'
           SLEEP 600
         END",
        database.address()
    );
    std::fs::write(folder.path().join("s.djs"), script).expect("a file");
    let mut node = Node::start(folder.path(), &["run", "s.djs"], &[]);
    node.wait_for_line("готово");
    let peak = peak(node.id());
    node.signal("KILL");
    assert!(peak < 300_000, "{peak} kB");
}
