//! Standard input against a whole pipeline, from readers that a test controls.

use std::io::{self, Cursor};
use std::sync::mpsc;

use kete_config::{Diagnostics, Loader, Settings};
use kete_pipeline::Report;
use kete_queue::Limits;
use kete_routes::RouteRules;

use super::*;
use crate::testing::durable::Durable;
use crate::testing::words::Words;
use crate::testing::{Collector, Pipeline, ROOMY, only};

fn plan(realm_names: RealmNames, max_line_size: usize) -> Plan {
    Plan {
        name: Arc::from("test"),
        realm_names,
        max_line_size,
    }
}

fn stdin(input: impl Read + Send + 'static) -> Stdin {
    Stdin::new(plan(RealmNames::always("shop"), 1 << 20), Box::new(input))
}

fn text(input: impl Into<Vec<u8>>) -> Cursor<Vec<u8>> {
    Cursor::new(input.into())
}

async fn run(source: Stdin) -> (Collector, Report) {
    let pipeline = Pipeline::start(source, true);
    let collected = pipeline.collected.clone();
    (collected, pipeline.ended().await)
}

fn event(id: usize) -> String {
    format!(r#"{{"id":"{id}","type":"LOGIN","userId":"u{}"}}"#, id % 7)
}

/// Reads what the test sends, one message per read, and ends when the sender is dropped.
struct Pipe(mpsc::Receiver<Vec<u8>>);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Ok(bytes) = self.0.recv() else {
            return Ok(0);
        };
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

fn pipe() -> (mpsc::Sender<Vec<u8>>, Pipe) {
    let (sender, receiver) = mpsc::channel();
    (sender, Pipe(receiver))
}

#[tokio::test]
async fn every_line_arrives_and_the_end_of_input_ends_the_job() {
    let input: String = (0..5_000).map(|id| event(id) + "\n").collect();
    let (collected, report) = run(stdin(text(input))).await;
    let mut ids: Vec<usize> = collected
        .ids()
        .iter()
        .map(|id| id.parse().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..5_000).collect::<Vec<_>>());
    assert!(report.is_success(), "{report:?}");
}

#[tokio::test]
async fn lines_that_are_no_events_are_skipped_and_counted() {
    let lines: [&[u8]; 9] = [
        b"\xef\xbb\xbf{\"id\":\"1\",\"type\":\"LOGIN\"}",
        b"hello",
        b"",
        b"  \t\r",
        b"{\"id\":\"2\",\"type\":\"LO",
        b"{\"id\":\"3\",\"type\":\"\xff\"}",
        b"{\"type\":\"system.X\",\"uid\":\"4\"}",
        b"{\"id\":\"5\",\"type\":\"LOGOUT\"}\r",
        b"{\"id\":\"6\",\"type\":\"LOGIN\"}",
    ];
    let (collected, report) = run(stdin(text(lines.join(&b'\n')))).await;
    assert_eq!(collected.ids(), ["1", "5", "6"]);
    assert_eq!(report.bad, 3, "{report:?}");
    assert!(
        !report.is_success(),
        "a finite job with bad lines has failed"
    );
}

#[tokio::test]
async fn an_endless_line_is_one_bad_line() {
    let endless = io::repeat(b'x').take(300 << 20);
    let input = text(event(1) + "\n")
        .chain(endless)
        .chain(text("\n".to_owned() + &event(2)));
    let source = Stdin::new(plan(RealmNames::always("shop"), 1000), Box::new(input));
    let (collected, report) = run(source).await;
    assert_eq!(collected.ids(), ["1", "2"]);
    assert_eq!(report.bad, 1);
}

#[tokio::test]
async fn deeply_nested_json_is_one_bad_line() {
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let nested = format!(r#"{{"type":"LOGIN","x":{deep}}}"#);
    let (collected, report) = run(stdin(text([deep, nested, event(1)].join("\n")))).await;
    assert_eq!(collected.ids(), ["1"]);
    assert_eq!(report.bad, 2);
}

#[tokio::test]
async fn an_event_does_not_wait_for_the_next_one() {
    let (sender, input) = pipe();
    let pipeline = Pipeline::start(stdin(input), true);
    for id in 1..=3 {
        let event = event(id) + "\n";
        let (first, second) = event.split_at(10);
        sender.send(first.into()).unwrap();
        sender.send(second.into()).unwrap();
        assert_eq!(pipeline.collected.events(id).await.len(), id);
    }
    drop(sender);
    assert!(pipeline.ended().await.is_success());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_silent_input() {
    let (sender, input) = pipe();
    sender.send(event(1).into()).unwrap();
    sender.send(b"\n{\"id\":\"2\"".to_vec()).unwrap();
    let pipeline = Pipeline::start(stdin(input), true);
    let collected = pipeline.collected.clone();
    collected.events(1).await;
    let report = pipeline.stopped().await;
    assert!(report.is_success(), "{report:?}");
    assert_eq!(collected.ids(), ["1"], "half a line is no event");
    drop(sender);
}

#[tokio::test]
async fn a_full_queue_stops_the_reading_and_loses_nothing() {
    let input: String = (0..2_000).map(|id| event(id) + "\n").collect();
    let limits = Limits {
        max_events: 300,
        ..ROOMY
    };
    let collected = Collector::holding();
    let rules = RouteRules::default();
    let pipeline = Pipeline::with(stdin(text(input)), true, limits, collected.clone(), rules);
    collected.events(256).await;
    assert!(collected.so_far().len() <= 300);
    collected.release();
    assert!(pipeline.ended().await.is_success());
    assert_eq!(collected.ids().len(), 2_000);
}

#[tokio::test]
async fn an_event_that_no_route_wants_is_taken_all_the_same() {
    let input = text([event(1), event(2)].join("\n"));
    let collected = Collector::confirming();
    let pipeline = Pipeline::with(stdin(input), true, ROOMY, collected.clone(), only("LOGOUT"));
    let telemetry = pipeline.telemetry();
    assert!(pipeline.ended().await.is_success());
    assert_eq!(collected.so_far().len(), 0);
    assert_eq!(telemetry.taken.get(), 2);
    assert_eq!(telemetry.unrouted.get(), 2);
}

#[tokio::test]
async fn realms_get_their_names() {
    let names = |settings: &[&str]| {
        let diagnostics = Diagnostics::new();
        let loader = settings
            .iter()
            .fold(Loader::new("kete"), |loader, set| loader.set(*set));
        let settings: Settings = loader.load(&diagnostics);
        RealmNames::read(&settings.scope("kete", &diagnostics))
    };
    let input = text(
        r#"{"type":"LOGIN","realmId":"i"}
           {"type":"LOGIN"}"#,
    );
    let names = names(&["kete.realm=main", "kete.realm-names.i=shop"]);
    let (collected, _report) = run(Stdin::new(plan(names, 1000), Box::new(input))).await;
    let realms: Vec<_> = collected
        .so_far()
        .iter()
        .map(|event| event["realmName"].clone())
        .collect();
    assert_eq!(realms, ["shop", "main"]);
}

#[tokio::test]
async fn input_that_cannot_be_read_ends_the_job_after_what_was_read() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::IsADirectory))
        }
    }
    let (collected, report) = run(stdin(text(event(1) + "\n").chain(Broken))).await;
    assert_eq!(collected.ids(), ["1"]);
    let failure = report.failed_source.unwrap().to_string();
    assert!(
        failure.starts_with("source test: standard input could not be read"),
        "{failure}"
    );
}

#[tokio::test]
async fn large_events_go_in_batches_that_the_queue_can_take() {
    let padding = "x".repeat(100_000);
    let large = |id: usize| {
        format!(r#"{{"id":"{id}","type":"LOGIN","details":{{"padding":"{padding}"}}}}"#)
    };
    let input: Vec<String> = (0..50).map(large).collect();
    let limits = Limits {
        max_bytes: 1 << 20,
        ..ROOMY
    };
    let collected = Collector::confirming();
    let rules = RouteRules::default();
    let source = stdin(text(input.join("\n")));
    let pipeline = Pipeline::with(source, true, limits, collected.clone(), rules);
    assert!(pipeline.ended().await.is_success());
    assert_eq!(
        collected.ids(),
        (0..50).map(|id| id.to_string()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn an_event_that_can_never_fit_is_left_out_and_counted() {
    let padding = "x".repeat(100_000);
    let large = format!(r#"{{"id":"2","type":"LOGIN","details":{{"padding":"{padding}"}}}}"#);
    let (sender, input) = pipe();
    let limits = Limits {
        max_bytes: 50_000,
        ..ROOMY
    };
    let collected = Collector::confirming();
    let rules = RouteRules::default();
    let pipeline = Pipeline::with(stdin(input), true, limits, collected.clone(), rules);
    sender.send((event(1) + "\n").into_bytes()).unwrap();
    collected.events(1).await;
    sender.send((large + "\n").into_bytes()).unwrap();
    while pipeline.telemetry().bad.get() == 0 {
        tokio::task::yield_now().await;
    }
    sender.send((event(3) + "\n").into_bytes()).unwrap();
    drop(sender);
    let report = pipeline.ended().await;
    assert_eq!(
        (collected.ids(), report.bad),
        (vec!["1".to_owned(), "3".to_owned()], 1)
    );
}

#[tokio::test]
async fn with_a_durable_queue_the_end_is_told_when_all_is_safe() {
    let words = Words::listen();
    let queue = Durable::new(ROOMY);
    let input: String = (0..600).map(|id| event(id) + "\n").collect();
    let collected = Collector::holding();
    let rules = RouteRules::default();
    let source = stdin(text(input));
    let pipeline = Pipeline::on(
        Arc::clone(&queue) as _,
        source,
        true,
        collected.clone(),
        rules,
    );
    // This queue has its events safe when they are delivered.
    collected.events(600).await;
    for _turn in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(words.with("read standard input").is_empty());
    collected.release();
    assert!(pipeline.ended().await.is_success());
    assert_eq!(words.with("read standard input").len(), 1);
    let states = queue.entries().into_iter().filter_map(|entry| entry.state);
    assert_eq!(states.count(), 0, "nothing is remembered of the input");
}

#[tokio::test]
async fn while_the_disk_takes_nothing_nothing_is_read() {
    let queue = Durable::new(ROOMY);
    queue.set_unwritable(true);
    let input: String = (0..2_000).map(|id| event(id) + "\n").collect();
    let collected = Collector::confirming();
    let rules = RouteRules::default();
    let source = stdin(text(input));
    let words = Words::listen();
    let pipeline = Pipeline::on(
        Arc::clone(&queue) as _,
        source,
        true,
        collected.clone(),
        rules,
    );
    while words
        .with("intake stops until it can be written")
        .is_empty()
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(pipeline.telemetry().taken.get(), 0);
    queue.set_unwritable(false);
    assert!(pipeline.ended().await.is_success());
    assert_eq!(collected.ids().len(), 2_000);
}
