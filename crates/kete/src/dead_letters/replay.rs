//! Sending dead letters again, each to its route, and letting go of those that are safe.
//!
//! It goes in parts: some letters are given to the queue, and leave the store when the queue has
//! them safely. A queue on disk has them at once. One in memory only when they are delivered, which
//! may take longer than anybody waits; until then they are kept, and not sent a second time. A
//! crash in between leaves a letter in both, so that its event may arrive twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kete_config::Size;
use kete_pipeline::dead_letters::{Filter, OtherLines, StoredLetter};
use kete_pipeline::{DeadLetters, Receipt, Record, Replayer};
use kete_queue::Queue;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::Letters;
use super::outcome::Outcome;
use super::{Failure, say_others};
use crate::assemble::RouteNames;

/// The letters of one part: so many, and about so many bytes. The queue takes them in one step.
const PART: (usize, usize) = (128, 512 << 10);
/// How long there may be no room for a part.
const FOR_ROOM: Duration = Duration::from_secs(20);
/// How long a queue on disk may take until the events are safe.
const FOR_SYNC: Duration = Duration::from_secs(35);
/// How long deliveries from a queue in memory are waited for, before it is said that they last.
const FOR_DELIVERY: Duration = Duration::from_secs(2);

/// Which letters are to be sent again, and how far that has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Question {
    filter: Filter,
    /// Those up to here were looked at.
    after: u64,
    /// The newest letter when it began: what is given up again is not sent again.
    until: Option<u64>,
}

/// What one part has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// How many letters of each route the queue has taken.
    pub(super) replayed: BTreeMap<String, u64>,
    /// How many of them are still in the store, because they are not delivered yet.
    pub(super) under_way: u64,
    /// How many letters of each route stay, and why.
    pub(super) left: BTreeMap<String, Left>,
    /// What cannot be read.
    pub(super) others: Vec<OtherLines>,
    /// Where the next part begins; absent if this was the last.
    next: Option<u64>,
    until: u64,
}

/// Letters that stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Left {
    pub(super) letters: u64,
    pub(super) why: Why,
}

/// Why letters stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Why {
    /// There is no route of this name.
    NoRoute,
    /// It is switched off.
    SwitchedOff,
    /// The event is none, so that the queue cannot take it.
    Unreadable,
}

/// The queue that takes them, and how much of it.
pub(crate) struct Room {
    pub(crate) queue: Arc<dyn Queue>,
    /// The bound that no kete watches while none runs.
    pub(crate) max_bytes: Option<u64>,
}

/// Sends letters again.
pub(crate) struct Replays {
    store: Arc<Store>,
    replayer: Replayer,
    routes: RouteNames,
    room: Room,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// The letters, and those that nobody else may send again now.
struct Store {
    letters: DeadLetters,
    taken: Mutex<BTreeSet<u64>>,
}

/// Letters that are being sent again; dropping it gives them back.
struct Taken {
    store: Arc<Store>,
    numbers: BTreeSet<u64>,
}

/// The letters of a part, sorted by what becomes of them.
#[derive(Default)]
struct Sorted {
    records: BTreeMap<String, Vec<(u64, Arc<Record>)>>,
    left: BTreeMap<String, Left>,
}

/// Sends all again that are meant.
pub(super) async fn replay(letters: &Letters<'_>, filter: Filter) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::new(matches!(letters, Letters::Running(_)));
    let mut others = BTreeMap::new();
    let mut each = |part: Part| {
        for line in &part.others {
            others.insert(line.path.clone(), line.clone());
        }
        outcome.add(part);
    };
    let replayed = letters.replay(filter, &mut each).await;
    say_others(&others.into_values().collect::<Vec<_>>());
    match replayed {
        Err(failure) if outcome.total() > 0 => Err(Failure::Refused(format!(
            "{failure}\n  {} sent again before that",
            match outcome.total() {
                1 => "1 dead letter was".to_owned(),
                total => format!("{total} dead letters were"),
            }
        ))),
        replayed => replayed.map(|()| outcome),
    }
}

impl Question {
    pub(super) fn new(filter: Filter) -> Question {
        Question {
            filter,
            after: 0,
            until: None,
        }
    }

    /// The question for what is behind this part, if there is any.
    pub(super) fn next(mut self, part: &Part) -> Option<Question> {
        self.after = part.next?;
        self.until = Some(part.until);
        Some(self)
    }
}

impl Replays {
    /// Sends letters of this store through the replayer, to routes that are switched on.
    pub(crate) fn new(
        letters: DeadLetters,
        replayer: Replayer,
        routes: RouteNames,
        room: Room,
    ) -> Replays {
        let taken = Mutex::default();
        Replays {
            store: Arc::new(Store { letters, taken }),
            replayer,
            routes,
            room,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Ends what waits for deliveries. Letters that are not safe by then stay.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Sends the next letters again.
    pub(super) async fn part(&self, question: &Question) -> Result<Part, String> {
        let until = match question.until {
            Some(until) => until,
            None => self.newest().await?,
        };
        let (most, bytes) = PART;
        let filter = question.filter.clone();
        let slice = self
            .store
            .letters
            .slice(filter, question.after, most, bytes);
        let slice = slice.await.map_err(|problem| problem.to_string())?;
        let mut part = Part {
            others: slice.others,
            next: slice.next.filter(|next| *next < until),
            until,
            ..Part::default()
        };
        let mut chosen = slice.letters;
        chosen.retain(|letter| letter.number <= until);
        let taken = Taken::take(&self.store, chosen.iter().map(|letter| letter.number));
        chosen.retain(|letter| taken.numbers.contains(&letter.number));
        let sorted = Sorted::sort(&chosen, &self.routes);
        part.left = sorted.left;
        let mut handed = BTreeSet::new();
        let mut receipt = Receipt::safe();
        for (route, records) in sorted.records {
            let (numbers, records): (Vec<u64>, Vec<Arc<Record>>) = records.into_iter().unzip();
            receipt = receipt.and(&self.hand_over(&route, records).await?);
            part.replayed.insert(route, numbers.len() as u64);
            handed.extend(numbers);
        }
        part.under_way = self.let_go(taken, handed, receipt).await?;
        Ok(part)
    }

    async fn newest(&self) -> Result<u64, String> {
        let listing = self.store.letters.list(Filter::numbers([0]), 0).await;
        let listing = listing.map_err(|problem| problem.to_string())?;
        Ok(listing.newest)
    }

    async fn hand_over(&self, route: &str, records: Vec<Arc<Record>>) -> Result<Receipt, String> {
        self.check_room(&records)?;
        match timeout(FOR_ROOM, self.replayer.replay(route, records)).await {
            Ok(taken) => taken.map_err(|problem| problem.to_string()),
            Err(_) => Err(format!(
                "the queue has had no room for {FOR_ROOM:?}; see `kete queue status`, and ask \
                 again when there is some"
            )),
        }
    }

    /// Nobody makes room while no kete runs, and one that starts must not find more than it may
    /// hold.
    fn check_room(&self, records: &[Arc<Record>]) -> Result<(), String> {
        let Some(max_bytes) = self.room.max_bytes else {
            return Ok(());
        };
        let bytes: u64 = records.iter().map(|record| record.cost()).sum();
        if self.room.queue.usage().bytes.saturating_add(bytes) <= max_bytes {
            return Ok(());
        }
        Err(format!(
            "the queue (kete.queue.max-bytes={}) has no room for more while nothing is delivered; \
             ask again when kete runs",
            Size(max_bytes)
        ))
    }

    /// Takes the letters out of the store when their events are safe, and returns how many are
    /// not yet.
    async fn let_go(
        &self,
        taken: Taken,
        handed: BTreeSet<u64>,
        receipt: Receipt,
    ) -> Result<u64, String> {
        let count = handed.len() as u64;
        if count == 0 {
            return Ok(0);
        }
        let durable = self.room.queue.durable();
        let (store, stop) = (Arc::clone(&self.store), self.stop.clone());
        let removal = self.tasks.spawn(async move {
            let outcome = tokio::select! {
                safe = receipt.settled() => safe.map_err(|lost| lost.to_string()),
                () = stop.cancelled() => Err("kete is stopping".to_owned()),
            };
            let removed = match outcome {
                Ok(()) => store.remove(handed).await,
                Err(words) => Err(words),
            };
            drop(taken);
            if let Err(problem) = &removed {
                tracing::warn!(
                    problem,
                    "dead letters that are sent again stay in the store"
                );
            }
            removed
        });
        let patience = if durable { FOR_SYNC } else { FOR_DELIVERY };
        match timeout(patience, removal).await {
            Ok(removed) => {
                let removed = removed.map_err(|ended| ended.to_string())?;
                removed.map(|()| 0)
            }
            Err(_) if durable => Err(format!(
                "the queue has the events, and they were not on disk within {patience:?}; their \
                 dead letters go when they are"
            )),
            Err(_) => Ok(count),
        }
    }
}

impl Store {
    async fn remove(&self, numbers: BTreeSet<u64>) -> Result<(), String> {
        let removed = self.letters.remove(Filter::numbers(numbers)).await;
        match removed {
            Ok(_) => Ok(()),
            Err(problem) => Err(format!(
                "the events are sent again, and yet their dead letters could not be taken out: \
                 {problem}"
            )),
        }
    }

    fn taken(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Takes those that nobody has taken.
    fn take(store: &Arc<Store>, numbers: impl Iterator<Item = u64>) -> Taken {
        let mut taken = store.taken();
        let numbers = numbers.filter(|number| taken.insert(*number)).collect();
        drop(taken);
        Taken {
            store: Arc::clone(store),
            numbers,
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut taken = self.store.taken();
        for number in &self.numbers {
            taken.remove(number);
        }
    }
}

impl Sorted {
    fn sort(letters: &[StoredLetter], routes: &RouteNames) -> Sorted {
        let mut sorted = Sorted::default();
        for letter in letters {
            match fate(letter, routes) {
                Ok(record) => {
                    let records = sorted.records.entry(letter.route.clone()).or_default();
                    records.push((letter.number, Arc::new(record)));
                }
                Err(why) => {
                    let none = Left { letters: 0, why };
                    let left = sorted.left.entry(letter.route.clone()).or_insert(none);
                    left.letters += 1;
                }
            }
        }
        sorted
    }
}

/// What the queue gets of a letter, or why it stays.
fn fate(letter: &StoredLetter, routes: &RouteNames) -> Result<Record, Why> {
    if routes.disabled.contains(&letter.route) {
        return Err(Why::SwitchedOff);
    }
    if !routes.enabled.contains(&letter.route) {
        return Err(Why::NoRoute);
    }
    letter.record().ok_or(Why::Unreadable)
}
