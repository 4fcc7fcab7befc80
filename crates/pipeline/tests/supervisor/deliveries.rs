//! The log line that says what became of an event.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kete_pipeline::lane::LaneSettings;
use kete_pipeline::{DeadLetters, Deliveries, LaneSpec, Span};
use kete_queue::{ConsumerLimits, Queue, WhenLagging};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::kept::Kept;
use crate::support::{ROOMY, Shelf, lane, login, machine, machine_on, submit};

const TARGET: &str = "kete::delivery";
const SECOND: Duration = Duration::from_secs(1);

type Line = BTreeMap<&'static str, String>;

/// Collects the lines of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Line>>>);

struct Fields(Line);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(Line::new());
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Log {
    /// Of each line: route, id, outcome, attempts.
    fn lines(&self) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        let short = |line: &Line| {
            assert_eq!(line["message"], "delivery");
            assert_eq!(line["event_type"], "LOGIN");
            let of = |name: &str| &*line[name];
            let [route, id, outcome] = [of("route"), of("id"), of("outcome")];
            format!("{route} {id} {outcome} {}", of("attempts"))
        };
        lines.iter().map(short).collect()
    }
}

/// What the log has of two routes, one of which cannot send bad events.
async fn logged(deliveries: Deliveries) -> (Log, Vec<String>) {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let mut machine = machine(ROOMY);
    machine.supervisor.log_deliveries(deliveries);
    let picky = Shelf {
        unsendable: Some("bad-one"),
        ..Shelf::default()
    };
    machine.supervisor.add_lane(lane("picky", picky));
    machine.supervisor.add_lane(lane("well", Shelf::default()));
    let intake = machine.intake(false).await;
    let (good, bad) = (login("1", "ann"), login("2", "bad-one"));
    let receipt = submit(&intake, &[&good, &bad]).await.unwrap();
    receipt.settled().await.unwrap();
    machine.supervisor.stop(SECOND).await;
    let mut lines = log.lines();
    lines.sort();
    (log, lines)
}

#[tokio::test(start_paused = true)]
async fn each_event_has_one_line_per_route_and_none_has_the_event() {
    let (log, lines) = logged(Deliveries::All).await;
    let expected = [
        "picky 1 delivered 1",
        "picky 2 dead_letter 0",
        "well 1 delivered 1",
        "well 2 delivered 1",
    ];
    assert_eq!(lines, expected);
    let all = format!("{:?}", log.0.lock().unwrap());
    assert!(!all.contains("ann") && !all.contains("bad-one"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn those_that_were_delivered_can_be_left_out_and_none_is_the_default() {
    let (_, failed) = logged(Deliveries::Failed).await;
    assert_eq!(failed, ["picky 2 dead_letter 0"]);
    let (_, off) = logged(Deliveries::default()).await;
    assert_eq!(off, [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_sent_again_has_one_line_with_its_attempts() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let mut machine = machine(ROOMY);
    machine.supervisor.log_deliveries(Deliveries::All);
    let shelf = Shelf::default();
    shelf.set_silent(true);
    machine.supervisor.add_lane(lane("all", shelf.clone()));
    let intake = machine.intake(false).await;
    let receipt = submit(&intake, &[&login("1", "ann")]).await.unwrap();
    // Nothing is confirmed for longer than confirm.timeout: it is sent again.
    tokio::time::sleep(45 * SECOND).await;
    shelf.set_silent(false);
    receipt.settled().await.unwrap();
    machine.supervisor.stop(SECOND).await;
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let attempts = lines[0].strip_prefix("all 1 delivered ").unwrap();
    assert!(attempts.parse::<u32>().unwrap() >= 2, "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_has_a_line_whether_it_was_read_or_not() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let mut machine = machine(ROOMY);
    machine.supervisor.log_deliveries(Deliveries::Failed);
    let shelf = Shelf::default();
    shelf.set_down(true);
    let limits = ConsumerLimits {
        max_lag_bytes: 8000,
        when_full: WhenLagging::DropOldest,
    };
    let spec = lane("all", shelf.clone());
    machine.supervisor.add_lane(LaneSpec {
        limits,
        lane: LaneSettings {
            max_in_flight: 4,
            ..spec.lane
        },
        ..spec
    });
    let intake = machine.intake(false).await;
    for number in 0..60 {
        let event = login(&number.to_string(), "ann");
        submit(&intake, &[&event]).await.unwrap();
    }
    let dropped = machine.telemetry.route(&Arc::from("all"));
    machine.supervisor.stop(SECOND).await;
    let expected: Vec<String> = (0..dropped.dropped_oldest.get())
        .map(|number| format!("all {number} dropped 0"))
        .collect();
    assert!(expected.len() > 20, "{} were dropped", expected.len());
    assert_eq!(log.lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_replay_has_a_line_of_its_own_that_says_so() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let queue: Arc<dyn Queue> = Kept::new(ROOMY);
    let mut machine = machine_on(queue, DeadLetters::none());
    machine.supervisor.log_deliveries(Deliveries::All);
    machine.supervisor.add_lane(lane("all", Shelf::default()));
    let intake = machine.intake(false).await;
    submit(&intake, &[&login("1", "ann")]).await.unwrap();
    machine
        .metric(r#"kete_events_forwarded_total{route="all"} 1"#)
        .await;
    let replayer = machine.supervisor.replayer();
    let ever = Span {
        from: 0,
        to: i64::MAX,
    };
    replayer.replay_span("all", ever).await.unwrap();
    machine
        .metric(r#"kete_events_replayed_total{route="all"} 1"#)
        .await;
    assert_eq!(log.lines(), ["all 1 delivered 1", "all 1 delivered 1"]);
    let lines = log.0.lock().unwrap();
    assert_eq!(
        [&*lines[0]["replay"], &*lines[1]["replay"]],
        ["false", "true"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_receiver_refuses_for_good_has_one_line() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let mut machine = machine(ROOMY);
    machine.supervisor.log_deliveries(Deliveries::Failed);
    let shelf = Shelf {
        refused: Some("bad-one"),
        ..Shelf::default()
    };
    machine.supervisor.add_lane(lane("all", shelf));
    let intake = machine.intake(false).await;
    let (good, bad) = (login("1", "ann"), login("2", "bad-one"));
    let receipt = submit(&intake, &[&good, &bad]).await.unwrap();
    receipt.settled().await.unwrap();
    machine.supervisor.stop(SECOND).await;
    assert_eq!(log.lines(), ["all 2 refused 3"]);
}
