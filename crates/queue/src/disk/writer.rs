//! The one thread that writes: it takes everything that waits, writes it in one step and makes it
//! durable in one step, so that all who append at the same time share a sync.
//!
//! What is not safe yet is held here. After a failed write or sync the end of the file is not
//! trusted any more: everything that is held goes into a new segment, which says how much of the
//! old one counts. Nobody is told that something is safe, or can read it ahead of that, unless it is
//! so according to the chosen [`Sync`].

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{error, info};

use super::Sync;
use super::files::File;
use super::ledger::{Accepted, Change, Ledger};
use super::state::{Item, Shared, State};
use crate::{CloseError, Sequence};

/// Cursors that moved are saved after this time, or after so many settled events.
const SAVE_AFTER: Duration = Duration::from_millis(100);
pub(super) const SAVE_EVENTS: u64 = 4096;

/// Saved cursors that no batch made durable are made so after this time.
pub(super) const SYNC_CURSORS_AFTER: Duration = Duration::from_secs(1);

/// How long it waits after a failure before it tries again.
const RETRY_AFTER: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 1000 });

/// More than this is not left unsynced, whatever the mode: until then it is held in memory, so that
/// it can be written again elsewhere if the sync fails. Less than may be held in all, so that nobody
/// waits for the next sync.
const UNSYNCED: u64 = 1 << 20;

/// Why something cannot be written, for a person: the file, what the system said, the way out.
pub(super) type Problem = Arc<str>;

/// What is said of what cannot be.
pub(super) const BOOKS: &str = "the books of the queue do not add up, a bug in kete; restart it";

/// How long kete had not run when the log was opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slept {
    /// When the newest event was accepted before that.
    pub(super) since: i64,
    pub(super) millis: i64,
}

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    /// The sum of what is safe.
    pub(super) ledger: Ledger,
    pub(super) head: Option<Head>,
    /// What was taken and is not safe yet, oldest first.
    pub(super) held: VecDeque<Item>,
    /// How many of those stand in the head already.
    pub(super) written: usize,
    /// How many of those can be read already; more than stand in the head after a failure.
    pub(super) published: usize,
    /// How many of those the head's segment is known to hold.
    noted: usize,
    /// Bytes written since the free space was looked at.
    pub(super) unchecked: u64,
    /// The frames that are being written.
    pub(super) buffer: Vec<u8>,
    /// When the next segment may be due to go, or the head to be closed.
    pub(super) look_at: Option<Instant>,
    pub(super) last_batch: Instant,
    last_save: Instant,
    pub(super) sync_by: Option<Instant>,
    retry_at: Option<Instant>,
    pub(super) slept: Slept,
    /// The last segment that is marked as passed.
    pub(super) mark: Option<u64>,
    /// Whether anything was written since the log was opened.
    pub(super) has_written: bool,
    /// Whether a segment could not be deleted, which was said.
    pub(super) undeletable: bool,
}

/// The segment that is written.
pub(super) struct Head {
    pub(super) file: Box<dyn File>,
    pub(super) number: u64,
    /// Where the next frame goes.
    pub(super) end: u64,
    /// Up to here it is on the disk.
    pub(super) safe: u64,
    /// Whether more can be written to it.
    pub(super) usable: bool,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        ledger: Ledger,
        head: Option<Head>,
        mark: Option<u64>,
        slept: Slept,
    ) -> Writer {
        let now = Instant::now();
        Writer {
            shared,
            ledger,
            head,
            held: VecDeque::new(),
            written: 0,
            published: 0,
            noted: 0,
            unchecked: super::extend::CHECK_SPACE,
            buffer: Vec::new(),
            look_at: Some(now),
            last_batch: now,
            last_save: now,
            sync_by: None,
            retry_at: None,
            slept,
            mark,
            has_written: false,
            undeletable: false,
        }
    }

    /// Writes until the log is closed.
    pub(super) fn run(mut self) -> Result<(), CloseError> {
        loop {
            let closing = self.wait();
            if closing {
                return self.finish().map_err(|problem| CloseError {
                    problem: problem.to_string(),
                });
            }
            match self.turn() {
                Ok(()) => self.succeeded(),
                Err(problem) => self.failed(problem),
            }
            self.shared.drained.send_replace(());
        }
    }

    /// Waits until there is something to do, and takes it. Returns whether the log is closed.
    fn wait(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        loop {
            let deadline = self.deadline(&state);
            let now = Instant::now();
            let left = deadline.map(|at| at.saturating_duration_since(now));
            state = match left {
                _ if state.closing => break,
                Some(Duration::ZERO) => break,
                Some(left) => {
                    let waited = shared.wake.wait_timeout(state, left);
                    waited.unwrap_or_else(std::sync::PoisonError::into_inner).0
                }
                None => {
                    let waited = shared.wake.wait(state);
                    waited.unwrap_or_else(std::sync::PoisonError::into_inner)
                }
            };
        }
        self.held.extend(state.queue.drain(..));
        state.closing
    }

    /// When there is something to do next.
    fn deadline(&self, state: &State) -> Option<Instant> {
        if self.retry_at.is_some() {
            return self.retry_at;
        }
        if !state.queue.is_empty() || state.hurried {
            return Some(self.last_save);
        }
        let save_at = match state.moved {
            0 => None,
            SAVE_EVENTS.. => Some(self.last_save),
            _ => Some(self.last_save + SAVE_AFTER),
        };
        let deadlines = [save_at, self.sync_by, self.look_at];
        deadlines.into_iter().flatten().min()
    }

    /// Does all that is due.
    fn turn(&mut self) -> Result<(), Problem> {
        let now = Instant::now();
        self.reclaim()?;
        let moved = self.shared.state().moved;
        let due = now >= self.last_save + SAVE_AFTER || moved >= SAVE_EVENTS;
        if moved > 0 && due {
            self.collect_cursors(false);
        }
        self.write()?;
        let hurried = std::mem::take(&mut self.shared.state().hurried);
        if hurried || self.sync_by.is_some_and(|by| now >= by) || self.holds_much() {
            self.sync()?;
        }
        Ok(())
    }

    /// Writes everything that is left, and the last cursors, even if there is no room for events.
    fn finish(&mut self) -> Result<(), Problem> {
        let written = self.write_safely();
        // Only now every consumer is known, and everything can have been passed. Even if nothing
        // moved this is written, for it says that everything before it was safe: so damage to the
        // end of a log that was closed is not taken for the work of a crash.
        self.collect_cursors(self.has_written);
        let saved = self.write_safely();
        written.and(saved)
    }

    fn write_safely(&mut self) -> Result<(), Problem> {
        let written = self.write();
        let synced = self.sync();
        written.and(synced)
    }

    fn holds_much(&self) -> bool {
        let unsynced = self.head.as_ref().map_or(0, |head| head.end - head.safe);
        self.written > 0 && unsynced >= UNSYNCED
    }

    /// Takes the cursors that moved, to be written behind what they may have passed.
    fn collect_cursors(&mut self, even_if_none: bool) {
        self.last_save = Instant::now();
        let mut state = self.shared.state();
        state.moved = 0;
        let newest = state.newest;
        let stored = state
            .consumers
            .values_mut()
            .filter(|one| one.stored && !one.forgotten);
        let mut cursors = Vec::new();
        for consumer in stored {
            let position = consumer.position(newest);
            if position.cursor != consumer.written {
                consumer.written = position.cursor;
                cursors.push(position);
            }
        }
        if cursors.is_empty() && !even_if_none {
            return;
        }
        let item = Item::of(Change::Cursors(cursors));
        state.unsafe_bytes += item.bytes();
        state.unwritten_bytes += item.bytes();
        drop(state);
        self.held.insert(self.written.max(self.published), item);
    }

    /// Makes everything that was written safe.
    pub(super) fn sync(&mut self) -> Result<(), Problem> {
        self.sync_by = None;
        let Some(head) = &mut self.head else {
            return Ok(());
        };
        if head.safe < head.end {
            if let Err(error) = head.file.sync() {
                let number = head.number;
                self.distrust_head();
                return Err(self.problem(number, &error));
            }
            head.safe = head.end;
        }
        self.commit()
    }

    /// Only what had been safe before counts of the head: all that is held is to be written again
    /// elsewhere, for nobody knows what a failed sync leaves on the disk.
    fn distrust_head(&mut self) {
        let Some(head) = &mut self.head else {
            return;
        };
        head.usable = false;
        head.end = head.safe;
        let trusted = head.safe;
        (self.written, self.noted) = (0, 0);
        self.sync_by = None;
        let mut state = self.shared.state();
        state.unwritten_bytes = state.unsafe_bytes;
        if let Some(segment) = state.segments.back_mut() {
            segment.end = trusted;
        }
    }

    /// Everything that stands in the head is safe: the ledger takes it, receipts settle.
    pub(super) fn commit(&mut self) -> Result<(), Problem> {
        self.publish();
        let committed: Vec<Item> = self.held.drain(..self.written).collect();
        self.published -= self.written;
        (self.written, self.noted) = (0, 0);
        let mut state = self.shared.state();
        for item in &committed {
            if self.ledger.apply(&item.change).is_err() {
                debug_assert!(false, "the writer wrote {:?}", item.change);
                return Err(BOOKS.into());
            }
            state.unsafe_bytes -= item.bytes();
        }
        drop(state);
        for item in committed {
            if let Some(pending) = item.pending {
                pending.settle_one();
            }
        }
        Ok(())
    }

    /// Lets everybody read what stands in the head; with [`Sync::Never`], that is all there is to
    /// wait for.
    pub(super) fn publish(&mut self) {
        let (Some(head), mut state) = (&self.head, self.shared.state()) else {
            return;
        };
        self.published = self.published.max(self.written);
        let before = state.newest;
        let mut accepted = None;
        let never = self.shared.settings.sync == Sync::Never;
        let mut safe_enough = Vec::new();
        for item in self.held.range_mut(self.noted..self.written) {
            if never {
                safe_enough.extend(item.pending.take());
            }
            match &item.change {
                Change::Batch(batch) => {
                    for (sequence, draft) in (batch.first..).zip(item.drafts.drain(..)) {
                        state.tail.push(sequence, draft);
                        state.newest = sequence;
                    }
                    accepted = Accepted::join(accepted, batch.accepted);
                }
                Change::Added(entry) => {
                    if let Some(consumer) = state.consumers.get_mut(&entry.number) {
                        consumer.stored = true;
                    }
                }
                _ => {}
            }
        }
        if let Some(segment) = state.segments.back_mut() {
            segment.end = head.end;
            segment.accepted = Accepted::join(segment.accepted, accepted);
        }
        let newest: Sequence = state.newest;
        drop(state);
        self.noted = self.written;
        for pending in safe_enough {
            pending.settle_one();
        }
        if newest > before {
            self.shared.appended.send_replace(newest);
        }
    }

    // === failures ===

    fn succeeded(&mut self) {
        self.retry_at = None;
        let Some(problem) = self.shared.state().problem.take() else {
            return;
        };
        info!(%problem, "the queue can be written again");
        self.shared.announce_room();
        let newest = self.shared.state().newest;
        self.shared.appended.send_replace(newest);
    }

    fn failed(&mut self, problem: Problem) {
        self.retry_at = Some(Instant::now() + RETRY_AFTER);
        self.drop_unwritten_cursors();
        let mut state = self.shared.state();
        let before = state.problem.replace(Arc::clone(&problem));
        drop(state);
        // Once is enough, though numbers in it change.
        if before.is_none() {
            error!(%problem, "the queue cannot be written; intake waits");
        }
    }

    /// They will be newer when it works again.
    fn drop_unwritten_cursors(&mut self) {
        let (before, unwritten) = (self.published, self.held.split_off(self.written));
        let mut state = self.shared.state();
        for (index, item) in (self.written..).zip(unwritten) {
            if let Change::Cursors(_) = item.change {
                state.unsafe_bytes -= item.bytes();
                state.unwritten_bytes -= item.bytes();
                state.moved = state.moved.max(1);
                self.published -= usize::from(index < before);
            } else {
                self.held.push_back(item);
            }
        }
        for (number, entry) in &self.ledger.consumers {
            if let Some(consumer) = state.consumers.get_mut(number) {
                consumer.written = entry.cursor;
            }
        }
    }

    pub(super) fn problem(&self, segment: u64, error: &io::Error) -> Problem {
        let path = self.shared.files.path(&super::segment::name(segment));
        format!(
            "{}: {error}; free some space or see to the disk, kete tries again every second",
            path.display()
        )
        .into()
    }
}

impl Drop for Writer {
    /// Whatever ended the writer: nothing is taken any more, and nobody waits for it in vain.
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closing = true;
        state.queue.clear();
        drop(state);
        self.shared.drained.send_replace(());
    }
}
