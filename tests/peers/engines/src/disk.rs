//! What the disk itself can do: how often per second a write can be made durable.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

const PAGE: usize = 4096;
/// Pages of the file that is overwritten: 16 MiB.
const READY: u64 = 4096;

/// Calls of `fdatasync` per second, each after a write of 4 KiB.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Syncs {
    /// Over what a file holds already.
    pub(crate) overwriting: f64,
    /// To the end of a file, so that its length has to be made durable, too.
    pub(crate) appending: f64,
}

/// Measures both for a span of time each.
pub(crate) fn syncs(directory: &Path, span: Duration) -> Result<Syncs> {
    Ok(Syncs {
        overwriting: rate(directory, span, READY)?,
        appending: rate(directory, span, 0)?,
    })
}

fn rate(directory: &Path, span: Duration, ready: u64) -> Result<f64> {
    let path = directory.join(format!("syncs.{}", std::process::id()));
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)?;
    for page in 0..ready {
        file.write_all_at(&[0; PAGE], page * PAGE as u64)?;
    }
    file.sync_all()?;
    let started = Instant::now();
    let mut count: u64 = 0;
    while started.elapsed() < span {
        let page = count.checked_rem(ready).unwrap_or(count);
        file.write_all_at(&[count as u8 | 1; PAGE], page * PAGE as u64)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = count as f64 / started.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(rate)
}
