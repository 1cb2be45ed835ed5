//! What a person sees of a run: standard output for the scripts' own lines, standard error for everything else. On a
//! terminal the progress lines stay at the bottom and nothing is written into them.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The two streams and the progress lines. Clones share one screen.
#[derive(Clone)]
pub struct Screen {
    progress: Option<Arc<MultiProgress>>,
    colour: bool,
}

impl Screen {
    /// Looks at standard error once.
    pub fn new() -> Self {
        let terminal = io::stderr().is_terminal();
        let progress = terminal
            .then(|| Arc::new(MultiProgress::with_draw_target(ProgressDrawTarget::stderr())));
        Self {
            progress,
            colour: terminal && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    /// True if messages are coloured.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// Runs `write` while no progress line is on the screen.
    pub fn between_redraws<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.progress {
            Some(progress) => progress.suspend(write),
            None => write(),
        }
    }

    /// Writes a line of a script, or a result, to standard output.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn out(&self, line: &str) -> io::Result<()> {
        self.between_redraws(|| {
            let mut out = io::stdout().lock();
            writeln!(out, "{line}").and_then(|()| out.flush())
        })
    }

    /// Writes a message of the host to standard error. When that fails there is nobody left to tell.
    pub fn say(&self, text: &str) {
        let written = self.between_redraws(|| {
            let mut err = io::stderr().lock();
            err.write_all(text.as_bytes()).and_then(|()| {
                if text.ends_with('\n') {
                    Ok(())
                } else {
                    writeln!(err)
                }
            })
        });
        if let Err(error) = written {
            tracing::debug!(%error, "standard error is closed");
        }
    }

    /// Adds a progress line, if this is a terminal.
    pub fn line(&self, name: &str) -> Option<ProgressBar> {
        let progress = self.progress.as_ref()?;
        let style = ProgressStyle::with_template("{spinner} {prefix}  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let line = progress.add(ProgressBar::new_spinner().with_style(style));
        line.set_prefix(name.to_owned());
        Some(line)
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}
