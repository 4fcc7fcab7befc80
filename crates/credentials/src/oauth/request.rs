//! One request for a token, by the OAuth library over our HTTP client.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use ::http::Method;
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, Client, ClientId, ClientSecret, HttpRequest, HttpResponse,
    RequestTokenError, Scope, StandardRevocableToken, TokenResponse, TokenUrl,
};
use serde_json::{Map, Value};
use url::Url;

use super::answer::{Explainer, Head, TokenAnswer};
use super::assertion::ASSERTION_TYPE;
use super::client_auth::ClientCredentials;
use super::clock::Moment;
use super::proof::Proof;
use super::{Token, TokenError, endpoint};
use crate::http::{HttpClient, HttpError, causes};

/// The largest answer that is read.
const MAX_ANSWER: usize = 256 * 1024;

pub(super) type OauthClient = Client<
    BasicErrorResponse,
    TokenAnswer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
>;

/// Asks for a token. Whoever calls bounds the time.
pub(super) async fn ask(
    credentials: &ClientCredentials,
    http: &HttpClient,
    proof: &Proof,
    explainer: Explainer<'_>,
) -> Result<Token, TokenError> {
    let asked_at = Moment::now();
    let (secret, auth_type) = match proof {
        Proof::SecretBasic(secret) => (Some(secret), AuthType::BasicAuth),
        Proof::SecretPost(secret) => (Some(secret), AuthType::RequestBody),
        Proof::Assertion(_) | Proof::ClientId => (None, AuthType::RequestBody),
    };
    let token_url = TokenUrl::from_url(credentials.token_url.clone());
    let mut client = OauthClient::new(ClientId::new(credentials.client_id.clone()))
        .set_token_uri(token_url)
        .set_auth_type(auth_type);
    if let Some(secret) = secret {
        client = client.set_client_secret(ClientSecret::new(secret.reveal().to_owned()));
    }
    let scopes = credentials.scopes.iter().cloned().map(Scope::new);
    let mut request = client.exchange_client_credentials().add_scopes(scopes);
    if let Proof::Assertion(assertion) = proof {
        request = request
            .add_extra_param("client_assertion_type", ASSERTION_TYPE)
            .add_extra_param("client_assertion", assertion.reveal());
    }
    for (name, value) in &credentials.parameters {
        request = request.add_extra_param(name, value.reveal());
    }
    let transport = Transport::new(http, &credentials.token_url);
    let answer = request.request_async(&transport).await;
    judge(answer, transport.into_head(), explainer, asked_at)
}

pub(super) type Answer = Result<TokenAnswer, RequestTokenError<SendError, BasicErrorResponse>>;

pub(super) fn judge(
    answer: Answer,
    head: Option<Head>,
    mut explainer: Explainer<'_>,
    asked_at: Moment,
) -> Result<Token, TokenError> {
    let unreachable = |problem: String| {
        let endpoint = endpoint(explainer.token_url);
        TokenError::Unreachable { endpoint, problem }
    };
    let Some(head) = head else {
        let problem = answer.err().map(|error| match error {
            RequestTokenError::Request(error) => error.to_string(),
            other => other.to_string(),
        });
        return Err(unreachable(problem.unwrap_or_default()));
    };
    if head.status.is_redirection() {
        return Err(explainer.redirected(&head));
    }
    match answer {
        Ok(token) if *token.token_type() != BasicTokenType::Bearer => {
            explainer.known.add(token.access_token().secret());
            let other = explainer.known.quote(token.token_type().as_ref());
            let problem = format!("its token_type is {other}, and only Bearer can be sent");
            Err(explainer.not_a_token(&head, problem))
        }
        Ok(token) => Token::new(token.access_token().secret(), asked_at, token.lifetime())
            .ok_or_else(|| explainer.not_a_token(&head, "no header can carry its access_token")),
        Err(RequestTokenError::ServerResponse(said)) => Err(explainer.refused(&head, &said)),
        Err(RequestTokenError::Request(SendError::TooLarge)) => {
            let problem = format!("it is larger than {MAX_ANSWER} bytes");
            Err(explainer.not_a_token(&head, problem))
        }
        Err(RequestTokenError::Request(SendError::NoObject(body))) => {
            Err(explainer.unreadable(&head, &body))
        }
        Err(RequestTokenError::Request(error)) => Err(unreachable(error.to_string())),
        Err(RequestTokenError::Parse(_, body)) => Err(explainer.unreadable(&head, &body)),
        Err(RequestTokenError::Other(_)) => Err(explainer.unreadable(&head, &[])),
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Client(#[from] HttpError),
    #[error("the answer is too large")]
    TooLarge,
    #[error("the answer is no JSON object")]
    NoObject(Vec<u8>),
}

/// Sends the requests of the OAuth library over our client, and notes the head of the answer,
/// which the library keeps to itself.
pub(super) struct Transport<'r> {
    http: &'r HttpClient,
    url: &'r Url,
    head: Mutex<Option<Head>>,
}

impl<'c> AsyncHttpClient<'c> for Transport<'_> {
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, SendError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

impl<'r> Transport<'r> {
    pub(super) fn new(http: &'r HttpClient, url: &'r Url) -> Transport<'r> {
        let head = Mutex::default();
        Transport { http, url, head }
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, SendError> {
        let failed =
            |error: reqwest::Error| SendError::Failed(causes(error, self.http.tls_section()));
        let (parts, body) = request.into_parts();
        let request = self.http.request(Method::POST, self.url.clone()).await?;
        let request = request.headers(parts.headers).body(body);
        let mut answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        self.note(Head {
            status,
            headers: answer.headers().clone(),
        });
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(SendError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        // The library would take the members of an array for those of an object.
        if serde_json::from_slice::<Map<String, Value>>(&body).is_err() {
            return Err(SendError::NoObject(body));
        }
        // Without the headers the library reads a token whatever its content type is.
        let mut response = ::http::Response::new(body);
        *response.status_mut() = status;
        Ok(response)
    }

    fn note(&self, head: Head) {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
    }

    pub(super) fn into_head(self) -> Option<Head> {
        self.head
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
