//! PostgreSQL as the load generator and the oracle need it: fill a queue, read a target back.

use std::ops::RangeInclusive;

use anyhow::{Context, Result, bail};
use tokio_postgres::{Client, NoTls};

/// A server and how to reach its databases.
#[derive(Clone)]
pub struct Server {
    /// `user:password@host:port`
    authority: String,
}

/// The names of the queue table and its columns; Cyrillic on purpose.
pub const QUEUE: &str = r#""ИсходящиеСообщения""#;

impl Server {
    /// Takes the address of the environment variable `DAJET_TEST_PGSQL`.
    pub fn from_environment() -> Result<Self> {
        let address = std::env::var("DAJET_TEST_PGSQL")
            .context("DAJET_TEST_PGSQL is not set (pgsql://user:password@host:port/database)")?;
        let rest = address
            .strip_prefix("pgsql://")
            .context("DAJET_TEST_PGSQL must begin with pgsql://")?;
        let (authority, _) = rest
            .rsplit_once('/')
            .context("DAJET_TEST_PGSQL names no database")?;
        Ok(Self {
            authority: authority.to_owned(),
        })
    }

    /// The same server by way of another address, `host:port`.
    pub fn by_way_of(&self, place: &str) -> Self {
        let user = self.authority.rsplit_once('@').map_or("", |(user, _)| user);
        Self {
            authority: format!("{user}@{place}"),
        }
    }

    /// `host:port`
    pub fn place(&self) -> &str {
        let authority = &self.authority;
        authority
            .rsplit_once('@')
            .map_or(authority, |(_, place)| place)
    }

    /// The address of a database for a script.
    pub fn address(&self, database: &str) -> String {
        format!("pgsql://{}/{database}", self.authority)
    }

    /// Connects to a database; the connection is driven by a task of its own.
    pub async fn connect(&self, database: &str) -> Result<Client> {
        let (client, connection) =
            tokio_postgres::connect(&format!("postgres://{}/{database}", self.authority), NoTls)
                .await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Makes an empty database, replacing one of the same name.
    pub async fn create_database(&self, database: &str) -> Result<()> {
        let client = self.connect("postgres").await?;
        client
            .batch_execute(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"))
            .await?;
        client
            .batch_execute(&format!("CREATE DATABASE {database}"))
            .await?;
        Ok(())
    }

    /// Removes a database.
    pub async fn drop_database(&self, database: &str) -> Result<()> {
        let client = self.connect("postgres").await?;
        client
            .batch_execute(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"))
            .await?;
        Ok(())
    }
}

/// Makes the empty queue table.
pub async fn create_queue(client: &Client) -> Result<()> {
    client
        .batch_execute(&format!(
            r#"DROP TABLE IF EXISTS {QUEUE};
            CREATE TABLE {QUEUE} ("НомерСообщения" bigint PRIMARY KEY, "ТипСообщения" text NOT NULL, "ТелоСообщения" text NOT NULL)"#
        ))
        .await?;
    Ok(())
}

/// Adds rows with these keys to the queue, bodies of `bytes` characters.
pub async fn append(client: &Client, keys: RangeInclusive<u64>, bytes: usize) -> Result<()> {
    let (first, last) = keys.into_inner();
    client
        .batch_execute(&format!(
            r#"INSERT INTO {QUEUE} SELECT n, 'заказ', rpad('{{"n":' || n || ',"text":"', {bytes}, 'x') FROM generate_series({first}, {last}) n;
            ANALYZE {QUEUE}; CHECKPOINT;"#
        ))
        .await?;
    Ok(())
}

/// Makes a table that knows every key of the queue, for look-ups.
pub async fn create_directory(client: &Client) -> Result<()> {
    client
        .batch_execute(&format!(
            r#"CREATE TABLE "Справочник" ("Ключ" bigint PRIMARY KEY, "Имя" text NOT NULL);
            INSERT INTO "Справочник" SELECT "НомерСообщения", 'имя ' || "НомерСообщения" FROM {QUEUE};
            ANALYZE "Справочник"; CHECKPOINT;"#
        ))
        .await?;
    Ok(())
}

/// Gives each message the number of its part.
pub async fn divide_queue(client: &Client, parts: u64) -> Result<()> {
    client
        .batch_execute(&format!(
            r#"ALTER TABLE {QUEUE} ADD COLUMN "Часть" integer GENERATED ALWAYS AS ("НомерСообщения" % {parts}) STORED;
            CREATE UNIQUE INDEX ON {QUEUE} ("Часть", "НомерСообщения"); ANALYZE {QUEUE}; CHECKPOINT;"#
        ))
        .await?;
    Ok(())
}

/// Makes an empty target; `seq` is filled by the database in the order of insertion. Brokers have keys of text.
pub async fn create_target(client: &Client, key: &str) -> Result<()> {
    client
        .batch_execute(&format!(
            r#"DROP TABLE IF EXISTS "ВходящиеСообщения";
            CREATE TABLE "ВходящиеСообщения" (seq bigserial PRIMARY KEY, "Номер" {key} NOT NULL, "Тип" text NOT NULL, "Тело" text NOT NULL)"#,
        ))
        .await?;
    Ok(())
}

/// The keys of the target in the order of insertion.
pub async fn read_target(client: &Client) -> Result<Vec<u64>> {
    let rows = client
        .query(
            r#"SELECT "Номер"::text FROM "ВходящиеСообщения" ORDER BY seq"#,
            &[],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let key: &str = row.get(0);
            key.parse().context("a key is not a number")
        })
        .collect()
}

/// Rows that the queue still holds.
pub async fn count_queue(client: &Client) -> Result<u64> {
    let row = client
        .query_one(&format!("SELECT count(*) FROM {QUEUE}"), &[])
        .await?;
    Ok(row.get::<_, i64>(0) as u64)
}

/// Rows that the target holds, duplicates included.
pub async fn count_target(client: &Client) -> Result<u64> {
    let statement = r#"SELECT count(*) FROM "ВходящиеСообщения""#;
    let row = client.query_one(statement, &[]).await?;
    Ok(row.get::<_, i64>(0) as u64)
}

/// Tries `connect` until the server answers, at most about 30 s: for the time behind a restart.
pub async fn connect_patiently(server: &Server, database: &str) -> Result<Client> {
    for _ in 0..150 {
        if let Ok(client) = server.connect(database).await {
            return Ok(client);
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    bail!("the database \"{database}\" cannot be reached")
}
