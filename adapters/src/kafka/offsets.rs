//! Offsets in the database that the script writes to (`OffsetTable`): partitions begin where it says, and a batch moves them in its
//! transaction. The group's own offsets are committed as well, for whoever looks at the brokers.

use std::sync::Arc;

use dajet_core::contract::Databases;
use dajet_core::{Advance, Advances, BrokerSpec, KeptOffset, OffsetTable, Service, SystemError};
use rdkafka::Offset;

use super::letter::Place;
use super::line::Stretch;
use super::source_settings::SourceSettings;
use super::stray::Stray;

/// The offsets of a group in a table.
#[derive(Clone)]
pub(super) struct Keeper {
    service: Arc<dyn Service>,
    table: Arc<OffsetTable>,
}

impl Keeper {
    /// The keeper, if the script wants one.
    ///
    /// # Errors
    /// `Misconfigured` if it writes to no database, or not to one whose address is known.
    pub(super) fn new(
        settings: &SourceSettings,
        spec: &BrokerSpec,
        databases: Databases<'_>,
    ) -> Result<Option<Self>, SystemError> {
        let Some(name) = &settings.options.offset_table else {
            return Ok(None);
        };
        let Some(target) = &spec.target else {
            let message = "option \"OffsetTable\" needs one database that the script writes to";
            return Err(SystemError::misconfigured("E_PARAM", message)
                .with_hint("Its address must be known when the source begins."));
        };
        Ok(Some(Self {
            service: databases(target)?,
            table: Arc::new(OffsetTable {
                name: Arc::clone(name),
                group: Arc::clone(&settings.group),
            }),
        }))
    }

    /// What the table keeps.
    ///
    /// # Errors
    /// Any class.
    pub(super) async fn kept(&self) -> Result<Vec<KeptOffset>, SystemError> {
        self.service.keep_offsets(&self.table, &[]).await
    }

    /// Where to begin: at what the table keeps. What it lacks it keeps from now on.
    ///
    /// # Errors
    /// Any class.
    pub(super) async fn begin(
        &self,
        beginnings: Vec<(Place, Offset)>,
    ) -> Result<Vec<(Place, Offset)>, SystemError> {
        let found: Vec<_> = beginnings.iter().filter_map(kept).collect();
        if found.is_empty() {
            return Ok(beginnings);
        }
        let kept = self.service.keep_offsets(&self.table, &found).await?;
        let begin = |(place, told): (Place, Offset)| {
            let offset = find(&kept, &place).map_or(told, Offset::Offset);
            (place, offset)
        };
        Ok(beginnings.into_iter().map(begin).collect())
    }

    /// What a batch does to the table.
    pub(super) fn advances(&self, batch: &[Stretch]) -> Advances {
        let advance = |stretch: &Stretch| Advance {
            topic: Arc::from(&*stretch.place.0),
            partition: stretch.place.1,
            began: stretch.began,
            next: stretch.next,
        };
        Advances {
            service: Arc::clone(&self.service),
            table: Arc::clone(&self.table),
            list: batch.iter().map(advance).collect(),
        }
    }

    /// Moves the offsets of a batch that leaves nothing else in the database.
    ///
    /// # Errors
    /// Any class.
    pub(super) async fn pass(&self, batch: &[Stretch]) -> Result<(), SystemError> {
        self.shift(&self.advances(batch).list).await
    }

    /// Moves offsets that are not in their topics any more.
    ///
    /// # Errors
    /// Any class.
    pub(super) async fn correct(&self, strays: &[Stray]) -> Result<(), SystemError> {
        let corrections: Vec<_> = strays.iter().map(Stray::correction).collect();
        self.shift(&corrections).await
    }

    async fn shift(&self, list: &[Advance]) -> Result<(), SystemError> {
        let mut claim = self.service.begin().await?;
        claim.advance_offsets(&self.table, list).await?;
        claim.commit().await
    }
}

/// The offset of a partition among those that are kept.
pub(super) fn find(kept: &[KeptOffset], place: &Place) -> Option<i64> {
    let same = |one: &&KeptOffset| *one.topic == *place.0 && one.partition == place.1;
    kept.iter().find(same).map(|one| one.next)
}

fn kept((place, offset): &(Place, Offset)) -> Option<KeptOffset> {
    match offset {
        Offset::Offset(next) => Some(KeptOffset {
            topic: Arc::from(&*place.0),
            partition: place.1,
            next: *next,
        }),
        _ => None,
    }
}
