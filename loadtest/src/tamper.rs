//! Deliberately wrong runs: what an exact drain delivered is spoilt, and the oracle must see it.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::drain::{Drain, Load};
use crate::node::Node;
use crate::report::Report;
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

/// Drains exactly, spoils the target, and reports whether the oracle saw every spoil.
pub async fn check(report: &mut Report) -> Result<()> {
    for (what, statement) in SPOILS {
        let drain = Drain::prepare(Scenario::named("pg-pg"), Load::new(2000, 500)).await?;
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
        report.check(&format!("{what} is seen"), exact && seen)?;
        drain.remove().await?;
    }
    Ok(())
}
