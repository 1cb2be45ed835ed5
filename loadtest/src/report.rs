//! What a command tells: tables for people, JSON lines for programs, a chart for pages.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::campaign::Outcome;
use crate::chart;
use crate::node::Cost;
use crate::oracle::Verdict;

/// A measured rate.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// Rows that went through.
    pub rows: u64,
    /// Rows for each second.
    pub rows_per_second: f64,
    /// Time of processors that the engine took for each row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us_per_row: Option<f64>,
    /// Peak of the engine's resident memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_mb: Option<f64>,
    /// How it stands to something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Of what.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub of: &'static str,
}

impl Figure {
    /// A rate that nothing else is known of.
    pub fn bare(name: impl Into<String>, rows: u64, rows_per_second: f64) -> Self {
        Self {
            name: name.into(),
            rows,
            rows_per_second: rows_per_second.round(),
            cpu_us_per_row: None,
            peak_rss_mb: None,
            ratio: None,
            of: "",
        }
    }

    /// A run of the engine.
    pub fn of_run(name: impl Into<String>, rows: u64, seconds: f64, cost: Cost) -> Self {
        Self {
            cpu_us_per_row: Some((cost.cpu_seconds * 1e8 / rows as f64).round() / 100.0),
            peak_rss_mb: Some(cost.peak_rss_mb.round()),
            ..Self::bare(name, rows, rows as f64 / seconds)
        }
    }

    /// The same, beside something else.
    pub fn with_ratio(self, ratio: f64, of: &'static str) -> Self {
        Self {
            ratio: Some((ratio * 1000.0).round() / 1000.0),
            of,
            ..self
        }
    }

    fn row(&self) -> String {
        let number = |value: Option<f64>, digits| {
            value.map_or_else(String::new, |value| format!("{value:.digits$}"))
        };
        format!(
            "{:<36} {:>9} {:>9.0} {:>8} {:>8} {:>6} {}",
            self.name,
            self.rows,
            self.rows_per_second,
            number(self.cpu_us_per_row, 2),
            number(self.peak_rss_mb, 0),
            number(self.ratio, 2),
            self.of
        )
    }
}

/// A verdict and what it is about.
#[derive(Serialize)]
struct Judged<'a> {
    title: &'a str,
    target: &'a str,
    passes: bool,
    verdict: &'a Verdict,
}

/// An answer of yes or no.
#[derive(Serialize)]
struct Checked<'a> {
    title: &'a str,
    passes: bool,
}

/// Takes what a command finds, and prints it at once.
pub struct Report {
    json: bool,
    svg: Option<PathBuf>,
    figures: Vec<Figure>,
    passes: bool,
}

impl Report {
    /// A report as table or as JSON lines, with a chart of the figures if a file is given.
    pub fn new(json: bool, svg: Option<PathBuf>) -> Self {
        Self {
            json,
            svg,
            figures: Vec::new(),
            passes: true,
        }
    }

    /// Tells a rate.
    pub fn figure(&mut self, figure: Figure) -> Result<()> {
        if self.json {
            json(&figure)?;
        } else {
            if self.figures.is_empty() {
                println!(
                    "{:<36} {:>9} {:>9} {:>8} {:>8} {:>6}",
                    "", "rows", "rows/s", "CPU-us", "peak MB", "ratio"
                );
            }
            println!("{}", figure.row());
        }
        self.figures.push(figure);
        Ok(())
    }

    /// Tells the verdicts of a run; tells whether all of them pass.
    pub fn verdicts(&mut self, title: &str, verdicts: &[(&'static str, Verdict)]) -> Result<bool> {
        let mut all = true;
        for (target, verdict) in verdicts {
            let passes = verdict.passes();
            if self.json {
                json(&Judged {
                    title,
                    target,
                    passes,
                    verdict,
                })?;
            } else {
                println!("{}", verdict_row(title, target, verdict));
            }
            all &= passes;
        }
        self.passes &= all;
        Ok(all)
    }

    /// Tells whether something is as it must be.
    pub fn check(&mut self, title: &str, passes: bool) -> Result<()> {
        if self.json {
            json(&Checked { title, passes })?;
        } else {
            println!("{title:<36} {}", if passes { "ok" } else { "FAILED" });
        }
        self.passes &= passes;
        Ok(())
    }

    /// Prints the outcomes of a campaign, and puts them into the marked place of a file.
    pub fn outcomes(&mut self, outcomes: &[Outcome], markdown: Option<&Path>) -> Result<()> {
        let table = table(outcomes);
        if self.json {
            for outcome in outcomes {
                json(outcome)?;
            }
        } else {
            print!("{table}");
        }
        if let Some(path) = markdown {
            let text = std::fs::read_to_string(path)?;
            let place = text
                .split_once(BEGIN)
                .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
            let (before, after) = place.context("the file has no place for the table")?;
            std::fs::write(path, format!("{before}{BEGIN}\n{table}\n{END}{after}"))?;
        }
        self.passes &= outcomes.iter().all(Outcome::passes);
        Ok(())
    }

    /// Draws the chart, and tells whether all was well.
    pub fn finish(self) -> Result<bool> {
        if let Some(path) = &self.svg {
            let bars: Vec<_> = self
                .figures
                .iter()
                .map(|figure| (figure.name.as_str(), figure.rows_per_second))
                .collect();
            std::fs::write(path, chart::bars("rows for each second", &bars))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(self.passes)
    }
}

fn json(value: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}

fn verdict_row(title: &str, target: &str, verdict: &Verdict) -> String {
    format!(
        "{title:<36} {target:<7} rows {:>8}  received {:>8}  lost {}  out of order {}  invented {}  duplicates {} (allowed {})  left {}  {}",
        verdict.expected,
        verdict.received,
        verdict.lost,
        verdict.out_of_order,
        verdict.invented,
        verdict.duplicates,
        verdict.duplicates_allowed,
        verdict.left_in_source,
        if verdict.passes() { "ok" } else { "FAILED" }
    )
}

const BEGIN: &str = "<!-- campaign -->\n";
const END: &str = "<!-- /campaign -->";

fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| From, to | Target | Faults | Generations ended | Rows | Lost | Out of order | Invented | Duplicates | Allowed | Slowest recovery, s | |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n",
    );
    for outcome in outcomes {
        let verdict = &outcome.verdict;
        let word = match (outcome.hung, verdict.passes()) {
            (true, _) => "HUNG",
            (false, true) => "ok",
            (false, false) => "FAILED",
        };
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1} | {word} |\n",
            outcome.scenario,
            outcome.target,
            outcome.faults,
            outcome.generations,
            verdict.expected,
            verdict.lost,
            verdict.out_of_order,
            verdict.invented,
            verdict.duplicates,
            verdict.duplicates_allowed,
            outcome.slowest_recovery
        );
    }
    text
}
