//! Shows what a body costs. Prints only; run it with `cargo test --release -p dajet-lang speed -- --nocapture`.

use std::sync::Arc;
use std::time::Instant;

use dajet_core::schema::{Column, ColumnRole, Defaults, PhysicalColumn, Table};
use dajet_core::{DataType, Record, Schema, Shape, TableKey, Value};
use dajet_lang::{Clock, Machine, MachineSpec, Resume, Run, Step, Variables, compile};

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
    let column = |name: &str, data_type| Column {
        name: name.into(),
        data_type,
        parts: vec![PhysicalColumn {
            name: name.into(),
            role: ColumnRole::Value,
            type_name: "text".into(),
            nullable: true,
            generated: false,
        }],
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
    });
    Schema {
        tables: vec![("Входящие".into(), Some(table))],
        suggestions: Vec::new(),
    }
}

fn measure(name: &str, body: &str) {
    let (plan, diagnostics) = compile(&SCRIPT.replace("BODY", body));
    let plan = Arc::new(plan.unwrap_or_else(|| panic!("{diagnostics:?}")));
    let now = jiff::civil::DateTime::constant(2024, 1, 1, 0, 0, 0, 0);
    let clock = Clock {
        local: now,
        utc: now,
    };
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
        .expect("the body runs");
    let Step::Run(Run::Pipeline {
        pipeline,
        variables,
        ..
    }) = step
    else {
        panic!("{step:?}")
    };
    let program = spec.plan.pipeline(pipeline).body;
    let mut machine = Machine::new(MachineSpec {
        program,
        variables,
        ..spec
    });
    let text = |text: String| Value::text(text);
    let (batches, size) = (200_usize, 1000_usize);
    let mut emitted = 0;
    let mut spent = std::time::Duration::ZERO;
    for batch in 0..batches {
        let shape = Shape::new(["Номер", "Тип", "Тело"]);
        let body = text("x".repeat(350));
        let row = |n: usize| {
            vec![
                Value::Integer(n as i64),
                text(format!("тип-{}", n % 2)),
                body.clone(),
            ]
        };
        let records: Vec<Record> = (0..size).map(|n| row(batch * size + n)).collect();
        let mut output = Vec::with_capacity(size);
        let start = Instant::now();
        machine.begin_batch(&shape);
        for record in records {
            let mut step = machine
                .resume(Resume::Record(record, clock))
                .expect("the body runs");
            loop {
                step = match step {
                    Step::Emit(_, record) => {
                        output.push(record);
                        machine.resume(Resume::Continue).expect("the body runs")
                    }
                    Step::Bind { .. } => machine
                        .resume(Resume::Schema(schema()))
                        .expect("the body runs"),
                    Step::Done { .. } => break,
                    other => panic!("{other:?}"),
                };
            }
        }
        spent += start.elapsed();
        emitted += output.len();
    }
    assert_eq!(emitted, batches * size);
    let per_record = spent.as_nanos() / emitted as u128;
    println!("{name}: {per_record} ns for each record");
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
