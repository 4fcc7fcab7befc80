//! The task of a lane: it does what the core decides and tells it what happened.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{FutureExt, StreamExt, stream};
use kete_queue::{Queue, Sequence, Shed};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{error, warn};

use super::backoff::Backoff;
use super::core::{Action, Core, Doomed};
use super::deliveries::{Deliveries, Done, Outcome};
use super::handle::{Command, LaneParts};
use super::links::LinkId;
use super::reading::Reading;
use super::reporting::Reporter;
use super::role::LaneRole;
use super::window::Ordinal;
use crate::router::{RouterEntry, Table};
use crate::{
    CLOSE_DEADLINE, ConnectFailure, Connection, ConnectionEvent, DeadLetter, DeadLetterError,
    DeadLetters, Destination, FailureReason, Link,
};

/// How many reports of connections are taken before the lane looks at everything else.
const EVENTS_AT_ONCE: usize = 64;

/// How long a lane for replays lets others append before it moves its cursor behind that.
const PASS_BY_AFTER: Duration = Duration::from_secs(1);

type Attempt = BoxFuture<'static, Result<Link, ConnectFailure>>;
type Storing = BoxFuture<'static, (Ordinal, Result<(), DeadLetterError>)>;

/// A lane at work.
pub(super) struct Lane {
    pub(super) core: Core,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) entry: RouterEntry,
    /// The route's own matchers, with the answers it gave before.
    pub(super) matchers: Table,
    pub(super) destination: Arc<dyn Destination>,
    dead_letters: Arc<DeadLetters>,
    inbox: mpsc::Receiver<Command>,
    pub(super) appended: watch::Receiver<Sequence>,
    pub(super) shed: watch::Receiver<Shed>,
    /// The last request to drop events that was met.
    pub(super) shed_met: u64,
    pub(super) reading: Reading,
    /// The next record to read.
    pub(super) next: Sequence,
    connections: HashMap<LinkId, Box<dyn Connection>>,
    reports: SelectAll<BoxStream<'static, (LinkId, ConnectionEvent)>>,
    attempt: Option<Attempt>,
    doomed: VecDeque<Doomed>,
    storing: Option<Storing>,
    storing_backoff: Backoff,
    pub(super) reporter: Reporter,
    in_flight: Share,
    open: Share,
    pub(super) role: LaneRole,
    pub(super) deliveries: Deliveries,
    ending: Option<Ending>,
}

/// This lane's part of a gauge of its route, which goes with the lane.
struct Share {
    gauge: Gauge,
    part: i64,
}

impl Share {
    fn of(gauge: &Gauge) -> Share {
        let gauge = gauge.clone();
        Share { gauge, part: 0 }
    }

    fn set(&mut self, part: usize) {
        let part = i64::try_from(part).unwrap_or(i64::MAX);
        self.gauge.inc_by(part - self.part);
        self.part = part;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.gauge.dec_by(self.part);
    }
}

#[derive(Debug, Clone, Copy)]
struct Ending {
    until: Option<Instant>,
    drains: bool,
}

impl Lane {
    pub(super) fn new(parts: LaneParts, inbox: mpsc::Receiver<Command>) -> Lane {
        let LaneParts {
            queue,
            entry,
            destination,
            dead_letters,
            settings,
            role,
        } = parts;
        let consumer = entry.consumer;
        let mut shed = queue.shed(consumer);
        // A request that an earlier lane of this route did not meet is for this one.
        shed.mark_changed();
        Lane {
            deliveries: settings.deliveries,
            core: Core::new(settings),
            appended: queue.appended(),
            shed,
            shed_met: 0,
            reading: Reading::new(),
            next: queue.cursor(consumer) + 1,
            reporter: Reporter::new(&entry, role.is_replay()),
            in_flight: Share::of(&entry.metrics.in_flight),
            open: Share::of(&entry.metrics.connections),
            role,
            matchers: Table::of(entry.clone()),
            connections: HashMap::new(),
            reports: SelectAll::new(),
            attempt: None,
            doomed: VecDeque::new(),
            storing: None,
            storing_backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(30)),
            ending: None,
            queue,
            entry,
            destination,
            dead_letters,
            inbox,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            self.shed().await;
            self.fill().await;
            self.step();
            if self.is_over() {
                return self.close().await;
            }
            self.wait().await;
        }
    }

    /// Waits until something happens, and tells the core.
    async fn wait(&mut self) {
        let may_read = self.core.room().0 > 0 && !self.stops();
        let again_at = self.reading.again_at().filter(|_| may_read);
        let reads = may_read && again_at.is_none();
        let deadlines = [
            again_at,
            self.core.deadline(),
            self.ending.and_then(|ending| ending.until),
        ];
        let deadline = deadlines.into_iter().flatten().min();
        let mut timer = deadline.map(|at| tokio::time::sleep_until(at).boxed());
        tokio::select! {
            command = self.inbox.recv() => self.obey(command),
            () = news(&mut self.appended, &self.role), if reads => {}
            Some((id, event)) = self.reports.next() => {
                self.report(id, event);
                self.take_more_reports();
            }
            outcome = finished(&mut self.attempt) => self.attempted(outcome),
            (ordinal, outcome) = finished(&mut self.storing) => self.stored(ordinal, outcome),
            _ = self.shed.changed() => {}
            () = finished(&mut timer) => {}
        }
    }

    // === what happened ===

    fn obey(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Drain(until)) => {
                self.ending = Some(Ending {
                    until,
                    drains: true,
                })
            }
            Some(Command::Stop(until)) => {
                self.core.end();
                self.ending = Some(Ending {
                    until: Some(until),
                    drains: false,
                });
            }
            Some(Command::Retire) => self.core.retire_all(),
            // The owner is gone without a word; its drop aborts this task.
            None => {
                self.core.end();
                self.ending = Some(Ending {
                    until: Some(Instant::now()),
                    drains: false,
                });
            }
        }
    }

    fn take_more_reports(&mut self) {
        for _ in 0..EVENTS_AT_ONCE {
            match self.reports.next().now_or_never() {
                Some(Some((id, event))) => self.report(id, event),
                _ => break,
            }
        }
    }

    fn report(&mut self, id: LinkId, event: ConnectionEvent) {
        let now = Instant::now();
        let lost = match &event {
            ConnectionEvent::Lost(failure) => Some(failure.clone()),
            _ => None,
        };
        let known = self.core.event(id, event, now);
        if let Some(failure) = lost
            && known
        {
            self.connections.remove(&id);
            // Where nothing is to be sent, an end before the release is no trouble.
            let waiting = self.lag().events;
            if waiting > 0 || !self.role.is_replay() {
                self.reporter.failed(&failure, waiting, now);
            }
        }
    }

    fn attempted(&mut self, outcome: Result<Link, ConnectFailure>) {
        let now = Instant::now();
        match outcome {
            Ok(link) => {
                let id = self.core.connected(now);
                self.reporter.connected(&link.peer, now);
                self.connections.insert(id, link.connection);
                self.reports.push(reports(id, link.events));
            }
            Err(failure) => {
                self.core.connect_failed(&failure, now);
                self.reporter.failed(&failure, self.lag().events, now);
            }
        }
    }

    fn stored(&mut self, ordinal: Ordinal, outcome: Result<(), DeadLetterError>) {
        let Some(doomed) = self.doomed.front() else {
            return;
        };
        debug_assert_eq!(
            doomed.ordinal, ordinal,
            "dead letters are stored one by one"
        );
        if let Err(error) = outcome {
            if self.storing_backoff.failures() == 0 {
                let (route, error) = (&*self.entry.name, error.to_string());
                error!(
                    route,
                    error, "a dead letter cannot be stored; the route waits"
                );
            }
            self.core.set_blocked(true);
            let wait = self.storing_backoff.next();
            self.store_after(wait);
            return;
        }
        self.storing_backoff.reset();
        self.core.set_blocked(false);
        self.say_dead(doomed);
        self.core.dead_letter_stored(ordinal);
        self.doomed.pop_front();
    }

    fn say_dead(&self, doomed: &Doomed) {
        let metrics = &self.entry.metrics;
        metrics.count_failed(doomed.reason);
        let outcome = Outcome::of(doomed.reason);
        if self.deliveries.tells(outcome) {
            let (record, attempts) = (Arc::clone(&doomed.record), doomed.sent);
            let done = Done {
                record,
                outcome,
                attempts,
            };
            done.say(&self.entry.name);
        }
        let kept = self.dead_letters.is_kept();
        if kept {
            &metrics.dead_letters
        } else {
            &metrics.dead_letters_lost
        }
        .inc();
        let (route, reason) = (&*self.entry.name, doomed.reason.as_str());
        let (id, size) = (&*doomed.record.header.event_id, doomed.record.body.len());
        // What a receiver says of an event it refuses may repeat the event: that goes into the
        // file of dead letters only.
        let ours = doomed.reason != FailureReason::Refused;
        let (detail, attempts) = (ours.then_some(&*doomed.detail), doomed.attempts);
        warn!(
            route,
            id, reason, detail, attempts, size, kept, "event given up"
        );
    }

    // === what follows from it ===

    /// Lets the core decide, and does it.
    fn step(&mut self) {
        let now = Instant::now();
        self.core.advance(now);
        for action in self.core.take_actions() {
            self.perform(action, now);
        }
        self.store_after(Duration::ZERO);
        self.settle();
        self.count(now);
    }

    fn perform(&mut self, action: Action, now: Instant) {
        match action {
            Action::Connect => {
                let destination = Arc::clone(&self.destination);
                let attempt = async move { destination.connect().await };
                self.attempt = Some(attempt.boxed());
            }
            Action::Send(id, batch) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.send(batch);
                }
            }
            Action::Probe(id) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.probe();
                }
            }
            Action::Release(id) => {
                if let Some(connection) = self.connections.remove(&id) {
                    connection.release();
                }
            }
            Action::Close(id) => {
                if let Some(connection) = self.connections.remove(&id) {
                    connection.close();
                }
            }
            Action::Abort(id) => {
                if let Some(connection) = self.connections.remove(&id) {
                    connection.abort();
                }
                let failure = self.core.no_confirmation();
                self.reporter.failed(&failure, self.lag().events, now);
            }
            Action::DeadLetter(doomed) => self.doomed.push_back(doomed),
        }
    }

    /// Stores the next dead letter, if none is being stored.
    fn store_after(&mut self, wait: Duration) {
        let Some(doomed) = self.doomed.front() else {
            return;
        };
        if self.storing.is_some() {
            return;
        }
        let letter = DeadLetter {
            route: Arc::clone(&self.entry.name),
            record: Arc::clone(&doomed.record),
            reason: doomed.reason,
            detail: doomed.detail.clone(),
            attempts: doomed.attempts,
        };
        let (store, ordinal) = (Arc::clone(&self.dead_letters), doomed.ordinal);
        let storing = async move {
            tokio::time::sleep(wait).await;
            (ordinal, store.store(letter).await)
        };
        self.storing = Some(storing.boxed());
    }

    pub(super) fn settle(&mut self) {
        let settled = self.core.take_settled();
        if !settled.is_empty() {
            self.queue.settle(self.entry.consumer, &settled);
        }
        for done in self.core.take_done() {
            done.say(&self.entry.name);
        }
    }

    fn count(&mut self, now: Instant) {
        let metrics = &self.entry.metrics;
        let counts = self.core.take_counts();
        metrics.resent.inc_by(counts.resent);
        metrics.retries.inc_by(counts.retries);
        if self.role.is_replay() {
            metrics.replayed.inc_by(counts.forwarded);
        } else {
            metrics.forwarded.inc_by(counts.forwarded);
            let oldest = self.core.oldest_accepted_at().unwrap_or(0);
            metrics.oldest_accepted_at.store(oldest, Ordering::Relaxed);
        }
        self.in_flight.set(self.core.outstanding());
        self.open.set(self.connections.len());
        if counts.forwarded > 0 {
            self.reporter.works(now);
        }
    }

    // === the end ===

    pub(super) fn stops(&self) -> bool {
        self.ending.is_some_and(|ending| !ending.drains)
    }

    /// Whether nothing is left to wait for, or no time.
    fn is_over(&self) -> bool {
        let Some(ending) = self.ending else {
            return false;
        };
        // What cannot be read is not waited for.
        let left = if ending.drains && !self.reading.is_damaged() {
            self.lag().events > 0
        } else {
            self.core.outstanding() > 0 || !self.doomed.is_empty()
        };
        !left || ending.until.is_some_and(|until| until <= Instant::now())
    }

    async fn close(mut self) {
        self.attempt = None;
        for (_, connection) in self.connections.drain() {
            connection.close();
        }
        match self.role {
            LaneRole::Replay { over, .. } => return drop(over),
            // The replays of the route are asked to end whenever this lane is.
            LaneRole::Live { alone: Some(alone) } => alone.cancelled().await,
            LaneRole::Live { alone: None } => {}
        }
        if tokio::time::timeout(CLOSE_DEADLINE, self.destination.close())
            .await
            .is_err()
        {
            let route = &*self.entry.name;
            warn!(route, "connections did not close in time and are dropped");
        }
    }

    pub(super) fn lag(&self) -> kete_queue::Lag {
        self.queue.lag(self.entry.consumer)
    }
}

/// Waits until there may be something to read. A lane for replays is told of them; that others
/// append it looks at now and then, so that its cursor does not stay behind.
async fn news(appended: &mut watch::Receiver<Sequence>, role: &LaneRole) {
    // The queue outlives its lanes, so that there is always a next change.
    match role {
        LaneRole::Live { .. } => drop(appended.changed().await),
        LaneRole::Replay { wake, .. } => {
            let passing_by = async {
                let _open = appended.changed().await;
                tokio::time::sleep(PASS_BY_AFTER).await;
            };
            tokio::select! {
                () = wake.notified() => {}
                () = passing_by => {}
            }
        }
    }
}

/// Waits for the work in the slot and empties it; for ever if there is none. Cancelling the wait
/// leaves the work in the slot.
async fn finished<T>(slot: &mut Option<BoxFuture<'static, T>>) -> T {
    let Some(work) = slot else {
        return std::future::pending().await;
    };
    let outcome = work.await;
    *slot = None;
    outcome
}

/// What a connection reports, with its name, until it is gone.
fn reports(
    id: LinkId,
    events: mpsc::Receiver<ConnectionEvent>,
) -> BoxStream<'static, (LinkId, ConnectionEvent)> {
    let next = move |mut events: mpsc::Receiver<ConnectionEvent>| async move {
        events.recv().await.map(|event| ((id, event), events))
    };
    stream::unfold(events, next).boxed()
}
