//! Puts aside messages that have failed too often: at a named exchange or queue, or where the queue itself sends what is rejected.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use dajet_core::SystemError;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicRejectOptions, ExchangeDeclareOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, ExchangeKind};

use super::address::Target;
use super::headers::{BLIND_COPY, CARBON_COPY};
use super::lane::Lane;
use super::line::Line;
use super::link::Dial;
use super::message::Message;
use super::pool::Purpose;
use super::publish::{Outlet, Pace};
use super::settings::SourceOptions;

/// Longest wait for the confirmation of a message put aside.
pub(super) const CONFIRMATION: Duration = Duration::from_secs(60);

/// Where messages are put aside.
pub(super) struct DeadLetters {
    /// The queue they come from.
    queue: Arc<str>,
    /// Where they go, if the script says it.
    name: Option<Arc<str>>,
    /// True if the name is an exchange's; known once it was looked for.
    is_exchange: Option<bool>,
    target: Target,
    dial: Dial,
    /// On another connection: one that is blocked for publishers cannot acknowledge either.
    way: Option<Outlet>,
}

impl DeadLetters {
    pub(super) fn new(options: &SourceOptions, target: &Target, dial: &Dial) -> Self {
        Self {
            queue: options.queue.clone(),
            name: options.dead_letter.clone(),
            is_exchange: None,
            target: target.clone(),
            dial: dial.clone(),
            way: None,
        }
    }

    /// Looks for the exchange or queue, before there is anything to put aside.
    ///
    /// # Errors
    /// `Misconfigured` if there is neither.
    pub(super) async fn check(&mut self) -> Result<(), SystemError> {
        let (Some(name), None) = (&self.name, self.is_exchange) else {
            return Ok(());
        };
        let Ok(short) = ShortString::try_new(&**name) else {
            let message = "option \"DeadLetter\" takes a text of at most 255 bytes";
            return Err(SystemError::misconfigured("E_PARAM", message));
        };
        // An unknown name ends the channel.
        let line = Line::open(&self.target, &self.dial, Purpose::Consume).await?;
        let passive = ExchangeDeclareOptions {
            passive: true,
            ..ExchangeDeclareOptions::default()
        };
        let kind = ExchangeKind::Direct;
        let exchange =
            line.channel()
                .exchange_declare(short.clone(), kind, passive, FieldTable::default());
        let found = line.call("find the dead-letter exchange", exchange).await;
        if found.is_ok() {
            self.is_exchange = Some(true);
            return line.close(()).await;
        }
        let line = Line::open(&self.target, &self.dial, Purpose::Consume).await?;
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = line
            .channel()
            .queue_declare(short, passive, FieldTable::default());
        line.call("find the dead-letter queue", queue)
            .await
            .map_err(|mut error| {
                error.hint = Some(format!(
                    "DeadLetter \"{name}\" is neither an exchange nor a queue. Without DeadLetter messages are rejected: the queue's own dead-letter exchange takes them."
                ));
                error
            })?;
        self.is_exchange = Some(false);
        line.close(()).await
    }

    /// Puts the message aside and acknowledges it.
    ///
    /// # Errors
    /// Any class; the message stays where it is then.
    pub(super) async fn put_aside(
        &mut self,
        lane: &Lane,
        delivery: Delivery,
        failures: u32,
    ) -> Result<(), SystemError> {
        let queue = &*self.queue.clone();
        let tag = delivery.delivery_tag;
        let message_id = delivery
            .properties
            .message_id()
            .as_ref()
            .map(ToString::to_string);
        let (line, channel) = (lane.line(), lane.line().channel());
        let Some(name) = self.name.clone() else {
            tracing::warn!(
                queue,
                tag,
                message_id,
                failures,
                "message rejected after too many failures"
            );
            let rejected = channel.basic_reject(tag, BasicRejectOptions { requeue: false });
            return line.call("reject a message", rejected).await;
        };
        self.send(&name, delivery, failures).await?;
        tracing::warn!(queue, tag, message_id, failures, dead_letter = %name, "message put aside after too many failures");
        let acknowledged = channel.basic_ack(tag, BasicAckOptions::default());
        line.call("acknowledge a message", acknowledged).await
    }

    async fn send(
        &mut self,
        name: &str,
        delivery: Delivery,
        failures: u32,
    ) -> Result<(), SystemError> {
        let outlet = match self.way.take() {
            Some(outlet) if !outlet.line().is_dead() => outlet,
            _ => Outlet::open(&self.target, &self.dial).await?,
        };
        let (exchange, routing_key) = match self.is_exchange {
            Some(true) => (name.into(), delivery.routing_key),
            _ => (ShortString::default(), name.into()),
        };
        let message = Message {
            exchange,
            routing_key,
            mandatory: true,
            properties: readdressed(&delivery.properties, &self.queue, failures),
            body: delivery.data.into(),
        };
        let pace = Pace {
            window: 1,
            limit: CONFIRMATION,
        };
        outlet.publish(&[message], pace, pending()).await?;
        self.way = Some(outlet);
        Ok(())
    }
}

/// The properties of a message that is put aside: what would end its life, have it refused or send copies of it is kept as a header only.
fn readdressed(original: &BasicProperties, queue: &str, failures: u32) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in original.headers().iter().flatten() {
        let name = match name.as_str() {
            CARBON_COPY => "dajet-cc".into(),
            BLIND_COPY => "dajet-bcc".into(),
            _ => name.clone(),
        };
        headers.insert(name, value.clone());
    }
    let long = |text: &str| AMQPValue::LongString(text.into());
    if let Some(expiration) = original.expiration() {
        headers.insert("dajet-expiration".into(), long(expiration.as_str()));
    }
    // The broker takes no other user than the one who is connected.
    if let Some(user) = original.user_id() {
        headers.insert("dajet-user-id".into(), long(user.as_str()));
    }
    headers.insert("dajet-queue".into(), long(queue));
    headers.insert(
        "dajet-failures".into(),
        AMQPValue::LongLongInt(failures.into()),
    );
    let mut made = BasicProperties::default().with_headers(headers);
    type Get = fn(&BasicProperties) -> &Option<ShortString>;
    type With = fn(BasicProperties, ShortString) -> BasicProperties;
    let texts: [(Get, With); 8] = [
        (
            BasicProperties::content_type,
            BasicProperties::with_content_type,
        ),
        (
            BasicProperties::content_encoding,
            BasicProperties::with_content_encoding,
        ),
        (
            BasicProperties::correlation_id,
            BasicProperties::with_correlation_id,
        ),
        (BasicProperties::reply_to, BasicProperties::with_reply_to),
        (
            BasicProperties::message_id,
            BasicProperties::with_message_id,
        ),
        (BasicProperties::kind, BasicProperties::with_type),
        (BasicProperties::app_id, BasicProperties::with_app_id),
        (
            BasicProperties::cluster_id,
            BasicProperties::with_cluster_id,
        ),
    ];
    for (get, with) in texts {
        if let Some(text) = get(original) {
            made = with(made, text.clone());
        }
    }
    if let Some(mode) = *original.delivery_mode() {
        made = made.with_delivery_mode(mode);
    }
    if let Some(priority) = *original.priority() {
        made = made.with_priority(priority);
    }
    if let Some(seconds) = *original.timestamp() {
        made = made.with_timestamp(seconds);
    }
    made
}
