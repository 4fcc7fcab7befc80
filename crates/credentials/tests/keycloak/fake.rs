//! As much of Keycloak as preparing a client sees: tokens, and the clients of the realm `demo`.
//!
//! Its answers are those of Keycloak 26.4.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kete_config::{Diagnostics, Loader};
use kete_credentials::http::HttpClient;
use kete_credentials::keycloak::{Account, Keycloak, Prepared, RegistrationError, prepare_client};
use kete_credentials::{Secret, SecretText};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::form_urlencoded;

/// The secret of the account that registers clients.
pub(crate) const REGISTRAR_SECRET: &str = "registrar-very-secret";
/// The password of the administrator.
pub(crate) const PASSWORD: &str = "admin very-secret=&%";
/// The beginning of each token.
pub(crate) const TOKEN: &str = "token-very-secret";

/// What is to be answered instead: a method, the end of a path, a status, a body.
type Instead = (&'static str, &'static str, u16, String);
/// Changes what a client that is being created becomes, and says with which status.
type OnCreate = Box<dyn FnOnce(&mut Vec<Value>, Value) -> u16 + Send>;

#[derive(Default)]
struct Inner {
    clients: Vec<Value>,
    requests: Vec<String>,
    instead: Vec<Instead>,
    on_create: Option<OnCreate>,
    secrets_made: usize,
    logouts: Vec<String>,
}

/// A Keycloak that a test controls.
pub(crate) struct Fake {
    inner: Arc<Mutex<Inner>>,
    pub(crate) address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Fake {
    pub(crate) async fn start() -> Fake {
        let inner = Arc::<Mutex<Inner>>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Fake {
            inner,
            address,
            server,
        }
    }

    /// Puts a client there that could be used, with these members changed.
    pub(crate) fn has(&self, client_id: &str, changes: &Value) {
        let mut client = usable(client_id);
        for (name, value) in changes.as_object().unwrap() {
            client[name] = value.clone();
        }
        self.inner.lock().unwrap().clients.push(client);
    }

    pub(crate) fn client(&self, client_id: &str) -> Option<Value> {
        let inner = self.inner.lock().unwrap();
        let mut clients = inner.clients.iter();
        clients
            .find(|client| client["clientId"] == client_id)
            .cloned()
    }

    /// Answers the next request of this method and end of path so.
    pub(crate) fn instead(&self, method: &'static str, end: &'static str, status: u16, body: &str) {
        let instead = (method, end, status, body.to_owned());
        self.inner.lock().unwrap().instead.push(instead);
    }

    /// Does this when the next client is created.
    pub(crate) fn on_create(
        &self,
        change: impl FnOnce(&mut Vec<Value>, Value) -> u16 + Send + 'static,
    ) {
        self.inner.lock().unwrap().on_create = Some(Box::new(change));
    }

    /// The logouts: path and form.
    pub(crate) fn logouts(&self) -> Vec<String> {
        self.inner.lock().unwrap().logouts.clone()
    }

    /// The requests to the Admin API: method, path and query.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.inner.lock().unwrap().requests.clone()
    }

    pub(crate) fn keycloak(&self) -> Keycloak {
        keycloak(&[&format!("kete.keycloak.url=http://{}", self.address)])
    }

    /// Prepares a client of the realm `demo` with this account.
    pub(crate) async fn prepare(
        &self,
        account: &Account,
        client_id: &str,
    ) -> Result<Prepared, RegistrationError> {
        self.prepare_in("demo", account, client_id).await
    }

    pub(crate) async fn prepare_in(
        &self,
        realm: &str,
        account: &Account,
        client_id: &str,
    ) -> Result<Prepared, RegistrationError> {
        prepare_client(&http(), &self.keycloak(), account, realm, client_id).await
    }
}

/// A client as Keycloak shows it.
pub(crate) fn usable(client_id: &str) -> Value {
    json!({
        "id": format!("id-of-{client_id}"), "clientId": client_id, "protocol": "openid-connect",
        "enabled": true, "bearerOnly": false, "publicClient": false,
        "serviceAccountsEnabled": true, "clientAuthenticatorType": "client-secret",
        "secret": "its-own-very-secret", "redirectUris": [], "access": { "manage": true },
    })
}

pub(crate) fn http() -> HttpClient {
    HttpClient::new(None, None).unwrap()
}

/// What settings without mistakes say.
pub(crate) fn keycloak(settings: &[&str]) -> Keycloak {
    let diagnostics = Diagnostics::new();
    let loader = settings
        .iter()
        .fold(Loader::new("kete"), |loader, set| loader.set(*set));
    let keycloak = Keycloak::read(&loader.load(&diagnostics), &diagnostics);
    assert_eq!(diagnostics.to_string(), "");
    keycloak.unwrap()
}

/// The account that may manage clients, and nothing else.
pub(crate) fn registrar() -> Account {
    Account::Client {
        realm: "demo".to_owned(),
        client_id: "registrar".to_owned(),
        secret: SecretText::Given(Secret::new(REGISTRAR_SECRET.to_owned())),
    }
}

pub(crate) fn administrator() -> Account {
    Account::Administrator {
        realm: "master".to_owned(),
        user: "admin".to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
    }
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let header = |name| {
        let value = parts.headers.get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let authorization = header(header::AUTHORIZATION).unwrap_or_default();
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let mut inner = inner.lock().unwrap();
    if let Some((status, body)) = inner.instead_of(method, path) {
        let kind = match body.starts_with(['{', '[']) {
            true => "application/json",
            false => "text/html",
        };
        let headers = [
            (header::LOCATION, "/elsewhere"),
            (header::CONTENT_TYPE, kind),
        ];
        return (StatusCode::from_u16(status).unwrap(), headers, body).into_response();
    }
    if path.ends_with("/protocol/openid-connect/token") {
        return token(path, &authorization, &body);
    }
    if path.ends_with("/protocol/openid-connect/logout") {
        let form = String::from_utf8(body.to_vec()).unwrap();
        inner.logouts.push(format!("{path}?{form}"));
        return StatusCode::NO_CONTENT.into_response();
    }
    inner.requests.push(format!("{method} {}", parts.uri));
    if !authorization.starts_with(&format!("Bearer {TOKEN}")) {
        return status(401, &json!({ "error": "HTTP 401 Unauthorized" }));
    }
    inner.admin(method, path, parts.uri.query().unwrap_or_default(), &body)
}

/// Tokens for `registrar` in realm `demo`, and for `admin` in realm `master`.
fn token(path: &str, authorization: &str, body: &Bytes) -> Response {
    let form: Vec<_> = form_urlencoded::parse(body).into_owned().collect();
    let is = |name: &str, value: &str| {
        form.iter()
            .any(|(key, found)| key == name && found == value)
    };
    // `registrar:registrar-very-secret`, as RFC 7617 writes it.
    let basic = "Basic cmVnaXN0cmFyOnJlZ2lzdHJhci12ZXJ5LXNlY3JldA==";
    match path {
        "/realms/demo/protocol/openid-connect/token" => {
            if is("grant_type", "client_credentials") && authorization == basic {
                return give_token();
            }
            let error = json!({
                "error": "unauthorized_client",
                "error_description": "Invalid client or Invalid client credentials",
            });
            status(401, &error)
        }
        "/realms/master/protocol/openid-connect/token" => {
            let by_password = is("grant_type", "password") && is("client_id", "admin-cli");
            if by_password && is("username", "admin") && is("password", PASSWORD) {
                let token = json!({
                    "access_token": TOKEN, "token_type": "Bearer", "expires_in": 60,
                    "refresh_token": "refresh+very-secret",
                });
                return status(200, &token);
            }
            let error = json!({
                "error": "invalid_grant", "error_description": "Invalid user credentials",
            });
            status(401, &error)
        }
        _ => status(404, &json!({ "error": "Realm does not exist" })),
    }
}

fn give_token() -> Response {
    let token = json!({ "access_token": TOKEN, "token_type": "Bearer", "expires_in": 60 });
    status(200, &token)
}

impl Inner {
    fn instead_of(&mut self, method: &str, path: &str) -> Option<(u16, String)> {
        let fits = |(wanted, end, ..): &Instead| *wanted == method && path.ends_with(end);
        let found = self.instead.iter().position(fits)?;
        let (_, _, status, body) = self.instead.remove(found);
        Some((status, body))
    }

    fn admin(&mut self, method: &str, path: &str, query: &str, body: &[u8]) -> Response {
        let Some(path) = path.strip_prefix("/admin/realms/demo/clients") else {
            return status(404, &json!({ "error": "Realm not found." }));
        };
        match (method, path) {
            ("GET", "") => self.list(query),
            ("POST", "") => self.create(serde_json::from_slice(body).unwrap()),
            (_, path) => self.secret(method, path),
        }
    }

    fn list(&self, query: &str) -> Response {
        let mut query = form_urlencoded::parse(query.as_bytes());
        let (name, wanted) = query.next().unwrap();
        assert_eq!((&*name, query.next()), ("clientId", None));
        let found = self
            .clients
            .iter()
            .filter(|client| client["clientId"] == *wanted);
        status(200, &found.cloned().collect())
    }

    fn create(&mut self, mut client: Value) -> Response {
        client["id"] = format!("new-{}", self.clients.len()).into();
        let secret = client["secret"].clone();
        let code = match self.on_create.take() {
            Some(change) => change(&mut self.clients, client),
            None => {
                self.clients.push(client);
                201
            }
        };
        // More than any Keycloak says.
        let echo = format!("{TOKEN} and {secret}{}", " and more".repeat(100));
        status(code, &json!({ "errorMessage": echo }))
    }

    fn secret(&mut self, method: &str, path: &str) -> Response {
        let id = path
            .strip_prefix('/')
            .unwrap()
            .strip_suffix("/client-secret")
            .unwrap();
        let mut clients = self.clients.iter_mut();
        let client = clients.find(|client| client["id"] == id).unwrap();
        if method == "POST" {
            self.secrets_made += 1;
            client["secret"] = format!("made-{}-very-secret", self.secrets_made).into();
        }
        status(200, &json!({ "type": "secret", "value": client["secret"] }))
    }
}

fn status(code: u16, body: &Value) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::from_u16(code).unwrap(), json, body.to_string()).into_response()
}
