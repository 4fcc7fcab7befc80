//! Which rows to ask for next, and which of them are new. Pure: it knows no clock and no network.
//!
//! Keycloak stamps an event when it happens and shows it when its transaction commits, so rows
//! appear out of time order, and rows of one millisecond have no order at all. Hence three rules:
//!
//! - Every sweep reads again what is younger than `overlap` before the read position; rows that
//!   were seen fall out by their id. A row that appears at most `overlap` after its stamp is found.
//! - Within a sweep, pages follow by the time of the last row and not by offset, so that rows
//!   that appear meanwhile shift nothing. Only where one millisecond fills a whole page does an
//!   offset step through it.
//! - The read position never passes the server's time at the start of the sweep: a row with a
//!   stamp from the future must not move the window past rows that are still to come.
//!
//! Answers have a bound in bytes, so a page that is too large is asked for again with fewer rows.
//! All times are milliseconds since 1970 by Keycloak's clock.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Ids are remembered for so much longer than rows can come again.
const MARGIN: i64 = 1_000;

/// The position in the events of one kind of one realm.
#[derive(Debug)]
pub(super) struct Cursor {
    overlap: i64,
    page_size: usize,
    /// Rows older than this are not wanted.
    floor: i64,
    read: i64,
    /// How many rows to ask for; fewer than a page after an answer that was too large.
    max: usize,
    sweep: Option<Sweep>,
    seen: HashSet<Arc<str>>,
    seen_by_time: BTreeMap<i64, Vec<Arc<str>>>,
    /// The oldest stamp of each handover that is not safe yet.
    unsafe_handovers: BTreeMap<Ticket, i64>,
    next_ticket: u64,
}

/// What to ask the server for: rows in ascending time order, both bounds inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    /// The earliest stamp.
    pub(super) date_from: i64,
    /// How many rows to leave out.
    pub(super) first: usize,
    /// The most rows to return.
    pub(super) max: usize,
}

impl Request {
    /// The oldest row that there is.
    pub(super) const OLDEST: Request = Request {
        date_from: 0,
        first: 0,
        max: 1,
    };
}

/// One row of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row<'r> {
    pub(super) id: &'r str,
    pub(super) time: i64,
}

/// What a page brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The rows that are new, by their index in the answer.
    pub(super) fresh: Vec<usize>,
    /// What to ask next; `None` when the sweep has caught up.
    pub(super) next: Option<Request>,
}

/// Names rows that were handed on together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// A walk from the beginning of the window to the newest row.
#[derive(Debug, Clone, Copy)]
struct Sweep {
    started: i64,
    asked: Request,
}

impl Cursor {
    /// A cursor that has read everything before `position`, except what may still appear.
    pub(super) fn new(position: i64, overlap: i64, page_size: usize) -> Cursor {
        let page_size = page_size.max(1);
        Cursor {
            overlap,
            page_size,
            floor: i64::MIN,
            read: position,
            max: page_size,
            sweep: None,
            seen: HashSet::new(),
            seen_by_time: BTreeMap::new(),
            unsafe_handovers: BTreeMap::new(),
            next_ticket: 0,
        }
    }

    /// Leaves out rows with an earlier stamp.
    pub(super) fn not_before(self, floor: i64) -> Cursor {
        Cursor { floor, ..self }
    }

    /// Leaves out rows with these ids, which were taken before this run.
    pub(super) fn without(mut self, ids: &[String]) -> Cursor {
        for id in ids {
            // They count as young as they can be; it is only a matter of memory.
            self.note(id, self.read);
        }
        self
    }

    /// Everything with an earlier stamp was read, except what may still appear.
    pub(super) fn position(&self) -> i64 {
        self.read
    }

    /// Rows with an earlier stamp are not wanted, if there is such a bound.
    pub(super) fn floor(&self) -> Option<i64> {
        (self.floor > i64::MIN).then_some(self.floor)
    }

    /// The ids of rows that may come again, those with the latest stamps first.
    pub(super) fn newest_ids(&self) -> impl Iterator<Item = &str> {
        let by_time = self.seen_by_time.values().rev();
        by_time.flatten().map(|id| &**id)
    }

    /// Begins a sweep. `now` is the server's time, and must not be later than it really is.
    pub(super) fn begin(&mut self, now: i64) -> Request {
        let date_from = (self.read - self.overlap).max(self.floor).max(0);
        let asked = Request {
            date_from,
            first: 0,
            max: self.max,
        };
        self.sweep = Some(Sweep {
            started: now,
            asked,
        });
        asked
    }

    /// Takes the answer to the last request: says which rows are new and what to ask next.
    pub(super) fn page(&mut self, rows: &[Row<'_>]) -> Page {
        let Some(sweep) = self.sweep.take() else {
            return Page {
                fresh: Vec::new(),
                next: None,
            };
        };
        self.max = sweep.asked.max.saturating_mul(2).min(self.page_size);
        let fresh = (0..rows.len())
            .filter(|index| self.is_new(rows[*index]))
            .collect();
        let Some(last) = rows.last() else {
            return Page { fresh, next: None };
        };
        self.read = self.read.max(last.time.min(sweep.started));
        self.forget_old();
        let next = (rows.len() >= sweep.asked.max).then(|| Request {
            max: self.max,
            ..following(sweep.asked, last.time, rows)
        });
        self.sweep = next.map(|asked| Sweep { asked, ..sweep });
        Page { fresh, next }
    }

    /// What to ask instead of the last request, whose answer is too large: half as many rows.
    /// Later requests grow again. `None` if it was for a single row.
    pub(super) fn fewer(&mut self) -> Option<Request> {
        let sweep = self.sweep.as_mut()?;
        self.max = sweep.asked.max / 2;
        if self.max == 0 {
            self.max = 1;
            return None;
        }
        sweep.asked.max = self.max;
        Some(sweep.asked)
    }

    /// Notes that rows are handed on, of which `oldest` is the earliest stamp.
    pub(super) fn hand_over(&mut self, oldest: i64) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.unsafe_handovers.insert(ticket, oldest);
        ticket
    }

    /// Notes that what was handed on is safe.
    pub(super) fn settled(&mut self, ticket: Ticket) {
        self.unsafe_handovers.remove(&ticket);
    }

    /// The `start-from` with which a next run misses nothing. It reads nothing older than that, so
    /// this is behind everything that is not safe, and by an overlap behind what may still appear.
    pub(super) fn start_from(&self) -> i64 {
        let oldest = self.unsafe_handovers.values().min().copied();
        let position = oldest.unwrap_or(self.read).min(self.read);
        position.saturating_sub(self.overlap).max(self.floor).max(0)
    }

    fn is_new(&mut self, row: Row<'_>) -> bool {
        if row.time < self.floor || self.seen.contains(row.id) {
            return false;
        }
        self.note(row.id, row.time);
        true
    }

    fn note(&mut self, id: &str, time: i64) {
        let id: Arc<str> = Arc::from(id);
        if self.seen.insert(Arc::clone(&id)) {
            self.seen_by_time.entry(time).or_default().push(id);
        }
    }

    /// Forgets ids by time alone: a bound on their number would bring repeats on busy days.
    fn forget_old(&mut self) {
        let oldest = self
            .read
            .saturating_sub(self.overlap)
            .saturating_sub(MARGIN);
        while let Some(entry) = self.seen_by_time.first_entry() {
            if *entry.key() >= oldest {
                return;
            }
            for id in entry.remove() {
                self.seen.remove(&id);
            }
        }
    }
}

/// The request that goes on behind a full page.
fn following(asked: Request, last: i64, rows: &[Row<'_>]) -> Request {
    if last > asked.date_from {
        return Request {
            date_from: last,
            first: 0,
            ..asked
        };
    }
    Request {
        first: asked.first + rows.len(),
        ..asked
    }
}

#[cfg(test)]
mod tests;
