//! What a token endpoint may answer, and what is said of it.

use std::time::Duration;

use kete_credentials::oauth::{ClientCredentials, TokenError};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

use crate::server::{Reply, Server, source, text};

fn refusal(status: u16, error: &str, description: &str) -> Reply {
    let body = json!({"error": error, "error_description": description});
    Reply::json(status, &body)
}

#[tokio::test]
async fn a_refusal_carries_what_the_server_said() {
    let server = Server::start().await;
    let url = &server.url;
    for (status, error, description, expected, may_pass) in [
        (
            401,
            "unauthorized_client",
            "Invalid client secret",
            "401 unauthorized_client: Invalid client secret",
            false,
        ),
        (400, "invalid_scope", "", "400 invalid_scope: ", false),
        (403, "access_denied", "no", "403 access_denied: no", false),
        (500, "unknown_error", "x", "500 unknown_error: x", true),
        (429, "slow_down", "x", "429 slow_down: x", true),
        (
            400,
            "temporarily_unavailable",
            "x",
            "400 temporarily_unavailable: x",
            true,
        ),
        // Some servers refuse with this status.
        (200, "bad_client", "x", "200 bad_client: x", false),
    ] {
        let error = server.error_of(refusal(status, error, description)).await;
        let expected = format!("{url} refused the client: {expected}");
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.can_retry_help(), may_pass, "{error}");
    }
    let short = Reply::json(404, &json!({"error": "Realm does not exist"}));
    let error = server.error_of(short).await;
    let expected = format!("{url} refused the client: 404 Realm does not exist");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn refusals_know_a_way_out() {
    let server = Server::start().await;
    for (status, code, way_out) in [
        (401, "invalid_client", Some("check client-id")),
        (400, "unauthorized_client", Some("check client-id")),
        (400, "invalid_scope", Some("check scope")),
        (400, "unsupported_grant_type", Some("client_credentials")),
        (404, "Realm does not exist", Some("check token-url")),
        (400, "invalid_request", None),
        (503, "other", None),
    ] {
        let error = server.error_of(refusal(status, code, "x")).await;
        match (error.way_out(), way_out) {
            (Some(found), Some(expected)) => assert!(found.contains(expected), "{found}"),
            (found, expected) => assert_eq!(found, expected, "{code}"),
        }
    }
}

#[tokio::test]
async fn what_a_server_said_is_cut_and_on_one_line() {
    let server = Server::start().await;
    let long = "x".repeat(5000);
    let error = server.error_of(refusal(400, "bad\nthing", &long)).await;
    let TokenError::Refused {
        error, description, ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(error, "bad\\nthing");
    assert_eq!(description, format!(": {}…", "x".repeat(200)));
}

/// What is said of answers, and whether trying again can help.
async fn assert_no_tokens<const N: usize>(answers: [(Reply, &str, bool); N]) {
    let server = Server::start().await;
    for (reply, expected, may_pass) in answers {
        let status = reply.status.as_u16();
        let error = server.error_of(reply).await;
        let url = &server.url;
        assert_eq!(
            error.to_string(),
            format!("{url} answered {status}, but not with a token: {expected}")
        );
        assert_eq!(error.can_retry_help(), may_pass, "{error}");
        assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
    }
}

#[tokio::test]
async fn answers_of_others_say_what_they_are() {
    let html = "<html>SECRET</html>";
    assert_no_tokens([
        (
            Reply::new(502, "text/html; charset=utf-8", html),
            "its content type is text/html; charset=utf-8, not JSON",
            true,
        ),
        (
            Reply::new(200, "text/html", html),
            "its content type is text/html, not JSON",
            false,
        ),
        (
            Reply::new(403, "text/plain\u{9}x", "SECRET"),
            "its content type is text/plain\\tx, not JSON",
            false,
        ),
        (
            Reply::new(200, "application/json", ""),
            "its body is empty",
            false,
        ),
        (
            Reply::new(500, "application/json", ""),
            "its body is empty",
            true,
        ),
        (Reply::new(204, "text/html", ""), "its body is empty", false),
    ])
    .await;
}

#[tokio::test]
async fn json_that_is_neither_token_nor_refusal_says_what_it_is() {
    let json = |status, body: &str| Reply::new(status, "application/json", body);
    let no_object = "it is no JSON object";
    let no_code = "it has no error code in its \"error\"";
    assert_no_tokens([
        (json(200, "{\"access_token\":\"SECRET\""), no_object, false),
        (json(200, "[\"SECRET\"]"), no_object, false),
        (json(400, "[\"SECRET\"]"), no_object, false),
        (json(200, "[\"SECRET\",\"Bearer\",300]"), no_object, false),
        (json(503, "\"SECRET\""), no_object, true),
        (json(400, "{\"message\":\"SECRET\"}"), no_code, false),
        (json(400, "{\"error\":{\"a\":\"SECRET\"}}"), no_code, false),
        (json(429, "{}"), no_code, true),
    ])
    .await;
}

#[tokio::test]
async fn a_token_with_mistakes_says_which() {
    let server = Server::start().await;
    for (body, expected) in [
        (json!({"token_type": "Bearer"}), "it has no access_token"),
        (json!({"access_token": "SECRET"}), "it has no token_type"),
        (
            json!({"access_token": ["SECRET"], "token_type": "Bearer"}),
            "its access_token is not text",
        ),
        (
            json!({"access_token": "SECRET", "token_type": 7}),
            "its token_type is not text",
        ),
        (
            json!({"access_token": "SECRET", "token_type": "Bearer", "expires_in": "soon"}),
            "its expires_in is not a number of seconds",
        ),
        (
            json!({"access_token": "SECRET", "token_type": "Bearer", "expires_in": -1}),
            "its expires_in is not a number of seconds",
        ),
        (
            json!({"access_token": "SECRET", "token_type": "MAC"}),
            "its token_type is mac, and only Bearer can be sent",
        ),
        (
            json!({"access_token": "SECRET", "token_type": "secret"}),
            "its token_type is (hidden), and only Bearer can be sent",
        ),
        (
            json!({"access_token": "SECRET SECRET", "token_type": "Bearer"}),
            "no header can carry its access_token",
        ),
        (
            json!({"access_token": "", "token_type": "Bearer"}),
            "no header can carry its access_token",
        ),
    ] {
        let error = server.error_of(Reply::json(200, &body)).await;
        let prefix = format!("{} answered 200, but not with a token: ", server.url);
        assert_eq!(error.to_string(), prefix + expected);
        assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
    }
}

#[tokio::test]
async fn a_token_counts_whatever_its_content_type_is() {
    let server = Server::start().await;
    let body = Reply::token("one", 300).body;
    server.answers(Reply::new(200, "text/plain", body.clone()));
    assert_eq!(text(&server.source()).await, "one");
    server.answers(Reply {
        headers: Vec::new(),
        ..Reply::new(200, "", body)
    });
    assert_eq!(text(&server.source()).await, "one");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_says_where_to() {
    let server = Server::start().await;
    let own = server.url.origin().ascii_serialization();
    for (location, to) in [
        (
            Some("https://other.example:8443/token?code=SECRET"),
            "https://other.example:8443",
        ),
        (
            Some("https://user:SECRET@other.example/x"),
            "https://other.example",
        ),
        (Some("/elsewhere"), own.as_str()),
        (Some("mailto:a"), "null"),
        (Some("http://[SECRET"), "nowhere"),
        (None, "nowhere"),
    ] {
        let mut reply = refusal(307, "SECRET", "SECRET");
        let location = location.map(|location| ("location", location.to_owned()));
        reply.headers.extend(location);
        let before = server.count();
        let error = server.error_of(reply).await;
        let expected = format!(
            "{} answered 307 and points to {to}, where the credentials are not sent; name the \
             right token endpoint",
            server.url
        );
        assert_eq!(error.to_string(), expected);
        assert!(!error.can_retry_help());
        assert_eq!(server.count(), before + 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read_to_its_end() {
    let server = Server::start().await;
    let error = server
        .error_of(Reply::new(200, "application/json", "x".repeat(300_000)))
        .await;
    let expected = format!(
        "{} answered 200, but not with a token: it is larger than 262144 bytes",
        server.url
    );
    assert_eq!(error.to_string(), expected);
    let padding = " ".repeat(262_144 - Reply::token("one", 300).body.len());
    let largest = Reply::token("one", 300).body + &padding;
    server.answers(Reply::new(200, "application/json", largest));
    assert_eq!(text(&server.source()).await, "one");
}

async fn listener() -> (TcpListener, Url) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    (listener, url.parse().unwrap())
}

/// The credentials of [`Server`] for another place.
async fn credentials(token_url: &Url, deadline: Duration) -> ClientCredentials {
    ClientCredentials {
        token_url: token_url.clone(),
        deadline,
        ..Server::start().await.credentials()
    }
}

/// So little that it is over before anything could come.
const AT_ONCE: Duration = Duration::from_millis(30);

#[tokio::test]
async fn a_silent_endpoint_costs_no_more_than_the_deadline() {
    let (_listener, url) = listener().await;
    let error = source(credentials(&url, AT_ONCE).await).token().await;
    let error = error.unwrap_err();
    assert!(matches!(error, TokenError::Timeout { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        format!("{url} gave no token within 30ms")
    );
    assert!(error.can_retry_help());
}

#[tokio::test]
async fn an_answer_that_never_ends_costs_no_more_than_the_deadline() {
    let (listener, url) = listener().await;
    let slow = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        connection.read_u8().await.unwrap();
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
        connection.write_all(head.as_bytes()).await.unwrap();
        // Open for as long as the other side wants.
        let mut rest = Vec::new();
        let _broken = connection.read_to_end(&mut rest).await;
    });
    let error = source(credentials(&url, AT_ONCE).await).token().await;
    let error = error.unwrap_err();
    assert!(matches!(error, TokenError::Timeout { .. }), "{error}");
    slow.await.unwrap();
}

#[tokio::test]
async fn a_connection_that_breaks_is_said() {
    let (listener, url) = listener().await;
    let broken = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        connection.read_u8().await.unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{";
        connection.write_all(head.as_bytes()).await.unwrap();
    });
    let error = source(credentials(&url, Duration::from_secs(60)).await)
        .token()
        .await;
    broken.await.unwrap();
    let error = error.unwrap_err();
    assert!(
        matches!(&error, TokenError::Unreachable { .. }) && error.can_retry_help(),
        "{error}"
    );
}

#[tokio::test]
async fn nothing_listening_is_said() {
    let (listener, url) = listener().await;
    drop(listener);
    let error = source(credentials(&url, Duration::from_secs(60)).await)
        .token()
        .await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{url} cannot be asked for a token: "))
            && error.contains("Connection refused"),
        "{error}"
    );
}
