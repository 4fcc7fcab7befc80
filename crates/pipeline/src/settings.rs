//! The settings of the machine between sources and destinations: queue, dead letters, shutdown.

use std::path::PathBuf;
use std::time::Duration;

use kete_config::{AnyKey, Key, KeyTable, NotYet, Scope, Setting, Size};
use kete_queue::{Limits, WhenFull};

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

static DATA_DIR: NotYet = NotYet::new(
    "data-dir",
    "the queue on disk is not there yet; without this key the queue is in memory",
);
static QUEUE_MAX_EVENTS: Key<u64> = Key::with_default(
    "queue.max-events",
    "20000",
    "The most events that the queue holds for all routes together.",
);
static QUEUE_MAX_BYTES: Key<Size> = Key::with_default(
    "queue.max-bytes",
    "16MiB",
    "The most memory that the queue takes for all routes together, about 600 bytes for each \
     event beside its body.",
);
static QUEUE_WHEN_FULL: Key<QueueWhenFull> = Key::with_default(
    "queue.when-full",
    "refuse",
    "What happens when the queue is full: intake stops (refuse), or new events are dropped and \
     counted (drop-newest). A single route can drop its oldest events instead, with \
     kete.routes.<route>.queue.when-full=drop-oldest.",
);
static DEAD_LETTERS_PATH: Key<PathBuf> = Key::optional(
    "dead-letters.path",
    "The file that takes events which cannot be delivered, one JSON object per line. Without \
     it their bodies are lost, and counted as lost.",
);
static DEAD_LETTERS_MAX_BYTES: Key<Size> = Key::with_default(
    "dead-letters.max-bytes",
    "64MiB",
    "The largest size of the file of dead letters.",
);
static DEAD_LETTERS_WHEN_FULL: Key<DeadLettersWhenFull> = Key::with_default(
    "dead-letters.when-full",
    "block",
    "What happens when a dead letter cannot be stored: the route waits (block).",
);
static DEAD_LETTERS_MAX_CONSECUTIVE: Key<u32> = Key::with_default(
    "dead-letters.max-consecutive",
    "100",
    "After so many refusals in a row the receiver is taken to be broken, not the events: the \
     route offers one event at a time until one is accepted, and dead-letters none.",
);
static SHUTDOWN_GRACE: Key<Duration> = Key::with_default(
    "shutdown.grace",
    "25s",
    "How long a stop waits for events that were taken to be delivered.",
);

/// `block`, the only answer there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DeadLettersWhenFull;

impl Setting for DeadLettersWhenFull {
    const EXPECTED: &'static str = "block";

    fn parse(text: &str) -> Result<DeadLettersWhenFull, String> {
        match text {
            "block" => Ok(DeadLettersWhenFull),
            _ => Err("there is no other answer yet".to_owned()),
        }
    }
}

/// The keys below `kete.` that are about the pipeline itself.
pub static PIPELINE_KEYS: KeyTable = &[
    &DATA_DIR,
    &QUEUE_MAX_EVENTS,
    &QUEUE_MAX_BYTES,
    &QUEUE_WHEN_FULL,
    &DEAD_LETTERS_PATH,
    &DEAD_LETTERS_MAX_BYTES,
    &DEAD_LETTERS_WHEN_FULL,
    &DEAD_LETTERS_MAX_CONSECUTIVE,
    &SHUTDOWN_GRACE,
];

/// The settings of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineSettings {
    /// The bounds of the queue.
    pub queue: Limits,
    /// Where dead letters go, and how large that file may become, in bytes.
    pub dead_letters: Option<(PathBuf, u64)>,
    /// How many refusals in a row mean that the receiver is broken.
    pub max_consecutive: u32,
    /// How long a stop waits for deliveries.
    pub shutdown_grace: Duration,
}

impl PipelineSettings {
    /// Reads [`PIPELINE_KEYS`]; `scope` is the one of `kete`.
    pub fn read(scope: &Scope<'_>) -> Option<PipelineSettings> {
        let max_events = scope.read(&QUEUE_MAX_EVENTS);
        let max_bytes = scope.read(&QUEUE_MAX_BYTES);
        let when_full = scope.read(&QUEUE_WHEN_FULL);
        let path = scope.read(&DEAD_LETTERS_PATH);
        let letters_max_bytes = scope.read(&DEAD_LETTERS_MAX_BYTES);
        let letters_when_full = scope.read(&DEAD_LETTERS_WHEN_FULL);
        let max_consecutive = scope.read(&DEAD_LETTERS_MAX_CONSECUTIVE);
        let shutdown_grace = scope.read(&SHUTDOWN_GRACE);
        for (name, zero) in [
            (QUEUE_MAX_EVENTS.name(), max_events == Some(0)),
            (
                QUEUE_MAX_BYTES.name(),
                max_bytes.is_some_and(|size| size.0 == 0),
            ),
            (
                DEAD_LETTERS_MAX_CONSECUTIVE.name(),
                max_consecutive == Some(0),
            ),
        ] {
            if zero {
                scope.reject(name, "out-of-range", "must be greater than zero", None);
            }
        }
        letters_when_full?;
        let letters_max_bytes = letters_max_bytes?.0;
        Some(PipelineSettings {
            queue: Limits {
                max_events: max_events?,
                max_bytes: max_bytes?.0,
                when_full: when_full?.0,
            },
            dead_letters: path.map(|path| (path, letters_max_bytes)),
            max_consecutive: max_consecutive?,
            shutdown_grace: shutdown_grace?,
        })
    }
}
