//! How fast a full queue is read, and when its space comes back.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{Place, SETTLED, append_next, read_slice};
use crate::engine::{self, Engine};
use crate::events::{Events, RECORD};
use crate::meter::{Figures, Meter, disk_bytes, peak_memory_kib};

/// What filling and draining took. A delivery is an event at a route.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Drained {
    /// Per event.
    pub(crate) filled: Figures,
    /// Per delivery, the deletion of what all routes have passed included.
    pub(crate) drained: Figures,
    /// Bytes of disk when it was full, at most while it was drained, after the last event, and
    /// after the idle work.
    pub(crate) bytes_full: u64,
    pub(crate) bytes_peak: u64,
    pub(crate) bytes_drained: u64,
    pub(crate) bytes_idle: u64,
    pub(crate) idle_seconds: f64,
    pub(crate) peak_kib: u64,
}

/// Fills a queue with `count` events, then lets routes read it side by side until it is empty.
pub(crate) fn drain(name: &str, directory: &Path, count: u64, routes: usize) -> Result<Drained> {
    let events = Events::new();
    let place = Place::new(directory, name)?;
    let mut engine = engine::open(name, &place.0)?;
    let meter = Meter::start(directory)?;
    while engine.end() < count {
        append_next(&mut *engine, &events, 256)?;
    }
    let filled = meter.finish(engine.end(), RECORD)?;
    let bytes_full = disk_bytes(&place.0)?;

    let mut peak = bytes_full;
    let meter = Meter::start(directory)?;
    read_all(&mut *engine, &events, routes, || {
        peak = peak.max(disk_bytes(&place.0)?);
        Ok(())
    })?;
    let drained = meter.finish(engine.end() * routes as u64, RECORD)?;
    let bytes_drained = disk_bytes(&place.0)?;

    let started = Instant::now();
    engine.idle()?;
    Ok(Drained {
        filled,
        drained,
        bytes_full,
        bytes_peak: peak,
        bytes_drained,
        idle_seconds: started.elapsed().as_secs_f64(),
        bytes_idle: disk_bytes(&place.0)?,
        peak_kib: peak_memory_kib()?,
    })
}

/// One slice for each route in turn. `look` is called now and then.
fn read_all(
    engine: &mut dyn Engine,
    events: &Events,
    routes: usize,
    mut look: impl FnMut() -> Result<()>,
) -> Result<()> {
    let end = engine.end();
    let mut cursors = vec![0; routes];
    while cursors.iter().any(|cursor| *cursor < end) {
        for route in 0..routes {
            let lowest = cursors.iter().copied().min().unwrap_or(0);
            let Some(cursor) = cursors.get_mut(route) else {
                continue;
            };
            if *cursor == end {
                continue;
            }
            *cursor = read_slice(engine, events, *cursor)?;
            let cursor = *cursor;
            if cursor % SETTLED == 0 || cursor == end {
                let keep_from = if routes == 1 { cursor } else { lowest };
                engine.settle(&format!("route-{route}"), cursor, keep_from)?;
                if cursor % (SETTLED * 32) == 0 {
                    look()?;
                }
            }
        }
    }
    // The last route to settle did not know yet that it was the last.
    engine.settle("route-0", end, end)
}
