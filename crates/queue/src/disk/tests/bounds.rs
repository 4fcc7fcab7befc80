//! What happens at the bounds of the log, and how space comes back.

use std::time::Duration;

use bytes::Bytes;

use super::super::{Disk, DiskSettings, Retain, Sync, segment};
use super::faulty::{Action, Fault, Faulty};
use super::support::{
    Hands, PATIENT, SETTINGS, append, batch, consumer, numbers, offer, open, run, try_open,
};
use crate::{
    Batch, Bound, ConsumerId, ConsumerLimits, Limits, Queue, RejectReason, SourceState, Span,
    StartFrom, WhenFull, WhenLagging,
};

/// Segments of 256 KiB, sixteen of them.
const SMALL: DiskSettings = DiskSettings {
    limits: Limits {
        max_bytes: 4 << 20,
        ..SETTINGS.limits
    },
    ..SETTINGS
};

fn start(files: &Faulty, settings: DiskSettings) -> Disk {
    try_open(files, settings, &Hands::default()).unwrap().0
}

/// The bytes of all segments.
fn stored(files: &Faulty) -> u64 {
    let segments = files.segments();
    segments
        .iter()
        .map(|name| files.content(name).len() as u64)
        .sum()
}

/// Appends single events until there is no room. Returns the number behind the last one, and why.
async fn fill(queue: &Disk, mut next: u64, wanted: &[ConsumerId]) -> (u64, RejectReason) {
    loop {
        match queue.append(batch(next..next + 1, 20_000, wanted)).await {
            Ok(appended) => appended.receipt.settled().await.unwrap(),
            Err(rejected) => return (next, rejected.reason),
        }
        next += 1;
    }
}

/// Waits until this holds of the disk; every change of room is a reason to look again.
async fn until(queue: &Disk, holds: impl Fn() -> bool) {
    let mut room = queue.room();
    let soon = async {
        while !holds() {
            room.changed().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), soon).await;
    waited.expect("it comes about");
}

#[test]
fn the_files_never_take_more_than_they_may_and_the_route_behind_is_named() {
    run(async {
        let files = Faulty::default();
        let queue = start(&files, SMALL);
        let (fast, slow) = (consumer(&queue, "fast"), consumer(&queue, "slow"));
        let (next, reason) = fill(&queue, 1, &[fast, slow]).await;
        assert!(stored(&files) <= 4 << 20 && stored(&files) > 3 << 20);
        let RejectReason::Full { bound, .. } = &reason else {
            panic!("{reason}");
        };
        assert_eq!(*bound, Bound::Bytes);
        queue.settle(fast, &[1..=next]);
        let (again, reason) = fill(&queue, next, &[fast]).await;
        assert_eq!(again, next, "slow still holds everything");
        assert!(
            reason.to_string().contains("route slow is behind"),
            "{reason}"
        );
        // One segment's worth, and what is kept of delivered ones gives way.
        queue.settle(slow, &[1..=30]);
        let (more, _) = fill(&queue, next, &[slow]).await;
        assert!(more > next, "there is room again");
        assert!(stored(&files) <= 4 << 20);
        let expected: Vec<u64> = (31..more).collect();
        assert_eq!(numbers(&queue, slow).await, expected);
    });
}

#[test]
fn a_route_that_drops_its_oldest_is_asked_for_a_whole_segment() {
    run(async {
        let files = Faulty::default();
        let queue = start(&files, SMALL);
        let limits = ConsumerLimits {
            when_full: WhenLagging::DropOldest,
            ..PATIENT
        };
        let loose = queue.consumer("loose", limits, StartFrom::Now);
        let (next, reason) = fill(&queue, 1, &[loose]).await;
        assert!(
            matches!(
                reason,
                RejectReason::Full {
                    makes_room: true,
                    ..
                }
            ),
            "{reason}"
        );
        let wish = *queue.shed(loose).borrow();
        let dropped = next - 1 - wish.to_events;
        // 256 KiB hold a dozen of these.
        assert!((8..=14).contains(&dropped), "{dropped} are to be dropped");
        queue.settle(loose, &[1..=dropped]);
        let (more, _) = fill(&queue, next, &[loose]).await;
        assert!(more >= next + 5, "{} more fit", more - next);
    });
}

#[test]
fn who_nobody_works_for_loses_its_oldest_and_holds_nobody_up() {
    run(async {
        let files = Faulty::default();
        let queue = start(&files, SMALL);
        let (gone, stays) = (consumer(&queue, "gone"), consumer(&queue, "stays"));
        for next in 1..101 {
            append(&queue, batch(next..next + 1, 20_000, &[gone, stays])).await;
        }
        queue.settle(stays, &[1..=100]);
        assert_eq!(queue.detach(gone), 0);
        for next in 101..401 {
            append(&queue, batch(next..next + 1, 20_000, &[stays])).await;
            queue.settle(stays, &[next..=next]);
            assert!(stored(&files) <= 4 << 20);
        }
        let status = queue
            .consumers()
            .into_iter()
            .find(|one| &*one.name == "gone")
            .unwrap();
        assert!(!status.attached && status.dropped > 0);
        assert_eq!(status.dropped + status.lag.events, 100);
        let left = numbers(&queue, gone).await;
        let expected: Vec<u64> = (status.dropped + 1..101).collect();
        assert_eq!(left, expected, "the newest are left");
        queue.close().await.unwrap();
        drop(queue);
        let queue = start(&files, SMALL);
        assert_eq!(queue.lag(gone), status.lag);
        assert_eq!(queue.consumers()[0].dropped, status.dropped);
        assert_eq!(queue.forget(gone), status.lag.events);
    });
}

#[test]
fn a_full_log_that_is_started_again_loses_nothing_to_a_new_route() {
    run(async {
        let files = Faulty::default();
        let queue = start(&files, SMALL);
        let old = consumer(&queue, "old");
        let (next, _) = fill(&queue, 1, &[old]).await;
        queue.close().await.unwrap();
        drop(queue);
        let queue = start(&files, SMALL);
        for name in ["a", "b", "c"] {
            consumer(&queue, name);
        }
        // The last of them is in a file by now.
        queue.close().await.unwrap();
        drop(queue);
        let queue = start(&files, SMALL);
        assert_eq!(consumer(&queue, "old"), old);
        let expected: Vec<u64> = (1..next).collect();
        assert_eq!(numbers(&queue, old).await, expected);
        assert_eq!(
            queue.consumers().iter().map(|one| one.dropped).sum::<u64>(),
            0
        );
    });
}

#[test]
fn more_events_than_there_may_be_are_lost_for_who_nobody_works_for() {
    run(async {
        let limits = Limits {
            max_events: 50,
            ..SMALL.limits
        };
        let files = Faulty::default();
        let queue = start(&files, DiskSettings { limits, ..SMALL });
        let (gone, stays) = (consumer(&queue, "gone"), consumer(&queue, "stays"));
        append(&queue, batch(1..2, 10, &[gone])).await;
        queue.detach(gone);
        for next in 2..200 {
            append(&queue, batch(next..next + 1, 20_000, &[stays])).await;
            queue.settle(stays, &[next..=next]);
        }
        assert_eq!(queue.lag(gone).events, 0);
        assert_eq!(queue.consumers()[0].dropped, 1);
    });
}

#[test]
fn what_was_delivered_leaves_the_disk_when_it_is_idle_and_old() {
    run(async {
        let (files, hands) = (Faulty::default(), Hands::default());
        let (queue, _) = try_open(&files, SMALL, &hands).unwrap();
        let one = consumer(&queue, "one");
        for next in 1..101 {
            append(&queue, batch(next..next + 1, 20_000, &[one])).await;
        }
        queue.settle(one, &[1..=100]);
        // A quarter of the bound is kept for the sake of the newest ids.
        until(&queue, || stored(&files) <= 1 << 20).await;
        assert!(stored(&files) > 512 << 10, "{}", stored(&files));
        assert_eq!(queue.usage(), crate::Usage::default());
        drop(queue);
        // Not by the time that passed while kete did not run, but by that in which it does.
        hands.set(hands.now() + 86_400_000);
        let (queue, _) = try_open(&files, SMALL, &hands).unwrap();
        let ids = queue.taken_ids();
        assert!(ids.len() > 25 && &*ids.last().unwrap().id == "100");
        assert!(queue.taken_ids().is_empty(), "they are told once");
        assert!(stored(&files) > 512 << 10);
        hands.set(hands.now() + 15 * 60_000);
        append(&queue, batch(101..102, 10, &[one])).await;
        queue.settle(one, &[101..=101]);
        until(&queue, || stored(&files) < 256 << 10).await;
    });
}

#[test]
fn what_is_retained_can_be_asked_for_again_until_it_is_too_old_or_too_much() {
    run(async {
        let (files, hands) = (Faulty::default(), Hands::default());
        let retain = Retain {
            age: Some(Duration::from_secs(3600)),
            bytes: Some(2 << 20),
        };
        let settings = DiskSettings {
            retain: Some(retain),
            ..SMALL
        };
        let (queue, _) = try_open(&files, settings, &hands).unwrap();
        let one = consumer(&queue, "one");
        // Accepted at their numbers, in milliseconds.
        for next in 1..201 {
            append(&queue, batch(next..next + 1, 20_000, &[one])).await;
            queue.settle(one, &[next..=next]);
        }
        until(&queue, || stored(&files) <= (2 << 20) + (512 << 10)).await;
        assert!(stored(&files) > 1 << 20);
        let span = Span { from: 180, to: 190 };
        let (mut from, mut found) = (1, Vec::new());
        loop {
            let slice = queue.read_again(span, from, 3, u64::MAX).await.unwrap();
            found.extend(slice.records.iter().map(|record| record.sequence));
            if slice.next <= from {
                break;
            }
            from = slice.next;
        }
        assert_eq!(found, (180..=190).collect::<Vec<u64>>());
        hands.set(3_600_000 + 1000);
        append(&queue, batch(3_601_000..3_601_001, 10, &[one])).await;
        queue.settle(one, &[201..=201]);
        until(&queue, || stored(&files) < 512 << 10).await;
    });
}

#[test]
fn a_file_that_cannot_be_deleted_stops_intake_at_the_bound_and_not_before() {
    run(async {
        let files = Faulty::default();
        let queue = start(&files, SMALL);
        let one = consumer(&queue, "one");
        files.fail_next(Action::Remove, u64::MAX, Fault::Broken);
        let mut next = 1;
        let reason = loop {
            match queue.append(batch(next..next + 1, 20_000, &[one])).await {
                Ok(appended) => {
                    tokio::select! {
                        settled = appended.receipt.settled() => settled.unwrap(),
                        () = tokio::time::sleep(Duration::from_millis(300)) => {}
                    }
                }
                Err(rejected) => break rejected.reason,
            }
            queue.settle(one, &[next..=next]);
            next += 1;
        };
        assert!(
            matches!(reason, RejectReason::Unwritable { .. }),
            "{reason}"
        );
        assert!(stored(&files) <= 4 << 20);
        assert!(next > 150, "there was room for {next}");
        files.fail_next(Action::Remove, 0, Fault::Broken);
        until(&queue, || queue.shared.state().problem.is_none()).await;
        append(&queue, batch(next..next + 1, 20_000, &[one])).await;
    });
}

#[test]
fn nobody_waits_for_a_sync_that_never_comes() {
    run(async {
        for sync in [Sync::Never, Sync::Interval(Duration::from_secs(3600))] {
            let files = Faulty::default();
            let queue = start(&files, DiskSettings { sync, ..SETTINGS });
            let one = consumer(&queue, "one");
            let mut last = offer(&queue, batch(1..2, 900_000, &[one])).await;
            for next in 2..12 {
                let size = if next % 2 == 0 { 1_500_000 } else { 500_000 };
                let taken = offer(&queue, batch(next..next + 1, size, &[one]));
                let taken = tokio::time::timeout(Duration::from_secs(20), taken).await;
                last = taken.expect("it is taken");
            }
            queue.close().await.unwrap();
            last.settled().await.unwrap();
        }
    });
}

#[test]
fn what_a_source_remembers_waits_for_room_or_is_kept_in_memory() {
    run(async {
        let state = || {
            let (source, state) = ("poller".into(), Bytes::from_static(b"position"));
            Some(SourceState { source, state })
        };
        let only = || Batch {
            drafts: Vec::new(),
            state: state(),
        };
        let files = Faulty::default();
        let queue = start(&files, SMALL);
        let one = consumer(&queue, "one");
        fill(&queue, 1, &[one]).await;
        let mut taken = 0;
        while queue.append(only()).await.is_ok() {
            taken += 1;
        }
        assert!(taken < 1000, "{taken} fit into what was left");
        drop(queue);

        let files = Faulty::default();
        let limits = Limits {
            when_full: WhenFull::DropNewest,
            max_events: 1,
            ..SMALL.limits
        };
        let queue = start(&files, DiskSettings { limits, ..SMALL });
        let one = consumer(&queue, "one");
        append(&queue, batch(1..2, 10, &[one])).await;
        let both = Batch {
            state: state(),
            ..batch(2..3, 10, &[one])
        };
        let appended = queue.append(both).await.unwrap();
        assert_eq!((appended.dropped, appended.receipt.is_settled()), (1, true));
        assert_eq!(queue.source_state("poller").await.unwrap(), "position");
    });
}

#[test]
fn a_mark_without_segments_is_a_queue_that_was_lost() {
    let files = Faulty::default();
    files.put(&segment::mark(7), Vec::new());
    let error = try_open(&files, SETTINGS, &Hands::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("00000000000000000008.log is missing"),
        "{error}"
    );
    let files = Faulty::default();
    files.put(&segment::mark(0), Vec::new());
    assert_eq!(open(&files).1, super::super::Recovered::default());
}
