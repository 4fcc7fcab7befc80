//! Which events were taken lately, so that one that comes again is not taken twice.
//!
//! Only Keycloak's own ids count: an id that we derived says that the content is the same, and two
//! logins in one millisecond may be just that. A repeat of an event that is not safe yet shares
//! its receipt, so that nobody is answered sooner than the first.
//!
//! A durable queue knows after a restart what it took last. The time in which kete did not run
//! does not count: a source that goes on where it stopped reads again what it read then.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kete_queue::{Receipt, TakenId};
use tokio::time::Instant;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// How long ids are remembered: as long as the webhook extension of Phase Two tries again.
const RETENTION: Duration = Duration::from_secs(15 * 60);

/// How many ids are remembered at most, about 6 MB of them.
const CAPACITY: usize = 65_536;

/// Longer ids are not remembered: none of Keycloak's is, and they would take memory.
const LONGEST: usize = 128;

/// The events that were taken lately.
#[derive(Debug)]
pub(crate) struct Repeats {
    /// With the receipt, unless it had settled.
    taken: HashMap<Id, Option<Arc<Receipt>>>,
    /// With the time at which each is to be forgotten, in seconds since `begun`.
    order: VecDeque<(u32, Id)>,
    begun: Instant,
}

/// An id in little memory. Nearly all of Keycloak's are UUIDs in their usual form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Id {
    Uuid([u8; 16]),
    Other(Arc<str>),
}

impl Id {
    fn of(id: &str) -> Id {
        let mut usual = [0; Hyphenated::LENGTH];
        match Uuid::try_parse(id) {
            Ok(uuid) if uuid.hyphenated().encode_lower(&mut usual) == id => {
                Id::Uuid(uuid.into_bytes())
            }
            _ => Id::Other(Arc::from(id)),
        }
    }
}

impl Repeats {
    fn new(begun: Instant) -> Repeats {
        Repeats {
            taken: HashMap::new(),
            order: VecDeque::new(),
            begun,
        }
    }

    /// Remembers what a queue has taken before this process, oldest first, for as long as if kete
    /// had gone on at once. All of it is safe.
    pub(crate) fn restored(taken: Vec<TakenId>, now: Instant) -> Repeats {
        let mut repeats = Repeats::new(now);
        let newest = taken.iter().map(|one| one.accepted_at).max().unwrap_or(0);
        for TakenId { id, accepted_at } in taken {
            let age = u64::try_from(newest.saturating_sub(accepted_at)).unwrap_or(0);
            if let Some(rest) = RETENTION.checked_sub(Duration::from_millis(age)) {
                repeats.insert(&id, None, now + rest, now);
            }
        }
        repeats
    }

    /// The receipt of an event of this id that was taken before.
    pub(crate) fn find(&self, id: &str) -> Option<Receipt> {
        let receipt = self.taken.get(&Id::of(id))?;
        Some(receipt.as_deref().cloned().unwrap_or_default())
    }

    /// Remembers that an event was taken.
    pub(crate) fn remember(&mut self, id: &str, receipt: &Receipt, now: Instant) {
        let receipt = (!receipt.is_settled()).then(|| Arc::new(receipt.clone()));
        self.insert(id, receipt, now + RETENTION, now);
    }

    fn insert(&mut self, id: &str, receipt: Option<Arc<Receipt>>, until: Instant, now: Instant) {
        if id.len() > LONGEST {
            return;
        }
        self.forget_old(now);
        let id = Id::of(id);
        if self.taken.insert(id.clone(), receipt).is_none() {
            self.order.push_back((self.seconds(until), id));
        }
    }

    /// Whole seconds since this began; for ever after 136 years.
    fn seconds(&self, at: Instant) -> u32 {
        u32::try_from(at.duration_since(self.begun).as_secs()).unwrap_or(u32::MAX)
    }

    fn forget_old(&mut self, now: Instant) {
        let now = self.seconds(now);
        while let Some((until, id)) = self.order.front() {
            if self.order.len() < CAPACITY && now < *until {
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
        let start = Instant::now();
        let mut repeats = Repeats::new(start);
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

    fn taken(id: &str, accepted_at: i64) -> TakenId {
        let id = id.into();
        TakenId { id, accepted_at }
    }

    #[test]
    fn what_a_queue_took_before_a_restart_is_known_for_the_rest_of_its_time() {
        let now = Instant::now();
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        // The clock was set back in between, which keeps one a little longer and loses none.
        let stamps = [("old", 0), ("a", 10), ("b", 8), ("c", 16)];
        let restored = stamps.map(|(id, minute)| taken(id, minute * 60_000));
        let mut repeats = Repeats::restored(restored.into(), now);
        let known = |repeats: &Repeats| ["old", "a", "b", "c"].map(|id| repeats.find(id).is_some());
        assert_eq!(known(&repeats), [false, true, true, true]);
        assert!(
            repeats
                .find("a")
                .is_some_and(|receipt| receipt.is_settled())
        );
        repeats.remember("d", &Receipt::safe(), now + minutes(8));
        assert_eq!(known(&repeats), [false, true, true, true]);
        repeats.remember("e", &Receipt::safe(), now + minutes(9));
        assert_eq!(known(&repeats), [false, false, false, true]);
        repeats.remember("f", &Receipt::safe(), now + minutes(15));
        assert_eq!(known(&repeats), [false; 4]);
    }

    #[test]
    fn an_id_that_a_queue_took_twice_is_there_once() {
        let mut repeats = Repeats::restored(vec![taken("a", 0), taken("a", 1)], Instant::now());
        assert_eq!((repeats.taken.len(), repeats.order.len()), (1, 1));
        repeats.remember("b", &Receipt::safe(), Instant::now());
        assert!(repeats.find("a").is_some());
    }

    #[test]
    fn ids_that_differ_in_spelling_only_are_not_the_same() {
        let now = Instant::now();
        let mut repeats = Repeats::new(now);
        let usual = "0b5e8b1e-58a4-4f9c-9a2b-3d6f0c1e7a55";
        repeats.remember(usual, &Receipt::safe(), now);
        assert!(repeats.find(usual).is_some());
        assert!(repeats.find(&usual.to_uppercase()).is_none());
        assert!(repeats.find(&usual.replace('-', "")).is_none());
    }

    #[test]
    fn the_memory_is_bounded() {
        let now = Instant::now();
        let mut repeats = Repeats::new(now);
        for number in 0..CAPACITY + 10 {
            repeats.remember(&number.to_string(), &Receipt::safe(), now);
        }
        assert_eq!(repeats.taken.len(), CAPACITY);
        assert_eq!(repeats.order.len(), CAPACITY);
        assert!(repeats.find("9").is_none());
        assert!(repeats.find("10").is_some());
    }
}
