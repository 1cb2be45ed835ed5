//! The task that takes messages from the library and serves the group, for as long as the source or one of its claims lives. A member that is not
//! heard of is put out of its group, so the task never waits long for room: then partitions are paused.

use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use dajet_core::{ErrorClass, SystemError};
use futures::{FutureExt, StreamExt};
use rdkafka::consumer::{Consumer, MessageStream};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument;

use super::consumer::{ANSWER, Context, Duty, Member, beginnings, edges, heights, places, tell};
use super::error;
use super::letter::{Letter, Place};
use super::line::Line;
use super::offsets::{self, Keeper};
use super::source_settings::{Reset, SourceSettings};
use super::stray::{self, Stray};
use super::topics::{self, Asker};

/// Most messages taken at a time, and their bytes.
const CHUNK: usize = 500;
const CHUNK_BYTES: usize = 1 << 20;
/// How long the library may hold messages that nobody takes, before their partitions are paused: what it has fetched is fetched again then.
const STALL: Duration = Duration::from_secs(1);
/// How soon, and how often, the ends of partitions are asked for.
const MEASURE_FIRST: Duration = Duration::from_millis(500);
const MEASURE: Duration = Duration::from_secs(3);
/// How long a topic that the library misses is looked for.
const SEARCH: Duration = Duration::from_secs(10);
/// How long the brokers may take to list all their topics.
const LISTING: Duration = Duration::from_secs(2);

/// Starts the task; it ends with its line.
pub(super) fn start(
    member: Member,
    line: Arc<Line>,
    settings: Arc<SourceSettings>,
    keeper: Option<Keeper>,
) {
    let poller = Poller {
        member,
        line,
        settings,
        keeper,
        paused: false,
        topics: Vec::new(),
    };
    drop(tokio::spawn(poller.run().in_current_span()));
}

/// Asks now and then for the topics, which the library would wait for, and for the ends of our partitions, for the lag. Apart from the polling, which
/// must not wait for it.
async fn measure(member: Member, line: Arc<Line>, settings: Arc<SourceSettings>) {
    let mut pause = MEASURE_FIRST;
    let mut looked = Instant::now();
    while !line.is_over() {
        sleep(pause).await;
        let places = line.places();
        if looked.elapsed() >= MEASURE {
            looked = Instant::now();
            if let Err(error) = look_for_topics(&member, &settings).await {
                line.fail(error);
                return;
            }
            if places.is_empty() {
                look_for_matches(&member, &line, &settings).await;
            }
        }
        if places.is_empty() {
            continue;
        }
        pause = MEASURE;
        match member
            .call(move |consumer| heights(consumer, &places))
            .await
        {
            Ok(Ok(heights)) => line.measure(heights),
            Ok(Err(error)) => tracing::debug!(%error, "the ends of partitions are not known"),
            Err(error) => tracing::debug!(%error, "the ends of partitions are not known"),
        }
    }
}

/// Finds out whether a topic is gone. One that a pattern has found may go.
async fn look_for_topics(member: &Member, settings: &SourceSettings) -> Result<(), SystemError> {
    let member = Arc::new(member.clone());
    let named = settings.topics.iter();
    for topic in named.filter(|topic| !topic.starts_with('^')) {
        if !topics::is_missing(&member, topic).await? {
            continue;
        }
        let deadline = Instant::now() + SEARCH;
        match topics::find(&member, topic, SEARCH, deadline).await {
            Err(error) if error.class != ErrorClass::Transient => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Finds out whether patterns match no topic: a member does not even join its group then.
async fn look_for_matches(member: &Member, line: &Line, settings: &SourceSettings) {
    if !settings.has_only_patterns() {
        return;
    }
    let listed = member.call(|consumer| {
        let listed = consumer.fetch_metadata(None, LISTING)?;
        let names = listed.topics().iter().map(|topic| topic.name().to_owned());
        KafkaResult::Ok(names.collect::<Vec<_>>())
    });
    let Ok(Ok(names)) = listed.await else { return };
    let matched = names.iter().any(|name| settings.may_read(name));
    if !matched && !line.is_unmatched() {
        tracing::warn!(group = %settings.group, topic = %settings.topics.join(", "), "no topic matches the pattern");
    }
    line.set_unmatched(!matched);
}

struct Poller {
    member: Member,
    line: Arc<Line>,
    settings: Arc<SourceSettings>,
    keeper: Option<Keeper>,
    paused: bool,
    /// Names of topics, shared by their messages.
    topics: Vec<ByteString>,
}

impl Poller {
    async fn run(mut self) {
        let line = self.line.clone();
        let member = self.member.clone();
        let measuring = measure(member.clone(), line.clone(), self.settings.clone());
        let measuring = tokio::spawn(measuring.in_current_span());
        let polled = self.poll(&member).await;
        measuring.abort();
        // Its handle of the consumer must be gone before ours leaves.
        drop(measuring.await);
        if let Err(error) = polled {
            line.fail(error);
            // Open batches may still be committed.
            while !line.is_over() {
                line.stir.notified().await;
            }
        }
    }

    async fn poll(&mut self, member: &Member) -> Result<(), SystemError> {
        let mut stream = member.consumer().stream();
        let mut full_since: Option<Instant> = None;
        while !self.line.is_over() {
            while let Some(duty) = member.duty() {
                self.serve(duty).await?;
            }
            if self.line.is_full() && !self.paused {
                let until = *full_since.get_or_insert_with(Instant::now) + STALL;
                if timeout_at(until, self.line.stir.notified()).await.is_err() {
                    self.pause(true).await?;
                }
                continue;
            }
            full_since = None;
            if self.paused && self.line.has_room() && !self.line.is_ending() {
                self.pause(false).await?;
            }
            tokio::select! {
                item = stream.next() => {
                    if let Some(item) = item {
                        self.take(item, &mut stream).await?;
                    }
                }
                () = self.line.stir.notified() => {}
            }
        }
        Ok(())
    }

    /// Takes what has come.
    async fn take(
        &mut self,
        first: KafkaResult<BorrowedMessage<'_>>,
        stream: &mut MessageStream<'_, Context>,
    ) -> Result<(), SystemError> {
        let (mut letters, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        let mut failure = None;
        while let Some(item) = next {
            match item {
                Ok(message) => {
                    let topic = self.topic(message.topic());
                    let letter = Letter::copy(&message, topic);
                    bytes += letter.size();
                    letters.push(letter);
                }
                // It stands behind the messages before it.
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
            next = if letters.len() < CHUNK && bytes < CHUNK_BYTES {
                stream.next().now_or_never().flatten()
            } else {
                None
            };
        }
        if !letters.is_empty() {
            self.member.health().end_outage();
            self.line.push(letters);
        }
        match failure {
            Some(error) => self.note(error).await,
            None => Ok(()),
        }
    }

    fn topic(&mut self, name: &str) -> ByteString {
        if let Some(known) = self.topics.iter().find(|known| **known == name) {
            return known.clone();
        }
        let name = ByteString::from(name);
        self.topics.push(name.clone());
        name
    }

    /// Looks at what the library complains of; most of it heals by itself.
    async fn note(&mut self, told: KafkaError) -> Result<(), SystemError> {
        let (code, fatal) = match &told {
            KafkaError::PartitionEOF(partition) => {
                self.member.health().end_outage();
                self.line.end_of(*partition);
                return Ok(());
            }
            KafkaError::MessageConsumptionFatal(code) => (*code, true),
            other => match other.rdkafka_error_code() {
                Some(code) => (code, false),
                None => return Ok(()),
            },
        };
        let reason = self.member.health().last_error();
        let reason = reason
            .filter(|(of, _)| *of == code)
            .map(|(_, reason)| reason);
        match code {
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
                look_for_topics(&self.member, &self.settings).await
            }
            Code::Authentication | Code::SaslAuthenticationFailed => {
                let reason = reason.unwrap_or_else(|| code.to_string());
                let brokers = &self.settings.brokers;
                Err(error::refused_credentials(brokers, code, &reason))
            }
            Code::AutoOffsetReset if self.settings.reset != Reset::Error => {
                Err(error::out_of_range(&self.settings))
            }
            _ if fatal || error::ends_a_source(code) => {
                Err(error::unreadable(code, reason.as_deref(), &self.settings))
            }
            _ => {
                tracing::debug!(error = %told, reason, group = %self.settings.group, "kafka consumer complains");
                Ok(())
            }
        }
    }

    /// Stops or resumes the library's fetching.
    async fn pause(&mut self, pause: bool) -> Result<(), SystemError> {
        let called = self.member.call(move |consumer| {
            let all = consumer.assignment()?;
            if pause {
                consumer.pause(&all)
            } else {
                consumer.resume(&all)
            }
        });
        if let Err(error) = called.await? {
            return Err(error::failed("pause or resume partitions", &error));
        }
        self.paused = pause;
        Ok(())
    }

    async fn serve(&mut self, duty: Duty) -> Result<(), SystemError> {
        match duty {
            Duty::Assign(list) => self.begin(list).await,
            Duty::Revoke(list, lost) => self.give_up(list, lost).await,
        }
    }

    async fn begin(&mut self, list: TopicPartitionList) -> Result<(), SystemError> {
        let beginnings = self.beginnings(places(&list)).await?;
        let mut begun = TopicPartitionList::with_capacity(beginnings.len());
        for ((topic, partition), offset) in &beginnings {
            begun
                .add_partition_offset(topic, *partition, *offset)
                .map_err(|error| error::failed("begin to read", &error))?;
        }
        tracing::debug!(group = %self.settings.group, partitions = beginnings.len(), "partitions are ours");
        // Before their first message can come.
        self.line
            .assign(beginnings.into_iter().map(|(place, offset)| {
                let position = match offset {
                    Offset::Offset(position) => position,
                    _ => 0,
                };
                (place, position)
            }));
        self.member.answer(Duty::Assign(begun)).await?;
        self.paused = false;
        Ok(())
    }

    /// Where to begin in each partition: where the table says, if offsets are kept in one; else where the group stands.
    async fn beginnings(&self, wanted: Vec<Place>) -> Result<Vec<(Place, Offset)>, SystemError> {
        let kept = match &self.keeper {
            Some(keeper) if !wanted.is_empty() => keeper.kept().await?,
            _ => Vec::new(),
        };
        let (mut begun, mut unknown) = (Vec::with_capacity(wanted.len()), Vec::new());
        for place in wanted {
            match offsets::find(&kept, &place) {
                Some(offset) => begun.push((place, Offset::Offset(offset))),
                None => unknown.push(place),
            }
        }
        let known = begun.len();
        let reset = self.settings.reset;
        let called = self
            .member
            .call(move |consumer| beginnings(consumer, unknown, reset));
        let mut found = called
            .await?
            .map_err(|error| error::failed("read the committed offsets", &error))?;
        if let Some(keeper) = &self.keeper {
            found = keeper.begin(found).await?;
        }
        begun.append(&mut found);
        let strays = self.strays(&begun).await?;
        for stray in &strays {
            begun[stray.index].1 = Offset::Offset(stray.low);
        }
        let moved = |index: &usize| *index < known || strays.iter().any(|one| one.index == *index);
        let told: Vec<_> = (0..begun.len()).filter(moved).collect();
        let told: Vec<_> = told.into_iter().map(|index| begun[index].clone()).collect();
        if !told.is_empty() {
            let told = self.member.call(move |consumer| tell(consumer, &told));
            if let Err(error) = told.await? {
                tracing::debug!(%error, group = %self.settings.group, "the brokers do not know where the group begins");
            }
        }
        Ok(begun)
    }

    /// Beginnings that are not in their topic any more. They are moved to its first message, where they are kept.
    async fn strays(&self, begun: &[(Place, Offset)]) -> Result<Vec<Stray>, SystemError> {
        let places: Vec<_> = begun.iter().map(|(place, _)| place.clone()).collect();
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let called = self.member.call(move |consumer| {
            let lows = edges(consumer, &places, Offset::Beginning, ANSWER)?;
            let ends = edges(consumer, &places, Offset::End, ANSWER)?;
            KafkaResult::Ok((lows, ends))
        });
        let (lows, ends) = called
            .await?
            .map_err(|error| error::failed("ask for the ends of partitions", &error))?;
        let strays = stray::find(begun, &lows, &ends);
        let table = self.settings.options.offset_table.as_deref();
        if let (Reset::Error, [first, ..]) = (self.settings.reset, &*strays) {
            return Err(first.refused(table));
        }
        if let (Some(keeper), false) = (&self.keeper, strays.is_empty()) {
            keeper.correct(&strays).await?;
        }
        for stray in &strays {
            let (group, found) = (&*self.settings.group, stray.told(table));
            tracing::warn!(group, "{found}: reading begins at {}", stray.low);
        }
        Ok(strays)
    }

    async fn give_up(&mut self, list: TopicPartitionList, lost: bool) -> Result<(), SystemError> {
        let leaving = places(&list);
        tracing::debug!(group = %self.settings.group, partitions = leaving.len(), lost, "partitions are given up");
        if !lost {
            self.line.leave(&leaving);
            let deadline = Instant::now() + self.settings.handover();
            if !self.line.let_go(&leaving, deadline).await {
                let group = &*self.settings.group;
                tracing::warn!(
                    group,
                    "a batch holds messages of partitions that are wanted by the group: it will be read again"
                );
            }
        }
        self.line.lose(&leaving);
        self.member.answer(Duty::Revoke(list, lost)).await
    }
}
