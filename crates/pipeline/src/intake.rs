//! Where sources hand over events: redaction, ids, matching, repeats, and then the queue.
//!
//! Nothing reaches the queue, and so nothing is ever stored or sent, that has not been redacted
//! here. A batch is taken whole or not at all; its receipt settles when its events are safe.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kete_event::Event;
use kete_queue::{Draft, Header, Queue, Receipt, RejectReason, Target};
use tokio::sync::{Mutex, RwLock, watch};
use tokio::time::Instant;
use tracing::warn;

use crate::fullness::Fullness;
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
    /// The queue is full; trying again later helps.
    #[error("{0}")]
    Full(RejectReason),
    /// The batch can never fit; trying again cannot help.
    #[error("{0}")]
    TooBig(RejectReason),
    /// kete is stopping and takes nothing more.
    #[error("kete is stopping")]
    Stopping,
}

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
        let (open, repeats) = (RwLock::new(true), Mutex::default());
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
}

/// Events that will be taken together or not at all.
pub struct Batch {
    source: Arc<str>,
    metrics: Arc<SourceMetrics>,
    routes: Arc<Table>,
    accepted_at: i64,
    drafts: Vec<Draft>,
    bytes: u64,
    unrouted: u64,
    /// Events that were taken before and are left out, and what they still wait for.
    repeated: u64,
    earlier: Receipt,
}

impl Intake {
    pub(crate) fn new(shared: Arc<Shared>, source: &Arc<str>, telemetry: &Telemetry) -> Intake {
        let metrics = telemetry.source(source);
        Intake {
            shared,
            source: Arc::clone(source),
            metrics,
            drops_repeats: false,
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
        Batch {
            source: Arc::clone(&self.source),
            metrics: Arc::clone(&self.metrics),
            routes: self.shared.router.now(),
            accepted_at: epoch_millis(),
            drafts: Vec::new(),
            bytes: 0,
            unrouted: 0,
            repeated: 0,
            earlier: Receipt::safe(),
        }
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
        while let Some(batch) = waiting.pop() {
            room.mark_unchanged();
            if self.is_ahead() && !self.hold_back(&mut room).await? {
                waiting.push(batch);
                continue;
            }
            match self.offer(batch).await {
                Ok(taken) => receipt = receipt.and(&taken),
                Err((IntakeError::TooBig(_), batch)) if batch.drafts.len() > 1 => {
                    let (first, second) = batch.halves();
                    waiting.extend([second, first]);
                }
                Err((IntakeError::TooBig(reason), batch)) => self.leave_out(&batch, &reason),
                Err((IntakeError::Full(reason), batch)) => {
                    waiting.push(batch);
                    self.wait_for(&mut room, &reason).await?;
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
                self.shared.fullness.say_refused(&self.source, reason);
            }
            self.metrics.refused.inc_by(batch.drafts.len() as u64);
            return Err(error);
        }
    }

    fn leave_out(&self, batch: &Batch, reason: &RejectReason) {
        self.metrics.bad.inc_by(batch.drafts.len() as u64);
        for draft in &batch.drafts {
            let (source, id) = (&*self.source, &*draft.header.event_id);
            warn!(source, id, %reason, "an event is too big for the queue and is left out");
        }
    }

    /// Waits until something has left the queue. A source that is merely faster than a receiver
    /// waits often and for a moment; only a longer wait is worth a word.
    async fn wait_for(
        &self,
        room: &mut watch::Receiver<u64>,
        reason: &RejectReason,
    ) -> Result<(), IntakeError> {
        let mut patience = pin!(tokio::time::sleep(PATIENCE));
        loop {
            tokio::select! {
                waited = self.room_or_stop(room) => return waited,
                () = &mut patience, if !patience.is_elapsed() => {
                    self.shared.fullness.say_refused(&self.source, reason);
                }
            }
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
        let batch = without_repeats(batch, &repeats);
        let ids: Vec<Box<str>> = own_ids(&batch).map(Box::from).collect();
        let earlier = batch.earlier.clone();
        let receipt = self.append(batch).await?;
        let now = Instant::now();
        for id in &ids {
            // What the batch repeats is not part of what its own events wait for.
            repeats.remember(id, &receipt, now);
        }
        Ok(receipt.and(&earlier))
    }

    async fn append(&self, batch: Batch) -> Result<Receipt, (IntakeError, Batch)> {
        let Batch { drafts, .. } = batch;
        let accepted = per_route(&drafts, &batch.routes);
        let events = drafts.len() as u64;
        let offered = kete_queue::Batch {
            drafts,
            state: None,
        };
        match self.shared.queue.append(offered).await {
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
                self.shared
                    .fullness
                    .look(&*self.shared.queue, &self.shared.router);
                Ok(appended.receipt)
            }
            Err(rejected) => {
                let error = match rejected.reason {
                    reason @ RejectReason::Full { .. } => IntakeError::Full(reason),
                    reason => IntakeError::TooBig(reason),
                };
                Err((
                    error,
                    Batch {
                        drafts: rejected.batch.drafts,
                        ..batch
                    },
                ))
            }
        }
    }
}

impl Batch {
    /// Adds an event: redacts it, gives it an id if it has none, and asks the routes.
    pub fn push(&mut self, mut event: Event<'_>) {
        // The key is computed before redaction, the derived id after it: a hash of a password
        // would be a way to guess it.
        let ordering_key = event.ordering_key();
        let masked = event.redact();
        if masked > 0 {
            self.metrics.masked.inc_by(masked as u64);
        }
        let id_derived = event.derive_id();
        let metadata = event.metadata();
        let wanted = self.routes.wanted(&metadata);
        if wanted.is_empty() {
            self.unrouted += 1;
            return;
        }
        let body = Bytes::from(event.canonical().into_boxed_slice());
        let header = Header {
            event_id: event.id.as_deref().unwrap_or_default().into(),
            id_derived,
            source: Arc::clone(&self.source),
            accepted_at: self.accepted_at,
            metadata,
            ordering_key: ordering_key.into(),
            target: Target::AllRoutes,
        };
        self.bytes += body.len() as u64;
        self.drafts.push(Draft {
            header,
            body,
            wanted,
        });
    }

    /// How many events it holds that some route wants.
    #[must_use]
    pub fn len(&self) -> usize {
        self.drafts.len()
    }

    /// Whether no route wants any of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.drafts.is_empty()
    }

    /// The bytes of the bodies.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn halves(mut self) -> (Batch, Batch) {
        let drafts = self.drafts.split_off(self.drafts.len() / 2);
        let second = Batch {
            source: Arc::clone(&self.source),
            metrics: Arc::clone(&self.metrics),
            routes: Arc::clone(&self.routes),
            accepted_at: self.accepted_at,
            drafts,
            bytes: 0,
            unrouted: 0,
            repeated: 0,
            earlier: Receipt::safe(),
        };
        (self, second)
    }
}

/// Takes out what was taken before. The batch keeps the receipts of that, through every offer,
/// so that a repeat is never answered sooner than the first.
fn without_repeats(mut batch: Batch, repeats: &Repeats) -> Batch {
    let mut within = std::collections::HashSet::new();
    let before = batch.drafts.len();
    let earlier = &mut batch.earlier;
    batch.drafts.retain(|draft| {
        if draft.header.id_derived {
            return true;
        }
        if let Some(receipt) = repeats.find(&draft.header.event_id) {
            if !receipt.is_settled() {
                *earlier = std::mem::take(earlier).and(receipt);
            }
            return false;
        }
        within.insert(draft.header.event_id.clone())
    });
    batch.repeated += (before - batch.drafts.len()) as u64;
    batch
}

fn own_ids(batch: &Batch) -> impl Iterator<Item = &str> {
    let own = batch.drafts.iter().filter(|draft| !draft.header.id_derived);
    own.map(|draft| &*draft.header.event_id)
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
