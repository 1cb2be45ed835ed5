//! A campaign of faults: every pair drains in one node, faults strike at random, each pair must go on, and the oracle judges in the end.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use futures::future::try_join_all;
use serde::Serialize;
use tokio::time::sleep;

use crate::drain::{Drain, Load};
use crate::faults::Moments;
use crate::node::Node;
use crate::oracle::Verdict;
use crate::scenario::{Scenario, System};
use crate::strike::{Proxies, Strike};

/// Longest time until a pair goes on after a fault; behind it the pair hangs.
const PATIENCE: Duration = Duration::from_secs(90);

/// Longest time until the queues are empty in the end.
const DRAIN: Duration = Duration::from_secs(300);

/// What a campaign does.
#[derive(Clone, Debug)]
pub struct Orders {
    /// The pairs.
    pub scenarios: Vec<Scenario>,
    /// Faults that each pair must meet.
    pub faults: u64,
    /// Longest time.
    pub limit: Duration,
    /// Messages of each queue; more are added when half of them are gone.
    pub rows: u64,
    /// Records of a batch.
    pub batch: u64,
    /// Seed of the faults.
    pub seed: u64,
    /// Pause of the proxies before each chunk, so that batches take time.
    pub pause: Duration,
    /// Share of the node's faults, of a hundred.
    pub node_share: u64,
}

/// How a pair came through.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Name of the pair.
    pub scenario: &'static str,
    /// System of the target.
    pub target: &'static str,
    /// Faults that met it with messages left.
    pub faults: u64,
    /// Generations that ended before their time.
    pub generations: u64,
    /// Longest time from the end of a fault to the next record, in seconds.
    pub slowest_recovery: f64,
    /// It did not go on after a fault.
    pub hung: bool,
    /// What the oracle found.
    pub verdict: Verdict,
}

impl Outcome {
    /// True if nothing is wrong.
    pub fn passes(&self) -> bool {
        !self.hung && self.verdict.passes()
    }
}

struct Pair {
    drain: Drain,
    faults: u64,
    arrived: u64,
    slowest: Duration,
    hung: bool,
}

struct Campaign {
    orders: Orders,
    pairs: Vec<Pair>,
    proxies: Proxies,
    node: Option<Node>,
    log: PathBuf,
    orderly_stops: u64,
}

/// Runs a campaign; what it drained is removed where all is well.
pub async fn run(orders: Orders) -> Result<Vec<Outcome>> {
    let mut campaign = Campaign::prepare(orders).await?;
    let struck = campaign.strike_all().await;
    if let Err(error) = struck {
        if let Some(node) = campaign.node.take() {
            node.kill()?;
        }
        return Err(error.context(format!("see {}", campaign.log.display())));
    }
    campaign.drain().await?;
    campaign.judge().await
}

impl Campaign {
    async fn prepare(orders: Orders) -> Result<Self> {
        let proxies = Proxies::start(orders.pause).await?;
        let routes = proxies.routes()?;
        let mut pairs = Vec::new();
        for &scenario in &orders.scenarios {
            pairs.push(Pair {
                drain: Drain::prepare_by(&routes, scenario, Load::new(orders.rows, orders.batch))
                    .await?,
                faults: 0,
                arrived: 0,
                slowest: Duration::ZERO,
                hung: false,
            });
        }
        let log = std::env::temp_dir().join(format!(
            "dajet-campaign-{}-{}.log",
            orders.seed,
            std::process::id()
        ));
        eprintln!("the node's log is {}", log.display());
        let mut campaign = Self {
            orders,
            pairs,
            proxies,
            node: None,
            log,
            orderly_stops: 0,
        };
        campaign.start()?;
        Ok(campaign)
    }

    fn start(&mut self) -> Result<()> {
        let scripts: Vec<_> = self.pairs.iter().map(|pair| pair.drain.script()).collect();
        let arguments = [
            "--set",
            "IdleDelay=0.1",
            "--set",
            "ErrorDelay=1",
            "--set",
            "CommandTimeout=5",
        ];
        self.node = Some(Node::start_with(&scripts, &self.log, &arguments)?);
        Ok(())
    }

    /// The systems that have servers and are met by one of the pairs.
    fn systems(&self) -> Vec<System> {
        let met = |system: &System| self.orders.scenarios.iter().any(|s| s.meets(*system));
        let all = [System::Pgsql, System::Kafka, System::Amqp];
        all.into_iter().filter(met).collect()
    }

    async fn strike_all(&mut self) -> Result<()> {
        let (begun, mut moments) = (Instant::now(), Moments(self.orders.seed));
        let systems = self.systems();
        self.recover(|_| true).await?;
        for number in 1_u64.. {
            let least = self
                .pairs
                .iter()
                .filter(|pair| !pair.hung)
                .map(|pair| pair.faults);
            let Some(least) = least.min() else { break };
            if least >= self.orders.faults || begun.elapsed() > self.orders.limit {
                break;
            }
            self.top_up().await?;
            let strike = Strike::draw(&mut moments, &systems, self.orders.node_share);
            sleep(Duration::from_millis(moments.between(0, 200))).await;
            self.strike(strike).await?;
            for pair in &mut self.pairs {
                pair.faults += u64::from(strike.hits(pair.drain.scenario) && !pair.hung);
            }
            let healing = Instant::now();
            self.recover(|scenario| strike.hits(scenario)).await?;
            eprintln!(
                "{:>6.1} s  #{number} {strike}: went on after {:.1} s; the least struck pair has {}",
                begun.elapsed().as_secs_f64(),
                healing.elapsed().as_secs_f64(),
                least
            );
        }
        Ok(())
    }

    async fn strike(&mut self, strike: Strike) -> Result<()> {
        match strike {
            Strike::KillNode => {
                if let Some(node) = self.node.take() {
                    node.kill()?;
                }
                self.start()
            }
            Strike::FreezeNode(long) => {
                let Some(node) = &self.node else {
                    return Ok(());
                };
                node.signal("STOP")?;
                sleep(long).await;
                node.signal("CONT")
            }
            other => self.proxies.strike(other).await,
        }
    }

    /// Adds messages where less than half of the queue is left, so that every fault meets work.
    async fn top_up(&mut self) -> Result<()> {
        let rows = self.orders.rows;
        let appends = self.pairs.iter_mut().map(async |pair| {
            if pair.drain.left().await? < rows / 2 {
                pair.drain.append(rows).await?;
            }
            anyhow::Ok(())
        });
        try_join_all(appends).await?;
        Ok(())
    }

    /// Waits until each pair that was hit delivers again.
    async fn recover(&mut self, hit: impl Fn(Scenario) -> bool) -> Result<()> {
        let since = Instant::now();
        let marks = self.pairs.iter_mut().map(async |pair| {
            pair.arrived = pair.drain.arrived().await?;
            anyhow::Ok(())
        });
        try_join_all(marks).await?;
        let mut waiting: Vec<_> = (0..self.pairs.len())
            .filter(|&i| hit(self.pairs[i].drain.scenario) && !self.pairs[i].hung)
            .collect();
        while !waiting.is_empty() {
            sleep(Duration::from_millis(100)).await;
            let mut still = Vec::new();
            for index in waiting {
                let pair = &mut self.pairs[index];
                if pair.drain.arrived().await? > pair.arrived || pair.drain.left().await? == 0 {
                    pair.slowest = pair.slowest.max(since.elapsed());
                } else if since.elapsed() > PATIENCE {
                    pair.hung = true;
                    eprintln!("{} HANGS", pair.drain.scenario.name);
                } else {
                    still.push(index);
                }
            }
            waiting = still;
            if let Some(node) = &mut self.node
                && let Some(status) = node.poll()?
            {
                bail!("dajet ended with {status}");
            }
        }
        Ok(())
    }

    /// Waits until the queues are empty, then stops the node in good order. What RabbitMQ had handed out shows only then.
    async fn drain(&mut self) -> Result<()> {
        let since = Instant::now();
        loop {
            let mut left = 0;
            for pair in &mut self.pairs {
                let rows = pair.drain.left().await?;
                left += rows;
                pair.hung |= rows > 0 && since.elapsed() > DRAIN;
            }
            if left > 0 && since.elapsed() <= DRAIN {
                sleep(Duration::from_millis(300)).await;
                continue;
            }
            // The last batches are committed, and their delivery is complete.
            sleep(Duration::from_millis(500)).await;
            let Some(node) = self.node.take() else {
                bail!("there is no node")
            };
            node.signal("TERM")?;
            node.finish_within(Duration::from_secs(40)).await?;
            let mut again = false;
            for pair in &self.pairs {
                again |= pair.drain.left().await? > 0;
            }
            if !again || since.elapsed() > DRAIN {
                return Ok(());
            }
            self.orderly_stops += 1;
            ensure!(self.orderly_stops < 20, "the queues do not stay empty");
            self.start()?;
            sleep(Duration::from_secs(2)).await;
        }
    }

    async fn judge(self) -> Result<Vec<Outcome>> {
        let log = std::fs::read_to_string(&self.log)?;
        let mut outcomes = Vec::new();
        for pair in self.pairs {
            let scenario = pair.drain.scenario;
            let generations =
                generations(&log, scenario.name).saturating_sub(1 + self.orderly_stops);
            for (target, verdict) in pair.drain.judge(generations).await? {
                outcomes.push(Outcome {
                    scenario: scenario.name,
                    target,
                    faults: pair.faults,
                    generations,
                    slowest_recovery: (pair.slowest.as_secs_f64() * 10.0).round() / 10.0,
                    hung: pair.hung,
                    verdict,
                });
            }
            let passes = |outcome: &Outcome| outcome.scenario != scenario.name || outcome.passes();
            if outcomes.iter().all(passes) {
                pair.drain.remove().await?;
            }
        }
        Ok(outcomes)
    }
}

/// Generations of a script's pipeline, as the node's log tells.
fn generations(log: &str, script: &str) -> u64 {
    let started = format!("/{script}.djs] pipeline starts");
    log.lines().filter(|line| line.contains(&started)).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_generations_of_one_script() {
        let log = "[warn] [/t/pg-pg.djs] batch released\n\
                   [info] [/t/pg-pg.djs] pipeline starts generation=1\n\
                   [info] [/t/pg-pg.djs] pipeline starts generation=2\n\
                   [info] [/t/pg-kafka-pg.djs] pipeline starts generation=1\n";
        assert_eq!(generations(log, "pg-pg"), 2);
    }
}
