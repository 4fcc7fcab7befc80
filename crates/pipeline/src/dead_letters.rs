//! The store of events that cannot be delivered: a file with one JSON object per line.
//!
//! A dead letter is on the disk before the cursor passes its event. The file is readable by its
//! owner only and bounded; when it is full or cannot be written, the route waits.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kete_queue::Record;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::FailureReason;

/// The owner may read and write, nobody else may do anything.
const MODE: u32 = 0o600;

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

/// The line of a dead letter; the names are the format of the file.
#[derive(Serialize)]
struct Line<'l> {
    at: i64,
    route: &'l str,
    reason: &'static str,
    detail: &'l str,
    attempts: u32,
    source: &'l str,
    #[serde(rename = "acceptedAt")]
    accepted_at: i64,
    #[serde(rename = "eventId")]
    event_id: &'l str,
    event: &'l RawValue,
}

/// Why a dead letter was not stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterError {
    /// The file is as large as it may be.
    #[error("{path} is full: it would pass {limit} bytes (kete.dead-letters.max-bytes)")]
    Full {
        /// The file.
        path: PathBuf,
        /// The bound.
        limit: u64,
    },
    /// The directory of the file is not there.
    #[error(
        "{path}: the directory {directory} does not exist; create it, writable for kete, or choose \
         another path"
    )]
    NoDirectory {
        /// The file.
        path: PathBuf,
        /// Its directory.
        directory: PathBuf,
    },
    /// The file could not be opened or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The body is not JSON, so that it cannot stand in a line.
    #[error("the event is not JSON")]
    NotJson,
}

/// The store; without a file it keeps nothing.
#[derive(Debug, Default)]
pub struct DeadLetters {
    store: Option<Arc<Mutex<Store>>>,
}

#[derive(Debug)]
struct Store {
    path: PathBuf,
    file: File,
    length: u64,
    limit: u64,
}

impl DeadLetters {
    /// A store that keeps nothing.
    #[must_use]
    pub fn none() -> DeadLetters {
        DeadLetters::default()
    }

    /// Opens the file, or makes it. A line that a crash left half written is closed off.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or is not a plain file.
    pub fn open(path: &Path, limit: u64) -> Result<DeadLetters, DeadLetterError> {
        if let Some(directory) = path.parent()
            && !directory.as_os_str().is_empty()
            && !directory.exists()
        {
            let (path, directory) = (path.to_owned(), directory.to_owned());
            return Err(DeadLetterError::NoDirectory { path, directory });
        }
        let store = Store::open(path, limit).map_err(|error| DeadLetterError::Io {
            path: path.to_owned(),
            error,
        })?;
        Ok(DeadLetters {
            store: Some(Arc::new(Mutex::new(store))),
        })
    }

    /// Whether dead letters are kept.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.store.is_some()
    }

    /// Stores one; when this returns it is on the disk. Without a store it does nothing.
    ///
    /// # Errors
    ///
    /// The file is full or cannot be written; trying again later can help.
    pub async fn store(&self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        let Some(store) = self.store.clone() else {
            return Ok(());
        };
        let written = tokio::task::spawn_blocking(move || {
            let line = line(&letter)?;
            store
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .append(&line)
        });
        written.await.unwrap_or_else(|stopped| {
            let error = io::Error::other(stopped);
            Err(DeadLetterError::Io {
                path: PathBuf::new(),
                error,
            })
        })
    }
}

impl Store {
    fn open(path: &Path, limit: u64) -> io::Result<Store> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(MODE)
            .open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a plain file",
            ));
        }
        file.set_permissions(Permissions::from_mode(MODE))?;
        let mut length = file.metadata()?.len();
        if length > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                length += 1;
            }
        }
        // The file itself must outlast a crash, not only what is written into it.
        file.sync_all()?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(Store {
            path: path.to_owned(),
            file,
            length,
            limit,
        })
    }

    fn append(&mut self, line: &[u8]) -> Result<(), DeadLetterError> {
        if self.length + line.len() as u64 > self.limit {
            return Err(DeadLetterError::Full {
                path: self.path.clone(),
                limit: self.limit,
            });
        }
        let written = self
            .file
            .write_all(line)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Half a line may be there now; it is taken back, so that a later line is whole.
            let _best_effort = self.file.set_len(self.length);
            return Err(DeadLetterError::Io {
                path: self.path.clone(),
                error,
            });
        }
        self.length += line.len() as u64;
        Ok(())
    }
}

fn line(letter: &DeadLetter) -> Result<Vec<u8>, DeadLetterError> {
    let header = &letter.record.header;
    let event: &RawValue =
        serde_json::from_slice(&letter.record.body).map_err(|_| DeadLetterError::NotJson)?;
    let line = Line {
        at: crate::intake::epoch_millis(),
        route: &letter.route,
        reason: letter.reason.as_str(),
        detail: &letter.detail,
        attempts: letter.attempts,
        source: &header.source,
        accepted_at: header.accepted_at,
        event_id: &header.event_id,
        event,
    };
    let mut bytes = serde_json::to_vec(&line).map_err(|_| DeadLetterError::NotJson)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_missing_is_named() {
        let path = Path::new("/nowhere-at-all/dead.ndjson");
        let error = DeadLetters::open(path, 100).unwrap_err().to_string();
        let expected = "/nowhere-at-all/dead.ndjson: the directory /nowhere-at-all does not \
                        exist; create it, writable for kete, or choose another path";
        assert_eq!(error, expected);
    }

    #[test]
    fn a_directory_in_place_of_the_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            DeadLetters::open(folder.path(), 100),
            Err(DeadLetterError::Io { .. })
        ));
    }
}
