//! What arrived, counted for all connections together, and how long it had been under way.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use memchr::memmem::Finder;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// Latency samples kept; later ones are counted and not kept.
const MOST_SAMPLES: usize = 4_000_000;

/// The counters. Sessions add a whole read at a time, so sharing them costs nothing.
#[derive(Default)]
pub(crate) struct Totals {
    events: AtomicU64,
    bytes: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) open: AtomicU64,
    first_us: AtomicU64,
    last_us: AtomicU64,
    samples: Mutex<Vec<u32>>,
}

/// What one read of one session brought.
#[derive(Default)]
pub(crate) struct Arrived {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    pub(crate) latencies_us: Vec<u32>,
}

impl Totals {
    /// Adds what arrived and empties it.
    pub(crate) fn add(&self, arrived: &mut Arrived) {
        if arrived.events > 0 {
            let now = now_us();
            let _ = self.first_us.compare_exchange(0, now, Relaxed, Relaxed);
            self.last_us.store(now, Relaxed);
            self.events.fetch_add(arrived.events, Relaxed);
        }
        self.bytes.fetch_add(arrived.bytes, Relaxed);
        if !arrived.latencies_us.is_empty() {
            let mut samples = self.samples();
            let room = MOST_SAMPLES - samples.len().min(MOST_SAMPLES);
            samples.extend(arrived.latencies_us.drain(..).take(room));
        }
        *arrived = Arrived::default();
    }

    pub(crate) fn events(&self) -> u64 {
        self.events.load(Relaxed)
    }

    /// Forgets everything but the connections that are open.
    pub(crate) fn reset(&self) {
        for counter in [
            &self.events,
            &self.bytes,
            &self.connections,
            &self.first_us,
            &self.last_us,
        ] {
            counter.store(0, Relaxed);
        }
        self.samples().clear();
    }

    /// Everything as JSON. `seconds` runs from the first read that brought an event to the last.
    pub(crate) fn summary(&self) -> Value {
        let span = self
            .last_us
            .load(Relaxed)
            .saturating_sub(self.first_us.load(Relaxed));
        let mut summary = json!({
            "events": self.events(),
            "bytes": self.bytes.load(Relaxed),
            "connections": self.connections.load(Relaxed),
            "open": self.open.load(Relaxed),
            "seconds": span as f64 / 1e6,
            "cpu_seconds": process_cpu_seconds(),
        });
        let mut samples = self.samples().clone();
        if !samples.is_empty() {
            samples.sort_unstable();
            summary["latency"] = json!({
                "samples": samples.len(),
                "p50_us": percentile(&samples, 0.5),
                "p99_us": percentile(&samples, 0.99),
                "p999_us": percentile(&samples, 0.999),
                "max_us": samples.last(),
            });
        }
        summary
    }

    fn samples(&self) -> MutexGuard<'_, Vec<u32>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the time of sending out of an event and says how long ago that was.
pub(crate) struct LatencyField(Finder<'static>);

impl LatencyField {
    pub(crate) fn new(name: &str) -> LatencyField {
        LatencyField(Finder::new(&format!("\"{name}\":")).into_owned())
    }

    /// Microseconds since sending, or `None` where the field is missing or not a number.
    pub(crate) fn latency_us(&self, event: &[u8], now_us: u64) -> Option<u32> {
        let after = self.0.find(event)? + self.0.needle().len();
        let text = event[after..]
            .strip_prefix(b"\"")
            .unwrap_or(&event[after..]);
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number: u64 = std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?;
        let sent_us = if digits >= 16 { number } else { number * 1000 };
        Some(u32::try_from(now_us.saturating_sub(sent_us)).unwrap_or(u32::MAX))
    }
}

/// Microseconds since 1970.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn percentile(sorted: &[u32], share: f64) -> u32 {
    let index = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[index]
}

fn process_cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_sending_is_read_in_either_unit() {
        let field = LatencyField::new("sent");
        let now = 1_750_000_000_000_500;
        let micros = br#"42["e",{"sent":"1750000000000100"}]"#;
        assert_eq!(field.latency_us(micros, now), Some(400));
        assert_eq!(
            field.latency_us(br#"{"sent":1749999999999}"#, now),
            Some(1_500)
        );
        assert_eq!(field.latency_us(br#"{"other":1}"#, now), None);
    }

    #[test]
    fn a_reset_forgets_what_was_counted() {
        let totals = Totals::default();
        totals.add(&mut Arrived {
            events: 3,
            bytes: 9,
            latencies_us: vec![5, 1, 9],
        });
        let summary = totals.summary();
        assert_eq!(summary["events"], 3);
        assert_eq!(summary["latency"]["p50_us"], 5);
        totals.reset();
        assert_eq!(totals.summary()["events"], 0);
        assert!(totals.summary().get("latency").is_none());
    }
}
