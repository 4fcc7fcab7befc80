//! Sending events again to one route, because its receiver asks for them: dead letters, or whatever
//! of a time span is still stored.
//!
//! A replay is a copy in the queue, addressed to that route and wanted by nobody else. The route's
//! lane for replays sends it, so that live events neither wait for it nor change their order.

mod parts;

use std::sync::Arc;

use kete_queue::{
    Batch, Draft, Header, ReadError, Receipt, Record, RejectReason, Rejected, Span, Target,
};

use crate::intake::Shared;
use crate::router::{Replays, RouterEntry};

/// How many copies are appended together, and about how many bytes.
const AT_ONCE: usize = 256;
const BYTES_AT_ONCE: u64 = 1 << 20;

/// How many batches of a span may be in the queue and not safe yet, before the next is read.
const UNSAFE_BATCHES: usize = 64;

pub use parts::SpanProgress;

/// What the name of a consumer for replays ends with; names of routes have no dots.
pub const REPLAYS_SUFFIX: &str = ".replay";

/// Why nothing was sent again, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There is no such route at work.
    #[error("there is no route {route} at work; there is {}", listed(.known))]
    UnknownRoute {
        /// What was asked for.
        route: String,
        /// Those at work.
        known: Vec<Arc<str>>,
    },
    /// Nothing is kept that could be sent again.
    #[error(
        "nothing is kept that could be sent again: set kete.data-dir, or for dead letters \
         kete.dead-letters.path"
    )]
    NothingKept,
    /// An event is larger than the queue could ever hold.
    #[error("event {id}: {reason}")]
    TooBig {
        /// Its id.
        id: Box<str>,
        /// What the queue said.
        reason: RejectReason,
    },
    /// The queue takes nothing now; asking again later can help.
    #[error("{0}")]
    Unwritable(RejectReason),
    /// What is stored could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// kete is stopping and takes nothing more.
    #[error("kete is stopping")]
    Stopping,
}

fn listed(known: &[Arc<str>]) -> String {
    match known {
        [] => "none".to_owned(),
        known => known.join(", "),
    }
}

/// Sends events again. Clones do the same.
#[derive(Clone)]
pub struct Replayer {
    shared: Arc<Shared>,
}

impl Replayer {
    pub(crate) fn new(shared: Arc<Shared>) -> Replayer {
        Replayer { shared }
    }

    /// Sends copies of these records again to a route, whatever its matchers say, in this order.
    /// It waits for room as long as that takes; dropping the future leaves in the queue what was
    /// appended until then. The receipt settles when the copies are safe: on disk, or in a queue
    /// in memory when they are delivered or dead letters again.
    ///
    /// # Errors
    ///
    /// There is no such route, or the queue does not take them. Those before may have been
    /// appended.
    pub async fn replay(
        &self,
        route: &str,
        records: Vec<Arc<Record>>,
    ) -> Result<Receipt, ReplayError> {
        let entry = self.route(route)?;
        let replays = entry.replays.as_ref().ok_or(ReplayError::NothingKept)?;
        let mut receipt = Receipt::safe();
        let mut part = Vec::new();
        let mut bytes = 0;
        for record in records {
            bytes += record.cost();
            part.push(record);
            if part.len() >= AT_ONCE || bytes >= BYTES_AT_ONCE {
                let taken = self
                    .append(&entry, replays, std::mem::take(&mut part))
                    .await?;
                receipt = receipt.and(&taken);
                bytes = 0;
            }
        }
        let taken = self.append(&entry, replays, part).await?;
        Ok(receipt.and(&taken))
    }

    /// Sends everything again to a route that was accepted within the span, is stored, and that
    /// its matchers accept now: what was delivered before, as far as `kete.queue.retain` has kept
    /// it, and also what still waits. What comes while it runs is not part of it. Returns how many
    /// events were appended; in a durable queue they are safe then.
    ///
    /// # Errors
    ///
    /// As [`Replayer::replay`], or what is stored cannot be read.
    pub async fn replay_span(&self, route: &str, span: Span) -> Result<u64, ReplayError> {
        self.replay_parts(route, span).await
    }

    fn route(&self, name: &str) -> Result<RouterEntry, ReplayError> {
        let routes = self.shared.router.now();
        let found = routes.entries().iter().find(|entry| &*entry.name == name);
        found.cloned().ok_or_else(|| ReplayError::UnknownRoute {
            route: name.to_owned(),
            known: routes
                .entries()
                .iter()
                .map(|entry| Arc::clone(&entry.name))
                .collect(),
        })
    }

    /// Appends copies, waiting for room; in halves if they can never fit together.
    async fn append(
        &self,
        entry: &RouterEntry,
        replays: &Replays,
        records: Vec<Arc<Record>>,
    ) -> Result<Receipt, ReplayError> {
        let copies = records.iter().map(|record| copy(record, entry, replays));
        let mut waiting = vec![copies.collect::<Vec<Draft>>()];
        let mut receipt = Receipt::safe();
        let mut room = self.shared.queue.room();
        while let Some(drafts) = waiting.pop() {
            room.mark_unchanged();
            let (state, offered) = (None, drafts.len());
            let appended = self.shared.append(Batch { drafts, state }).await;
            let Rejected { reason, batch } = match appended.ok_or(ReplayError::Stopping)? {
                Ok(appended) => {
                    replays.wake.notify_one();
                    receipt = receipt.and(&appended.receipt);
                    continue;
                }
                Err(rejected) => *rejected,
            };
            let mut drafts = batch.drafts;
            match reason {
                RejectReason::TooBig { .. } if offered > 1 => {
                    let second = drafts.split_off(offered / 2);
                    waiting.extend([second, drafts]);
                }
                RejectReason::Full { .. } => {
                    waiting.push(drafts);
                    tokio::select! {
                        changed = room.changed() => changed.map_err(|_| ReplayError::Stopping)?,
                        () = self.shared.stop.requested() => return Err(ReplayError::Stopping),
                    }
                }
                reason @ RejectReason::TooBig { .. } => {
                    let first = drafts.first().map(|draft| draft.header.event_id.clone());
                    let id = first.unwrap_or_default();
                    return Err(ReplayError::TooBig { id, reason });
                }
                reason => return Err(ReplayError::Unwritable(reason)),
            }
        }
        Ok(receipt)
    }
}

fn copy(record: &Record, entry: &RouterEntry, replays: &Replays) -> Draft {
    Draft {
        header: Header {
            target: Target::Route(Arc::clone(&entry.name)),
            ..record.header.clone()
        },
        body: record.body.clone(),
        wanted: Arc::from([replays.consumer]),
    }
}

async fn safe(receipt: &Receipt) -> Result<(), ReplayError> {
    receipt.settled().await.map_err(|_| ReplayError::Stopping)
}
