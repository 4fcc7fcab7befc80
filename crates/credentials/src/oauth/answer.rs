//! What a token endpoint answers: a token, a refusal, or something that is neither.

use std::time::Duration;

use ::http::header::{CONTENT_TYPE, LOCATION};
use ::http::{HeaderMap, StatusCode};
use oauth2::basic::{BasicErrorResponse, BasicTokenType};
use oauth2::{AccessToken, RefreshToken, Scope, TokenResponse};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::known_secrets::KnownSecrets;
use super::{TokenError, endpoint};

/// What a token is taken to live when the server does not say, as in KETE.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);

/// No token lives longer than this; larger numbers are mistakes that clocks cannot count.
const LONGEST_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// The successful answer of RFC 6749, section 5.1, as far as it matters here. Unlike the type of
/// the library it takes `expires_in` in quotes or with a fraction, which some servers write.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TokenAnswer {
    access_token: AccessToken,
    #[serde(deserialize_with = "in_small_letters")]
    token_type: BasicTokenType,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<Duration>,
    #[serde(default, deserialize_with = "text_if_any")]
    refresh_token: Option<RefreshToken>,
}

impl TokenResponse for TokenAnswer {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

impl TokenAnswer {
    /// How long the token lives from when it was asked for.
    pub(super) fn lifetime(&self) -> Duration {
        let told = self.expires_in.filter(|lifetime| !lifetime.is_zero());
        told.unwrap_or(DEFAULT_LIFETIME).min(LONGEST_LIFETIME)
    }
}

/// The letter case of the type does not matter (RFC 6749, section 5.1).
fn in_small_letters<'d, D: Deserializer<'d>>(from: D) -> Result<BasicTokenType, D::Error> {
    let text = String::deserialize(from)?.to_ascii_lowercase();
    BasicTokenType::deserialize(serde::de::value::StringDeserializer::new(text))
}

/// Nothing depends on it, so anything else is as good as none.
fn text_if_any<'d, D: Deserializer<'d>>(from: D) -> Result<Option<RefreshToken>, D::Error> {
    match Value::deserialize(from)? {
        Value::String(text) => Ok(Some(RefreshToken::new(text))),
        _ => Ok(None),
    }
}

fn seconds<'d, D: Deserializer<'d>>(from: D) -> Result<Option<Duration>, D::Error> {
    let told = match Value::deserialize(from)? {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let seconds = told.filter(|seconds| *seconds >= 0.0);
    let seconds = seconds.ok_or_else(|| serde::de::Error::custom("no number of seconds"))?;
    let longest = LONGEST_LIFETIME.as_secs_f64();
    Ok(Some(Duration::from_secs_f64(seconds.min(longest))))
}

/// What is known of an answer besides its body.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
}

/// Makes errors of the answers of one token endpoint.
pub(super) struct Explainer<'r> {
    pub(super) token_url: &'r Url,
    pub(super) known: KnownSecrets,
}

impl Explainer<'_> {
    /// The server refused the client.
    pub(super) fn refused(&self, head: &Head, said: &BasicErrorResponse) -> TokenError {
        let description = said.error_description();
        let description =
            description.map_or_else(String::new, |text| format!(": {}", self.known.quote(text)));
        TokenError::Refused {
            endpoint: endpoint(self.token_url),
            status: head.status.as_u16(),
            error: self.known.quote(said.error().as_ref()),
            description,
        }
    }

    /// The answer is neither a token nor a refusal, or one that cannot be used.
    pub(super) fn not_a_token(&self, head: &Head, problem: impl Into<String>) -> TokenError {
        TokenError::NotAToken {
            endpoint: endpoint(self.token_url),
            status: head.status.as_u16(),
            problem: problem.into(),
        }
    }

    /// The library could not read the answer.
    pub(super) fn unreadable(&self, head: &Head, body: &[u8]) -> TokenError {
        let Ok(answer) = serde_json::from_slice::<Map<String, Value>>(body) else {
            return self.not_a_token(head, self.what_instead_of_json(head, body));
        };
        if let Ok(said) = BasicErrorResponse::deserialize(Value::Object(answer.clone())) {
            // Some servers refuse with status 200.
            return self.refused(head, &said);
        }
        let problem = if head.status == StatusCode::OK {
            problem_of_token(&answer)
        } else {
            "it has no error code in its \"error\"".to_owned()
        };
        self.not_a_token(head, problem)
    }

    fn what_instead_of_json(&self, head: &Head, body: &[u8]) -> String {
        let content_type = head.headers.get(CONTENT_TYPE);
        let content_type = content_type.map(|value| String::from_utf8_lossy(value.as_bytes()));
        match content_type {
            _ if body.is_empty() => "its body is empty".to_owned(),
            Some(other) if !is_json(&other) => {
                format!("its content type is {}, not JSON", self.known.quote(&other))
            }
            _ => "it is no JSON object".to_owned(),
        }
    }

    /// The answer points elsewhere.
    pub(super) fn redirected(&self, head: &Head) -> TokenError {
        let location = head.headers.get(LOCATION).map(|value| value.as_bytes());
        let location = location.map(String::from_utf8_lossy);
        let to = location.and_then(|location| self.token_url.join(&location).ok());
        let origin = to.map(|to| to.origin().ascii_serialization());
        TokenError::Redirected {
            endpoint: endpoint(self.token_url),
            status: head.status.as_u16(),
            to: origin.map_or_else(|| "nowhere".to_owned(), |to| self.known.quote(&to)),
        }
    }
}

/// What of an object is not as RFC 6749, section 5.1, wants it.
fn problem_of_token(answer: &Map<String, Value>) -> String {
    for name in ["access_token", "token_type"] {
        match answer.get(name) {
            None => return format!("it has no {name}"),
            Some(value) if !value.is_string() => return format!("its {name} is not text"),
            Some(_) => {}
        }
    }
    "its expires_in is not a number of seconds".to_owned()
}

fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}

#[cfg(test)]
mod tests;
