//! Makes sure that a client for tokens exists.
//!
//! As in KETE (`reference/kete-reference.md`, 9.3): a client that is there is adopted with the
//! secret that it has, and none of its settings is touched; one that is not there is created.
//! Unlike in KETE, a client that could never get a token is an error at once.

use kete_config::{Diagnostics, Settings};
use rand::TryRng;
use rand::rngs::SysRng;
use tracing::info;

use super::clients::{Client, Clients, Creation, is_in_a_vault};
use super::error::RegistrationError;
use super::{Account, Keycloak, SECTION, keys, read_secret};
use crate::http::HttpClient;
use crate::{Secret, SecretText, codes};

/// How many random bytes a new secret has.
const SECRET_BYTES: usize = 32;

/// A client that can get tokens now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Its secret.
    pub secret: Secret,
    /// Whether it was not there before.
    pub created: bool,
}

/// The account that creates clients for tokens while kete runs (`kete.keycloak.registration.*`).
#[derive(Debug, Clone)]
pub struct Registration {
    realm: Option<String>,
    client_id: String,
    secret: SecretText,
}

impl Registration {
    /// Reads `kete.keycloak.registration.*`, and warns that such an account lies around. `None` if
    /// diagnostics say what is wrong, `Some(None)` if no such account is named.
    pub fn read(settings: &Settings, diagnostics: &Diagnostics) -> Option<Option<Registration>> {
        let registration = Registration::read_unwarned(settings, diagnostics)?;
        if registration.is_some() {
            let scope = settings
                .scope(SECTION, diagnostics)
                .child(keys::REGISTRATION);
            let message = "as long as kete runs, it holds an account that may change every client \
                           of the realm";
            let help = "prepare the client once instead: kete keycloak prepare --oauth-client \
                        --realm REALM prints the lines to write in place of this section"
                .to_owned();
            scope.warn("client-id", codes::INSECURE, message, help);
        }
        Some(registration)
    }

    /// As [`Registration::read`], for whoever prepares the client once.
    pub fn read_unwarned(
        settings: &Settings,
        diagnostics: &Diagnostics,
    ) -> Option<Option<Registration>> {
        let scope = settings
            .scope(SECTION, diagnostics)
            .child(keys::REGISTRATION);
        let start = format!("{}.", scope.prefix());
        if !settings.keys().any(|(key, _)| key.starts_with(&start)) {
            return Some(None);
        }
        let realm = scope.read(&keys::REGISTRATION_REALM);
        let client_id = scope.read(&keys::REGISTRATION_CLIENT_ID);
        let secret = read_secret(&scope, &keys::REGISTRATION_SECRET_FILE);
        Some(Some(Registration {
            realm,
            client_id: client_id?,
            secret: secret?,
        }))
    }

    /// Its secret, as it is given.
    pub(crate) fn secret(&self) -> &SecretText {
        &self.secret
    }

    /// The same account with the secret that was read for it.
    pub(crate) fn with_secret(&self, secret: Secret) -> Registration {
        Registration {
            secret: SecretText::Given(secret),
            ..self.clone()
        }
    }

    /// The account for the clients of a realm.
    #[must_use]
    pub fn account(&self, realm: &str) -> Account {
        Account::Client {
            realm: self.realm.as_deref().unwrap_or(realm).to_owned(),
            client_id: self.client_id.clone(),
            secret: self.secret.clone(),
        }
    }

    /// The secret of the client of this id in this realm: adopted if the client is there, created
    /// with it if not.
    ///
    /// # Errors
    ///
    /// As [`prepare_client`].
    pub async fn client_secret(
        &self,
        http: &HttpClient,
        keycloak: &Keycloak,
        realm: &str,
        client_id: &str,
    ) -> Result<Secret, RegistrationError> {
        let account = self.account(realm);
        let Prepared { secret, created } =
            prepare_client(http, keycloak, &account, realm, client_id).await?;
        let outcome = if created { "created" } else { "adopted" };
        info!(
            realm,
            client_id, outcome, "the client for tokens is registered"
        );
        Ok(secret)
    }
}

/// Makes sure that a confidential client of this id, which gets tokens by client credentials, is
/// in this realm. Several who do this at the same time end up with the same secret.
///
/// # Errors
///
/// Keycloak refuses, cannot be reached, or the client that is there cannot be used.
pub async fn prepare_client(
    http: &HttpClient,
    keycloak: &Keycloak,
    account: &Account,
    realm: &str,
    client_id: &str,
) -> Result<Prepared, RegistrationError> {
    refuse_itself(account, realm, client_id)?;
    let clients = Clients::of(http, keycloak, account, realm).await?;
    let prepared = prepare_as(&clients, account, realm, client_id).await;
    clients.leave().await;
    prepared
}

/// The same for an account that is logged in.
async fn prepare_as(
    clients: &Clients<'_>,
    account: &Account,
    realm: &str,
    client_id: &str,
) -> Result<Prepared, RegistrationError> {
    if let Some(client) = clients.find(client_id).await? {
        let secret = adopt(clients, &client, realm, client_id).await?;
        return Ok(Prepared {
            secret,
            created: false,
        });
    }
    let creation = clients.create(client_id, &new_secret()?).await?;
    // What Keycloak holds now is what counts: somebody else may have been quicker, and its
    // policies may have changed what was sent.
    let Some(client) = clients.find(client_id).await? else {
        return Err(RegistrationError::Hidden {
            account: account.to_string(),
            client_id: client_id.to_owned(),
            realm: realm.to_owned(),
        });
    };
    let secret = adopt(clients, &client, realm, client_id).await?;
    Ok(Prepared {
        secret,
        created: creation == Creation::Created,
    })
}

/// The account that may manage all clients must not be what receivers get tokens of.
fn refuse_itself(account: &Account, realm: &str, wanted: &str) -> Result<(), RegistrationError> {
    match account {
        Account::Client {
            realm: own,
            client_id,
            ..
        } if own == realm && client_id == wanted => Err(RegistrationError::Unusable {
            client_id: wanted.to_owned(),
            realm: realm.to_owned(),
            problem: "it is the account that registers clients, and may change them all".to_owned(),
            way_out: "choose another client id",
        }),
        _ => Ok(()),
    }
}

/// The secret of a client that is there.
async fn adopt(
    clients: &Clients<'_>,
    client: &Client,
    realm: &str,
    client_id: &str,
) -> Result<Secret, RegistrationError> {
    let unusable = |problem: String, way_out: &'static str| RegistrationError::Unusable {
        client_id: client_id.to_owned(),
        realm: realm.to_owned(),
        problem,
        way_out,
    };
    if let Some((problem, way_out)) = client.obstacle() {
        return Err(unusable(problem, way_out));
    }
    let secret = match clients.secret(client).await? {
        Some(secret) => Some(secret),
        None => clients.make_secret(client).await?,
    };
    match secret {
        Some(secret) if is_in_a_vault(&secret) => Err(unusable(
            "its secret lies in a vault, which Keycloak does not show".to_owned(),
            "write the secret itself into client-secret or client-secret-file",
        )),
        Some(secret) => Ok(secret),
        None => Err(unusable(
            "Keycloak shows no secret of it".to_owned(),
            "write its secret into client-secret or client-secret-file",
        )),
    }
}

/// A secret that nobody can guess, in characters that need no escaping anywhere.
fn new_secret() -> Result<Secret, RegistrationError> {
    let mut bytes = [0; SECRET_BYTES];
    SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| RegistrationError::NoRandomBytes {
            problem: error.to_string(),
        })?;
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    Ok(Secret::new(digits.collect()))
}
