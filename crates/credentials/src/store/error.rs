//! Why a store or key cannot be used, in words that say what to do.

use std::fmt;

use super::Format;
use super::kind::Kind;
use crate::files::MAX_BYTES;

/// What KETE tries where no password fits, beside none at all.
pub(super) const GUESSES_OF_KETE: [&str; 3] = ["", "changeit", "secret"];

/// What a password opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locked {
    /// A whole store of this kind.
    Store(Kind),
    /// A private key in a store of this kind.
    KeyEntry(Kind),
    /// An encrypted private key in PEM or DER.
    Key,
}

/// Why a store or key cannot be used. The text says what the bytes really are and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It is far larger than any store.
    #[error("it has {bytes} bytes, and a store may have {MAX_BYTES}")]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// It is of another kind.
    #[error("{}", wrong_kind(*expected, *found, *base64))]
    WrongKind {
        /// How it should have been written; `None` where a private key was expected.
        expected: Option<Format>,
        /// What it is.
        found: Kind,
        /// Whether it is base64 text of that.
        base64: bool,
    },
    /// It is of the right kind, and cannot be read all the same.
    #[error("this is {kind}, and it is damaged or cut off: {reason}")]
    Damaged {
        /// What it is.
        kind: Kind,
        /// What the reader says.
        reason: String,
    },
    /// A block of PEM is broken.
    #[error("line {line} of the PEM text: {reason}")]
    BrokenPem {
        /// Where, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// What should be a certificate is none.
    #[error("certificate {number} cannot be read: {reason}")]
    BadCertificate {
        /// Which one of the store, from 1.
        number: usize,
        /// What the reader says.
        reason: String,
    },
    /// The password is missing or wrong.
    #[error("{}", password(*of, *given, *guessable))]
    Password {
        /// What it should open.
        of: Locked,
        /// Whether there was one.
        given: bool,
        /// Whether one of KETE's guesses would have opened it. Which one is not kept, because that
        /// would be the password itself.
        guessable: bool,
    },
    /// It is written or encrypted in a way that kete does not read.
    #[error("{what} cannot be read; {way_out}")]
    Unsupported {
        /// What.
        what: String,
        /// A command, mostly.
        way_out: &'static str,
    },
    /// There is nothing to trust, or nothing to show to a server.
    #[error("there is no certificate in {kind}{}", besides(only))]
    NoCertificate {
        /// What it is.
        kind: Kind,
        /// What there is instead.
        only: Option<&'static str>,
    },
    /// There is no private key.
    #[error("there is no private key in {kind}{}", besides(only))]
    NoKey {
        /// What it is.
        kind: Kind,
        /// What there is instead.
        only: Option<&'static str>,
    },
    /// There are several private keys, and nothing says which is meant.
    #[error(
        "there are {} private keys: {}; an alias says which is meant",
        aliases.len(),
        list(aliases)
    )]
    SeveralKeys {
        /// What they are called.
        aliases: Vec<String>,
    },
    /// There is no private key of that name.
    #[error("no private key has the alias `{alias}`; there is {}", list(aliases))]
    NoSuchAlias {
        /// What was asked for.
        alias: String,
        /// What there is.
        aliases: Vec<String>,
    },
    /// A private key was given beside a store that has one.
    #[error("the store has a private key of its own, so a separate one cannot be given too")]
    KeyGivenTwice,
    /// The key and the certificates are not a pair.
    #[error(
        "the private key does not belong to {}: its public key is another one",
        certificates(subjects)
    )]
    WrongKey {
        /// Whose certificates there are.
        subjects: Vec<String>,
    },
    /// Nothing can be signed with such a key.
    #[error(
        "a private key of this kind cannot be used: {algorithm}; RSA with 2048 to 4096 bits, \
         ECDSA with P-256 or P-384, and Ed25519 can"
    )]
    UnusableKey {
        /// What it is.
        algorithm: String,
    },
    /// It is not base64.
    #[error("this is not base64: {reason}")]
    NotBase64 {
        /// What is wrong.
        reason: String,
    },
}

impl StoreError {
    /// What the bytes really are, if they are of another kind than was expected.
    #[must_use]
    pub fn found(&self) -> Option<Kind> {
        match self {
            StoreError::WrongKind { found, .. } => Some(*found),
            _ => None,
        }
    }

    /// Whether they are base64 text of what was found.
    #[must_use]
    pub fn found_base64(&self) -> bool {
        matches!(self, StoreError::WrongKind { base64: true, .. })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Format::Pem => "a PEM file",
            Format::Der => "a single certificate in DER",
            Format::Pkcs12 => "a PKCS#12 file",
            Format::Jks => "a JKS file",
            Format::Pkcs7 => "a PKCS#7 file",
        })
    }
}

fn wrong_kind(expected: Option<Format>, found: Kind, base64: bool) -> String {
    let encoded = match base64 && found != Kind::Base64 {
        true => " as base64 text",
        false => "",
    };
    let expected = match expected {
        Some(format) => format.to_string(),
        None => return wrong_kind_of_key(found, encoded),
    };
    let mut text = format!("this is {found}{encoded}, and {expected} is expected");
    match found.loader_stem() {
        Some(stem) if base64 => text += &format!("; the loader {stem}-file-base64 reads it"),
        Some(stem) => {
            text += &format!("; the loaders {stem}-file-path and {stem}-file-base64 read it");
        }
        None => {
            if let Some(way_out) = found.way_out() {
                text += &format!("; {way_out}");
            }
        }
    }
    text
}

fn wrong_kind_of_key(found: Kind, encoded: &str) -> String {
    let mut text = format!("this is {found}{encoded}, and a private key in PEM or DER is expected");
    match found {
        Kind::Pkcs12 | Kind::Jks | Kind::Jceks => {
            text += "; a store that holds certificate and key needs no separate key";
        }
        // Its way out is to give it where it was given; the base64 is what is wrong.
        Kind::PrivateKey => {}
        _ => {
            if let Some(way_out) = found.way_out() {
                text += &format!("; {way_out}");
            }
        }
    }
    text
}

fn password(of: Locked, given: bool, guessable: bool) -> String {
    let what = match of {
        Locked::Store(kind) => kind.to_string(),
        Locked::KeyEntry(kind) => format!("the private key in {kind}"),
        Locked::Key => "an encrypted private key".to_owned(),
    };
    let mut text = match given {
        true => format!("the password does not open {what}; it is wrong, or the file was changed"),
        false => format!("{what} needs a password, and none is given"),
    };
    if of == Locked::Key {
        return text;
    }
    text += ". KETE also tries none, an empty one, `changeit` and `secret`; kete does not guess";
    if guessable {
        text += ", though one of these would open it";
    }
    text
}

fn besides(only: &Option<&'static str>) -> String {
    only.map(|only| format!(", only {only}"))
        .unwrap_or_default()
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none with an alias".to_owned(),
        names => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn certificates(subjects: &[String]) -> String {
    match subjects {
        [one] => format!("the certificate of {one}"),
        several => format!("any of the certificates of {}", several.join("; ")),
    }
}
