//! How fast events become safe while a route follows, as the benchmark asks for it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Place, SETTLED, SLICE, append_next, read_slice};
use crate::engine;
use crate::events::{BODY, Events};
use crate::meter::{Figures, Meter};

/// Appends batches of `size` for a span of time; one route reads, saves its cursor and gives up
/// what it has read. Bytes are counted per byte of the bodies, so that what an engine stores
/// beside them counts as its cost.
pub(crate) fn steady(name: &str, directory: &Path, size: usize, span: Duration) -> Result<Figures> {
    let events = Events::new();
    let place = Place::new(directory, name)?;
    let mut engine = engine::open(name, &place.0)?;
    let mut read = 0;
    let mut saved = 0;
    let meter = Meter::start(directory)?;
    let started = Instant::now();
    while started.elapsed() < span {
        append_next(&mut *engine, &events, size)?;
        while engine.end() - read >= SLICE as u64 {
            read = read_slice(&mut *engine, &events, read)?;
        }
        if read - saved >= SETTLED {
            engine.settle("route-0", read, read)?;
            saved = read;
        }
    }
    meter.finish(engine.end(), BODY)
}
