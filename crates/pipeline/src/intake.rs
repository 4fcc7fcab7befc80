//! Where sources hand over events: redaction, ids, matching, repeats, and then the queue.
//!
//! Nothing reaches the queue, and so nothing is ever stored or sent, that has not been redacted
//! here. A batch is taken whole or not at all; its receipt settles when its events are safe.
//!
//! In a durable queue a batch may carry what its source is to remember, say a position. That is
//! never saved before every event that it covers: it goes with the last part of its batch, and
//! what is left out (repeats, events that no route wants or that can never fit) is covered too.

mod batch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kete_queue::{Draft, Queue, Receipt, RejectReason};
use tokio::sync::{Mutex, RwLock, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

pub use self::batch::Batch;
use crate::fullness::{Fullness, SAY_EVERY};
use crate::repeats::Repeats;
use crate::router::{Router, RouterEntry, Table};
use crate::telemetry::SourceMetrics;
use crate::{Stop, Telemetry};

/// How long a source waits for room before that is said.
const PATIENCE: Duration = Duration::from_secs(1);

/// How far ahead of the fastest route a source that can wait may be, in bytes. More would only fill
/// memory: the routes' windows are full. What is slower than the fastest route does not count, so
/// that a dead route does not hold the others up before the queue is full.
const AHEAD: u64 = 6 << 20;

/// Why a batch was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// The queue is full, or cannot be written; trying again later helps.
    #[error("{0}")]
    Full(RejectReason),
    /// The batch can never fit; trying again cannot help.
    #[error("{0}")]
    TooBig(RejectReason),
    /// kete is stopping and takes nothing more.
    #[error("kete is stopping")]
    Stopping,
}

impl IntakeError {
    /// What somebody outside may be told: without the paths and problems of this machine.
    #[must_use]
    pub fn for_senders(&self) -> String {
        match self {
            IntakeError::Full(RejectReason::Unwritable { .. }) => {
                "events cannot be stored at the moment".to_owned()
            }
            other => other.to_string(),
        }
    }
}

/// What became of a batch that was offered to the queue.
pub(crate) type Append = Result<kete_queue::Appended, Box<kete_queue::Rejected>>;

/// What all sources share.
pub(crate) struct Shared {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) router: Router,
    pub(crate) stop: Stop,
    /// Whether intake is open. Offers hold it for reading, so that closing waits for them.
    open: RwLock<bool>,
    /// Held from the look for repeats to the entry of the new ids, so that two senders of one
    /// event cannot both be first.
    repeats: Mutex<Repeats>,
    /// The progress of the routes after which there was none for a while.
    stuck_at: AtomicU64,
    fullness: Fullness,
}

impl Shared {
    pub(crate) fn new(queue: Arc<dyn Queue>, router: Router, stop: Stop) -> Arc<Shared> {
        // What came before a restart is not to be taken twice either.
        let repeats = Repeats::restored(queue.taken_ids(), Instant::now());
        let (open, repeats) = (RwLock::new(true), Mutex::new(repeats));
        let fullness = Fullness::default();
        let stuck_at = AtomicU64::new(u64::MAX);
        Arc::new(Shared {
            queue,
            router,
            stop,
            open,
            repeats,
            stuck_at,
            fullness,
        })
    }

    /// Appends something that no source has handed over, unless kete is stopping. When intake is
    /// closed, this is in the queue or never will be.
    pub(crate) async fn append(&self, batch: kete_queue::Batch) -> Option<Append> {
        let open = self.open.read().await;
        if !*open || self.stop.is_requested() {
            return None;
        }
        tokio::select! {
            biased;
            taken = self.queue.append(batch) => Some(taken),
            () = self.stop.requested() => None,
        }
    }

    /// Takes nothing more. When this returns, everything that was taken is in the queue.
    pub(crate) async fn close(&self) {
        *self.open.write().await = false;
    }
}

/// Takes the events of one source.
#[derive(Clone)]
pub struct Intake {
    shared: Arc<Shared>,
    source: Arc<str>,
    metrics: Arc<SourceMetrics>,
    drops_repeats: bool,
    /// Whether it was said that nothing is taken, and not yet that something is again.
    stopped: Arc<AtomicBool>,
}

impl Intake {
    pub(crate) fn new(shared: Arc<Shared>, source: &Arc<str>, telemetry: &Telemetry) -> Intake {
        let metrics = telemetry.source(source);
        Intake {
            shared,
            source: Arc::clone(source),
            metrics,
            drops_repeats: false,
            stopped: Arc::default(),
        }
    }

    /// The name of the source.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether an event that was taken already, by Keycloak's own id, is dropped; by default not.
    #[must_use]
    pub fn drops_repeats(mut self, drops: bool) -> Intake {
        self.drops_repeats = drops;
        self
    }

    /// An empty batch.
    #[must_use]
    pub fn batch(&self) -> Batch {
        let (source, metrics) = (Arc::clone(&self.source), Arc::clone(&self.metrics));
        Batch::new(source, metrics, self.shared.router.now())
    }

    /// Whether what is taken survives a crash of kete, and with it what a source remembers.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.shared.queue.durable()
    }

    /// What this source was last given to remember under this name, by [`Batch::remember`].
    /// Nothing in a queue that a crash empties: its events may be delivered much later than the
    /// source goes on.
    pub async fn remembered(&self, part: &str) -> Option<Bytes> {
        if !self.is_durable() {
            return None;
        }
        let key = batch::state_key(&self.source, part);
        self.shared.queue.source_state(&key).await
    }

    /// Counts lines or bodies that were not events.
    pub fn bad(&self, count: u64) {
        self.metrics.bad.inc_by(count);
    }

    /// Takes a batch, waiting for room. A batch that can never fit is taken in parts; a single
    /// event that cannot is left out, counted as bad, and said. Dropping the future before it
    /// resolves takes nothing, but for such parts.
    ///
    /// # Errors
    ///
    /// kete is stopping.
    pub async fn submit(&self, batch: Batch) -> Result<Receipt, IntakeError> {
        let mut waiting = vec![batch];
        let mut receipt = Receipt::safe();
        let mut room = self.shared.queue.room();
        let mut say_at = None;
        while let Some(batch) = waiting.pop() {
            room.mark_unchanged();
            if self.is_ahead() && !self.hold_back(&mut room).await? {
                waiting.push(batch);
                continue;
            }
            match self.offer(batch).await {
                Ok(taken) => {
                    receipt = receipt.and(&taken);
                    say_at = None;
                }
                Err((IntakeError::TooBig(_), batch)) if batch.drafts.len() > 1 => {
                    let (first, second) = batch.halves();
                    waiting.extend([second, first]);
                }
                Err((IntakeError::TooBig(reason), batch)) if !batch.drafts.is_empty() => {
                    waiting.push(self.left_out(batch, &reason));
                }
                Err((IntakeError::Full(reason), batch)) => {
                    waiting.push(batch);
                    let say_at = say_at.get_or_insert_with(|| Instant::now() + PATIENCE);
                    self.wait_for(&mut room, &reason, say_at).await?;
                }
                Err((error, _)) => return Err(error),
            }
        }
        Ok(receipt)
    }

    /// Takes a batch if there is room for all of it now.
    ///
    /// # Errors
    ///
    /// There is no room now, there can never be, or kete is stopping.
    pub async fn try_submit(&self, mut batch: Batch) -> Result<Receipt, IntakeError> {
        let mut room = self.shared.queue.room();
        let patience = Instant::now() + PATIENCE;
        loop {
            room.mark_unchanged();
            let error = match self.offer(batch).await {
                Ok(receipt) => return Ok(receipt),
                Err((error, refused)) => {
                    batch = refused;
                    error
                }
            };
            // A route that drops its oldest has done so in a moment: that is room now.
            let makes_room = matches!(
                &error,
                IntakeError::Full(RejectReason::Full {
                    makes_room: true,
                    ..
                })
            );
            let waited = tokio::time::timeout_at(patience, self.room_or_stop(&mut room));
            if makes_room && matches!(waited.await, Ok(Ok(()))) {
                continue;
            }
            if let IntakeError::Full(reason) = &error {
                self.say_refused(reason);
            }
            self.metrics.refused.inc_by(batch.drafts.len() as u64);
            return Err(error);
        }
    }

    /// The batch without its events, which can never fit. What its source is to remember covers
    /// them, so it is still offered.
    fn left_out(&self, mut batch: Batch, reason: &RejectReason) -> Batch {
        self.metrics.bad.inc_by(batch.drafts.len() as u64);
        for draft in batch.drafts.drain(..) {
            let (source, id) = (&*self.source, &*draft.header.event_id);
            warn!(source, id, %reason, "an event is too big for the queue and is left out");
        }
        batch
    }

    /// Waits until something has left the queue, or it can be written again. A source that is
    /// merely faster than a receiver waits often and for a moment; only a longer wait is worth a
    /// word, however often the source is woken up in vain.
    async fn wait_for(
        &self,
        room: &mut watch::Receiver<u64>,
        reason: &RejectReason,
        say_at: &mut Instant,
    ) -> Result<(), IntakeError> {
        loop {
            tokio::select! {
                biased;
                () = sleep_until(*say_at) => {
                    self.say_refused(reason);
                    *say_at = Instant::now() + SAY_EVERY;
                }
                waited = self.room_or_stop(room) => return waited,
            }
        }
    }

    fn say_refused(&self, reason: &RejectReason) {
        if self.shared.fullness.say_refused(&self.source, reason) {
            self.stopped.store(true, Ordering::Relaxed);
        }
    }

    fn say_taken(&self) {
        if self.stopped.load(Ordering::Relaxed) && self.stopped.swap(false, Ordering::Relaxed) {
            info!(source = &*self.source, "intake goes on");
        }
    }

    async fn room_or_stop(&self, room: &mut watch::Receiver<u64>) -> Result<(), IntakeError> {
        tokio::select! {
            changed = room.changed() => changed.map_err(|_| IntakeError::Stopping),
            () = self.shared.stop.requested() => Err(IntakeError::Stopping),
        }
    }

    /// Whether every route has as much before it as it can use. A durable queue is there to take
    /// what comes, whatever the routes do.
    fn is_ahead(&self) -> bool {
        let routes = self.shared.router.now();
        let lag = |entry: &RouterEntry| self.shared.queue.lag(entry.consumer).bytes;
        let least = routes.entries().iter().map(lag).min();
        !self.shared.queue.durable() && least.is_some_and(|least| least > AHEAD)
    }

    /// Waits until a route has settled something. Returns whether none gets anywhere: then there
    /// is no use in holding back, and what does not fit is for the bounds of the queue to decide.
    async fn hold_back(&self, room: &mut watch::Receiver<u64>) -> Result<bool, IntakeError> {
        let progress = self.progress();
        if self.shared.stuck_at.load(Ordering::Relaxed) == progress {
            return Ok(true);
        }
        match tokio::time::timeout(PATIENCE, self.room_or_stop(room)).await {
            Ok(waited) => waited.map(|()| false),
            Err(_late) => {
                self.shared.stuck_at.store(progress, Ordering::Relaxed);
                Ok(true)
            }
        }
    }

    /// How many events the routes have delivered or given up; what they dropped is no progress.
    fn progress(&self) -> u64 {
        let routes = self.shared.router.now();
        let done = |entry: &RouterEntry| entry.metrics.forwarded.get() + entry.metrics.failed();
        routes.entries().iter().map(done).sum()
    }

    async fn offer(&self, batch: Batch) -> Result<Receipt, (IntakeError, Batch)> {
        let open = self.shared.open.read().await;
        if !*open || self.shared.stop.is_requested() {
            return Err((IntakeError::Stopping, batch));
        }
        if !self.drops_repeats {
            return self.append(batch).await;
        }
        let mut repeats = self.shared.repeats.lock().await;
        let batch = batch.without_repeats(&repeats);
        let ids: Vec<Box<str>> = batch.own_ids().map(Box::from).collect();
        let earlier = batch.earlier.clone();
        let receipt = self.append(batch).await?;
        let now = Instant::now();
        for id in &ids {
            // What the batch repeats is not part of what its own events wait for.
            repeats.remember(id, &receipt, now);
        }
        Ok(receipt.and(&earlier))
    }

    async fn append(&self, mut batch: Batch) -> Result<Receipt, (IntakeError, Batch)> {
        let accepted = per_route(&batch.drafts, &batch.routes);
        let events = batch.drafts.len() as u64;
        let offered = kete_queue::Batch {
            drafts: std::mem::take(&mut batch.drafts),
            state: batch.state.take().filter(|_state| self.is_durable()),
        };
        let taken = tokio::select! {
            biased;
            taken = self.shared.queue.append(offered) => taken,
            // A disk that hangs must not hold up the end. What was not taken was not promised.
            () = self.shared.stop.requested() => return Err((IntakeError::Stopping, batch)),
        };
        match taken {
            Ok(appended) => {
                self.metrics.taken.inc_by(events + batch.unrouted);
                self.metrics.unrouted.inc_by(batch.unrouted);
                self.metrics.repeated.inc_by(batch.repeated);
                for (entry, count) in batch.routes.entries().iter().zip(accepted) {
                    entry.metrics.accepted.inc_by(count);
                    if appended.dropped > 0 {
                        entry.metrics.dropped_newest.inc_by(count);
                    }
                }
                self.say_taken();
                self.shared
                    .fullness
                    .look(&*self.shared.queue, &self.shared.router);
                Ok(appended.receipt)
            }
            Err(rejected) => {
                let error = match rejected.reason {
                    reason @ RejectReason::TooBig { .. } => IntakeError::TooBig(reason),
                    reason => IntakeError::Full(reason),
                };
                batch.drafts = rejected.batch.drafts;
                batch.state = rejected.batch.state;
                Err((error, batch))
            }
        }
    }
}

/// How many of the events each route of the table wants.
fn per_route(drafts: &[Draft], table: &Table) -> Vec<u64> {
    let wants = |entry: &RouterEntry| {
        drafts
            .iter()
            .filter(|draft| draft.wanted.contains(&entry.consumer))
            .count() as u64
    };
    table.entries().iter().map(wants).collect()
}

pub(crate) fn epoch_millis() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
