//! The settings of the machine between sources and destinations: queue, dead letters, shutdown.

mod storage;

use std::time::Duration;

use kete_config::{AnyKey, Key, KeyTable, Positive, Scope, Setting, Size};
use kete_queue::{Limits, WhenFull};

use crate::DeadLetterSettings;
use crate::dead_letters::settings::{
    DEAD_LETTERS_MAX_AGE, DEAD_LETTERS_MAX_BYTES, DEAD_LETTERS_PATH, DEAD_LETTERS_WHEN_FULL,
};

use storage::{DATA_DIR, QUEUE_RESERVE_FREE, QUEUE_RETAIN, QUEUE_SYNC, QUEUE_SYNC_INTERVAL};

pub use storage::{StorageSettings, read_data_dir};

/// Without a data directory.
const MEMORY_BOUNDS: Bounds = Bounds {
    max_events: 20_000,
    max_bytes: 16 << 20,
};
/// With one.
const DISK_BOUNDS: Bounds = Bounds {
    max_events: 1_000_000,
    max_bytes: 1 << 30,
};
/// The log is kept in files of a sixteenth of its bound and given back in whole files: with less
/// than this, a few events would fill it.
const SMALLEST_DISK: u64 = 4 << 20;

/// How much the queue holds.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    max_events: u64,
    max_bytes: u64,
}

/// `refuse` or `drop-newest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct QueueWhenFull(WhenFull);

impl Setting for QueueWhenFull {
    const EXPECTED: &'static str = "refuse or drop-newest";

    fn parse(text: &str) -> Result<QueueWhenFull, String> {
        match text.to_ascii_lowercase().as_str() {
            "refuse" => Ok(QueueWhenFull(WhenFull::Refuse)),
            "drop-newest" => Ok(QueueWhenFull(WhenFull::DropNewest)),
            "drop-oldest" => Err("that is a setting of one route
\
                set kete.routes.<route>.queue.when-full=drop-oldest"
                .to_owned()),
            _ => Err("it is none of these".to_owned()),
        }
    }
}

static QUEUE_MAX_EVENTS: Key<u64> = Key::optional(
    "queue.max-events",
    "The most events that the queue holds for all routes together. \
     Default: 20000 in memory, 1000000 on disk",
);
static QUEUE_MAX_BYTES: Key<Positive<Size>> = Key::optional(
    "queue.max-bytes",
    "The most memory that the queue takes for all routes together, about 600 bytes for each \
     event beside its body; with kete.data-dir, the most disk. \
     Default: 16MiB in memory, 1GiB on disk",
);
static QUEUE_WHEN_FULL: Key<QueueWhenFull> = Key::with_default(
    "queue.when-full",
    "refuse",
    "What happens when the queue is full: intake stops (refuse), or new events are dropped and \
     counted (drop-newest). A single route can drop its oldest events instead, with \
     kete.routes.<route>.queue.when-full=drop-oldest",
);
static DEAD_LETTERS_MAX_CONSECUTIVE: Key<u32> = Key::with_default(
    "dead-letters.max-consecutive",
    "100",
    "After so many refusals in a row the receiver is taken to be broken, not the events: the \
     route offers one event at a time until one is accepted, and dead-letters none",
);
static SHUTDOWN_GRACE: Key<Duration> = Key::with_default(
    "shutdown.grace",
    "25s",
    "How long a stop waits for events that were taken to be delivered; with kete.data-dir only for \
     those that are under way, because the rest stays on disk",
);

/// The keys below `kete.` that are about the pipeline itself.
pub static PIPELINE_KEYS: KeyTable = &[
    &DATA_DIR,
    &QUEUE_MAX_EVENTS,
    &QUEUE_MAX_BYTES,
    &QUEUE_WHEN_FULL,
    &QUEUE_SYNC,
    &QUEUE_SYNC_INTERVAL,
    &QUEUE_RESERVE_FREE,
    &QUEUE_RETAIN,
    &DEAD_LETTERS_PATH,
    &DEAD_LETTERS_MAX_BYTES,
    &DEAD_LETTERS_MAX_AGE,
    &DEAD_LETTERS_WHEN_FULL,
    &DEAD_LETTERS_MAX_CONSECUTIVE,
    &SHUTDOWN_GRACE,
];

/// The settings of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineSettings {
    /// Where everything survives a crash; without it everything is in memory.
    pub storage: Option<StorageSettings>,
    /// The bounds of the queue.
    pub queue: Limits,
    /// Where dead letters go, if they are kept.
    pub dead_letters: Option<DeadLetterSettings>,
    /// How many refusals in a row mean that the receiver is broken.
    pub max_consecutive: u32,
    /// How long a stop waits for deliveries.
    pub shutdown_grace: Duration,
}

impl PipelineSettings {
    /// Reads [`PIPELINE_KEYS`]; `scope` is the one of `kete`.
    pub fn read(scope: &Scope<'_>) -> Option<PipelineSettings> {
        let storage = StorageSettings::read(scope);
        // A bound is judged as one of the disk wherever the disk is asked for.
        let on_disk = !matches!(storage, Some(None));
        let bounds = Bounds::read(scope, on_disk);
        let when_full = scope.read(&QUEUE_WHEN_FULL);
        let data_dir = storage.as_ref().and_then(Option::as_ref);
        let data_dir = data_dir.map(|storage| storage.directory.as_path());
        let dead_letters = DeadLetterSettings::read(scope, data_dir);
        let max_consecutive = scope.read(&DEAD_LETTERS_MAX_CONSECUTIVE);
        let shutdown_grace = scope.read(&SHUTDOWN_GRACE);
        if max_consecutive == Some(0) {
            reject_zero(scope, DEAD_LETTERS_MAX_CONSECUTIVE.name(), None);
        }
        let (storage, bounds) = (storage?, bounds?);
        if let Some(storage) = &storage {
            storage.judge_retain(scope, bounds.max_bytes);
        }
        Some(PipelineSettings {
            storage,
            queue: Limits {
                max_events: bounds.max_events,
                max_bytes: bounds.max_bytes,
                when_full: when_full?.0,
            },
            dead_letters: dead_letters?,
            max_consecutive: max_consecutive?,
            shutdown_grace: shutdown_grace?,
        })
    }
}

impl Bounds {
    /// `None` if one of them is wrong, which has been reported.
    fn read(scope: &Scope<'_>, on_disk: bool) -> Option<Bounds> {
        let defaults = if on_disk { DISK_BOUNDS } else { MEMORY_BOUNDS };
        let max_events = scope.read_optional(&QUEUE_MAX_EVENTS);
        let max_bytes = scope.read_optional(&QUEUE_MAX_BYTES);
        if max_events == Some(Some(0)) {
            let help = format!("leave the key out for the default, {}", defaults.max_events);
            reject_zero(scope, QUEUE_MAX_EVENTS.name(), help);
        }
        match max_bytes {
            Some(Some(Positive(Size(bytes)))) if on_disk && bytes < SMALLEST_DISK => {
                let message = "must be at least 4MiB with kete.data-dir: the queue is kept in \
                               whole files, and a smaller one would be full of a few events";
                scope.reject(QUEUE_MAX_BYTES.name(), "out-of-range", message, None);
            }
            _ => {}
        }
        Some(Bounds {
            max_events: max_events?.unwrap_or(defaults.max_events),
            max_bytes: max_bytes?.map_or(defaults.max_bytes, |Positive(size)| size.0),
        })
    }
}

fn reject_zero(scope: &Scope<'_>, name: &str, help: impl Into<Option<String>>) {
    scope.reject(name, "out-of-range", "must be greater than zero", help);
}

#[cfg(test)]
mod tests;
