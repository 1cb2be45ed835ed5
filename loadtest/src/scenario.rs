//! The drains by name: from which system to which others.

use std::str::FromStr;

use anyhow::{Context, Error, Result};

/// Rows of the queues: this many characters of body.
pub const BODY_BYTES: usize = 350;

/// Batches in flight: one, and one read ahead; with a source in SQLite two.
pub const PERMITS: u64 = 2;

/// The body of a message with this key, `bytes` long.
pub fn body(key: u64, bytes: usize) -> String {
    let mut body = format!("{{\"n\":{key},\"text\":\"");
    body.extend(std::iter::repeat_n('x', bytes.saturating_sub(body.len())));
    body
}

/// A system that a script reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// A file of SQLite
    Sqlite,
    /// PostgreSQL
    Pgsql,
    /// Apache Kafka
    Kafka,
    /// RabbitMQ
    Amqp,
}

impl System {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            System::Sqlite => "sqlite",
            System::Pgsql => "pgsql",
            System::Kafka => "kafka",
            System::Amqp => "amqp",
        }
    }

    /// Its server's name for `docker/services.sh`.
    pub fn server(self) -> Option<&'static str> {
        match self {
            System::Sqlite => None,
            System::Pgsql => Some("pgsql"),
            System::Kafka => Some("kafka"),
            System::Amqp => Some("rabbitmq"),
        }
    }

    /// True if its records have keys of text.
    pub fn is_broker(self) -> bool {
        matches!(self, System::Kafka | System::Amqp)
    }
}

/// From where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Its name in tables and arguments.
    pub name: &'static str,
    /// What is drained.
    pub source: System,
    /// What is filled, in the order of the script.
    pub targets: &'static [System],
    /// Source and target are one database: they commit together.
    pub same_database: bool,
    /// Queues of RabbitMQ are quorum queues.
    pub quorum: bool,
    /// The target keeps the offsets of the source in the transaction of its rows.
    pub keeps_offsets: bool,
}

impl Scenario {
    /// All of them: every pair, and four more.
    pub const ALL: [Scenario; 20] = {
        use System::{Amqp, Kafka, Pgsql, Sqlite};
        [
            Self::pair("sqlite-sqlite", Sqlite, &[Sqlite]),
            Self::pair("sqlite-pg", Sqlite, &[Pgsql]),
            Self::pair("sqlite-kafka", Sqlite, &[Kafka]),
            Self::pair("sqlite-amqp", Sqlite, &[Amqp]),
            Self::pair("pg-sqlite", Pgsql, &[Sqlite]),
            Self::pair("pg-pg", Pgsql, &[Pgsql]),
            Self::pair("pg-kafka", Pgsql, &[Kafka]),
            Self::pair("pg-amqp", Pgsql, &[Amqp]),
            Self::pair("kafka-sqlite", Kafka, &[Sqlite]),
            Self::pair("kafka-pg", Kafka, &[Pgsql]),
            Self::pair("kafka-kafka", Kafka, &[Kafka]),
            Self::pair("kafka-amqp", Kafka, &[Amqp]),
            Self::pair("amqp-sqlite", Amqp, &[Sqlite]),
            Self::pair("amqp-pg", Amqp, &[Pgsql]),
            Self::pair("amqp-kafka", Amqp, &[Kafka]),
            Self::pair("amqp-amqp", Amqp, &[Amqp]),
            Scenario {
                same_database: true,
                ..Self::pair("pg-same", Pgsql, &[Pgsql])
            },
            Self::pair("pg-kafka-pg", Pgsql, &[Kafka, Pgsql]),
            Scenario {
                keeps_offsets: true,
                ..Self::pair("kafka-pg-once", Kafka, &[Pgsql])
            },
            Scenario {
                keeps_offsets: true,
                ..Self::pair("kafka-sqlite-once", Kafka, &[Sqlite])
            },
        ]
    };

    const fn pair(name: &'static str, source: System, targets: &'static [System]) -> Self {
        Self {
            name,
            source,
            targets,
            same_database: false,
            quorum: false,
            keeps_offsets: false,
        }
    }

    /// Those that are run when they are named.
    const OTHERS: [Scenario; 2] = [
        Scenario {
            quorum: true,
            ..Self::pair("pg-quorum", System::Pgsql, &[System::Amqp])
        },
        Scenario {
            quorum: true,
            ..Self::pair("quorum-pg", System::Amqp, &[System::Pgsql])
        },
    ];

    /// The one from the only target back to the source.
    pub fn back(self) -> Result<Self> {
        let mirrored = Self::ALL
            .into_iter()
            .find(|known| self.targets == [known.source] && known.targets == [self.source]);
        let mirrored = mirrored.filter(|known| !known.same_database && !self.same_database);
        Ok(Scenario {
            quorum: self.quorum,
            ..mirrored.with_context(|| format!("there is no way back for {}", self.name))?
        })
    }

    /// The scenario of this name; it must be a known one.
    pub fn named(name: &str) -> Self {
        name.parse().expect("the name stands in the list")
    }

    /// True if it reads or writes the system.
    pub fn meets(self, system: System) -> bool {
        self.source == system || self.targets.contains(&system)
    }

    /// Rows that a fault may deliver twice: none where source and target commit together.
    pub fn duplicates_per_fault(self, batch: u64) -> u64 {
        if self.same_database || self.keeps_offsets {
            0
        } else {
            let more = u64::from(self.source == System::Sqlite);
            (PERMITS + more) * batch
        }
    }
}

impl FromStr for Scenario {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let mut known = Self::ALL.into_iter().chain(Self::OTHERS);
        known.find(|known| known.name == name).ok_or_else(|| {
            let known = Self::ALL.iter().chain(&Self::OTHERS);
            let names: Vec<_> = known.map(|known| known.name).collect();
            Error::msg(format!("there is no \"{name}\" in {}", names.join(", ")))
        })
    }
}
