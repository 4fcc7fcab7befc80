//! Loads one store: its file, its passwords, and what they open.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::authority;
use super::problem::Problem;
use super::snapshot::Snapshot;
use super::store_settings::{Bytes, Password, PasswordPlace, StoreSettings};
use super::words::Place;
use crate::Secret;
use crate::certificate::CertificateFacts;
use crate::files::secret_of;
use crate::store::{
    Kind, Passwords, Store, StoreError, decode_base64, read_private_key, signing_key,
    unescape_pem_text,
};

/// Loads a store and collects what is wrong with it. What returns an `Option` returns `None` after
/// such a problem.
pub(super) struct Loader<'l> {
    store: &'l StoreSettings,
    snapshot: &'l Snapshot,
    problems: &'l mut Vec<Problem>,
}

/// What a key store holds.
pub(super) struct Client {
    pub(super) identity: Arc<CertifiedKey>,
    /// Those of its chain, its own first.
    pub(super) facts: Vec<CertificateFacts>,
    /// Whether there is a password for the key, and it opens nothing.
    pub(super) has_idle_key_password: bool,
}

impl<'l> Loader<'l> {
    pub(super) fn new(
        store: &'l StoreSettings,
        snapshot: &'l Snapshot,
        problems: &'l mut Vec<Problem>,
    ) -> Loader<'l> {
        Loader {
            store,
            snapshot,
            problems,
        }
    }

    /// The certificates of a trust store: authorities, and servers' own.
    pub(super) fn trusted(
        mut self,
    ) -> Option<(Vec<CertificateDer<'static>>, Vec<CertificateFacts>)> {
        let bytes = self.bytes();
        let password = self.password(self.store.password.as_ref(), "password-file");
        let (bytes, password) = (bytes?, password?);
        let passwords = Passwords {
            store: password.as_ref(),
            key: None,
        };
        let read = Store::read(self.store.kind.format, &bytes, passwords);
        let trusted = self.usable(read.and_then(|store| store.trusted()))?;
        let facts = self.facts(&trusted)?;
        let mut all_right = true;
        for (certificate, facts) in trusted.iter().zip(&facts) {
            if let Err(error) = authority::check(certificate) {
                let message = format!("{} cannot be trusted: {error}", facts.subject);
                self.problems.push(Problem::of_store(self.store, message));
                all_right = false;
            }
        }
        all_right.then_some((trusted, facts))
    }

    /// The client of a key store.
    pub(super) fn client(mut self) -> Option<Client> {
        let settings = self.store.identity.as_ref()?;
        let bytes = self.bytes();
        let password = self.password(self.store.password.as_ref(), "password-file");
        let key_password = self.password(settings.key_password.as_ref(), "key-password-file");
        let key_bytes = match &settings.key_path {
            Some(path) => self
                .file("loader.key-path", path)
                .map(|it| Some((path, it))),
            None => Some(None),
        };
        let (password, key_password) = (password?, key_password?);
        let passwords = Passwords {
            store: password.as_ref(),
            key: key_password.as_ref(),
        };
        let key = match key_bytes? {
            Some((path, bytes)) => self.private_key(path, bytes, passwords).map(Some),
            None => Some(None),
        };
        let read = Store::read(self.store.kind.format, &bytes?, passwords);
        let store = self.usable(read)?;
        let has_idle_key_password = store.kind() == Kind::Pkcs12
            && settings.key_path.is_none()
            && key_password
                .is_some_and(|of_key| password.is_none_or(|of_store| of_key != of_store));
        let identity = store.identity(settings.alias.as_deref(), key?);
        let identity = self.usable(identity)?;
        let key = self.usable(signing_key(&identity.key))?;
        let facts = self.facts(&identity.chain)?;
        Some(Client {
            identity: Arc::new(CertifiedKey::new(identity.chain, key)),
            facts,
            has_idle_key_password,
        })
    }

    /// The store itself.
    fn bytes(&mut self) -> Option<Cow<'l, [u8]>> {
        let text = match &self.store.bytes {
            Bytes::File(path) => return self.file("loader.path", path).map(Cow::Borrowed),
            Bytes::Inline(text) => text.reveal(),
        };
        if self.store.kind.place == Place::Text {
            // A properties file or a variable is one line, and PEM is not.
            return Some(Cow::Owned(unescape_pem_text(text).into_bytes()));
        }
        self.usable(decode_base64(text)).map(Cow::Owned)
    }

    /// `Some(None)` if there is none.
    fn password(&mut self, from: Option<&Password>, key: &str) -> Option<Option<Secret>> {
        let path = match from.map(|from| &from.place) {
            None => return Some(None),
            Some(PasswordPlace::Given(password)) => return Some(Some(password.clone())),
            Some(PasswordPlace::File(path)) => path,
        };
        let contents = self.file(key, path)?;
        let password = secret_of(path, contents);
        let wrong = |error| Problem::of_file(self.store, key, &error);
        let password = password.map_err(wrong);
        self.collect(password).map(Some)
    }

    fn private_key(
        &mut self,
        path: &Path,
        bytes: &[u8],
        passwords: Passwords<'_>,
    ) -> Option<PrivateKeyDer<'static>> {
        let key = read_private_key(bytes, passwords.key.or(passwords.store));
        let wrong = |error| Problem::of_key(self.store, path, &error);
        let key = key.map_err(wrong);
        self.collect(key)
    }

    /// `key` is relative to the store.
    fn file(&mut self, key: &str, path: &Path) -> Option<&'l [u8]> {
        let contents = self.snapshot.contents(path);
        let contents = contents.map_err(|error| Problem::of_file(self.store, key, error));
        self.collect(contents)
    }

    fn facts(&mut self, certificates: &[CertificateDer<'_>]) -> Option<Vec<CertificateFacts>> {
        let facts = certificates.iter().map(CertificateFacts::of).collect();
        self.usable(facts)
    }

    fn usable<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        let result = result.map_err(|error| Problem::of_error(self.store, &error));
        self.collect(result)
    }

    fn collect<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }
}
