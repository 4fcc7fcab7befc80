//! A queue that keeps what it has taken, and the trouble that it can have.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kete_pipeline::{DeadLetters, LaneSpec};
use kete_queue::{ConsumerLimits, Limits, Queue, WhenLagging};
use tokio::time::Instant;

use crate::kept::{Kept, Reads};
use crate::support::{Lines, Machine, ROOMY, Shelf, lane, login, machine_on, source, submit};
use crate::words::Words;

const GRACE: Duration = Duration::from_secs(25);
const SECOND: Duration = Duration::from_secs(1);

fn on(queue: &Arc<Kept>) -> Machine {
    let queue: Arc<dyn Queue> = Arc::clone(queue) as Arc<dyn Queue>;
    machine_on(queue, DeadLetters::none())
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_is_tried_again_though_nothing_is_appended() {
    let queue = Kept::new(ROOMY);
    let mut machine = on(&queue);
    let shelf = Shelf::default();
    machine.supervisor.add_lane(lane("all", shelf.clone()));
    let intake = machine.intake(false).await;
    *queue.reads.lock().unwrap() = Reads::Fail;
    queue.attempts.store(0, Ordering::SeqCst);
    submit(&intake, &[&login("1", "ann")]).await.unwrap();
    tokio::time::sleep(600 * SECOND).await;
    // What others append meanwhile is no reason to try sooner.
    let before = queue.attempts.load(Ordering::SeqCst);
    assert!(
        (20..150).contains(&before),
        "{before} attempts in ten minutes"
    );
    for number in 2..100 {
        submit(&intake, &[&login(&number.to_string(), "ann")])
            .await
            .unwrap();
        tokio::task::yield_now().await;
    }
    assert!(queue.attempts.load(Ordering::SeqCst) <= before + 1);
    *queue.reads.lock().unwrap() = Reads::Work;
    machine
        .metric(r#"kete_events_forwarded_total{route="all"} 99"#)
        .await;
    let failures = machine
        .telemetry
        .route(&Arc::from("all"))
        .read_failures
        .get();
    assert!(failures >= before as u64, "{failures} counted");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_queue_stops_its_routes_and_neither_a_job_nor_a_stop_waits_for_it() {
    let queue = Kept::new(ROOMY);
    let mut machine = on(&queue);
    let shelf = Shelf::default();
    *queue.reads.lock().unwrap() = Reads::FindDamage;
    machine.supervisor.add_lane(lane("all", shelf.clone()));
    let lines = vec![login("1", "ann"), login("2", "ann")];
    machine
        .supervisor
        .add_source(source("lines", true, Lines(lines)));
    let report = machine.supervisor.run(std::future::pending(), GRACE).await;
    assert_eq!(report.undelivered[0].1.events, 2);
    assert_eq!(shelf.ids(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_closed_last_and_what_it_could_not_save_is_a_failure() {
    for fails in [false, true] {
        let queue = Kept::new(ROOMY);
        queue.close_fails.store(fails, Ordering::SeqCst);
        let mut machine = on(&queue);
        let shelf = Shelf::default();
        machine.supervisor.add_lane(lane("all", shelf.clone()));
        let lines = vec![login("1", "ann")];
        machine
            .supervisor
            .add_source(source("lines", true, Lines(lines)));
        let report = machine.supervisor.run(std::future::pending(), GRACE).await;
        assert_eq!(
            (shelf.ids().len(), queue.closed.load(Ordering::SeqCst)),
            (1, 1)
        );
        assert_eq!(report.is_success(), !fails, "{report:?}");
        let said = report.queue_failure.map(|failure| failure.to_string());
        let expected = "the queue could not be closed in order: queue/1.log: no space left";
        assert_eq!(said.as_deref(), fails.then_some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_backlog_that_is_kept_does_not_delay_a_stop() {
    const EVENTS: u64 = 200_000;
    let bounds = Limits {
        max_events: EVENTS,
        max_bytes: 1 << 30,
        ..ROOMY
    };
    let queue = Kept::new(bounds);
    let mut machine = on(&queue);
    let shelf = Shelf::default();
    shelf.set_down(true);
    machine.supervisor.add_lane(lane("all", shelf));
    let intake = machine.intake(false).await;
    let event = login("1", "ann");
    let many = vec![&*event; 1000];
    for _ in 0..EVENTS / 1000 {
        submit(&intake, &many).await.unwrap();
    }
    let start = Instant::now();
    let words = Words::listen();
    let report = machine.supervisor.stop(GRACE).await;
    assert_eq!(words.with("the rest stays on disk").len(), 1);
    assert!(words.with("what waits is delivered").is_empty());
    drop(words);
    assert_eq!(report.undelivered[0].1.events, EVENTS);
    assert!(report.is_success(), "it is all kept: {report:?}");
    // The time is that of the paused clock: nothing was waited for.
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_keeps_for_whom_can_be_watched() {
    let queue = Kept::new(ROOMY);
    let mut machine = on(&queue);
    let shelf = Shelf::default();
    shelf.set_down(true);
    machine.supervisor.add_lane(lane("old", shelf.clone()));
    let intake = machine.intake(false).await;
    submit(&intake, &[&login("1", "ann")]).await.unwrap();
    machine.supervisor.remove_lane("old", SECOND).await;
    machine
        .metric(r#"kete_queue_lag_events{route="old"} 1"#)
        .await;
    machine
        .metric(r#"kete_queue_lag_events{route="old.replay"} 0"#)
        .await;
    machine
        .metric(r#"kete_queue_events_dropped_total{route="old"} 0"#)
        .await;
    queue.forget(queue.find("old").unwrap());
    let text = machine.telemetry.encode();
    assert!(
        !text.contains(r#"kete_queue_lag_events{route="old"}"#),
        "{text}"
    );
    assert!(text.contains(r#"kete_queue_lag_events{route="old.replay"}"#));
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_is_passed_over_in_steps_of_many() {
    const EVENTS: usize = 900;
    let queue = Kept::new(ROOMY);
    let mut machine = on(&queue);
    let shelf = Shelf::default();
    shelf.set_down(true);
    let limits = ConsumerLimits {
        max_lag_bytes: 100_000,
        when_full: WhenLagging::DropOldest,
    };
    machine.supervisor.add_lane(LaneSpec {
        limits,
        ..lane("dead", shelf.clone())
    });
    let intake = machine.intake(false).await;
    let mut number = 0;
    while number < EVENTS {
        let events: Vec<String> = (number..number + 50)
            .map(|number| login(&number.to_string(), "ann"))
            .collect();
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        submit(&intake, &events).await.unwrap();
        number += events.len();
    }
    // It is over when the lane has come down to what was asked for.
    let consumer = queue.find("dead").unwrap();
    while queue.lag(consumer).bytes > limits.max_lag_bytes {
        tokio::task::yield_now().await;
    }
    let dropped = machine.telemetry.dropped("dead");
    let kept = queue.lag(consumer).events;
    assert_eq!(dropped + kept, EVENTS as u64);
    assert!(dropped > 700, "{dropped} dropped");
    let reads = queue.attempts.load(Ordering::SeqCst);
    assert!(reads < 300, "{reads} reads to drop {dropped} events");
    shelf.set_down(false);
    machine
        .metric(&format!(
            r#"kete_events_forwarded_total{{route="dead"}} {kept}"#
        ))
        .await;
    let newest: Vec<String> = (EVENTS - kept as usize..EVENTS)
        .map(|number| number.to_string())
        .collect();
    assert_eq!(shelf.ids(), newest, "the newest, in order");
}
