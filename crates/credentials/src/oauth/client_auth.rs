//! Who asks for a token, where, and how the client proves itself there.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::assertion::PrivateKeyJwt;
use crate::keycloak::{Keycloak, Registration};
use crate::{Secret, SecretText};

/// How long a request for a token may take if nobody says so.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// What a token is asked with.
#[derive(Debug, Clone)]
pub struct ClientCredentials {
    /// Where tokens are given out.
    pub token_url: Url,
    /// The client.
    pub client_id: String,
    /// How the client proves itself.
    pub client_auth: ClientAuth,
    /// What the token is to be good for; may be empty.
    pub scopes: Vec<String>,
    /// Further parameters of the request, such as `audience`. Servers may ask for anything here, so
    /// the values are not shown.
    pub parameters: Vec<(String, Secret)>,
    /// How long a request may take in all.
    pub deadline: Duration,
}

impl ClientCredentials {
    /// Without scopes and further parameters, and with [`DEFAULT_DEADLINE`].
    #[must_use]
    pub fn new(token_url: Url, client_id: String, client_auth: ClientAuth) -> ClientCredentials {
        ClientCredentials {
            token_url,
            client_id,
            client_auth,
            scopes: Vec::new(),
            parameters: Vec::new(),
            deadline: DEFAULT_DEADLINE,
        }
    }
}

/// How a client proves itself (RFC 6749, section 2.3; OpenID Connect Core, section 9; RFC 7523;
/// RFC 8705).
#[derive(Debug, Clone)]
pub enum ClientAuth {
    /// By a secret in the `Authorization` header: `client_secret_basic`.
    SecretBasic(ClientSecret),
    /// By a secret in the body: `client_secret_post`.
    SecretPost(ClientSecret),
    /// By a JWT that it signs: `private_key_jwt`.
    PrivateKeyJwt(PrivateKeyJwt),
    /// By a JWT that somebody else keeps up to date in this file. Read for each request.
    JwtFile(PathBuf),
    /// By the certificate of the TLS connection: `tls_client_auth`.
    TlsClientAuth,
}

/// The secret of a client.
#[derive(Debug, Clone)]
pub enum ClientSecret {
    /// It is in the settings.
    Text(SecretText),
    /// Keycloak is asked for it.
    Registered(Box<RegisteredClient>),
}

/// A client whose secret nobody but Keycloak knows.
#[derive(Debug, Clone)]
pub struct RegisteredClient {
    /// Who may ask.
    pub registration: Registration,
    /// The Keycloak.
    pub keycloak: Keycloak,
    /// The realm of the client.
    pub realm: String,
}

impl From<Secret> for ClientSecret {
    fn from(secret: Secret) -> ClientSecret {
        ClientSecret::Text(SecretText::Given(secret))
    }
}

impl ClientAuth {
    /// The client whose secret Keycloak has to be asked for.
    pub(super) fn registered(&self) -> Option<&RegisteredClient> {
        match self {
            ClientAuth::SecretBasic(ClientSecret::Registered(client))
            | ClientAuth::SecretPost(ClientSecret::Registered(client)) => Some(client),
            _ => None,
        }
    }
}
