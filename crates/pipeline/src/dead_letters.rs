//! The store of events that cannot be delivered: files with one JSON object per line.
//!
//! A dead letter is on the disk before the cursor passes its event. The files are readable by their
//! owner only and bounded; when they are full or cannot be written, the route waits. Letters that
//! are older than they may be are deleted, and nothing else is ever thrown away unasked, not even
//! a line that kete cannot read.
//!
//! One process uses a store at a time. A command that finds it in use asks that process.

mod active;
mod error;
mod files;
mod filter;
mod line;
mod lock;
mod reading;
mod rewriting;
pub(crate) mod settings;
mod store;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kete_queue::Record;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::FailureReason;
use crate::intake::epoch_millis;
use files::Expired;
use store::Store;

pub use error::DeadLetterError;
pub use filter::Filter;
pub use line::{ListedLetter, StoredLetter};

/// The owner may read and write, nobody else may do anything.
const MODE: u32 = 0o600;
/// The directory of dead letters in a data directory.
const DIRECTORY: &str = "dead-letters";
/// The name of the file that grows, in a directory of the store's own.
const FILE_NAME: &str = "dead-letters.ndjson";

/// An event that is given up.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The route that gave it up.
    pub route: Arc<str>,
    /// The event.
    pub record: Arc<Record>,
    /// Why, as the metrics name it.
    pub reason: FailureReason,
    /// Why, for a person; never the event.
    pub detail: String,
    /// How often it was offered in vain.
    pub attempts: u32,
}

/// How dead letters are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterSettings {
    /// Where.
    pub place: Place,
    /// The most bytes of all files together.
    pub max_bytes: u64,
    /// How old a letter may become; without it, as old as the world.
    pub max_age: Option<Duration>,
}

/// Where dead letters are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The file that grows has this path; older ones have a number behind it.
    File(PathBuf),
    /// In this directory, which has nothing else in it.
    Directory(PathBuf),
}

/// The newest letters that are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// They, oldest first.
    pub letters: Vec<ListedLetter>,
    /// How many are meant, shown or not.
    pub total: u64,
    /// The number of the newest letter that there ever was, 0 if there was none.
    pub newest: u64,
    /// What cannot be read.
    pub others: Vec<OtherLines>,
}

/// The letters behind a number that are meant, as far as one read goes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Slice {
    /// They, oldest first.
    pub letters: Vec<StoredLetter>,
    /// Where the next read starts; absent if there are no more.
    pub next: Option<u64>,
    /// What cannot be read.
    pub others: Vec<OtherLines>,
}

/// What was taken out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// How many letters.
    pub letters: u64,
    /// What cannot be read, and stays.
    pub others: Vec<OtherLines>,
}

/// Lines of a file that are no dead letters. They are left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherLines {
    /// The file.
    pub path: PathBuf,
    /// How many lines.
    pub lines: u64,
}

/// The store; without a place it keeps nothing.
#[derive(Debug, Clone, Default)]
pub struct DeadLetters {
    shared: Option<Arc<Shared>>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    expired: Counter,
    bytes: Gauge,
    waiting: Mutex<Vec<Waiting>>,
    /// Held by whoever writes for all that wait.
    writing: tokio::sync::Mutex<()>,
}

/// A letter that is to be written.
#[derive(Debug)]
struct Waiting {
    letter: DeadLetter,
    outcome: oneshot::Sender<Result<(), DeadLetterError>>,
}

impl Place {
    /// The place in a data directory.
    #[must_use]
    pub fn in_data_dir(directory: &Path) -> Place {
        Place::Directory(directory.join(DIRECTORY))
    }

    /// The file that grows.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        match self {
            Place::File(path) => path.clone(),
            Place::Directory(directory) => directory.join(FILE_NAME),
        }
    }

    /// Whether letters were ever kept there.
    #[must_use]
    pub fn exists(&self) -> bool {
        lock::lock_path(&self.file()).exists() || self.file().exists()
    }
}

impl DeadLetters {
    /// A store that keeps nothing.
    #[must_use]
    pub fn none() -> DeadLetters {
        DeadLetters::default()
    }

    /// Opens the store, or makes it. A line that a crash left half written is closed off.
    ///
    /// # Errors
    ///
    /// Another process has it, or its files cannot be opened, or are no plain files.
    pub fn open(settings: &DeadLetterSettings) -> Result<DeadLetters, DeadLetterError> {
        let path = settings.place.file();
        if let Some(directory) = path.parent()
            && !directory.as_os_str().is_empty()
            && !directory.exists()
        {
            let directory = directory.to_owned();
            return Err(DeadLetterError::NoDirectory { path, directory });
        }
        let millis = |age: Duration| i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let store = Store::open(&path, settings.max_bytes, settings.max_age.map(millis))?;
        let shared = Shared {
            store,
            expired: Counter::default(),
            bytes: Gauge::default(),
            waiting: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        };
        shared.measure();
        Ok(DeadLetters {
            shared: Some(Arc::new(shared)),
        })
    }

    /// Whether dead letters are kept.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.shared.is_some()
    }

    /// How many were deleted because of their age, since it was opened.
    #[must_use]
    pub fn expired(&self) -> Counter {
        let shared = self.shared.as_ref();
        shared
            .map(|shared| shared.expired.clone())
            .unwrap_or_default()
    }

    /// The bytes that they take.
    #[must_use]
    pub fn bytes(&self) -> Gauge {
        let shared = self.shared.as_ref();
        shared
            .map(|shared| shared.bytes.clone())
            .unwrap_or_default()
    }

    /// Stores one; when this returns it is on the disk. Without a store it does nothing. Letters
    /// that wait at the same time are written together.
    ///
    /// # Errors
    ///
    /// The store is full or cannot be written; trying again later can help.
    pub async fn store(&self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        let Some(shared) = self.shared.clone() else {
            return Ok(());
        };
        let (outcome, mut written) = oneshot::channel();
        shared.waiting().push(Waiting { letter, outcome });
        let turn = shared.writing.lock().await;
        if let Ok(outcome) = written.try_recv() {
            // Whoever had the turn before has written it too.
            return outcome;
        }
        let writer = Arc::clone(&shared);
        let writing = tokio::task::spawn_blocking(move || writer.write());
        let _what_waited_hears_of_it = writing.await;
        drop(turn);
        written.await.unwrap_or(Err(DeadLetterError::Ended))
    }

    /// The newest letters that are meant, at most `limit` of them, and how many there are.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub async fn list(&self, filter: Filter, limit: usize) -> Result<Listing, DeadLetterError> {
        self.blocking(move |store| store.list(&filter, limit)).await
    }

    /// The letters behind the number `after` that are meant: at most so many, and about so many
    /// bytes, but one at least if there is one. Ask again with [`Slice::next`] for those behind.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub async fn slice(
        &self,
        filter: Filter,
        after: u64,
        max_letters: usize,
        max_bytes: usize,
    ) -> Result<Slice, DeadLetterError> {
        self.blocking(move |store| store.slice(&filter, after, max_letters, max_bytes))
            .await
    }

    /// The letter with this number.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub async fn get(&self, number: u64) -> Result<Option<StoredLetter>, DeadLetterError> {
        let filter = Filter::numbers([number]);
        let after = number.saturating_sub(1);
        let mut slice = self.slice(filter, after, 1, usize::MAX).await?;
        Ok(slice.letters.pop())
    }

    /// Takes out the letters that are meant. OtherLines can be stored meanwhile.
    ///
    /// # Errors
    ///
    /// A file cannot be read or written; what was taken out until then is gone.
    pub async fn remove(&self, filter: Filter) -> Result<Removed, DeadLetterError> {
        self.blocking(move |store| store.remove(&filter)).await
    }

    /// Deletes files whose letters are all older than they may be. A letter can thus become a day
    /// older than that.
    ///
    /// # Errors
    ///
    /// A file cannot be read or deleted.
    pub async fn expire(&self) -> Result<(), DeadLetterError> {
        let Some(shared) = self.shared.clone() else {
            return Ok(());
        };
        let expiring = tokio::task::spawn_blocking(move || {
            let expired = shared.store.expire(epoch_millis())?;
            shared.say_expired(&expired);
            shared.measure();
            Ok(())
        });
        expiring.await.unwrap_or(Err(DeadLetterError::Ended))
    }

    /// Does something that takes a while; without a store there is nothing in it.
    async fn blocking<T: Default + Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, DeadLetterError> + Send + 'static,
    ) -> Result<T, DeadLetterError> {
        let Some(shared) = self.shared.clone() else {
            return Ok(T::default());
        };
        let working = tokio::task::spawn_blocking(move || {
            let outcome = work(&shared.store);
            shared.measure();
            outcome
        });
        working.await.unwrap_or(Err(DeadLetterError::Ended))
    }
}

impl Shared {
    /// Writes everything that waits.
    fn write(&self) {
        let mut waiting = std::mem::take(&mut *self.waiting());
        // Nobody hears of these any more; their events will be offered again.
        waiting.retain(|waiting| !waiting.outcome.is_closed());
        let (letters, askers): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .map(|waiting| (waiting.letter, waiting.outcome))
            .unzip();
        let (outcomes, expired) = self.store.append(&letters, epoch_millis());
        self.say_expired(&expired);
        self.measure();
        for (asker, outcome) in askers.into_iter().zip(outcomes) {
            let _gone_meanwhile = asker.send(outcome);
        }
    }

    fn measure(&self) {
        let bytes = i64::try_from(self.store.length());
        self.bytes.set(bytes.unwrap_or(i64::MAX));
    }

    fn say_expired(&self, expired: &[Expired]) {
        for Expired {
            path,
            letters,
            others,
        } in expired
        {
            self.expired.inc_by(*letters);
            let path = path.display();
            tracing::info!(
                %path,
                letters,
                unreadable_lines = others,
                "dead letters older than kete.dead-letters.max-age were deleted"
            );
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
