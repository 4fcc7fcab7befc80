//! The commands that errors name do what the errors say.

use std::process::Command;

use kete_credentials::Secret;
use kete_credentials::store::{Format, Kind, StoreError, read_private_key, signing_key};

use crate::fixtures::{
    KEY_PASSWORD, STORE_PASSWORD, bytes, checked, generated_key, openssl, path, read,
};

#[test]
fn old_encryptions_of_keys_are_replaced() {
    let password = Secret::new(KEY_PASSWORD.to_owned());
    for (file, providers) in [
        ("client-rsa-encrypted-traditional.key", &[][..]),
        (
            "client-rsa-encrypted-md5-des.key",
            &["-provider", "legacy", "-provider", "default"],
        ),
    ] {
        let old = path(&format!("stores/{file}"));
        let mut command = vec!["pkcs8", "-topk8", "-v2", "aes-256-cbc"];
        command.extend(["-in", old.to_str().unwrap()]);
        command.extend([
            "-passin",
            "pass:key-password",
            "-passout",
            "pass:key-password",
        ]);
        command.extend(providers);
        let key = read_private_key(&openssl(&command), Some(&password)).unwrap();
        assert!(signing_key(&key).is_ok(), "{file}");
    }
}

#[test]
fn a_missing_public_key_is_added() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("old.pem");
    std::fs::write(&file, generated_key()).unwrap();
    let new = openssl(&["ec", "-in", file.to_str().unwrap()]);
    assert!(signing_key(&read_private_key(&new, None).unwrap()).is_ok());
}

#[test]
fn a_trusted_certificate_becomes_a_plain_one() {
    let old = path("stores/ca-openssl-trusted.pem");
    assert!(
        Kind::TrustedCertificate
            .way_out()
            .unwrap()
            .contains("openssl x509 -in OLD")
    );
    let new = openssl(&["x509", "-in", old.to_str().unwrap()]);
    let trusted = read(Format::Pem, &new, None).unwrap().trusted().unwrap();
    assert_eq!(trusted[0].as_ref(), bytes("stores/ca.der"));
}

#[test]
fn a_key_in_jceks_is_converted() {
    let jceks = bytes("stores/client.jceks");
    let store = read(Format::Jks, &jceks, Some(STORE_PASSWORD)).unwrap();
    let error = store.identity(None, None).unwrap_err();
    let StoreError::Unsupported { way_out, .. } = error else {
        panic!("{error}");
    };
    let directory = tempfile::tempdir().unwrap();
    let new = directory.path().join("new.p12");
    let old = path("stores/client.jceks");
    let words = way_out
        .strip_prefix("convert the store: keytool ")
        .unwrap()
        .split_whitespace()
        .map(|word| match word {
            "OLD" => old.to_str().unwrap(),
            "NEW.p12" => new.to_str().unwrap(),
            word => word,
        });
    let ran = Command::new("keytool")
        .args(words)
        .args(["-srcstorepass", STORE_PASSWORD])
        .args(["-deststorepass", STORE_PASSWORD, "-noprompt"])
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stdout)
    );
    let bytes = std::fs::read(&new).unwrap();
    let store = read(Format::Pkcs12, &bytes, Some(STORE_PASSWORD)).unwrap();
    assert_eq!(
        checked(&store.identity(None, None).unwrap())[0],
        "kete-p256"
    );
}
