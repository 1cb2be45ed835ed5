//! The actor graph of a plan, for people.

use std::fmt::Write as _;

use super::{PipelinePlan, Plan, StatementId, StatementKind, StatementPlan};
use crate::program::{Op, Program, Purpose};

/// A line of the graph: what an actor does.
struct Actor {
    name: &'static str,
    lines: Vec<String>,
}

impl Plan {
    /// The actor graph as text: what is called, what is gathered, what is read ahead, and why.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        let mut write = |indent: &str, actor: &Actor| {
            let mut lines = actor.lines.iter();
            let first = lines.next().map(String::as_str).unwrap_or_default();
            writeln!(text, "{indent}{:<12} {first}", actor.name).expect("a string takes all");
            for line in lines {
                writeln!(text, "{indent}{:<12} {line}", "").expect("a string takes all");
            }
        };
        write("", &self.script());
        for (index, pipeline) in self.pipelines.iter().enumerate() {
            let name = Actor {
                name: "pipeline",
                lines: vec![index.to_string()],
            };
            write("", &name);
            for actor in self.actors(pipeline) {
                write("  ", &actor);
            }
        }
        text
    }

    /// The same graph as a Mermaid flow chart.
    pub fn explain_mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        let label = |actor: &Actor| {
            let lines = actor.lines.join("<br/>").replace('"', "#quot;");
            format!("[\"{}<br/>{lines}\"]", actor.name)
        };
        writeln!(text, "  script{}", label(&self.script())).expect("a string takes all");
        for (index, pipeline) in self.pipelines.iter().enumerate() {
            writeln!(text, "  subgraph pipeline_{index}").expect("a string takes all");
            let actors = self.actors(pipeline);
            let ids: Vec<_> = actors
                .iter()
                .map(|a| format!("{}_{index}", a.name.to_lowercase()))
                .collect();
            for (id, actor) in ids.iter().zip(&actors) {
                writeln!(text, "    {id}{}", label(actor)).expect("a string takes all");
            }
            writeln!(text, "    {}", ids.join(" --> ")).expect("a string takes all");
            writeln!(text, "  end\n  script --> {}", ids[0]).expect("a string takes all");
        }
        text
    }

    fn script(&self) -> Actor {
        let mut lines = Vec::new();
        for program in self.programs.iter().filter(|p| p.purpose != Purpose::Body) {
            self.describe(program, &mut lines);
        }
        if lines.is_empty() {
            lines.push("nothing to do".to_owned());
        }
        Actor {
            name: "Script",
            lines,
        }
    }

    /// What a program outside of a body does, in the order of the text.
    fn describe(&self, program: &Program, lines: &mut Vec<String>) {
        if program.purpose == Purpose::Iteration {
            lines.push("in each iteration, with its own copy of the variables:".to_owned());
        }
        for op in &program.ops {
            match op {
                Op::Call { statement, .. } | Op::Append { statement, .. } => {
                    lines.push(format!("calls {}", self.shown(self.statement(*statement))));
                }
                Op::EmitMessage(statement) | Op::EmitRow(statement) => {
                    lines.push(format!("sends {}", self.shown(self.statement(*statement))));
                }
                Op::RunPipeline { pipeline, .. } => {
                    lines.push(format!("runs pipeline {}", pipeline.0))
                }
                Op::RunLoop { .. } => {
                    lines.push("runs the iterations of a FOR side by side".to_owned())
                }
                _ => {}
            }
        }
    }

    fn actors(&self, pipeline: &PipelinePlan) -> [Actor; 4] {
        let body = self.program(pipeline.body);
        let mut reader = vec![self.shown(self.statement(pipeline.source))];
        reader.push(match (pipeline.strict, pipeline.feeds_back) {
            (_, true) => "does not read ahead: TOP or WHERE uses what the body sets".to_owned(),
            (true, _) => "waits for locked rows; does not read ahead: STRICT ORDER".to_owned(),
            _ => "reads ahead".to_owned(),
        });
        let mut transformer = Vec::new();
        let mut producer = Vec::new();
        for op in &body.ops {
            match op {
                Op::Call { statement, .. } | Op::Append { statement, .. } => {
                    let shown = self.shown(self.statement(*statement));
                    let how = match body.joining {
                        Some(_) => "once for all the records of a batch",
                        None => "record by record",
                    };
                    transformer.push(format!("calls {shown}, {how}"));
                }
                Op::EmitMessage(statement) | Op::EmitRow(statement) => {
                    let statement = self.statement(*statement);
                    let mut shown = self.shown(statement);
                    let source = self.statement(pipeline.source);
                    let same = source.address.is_some() && source.address == statement.address;
                    if same && !statement.kind.is_of_broker() {
                        shown.push_str(", in the transaction of the source");
                    }
                    producer.push(shown);
                }
                _ => {}
            }
        }
        if transformer.is_empty() {
            transformer.push("runs the body; it calls nothing".to_owned());
        }
        if pipeline.reads_own_writes {
            transformer.push(
                "not ahead of the commit: a call reads or writes what the body writes".to_owned(),
            );
        }
        if pipeline.changes_variables {
            transformer.push("carries the variables that the body sets to the commit".to_owned());
        }
        if producer.is_empty() {
            producer.push("nothing to deliver".to_owned());
        }
        let committer = vec!["targets in the order of their first use, then the source".to_owned()];
        [
            Actor {
                name: "QueueReader",
                lines: reader,
            },
            Actor {
                name: "Transformer",
                lines: transformer,
            },
            Actor {
                name: "Producer",
                lines: producer,
            },
            Actor {
                name: "Committer",
                lines: committer,
            },
        ]
    }

    /// True if a statement runs with the records of a whole batch: rows that are written, look-ups that are answered together.
    pub fn runs_for_a_batch(&self, statement: StatementId) -> bool {
        let bodies = self
            .pipelines
            .iter()
            .map(|pipeline| self.program(pipeline.body));
        let mut runs = bodies.flat_map(|body| {
            body.ops.iter().map(|op| match op {
                Op::EmitRow(id) => *id == statement,
                Op::Call { statement: id, .. } | Op::Append { statement: id, .. } => {
                    *id == statement && body.joining.is_some()
                }
                _ => false,
            })
        });
        runs.any(|runs| runs)
    }

    /// What [`Plan::described`] says of a statement; of several that say the same each has its line.
    fn shown(&self, statement: &StatementPlan) -> String {
        let shown = self.described(statement);
        let same = |other: &&StatementPlan| self.described(other) == shown;
        if self.statements.iter().filter(same).count() < 2 {
            return shown;
        }
        let place = dajet_core::span::position(&self.text, statement.span.start);
        format!("{shown}, line {}", place.line)
    }

    /// `INSERT Таблица at 'pgsql://host/база'`, the address as the script writes it, without a password.
    fn described(&self, statement: &StatementPlan) -> String {
        let what = match statement.kind {
            StatementKind::Drain | StatementKind::Consume => "CONSUME",
            StatementKind::Select => "SELECT",
            StatementKind::Insert => "INSERT",
            StatementKind::Sequence => "SEQUENCE",
            StatementKind::Produce => "PRODUCE",
        };
        let mut shown = what.to_owned();
        if let Some(table) = statement.tables.first() {
            write!(shown, " {table}").expect("a string takes all");
        }
        let (start, end) = (statement.address_span.start, statement.address_span.end);
        let written = self
            .text
            .get(start as usize..end as usize)
            .unwrap_or_default();
        let written = written.trim_matches(['\'', '"']);
        if statement.place.is_some() || statement.kind.is_of_broker() {
            let address = dajet_core::Address::new(written);
            write!(shown, " at '{address}'").expect("a string takes all");
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn tells_equal_statements_apart_and_what_joins_the_source() {
        let text = "DECLARE @m object
DECLARE @a object
USE 'sqlite://a.db'
  CONSUME TOP 9 Номер INTO @m FROM Очередь
  SELECT TOP 1 Имя INTO @a FROM Имена
  SELECT TOP 1 Имя INTO @a FROM Имена
  INSERT Копии SELECT Номер = @m.Номер
  USE 'sqlite://b.db'
    INSERT Копии SELECT Номер = @m.Номер
  END
END
";
        let (plan, _) = crate::compile(text);
        let told = plan.expect("it compiles").explain();
        for part in [
            "SELECT Имена at 'sqlite://a.db', line 5",
            "SELECT Имена at 'sqlite://a.db', line 6",
            "INSERT Копии at 'sqlite://a.db', in the transaction of the source",
            "INSERT Копии at 'sqlite://b.db'\n",
        ] {
            assert!(told.contains(part), "no {part:?} in\n{told}");
        }
    }
}
