//! The binary as a child process.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long any single run may take, while the test itself runs: the time in which the whole machine is held up does not count.
const LIMIT: Duration = Duration::from_secs(180);
/// The longest wait for a line at one time.
const LOOK: Duration = Duration::from_millis(200);

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
    left: Duration,
    lines: Receiver<(Stream, String)>,
    out: String,
    err: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Stream {
    Out,
    Err,
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
        forward(child.stdout.take().unwrap(), Stream::Out, sender.clone());
        forward(child.stderr.take().unwrap(), Stream::Err, sender);
        Self {
            child,
            left: LIMIT,
            lines,
            out: String::new(),
            err: String::new(),
        }
    }

    /// Waits for this line on standard output.
    pub fn wait_for_line(&mut self, wanted: &str) {
        while !self
            .next(wanted)
            .is_some_and(|(stream, line)| stream == Stream::Out && line == wanted)
        {}
    }

    /// Waits for a line on standard error that holds `wanted`, and returns it.
    pub fn wait_for_error(&mut self, wanted: &str) -> String {
        loop {
            match self.next(wanted) {
                Some((Stream::Err, line)) if line.contains(wanted) => return line,
                _ => {}
            }
        }
    }

    /// Waits until each of `wanted` has been in a line on standard error.
    pub fn wait_for_errors(&mut self, wanted: &[&str]) {
        let mut missing = wanted.to_vec();
        while let Some(first) = missing.first().copied() {
            if let Some((Stream::Err, line)) = self.next(first) {
                missing.retain(|wanted| !line.contains(wanted));
            }
        }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
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
        while self.read("the end").is_some() {}
        let code = self.child.wait().unwrap().code();
        Run {
            code,
            out: self.out,
            err: self.err,
        }
    }

    /// The next line; panics at the end of the process.
    fn next(&mut self, wanted: &str) -> Option<(Stream, String)> {
        let line = self.read(wanted);
        assert!(
            line.is_some(),
            "{wanted:?} did not come\n--- out\n{}\n--- err\n{}",
            self.out,
            self.err
        );
        line
    }

    /// What comes from the streams within the time that is left.
    fn receive(&mut self) -> Result<(Stream, String), RecvTimeoutError> {
        loop {
            let begun = Instant::now();
            let received = self.lines.recv_timeout(LOOK.min(self.left));
            self.left = self.left.saturating_sub(begun.elapsed().min(LOOK));
            match received {
                Err(RecvTimeoutError::Timeout) if !self.left.is_zero() => {}
                received => return received,
            }
        }
    }

    /// The next line; `None` when both streams have ended, as they do with the process.
    fn read(&mut self, wanted: &str) -> Option<(Stream, String)> {
        match self.receive() {
            Ok((stream, line)) => {
                let seen = if stream == Stream::Out {
                    &mut self.out
                } else {
                    &mut self.err
                };
                seen.push_str(&line);
                seen.push('\n');
                Some((stream, line))
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                self.child.kill().unwrap();
                panic!(
                    "{wanted} did not come within {LIMIT:?}\n--- out\n{}\n--- err\n{}",
                    self.out, self.err
                )
            }
        }
    }
}

/// Sends the lines of a stream until it ends.
fn forward(stream: impl Read + Send + 'static, name: Stream, sender: Sender<(Stream, String)>) {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stream).split(b'\n').map_while(Result::ok);
        lines.try_for_each(|line| sender.send((name, String::from_utf8_lossy(&line).into_owned())))
    });
}
