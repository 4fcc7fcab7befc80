//! What is said when no connection comes about, and what leads to one.

use kete_pipeline::{ConnectFailureKind, ConnectionEvent};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::recorder::{PATIENCE, Recorder};
use crate::route::{Lane, destination, failure};

#[tokio::test]
async fn a_refused_namespace_is_named() {
    let server = Recorder::start(&[]).await;
    let failure = failure(&*destination(&server.url(), &["namespace=/nobody"])).await;
    assert_eq!(failure.kind, ConnectFailureKind::Rejected);
    let url = server.url();
    assert_eq!(
        failure.message,
        format!(
            "{url} namespace /nobody: the server refused the namespace /nobody: \
             {{\"message\":\"Invalid namespace\"}}; check namespace, then auth.<KEY> and \
             headers.Authorization"
        )
    );
}

#[tokio::test]
async fn events_go_to_the_namespace_and_path_that_were_asked_for() {
    let server = Recorder::start(&["--namespaces", "/keycloak", "--path", "/ws/"]).await;
    let destination = destination(&server.url(), &["namespace=keycloak", "path=/ws"]);
    let mut lane = Lane::connect(&*destination).await;
    let last = lane.send([r#"{"id":"1"}"#]);
    lane.confirmed(last).await;
    assert_eq!(server.events().await[0]["namespace"], "/keycloak");
}

#[tokio::test]
async fn refused_credentials_are_told_apart_and_never_shown() {
    for status in ["401", "403"] {
        let server = Recorder::start(&["--token", "right", "--token-check", status]).await;
        let wrong = destination(
            &server.url(),
            &["headers.Authorization=Bearer wrong-secret"],
        );
        let failure = failure(&*wrong).await;
        assert_eq!(failure.kind, ConnectFailureKind::Unauthorized);
        assert!(failure.message.contains(status), "{}", failure.message);
        assert!(
            failure.message.contains("the token is missing or wrong"),
            "{}",
            failure.message
        );
        assert!(
            failure.message.contains("check headers.Authorization"),
            "{}",
            failure.message
        );
        assert!(
            !failure.message.contains("wrong-secret"),
            "{}",
            failure.message
        );
        let right = destination(&server.url(), &["headers.Authorization=Bearer right"]);
        Lane::connect(&*right).await.close();
        right.close().await;
    }
}

#[tokio::test]
async fn a_token_can_be_sent_with_the_namespace() {
    let server = Recorder::start(&["--token", "right"]).await;
    let failure = failure(&*destination(&server.url(), &["auth.token=wrong-secret"])).await;
    assert_eq!(failure.kind, ConnectFailureKind::Unauthorized);
    assert!(
        !failure.message.contains("wrong-secret"),
        "{}",
        failure.message
    );
    let right = destination(&server.url(), &["auth.token=right"]);
    Lane::connect(&*right).await.close();
    right.close().await;
}

#[tokio::test]
async fn credentials_that_become_right_let_the_next_attempt_succeed() {
    let server = Recorder::start(&["--token", "old", "--token-check", "401"]).await;
    let destination = destination(&server.url(), &["headers.Authorization=Bearer new"]);
    assert_eq!(
        failure(&*destination).await.kind,
        ConnectFailureKind::Unauthorized
    );
    server.change(json!({ "token": "new" })).await;
    Lane::connect(&*destination).await.close();
    destination.close().await;
}

#[tokio::test]
async fn a_wrong_path_leads_to_the_advice_to_check_it() {
    let server = Recorder::start(&[]).await;
    let failure = failure(&*destination(&server.url(), &["path=/nothing/"])).await;
    assert!(
        failure.message.contains("check path"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn a_silent_server_is_given_up_after_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let failure = failure(&*destination(&url, &["timeout-seconds=1"])).await;
    assert_eq!(failure.kind, ConnectFailureKind::Timeout);
    assert!(
        failure.message.contains("no connection within 1s"),
        "{}",
        failure.message
    );
    assert!(
        failure.message.contains("timeout-seconds"),
        "{}",
        failure.message
    );
}

/// Answers the first request with this response.
async fn answered_with(response: &str) -> kete_pipeline::ConnectFailure {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(response.as_bytes()).await.unwrap();
        stream
    };
    let destination = destination(&url, &[]);
    let (failure, _stream) = tokio::join!(failure(&*destination), answer);
    failure
}

#[tokio::test]
async fn other_servers_are_recognised_by_what_they_answer() {
    let html = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>";
    let failure = answered_with(html).await;
    assert_eq!(failure.kind, ConnectFailureKind::Protocol);
    assert!(failure.message.contains("<html>"), "{}", failure.message);
    let not_found = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
    let failure = answered_with(not_found).await;
    assert_eq!(failure.kind, ConnectFailureKind::Rejected);
    assert!(
        failure.message.ends_with("check path"),
        "{}",
        failure.message
    );
    let elsewhere = "HTTP/1.1 302 Found\r\nLocation: http://o/\r\nContent-Length: 0\r\n\r\n";
    let failure = answered_with(elsewhere).await;
    assert_eq!(failure.kind, ConnectFailureKind::Rejected);
    assert!(
        failure.message.ends_with("check url"),
        "{}",
        failure.message
    );
    let broken = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(
        answered_with(broken).await.kind,
        ConnectFailureKind::Rejected
    );
    let failure = answered_with("220 mail.example.com ESMTP\r\n").await;
    assert_eq!(failure.kind, ConnectFailureKind::Protocol);
    assert!(
        failure.message.contains("this is no Socket.IO server"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn an_encrypted_url_to_a_port_that_is_not_is_a_matter_of_tls() {
    let server = Recorder::start(&[]).await;
    for scheme in ["https", "wss"] {
        let url = format!("{scheme}://127.0.0.1:{}", server.port);
        let failure = failure(&*destination(&url, &[])).await;
        assert_eq!(failure.kind, ConnectFailureKind::Tls, "{}", failure.message);
        assert!(failure.message.starts_with(&url), "{}", failure.message);
        assert!(
            failure.message.contains("the port does not speak TLS"),
            "{}",
            failure.message
        );
    }
}

#[tokio::test]
async fn the_handshake_carries_path_query_and_headers_as_configured() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/?in=url", listener.local_addr().unwrap());
    let destination = destination(
        &url,
        &[
            "path=/ws",
            "query.room=a b",
            "headers.X-API-Key=my-api-key",
            "headers.eventtype=x",
        ],
    );
    let request = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        request.truncate(length);
        String::from_utf8(request).unwrap()
    };
    let (_, request) = tokio::join!(failure(&*destination), request);
    let (first, headers) = request.split_once("\r\n").unwrap();
    assert_eq!(
        first,
        "GET /ws/?EIO=4&transport=websocket&in=url&room=a+b HTTP/1.1"
    );
    let headers = headers.to_ascii_lowercase();
    assert!(
        headers.contains("\r\nx-api-key: my-api-key\r\n"),
        "{headers}"
    );
    assert!(!headers.contains("eventtype"), "{headers}");
    assert!(!headers.contains("\r\norigin:"), "{headers}");
}

#[tokio::test]
async fn an_attempt_that_is_given_up_leaves_nothing_behind() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let destination = destination(&url, &["pool.max-total=1"]);
    for _ in 0..3 {
        let (stream, attempt) = {
            let mut attempt = destination.connect();
            tokio::select! {
                link = &mut attempt => panic!("{:?}", link.err()),
                accepted = listener.accept() => (accepted.unwrap().0, attempt),
            }
        };
        drop(attempt);
        let mut stream = stream;
        let mut rest = Vec::new();
        // The stream ends because the attempt was given up; a leak would make this wait.
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(
            ended.is_ok(),
            "the connection of the attempt is still there"
        );
    }
    destination.close().await;
}

#[tokio::test]
async fn a_server_that_stops_in_order_ends_the_connection_and_comes_back() {
    let server = Recorder::start(&[]).await;
    let port = server.port.to_string();
    let destination = destination(&server.url(), &[]);
    let mut lane = Lane::connect(&*destination).await;
    server.stop().await;
    let Some(ConnectionEvent::Lost(failure)) = lane.next().await else {
        panic!()
    };
    assert_eq!(failure.kind, ConnectFailureKind::Ended);
    assert_eq!(lane.next().await, None);
    let server = Recorder::start(&["--port", &port]).await;
    let mut lane = Lane::connect(&*destination).await;
    let last = lane.send([r#"{"id":"1"}"#]);
    lane.confirmed(last).await;
    assert_eq!(server.count().await, 1);
    destination.close().await;
}
