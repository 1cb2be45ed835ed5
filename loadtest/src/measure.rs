//! Measures the engine: whole runs of it, against the joint ceiling, or against each other.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::ceiling::{self, Ceiling};
use crate::drain::{Drain, Load, Work};
use crate::node::{Cost, Node};
use crate::report::{Figure, Report};
use crate::scenario::Scenario;

/// Longest time of one run of the engine.
const RUN: Duration = Duration::from_secs(1800);

/// Numbers of pipelines that drain one queue side by side.
const PIPELINES: [u64; 3] = [1, 2, 4];

/// Drains a queue, and tells what the oracle says and what it cost.
pub async fn deliver(report: &mut Report, scenario: Scenario, load: Load) -> Result<()> {
    let drain = Drain::prepare(scenario, load).await?;
    let cost = run(&[&drain]).await?;
    report.verdicts(scenario.name, &drain.judge(0).await?)?;
    report.figure(Figure::of_run(scenario.name, load.rows, cost.seconds, cost))?;
    drain.remove().await
}

/// Drains a long queue, and tells the rate of every tenth of it and the peak of memory.
pub async fn backlog(
    report: &mut Report,
    scenario: Scenario,
    load: Load,
    rss_mb: f64,
) -> Result<()> {
    let rows = load.rows;
    let drain = Drain::prepare(scenario, load).await?;
    let mut node = start(&[&drain])?;
    let (step, mut first) = (rows.div_ceil(10), None);
    let mut mark = (Instant::now(), 0);
    while node.poll()?.is_none() {
        let arrived = drain.arrived().await?;
        let (since, before) = mark;
        if arrived >= before + step || (arrived == rows && before < rows) {
            let rate = (arrived - before) as f64 / since.elapsed().as_secs_f64();
            let figure = Figure::bare(format!("{before} and on"), arrived - before, rate);
            let share = rate / *first.get_or_insert(rate);
            report.figure(figure.with_ratio(share, "of the first"))?;
            mark = (Instant::now(), arrived);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let cost = finish(node, &[&drain]).await?;
    report.verdicts(scenario.name, &drain.judge(0).await?)?;
    report.figure(Figure::of_run(scenario.name, rows, cost.seconds, cost))?;
    report.check("memory is bounded", cost.peak_rss_mb < rss_mb)?;
    drain.remove().await
}

/// Engine and ceiling, twice in turn: the better of each counts, for a machine that is busy with something else only slows down.
pub async fn against_ceiling(
    report: &mut Report,
    scenario: Scenario,
    load: Load,
    at_least: Option<f64>,
) -> Result<()> {
    let (name, rows) = (scenario.name, load.rows);
    let idle = idle(scenario, load).await?;
    let (mut best, mut ceiling) = (None, None);
    for _ in 0..2 {
        best = better(best, judged(scenario, load).await?);
        let drain = Drain::prepare(scenario, load).await?;
        ceiling = Ceiling::higher(ceiling, ceiling::measure(&drain).await?);
        drain.remove().await?;
    }
    let (best, ceiling) = (best.context("no run")?, ceiling.context("no ceiling")?);
    let figure = Figure::of_run(name, rows, best.busy(idle), best);
    let share = figure.rows_per_second / ceiling.slower();
    report.figure(Figure::bare(
        format!("{name}: bare read"),
        rows,
        ceiling.read,
    ))?;
    report.figure(Figure::bare(
        format!("{name}: bare write"),
        rows,
        ceiling.write,
    ))?;
    report.figure(figure.with_ratio(share, "of the slower bare loop"))?;
    if let Some(least) = at_least {
        report.check(&format!("{name}: at least {least}"), share >= least)?;
    }
    Ok(())
}

/// A look-up for each record against none.
pub async fn look_up(
    report: &mut Report,
    scenario: Scenario,
    load: Load,
    at_most: Option<f64>,
) -> Result<()> {
    let (name, rows) = (scenario.name, load.rows);
    let idle = idle(scenario, load).await?;
    let work = Work::LookUp;
    let (mut none, mut with) = (None, None);
    // Twice, in turn: the better one counts.
    for _ in 0..2 {
        none = better(none, judged(scenario, load).await?);
        with = better(with, judged(scenario, Load { work, ..load }).await?);
    }
    let (none, with) = (none.context("no run")?, with.context("no run")?);
    let time = with.busy(idle) / none.busy(idle);
    let name_with = format!("{name}, a look-up for each");
    report.figure(Figure::of_run(name, rows, none.busy(idle), none))?;
    let figure = Figure::of_run(name_with, rows, with.busy(idle), with);
    report.figure(figure.with_ratio(time, "of the time of none"))?;
    if let Some(most) = at_most {
        report.check(&format!("{name}: at most {most}"), time <= most)?;
    }
    Ok(())
}

/// One queue by one, two and four pipelines side by side, each with a part of its own.
pub async fn fan_out(report: &mut Report, scenario: Scenario, load: Load) -> Result<()> {
    let idle = idle(scenario, load).await?;
    let mut first = None;
    for pipelines in PIPELINES {
        let work = Work::FanOut(pipelines);
        let cost = judged(scenario, Load { work, ..load }).await?;
        let name = format!("{}, MAXDOP {pipelines}", scenario.name);
        let figure = Figure::of_run(name, load.rows, cost.busy(idle), cost);
        let share = figure.rows_per_second / *first.get_or_insert(figure.rows_per_second);
        report.figure(figure.with_ratio(share, "of MAXDOP 1"))?;
    }
    Ok(())
}

/// From A to B and from B to A at once, in one node, against A to B alone.
pub async fn two_way(report: &mut Report, scenario: Scenario, load: Load) -> Result<()> {
    let idle = idle(scenario, load).await?;
    let alone = judged(scenario, load).await?;
    let there = Drain::prepare(scenario, load).await?;
    let back = there.prepare_back().await?;
    let cost = run(&[&there, &back]).await?;
    let name = format!("{} and {}", scenario.name, back.scenario.name);
    for drain in [&there, &back] {
        report.verdicts(&name, &drain.judge(0).await?)?;
    }
    back.remove().await?;
    there.remove().await?;
    let one = Figure::of_run(scenario.name, load.rows, alone.busy(idle), alone);
    let both = Figure::of_run(name, load.rows * 2, cost.busy(idle), cost);
    let share = both.rows_per_second / one.rows_per_second;
    report.figure(one)?;
    report.figure(both.with_ratio(share, "of one way"))
}

fn better(before: Option<Cost>, now: Cost) -> Option<Cost> {
    let before = before.filter(|before| before.seconds <= now.seconds);
    Some(before.unwrap_or(now))
}

/// Seconds of a run that has next to nothing to do: to start, to connect, to find that there is nothing more.
async fn idle(scenario: Scenario, load: Load) -> Result<f64> {
    let cost = judged(scenario, Load { rows: 1, ..load }).await?;
    Ok(cost.seconds)
}

/// A run that must be exact.
async fn judged(scenario: Scenario, load: Load) -> Result<Cost> {
    let drain = Drain::prepare(scenario, load).await?;
    let cost = run(&[&drain]).await?;
    for (target, verdict) in drain.judge(0).await? {
        ensure!(verdict.passes(), "{target}: {verdict:?}");
    }
    drain.remove().await?;
    Ok(cost)
}

async fn run(drains: &[&Drain]) -> Result<Cost> {
    let node = start(drains)?;
    finish(node, drains).await
}

fn start(drains: &[&Drain]) -> Result<Node> {
    let scripts: Vec<_> = drains.iter().map(|drain| drain.script()).collect();
    Node::start_all(&scripts, &drains[0].log(), &[])
}

async fn finish(node: Node, drains: &[&Drain]) -> Result<Cost> {
    let (status, cost) = node.finish(RUN).await?;
    let log = drains[0].log();
    ensure!(
        status.success(),
        "dajet ended with {status}; see {}",
        log.display()
    );
    Ok(cost)
}
