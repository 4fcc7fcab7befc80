//! What happens to connections that nobody uses: eviction, tests, and `pool.min-idle`.
//!
//! `deadpool` has neither eviction nor a lower bound, so both are here, with the rules of the pool
//! that KETE uses. Connections are opened only while the server is known to be up, never while the
//! lane makes an attempt of its own, and the first failure ends it: while a server is down, the
//! lane alone knocks.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deadpool::managed::Timeouts;
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::barrier::ANSWER_WITHIN;
use super::connection::Line;
use super::pool::Wires;
use super::pool_settings::{Eviction, PoolSettings};

/// Takes care of a pool until `stop`. `attempts` is true while the lane is connecting.
pub(crate) async fn maintain(
    pool: Wires,
    settings: PoolSettings,
    eviction: Eviction,
    attempts: watch::Receiver<bool>,
    stop: CancellationToken,
) {
    let mut turn = Turn::default();
    loop {
        let refilled = refill(&pool, settings.min_idle);
        if stop
            .run_until_cancelled(unless_attempted(attempts.clone(), refilled))
            .await
            .is_none()
        {
            return;
        }
        if stop
            .run_until_cancelled(sleep(eviction.every))
            .await
            .is_none()
        {
            return;
        }
        let tested = sweep(&pool, &settings, &eviction, &mut turn);
        if eviction.test_while_idle
            && stop
                .run_until_cancelled(test(&pool, tested))
                .await
                .is_none()
        {
            return;
        }
    }
}

/// Does the work, but gives it up as soon as the lane makes an attempt.
async fn unless_attempted(mut attempts: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        // An error means that there is no lane any more.
        _attempted = attempts.wait_for(|attempted| *attempted) => {}
        () = work => {}
    }
}

/// Opens connections until there are enough.
///
/// The pool hands out idle connections before it makes new ones, so all of them are held for that
/// moment; they go back together.
async fn refill(pool: &Wires, min_idle: usize) {
    let dialler = pool.manager();
    let at_once = Timeouts {
        wait: Some(Duration::ZERO),
        ..Timeouts::new()
    };
    let mut held = Vec::new();
    while dialler.context.up.load(Ordering::Relaxed) && dialler.open() < min_idle {
        match pool.timeout_get(&at_once).await {
            Ok(wire) => held.push(wire),
            Err(error) => {
                debug!(%error, "no idle connection was opened in advance");
                return;
            }
        }
    }
}

/// Closes connections that are dead or were unused for too long. Returns those that it was the
/// turn of and that stay.
fn sweep(
    pool: &Wires,
    settings: &PoolSettings,
    eviction: &Eviction,
    turn: &mut Turn,
) -> Vec<Arc<Line>> {
    let mut unused = 0;
    let dead = pool.retain(|wire, _| {
        let alive = wire.0.is_alive();
        unused += usize::from(alive);
        alive
    });
    let examined = turn.next(unused, eviction.tests_per_run);
    let (now, mut open, mut place) = (Instant::now(), pool.manager().open(), 0);
    let mut staying = Vec::new();
    let evicted = pool.retain(|wire, _| {
        let examine = examined.contains(&place);
        place += 1;
        if !examine {
            return true;
        }
        let age = wire.0.unused_for(now).unwrap_or_default();
        let stays = !eviction.is_over(age, open > settings.min_idle);
        if stays {
            staying.push(Arc::clone(&wire.0));
        } else {
            open = open.saturating_sub(1);
        }
        stays
    });
    let (dead, evicted) = (dead.removed.len(), evicted.removed.len());
    if dead + evicted > 0 {
        debug!(dead, evicted, "idle connections were closed");
    }
    staying
}

/// Closes those of the connections that do not answer.
async fn test(pool: &Wires, tested: Vec<Arc<Line>>) {
    let answers = join_all(tested.iter().map(|line| line.answers(ANSWER_WITHIN))).await;
    let silent: Vec<&Arc<Line>> = tested
        .iter()
        .zip(answers)
        .filter(|(_, answers)| !answers)
        .map(|(line, _)| line)
        .collect();
    if !silent.is_empty() {
        let is_silent = |line: &Arc<Line>| silent.iter().any(|silent| Arc::ptr_eq(silent, line));
        let closed = pool.retain(|wire, _| !is_silent(&wire.0)).removed.len();
        debug!(closed, "idle connections did not answer and were closed");
    }
}

impl Eviction {
    /// Whether a connection that was unused for so long has to go.
    fn is_over(&self, unused: Duration, beyond_min_idle: bool) -> bool {
        let beyond = |limit: Option<Duration>| limit.is_some_and(|limit| unused > limit);
        beyond(self.hard_age) || (beyond_min_idle && beyond(self.soft_age))
    }
}

/// Whose turn it is to be examined: each run goes on where the last one stopped.
#[derive(Debug, Default)]
struct Turn {
    next: usize,
}

impl Turn {
    /// The places to examine among `unused` connections. As in KETE's pool, a negative number per
    /// run means one in so many.
    fn next(&mut self, unused: usize, per_run: i64) -> Vec<usize> {
        if unused == 0 {
            return Vec::new();
        }
        let number = usize::try_from(per_run.unsigned_abs()).unwrap_or(usize::MAX);
        let count = if per_run >= 0 {
            number.min(unused)
        } else {
            unused.div_ceil(number)
        };
        let start = self.next % unused;
        self.next = (start + count) % unused;
        (start..start + count).map(|place| place % unused).collect()
    }
}

#[cfg(test)]
mod tests;
