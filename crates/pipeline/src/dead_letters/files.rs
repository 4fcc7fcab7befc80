//! The files of the store: one that grows, and older ones that do not.
//!
//! ```text
//! dead.ndjson        grows
//! dead.ndjson.1      the oldest
//! dead.ndjson.2
//! .dead.ndjson.lock  who uses them
//! ```
//!
//! An older file is only ever deleted or replaced as a whole. So a reader opens the next file when
//! it is done with the one before, and sees each letter once, whatever happens meanwhile.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::active::{Active, check_content, check_kind};
use super::lock::{Lock, beside};
use super::reading::{survey, visit};
use super::{DeadLetterError, line};
use crate::DeadLetter;

/// A store of this many full files: what is too old or not wanted goes in such parts.
const PARTS: u64 = 8;
/// However large the store may be: while a file is read or written anew, its letters wait.
const LARGEST_FILE: u64 = 16 << 20;
/// A file has the letters of one day, in milliseconds.
const DAY: i64 = 86_400_000;

/// The files of the store.
#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    older: BTreeMap<u64, Older>,
    active: Active,
    next: u64,
    max_bytes: u64,
    lock: Lock,
}

/// A file that does not grow any more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Older {
    pub(super) length: u64,
    /// When its last letter was given up, in milliseconds since 1970.
    pub(super) newest: i64,
    /// The number of that letter.
    pub(super) last_number: Option<u64>,
}

/// Which file; the one that grows comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Which {
    Older(u64),
    Active,
}

/// A file to be read. Whatever happens to its name meanwhile, it holds what it held.
pub(super) struct Opened {
    pub(super) which: Which,
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) length: u64,
}

/// What was deleted because of its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expired {
    pub(super) path: PathBuf,
    pub(super) letters: u64,
    /// Lines that are none of ours.
    pub(super) others: u64,
}

impl Files {
    /// Takes the lock, opens or makes the file that grows, and looks at what there is.
    pub(super) fn open(path: &Path, max_bytes: u64) -> Result<Files, DeadLetterError> {
        let failed = |error| DeadLetterError::Io {
            path: path.to_owned(),
            error,
        };
        check_kind(path).map_err(failed)?;
        check_content(path).map_err(failed)?;
        let lock = Lock::take(path)?;
        let active = Active::open(path).map_err(failed)?;
        sync_directory(path).map_err(failed)?;
        let older = older_files(path)?;
        let last = active.known.last_number;
        let last = last.or_else(|| older.values().filter_map(|file| file.last_number).max());
        Ok(Files {
            path: path.to_owned(),
            next: lock.next().max(last.unwrap_or(0) + 1),
            older,
            active,
            max_bytes,
            lock,
        })
    }

    /// The bytes of all files.
    pub(super) fn length(&self) -> u64 {
        self.active.length + self.older.values().map(|file| file.length).sum::<u64>()
    }

    /// The number of the newest letter there ever was; 0 if there was none.
    pub(super) fn newest_number(&self) -> u64 {
        self.next - 1
    }

    // === writing ===

    /// Writes letters, in this order, and syncs them together. Each has an outcome.
    pub(super) fn append(
        &mut self,
        letters: &[DeadLetter],
        now: i64,
    ) -> Vec<Result<(), DeadLetterError>> {
        let prepared = self.prepare(now);
        let mut bytes = Vec::new();
        let (room, first) = (self.max_bytes.saturating_sub(self.length()), self.next);
        let outcomes: Vec<_> = letters
            .iter()
            .map(|letter| {
                let line = line::write(letter, self.next, now);
                let line = line.map_err(|line::NotJson| DeadLetterError::NotJson)?;
                if (bytes.len() + line.len()) as u64 > room {
                    return Err(self.full());
                }
                self.next += 1;
                bytes.extend_from_slice(&line);
                Ok(())
            })
            .collect();
        let written = prepared
            .and_then(|()| self.make_room(bytes.len() as u64))
            .and_then(|()| self.active.append(&bytes));
        if let Err(error) = written {
            self.next = first;
            let again = || io::Error::new(error.kind(), error.to_string());
            return outcomes
                .into_iter()
                .map(|outcome| outcome.and_then(|()| Err(self.failed(again()))))
                .collect();
        }
        if self.next > first {
            self.active.known.first_at.get_or_insert(now);
            self.active.known.last_at = Some(now);
            self.active.known.last_number = Some(self.next - 1);
        }
        outcomes
    }

    /// Makes sure that what is written is found again: somebody may have moved the file away, or
    /// changed it.
    fn prepare(&mut self, now: i64) -> io::Result<()> {
        self.active.tidy()?;
        let found = match fs::metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            found => Some(found?),
        };
        if !found.is_some_and(|found| self.active.is(&found)) {
            self.active = Active::open(&self.path)?;
            sync_directory(&self.path)?;
            let last = self.active.known.last_number.unwrap_or(0);
            self.next = self.next.max(last + 1);
        }
        let day = |at: i64| at.div_euclid(DAY);
        let known = self.active.known.first_at;
        if known.is_some_and(|first| day(first) != day(now)) {
            self.rotate()?;
        }
        Ok(())
    }

    /// Begins a new file if this one would become too large.
    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        let largest = (self.max_bytes / PARTS).min(LARGEST_FILE);
        match self.active.known.first_at {
            Some(_) if self.active.length + bytes > largest => self.rotate(),
            _ => Ok(()),
        }
    }

    /// Gives the file that grows its final name, and begins a new one.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        let number = self.older.keys().next_back().map_or(1, |last| last + 1);
        let name = beside(&self.path, &number.to_string());
        if fs::symlink_metadata(&name).is_ok() {
            let problem = format!("{} is there already", name.display());
            return Err(io::Error::new(ErrorKind::AlreadyExists, problem));
        }
        fs::rename(&self.path, &name)?;
        let older = self.active.as_older();
        self.older.insert(number, older);
        self.active = Active::open(&self.path)?;
        sync_directory(&self.path)
    }

    /// Deletes files whose newest letter was given up before this time, in milliseconds since
    /// 1970.
    pub(super) fn expire(&mut self, before: i64) -> Result<Vec<Expired>, DeadLetterError> {
        let newest = self.active.known.last_at;
        if newest.is_some_and(|newest| newest < before) {
            self.rotate().map_err(|error| self.failed(error))?;
        }
        let old = |(number, file): (&u64, &Older)| (file.newest < before).then_some(*number);
        let old: Vec<u64> = self.older.iter().filter_map(old).collect();
        let mut expired = Vec::with_capacity(old.len());
        for number in old {
            let path = self.path_of(Which::Older(number));
            let failed = |error| DeadLetterError::Io {
                path: path.clone(),
                error,
            };
            let (letters, others) = count(&path).map_err(failed)?;
            self.delete(number).map_err(failed)?;
            expired.push(Expired {
                path,
                letters,
                others,
            });
        }
        Ok(expired)
    }

    /// Deletes an older file.
    fn delete(&mut self, number: u64) -> io::Result<()> {
        self.lock.remember_next(self.next)?;
        match fs::remove_file(self.path_of(Which::Older(number))) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.older.remove(&number);
        sync_directory(&self.path)
    }

    /// Puts a file that was written anew in the place of the old one, if that is still there.
    pub(super) fn replace(
        &mut self,
        which: Which,
        new: &Path,
        length: u64,
    ) -> Result<bool, DeadLetterError> {
        let replaced = self.try_replace(which, new, length);
        replaced.map_err(|error| DeadLetterError::Io {
            path: self.path_of(which),
            error,
        })
    }

    fn try_replace(&mut self, which: Which, new: &Path, length: u64) -> io::Result<bool> {
        match which {
            Which::Older(number) if !self.older.contains_key(&number) => {
                fs::remove_file(new)?;
                return Ok(false);
            }
            Which::Older(number) if length == 0 => {
                fs::remove_file(new)?;
                self.delete(number)?;
                return Ok(true);
            }
            _ => {}
        }
        self.lock.remember_next(self.next)?;
        fs::rename(new, self.path_of(which))?;
        sync_directory(&self.path)?;
        match which {
            Which::Older(number) => {
                if let Some(file) = self.older.get_mut(&number) {
                    file.length = length;
                }
            }
            Which::Active => self.active = Active::open(&self.path)?,
        }
        Ok(true)
    }

    // === reading ===

    /// The file that comes after this one, without those that end at this number or before it.
    pub(super) fn open_next(
        &self,
        after: Option<Which>,
        number: u64,
    ) -> Result<Option<Opened>, DeadLetterError> {
        if after == Some(Which::Active) {
            return Ok(None);
        }
        let older = self.older.iter().filter(|(_, file)| {
            // Without a number in it, nobody knows.
            file.last_number.is_none_or(|last| last > number)
        });
        let older = older.map(|(number, file)| (Which::Older(*number), file.length));
        let files = older.chain([(Which::Active, self.active.length)]);
        for (which, length) in files.filter(|(which, _)| after < Some(*which)) {
            let path = self.path_of(which);
            match File::open(&path) {
                Ok(file) => {
                    return Ok(Some(Opened {
                        which,
                        path,
                        file,
                        length,
                    }));
                }
                // Somebody has moved it away.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(DeadLetterError::Io { path, error }),
            }
        }
        Ok(None)
    }

    fn path_of(&self, which: Which) -> PathBuf {
        match which {
            Which::Older(number) => beside(&self.path, &number.to_string()),
            Which::Active => self.path.clone(),
        }
    }

    fn full(&self) -> DeadLetterError {
        DeadLetterError::Full {
            path: self.path.clone(),
            limit: self.max_bytes,
        }
    }

    fn failed(&self, error: io::Error) -> DeadLetterError {
        DeadLetterError::Io {
            path: self.path.clone(),
            error,
        }
    }
}

/// Looks for files that were finished before.
fn older_files(path: &Path) -> Result<BTreeMap<u64, Older>, DeadLetterError> {
    let mut older = BTreeMap::new();
    let folder = directory(path);
    let failed = |error| DeadLetterError::Io {
        path: folder.to_owned(),
        error,
    };
    let (Some(name), entries) = (path.file_name(), fs::read_dir(folder).map_err(failed)?) else {
        return Ok(older);
    };
    let prefix = format!("{}.", name.to_string_lossy());
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some(suffix) = name.to_str().and_then(|name| name.strip_prefix(&prefix)) else {
            continue;
        };
        let failed = |error| DeadLetterError::Io {
            path: entry.path(),
            error,
        };
        if is_unfinished(suffix) {
            // A crash has left it; what it was to replace is still there.
            fs::remove_file(entry.path()).map_err(failed)?;
        } else if let Some(number) = suffix.parse().ok().filter(|number| *number > 0) {
            older.insert(number, look(&entry.path()).map_err(failed)?);
        }
    }
    Ok(older)
}

/// Whether this is the end of the name of a file that was being written anew.
fn is_unfinished(suffix: &str) -> bool {
    let number = suffix.strip_suffix(".new");
    suffix == "new" || number.is_some_and(|number| number.parse::<u64>().is_ok())
}

fn look(path: &Path) -> io::Result<Older> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let known = survey(&mut file, metadata.len())?;
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH);
    let modified = modified.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0));
    Ok(Older {
        length: metadata.len(),
        newest: known.last_at.unwrap_or(modified),
        last_number: known.last_number,
    })
}

/// How many letters, and how many other lines.
fn count(path: &Path) -> io::Result<(u64, u64)> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((0, 0)),
        opened => opened?,
    };
    let (mut letters, mut others) = (0, 0);
    let length = file.metadata()?.len();
    visit(&mut file, length, &mut 0, |entry| {
        match &entry.letter {
            Some(_) => letters += 1,
            None => others += 1,
        }
        ControlFlow::Continue(())
    })?;
    Ok((letters, others))
}

fn directory(path: &Path) -> &Path {
    let folder = path.parent();
    folder
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory(path))?.sync_all()
}
