//! Each mistake of a script's author gets its message, its place, its hint and its exit code.

use std::fs;

use super::node::{dajet, dajet_with, run_script};
use super::servers::{Database, brokers};
use super::sqlite::{self, COPY};

/// Runs a changed copy script against a fresh outbox of three rows, and asserts that the rows stay.
#[track_caller]
fn check_copy(from: &str, to: &str, code: i32, parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    sqlite::outbox(folder.path(), 3);
    assert!(COPY.contains(from));
    run_script(folder.path(), &COPY.replace(from, to), &[]).expect(code, parts);
    assert_eq!(
        sqlite::column(folder.path(), "outbox.db", "SELECT count(*) FROM outbox"),
        ["3"]
    );
}

#[test]
fn several_mistakes_of_syntax_are_shown_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let text = "DECLARE @a strin\nSET @a =\nPRINT (1 + 2\nIF @a THEN PRINT 1\n";
    let run = run_script(folder.path(), text, &[]);
    run.expect(3, &["error[E_PARSE]", "script.djs:1:12", "script.djs:4:1"]);
    assert!(run.err.matches("error[E_").count() >= 3, "{run}");
}

#[test]
fn of_very_many_mistakes_the_rest_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let text = "SET @нет = 1\n".repeat(150);
    let run = run_script(folder.path(), &text, &[]);
    let last = "warning[W008]: 50 more errors are not shown";
    run.expect(3, &[last, "script.djs:100:5"]);
    let run = dajet(folder.path(), &["check", "script.djs", "--json"]);
    let found: Vec<serde_json::Value> = serde_json::from_str(&run.out).unwrap();
    assert_eq!(found.len(), 101, "{run}");
    assert_eq!(found[100]["message"], "50 more errors are not shown");
}

#[test]
fn an_unknown_variable_is_named_with_its_neighbour() {
    check_copy(
        "@order.id",
        "@ordr.id",
        3,
        &[
            "error[E_BIND]",
            "script.djs:5:33",
            "\"@ordr\"",
            "\"@order\"",
        ],
    );
}

#[test]
fn a_member_that_nothing_tells_is_warned_of_by_check_and_by_run() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::outbox(folder.path(), 2);
    let wrong = "id = @order.id, body = 'тело: ' + @order.Body + @order.idd";
    let text = COPY.replace("id = @order.id, body = @order.body", wrong);
    let parts = [
        "warning[W018]: \"@order\" has no member \"Body\"",
        "script.djs:5:69",
        "its members are told here",
        "Did you mean \"body\"? Names of members are told apart by their case.",
        "script.djs:5:83",
        "Did you mean \"id\"?",
    ];
    run_script(folder.path(), &text, &[]).expect(0, &parts);
    assert_eq!(
        sqlite::column(folder.path(), "orders.db", "SELECT body FROM orders"),
        ["тело: ", "тело: "]
    );
    dajet(folder.path(), &["check", "script.djs"]).expect(0, &parts);
    let text = "DECLARE @m object\nCONSUME 'kafka' WITH BootstrapServers = 'x:1', Topic = 't', GroupId = 'g' INTO @m\n\
                PRINT @m.Value + @m.value\n";
    fs::write(folder.path().join("script.djs"), text).unwrap();
    let parts = ["\"@m\" has no member \"value\"", "Did you mean \"Value\"?"];
    dajet(folder.path(), &["check", "script.djs"]).expect(0, &parts);
    let text =
        "DECLARE @m object\nCONSUME 'amqp://{$BROKER}/очередь' INTO @m\nPRINT @m.Body + @m.Key\n";
    fs::write(folder.path().join("script.djs"), text).unwrap();
    let parts = ["\"@m\" has no member \"Key\"", "It has \"AppId\", \"Body\""];
    dajet(folder.path(), &["check", "script.djs"]).expect(0, &parts);
}

#[test]
fn an_unknown_table_is_found_at_the_first_bind() {
    check_copy(
        "FROM outbox",
        "FROM outbx",
        3,
        &["error[E_BIND]", "script.djs:3", "\"outbx\"", "\"outbox\""],
    );
    check_copy(
        "INSERT orders",
        "INSERT ordes",
        3,
        &["error[E_BIND]", "script.djs:5", "\"ordes\"", "\"orders\""],
    );
}

#[test]
fn an_unknown_column_is_found_at_the_first_bind() {
    check_copy(
        "TOP 100 id, body",
        "TOP 100 id, bode",
        3,
        &["error[E_BIND]", "\"bode\"", "Did you mean \"body\"?"],
    );
    check_copy(
        "body = @order.body",
        "boby = @order.body",
        3,
        &["error[E_BIND]", "\"boby\"", "\"body\""],
    );
}

#[test]
fn an_unknown_option_is_found_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let text = "PRODUCE 'kafka' WITH BootstrapServer = 'localhost:1', Akcs = 'all' SELECT Topic = 't', Valeu = 'v'\n";
    let run = run_script(folder.path(), text, &[]);
    run.expect(
        3,
        &[
            "\"BootstrapServer\"",
            "BootstrapServers",
            "\"Akcs\"",
            "\"Valeu\"",
            "script.djs:1:22",
        ],
    );
}

#[test]
fn an_unknown_kind_of_address_is_found_before_anything_runs() {
    check_copy(
        "sqlite://orders",
        "sqlit://orders",
        3,
        &["error[E_URI]", "script.djs:4:8", "\"sqlite\""],
    );
}

#[test]
fn files_that_are_no_scripts_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("image.djs"),
        [0x89, b'P', b'N', b'G', 0, 0xff],
    )
    .unwrap();
    dajet(folder.path(), &["run", "image.djs"])
        .expect(3, &["error[E_LEX]", "image.djs", "not UTF-8 text"]);
    dajet(folder.path(), &["check", "image.djs"]).expect(3, &["not UTF-8 text"]);
    dajet(folder.path(), &["stream", "--file", "."]).expect(2, &["is a folder"]);
}

#[test]
fn a_missing_variable_of_the_environment_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = "DECLARE @m object\nUSE '{$DATABASE_OF_NOBODY}'\nSELECT a INTO @m FROM t\nEND\n\
                CONSUME 'amqp://{$БРОКЕР_НИЧЕЙ}/q' INTO @m\nUSE '{$DATABASE_OF_NOBODY}'\nINSERT t SELECT a = @m.Body\nEND\n";
    let parts = [
        "error[E_URI]: environment variable \"DATABASE_OF_NOBODY\" is not set",
        "script.djs:2:7",
        "environment variable \"БРОКЕР_НИЧЕЙ\" is not set",
        "script.djs:5:18",
        "set БРОКЕР_НИЧЕЙ for the process that runs the script",
    ];
    let run = run_script(folder.path(), text, &[]);
    run.expect(2, &parts);
    assert_eq!(run.err.matches("is not set").count(), 2, "{run}");
    let run = dajet_with(
        folder.path(),
        &["check", "script.djs"],
        &[("БРОКЕР_НИЧЕИ", "x")],
    );
    let near = "Did you mean \"БРОКЕР_НИЧЕИ\"?";
    run.expect(
        0,
        &["warning[W019]", "script.djs:2:7", "script.djs:5:18", near],
    );
    let json = dajet(folder.path(), &["check", "script.djs", "--json"]);
    assert_eq!(json.out.matches("W019").count(), 2, "{json}");
}

#[test]
fn ordering_by_a_column_that_may_be_null_works_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::make(
        folder.path(),
        "outbox.db",
        "CREATE TABLE outbox (id INTEGER PRIMARY KEY, body TEXT);
         INSERT INTO outbox VALUES (1, 'б'), (2, NULL), (3, 'а')",
    );
    let text = "DECLARE @order object\nUSE 'sqlite://outbox.db'\nCONSUME TOP 2 id, body INTO @order FROM outbox ORDER BY body\n\
                PRINT @order.id\nEND\n";
    let run = run_script(folder.path(), text, &[]);
    run.expect(0, &["body", "NULL"]);
    assert_eq!(run.out, "2\n3\n1\n", "{run}");
}

#[test]
fn an_unreachable_server_is_tried_again_until_the_run_gives_up() {
    let folder = tempfile::tempdir().unwrap();
    let text = "DECLARE @x object\nUSE 'pgsql://user:geheim@127.0.0.1:1/db'\nCONSUME TOP 10 id INTO @x FROM t\nEND\n";
    let run = run_script(folder.path(), text, &[]);
    run.expect(
        1,
        &["error[E_DB]", "script.djs:3:1", "127.0.0.1:1", "gave up"],
    );
    assert!(
        !run.err.contains("geheim") && !run.out.contains("geheim"),
        "{run}"
    );
    assert!(!run.err.contains(" 0 retries"), "{run}");
}

#[test]
fn a_wrong_password_is_reported_and_never_shown() {
    let database = Database::create("password", "CREATE TABLE t (id bigint PRIMARY KEY)");
    let folder = tempfile::tempdir().unwrap();
    let address = database.address_as("postgres", "falsch7");
    let text =
        format!("DECLARE @x object\nUSE '{address}'\nCONSUME TOP 10 id INTO @x FROM t\nEND\n");
    let run = run_script(folder.path(), &text, &["--set", "LogLevel=debug"]);
    run.expect(
        1,
        &["error[E_DB]", "password authentication failed", "28P01"],
    );
    assert!(
        !run.err.contains("falsch7") && !run.out.contains("falsch7"),
        "{run}"
    );
}

#[test]
fn no_command_shows_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let text = "DECLARE @x object\nUSE 'pgsql://user:geheim@127.0.0.1:1/db'\nCONSUME TOP 10 id INTO @x FROM t ORDER BY id\n\
                PRODUCE 'kafka' WITH BootstrapServers = 'x:1', sasl.password = 'geheim' SELECT Topic = 't', Vale = @y\nEND\n";
    fs::write(folder.path().join("wrong.djs"), text).unwrap();
    fs::write(
        folder.path().join("right.djs"),
        text.replace("Vale = @y", "Value = @x.id"),
    )
    .unwrap();
    for args in [
        &["check", "wrong.djs"] as &[&str],
        &["check", "wrong.djs", "--json"],
        &["check", "--connect", "right.djs"],
        &["explain", "right.djs"],
        &["explain", "right.djs", "--mermaid"],
        &["explain", "right.djs", "--sql"],
        &[
            "run",
            "right.djs",
            "--until-idle",
            "--set",
            "GiveUpAfter=0.1",
            "--set",
            "LogLevel=trace",
        ],
    ] {
        let run = dajet(folder.path(), args);
        assert!(
            !run.out.contains("geheim") && !run.err.contains("geheim"),
            "{args:?}\n{run}"
        );
    }
}

#[test]
fn a_missing_topic_is_reported_within_five_seconds() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::outbox(folder.path(), 3);
    let text = format!(
        "DECLARE @order object\nUSE 'sqlite://outbox.db'\nCONSUME TOP 10 id, body INTO @order FROM outbox ORDER BY id\n\
         PRODUCE 'kafka' WITH BootstrapServers = '{}' SELECT Topic = 'нет-topic', Value = @order.body\nEND\n",
        brokers()
    )
    .replace("нет-topic", "it-no-such-topic");
    let started = std::time::Instant::now();
    let run = run_script(folder.path(), &text, &["--set", "MaxAttempts=1"]);
    assert!(
        started.elapsed().as_secs_f64() < 6.0,
        "{:?}\n{run}",
        started.elapsed()
    );
    run.expect(1, &["it-no-such-topic", "script.djs:4:1"]);
    assert_eq!(
        sqlite::column(folder.path(), "outbox.db", "SELECT count(*) FROM outbox"),
        ["3"]
    );
}

#[test]
fn a_row_that_the_file_of_the_queue_refuses_at_the_commit_is_named() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::make(
        folder.path(),
        "outbox.db",
        "CREATE TABLE outbox (id INTEGER PRIMARY KEY, body TEXT);
         CREATE TABLE archive (id INTEGER PRIMARY KEY, body TEXT CHECK (body <> 'б'));
         INSERT INTO outbox VALUES (7, 'а'), (8, 'б'), (9, 'в')",
    );
    let text = "DECLARE @m object\nUSE 'sqlite://outbox.db'\nCONSUME TOP 5 id, body INTO @m FROM outbox ORDER BY id\n\
                INSERT archive SELECT id = @m.id, body = @m.body\nEND\n";
    let run = run_script(folder.path(), text, &[]);
    run.expect(
        1,
        &[
            "cannot insert into table \"archive\"",
            "at the row id = 8",
            "script.djs:4",
        ],
    );
    let left = sqlite::column(folder.path(), "outbox.db", "SELECT count(*) FROM outbox");
    assert_eq!(left, ["3"]);
}

#[test]
fn a_value_that_the_column_cannot_hold_names_its_row() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::outbox(folder.path(), 0);
    sqlite::make(
        folder.path(),
        "outbox.db",
        "INSERT INTO outbox VALUES (1, 'abc'), (2, 'слишком длинно'), (3, 'def')",
    );
    let database = Database::create(
        "refused",
        "CREATE TABLE orders (id bigint, body varchar(5))",
    );
    let text = COPY.replace("sqlite://orders.db", &database.address());
    let run = run_script(folder.path(), &text, &[]);
    run.expect(1, &["error[E_DB]", "script.djs:5", "22001", "gave up"]);
    assert!(
        run.err.contains("id = 2") || run.err.contains("id=2"),
        "{run}"
    );
    assert_eq!(
        sqlite::column(folder.path(), "outbox.db", "SELECT count(*) FROM outbox"),
        ["3"]
    );
    assert!(database.column("SELECT id FROM orders").is_empty());
}

#[test]
fn a_wrong_address_is_found_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    for (text, parts) in [
        (
            "DECLARE @x object\nUSE 'pgsql://u:pw@h/d?mapp=x'\nSELECT a INTO @x FROM t\nEND\n",
            [
                "error[E_URI]",
                "unknown parameter \"mapp\"",
                "script.djs:2:5",
            ],
        ),
        (
            "PRODUCE 'amqps://u:pw@x:99999/' SELECT RoutingKey = 'q', Body = 'a'\n",
            ["error[E_URI]", "the port is no number", "script.djs:1:9"],
        ),
        (
            "DECLARE @x object\nUSE 'mssql://u:pw@h/d'\nSELECT a INTO @x FROM t\nEND\n",
            [
                "error[E_UNSUPPORTED]",
                "\"mssql\" are not supported yet",
                "script.djs:2:5",
            ],
        ),
    ] {
        run_script(folder.path(), text, &[]).expect(3, &parts);
    }
}

#[test]
fn a_log_of_json_has_nothing_else_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = "DECLARE @a integer = 1\nDECLARE @a integer\n";
    std::fs::write(folder.path().join("плохой.djs"), text).unwrap();
    std::fs::write(folder.path().join("сбой.djs"), "THROW 'нет'\n").unwrap();
    let run = dajet(folder.path(), &["run", ".", "--set", "LogFormat=json"]);
    run.expect(3, &["нет", "E_BIND", "\"place\":\"2:9\""]);
    for line in run.err.lines() {
        assert!(line.starts_with('{') && line.ends_with('}'), "{run}");
    }
}
