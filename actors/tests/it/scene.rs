//! A script over a world, and what it leaves there.

use dajet_actors::{Outcome, PipelineError, Settings, run};
use dajet_core::Value;
use dajet_core::testing::{FaultPlan, World};
use tokio_util::sync::CancellationToken;

use crate::stage::{QUEUE, Stage, create_tables, fill, world};

pub const CONSUME: &str = "CONSUME TOP 4 Номер, Часть, Тело INTO @m FROM Очередь ORDER BY Номер";
pub const PRODUCE: &str = "PRODUCE '{topic}' SELECT Key = @m.Номер, Value = @m.Тело";
pub const COPY: &str = "USE '{target}' INSERT Копии SELECT Номер = @m.Номер, Тело = @m.Тело END";

/// A world with a filled queue, and what a script shows in it.
pub struct Scene {
    pub world: World,
    pub stage: Stage,
    pub settings: Settings,
}

impl Scene {
    pub fn new(rows: i64) -> Self {
        let world = world(FaultPlan::none());
        create_tables(&world);
        fill(&world, QUEUE, 1..=rows, 1);
        let settings = Settings {
            until_idle: true,
            seed: Some(1),
            ..Settings::default()
        };
        Self {
            world,
            stage: Stage::new(),
            settings,
        }
    }

    /// A script over the queue: `{queue}`, `{target}` and `{topic}` are addresses.
    pub fn text(&self, template: &str) -> String {
        let text = template
            .replace("{queue}", self.world.database("queue").expose())
            .replace("{target}", self.world.database("target").expose())
            .replace("{topic}", self.world.topic("out").expose())
            .replace("{inbox}", self.world.inbox("Вход").expose());
        format!("DECLARE @m object\n{text}")
    }

    /// A script that drains the queue and does this with each message.
    pub fn drain(&self, body: &str, after: &str) -> String {
        self.text(&format!("USE '{{queue}}'\n{CONSUME}\n{body}\nEND\n{after}"))
    }

    pub async fn run(&self, text: &str) -> Outcome {
        self.run_with(text, CancellationToken::new()).await
    }

    pub async fn run_with(&self, text: &str, stop: CancellationToken) -> Outcome {
        let spec = self.stage.spec(text, self.settings.clone());
        run(spec, stop, CancellationToken::new()).await
    }

    pub fn sent(&self) -> Vec<i64> {
        self.world
            .records("out")
            .iter()
            .map(|record| integer(&record[0]))
            .collect()
    }

    pub fn copied(&self) -> Vec<i64> {
        self.world
            .rows("target", "Копии")
            .iter()
            .map(|row| integer(&row[0]))
            .collect()
    }

    pub fn left(&self) -> usize {
        self.world.rows("queue", "Очередь").len()
    }

    pub fn printed(&self) -> Vec<String> {
        self.stage.printed.lock().clone()
    }
}

pub fn integer(value: &Value) -> i64 {
    match value {
        Value::Integer(number) => *number,
        other => panic!("a number was expected, not {other:?}"),
    }
}

pub fn ended(outcome: Outcome) -> Option<Value> {
    match outcome {
        Outcome::Ended { returned } => returned,
        other => panic!("the script did not end well: {other:?}"),
    }
}

pub fn failed(outcome: Outcome) -> PipelineError {
    match outcome {
        Outcome::Failed(error) => error,
        other => panic!("the script did not fail: {other:?}"),
    }
}

pub fn gave_up(outcome: Outcome) -> PipelineError {
    match outcome {
        Outcome::GaveUp(error) => error,
        other => panic!("the script did not give up: {other:?}"),
    }
}
