//! A batch on its way to the queue: events that are redacted, numbered and matched as they come.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use kete_event::Event;
use kete_queue::{Draft, Header, Receipt, SourceState, Target};

use super::epoch_millis;
use crate::repeats::Repeats;
use crate::router::Table;
use crate::telemetry::SourceMetrics;

/// Events that will be taken together or not at all.
pub struct Batch {
    pub(super) source: Arc<str>,
    pub(super) metrics: Arc<SourceMetrics>,
    pub(super) routes: Arc<Table>,
    pub(super) accepted_at: i64,
    pub(super) drafts: Vec<Draft>,
    pub(super) bytes: u64,
    pub(super) unrouted: u64,
    /// Events that were taken before and are left out, and what they still wait for.
    pub(super) repeated: u64,
    pub(super) earlier: Receipt,
    /// What the source is to remember once all of it is taken.
    pub(super) state: Option<SourceState>,
}

/// How the queue calls what a source remembers.
pub(super) fn state_key(source: &str, part: &str) -> Arc<str> {
    if part.is_empty() {
        return Arc::from(source);
    }
    Arc::from(format!("{source}/{part}"))
}

impl Batch {
    pub(super) fn new(source: Arc<str>, metrics: Arc<SourceMetrics>, routes: Arc<Table>) -> Batch {
        Batch {
            source,
            metrics,
            routes,
            accepted_at: epoch_millis(),
            drafts: Vec::new(),
            bytes: 0,
            unrouted: 0,
            repeated: 0,
            earlier: Receipt::safe(),
            state: None,
        }
    }

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

    /// Has a durable queue remember `state` for the source, in the same step in which the batch is
    /// taken; [`Intake::remembered`](super::Intake::remembered) tells it after a restart. A source
    /// may remember several things, each under a name of its own; a later one replaces an earlier
    /// one. A batch remembers one thing. With a queue that a crash empties this does nothing.
    pub fn remember(&mut self, part: &str, state: Bytes) {
        let source = state_key(&self.source, part);
        self.state = Some(SourceState { source, state });
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

    /// Two batches that hold the events of this one, in order. What the source is to remember
    /// covers all of them, so it goes with the second, which must be taken after the first.
    pub(super) fn halves(mut self) -> (Batch, Batch) {
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
            state: self.state.take(),
        };
        (self, second)
    }

    /// Takes out what was taken before. The batch keeps the receipts of that, through every offer,
    /// so that a repeat is never answered sooner than the first.
    pub(super) fn without_repeats(mut self, repeats: &Repeats) -> Batch {
        let mut within = HashSet::new();
        let before = self.drafts.len();
        let earlier = &mut self.earlier;
        self.drafts.retain(|draft| {
            if draft.header.id_derived {
                return true;
            }
            if let Some(receipt) = repeats.find(&draft.header.event_id) {
                if !receipt.is_settled() {
                    *earlier = std::mem::take(earlier).and(&receipt);
                }
                return false;
            }
            within.insert(draft.header.event_id.clone())
        });
        self.repeated += (before - self.drafts.len()) as u64;
        self
    }

    /// The ids of its events that Keycloak gave them.
    pub(super) fn own_ids(&self) -> impl Iterator<Item = &str> {
        let own = self.drafts.iter().filter(|draft| !draft.header.id_derived);
        own.map(|draft| &*draft.header.event_id)
    }
}
