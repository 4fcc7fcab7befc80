//! JKS and JCEKS, the formats that Java had before PKCS#12.
//!
//! No specification exists; the source is `sun.security.provider.JavaKeyStore` and `KeyProtector`
//! of OpenJDK. All numbers are big-endian:
//!
//! ```text
//! u32 magic (FEEDFEED or CECECECE), u32 version (1 or 2), u32 number of entries
//! entry: u32 tag, utf alias, u64 milliseconds of its creation, then
//!        tag 1: u32 length and an EncryptedPrivateKeyInfo, u32 number of certificates, those
//!        tag 2: one certificate
//!        tag 3: a secret key, as Java serializes objects (JCEKS only)
//! certificate: utf type (`X.509`; version 2 only), u32 length, DER
//! SHA-1 of the password in UTF-16BE, `Mighty Aphrodite` and all bytes before
//! utf: u16 length and as many bytes
//! ```
//!
//! Ours, because `jks` 0.3.3 reserves as much memory as a number in the file says: one flipped bit
//! made it ask for 130 GB, which ends the process. It also indexes without looking.

use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha1::{Digest as _, Sha1};

use super::der::{self, Reader};
use super::error::{GUESSES_OF_KETE, Locked, StoreError};
use super::kind::Kind;
use super::{KeyEntry, Passwords, Store};
use crate::Secret;

const JKS_MAGIC: u32 = 0xFEED_FEED;
const DIGEST_LENGTH: usize = 20;
/// OID 1.3.6.1.4.1.42.2.17.1.1: the protection of private keys in JKS.
const KEY_PROTECTOR: &[u8] = &[0x2B, 6, 1, 4, 1, 0x2A, 2, 0x11, 1, 1];
const CONVERT_JCEKS: &str = "convert the store: keytool -importkeystore -srckeystore OLD \
    -srcstoretype JCEKS -destkeystore NEW.p12 -deststoretype PKCS12";

/// Reads either. Without a password the contents are taken as they are, as the JVM does for trust
/// stores; private keys then stay closed.
pub(super) fn read(bytes: &[u8], passwords: Passwords<'_>) -> Result<Store, StoreError> {
    let kind = match bytes.starts_with(&JKS_MAGIC.to_be_bytes()) {
        true => Kind::Jks,
        false => Kind::Jceks,
    };
    let (content, digest) = bytes
        .len()
        .checked_sub(DIGEST_LENGTH)
        .and_then(|end| bytes.split_at_checked(end))
        .ok_or_else(|| damaged(kind, "it ends within its first bytes"))?;
    let entries = entries(kind, content)?;
    if let Some(password) = passwords.store {
        let opens = |password: &str| integrity(password, content) == digest;
        if !opens(password.reveal()) {
            return Err(StoreError::Password {
                of: Locked::Store(kind),
                given: true,
                guessable: GUESSES_OF_KETE.into_iter().any(opens),
            });
        }
    }
    let password = passwords.key.or(passwords.store);
    Ok(store(kind, entries, password))
}

/// What is in a store, its keys still protected.
enum Entry<'a> {
    Key {
        alias: String,
        protected: &'a [u8],
        chain: Vec<&'a [u8]>,
    },
    Certificate(&'a [u8]),
}

fn entries(kind: Kind, content: &[u8]) -> Result<Vec<Entry<'_>>, StoreError> {
    let mut numbers = Numbers {
        kind,
        rest: content,
    };
    let _magic = numbers.u32()?;
    let version = numbers.u32()?;
    if !(1..=2).contains(&version) {
        return Err(damaged(kind, "its version is neither 1 nor 2"));
    }
    let count = numbers.u32()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(entry(&mut numbers, version)?);
    }
    match numbers.rest {
        [] => Ok(entries),
        _ => Err(damaged(kind, "there are bytes after its last entry")),
    }
}

fn entry<'a>(numbers: &mut Numbers<'a>, version: u32) -> Result<Entry<'a>, StoreError> {
    let kind = numbers.kind;
    let tag = numbers.u32()?;
    let alias = String::from_utf8_lossy(numbers.text()?).into_owned();
    let _created = numbers.bytes(8)?;
    match tag {
        1 => {
            let protected = numbers.counted()?;
            let count = numbers.u32()?;
            let mut chain = Vec::new();
            for _ in 0..count {
                chain.push(numbers.certificate(version)?);
            }
            Ok(Entry::Key {
                alias,
                protected,
                chain,
            })
        }
        2 => Ok(Entry::Certificate(numbers.certificate(version)?)),
        3 if kind == Kind::Jceks => Err(StoreError::Unsupported {
            what: "a JCEKS file with a secret key in it".to_owned(),
            way_out: CONVERT_JCEKS,
        }),
        _ => Err(damaged(kind, "an entry is neither key nor certificate")),
    }
}

fn store(kind: Kind, entries: Vec<Entry<'_>>, password: Option<&Secret>) -> Store {
    let owned = |der: &[u8]| CertificateDer::from(der.to_vec());
    let mut store = Store::empty(kind);
    for entry in entries {
        match entry {
            Entry::Certificate(certificate) => store.certificates.push(owned(certificate)),
            Entry::Key {
                alias,
                protected,
                chain,
            } => {
                let chain: Vec<_> = chain.into_iter().map(owned).collect();
                store.certificates.extend(chain.iter().cloned());
                store.keys.push(KeyEntry {
                    alias: Some(alias),
                    key: unprotected(kind, protected, password),
                    chain: Some(chain),
                });
            }
        }
    }
    store
}

/// Opens a private key.
fn unprotected(
    kind: Kind,
    protected: &[u8],
    password: Option<&Secret>,
) -> Result<PrivateKeyDer<'static>, StoreError> {
    let broken = |_| damaged(kind, "a protected private key is not whole");
    let mut info = der::sequence(protected).map_err(broken)?;
    let algorithm = info.expect(der::SEQUENCE).map_err(broken)?;
    let data = info.expect(der::OCTET_STRING).map_err(broken)?.value;
    let oid = Reader::new(algorithm.value).expect(der::OBJECT_IDENTIFIER);
    if oid.map_err(broken)?.value != KEY_PROTECTOR {
        return Err(StoreError::Unsupported {
            what: format!("the encryption of the private key in {kind}"),
            way_out: CONVERT_JCEKS,
        });
    }
    let (salt, data) = data
        .split_at_checked(DIGEST_LENGTH)
        .ok_or_else(|| damaged(kind, "a protected private key is too short"))?;
    let (encrypted, digest) = data
        .len()
        .checked_sub(DIGEST_LENGTH)
        .and_then(|end| data.split_at_checked(end))
        .ok_or_else(|| damaged(kind, "a protected private key is too short"))?;
    let open = |password: &str| {
        let key = unmasked(password, salt, encrypted);
        let mut sum = Sha1::new();
        sum.update(utf16(password));
        sum.update(&key);
        (sum.finalize().as_slice() == digest).then_some(key)
    };
    match password.and_then(|password| open(password.reveal())) {
        Some(key) => Ok(PrivatePkcs8KeyDer::from(key).into()),
        None => Err(StoreError::Password {
            of: Locked::KeyEntry(kind),
            given: password.is_some(),
            guessable: GUESSES_OF_KETE
                .into_iter()
                .any(|guess| open(guess).is_some()),
        }),
    }
}

/// The key is masked by a chain of digests, each over the password and the one before.
fn unmasked(password: &str, salt: &[u8], encrypted: &[u8]) -> Vec<u8> {
    let password = utf16(password);
    let mut plain = Vec::with_capacity(encrypted.len());
    let mut mask = salt.to_vec();
    for block in encrypted.chunks(DIGEST_LENGTH) {
        let mut sum = Sha1::new();
        sum.update(&password);
        sum.update(&mask);
        mask = sum.finalize().to_vec();
        plain.extend(block.iter().zip(&mask).map(|(byte, mask)| byte ^ mask));
    }
    plain
}

fn integrity(password: &str, content: &[u8]) -> [u8; DIGEST_LENGTH] {
    let mut sum = Sha1::new();
    sum.update(utf16(password));
    sum.update(b"Mighty Aphrodite");
    sum.update(content);
    sum.finalize().into()
}

fn utf16(password: &str) -> Vec<u8> {
    password.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn damaged(kind: Kind, reason: &str) -> StoreError {
    StoreError::Damaged {
        kind,
        reason: reason.to_owned(),
    }
}

/// Takes numbers and what they count off the front. Nothing is reserved that is not there.
struct Numbers<'a> {
    kind: Kind,
    rest: &'a [u8],
}

impl<'a> Numbers<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], StoreError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| damaged(self.kind, "it ends within an entry"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self, count: usize) -> Result<u32, StoreError> {
        let bytes = self.bytes(count)?;
        Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn u32(&mut self) -> Result<u32, StoreError> {
        self.number(4)
    }

    fn counted(&mut self) -> Result<&'a [u8], StoreError> {
        let count = self.u32()?;
        // Where usize is smaller than that, so is the file.
        self.bytes(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn text(&mut self) -> Result<&'a [u8], StoreError> {
        let count = self.number(2)?;
        self.bytes(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn certificate(&mut self, version: u32) -> Result<&'a [u8], StoreError> {
        if version == 2 && self.text()? != b"X.509" {
            return Err(damaged(self.kind, "a certificate is not of type X.509"));
        }
        self.counted()
    }
}
