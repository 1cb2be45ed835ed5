//! The laws for SQLite.

use std::sync::Arc;

use dajet_core::query::Statement;
use dajet_core::{Service, Source};

use super::fixture::{Fixture, insert};
use crate::laws::service::Base;
use crate::laws::source::Queue;
use crate::laws::{Harness, Waiver, laws_of_services, laws_of_sources};

laws_of_sources!(sources, File);
laws_of_services!(services, Fixture);

/// A file with one queue.
struct File(Fixture);

impl Harness for File {
    async fn fresh() -> Self {
        Self(Fixture::new(
            "CREATE TABLE очередь(id INTEGER PRIMARY KEY, тело TEXT)",
        ))
    }
}

impl Queue for File {
    const BODY: &str = "тело";

    fn name(&self) -> &str {
        "очередь"
    }

    async fn fill(&self, bodies: &[String]) {
        let transaction = self.0.application.unchecked_transaction().unwrap();
        for body in bodies {
            let sql = "INSERT INTO очередь(тело) VALUES (?1)";
            transaction.execute(sql, [body]).unwrap();
        }
        transaction.commit().unwrap();
    }

    async fn source(&self, top: usize) -> Box<dyn Source> {
        self.0.source("очередь", &["id"], top as i64).await
    }

    async fn left(&self) -> usize {
        self.0.ask("SELECT count(*) FROM очередь")[0]
            .parse()
            .unwrap()
    }

    async fn sever(&self) -> Result<(), Waiver> {
        Err("a file has no connection that could be cut")
    }

    async fn remove(&self) {
        self.0.run("DROP TABLE очередь");
    }
}

impl Harness for Fixture {
    async fn fresh() -> Self {
        Self::new(
            "CREATE TABLE q(id INTEGER PRIMARY KEY, body TEXT);
             CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT NOT NULL);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)
             INSERT INTO q SELECT i, 'тело ' || i FROM n;",
        )
    }
}

impl Base for Fixture {
    fn service(&self) -> Arc<dyn Service> {
        Arc::clone(&self.service)
    }

    async fn source(&self) -> Box<dyn Source> {
        Self::source(self, "q", &["id"], 3).await
    }

    async fn insertion(&self) -> Arc<Statement> {
        insert(&self.table("t").await, &["id", "body"])
    }

    async fn ids(&self, table: &str) -> Vec<i64> {
        let ids = self.ask(&format!("SELECT id FROM {table} ORDER BY id"));
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    async fn remove_target(&self) {
        self.run("DROP TABLE t");
    }
}
