//! When events count as delivered, and what fails alone.

use kete_pipeline::{ConnectFailureKind, ConnectionEvent, EventFailure, FailureReason, Target};
use serde_json::{Value, json};

use crate::recorder::Recorder;
use crate::route::{Lane, destination, record};

fn bodies(numbers: std::ops::Range<u64>) -> impl Iterator<Item = String> {
    numbers.map(|number| json!({ "id": number.to_string(), "type": "LOGIN" }).to_string())
}

#[tokio::test]
async fn with_a_barrier_everything_confirmed_was_handled_in_order() {
    let server = Recorder::start(&[]).await;
    let destination = destination(&server.url(), &[]);
    let mut lane = Lane::connect(&*destination).await;
    lane.send(bodies(0..1));
    lane.send(bodies(1..600));
    let last = lane.send(bodies(600..3000));
    assert_eq!(lane.confirmed(last).await, []);
    let events = server.events().await;
    assert_eq!(events.len(), 3000);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["event"], "keycloak-event");
        assert_eq!(
            event["body"],
            json!({ "id": number.to_string(), "type": "LOGIN" })
        );
    }
    lane.close();
    destination.close().await;
}

#[tokio::test]
async fn a_server_without_pongs_is_asked_by_a_namespace_and_that_is_remembered() {
    let server = Recorder::start(&["--no-pong"]).await;
    let destination = destination(&server.url(), &[]);
    for _ in 0..2 {
        let mut lane = Lane::connect(&*destination).await;
        let last = lane.send(bodies(0..700));
        lane.confirmed(last).await;
        lane.close();
    }
    assert_eq!(server.count().await, 1400);
    destination.close().await;
}

#[tokio::test]
async fn a_server_that_answers_no_barrier_gets_no_event_and_the_ways_out_are_named() {
    let server = Recorder::start(&["--ack", "never"]).await;
    let failure = crate::route::failure(&*destination(&server.url(), &[])).await;
    assert_eq!(failure.kind, ConnectFailureKind::NoConfirmation);
    for way_out in ["confirm=ack", "barrier=engine-ping", "confirm=written"] {
        assert!(failure.message.contains(way_out), "{}", failure.message);
    }
    let fixed = destination(&server.url(), &["barrier=namespace"]);
    let failure = crate::route::failure(&*fixed).await;
    assert!(
        failure.message.contains("(asked: namespace; 3s each)"),
        "{}",
        failure.message
    );
    assert_eq!(server.count().await, 0);
}

#[tokio::test]
async fn written_is_confirmed_by_a_server_that_never_answers() {
    let server = Recorder::start(&["--ack", "never"]).await;
    let destination = destination(&server.url(), &["confirm=written"]);
    let mut lane = Lane::connect(&*destination).await;
    let last = lane.send(bodies(0..1000));
    assert_eq!(lane.confirmed(last).await, []);
    lane.close();
    destination.close().await;
    assert_eq!(server.count().await, 1000);
}

#[tokio::test]
async fn with_acknowledgements_each_event_is_confirmed_by_its_handler() {
    let server = Recorder::start(&["--ack", "after-write"]).await;
    let destination = destination(&server.url(), &["confirm=ack"]);
    let mut lane = Lane::connect(&*destination).await;
    lane.send(bodies(0..500));
    let mut acknowledged = Vec::new();
    while acknowledged.len() < 500 {
        match lane.next().await {
            Some(ConnectionEvent::Acknowledged { tickets }) => acknowledged.extend(tickets),
            other => panic!("{other:?}"),
        }
    }
    acknowledged.sort_unstable();
    assert!(acknowledged.iter().copied().eq(1..=500));
    lane.release();
    destination.close().await;
}

#[tokio::test]
async fn an_acknowledgement_with_an_error_refuses_its_event_alone() {
    let server = Recorder::start(&["--ack", "refuse-matching", "--refuse", "poison"]).await;
    let destination = destination(&server.url(), &["confirm=ack", "ack.error-pointer=/error"]);
    let mut lane = Lane::connect(&*destination).await;
    lane.send([r#"{"id":"1"}"#, r#"{"id":"poison"}"#, r#"{"id":"3"}"#]);
    let mut acknowledged = Vec::new();
    let mut refused = Vec::new();
    while acknowledged.len() + refused.len() < 3 {
        match lane.next().await {
            Some(ConnectionEvent::Acknowledged { tickets }) => acknowledged.extend(tickets),
            Some(ConnectionEvent::Failed { ticket, failure }) => refused.push((ticket, failure)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(acknowledged, [1, 3]);
    let detail = "refused by the test".to_owned();
    assert_eq!(refused, [(2, EventFailure::Refused { detail })]);
}

#[tokio::test]
async fn an_event_that_is_too_large_fails_alone_and_the_connection_stays() {
    let server = Recorder::start(&["--max-http-buffer-size", "2000"]).await;
    let url = server.url();
    let large = json!({ "id": "x".repeat(2000) }).to_string();
    for (line, limit) in [("max-payload=auto", 2000), ("max-payload=1KiB", 1024)] {
        let destination = destination(&url, &[line]);
        let mut lane = Lane::connect(&*destination).await;
        let last = lane.send([r#"{"id":"1"}"#, &*large, r#"{"id":"3"}"#]);
        let failed = lane.confirmed(last).await;
        let [ConnectionEvent::Failed { ticket: 2, failure }] = &failed[..] else {
            panic!("{failed:?}");
        };
        let EventFailure::Permanent { reason, detail } = failure else {
            panic!("{failure:?}")
        };
        assert_eq!(*reason, FailureReason::TooLarge);
        assert!(
            detail.contains(&format!("the server takes {limit}")),
            "{detail}"
        );
        let last = lane.send([r#"{"id":"4"}"#]);
        assert_eq!(lane.confirmed(last).await, []);
        lane.close();
        destination.close().await;
    }
    let ids: Vec<Value> = server
        .events()
        .await
        .into_iter()
        .map(|event| event["body"]["id"].clone())
        .collect();
    assert_eq!(ids, ["1", "3", "4", "1", "3", "4"]);
}

#[tokio::test]
async fn a_receiver_that_asks_for_it_is_told_which_event_it_is_and_whether_it_may_be_a_repeat() {
    let id = "say \"7\"";
    for (ack, confirm) in [
        ("none", "confirm=barrier"),
        ("none", "confirm=written"),
        ("after-write", "confirm=ack"),
    ] {
        let server = Recorder::start(&["--ack", ack]).await;
        let destination = destination(&server.url(), &[confirm, "event-id=argument"]);
        let mut lane = Lane::connect(&*destination).await;
        let body = || r#"{"id":"7"}"#.to_owned();
        lane.send_records([
            (record(id, body(), Target::AllRoutes), 1),
            (record(id, body(), Target::AllRoutes), 2),
            (record(id, body(), Target::Route("shop".into())), 1),
        ]);
        server.counts(3).await;
        let events = server.events().await;
        let more: Vec<&Value> = events.iter().map(|event| &event["more"]).collect();
        let argument =
            |attempt, replay| json!([{ "id": id, "attempt": attempt, "replay": replay }]);
        assert_eq!(
            more,
            [&argument(1, false), &argument(2, false), &argument(1, true)],
            "{confirm}"
        );
        assert!(
            events
                .iter()
                .all(|event| event["body"] == json!({ "id": "7" }))
        );
        lane.close();
        destination.close().await;
    }
}

#[tokio::test]
async fn the_argument_counts_against_the_largest_packet() {
    let server = Recorder::start(&["--max-http-buffer-size", "2000"]).await;
    // Without the argument this is just small enough.
    let body = json!({ "id": "x".repeat(1950) }).to_string();
    for (line, fits) in [("event-id=off", true), ("event-id=argument", false)] {
        let destination = destination(&server.url(), &[line]);
        let mut lane = Lane::connect(&*destination).await;
        lane.send([body.as_str()]);
        match lane.next().await {
            Some(ConnectionEvent::Confirmed { through: 1 }) => assert!(fits, "{line}"),
            Some(ConnectionEvent::Failed { ticket: 1, .. }) => assert!(!fits, "{line}"),
            other => panic!("{other:?}"),
        }
        lane.close();
        destination.close().await;
    }
    assert_eq!(server.count().await, 1);
}

#[tokio::test]
async fn without_a_limit_the_server_closes_and_says_that_it_was_too_large() {
    let server = Recorder::start(&["--max-http-buffer-size", "2000"]).await;
    let destination = destination(&server.url(), &["max-payload=off"]);
    let mut lane = Lane::connect(&*destination).await;
    lane.send([json!({ "id": "x".repeat(2000) }).to_string()]);
    let Some(ConnectionEvent::Lost(failure)) = lane.next().await else {
        panic!()
    };
    assert_eq!(failure.kind, ConnectFailureKind::Ended);
    assert!(
        failure.message.contains("set max-payload"),
        "{}",
        failure.message
    );
    assert_eq!(lane.next().await, None);
}

#[tokio::test]
async fn a_probe_is_answered_whatever_confirms_events() {
    for (server_options, lines) in [
        (&[][..], &["confirm=barrier"][..]),
        (&[][..], &["confirm=ack"][..]),
        (&["--no-pong"][..], &["confirm=ack"][..]),
        (
            &["--no-pong"][..],
            &["confirm=written", "barrier=namespace"][..],
        ),
    ] {
        let server = Recorder::start(server_options).await;
        let destination = destination(&server.url(), lines);
        let mut lane = Lane::connect(&*destination).await;
        for _ in 0..3 {
            lane.probe();
            assert_eq!(
                lane.next().await,
                Some(ConnectionEvent::Proven),
                "{lines:?}"
            );
        }
        lane.close();
        destination.close().await;
        assert_eq!(server.count().await, 0);
    }
}

#[tokio::test]
async fn what_was_sent_before_a_graceful_close_is_handled() {
    let server = Recorder::start(&[]).await;
    let destination = destination(&server.url(), &[]);
    let mut lane = Lane::connect(&*destination).await;
    lane.send(bodies(0..5000));
    lane.close();
    destination.close().await;
    assert_eq!(server.count().await, 5000);
}

#[tokio::test]
async fn an_event_over_which_the_server_hangs_up_ends_the_connection_once() {
    let server = Recorder::start(&["--drop-on", "poison"]).await;
    let destination = destination(&server.url(), &[]);
    let mut lane = Lane::connect(&*destination).await;
    lane.send([r#"{"id":"poison"}"#]);
    let mut last = None;
    while let Some(event) = lane.next().await {
        last = Some(event);
    }
    let Some(ConnectionEvent::Lost(failure)) = last else {
        panic!("{last:?}")
    };
    assert_eq!(failure.kind, ConnectFailureKind::Ended);
    assert!(
        failure.message.starts_with(&server.url()),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn a_lane_that_listens_late_gets_everything_in_few_words() {
    let server = Recorder::start(&[]).await;
    let destination = destination(&server.url(), &[]);
    let mut lane = Lane::connect(&*destination).await;
    let mut last = 0;
    for first in (0..20_000).step_by(200) {
        last = lane.send(bodies(first..first + 200));
        tokio::task::yield_now().await;
    }
    // Nothing was listened to until the server has handled all of it.
    server.counts(20_000).await;
    assert_eq!(lane.confirmed(last).await, []);
    lane.close();
    destination.close().await;
}

#[tokio::test]
async fn what_the_server_answers_is_found_out_again_when_it_stops_answering() {
    let server = Recorder::start(&[]).await;
    let port = server.port.to_string();
    let destination = destination(&server.url(), &[]);
    Lane::connect(&*destination).await.close();
    server.kill().await;
    let server = Recorder::start(&["--port", &port, "--no-pong"]).await;
    // Pings are remembered, so this connection waits for a pong that never comes, until the lane
    // loses its patience.
    let mut lane = Lane::connect(&*destination).await;
    lane.send(bodies(0..1));
    server.counts(1).await;
    lane.abort();
    let mut lane = Lane::connect(&*destination).await;
    let last = lane.send(bodies(1..2));
    lane.confirmed(last).await;
    destination.close().await;
}

#[tokio::test]
async fn an_engine_ping_to_the_wrong_server_leads_to_the_advice_to_choose_another() {
    let server = Recorder::start(&[]).await;
    let failure =
        crate::route::failure(&*destination(&server.url(), &["barrier=engine-ping"])).await;
    assert_eq!(failure.kind, ConnectFailureKind::Ended);
    assert!(
        failure.message.contains("when it was asked for a barrier"),
        "{}",
        failure.message
    );
    assert!(
        failure.message.ends_with("netty-socketio only"),
        "{}",
        failure.message
    );
}
