//! What is wrong with a store: which key says so, and which key to set.

use std::path::Path;

use super::TlsError;
use super::store_settings::{Bytes, StoreSettings};
use crate::codes;
use crate::files::FileError;
use crate::store::{Locked, StoreError};

/// Why a store cannot be used. It fits a diagnostic and a line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Relative to the section `tls`.
    pub(super) key: String,
    pub(super) code: &'static str,
    /// The file that it is about, if the message does not name it.
    pub(super) file: Option<String>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Problem {
    /// Something about what a store holds.
    pub(super) fn of_store(store: &StoreSettings, message: String) -> Problem {
        let file = match &store.bytes {
            Bytes::File(path) => Some(shown(path)),
            Bytes::Inline(_) => None,
        };
        Problem {
            key: store.bytes_key(),
            code: codes::BAD_STORE,
            file,
            message,
            help: None,
        }
    }

    /// A store cannot be read or used.
    pub(super) fn of_error(store: &StoreSettings, error: &StoreError) -> Problem {
        let identity = store.identity.as_ref();
        let key_path = identity.and_then(|identity| identity.key_path.as_deref());
        let whole = Problem {
            help: help(store, error),
            ..Problem::of_store(store, error.to_string())
        };
        match (error, key_path) {
            (StoreError::NoSuchAlias { .. }, _) => Problem {
                key: store.key("alias"),
                ..whole
            },
            (
                StoreError::KeyGivenTwice
                | StoreError::WrongKey { .. }
                | StoreError::UnusableKey { .. },
                Some(path),
            ) => Problem {
                key: store.key("loader.key-path"),
                file: Some(shown(path)),
                ..whole
            },
            _ => whole,
        }
    }

    /// A private key in a file of its own cannot be read.
    pub(super) fn of_key(store: &StoreSettings, path: &Path, error: &StoreError) -> Problem {
        let help = match error {
            StoreError::Password { .. } => help(store, error),
            StoreError::SeveralKeys { .. } => Some("leave one in the file".to_owned()),
            _ => None,
        };
        Problem {
            key: store.key("loader.key-path"),
            code: codes::BAD_STORE,
            file: Some(shown(path)),
            message: error.to_string(),
            help,
        }
    }

    /// A file cannot be read. `key` is relative to the store.
    pub(super) fn of_file(store: &StoreSettings, key: &str, error: &FileError) -> Problem {
        Problem {
            key: store.key(key),
            code: kete_config::code::UNREADABLE_FILE,
            file: None,
            message: error.to_string(),
            help: error.help(),
        }
    }

    /// The TLS library refuses what the stores hold.
    pub(super) fn of_library(error: &TlsError) -> Problem {
        Problem {
            key: super::TRUST_STORE.to_owned(),
            code: codes::BAD_STORE,
            file: None,
            message: error.to_string(),
            help: None,
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The key to set, by its full name, because it may not be there yet.
fn help(store: &StoreSettings, error: &StoreError) -> Option<String> {
    let section = &store.full_section;
    let help = match error {
        StoreError::Password { of, .. } => {
            let (name, password) = match of {
                Locked::Store(_) => ("password", store.password.as_ref()),
                Locked::KeyEntry(_) | Locked::Key => {
                    let identity = store.identity.as_ref();
                    let password = identity.and_then(|identity| identity.key_password.as_ref());
                    ("key-password", password)
                }
            };
            match password {
                Some(password) => format!("correct {}", password.full_key),
                None => format!("set {section}.{name} or {section}.{name}-file"),
            }
        }
        StoreError::SeveralKeys { .. } => format!("set {section}.alias to one of them"),
        StoreError::NoKey { .. } => {
            format!("put the key into the store, or name its file in {section}.loader.key-path")
        }
        StoreError::KeyGivenTwice => "leave this out, or name a store without a key".to_owned(),
        _ => return None,
    };
    Some(help)
}
