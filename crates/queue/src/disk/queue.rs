//! The log on disk as a [`Queue`]: what is asked of it goes to the shared state, to the writer and
//! to the files.

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};
use tokio::sync::watch;
use tracing::error;

use super::consumer::Consumer;
use super::entry::encode;
use super::ledger::{Accepted, BatchSummary, Change, ConsumerEntry};
use super::reading::{Found, Wants, Wish};
use super::room::{NoRoom, Offer};
use super::state::{Item, Shared, State, bytes};
use super::writer::SAVE_EVENTS;
use super::{Disk, join};
use crate::receipt::Pending;
use crate::{
    Appended, Batch, CloseError, ConsumerId, ConsumerLimits, ConsumerStatus, Lag, Limits, Queue,
    ReadError, Receipt, RejectReason, Rejected, Sequence, Shed, Slice, Span, StartFrom, TakenId,
    Target, Usage, WhenFull,
};

/// The most that waits to be written; who appends then waits.
const QUEUED: u64 = 2 << 20;

/// What became of an offer.
enum Offered {
    Taken(Appended),
    Refused(RejectReason),
    /// There is too much to be written just now.
    Later,
}

impl Queue for Disk {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, Box<Rejected>>> {
        append(&self.shared, batch).boxed()
    }

    fn consumer(&self, name: &str, limits: ConsumerLimits, start: StartFrom) -> ConsumerId {
        let mut state = self.shared.state();
        let number = state.number_of(name);
        let number = number.unwrap_or_else(|| state.add_consumer(name, start));
        if let Some(consumer) = state.consumer(number) {
            consumer.limits = Some(limits);
        }
        drop(state);
        self.shared.wake.notify_one();
        self.shared.announce_room();
        ConsumerId(number)
    }

    fn detach(&self, consumer: ConsumerId) -> u64 {
        if let Some(consumer) = self.shared.state().consumer(consumer.0) {
            consumer.limits = None;
        }
        self.shared.announce_room();
        0
    }

    fn forget(&self, consumer: ConsumerId) -> u64 {
        let mut state = self.shared.state();
        let Some(forgotten) = state.consumer(consumer.0) else {
            return 0;
        };
        let unsettled = forgotten.unsettled().events;
        forgotten.forget();
        state.submit(Item::of(Change::Forgotten(consumer.0)));
        drop(state);
        self.shared.wake.notify_one();
        self.shared.announce_room();
        unsettled
    }

    fn consumers(&self) -> Vec<ConsumerStatus> {
        let state = self.shared.state();
        let mut consumers: Vec<_> = state.known().map(|one| state.status(one)).collect();
        drop(state);
        consumers.sort_by(|one, other| one.name.cmp(&other.name));
        consumers
    }

    fn find(&self, name: &str) -> Option<ConsumerId> {
        self.shared.state().number_of(name).map(ConsumerId)
    }

    fn cursor(&self, consumer: ConsumerId) -> Sequence {
        let state = self.shared.state();
        let known = state.consumers.get(&consumer.0);
        known.map_or(state.newest, |one| one.cursor(state.newest))
    }

    fn read(
        &self,
        consumer: ConsumerId,
        from: Sequence,
        max_events: usize,
        max_bytes: u64,
    ) -> BoxFuture<'_, Result<Slice, ReadError>> {
        let wish = self
            .shared
            .state()
            .wish(consumer.0, from, max_events, max_bytes);
        match wish {
            Some(wish) => read(&self.shared, wish).boxed(),
            None => {
                let next = from.max(self.shared.state().newest + 1);
                let records = Vec::new();
                future::ready(Ok(Slice { records, next })).boxed()
            }
        }
    }

    fn read_again(
        &self,
        span: Span,
        from: Sequence,
        max_events: usize,
        max_bytes: u64,
    ) -> BoxFuture<'_, Result<Slice, ReadError>> {
        let wish = Wish {
            wants: Wants::Span(span),
            from: from.max(1),
            max_events,
            max_bytes,
        };
        read(&self.shared, wish).boxed()
    }

    fn settle(&self, consumer: ConsumerId, settled: &[RangeInclusive<Sequence>]) {
        let mut fresh = 0;
        for range in settled {
            let end = (*range.end()).min(self.shared.state().newest);
            if let Err(error) = self.shared.give_up_to(consumer.0, end) {
                // It stays unsettled, and will be read and sent again.
                error!(%error, "what was settled unread could not be looked up");
            }
            if let Some(consumer) = self.shared.state().consumer(consumer.0) {
                fresh += consumer.settle(&(*range.start()..=end));
            }
        }
        if fresh == 0 {
            return;
        }
        let mut state = self.shared.state();
        let before = state.moved;
        state.moved += fresh;
        let is_due = before == 0 || (before < SAVE_EVENTS && state.moved >= SAVE_EVENTS);
        drop(state);
        if is_due {
            self.shared.wake.notify_one();
        }
        self.shared.announce_room();
    }

    fn appended(&self) -> watch::Receiver<Sequence> {
        self.shared.appended.subscribe()
    }

    fn room(&self) -> watch::Receiver<u64> {
        self.shared.room.subscribe()
    }

    fn shed(&self, consumer: ConsumerId) -> watch::Receiver<Shed> {
        let state = self.shared.state();
        let known = state.consumers.get(&consumer.0);
        known.map_or_else(
            || watch::Sender::new(Shed::default()).subscribe(),
            |known| known.shed.subscribe(),
        )
    }

    fn lag(&self, consumer: ConsumerId) -> Lag {
        let state = self.shared.state();
        let known = state.consumers.get(&consumer.0);
        known.map_or(Lag::default(), |one| one.unsettled().lag())
    }

    fn usage(&self) -> Usage {
        self.shared.state().usage()
    }

    fn limits(&self) -> Limits {
        self.shared.settings.limits
    }

    fn source_state(&self, source: &str) -> BoxFuture<'_, Option<Bytes>> {
        let known = self.shared.state().source_states.get(source).cloned();
        future::ready(known).boxed()
    }

    fn taken_ids(&self) -> Vec<TakenId> {
        std::mem::take(&mut self.shared.state().taken_ids)
    }

    fn durable(&self) -> bool {
        true
    }

    fn close(&self) -> BoxFuture<'_, Result<(), CloseError>> {
        let writer = self.finish();
        async move {
            let Some(writer) = writer else {
                return Ok(());
            };
            let joined = tokio::task::spawn_blocking(move || join(writer)).await;
            joined.unwrap_or_else(|error| {
                let problem = error.to_string();
                Err(CloseError { problem })
            })
        }
        .boxed()
    }
}

async fn append(shared: &Shared, mut batch: Batch) -> Result<Appended, Box<Rejected>> {
    let mut drained = shared.drained.subscribe();
    let mut parts = encode(&batch);
    let offer = Offer::of(&batch, bytes(&parts));
    loop {
        drained.mark_unchanged();
        match shared.offer(&mut batch, &mut parts, &offer) {
            Offered::Taken(appended) => return Ok(appended),
            Offered::Refused(reason) => return Err(Box::new(Rejected { reason, batch })),
            // The sender lives as long as the log that we borrow.
            Offered::Later => drop(drained.changed().await),
        }
    }
}

impl Shared {
    /// Takes the batch whole, or leaves it as it is.
    fn offer(&self, batch: &mut Batch, parts: &mut Vec<Vec<u8>>, offer: &Offer) -> Offered {
        let nothing = batch.drafts.is_empty() && batch.state.is_none();
        let mut state = self.state();
        let next = state.taken + 1;
        let mut appended = Appended {
            receipt: Receipt::safe(),
            dropped: 0,
            sequences: next..next,
        };
        if nothing {
            return Offered::Taken(appended);
        }
        if state.closing {
            return Offered::Refused(RejectReason::Unwritable {
                problem: "it is closed".into(),
            });
        }
        if let Some(problem) = &state.problem {
            let problem = Arc::clone(problem);
            return Offered::Refused(RejectReason::Unwritable { problem });
        }
        match state.room_for(offer, &self.settings.limits) {
            Ok(()) => {}
            Err(NoRoom::ForAnybody(_))
                if self.settings.limits.when_full == WhenFull::DropNewest =>
            {
                appended.dropped = offer.events;
                // There is no room for what the source remembers either: after a crash it would
                // offer again what was dropped.
                if let Some(remembered) = batch.state.take() {
                    state
                        .source_states
                        .insert(remembered.source, remembered.state);
                }
                return Offered::Taken(appended);
            }
            Err(NoRoom::ForAnybody(reason) | NoRoom::Otherwise(reason)) => {
                return Offered::Refused(reason);
            }
        }
        if state.unsafe_bytes > 0 && state.unsafe_bytes + bytes(parts) > QUEUED {
            state.hurried = true;
            drop(state);
            self.wake.notify_one();
            return Offered::Later;
        }
        let (receipt, sequences) = state.take(std::mem::take(batch), std::mem::take(parts), offer);
        drop(state);
        self.wake.notify_one();
        appended.receipt = receipt;
        appended.sequences = sequences;
        Offered::Taken(appended)
    }

    /// Sees to it that this consumer was given everything up to `end`, reading what is missing.
    fn give_up_to(&self, number: u32, end: Sequence) -> Result<(), ReadError> {
        loop {
            let mut state = self.state();
            let Some(consumer) = state.consumer(number) else {
                return Ok(());
            };
            let known = consumer.known();
            if known >= end {
                return Ok(());
            }
            if consumer.unsettled().events == 0 {
                consumer.give(&[], known + 1, end);
                return Ok(());
            }
            let Some(wish) = state.wish(number, known + 1, usize::MAX, super::frame::BLOCK as u64)
            else {
                return Ok(());
            };
            let found = match state.read_recent(&wish) {
                Some(found) => found,
                None => {
                    drop(state);
                    let found = self.read_files(&wish)?;
                    state = self.state();
                    found
                }
            };
            if found.slice.next <= wish.from {
                return Ok(());
            }
            state.note(&wish, &found);
        }
    }
}

impl State {
    fn number_of(&self, name: &str) -> Option<u32> {
        let found = self.known().find(|one| *one.name == *name);
        found.map(|one| one.number)
    }

    fn status(&self, consumer: &Consumer) -> ConsumerStatus {
        ConsumerStatus {
            name: Arc::clone(&consumer.name),
            attached: consumer.limits.is_some(),
            cursor: consumer.cursor(self.newest),
            lag: consumer.unsettled().lag(),
            oldest_accepted_at: self.oldest_accepted_at(consumer),
            dropped: consumer.dropped,
        }
    }

    /// When the oldest event was accepted that a consumer has not settled: exactly if it is in
    /// memory, else when the oldest in the same file was.
    fn oldest_accepted_at(&self, consumer: &Consumer) -> Option<i64> {
        if !consumer.is_behind() {
            return None;
        }
        let next = consumer.cursor(self.newest) + 1;
        let in_file = || self.segments.get(self.segment_of(next)?)?.accepted;
        let given = consumer.oldest_accepted_at();
        given.or_else(|| in_file().map(|accepted| accepted.oldest))
    }

    fn add_consumer(&mut self, name: &str, start: StartFrom) -> u32 {
        let number = self.next_consumer;
        self.next_consumer += 1;
        let (cursor, passed) = match (start, self.segments.front()) {
            (StartFrom::Now, _) => (self.taken, self.for_all),
            (StartFrom::Earliest, Some(oldest)) => (oldest.newest_before, oldest.for_all_before),
            (StartFrom::Earliest, None) => Default::default(),
        };
        let entry = ConsumerEntry {
            number,
            name: Arc::from(name),
            born: self.taken,
            cursor,
            wanted: self.for_all,
            passed,
            dropped: 0,
        };
        self.consumers.insert(number, Consumer::new(&entry, false));
        self.submit(Item::of(Change::Added(entry)));
        number
    }

    /// Takes a batch for which there is room.
    fn take(
        &mut self,
        batch: Batch,
        parts: Vec<Vec<u8>>,
        offer: &Offer,
    ) -> (Receipt, std::ops::Range<Sequence>) {
        let first = self.taken + 1;
        let mut summary = BatchSummary {
            first,
            events: batch.drafts.len() as u64,
            state: batch.state,
            ..BatchSummary::default()
        };
        for draft in &batch.drafts {
            let accepted = Accepted::at(draft.header.accepted_at);
            summary.accepted = Accepted::join(summary.accepted, accepted);
            if draft.header.target == Target::AllRoutes {
                summary.for_all.add(super::entry::count(draft));
            }
        }
        for (&number, share) in &offer.wanted {
            summary.wanted.insert(number, share.count);
            // A route may have gone between the matching of its events and this.
            if let Some(consumer) = self.consumer(number) {
                consumer.offer(first + share.before, share.count);
            }
        }
        if let Some(state) = &summary.state {
            let source = Arc::clone(&state.source);
            self.source_states.insert(source, state.state.clone());
        }
        self.for_all.add(summary.for_all);
        self.taken += summary.events;
        let sequences = first..self.taken + 1;
        let (pending, receipt) = Pending::new(1);
        let mut item = Item {
            change: Change::Batch(summary),
            parts,
            drafts: batch.drafts,
            pending: Some(pending),
        };
        item.number(first);
        self.submit(item);
        (receipt, sequences)
    }
}

async fn read(shared: &Arc<Shared>, wish: Wish) -> Result<Slice, ReadError> {
    let recent = {
        let mut state = shared.state();
        let recent = state.read_recent(&wish);
        if let Some(found) = &recent {
            state.note(&wish, found);
        }
        recent
    };
    let found: Found = match recent {
        Some(found) => found,
        None => read_files(shared, wish).await?,
    };
    Ok(found.slice)
}

async fn read_files(shared: &Arc<Shared>, wish: Wish) -> Result<Found, ReadError> {
    let stopped = |_| ReadError::Storage(std::io::Error::other("kete is stopping"));
    let _permit = shared.reads.acquire().await.map_err(stopped)?;
    let reader = Arc::clone(shared);
    let reading = tokio::task::spawn_blocking(move || {
        let found = reader.read_files(&wish)?;
        reader.state().note(&wish, &found);
        Ok(found)
    });
    let read = reading.await;
    read.unwrap_or_else(|error| Err(ReadError::Storage(std::io::Error::other(error))))
}
