//! A child process with its output, which is killed when the value is dropped.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;

use crate::eventually::soon;

/// A running process.
pub(crate) struct Process {
    name: String,
    child: Child,
    pid: Pid,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Transcript,
    pub(crate) stderr: Transcript,
}

impl Process {
    /// Starts it; `name` is for messages.
    pub(crate) fn spawn(name: &str, command: &mut Command) -> Result<Process> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} does not start: {command:?}"))?;
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        Ok(Process {
            name: name.to_owned(),
            pid: id.context("the process has no id")?,
            stdin: child.stdin.take(),
            stdout: Transcript::of(child.stdout.take().context("no standard output")?),
            stderr: Transcript::of(child.stderr.take().context("no standard error")?),
            child,
        })
    }

    pub(crate) fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let sent = kill_process(self.pid, signal);
        sent.with_context(|| format!("{} takes no {signal:?}", self.name))
    }

    /// How it ended, if it has.
    pub(crate) fn has_ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for its end and for all of its output.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        let status = soon(&what, self.child.wait()).await??;
        soon(&what, self.stdout.ended()).await?;
        soon(&what, self.stderr.ended()).await?;
        Ok(status)
    }
}

/// The lines that a process has written so far.
pub(crate) struct Transcript {
    lines: Arc<Mutex<Vec<String>>>,
    /// Until it has ended and somebody has waited for that.
    reader: Option<JoinHandle<()>>,
}

impl Transcript {
    fn of(stream: impl AsyncRead + Unpin + Send + 'static) -> Transcript {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let written = Arc::clone(&lines);
        let reader = tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream
                .read_until(b'\n', &mut line)
                .await
                .is_ok_and(|length| length > 0)
            {
                let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
                written
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(text);
                line.clear();
            }
        });
        Transcript {
            lines,
            reader: Some(reader),
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn text(&self) -> String {
        self.lines().join("\n")
    }

    async fn ended(&mut self) {
        if let Some(reader) = &mut self.reader {
            // A reader that panicked has shown why.
            let _ended = reader.await;
            self.reader = None;
        }
    }
}

impl Drop for Transcript {
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
    }
}
