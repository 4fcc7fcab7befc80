//! Opening a log: what the files say is added up, what a crash left at the end is cut, and
//! everything else that is not as it was written is refused.
//!
//! Only the last segment can be unfinished. A crash leaves nothing whole behind what it tore but
//! frames that were not known to be on the disk: each frame says up to where its file was safe
//! when it was written. So a bad frame below what a later frame calls safe is damage, and any other
//! one is where the log ends. Nothing is changed before everything was looked at.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use super::codec::Malformed;
use super::entry::Entries;
use super::files::{File, Files};
use super::frame::{FRAME_HEADER, Frame, Kind, Place, ScanError, Scanner};
use super::ledger::{BatchSummary, Change, ConsumerEntry, Ledger};
use super::reclaim::{RECENT, RECENT_BYTES, RECENT_EVENTS, wanted_before};
use super::segment::{self, FILE_HEADER, FileHeader, HeaderError, Segment};
use super::writer::Head;
use super::{DiskSettings, OpenError, Recovered};
use crate::TakenId;

/// A log as it was found.
pub(super) struct Opened {
    pub(super) ledger: Ledger,
    pub(super) segments: Vec<Segment>,
    pub(super) head: Option<Head>,
    pub(super) recovered: Recovered,
    pub(super) taken_ids: Vec<TakenId>,
    /// The last segment that is marked as passed by everybody.
    pub(super) mark: Option<u64>,
}

/// The names in the directory.
#[derive(Debug, Default)]
struct Listed {
    /// The segments that belong together.
    numbers: Vec<u64>,
    mark: Option<u64>,
    /// What was to be deleted.
    leftovers: Vec<String>,
}

/// Opens the log in this directory.
pub(super) fn open(files: &dyn Files, settings: &DiskSettings) -> Result<Opened, OpenError> {
    let mut listed = list(files)?;
    let numbers = std::mem::take(&mut listed.numbers);
    let mut opened = Opened {
        ledger: Ledger::default(),
        segments: Vec::new(),
        head: None,
        recovered: Recovered::default(),
        taken_ids: Vec::new(),
        mark: listed.mark,
    };
    for (index, &number) in numbers.iter().enumerate() {
        let file = open_file(files, number)?;
        let header = read_header(files, &*file, number)?;
        let is_last = index + 1 == numbers.len();
        if is_last && is_unfinished(files, &*file, number, header.as_ref())? {
            opened.cut(files, number, 0, length(files, &*file, number)?);
            listed.leftovers.push(segment::name(number));
            break;
        }
        let foreign = || damaged(files, number, 0, "this is no segment of the queue");
        opened.add(files, &*file, &header.ok_or_else(foreign)?)?;
    }
    opened.read_last(files)?;
    opened.check(files, &numbers)?;
    opened.read_recent_ids(files, settings)?;
    for name in listed.leftovers {
        let removed = files.remove(&name);
        removed.map_err(|error| io(files.path(&name), error))?;
    }
    Ok(opened)
}

fn list(files: &dyn Files) -> Result<Listed, OpenError> {
    let directory = || files.directory().to_owned();
    let (mut numbers, mut marks) = (Vec::new(), Vec::new());
    for name in files.list().map_err(|error| io(directory(), error))? {
        match (segment::number_of(&name), segment::marked(&name)) {
            (Some(number), _) => numbers.push(number),
            (_, Some(number)) => marks.push(number),
            (None, None) => {
                let path = files.path(&name);
                return Err(OpenError::Foreign { path });
            }
        }
    }
    numbers.sort_unstable();
    marks.sort_unstable();
    let mark = marks.pop();
    let gap = |pair: &[u64]| pair[0] + 1 != pair[1];
    let start = numbers.windows(2).rposition(gap);
    let together = numbers.split_off(start.map_or(0, |index| index + 1));
    let old = numbers.into_iter().map(segment::name);
    Ok(Listed {
        numbers: together,
        mark,
        leftovers: old.chain(marks.into_iter().map(segment::mark)).collect(),
    })
}

impl Opened {
    /// Takes the next segment, of which only the header was read.
    fn add(
        &mut self,
        files: &dyn Files,
        file: &dyn File,
        header: &FileHeader,
    ) -> Result<(), OpenError> {
        let number = header.number;
        if let Some(previous) = self.segments.last_mut() {
            let follows = previous.newest_before <= header.newest
                && header.previous_end <= previous.size
                && header.previous_end >= FILE_HEADER as u64;
            if !follows {
                let what = "this segment does not follow from the one before";
                return Err(damaged(files, number, 0, what));
            }
            previous.end = header.previous_end;
            previous.accepted = header.previous_accepted;
        }
        let size = length(files, file, number)?;
        self.segments.push(Segment {
            number,
            newest_before: header.newest,
            end: size,
            size,
            accepted: None,
            for_all_before: header.for_all,
        });
        Ok(())
    }

    /// Notes what a crash left at the end of a file.
    fn cut(&mut self, files: &dyn Files, number: u64, end: u64, size: u64) {
        if size == end {
            return;
        }
        self.recovered.cut_bytes += size - end;
        self.recovered.cut_file = Some(files.path(&segment::name(number)));
    }

    /// Adds up the last segment.
    fn read_last(&mut self, files: &dyn Files) -> Result<(), OpenError> {
        let Some(last) = self.segments.last_mut() else {
            return Ok(());
        };
        let (number, size) = (last.number, last.size);
        let file = open_file(files, number)?;
        let read = read_segment(files, &*file, number, size)?;
        if read.end < size && !is_torn(files, &*file, number, read.end..size)? {
            let what = "what stands here is not what was written";
            return Err(damaged(files, number, read.end, what));
        }
        secure(files, &*file, read.safe..read.end)
            .map_err(|error| io(files.path(&segment::name(number)), error))?;
        last.end = read.end;
        last.accepted = read.ledger.accepted;
        self.ledger = read.ledger;
        self.cut(files, number, read.end, size);
        self.head = Some(Head {
            file,
            number,
            end: read.end,
            safe: read.end,
            usable: read.end == size,
        });
        Ok(())
    }

    /// Whether everything is there that somebody still wants.
    fn check(&mut self, files: &dyn Files, numbers: &[u64]) -> Result<(), OpenError> {
        // Where a segment was marked as passed, another one had been begun.
        let begun = self.mark.filter(|mark| *mark > 0).map(|mark| mark + 2);
        let Some(first) = numbers.first().copied().or(begun) else {
            return Ok(());
        };
        let missing = || {
            let path = files.path(&segment::name(first.saturating_sub(1)));
            let directory = files.directory().to_owned();
            OpenError::Missing { path, directory }
        };
        let Some(oldest) = self.segments.first() else {
            return if first > 1 { Err(missing()) } else { Ok(()) };
        };
        let is_lost =
            |one: &ConsumerEntry| one.cursor < oldest.newest_before && one.wanted != one.passed;
        for consumer in self
            .ledger
            .consumers
            .values_mut()
            .filter(|one| is_lost(one))
        {
            if self.mark.is_none_or(|mark| mark + 1 < first) {
                return Err(missing());
            }
            // It had passed what is deleted, but that was not saved in time.
            let wanted = wanted_before(files, oldest, consumer.number, consumer.born);
            consumer.passed = wanted.map_err(|problem| OpenError::Damaged { problem })?;
            consumer.cursor = oldest.newest_before;
        }
        let events = |one: &ConsumerEntry| self.ledger.newest - one.cursor;
        let behind = self
            .ledger
            .consumers
            .values()
            .filter(|one| one.wanted != one.passed);
        self.recovered.events = behind.map(events).max().unwrap_or(0);
        Ok(())
    }

    /// When the newest events were accepted.
    pub(super) fn newest_accepted(&self) -> Option<i64> {
        let accepted = self
            .segments
            .iter()
            .rev()
            .find_map(|segment| segment.accepted);
        accepted.map(|accepted| accepted.newest)
    }

    /// Reads the ids of the newest events again.
    fn read_recent_ids(
        &mut self,
        files: &dyn Files,
        settings: &DiskSettings,
    ) -> Result<(), OpenError> {
        let Some(newest) = self.newest_accepted() else {
            return Ok(());
        };
        let since = newest.saturating_sub(millis(RECENT));
        let mut bytes = RECENT_BYTES.min(settings.limits.max_bytes / 4);
        let first = self.ledger.newest.saturating_sub(RECENT_EVENTS) + 1;
        for (index, segment) in self.segments.iter().enumerate().rev() {
            let next = self.segments.get(index + 1);
            let newest = next.map_or(self.ledger.newest, |next| next.newest_before);
            let accepted = segment.accepted;
            let is_old = accepted.is_some_and(|accepted| accepted.newest < since);
            let is_head = index + 1 == self.segments.len();
            bytes = bytes.saturating_sub(segment.size);
            if newest < first || is_old || (bytes == 0 && !is_head) {
                break;
            }
            let mut ids = Vec::new();
            let file = open_file(files, segment.number)?;
            each_batch(files, &*file, segment, |mut entries| {
                for sequence in entries.first..entries.end() {
                    let entry = entries.next()?;
                    let (id, accepted_at) = (entry.own_id()?, entry.accepted_at()?);
                    if let Some(id) = id.filter(|_| sequence >= first && accepted_at >= since) {
                        let id = id.into();
                        ids.push(TakenId { id, accepted_at });
                    }
                }
                Ok(())
            })?;
            ids.append(&mut self.taken_ids);
            self.taken_ids = ids;
        }
        Ok(())
    }
}

/// The header of a segment, if there is one.
fn read_header(
    files: &dyn Files,
    file: &dyn File,
    number: u64,
) -> Result<Option<FileHeader>, OpenError> {
    let path = || files.path(&segment::name(number));
    let mut bytes = [0; FILE_HEADER];
    let read = file
        .read_at(&mut bytes, 0)
        .map_err(|error| io(path(), error))?;
    match FileHeader::parse(&bytes[..read]) {
        Ok(header) if header.number == number => Ok(Some(header)),
        Ok(_) | Err(HeaderError::Bad) => Ok(None),
        Err(HeaderError::Newer(found)) => Err(OpenError::Newer {
            path: path(),
            found,
        }),
    }
}

/// What a segment adds up to, and where it stops making sense.
struct ReadSegment {
    ledger: Ledger,
    end: u64,
    /// Up to here it was on the disk before the last of it was written.
    safe: u64,
}

fn read_segment(
    files: &dyn Files,
    file: &dyn File,
    number: u64,
    size: u64,
) -> Result<ReadSegment, OpenError> {
    let start = Place {
        segment: number,
        offset: FILE_HEADER as u64,
    };
    let what = "this does not follow from what stands before it";
    let spoilt = |offset| damaged(files, number, offset, what);
    let mut scanner = Scanner::new(file, start, size);
    let mut batch: Option<BatchSummary> = None;
    let mut read: Option<ReadSegment> = None;
    loop {
        let frame = match scanner.next() {
            Ok(Some(frame)) => frame,
            Ok(None) | Err(ScanError::Bad { .. }) => break,
            Err(ScanError::Io(error)) => {
                return Err(io(files.path(&segment::name(number)), error));
            }
        };
        let (offset, end, safe) = (frame.offset, frame.end, frame.safe);
        let Some(read) = &mut read else {
            let ledger = begin(&frame).map_err(|Malformed| spoilt(offset))?;
            read = Some(ReadSegment { ledger, end, safe });
            continue;
        };
        follow(&mut read.ledger, &mut batch, &frame).map_err(|Malformed| spoilt(offset))?;
        // A batch of which not all is there yet does not count.
        if batch.is_none() {
            (read.end, read.safe) = (end, safe);
        }
    }
    read.ok_or_else(|| spoilt(start.offset))
}

/// Makes sure that what was read is on the disk, for more will be built on it. After a failed sync
/// the system forgets that there was something to save, but still shows it: so it is written again.
fn secure(files: &dyn Files, file: &dyn File, range: Range<u64>) -> std::io::Result<()> {
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(usize::MAX)];
    let read = file.read_at(&mut bytes, range.start)?;
    file.write_at(&bytes[..read], range.start)?;
    file.sync()?;
    files.sync_names()
}

fn begin(frame: &Frame<'_>) -> Result<Ledger, Malformed> {
    match frame.kind {
        Kind::Snapshot => Ledger::of_snapshot(frame.payload),
        _ => Err(Malformed),
    }
}

fn follow(
    ledger: &mut Ledger,
    batch: &mut Option<BatchSummary>,
    frame: &Frame<'_>,
) -> Result<(), Malformed> {
    if frame.kind != Kind::Batch {
        if batch.is_some() {
            return Err(Malformed);
        }
        return ledger.apply(&Change::parse(frame.kind, frame.payload)?);
    }
    let entries = Entries::parse(frame.payload)?;
    let summary = batch.get_or_insert_with(|| BatchSummary {
        first: entries.first,
        ..BatchSummary::default()
    });
    if entries.first != summary.first + summary.events {
        return Err(Malformed);
    }
    let last = entries.last;
    summary.read(entries)?;
    match batch.take_if(|_| last) {
        Some(whole) => ledger.apply(&Change::Batch(whole)),
        None => Ok(()),
    }
}

/// Whether a file is what a crash leaves of a segment that was just being created.
fn is_unfinished(
    files: &dyn Files,
    file: &dyn File,
    number: u64,
    header: Option<&FileHeader>,
) -> Result<bool, OpenError> {
    let size = length(files, file, number)?;
    let start = Place {
        segment: number,
        offset: FILE_HEADER as u64,
    };
    let begun = match Scanner::new(file, start, size).next() {
        Ok(frame) => header.is_some() && frame.is_some(),
        Err(ScanError::Bad { .. }) => false,
        Err(ScanError::Io(error)) => return Err(io(files.path(&segment::name(number)), error)),
    };
    Ok(!begun && is_torn(files, file, number, 0..size)?)
}

/// Whether nothing in this range says that its beginning had been safe.
fn is_torn(
    files: &dyn Files,
    file: &dyn File,
    number: u64,
    range: Range<u64>,
) -> Result<bool, OpenError> {
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(usize::MAX)];
    let path = || files.path(&segment::name(number));
    let read = file
        .read_at(&mut bytes, range.start)
        .map_err(|error| io(path(), error))?;
    bytes.truncate(read);
    for start in 1..bytes.len().saturating_sub(FRAME_HEADER) {
        let place = Place {
            segment: number,
            offset: range.start + start as u64,
        };
        let later = Frame::parse(place, &bytes[start..]);
        if later.is_ok_and(|frame| frame.safe > range.start) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Calls `see` for the batches of a segment, frame by frame.
fn each_batch(
    files: &dyn Files,
    file: &dyn File,
    segment: &Segment,
    mut see: impl FnMut(Entries<'_>) -> Result<(), Malformed>,
) -> Result<(), OpenError> {
    let number = segment.number;
    let start = Place {
        segment: number,
        offset: FILE_HEADER as u64,
    };
    let what = "what stands here is not what was written";
    let mut scanner = Scanner::new(file, start, segment.end);
    loop {
        let frame = match scanner.next() {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(()),
            Err(ScanError::Bad { offset }) => return Err(damaged(files, number, offset, what)),
            Err(ScanError::Io(error)) => {
                return Err(io(files.path(&segment::name(number)), error));
            }
        };
        if frame.kind == Kind::Batch {
            let seen = Entries::parse(frame.payload).and_then(&mut see);
            seen.map_err(|Malformed| damaged(files, number, frame.offset, what))?;
        }
    }
}

fn open_file(files: &dyn Files, number: u64) -> Result<Box<dyn File>, OpenError> {
    let name = segment::name(number);
    files
        .open(&name)
        .map_err(|error| io(files.path(&name), error))
}

fn length(files: &dyn Files, file: &dyn File, number: u64) -> Result<u64, OpenError> {
    file.length()
        .map_err(|error| io(files.path(&segment::name(number)), error))
}

fn io(path: PathBuf, error: std::io::Error) -> OpenError {
    OpenError::Io { path, error }
}

fn damaged(files: &dyn Files, number: u64, offset: u64, what: &str) -> OpenError {
    let path = files.path(&segment::name(number));
    OpenError::Damaged {
        problem: segment::damaged(files, path, offset, what),
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
