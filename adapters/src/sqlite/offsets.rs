//! Offsets of a source of messages in a table of the file: made if it is missing, moved in the transaction of a batch.

use dajet_core::{Advance, KeptOffset, OffsetTable};
use rusqlite::{Connection, params};

use super::dialect::quote;
use super::failure::{Trouble, classify};
use super::state::{ClaimId, State, Written};

impl State {
    /// Reads the offsets of the group; adds first what is missing.
    ///
    /// # Errors
    /// Any class; nothing is written then.
    pub fn keep_offsets(
        &mut self,
        table: &OffsetTable,
        beginnings: &[KeptOffset],
    ) -> Result<Vec<KeptOffset>, Trouble> {
        let main = self.creating()?;
        if beginnings.is_empty() && exists(&main, table)? {
            return read(&main, table);
        }
        self.need_write_lock()?;
        self.begin_immediate(&main)?;
        let before = main.total_changes();
        let done = add(&main, table, beginnings).and_then(|()| read(&main, table));
        if done.is_ok() {
            self.commit_on(&main)?;
            self.note(Written::default(), main.total_changes() - before);
        } else {
            self.roll_back(&main);
        }
        done
    }

    /// Moves offsets in the open transaction of `claim`, each from where the batch began.
    ///
    /// # Errors
    /// `Transient` if one is elsewhere; never busy.
    pub fn advance_offsets(
        &mut self,
        claim: ClaimId,
        table: &OffsetTable,
        advances: &[Advance],
    ) -> Result<(), Trouble> {
        let writer = self.owned(claim)?;
        let attempted = attempted("move", table);
        let sql = format!(
            "UPDATE {} SET next_offset = ?1 WHERE consumer_group = ?2 AND topic = ?3 \
             AND partition_number = ?4 AND next_offset = ?5",
            name(table)
        );
        let moved = || {
            let mut update = writer.prepare_cached(&sql)?;
            let mut moved = 0;
            for one in advances {
                let (topic, group) = (&*one.topic, &*table.group);
                moved +=
                    update.execute(params![one.next, group, topic, one.partition, one.began])?;
            }
            Ok(moved)
        };
        let moved =
            moved().map_err(|error| Trouble::Failed(classify(&attempted, error).into_error()))?;
        if moved == advances.len() {
            Ok(())
        } else {
            Err(Trouble::Failed(table.overtaken()))
        }
    }
}

fn exists(connection: &Connection, table: &OffsetTable) -> Result<bool, Trouble> {
    let last = table.parts().last().unwrap_or_default();
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND lower(name) = lower(?1)";
    connection
        .prepare_cached(sql)
        .and_then(|mut query| query.exists([last]))
        .map_err(|error| classify(&attempted("look for", table), error))
}

fn read(connection: &Connection, table: &OffsetTable) -> Result<Vec<KeptOffset>, Trouble> {
    let sql = format!(
        "SELECT topic, partition_number, next_offset FROM {} WHERE consumer_group = ?1",
        name(table)
    );
    let kept = || {
        let mut query = connection.prepare_cached(&sql)?;
        let rows = query.query_map([&*table.group], |row| {
            Ok(KeptOffset {
                topic: row.get::<_, String>(0)?.into(),
                partition: row.get(1)?,
                next: row.get(2)?,
            })
        })?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    kept().map_err(|error| classify(&attempted("read", table), error))
}

fn add(
    connection: &Connection,
    table: &OffsetTable,
    beginnings: &[KeptOffset],
) -> Result<(), Trouble> {
    let name = name(table);
    let make = format!(
        "CREATE TABLE IF NOT EXISTS {name} (consumer_group text NOT NULL, topic text NOT NULL, \
         partition_number integer NOT NULL, next_offset integer NOT NULL, \
         PRIMARY KEY (consumer_group, topic, partition_number))"
    );
    let insert = format!(
        "INSERT INTO {name} (consumer_group, topic, partition_number, next_offset) \
         VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING"
    );
    let added = || {
        connection.execute_batch(&make)?;
        let mut insert = connection.prepare_cached(&insert)?;
        for one in beginnings {
            insert.execute(params![&*table.group, &*one.topic, one.partition, one.next])?;
        }
        Ok(())
    };
    added().map_err(|error| classify(&attempted("add", table), error))
}

fn name(table: &OffsetTable) -> String {
    table.parts().map(quote).collect::<Vec<_>>().join(".")
}

fn attempted(what: &str, table: &OffsetTable) -> String {
    format!("cannot {what} offsets in table \"{}\"", table.name)
}
