//! What the frames of the log add up to: who reads it, how far everybody has come, and what the
//! sources remember.
//!
//! The ledger is changed by [`Change`]s only, each of which is a frame. The writer applies a change
//! when its frame is safe, opening applies those that it finds; so that what a segment's snapshot
//! says and what its predecessors add up to is the same thing.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::codec::{Input, Malformed, put_bytes, put_number};
use super::entry::Entries;
use super::frame::Kind;
use crate::record::OVERHEAD;
use crate::{Lag, Sequence, SourceState};

/// Events and the bytes of their bodies and longer texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Count {
    pub(super) events: u64,
    pub(super) size: u64,
}

impl Count {
    pub(super) fn add(&mut self, other: Count) {
        self.events += other.events;
        self.size += other.size;
    }

    /// What is left without `other`, which is a part of it.
    pub(super) fn without(self, other: Count) -> Count {
        debug_assert!(self.events >= other.events && self.size >= other.size);
        Count {
            events: self.events.saturating_sub(other.events),
            size: self.size.saturating_sub(other.size),
        }
    }

    pub(super) fn lag(self) -> Lag {
        Lag {
            events: self.events,
            bytes: self.size + self.events * OVERHEAD,
        }
    }

    fn put(self, out: &mut Vec<u8>) {
        put_number(out, self.events);
        put_number(out, self.size);
    }

    fn read(input: &mut Input<'_>) -> Result<Count, Malformed> {
        Ok(Count {
            events: input.number()?,
            size: input.number()?,
        })
    }
}

/// When the oldest and the newest of some events were accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) oldest: i64,
    pub(super) newest: i64,
}

impl Accepted {
    pub(super) fn join(one: Option<Accepted>, other: Option<Accepted>) -> Option<Accepted> {
        match (one, other) {
            (Some(one), Some(other)) => Some(Accepted {
                oldest: one.oldest.min(other.oldest),
                newest: one.newest.max(other.newest),
            }),
            (one, other) => one.or(other),
        }
    }

    pub(super) fn at(time: i64) -> Option<Accepted> {
        Some(Accepted {
            oldest: time,
            newest: time,
        })
    }
}

/// One step in the life of the log.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Batch(BatchSummary),
    Cursors(Vec<CursorSaved>),
    Added(ConsumerEntry),
    Forgotten(u32),
}

/// What a batch adds to the ledger.
#[derive(Debug, Clone, Default)]
pub(super) struct BatchSummary {
    pub(super) first: Sequence,
    pub(super) events: u64,
    /// Of the events that are for all routes.
    pub(super) for_all: Count,
    /// By the number of the consumer that wants them.
    pub(super) wanted: BTreeMap<u32, Count>,
    pub(super) accepted: Option<Accepted>,
    pub(super) state: Option<SourceState>,
}

/// How far a consumer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CursorSaved {
    pub(super) consumer: u32,
    /// It wants nothing more up to here.
    pub(super) cursor: Sequence,
    /// All it ever wanted up to the cursor.
    pub(super) passed: Count,
    /// Events that it lost at a bound, ever.
    pub(super) dropped: u64,
}

/// A consumer, as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConsumerEntry {
    pub(super) number: u32,
    pub(super) name: Arc<str>,
    /// The newest record at the time when it was added. Of those up to it, it wants all that are
    /// for all routes.
    pub(super) born: Sequence,
    pub(super) cursor: Sequence,
    /// All it ever wanted.
    pub(super) wanted: Count,
    pub(super) passed: Count,
    pub(super) dropped: u64,
}

/// The sum of all changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    /// The newest record.
    pub(super) newest: Sequence,
    /// All events ever that were for all routes.
    pub(super) for_all: Count,
    pub(super) consumers: BTreeMap<u32, ConsumerEntry>,
    /// The number that the next new consumer gets.
    pub(super) next_consumer: u32,
    pub(super) states: BTreeMap<Arc<str>, Bytes>,
    /// Of the events since the last snapshot.
    pub(super) accepted: Option<Accepted>,
}

impl Ledger {
    /// # Errors
    ///
    /// The change does not follow from what was before.
    pub(super) fn apply(&mut self, change: &Change) -> Result<(), Malformed> {
        match change {
            Change::Batch(batch) => self.apply_batch(batch),
            Change::Cursors(cursors) => {
                for saved in cursors {
                    self.apply_cursor(saved)?;
                }
                Ok(())
            }
            Change::Added(entry) => {
                self.next_consumer = entry.number.checked_add(1).ok_or(Malformed)?;
                self.consumers.insert(entry.number, entry.clone());
                Ok(())
            }
            Change::Forgotten(number) => {
                self.consumers.remove(number).ok_or(Malformed)?;
                Ok(())
            }
        }
    }

    fn apply_batch(&mut self, batch: &BatchSummary) -> Result<(), Malformed> {
        if batch.first != self.newest + 1 {
            return Err(Malformed);
        }
        self.newest += batch.events;
        self.for_all.add(batch.for_all);
        self.accepted = Accepted::join(self.accepted, batch.accepted);
        for (number, count) in &batch.wanted {
            // One that was forgotten in between does not want anything any more.
            if let Some(consumer) = self.consumers.get_mut(number) {
                consumer.wanted.add(*count);
            }
        }
        if let Some(state) = &batch.state {
            let source = Arc::clone(&state.source);
            self.states.insert(source, state.state.clone());
        }
        Ok(())
    }

    fn apply_cursor(&mut self, saved: &CursorSaved) -> Result<(), Malformed> {
        let newest = self.newest;
        // It may have been forgotten since.
        let Some(consumer) = self.consumers.get_mut(&saved.consumer) else {
            return Ok(());
        };
        let possible = (consumer.cursor..=newest).contains(&saved.cursor)
            && saved.passed.events <= consumer.wanted.events
            && saved.passed.size <= consumer.wanted.size;
        if !possible {
            return Err(Malformed);
        }
        consumer.cursor = saved.cursor;
        consumer.passed = saved.passed;
        consumer.dropped = saved.dropped;
        Ok(())
    }

    /// The payload of a snapshot.
    pub(super) fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_number(&mut out, self.newest);
        self.for_all.put(&mut out);
        put_number(&mut out, u64::from(self.next_consumer));
        put_number(&mut out, self.consumers.len() as u64);
        for consumer in self.consumers.values() {
            put_consumer(&mut out, consumer);
        }
        put_number(&mut out, self.states.len() as u64);
        for (source, state) in &self.states {
            put_bytes(&mut out, source.as_bytes());
            put_bytes(&mut out, state);
        }
        out
    }

    pub(super) fn of_snapshot(payload: &[u8]) -> Result<Ledger, Malformed> {
        let mut input = Input(payload);
        let mut ledger = Ledger {
            newest: input.number()?,
            for_all: Count::read(&mut input)?,
            next_consumer: input.small()?,
            ..Ledger::default()
        };
        for _ in 0..input.number()? {
            let consumer = read_consumer(&mut input)?;
            ledger.consumers.insert(consumer.number, consumer);
        }
        for _ in 0..input.number()? {
            let source = Arc::from(input.text()?);
            let state = Bytes::copy_from_slice(input.bytes()?);
            ledger.states.insert(source, state);
        }
        input.is_empty().then_some(ledger).ok_or(Malformed)
    }
}

impl Change {
    /// The kind of its frame.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Change::Batch(_) => Kind::Batch,
            Change::Cursors(_) => Kind::Cursors,
            Change::Added(_) => Kind::Added,
            Change::Forgotten(_) => Kind::Forgotten,
        }
    }

    /// The payload of its frame; that of a batch holds the events and is made elsewhere.
    pub(super) fn payload(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Change::Batch(_) => {}
            Change::Cursors(cursors) => {
                put_number(&mut out, cursors.len() as u64);
                for saved in cursors {
                    put_cursor(&mut out, saved);
                }
            }
            Change::Added(consumer) => put_consumer(&mut out, consumer),
            Change::Forgotten(number) => put_number(&mut out, u64::from(*number)),
        }
        out
    }

    /// The change of a frame that is no batch and no snapshot.
    pub(super) fn parse(kind: Kind, payload: &[u8]) -> Result<Change, Malformed> {
        let mut input = Input(payload);
        let change = match kind {
            Kind::Cursors => {
                let count = input.number()?;
                let cursors = (0..count).map(|_| read_cursor(&mut input));
                Change::Cursors(cursors.collect::<Result<_, _>>()?)
            }
            Kind::Added => Change::Added(read_consumer(&mut input)?),
            Kind::Forgotten => Change::Forgotten(input.small()?),
            Kind::Snapshot | Kind::Batch => return Err(Malformed),
        };
        input.is_empty().then_some(change).ok_or(Malformed)
    }
}

impl BatchSummary {
    /// Adds what a frame of the batch holds.
    pub(super) fn read(&mut self, mut entries: Entries<'_>) -> Result<(), Malformed> {
        for _ in 0..entries.count {
            let entry = entries.next()?;
            let (count, accepted_at) = (entry.count()?, entry.accepted_at()?);
            self.accepted = Accepted::join(self.accepted, Accepted::at(accepted_at));
            if entry.is_for_all() {
                self.for_all.add(count);
            }
            for consumer in entry.wanted() {
                self.wanted.entry(consumer.0).or_default().add(count);
            }
        }
        self.events += u64::from(entries.count);
        if let Some((source, state)) = entries.state {
            self.state = Some(SourceState {
                source: source.into(),
                state: Bytes::copy_from_slice(state),
            });
        }
        Ok(())
    }
}

fn put_cursor(out: &mut Vec<u8>, saved: &CursorSaved) {
    put_number(out, u64::from(saved.consumer));
    put_number(out, saved.cursor);
    saved.passed.put(out);
    put_number(out, saved.dropped);
}

fn read_cursor(input: &mut Input<'_>) -> Result<CursorSaved, Malformed> {
    Ok(CursorSaved {
        consumer: input.small()?,
        cursor: input.number()?,
        passed: Count::read(input)?,
        dropped: input.number()?,
    })
}

fn put_consumer(out: &mut Vec<u8>, consumer: &ConsumerEntry) {
    put_number(out, u64::from(consumer.number));
    put_bytes(out, consumer.name.as_bytes());
    put_number(out, consumer.born);
    put_number(out, consumer.cursor);
    consumer.wanted.put(out);
    consumer.passed.put(out);
    put_number(out, consumer.dropped);
}

fn read_consumer(input: &mut Input<'_>) -> Result<ConsumerEntry, Malformed> {
    Ok(ConsumerEntry {
        number: input.small()?,
        name: input.text()?.into(),
        born: input.number()?,
        cursor: input.number()?,
        wanted: Count::read(input)?,
        passed: Count::read(input)?,
        dropped: input.number()?,
    })
}
