//! SQLite as the load generator and the oracle need it. Blocking.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rusqlite::Connection;

use crate::scenario::body;

/// Makes the empty queue table, in a new file or beside a target.
pub fn create_queue(path: &Path) -> Result<()> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.execute_batch(
        r#"CREATE TABLE "ИсходящиеСообщения" ("НомерСообщения" INTEGER PRIMARY KEY, "ТипСообщения" TEXT NOT NULL, "ТелоСообщения" TEXT NOT NULL)"#,
    )?;
    Ok(())
}

/// Adds rows with these keys to the queue.
pub fn append(path: &Path, keys: RangeInclusive<u64>, bytes: usize) -> Result<()> {
    let connection = open(path)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    {
        let mut insert =
            connection.prepare(r#"INSERT INTO "ИсходящиеСообщения" VALUES (?1, 'заказ', ?2)"#)?;
        for key in keys {
            insert.execute((key as i64, body(key, bytes)))?;
        }
    }
    connection.execute_batch("COMMIT")?;
    Ok(())
}

/// Makes an empty target, in a new file or beside a queue; `key` is the type of its keys, `seq` follows the order of insertion.
pub fn create_target(path: &Path, key: &str) -> Result<()> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.execute_batch(&format!(
        r#"CREATE TABLE "ВходящиеСообщения" (seq INTEGER PRIMARY KEY AUTOINCREMENT, "Номер" {key} NOT NULL, "Тип" TEXT NOT NULL, "Тело" TEXT NOT NULL)"#,
    ))?;
    Ok(())
}

/// The keys of the target in the order of insertion.
pub fn read_target(path: &Path) -> Result<Vec<u64>> {
    let connection = open(path)?;
    let mut select = connection
        .prepare(r#"SELECT CAST("Номер" AS TEXT) FROM "ВходящиеСообщения" ORDER BY seq"#)?;
    let keys = select.query_map([], |row| row.get::<_, String>(0))?;
    keys.map(|key| key?.parse().context("a key is not a number"))
        .collect()
}

/// Rows that the queue still holds.
pub fn count_queue(path: &Path) -> Result<u64> {
    count(path, r#"SELECT count(*) FROM "ИсходящиеСообщения""#)
}

/// Rows that the target holds, duplicates included.
pub fn count_target(path: &Path) -> Result<u64> {
    count(
        path,
        r#"SELECT coalesce(max(seq), 0) FROM "ВходящиеСообщения""#,
    )
}

fn count(path: &Path, statement: &str) -> Result<u64> {
    Ok(open(path)?.query_row(statement, [], |row| row.get::<_, i64>(0))? as u64)
}

/// The node writes to the same files.
fn open(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(30))?;
    Ok(connection)
}
