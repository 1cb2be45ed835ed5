//! The real RabbitMQ: a queue of its own for each test.

use std::time::{Duration, Instant};

use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::servers::{runtime, unique, variable};

/// How long the broker may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// The broker's address, as scripts write it.
pub fn address() -> String {
    variable("DAJET_TEST_AMQP")
}

/// A queue; deleted at the end of the test.
pub struct Queue {
    runtime: Runtime,
    _connection: Connection,
    channel: Channel,
    kind: String,
    pub name: String,
}

impl Queue {
    /// Makes a durable queue of a kind: `classic` or `quorum`.
    pub fn create(prefix: &str, kind: &str) -> Self {
        let (runtime, name) = (runtime(), unique(prefix));
        // The library takes a bare slash for an empty name.
        let address = format!("{}/%2f", address().trim_end_matches('/'));
        let (connection, channel) = runtime.block_on(async {
            let properties = ConnectionProperties::default();
            let connection = Connection::connect(&address, properties).await.unwrap();
            let channel = connection.create_channel().await.unwrap();
            let confirm = ConfirmSelectOptions::default();
            channel.confirm_select(confirm).await.unwrap();
            (connection, channel)
        });
        let queue = Self {
            runtime,
            _connection: connection,
            channel,
            kind: kind.to_owned(),
            name,
        };
        queue.declare();
        queue
    }

    /// Makes it, if it is not there.
    pub fn declare(&self) {
        let mut arguments = FieldTable::default();
        let kind = AMQPValue::LongString(self.kind.as_str().into());
        arguments.insert("x-queue-type".into(), kind);
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let name = self.name.as_str().into();
        let declared = self.channel.queue_declare(name, options, arguments);
        self.runtime.block_on(declared).unwrap();
    }

    /// Removes it with all that it holds.
    pub fn delete(&self) {
        let name = self.name.as_str().into();
        let options = QueueDeleteOptions::default();
        let deleted = self.channel.queue_delete(name, options);
        self.runtime.block_on(deleted).unwrap();
    }

    /// Publishes messages, in order, and waits until they are durable.
    pub fn fill<T: AsRef<[u8]>>(&self, bodies: impl IntoIterator<Item = T>) {
        self.runtime.block_on(async {
            let mut confirms = Vec::new();
            for body in bodies {
                let sent = self.channel.basic_publish(
                    ShortString::default(),
                    self.name.as_str().into(),
                    BasicPublishOptions::default(),
                    body.as_ref(),
                    BasicProperties::default().with_type("тип".into()),
                );
                confirms.push(sent.await.unwrap());
            }
            for confirm in confirms {
                assert!(confirm.await.unwrap().is_ack());
            }
        });
    }

    /// Number of messages that wait.
    pub fn count(&self) -> usize {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let name = self.name.as_str().into();
        let declared = self
            .channel
            .queue_declare(name, passive, FieldTable::default());
        self.runtime.block_on(declared).unwrap().message_count() as usize
    }

    /// Takes all the messages, which must be `count`; their bodies.
    pub fn take(&self, count: usize) -> Vec<String> {
        assert_eq!(self.count(), count, "messages in {}", self.name);
        self.runtime.block_on(async {
            let consumed = self.channel.basic_consume(
                self.name.as_str().into(),
                ShortString::default(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            );
            let (mut consumer, begun) = (consumed.await.unwrap(), Instant::now());
            let mut bodies = Vec::new();
            while bodies.len() < count {
                let left = PATIENCE.saturating_sub(begun.elapsed());
                let delivery = timeout(left, consumer.next()).await.unwrap();
                let delivery = delivery.unwrap().unwrap();
                // A quorum queue delivers no more than 2000 ahead.
                if bodies.len() % 1000 == 999 || bodies.len() + 1 == count {
                    let all = BasicAckOptions { multiple: true };
                    delivery.ack(all).await.unwrap();
                }
                bodies.push(String::from_utf8(delivery.data).unwrap());
            }
            bodies
        })
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let name = self.name.as_str().into();
        let deleted = self
            .channel
            .queue_delete(name, QueueDeleteOptions::default());
        if let Err(error) = self.runtime.block_on(deleted) {
            eprintln!("queue {} stays behind: {error}", self.name);
        }
    }
}
