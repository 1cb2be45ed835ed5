//! The catalog of an infobase: names are found by its own metadata.

use std::collections::BTreeSet;
use std::sync::Arc;

use dajet_adapters::testing::infobase::Infobase;
use dajet_core::query::{Binary, Body, Expr, Select, Statement};
use dajet_core::schema::{ColumnRole, Defaults, MetadataKey};
use dajet_core::{DataType, ErrorClass, Record, Schema, Service, Value};
use uuid::Uuid;

use super::fixture::*;
use crate::told::Told;

async fn describe(service: &Arc<dyn Service>, names: &[&str]) -> Schema {
    let names: Vec<Arc<str>> = names.iter().map(|name| Arc::from(*name)).collect();
    service.describe(&names).await.expect("the catalog answers")
}

async fn lines(service: &Arc<dyn Service>) -> BTreeSet<String> {
    let names = service.names().await.expect("the catalog answers");
    let lines = service.mapping(&names).await.expect("the catalog answers");
    lines.iter().map(ToString::to_string).collect()
}

fn expected(infobase: &Infobase) -> BTreeSet<String> {
    infobase
        .mapping()
        .lines()
        .skip(1)
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn every_name_is_found_whatever_the_numbers_are() {
    for seed in 1..=3 {
        let infobase = Infobase::new(seed).with_year_offset(if seed == 3 { 2000 } else { 0 });
        let database = Database::with(&infobase.sql()).await;
        let (found, expected) = (lines(&database.service()).await, expected(&infobase));
        let missing: Vec<_> = expected.difference(&found).collect();
        let strange: Vec<_> = found.difference(&expected).collect();
        assert!(
            missing.is_empty() && strange.is_empty(),
            "seed {seed}: {missing:#?} {strange:#?}"
        );
        database.close().await;
    }
}

#[tokio::test]
async fn tables_and_values_are_known_in_either_language() {
    let infobase = Infobase::new(5);
    let database = Database::with(&infobase.sql()).await;
    let service = database.service();
    let names = [
        "CATALOG.номенклатура",
        "Справочник.Номенклатура.Changes",
        "Перечисление.СтавкиНДС.ндс20",
        "Справочник.Номенклатура.Изменение",
        "Справочник.Номенклатуры",
        "config",
    ];
    let schema = describe(&service, &names).await;
    let goods = schema.table("CATALOG.номенклатура").expect("a catalog");
    let code = infobase.code("Справочник.Номенклатура");
    assert_eq!(&*goods.name, "Справочник.Номенклатура");
    assert_eq!(goods.defaults, Defaults::EmptyValue);
    let reference = goods.column("Ref").expect("an alias");
    assert_eq!(reference.data_type, DataType::Entity(code));
    assert!(goods.column("ПРЕДОПРЕДЕЛЕННЫЙ").is_some(), "е stands for ё");
    let mark = goods.column("Метка").expect("a union");
    assert_eq!(mark.data_type, DataType::Union);
    assert_eq!(
        mark.reference_code,
        infobase.code("Перечисление.СостоянияЗаказов")
    );
    let changes = schema
        .table("Справочник.Номенклатура.Changes")
        .expect("changes");
    let node = changes.column("УзелОбмена").expect("a node");
    let roles: Vec<ColumnRole> = node.parts.iter().map(|part| part.role).collect();
    assert_eq!(roles, [ColumnRole::TypeCode, ColumnRole::Reference]);
    let (name, value) = &schema.values[0];
    assert_eq!(&**name, "Перечисление.СтавкиНДС.ндс20");
    assert_eq!(value.code, infobase.code("Перечисление.СтавкиНДС"));
    let rates = table(&service, "Перечисление.СтавкиНДС").await;
    let order = Select {
        filter: Some(Expr::Binary(
            Binary::Equal,
            Box::new(column(&rates, "Ссылка")),
            Box::new(parameter(0)),
        )),
        ..select(&rates, &["Порядок"])
    };
    let statement = Statement::new(1, Body::Select(order));
    let parameters = [vec![Value::Entity(*value)]];
    let answer = service
        .execute(&statement, &parameters)
        .await
        .expect("rows");
    assert_eq!(one(answer), [vec![Value::Decimal(2.into())]]);
    assert!(schema.table("config").is_some(), "a plain table");
    let suggestions: Vec<&str> = schema.suggestions.iter().map(|name| &**name).collect();
    assert_eq!(
        suggestions,
        [
            "Справочник.Номенклатура.Изменения",
            "Справочник.Номенклатура"
        ]
    );
    database.close().await;
}

#[tokio::test]
async fn objects_are_found_by_code_and_by_name() {
    let infobase = Infobase::new(6);
    let database = Database::with(&infobase.sql()).await;
    let service = database.service();
    let code = infobase.code("Справочник.Номенклатура");
    let object = service
        .metadata(&MetadataKey::Code(code))
        .await
        .expect("the catalog answers");
    assert_eq!(
        object.map(|object| object.full_name.to_string()).as_deref(),
        Some("Справочник.Номенклатура")
    );
    let part = MetadataKey::Name("Справочник.Номенклатура.Штрихкоды".into());
    let part = service
        .metadata(&part)
        .await
        .expect("the catalog answers")
        .expect("a section");
    assert_eq!(part.owner.as_deref(), Some("Справочник.Номенклатура"));
    database.close().await;
}

/// Reads the date of a register's only row, and finds the row by it.
async fn date_both_ways(years: u32) -> (Value, usize) {
    let infobase = Infobase::new(7).with_year_offset(years);
    let database = Database::with(&infobase.sql()).await;
    let service = database.service();
    let table = table(&service, "РегистрСведений.ВходящиеСообщения").await;
    let clear = infobase.physical("DELETE FROM [РегистрСведений.ВходящиеСообщения]");
    database
        .client
        .batch_execute(&clear)
        .await
        .expect("rows are deleted");
    let columns: Vec<&str> = table.columns.iter().map(|column| &*column.name).collect();
    let (empty, date) = ("0001-01-01T00:00:00", "2024-02-29T12:00:00");
    for text in [empty, date] {
        let row: Record = table
            .columns
            .iter()
            .map(|column| match column.data_type {
                DataType::DateTime => Value::DateTime(text.parse().expect("a date")),
                DataType::Text => Value::text("т"),
                _ => Value::Integer(if text == empty { 1 } else { 2 }),
            })
            .collect();
        let statement = insert(&table, &columns);
        service
            .execute(&statement, &[row])
            .await
            .expect("the row is written");
    }
    let stored = infobase.physical(
        "SELECT (max(extract(year FROM [РегистрСведений.ВходящиеСообщения.ОтметкаВремени])))::bigint \
         FROM [РегистрСведений.ВходящиеСообщения]",
    );
    assert_eq!(database.number(&stored).await, 2024 + i64::from(years));
    let later = Select {
        filter: Some(Expr::Binary(
            Binary::GreaterOrEqual,
            Box::new(column(&table, "ОтметкаВремени")),
            Box::new(parameter(0)),
        )),
        ..select(&table, &["ОтметкаВремени"])
    };
    let statement = Statement::new(1, Body::Select(later));
    let parameters = [vec![Value::DateTime(date.parse().expect("a date"))]];
    let found = one(service
        .execute(&statement, &parameters)
        .await
        .expect("rows"));
    let queue = drain(&table, &["ОтметкаВремени"], &["НомерСообщения"], 10);
    let mut source = source(&service, queue);
    let (records, _, claim) = batch(&mut source, SKIPPING).await;
    claim.release().await.expect("the rows are given back");
    assert_eq!(
        records.rows[0],
        [Value::DateTime(empty.parse().expect("a date"))]
    );
    assert_eq!(records.rows[1], found[0]);
    drop(source);
    database.close().await;
    (found[0][0].clone(), found.len())
}

#[tokio::test]
async fn dates_are_the_same_with_and_without_an_offset() {
    let without = date_both_ways(0).await;
    let with = date_both_ways(2000).await;
    assert_eq!(without, with);
    assert_eq!(
        with,
        (
            Value::DateTime("2024-02-29T12:00:00".parse().expect("a date")),
            1
        )
    );
}

#[tokio::test]
async fn a_year_offset_that_is_none_is_named() {
    let infobase = Infobase::new(30);
    let database = Database::with(&infobase.sql()).await;
    let name: Arc<str> = "Справочник.Номенклатура".into();
    let set = async |sql: &str| {
        let changed = database.client.batch_execute(sql).await;
        changed.expect("it is changed");
        let service = database.service();
        service.describe(std::slice::from_ref(&name)).await
    };
    for (sql, told) in [
        ("UPDATE _yearoffset SET ofset = 40000", "\"40000\""),
        ("UPDATE _yearoffset SET ofset = -2000", "\"-2000\""),
        ("UPDATE _yearoffset SET ofset = 9999", "\"9999\""),
        (
            "ALTER TABLE _yearoffset ALTER ofset TYPE text USING 'две тысячи'",
            "\"две тысячи\"",
        ),
    ] {
        let error = set(sql).await.expect_err("it is absurd");
        let expected = format!("table \"_YearOffset\" of the infobase holds {told}");
        assert!(error.message.contains(&expected), "{error}");
        assert_eq!(error.class, ErrorClass::Misconfigured);
    }
    for (value, years) in [("'2000.00'", 2000), ("NULL", 0)] {
        let sql = format!(
            "ALTER TABLE _yearoffset ALTER ofset DROP NOT NULL; UPDATE _yearoffset SET ofset = {value}"
        );
        let schema = set(&sql).await.expect("it is a number of years");
        let goods = schema.table(&name).expect("it is there");
        let found = goods.columns.iter().find(|column| column.year_offset != 0);
        assert_eq!(found.map_or(0, |column| column.year_offset), years);
    }
    database.close().await;
}

#[tokio::test]
async fn an_update_of_the_configuration_is_waited_for() {
    let (before, after) = (Infobase::new(11), Infobase::new(12));
    let database = Database::with(&before.sql()).await;
    let service = database.service();
    let name = "РегистрСведений.ИсходящиеСообщения";
    let old = table(&service, name).await;
    database
        .client
        .batch_execute(&before.leave_sql())
        .await
        .expect("the tables leave");
    let statement = Statement::new(0, Body::Select(select(&old, &["НомерСообщения"])));
    let error = service
        .execute(&statement, &[vec![]])
        .await
        .expect_err("the table is away");
    assert!(error.unknown_name);
    service.forget();
    let error = service
        .describe(&[name.into()])
        .await
        .expect_err("the table is away");
    assert_eq!(error.class, ErrorClass::Transient, "{error}");
    assert!(error.message.contains(&format!("\"{name}\"")), "{error}");
    let back = before.return_sql(&after);
    database
        .client
        .batch_execute(&back)
        .await
        .expect("the tables come back");
    let new = table(&service, name).await;
    assert_ne!(new.physical, old.physical);
    assert_eq!(lines(&service).await, expected(&after));
    // a name that was known once and is gone
    let root = after.configuration_file();
    let sql = format!(
        "DELETE FROM config WHERE filename = '{}'",
        after.file_of(name)
    );
    database
        .client
        .batch_execute(&sql)
        .await
        .expect("the file is deleted");
    let sql = format!(
        "UPDATE config SET modified = now() WHERE filename = 'root' OR filename = '{root}'"
    );
    database
        .client
        .batch_execute(&sql)
        .await
        .expect("the version changes");
    let error = service
        .describe(&[name.into()])
        .await
        .expect_err("the name is gone");
    assert_eq!(error.class, ErrorClass::Transient, "{error}");
    database.close().await;
}

#[tokio::test]
async fn rows_are_not_taken_by_an_outdated_configuration() {
    for sign in [
        "UPDATE params SET modified = modified WHERE filename = 'DBNames'",
        "UPDATE params SET modified = modified WHERE filename LIKE 'DBNamesVersion%'",
        "UPDATE config SET modified = modified WHERE filename = 'versions'",
    ] {
        let infobase = Infobase::new(13);
        let database = Database::with(&infobase.sql()).await;
        let service = database.service();
        let name = "РегистрСведений.ИсходящиеСообщения";
        let queue = table(&service, name).await;
        let record = |number: i64| -> Record {
            let values = queue.columns.iter().map(|column| match column.data_type {
                DataType::Text => Value::text("т"),
                DataType::Decimal | DataType::Integer => Value::Integer(number),
                _ => Value::Null,
            });
            values.collect()
        };
        let columns: Vec<&str> = queue.columns.iter().map(|column| &*column.name).collect();
        let clear = infobase.physical(&format!("DELETE FROM [{name}]"));
        database
            .client
            .batch_execute(&clear)
            .await
            .expect("it is empty");
        let statement = insert(&queue, &columns);
        service
            .execute(&statement, &[record(1), record(2)])
            .await
            .expect("rows are written");
        let one_row = || drain(&queue, &["НомерСообщения"], &["НомерСообщения"], 1);
        let mut outdated = source(&service, one_row());
        let (_, _, claim) = batch(&mut outdated, SKIPPING).await;
        claim.commit().await.expect("the row is taken");
        database
            .client
            .batch_execute(sign)
            .await
            .expect("an update");
        let error = outdated.read(SKIPPING, &[]).await.map(|_| ());
        let error = error.expect_err("the configuration is another one");
        assert_eq!(error.class, ErrorClass::Transient, "{error}");
        assert!(error.message.contains("was updated"), "{error}");
        let queue = table(&service, name).await;
        let again = drain(&queue, &["НомерСообщения"], &["НомерСообщения"], 1);
        let mut current = source(&service, again);
        let (records, _, claim) = batch(&mut current, SKIPPING).await;
        claim.commit().await.expect("the row is taken");
        assert_eq!(records.rows, [vec![Value::Decimal(2.into())]]);
        drop((outdated, current));
        database.close().await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_metadata_is_told() {
    let infobase = Infobase::new(21);
    let database = Database::with(&infobase.sql()).await;
    let name: Arc<str> = "Справочник.Номенклатура".into();
    let fails = async |sql: String, expected: &str| {
        database
            .client
            .batch_execute(&format!("BEGIN; {sql}; COMMIT"))
            .await
            .expect("it is broken");
        let service = database.service();
        let error = service
            .describe(std::slice::from_ref(&name))
            .await
            .expect_err("it is broken");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.class, ErrorClass::Misconfigured);
        let plain = service
            .describe(&["params".into()])
            .await
            .expect("plain tables are there");
        assert!(plain.table("params").is_some());
        let repair = infobase.metadata_sql();
        database
            .client
            .batch_execute(&repair)
            .await
            .expect("it is repaired");
        assert!(
            describe(&service, &["Справочник.Номенклатура"])
                .await
                .is_complete()
        );
    };
    fails(
        "DELETE FROM params WHERE filename = 'DBNames'".into(),
        "\"DBNames\" is missing",
    )
    .await;
    fails(
        "UPDATE params SET binarydata = '\\xff' WHERE filename = 'DBNames'".into(),
        "\"DBNames\": its compressed",
    )
    .await;
    fails(
        "DELETE FROM config WHERE filename = 'root'".into(),
        "\"root\" is missing",
    )
    .await;
    let root = infobase.configuration_file();
    fails(
        format!("UPDATE config SET binarydata = '\\xefbbbf7b' WHERE filename = '{root}'"),
        &root,
    )
    .await;
    // an object that cannot be read is absent, the others are there
    let file = infobase.file_of("Справочник.Номенклатура");
    let sql = format!(
        "UPDATE config SET binarydata = substring(binarydata FROM 1 FOR 40) WHERE filename = '{file}'"
    );
    database
        .client
        .batch_execute(&sql)
        .await
        .expect("it is broken");
    let schema = describe(&database.service(), &[&name, "Справочник.Контрагенты"]).await;
    assert!(schema.table(&name).is_none() && schema.table("Справочник.Контрагенты").is_some());
    let reason = schema.reason(&name).expect("the damage is told");
    let damage = format!("cannot read file \"{file}\": its compressed bytes are");
    assert!(reason.contains(&damage), "{reason}");
    assert_eq!(schema.reason("Справочник.Контрагенты"), None);
    database.close().await;
}

#[tokio::test]
async fn a_table_of_metadata_that_is_gone_is_named() {
    let infobase = Infobase::new(24);
    for (gone, stays) in [("params", "config"), ("config", "params")] {
        let database = Database::with(&infobase.sql()).await;
        let sql = format!("DROP TABLE {gone}");
        database.client.batch_execute(&sql).await.expect("it goes");
        let service = database.service();
        let name: Arc<str> = "Справочник.Номенклатура".into();
        let error = service.describe(std::slice::from_ref(&name)).await;
        let error = error.expect_err("nothing can be known");
        assert_eq!(error.class, ErrorClass::Misconfigured);
        let told = format!("table \"{gone}\" is missing");
        assert!(error.message.contains(&told), "{error}");
        let error = service.names().await.expect_err("nothing can be known");
        assert!(error.message.contains(&told), "{error}");
        assert!(describe(&service, &[stays]).await.is_complete());
        let sql = format!("DROP TABLE {stays}");
        database.client.batch_execute(&sql).await.expect("it goes");
        let schema = describe(&service, &[&name]).await;
        assert!(!schema.is_complete(), "a plain database");
        database.close().await;
    }
}

#[tokio::test]
async fn an_object_without_a_number_is_told() {
    let infobase = Infobase::new(25);
    let database = Database::with(&infobase.sql()).await;
    // in DBNames another uuid stands where the object's was
    let file = infobase.file_of("Справочник.Контрагенты");
    let strange = "11111111-2222-3333-4444-555555555555";
    let numbers = infobase.numbers().replace(&file, strange);
    let sql = "UPDATE params SET binarydata = $1 WHERE filename = 'DBNames'";
    let changed = database.client.execute(sql, &[&numbers.as_bytes()]).await;
    assert_eq!(changed.expect("it is changed"), 1);
    let (told, service) = (Told::begin(), database.service());
    let name = "Справочник.Контрагенты";
    let schema = describe(&service, &[name, "Справочник.Номенклатура"]).await;
    assert!(schema.table(name).is_none() && schema.table("Справочник.Номенклатура").is_some());
    let reason = schema.reason(name).expect("the reason is told");
    assert!(
        reason.contains(&format!("no number for its uuid {file}")),
        "{reason}"
    );
    let lines = told.of("no number in");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains(name) && lines[0].contains("count=1"),
        "{lines:?}"
    );
    database.close().await;
}

#[tokio::test]
async fn a_property_and_a_section_without_a_number_are_told() {
    let infobase = Infobase::new(26);
    let database = Database::with(&infobase.sql()).await;
    let name = "Справочник.Номенклатура";
    let columns = infobase.columns();
    let number = |name: &str, before: &str| {
        let column = columns.of(name);
        let (_, number) = column.rsplit_once(before).expect("a number");
        number.to_owned()
    };
    let property = number("Справочник.Номенклатура.Артикул", "_fld");
    let section = number("Справочник.Номенклатура.Штрихкоды", "_vt");
    let numbers = infobase
        .numbers()
        .replace(
            &format!("\"Fld\",{property}}}"),
            &format!("\"Fl\",{property}}}"),
        )
        .replace(
            &format!("\"VT\",{section}}}"),
            &format!("\"V\",{section}}}"),
        );
    let sql = "UPDATE params SET binarydata = $1 WHERE filename = 'DBNames'";
    let changed = database.client.execute(sql, &[&numbers.as_bytes()]).await;
    assert_eq!(changed.expect("it is changed"), 1);
    let (told, service) = (Told::begin(), database.service());
    let barcodes = "Справочник.Номенклатура.Штрихкоды";
    let schema = describe(&service, &[name, barcodes]).await;
    let goods = schema.table(name).expect("the catalog is there");
    assert!(goods.column("Артикул").is_none() && goods.column("Вес").is_some());
    let lines = told.of("property is left out");
    assert!(
        lines.iter().any(|line| line.contains("Артикул")),
        "{lines:?}"
    );
    assert!(schema.table(barcodes).is_none());
    let reason = schema.reason(barcodes).expect("the reason is told");
    assert!(reason.contains("no number for its uuid"), "{reason}");
    let reason = goods.reason("артикул").expect("the reason is told");
    assert!(reason.contains("no number for its uuid"), "{reason}");
    assert_eq!(goods.reason("Вес"), None);
    database.close().await;
}

#[tokio::test]
async fn objects_of_the_same_number_are_told_and_left_out() {
    let infobase = Infobase::new(27);
    let database = Database::with(&infobase.sql()).await;
    let names = ["Справочник.Контрагенты", "Справочник.Номенклатура"];
    let [one, other] = names.map(|name| infobase.code(name));
    let numbers = infobase.numbers().replace(
        &format!("\"Reference\",{other}}}"),
        &format!("\"Reference\",{one}}}"),
    );
    let sql = "UPDATE params SET binarydata = $1 WHERE filename = 'DBNames'";
    let changed = database.client.execute(sql, &[&numbers.as_bytes()]).await;
    assert_eq!(changed.expect("it is changed"), 1);
    let (told, service) = (Told::begin(), database.service());
    let schema = describe(&service, &names).await;
    let lines = told.of("the same number");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for name in names {
        assert!(lines[0].contains(name), "{lines:?}");
        assert!(schema.table(name).is_none(), "{name}");
        let reason = schema.reason(name).expect("the reason is told");
        assert!(names.iter().all(|name| reason.contains(name)), "{reason}");
    }
    let known = service.metadata(&MetadataKey::Code(one)).await;
    assert_eq!(known.expect("the catalog answers"), None);
    database.close().await;
}

#[tokio::test]
async fn files_that_hold_other_objects_are_told_and_left_out() {
    let infobase = Infobase::new(28);
    let database = Database::with(&infobase.sql()).await;
    let names = ["Справочник.Контрагенты", "Справочник.Номенклатура"];
    let [one, other] = names.map(|name| infobase.file_of(name));
    let sql = format!(
        "UPDATE config AS c SET binarydata = o.binarydata, partno = o.partno FROM config AS o \
         WHERE (c.filename, o.filename) IN (('{one}', '{other}'), ('{other}', '{one}'))"
    );
    database
        .client
        .batch_execute(&sql)
        .await
        .expect("they are swapped");
    let (told, service) = (Told::begin(), database.service());
    let schema = describe(&service, &names).await;
    for (name, file) in names.iter().zip([&other, &one]) {
        assert!(schema.table(name).is_none(), "{name}");
        let reason = schema.reason(name).expect("the reason is told");
        let (_, own) = name.split_once('.').expect("a name of two parts");
        let wrong = format!("file \"{file}\" holds the object \"{own}\" of another uuid");
        assert!(reason.contains(&wrong), "{reason}");
        assert_eq!(told.of(&wrong).len(), 1);
    }
    database.close().await;
}

#[tokio::test]
async fn files_may_stand_in_views() {
    let infobase = Infobase::new(32);
    let database = Database::with(&infobase.sql()).await;
    let sql = "ALTER TABLE config RENAME TO stored_files; CREATE VIEW config AS SELECT * FROM stored_files; \
               ALTER TABLE params RENAME TO stored_params; CREATE VIEW params AS SELECT * FROM stored_params";
    database
        .client
        .batch_execute(sql)
        .await
        .expect("it is changed");
    let service = database.service();
    assert_eq!(lines(&service).await, expected(&infobase));
    let name = "Справочник.Номенклатура";
    let table = describe(&service, &[name])
        .await
        .table(name)
        .cloned()
        .expect("a catalog");
    let sql =
        "UPDATE stored_files SET binarydata = binarydata || '\\x00' WHERE filename = 'version'";
    database
        .client
        .batch_execute(sql)
        .await
        .expect("it is changed");
    let again = describe(&service, &[name])
        .await
        .table(name)
        .cloned()
        .expect("a catalog");
    assert_ne!(table.version, again.version);
    database.close().await;
}

#[tokio::test]
async fn the_types_of_a_mapping_are_those_of_the_real_columns() {
    let infobase = Infobase::new(33);
    let database = Database::with(&infobase.sql()).await;
    let goods = "Справочник.Номенклатура";
    let change = infobase.physical(&format!(
        "ALTER TABLE [{goods}] ALTER COLUMN [{goods}.Код] TYPE char(11), ALTER COLUMN [{goods}.Вес] TYPE bigint"
    ));
    database
        .client
        .batch_execute(&change)
        .await
        .expect("they are changed");
    let service = database.service();
    let lines = service
        .mapping(&[goods.into()])
        .await
        .expect("the catalog answers");
    let types = |name: &str| {
        let wanted = format!("{goods}.{name}");
        let line = lines
            .iter()
            .find(|line| line.name == wanted)
            .expect("a line");
        [line.server_types.clone(), line.types.clone()]
    };
    assert_eq!(types("Код"), ["nchar(11)", "char(11)"]);
    assert_eq!(types("Вес"), ["bigint", "bigint"]);
    database.close().await;
}

#[tokio::test]
async fn a_predefined_item_has_one_row() {
    let infobase = Infobase::new(29);
    let database = Database::with(&infobase.sql()).await;
    let item: Arc<str> = "Справочник.Номенклатура.Доставка".into();
    let table = infobase.physical("[Справочник.Номенклатура]");
    let service = database.service();
    let schema = describe(&service, &[&item]).await;
    assert_eq!(schema.values.len(), 1);
    let uuid = "(SELECT _predefinedid FROM was)";
    let sql = format!(
        "CREATE TABLE was AS SELECT * FROM {table} WHERE _predefinedid <> '\\x00000000000000000000000000000000' LIMIT 1; \
         INSERT INTO {table} SELECT (jsonb_populate_record(r, '{{\"_idrref\": \"\\\\x11111111111111111111111111111111\"}}')).* \
         FROM {table} AS r WHERE r._predefinedid = {uuid}"
    );
    database
        .client
        .batch_execute(&sql)
        .await
        .expect("a second row");
    let schema = describe(&database.service(), &[&item]).await;
    assert!(schema.value(&item).is_none());
    let reason = schema.reason(&item).expect("the reason is told");
    assert!(reason.contains("has several rows of it"), "{reason}");
    let sql = format!("DELETE FROM {table} WHERE _predefinedid = {uuid}");
    database.client.batch_execute(&sql).await.expect("no row");
    let schema = describe(&database.service(), &[&item]).await;
    assert!(schema.value(&item).is_none());
    let reason = schema.reason(&item).expect("the reason is told");
    assert!(reason.contains("has no row of it"), "{reason}");
    database.close().await;
}

#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let infobase = Infobase::new(23);
    let database = Database::with(&infobase.sql()).await;
    let user = format!("dajet_{}", Uuid::new_v4().simple());
    let sql = format!(
        "CREATE ROLE {user} LOGIN PASSWORD 'тайна'; GRANT USAGE ON SCHEMA public TO {user}"
    );
    database
        .client
        .batch_execute(&sql)
        .await
        .expect("the role is made");
    let (_, place) = database
        .address
        .rsplit_once('@')
        .expect("an address with a user");
    let address = format!("pgsql://{user}:%D1%82%D0%B0%D0%B9%D0%BD%D0%B0@{place}");
    let service =
        open(&address, &dajet_core::Environment::default()).expect("the address is right");
    let error = service
        .describe(&["Справочник.Номенклатура".into()])
        .await
        .expect_err("no rights");
    assert!(
        error
            .hint
            .as_deref()
            .is_some_and(|hint| hint.contains("SELECT on config")),
        "{error:?}"
    );
    drop(service);
    let sql = format!("DROP OWNED BY {user}; DROP ROLE {user}");
    database
        .client
        .batch_execute(&sql)
        .await
        .expect("the role is dropped");
    database.close().await;
}
