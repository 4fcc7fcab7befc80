//! The webhook over real connections.

mod disk;
mod fixture;

use std::io;

use kete_queue::Limits;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use self::fixture::{Fixture, bound, parse_reply, post, read_reply, settings, start, start_with};
use super::*;
use crate::testing::{Collector, Pipeline, ROOMY, only};

const LOGIN: &str = r#"{"id":"1","type":"LOGIN"}"#;
const LOGOUT: &str = r#"{"id":"2","type":"LOGOUT"}"#;

#[tokio::test]
async fn one_event_an_array_and_lines_are_taken() {
    let fixture = start(settings()).await;
    let bodies = [
        r#"{"id":"a","type":"LOGIN"}"#.to_owned(),
        r#"[{"id":"b","type":"LOGIN"},{"id":"c","type":"LOGIN"}]"#.to_owned(),
        "{\"id\":\"d\",\"type\":\"LOGIN\"}\n{\"id\":\"e\",\"type\":\"LOGIN\"}\n".to_owned(),
        r#"{"type":"system.TEST","uid":"f"}"#.to_owned(),
    ];
    for (body, (accepted, ignored)) in bodies.iter().zip([(1, 0), (2, 0), (2, 0), (0, 1)]) {
        let reply = fixture.post(body).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(
            reply.body,
            json!({ "accepted": accepted, "ignored": ignored })
        );
        assert!(reply.head.contains("content-type: application/json"));
    }
    assert_eq!(fixture.pipeline.collected.ids(), ["a", "b", "c", "d", "e"]);
    assert_eq!(fixture.pipeline.telemetry().bad.get(), 0);
    assert!(fixture.stopped().await.is_success());
}

#[tokio::test]
async fn a_body_is_taken_whole_or_not_at_all() {
    let fixture = start(settings()).await;
    let reply = fixture
        .post(format!("{LOGIN}\n{{\"type\":5}}\n{LOGOUT}"))
        .await;
    assert_eq!(reply.status, 400);
    let error = reply.body["error"].as_str().unwrap();
    assert!(
        error.starts_with("event 2, which begins on line 2: type at"),
        "{error}"
    );
    assert_eq!(fixture.post(format!("[{LOGIN},{LOGOUT}")).await.status, 400);
    assert_eq!(fixture.post("").await.status, 400);
    assert_eq!(fixture.post(b"\xff").await.status, 400);
    assert_eq!(fixture.post("[".repeat(10_000)).await.status, 400);
    assert_eq!(fixture.post(LOGOUT).await.status, 200);
    assert_eq!(fixture.pipeline.collected.ids(), ["2"]);
    assert_eq!(fixture.pipeline.telemetry().bad.get(), 5);
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_not_taken() {
    let fixture = start(settings()).await;
    let request = post(LOGIN);
    let mut stream = fixture.connect().await;
    stream
        .write_all(&request[..request.len() - 1])
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let _reset = stream.read_to_end(&mut rest).await;
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    assert_eq!(fixture.post(LOGOUT).await.status, 200);
    assert_eq!(fixture.pipeline.collected.ids(), ["2"]);
}

#[tokio::test]
async fn chunks_and_a_sender_that_asks_first_are_fine() {
    let fixture = start(settings()).await;
    let (first, second) = LOGIN.split_at(7);
    let chunked = format!(
        "POST /events HTTP/1.1\r\nHost: kete\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    );
    assert_eq!(fixture.exchange(chunked).await.status, 200);
    let asking = |length: usize| {
        format!(
            "POST /events HTTP/1.1\r\nHost: kete\r\nConnection: close\r\n\
             Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut stream = fixture.connect().await;
    stream
        .write_all(asking(LOGOUT.len()).as_bytes())
        .await
        .unwrap();
    let mut go_ahead = [0; 25];
    stream.read_exact(&mut go_ahead).await.unwrap();
    assert_eq!(&go_ahead, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(LOGOUT.as_bytes()).await.unwrap();
    assert_eq!(read_reply(&mut stream).await.status, 200);
    assert_eq!(
        fixture.exchange(asking(2 << 20)).await.status,
        413,
        "without the body"
    );
    assert_eq!(fixture.pipeline.collected.ids(), ["1", "2"]);
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let fixture = start(settings()).await;
    let ask = |line: &str| format!("{line} HTTP/1.1\r\nHost: kete\r\nConnection: close\r\n\r\n");
    let reply = fixture.exchange(ask("GET /events")).await;
    assert_eq!(reply.status, 405);
    assert!(reply.head.contains("allow: post"), "{reply:?}");
    assert!(reply.body["error"].is_string());
    for path in ["/", "/events/", "/event"] {
        assert_eq!(
            fixture.exchange(ask(&format!("POST {path}"))).await.status,
            404,
            "{path}"
        );
    }
    assert_eq!(
        fixture.exchange(ask("POST /events?x=1")).await.status,
        400,
        "an empty body"
    );
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    let mut stream = fixture.connect().await;
    let _reset = stream.write_all(long.as_bytes()).await;
    let mut rest = Vec::new();
    let _reset = stream.read_to_end(&mut rest).await;
    assert!(
        !rest.starts_with(b"HTTP/1.1 2"),
        "a head of any size must not be held"
    );
    assert_eq!(fixture.pipeline.telemetry().bad.get(), 1);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_however_it_comes() {
    let fixture = start(Settings {
        max_body_size: 1000,
        ..settings()
    })
    .await;
    let large = format!("[{}{LOGIN}]", " ".repeat(2000));
    let reply = fixture.post(&large).await;
    assert_eq!(reply.status, 413);
    assert!(
        reply.body["error"]
            .as_str()
            .unwrap()
            .contains("1000B (max-body-size)")
    );
    let chunked = format!(
        "POST /events HTTP/1.1\r\nHost: kete\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
        large.len(),
    );
    assert_eq!(fixture.exchange(chunked).await.status, 413);
    assert_eq!(fixture.pipeline.telemetry().bad.get(), 2);
    let fits = format!("{LOGIN}{}", " ".repeat(1000 - LOGIN.len()));
    assert_eq!(fixture.post(fits).await.status, 200);
}

#[tokio::test]
async fn a_body_that_can_never_fit_into_the_queue_is_too_large_too() {
    let limits = Limits {
        max_events: 2,
        ..ROOMY
    };
    let collected = Collector::confirming();
    let fixture = start_with(settings(), Bounds::default(), limits, collected).await;
    let three = format!("{LOGIN}\n{LOGOUT}\n{}", r#"{"id":"3","type":"LOGIN"}"#);
    let reply = fixture.post(three).await;
    assert_eq!(reply.status, 413, "{reply:?}");
    assert_eq!(fixture.post(format!("{LOGIN}{LOGOUT}")).await.status, 200);
    assert_eq!(fixture.pipeline.collected.ids(), ["1", "2"]);
}

#[tokio::test]
async fn a_full_queue_sends_the_sender_away_for_a_while() {
    let limits = Limits {
        max_events: 1,
        ..ROOMY
    };
    let collected = Collector::holding();
    let queued = Settings {
        respond_when: RespondWhen::Queued,
        ..settings()
    };
    let fixture = start_with(queued, Bounds::default(), limits, collected).await;
    assert_eq!(fixture.post(LOGIN).await.status, 200, "queued is enough");
    let reply = fixture.post(LOGOUT).await;
    assert_eq!(reply.status, 503);
    assert!(reply.head.contains("retry-after: "), "{reply:?}");
    assert_eq!(fixture.pipeline.telemetry().refused.get(), 1);
    fixture.pipeline.collected.release();
    fixture.pipeline.collected.events(1).await;
    while fixture.post(LOGOUT).await.status != 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.pipeline.collected.events(2).await.len(), 2);
}

#[tokio::test]
async fn the_answer_waits_until_the_events_are_safe() {
    let collected = Collector::holding();
    let fixture = start_with(settings(), Bounds::default(), ROOMY, collected).await;
    let mut stream = fixture.connect().await;
    stream.write_all(&post(LOGIN)).await.unwrap();
    fixture.pipeline.collected.events(1).await;
    let early = stream.try_read(&mut [0; 1]).unwrap_err();
    assert_eq!(
        early.kind(),
        io::ErrorKind::WouldBlock,
        "delivered is not confirmed"
    );
    // A repeat waits like the first, and is not taken twice.
    let mut repeat = fixture.connect().await;
    repeat.write_all(&post(LOGIN)).await.unwrap();
    fixture.pipeline.collected.release();
    assert_eq!(read_reply(&mut stream).await.status, 200);
    assert_eq!(read_reply(&mut repeat).await.status, 200);
    assert_eq!(fixture.pipeline.collected.ids(), ["1"]);
    assert_eq!(fixture.pipeline.telemetry().repeated.get(), 1);
}

#[tokio::test]
async fn events_that_are_not_safe_in_time_stay_queued() {
    let collected = Collector::holding();
    let hasty = Settings {
        respond_timeout: Duration::from_millis(1),
        ..settings()
    };
    let fixture = start_with(hasty, Bounds::default(), ROOMY, collected).await;
    let reply = fixture.post(LOGIN).await;
    assert_eq!(reply.status, 503);
    assert!(reply.head.contains("retry-after: "));
    assert!(
        reply.body["error"]
            .as_str()
            .unwrap()
            .contains("queued, but not safe yet")
    );
    fixture.pipeline.collected.events(1).await;
    fixture.pipeline.collected.release();
    while fixture.post(LOGIN).await.status != 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.pipeline.collected.ids(), ["1"]);
}

#[tokio::test]
async fn while_the_pipeline_drains_senders_get_an_answer_and_no_closed_port() {
    let collected = Collector::holding();
    let mut fixture = start_with(settings(), Bounds::default(), ROOMY, collected.clone()).await;
    let mut waiting = fixture.connect().await;
    waiting.write_all(&post(LOGIN)).await.unwrap();
    collected.events(1).await;
    fixture.pipeline.ask_to_stop();
    fixture.pipeline.stop.requested().await;
    let reply = fixture.post(LOGOUT).await;
    assert_eq!(
        (reply.status, &reply.body["error"]),
        (503, &json!("kete is stopping"))
    );
    collected.release();
    assert_eq!(
        read_reply(&mut waiting).await.status,
        200,
        "it was settled before the end"
    );
    let address = fixture.address;
    assert!(fixture.stopped().await.is_success());
    assert!(
        TcpStream::connect(address).await.is_err(),
        "the port is free again"
    );
    assert_eq!(collected.ids(), ["1"]);
}

#[tokio::test]
async fn slow_senders_are_cut_off() {
    let short = Duration::from_millis(50);
    let bounds = Bounds {
        head: short,
        body_idle: short,
        ..Bounds::default()
    };
    let fixture = start_with(settings(), bounds, ROOMY, Collector::confirming()).await;
    let mut silent = fixture.connect().await;
    assert_eq!(
        read_reply(&mut silent).await.status,
        0,
        "closed without a request"
    );
    let mut half = fixture.connect().await;
    half.write_all(b"POST /events HTTP/1.1\r\nHost:")
        .await
        .unwrap();
    assert_ne!(read_reply(&mut half).await.status, 200);
    let request = post(LOGIN);
    let reply = fixture.exchange(&request[..request.len() - 1]).await;
    assert_eq!(reply.status, 408, "{reply:?}");
    let bounds = Bounds {
        body_whole: short,
        ..Bounds::default()
    };
    let fixture = start_with(settings(), bounds, ROOMY, Collector::confirming()).await;
    assert_eq!(
        fixture.exchange(&request[..request.len() - 1]).await.status,
        408
    );
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_their_turn() {
    let bounds = Bounds {
        connections: 1,
        ..Bounds::default()
    };
    let fixture = start_with(settings(), bounds, ROOMY, Collector::confirming()).await;
    let mut first = fixture.connect().await;
    let request = post(LOGIN);
    let (head, tail) = request.split_at(request.len() - 1);
    first.write_all(head).await.unwrap();
    let mut second = fixture.connect().await;
    second.write_all(&post(LOGOUT)).await.unwrap();
    first.write_all(tail).await.unwrap();
    assert_eq!(read_reply(&mut first).await.status, 200);
    assert_eq!(read_reply(&mut second).await.status, 200);
    assert_eq!(fixture.pipeline.collected.ids(), ["1", "2"]);
}

#[tokio::test]
async fn a_connection_carries_one_request_after_the_other() {
    let fixture = start(settings()).await;
    let mut stream = fixture.connect().await;
    for id in 0..3 {
        let body = format!(r#"{{"id":"{id}","type":"LOGIN"}}"#);
        let length = body.len();
        let request = format!(
            "POST /events HTTP/1.1\r\nHost: kete\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        while !reply.ends_with(b"}") {
            assert_ne!(
                stream.read_buf(&mut reply).await.unwrap(),
                0,
                "it must stay open"
            );
        }
        assert_eq!(parse_reply(&reply).status, 200);
    }
    assert_eq!(fixture.pipeline.collected.ids(), ["0", "1", "2"]);
}

#[tokio::test]
async fn an_event_that_no_route_wants_counts_as_accepted() {
    let webhook = bound(settings()).await;
    let address = webhook.listener.local_addr().unwrap();
    let collected = Collector::confirming();
    let pipeline = Pipeline::with(webhook, false, ROOMY, collected, only("LOGOUT"));
    let fixture = Fixture { pipeline, address };
    let reply = fixture.post(LOGIN).await;
    assert_eq!((reply.status, &reply.body["accepted"]), (200, &json!(1)));
    assert_eq!(fixture.pipeline.telemetry().unrouted.get(), 1);
}

#[tokio::test]
async fn realms_get_their_names_and_secrets_do_not_pass() {
    let fixture = start(settings()).await;
    let body = r#"{"type":"admin.USER-CREATE","operationType":"CREATE","resourceType":"USER",
        "realmId":"i","representation":"{\"credentials\":[{\"value\":\"hunter2\"}]}"}"#;
    assert_eq!(fixture.post(body).await.status, 200);
    let event = fixture.pipeline.collected.so_far().remove(0);
    assert!(!event.to_string().contains("hunter2"), "{event}");
    assert!(event["id"].is_string());
    assert_eq!(event["realmName"], "shop");
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bind = taken.local_addr().unwrap();
    let plan = Plan {
        name: Arc::from("hook"),
        settings: Settings { bind, ..settings() },
    };
    let error = Box::new(plan).build().await.err().unwrap().to_string();
    assert!(
        error.starts_with(&format!("source hook: cannot listen on {bind}: ")),
        "{error}"
    );
    assert!(error.contains("kete.sources.hook.bind"), "{error}");
}
