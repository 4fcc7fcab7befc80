//! Commands of kete that end by themselves.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::environment;
use crate::process::Process;

/// What a command did.
#[derive(Debug)]
pub struct Output {
    /// Its exit code.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Runs kete with these arguments.
///
/// # Errors
///
/// It does not run, does not end, or a signal ends it.
pub async fn kete_command(arguments: &[&str]) -> Result<Output> {
    let name = format!("kete {}", arguments.join(" "));
    let mut command = Command::new(environment::kete_binary()?);
    let mut process = Process::spawn(&name, command.args(arguments))?;
    process.stdin = None;
    let status = process.ended().await?;
    let code = status
        .code()
        .with_context(|| format!("{name} ended with {status}"))?;
    Ok(Output {
        code,
        stdout: process.stdout.text(),
        stderr: process.stderr.text(),
    })
}

impl Output {
    /// It, if the command had success.
    ///
    /// # Errors
    ///
    /// It had not; the error has what it wrote.
    pub fn success(self) -> Result<Output> {
        let Output {
            code,
            stdout,
            stderr,
        } = &self;
        ensure!(*code == 0, "it ended with {code}:\n{stdout}\n{stderr}");
        Ok(self)
    }

    /// What it wrote to standard output, as JSON.
    ///
    /// # Errors
    ///
    /// It had no success, or wrote something else.
    pub fn json(self) -> Result<Value> {
        let output = self.success()?;
        serde_json::from_str(&output.stdout).with_context(|| output.stdout.clone())
    }
}

/// Runs `kete check` with these arguments.
///
/// # Errors
///
/// As [`kete_command`].
pub async fn check(arguments: &[&str]) -> Result<Output> {
    kete_command(&[&["check"], arguments].concat()).await
}

/// Runs `kete check` for a configuration, with further arguments.
///
/// # Errors
///
/// As [`kete_command`].
pub async fn check_configuration(configuration: &[String], arguments: &[&str]) -> Result<Output> {
    let directory = TempDir::with_prefix("kete-check-")?;
    let file = directory.path().join("kete.properties");
    std::fs::write(&file, configuration.concat())?;
    let file = file.display().to_string();
    check(&[&["--config", &file], arguments].concat()).await
}
