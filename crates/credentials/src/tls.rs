//! TLS configurations of clients, from settings and files, renewed with the files.
//!
//! One stack: rustls with ring. TLS 1.2 and 1.3; no protocol below TLS is negotiated (ALPN). Host
//! names are verified unless `verify-hostname=false` says otherwise, which leaves the chain to be
//! checked. Certificates are not checked for revocation: neither lists (CRL) nor online answers
//! (OCSP) are asked for, so a stolen key is good until its certificate ends.
//!
//! A client has a certificate only if a key store is named, and shows it, with its chain, only to
//! servers that ask for one.

mod advice;
mod authority;
mod configuration;
mod keys;
mod loader;
mod material;
mod problem;
mod renewal;
mod roots;
mod settings;
mod snapshot;
mod store_settings;
mod validity;
mod verifier;
mod words;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use kete_config::Scope;
use rustls::ClientConfig;
use tokio::sync::watch;
use url::Url;

use crate::certificate::CertificateFacts;
use configuration::Options;
use material::{Material, Stores};
use renewal::Renewing;
use snapshot::Fingerprint;

pub use advice::advice;
pub(crate) use configuration::trusting_nobody;
pub use keys::TLS_KEYS;

const TRUST_STORE: &str = "trust-store";
const KEY_STORE: &str = "key-store";

/// A certificate and the store that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreCertificate {
    /// The full name of the `tls` section, such as `kete.keycloak.tls`.
    pub section: String,
    /// `trust-store` or `key-store`.
    pub store: &'static str,
    /// What it says.
    pub facts: CertificateFacts,
}

/// A checked `tls` section. Its stores could be read. Clones are the same.
#[derive(Clone)]
pub struct TlsSettings(Arc<Checked>);

/// What a section says, and what its stores held when they were read.
struct Checked {
    /// Its full name, for messages.
    section: String,
    /// Whether connections are encrypted.
    encrypted: bool,
    options: Options,
    stores: Stores,
    material: Arc<Material>,
    fingerprint: Fingerprint,
}

/// TLS at work: always the newest material that works. Clones are the same.
#[derive(Clone)]
pub struct Tls(Arc<Renewing>);

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The system has no certificates of authorities, or they cannot be read.
    #[error(
        "the system's certificates of authorities could not be read: {problem}; install them (for \
         instance the package ca-certificates), name them in SSL_CERT_FILE or SSL_CERT_DIR, or \
         name those to trust in a trust store"
    )]
    NoSystemRoots {
        /// What the first of the attempts said.
        problem: String,
    },
    /// The TLS library refuses the configuration.
    #[error("TLS cannot be configured: {0}")]
    Library(#[source] rustls::Error),
}

impl TlsSettings {
    /// Reads a `tls` section and all its stores; `url` is what will be connected to, if it is
    /// right. `None` if diagnostics say what is wrong. An expired client certificate is reported
    /// as an error with its own code, and the settings are returned all the same.
    ///
    /// Files are read here, on the calling thread.
    pub fn read(scope: &Scope<'_>, url: Option<&Url>) -> Option<TlsSettings> {
        settings::read(scope, url, SystemTime::now())
    }

    /// What a section without any key means for this URL.
    #[must_use]
    pub fn default_for(url: &Url) -> TlsSettings {
        let stores = Stores::default();
        TlsSettings(Arc::new(Checked {
            section: String::new(),
            encrypted: settings::is_encrypted(url),
            options: Options::default(),
            fingerprint: stores.snapshot().fingerprint(),
            stores,
            material: Arc::default(),
        }))
    }

    /// The certificates of its own stores (never those of the system), as they were when read:
    /// those of the trust store, then those of the key store with the client's own first.
    #[must_use]
    pub fn certificates(&self) -> Vec<StoreCertificate> {
        self.0.named(&self.0.material)
    }

    /// The name to ask for and to verify instead of the URL's host.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.0.server_name()
    }

    /// Whether connections are to be replaced when the files are renewed.
    #[must_use]
    pub fn reconnect_on_renewal(&self) -> bool {
        self.0.options.reconnect_on_renewal
    }

    /// What connections are made with; `None` where they are not encrypted. The system's
    /// authorities are read for the first of all that want them.
    ///
    /// # Errors
    ///
    /// There are no certificates to trust.
    pub fn build(&self) -> Result<Option<Tls>, TlsError> {
        if !self.0.encrypted {
            return Ok(None);
        }
        let renewing = Renewing::new(Arc::clone(&self.0))?;
        Ok(Some(Tls(Arc::new(renewing))))
    }
}

/// The whole would be pages of certificates.
impl fmt::Debug for Checked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Tls")
            .field("section", &self.section)
            .field("options", &self.options)
            .field("stores", &self.stores)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.checked().fmt(formatter)
    }
}

impl StoreCertificate {
    /// The full key of its store.
    #[must_use]
    pub fn store_key(&self) -> String {
        format!("{}.{}", self.section, self.store)
    }
}

impl Checked {
    /// The certificates of the stores, with the name of this section.
    fn named(&self, material: &Material) -> Vec<StoreCertificate> {
        let named = |(store, facts): &(&'static str, CertificateFacts)| StoreCertificate {
            section: self.section.clone(),
            store,
            facts: facts.clone(),
        };
        material.certificates.iter().map(named).collect()
    }

    fn server_name(&self) -> Option<&str> {
        let name = self.options.server_name.as_ref();
        name.map(|name| name.text.as_str())
    }
}

impl Tls {
    /// The configuration for a new connection. Looks at the files first: if their contents have
    /// changed and are right, the new ones count from now on. If they are not, that is logged once
    /// for each content, and the old ones stay in use. So they do, after five seconds, while the
    /// file system hangs.
    pub async fn config(&self) -> Arc<ClientConfig> {
        self.0.config().await
    }

    /// The configuration of the last look at the files.
    pub(crate) fn current(&self) -> Arc<ClientConfig> {
        self.0.current()
    }

    /// Counts renewals; changes with each.
    #[must_use]
    pub fn renewals(&self) -> watch::Receiver<u64> {
        self.0.renewals()
    }

    /// Looks at the files again and again, so that a renewal is noticed without a new connection.
    /// Never returns; drop it to stop. Returns at once where there is no file.
    pub async fn watch_files(&self) {
        self.0.watch().await;
    }

    /// The certificates of its own stores that are in use now, in the order of
    /// [`TlsSettings::certificates`].
    #[must_use]
    pub fn certificates(&self) -> Vec<StoreCertificate> {
        self.0.checked().named(&self.0.material())
    }

    /// The full name of its section; `tls` where there is none.
    #[must_use]
    pub fn section(&self) -> &str {
        match self.0.checked().section.as_str() {
            "" => "tls",
            section => section,
        }
    }

    /// The name to ask for (SNI) instead of the URL's host. It is this one that is verified,
    /// whatever name a connection asks for.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.0.checked().server_name()
    }
}
