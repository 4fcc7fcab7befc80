//! Private keys: which of the usual ways they are written in, and how they are opened.

use std::sync::Arc;

use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::EncryptionScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::sign::SigningKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use x509_cert::der::Decode as _;
use x509_cert::der::oid::ObjectIdentifier;

use super::der::{self, Problem, Reader};
use super::error::{Locked, StoreError};
use super::kind::Kind;
use super::pem::{Block, Content};
use super::pkcs12;
use crate::Secret;

const WRITE_PKCS8: &str = "write the key anew: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out \
    NEW (with -provider legacy -provider default too if openssl does not know the encryption)";

const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1];

/// A key from what a PEM block holds.
pub(super) fn of_block(
    block: &Block,
    password: Option<&Secret>,
) -> Result<PrivateKeyDer<'static>, StoreError> {
    match &block.content {
        Content::Der(bytes) => of_der(bytes, password).map_err(|error| match error {
            StoreError::Damaged { reason, .. } => StoreError::BrokenPem {
                line: block.line,
                reason: format!("the private key that begins here is damaged: {reason}"),
            },
            error => error,
        }),
        Content::Encrypted => Err(StoreError::Unsupported {
            what: "a private key with the encryption of PEM itself (`Proc-Type: 4,ENCRYPTED`)"
                .to_owned(),
            way_out: WRITE_PKCS8,
        }),
        Content::NotRead => Err(StoreError::WrongKind {
            expected: None,
            found: block.kind,
            base64: false,
        }),
    }
}

/// A key in DER, whichever way it is written.
pub(super) fn of_der(
    bytes: &[u8],
    password: Option<&Secret>,
) -> Result<PrivateKeyDer<'static>, StoreError> {
    match Form::of(bytes).map_err(damaged)? {
        Form::Encrypted => decrypted(bytes, password),
        Form::Pkcs8 => Ok(PrivatePkcs8KeyDer::from(bytes.to_vec()).into()),
        Form::Pkcs1 => Ok(PrivatePkcs1KeyDer::from(bytes.to_vec()).into()),
        Form::Sec1 => Ok(PrivateSec1KeyDer::from(bytes.to_vec()).into()),
    }
}

/// What signs with a key.
///
/// # Errors
///
/// It is of an algorithm that kete does not have, or damaged.
pub fn signing_key(key: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, StoreError> {
    any_supported_type(key).map_err(|_| StoreError::UnusableKey {
        algorithm: algorithm(key),
    })
}

/// The ways in which private keys are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// RFC 5958: version, algorithm, key.
    Pkcs8,
    /// RFC 5958, section 3: encryption algorithm, encrypted key.
    Encrypted,
    /// RFC 8017, appendix A.1.2: version and numbers.
    Pkcs1,
    /// RFC 5915: version and key.
    Sec1,
}

impl Form {
    fn of(bytes: &[u8]) -> Result<Form, Problem> {
        let mut content = der::sequence(bytes)?;
        let first = content.next()?.tag;
        let second = content.next()?.tag;
        match (first, second) {
            (der::INTEGER, der::SEQUENCE) => Ok(Form::Pkcs8),
            (der::SEQUENCE, der::OCTET_STRING) => Ok(Form::Encrypted),
            (der::INTEGER, der::INTEGER) => Ok(Form::Pkcs1),
            (der::INTEGER, der::OCTET_STRING) => Ok(Form::Sec1),
            _ => Err(Problem::Malformed),
        }
    }
}

fn decrypted(
    bytes: &[u8],
    password: Option<&Secret>,
) -> Result<PrivateKeyDer<'static>, StoreError> {
    let refused = |given| StoreError::Password {
        of: Locked::Key,
        given,
        guessable: false,
    };
    let password = password.ok_or_else(|| refused(false))?.reveal();
    let plain = match EncryptedPrivateKeyInfoRef::from_der(bytes) {
        Ok(info) => {
            bounded(&info.encryption_algorithm)?;
            match info.decrypt(password) {
                Ok(plain) => plain.as_bytes().to_vec(),
                Err(pkcs8::Error::EncryptedPrivateKey(
                    pkcs8::pkcs5::Error::NoPbes1CryptSupport
                    | pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. },
                )) => return Err(unsupported()),
                Err(_) => return Err(refused(true)),
            }
        }
        Err(_) if pkcs12::is_own_scheme(bytes) => match pkcs12::decrypt_key(bytes, password) {
            Ok(plain) => plain,
            Err(p12_keystore::error::Error::UnsupportedEncryptionScheme) => {
                return Err(unsupported());
            }
            Err(_) => return Err(refused(true)),
        },
        Err(_) => return Err(unsupported()),
    };
    // A wrong password may leave the right padding by chance.
    match Form::of(&plain) {
        Ok(Form::Pkcs8) => Ok(PrivatePkcs8KeyDer::from(plain).into()),
        _ => Err(refused(true)),
    }
}

/// Deriving a key may take what memory and time a file asks for.
fn bounded(scheme: &EncryptionScheme) -> Result<(), StoreError> {
    const MOST_MEMORY: u64 = 64 << 20;
    const MOST_ROUNDS: u32 = 10_000_000;
    let EncryptionScheme::Pbes2(parameters) = scheme else {
        return Ok(());
    };
    let fits = match &parameters.kdf {
        pkcs8::pkcs5::pbes2::Kdf::Pbkdf2(parameters) => parameters.iteration_count <= MOST_ROUNDS,
        pkcs8::pkcs5::pbes2::Kdf::Scrypt(parameters) => {
            let size = 128 * u64::from(parameters.block_size);
            let memory = size.checked_mul(parameters.cost_parameter);
            let work = memory.and_then(|m| m.checked_mul(u64::from(parameters.parallelization)));
            work.is_some_and(|work| work <= MOST_MEMORY)
        }
        _ => false,
    };
    match fits {
        true => Ok(()),
        false => Err(StoreError::Unsupported {
            what: "a private key whose password takes more than 64 MiB or ten million rounds"
                .to_owned(),
            way_out: WRITE_PKCS8,
        }),
    }
}

fn unsupported() -> StoreError {
    StoreError::Unsupported {
        what: "the encryption of this private key".to_owned(),
        way_out: WRITE_PKCS8,
    }
}

fn damaged(problem: Problem) -> StoreError {
    StoreError::Damaged {
        kind: Kind::PrivateKey,
        reason: problem.to_string(),
    }
}

/// The private number of an elliptic curve, as keytool writes it: without the public key, which
/// ring wants beside it.
pub(super) struct Scalar<'k> {
    /// OID with tag and length.
    curve: &'k [u8],
    number: &'k [u8],
}

impl<'k> Scalar<'k> {
    /// `None` if it is another key, or has its public key.
    pub(super) fn of(key: &'k PrivateKeyDer<'_>) -> Option<Scalar<'k>> {
        let (curve, key) = match key {
            PrivateKeyDer::Pkcs8(key) => {
                let mut content = der::sequence(key.secret_pkcs8_der()).ok()?;
                content.expect(der::INTEGER).ok()?;
                let algorithm = content.expect(der::SEQUENCE).ok()?;
                let mut algorithm = Reader::new(algorithm.value);
                let oid = algorithm.expect(der::OBJECT_IDENTIFIER).ok()?;
                if oid.value != EC_PUBLIC_KEY {
                    return None;
                }
                let curve = algorithm.expect(der::OBJECT_IDENTIFIER).ok()?.whole;
                (Some(curve), content.expect(der::OCTET_STRING).ok()?.value)
            }
            PrivateKeyDer::Sec1(key) => (None, key.secret_sec1_der()),
            _ => return None,
        };
        let mut content = der::sequence(key).ok()?;
        content.expect(der::INTEGER).ok()?;
        let number = content.expect(der::OCTET_STRING).ok()?.value;
        let named = content.optional(der::CONTEXT_0).ok()?;
        let curve = curve.or(named.map(|named| named.value))?;
        let public = content.optional(der::CONTEXT_1).ok()?;
        public.is_none().then_some(Scalar { curve, number })
    }

    /// Whether ring has the curve.
    pub(super) fn is_usable(&self) -> bool {
        /// 1.2.840.10045.3.1.7 and 1.3.132.0.34, with tag and length.
        const P256: &[u8] = &[6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7];
        const P384: &[u8] = &[6, 5, 0x2B, 0x81, 4, 0, 0x22];
        [P256, P384].contains(&self.curve)
    }

    /// The key with a public key from a certificate, in PKCS#8. Whether they belong together is
    /// for ring to find out.
    pub(super) fn with(&self, curve: &[u8], point: &[u8]) -> Option<PrivateKeyDer<'static>> {
        if self.curve != curve {
            return None;
        }
        let sequence = |parts: &[&[u8]]| der::write(der::SEQUENCE, parts);
        let point = der::write(der::BIT_STRING, &[&[0], point]);
        let key = sequence(&[
            &der::write(der::INTEGER, &[&[1]]),
            &der::write(der::OCTET_STRING, &[self.number]),
            &der::write(der::CONTEXT_1, &[&point]),
        ]);
        let oid = der::write(der::OBJECT_IDENTIFIER, &[EC_PUBLIC_KEY]);
        let written = sequence(&[
            &der::write(der::INTEGER, &[&[0]]),
            &sequence(&[&oid, curve]),
            &der::write(der::OCTET_STRING, &[&key]),
        ]);
        Some(PrivatePkcs8KeyDer::from(written).into())
    }
}

/// What a key is, for errors.
fn algorithm(key: &PrivateKeyDer<'_>) -> String {
    let found = match key {
        PrivateKeyDer::Pkcs8(pkcs8) => of_pkcs8(pkcs8.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(pkcs1) => rsa(pkcs1.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(sec1) => named_curve(sec1.secret_sec1_der()),
        _ => None,
    };
    match (found, Scalar::of(key)) {
        (Some(found), Some(_)) => {
            format!("{found} without its public key, which openssl ec -in OLD -out NEW adds")
        }
        (Some(found), None) => found,
        (None, _) => "a damaged one".to_owned(),
    }
}

fn of_pkcs8(key: &[u8]) -> Option<String> {
    let mut content = der::sequence(key).ok()?;
    content.expect(der::INTEGER).ok()?;
    let mut algorithm = Reader::new(content.expect(der::SEQUENCE).ok()?.value);
    let oid = algorithm.expect(der::OBJECT_IDENTIFIER).ok()?.value;
    let oid = ObjectIdentifier::from_bytes(oid).ok()?.to_string();
    match oid.as_str() {
        "1.2.840.113549.1.1.1" => rsa(content.expect(der::OCTET_STRING).ok()?.value),
        "1.2.840.10045.2.1" => match algorithm.optional(der::OBJECT_IDENTIFIER).ok()? {
            Some(name) => curve(name.value),
            None => Some("ECDSA with a curve that has no name".to_owned()),
        },
        "1.2.840.113549.1.1.10" => Some("RSASSA-PSS only".to_owned()),
        "1.2.840.10040.4.1" => Some("DSA".to_owned()),
        "1.2.840.113549.1.3.1" => Some("Diffie-Hellman".to_owned()),
        "1.3.101.110" => Some("X25519".to_owned()),
        "1.3.101.111" => Some("X448".to_owned()),
        "1.3.101.112" => Some("Ed25519".to_owned()),
        "1.3.101.113" => Some("Ed448".to_owned()),
        other => Some(format!("OID {other}")),
    }
}

fn rsa(key: &[u8]) -> Option<String> {
    let mut content = der::sequence(key).ok()?;
    content.expect(der::INTEGER).ok()?;
    let modulus = content.expect(der::INTEGER).ok()?.value;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(zeros)?;
    let bits = (modulus.len() - zeros) * 8 - usize::try_from(first.leading_zeros()).ok()?;
    Some(format!("RSA with {bits} bits"))
}

fn named_curve(key: &[u8]) -> Option<String> {
    let mut content = der::sequence(key).ok()?;
    content.expect(der::INTEGER).ok()?;
    content.expect(der::OCTET_STRING).ok()?;
    match content.optional(der::CONTEXT_0).ok()? {
        Some(named) => match Reader::new(named.value).optional(der::OBJECT_IDENTIFIER) {
            Ok(Some(name)) => curve(name.value),
            _ => Some("ECDSA with a curve that has no name".to_owned()),
        },
        None => Some("ECDSA".to_owned()),
    }
}

fn curve(oid: &[u8]) -> Option<String> {
    let oid = ObjectIdentifier::from_bytes(oid).ok()?.to_string();
    let name = match oid.as_str() {
        "1.2.840.10045.3.1.7" => "P-256",
        "1.3.132.0.34" => "P-384",
        "1.3.132.0.35" => "P-521",
        "1.3.132.0.10" => "secp256k1",
        "1.3.132.0.33" => "P-224",
        "1.3.36.3.3.2.8.1.1.7" => "brainpoolP256r1",
        other => other,
    };
    Some(format!("ECDSA with {name}"))
}
