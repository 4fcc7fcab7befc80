//! How the writer brings what it holds into files: at the end of the head while it has room, else
//! at the beginning of a new segment.

use std::time::Instant;

use super::Sync;
use super::frame::{FRAME_HEADER, Kind, Place, put_frame};
use super::ledger::{Accepted, Change};
use super::segment::{self, FILE_HEADER, FileHeader, Segment};
use super::state::Item;
use super::writer::{Head, Problem, SYNC_CURSORS_AFTER, Writer};

/// After so many bytes the free space is looked at again.
pub(super) const CHECK_SPACE: u64 = 4 << 20;

/// A buffer larger than this is not kept.
const BUFFER: usize = 1 << 20;

impl Writer {
    /// Writes everything that is held, and makes it safe as the mode says.
    pub(super) fn write(&mut self) -> Result<(), Problem> {
        while self.written < self.held.len() {
            let mut count = self.fitting();
            let step = self.held.range(self.written..).take(count.max(1));
            // Routes that are not at work yet lose nothing to what is no event.
            let is_full = step.clone().any(is_batch) && {
                let bytes = step.map(Item::bytes).sum();
                self.make_room(bytes)?
            };
            if is_full {
                // The room is made by giving the head away.
                count = 0;
            }
            if count == 0 {
                self.roll()?;
            } else {
                self.extend(count)?;
            }
        }
        Ok(())
    }

    /// How many of the unwritten items go into the head.
    pub(super) fn fitting(&self) -> usize {
        let Some(head) = self.head.as_ref().filter(|head| head.usable) else {
            return 0;
        };
        let room = self.segment_size().saturating_sub(head.end);
        self.up_to(room)
    }

    /// How many of the unwritten items take no more than this.
    fn up_to(&self, mut room: u64) -> usize {
        let mut count = 0;
        for item in self.held.range(self.written..) {
            let Some(left) = room.checked_sub(item.bytes()) else {
                break;
            };
            room = left;
            count += 1;
        }
        count
    }

    /// After so many bytes a segment is followed by the next one; its beginning is a small part.
    fn segment_size(&self) -> u64 {
        let base = self.shared.state().base;
        self.shared.settings.segment_size().max(4 * base)
    }

    /// Writes so many items to the end of the head.
    pub(super) fn extend(&mut self, count: usize) -> Result<(), Problem> {
        let count = self.affordable(count)?;
        let Some(head) = &self.head else {
            return Ok(());
        };
        let (number, end, safe) = (head.number, head.end, head.safe);
        self.buffer.clear();
        let items = self.held.range(self.written..self.written + count);
        put_items(
            &mut self.buffer,
            items,
            Place {
                segment: number,
                offset: end,
            },
            safe,
        );
        if let Err(error) = head.file.write_at(&self.buffer, end) {
            // Nobody knows what stands there now, so nothing may follow it.
            self.leave_head();
            return Err(self.problem(number, &error));
        }
        let length = self.buffer.len() as u64;
        self.buffer.shrink_to(BUFFER);
        self.unchecked += length;
        if let Some(head) = &mut self.head {
            head.end += length;
        }
        self.written += count;
        self.has_written = true;
        let mut state = self.shared.state();
        state.unwritten_bytes -= length;
        if let Some(segment) = state.segments.back_mut() {
            segment.size = end + length;
        }
        drop(state);
        self.settle_written()
    }

    /// Makes what was just written safe, or sees to it that it will be.
    fn settle_written(&mut self) -> Result<(), Problem> {
        let is_cursors = |item: &Item| matches!(item.change, Change::Cursors(_));
        let only_cursors = self.held.range(..self.written).all(is_cursors);
        let now = Instant::now();
        if !only_cursors {
            self.last_batch = now;
        }
        match self.shared.settings.sync {
            Sync::Always if !only_cursors => self.sync(),
            Sync::Always => {
                self.sync_by.get_or_insert(now + SYNC_CURSORS_AFTER);
                Ok(())
            }
            Sync::Interval(interval) => {
                self.sync_by.get_or_insert(now + interval);
                self.publish();
                Ok(())
            }
            Sync::Never => {
                self.publish();
                Ok(())
            }
        }
    }

    /// Begins a new segment with as much of what is held as it takes, all in one step.
    pub(super) fn roll(&mut self) -> Result<(), Problem> {
        // Opening reads old segments only when it must: they have to be whole before there is a
        // newer one.
        self.sync()?;
        let previous = self.head.as_ref().map(|head| head.number);
        let header = FileHeader {
            number: previous.map_or(1, |number| number + 1),
            newest: self.ledger.newest,
            previous_end: self.head.as_ref().map_or(0, |head| head.end),
            previous_accepted: self.ledger.accepted,
            for_all: self.ledger.for_all,
        };
        let snapshot = self.ledger.snapshot();
        let base = (FILE_HEADER + FRAME_HEADER + snapshot.len()) as u64;
        let room = self.shared.settings.segment_size().max(4 * base) - base;
        let count = self.up_to(room).max(1).min(self.held.len());
        self.unchecked = CHECK_SPACE;
        let count = self.affordable(count)?;
        let mut bytes = header.encode();
        let start = Place {
            segment: header.number,
            offset: FILE_HEADER as u64,
        };
        put_frame(&mut bytes, start, 0, Kind::Snapshot, &snapshot);
        let place = Place {
            offset: base,
            ..start
        };
        put_items(&mut bytes, self.held.range(..count), place, 0);
        let made = self.begin_marks(header.number);
        let file = match made.and_then(|()| self.make(header.number, &bytes)) {
            Ok(file) => file,
            Err(problem) => {
                // It may be found after a crash, and says where the head ends.
                self.leave_head();
                return Err(problem);
            }
        };
        let end = bytes.len() as u64;
        self.unchecked += end;
        self.head = Some(Head {
            file,
            number: header.number,
            end,
            safe: end,
            usable: true,
        });
        self.written = count;
        self.has_written = true;
        self.begin_segment(&header, base, end);
        self.commit()
    }

    /// Makes the mark of what everybody has passed, so that later it has only to be renamed.
    fn begin_marks(&mut self, number: u64) -> Result<(), Problem> {
        if self.mark.is_none() {
            let made = self.shared.files.create(&segment::mark(0));
            made.map_err(|error| self.problem(number, &error))?;
            self.mark = Some(0);
        }
        Ok(())
    }

    /// Creates a segment's file with these bytes, or leaves nothing behind if it can.
    fn make(&self, number: u64, bytes: &[u8]) -> Result<Box<dyn super::files::File>, Problem> {
        let (files, name) = (&self.shared.files, segment::name(number));
        let file = files
            .create(&name)
            .map_err(|error| self.problem(number, &error))?;
        // The header comes last: without it nothing that follows counts, however much is there.
        let (header, rest) = bytes.split_at(FILE_HEADER);
        let written = file
            .write_at(rest, FILE_HEADER as u64)
            .and_then(|()| file.write_at(header, 0))
            .and_then(|()| file.sync())
            .and_then(|()| files.sync_names());
        if let Err(error) = written {
            // If it stays, it is written anew next time: nobody has used it.
            let removed = files.remove(&name);
            tracing::debug!(?removed, name, "a segment could not be begun");
            return Err(self.problem(number, &error));
        }
        Ok(file)
    }

    /// Sees to it that nothing more is written to the head.
    fn leave_head(&mut self) {
        if let Some(head) = &mut self.head {
            head.usable = false;
        }
    }

    fn begin_segment(&mut self, header: &FileHeader, base: u64, end: u64) {
        self.ledger.accepted = None;
        let mut state = self.shared.state();
        if let Some(previous) = state.segments.back_mut() {
            previous.end = header.previous_end;
            previous.accepted = header.previous_accepted;
        }
        state.base = base;
        state.unwritten_bytes -= end - base;
        state.segments.push_back(Segment {
            number: header.number,
            newest_before: header.newest,
            end: base,
            size: end,
            accepted: None::<Accepted>,
            for_all_before: header.for_all,
        });
    }

    /// How many of the next `count` items may be written. The space is kept free that others need;
    /// what is no event takes next to none, and is always written.
    fn affordable(&mut self, count: usize) -> Result<usize, Problem> {
        let new = self.held.range(self.written..).take(count);
        let Some(leading) = new.clone().position(is_batch) else {
            return Ok(count);
        };
        if self.unchecked < CHECK_SPACE {
            return Ok(count);
        }
        let bytes = new.map(Item::bytes).sum();
        match self.find_space(bytes) {
            Ok(()) => {
                self.unchecked = 0;
                Ok(count)
            }
            Err(_) if leading > 0 => Ok(leading),
            Err(problem) => Err(problem),
        }
    }

    /// Sees to it that so many bytes can be written, giving up what everybody has passed.
    fn find_space(&mut self, bytes: u64) -> Result<(), Problem> {
        let reserve = self.shared.settings.reserve_free;
        loop {
            let files = &self.shared.files;
            let directory = files.directory().display();
            let free = files.free_space().map_err(|error| {
                Problem::from(format!(
                    "{directory}: the free space cannot be told: {error}"
                ))
            })?;
            if free >= reserve.saturating_add(bytes) {
                return Ok(());
            }
            if !self.shared.state().is_oldest_passed() {
                return Err(format!(
                    "{directory}: only {free} bytes are free on this file system, and {reserve} of \
                     them are to stay free (kete.queue.reserve-free); free some space or lower that"
                )
                .into());
            }
            self.delete_oldest()?;
        }
    }
}

fn is_batch(item: &Item) -> bool {
    matches!(item.change, Change::Batch(_))
}

/// Appends the frames of these items, which will stand at `place`.
fn put_items<'i>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = &'i Item>,
    mut place: Place,
    safe: u64,
) {
    for item in items {
        for part in &item.parts {
            let before = out.len();
            put_frame(out, place, safe, item.change.kind(), part);
            place.offset += (out.len() - before) as u64;
        }
    }
}
