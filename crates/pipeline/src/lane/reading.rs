//! How a lane reads the queue: as far as its window has room, and past what it has to drop.

use kete_queue::{Record, Slice, Target};
use tokio::time::Instant;
use tracing::error;

use super::driver::Lane;

/// How many records are read at once: enough to spread the cost of a read, few enough that
/// confirmations are not kept waiting.
const READ_EVENTS: usize = 512;

impl Lane {
    /// Reads records while the window has room.
    pub(super) async fn fill(&mut self) {
        loop {
            let (events, bytes) = self.core.room();
            if events == 0 || self.stops() {
                return;
            }
            self.appended.mark_unchanged();
            let slice = self.read(events.min(READ_EVENTS), bytes).await;
            if slice.next == self.next {
                return;
            }
            self.take(slice);
        }
    }

    async fn read(&mut self, events: usize, bytes: u64) -> Slice {
        match self
            .queue
            .read(self.entry.consumer, self.next, events, bytes)
            .await
        {
            Ok(slice) => slice,
            Err(error) => {
                let (route, error) = (&*self.entry.name, error.to_string());
                error!(route, error, "the queue cannot be read; the route waits");
                Slice {
                    records: Vec::new(),
                    next: self.next,
                }
            }
        }
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
        let addressed = match &record.header.target {
            Target::AllRoutes => true,
            Target::Route(route) => *route == self.entry.name,
        };
        addressed && !self.matchers.wanted(&record.header.metadata).is_empty()
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
                step = self.skip_one().await;
            }
            if step == 0 {
                break;
            }
            dropped += step;
            self.settle();
        }
        if dropped > 0 {
            self.entry.metrics.dropped_oldest.inc_by(dropped);
            self.reporter.dropped(dropped, Instant::now());
        }
    }

    /// Settles the next wanted record unread. Returns how many events that dropped.
    async fn skip_one(&mut self) -> u64 {
        loop {
            let slice = self.read(1, 1).await;
            if slice.next == self.next {
                return 0;
            }
            let wanted = slice.records.iter().any(|record| self.wants(record));
            self.core.settle_sequences(self.next..=slice.next - 1);
            self.next = slice.next;
            if wanted {
                return 1;
            }
        }
    }
}
