//! What becomes of connections that a lane gives back.

use std::time::Duration;

use kete_pipeline::{ConnectFailureKind, ConnectionEvent, Destination};
use serde_json::Value;
use tokio::time::interval;

use crate::recorder::Recorder;
use crate::route::{Lane, destination, failure};

/// Sends one event and has it confirmed.
async fn send_one(lane: &mut Lane) {
    let last = lane.send([r#"{"id":"1"}"#]);
    lane.confirmed(last).await;
}

/// The Socket.IO ids of the connections that brought the events, in order.
async fn sockets(server: &Recorder) -> Vec<Value> {
    server
        .events()
        .await
        .into_iter()
        .map(|event| event["socket"].clone())
        .collect()
}

async fn lanes(destination: &dyn Destination, count: usize) -> Vec<Lane> {
    let mut lanes = Vec::new();
    for _ in 0..count {
        lanes.push(Lane::connect(destination).await);
    }
    lanes
}

#[tokio::test]
async fn a_connection_that_was_given_back_is_used_again_and_tickets_start_anew() {
    let server = Recorder::start(&[]).await;
    let destination = destination(&server.url(), &[]);
    for _ in 0..3 {
        let mut lane = Lane::connect(&*destination).await;
        lane.probe();
        assert_eq!(lane.next().await, Some(ConnectionEvent::Proven));
        for _ in 0..5 {
            send_one(&mut lane).await;
        }
        lane.release();
    }
    let sockets = sockets(&server).await;
    assert_eq!(sockets.len(), 15);
    assert!(sockets.iter().all(|socket| *socket == sockets[0]));
    destination.close().await;
    server.reaches(0).await;
}

#[tokio::test]
async fn the_order_in_which_idle_connections_are_used_is_a_matter_of_lifo() {
    for (line, expected) in [("pool.lifo=true", 1), ("pool.lifo=false", 0)] {
        let server = Recorder::start(&[]).await;
        let destination = destination(&server.url(), &[line]);
        let mut lanes = lanes(&*destination, 2).await;
        for lane in &mut lanes {
            send_one(lane).await;
        }
        for lane in lanes {
            lane.release();
        }
        send_one(&mut Lane::connect(&*destination).await).await;
        let sockets = sockets(&server).await;
        assert_eq!(sockets[2], sockets[expected], "{line}");
    }
}

#[tokio::test]
async fn a_connection_that_was_aborted_or_dropped_is_never_used_again() {
    let server = Recorder::start(&[]).await;
    let destination = destination(&server.url(), &[]);
    Lane::connect(&*destination).await.abort();
    server.reaches(0).await;
    drop(Lane::connect(&*destination).await);
    server.reaches(0).await;
    let mut lane = Lane::connect(&*destination).await;
    lane.send([r#"{"id":"unconfirmed"}"#]);
    lane.release();
    server.reaches(0).await;
}

#[tokio::test]
async fn no_more_connections_than_max_idle_are_kept() {
    let server = Recorder::start(&[]).await;
    let destination = destination(&server.url(), &["pool.max-idle=2"]);
    let lanes = lanes(&*destination, 4).await;
    assert_eq!(server.connections().await, 4);
    for lane in lanes {
        lane.release();
    }
    server.reaches(2).await;
    destination.close().await;
    server.reaches(0).await;
}

#[tokio::test]
async fn min_idle_connections_are_opened_once_the_server_is_known_to_be_there() {
    let server = Recorder::start(&[]).await;
    let destination = destination(&server.url(), &["pool.min-idle=3"]);
    let mut lane = Lane::connect(&*destination).await;
    server.reaches(3).await;
    send_one(&mut lane).await;
    assert_eq!(server.connections().await, 3);
    destination.close().await;
}

#[tokio::test]
async fn min_idle_is_restored_at_the_next_run() {
    let server = Recorder::start(&["--drop-on", "poison"]).await;
    let lines = [
        "pool.min-idle=2",
        "pool.time-between-eviction-runs-seconds=1",
    ];
    let destination = destination(&server.url(), &lines);
    let mut lane = Lane::connect(&*destination).await;
    server.reaches(2).await;
    lane.send([r#"{"id":"poison"}"#]);
    while lane.next().await.is_some() {}
    server.reaches(1).await;
    // The lane is back first; only then the server counts as being there.
    let _lane = Lane::connect(&*destination).await;
    server.reaches(2).await;
    destination.close().await;
}

#[tokio::test]
async fn connections_that_nobody_uses_are_evicted_down_to_min_idle() {
    let server = Recorder::start(&[]).await;
    let lines = [
        "pool.min-idle=2",
        "pool.time-between-eviction-runs-seconds=1",
        "pool.soft-min-evictable-idle-time-seconds=1",
        "pool.num-tests-per-eviction-run=10",
    ];
    let destination = destination(&server.url(), &lines);
    for lane in lanes(&*destination, 5).await {
        lane.release();
    }
    assert_eq!(server.connections().await, 5);
    server.reaches(2).await;
    destination.close().await;
}

#[tokio::test]
async fn an_idle_connection_keeps_answering_pings() {
    let server = Recorder::start(&["--ping-interval", "50", "--ping-timeout", "200"]).await;
    let destination = destination(&server.url(), &[]);
    let mut lane = Lane::connect(&*destination).await;
    send_one(&mut lane).await;
    lane.release();
    // Many times as long as the server would wait for a pong.
    let mut moments = interval(Duration::from_millis(50));
    for _ in 0..30 {
        moments.tick().await;
        assert_eq!(server.connections().await, 1);
    }
    send_one(&mut Lane::connect(&*destination).await).await;
    let sockets = sockets(&server).await;
    assert_eq!(sockets[0], sockets[1]);
}

#[tokio::test]
async fn a_dead_idle_connection_is_never_handed_out() {
    let server = Recorder::start(&[]).await;
    let port = server.port.to_string();
    let destination = destination(&server.url(), &[]);
    for lane in lanes(&*destination, 3).await {
        lane.release();
    }
    server.kill().await;
    assert_eq!(
        failure(&*destination).await.kind,
        ConnectFailureKind::Unreachable
    );
    let server = Recorder::start(&["--port", &port]).await;
    send_one(&mut Lane::connect(&*destination).await).await;
    assert_eq!(server.count().await, 1);
    destination.close().await;
}

#[tokio::test]
async fn an_idle_connection_that_does_not_answer_is_not_used_again() {
    let server = Recorder::start(&[]).await;
    let destination = destination(&server.url(), &["timeout-seconds=1"]);
    for lane in lanes(&*destination, 3).await {
        lane.release();
    }
    server.freeze().await;
    // One of them is asked; the others are not trusted either, and a new one comes not about.
    let failure = failure(&*destination).await;
    assert_eq!(
        failure.kind,
        ConnectFailureKind::Timeout,
        "{}",
        failure.message
    );
    assert!(
        failure
            .message
            .contains("waiting for the answer to the WebSocket upgrade")
    );
}

#[tokio::test]
async fn an_untested_connection_that_is_dead_says_so_at_once() {
    let server = Recorder::start(&[]).await;
    let destination = destination(&server.url(), &["pool.test-on-borrow=false"]);
    Lane::connect(&*destination).await.release();
    server.kill().await;
    // Its end may be noticed before or after it is lent.
    if let Ok(mut link) = destination.connect().await {
        let lost = link.events.recv().await;
        assert!(matches!(lost, Some(ConnectionEvent::Lost(_))), "{lost:?}");
        assert_eq!(link.events.recv().await, None);
    }
    assert_eq!(
        failure(&*destination).await.kind,
        ConnectFailureKind::Unreachable
    );
}

#[tokio::test]
async fn a_total_order_has_a_second_connection_for_replays_and_never_a_third() {
    let server = Recorder::start(&[]).await;
    let lines = ["ordering=total", "pool.min-idle=5", "timeout-seconds=1"];
    let destination = destination(&server.url(), &lines);
    assert_eq!(destination.max_connections(), 1);
    let live = Lane::connect(&*destination).await;
    let mut replays = Lane::connect(&*destination).await;
    let failure = failure(&*destination).await;
    assert!(
        failure
            .message
            .contains("no connection of the pool became free")
    );
    send_one(&mut replays).await;
    assert_eq!(server.connections().await, 2);
    // It is not kept beside the one that live events have.
    replays.release();
    server.reaches(1).await;
    live.release();
    Lane::connect(&*destination).await.close();
    destination.close().await;
}
