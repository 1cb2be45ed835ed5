//! Drives the built `dajet` binary from outside, and measures its process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

/// Finds the binary: `DAJET_TEST_BIN`, or `dajet` beside this program.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("DAJET_TEST_BIN") {
        return Ok(path.into());
    }
    let path = std::env::current_exe()?.with_file_name("dajet");
    if !path.is_file() {
        bail!(
            "{} does not exist: build package dajet-node in the same profile first",
            path.display()
        );
    }
    Ok(path)
}

/// What a run cost.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Cost {
    /// From start to end of the process.
    pub seconds: f64,
    /// User and system time of the process.
    pub cpu_seconds: f64,
    /// Peak of its resident memory.
    pub peak_rss_mb: f64,
}

impl Cost {
    /// Seconds without those of a run that has nothing to do.
    pub fn busy(&self, idle: f64) -> f64 {
        // A run that is hardly longer tells nothing of its rate.
        (self.seconds - idle).max(self.seconds / 10.0)
    }
}

/// A running node.
pub struct Node {
    child: Child,
    started: Instant,
    children_cpu: f64,
    peak_rss_mb: f64,
}

impl Node {
    /// Starts `dajet run SCRIPT --until-idle` with further arguments; its messages go to `log`.
    pub fn start(script: &Path, log: &Path, arguments: &[&str]) -> Result<Self> {
        Self::start_all(&[script.to_owned()], log, arguments)
    }

    /// The same with several scripts.
    pub fn start_all(scripts: &[PathBuf], log: &Path, arguments: &[&str]) -> Result<Self> {
        let usual = [
            "--until-idle",
            "--set",
            "IdleDelay=0.1",
            "--set",
            "ErrorDelay=1",
            "--set",
            "GiveUpAfter=90",
        ];
        let all: Vec<_> = usual.iter().chain(arguments).copied().collect();
        Self::start_with(scripts, log, &all)
    }

    /// Starts `dajet run SCRIPT...` with these arguments; its messages are added to `log`.
    pub fn start_with(scripts: &[PathBuf], log: &Path, arguments: &[&str]) -> Result<Self> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)?;
        let child = Command::new(binary()?)
            .arg("run")
            .args(scripts)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start dajet")?;
        Ok(Self {
            child,
            started: Instant::now(),
            children_cpu: children_cpu()?,
            peak_rss_mb: 0.0,
        })
    }

    /// Sends a signal by name: STOP, CONT, TERM.
    pub fn signal(&self, name: &str) -> Result<()> {
        let process = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &process]).status()?;
        ensure!(status.success(), "cannot send SIG{name} to dajet");
        Ok(())
    }

    /// Waits for the end, at most `limit` from now, then gives up and kills it.
    pub async fn finish_within(self, limit: Duration) -> Result<(ExitStatus, Cost)> {
        let limit = self.started.elapsed() + limit;
        self.finish(limit).await
    }

    /// Notes the peak of memory and tells whether the process has ended.
    pub fn poll(&mut self) -> Result<Option<ExitStatus>> {
        if let Some(peak) = peak_rss_mb(self.child.id()) {
            self.peak_rss_mb = self.peak_rss_mb.max(peak);
        }
        Ok(self.child.try_wait()?)
    }

    /// Kills the process at once, as an outage does.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits for the end, at most `limit`, then gives up and kills it.
    pub async fn finish(mut self, limit: Duration) -> Result<(ExitStatus, Cost)> {
        loop {
            if let Some(status) = self.poll()? {
                let cost = Cost {
                    seconds: self.started.elapsed().as_secs_f64(),
                    cpu_seconds: children_cpu()? - self.children_cpu,
                    peak_rss_mb: self.peak_rss_mb,
                };
                return Ok((status, cost));
            }
            if self.started.elapsed() > limit {
                self.child.kill()?;
                self.child.wait()?;
                bail!("dajet did not end within {limit:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // One that has ended cannot be killed; who gave it up does not wait.
        let _ = self.child.kill();
    }
}

/// CPU seconds of all the children that were waited for.
fn children_cpu() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .context("odd /proc/self/stat")?
        .1
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[13].parse::<f64>()? + fields[14].parse::<f64>()?;
    Ok(ticks / 100.0)
}

fn peak_rss_mb(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<f64>()
        .ok()
        .map(|kb| kb / 1024.0)
}
