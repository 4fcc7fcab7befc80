//! What a server does with an assertion: it verifies the signature and reads the claims.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::Value;

use crate::fixtures::public_key;

/// The header and the claims of a JWT that one of the keys of `clients/` has signed.
pub(crate) fn verify(jwt: &str, client: &str) -> (Value, Value) {
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    let claims: Value = serde_json::from_slice(&decode(claims)).unwrap();
    // The key itself ends what the certificate says of it; its length tells where it begins.
    let (name, algorithm, length): (_, &dyn VerificationAlgorithm, _) = match client {
        "rsa" => ("RS256", &RSA_PKCS1_2048_8192_SHA256, 270),
        "p256" => ("ES256", &ECDSA_P256_SHA256_FIXED, 65),
        "p384" => ("ES384", &ECDSA_P384_SHA384_FIXED, 97),
        "ed25519" => ("EdDSA", &ED25519, 32),
        other => panic!("no such key: {other}"),
    };
    assert_eq!(header["alg"], name);
    let spki = public_key(client);
    let key = UnparsedPublicKey::new(algorithm, &spki[spki.len() - length..]);
    key.verify(signed.as_bytes(), &decode(signature)).unwrap();
    (header, claims)
}
