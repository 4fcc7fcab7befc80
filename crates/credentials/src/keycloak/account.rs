//! Who logs in to Keycloak to prepare a client, and how.

use std::fmt;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use tracing::debug;
use url::form_urlencoded;

use super::error::RegistrationError;
use super::{Keycloak, answer};
use crate::http::HttpClient;
use crate::oauth::{
    ClientAuth, ClientCredentials, ClientSecret, Token, TokenError, TokenSource, token_by_password,
};
use crate::{Secret, SecretText};

/// How long a login may take.
const DEADLINE: Duration = Duration::from_secs(15);

/// The client that every realm of Keycloak has for administrators at the command line.
const ADMINISTRATORS_CLIENT: &str = "admin-cli";

/// The realm whose accounts may manage others.
const MASTER: &str = "master";

/// Who logs in to Keycloak, and in which realm. Prints without its secret.
#[derive(Clone)]
pub enum Account {
    /// A person, by the resource owner password grant (RFC 6749, section 4.3) of Keycloak's
    /// client `admin-cli`.
    Administrator {
        /// The realm that the user is in; for administrators often `master`.
        realm: String,
        /// The user's name.
        user: String,
        /// The user's password.
        password: Secret,
    },
    /// A confidential client with a service account, by client credentials (section 4.4).
    Client {
        /// The realm that the client is in.
        realm: String,
        /// Its id.
        client_id: String,
        /// Its secret.
        secret: SecretText,
    },
}

/// As it stands in messages.
impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Account::Administrator { realm, user, .. } => {
                write!(formatter, "the user {user} of realm {realm}")
            }
            Account::Client {
                realm, client_id, ..
            } => write!(formatter, "the client {client_id} of realm {realm}"),
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Account({self})")
    }
}

/// What a login gives.
pub(super) struct Login {
    /// For the Admin API.
    pub(super) token: Token,
    /// The refresh token of a session that Keycloak keeps until somebody ends it.
    session: Option<Secret>,
}

impl Account {
    pub(super) fn realm(&self) -> &str {
        match self {
            Account::Administrator { realm, .. } | Account::Client { realm, .. } => realm,
        }
    }

    /// Gets a token for the Admin API.
    pub(super) async fn log_in(
        &self,
        http: &HttpClient,
        keycloak: &Keycloak,
    ) -> Result<Login, RegistrationError> {
        let login = match self {
            Account::Client {
                realm,
                client_id,
                secret,
            } => {
                let auth = ClientAuth::SecretBasic(ClientSecret::Text(secret.clone()));
                let token_url = keycloak.token_endpoint(realm);
                let credentials = ClientCredentials {
                    deadline: DEADLINE,
                    ..ClientCredentials::new(token_url, client_id.clone(), auth)
                };
                let token = TokenSource::new(credentials, http.clone()).token().await;
                token.map(|token| (token, None))
            }
            Account::Administrator {
                realm,
                user,
                password,
            } => {
                let (url, login) = (keycloak.token_endpoint(realm), (&**user, password));
                token_by_password(http, &url, ADMINISTRATORS_CLIENT, login, DEADLINE).await
            }
        };
        let (token, session) = login.map_err(|error| RegistrationError::Login {
            account: self.to_string(),
            way_out: self.way_out(&error),
            error: Box::new(error),
        })?;
        Ok(Login { token, session })
    }

    /// Ends a login. Whether that works changes nothing for what was done with it, so a failure is
    /// only logged.
    pub(super) async fn log_out(&self, login: &Login, http: &HttpClient, keycloak: &Keycloak) {
        let Some(session) = &login.session else {
            return;
        };
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", ADMINISTRATORS_CLIENT)
            .append_pair("refresh_token", session.reveal())
            .finish();
        let url = keycloak.logout_endpoint(self.realm());
        let ended = match http.request(Method::POST, url).await {
            Ok(request) => {
                let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
                let sent = answer::to(request.body(form).timeout(DEADLINE)).await;
                sent.map_or_else(|error| error.to_string(), |(status, _)| status.to_string())
            }
            Err(error) => error.to_string(),
        };
        debug!(account = %self, ended, "asked for a logout");
    }

    /// What to do about a refused login; blank if the error itself says enough.
    fn way_out(&self, error: &TokenError) -> String {
        let TokenError::Refused { status, error, .. } = error else {
            return String::new();
        };
        let realm = self.realm();
        match (self, *status, error.as_str()) {
            (_, 404, _) => format!(
                "; is there a realm {realm}, and does kete.keycloak.url have the right path?"
            ),
            (Account::Client { .. }, 401, _) => {
                "; are its id and its secret right, is it enabled, and has it a service account?"
                    .to_owned()
            }
            (Account::Administrator { .. }, _, "unauthorized_client") => format!(
                "; the client {ADMINISTRATORS_CLIENT} of that realm must allow direct access grants"
            ),
            (Account::Administrator { .. }, 401, _) => {
                "; the name or the password is wrong, or Keycloak wants a one-time password as \
                 well, which cannot be given here: use another account, or a client that may \
                 manage clients"
                    .to_owned()
            }
            (Account::Administrator { .. }, 400, _) => {
                "; log in with a browser once, and do what Keycloak asks for there".to_owned()
            }
            _ => String::new(),
        }
    }

    /// Which role it lacks to manage the clients of a realm.
    pub(super) fn missing_role(&self, realm: &str) -> String {
        let own = self.realm();
        // Each realm has such a client for itself; master has one for each realm.
        let roles_of = match own {
            MASTER => format!("{realm}-realm"),
            _ if own == realm => "realm-management".to_owned(),
            _ => {
                return format!("only accounts of realm {realm} itself, or of {MASTER}, can");
            }
        };
        let whom = match self {
            Account::Administrator { .. } => "it",
            Account::Client { .. } => "its service account",
        };
        format!("give {whom} the role manage-clients of the client {roles_of} in realm {own}")
    }
}
