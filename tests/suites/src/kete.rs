//! The kete under test: the built binary with a configuration, watched from outside.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use reqwest::{Client, Response, StatusCode};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, Command};

use crate::eventually::{PATIENCE, eventually, eventually_within, soon};
use crate::observed::{Ended, LogLine, Memory};
use crate::process::Process;
use crate::{Metrics, Sample, environment, http};

/// How much of the log is shown when a test fails.
const SHOWN_LINES: usize = 80;

/// A running kete. It is killed when this is dropped; its log is part of the output of a test
/// that fails.
pub struct Kete {
    process: Process,
    directory: Place,
    client: Client,
    admin: String,
}

/// Where the files of a kete are.
pub(crate) enum Place {
    /// In a directory that goes with it.
    Own(TempDir),
    /// In one that stays.
    Lent(PathBuf),
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Place::Own(directory) => directory.path(),
            Place::Lent(path) => path,
        }
    }
}

impl Kete {
    /// Starts it with this configuration and waits until it takes events. Metrics, dead letters
    /// and a log in JSON are added.
    ///
    /// # Errors
    ///
    /// It does not start; the error has its log.
    pub async fn run(configuration: &[String]) -> Result<Kete> {
        let directory = TempDir::with_prefix("kete-")?;
        let letters = dead_letters(directory.path());
        let own = format!("kete.dead-letters.path={}\n", letters.display());
        let mut command = Command::new(environment::kete_binary()?);
        let kete = Kete::launch(&mut command, Place::Own(directory), own, configuration)?;
        kete.ready().await
    }

    /// Starts it in a directory, with lines of configuration of its own, and waits for nothing.
    pub(crate) fn launch(
        command: &mut Command,
        directory: Place,
        own: String,
        configuration: &[String],
    ) -> Result<Kete> {
        let [watched, given] = Kete::configuration_in(directory.path());
        let usual = "kete.admin.bind=127.0.0.1:0\nkete.log.format=json\n";
        std::fs::write(&watched, format!("{usual}{own}"))?;
        std::fs::write(&given, configuration.concat())?;
        command.arg("run");
        command.arg("--config").arg(watched);
        command.arg("--config").arg(given);
        Ok(Kete {
            process: Process::spawn("kete", command)?,
            directory,
            client: http::client()?,
            admin: String::new(),
        })
    }

    /// The files of the configuration of a kete that lives in this directory.
    pub(crate) fn configuration_in(directory: &Path) -> [PathBuf; 2] {
        ["watched.properties", "kete.properties"].map(|name| directory.join(name))
    }

    /// Waits until it takes events.
    ///
    /// # Errors
    ///
    /// It has ended; the error has its log.
    pub async fn ready(mut self) -> Result<Kete> {
        self.admin = self.address("metrics and health are served").await?;
        self.wait_until_ready().await?;
        Ok(self)
    }

    // === what goes in ===

    /// Writes to its standard input. It waits while kete does not read.
    ///
    /// # Errors
    ///
    /// Standard input is closed, or kete does not read for long.
    pub async fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        let stdin = self
            .process
            .stdin
            .as_mut()
            .context("standard input is closed")?;
        soon("kete reads its standard input", stdin.write_all(bytes)).await??;
        Ok(())
    }

    /// Writes events to its standard input, one per line.
    ///
    /// # Errors
    ///
    /// As [`Kete::feed`].
    pub async fn feed_events(&mut self, events: &[Sample]) -> Result<()> {
        self.feed(&crate::lines(events)).await
    }

    /// Ends its standard input.
    pub fn close_stdin(&mut self) {
        self.process.stdin = None;
    }

    /// Its standard input, for whoever feeds it on the side.
    ///
    /// # Errors
    ///
    /// It is closed, or somebody has it.
    pub fn take_stdin(&mut self) -> Result<ChildStdin> {
        self.process
            .stdin
            .take()
            .context("standard input is closed")
    }

    /// Posts a body to its webhook.
    ///
    /// # Errors
    ///
    /// There is no answer.
    pub async fn post(&self, body: impl Into<reqwest::Body>) -> Result<StatusCode> {
        Ok(self.answer(body).await?.status())
    }

    /// The same, with all of the answer.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn answer(&self, body: impl Into<reqwest::Body>) -> Result<Response> {
        let url = format!("http://{}/events", self.webhook_address().await?);
        let request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .body(body);
        Ok(request.send().await?)
    }

    /// Where its webhook listens.
    ///
    /// # Errors
    ///
    /// It does not say.
    pub async fn webhook_address(&self) -> Result<String> {
        let line = self.wait_for_log("where the webhook listens", |line| {
            line.text("source") == "hook" && !line.text("address").is_empty()
        });
        Ok(line.await?.text("address").to_owned())
    }

    /// The port of [`Kete::webhook_address`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn webhook_port(&self) -> Result<u16> {
        let address = self.webhook_address().await?;
        let (_, port) = address
            .rsplit_once(':')
            .context("an address without a port")?;
        Ok(port.parse()?)
    }

    // === what can be seen ===

    /// Its counters and gauges now.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub async fn metrics(&self) -> Result<Metrics> {
        Ok(Metrics::parse(&self.metrics_text().await?))
    }

    /// The same as it is served.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub async fn metrics_text(&self) -> Result<String> {
        let url = format!("http://{}/metrics", self.admin);
        let answer = self.client.get(url).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// Waits until its metrics say so.
    ///
    /// # Errors
    ///
    /// They do not, or kete ends; the error has its log.
    pub async fn wait_until(
        &self,
        what: &str,
        holds: impl Fn(&Metrics) -> bool,
    ) -> Result<Metrics> {
        eventually(what, async || {
            let metrics = self.metrics().await?;
            ensure!(holds(&metrics), "the metrics say otherwise");
            Ok(metrics)
        })
        .await
    }

    /// Waits for a line of its log.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn wait_for_log(
        &self,
        what: &str,
        fits: impl Fn(&LogLine) -> bool,
    ) -> Result<LogLine> {
        eventually(what, async || {
            self.log()
                .into_iter()
                .find(&fits)
                .ok_or_else(|| anyhow!("no such line"))
        })
        .await
    }

    /// Waits until it has said why events of the route wait, in a line with all of these words.
    ///
    /// # Errors
    ///
    /// It says something else; the error has what.
    pub async fn wait_for_complaint(&self, route: &str, words: &[&str]) -> Result<()> {
        let said = async || {
            let lines = self.log();
            let complaints: Vec<&str> = lines
                .iter()
                .filter(|line| line.text("route") == route)
                .map(|line| line.text("error"))
                .collect();
            let fits = |complaint: &&str| words.iter().all(|word| complaint.contains(word));
            ensure!(complaints.iter().any(fits), "it says {complaints:?}");
            Ok(())
        };
        eventually(&format!("a complaint with {words:?}"), said).await
    }

    /// Waits for a line of its log that has all of these words, wherever in it.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn wait_for_words(&self, words: &[&str]) -> Result<LogLine> {
        let what = format!("a line with {words:?}");
        self.wait_for_log(&what, |line| {
            let text = line.0.to_string();
            words.iter().all(|word| text.contains(word))
        })
        .await
    }

    /// The lines of its log so far.
    #[must_use]
    pub fn log(&self) -> Vec<LogLine> {
        let parse = |line: &String| serde_json::from_str(line).map(LogLine).ok();
        self.process
            .stderr
            .lines()
            .iter()
            .filter_map(parse)
            .collect()
    }

    /// Its log as text.
    #[must_use]
    pub fn log_text(&self) -> String {
        self.process.stderr.text()
    }

    /// Its dead letters so far.
    ///
    /// # Errors
    ///
    /// The file is there and cannot be read.
    pub fn dead_letters(&self) -> Result<Vec<Value>> {
        let path = dead_letters(self.directory.path());
        let text = std::fs::read_to_string(&path).context("the dead letters")?;
        text.lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    }

    /// What it takes of memory.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn memory(&self) -> Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            anyhow::Ok(
                number
                    .with_context(|| format!("no {name}"))?
                    .parse::<u64>()?
                    * 1024,
            )
        };
        Ok(Memory {
            resident: bytes("VmRSS:")?,
            peak: bytes("VmHWM:")?,
        })
    }

    /// The number of its process.
    #[must_use]
    pub fn process_id(&self) -> i32 {
        self.process.id()
    }

    // === how it ends ===

    /// Kills it, as the kernel does when memory is short, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// It has ended by itself.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.signal(Signal::KILL)?;
        let status = self.process.ended().await?;
        let killed = status.signal() == Some(Signal::KILL.as_raw());
        ensure!(killed, "kete ended by itself, with {status}");
        Ok(())
    }

    /// Asks it to stop, as a supervisor does.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn terminate(&self) -> Result<()> {
        self.process.signal(Signal::TERM)
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// It does not end, or a signal ends it.
    pub async fn ended(&mut self) -> Result<Ended> {
        self.ended_within(PATIENCE).await
    }

    /// As [`Kete::ended`], with another deadline.
    ///
    /// # Errors
    ///
    /// It does not end in time, or a signal ends it.
    pub async fn ended_within(&mut self, patience: Duration) -> Result<Ended> {
        eventually_within(patience, "the end of kete", async || {
            self.process.has_ended()?.context("it runs")
        })
        .await?;
        let status = self.process.ended().await?;
        let code = status
            .code()
            .with_context(|| format!("kete ended with {status}"))?;
        Ok(Ended {
            code,
            stdout: self.process.stdout.text(),
            log: self.log(),
        })
    }

    /// Ends its input and waits until everything is settled and it has ended, with success.
    ///
    /// # Errors
    ///
    /// It does not end, or not with success.
    pub async fn finish(&mut self) -> Result<Ended> {
        self.close_stdin();
        let ended = self.ended().await?;
        ensure!(ended.code == 0, "kete ended with {}", ended.code);
        Ok(ended)
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let ready = eventually("kete is ready", async || {
            if self.process.has_ended()?.is_some() {
                return Ok(false);
            }
            let url = format!("http://{}/health/ready", self.admin);
            self.client.get(url).send().await?.error_for_status()?;
            Ok(true)
        })
        .await?;
        self.unless_ended(ready).await
    }

    /// An error with the log, if it has ended.
    async fn unless_ended(&mut self, runs: bool) -> Result<()> {
        if runs {
            return Ok(());
        }
        let status = self.process.ended().await?;
        bail!("kete has ended with {status}:\n{}", self.log_text())
    }

    /// The address in the line of the log with this message. Nobody waits for one that has ended.
    async fn address(&mut self, message: &str) -> Result<String> {
        let found = eventually(message, async || {
            if let Some(line) = self
                .log()
                .iter()
                .find(|line| line.text("message") == message)
            {
                return Ok(line.text("address").to_owned());
            }
            ensure!(self.process.has_ended()?.is_some(), "no such line");
            Ok(String::new())
        })
        .await?;
        self.unless_ended(!found.is_empty()).await?;
        Ok(found)
    }
}

impl Drop for Kete {
    fn drop(&mut self) {
        let lines = self.process.stderr.lines();
        eprintln!("--- the log of kete, its last lines:");
        for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
            eprintln!("{line}");
        }
    }
}

fn dead_letters(directory: &Path) -> PathBuf {
    directory.join("dead-letters.ndjson")
}
