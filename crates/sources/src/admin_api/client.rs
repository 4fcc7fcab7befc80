//! Asks Keycloak's Admin REST API for events.
//!
//! `GET {url}/admin/realms/{realm}/events` and `…/admin-events`, ascending by time from an epoch
//! in milliseconds, which Keycloak understands from 26.2 on. Only time bounds the query: filters
//! on anything else have no index in Keycloak's database. One request runs at a time per poller,
//! a few per source; each has a deadline, and an answer is never larger than a bound.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{DATE, RETRY_AFTER};
use kete_credentials::http::causes;
use kete_credentials::keycloak::TLS_SECTION;
use kete_credentials::oauth::{KnownSecrets, Token, TokenSource};
use reqwest::{Method, Response};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use super::access::Access;
use super::clock::ServerClock;
use super::cursor::Request;
use super::failures::PollError;

/// From connecting to the last byte of an answer.
const DEADLINE: Duration = Duration::from_secs(30);
/// The largest message of a refusal that is read.
const LARGEST_REFUSAL: usize = 64 * 1024;

/// A stamp that no event has, in the year 2286.
const AFTER_ALL_EVENTS: i64 = 9_999_999_999_999;

/// Which of Keycloak's two stores is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventKind {
    User,
    Admin,
}

impl EventKind {
    /// The name for logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            EventKind::User => "user",
            EventKind::Admin => "admin",
        }
    }

    fn path(self) -> &'static str {
        match self {
            EventKind::User => "events",
            EventKind::Admin => "admin-events",
        }
    }
}

/// An answer: a JSON array of events, and the server's time.
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    pub(super) clock: ServerClock,
}

/// The events of one kind of one realm, as the API offers them.
pub(super) struct AdminApi {
    access: Arc<Access>,
    tokens: Arc<TokenSource>,
    requests: Arc<Semaphore>,
    url: Url,
    realm: Arc<str>,
    kind: EventKind,
    largest_answer: usize,
}

impl AdminApi {
    /// An answer has no more than `largest_answer` bytes.
    pub(super) fn new(
        access: Arc<Access>,
        tokens: Arc<TokenSource>,
        requests: Arc<Semaphore>,
        (realm, kind): (&str, EventKind),
        largest_answer: usize,
    ) -> AdminApi {
        let url = access.url(realm, &[kind.path()]);
        AdminApi {
            access,
            tokens,
            requests,
            url,
            realm: Arc::from(realm),
            kind,
            largest_answer,
        }
    }

    pub(super) fn realm(&self) -> &Arc<str> {
        &self.realm
    }

    pub(super) fn kind(&self) -> EventKind {
        self.kind
    }

    /// Asks for a page.
    pub(super) async fn page(&self, request: Request) -> Result<Answer, PollError> {
        let Request {
            date_from,
            first,
            max,
        } = request;
        self.ask(date_from, first, max).await
    }

    /// Asks for no event at all: what counts is the time of the answer.
    pub(super) async fn server_time(&self) -> Result<ServerClock, PollError> {
        Ok(self.ask(AFTER_ALL_EVENTS, 0, 1).await?.clock)
    }

    async fn ask(&self, date_from: i64, first: usize, max: usize) -> Result<Answer, PollError> {
        let _slot = self.requests.acquire().await;
        let mut url = self.url.clone();
        url.query_pairs_mut()
            .append_pair("dateFrom", &date_from.to_string())
            .append_pair("direction", "asc")
            .append_pair("first", &first.to_string())
            .append_pair("max", &max.to_string());
        let mut token = self.token().await?;
        let mut response = self.send(&url, &token).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            // It was revoked, or Keycloak was set up anew: another token is worth one try.
            self.tokens.refuse(&token);
            token = self.token().await?;
            response = self.send(&url, &token).await?;
        }
        let response = expect_success(response, &token).await?;
        let date = response
            .headers()
            .get(DATE)
            .and_then(|date| date.to_str().ok());
        let clock = ServerClock::read(date, Instant::now());
        Ok(Answer {
            body: read_body(response, self.largest_answer).await?,
            clock,
        })
    }

    async fn token(&self) -> Result<Token, PollError> {
        self.tokens.token().await.map_err(PollError::Token)
    }

    async fn send(&self, url: &Url, token: &Token) -> Result<Response, PollError> {
        let request = self.access.http().request(Method::GET, url.clone()).await;
        let request = request.map_err(|error| PollError::Unreachable(error.to_string()))?;
        let request = request.bearer_auth(token.reveal()).timeout(DEADLINE);
        request.send().await.map_err(unreachable)
    }
}

async fn expect_success(response: Response, token: &Token) -> Result<Response, PollError> {
    let status = response.status();
    match status {
        status if status.is_success() => Ok(response),
        StatusCode::UNAUTHORIZED => Err(PollError::Unauthorized),
        StatusCode::FORBIDDEN => Err(PollError::Forbidden),
        StatusCode::NOT_FOUND => Err(PollError::NotFound),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Err(busy(&response)),
        status if status.is_server_error() => Err(busy(&response)),
        status if status.is_redirection() => Err(PollError::Redirected {
            status: status.as_u16(),
        }),
        status => {
            let body = read_body(response, LARGEST_REFUSAL).await;
            let body = body.unwrap_or_default();
            Err(PollError::Rejected {
                status: status.as_u16(),
                excerpt: excerpt(&body, token),
            })
        }
    }
}

fn busy(response: &Response) -> PollError {
    let asked = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|asked| asked.to_str().ok());
    let retry_after = asked
        .and_then(|asked| asked.parse().ok())
        .map(Duration::from_secs);
    PollError::Busy {
        status: response.status().as_u16(),
        retry_after,
    }
}

async fn read_body(mut response: Response, limit: usize) -> Result<Vec<u8>, PollError> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(unreachable)? {
        if body.len() + part.len() > limit {
            return Err(PollError::TooLarge { limit });
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

fn unreachable(error: reqwest::Error) -> PollError {
    PollError::Unreachable(causes(error, TLS_SECTION))
}

/// The beginning of an error message of Keycloak, which holds no event, without the token that
/// was sent: what stands between may repeat it.
fn excerpt(body: &[u8], token: &Token) -> String {
    let mut known = KnownSecrets::default();
    known.add(token.reveal());
    known.quote(&String::from_utf8_lossy(body))
}

#[cfg(test)]
mod tests;
