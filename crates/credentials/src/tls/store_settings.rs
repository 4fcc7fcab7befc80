//! One store of a `tls` section as its keys describe it; no file is opened here.

use std::iter;
use std::path::{Path, PathBuf};

use kete_config::{AnyKey, Key, Scope, Setting, code};

use super::keys::{IdentityKeys, PasswordKeys, StoreKeys};
use super::words::{self, Inline, LoaderKind, Place};
use crate::store::Format;
use crate::{Secret, codes};

/// A store whose keys are right by themselves.
#[derive(Debug, Clone)]
pub(super) struct StoreSettings {
    /// `trust-store` or `key-store`.
    pub(super) section: &'static str,
    /// The same by its full name, for messages.
    pub(super) full_section: String,
    pub(super) kind: LoaderKind,
    pub(super) bytes: Bytes,
    pub(super) password: Option<Password>,
    pub(super) identity: Option<IdentitySettings>,
}

/// What is said of a key store only.
#[derive(Debug, Clone)]
pub(super) struct IdentitySettings {
    pub(super) alias: Option<String>,
    pub(super) key_path: Option<PathBuf>,
    pub(super) key_password: Option<Password>,
}

/// Where a store is.
#[derive(Debug, Clone)]
pub(super) enum Bytes {
    File(PathBuf),
    Inline(Secret),
}

/// A password, and the full name of the key that says so.
#[derive(Debug, Clone)]
pub(super) struct Password {
    pub(super) full_key: String,
    pub(super) place: PasswordPlace,
}

/// Where a password is.
#[derive(Debug, Clone)]
pub(super) enum PasswordPlace {
    Given(Secret),
    File(PathBuf),
}

impl StoreSettings {
    /// The key that says where the store is.
    pub(super) fn bytes_key(&self) -> String {
        format!("{}.loader.{}", self.section, self.kind.place.word())
    }

    /// The key of this name in the store's section.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.section)
    }

    /// The files that it is read from.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let bytes = match &self.bytes {
            Bytes::File(path) => Some(path.as_path()),
            Bytes::Inline(_) => None,
        };
        let identity = self.identity.as_ref();
        let key = identity.and_then(|identity| identity.key_path.as_deref());
        let passwords = [
            self.password.as_ref(),
            identity.and_then(|identity| identity.key_password.as_ref()),
        ];
        let password_files = passwords.into_iter().flatten().filter_map(Password::file);
        bytes.into_iter().chain(key).chain(password_files)
    }
}

impl Password {
    fn file(&self) -> Option<&Path> {
        match &self.place {
            PasswordPlace::File(path) => Some(path),
            PasswordPlace::Given(_) => None,
        }
    }
}

/// Reads the section of a store. `None` if diagnostics say what is wrong, `Some(None)` if there is
/// no store.
pub(super) fn read(scope: &Scope<'_>, keys: &StoreKeys) -> Option<Option<StoreSettings>> {
    // All of them are read before anything is given up, so that their values count as known.
    let kind = scope.read_optional(keys.kind);
    let path = scope.read_optional(keys.path);
    let base64 = scope.read_optional(keys.base64);
    let text = scope.read_optional(keys.text);
    let password = read_password(scope, &keys.password);
    let identity = match &keys.identity {
        Some(keys) => read_identity(scope, keys).map(Some),
        None => Some(None),
    };
    let Some(kind) = kind? else {
        return kind_is_not_needed(scope, keys).then_some(None);
    };
    let bytes = match kind.place {
        Place::Path => path.map(|path| path.map(Bytes::File)),
        Place::Base64 => base64.map(inline),
        Place::Text => text.map(inline),
    };
    let bytes = require_bytes(scope, keys, kind, bytes);
    if bytes.is_some() {
        warn_of_other_places(scope, keys, kind);
    }
    let (password, identity) = (password?, identity?);
    let has_key = has_key(scope, keys, kind, identity.as_ref());
    if keys.identity.is_none() && password.is_some() && !is_encrypted(kind.format) {
        warn_of_password(scope, keys, kind);
    }
    let settings = StoreSettings {
        section: keys.section,
        full_section: scope.full_name(keys.section),
        kind,
        bytes: bytes?,
        password,
        identity,
    };
    has_key.then_some(Some(settings))
}

fn inline(value: Option<Inline>) -> Option<Bytes> {
    value.map(|Inline(contents)| Bytes::Inline(contents))
}

/// Whether a store of this format can have a password.
fn is_encrypted(format: Format) -> bool {
    matches!(format, Format::Pkcs12 | Format::Jks)
}

/// Without a kind there is no store, and then nothing else may be said about it.
fn kind_is_not_needed(scope: &Scope<'_>, keys: &StoreKeys) -> bool {
    let said = keys.all().find(|name| scope.is_set(name));
    if let Some(said) = said {
        let message = format!("this key is required, because {said} is set");
        let help = format!("expected {}", LoaderKind::EXPECTED);
        scope.reject(keys.kind.name(), code::MISSING_KEY, message, help);
    }
    said.is_none()
}

fn require_bytes(
    scope: &Scope<'_>,
    keys: &StoreKeys,
    kind: LoaderKind,
    bytes: Option<Option<Bytes>>,
) -> Option<Bytes> {
    let bytes = bytes?;
    if bytes.is_none() {
        let name = keys.place(kind.place);
        let place = kind.place.word();
        let message = format!("{place} is required with kind={}", kind.word);
        let set = |other: &LoaderKind| scope.is_set(keys.place(other.place));
        let meant = kind.siblings().find(|other| other != &kind && set(other));
        let help = meant.map(|meant| {
            let set = meant.place.word();
            format!("{set} is set: is kind={} what was meant?", meant.word)
        });
        scope.reject(name, code::MISSING_KEY, message, help);
    }
    bytes
}

fn warn_of_other_places(scope: &Scope<'_>, keys: &StoreKeys, kind: LoaderKind) {
    for place in [Place::Path, Place::Base64, Place::Text] {
        let name = keys.place(place);
        if place != kind.place && scope.is_set(name) {
            let used = kind.place.word();
            let message = format!("kind={} reads {used} and not this", kind.word);
            scope.warn(name, codes::NO_EFFECT, message, None);
        }
    }
}

fn warn_of_password(scope: &Scope<'_>, keys: &StoreKeys, kind: LoaderKind) {
    let message = format!("there is nothing to open with kind={}", kind.word);
    keys.password.warn(scope, &message);
}

/// Whether a key store can have a private key: two formats hold certificates only.
fn has_key(
    scope: &Scope<'_>,
    keys: &StoreKeys,
    kind: LoaderKind,
    identity: Option<&IdentitySettings>,
) -> bool {
    let only_certificates = matches!(kind.format, Format::Der | Format::Pkcs7);
    let Some(IdentitySettings { key_path: None, .. }) = identity.filter(|_| only_certificates)
    else {
        return true;
    };
    let message = format!(
        "{} holds certificates only, and a client needs its private key too",
        kind.word
    );
    let help = "name the file of the key in key-store.loader.key-path, or use pkcs12-file-path, \
                jks-file-path or pem-file-path with a store that has both";
    scope.reject(keys.kind.name(), codes::BAD_STORE, message, help.to_owned());
    false
}

fn read_identity(scope: &Scope<'_>, keys: &IdentityKeys) -> Option<IdentitySettings> {
    let alias = scope.read_optional(keys.alias);
    let key_path = scope.read_optional(keys.key_path);
    let key_password = read_password(scope, &keys.key_password);
    Some(IdentitySettings {
        alias: alias?,
        key_path: key_path?,
        key_password: key_password?,
    })
}

/// `None` if diagnostics say what is wrong, `Some(None)` if there is no password. A blank one is
/// an empty password, unless another key says more.
fn read_password(scope: &Scope<'_>, keys: &PasswordKeys) -> Option<Option<Password>> {
    let read = |key: &'static Key<words::Password>| Some((key.name(), scope.read_optional(key)?));
    let texts: Vec<_> = keys.texts().map(read).collect();
    let file = scope.read_optional(keys.file)?;
    let texts: Option<Vec<_>> = texts.into_iter().collect();
    let given = texts?.into_iter();
    let given = given.filter_map(|(name, value)| Some((name, value?.0)));
    let (blank, mut given): (Vec<_>, Vec<_>) =
        given.partition(|(_, password)| password.reveal().is_empty());
    if let [(name, one), (other_name, other)] = given.as_slice()
        && one != other
    {
        let message = format!("this is another password than that of {name}");
        let help = "they are two names of one setting: leave one out".to_owned();
        scope.reject(other_name, codes::CONTRADICTION, message, help);
        return None;
    }
    given.extend(blank);
    match (given.into_iter().next(), file) {
        (Some((name, given)), Some(_)) if !given.reveal().is_empty() => {
            let message = format!("{name} is set as well, and only one of them can count");
            let help = "leave one of them out".to_owned();
            scope.reject(keys.file.name(), codes::CONTRADICTION, message, help);
            None
        }
        (_, Some(path)) => Some(Some(Password {
            full_key: scope.full_name(keys.file.name()),
            place: PasswordPlace::File(path),
        })),
        (given, None) => Some(given.map(|(name, given)| Password {
            full_key: scope.full_name(name),
            place: PasswordPlace::Given(given),
        })),
    }
}

impl StoreKeys {
    fn place(&self, place: Place) -> &'static str {
        match place {
            Place::Path => self.path.name(),
            Place::Base64 => self.base64.name(),
            Place::Text => self.text.name(),
        }
    }

    /// The names of all keys but that of the kind.
    fn all(&self) -> impl Iterator<Item = &'static str> {
        let places = [Place::Path, Place::Base64, Place::Text].map(|place| self.place(place));
        let identity = self.identity.as_ref().into_iter().flat_map(|keys| {
            let own = [keys.key_path.name(), keys.alias.name()];
            own.into_iter().chain(keys.key_password.all())
        });
        places
            .into_iter()
            .chain(self.password.all())
            .chain(identity)
    }
}

impl PasswordKeys {
    /// Warns that those that are set have no effect.
    pub(super) fn warn(&self, scope: &Scope<'_>, message: &str) {
        for name in self.all().filter(|name| scope.is_set(name)) {
            scope.warn(name, codes::NO_EFFECT, message, None);
        }
    }

    fn texts(&self) -> impl Iterator<Item = &'static Key<words::Password>> {
        iter::once(self.text).chain(self.alternative)
    }

    fn all(&self) -> impl Iterator<Item = &'static str> {
        self.texts().map(AnyKey::name).chain([self.file.name()])
    }
}
