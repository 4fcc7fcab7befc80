//! What can be done with the letters: keep, look through, take out, let expire.
//!
//! Everything here blocks. One lock guards the files and is held for a write or a look at the
//! names; who reads goes through a file without it. Taking letters out writes one file anew at a
//! time, and holds the lock only for the last step, or for the file that grows.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::files::{Expired, Files, Which};
use super::line::{Line, ListedLetter};
use super::reading::visit;
use super::rewriting::rewrite;
use super::{DeadLetterError, Filter, Listing, OtherLines, Removed, Slice};
use crate::DeadLetter;

/// How often letters are looked at for their age, in milliseconds.
const LOOK_EVERY: i64 = 3_600_000;

/// The store.
#[derive(Debug)]
pub(super) struct Store {
    files: Mutex<Files>,
    /// Held by whoever writes files anew.
    rewriting: Mutex<()>,
    max_age: Option<i64>,
    looked_at: Mutex<i64>,
}

impl Store {
    /// `max_age` is in milliseconds.
    pub(super) fn open(
        path: &Path,
        max_bytes: u64,
        max_age: Option<i64>,
    ) -> Result<Store, DeadLetterError> {
        Ok(Store {
            files: Mutex::new(Files::open(path, max_bytes)?),
            rewriting: Mutex::default(),
            max_age,
            looked_at: Mutex::new(i64::MIN),
        })
    }

    /// Keeps letters; each has an outcome. What has expired makes room.
    pub(super) fn append(
        &self,
        letters: &[DeadLetter],
        now: i64,
    ) -> (Vec<Result<(), DeadLetterError>>, Vec<Expired>) {
        let mut expired = self.expire_now_and_then(now);
        let mut files = self.files();
        let mut outcomes = files.append(letters, now);
        let is_full = |outcome: &Result<_, _>| matches!(outcome, Err(DeadLetterError::Full { .. }));
        let Some(first) = outcomes.iter().position(is_full) else {
            return (outcomes, expired);
        };
        let more = self.expire_files(&mut files, now).unwrap_or_default();
        if !more.is_empty() {
            for (letter, outcome) in letters.iter().zip(&mut outcomes).skip(first) {
                if is_full(outcome)
                    && let Some(again) = files.append(std::slice::from_ref(letter), now).pop()
                {
                    *outcome = again;
                }
            }
        }
        expired.extend(more);
        (outcomes, expired)
    }

    /// The bytes of all files.
    pub(super) fn length(&self) -> u64 {
        self.files().length()
    }

    /// Deletes what is too old.
    pub(super) fn expire(&self, now: i64) -> Result<Vec<Expired>, DeadLetterError> {
        self.expire_files(&mut self.files(), now)
    }

    /// A failure is no reason not to keep a letter; the next look says it.
    fn expire_now_and_then(&self, now: i64) -> Vec<Expired> {
        let mut looked_at = lock(&self.looked_at);
        if (*looked_at..looked_at.saturating_add(LOOK_EVERY)).contains(&now) {
            return Vec::new();
        }
        *looked_at = now;
        drop(looked_at);
        self.expire(now).unwrap_or_default()
    }

    fn expire_files(&self, files: &mut Files, now: i64) -> Result<Vec<Expired>, DeadLetterError> {
        match self.max_age {
            Some(age) => files.expire(now.saturating_sub(age)),
            None => Ok(Vec::new()),
        }
    }

    // === looking through ===

    /// The newest letters that are meant, and how many there are.
    pub(super) fn list(&self, filter: &Filter, limit: usize) -> Result<Listing, DeadLetterError> {
        let mut letters: VecDeque<ListedLetter> = VecDeque::new();
        let mut total = 0;
        let others = self.visit(0, |number, line| {
            if filter.takes(number, line) {
                total += 1;
                if letters.len() == limit {
                    letters.pop_front();
                }
                if limit > 0 {
                    letters.push_back(line.listed(number));
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(Listing {
            letters: letters.into(),
            total,
            newest: self.files().newest_number(),
            others,
        })
    }

    /// The first letters behind this number that are meant: at most so many, and at most about so
    /// many bytes, but one at least if there is one.
    pub(super) fn slice(
        &self,
        filter: &Filter,
        after: u64,
        max_letters: usize,
        max_bytes: usize,
    ) -> Result<Slice, DeadLetterError> {
        let mut slice = Slice::default();
        let mut bytes = 0;
        let mut seen = after;
        slice.others = self.visit(after, |number, line| {
            if number <= after || !filter.takes(number, line) {
                return ControlFlow::Continue(());
            }
            let size = line.event.get().len();
            let enough = slice.letters.len() >= max_letters || bytes + size > max_bytes;
            if enough && !slice.letters.is_empty() {
                slice.next = Some(seen);
                return ControlFlow::Break(());
            }
            bytes += size;
            seen = number;
            slice.letters.push(line.stored(number));
            ControlFlow::Continue(())
        })?;
        Ok(slice)
    }

    /// Shows every letter of files that may have some behind this number, oldest first.
    fn visit(
        &self,
        after: u64,
        mut each: impl FnMut(u64, &Line<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<OtherLines>, DeadLetterError> {
        let mut others = Vec::new();
        let mut which = None;
        let mut last = 0;
        loop {
            let Some(mut opened) = self.files().open_next(which, after)? else {
                return Ok(others);
            };
            which = Some(opened.which);
            let mut strange = 0;
            let to_the_end = visit(&mut opened.file, opened.length, &mut last, |entry| {
                let Some((number, line)) = &entry.letter else {
                    strange += 1;
                    return ControlFlow::Continue(());
                };
                each(*number, line)
            });
            let path = opened.path;
            match to_the_end {
                Err(error) => return Err(DeadLetterError::Io { path, error }),
                Ok(to_the_end) => {
                    if strange > 0 {
                        others.push(OtherLines {
                            path,
                            lines: strange,
                        });
                    }
                    if !to_the_end {
                        return Ok(others);
                    }
                }
            }
        }
    }

    // === taking out ===

    /// Takes out the letters that are meant. What is not a letter stays.
    pub(super) fn remove(&self, filter: &Filter) -> Result<Removed, DeadLetterError> {
        let _alone = lock(&self.rewriting);
        let mut removed = Removed::default();
        let mut which = None;
        let mut last = 0;
        loop {
            // The file that grows is written anew under the lock, so that nothing is added to it.
            let files = self.files();
            let Some(opened) = files.open_next(which, 0)? else {
                return Ok(removed);
            };
            which = Some(opened.which);
            let mut held = match opened.which {
                Which::Active => Some(files),
                Which::Older(_) => {
                    drop(files);
                    None
                }
            };
            if let Some(new) = rewrite(opened, filter, &mut last, &mut removed.others)? {
                let files = held.get_or_insert_with(|| self.files());
                if files.replace(new.which, &new.path, new.length)? {
                    removed.letters += new.removed;
                }
            }
        }
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        lock(&self.files)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
