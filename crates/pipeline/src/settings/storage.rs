//! The settings of what survives a crash: the data directory and the log in it.
//!
//! `kete.data-dir` decides. Without it the keys that are about the log on disk would change
//! nothing, and whoever set one believes to be safer than they are: so they are errors then.

use std::path::PathBuf;
use std::time::Duration;

use kete_config::{AnyKey, Key, KeyTable, Positive, Scope, Setting, Size, setting_words};
use kete_queue::{Retain, Sync};

/// What would change nothing as it is set.
const NO_EFFECT: &str = "no-effect";
/// A key is there and says nothing.
const BLANK: &str = "blank";
/// A key is set that means nothing without another one.
const NEEDS_DATA_DIR: &str = "needs-data-dir";

/// What a value is that must not be zero.
const ZERO: &str = "it is zero";

/// Receipts wait for it, and with them whoever sent the events.
const LONGEST_INTERVAL: Duration = Duration::from_secs(30);

/// The data directory, and how the log in it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageSettings {
    /// The directory, absolute.
    pub directory: PathBuf,
    /// When what was written is synced.
    pub sync: Sync,
    /// The bytes that stay free on the file system.
    pub reserve_free: u64,
    /// What is kept of events that were delivered.
    pub retain: Option<Retain>,
}

/// The words of `queue.sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SyncMode {
    Always,
    Interval,
    Never,
}

setting_words!(SyncMode {
    Always = "always",
    Interval = "interval",
    Never = "never",
});

/// `off`, or how long and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RetainWords(Option<Retain>);

impl Setting for RetainWords {
    const EXPECTED: &'static str = "a duration such as 1h, a size such as 2GiB, or both with a \
                                    comma between them, such as 1h,2GiB; or off";

    fn parse(text: &str) -> Result<RetainWords, String> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(RetainWords(None));
        }
        let mut retain = Retain {
            age: None,
            bytes: None,
        };
        for part in text.split(',').map(str::trim) {
            add(&mut retain, part)?;
        }
        Ok(RetainWords(Some(retain)))
    }
}

/// Whoever writes a zero means that nothing is to be kept.
fn zero_is_off(part: &str) -> Result<(), String> {
    let zero = Positive::<Duration>::parse(part).is_err_and(|why| why == ZERO)
        || Positive::<Size>::parse(part).is_err_and(|why| why == ZERO);
    match zero {
        true => Err(format!("{ZERO}\nto keep nothing: off")),
        false => Ok(()),
    }
}

/// Adds a part as it is written. Every unit of size ends with a B, and no unit of time does.
fn add(retain: &mut Retain, part: &str) -> Result<(), String> {
    if part.is_empty() {
        return Err("it, or a part of it, is blank".to_owned());
    }
    zero_is_off(part)?;
    let twice = match part.ends_with(['b', 'B']) {
        true => {
            let Positive(Size(bytes)) = Positive::<Size>::parse(part)?;
            retain.bytes.replace(bytes).is_some()
        }
        false => {
            let Positive(age) = Positive::<Duration>::parse(part)?;
            retain.age.replace(age).is_some()
        }
    };
    match twice {
        true => Err("it has two durations or two sizes".to_owned()),
        false => Ok(()),
    }
}

pub(super) static DATA_DIR: Key<PathBuf> = Key::optional(
    "data-dir",
    "The directory in which the queue and dead letters live, so that they survive a crash or a \
     restart. It is made if it is missing, its parent is not, and it belongs to one kete alone. \
     Without it the queue is in memory",
);
pub(super) static QUEUE_SYNC: Key<SyncMode> = Key::with_default(
    "queue.sync",
    "always",
    "When the queue on disk is synced, before which no event counts as safe: with each write \
     (always), every kete.queue.sync-interval (interval), or when the system sees fit (never), \
     which survives a crash of kete and not one of the machine",
);
pub(super) static QUEUE_SYNC_INTERVAL: Key<Positive<Duration>> = Key::with_default(
    "queue.sync-interval",
    "1s",
    "How often the queue is synced with kete.queue.sync=interval. Sources wait as long until \
     their events are safe",
);
pub(super) static QUEUE_RESERVE_FREE: Key<Size> = Key::with_default(
    "queue.reserve-free",
    "64MiB",
    "What the queue leaves free on the file system. Below it nothing more is taken in, and what \
     is stored is delivered",
);
pub(super) static QUEUE_RETAIN: Key<RetainWords> = Key::with_default(
    "queue.retain",
    "off",
    "How long and how much is kept of events that were delivered, for kete queue replay: 1h, \
     2GiB, or 1h,2GiB for whatever is reached first. It gives way to events that wait",
);

/// The keys that change nothing without a data directory.
static NEED_DATA_DIR: KeyTable = &[
    &QUEUE_SYNC,
    &QUEUE_SYNC_INTERVAL,
    &QUEUE_RESERVE_FREE,
    &QUEUE_RETAIN,
];

/// Reads `data-dir` alone, for commands that need nothing else of the configuration; `scope` is the
/// one of `kete`. `None` if it is wrong, which has been reported.
///
/// What is relative is meant from the working directory, and comes out absolute, so that messages
/// name it in full. A blank one is refused: it would put everything in memory, and whoever wrote the
/// key wants the opposite; mostly a variable was not set where the value was put together.
pub fn read_data_dir(scope: &Scope<'_>) -> Option<Option<PathBuf>> {
    let directory = scope.read_optional(&DATA_DIR)?;
    if directory.is_none() && scope.is_set(DATA_DIR.name()) {
        let message = "kete.data-dir is blank; without a directory the queue would be in memory";
        let help = "name a directory, or leave the key out".to_owned();
        scope.reject(DATA_DIR.name(), BLANK, message, help);
        return None;
    }
    // Without a working directory the relative path is all that there is.
    Some(directory.map(|path| std::path::absolute(&path).unwrap_or(path)))
}

impl StorageSettings {
    /// Reads the keys above; `scope` is the one of `kete`. `None` if one of them is wrong, which
    /// has been reported, and `Some(None)` if everything is in memory.
    pub(super) fn read(scope: &Scope<'_>) -> Option<Option<StorageSettings>> {
        let directory = read_data_dir(scope);
        let mode = scope.read(&QUEUE_SYNC);
        let interval = scope.read(&QUEUE_SYNC_INTERVAL);
        let reserve_free = scope.read(&QUEUE_RESERVE_FREE);
        let retain = scope.read(&QUEUE_RETAIN);
        let Some(directory) = directory? else {
            return without_data_dir(scope).then_some(None);
        };
        let (mode, Positive(interval)) = (mode?, interval?);
        let right = check_interval(scope, mode, interval);
        let settings = StorageSettings {
            directory,
            sync: match mode {
                SyncMode::Always => Sync::Always,
                SyncMode::Interval => Sync::Interval(interval),
                SyncMode::Never => Sync::Never,
            },
            reserve_free: reserve_free?.0,
            retain: retain?.0,
        };
        right.then_some(Some(settings))
    }

    /// Warns if more is to be kept than there is room for; `max_bytes` is the bound of the queue.
    pub(super) fn judge_retain(&self, scope: &Scope<'_>, max_bytes: u64) {
        let bytes = self.retain.and_then(|retain| retain.bytes);
        if bytes.is_some_and(|bytes| bytes >= max_bytes) {
            let message = format!(
                "so much is never kept: kete.queue.max-bytes ({}) bounds all files together, and \
                 what was delivered gives way to events that wait",
                Size(max_bytes)
            );
            let help = "raise kete.queue.max-bytes above it, or keep less".to_owned();
            scope.warn(QUEUE_RETAIN.name(), NO_EFFECT, message, help);
        }
    }
}

/// Reports every key that needs a data directory; true if there is none.
fn without_data_dir(scope: &Scope<'_>) -> bool {
    let set = NEED_DATA_DIR.iter().filter(|key| scope.is_set(key.name()));
    let names: Vec<&str> = set.map(|key| key.name()).collect();
    for name in &names {
        let message = "this is about the queue on disk, and without kete.data-dir the queue is in \
                       memory";
        let help = "add kete.data-dir=/var/lib/kete, or leave this key out".to_owned();
        scope.reject(name, NEEDS_DATA_DIR, message, help);
    }
    names.is_empty()
}

fn check_interval(scope: &Scope<'_>, mode: SyncMode, interval: Duration) -> bool {
    let name = QUEUE_SYNC_INTERVAL.name();
    if interval > LONGEST_INTERVAL {
        let message = "must be at most 30s: sources wait as long until their events are safe";
        scope.reject(name, "out-of-range", message, None);
        return false;
    }
    if mode != SyncMode::Interval && scope.is_set(name) {
        let message = "this changes nothing, because kete.queue.sync is not interval";
        let help = "set kete.queue.sync=interval, or leave this key out".to_owned();
        scope.warn(name, NO_EFFECT, message, help);
    }
    true
}
