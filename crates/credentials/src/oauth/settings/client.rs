//! Who asks for tokens, and what proves it.

use std::path::PathBuf;

use kete_config::{AnyKey, Key, Scope, code};

use super::endpoint::{Endpoint, reject_missing_realm};
use super::keys::{
    ASSERTION_AUDIENCE, CLIENT_AUTH, CLIENT_ID, CLIENT_SECRET, CLIENT_SECRET_FILE, JWT_PATH,
    KEY_ID, KEY_PASSWORD, KEY_PASSWORD_FILE, KEY_PATH, Method, Mode,
};
use crate::SecretText;
use crate::codes;
use crate::keycloak::{DEFAULT_OAUTH_CLIENT, OwnClient, Registration};
use crate::oauth::assertion::{PrivateKeyJwt, read_jwt};
use crate::oauth::client_auth::{ClientAuth, ClientSecret, RegisteredClient};
use crate::oauth::error::ProofError;
use crate::tls::TlsSettings;

/// The client's id, if it may get tokens for receivers. `None` if diagnostics say what is wrong.
pub(super) fn read_id(scope: &Scope<'_>, endpoint: &Endpoint) -> Option<String> {
    let client_id = match (scope.read_optional(&CLIENT_ID)?, endpoint.mode?) {
        (Some(client_id), _) => client_id,
        (None, Mode::Internal) => DEFAULT_OAUTH_CLIENT.to_owned(),
        (None, Mode::External) => {
            let message = "this key is required with mode=external";
            let help = "write the id that the authorization server knows the client by".to_owned();
            scope.reject(CLIENT_ID.name(), code::MISSING_KEY, message, help);
            return None;
        }
    };
    let own = OwnClient::of(scope.settings()).filter(|own| own.client_id == client_id);
    let Some(own) = own else {
        return Some(client_id);
    };
    if !endpoint.is_that_of(&own, scope) {
        if endpoint.resembles_that_of(&own, scope) {
            let message = "a client of this id polls Keycloak, in a realm with the same path; if \
                           token-url leads to the same Keycloak, a receiver could read all events \
                           with its tokens";
            let help = "take another client, unless these are two servers".to_owned();
            scope.warn(CLIENT_ID.name(), codes::BAD_CREDENTIALS, message, help);
        }
        return Some(client_id);
    }
    let message = "this client polls Keycloak, so a receiver could read all events with its tokens";
    let realm = endpoint.realm.as_deref();
    let other = match client_id.as_str() {
        DEFAULT_OAUTH_CLIENT => "kete-receivers",
        _ => DEFAULT_OAUTH_CLIENT,
    };
    let help = format!(
        "take another one; this makes it:\n{}",
        preparation(other, realm)
    );
    scope.reject(CLIENT_ID.name(), codes::BAD_CREDENTIALS, message, help);
    None
}

/// What proves the client. `None` if diagnostics say what is wrong. `client_id` is missing if it
/// is wrong, `tls` likewise.
pub(super) fn read_auth(
    scope: &Scope<'_>,
    endpoint: &Endpoint,
    client_id: Option<&str>,
    tls: Option<&TlsSettings>,
) -> Option<ClientAuth> {
    let method = scope.read(&CLIENT_AUTH)?;
    warn_of_unused(scope, method);
    match method {
        Method::SecretBasic => read_secret(scope, endpoint, client_id).map(ClientAuth::SecretBasic),
        Method::SecretPost => read_secret(scope, endpoint, client_id).map(ClientAuth::SecretPost),
        Method::PrivateKeyJwt => read_private_key(scope, endpoint).map(ClientAuth::PrivateKeyJwt),
        Method::JwtFile => {
            let path = read_path(scope, &JWT_PATH, method)?;
            let jwt = read_jwt(&path).map_err(|problem| reject(scope, &JWT_PATH, &problem));
            jwt.ok().map(|_| ClientAuth::JwtFile(path))
        }
        Method::TlsClientAuth => check_certificate(scope, endpoint, tls),
    }
}

/// Every method has keys of its own. Those of another have no effect, which nobody wants.
fn warn_of_unused(scope: &Scope<'_>, method: Method) {
    let texts: [(&Key<String>, &[Method]); 4] = [
        (&CLIENT_SECRET, &[Method::SecretBasic, Method::SecretPost]),
        (&KEY_PASSWORD, &[Method::PrivateKeyJwt]),
        (&KEY_ID, &[Method::PrivateKeyJwt]),
        (&ASSERTION_AUDIENCE, &[Method::PrivateKeyJwt]),
    ];
    let paths: [(&Key<PathBuf>, &[Method]); 4] = [
        (
            &CLIENT_SECRET_FILE,
            &[Method::SecretBasic, Method::SecretPost],
        ),
        (&KEY_PATH, &[Method::PrivateKeyJwt]),
        (&KEY_PASSWORD_FILE, &[Method::PrivateKeyJwt]),
        (&JWT_PATH, &[Method::JwtFile]),
    ];
    let of_others = |methods: &[Method]| !methods.contains(&method);
    let texts = texts
        .into_iter()
        .filter(|(key, methods)| of_others(methods) && scope.read(key).is_some())
        .map(|(key, methods)| (key.name(), methods));
    let paths = paths
        .into_iter()
        .filter(|(key, methods)| of_others(methods) && scope.read(key).is_some())
        .map(|(key, methods)| (key.name(), methods));
    for (name, methods) in texts.chain(paths) {
        let message = format!("{}={} does not use it", CLIENT_AUTH.name(), method.word());
        let words: Vec<_> = methods.iter().map(|method| method.word()).collect();
        let meant = words.join(" or ");
        let help = format!("leave it out, or write {}={meant}", CLIENT_AUTH.name());
        scope.warn(name, codes::NO_EFFECT, message, help);
    }
}

fn read_secret(
    scope: &Scope<'_>,
    endpoint: &Endpoint,
    client_id: Option<&str>,
) -> Option<ClientSecret> {
    if let Some(text) = SecretText::read(scope, &CLIENT_SECRET, &CLIENT_SECRET_FILE)? {
        return Some(ClientSecret::Text(text));
    }
    if endpoint.mode? == Mode::External {
        let message = "this key is required with mode=external";
        let help = "write the secret of the client, name a file that holds it with \
                    client-secret-file, or choose another client-auth";
        scope.reject(
            CLIENT_SECRET.name(),
            code::MISSING_KEY,
            message,
            help.to_owned(),
        );
        return None;
    }
    let registration = Registration::read(scope.settings(), scope.diagnostics())?;
    let realm = endpoint.realm.clone();
    let Some(registration) = registration else {
        let client_id = client_id.unwrap_or(DEFAULT_OAUTH_CLIENT);
        let message = "the client has no secret, and no account is named that could ask for it";
        let help = format!(
            "make the client with the command below, and write the secret that it prints here\n{}",
            preparation(client_id, realm.as_deref())
        );
        scope.reject(CLIENT_SECRET.name(), code::MISSING_KEY, message, help);
        return None;
    };
    if realm.is_none() {
        reject_missing_realm(scope);
    }
    Some(ClientSecret::Registered(Box::new(RegisteredClient {
        registration,
        keycloak: endpoint.keycloak.clone()?,
        realm: realm?,
    })))
}

/// The command that makes a client.
fn preparation(client_id: &str, realm: Option<&str>) -> String {
    let realm = realm.unwrap_or("REALM");
    format!("kete keycloak prepare --oauth-client {client_id} --realm {realm}")
}

fn read_private_key(scope: &Scope<'_>, endpoint: &Endpoint) -> Option<PrivateKeyJwt> {
    let key_path = read_path(scope, &KEY_PATH, Method::PrivateKeyJwt);
    let key_password = SecretText::read(scope, &KEY_PASSWORD, &KEY_PASSWORD_FILE);
    let key_id = scope.read(&KEY_ID);
    let audience = scope.read(&ASSERTION_AUDIENCE);
    let jwt = PrivateKeyJwt {
        key_path: key_path?,
        key_password: key_password?,
        key_id,
        audience: audience.or_else(|| Some(endpoint.token_url.as_ref()?.to_string()))?,
    };
    let key = jwt
        .key()
        .map_err(|problem| reject(scope, &KEY_PATH, &problem));
    key.ok().map(|_| jwt)
}

/// A path that the method cannot do without.
fn read_path(scope: &Scope<'_>, key: &Key<PathBuf>, method: Method) -> Option<PathBuf> {
    let path = scope.read_optional(key)?;
    if path.is_none() {
        let message = format!(
            "this key is required with {}={}",
            CLIENT_AUTH.name(),
            method.word()
        );
        let help = format!("expected a path: {}", key.doc());
        scope.reject(key.name(), code::MISSING_KEY, message, help);
    }
    path
}

fn reject(scope: &Scope<'_>, key: &Key<PathBuf>, problem: &ProofError) {
    scope.reject(
        key.name(),
        problem.code(),
        problem.to_string(),
        problem.help(),
    );
}

/// A certificate proves nothing if there is none, or no TLS to show it.
fn check_certificate(
    scope: &Scope<'_>,
    endpoint: &Endpoint,
    tls: Option<&TlsSettings>,
) -> Option<ClientAuth> {
    let is_encrypted = endpoint.token_url.as_ref()?.scheme() == "https";
    let certificates = tls?.certificates();
    let (message, help) = if !is_encrypted {
        (
            "the token endpoint is asked without TLS, so no certificate is shown",
            "write https:// in its url",
        )
    } else if certificates.iter().any(|one| one.store == "key-store") {
        return Some(ClientAuth::TlsClientAuth);
    } else {
        (
            "the certificate that proves the client is missing",
            "name it with oauth.tls.key-store.loader.kind and the keys beside that",
        )
    };
    scope.reject(
        CLIENT_AUTH.name(),
        codes::BAD_CREDENTIALS,
        message,
        help.to_owned(),
    );
    None
}
