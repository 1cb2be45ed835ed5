//! The faults of a campaign: what is hit and how, drawn from a seed, and done.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::sleep;

use crate::faults::{Moments, services};
use crate::place::Routes;
use crate::proxy::Proxy;
use crate::scenario::{Scenario, System};
use crate::{amqp, kafka, pgsql};

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// Every connection to the system is closed.
    Cut(System),
    /// The same when so many more bytes have passed: in mid-frame.
    CutAfter(System, i64),
    /// Nothing passes for a while, nothing is closed.
    FreezeLine(System, Duration),
    /// Each chunk waits that long, for two seconds.
    Slow(System, Duration),
    /// An orderly stop of the server, and a start after a while.
    Stop(System, Duration),
    /// `kill -9` of the server, and a start after a while.
    Kill(System, Duration),
    /// SIGSTOP of the server, and SIGCONT after a while.
    Freeze(System, Duration),
    /// `kill -9` of the node, and a start.
    KillNode,
    /// SIGSTOP of the node, and SIGCONT after a while.
    FreezeNode(Duration),
}

impl Strike {
    /// Draws a fault that meets at least one of the systems; without systems it meets the node.
    pub fn draw(moments: &mut Moments, systems: &[System], node_share: u64) -> Self {
        let kind = moments.between(0, 100);
        if systems.is_empty() || kind < node_share {
            // One freeze in ten is longer than every time-out.
            return match moments.between(0, 10) {
                0 => Strike::FreezeNode(Duration::from_millis(moments.between(6000, 8000))),
                1 | 2 => Strike::FreezeNode(Duration::from_millis(moments.between(100, 1500))),
                _ => Strike::KillNode,
            };
        }
        let system = systems[moments.between(0, systems.len() as u64) as usize];
        let short = Duration::from_millis(moments.between(100, 1500));
        let long = Duration::from_millis(moments.between(6000, 9000));
        match moments.between(0, 100) {
            0..30 => Strike::Cut(system),
            30..60 => Strike::CutAfter(system, moments.between(1, 30_000) as i64),
            60..72 => Strike::FreezeLine(system, short),
            72..76 => Strike::FreezeLine(system, long),
            76..84 => Strike::Slow(system, Duration::from_millis(moments.between(20, 200))),
            84..88 => Strike::Stop(system, short),
            88..93 => Strike::Kill(system, short),
            93..98 => Strike::Freeze(system, short),
            _ => Strike::Freeze(system, long),
        }
    }

    /// True if the fault hits pipelines of this scenario.
    pub fn hits(self, scenario: Scenario) -> bool {
        match self {
            Strike::KillNode | Strike::FreezeNode(_) => true,
            Strike::Cut(system)
            | Strike::CutAfter(system, _)
            | Strike::FreezeLine(system, _)
            | Strike::Slow(system, _)
            | Strike::Stop(system, _)
            | Strike::Kill(system, _)
            | Strike::Freeze(system, _) => scenario.meets(system),
        }
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Strike::Cut(system) => write!(f, "cut {}", system.name()),
            Strike::CutAfter(system, bytes) => {
                write!(f, "cut {} after {bytes} bytes", system.name())
            }
            Strike::FreezeLine(system, long) => {
                write!(f, "freeze the line to {} for {long:?}", system.name())
            }
            Strike::Slow(system, pause) => {
                write!(f, "slow {} by {pause:?} a chunk", system.name())
            }
            Strike::Stop(system, long) => write!(f, "stop {} for {long:?}", system.name()),
            Strike::Kill(system, long) => write!(f, "kill {} for {long:?}", system.name()),
            Strike::Freeze(system, long) => write!(f, "freeze {} for {long:?}", system.name()),
            Strike::KillNode => f.write_str("kill the node"),
            Strike::FreezeNode(long) => write!(f, "freeze the node for {long:?}"),
        }
    }
}

/// A proxy before each server.
pub struct Proxies {
    pgsql: Proxy,
    kafka: Proxy,
    amqp: Proxy,
}

/// Behind the broker's own port: its listener for the proxy, and the port that this one advertises.
const KAFKA_PROXIED: u16 = 2;
const KAFKA_ADVERTISED: u16 = 3;

impl Proxies {
    /// Starts them before the servers that the environment names.
    pub async fn start(pause: Duration) -> Result<Self> {
        let (kafka_host, kafka_port) = kafka_place()?;
        let kafka_upstream = format!("{kafka_host}:{}", kafka_port + KAFKA_PROXIED);
        let address = amqp::address()?;
        let (_, amqp_place) = amqp_parts(&address)?;
        let pgsql = pgsql::Server::from_environment()?;
        Ok(Self {
            pgsql: Proxy::start(0, pgsql.place().parse()?, pause).await?,
            kafka: Proxy::start(
                kafka_port + KAFKA_ADVERTISED,
                kafka_upstream.parse()?,
                pause,
            )
            .await?,
            amqp: Proxy::start(0, amqp_place.parse()?, pause).await?,
        })
    }

    /// The routes through the proxies.
    pub fn routes(&self) -> Result<Routes> {
        let address = amqp::address()?;
        let (user, _) = amqp_parts(&address)?;
        let pgsql = pgsql::Server::from_environment()?;
        Ok(Routes {
            pgsql: pgsql.by_way_of(&self.pgsql.address.to_string()),
            kafka: self.kafka.address.to_string(),
            amqp: format!("amqp://{user}@{}/", self.amqp.address),
            hasty: true,
        })
    }

    fn of(&self, system: System) -> Option<&Proxy> {
        match system {
            System::Sqlite => None,
            System::Pgsql => Some(&self.pgsql),
            System::Kafka => Some(&self.kafka),
            System::Amqp => Some(&self.amqp),
        }
    }

    /// Does a fault to a line or a server, up to its end; what is done to the node is the caller's.
    pub async fn strike(&self, strike: Strike) -> Result<()> {
        match strike {
            Strike::Cut(system) => self.line(system)?.cut(),
            Strike::CutAfter(system, bytes) => {
                let line = self.line(system)?;
                line.cut_after(bytes);
                for _ in 0..60 {
                    if !line.cut_pending() {
                        break;
                    }
                    sleep(Duration::from_millis(50)).await;
                }
                line.heal();
            }
            Strike::FreezeLine(system, long) => {
                let line = self.line(system)?;
                line.freeze();
                sleep(long).await;
                line.heal();
            }
            Strike::Slow(system, pause) => {
                let line = self.line(system)?;
                line.slow(pause);
                sleep(Duration::from_secs(2)).await;
                line.heal();
            }
            Strike::Stop(system, long) => outage(system, "stop", "start", long).await?,
            Strike::Kill(system, long) => outage(system, "kill", "start", long).await?,
            Strike::Freeze(system, long) => outage(system, "freeze", "thaw", long).await?,
            Strike::KillNode | Strike::FreezeNode(_) => {}
        }
        Ok(())
    }

    fn line(&self, system: System) -> Result<&Proxy> {
        self.of(system).context("a file has no line")
    }
}

async fn outage(
    system: System,
    act: &'static str,
    repair: &'static str,
    long: Duration,
) -> Result<()> {
    let server = system.server().context("a file has no server")?;
    // The script blocks; the proxies run on.
    tokio::task::spawn_blocking(move || services(act, server)).await??;
    sleep(long).await;
    tokio::task::spawn_blocking(move || services(repair, server)).await?
}

fn kafka_place() -> Result<(String, u16)> {
    let brokers = kafka::brokers()?;
    let (host, port) = brokers
        .rsplit_once(':')
        .context("DAJET_TEST_KAFKA names no port")?;
    Ok((host.to_owned(), port.parse()?))
}

/// `user:password` and `host:port`.
fn amqp_parts(address: &str) -> Result<(&str, &str)> {
    let rest = address
        .strip_prefix("amqp://")
        .context("DAJET_TEST_AMQP must begin with amqp://")?;
    let (user, rest) = rest
        .rsplit_once('@')
        .context("DAJET_TEST_AMQP names no user")?;
    Ok((user, rest.split('/').next().unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_the_same_faults_from_the_same_seed() {
        let systems = [System::Pgsql, System::Kafka];
        let drawn = |seed| {
            let mut moments = Moments(seed);
            let draw = |_| Strike::draw(&mut moments, &systems, 30);
            (0..100).map(draw).collect::<Vec<_>>()
        };
        assert_eq!(drawn(3), drawn(3));
        assert_ne!(drawn(3), drawn(4));
    }

    #[test]
    fn hits_the_scenarios_that_meet_the_system() {
        let cut = Strike::Cut(System::Kafka);
        assert!(cut.hits(Scenario::named("pg-kafka")));
        assert!(!cut.hits(Scenario::named("pg-amqp")));
        assert!(Strike::KillNode.hits(Scenario::named("sqlite-sqlite")));
    }
}
