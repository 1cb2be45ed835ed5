//! Load generator and delivery oracle: drives the built `dajet` binary from outside, against real servers.

mod amqp;
mod bare;
mod campaign;
mod ceiling;
mod chart;
mod drain;
mod faults;
mod kafka;
mod measure;
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
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::drain::{Drain, Load};
use crate::faults::Fault;
use crate::report::Report;
use crate::scenario::Scenario;

/// Load generator and delivery oracle for DaJet Stream.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Prints JSON lines, not tables
    #[arg(long, global = true)]
    json: bool,
    /// A file for a chart of the rates
    #[arg(long, global = true)]
    svg: Option<PathBuf>,
    /// Longest time of the command, in minutes
    #[arg(long, global = true, default_value_t = 90)]
    limit: u64,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Drain a queue and judge what arrived
    Deliver(Measured),
    /// Drain a long queue and tell the rate of every tenth of it, and the peak of memory
    Backlog {
        #[command(flatten)]
        measured: Measured,
        /// Most resident memory, in MB
        #[arg(long, default_value_t = 100.0)]
        rss_mb: f64,
    },
    /// Measure the engine against the joint ceiling of a bare read loop and a bare write loop
    Ceiling {
        #[command(flatten)]
        measured: Measured,
        /// Least share of the slower loop
        #[arg(long)]
        at_least: Option<f64>,
    },
    /// Measure a look-up for each record against none
    LookUp {
        #[command(flatten)]
        measured: Measured,
        /// Most time, as a multiple of that of none
        #[arg(long)]
        at_most: Option<f64>,
    },
    /// Measure one queue in parts, drained by one, two and four pipelines side by side
    FanOut(Measured),
    /// Measure both ways at once against one way
    TwoWay(Measured),
    /// Strike in mid-run and let the oracle look for losses
    Faults(FaultsArguments),
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

/// What is measured.
#[derive(Args)]
struct Measured {
    /// From where to where, as in pg-kafka
    #[arg(long)]
    scenario: Vec<Scenario>,
    /// Rows of the queue
    #[arg(long, default_value_t = 100_000)]
    rows: u64,
    /// TOP or BatchSize of the script
    #[arg(long, default_value_t = 1000)]
    batch: u64,
    /// Characters of a body
    #[arg(long, default_value_t = scenario::BODY_BYTES)]
    bytes: usize,
}

impl Measured {
    fn load(&self) -> Load {
        Load {
            bytes: self.bytes,
            ..Load::new(self.rows, self.batch)
        }
    }

    /// The chosen scenarios, or these.
    fn or(&self, names: &[&str]) -> Vec<Scenario> {
        if self.scenario.is_empty() {
            names.iter().map(|name| Scenario::named(name)).collect()
        } else {
            self.scenario.clone()
        }
    }
}

/// What is struck, and how often.
#[derive(Args)]
struct FaultsArguments {
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
    /// A file whose table between `<!-- campaign -->` and `<!-- /campaign -->` is replaced
    #[arg(long)]
    markdown: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments {
        json,
        svg,
        limit,
        command,
    } = Arguments::parse();
    let limit = Duration::from_secs(limit * 60);
    let work = tokio::time::timeout(limit, run(command, Report::new(json, svg)));
    match work.await.context("the command takes too long").flatten() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Tells whether all was well.
async fn run(command: Command, mut report: Report) -> Result<bool> {
    let out = &mut report;
    match command {
        Command::Deliver(measured) => {
            for scenario in measured.or(&Scenario::ALL.map(|known| known.name)) {
                measure::deliver(out, scenario, measured.load()).await?;
            }
        }
        Command::Backlog { measured, rss_mb } => {
            for scenario in measured.or(&["pg-kafka"]) {
                measure::backlog(out, scenario, measured.load(), rss_mb).await?;
            }
        }
        Command::Ceiling { measured, at_least } => {
            for scenario in measured.or(&CEILINGS) {
                measure::against_ceiling(out, scenario, measured.load(), at_least).await?;
            }
        }
        Command::LookUp { measured, at_most } => {
            for scenario in measured.or(&["pg-kafka", "pg-pg"]) {
                measure::look_up(out, scenario, measured.load(), at_most).await?;
            }
        }
        Command::FanOut(measured) => {
            for scenario in measured.or(&["pg-kafka", "pg-pg"]) {
                measure::fan_out(out, scenario, measured.load()).await?;
            }
        }
        Command::TwoWay(measured) => {
            for scenario in measured.or(&["pg-pg", "pg-kafka", "pg-amqp"]) {
                measure::two_way(out, scenario, measured.load()).await?;
            }
        }
        Command::Faults(arguments) => strike_each(out, &arguments).await?,
        Command::Campaign(arguments) => strike_at_random(out, arguments).await?,
        Command::Reduced => reduced(out).await?,
        Command::Tamper => tamper::check(out).await?,
        Command::BrokerDown { rows } => {
            let verdicts = faults::broker_down(rows).await?;
            out.verdicts("broker down", &verdicts)?;
        }
        Command::RefusedRow { rows } => {
            let verdicts = faults::refused_row(rows).await?;
            out.verdicts("refused row", &verdicts)?;
        }
    }
    report.finish()
}

/// The pairs whose ceiling is measured if none is named.
const CEILINGS: [&str; 7] = [
    "pg-kafka",
    "pg-pg",
    "sqlite-sqlite",
    "pg-amqp",
    "pg-quorum",
    "kafka-pg",
    "amqp-pg",
];

async fn strike_at_random(report: &mut Report, arguments: CampaignArguments) -> Result<()> {
    let scenarios = if arguments.scenario.is_empty() {
        Scenario::ALL.to_vec()
    } else {
        arguments.scenario
    };
    let orders = campaign::Orders {
        scenarios,
        faults: arguments.faults,
        limit: Duration::from_secs(arguments.minutes * 60),
        rows: arguments.rows,
        batch: arguments.batch,
        seed: arguments.seed,
        pause: Duration::from_millis(arguments.pause_ms),
        node_share: arguments.node_share,
    };
    let outcomes = campaign::run(orders).await?;
    report.outcomes(&outcomes, arguments.markdown.as_deref())
}

/// How often a run of one kind of fault strikes, and what it drains.
#[derive(Clone, Copy)]
struct Strikes {
    times: u64,
    load: Load,
    seed: u64,
}

async fn strike_each(report: &mut Report, arguments: &FaultsArguments) -> Result<()> {
    let strikes = Strikes {
        times: arguments.times,
        load: Load::new(arguments.rows, arguments.batch),
        seed: arguments.seed,
    };
    for &scenario in &arguments.scenario {
        for &fault in &arguments.fault {
            strike(report, scenario, fault, strikes).await?;
        }
    }
    Ok(())
}

async fn strike(
    report: &mut Report,
    scenario: Scenario,
    fault: Fault,
    strikes: Strikes,
) -> Result<()> {
    let drain = Drain::prepare(scenario, strikes.load).await?;
    let campaign = faults::campaign(&drain, fault, strikes.times, strikes.seed).await?;
    let title = format!("{} {fault:?} x{}", scenario.name, campaign.hits);
    if report.verdicts(&title, &campaign.verdicts)? {
        drain.remove().await?;
    }
    Ok(())
}

async fn reduced(report: &mut Report) -> Result<()> {
    tamper::check(report).await?;
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
        measure::deliver(report, scenario, Load::new(20_000, 1000)).await?;
    }
    let strikes = Strikes {
        times: 3,
        load: Load::new(30_000, 200),
        seed: 7,
    };
    for scenario in ["pg-kafka", "pg-pg", "pg-same", "sqlite-sqlite"] {
        let scenario = Scenario::named(scenario);
        strike(report, scenario, Fault::KillNode, strikes).await?;
    }
    let once = Strikes {
        times: 1,
        ..strikes
    };
    for (scenario, fault) in [
        ("pg-kafka", Fault::KillPgsql),
        ("pg-pg", Fault::StopPgsql),
        ("pg-kafka", Fault::KillKafka),
        ("pg-kafka-pg", Fault::StopKafka),
    ] {
        strike(report, Scenario::named(scenario), fault, once).await?;
    }
    report.verdicts("broker down", &faults::broker_down(10_000).await?)?;
    report.verdicts("refused row", &faults::refused_row(10_000).await?)?;
    Ok(())
}
