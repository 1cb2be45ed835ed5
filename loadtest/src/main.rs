//! Load generator and delivery oracle: drives the built `dajet` binary from outside, against real servers.

mod amqp;
mod campaign;
mod ceiling;
mod drain;
mod faults;
mod kafka;
mod node;
mod oracle;
mod pgsql;
mod place;
mod proxy;
mod report;
mod scenario;
mod sqlite;
mod strike;
mod tamper;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use crate::drain::Drain;
use crate::faults::Fault;
use crate::node::Node;
use crate::scenario::Scenario;

/// Load generator and delivery oracle for DaJet Stream.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Drain a queue and judge what arrived
    Deliver {
        /// From where to where; all of them if none is given
        #[arg(long)]
        scenario: Vec<Scenario>,
        /// Rows of the queue
        #[arg(long, default_value_t = 100_000)]
        rows: u64,
        /// TOP of the script
        #[arg(long, default_value_t = 1000)]
        batch: u64,
    },
    /// Drain a long queue and print the rate of every hundred thousand rows
    Backlog {
        /// From where to where
        #[arg(long, default_value = "pg-kafka")]
        scenario: Scenario,
        /// Rows of the queue
        #[arg(long, default_value_t = 1_000_000)]
        rows: u64,
        /// Most resident memory, in MB
        #[arg(long, default_value_t = 100.0)]
        rss_mb: f64,
    },
    /// Measure the engine against the joint ceiling of a bare read loop and a bare write loop
    Ceiling {
        /// From where to where: pg-kafka, pg-pg, sqlite-sqlite; these three if none is given
        #[arg(long)]
        scenario: Vec<Scenario>,
        /// Rows of the queue
        #[arg(long, default_value_t = 500_000)]
        rows: u64,
        /// TOP of the script
        #[arg(long, default_value_t = 1000)]
        batch: u64,
    },
    /// Strike in mid-run and let the oracle look for losses
    Faults {
        /// From where to where
        #[arg(long)]
        scenario: Vec<Scenario>,
        /// What is hit
        #[arg(long, value_enum)]
        fault: Vec<Fault>,
        /// Faults in one run
        #[arg(long, default_value_t = 10)]
        times: u64,
        /// Rows of the queue
        #[arg(long, default_value_t = 100_000)]
        rows: u64,
        /// TOP of the script
        #[arg(long, default_value_t = 500)]
        batch: u64,
        /// Seed of the moments
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Strike at random at everything while every pair drains, and let the oracle judge each
    Campaign(CampaignArguments),
    /// All of it in a form that takes a few minutes: what CI runs
    Reduced,
    /// Spoil what an exact drain delivered: the oracle must see it
    Tamper,
    /// Kafka is down while PostgreSQL is a target too
    BrokerDown {
        /// Rows of the queue
        #[arg(long, default_value_t = 10_000)]
        rows: u64,
    },
    /// The target refuses a row in mid-batch
    RefusedRow {
        /// Rows of the queue
        #[arg(long, default_value_t = 10_000)]
        rows: u64,
    },
}

/// What a campaign drains, and how long it strikes.
#[derive(Args)]
struct CampaignArguments {
    /// The pairs; all of them if none is given
    #[arg(long)]
    scenario: Vec<Scenario>,
    /// Faults that each pair must meet
    #[arg(long, default_value_t = 100)]
    faults: u64,
    /// Longest time of the faults
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// Messages of each queue; more are added when half of them are gone
    #[arg(long, default_value_t = 4000)]
    rows: u64,
    /// Records of a batch
    #[arg(long, default_value_t = 20)]
    batch: u64,
    /// Seed of the faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Pause of the proxies before each chunk, in milliseconds
    #[arg(long, default_value_t = 5)]
    pause_ms: u64,
    /// Share of faults that hit the node itself, of a hundred
    #[arg(long, default_value_t = 35)]
    node_share: u64,
    /// Prints JSON lines too
    #[arg(long)]
    json: bool,
    /// A file whose table between `<!-- campaign -->` and `<!-- /campaign -->` is replaced
    #[arg(long)]
    markdown: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<bool> {
    match command {
        Command::Deliver {
            scenario,
            rows,
            batch,
        } => {
            let mut passes = true;
            for scenario in all_or(scenario) {
                passes &= deliver(scenario, rows, batch).await?;
            }
            Ok(passes)
        }
        Command::Backlog {
            scenario,
            rows,
            rss_mb,
        } => backlog(scenario, rows, rss_mb).await,
        Command::Ceiling {
            scenario,
            rows,
            batch,
        } => {
            let three = vec![
                Scenario::named("pg-kafka"),
                Scenario::named("pg-pg"),
                Scenario::named("sqlite-sqlite"),
            ];
            for scenario in if scenario.is_empty() { three } else { scenario } {
                compare(scenario, rows, batch).await?;
            }
            Ok(true)
        }
        Command::Faults {
            scenario,
            fault,
            times,
            rows,
            batch,
            seed,
        } => {
            let mut passes = true;
            for &scenario in &scenario {
                for &fault in &fault {
                    passes &= strike(
                        scenario,
                        fault,
                        Strikes {
                            times,
                            rows,
                            batch,
                            seed,
                        },
                    )
                    .await?;
                }
            }
            Ok(passes)
        }
        Command::Campaign(arguments) => strike_at_random(arguments).await,
        Command::Reduced => reduced().await,
        Command::Tamper => tamper::check().await,
        Command::BrokerDown { rows } => {
            Ok(all_pass("broker down", &faults::broker_down(rows).await?))
        }
        Command::RefusedRow { rows } => {
            Ok(all_pass("refused row", &faults::refused_row(rows).await?))
        }
    }
}

/// The chosen ones, or all of them if none is.
fn all_or(chosen: Vec<Scenario>) -> Vec<Scenario> {
    if chosen.is_empty() {
        Scenario::ALL.to_vec()
    } else {
        chosen
    }
}

async fn strike_at_random(arguments: CampaignArguments) -> Result<bool> {
    let orders = campaign::Orders {
        scenarios: all_or(arguments.scenario),
        faults: arguments.faults,
        limit: Duration::from_secs(arguments.minutes * 60),
        rows: arguments.rows,
        batch: arguments.batch,
        seed: arguments.seed,
        pause: Duration::from_millis(arguments.pause_ms),
        node_share: arguments.node_share,
    };
    let outcomes = campaign::run(orders).await?;
    report::outcomes(&outcomes, arguments.json, arguments.markdown.as_deref())
}

/// How often a run of one kind of fault strikes, and what it drains.
#[derive(Clone, Copy)]
struct Strikes {
    times: u64,
    rows: u64,
    batch: u64,
    seed: u64,
}

async fn strike(scenario: Scenario, fault: Fault, strikes: Strikes) -> Result<bool> {
    let drain = Drain::prepare(scenario, strikes.rows, strikes.batch).await?;
    let campaign = faults::campaign(&drain, fault, strikes.times, strikes.seed).await?;
    let passes = all_pass(
        &format!("{} {fault:?} x{}", scenario.name, campaign.hits),
        &campaign.verdicts,
    );
    if passes {
        drain.remove().await?;
    }
    Ok(passes)
}

async fn reduced() -> Result<bool> {
    let mut passes = tamper::check().await?;
    for scenario in [
        "sqlite-sqlite",
        "sqlite-pg",
        "pg-kafka",
        "pg-pg",
        "pg-same",
        "pg-kafka-pg",
        "kafka-pg",
        "pg-amqp",
    ] {
        let scenario = Scenario::named(scenario);
        passes &= deliver(scenario, 20_000, 1000).await?;
    }
    let strikes = Strikes {
        times: 3,
        rows: 30_000,
        batch: 200,
        seed: 7,
    };
    for scenario in [
        Scenario::named("pg-kafka"),
        Scenario::named("pg-pg"),
        Scenario::named("pg-same"),
        Scenario::named("sqlite-sqlite"),
    ] {
        passes &= strike(scenario, Fault::KillNode, strikes).await?;
    }
    let once = Strikes {
        times: 1,
        ..strikes
    };
    for (scenario, fault) in [
        (Scenario::named("pg-kafka"), Fault::KillPgsql),
        (Scenario::named("pg-pg"), Fault::StopPgsql),
        (Scenario::named("pg-kafka"), Fault::KillKafka),
        (Scenario::named("pg-kafka-pg"), Fault::StopKafka),
    ] {
        passes &= strike(scenario, fault, once).await?;
    }
    passes &= all_pass("broker down", &faults::broker_down(10_000).await?);
    passes &= all_pass("refused row", &faults::refused_row(10_000).await?);
    Ok(passes)
}

fn all_pass(title: &str, verdicts: &[(&'static str, oracle::Verdict)]) -> bool {
    verdicts.iter().fold(true, |passes, (target, verdict)| {
        report::verdict(title, target, verdict) && passes
    })
}

async fn deliver(scenario: Scenario, rows: u64, batch: u64) -> Result<bool> {
    let drain = Drain::prepare(scenario, rows, batch).await?;
    let node = Node::start(&drain.script(), &drain.log(), &[])?;
    let (status, cost) = node.finish(Duration::from_secs(600)).await?;
    ensure!(
        status.success(),
        "dajet ended with {status}; see {}",
        drain.log().display()
    );
    let passes = all_pass(scenario.name, &drain.judge(0).await?);
    println!(
        "{:<32} {:.1} s, {:.2} CPU-us a row, peak {:.0} MB",
        "",
        cost.seconds,
        cost.cpu_seconds * 1e6 / rows as f64,
        cost.peak_rss_mb
    );
    if passes {
        drain.remove().await?;
    }
    Ok(passes)
}

async fn backlog(scenario: Scenario, rows: u64, rss_mb: f64) -> Result<bool> {
    let drain = Drain::prepare(scenario, rows, 1000).await?;
    let mut node = Node::start(&drain.script(), &drain.log(), &[])?;
    let mut mark = (Instant::now(), rows);
    let mut first = None;
    while node.poll()?.is_none() {
        let left = drain.left().await?;
        let (since, from) = mark;
        if from - left >= 100_000 {
            let rate = (from - left) as f64 / since.elapsed().as_secs_f64();
            println!(
                "{:>9} rows gone: {rate:>8.0} rows/s, {:.2} of the first",
                rows - left,
                rate / *first.get_or_insert(rate)
            );
            mark = (Instant::now(), left);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (status, cost) = node.finish(Duration::from_secs(60)).await?;
    ensure!(
        status.success(),
        "dajet ended with {status}; see {}",
        drain.log().display()
    );
    let passes = all_pass(scenario.name, &drain.judge(0).await?);
    println!(
        "peak {:.1} MB, {:.2} CPU-us a row",
        cost.peak_rss_mb,
        cost.cpu_seconds * 1e6 / rows as f64
    );
    drain.remove().await?;
    Ok(passes && cost.peak_rss_mb < rss_mb)
}

#[derive(Serialize)]
struct Comparison {
    scenario: &'static str,
    rows: u64,
    ceiling_read_rows_per_second: f64,
    ceiling_write_rows_per_second: f64,
    rows_per_second: f64,
    share_of_the_slower_half: f64,
    cpu_us_per_row: f64,
    peak_rss_mb: f64,
}

/// Engine, ceiling, engine: the better of the two engine runs counts, so that a warm cache favours neither side.
async fn compare(scenario: Scenario, rows: u64, batch: u64) -> Result<()> {
    let first = engine(scenario, rows, batch).await?;
    let drain = Drain::prepare(scenario, rows, batch).await?;
    let ceiling = ceiling::measure(&drain).await?;
    drain.remove().await?;
    let second = engine(scenario, rows, batch).await?;
    let best = if first.seconds < second.seconds {
        first
    } else {
        second
    };
    let rate = rows as f64 / best.seconds;
    report::json(&Comparison {
        scenario: scenario.name,
        rows,
        ceiling_read_rows_per_second: ceiling.read.round(),
        ceiling_write_rows_per_second: ceiling.write.round(),
        rows_per_second: rate.round(),
        share_of_the_slower_half: (rate / ceiling.slower() * 1000.0).round() / 1000.0,
        cpu_us_per_row: (best.cpu_seconds * 1e8 / rows as f64).round() / 100.0,
        peak_rss_mb: best.peak_rss_mb.round(),
    })
}

async fn engine(scenario: Scenario, rows: u64, batch: u64) -> Result<node::Cost> {
    let drain = Drain::prepare(scenario, rows, batch).await?;
    let node = Node::start(&drain.script(), &drain.log(), &[])?;
    let (status, cost) = node.finish(Duration::from_secs(600)).await?;
    ensure!(
        status.success(),
        "dajet ended with {status}; see {}",
        drain.log().display()
    );
    for (target, verdict) in drain.judge(0).await? {
        ensure!(verdict.passes(), "{target}: {verdict:?}");
    }
    drain.remove().await?;
    Ok(cost)
}
