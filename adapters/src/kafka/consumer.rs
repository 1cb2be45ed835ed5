//! The consumer of one source: what the library's callbacks tell, and the calls that block.
//!
//! The library asks before partitions are given or taken. The callback only notes it: the [task](super::poller) answers when the batches that hold
//! messages of them are finished.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dajet_core::SystemError;
use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol, StreamConsumer,
};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::health::Health;
use super::letter::Place;
use super::line::{Line, Stretch};
use super::settings::refused;
use super::source_settings::{Reset, SourceSettings};
use super::topics::Asker;

/// Longest wait for the answer to one question.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// The same for what is only shown.
const ANSWER_OF_HEIGHTS: Duration = Duration::from_secs(2);

/// What the group asks for.
#[derive(Clone)]
pub(super) enum Duty {
    /// Begin with these partitions.
    Assign(TopicPartitionList),
    /// Give these partitions up; if they are lost, another member may have them already.
    Revoke(TopicPartitionList, bool),
}

/// What the library's callbacks tell.
pub(super) struct Context {
    health: Health,
    line: Arc<Line>,
    /// Not yet answered, the oldest first. The group waits for each, even if we leave.
    duties: Mutex<VecDeque<Duty>>,
    /// Nobody waits for anything any more: what the group asks for is done at once.
    closing: AtomicBool,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // What matters comes as error too and is told there.
        tracing::debug!(target: "librdkafka", ?level, facility, message, "log of the client");
    }

    fn stats_raw(&self, statistics: &[u8]) {
        tracing::debug!(target: "librdkafka", statistics = %String::from_utf8_lossy(statistics), "statistics of the client");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.health.note(code, reason);
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let duty = match kind {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Duty::Assign(list.clone()),
            _ => Duty::Revoke(list.clone(), consumer.assignment_lost()),
        };
        if self.closing.load(Ordering::Acquire) {
            answer(consumer, &duty);
        } else {
            self.duties.lock().push_back(duty);
            self.line.stir.notify_one();
        }
    }
}

/// A consumer; whoever drops its last handle leaves the group, on a thread for it.
#[derive(Clone)]
pub(super) struct Member {
    membership: Option<Arc<Membership>>,
}

/// A consumer that answers the group before it goes, wherever it is dropped: the library waits for ever for what it has asked for.
struct Membership(StreamConsumer<Context>);

impl Drop for Membership {
    fn drop(&mut self) {
        let context = self.0.context();
        context.closing.store(true, Ordering::Release);
        for duty in std::mem::take(&mut *context.duties.lock()) {
            answer(&self.0, &duty);
        }
        self.0.unsubscribe();
    }
}

impl Member {
    /// Makes a consumer; does not connect. Starts threads: not for an async thread.
    ///
    /// # Errors
    /// `Misconfigured` if the library refuses the settings.
    pub(super) fn new(settings: &SourceSettings, line: &Arc<Line>) -> Result<Self, SystemError> {
        let context = Context {
            health: Health::new(settings.brokers.clone()),
            line: line.clone(),
            duties: Mutex::default(),
            closing: AtomicBool::new(false),
        };
        let consumer = StreamConsumer::from_config_and_context(&settings.client, context)
            .map_err(|error| refused(&error))?;
        Ok(Self {
            membership: Some(Arc::new(Membership(consumer))),
        })
    }

    pub(super) fn consumer(&self) -> &StreamConsumer<Context> {
        let membership = self.membership.as_ref();
        &membership.expect("it is taken at the end alone").0
    }

    /// What the group asks for, until it is answered.
    pub(super) fn duty(&self) -> Option<Duty> {
        self.consumer().context().duties.lock().front().cloned()
    }

    /// Runs a call that may block on a thread for it.
    ///
    /// # Errors
    /// `Fault` if the call panics, or the process ends.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&StreamConsumer<Context>) -> T + Send + 'static,
    ) -> Result<T, SystemError> {
        let member = self.clone();
        tokio::task::spawn_blocking(move || call(member.consumer()))
            .await
            .map_err(|error| SystemError::fault("a call to kafka ended badly").with_source(error))
    }

    /// Does what the group has asked for.
    pub(super) async fn answer(&self, duty: Duty) -> Result<(), SystemError> {
        self.call(move |consumer| {
            consumer.context().duties.lock().pop_front();
            answer(consumer, &duty);
        })
        .await
    }
}

impl Asker for Member {
    const RIGHT: &'static str = "read";

    fn metadata(&self, topic: &str, patience: Duration) -> KafkaResult<Metadata> {
        self.consumer().fetch_metadata(Some(topic), patience)
    }

    fn health(&self) -> &Health {
        &self.consumer().client().context().health
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let Some(last) = self.membership.take().and_then(Arc::into_inner) else {
            return;
        };
        // The library waits for the group's answer and joins its threads.
        let leave = move || {
            let line = last.0.context().line.clone();
            drop(last);
            line.close();
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(leave)),
            Err(_) => leave(),
        }
    }
}

/// Does what the group asks for, at once.
fn answer(consumer: &impl Consumer<Context>, duty: &Duty) {
    let cooperative = matches!(
        consumer.rebalance_protocol(),
        RebalanceProtocol::Cooperative
    );
    let answered = match duty {
        Duty::Assign(list) if cooperative => consumer.incremental_assign(list),
        Duty::Assign(list) => consumer.assign(list),
        Duty::Revoke(list, _) if cooperative => consumer.incremental_unassign(list),
        Duty::Revoke(..) => consumer.unassign(),
    };
    if let Err(error) = answered {
        // The group has asked for something else meanwhile, and tells.
        tracing::debug!(%error, "an answer to a group of kafka came too late");
    }
}

/// The partitions of a list.
pub(super) fn places(list: &TopicPartitionList) -> Vec<Place> {
    list.elements()
        .iter()
        .map(|element| (element.topic().into(), element.partition()))
        .collect()
}

/// Where to begin in each partition: at what is committed, or where the settings say. A beginning at the end is committed at once: a failure of the
/// very first batch would skip it otherwise. Blocks.
///
/// # Errors
/// What the brokers answer.
pub(super) fn beginnings(
    consumer: &StreamConsumer<Context>,
    places: Vec<Place>,
    reset: Reset,
) -> KafkaResult<Vec<(Place, Offset)>> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut list = TopicPartitionList::with_capacity(places.len());
    for (topic, partition) in &places {
        list.add_partition(topic, *partition);
    }
    let committed = consumer.committed_offsets(list, ANSWER)?;
    let mut pinned = TopicPartitionList::new();
    let mut beginnings = Vec::with_capacity(places.len());
    for place in places {
        let offset = committed
            .find_partition(&place.0, place.1)
            .map_or(Offset::Invalid, |element| element.offset());
        let beginning = match (offset, reset) {
            (Offset::Offset(_), _) => offset,
            // The library tells the error.
            (_, Reset::Error) => Offset::Invalid,
            (_, Reset::Earliest) => {
                let (low, _) = consumer.fetch_watermarks(&place.0, place.1, ANSWER)?;
                Offset::Offset(low)
            }
            (_, Reset::Latest) => {
                let (_, high) = consumer.fetch_watermarks(&place.0, place.1, ANSWER)?;
                pinned.add_partition_offset(&place.0, place.1, Offset::Offset(high))?;
                Offset::Offset(high)
            }
        };
        beginnings.push((place, beginning));
    }
    if pinned.count() > 0 {
        commit(consumer, &pinned)?;
    }
    Ok(beginnings)
}

/// Commits where a database says that the group stands, for whoever looks at the brokers. Blocks.
///
/// # Errors
/// What the brokers answer.
pub(super) fn tell(
    consumer: &StreamConsumer<Context>,
    kept: &[(Place, Offset)],
) -> KafkaResult<()> {
    let mut list = TopicPartitionList::with_capacity(kept.len());
    for ((topic, partition), offset) in kept {
        list.add_partition_offset(topic, *partition, *offset)?;
    }
    commit(consumer, &list)
}

/// Commits the offsets of a batch. Blocks.
///
/// # Errors
/// What the brokers answer, for any of the partitions.
pub(super) fn commit_batch(
    consumer: &StreamConsumer<Context>,
    batch: &[Stretch],
) -> KafkaResult<()> {
    let mut list = TopicPartitionList::with_capacity(batch.len());
    for Stretch { place, next, .. } in batch {
        list.add_partition_offset(&place.0, place.1, Offset::Offset(*next))?;
    }
    commit(consumer, &list)
}

fn commit(consumer: &StreamConsumer<Context>, list: &TopicPartitionList) -> KafkaResult<()> {
    consumer.commit(list, CommitMode::Sync)?;
    list.elements()
        .iter()
        .try_for_each(|element| element.error())
}

/// The first offsets or the ends of partitions, asked for all at once: those that are not told are left out. Blocks.
///
/// # Errors
/// What the brokers answer.
pub(super) fn edges(
    consumer: &StreamConsumer<Context>,
    places: &[Place],
    edge: Offset,
    patience: Duration,
) -> KafkaResult<Vec<(Place, i64)>> {
    let mut list = TopicPartitionList::with_capacity(places.len());
    for (topic, partition) in places {
        // The edge stands where a time would.
        list.add_partition_offset(topic, *partition, edge)?;
    }
    let told = consumer.offsets_for_times(list, patience)?;
    let offset = |place: &Place| match told.find_partition(&place.0, place.1)?.offset() {
        Offset::Offset(offset) => Some((place.clone(), offset)),
        _ => None,
    };
    Ok(places.iter().filter_map(offset).collect())
}

/// The ends of partitions, for the lag. Blocks.
///
/// # Errors
/// What the brokers answer.
pub(super) fn heights(
    consumer: &StreamConsumer<Context>,
    places: &[Place],
) -> KafkaResult<Vec<(Place, i64)>> {
    edges(consumer, places, Offset::End, ANSWER_OF_HEIGHTS)
}

/// The ends of partitions. Blocks.
///
/// # Errors
/// What the brokers answer.
pub(super) fn ends(
    consumer: &StreamConsumer<Context>,
    places: Vec<Place>,
) -> KafkaResult<Vec<(Place, i64)>> {
    let end = |place: Place| {
        let (_, high) = consumer.fetch_watermarks(&place.0, place.1, ANSWER)?;
        Ok((place, high))
    };
    places.into_iter().map(end).collect()
}
