//! What the running log knows, shared by those who append, read and settle and by its writer.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Semaphore, watch};

use super::consumer::Consumer;
use super::files::Files;
use super::frame::{FRAME_HEADER, Place};
use super::ledger::{Change, Count};
use super::segment::Segment;
use super::tail::Tail;
use super::{DiskSettings, entry};
use crate::receipt::Pending;
use crate::{Draft, Sequence, TakenId};

/// How many reads of the disk may be under way at once.
const READS: usize = 4;

/// The system's clock, or a test's: milliseconds since 1970.
pub(super) type Clock = Box<dyn Fn() -> i64 + Send + Sync>;

/// The log, as all its users share it.
pub(super) struct Shared {
    pub(super) files: Box<dyn Files>,
    pub(super) clock: Clock,
    pub(super) settings: DiskSettings,
    state: Mutex<State>,
    /// Wakes the writer.
    pub(super) wake: Condvar,
    pub(super) appended: watch::Sender<Sequence>,
    pub(super) room: watch::Sender<u64>,
    /// Changes when there is less to be written, or when nothing will be any more.
    pub(super) drained: watch::Sender<()>,
    pub(super) reads: Semaphore,
    /// Keeps other processes out of the directory until the last of us is done with it.
    _lock: Option<Arc<File>>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The newest record that was taken.
    pub(super) taken: Sequence,
    /// The newest record that can be read.
    pub(super) newest: Sequence,
    /// All events ever that were for all routes, up to the newest that was taken.
    pub(super) for_all: Count,
    pub(super) consumers: BTreeMap<u32, Consumer>,
    pub(super) next_consumer: u32,
    pub(super) source_states: BTreeMap<Arc<str>, Bytes>,
    pub(super) segments: VecDeque<Segment>,
    pub(super) tail: Tail,
    /// What the writer is to write.
    pub(super) queue: VecDeque<Item>,
    /// The bytes of everything that is not safe yet.
    pub(super) unsafe_bytes: u64,
    /// The bytes of what is not in a file yet.
    pub(super) unwritten_bytes: u64,
    /// What the beginning of a new segment takes.
    pub(super) base: u64,
    /// Events settled since cursors were saved.
    pub(super) moved: u64,
    /// Why nothing can be written now.
    pub(super) problem: Option<Arc<str>>,
    /// Somebody waits until less is unsafe.
    pub(super) hurried: bool,
    pub(super) closing: bool,
    /// Where each reader will probably go on: a frame and its first record.
    pub(super) places: BTreeMap<Reader, (Place, Sequence)>,
    pub(super) taken_ids: Vec<TakenId>,
}

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reader {
    Consumer(u32),
    /// Somebody who asks for what was sent before.
    Again,
}

/// A change on its way to the disk.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) change: Change,
    /// The payloads of its frames.
    pub(super) parts: Vec<Vec<u8>>,
    /// The events of a batch, until they can be read.
    pub(super) drafts: Vec<Draft>,
    /// Settles when it is safe.
    pub(super) pending: Option<Arc<Pending>>,
}

impl Item {
    pub(super) fn of(change: Change) -> Item {
        Item {
            parts: vec![change.payload()],
            change,
            drafts: Vec::new(),
            pending: None,
        }
    }

    /// What it takes in a file.
    pub(super) fn bytes(&self) -> u64 {
        bytes(&self.parts)
    }

    pub(super) fn number(&mut self, first: Sequence) {
        entry::number(&mut self.parts, first);
    }
}

/// What frames with these payloads take in a file.
pub(super) fn bytes(parts: &[Vec<u8>]) -> u64 {
    parts
        .iter()
        .map(|part| (FRAME_HEADER + part.len()) as u64)
        .sum()
}

impl Shared {
    pub(super) fn new(
        files: Box<dyn Files>,
        clock: Clock,
        settings: DiskSettings,
        lock: Option<Arc<File>>,
        state: State,
    ) -> Shared {
        Shared {
            files,
            clock,
            settings,
            wake: Condvar::new(),
            appended: watch::Sender::new(state.newest),
            room: watch::Sender::new(0),
            drained: watch::Sender::new(()),
            reads: Semaphore::new(READS),
            state: Mutex::new(state),
            _lock: lock,
        }
    }

    /// The state stays whole between statements, so a panic elsewhere does not spoil it.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn announce_room(&self) {
        self.room
            .send_modify(|changes| *changes = changes.wrapping_add(1));
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Disk")
            .field("directory", &self.files.directory())
            .finish_non_exhaustive()
    }
}

impl State {
    /// Hands a change to the writer.
    pub(super) fn submit(&mut self, item: Item) {
        self.unsafe_bytes += item.bytes();
        self.unwritten_bytes += item.bytes();
        self.queue.push_back(item);
    }

    /// The consumer of this number, if it was not forgotten.
    pub(super) fn consumer(&mut self, number: u32) -> Option<&mut Consumer> {
        self.consumers.get_mut(&number).filter(|one| !one.forgotten)
    }

    /// The consumers that are not forgotten.
    pub(super) fn known(&self) -> impl Iterator<Item = &Consumer> {
        self.consumers.values().filter(|one| !one.forgotten)
    }

    /// Nobody wants anything up to here.
    pub(super) fn passed_by_all(&self) -> Sequence {
        let cursors = self.known().map(|consumer| consumer.cursor(self.newest));
        cursors.min().unwrap_or(self.newest)
    }

    /// Whether everybody has passed the oldest segment, and it is not the one that is written.
    pub(super) fn is_oldest_passed(&self) -> bool {
        self.segments.len() > 1 && self.newest_in(0) <= self.passed_by_all()
    }

    /// Takes the oldest segment out of the list, if everybody has passed it.
    pub(super) fn take_passed(&mut self) -> Option<Segment> {
        if self.is_oldest_passed() {
            self.segments.pop_front()
        } else {
            None
        }
    }

    /// Where in the list the segment is that holds this record, or would.
    pub(super) fn segment_of(&self, sequence: Sequence) -> Option<usize> {
        let after = |segment: &Segment| segment.newest_before < sequence;
        self.segments.partition_point(after).checked_sub(1)
    }

    /// The newest record of the segment at this place in the list.
    pub(super) fn newest_in(&self, index: usize) -> Sequence {
        let next = self.segments.get(index + 1);
        next.map_or(self.newest, |next| next.newest_before)
    }

    /// What all files take.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum()
    }
}
