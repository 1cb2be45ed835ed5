//! Tables and JSON lines for people and programs.

use serde::Serialize;

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
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}
