//! A prepared drain: what is made before, the script, what is read back after.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::oracle::{Verdict, judge};
use crate::pgsql;
use crate::place::{Place, Routes};
use crate::scenario::{BODY_BYTES, Scenario};

/// What goes through, and what happens to it.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Rows of the queue.
    pub rows: u64,
    /// Records of a batch.
    pub batch: u64,
    /// Characters of a body.
    pub bytes: usize,
    /// What the script does.
    pub work: Work,
}

impl Load {
    /// Rows of the usual size, taken over as they are.
    pub fn new(rows: u64, batch: u64) -> Self {
        Self {
            rows,
            batch,
            bytes: BODY_BYTES,
            work: Work::Copy,
        }
    }
}

/// What a script does with its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Takes every record over.
    Copy,
    /// Looks the key of every record up in a table of the source.
    LookUp,
    /// Drains so many parts of the queue side by side.
    FanOut(u64),
}

/// Has the system write back what was filled: the disk would still be busy with that while something is measured.
fn write_back() -> Result<()> {
    let status = Command::new("sync").status().context("cannot run sync")?;
    ensure!(status.success(), "sync ended with {status}");
    Ok(())
}

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
    load: Load,
}

impl Drain {
    /// Makes and fills everything.
    pub async fn prepare(scenario: Scenario, load: Load) -> Result<Self> {
        Self::prepare_by(&Routes::direct()?, scenario, load).await
    }

    /// Makes and fills everything; the script takes these routes.
    pub async fn prepare_by(routes: &Routes, scenario: Scenario, load: Load) -> Result<Self> {
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
        let end = |system, end: &str| {
            let file = folder.join(format!("{end}.db"));
            Place::new(system, &format!("{name}_{end}"), file, scenario.quorum)
        };
        let source = end(scenario.source, "source")?;
        source.create_queue(false).await?;
        let mut targets = Vec::new();
        for &system in scenario.targets {
            let in_place = scenario.same_database;
            let target = end(system, if in_place { "source" } else { "target" })?;
            target.create_target(scenario.source, in_place).await?;
            targets.push(target);
        }
        let drain = Self {
            scenario,
            rows: load.rows,
            batch: load.batch,
            folder,
            source,
            targets,
            load,
        };
        drain.fill(routes).await?;
        Ok(drain)
    }

    /// Makes and fills the way back, from the target of this one to its source, in the same databases.
    pub async fn prepare_back(&self) -> Result<Self> {
        let (scenario, routes) = (self.scenario.back()?, Routes::direct()?);
        let (source, target) = (self.targets[0].back(), self.source.back());
        source.create_queue(true).await?;
        target.create_target(scenario.source, true).await?;
        let folder = self.file("back");
        std::fs::create_dir(&folder)?;
        let drain = Self {
            scenario,
            folder,
            source,
            targets: vec![target],
            ..*self
        };
        drain.fill(&routes).await?;
        Ok(drain)
    }

    /// Fills the queue and writes the script.
    async fn fill(&self, routes: &Routes) -> Result<()> {
        self.source.append(1..=self.rows, self.load.bytes).await?;
        match self.load.work {
            Work::Copy => {}
            Work::LookUp => pgsql::create_directory(&self.source_client().await?).await?,
            Work::FanOut(parts) => pgsql::divide_queue(&self.source_client().await?, parts).await?,
        }
        std::fs::write(self.script(), self.script_text(routes))?;
        write_back()
    }

    /// Adds more messages to the queue.
    pub async fn append(&mut self, more: u64) -> Result<()> {
        let keys = self.rows + 1..=self.rows + more;
        self.source.append(keys, self.load.bytes).await?;
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
        let filter = match self.load.work {
            Work::FanOut(_) => "\n    WHERE Часть = @part.Номер",
            Work::Copy | Work::LookUp => "",
        };
        let (mut source, key, body) = self.source.source_text(routes, self.batch, filter);
        let (look_up, key) = match self.load.work {
            Work::LookUp => (
                format!("    SELECT Ключ, Имя INTO @found FROM Справочник WHERE Ключ = {key}\n"),
                "@found.Ключ",
            ),
            Work::Copy | Work::FanOut(_) => (String::new(), key),
        };
        if self.scenario.keeps_offsets {
            source = source.replacen("INTO @m", ", OffsetTable = 'Смещения' INTO @m", 1);
        }
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
        let drain = format!("{source}{look_up}{targets}{end}");
        match self.load.work {
            Work::Copy => format!("DECLARE @m object\n{drain}"),
            Work::LookUp => format!("DECLARE @m object\nDECLARE @found object\n{drain}"),
            Work::FanOut(parts) => {
                let numbers: Vec<_> = (0..parts).map(|n| format!("{{\"Номер\":{n}}}")).collect();
                format!(
                    "DECLARE @parts array = JSON('[{}]')\nDECLARE @part object\nDECLARE @m object\n\
                     FOR @part IN @parts MAXDOP {parts}\n{drain}END\n",
                    numbers.join(",")
                )
            }
        }
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

    /// A session at the source, which must be PostgreSQL.
    async fn source_client(&self) -> Result<tokio_postgres::Client> {
        match &self.source {
            Place::Pgsql(server, database) => server.connect(database).await,
            _ => bail!("the source of {} is not PostgreSQL", self.scenario.name),
        }
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
            let parts = match self.load.work {
                Work::FanOut(parts) => parts,
                Work::Copy | Work::LookUp => 1,
            };
            let verdict = judge(parts, self.rows, &keys, allowed, left);
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
