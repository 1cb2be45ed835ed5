//! One end of a drain: a queue or a target at a system, and its part of the script.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::Result;

use crate::scenario::System;
use crate::{amqp, kafka, pgsql, sqlite};

/// Where the node finds the servers: themselves, or a proxy before each.
#[derive(Clone)]
pub struct Routes {
    /// PostgreSQL.
    pub pgsql: pgsql::Server,
    /// `host:port` of Apache Kafka.
    pub kafka: String,
    /// `amqp://user:password@host:port/`
    pub amqp: String,
    /// Time-outs of a few seconds, so that frozen peers are noticed soon.
    pub hasty: bool,
}

impl Routes {
    /// The servers that the environment names; brokers and databases that no scenario needs may be missing.
    pub fn direct() -> Result<Self> {
        Ok(Self {
            pgsql: pgsql::Server::from_environment()?,
            kafka: kafka::brokers().unwrap_or_default(),
            amqp: amqp::address().unwrap_or_default(),
            hasty: false,
        })
    }
}

/// A queue or a target. It is made, filled and read past the proxies.
#[derive(Clone)]
pub enum Place {
    /// A file.
    Sqlite(PathBuf),
    /// A database.
    Pgsql(pgsql::Server, String),
    /// A topic.
    Kafka(kafka::Topic),
    /// A queue.
    Amqp(amqp::Queue),
}

impl Place {
    /// Names the end of a drain; a file is the caller's.
    pub fn new(system: System, name: &str, file: PathBuf, quorum: bool) -> Result<Self> {
        Ok(match system {
            System::Sqlite => Place::Sqlite(file),
            System::Pgsql => Place::Pgsql(pgsql::Server::from_environment()?, name.to_owned()),
            System::Kafka => Place::Kafka(kafka::Topic {
                brokers: kafka::brokers()?,
                name: name.to_owned(),
            }),
            System::Amqp => Place::Amqp(amqp::Queue {
                address: amqp::address()?,
                name: name.to_owned(),
                quorum,
            }),
        })
    }

    /// Where the way back begins or ends: the same database, another topic or queue.
    pub fn back(&self) -> Self {
        let mut place = self.clone();
        match &mut place {
            Place::Sqlite(_) | Place::Pgsql(..) => {}
            Place::Kafka(topic) => topic.name += "_back",
            Place::Amqp(queue) => queue.name += "_back",
        }
        place
    }

    /// The system.
    pub fn system(&self) -> System {
        match self {
            Place::Sqlite(_) => System::Sqlite,
            Place::Pgsql(..) => System::Pgsql,
            Place::Kafka(_) => System::Kafka,
            Place::Amqp(_) => System::Amqp,
        }
    }

    /// Makes an empty queue, and for a database the database itself unless it is there already (`in_place`).
    pub async fn create_queue(&self, in_place: bool) -> Result<()> {
        match self {
            Place::Sqlite(file) => sqlite::create_queue(file),
            Place::Pgsql(server, database) => {
                if !in_place {
                    server.create_database(database).await?;
                }
                pgsql::create_queue(&server.connect(database).await?).await
            }
            Place::Kafka(topic) => topic.create().await,
            Place::Amqp(queue) => queue.create().await,
        }
    }

    /// Adds messages with these keys to the queue, bodies of `bytes` characters.
    pub async fn append(&self, keys: RangeInclusive<u64>, bytes: usize) -> Result<()> {
        match self {
            Place::Sqlite(file) => sqlite::append(file, keys, bytes),
            Place::Pgsql(server, database) => {
                let client = pgsql::connect_patiently(server, database).await?;
                pgsql::append(&client, keys, bytes).await
            }
            Place::Kafka(topic) => topic.append(keys, bytes).await,
            Place::Amqp(queue) => queue.append(keys, bytes).await,
        }
    }

    /// Makes an empty target for records of a source; `in_place` if the database is there already.
    pub async fn create_target(&self, source: System, in_place: bool) -> Result<()> {
        let key = if source.is_broker() { "text" } else { "bigint" };
        match self {
            Place::Sqlite(file) => sqlite::create_target(file, key),
            Place::Pgsql(server, database) => {
                if !in_place {
                    server.create_database(database).await?;
                }
                pgsql::create_target(&server.connect(database).await?, key).await
            }
            Place::Kafka(topic) => topic.create().await,
            Place::Amqp(queue) => queue.create().await,
        }
    }

    /// The keys of the target in the order of arrival.
    pub async fn read_target(&self) -> Result<Vec<u64>> {
        match self {
            Place::Sqlite(file) => sqlite::read_target(file),
            Place::Pgsql(server, database) => {
                pgsql::read_target(&pgsql::connect_patiently(server, database).await?).await
            }
            Place::Kafka(topic) => topic.keys().await,
            Place::Amqp(queue) => queue.keys().await,
        }
    }

    /// Records that have arrived at the target, duplicates included.
    pub async fn arrived(&self) -> Result<u64> {
        match self {
            Place::Sqlite(file) => sqlite::count_target(file),
            Place::Pgsql(server, database) => {
                pgsql::count_target(&pgsql::connect_patiently(server, database).await?).await
            }
            Place::Kafka(topic) => topic.height().await,
            Place::Amqp(queue) => queue.ready().await,
        }
    }

    /// Messages that the queue still holds; RabbitMQ does not count those that a consumer has in its hands.
    pub async fn left(&self) -> Result<u64> {
        match self {
            Place::Sqlite(file) => sqlite::count_queue(file),
            Place::Pgsql(server, database) => {
                pgsql::count_queue(&pgsql::connect_patiently(server, database).await?).await
            }
            Place::Kafka(topic) => topic.left().await,
            Place::Amqp(queue) => queue.ready().await,
        }
    }

    /// Removes it; the folder of a file is the caller's.
    pub async fn remove(&self) -> Result<()> {
        match self {
            Place::Sqlite(_) => Ok(()),
            Place::Pgsql(server, database) => server.drop_database(database).await,
            Place::Kafka(topic) => topic.remove().await,
            Place::Amqp(queue) => queue.remove().await,
        }
    }

    /// The statement that reads the queue, without its END, and the expressions of key and body.
    ///
    /// `filter` follows FROM where the source is a database.
    pub fn source_text(
        &self,
        routes: &Routes,
        batch: u64,
        filter: &str,
    ) -> (String, &'static str, &'static str) {
        let address = match self {
            Place::Sqlite(file) => format!("sqlite://{}", file.display()),
            Place::Pgsql(_, database) => routes.pgsql.address(database),
            Place::Kafka(topic) => {
                let (session, heartbeat) = if routes.hasty {
                    (3000, 500)
                } else {
                    (10_000, 3000)
                };
                let text = format!(
                    "CONSUME 'kafka'\n   WITH BootstrapServers = '{}', Topic = '{name}', GroupId = '{name}', \
                     AutoOffsetReset = 'earliest', SessionTimeoutMs = {session}, HeartbeatIntervalMs = {heartbeat}, \
                     BatchSize = {batch}\n   INTO @m\n",
                    routes.kafka,
                    name = topic.name
                );
                return (text, "@m.Key", "@m.Value");
            }
            Place::Amqp(queue) => {
                let heartbeat = if routes.hasty { 2 } else { 10 };
                let text = format!(
                    "CONSUME '{}'\n   WITH QueueName = '{}', BatchSize = {batch}, Heartbeat = {heartbeat}\n   INTO @m\n",
                    routes.amqp, queue.name
                );
                return (text, "@m.MessageId", "@m.Body");
            }
        };
        let text = format!(
            "USE '{address}'\n  CONSUME TOP {batch} НомерСообщения, ТипСообщения, ТелоСообщения\n     INTO @m\n     \
             FROM ИсходящиеСообщения{filter}\n    ORDER BY НомерСообщения ASC\n"
        );
        (text, "@m.НомерСообщения", "@m.ТелоСообщения")
    }

    /// The statement that writes a record.
    pub fn target_text(&self, routes: &Routes, key: &str, body: &str) -> String {
        let address = match self {
            Place::Sqlite(file) => format!("sqlite://{}", file.display()),
            Place::Pgsql(_, database) => routes.pgsql.address(database),
            Place::Kafka(topic) => {
                let timeout = if routes.hasty { 5000 } else { 10_000 };
                return format!(
                    "  PRODUCE 'kafka'\n     WITH BootstrapServers = '{}', MessageTimeoutMs = {timeout}\n   \
                     SELECT Key = {key}, Value = {body}, Topic = '{}'\n",
                    routes.kafka, topic.name
                );
            }
            Place::Amqp(queue) => {
                let (heartbeat, timeout) = if routes.hasty { (2, 5) } else { (10, 30) };
                return format!(
                    "  PRODUCE '{}'\n     WITH RequestedHeartbeat = {heartbeat}, ContinuationTimeout = {timeout}, \
                     RequestedConnectionTimeout = {timeout}, PublisherConfirmsTimeout = {timeout}\n   \
                     SELECT RoutingKey = '{}', MessageId = {key}, Body = {body}\n",
                    routes.amqp, queue.name
                );
            }
        };
        format!(
            "  USE '{address}'\n    INSERT ВходящиеСообщения\n    SELECT Номер = {key}, Тип = 'заказ', Тело = {body}\n  END\n"
        )
    }
}
