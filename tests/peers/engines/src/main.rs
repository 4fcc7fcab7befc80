//! Measures what could hold kete's queue on disk: SQLite, redb, fjall and a log of kete's own, each
//! with kete's pattern: batches that are synced, one cursor per route, deletion behind the slowest.
//!
//! ```text
//! cargo run --release -p engines -- DIR                  all tables; DIR on a real disk, 6 GB free
//! cargo run --release -p engines -- DIR --gigabytes 10   with a longer queue for the crash
//! cargo run --release -p engines -- DIR --small-disk DIR2
//!                         with the full disk; DIR2 is where a file system of 300 MB is mounted
//! cargo run --release -p engines -- plain-sqlite DIR --batch 256   JSON, for the benchmark
//! cargo run --release -p engines -- fsync DIR            the same, for the disk itself
//! ```
//!
//! The figures that decided are in `docs/decisions/0019-disk-engine.md`. `build-cost` beside this
//! crate's manifest measures what each library adds to a build.

mod disk;
mod engine;
mod events;
mod meter;
mod phases;
mod report;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use serde_json::json;

#[derive(Parser)]
#[command(about, args_conflicts_with_subcommands = true)]
struct Command {
    #[command(subcommand)]
    mode: Option<Mode>,
    #[command(flatten)]
    tables: Tables,
}

/// What the tables are made of.
#[derive(Debug, Args)]
struct Tables {
    /// A directory on a real disk. What is written there is deleted again.
    #[arg(required = true)]
    directory: Option<PathBuf>,
    /// Which engines, by the names in the tables; all if it is not given.
    #[arg(long)]
    engine: Vec<String>,
    /// How often the rates and the drains are measured; the tables show the best.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long each rate is measured.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// How many events are read and deleted.
    #[arg(long, default_value_t = 2_000_000)]
    events: u64,
    /// How long the queue is whose process is killed, in GB of events.
    #[arg(long, default_value_t = 2)]
    gigabytes: u64,
    /// A directory on a file system of about 300 MB that may be filled.
    #[arg(long)]
    small_disk: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Mode {
    /// Events through a plain SQLite table and out again, as a row of the benchmark.
    #[cfg(feature = "sqlite")]
    PlainSqlite {
        directory: PathBuf,
        /// How many events are handed over together.
        #[arg(long, default_value_t = 256)]
        batch: usize,
        /// For how long.
        #[arg(long, default_value_t = 3)]
        seconds: u64,
    },
    /// What the disk can sync, as a row of the benchmark.
    Fsync { directory: PathBuf },
    /// One measurement, in the process that the tables start for it.
    #[command(hide = true)]
    Phase {
        phase: Phase,
        engine: String,
        directory: PathBuf,
        numbers: Vec<u64>,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Phase {
    Append,
    Drain,
    Fill,
    Reopen,
    Full,
}

fn main() -> Result<()> {
    let command = Command::parse();
    match command.mode {
        None => {
            let directory = command
                .tables
                .directory
                .as_deref()
                .context("a directory is needed")?;
            report::print(directory, &command.tables)
        }
        #[cfg(feature = "sqlite")]
        Some(Mode::PlainSqlite {
            directory,
            batch,
            seconds,
        }) => plain_sqlite(&directory, batch, Duration::from_secs(seconds)),
        Some(Mode::Fsync { directory }) => fsync(&directory),
        Some(Mode::Phase {
            phase,
            engine,
            directory,
            numbers,
        }) => run_phase(phase, &engine, &directory, &numbers),
    }
}

fn run_phase(phase: Phase, engine: &str, directory: &Path, numbers: &[u64]) -> Result<()> {
    let number = |index: usize| numbers.get(index).copied().context("a number is missing");
    match phase {
        Phase::Append => {
            let span = Duration::from_secs(number(1)?);
            print_line(&phases::append(
                engine,
                directory,
                number(0)? as usize,
                span,
            )?)
        }
        Phase::Drain => print_line(&phases::drain(
            engine,
            directory,
            number(0)?,
            number(1)? as usize,
        )?),
        Phase::Fill => phases::fill(engine, directory, number(0)?),
        Phase::Reopen => print_line(&phases::reopen(engine, directory, number(0)?)?),
        Phase::Full => print_line(&phases::full(engine, directory)?),
    }
}

fn print_line(value: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}

/// One row per event and one transaction per batch, with a route that follows.
#[cfg(feature = "sqlite")]
fn plain_sqlite(directory: &Path, batch: usize, span: Duration) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    let figures = phases::steady("sqlite", directory, batch, span)?;
    print_line(&json!({
        "name": "plain-sqlite",
        "events_per_second": figures.events_per_second,
        "cpu_us_per_event": figures.cpu_us_per_event,
        "written_per_event_byte": figures.written_per_byte,
    }))
}

/// Events are synced one by one here: 4 KiB each, to the end of a file.
fn fsync(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    let syncs = disk::syncs(directory, Duration::from_secs(5))?;
    print_line(&json!({
        "name": "fsync",
        "events_per_second": syncs.appending,
        "overwrites_per_second": syncs.overwriting,
    }))
}
