//! The owner of sources and lanes: it adds, replaces and removes each while the rest runs, and
//! brings all of them to an end.
//!
//! The end has an order. Sources are asked to take nothing more; intake closes; lanes deliver what
//! was taken, within the grace; only then are the sources told that it is over, so that a webhook
//! can answer to the last whether its events are safe.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use kete_queue::{CloseError, ConsumerLimits, Lag, Queue, StartFrom, WhenLagging};
use kete_routes::{Retry, RouteRules};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::intake::Shared;
use crate::lane::{
    CoreSettings, Deliveries, LaneHandle, LaneParts, LaneRole, LaneSettings, Ordering,
};
use crate::replay::{REPLAYS_SUFFIX, Replayer};
use crate::router::{Replays, Router, RouterEntry};
use crate::{DeadLetters, Destination, Intake, Source, SourceError, Stop, Telemetry};

/// How long sources get to leave when everything else is over.
const SOURCES_DEADLINE: Duration = Duration::from_secs(2);

/// How long the queue gets to save what is not saved.
const QUEUE_DEADLINE: Duration = Duration::from_secs(10);

/// Replays that wait take at most one part in so many of the queue, so that live events have room.
const REPLAYS_SHARE: u64 = 8;

/// A source to run.
pub struct SourceSpec {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it ends by itself.
    pub finite: bool,
    /// Whether events that were taken already are dropped.
    pub drops_repeats: bool,
    /// The source.
    pub source: Box<dyn Source>,
}

/// A lane to run.
pub struct LaneSpec {
    /// The name of the route.
    pub name: Arc<str>,
    /// Its matchers.
    pub rules: Arc<RouteRules>,
    /// How often an event that fails is offered, and how long it rests in between.
    pub retry: Retry,
    /// Its window, order and waits.
    pub lane: LaneSettings,
    /// Its bounds in the queue.
    pub limits: ConsumerLimits,
    /// Where it starts if the queue does not know it yet.
    pub start_from: StartFrom,
    /// Where its events go.
    pub destination: Arc<dyn Destination>,
}

/// The owner of sources and lanes.
pub struct Supervisor {
    shared: Arc<Shared>,
    dead_letters: Arc<DeadLetters>,
    max_consecutive: u32,
    deliveries: Deliveries,
    telemetry: Arc<Telemetry>,
    routes: BTreeMap<Arc<str>, Route>,
    /// Raised by a lane that ends unasked.
    alarm: CancellationToken,
    sources: JoinSet<(Arc<str>, Result<(), SourceError>)>,
    running: BTreeMap<Arc<str>, RunningSource>,
    names: Vec<Arc<str>>,
    all_finite: bool,
    failed: Option<SourceError>,
}

/// A route at work.
struct Route {
    entry: RouterEntry,
    live: LaneHandle,
    /// What sends replays; it is always asked to end when the live one is.
    replays: Option<LaneHandle>,
}

struct RunningSource {
    finite: bool,
    stop: Stop,
    task: AbortHandle,
}

/// How it all ended.
#[derive(Debug)]
pub struct Report {
    /// The source whose failure ended it.
    pub failed_source: Option<SourceError>,
    /// Whether it ended because a lane did, by a mistake of kete's.
    pub failed_lane: bool,
    /// The routes that have unsettled events, and how many.
    pub undelivered: Vec<(Arc<str>, Lag)>,
    /// What the queue could not save when it was closed.
    pub queue_failure: Option<CloseError>,
    /// Whether every source was finite: then this was a job, and its result counts.
    pub all_sources_finite: bool,
    /// Whether what is undelivered survives.
    pub durable: bool,
    /// Events whose arrival was confirmed, over all routes.
    pub forwarded: u64,
    /// Events sent again on request whose arrival was confirmed, over all routes.
    pub replayed: u64,
    /// Dead letters that were stored.
    pub dead_letters: u64,
    /// Dead letters whose bodies are lost, because there is no store.
    pub dead_letters_lost: u64,
    /// Events that were dropped at a bound.
    pub dropped: u64,
    /// Lines or bodies that were not events.
    pub bad: u64,
    /// Events that no route wanted.
    pub unrouted: u64,
}

impl Report {
    /// Whether the process ends with success: nothing that was taken is lost, and a finite job
    /// had neither bad lines nor dead letters.
    #[must_use]
    pub fn is_success(&self) -> bool {
        let kept = self.durable || self.undelivered.is_empty();
        let clean = self.bad + self.dead_letters + self.dead_letters_lost == 0;
        self.failed_source.is_none()
            && !self.failed_lane
            && self.queue_failure.is_none()
            && kept
            && (clean || !self.all_sources_finite)
    }
}

impl Supervisor {
    /// Owns nothing yet.
    #[must_use]
    pub fn new(
        queue: Arc<dyn Queue>,
        dead_letters: Arc<DeadLetters>,
        max_consecutive: u32,
        telemetry: Arc<Telemetry>,
    ) -> Supervisor {
        let shared = Shared::new(queue, Router::default(), Stop::new());
        watch_lag(&shared, &telemetry);
        telemetry.watch_dead_letters(&dead_letters);
        Supervisor {
            shared,
            dead_letters,
            max_consecutive,
            deliveries: Deliveries::default(),
            telemetry,
            routes: BTreeMap::new(),
            alarm: CancellationToken::new(),
            sources: JoinSet::new(),
            running: BTreeMap::new(),
            names: Vec::new(),
            all_finite: true,
            failed: None,
        }
    }

    /// Has the lanes that are added from now on write a log line per event.
    pub fn log_deliveries(&mut self, deliveries: Deliveries) {
        self.deliveries = deliveries;
    }

    /// Tells when the end has begun.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        self.shared.stop.clone()
    }

    // === lanes ===

    /// Starts the lane of a route, and one for its replays where there can be any. It must run
    /// inside a tokio runtime.
    pub fn add_lane(&mut self, spec: LaneSpec) {
        let queue = &self.shared.queue;
        let entry = RouterEntry {
            consumer: queue.consumer(&spec.name, spec.limits, spec.start_from),
            replays: self.replays(&spec),
            max_lag_bytes: spec.limits.max_lag_bytes,
            metrics: self.telemetry.route(&spec.name),
            name: Arc::clone(&spec.name),
            rules: Arc::clone(&spec.rules),
        };
        let certificates = spec.destination.certificates();
        self.telemetry
            .watch_certificates(of_route(&entry.name), certificates);
        let over = entry.replays.as_ref().map(|_| CancellationToken::new());
        let role = LaneRole::Live {
            alone: over.clone(),
        };
        let live = self.start_lane(&spec, entry.clone(), role);
        let replays = entry.replays.clone().zip(over).map(|(replays, over)| {
            let role = LaneRole::Replay {
                wake: replays.wake,
                over: over.drop_guard(),
            };
            let consumer = replays.consumer;
            let entry = entry.clone();
            self.start_lane(&spec, RouterEntry { consumer, ..entry }, role)
        });
        let route = Route {
            entry,
            live,
            replays,
        };
        self.routes.insert(spec.name, route);
        self.publish_routes();
    }

    /// The place of the route's replays in the queue. There is one if anything is kept that can be
    /// sent again: events that were delivered, or dead letters.
    fn replays(&self, spec: &LaneSpec) -> Option<Replays> {
        let queue = &self.shared.queue;
        if !queue.durable() && !self.dead_letters.is_kept() {
            return None;
        }
        let limits = ConsumerLimits {
            max_lag_bytes: (queue.limits().max_bytes / REPLAYS_SHARE)
                .min(spec.limits.max_lag_bytes),
            when_full: WhenLagging::Refuse,
        };
        let name = format!("{}{REPLAYS_SUFFIX}", spec.name);
        Some(Replays {
            consumer: queue.consumer(&name, limits, StartFrom::Now),
            wake: Arc::default(),
        })
    }

    fn start_lane(&self, spec: &LaneSpec, entry: RouterEntry, role: LaneRole) -> LaneHandle {
        let single = role.is_replay() || spec.lane.ordering == Ordering::Total;
        let settings = CoreSettings {
            lane: spec.lane,
            max_connections: match single {
                true => 1,
                false => spec.destination.max_connections().max(1),
            },
            lazy: role.is_replay(),
            max_attempts: spec.retry.max_attempts,
            retry_wait: spec.retry.wait,
            max_consecutive: self.max_consecutive,
            deliveries: self.deliveries,
        };
        let parts = LaneParts {
            queue: Arc::clone(&self.shared.queue),
            entry,
            destination: Arc::clone(&spec.destination),
            dead_letters: Arc::clone(&self.dead_letters),
            settings,
            role,
        };
        LaneHandle::start(parts, self.alarm.clone())
    }

    /// Replaces a lane by one that goes on at its cursor. The old one gets until the deadline to
    /// have confirmed what is on its connections; what is not will arrive twice.
    pub async fn replace_lane(&mut self, spec: LaneSpec, deadline: Duration) {
        if let Some(mut route) = self.routes.remove(&spec.name) {
            route.stop(Instant::now() + deadline).await;
            route.ended().await;
        }
        self.add_lane(spec);
    }

    /// Removes a lane. In a queue that a crash empties it is forgotten, and returns how many of
    /// its events were dropped with it; elsewhere its cursor stays.
    pub async fn remove_lane(&mut self, name: &str, deadline: Duration) -> u64 {
        let Some(mut route) = self.routes.remove(name) else {
            return 0;
        };
        self.publish_routes();
        self.telemetry.watch_certificates(of_route(name), None);
        route.stop(Instant::now() + deadline).await;
        route.ended().await;
        let consumers = route.entry.consumers();
        consumers.map(|one| self.shared.queue.detach(one)).sum()
    }

    /// What sends events again to one of the routes.
    #[must_use]
    pub fn replayer(&self) -> Replayer {
        Replayer::new(Arc::clone(&self.shared))
    }

    /// Has a lane replace its connections; every event that is on one is confirmed first.
    pub async fn retire_connections(&self, name: &str) {
        if let Some(route) = self.routes.get(name) {
            for lane in route.lanes() {
                lane.retire().await;
            }
        }
    }

    fn publish_routes(&self) {
        let entries = self.routes.values().map(|route| route.entry.clone());
        self.shared.router.replace(entries.collect());
    }

    // === sources ===

    /// Starts a source. Lanes that its events are for should run already: events that no route
    /// wants are not stored. It must run inside a tokio runtime.
    pub fn add_source(&mut self, spec: SourceSpec) {
        let SourceSpec {
            name,
            finite,
            drops_repeats,
            source,
        } = spec;
        let intake = Intake::new(Arc::clone(&self.shared), &name, &self.telemetry);
        let stop = self.shared.stop.child();
        self.telemetry
            .watch_certificates(of_source(&name), source.certificates());
        let run = source.run(intake.drops_repeats(drops_repeats), stop.clone());
        let task_name = Arc::clone(&name);
        let task = self.sources.spawn(async move { (task_name, run.await) });
        self.all_finite &= finite;
        self.names.push(Arc::clone(&name));
        self.running
            .insert(name, RunningSource { finite, stop, task });
    }

    /// Stops a source and waits until it has left. What it handed over stays.
    pub async fn remove_source(&mut self, name: &str) {
        let Some(source) = self.running.get(name) else {
            return;
        };
        source.stop.end();
        self.telemetry.watch_certificates(of_source(name), None);
        let gone = async {
            while self.running.contains_key(name) && self.join_source().await.is_some() {}
        };
        if tokio::time::timeout(SOURCES_DEADLINE, gone).await.is_err()
            && let Some(source) = self.running.remove(name)
        {
            source.task.abort();
        }
    }

    /// Waits until every source has ended, all of them being finite, or one has failed. Dropping
    /// the future loses nothing.
    pub async fn wait(&mut self) {
        while self.failed.is_none() {
            let endless = self.running.values().any(|source| !source.finite);
            if !endless && self.running.is_empty() {
                return;
            }
            if self.join_source().await.is_none() {
                return;
            }
        }
    }

    /// Takes note of the next source that ends.
    async fn join_source(&mut self) -> Option<()> {
        let joined = self.sources.join_next().await?;
        match joined {
            Ok((name, result)) => {
                let source = self.running.remove(&name);
                let wanted =
                    source.is_none_or(|source| source.finite || source.stop.is_requested());
                match result {
                    Err(failure) => self.failed = Some(failure),
                    Ok(()) if wanted => info!(source = &*name, "source ended"),
                    Ok(()) => warn!(source = &*name, "source ended early"),
                }
            }
            Err(stopped) if stopped.is_cancelled() => {}
            Err(stopped) => {
                error!(error = %stopped, "a source ended unexpectedly");
                let problem = stopped.to_string();
                self.failed = Some(SourceError {
                    name: "(unknown)".to_owned(),
                    problem,
                });
            }
        }
        Some(())
    }

    // === the end ===

    /// Runs until all sources have ended and everything is settled, until one has failed, or
    /// until `shutdown` resolves. Then what was taken is delivered within the grace.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>, grace: Duration) -> Report {
        let mut shutdown = pin!(shutdown);
        let alarm = self.alarm.clone();
        let asked = tokio::select! {
            () = self.wait() => false,
            () = &mut shutdown => true,
            () = alarm.cancelled() => true,
        };
        if asked || self.failed.is_some() {
            return self.stop(grace).await;
        }
        // A finite job: it takes as long as it takes, unless it is asked to stop.
        self.shared.close().await;
        for route in self.routes.values() {
            route.drain(None).await;
        }
        let asked = tokio::select! {
            () = lanes_ended(&mut self.routes) => false,
            () = &mut shutdown => true,
            () = alarm.cancelled() => true,
        };
        if asked {
            return self.stop(grace).await;
        }
        self.leave().await
    }

    /// Takes nothing more, delivers what was taken within the grace, and ends.
    pub async fn stop(mut self, grace: Duration) -> Report {
        let until = Instant::now() + grace;
        let waiting: u64 = self.waiting();
        let durable = self.shared.queue.durable();
        if durable {
            info!(
                waiting,
                grace = ?grace,
                "stopping: nothing more is taken, what is under way is waited for; the rest stays \
                 on disk"
            );
        } else {
            info!(waiting, grace = ?grace, "stopping: nothing more is taken, what waits is delivered");
        }
        self.shared.stop.request();
        self.shared.close().await;
        for route in self.routes.values() {
            if durable {
                route.stop(until).await
            } else {
                route.drain(Some(until)).await
            }
        }
        lanes_ended(&mut self.routes).await;
        self.leave().await
    }

    /// How many events routes have not settled; one that two routes want counts twice.
    fn waiting(&self) -> u64 {
        let routes = self.routes.values();
        routes.map(|route| self.lag(&route.entry).events).sum()
    }

    /// What a route has not settled, replays included.
    fn lag(&self, entry: &RouterEntry) -> Lag {
        let lags = entry.consumers().map(|one| self.shared.queue.lag(one));
        lags.fold(Lag::default(), |sum, lag| Lag {
            events: sum.events + lag.events,
            bytes: sum.bytes + lag.bytes,
        })
    }

    /// Lets the sources go, closes the queue, and reports.
    async fn leave(mut self) -> Report {
        self.shared.stop.end();
        let left = async { while self.join_source().await.is_some() {} };
        if tokio::time::timeout(SOURCES_DEADLINE, left).await.is_err() {
            for (name, source) in &self.running {
                warn!(source = &**name, "source does not leave and is dropped");
                source.task.abort();
            }
        }
        let queue_failure = self.close_queue().await;
        self.report(queue_failure)
    }

    /// Closes the queue, after everybody who uses it. Returns what went wrong.
    async fn close_queue(&self) -> Option<CloseError> {
        let closing = tokio::time::timeout(QUEUE_DEADLINE, self.shared.queue.close());
        let problem = format!("it takes longer than {QUEUE_DEADLINE:?}");
        let failure = closing.await.unwrap_or(Err(CloseError { problem })).err()?;
        error!("{failure}");
        Some(failure)
    }

    fn report(self, queue_failure: Option<CloseError>) -> Report {
        let routes = self.routes.values().map(|route| &route.entry);
        let metrics = || routes.clone().map(|entry| &entry.metrics);
        let behind = routes
            .clone()
            .map(|entry| (Arc::clone(&entry.name), self.lag(entry)));
        let sources = || self.names.iter().map(|name| self.telemetry.source(name));
        Report {
            undelivered: behind.filter(|(_, lag)| lag.events > 0).collect(),
            forwarded: metrics().map(|route| route.forwarded.get()).sum(),
            replayed: metrics().map(|route| route.replayed.get()).sum(),
            dead_letters: metrics().map(|route| route.dead_letters.get()).sum(),
            dead_letters_lost: metrics().map(|route| route.dead_letters_lost.get()).sum(),
            dropped: metrics()
                .map(|route| route.dropped_oldest.get() + route.dropped_newest.get())
                .sum(),
            bad: sources().map(|source| source.bad.get()).sum(),
            unrouted: sources().map(|source| source.unrouted.get()).sum(),
            all_sources_finite: self.all_finite,
            durable: self.shared.queue.durable(),
            failed_source: self.failed,
            failed_lane: self.alarm.is_cancelled(),
            queue_failure,
        }
    }
}

/// How telemetry calls a route; a source may have the same name.
fn of_route(name: &str) -> String {
    format!("route {name}")
}

/// How telemetry calls a source.
fn of_source(name: &str) -> String {
    format!("source {name}")
}

impl Route {
    /// Its lanes, that for replays first.
    fn lanes(&self) -> impl Iterator<Item = &LaneHandle> {
        self.replays.iter().chain([&self.live])
    }

    async fn drain(&self, until: Option<Instant>) {
        for lane in self.lanes() {
            lane.drain(until).await;
        }
    }

    async fn stop(&self, until: Instant) {
        for lane in self.lanes() {
            lane.stop(until).await;
        }
    }

    async fn ended(&mut self) {
        if let Some(replays) = &mut self.replays {
            replays.ended().await;
        }
        self.live.ended().await;
    }
}

async fn lanes_ended(routes: &mut BTreeMap<Arc<str>, Route>) {
    for route in routes.values_mut() {
        route.ended().await;
    }
}

/// Brings the gauges of the queue and of every route's lag up to date when they are read.
fn watch_lag(shared: &Arc<Shared>, telemetry: &Arc<Telemetry>) {
    let (shared, weak) = (Arc::downgrade(shared), Arc::downgrade(telemetry));
    telemetry.before_reading(move || {
        let (Some(shared), Some(telemetry)) = (shared.upgrade(), weak.upgrade()) else {
            return;
        };
        let usage = shared.queue.usage();
        telemetry.set_queue(usage.events, usage.bytes);
        let consumers = shared.queue.consumers();
        let seen = consumers.iter().map(|one| {
            // The queue counts what it lost where nobody worked for a route, and the rest is here.
            let dropped = one.dropped + telemetry.dropped(&one.name);
            (&*one.name, one.lag.events, dropped)
        });
        telemetry.set_consumers(seen);
        for entry in shared.router.entries() {
            let lag = shared.queue.lag(entry.consumer);
            entry.metrics.lag_events.set(lag.events as i64);
            entry.metrics.lag_bytes.set(lag.bytes as i64);
            entry
                .metrics
                .matchers_gave_up
                .set(entry.rules.gave_up() as i64);
        }
    });
}
