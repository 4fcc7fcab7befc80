//! OAuth tokens by client credentials (RFC 6749, section 4.4), renewed before they expire.
//!
//! One [`TokenSource`] serves any number of callers: they share the token, wait for one request
//! together, and share its failure for a while, so that a token endpoint in trouble is not
//! hammered.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use ::http::HeaderValue;
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicTokenResponse, BasicTokenType};
use oauth2::{
    AsyncHttpClient, AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse,
    RequestTokenError, Scope, TokenResponse, TokenUrl,
};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::Secret;

/// How long before its expiry a token is renewed, as in KETE.
const MARGIN: Duration = Duration::from_secs(30);

/// What a token is taken to live when the server does not say, as in KETE.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);

/// The first and the longest time for which a failure is not tried again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The largest answer that is read.
const MAX_ANSWER: usize = 256 * 1024;

/// How the client proves itself to the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// In the `Authorization` header: `client_secret_basic`.
    Basic,
    /// In the body: `client_secret_post`.
    Post,
}

/// What a token is asked with.
#[derive(Debug, Clone)]
pub struct ClientCredentials {
    /// Where tokens are given out.
    pub token_url: Url,
    /// The client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// What the token is to be good for; may be empty.
    pub scopes: Vec<String>,
    /// How the client proves itself.
    pub client_auth: ClientAuth,
    /// How long a request may take in all.
    pub deadline: Duration,
}

/// A token. Clones are the same token.
#[derive(Clone)]
pub struct Token {
    text: Arc<str>,
    /// It was fetched because one before it was refused.
    after_refusal: bool,
}

/// Why there is no token. `Clone`, because waiting callers share it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The server refused the client.
    #[error("{endpoint} refused the client: {status} {error}{description}")]
    Refused {
        /// The token endpoint.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// The error code of RFC 6749, section 5.2.
        error: String,
        /// What the server added, with a leading colon; or empty.
        description: String,
    },
    /// No answer: nothing listens, TLS failed, the connection broke.
    #[error("{endpoint} cannot be asked for a token: {problem}")]
    Unreachable {
        /// The token endpoint.
        endpoint: String,
        /// What went wrong.
        problem: String,
    },
    /// No answer in time.
    #[error("{endpoint} gave no token within {deadline:?}")]
    Timeout {
        /// The token endpoint.
        endpoint: String,
        /// How long it was waited for.
        deadline: Duration,
    },
    /// The answer is not one of a token endpoint.
    #[error("{endpoint} answered {status}, but not with a token: {problem}")]
    NotAToken {
        /// The token endpoint.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// What is wrong with the answer; never the answer itself.
        problem: String,
    },
}

impl TokenError {
    /// Whether trying again can help without a change of the configuration.
    #[must_use]
    pub fn can_retry_help(&self) -> bool {
        match self {
            TokenError::Refused { status, .. } | TokenError::NotAToken { status, .. } => {
                *status >= 500 || *status == 429
            }
            TokenError::Unreachable { .. } | TokenError::Timeout { .. } => true,
        }
    }
}

impl Token {
    /// The token itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The value of an `Authorization` header, marked as a secret; `None` if the token has
    /// characters that no header can carry.
    #[must_use]
    pub fn bearer(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.text)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token(hidden)")
    }
}

/// Gives out tokens.
#[derive(Debug)]
pub struct TokenSource {
    credentials: ClientCredentials,
    http: reqwest::Client,
    /// Held during a request, so that all who need a token wait for the same one.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Current>,
    failed: Option<(TokenError, Instant)>,
    failures: u32,
    refused: bool,
}

#[derive(Debug)]
struct Current {
    token: Token,
    /// From then on it is worth getting another.
    stale_at: Instant,
    /// From then on it is worth nothing.
    expires_at: Instant,
}

impl TokenSource {
    /// Asks nothing yet. The client is made by [`crate::http::client`].
    #[must_use]
    pub fn new(credentials: ClientCredentials, http: reqwest::Client) -> TokenSource {
        TokenSource {
            credentials,
            http,
            state: Mutex::default(),
        }
    }

    /// A token that is good for a while.
    ///
    /// # Errors
    ///
    /// None could be had. The same error is returned for some time without asking again.
    pub async fn token(&self) -> Result<Token, TokenError> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        if let Some(current) = &state.current
            && now < current.stale_at
        {
            return Ok(current.token.clone());
        }
        if let Some((error, until)) = &state.failed
            && now < *until
        {
            return state.still_good(now).ok_or_else(|| error.clone());
        }
        match self.fetch().await {
            Ok((text, lifetime)) => {
                let token = Token {
                    text: text.into(),
                    after_refusal: state.refused,
                };
                // Its life began at the latest when it was asked for.
                let current = Current {
                    token: token.clone(),
                    stale_at: now + useful(lifetime),
                    expires_at: now + lifetime,
                };
                *state = State {
                    current: Some(current),
                    ..State::default()
                };
                Ok(token)
            }
            Err(error) => {
                let failed_at = Instant::now();
                state.failed = Some((error.clone(), failed_at + pause(state.failures)));
                state.failures = state.failures.saturating_add(1);
                state.still_good(failed_at).ok_or(error)
            }
        }
    }

    /// A server refused this token: the next call fetches another. Returns whether trying again
    /// at once is worth it, which it is not for a token that was fetched for the same reason.
    pub async fn refuse(&self, token: &Token) -> bool {
        let mut state = self.state.lock().await;
        let is_it = |current: &Current| Arc::ptr_eq(&current.token.text, &token.text);
        if state.current.as_ref().is_some_and(is_it) {
            state.current = None;
            state.refused = true;
        }
        !token.after_refusal
    }

    async fn fetch(&self) -> Result<(String, Duration), TokenError> {
        let deadline = self.credentials.deadline;
        let answered = tokio::time::timeout(deadline, self.ask()).await;
        answered.unwrap_or_else(|_late| {
            let endpoint = self.endpoint();
            Err(TokenError::Timeout { endpoint, deadline })
        })
    }

    async fn ask(&self) -> Result<(String, Duration), TokenError> {
        let credentials = &self.credentials;
        let auth_type = match credentials.client_auth {
            ClientAuth::Basic => AuthType::BasicAuth,
            ClientAuth::Post => AuthType::RequestBody,
        };
        let client = BasicClient::new(ClientId::new(credentials.client_id.clone()))
            .set_client_secret(ClientSecret::new(
                credentials.client_secret.reveal().to_owned(),
            ))
            .set_token_uri(TokenUrl::from_url(credentials.token_url.clone()))
            .set_auth_type(auth_type);
        let scopes = credentials.scopes.iter().cloned().map(Scope::new);
        let transport = Transport {
            http: self.http.clone(),
            status: AtomicU16::new(0),
        };
        let request = client.exchange_client_credentials().add_scopes(scopes);
        let answer: Result<BasicTokenResponse, _> = request.request_async(&transport).await;
        match answer {
            Ok(token) if *token.token_type() != BasicTokenType::Bearer => {
                let (endpoint, status) = (self.endpoint(), transport.status.into_inner());
                let problem = "its type is not bearer".to_owned();
                Err(TokenError::NotAToken {
                    endpoint,
                    status,
                    problem,
                })
            }
            Ok(token) => {
                let lifetime = token.expires_in().filter(|lifetime| !lifetime.is_zero());
                let text = token.access_token().secret().clone();
                Ok((text, lifetime.unwrap_or(DEFAULT_LIFETIME)))
            }
            Err(error) => Err(self.explain(error, transport.status.into_inner())),
        }
    }

    /// The token endpoint as it may be shown.
    fn endpoint(&self) -> String {
        let mut url = self.credentials.token_url.clone();
        // Both fail only for addresses that cannot have such parts.
        let _no_such_part = url.set_username("").and_then(|()| url.set_password(None));
        url.to_string()
    }

    fn explain(
        &self,
        error: RequestTokenError<SendError, BasicErrorResponse>,
        status: u16,
    ) -> TokenError {
        let endpoint = self.endpoint();
        match error {
            RequestTokenError::ServerResponse(said) => {
                let description = said.error_description();
                let description =
                    description.map_or(String::new(), |text| format!(": {}", excerpt(text)));
                TokenError::Refused {
                    endpoint,
                    status,
                    error: excerpt(said.error().as_ref()),
                    description,
                }
            }
            RequestTokenError::Request(SendError::TooLarge) => {
                let problem = format!("it is larger than {MAX_ANSWER} bytes");
                TokenError::NotAToken {
                    endpoint,
                    status,
                    problem,
                }
            }
            RequestTokenError::Request(error) => TokenError::Unreachable {
                endpoint,
                problem: error.to_string(),
            },
            RequestTokenError::Parse(error, _body) => {
                // The path and kind of the mistake; its text could quote the answer.
                let problem = format!("at {}: {:?} error", error.path(), error.inner().classify());
                TokenError::NotAToken {
                    endpoint,
                    status,
                    problem,
                }
            }
            RequestTokenError::Other(problem) => TokenError::NotAToken {
                endpoint,
                status,
                problem,
            },
        }
    }
}

impl State {
    /// A token that should have been renewed by now, but is not expired.
    fn still_good(&self, now: Instant) -> Option<Token> {
        let current = self
            .current
            .as_ref()
            .filter(|current| now < current.expires_at)?;
        Some(current.token.clone())
    }
}

#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("{0}")]
    Failed(String),
    #[error("the answer is too large")]
    TooLarge,
}

/// Sends the requests of the OAuth library over our client, and notes the status of the answer.
struct Transport {
    http: reqwest::Client,
    status: AtomicU16,
}

impl<'c> AsyncHttpClient<'c> for Transport {
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, SendError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

impl Transport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, SendError> {
        let failed = |error: reqwest::Error| SendError::Failed(crate::http::causes(error));
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        let mut answer = self.http.execute(request).await.map_err(failed)?;
        self.status
            .store(answer.status().as_u16(), Ordering::Relaxed);
        let mut response = ::http::Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(SendError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        response
            .body(body)
            .map_err(|error| SendError::Failed(error.to_string()))
    }
}

/// What a server said, bounded and on one line.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// How long a token of this lifetime is used: a short one for half of it.
fn useful(lifetime: Duration) -> Duration {
    if lifetime <= 2 * MARGIN {
        lifetime / 2
    } else {
        lifetime - MARGIN
    }
}

/// How long a failure is not tried again: doubling, with jitter in the upper half.
fn pause(failures: u32) -> Duration {
    let (first, longest) = PAUSE;
    let ceiling = first.saturating_mul(1 << failures.min(16)).min(longest);
    ceiling.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}
