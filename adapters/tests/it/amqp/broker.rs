//! The real broker of the tests: queues are made, filled and read here by the library itself.

use std::time::{Duration, Instant};

use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};

/// How long the broker may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// The kinds of queues that promise something.
pub const KINDS: [&str; 2] = ["classic", "quorum"];

/// The broker's address.
pub fn address() -> String {
    std::env::var("DAJET_TEST_AMQP")
        .expect("DAJET_TEST_AMQP is not set: run `docker/services.sh up` and `eval \"$(docker/services.sh env)\"`")
}

/// A name that no other test has.
pub fn unique(about: &str) -> String {
    format!("dajet-{about}-{}", uuid::Uuid::new_v4().simple())
}

/// A connection of the test's own.
pub struct Broker {
    _connection: Connection,
    pub channel: Channel,
}

impl Broker {
    pub async fn connect() -> Self {
        Self::connect_to(&address()).await
    }

    pub async fn connect_to(address: &str) -> Self {
        // The library takes a bare slash for an empty name.
        let address = format!("{}/%2f", address.trim_end_matches('/'));
        let connection = Connection::connect(&address, ConnectionProperties::default())
            .await
            .expect("the broker answers");
        let channel = connection.create_channel().await.expect("a channel opens");
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .expect("it confirms");
        Self {
            _connection: connection,
            channel,
        }
    }

    /// Makes a durable queue of a kind, with more arguments.
    pub async fn queue(&self, about: &str, kind: &str, more: &[(&str, AMQPValue)]) -> String {
        let name = unique(about);
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
        arguments.insert("x-expires".into(), AMQPValue::LongInt(600_000));
        for (key, value) in more {
            arguments.insert((*key).into(), value.clone());
        }
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        self.channel
            .queue_declare(short(&name), options, arguments)
            .await
            .expect("it is made");
        name
    }

    pub async fn exchange(&self, about: &str, kind: ExchangeKind) -> String {
        let name = unique(about);
        let options = ExchangeDeclareOptions::default();
        self.channel
            .exchange_declare(short(&name), kind, options, FieldTable::default())
            .await
            .expect("it is made");
        name
    }

    pub async fn bind(&self, queue: &str, exchange: &str, key: &str) {
        let options = QueueBindOptions::default();
        self.channel
            .queue_bind(
                short(queue),
                short(exchange),
                short(key),
                options,
                FieldTable::default(),
            )
            .await
            .expect("it is bound");
    }

    pub async fn delete(&self, queue: &str) {
        self.channel
            .queue_delete(short(queue), QueueDeleteOptions::default())
            .await
            .expect("it is deleted");
    }

    /// Messages that wait in a queue, and consumers.
    pub async fn counts(&self, queue: &str) -> (u32, u32) {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = self
            .channel
            .queue_declare(short(queue), options, FieldTable::default())
            .await
            .expect("it is there");
        (queue.message_count(), queue.consumer_count())
    }

    /// Publishes bodies to a queue, in order.
    pub async fn fill(&self, queue: &str, bodies: impl IntoIterator<Item = String>) {
        let mut confirms = Vec::new();
        for body in bodies {
            confirms.push(
                self.send(queue, body.as_bytes(), BasicProperties::default())
                    .await,
            );
        }
        for confirm in confirms {
            assert!(confirm.await.expect("the broker answers").is_ack());
        }
    }

    pub async fn send(
        &self,
        queue: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> lapin::PublisherConfirm {
        let options = BasicPublishOptions::default();
        self.channel
            .basic_publish(
                ShortString::default(),
                short(queue),
                options,
                body,
                properties,
            )
            .await
            .expect("it is sent")
    }

    /// Reads and acknowledges so many messages.
    pub async fn take(&self, queue: &str, count: usize) -> Vec<Delivery> {
        let options = BasicConsumeOptions::default();
        let mut consumer = self
            .channel
            .basic_consume(
                short(queue),
                ShortString::default(),
                options,
                FieldTable::default(),
            )
            .await
            .expect("it is there");
        let mut taken = Vec::new();
        let begun = Instant::now();
        while taken.len() < count {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let next = tokio::time::timeout(left, consumer.next()).await;
            let next =
                next.unwrap_or_else(|_| panic!("{} of {count} messages in {queue}", taken.len()));
            let delivery = next.expect("the queue stays").expect("the broker answers");
            // A quorum queue delivers no more than 2000 ahead.
            if taken.len() % 1000 == 999 || taken.len() + 1 == count {
                let all = BasicAckOptions { multiple: true };
                delivery.ack(all).await.expect("it is acknowledged");
            }
            taken.push(delivery);
        }
        taken
    }

    /// The bodies of all the messages in a queue.
    pub async fn bodies(&self, queue: &str) -> Vec<String> {
        let (count, _) = self.counts(queue).await;
        self.take(queue, count as usize)
            .await
            .into_iter()
            .map(|message| String::from_utf8(message.data).expect("it is text"))
            .collect()
    }
}

fn short(text: &str) -> ShortString {
    text.into()
}
