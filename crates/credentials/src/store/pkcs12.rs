//! PKCS#12 (RFC 7292), by p12-keystore, which reads what keytool and openssl write, old and new.

use p12_keystore::error::Error;
use p12_keystore::{CertificateBag, Pkcs12Archive, PrivateKeyBag};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::der::{self, Reader};
use super::error::{GUESSES_OF_KETE, Locked, StoreError};
use super::kind::Kind;
use super::{KeyEntry, Passwords, Store};

const REWRITE: &str = "write the store anew: openssl pkcs12 -in OLD -out ALL.pem, then openssl \
    pkcs12 -export -in ALL.pem -out NEW.p12, then remove ALL.pem";
const ONE_PASSWORD: &str = "write the store with one: keytool \
    -importkeystore -srckeystore OLD -destkeystore NEW.p12 -deststoretype PKCS12";

/// Reads one. Without a password it is opened with an empty one, which is what stores without
/// encryption and those with an empty password need. The key's password is not looked at: keytool
/// knows one password for all of PKCS#12 too, and KETE falls back on the store's.
pub(super) fn read(bytes: &[u8], passwords: Passwords<'_>) -> Result<Store, StoreError> {
    let given = passwords.store.is_some();
    let password = passwords.store.map_or("", |password| password.reveal());
    if password.chars().any(|character| character > '\u{FFFF}') {
        // Openssl writes them as UTF-16, where p12-keystore has UCS-2.
        return Err(StoreError::Unsupported {
            what: "a PKCS#12 file whose password has characters beyond U+FFFF".to_owned(),
            way_out: REWRITE,
        });
    }
    let archive = Pkcs12Archive::from_pkcs12(bytes, password)
        .map_err(|error| refused(bytes, given, &error))?;
    let mut store = Store::empty(Kind::Pkcs12);
    store.secret_keys = !archive.secrets.is_empty();
    store.certificates = archive.certs.iter().map(certificate).collect();
    store.keys = archive.keys.into_iter().map(entry).collect();
    Ok(store)
}

/// Opens a PKCS#8 key that is encrypted as appendix C of RFC 7292 says, which the pkcs8 crate does
/// not do: as the only bag of a store, which hands it to a reader that does.
pub(super) fn decrypt_key(encrypted: &[u8], password: &str) -> Result<Vec<u8>, Error> {
    let archive = Pkcs12Archive::from_pkcs12(&store_of_one_key(encrypted), password)?;
    let key = archive.keys.first().ok_or(Error::InvalidPrivateKey)?;
    Ok(key.key.as_der().to_vec())
}

fn certificate(bag: &CertificateBag) -> CertificateDer<'static> {
    CertificateDer::from(bag.cert.as_der().to_vec())
}

fn entry(bag: PrivateKeyBag) -> KeyEntry {
    let key: PrivateKeyDer<'static> = PrivatePkcs8KeyDer::from(bag.key.as_der().to_vec()).into();
    KeyEntry {
        alias: bag.friendly_name,
        key: Ok(key),
        chain: None,
    }
}

fn one_password() -> StoreError {
    StoreError::Unsupported {
        what: "a PKCS#12 file whose private key has a password of its own".to_owned(),
        way_out: ONE_PASSWORD,
    }
}

fn refused(bytes: &[u8], given: bool, error: &Error) -> StoreError {
    if der::is_indefinite(bytes) {
        return StoreError::Unsupported {
            what: "a PKCS#12 file that is written in BER instead of DER".to_owned(),
            way_out: REWRITE,
        };
    }
    let Some(frame) = Frame::of(bytes) else {
        return damaged(error);
    };
    let unsupported = || StoreError::Unsupported {
        what: "the encryption of this PKCS#12 file".to_owned(),
        way_out: REWRITE,
    };
    match error {
        Error::MacError(_) => wrong_password(bytes, given),
        Error::UnsupportedEncryptionScheme | Error::UnsupportedMacAlgorithm => unsupported(),
        // Only the text is left of what the library below says.
        Error::Pkcs5Error(reason) if reason.contains("unsupported") => unsupported(),
        Error::InvalidParameters => StoreError::Unsupported {
            what: "a PKCS#12 file whose password takes over a million rounds".to_owned(),
            way_out: REWRITE,
        },
        // What a wrong password decrypts to is anything.
        _ if !frame.has_mac && frame.is_encrypted => wrong_password(bytes, given),
        // The password was right, for the digest over all is, and opens no key.
        Error::Pkcs5Error(_) | Error::UnpadError if frame.has_mac => one_password(),
        error => damaged(error),
    }
}

fn wrong_password(bytes: &[u8], given: bool) -> StoreError {
    let opens = |guess: &str| Pkcs12Archive::from_pkcs12(bytes, guess).is_ok();
    StoreError::Password {
        of: Locked::Store(Kind::Pkcs12),
        given,
        guessable: GUESSES_OF_KETE.into_iter().any(opens),
    }
}

fn damaged(error: &Error) -> StoreError {
    StoreError::Damaged {
        kind: Kind::Pkcs12,
        reason: error.to_string(),
    }
}

/// What can be seen from outside.
struct Frame {
    has_mac: bool,
    is_encrypted: bool,
}

impl Frame {
    /// `None` if it is not whole.
    fn of(bytes: &[u8]) -> Option<Frame> {
        let mut content = der::sequence(bytes).ok()?;
        let _version = content.expect(der::INTEGER).ok()?;
        let safe = content.expect(der::SEQUENCE).ok()?;
        Some(Frame {
            has_mac: !content.is_empty(),
            is_encrypted: mentions_encryption(safe.value),
        })
    }
}

/// Whether the OID of PBES2 or of a scheme of RFC 7292 is in there.
fn mentions_encryption(content: &[u8]) -> bool {
    const SCHEMES: [&[u8]; 2] = [
        &[6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 5, 13],
        &[6, 10, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 12, 1],
    ];
    SCHEMES
        .into_iter()
        .any(|scheme| content.windows(scheme.len()).any(|window| window == scheme))
}

/// A store without a digest whose one safe holds one encrypted key.
fn store_of_one_key(encrypted: &[u8]) -> Vec<u8> {
    /// 1.2.840.113549.1.7.1 (data) and 1.2.840.113549.1.12.10.1.2 (pkcs8ShroudedKeyBag)
    const DATA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 7, 1];
    const KEY_BAG: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 12, 10, 1, 2];
    let oid = |oid| der::write(der::OBJECT_IDENTIFIER, &[oid]);
    let sequence = |parts: &[&[u8]]| der::write(der::SEQUENCE, parts);
    let tagged = |value: &[u8]| der::write(der::CONTEXT_0, &[value]);
    let data = |value: &[u8]| {
        let octets = der::write(der::OCTET_STRING, &[value]);
        sequence(&[&oid(DATA), &tagged(&octets)])
    };
    let bag = sequence(&[&oid(KEY_BAG), &tagged(encrypted)]);
    let safe = data(&sequence(&[&bag]));
    let version = der::write(der::INTEGER, &[&[3]]);
    sequence(&[&version, &data(&sequence(&[&safe]))])
}

/// Whether a PKCS#8 key is encrypted by a scheme of RFC 7292.
pub(super) fn is_own_scheme(encrypted: &[u8]) -> bool {
    const SCHEMES: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 12, 1];
    let oid = || {
        let mut info = der::sequence(encrypted)?;
        Reader::new(info.expect(der::SEQUENCE)?.value).expect(der::OBJECT_IDENTIFIER)
    };
    oid().is_ok_and(|oid| oid.value.starts_with(SCHEMES))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store without and with a digest at its end; nothing in it can be opened.
    fn stores() -> (Vec<u8>, Vec<u8>) {
        let scheme = [&[6, 9][..], &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 5, 13]].concat();
        let without = store_of_one_key(&der::write(der::SEQUENCE, &[&scheme]));
        let content = der::sequence(&without).map(|content| content.rest().to_vec());
        let digest = der::write(der::SEQUENCE, &[]);
        let with = der::write(der::SEQUENCE, &[&content.unwrap(), &digest]);
        (without, with)
    }

    #[test]
    fn a_key_that_the_password_of_the_store_does_not_open_is_named() {
        let (without, with) = stores();
        for error in [Error::UnpadError, Error::Pkcs5Error("no".to_owned())] {
            assert_eq!(refused(&with, true, &error), one_password());
            let refused = refused(&without, true, &error);
            assert!(matches!(refused, StoreError::Password { given: true, .. }));
        }
    }

    #[test]
    fn what_the_library_does_not_do_is_told_from_damage() {
        let (_, with) = stores();
        for error in [
            Error::UnsupportedEncryptionScheme,
            Error::UnsupportedMacAlgorithm,
            Error::Pkcs5Error("PKCS#5 algorithm 1.3.14.3.2.7 is unsupported".to_owned()),
            Error::InvalidParameters,
        ] {
            let refused_whole = refused(&with, true, &error);
            assert!(matches!(refused_whole, StoreError::Unsupported { .. }));
            let cut = with.get(..with.len() - 1).unwrap();
            let refused_cut = refused(cut, true, &error);
            assert!(matches!(refused_cut, StoreError::Damaged { .. }));
        }
        let refused = refused(&with, true, &Error::InvalidVersion);
        assert!(matches!(refused, StoreError::Damaged { .. }));
    }
}
