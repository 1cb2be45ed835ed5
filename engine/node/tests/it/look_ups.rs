//! Look-ups of a source's records: the documents that come of them, and how often the server is asked.

use super::node::{dajet, run_script};
use super::servers::{Database, brokers, messages, topic};

/// Tables of a 1C infobase: nodes, goods, prices, and the changes of goods.
const INFOBASE: &str = "
    CREATE TABLE _node61 (_idrref bytea PRIMARY KEY, _marked boolean NOT NULL, _code varchar(9) NOT NULL);
    INSERT INTO _node61 VALUES ('\\x92a3d8bbc197aab811ed71747f0b51c2', false, 'KAFKA'),
        ('\\x92a3d8bbc197aab811ed717441e4a5f4', false, 'OLD');
    CREATE TABLE _reference36 (_idrref bytea PRIMARY KEY, _marked boolean NOT NULL, _code char(11) NOT NULL,
        _description varchar(100) NOT NULL);
    INSERT INTO _reference36 VALUES ('\\x01000000000000000000000000000001', false, '00000001', 'Гвозди'),
        ('\\x01000000000000000000000000000002', true, '00000002', 'Шурупы \"М4\"'),
        ('\\x01000000000000000000000000000003', false, '00000003', 'Болты');
    CREATE TABLE _inforg90 (_period timestamp NOT NULL, _fld91rref bytea NOT NULL, _fld93 numeric(15,2) NOT NULL);
    CREATE UNIQUE INDEX _inforg90_1 ON _inforg90 (_fld91rref, _period);
    INSERT INTO _inforg90 VALUES ('2024-02-01', '\\x01000000000000000000000000000001', 1.25),
        ('2024-01-01', '\\x01000000000000000000000000000001', 1.00), ('2024-01-01', '\\x01000000000000000000000000000002', 5.50);
    CREATE TABLE _referencechngr150 (_nodetref bytea NOT NULL, _noderref bytea NOT NULL, _messageno numeric(10,0),
        _idrref bytea NOT NULL);
    CREATE UNIQUE INDEX _referencechngr150_2 ON _referencechngr150 (_idrref, _nodetref, _noderref);
    INSERT INTO _referencechngr150 SELECT '\\x0000003d', '\\x92a3d8bbc197aab811ed71747f0b51c2', NULL, _idrref FROM _reference36;
    INSERT INTO _referencechngr150 VALUES ('\\x0000003d', '\\x92a3d8bbc197aab811ed717441e4a5f4', 3,
        '\\x01000000000000000000000000000001')";

const MAPPING: &str = "# logical name\ttable\tcolumns\tSQL Server types\tPostgreSQL types\tmain type code
ПланОбмена.ПланОбменаРИБ.Ссылка\t_Node61\t_IDRRef\tbinary(16)\tbytea\t61
ПланОбмена.ПланОбменаРИБ.ПометкаУдаления\t_Node61\t_Marked\tbinary(1)\tboolean\t61
ПланОбмена.ПланОбменаРИБ.Код\t_Node61\t_Code\tnvarchar(9)\tvarchar(9)\t61
Справочник.Номенклатура.Ссылка\t_Reference36\t_IDRRef\tbinary(16)\tbytea\t36
Справочник.Номенклатура.ПометкаУдаления\t_Reference36\t_Marked\tbinary(1)\tboolean\t36
Справочник.Номенклатура.Код\t_Reference36\t_Code\tnchar(11)\tchar(11)\t36
Справочник.Номенклатура.Наименование\t_Reference36\t_Description\tnvarchar(100)\tvarchar(100)\t36
Справочник.Номенклатура.Изменения.УзелОбмена\t_ReferenceChngR150\t_NodeTRef,_NodeRRef\tbinary(4);binary(16)\tbytea;bytea\t36
Справочник.Номенклатура.Изменения.НомерСообщения\t_ReferenceChngR150\t_MessageNo\tnumeric(10,0)\tnumeric(10,0)\t36
Справочник.Номенклатура.Изменения.Ссылка\t_ReferenceChngR150\t_IDRRef\tbinary(16)\tbytea\t36
РегистрСведений.ЦеныНоменклатуры.Период\t_InfoRg90\t_Period\tdatetime2(0)\ttimestamp without time zone\t90
РегистрСведений.ЦеныНоменклатуры.Номенклатура\t_InfoRg90\t_Fld91RRef\tbinary(16)\tbytea\t90
РегистрСведений.ЦеныНоменклатуры.Цена\t_InfoRg90\t_Fld93\tnumeric(15,2)\tnumeric(15,2)\t90
";

#[test]
fn changes_of_an_infobase_become_documents() {
    let folder = tempfile::tempdir().unwrap();
    let infobase = Database::create("documents", INFOBASE);
    std::fs::write(folder.path().join("карта.tsv"), MAPPING).unwrap();
    let topic = topic("documents");
    let script = format!(
        "DECLARE @base string = '{}?map=карта.tsv'
DECLARE @changes object
DECLARE @message object
USE '{{@base}}'
DECLARE @node entity = SELECT Ссылка FROM ПланОбмена.ПланОбменаРИБ WHERE Код = 'KAFKA' AND ПометкаУдаления = false
CONSUME TOP 1000 Ссылка INTO @changes FROM Справочник.Номенклатура.Изменения WHERE УзелОбмена = @node ORDER BY Ссылка ASC
SELECT Ссылка = UUIDOF(Ссылка), Код = LTRIM(RTRIM(Данные.Код)), Наименование = Данные.Наименование
     , ПометкаУдаления = Данные.ПометкаУдаления
  INTO @message
  FROM Справочник.Номенклатура AS Данные
APPEND (SELECT Период, Цена FROM РегистрСведений.ЦеныНоменклатуры
         WHERE Номенклатура = @changes.Ссылка ORDER BY Период DESC) AS Цены
 WHERE Данные.Ссылка = @changes.Ссылка
PRODUCE 'kafka' WITH BootstrapServers = '{}'
 SELECT Key = 'Справочник.Номенклатура', Value = DaJet.Json(@message), Topic = '{topic}'",
        infobase.address(),
        brokers()
    );
    run_script(folder.path(), &script, &[]).expect(0, &["ended, 3 records"]);
    let documents: Vec<_> = messages(&topic, 3)
        .into_iter()
        .map(|(_, value)| value.unwrap())
        .collect();
    assert_eq!(
        documents,
        [
            r#"{"Ссылка":"00000001-0000-0000-0000-000000000001","Код":"00000001","Наименование":"Гвозди","ПометкаУдаления":false,"Цены":[{"Период":"2024-02-01T00:00:00","Цена":1.25},{"Период":"2024-01-01T00:00:00","Цена":1.00}]}"#,
            r#"{"Ссылка":"00000001-0000-0000-0000-000000000002","Код":"00000002","Наименование":"Шурупы \"М4\"","ПометкаУдаления":true,"Цены":[{"Период":"2024-01-01T00:00:00","Цена":5.50}]}"#,
            r#"{"Ссылка":"00000001-0000-0000-0000-000000000003","Код":"00000003","Наименование":"Болты","ПометкаУдаления":false,"Цены":[]}"#,
        ]
    );
    let left = infobase.column("SELECT _messageno FROM _referencechngr150");
    assert_eq!(left, ["3"]);
    let explained = dajet(folder.path(), &["explain", "script.djs"]);
    let once = "once for all the records of a batch";
    assert_eq!(explained.out.matches(once).count(), 2, "{explained}");
}

/// A row of this view shows when the statement arrived that reads it: as many different times, as many statements.
const STAMPED: &str = "CREATE TABLE queue (id integer PRIMARY KEY, name varchar(20));
    INSERT INTO queue SELECT n, 'имя ' || n % 7 FROM generate_series(1, 2000) n;
    CREATE TABLE goods (id integer PRIMARY KEY, price numeric(9, 2));
    INSERT INTO goods SELECT n, n FROM generate_series(1, 2000) n WHERE n % 5 > 0;
    CREATE VIEW stamped AS SELECT id, price, CAST(statement_timestamp() AS text) AS at FROM goods;
    CREATE TABLE found (id integer, price numeric(9, 2), at text, seen text, number bigserial)";

fn look_ups(address: &str, extra: &str) -> String {
    format!(
        "DECLARE @m object
DECLARE @good object
DECLARE @n integer = 0
USE '{address}'
CONSUME TOP 1000 id, name INTO @m FROM queue ORDER BY id ASC
{extra}
SELECT price, at INTO @good FROM stamped APPEND object (SELECT TOP 1 at FROM stamped WHERE id <= @m.id ORDER BY id DESC) AS last
 WHERE id = @m.id
INSERT found SELECT id = @m.id, price = @good.price, at = @good.at, seen = @good.last.at"
    )
}

#[test]
fn a_thousand_records_make_one_query() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create("joined", STAMPED);
    run_script(folder.path(), &look_ups(&database.address(), ""), &[])
        .expect(0, &["ended, 2000 records in 2 batches"]);
    let numbers: Vec<_> = (1..=2000).map(|n| n.to_string()).collect();
    assert_eq!(
        database.column("SELECT id FROM found ORDER BY number"),
        numbers
    );
    let wrong = "SELECT count(*) FROM found LEFT JOIN goods USING (id) WHERE found.price IS DISTINCT FROM goods.price";
    assert_eq!(database.column(wrong), ["0"]);
    assert_eq!(
        database.column("SELECT count(DISTINCT at) FROM found"),
        ["2"]
    );
    assert_eq!(
        database.column("SELECT count(DISTINCT seen) FROM found"),
        ["2"]
    );
    let explained = dajet(folder.path(), &["explain", "script.djs", "--sql"]);
    let at_once = "-- for all the records of a batch at once: parameters are arrays\n";
    for statement in ["SELECT q.*", "INSERT INTO \"found\""] {
        let shown = explained.out.contains(&format!("{at_once}{statement}"));
        assert!(shown, "no {statement} in\n{explained}");
    }
}

#[test]
fn records_that_touch_more_than_themselves_are_looked_up_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create("single", STAMPED);
    let script = look_ups(&database.address(), "SET @n = @n + 1");
    run_script(folder.path(), &script, &[]).expect(0, &["ended, 2000 records in 2 batches"]);
    assert_eq!(
        database.column("SELECT count(DISTINCT at) FROM found"),
        ["1600"]
    );
    let explained = dajet(folder.path(), &["explain", "script.djs", "--sql"]);
    assert!(!explained.out.contains("SELECT q.*"), "{explained}");
}

#[test]
fn a_look_up_that_fails_names_its_record() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create("failing", STAMPED);
    let script = look_ups(&database.address(), "").replace(
        "WHERE id = @m.id",
        "WHERE id = @m.id AND price / (@m.id - 1234) > -1",
    );
    run_script(folder.path(), &script, &[]).expect(1, &["division by zero", "id = 1234"]);
    assert_eq!(database.column("SELECT count(*) FROM found"), ["1000"]);
}
