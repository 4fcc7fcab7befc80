//! Private keys alone, in every way in which they are written.

use kete_credentials::Secret;
use kete_credentials::store::{StoreError, read_private_key, signing_key};
use rustls_pki_types::PrivateKeyDer;

use crate::fixtures::{KEY_PASSWORD, bytes, generated_key, openssl, path};

/// The public key that signs with a key, and the one that openssl knows.
fn same_as(key: &PrivateKeyDer<'_>, original: &str) {
    let signing = signing_key(key).unwrap();
    let original = path(original);
    let expected = openssl(&[
        "pkey",
        "-in",
        original.to_str().unwrap(),
        "-pubout",
        "-outform",
        "DER",
    ]);
    assert_eq!(signing.public_key().unwrap().as_ref(), expected);
}

#[test]
fn plain_keys_are_read() {
    for (file, original) in [
        ("clients/rsa.key", "clients/rsa.key"),
        ("clients/p256.key", "clients/p256.key"),
        ("clients/p384.key", "clients/p384.key"),
        ("clients/ed25519.key", "clients/ed25519.key"),
        ("stores/client-rsa-pkcs1.der", "clients/rsa.key"),
        ("stores/client-p256-pkcs8.der", "clients/p256.key"),
        ("stores/client-p256-sec1.der", "clients/p256.key"),
        // The certificates and parameters beside it do not matter.
        ("stores/client-rsa-pkcs1.pem", "clients/rsa.key"),
        ("stores/client-p256-sec1.pem", "clients/p256.key"),
    ] {
        let key = read_private_key(&bytes(file), None).unwrap_or_else(|e| panic!("{file}: {e}"));
        same_as(&key, original);
    }
}

#[test]
fn encrypted_keys_are_opened() {
    let password = Secret::new(KEY_PASSWORD.to_owned());
    for file in [
        "client-rsa-encrypted.key",
        "client-rsa-encrypted.der",
        "client-rsa-encrypted.pem",
        "client-rsa-encrypted-sha1.key",
        "client-rsa-encrypted-3des.key",
        "client-rsa-encrypted-scrypt.key",
        "client-rsa-encrypted-pbes1.key",
    ] {
        let key = read_private_key(&bytes(&format!("stores/{file}")), Some(&password));
        same_as(
            &key.unwrap_or_else(|e| panic!("{file}: {e}")),
            "clients/rsa.key",
        );
    }
}

#[test]
fn old_encryptions_are_named_with_the_command_that_replaces_them() {
    let password = Secret::new(KEY_PASSWORD.to_owned());
    for (file, what) in [
        (
            "client-rsa-encrypted-traditional.key",
            "a private key with the encryption of PEM itself (`Proc-Type: 4,ENCRYPTED`)",
        ),
        (
            "client-rsa-encrypted-md5-des.key",
            "the encryption of this private key",
        ),
    ] {
        let bytes = bytes(&format!("stores/{file}"));
        for password in [None, Some(&password)] {
            // Whether there is a password comes first where the key could be of another kind.
            let error = read_private_key(&bytes, password).unwrap_err();
            if matches!(error, StoreError::Password { given: false, .. }) {
                continue;
            }
            let text = error.to_string();
            assert!(text.starts_with(what), "{text}");
            assert!(text.contains("openssl pkcs8 -topk8"), "{text}");
        }
    }
}

#[test]
fn a_key_that_asks_for_too_much_is_refused() {
    let mut key = openssl(&[
        "pkcs8",
        "-topk8",
        "-in",
        path("clients/rsa.key").to_str().unwrap(),
        "-scrypt",
        "-outform",
        "DER",
        "-passout",
        "pass:key-password",
    ]);
    // Cost 16384, block size 8, parallelization 1.
    let parameters = [2, 2, 0x40, 0, 2, 1, 8, 2, 1, 1];
    let position = key
        .windows(parameters.len())
        .position(|window| window == parameters)
        .unwrap();
    key[position + 6] = 0x7F;
    let password = Secret::new(KEY_PASSWORD.to_owned());
    let error = read_private_key(&key, Some(&password)).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("a private key whose password takes more than 64 MiB"),
        "{error}"
    );
}

#[test]
fn no_key_and_several_keys_are_errors() {
    let error = read_private_key(&bytes("ca.pem"), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no private key in a PEM file, only certificates"
    );
    let two = [bytes("clients/p256.key"), bytes("clients/p384.key")].concat();
    let error = read_private_key(&two, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there are 2 private keys: `line 1`, `line 6`; an alias says which is meant"
    );
}

#[test]
fn a_damaged_key_is_named_with_its_line() {
    let key = String::from_utf8(bytes("clients/p256.key")).unwrap();
    let cut: Vec<&str> = key.lines().take(2).collect();
    let text = format!(
        "# a comment\n{}\n-----END PRIVATE KEY-----\n",
        cut.join("\n")
    );
    let error = read_private_key(text.as_bytes(), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 2 of the PEM text: the private key that begins here is damaged: it ends too early"
    );
}

#[test]
fn a_key_without_its_public_key_says_how_to_get_it() {
    let key = read_private_key(&generated_key(), None).unwrap();
    let Err(error) = signing_key(&key) else {
        panic!("keytool writes public keys now: nothing needs to be added any more");
    };
    assert_eq!(
        error,
        StoreError::UnusableKey {
            algorithm: "ECDSA with P-256 without its public key, which openssl ec -in OLD -out \
                        NEW adds"
                .to_owned()
        }
    );
}
