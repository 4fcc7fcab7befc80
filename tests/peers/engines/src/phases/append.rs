//! How fast batches become durable.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{Place, append_next};
use crate::engine;
use crate::events::{Events, RECORD};
use crate::meter::{Figures, Meter, peak_memory_kib};

/// Batches before the clock starts.
const WARM_UP: usize = 50;

/// What appending in batches of one size took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Appended {
    pub(crate) figures: Figures,
    pub(crate) peak_kib: u64,
}

/// Appends batches of `size` records for a span of time.
pub(crate) fn append(
    name: &str,
    directory: &Path,
    size: usize,
    span: Duration,
) -> Result<Appended> {
    let events = Events::new();
    let place = Place::new(directory, name)?;
    let mut engine = engine::open(name, &place.0)?;
    for _ in 0..WARM_UP {
        append_next(&mut *engine, &events, size)?;
    }
    let before = engine.end();
    let meter = Meter::start(directory)?;
    let started = Instant::now();
    while started.elapsed() < span {
        append_next(&mut *engine, &events, size)?;
    }
    let figures = meter.finish(engine.end() - before, RECORD)?;
    Ok(Appended {
        figures,
        peak_kib: peak_memory_kib()?,
    })
}
