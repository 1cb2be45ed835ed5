//! SQLite as the load generator and the oracle need it. Blocking.

use std::path::Path;

use anyhow::Result;
use rusqlite::Connection;

/// Makes the queue table in a new file and fills it with the keys `1..=rows`.
pub fn fill_queue(path: &Path, rows: u64, bytes: usize) -> Result<()> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.execute_batch(
        r#"CREATE TABLE "ИсходящиеСообщения" ("НомерСообщения" INTEGER PRIMARY KEY, "ТипСообщения" TEXT NOT NULL, "ТелоСообщения" TEXT NOT NULL)"#,
    )?;
    connection.execute_batch("BEGIN")?;
    {
        let mut insert =
            connection.prepare(r#"INSERT INTO "ИсходящиеСообщения" VALUES (?1, 'заказ', ?2)"#)?;
        for n in 1..=rows {
            let mut body = format!("{{\"n\":{n},\"text\":\"");
            body.extend(std::iter::repeat_n('x', bytes.saturating_sub(body.len())));
            insert.execute((n as i64, body))?;
        }
    }
    connection.execute_batch("COMMIT")?;
    Ok(())
}

/// Makes an empty target in a new file; `seq` follows the order of insertion.
pub fn create_target(path: &Path) -> Result<()> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.execute_batch(
        r#"CREATE TABLE "ВходящиеСообщения" (seq INTEGER PRIMARY KEY AUTOINCREMENT, "Номер" INTEGER NOT NULL, "Тип" TEXT NOT NULL, "Тело" TEXT NOT NULL)"#,
    )?;
    Ok(())
}

/// The keys of the target in the order of insertion.
pub fn read_target(path: &Path) -> Result<Vec<u64>> {
    let connection = Connection::open(path)?;
    let mut select =
        connection.prepare(r#"SELECT "Номер" FROM "ВходящиеСообщения" ORDER BY seq"#)?;
    let keys = select.query_map([], |row| row.get::<_, i64>(0))?;
    Ok(keys
        .map(|key| key.map(|k| k as u64))
        .collect::<Result<_, _>>()?)
}

/// Rows that the queue still holds.
pub fn count_queue(path: &Path) -> Result<u64> {
    let connection = Connection::open(path)?;
    Ok(connection.query_row(
        r#"SELECT count(*) FROM "ИсходящиеСообщения""#,
        [],
        |row| row.get::<_, i64>(0),
    )? as u64)
}
