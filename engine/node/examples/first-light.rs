//! The main job on the embedded database: makes and fills an outbox, runs `scripts/first-light.djs` until it is empty, and
//! prints what has become of the rows. The first argument names the folder of the two database files; without it they are
//! made in `target/first-light`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rusqlite::{Connection, params};

/// Rows of the outbox.
const ROWS: i64 = 10_000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<ExitCode, Failure> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(|| workspace.join("target/first-light"), PathBuf::from);
    fill(&folder)?;
    let script = workspace.join("scripts/first-light.djs").canonicalize()?;
    let code = dajet_node::main_with(arguments(&script, &folder));
    println!("{}", summary(&folder)?);
    Ok(code)
}

/// The call of `dajet` that runs the script in the folder.
pub fn arguments(script: &Path, folder: &Path) -> Vec<OsString> {
    let words: [&std::ffi::OsStr; 6] = [
        "dajet".as_ref(),
        "run".as_ref(),
        script.as_ref(),
        "--until-idle".as_ref(),
        "--root".as_ref(),
        folder.as_ref(),
    ];
    words.iter().map(OsString::from).collect()
}

/// Makes the two databases anew and fills the outbox.
pub fn fill(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    for name in [
        "outbox.db",
        "outbox.db-wal",
        "outbox.db-shm",
        "orders.db",
        "orders.db-wal",
        "orders.db-shm",
    ] {
        let path = folder.join(name);
        if path.exists() {
            std::fs::remove_file(path)?;
        }
    }
    let orders = Connection::open(folder.join("orders.db"))?;
    orders.execute_batch(
        "CREATE TABLE orders (id INTEGER NOT NULL, customer TEXT NOT NULL, body TEXT NOT NULL)",
    )?;
    let mut outbox = Connection::open(folder.join("outbox.db"))?;
    outbox.execute_batch(
        "CREATE TABLE outbox (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, body TEXT NOT NULL)",
    )?;
    let transaction = outbox.transaction()?;
    {
        let mut insert =
            transaction.prepare("INSERT INTO outbox (id, customer, body) VALUES (?1, ?2, ?3)")?;
        for n in 1..=ROWS {
            // Numbers with gaps, as a queue has them.
            let id = n * 3;
            insert.execute(params![
                id,
                format!("клиент {}  ", n % 100),
                format!("{{\"order\":{id}}}")
            ])?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Says what has become of the rows. The same on every machine.
pub fn summary(folder: &Path) -> Result<String, Failure> {
    let count = |connection: &Connection, table: &str| {
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
            row.get::<_, i64>(0)
        })
    };
    let left = count(&Connection::open(folder.join("outbox.db"))?, "outbox")?;
    let orders = Connection::open(folder.join("orders.db"))?;
    let delivered = count(&orders, "orders")?;
    let mut query = orders.prepare("SELECT id, customer, body FROM orders ORDER BY rowid")?;
    let mut rows = query.query([])?;
    let (mut last, mut in_order, mut checksum) = (0, true, Checksum::default());
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        in_order &= id > last;
        last = id;
        checksum.add(
            format!(
                "{id}|{}|{}\n",
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?
            )
            .as_bytes(),
        );
    }
    let order = if in_order {
        "in the order of the outbox"
    } else {
        "OUT OF ORDER"
    };
    Ok(format!(
        "rows in the outbox before: {ROWS}\nrows in the outbox after:  {left}\nrows delivered:            {delivered}\n\
         order of the rows:         {order}\nchecksum of the rows:      {:016x}",
        checksum.0
    ))
}

/// FNV-1a over all the rows in their order.
struct Checksum(u64);

impl Default for Checksum {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
