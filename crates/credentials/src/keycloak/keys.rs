//! The keys of `kete.keycloak.*`, declared once for all who read them.

use std::path::PathBuf;

use kete_config::{Key, KeyTable};
use url::Url;

use crate::tls::TLS_KEYS;

pub(super) static URL: Key<Url> = Key::required(
    "url",
    "where Keycloak is, with its path if it has one, such as https://keycloak.example.com/auth",
);
pub(super) static AUTH_REALM: Key<String> = Key::optional(
    "auth-realm",
    "the realm that the client is in; without it, each realm that is polled",
);
pub(super) static CLIENT_ID: Key<String> = Key::required(
    "client-id",
    "a confidential client with a service account that has the role view-events; only an \
     admin-api source needs it",
);
pub(super) static CLIENT_SECRET: Key<String> =
    Key::optional("client-secret", "the secret of that client").secret();
/// The same key where no file holds the secret.
pub(super) static NEEDED_CLIENT_SECRET: Key<String> = Key::required(
    "client-secret",
    "the secret of that client; or name a file that holds it with client-secret-file",
)
.secret();
pub(super) static CLIENT_SECRET_FILE: Key<PathBuf> = Key::optional(
    "client-secret-file",
    "a file that holds the secret of that client",
);
pub(super) static REALMS: Key<Vec<String>> = Key::optional(
    "realms",
    "the realms to poll, by name, for every admin-api source that does not name its own",
);

/// The keys below `kete.keycloak.`: how to reach Keycloak, and who polls it.
pub static KEYCLOAK_KEYS: KeyTable = &[
    &URL,
    &AUTH_REALM,
    &CLIENT_ID,
    &CLIENT_SECRET,
    &CLIENT_SECRET_FILE,
    &REALMS,
];

/// The sections below it.
pub static KEYCLOAK_SECTIONS: &[(&str, KeyTable)] =
    &[("tls", TLS_KEYS), (REGISTRATION, REGISTRATION_KEYS)];

/// The section of the account that registers clients.
pub(super) const REGISTRATION: &str = "registration";

pub(super) static REGISTRATION_CLIENT_ID: Key<String> = Key::required(
    "client-id",
    "a confidential client whose service account may manage clients (role manage-clients), and \
     nothing else; it creates the clients of destinations that have no secret",
);
static REGISTRATION_SECRET: Key<String> =
    Key::optional("client-secret", "the secret of that client").secret();
pub(super) static REGISTRATION_SECRET_FILE: Key<PathBuf> = Key::optional(
    "client-secret-file",
    "a file that holds the secret of that client",
);
pub(super) static REGISTRATION_REALM: Key<String> = Key::optional(
    "realm",
    "the realm that this account is in; without it, the realm of the client to be created",
);

/// The keys below `kete.keycloak.registration.`.
pub static REGISTRATION_KEYS: KeyTable = &[
    &REGISTRATION_CLIENT_ID,
    &REGISTRATION_SECRET,
    &REGISTRATION_SECRET_FILE,
    &REGISTRATION_REALM,
];
