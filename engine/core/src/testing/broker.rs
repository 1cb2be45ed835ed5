//! Topics of a world. What is handed over reaches the topic in order, as an idempotent producer guarantees.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::address::Address;
use crate::contract::{BoxFuture, Receipt, Sink};
use crate::error::SystemError;
use crate::record::Record;

use super::faults::Operation;
use super::{World, lock, lost};

pub(super) fn open(address: &Address) -> Result<Box<dyn Sink>, SystemError> {
    let (world, name) = World::find(address)?;
    Ok(Box::new(Topic {
        world,
        name,
        transit: Arc::default(),
    }))
}

#[derive(Clone)]
struct Topic {
    world: World,
    name: String,
    transit: Arc<Mutex<Transit>>,
}

/// Records on their way to the topic.
#[derive(Default)]
struct Transit {
    records: VecDeque<Record>,
    /// Number of records that have been handed over, those that have arrived included.
    handed_over: usize,
}

impl Topic {
    /// Hands records over; a drawn number of those on their way arrives at once. Returns the end of the batch.
    fn hand_over(&self, records: Vec<Record>) -> usize {
        let (waiting, end) = {
            let mut transit = lock(&self.transit);
            transit.handed_over += records.len();
            transit.records.extend(records);
            (transit.records.len(), transit.handed_over)
        };
        let arrive = self.world.state().faults.below(waiting as u64 + 1) as usize;
        self.arrive(end - waiting + arrive);
        end
    }

    /// All up to this end arrive.
    fn arrive(&self, end: usize) {
        let arrived = {
            let mut transit = lock(&self.transit);
            let arrived = transit.handed_over - transit.records.len();
            let count = end.saturating_sub(arrived);
            transit.records.drain(..count).collect()
        };
        self.world.state().publish(&self.name, arrived);
    }
}

impl Sink for Topic {
    fn deliver(
        &mut self,
        records: Vec<Record>,
    ) -> BoxFuture<'_, Result<BoxFuture<'static, Result<Receipt, SystemError>>, SystemError>> {
        Box::pin(async move {
            let count = records.len();
            let fate = self.world.fate(Operation::Deliver).await;
            // What a broker took before it failed stays.
            let end = self.hand_over(records);
            if fate? {
                return Err(lost(Operation::Deliver));
            }
            let topic = self.clone();
            let receipt: BoxFuture<'static, _> = Box::pin(async move {
                let hide = topic.world.fate(Operation::Acknowledge).await?;
                topic.arrive(end);
                if hide {
                    return Err(lost(Operation::Acknowledge));
                }
                Ok(Receipt { records: count })
            });
            Ok(receipt)
        })
    }
}
