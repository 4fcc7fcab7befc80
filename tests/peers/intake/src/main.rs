//! Times how fast events become safe, as a row of the benchmark.
//!
//!   intake memory …             kete's queue in memory: safe is what its consumer has settled
//!   intake disk --dir DIR …     kete's queue on disk
//!   intake redis --address A …  XADD to a stream of a Redis server
//!
//! One appender hands over a batch, waits until it is safe, and hands over the next, so that a
//! batch of one shows how long one event waits. A consumer reads and settles at the same time, as
//! a route would. Each prints one line of JSON: events per second, CPU, and how many bytes went to
//! the disk for each byte of an event, as Linux counts them for the process (`write_bytes` of
//! /proc/<pid>/io: pages made dirty, before the file system's own journal).

mod queue;
mod redis;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use measure::process_cpu_seconds;
use serde_json::json;

#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    into: Into,
    #[command(flatten)]
    load: Load,
}

#[derive(Subcommand)]
enum Into {
    /// The queue in memory.
    Memory,
    /// The queue on disk.
    Disk {
        /// An empty directory on the disk that is measured.
        #[arg(long)]
        dir: PathBuf,
        /// When the disk is asked to keep what was written.
        #[arg(long, value_enum, default_value_t = Mode::Always)]
        sync: Mode,
    },
    /// A stream of a Redis server.
    Redis {
        /// HOST:PORT.
        #[arg(long)]
        address: String,
        /// The process id of the server, whose writes and CPU time count.
        #[arg(long)]
        pid: u32,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    Always,
    Interval,
    Never,
}

#[derive(Args)]
struct Load {
    /// A file with one JSON event per line.
    #[arg(long, global = true, default_value = "events.ndjson")]
    events: PathBuf,
    /// How many events are handed over together.
    #[arg(long, global = true, default_value_t = 256)]
    batch: usize,
    /// For how long.
    #[arg(long, global = true, default_value_t = 3)]
    seconds: u64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let Options { into, load } = Options::parse();
    match into {
        Into::Memory => queue::memory(&load).await,
        Into::Disk { dir, sync } => queue::disk(&load, &dir, sync).await,
        Into::Redis { address, pid } => redis::run(&load, &address, pid),
    }
}

/// What was spent from the first batch to the last.
struct Meter {
    pid: String,
    started: Instant,
    until: Instant,
    cpu: f64,
    written: u64,
    events: u64,
    bytes: u64,
}

impl Meter {
    fn start(load: &Load, server: Option<u32>) -> Result<Meter> {
        let pid = server.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
        let started = Instant::now();
        Ok(Meter {
            started,
            until: started + Duration::from_secs(load.seconds),
            cpu: cpu(&pid)?,
            written: written(&pid)?,
            events: 0,
            bytes: 0,
            pid,
        })
    }

    fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    fn took(&mut self, events: usize, bytes: usize) {
        self.events += events as u64;
        self.bytes += bytes as u64;
    }

    fn print(self) -> Result<()> {
        let seconds = self.started.elapsed().as_secs_f64();
        let cpu = cpu(&self.pid)? - self.cpu;
        let written = written(&self.pid)? - self.written;
        let row = json!({
            "events_per_second": self.events as f64 / seconds,
            "cpu_us_per_event": cpu * 1e6 / self.events as f64,
            "written_per_event_byte": written as f64 / self.bytes as f64,
        });
        println!("{row}");
        Ok(())
    }
}

/// CPU time of a process so far, in seconds; of another one in steps of 10 ms.
fn cpu(pid: &str) -> Result<f64> {
    if pid == "self" {
        return Ok(process_cpu_seconds());
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').context("/proc has no such line")?.1;
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks: Result<Vec<u64>, _> = ticks.map(str::parse).collect();
    Ok(ticks?.iter().sum::<u64>() as f64 / 100.0)
}

/// Bytes that a process has caused to be written to the disk so far.
fn written(pid: &str) -> Result<u64> {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io"))?;
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.context("/proc/<pid>/io has no write_bytes")?.parse()?)
}
