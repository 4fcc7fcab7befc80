//! What every kind of log promises, tried on each kind that there is.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use kete_event::Event;
use kete_queue::{
    Batch, Bound, ConsumerId, ConsumerLimits, DataDirectory, Disk, DiskSettings, Draft, Header,
    Lag, Limits, Memory, NotTaken, Queue, Receipt, Recovered, RejectReason, Sequence, SourceState,
    StartFrom, Sync, Target, WhenFull, WhenLagging,
};
use proptest::prelude::*;
use tempfile::TempDir;

/// What one draft of these tests costs.
const COST: u64 = 512 + 100 + 4;

const ROOMY: Limits = Limits {
    max_events: 1000,
    max_bytes: 1 << 20,
    when_full: WhenFull::Refuse,
};

/// A log that can be printed.
trait Printable: Queue + std::fmt::Debug {}

impl<Q: Queue + std::fmt::Debug> Printable for Q {}

/// One kind of log, and what there is to be cleaned up after it.
#[derive(Debug)]
struct Log {
    queue: Box<dyn Printable>,
    _directory: Option<TempDir>,
}

impl std::ops::Deref for Log {
    type Target = dyn Printable;

    fn deref(&self) -> &(dyn Printable + 'static) {
        &*self.queue
    }
}

/// Makes a log with these bounds.
type Kind = fn(Limits) -> Log;

fn memory(limits: Limits) -> Log {
    Log {
        queue: Box::new(Memory::new(limits)),
        _directory: None,
    }
}

fn disk(limits: Limits) -> Log {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::open(&directory.path().join("data")).unwrap();
    let settings = DiskSettings {
        // Bodies of a few bytes do not come near a bound of files.
        limits: Limits {
            max_bytes: limits.max_bytes.max(1 << 20),
            ..limits
        },
        sync: Sync::Always,
        reserve_free: 0,
        retain: None,
    };
    let (disk, recovered) = Disk::open(&data, settings).unwrap();
    assert_eq!(recovered, Recovered::default());
    Log {
        queue: Box::new(disk),
        _directory: Some(directory),
    }
}

/// Runs each promise on each kind of log.
macro_rules! promises {
    ($($promise:ident,)*) => {
        mod in_memory {
            $(#[tokio::test] async fn $promise() { super::$promise(super::memory).await })*
        }
        mod on_disk {
            $(#[tokio::test] async fn $promise() { super::$promise(super::disk).await })*
        }
    };
}

promises! {
    a_record_leaves_when_the_last_consumer_that_wants_it_has_settled_it,
    settling_twice_changes_nothing,
    a_new_consumer_starts_behind_the_last_record_and_a_known_one_at_its_cursor,
    a_read_respects_both_bounds_but_returns_one_record_at_least,
    at_the_bound_of_events_and_of_bytes_the_route_behind_is_named,
    a_batch_that_can_never_fit_is_told_so,
    a_route_at_its_own_bound_refuses_or_is_asked_to_drop,
    at_the_bound_of_all_the_route_furthest_behind_is_asked_to_drop,
    drop_newest_takes_and_drops,
    forgetting_a_route_settles_what_only_it_wanted,
    a_batch_carries_what_the_source_remembers,
    one_event_may_be_behind_however_large_it_is,
    a_hopeless_batch_is_told_so_even_when_the_log_is_full,
    drop_newest_does_not_drop_for_one_route_at_its_own_bound,
    appending_wakes_readers,
}

fn consumer(queue: &Log, name: &str) -> ConsumerId {
    bounded(queue, name, u64::MAX, WhenLagging::Refuse)
}

fn bounded(queue: &Log, name: &str, max_lag_bytes: u64, when_full: WhenLagging) -> ConsumerId {
    queue.consumer(
        name,
        ConsumerLimits {
            max_lag_bytes,
            when_full,
        },
        StartFrom::Now,
    )
}

fn draft(wanted: &[ConsumerId]) -> Draft {
    let event = br#"{"id":"1","time":1,"type":"LOGIN","realmId":"r","realmName":"demo"}"#;
    let header = Header {
        event_id: "id".into(),
        id_derived: false,
        source: Arc::from("test"),
        accepted_at: 1,
        metadata: Event::parse(event).unwrap().metadata(),
        ordering_key: "ab".into(),
        target: Target::AllRoutes,
    };
    Draft {
        header,
        body: Bytes::from(vec![b'x'; 100]),
        wanted: wanted.into(),
    }
}

fn batch(wanted: &[&[ConsumerId]]) -> Batch {
    Batch {
        drafts: wanted.iter().map(|wanted| draft(wanted)).collect(),
        state: None,
    }
}

async fn append(queue: &Log, wanted: &[&[ConsumerId]]) -> Receipt {
    taken(queue, batch(wanted)).await
}

/// Appends what there is room for, and waits until it can be read.
async fn taken(queue: &Log, batch: Batch) -> Receipt {
    let appended = queue.append(batch).await.expect("there is room");
    if queue.durable() {
        appended.receipt.settled().await.unwrap();
    }
    appended.receipt
}

/// A receipt settles when the events are safe: in memory only once they are delivered.
fn assert_settles(queue: &Log, receipt: &Receipt, delivered: bool) {
    assert_eq!(receipt.is_settled(), delivered || queue.durable());
}

async fn read(queue: &Log, consumer: ConsumerId, from: Sequence) -> Vec<Sequence> {
    let slice = queue.read(consumer, from, 1000, u64::MAX).await.unwrap();
    slice.records.iter().map(|record| record.sequence).collect()
}

async fn rejection(queue: &Log, wanted: &[&[ConsumerId]]) -> RejectReason {
    let rejected = queue
        .append(batch(wanted))
        .await
        .expect_err("there is no room");
    assert_eq!(
        rejected.batch.drafts.len(),
        wanted.len(),
        "it is given back whole"
    );
    rejected.reason
}

async fn a_record_leaves_when_the_last_consumer_that_wants_it_has_settled_it(kind: Kind) {
    let queue = kind(ROOMY);
    let (one, other) = (consumer(&queue, "one"), consumer(&queue, "other"));
    let receipt = append(&queue, &[&[one, other], &[one], &[other]]).await;
    queue.settle(one, &[1..=3]);
    assert_eq!(read(&queue, one, 1).await, [] as [u64; 0]);
    assert_eq!(read(&queue, other, 1).await, [1, 3]);
    assert_eq!((queue.cursor(one), queue.cursor(other)), (3, 0));
    // A log on disk counts from the oldest that somebody wants.
    let events = if queue.durable() { 3 } else { 2 };
    assert_eq!(queue.usage().events, events);
    assert_settles(&queue, &receipt, false);
    queue.settle(other, &[1..=1]);
    assert_settles(&queue, &receipt, false);
    queue.settle(other, &[3..=3]);
    assert_eq!(receipt.settled().await, Ok(()));
    assert_eq!(queue.usage(), kete_queue::Usage::default());
    // A log that knows who wants a record does not wait for others to settle it.
    let cursor = if queue.durable() { 3 } else { 1 };
    assert_eq!(queue.cursor(other), cursor);
    queue.settle(other, &[2..=2]);
    assert_eq!(queue.cursor(other), 3);
}

async fn settling_twice_changes_nothing(kind: Kind) {
    let queue = kind(ROOMY);
    let (one, other) = (consumer(&queue, "one"), consumer(&queue, "other"));
    append(&queue, &[&[one, other], &[one, other]]).await;
    queue.settle(one, &[1..=1, 1..=1]);
    queue.settle(one, &[1..=2]);
    assert_eq!(queue.lag(one), Lag::default());
    assert_eq!(
        queue.lag(other),
        Lag {
            events: 2,
            bytes: 2 * COST
        }
    );
    assert_eq!(read(&queue, one, 1).await, [] as [u64; 0]);
    assert_eq!(read(&queue, other, 1).await, [1, 2]);
}

async fn a_new_consumer_starts_behind_the_last_record_and_a_known_one_at_its_cursor(kind: Kind) {
    let queue = kind(ROOMY);
    let one = consumer(&queue, "one");
    append(&queue, &[&[one], &[one]]).await;
    queue.settle(one, &[1..=1]);
    assert_eq!(queue.cursor(consumer(&queue, "new")), 2);
    let again = consumer(&queue, "one");
    assert_eq!((again, queue.cursor(again)), (one, 1));
}

async fn a_read_respects_both_bounds_but_returns_one_record_at_least(kind: Kind) {
    let queue = kind(ROOMY);
    let one = consumer(&queue, "one");
    append(&queue, &[&[one][..]; 5]).await;
    let sizes = [
        (2, u64::MAX, 2),
        (9, 3 * COST, 3),
        (9, 3 * COST - 1, 2),
        (9, 1, 1),
        (0, 1, 1),
    ];
    for (events, bytes, expected) in sizes {
        let slice = queue.read(one, 1, events, bytes).await.unwrap();
        assert_eq!(slice.records.len(), expected);
        assert_eq!(slice.next, 1 + expected as u64);
    }
    let past = queue.read(one, 6, 9, 9).await.unwrap();
    assert_eq!((past.records.len(), past.next), (0, 6));
}

async fn at_the_bound_of_events_and_of_bytes_the_route_behind_is_named(kind: Kind) {
    for (limits, bound) in [
        (
            Limits {
                max_events: 2,
                ..ROOMY
            },
            Bound::Events,
        ),
        (
            Limits {
                max_bytes: 2 * COST,
                ..ROOMY
            },
            Bound::Bytes,
        ),
    ] {
        let queue = kind(limits);
        if queue.durable() && bound == Bound::Bytes {
            // Files are larger than that; their bound has tests of its own.
            continue;
        }
        let (fast, slow) = (consumer(&queue, "fast"), consumer(&queue, "slow"));
        append(&queue, &[&[fast, slow], &[slow]]).await;
        queue.settle(fast, &[1..=2]);
        let expected = RejectReason::Full {
            route: Arc::from("slow"),
            lag: Lag {
                events: 2,
                bytes: 2 * COST,
            },
            bound,
            makes_room: false,
        };
        assert_eq!(rejection(&queue, &[&[fast]]).await, expected);
        let mut room = queue.room();
        room.mark_unchanged();
        queue.settle(slow, &[1..=1]);
        assert!(room.has_changed().unwrap());
        append(&queue, &[&[fast]]).await;
    }
}

async fn a_batch_that_can_never_fit_is_told_so(kind: Kind) {
    let queue = kind(Limits {
        max_bytes: 2 * COST,
        ..ROOMY
    });
    let one = bounded(&queue, "one", COST, WhenLagging::DropOldest);
    if !queue.durable() {
        let reason = rejection(&queue, &[&[one][..]; 3]).await;
        let (size, limit, bound) = (3 * COST, 2 * COST, Bound::Bytes);
        assert_eq!(reason, RejectReason::TooBig { size, limit, bound });
    }
    let reason = rejection(&queue, &[&[one][..]; 2]).await;
    let (limit, bound) = (COST, Bound::Lag);
    assert_eq!(
        reason,
        RejectReason::TooBig {
            size: 2 * COST,
            limit,
            bound
        }
    );
}

#[test]
fn reasons_count_in_the_unit_of_their_bound() {
    let full = RejectReason::Full {
        route: Arc::from("shop"),
        lag: Lag {
            events: 2,
            bytes: 1516,
        },
        bound: Bound::Events,
        makes_room: false,
    };
    let expected =
        "the queue is full (kete.queue.max-events): route shop is behind by 2 events, 1516 bytes";
    assert_eq!(full.to_string(), expected);
    let too_big = |bound| {
        RejectReason::TooBig {
            size: 3,
            limit: 2,
            bound,
        }
        .to_string()
    };
    let expected = "3 events can never fit: the queue takes 2 (kete.queue.max-events)";
    assert_eq!(too_big(Bound::Events), expected);
    let expected = "3 bytes can never fit: the queue takes 2 (kete.queue.max-bytes)";
    assert_eq!(too_big(Bound::Bytes), expected);
}

async fn a_route_at_its_own_bound_refuses_or_is_asked_to_drop(kind: Kind) {
    let queue = kind(ROOMY);
    let strict = bounded(&queue, "strict", 2 * COST, WhenLagging::Refuse);
    let loose = bounded(&queue, "loose", 2 * COST, WhenLagging::DropOldest);
    let mut shed = queue.shed(loose);
    append(&queue, &[&[loose], &[loose]]).await;
    rejection(&queue, &[&[loose]]).await;
    assert!(shed.has_changed().unwrap());
    let wish = *shed.borrow_and_update();
    assert_eq!((wish.to_bytes, wish.to_events), (COST, 2));
    queue.settle(loose, &[1..=1]);
    append(&queue, &[&[loose]]).await;
    append(&queue, &[&[strict], &[strict]]).await;
    let reason = rejection(&queue, &[&[strict]]).await;
    assert!(matches!(
        reason,
        RejectReason::Full {
            bound: Bound::Lag,
            ..
        }
    ));
    append(&queue, &[&[] as &[ConsumerId]]).await;
}

async fn at_the_bound_of_all_the_route_furthest_behind_is_asked_to_drop(kind: Kind) {
    let queue = kind(Limits {
        max_events: 3,
        ..ROOMY
    });
    let loose = bounded(&queue, "loose", u64::MAX, WhenLagging::DropOldest);
    let strict = consumer(&queue, "strict");
    append(&queue, &[&[loose], &[loose], &[strict]]).await;
    rejection(&queue, &[&[strict], &[strict]]).await;
    let wish = *queue.shed(loose).borrow();
    assert_eq!(
        (wish.request, wish.to_events, wish.to_bytes),
        (1, 0, 2 * COST)
    );
    queue.settle(loose, &[1..=2]);
    append(&queue, &[&[strict], &[strict]]).await;
    let reason = rejection(&queue, &[&[strict]]).await;
    assert!(matches!(reason, RejectReason::Full { route, .. } if &*route == "strict"));
}

async fn drop_newest_takes_and_drops(kind: Kind) {
    let queue = kind(Limits {
        max_events: 1,
        when_full: WhenFull::DropNewest,
        ..ROOMY
    });
    let one = consumer(&queue, "one");
    append(&queue, &[&[one]]).await;
    let appended = queue.append(batch(&[&[one]])).await.unwrap();
    assert_eq!(appended.dropped, 1);
    assert!(appended.receipt.is_settled() && appended.sequences.is_empty());
    assert_eq!(read(&queue, one, 1).await, [1]);
}

async fn forgetting_a_route_settles_what_only_it_wanted(kind: Kind) {
    let queue = kind(ROOMY);
    let (stays, goes) = (consumer(&queue, "stays"), consumer(&queue, "goes"));
    let receipt = append(&queue, &[&[stays, goes], &[goes], &[goes]]).await;
    queue.settle(goes, &[2..=2]);
    assert_eq!(queue.forget(goes), 2);
    assert_eq!(read(&queue, stays, 1).await, [1]);
    assert_settles(&queue, &receipt, false);
    queue.settle(stays, &[1..=3]);
    assert_settles(&queue, &receipt, true);
    // It was matched before it was forgotten.
    let late = append(&queue, &[&[goes], &[stays, goes]]).await;
    queue.settle(goes, &[4..=5]);
    assert_eq!(read(&queue, stays, 4).await, [5]);
    queue.settle(stays, &[4..=5]);
    assert_settles(&queue, &late, true);
    assert_eq!(queue.usage().events, 0);
    assert_ne!(consumer(&queue, "goes"), goes, "it would be a new one");
}

async fn a_batch_carries_what_the_source_remembers(kind: Kind) {
    let queue = kind(Limits {
        max_events: 1,
        ..ROOMY
    });
    let one = consumer(&queue, "one");
    let state = |text: &'static str| {
        Some(SourceState {
            source: Arc::from("poller"),
            state: Bytes::from_static(text.as_bytes()),
        })
    };
    queue
        .append(Batch {
            state: state("first"),
            ..batch(&[&[one]])
        })
        .await
        .unwrap();
    queue
        .append(Batch {
            state: state("second"),
            ..batch(&[&[one]])
        })
        .await
        .unwrap_err();
    assert_eq!(
        queue.source_state("poller").await.unwrap(),
        "first",
        "all or nothing"
    );
    queue
        .append(Batch {
            state: state("third"),
            ..batch(&[])
        })
        .await
        .unwrap();
    assert_eq!(queue.source_state("poller").await.unwrap(), "third");
    assert_eq!(queue.source_state("other").await, None);
}

#[tokio::test]
async fn a_log_that_goes_away_loses_its_receipts() {
    let queue = memory(ROOMY);
    let one = consumer(&queue, "one");
    let receipt = append(&queue, &[&[one]]).await;
    drop(queue);
    assert_eq!(receipt.settled().await, Err(NotTaken));
}

#[tokio::test]
async fn what_is_settled_behind_a_stuck_record_takes_no_memory() {
    let queue = memory(ROOMY);
    let (stuck, fast) = (consumer(&queue, "stuck"), consumer(&queue, "fast"));
    append(&queue, &[&[stuck]]).await;
    for sequence in 2..10_000 {
        append(&queue, &[&[fast]]).await;
        queue.settle(fast, &[sequence..=sequence]);
        queue.settle(stuck, &[sequence..=sequence]);
    }
    // What is printed is all that is held: a slot left behind would be in it.
    assert!(format!("{queue:?}").len() < 10_000);
    assert_eq!(read(&queue, stuck, 1).await, [1]);
}

async fn one_event_may_be_behind_however_large_it_is(kind: Kind) {
    let queue = kind(ROOMY);
    let tight = bounded(&queue, "tight", COST - 1, WhenLagging::Refuse);
    append(&queue, &[&[tight]]).await;
    let reason = rejection(&queue, &[&[tight]]).await;
    assert!(matches!(
        reason,
        RejectReason::Full {
            bound: Bound::Lag,
            ..
        }
    ));
    queue.settle(tight, &[1..=1]);
    append(&queue, &[&[tight]]).await;
}

async fn a_hopeless_batch_is_told_so_even_when_the_log_is_full(kind: Kind) {
    let queue = kind(Limits {
        max_events: 2,
        max_bytes: 2 * COST,
        ..ROOMY
    });
    let one = consumer(&queue, "one");
    append(&queue, &[&[one], &[one]]).await;
    let reason = rejection(&queue, &[&[one][..]; 3]).await;
    assert!(matches!(
        reason,
        RejectReason::TooBig {
            bound: Bound::Events,
            ..
        }
    ));
}

async fn drop_newest_does_not_drop_for_one_route_at_its_own_bound(kind: Kind) {
    let limits = Limits {
        max_events: 3,
        when_full: WhenFull::DropNewest,
        ..ROOMY
    };
    let queue = kind(limits);
    let strict = bounded(&queue, "strict", COST, WhenLagging::Refuse);
    let loose = bounded(&queue, "loose", u64::MAX, WhenLagging::DropOldest);
    append(&queue, &[&[strict]]).await;
    rejection(&queue, &[&[strict, loose]]).await;
    queue.settle(strict, &[1..=1]);
    append(&queue, &[&[loose], &[loose], &[loose]]).await;
    // The log is full, and the route that is furthest behind would rather drop its oldest.
    rejection(&queue, &[&[loose]]).await;
    assert_eq!(queue.shed(loose).borrow().to_events, 2);
}

async fn appending_wakes_readers(kind: Kind) {
    let queue = kind(ROOMY);
    let one = consumer(&queue, "one");
    let mut appended = queue.appended();
    append(&queue, &[&[one], &[one]]).await;
    assert_eq!(*appended.borrow_and_update(), 2);
    queue.append(batch(&[])).await.unwrap();
    assert!(!appended.has_changed().unwrap());
}

/// One step of the model: what is appended, or what is settled by whom.
#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Vec<bool>>),
    Settle(usize, u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let wanted = prop::collection::vec(any::<bool>(), 3);
    prop_oneof![
        prop::collection::vec(wanted, 1..4).prop_map(Step::Append),
        (0_usize..3, 1_u64..40, 0_u64..4)
            .prop_map(|(who, from, more)| Step::Settle(who, from, more)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_log_in_memory_is_a_set_of_unsettled_events_in_order(
        steps in prop::collection::vec(step(), 0..80),
    ) {
        the_log_is_a_set_of_unsettled_events_in_order(memory, steps)?;
    }

    #[test]
    fn the_log_on_disk_is_a_set_of_unsettled_events_in_order(
        steps in prop::collection::vec(step(), 0..80),
    ) {
        the_log_is_a_set_of_unsettled_events_in_order(disk, steps)?;
    }
}

fn the_log_is_a_set_of_unsettled_events_in_order(
    kind: Kind,
    steps: Vec<Step>,
) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let queue = kind(ROOMY);
    let consumers = ["a", "b", "c"].map(|name| consumer(&queue, name));
    // Which consumers still want each record.
    let mut model: BTreeMap<Sequence, BTreeSet<usize>> = BTreeMap::new();
    let mut receipts: Vec<(Vec<Sequence>, Receipt)> = Vec::new();
    let mut next = 1;
    for step in steps {
        match step {
            Step::Append(drafts) => {
                let mut wanted: Vec<Vec<ConsumerId>> = Vec::new();
                let mut sequences = Vec::new();
                for who in drafts {
                    let set: BTreeSet<usize> = (0..3).filter(|index| who[*index]).collect();
                    wanted.push(set.iter().map(|index| consumers[*index]).collect());
                    model.insert(next, set);
                    sequences.push(next);
                    next += 1;
                }
                let slices: Vec<&[ConsumerId]> = wanted.iter().map(Vec::as_slice).collect();
                receipts.push((sequences, runtime.block_on(append(&queue, &slices))));
            }
            Step::Settle(who, from, more) => {
                let to = (from + more).min(next - 1);
                queue.settle(consumers[who], &[from..=to]);
                for sequence in from..=to {
                    model.get_mut(&sequence).unwrap().remove(&who);
                }
            }
        }
        let unsettled: Vec<Sequence> = model
            .iter()
            .filter(|(_, who)| !who.is_empty())
            .map(|(number, _)| *number)
            .collect();
        let (least, events) = (unsettled.len() as u64, queue.usage().events);
        // A log on disk may count what lies between.
        prop_assert!(events == least || (queue.durable() && least > 0 && events > least));
        for (who, consumer) in consumers.iter().enumerate() {
            let wanted: Vec<Sequence> = unsettled
                .iter()
                .copied()
                .filter(|number| model[number].contains(&who))
                .collect();
            prop_assert_eq!(runtime.block_on(read(&queue, *consumer, 1)), wanted);
            let events = model
                .values()
                .filter(|wanting| wanting.contains(&who))
                .count() as u64;
            prop_assert_eq!(
                queue.lag(*consumer),
                Lag {
                    events,
                    bytes: events * COST
                }
            );
        }
        for (sequences, receipt) in &receipts {
            let safe = sequences.iter().all(|sequence| model[sequence].is_empty());
            prop_assert_eq!(receipt.is_settled(), safe || queue.durable());
        }
    }
    Ok(())
}
