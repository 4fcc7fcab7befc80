//! What a route may say about its window, its order and its waits.
//!
//! These keys stand below `destination.` beside the destination's own, and mean the same for every
//! kind of destination.

use std::time::Duration;

use kete_config::{AnyKey, Key, KeyTable, Scope, Setting, Size, setting_words};
use kete_queue::{ConsumerLimits, StartFrom, WhenLagging};

/// Which events keep their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordering {
    /// Those of one user; see [`kete_event::Event::ordering_key`] for events without a user.
    User,
    /// Those of one realm.
    Realm,
    /// None: each event for itself.
    None,
    /// All of the route: one connection carries everything.
    Total,
}

setting_words!(Ordering {
    User = "user",
    Realm = "realm",
    None = "none",
    Total = "total",
});

/// `refuse` or `drop-oldest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RouteWhenFull(WhenLagging);

impl Setting for RouteWhenFull {
    const EXPECTED: &'static str = "refuse or drop-oldest";

    fn parse(text: &str) -> Result<RouteWhenFull, String> {
        match text.to_ascii_lowercase().as_str() {
            "refuse" => Ok(RouteWhenFull(WhenLagging::Refuse)),
            "drop-oldest" => Ok(RouteWhenFull(WhenLagging::DropOldest)),
            "drop-newest" => Err("one route cannot drop what others want
\
                kete.queue.when-full=drop-newest drops for all routes together"
                .to_owned()),
            _ => Err("it is none of these".to_owned()),
        }
    }
}

static MAX_IN_FLIGHT: Key<u32> = Key::with_default(
    "max-in-flight",
    "4096",
    "The most events that are read and not settled. After a crash at most these, and those \
     confirmed since the cursor was last saved, arrive twice.",
);
static MAX_IN_FLIGHT_BYTES: Key<Size> = Key::with_default(
    "max-in-flight-bytes",
    "4MiB",
    "The most bytes of events that are read and not settled; one event always fits.",
);
static ORDERING: Key<Ordering> = Key::with_default(
    "ordering",
    "user",
    "Which events keep their order: those of one user, of one realm, none, or all of the route \
     (total), which then has a single connection.",
);
static CONFIRM_TIMEOUT: Key<Duration> = Key::with_default(
    "confirm.timeout",
    "30s",
    "How long a connection may leave events unconfirmed without confirming any. Then it is \
     dropped and its events are sent again.",
);
static INITIAL_DELAY: Key<Duration> = Key::with_default(
    "reconnect.initial-delay",
    "500ms",
    "The longest wait before the first attempt to connect again. Each further one may wait twice \
     as long; the actual wait is drawn at random below that.",
);
static MAX_DELAY: Key<Duration> = Key::with_default(
    "reconnect.max-delay",
    "30s",
    "The longest wait between attempts to connect. There is no last attempt.",
);
static AUTH_FAILURE_DELAY: Key<Duration> = Key::with_default(
    "reconnect.auth-failure-delay",
    "30s",
    "The wait after the server refused the credentials, so that it is not hammered.",
);

/// The keys of every destination, below `destination.`.
pub static LANE_KEYS: KeyTable = &[
    &MAX_IN_FLIGHT,
    &MAX_IN_FLIGHT_BYTES,
    &ORDERING,
    &CONFIRM_TIMEOUT,
    &INITIAL_DELAY,
    &MAX_DELAY,
    &AUTH_FAILURE_DELAY,
];

static WHEN_FULL: Key<RouteWhenFull> = Key::with_default(
    "queue.when-full",
    "refuse",
    "What happens when this route is so far behind that the queue is full: intake stops for all \
     (refuse), or the route drops its oldest events (drop-oldest).",
);
static MAX_LAG_BYTES: Key<Size> = Key::optional(
    "queue.max-lag-bytes",
    "The most bytes that this route may be behind. Default: kete.queue.max-bytes.",
);

static START_FROM: Key<RouteStartFrom> = Key::with_default(
    "queue.start-from",
    "now",
    "Where the route starts when the queue on disk does not know it yet: behind everything that is \
     stored (now), or at the oldest event that is stored (earliest).",
);

/// The keys of a route about its place in the queue, below `kete.routes.<route>.`.
pub static QUEUE_ROUTE_KEYS: KeyTable = &[&WHEN_FULL, &MAX_LAG_BYTES, &START_FROM];

/// `now` or `earliest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RouteStartFrom(StartFrom);

impl Setting for RouteStartFrom {
    const EXPECTED: &'static str = "now or earliest";

    fn parse(text: &str) -> Result<RouteStartFrom, String> {
        match text.to_ascii_lowercase().as_str() {
            "now" => Ok(RouteStartFrom(StartFrom::Now)),
            "earliest" => Ok(RouteStartFrom(StartFrom::Earliest)),
            _ => Err("it is neither".to_owned()),
        }
    }
}

/// A route's place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerSettings {
    /// How far it may be behind, and what happens then.
    pub limits: ConsumerLimits,
    /// Where it starts if the queue does not know it yet.
    pub start_from: StartFrom,
}

/// How a lane works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneSettings {
    /// The most events between cursor and read position.
    pub max_in_flight: usize,
    /// The most bytes between cursor and read position; one event always fits.
    pub max_in_flight_bytes: u64,
    /// Which events keep their order.
    pub ordering: Ordering,
    /// How long a connection may leave events unconfirmed without confirming any.
    pub confirm_timeout: Duration,
    /// Ceiling of the first wait before connecting again.
    pub initial_delay: Duration,
    /// Ceiling of every wait before connecting again.
    pub max_delay: Duration,
    /// The wait after refused credentials.
    pub auth_failure_delay: Duration,
    /// Whether a key may have only one event unsettled, because its confirmation is the
    /// receiver's answer and the next may go out only after it. Destinations set it.
    pub one_per_key: bool,
}

impl LaneSettings {
    /// Reads [`LANE_KEYS`] from the section of a destination.
    pub fn read(scope: &Scope<'_>) -> Option<LaneSettings> {
        let max_in_flight = scope.read(&MAX_IN_FLIGHT);
        let max_in_flight_bytes = scope.read(&MAX_IN_FLIGHT_BYTES);
        let ordering = scope.read(&ORDERING);
        let confirm_timeout = scope.read(&CONFIRM_TIMEOUT);
        let initial_delay = scope.read(&INITIAL_DELAY);
        let max_delay = scope.read(&MAX_DELAY);
        let auth_failure_delay = scope.read(&AUTH_FAILURE_DELAY);
        let settings = LaneSettings {
            max_in_flight: usize::try_from(max_in_flight?).ok()?,
            max_in_flight_bytes: max_in_flight_bytes?.0,
            ordering: ordering?,
            confirm_timeout: confirm_timeout?,
            initial_delay: initial_delay?,
            max_delay: max_delay?,
            auth_failure_delay: auth_failure_delay?,
            one_per_key: false,
        };
        settings.check(scope).then_some(settings)
    }

    fn check(&self, scope: &Scope<'_>) -> bool {
        let mut right = true;
        let mut reject = |name: &str, message: &str| {
            right = false;
            scope.reject(name, "out-of-range", message, None);
        };
        if self.max_in_flight == 0 {
            reject("max-in-flight", "must be at least 1");
        }
        if self.max_in_flight > 1_000_000 {
            reject("max-in-flight", "must be at most 1000000");
        }
        if self.confirm_timeout.is_zero() {
            reject("confirm.timeout", "must be longer than zero");
        }
        if self.initial_delay.is_zero() {
            reject("reconnect.initial-delay", "must be longer than zero");
        }
        if self.max_delay < self.initial_delay {
            reject(
                "reconnect.max-delay",
                "must not be shorter than reconnect.initial-delay",
            );
        }
        right
    }

    /// The most events that one connection carries: a quarter of the window, so that a window
    /// that is full reaches over four connections.
    #[must_use]
    pub fn per_connection(&self) -> usize {
        (self.max_in_flight / 4).max(1)
    }
}

/// Reads [`QUEUE_ROUTE_KEYS`] from the section of a route.
pub fn read_consumer(scope: &Scope<'_>, queue_max_bytes: u64) -> Option<ConsumerSettings> {
    let when_full = scope.read(&WHEN_FULL);
    let start_from = scope.read(&START_FROM);
    let max_lag_bytes = match scope.read(&MAX_LAG_BYTES) {
        Some(size) => size.0,
        None if scope.is_set(MAX_LAG_BYTES.name()) => return None,
        None => queue_max_bytes,
    };
    Some(ConsumerSettings {
        limits: ConsumerLimits {
            max_lag_bytes,
            when_full: when_full?.0,
        },
        start_from: start_from?.0,
    })
}
