//! What a seed draws: the shape of the script, the sizes, the faults, and what is done to the running script.

use std::time::Duration;

use dajet_actors::Settings;
use dajet_core::Value;
use dajet_core::testing::{Chances, FaultPlan, INBOX, World};

use crate::stage::{QUEUE, create_tables, fill};

/// Random numbers from a seed (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    fn chance(&mut self, of_hundred: u64) -> bool {
        self.below(100) < of_hundred
    }
}

/// The shape of the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Messages for a broker only.
    Broker,
    /// Rows for another database only.
    Database,
    /// Both.
    Both,
    /// Rows for the source's own database: exactly once.
    SameDatabase,
    /// `FOR … MAXDOP` around partitions of the queue.
    Partitions,
    /// The body sets a variable that the messages show.
    Counter,
    /// The body looks things up, in the source's database and in another.
    LookUp,
    /// A row for every message, and the source waits for locked rows.
    Strict,
    /// TOP uses a variable that the body sets.
    FedBack,
}

const SHAPES: [Shape; 9] = [
    Shape::Broker,
    Shape::Database,
    Shape::Both,
    Shape::SameDatabase,
    Shape::Partitions,
    Shape::Counter,
    Shape::LookUp,
    Shape::Strict,
    Shape::FedBack,
];

/// What the source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A table.
    Table,
    /// A broker that hides what it has delivered.
    Tags,
    /// A broker that remembers how far it was read.
    Offsets,
    /// The same, and the database that is written to remembers it too.
    Kept,
}

impl Shape {
    /// True if every record becomes a row of another database.
    fn writes_rows(self) -> bool {
        matches!(self, Shape::Database | Shape::Both)
    }

    /// True if the source may be a broker.
    fn drains_anything(self) -> bool {
        matches!(
            self,
            Shape::Broker | Shape::Database | Shape::Both | Shape::Counter | Shape::LookUp
        )
    }
}

/// What is done to the running script, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Stopped: drains.
    Stop(Duration),
    /// Killed: releases at once.
    Kill(Duration),
}

/// A drawn case.
#[derive(Clone, Debug)]
pub struct Case {
    pub seed: u64,
    pub shape: Shape,
    pub kind: Kind,
    /// Most claims that a broker leaves open.
    pub claims: u64,
    pub rows: i64,
    /// Rows that are there before the first run; the others come while it runs.
    pub rows_at_start: i64,
    pub parts: i64,
    pub top: usize,
    pub read_ahead: Option<usize>,
    pub batch_bytes: usize,
    pub stop_grace: Duration,
    pub faults: FaultPlan,
    pub actions: Vec<Action>,
    /// How long faults go on in the last run.
    pub calm_after: Duration,
}

impl Case {
    pub fn draw(seed: u64) -> Self {
        let mut random = Random(seed);
        let shape = SHAPES[random.below(SHAPES.len() as u64) as usize];
        let kind = match random.below(4) {
            0 if shape.drains_anything() => Kind::Tags,
            1 if shape.drains_anything() && (shape.writes_rows() && random.chance(50)) => {
                Kind::Kept
            }
            1 if shape.drains_anything() => Kind::Offsets,
            _ => Kind::Table,
        };
        let top = random.between(1, 9) as usize;
        let rows = random.between(5, 50) as i64;
        let rows_at_start = if random.chance(50) { rows } else { rows / 2 };
        let hostile = random.between(0, 150);
        let chances = Chances {
            refuse: random.below(hostile + 1),
            panic: random.below(hostile / 2 + 1),
            lose_reply: random.below(hostile + 1),
        };
        let delay_max = Duration::from_millis(random.between(1, 400));
        let actions = (0..random.below(4))
            .map(|_| {
                let most = if random.chance(60) { 150 } else { 8_000 };
                let after = Duration::from_millis(random.between(1, most));
                if random.chance(50) {
                    Action::Stop(after)
                } else {
                    Action::Kill(after)
                }
            })
            .collect();
        Self {
            seed,
            shape,
            kind,
            claims: random.between(1, 3),
            rows,
            rows_at_start,
            parts: if shape == Shape::Partitions {
                random.between(1, 4) as i64
            } else {
                1
            },
            top,
            read_ahead: random.chance(50).then(|| random.below(4) as usize),
            batch_bytes: if random.chance(20) { 400 } else { 16 << 20 },
            stop_grace: Duration::from_millis(random.between(1, 3_000)),
            faults: FaultPlan {
                seed: seed ^ 0xA5A5,
                chances,
                delay_max,
                source_commits_may_hide: shape != Shape::Counter,
            },
            actions,
            // Look-ups before a source are not repeated: their failure ends the script.
            calm_after: match shape {
                Shape::Partitions => Duration::ZERO,
                _ => Duration::from_millis(random.below(20_000)),
            },
        }
    }

    /// A case without faults.
    pub fn peaceful(seed: u64, shape: Shape) -> Self {
        let case = Self::draw(seed);
        Self {
            shape,
            kind: Kind::Table,
            rows: 24,
            rows_at_start: 24,
            parts: 1,
            top: 4,
            read_ahead: Some(1),
            batch_bytes: 16 << 20,
            faults: FaultPlan {
                seed,
                ..FaultPlan::none()
            },
            actions: Vec::new(),
            ..case
        }
    }

    pub fn settings(&self, until_idle: bool) -> Settings {
        Settings {
            read_ahead: self.read_ahead,
            batch_bytes: self.batch_bytes,
            stop_grace: self.stop_grace,
            until_idle,
            seed: Some(self.seed),
            ..Settings::default()
        }
    }

    /// True if every row becomes a message.
    pub fn sends_messages(&self) -> bool {
        !matches!(self.shape, Shape::Database | Shape::SameDatabase)
    }

    /// The database that every row is copied into, if there is one.
    pub fn copies_into(&self) -> Option<&'static str> {
        match self.shape {
            Shape::Database | Shape::Both | Shape::Strict => Some("target"),
            Shape::SameDatabase => Some("queue"),
            _ => None,
        }
    }

    /// Where the rows or messages of the source stand.
    pub fn source(&self) -> (&'static str, &'static str) {
        match self.kind {
            Kind::Table => QUEUE,
            Kind::Tags | Kind::Offsets | Kind::Kept => (INBOX, "Вход"),
        }
    }

    pub fn fill(&self, world: &World) {
        create_tables(world);
        fill(world, self.source(), 1..=self.rows_at_start, self.parts);
        for part in 0..self.parts {
            world.insert("queue", "Части", vec![Value::Integer(part)]);
            for database in ["queue", "target"] {
                let name = Value::text(format!("часть {part}"));
                world.insert(database, "Имена", vec![Value::Integer(part), name]);
            }
        }
    }

    pub fn script(&self, world: &World) -> String {
        let address = |address: dajet_core::Address| address.expose().to_owned();
        let queue = address(world.database("queue"));
        let target = address(world.database("target"));
        let topic = address(world.topic("out"));
        let top = self.top;
        let strict = if self.shape == Shape::Strict {
            "WITH STRICT ORDER"
        } else {
            ""
        };
        let produce = format!("PRODUCE '{topic}' SELECT Key = @m.Номер, Value = @m.Тело");
        let insert = "INSERT Копии SELECT Номер = @m.Номер, Тело = @m.Тело";
        let copy = format!("USE '{target}' {insert} END");
        let consume = |top: &str, filter: &str| {
            format!(
                "CONSUME TOP {top} {strict} Номер, Часть, Тело INTO @m FROM Очередь {filter} ORDER BY Номер"
            )
        };
        let inbox = address(world.inbox("Вход"));
        let broker = |acknowledge: &str, more: &str| {
            let claims = self.claims;
            format!(
                "CONSUME '{inbox}' WITH BatchSize = @пачка, Acknowledge = '{acknowledge}', Claims = {claims}{more} INTO @m"
            )
        };
        let plain = match self.kind {
            Kind::Table => consume(&top.to_string(), ""),
            Kind::Tags => broker("tags", ""),
            Kind::Offsets => broker("offsets", ""),
            Kind::Kept => broker("offsets", ", OffsetTable = 'Смещения'"),
        };
        let names = "SELECT Имя INTO @имя FROM Имена WHERE Часть = @m.Часть";
        let tail = match self.shape {
            Shape::Broker => format!("{plain}\n{produce}"),
            Shape::Database => format!("{plain}\n{copy}"),
            Shape::Both | Shape::Strict => format!("{plain}\n{produce}\n{copy}"),
            Shape::SameDatabase => format!("{plain}\n{insert}"),
            Shape::Partitions => format!(
                "SELECT Часть INTO @части FROM Части\nFOR @часть IN @части MAXDOP 4\n{}\n{produce}\nEND",
                consume(&top.to_string(), "WHERE Часть = @часть.Часть")
            ),
            Shape::Counter => format!(
                "{plain}\nSET @счёт = @счёт + 1\nPRODUCE '{topic}' SELECT Key = @m.Номер, Value = @счёт"
            ),
            Shape::LookUp => format!("{plain}\n{names}\nUSE '{target}' {names} END\n{produce}"),
            Shape::FedBack => format!(
                "{}\nIF @счёт < 9 THEN SET @счёт = @счёт + 1 END\n{produce}",
                consume("@счёт", "")
            ),
        };
        format!(
            "DECLARE @m object\nDECLARE @части array\nDECLARE @часть object\nDECLARE @имя object\n\
             DECLARE @счёт integer = 1\nDECLARE @пачка integer = {top}\nUSE '{queue}'\n{tail}\nEND\n"
        )
    }

    /// Most rows of a batch.
    pub fn batch_max(&self) -> usize {
        if self.shape == Shape::FedBack {
            9
        } else {
            self.top
        }
    }
}
