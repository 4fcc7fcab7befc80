//! Reads a `tls` section with its stores, and says all that is wrong with it.

use std::sync::Arc;
use std::time::SystemTime;

use kete_config::{AnyKey, Scope};
use url::Url;

use super::configuration::Options;
use super::keys::{self, KEY_STORE, SERVER_NAME, SYSTEM_ROOTS, TRUST_STORE};
use super::material::{Material, Stores};
use super::snapshot::Snapshot;
use super::{Checked, TlsSettings, store_settings, validity};
use crate::codes;

/// Whether a URL is one of the encrypted schemes.
pub(super) fn is_encrypted(url: &Url) -> bool {
    matches!(url.scheme(), "https" | "wss")
}

/// Reads the section as it is to be at a time. `None` if diagnostics say what is wrong.
pub(super) fn read(scope: &Scope<'_>, url: Option<&Url>, now: SystemTime) -> Option<TlsSettings> {
    let encrypted = url.map(is_encrypted);
    let enabled = check_enabled(scope, encrypted);
    let options = read_options(scope, encrypted);
    let trust = store_settings::read(scope, &TRUST_STORE);
    let key = store_settings::read(scope, &KEY_STORE);
    let trusted = matches!(&trust, Some(trust) if check_anybody_trusted(scope, trust.is_some()));
    let is_right = enabled && trusted && key.is_some();
    let stores = Stores {
        trust: trust.flatten(),
        key: key.flatten(),
    };
    if encrypted == Some(false) {
        warn_of_stores(scope, &stores);
    }
    let snapshot = stores.snapshot();
    let material = load(scope, &stores, &snapshot);
    if let Some(material) = &material {
        warn_of_key_password(scope, material);
        validity::report(scope, &stores, material, now);
    }
    let checked = Checked {
        section: scope.prefix().to_owned(),
        encrypted: encrypted.unwrap_or(true),
        options: options?,
        fingerprint: snapshot.fingerprint(),
        stores,
        material: Arc::new(material?),
    };
    is_right.then(|| TlsSettings(Arc::new(checked)))
}

/// What has to do with the URL. Returns whether the section can be used with it.
fn check_enabled(scope: &Scope<'_>, encrypted: Option<bool>) -> bool {
    let name = keys::ENABLED.name();
    let Some(enabled) = scope.read_optional(&keys::ENABLED) else {
        return false;
    };
    match (enabled, encrypted) {
        (Some(true), Some(false)) => {
            let message = "the url is not encrypted, so there is no TLS to enable";
            let help = "write https:// or wss:// in url".to_owned();
            scope.reject(name, codes::CONTRADICTION, message, help);
            false
        }
        (Some(false), Some(true)) => {
            let message = "the url is encrypted, so TLS is used all the same";
            scope.warn(name, codes::NO_EFFECT, message, None);
            true
        }
        _ => true,
    }
}

fn read_options(scope: &Scope<'_>, encrypted: Option<bool>) -> Option<Options> {
    let versions = scope.read(&keys::VERSION);
    let verify_hostname = scope.read(&keys::VERIFY_HOSTNAME);
    let server_name = scope.read_optional(&SERVER_NAME);
    let reconnect_on_renewal = scope.read(&keys::RECONNECT_ON_RENEWAL);
    let include_system_roots = scope.read(&SYSTEM_ROOTS);
    if encrypted == Some(false) {
        let set = [
            (keys::VERSION.name(), versions.is_some()),
            (keys::VERIFY_HOSTNAME.name(), verify_hostname == Some(false)),
            (SERVER_NAME.name(), server_name.is_some()),
            (
                keys::RECONNECT_ON_RENEWAL.name(),
                reconnect_on_renewal == Some(true),
            ),
        ];
        warn_of_options(scope, set);
    } else if verify_hostname == Some(false) {
        let message = "the server may have the certificate of any other host, as long as a \
                       trusted authority has issued it";
        let help = "leave it out; if the certificate is for another name than that of the url, \
                    write that name in server-name";
        let name = keys::VERIFY_HOSTNAME.name();
        scope.warn(name, codes::INSECURE, message, help.to_owned());
    }
    Some(Options {
        versions: versions?,
        verify_hostname: verify_hostname?,
        server_name: server_name?,
        reconnect_on_renewal: reconnect_on_renewal?,
        include_system_roots: include_system_roots?,
    })
}

/// Without the system's authorities and without a store there is nobody left.
fn check_anybody_trusted(scope: &Scope<'_>, has_store: bool) -> bool {
    let alone = scope.read(&SYSTEM_ROOTS) == Some(false) && !has_store;
    if alone {
        let message = "nobody would be trusted, because there is no trust store";
        let help = "name the authorities to trust in trust-store.loader, or leave this out";
        let name = SYSTEM_ROOTS.name();
        scope.reject(name, codes::CONTRADICTION, message, help.to_owned());
    }
    !alone
}

/// Of keys with the values that would mean something. A wrong value is an error by itself.
fn warn_of_options(scope: &Scope<'_>, set: [(&'static str, bool); 4]) {
    for (name, means_something) in set {
        if means_something && scope.is_set(name) {
            let message = "the url is not encrypted, so this has no effect";
            let help = "write https:// or wss:// in url".to_owned();
            scope.warn(name, codes::NO_EFFECT, message, help);
        }
    }
}

fn warn_of_stores(scope: &Scope<'_>, stores: &Stores) {
    for store in stores.iter() {
        let message = "the url is not encrypted, so the store is checked and not used";
        let help = "write https:// or wss:// in url".to_owned();
        scope.warn(&store.key("loader.kind"), codes::NO_EFFECT, message, help);
    }
}

/// KETE tries it first and the store's then, so this works there as well.
fn warn_of_key_password(scope: &Scope<'_>, material: &Material) {
    if let Some(keys) = KEY_STORE
        .identity
        .as_ref()
        .filter(|_| material.has_idle_key_password)
    {
        let message = "the store is PKCS#12, which has one password for all of it, and that of \
                       the store has opened the private key";
        keys.key_password.warn(scope, message);
    }
}

fn load(scope: &Scope<'_>, stores: &Stores, snapshot: &Snapshot) -> Option<Material> {
    let problems = match stores.load(snapshot) {
        Ok(material) => return Some(material),
        Err(problems) => problems,
    };
    for problem in problems {
        scope.reject(&problem.key, problem.code, problem.message, problem.help);
    }
    None
}
