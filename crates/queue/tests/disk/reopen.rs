//! What is there when the log is opened again.

use bytes::Bytes;
use kete_queue::{
    Batch, ConsumerId, Lag, NotTaken, Queue, Recovered, RejectReason, SourceState, StartFrom, Sync,
    Target,
};

use crate::support::{PATIENT, SETTINGS, append, consumer, draft, open, place, read};

#[tokio::test]
async fn what_was_not_settled_is_there_and_nothing_else() {
    let place = place();
    let (queue, _) = open(&place, SETTINGS);
    let (one, other) = (consumer(&queue, "one"), consumer(&queue, "other"));
    append(&queue, 1..6, &[one, other]).await;
    append(&queue, 6..8, &[other]).await;
    queue.settle(one, &[1..=2, 4..=4]);
    queue.settle(other, &[1..=6]);
    let lag = queue.lag(other);
    queue.close().await.unwrap();
    drop(queue);

    let (queue, recovered) = open(&place, SETTINGS);
    assert_eq!((recovered.events, recovered.cut_bytes), (5, 0));
    assert_eq!(queue.find("one"), Some(one));
    assert_eq!(queue.cursor(one), 2);
    assert_eq!(read(&queue, one, 1).await, [3, 4, 5], "4 comes again");
    assert_eq!(
        (read(&queue, other, 1).await, queue.lag(other)),
        (vec![7], lag)
    );
    let again = consumer(&queue, "other");
    append(&queue, 8..9, &[again]).await;
    assert_eq!(read(&queue, again, 1).await, [7, 8]);
}

#[tokio::test]
async fn a_log_that_is_dropped_or_closed_twice_is_whole() {
    let place = place();
    let (queue, _) = open(&place, SETTINGS);
    let one = consumer(&queue, "one");
    append(&queue, 1..4, &[one]).await;
    drop(queue);
    let (queue, recovered) = open(&place, SETTINGS);
    assert_eq!(
        recovered,
        Recovered {
            events: 3,
            ..Recovered::default()
        }
    );
    queue.settle(one, &[1..=3]);
    queue.close().await.unwrap();
    queue.close().await.unwrap();
    drop(queue);
    let (queue, recovered) = open(&place, SETTINGS);
    assert_eq!(recovered, Recovered::default());
    assert_eq!((queue.lag(one), queue.cursor(one)), (Lag::default(), 3));
}

#[tokio::test]
async fn a_closed_log_takes_nothing() {
    let place = place();
    let (queue, _) = open(&place, SETTINGS);
    let one = consumer(&queue, "one");
    queue.close().await.unwrap();
    let batch = Batch {
        drafts: vec![draft(1, 600, &[one])],
        state: None,
    };
    let rejected = queue.append(batch).await.unwrap_err();
    assert!(matches!(rejected.reason, RejectReason::Unwritable { .. }));
    assert_eq!(rejected.batch.drafts.len(), 1);
}

#[tokio::test]
async fn a_record_is_read_as_it_was_taken() {
    let place = place();
    let (queue, _) = open(&place, SETTINGS);
    let one = consumer(&queue, "one");
    let admin = br#"{"id":"1","time":1,"realmId":"r","resourceType":"USER",
        "operationType":"UPDATE","error":"e","representation":null}"#;
    let mut drafts = vec![
        draft(1, 0, &[one]),
        draft(2, 300_000, &[ConsumerId(77), one]),
    ];
    let header = &mut drafts[1].header;
    header.metadata = kete_event::Event::parse(admin).unwrap().metadata();
    header.id_derived = true;
    header.accepted_at = -5;
    header.target = Target::Route("shop".into());
    let expected: Vec<_> = drafts
        .iter()
        .map(|one| (one.header.clone(), one.body.clone()))
        .collect();
    let batch = Batch {
        drafts,
        state: None,
    };
    let receipt = queue.append(batch).await.unwrap().receipt;
    receipt.settled().await.unwrap();
    drop(queue);
    let (queue, _) = open(&place, SETTINGS);
    let slice = queue.read(one, 1, 9, u64::MAX).await.unwrap();
    let found = slice.records.iter();
    let found: Vec<_> = found
        .map(|one| (one.header.clone(), one.body.clone()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!((slice.records[1].sequence, slice.next), (2, 3));
}

#[tokio::test]
async fn what_a_source_remembers_is_saved_with_its_events_and_alone() {
    let place = place();
    let (queue, _) = open(&place, SETTINGS);
    let one = consumer(&queue, "one");
    for (source, text, drafts) in [
        ("poller", "first", vec![draft(1, 600, &[one])]),
        ("hook", "only", vec![]),
        ("poller", "second", vec![]),
    ] {
        let state = Some(SourceState {
            source: source.into(),
            state: Bytes::from_static(text.as_bytes()),
        });
        let appended = queue.append(Batch { drafts, state }).await.unwrap();
        appended.receipt.settled().await.unwrap();
    }
    drop(queue);
    let (queue, _) = open(&place, SETTINGS);
    assert_eq!(queue.source_state("poller").await.unwrap(), "second");
    assert_eq!(queue.source_state("hook").await.unwrap(), "only");
    assert_eq!(queue.source_state("other").await, None);
}

#[tokio::test]
async fn a_forgotten_consumer_stays_forgotten_and_its_number_is_not_used_again() {
    let place = place();
    let (queue, _) = open(&place, SETTINGS);
    let (goes, stays) = (consumer(&queue, "goes"), consumer(&queue, "stays"));
    append(&queue, 1..4, &[goes, stays]).await;
    assert_eq!(queue.forget(goes), 3);
    drop(queue);
    let (queue, _) = open(&place, SETTINGS);
    assert_eq!(queue.find("goes"), None);
    let new = consumer(&queue, "goes");
    assert!(new > stays);
    assert_eq!(queue.lag(new), Lag::default());
    assert_eq!(read(&queue, stays, 1).await, [1, 2, 3]);
}

#[tokio::test]
async fn who_starts_at_the_earliest_gets_what_is_stored_of_others() {
    let place = place();
    let (queue, _) = open(&place, SETTINGS);
    let one = consumer(&queue, "one");
    append(&queue, 1..4, &[one]).await;
    let mut replayed = draft(4, 600, &[one]);
    replayed.header.target = Target::Route("one".into());
    let batch = Batch {
        drafts: vec![replayed],
        state: None,
    };
    queue
        .append(batch)
        .await
        .unwrap()
        .receipt
        .settled()
        .await
        .unwrap();
    let late = queue.consumer("late", PATIENT, StartFrom::Earliest);
    assert_eq!(
        queue.lag(late).events,
        3,
        "what is for one route is not for it"
    );
    append(&queue, 5..6, &[one]).await;
    append(&queue, 6..7, &[late]).await;
    for reopened in [false, true] {
        assert_eq!(queue.lag(late).events, 4);
        if reopened {
            assert_eq!(read(&queue, late, 1).await, [1, 2, 3, 6]);
        }
    }
    drop(queue);
    let (queue, _) = open(&place, SETTINGS);
    assert_eq!(queue.lag(late).events, 4);
    assert_eq!(read(&queue, late, 1).await, [1, 2, 3, 6]);
    queue.settle(late, &[1..=6]);
    assert_eq!(queue.lag(late), Lag::default());
}

#[tokio::test]
async fn every_mode_keeps_what_was_written_when_kete_ends() {
    let modes = [
        Sync::Always,
        Sync::Interval(std::time::Duration::from_millis(5)),
        Sync::Never,
    ];
    for sync in modes {
        let place = place();
        let settings = kete_queue::DiskSettings { sync, ..SETTINGS };
        let (queue, _) = open(&place, settings);
        let one = consumer(&queue, "one");
        append(&queue, 1..1000, &[one]).await;
        queue.settle(one, &[1..=500]);
        queue.close().await.unwrap();
        drop(queue);
        let (queue, _) = open(&place, settings);
        let expected: Vec<u64> = (501..1000).collect();
        assert_eq!(read(&queue, one, 1).await, expected);
    }
}

#[tokio::test]
async fn a_receipt_of_what_was_never_written_is_lost() {
    let place = place();
    let settings = kete_queue::DiskSettings {
        reserve_free: u64::MAX,
        ..SETTINGS
    };
    let (queue, _) = open(&place, settings);
    let one = consumer(&queue, "one");
    let batch = Batch {
        drafts: vec![draft(1, 600, &[one])],
        state: None,
    };
    let receipt = queue.append(batch).await.unwrap().receipt;
    queue.close().await.unwrap_err();
    drop(queue);
    assert_eq!(receipt.settled().await, Err(NotTaken));
}
