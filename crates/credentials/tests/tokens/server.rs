//! The token endpoint, and sources of tokens that ask it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use kete_credentials::Secret;
use kete_credentials::http::HttpClient;
use kete_credentials::oauth::{ClientAuth, ClientCredentials, TokenError, TokenSource};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use url::Url;

/// Longer than any of these tests may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
pub(crate) const CLIENT_ID: &str = "kete app";
pub(crate) const CLIENT_SECRET: &str = "pa:ss word";

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Asked {
    /// The form in the body.
    pub(crate) fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes())
            .into_owned()
            .collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }
}

/// What the server answers.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<String>) -> Reply {
        Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: vec![("content-type", content_type.to_owned())],
            body: body.into(),
        }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Reply {
        Reply::new(status, "application/json", body.to_string())
    }

    pub(crate) fn token(text: &str, seconds: u64) -> Reply {
        let token = json!({"access_token": text, "token_type": "Bearer", "expires_in": seconds});
        Reply::json(200, &token)
    }
}

type Answering = Box<dyn FnMut(&Asked) -> Reply + Send>;

/// The server. It lives as long as the runtime of its test.
pub(crate) struct Server {
    pub(crate) url: Url,
    answering: Mutex<Answering>,
    asked: Mutex<Vec<Asked>>,
    count: watch::Sender<usize>,
    held: watch::Sender<bool>,
}

impl Server {
    /// Gives out the token `one`, which lives for 300 seconds, until it is told otherwise.
    pub(crate) async fn start() -> Arc<Server> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let server = Arc::new(Server {
            url: url.parse().unwrap(),
            answering: Mutex::new(Box::new(|_| Reply::token("one", 300))),
            asked: Mutex::default(),
            count: watch::Sender::new(0),
            held: watch::Sender::new(false),
        });
        let app = Router::new()
            .fallback(handle)
            .with_state(Arc::clone(&server));
        tokio::spawn(async move { axum::serve(listener, app).await });
        server
    }

    pub(crate) fn answers(&self, reply: Reply) {
        self.answers_with(move |_| reply.clone());
    }

    pub(crate) fn answers_with(&self, answering: impl FnMut(&Asked) -> Reply + Send + 'static) {
        *self.answering.lock().unwrap() = Box::new(answering);
    }

    /// Keeps every answer back from now on.
    pub(crate) fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Lets the answers go.
    pub(crate) fn release(&self) {
        self.held.send_replace(false);
    }

    /// How many requests have come.
    pub(crate) fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits for this many requests.
    pub(crate) async fn has_been_asked(&self, times: usize) {
        let mut count = self.count.subscribe();
        count.wait_for(|count| *count >= times).await.unwrap();
    }

    /// The last request.
    pub(crate) fn asked(&self) -> Asked {
        self.asked.lock().unwrap().last().unwrap().clone()
    }

    /// A source of tokens of the client with the secret.
    pub(crate) fn source(&self) -> TokenSource {
        source(self.credentials())
    }

    pub(crate) fn credentials(&self) -> ClientCredentials {
        self.credentials_with(by_secret())
    }

    pub(crate) fn credentials_with(&self, auth: ClientAuth) -> ClientCredentials {
        ClientCredentials {
            deadline: DEADLINE,
            ..ClientCredentials::new(self.url.clone(), CLIENT_ID.to_owned(), auth)
        }
    }

    /// The error that this answer leads to, from a source that never asked before.
    pub(crate) async fn error_of(&self, reply: Reply) -> TokenError {
        self.answers(reply);
        self.source().token().await.unwrap_err()
    }
}

async fn handle(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let asked = Asked {
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let reply = server.answering.lock().unwrap()(&asked);
    server.asked.lock().unwrap().push(asked);
    server.count.send_modify(|count| *count += 1);
    let mut held = server.held.subscribe();
    held.wait_for(|held| !held).await.unwrap();
    let response = Response::builder().status(reply.status);
    let headers = reply.headers.iter();
    let response = headers.fold(response, |response, (name, value)| {
        response.header(*name, value.as_str())
    });
    response.body(Body::from(reply.body)).unwrap()
}

pub(crate) fn by_secret() -> ClientAuth {
    ClientAuth::SecretBasic(Secret::new(CLIENT_SECRET.to_owned()).into())
}

pub(crate) fn source(credentials: ClientCredentials) -> TokenSource {
    TokenSource::new(credentials, HttpClient::new(None, None).unwrap())
}

pub(crate) async fn text(source: &TokenSource) -> String {
    source.token().await.unwrap().reveal().to_owned()
}

/// Lets time pass. While the clock is stopped no socket can be waited for, so it goes on at once.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}
