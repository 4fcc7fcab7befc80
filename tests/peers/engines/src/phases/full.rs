//! What happens when the disk is full, and when there is room again.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Place, append_next, read_rest, read_slice};
use crate::engine::{self, Engine};
use crate::events::Events;

/// Bytes that are taken at first and given back later.
const BALLAST: usize = 32 << 20;

const YES: &str = "yes";

/// How an engine went through a full disk.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Full {
    /// What it said.
    pub(crate) error: String,
    /// Events that were safe then.
    pub(crate) safe: u64,
    /// Whether it could still read then, and settle a tenth of the events.
    pub(crate) reads: Outcome,
    pub(crate) settles: Outcome,
    /// Whether it could append again with room there.
    pub(crate) goes_on: Outcome,
    /// Whether it could after it was opened again, where it could not before.
    pub(crate) goes_on_reopened: Option<Outcome>,
    /// Whether all that was safe and not settled is there in the end.
    pub(crate) complete: Outcome,
}

/// `yes`, or `no` and what was said.
type Outcome = String;

/// Fills a small disk, tries what works, makes room, tries again.
pub(crate) fn full(name: &str, directory: &Path) -> Result<Full> {
    let events = Events::new();
    let place = Place::new(directory, name)?;
    let ballast = place.0.with_extension("ballast");
    fs::write(&ballast, vec![1; BALLAST])?;
    let mut engine = engine::open(name, &place.0)?;
    let error = loop {
        if let Err(error) = append_next(&mut *engine, &events, 16) {
            break format!("{error:#}");
        }
    };
    let safe = engine.end();
    let reads = outcome(read_slice(&mut *engine, &events, 0));
    let settled = safe / 10;
    let settles = outcome(engine.settle("route-0", settled, settled));
    fs::remove_file(&ballast).context("the ballast")?;
    let goes_on = outcome(append_next(&mut *engine, &events, 16));
    let mut goes_on_reopened = None;
    if goes_on != YES {
        drop(engine);
        let again;
        (engine, again) = reopened(name, &place.0, &events)?;
        goes_on_reopened = Some(again);
    }
    let kept = if settles == YES { settled } else { 0 };
    let complete = match engine.end() {
        end if end < safe => format!("no: {safe} events were safe, and there are {end}"),
        _ => outcome(read_rest(&mut *engine, &events, kept)),
    };
    Ok(Full {
        error,
        safe,
        reads,
        settles,
        goes_on,
        goes_on_reopened,
        complete,
    })
}

fn reopened(name: &str, place: &Path, events: &Events) -> Result<(Box<dyn Engine>, Outcome)> {
    let mut engine = engine::open(name, place)?;
    let outcome = outcome(append_next(&mut *engine, events, 16));
    Ok((engine, outcome))
}

fn outcome<T>(result: Result<T>) -> Outcome {
    match result {
        Ok(_) => YES.to_owned(),
        Err(error) => format!("no: {error:#}"),
    }
}
