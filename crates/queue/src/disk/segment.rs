//! The files of the log, one after the other: their names and what stands at their beginning.
//!
//! ```text
//! magic            8 bytes  "kete log"
//! version          4 bytes  of everything in the file
//! number           8 bytes  of this segment; the file is named after it
//! newest           8 bytes  the record before this segment
//! previous end     8 bytes  how much of the segment before this one counts
//! previous oldest  8 bytes  when the oldest and ...
//! previous newest  8 bytes  ... the newest event in that segment was accepted
//! events, size     16 bytes all events for all routes before this segment, ever
//! checksum         4 bytes  CRC-32 of all that
//! ```
//!
//! This beginning is the same in every version. Segments are numbered without gaps. What stands behind "previous end" in the one before is what
//! a crash or a failed write left there, and does not count.

use std::path::PathBuf;

use super::codec::Input;
use super::files::Files;
use super::ledger::{Accepted, Count};
use crate::Sequence;

/// The version that is written, and the newest that is read.
const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"kete log";

/// The length of the header of a file.
pub(super) const FILE_HEADER: usize = 72;

/// The name of a segment's file.
pub(super) fn name(number: u64) -> String {
    format!("{number:020}.log")
}

/// The number of the segment whose file has this name.
pub(super) fn number_of(file: &str) -> Option<u64> {
    let number = file.strip_suffix(".log")?.parse().ok()?;
    (name(number) == file).then_some(number)
}

/// The name of the mark that everybody has passed all segments up to this one. It is empty, and is
/// renamed before a segment is deleted: that needs no space and no file that can be written.
pub(super) fn mark(number: u64) -> String {
    format!("{number:020}.passed")
}

/// The number of the segment that this mark names.
pub(super) fn marked(file: &str) -> Option<u64> {
    let number = file.strip_suffix(".passed")?.parse().ok()?;
    (mark(number) == file).then_some(number)
}

/// What stands at the beginning of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) number: u64,
    pub(super) newest: Sequence,
    pub(super) previous_end: u64,
    pub(super) previous_accepted: Option<Accepted>,
    pub(super) for_all: Count,
}

/// Why the beginning of a file is not that of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderError {
    Bad,
    /// It is one of a newer kete.
    Newer(u32),
}

impl FileHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        // An impossible span stands for none.
        let none = Accepted {
            oldest: i64::MAX,
            newest: i64::MIN,
        };
        let accepted = self.previous_accepted.unwrap_or(none);
        let mut out = Vec::with_capacity(FILE_HEADER);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        for number in [self.number, self.newest, self.previous_end] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for time in [accepted.oldest, accepted.newest] {
            out.extend_from_slice(&time.to_le_bytes());
        }
        for number in [self.for_all.events, self.for_all.size] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
        out
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<FileHeader, HeaderError> {
        let bytes = bytes.get(..FILE_HEADER).ok_or(HeaderError::Bad)?;
        let mut input = Input(bytes);
        let bad = |_| HeaderError::Bad;
        if input.fixed().map_err(bad)? != *MAGIC {
            return Err(HeaderError::Bad);
        }
        let version = u32::from_le_bytes(input.fixed().map_err(bad)?);
        let checksum = crc32fast::hash(&bytes[..FILE_HEADER - 4]).to_le_bytes();
        if version == 0 || bytes[FILE_HEADER - 4..] != checksum {
            return Err(HeaderError::Bad);
        }
        if version > VERSION {
            return Err(HeaderError::Newer(version));
        }
        let mut fixed = || input.fixed().map_err(bad);
        let mut number = || fixed().map(u64::from_le_bytes);
        let (this, newest, previous_end) = (number()?, number()?, number()?);
        let (oldest_accepted, newest_accepted) = (number()? as i64, number()? as i64);
        Ok(FileHeader {
            number: this,
            newest,
            previous_end,
            previous_accepted: (oldest_accepted <= newest_accepted).then_some(Accepted {
                oldest: oldest_accepted,
                newest: newest_accepted,
            }),
            for_all: Count {
                events: number()?,
                size: number()?,
            },
        })
    }
}

/// A segment, as the running log knows it.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) number: u64,
    /// The record before it.
    pub(super) newest_before: Sequence,
    /// Up to where it may be read.
    pub(super) end: u64,
    /// What its file takes on the disk.
    pub(super) size: u64,
    /// Of its events.
    pub(super) accepted: Option<Accepted>,
    /// All events for all routes before it, ever.
    pub(super) for_all_before: Count,
}

/// What is said of damage: where it is and the way out.
pub(super) fn damaged(files: &dyn Files, path: PathBuf, offset: u64, what: &str) -> String {
    let (path, directory) = (path.display(), files.directory().display());
    format!(
        "{path} at byte {offset}: {what}; to go on without what it holds, stop kete and set the \
         directory aside (mv {directory} {directory}.damaged): kete then starts with an empty queue"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> FileHeader {
        FileHeader {
            number: 3,
            newest: 17,
            previous_end: 99,
            previous_accepted: Some(Accepted {
                oldest: -5,
                newest: 7,
            }),
            for_all: Count { events: 4, size: 5 },
        }
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let none = FileHeader {
            previous_accepted: None,
            ..header()
        };
        for header in [header(), none] {
            assert_eq!(header.encode().len(), FILE_HEADER);
            assert_eq!(FileHeader::parse(&header.encode()), Ok(header));
        }
    }

    #[test]
    fn every_changed_byte_is_seen() {
        let bytes = header().encode();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 0x10;
            assert!(FileHeader::parse(&changed).is_err(), "byte {index}");
            assert!(FileHeader::parse(&bytes[..index]).is_err(), "{index} bytes");
        }
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut bytes = header().encode();
        bytes[8] = 2;
        let checksum = crc32fast::hash(&bytes[..FILE_HEADER - 4]);
        bytes[FILE_HEADER - 4..].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(FileHeader::parse(&bytes), Err(HeaderError::Newer(2)));
    }

    #[test]
    fn only_names_that_we_write_are_ours() {
        assert_eq!(number_of(&name(12)), Some(12));
        assert_eq!(marked(&mark(12)), Some(12));
        for foreign in [
            "12.log",
            "x.log",
            "00000000000000000012.lo",
            "",
            "+0000000000000000012.log",
        ] {
            assert_eq!(number_of(foreign), None, "{foreign}");
        }
    }
}
