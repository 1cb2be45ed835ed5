//! Faults in mid-run: the node or a server is killed or stopped, comes back, and the oracle looks for losses.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use crate::drain::{Drain, Load};
use crate::node::Node;
use crate::oracle::Verdict;
use crate::pgsql;
use crate::scenario::Scenario;

/// What is hit, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// `kill -9` of the node
    KillNode,
    /// `kill -9` of PostgreSQL, then a start
    KillPgsql,
    /// orderly stop of PostgreSQL, then a start
    StopPgsql,
    /// `kill -9` of Apache Kafka, then a start
    KillKafka,
    /// orderly stop of Apache Kafka, then a start
    StopKafka,
}

impl Fault {
    fn server(self) -> Option<(&'static str, &'static str)> {
        match self {
            Fault::KillNode => None,
            Fault::KillPgsql => Some(("kill", "pgsql")),
            Fault::StopPgsql => Some(("stop", "pgsql")),
            Fault::KillKafka => Some(("kill", "kafka")),
            Fault::StopKafka => Some(("stop", "kafka")),
        }
    }
}

/// Small seeded numbers (splitmix64): the moments of the faults.
pub struct Moments(pub u64);

impl Moments {
    /// A number in `low..high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        low + (z ^ (z >> 31)) % (high - low)
    }
}

/// Runs the project's own script for servers: `docker/services.sh ACT NAME`, or the one named by `DAJET_TEST_SERVICES`.
pub fn services(act: &str, name: &str) -> Result<()> {
    let script = std::env::var_os("DAJET_TEST_SERVICES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docker/services.sh"),
        PathBuf::from,
    );
    let status = Command::new(&script)
        .args([act, name])
        // The script leaves alone what the environment names as the user's own; here the servers are the script's.
        .env_remove("DAJET_TEST_PGSQL")
        .env_remove("DAJET_TEST_KAFKA")
        .env_remove("DAJET_TEST_AMQP")
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {}", script.display()))?;
    ensure!(status.success(), "{} {act} {name} failed", script.display());
    Ok(())
}

/// How a campaign ended.
pub struct Campaign {
    /// Faults that met a run with rows left.
    pub hits: u64,
    /// The oracle's answer for each target.
    pub verdicts: Vec<(&'static str, Verdict)>,
}

/// Drains `drain.rows` rows while `times` faults strike at seeded moments.
pub async fn campaign(drain: &Drain, fault: Fault, times: u64, seed: u64) -> Result<Campaign> {
    let mut moments = Moments(seed);
    let mut hits = 0;
    let mut failures = 0;
    let mut node = Some(Node::start(&drain.script(), &drain.log(), &[])?);
    let mut left = drain.rows;
    for turn in 0..times {
        // Strike after some more of the queue is gone, so that every fault meets a working pipeline.
        let share = left / (times - turn + 1);
        let target = left.saturating_sub(moments.between(share / 4 + 1, share + 2));
        wait_until_left(drain, target, node.as_mut()).await?;
        tokio::time::sleep(Duration::from_millis(moments.between(0, 30))).await;
        left = match fault.server() {
            None => {
                if let Some(node) = node.take() {
                    node.kill()?;
                }
                let left = drain.left().await?;
                node = Some(Node::start(&drain.script(), &drain.log(), &[])?);
                left
            }
            Some((act, name)) => {
                services(act, name)?;
                tokio::time::sleep(Duration::from_millis(moments.between(0, 1500))).await;
                services("start", name)?;
                drain.left().await?
            }
        };
        hits += u64::from(left > 0);
        failures += 1;
        eprintln!(
            "{} {fault:?} {}/{times}: {left} rows left",
            drain.scenario.name,
            turn + 1
        );
        if left == 0 {
            break;
        }
    }
    let (status, _) = node
        .take()
        .context("no node")?
        .finish(Duration::from_secs(300))
        .await?;
    ensure!(
        status.success(),
        "dajet ended with {status}; see {}",
        drain.log().display()
    );
    // A server that stays away ends more than one generation: each failed attempt may repeat what was in flight.
    failures = failures.max(failed_attempts(drain)?);
    Ok(Campaign {
        hits,
        verdicts: drain.judge(failures).await?,
    })
}

async fn wait_until_left(drain: &Drain, target: u64, mut node: Option<&mut Node>) -> Result<()> {
    for _ in 0..6000 {
        if drain.left().await? <= target {
            return Ok(());
        }
        if let Some(node) = node.as_deref_mut()
            && let Some(status) = node.poll()?
        {
            bail!(
                "dajet ended with {status} too early; see {}",
                drain.log().display()
            );
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("the queue does not drain; see {}", drain.log().display())
}

/// Generations that ended with an error, as the node's log tells.
fn failed_attempts(drain: &Drain) -> Result<u64> {
    let log = std::fs::read_to_string(drain.log())?;
    Ok(log
        .lines()
        .filter(|line| line.contains("batch released") || line.contains("generation ended"))
        .count() as u64)
}

/// Kafka is down while PostgreSQL is a target too: not one row may appear there until Kafka is back.
pub async fn broker_down(rows: u64) -> Result<Vec<(&'static str, Verdict)>> {
    let drain = Drain::prepare(Scenario::named("pg-kafka-pg"), Load::new(rows, 1000)).await?;
    services("stop", "kafka")?;
    let outcome = watch_target(&drain).await;
    services("start", "kafka")?;
    let node = outcome?;
    let (status, _) = node.finish(Duration::from_secs(180)).await?;
    ensure!(
        status.success(),
        "dajet ended with {status}; see {}",
        drain.log().display()
    );
    let verdicts = drain.judge(failed_attempts(&drain)?).await?;
    drain.remove().await?;
    Ok(verdicts)
}

async fn watch_target(drain: &Drain) -> Result<Node> {
    let client = drain.target_client().await?;
    let mut node = Node::start(&drain.script(), &drain.log(), &[])?;
    for _ in 0..60 {
        let rows = pgsql::read_target(&client).await?.len();
        ensure!(
            rows == 0,
            "{rows} rows appeared in the target while the broker was down"
        );
        ensure!(
            node.poll()?.is_none(),
            "dajet ended while the broker was down"
        );
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(node)
}

/// The target refuses a row in mid-batch: nothing of that batch is committed, the error names the row, and the run goes on by
/// itself when the constraint is gone.
pub async fn refused_row(rows: u64) -> Result<Vec<(&'static str, Verdict)>> {
    let refused = rows / 2 + 7;
    let drain = Drain::prepare(Scenario::named("pg-pg"), Load::new(rows, 1000)).await?;
    let client = drain.target_client().await?;
    client
        .batch_execute(&format!(
            r#"ALTER TABLE "ВходящиеСообщения" ADD CONSTRAINT refuses CHECK ("Номер" <> {refused})"#
        ))
        .await?;
    let mut node = Node::start(&drain.script(), &drain.log(), &[])?;
    let needle = format!("НомерСообщения = {refused}");
    let mut named = false;
    for _ in 0..300 {
        named = std::fs::read_to_string(drain.log())?.contains(&needle);
        ensure!(
            node.poll()?.is_none(),
            "dajet ended; see {}",
            drain.log().display()
        );
        if named {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ensure!(
        named,
        "no error names the row by \"{needle}\"; see {}",
        drain.log().display()
    );
    let arrived = pgsql::read_target(&client).await?;
    let complete = (refused - 1) / drain.batch * drain.batch;
    ensure!(
        arrived.len() as u64 == complete,
        "{} rows are committed, not {complete}",
        arrived.len()
    );
    client
        .batch_execute(r#"ALTER TABLE "ВходящиеСообщения" DROP CONSTRAINT refuses"#)
        .await?;
    let (status, _) = node.finish(Duration::from_secs(120)).await?;
    ensure!(
        status.success(),
        "dajet ended with {status}; see {}",
        drain.log().display()
    );
    let verdicts = drain.judge(0).await?;
    drain.remove().await?;
    Ok(verdicts)
}
