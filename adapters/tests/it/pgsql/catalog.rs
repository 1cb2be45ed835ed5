//! The catalog: plain tables, keys, and mapping files.

use std::fs;
use std::sync::Arc;

use dajet_core::query::{Binary, Body, Expr, Function, Order, Output, Part, Statement};
use dajet_core::schema::{ColumnRole, Defaults};
use dajet_core::{DataType, Entity, ErrorClass, Service, TableKey, Value};

use super::fixture::{
    Database, SKIPPING, WAITING, batch, column, drain, insert, insert_values, named_source, one,
    parameter, query, rooted, select, table,
};

#[tokio::test]
async fn knows_plain_tables_and_their_keys() {
    let sql = "CREATE TABLE \"Заказы\" (\"Номер\" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \"Сумма\" numeric(15, 2) NOT NULL,
            twice numeric GENERATED ALWAYS AS (\"Сумма\" * 2) STORED, at timestamptz);
        CREATE TABLE keyed (a int NOT NULL, b int NOT NULL, c int UNIQUE, UNIQUE (b, a));
        CREATE TABLE keyless (a int UNIQUE);
        CREATE SCHEMA \"архив\"; CREATE TABLE \"архив\".\"Заказы\" (x int)";
    let database = Database::with(sql).await;
    let service = database.service();
    let orders = table(&service, "заказы").await;
    assert_eq!(
        (orders.key.clone(), orders.defaults),
        (TableKey::Columns(vec!["Номер".into()]), Defaults::Database)
    );
    let parts: Vec<_> = orders
        .columns
        .iter()
        .map(|c| (c.data_type, c.parts[0].generated, c.parts[0].nullable))
        .collect();
    let expected = [
        (DataType::Integer, true, false),
        (DataType::Decimal, false, false),
        (DataType::Decimal, true, true),
        (DataType::DateTime, false, true),
    ];
    assert_eq!(parts, expected);
    assert_eq!(&*orders.columns[1].parts[0].type_name, "numeric(15,2)");
    assert_eq!(
        table(&service, "keyed").await.key,
        TableKey::Columns(vec!["b".into(), "a".into()])
    );
    assert_eq!(table(&service, "keyless").await.key, TableKey::RowAddress);
    assert_eq!(table(&service, "архив.Заказы").await.columns.len(), 1);
    let schema = service
        .describe(&["Закзы".into(), "keyed".into()])
        .await
        .expect("answers");
    assert!(schema.tables[0].1.is_none() && schema.tables[1].1.is_some());
    assert_eq!(schema.suggestions, ["Заказы".into()]);
    let archive =
        database.service_with("?schema=%D0%B0%D1%80%D1%85%D0%B8%D0%B2", Default::default());
    assert_eq!(table(&archive, "Заказы").await.columns.len(), 1);
    database.close().await;
}

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
    _folder: tempfile::TempDir,
}

async fn infobase(mapping: &str) -> Infobase {
    let database = Database::with(ONEC).await;
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("карта.tsv"), mapping).expect("a file");
    let service = database.service_with("?map=карта.tsv", rooted(folder.path().into()));
    Infobase {
        database,
        service,
        _folder: folder,
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
        _folder,
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
        .text(&Statement::new(0, Body::Drain(queue)))
        .expect("a text");
    assert!(
        text.contains("FROM _inforg134 AS source ORDER BY source._fld135 ASC LIMIT 10"),
        "{text}"
    );
    database.close().await;
}

#[tokio::test]
async fn mistakes_of_a_mapping_file_are_named_by_line() {
    let check = |mapping: String, expected: &'static str| async move {
        let Infobase {
            database,
            service,
            _folder,
        } = infobase(&mapping).await;
        let error = service
            .describe(&["Справочник.Номенклатура".into()])
            .await
            .map(|_| ())
            .expect_err("a mistake");
        assert_eq!(error.class, ErrorClass::Misconfigured);
        assert!(
            error.message.contains("карта.tsv") && error.message.contains(expected),
            "{error}"
        );
        database.close().await;
    };
    check(
        MAPPING.replace("_Fld41", "_Fld99"),
        "line 7: table \"_Reference36\" has no column \"_Fld99\"",
    )
    .await;
    check(
        MAPPING.replace("_Reference36", "_Reference37"),
        "line 5: the database has no table \"_Reference37\"",
    )
    .await;
    check(format!("{MAPPING}x\ty"), "line 14: expected 6 fields").await;
}

#[tokio::test]
async fn references_and_unions_go_both_ways() {
    let Infobase {
        database,
        service,
        _folder,
    } = infobase(MAPPING).await;
    let items = table(&service, "Справочник.Номенклатура").await;
    let names = [
        "Ссылка",
        "Вес",
        "ВнешнийКод",
        "ОсновнойПоставщик",
        "Источник",
        "ВерсияДанных",
    ];
    let sources = [
        Value::Null,
        Value::Boolean(true),
        Value::Decimal("12.50".parse().unwrap()),
        Value::DateTime("2026-01-02T03:04:05".parse().unwrap()),
        Value::text("текст"),
        entity(52, NODE),
    ];
    let uuid = |n: usize| format!("{:08}-a06b-a1b1-11ee-ca472bff0a0d", n);
    let records: Vec<Vec<Value>> = sources
        .iter()
        .enumerate()
        .map(|(n, source)| {
            let external = Value::Uuid(ITEM.parse().unwrap());
            vec![
                entity(36, &uuid(n)),
                Value::Null,
                external,
                Value::Null,
                source.clone(),
                Value::Null,
            ]
        })
        .collect();
    service
        .execute(&insert(&items, &names), &records)
        .await
        .expect("inserts");
    let mut all = select(&items, &names);
    all.order = vec![Order {
        expr: column(&items, "Ссылка"),
        descending: false,
    }];
    let zero = entity(0, "00000000-0000-0000-0000-000000000000");
    let mut read = query(&service, all).await;
    read.sort_by_key(|record| record[0].to_string());
    for (record, (n, source)) in read.iter().zip(sources.iter().enumerate()) {
        // NULL became the empty value of the type
        let expected = [
            entity(36, &uuid(n)),
            Value::Decimal("0.000".parse().unwrap()),
            Value::Uuid(ITEM.parse().unwrap()),
            zero.clone(),
            source.clone(),
            Value::Integer(0),
        ];
        assert_eq!(record[..], expected);
    }
    // the union is compared as a whole, a reference by its bytes, UUIDOF gives the uuid
    for (n, source) in sources.iter().enumerate().skip(1) {
        let mut found = select(&items, &[]);
        let call = Expr::Call(Function::UuidOf, vec![column(&items, "Ссылка")]);
        found.columns = vec![Output {
            name: "u".into(),
            expr: call,
            data_type: None,
        }];
        let equal = |name, index| {
            Expr::Binary(
                Binary::Equal,
                Box::new(column(&items, name)),
                Box::new(parameter(index)),
            )
        };
        found.filter = Some(Expr::Binary(
            Binary::And,
            Box::new(equal("Источник", 0)),
            Box::new(equal("Ссылка", 1)),
        ));
        let statement = Statement::new(2, Body::Select(found));
        let parameters = [vec![source.clone(), Value::Uuid(uuid(n).parse().unwrap())]];
        let rows = one(service
            .execute(&statement, &parameters)
            .await
            .expect("reads"));
        assert_eq!(
            rows,
            [[Value::Uuid(uuid(n).parse().unwrap())]],
            "{source:?}"
        );
    }
    database.close().await;
}

#[tokio::test]
async fn changes_of_one_node_are_drained() {
    let Infobase {
        database,
        service,
        _folder,
    } = infobase(MAPPING).await;
    let changes = table(&service, "Справочник.Номенклатура.Изменения").await;
    let other = "00000000-cacf-4048-11f0-2426af738206";
    let item = |n: u8| entity(36, &format!("000000{n:02}-a06b-a1b1-11ee-ca472bff0a0d"));
    let node = |index| Expr::Parameter {
        index,
        data_type: None,
        part: Part::Whole,
    };
    let values = vec![("УзелОбмена", node(0)), ("Ссылка", node(1))];
    let records = [
        vec![entity(61, NODE), item(1)],
        vec![entity(61, other), item(1)],
        vec![entity(61, NODE), item(2)],
        vec![entity(62, NODE), item(3)],
    ];
    service
        .execute(&insert_values(&changes, 2, values), &records)
        .await
        .expect("inserts");
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
    let dajet_core::Read::Batch {
        records,
        keys,
        claim,
    } = read
    else {
        panic!("nothing read")
    };
    let expected = [1, 2].map(|n| vec![item(n), entity(61, NODE), Value::Null]);
    assert_eq!(records.rows, expected);
    assert!(keys.describe(1).unwrap().contains("{36:"));
    claim.commit().await.expect("commits");
    let read = source
        .read(SKIPPING, &[entity(61, NODE)])
        .await
        .expect("reads");
    assert!(matches!(read, dajet_core::Read::Empty { .. }));
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
