//! Each loader as key store: whose certificate it is, with which chain, and whose key.

use kete_credentials::Secret;
use kete_credentials::store::{Format, StoreError, read_private_key};

use crate::fixtures::{
    KEY_PASSWORD, STORE_PASSWORD, bytes, checked, generated_key, read, read_with,
};

const CA: &str = "kete test authority";
const INTERMEDIATE: &str = "kete test intermediate";

#[test]
fn every_loader_reads_key_and_chain() {
    let cases = [
        ("client-rsa.p12", Format::Pkcs12, "kete-rsa"),
        ("client-p256.p12", Format::Pkcs12, "kete-p256"),
        ("client-p384.p12", Format::Pkcs12, "kete-p384"),
        ("client-ed25519.p12", Format::Pkcs12, "kete-ed25519"),
        ("client-rsa-legacy.p12", Format::Pkcs12, "kete-rsa"),
        ("client-p256-legacy.p12", Format::Pkcs12, "kete-p256"),
        ("client-p256-sha512.p12", Format::Pkcs12, "kete-p256"),
        ("client-rsa-keytool.p12", Format::Pkcs12, "kete-rsa"),
        ("client-rsa-keytool-legacy.p12", Format::Pkcs12, "kete-rsa"),
        ("no-mac-encrypted.p12", Format::Pkcs12, "kete-p256"),
        ("client-rsa.jks", Format::Jks, "kete-rsa"),
        ("client-p256.jks", Format::Jks, "kete-p256"),
        ("client-p256.jks", Format::Pkcs12, "kete-p256"),
        ("client-p256.p12", Format::Jks, "kete-p256"),
    ];
    for (file, format, name) in cases {
        let bytes = bytes(&format!("stores/{file}"));
        let store = read(format, &bytes, Some(STORE_PASSWORD)).unwrap();
        let identity = store.identity(None, None).unwrap();
        assert_eq!(checked(&identity), [name, INTERMEDIATE, CA], "{file}");
    }
}

#[test]
fn a_pem_file_may_have_key_and_chain_in_any_order() {
    for (file, chain) in [
        ("client-p256.pem", &["kete-p256", INTERMEDIATE][..]),
        ("client-rsa-pkcs1.pem", &["kete-rsa", INTERMEDIATE]),
        ("client-p256-sec1.pem", &["kete-p256", INTERMEDIATE]),
        ("client-p256-reversed.pem", &["kete-p256", INTERMEDIATE, CA]),
    ] {
        let store = read(Format::Pem, &bytes(&format!("stores/{file}")), None).unwrap();
        let identity = store.identity(None, None).unwrap();
        assert_eq!(checked(&identity), chain, "{file}");
    }
}

#[test]
fn certificates_and_key_may_be_in_two_files() {
    let key = |file: &str| read_private_key(&bytes(file), None).unwrap();
    let store = |file: &str, format| read(format, &bytes(file), None).unwrap();
    for name in ["rsa", "p256", "p384", "ed25519"] {
        let identity = store(&format!("clients/{name}.pem"), Format::Pem)
            .identity(None, Some(key(&format!("clients/{name}.key"))))
            .unwrap();
        assert_eq!(checked(&identity), [&format!("kete-{name}"), INTERMEDIATE]);
    }
    let identity = store("stores/client-p256.der", Format::Der)
        .identity(None, Some(key("stores/client-p256-sec1.der")))
        .unwrap();
    assert_eq!(checked(&identity), ["kete-p256"]);
    let identity = store("stores/client-p256.p7b", Format::Pkcs7)
        .identity(None, Some(key("stores/client-p256-pkcs8.der")))
        .unwrap();
    assert_eq!(checked(&identity), ["kete-p256", INTERMEDIATE, CA]);
}

#[test]
fn stores_that_need_no_password_are_opened_without() {
    for file in ["no-password.p12", "no-mac.p12"] {
        let store = read(Format::Pkcs12, &bytes(&format!("stores/{file}")), None).unwrap();
        let identity = store.identity(None, None).unwrap();
        assert_eq!(checked(&identity), ["kete-p256", INTERMEDIATE, CA]);
    }
}

#[test]
fn an_alias_chooses_in_any_letter_case() {
    for (file, format) in [
        ("two-keys.p12", Format::Pkcs12),
        ("two-keys.jks", Format::Jks),
    ] {
        let bytes = bytes(&format!("stores/{file}"));
        let store = read(format, &bytes, Some(STORE_PASSWORD)).unwrap();
        let name = |alias| checked(&store.identity(Some(alias), None).unwrap())[0].clone();
        assert_eq!(name("first"), "kete-p256", "{file}");
        assert_eq!(name("Second"), "kete-p384", "{file}");

        let error = store.identity(None, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there are 2 private keys: `first`, `second`; an alias says which is meant",
            "{file}"
        );
        let error = store.identity(Some("third\u{202e}\n"), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no private key has the alias `third\\u{202e}\\u{a}`; there is `first`, `second`",
            "{file}"
        );
    }
}

#[test]
fn an_alias_where_there_is_none_is_an_error() {
    let store = read(Format::Pem, &bytes("stores/client-p256.pem"), None).unwrap();
    let error = store.identity(Some("x"), None).unwrap_err();
    assert!(matches!(error, StoreError::NoSuchAlias { .. }), "{error}");
    let store = read(Format::Pem, &bytes("clients/p256.pem"), None).unwrap();
    let key = read_private_key(&bytes("clients/p256.key"), None).unwrap();
    let error = store.identity(Some("x"), Some(key)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no private key has the alias `x`; there is none with an alias"
    );
}

#[test]
fn keytool_leaves_out_public_keys_and_the_certificate_has_them() {
    for (file, format) in [
        ("client-generated.p12", Format::Pkcs12),
        ("client-generated.jks", Format::Jks),
    ] {
        let bytes = bytes(&format!("stores/{file}"));
        let store = read(format, &bytes, Some(STORE_PASSWORD)).unwrap();
        let identity = store.identity(None, None).unwrap();
        assert_eq!(checked(&identity), ["kete-generated"], "{file}");
    }
    // The same key does not belong to another certificate with the same curve.
    let key = read_private_key(&generated_key(), None).unwrap();
    let store = read(Format::Pem, &bytes("clients/p256.pem"), None).unwrap();
    let error = store.identity(None, Some(key)).unwrap_err();
    assert!(matches!(error, StoreError::WrongKey { .. }), "{error}");
}

#[test]
fn a_key_of_somebody_else_is_an_error_that_names_the_certificate() {
    let store = read(Format::Pem, &bytes("stores/client-mismatch.pem"), None).unwrap();
    let error = store.identity(None, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the private key does not belong to any of the certificates of \
         CN=kete-p256,O=kete tests; CN=kete test intermediate,O=kete tests: its public key is \
         another one"
    );
    let store = read(Format::Pem, &bytes("clients/other-ca.pem"), None).unwrap();
    let key = read_private_key(&bytes("clients/rsa.key"), None).unwrap();
    let error = store.identity(None, Some(key)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the private key does not belong to the certificate of CN=kete-other-ca,O=kete tests: \
         its public key is another one"
    );
    // The subject is the same, the key is not.
    let store = read(Format::Pem, &bytes("clients/renewed.pem"), None).unwrap();
    let key = read_private_key(&bytes("clients/p256.key"), None).unwrap();
    let error = store.identity(None, Some(key)).unwrap_err();
    assert!(matches!(error, StoreError::WrongKey { .. }), "{error}");
}

#[test]
fn a_missing_or_second_part_is_an_error() {
    let store = read(Format::Pem, &bytes("clients/p256.pem"), None).unwrap();
    let error = store.identity(None, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no private key in a PEM file, only certificates"
    );

    let store = read(Format::Pem, &bytes("clients/p256.key"), None).unwrap();
    let error = store.identity(None, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no certificate in a PEM file, only a private key"
    );

    let store = read(Format::Pem, &bytes("stores/client-p256.pem"), None).unwrap();
    let key = read_private_key(&bytes("clients/p256.key"), None).unwrap();
    let error = store.identity(None, Some(key)).unwrap_err();
    assert_eq!(error, StoreError::KeyGivenTwice);

    for (file, format) in [("empty.p12", Format::Pkcs12), ("empty.jks", Format::Jks)] {
        let bytes = bytes(&format!("stores/{file}"));
        let store = read(format, &bytes, Some(STORE_PASSWORD)).unwrap();
        let error = store.identity(None, None).unwrap_err();
        assert!(
            matches!(error, StoreError::NoKey { only: None, .. }),
            "{file}: {error}"
        );
    }
    let two = [bytes("clients/p256.key"), bytes("stores/client-p256.pem")].concat();
    let store = read(Format::Pem, &two, None).unwrap();
    let error = store.identity(None, None).unwrap_err();
    assert!(matches!(error, StoreError::SeveralKeys { .. }), "{error}");
}

#[test]
fn a_key_may_have_a_password_of_its_own() {
    let read = |file: &str, format, store, key| {
        let store = read_with(format, &bytes(&format!("stores/{file}")), store, key).unwrap();
        store
            .identity(None, None)
            .map(|identity| checked(&identity))
    };
    let jks = read(
        "client-other-key-password.jks",
        Format::Jks,
        Some(STORE_PASSWORD),
        Some(KEY_PASSWORD),
    );
    assert_eq!(jks.unwrap(), ["kete-p256", INTERMEDIATE, CA]);
    let pem = "client-rsa-encrypted.pem";
    let own = read(pem, Format::Pem, None, Some(KEY_PASSWORD));
    assert_eq!(own.unwrap(), ["kete-rsa", INTERMEDIATE]);
    let stores = read(pem, Format::Pem, Some(KEY_PASSWORD), None);
    assert_eq!(stores.unwrap(), ["kete-rsa", INTERMEDIATE]);
    // PKCS#12 has one password for both, so the other one may be anything, as in KETE.
    for key in [STORE_PASSWORD, KEY_PASSWORD] {
        let p12 = "client-rsa.p12";
        let opened = read(p12, Format::Pkcs12, Some(STORE_PASSWORD), Some(key));
        assert_eq!(opened.unwrap(), ["kete-rsa", INTERMEDIATE, CA]);
    }
}

#[test]
fn keys_that_cannot_be_used_are_named() {
    for (file, algorithm) in [
        ("client-p521.pem", "ECDSA with P-521"),
        ("client-secp256k1.pem", "ECDSA with secp256k1"),
        ("client-rsa1024.pem", "RSA with 1024 bits"),
        ("client-ed448.pem", "Ed448"),
        ("client-dsa.pem", "DSA"),
    ] {
        let store = read(Format::Pem, &bytes(&format!("stores/{file}")), None).unwrap();
        let error = store.identity(None, None).unwrap_err();
        let expected = algorithm.to_owned();
        assert_eq!(
            error,
            StoreError::UnusableKey {
                algorithm: expected
            },
            "{file}"
        );
    }
}

#[test]
fn nothing_shows_a_key_or_password() {
    let secret = Secret::new(KEY_PASSWORD.to_owned());
    let key = read_private_key(&bytes("stores/client-rsa-encrypted.key"), Some(&secret)).unwrap();
    let hidden = format!("{:?}", &key.secret_der()[100..110]);
    let hidden = hidden.trim_matches(['[', ']']);
    let store = read_with(
        Format::Pem,
        &bytes("stores/client-rsa-encrypted.pem"),
        None,
        Some(KEY_PASSWORD),
    )
    .unwrap();
    let identity = store.identity(None, None).unwrap();
    for shown in [format!("{store:?}"), format!("{identity:?}")] {
        assert!(shown.contains("[secret key elided]"), "{shown}");
        assert!(!shown.contains(hidden), "{shown}");
        assert!(!shown.contains(KEY_PASSWORD), "{shown}");
    }
}
