//! The state machine of a lane, without I/O: what happened goes in with the time, what is to be
//! done comes out as [`Action`]s.
//!
//! Invariants: an event is on one connection at most; of one key, nothing is sent anywhere but
//! where its unconfirmed events are; a settled event is never sent again; nothing is settled but
//! by a confirmation, a stored dead letter, or a policy that drops.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use kete_queue::{Record, Sequence};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::deliveries::{Deliveries, Done, Outcome};
use super::links::{LinkId, LinkState, Role};
use super::recovery::Recovery;
use super::refusals::Refusals;
use super::settings::LaneSettings;
use super::window::{Ordinal, Place, Window};
use crate::{
    ConnectFailure, ConnectFailureKind, ConnectionEvent, EventFailure, FailureReason, Outgoing,
    Prepared,
};

/// How long an additional connection may be idle before it is given back.
const IDLE_BEFORE_RELEASE: Duration = Duration::from_secs(5);

/// The most bytes that are read ahead while there is no connection.
const UNCONNECTED_BYTES: u64 = 64 << 10;

/// What the driver is to do.
#[derive(Debug)]
pub(crate) enum Action {
    /// Open a connection and say how that went.
    Connect,
    /// Hand these events to the connection.
    Send(LinkId, Vec<Outgoing>),
    /// Ask the connection whether the server answers at all.
    Probe(LinkId),
    /// Give the connection back.
    Release(LinkId),
    /// Close the connection so that the server handles what was sent.
    Close(LinkId),
    /// Drop the connection.
    Abort(LinkId),
    /// Store the event as a dead letter and say when that is done.
    DeadLetter(Doomed),
}

/// An event that is to become a dead letter.
#[derive(Debug)]
pub(crate) struct Doomed {
    pub(crate) ordinal: Ordinal,
    pub(crate) record: Arc<Record>,
    pub(crate) reason: FailureReason,
    pub(crate) detail: String,
    pub(crate) attempts: u32,
    /// How often it was handed to a connection.
    pub(crate) sent: u32,
}

/// What the core counts; the driver turns it into metrics.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) forwarded: u64,
    pub(crate) resent: u64,
    pub(crate) retries: u64,
}

/// Everything that does not change while a lane runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CoreSettings {
    pub(crate) lane: LaneSettings,
    pub(crate) max_connections: usize,
    /// Whether it has a connection only while it has something to send; else it keeps one always.
    pub(crate) lazy: bool,
    pub(crate) max_attempts: u32,
    pub(crate) retry_wait: Duration,
    pub(crate) max_consecutive: u32,
    pub(crate) deliveries: Deliveries,
}

/// The state of a lane.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) settings: CoreSettings,
    pub(super) window: Window,
    pub(super) links: Vec<LinkState>,
    pub(super) recovery: Recovery,
    pub(super) refusals: Refusals,
    pub(super) actions: Vec<Action>,
    pub(super) counts: Counts,
    /// Events that are done with and have a line in the log.
    done: Vec<Done>,
    pub(super) reconnect: Backoff,
    pub(super) growth: Backoff,
    next_link: u64,
    connecting: bool,
    connect_at: Option<Instant>,
    grow_at: Option<Instant>,
    pub(super) wants_more: bool,
    /// A dead letter cannot be stored: nothing more is sent until it can.
    blocked: bool,
    ending: bool,
    idle_since: Option<Instant>,
    /// When [`advance`](Core::advance) last did all that was due.
    advanced_at: Option<Instant>,
    pub(super) scan: u64,
}

impl Core {
    pub(crate) fn new(settings: CoreSettings) -> Core {
        let lane = &settings.lane;
        Core {
            window: Window::new(lane.ordering),
            links: Vec::new(),
            recovery: Recovery::default(),
            refusals: Refusals::new(Backoff::new(lane.initial_delay, lane.max_delay)),
            actions: Vec::new(),
            counts: Counts::default(),
            done: Vec::new(),
            reconnect: Backoff::new(lane.initial_delay, lane.max_delay),
            growth: Backoff::new(lane.initial_delay, lane.max_delay),
            next_link: 0,
            connecting: false,
            connect_at: None,
            grow_at: None,
            wants_more: false,
            blocked: false,
            ending: false,
            idle_since: None,
            advanced_at: None,
            scan: 0,
            settings,
        }
    }

    // === what happened ===

    /// The queue had this record, and the destination made this of it.
    pub(crate) fn read(&mut self, record: Arc<Record>, prepared: Result<Prepared, EventFailure>) {
        match prepared {
            Ok(prepared) => {
                self.window.push(record, prepared);
            }
            Err(failure) => {
                let nothing = Prepared {
                    subject: Arc::from(""),
                    payload: bytes::Bytes::new(),
                };
                let ordinal = self.window.push(record, nothing);
                let (reason, detail) = permanent(failure);
                self.doom(ordinal, reason, detail);
            }
        }
    }

    /// A connection is open. Returns its name.
    pub(crate) fn connected(&mut self, now: Instant) -> LinkId {
        self.next_link += 1;
        let id = LinkId(self.next_link);
        self.links.push(LinkState::new(id, now));
        self.connecting = false;
        self.connect_at = None;
        self.grow_at = None;
        self.growth.reset();
        id
    }

    /// No connection could be opened. Returns when it is tried again.
    pub(crate) fn connect_failed(&mut self, failure: &ConnectFailure, now: Instant) -> Instant {
        self.connecting = false;
        let backoff = if self.links.is_empty() {
            &mut self.reconnect
        } else {
            &mut self.growth
        };
        let mut wait = backoff.next();
        if failure.kind == ConnectFailureKind::Unauthorized {
            wait = wait.max(self.settings.lane.auth_failure_delay);
        }
        let again = now + wait;
        if self.links.is_empty() {
            self.connect_at = Some(again);
        } else {
            self.grow_at = Some(again);
        }
        again
    }

    /// A connection reports something. Returns whether there is such a connection.
    pub(crate) fn event(&mut self, id: LinkId, event: ConnectionEvent, now: Instant) -> bool {
        let Some(link) = self.links.iter_mut().find(|link| link.id == id) else {
            return false;
        };
        match event {
            ConnectionEvent::Confirmed { through } => {
                let confirmed = link.confirm_through(through, now);
                self.accepted(&confirmed);
            }
            ConnectionEvent::Acknowledged { tickets } => {
                let answered = tickets
                    .into_iter()
                    .filter_map(|ticket| link.answer(ticket, now));
                let answered: Vec<Ordinal> = answered.collect();
                self.accepted(&answered);
            }
            ConnectionEvent::Failed { ticket, failure } => {
                if let Some(ordinal) = link.answer(ticket, now) {
                    self.failed(ordinal, failure, now);
                }
            }
            ConnectionEvent::Proven => {
                link.probed = None;
                self.reconnect.reset();
                self.proven(id, now);
            }
            ConnectionEvent::Retire => link.retiring = true,
            ConnectionEvent::Lost(failure) => self.lost(id, &failure, now),
        }
        true
    }

    /// The dead letter is stored: the cursor may pass it.
    pub(crate) fn dead_letter_stored(&mut self, ordinal: Ordinal) {
        self.window.settle(ordinal);
    }

    /// Whether dead letters can be stored at the moment.
    pub(crate) fn set_blocked(&mut self, blocked: bool) {
        self.blocked = blocked;
    }

    /// Nothing more is sent; what is on connections is waited for.
    pub(crate) fn end(&mut self) {
        self.ending = true;
    }

    /// Drops the oldest events that are on no connection, until `excess` says that it is enough.
    /// Returns how many.
    pub(crate) fn drop_oldest(&mut self, mut bytes: u64, mut events: u64) -> u64 {
        let mut chosen = Vec::new();
        for (ordinal, cost) in self.window.droppable() {
            if bytes == 0 && events == 0 {
                break;
            }
            bytes = bytes.saturating_sub(cost);
            events = events.saturating_sub(1);
            chosen.push(ordinal);
        }
        for ordinal in &chosen {
            self.done(*ordinal, Outcome::Dropped);
        }
        chosen.len() as u64
    }

    /// No connection takes new events any more; each is closed when all it carries is confirmed.
    pub(crate) fn retire_all(&mut self) {
        for link in &mut self.links {
            link.retiring = true;
        }
    }

    // === what follows from it ===

    /// Does everything that the state allows now. Called after whatever happened.
    pub(crate) fn advance(&mut self, now: Instant) {
        self.advanced_at = Some(now);
        self.window.trim_waiting();
        self.time_out(now);
        self.close_retired();
        self.refusals.take_due(now);
        self.drive_recovery(now);
        self.drive_offering(now);
        self.pump(now);
        self.connect_if_needed(now);
        self.release_idle(now);
        self.window.forget_idle_keys();
    }

    /// What is to be done since this was last asked.
    pub(crate) fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// What was counted since this was last asked.
    pub(crate) fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// When [`advance`](Core::advance) is to be called even if nothing happens. What was due when
    /// it was last called waits for something else to happen, not for time.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let timeout = self.settings.lane.confirm_timeout;
        let links = self.links.iter().filter_map(|link| link.deadline(timeout));
        let grow = self.grow_at.filter(|_| self.wants_more);
        let release = self.idle_since.map(|since| since + IDLE_BEFORE_RELEASE);
        let own = [
            self.connect_at,
            grow,
            release,
            self.recovery.deadline(),
            self.refusals.deadline(),
        ];
        let ahead = |at: &Instant| Some(*at) > self.advanced_at;
        links.chain(own.into_iter().flatten()).filter(ahead).min()
    }

    /// How many more events, and how many bytes of them, may be read. Without a connection that is
    /// little: what waits anyway can wait in the queue, and many dead routes must not fill memory.
    pub(crate) fn room(&self) -> (usize, u64) {
        let lane = &self.settings.lane;
        let most = match self.links.is_empty() {
            true => lane.max_in_flight_bytes.min(UNCONNECTED_BYTES),
            false => lane.max_in_flight_bytes,
        };
        let events = lane.max_in_flight.saturating_sub(self.window.len());
        let bytes = most.saturating_sub(self.window.bytes());
        if self.window.len() == 0 {
            return (events.max(1), bytes.max(1));
        }
        if bytes == 0 { (0, 0) } else { (events, bytes) }
    }

    /// Whether nothing may be sent: a dead letter cannot be stored, or the lane ends.
    pub(super) fn is_stopped(&self) -> bool {
        self.blocked || self.ending
    }

    /// What was settled since this was last asked.
    pub(crate) fn take_settled(&mut self) -> Vec<RangeInclusive<Sequence>> {
        self.window.take_settled()
    }

    /// What became of events that have a line in the log, since this was last asked.
    pub(crate) fn take_done(&mut self) -> Vec<Done> {
        std::mem::take(&mut self.done)
    }

    /// Settles records that the route does not want, or that are gone.
    pub(crate) fn settle_sequences(&mut self, range: RangeInclusive<Sequence>) {
        self.window.settle_sequences(range);
    }

    /// When the oldest unsettled event was accepted, in milliseconds since 1970.
    pub(crate) fn oldest_accepted_at(&self) -> Option<i64> {
        self.window
            .oldest()
            .map(|item| item.record.header.accepted_at)
    }

    /// The failure of a connection that confirms nothing.
    pub(crate) fn no_confirmation(&self) -> ConnectFailure {
        let timeout = self.settings.lane.confirm_timeout;
        let message = format!(
            "the server confirmed nothing for {timeout:?} (destination.confirm.timeout); it may \
             hang, or with confirm=ack no handler calls its acknowledgement"
        );
        ConnectFailure {
            kind: ConnectFailureKind::NoConfirmation,
            message,
        }
    }

    /// How many events are on connections.
    pub(crate) fn outstanding(&self) -> usize {
        self.links.iter().map(LinkState::outstanding).sum()
    }

    // === confirmations and losses ===

    /// These events have arrived.
    fn accepted(&mut self, ordinals: &[Ordinal]) {
        if ordinals.is_empty() {
            return;
        }
        for ordinal in ordinals {
            self.done(*ordinal, Outcome::Delivered);
        }
        self.counts.forwarded += ordinals.len() as u64;
        self.reconnect.reset();
        self.refusals.accepted();
    }

    /// Settles an event, and notes what became of it if that is asked for.
    fn done(&mut self, ordinal: Ordinal, outcome: Outcome) {
        if self.settings.deliveries.tells(outcome)
            && let Some(item) = self.window.item(ordinal)
        {
            let (record, attempts) = (Arc::clone(&item.record), item.sent);
            self.done.push(Done {
                record,
                outcome,
                attempts,
            });
        }
        self.window.settle(ordinal);
    }

    fn failed(&mut self, ordinal: Ordinal, failure: EventFailure, now: Instant) {
        match failure {
            EventFailure::Refused { detail } => self.refused(ordinal, detail, now),
            permanent_failure @ EventFailure::Permanent { .. } => {
                let (reason, detail) = permanent(permanent_failure);
                self.doom(ordinal, reason, detail);
            }
        }
    }

    /// The event becomes a dead letter; it is settled when that is stored.
    pub(super) fn doom(&mut self, ordinal: Ordinal, reason: FailureReason, detail: String) {
        self.window.move_to(ordinal, Place::Doomed);
        let Some(item) = self.window.item(ordinal) else {
            return;
        };
        let (record, attempts, sent) = (Arc::clone(&item.record), item.attempts, item.sent);
        let doomed = Doomed {
            ordinal,
            record,
            reason,
            detail,
            attempts,
            sent,
        };
        self.actions.push(Action::DeadLetter(doomed));
    }

    fn lost(&mut self, id: LinkId, failure: &ConnectFailure, now: Instant) {
        let Some(index) = self.links.iter().position(|link| link.id == id) else {
            return;
        };
        let link = self.links.swap_remove(index);
        let role = link.role;
        let unconfirmed = link.into_unconfirmed();
        for ordinal in &unconfirmed {
            self.window.move_to(*ordinal, Place::Held);
        }
        self.recover(id, role, unconfirmed, failure.kind, now);
        if self.links.is_empty() && !self.connecting {
            self.connect_at = Some(now + self.reconnect.next());
        }
    }

    /// Drops connections that have left events unconfirmed for too long.
    fn time_out(&mut self, now: Instant) {
        let timeout = self.settings.lane.confirm_timeout;
        let late = |link: &&LinkState| link.deadline(timeout).is_some_and(|at| at <= now);
        let late: Vec<LinkId> = self.links.iter().filter(late).map(|link| link.id).collect();
        for id in late {
            self.actions.push(Action::Abort(id));
            let failure = self.no_confirmation();
            self.lost(id, &failure, now);
        }
    }

    // === connections ===

    /// Keeps one connection always, or while it is needed, and opens another while events wait
    /// because all are full. There is one attempt at a time.
    fn connect_if_needed(&mut self, now: Instant) {
        if self.connecting || self.ending {
            return;
        }
        let due = |at: Option<Instant>| at.is_none_or(|at| at <= now);
        let needed = if self.links.is_empty() {
            due(self.connect_at) && (!self.settings.lazy || self.has_something_to_send())
        } else {
            let room = self.links.len() < self.settings.max_connections;
            let only_retired = self.links.iter().all(|link| link.retiring);
            room && (self.wants_more || only_retired) && due(self.grow_at)
        };
        if needed {
            self.connecting = true;
            self.connect_at = None;
            self.grow_at = None;
            self.actions.push(Action::Connect);
        }
    }

    fn close_retired(&mut self) {
        let done = |link: &LinkState| {
            link.retiring && matches!(link.role, Role::Normal | Role::Reserved) && link.is_idle()
        };
        for link in self.links.iter().filter(|link| done(link)) {
            self.actions.push(Action::Close(link.id));
        }
        self.links.retain(|link| !done(link));
    }

    /// Whether there are events that are on no connection and have to be.
    fn has_something_to_send(&self) -> bool {
        let refused = !self.refusals.is_empty();
        !self.window.waiting.is_empty() || !self.recovery.is_empty() || refused
    }

    /// Gives connections back when nothing has been on them for a while: the additional ones, or
    /// all if none is kept.
    fn release_idle(&mut self, now: Instant) {
        let kept = usize::from(!self.settings.lazy);
        let idle = |link: &LinkState| link.is_free() && link.is_idle();
        let nothing_waits = match self.settings.lazy {
            true => !self.has_something_to_send(),
            false => self.window.waiting.is_empty() && self.recovery.is_empty(),
        };
        let all_idle = self.links.len() > kept && self.links.iter().all(idle) && nothing_waits;
        if !all_idle {
            self.idle_since = None;
            return;
        }
        let since = *self.idle_since.get_or_insert(now);
        if now < since + IDLE_BEFORE_RELEASE {
            return;
        }
        self.idle_since = None;
        for link in self.links.drain(kept..) {
            self.actions.push(Action::Release(link.id));
        }
    }
}

/// The reason and detail of a failure that is final. A refusal before anything was sent would be
/// a mistake of the destination; it is final too.
fn permanent(failure: EventFailure) -> (FailureReason, String) {
    match failure {
        EventFailure::Permanent { reason, detail } => (reason, detail),
        EventFailure::Refused { detail } => (FailureReason::Refused, detail),
    }
}
