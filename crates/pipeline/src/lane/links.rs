//! The connections of a lane, as the state machine sees them: what is unconfirmed on each.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::window::Ordinal;

/// Numbers the connections of a lane, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LinkId(pub(crate) u64);

/// What a connection is used for at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It takes events as they come.
    Normal,
    /// It takes nothing more and will carry a group that was lost before.
    Reserved,
    /// It carries such a group, and nothing else.
    Group {
        /// How often the group had been lost before.
        losses: u32,
    },
    /// It carries a single suspect, or the question that precedes it.
    Trial,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct LinkState {
    pub(crate) id: LinkId,
    pub(crate) role: Role,
    /// It gets nothing new to do, and is closed when all it carries is confirmed.
    pub(crate) retiring: bool,
    /// The ticket of the last event that was sent.
    last_ticket: u64,
    /// What was sent from the oldest unconfirmed ticket on; `None` where it is confirmed.
    sent: VecDeque<Option<Ordinal>>,
    outstanding: usize,
    /// When it last confirmed something, or was sent something while nothing was outstanding.
    pub(crate) progress: Instant,
    /// When a probe was asked that is not answered.
    pub(crate) probed: Option<Instant>,
}

impl LinkState {
    pub(crate) fn new(id: LinkId, now: Instant) -> LinkState {
        LinkState {
            id,
            role: Role::Normal,
            retiring: false,
            last_ticket: 0,
            sent: VecDeque::new(),
            outstanding: 0,
            progress: now,
            probed: None,
        }
    }

    /// How many events are unconfirmed.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Whether it can be given something to do.
    pub(crate) fn is_free(&self) -> bool {
        self.role == Role::Normal && !self.retiring
    }

    /// Whether nothing is outstanding on it.
    pub(crate) fn is_idle(&self) -> bool {
        self.outstanding == 0 && self.probed.is_none()
    }

    /// Records that an event is sent and returns its ticket.
    pub(crate) fn carry(&mut self, ordinal: Ordinal, now: Instant) -> u64 {
        if self.is_idle() {
            self.progress = now;
        }
        self.outstanding += 1;
        self.last_ticket += 1;
        self.sent.push_back(Some(ordinal));
        self.last_ticket
    }

    /// Everything up to this ticket is confirmed. Returns the events that were not before.
    pub(crate) fn confirm_through(&mut self, through: u64, now: Instant) -> Vec<Ordinal> {
        let first = self.first_ticket();
        let count = (through + 1)
            .saturating_sub(first)
            .min(self.sent.len() as u64);
        let confirmed: Vec<Ordinal> = self.sent.drain(..count as usize).flatten().collect();
        self.outstanding -= confirmed.len();
        if !confirmed.is_empty() {
            self.progress = now;
        }
        confirmed
    }

    /// One event is answered. Returns it, unless it was before.
    pub(crate) fn answer(&mut self, ticket: u64, now: Instant) -> Option<Ordinal> {
        let index = ticket.checked_sub(self.first_ticket())?;
        let ordinal = self.sent.get_mut(index as usize)?.take()?;
        self.outstanding -= 1;
        self.progress = now;
        while self.sent.front().is_some_and(Option::is_none) {
            self.sent.pop_front();
        }
        Some(ordinal)
    }

    /// What is unconfirmed, in the order in which it was sent.
    pub(crate) fn into_unconfirmed(self) -> Vec<Ordinal> {
        self.sent.into_iter().flatten().collect()
    }

    /// When the lane loses patience, if it waits for anything.
    pub(crate) fn deadline(&self, timeout: std::time::Duration) -> Option<Instant> {
        let events = (self.outstanding > 0).then_some(self.progress);
        let since = match (events, self.probed) {
            (Some(events), Some(probed)) => Some(events.max(probed)),
            (events, probed) => events.or(probed),
        };
        since.map(|since| since + timeout)
    }

    fn first_ticket(&self) -> u64 {
        self.last_ticket + 1 - self.sent.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(events: u64) -> (LinkState, Instant) {
        let now = Instant::now();
        let mut link = LinkState::new(LinkId(1), now);
        for ordinal in 100..100 + events {
            link.carry(ordinal, now);
        }
        (link, now)
    }

    #[test]
    fn a_confirmation_covers_everything_before_it_once() {
        let (mut link, now) = link(5);
        assert_eq!(link.confirm_through(3, now), [100, 101, 102]);
        assert_eq!(link.confirm_through(3, now), [] as [u64; 0]);
        assert_eq!(link.confirm_through(2, now), [] as [u64; 0]);
        assert_eq!(link.outstanding(), 2);
        assert_eq!(link.confirm_through(99, now), [103, 104]);
        assert_eq!(link.into_unconfirmed(), [] as [u64; 0]);
    }

    #[test]
    fn answers_may_come_in_any_order_and_count_once() {
        let (mut link, now) = link(4);
        assert_eq!(link.answer(3, now), Some(102));
        assert_eq!(link.answer(3, now), None);
        assert_eq!(link.answer(9, now), None);
        assert_eq!(link.answer(1, now), Some(100));
        assert_eq!(link.answer(1, now), None);
        assert_eq!(link.confirm_through(3, now), [101]);
        assert_eq!(link.into_unconfirmed(), [103]);
    }

    #[test]
    fn patience_starts_with_the_oldest_unconfirmed_event_or_the_last_confirmation() {
        let timeout = std::time::Duration::from_secs(30);
        let second = std::time::Duration::from_secs(1);
        let (mut link, start) = link(0);
        assert_eq!(link.deadline(timeout), None);
        link.carry(1, start + second);
        link.carry(2, start + 2 * second);
        assert_eq!(link.deadline(timeout), Some(start + second + timeout));
        link.confirm_through(1, start + 5 * second);
        assert_eq!(link.deadline(timeout), Some(start + 5 * second + timeout));
        link.confirm_through(2, start + 6 * second);
        assert_eq!(link.deadline(timeout), None);
    }
}
