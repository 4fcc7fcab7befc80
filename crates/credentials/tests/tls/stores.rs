//! Each loader, with files that openssl and keytool have made, in a real handshake.

use std::fs;

use crate::fixtures::{certificates, file, tls};
use crate::server::{Clients, Server, ask};

/// The base64 of a file as `base64` prints it: with line breaks, which a value cannot have, so
/// they are spaces here.
fn base64(name: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in fs::read(file(name)).unwrap().chunks(3) {
        let bytes = [0, 1, 2].map(|at| u32::from(chunk.get(at).copied().unwrap_or(0)));
        let bits = (bytes[0] << 16) | (bytes[1] << 8) | bytes[2];
        for sextet in 0..4 {
            let index = (bits >> (18 - 6 * sextet)) & 63;
            let padding = sextet as usize > chunk.len();
            text.push(if padding {
                '='
            } else {
                ALPHABET[index as usize].into()
            });
        }
        if text.len() % 77 == 76 {
            text.push(' ');
        }
    }
    text
}

/// A file in one line, as it would be written into a properties file.
fn one_line(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap().replace('\n', "\\n")
}

#[tokio::test]
async fn each_loader_makes_a_trust_store() {
    let server = Server::start("good", Clients::NotAsked).await;
    for (kind, value, password) in [
        ("pem-file-path", "{dir}/ca.pem".to_owned(), None),
        ("pem-file-base64", base64("ca.pem"), None),
        ("pem-file-text", one_line("ca.pem"), None),
        ("der-file-path", "{dir}/stores/ca.der".to_owned(), None),
        ("der-file-base64", base64("stores/ca.der"), None),
        (
            "pkcs12-file-path",
            "{dir}/stores/truststore-keytool.p12".to_owned(),
            Some(()),
        ),
        (
            "pkcs12-file-base64",
            base64("stores/truststore-legacy.p12"),
            Some(()),
        ),
        (
            "jks-file-path",
            "{dir}/stores/truststore-keytool.jks".to_owned(),
            Some(()),
        ),
        (
            "jks-file-base64",
            base64("stores/truststore-keytool.jks"),
            Some(()),
        ),
        ("pkcs7-file-path", "{dir}/stores/ca.p7b".to_owned(), None),
        ("pkcs7-file-base64", base64("stores/ca-pem.p7b"), None),
    ] {
        let (_, place) = kind.rsplit_once('-').unwrap();
        let kind = format!("trust-store.loader.kind={kind}");
        let value = format!("trust-store.loader.{place}={value}");
        let mut assignments = vec![
            kind.as_str(),
            &value,
            "trust-store.include-system-roots=false",
        ];
        assignments.extend(password.map(|()| "trust-store.password=store-password"));
        let answer = ask(&tls(&assignments), server.port, "localhost").await;
        assert_eq!(answer.as_deref(), Ok("localhost"), "{kind}");
    }
}

#[tokio::test]
async fn each_loader_makes_a_key_store() {
    let mut server = Server::start("good", Clients::Required).await;
    let pem = format!("text={}", one_line("stores/client-p256.pem"));
    let pem_base64 = format!("base64={}", base64("stores/client-p256.pem"));
    let p12 = format!("base64={}", base64("stores/client-p256.p12"));
    let jks = format!("base64={}", base64("stores/client-p256.jks"));
    let der = format!("base64={}", base64("stores/client-p256.der"));
    let p7b = format!("base64={}", base64("stores/client-p256.p7b"));
    for (kind, store, has_chain) in [
        ("pem-file-path", "path={dir}/stores/client-p256.pem", true),
        (
            "pem-file-path",
            "path={dir}/stores/client-p256-reversed.pem",
            true,
        ),
        ("pem-file-base64", &pem_base64, true),
        ("pem-file-text", &pem, true),
        (
            "pkcs12-file-path",
            "path={dir}/stores/client-p256.p12",
            true,
        ),
        (
            "pkcs12-file-path",
            "path={dir}/stores/client-p256-legacy.p12",
            true,
        ),
        ("pkcs12-file-base64", &p12, true),
        ("jks-file-path", "path={dir}/stores/client-p256.jks", true),
        ("jks-file-path", "path={dir}/stores/client-p256.p12", true),
        ("jks-file-base64", &jks, true),
        ("der-file-path", "path={dir}/stores/client-p256.der", false),
        ("der-file-base64", &der, false),
        ("pkcs7-file-path", "path={dir}/stores/client-p256.p7b", true),
        ("pkcs7-file-base64", &p7b, true),
    ] {
        let mut assignments = vec![
            "trust-store.loader.kind=pem-file-path".to_owned(),
            "trust-store.loader.path={dir}/ca.pem".to_owned(),
            format!("key-store.loader.kind={kind}"),
            format!("key-store.loader.{store}"),
        ];
        if kind.starts_with("pkcs12") || kind.starts_with("jks") {
            assignments.push("key-store.password=store-password".to_owned());
        }
        if kind.starts_with("der") || kind.starts_with("pkcs7") {
            let key = "key-store.loader.key-path={dir}/clients/p256.key";
            assignments.push(key.to_owned());
        }
        let assignments: Vec<&str> = assignments.iter().map(String::as_str).collect();
        let answer = ask(&tls(&assignments), server.port, "localhost").await;
        let shown = server.next().await.map(|seen| seen.client);
        let chain = certificates("clients/p256.pem");
        if has_chain {
            assert_eq!(answer.as_deref(), Ok("localhost"), "{kind} {store}");
            let shown = shown.unwrap();
            assert_eq!(shown.first(), chain.first(), "{kind} {store}");
            assert!(shown.contains(&chain[1]), "{kind} {store}");
        } else {
            // The server does not know who has issued it.
            assert!(
                shown.unwrap_err().contains("UnknownIssuer"),
                "{kind} {store}"
            );
        }
    }
}

#[tokio::test]
async fn passwords_are_found_wherever_they_are_given() {
    let mut server = Server::start("good", Clients::Required).await;
    let directory = tempfile::tempdir().unwrap();
    let password_file = directory.path().join("password");
    fs::write(&password_file, "store-password\n").unwrap();
    let key_password_file = directory.path().join("key-password");
    fs::write(&key_password_file, "key-password").unwrap();
    let from_file = format!("key-store.password-file={}", password_file.display());
    let key_from_file = format!(
        "key-store.key-password-file={}",
        key_password_file.display()
    );
    let p12 = ["kind=pkcs12-file-path", "path={dir}/stores/client-rsa.p12"];
    let jks = [
        "kind=jks-file-path",
        "path={dir}/stores/client-other-key-password.jks",
    ];
    let pem = [
        "kind=pem-file-path",
        "path={dir}/stores/client-rsa-encrypted.pem",
    ];
    let split = ["kind=pem-file-path", "path={dir}/clients/rsa.pem"];
    let empty = ["kind=pkcs12-file-path", "path={dir}/stores/no-password.p12"];
    let key_path = "key-store.loader.key-path={dir}/stores/client-rsa-encrypted.key";
    let given = "key-store.password=store-password";
    let key_given = "key-store.key-password=key-password";
    let cases: [(&[&str], &[&str]); 11] = [
        (&p12, &[given]),
        (&p12, &["key-store.loader.password=store-password"]),
        (&p12, &[given, "key-store.loader.password=store-password"]),
        (
            &p12,
            &[
                "key-store.password=",
                "key-store.loader.password=store-password",
            ],
        ),
        (&p12, &["key-store.password=", &from_file]),
        (&jks, &[given, key_given]),
        (&jks, &[&from_file, &key_from_file]),
        (&pem, &[key_given]),
        (&pem, &["key-store.password=key-password"]),
        (&split, &[key_path, &key_from_file]),
        (&empty, &["key-store.password="]),
    ];
    for (store, passwords) in cases {
        let chain = match store == jks || store == empty {
            true => "clients/p256.pem",
            false => "clients/rsa.pem",
        };
        let store = store.iter().map(|key| format!("key-store.loader.{key}"));
        let store: Vec<String> = store.collect();
        let mut assignments = crate::fixtures::TRUSTING.to_vec();
        assignments.extend(store.iter().map(String::as_str));
        assignments.extend(passwords);
        let answer = ask(&tls(&assignments), server.port, "localhost").await;
        assert_eq!(
            answer.as_deref(),
            Ok("localhost"),
            "{store:?} {passwords:?}"
        );
        let shown = server.next().await.unwrap().client;
        assert_eq!(shown[..2], certificates(chain)[..], "{store:?}");
    }
}

#[tokio::test]
async fn the_alias_says_which_of_several_keys_it_is() {
    let mut server = Server::start("good", Clients::Required).await;
    for (alias, client) in [("first", "p256"), ("SECOND", "p384")] {
        let alias = format!("key-store.alias={alias}");
        let mut assignments = crate::fixtures::TRUSTING.to_vec();
        assignments.extend([
            "key-store.loader.kind=pkcs12-file-path",
            "key-store.loader.path={dir}/stores/two-keys.p12",
            "key-store.password=store-password",
            &alias,
        ]);
        assert!(
            ask(&tls(&assignments), server.port, "localhost")
                .await
                .is_ok()
        );
        let shown = server.next().await.unwrap().client;
        assert_eq!(shown[0], certificates(&format!("clients/{client}.pem"))[0]);
    }
}

#[tokio::test]
async fn one_authority_in_a_bundle_of_two_hundred_is_enough() {
    let server = Server::start("good", Clients::NotAsked).await;
    let tls = tls(&[
        "trust-store.loader.kind=pem-file-path",
        "trust-store.loader.path={dir}/stores/bundle-200.pem",
    ]);
    assert_eq!(tls.certificates().len(), 200);
    assert!(ask(&tls, server.port, "localhost").await.is_ok());
}
