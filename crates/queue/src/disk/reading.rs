//! Reading: the newest records from memory, older ones from the files, in slices.
//!
//! A reader goes on where it stopped, so where that is in the files is remembered for each. What a
//! consumer is given is noted, which makes its lag exact when it settles.

use std::io;
use std::sync::Arc;

use super::codec::Malformed;
use super::consumer::Given;
use super::entry::{Entries, Entry};
use super::frame::{Kind, Place, ScanError, Scanner};
use super::segment::{self, FILE_HEADER, damaged};
use super::state::{Reader, Shared, State};
use crate::{ConsumerId, ReadError, Record, Sequence, Slice, Span, Target};

/// How much is looked through in one go for a reader that wants none of it.
const LOOK_THROUGH: u64 = 32 << 20;

/// What a reader asks for.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) wants: Wants,
    pub(super) from: Sequence,
    pub(super) max_events: usize,
    pub(super) max_bytes: u64,
}

/// Which records a reader wants.
#[derive(Debug, Clone)]
pub(super) enum Wants {
    /// Those of one consumer.
    Consumer {
        number: u32,
        /// Up to here it wants all that are for all routes.
        born: Sequence,
        /// Wanted, but settled already; in order.
        settled: Vec<Sequence>,
    },
    /// Those that were accepted within a span, for all routes.
    Span(Span),
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) slice: Slice,
    /// What the reader wants of it, settled or not.
    pub(super) given: Vec<Given>,
    /// Where to go on, and the first record there.
    place: Option<(Place, Sequence)>,
    bytes: u64,
}

impl Wish {
    fn reader(&self) -> Reader {
        match &self.wants {
            Wants::Consumer { number, .. } => Reader::Consumer(*number),
            Wants::Span(_) => Reader::Again,
        }
    }

    fn is_settled(&self, sequence: Sequence) -> bool {
        match &self.wants {
            Wants::Consumer { settled, .. } => settled.binary_search(&sequence).is_ok(),
            Wants::Span(_) => false,
        }
    }

    fn wants(&self, sequence: Sequence, entry: &Entry<'_>) -> Result<bool, Malformed> {
        Ok(match &self.wants {
            Wants::Consumer { born, .. } if sequence <= *born => entry.is_for_all(),
            Wants::Consumer { number, .. } => entry.wanted().any(|wanted| wanted.0 == *number),
            Wants::Span(span) => {
                entry.is_for_all() && (span.from..=span.to).contains(&entry.accepted_at()?)
            }
        })
    }

    fn wants_recent(&self, record: &Record, wanted: &[ConsumerId]) -> bool {
        let is_for_all = record.header.target == Target::AllRoutes;
        match &self.wants {
            Wants::Consumer { born, .. } if record.sequence <= *born => is_for_all,
            Wants::Consumer { number, .. } => wanted.contains(&ConsumerId(*number)),
            Wants::Span(span) => {
                is_for_all && (span.from..=span.to).contains(&record.header.accepted_at)
            }
        }
    }
}

impl Found {
    fn starting_at(from: Sequence) -> Found {
        let mut found = Found::default();
        found.slice.next = from;
        found
    }

    /// Whether a record of this cost is too much after what there is.
    fn is_full(&self, cost: u64, wish: &Wish) -> bool {
        let records = self.slice.records.len();
        records > 0 && (records >= wish.max_events || self.bytes + cost > wish.max_bytes)
    }

    fn take(&mut self, record: Arc<Record>, wish: &Wish) {
        let (sequence, accepted_at) = (record.sequence, record.header.accepted_at);
        let size = crate::record::size(&record.header, &record.body);
        self.given.push(Given::new(sequence, size, accepted_at));
        if !wish.is_settled(sequence) {
            self.bytes += record.cost();
            self.slice.records.push(record);
        }
    }
}

impl State {
    /// What this consumer asks for, if it is not forgotten.
    pub(super) fn wish(
        &mut self,
        number: u32,
        from: Sequence,
        max_events: usize,
        max_bytes: u64,
    ) -> Option<Wish> {
        let newest = self.newest;
        let consumer = self.consumer(number)?;
        // What comes before the cursor is settled.
        let from = from.max(consumer.cursor(newest) + 1);
        let wants = Wants::Consumer {
            number,
            born: consumer.born,
            settled: consumer.settled_from(from),
        };
        Some(Wish {
            wants,
            from,
            max_events,
            max_bytes,
        })
    }

    /// Reads from memory, if everything from there on is in it.
    pub(super) fn read_recent(&self, wish: &Wish) -> Option<Found> {
        let mut found = Found::starting_at(wish.from.max(self.newest + 1));
        if wish.from > self.newest {
            return Some(found);
        }
        for recent in self.tail.from(wish.from)? {
            let record = &recent.record;
            if !wish.wants_recent(record, &recent.wanted) {
                continue;
            }
            if found.is_full(record.cost(), wish) {
                found.slice.next = record.sequence;
                break;
            }
            found.take(Arc::clone(record), wish);
        }
        Some(found)
    }

    /// Notes what a consumer was given, and where a reader goes on.
    pub(super) fn note(&mut self, wish: &Wish, found: &Found) {
        match found.place {
            Some(place) => self.places.insert(wish.reader(), place),
            None => self.places.remove(&wish.reader()),
        };
        if let Wants::Consumer { number, .. } = wish.wants
            && let Some(consumer) = self.consumer(number)
        {
            consumer.give(&found.given, wish.from, found.slice.next - 1);
        }
    }

    /// Where to begin to read: a place in a segment, and where that ends.
    fn start(&self, wish: &Wish) -> Option<(Place, u64, Sequence)> {
        let index = self.segment_of(wish.from).unwrap_or(0);
        let segment = self.segments.get(index)?;
        let mut place = Place {
            segment: segment.number,
            offset: FILE_HEADER as u64,
        };
        if let Some((known, first)) = self.places.get(&wish.reader())
            && known.segment == segment.number
            && known.offset <= segment.end
            && *first <= wish.from
        {
            place = *known;
        }
        Some((place, segment.end, segment.newest_before + 1))
    }

    /// Where to go on behind this place: there may be more in the segment by now, else in the next
    /// one that may hold what is wished for.
    fn following(&self, place: Place, wish: &Wish) -> Option<(Place, u64, Sequence)> {
        let number = place.segment;
        let mut segments = self.segments.iter();
        let grown = segments.find(|one| one.number == number && one.end > place.offset);
        if let Some(segment) = grown {
            return Some((place, segment.end, segment.newest_before + 1));
        }
        let may_hold = |segment: &&segment::Segment| match &wish.wants {
            Wants::Consumer { .. } => true,
            Wants::Span(span) => segment
                .accepted
                .is_none_or(|accepted| accepted.newest >= span.from && accepted.oldest <= span.to),
        };
        let mut later = self
            .segments
            .iter()
            .filter(|segment| segment.number > number);
        let segment = later.find(may_hold)?;
        let place = Place {
            segment: segment.number,
            offset: FILE_HEADER as u64,
        };
        Some((place, segment.end, segment.newest_before + 1))
    }
}

impl Shared {
    /// Reads from the files. Blocks.
    pub(super) fn read_files(&self, wish: &Wish) -> Result<Found, ReadError> {
        let mut found = Found::starting_at(wish.from);
        let mut looked_through = 0;
        let mut next = self.state().start(wish);
        while let Some((place, end, first)) = next {
            found.slice.next = found.slice.next.max(first);
            match self.read_segment(wish, place, end, &mut found) {
                Ok(Stopped::AtTheEnd) => {}
                Ok(Stopped::Full) => break,
                Err(ReadError::Storage(error)) if error.kind() == io::ErrorKind::NotFound => {
                    // It may have been deleted since, because nobody needs it any more.
                    let state = self.state();
                    let mut segments = state.segments.iter();
                    if segments.any(|segment| segment.number == place.segment) {
                        return Err(ReadError::Storage(error));
                    }
                }
                Err(error) => return Err(error),
            }
            looked_through += end - place.offset;
            let offset = end;
            next = self.state().following(Place { offset, ..place }, wish);
            if looked_through >= LOOK_THROUGH {
                break;
            }
        }
        Ok(found)
    }

    fn read_segment(
        &self,
        wish: &Wish,
        place: Place,
        end: u64,
        found: &mut Found,
    ) -> Result<Stopped, ReadError> {
        let path = self.files.path(&segment::name(place.segment));
        let failed = |error: io::Error| {
            let text = format!("{}: {error}", path.display());
            ReadError::Storage(io::Error::new(error.kind(), text))
        };
        let spoilt = |offset| ReadError::Damaged {
            problem: damaged(
                &*self.files,
                path.clone(),
                offset,
                "this is not what was written",
            )
            .into(),
        };
        let file = self
            .files
            .open(&segment::name(place.segment))
            .map_err(failed)?;
        let mut scanner = Scanner::new(&*file, place, end);
        let mut source = None;
        loop {
            let frame = match scanner.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(Stopped::AtTheEnd),
                Err(ScanError::Io(error)) => return Err(failed(error)),
                Err(ScanError::Bad { offset }) => return Err(spoilt(offset)),
            };
            if frame.kind != Kind::Batch {
                continue;
            }
            let (offset, after) = (frame.offset, frame.end);
            let at = |offset| Place { offset, ..place };
            let entries = Entries::parse(frame.payload).map_err(|Malformed| spoilt(offset))?;
            let (first, next) = (entries.first, entries.end());
            if next <= found.slice.next {
                continue;
            }
            let whole = take(entries, wish, found, &mut source);
            if whole.map_err(|Malformed| spoilt(offset))? {
                found.slice.next = next;
                found.place = Some((at(after), next));
            } else {
                found.place = Some((at(offset), first));
                return Ok(Stopped::Full);
            }
        }
    }
}

/// Why reading a segment stopped.
enum Stopped {
    AtTheEnd,
    /// There is as much as was asked for.
    Full,
}

/// Takes what is wished for from one frame. Returns whether there was room for all of that.
fn take(
    mut entries: Entries<'_>,
    wish: &Wish,
    found: &mut Found,
    source: &mut Option<Arc<str>>,
) -> Result<bool, Malformed> {
    for sequence in entries.first..entries.end() {
        let entry = entries.next()?;
        // What a failed sync left in one segment stands in the next one again.
        if sequence < found.slice.next || !wish.wants(sequence, &entry)? {
            continue;
        }
        let cost = entry.count()?.lag().bytes;
        if found.is_full(cost, wish) {
            found.slice.next = sequence;
            return Ok(false);
        }
        found.take(Arc::new(entry.record(sequence, source)?), wish);
    }
    Ok(true)
}
