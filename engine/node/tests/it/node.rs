//! The binary as a child process.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long any single run may take.
const LIMIT: Duration = Duration::from_secs(90);

/// What a finished run left behind.
#[derive(Debug)]
pub struct Run {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Run {
    /// Asserts the exit code and that standard error holds each of the parts.
    #[track_caller]
    pub fn expect(&self, code: i32, parts: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{self}");
        for part in parts {
            assert!(self.err.contains(part), "no {part:?} in\n{self}");
        }
        self
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "exit code {:?}\n--- out\n{}\n--- err\n{}",
            self.code, self.out, self.err
        )
    }
}

/// A run that goes on.
pub struct Node {
    child: Child,
    started: Instant,
    lines: Receiver<String>,
    seen: String,
    err: JoinHandle<String>,
}

/// Runs `dajet` in the folder to its end.
pub fn dajet(folder: &Path, args: &[&str]) -> Run {
    dajet_with(folder, args, &[])
}

/// Runs `dajet` with further variables of the environment.
pub fn dajet_with(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> Run {
    Node::start(folder, args, variables).finish()
}

/// Writes a script and runs it until it is idle, with short pauses.
pub fn run_script(folder: &Path, text: &str, args: &[&str]) -> Run {
    std::fs::write(folder.join("script.djs"), text).unwrap();
    let mut all = vec![
        "run",
        "script.djs",
        "--until-idle",
        "--set",
        "IdleDelay=0.05",
        "--set",
        "GiveUpAfter=1.5",
    ];
    all.extend(args);
    dajet(folder, &all)
}

impl Node {
    /// Starts `dajet` in the folder.
    pub fn start(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dajet"));
        // The settings of whoever runs the tests are not those of the test.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DAJET_"))
        {
            command.env_remove(name);
        }
        let mut child = command
            .args(args)
            .envs(variables.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            out.lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let mut stderr = child.stderr.take().unwrap();
        let err = std::thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        Self {
            child,
            started: Instant::now(),
            lines,
            seen: String::new(),
            err,
        }
    }

    /// Waits for a line on standard output.
    pub fn wait_for_line(&mut self, wanted: &str) {
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) => {
                    self.seen.push_str(&line);
                    self.seen.push('\n');
                    if line == wanted {
                        return;
                    }
                }
                Err(error) => {
                    self.child.kill().unwrap();
                    panic!(
                        "line {wanted:?} did not come ({error}); came:\n{}",
                        self.seen
                    );
                }
            }
        }
    }

    /// Sends a signal by its name: `TERM`, `INT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Waits for the end.
    pub fn finish(mut self) -> Run {
        // Standard output closes when the process ends.
        loop {
            let left = LIMIT.saturating_sub(self.started.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push_str(&line);
                    self.seen.push('\n');
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    self.child.kill().unwrap();
                    panic!(
                        "no end within {LIMIT:?}\n--- out\n{}\n--- err\n{}",
                        self.seen,
                        self.err.join().unwrap()
                    );
                }
            }
        }
        let code = self.child.wait().unwrap().code();
        Run {
            code,
            out: self.seen,
            err: self.err.join().unwrap(),
        }
    }
}
