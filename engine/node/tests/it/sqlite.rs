//! Database files of the tests.

use std::path::Path;

use rusqlite::Connection;

/// Opens (or makes) a database file and runs statements in it.
pub fn make(folder: &Path, name: &str, statements: &str) -> Connection {
    let connection = Connection::open(folder.join(name)).unwrap();
    connection.execute_batch(statements).unwrap();
    connection
}

/// Makes `outbox.db` with a table `outbox (id, body)` of `rows` rows, and `orders.db` with an empty `orders (id, body)`.
pub fn outbox(folder: &Path, rows: usize) {
    make(
        folder,
        "orders.db",
        "CREATE TABLE orders (id INTEGER NOT NULL, body TEXT NOT NULL)",
    );
    let mut connection = make(
        folder,
        "outbox.db",
        "CREATE TABLE outbox (id INTEGER PRIMARY KEY, body TEXT)",
    );
    let transaction = connection.transaction().unwrap();
    for id in 1..=rows {
        transaction
            .execute(
                "INSERT INTO outbox VALUES (?1, ?2)",
                (id as i64, format!("тело {id}")),
            )
            .unwrap();
    }
    transaction.commit().unwrap();
}

/// The first column of all rows of a query, as text.
pub fn column(folder: &Path, name: &str, query: &str) -> Vec<String> {
    let connection = Connection::open(folder.join(name)).unwrap();
    let mut statement = connection.prepare(query).unwrap();
    let values = statement
        .query_map([], |row| row.get::<_, rusqlite::types::Value>(0))
        .unwrap();
    values
        .map(|value| match value.unwrap() {
            rusqlite::types::Value::Null => "NULL".to_owned(),
            rusqlite::types::Value::Integer(n) => n.to_string(),
            rusqlite::types::Value::Real(n) => n.to_string(),
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Blob(bytes) => format!("{bytes:?}"),
        })
        .collect()
}

/// Drains `outbox` into `orders`.
pub const COPY: &str = "DECLARE @order object
USE 'sqlite://outbox.db'
   CONSUME TOP 100 id, body INTO @order FROM outbox ORDER BY id ASC
   USE 'sqlite://orders.db'
      INSERT orders SELECT id = @order.id, body = @order.body
   END
END
";
