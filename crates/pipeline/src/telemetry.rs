//! What is counted and measured, and under which names.
//!
//! Names follow KETE where they mean the same. Labels come from the configuration only (route,
//! source, reason), never from events. The encoder adds `_total` to counters itself.

mod certificates;
mod dead_letters;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::certificate::CertificateReader;
use crate::destination::{ConnectFailureKind, FailureReason};

type Labels = Vec<(&'static str, String)>;
type Counters = Family<Labels, Counter>;
type Gauges = Family<Labels, Gauge>;
type FloatGauges = Family<Labels, Gauge<f64, AtomicU64>>;
type Refresh = Box<dyn Fn() + Send + Sync>;

/// All families, and the handles of routes and sources.
pub struct Telemetry {
    registry: Mutex<Registry>,
    families: Families,
    routes: Mutex<HashMap<Arc<str>, Arc<RouteMetrics>>>,
    sources: Mutex<HashMap<Arc<str>, Arc<SourceMetrics>>>,
    /// The consumers that the queue knew when it was last asked.
    consumers: Mutex<BTreeSet<String>>,
    refreshers: Mutex<Vec<Refresh>>,
    certificates: Mutex<HashMap<String, CertificateReader>>,
}

#[derive(Default, Clone)]
struct Families {
    taken: Counters,
    refused: Counters,
    bad: Counters,
    repeated: Counters,
    unrouted: Counters,
    masked: Counters,
    accepted: Counters,
    forwarded: Counters,
    replayed: Counters,
    failed: Counters,
    dropped: Counters,
    resent: Counters,
    retries: Counters,
    dead_letters: Counters,
    dead_letters_lost: Counters,
    read_failures: Counters,
    in_flight: Gauges,
    lag_events: Gauges,
    lag_bytes: Gauges,
    gave_up: Gauges,
    oldest: FloatGauges,
    connections: Gauges,
    connects: Counters,
    connect_failures: Counters,
    queue_events: Gauge,
    queue_bytes: Gauge,
    consumer_lag: Gauges,
    consumer_dropped: Counters,
    certificate_days: FloatGauges,
}

/// The counters of one source.
pub struct SourceMetrics {
    /// Events that intake took.
    pub taken: Counter,
    /// Events that were refused because there was no room.
    pub refused: Counter,
    /// Lines or bodies that were not events.
    pub bad: Counter,
    /// Events that were dropped because they had been taken before.
    pub repeated: Counter,
    /// Events that no route wanted.
    pub unrouted: Counter,
    /// Secrets that were masked.
    pub masked: Counter,
}

/// The counters and gauges of one route.
pub struct RouteMetrics {
    /// Events that its matchers accepted.
    pub accepted: Counter,
    /// Events whose arrival was confirmed.
    pub forwarded: Counter,
    /// Replays whose arrival was confirmed.
    pub replayed: Counter,
    /// Events that were dropped because the route was behind.
    pub dropped_oldest: Counter,
    /// Events that were dropped because the queue was full.
    pub dropped_newest: Counter,
    /// Events that were sent again after a connection was lost.
    pub resent: Counter,
    /// Events that were offered again after a refusal or a suspected failure.
    pub retries: Counter,
    /// Events that went to the store of dead letters.
    pub dead_letters: Counter,
    /// Events that would have, but there is no store: their bodies are lost.
    pub dead_letters_lost: Counter,
    /// Attempts to read the queue for the route that failed.
    pub read_failures: Counter,
    /// Events on connections, not confirmed.
    pub in_flight: Gauge,
    /// Events that the route has not settled.
    pub lag_events: Gauge,
    /// Bytes that the route has not settled.
    pub lag_bytes: Gauge,
    /// How often a regex matcher of the route gave up on a text.
    pub matchers_gave_up: Gauge,
    /// When the oldest unsettled event was accepted, in milliseconds since 1970; 0: there is none.
    pub oldest_accepted_at: AtomicI64,
    /// Open connections.
    pub connections: Gauge,
    /// Connections that were opened.
    pub connects: Counter,
    oldest: Gauge<f64, AtomicU64>,
    failed: HashMap<FailureReason, Counter>,
    connect_failures: HashMap<ConnectFailureKind, Counter>,
}

const FAILURES: [FailureReason; 5] = [
    FailureReason::TooLarge,
    FailureReason::Serialization,
    FailureReason::EventName,
    FailureReason::Refused,
    FailureReason::ConnectionEnded,
];

const CONNECT_FAILURES: [ConnectFailureKind; 8] = [
    ConnectFailureKind::Unreachable,
    ConnectFailureKind::Tls,
    ConnectFailureKind::Unauthorized,
    ConnectFailureKind::Rejected,
    ConnectFailureKind::Protocol,
    ConnectFailureKind::Timeout,
    ConnectFailureKind::NoConfirmation,
    ConnectFailureKind::Ended,
];

impl Telemetry {
    /// Registers all families.
    #[must_use]
    pub fn new() -> Arc<Telemetry> {
        let mut registry = Registry::with_prefix("kete");
        let families = Families::default();
        families.register_sources(&mut registry);
        families.register_routes(&mut registry);
        families.register_failures(&mut registry);
        families.register_connections(&mut registry);
        Arc::new(Telemetry {
            registry: Mutex::new(registry),
            families,
            routes: Mutex::default(),
            sources: Mutex::default(),
            consumers: Mutex::default(),
            refreshers: Mutex::default(),
            certificates: Mutex::default(),
        })
    }

    /// The counters of this source.
    pub fn source(&self, name: &Arc<str>) -> Arc<SourceMetrics> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = sources
            .entry(Arc::clone(name))
            .or_insert_with(|| Arc::new(SourceMetrics::new(&self.families, name)));
        Arc::clone(metrics)
    }

    /// The counters and gauges of this route.
    pub fn route(&self, name: &Arc<str>) -> Arc<RouteMetrics> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = routes
            .entry(Arc::clone(name))
            .or_insert_with(|| Arc::new(RouteMetrics::new(&self.families, name)));
        Arc::clone(metrics)
    }

    /// The events that a route of this name has lost at a bound since the process began, by
    /// `drop-oldest` and `drop-newest`; what the queue lost by itself is not among them.
    #[must_use]
    pub fn dropped(&self, route: &str) -> u64 {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = |metrics: &Arc<RouteMetrics>| {
            metrics.dropped_oldest.get() + metrics.dropped_newest.get()
        };
        routes.get(route).map_or(0, dropped)
    }

    /// Adds what brings gauges up to date before they are read.
    pub fn before_reading(&self, refresh: impl Fn() + Send + Sync + 'static) {
        let mut refreshers = self
            .refreshers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        refreshers.push(Box::new(refresh));
    }

    /// What the queue holds, in events and bytes.
    pub fn set_queue(&self, events: u64, bytes: u64) {
        self.families.queue_events.set(events as i64);
        self.families.queue_bytes.set(bytes as i64);
    }

    /// What each consumer that the queue knows has before it and has lost, removed routes and
    /// replays included: its name, the events that it has not settled, and those that it lost.
    pub fn set_consumers<'c>(&self, consumers: impl Iterator<Item = (&'c str, u64, u64)>) {
        let (lags, drops) = (&self.families.consumer_lag, &self.families.consumer_dropped);
        let mut known = self
            .consumers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut gone = std::mem::take(&mut *known);
        for (name, lag, dropped) in consumers {
            let labels = label("route", name);
            lags.get_or_create(&labels).set(lag as i64);
            let counter = drops.get_or_create(&labels);
            counter
                .inner()
                .store(dropped, std::sync::atomic::Ordering::Relaxed);
            drop(counter);
            gone.remove(name);
            known.insert(name.to_owned());
        }
        for name in gone {
            lags.remove(&label("route", &name));
            drops.remove(&label("route", &name));
        }
    }

    /// Everything in the text format of Prometheus.
    #[must_use]
    pub fn encode(&self) -> String {
        for refresh in self
            .refreshers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            refresh();
        }
        self.refresh_certificates();
        for route in self
            .routes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
        {
            route.refresh_age();
        }
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing into a String cannot fail.
        let _infallible = encode(&mut text, &registry);
        text
    }
}

impl Families {
    fn register_sources(&self, registry: &mut Registry) {
        let one = [
            (
                "source_events_taken",
                "Events that intake took",
                &self.taken,
            ),
            (
                "source_events_refused",
                "Events refused for want of room",
                &self.refused,
            ),
            (
                "source_events_bad",
                "Lines or bodies that are not events",
                &self.bad,
            ),
            (
                "source_events_repeated",
                "Events taken before and dropped",
                &self.repeated,
            ),
            (
                "source_events_unrouted",
                "Events that no route wants",
                &self.unrouted,
            ),
            (
                "source_secrets_masked",
                "Secrets masked in representations",
                &self.masked,
            ),
        ];
        for (name, help, family) in one {
            registry.register(name, help, family.clone());
        }
        let events = "Events in the queue";
        registry.register("queue_events", events, self.queue_events.clone());
        let lag = "Events that a route or its replays have not settled, removed routes too";
        registry.register("queue_lag_events", lag, self.consumer_lag.clone());
        let dropped = "Events that a route has lost at a bound of the queue, removed routes too";
        let family = self.consumer_dropped.clone();
        registry.register("queue_events_dropped", dropped, family);
        let bytes = "Bytes that the events in the queue take";
        registry.register_with_unit("queue", bytes, Unit::Bytes, self.queue_bytes.clone());
    }

    fn register_routes(&self, registry: &mut Registry) {
        let counters = [
            (
                "events_accepted",
                "Events that the route's matchers accept",
                &self.accepted,
            ),
            (
                "events_forwarded",
                "Events whose arrival was confirmed",
                &self.forwarded,
            ),
            (
                "events_replayed",
                "Events sent again on request whose arrival was confirmed",
                &self.replayed,
            ),
            (
                "events_dropped",
                "Events dropped at a bound, by policy",
                &self.dropped,
            ),
            (
                "events_repeated",
                "Events sent again after a lost connection",
                &self.resent,
            ),
            (
                "retries",
                "Events offered again after they failed",
                &self.retries,
            ),
        ];
        for (name, help, family) in counters {
            registry.register(name, help, family.clone());
        }
        let gauges = [
            (
                "events_inflight",
                "Events on connections, unconfirmed",
                &self.in_flight,
            ),
            (
                "route_lag_events",
                "Events that the route has not settled",
                &self.lag_events,
            ),
            (
                "route_matchers_gave_up",
                "Texts on which a regex matcher gave up and did not accept",
                &self.gave_up,
            ),
        ];
        for (name, help, family) in gauges {
            registry.register(name, help, family.clone());
        }
        let lag = "Bytes that the route has not settled";
        registry.register_with_unit("route_lag", lag, Unit::Bytes, self.lag_bytes.clone());
        let oldest = "Age of the oldest event that the route has not settled";
        let family = self.oldest.clone();
        registry.register_with_unit("route_oldest_unsettled", oldest, Unit::Seconds, family);
    }

    fn register_failures(&self, registry: &mut Registry) {
        let counters = [
            ("events_failed", "Events given up, by reason", &self.failed),
            (
                "dead_letters",
                "Events stored as dead letters",
                &self.dead_letters,
            ),
            (
                "dead_letters_lost",
                "Dead letters without a store",
                &self.dead_letters_lost,
            ),
            (
                "queue_read_failures",
                "Attempts to read the queue for a route that failed",
                &self.read_failures,
            ),
        ];
        for (name, help, family) in counters {
            registry.register(name, help, family.clone());
        }
    }

    fn register_connections(&self, registry: &mut Registry) {
        registry.register(
            "route_connections",
            "Open connections",
            self.connections.clone(),
        );
        registry.register(
            "route_connects",
            "Connections opened",
            self.connects.clone(),
        );
        let failures = "Connections lost or not opened, by kind";
        registry.register(
            "route_connect_failures",
            failures,
            self.connect_failures.clone(),
        );
        let days = "Days until the first certificate of the store ends; negative if it is over";
        registry.register("certificate_days_left", days, self.certificate_days.clone());
    }
}

fn label(key: &'static str, value: &str) -> Labels {
    vec![(key, value.to_owned())]
}

impl SourceMetrics {
    fn new(families: &Families, name: &str) -> SourceMetrics {
        let of = |family: &Counters| family.get_or_create_owned(&label("source", name));
        SourceMetrics {
            taken: of(&families.taken),
            refused: of(&families.refused),
            bad: of(&families.bad),
            repeated: of(&families.repeated),
            unrouted: of(&families.unrouted),
            masked: of(&families.masked),
        }
    }
}

impl RouteMetrics {
    fn new(families: &Families, name: &str) -> RouteMetrics {
        let labels = label("route", name);
        let with = |key, value: &str| vec![("route", name.to_owned()), (key, value.to_owned())];
        let of = |family: &Counters| family.get_or_create_owned(&labels);
        let gauge = |family: &Gauges| family.get_or_create_owned(&labels);
        let dropped = |policy| {
            families
                .dropped
                .get_or_create_owned(&with("policy", policy))
        };
        let failed = |reason: FailureReason| {
            let labels = with("reason", reason.as_str());
            (reason, families.failed.get_or_create_owned(&labels))
        };
        let connect_failure = |kind: ConnectFailureKind| {
            let labels = with("kind", kind.as_str());
            (kind, families.connect_failures.get_or_create_owned(&labels))
        };
        RouteMetrics {
            accepted: of(&families.accepted),
            forwarded: of(&families.forwarded),
            replayed: of(&families.replayed),
            dropped_oldest: dropped("drop-oldest"),
            dropped_newest: dropped("drop-newest"),
            resent: of(&families.resent),
            retries: of(&families.retries),
            dead_letters: of(&families.dead_letters),
            dead_letters_lost: of(&families.dead_letters_lost),
            read_failures: of(&families.read_failures),
            in_flight: gauge(&families.in_flight),
            lag_events: gauge(&families.lag_events),
            lag_bytes: gauge(&families.lag_bytes),
            matchers_gave_up: gauge(&families.gave_up),
            oldest_accepted_at: AtomicI64::new(0),
            connections: gauge(&families.connections),
            connects: of(&families.connects),
            oldest: families.oldest.get_or_create_owned(&labels),
            failed: FAILURES.into_iter().map(failed).collect(),
            connect_failures: CONNECT_FAILURES.into_iter().map(connect_failure).collect(),
        }
    }

    /// Counts an event that was given up.
    pub fn count_failed(&self, reason: FailureReason) {
        if let Some(counter) = self.failed.get(&reason) {
            counter.inc();
        }
    }

    /// Counts a connection that was lost or not opened.
    pub fn count_connect_failure(&self, kind: ConnectFailureKind) {
        if let Some(counter) = self.connect_failures.get(&kind) {
            counter.inc();
        }
    }

    /// How many events were given up, for whatever reason.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.values().map(Counter::get).sum()
    }

    fn refresh_age(&self) {
        let oldest = self
            .oldest_accepted_at
            .load(std::sync::atomic::Ordering::Relaxed);
        let age = if oldest == 0 {
            0
        } else {
            (crate::intake::epoch_millis() - oldest).max(0)
        };
        self.oldest.set(age as f64 / 1000.0);
    }
}
