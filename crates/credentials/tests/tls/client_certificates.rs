//! The client's own certificate: shown to servers that ask, whole, and to nobody else.

use kete_credentials::tls::Tls;

use crate::fixtures::{certificates, tls, trusting};
use crate::server::{Clients, Server, ask};

/// A client that is the one of this name in `clients/`.
fn client(name: &str) -> Tls {
    let path = format!("key-store.loader.path={{dir}}/clients/{name}.pem");
    let key_path = format!("key-store.loader.key-path={{dir}}/clients/{name}.key");
    tls(&trusting(&[
        "key-store.loader.kind=pem-file-path",
        &path,
        &key_path,
    ]))
}

#[tokio::test]
async fn each_kind_of_key_is_shown_with_its_whole_chain() {
    for versions in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut server = Server::with_versions("good", Clients::Required, &[versions]).await;
        for name in ["rsa", "p256", "p384", "ed25519"] {
            let answer = ask(&client(name), server.port, "localhost").await;
            assert_eq!(answer.as_deref(), Ok("localhost"), "{name}");
            let shown = server.next().await.unwrap().client;
            assert_eq!(
                shown,
                certificates(&format!("clients/{name}.pem")),
                "{name}"
            );
            assert_eq!(shown.len(), 2, "{name}");
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_ask_sees_no_certificate() {
    let mut server = Server::start("good", Clients::NotAsked).await;
    assert!(ask(&client("p256"), server.port, "localhost").await.is_ok());
    assert_eq!(server.next().await.unwrap().client, []);
}

#[tokio::test]
async fn a_server_that_asks_and_does_not_insist_accepts_both() {
    let mut server = Server::start("good", Clients::Asked).await;
    assert!(
        ask(&tls(&trusting(&[])), server.port, "localhost")
            .await
            .is_ok()
    );
    assert_eq!(server.next().await.unwrap().client, []);
    assert!(ask(&client("p256"), server.port, "localhost").await.is_ok());
    assert_eq!(server.next().await.unwrap().client.len(), 2);
}

#[tokio::test]
async fn a_server_that_insists_refuses_who_has_none_or_one_of_another_authority() {
    let mut server = Server::start("good", Clients::Required).await;
    let without = ask(&tls(&trusting(&[])), server.port, "localhost").await;
    assert!(without.unwrap_err().contains("CertificateRequired"));
    assert!(
        server
            .next()
            .await
            .unwrap_err()
            .contains("sent no certificates")
    );
    let stranger = ask(&client("other-ca"), server.port, "localhost").await;
    assert!(stranger.is_err());
    assert!(server.next().await.unwrap_err().contains("UnknownIssuer"));
}

#[tokio::test]
async fn an_expired_certificate_is_shown_all_the_same() {
    let mut server = Server::start("good", Clients::Required).await;
    assert!(
        ask(&client("expired"), server.port, "localhost")
            .await
            .is_err()
    );
    assert!(server.next().await.unwrap_err().contains("expired"));
}
