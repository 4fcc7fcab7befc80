//! What a lane says about its connections: the first failure at once, then summaries, never a
//! line per event or per attempt.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::router::RouterEntry;
use crate::{ConnectFailure, ConnectFailureKind, RouteMetrics};

/// How often a failure that goes on is spoken of.
const SUMMARY_EVERY: Duration = Duration::from_secs(60);

/// The voice of one route.
pub(crate) struct Reporter {
    route: Arc<str>,
    /// Set where it speaks of replays.
    replay: Option<bool>,
    metrics: Arc<RouteMetrics>,
    trouble: Option<Trouble>,
    /// Events that were dropped and not spoken of yet, and when they last were.
    dropped: u64,
    said_dropped: Option<Instant>,
}

struct Trouble {
    since: Instant,
    said: Instant,
    kind: ConnectFailureKind,
    failures: u64,
}

impl Reporter {
    pub(crate) fn new(entry: &RouterEntry, replay: bool) -> Reporter {
        Reporter {
            route: Arc::clone(&entry.name),
            replay: replay.then_some(true),
            metrics: Arc::clone(&entry.metrics),
            trouble: None,
            dropped: 0,
            said_dropped: None,
        }
    }

    /// A connection is open.
    pub(crate) fn connected(&mut self, peer: &str, now: Instant) {
        self.metrics.connects.inc();
        let (route, replay) = (&*self.route, self.replay);
        match &self.trouble {
            None => info!(route, replay, peer, "connected"),
            // Whether it is over, only a confirmation can say.
            Some(trouble) => {
                let (failures, for_seconds) = (trouble.failures, (now - trouble.since).as_secs());
                debug!(
                    route,
                    replay, peer, failures, for_seconds, "connected again"
                );
            }
        }
    }

    /// Events are confirmed again.
    pub(crate) fn works(&mut self, now: Instant) {
        if let Some(trouble) = self.trouble.take() {
            let (failures, for_seconds) = (trouble.failures, (now - trouble.since).as_secs());
            let (route, replay) = (&*self.route, self.replay);
            info!(route, replay, failures, for_seconds, "works again");
        }
    }

    /// A connection was lost, or could not be opened.
    pub(crate) fn failed(&mut self, failure: &ConnectFailure, lag: u64, now: Instant) {
        self.metrics.count_connect_failure(failure.kind);
        let (route, replay) = (&*self.route, self.replay);
        let (kind, error) = (failure.kind.as_str(), &failure.message);
        let Some(trouble) = &mut self.trouble else {
            warn!(
                route,
                replay,
                kind,
                error,
                waiting = lag,
                "no delivery; events wait"
            );
            let (since, said) = (now, now);
            self.trouble = Some(Trouble {
                since,
                said,
                kind: failure.kind,
                failures: 1,
            });
            return;
        };
        trouble.failures += 1;
        if trouble.kind != failure.kind || now - trouble.said >= SUMMARY_EVERY {
            trouble.kind = failure.kind;
            trouble.said = now;
            let (failures, for_seconds) = (trouble.failures, (now - trouble.since).as_secs());
            warn!(
                route,
                replay,
                kind,
                error,
                failures,
                for_seconds,
                waiting = lag,
                "still no delivery"
            );
        } else {
            debug!(route, replay, kind, error, "still no delivery");
        }
    }

    /// Events were dropped because the route is too far behind.
    pub(crate) fn dropped(&mut self, events: u64, now: Instant) {
        self.dropped += events;
        if self
            .said_dropped
            .is_some_and(|said| now - said < SUMMARY_EVERY)
        {
            return;
        }
        self.said_dropped = Some(now);
        let (route, dropped) = (&*self.route, std::mem::take(&mut self.dropped));
        warn!(
            route,
            dropped, "too far behind; the oldest events are dropped (drop-oldest)"
        );
    }
}
