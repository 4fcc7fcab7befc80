use super::*;
use kete_socketio::{Excerpt, Options, connect_over};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PEER: &str = "http://h:3000 namespace /admin";

/// Why connecting failed where no token was sent.
fn connecting(peer: &str, error: &ConnectError) -> ConnectFailure {
    super::connecting(peer, error, false)
}

fn said(text: &str) -> Excerpt {
    Excerpt::new(text.as_bytes())
}

#[test]
fn an_unknown_namespace_is_not_taken_for_wrong_credentials() {
    let refused = |text: &str| {
        let error = ConnectError::Refused {
            namespace: "/admin".to_owned(),
            payload: said(text),
        };
        connecting(PEER, &error)
    };
    let failure = refused(r#"{"message":"Invalid namespace"}"#);
    assert_eq!(failure.kind, ConnectFailureKind::Rejected);
    assert_eq!(
        failure.message,
        "http://h:3000 namespace /admin: the server refused the namespace /admin: \
         {\"message\":\"Invalid namespace\"}; check namespace, then auth.<KEY> and \
         headers.Authorization"
    );
    for text in [
        r#"{"message":"Unauthorized"}"#,
        "bad token",
        r#"{"message":"not AUTHORIZED"}"#,
    ] {
        let failure = refused(text);
        assert_eq!(failure.kind, ConnectFailureKind::Unauthorized, "{text}");
        assert!(
            failure.message.contains("; check auth.<KEY>"),
            "{}",
            failure.message
        );
    }
}

#[test]
fn a_timeout_names_the_stage_and_the_key() {
    let limit = Duration::from_secs(20);
    let failure = connecting(
        PEER,
        &ConnectError::TimedOut {
            stage: Stage::OpenPacket,
            limit,
        },
    );
    assert_eq!(failure.kind, ConnectFailureKind::Timeout);
    assert_eq!(
        failure.message,
        "http://h:3000 namespace /admin: no connection within 20s: the time ran out while waiting \
         for the Engine.IO open packet; check that the server answers, or give timeout-seconds a \
         larger value"
    );
}

#[test]
fn what_answers_but_is_no_socket_io_server_is_a_matter_of_the_address() {
    let failure = connecting(
        PEER,
        &ConnectError::NotEngineIo {
            received: said("hello"),
        },
    );
    assert_eq!(failure.kind, ConnectFailureKind::Protocol);
    assert!(
        failure.message.ends_with("check url and path"),
        "{}",
        failure.message
    );
    let failure = connecting(PEER, &ConnectError::EngineIo3);
    assert_eq!(failure.kind, ConnectFailureKind::Protocol);
    assert!(
        failure
            .message
            .ends_with("a server of Socket.IO 3 or later is needed")
    );
}

#[test]
fn where_nothing_listens_the_server_is_unreachable_and_tls_is_told_apart() {
    let source = || std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    let tcp = ConnectError::Tcp {
        address: "h:3000".to_owned(),
        source: source(),
    };
    let resolve = ConnectError::Resolve {
        host: "h".to_owned(),
        source: source(),
    };
    let tls = ConnectError::Tls {
        host: "h".to_owned(),
        source: source(),
    };
    assert_eq!(connecting(PEER, &tcp).kind, ConnectFailureKind::Unreachable);
    assert_eq!(
        connecting(PEER, &resolve).kind,
        ConnectFailureKind::Unreachable
    );
    let failure = connecting(PEER, &tls);
    assert_eq!(failure.kind, ConnectFailureKind::Tls);
    assert!(failure.message.ends_with("check that the port speaks TLS"));
}

#[test]
fn a_server_that_hangs_up_may_not_know_the_path_or_not_accept_the_certificate() {
    let error = ConnectError::Closed {
        stage: Stage::Upgrade,
        reason: Box::new(CloseReason::Dropped),
    };
    let plain = connecting("http://h:1", &error).message;
    assert!(plain.contains("check path and url"), "{plain}");
    assert!(!plain.contains("certificate"), "{plain}");
    let encrypted = connecting("https://h:1", &error).message;
    assert!(
        encrypted.contains("check path, url and tls.key-store"),
        "{encrypted}"
    );
}

#[test]
fn a_certificate_that_is_refused_after_the_handshake_is_about_tls_too() {
    let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
    let source = || std::io::Error::new(std::io::ErrorKind::InvalidData, alert.clone());
    let early = ConnectError::Tls {
        host: "h".to_owned(),
        source: source(),
    };
    let late = ConnectError::Closed {
        stage: Stage::Upgrade,
        reason: Box::new(CloseReason::Io(source())),
    };
    for error in [early, late] {
        let failure = connecting(PEER, &error);
        assert_eq!(failure.kind, ConnectFailureKind::Tls);
        assert!(failure.message.contains("tls.key-store"), "{failure}");
    }
}

#[test]
fn an_end_while_connecting_says_whether_the_server_meant_it() {
    let closed = |reason: CloseReason| {
        let error = ConnectError::Closed {
            stage: Stage::Namespace,
            reason: Box::new(reason),
        };
        connecting(PEER, &error).kind
    };
    assert_eq!(
        closed(CloseReason::Dropped),
        ConnectFailureKind::Unreachable
    );
    assert_eq!(
        closed(CloseReason::Disconnected),
        ConnectFailureKind::Rejected
    );
}

#[test]
fn silence_is_a_timeout_and_a_closed_connection_has_ended() {
    let limit = Duration::from_secs(45);
    assert_eq!(
        ended(PEER, &CloseReason::Silent { limit }).kind,
        ConnectFailureKind::Timeout
    );
    assert_eq!(
        ended(PEER, &CloseReason::WriteStalled { limit }).kind,
        ConnectFailureKind::Timeout
    );
    for reason in [
        CloseReason::Dropped,
        CloseReason::Disconnected,
        CloseReason::EngineClosed,
    ] {
        assert_eq!(ended(PEER, &reason).kind, ConnectFailureKind::Ended);
    }
    let failure = ended(PEER, &CloseReason::TooBig { reason: said("") });
    assert_eq!(failure.kind, ConnectFailureKind::Ended);
    assert!(
        failure
            .message
            .ends_with("; set max-payload to what the server takes")
    );
}

#[test]
fn a_server_without_barriers_is_never_trusted_silently() {
    let asked = [BarrierKind::Ping, BarrierKind::Namespace];
    let failure = no_barrier("http://h", &asked, Duration::from_secs(3));
    assert_eq!(failure.kind, ConnectFailureKind::NoConfirmation);
    assert_eq!(
        failure.message,
        "http://h: the server answered no barrier (asked: ping, namespace; 3s each), so it could \
         not be told what has arrived; set confirm=ack if its handlers acknowledge events, \
         barrier=engine-ping for netty-socketio, or confirm=written to send without confirmation"
    );
}

#[test]
fn too_large_is_permanent_and_says_both_sizes() {
    let failure = too_large(TooLarge {
        size: 1_000_010,
        limit: 1_000_000,
    });
    let EventFailure::Permanent { reason, detail } = failure else {
        panic!("{failure:?}")
    };
    assert_eq!(reason, FailureReason::TooLarge);
    assert!(detail.starts_with("the packet has 1000010 bytes and the server takes 1000000;"));
}

#[test]
fn a_server_that_hangs_up_on_a_barrier_leads_to_the_advice_to_choose_another() {
    let asked = [BarrierKind::EnginePing];
    let failure = hung_up_on_barrier("http://h", &asked, &CloseReason::Dropped);
    assert_eq!(failure.kind, ConnectFailureKind::Ended);
    assert_eq!(
        failure.message,
        "http://h: the connection ended without a WebSocket close when it was asked for a barrier \
         (engine-ping); if that happens again, check barrier: engine-ping is for netty-socketio only"
    );
}

/// What a server's redirect to this place leads to.
async fn redirected(location: &str) -> String {
    let mut options = Options::new("http://h:3000".parse().unwrap());
    options.query = vec![("token".to_owned(), "hunter2".to_owned())];
    let (client, mut server) = tokio::io::duplex(4096);
    let answer = async {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(server.read_buf(&mut request).await.unwrap(), 0);
        }
        let body = format!("Redirecting to {location}");
        let length = body.len();
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\n");
        let answer = format!("{head}Content-Length: {length}\r\n\r\n{body}");
        server.write_all(answer.as_bytes()).await.unwrap();
    };
    let (connected, ()) = tokio::join!(connect_over(client, &options), answer);
    connecting("http://h:3000", &connected.unwrap_err()).message
}

#[tokio::test]
async fn a_redirect_names_the_url_to_set_and_no_secret() {
    assert_eq!(
        redirected("https://b.test/socket.io/?EIO=4&token=hunter2").await,
        "http://h:3000: HTTP 302 Found instead of a WebSocket: use the address that it redirects \
         to, https://b.test/socket.io/; it said: Redirecting to \
         https://b.test/socket.io/?EIO=4&token=…; set destination.url to https://b.test"
    );
    let login = redirected("/login?next=hunter2").await;
    assert!(login.contains("http://h:3000/login; "), "{login}");
    assert!(login.ends_with("check path, then check url"), "{login}");
    assert!(!login.contains("hunter2"), "{login}");
}

#[test]
fn where_a_token_was_refused_the_token_is_what_to_look_at() {
    let unauthorized = |payload: &str| ConnectError::Refused {
        namespace: "/".to_owned(),
        payload: said(payload),
    };
    let of_token = super::connecting(PEER, &unauthorized("bad token"), true);
    assert_eq!(of_token.kind, ConnectFailureKind::Unauthorized);
    assert!(of_token.message.contains("oauth.scope"), "{of_token}");
    assert!(!of_token.message.contains("headers."), "{of_token}");
    let unknown = super::connecting(PEER, &unauthorized("Invalid namespace"), true);
    assert!(unknown.message.contains("check namespace"), "{unknown}");
}
