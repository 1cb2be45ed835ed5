//! A mapping file that metadata tells, used where the metadata is not: it gives the same answers.

use std::sync::Arc;

use dajet_adapters::testing::infobase::Infobase;
use dajet_core::schema::MetadataKey;
use dajet_core::{DataType, Service, Table};
use uuid::Uuid;

use super::fixture::{Database, query, rooted, select, table};

/// The tables of an infobase without its metadata, and the file that tells what the metadata did.
struct Bare {
    database: Database,
    folder: tempfile::TempDir,
}

const WITHOUT_METADATA: &str = "DROP TABLE config, configsave, configcas, params, files, ibversion";

impl Bare {
    async fn of(infobase: &Infobase) -> Self {
        let database = Database::with(&infobase.sql()).await;
        let service = database.service();
        let names = service.names().await.expect("names");
        let lines = service.mapping(&names).await.expect("lines");
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("карта.tsv"), lines.join("\n")).expect("a file");
        database
            .client
            .batch_execute(WITHOUT_METADATA)
            .await
            .expect("the metadata goes");
        Self { database, folder }
    }

    fn service(&self) -> Arc<dyn Service> {
        let root = rooted(self.folder.path().to_owned());
        self.database
            .service_with("?map=%D0%BA%D0%B0%D1%80%D1%82%D0%B0.tsv", root)
    }
}

/// What a table is but for the types of single references, of which the file does not tell where they lead.
fn shape(table: &Table) -> Vec<String> {
    let property = |column: &dajet_core::Column| {
        let parts: Vec<_> = column
            .parts
            .iter()
            .map(|part| (&part.name, part.role, &part.type_name, part.nullable))
            .collect();
        let data_type = match column.data_type {
            DataType::Entity(_) => "entity".to_owned(),
            other => format!("{other:?}"),
        };
        format!(
            "{} {data_type} {} {parts:?}",
            column.name, column.year_offset
        )
    };
    let mut shape = vec![format!(
        "{} {:?} {:?} {:?}",
        table.name, table.physical, table.key, table.defaults
    )];
    shape.extend(table.columns.iter().map(property));
    shape
}

#[tokio::test]
async fn a_mapping_file_answers_as_the_metadata_that_told_it() {
    let infobase = Infobase::new(41).with_year_offset(2000);
    let database = Database::with(&infobase.sql()).await;
    let (own, bare) = (database.service(), Bare::of(&infobase).await);
    let mapped = bare.service();
    let names = own.names().await.expect("names");
    let known = mapped.names().await.expect("names");
    let sorted = |names: &[Arc<str>]| {
        let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    assert_eq!(sorted(&known), sorted(&names));
    let (told, tells) = (own.mapping(&names).await, mapped.mapping(&names).await);
    assert_eq!(tells.expect("lines"), told.expect("lines"));
    let told = own.describe(&names).await.expect("answers");
    let tells = mapped.describe(&names).await.expect("answers");
    assert_eq!(tells.values, told.values);
    assert!(told.values.len() > 5, "{:?}", told.values);
    for ((name, told), (_, tells)) in told.tables.iter().zip(&tells.tables) {
        let (told, tells) = (told.as_deref().map(shape), tells.as_deref().map(shape));
        assert_eq!(tells, told, "{name}");
    }
    for name in &names {
        let object = async |service: &Arc<dyn Service>, key: MetadataKey| {
            let object = service.metadata(&key).await.expect("answers");
            // of uuids the file does not tell
            object.map(|object| dajet_core::schema::MetadataObject {
                uuid: Uuid::nil(),
                ..(*object).clone()
            })
        };
        let key = MetadataKey::Name(Arc::clone(name));
        let (told, tells) = (object(&own, key.clone()).await, object(&mapped, key).await);
        assert_eq!(tells, told, "{name}");
        if let Some(code) = told.filter(|object| object.owner.is_none()).map(|o| o.code) {
            let key = MetadataKey::Code(code);
            let (told, tells) = (object(&own, key.clone()).await, object(&mapped, key).await);
            assert_eq!(tells, told, "{code}");
        }
    }
    bare.database.close().await;
    database.close().await;
}

#[tokio::test]
async fn names_of_a_mapping_file_are_found_in_either_language_and_in_any_letters() {
    let infobase = Infobase::new(42).with_year_offset(2000);
    let bare = Bare::of(&infobase).await;
    let service = bare.service();
    for (asked, name) in [
        ("CATALOG.номенклатура", "Справочник.Номенклатура"),
        (
            "Catalog.Номенклатура.Changes",
            "Справочник.Номенклатура.Изменения",
        ),
        (
            "AccountingRegister.Налоговый.ExtDimensionValues",
            "РегистрБухгалтерии.Налоговый.ЗначенияСубконто",
        ),
    ] {
        assert_eq!(&*table(&service, asked).await.name, name);
    }
    let value: Arc<str> = "Enumeration.СтавкиНДС.ндс20".into();
    let schema = service
        .describe(std::slice::from_ref(&value))
        .await
        .expect("answers");
    let code = infobase.code("Перечисление.СтавкиНДС");
    assert_eq!(schema.value(&value).map(|entity| entity.code), Some(code));
    let key = MetadataKey::Name("Catalog.номенклатура".into());
    let goods = service
        .metadata(&key)
        .await
        .expect("answers")
        .expect("an object");
    assert_eq!(&*goods.full_name, "Справочник.Номенклатура");
    // dates are those of the infobase, though its metadata is gone
    let orders = table(&service, "Документ.ЗаказПокупателя").await;
    let rows = query(&service, select(&orders, &["Дата"])).await;
    let date = dajet_core::Value::DateTime("2024-03-01T10:15:00".parse().expect("a date"));
    assert_eq!(rows, [vec![date]]);
    bare.database.close().await;
}

#[tokio::test]
async fn a_predefined_item_of_a_mapping_file_is_the_row_that_has_its_uuid() {
    let infobase = Infobase::new(43);
    let bare = Bare::of(&infobase).await;
    let code = infobase.code("Справочник.Номенклатура");
    let sql = "SELECT encode([Справочник.Номенклатура.Предопределённый], 'hex') FROM [Справочник.Номенклатура]
        WHERE [Справочник.Номенклатура.Код] = 'ПС-5'";
    let sql = infobase.physical(sql);
    let row = bare.database.client.query_one(&sql, &[]);
    let bytes: String = row.await.expect("a row").get(0);
    let file = bare.folder.path().join("карта.tsv");
    let mut text = std::fs::read_to_string(&file).expect("a file");
    text.push_str(&format!(
        "\nСправочник.Номенклатура.Доставка\t_Reference{code}\t=value 0\t\t{bytes}\t{code}\n"
    ));
    std::fs::write(&file, text).expect("a file");
    let name: Arc<str> = "Catalog.Номенклатура.доставка".into();
    let schema = bare
        .service()
        .describe(std::slice::from_ref(&name))
        .await
        .expect("answers");
    let entity = schema.value(&name).expect("an item");
    assert_eq!(entity.code, code);
    assert_eq!(entity.uuid, Uuid::from_bytes_le(infobase.row("доставка")));
    bare.database.close().await;
}
