//! Commands of kete that end by themselves.

use anyhow::{Context, Result};
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
    let name = format!("kete {}", arguments.first().unwrap_or(&""));
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
