//! Sends messages in order and awaits the confirmation of each one.
//!
//! A returned message may hang on the wrong confirmation, even on one of a later batch. So one batch at a time is on a channel, and any returned
//! message fails the whole batch. Deliberately not here: the library's `wait_for_confirms`, which is content with messages that were refused.

use std::time::Duration;

use dajet_core::{ErrorClass, SystemError};
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation, Error};
use tokio::time::{Instant, timeout_at};

use super::error;
use super::link::Link;
use super::message::Message;

/// Most bytes of messages on their way: the library's buffer has no bound of its own.
const BYTES_MAX: usize = 4 << 20;

/// How messages are sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Most messages on their way.
    pub(super) window: usize,
    /// From the first message to the last confirmation.
    pub(super) limit: Duration,
}

/// Opens a channel whose messages are confirmed.
///
/// # Errors
/// `Transient` or `Misconfigured`.
pub(super) async fn open(link: &Link) -> Result<Channel, SystemError> {
    let channel = link.channel().await?;
    let confirming = channel.confirm_select(ConfirmSelectOptions::default());
    link.call("have messages confirmed", confirming).await?;
    Ok(channel)
}

/// How a message ended that the broker has not taken.
enum Failure {
    Refused,
    Returned(Box<BasicReturnMessage>),
    Broken(Error),
}

/// Sends the messages and awaits every confirmation.
///
/// # Errors
/// Any class; the channel must not be used any more.
pub(super) async fn publish(
    link: &Link,
    channel: &Channel,
    messages: &[Message],
    pace: Pace,
) -> Result<(), SystemError> {
    let deadline = Instant::now() + pace.limit;
    let mut flying = FuturesOrdered::new();
    let (mut sent, mut confirmed, mut bytes) = (0, 0, 0);
    loop {
        while let Some(message) = messages.get(sent)
            && flying.len() < pace.window
            && (bytes == 0 || bytes + message.body.len() <= BYTES_MAX)
        {
            bytes += message.body.len();
            flying.push_back(send(channel, message));
            sent += 1;
        }
        let ended = match timeout_at(deadline, flying.next()).await {
            Ok(None) => return Ok(()),
            Ok(Some(ended)) => ended,
            Err(_) => {
                return Err(overdue(
                    link,
                    messages.len() - confirmed,
                    messages.len(),
                    pace,
                ));
            }
        };
        if let Err(failure) = ended {
            return Err(told(link, messages, confirmed, failure));
        }
        bytes -= messages[confirmed].body.len();
        confirmed += 1;
    }
}

/// The order on the wire is that of the first polls.
async fn send(channel: &Channel, message: &Message) -> Result<(), Failure> {
    let options = BasicPublishOptions {
        mandatory: message.mandatory,
        immediate: false,
    };
    let confirmation = channel
        .basic_publish(
            message.exchange.clone(),
            message.routing_key.clone(),
            options,
            &message.body,
            message.properties.clone(),
        )
        .await
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

fn told(link: &Link, messages: &[Message], index: usize, failure: Failure) -> SystemError {
    let mut error = match failure {
        Failure::Refused => refused(messages, index),
        Failure::Returned(message) => returned(messages, &message),
        Failure::Broken(error) => broken(link, messages, &error),
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
fn broken(link: &Link, messages: &[Message], error: &Error) -> SystemError {
    let mut told = link.failed("publish", error);
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

fn overdue(link: &Link, left: usize, total: usize, pace: Pace) -> SystemError {
    let (place, limit) = (link.place(), pace.limit);
    let message = match link.blocked() {
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
