//! Runs a script against the world of its case and writes down what its machines ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use dajet_core::{Address, Shape, Value};
use dajet_lang::{
    Clock, Ended, Knowledge, Machine, MachineSpec, PipelineId, Plan, ProgramId, Resume, Run,
    ScriptError, SinkId, SinkSpec, SourceParameters, SourceStart, Step, Variables, bind, compile,
};

use crate::case::Case;
use crate::world::World;
use crate::{cases, show};

/// Most steps of one run: a script that waits for something would never end.
const STEPS_MAX: usize = 2_000;

/// The trace of a case.
pub fn trace(case: &Case) -> String {
    let script = case.section("script").unwrap_or_default();
    let (plan, diagnostics) = compile(script);
    let Some(plan) = plan else {
        return cases::show(script, &diagnostics);
    };
    let section = |name: &str| case.section(name).unwrap_or_default();
    let pairs = |name: &str| {
        section(name)
            .lines()
            .filter_map(|line| line.split_once('='))
            .collect::<Vec<_>>()
    };
    let parameters = pairs("parameters");
    let parameters = parameters
        .iter()
        .map(|(n, v)| ((*n).to_owned(), Value::text(*v)))
        .collect();
    let environment = pairs("environment");
    let environment = environment
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    let mut trace = Trace {
        script,
        plan: Arc::new(plan),
        world: World::read(section("facts"), section("records"), section("answers")),
        parameters: Arc::new(parameters),
        environment: Arc::new(environment),
        lines: Vec::new(),
        indent: 0,
        steps: 0,
    };
    let root = trace.plan.root();
    if let Err(error) = trace.run(root, Variables::default(), None) {
        trace.error(&error);
    }
    trace.lines.join("\n")
}

fn clock() -> Clock {
    let now = jiff::civil::DateTime::constant(2024, 5, 6, 7, 8, 9, 500_000_000);
    Clock {
        local: now,
        utc: now,
    }
}

fn options(options: &[(Arc<str>, Value)]) -> String {
    let shown: Vec<_> = options
        .iter()
        .map(|(name, value)| format!("{name}={}", show::value(value)))
        .collect();
    format!("[{}]", shown.join(", "))
}

/// How a program ended.
enum End {
    Done(Option<Value>),
    Left(Option<Value>),
    Stopped,
}

struct Trace<'a> {
    script: &'a str,
    plan: Arc<Plan>,
    world: World,
    parameters: Arc<BTreeMap<String, Value>>,
    environment: Arc<BTreeMap<String, String>>,
    lines: Vec<String>,
    indent: usize,
    steps: usize,
}

impl Trace<'_> {
    fn say(&mut self, line: impl AsRef<str>) {
        self.lines
            .push(format!("{}{}", "  ".repeat(self.indent), line.as_ref()));
    }

    fn error(&mut self, error: &ScriptError) {
        let mut say = |code, span, message: &str, hint: &Option<String>| {
            let hint = hint
                .as_ref()
                .map_or(String::new(), |hint| format!(" / {hint}"));
            let place = cases::place(self.script, span);
            self.say(format!(
                "error {code} {place} {message}{hint} ({:?})",
                error.class
            ));
        };
        match error.mistakes.as_slice() {
            [] => say(error.code, error.span, &error.message, &error.hint),
            all => all
                .iter()
                .for_each(|d| say(d.code, d.span, &d.message, &d.hint)),
        }
    }

    /// Runs a program: of a body, for each record with the columns of the shape.
    fn run(
        &mut self,
        program: ProgramId,
        variables: Variables,
        records: Option<Arc<Shape>>,
    ) -> Result<End, ScriptError> {
        let mut machine = Machine::new(MachineSpec {
            plan: Arc::clone(&self.plan),
            program,
            variables,
            parameters: Arc::clone(&self.parameters),
            environment: Arc::clone(&self.environment),
            seed: 1,
        });
        let clock = clock();
        let mut sinks = Vec::new();
        let Some(shape) = records else {
            return self.follow(&mut machine, Resume::Start(clock), &mut sinks);
        };
        machine.begin_batch(&shape);
        while let Some(record) = self.world.records.pop_front() {
            let shown: Vec<_> = record.iter().map(show::value).collect();
            self.say(format!("record {}", shown.join(", ")));
            self.indent += 1;
            let end = self.follow(&mut machine, Resume::Record(record, clock), &mut sinks);
            self.indent -= 1;
            match end? {
                End::Done(_) => {}
                other => return Ok(other),
            }
        }
        Ok(End::Stopped)
    }

    fn follow(
        &mut self,
        machine: &mut Machine,
        start: Resume,
        sinks: &mut Vec<SinkId>,
    ) -> Result<End, ScriptError> {
        let mut resume = start;
        loop {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                self.say("…");
                return Ok(End::Stopped);
            }
            resume = match machine.resume(resume)? {
                Step::Bind {
                    address,
                    statement,
                    tables,
                } => {
                    let kind = self.plan.statement(statement).kind;
                    self.say(format!("bind {kind:?} {} at {address}", tables.join(", ")));
                    Resume::Schema(self.world.schema(&tables))
                }
                Step::Ask(question) => {
                    self.say(format!("ask {:?} at {}", question.key, question.address));
                    Resume::Known(self.world.known(&question.key))
                }
                Step::Call {
                    address,
                    bound,
                    parameters,
                    ..
                } => {
                    self.say(format!("call {address} {}", show::body(&bound.body)));
                    self.parameters(&parameters);
                    Resume::Answer(self.world.answer())
                }
                Step::Emit(sink, record) => {
                    if !sinks.contains(&sink) {
                        sinks.push(sink);
                        self.sink(sink, machine.sink(sink));
                    }
                    let shown: Vec<_> = record.iter().map(show::value).collect();
                    self.say(format!("emit {} {}", sink.0, shown.join(", ")));
                    Resume::Continue
                }
                Step::Flush => self.go_on("flush"),
                Step::Hold => panic!("no record runs ahead"),
                Step::Print(line) => self.go_on(format!("print {line}")),
                Step::Warn(warning) => {
                    self.go_on(format!("warn {}", cases::show(self.script, &[*warning])))
                }
                Step::Sleep(pause) => self.go_on(format!("sleep {pause:?}")),
                Step::Yield => self.go_on("yield"),
                Step::Run(run) => match self.perform(run)? {
                    Ended::Returned(value) => Resume::Ended(Ended::Returned(value)),
                    ended => Resume::Ended(ended),
                },
                Step::Leave { returned } => {
                    let shown = returned.as_ref().map(show::value);
                    self.say(format!("leave {}", shown.unwrap_or_default()).trim_end());
                    return Ok(End::Left(returned));
                }
                Step::Done { returned } => {
                    if let Some(value) = &returned {
                        self.say(format!("returned {}", show::value(value)));
                    }
                    return Ok(End::Done(returned));
                }
            };
        }
    }

    fn go_on(&mut self, line: impl AsRef<str>) -> Resume {
        self.say(line);
        Resume::Continue
    }

    fn parameters(&mut self, parameters: &[Value]) {
        if !parameters.is_empty() {
            let shown: Vec<_> = parameters.iter().map(show::value).collect();
            self.say(format!("  with {}", shown.join(", ")));
        }
    }

    fn sink(&mut self, id: SinkId, spec: &SinkSpec) {
        let shown = match spec {
            SinkSpec::Rows { address, bound, .. } => {
                format!("{address} {}", show::body(&bound.body))
            }
            SinkSpec::Messages { spec, .. } => {
                let columns = spec.columns.names.join(", ");
                format!("{} {} {columns}", spec.address, options(&spec.options))
            }
        };
        self.say(format!("sink {} {shown}", id.0));
    }

    fn perform(&mut self, run: Run) -> Result<Ended, ScriptError> {
        match run {
            Run::Pipeline {
                pipeline,
                address,
                variables,
            } => match address {
                Some(address) => self.pipeline(pipeline, &address, variables),
                None => self.broker_pipeline(pipeline, variables),
            },
            Run::Loop {
                program,
                iterations,
                parallel,
            } => {
                let parallel = match parallel {
                    Run::CORES => "cores".to_owned(),
                    Run::CORES_BUT_ONE => "cores - 1".to_owned(),
                    n => n.to_string(),
                };
                self.say(format!("loop of {}, at most {parallel}", iterations.len()));
                let mut ended = Ended::Done;
                for (index, variables) in iterations.into_iter().enumerate() {
                    self.say(format!("iteration {index}"));
                    self.indent += 1;
                    let end = self.run(program, variables, None);
                    self.indent -= 1;
                    match end? {
                        End::Done(None) => {}
                        End::Done(Some(value)) | End::Left(Some(value)) => {
                            return Ok(Ended::Returned(value));
                        }
                        End::Left(None) => break,
                        End::Stopped => ended = Ended::Stopped,
                    }
                }
                Ok(ended)
            }
        }
    }

    fn pipeline(
        &mut self,
        id: PipelineId,
        address: &Address,
        variables: Variables,
    ) -> Result<Ended, ScriptError> {
        let plan = Arc::clone(&self.plan);
        let pipeline = plan.pipeline(id);
        self.say(format!("pipeline {} at {address}", id.0));
        let schema = self.world.schema(&plan.statement(pipeline.source).names());
        let bound = match bind(&plan, pipeline.source, &schema) {
            Ok(bound) => bound,
            Err(diagnostics) => {
                self.say(cases::show(self.script, &diagnostics));
                return Ok(Ended::Stopped);
            }
        };
        self.say(format!("  {}", show::body(&bound.statement.body)));
        let mut knowledge = Knowledge::default();
        let parameters = loop {
            match plan.source_parameters(id, &variables, &mut knowledge)? {
                SourceParameters::Values(values) => break values,
                SourceParameters::Ask(question) => {
                    self.say(format!("  ask {:?}", question.key));
                    let known = self.world.known(&question.key);
                    knowledge.learn(question, known);
                }
            }
        };
        self.parameters(&bound.adapt(parameters));
        if !bound.warnings.is_empty() {
            self.say(cases::show(self.script, &bound.warnings));
        }
        let dajet_core::query::Body::Drain(drain) = &bound.statement.body else {
            panic!("a source is a drain");
        };
        let shape = Shape::new(drain.columns.iter().map(|column| Arc::clone(&column.name)));
        self.body(pipeline.body, variables, shape)
    }

    fn broker_pipeline(
        &mut self,
        id: PipelineId,
        variables: Variables,
    ) -> Result<Ended, ScriptError> {
        let environment = Arc::clone(&self.environment);
        let start = SourceStart {
            variables: &variables,
            environment: &environment,
            clock: clock(),
            seed: 1,
            permits: 2,
        };
        let spec = self.plan.broker_spec(id, start)?;
        let spec = spec.expect("a source without a database is a broker");
        self.say(format!(
            "pipeline {} at {} {}",
            id.0,
            spec.address,
            options(&spec.options)
        ));
        let shape = Shape::new(["Key", "Value", "Topic"]);
        self.body(self.plan.pipeline(id).body, variables, shape)
    }

    fn body(
        &mut self,
        program: ProgramId,
        variables: Variables,
        shape: Arc<Shape>,
    ) -> Result<Ended, ScriptError> {
        self.indent += 1;
        let end = self.run(program, variables.clone(), Some(shape));
        self.indent -= 1;
        Ok(match end? {
            End::Left(Some(value)) => Ended::Returned(value),
            // All the records are one batch, which is given back.
            End::Left(None) => Ended::Left(variables),
            End::Done(_) | End::Stopped => Ended::Stopped,
        })
    }
}
