//! An infobase of 1C: its metadata tells the names of its tables.

use std::collections::BTreeSet;

use dajet_adapters::testing::infobase::Infobase;

use dajet_core::{DataType, Entity, ErrorClass, Service};
use uuid::Uuid;

use super::fixture::{Database, table};
use crate::told::Told;

/// Columns of the database with their types as the mapping writes them: `_inforg134._fld135 numeric(19,0)`.
async fn real_columns(database: &Database) -> BTreeSet<String> {
    let sql = "SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
        FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND c.relname LIKE '\\_%'";
    let rows = database.client.query(sql, &[]).await.expect("rows");
    let text = |row: &tokio_postgres::Row| -> String {
        let text: &str = row.get(0);
        text.replace("character varying", "varchar")
            .replace("character(", "char(")
    };
    rows.iter().map(text).collect()
}

/// What the service says of everything it knows by metadata, in the form of a mapping file, sorted.
async fn mapping(service: &dyn Service) -> Vec<String> {
    let names = service.names().await.expect("names");
    let lines = service.mapping(&names).await.expect("lines");
    let mut lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn every_property_is_resolved_from_the_database_alone() {
    for seed in [1, 2, 3] {
        let infobase = Infobase::new(seed);
        let database = Database::with(&infobase.sql()).await;
        let text = infobase.mapping();
        let mut expected: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
        expected.sort();
        assert_eq!(mapping(&*database.service()).await, expected, "seed {seed}");
        database.close().await;
    }
}

#[tokio::test]
async fn dates_codes_and_values_are_those_of_the_infobase() {
    let infobase = Infobase::new(4).with_year_offset(2000);
    let database = Database::with(&infobase.sql()).await;
    let service = database.service();
    let prices = table(&service, "РегистрСведений.ЦеныНоменклатуры").await;
    assert_eq!(
        prices.column("Period").map(|column| column.year_offset),
        Some(2000)
    );
    let value = "Перечисление.СтавкиНДС.НДС20";
    let schema = service.describe(&[value.into()]).await.expect("answers");
    let mapping = infobase.mapping();
    let line = mapping
        .lines()
        .find(|line| line.starts_with(&format!("{value}\t")));
    let bytes = line
        .and_then(|line| line.split('\t').nth(4))
        .expect("the mapping has it");
    let bytes = u128::from_str_radix(bytes, 16)
        .expect("hexadecimal digits")
        .to_be_bytes();
    let entity = Entity {
        code: infobase.code("Перечисление.СтавкиНДС"),
        uuid: Uuid::from_bytes_le(bytes),
    };
    assert_eq!(schema.values, [(value.into(), entity)]);
    let item = "Справочник.Номенклатура.Доставка";
    let schema = service.describe(&[item.into()]).await.expect("answers");
    let entity = Entity {
        code: infobase.code("Справочник.Номенклатура"),
        uuid: Uuid::from_bytes_le(infobase.row("доставка")),
    };
    assert_eq!(schema.values, [(item.into(), entity)]);
    database.close().await;
}

#[tokio::test]
async fn broken_metadata_is_told_and_what_is_sound_is_used() {
    let infobase = Infobase::new(5);
    let database = Database::with(&infobase.sql()).await;
    let broken = infobase.file_of("Справочник.Контрагенты");
    let cut = "UPDATE {} SET binarydata = substr(binarydata, 1, 40) WHERE filename = '{}'";
    let cut = |table: &str, file: &str| cut.replacen("{}", table, 1).replacen("{}", file, 1);
    database
        .client
        .batch_execute(&cut("config", &broken))
        .await
        .expect("the file is cut");
    let service = database.service();
    let queue = table(&service, "РегистрСведений.ИсходящиеСообщения").await;
    assert_eq!(queue.columns.len(), 6);
    let schema = service
        .describe(&["Справочник.Контрагенты".into()])
        .await
        .expect("answers");
    assert!(schema.table("Справочник.Контрагенты").is_none());
    database
        .client
        .batch_execute(&cut("params", "DBNames"))
        .await
        .expect("the file is cut");
    let error = database
        .service()
        .describe(&["Справочник.Номенклатура".into()])
        .await;
    let error = error.expect_err("nothing can be known");
    assert_eq!(error.class, ErrorClass::Misconfigured);
    assert!(error.message.contains("DBNames"), "{}", error.message);
    database.close().await;
}

#[tokio::test]
async fn the_infobase_made_for_tests_is_what_its_mapping_says() {
    let infobase = Infobase::new(1);
    let database = Database::with(&infobase.sql()).await;
    let real = real_columns(&database).await;
    let mut expected = BTreeSet::from(["_yearoffset.ofset integer".to_owned()]);
    for line in infobase.mapping().lines().skip(1) {
        let [_, table, columns, _, types, _] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line} has not six fields");
        };
        let types = types.split(';');
        let columns = columns.split(',').filter(|column| !column.starts_with('='));
        expected.extend(columns.zip(types).map(|(column, of)| {
            format!("{}.{} {of}", table.to_lowercase(), column.to_lowercase())
        }));
    }
    assert_eq!(real, expected);
    let other = Infobase::new(2);
    assert_ne!(infobase.mapping(), other.mapping());
    database
        .client
        .batch_execute(&infobase.leave_sql())
        .await
        .expect("the tables leave");
    let changed = infobase.return_sql(&other);
    database
        .client
        .batch_execute(&changed)
        .await
        .expect("the tables come back");
    let update = Database::with(&other.sql()).await;
    assert_eq!(real_columns(&database).await, real_columns(&update).await);
    let nodes = other.physical("SELECT DISTINCT [Справочник.Номенклатура.Изменения.УзелОбмена] FROM [Справочник.Номенклатура.Изменения]");
    let rows = database.client.query(&nodes, &[]).await.expect("rows");
    let code = other.code("ПланОбмена.ПланОбменаРИБ").to_be_bytes();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.get::<_, &[u8]>(0) == code));
    update.close().await;
    database.close().await;
}

#[tokio::test]
async fn extensions_are_told_once_and_change_nothing() {
    let infobase = Infobase::new(8).with_extension();
    let database = Database::with(&infobase.sql()).await;
    let (told, service) = (Told::begin(), database.service());
    let plain = Infobase::new(8);
    let mut expected: Vec<String> = plain.mapping().lines().skip(1).map(str::to_owned).collect();
    expected.sort();
    assert_eq!(mapping(&*service).await, expected);
    service.forget();
    let goods = table(&service, "Справочник.Номенклатура").await;
    assert_eq!(
        goods.physical[goods.physical.len() - 1],
        plain.columns().of("Справочник.Номенклатура").into()
    );
    assert_eq!(told.of("extensions").len(), 1, "{:?}", told.of(""));
    database.close().await;
}

#[tokio::test]
async fn the_real_column_tells_of_documents_that_an_extension_adds() {
    let infobase = Infobase::new(9);
    let database = Database::with(&infobase.sql()).await;
    let service = database.service();
    let name = "РегистрБухгалтерии.Налоговый";
    let one = table(&service, name).await;
    let recorder = one.column("Recorder").expect("a recorder");
    let code = infobase.code("Документ.Операция");
    assert_eq!(recorder.data_type, DataType::Entity(code));
    let added =
        format!("ALTER TABLE [{name}] ADD _recordertref bytea NOT NULL DEFAULT '\\x00000001'");
    let added = infobase.physical(&added);
    database
        .client
        .batch_execute(&added)
        .await
        .expect("a column");
    service.forget();
    let many = table(&service, name).await;
    let recorder = many.column("Регистратор").expect("a recorder");
    assert_eq!(
        (recorder.data_type, recorder.parts.len()),
        (DataType::Entity(0), 2)
    );
    database.close().await;
}
