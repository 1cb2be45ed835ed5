//! What a database cannot express is refused alike by `check --connect`, `explain --sql` and a run, at its place.

use std::fs;

use dajet_adapters::testing::infobase::Infobase;

use super::node::{dajet, dajet_with, run_script};
use super::servers::Database;

const GOODS: &str = "Справочник.Номенклатура";

/// Every command refuses the statement on the fourth line, at this place of it.
#[track_caller]
fn refused(database: &Database, statement: &str, place: &str, parts: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!(
        "DECLARE @o object\nDECLARE @x entity\nUSE '{}'\n{statement}\nEND",
        database.address()
    );
    fs::write(folder.path().join("s.djs"), &script).expect("a file");
    let column = statement[..statement.find(place).expect("it is there")]
        .chars()
        .count();
    let place = format!("s.djs:4:{}", column + 1);
    for args in [
        &["check", "--connect", "s.djs"] as &[&str],
        &["explain", "--sql", "s.djs"],
        &["run", "s.djs"],
    ] {
        let run = dajet(folder.path(), args);
        run.expect(3, parts).expect(3, &[&place]);
    }
}

#[test]
fn a_column_of_several_types_is_refused_where_it_cannot_stand() {
    let database = Database::create("refusals", &Infobase::new(1).sql());
    let code = "error[E_UNSUPPORTED]";
    let several = "column \"Источник\" of several parts cannot stand in an expression";
    for (statement, place, parts) in [
        (
            format!("SELECT Код INTO @o FROM {GOODS} WHERE Источник > 5"),
            "Источник",
            [code, several],
        ),
        (
            format!("SELECT a = Источник * 2 INTO @o FROM {GOODS}"),
            "Источник",
            [code, several],
        ),
        (
            format!("SELECT a = MAX(Источник) INTO @o FROM {GOODS}"),
            "Источник",
            [code, "MAX takes no column of several types"],
        ),
        (
            format!("SELECT Код INTO @o FROM {GOODS} WHERE Источник = NEWUUID()"),
            "Источник",
            [code, "compared with an expression"],
        ),
        (
            format!(
                "SELECT a = CAST(Источник AS uuid), b = CAST(Источник AS binary) INTO @o FROM {GOODS}"
            ),
            "Источник AS binary",
            ["error[E_TYPE]", "never holds this type"],
        ),
        (
            format!("INSERT {GOODS} SELECT Ссылка = NEWUUID(), Код = n.Источник FROM {GOODS} AS n"),
            "n.Источник",
            [code, several],
        ),
        (
            format!(
                "INSERT {GOODS} SELECT Ссылка = NEWUUID(), Источник = NEWUUID() FROM {GOODS} AS n"
            ),
            "NEWUUID() FROM",
            [code, "cannot take an expression of this type"],
        ),
    ] {
        refused(&database, &statement, place, &parts);
    }
}

#[test]
fn references_of_different_kinds_take_no_turns_as_one_value() {
    let database = Database::create("mixed_kinds", &Infobase::new(1).sql());
    let parts = [
        "error[E_UNSUPPORTED]",
        "references of different kinds take turns as one value",
    ];
    for (statement, place) in [
        (
            "SELECT a = Ссылка INTO @o FROM Справочник.Контрагенты UNION ALL SELECT n.Ссылка FROM Справочник.Номенклатура AS n",
            "n.Ссылка",
        ),
        (
            "SELECT a = ISNULL(Поставщик, n.Ссылка) INTO @o FROM Справочник.Номенклатура AS n",
            "n.Ссылка",
        ),
        (
            "SELECT a = CASE WHEN Код = '1' THEN n.Ссылка ELSE Поставщик END INTO @o FROM Справочник.Номенклатура AS n",
            "Поставщик",
        ),
        (
            "SELECT Код INTO @o FROM Справочник.Номенклатура WHERE CASE WHEN Вес > 5 THEN СтавкаНДС ELSE Справочник.Номенклатура.Доставка END = @x",
            "Справочник.Номенклатура.Доставка",
        ),
    ] {
        refused(&database, statement, place, &parts);
    }
}

#[test]
fn a_statement_behind_a_source_that_cannot_be_prepared_ends_the_script() {
    let database = Database::create("refused_behind", &Infobase::new(1).sql());
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!(
        "DECLARE @o object\nDECLARE @n object\nUSE '{}'\nINSERT РегистрСведений.ИсходящиеСообщения SELECT НомерСообщения = 1\nCONSUME TOP 10 НомерСообщения INTO @o \
         FROM РегистрСведений.ИсходящиеСообщения ORDER BY НомерСообщения\n\
         SELECT Код INTO @n FROM {GOODS} WHERE Источник < @o.НомерСообщения\nEND",
        database.address()
    );
    let run = run_script(folder.path(), &script, &[]);
    run.expect(3, &["error[E_UNSUPPORTED]", "script.djs:6:", "failed"]);
}

#[test]
fn nothing_is_written_before_all_the_names_are_known() {
    let infobase = Infobase::new(4);
    let database = Database::create("names_first", &infobase.sql());
    let folder = tempfile::tempdir().expect("a folder");
    let count = || database.column(&infobase.physical(&format!("SELECT count(*) FROM [{GOODS}]")));
    let before = count();
    for (behind, parts) in [
        (
            format!("SELECT Кот INTO @o FROM {GOODS}"),
            ["unknown column \"Кот\"", "Did you mean \"Код\"?"],
        ),
        (
            "PRINT Перечисление.СтавкиНДС.НДС17".to_owned(),
            ["unknown name \"Перечисление.СтавкиНДС.НДС17\"", "help"],
        ),
        (
            format!(
                "IF @o IS NULL THEN SELECT Кот INTO @o FROM {GOODS} END SELECT Вез INTO @o FROM {GOODS}"
            ),
            ["\"Кот\"", "\"Вез\""],
        ),
    ] {
        let script = format!(
            "DECLARE @o object\nUSE '{}'\nINSERT {GOODS} SELECT Ссылка = NEWUUID(), Код = 'рано'\n{behind}\nEND",
            database.address()
        );
        let run = run_script(folder.path(), &script, &[]);
        run.expect(3, &parts)
            .expect(3, &["error[E_BIND]", "script.djs:4:"]);
        assert_eq!(count(), before, "{run}");
    }
}

#[test]
fn a_database_that_cannot_express_a_statement_is_found_before_it_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    super::sqlite::make(
        folder.path(),
        "q.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE VIEW v AS SELECT id FROM t",
    );
    let script = "DECLARE @o object\nUSE 'sqlite://q.db'\nCONSUME TOP 5 id INTO @o FROM v ORDER BY id\nPRINT @o.id\nEND\n";
    let run = run_script(folder.path(), script, &[]);
    run.expect(
        3,
        &["error[E_UNSUPPORTED]", "script.djs:3:1", "it is a view"],
    );
    let check = dajet(folder.path(), &["check", "--connect", "script.djs"]);
    check.expect(
        3,
        &["error[E_UNSUPPORTED]", "script.djs:3:1", "it is a view"],
    );
}

#[test]
fn an_address_of_the_environment_is_checked_too() {
    let database = Database::create("environment", "CREATE TABLE t (id bigint PRIMARY KEY)");
    let folder = tempfile::tempdir().expect("a folder");
    let script = "DECLARE @o object\nUSE '{$QUEUE}'\nSELECT нет INTO @o FROM t\nEND\n";
    fs::write(folder.path().join("s.djs"), script).expect("a file");
    let address = database.address();
    let variables = [("QUEUE", address.as_str())];
    for args in [
        &["check", "--connect", "s.djs"] as &[&str],
        &["explain", "--sql", "s.djs"],
    ] {
        let run = dajet_with(folder.path(), args, &variables);
        run.expect(3, &["error[E_BIND]", "s.djs:3:8", "\"нет\""]);
    }
    dajet(folder.path(), &["check", "--connect", "s.djs"]).expect(2, &["\"QUEUE\" is not set"]);
    dajet(folder.path(), &["check", "s.djs"]).expect(0, &["warning[W019]", "s.djs:2:7"]);
}

#[test]
fn what_a_database_computes_goes_into_a_column_of_several_types() {
    let database = Database::create("computed_unions", &Infobase::new(1).sql());
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!(
        "DECLARE @t array
         USE '{}'
           INSERT {GOODS} SELECT Ссылка = NEWUUID(), Код = 'В-1', Вес = 2
           INSERT {GOODS} SELECT Ссылка = NEWUUID(), Код = 'В-2', Источник = LTRIM(RTRIM(n.Код)) + '!' FROM {GOODS} AS n WHERE n.Код LIKE 'В-1%'
           INSERT {GOODS} SELECT Ссылка = NEWUUID(), Код = 'В-3', Источник = n.Вес * 2 FROM {GOODS} AS n WHERE n.Код LIKE 'В-1%'
           INSERT {GOODS} SELECT Ссылка = NEWUUID(), Код = 'В-4', Источник = CASE WHEN n.Вес > 5 THEN n.Код END FROM {GOODS} AS n WHERE n.Код LIKE 'В-1%'
           SELECT Вид = TYPEOF(Источник), s = CAST(Источник AS string), n = CAST(Источник AS number) INTO @t
           FROM {GOODS} WHERE Код LIKE 'В-%' AND NOT Код LIKE 'В-1%' ORDER BY Код
           PRINT JSON(@t)
         END",
        database.address()
    );
    let run = run_script(folder.path(), &script, &[]);
    run.expect(0, &[]);
    let expected = r#"[{"Вид":5,"s":"В-1!","n":0.00},{"Вид":3,"s":"4.00","n":4.00},{"Вид":1,"s":null,"n":0.00}]"#;
    assert_eq!(run.out.trim(), expected, "{run}");
}

#[test]
fn what_1c_stores_by_itself_is_stored_where_nothing_is_named() {
    let infobase = Infobase::new(3).with_year_offset(2000);
    let database = Database::create("customs", &infobase.sql());
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!(
        "DECLARE @когда datetime = NOW()
         USE '{}'
           DECLARE @узел entity = ENTITY('ПланОбмена.ПланОбменаРИБ', '643c479d-cacf-4048-11f0-2426af738206')
           INSERT Справочник.Номенклатура.Изменения SELECT УзелОбмена = @узел, Ссылка = NEWUUID()
           INSERT РегистрСведений.ЦеныНоменклатуры.Изменения SELECT УзелОбмена = @узел, Период = NOW()
           INSERT Константа.Порог SELECT Значение = 5
           INSERT {GOODS} SELECT Ссылка = NEWUUID(), Код = 'С-1', ДатаСоздания = NOW(), Источник = NOW()
           INSERT {GOODS} SELECT Ссылка = NEWUUID(), Код = 'С-2', ДатаСоздания = @когда, Источник = @когда
           INSERT {GOODS} SELECT Ссылка = NEWUUID(), Код = 'С-3', ДатаСоздания = NOW(), Источник = UTC() FROM {GOODS} AS n WHERE n.Код LIKE 'С-1%'
         END",
        database.address()
    );
    let column = |sql: &str| database.column(&infobase.physical(sql));
    let changes = "Справочник.Номенклатура.Изменения";
    let numbers = || {
        column(&format!(
            "SELECT concat_ws('/', count(*), count([{changes}.НомерСообщения])) FROM [{changes}]"
        ))
    };
    let before = numbers().remove(0);
    run_script(folder.path(), &script, &[]).expect(0, &[]);
    let (all, numbered) = before.split_once('/').expect("two numbers");
    let all = all.parse::<u32>().expect("a number") + 1;
    assert_eq!(numbers(), [format!("{all}/{numbered}")]);
    let prices = "РегистрСведений.ЦеныНоменклатуры.Изменения";
    let registered = column(&format!(
        "SELECT concat_ws('/', [{prices}.Номенклатура] IS NULL, [{prices}.НомерСообщения] IS NULL, \
         [{prices}.Период] = date_trunc('second', [{prices}.Период])) \
         FROM [{prices}] WHERE [{prices}.Период] > '4025-01-01'"
    ));
    assert_eq!(registered, ["t/t/t"]);
    let key = column("SELECT encode([Константа.Порог.RecordKey], 'hex') FROM [Константа.Порог]");
    assert_eq!(key.last().map(String::as_str), Some("31"));
    let dates = infobase.physical(&format!("[{GOODS}.Источник]"));
    let date = dates
        .split(',')
        .find(|name| name.trim_end_matches('"').to_lowercase().ends_with("_t"))
        .expect("a date");
    let whole = column(&format!(
        "SELECT count(*) FROM [{GOODS}] WHERE [{GOODS}.Код] LIKE 'С-%' \
         AND [{GOODS}.ДатаСоздания] = date_trunc('second', [{GOODS}.ДатаСоздания]) \
         AND {date} = date_trunc('second', {date}) AND {date} > '4000-01-01'"
    ));
    assert_eq!(whole, ["3"]);
}

#[test]
fn a_mapping_file_that_is_missing_or_wrong_is_found_without_a_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let select = "SELECT id INTO @o FROM t";
    let script = format!(
        "DECLARE @o object
USE 'pgsql://u:w@127.0.0.1:1/db?map=нет.tsv' {select} {select} END
USE 'sqlite://db.db?map=карта.tsv' {select} END
USE 'sqlite://db.db?map={{$MAP}}' {select} END
"
    );
    fs::write(folder.path().join("s.djs"), script).expect("a file");
    fs::write(
        folder.path().join("карта.tsv"),
        "Справочник.Товары\tтовары\n",
    )
    .expect("a file");
    let variables = [("MAP", "другой.tsv")];
    let run = dajet_with(folder.path(), &["check", "s.djs"], &variables);
    run.expect(
        3,
        &[
            "error[E_FILE]: cannot read mapping file \"нет.tsv\"",
            "s.djs:2:5",
            "карта.tsv\", line 1",
            "s.djs:3:5",
            "другой.tsv",
            "s.djs:4:5",
        ],
    );
    assert_eq!(run.err.matches("нет.tsv\"").count(), 1, "{run}");
    let run = dajet(folder.path(), &["check", "--connect", "s.djs"]);
    run.expect(3, &["\"нет.tsv\"", "карта.tsv\", line 1"]);
    assert!(!run.err.contains("другой.tsv"), "{run}");
}
