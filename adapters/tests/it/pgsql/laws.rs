//! The laws for PostgreSQL.

use std::sync::Arc;

use dajet_core::query::Statement;
use dajet_core::{Service, Source};

use super::fixture::{Database, drain, insert, source, table};
use crate::laws::service::Base;
use crate::laws::source::Queue;
use crate::laws::{Harness, Waiver, laws_of_services, laws_of_sources};

laws_of_sources!(sources, Filled);
laws_of_services!(services, Filled);

/// A database with a queue, and with the tables of the laws of databases.
struct Filled {
    database: Database,
    service: Arc<dyn Service>,
}

impl Harness for Filled {
    async fn fresh() -> Self {
        let database = Database::with(
            "CREATE TABLE \"Очередь\" (id bigserial PRIMARY KEY, \"Тело\" text);
             CREATE TABLE q (id bigint PRIMARY KEY, body text);
             CREATE TABLE t (id bigint PRIMARY KEY, body text NOT NULL);
             INSERT INTO q SELECT n, 'тело ' || n FROM generate_series(1, 10) AS n ORDER BY random()",
        )
        .await;
        let service = database.service();
        Self { database, service }
    }

    async fn close(self) {
        drop(self.service);
        self.database.close().await;
    }
}

impl Queue for Filled {
    const BODY: &str = "Тело";
    const EXCESS: usize = 2;

    fn name(&self) -> &str {
        "Очередь"
    }

    async fn fill(&self, bodies: &[String]) {
        let sql = "INSERT INTO \"Очередь\" (\"Тело\") SELECT b FROM unnest($1::text[]) WITH ORDINALITY AS u (b, n) ORDER BY n";
        let filled = self.database.client.execute(sql, &[&bodies]).await;
        filled.expect("the SQL of the test is right");
    }

    async fn source(&self, top: usize) -> Box<dyn Source> {
        let queue = table(&self.service, "Очередь").await;
        source(&self.service, drain(&queue, &["Тело"], &["id"], top as i64))
    }

    async fn left(&self) -> usize {
        let count = self
            .database
            .number("SELECT count(*) FROM \"Очередь\"")
            .await;
        count.try_into().expect("a count")
    }

    async fn sever(&self) -> Result<(), Waiver> {
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let killed = self.database.client.batch_execute(kill).await;
        killed.expect("the SQL of the test is right");
        Ok(())
    }

    async fn remove(&self) {
        let dropped = self
            .database
            .client
            .batch_execute("DROP TABLE \"Очередь\"")
            .await;
        dropped.expect("the SQL of the test is right");
    }
}

impl Base for Filled {
    fn service(&self) -> Arc<dyn Service> {
        Arc::clone(&self.service)
    }

    async fn source(&self) -> Box<dyn Source> {
        let queue = table(&self.service, "q").await;
        source(&self.service, drain(&queue, &["id", "body"], &["id"], 3))
    }

    async fn insertion(&self) -> Arc<Statement> {
        insert(&table(&self.service, "t").await, &["id", "body"])
    }

    async fn ids(&self, table: &str) -> Vec<i64> {
        let sql = format!("SELECT id FROM {table} ORDER BY id");
        self.database.numbers(&sql).await
    }

    async fn remove_target(&self) {
        let dropped = self.database.client.batch_execute("DROP TABLE t").await;
        dropped.expect("the SQL of the test is right");
    }
}
