//! Look-ups: expressions as PostgreSQL evaluates them.

use std::sync::Arc;

use dajet_core::query::{Binary, Body, Expr, Function, Output, Statement, Unary};
use dajet_core::{DataType, Record, Service, Value};

use super::fixture::{Database, column, number, one, parameter, select, table};

async fn evaluate(
    service: &Arc<dyn Service>,
    expr: impl Fn(&dyn Fn(&str) -> Expr) -> Expr,
    parameters: Record,
) -> Vec<Record> {
    let target = table(service, "t").await;
    let mut query = select(&target, &[]);
    let expr = expr(&|name| column(&target, name));
    query.columns = vec![Output {
        name: "x".into(),
        expr,
        data_type: None,
    }];
    query.order = vec![super::fixture::ascending(&target, "id")];
    let statement = Statement::new(parameters.len(), Body::Select(query));
    one(service
        .execute(&statement, &[parameters])
        .await
        .expect("the query is right"))
}

fn binary(operator: Binary, left: Expr, right: Expr) -> Expr {
    Expr::Binary(operator, Box::new(left), Box::new(right))
}

const ROWS: &str = "CREATE TABLE t (id int PRIMARY KEY, s text, c char(5), n numeric(10, 2), b bytea, at date);
        INSERT INTO t VALUES (1, ' аб ', 'в', 1.50, '\\x0000002a', '2026-01-02'), (2, NULL, 'г', 2, '\\xff', NULL)";

#[tokio::test]
async fn expressions_are_evaluated_by_the_database() {
    let database = Database::with(ROWS).await;
    let service = database.service();
    let text = |text: &str| Value::text(text.to_owned());
    let call = |function, argument| Expr::Call(function, vec![argument]);
    let results = evaluate(
        &service,
        |c| call(Function::Upper, call(Function::LTrim, c("s"))),
        vec![],
    )
    .await;
    assert_eq!(results, [[text("АБ ")], [Value::Null]]);
    let results = evaluate(
        &service,
        |c| binary(Binary::Concat, c("c"), parameter(0)),
        vec![text("!")],
    )
    .await;
    assert_eq!(results, [[text("в!")], [text("г!")]]);
    let results = evaluate(
        &service,
        |c| binary(Binary::Multiply, c("n"), parameter(0)),
        vec![Value::Integer(3)],
    )
    .await;
    assert_eq!(results[0], [Value::Decimal("4.50".parse().unwrap())]);
    let results = evaluate(
        &service,
        |c| Expr::Cast(Box::new(c("b")), DataType::Integer),
        vec![],
    )
    .await;
    assert_eq!(results, [[Value::Integer(42)], [Value::Integer(255)]]);
    let results = evaluate(&service, |c| call(Function::DataLength, c("s")), vec![]).await;
    assert_eq!(results[0], [Value::Integer(6)]);
    let results = evaluate(&service, |c| call(Function::CharLength, c("s")), vec![]).await;
    assert_eq!(results[0], [Value::Integer(4)]);
    database.close().await;
}

#[tokio::test]
async fn conditions_are_evaluated_by_the_database() {
    let database = Database::with(ROWS).await;
    let service = database.service();
    let text = |text: &str| Value::text(text.to_owned());
    let in_list = |c: &dyn Fn(&str) -> Expr| Expr::InList {
        operand: Box::new(c("id")),
        list: vec![number(5), parameter(0)],
        negated: true,
    };
    assert_eq!(
        evaluate(&service, in_list, vec![text("1")]).await,
        [[Value::Boolean(false)], [Value::Boolean(true)]]
    );
    let null = |c: &dyn Fn(&str) -> Expr| binary(Binary::Equal, c("s"), Expr::Literal(Value::Null));
    assert_eq!(
        evaluate(&service, null, vec![]).await,
        [[Value::Boolean(false)], [Value::Boolean(true)]]
    );
    let case = |c: &dyn Fn(&str) -> Expr| Expr::Case {
        branches: vec![(binary(Binary::Less, c("at"), parameter(0)), parameter(1))],
        otherwise: Some(Box::new(Expr::Literal(Value::Null))),
    };
    let at = Value::DateTime("2026-01-02T12:00:00".parse().unwrap());
    assert_eq!(
        evaluate(&service, case, vec![at, text("да")]).await,
        [[text("да")], [Value::Null]]
    );
    let flag = |_: &dyn Fn(&str) -> Expr| Expr::Unary(Unary::Not, Box::new(parameter(0)));
    assert_eq!(
        evaluate(&service, flag, vec![Value::Integer(0)]).await[0],
        [Value::Boolean(true)]
    );
    let like = |c: &dyn Fn(&str) -> Expr| binary(Binary::Like, c("s"), parameter(0));
    assert_eq!(
        evaluate(&service, like, vec![text("%б%")]).await,
        [[Value::Boolean(true)], [Value::Null]]
    );
    database.close().await;
}

#[tokio::test]
async fn parameters_that_are_selected_keep_their_values() {
    let database =
        Database::with("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)").await;
    let service = database.service();
    let value = Value::Decimal("1.50".parse().unwrap());
    assert_eq!(
        evaluate(&service, |_| parameter(0), vec![value.clone()]).await,
        [[value.clone()], [value]]
    );
    database.close().await;
}

#[tokio::test]
async fn aggregates_distinct_and_top_are_the_databases_own() {
    let sql = "CREATE TABLE t (id int PRIMARY KEY, g int); INSERT INTO t SELECT n, n % 3 FROM generate_series(1, 10) AS n";
    let database = Database::with(sql).await;
    let service = database.service();
    let target = table(&service, "t").await;
    let mut groups = select(&target, &["g"]);
    groups.distinct = true;
    groups.top = Some(parameter(0));
    groups.order = vec![super::fixture::ascending(&target, "g")];
    let statement = Statement::new(1, Body::Select(groups));
    let answer = service
        .execute(
            &statement,
            &[vec![Value::Integer(2)], vec![Value::text("5")]],
        )
        .await
        .expect("reads");
    assert_eq!(answer.groups[0], [[Value::Integer(0)], [Value::Integer(1)]]);
    assert_eq!(answer.groups[1].len(), 3);
    let mut count = select(&target, &[]);
    let aggregates = [
        ("n", Function::Count, vec![]),
        ("m", Function::Max, vec![column(&target, "id")]),
        ("s", Function::Sum, vec![column(&target, "id")]),
    ];
    count.columns = aggregates
        .map(|(name, function, arguments)| Output {
            name: name.into(),
            expr: Expr::Call(function, arguments),
            data_type: None,
        })
        .into();
    let statement = Statement::new(0, Body::Select(count));
    let rows = one(service.execute(&statement, &[vec![]]).await.expect("reads"));
    assert_eq!(
        rows,
        [[Value::Integer(10), Value::Integer(10), Value::Integer(55)]]
    );
    database.close().await;
}
