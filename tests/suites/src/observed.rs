//! What is seen of a kete from outside: the lines of its log, its memory, its end.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// How a kete ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// Its log.
    pub log: Vec<LogLine>,
}

/// A line of the log, whose format is JSON.
#[derive(Debug, Clone)]
pub struct LogLine(pub(crate) Value);

/// What a process takes of memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Now.
    pub resident: u64,
    /// At most so far.
    pub peak: u64,
}

impl LogLine {
    /// A member as text; blank if it is missing.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// A member as a number; 0 if it is missing.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or_default()
    }
}

impl Ended {
    /// The last line, which says what became of the events.
    ///
    /// # Errors
    ///
    /// The log ends otherwise.
    pub fn summary(&self) -> Result<&LogLine> {
        let last = self.log.last().context("there is no log")?;
        ensure!(
            last.text("message") == "kete ends",
            "the last line is {last:?}"
        );
        Ok(last)
    }
}
