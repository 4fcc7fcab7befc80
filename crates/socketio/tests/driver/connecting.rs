//! Everything that goes wrong before a connection is ready, and what the error says.

use std::time::Duration;

use kete_socketio::{CloseReason, ConnectError, Stage, UpgradeFault};
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

use crate::fake::{Http, OPEN, Server, attempt, options, pair};

async fn answered(answer: &'static str) -> ConnectError {
    attempt(&options(), async |mut http: Http| {
        http.request().await;
        http.write(answer).await;
        http
    })
    .await
}

/// An attempt against a server that opens the session and then says this.
async fn after_open(packet: &'static str) -> ConnectError {
    attempt(&options(), async |http: Http| {
        let mut server = http.websocket().await;
        server.say(OPEN).await;
        server.hear_text().await;
        server.say(packet).await;
        server
    })
    .await
}

/// An attempt against a server whose first packet is this.
async fn first_packet(packet: &'static str) -> ConnectError {
    attempt(&options(), async |http: Http| {
        let mut server = http.websocket().await;
        server.say(packet).await;
        server
    })
    .await
}

#[tokio::test]
async fn the_request_has_the_query_and_the_headers_and_no_origin() {
    let mut options = options();
    options.query = vec![("token".to_owned(), "t".to_owned())];
    options
        .headers
        .insert("x-api-key", "secret".parse().unwrap());
    let (client, mut http) = pair(1024);
    let connecting = kete_socketio::connect_over(client, &options);
    let request = tokio::select! {
        _ = connecting => panic!("nobody answered"),
        request = http.request() => request,
    };
    let lines: Vec<&str> = request.lines().collect();
    assert_eq!(
        lines[0],
        "GET /socket.io/?EIO=4&transport=websocket&token=t HTTP/1.1"
    );
    assert!(lines.contains(&"Host: fake.test"), "{request}");
    assert!(lines.contains(&"x-api-key: secret"), "{request}");
    assert!(lines.contains(&"Sec-WebSocket-Version: 13"), "{request}");
    let lower = request.to_ascii_lowercase();
    assert!(
        !lower.contains("origin") && !lower.contains("extensions"),
        "{request}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_http_status_is_reported_with_its_body_and_what_it_means() {
    let cases = [
        (
            "401 Unauthorized",
            "token expired",
            "credentials were refused",
            true,
        ),
        ("403 Forbidden", "no", "credentials were refused", true),
        (
            "404 Not Found",
            "Cannot GET /x",
            "/socket.io/ with the slash",
            false,
        ),
        (
            "503 Service Unavailable",
            "no upstream",
            "trying again may help",
            false,
        ),
        (
            "200 OK",
            "<html>hello</html>",
            "answers like a web page",
            false,
        ),
        (
            "400 Bad Request",
            r#"{"code":0,"message":"Transport unknown"}"#,
            "websocket",
            false,
        ),
    ];
    for (status, body, meaning, auth) in cases {
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let error = answered(answer.leak()).await;
        let shown = error.to_string();
        assert!(shown.contains(status) && shown.contains(meaning), "{shown}");
        assert!(shown.ends_with(body), "{shown}");
        assert_eq!(error.is_auth(), auth, "{shown}");
        assert_eq!(error.stage(), Some(Stage::Upgrade));
    }
}

#[tokio::test]
async fn a_body_that_comes_late_is_waited_for() {
    let error = attempt(&options(), async |mut http: Http| {
        http.request().await;
        http.write("HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
        tokio::task::yield_now().await;
        http.write("7\r\nno \x1b[0m\r\n0\r\n\r\n").await;
    })
    .await;
    assert!(
        error.to_string().ends_with(r"it said: no \u{1b}[0m"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_endless_body_is_cut() {
    let body = "x".repeat(20_000);
    let error = answered(format!("HTTP/1.1 500 Oops\r\n\r\n{body}").leak()).await;
    assert!(error.to_string().ends_with("x ... (cut)"), "{error}");
    assert!(error.to_string().len() < 700, "{error}");
}

#[tokio::test]
async fn a_redirect_names_where_to_go() {
    let error =
        answered("HTTP/1.1 301 Moved\r\nLocation: https://b.test/\r\nContent-Length: 0\r\n\r\n");
    let shown = error.await.to_string();
    assert!(
        shown.ends_with("use the address that it redirects to, https://b.test/"),
        "{shown}"
    );
}

#[tokio::test]
async fn an_answer_that_is_no_upgrade_is_told_apart() {
    let not_http = answered("220 mail.test ESMTP\r\n").await;
    assert!(
        matches!(&not_http, ConnectError::Upgrade { fault: UpgradeFault::NotHttp { received } }
            if received.as_str() == "220 mail.test ESMTP"),
        "{not_http:?}"
    );
    let wrong_key = "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: AAAA\r\n\r\n";
    for (answer, header) in [
        ("HTTP/1.1 101 OK\r\n\r\n", "Upgrade"),
        (
            "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n\r\n",
            "Connection",
        ),
        (wrong_key, "Sec-WebSocket-Accept"),
    ] {
        let error = answered(answer).await;
        assert!(
            matches!(error, ConnectError::Upgrade { fault: UpgradeFault::Header(name) } if name == header),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn an_endless_header_is_refused() {
    let error = attempt(&options(), async |mut http: Http| {
        http.request().await;
        let line = format!("X: {}\r\n", "x".repeat(60_000));
        http.write(&format!("HTTP/1.1 101 OK\r\n{line}{line}"))
            .await;
    })
    .await;
    assert!(
        matches!(
            error,
            ConnectError::Upgrade {
                fault: UpgradeFault::HeadTooLong
            }
        ),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn raw_http_behind_the_upgrade_means_another_engine_io_version() {
    let error = attempt(&options(), async |mut http: Http| {
        http.switch_protocols().await;
        http.write("HT").await;
        tokio::task::yield_now().await;
        http.write("TP/1.1 400 Bad Request\r\n\r\n{\"code\":5}")
            .await;
        http
    })
    .await;
    assert!(
        matches!(error, ConnectError::HttpAfterUpgrade { .. }),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .contains(r#"Engine.IO 4: HTTP/1.1 400 Bad Request\r\n"#),
        "{error}"
    );
    assert_eq!(error.stage(), Some(Stage::OpenPacket));
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_deadline_and_names_the_stage() {
    let mut options = options();
    options.connect_timeout = Duration::from_secs(3);
    let before_http = attempt(&options, async |http: Http| http).await;
    let before_open = attempt(&options, async |mut http: Http| {
        http.switch_protocols().await;
        http
    });
    let before_open = before_open.await;
    let before_joined = attempt(&options, async |http: Http| {
        let mut server = http.websocket().await;
        server.say(OPEN).await;
        server
    });
    let stages = [
        (before_http, Stage::Upgrade),
        (before_open, Stage::OpenPacket),
        (before_joined.await, Stage::Namespace),
    ];
    for (error, expected) in stages {
        assert!(
            matches!(error, ConnectError::TimedOut { stage, limit }
                if stage == expected && limit == options.connect_timeout),
            "{error:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_pings_but_never_joins_does_not_extend_the_deadline() {
    let started = tokio::time::Instant::now();
    let error = attempt(&options(), async |http: Http| {
        let mut server = http.websocket().await;
        server.say(OPEN).await;
        server.hear_text().await;
        for _ in 0..30 {
            server.say("2").await;
            assert_eq!(server.hear_text().await, "3");
            tokio::time::advance(Duration::from_secs(1)).await;
            if started.elapsed() >= Duration::from_secs(20) {
                break;
            }
        }
        server
    })
    .await;
    assert!(
        matches!(
            error,
            ConnectError::TimedOut {
                stage: Stage::Namespace,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_first_packet_that_is_no_open_packet_is_quoted() {
    for garbage in ["hello", "0{}", r#"{"type":"welcome"}"#, "2"] {
        let error = first_packet(garbage).await;
        assert!(
            matches!(&error, ConnectError::NotEngineIo { received } if received.as_str() == garbage),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn bytes_that_are_no_websocket_are_a_protocol_fault() {
    let error = attempt(&options(), async |mut http: Http| {
        http.switch_protocols().await;
        http.write("\x7f\x7fgarbage garbage").await;
    })
    .await;
    let ConnectError::Closed {
        stage: Stage::OpenPacket,
        reason,
    } = error
    else {
        panic!("{error:?}")
    };
    assert!(matches!(*reason, CloseReason::Protocol(_)), "{reason:?}");
}

#[tokio::test]
async fn a_refused_namespace_carries_what_the_server_said() {
    for payload in [
        r#"44"Invalid namespace""#,
        r#"44{"message":"no","data":{"code":7}}"#,
    ] {
        let error = after_open(payload).await;
        assert!(
            matches!(&error, ConnectError::Refused { namespace, payload: said }
                if namespace == "/" && said.as_str() == &payload[2..]),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn engine_io_3_is_recognised_by_its_bare_connect() {
    let error = after_open("40").await;
    assert!(matches!(error, ConnectError::EngineIo3), "{error:?}");
}

#[tokio::test]
async fn pings_events_and_unknown_packets_before_the_connect_reply_are_no_obstacle() {
    let (client, http) = pair(1024);
    let server = async {
        let mut server = http.websocket().await;
        server.say(OPEN).await;
        assert_eq!(server.hear_text().await, r#"40/a,{"t":1}"#);
        for packet in ["2", r#"42["missed"]"#, "9", "", r#"42/a,["missed"]"#] {
            server.say(packet).await;
        }
        let binary = Message::binary(vec![1, 2, 3]);
        futures_util::SinkExt::send(&mut server.socket, binary)
            .await
            .unwrap();
        assert_eq!(server.hear_text().await, "3");
        server.say(r#"40/a,{"sid":"s","pid":"p"}"#).await;
        server
    };
    let mut options = options();
    options.namespace = "/a".to_owned();
    options.auth = Some(r#"{"t":1}"#.into());
    let (connected, _server): (_, Server) =
        tokio::join!(kete_socketio::connect_over(client, &options), server);
    let (sender, _receiver) = connected.unwrap();
    assert_eq!(sender.handshake().namespace_sid.as_deref(), Some("s"));
    assert_eq!(sender.handshake().max_payload, Some(100));
}

#[tokio::test]
async fn a_close_before_the_namespace_is_joined_tells_code_and_stage() {
    let error = attempt(&options(), async |http: Http| {
        let mut server = http.websocket().await;
        server.say(OPEN).await;
        server.hear_text().await;
        let frame = CloseFrame {
            code: 4003.into(),
            reason: "go away".into(),
        };
        server.socket.close(Some(frame)).await.unwrap();
        server
    })
    .await;
    let shown = error.to_string();
    assert!(
        shown.contains("Socket.IO CONNECT") && shown.ends_with("4003; it said: go away"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_connection_that_drops_names_the_stage() {
    let error = attempt(&options(), async |mut http: Http| {
        drop(http.request().await)
    })
    .await;
    assert!(
        matches!(
            error,
            ConnectError::Closed {
                stage: Stage::Upgrade,
                ..
            }
        ),
        "{error:?}"
    );
    let error = attempt(&options(), async |mut http: Http| {
        http.switch_protocols().await;
    })
    .await;
    assert!(
        matches!(
            error,
            ConnectError::Closed {
                stage: Stage::OpenPacket,
                ..
            }
        ),
        "{error:?}"
    );
}
