//! Which events were taken lately, so that one that comes again is not taken twice.
//!
//! Only Keycloak's own ids count: an id that we derived says that the content is the same, and two
//! logins in one millisecond may be just that. A repeat of an event that is not safe yet shares
//! its receipt, so that nobody is answered sooner than the first.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kete_queue::Receipt;
use tokio::time::Instant;

/// How long ids are remembered: as long as the webhook extension of Phase Two tries again.
const RETENTION: Duration = Duration::from_secs(15 * 60);

/// How many ids are remembered at most, about 10 MB of them.
const CAPACITY: usize = 65_536;

/// Longer ids are not remembered: none of Keycloak's is, and they would take memory.
const LONGEST: usize = 128;

/// The events that were taken lately.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    taken: HashMap<Arc<str>, Receipt>,
    order: VecDeque<(Instant, Arc<str>)>,
}

impl Repeats {
    /// The receipt of an event of this id that was taken before.
    pub(crate) fn find(&self, id: &str) -> Option<&Receipt> {
        self.taken.get(id)
    }

    /// Remembers that an event was taken.
    pub(crate) fn remember(&mut self, id: &str, receipt: &Receipt, now: Instant) {
        if id.len() > LONGEST {
            return;
        }
        self.forget_old(now);
        let id: Arc<str> = Arc::from(id);
        self.order.push_back((now, Arc::clone(&id)));
        self.taken.insert(id, receipt.clone());
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((at, id)) = self.order.front() {
            if self.order.len() < CAPACITY && now.duration_since(*at) < RETENTION {
                return;
            }
            self.taken.remove(id);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_for_as_long_as_senders_try_again() {
        let mut repeats = Repeats::default();
        let start = Instant::now();
        repeats.remember("one", &Receipt::safe(), start);
        repeats.remember(
            "two",
            &Receipt::safe(),
            start + RETENTION - Duration::from_secs(1),
        );
        assert!(repeats.find("one").is_some());
        repeats.remember("three", &Receipt::safe(), start + RETENTION);
        assert!(repeats.find("one").is_none());
        assert!(repeats.find("two").is_some());
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut repeats = Repeats::default();
        let now = Instant::now();
        for number in 0..CAPACITY + 10 {
            repeats.remember(&number.to_string(), &Receipt::safe(), now);
        }
        assert_eq!(repeats.taken.len(), CAPACITY);
        assert_eq!(repeats.order.len(), CAPACITY);
        assert!(repeats.find("9").is_none());
        assert!(repeats.find("10").is_some());
    }
}
