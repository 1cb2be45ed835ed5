//! The laws for Kafka.

use dajet_core::{Record, Sink, Source, Value};

use super::broker::{brokers, committed, delete_topic, ends, make_topic, read_topic, write};
use super::source::{group, source_of};
use crate::laws::sink::Target;
use crate::laws::source::Queue;
use crate::laws::{Harness, Waiver, laws_of_sinks, laws_of_sources};

laws_of_sources!(sources, Topic);
laws_of_sinks!(sinks, Topic);

/// A topic of one partition, and a group that reads it.
struct Topic {
    name: String,
    group: String,
}

impl Harness for Topic {
    async fn fresh() -> Self {
        Self {
            name: make_topic("law", 1, &[]).await,
            group: group(),
        }
    }
}

impl Queue for Topic {
    const BODY: &str = "Value";

    fn name(&self) -> &str {
        &self.name
    }

    async fn fill(&self, bodies: &[String]) {
        let messages: Vec<_> = bodies
            .iter()
            .map(|body| (0, None, Some(body.as_bytes()), &[][..]))
            .collect();
        write(&self.name, &messages).await;
    }

    async fn source(&self, top: usize) -> Box<dyn Source> {
        let options = [
            ("BootstrapServers", Value::text(brokers())),
            ("Topic", Value::text(&*self.name)),
            ("GroupId", Value::text(&*self.group)),
            ("AutoOffsetReset", Value::text("earliest")),
            ("BatchSize", Value::Integer(top as i64)),
            ("topic.metadata.refresh.interval.ms", Value::Integer(500)),
        ];
        source_of(options.map(|(name, value)| (name.into(), value)).into())
    }

    async fn left(&self) -> usize {
        let committed = committed(&self.group, &self.name, 0).await.unwrap_or(0);
        let left = ends(&self.name).await - committed;
        left.try_into().expect("a count")
    }

    async fn sever(&self) -> Result<(), Waiver> {
        Err(
            "offsets are committed by any connection: a claim lives as long as its partition is the consumer's",
        )
    }

    async fn remove(&self) {
        delete_topic(&self.name).await;
    }
}

impl Target for Topic {
    fn name(&self) -> &str {
        &self.name
    }

    fn sink(&self) -> Box<dyn Sink> {
        super::sink(&["Topic", "Value"], &[])
    }

    fn record(&self, body: &str) -> Record {
        vec![Value::text(&*self.name), Value::text(body)]
    }

    fn refused(&self) -> Record {
        self.record(&"x".repeat(1_000_001))
    }

    async fn bodies(&self) -> Vec<String> {
        let seen = read_topic(&self.name).await;
        seen.iter()
            .map(|message| message.text().to_owned())
            .collect()
    }

    async fn remove(&self) {
        delete_topic(&self.name).await;
    }
}
