//! RabbitMQ as the load generator and the oracle need it: make a queue, fill it, read it back.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use crate::scenario::body;

/// Messages published before their confirms are awaited, and read before they are acknowledged.
const WINDOW: u64 = 1000;

/// Longest wait for a message that is there.
const PATIENCE: Duration = Duration::from_secs(30);

/// A queue and how to reach it.
#[derive(Clone)]
pub struct Queue {
    /// `amqp://user:password@host:port/`
    pub address: String,
    /// Name of the queue.
    pub name: String,
    /// It is a quorum queue, not a classic one.
    pub quorum: bool,
}

/// The address of the environment variable `DAJET_TEST_AMQP`.
pub fn address() -> Result<String> {
    std::env::var("DAJET_TEST_AMQP")
        .context("DAJET_TEST_AMQP is not set (amqp://user:password@host:port/)")
}

/// A channel and the connection that it lives on.
pub struct Session {
    connection: Connection,
    /// The channel.
    pub channel: Channel,
}

impl Session {
    /// Ends it.
    pub async fn close(self) {
        // What was asked of the broker has been answered; how it says goodbye does not matter.
        let _ = self.connection.close(200, "done".into()).await;
    }
}

impl Queue {
    /// Connects.
    pub async fn open(&self) -> Result<Session> {
        // The library takes a bare slash for an empty name.
        let address = format!("{}/%2f", self.address.trim_end_matches('/'));
        let connect = Connection::connect(&address, ConnectionProperties::default());
        let connection = tokio::time::timeout(PATIENCE, connect).await??;
        let channel = connection.create_channel().await?;
        Ok(Session {
            connection,
            channel,
        })
    }

    /// Its name for the library.
    pub fn short(&self) -> ShortString {
        self.name.as_str().into()
    }

    /// Makes the durable queue, empty.
    pub async fn create(&self) -> Result<()> {
        self.remove().await?;
        let session = self.open().await?;
        let durable = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let mut arguments = FieldTable::default();
        if self.quorum {
            let kind = AMQPValue::LongString("quorum".into());
            arguments.insert("x-queue-type".into(), kind);
        }
        session
            .channel
            .queue_declare(self.short(), durable, arguments)
            .await?;
        session.close().await;
        Ok(())
    }

    /// Publishes persistent messages, their keys as `MessageId`; returns when all are confirmed.
    pub async fn append(&self, keys: RangeInclusive<u64>, bytes: usize) -> Result<()> {
        let session = self.open().await?;
        let channel = &session.channel;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let mut confirms = Vec::new();
        let last = *keys.end();
        for key in keys {
            let properties = BasicProperties::default()
                .with_delivery_mode(2)
                .with_message_id(key.to_string().into());
            let body = body(key, bytes);
            let options = BasicPublishOptions::default();
            let confirm = channel
                .basic_publish(
                    ShortString::default(),
                    self.short(),
                    options,
                    body.as_bytes(),
                    properties,
                )
                .await?;
            confirms.push(confirm);
            if confirms.len() as u64 == WINDOW || key == last {
                for confirm in confirms.drain(..) {
                    ensure!(confirm.await?.is_ack(), "the broker refused a message");
                }
            }
        }
        session.close().await;
        Ok(())
    }

    /// Messages that are ready: those that a consumer holds are not counted.
    pub async fn ready(&self) -> Result<u64> {
        let session = self.open().await?;
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = session
            .channel
            .queue_declare(self.short(), passive, FieldTable::default())
            .await?;
        let count = queue.message_count();
        session.close().await;
        Ok(u64::from(count))
    }

    /// The `MessageId`s (as numbers) of all messages that are ready, in order. They leave the queue: it would not hand out all of them otherwise.
    pub async fn keys(&self) -> Result<Vec<u64>> {
        let count = self.ready().await? as usize;
        let session = self.open().await?;
        let channel = &session.channel;
        let ahead = BasicQosOptions { global: false };
        channel.basic_qos(2 * WINDOW as u16, ahead).await?;
        let mut consumer = channel
            .basic_consume(
                self.short(),
                ShortString::default(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        let mut keys = Vec::with_capacity(count);
        while keys.len() < count {
            let delivery = tokio::time::timeout(PATIENCE, consumer.next())
                .await
                .with_context(|| format!("{} of {count} messages came", keys.len()))?
                .context("the consumer was cancelled")??;
            let id = delivery
                .properties
                .message_id()
                .as_ref()
                .context("a message has no MessageId")?;
            keys.push(id.as_str().parse().context("a key is not a number")?);
            if keys.len().is_multiple_of(WINDOW as usize) || keys.len() == count {
                let all = BasicAckOptions { multiple: true };
                channel.basic_ack(delivery.delivery_tag, all).await?;
            }
        }
        drop(consumer);
        session.close().await;
        Ok(keys)
    }

    /// Removes the queue; a missing one is no error.
    pub async fn remove(&self) -> Result<()> {
        let session = self.open().await?;
        session
            .channel
            .queue_delete(self.short(), QueueDeleteOptions::default())
            .await?;
        session.close().await;
        Ok(())
    }
}
