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

mod listening;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kete_pipeline::{
    CLOSE_DEADLINE, ConnectFailure, ConnectionEvent, EventFailure, FailureReason, Outgoing,
};
use kete_socketio::{BarrierKind, Emit, Sender};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::barrier::{BarrierMemory, FIRST_FREE_NUMBER};
use super::confirmation::{Confirmation, EVERY, Question};
use super::event_id;
use super::failure;
use super::names::Names;
use super::settings::{Confirm, ErrorPointer, EventId};

pub(crate) use listening::attend;

/// How many reports may wait for the lane; while they do, later ones are merged.
const REPORTS: usize = 64;

/// The time for a graceful close, a little less than the lane waits for it.
const CLOSE_WITHIN: Duration = CLOSE_DEADLINE.saturating_sub(Duration::from_millis(500));

/// What all connections of a route share.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where they lead to, for messages.
    pub(crate) peer: Arc<str>,
    pub(crate) confirm: Confirm,
    pub(crate) error_pointer: Option<ErrorPointer>,
    pub(crate) event_id: EventId,
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
    retirement: Retirement,
}

/// Whether the connection is to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retirement {
    No,
    /// It is, and the lane that has it does not know.
    Due,
    /// It is, and the lane was told.
    Told,
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
            retirement: Retirement::No,
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
    /// It has ended meanwhile, and why; or it is being closed, which is no failure.
    pub(crate) fn lend(&self) -> Result<mpsc::Receiver<ConnectionEvent>, Option<ConnectFailure>> {
        let mut state = self.lock();
        match &state.phase {
            Phase::Idle { .. } => {
                let (events, reports) = mpsc::channel(REPORTS);
                state.confirmation.start_again();
                state.phase = Phase::Lent(events);
                Ok(reports)
            }
            Phase::Ended(failure) => Err(Some(failure.clone())),
            Phase::Lent(_) | Phase::Closing(_) => Err(None),
        }
    }

    /// Takes it back from the lane; false if it cannot be used again.
    pub(crate) fn take_back(&self) -> bool {
        let mut state = self.lock();
        let settled = !state.confirmation.carries_events() && !self.sender.is_closed();
        let stays = state.retirement == Retirement::No;
        if !settled || !stays || !matches!(state.phase, Phase::Lent(_)) {
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
        let state = self.lock();
        if matches!(state.phase, Phase::Idle { .. } | Phase::Lent(_)) {
            self.begin_close(state);
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
        let name = state
            .names
            .encode(&outgoing.prepared.subject)
            .map_err(|error| EventFailure::Permanent {
                reason: FailureReason::EventName,
                detail: error.to_string(),
            })?;
        let ack = state.confirmation.next_ack();
        let payload = match self.context.event_id {
            EventId::Off => outgoing.prepared.payload,
            EventId::Argument => event_id::with_argument(&outgoing),
        };
        let emit = Emit { name, payload, ack };
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

    /// Has it replaced: the lane that has it is told, an idle one is closed.
    fn retire(&self) {
        let mut state = self.lock();
        if state.retirement != Retirement::No {
            return;
        }
        state.retirement = Retirement::Due;
        if matches!(state.phase, Phase::Idle { .. }) {
            self.begin_close(state);
        }
    }

    /// Whether to close is decided under the same lock, so that nobody lends it in between.
    fn begin_close(&self, mut state: MutexGuard<'_, State>) {
        state.phase = Phase::Closing(Instant::now() + CLOSE_WITHIN);
        drop(state);
        self.sender.close();
        self.changed.notify_one();
    }

    fn tell(&self, state: &State) {
        if state.has_reports() {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_reports(&self) -> bool {
        self.retirement == Retirement::Due || self.confirmation.has_reports()
    }

    fn next_report(&mut self) -> Option<ConnectionEvent> {
        if self.retirement == Retirement::Due {
            self.retirement = Retirement::Told;
            return Some(ConnectionEvent::Retire);
        }
        self.confirmation.next_report()
    }
}
