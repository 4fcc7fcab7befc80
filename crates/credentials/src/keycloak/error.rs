//! Why a client could not be prepared, with the way out.

use crate::oauth::TokenError;

/// Why a client could not be prepared. `Clone`, because several who wait may share it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationError {
    /// The account gets no token.
    #[error("{account} cannot log in: {error}{way_out}")]
    Login {
        /// Who wanted to log in.
        account: String,
        /// What became of it.
        error: Box<TokenError>,
        /// What to do about it, with a leading semicolon; blank if the error says all.
        way_out: String,
    },
    /// The account may not do it.
    #[error("403: {account} may not manage the clients of realm {realm}; {way_out}")]
    Forbidden {
        /// Who asked.
        account: String,
        /// The realm of the client.
        realm: String,
        /// Which role is missing.
        way_out: String,
    },
    /// A token that was just issued is refused.
    #[error(
        "401 even with a new token: does kete.keycloak.url name the Keycloak that issued it, and \
         is its host name the one in the token?"
    )]
    Unauthorized,
    /// There is no such realm, or no Keycloak.
    #[error(
        "404 for realm {realm}: is its name right, and does kete.keycloak.url have the right path?"
    )]
    NoSuchRealm {
        /// The realm of the client.
        realm: String,
    },
    /// The client that is there cannot get tokens, or must not be used.
    #[error("the client {client_id} of realm {realm} cannot be used: {problem}; {way_out}")]
    Unusable {
        /// The client.
        client_id: String,
        /// Its realm.
        realm: String,
        /// The setting that is in the way.
        problem: String,
        /// What to do about it.
        way_out: &'static str,
    },
    /// Keycloak says that the client is there, and does not show it.
    #[error(
        "Keycloak says that the client {client_id} of realm {realm} exists, but does not show it \
         to {account}: is it just being deleted?"
    )]
    Hidden {
        /// Who asked.
        account: String,
        /// The client.
        client_id: String,
        /// Its realm.
        realm: String,
    },
    /// Keycloak refuses the request in another way.
    #[error("Keycloak refuses: {status} {said}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        said: String,
    },
    /// Keycloak, or what stands before it, is somewhere else.
    #[error("{status}: a redirect; kete.keycloak.url must be the address that it leads to")]
    Redirected {
        /// The HTTP status.
        status: u16,
    },
    /// The server cannot answer now.
    #[error("{status}: Keycloak cannot answer now")]
    Busy {
        /// The HTTP status.
        status: u16,
    },
    /// No answer: nothing listens, TLS failed, the connection broke, or it took too long.
    #[error("Keycloak at {url} cannot be reached: {problem}")]
    Unreachable {
        /// Its base URL.
        url: String,
        /// What went wrong.
        problem: String,
    },
    /// The answer is not one of the Admin API.
    #[error(
        "an answer that is not Keycloak's ({problem}); is this Keycloak, at kete.keycloak.url?"
    )]
    Malformed {
        /// What is wrong with it; never the answer itself.
        problem: String,
    },
    /// The operating system gives no random bytes for a secret.
    #[error("no secret can be made: the operating system gives no random bytes: {problem}")]
    NoRandomBytes {
        /// What it said.
        problem: String,
    },
}

impl RegistrationError {
    /// Whether trying again can help without a change of a configuration.
    #[must_use]
    pub fn can_retry_help(&self) -> bool {
        match self {
            RegistrationError::Login { error, .. } => error.can_retry_help(),
            RegistrationError::Busy { .. }
            | RegistrationError::Unreachable { .. }
            | RegistrationError::Hidden { .. } => true,
            _ => false,
        }
    }
}
