//! Reads batches of messages. We are at the begin of the path: a read makes a batch of what the [task](super::poller) has taken from the library, and the
//! [claim](super::claim) on their offsets.
//!
//! Order is kept in each partition. What is given back is read again by another consumer, which begins at the committed offsets.

use std::sync::Arc;
use std::time::Duration;

use dajet_core::contract::Databases;
use dajet_core::{
    BoxFuture, BrokerSpec, Claim, Environment, ErrorClass, Identity, Limit, Read, Signs, Source,
    SystemError, Value,
};
use rdkafka::consumer::Consumer;
use tokio::time::{Instant, timeout_at};
use tracing::Span;

use super::attempts::Attempts;
use super::claim::OffsetClaim;
use super::consumer::{Member, ends};
use super::error;
use super::letter::{self, Letter};
use super::line::{Line, Taken};
use super::offsets::Keeper;
use super::poison::DeadLetters;
use super::poller;
use super::source_settings::SourceSettings;
use super::topics::{self, Asker};

/// How long a read waits for a first message.
const PATIENCE: Duration = Duration::from_millis(500);
/// Longest wait for a first answer of the brokers.
const CONNECTION: Duration = Duration::from_secs(10);
/// So long the library may try to reach the brokers again by itself.
const OUTAGE: Duration = Duration::from_secs(10);
/// A member that gets no partitions for so long has nothing to do.
const EMPTY_SHARE: Duration = Duration::from_secs(10);

/// Opens a source; connects at the first read.
///
/// # Errors
/// `Misconfigured`: an option is missing, unknown or wrong.
pub fn open_source(
    spec: &BrokerSpec,
    environment: &Environment,
    databases: Databases<'_>,
) -> Result<Box<dyn Source>, SystemError> {
    let settings = SourceSettings::new(&spec.options, environment)?;
    if !settings.overruled.is_empty() {
        let options = settings.overruled.join(", ");
        tracing::warn!(
            group = %settings.group, options,
            "kafka options have no effect: offsets are committed when their batch is delivered"
        );
    }
    let identity = settings.identity();
    Ok(Box::new(KafkaSource {
        attempts: settings
            .options
            .max_attempts
            .map(|max| Attempts::new(identity.clone(), max)),
        dead_letters: DeadLetters::new(&settings, environment),
        keeper: Keeper::new(&settings, spec, databases)?,
        settings: Arc::new(settings),
        identity,
        signs: Signs::default(),
        reader: None,
        line: None,
    }))
}

/// A source of one pipeline, with a consumer of its own.
struct KafkaSource {
    settings: Arc<SourceSettings>,
    identity: Identity,
    attempts: Option<Attempts>,
    dead_letters: Option<DeadLetters>,
    /// Where offsets are kept, if not by the brokers alone.
    keeper: Option<Keeper>,
    signs: Signs,
    reader: Option<Reader>,
    /// What the last consumer shares, for who waits until it has left its group.
    line: Option<Arc<Line>>,
}

/// A consumer at work.
struct Reader {
    line: Arc<Line>,
    member: Option<Member>,
}

impl Reader {
    fn member(&self) -> &Member {
        self.member.as_ref().expect("it is taken by drop alone")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // The last handle must not be ours when the consumer leaves.
        drop(self.member.take());
        self.line.abandon();
    }
}

impl Source for KafkaSource {
    fn show(&mut self, signs: &Signs) {
        self.signs = signs.clone();
    }

    fn read<'a>(
        &'a mut self,
        limit: Limit,
        _: &'a [Value],
    ) -> BoxFuture<'a, Result<Read, SystemError>> {
        Box::pin(async move {
            let reader = match self.reader.take() {
                Some(reader) if !reader.line.is_ending() => reader,
                Some(reader) => {
                    if let Some(error) = reader.line.failure() {
                        return Err(error);
                    }
                    drop(reader);
                    self.attach(limit).await?
                }
                None => self.attach(limit).await?,
            };
            // Nothing is taken from the line before the last await: a read that is dropped ends the consumer and nothing else.
            let read = self.read_from(&reader, limit).await?;
            self.reader = Some(reader);
            Ok(read)
        })
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            drop(self.reader.take());
            if let Some(line) = &self.line {
                line.left().await;
            }
        })
    }
}

impl KafkaSource {
    async fn read_from(&mut self, reader: &Reader, limit: Limit) -> Result<Read, SystemError> {
        let line = &reader.line;
        line.limit(limit.bytes);
        if !self.await_first(line, limit).await? {
            return self.nothing(reader, limit).await;
        }
        if let Some((letter, failures)) = self.exhausted(line) {
            return self.put_aside(reader, letter, failures).await;
        }
        let taken = self.fill(line, limit).await;
        Ok(match taken {
            Some(taken) => self.batch(reader, taken),
            None => Read::Empty { complete: false },
        })
    }

    /// Waits for a first message; false if none comes in time.
    async fn await_first(&self, line: &Line, limit: Limit) -> Result<bool, SystemError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(error) = line.failure() {
                return Err(error);
            }
            if line.waiting().0 > 0 {
                return Ok(true);
            }
            let ended = limit.wait_for_locked && line.seems_at_end();
            if ended || line.is_ending() || Instant::now() >= deadline {
                return Ok(false);
            }
            // Who comes late is found by the next turn.
            let _ = timeout_at(deadline, line.arrived.notified()).await;
        }
    }

    /// Waits until a batch is full or its time is over, and opens it.
    async fn fill(&self, line: &Line, limit: Limit) -> Option<Taken> {
        let options = &self.settings.options;
        let deadline = Instant::now() + options.batch_timeout;
        loop {
            let few = self.attempts.as_ref().map_or(usize::MAX, |attempts| {
                line.look(|letters| attempts.batch(letters.iter()))
            });
            let letters_max = options.batch_size.min(few);
            let (letters, bytes) = line.waiting();
            let full = letters >= letters_max || bytes >= limit.bytes || few < usize::MAX;
            if letters == 0 || full || timeout_at(deadline, line.arrived.notified()).await.is_err()
            {
                return line.take(letters_max, limit.bytes);
            }
        }
    }

    fn batch(&self, reader: &Reader, taken: Taken) -> Read {
        let claim = self.claim(reader, &taken);
        let (records, keys) = letter::records(taken.letters);
        Read::Batch {
            records,
            keys,
            claim: Box::new(claim),
        }
    }

    fn claim(&self, reader: &Reader, taken: &Taken) -> OffsetClaim {
        OffsetClaim::new(
            &reader.line,
            reader.member(),
            &self.identity,
            taken,
            self.attempts.clone(),
            self.keeper
                .as_ref()
                .map(|keeper| keeper.advances(&taken.stretches)),
        )
    }

    /// The first message, if it has failed too often, and its failures.
    fn exhausted(&self, line: &Line) -> Option<(Letter, u32)> {
        let attempts = self.attempts.as_ref()?;
        line.look(|letters| {
            let first = letters.front()?;
            Some((first.clone(), attempts.exhausted(first)?))
        })
    }

    /// Puts the first message aside. What is open before it has to be finished first, for its offset is committed.
    async fn put_aside(
        &mut self,
        reader: &Reader,
        letter: Letter,
        failures: u32,
    ) -> Result<Read, SystemError> {
        if !reader.line.alone(Instant::now() + PATIENCE).await {
            return Ok(Read::Empty { complete: false });
        }
        let Some(taken) = reader.line.take(1, usize::MAX) else {
            return Ok(Read::Empty { complete: false });
        };
        let same = taken
            .letters
            .first()
            .is_some_and(|first| (&first.place, first.offset) == (&letter.place, letter.offset));
        let Some(dead_letters) = self.dead_letters.as_mut().filter(|_| same) else {
            return Ok(self.batch(reader, taken));
        };
        dead_letters.send(&letter, failures).await?;
        if let Some(keeper) = &self.keeper {
            keeper.pass(&taken.stretches).await?;
        }
        Box::new(self.claim(reader, &taken)).commit().await?;
        Ok(Read::Empty { complete: false })
    }

    /// Nothing has come: finds out whether the brokers are there, and whether there is nothing more.
    async fn nothing(&self, reader: &Reader, limit: Limit) -> Result<Read, SystemError> {
        let outage = reader.member().health().outage();
        if outage.is_some_and(|outage| outage >= OUTAGE) {
            self.find_brokers(reader).await?;
        }
        let complete = limit.wait_for_locked && self.is_at_end(reader).await?;
        Ok(Read::Empty { complete })
    }

    async fn find_brokers(&self, reader: &Reader) -> Result<(), SystemError> {
        let mut named = self.settings.topics.iter();
        let topic = named.find(|topic| !topic.starts_with('^')).cloned();
        let asked = reader.member().call(move |consumer| {
            consumer
                .fetch_metadata(topic.as_deref(), PATIENCE)
                .map(drop)
        });
        let health = reader.member().health();
        if asked.await?.is_err() {
            return Err(topics::unreachable(health, OUTAGE));
        }
        health.end_outage();
        Ok(())
    }

    async fn is_at_end(&self, reader: &Reader) -> Result<bool, SystemError> {
        if reader.line.is_unmatched() {
            return Ok(true);
        }
        if let Some(idle) = reader.line.idle_member() {
            return Ok(idle >= EMPTY_SHARE);
        }
        let Some(places) = reader.line.quiet() else {
            return Ok(false);
        };
        let asked = reader.member().call(move |consumer| ends(consumer, places));
        match asked.await? {
            Ok(ends) => Ok(reader.line.is_at_end(&ends)),
            Err(error) => {
                tracing::debug!(%error, "the ends of partitions are not known");
                Ok(false)
            }
        }
    }

    /// Makes a consumer, looks for the topics, and joins the group.
    async fn attach(&mut self, limit: Limit) -> Result<Reader, SystemError> {
        let letters_max = self.settings.options.batch_size.saturating_mul(2);
        let line = Arc::new(Line::new(letters_max, limit.bytes, self.signs.clone()));
        let (settings, its_line) = (self.settings.clone(), line.clone());
        let span = Span::current();
        let make = move || span.in_scope(|| Member::new(&settings, &its_line));
        let made = tokio::task::spawn_blocking(make);
        let member = made
            .await
            .map_err(|error| SystemError::fault("a consumer was not made").with_source(error))??;
        self.line = Some(line.clone());
        let reader = Reader {
            line: line.clone(),
            member: Some(member.clone()),
        };
        poller::start(
            member.clone(),
            line,
            self.settings.clone(),
            self.keeper.clone(),
        );
        self.find_topics(&member).await?;
        let topics = self.settings.topics.clone();
        let subscribed = member.call(move |consumer| {
            consumer.subscribe(&topics.iter().map(|topic| &**topic).collect::<Vec<_>>())
        });
        if let Err(error) = subscribed.await? {
            let error = error::failed("subscribe", &error);
            return Err(
                SystemError::misconfigured("E_PARAM", error.message).with_hint(
                    "Topic takes a topic, a list with commas, or a pattern that begins with ^.",
                ),
            );
        }
        Ok(reader)
    }

    async fn find_topics(&self, member: &Member) -> Result<(), SystemError> {
        let asker = Arc::new(member.clone());
        let deadline = Instant::now() + CONNECTION;
        let named = self.settings.topics.iter().map(|topic| &**topic);
        for topic in named.filter(|topic| !topic.starts_with('^')) {
            topics::find(&asker, topic, CONNECTION, deadline).await?;
        }
        let Some(letters) = &self.dead_letters else {
            return Ok(());
        };
        let found = topics::find(&asker, letters.topic(), CONNECTION, deadline).await;
        found.map_err(|error| match error.class {
            ErrorClass::Misconfigured => error.with_hint("Create it, or correct DeadLetterTopic."),
            _ => error,
        })
    }
}
