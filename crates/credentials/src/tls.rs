//! TLS configurations of clients: one stack (rustls with ring), host names always verified.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use tracing::debug;
use url::Url;

/// Whom to trust.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates of authorities to trust beside the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The system has no certificates of authorities, or they cannot be read.
    #[error(
        "the system's certificates of authorities could not be read: {problem}; install them (for \
         instance the package ca-certificates), or name them in SSL_CERT_FILE or SSL_CERT_DIR"
    )]
    NoSystemRoots {
        /// What the first of the attempts said.
        problem: String,
    },
    /// A certificate that was named cannot be used.
    #[error("a certificate of an authority cannot be used: {0}")]
    BadRoot(#[source] rustls::Error),
    /// The TLS library refuses the configuration.
    #[error("TLS cannot be configured: {0}")]
    Library(#[source] rustls::Error),
}

/// The configuration for clients: TLS 1.2 and 1.3, the system's authorities and the extra ones.
///
/// It reads the system's certificates, which takes some milliseconds: share what it returns.
///
/// # Errors
///
/// There are no certificates to trust.
pub fn client_config(options: &TlsOptions) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in &options.extra_roots {
        roots.add(root.clone()).map_err(TlsError::BadRoot)?;
    }
    let loaded = rustls_native_certs::load_native_certs();
    for error in &loaded.errors {
        debug!(%error, "a certificate of the system is left out");
    }
    let (added, ignored) = roots.add_parsable_certificates(loaded.certs);
    debug!(added, ignored, "read the system's certificates");
    if roots.is_empty() {
        let problem = loaded
            .errors
            .first()
            .map_or("there are none".to_owned(), ToString::to_string);
        return Err(TlsError::NoSystemRoots { problem });
    }
    config(roots)
}

/// The configuration for what this URL names: none where it is not encrypted.
///
/// # Errors
///
/// As [`client_config`].
pub fn for_url(url: &Url, options: &TlsOptions) -> Result<Option<Arc<ClientConfig>>, TlsError> {
    match url.scheme() {
        "https" | "wss" => client_config(options).map(Some),
        _ => Ok(None),
    }
}

/// Trusts nobody: for clients that only speak plain HTTP, but whose library wants a configuration.
pub(crate) fn trusting_nobody() -> Result<Arc<ClientConfig>, TlsError> {
    config(RootCertStore::empty())
}

fn config(roots: RootCertStore) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Library)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encrypted_urls_get_a_configuration() {
        let with = |text: &str| for_url(&text.parse().unwrap(), &TlsOptions::default());
        assert!(with("http://localhost").unwrap().is_none());
        assert!(with("ws://localhost").unwrap().is_none());
        assert!(with("https://localhost").unwrap().is_some());
        assert!(with("wss://localhost").unwrap().is_some());
    }

    #[test]
    fn a_certificate_that_is_none_is_refused() {
        let extra_roots = vec![CertificateDer::from(vec![1, 2, 3])];
        let error = client_config(&TlsOptions { extra_roots }).unwrap_err();
        assert!(matches!(error, TlsError::BadRoot(_)), "{error}");
    }
}
