//! What a client proves itself with instead of a secret: a JWT that it signs, or one that somebody
//! else wrote into a file (RFC 7523, section 2.2).
//!
//! The signature is that of rustls, which reads the same keys for TLS; only the form differs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use serde_json::json;

use super::error::ProofError;
use crate::{Secret, SecretText, files, store};

/// `client_assertion_type` of RFC 7523, section 2.2.
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// For how many seconds an assertion is good. It is sent at once and used once.
const LIFETIME_SECONDS: u64 = 60;

/// What no key is that the TLS library reads.
const CANNOT_SIGN: &str = "holds a key that cannot sign a JWT";

/// What a file is not that should hold a JWT in the compact form of RFC 7515, section 3.1.
const NO_JWT: &str = "holds no JWT, which has three parts of letters, digits, - and _ with dots \
                      between";

/// A key with which a client signs who it is: `private_key_jwt` of OpenID Connect Core, section 9.
#[derive(Debug, Clone)]
pub struct PrivateKeyJwt {
    /// The file with the key, RSA, P-256, P-384 or Ed25519. Read again for each assertion.
    pub key_path: PathBuf,
    /// What opens it.
    pub key_password: Option<SecretText>,
    /// The `kid` by which the server finds the public key, if it has several.
    pub key_id: Option<String>,
    /// The `aud`: who is to believe the assertion.
    pub audience: String,
}

impl PrivateKeyJwt {
    /// An assertion for this client. Reads files.
    ///
    /// # Errors
    ///
    /// The key cannot be read, or is none to sign with.
    pub(super) fn sign(&self, client_id: &str) -> Result<Secret, ProofError> {
        let assertion = self.key()?.sign(self, client_id, SystemTime::now());
        assertion.ok_or_else(|| self.unusable(CANNOT_SIGN))
    }

    /// Reads the key.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is none to sign with.
    pub(super) fn key(&self) -> Result<SigningKey, ProofError> {
        let password = self.key_password.as_ref().map(SecretText::reveal);
        let password = password.transpose()?;
        let bytes = files::read(&self.key_path)?;
        let key = store::read_private_key(&bytes, password.as_ref());
        let key = key.and_then(|key| store::signing_key(&key));
        let key = key.map_err(|error| ProofError::Key {
            path: self.key_path.clone(),
            error,
        })?;
        SigningKey::new(key).ok_or_else(|| self.unusable(CANNOT_SIGN))
    }

    fn unusable(&self, problem: &'static str) -> ProofError {
        ProofError::Unusable {
            path: self.key_path.clone(),
            problem,
        }
    }
}

/// A key and how it signs.
pub(super) struct SigningKey {
    key: Arc<dyn rustls::sign::SigningKey>,
    algorithm: &'static Algorithm,
}

/// An algorithm of JSON Web Signature (RFC 7518, section 3.1; RFC 8037, section 3.1).
struct Algorithm {
    scheme: SignatureScheme,
    name: &'static str,
    /// The bytes of each of the two numbers of an ECDSA signature.
    numbers: Option<usize>,
}

static ALGORITHMS: [Algorithm; 4] = [
    Algorithm {
        scheme: SignatureScheme::RSA_PKCS1_SHA256,
        name: "RS256",
        numbers: None,
    },
    Algorithm {
        scheme: SignatureScheme::ECDSA_NISTP256_SHA256,
        name: "ES256",
        numbers: Some(32),
    },
    Algorithm {
        scheme: SignatureScheme::ECDSA_NISTP384_SHA384,
        name: "ES384",
        numbers: Some(48),
    },
    Algorithm {
        scheme: SignatureScheme::ED25519,
        name: "EdDSA",
        numbers: None,
    },
];

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKey(hidden)")
    }
}

impl SigningKey {
    fn new(key: Arc<dyn rustls::sign::SigningKey>) -> Option<SigningKey> {
        let fits = |algorithm: &&Algorithm| key.choose_scheme(&[algorithm.scheme]).is_some();
        let algorithm = ALGORITHMS.iter().find(fits)?;
        Some(SigningKey { key, algorithm })
    }

    /// The assertion in the compact form of RFC 7515, section 3.1.
    fn sign(&self, jwt: &PrivateKeyJwt, client_id: &str, now: SystemTime) -> Option<Secret> {
        let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let mut header = json!({"alg": self.algorithm.name, "typ": "JWT"});
        if let (Some(key_id), Some(header)) = (&jwt.key_id, header.as_object_mut()) {
            header.insert("kid".to_owned(), json!(key_id));
        }
        let claims = json!({
            "iss": client_id,
            "sub": client_id,
            "aud": jwt.audience,
            "jti": URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()),
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
        });
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.signature(signed.as_bytes())?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Some(Secret::new(format!("{signed}.{signature}")))
    }

    fn signature(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signer = self.key.choose_scheme(&[self.algorithm.scheme])?;
        let signature = signer.sign(message).ok()?;
        match self.algorithm.numbers {
            Some(length) => numbers_of_ecdsa(&signature, length),
            None => Some(signature),
        }
    }
}

/// TLS writes the two numbers of an ECDSA signature in DER (RFC 3279, section 2.2.3), JWS as so
/// many bytes each (RFC 7518, section 3.4).
fn numbers_of_ecdsa(der: &[u8], length: usize) -> Option<Vec<u8>> {
    let (sequence, []) = der_value(der, 0x30)? else {
        return None;
    };
    let (r, rest) = der_value(sequence, 0x02)?;
    let (s, []) = der_value(rest, 0x02)? else {
        return None;
    };
    let mut numbers = Vec::with_capacity(2 * length);
    for number in [r, s] {
        // A leading zero keeps DER's number positive.
        let digits = number.strip_prefix(&[0]).unwrap_or(number);
        numbers.resize(numbers.len() + length.checked_sub(digits.len())?, 0);
        numbers.extend_from_slice(digits);
    }
    Some(numbers)
}

/// The value with this tag that the bytes begin with, and what follows. Signatures are shorter
/// than the 128 bytes from which on lengths are written differently.
fn der_value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [found, length @ 0..0x80, rest @ ..] = bytes else {
        return None;
    };
    if *found != tag {
        return None;
    }
    rest.split_at_checked(usize::from(*length))
}

/// The JWT that somebody else keeps up to date in a file, such as Kubernetes in a projected
/// volume. Reads the file.
///
/// # Errors
///
/// It cannot be read, or holds something else.
pub(super) fn read_jwt(path: &Path) -> Result<Secret, ProofError> {
    let text = files::read_secret(path)?;
    let jwt = text.reveal().trim();
    let is_part = |part: &str| {
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !part.is_empty() && part.bytes().all(is_base64)
    };
    if jwt.split('.').count() == 3 && jwt.split('.').all(is_part) {
        return Ok(Secret::new(jwt.to_owned()));
    }
    Err(ProofError::Unusable {
        path: path.to_owned(),
        problem: NO_JWT,
    })
}

#[cfg(test)]
mod tests;
