//! Errors of the disk while the log runs: nothing is promised that is not so, and it goes on when
//! the disk does.

use std::time::Duration;

use futures_util::FutureExt;

use super::super::{DiskSettings, Sync};
use super::faulty::{Action, Fault, Faulty};
use super::support::{
    Hands, SETTINGS, append, batch, consumer, numbers, offer, open, run, try_open,
};
use crate::{NotTaken, Queue, RejectReason};

/// Waits until the log takes batches again.
async fn working(queue: &super::super::Disk) {
    let mut room = queue.room();
    while queue.shared.state().problem.is_some() {
        room.changed().await.unwrap();
    }
}

#[test]
fn whatever_fails_once_is_done_again_and_nothing_is_lost_or_doubled() {
    run(async {
        for action in [
            Action::Write,
            Action::Sync,
            Action::Create,
            Action::SyncNames,
        ] {
            for fault in [Fault::Broken, Fault::Full] {
                for times in [1, 3] {
                    let files = Faulty::seeded(times);
                    let (queue, _) = open(&files);
                    let one = consumer(&queue, "one");
                    append(&queue, batch(1..4, 600, &[one])).await;
                    files.fail_next(Action::Create, times, fault);
                    files.fail_next(action, times, fault);
                    let receipt = offer(&queue, batch(4..7, 600, &[one])).await;
                    receipt.settled().await.unwrap();
                    working(&queue).await;
                    append(&queue, batch(7..8, 600, &[one])).await;
                    let expected: Vec<u64> = (1..8).collect();
                    assert_eq!(numbers(&queue, one).await, expected, "{action:?} {fault:?}");
                    files.kill();
                    drop(queue);
                    files.restart_after_power_loss();
                    let (queue, _) = open(&files);
                    assert_eq!(numbers(&queue, one).await, expected, "{action:?} {fault:?}");
                }
            }
        }
    });
}

#[test]
fn a_disk_that_fails_refuses_with_the_file_and_goes_on_delivering() {
    run(async {
        let files = Faulty::default();
        let (queue, _) = open(&files);
        let one = consumer(&queue, "one");
        append(&queue, batch(1..4, 600, &[one])).await;
        files.fail_next(Action::Sync, u64::MAX, Fault::Broken);
        let receipt = offer(&queue, batch(4..5, 600, &[one])).await;
        let problem = loop {
            // Until the writer has noticed, there is room in memory.
            match queue.append(batch(5..6, 600, &[one])).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(rejected) => break rejected.reason,
            }
        };
        let RejectReason::Unwritable { problem } = problem else {
            panic!("it is refused because of the disk: {problem}");
        };
        assert!(
            problem.starts_with("/disk/queue/0000000000000000000"),
            "{problem}"
        );
        assert!(
            problem.contains(".log: the disk is broken; free some space"),
            "{problem}"
        );
        assert!(!receipt.is_settled());
        assert_eq!(
            numbers(&queue, one).await,
            [1, 2, 3],
            "nobody reads what is not safe"
        );
        queue.settle(one, &[1..=3]);
        files.fail_next(Action::Sync, 0, Fault::Broken);
        working(&queue).await;
        receipt.settled().await.unwrap();
        assert_eq!(numbers(&queue, one).await[0], 4);
    });
}

#[test]
fn what_cannot_be_written_until_the_end_was_not_taken() {
    run(async {
        let files = Faulty::default();
        let (queue, _) = open(&files);
        let one = consumer(&queue, "one");
        append(&queue, batch(1..4, 600, &[one])).await;
        files.fail_next(Action::Write, u64::MAX, Fault::Full);
        let receipt = offer(&queue, batch(4..5, 600, &[one])).await;
        let error = queue.close().await.unwrap_err();
        assert!(
            error.to_string().contains(".log: no storage space"),
            "{error}"
        );
        drop(queue);
        assert_eq!(receipt.settled().await, Err(NotTaken));
        files.restart();
        let (queue, _) = open(&files);
        assert_eq!(numbers(&queue, one).await, [1, 2, 3]);
    });
}

#[test]
fn what_was_read_before_a_failed_sync_is_written_again_elsewhere() {
    run(async {
        let files = Faulty::default();
        let settings = DiskSettings {
            sync: Sync::Interval(Duration::from_millis(20)),
            ..SETTINGS
        };
        let (queue, _) = try_open(&files, settings, &Hands::default()).unwrap();
        let one = consumer(&queue, "one");
        append(&queue, batch(1..4, 600, &[one])).await;
        files.fail_next(Action::Sync, 1, Fault::Broken);
        let mut appended = queue.appended();
        let receipt = offer(&queue, batch(4..7, 600, &[one])).await;
        appended.wait_for(|newest| *newest == 6).await.unwrap();
        assert_eq!(numbers(&queue, one).await, [1, 2, 3, 4, 5, 6]);
        receipt.settled().await.unwrap();
        assert_eq!(files.segments().len(), 2);
        files.kill();
        drop(queue);
        files.restart_after_power_loss();
        let (queue, recovered) = open(&files);
        assert_eq!(numbers(&queue, one).await, [1, 2, 3, 4, 5, 6]);
        assert_eq!(recovered.events, 6);
    });
}

#[test]
fn the_reserve_of_free_space_is_kept_and_delivery_goes_on() {
    run(async {
        let files = Faulty::default();
        files.set_free(20 << 20);
        let settings = DiskSettings {
            reserve_free: 8 << 20,
            ..SETTINGS
        };
        let (queue, _) = try_open(&files, settings, &Hands::default()).unwrap();
        let one = consumer(&queue, "one");
        append(&queue, batch(1..3, 1 << 20, &[one])).await;
        files.set_free(7 << 20);
        let receipt = offer(&queue, batch(3..8, 1 << 20, &[one])).await;
        let mut room = queue.room();
        let reason = loop {
            match queue.append(batch(8..9, 10, &[one])).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(rejected) => break rejected.reason.to_string(),
            }
        };
        assert!(reason.contains("kete.queue.reserve-free"), "{reason}");
        assert!(reason.contains("7340032 bytes are free"), "{reason}");
        assert_eq!(numbers(&queue, one).await, [1, 2]);
        queue.settle(one, &[1..=2]);
        room.mark_unchanged();
        files.set_free(100 << 20);
        room.changed().await.unwrap();
        receipt.settled().await.unwrap();
        assert_eq!(numbers(&queue, one).await[..5], [3, 4, 5, 6, 7]);
    });
}

#[test]
fn all_who_append_at_once_share_a_sync() {
    run(async {
        let files = Faulty::default();
        let (queue, _) = open(&files);
        let one = consumer(&queue, "one");
        append(&queue, batch(1..2, 10, &[one])).await;
        let before = files.count(Action::Sync);
        let receipts: Vec<_> = {
            // The first of them cannot be safe before the last is there.
            let _held = files.hold_syncs();
            let offer = |number: u64| {
                let one = batch(number..number + 1, 10, &[one]);
                queue.append(one).now_or_never().unwrap().unwrap().receipt
            };
            (2..102).map(offer).collect()
        };
        for receipt in receipts {
            receipt.settled().await.unwrap();
        }
        let syncs = files.count(Action::Sync) - before;
        assert!((1..=2).contains(&syncs), "{syncs} syncs for 100 batches");
    });
}

#[test]
fn nothing_is_written_while_nothing_happens() {
    run(async {
        let files = Faulty::default();
        let (queue, _) = open(&files);
        let one = consumer(&queue, "one");
        append(&queue, batch(1..4, 600, &[one])).await;
        queue.settle(one, &[1..=3]);
        queue.close().await.unwrap();
        drop(queue);
        let before =
            [Action::Create, Action::Rename, Action::Remove].map(|action| files.count(action));
        let (queue, _) = open(&files);
        consumer(&queue, "one");
        assert_eq!(numbers(&queue, one).await, [] as [u64; 0]);
        queue.close().await.unwrap();
        let after =
            [Action::Create, Action::Rename, Action::Remove].map(|action| files.count(action));
        assert_eq!(before, after);
    });
}
