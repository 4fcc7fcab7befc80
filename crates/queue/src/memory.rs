//! The log in memory: bounded in events and bytes, and gone with the process.
//!
//! A body leaves memory as soon as the last consumer that wants it has settled it, wherever in the
//! log it stands; only its empty slot waits for those before it.

use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};
use tokio::sync::watch;

use crate::receipt::Pending;
use crate::record::cost;
use crate::{
    Appended, Batch, Bound, ConsumerId, ConsumerLimits, Lag, Limits, Queue, ReadError, Receipt,
    Record, RejectReason, Rejected, Sequence, SettledRanges, Shed, Slice, Usage, WhenFull,
    WhenLagging,
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
    /// The sequence number of the first slot.
    first: Sequence,
    slots: VecDeque<Slot>,
    usage: Usage,
    consumers: Vec<Consumer>,
    source_states: HashMap<Arc<str>, Bytes>,
}

#[derive(Debug)]
struct Slot {
    /// Present while somebody still wants it.
    record: Option<Arc<Record>>,
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
            first: 1,
            slots: VecDeque::new(),
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
            Ok(()) => state.next()..state.next() + batch.drafts.len() as u64,
            Err(RejectReason::Full { .. }) if self.limits.when_full == WhenFull::DropNewest => {
                dropped = offer.events;
                state.next()..state.next()
            }
            Err(reason) => return Err(Box::new(Rejected { reason, batch })),
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
    fn next(&self) -> Sequence {
        self.first + self.slots.len() as u64
    }

    fn push(&mut self, draft: crate::Draft, pending: &Arc<Pending>) {
        let record = Record {
            sequence: self.next(),
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
        let mut slot = Slot {
            record: None,
            waiting,
            wanted: draft.wanted,
            cost,
            pending: Arc::clone(pending),
        };
        if waiting == 0 {
            slot.pending.settle_one();
        } else {
            slot.record = Some(Arc::new(record));
            self.usage.events += 1;
            self.usage.bytes += cost;
        }
        self.slots.push_back(slot);
    }

    fn room_for(&self, offer: &Offer, limits: &Limits) -> Result<(), RejectReason> {
        if offer.events == 0 {
            return Ok(());
        }
        let usage = self.usage;
        let whole = [
            (Bound::Events, offer.events, usage.events, limits.max_events),
            (Bound::Bytes, offer.bytes, usage.bytes, limits.max_bytes),
        ];
        for (bound, size, used, limit) in whole {
            let Some(over) = over(bound, size, used, limit)? else {
                continue;
            };
            let Some(behind) = self.furthest_behind() else {
                continue;
            };
            return Err(behind.full(bound, over));
        }
        for (consumer, &size) in self.consumers.iter().zip(&offer.per_consumer) {
            let limit = consumer.limits.max_lag_bytes;
            if let Some(over) = over(Bound::Lag, size, consumer.lag.bytes, limit)? {
                return Err(consumer.full(Bound::Lag, over));
            }
        }
        Ok(())
    }

    fn furthest_behind(&self) -> Option<&Consumer> {
        self.consumers
            .iter()
            .filter(|one| !one.forgotten)
            .max_by_key(|one| one.lag.bytes)
    }

    /// One consumer less waits for this record. Returns whether that freed it.
    fn release(&mut self, consumer: ConsumerId, sequence: Sequence) -> bool {
        let Some(index) = sequence.checked_sub(self.first) else {
            return false;
        };
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return false;
        };
        let behind = &mut self.consumers[consumer.0 as usize];
        if slot.record.is_none() || behind.forgotten || !slot.wanted.contains(&consumer) {
            return false;
        }
        behind.lag.events -= 1;
        behind.lag.bytes -= slot.cost;
        slot.waiting -= 1;
        if slot.waiting == 0 {
            slot.record = None;
            slot.pending.settle_one();
            self.usage.events -= 1;
            self.usage.bytes -= slot.cost;
        }
        true
    }

    fn drop_empty_front(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.record.is_none()) {
            self.slots.pop_front();
            self.first += 1;
        }
    }
}

impl Consumer {
    /// The reason that names this consumer; where it prefers to drop, it is asked to.
    fn full(&self, bound: Bound, over: u64) -> RejectReason {
        if self.limits.when_full == WhenLagging::DropOldest {
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
            lag_bytes: self.lag.bytes,
            bound,
        }
    }
}

/// By how much a bound would be passed.
fn over(bound: Bound, size: u64, used: u64, limit: u64) -> Result<Option<u64>, RejectReason> {
    if size > limit {
        return Err(RejectReason::TooBig { size, limit, bound });
    }
    Ok((used + size).checked_sub(limit).filter(|over| *over > 0))
}

impl Queue for Memory {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, Box<Rejected>>> {
        future::ready(self.append_now(batch)).boxed()
    }

    fn consumer(&self, name: &str, limits: ConsumerLimits) -> ConsumerId {
        let mut state = self.state();
        let known = |one: &Consumer| !one.forgotten && &*one.name == name;
        let index = state.consumers.iter().position(known).unwrap_or_else(|| {
            let settled = SettledRanges::starting_after(state.next() - 1);
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

    fn forget(&self, consumer: ConsumerId) -> u64 {
        let mut state = self.state();
        let unsettled = state.consumers[consumer.0 as usize].lag.events;
        for sequence in state.first..state.next() {
            if !state.consumers[consumer.0 as usize]
                .settled
                .contains(sequence)
            {
                state.release(consumer, sequence);
            }
        }
        let everything = SettledRanges::starting_after(state.next() - 1);
        let forgotten = &mut state.consumers[consumer.0 as usize];
        forgotten.settled = everything;
        forgotten.forgotten = true;
        state.drop_empty_front();
        drop(state);
        self.announce_room();
        unsettled
    }

    fn cursor(&self, consumer: ConsumerId) -> Sequence {
        self.state().consumers[consumer.0 as usize].settled.cursor()
    }

    fn read(
        &self,
        from: Sequence,
        max_events: usize,
        max_bytes: u64,
    ) -> BoxFuture<'_, Result<Slice, ReadError>> {
        let state = self.state();
        let mut slice = Slice {
            records: Vec::new(),
            next: from.max(state.first),
        };
        let mut bytes = 0;
        for slot in state.slots.iter().skip((slice.next - state.first) as usize) {
            if let Some(record) = &slot.record {
                let enough = slice.records.len() >= max_events || bytes + slot.cost > max_bytes;
                if enough && !slice.records.is_empty() {
                    break;
                }
                bytes += slot.cost;
                slice.records.push(Arc::clone(record));
            }
            slice.next += 1;
        }
        drop(state);
        future::ready(Ok(slice)).boxed()
    }

    fn settle(&self, consumer: ConsumerId, settled: &[RangeInclusive<Sequence>]) {
        let mut state = self.state();
        // The ranges are taken out for the loop, which changes other parts of the state.
        let mut ranges = std::mem::take(&mut state.consumers[consumer.0 as usize].settled);
        let mut freed = false;
        for range in settled {
            ranges.settle(range.clone(), |sequence| {
                freed |= state.release(consumer, sequence)
            });
        }
        state.consumers[consumer.0 as usize].settled = ranges;
        state.drop_empty_front();
        drop(state);
        if freed {
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

    fn durable(&self) -> bool {
        false
    }
}
