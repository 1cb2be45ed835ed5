//! A prepared drain: what is made before, the script, what is read back after.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::oracle::{Verdict, judge};
use crate::place::{Place, Routes};
use crate::scenario::Scenario;

/// A drain with databases, topics, queues, files and a script of its own.
pub struct Drain {
    /// What it is.
    pub scenario: Scenario,
    /// Keys `1..=rows`.
    pub rows: u64,
    /// Records of a batch.
    pub batch: u64,
    /// Folder of script, log and files.
    pub folder: PathBuf,
    /// What is drained.
    pub source: Place,
    /// What is filled.
    pub targets: Vec<Place>,
}

impl Drain {
    /// Makes and fills everything.
    pub async fn prepare(scenario: Scenario, rows: u64, batch: u64) -> Result<Self> {
        Self::prepare_by(&Routes::direct()?, scenario, rows, batch).await
    }

    /// Makes and fills everything; the script takes these routes.
    pub async fn prepare_by(
        routes: &Routes,
        scenario: Scenario,
        rows: u64,
        batch: u64,
    ) -> Result<Self> {
        let name = format!(
            "load_{}_{}",
            scenario.name.replace('-', "_"),
            std::process::id()
        );
        let folder = std::env::temp_dir().join(format!("dajet-{name}"));
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let source = Place::new(
            scenario.source,
            &format!("{name}_source"),
            folder.join("source.db"),
        )?;
        source.create_queue().await?;
        let mut targets = Vec::new();
        for &system in scenario.targets {
            let end = if scenario.same_database {
                "source"
            } else {
                "target"
            };
            let target = Place::new(system, &format!("{name}_{end}"), folder.join("target.db"))?;
            target
                .create_target(scenario.source, scenario.same_database)
                .await?;
            targets.push(target);
        }
        let drain = Self {
            scenario,
            rows,
            batch,
            folder,
            source,
            targets,
        };
        drain.source.append(1..=rows).await?;
        std::fs::write(drain.script(), drain.script_text(routes))?;
        Ok(drain)
    }

    /// Adds more messages to the queue.
    pub async fn append(&mut self, more: u64) -> Result<()> {
        self.source.append(self.rows + 1..=self.rows + more).await?;
        self.rows += more;
        Ok(())
    }

    /// A file in the drain's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The script.
    pub fn script(&self) -> PathBuf {
        self.file(&format!("{}.djs", self.scenario.name))
    }

    /// Where the node's messages go.
    pub fn log(&self) -> PathBuf {
        self.file("dajet.log")
    }

    fn script_text(&self, routes: &Routes) -> String {
        let (source, key, body) = self.source.source_text(routes, self.batch);
        let targets: String = self
            .targets
            .iter()
            .map(|target| target.target_text(routes, key, body))
            .collect();
        let end = if self.scenario.source.is_broker() {
            ""
        } else {
            "END\n"
        };
        format!("DECLARE @m object\n{source}{targets}{end}")
    }

    /// Messages that the queue still holds.
    pub async fn left(&self) -> Result<u64> {
        self.source.left().await
    }

    /// Records that have arrived at the target that has the least.
    pub async fn arrived(&self) -> Result<u64> {
        let mut least = u64::MAX;
        for target in &self.targets {
            least = least.min(target.arrived().await?);
        }
        Ok(least)
    }

    /// A session at the target, the last one if there are more; it must be PostgreSQL.
    pub async fn target_client(&self) -> Result<tokio_postgres::Client> {
        match self.targets.last() {
            Some(Place::Pgsql(server, database)) => server.connect(database).await,
            _ => bail!("the target of {} is not PostgreSQL", self.scenario.name),
        }
    }

    /// Reads every target back and judges it; `failures` is the number of generations that a fault ended.
    pub async fn judge(&self, failures: u64) -> Result<Vec<(&'static str, Verdict)>> {
        let allowed = failures * self.scenario.duplicates_per_fault(self.batch);
        let left = self.left().await?;
        let mut verdicts = Vec::new();
        for target in &self.targets {
            let keys = target.read_target().await.with_context(|| {
                format!(
                    "cannot read {} of {}",
                    target.system().name(),
                    self.scenario.name
                )
            })?;
            let verdict = judge(self.rows, &keys, allowed, left);
            verdicts.push((target.system().name(), verdict));
        }
        Ok(verdicts)
    }

    /// Removes everything.
    pub async fn remove(self) -> Result<()> {
        self.source.remove().await?;
        for target in &self.targets {
            target.remove().await?;
        }
        std::fs::remove_dir_all(&self.folder)?;
        Ok(())
    }
}
