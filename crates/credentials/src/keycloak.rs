//! How Keycloak is reached (`kete.keycloak.*`), who asks it for what, and how a client for tokens
//! is prepared in it.
//!
//! Three accounts are kept apart, because each may do what the others must not: the client that
//! polls events ([`PollingClient`]), the clients that destinations get tokens with, and the
//! account that may create those ([`Registration`]).

mod account;
mod answer;
mod clients;
mod error;
mod keys;
mod registration;

use std::path::PathBuf;

use kete_config::{AnyKey, Diagnostics, Key, Scope, Settings};
use url::Url;

use crate::SecretText;
use crate::http::address::{self, Rules};
use crate::tls::TlsSettings;

pub use account::Account;
pub use error::RegistrationError;
pub use keys::{KEYCLOAK_KEYS, KEYCLOAK_SECTIONS, REGISTRATION_KEYS};
pub use registration::{Prepared, Registration, prepare_client};

/// Where the settings stand.
pub const SECTION: &str = "kete.keycloak";

/// Where it stands how Keycloak is spoken to.
pub const TLS_SECTION: &str = "kete.keycloak.tls";

/// The id of the client that destinations get tokens with, as in KETE.
pub const DEFAULT_OAUTH_CLIENT: &str = "kete-oauth-client";

/// What `kete.keycloak.url` may be.
const URL_RULES: Rules = Rules {
    other_scheme: "write the address of Keycloak itself",
    login: "kete.keycloak.client-secret is the place for it",
    too_much: |url| {
        let has_more = url.query().is_some() || url.fragment().is_some();
        has_more.then_some(("it must end with its path", "leave out what follows ? or #"))
    },
    in_the_clear: "secrets, tokens and all events travel in the clear",
};

/// Where sources stand. Those that poll Keycloak may name realms of their own.
const SOURCES: &str = "kete.sources";

/// Where Keycloak is: `kete.keycloak.url` and `kete.keycloak.tls.*`.
#[derive(Debug, Clone)]
pub struct Keycloak {
    /// Its base URL, with its path if it has one.
    pub url: Url,
    /// How it is spoken to.
    pub tls: TlsSettings,
}

impl Keycloak {
    /// Reads `kete.keycloak.url`, which is needed, and `.tls`. `None` if diagnostics say what is
    /// wrong.
    pub fn read(settings: &Settings, diagnostics: &Diagnostics) -> Option<Keycloak> {
        let scope = settings.scope(SECTION, diagnostics);
        let url = scope
            .read(&keys::URL)
            .and_then(|url| address::check(&scope, keys::URL.name(), url, &URL_RULES));
        let tls = TlsSettings::read(&scope.child("tls"), url.as_ref());
        Some(Keycloak {
            url: url?,
            tls: tls?,
        })
    }

    /// The token endpoint of a realm (OpenID Connect Discovery 1.0 tells the same address).
    #[must_use]
    pub fn token_endpoint(&self, realm: &str) -> Url {
        self.below(&["realms", realm, "protocol", "openid-connect", "token"])
    }

    /// Where a login ends.
    fn logout_endpoint(&self, realm: &str) -> Url {
        self.below(&["realms", realm, "protocol", "openid-connect", "logout"])
    }

    /// Something below the realm in the Admin API, such as `clients`; the realm itself without
    /// segments.
    #[must_use]
    pub fn admin(&self, realm: &str, segments: &[&str]) -> Url {
        self.below(&[&["admin", "realms", realm], segments].concat())
    }

    fn below(&self, segments: &[&str]) -> Url {
        let mut url = self.url.clone();
        // Fails only for addresses without a host, which are refused when they are read.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

/// The client that polls the events of Keycloak, with all that is needed to ask.
#[derive(Debug, Clone)]
pub struct PollingClient {
    /// Whom it asks.
    pub keycloak: Keycloak,
    /// The realm that it is in; `None` if it is in each realm that is polled.
    pub auth_realm: Option<String>,
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretText,
}

impl PollingClient {
    /// Reads it. `None` if diagnostics say what is wrong.
    pub fn read(settings: &Settings, diagnostics: &Diagnostics) -> Option<PollingClient> {
        let scope = settings.scope(SECTION, diagnostics);
        let keycloak = Keycloak::read(settings, diagnostics);
        let auth_realm = scope.read(&keys::AUTH_REALM);
        let client_id = scope.read(&keys::CLIENT_ID);
        let client_secret = read_secret(&scope, &keys::CLIENT_SECRET_FILE);
        Some(PollingClient {
            keycloak: keycloak?,
            auth_realm,
            client_id: client_id?,
            client_secret: client_secret?,
        })
    }
}

/// The client that kete itself polls events with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnClient {
    /// Its id.
    pub client_id: String,
    /// The realms that it logs in to, sorted.
    pub realms: Vec<String>,
}

impl OwnClient {
    /// The polling client as far as the settings name one; reports nothing.
    #[must_use]
    pub fn of(settings: &Settings) -> Option<OwnClient> {
        let unheard = Diagnostics::new();
        let scope = settings.scope(SECTION, &unheard);
        let client_id = scope.read(&keys::CLIENT_ID)?;
        let mut realms = match scope.read(&keys::AUTH_REALM) {
            Some(realm) => vec![realm],
            None => polled_realms(settings, &unheard),
        };
        realms.sort();
        realms.dedup();
        Some(OwnClient { client_id, realms })
    }
}

/// All realms that are polled: the common ones, and those of single sources.
fn polled_realms(settings: &Settings, unheard: &Diagnostics) -> Vec<String> {
    let sections = settings.names_below(SOURCES).into_iter();
    let sources = sections.map(|name| format!("{SOURCES}.{name}"));
    let all = std::iter::once(SECTION.to_owned()).chain(sources);
    all.filter_map(|section| settings.scope(&section, unheard).read(&keys::REALMS))
        .flatten()
        .collect()
}

/// The secret of a client, from `client-secret` or from the file that `file` names. `None` if
/// diagnostics say what is wrong.
fn read_secret(scope: &Scope<'_>, file: &Key<PathBuf>) -> Option<SecretText> {
    let secret = SecretText::read(scope, &keys::CLIENT_SECRET, file)?;
    if secret.is_none() {
        scope.read(&keys::NEEDED_CLIENT_SECRET);
    }
    secret
}
