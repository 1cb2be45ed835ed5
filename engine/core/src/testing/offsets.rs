//! Offsets that databases of a world keep.

use crate::error::SystemError;
use crate::offsets::{Advance, KeptOffset, OffsetTable};

use super::state::{OffsetKey, State};

impl State {
    pub(super) fn keep(
        &mut self,
        database: &str,
        table: &OffsetTable,
        beginnings: &[KeptOffset],
    ) -> Vec<KeptOffset> {
        for one in beginnings {
            let key = key(database, table, &one.topic, one.partition);
            self.offsets.entry(key).or_insert(one.next);
        }
        let of_group = |key: &OffsetKey| {
            (&*key.0, &*key.1, &*key.2) == (database, &*table.name, &*table.group)
        };
        let kept = self.offsets.iter().filter(|(key, _)| of_group(key));
        kept.map(|(key, next)| KeptOffset {
            topic: key.3.as_str().into(),
            partition: key.4,
            next: *next,
        })
        .collect()
    }

    pub(super) fn advance(
        &mut self,
        claim: u64,
        table: &OffsetTable,
        advances: &[Advance],
    ) -> Result<(), SystemError> {
        let database = self.database_of(claim).unwrap_or_default().to_owned();
        for advance in advances {
            let key = key(&database, table, &advance.topic, advance.partition);
            if self.offsets.get(&key) != Some(&advance.began) {
                return Err(table.overtaken());
            }
            if let Some(open) = self.claims.get_mut(&claim) {
                open.advanced.push((key, advance.clone()));
            }
        }
        Ok(())
    }
}

fn key(database: &str, table: &OffsetTable, topic: &str, partition: i32) -> OffsetKey {
    let text = str::to_owned;
    (
        text(database),
        text(&table.name),
        text(&table.group),
        text(topic),
        partition,
    )
}
