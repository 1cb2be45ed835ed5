//! The joint ceiling: a bare destructive read loop and a bare write loop, at the same time, on this machine.
//!
//! The loops do nothing else. The engine's rate is told as its share of the slower of the two.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;

use crate::bare;
use crate::drain::Drain;
use crate::place::Place;
use crate::scenario::PERMITS;

/// Rows for each second of both halves.
#[derive(Clone, Copy, Debug)]
pub struct Ceiling {
    /// The bare destructive read.
    pub read: f64,
    /// The bare write.
    pub write: f64,
}

impl Ceiling {
    /// The slower half.
    pub fn slower(self) -> f64 {
        self.read.min(self.write)
    }

    /// The one whose slower half is the faster.
    pub fn higher(before: Option<Self>, now: Self) -> Option<Self> {
        let before = before.filter(|before| before.slower() >= now.slower());
        Some(before.unwrap_or(now))
    }
}

/// Measures both halves at the same time over a prepared drain, whose source is emptied and whose target is filled.
pub async fn measure(drain: &Drain) -> Result<Ceiling> {
    let rows = drain.rows;
    // A publisher is so much slower than a read of a table that this one would soon be over, and not beside it: it waits for its turn.
    let turns = match (&drain.source, &drain.targets[0]) {
        (Place::Pgsql(..), Place::Amqp(_)) => Some(Arc::new(Semaphore::new(PERMITS as usize))),
        _ => None,
    };
    let read = read(drain, turns.clone())?;
    let write = write(drain, turns)?;
    let started = Instant::now();
    let (read, write) = tokio::try_join!(timed(read, started), timed(write, started))?;
    Ok(Ceiling {
        read: rows as f64 / read,
        write: rows as f64 / write,
    })
}

type Half = BoxFuture<'static, Result<()>>;

fn read(drain: &Drain, turns: Option<Arc<Semaphore>>) -> Result<Half> {
    let (rows, batch) = (drain.rows, drain.batch);
    Ok(match drain.source.clone() {
        Place::Pgsql(server, database) => bare::read_pgsql(server, database, batch, turns).boxed(),
        Place::Sqlite(file) => blocking(move || bare::read_sqlite(&file, batch)),
        Place::Kafka(topic) => blocking(move || bare::read_kafka(&topic, rows, batch)),
        Place::Amqp(queue) => bare::read_amqp(queue, rows, batch).boxed(),
    })
}

fn write(drain: &Drain, turns: Option<Arc<Semaphore>>) -> Result<Half> {
    let (rows, batch) = (drain.rows, drain.batch);
    if drain.scenario.same_database || drain.targets.len() > 1 {
        bail!("there is no ceiling for {}", drain.scenario.name);
    }
    let texts = drain.scenario.source.is_broker();
    Ok(match drain.targets[0].clone() {
        Place::Pgsql(server, database) => {
            bare::insert_pgsql(server, database, rows, batch, texts).boxed()
        }
        Place::Sqlite(file) => blocking(move || bare::insert_sqlite(&file, rows, batch)),
        Place::Kafka(topic) => bare::produce(topic, rows, batch).boxed(),
        Place::Amqp(queue) => bare::publish(queue, rows, batch, turns).boxed(),
    })
}

fn blocking(half: impl FnOnce() -> Result<()> + Send + 'static) -> Half {
    async { tokio::task::spawn_blocking(half).await? }.boxed()
}

/// Runs one half on a task of its own and tells the seconds until its end.
async fn timed(half: Half, started: Instant) -> Result<f64> {
    tokio::spawn(async move {
        half.await?;
        Ok(started.elapsed().as_secs_f64())
    })
    .await?
}
