//! The drains that are measured and judged: what is made before, the script, what is read back after.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;

use crate::oracle::{Verdict, judge};
use crate::{kafka, pgsql, sqlite};

/// Rows of the queues: this many characters of body.
pub const BODY_BYTES: usize = 350;

/// Batches in flight: one, and one read ahead.
pub const PERMITS: u64 = 2;

/// From where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// PostgreSQL to Apache Kafka
    PgKafka,
    /// PostgreSQL to PostgreSQL, another database
    PgPg,
    /// PostgreSQL to PostgreSQL, the same database: exactly once
    PgSame,
    /// SQLite to SQLite
    SqliteSqlite,
    /// SQLite to PostgreSQL
    SqlitePg,
    /// PostgreSQL to Apache Kafka and PostgreSQL in one script
    PgKafkaPg,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Scenario; 6] = [
        Scenario::PgKafka,
        Scenario::PgPg,
        Scenario::PgSame,
        Scenario::SqliteSqlite,
        Scenario::SqlitePg,
        Scenario::PgKafkaPg,
    ];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::PgKafka => "pg-kafka",
            Scenario::PgPg => "pg-pg",
            Scenario::PgSame => "pg-same",
            Scenario::SqliteSqlite => "sqlite-sqlite",
            Scenario::SqlitePg => "sqlite-pg",
            Scenario::PgKafkaPg => "pg-kafka-pg",
        }
    }

    fn reads_sqlite(self) -> bool {
        matches!(self, Scenario::SqliteSqlite | Scenario::SqlitePg)
    }

    fn writes_kafka(self) -> bool {
        matches!(self, Scenario::PgKafka | Scenario::PgKafkaPg)
    }

    fn writes_pgsql(self) -> bool {
        matches!(
            self,
            Scenario::PgPg | Scenario::SqlitePg | Scenario::PgKafkaPg | Scenario::PgSame
        )
    }

    /// Rows that a fault may deliver twice: none where source and target commit together.
    pub fn duplicates_per_fault(self, batch: u64) -> u64 {
        if self == Scenario::PgSame {
            0
        } else {
            PERMITS * batch
        }
    }
}

/// A prepared drain: its own databases, topic, files and script.
pub struct Drain {
    /// What it is.
    pub scenario: Scenario,
    /// Keys `1..=rows`.
    pub rows: u64,
    /// `TOP` of the script.
    pub batch: u64,
    /// Folder of script, log and files.
    pub folder: PathBuf,
    name: String,
}

impl Drain {
    /// Makes and fills everything.
    pub async fn prepare(scenario: Scenario, rows: u64, batch: u64) -> Result<Self> {
        let name = format!(
            "load_{}_{}",
            scenario.name().replace('-', "_"),
            std::process::id()
        );
        let folder = std::env::temp_dir().join(format!("dajet-{name}"));
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let drain = Self {
            scenario,
            rows,
            batch,
            folder,
            name,
        };
        if scenario.reads_sqlite() {
            sqlite::fill_queue(&drain.file("source.db"), rows, BODY_BYTES)?;
        } else {
            let server = pgsql::Server::from_environment()?;
            server.create_database(&drain.source()).await?;
            pgsql::fill_queue(&server.connect(&drain.source()).await?, rows, BODY_BYTES).await?;
        }
        if scenario.writes_kafka() {
            let brokers = kafka::brokers()?;
            kafka::delete_topic(&brokers, &drain.name).await?;
            kafka::create_topic(&brokers, &drain.name).await?;
        }
        if scenario.writes_pgsql() {
            let server = pgsql::Server::from_environment()?;
            if scenario != Scenario::PgSame {
                server.create_database(&drain.target()).await?;
            }
            pgsql::create_target(&server.connect(&drain.target()).await?).await?;
        }
        if scenario == Scenario::SqliteSqlite {
            sqlite::create_target(&drain.file("target.db"))?;
        }
        std::fs::write(drain.script(), drain.script_text()?)?;
        Ok(drain)
    }

    /// A file in the drain's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The script.
    pub fn script(&self) -> PathBuf {
        self.file("drain.djs")
    }

    /// Where the node's messages go.
    pub fn log(&self) -> PathBuf {
        self.file("dajet.log")
    }

    /// Name of the source database.
    pub fn source(&self) -> String {
        format!("{}_source", self.name)
    }

    /// Name of the target database.
    pub fn target(&self) -> String {
        if self.scenario == Scenario::PgSame {
            self.source()
        } else {
            format!("{}_target", self.name)
        }
    }

    /// Name of the topic.
    pub fn topic(&self) -> &str {
        &self.name
    }

    fn script_text(&self) -> Result<String> {
        let source = if self.scenario.reads_sqlite() {
            format!("sqlite://{}", self.file("source.db").display())
        } else {
            pgsql::Server::from_environment()?.address(&self.source())
        };
        let mut text = format!(
            "DECLARE @m object\nUSE '{source}'\n  CONSUME TOP {} НомерСообщения, ТипСообщения, ТелоСообщения\n     INTO @m\n     \
             FROM ИсходящиеСообщения\n    ORDER BY НомерСообщения ASC\n",
            self.batch
        );
        if self.scenario.writes_kafka() {
            write!(
                text,
                "  PRODUCE 'kafka'\n     WITH BootstrapServers = '{}', MessageTimeoutMs = 10000\n   \
                 SELECT Key = @m.НомерСообщения, Value = @m.ТелоСообщения, Topic = '{}';\n",
                kafka::brokers()?,
                self.name
            )?;
        }
        let target = if self.scenario == Scenario::SqliteSqlite {
            Some(format!("sqlite://{}", self.file("target.db").display()))
        } else if self.scenario.writes_pgsql() {
            Some(pgsql::Server::from_environment()?.address(&self.target()))
        } else {
            None
        };
        if let Some(target) = target {
            write!(
                text,
                "  USE '{target}'\n    INSERT ВходящиеСообщения\n    SELECT Номер = @m.НомерСообщения, Тип = @m.ТипСообщения, \
                 Тело = @m.ТелоСообщения\n  END\n"
            )?;
        }
        text.push_str("END\n");
        Ok(text)
    }

    /// Rows that the queue still holds.
    pub async fn left(&self) -> Result<u64> {
        if self.scenario.reads_sqlite() {
            return sqlite::count_queue(&self.file("source.db"));
        }
        let server = pgsql::Server::from_environment()?;
        pgsql::count_queue(&pgsql::connect_patiently(&server, &self.source()).await?).await
    }

    /// Reads every target back and judges it.
    pub async fn judge(&self, failures: u64) -> Result<Vec<(&'static str, Verdict)>> {
        let allowed = failures * self.scenario.duplicates_per_fault(self.batch);
        let left = self.left().await?;
        let mut verdicts = Vec::new();
        if self.scenario.writes_kafka() {
            let (brokers, topic) = (kafka::brokers()?, self.name.clone());
            let keys =
                tokio::task::spawn_blocking(move || kafka::read_topic(&brokers, &topic)).await??;
            verdicts.push(("kafka", judge(self.rows, &keys, allowed, left)));
        }
        if self.scenario.writes_pgsql() {
            let server = pgsql::Server::from_environment()?;
            let client = pgsql::connect_patiently(&server, &self.target()).await?;
            verdicts.push((
                "pgsql",
                judge(
                    self.rows,
                    &pgsql::read_target(&client).await?,
                    allowed,
                    left,
                ),
            ));
        }
        if self.scenario == Scenario::SqliteSqlite {
            let keys = sqlite::read_target(&self.file("target.db"))?;
            verdicts.push(("sqlite", judge(self.rows, &keys, allowed, left)));
        }
        Ok(verdicts)
    }

    /// Removes everything.
    pub async fn remove(self) -> Result<()> {
        if self.scenario.writes_kafka() {
            kafka::delete_topic(&kafka::brokers()?, &self.name).await?;
        }
        if !self.scenario.reads_sqlite() || self.scenario.writes_pgsql() {
            let server = pgsql::Server::from_environment()?;
            server.drop_database(&self.source()).await?;
            server.drop_database(&self.target()).await?;
        }
        std::fs::remove_dir_all(&self.folder)?;
        Ok(())
    }
}
