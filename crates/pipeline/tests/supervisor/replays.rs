//! Events that are sent again because somebody asks for them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kete_pipeline::{DeadLetters, Intake, LaneSpec, Record, ReplayError, Span, Target};
use kete_queue::{Limits, Queue};
use kete_routes::{MatchMode, MatchSet, Matcher, RouteRules};

use crate::kept::Kept;
use crate::support::{
    Machine, ROOMY, Shelf, dead_letters, lane, login, machine, machine_on, machine_with, submit,
};

const GRACE: Duration = Duration::from_secs(25);
const SECOND: Duration = Duration::from_secs(1);
const EVER: Span = Span {
    from: 0,
    to: i64::MAX,
};

fn durable(queue: &Arc<Kept>) -> Machine {
    let queue: Arc<dyn Queue> = Arc::clone(queue) as Arc<dyn Queue>;
    machine_on(queue, DeadLetters::none())
}

async fn take(intake: &Intake, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let event = login(&number.to_string(), "ann");
        submit(intake, &[&event]).await.unwrap();
    }
}

fn ids(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

/// A record as it came out of a store, of no use to the queue's own numbers.
fn stored(id: u64) -> Arc<Record> {
    let body = login(&id.to_string(), "ann");
    let metadata = kete_event::Event::parse(body.as_bytes())
        .unwrap()
        .metadata();
    Arc::new(Record {
        sequence: 0,
        header: kete_queue::Header {
            event_id: id.to_string().into(),
            id_derived: false,
            source: "store".into(),
            accepted_at: 5,
            metadata,
            ordering_key: "ann".into(),
            target: Target::AllRoutes,
        },
        body: body.into(),
    })
}

#[tokio::test(start_paused = true)]
async fn a_span_comes_again_to_one_route_in_order_and_marked() {
    let mut machine = durable(&Kept::new(ROOMY));
    let (asks, other) = (Shelf::default(), Shelf::default());
    machine.supervisor.add_lane(lane("asks", asks.clone()));
    machine.supervisor.add_lane(lane("other", other.clone()));
    let intake = machine.intake(false).await;
    take(&intake, 0..300).await;
    let (first, second) = (
        r#"kete_events_forwarded_total{route="asks"} 300"#,
        r#"kete_events_forwarded_total{route="other"} 300"#,
    );
    machine.metric(first).await;
    machine.metric(second).await;

    let replayer = machine.supervisor.replayer();
    assert_eq!(replayer.replay_span("asks", EVER).await.unwrap(), 300);
    let replayed = r#"kete_events_replayed_total{route="asks"} 300"#;
    machine.metric(replayed).await;
    assert_eq!(asks.replayed(), ids(0..300));
    assert_eq!(asks.ids().len(), 600);
    assert_eq!((other.ids().len(), other.replayed().len()), (300, 0));
    // What was sent again is no event of its own.
    machine.metric(first).await;
    let nothing = Span { from: 0, to: 1 };
    assert_eq!(replayer.replay_span("asks", nothing).await.unwrap(), 0);
    let report = machine.supervisor.stop(GRACE).await;
    assert!(
        report.is_success() && report.undelivered.is_empty(),
        "{report:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_span_has_only_what_the_route_wants_now() {
    let queue = Kept::new(ROOMY);
    let mut machine = durable(&queue);
    let shelf = Shelf::default();
    machine.supervisor.add_lane(lane("all", shelf.clone()));
    let intake = machine.intake(false).await;
    let logout = login("2", "ann").replace("LOGIN", "LOGOUT");
    submit(&intake, &[&login("1", "ann"), &logout])
        .await
        .unwrap();
    machine
        .metric(r#"kete_events_forwarded_total{route="all"} 2"#)
        .await;
    let logouts = Matcher::parse("logouts", "list:LOGOUT").unwrap();
    let rules = RouteRules {
        realm: MatchSet::everything(),
        event: MatchSet::new(MatchMode::Any, vec![logouts]),
    };
    let spec = LaneSpec {
        rules: Arc::new(rules),
        ..lane("all", shelf.clone())
    };
    machine.supervisor.replace_lane(spec, SECOND).await;
    let replayer = machine.supervisor.replayer();
    assert_eq!(replayer.replay_span("all", EVER).await.unwrap(), 1);
    machine
        .metric(r#"kete_events_replayed_total{route="all"} 1"#)
        .await;
    assert_eq!(shelf.replayed(), ["2"]);
}

#[tokio::test(start_paused = true)]
async fn records_of_a_store_are_sent_whatever_the_matchers_say_and_their_receipt_tells() {
    let folder = tempfile::tempdir().unwrap();
    let letters = dead_letters(&folder.path().join("dead.ndjson"), 1 << 20);
    let mut machine = machine_with(ROOMY, letters);
    let shelf = Shelf::default();
    shelf.set_down(true);
    let nothing = Matcher::parse("nothing", "list:NO_SUCH_TYPE").unwrap();
    let rules = RouteRules {
        realm: MatchSet::everything(),
        event: MatchSet::new(MatchMode::Any, vec![nothing]),
    };
    machine.supervisor.add_lane(LaneSpec {
        rules: Arc::new(rules),
        ..lane("all", shelf.clone())
    });
    let replayer = machine.supervisor.replayer();
    let records = vec![stored(2), stored(1)];
    let receipt = replayer.replay("all", records).await.unwrap();
    tokio::time::sleep(60 * SECOND).await;
    assert!(!receipt.is_settled());
    shelf.set_down(false);
    receipt.settled().await.unwrap();
    assert_eq!(shelf.replayed(), ["2", "1"]);
}

#[tokio::test(start_paused = true)]
async fn replays_that_hang_hold_no_live_event_up() {
    let mut machine = durable(&Kept::new(ROOMY));
    let shelf = Shelf::default();
    shelf.ignores_replays.store(true, Ordering::SeqCst);
    machine.supervisor.add_lane(lane("all", shelf.clone()));
    let intake = machine.intake(false).await;
    take(&intake, 0..100).await;
    let replayer = machine.supervisor.replayer();
    replayer.replay_span("all", EVER).await.unwrap();
    take(&intake, 100..200).await;
    machine
        .metric(r#"kete_events_forwarded_total{route="all"} 200"#)
        .await;
    assert_eq!(shelf.ids(), ids(0..200));
    shelf.ignores_replays.store(false, Ordering::SeqCst);
    machine
        .metric(r#"kete_events_replayed_total{route="all"} 100"#)
        .await;
    assert_eq!(shelf.replayed(), ids(0..100));
}

#[tokio::test(start_paused = true)]
async fn replays_have_a_connection_only_while_there_are_any() {
    let mut machine = durable(&Kept::new(ROOMY));
    let shelf = Shelf::default();
    machine.supervisor.add_lane(lane("all", shelf.clone()));
    let open = |count: u64| format!(r#"kete_route_connections{{route="all"}} {count}"#);
    machine.metric(&open(1)).await;
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(shelf.connects.load(Ordering::SeqCst), 1);
    let replayer = machine.supervisor.replayer();
    replayer.replay("all", vec![stored(1)]).await.unwrap();
    machine.metric(&open(2)).await;
    machine.metric(&open(1)).await;
    replayer.replay("all", vec![stored(2)]).await.unwrap();
    machine.metric(&open(2)).await;
    assert_eq!(shelf.replayed(), ["1", "2"]);
    assert_eq!(shelf.connects.load(Ordering::SeqCst), 3);
    machine.supervisor.stop(GRACE).await;
    assert_eq!(shelf.closes.load(Ordering::SeqCst), 1, "it is closed once");
    let closed = machine.telemetry.encode();
    assert!(closed.contains(&open(0)), "{closed}");
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_fails_again_is_a_dead_letter_of_its_route() {
    let mut machine = durable(&Kept::new(ROOMY));
    let shelf = Shelf {
        unsendable: Some("ann"),
        ..Shelf::default()
    };
    machine.supervisor.add_lane(lane("all", shelf));
    let replayer = machine.supervisor.replayer();
    replayer.replay("all", vec![stored(1)]).await.unwrap();
    machine
        .metric(r#"kete_events_failed_total{route="all",reason="serialization"} 1"#)
        .await;
    machine
        .metric(r#"kete_dead_letters_lost_total{route="all"} 1"#)
        .await;
}

#[tokio::test(start_paused = true)]
async fn replays_wait_for_room_of_their_own_and_leave_the_rest_to_live_events() {
    let bounds = Limits {
        max_bytes: 200_000,
        ..ROOMY
    };
    let queue = Kept::new(bounds);
    let mut machine = durable(&queue);
    let shelf = Shelf::default();
    shelf.set_down(true);
    machine.supervisor.add_lane(lane("all", shelf.clone()));
    let intake = machine.intake(false).await;
    let replayer = machine.supervisor.replayer();
    let replay = tokio::spawn(async move {
        let records = (0..900).map(stored).collect();
        replayer.replay("all", records).await.map(drop)
    });
    tokio::time::sleep(60 * SECOND).await;
    assert!(!replay.is_finished());
    let usage = queue.usage().bytes;
    assert!(
        (10_000..=25_000).contains(&usage),
        "{usage} bytes are replays"
    );
    take(&intake, 1000..1100).await;
    shelf.set_down(false);
    replay.await.unwrap().unwrap();
    machine
        .metric(r#"kete_events_replayed_total{route="all"} 900"#)
        .await;
    assert_eq!(shelf.replayed(), ids(0..900));
}

#[tokio::test(start_paused = true)]
async fn replays_that_were_not_sent_are_sent_after_a_restart() {
    let queue = Kept::new(ROOMY);
    let mut machine = durable(&queue);
    let shelf = Shelf::default();
    shelf.set_down(true);
    machine.supervisor.add_lane(lane("all", shelf.clone()));
    let replayer = machine.supervisor.replayer();
    let records = (0..20).map(stored).collect();
    replayer.replay("all", records).await.unwrap();
    let report = machine.supervisor.stop(SECOND).await;
    assert_eq!(report.undelivered[0].1.events, 20);
    let stopping = replayer.replay("all", vec![stored(99)]).await;
    assert!(matches!(stopping, Err(ReplayError::Stopping)));

    queue.closed.store(0, Ordering::SeqCst);
    let mut again = durable(&queue);
    shelf.set_down(false);
    again.supervisor.add_lane(lane("all", shelf.clone()));
    again
        .metric(r#"kete_events_replayed_total{route="all"} 20"#)
        .await;
    assert_eq!(shelf.replayed(), ids(0..20));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_again_is_said() {
    let mut kept = durable(&Kept::new(ROOMY));
    kept.supervisor.add_lane(lane("shop", Shelf::default()));
    let error = kept.supervisor.replayer().replay_span("shoq", EVER).await;
    let expected = "there is no route shoq at work; there is shop";
    assert_eq!(error.unwrap_err().to_string(), expected);
    let mut nothing = machine(ROOMY);
    nothing.supervisor.add_lane(lane("shop", Shelf::default()));
    let error = nothing
        .supervisor
        .replayer()
        .replay_span("shop", EVER)
        .await;
    assert!(matches!(error, Err(ReplayError::NothingKept)), "{error:?}");
    let huge = Arc::new(Record {
        body: "x".repeat(2 << 20).into(),
        ..(*stored(7)).clone()
    });
    let error = kept.supervisor.replayer().replay("shop", vec![huge]).await;
    let error = error.map(drop).unwrap_err().to_string();
    assert!(
        error.starts_with("event 7: ") && error.contains("never fit"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_removed_route_takes_no_replays_and_keeps_those_that_wait() {
    let queue = Kept::new(ROOMY);
    let mut machine = durable(&queue);
    let shelf = Shelf::default();
    shelf.set_down(true);
    machine.supervisor.add_lane(lane("all", shelf.clone()));
    let replayer = machine.supervisor.replayer();
    replayer.replay("all", vec![stored(1)]).await.unwrap();
    machine.supervisor.remove_lane("all", SECOND).await;
    let error = replayer.replay("all", vec![stored(2)]).await;
    assert!(matches!(error, Err(ReplayError::UnknownRoute { .. })));
    let waiting = queue.find("all.replay").unwrap();
    assert_eq!(queue.lag(waiting).events, 1);
    shelf.set_down(false);
    machine.supervisor.add_lane(lane("all", shelf.clone()));
    machine
        .metric(r#"kete_events_replayed_total{route="all"} 1"#)
        .await;
    assert_eq!(shelf.replayed(), ["1"]);
}

/// Most of what is appended is no replay; the place of the replays must not stay behind it.
#[tokio::test(start_paused = true)]
async fn the_cursor_of_replays_follows_what_others_append() {
    let queue = Kept::new(ROOMY);
    let mut machine = durable(&queue);
    machine.supervisor.add_lane(lane("all", Shelf::default()));
    let intake = machine.intake(false).await;
    take(&intake, 0..50).await;
    tokio::time::sleep(5 * SECOND).await;
    let replays = queue.find("all.replay").unwrap();
    assert_eq!(queue.cursor(replays), 50);
}
