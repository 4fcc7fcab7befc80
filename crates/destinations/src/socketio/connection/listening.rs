//! What a connection's one task does: it listens, passes reports on to the lane, and notices when
//! the connection is to be replaced or has ended.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use kete_pipeline::ConnectionEvent;
use kete_socketio::{CloseReason, Notification, Receiver};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Line, Phase, State};
use crate::socketio::failure;
use crate::socketio::identity::Lease;

/// How many notifications are taken before the lane is told.
const AT_ONCE: usize = 512;

/// Listens to a connection until it has ended. When the lease is over it is to be replaced; `stop`
/// ends it at once.
pub(crate) async fn attend(
    line: Arc<Line>,
    mut receiver: Receiver,
    mut lease: Lease,
    stop: CancellationToken,
) {
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
            () = lease.over() => line.retire(),
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
            Phase::Lent(lane) if state.has_reports() => (Some(lane.clone()), None),
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
        match (room, state.next_report()) {
            (Some(room), Some(report)) => room.send(report),
            // The lane listens no more: nothing that is reported can matter.
            (None, Some(_)) => while state.next_report().is_some() {},
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
