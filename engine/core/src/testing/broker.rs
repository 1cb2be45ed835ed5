//! Topics of a world.

use crate::address::Address;
use crate::contract::{BoxFuture, Receipt, Sink};
use crate::error::SystemError;
use crate::record::Record;

use super::faults::Operation;
use super::{World, lost};

pub(super) fn open(address: &Address) -> Result<Box<dyn Sink>, SystemError> {
    let (world, topic) = World::find(address)?;
    Ok(Box::new(Topic { world, topic }))
}

struct Topic {
    world: World,
    topic: String,
}

impl Topic {
    /// Makes a drawn number of the records durable, and returns the others.
    fn publish_some(&self, mut records: Vec<Record>) -> Vec<Record> {
        let mut state = self.world.state();
        let count = state.faults.below(records.len() as u64 + 1) as usize;
        let rest = records.split_off(count);
        state.publish(&self.topic, records);
        rest
    }
}

impl Sink for Topic {
    fn deliver(
        &mut self,
        records: Vec<Record>,
    ) -> BoxFuture<'_, Result<BoxFuture<'static, Result<Receipt, SystemError>>, SystemError>> {
        Box::pin(async move {
            let count = records.len();
            let hide = match self.world.fate(Operation::Deliver).await {
                Ok(hide) => hide,
                Err(error) => {
                    // What a broker took before it failed stays.
                    self.publish_some(records);
                    return Err(error);
                }
            };
            let rest = self.publish_some(records);
            if hide {
                return Err(lost(Operation::Deliver));
            }
            let topic = Topic {
                world: self.world.clone(),
                topic: self.topic.clone(),
            };
            let receipt: BoxFuture<'static, _> = Box::pin(async move {
                let hide = topic.world.fate(Operation::Acknowledge).await?;
                topic.world.state().publish(&topic.topic, rest);
                if hide {
                    return Err(lost(Operation::Acknowledge));
                }
                Ok(Receipt { records: count })
            });
            Ok(receipt)
        })
    }
}
