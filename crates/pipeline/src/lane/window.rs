//! The events between a lane's cursor and its read position, and where each of them is.
//!
//! Events are numbered densely as they are read; the window is a ring over those numbers, so that
//! every step of an event costs a few array accesses. Keys are kept as hashes: two keys that
//! collide share their order, which is stricter than promised and never wrong.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::ops::RangeInclusive;
use std::sync::Arc;

use kete_queue::{Record, Sequence};

use super::links::LinkId;
use super::settings::Ordering;
use crate::Prepared;

/// Numbers the events of a lane as they are read, without gaps.
pub(crate) type Ordinal = u64;

/// Where an event of the window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It has not been sent, or waits to be sent in turn.
    Waiting,
    /// It was sent there and is not confirmed.
    On(LinkId),
    /// It was sent before, and waits for its next try. Later events of its key wait with it.
    Held,
    /// It is becoming a dead letter.
    Doomed,
    /// It is done with; those before it are not.
    Settled,
}

/// One event of the window.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) record: Arc<Record>,
    pub(crate) prepared: Prepared,
    pub(crate) key: u64,
    pub(crate) cost: u64,
    pub(crate) place: Place,
    /// How often it failed in a way that counts.
    pub(crate) attempts: u32,
    /// How often it was put on a connection.
    pub(crate) sent: u32,
}

/// What the window knows of the events of one key.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct KeyState {
    /// The connection that last carried it.
    pub(crate) link: Option<LinkId>,
    /// How many of its events are on that connection.
    pub(crate) on: u32,
    /// How many of its events are held.
    pub(crate) held: u32,
    /// The last scan of the waiting events that passed one of its events over.
    pub(crate) passed_over: u64,
}

impl KeyState {
    fn is_idle(&self) -> bool {
        self.on == 0 && self.held == 0
    }
}

/// Keys are hashes already.
#[derive(Debug, Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        debug_assert!(false, "keys are numbers");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// How many idle keys are remembered for the sake of the connection that last carried them.
const IDLE_KEYS: usize = 16_384;

/// The window.
#[derive(Debug)]
pub(crate) struct Window {
    ordering: Ordering,
    first: Ordinal,
    items: VecDeque<Item>,
    bytes: u64,
    keys: HashMap<u64, KeyState, BuildHasherDefault<Identity>>,
    /// The waiting events in order; some may have been settled since.
    pub(crate) waiting: VecDeque<Ordinal>,
    settled: Vec<RangeInclusive<Sequence>>,
}

impl Window {
    pub(crate) fn new(ordering: Ordering) -> Window {
        Window {
            ordering,
            first: 0,
            items: VecDeque::new(),
            bytes: 0,
            keys: HashMap::default(),
            waiting: VecDeque::new(),
            settled: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether events have a key at all.
    pub(crate) fn is_ordered(&self) -> bool {
        self.ordering != Ordering::None
    }

    /// The oldest event that is not settled.
    pub(crate) fn oldest(&self) -> Option<&Item> {
        self.items.front()
    }

    pub(crate) fn push(&mut self, record: Arc<Record>, prepared: Prepared) -> Ordinal {
        let ordinal = self.first + self.items.len() as u64;
        let cost = record.cost();
        let key = self.key(&record);
        self.bytes += cost;
        let place = Place::Waiting;
        self.items.push_back(Item {
            record,
            prepared,
            key,
            cost,
            place,
            attempts: 0,
            sent: 0,
        });
        self.waiting.push_back(ordinal);
        ordinal
    }

    fn key(&self, record: &Record) -> u64 {
        let mut hasher = DefaultHasher::new();
        match self.ordering {
            Ordering::User => record.header.ordering_key.hash(&mut hasher),
            Ordering::Realm => record.header.metadata.realm.hash(&mut hasher),
            Ordering::Total | Ordering::None => {}
        }
        hasher.finish()
    }

    /// The event of this number, unless it was settled long ago.
    pub(crate) fn item(&self, ordinal: Ordinal) -> Option<&Item> {
        self.items.get(ordinal.checked_sub(self.first)? as usize)
    }

    pub(crate) fn item_mut(&mut self, ordinal: Ordinal) -> Option<&mut Item> {
        self.items
            .get_mut(ordinal.checked_sub(self.first)? as usize)
    }

    pub(crate) fn place(&self, ordinal: Ordinal) -> Place {
        self.item(ordinal).map_or(Place::Settled, |item| item.place)
    }

    pub(crate) fn key_state(&mut self, key: u64) -> &mut KeyState {
        self.keys.entry(key).or_default()
    }

    /// Moves an event, and keeps the counts of its key.
    pub(crate) fn move_to(&mut self, ordinal: Ordinal, place: Place) {
        let Some(item) = self.item_mut(ordinal) else {
            return;
        };
        let (before, key) = (std::mem::replace(&mut item.place, place), item.key);
        if !self.is_ordered() {
            return;
        }
        let state = self.keys.entry(key).or_default();
        match before {
            Place::On(_) => state.on = state.on.saturating_sub(1),
            Place::Held => state.held = state.held.saturating_sub(1),
            _ => {}
        }
        match place {
            Place::On(link) => {
                state.on += 1;
                state.link = Some(link);
            }
            Place::Held => state.held += 1,
            _ => {}
        }
    }

    /// Settles an event. Its place in the ring is freed when all before it are settled too.
    pub(crate) fn settle(&mut self, ordinal: Ordinal) {
        let Some(item) = self.item(ordinal) else {
            return;
        };
        if item.place == Place::Settled {
            return;
        }
        let sequence = item.record.sequence;
        self.move_to(ordinal, Place::Settled);
        self.settle_sequences(sequence..=sequence);
        while self
            .items
            .front()
            .is_some_and(|item| item.place == Place::Settled)
        {
            if let Some(item) = self.items.pop_front() {
                self.bytes -= item.cost;
            }
            self.first += 1;
        }
    }

    /// The first waiting event whose key has nothing that must go before it.
    pub(crate) fn first_unhindered(&self) -> Option<Ordinal> {
        let unhindered = |ordinal: &&Ordinal| {
            let item = self.item(**ordinal);
            item.is_some_and(|item| {
                let idle = self.keys.get(&item.key).is_none_or(KeyState::is_idle);
                item.place == Place::Waiting && (idle || !self.is_ordered())
            })
        };
        self.waiting.iter().find(unhindered).copied()
    }

    /// Forgets waiting events at the front that wait no longer, because they were dropped.
    pub(crate) fn trim_waiting(&mut self) {
        while let Some(first) = self.waiting.front()
            && self.place(*first) != Place::Waiting
        {
            self.waiting.pop_front();
        }
    }

    /// Settles records that never were in the window.
    pub(crate) fn settle_sequences(&mut self, range: RangeInclusive<Sequence>) {
        if let Some(last) = self.settled.last_mut()
            && *last.end() + 1 == *range.start()
        {
            *last = *last.start()..=*range.end();
            return;
        }
        self.settled.push(range);
    }

    /// What was settled since this was last asked.
    pub(crate) fn take_settled(&mut self) -> Vec<RangeInclusive<Sequence>> {
        std::mem::take(&mut self.settled)
    }

    /// Forgets which connection carried keys that have nothing unsettled, when there are many.
    pub(crate) fn forget_idle_keys(&mut self) {
        if self.keys.len() > IDLE_KEYS + 2 * self.items.len() {
            self.keys.retain(|_, state| !state.is_idle());
        }
    }

    /// The oldest events that are on no connection and not becoming dead letters.
    pub(crate) fn droppable(&self) -> impl Iterator<Item = (Ordinal, u64)> {
        let numbered = (self.first..).zip(&self.items);
        numbered
            .filter(|(_, item)| matches!(item.place, Place::Waiting | Place::Held))
            .map(|(ordinal, item)| (ordinal, item.cost))
    }
}
