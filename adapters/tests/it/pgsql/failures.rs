//! Each failure has its class, and no message holds the password.

use dajet_core::query::{Body, Expr, Function, Output, Statement};
use dajet_core::{Environment, ErrorClass, SystemError};

use super::fixture::{
    Database, WAITING, drain, insert, number, open, query, select, server, short_timeout, source,
    table,
};

async fn describe(address: &str) -> SystemError {
    let service = open(address, &Environment::default()).expect("the address is right");
    service
        .describe(&["t".into()])
        .await
        .map(|_| ())
        .expect_err("the database cannot be asked")
}

#[tokio::test]
async fn classes_what_the_server_refuses() {
    let server = server();
    let (head, place) = server.rsplit_once('@').expect("user and password");
    let (user, _) = head.rsplit_once(':').expect("a password");
    let wrong_password = describe(&format!("{user}:тайна@{place}")).await;
    assert_eq!(
        (wrong_password.class, wrong_password.native_code.as_deref()),
        (ErrorClass::Misconfigured, Some("28P01"))
    );
    assert!(!format!("{wrong_password:?}").contains("тайна"));
    let (place, _) = server.rsplit_once('/').expect("a database");
    let unknown = describe(&format!("{place}/нет_такой")).await;
    assert_eq!(
        (unknown.class, unknown.native_code.as_deref()),
        (ErrorClass::Misconfigured, Some("3D000"))
    );
    assert!(unknown.message.contains("нет_такой"), "{unknown}");
    let unreachable = describe("pgsql://u:тайна@127.0.0.1:1/d").await;
    assert_eq!(unreachable.class, ErrorClass::Transient);
    assert!(
        unreachable.message.contains("127.0.0.1:1/d: "),
        "{unreachable}"
    );
    let nowhere = describe("pgsql://u:p@нет.такого.узла.invalid/d").await;
    assert_eq!(nowhere.class, ErrorClass::Transient);
}

#[tokio::test]
async fn unknown_names_are_told() {
    let database = Database::with("CREATE TABLE t (a int)").await;
    let service = database.service();
    let target = table(&service, "t").await;
    database
        .client
        .batch_execute("ALTER TABLE t RENAME a TO b")
        .await
        .unwrap();
    let statement = Statement::new(0, Body::Select(select(&target, &["a"])));
    let error = service
        .execute(&statement, &[vec![]])
        .await
        .expect_err("no such column");
    assert!(
        error.unknown_name && error.class == ErrorClass::Misconfigured,
        "{error}"
    );
    assert_eq!(error.native_code.as_deref(), Some("42703"));
    service.forget();
    let target = table(&service, "t").await;
    database.client.batch_execute("DROP TABLE t").await.unwrap();
    let mut reader = source(&service, drain(&target, &["b"], &["b"], 1));
    let error = reader
        .read(WAITING, &[])
        .await
        .map(|_| ())
        .expect_err("no such table");
    assert!(
        error.unknown_name && error.message.starts_with("cannot read queue \"t\": "),
        "{error}"
    );
    let vector = Expr::Call(Function::Vector("нет".into()), vec![]);
    let mut select = select(&target, &[]);
    select.from = None;
    select.columns = vec![Output {
        name: "v".into(),
        expr: vector,
        data_type: None,
    }];
    let error = service
        .execute(&Statement::new(0, Body::Select(select)), &[vec![]])
        .await
        .expect_err("no sequence");
    assert!(error.unknown_name, "{error}");
    database.close().await;
}

#[tokio::test]
async fn a_missing_right_is_a_mistake_of_the_configuration() {
    let database = Database::with("CREATE TABLE t (a int)").await;
    let role = format!("role_{}", std::process::id());
    let sql = format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN PASSWORD 'п'");
    database.client.batch_execute(&sql).await.unwrap();
    let (_, place) = database.address.rsplit_once('@').expect("a place");
    let service = open(
        &format!("pgsql://{role}:п@{place}"),
        &Environment::default(),
    )
    .unwrap();
    let target = table(&service, "t").await;
    let error = service
        .execute(&insert(&target, &["a"]), &[vec![1.into_value()]])
        .await
        .expect_err("no right");
    assert_eq!(
        (error.class, error.native_code.as_deref()),
        (ErrorClass::Misconfigured, Some("42501")),
        "{error}"
    );
    assert!(error.hint.is_some());
    let mut reader = source(&service, drain(&target, &["a"], &["a"], 1));
    let read = reader.read(WAITING, &[]).await.map(|_| ());
    let error = read.expect_err("no right");
    let hint = error.hint.as_deref().unwrap_or_default();
    assert!(hint.contains("SELECT, DELETE and UPDATE"), "{error:?}");
    drop((reader, service));
    database
        .client
        .batch_execute(&format!("DROP ROLE {role}"))
        .await
        .unwrap();
    database.close().await;
}

trait IntoValue {
    fn into_value(self) -> dajet_core::Value;
}

impl IntoValue for i64 {
    fn into_value(self) -> dajet_core::Value {
        dajet_core::Value::Integer(self)
    }
}

#[tokio::test]
async fn a_statement_that_lasts_too_long_is_broken_off() {
    let sql = "CREATE VIEW slow AS SELECT 1 AS a FROM pg_sleep(20)";
    let database = Database::with(sql).await;
    let service = database.service_with("", short_timeout(3));
    let slow = Statement::new(
        0,
        Body::Select(select(&table(&service, "slow").await, &["a"])),
    );
    let error = service
        .execute(&slow, &[vec![]])
        .await
        .expect_err("it lasts too long");
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.message.contains("no answer within 3 s"), "{error}");
    let running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%slow%' AND pid <> pg_backend_pid()";
    database.becomes(running, 0).await;
    assert_eq!(
        query(&service, {
            let mut one = select(&table(&service, "slow").await, &[]);
            one.from = None;
            one.columns = vec![Output {
                name: "x".into(),
                expr: number(5),
                data_type: None,
            }];
            one
        })
        .await
        .len(),
        1
    );
    database.close().await;
}

#[tokio::test]
async fn what_is_refused_at_the_commit_names_the_database_and_the_table() {
    let sql = "CREATE TABLE \"Цель\" (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)";
    let database = Database::with(sql).await;
    let service = database.service();
    let target = table(&service, "Цель").await;
    let mut claim = service.begin().await.expect("begins");
    let rows = [vec![1.into_value()], vec![1.into_value()]];
    claim
        .execute(&insert(&target, &["a"]), &rows)
        .await
        .expect("it is checked later");
    let error = claim.commit().await.expect_err("two equal rows");
    assert_eq!(error.class, ErrorClass::Rejected);
    let place = format!("cannot commit at \"{}\": ", service.identity());
    assert!(error.message.starts_with(&place), "{error}");
    assert!(!place.contains(":dajet@"), "{place}");
    assert!(error.message.ends_with(", in table \"Цель\""), "{error}");
    database.close().await;
}
