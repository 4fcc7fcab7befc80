//! The log in memory: bounded in events and bytes, and gone with the process.
//!
//! A record leaves memory as soon as the last consumer that wants it has settled it, wherever in
//! the log it stands.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};
use tokio::sync::watch;

use crate::receipt::Pending;
use crate::record::cost;
use crate::{
    Appended, Batch, Bound, CloseError, ConsumerId, ConsumerLimits, ConsumerStatus, Lag, Limits,
    Queue, ReadError, Receipt, Record, RejectReason, Rejected, Sequence, SettledRanges, Shed,
    Slice, Span, StartFrom, TakenId, Target, Usage, WhenFull, WhenLagging,
};

/// The log in memory.
#[derive(Debug)]
pub struct Memory {
    limits: Limits,
    state: Mutex<State>,
    appended: watch::Sender<Sequence>,
    room: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// The sequence number of the next record.
    next: Sequence,
    /// The records that somebody still wants.
    slots: BTreeMap<Sequence, Slot>,
    usage: Usage,
    consumers: Vec<Consumer>,
    source_states: HashMap<Arc<str>, Bytes>,
}

#[derive(Debug)]
struct Slot {
    record: Arc<Record>,
    wanted: Arc<[ConsumerId]>,
    /// How many of those have not settled it.
    waiting: usize,
    cost: u64,
    pending: Arc<Pending>,
}

#[derive(Debug)]
struct Consumer {
    name: Arc<str>,
    limits: ConsumerLimits,
    settled: SettledRanges,
    lag: Lag,
    shed: watch::Sender<Shed>,
    forgotten: bool,
}

impl Memory {
    /// An empty log.
    #[must_use]
    pub fn new(limits: Limits) -> Memory {
        let state = State {
            next: 1,
            slots: BTreeMap::new(),
            usage: Usage::default(),
            consumers: Vec::new(),
            source_states: HashMap::new(),
        };
        Memory {
            limits,
            state: Mutex::new(state),
            appended: watch::Sender::new(0),
            room: watch::Sender::new(0),
        }
    }

    /// The state stays whole between statements, so a panic elsewhere does not spoil it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append_now(&self, batch: Batch) -> Result<Appended, Box<Rejected>> {
        let mut state = self.state();
        let offer = Offer::of(&batch, state.consumers.len());
        let mut dropped = 0;
        let sequences = match state.room_for(&offer, &self.limits) {
            Ok(()) => state.next..state.next + batch.drafts.len() as u64,
            Err(NoRoom::ForAnybody(_)) if self.limits.when_full == WhenFull::DropNewest => {
                dropped = offer.events;
                state.next..state.next
            }
            Err(no_room) => {
                let reason = no_room.reason();
                return Err(Box::new(Rejected { reason, batch }));
            }
        };
        if let Some(remembered) = batch.state {
            state
                .source_states
                .insert(remembered.source, remembered.state);
        }
        if sequences.is_empty() {
            return Ok(Appended {
                receipt: Receipt::safe(),
                dropped,
                sequences,
            });
        }
        let (pending, receipt) = Pending::new(batch.drafts.len());
        for draft in batch.drafts {
            state.push(draft, &pending);
        }
        drop(state);
        self.appended.send_replace(sequences.end - 1);
        Ok(Appended {
            receipt,
            dropped,
            sequences,
        })
    }

    fn announce_room(&self) {
        self.room
            .send_modify(|changes| *changes = changes.wrapping_add(1));
    }
}

/// Why there is no room, as far as it decides whether new events may be dropped.
enum NoRoom {
    /// The log is full, and no consumer was asked to make room.
    ForAnybody(RejectReason),
    /// Only one consumer is at its bound, or one was asked to drop its oldest, or it is hopeless.
    Otherwise(RejectReason),
}

impl NoRoom {
    fn reason(self) -> RejectReason {
        match self {
            NoRoom::ForAnybody(reason) | NoRoom::Otherwise(reason) => reason,
        }
    }
}

/// What a batch would take, in all and of each consumer.
struct Offer {
    events: u64,
    bytes: u64,
    per_consumer: Vec<u64>,
}

impl Offer {
    fn of(batch: &Batch, consumers: usize) -> Offer {
        let mut offer = Offer {
            events: batch.drafts.len() as u64,
            bytes: 0,
            per_consumer: vec![0; consumers],
        };
        for draft in &batch.drafts {
            let cost = cost(&draft.header, &draft.body);
            offer.bytes += cost;
            for consumer in draft.wanted.iter() {
                offer.per_consumer[consumer.0 as usize] += cost;
            }
        }
        offer
    }
}

impl State {
    fn push(&mut self, draft: crate::Draft, pending: &Arc<Pending>) {
        let record = Record {
            sequence: self.next,
            header: draft.header,
            body: draft.body,
        };
        let cost = record.cost();
        let mut waiting = 0;
        for consumer in draft.wanted.iter() {
            let consumer = &mut self.consumers[consumer.0 as usize];
            // A route may have gone between the matching of its events and this.
            if !consumer.forgotten {
                consumer.lag.events += 1;
                consumer.lag.bytes += cost;
                waiting += 1;
            }
        }
        self.next += 1;
        if waiting == 0 {
            pending.settle_one();
            return;
        }
        self.usage.events += 1;
        self.usage.bytes += cost;
        let slot = Slot {
            waiting,
            wanted: draft.wanted,
            cost,
            pending: Arc::clone(pending),
            record: Arc::new(record),
        };
        self.slots.insert(slot.record.sequence, slot);
    }

    fn room_for(&self, offer: &Offer, limits: &Limits) -> Result<(), NoRoom> {
        if offer.events == 0 {
            return Ok(());
        }
        self.could_ever_fit(offer, limits)
            .map_err(NoRoom::Otherwise)?;
        let usage = self.usage;
        let whole = [
            (Bound::Events, offer.events, usage.events, limits.max_events),
            (Bound::Bytes, offer.bytes, usage.bytes, limits.max_bytes),
        ];
        for (bound, size, used, limit) in whole {
            let Some(behind) = self.furthest_behind() else {
                continue;
            };
            match over(size, used, limit) {
                0 => {}
                over if behind.makes_room() => {
                    return Err(NoRoom::Otherwise(behind.full(bound, over)));
                }
                over => return Err(NoRoom::ForAnybody(behind.full(bound, over))),
            }
        }
        for (consumer, &size) in self.consumers.iter().zip(&offer.per_consumer) {
            // One event may always be behind, however large it is.
            let (lag, limit) = (consumer.lag, consumer.limits.max_lag_bytes);
            let over = over(size, lag.bytes, limit);
            if size > 0 && over > 0 && (lag.events > 0 || offer.events > 1) {
                return Err(NoRoom::Otherwise(consumer.full(Bound::Lag, over)));
            }
        }
        Ok(())
    }

    /// Says of a batch that is larger than an empty log that waiting cannot help.
    fn could_ever_fit(&self, offer: &Offer, limits: &Limits) -> Result<(), RejectReason> {
        let too_big = |bound, size, limit| {
            let hopeless = size > limit;
            if hopeless {
                Err(RejectReason::TooBig { size, limit, bound })
            } else {
                Ok(())
            }
        };
        too_big(Bound::Events, offer.events, limits.max_events)?;
        too_big(Bound::Bytes, offer.bytes, limits.max_bytes)?;
        if offer.events > 1 {
            for (consumer, &size) in self.consumers.iter().zip(&offer.per_consumer) {
                too_big(Bound::Lag, size, consumer.limits.max_lag_bytes)?;
            }
        }
        Ok(())
    }

    /// Where the consumer of this name is kept.
    fn position(&self, name: &str) -> Option<usize> {
        let known = |one: &Consumer| !one.forgotten && &*one.name == name;
        self.consumers.iter().position(known)
    }

    fn furthest_behind(&self) -> Option<&Consumer> {
        self.consumers
            .iter()
            .filter(|one| !one.forgotten)
            .max_by_key(|one| (one.lag.bytes, one.makes_room()))
    }

    /// One consumer less waits for this record. Returns whether it had been waiting.
    fn release(&mut self, consumer: ConsumerId, sequence: Sequence) -> bool {
        let Some(slot) = self.slots.get_mut(&sequence) else {
            return false;
        };
        let behind = &mut self.consumers[consumer.0 as usize];
        if behind.forgotten || !slot.wanted.contains(&consumer) {
            return false;
        }
        behind.lag.events -= 1;
        behind.lag.bytes -= slot.cost;
        slot.waiting -= 1;
        if slot.waiting == 0 {
            slot.pending.settle_one();
            self.usage.events -= 1;
            self.usage.bytes -= slot.cost;
            self.slots.remove(&sequence);
        }
        true
    }
}

impl Consumer {
    fn status(&self) -> ConsumerStatus {
        ConsumerStatus {
            name: Arc::clone(&self.name),
            attached: true,
            cursor: self.settled.cursor(),
            lag: self.lag,
            oldest_accepted_at: None,
            dropped: 0,
        }
    }

    /// Whether it drops its oldest events rather than hold the others up.
    fn makes_room(&self) -> bool {
        self.limits.when_full == WhenLagging::DropOldest
    }

    /// The reason that names this consumer; where it prefers to drop, it is asked to.
    fn full(&self, bound: Bound, over: u64) -> RejectReason {
        if self.makes_room() {
            let (bytes, events) = if bound == Bound::Events {
                (0, over)
            } else {
                (over, 0)
            };
            self.shed.send_modify(|shed| {
                shed.request += 1;
                shed.to_bytes = self.lag.bytes.saturating_sub(bytes);
                shed.to_events = self.lag.events.saturating_sub(events);
            });
        }
        let route = Arc::clone(&self.name);
        RejectReason::Full {
            route,
            lag: self.lag,
            bound,
            makes_room: self.makes_room(),
        }
    }
}

/// By how much a bound would be passed.
fn over(size: u64, used: u64, limit: u64) -> u64 {
    (used + size).saturating_sub(limit)
}

impl Queue for Memory {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, Box<Rejected>>> {
        future::ready(self.append_now(batch)).boxed()
    }

    /// Everything in memory is wanted by somebody else, and goes when they have settled it, so
    /// every new consumer starts behind it.
    fn consumer(&self, name: &str, limits: ConsumerLimits, _start: StartFrom) -> ConsumerId {
        let mut state = self.state();
        let index = state.position(name).unwrap_or_else(|| {
            let settled = SettledRanges::starting_after(state.next - 1);
            let (lag, shed) = (Lag::default(), watch::Sender::new(Shed::default()));
            let name = Arc::from(name);
            state.consumers.push(Consumer {
                name,
                limits,
                settled,
                lag,
                shed,
                forgotten: false,
            });
            state.consumers.len() - 1
        });
        state.consumers[index].limits = limits;
        drop(state);
        self.announce_room();
        ConsumerId(index as u32)
    }

    fn detach(&self, consumer: ConsumerId) -> u64 {
        self.forget(consumer)
    }

    fn consumers(&self) -> Vec<ConsumerStatus> {
        let state = self.state();
        let known = state.consumers.iter().filter(|one| !one.forgotten);
        let mut consumers: Vec<ConsumerStatus> = known.map(Consumer::status).collect();
        consumers.sort_by(|one, other| one.name.cmp(&other.name));
        consumers
    }

    fn find(&self, name: &str) -> Option<ConsumerId> {
        let position = self.state().position(name)?;
        Some(ConsumerId(position as u32))
    }

    fn forget(&self, consumer: ConsumerId) -> u64 {
        let mut state = self.state();
        let unsettled = state.consumers[consumer.0 as usize].lag.events;
        let stored: Vec<Sequence> = state.slots.keys().copied().collect();
        for sequence in stored {
            if !state.consumers[consumer.0 as usize]
                .settled
                .contains(sequence)
            {
                state.release(consumer, sequence);
            }
        }
        let everything = SettledRanges::starting_after(state.next - 1);
        let forgotten = &mut state.consumers[consumer.0 as usize];
        forgotten.settled = everything;
        forgotten.forgotten = true;
        drop(state);
        self.announce_room();
        unsettled
    }

    fn cursor(&self, consumer: ConsumerId) -> Sequence {
        self.state().consumers[consumer.0 as usize].settled.cursor()
    }

    fn read(
        &self,
        consumer: ConsumerId,
        from: Sequence,
        max_events: usize,
        max_bytes: u64,
    ) -> BoxFuture<'_, Result<Slice, ReadError>> {
        let state = self.state();
        let settled = &state.consumers[consumer.0 as usize].settled;
        let mut slice = Slice {
            records: Vec::new(),
            next: state.next.max(from),
        };
        let mut bytes = 0;
        for (&sequence, slot) in state.slots.range(from..) {
            if !slot.wanted.contains(&consumer) || settled.contains(sequence) {
                continue;
            }
            let enough = slice.records.len() >= max_events || bytes + slot.cost > max_bytes;
            if enough && !slice.records.is_empty() {
                slice.next = sequence;
                break;
            }
            bytes += slot.cost;
            slice.records.push(Arc::clone(&slot.record));
        }
        drop(state);
        future::ready(Ok(slice)).boxed()
    }

    fn read_again(
        &self,
        span: Span,
        from: Sequence,
        max_events: usize,
        max_bytes: u64,
    ) -> BoxFuture<'_, Result<Slice, ReadError>> {
        let state = self.state();
        let mut slice = Slice {
            records: Vec::new(),
            next: state.next.max(from),
        };
        let mut bytes = 0;
        for (&sequence, slot) in state.slots.range(from..) {
            let header = &slot.record.header;
            let within = (span.from..=span.to).contains(&header.accepted_at);
            if !within || header.target != Target::AllRoutes {
                continue;
            }
            let enough = slice.records.len() >= max_events || bytes + slot.cost > max_bytes;
            if enough && !slice.records.is_empty() {
                slice.next = sequence;
                break;
            }
            bytes += slot.cost;
            slice.records.push(Arc::clone(&slot.record));
        }
        drop(state);
        future::ready(Ok(slice)).boxed()
    }

    fn settle(&self, consumer: ConsumerId, settled: &[RangeInclusive<Sequence>]) {
        let mut state = self.state();
        // The ranges are taken out for the loop, which changes other parts of the state.
        let mut ranges = std::mem::take(&mut state.consumers[consumer.0 as usize].settled);
        let mut settled_some = false;
        for range in settled {
            ranges.settle(range.clone(), |sequence| {
                settled_some |= state.release(consumer, sequence)
            });
        }
        state.consumers[consumer.0 as usize].settled = ranges;
        drop(state);
        if settled_some {
            self.announce_room();
        }
    }

    fn appended(&self) -> watch::Receiver<Sequence> {
        self.appended.subscribe()
    }

    fn room(&self) -> watch::Receiver<u64> {
        self.room.subscribe()
    }

    fn shed(&self, consumer: ConsumerId) -> watch::Receiver<Shed> {
        self.state().consumers[consumer.0 as usize].shed.subscribe()
    }

    fn lag(&self, consumer: ConsumerId) -> Lag {
        self.state().consumers[consumer.0 as usize].lag
    }

    fn usage(&self) -> Usage {
        self.state().usage
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn source_state(&self, source: &str) -> BoxFuture<'_, Option<Bytes>> {
        future::ready(self.state().source_states.get(source).cloned()).boxed()
    }

    fn taken_ids(&self) -> Vec<TakenId> {
        Vec::new()
    }

    fn durable(&self) -> bool {
        false
    }

    fn close(&self) -> BoxFuture<'_, Result<(), CloseError>> {
        future::ready(Ok(())).boxed()
    }
}
