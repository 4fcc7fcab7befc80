//! The frame: the unit in which a segment is written and of which its checksum vouches.
//!
//! ```text
//! length   4 bytes   of the payload, little endian like everything fixed here
//! checksum 4 bytes   CRC-32 of all that follows and of where it stands
//! kind     1 byte
//! safe     8 bytes   up to where the file was known to be on the disk when this was written
//! payload
//! ```
//!
//! The checksum also covers the number of the segment, the place of the frame in it and its length,
//! so that bytes of an older file, or of a frame that moved, never pass.

use std::io;

use super::codec::{Input, Malformed};
use super::files::File;

/// The bytes before the payload.
pub(super) const FRAME_HEADER: usize = 17;

/// How much of a file is read at once.
pub(super) const BLOCK: usize = 256 * 1024;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// All that was known when the segment was begun.
    Snapshot,
    /// Events.
    Batch,
    /// How far consumers have come.
    Cursors,
    /// A new consumer.
    Added,
    /// A consumer that is forgotten.
    Forgotten,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Kind::Snapshot => 1,
            Kind::Batch => 2,
            Kind::Cursors => 3,
            Kind::Added => 4,
            Kind::Forgotten => 5,
        }
    }

    fn of(code: u8) -> Option<Kind> {
        [
            Kind::Snapshot,
            Kind::Batch,
            Kind::Cursors,
            Kind::Added,
            Kind::Forgotten,
        ]
        .into_iter()
        .find(|kind| kind.code() == code)
    }
}

/// Appends a frame to `out`, which will be written so that the frame stands at `place`.
pub(super) fn put_frame(out: &mut Vec<u8>, place: Place, safe: u64, kind: Kind, payload: &[u8]) {
    let length = payload.len() as u32;
    let start = out.len();
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.push(kind.code());
    out.extend_from_slice(&safe.to_le_bytes());
    out.extend_from_slice(payload);
    let checksum = checksum(place, length, &out[start + 8..]);
    out[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
}

/// Where a frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the segment.
    pub(super) segment: u64,
    /// The offset in its file.
    pub(super) offset: u64,
}

fn checksum(place: Place, length: u32, covered: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place.segment.to_le_bytes());
    hasher.update(&place.offset.to_le_bytes());
    hasher.update(&length.to_le_bytes());
    hasher.update(covered);
    hasher.finalize()
}

/// A frame whose checksum is right.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) kind: Kind,
    /// Up to where the file was on the disk when this was written.
    pub(super) safe: u64,
    pub(super) payload: &'a [u8],
    /// Where it stands.
    pub(super) offset: u64,
    /// Where the next one stands.
    pub(super) end: u64,
}

impl<'a> Frame<'a> {
    /// The frame at the beginning of `bytes`, which stand at `place`.
    pub(super) fn parse(place: Place, bytes: &'a [u8]) -> Result<Frame<'a>, Malformed> {
        let mut input = Input(bytes);
        let length = u32::from_le_bytes(input.fixed()?);
        let expected = u32::from_le_bytes(input.fixed()?);
        let whole = FRAME_HEADER + length as usize;
        let covered = bytes.get(8..whole).ok_or(Malformed)?;
        let kind = Kind::of(input.byte()?).ok_or(Malformed)?;
        let safe = u64::from_le_bytes(input.fixed()?);
        let possible = safe <= place.offset;
        if !possible || checksum(place, length, covered) != expected {
            return Err(Malformed);
        }
        Ok(Frame {
            kind,
            safe,
            payload: &bytes[FRAME_HEADER..whole],
            offset: place.offset,
            end: place.offset + whole as u64,
        })
    }

    /// How long the frame at the beginning of `bytes` says it is, if its first bytes are there.
    fn whole(bytes: &[u8]) -> Option<usize> {
        let length = u32::from_le_bytes(*bytes.first_chunk()?);
        Some(FRAME_HEADER + length as usize)
    }
}

/// Why there is no next frame.
#[derive(Debug)]
pub(super) enum ScanError {
    Io(io::Error),
    /// What stands here is no frame.
    Bad {
        offset: u64,
    },
}

/// Reads the frames of a segment one after the other.
pub(super) struct Scanner<'f> {
    file: &'f dyn File,
    segment: u64,
    /// Where the next frame stands.
    offset: u64,
    /// Where the last one ends.
    end: u64,
    buffer: Vec<u8>,
    /// Where the buffer stands in the file.
    buffered_at: u64,
}

impl<'f> Scanner<'f> {
    pub(super) fn new(file: &'f dyn File, start: Place, end: u64) -> Scanner<'f> {
        Scanner {
            file,
            segment: start.segment,
            offset: start.offset,
            end,
            buffer: Vec::new(),
            buffered_at: start.offset,
        }
    }

    /// The next frame, or none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Frame<'_>>, ScanError> {
        if self.offset >= self.end {
            return Ok(None);
        }
        let offset = self.offset;
        let bad = ScanError::Bad { offset };
        self.fill(FRAME_HEADER).map_err(ScanError::Io)?;
        let whole = Frame::whole(self.rest()).ok_or(ScanError::Bad { offset })?;
        if offset + whole as u64 > self.end {
            return Err(bad);
        }
        self.fill(whole).map_err(ScanError::Io)?;
        let place = Place {
            segment: self.segment,
            offset,
        };
        let start = (offset - self.buffered_at) as usize;
        let frame = Frame::parse(place, &self.buffer[start..]).map_err(|Malformed| bad)?;
        self.offset = frame.end;
        Ok(Some(frame))
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[(self.offset - self.buffered_at) as usize..]
    }

    /// Reads on until `needed` bytes from the offset on are there, or the end.
    fn fill(&mut self, needed: usize) -> io::Result<()> {
        if self.rest().len() >= needed {
            return Ok(());
        }
        let kept = self.rest().len();
        let start = self.buffer.len() - kept;
        self.buffer.copy_within(start.., 0);
        self.buffered_at = self.offset;
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        self.buffer.resize(left.min(needed.max(BLOCK)), 0);
        let at = self.offset + kept as u64;
        let read = self.file.read_at(&mut self.buffer[kept..], at)?;
        self.buffer.truncate(kept + read);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place = Place {
        segment: 7,
        offset: 99,
    };

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let mut bytes = Vec::new();
        put_frame(&mut bytes, PLACE, 42, Kind::Cursors, b"payload");
        bytes.extend_from_slice(b"the next");
        let frame = Frame::parse(PLACE, &bytes).unwrap();
        assert_eq!((frame.kind, frame.safe), (Kind::Cursors, 42));
        assert_eq!((frame.payload, frame.end), (&b"payload"[..], 99 + 24));
    }

    #[test]
    fn a_frame_passes_only_where_it_was_written() {
        let mut bytes = Vec::new();
        put_frame(&mut bytes, PLACE, 42, Kind::Batch, b"payload");
        let elsewhere = Place {
            offset: 98,
            ..PLACE
        };
        assert!(Frame::parse(elsewhere, &bytes).is_err());
        let another = Place {
            segment: 8,
            ..PLACE
        };
        assert!(Frame::parse(another, &bytes).is_err());
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_seen() {
        let mut bytes = Vec::new();
        put_frame(&mut bytes, PLACE, 42, Kind::Batch, b"payload");
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::parse(PLACE, &changed).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(Frame::parse(PLACE, &bytes[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            prop_assert!(Frame::parse(PLACE, &bytes).is_err());
        }
    }
}
