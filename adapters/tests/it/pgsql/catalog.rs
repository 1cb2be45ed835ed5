//! The catalog of plain tables.

use dajet_core::schema::Defaults;
use dajet_core::{DataType, TableKey};

use super::fixture::{Database, table};

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
