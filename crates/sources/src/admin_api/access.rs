//! Who asks Keycloak: one HTTP client for all requests, and one token per realm of the client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kete_credentials::http::{self, HttpError};
use kete_credentials::oauth::{ClientAuth, ClientCredentials, TokenSource};
use kete_credentials::tls::{self, TlsOptions};
use url::Url;

use super::settings::Keycloak;

/// How long a request for a token may take.
const TOKEN_DEADLINE: Duration = Duration::from_secs(15);

/// The way to one Keycloak.
pub(super) struct Access {
    http: reqwest::Client,
    keycloak: Keycloak,
    tokens: Mutex<HashMap<String, Arc<TokenSource>>>,
}

impl Access {
    /// Asks nothing yet.
    ///
    /// # Errors
    ///
    /// There are no certificates to trust.
    pub(super) fn new(keycloak: &Keycloak) -> Result<Access, HttpError> {
        let tls = tls::for_url(&keycloak.url, &TlsOptions::default())?;
        let (http, tokens) = (http::client(tls)?, Mutex::default());
        Ok(Access {
            http,
            keycloak: keycloak.clone(),
            tokens,
        })
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The address of something below Keycloak's own.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.keycloak.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// The tokens of the client in this realm, shared by all who ask.
    pub(super) fn tokens(&self, realm: &str) -> Arc<TokenSource> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let source = tokens.entry(realm.to_owned()).or_insert_with(|| {
            let credentials = ClientCredentials {
                token_url: self.url(&["realms", realm, "protocol", "openid-connect", "token"]),
                client_id: self.keycloak.client_id.clone(),
                client_secret: self.keycloak.client_secret.clone(),
                scopes: Vec::new(),
                client_auth: ClientAuth::Basic,
                deadline: TOKEN_DEADLINE,
            };
            Arc::new(TokenSource::new(credentials, self.http.clone()))
        });
        Arc::clone(source)
    }
}

#[cfg(test)]
mod tests {
    use kete_credentials::Secret;

    use super::*;

    fn access(url: &str) -> Access {
        let keycloak = Keycloak {
            url: Url::parse(url).unwrap(),
            auth_realm: None,
            client_id: "kete".to_owned(),
            client_secret: Secret::new("hush".to_owned()),
        };
        Access::new(&keycloak).unwrap()
    }

    #[test]
    fn keycloak_may_stand_below_a_path_and_realms_may_have_any_name() {
        for (base, expected) in [
            ("http://host", "http://host/admin/realms/a%20b%2Fc/events"),
            ("http://host/", "http://host/admin/realms/a%20b%2Fc/events"),
            (
                "http://host/auth",
                "http://host/auth/admin/realms/a%20b%2Fc/events",
            ),
            (
                "http://host/auth/",
                "http://host/auth/admin/realms/a%20b%2Fc/events",
            ),
        ] {
            let url = access(base).url(&["admin", "realms", "a b/c", "events"]);
            assert_eq!(url.as_str(), expected, "{base}");
        }
    }

    #[test]
    fn pollers_of_one_realm_share_its_token() {
        let access = access("http://host");
        assert!(Arc::ptr_eq(&access.tokens("shop"), &access.tokens("shop")));
        assert!(!Arc::ptr_eq(
            &access.tokens("shop"),
            &access.tokens("master")
        ));
    }
}
