//! Which routes want an event: asked once per event, at intake.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use kete_event::Metadata;
use kete_queue::ConsumerId;
use kete_routes::RouteRules;
use tokio::sync::Notify;
use tracing::warn;

use crate::telemetry::RouteMetrics;

/// How many pairs of realm and event type are remembered. Realm names can come from outside, so
/// the memory is bounded; it is emptied when it is full.
const REMEMBERED: usize = 4096;

/// Longer names are not remembered: they come from outside, and none of Keycloak's is.
const LONGEST: usize = 256;

/// One route, as intake sees it.
#[derive(Clone)]
pub struct RouterEntry {
    /// The name of the route.
    pub name: Arc<str>,
    /// Its place in the queue.
    pub consumer: ConsumerId,
    /// Where replays for it are appended, if it takes any.
    pub(crate) replays: Option<Replays>,
    /// The most bytes that it may be behind.
    pub max_lag_bytes: u64,
    /// Its matchers.
    pub rules: Arc<RouteRules>,
    /// Its counters.
    pub metrics: Arc<RouteMetrics>,
}

impl RouterEntry {
    /// Its places in the queue.
    pub(crate) fn consumers(&self) -> impl Iterator<Item = ConsumerId> {
        let replays = self.replays.as_ref().map(|replays| replays.consumer);
        [self.consumer].into_iter().chain(replays)
    }
}

/// The place in the queue of a route's replays.
#[derive(Clone)]
pub(crate) struct Replays {
    pub(crate) consumer: ConsumerId,
    /// Wakes the lane up that sends them.
    pub(crate) wake: Arc<Notify>,
}

/// The routes at this moment, and what they answered before. Cheap to clone, same for all clones.
#[derive(Clone, Default)]
pub struct Router {
    table: Arc<RwLock<Arc<Table>>>,
}

#[derive(Default)]
pub(crate) struct Table {
    entries: Vec<RouterEntry>,
    answers: Mutex<Answers>,
}

/// Who wants events of a type, by type.
type ByType = HashMap<Box<str>, Arc<[ConsumerId]>>;

#[derive(Default)]
struct Answers {
    /// By realm.
    known: HashMap<Box<str>, ByType>,
    count: usize,
}

impl Router {
    /// Replaces the routes. Batches that are being filled keep those they started with.
    pub fn replace(&self, entries: Vec<RouterEntry>) {
        let table = Arc::new(Table {
            entries,
            answers: Mutex::default(),
        });
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
    }

    /// The routes of this moment.
    #[must_use]
    pub fn entries(&self) -> Vec<RouterEntry> {
        self.now().entries.clone()
    }

    pub(crate) fn now(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Table {
    /// A single route.
    pub(crate) fn of(entry: RouterEntry) -> Table {
        Table {
            entries: vec![entry],
            answers: Mutex::default(),
        }
    }

    pub(crate) fn entries(&self) -> &[RouterEntry] {
        &self.entries
    }

    /// The consumers of the routes that accept the event.
    pub(crate) fn wanted(&self, metadata: &Metadata) -> Arc<[ConsumerId]> {
        let realm = metadata.realm.as_deref().unwrap_or_default();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = answers
            .known
            .get(realm)
            .and_then(|types| types.get(&metadata.event_type))
        {
            return Arc::clone(answer);
        }
        let accepting = self.entries.iter().filter(|entry| accepts(entry, metadata));
        let answer: Arc<[ConsumerId]> = accepting.map(|entry| entry.consumer).collect();
        if realm.len() + metadata.event_type.len() > LONGEST {
            return answer;
        }
        if answers.count >= REMEMBERED {
            *answers = Answers::default();
        }
        answers.count += 1;
        let types = answers.known.entry(realm.into()).or_default();
        types.insert(metadata.event_type.clone(), Arc::clone(&answer));
        answer
    }
}

/// Asks a route's matchers. One that gives up on a text does not accept it, which is said: the
/// route would miss such events without a word.
fn accepts(entry: &RouterEntry, metadata: &Metadata) -> bool {
    let before = entry.rules.gave_up();
    let accepted = entry.rules.accepts(metadata);
    if entry.rules.gave_up() > before {
        let (route, realm) = (&*entry.name, metadata.realm.as_deref());
        let event_type = &*metadata.event_type;
        warn!(
            route,
            realm, event_type, "a regex matcher needs too many steps and does not accept this"
        );
    }
    accepted
}
