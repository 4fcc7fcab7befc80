//! The log on disk: it survives the process and, once a receipt has settled, the machine.
//!
//! One append-only file after the other holds the events, and between them who reads the log and
//! how far everybody has come; `docs/queue-format.md` has the format byte for byte. One thread
//! writes; reading the newest records touches no file. In memory there is nothing for each record
//! that nobody has read yet, so a long backlog costs disk and nothing else.

mod codec;
mod consumer;
mod entry;
mod extend;
mod files;
mod frame;
mod ledger;
mod queue;
mod reading;
mod reclaim;
mod recover;
mod room;
mod segment;
mod state;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use consumer::Consumer;
use files::{Files, SystemFiles};
use state::{Clock, Shared, State};
use writer::{Slept, Writer};

use crate::{CloseError, DataDirectory, Limits};

/// The bounds of a segment's size, in bytes.
const SEGMENT: std::ops::RangeInclusive<u64> = (256 << 10)..=(16 << 20);
/// How many segments make up the whole log.
const SEGMENTS: u64 = 16;
/// The least that [`Limits::max_bytes`] may be.
const LEAST: u64 = 1 << 20;

/// The log on disk.
#[derive(Debug)]
pub struct Disk {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<Result<(), CloseError>>>>,
}

/// How a log on disk is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSettings {
    /// Its bounds; the bytes are those of its files.
    pub limits: Limits,
    /// When what was written is made durable.
    pub sync: Sync,
    /// The bytes that must stay free on the file system.
    pub reserve_free: u64,
    /// What is kept of delivered events so that it can be asked for again.
    pub retain: Option<Retain>,
}

/// When what was written is made durable, and receipts settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Always, before a receipt settles and before anybody reads it.
    Always,
    /// After this time at the latest; receipts wait for it.
    Interval(Duration),
    /// When a few MiB have come together. Receipts settle once it is written, which survives a crash
    /// of kete, not one of the machine.
    Never,
}

/// How long delivered events are kept; both bounds hold where both are given, and the log's own
/// bounds come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retain {
    /// By the time of acceptance.
    pub age: Option<Duration>,
    /// By the bytes of the files that hold nothing else.
    pub bytes: Option<u64>,
}

/// What was found when a log was opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Events that somebody has not settled.
    pub events: u64,
    /// What a crash left unfinished at the end, and what does not count.
    pub cut_bytes: u64,
    /// Where that was.
    pub cut_file: Option<PathBuf>,
}

/// Why a log cannot be opened. Nothing in its directory was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is something in the directory that is not ours.
    #[error("{path} is not a file of the queue; move it elsewhere")]
    Foreign {
        /// It.
        path: PathBuf,
    },
    /// A newer kete wrote it.
    #[error(
        "{path} was written by a newer kete (version {found} of the queue's format); run that \
         version, or set the directory aside"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: u32,
    },
    /// A file is not what was written.
    #[error("the queue is damaged: {problem}")]
    Damaged {
        /// Which file, where in it, and the way out.
        problem: String,
    },
    /// A file that holds what is not delivered is gone.
    #[error(
        "the queue is damaged: {path} is missing and holds events that were not delivered; put it \
         back, or set the directory aside (mv {directory} {directory}.damaged): kete then starts \
         with an empty queue"
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The directory of the queue.
        directory: PathBuf,
    },
    /// The bound leaves no room for the log itself.
    #[error("kete.queue.max-bytes is {found} bytes, a queue on disk needs {LEAST} at least")]
    TooSmall {
        /// What was asked for.
        found: u64,
    },
    /// The system refused something.
    #[error("{path}: {error}; kete must be able to read and write it")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
}

impl DiskSettings {
    /// The size after which a segment is followed by the next one.
    fn segment_size(&self) -> u64 {
        (self.limits.max_bytes / SEGMENTS).clamp(*SEGMENT.start(), *SEGMENT.end())
    }
}

impl Disk {
    /// Opens the log in this data directory, or begins one.
    ///
    /// # Errors
    ///
    /// What is there is damaged, not ours or too new, or cannot be read and written.
    pub fn open(
        directory: &DataDirectory,
        settings: DiskSettings,
    ) -> Result<(Disk, Recovered), OpenError> {
        let path = directory.queue();
        let files =
            SystemFiles::new(path.clone()).map_err(|error| OpenError::Io { path, error })?;
        let clock: Clock = Box::new(epoch_millis);
        Disk::with(Box::new(files), clock, settings, Some(directory.hold()))
    }

    fn with(
        files: Box<dyn Files>,
        clock: Clock,
        settings: DiskSettings,
        lock: Option<Arc<File>>,
    ) -> Result<(Disk, Recovered), OpenError> {
        if settings.limits.max_bytes < LEAST {
            let found = settings.limits.max_bytes;
            return Err(OpenError::TooSmall { found });
        }
        let opened = recover::open(&*files, &settings)?;
        let since = opened.newest_accepted().unwrap_or(i64::MIN);
        let slept = Slept {
            since,
            millis: clock().saturating_sub(since).max(0),
        };
        let ledger = opened.ledger;
        let consumers = ledger.consumers.values();
        let state = State {
            taken: ledger.newest,
            newest: ledger.newest,
            for_all: ledger.for_all,
            consumers: consumers
                .map(|one| (one.number, Consumer::new(one, true)))
                .collect(),
            next_consumer: ledger.next_consumer,
            source_states: ledger.states.clone(),
            segments: opened.segments.into(),
            base: (segment::FILE_HEADER + frame::FRAME_HEADER + ledger.snapshot().len()) as u64,
            taken_ids: opened.taken_ids,
            ..State::default()
        };
        let directory = files.directory().to_owned();
        let shared = Arc::new(Shared::new(files, clock, settings, lock, state));
        let writer = Writer::new(Arc::clone(&shared), ledger, opened.head, opened.mark, slept);
        let thread = std::thread::Builder::new().name("kete-queue".to_owned());
        let writer = thread.spawn(move || writer.run());
        let writer = writer.map_err(|error| OpenError::Io {
            path: directory,
            error,
        })?;
        let disk = Disk {
            shared,
            writer: Mutex::new(Some(writer)),
        };
        Ok((disk, opened.recovered))
    }

    /// Tells the writer to finish, and returns its thread if nobody else waits for it.
    fn finish(&self) -> Option<JoinHandle<Result<(), CloseError>>> {
        self.shared.state().closing = true;
        self.shared.wake.notify_one();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.take()
    }
}

impl Drop for Disk {
    /// The writer never outlives the log; it finishes what it holds.
    fn drop(&mut self) {
        let finished = self.finish().map(join);
        if let Some(Err(error)) = finished {
            tracing::error!(%error, "the queue was let go");
        }
    }
}

fn join(writer: JoinHandle<Result<(), CloseError>>) -> Result<(), CloseError> {
    writer.join().unwrap_or_else(|_panicked| {
        Err(CloseError {
            problem: "its writer panicked, which is a bug in kete".to_owned(),
        })
    })
}

fn epoch_millis() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
