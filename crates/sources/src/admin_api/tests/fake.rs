//! As much of Keycloak's HTTP interface as polling sees: tokens, and two stores of events per
//! realm that answer like Keycloak 26.2 and later.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::form_urlencoded;

use crate::testing::SOON;

/// What the fake does instead of answering a request for events.
#[derive(Debug, Clone, Copy)]
pub(super) enum Instead {
    Status(u16),
    /// Answers 401 to every token that was given out until now.
    Revoke,
    /// Promises more bytes than it sends.
    CutOff,
    /// Answers 200 with something else.
    Html,
}

#[derive(Default)]
struct Inner {
    user: Vec<Value>,
    admin: Vec<Value>,
    instead: VecDeque<Instead>,
    token_failures: usize,
    tokens: usize,
    /// Tokens up to this one are refused.
    revoked: usize,
    admin_forbidden: bool,
    requests: Vec<String>,
}

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    asked: watch::Sender<usize>,
}

/// A Keycloak that a test controls.
pub(super) struct Fake {
    shared: Arc<Shared>,
    pub(super) address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Fake {
    pub(super) async fn start() -> Fake {
        let shared = Arc::new(Shared::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Fake {
            shared,
            address,
            server,
        }
    }

    fn inner<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        change(&mut self.shared.inner.lock().unwrap())
    }

    /// Commits user events.
    pub(super) fn commit(&self, events: impl IntoIterator<Item = Value>) {
        self.inner(|inner| inner.user.extend(events));
    }

    /// Commits admin events.
    pub(super) fn commit_admin(&self, events: impl IntoIterator<Item = Value>) {
        self.inner(|inner| inner.admin.extend(events));
    }

    /// Empties both stores, as any administrator may.
    pub(super) fn clear(&self) {
        self.inner(|inner| {
            inner.user.clear();
            inner.admin.clear();
        });
    }

    /// Does something else for the next requests for events, once for each.
    pub(super) fn instead(&self, what: impl IntoIterator<Item = Instead>) {
        self.inner(|inner| inner.instead.extend(what));
    }

    /// Gives out no token for so many requests.
    pub(super) fn fail_tokens(&self, count: usize) {
        self.inner(|inner| inner.token_failures = count);
    }

    /// Refuses admin events.
    pub(super) fn forbid_admin_events(&self) {
        self.inner(|inner| inner.admin_forbidden = true);
    }

    /// How many tokens were given out.
    pub(super) fn tokens(&self) -> usize {
        self.inner(|inner| inner.tokens)
    }

    /// The requests for events, path and query.
    pub(super) fn requests(&self) -> Vec<String> {
        self.inner(|inner| inner.requests.clone())
    }

    /// Waits for so many further requests for events.
    pub(super) async fn asked_again(&self, more: usize) {
        let mut asked = self.shared.asked.subscribe();
        let enough = *asked.borrow() + more;
        let waiting = tokio::time::timeout(SOON, asked.wait_for(|asked| *asked >= enough));
        assert!(waiting.await.is_ok(), "polling has stopped");
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    if request
        .uri()
        .path()
        .ends_with("/protocol/openid-connect/token")
    {
        return shared.inner.lock().unwrap().token(&request);
    }
    let response = shared.inner.lock().unwrap().events(&request);
    shared.asked.send_modify(|asked| *asked += 1);
    response
}

impl Inner {
    fn token(&mut self, request: &Request) -> Response<Body> {
        // `kete:hush`, as RFC 7617 writes it.
        let basic = request.headers().get(header::AUTHORIZATION);
        if basic.is_none_or(|basic| basic != "Basic a2V0ZTpodXNo") {
            return status(401, json!({ "error": "invalid_client" }));
        }
        if self.token_failures > 0 {
            self.token_failures -= 1;
            return status(503, json!({}));
        }
        self.tokens += 1;
        let token = format!("token-{}", self.tokens);
        status(
            200,
            json!({ "access_token": token, "token_type": "Bearer", "expires_in": 300 }),
        )
    }

    fn events(&mut self, request: &Request) -> Response<Body> {
        self.requests.push(request.uri().to_string());
        if self
            .token_of(request)
            .is_none_or(|token| token <= self.revoked)
        {
            return status(401, json!({}));
        }
        let admin = match request.uri().path() {
            "/auth/admin/realms/shop/events" => false,
            "/auth/admin/realms/shop/admin-events" => true,
            _ => return status(404, json!({ "error": "Realm not found." })),
        };
        if admin && self.admin_forbidden {
            return status(403, json!({}));
        }
        match self.instead.pop_front() {
            None => {}
            Some(Instead::Status(code)) => return status(code, json!({})),
            Some(Instead::Revoke) => {
                self.revoked = self.tokens;
                return status(401, json!({}));
            }
            Some(Instead::CutOff) => return cut_off(),
            Some(Instead::Html) => return Response::new(Body::from("<html>welcome</html>")),
        }
        let rows = if admin { &self.admin } else { &self.user };
        status(200, select(rows, request.uri().query().unwrap_or_default()))
    }
}

impl Inner {
    fn token_of(&self, request: &Request) -> Option<usize> {
        let sent = request
            .headers()
            .get(header::AUTHORIZATION)?
            .to_str()
            .ok()?;
        let number: usize = sent.strip_prefix("Bearer token-")?.parse().ok()?;
        (number <= self.tokens).then_some(number)
    }
}

/// Ascending by time, with Keycloak's own defaults.
fn select(rows: &[Value], query: &str) -> Value {
    let parameter = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let (_, value) = pairs.find(|(key, _)| key == name)?;
        Some(value.into_owned())
    };
    assert_eq!(parameter("direction").as_deref(), Some("asc"), "{query}");
    let number = |name: &str| parameter(name)?.parse::<i64>().ok();
    let from = number("dateFrom").expect("a time in milliseconds");
    let (first, max) = (number("first").unwrap_or(0), number("max").unwrap_or(100));
    let mut rows: Vec<&Value> = rows.iter().filter(|row| time(row) >= from).collect();
    rows.sort_by_key(|row| time(row));
    let (first, max) = (
        usize::try_from(first).unwrap(),
        usize::try_from(max).unwrap(),
    );
    rows.into_iter().skip(first).take(max).cloned().collect()
}

fn time(row: &Value) -> i64 {
    row["time"].as_i64().unwrap()
}

fn status(code: u16, body: Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn cut_off() -> Response<Body> {
    let part = futures_util::stream::iter([
        Ok(Bytes::from_static(br#"[{"id":"1","time":5,"#)),
        Err(std::io::Error::other("cut off")),
    ]);
    Response::new(Body::from_stream(part))
}
