//! What one request proves the client with. Made anew for each request, from what is in the files
//! then.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::assertion::read_jwt;
use super::client_auth::{ClientAuth, ClientCredentials, ClientSecret, RegisteredClient};
use super::error::ProofError;
use super::known_secrets::KnownSecrets;
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
}

impl Prover {
    pub(super) fn new(http: HttpClient) -> Prover {
        let registered = Mutex::default();
        Prover { http, registered }
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
                let (path, jwt) = (jwt.key_path.clone(), jwt.clone());
                let client_id = credentials.client_id.clone();
                let assertion = from_file(credentials, path, move || jwt.sign(&client_id));
                Ok(Proof::Assertion(assertion.await?))
            }
            ClientAuth::JwtFile(path) => {
                let file = path.clone();
                let assertion = from_file(credentials, path.clone(), move || read_jwt(&file));
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
            ClientSecret::Text(SecretText::Given(secret)) => Ok(secret.clone()),
            ClientSecret::Text(text @ SecretText::File(path)) => {
                let text = text.clone();
                from_file(credentials, path.clone(), move || Ok(text.reveal()?)).await
            }
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

/// What is in a file, read where blocking does no harm.
async fn from_file(
    credentials: &ClientCredentials,
    path: PathBuf,
    read: impl FnOnce() -> Result<Secret, ProofError> + Send + 'static,
) -> Result<Secret, TokenError> {
    let not_read = |problem: String| ProofError::NotRead { path, problem };
    let read = match timeout(credentials.deadline, spawn_blocking(read)).await {
        Ok(Ok(read)) => read,
        Ok(Err(stopped)) => Err(not_read(stopped.to_string())),
        Err(_late) => Err(not_read(format!(
            "it took longer than {:?}",
            credentials.deadline
        ))),
    };
    read.map_err(|problem| TokenError::File {
        endpoint: endpoint(&credentials.token_url),
        problem: problem.to_string(),
    })
}
