//! What becomes of events that the receiver refused.
//!
//! Each is offered again after `retry.wait-duration`, up to `retry.max-attempts` times in all, and
//! then becomes a dead letter. When refusals come in a row the receiver is taken to be broken, not
//! the events: then one event at a time is offered, with growing waits and without counting, until
//! one is accepted.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;
use super::core::Core;
use super::links::LinkState;
use super::window::{Ordinal, Place};
use crate::FailureReason;

/// Refused events, and how many refusals there were in a row.
#[derive(Debug)]
pub(crate) struct Refusals {
    /// Until when each waits; in the order of their refusal, which is that of their waits.
    resting: VecDeque<(Instant, Ordinal)>,
    /// Those whose wait is over.
    ready: VecDeque<Ordinal>,
    in_a_row: u32,
    offering: Option<Offering>,
    /// Whether the next event that is offered is one that was never refused.
    fresh_next: bool,
    backoff: Backoff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offering {
    /// Until then nothing is offered.
    Waiting(Instant),
    /// This one is on its way.
    Sent(Ordinal),
}

impl Refusals {
    pub(crate) fn new(backoff: Backoff) -> Refusals {
        Refusals {
            resting: VecDeque::new(),
            ready: VecDeque::new(),
            in_a_row: 0,
            offering: None,
            fresh_next: true,
            backoff,
        }
    }

    pub(crate) fn is_offering(&self) -> bool {
        self.offering.is_some()
    }

    /// Whether no refused event waits for its next try.
    pub(crate) fn is_empty(&self) -> bool {
        self.resting.is_empty() && self.ready.is_empty() && self.offering.is_none()
    }

    /// Something was accepted: the receiver is well.
    pub(crate) fn accepted(&mut self) {
        self.in_a_row = 0;
        self.offering = None;
        self.backoff.reset();
    }

    /// Counts a failure that may be the receiver's, and says whether there were too many in a row.
    pub(crate) fn count_one(&mut self, max_consecutive: u32) -> bool {
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.in_a_row >= max_consecutive
    }

    pub(crate) fn next_wait(&mut self) -> Duration {
        self.backoff.next()
    }

    pub(crate) fn take_due(&mut self, now: Instant) {
        while let Some((until, ordinal)) = self.resting.front() {
            if *until > now {
                break;
            }
            self.ready.push_back(*ordinal);
            self.resting.pop_front();
        }
    }

    pub(crate) fn take_ready(&mut self) -> VecDeque<Ordinal> {
        std::mem::take(&mut self.ready)
    }

    pub(crate) fn put_back(&mut self, ordinal: Ordinal) {
        self.ready.push_back(ordinal);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.offering {
            Some(Offering::Waiting(until)) => Some(until),
            Some(Offering::Sent(_)) => None,
            None => self.resting.front().map(|(until, _)| *until),
        }
    }
}

impl Core {
    /// The receiver refused an event.
    pub(super) fn refused(&mut self, ordinal: Ordinal, detail: String, now: Instant) {
        self.window.move_to(ordinal, Place::Held);
        let broken = self.refusals.count_one(self.settings.max_consecutive);
        let rest = now + self.settings.retry_wait;
        if broken {
            self.refusals.ready.push_back(ordinal);
            // Those that were on their way when it broke are refused too, and change nothing.
            if !matches!(self.refusals.offering, Some(Offering::Waiting(_))) {
                let wait = self.refusals.next_wait();
                self.refusals.offering = Some(Offering::Waiting(now + wait));
            }
            return;
        }
        let Some(item) = self.window.item_mut(ordinal) else {
            return;
        };
        item.attempts += 1;
        if item.attempts < self.settings.max_attempts {
            self.refusals.resting.push_back((rest, ordinal));
        } else {
            self.doom(ordinal, FailureReason::Refused, detail);
        }
    }

    /// Offers the oldest refused event to a receiver that seems broken, when it is time.
    pub(super) fn drive_offering(&mut self, now: Instant) {
        if let Some(Offering::Sent(ordinal)) = self.refusals.offering
            && !matches!(self.window.place(ordinal), Place::On(_))
        {
            // It failed in a way that says nothing of the receiver: the next one is offered.
            self.refusals.offering = Some(Offering::Waiting(now));
        }
        let Some(Offering::Waiting(until)) = self.refusals.offering else {
            return;
        };
        let quiet = self.links.iter().all(|link| link.outstanding() == 0);
        if until > now || !quiet || self.is_stopped() || self.recovery.in_trial() {
            return;
        }
        let Some(index) = self.links.iter().position(LinkState::is_free) else {
            return;
        };
        let Some(next) = self.next_to_offer() else {
            // Everything that was refused has gone another way: what waits is sent as it comes.
            self.refusals.offering = None;
            self.refusals.in_a_row = 0;
            return;
        };
        self.refusals.offering = Some(Offering::Sent(next));
        self.counts.retries += 1;
        self.send_alone(&[next], index, now);
    }

    /// Each refused event in turn, and in between one that was never refused: the receiver may
    /// be well, and only these be bad.
    fn next_to_offer(&mut self) -> Option<Ordinal> {
        let refusals = &mut self.refusals;
        let resting = refusals.resting.drain(..).map(|(_, ordinal)| ordinal);
        refusals.ready.extend(resting);
        let window = &self.window;
        refusals
            .ready
            .retain(|ordinal| window.place(*ordinal) == Place::Held);
        refusals.fresh_next = !refusals.fresh_next;
        if refusals.fresh_next
            && let Some(fresh) = self.window.first_unhindered()
        {
            return Some(fresh);
        }
        self.refusals.ready.pop_front()
    }

    /// Whether the lost connection carried the event that was offered alone: it is offered again.
    pub(super) fn offer_lost(&mut self, unconfirmed: &[Ordinal], now: Instant) -> bool {
        let Some(Offering::Sent(ordinal)) = self.refusals.offering else {
            return false;
        };
        if unconfirmed != [ordinal] {
            return false;
        }
        self.refusals.ready.push_back(ordinal);
        self.refusals.offering = Some(Offering::Waiting(now));
        true
    }
}
