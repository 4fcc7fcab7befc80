//! Tokens from a real HTTP server that counts what it is asked.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use kete_credentials::Secret;
use kete_credentials::oauth::{ClientAuth, ClientCredentials, TokenError, TokenSource};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

const DEADLINE: Duration = Duration::from_secs(20);

/// What the server answers, and what it was asked.
struct Endpoint {
    answer: Mutex<(StatusCode, String)>,
    asked: Mutex<Vec<(Option<String>, String)>>,
    count: AtomicU32,
}

impl Endpoint {
    fn answers(&self, status: StatusCode, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }

    fn gives(&self, token: &Value) {
        self.answers(StatusCode::OK, &token.to_string());
    }

    fn count(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }
}

async fn answer(
    State(endpoint): State<Arc<Endpoint>>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    let authorization = headers
        .get("authorization")
        .map(|value| value.to_str().unwrap().to_owned());
    endpoint.asked.lock().unwrap().push((authorization, body));
    endpoint.count.fetch_add(1, Ordering::SeqCst);
    let (status, text) = endpoint.answer.lock().unwrap().clone();
    (status, [("content-type", "application/json")], text)
}

async fn endpoint() -> (Arc<Endpoint>, Url) {
    let first = token("one", 300).to_string();
    let endpoint = Arc::new(Endpoint {
        answer: Mutex::new((StatusCode::OK, first)),
        asked: Mutex::default(),
        count: AtomicU32::new(0),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let app = Router::new()
        .route("/token", post(answer))
        .with_state(Arc::clone(&endpoint));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (endpoint, url)
}

fn token(text: &str, seconds: u64) -> Value {
    json!({"access_token": text, "token_type": "Bearer", "expires_in": seconds})
}

fn credentials(token_url: Url) -> ClientCredentials {
    ClientCredentials {
        token_url,
        client_id: "kete app".to_owned(),
        client_secret: Secret::new("pa:ss word".to_owned()),
        scopes: Vec::new(),
        client_auth: ClientAuth::Basic,
        deadline: DEADLINE,
    }
}

fn source(credentials: ClientCredentials) -> TokenSource {
    TokenSource::new(credentials, kete_credentials::http::client(None).unwrap())
}

async fn text(source: &TokenSource) -> String {
    source.token().await.unwrap().reveal().to_owned()
}

#[tokio::test]
async fn the_client_proves_itself_in_the_header_and_blank_scopes_are_left_out() {
    let (endpoint, url) = endpoint().await;
    assert_eq!(text(&source(credentials(url))).await, "one");
    let asked = endpoint.asked.lock().unwrap();
    let (authorization, body) = &asked[0];
    // base64 of `kete+app:pa%3Ass+word`, form-encoded first as RFC 6749, section 2.3.1 says.
    assert_eq!(
        authorization.as_deref(),
        Some("Basic a2V0ZSthcHA6cGElM0Fzcyt3b3Jk")
    );
    assert_eq!(body, "grant_type=client_credentials");
}

#[tokio::test]
async fn or_in_the_body_and_scopes_are_sent() {
    let (endpoint, url) = endpoint().await;
    let scopes = vec!["events:write".to_owned(), "openid".to_owned()];
    let credentials = ClientCredentials {
        client_auth: ClientAuth::Post,
        scopes,
        ..credentials(url)
    };
    source(credentials).token().await.unwrap();
    let asked = endpoint.asked.lock().unwrap();
    let (authorization, body) = &asked[0];
    assert_eq!(*authorization, None);
    let mut pairs: Vec<&str> = body.split('&').collect();
    pairs.sort_unstable();
    let expected = [
        "client_id=kete+app",
        "client_secret=pa%3Ass+word",
        "grant_type=client_credentials",
        "scope=events%3Awrite+openid",
    ];
    assert_eq!(pairs, expected);
}

#[tokio::test]
async fn a_token_is_used_until_shortly_before_its_end() {
    let (endpoint, url) = endpoint().await;
    let source = source(credentials(url));
    text(&source).await;
    endpoint.gives(&token("two", 300));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(265)).await;
    tokio::time::resume();
    assert_eq!(text(&source).await, "one");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    assert_eq!(text(&source).await, "two");
    assert_eq!(endpoint.count(), 2);
}

#[tokio::test]
async fn a_short_token_is_used_for_half_its_life_and_an_unknown_life_is_an_hour() {
    let (endpoint, url) = endpoint().await;
    endpoint.gives(&token("short", 20));
    let source = source(credentials(url));
    assert_eq!(text(&source).await, "short");
    endpoint.gives(&json!({"access_token": "long", "token_type": "bearer"}));
    assert_eq!(
        text(&source).await,
        "short",
        "it is not fetched at every call"
    );
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    assert_eq!(text(&source).await, "long");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3500)).await;
    tokio::time::resume();
    assert_eq!(text(&source).await, "long");
    assert_eq!(endpoint.count(), 2);
}

#[tokio::test]
async fn callers_at_once_share_one_request() {
    let (endpoint, url) = endpoint().await;
    let source = Arc::new(source(credentials(url)));
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let source = Arc::clone(&source);
            tokio::spawn(async move { text(&source).await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "one");
    }
    assert_eq!(endpoint.count(), 1);
}

#[tokio::test]
async fn a_refused_token_is_fetched_anew_once() {
    let (endpoint, url) = endpoint().await;
    let source = source(credentials(url));
    let first = source.token().await.unwrap();
    endpoint.gives(&token("two", 300));
    assert!(source.refuse(&first).await, "another try is worth it");
    let second = source.token().await.unwrap();
    assert_eq!((second.reveal(), endpoint.count()), ("two", 2));
    assert!(source.refuse(&first).await);
    assert_eq!(
        text(&source).await,
        "two",
        "an old token is refused late: nothing changes"
    );
    assert!(
        !source.refuse(&second).await,
        "the new one was refused too: no hurry"
    );
    endpoint.gives(&token("three", 300));
    let third = source.token().await.unwrap();
    assert_eq!(third.reveal(), "three");
}

#[tokio::test]
async fn a_token_that_worked_may_be_refused_again_later() {
    let (endpoint, url) = endpoint().await;
    let source = source(credentials(url));
    let first = source.token().await.unwrap();
    source.refuse(&first).await;
    source.token().await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(290)).await;
    tokio::time::resume();
    let renewed = source.token().await.unwrap();
    assert!(
        source.refuse(&renewed).await,
        "it was fetched because it was time"
    );
    assert_eq!(endpoint.count(), 3);
}

#[tokio::test]
async fn a_refusal_carries_what_the_server_said_and_no_secret() {
    let (endpoint, url) = endpoint().await;
    let body = r#"{"error":"unauthorized_client","error_description":"Invalid client secret"}"#;
    endpoint.answers(StatusCode::UNAUTHORIZED, body);
    let source = source(credentials(url.clone()));
    let error = source.token().await.unwrap_err();
    let expected =
        format!("{url} refused the client: 401 unauthorized_client: Invalid client secret");
    assert_eq!(error.to_string(), expected);
    assert!(!error.can_retry_help());
    for shown in [format!("{error:?}"), format!("{source:?}")] {
        assert!(!shown.contains("pa:ss"), "{shown}");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_used_to_its_end() {
    let (endpoint, url) = endpoint().await;
    let source = source(credentials(url));
    text(&source).await;
    endpoint.answers(StatusCode::SERVICE_UNAVAILABLE, "{}");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(280)).await;
    tokio::time::resume();
    assert_eq!(text(&source).await, "one");
    assert_eq!(text(&source).await, "one");
    assert_eq!(
        endpoint.count(),
        2,
        "it was tried once, and is not hammered"
    );
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(30)).await;
    tokio::time::resume();
    assert!(source.token().await.is_err());
}

#[tokio::test]
async fn nothing_of_the_address_or_the_answer_that_should_not_be_shown_is() {
    let (endpoint, mut url) = endpoint().await;
    url.set_username("ann").unwrap();
    url.set_password(Some("hunter2")).unwrap();
    let long = "x".repeat(5000);
    let body = json!({"error": "bad\nthing", "error_description": long}).to_string();
    endpoint.answers(StatusCode::BAD_REQUEST, &body);
    let error = source(credentials(url))
        .token()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("400 bad\\nthing: xxx") && error.len() < 400,
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_token_of_another_type_is_none() {
    let (endpoint, url) = endpoint().await;
    endpoint.gives(&json!({"access_token": "one", "token_type": "mac"}));
    let error = source(credentials(url)).token().await.unwrap_err();
    assert!(
        matches!(error, TokenError::NotAToken { status: 200, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn an_endpoint_in_trouble_is_not_hammered() {
    let (endpoint, url) = endpoint().await;
    endpoint.answers(StatusCode::BAD_GATEWAY, "<html>bad gateway</html>");
    let source = source(credentials(url));
    let error = source.token().await.unwrap_err();
    assert!(error.can_retry_help());
    assert!(
        matches!(error, TokenError::NotAToken { status: 502, .. }),
        "{error}"
    );
    assert!(!error.to_string().contains("html"), "{error}");
    tokio::time::pause();
    for _ in 0..100 {
        assert_eq!(source.token().await.unwrap_err(), error);
    }
    assert_eq!(endpoint.count(), 1, "the failure is shared");
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    endpoint.gives(&token("well", 300));
    assert_eq!(text(&source).await, "well");
}

#[tokio::test]
async fn answers_that_are_no_tokens_say_where() {
    let (endpoint, url) = endpoint().await;
    for (body, expected) in [
        ("", "server returned empty error response"),
        ("[1]", "at .: Data error"),
        (r#"{"token_type":"bearer"}"#, "at .: Data error"),
        (
            r#"{"access_token":"SECRET","token_type":7}"#,
            "at token_type: Data error",
        ),
    ] {
        let status = if body.is_empty() {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::OK
        };
        endpoint.answers(status, body);
        let error = source(credentials(url.clone()))
            .token()
            .await
            .unwrap_err()
            .to_string();
        assert!(error.ends_with(expected), "{error}");
        assert!(!error.contains("SECRET"), "{error}");
    }
    endpoint.answers(StatusCode::OK, &"x".repeat(300_000));
    let error = source(credentials(url))
        .token()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("it is larger than 262144 bytes"), "{error}");
}

#[tokio::test]
async fn a_silent_endpoint_costs_no_more_than_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let error = source(credentials(url.clone())).token().await.unwrap_err();
    let passed = started.elapsed();
    assert!(matches!(error, TokenError::Timeout { .. }), "{error}");
    assert_eq!(error.to_string(), format!("{url} gave no token within 20s"));
    assert!(passed >= DEADLINE && passed < DEADLINE + Duration::from_secs(1));
}

#[tokio::test]
async fn nothing_listening_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    drop(listener);
    let error = source(credentials(url))
        .token()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (endpoint, url) = endpoint().await;
    endpoint.answers(StatusCode::TEMPORARY_REDIRECT, "{}");
    let error = source(credentials(url)).token().await.unwrap_err();
    assert!(
        matches!(error, TokenError::NotAToken { status: 307, .. }),
        "{error}"
    );
    assert_eq!(endpoint.count(), 1);
}
