//! The measurements. Each runs in a process of its own, so that memory and CPU are its own, and
//! prints what it found as one line of JSON.

mod append;
mod crash;
mod drain;
mod full;
#[cfg(feature = "sqlite")]
mod steady;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::engine::Engine;
use crate::events::{Events, state};

pub(crate) use append::{Appended, append};
pub(crate) use crash::{Reopened, fill, reopen};
pub(crate) use drain::{Drained, drain};
pub(crate) use full::{Full, full};
#[cfg(feature = "sqlite")]
pub(crate) use steady::steady;

/// Records that a reader asks for at a time.
const SLICE: usize = 512;
/// Events that a route settles before its cursor is saved.
const SETTLED: u64 = 4096;
/// The key of the state that goes with every batch.
const SOURCE: &str = "source.position";

/// A directory of the measurement's own that goes away with it.
struct Place(PathBuf);

impl Place {
    fn new(directory: &Path, name: &str) -> Result<Self> {
        let name = name.replace([',', ' '], "-");
        let path = directory.join(format!("{name}.{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} is left behind: {error}", self.0.display());
        }
    }
}

fn append_next(engine: &mut dyn Engine, events: &Events, size: usize) -> Result<()> {
    let first = engine.end();
    let state = state(first + size as u64);
    engine.append(&events.batch(first, size), (SOURCE, state.as_bytes()))
}

/// Reads a slice and makes sure that it is what was written; returns the next position.
fn read_slice(engine: &mut dyn Engine, events: &Events, from: u64) -> Result<u64> {
    let mut next = from;
    let mut right = true;
    engine.read(from, SLICE, &mut |seq, record| {
        right &= seq == next && record == events.get(seq);
        next += 1;
    })?;
    ensure!(right, "a wrong record among those from {from} on");
    ensure!(
        next > from,
        "there is no record {from}, and the log ends at {}",
        engine.end()
    );
    Ok(next)
}

/// Reads everything from a position to the end.
fn read_rest(engine: &mut dyn Engine, events: &Events, from: u64) -> Result<()> {
    let mut next = from;
    while next < engine.end() {
        next = read_slice(engine, events, next)?;
    }
    Ok(())
}
