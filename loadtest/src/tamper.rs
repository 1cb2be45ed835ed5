//! Deliberately wrong runs: what an exact drain delivered is spoilt, and the oracle must see it.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::drain::Drain;
use crate::node::Node;
use crate::scenario::Scenario;

/// How a target is spoilt, and the statement that does it.
const SPOILS: [(&str, &str); 4] = [
    (
        "a lost row",
        r#"DELETE FROM "ВходящиеСообщения" WHERE "Номер" = 700"#,
    ),
    (
        "a row out of order",
        r#"UPDATE "ВходящиеСообщения" SET seq = seq + 100000 WHERE "Номер" = 700"#,
    ),
    (
        "a repeated row",
        r#"INSERT INTO "ВходящиеСообщения" ("Номер", "Тип", "Тело") SELECT "Номер", "Тип", "Тело" FROM "ВходящиеСообщения" WHERE "Номер" = 700"#,
    ),
    (
        "an invented row",
        r#"UPDATE "ВходящиеСообщения" SET "Номер" = 1000000 WHERE "Номер" = 700"#,
    ),
];

/// Drains exactly, spoils the target, and tells whether the oracle saw every spoil.
pub async fn check() -> Result<bool> {
    let mut passes = true;
    for (what, statement) in SPOILS {
        let drain = Drain::prepare(Scenario::named("pg-pg"), 2000, 500).await?;
        let node = Node::start(&drain.script(), &drain.log(), &[])?;
        let (status, _) = node.finish(Duration::from_secs(60)).await?;
        ensure!(
            status.success(),
            "dajet ended with {status}; see {}",
            drain.log().display()
        );
        let exact = drain
            .judge(0)
            .await?
            .iter()
            .all(|(_, verdict)| verdict.passes());
        let client = drain.target_client().await?;
        client.batch_execute(statement).await?;
        drop(client);
        let seen = drain
            .judge(0)
            .await?
            .iter()
            .any(|(_, verdict)| !verdict.passes());
        println!(
            "{what:<32} {}",
            if exact && seen {
                "seen by the oracle"
            } else {
                "FAILED"
            }
        );
        passes &= exact && seen;
        drain.remove().await?;
    }
    Ok(passes)
}
