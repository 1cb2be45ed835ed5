//! A database of its own for each test, and short ways to build bound statements.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dajet_adapters::pgsql::CONNECTOR;
use dajet_core::contract::SourceSpec;
use dajet_core::query::{Body, Drain, Expr, From, Insert, Order, Output, Part, Select, Statement};
use dajet_core::{
    Address, Answer, Claim, Environment, Limit, OrderKeys, Read, Record, Records, Service, Source,
    SystemError, Table, Value,
};
use tokio_postgres::{Client, NoTls};

use crate::laws::proxy::Proxy;

pub(super) const WAITING: Limit = Limit {
    bytes: 16 << 20,
    wait_for_locked: true,
};
pub(super) const SKIPPING: Limit = Limit {
    bytes: 16 << 20,
    wait_for_locked: false,
};

/// The address of the server's own database, out of the environment.
pub(super) fn server() -> String {
    std::env::var("DAJET_TEST_PGSQL")
        .expect("DAJET_TEST_PGSQL is not set: pgsql://user:password@host:port/postgres")
}

/// A fresh database.
pub(super) struct Database {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) client: Client,
}

impl Database {
    /// Creates it and runs `sql` in it.
    pub(super) async fn with(sql: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let nanoseconds = std::time::UNIX_EPOCH
            .elapsed()
            .expect("the clock is right")
            .as_nanos();
        let name = format!("дажет_{}_{number}_{nanoseconds}", std::process::id());
        let server = server();
        let admin = connect(&server).await;
        admin
            .batch_execute(&format!("CREATE DATABASE \"{name}\""))
            .await
            .expect("CREATE DATABASE is allowed");
        let (place, _) = server
            .rsplit_once('/')
            .expect("the address names a database");
        let address = format!("{place}/{name}");
        let client = connect(&address).await;
        client
            .batch_execute(sql)
            .await
            .expect("the SQL of the test is right");
        Self {
            name,
            address,
            client,
        }
    }

    /// A service over it.
    pub(super) fn service(&self) -> Arc<dyn Service> {
        self.service_with("", Environment::default())
    }

    pub(super) fn service_with(&self, query: &str, environment: Environment) -> Arc<dyn Service> {
        open(&format!("{}{query}", self.address), &environment).expect("the address is right")
    }

    /// A service over it whose way to the server is a proxy's.
    pub(super) async fn distant_service(&self) -> (Arc<dyn Service>, Proxy) {
        let (scheme, rest) = self
            .address
            .rsplit_once('@')
            .expect("the address names a user");
        let (server, name) = rest.split_once('/').expect("the address names a database");
        let proxy = Proxy::to(server).await;
        let address = format!("{scheme}@{}/{name}", proxy.place);
        let service = open(&address, &Environment::default()).expect("the address is right");
        (service, proxy)
    }

    /// A single number.
    pub(super) async fn number(&self, sql: &str) -> i64 {
        self.client
            .query_one(sql, &[])
            .await
            .expect("the SQL of the test is right")
            .get(0)
    }

    /// The first column of all rows.
    pub(super) async fn numbers(&self, sql: &str) -> Vec<i64> {
        let rows = self
            .client
            .query(sql, &[])
            .await
            .expect("the SQL of the test is right");
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Polls until the number is `expected`, 10 s at most.
    pub(super) async fn becomes(&self, sql: &str, expected: i64) {
        for _ in 0..1000 {
            if self.number(sql).await == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{sql} does not become {expected}");
    }

    /// Removes it.
    pub(super) async fn close(self) {
        let admin = connect(&server()).await;
        let sql = format!("DROP DATABASE \"{}\" WITH (FORCE)", self.name);
        admin
            .batch_execute(&sql)
            .await
            .expect("DROP DATABASE is allowed");
    }
}

pub(super) fn open(
    address: &str,
    environment: &Environment,
) -> Result<Arc<dyn Service>, SystemError> {
    (CONNECTOR.service.expect("PostgreSQL is a database"))(&Address::new(address), environment)
}

/// A connection of the test itself.
pub(super) async fn connect(address: &str) -> Client {
    let address = address.replacen("pgsql://", "postgres://", 1);
    let (client, connection) = tokio_postgres::connect(&address, NoTls)
        .await
        .expect("the server answers");
    tokio::spawn(connection);
    client
}

pub(super) async fn table(service: &Arc<dyn Service>, name: &str) -> Arc<Table> {
    let schema = service
        .describe(&[name.into()])
        .await
        .expect("the catalog answers");
    schema
        .table(name)
        .unwrap_or_else(|| panic!("no table {name}"))
        .clone()
}

pub(super) fn from(table: &Arc<Table>) -> From {
    From {
        table: Arc::clone(table),
        alias: "т".into(),
        query: None,
    }
}

pub(super) fn column(table: &Table, name: &str) -> Expr {
    let column = table
        .columns
        .iter()
        .find(|c| &*c.name == name)
        .unwrap_or_else(|| panic!("no column {name}"));
    Expr::Column {
        alias: "т".into(),
        column: Arc::new(column.clone()),
    }
}

pub(super) fn output(table: &Table, name: &str) -> Output {
    Output {
        name: name.into(),
        expr: column(table, name),
        data_type: None,
    }
}

pub(super) fn outputs(table: &Table, names: &[&str]) -> Vec<Output> {
    names.iter().map(|name| output(table, name)).collect()
}

pub(super) fn parameter(index: usize) -> Expr {
    Expr::Parameter {
        index,
        data_type: None,
        part: Part::Whole,
    }
}

pub(super) fn number(value: i64) -> Expr {
    Expr::Literal(Value::Integer(value))
}

pub(super) fn ascending(table: &Table, name: &str) -> Order {
    Order {
        expr: column(table, name),
        descending: false,
    }
}

pub(super) fn select(table: &Arc<Table>, columns: &[&str]) -> Select {
    Select {
        columns: outputs(table, columns),
        from: Some(from(table)),
        ..Select::default()
    }
}

pub(super) fn drain(table: &Arc<Table>, columns: &[&str], order: &[&str], top: i64) -> Drain {
    Drain {
        from: from(table),
        columns: outputs(table, columns),
        filter: None,
        order: order.iter().map(|name| ascending(table, name)).collect(),
        top: number(top),
        strict: false,
    }
}

/// `INSERT` of parameters into these columns.
pub(super) fn insert(table: &Arc<Table>, columns: &[&str]) -> Arc<Statement> {
    let values = columns
        .iter()
        .enumerate()
        .map(|(index, name)| (*name, parameter(index)));
    insert_values(table, columns.len(), values.collect())
}

pub(super) fn insert_values(
    table: &Arc<Table>,
    parameters: usize,
    values: Vec<(&str, Expr)>,
) -> Arc<Statement> {
    let columns = values.into_iter().map(|(name, expr)| {
        let Expr::Column { column, .. } = column(table, name) else {
            unreachable!()
        };
        (column, expr)
    });
    let insert = Insert {
        table: Arc::clone(table),
        columns: columns.collect(),
        query: None,
    };
    Statement::new(parameters, Body::Insert(insert))
}

pub(super) fn source(service: &Arc<dyn Service>, queue: Drain) -> Box<dyn Source> {
    named_source(service, queue, "host/очередь.sql", 0)
}

pub(super) fn named_source(
    service: &Arc<dyn Service>,
    queue: Drain,
    session_name: &str,
    parameters: usize,
) -> Box<dyn Source> {
    let statement = Statement::new(parameters, Body::Drain(queue));
    let spec = SourceSpec {
        statement,
        session_name: session_name.into(),
        permits: 2,
    };
    service.source(spec).expect("PostgreSQL can be a source")
}

/// A batch that must be there.
pub(super) async fn batch(
    source: &mut Box<dyn Source>,
    limit: Limit,
) -> (Records, OrderKeys, Box<dyn Claim>) {
    match source
        .read(limit, &[])
        .await
        .expect("the queue can be read")
    {
        Read::Batch {
            records,
            keys,
            claim,
        } => (records, keys, claim),
        Read::Empty { .. } => panic!("the queue is empty"),
    }
}

/// The queue must be empty; answers whether that is complete.
pub(super) async fn empty(source: &mut Box<dyn Source>, limit: Limit) -> bool {
    match source
        .read(limit, &[])
        .await
        .expect("the queue can be read")
    {
        Read::Batch { records, .. } => panic!("{} rows in an empty queue", records.rows.len()),
        Read::Empty { complete } => complete,
    }
}

/// The first column of records, which are whole numbers.
pub(super) fn integers(records: &[Record]) -> Vec<i64> {
    let integer = |record: &Record| match &record[0] {
        Value::Integer(number) => *number,
        Value::Decimal(number) => number.to_integer().expect("a whole number"),
        other => panic!("{other:?} is no number"),
    };
    records.iter().map(integer).collect()
}

pub(super) async fn query(service: &Arc<dyn Service>, select: Select) -> Vec<Record> {
    let statement = Statement::new(0, Body::Select(select));
    one(service
        .execute(&statement, &[vec![]])
        .await
        .expect("the query is right"))
}

pub(super) fn one(mut answer: Answer) -> Vec<Record> {
    assert_eq!(answer.groups.len(), 1);
    answer.groups.remove(0)
}

pub(super) fn short_timeout(seconds: u64) -> Environment {
    Environment {
        command_timeout: Duration::from_secs(seconds),
        ..Environment::default()
    }
}

pub(super) fn rooted(root: PathBuf) -> Environment {
    Environment {
        root,
        ..Environment::default()
    }
}
