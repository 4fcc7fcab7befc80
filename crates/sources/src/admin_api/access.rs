//! Who asks Keycloak: one HTTP client for all requests, and one token per realm of the client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kete_credentials::http::{HttpClient, HttpError};
use kete_credentials::keycloak::PollingClient;
use kete_credentials::oauth::{ClientAuth, ClientCredentials, ClientSecret, TokenSource};
use kete_credentials::tls::{StoreCertificate, Tls};
use kete_pipeline::Certificate;
use url::Url;

/// How long a request for a token may take.
const TOKEN_DEADLINE: Duration = Duration::from_secs(15);

/// The way to one Keycloak.
pub(super) struct Access {
    tls: Option<Tls>,
    http: HttpClient,
    client: PollingClient,
    tokens: Mutex<HashMap<String, Arc<TokenSource>>>,
}

impl Access {
    /// Asks nothing yet.
    ///
    /// # Errors
    ///
    /// There are no certificates to trust, or files of `kete.keycloak.tls` have become unusable.
    pub(super) fn new(client: &PollingClient) -> Result<Access, HttpError> {
        let tls = client.keycloak.tls.build()?;
        Ok(Access {
            http: HttpClient::new(tls.clone(), None)?,
            tls,
            client: client.clone(),
            tokens: Mutex::default(),
        })
    }

    /// The certificates that are in use now.
    pub(super) fn certificates(&self) -> Vec<Certificate> {
        named(self.tls.as_ref().map_or(Vec::new(), Tls::certificates))
    }

    pub(super) fn http(&self) -> &HttpClient {
        &self.http
    }

    /// The address of something below a realm in the Admin API.
    pub(super) fn url(&self, realm: &str, segments: &[&str]) -> Url {
        self.client.keycloak.admin(realm, segments)
    }

    /// The tokens of the client in this realm, shared by all who ask.
    pub(super) fn tokens(&self, realm: &str) -> Arc<TokenSource> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let source = tokens.entry(realm.to_owned()).or_insert_with(|| {
            let client = &self.client;
            let auth = ClientAuth::SecretBasic(ClientSecret::Text(client.client_secret.clone()));
            let token_url = client.keycloak.token_endpoint(realm);
            let credentials = ClientCredentials {
                deadline: TOKEN_DEADLINE,
                ..ClientCredentials::new(token_url, client.client_id.clone(), auth)
            };
            Arc::new(TokenSource::new(credentials, self.http.clone()))
        });
        Arc::clone(source)
    }
}

/// The certificates with the full names of their stores.
pub(super) fn named(certificates: Vec<StoreCertificate>) -> Vec<Certificate> {
    let named = certificates.into_iter().map(|certificate| Certificate {
        store: certificate.store_key(),
        subject: certificate.facts.subject,
        issuer: certificate.facts.issuer,
        not_before: certificate.facts.not_before,
        not_after: certificate.facts.not_after,
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::polling_client;

    #[test]
    fn pollers_of_one_realm_share_its_token() {
        let access = Access::new(&polling_client("http://host")).unwrap();
        assert!(Arc::ptr_eq(&access.tokens("shop"), &access.tokens("shop")));
        assert!(!Arc::ptr_eq(
            &access.tokens("shop"),
            &access.tokens("master")
        ));
    }
}
