//! What is said of a queue that fills up or cannot be written: seldom, and with the name of the
//! route that is behind, or with what the disk said.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kete_queue::{Queue, RejectReason};
use tokio::time::Instant;
use tracing::warn;

use crate::router::{Router, RouterEntry};

/// The same thing is said once a minute at most.
pub(crate) const SAY_EVERY: Duration = Duration::from_secs(60);

/// A route whose oldest event is younger than this is busy, not behind, in milliseconds.
const BEHIND_MS: i64 = 1000;

/// When each thing was last said.
#[derive(Debug, Default)]
pub(crate) struct Fullness {
    said: Mutex<[Option<Instant>; 4]>,
}

#[derive(Debug, Clone, Copy)]
enum Word {
    Half,
    Nearly,
    Full,
    Unwritable,
}

impl Fullness {
    /// There was no room for what a source offered, or nowhere to write it. Returns whether that
    /// was said.
    pub(crate) fn say_refused(&self, source: &str, reason: &RejectReason) -> bool {
        let unwritable = matches!(reason, RejectReason::Unwritable { .. });
        let word = if unwritable {
            Word::Unwritable
        } else {
            Word::Full
        };
        let may_say = self.may_say(word);
        match word {
            _ if !may_say => {}
            Word::Unwritable => warn!(source, %reason, "intake stops until it can be written"),
            _ => warn!(source, %reason, "intake stops until there is room"),
        }
        may_say
    }

    /// Warns at half and at four fifths of a bound, of the queue or of one route.
    pub(crate) fn look(&self, queue: &dyn Queue, router: &Router) {
        let (usage, limits) = (queue.usage(), queue.limits());
        let shared =
            percent(usage.events, limits.max_events).max(percent(usage.bytes, limits.max_bytes));
        let lag = |entry: &RouterEntry| queue.lag(entry.consumer).bytes;
        let own = |entry: &RouterEntry| percent(lag(entry), entry.max_lag_bytes);
        let routes = router.now();
        let Some(behind) = routes.entries().iter().max_by_key(|entry| lag(entry)) else {
            return;
        };
        let fullest = routes.entries().iter().max_by_key(|entry| own(entry));
        let (behind, percent) = match fullest {
            Some(entry) if own(entry) > shared => (entry, own(entry)),
            _ => (behind, shared),
        };
        let word = match percent {
            80.. => Word::Nearly,
            50.. => Word::Half,
            _ => return,
        };
        let oldest = behind.metrics.oldest_accepted_at.load(Ordering::Relaxed);
        let age = crate::intake::epoch_millis() - oldest;
        if oldest != 0 && age >= BEHIND_MS && self.may_say(word) {
            let (route, lag_bytes) = (&*behind.name, lag(behind));
            warn!(
                percent,
                route, lag_bytes, "the queue fills up; this route is furthest behind"
            );
        }
    }

    fn may_say(&self, word: Word) -> bool {
        let now = Instant::now();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let last = &mut said[word as usize];
        let may = last.is_none_or(|last| now - last >= SAY_EVERY);
        if may {
            *last = Some(now);
        }
        may
    }
}

fn percent(used: u64, limit: u64) -> u64 {
    used.saturating_mul(100) / limit.max(1)
}
