//! Brokers that die, hang or lack memory: each test has one of its own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dajet_core::{ErrorClass, Read, Signs, Sink, SystemError, Value};

use super::broker::{Broker, KINDS, unique};
use super::sink::{numbered, open, refused};
use super::source::{USUAL, batch, bodies, failure, source_at};

/// A broker of the test's own, run by the script that runs those of all tests.
struct OwnBroker {
    folder: PathBuf,
    port: u16,
    management_port: u16,
}

impl OwnBroker {
    fn start() -> Self {
        let (port, management_port) = free_ports();
        let folder = std::env::temp_dir().join(unique("rabbitmq"));
        let broker = Self {
            folder,
            port,
            management_port,
        };
        broker.run(&["start", "rabbitmq"]);
        broker
    }

    fn address(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/", self.port)
    }

    fn run(&self, arguments: &[&str]) {
        let done = self.ask(arguments);
        assert!(
            done.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../docker/services.sh");
        Command::new(script)
            .args(arguments)
            .env("DAJET_SERVICES_DIR", &self.folder)
            .env("DAJET_SERVICES_AMQP_PORT", self.port.to_string())
            .env(
                "DAJET_SERVICES_AMQP_MANAGEMENT_PORT",
                self.management_port.to_string(),
            )
            .output()
            .expect("the script runs")
    }

    /// Whether it runs, and what it says of its queues.
    fn state(&self) -> String {
        let columns = "name state messages_ready messages_unacknowledged consumers";
        let queues = ["rabbitmqctl", "-q", "list_queues"].into_iter();
        let queues: Vec<_> = queues.chain(columns.split(' ')).collect();
        let tell = |arguments: &[&str]| {
            let told = self.ask(arguments);
            [told.stdout, told.stderr].map(|text| String::from_utf8_lossy(&text).into_owned())
        };
        [tell(&["status"]), tell(&queues)].concat().join("\n")
    }

    fn restart(&self) {
        self.run(&["kill", "rabbitmq"]);
        self.run(&["start", "rabbitmq"]);
    }

    /// Lets the broker have so much memory: it blocks publishers when it is little.
    fn memory(&self, size: &str) {
        self.run(&[
            "rabbitmqctl",
            "-q",
            "set_vm_memory_high_watermark",
            "absolute",
            size,
        ]);
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        self.run(&["kill", "rabbitmq"]);
        self.run(&["wipe"]);
        // What is left is a lock; the folder of the system is emptied by the system.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A port, and one with two free ones behind it. They lie below those of outgoing connections, one of which could take the port of a broker that is
/// down for a moment, and no two tests get the same; nor do those of two runs at a time, which begin at different ones.
fn free_ports() -> (u16, u16) {
    const COUNT: u32 = 4_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(40) % COUNT;
    let bind = |port| TcpListener::bind(("127.0.0.1", port));
    loop {
        let taken = TAKEN.fetch_add(4, Ordering::Relaxed);
        assert!(taken < COUNT, "no port is free");
        let first = 21_000 + ((begin + taken) % COUNT) as u16;
        if (first..first + 4).all(|port| bind(port).is_ok()) {
            return (first, first + 1);
        }
    }
}

fn sink(broker: &OwnBroker, options: &[(&str, Value)]) -> Box<dyn Sink> {
    open(&broker.address(), &["RoutingKey", "Body"], options).expect("the options are valid")
}

async fn deliver(
    sink: &mut dyn Sink,
    queue: &str,
    batch: usize,
    size: usize,
) -> Result<(), SystemError> {
    let records = numbered(queue, batch * size..(batch + 1) * size);
    sink.deliver(records).await?.await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loses_nothing_and_keeps_order_when_the_broker_is_killed() {
    const BATCHES: usize = 12;
    const SIZE: usize = 1000;
    let own = OwnBroker::start();
    let mut queues = Vec::new();
    {
        let broker = Broker::connect_to(&own.address()).await;
        for kind in KINDS {
            queues.push(broker.queue("killed", kind, &[]).await);
        }
    }
    // A broker that is killed soon after it made a quorum queue forgets the queue's messages: it writes its list down in an orderly stop at the
    // latest.
    own.run(&["stop", "rabbitmq"]);
    own.run(&["start", "rabbitmq"]);
    for queue in queues {
        let mut failures = 0;
        let mut sink = sink(&own, &[]);
        let mut next = 0;
        while next < BATCHES {
            if next == 4 && failures == 0 {
                // While a batch is on its way.
                let records = numbered(&queue, next * SIZE..(next + 1) * SIZE);
                let receipt = sink.deliver(records).await.expect("it is handed over");
                tokio::task::block_in_place(|| own.run(&["kill", "rabbitmq"]));
                let begun = Instant::now();
                let ended = receipt.await;
                assert!(
                    begun.elapsed() < Duration::from_secs(2),
                    "{:?}",
                    begun.elapsed()
                );
                if let Err(error) = ended {
                    assert_eq!(error.class, ErrorClass::Transient, "{error}");
                }
                failures = 1;
                sink = self::sink(&own, &[]);
                let error = refused(&mut *sink, numbered(&queue, 0..1)).await;
                assert_eq!(error.class, ErrorClass::Transient, "{error}");
                tokio::task::block_in_place(|| own.run(&["start", "rabbitmq"]));
                sink = self::sink(&own, &[]);
            }
            match deliver(&mut *sink, &queue, next, SIZE).await {
                Ok(()) => next += 1,
                Err(error) => {
                    assert_eq!(error.class, ErrorClass::Transient, "{error}");
                    failures += 1;
                    assert!(failures < 10, "{error}");
                    sink = self::sink(&own, &[]);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drain_through_a_kill(&own, &queue, BATCHES * SIZE).await;
    }
}

/// What reads have met, to be told when a test fails: the same in a row is one line.
struct Journal {
    begun: Instant,
    lines: Vec<(Duration, String, usize)>,
}

impl Journal {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            lines: Vec::new(),
        }
    }

    fn note(&mut self, what: String) {
        match self.lines.last_mut() {
            Some((_, last, times)) if *last == what => *times += 1,
            _ => self.lines.push((self.begun.elapsed(), what, 1)),
        }
    }

    /// The last lines, and whether the broker runs.
    fn told(&self, own: &OwnBroker) -> String {
        let late = &self.lines[self.lines.len().saturating_sub(40)..];
        let lines: Vec<_> = late
            .iter()
            .map(|(since, what, times)| format!("{since:?} {what} ({times} times)"))
            .collect();
        format!("{}\n{}", lines.join("\n"), own.state())
    }
}

/// Reads the queue with a kill in its midst; the first occurrences must be in order. (How many come again is the broker's: it forgets
/// acknowledgements that it has not yet written down.)
async fn drain_through_a_kill(own: &OwnBroker, queue: &str, expected: usize) {
    let mut source = source_at(&own.address(), queue, 2, &[]);
    let mut seen: Vec<usize> = Vec::new();
    let mut killed = false;
    let mut journal = Journal::new();
    while seen.last() != Some(&(expected - 1)) {
        assert!(
            journal.begun.elapsed() < Duration::from_secs(120),
            "{} of {expected} from \"{queue}\"\n{}",
            seen.len(),
            journal.told(own)
        );
        match source.read(USUAL, &[]).await {
            Ok(Read::Empty { complete }) => journal.note(format!("empty, complete {complete}")),
            Ok(Read::Batch { records, claim, .. }) => {
                if seen.len() > expected / 2 && !killed {
                    killed = true;
                    journal.note("the broker is killed".to_owned());
                    tokio::task::block_in_place(|| own.restart());
                    journal.note("the broker is started".to_owned());
                    let error = claim.commit().await.expect_err("the broker is another one");
                    assert_eq!(error.class, ErrorClass::Transient, "{error}");
                    let error = failure(&mut *source).await;
                    assert_eq!(error.class, ErrorClass::Transient, "{error}");
                    source = source_at(&own.address(), queue, 2, &[]);
                    continue;
                }
                claim.commit().await.expect("it is acknowledged");
                seen.extend(
                    bodies(&records)
                        .iter()
                        .map(|body| body.parse::<usize>().expect("a number")),
                );
                journal.note(format!("messages up to {:?}", seen.last()));
            }
            Err(error) => {
                assert_eq!(error.class, ErrorClass::Transient, "{error}");
                journal.note(error.to_string());
                source = source_at(&own.address(), queue, 2, &[]);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    let mut highest = 0;
    for number in &seen {
        assert!(*number <= highest, "{number} comes before {highest}");
        highest = highest.max(number + 1);
    }
    assert_eq!(highest, expected);
}

/// Who comes to a blocked connection and who leaves it hears nothing.
async fn come_and_go(own: &OwnBroker, queue: &str, leaving: Box<dyn Sink>) {
    let mut late = sink(own, &[("ContinuationTimeout", Value::Integer(2))]);
    let error = refused(&mut *late, numbered(queue, 0..1)).await;
    assert!(
        error
            .message
            .contains("the broker blocks publishers for 2s (low on memory)"),
        "{error}"
    );
    drop((leaving, late));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_while_the_broker_blocks_publishers() {
    let own = OwnBroker::start();
    let broker = Broker::connect_to(&own.address()).await;
    let queue = broker.queue("blocked", "classic", &[]).await;
    let mut patient = sink(&own, &[]);
    let signs = Signs::default();
    patient.show(&signs);
    deliver(&mut *patient, &queue, 0, 10)
        .await
        .expect("it is delivered");
    let mut leaving = sink(&own, &[]);
    let other = broker.queue("other", "classic", &[]).await;
    deliver(&mut *leaving, &other, 0, 1)
        .await
        .expect("it is delivered");
    own.memory("1MB");
    let receipt = patient
        .deliver(numbered(&queue, 10..20))
        .await
        .expect("it is handed over");
    let mut receipt = tokio::spawn(receipt);
    let early = tokio::time::timeout(Duration::from_secs(2), &mut receipt).await;
    assert!(early.is_err(), "the broker is blocked: {early:?}");
    let shown = signs.blocked().expect("it is shown");
    assert!(
        shown.contains("blocks publishers: low on memory"),
        "{shown}"
    );
    come_and_go(&own, &queue, leaving).await;
    let early = tokio::time::timeout(Duration::from_secs(7), &mut receipt).await;
    assert!(early.is_err(), "the broker is blocked: {early:?}");
    own.memory("2GB");
    receipt
        .await
        .expect("it does not panic")
        .expect("it is delivered");
    assert_eq!(signs.blocked(), None);

    own.memory("1MB");
    let begun = Instant::now();
    let mut hasty = sink(&own, &[("PublisherConfirmsTimeout", Value::Integer(2))]);
    hasty.show(&signs);
    let error = refused(&mut *hasty, numbered(&queue, 20..30)).await;
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        (error.class, error.code),
        (ErrorClass::Transient, "E_CONFIRM")
    );
    assert!(
        error
            .message
            .contains("blocks publishers for 2s: low on memory"),
        "{error}"
    );
    assert_eq!(signs.blocked(), None, "it ends with its connection");
    own.memory("2GB");
    deliver(&mut *sink(&own, &[]), &queue, 2, 10)
        .await
        .expect("it is delivered");
    // What was given up may have been taken before it was sent again.
    let numbers: Vec<usize> = broker
        .bodies(&queue)
        .await
        .iter()
        .map(|body| body.parse().expect("a number"))
        .collect();
    assert_eq!(numbers[..20], (0..20).collect::<Vec<_>>());
    assert!((20..30).all(|number| numbers.contains(&number)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serves_more_channels_than_the_broker_allows_at_a_time() {
    let own = OwnBroker::start();
    own.run(&[
        "rabbitmqctl",
        "-q",
        "eval",
        "application:set_env(rabbit, channel_max, 3).",
    ]);
    for _ in 0..10 {
        // The broker closes the channel.
        let mut lost =
            open(&own.address(), &["Exchange", "Body"], &[]).expect("the options are valid");
        let error = refused(&mut *lost, numbered("нет-обменника", 0..1)).await;
        assert_eq!(error.message, "exchange \"нет-обменника\" does not exist");
    }
    let broker = Broker::connect_to(&own.address()).await;
    let queue = broker.queue("few", "classic", &[]).await;
    let mut kept = Vec::new();
    for number in 0..10 {
        let mut sink = sink(&own, &[]);
        deliver(&mut *sink, &queue, number, 1)
            .await
            .expect("it is delivered");
        kept.push(sink);
    }
    assert_eq!(broker.counts(&queue).await.0, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_a_broker_that_hangs() {
    let own = OwnBroker::start();
    let queue = {
        let broker = Broker::connect_to(&own.address()).await;
        let queue = broker.queue("frozen", "classic", &[]).await;
        broker.fill(&queue, (0..30).map(|n| n.to_string())).await;
        queue
    };
    let options = [
        ("BatchSize", Value::Integer(10)),
        ("Heartbeat", Value::Integer(1)),
    ];
    let mut source = source_at(&own.address(), &queue, 2, &options);
    let (records, first) = batch(&mut *source).await;
    assert_eq!(bodies(&records).len(), 10);
    first.commit().await.expect("it is acknowledged");
    let (_, second) = batch(&mut *source).await;
    let (_, third) = batch(&mut *source).await;
    let mut sink = sink(&own, &[("PublisherConfirmsTimeout", Value::Integer(2))]);
    let other = {
        let broker = Broker::connect_to(&own.address()).await;
        broker.queue("other", "classic", &[]).await
    };
    deliver(&mut *sink, &other, 0, 1)
        .await
        .expect("it is delivered");

    own.run(&["freeze", "rabbitmq"]);
    let begun = Instant::now();
    let error = refused(&mut *sink, numbered(&other, 1..1001)).await;
    assert_eq!(
        (error.class, error.code),
        (ErrorClass::Transient, "E_CONFIRM")
    );
    assert!(
        error
            .message
            .ends_with("does not confirm 1000 of 1000 messages within 2s"),
        "{error}"
    );
    let error = failure(&mut *source).await;
    assert_eq!(error.class, ErrorClass::Transient, "{error}");
    let error = second.commit().await.expect_err("nobody answers");
    assert_eq!(error.class, ErrorClass::Transient, "{error}");
    drop((third, source));
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );

    own.run(&["thaw", "rabbitmq"]);
    let mut source = source_at(&own.address(), &queue, 1, &options);
    let (records, claim) = batch(&mut *source).await;
    let expected: Vec<_> = (10..20).map(|n| n.to_string()).collect();
    assert_eq!(bodies(&records), expected);
    claim.commit().await.expect("it is acknowledged");
}
