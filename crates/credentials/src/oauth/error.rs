//! Why there is no token.

use std::path::PathBuf;
use std::time::Duration;

use kete_config::code;

use crate::codes;
use crate::files::FileError;
use crate::keycloak::RegistrationError;
use crate::store::StoreError;

/// Why there is no token. `Clone`, because waiting callers share it. What a server said is in it
/// shortened, escaped and without the secrets that were sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The server refused the client.
    #[error("{endpoint} refused the client: {status} {error}{description}")]
    Refused {
        /// The token endpoint.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// The error code of RFC 6749, section 5.2.
        error: String,
        /// What the server added, with a leading colon; or empty.
        description: String,
    },
    /// No answer: nothing listens, TLS failed, the connection broke.
    #[error("{endpoint} cannot be asked for a token: {problem}")]
    Unreachable {
        /// The token endpoint.
        endpoint: String,
        /// What went wrong.
        problem: String,
    },
    /// No answer in time.
    #[error("{endpoint} gave no token within {deadline:?}")]
    Timeout {
        /// The token endpoint.
        endpoint: String,
        /// How long it was waited for.
        deadline: Duration,
    },
    /// The answer is not one of a token endpoint.
    #[error("{endpoint} answered {status}, but not with a token: {problem}")]
    NotAToken {
        /// The token endpoint.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// What is wrong with the answer; never the answer itself.
        problem: String,
    },
    /// The answer points elsewhere, and credentials are not carried there.
    #[error(
        "{endpoint} answered {status} and points to {to}, where the credentials are not sent; \
         name the right token endpoint"
    )]
    Redirected {
        /// The token endpoint.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// Scheme, host and port of the other place.
        to: String,
    },
    /// The file with which the client proves itself cannot be used.
    #[error("{endpoint} is not asked for a token: {problem}")]
    File {
        /// The token endpoint.
        endpoint: String,
        /// The file, and what is wrong with it.
        problem: String,
    },
    /// The client has no secret, because it could not be registered.
    #[error("{endpoint} is not asked for a token, because the client has no secret: {problem}")]
    NotRegistered {
        /// The token endpoint.
        endpoint: String,
        /// Why.
        problem: Box<RegistrationError>,
    },
}

impl TokenError {
    /// Whether trying again can help without a change of the configuration.
    #[must_use]
    pub fn can_retry_help(&self) -> bool {
        match self {
            TokenError::Refused { status, error, .. } => {
                is_passing(*status) || error == "temporarily_unavailable" || error == "server_error"
            }
            TokenError::NotAToken { status, .. } => is_passing(*status),
            // Files are written by others, who may be about to.
            TokenError::Unreachable { .. }
            | TokenError::Timeout { .. }
            | TokenError::File { .. } => true,
            TokenError::Redirected { .. } => false,
            TokenError::NotRegistered { problem, .. } => problem.can_retry_help(),
        }
    }

    /// Whether the server does not take the client for who it says it is (RFC 6749, section 5.2;
    /// Keycloak says `unauthorized_client` of a wrong secret).
    pub(super) fn is_about_the_client(&self) -> bool {
        matches!(self, TokenError::Refused { status: 400 | 401, error, .. }
            if matches!(error.as_str(), "invalid_client" | "unauthorized_client"))
    }

    /// What to do about it, as it follows the error and a semicolon. Whoever knows more about the
    /// client, such as its role in Keycloak, says that instead.
    #[must_use]
    pub fn way_out(&self) -> Option<&'static str> {
        let TokenError::Refused { status, error, .. } = self else {
            return None;
        };
        match (error.as_str(), *status) {
            // Keycloak says the second of a wrong secret, others of a client without this grant.
            ("invalid_client" | "unauthorized_client", _) => Some(
                "check client-id, its credentials and client-auth, and that it may have tokens \
                      for itself (Keycloak: service accounts)",
            ),
            ("invalid_scope", _) => Some("check scope"),
            ("unsupported_grant_type", _) => Some("the server has to allow client_credentials"),
            (_, 404) => Some("check token-url, and that the realm in it exists"),
            _ => None,
        }
    }
}

fn is_passing(status: u16) -> bool {
    status >= 500 || matches!(status, 408 | 429)
}

/// Why what is to prove a client cannot be read. The text names the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProofError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It holds no private key that can be opened.
    #[error("{}: {error}", path.display())]
    Key { path: PathBuf, error: StoreError },
    /// It holds something else.
    #[error("{} {problem}", path.display())]
    Unusable {
        path: PathBuf,
        problem: &'static str,
    },
    /// Reading took too long, or the process ends.
    #[error("{} could not be read: {problem}", path.display())]
    NotRead { path: PathBuf, problem: String },
}

impl ProofError {
    /// The code of the diagnostic, where the file is looked at before it is needed.
    pub(super) fn code(&self) -> &'static str {
        match self {
            ProofError::File(_) | ProofError::NotRead { .. } => code::UNREADABLE_FILE,
            ProofError::Key { .. } => codes::BAD_STORE,
            ProofError::Unusable { .. } => codes::BAD_CREDENTIALS,
        }
    }

    /// The way out.
    pub(super) fn help(&self) -> Option<String> {
        match self {
            ProofError::File(error) => error.help(),
            ProofError::Key {
                error: StoreError::Password { given: false, .. },
                ..
            } => Some(
                "write its password into key-password, or name a file that holds it with \
                 key-password-file"
                    .to_owned(),
            ),
            ProofError::Key { .. } | ProofError::Unusable { .. } | ProofError::NotRead { .. } => {
                None
            }
        }
    }
}
