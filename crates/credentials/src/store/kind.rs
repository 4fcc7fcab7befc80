//! What a file really is, whatever it was taken for.

use std::fmt;

use super::base64_text;
use super::der::{self, Reader};
use super::pem;

/// What bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Nothing, or nothing but white space.
    Empty,
    /// PEM (RFC 7468) with certificates or keys.
    Pem,
    /// One X.509 certificate in DER.
    Certificate,
    /// A private key in DER: PKCS#8, PKCS#1 or SEC1.
    PrivateKey,
    /// PKCS#12 (RFC 7292).
    Pkcs12,
    /// Java's own format.
    Jks,
    /// Java's own format with the stronger encryption of its time.
    Jceks,
    /// The format of Bouncy Castle.
    Bks,
    /// PKCS#7 / CMS (RFC 5652).
    Pkcs7,
    /// A certificate signing request (RFC 2986).
    SigningRequest,
    /// A certificate revocation list.
    RevocationList,
    /// A public key alone.
    PublicKey,
    /// OpenSSL's own PEM block with a certificate and what it is trusted for.
    TrustedCertificate,
    /// A key in OpenSSH's own format.
    OpensshKey,
    /// A key as PuTTY saves it.
    PuttyKey,
    /// A PGP message or key.
    Pgp,
    /// A web page.
    Html,
    /// Text in UTF-16.
    Utf16,
    /// Base64 of something that is none of these.
    Base64,
    /// Some other text.
    Text,
    /// Some other bytes.
    Unknown,
}

impl Kind {
    /// The first word of the loaders that read this, as `pem` of `pem-file-path`. `None` if none
    /// does.
    #[must_use]
    pub fn loader_stem(self) -> Option<&'static str> {
        match self {
            Kind::Pem => Some("pem"),
            Kind::Certificate => Some("der"),
            Kind::Pkcs12 => Some("pkcs12"),
            Kind::Jks | Kind::Jceks => Some("jks"),
            Kind::Pkcs7 => Some("pkcs7"),
            _ => None,
        }
    }

    /// What to do with a file of a kind that no loader reads.
    #[must_use]
    pub fn way_out(self) -> Option<&'static str> {
        match self {
            Kind::PrivateKey => Some(
                "a private key alone belongs to key-store.loader.key-path, beside a store with \
                 its certificate",
            ),
            Kind::Bks => Some(
                "convert it: keytool -importkeystore -srckeystore OLD -srcstoretype BKS \
                 -destkeystore NEW.p12 -deststoretype PKCS12, with Bouncy Castle as provider",
            ),
            Kind::SigningRequest => Some(
                "a request is what an authority makes a certificate from; that certificate is \
                 needed here",
            ),
            Kind::RevocationList => Some("a certificate is needed here"),
            Kind::PublicKey => Some("a certificate holds more than its public key"),
            Kind::TrustedCertificate => {
                Some("write a plain certificate: openssl x509 -in OLD -out NEW")
            }
            Kind::OpensshKey => Some("convert a copy of the key: ssh-keygen -p -m PKCS8 -f COPY"),
            Kind::PuttyKey => Some(
                "export the key as an OpenSSH key with PuTTYgen, then convert that: ssh-keygen -p \
                 -m PKCS8 -f FILE",
            ),
            Kind::Html => Some("look at it: a server's error or login page may have been saved"),
            Kind::Utf16 => Some("save the text as UTF-8"),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Kind::Empty => "an empty file",
            Kind::Pem => "a PEM file",
            Kind::Certificate => "a single certificate in DER",
            Kind::PrivateKey => "a private key in DER",
            Kind::Pkcs12 => "a PKCS#12 file",
            Kind::Jks => "a JKS file",
            Kind::Jceks => "a JCEKS file",
            Kind::Bks => "a BKS file",
            Kind::Pkcs7 => "a PKCS#7 file",
            Kind::SigningRequest => "a certificate signing request",
            Kind::RevocationList => "a certificate revocation list",
            Kind::PublicKey => "a public key",
            Kind::TrustedCertificate => "an OpenSSL `TRUSTED CERTIFICATE`",
            Kind::OpensshKey => "a key in OpenSSH's format",
            Kind::PuttyKey => "a PuTTY key",
            Kind::Pgp => "a PGP file",
            Kind::Html => "a web page",
            Kind::Utf16 => "text in UTF-16",
            Kind::Base64 => "base64 text",
            Kind::Text => "text without any certificate",
            Kind::Unknown => "a file of an unknown kind",
        })
    }
}

/// What bytes are, and whether they are base64 of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sniffed {
    pub(crate) kind: Kind,
    pub(crate) base64: bool,
}

/// Looks at the first bytes, mostly; a file that was cut off is still known by them.
pub(crate) fn sniff(bytes: &[u8]) -> Sniffed {
    let kind = of_bytes(bytes);
    if kind == Kind::Text
        && let Some(decoded) = base64_of_something(bytes)
    {
        let kind = match of_bytes(&decoded) {
            Kind::Text | Kind::Unknown | Kind::Utf16 | Kind::Empty => Kind::Base64,
            kind => kind,
        };
        return Sniffed { kind, base64: true };
    }
    Sniffed {
        kind,
        base64: false,
    }
}

fn of_bytes(bytes: &[u8]) -> Kind {
    if bytes.trim_ascii().is_empty() {
        return Kind::Empty;
    }
    match bytes {
        [0xFE, 0xED, 0xFE, 0xED, ..] => return Kind::Jks,
        [0xCE, 0xCE, 0xCE, 0xCE, ..] => return Kind::Jceks,
        // Version 1 or 2, and the usual length of a salt.
        [0, 0, 0, 1 | 2, 0, 0, 0, 20, ..] => return Kind::Bks,
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => return Kind::Utf16,
        [b'-' | b'M', 0, ..] | [0, b'-' | b'M', ..] => return Kind::Utf16,
        [der::SEQUENCE, ..] => return of_der(bytes).unwrap_or(Kind::Unknown),
        // A binary PGP key: an old or a new public or secret key packet.
        [0x99 | 0x95 | 0xC6 | 0xC5, ..] => return Kind::Pgp,
        _ => {}
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => of_text(text),
        // Comments may be in any encoding.
        Err(_) => match String::from_utf8_lossy(bytes) {
            text if pem::has_block(&text) => of_labels(&text),
            _ => Kind::Unknown,
        },
    }
}

fn of_text(text: &str) -> Kind {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let starts_with = |word: &str| {
        start
            .get(..word.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(word))
    };
    if ["<!doctype html", "<html", "<?xml", "<head", "<body"]
        .into_iter()
        .any(starts_with)
    {
        return Kind::Html;
    }
    if starts_with("PuTTY-User-Key-File") {
        return Kind::PuttyKey;
    }
    if ["ssh-", "ecdsa-sha2-", "---- BEGIN SSH2"]
        .into_iter()
        .any(starts_with)
    {
        return Kind::OpensshKey;
    }
    if pem::has_block(start) {
        return of_labels(start);
    }
    match text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        true => Kind::Unknown,
        false => Kind::Text,
    }
}

/// What counts is what kete can use; else the first block tells.
fn of_labels(text: &str) -> Kind {
    let mut first = None;
    for label in pem::labels(text) {
        match of_label(label) {
            Some(Kind::Pem) => return Kind::Pem,
            kind => first = first.or(kind),
        }
    }
    first.unwrap_or(Kind::Pem)
}

/// What a block of PEM holds, by its label.
pub(crate) fn of_label(label: &str) -> Option<Kind> {
    match label {
        "CERTIFICATE" | "X509 CERTIFICATE" => Some(Kind::Pem),
        "PKCS7" | "PKCS #7 SIGNED DATA" | "CMS" => Some(Kind::Pkcs7),
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Some(Kind::SigningRequest),
        "X509 CRL" => Some(Kind::RevocationList),
        "PUBLIC KEY" | "RSA PUBLIC KEY" => Some(Kind::PublicKey),
        "TRUSTED CERTIFICATE" => Some(Kind::TrustedCertificate),
        "OPENSSH PRIVATE KEY" => Some(Kind::OpensshKey),
        label if label.starts_with("PGP ") => Some(Kind::Pgp),
        label if label.ends_with("PRIVATE KEY") => Some(Kind::Pem),
        _ => None,
    }
}

/// What a SEQUENCE is, as far as it is there.
fn of_der(bytes: &[u8]) -> Option<Kind> {
    let (_, mut content) = Reader::new(bytes).glimpse()?;
    let (first, inner) = content.glimpse()?;
    let second = content.rest().first().copied();
    match (first, inner.rest(), second) {
        (der::OBJECT_IDENTIFIER, [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 7, ..], _) => {
            Some(Kind::Pkcs7)
        }
        (der::INTEGER, [3], _) => Some(Kind::Pkcs12),
        (der::INTEGER, [0 | 1], _) => Some(Kind::PrivateKey),
        (der::SEQUENCE, _, Some(der::OCTET_STRING)) => Some(Kind::PrivateKey),
        (der::SEQUENCE, _, Some(der::BIT_STRING)) => Some(Kind::PublicKey),
        (der::SEQUENCE, _, _) => of_signed(inner),
        _ => None,
    }
}

/// What was signed: certificates, requests and revocation lists have the same frame.
fn of_signed(mut content: Reader<'_>) -> Option<Kind> {
    let (first, _) = content.glimpse()?;
    if first == der::CONTEXT_0 {
        return Some(Kind::Certificate);
    }
    if first == der::SEQUENCE {
        // A list without a version: algorithm, issuer, time.
        let _issuer = content.glimpse()?;
        let (third, _) = content.glimpse()?;
        return is_time(third).then_some(Kind::RevocationList);
    }
    let (_, second) = content.glimpse()?;
    if second.rest().first() == Some(&der::SET) {
        return Some(Kind::SigningRequest);
    }
    let _issuer = content.glimpse()?;
    match content.glimpse()? {
        (tag, _) if is_time(tag) => Some(Kind::RevocationList),
        (der::SEQUENCE, _) => Some(Kind::Certificate),
        _ => None,
    }
}

fn is_time(tag: u8) -> bool {
    matches!(tag, der::UTC_TIME | der::GENERALIZED_TIME)
}

/// Short words are base64 too, so it must be long enough to be a file.
fn base64_of_something(bytes: &[u8]) -> Option<Vec<u8>> {
    const SHORTEST: usize = 32;
    let text = std::str::from_utf8(bytes).ok()?;
    base64_text::decode(text.trim_start_matches('\u{feff}'))
        .ok()
        .filter(|decoded| decoded.len() >= SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(parts: &[&[u8]]) -> Vec<u8> {
        der::write(der::SEQUENCE, parts)
    }

    /// What is signed begins with these; algorithm and name are the same in all.
    fn signed(first: &[&[u8]], last: &[&[u8]]) -> Vec<u8> {
        let algorithm = sequence(&[&[6, 1, 42]]);
        let name = sequence(&[&[0x31, 0]]);
        let middle = [&algorithm[..], &name].concat();
        let content = [first.concat(), middle, last.concat()].concat();
        sequence(&[&sequence(&[&content]), &algorithm, &[3, 2, 0, 0]])
    }

    #[test]
    fn what_is_signed_is_told_apart() {
        let validity = sequence(&[&[0x17, 0], &[0x17, 0]]);
        let cases = [
            (
                signed(&[&[0xA0, 3, 2, 1, 2], &[2, 1, 9]], &[&validity]),
                Kind::Certificate,
            ),
            // Version 1 has no number.
            (signed(&[&[2, 1, 9]], &[&validity]), Kind::Certificate),
            (signed(&[&[2, 1, 1]], &[&[0x17, 0]]), Kind::RevocationList),
            (signed(&[&[2, 1, 1]], &[&[0x18, 0]]), Kind::RevocationList),
            (signed(&[], &[&[0x17, 0]]), Kind::RevocationList),
        ];
        for (bytes, kind) in cases {
            assert_eq!(sniff(&bytes).kind, kind, "{bytes:?}");
        }
        let request = sequence(&[&sequence(&[&[2, 1, 0], &sequence(&[&[0x31, 0]])])]);
        assert_eq!(sniff(&request).kind, Kind::SigningRequest);
    }

    #[test]
    fn short_words_are_no_base64() {
        let text = Sniffed {
            kind: Kind::Text,
            base64: false,
        };
        assert_eq!(sniff(b"password"), text);
        let long = Sniffed {
            kind: Kind::Base64,
            base64: true,
        };
        assert_eq!(sniff("passwords ".repeat(8).as_bytes()), long);
    }
}
