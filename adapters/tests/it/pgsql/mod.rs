//! PostgreSQL: each test has a database of its own on the server named by `DAJET_TEST_PGSQL`.

mod catalog;
mod failures;
mod fixture;
mod infobase;
mod inserts;
mod laws;
mod locks;
mod mapping;
mod metadata;
mod offsets;
mod onec;
mod queries;
mod queues;
mod values;
