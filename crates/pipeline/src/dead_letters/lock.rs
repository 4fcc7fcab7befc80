//! One process at a time: a locked file beside the letters.
//!
//! It also remembers the next number where no letter does any more, so that a number that was
//! given away once is never given again. The file stays when the lock is let go: a lock on a file
//! that others may remove is none.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{DeadLetterError, MODE};

/// More than it ever says.
const MAX_TEXT: u64 = 1024;

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    /// The number that the next letter must have at least.
    next: u64,
}

impl Lock {
    /// Takes the lock of the letters at this path.
    pub(super) fn take(letters: &Path) -> Result<Lock, DeadLetterError> {
        let path = lock_path(letters);
        let failed = |error| DeadLetterError::Io {
            path: path.clone(),
            error,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(MODE)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let process = read(&mut file, "process").map_err(failed)?;
                let path = letters.to_owned();
                return Err(DeadLetterError::InUse { path, process });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let next = read(&mut file, "next").map_err(failed)?.unwrap_or(1);
        let mut lock = Lock { file, next };
        lock.write().map_err(failed)?;
        Ok(lock)
    }

    /// The number that the next letter must have at least.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Makes sure that this is known for ever as the least number of the next letter.
    pub(super) fn remember_next(&mut self, next: u64) -> io::Result<()> {
        if next <= self.next {
            return Ok(());
        }
        self.next = next;
        self.write()
    }

    /// A crash in between leaves no number, or half of one: then the letters say it, and at worst
    /// a number comes twice.
    fn write(&mut self) -> io::Result<()> {
        let text = format!("process {}\nnext {}\n", std::process::id(), self.next);
        self.file.seek(SeekFrom::Start(0))?;
        self.file.set_len(0)?;
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()
    }
}

/// The number behind this word.
fn read(file: &mut File, word: &str) -> io::Result<Option<u64>> {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    Read::by_ref(file).take(MAX_TEXT).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let value = text.lines().find_map(|line| line.strip_prefix(word));
    Ok(value.and_then(|value| value.trim().parse().ok()))
}

/// The locked file. Its name begins with a dot, so that whoever reads `dead.ndjson*` has letters
/// only.
pub(super) fn lock_path(letters: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(letters.file_name().unwrap_or_default());
    beside(&letters.with_file_name(name), "lock")
}

/// The file of this name that belongs to the letters.
pub(super) fn beside(letters: &Path, suffix: &str) -> PathBuf {
    let mut path = letters.as_os_str().to_owned();
    path.push(".");
    path.push(suffix);
    PathBuf::from(path)
}
