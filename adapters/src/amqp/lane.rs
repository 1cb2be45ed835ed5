//! One channel with its consumer, and the batches that are open on it.
//!
//! A delivery tag dies with its channel: a claim holds the lane that its messages came by and nothing else. To give messages back in order all of
//! them must go back at once, those delivered ahead too, so a batch is released by closing the channel. Earlier batches may be committed before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dajet_core::contract::Answer;
use dajet_core::query::Statement;
use dajet_core::{BoxFuture, Claim, Identity, Record, SystemError};
use lapin::Consumer;
use lapin::options::{BasicAckOptions, BasicQosOptions};
use parking_lot::Mutex;

use super::attempts::{Attempts, Mark};
use super::line::Line;

/// A channel with its consumer.
pub(super) struct Lane {
    line: Line,
    consumer: Consumer,
    state: Mutex<State>,
    attached: Attached,
}

#[derive(Default)]
struct State {
    /// First tags of the open batches.
    open: BTreeSet<u64>,
    /// First tag of the earliest batch that was given back: nothing from there on can be committed.
    given_back: Option<u64>,
}

impl State {
    fn is_given_back(&self, first: u64) -> bool {
        self.given_back.is_some_and(|limit| limit <= first)
    }
}

impl Lane {
    pub(super) fn new(line: Line, consumer: Consumer, attached: Attached) -> Self {
        Self {
            line,
            consumer,
            state: Mutex::default(),
            attached,
        }
    }

    pub(super) fn line(&self) -> &Line {
        &self.line
    }

    /// True if nothing more may be read.
    pub(super) fn is_ended(&self) -> bool {
        self.state.lock().given_back.is_some() || self.line.is_dead()
    }

    /// Batches that are open.
    pub(super) fn open(&self) -> usize {
        self.state.lock().open.len()
    }

    /// Notes that a batch is no longer open; true if it was the last one of a lane that ends.
    fn resolve(&self, first: u64) -> bool {
        let mut state = self.state.lock();
        state.open.remove(&first);
        state.open.is_empty() && state.given_back.is_some()
    }

    /// Closes the channel and waits until the broker has taken everything back.
    async fn close(&self) -> Result<(), SystemError> {
        let closed = self.line.close(self.consumer.clone()).await;
        // The broker no longer counts this consumer.
        self.attached.detach();
        closed
    }

    /// Closes the channel; does not wait for that. A consumer dropped before would be cancelled, and seem to hold nothing.
    fn end(&self) {
        self.line.end(self.consumer.clone());
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.end();
    }
}

/// Consumers of this process at each queue: who is counted by the broker and not here is a predecessor that may still hold messages.
static ATTACHED: Mutex<BTreeMap<(Identity, Arc<str>), u32>> = Mutex::new(BTreeMap::new());

/// The entry of one consumer.
pub(super) struct Attached {
    key: Mutex<Option<(Identity, Arc<str>)>>,
}

impl Attached {
    /// Counts one more.
    pub(super) fn attach(identity: &Identity, queue: &Arc<str>) -> Self {
        let key = (identity.clone(), queue.clone());
        *ATTACHED.lock().entry(key.clone()).or_default() += 1;
        Self {
            key: Mutex::new(Some(key)),
        }
    }

    /// How many there are.
    pub(super) fn count(identity: &Identity, queue: &Arc<str>) -> u32 {
        ATTACHED
            .lock()
            .get(&(identity.clone(), queue.clone()))
            .copied()
            .unwrap_or(0)
    }

    fn detach(&self) {
        let Some(key) = self.key.lock().take() else {
            return;
        };
        let mut all = ATTACHED.lock();
        if let Some(count) = all.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                all.remove(&key);
            }
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.detach();
    }
}

/// The right to acknowledge a batch.
pub(super) struct DeliveryClaim {
    lane: Arc<Lane>,
    identity: Identity,
    batch: Batch,
    attempts: Option<Attempts>,
    /// Answers to the call that shows that the broker has heard of the commit.
    prefetch: u16,
    resolved: bool,
    /// The records are to blame for the coming release.
    blamed: bool,
}

/// Which messages a claim stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) records: usize,
    pub(super) head: Mark,
}

impl DeliveryClaim {
    pub(super) fn new(
        lane: Arc<Lane>,
        identity: Identity,
        batch: Batch,
        attempts: Option<Attempts>,
        prefetch: u16,
    ) -> Self {
        lane.state.lock().open.insert(batch.first);
        Self {
            lane,
            identity,
            batch,
            attempts,
            prefetch,
            resolved: false,
            blamed: false,
        }
    }

    async fn acknowledge(&self) -> Result<(), SystemError> {
        {
            let state = self.lane.state.lock();
            if state.is_given_back(self.batch.first) {
                let message = "the messages were given back with an earlier batch";
                return Err(SystemError::transient("E_AMQP", message));
            }
            if state
                .open
                .first()
                .is_some_and(|first| *first < self.batch.first)
            {
                return Err(SystemError::fault("messages are acknowledged out of order"));
            }
        }
        let (line, channel) = (self.lane.line(), self.lane.line().channel());
        let all = BasicAckOptions { multiple: true };
        line.call(
            "acknowledge messages",
            channel.basic_ack(self.batch.last, all),
        )
        .await?;
        // An acknowledgement has no answer. The next call has: what was sent before it has arrived.
        let echo = channel.basic_qos(self.prefetch, BasicQosOptions { global: false });
        line.call("acknowledge messages", echo).await
    }

    /// Marks the batch and all behind it as given back; true if no other one is open.
    fn give_back(&mut self) -> bool {
        self.resolved = true;
        let first = self.batch.first;
        {
            let mut state = self.lane.state.lock();
            // Batches behind a failed one are given back before it or after it: only the earliest is at fault.
            let at_head = state.open.first() == Some(&first)
                && state.given_back.is_none_or(|limit| limit >= first);
            state.given_back = Some(state.given_back.map_or(first, |limit| limit.min(first)));
            if let Some(attempts) = self.attempts.as_ref().filter(|_| self.blamed && at_head) {
                attempts.failed(self.batch.head, self.batch.records);
            }
        }
        self.lane.resolve(first)
    }
}

impl Claim for DeliveryClaim {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn execute<'a>(
        &'a mut self,
        _: &'a Arc<Statement>,
        _: &'a [Record],
    ) -> BoxFuture<'a, Result<Answer, SystemError>> {
        Box::pin(async {
            Err(SystemError::fault(
                "a queue of rabbitmq takes no statements",
            ))
        })
    }

    fn commit(mut self: Box<Self>) -> BoxFuture<'static, Result<(), SystemError>> {
        Box::pin(async move {
            self.acknowledge().await?;
            self.resolved = true;
            if let Some(attempts) = &self.attempts {
                attempts.passed(self.batch.records);
            }
            if self.lane.resolve(self.batch.first) {
                // The commit stands, whatever becomes of the rest.
                let _ = self.lane.close().await;
            }
            Ok(())
        })
    }

    fn blame(&mut self) {
        self.blamed = true;
    }

    fn release(mut self: Box<Self>) -> BoxFuture<'static, Result<(), SystemError>> {
        Box::pin(async move {
            let alone = self.give_back();
            // A lost connection gives back by itself.
            if alone && !self.lane.line().is_dead() {
                self.lane.close().await
            } else {
                Ok(())
            }
        })
    }
}

impl Drop for DeliveryClaim {
    fn drop(&mut self) {
        if !self.resolved && self.give_back() {
            self.lane.end();
        }
    }
}
