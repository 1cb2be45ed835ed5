//! Sends messages in order and awaits the confirmation of each one.
//!
//! A returned message may hang on the wrong confirmation, even on one of a later batch. So one batch at a time is on a channel, and any returned
//! message fails the whole batch. Deliberately not here: the library's `wait_for_confirms`, which is content with messages that were refused.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use dajet_core::{ErrorClass, SystemError};
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Confirmation, Error};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

use super::address::Target;
use super::error;
use super::line::Line;
use super::link::{CLOSING, Dial};
use super::message::Message;
use super::pool::Purpose;

/// Most bytes of messages on their way: the library's buffer has no bound of its own.
const BYTES_MAX: usize = 4 << 20;
/// A message so large is taken for granted.
const BYTES_USUAL: usize = 64 << 10;
/// Exchanges remembered.
const EXCHANGES_MAX: usize = 1000;

/// How messages are sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Most messages on their way.
    pub(super) window: usize,
    /// From the first message to the last confirmation.
    pub(super) limit: Duration,
}

/// A channel whose messages are confirmed.
pub(super) struct Outlet {
    line: Line,
    proven: Mutex<Proven>,
}

/// What the broker has taken from this channel. A message of a new kind goes alone: if the broker closes the channel because of it, no other one is on
/// its way, for that would end the connection of all.
#[derive(Default)]
struct Proven {
    exchanges: BTreeSet<ShortString>,
    bytes: usize,
}

impl Proven {
    fn holds(&self, message: &Message) -> bool {
        message.body.len() <= self.bytes.max(BYTES_USUAL)
            && self.exchanges.contains(&message.exchange)
    }

    fn learn(&mut self, message: &Message) {
        self.bytes = self.bytes.max(message.body.len());
        if !self.exchanges.contains(&message.exchange) {
            if self.exchanges.len() >= EXCHANGES_MAX {
                self.exchanges.pop_first();
            }
            self.exchanges.insert(message.exchange.clone());
        }
    }
}

impl Outlet {
    /// Opens it.
    ///
    /// # Errors
    /// `Transient` or `Misconfigured`.
    pub(super) async fn open(target: &Target, dial: &Dial) -> Result<Self, SystemError> {
        let line = Line::open(target, dial, Purpose::Publish).await?;
        let confirming = line
            .channel()
            .confirm_select(ConfirmSelectOptions::default());
        line.call("have messages confirmed", confirming).await?;
        Ok(Self {
            line,
            proven: Mutex::default(),
        })
    }

    pub(super) fn line(&self) -> &Line {
        &self.line
    }

    /// Sends the messages and awaits every confirmation, unless `given_up` comes first. After an error it is closed.
    ///
    /// # Errors
    /// Any class.
    pub(super) async fn publish(
        &self,
        messages: &[Message],
        pace: Pace,
        given_up: impl Future<Output = ()>,
    ) -> Result<(), SystemError> {
        let mut flying = FuturesOrdered::new();
        let mut proven = std::mem::take(&mut *self.proven.lock());
        let sent = {
            let work = send_all(
                &self.line,
                messages,
                pace,
                (&mut flying, &mut proven),
                |message| send(&self.line, message),
            );
            tokio::select! {
                biased;
                sent = work => sent,
                () = given_up => Err(SystemError::transient("E_CONFIRM", "the batch was given up")),
            }
        };
        *self.proven.lock() = proven;
        if sent.is_err() {
            self.line.will_end();
            if self.line.blocked().is_none() {
                // What the library holds cannot be taken back, and must not come behind the end of the channel.
                let _ = timeout(CLOSING, settle(&self.line, &mut flying)).await;
            }
            // Whether the broker has heard the end changes nothing for this batch.
            let _ = self.line.close(()).await;
        }
        sent
    }
}

/// The order on the wire is that of the messages.
async fn send_all<'a, F: Future<Output = Result<(), Failure>>>(
    line: &Line,
    messages: &'a [Message],
    pace: Pace,
    (flying, proven): (&mut FuturesOrdered<F>, &mut Proven),
    send: impl Fn(&'a Message) -> F,
) -> Result<(), SystemError> {
    let deadline = Instant::now() + pace.limit;
    let (mut sent, mut confirmed, mut bytes) = (0, 0, 0);
    // The message sent last is of a new kind.
    let mut new = false;
    loop {
        while let Some(message) = messages.get(sent)
            && flying.len() < pace.window
            && (bytes == 0 || bytes + message.body.len() <= BYTES_MAX)
        {
            let known = proven.holds(message);
            if sent > confirmed && (new || !known) {
                break;
            }
            new = !known;
            bytes += message.body.len();
            flying.push_back(send(message));
            sent += 1;
        }
        let ended = match timeout_at(deadline, flying.next()).await {
            Ok(None) => return Ok(()),
            Ok(Some(ended)) => ended,
            Err(_) => {
                let left = messages.len() - confirmed;
                return Err(overdue(line, left, messages.len(), pace));
            }
        };
        if let Err(failure) = ended {
            return Err(told(line, messages, confirmed, failure));
        }
        if new {
            proven.learn(&messages[confirmed]);
        }
        bytes -= messages[confirmed].body.len();
        confirmed += 1;
    }
}

/// Waits until the library has sent what it was given.
async fn settle<F: Future>(line: &Line, flying: &mut FuturesOrdered<F>) {
    poll_fn(|context| {
        while let Poll::Ready(Some(_)) = flying.poll_next_unpin(context) {}
        if line.unsent() == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// How a message ended that the broker has not taken.
enum Failure {
    Refused,
    Returned(Box<BasicReturnMessage>),
    Broken(Error),
}

/// The order on the wire is that of the first polls.
async fn send(line: &Line, message: &Message) -> Result<(), Failure> {
    let options = BasicPublishOptions {
        mandatory: message.mandatory,
        immediate: false,
    };
    line.sending();
    let sent = line
        .channel()
        .basic_publish(
            message.exchange.clone(),
            message.routing_key.clone(),
            options,
            &message.body,
            message.properties.clone(),
        )
        .await;
    line.sent();
    let confirmation = sent
        .map_err(Failure::Broken)?
        .await
        .map_err(Failure::Broken)?;
    match confirmation {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
            Err(Failure::Returned(Box::new(returned)))
        }
        Confirmation::Nack(None) | Confirmation::NotRequested => Err(Failure::Refused),
    }
}

fn told(line: &Line, messages: &[Message], index: usize, failure: Failure) -> SystemError {
    let mut error = match failure {
        Failure::Refused => refused(messages, index),
        Failure::Returned(message) => returned(messages, &message),
        Failure::Broken(error) => broken(line, messages, &error),
    };
    error.code = "E_CONFIRM";
    error
}

/// A queue does not take the message.
fn refused(messages: &[Message], index: usize) -> SystemError {
    let Message {
        exchange,
        routing_key,
        ..
    } = &messages[index];
    let mut error = SystemError::transient(
        "E_CONFIRM",
        format!(
            "{} refuses a message",
            named(exchange.as_str(), routing_key.as_str())
        ),
    )
    .with_native_code("basic.nack")
    .with_hint("A queue is full (overflow reject-publish), or the broker cannot store it.");
    error.record = Some(index);
    error
}

/// No queue takes the message: its record is found by what came back.
fn returned(messages: &[Message], back: &BasicReturnMessage) -> SystemError {
    let (exchange, key) = (back.exchange.as_str(), back.routing_key.as_str());
    let same = |message: &&Message| {
        message.exchange.as_str() == exchange && message.routing_key.as_str() == key
    };
    let record = messages
        .iter()
        .position(|m| same(&m) && m.body == back.data);
    // Of messages with headers the broker may have another form: any one of the same way is as good.
    let record = record.or_else(|| messages.iter().position(|m| same(&m)));
    let mut error = if exchange.is_empty() {
        SystemError::misconfigured("E_CONFIRM", format!("queue \"{key}\" does not exist"))
            .with_hint("Create it, or correct RoutingKey, which names the queue where there is no Exchange.")
    } else {
        let message =
            format!("no queue is bound to exchange \"{exchange}\" for routing key \"{key}\"");
        SystemError::rejected("E_CONFIRM", message)
            .with_hint("Bind a queue, or set Mandatory to false for messages that may vanish.")
    };
    error.record = record;
    error.with_native_code(format!("{} {}", back.reply_code, back.reply_text))
}

/// The channel or the connection has ended.
fn broken(line: &Line, messages: &[Message], error: &Error) -> SystemError {
    let mut told = line.failed("publish", error);
    if let Some(exchange) = error::missing_exchange(error) {
        told.message = format!("exchange \"{exchange}\" does not exist");
        told.hint = Some("Create it, or correct Exchange.".to_owned());
        told.record = messages
            .iter()
            .position(|message| message.exchange.as_str() == exchange);
    } else if error::is_size(error) && told.class == ErrorClass::Rejected {
        let sizes = messages
            .iter()
            .enumerate()
            .map(|(index, message)| (message.body.len(), index));
        told.record = sizes.max().map(|(_, index)| index);
    }
    told
}

fn overdue(line: &Line, left: usize, total: usize, pace: Pace) -> SystemError {
    let (place, limit) = (line.place(), pace.limit);
    let message = match line.blocked() {
        Some(reason) => format!("\"{place}\" blocks publishers for {limit:?}: {reason}"),
        None => format!("\"{place}\" does not confirm {left} of {total} messages within {limit:?}"),
    };
    SystemError::transient("E_CONFIRM", message)
        .with_hint("It may lack memory or disk space. PublisherConfirmsTimeout in WITH is the time that is waited.")
}

fn named(exchange: &str, key: &str) -> String {
    if exchange.is_empty() {
        format!("queue \"{key}\"")
    } else {
        format!("a queue behind exchange \"{exchange}\" for routing key \"{key}\"")
    }
}
