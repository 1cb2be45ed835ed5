use std::sync::Arc;

use dajet_core::{Shape, Value};
use jiff::civil::DateTime;

use crate::machine::{Clock, Knowledge, Machine, MachineSpec, Resume, Run, Step, Variables};
use crate::plan::{Plan, SourceParameters};

const CLOCK: Clock = {
    let at = DateTime::constant(2024, 1, 1, 0, 0, 0, 0);
    Clock { local: at, utc: at }
};

/// Whatever is sent between actors.
fn assert_moves<T: Send>() {}

#[test]
fn moves_between_threads() {
    assert_moves::<Machine>();
    assert_moves::<Variables>();
    assert_moves::<Step>();
    assert_moves::<Resume>();
    fn assert_shared<T: Send + Sync>() {}
    assert_shared::<Plan>();
}

/// A machine over the body of the script's only source.
fn body(script: &str) -> Machine {
    let (plan, diagnostics) = crate::compile(script);
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
        .resume(Resume::Start(CLOCK))
        .unwrap();
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

/// Runs a record; what it prints.
fn run(machine: &mut Machine, number: i64) -> Vec<String> {
    let record = vec![Value::Integer(number), Value::text("текст")];
    let mut step = machine.resume(Resume::Record(record, CLOCK)).unwrap();
    let mut lines = Vec::new();
    loop {
        step = match step {
            Step::Done { .. } => return lines,
            Step::Print(line) => {
                lines.push(line);
                machine.resume(Resume::Continue).unwrap()
            }
            Step::Yield => machine.resume(Resume::Continue).unwrap(),
            other => panic!("{other:?}"),
        };
    }
}

fn script(declarations: &str, statements: &str) -> String {
    format!(
        "DECLARE @m object\n{declarations}\nUSE 'sqlite://a.db'\n\
         CONSUME TOP 10 n, Текст INTO @m FROM Очередь ORDER BY n\n{statements}\nEND"
    )
}

#[test]
fn forgets_what_a_record_made() {
    let body_of = script(
        "",
        "DECLARE @o object = SELECT a = @m.n, b = @m\nSET @m.x = @o.a\nPRINT @m.x",
    );
    let mut machine = body(&body_of);
    machine.begin_batch(&Shape::new(["n", "Текст"]));
    for number in 0..100 {
        assert_eq!(run(&mut machine, number), [number.to_string()]);
        assert_eq!(machine.state.memory.heap.len(), 0);
    }
}

#[test]
fn keeps_what_outlives_a_record_and_no_more() {
    let statements = "PRINT @last.n\nSET @last = @m\nSET @all.inner = SELECT n = @m.n, all = @all";
    let body_of = script(
        "DECLARE @last object\nDECLARE @all object = SELECT inner = NULL",
        statements,
    );
    let mut machine = body(&body_of);
    machine.begin_batch(&Shape::new(["n", "Текст"]));
    for number in 1..100 {
        let expected = if number == 1 {
            "null".to_owned()
        } else {
            (number - 1).to_string()
        };
        assert_eq!(run(&mut machine, number), [expected]);
        assert_eq!(machine.state.memory.heap.len(), 3);
    }
    let (variables, plan) = (machine.variables(), Arc::clone(&machine.plan));
    let values = variables.evaluate(&plan, &[], &mut Knowledge::default());
    assert!(matches!(values, Ok(SourceParameters::Values(values)) if values.is_empty()));
}

#[test]
fn cleans_the_heap_within_a_long_record() {
    let statements = "DECLARE @i integer = 0\nDECLARE @o object\nWHILE @i < 50000\n\
                      SET @o = SELECT i = @i\nSET @i = @i + 1\nEND\nPRINT @m.Текст + @o.i";
    let mut machine = body(&script("", statements));
    machine.begin_batch(&Shape::new(["n", "Текст"]));
    assert_eq!(run(&mut machine, 1), ["текст49999"]);
    assert_eq!(machine.state.memory.heap.len(), 0);
}

#[test]
fn refuses_an_answer_that_does_not_fit() {
    let mut machine = body(&script("", "PRINT @m.n"));
    machine.begin_batch(&Shape::new(["n", "Текст"]));
    let error = machine.resume(Resume::Continue).unwrap_err();
    assert_eq!(error.code, "E_FAULT");
    assert_eq!(error.class, dajet_core::ErrorClass::Fault);
    let error = machine.resume(Resume::Start(CLOCK)).unwrap_err();
    assert_eq!(error.class, dajet_core::ErrorClass::Fault);
}

#[test]
fn finds_columns_again_when_the_shape_changes() {
    let mut machine = body(&script("", "PRINT @m.n"));
    machine.begin_batch(&Shape::new(["n", "Текст"]));
    assert_eq!(run(&mut machine, 7), ["7"]);
    machine.begin_batch(&Shape::new(["Текст", "n"]));
    assert_eq!(run(&mut machine, 7), ["текст"]);
    machine.begin_batch(&Shape::new(["a", "b"]));
    assert_eq!(run(&mut machine, 7), ["null"]);
}
