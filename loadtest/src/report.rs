//! Tables and JSON lines for people and programs.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::campaign::Outcome;
use crate::oracle::Verdict;

/// Prints the verdict of one target as a table row, and tells whether it passes.
pub fn verdict(title: &str, target: &str, verdict: &Verdict) -> bool {
    let passes = verdict.passes();
    println!(
        "{title:<32} {target:<7} rows {:>8}  received {:>8}  lost {}  out of order {}  invented {}  duplicates {} (allowed {})  left {}  {}",
        verdict.expected,
        verdict.received,
        verdict.lost,
        verdict.out_of_order,
        verdict.invented,
        verdict.duplicates,
        verdict.duplicates_allowed,
        verdict.left_in_source,
        if passes { "ok" } else { "FAILED" }
    );
    passes
}

/// Prints a JSON line.
pub fn json(value: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}

const BEGIN: &str = "<!-- campaign -->\n";
const END: &str = "<!-- /campaign -->";

/// Prints the outcomes of a campaign, puts them into the marked place of a file, and tells whether all pass.
pub fn outcomes(outcomes: &[Outcome], json: bool, markdown: Option<&Path>) -> Result<bool> {
    let table = table(outcomes);
    print!("{table}");
    if json {
        for outcome in outcomes {
            self::json(outcome)?;
        }
    }
    if let Some(path) = markdown {
        let text = std::fs::read_to_string(path)?;
        let place = text
            .split_once(BEGIN)
            .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let (before, after) = place.context("the file has no place for the table")?;
        std::fs::write(path, format!("{before}{BEGIN}\n{table}\n{END}{after}"))?;
    }
    Ok(outcomes.iter().all(Outcome::passes))
}

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
