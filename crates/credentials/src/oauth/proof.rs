//! What one request proves the client with. Made anew for each request, from what is in the files
//! then.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::assertion::read_jwt;
use super::client_auth::{ClientAuth, ClientCredentials, ClientSecret, RegisteredClient};
use super::error::ProofError;
use super::known_secrets::KnownSecrets;
use super::reading::Reading;
use super::{TokenError, endpoint};
use crate::http::HttpClient;
use crate::{Secret, SecretText};

/// What one request proves the client with.
pub(super) enum Proof {
    SecretBasic(Secret),
    SecretPost(Secret),
    Assertion(Secret),
    /// Its id is all that the request says; the TLS connection says the rest.
    ClientId,
}

impl Proof {
    /// What must not come back in a message.
    pub(super) fn known_secrets(&self, client_id: &str) -> KnownSecrets {
        let mut known = KnownSecrets::default();
        match self {
            Proof::SecretBasic(secret) | Proof::SecretPost(secret) => {
                known.add(secret.reveal());
                known.add_basic(client_id, secret.reveal());
            }
            Proof::Assertion(assertion) => known.add(assertion.reveal()),
            Proof::ClientId => {}
        }
        known
    }
}

/// Makes proofs.
#[derive(Debug)]
pub(super) struct Prover {
    /// Asks Keycloak for the secret of a registered client.
    http: HttpClient,
    /// That secret, until it turns out to be wrong.
    registered: Mutex<Option<Secret>>,
    /// Of the one file that a client is proved with.
    reading: Reading,
}

impl Prover {
    pub(super) fn new(http: HttpClient) -> Prover {
        Prover {
            http,
            registered: Mutex::default(),
            reading: Reading::default(),
        }
    }

    /// What Keycloak is asked with.
    pub(super) fn http(&self) -> &HttpClient {
        &self.http
    }

    pub(super) async fn prove(&self, credentials: &ClientCredentials) -> Result<Proof, TokenError> {
        match &credentials.client_auth {
            ClientAuth::SecretBasic(secret) => {
                let secret = self.secret(credentials, secret).await?;
                Ok(Proof::SecretBasic(secret))
            }
            ClientAuth::SecretPost(secret) => {
                let secret = self.secret(credentials, secret).await?;
                Ok(Proof::SecretPost(secret))
            }
            ClientAuth::PrivateKeyJwt(jwt) => {
                let (path, jwt) = (&jwt.key_path, jwt.clone());
                let client_id = credentials.client_id.clone();
                let assertion = self.read_file(credentials, path, move || jwt.sign(&client_id));
                Ok(Proof::Assertion(assertion.await?))
            }
            ClientAuth::JwtFile(path) => {
                let file = path.clone();
                let assertion = self.read_file(credentials, path, move || read_jwt(&file));
                Ok(Proof::Assertion(assertion.await?))
            }
            ClientAuth::TlsClientAuth => Ok(Proof::ClientId),
        }
    }

    /// The server says that the client is another or has another secret. Who knows the secret is
    /// asked again.
    pub(super) fn forget_secret(&self) {
        *self.registered() = None;
    }

    async fn secret(
        &self,
        credentials: &ClientCredentials,
        secret: &ClientSecret,
    ) -> Result<Secret, TokenError> {
        match secret {
            ClientSecret::Text(text) => self.given(credentials, text).await,
            ClientSecret::Registered(client) => {
                // The guard must not live across the wait below.
                let known = self.registered().clone();
                if let Some(secret) = known {
                    return Ok(secret);
                }
                let secret = self.ask_keycloak(credentials, client).await?;
                *self.registered() = Some(secret.clone());
                Ok(secret)
            }
        }
    }

    /// A secret of the settings.
    async fn given(
        &self,
        credentials: &ClientCredentials,
        text: &SecretText,
    ) -> Result<Secret, TokenError> {
        match text {
            SecretText::Given(secret) => Ok(secret.clone()),
            SecretText::File(path) => {
                let text = text.clone();
                self.read_file(credentials, path, move || Ok(text.reveal()?))
                    .await
            }
        }
    }

    /// What is in a file, read where blocking does no harm.
    async fn read_file(
        &self,
        credentials: &ClientCredentials,
        path: &Path,
        read: impl FnOnce() -> Result<Secret, ProofError> + Send + 'static,
    ) -> Result<Secret, TokenError> {
        let read = self.reading.read(credentials.deadline, read).await;
        let read = read.unwrap_or_else(|problem| {
            let (path, problem) = (path.to_owned(), problem.to_string());
            Err(ProofError::NotRead { path, problem })
        });
        read.map_err(|problem| TokenError::File {
            endpoint: endpoint(&credentials.token_url),
            problem: problem.to_string(),
        })
    }

    async fn ask_keycloak(
        &self,
        credentials: &ClientCredentials,
        client: &RegisteredClient,
    ) -> Result<Secret, TokenError> {
        let RegisteredClient {
            registration,
            keycloak,
            realm,
        } = client;
        // Read here, because the account is asked for anew each time.
        let secret = self.given(credentials, registration.secret()).await?;
        let registration = registration.with_secret(secret);
        // Boxed, because this ends in a token for the account that may ask.
        let asking =
            registration.client_secret(&self.http, keycloak, realm, &credentials.client_id);
        Box::pin(asking)
            .await
            .map_err(|problem| TokenError::NotRegistered {
                endpoint: endpoint(&credentials.token_url),
                problem: Box::new(problem),
            })
    }

    fn registered(&self) -> MutexGuard<'_, Option<Secret>> {
        self.registered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
