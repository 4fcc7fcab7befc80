//! KETE's pool keys: which of them mean something here, and what.
//!
//! KETE borrows a connection for each event and gives it back, so at rest all of its connections
//! are idle. Here a lane keeps one even at rest. `min-idle` therefore counts every open connection:
//! at rest there are as many as with KETE. Keys about waiting for a connection mean nothing,
//! because a lane without a free connection simply keeps its events.

use std::num::NonZeroU32;
use std::time::Duration;

use kete_config::{AnyKey, Key, Scope, Unused};

use crate::codes;

pub(crate) static MIN_IDLE: Key<NonZeroU32> = Key::with_default(
    "pool.min-idle",
    "1",
    "the fewest connections that are kept open while the server is up, used or not; restored at \
     each eviction run",
);
pub(crate) static MAX_IDLE: Key<NonZeroU32> = Key::with_default(
    "pool.max-idle",
    "10",
    "the most unused connections that are kept; one more is closed when the route gives it back",
);
pub(crate) static MAX_TOTAL: Key<NonZeroU32> = Key::with_default(
    "pool.max-total",
    "20",
    "the most connections of the route; with ordering=total it is always one. While events are \
     sent again on request, there is one more for them",
);
pub(crate) static LIFO: Key<bool> = Key::with_default(
    "pool.lifo",
    "true",
    "true takes the unused connection that was given back last, false the one that waits longest",
);
pub(crate) static TEST_ON_BORROW: Key<bool> = Key::with_default(
    "pool.test-on-borrow",
    "true",
    "whether an unused connection has to answer before it is used again; one known to be dead \
     never is",
);
pub(crate) static TEST_WHILE_IDLE: Key<bool> = Key::with_default(
    "pool.test-while-idle",
    "true",
    "whether unused connections have to answer at eviction runs",
);
pub(crate) static TESTS_PER_RUN: Key<i64> = Key::with_default(
    "pool.num-tests-per-eviction-run",
    "3",
    "how many unused connections an eviction run looks at; -n looks at one in n",
);
pub(crate) static TIME_BETWEEN_RUNS: Key<i64> = Key::with_default(
    "pool.time-between-eviction-runs-seconds",
    "60",
    "the time between eviction runs; 0 or less: none, and min-idle has no effect",
);
pub(crate) static MIN_EVICTABLE: Key<i64> = Key::with_default(
    "pool.min-evictable-idle-time-seconds",
    "-1",
    "how long a connection may be unused before it is closed; 0 or less: for ever",
);
pub(crate) static SOFT_MIN_EVICTABLE: Key<i64> = Key::with_default(
    "pool.soft-min-evictable-idle-time-seconds",
    "1800",
    "the same for connections beyond min-idle",
);

pub(crate) static MAX_WAIT: Unused = Unused::new("pool.max-wait-seconds", NO_WAITING);
pub(crate) static BLOCK_WHEN_EXHAUSTED: Unused =
    Unused::new("pool.block-when-exhausted", NO_WAITING);
pub(crate) static FAIRNESS: Unused = Unused::new(
    "pool.fairness",
    "nobody competes for connections: a route has one user, its lane",
);
pub(crate) static TEST_ON_CREATE: Unused = Unused::new(
    "pool.test-on-create",
    "a new connection is always tested: it counts once the server has accepted the namespace",
);
pub(crate) static TEST_ON_RETURN: Unused = Unused::new(
    "pool.test-on-return",
    "a connection is given back when the server has confirmed everything on it, which is a test",
);

const NO_WAITING: &str =
    "events wait in the queue while all connections are full, as long as it takes";

/// The most connections that a pool may have; KETE has no bound, every table has.
const MOST: u32 = 1000;

/// What of the pool was configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolSettings {
    pub(crate) min_idle: usize,
    pub(crate) max_idle: usize,
    pub(crate) max_total: usize,
    pub(crate) lifo: bool,
    pub(crate) test_on_borrow: bool,
    pub(crate) eviction: Option<Eviction>,
}

/// What happens at eviction runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Eviction {
    pub(crate) every: Duration,
    pub(crate) test_while_idle: bool,
    pub(crate) tests_per_run: i64,
    pub(crate) hard_age: Option<Duration>,
    pub(crate) soft_age: Option<Duration>,
}

impl PoolSettings {
    /// The same pool for a route that keeps a total order.
    pub(crate) fn single(self) -> PoolSettings {
        PoolSettings {
            min_idle: 1,
            max_idle: 1,
            max_total: 1,
            ..self
        }
    }
}

/// Reads the keys, with KETE's checks.
pub(crate) fn read(scope: &Scope<'_>) -> Option<PoolSettings> {
    let min_idle = scope.read(&MIN_IDLE);
    let max_idle = scope.read(&MAX_IDLE);
    let max_total = read_max_total(scope, min_idle);
    let lifo = scope.read(&LIFO);
    let test_on_borrow = scope.read(&TEST_ON_BORROW);
    let eviction = read_eviction(scope);
    let max_idle = max_idle?.get().min(MOST) as usize;
    let (eviction, max_total) = (eviction?, max_total?);
    if eviction.is_none() && scope.is_set(MIN_IDLE.name()) {
        let message = "no connection is opened in advance, because there are no eviction runs";
        let help = format!("give {} a value above zero", TIME_BETWEEN_RUNS.name());
        scope.warn(MIN_IDLE.name(), codes::NO_EFFECT, message, help);
    }
    Some(PoolSettings {
        min_idle: (min_idle?.get() as usize).min(max_idle),
        max_idle,
        max_total,
        lifo: lifo?,
        test_on_borrow: test_on_borrow?,
        eviction,
    })
}

fn read_max_total(scope: &Scope<'_>, min_idle: Option<NonZeroU32>) -> Option<usize> {
    let max_total = scope.read(&MAX_TOTAL)?.get();
    if max_total > MOST {
        let message = format!("more than {MOST} connections are never needed");
        scope.reject(MAX_TOTAL.name(), codes::OUT_OF_RANGE, message, None);
        return None;
    }
    if let Some(min_idle) = min_idle.filter(|min_idle| min_idle.get() > max_total) {
        let message = format!("it has to be at least pool.min-idle, which is {min_idle}");
        scope.reject(MAX_TOTAL.name(), codes::OUT_OF_RANGE, message, None);
        return None;
    }
    Some(max_total as usize)
}

/// `None` if something is wrong, `Some(None)` for no eviction.
fn read_eviction(scope: &Scope<'_>) -> Option<Option<Eviction>> {
    let every = scope.read(&TIME_BETWEEN_RUNS).map(positive_seconds);
    let test_while_idle = scope.read(&TEST_WHILE_IDLE);
    let tests_per_run = scope.read(&TESTS_PER_RUN);
    let hard_age = scope.read(&MIN_EVICTABLE).map(positive_seconds);
    let soft_age = scope.read(&SOFT_MIN_EVICTABLE).map(positive_seconds);
    let (every, test_while_idle, tests_per_run) = (every?, test_while_idle?, tests_per_run?);
    let (hard_age, soft_age) = (hard_age?, soft_age?);
    let eviction = every.map(|every| Eviction {
        every,
        test_while_idle,
        tests_per_run,
        hard_age,
        soft_age,
    });
    Some(eviction)
}

/// A year is as good as for ever, and cannot overflow a clock.
fn positive_seconds(seconds: i64) -> Option<Duration> {
    const YEAR: u64 = 365 * 24 * 60 * 60;
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
    Some(Duration::from_secs(seconds.min(YEAR)))
}

#[cfg(test)]
mod tests;
