//! Replays of a span in parts, and into a queue that no kete works on.
//!
//! A span may hold millions of events, and whoever asks for it over a socket wants answers in
//! between. So where a replay is, is a value that they keep: nothing has to be remembered here, and
//! a replay that nobody asks on for ends.

use std::collections::VecDeque;
use std::sync::Arc;

use kete_queue::{ConsumerLimits, Queue, Receipt, Sequence, Span, StartFrom, WhenLagging};
use kete_routes::RouteRules;
use serde::{Deserialize, Serialize};

use super::{AT_ONCE, BYTES_AT_ONCE, REPLAYS_SUFFIX, ReplayError, Replayer, UNSAFE_BATCHES, safe};
use crate::intake::Shared;
use crate::router::{Replays, Router, RouterEntry, Table};
use crate::{Stop, Telemetry};

/// How far a replay has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpanProgress {
    /// Where it goes on.
    pub next: Sequence,
    /// The newest record when it began; what came later is not part of it.
    pub newest: Sequence,
    /// Events that were appended so far.
    pub events: u64,
}

impl SpanProgress {
    /// Whether there is nothing more.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.next > self.newest
    }
}

impl Replayer {
    /// The beginning of every replay of a span.
    #[must_use]
    pub fn begin_span(&self) -> SpanProgress {
        SpanProgress {
            next: 0,
            newest: *self.shared.queue.appended().borrow(),
            events: 0,
        }
    }

    /// Sends the next events of the span again, as [`Replayer::replay_span`] does, and waits for
    /// room first. Dropping the future before it is ready leaves the progress where it was.
    ///
    /// # Errors
    ///
    /// As [`Replayer::replay`], or what is stored cannot be read.
    pub async fn replay_part(
        &self,
        route: &str,
        span: Span,
        progress: &mut SpanProgress,
    ) -> Result<Receipt, ReplayError> {
        let matchers = Table::of(self.route(route)?);
        let queue = &self.shared.queue;
        let (next, newest) = (progress.next, progress.newest);
        let slice = queue.read_again(span, next, AT_ONCE, BYTES_AT_ONCE).await?;
        let mut records = slice.records;
        records.retain(|record| {
            let header = &record.header;
            record.sequence <= newest && !matchers.wanted(&header.metadata).is_empty()
        });
        let events = records.len() as u64;
        let receipt = self.replay(route, records).await?;
        progress.events += events;
        // A read that does not get on has come to the end.
        progress.next = if slice.next > next {
            slice.next
        } else {
            newest + 1
        };
        Ok(receipt)
    }

    /// Sends everything again of the span; see there.
    pub(super) async fn replay_parts(&self, route: &str, span: Span) -> Result<u64, ReplayError> {
        let durable = self.shared.queue.durable();
        let mut progress = self.begin_span();
        let mut pending: VecDeque<Receipt> = VecDeque::new();
        while !progress.is_done() {
            pending.push_back(self.replay_part(route, span, &mut progress).await?);
            pending.retain(|receipt| durable && !receipt.is_settled());
            if pending.len() > UNSAFE_BATCHES
                && let Some(oldest) = pending.pop_front()
            {
                safe(&oldest).await?;
            }
        }
        for receipt in pending {
            safe(&receipt).await?;
        }
        Ok(progress.events)
    }

    /// What sends events again through a queue that no kete works on: they wait in it for the next
    /// one. The queue must have room for all of them, for nobody makes any.
    #[must_use]
    pub fn for_closed(
        queue: Arc<dyn Queue>,
        routes: impl IntoIterator<Item = (Arc<str>, Arc<RouteRules>)>,
    ) -> Replayer {
        let telemetry = Telemetry::new();
        let limits = ConsumerLimits {
            max_lag_bytes: u64::MAX,
            when_full: WhenLagging::Refuse,
        };
        let entries = routes.into_iter().map(|(name, rules)| {
            let replay = format!("{name}{REPLAYS_SUFFIX}");
            let consumer = queue.consumer(&replay, limits, StartFrom::Now);
            RouterEntry {
                consumer,
                replays: Some(Replays {
                    consumer,
                    wake: Arc::default(),
                }),
                max_lag_bytes: limits.max_lag_bytes,
                metrics: telemetry.route(&name),
                name,
                rules,
            }
        });
        let router = Router::default();
        router.replace(entries.collect());
        Replayer::new(Shared::new(queue, router, Stop::new()))
    }
}
