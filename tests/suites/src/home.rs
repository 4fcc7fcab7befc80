//! A place where one kete after another lives: what is in its data directory outlives each of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::command::{Output, kete_command};
use crate::environment;
use crate::kete::{Kete, Place};
use crate::observed::Ended;

/// A place with a data directory. Every kete of it has that directory, an admin address and a log
/// in JSON.
pub struct Home {
    directory: TempDir,
}

impl Home {
    /// A place whose data directory is not made yet.
    ///
    /// # Errors
    ///
    /// There is no room for temporary files.
    pub fn new() -> Result<Home> {
        let directory = TempDir::with_prefix("kete-home-")?;
        Ok(Home { directory })
    }

    /// The place itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Starts a kete and waits until it takes events.
    ///
    /// # Errors
    ///
    /// It does not start; the error has its log.
    pub async fn run(&self, configuration: &[String]) -> Result<Kete> {
        self.launch(configuration)?.ready().await
    }

    /// Starts a kete and waits for nothing.
    ///
    /// # Errors
    ///
    /// There is no kete.
    pub fn launch(&self, configuration: &[String]) -> Result<Kete> {
        let mut command = Command::new(environment::kete_binary()?);
        self.launch_as(&mut command, configuration)
    }

    /// Starts a kete that takes write errors instead of a signal at a limit of its files' size,
    /// so that a limit set from outside is to it what a full disk is.
    ///
    /// # Errors
    ///
    /// It does not start; the error has its log.
    pub async fn run_unsignalled(&self, configuration: &[String]) -> Result<Kete> {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
        command.arg(environment::kete_binary()?);
        self.launch_as(&mut command, configuration)?.ready().await
    }

    /// Starts a kete whose clock is set by [`Home::set_clock`], and waits until it takes events.
    ///
    /// # Errors
    ///
    /// It does not start, or there is no faketime.
    pub async fn run_with_own_clock(&self, configuration: &[String]) -> Result<Kete> {
        let mut command = Command::new(environment::kete_binary()?);
        command.env("LD_PRELOAD", environment::faketime_library()?);
        command.env("FAKETIME_TIMESTAMP_FILE", self.clock());
        command.env("FAKETIME_NO_CACHE", "1");
        // Only the time of day jumps.
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        self.launch_as(&mut command, configuration)?.ready().await
    }

    /// Puts the clock of such a kete forward or back from the real time, as in `+1h`.
    ///
    /// # Errors
    ///
    /// The file for that cannot be written.
    pub fn set_clock(&self, offset: &str) -> Result<()> {
        // Replaced as a whole, for it is read at any time.
        let new = self.clock().with_extension("new");
        std::fs::write(&new, format!("{offset}\n"))?;
        Ok(std::fs::rename(new, self.clock())?)
    }

    fn clock(&self) -> PathBuf {
        self.directory.path().join("clock")
    }

    fn launch_as(&self, command: &mut Command, configuration: &[String]) -> Result<Kete> {
        let own = format!("kete.data-dir={}\n", self.data().display());
        let place = Place::Lent(self.directory.path().to_owned());
        Kete::launch(command, place, own, configuration)
    }

    /// Starts a kete that cannot run, and waits for its end.
    ///
    /// # Errors
    ///
    /// It does not end.
    pub async fn run_to_the_end(&self, configuration: &[String]) -> Result<Ended> {
        let mut kete = self.launch(configuration)?;
        kete.close_stdin();
        kete.ended().await
    }

    /// Runs a command of kete on the data directory.
    ///
    /// # Errors
    ///
    /// It does not run or does not end.
    pub async fn command(&self, arguments: &[&str]) -> Result<Output> {
        let data = self.data().display().to_string();
        kete_command(&[arguments, &["--data-dir", &data]].concat()).await
    }

    /// Runs a command of kete with the configuration of the last kete.
    ///
    /// # Errors
    ///
    /// It does not run or does not end.
    pub async fn configured_command(&self, arguments: &[&str]) -> Result<Output> {
        let files = Kete::configuration_in(self.directory.path());
        let files = files.map(|file| file.display().to_string());
        let more = ["--config", &files[0], "--config", &files[1]];
        kete_command(&[arguments, &more].concat()).await
    }

    /// How many events wait for a route, if the queue knows it; kete may run or not.
    ///
    /// # Errors
    ///
    /// The queue cannot be asked.
    pub async fn waiting(&self, route: &str) -> Result<Option<u64>> {
        let status = self.command(&["queue", "status", "--format", "json"]);
        let status = status.await?.json()?;
        let routes = status["routes"].as_array().context("no routes")?;
        let known = routes
            .iter()
            .find(|known| known["name"] == route && known["replay"] == false);
        Ok(known.and_then(|known| known["events"].as_u64()))
    }

    /// The dead letters, in the order of their files' names.
    ///
    /// # Errors
    ///
    /// A file of theirs cannot be read, or has a line that is none.
    pub fn dead_letters(&self) -> Result<Vec<Value>> {
        let files = files_below(&self.data().join("dead-letters"))?;
        let texts = files
            .values()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        texts
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .map(|line| serde_json::from_str(&line).with_context(|| line.clone()))
            .collect()
    }

    /// The files of the queue that hold events, oldest first.
    ///
    /// # Errors
    ///
    /// They cannot be listed.
    pub fn queue_files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(self.data().join("queue"))? {
            files.push(entry?.path());
        }
        files.retain(|file| file.extension().is_some_and(|extension| extension == "log"));
        files.sort();
        Ok(files)
    }

    /// How many bytes the files of the queue have.
    ///
    /// # Errors
    ///
    /// They cannot be listed.
    pub fn queue_bytes(&self) -> Result<u64> {
        let files = self.queue_files()?.into_iter();
        // A file that is given back between the listing and the question takes no room.
        Ok(files
            .filter_map(|file| Some(file.metadata().ok()?.len()))
            .sum())
    }

    /// Every file of the data directory with all of its bytes, sockets and locks left out.
    ///
    /// # Errors
    ///
    /// Something of it cannot be read.
    pub fn contents(&self) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
        files_below(&self.data())
    }
}

fn files_below(directory: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(&next).with_context(|| next.display().to_string())? {
            let (entry, kind) = entry.map(|entry| (entry.path(), entry.file_type()))?;
            let kind = kind?;
            if kind.is_dir() {
                left.push(entry);
            } else if kind.is_file() && entry.extension().is_none_or(|end| end != "lock") {
                let bytes = std::fs::read(&entry)?;
                found.insert(entry, bytes);
            }
        }
    }
    Ok(found)
}
