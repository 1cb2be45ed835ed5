//! A fresh file, a service for it, and the application's own connection.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dajet_adapters::sqlite::CONNECTOR;
use dajet_core::contract::{Claim, Environment, Limit, Read, Service, Source, SourceSpec};
use dajet_core::query::{Body, Drain, Expr, From, Insert, Order, Output, Part, Select, Statement};
use dajet_core::record::{OrderKeys, Record};
use dajet_core::schema::{Column, DataType, Table};
use dajet_core::{Address, SystemError, Value};
use rusqlite::Connection;

pub const ALL: Limit = Limit {
    bytes: 16 << 20,
    wait_for_locked: true,
};

/// A folder with one database.
pub struct Fixture {
    pub folder: tempfile::TempDir,
    pub service: Arc<dyn Service>,
    /// The application: another user of the file, as another process would be.
    pub application: Connection,
}

impl Fixture {
    pub fn new(schema: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let application = Connection::open(folder.path().join("очередь.db")).unwrap();
        application.busy_timeout(Duration::from_secs(5)).unwrap();
        application.execute_batch(schema).unwrap();
        let service = open(folder.path(), "sqlite://очередь.db").unwrap();
        Self {
            folder,
            service,
            application,
        }
    }

    pub fn run(&self, sql: &str) {
        self.application.execute_batch(sql).unwrap();
    }

    /// The first column of a query, as text.
    pub fn ask(&self, sql: &str) -> Vec<String> {
        let mut statement = self.application.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| {
            Ok(match row.get_ref(0)? {
                rusqlite::types::ValueRef::Null => "NULL".to_owned(),
                rusqlite::types::ValueRef::Integer(n) => n.to_string(),
                rusqlite::types::ValueRef::Real(x) => x.to_string(),
                rusqlite::types::ValueRef::Text(t) => String::from_utf8_lossy(t).into_owned(),
                rusqlite::types::ValueRef::Blob(b) => format!("{b:02x?}"),
            })
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    pub async fn table(&self, name: &str) -> Arc<Table> {
        table(&*self.service, name).await
    }

    /// A source of a table: all its columns, in the order of `order` (`-` before a name turns it round).
    pub async fn source(&self, name: &str, order: &[&str], top: i64) -> Box<dyn Source> {
        let table = self.table(name).await;
        let statement = Statement::new(0, Body::Drain(drain(&table, order, top)));
        self.service.source(spec(statement)).unwrap()
    }
}

pub fn open(root: &Path, address: &str) -> Result<Arc<dyn Service>, SystemError> {
    open_for(root, address, Duration::from_secs(5))
}

pub fn open_for(
    root: &Path,
    address: &str,
    command_timeout: Duration,
) -> Result<Arc<dyn Service>, SystemError> {
    let environment = Environment {
        root: root.into(),
        command_timeout,
        ..Environment::default()
    };
    (CONNECTOR.service.unwrap())(&Address::new(address), &environment)
}

pub async fn table(service: &dyn Service, name: &str) -> Arc<Table> {
    let name: Arc<str> = name.into();
    let schema = service.describe(std::slice::from_ref(&name)).await.unwrap();
    Arc::clone(
        schema
            .table(&name)
            .unwrap_or_else(|| panic!("no table {name}")),
    )
}

pub fn spec(statement: Arc<Statement>) -> SourceSpec {
    SourceSpec {
        statement,
        session_name: "проба".into(),
        permits: 2,
    }
}

pub fn column(table: &Table, name: &str) -> Expr {
    let column = table
        .column(name)
        .unwrap_or_else(|| panic!("no column {name}"));
    Expr::Column {
        alias: "q".into(),
        column: Arc::new(column.clone()),
    }
}

pub fn output(table: &Table, name: &str) -> Output {
    let data_type = table.column(name).map(|c| c.data_type);
    Output {
        name: name.into(),
        expr: column(table, name),
        data_type,
    }
}

pub fn from(table: &Arc<Table>) -> From {
    From {
        table: Arc::clone(table),
        alias: "q".into(),
        query: None,
    }
}

pub fn orders(table: &Table, names: &[&str]) -> Vec<Order> {
    let order = |name: &&str| match name.strip_prefix('-') {
        Some(name) => Order {
            expr: column(table, name),
            descending: true,
        },
        None => Order {
            expr: column(table, name),
            descending: false,
        },
    };
    names.iter().map(order).collect()
}

pub fn drain(table: &Arc<Table>, order: &[&str], top: i64) -> Drain {
    Drain {
        from: from(table),
        columns: table
            .columns
            .iter()
            .map(|c| output(table, &c.name))
            .collect(),
        filter: None,
        order: orders(table, order),
        top: Expr::Literal(Value::Integer(top)),
        strict: false,
    }
}

pub fn select(table: &Arc<Table>, columns: &[&str], order: &[&str]) -> Arc<Statement> {
    let select = Select {
        distinct: false,
        top: None,
        columns: columns.iter().map(|name| output(table, name)).collect(),
        from: Some(from(table)),
        filter: None,
        order: orders(table, order),
        ..Select::default()
    };
    Statement::new(0, Body::Select(select))
}

pub fn parameter(index: usize, data_type: Option<DataType>) -> Expr {
    Expr::Parameter {
        index,
        data_type,
        part: Part::Whole,
    }
}

/// An insertion of one parameter for each of the columns.
pub fn insert(table: &Arc<Table>, columns: &[&str]) -> Arc<Statement> {
    let values = columns.iter().enumerate().map(|(index, name)| {
        let column = table
            .column(name)
            .unwrap_or_else(|| panic!("no column {name}"));
        (
            Arc::new(column.clone()),
            parameter(index, Some(column.data_type)),
        )
    });
    insert_of(table, values.collect(), columns.len())
}

pub fn insert_of(
    table: &Arc<Table>,
    columns: Vec<(Arc<Column>, Expr)>,
    parameters: usize,
) -> Arc<Statement> {
    let insert = Insert {
        table: Arc::clone(table),
        columns,
        query: None,
    };
    Statement::new(parameters, Body::Insert(insert))
}

/// A batch: its rows, their order keys and the claim.
pub struct Batch {
    pub rows: Vec<Record>,
    pub keys: OrderKeys,
    pub claim: Box<dyn Claim>,
}

impl Batch {
    /// The first column, as integers.
    pub fn first(&self) -> Vec<i64> {
        let number = |row: &Record| match row[0] {
            Value::Integer(n) => n,
            ref other => panic!("{other:?}"),
        };
        self.rows.iter().map(number).collect()
    }
}

pub async fn read(source: &mut dyn Source) -> Option<Batch> {
    read_with(source, ALL, &[]).await.unwrap()
}

pub async fn read_with(
    source: &mut dyn Source,
    limit: Limit,
    parameters: &[Value],
) -> Result<Option<Batch>, SystemError> {
    Ok(match source.read(limit, parameters).await? {
        Read::Batch {
            records,
            keys,
            claim,
        } => Some(Batch {
            rows: records.rows,
            keys,
            claim,
        }),
        Read::Empty { .. } => None,
    })
}

pub async fn batch(source: &mut dyn Source) -> Batch {
    read(source).await.expect("there are rows")
}

/// `SELECT 1 AS a`
pub fn select_one() -> Arc<Statement> {
    let column = Output {
        name: "a".into(),
        expr: Expr::Literal(Value::Integer(1)),
        data_type: None,
    };
    let select = Select {
        columns: vec![column],
        ..Select::default()
    };
    Statement::new(0, Body::Select(select))
}

/// The error of something that must not succeed.
pub fn refused<T>(result: Result<T, SystemError>) -> SystemError {
    match result {
        Ok(_) => panic!("it succeeded"),
        Err(error) => error,
    }
}
