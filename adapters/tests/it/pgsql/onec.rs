//! Tables of 1C, named by a mapping file.

use std::fs;
use std::sync::Arc;

use dajet_core::contract::Runs;
use dajet_core::query::{Binary, Body, Expr, Function, Output, Part, Statement};
use dajet_core::schema::{ColumnRole, Defaults};
use dajet_core::{DataType, Entity, ErrorClass, Read, Record, Service, Table, TableKey, Value};

use super::fixture::{
    Database, SKIPPING, WAITING, batch, column, drain, insert, insert_values, named_source, one,
    parameter, query, rooted, select, table,
};

const ONEC: &str = "
    CREATE TABLE _inforg134 (_fld135 numeric(19,0) NOT NULL, _fld138 varchar NOT NULL, _fld139 timestamp NOT NULL);
    CREATE UNIQUE INDEX _inforg134_1 ON _inforg134 (_fld135);
    CREATE TABLE _reference36 (_idrref bytea NOT NULL, _version integer NOT NULL DEFAULT 0, _fld41 numeric(15,3) NOT NULL,
        _fld46 bytea NOT NULL, _fld43rref bytea NOT NULL, _fld47_type bytea NOT NULL, _fld47_l boolean NOT NULL,
        _fld47_n numeric(10,2) NOT NULL, _fld47_t timestamp NOT NULL, _fld47_s varchar(50) NOT NULL,
        _fld47_rtref bytea NOT NULL, _fld47_rrref bytea NOT NULL);
    CREATE UNIQUE INDEX _reference36_1 ON _reference36 (_idrref);
    CREATE TABLE _referencechngr150 (_nodetref bytea NOT NULL, _noderref bytea NOT NULL, _messageno numeric(10,0), _idrref bytea NOT NULL);
    CREATE UNIQUE INDEX _referencechngr150_1 ON _referencechngr150 (_nodetref, _noderref, _messageno, _idrref);
    CREATE UNIQUE INDEX _referencechngr150_2 ON _referencechngr150 (_idrref, _nodetref, _noderref)";

const MAPPING: &str = "# logical name\ttable\tcolumns\tSQL Server types\tPostgreSQL types\tmain type code
РегистрСведений.ИсходящиеСообщения.НомерСообщения\t_InfoRg134\t_Fld135\tnumeric(19,0)\tnumeric(19,0)\t134
РегистрСведений.ИсходящиеСообщения.ТелоСообщения\t_InfoRg134\t_Fld138\tnvarchar(max)\tvarchar\t134
РегистрСведений.ИсходящиеСообщения.ОтметкаВремени\t_InfoRg134\t_Fld139\tdatetime2(0)\ttimestamp without time zone\t134
Справочник.Номенклатура.Ссылка\t_Reference36\t_IDRRef\tbinary(16)\tbytea\t36
Справочник.Номенклатура.ВерсияДанных\t_Reference36\t_Version\ttimestamp\tinteger\t36
Справочник.Номенклатура.Вес\t_Reference36\t_Fld41\tnumeric(15,3)\tnumeric(15,3)\t36
Справочник.Номенклатура.ВнешнийКод\t_Reference36\t_Fld46\tbinary(16)\tbytea\t36
Справочник.Номенклатура.ОсновнойПоставщик\t_Reference36\t_Fld43RRef\tbinary(16)\tbytea\t36
Справочник.Номенклатура.Источник\t_Reference36\t_Fld47_TYPE,_Fld47_L,_Fld47_N,_Fld47_T,_Fld47_S,_Fld47_RTRef,_Fld47_RRRef\tbinary(1);binary(1);numeric(10,2);datetime2(0);nvarchar(50);binary(4);binary(16)\tbytea;boolean;numeric(10,2);timestamp without time zone;varchar(50);bytea;bytea\t36
Справочник.Номенклатура.Изменения.УзелОбмена\t_ReferenceChngR150\t_NodeTRef,_NodeRRef\tbinary(4);binary(16)\tbytea;bytea\t36
Справочник.Номенклатура.Изменения.НомерСообщения\t_ReferenceChngR150\t_MessageNo\tnumeric(10,0)\tnumeric(10,0)\t36
Справочник.Номенклатура.Изменения.Ссылка\t_ReferenceChngR150\t_IDRRef\tbinary(16)\tbytea\t36
";

struct Infobase {
    database: Database,
    service: Arc<dyn Service>,
    folder: tempfile::TempDir,
}

async fn infobase(mapping: &str) -> Infobase {
    let database = Database::with(ONEC).await;
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("карта.tsv"), mapping).expect("a file");
    let service = database.service_with("?map=карта.tsv", rooted(folder.path().into()));
    Infobase {
        database,
        service,
        folder,
    }
}

fn entity(code: i32, uuid: &str) -> Value {
    Value::Entity(Entity {
        code,
        uuid: uuid.parse().expect("a uuid"),
    })
}

const ITEM: &str = "08ec109d-a06b-a1b1-11ee-ca472bff0a0d";
const NODE: &str = "643c479d-cacf-4048-11f0-2426af738206";

#[tokio::test]
async fn a_mapping_file_names_tables_of_1c() {
    let Infobase {
        database,
        service,
        folder: _folder,
    } = infobase(MAPPING).await;
    let queue = table(&service, "РегистрСведений.ИсходящиеСообщения").await;
    assert_eq!(
        (&*queue.physical, queue.defaults),
        (&["_inforg134".into()][..], Defaults::EmptyValue)
    );
    assert_eq!(queue.key, TableKey::Columns(vec!["_fld135".into()]));
    let items = table(&service, "справочник.номенклатура").await;
    let types: Vec<DataType> = items.columns.iter().map(|c| c.data_type).collect();
    let expected = [
        DataType::Entity(36),
        DataType::Integer,
        DataType::Decimal,
        DataType::Uuid,
        DataType::Entity(0),
        DataType::Union,
    ];
    assert_eq!(types, expected);
    let changes = table(&service, "Справочник.Номенклатура.Изменения").await;
    // an index with a column that may be NULL is no key
    assert_eq!(
        changes.key,
        TableKey::Columns(
            ["_idrref", "_nodetref", "_noderref"]
                .map(Into::into)
                .to_vec()
        )
    );
    let roles: Vec<ColumnRole> = changes.columns[0].parts.iter().map(|p| p.role).collect();
    assert_eq!(roles, [ColumnRole::TypeCode, ColumnRole::Reference]);
    assert!(changes.columns[1].nullable() && !changes.columns[2].nullable());
    let schema = service
        .describe(&["РегистрСведений.ИсходящееСообщение".into()])
        .await
        .expect("answers");
    assert_eq!(
        schema.suggestions,
        ["РегистрСведений.ИсходящиеСообщения".into()]
    );
    let queue = drain(&queue, &["НомерСообщения"], &["НомерСообщения"], 10);
    let text = service
        .text(&Statement::new(0, Body::Drain(queue)), Runs::Alone)
        .expect("a text");
    assert!(
        text.contains("FROM _inforg134 AS source ORDER BY source._fld135 ASC LIMIT 10"),
        "{text}"
    );
    database.close().await;
}

#[tokio::test]
async fn mistakes_of_a_mapping_file_are_named_by_line() {
    let Infobase {
        database,
        service,
        folder,
    } = infobase(MAPPING).await;
    for (mapping, expected) in [
        (
            MAPPING.replace("_Fld41", "_Fld99"),
            "line 7: table \"_Reference36\" has no column \"_Fld99\"",
        ),
        (
            MAPPING.replace("_Reference36", "_Reference37"),
            "line 5: the database has no table \"_Reference37\"",
        ),
        (format!("{MAPPING}x\ty"), "line 14: expected 6 fields"),
    ] {
        fs::write(folder.path().join("карта.tsv"), mapping).expect("a file");
        service.forget();
        let asked = service.describe(&["Справочник.Номенклатура".into()]).await;
        let error = asked.map(|_| ()).expect_err("a mistake");
        assert_eq!(error.class, ErrorClass::Misconfigured);
        assert!(
            error.message.contains("карта.tsv") && error.message.contains(expected),
            "{error}"
        );
    }
    database.close().await;
}

const ITEM_COLUMNS: [&str; 6] = [
    "Ссылка",
    "Вес",
    "ВнешнийКод",
    "ОсновнойПоставщик",
    "Источник",
    "ВерсияДанных",
];

fn item(number: usize) -> Value {
    entity(36, &format!("{number:08}-a06b-a1b1-11ee-ca472bff0a0d"))
}

/// One item for each kind of value that a union holds.
fn sources() -> [Value; 6] {
    [
        Value::Null,
        Value::Boolean(true),
        Value::Decimal("12.50".parse().expect("a decimal")),
        Value::DateTime("2026-01-02T03:04:05".parse().expect("a date")),
        Value::text("текст"),
        entity(52, NODE),
    ]
}

async fn insert_items(service: &Arc<dyn Service>, items: &Arc<Table>) {
    let external = Value::Uuid(ITEM.parse().expect("a uuid"));
    let records = sources().into_iter().enumerate().map(|(number, source)| {
        vec![
            item(number),
            Value::Null,
            external.clone(),
            Value::Null,
            source,
            Value::Null,
        ]
    });
    let records: Vec<Record> = records.collect();
    service
        .execute(&insert(items, &ITEM_COLUMNS), &records)
        .await
        .expect("inserts");
}

#[tokio::test]
async fn references_and_unions_go_both_ways() {
    let Infobase {
        database,
        service,
        folder: _folder,
    } = infobase(MAPPING).await;
    let items = table(&service, "Справочник.Номенклатура").await;
    insert_items(&service, &items).await;
    let mut read = query(&service, select(&items, &ITEM_COLUMNS)).await;
    read.sort_by_key(|record| record[0].to_string());
    let expected = sources().into_iter().enumerate().map(|(number, source)| {
        // NULL became the empty value of the type
        vec![
            item(number),
            Value::Decimal("0.000".parse().unwrap()),
            Value::Uuid(ITEM.parse().expect("a uuid")),
            entity(0, "00000000-0000-0000-0000-000000000000"),
            source,
            Value::Integer(0),
        ]
    });
    assert_eq!(read, expected.collect::<Vec<_>>());
    database.close().await;
}

#[tokio::test]
async fn references_and_unions_are_compared_as_a_whole() {
    let Infobase {
        database,
        service,
        folder: _folder,
    } = infobase(MAPPING).await;
    let items = table(&service, "Справочник.Номенклатура").await;
    insert_items(&service, &items).await;
    let equal = |name, index| {
        Expr::Binary(
            Binary::Equal,
            Box::new(column(&items, name)),
            Box::new(parameter(index)),
        )
    };
    let mut found = select(&items, &[]);
    let call = Expr::Call(Function::UuidOf, vec![column(&items, "Ссылка")]);
    found.columns = vec![Output {
        name: "u".into(),
        expr: call,
        data_type: None,
    }];
    found.filter = Some(Expr::Binary(
        Binary::And,
        Box::new(equal("Источник", 0)),
        Box::new(equal("Ссылка", 1)),
    ));
    let statement = Statement::new(2, Body::Select(found));
    for (number, source) in sources().into_iter().enumerate().skip(1) {
        let Value::Entity(Entity { uuid, .. }) = item(number) else {
            unreachable!()
        };
        let parameters = [vec![source.clone(), Value::Uuid(uuid)]];
        let rows = one(service
            .execute(&statement, &parameters)
            .await
            .expect("reads"));
        assert_eq!(rows, [[Value::Uuid(uuid)]], "{source:?}");
    }
    database.close().await;
}

async fn register_changes(service: &Arc<dyn Service>, changes: &Arc<Table>) {
    let whole = |index| Expr::Parameter {
        index,
        data_type: None,
        part: Part::Whole,
    };
    let other = "00000000-cacf-4048-11f0-2426af738206";
    let statement = insert_values(
        changes,
        2,
        vec![("УзелОбмена", whole(0)), ("Ссылка", whole(1))],
    );
    let records = [
        vec![entity(61, NODE), item(1)],
        vec![entity(61, other), item(1)],
        vec![entity(61, NODE), item(2)],
        vec![entity(62, NODE), item(3)],
    ];
    service
        .execute(&statement, &records)
        .await
        .expect("inserts");
}

#[tokio::test]
async fn changes_of_one_node_are_drained() {
    let Infobase {
        database,
        service,
        folder: _folder,
    } = infobase(MAPPING).await;
    let changes = table(&service, "Справочник.Номенклатура.Изменения").await;
    register_changes(&service, &changes).await;
    let mut queue = drain(
        &changes,
        &["Ссылка", "УзелОбмена", "НомерСообщения"],
        &["Ссылка"],
        10,
    );
    queue.filter = Some(Expr::Binary(
        Binary::Equal,
        Box::new(column(&changes, "УзелОбмена")),
        Box::new(parameter(0)),
    ));
    let mut source = named_source(&service, queue, "узел", 1);
    let read = source
        .read(WAITING, &[entity(61, NODE)])
        .await
        .expect("reads");
    let Read::Batch {
        records,
        keys,
        claim,
    } = read
    else {
        panic!("nothing read")
    };
    assert_eq!(
        records.rows,
        [1, 2].map(|n| vec![item(n), entity(61, NODE), Value::Null])
    );
    assert!(keys.describe(1).unwrap().contains("{36:"));
    claim.commit().await.expect("commits");
    let read = source
        .read(SKIPPING, &[entity(61, NODE)])
        .await
        .expect("reads");
    assert!(matches!(read, Read::Empty { .. }));
    assert_eq!(
        database
            .number("SELECT count(*) FROM _referencechngr150")
            .await,
        2
    );
    let mut all = named_source(
        &service,
        drain(&changes, &["Ссылка"], &["УзелОбмена", "Ссылка"], 10),
        "узел",
        0,
    );
    let (records, _, claim) = batch(&mut all, WAITING).await;
    assert_eq!(records.rows, [[item(1)], [item(3)]]);
    claim.commit().await.expect("commits");
    database.close().await;
}
