//! How a lane reads the queue: as far as its window has room, and past what it has to drop.

use std::sync::Arc;
use std::time::Duration;

use kete_queue::{ReadError, Record, Slice, Target};
use tokio::time::Instant;
use tracing::{debug, error, info};

use super::backoff::Backoff;
use super::deliveries::{Done, Outcome};
use super::driver::Lane;

/// How many records are read at once: enough to spread the cost of a read, few enough that
/// confirmations are not kept waiting.
const READ_EVENTS: usize = 512;

/// How many records, and about how many bytes, are passed over at once when they are dropped.
const SKIP_EVENTS: usize = 512;
const SKIP_BYTES: u64 = 1 << 20;

/// Whether the queue can be read, and when that is tried again if not.
pub(super) struct Reading {
    backoff: Backoff,
    again_at: Option<Instant>,
    /// What is stored is damaged: another attempt will hardly help, but somebody may.
    damaged: bool,
}

impl Reading {
    pub(super) fn new() -> Reading {
        Reading {
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(30)),
            again_at: None,
            damaged: false,
        }
    }

    /// When to try again; until then nothing is read.
    pub(super) fn again_at(&self) -> Option<Instant> {
        self.again_at
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.damaged
    }

    fn waits(&self) -> bool {
        self.again_at.is_some_and(|at| at > Instant::now())
    }
}

impl Lane {
    /// Reads records while the window has room.
    pub(super) async fn fill(&mut self) {
        loop {
            let (events, bytes) = self.core.room();
            if events == 0 || self.stops() {
                return;
            }
            self.appended.mark_unchanged();
            if self.passes_by() {
                return;
            }
            let slice = self.read(events.min(READ_EVENTS), bytes).await;
            if slice.next == self.next {
                return;
            }
            self.take(slice);
        }
    }

    /// Moves a lane for replays behind what others have appended, unread: most of the time nothing
    /// of it is a replay. What was appended before the lag was looked at is part of the lag.
    fn passes_by(&mut self) -> bool {
        let newest = *self.appended.borrow();
        if !self.role.is_replay() || self.lag().events > 0 {
            return false;
        }
        if self.next <= newest {
            self.core.settle_sequences(self.next..=newest);
            self.next = newest + 1;
        }
        true
    }

    /// Reads, unless that failed a moment ago. A slice that ends where it starts has nothing.
    async fn read(&mut self, events: usize, bytes: u64) -> Slice {
        let nothing = Slice {
            records: Vec::new(),
            next: self.next,
        };
        if self.reading.waits() {
            return nothing;
        }
        let consumer = self.entry.consumer;
        match self.queue.read(consumer, self.next, events, bytes).await {
            Ok(slice) => {
                self.reads_again();
                slice
            }
            Err(error) => {
                self.read_failed(&error);
                nothing
            }
        }
    }

    fn reads_again(&mut self) {
        if self.reading.again_at.take().is_some() {
            let (route, failures) = (&*self.entry.name, self.reading.backoff.failures());
            info!(route, failures, "the queue can be read again");
            self.reading.backoff.reset();
            self.reading.damaged = false;
        }
    }

    /// Says it once, until it works again.
    fn read_failed(&mut self, failure: &ReadError) {
        self.entry.metrics.read_failures.inc();
        let route = &*self.entry.name;
        if self.reading.again_at.is_none() {
            let error = failure.to_string();
            error!(route, error, "the queue cannot be read; the route waits");
        } else {
            debug!(route, error = %failure, "the queue still cannot be read");
        }
        self.reading.damaged = matches!(failure, ReadError::Damaged { .. });
        self.reading.again_at = Some(Instant::now() + self.reading.backoff.next());
    }

    fn take(&mut self, slice: Slice) {
        for record in slice.records {
            let sequence = record.sequence;
            if self.next < sequence {
                // What is missing was settled by everyone who wanted it.
                self.core.settle_sequences(self.next..=sequence - 1);
            }
            self.next = sequence + 1;
            if self.wants(&record) {
                let prepared = self.destination.prepare(&record);
                self.core.read(record, prepared);
            } else {
                self.core.settle_sequences(sequence..=sequence);
            }
        }
        if self.next < slice.next {
            self.core.settle_sequences(self.next..=slice.next - 1);
            self.next = slice.next;
        }
    }

    fn wants(&self, record: &Record) -> bool {
        match &record.header.target {
            Target::AllRoutes if self.role.is_replay() => false,
            Target::AllRoutes => !self.matchers.wanted(&record.header.metadata).is_empty(),
            Target::Route(route) => self.role.is_replay() && *route == self.entry.name,
        }
    }

    /// Drops the oldest events that are on no connection, those beyond the window too, if that
    /// is asked for. What is on a connection now may be dropped when it comes back.
    pub(super) async fn shed(&mut self) {
        let wish = *self.shed.borrow_and_update();
        if wish.request == self.shed_met {
            return;
        }
        let mut dropped = 0;
        loop {
            let lag = self.lag();
            let bytes = lag.bytes.saturating_sub(wish.to_bytes);
            let events = lag.events.saturating_sub(wish.to_events);
            if bytes == 0 && events == 0 {
                self.shed_met = wish.request;
                break;
            }
            let mut step = self.core.drop_oldest(bytes, events);
            if step == 0 {
                let before = self.next;
                step = self.skip(bytes, events).await;
                if self.next == before {
                    break;
                }
            }
            dropped += step;
            self.settle();
        }
        if dropped > 0 {
            self.entry.metrics.dropped_oldest.inc_by(dropped);
            self.reporter.dropped(dropped, Instant::now());
        }
    }

    /// Says of an event that was never in the window that it was dropped.
    fn say_skipped(&self, record: &Arc<Record>) {
        let outcome = Outcome::Dropped;
        if self.deliveries.tells(outcome) {
            let (record, attempts) = (Arc::clone(record), 0);
            let done = Done {
                record,
                outcome,
                attempts,
            };
            done.say(&self.entry.name);
        }
    }

    /// Settles the next records that would be read, no more than this excess is. Returns how many
    /// events that dropped; records that are not wanted any more are none.
    async fn skip(&mut self, bytes: u64, events: u64) -> u64 {
        // All of a slice within either excess has to go, so nothing is read twice.
        let (most, size) = match usize::try_from(events).unwrap_or(usize::MAX) {
            0 => (SKIP_EVENTS, bytes.min(SKIP_BYTES)),
            events => (events.min(SKIP_EVENTS), SKIP_BYTES),
        };
        let slice = self.read(most, size).await;
        if slice.next == self.next {
            return 0;
        }
        let mut dropped = 0;
        for record in slice.records.iter().filter(|record| self.wants(record)) {
            self.say_skipped(record);
            dropped += 1;
        }
        self.core.settle_sequences(self.next..=slice.next - 1);
        self.next = slice.next;
        dropped
    }
}
