//! What a durable queue remembers for its sources: never more than what it has taken.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kete_pipeline::{DeadLetters, Intake, IntakeError};
use kete_queue::Limits;

use crate::durable::{Durable, Entry, entry};
use crate::support::{Machine, ROOMY, Shelf, batch, lane, login, machine, machine_on};
use crate::words::Words;

fn on(queue: &Arc<Durable>) -> Machine {
    machine_on(Arc::clone(queue) as _, DeadLetters::none())
}

/// A route for everything, and the intake of a source.
async fn started(queue: &Arc<Durable>, drops_repeats: bool) -> (Machine, Shelf, Intake) {
    let mut machine = on(queue);
    let shelf = Shelf::default();
    machine.supervisor.add_lane(lane("all", shelf.clone()));
    let intake = machine.intake(drops_repeats).await;
    (machine, shelf, intake)
}

fn remembering(intake: &Intake, ids: &[&str], state: &'static str) -> kete_pipeline::Batch {
    let events: Vec<String> = ids.iter().map(|id| login(id, "ann")).collect();
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let mut batch = batch(intake, &events);
    batch.remember("part", Bytes::from_static(state.as_bytes()));
    batch
}

#[tokio::test(start_paused = true)]
async fn what_a_source_remembers_is_saved_with_its_events_under_its_name() {
    let queue = Durable::new(ROOMY);
    let (_machine, _shelf, intake) = started(&queue, true).await;
    assert_eq!(intake.remembered("part").await, None);
    intake
        .submit(remembering(&intake, &["1", "2"], "two"))
        .await
        .unwrap();
    assert_eq!(
        queue.entries(),
        [entry(&["1", "2"], Some(("hand/part", "two")))]
    );
    assert_eq!(
        intake.remembered("part").await.as_deref(),
        Some(&b"two"[..])
    );
    assert_eq!(intake.remembered("other").await, None);
    let mut whole = intake.batch();
    whole.remember("", Bytes::from_static(b"whole"));
    intake.submit(whole).await.unwrap();
    assert_eq!(queue.entries()[1], entry(&[], Some(("hand", "whole"))));
    assert_eq!(intake.remembered("").await.as_deref(), Some(&b"whole"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_which_nothing_is_left_is_still_remembered() {
    let queue = Durable::new(ROOMY);
    let (_machine, _shelf, intake) = started(&queue, true).await;
    intake
        .submit(remembering(&intake, &["1"], "one"))
        .await
        .unwrap();
    intake
        .submit(remembering(&intake, &["1"], "again"))
        .await
        .unwrap();
    assert_eq!(queue.entries()[1], entry(&[], Some(("hand/part", "again"))));

    let queue = Durable::new(ROOMY);
    let intake = on(&queue).intake(true).await;
    let unrouted = intake
        .submit(remembering(&intake, &["1"], "unrouted"))
        .await
        .unwrap();
    unrouted.settled().await.unwrap();
    assert_eq!(
        queue.entries(),
        [entry(&[], Some(("hand/part", "unrouted")))]
    );
}

/// The state is with the last event of its batch, and nowhere else.
fn only_the_last_remembers(entries: &[Entry]) {
    let (last, others) = entries.split_last().unwrap();
    assert!(last.state.is_some(), "{entries:?}");
    assert!(others.iter().all(|one| one.state.is_none()), "{entries:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_in_parts_is_remembered_with_its_last_part() {
    let queue = Durable::new(Limits {
        max_events: 3,
        ..ROOMY
    });
    let (_machine, shelf, intake) = started(&queue, true).await;
    let ids: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let all = intake
        .submit(remembering(&intake, &ids, "all"))
        .await
        .unwrap();
    all.settled().await.unwrap();
    assert_eq!(shelf.ids(), ids);
    assert!(queue.entries().len() > 6);
    only_the_last_remembers(&queue.entries());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_can_never_fit_does_not_keep_the_rest_from_being_remembered() {
    for huge in 0..4 {
        let queue = Durable::new(Limits {
            max_bytes: 2000,
            ..ROOMY
        });
        let (machine, shelf, intake) = started(&queue, true).await;
        let padding = "x".repeat(3000);
        let user = |number| if number == huge { &*padding } else { "ann" };
        let events: Vec<String> = (0..4)
            .map(|number| login(&number.to_string(), user(number)))
            .collect();
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        let mut batch = batch(&intake, &events);
        batch.remember("part", Bytes::from_static(b"all"));
        intake.submit(batch).await.unwrap().settled().await.unwrap();
        assert_eq!(shelf.ids().len(), 3, "without {huge}");
        only_the_last_remembers(&queue.entries());
        machine
            .metric(r#"kete_source_events_bad_total{source="hand"} 1"#)
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_neither_remembered_nor_known_as_taken() {
    let queue = Durable::new(ROOMY);
    let (_machine, shelf, intake) = started(&queue, true).await;
    queue.set_unwritable(true);
    let refused = intake
        .try_submit(remembering(&intake, &["1"], "one"))
        .await
        .unwrap_err();
    assert!(matches!(refused, IntakeError::Full(_)), "{refused}");
    assert!(refused.to_string().contains("no space left"), "{refused}");
    let mut waits = Box::pin(intake.submit(remembering(&intake, &["1"], "one")));
    assert!(
        tokio::time::timeout(Duration::from_secs(60), &mut waits)
            .await
            .is_err()
    );
    queue.wake();
    assert!(
        tokio::time::timeout(Duration::from_secs(60), &mut waits)
            .await
            .is_err()
    );
    assert_eq!(queue.entries(), []);
    assert_eq!(intake.remembered("part").await, None);
    queue.set_unwritable(false);
    waits.await.unwrap().settled().await.unwrap();
    assert_eq!(shelf.ids(), ["1"]);
    assert_eq!(queue.entries(), [entry(&["1"], Some(("hand/part", "one")))]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_the_disk_ends_with_kete() {
    let queue = Durable::new(ROOMY);
    let (machine, _shelf, intake) = started(&queue, true).await;
    queue.set_unwritable(true);
    let waits = tokio::spawn(async move {
        let batch = remembering(&intake, &["1"], "one");
        intake.submit(batch).await
    });
    let report = machine.supervisor.stop(Duration::from_secs(25)).await;
    assert!(report.is_success());
    assert_eq!(waits.await.unwrap().unwrap_err(), IntakeError::Stopping);
    assert_eq!(queue.entries(), []);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_does_not_hold_up_the_end() {
    let queue = Durable::new(ROOMY);
    let (machine, _shelf, intake) = started(&queue, true).await;
    queue.hang();
    let offered = tokio::spawn({
        let intake = intake.clone();
        async move {
            let batch = remembering(&intake, &["1"], "one");
            intake.try_submit(batch).await
        }
    });
    let waits = tokio::spawn(async move {
        let batch = remembering(&intake, &["2"], "two");
        intake.submit(batch).await
    });
    tokio::task::yield_now().await;
    let grace = Duration::from_secs(25);
    let stopped = tokio::time::timeout(2 * grace, machine.supervisor.stop(grace)).await;
    assert!(stopped.unwrap().is_success());
    for refused in [offered, waits] {
        assert_eq!(refused.await.unwrap().unwrap_err(), IntakeError::Stopping);
    }
    assert_eq!(queue.entries(), []);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_repeats_are_dropped_and_the_source_is_told_what_it_knew() {
    let queue = Durable::new(ROOMY);
    let (first, _shelf, intake) = started(&queue, true).await;
    let two = remembering(&intake, &["1", "2"], "two");
    let delivered = intake.submit(two).await.unwrap();
    delivered.settled().await.unwrap();
    assert!(
        first
            .supervisor
            .stop(Duration::from_secs(25))
            .await
            .is_success()
    );
    let (second, shelf, intake) = started(&queue, true).await;
    assert_eq!(
        intake.remembered("part").await.as_deref(),
        Some(&b"two"[..])
    );
    let taken = intake
        .submit(remembering(&intake, &["2", "3"], "three"))
        .await
        .unwrap();
    taken.settled().await.unwrap();
    assert_eq!(shelf.ids(), ["3"]);
    second
        .metric(r#"kete_source_events_repeated_total{source="hand"} 1"#)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_in_memory_remembers_nothing() {
    let mut machine = machine(ROOMY);
    machine.supervisor.add_lane(lane("all", Shelf::default()));
    let intake = machine.intake(true).await;
    assert!(!intake.is_durable());
    intake
        .submit(remembering(&intake, &["1"], "one"))
        .await
        .unwrap();
    assert_eq!(intake.remembered("part").await, None);
    assert_eq!(machine.queue.source_state("hand/part").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_waits_for_the_disk_says_why_once_a_minute_however_often_it_is_woken() {
    let words = Words::listen();
    let queue = Durable::new(ROOMY);
    let (_machine, _shelf, intake) = started(&queue, true).await;
    queue.set_unwritable(true);
    let mut waits = Box::pin(intake.submit(remembering(&intake, &["1"], "one")));
    for _half_second in 0..5 * 120 {
        let half_second = Duration::from_millis(500);
        assert!(tokio::time::timeout(half_second, &mut waits).await.is_err());
        queue.wake();
    }
    let said = words.with("intake stops until it can be written");
    assert_eq!(said.len(), 5, "{said:?}");
    assert!(said[0].contains("WARN") && said[0].contains("/data/queue/1.log: no space left"));
    assert!(words.with("until there is room").is_empty());
    queue.set_unwritable(false);
    waits.await.unwrap();
    intake
        .submit(remembering(&intake, &["2"], "two"))
        .await
        .unwrap();
    assert_eq!(words.with("intake goes on").len(), 1);
}
