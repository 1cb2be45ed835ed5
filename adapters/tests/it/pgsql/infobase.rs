//! An infobase of 1C: its metadata tells the names of its tables.

use std::collections::BTreeSet;

use dajet_adapters::testing::infobase::Infobase;

use super::fixture::Database;

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
