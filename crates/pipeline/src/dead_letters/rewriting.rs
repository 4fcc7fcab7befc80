//! Writes a file of dead letters anew, without some of them.
//!
//! The new file stands beside the old one until it is complete and on the disk. What is kept is
//! copied as it is, whatever it is; only letters of kete 0.1, whose place was their number, get
//! that number written down.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::files::{Opened, Which};
use super::lock::beside;
use super::reading::{Entry, visit};
use super::{DeadLetterError, Filter, MODE, OtherLines};

/// A file that was written anew, under another name.
pub(super) struct Rewritten {
    /// The file that it replaces.
    pub(super) which: Which,
    /// Its name for now.
    pub(super) path: PathBuf,
    pub(super) length: u64,
    /// How many letters are not in it.
    pub(super) removed: u64,
}

/// What a file that is written anew is made of.
enum Piece {
    /// Bytes of the old one.
    Kept(Range<u64>),
    /// Something else.
    New(String),
}

/// How a file is written anew.
#[derive(Default)]
struct Plan {
    pieces: Vec<Piece>,
    removed: u64,
}

/// Writes a file anew without the letters that are meant, if there are any in it.
pub(super) fn rewrite(
    mut opened: Opened,
    filter: &Filter,
    last: &mut u64,
    others: &mut Vec<OtherLines>,
) -> Result<Option<Rewritten>, DeadLetterError> {
    let mut plan = Plan::default();
    let mut strange = 0;
    let read = visit(&mut opened.file, opened.length, last, |entry| {
        strange += u64::from(entry.letter.is_none());
        plan.take(entry, filter);
        ControlFlow::Continue(())
    });
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| DeadLetterError::Io { path, error }
    };
    read.map_err(failed(&opened.path))?;
    if strange > 0 {
        others.push(OtherLines {
            path: opened.path.clone(),
            lines: strange,
        });
    }
    if plan.removed == 0 {
        return Ok(None);
    }
    let path = beside(&opened.path, "new");
    let length = plan.write(&mut opened.file, &path).map_err(failed(&path))?;
    Ok(Some(Rewritten {
        which: opened.which,
        path,
        length,
        removed: plan.removed,
    }))
}

impl Plan {
    fn take(&mut self, entry: &Entry<'_>, filter: &Filter) {
        let Entry { start, end, letter } = entry;
        match letter {
            Some((number, line)) if filter.takes(*number, line) => self.removed += 1,
            // Its place told its number, and that changes now.
            Some((number, line)) if line.number.is_none() => {
                if let Ok(mut text) = serde_json::to_string(&line.stored(*number)) {
                    text.push('\n');
                    self.pieces.push(Piece::New(text));
                }
            }
            _ => self.keep(*start..*end),
        }
    }

    fn keep(&mut self, kept: Range<u64>) {
        match self.pieces.last_mut() {
            Some(Piece::Kept(before)) if before.end == kept.start => before.end = kept.end,
            _ => self.pieces.push(Piece::Kept(kept)),
        }
    }

    /// Writes the new file, and returns its length; on the disk when this returns.
    fn write(&self, old: &mut File, path: &Path) -> io::Result<u64> {
        let new = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(MODE)
            .open(path)?;
        let mut writer = BufWriter::new(new);
        let mut length = 0;
        for piece in &self.pieces {
            length += match piece {
                Piece::New(text) => {
                    writer.write_all(text.as_bytes())?;
                    text.len() as u64
                }
                Piece::Kept(range) => {
                    old.seek(SeekFrom::Start(range.start))?;
                    let size = range.end - range.start;
                    let copied = io::copy(&mut Read::by_ref(old).take(size), &mut writer)?;
                    if copied < size {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    copied
                }
            };
        }
        let new = writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        new.sync_all()?;
        Ok(length)
    }
}
