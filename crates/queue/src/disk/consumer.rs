//! One consumer of the log: how far it has come, and what it has not settled.
//!
//! Nothing is kept of what it has not read yet but how much there is; between its cursor and the
//! point up to which it has read stands one small entry for each record that it wants.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;

use tokio::sync::watch;

use super::ledger::{ConsumerEntry, Count, CursorSaved};
use crate::{Bound, ConsumerLimits, RejectReason, Sequence, Shed, WhenLagging};

/// A record that the consumer has been given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    pub(super) sequence: Sequence,
    pub(super) size: u64,
    pub(super) accepted_at: i64,
    settled: bool,
}

impl Given {
    pub(super) fn new(sequence: Sequence, size: u64, accepted_at: i64) -> Given {
        Given {
            sequence,
            size,
            accepted_at,
            settled: false,
        }
    }

    fn count(&self) -> Count {
        Count {
            events: 1,
            size: self.size,
        }
    }
}

#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) number: u32,
    pub(super) name: Arc<str>,
    /// Up to here it wants whatever is for all routes; beyond, what names it.
    pub(super) born: Sequence,
    /// Its bounds, while somebody works for it.
    pub(super) limits: Option<ConsumerLimits>,
    pub(super) forgotten: bool,
    /// Whether the log on disk knows it.
    pub(super) stored: bool,
    /// What was given and is not passed, in order.
    window: VecDeque<Given>,
    /// Every record up to here that it wants was given.
    known: Sequence,
    /// All it ever wanted, what of that is passed, and what is settled beyond that.
    wanted: Count,
    passed: Count,
    beyond: Count,
    pub(super) dropped: u64,
    /// The cursor that was written last.
    pub(super) written: Sequence,
    pub(super) shed: watch::Sender<Shed>,
}

impl Consumer {
    pub(super) fn new(entry: &ConsumerEntry, stored: bool) -> Consumer {
        Consumer {
            number: entry.number,
            name: Arc::clone(&entry.name),
            born: entry.born,
            limits: None,
            forgotten: false,
            stored,
            window: VecDeque::new(),
            known: entry.cursor,
            wanted: entry.wanted,
            passed: entry.passed,
            beyond: Count::default(),
            dropped: entry.dropped,
            written: entry.cursor,
            shed: watch::Sender::new(Shed::default()),
        }
    }

    /// What it has not settled.
    pub(super) fn unsettled(&self) -> Count {
        self.wanted.without(self.passed).without(self.beyond)
    }

    /// Whether it still waits for something.
    pub(super) fn is_behind(&self) -> bool {
        !self.forgotten && self.unsettled().events > 0
    }

    /// It wants nothing more up to here. `newest` is the newest record that can be read.
    pub(super) fn cursor(&self, newest: Sequence) -> Sequence {
        let cursor = match self.window.front() {
            Some(first) => first.sequence - 1,
            None if self.unsettled().events == 0 => newest,
            None => self.known,
        };
        cursor.min(newest)
    }

    /// The cursor as it is to be saved.
    pub(super) fn position(&self, newest: Sequence) -> CursorSaved {
        CursorSaved {
            consumer: self.number,
            cursor: self.cursor(newest),
            passed: self.passed,
            dropped: self.dropped,
        }
    }

    /// Every record up to here that it wants was given.
    pub(super) fn known(&self) -> Sequence {
        self.known
    }

    /// When the oldest that it has not settled was accepted, if it was given.
    pub(super) fn oldest_accepted_at(&self) -> Option<i64> {
        self.window.front().map(|given| given.accepted_at)
    }

    /// There is this much more for it, from `first` on.
    pub(super) fn offer(&mut self, first: Sequence, count: Count) {
        if self.unsettled().events == 0 {
            // Nothing between what it knows and that is for it.
            self.known = self.known.max(first - 1);
        }
        self.wanted.add(count);
    }

    /// The records that it wants of those from `from` up to `to`, which were read.
    pub(super) fn give(&mut self, given: &[Given], from: Sequence, to: Sequence) {
        if from > self.known + 1 || to <= self.known {
            return;
        }
        let known = self.known;
        let new = given.iter().filter(|one| one.sequence > known);
        self.window.extend(new);
        self.known = to;
    }

    /// Those that it has settled out of order, from `from` on.
    pub(super) fn settled_from(&self, from: Sequence) -> Vec<Sequence> {
        let start = self.window.partition_point(|given| given.sequence < from);
        let settled = self.window.range(start..).filter(|given| given.settled);
        settled.map(|given| given.sequence).collect()
    }

    /// Settles what is known in this range. Returns how many events that were.
    pub(super) fn settle(&mut self, range: &RangeInclusive<Sequence>) -> u64 {
        let start = self
            .window
            .partition_point(|given| given.sequence < *range.start());
        let mut fresh = 0;
        for given in self.window.range_mut(start..) {
            if given.sequence > *range.end() {
                break;
            }
            if !given.settled {
                given.settled = true;
                self.beyond.add(given.count());
                fresh += 1;
            }
        }
        self.pass_settled();
        fresh
    }

    /// Passes what is settled at the beginning of the window.
    fn pass_settled(&mut self) {
        while let Some(first) = self.window.front().filter(|given| given.settled) {
            self.passed.add(first.count());
            self.beyond = self.beyond.without(first.count());
            self.window.pop_front();
        }
    }

    /// Passes everything up to `cursor`, by when it had wanted `wanted` ever. Returns how many
    /// events it loses by that.
    pub(super) fn lose(&mut self, cursor: Sequence, wanted: Count) -> u64 {
        let before = self.unsettled();
        while let Some(first) = self.window.front().filter(|given| given.sequence <= cursor) {
            if first.settled {
                self.beyond = self.beyond.without(first.count());
            }
            self.window.pop_front();
        }
        self.passed = wanted;
        self.known = self.known.max(cursor);
        self.pass_settled();
        let lost = before.without(self.unsettled()).events;
        self.dropped += lost;
        lost
    }

    /// Wants nothing any more.
    pub(super) fn forget(&mut self) {
        self.forgotten = true;
        self.limits = None;
        self.window = VecDeque::new();
        self.passed = self.wanted;
        self.beyond = Count::default();
    }

    /// Whether it drops its oldest events rather than hold the others up.
    pub(super) fn makes_room(&self) -> bool {
        let limits = self.limits.as_ref();
        limits.is_some_and(|limits| limits.when_full == WhenLagging::DropOldest)
    }

    /// The reason that names this consumer; where it prefers to drop, it is asked to drop `over`.
    pub(super) fn full(&self, bound: Bound, over: crate::Lag) -> RejectReason {
        let lag = self.unsettled().lag();
        if self.makes_room() {
            self.shed.send_modify(|shed| {
                shed.request += 1;
                shed.to_bytes = lag.bytes.saturating_sub(over.bytes);
                shed.to_events = lag.events.saturating_sub(over.events);
            });
        }
        RejectReason::Full {
            route: Arc::clone(&self.name),
            lag,
            bound,
            makes_room: self.makes_room(),
        }
    }
}
