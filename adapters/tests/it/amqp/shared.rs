//! Who shares a connection, and that nobody suffers from it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dajet_adapters::amqp::{CONNECTOR, open_source};
use dajet_core::{
    Address, BrokerSpec, Environment, ErrorClass, MessageSpec, Shape, Sink, Source, Value,
};

use super::broker::{Broker, address, unique};
use super::sink::{numbered, refused};
use super::source::{batch, bodies, failure};

/// A node of its own: nobody else's connections have its name.
struct Node(Environment);

impl Node {
    fn new(about: &str) -> Self {
        Self(Environment {
            session_name: unique(about).into(),
            ..Environment::default()
        })
    }

    fn sink(&self, columns: &[&str]) -> Box<dyn Sink> {
        let spec = MessageSpec {
            address: Address::new(address()),
            options: Vec::new(),
            columns: Shape::new(columns.iter().copied()),
        };
        CONNECTOR.sink.expect("rabbitmq takes messages")(&spec, &self.0)
            .expect("the options are valid")
    }

    fn source(&self, queue: &str) -> Box<dyn Source> {
        let spec = BrokerSpec {
            address: Address::new(address()),
            options: vec![(Arc::from("QueueName"), Value::text(queue))],
            permits: 1,
            target: None,
        };
        open_source(&spec, &self.0, &|_| panic!("no database is asked for"))
            .expect("the options are valid")
    }

    /// Waits until the broker tells these numbers of channels, one for each connection.
    async fn await_channels(&self, expected: &[u64]) {
        let begun = Instant::now();
        loop {
            let name = self.0.session_name.clone();
            let told = tokio::task::spawn_blocking(move || channels(&name)).await;
            let mut told = told.expect("it does not panic");
            told.sort_unstable();
            if told == expected {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{told:?} and not {expected:?}"
            );
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}

/// The channels of each connection of a name, as the broker's management tells them.
fn channels(name: &str) -> Vec<u64> {
    let place = std::env::var("DAJET_TEST_AMQP_MANAGEMENT")
        .expect("DAJET_TEST_AMQP_MANAGEMENT is not set: run `docker/services.sh up` and `eval \"$(docker/services.sh env)\"`");
    let place = place.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(place).expect("the management answers");
    let path = "/api/connections?columns=user_provided_name,channels";
    let credentials = "Z3Vlc3Q6Z3Vlc3Q=";
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {place}\r\nAuthorization: Basic {credentials}\r\nConnection: close\r\n\r\n"
    )
    .expect("it is sent");
    let mut told = String::new();
    stream.read_to_string(&mut told).expect("it is text");
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    let of_name = format!("\"user_provided_name\":\"{name}\"");
    told.split('{')
        .filter(|connection| connection.contains(&of_name))
        .filter_map(|connection| {
            let (_, count) = connection.split_once("\"channels\":")?;
            let end = count.find(|letter: char| !letter.is_ascii_digit())?;
            count[..end].parse().ok()
        })
        .collect()
}

const QUEUE_BODY: [&str; 2] = ["RoutingKey", "Body"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_one_connection_to_publish_and_one_to_consume() {
    let broker = Broker::connect().await;
    let node = Node::new("узел-общий");
    let mut kept: Vec<(Box<dyn Sink>, Box<dyn Source>)> = Vec::new();
    for _ in 0..10 {
        let queue = broker.queue("shared", "classic", &[]).await;
        let mut sink = node.sink(&QUEUE_BODY);
        let receipt = sink.deliver(numbered(&queue, 0..3)).await;
        let receipt = receipt.expect("it is handed over").await;
        assert_eq!(receipt.expect("it is delivered").records, 3);
        let mut source = node.source(&queue);
        let (records, claim) = batch(&mut *source).await;
        assert_eq!(bodies(&records)[0], "0");
        claim.commit().await.expect("it is acknowledged");
        kept.push((sink, source));
    }
    node.await_channels(&[10, 10]).await;
    drop(kept);
    node.await_channels(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opens_a_further_connection_for_the_hundred_and_first_channel() {
    let broker = Broker::connect().await;
    let queue = broker.queue("many", "classic", &[]).await;
    let node = Node::new("many");
    let opened = (0..101).map(|number| {
        let mut sink = node.sink(&QUEUE_BODY);
        let records = numbered(&queue, number..number + 1);
        async move {
            let receipt = sink.deliver(records).await.expect("it is handed over");
            receipt.await.expect("it is delivered");
            sink
        }
    });
    let sinks = futures::future::join_all(opened).await;
    node.await_channels(&[1, 100]).await;
    drop(sinks);
    assert_eq!(broker.counts(&queue).await.0, 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_sinks_disturb_no_other_one_on_their_connection() {
    let broker = Broker::connect().await;
    let queue = broker.queue("calm", "classic", &[]).await;
    let node = Node::new("calm");
    let mut calm = node.sink(&QUEUE_BODY);
    let mut failures = 0;
    for number in 0..20 {
        let receipt = calm.deliver(numbered(&queue, number * 100..(number + 1) * 100));
        let receipt = tokio::spawn(receipt.await.expect("it is handed over"));
        // No queue of this name.
        let error = refused(
            &mut *node.sink(&QUEUE_BODY),
            numbered("нет-очереди", 0..500),
        )
        .await;
        assert_eq!(error.code, "E_CONFIRM", "{error}");
        assert!(error.message.contains("does not exist"), "{error}");
        // No exchange of this name: the broker closes the channel.
        let mut lost = node.sink(&["Exchange", "Body"]);
        let error = refused(&mut *lost, numbered("нет-обменника", 0..500)).await;
        assert_eq!(error.class, ErrorClass::Misconfigured, "{error}");
        assert_eq!(error.message, "exchange \"нет-обменника\" does not exist");
        // A batch that is given up.
        let mut hasty = node.sink(&QUEUE_BODY);
        let gone = broker.queue("gone", "classic", &[]).await;
        drop(hasty.deliver(numbered(&gone, 0..500)).await);
        failures += 3;
        let receipt = receipt.await.expect("it does not panic");
        assert_eq!(receipt.expect("it is delivered").records, 100);
    }
    assert_eq!(failures, 60);
    let expected: Vec<_> = (0..2000).map(|number| number.to_string()).collect();
    assert_eq!(broker.bodies(&queue).await, expected);
    node.await_channels(&[1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_whose_channel_ends_disturbs_no_other_one() {
    let broker = Broker::connect().await;
    let node = Node::new("calm-source");
    let queue = broker.queue("calm", "quorum", &[]).await;
    broker.fill(&queue, (0..50).map(|n| n.to_string())).await;
    let mut calm = node.source(&queue);
    let (records, claim) = batch(&mut *calm).await;
    for kind in super::broker::KINDS {
        let doomed = broker.queue("doomed", kind, &[]).await;
        broker.fill(&doomed, (0..10).map(|n| n.to_string())).await;
        let mut source = node.source(&doomed);
        // Dropped and released: the messages come again.
        let (_, dropped) = batch(&mut *source).await;
        drop((dropped, source));
        let mut source = node.source(&doomed);
        let (again, released) = batch(&mut *source).await;
        assert_eq!(bodies(&again)[0], "0");
        released.release().await.expect("it is given back");
        let mut source = node.source(&doomed);
        let (again, committed) = batch(&mut *source).await;
        assert_eq!(bodies(&again)[0], "0");
        committed.commit().await.expect("it is acknowledged");
        // The queue vanishes, and is not found again: the broker closes the channel.
        broker.delete(&doomed).await;
        failure(&mut *source).await;
        let error = failure(&mut *node.source(&doomed)).await;
        assert_eq!(error.class, ErrorClass::Misconfigured, "{error}");
    }
    let first = records.rows.len();
    claim.commit().await.expect("it is acknowledged");
    let mut seen = first;
    while seen < 50 {
        let (records, claim) = batch(&mut *calm).await;
        assert_eq!(bodies(&records)[0], seen.to_string());
        seen += records.rows.len();
        claim.commit().await.expect("it is acknowledged");
    }
    node.await_channels(&[1]).await;
}
