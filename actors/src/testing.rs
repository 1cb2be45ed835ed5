//! Committers that are broken on purpose: the simulation must catch each of them. Not part of what ships.

use tokio_util::sync::CancellationToken;

use crate::script::{Outcome, Script, ScriptSpec, run_script};

/// What is wrong with the Committer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// It commits although receipts are missing.
    CommitsBeforeReceipt,
    /// It commits the second batch before the first.
    CommitsOutOfOrder,
    /// It loses the target claims.
    ForgetsTarget,
}

/// Runs a script with a broken Committer.
pub async fn run_broken(
    spec: ScriptSpec,
    stop: CancellationToken,
    kill: CancellationToken,
    defect: Defect,
) -> Outcome {
    let mut script = Script::new(spec);
    script.defect = Some(defect);
    run_script(script, stop, kill).await
}
