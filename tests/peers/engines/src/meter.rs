//! What this process used: CPU, bytes written, memory, space on the disk.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use rustix::fs::{major, minor};
use serde::{Deserialize, Serialize};

/// Bytes of a sector in the kernel's statistics, whatever the disk's own are.
const SECTOR: u64 = 512;

/// Counts from its start on.
pub(crate) struct Meter {
    started: Instant,
    cpu: f64,
    written: u64,
    device: Option<Device>,
}

/// What was used for a number of events.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) events: u64,
    pub(crate) seconds: f64,
    pub(crate) events_per_second: f64,
    /// User and system time of all threads, without that of the kernel's own threads.
    pub(crate) cpu_us_per_event: f64,
    /// `write_bytes` of this process per byte of the events: pages of files that it made dirty,
    /// again each time that a page was clean before. A page of the cache may be as large as 1 MiB
    /// where a file was written in large pieces; then it counts whole, though only what changed
    /// in it goes to the disk. Not in it: the journal of the file system.
    pub(crate) written_per_byte: f64,
    /// What the disk was told to write per byte of the events: the truth, but with everything in
    /// it that others wrote meanwhile. Nothing where the directory is on no disk.
    pub(crate) device_per_byte: Option<f64>,
}

impl Meter {
    /// Starts; `directory` tells which disk to watch.
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        Ok(Self {
            device: Device::of(directory)?,
            written: field("/proc/self/io", "write_bytes:")?,
            cpu: measure::process_cpu_seconds(),
            started: Instant::now(),
        })
    }

    /// What was used since the start, for `events` events of `bytes` bytes each.
    pub(crate) fn finish(&self, events: u64, bytes: usize) -> Result<Figures> {
        let seconds = self.started.elapsed().as_secs_f64();
        let cpu = measure::process_cpu_seconds() - self.cpu;
        let written = field("/proc/self/io", "write_bytes:")? - self.written;
        let device = self
            .device
            .as_ref()
            .map(Device::written_since)
            .transpose()?;
        let count = events as f64;
        let per_byte = |written: u64| written as f64 / (count * bytes as f64);
        Ok(Figures {
            events,
            seconds,
            events_per_second: count / seconds,
            cpu_us_per_event: cpu * 1e6 / count,
            written_per_byte: per_byte(written),
            device_per_byte: device.map(per_byte),
        })
    }
}

struct Device {
    statistics: PathBuf,
    sectors: u64,
}

impl Device {
    fn of(directory: &Path) -> Result<Option<Self>> {
        let number = fs::metadata(directory)?.dev();
        let number = format!("{}:{}", major(number), minor(number));
        let statistics = PathBuf::from(format!("/sys/dev/block/{number}/stat"));
        if !statistics.exists() {
            return Ok(None);
        }
        let sectors = sectors_written(&statistics)?;
        Ok(Some(Self {
            statistics,
            sectors,
        }))
    }

    fn written_since(&self) -> Result<u64> {
        Ok((sectors_written(&self.statistics)? - self.sectors) * SECTOR)
    }
}

/// The seventh field (the kernel's Documentation/block/stat.rst).
fn sectors_written(statistics: &Path) -> Result<u64> {
    let text = fs::read_to_string(statistics)?;
    let field = text.split_whitespace().nth(6);
    Ok(field
        .with_context(|| format!("{} is too short", statistics.display()))?
        .parse()?)
}

/// The most memory that this process held, in KiB.
pub(crate) fn peak_memory_kib() -> Result<u64> {
    field("/proc/self/status", "VmHWM:")
}

fn field(path: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let line = line.with_context(|| format!("{path} has no {name}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Bytes of disk that the files below a directory take.
pub(crate) fn disk_bytes(directory: &Path) -> Result<u64> {
    let mut sum = 0;
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // A file may go away while this looks: some engines work in the background.
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => sum += disk_bytes(&entry.path())?,
            Ok(metadata) => sum += metadata.blocks() * SECTOR,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(sum)
}
