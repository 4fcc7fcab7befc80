//! Whether there is room for a batch, and who is behind when there is none.
//!
//! What holds space is the oldest record that somebody still wants, so the consumer whose cursor is
//! furthest back is the one that is named, or asked to drop. A consumer that nobody works for never
//! holds anything up: at a bound it loses its oldest events.

use std::collections::BTreeMap;

use super::consumer::Consumer;
use super::entry::count;
use super::ledger::Count;
use super::state::State;
use crate::{Batch, Bound, Lag, Limits, RejectReason, Sequence, Usage};

/// Why there is no room, as far as it decides whether new events may be dropped.
pub(super) enum NoRoom {
    /// The log is full, and no consumer was asked to make room.
    ForAnybody(RejectReason),
    /// Only one consumer is at its bound, or one was asked to drop its oldest, or it is hopeless.
    Otherwise(RejectReason),
}

/// What a batch would take, in all and of each consumer that wants some of it.
pub(super) struct Offer {
    pub(super) events: u64,
    /// In a file.
    pub(super) bytes: u64,
    pub(super) wanted: BTreeMap<u32, Share>,
}

/// What one consumer wants of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub(super) count: Count,
    /// How many records of the batch come before the first that it wants.
    pub(super) before: u64,
}

impl Offer {
    pub(super) fn of(batch: &Batch, bytes: u64) -> Offer {
        let mut wanted = BTreeMap::<u32, Share>::new();
        for (before, draft) in (0..).zip(&batch.drafts) {
            let count = count(draft);
            for consumer in draft.wanted.iter() {
                let first = || Share {
                    count: Count::default(),
                    before,
                };
                let share = wanted.entry(consumer.0).or_insert_with(first);
                share.count.add(count);
            }
        }
        Offer {
            events: batch.drafts.len() as u64,
            bytes,
            wanted,
        }
    }
}

impl State {
    pub(super) fn room_for(&self, offer: &Offer, limits: &Limits) -> Result<(), NoRoom> {
        self.could_ever_fit(offer, limits)
            .map_err(NoRoom::Otherwise)?;
        self.room_in_all(offer, limits)?;
        for (number, share) in &offer.wanted {
            let Some(consumer) = self.consumers.get(number) else {
                continue;
            };
            let Some(limits) = consumer.limits else {
                continue;
            };
            // One event may always be behind, however large it is.
            let lag = consumer.unsettled().lag();
            let over = over(share.count.lag().bytes, lag.bytes, limits.max_lag_bytes);
            if over > 0 && (lag.events > 0 || offer.events > 1) {
                let over = Lag {
                    events: 0,
                    bytes: over,
                };
                return Err(NoRoom::Otherwise(consumer.full(Bound::Lag, over)));
            }
        }
        Ok(())
    }

    fn room_in_all(&self, offer: &Offer, limits: &Limits) -> Result<(), NoRoom> {
        let Some(behind) = self.furthest_behind() else {
            return Ok(());
        };
        let cursor = behind.cursor(self.newest);
        let over_events = over(offer.events, self.taken - cursor, limits.max_events);
        let needed = self.needed_from(cursor) + self.unwritten_bytes + self.base;
        let over_bytes = over(offer.bytes, needed, limits.max_bytes);
        let (bound, to) = if over_events > 0 {
            (Bound::Events, cursor + over_events)
        } else if over_bytes > 0 {
            (Bound::Bytes, self.end_of_first(cursor, over_bytes))
        } else {
            return Ok(());
        };
        let reason = behind.full(bound, self.share(behind, to));
        if behind.makes_room() {
            Err(NoRoom::Otherwise(reason))
        } else {
            Err(NoRoom::ForAnybody(reason))
        }
    }

    /// Says of a batch that is larger than an empty log that waiting cannot help.
    fn could_ever_fit(&self, offer: &Offer, limits: &Limits) -> Result<(), RejectReason> {
        let too_big = |bound, size, limit| {
            if size > limit {
                Err(RejectReason::TooBig { size, limit, bound })
            } else {
                Ok(())
            }
        };
        too_big(Bound::Events, offer.events, limits.max_events)?;
        let limit = limits.max_bytes.saturating_sub(self.base);
        too_big(Bound::Bytes, offer.bytes, limit)?;
        if offer.events > 1 {
            for (number, share) in &offer.wanted {
                let limits = self.consumers.get(number).and_then(|one| one.limits);
                if let Some(limits) = limits {
                    too_big(Bound::Lag, share.count.lag().bytes, limits.max_lag_bytes)?;
                }
            }
        }
        Ok(())
    }

    /// The consumer that holds the most, of those somebody works for.
    fn furthest_behind(&self) -> Option<&Consumer> {
        self.known()
            .filter(|one| one.limits.is_some() && one.is_behind())
            .min_by_key(|one| (one.cursor(self.newest), !one.makes_room()))
    }

    /// The bytes of the files that hold what comes after `cursor`.
    fn needed_from(&self, cursor: Sequence) -> u64 {
        let first = self.segment_of(cursor + 1).unwrap_or(0);
        self.segments
            .range(first..)
            .map(|segment| segment.size)
            .sum()
    }

    /// The record up to which everything after `cursor` must go for `bytes` to become free: files
    /// go as a whole.
    fn end_of_first(&self, cursor: Sequence, bytes: u64) -> Sequence {
        let first = self.segment_of(cursor + 1).unwrap_or(0);
        let mut freed = 0;
        for (index, segment) in self.segments.iter().enumerate().skip(first) {
            freed += segment.size;
            if freed >= bytes {
                return self.newest_in(index);
            }
        }
        self.newest
    }

    /// About what of this consumer's lag lies up to this record: it wants its events evenly, as far
    /// as we know. If it was too little, it will be asked again.
    fn share(&self, consumer: &Consumer, to: Sequence) -> Lag {
        let lag = consumer.unsettled().lag();
        let cursor = consumer.cursor(self.newest);
        let (part, all) = (to.saturating_sub(cursor), self.taken - cursor);
        let of = |whole: u64| {
            let share = u128::from(whole) * u128::from(part.min(all));
            u64::try_from(share.div_ceil(u128::from(all.max(1)))).unwrap_or(whole)
        };
        Lag {
            events: of(lag.events),
            bytes: 0,
        }
    }

    /// What somebody has not settled: events from the oldest of these on, and the files that hold
    /// them.
    pub(super) fn usage(&self) -> Usage {
        let behind = self.known().filter(|one| one.is_behind());
        let cursors = behind.map(|one| one.cursor(self.newest));
        cursors.min().map_or(Usage::default(), |cursor| Usage {
            events: self.taken - cursor,
            bytes: self.needed_from(cursor) + self.unwritten_bytes,
        })
    }
}

/// By how much a bound would be passed.
fn over(size: u64, used: u64, limit: u64) -> u64 {
    (used + size).saturating_sub(limit)
}
