//! What the values of a `tls` section are, and how each is written.

use kete_config::{Setting, nearest};
use rustls::SupportedProtocolVersion;
use rustls_pki_types::ServerName;

use crate::Secret;
use crate::store::Format;

/// `version`: the versions of TLS to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Versions {
    tls12: bool,
    tls13: bool,
}

impl Versions {
    pub(super) const ALL: Versions = Versions {
        tls12: true,
        tls13: true,
    };

    /// As the TLS library names them, newest first.
    pub(super) fn offered(self) -> Vec<&'static SupportedProtocolVersion> {
        let mut offered = Vec::new();
        if self.tls13 {
            offered.push(&rustls::version::TLS13);
        }
        if self.tls12 {
            offered.push(&rustls::version::TLS12);
        }
        offered
    }
}

/// KETE takes one of the names that the JVM knows; here the old ones among them are refused.
impl Setting for Versions {
    const EXPECTED: &'static str = "TLS, TLSv1.2, TLSv1.3, or a comma-separated list of these";

    fn parse(text: &str) -> Result<Versions, String> {
        const BROKEN: [&str; 6] = ["ssl", "sslv2", "sslv3", "tlsv1", "tlsv1.0", "tlsv1.1"];
        if text.is_empty() {
            return Err("it is blank".to_owned());
        }
        let mut versions = Versions::default();
        for part in text.split(',') {
            let part = part.trim().to_ascii_lowercase();
            match part.as_str() {
                "tls" => versions = Versions::ALL,
                "tlsv1.2" => versions.tls12 = true,
                "tlsv1.3" => versions.tls13 = true,
                "" => return Err("one of its parts is empty".to_owned()),
                broken if BROKEN.contains(&broken) => {
                    return Err(
                        "it names one that is not offered: SSL, TLS 1.0 and TLS 1.1 can be broken \
                         (RFC 7568, RFC 8996)\nlet the server speak TLS 1.2 or newer"
                            .to_owned(),
                    );
                }
                other => {
                    // Its digits are what people get right.
                    let digits: String = other.chars().filter(char::is_ascii_digit).collect();
                    return Err(match digits.as_str() {
                        "12" => "it names another\ndid you mean TLSv1.2?".to_owned(),
                        "13" => "it names another\ndid you mean TLSv1.3?".to_owned(),
                        _ => "it names another".to_owned(),
                    });
                }
            }
        }
        Ok(versions)
    }
}

/// `server-name`: a DNS name or an IP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VerifiedName {
    pub(super) text: String,
    pub(super) name: ServerName<'static>,
}

impl Setting for VerifiedName {
    const EXPECTED: &'static str = "a host name or an IP address";

    fn parse(text: &str) -> Result<VerifiedName, String> {
        if text.is_empty() {
            return Err("it is blank".to_owned());
        }
        if text.contains("://") {
            return Err("it is a URL\nwrite the host alone".to_owned());
        }
        if text.contains('*') {
            return Err(
                "it has a wildcard\nwrite the name that the server is asked for; a certificate \
                 with a wildcard that covers it is accepted"
                    .to_owned(),
            );
        }
        match ServerName::try_from(text) {
            Ok(name) => Ok(VerifiedName {
                text: text.to_owned(),
                name: name.to_owned(),
            }),
            Err(_) if text.contains(':') || text.contains('/') => {
                Err("it has more than that\nleave out port, path and brackets".to_owned())
            }
            Err(_) => Err("it is none".to_owned()),
        }
    }
}

/// Where a loader finds the bytes of its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Base64,
    Text,
}

impl Place {
    /// The key that says it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Place::Path => "path",
            Place::Base64 => "base64",
            Place::Text => "text",
        }
    }
}

/// `loader.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LoaderKind {
    pub(super) word: &'static str,
    pub(super) format: Format,
    pub(super) place: Place,
}

impl LoaderKind {
    /// All that read the same format.
    pub(super) fn siblings(self) -> impl Iterator<Item = LoaderKind> {
        let format = self.format;
        LOADERS
            .into_iter()
            .filter(move |kind| kind.format == format)
    }
}

const fn loader(word: &'static str, format: Format, place: Place) -> LoaderKind {
    LoaderKind {
        word,
        format,
        place,
    }
}

/// All of KETE's.
const LOADERS: [LoaderKind; 11] = [
    loader("pem-file-path", Format::Pem, Place::Path),
    loader("pem-file-base64", Format::Pem, Place::Base64),
    loader("pem-file-text", Format::Pem, Place::Text),
    loader("der-file-path", Format::Der, Place::Path),
    loader("der-file-base64", Format::Der, Place::Base64),
    loader("pkcs12-file-path", Format::Pkcs12, Place::Path),
    loader("pkcs12-file-base64", Format::Pkcs12, Place::Base64),
    loader("jks-file-path", Format::Jks, Place::Path),
    loader("jks-file-base64", Format::Jks, Place::Base64),
    loader("pkcs7-file-path", Format::Pkcs7, Place::Path),
    loader("pkcs7-file-base64", Format::Pkcs7, Place::Base64),
];

/// What people call the formats, and the loader that they most probably want.
const NICKNAMES: [(&str, &str); 13] = [
    ("pem", "pem-file-path"),
    ("pem-file", "pem-file-path"),
    ("crt", "pem-file-path"),
    ("der", "der-file-path"),
    ("der-file", "der-file-path"),
    ("pkcs12", "pkcs12-file-path"),
    ("pkcs12-file", "pkcs12-file-path"),
    ("p12", "pkcs12-file-path"),
    ("pfx", "pkcs12-file-path"),
    ("jks", "jks-file-path"),
    ("jks-file", "jks-file-path"),
    ("pkcs7", "pkcs7-file-path"),
    ("p7b", "pkcs7-file-path"),
];

/// KETE has one register of names for all these families, and fails over the wrong one only when
/// it uses it (kete-reference 1.3).
const OTHER_FAMILIES: [(&str, &[&str]); 4] = [
    ("a matcher", &["glob", "list", "regex", "sql"]),
    (
        "a serializer",
        &[
            "json",
            "xml",
            "yaml",
            "csv",
            "toml",
            "properties",
            "cbor",
            "smile",
            "avro",
            "protobuf",
            "template",
            "multipart-form",
            "url-encoded-form",
        ],
    ),
    ("a content encoding", &["gzip", "deflate", "base64"]),
    ("a destination", &["socketio", "http", "websocket", "kafka"]),
];

impl Setting for LoaderKind {
    const EXPECTED: &'static str = "one of: pem-file-path, pem-file-base64, pem-file-text, \
        der-file-path, der-file-base64, pkcs12-file-path, pkcs12-file-base64, jks-file-path, \
        jks-file-base64, pkcs7-file-path, pkcs7-file-base64";

    fn parse(text: &str) -> Result<LoaderKind, String> {
        if text.is_empty() {
            return Err("it is blank".to_owned());
        }
        let is = |word: &str| word.eq_ignore_ascii_case(text);
        if let Some(kind) = LOADERS.into_iter().find(|kind| is(kind.word)) {
            return Ok(kind);
        }
        let family = OTHER_FAMILIES
            .into_iter()
            .find(|(_, words)| words.iter().any(|word| is(word)));
        if let Some((family, _)) = family {
            return Err(format!("it is the name of {family}"));
        }
        let nickname = NICKNAMES.into_iter().find(|(word, _)| is(word));
        let meant = nickname.map(|(_, meant)| meant);
        let meant = meant.or_else(|| nearest(text, LOADERS.map(|kind| kind.word)));
        let way_out = meant.map(|word| format!("\ndid you mean {word}?"));
        Err(format!(
            "it is none of these{}",
            way_out.unwrap_or_default()
        ))
    }
}

/// A password. A blank one is one: there are stores with an empty password.
#[derive(Debug, Clone)]
pub(super) struct Password(pub(super) Secret);

impl Setting for Password {
    const EXPECTED: &'static str = "a password";

    fn parse(text: &str) -> Result<Password, String> {
        Ok(Password(Secret::new(text.to_owned())))
    }
}

/// A whole file as a value. It may hold a private key.
#[derive(Debug, Clone)]
pub(super) struct Inline(pub(super) Secret);

impl Setting for Inline {
    const EXPECTED: &'static str = "the contents of a file";
    const BLANK_IS_ABSENT: bool = true;
    const IS_LARGE: bool = true;

    fn parse(text: &str) -> Result<Inline, String> {
        Ok(Inline(Secret::new(text.to_owned())))
    }
}

#[cfg(test)]
mod tests;
