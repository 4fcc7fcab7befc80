//! The clients of one realm, over the Admin API of Keycloak.
//!
//! `GET|POST {url}/admin/realms/{realm}/clients` and `GET|POST …/clients/{id}/client-secret`
//! (Keycloak's Admin REST API, section Clients). The role `manage-clients` is enough for all.

use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::account::Login;
use super::answer::{self, NoAnswer};
use super::error::RegistrationError;
use super::{Account, Keycloak};
use crate::Secret;
use crate::http::HttpClient;
use crate::oauth::KnownSecrets;

/// From connecting to the last byte of an answer.
const DEADLINE: Duration = Duration::from_secs(15);

/// What a client authenticates itself with to get a token by client credentials.
const SECRET_AUTHENTICATOR: &str = "client-secret";

/// Secrets that begin so are references into a vault, which Keycloak never shows.
const VAULT: &str = "${vault.";

/// The clients of a realm, as one account sees them.
pub(super) struct Clients<'a> {
    http: &'a HttpClient,
    keycloak: &'a Keycloak,
    account: &'a Account,
    realm: &'a str,
    login: Login,
}

/// A `ClientRepresentation`, as far as it tells whether a client can get tokens. What is missing
/// may not be seen by the account.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Client {
    /// Keycloak's own id, which addresses it.
    pub(super) id: String,
    client_id: String,
    protocol: Option<String>,
    enabled: Option<bool>,
    bearer_only: Option<bool>,
    public_client: Option<bool>,
    service_accounts_enabled: Option<bool>,
    client_authenticator_type: Option<String>,
}

/// A `CredentialRepresentation`.
#[derive(Deserialize)]
struct Credential {
    value: Option<String>,
}

/// What creating a client came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Creation {
    /// It is there now.
    Created,
    /// Somebody else was quicker.
    WasThere,
}

impl<'a> Clients<'a> {
    /// Logs in.
    pub(super) async fn of(
        http: &'a HttpClient,
        keycloak: &'a Keycloak,
        account: &'a Account,
        realm: &'a str,
    ) -> Result<Clients<'a>, RegistrationError> {
        let login = account.log_in(http, keycloak).await?;
        Ok(Clients {
            http,
            keycloak,
            account,
            realm,
            login,
        })
    }

    /// Logs out.
    pub(super) async fn leave(self) {
        let Clients { http, keycloak, .. } = self;
        self.account.log_out(&self.login, http, keycloak).await;
    }

    /// The client of this id, if there is one.
    pub(super) async fn find(&self, client_id: &str) -> Result<Option<Client>, RegistrationError> {
        let query = [("clientId", client_id)];
        let body = self.ask(Method::GET, &["clients"], &query).await?;
        let found: Vec<Client> = parse(&body)?;
        // Keycloak compares whole ids, but what stands before it may not pass the query on.
        Ok(found
            .into_iter()
            .find(|client| client.client_id == client_id))
    }

    /// Creates a client that can get tokens by client credentials, and can do nothing else.
    pub(super) async fn create(
        &self,
        client_id: &str,
        secret: &Secret,
    ) -> Result<Creation, RegistrationError> {
        let client = json!({
            "clientId": client_id,
            "description": "Gets the tokens that kete shows to receivers of events. Made by kete.",
            "protocol": "openid-connect",
            "enabled": true,
            "publicClient": false,
            "bearerOnly": false,
            "clientAuthenticatorType": SECRET_AUTHENTICATOR,
            "secret": secret.reveal(),
            "serviceAccountsEnabled": true,
            "standardFlowEnabled": false,
            "implicitFlowEnabled": false,
            "directAccessGrantsEnabled": false,
        });
        let sent = self.send(Method::POST, &["clients"], &[], Some(&client));
        match sent.await? {
            (StatusCode::CONFLICT, _) => Ok(Creation::WasThere),
            (status, body) => {
                self.expect_success(status, &body, Some(secret))?;
                Ok(Creation::Created)
            }
        }
    }

    /// The secret of a client; `None` if it has none.
    pub(super) async fn secret(
        &self,
        client: &Client,
    ) -> Result<Option<Secret>, RegistrationError> {
        self.credential(Method::GET, client).await
    }

    /// Has Keycloak make a new secret for a client.
    pub(super) async fn make_secret(
        &self,
        client: &Client,
    ) -> Result<Option<Secret>, RegistrationError> {
        self.credential(Method::POST, client).await
    }

    async fn credential(
        &self,
        method: Method,
        client: &Client,
    ) -> Result<Option<Secret>, RegistrationError> {
        let segments = ["clients", &client.id, "client-secret"];
        let body = self.ask(method, &segments, &[]).await?;
        let credential: Credential = parse(&body)?;
        let value = credential.value.filter(|value| !value.is_empty());
        Ok(value.map(Secret::new))
    }

    async fn ask(
        &self,
        method: Method,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Vec<u8>, RegistrationError> {
        let (status, body) = self.send(method, segments, query, None::<&()>).await?;
        self.expect_success(status, &body, None)?;
        Ok(body)
    }

    async fn send(
        &self,
        method: Method,
        segments: &[&str],
        query: &[(&str, &str)],
        json: Option<&impl Serialize>,
    ) -> Result<(StatusCode, Vec<u8>), RegistrationError> {
        let mut url = self.keycloak.admin(self.realm, segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url).await;
        let request = request.map_err(|error| self.unreachable(&error))?;
        let mut request = request
            .header(AUTHORIZATION, self.login.token.bearer())
            .timeout(DEADLINE);
        if let Some(json) = json {
            request = request.json(json);
        }
        answer::to(request).await.map_err(|error| match error {
            NoAnswer::TooLarge => RegistrationError::Malformed {
                problem: error.to_string(),
            },
            error => self.unreachable(&error),
        })
    }

    fn unreachable(&self, error: &dyn std::error::Error) -> RegistrationError {
        RegistrationError::Unreachable {
            url: self.keycloak.url.to_string(),
            problem: error.to_string(),
        }
    }

    fn expect_success(
        &self,
        status: StatusCode,
        body: &[u8],
        sent: Option<&Secret>,
    ) -> Result<(), RegistrationError> {
        let number = status.as_u16();
        Err(match status {
            status if status.is_success() => return Ok(()),
            StatusCode::UNAUTHORIZED => RegistrationError::Unauthorized,
            StatusCode::FORBIDDEN => RegistrationError::Forbidden {
                account: self.account.to_string(),
                realm: self.realm.to_owned(),
                way_out: self.account.missing_role(self.realm),
            },
            StatusCode::NOT_FOUND => RegistrationError::NoSuchRealm {
                realm: self.realm.to_owned(),
            },
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                RegistrationError::Busy { status: number }
            }
            status if status.is_server_error() => RegistrationError::Busy { status: number },
            status if status.is_redirection() => RegistrationError::Redirected { status: number },
            _ => {
                let mut known = KnownSecrets::default();
                known.add(self.login.token.reveal());
                sent.into_iter()
                    .for_each(|secret| known.add(secret.reveal()));
                RegistrationError::Rejected {
                    status: number,
                    said: known.quote(&String::from_utf8_lossy(body)),
                }
            }
        })
    }
}

fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, RegistrationError> {
    serde_json::from_slice(body).map_err(|error| RegistrationError::Malformed {
        // Its text could quote the answer, which holds secrets.
        problem: format!("{:?} error in its JSON", error.classify()),
    })
}

impl Client {
    /// What keeps it from getting tokens by client credentials, and the way out.
    pub(super) fn obstacle(&self) -> Option<(String, &'static str)> {
        let protocol = self.protocol.as_deref().unwrap_or("openid-connect");
        let authenticator = self.client_authenticator_type.as_deref();
        let authenticator = authenticator.unwrap_or(SECRET_AUTHENTICATOR);
        if protocol != "openid-connect" {
            let problem = format!("its protocol is {}", quote(protocol));
            Some((problem, "choose another client id"))
        } else if self.enabled == Some(false) {
            let way_out = "enable it in Keycloak, or choose another client id";
            Some(("it is disabled (enabled=false)".to_owned(), way_out))
        } else if self.bearer_only == Some(true) {
            let problem = "it never logs in (bearerOnly=true)".to_owned();
            Some((problem, "choose another client id"))
        } else if self.public_client == Some(true) {
            let problem = "it is public and has no secret (publicClient=true)".to_owned();
            let way_out = "switch on Client authentication for it in Keycloak, or choose another \
                           client id";
            Some((problem, way_out))
        } else if self.service_accounts_enabled == Some(false) {
            let problem = "it has no service account (serviceAccountsEnabled=false)".to_owned();
            let way_out = "switch on Service account roles for it in Keycloak, or choose another \
                           client id";
            Some((problem, way_out))
        } else if authenticator != SECRET_AUTHENTICATOR {
            let shown = quote(authenticator);
            let problem = format!("it has no plain secret (clientAuthenticatorType={shown})");
            let way_out = "choose Client Id and Secret under Credentials in Keycloak, or another \
                           client id";
            Some((problem, way_out))
        } else {
            None
        }
    }
}

/// A setting of a client, which has no secret in it.
fn quote(text: &str) -> String {
    KnownSecrets::default().quote(text)
}

/// Whether a secret is only the place in a vault where the secret is.
pub(super) fn is_in_a_vault(secret: &Secret) -> bool {
    secret.reveal().starts_with(VAULT)
}
