//! Each loader, with files that openssl and keytool have made, in a real handshake.

use std::fs;

use kete_credentials::tls::Tls;

use crate::fixtures::{certificates, file, tls, trusting};
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

/// The loaders of key stores with what they load, but for those without a chain.
fn key_stores() -> Vec<(&'static str, String)> {
    let path = |name: &str| format!("path={{dir}}/stores/{name}");
    let inline = |name: &str| format!("base64={}", base64(&format!("stores/{name}")));
    let text = format!("text={}", one_line("stores/client-p256.pem"));
    vec![
        ("pem-file-path", path("client-p256.pem")),
        ("pem-file-path", path("client-p256-reversed.pem")),
        ("pem-file-base64", inline("client-p256.pem")),
        ("pem-file-text", text),
        ("pkcs12-file-path", path("client-p256.p12")),
        ("pkcs12-file-path", path("client-p256-legacy.p12")),
        ("pkcs12-file-base64", inline("client-p256.p12")),
        ("jks-file-path", path("client-p256.jks")),
        ("jks-file-path", path("client-p256.p12")),
        ("jks-file-base64", inline("client-p256.jks")),
        ("pkcs7-file-path", path("client-p256.p7b")),
        ("pkcs7-file-base64", inline("client-p256.p7b")),
    ]
}

/// A client with a key store of this kind, and with a file of its key if the kind has none.
fn client(kind: &str, store: &str) -> Tls {
    let kind_key = format!("key-store.loader.kind={kind}");
    let store = format!("key-store.loader.{store}");
    let mut assignments = trusting(&[&kind_key, &store]);
    if kind.starts_with("pkcs12") || kind.starts_with("jks") {
        assignments.push("key-store.password=store-password");
    }
    if kind.starts_with("der") || kind.starts_with("pkcs7") {
        assignments.push("key-store.loader.key-path={dir}/clients/p256.key");
    }
    tls(&assignments)
}

#[tokio::test]
async fn each_loader_makes_a_key_store() {
    let mut server = Server::start("good", Clients::Required).await;
    let chain = certificates("clients/p256.pem");
    for (kind, store) in key_stores() {
        let answer = ask(&client(kind, &store), server.port, "localhost").await;
        assert_eq!(answer.as_deref(), Ok("localhost"), "{kind} {store}");
        let shown = server.next().await.unwrap().client;
        assert_eq!(shown.first(), chain.first(), "{kind} {store}");
        assert!(shown.contains(&chain[1]), "{kind} {store}");
    }
}

#[tokio::test]
async fn a_key_store_in_der_has_no_chain() {
    let mut server = Server::start("good", Clients::Required).await;
    let inline = format!("base64={}", base64("stores/client-p256.der"));
    for (kind, store) in [
        ("der-file-path", "path={dir}/stores/client-p256.der"),
        ("der-file-base64", &inline),
    ] {
        // With TLS 1.3 the client may have got an answer before the server has refused it.
        let _ = ask(&client(kind, store), server.port, "localhost").await;
        // The server does not know who has issued it.
        let problem = server.next().await.unwrap_err();
        assert!(problem.contains("UnknownIssuer"), "{kind}: {problem}");
    }
}

/// Connects with a store and passwords for it, and expects this client.
async fn assert_opened(server: &mut Server, store: [&str; 2], passwords: &[&str], chain: &str) {
    let store = store.map(|key| format!("key-store.loader.{key}"));
    let store = store.each_ref().map(String::as_str);
    let tls = tls(&trusting(&[&store[..], passwords].concat()));
    let answer = ask(&tls, server.port, "localhost").await;
    let case = format!("{store:?} {passwords:?}");
    assert_eq!(answer.as_deref(), Ok("localhost"), "{case}");
    let shown = server.next().await.unwrap().client;
    assert_eq!(shown[..2], certificates(chain)[..], "{case}");
}

const GIVEN: &str = "key-store.password=store-password";
const KEY_GIVEN: &str = "key-store.key-password=key-password";

#[tokio::test]
async fn passwords_are_found_wherever_they_are_given() {
    let mut server = Server::start("good", Clients::Required).await;
    let p12 = ["kind=pkcs12-file-path", "path={dir}/stores/client-rsa.p12"];
    let pem = [
        "kind=pem-file-path",
        "path={dir}/stores/client-rsa-encrypted.pem",
    ];
    let jks = [
        "kind=jks-file-path",
        "path={dir}/stores/client-other-key-password.jks",
    ];
    let empty = ["kind=pkcs12-file-path", "path={dir}/stores/no-password.p12"];
    let alternative = "key-store.loader.password=store-password";
    let blank = "key-store.password=";
    let cases: [([&str; 2], &[&str]); 6] = [
        (p12, &[GIVEN]),
        (p12, &[alternative]),
        (p12, &[GIVEN, alternative]),
        (p12, &[blank, alternative]),
        (pem, &[KEY_GIVEN]),
        (pem, &["key-store.password=key-password"]),
    ];
    for (store, passwords) in cases {
        assert_opened(&mut server, store, passwords, "clients/rsa.pem").await;
    }
    for (store, passwords) in [(jks, &[GIVEN, KEY_GIVEN][..]), (empty, &[blank])] {
        assert_opened(&mut server, store, passwords, "clients/p256.pem").await;
    }
}

#[tokio::test]
async fn passwords_are_found_in_files() {
    let mut server = Server::start("good", Clients::Required).await;
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, contents: &str| {
        let path = directory.path().join(name);
        fs::write(&path, contents).unwrap();
        format!("key-store.{name}={}", path.display())
    };
    let of_store = file("password-file", "store-password\n");
    let of_key = file("key-password-file", "key-password");
    let p12 = ["kind=pkcs12-file-path", "path={dir}/stores/client-rsa.p12"];
    let passwords = ["key-store.password=", &of_store];
    assert_opened(&mut server, p12, &passwords, "clients/rsa.pem").await;
    let split = ["kind=pem-file-path", "path={dir}/clients/rsa.pem"];
    let key_path = "key-store.loader.key-path={dir}/stores/client-rsa-encrypted.key";
    assert_opened(&mut server, split, &[key_path, &of_key], "clients/rsa.pem").await;
    let jks = [
        "kind=jks-file-path",
        "path={dir}/stores/client-other-key-password.jks",
    ];
    assert_opened(&mut server, jks, &[&of_store, &of_key], "clients/p256.pem").await;
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
