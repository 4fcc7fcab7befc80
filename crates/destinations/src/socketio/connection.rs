//! One connection to a server, from the first event to the close.
//!
//! ```text
//!          ┌── lend ──▶ Lent ──┐
//! Idle ◀── take back ──────────┤── close ──▶ Closing ──▶ Ended
//!          └────── the server ends it ──────────────────▶
//! ```
//!
//! A [`Line`] is shared by the pool or the lane, which act on it without waiting, and by its one
//! task ([`attend`]), which listens for as long as the connection lives, lent or not: an idle
//! connection keeps answering, and its end is noticed at once. Whatever ends it, the lane that it
//! is lent to gets exactly one [`ConnectionEvent::Lost`], unless it has given the connection up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use kete_pipeline::{
    CLOSE_DEADLINE, ConnectFailure, ConnectionEvent, EventFailure, FailureReason, Outgoing,
};
use kete_socketio::{BarrierKind, CloseReason, Emit, Notification, Receiver, Sender};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::barrier::{BarrierMemory, FIRST_FREE_NUMBER};
use super::confirmation::{Confirmation, EVERY, Question};
use super::failure;
use super::names::Names;
use super::settings::{Confirm, ErrorPointer};

/// How many reports may wait for the lane; while they do, later ones are merged.
const REPORTS: usize = 64;

/// How many notifications are taken before the lane is told.
const AT_ONCE: usize = 512;

/// The time for a graceful close, a little less than the lane waits for it.
const CLOSE_WITHIN: Duration = CLOSE_DEADLINE.saturating_sub(Duration::from_millis(500));

/// What all connections of a route share.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where they lead to, for messages.
    pub(crate) peer: Arc<str>,
    pub(crate) confirm: Confirm,
    pub(crate) error_pointer: Option<ErrorPointer>,
    pub(crate) barrier: BarrierMemory,
    /// Whether the server was there when a connection was last needed or lost.
    pub(crate) up: AtomicBool,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Line {
    context: Arc<Context>,
    sender: Sender,
    /// The barrier that its server answers; set where events are confirmed by barriers.
    barrier: Option<BarrierKind>,
    state: Mutex<State>,
    /// Wakes the task up when others have changed the state.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    confirmation: Confirmation,
    /// The ways in which a sign of life was last asked for.
    life_asked: Vec<BarrierKind>,
    names: Names,
}

#[derive(Debug)]
enum Phase {
    /// In the pool since then; somebody may wait for a sign of life.
    Idle {
        since: Instant,
        asked: Option<oneshot::Sender<()>>,
    },
    /// With the lane.
    Lent(mpsc::Sender<ConnectionEvent>),
    /// Given up; the server may finish what it was sent until then.
    Closing(Instant),
    /// Over.
    Ended(ConnectFailure),
}

impl Line {
    pub(crate) fn new(context: Arc<Context>, sender: Sender, barrier: Option<BarrierKind>) -> Line {
        let confirmation = Confirmation::new(context.confirm, FIRST_FREE_NUMBER);
        let state = State {
            phase: Phase::Idle {
                since: Instant::now(),
                asked: None,
            },
            confirmation,
            life_asked: Vec::new(),
            names: Names::default(),
        };
        Line {
            context,
            sender,
            barrier,
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    /// Whether it can be used, as far as is known.
    pub(crate) fn is_alive(&self) -> bool {
        let open = matches!(self.lock().phase, Phase::Idle { .. } | Phase::Lent(_));
        open && !self.sender.is_closed()
    }

    /// How long it has been in the pool.
    pub(crate) fn unused_for(&self, now: Instant) -> Option<Duration> {
        match self.lock().phase {
            Phase::Idle { since, .. } => Some(now.saturating_duration_since(since)),
            _ => None,
        }
    }

    /// Lends it to the lane.
    ///
    /// # Errors
    /// It has ended meanwhile, and why.
    pub(crate) fn lend(&self) -> Result<mpsc::Receiver<ConnectionEvent>, ConnectFailure> {
        let mut state = self.lock();
        match &state.phase {
            Phase::Idle { .. } => {
                let (events, reports) = mpsc::channel(REPORTS);
                state.confirmation.start_again();
                state.phase = Phase::Lent(events);
                Ok(reports)
            }
            Phase::Ended(failure) => Err(failure.clone()),
            Phase::Lent(_) | Phase::Closing(_) => Err(failure::closing(&self.context.peer)),
        }
    }

    /// Takes it back from the lane; false if it cannot be used again.
    pub(crate) fn take_back(&self) -> bool {
        let mut state = self.lock();
        let settled = !state.confirmation.carries_events() && !self.sender.is_closed();
        if !settled || !matches!(state.phase, Phase::Lent(_)) {
            return false;
        }
        state.phase = Phase::Idle {
            since: Instant::now(),
            asked: None,
        };
        true
    }

    /// Ends it so that the server handles everything that it was sent.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Idle { .. } | Phase::Lent(_)) {
            state.phase = Phase::Closing(Instant::now() + CLOSE_WITHIN);
            drop(state);
            self.sender.close();
            self.changed.notify_one();
        }
    }

    /// Ends it now, because something is wrong with it.
    pub(crate) fn abort(&self) {
        self.context.up.store(false, Ordering::Relaxed);
        let mut state = self.lock();
        if state.confirmation.waits_for_an_answer() {
            self.context.barrier.forget();
        }
        if !matches!(state.phase, Phase::Ended(_)) {
            state.phase = Phase::Closing(Instant::now());
        }
        drop(state);
        self.sender.abort();
        self.changed.notify_one();
    }

    /// Sends a batch, with the questions that confirm it.
    pub(crate) fn send(&self, batch: Vec<Outgoing>) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let mut emits = Vec::with_capacity(batch.len().min(EVERY));
        for outgoing in batch {
            let ticket = outgoing.ticket;
            match self.emit(state, outgoing) {
                Ok(emit) => {
                    emits.push(emit);
                    state.confirmation.sent(ticket);
                }
                Err(failure) => state.confirmation.failed(ticket, failure),
            }
            if let Some(question) = state.confirmation.question_if_many() {
                self.hand_over(std::mem::take(&mut emits));
                self.ask(state, question);
            }
        }
        self.hand_over(emits);
        if let Some(question) = state.confirmation.question_after_batch() {
            self.ask(state, question);
        }
        self.tell(&guard);
    }

    /// Asks whether the server answers at all.
    pub(crate) fn probe(&self) {
        let mut state = self.lock();
        let question = state.confirmation.probe();
        self.ask(&mut state, question);
    }

    /// Whether the server answers within this time, or the connection is in use meanwhile.
    pub(crate) async fn answers(&self, within: Duration) -> bool {
        let answer = {
            let mut guard = self.lock();
            let state = &mut *guard;
            let Phase::Idle { asked, .. } = &mut state.phase else {
                return self.is_alive_in(state);
            };
            let (sender, answer) = oneshot::channel();
            *asked = Some(sender);
            let question = state.confirmation.probe();
            self.ask(state, question);
            answer
        };
        match timeout(within, answer).await {
            Ok(Ok(())) => true,
            Ok(Err(_)) => self.is_alive(),
            Err(_) => false,
        }
    }

    fn is_alive_in(&self, state: &State) -> bool {
        matches!(state.phase, Phase::Lent(_)) && !self.sender.is_closed()
    }

    fn emit(&self, state: &mut State, outgoing: Outgoing) -> Result<Emit, EventFailure> {
        let prepared = outgoing.prepared;
        let name =
            state
                .names
                .encode(&prepared.subject)
                .map_err(|error| EventFailure::Permanent {
                    reason: FailureReason::EventName,
                    detail: error.to_string(),
                })?;
        let ack = state.confirmation.next_ack();
        let emit = Emit {
            name,
            payload: prepared.payload,
            ack,
        };
        self.sender.fits(&emit).map_err(failure::too_large)?;
        Ok(emit)
    }

    /// A connection that has ended takes nothing; its task reports the end, here is nothing to do.
    fn hand_over(&self, emits: Vec<Emit>) {
        if !emits.is_empty() {
            let _ended = self.sender.send(emits);
        }
    }

    fn ask(&self, state: &mut State, question: Question) {
        // As with events: a connection that has ended says so itself.
        let _ended = match question {
            Question::Flushed(number) => self.sender.flushed(number),
            Question::Barrier(number) => self
                .sender
                .barrier(self.barrier.unwrap_or(BarrierKind::Ping), number),
            Question::Life(first) => {
                state.life_asked = self.context.barrier.candidates();
                let mut numbered = (first..).zip(&state.life_asked);
                numbered.try_for_each(|(number, kind)| self.sender.barrier(*kind, number))
            }
        };
    }

    fn tell(&self, state: &State) {
        if state.confirmation.has_reports() {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens to a connection until it has ended. `stop` ends it at once.
pub(crate) async fn attend(line: Arc<Line>, mut receiver: Receiver, stop: CancellationToken) {
    let reason = loop {
        let (lane, until) = line.waits_for();
        tokio::select! {
            notification = receiver.next() => {
                if let Some(reason) = line.take(notification, &mut receiver) {
                    break reason;
                }
            }
            room = room(lane.as_ref()), if lane.is_some() => line.report(lane.as_ref(), room),
            () = line.changed.notified() => {}
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                line.sender.abort();
            }
            () = stop.cancelled() => {
                line.sender.abort();
                break CloseReason::Aborted;
            }
        }
    };
    tokio::select! {
        () = line.end(&reason) => {}
        () = stop.cancelled() => {}
    }
}

type Room<'l> = Option<mpsc::Permit<'l, ConnectionEvent>>;

async fn room(lane: Option<&mpsc::Sender<ConnectionEvent>>) -> Room<'_> {
    lane?.reserve().await.ok()
}

impl Line {
    /// The lane, if there is something to tell it, and when a graceful close has taken too long.
    fn waits_for(&self) -> (Option<mpsc::Sender<ConnectionEvent>>, Option<Instant>) {
        let state = self.lock();
        match &state.phase {
            Phase::Lent(lane) if state.confirmation.has_reports() => (Some(lane.clone()), None),
            Phase::Closing(until) => (None, Some(*until)),
            _ => (None, None),
        }
    }

    /// Takes a notification and what has come with it. Returns why the connection has ended.
    fn take(
        &self,
        mut notification: Option<Notification>,
        receiver: &mut Receiver,
    ) -> Option<CloseReason> {
        let mut state = self.lock();
        for taken in 1.. {
            match notification {
                Some(Notification::Closed(reason)) => return Some(reason),
                Some(notification) => self.learn(&mut state, notification),
                None => return Some(CloseReason::Aborted),
            }
            if taken == AT_ONCE {
                break;
            }
            notification = match receiver.next().now_or_never() {
                Some(next) => next,
                None => break,
            };
        }
        self.answer_idle(&mut state);
        None
    }

    fn learn(&self, state: &mut State, notification: Notification) {
        match notification {
            Notification::Barrier(number) | Notification::Flushed(number) => {
                let way = state.confirmation.way_of_life(number);
                if let Some(kind) = way.and_then(|way| state.life_asked.get(way)) {
                    self.context.barrier.learn(*kind);
                }
                if let Some(question) = state.confirmation.answered(number) {
                    self.ask(state, question);
                }
            }
            Notification::Ack { id, payload } => {
                let pointer = self.context.error_pointer.as_ref();
                state.confirmation.acknowledged(id, &payload, pointer);
            }
            // Nobody here listens to events of the server.
            _ => {}
        }
    }

    /// Passes a sign of life on to whoever waits for it while the connection is idle.
    fn answer_idle(&self, state: &mut State) {
        let Phase::Idle { asked, .. } = &mut state.phase else {
            return;
        };
        while let Some(report) = state.confirmation.next_report() {
            if report == ConnectionEvent::Proven
                && let Some(asked) = asked.take()
            {
                // Whoever asked may have stopped waiting.
                let _late = asked.send(());
            }
        }
    }

    /// Tells the lane one thing, unless the connection is not lent to it any more.
    fn report(&self, lane: Option<&mpsc::Sender<ConnectionEvent>>, room: Room<'_>) {
        let mut state = self.lock();
        let Phase::Lent(current) = &state.phase else {
            return;
        };
        if !lane.is_some_and(|lane| lane.same_channel(current)) {
            return;
        }
        match (room, state.confirmation.next_report()) {
            (Some(room), Some(report)) => room.send(report),
            // The lane listens no more: nothing that is reported can matter.
            (None, Some(_)) => while state.confirmation.next_report().is_some() {},
            (_, None) => {}
        }
    }

    /// Tells the lane that it is over, after everything else.
    async fn end(&self, reason: &CloseReason) {
        let failure = failure::ended(&self.context.peer, reason);
        let (phase, reports) = {
            let mut state = self.lock();
            let phase = std::mem::replace(&mut state.phase, Phase::Ended(failure.clone()));
            let reports: Vec<ConnectionEvent> =
                std::iter::from_fn(|| state.confirmation.next_report()).collect();
            (phase, reports)
        };
        debug!(peer = &*self.context.peer, %reason, "connection ended");
        if matches!(phase, Phase::Closing(_)) {
            return;
        }
        self.context.up.store(false, Ordering::Relaxed);
        let Phase::Lent(lane) = phase else { return };
        for report in reports.into_iter().chain([ConnectionEvent::Lost(failure)]) {
            if lane.send(report).await.is_err() {
                return;
            }
        }
    }
}
