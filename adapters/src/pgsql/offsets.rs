//! Offsets of a source of messages in a table: made if it is missing, moved in the transaction of a batch.

use dajet_core::{Advance, KeptOffset, OffsetTable, SystemError};
use tokio_postgres::types::ToSql;

use super::dialect::quoted;
use super::failure::classify;
use super::session::Session;

/// Reads the offsets of the group; adds first what is missing.
///
/// # Errors
/// Any class.
pub(super) async fn keep(
    session: &mut Session,
    table: &OffsetTable,
    beginnings: &[KeptOffset],
) -> Result<Vec<KeptOffset>, SystemError> {
    if beginnings.is_empty() {
        match read(session, table).await {
            Err(error) if error.unknown_name => {}
            answer => return answer,
        }
        make(session, table).await?;
    } else {
        add(session, table, beginnings).await?;
    }
    read(session, table).await
}

/// Moves offsets, each from where the batch began.
///
/// # Errors
/// `Transient` if one is elsewhere; other classes.
pub(super) async fn advance(
    session: &mut Session,
    table: &OffsetTable,
    advances: &[Advance],
) -> Result<(), SystemError> {
    let sql = format!(
        "UPDATE {} AS o SET next_offset = w.next \
         FROM unnest($2::text[], $3::int4[], $4::int8[], $5::int8[]) AS w(topic, partition_number, began, next) \
         WHERE o.consumer_group = $1 AND o.topic = w.topic AND o.partition_number = w.partition_number \
         AND o.next_offset = w.began",
        name(table)
    );
    let topics: Vec<&str> = advances.iter().map(|one| &*one.topic).collect();
    let partitions: Vec<i32> = advances.iter().map(|one| one.partition).collect();
    let began: Vec<i64> = advances.iter().map(|one| one.began).collect();
    let next: Vec<i64> = advances.iter().map(|one| one.next).collect();
    let group = &*table.group;
    let parameters: [&(dyn ToSql + Sync); 5] = [&group, &topics, &partitions, &began, &next];
    let client = session.client();
    let attempted = attempted("move", table);
    let moved = session.run(&attempted, client.execute(&sql, &parameters));
    if moved.await? == advances.len() as u64 {
        Ok(())
    } else {
        Err(table.overtaken())
    }
}

async fn read(session: &mut Session, table: &OffsetTable) -> Result<Vec<KeptOffset>, SystemError> {
    let sql = format!(
        "SELECT topic, partition_number, next_offset FROM {} WHERE consumer_group = $1",
        name(table)
    );
    let client = session.client();
    let attempted = attempted("read", table);
    let group = &*table.group;
    let rows = session
        .run(&attempted, client.query(&sql, &[&group]))
        .await?;
    let kept = rows.iter().map(|row| {
        Ok(KeptOffset {
            topic: row.try_get::<_, &str>(0)?.into(),
            partition: row.try_get(1)?,
            next: row.try_get(2)?,
        })
    });
    kept.collect::<Result<_, _>>()
        .map_err(|error| classify(&attempted, error))
}

async fn add(
    session: &mut Session,
    table: &OffsetTable,
    beginnings: &[KeptOffset],
) -> Result<(), SystemError> {
    let sql = format!(
        "INSERT INTO {} (consumer_group, topic, partition_number, next_offset) \
         SELECT $1, w.topic, w.partition_number, w.next \
         FROM unnest($2::text[], $3::int4[], $4::int8[]) AS w(topic, partition_number, next) ON CONFLICT DO NOTHING",
        name(table)
    );
    let topics: Vec<&str> = beginnings.iter().map(|one| &*one.topic).collect();
    let partitions: Vec<i32> = beginnings.iter().map(|one| one.partition).collect();
    let next: Vec<i64> = beginnings.iter().map(|one| one.next).collect();
    let group = &*table.group;
    let parameters: [&(dyn ToSql + Sync); 4] = [&group, &topics, &partitions, &next];
    let client = session.client();
    let attempted = attempted("add", table);
    session
        .run(&attempted, client.execute(&sql, &parameters))
        .await
        .map(drop)
}

/// Makes the table. Another reader may make it at the same time: then the server refuses one of them, and the table is there.
async fn make(session: &mut Session, table: &OffsetTable) -> Result<(), SystemError> {
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {} (consumer_group text NOT NULL, topic text NOT NULL, \
         partition_number integer NOT NULL, next_offset bigint NOT NULL, \
         PRIMARY KEY (consumer_group, topic, partition_number))",
        name(table)
    );
    let client = session.client();
    let attempted = format!("cannot make table \"{}\" for offsets", table.name);
    match session.run(&attempted, client.batch_execute(&sql)).await {
        Err(error) if error.native_code.as_deref() == Some("23505") => Ok(()),
        made => made,
    }
}

fn name(table: &OffsetTable) -> String {
    table.parts().map(quoted).collect::<Vec<_>>().join(".")
}

fn attempted(what: &str, table: &OffsetTable) -> String {
    format!("cannot {what} offsets in table \"{}\"", table.name)
}
