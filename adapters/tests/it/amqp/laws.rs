//! The laws for RabbitMQ, whose queues are of two kinds.

use dajet_core::{Record, Sink, Source, Value};

use super::broker::{Broker, address, unique};
use super::sink::open;
use super::source::source_at;
use crate::laws::proxy::Proxy;
use crate::laws::sink::Target;
use crate::laws::source::Queue;
use crate::laws::{Harness, Waiver, laws_of_sinks, laws_of_sources};

laws_of_sources!(sources_of_classic_queues, Kind<false>);
laws_of_sources!(sources_of_quorum_queues, Kind<true>);
laws_of_sinks!(sinks_of_classic_queues, Kind<false>);
laws_of_sinks!(sinks_of_quorum_queues, Kind<true>);

/// A queue, and a way to the broker that can be cut.
struct Kind<const QUORUM: bool> {
    broker: Broker,
    name: String,
    proxy: Proxy,
    address: String,
}

impl<const QUORUM: bool> Harness for Kind<QUORUM> {
    async fn fresh() -> Self {
        let broker = Broker::connect().await;
        let kind = if QUORUM { "quorum" } else { "classic" };
        let name = broker.queue("law", kind, &[]).await;
        let address = address();
        let (user, place) = address.rsplit_once('@').expect("the address has a user");
        let proxy = Proxy::to(place.trim_end_matches('/')).await;
        let address = format!("{user}@{}/", proxy.place);
        Self {
            broker,
            name,
            proxy,
            address,
        }
    }
}

impl<const QUORUM: bool> Queue for Kind<QUORUM> {
    const BODY: &str = "Body";

    fn name(&self) -> &str {
        &self.name
    }

    async fn fill(&self, bodies: &[String]) {
        self.broker.fill(&self.name, bodies.iter().cloned()).await;
    }

    async fn source(&self, top: usize) -> Box<dyn Source> {
        let options = [
            ("BatchSize", Value::Integer(top as i64)),
            ("BatchTimeout", Value::text("1s")),
        ];
        source_at(&self.address, &self.name, 3, &options)
    }

    async fn left(&self) -> usize {
        self.broker.counts(&self.name).await.0 as usize
    }

    async fn sever(&self) -> Result<(), Waiver> {
        self.proxy.cut();
        Ok(())
    }

    async fn remove(&self) {
        self.broker.delete(&self.name).await;
    }
}

impl<const QUORUM: bool> Target for Kind<QUORUM> {
    fn name(&self) -> &str {
        &self.name
    }

    fn sink(&self) -> Box<dyn Sink> {
        open(&self.address, &["RoutingKey", "Body"], &[]).expect("the options are valid")
    }

    fn record(&self, body: &str) -> Record {
        vec![Value::text(&*self.name), Value::text(body)]
    }

    fn refused(&self) -> Record {
        vec![Value::text(unique("nowhere")), Value::text("тело")]
    }

    async fn bodies(&self) -> Vec<String> {
        self.broker.bodies(&self.name).await
    }

    async fn remove(&self) {
        self.broker.delete(&self.name).await;
    }
}
