//! OAuth tokens by client credentials (RFC 6749, section 4.4), renewed before they expire.
//!
//! One [`TokenSource`] serves any number of callers: they share the token, wait for one request
//! together, and share its failure for a while, so that a token endpoint in trouble is not
//! hammered. What is known stands in `state`, a request is made in `request` with what
//! `proof` has to say for the client, and `answer` explains what came of it.

mod answer;
mod assertion;
mod client_auth;
mod clock;
mod error;
mod known_secrets;
mod password;
mod proof;
mod reading;
mod request;
mod settings;
mod state;
mod token;

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::timeout;
use tracing::{debug, warn};
use url::Url;

use self::answer::Explainer;
use self::clock::Moment;
use self::proof::Prover;
use self::state::{State, Step};
use crate::http::HttpClient;
use crate::tls::StoreCertificate;

pub use self::assertion::PrivateKeyJwt;
pub use self::client_auth::{
    ClientAuth, ClientCredentials, ClientSecret, DEFAULT_DEADLINE, RegisteredClient,
};
pub use self::error::TokenError;
pub use self::known_secrets::KnownSecrets;
pub(crate) use self::password::token_by_password;
pub use self::settings::{OAUTH_KEYS, OAUTH_SECTIONS, OauthSettings, SendAs};
pub use self::token::Token;

/// Gives out tokens.
#[derive(Debug)]
pub struct TokenSource {
    credentials: ClientCredentials,
    http: HttpClient,
    prover: Prover,
    /// Never held across a wait.
    state: Mutex<State>,
    /// Held during a request, so that there is one at a time. If its caller goes away, so does the
    /// request, and the next one who waits makes another.
    turn: tokio::sync::Mutex<()>,
}

impl TokenSource {
    /// Asks nothing yet. A registered client's secret is asked for over the same `http`.
    #[must_use]
    pub fn new(credentials: ClientCredentials, http: HttpClient) -> TokenSource {
        let registration_http = http.clone();
        TokenSource::with_registration(credentials, http, registration_http)
    }

    /// The same with another HTTP client for the Keycloak that knows a registered client.
    pub(crate) fn with_registration(
        credentials: ClientCredentials,
        http: HttpClient,
        registration_http: HttpClient,
    ) -> TokenSource {
        TokenSource {
            credentials,
            http,
            prover: Prover::new(registration_http),
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// The certificates of the stores for the token endpoint that are in use now.
    #[must_use]
    pub fn certificates(&self) -> Vec<StoreCertificate> {
        self.http.certificates()
    }

    /// Looks at the files of its TLS sections for ever, so that a renewal is noticed before the
    /// next token is wanted. Returns at once if there are none.
    pub async fn watch_files(&self) {
        let registration_http = self.prover.http();
        if registration_http.is(&self.http) {
            self.http.watch_files().await;
        } else {
            tokio::join!(self.http.watch_files(), registration_http.watch_files());
        }
    }

    /// A token that is good for a while. May be dropped at any time.
    ///
    /// # Errors
    ///
    /// None could be had. The same error is returned for some time without asking again.
    pub async fn token(&self) -> Result<Token, TokenError> {
        let _turn = match self.step() {
            Step::Use(token) => return Ok(token),
            Step::Fail(error) => return Err(error),
            // One caller is enough to renew it; the others need not wait while it is good.
            Step::Renew(token) => match self.turn.try_lock() {
                Ok(turn) => turn,
                Err(_taken) if token.is_about_to_end(Moment::now()) => self.turn.lock().await,
                Err(_taken) => return Ok(token),
            },
            Step::Fetch => self.turn.lock().await,
        };
        // Whose turn it was before may have found what is wanted here.
        match self.step() {
            Step::Use(token) => Ok(token),
            Step::Fail(error) => Err(error),
            Step::Renew(_) | Step::Fetch => self.fetch().await,
        }
    }

    /// A server refused this token: the next call fetches another, if that has not happened yet.
    /// Returns whether trying again at once is worth it. It is not for a token that was fetched
    /// just now for the same reason.
    pub fn refuse(&self, token: &Token) -> bool {
        self.state().refused(token, Moment::now())
    }

    fn step(&self) -> Step {
        self.state().step(Moment::now())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> Result<Token, TokenError> {
        let endpoint = endpoint(&self.credentials.token_url);
        match self.ask().await {
            Ok(token) => {
                debug!(endpoint, "fetched a token");
                Ok(self.state().fetched(token))
            }
            Err(error) => {
                if error.is_about_the_client() {
                    self.prover.forget_secret();
                }
                let now = Moment::now();
                let mut state = self.state();
                state.failed(error.clone(), now);
                let Some(token) = state.still_good(now) else {
                    return Err(error);
                };
                warn!(%error, "the token cannot be renewed; the old one is used to its end");
                Ok(token)
            }
        }
    }

    async fn ask(&self) -> Result<Token, TokenError> {
        let credentials = &self.credentials;
        let deadline = credentials.deadline;
        let late = |_| TokenError::Timeout {
            endpoint: endpoint(&credentials.token_url),
            deadline,
        };
        let proof = self.prover.prove(credentials).await?;
        let mut known = proof.known_secrets(&credentials.client_id);
        if let Some(token) = self.state().last() {
            known.add(token.reveal());
        }
        for (_, value) in &credentials.parameters {
            known.add(value.reveal());
        }
        let explainer = Explainer {
            token_url: &credentials.token_url,
            known,
        };
        let answer = request::ask(credentials, &self.http, &proof, explainer);
        timeout(deadline, answer).await.map_err(late)?
    }
}

/// A token endpoint as it may be shown: without what stands in its query.
fn endpoint(token_url: &Url) -> String {
    let mut shown = token_url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    // Both fail only for addresses that cannot have such parts.
    let _no_such_part = shown
        .set_username("")
        .and_then(|()| shown.set_password(None));
    shown.to_string()
}
