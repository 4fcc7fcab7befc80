//! The HTTP client that token endpoints and Keycloak's Admin API are asked with.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use crate::tls::{self, TlsError};

/// How long a connection may take to open, whatever the deadline of the request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept. Keycloak closes its own after a minute or so.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The TLS configuration is missing.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The HTTP library refuses to start.
    #[error("the HTTP client cannot be made: {0}")]
    Library(#[source] reqwest::Error),
}

/// A client over this TLS configuration; with none it can only speak plain HTTP.
///
/// It follows no redirect, because a redirect could carry credentials elsewhere, and asks no
/// proxy. Each request names its own deadline.
///
/// # Errors
///
/// The library refuses the configuration.
pub fn client(tls: Option<Arc<ClientConfig>>) -> Result<reqwest::Client, HttpError> {
    let tls = match tls {
        Some(tls) => tls,
        None => tls::trusting_nobody()?,
    };
    reqwest::Client::builder()
        .tls_backend_preconfigured(ClientConfig::clone(&tls))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("kete/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .build()
        .map_err(HttpError::Library)
}

/// The causes of a failed request in one line, without its URL.
#[must_use]
pub fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
