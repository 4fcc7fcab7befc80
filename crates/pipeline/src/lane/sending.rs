//! How waiting events get onto connections: in order, as far as there is room, and of one key
//! only where its unconfirmed events are.

use std::sync::Arc;

use tokio::time::Instant;

use super::core::{Action, Core};
use super::links::{LinkId, LinkState};
use super::window::{Ordinal, Place};
use crate::Outgoing;

enum Choice {
    Link(usize),
    Later,
}

/// What is sent in one go, per connection.
#[derive(Debug, Default)]
pub(crate) struct Batches(Vec<(LinkId, Vec<Outgoing>)>);

impl Batches {
    fn add(&mut self, id: LinkId, outgoing: Outgoing) {
        match self.0.iter_mut().find(|(link, _)| *link == id) {
            Some((_, batch)) => batch.push(outgoing),
            None => self.0.push((id, vec![outgoing])),
        }
    }
}

impl Core {
    /// Whether events are sent as they come; not while a single one is looked at.
    pub(super) fn is_paused(&self) -> bool {
        self.is_stopped() || self.recovery.in_trial() || self.refusals.is_offering()
    }

    /// Puts waiting events on connections, in order, as far as there is room.
    pub(super) fn pump(&mut self, now: Instant) {
        self.wants_more = false;
        if self.is_paused() {
            return;
        }
        self.scan += 1;
        let mut batches = Batches::default();
        self.pump_retries(&mut batches, now);
        let waiting = self.window.waiting.len();
        let mut kept = Vec::new();
        for _ in 0..waiting {
            if !self.has_room() {
                break;
            }
            let Some(ordinal) = self.window.waiting.pop_front() else {
                break;
            };
            if self.window.place(ordinal) != Place::Waiting {
                continue;
            }
            match self.choose(ordinal) {
                Choice::Link(index) => self.put(ordinal, index, &mut batches, now),
                Choice::Later => kept.push(ordinal),
            }
        }
        for ordinal in kept.into_iter().rev() {
            self.window.waiting.push_front(ordinal);
        }
        self.wants_more = !self.has_room() && !self.window.waiting.is_empty();
        for (id, batch) in batches.0 {
            self.actions.push(Action::Send(id, batch));
        }
    }

    /// Events that were refused and whose wait is over go before those that wait.
    fn pump_retries(&mut self, batches: &mut Batches, now: Instant) {
        for ordinal in self.refusals.take_ready() {
            let place = self.window.place(ordinal);
            if place != Place::Held {
                continue;
            }
            match self.roomiest() {
                Some(index) => {
                    self.counts.retries += 1;
                    self.put(ordinal, index, batches, now);
                }
                None => self.refusals.put_back(ordinal),
            }
        }
    }

    fn has_room(&self) -> bool {
        self.links.iter().any(|link| self.takes(link))
    }

    fn takes(&self, link: &LinkState) -> bool {
        link.is_free() && link.outstanding() < self.settings.lane.per_connection()
    }

    /// Where this event goes now.
    fn choose(&mut self, ordinal: Ordinal) -> Choice {
        let Some(item) = self.window.item(ordinal) else {
            return Choice::Later;
        };
        if !self.window.is_ordered() {
            return self.roomiest().map_or(Choice::Later, Choice::Link);
        }
        let key = item.key;
        let (scan, one_per_key) = (self.scan, self.settings.lane.one_per_key);
        let state = *self.window.key_state(key);
        let last = state
            .link
            .and_then(|id| self.links.iter().position(|link| link.id == id));
        let last = last.filter(|index| self.takes(&self.links[*index]));
        let choice = match (state.on, last) {
            _ if state.passed_over == scan || state.held > 0 => None,
            (1.., _) if one_per_key => None,
            (0, None) => self.roomiest(),
            (_, last) => last,
        };
        if choice.is_none() {
            self.window.key_state(key).passed_over = scan;
        }
        choice.map_or(Choice::Later, Choice::Link)
    }

    /// The connection that takes events and carries least.
    fn roomiest(&self) -> Option<usize> {
        let taking = self
            .links
            .iter()
            .enumerate()
            .filter(|(_, link)| self.takes(link));
        taking
            .min_by_key(|(_, link)| link.outstanding())
            .map(|(index, _)| index)
    }

    /// Puts an event on a connection.
    pub(super) fn put(
        &mut self,
        ordinal: Ordinal,
        index: usize,
        batches: &mut Batches,
        now: Instant,
    ) {
        let link = &mut self.links[index];
        let ticket = link.carry(ordinal, now);
        let id = link.id;
        self.window.move_to(ordinal, Place::On(id));
        if let Some(item) = self.window.item_mut(ordinal) {
            item.sent = item.sent.saturating_add(1);
            batches.add(
                id,
                Outgoing {
                    ticket,
                    prepared: item.prepared.clone(),
                    record: Arc::clone(&item.record),
                    attempt: item.sent,
                },
            );
        }
    }

    /// Sends these events, and nothing else, on this connection.
    pub(super) fn send_alone(&mut self, ordinals: &[Ordinal], index: usize, now: Instant) {
        let mut batches = Batches::default();
        for ordinal in ordinals {
            self.put(*ordinal, index, &mut batches, now);
        }
        for (id, batch) in batches.0 {
            self.actions.push(Action::Send(id, batch));
        }
    }
}
