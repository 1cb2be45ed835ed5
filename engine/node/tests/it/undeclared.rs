//! Columns of SQLite without a declared type: values are kept, found and sent on as they are.

use super::node::{dajet, run_script};
use super::sqlite;

const QUEUE: &str = "CREATE TABLE Очередь (Номер, Вид, Данные, Сумма, Ключ);
    INSERT INTO Очередь VALUES (3, 1, 'три', 1.5, '007'), (1, 1, x'00ff', 100, '7'), (2, 2, 'два', 2.5, 'б'),
        ('4', 1, NULL, '12345678901234567.89', 7), (10, '1', 'нет', 0, 0);
    CREATE TABLE Виды (Вид, Имя);
    INSERT INTO Виды VALUES ('1', 'текст'), (1, 'число'), (2, 'другое')";

const TARGETS: &str = "CREATE TABLE Как_есть (Номер, Вид, Данные, Сумма, Ключ, Имя);
    CREATE TABLE Строгая (Номер ANY, Ключ ANY, Удвоено ANY) STRICT;
    CREATE TABLE Объявлено (Номер INTEGER, Данные TEXT, Сумма DECIMAL_TEXT, Ключ TEXT)";

const SCRIPT: &str = "DECLARE @m object
DECLARE @kind object
DECLARE @one integer = 1
USE 'sqlite://очередь.db'
CONSUME TOP 2 Номер, Вид, Данные, Сумма, Ключ INTO @m FROM Очередь WHERE Вид = 1 OR Вид IN (2, 3) ORDER BY Номер
SELECT Имя INTO @kind FROM Виды WHERE Вид = @m.Вид
USE 'sqlite://цели.db'
   INSERT Как_есть SELECT Номер = @m.Номер, Вид = @m.Вид, Данные = @m.Данные, Сумма = @m.Сумма, Ключ = @m.Ключ
        , Имя = @kind.Имя
   INSERT Строгая SELECT Номер = @m.Номер, Ключ = @m.Ключ, Удвоено = 0.25
   INSERT Строгая SELECT Номер = Номер * 2, Ключ = Ключ, Удвоено = Номер * 0.5 FROM Как_есть
    WHERE Номер = @m.Номер AND Вид = @one
   IF @m.Номер <> 1 THEN
      INSERT Объявлено SELECT Номер = @m.Номер, Данные = @m.Данные, Сумма = @m.Сумма, Ключ = @m.Ключ
   END
END
END
";

/// The values of rows with their types.
fn typed(names: &[&str]) -> String {
    let one = |name: &&str| format!("coalesce(typeof({name}) || ' ' || quote({name}), '')");
    names
        .iter()
        .map(one)
        .collect::<Vec<_>>()
        .join(" || ', ' || ")
}

#[test]
fn values_pass_through_undeclared_columns_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::make(folder.path(), "очередь.db", QUEUE);
    sqlite::make(folder.path(), "цели.db", TARGETS);
    run_script(folder.path(), SCRIPT, &[]).expect(0, &["ended, 4 records"]);
    let ask = |query: &str| sqlite::column(folder.path(), "цели.db", query);
    let all = typed(&["Номер", "Вид", "Данные", "Сумма", "Ключ", "Имя"]);
    assert_eq!(
        ask(&format!("SELECT {all} FROM Как_есть ORDER BY rowid")),
        [
            "integer 1, integer 1, blob X'00FF', integer 100, text '7', text 'число'",
            "integer 2, integer 2, text 'два', real 2.5, text 'б', text 'другое'",
            "integer 3, integer 1, text 'три', real 1.5, text '007', text 'число'",
            "text '4', integer 1, null NULL, text '12345678901234567.89', integer 7, text 'число'",
        ]
    );
    let strict = typed(&["Номер", "Ключ", "Удвоено"]);
    assert_eq!(
        ask(&format!(
            "SELECT {strict} FROM Строгая ORDER BY Номер, Удвоено"
        )),
        [
            "integer 1, text '7', real 0.25",
            "integer 2, text 'б', real 0.25",
            "integer 2, text '7', real 0.5",
            "integer 3, text '007', real 0.25",
            "integer 6, text '007', real 1.5",
            "integer 8, integer 7, integer 2",
            "text '4', integer 7, real 0.25",
        ]
    );
    assert_eq!(
        ask(
            "SELECT Номер || ' ' || coalesce(Данные, '') || ' ' || Сумма || ' ' || Ключ FROM Объявлено ORDER BY Номер"
        ),
        ["2 два 2.5 б", "3 три 1.5 007", "4  12345678901234567.89 7"]
    );
    let left = sqlite::column(folder.path(), "очередь.db", "SELECT Номер FROM Очередь");
    assert_eq!(left, ["10"]);
}

#[test]
fn look_ups_tell_numbers_and_texts_apart() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::make(
        folder.path(),
        "база.db",
        "CREATE TABLE Виды (Вид, Имя);
         INSERT INTO Виды VALUES ('1', 'текст'), (1, 'число'), (1.5, 'дробь');
         CREATE VIEW Вид_один AS SELECT 1 AS Вид, 'вид' AS Имя",
    );
    let script = "DECLARE @text string = '1'
DECLARE @number integer = 1
DECLARE @decimal decimal = 1.0
DECLARE @half decimal = 1.50
DECLARE @a string
USE 'sqlite://база.db'
SET @a = SELECT Имя FROM Виды WHERE Вид = @text
PRINT 'а ' + @a
SET @a = SELECT Имя FROM Виды WHERE Вид = @number
PRINT 'б ' + @a
SET @a = SELECT Имя FROM Виды WHERE Вид IN (@decimal)
PRINT 'в ' + @a
SET @a = SELECT Имя FROM Виды WHERE Вид = @half
PRINT 'г ' + @a
SET @a = SELECT Имя FROM Виды WHERE Вид = 1
PRINT 'д ' + @a
SET @a = SELECT Имя FROM Виды WHERE Вид = '1'
PRINT 'е ' + @a
SET @a = SELECT Имя FROM Виды WHERE Вид = 1.5
PRINT 'ж ' + @a
SET @a = SELECT Имя FROM Вид_один WHERE Вид = @number
PRINT 'з ' + @a
SET @a = SELECT Имя FROM Виды WHERE Вид IN (SELECT Вид FROM Вид_один)
PRINT 'и ' + @a
END
";
    let run = run_script(folder.path(), script, &[]);
    run.expect(0, &[]);
    let expected = [
        "а текст",
        "б число",
        "в число",
        "г дробь",
        "д число",
        "е текст",
        "ж дробь",
        "з вид",
        "и число",
    ];
    assert_eq!(run.out.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_mapping_file_tells_of_undeclared_columns() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::make(
        folder.path(),
        "база.db",
        "CREATE TABLE Виды (Вид, Имя TEXT)",
    );
    let told = dajet(
        folder.path(),
        &["schema", "sqlite://база.db", "Виды", "--format", "tsv"],
    );
    assert!(
        told.out
            .contains("Виды.Вид\tВиды\tВид\tsql_variant\tany\t0"),
        "{told}"
    );
    std::fs::write(folder.path().join("карта.tsv"), &told.out).unwrap();
    let script = "USE 'sqlite://база.db?map=карта.tsv'
INSERT Виды SELECT Вид = 1, Имя = 1
INSERT Виды SELECT Имя = 2
END
";
    run_script(folder.path(), script, &[]).expect(0, &[]);
    let stored = "SELECT typeof(Вид) || typeof(Имя) FROM Виды";
    let stored = sqlite::column(folder.path(), "база.db", stored);
    assert_eq!(stored, ["integertext", "nulltext"]);
}

#[test]
fn numbers_with_a_point_find_numbers_and_no_texts() {
    let folder = tempfile::tempdir().unwrap();
    let tables = "CREATE TABLE источник (id INTEGER PRIMARY KEY, v);
        INSERT INTO источник(v) VALUES (1.5), ('1.50'), (5), ('5'), ('12345678901234567.89'), (NULL);
        CREATE VIEW вид AS SELECT id, v FROM источник;
        CREATE TABLE найдено (условие TEXT, id INTEGER)";
    sqlite::make(folder.path(), "file.db", tables);
    let conditions = [
        ("v = 1.5", "1"),
        ("v = 1.50", "1"),
        ("5.0 = v", "3"),
        ("v IN (1.5, 5)", "1,3"),
        ("v = 12345678901234567.89", "5"),
        ("v >= 1.2 AND v <= 1.7", "1"),
        ("v <> 1.5 AND v < 100.5", "3"),
    ];
    let found: String = conditions
        .iter()
        .map(|(condition, _)| {
            let of = |table| format!("INSERT найдено SELECT условие = '{condition}', id = s.id FROM {table} AS s WHERE {condition}\n");
            [of("источник"), of("вид")].concat()
        })
        .collect();
    run_script(
        folder.path(),
        &format!("USE 'sqlite://file.db'\n{found}END"),
        &[],
    )
    .expect(0, &[]);
    for (condition, ids) in conditions {
        let query = format!(
            "SELECT group_concat(id ORDER BY id) FROM (SELECT id FROM найдено WHERE условие = '{condition}' GROUP BY id HAVING count(*) = 2)"
        );
        assert_eq!(
            sqlite::column(folder.path(), "file.db", &query),
            [ids],
            "{condition}"
        );
    }
}
