//! What may be said to `dajet`, and what it answers.

use std::fs;

use super::node::{dajet, dajet_with, run_script};
use super::sqlite::{self, COPY};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn alone_it_shows_its_help() {
    let run = dajet(folder().path(), &[]);
    run.expect(0, &[]);
    for word in ["run", "check", "explain", "IdleDelay", "Exit codes"] {
        assert!(run.out.contains(word), "{run}");
    }
    dajet(folder().path(), &["--version"]).expect(0, &[]);
}

#[test]
fn wrong_calls_name_what_was_probably_meant() {
    let folder = folder();
    fs::write(
        folder.path().join("orders.djs"),
        "DECLARE @limit integer = 5\nDECLARE @dry boolean\nPRINT @limit\n",
    )
    .unwrap();
    let check = |args: &[&str], parts: &[&str]| {
        dajet(folder.path(), args).expect(2, parts);
    };
    check(
        &["run", "order.djs"],
        &[
            "cannot read script \"order.djs\"",
            "Did you mean \"orders.djs\"?",
        ],
    );
    check(
        &["run", "orders.djs", "--set", "IdelDelay=1"],
        &["unknown setting \"IdelDelay\"", "\"IdleDelay\""],
    );
    check(
        &["run", "orders.djs", "--set", "IdleDelay=soon"],
        &["must be a number of seconds"],
    );
    check(
        &["run", "orders.djs", "--param", "limits=1"],
        &["unknown parameter \"limits\"", "\"limit\""],
    );
    check(
        &["run", "orders.djs", "--param", "limit=много"],
        &["orders.djs:1:9", "\"limit\"", "integer"],
    );
    check(
        &["stream", "--file", "."],
        &["\".\" is a folder, not a script"],
    );
    check(&["explain", "."], &["is a folder"]);
    check(&["."], &["\".\" is a folder", "dajet run ."]);
    check(
        &["run", "orders.djs", "--param", "dry=maybe"],
        &["\"dry\" must be true or false"],
    );
    check(
        &["run", "orders.djs", "--set", "LogLevel=loud"],
        &["\"LogLevel\" cannot be \"loud\"", "debug"],
    );
    check(
        &["chek", "orders.djs"],
        &["unknown command or script file \"chek\"", "\"check\""],
    );
    check(&["dajet.json"], &["is a configuration, not a script"]);
    check(&["run", "orders.djs", "--until-idel"], &["--until-idle"]);
    check(
        &["run", "orders.djs", "--root", "nowhere"],
        &["root \"nowhere\" is not a folder"],
    );
    fs::create_dir(folder.path().join("empty")).unwrap();
    check(&["run", "empty"], &["holds no script"]);
}

#[test]
fn a_configuration_file_a_variable_and_an_argument_give_settings() {
    let folder = folder();
    fs::write(folder.path().join("script.djs"), "PRINT 'да'\n").unwrap();
    fs::write(folder.path().join("dajet.toml"), "LogFormat = \"json\"\n").unwrap();
    let run = dajet_with(
        folder.path(),
        &["script.djs", "--config", "dajet.toml"],
        &[("DAJET_IDEL_DELAY", "1"), ("DAJET_TEST_X", "1")],
    );
    run.expect(
        0,
        &[
            "\"level\":\"warn\"",
            "variable DAJET_IDEL_DELAY means no setting",
        ],
    );
    assert!(!run.err.contains("DAJET_TEST_X"), "{run}");
    assert_eq!(run.out, "да\n");
    fs::write(
        folder.path().join("dajet.json"),
        "{ // settings\n \"IdleDelai\": 2,\n}",
    )
    .unwrap();
    let run = dajet(
        folder.path(),
        &["run", "script.djs", "--config", "dajet.json"],
    );
    run.expect(
        2,
        &[
            "unknown setting \"IdleDelai\"",
            "Did you mean \"IdleDelay\"?",
        ],
    );
}

#[test]
fn print_and_result_go_to_standard_output_and_nothing_else_does() {
    let folder = folder();
    let text = "DECLARE @n integer = 1\nDECLARE @o object = SELECT имя = 'Гвозди', n = @n\nPRINT 'n = ' + @n\nRETURN @o\n";
    fs::write(folder.path().join("script.sql"), text).unwrap();
    let run = dajet(folder.path(), &["script.sql", "--param", "n=7", "--result"]);
    run.expect(0, &["script.sql: ended"]);
    assert_eq!(run.out, "n = 7\n{\"имя\":\"Гвозди\",\"n\":7}\n");
    let run = dajet(folder.path(), &["stream", "--file", "script.sql"]);
    assert_eq!(run.expect(0, &[]).out, "n = 1\n");
    fs::write(
        folder.path().join("values.json"),
        "{ \"n\": 8, /* число */ }",
    )
    .unwrap();
    let run = dajet(
        folder.path(),
        &["run", "script.sql", "--params", "values.json"],
    );
    assert_eq!(run.expect(0, &[]).out, "n = 8\n");
}

#[test]
fn one_broken_script_does_not_stop_the_others_and_the_highest_code_counts() {
    let folder = folder();
    fs::create_dir(folder.path().join("scripts")).unwrap();
    fs::write(folder.path().join("scripts/a.djs"), "PRINT 'a'\n").unwrap();
    fs::write(folder.path().join("scripts/b.djs"), "PRINT (\n").unwrap();
    fs::write(folder.path().join("scripts/c.djs"), "PRINT 'c'\n").unwrap();
    let run = dajet(folder.path(), &["run", "scripts"]);
    run.expect(3, &["scripts/b.djs:"]);
    let mut lines: Vec<&str> = run.out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["a", "c"]);
}

#[test]
fn check_needs_no_database_and_prints_json() {
    let folder = folder();
    fs::write(folder.path().join("good.djs"), COPY).unwrap();
    fs::write(folder.path().join("bad.djs"), "SET @х = 1\nPRINT @y\n").unwrap();
    dajet(folder.path(), &["check", "good.djs"]).expect(0, &[]);
    let run = dajet(folder.path(), &["check", ".", "--json"]);
    assert_eq!(run.code, Some(3), "{run}");
    let found: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let first = &found[0];
    assert_eq!(
        (&first["code"], &first["severity"]),
        (&"E_BIND".into(), &"error".into()),
        "{run}"
    );
    assert_eq!(
        (&first["line"], &first["column"]),
        (&1.into(), &5.into()),
        "{run}"
    );
    assert_eq!(found[1]["line"], 2, "{run}");
    assert!(
        first["file"].as_str().unwrap().ends_with("bad.djs"),
        "{run}"
    );
}

#[test]
fn check_with_connect_binds_names() {
    let folder = folder();
    sqlite::outbox(folder.path(), 1);
    fs::write(folder.path().join("good.djs"), COPY).unwrap();
    fs::write(
        folder.path().join("bad.djs"),
        COPY.replace("body = @order.body", "bodi = @order.body"),
    )
    .unwrap();
    dajet(folder.path(), &["check", "--connect", "good.djs"]).expect(0, &[]);
    let run = dajet(folder.path(), &["check", "--connect", "bad.djs"]);
    run.expect(3, &["bad.djs:5", "\"bodi\"", "\"body\""]);
    assert_eq!(
        sqlite::column(folder.path(), "outbox.db", "SELECT count(*) FROM outbox"),
        ["1"],
        "nothing ran"
    );
}

#[test]
fn explain_shows_the_graph_and_the_sql() {
    let folder = folder();
    sqlite::outbox(folder.path(), 1);
    fs::write(folder.path().join("script.djs"), COPY).unwrap();
    let run = dajet(folder.path(), &["explain", "script.djs", "--sql"]);
    run.expect(0, &[]);
    assert!(
        run.out.contains("FROM \"outbox\"")
            && run.out.contains(
                "-- prepared once, run for each record of a batch; its values stand 20 times where there are as many records\nINSERT INTO \"orders\""
            ),
        "{run}"
    );
    let run = dajet(folder.path(), &["explain", "script.djs", "--mermaid"]);
    assert!(run.expect(0, &[]).out.contains("flowchart"), "{run}");
}

#[test]
fn the_log_can_be_json() {
    let folder = folder();
    sqlite::outbox(folder.path(), 1);
    let text = COPY.replace("orders SELECT", "missing SELECT");
    let run = run_script(
        folder.path(),
        &text,
        &["--set", "LogFormat=json", "--set", "LogLevel=debug"],
    );
    assert_eq!(run.code, Some(3), "{run}");
    for line in run.err.lines().filter(|line| line.starts_with('{')) {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}
