//! How long it takes to open a long queue whose process was killed.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use rustix::fs::{Advice, fadvise};
use serde::{Deserialize, Serialize};

use super::{SOURCE, append_next, read_rest, read_slice};
use crate::engine;
use crate::events::{Events, RECORD, state};
use crate::meter::{disk_bytes, peak_memory_kib};

/// What opening took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reopened {
    /// Until the files were open.
    pub(crate) open_seconds: f64,
    /// Until a slice was read from the start and a batch was appended, too.
    pub(crate) ready_seconds: f64,
    /// The most memory that was held until then.
    pub(crate) peak_kib: u64,
    /// How many events there were, and how many bytes of disk they took.
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

/// Fills a queue and then goes on until it is killed. Says after each batch, once there are
/// `bytes` of records, how many events are safe.
pub(crate) fn fill(name: &str, directory: &Path, bytes: u64) -> Result<()> {
    let events = Events::new();
    let mut engine = engine::open(name, directory)?;
    engine.settle("route-0", 0, 0)?;
    let mut output = std::io::stdout().lock();
    loop {
        append_next(&mut *engine, &events, 256)?;
        if engine.end() * RECORD as u64 >= bytes {
            writeln!(output, "{}", engine.end())?;
            output.flush()?;
        }
    }
}

/// Opens what `fill` left behind, from a cold cache, and checks that all `safe` events are there.
pub(crate) fn reopen(name: &str, directory: &Path, safe: u64) -> Result<Reopened> {
    let events = Events::new();
    forget_cached(directory)?;
    let bytes = disk_bytes(directory)?;
    let started = Instant::now();
    let mut engine = engine::open(name, directory)?;
    let open_seconds = started.elapsed().as_secs_f64();
    let end = engine.end();
    ensure!(end >= safe, "{safe} events were safe, and there are {end}");
    // Before anything is appended: the state must be that of the last batch.
    let expected = state(end).into_bytes();
    ensure!(
        engine.state(SOURCE)? == Some(expected),
        "the state is not that of event {end}"
    );
    ensure!(engine.cursor("route-0")? == Some(0), "the cursor is gone");
    read_slice(&mut *engine, &events, 0)?;
    append_next(&mut *engine, &events, 1)?;
    let ready_seconds = started.elapsed().as_secs_f64();
    let peak_kib = peak_memory_kib()?;
    read_rest(&mut *engine, &events, 0)?;
    Ok(Reopened {
        open_seconds,
        ready_seconds,
        peak_kib,
        events: end,
        bytes,
    })
}

/// Takes the files out of the page cache, as after a restart of the machine.
fn forget_cached(directory: &Path) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            forget_cached(&path)?;
        } else {
            let file = std::fs::File::open(&path)?;
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}
