//! Shows what a body costs. Prints only; run it with `cargo test --release -p dajet-lang speed -- --nocapture`.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use bytestring::ByteString;
use dajet_core::schema::{Column, ColumnRole, Defaults, PhysicalColumn, Table};
use dajet_core::{DataType, Record, Schema, Shape, TableKey, Value};
use dajet_lang::{Clock, Machine, MachineSpec, Resume, Run, Step, Variables, compile};

/// Records of a batch.
const BATCH: usize = 1000;

const SCRIPT: &str = "
DECLARE @m object
DECLARE @me string = 'MAIN'
USE 'pgsql://host/база'
  CONSUME TOP 1000 Номер, Тип, Тело INTO @m FROM РегистрСведений.Исходящие ORDER BY Номер
  BODY
END";

const PRODUCE: &str = "PRODUCE 'kafka' WITH BootstrapServers = 'localhost'
  SELECT Key = @me, Value = @m.Тело, Topic = @m.Тип";

const INSERT: &str =
    "INSERT Входящие SELECT Номер = @m.Номер, Тип = @m.Тип, Тело = @m.Тело, Узел = @me";

fn schema() -> Schema {
    let column = |name: &str, data_type| {
        Column::new(
            name.into(),
            data_type,
            vec![PhysicalColumn {
                name: name.into(),
                role: ColumnRole::Value,
                type_name: "text".into(),
                nullable: true,
                generated: false,
            }],
        )
    };
    let table = Arc::new(Table {
        name: "Входящие".into(),
        physical: vec!["Входящие".into()],
        columns: vec![
            column("Номер", DataType::Integer),
            column("Тип", DataType::Text),
            column("Тело", DataType::Text),
            column("Узел", DataType::Text),
        ],
        key: TableKey::RowAddress,
        defaults: Defaults::Database,
        lacking: Vec::new(),
        reasons: Vec::new(),
        version: None,
    });
    Schema {
        tables: vec![("Входящие".into(), Some(table))],
        suggestions: Vec::new(),
        reasons: Vec::new(),
        values: Vec::new(),
    }
}

/// A machine that stands before the first record of the body.
fn machine(body: &str, clock: Clock) -> Machine {
    let (plan, diagnostics) = compile(&SCRIPT.replace("BODY", body));
    let plan = Arc::new(plan.unwrap_or_else(|| panic!("{diagnostics:?}")));
    let spec = MachineSpec {
        program: plan.root(),
        plan,
        variables: Variables::default(),
        parameters: Arc::default(),
        environment: Arc::default(),
        seed: 1,
    };
    let step = Machine::new(spec.clone())
        .resume(Resume::Start(clock))
        .expect("the root runs");
    let Step::Run(Run::Pipeline {
        pipeline,
        variables,
        ..
    }) = step
    else {
        panic!("{step:?}")
    };
    let program = spec.plan.pipeline(pipeline).body;
    Machine::new(MachineSpec {
        program,
        variables,
        ..spec
    })
}

/// Records as a database adapter makes them: slices of a shared buffer.
fn records(first: usize) -> Vec<Record> {
    let text = |bytes: Bytes| Value::Text(ByteString::try_from(bytes).expect("it is UTF-8"));
    let row = |n: usize| {
        let buffer = Bytes::from(format!("тип-{}{}", n % 2, "x".repeat(350)));
        let kind = buffer.slice(0..8);
        vec![
            Value::Integer(n as i64),
            text(kind),
            text(buffer.slice(8..)),
        ]
    };
    (first..first + BATCH).map(row).collect()
}

fn measure(name: &str, body: &str) {
    let now = jiff::civil::DateTime::constant(2024, 1, 1, 0, 0, 0, 0);
    let clock = Clock {
        local: now,
        utc: now,
    };
    let mut machine = machine(body, clock);
    let mut fastest = u128::MAX;
    for batch in 0..200 {
        let shape = Shape::new(["Номер", "Тип", "Тело"]);
        let records = records(batch * BATCH);
        let mut output = Vec::with_capacity(BATCH);
        let start = Instant::now();
        machine.begin_batch(&shape);
        for record in records {
            let mut step = machine.resume(Resume::Record(record, clock));
            loop {
                step = match step.expect("the body runs") {
                    Step::Emit(_, record) => {
                        output.push(record);
                        machine.resume(Resume::Continue)
                    }
                    Step::Bind { .. } => machine.resume(Resume::Schema(schema())),
                    Step::Done { .. } => break,
                    other => panic!("{other:?}"),
                };
            }
        }
        fastest = fastest.min(start.elapsed().as_nanos() / BATCH as u128);
        assert_eq!(output.len(), BATCH);
    }
    println!("{name}: {fastest} ns for each record in the fastest batch");
}

#[test]
fn speed_of_bodies() {
    measure("PRODUCE", PRODUCE);
    measure("INSERT", INSERT);
    measure(
        "IF and PRODUCE",
        &format!("IF @m.Тип = 'тип-1' OR @m.Номер >= 0 THEN {PRODUCE} END"),
    );
}
