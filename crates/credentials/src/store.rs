//! Certificate and key stores: from bytes and passwords to what TLS needs.
//!
//! Pure: bytes come in, nothing is read from anywhere. Nothing is guessed either: a store of
//! another format and a wrong password are errors that say so.

mod base64_text;
mod der;
mod error;
mod identity;
mod jks;
mod keys;
mod kind;
mod pem;
mod pkcs12;
mod pkcs7;
mod x509;

use std::collections::HashSet;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub use self::error::{Locked, StoreError};
pub use self::keys::signing_key;
pub use self::kind::Kind;
use self::kind::Sniffed;
pub use self::pem::unescape_pem_text;
use self::pem::{Block, Content};
pub(crate) use self::x509::printable;
use crate::files::MAX_BYTES;
use crate::{Secret, certificate};

/// How a loader expects its store to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// PEM (RFC 7468): any number of certificates, and keys.
    Pem,
    /// One certificate in DER.
    Der,
    /// PKCS#12 (RFC 7292), or JKS as on the JVM.
    Pkcs12,
    /// JKS or JCEKS, or PKCS#12 as on the JVM.
    Jks,
    /// PKCS#7 / CMS certificates only (RFC 5652, section 5), DER or PEM.
    Pkcs7,
}

/// What a store is opened with. Nothing is guessed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passwords<'p> {
    /// Opens the store.
    pub store: Option<&'p Secret>,
    /// Opens the private key; the store's password where it is absent. PKCS#12 has no such
    /// password, so there it is not used.
    pub key: Option<&'p Secret>,
}

/// What a store holds.
#[derive(Debug)]
pub struct Store {
    kind: Kind,
    certificates: Vec<CertificateDer<'static>>,
    keys: Vec<KeyEntry>,
    /// Whether there are secret keys too, of which nothing is kept.
    secret_keys: bool,
}

/// A private key, or why it could not be opened: that is no error where only the certificates
/// matter.
#[derive(Debug)]
struct KeyEntry {
    alias: Option<String>,
    key: Result<PrivateKeyDer<'static>, StoreError>,
    /// Its certificates; all of the store's where the format does not say.
    chain: Option<Vec<CertificateDer<'static>>>,
}

/// Who a client is: its certificate with its chain, and the key that belongs to it.
#[derive(Debug)]
pub struct Identity {
    /// The client's certificate first, then those that lead to an authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key of the first certificate.
    pub key: PrivateKeyDer<'static>,
}

impl Store {
    /// Reads a store. It may have up to 8 MiB, as any file.
    ///
    /// # Errors
    ///
    /// It is of another format, truncated, or the password is missing or wrong.
    pub fn read(
        format: Format,
        bytes: &[u8],
        passwords: Passwords<'_>,
    ) -> Result<Store, StoreError> {
        check_size(bytes.len())?;
        let Sniffed { kind, base64 } = kind::sniff(bytes);
        let mut store = match (format, kind) {
            _ if base64 => return Err(wrong_kind(Some(format), kind, base64)),
            (Format::Pem, Kind::Pem) => read_pem(bytes, passwords)?,
            (Format::Der, Kind::Certificate) => {
                Store::of_certificates(kind, vec![CertificateDer::from(bytes.to_vec())])
            }
            (Format::Pkcs12 | Format::Jks, Kind::Pkcs12) => pkcs12::read(bytes, passwords)?,
            (Format::Pkcs12 | Format::Jks, Kind::Jks | Kind::Jceks) => jks::read(bytes, passwords)?,
            (Format::Pkcs7, Kind::Pkcs7) => Store::of_certificates(kind, read_pkcs7(bytes)?),
            _ => return Err(wrong_kind(Some(format), kind, base64)),
        };
        let mut seen = HashSet::new();
        store
            .certificates
            .retain(|certificate| seen.insert(certificate.to_vec()));
        // Those of PEM were checked as they were read, for an error with a line.
        if kind != Kind::Pem {
            check_certificates(&store.certificates)?;
        }
        Ok(store)
    }

    /// All its certificates, to be trusted. Certificates of key entries count too.
    /// None is there twice.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn trusted(&self) -> Result<Vec<CertificateDer<'static>>, StoreError> {
        if self.certificates.is_empty() {
            let only = match (self.keys.is_empty(), self.secret_keys) {
                (false, _) => Some("a private key"),
                (true, true) => Some("secret keys"),
                (true, false) => None,
            };
            return Err(StoreError::NoCertificate {
                kind: self.kind,
                only,
            });
        }
        Ok(self.certificates.clone())
    }

    /// The key entry of this alias, or the only one, with its chain ordered; `key` is a private
    /// key from elsewhere, for a store that has only certificates. Letter case does not count in
    /// aliases, unless several differ by nothing else. Of all the certificates only those that
    /// lead from the key's to an authority become the chain.
    ///
    /// # Errors
    ///
    /// There is none, several and no alias, no such alias, or the key is not that of the
    /// certificate.
    pub fn identity(
        &self,
        alias: Option<&str>,
        key: Option<PrivateKeyDer<'static>>,
    ) -> Result<Identity, StoreError> {
        identity::of_store(self, alias, key)
    }

    /// What it really is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    fn empty(kind: Kind) -> Store {
        Store::of_certificates(kind, Vec::new())
    }

    fn of_certificates(kind: Kind, certificates: Vec<CertificateDer<'static>>) -> Store {
        Store {
            kind,
            certificates,
            keys: Vec::new(),
            secret_keys: false,
        }
    }
}

/// A private key alone: PEM or DER; PKCS#8 (encrypted or not), PKCS#1 or SEC1. Certificates
/// beside it in a PEM text do not matter.
///
/// # Errors
///
/// It is none, or the password is missing or wrong.
pub fn read_private_key(
    bytes: &[u8],
    password: Option<&Secret>,
) -> Result<PrivateKeyDer<'static>, StoreError> {
    check_size(bytes.len())?;
    let Sniffed { kind, base64 } = kind::sniff(bytes);
    match kind {
        _ if base64 => Err(wrong_kind(None, kind, base64)),
        Kind::PrivateKey => keys::of_der(bytes, password),
        Kind::Pem => {
            let blocks = pem::blocks(bytes)?;
            let keys: Vec<&Block> = blocks.iter().filter(|block| is_key(block)).collect();
            match keys.as_slice() {
                [] => Err(StoreError::NoKey {
                    kind,
                    only: Some("certificates"),
                }),
                [only] => keys::of_block(only, password),
                several => Err(StoreError::SeveralKeys {
                    aliases: several
                        .iter()
                        .map(|block| format!("line {}", block.line))
                        .collect(),
                }),
            }
        }
        kind => Err(wrong_kind(None, kind, base64)),
    }
}

/// Decodes base64; line breaks and white space are skipped, and padding may be missing. KETE's
/// decoder (MIME; RFC 2045, section 6.8) skips all other foreign characters too, and makes
/// something else of a text with a slip of the pen in it. Here that is an error.
///
/// # Errors
///
/// It is not base64, and the first foreign character is named; or it is far too long.
pub fn decode_base64(text: &str) -> Result<Vec<u8>, StoreError> {
    // Four characters for three bytes, and line breaks.
    check_size(text.len() / 2)?;
    let reason = match base64_text::decode(text) {
        Ok(bytes) => {
            check_size(bytes.len())?;
            return Ok(bytes);
        }
        Err(_) if pem::has_block(text) => {
            "it is PEM text itself, which the loader pem-file-text takes".to_owned()
        }
        Err(base64_text::Problem::Character { character, offset }) => {
            let position = text
                .get(..offset)
                .map_or(0, |before| before.chars().count());
            let shown = character.escape_default();
            format!("character {} is `{shown}`", position + 1)
        }
        Err(base64_text::Problem::Length) => {
            "its end is missing, or a `=` is where none may be".to_owned()
        }
    };
    Err(StoreError::NotBase64 { reason })
}

fn check_certificates(certificates: &[CertificateDer<'_>]) -> Result<(), StoreError> {
    for (index, certificate) in certificates.iter().enumerate() {
        certificate::check(certificate).map_err(|reason| StoreError::BadCertificate {
            number: index + 1,
            reason,
        })?;
    }
    Ok(())
}

fn check_size(bytes: usize) -> Result<(), StoreError> {
    match u64::try_from(bytes) {
        Ok(number) if number <= MAX_BYTES => Ok(()),
        _ => Err(StoreError::TooLarge { bytes }),
    }
}

fn wrong_kind(expected: Option<Format>, found: Kind, base64: bool) -> StoreError {
    StoreError::WrongKind {
        expected,
        found,
        base64,
    }
}

fn is_key(block: &Block) -> bool {
    block.label.ends_with("PRIVATE KEY")
}

fn read_pem(bytes: &[u8], passwords: Passwords<'_>) -> Result<Store, StoreError> {
    let password = passwords.key.or(passwords.store);
    let mut store = Store::empty(Kind::Pem);
    for block in pem::blocks(bytes)? {
        if is_key(&block) {
            store.keys.push(KeyEntry {
                alias: None,
                key: keys::of_block(&block, password),
                chain: None,
            });
            continue;
        }
        match (block.kind, block.content) {
            (Kind::Pem, Content::Der(der)) => {
                let certificate = CertificateDer::from(der);
                certificate::check(&certificate).map_err(|reason| StoreError::BrokenPem {
                    line: block.line,
                    reason: format!("the block that begins here holds no certificate: {reason}"),
                })?;
                store.certificates.push(certificate);
            }
            (Kind::TrustedCertificate, _) => {
                return Err(wrong_kind(Some(Format::Pem), block.kind, false));
            }
            _ => {}
        }
    }
    Ok(store)
}

/// In DER, or in any number of PEM blocks.
fn read_pkcs7(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    if bytes.first() == Some(&der::SEQUENCE) {
        return pkcs7::certificates(bytes);
    }
    let mut certificates = Vec::new();
    for block in pem::blocks(bytes)? {
        if let (Kind::Pkcs7, Content::Der(der)) = (block.kind, block.content) {
            certificates.extend(pkcs7::certificates(&der)?);
        }
    }
    Ok(certificates)
}
