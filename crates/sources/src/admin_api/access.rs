//! Who asks Keycloak: one HTTP client for all requests, and a token per realm of the client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::RequestBuilder;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::settings::Keycloak;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[error("no token from {endpoint}: {problem}")]
pub(super) struct TokenFailure {
    pub(super) endpoint: Url,
    pub(super) problem: String,
    /// Whether trying again soon may help.
    pub(super) may_pass: bool,
}

/// A bearer token.
#[derive(Clone)]
pub(super) struct Token(Arc<str>);

/// The way to one Keycloak. Clones share the client and the tokens.
#[derive(Clone)]
pub(super) struct Access {
    http: reqwest::Client,
    keycloak: Arc<Keycloak>,
    tokens: Arc<Mutex<HashMap<String, Arc<Tokens>>>>,
}

impl Access {
    pub(super) fn new(keycloak: &Keycloak) -> Result<Access, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Access {
            http,
            keycloak: Arc::new(keycloak.clone()),
            tokens: Arc::default(),
        })
    }

    /// The address of something below Keycloak's own.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.keycloak.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// A request that the token allows.
    pub(super) fn get(&self, url: Url, token: &Token) -> RequestBuilder {
        self.http.get(url).bearer_auth(&token.0)
    }

    /// The tokens of the client in this realm.
    pub(super) fn tokens(&self, realm: &str) -> Arc<Tokens> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let endpoint = self.url(&["realms", realm, "protocol", "openid-connect", "token"]);
            let (http, keycloak) = (self.http.clone(), Arc::clone(&self.keycloak));
            Arc::new(Tokens {
                http,
                endpoint,
                keycloak,
                current: tokio::sync::Mutex::default(),
            })
        };
        Arc::clone(tokens.entry(realm.to_owned()).or_insert_with(new))
    }
}

/// The tokens of one client in one realm.
pub(super) struct Tokens {
    http: reqwest::Client,
    endpoint: Url,
    keycloak: Arc<Keycloak>,
    current: tokio::sync::Mutex<Option<(Token, Instant)>>,
}

#[derive(Deserialize)]
struct Issued {
    access_token: String,
    expires_in: Option<u64>,
}

impl Tokens {
    pub(super) async fn current(&self) -> Result<Token, TokenFailure> {
        let mut current = self.current.lock().await;
        if let Some((token, until)) = &*current
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let (token, until) = self.issue().await?;
        *current = Some((token.clone(), until));
        Ok(token)
    }

    pub(super) async fn renewed(&self) -> Result<Token, TokenFailure> {
        *self.current.lock().await = None;
        self.current().await
    }

    async fn issue(&self) -> Result<(Token, Instant), TokenFailure> {
        let failed = |problem: String, may_pass| TokenFailure {
            endpoint: self.endpoint.clone(),
            problem,
            may_pass,
        };
        let secret = Some(&self.keycloak.client_secret);
        let response = self
            .http
            .post(self.endpoint.clone())
            .basic_auth(&self.keycloak.client_id, secret)
            .header("content-type", "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials")
            .timeout(Duration::from_secs(15))
            .send()
            .await
            .map_err(|error| failed(error.without_url().to_string(), true))?;
        let status = response.status();
        if !status.is_success() {
            return Err(failed(status.to_string(), status.is_server_error()));
        }
        let issued: Issued = response
            .json()
            .await
            .map_err(|error| failed(error.to_string(), true))?;
        let lifetime = Duration::from_secs(issued.expires_in.unwrap_or(60));
        let until = Instant::now() + lifetime * 4 / 5;
        Ok((Token(issued.access_token.into()), until))
    }
}
