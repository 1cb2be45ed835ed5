//! Reads batches of messages. We are at the begin of the path: a read is a batch of deliveries, and the [claim](super::lane) on their tags.
//!
//! Order is kept by one consumer on one channel. A channel that ends gives back what was delivered; a new consumer begins only when the broker no
//! longer counts its predecessor, or it would be served behind what that one still holds.

use std::sync::Arc;
use std::time::Duration;

use dajet_core::contract::Databases;
use dajet_core::{
    BoxFuture, BrokerSpec, Environment, Limit, Read, Signs, Source, SystemError, Value,
};
use futures::StreamExt;
use lapin::Consumer;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicGetOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::address::Target;
use super::attempts::{Attempts, Mark};
use super::delivery;
use super::lane::{Attached, Batch, DeliveryClaim, Lane};
use super::line::Line;
use super::link::Dial;
use super::poison::{CONFIRMATION, DeadLetters};
use super::pool::Purpose;
use super::settings::{SourceOptions, source_options};

/// How long a read waits for a first message.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a predecessor is waited for.
const PREDECESSOR: Duration = Duration::from_secs(10);
/// Longest wait for a connection and for an answer.
const ANSWER: Duration = Duration::from_secs(30);
/// Signs of life come at least so often.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long a broker may have messages and send none, before we connect anew.
const SILENCE: Duration = Duration::from_secs(15);
/// How often the broker is asked how many messages wait.
const MEASURE: Duration = Duration::from_secs(5);
/// A mean message, as long as none is known.
const MEAN_BYTES: usize = 8 * 1024;

/// Opens a source; connects at the first read.
///
/// # Errors
/// `Misconfigured`: a wrong address, an option that is missing, unknown or wrong.
pub fn open_source(
    spec: &BrokerSpec,
    environment: &Environment,
    _: Databases<'_>,
) -> Result<Box<dyn Source>, SystemError> {
    let target = Target::parse(&spec.address)?;
    let options = source_options(&spec.options)?;
    let dial = Dial {
        heartbeat: options.heartbeat.min(HEARTBEAT),
        connection_timeout: ANSWER,
        call_timeout: ANSWER,
        patience: CONFIRMATION,
        name: environment.session_name.clone(),
        root: environment.root.clone(),
        signs: Signs::default(),
    };
    let attempts = options
        .max_attempts
        .map(|max| Attempts::new(target.identity.clone(), options.queue.clone(), max));
    Ok(Box::new(AmqpSource {
        letters: DeadLetters::new(&options, &target, &dial),
        target,
        dial,
        options,
        permits: spec.permits.max(1),
        attempts,
        mean_bytes: None,
        reader: None,
    }))
}

/// A source of one pipeline, with a channel of its own.
struct AmqpSource {
    target: Target,
    dial: Dial,
    options: SourceOptions,
    permits: usize,
    attempts: Option<Attempts>,
    letters: DeadLetters,
    /// Mean size of recent messages.
    mean_bytes: Option<usize>,
    reader: Option<Reader>,
}

/// A consumer at work. Whoever reads owns it, so that a read that is given up closes it.
struct Reader {
    lane: Arc<Lane>,
    consumer: Consumer,
    prefetch: u16,
    /// Delivered, but too large for the batch before.
    left: Option<Delivery>,
    checked: Instant,
    /// Since when the broker has had messages for us and has sent none.
    silent: Option<Instant>,
}

impl Source for AmqpSource {
    fn show(&mut self, signs: &Signs) {
        self.dial.signs = signs.clone();
    }

    fn read<'a>(
        &'a mut self,
        limit: Limit,
        _: &'a [Value],
    ) -> BoxFuture<'a, Result<Read, SystemError>> {
        Box::pin(async move {
            let mut reader = match self.reader.take() {
                Some(reader) if reader.lane.is_ended() => {
                    return Err(self.ended(reader).await);
                }
                Some(reader) if !self.is_ill_fitting(&reader, limit) => reader,
                // Its messages go back, and come again in a number that fits.
                other => {
                    drop(other);
                    self.attach(limit).await?
                }
            };
            let read = self.read_from(&mut reader, limit).await?;
            self.reader = Some(reader);
            Ok(read)
        })
    }
}

impl AmqpSource {
    async fn read_from(&mut self, reader: &mut Reader, limit: Limit) -> Result<Read, SystemError> {
        if reader.checked.elapsed() >= MEASURE {
            self.ready(reader).await?;
        }
        let Some(first) = self.first(reader, limit).await? else {
            let complete = limit.wait_for_locked && self.is_empty(reader).await?;
            if reader.left.is_none() {
                return Ok(Read::Empty { complete });
            }
            return Box::pin(self.read_from(reader, limit)).await;
        };
        let deliveries = self.fill(reader, first, limit).await?;
        self.learn(&deliveries);
        let batch = Batch {
            first: deliveries[0].delivery_tag,
            last: deliveries[deliveries.len() - 1].delivery_tag,
            records: deliveries.len(),
            head: Mark::of(&deliveries[0]),
        };
        let (records, keys) = delivery::records(deliveries);
        let claim = DeliveryClaim::new(
            reader.lane.clone(),
            self.target.identity.clone(),
            batch,
            self.attempts.clone(),
            reader.prefetch,
        );
        Ok(Read::Batch {
            records,
            keys,
            claim: Box::new(claim),
        })
    }

    /// Waits for the first message of a batch; puts aside those that have failed too often.
    async fn first(
        &mut self,
        reader: &mut Reader,
        limit: Limit,
    ) -> Result<Option<Delivery>, SystemError> {
        // A read that decides that the queue is empty asks the broker instead of waiting.
        let patience = if limit.wait_for_locked {
            self.options.batch_timeout
        } else {
            PATIENCE
        };
        let deadline = Instant::now() + patience.min(PATIENCE);
        while let Some(delivery) = reader.next(deadline).await? {
            let Some(attempts) = &self.attempts else {
                return Ok(Some(delivery));
            };
            match attempts.exhausted(Mark::of(&delivery)) {
                Some(failures) => {
                    self.letters
                        .put_aside(&reader.lane, delivery, failures)
                        .await?;
                    attempts.passed(1);
                }
                None => return Ok(Some(delivery)),
            }
        }
        if reader.checked.elapsed() >= self.options.heartbeat.max(Duration::from_secs(1)) {
            self.ready(reader).await?;
        }
        Ok(None)
    }

    /// Gathers a batch until it is full, large, or its time is over.
    async fn fill(
        &self,
        reader: &mut Reader,
        first: Delivery,
        limit: Limit,
    ) -> Result<Vec<Delivery>, SystemError> {
        let one_by_one = self.attempts.as_ref().is_some_and(Attempts::one_by_one);
        let records_max = if one_by_one {
            1
        } else {
            self.options.batch_max()
        };
        let deadline = Instant::now() + self.options.batch_timeout;
        let mut bytes = delivery::size(&first);
        let mut deliveries = vec![first];
        while deliveries.len() < records_max && bytes < limit.bytes {
            let Some(delivery) = reader.next(deadline).await? else {
                break;
            };
            bytes += delivery::size(&delivery);
            if bytes > limit.bytes {
                reader.left = Some(delivery);
                break;
            }
            deliveries.push(delivery);
        }
        Ok(deliveries)
    }

    fn learn(&mut self, deliveries: &[Delivery]) {
        let bytes: usize = deliveries.iter().map(delivery::size).sum();
        let mean = bytes / deliveries.len();
        self.mean_bytes = Some(self.mean_bytes.map_or(mean, |before| (before + mean) / 2));
    }

    /// True if the broker has no message for us and we have none that is not acknowledged. Asked twice: a message may be on its way to us.
    async fn is_empty(&self, reader: &mut Reader) -> Result<bool, SystemError> {
        for _ in 0..2 {
            if reader.lane.open() > 0 || self.ready(reader).await? > 0 {
                return Ok(false);
            }
            let deadline = Instant::now() + self.options.batch_timeout.min(PATIENCE);
            if let Some(delivery) = reader.next(deadline).await? {
                reader.left = Some(delivery);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Asks the broker how many messages wait in the queue, and so whether it lives and knows of our consumer.
    ///
    /// # Errors
    /// Those of the call; `Transient` if messages wait for long while we could take them, and nobody else is there to.
    async fn ready(&self, reader: &mut Reader) -> Result<u32, SystemError> {
        let (messages, consumers) = self.ask(reader.lane.line()).await?;
        reader.checked = Instant::now();
        let ours = Attached::count(&self.target.identity, &self.options.queue);
        if messages == 0 || reader.lane.open() > 0 || reader.left.is_some() || consumers > ours {
            reader.silent = None;
            return Ok(messages);
        }
        let since = *reader.silent.get_or_insert(reader.checked);
        if since.elapsed() >= SILENCE {
            let queue = &self.options.queue;
            let message =
                format!("the broker has {messages} messages in queue \"{queue}\" and sends none");
            return Err(SystemError::transient("E_AMQP", message));
        }
        Ok(messages)
    }

    /// Messages that wait, and consumers.
    async fn ask(&self, line: &Line) -> Result<(u32, u32), SystemError> {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let declared = line
            .channel()
            .queue_declare(self.queue(), passive, FieldTable::default());
        let doing = format!("read queue \"{}\"", self.options.queue);
        let queue = line.call(&doing, declared).await?;
        self.dial.signs.show_lag(u64::from(queue.message_count()));
        Ok((queue.message_count(), queue.consumer_count()))
    }

    fn queue(&self) -> ShortString {
        (&*self.options.queue).into()
    }

    /// The error of a consumer that has ended since the last read.
    async fn ended(&self, mut reader: Reader) -> SystemError {
        // What ended it stands behind what it has delivered; only a cause that is there already is told.
        while let Ok(told) = timeout(Duration::ZERO, reader.next(Instant::now())).await {
            match told {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return error,
            }
        }
        let message = format!("the consumer of queue \"{}\" has ended", self.options.queue);
        SystemError::transient("E_AMQP", message)
    }

    /// Most messages delivered ahead, so that those of all open batches and of the next one fit, and so do their bytes.
    fn prefetch(&self, limit: Limit) -> u16 {
        if let Some(count) = self.options.prefetch_count {
            return count;
        }
        let batches = self.permits + 1;
        let bytes = match self.options.prefetch_size {
            0 => limit.bytes.saturating_mul(batches),
            bytes => usize::try_from(bytes).unwrap_or(usize::MAX),
        };
        let fitting = bytes / self.mean_bytes.unwrap_or(MEAN_BYTES).max(1);
        let wanted = self
            .options
            .batch_max()
            .saturating_mul(batches)
            .min(fitting);
        u16::try_from(wanted.max(batches)).unwrap_or(u16::MAX)
    }

    /// True if the messages are much larger or smaller than thought, and nothing is open that would be lost.
    fn is_ill_fitting(&self, reader: &Reader, limit: Limit) -> bool {
        if self.mean_bytes.is_none() || reader.lane.open() > 0 || reader.left.is_some() {
            return false;
        }
        let (now, wanted) = (
            usize::from(reader.prefetch),
            usize::from(self.prefetch(limit)),
        );
        now > wanted * 4 || wanted > now * 8
    }

    /// Connects and begins to consume.
    async fn attach(&mut self, limit: Limit) -> Result<Reader, SystemError> {
        self.letters.check().await?;
        let line = Line::open(&self.target, &self.dial, Purpose::Consume).await?;
        let alone = self.await_predecessor(&line).await?;
        // Without a look at a message, a thousand large ones might come at once. (Not beside another consumer: they are its.)
        let mut left = None;
        if alone && self.mean_bytes.is_none() && self.options.prefetch_count.is_none() {
            left = self.peek(&line).await?;
        }
        let prefetch = self.prefetch(limit);
        let doing = format!("read queue \"{}\"", self.options.queue);
        let qos = line
            .channel()
            .basic_qos(prefetch, BasicQosOptions { global: false });
        line.call(&doing, qos).await?;
        let attached = Attached::attach(&self.target.identity, &self.options.queue);
        let begun = line.channel().basic_consume(
            self.queue(),
            ShortString::default(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let consumer = line.call(&doing, begun).await?;
        tracing::debug!(queue = %self.options.queue, prefetch, "rabbitmq consumer has begun");
        Ok(Reader {
            lane: Arc::new(Lane::new(line, consumer.clone(), attached)),
            consumer,
            prefetch,
            left,
            checked: Instant::now(),
            silent: None,
        })
    }

    /// Waits until the broker counts no consumers but those of this process; false if there are any.
    async fn await_predecessor(&self, line: &Line) -> Result<bool, SystemError> {
        let deadline = Instant::now() + PREDECESSOR;
        loop {
            let (_, consumers) = self.ask(line).await?;
            let ours = Attached::count(&self.target.identity, &self.options.queue);
            if consumers <= ours {
                return Ok(consumers == 0);
            }
            if Instant::now() >= deadline {
                let queue = &*self.options.queue;
                tracing::warn!(
                    queue,
                    "the queue has other consumers: its order is not kept between them"
                );
                return Ok(false);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Takes the first message of the queue, which becomes the first of the first batch.
    async fn peek(&mut self, line: &Line) -> Result<Option<Delivery>, SystemError> {
        let got = line
            .channel()
            .basic_get(self.queue(), BasicGetOptions { no_ack: false });
        let doing = format!("read queue \"{}\"", self.options.queue);
        let first = line
            .call(&doing, got)
            .await?
            .map(|message| message.delivery);
        if let Some(first) = &first {
            self.mean_bytes = Some(delivery::size(first));
        }
        Ok(first)
    }
}

impl Reader {
    /// The next message, `None` if none comes until the deadline.
    async fn next(&mut self, deadline: Instant) -> Result<Option<Delivery>, SystemError> {
        if let Some(delivery) = self.left.take() {
            return Ok(Some(delivery));
        }
        match timeout_at(deadline, self.consumer.next()).await {
            Err(_) => Ok(None),
            Ok(Some(Ok(delivery))) => {
                self.silent = None;
                Ok(Some(delivery))
            }
            Ok(Some(Err(error))) => Err(self.lane.line().failed(&self.doing(), &error)),
            Ok(None) => {
                let queue = self.consumer.queue();
                let message = format!("the broker has ended the consumer of queue \"{queue}\"");
                Err(SystemError::transient("E_AMQP", message)
                    .with_hint("The queue was deleted, or its node has gone."))
            }
        }
    }

    fn doing(&self) -> String {
        format!("read queue \"{}\"", self.consumer.queue())
    }
}
