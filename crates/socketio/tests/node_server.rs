//! The client against a real socket.io 4 server on Node.
//!
//! Every test has a server of its own, on a port of its own. Node and npm have to be there: without
//! them the tests fail, for a test that is skipped proves nothing. The npm packages are installed
//! by the first test that finds them missing.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what tests share fails by panicking"
)]

use std::{path::Path, process::Stdio, time::Duration};

use kete_socketio::{
    BarrierKind, CloseReason, ConnectError, Emit, EventName, MaxPayload, Notification, Options,
    Receiver, Sender, Stage, connect,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::OnceCell,
};

/// The server process; it ends with this value.
struct Node {
    child: Child,
    port: u16,
    _stdin: ChildStdin,
}

impl Node {
    async fn start(options: Value) -> Node {
        Node::start_with(&[options.to_string()]).await
    }

    async fn start_with(arguments: &[String]) -> Node {
        let directory = installed().await;
        let mut child = Command::new("node")
            .current_dir(directory)
            .arg("server.mjs")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node has to be installed");
        let _stdin = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines
            .next_line()
            .await
            .unwrap()
            .expect("the server prints its port");
        Node {
            child,
            port: line.parse().unwrap(),
            _stdin,
        }
    }

    fn options(&self) -> Options {
        Options::new(format!("http://127.0.0.1:{}", self.port).parse().unwrap())
    }

    async fn connect(&self) -> (Sender, Receiver) {
        connect(&self.options()).await.unwrap()
    }

    /// How many events the handlers of the server were called for, asked over another connection.
    async fn handled(&self) -> u64 {
        let (sender, mut receiver) = self.connect().await;
        ask(&sender, &mut receiver, "report").await["handled"]
            .as_u64()
            .unwrap()
    }

    /// Stops the process without ending it, as a hung server would.
    async fn freeze(&self) {
        let pid = self.child.id().unwrap().to_string();
        let status = Command::new("kill")
            .args(["-STOP", &pid])
            .status()
            .await
            .unwrap();
        assert!(status.success());
    }
}

/// The directory of the server, with its packages in place.
async fn installed() -> &'static Path {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node"));
    let install = || async {
        // npm writes this file when everything else is in place.
        if directory.join("node_modules/.package-lock.json").exists() {
            return;
        }
        let npm = Command::new("npm")
            .arg("ci")
            .current_dir(directory)
            .output()
            .await;
        let output = npm.expect("npm has to be installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "npm ci failed: {said}");
    };
    INSTALLED.get_or_init(install).await;
    directory
}

fn emit(name: &str, payload: &str, ack: Option<u32>) -> Emit {
    let name = EventName::new(name).unwrap();
    Emit {
        name,
        payload: payload.to_owned().into(),
        ack,
    }
}

/// An event whose packet has 600 bytes.
fn event(number: usize) -> Emit {
    let around = r#"42["event",{"number":1000000,"filler":""}]"#.len();
    let filler = "x".repeat(600 - around);
    let number = 1_000_000 + number;
    emit(
        "event",
        &json!({ "number": number, "filler": filler }).to_string(),
        None,
    )
}

fn burst(size: usize) -> Vec<Emit> {
    (0..size).map(event).collect()
}

async fn next(receiver: &mut Receiver) -> Notification {
    let waiting = tokio::time::timeout(Duration::from_secs(30), receiver.next());
    waiting
        .await
        .expect("the server answers")
        .expect("the connection has not ended")
}

async fn end(receiver: &mut Receiver) -> CloseReason {
    loop {
        if let Notification::Closed(reason) = next(receiver).await {
            return reason;
        }
    }
}

/// Sends an event and gives back the first argument of its acknowledgement.
async fn ask(sender: &Sender, receiver: &mut Receiver, name: &str) -> Value {
    sender
        .send(vec![emit(name, "null", Some(1_000_000))])
        .unwrap();
    loop {
        if let Notification::Ack {
            id: 1_000_000,
            payload,
        } = next(receiver).await
        {
            return serde_json::from_slice::<Vec<Value>>(&payload)
                .unwrap()
                .remove(0);
        }
    }
}

#[tokio::test]
async fn a_barrier_is_answered_when_the_server_has_read_everything_before_it() {
    let arguments = ["{}", "."].map(str::to_owned);
    let (plain, welcoming) = tokio::join!(Node::start(json!({})), Node::start_with(&arguments));
    for (node, kind) in [
        (&plain, BarrierKind::Ping),
        (&plain, BarrierKind::Namespace),
        (&welcoming, BarrierKind::Namespace),
    ] {
        let before = node.handled().await;
        let (sender, mut receiver) = node.connect().await;
        for number in 1..=4 {
            sender.send(burst(500)).unwrap();
            sender.barrier(kind, number).unwrap();
        }
        loop {
            match next(&mut receiver).await {
                Notification::Barrier(4) => break,
                Notification::Barrier(_) => {}
                other => panic!("{kind:?}: {other:?}"),
            }
        }
        sender.abort();
        assert_eq!(node.handled().await - before, 2000, "{kind:?}");
    }
}

#[tokio::test]
async fn every_event_that_asks_for_it_is_acknowledged_by_the_handler() {
    let node = Node::start(json!({})).await;
    let (sender, mut receiver) = node.connect().await;
    let acked = |id: u32| Emit {
        ack: Some(id),
        ..event(0)
    };
    let highest = Emit::ACK_LIMIT - 1;
    let ids: Vec<u32> = (0..999).chain([highest]).collect();
    sender
        .send(ids.iter().map(|id| acked(*id)).collect())
        .unwrap();
    for (position, expected) in ids.iter().enumerate() {
        let Notification::Ack { id, payload } = next(&mut receiver).await else {
            panic!("no acknowledgement")
        };
        assert_eq!(id, *expected);
        assert_eq!(payload, format!(r#"[{{"handled":{}}}]"#, position + 1));
    }
}

#[tokio::test]
async fn a_graceful_close_loses_none_of_a_burst() {
    let node = Node::start(json!({})).await;
    let (sender, mut receiver) = node.connect().await;
    sender.send(burst(1000)).unwrap();
    sender.close();
    let reason = end(&mut receiver).await;
    assert!(
        matches!(reason, CloseReason::Requested { answered: true }),
        "{reason:?}"
    );
    assert_eq!(node.handled().await, 1000);
}

#[tokio::test]
async fn the_server_sees_the_auth_payload_the_headers_and_the_query() {
    let node = Node::start(json!({})).await;
    let mut options = node.options();
    options.namespace = "/guarded".to_owned();
    options.auth = Some(r#"{"token":"right","extra":[1]}"#.into());
    options
        .headers
        .insert("X-Api-Key", "k\u{e9}y".parse().unwrap());
    options.query = vec![("tenant".to_owned(), "a&b".to_owned())];
    let (sender, mut receiver) = connect(&options).await.unwrap();
    let seen = ask(&sender, &mut receiver, "handshake").await;
    assert_eq!(seen["auth"], json!({ "token": "right", "extra": [1] }));
    assert_eq!(seen["query"]["tenant"], "a&b");
    assert_eq!(seen["origin"], Value::Null);
    assert!(seen["key"].as_str().unwrap().starts_with('k'), "{seen}");
    assert_eq!(sender.handshake().max_payload, Some(1_000_000));
    assert_eq!(sender.handshake().ping_interval, Duration::from_secs(25));
}

#[tokio::test]
async fn a_refused_namespace_tells_what_the_server_said() {
    let node = Node::start(json!({})).await;
    let cases = [
        ("/nowhere", r#"{"message":"Invalid namespace"}"#),
        ("/guarded", r#"{"message":"wrong token","data":{"code":7}}"#),
    ];
    for (name, expected) in cases {
        let mut options = node.options();
        options.namespace = name.to_owned();
        let error = connect(&options).await.unwrap_err();
        assert!(
            matches!(&error, ConnectError::Refused { namespace, payload }
                if namespace == name && payload.as_str() == expected),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_wrong_path_and_a_missing_slash_are_pointed_at() {
    let node = Node::start(json!({})).await;
    for path in ["/elsewhere/", "/socket.io"] {
        let mut options = node.options();
        options.path = path.to_owned();
        options.connect_timeout = Duration::from_secs(5);
        let error = connect(&options).await.unwrap_err();
        assert_eq!(error.stage(), Some(Stage::Upgrade), "{path}: {error:?}");
        assert!(
            error.to_string().contains("usually /socket.io/"),
            "{path}: {error}"
        );
    }
}

#[tokio::test]
async fn a_packet_too_large_is_refused_here_and_closes_the_connection_there() {
    let node = Node::start(json!({ "maxHttpBufferSize": 1000 })).await;
    let (sender, mut receiver) = node.connect().await;
    let fitting = emit("event", &format!("\"{}\"", "x".repeat(1000 - 14)), None);
    let too_large = emit("event", &format!("\"{}\"", "x".repeat(1000 - 13)), None);
    assert_eq!(sender.fits(&fitting), Ok(()));
    let refused = sender.fits(&too_large).unwrap_err();
    assert_eq!((refused.size, refused.limit), (1001, 1000));
    sender.send(vec![fitting]).unwrap();
    sender.barrier(BarrierKind::Ping, 1).unwrap();
    assert!(matches!(
        next(&mut receiver).await,
        Notification::Barrier(1)
    ));
    assert_eq!(node.handled().await, 1);

    let mut options = node.options();
    options.max_payload = MaxPayload::Off;
    let (sender, mut receiver) = connect(&options).await.unwrap();
    assert_eq!(sender.fits(&too_large), Ok(()));
    sender.send(vec![too_large]).unwrap();
    let reason = end(&mut receiver).await;
    assert!(matches!(reason, CloseReason::TooBig { .. }), "{reason:?}");
}

#[tokio::test]
async fn a_frozen_server_is_noticed_by_its_missing_pings_under_load() {
    let node = Node::start(json!({ "pingInterval": 300, "pingTimeout": 700 })).await;
    let (sender, mut receiver) = node.connect().await;
    sender.send(burst(100)).unwrap();
    sender.barrier(BarrierKind::Ping, 1).unwrap();
    assert!(matches!(
        next(&mut receiver).await,
        Notification::Barrier(1)
    ));
    node.freeze().await;
    // More than the buffers of both sides hold, so that writing hangs.
    sender.send(burst(50_000)).unwrap();
    sender.barrier(BarrierKind::Ping, 2).unwrap();
    let reason = end(&mut receiver).await;
    assert!(
        matches!(reason, CloseReason::Silent { limit } if limit == Duration::from_secs(1)),
        "{reason:?}"
    );
}

#[tokio::test]
async fn pings_are_answered_so_that_an_idle_connection_stays() {
    let node = Node::start(json!({ "pingInterval": 50, "pingTimeout": 5000 })).await;
    let (sender, mut receiver) = node.connect().await;
    assert_eq!(
        ask(&sender, &mut receiver, "after three pongs").await,
        "three pongs came"
    );
}

#[tokio::test]
async fn a_question_of_the_server_is_answered() {
    let node = Node::start(json!({})).await;
    let (sender, mut receiver) = node.connect().await;
    let answer = ask(&sender, &mut receiver, "ask me").await;
    assert_eq!(answer, json!({}), "the acknowledgement has no arguments");
}

#[tokio::test]
async fn being_kicked_and_a_server_that_stops_are_told_apart() {
    let node = Node::start(json!({})).await;
    let (sender, mut receiver) = node.connect().await;
    sender.send(vec![emit("kick", "", None)]).unwrap();
    let reason = end(&mut receiver).await;
    assert!(matches!(reason, CloseReason::Disconnected), "{reason:?}");

    let (sender, mut receiver) = node.connect().await;
    sender.send(vec![emit("stop", "", None)]).unwrap();
    let reason = end(&mut receiver).await;
    let stopped = matches!(
        reason,
        CloseReason::Disconnected | CloseReason::ServerClosed { .. }
    );
    assert!(stopped, "{reason:?}");
}
