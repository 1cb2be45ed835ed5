//! Failures that heal: the run goes on by itself, nothing is lost, nothing is there twice.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::node::{Node, run_script};
use super::sqlite::{self, COPY};

/// A file system of 2 MB in memory; gone when dropped.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    fn mount(folder: &Path) -> Self {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(folder)
            .status();
        assert!(
            status.is_ok_and(|s| s.success()),
            "this test mounts a file system of 2 MB: run it as root"
        );
        Self {
            folder: folder.to_owned(),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("-l").arg(&self.folder).status();
        if !status.is_ok_and(|s| s.success()) {
            eprintln!("{} stays mounted", self.folder.display());
        }
    }
}

#[test]
fn a_full_disk_is_reported_and_heals() {
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let disk = SmallDisk::mount(&small);
    sqlite::outbox(folder.path(), 3000);
    sqlite::make(
        folder.path(),
        "outbox.db",
        "UPDATE outbox SET body = hex(zeroblob(1000))",
    );
    sqlite::make(
        &disk.folder,
        "orders.db",
        "CREATE TABLE orders (id INTEGER NOT NULL, body TEXT NOT NULL)",
    );
    let text = COPY.replace("sqlite://orders.db", "sqlite://small/orders.db");
    run_script(folder.path(), &text, &[]).expect(1, &["error[E_DB]", "full", "gave up"]);
    let left: i64 = sqlite::column(folder.path(), "outbox.db", "SELECT count(*) FROM outbox")[0]
        .parse()
        .unwrap();
    let delivered: i64 = sqlite::column(&small, "orders.db", "SELECT count(*) FROM orders")[0]
        .parse()
        .unwrap();
    assert!(
        left > 0 && left + delivered == 3000,
        "{left} left, {delivered} delivered"
    );
    // A bigger disk, and the same script goes on where it stopped.
    let grown = Command::new("mount")
        .args(["-o", "remount,size=64m"])
        .arg(&small)
        .status()
        .unwrap();
    assert!(grown.success());
    run_script(folder.path(), &text, &[]).expect(0, &["ended"]);
    assert_eq!(
        sqlite::column(&small, "orders.db", "SELECT count(DISTINCT id) FROM orders"),
        ["3000"]
    );
    assert_eq!(
        sqlite::column(&small, "orders.db", "SELECT count(*) FROM orders"),
        ["3000"]
    );
}

#[test]
fn a_refused_row_passes_when_the_constraint_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::outbox(folder.path(), 250);
    let orders = sqlite::make(
        folder.path(),
        "orders.db",
        "CREATE TRIGGER refuse BEFORE INSERT ON orders WHEN NEW.id = 150 BEGIN SELECT RAISE(ABORT, 'не сегодня'); END",
    );
    let text = format!("PRINT 'start'\n{COPY}");
    std::fs::write(folder.path().join("script.djs"), text).unwrap();
    let arguments = [
        "run",
        "script.djs",
        "--until-idle",
        "--set",
        "IdleDelay=0.05",
        "--set",
        "GiveUpAfter=60",
    ];
    let mut node = Node::start(folder.path(), &arguments, &[]);
    node.wait_for_error("не сегодня");
    let there: i64 = orders
        .query_row("SELECT count(*) FROM orders", [], |row| row.get(0))
        .unwrap();
    assert_eq!(there, 100, "nothing of the refused batch");
    orders.execute_batch("DROP TRIGGER refuse").unwrap();
    node.finish().expect(0, &["ended, 250 records"]);
    let expected: Vec<String> = (1..=250).map(|id| id.to_string()).collect();
    assert_eq!(
        sqlite::column(
            folder.path(),
            "orders.db",
            "SELECT id FROM orders ORDER BY rowid"
        ),
        expected
    );
}
