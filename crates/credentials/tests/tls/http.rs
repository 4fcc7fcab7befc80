//! The HTTP client over TLS.

use std::fs;

use kete_credentials::http::{HttpClient, HttpError, causes};
use kete_credentials::tls::Tls;
use reqwest::Method;
use rustls::HandshakeKind;

use crate::fixtures::{TRUSTING, certificates, file, tls, trusting};
use crate::server::{Clients, Server};

/// The answer to a request, or what went wrong.
pub(crate) async fn get(client: &HttpClient, url: &str) -> Result<String, String> {
    let request = client.request(Method::GET, url.parse().unwrap()).await;
    let answer = request
        .unwrap()
        .send()
        .await
        .map_err(|error| causes(error, "tls"))?;
    let answer = answer
        .error_for_status()
        .map_err(|error| causes(error, "tls"))?;
    answer.text().await.map_err(|error| causes(error, "tls"))
}

fn client(tls: Tls) -> HttpClient {
    HttpClient::new(Some(tls), None).unwrap()
}

#[tokio::test]
async fn a_trusted_server_is_asked() {
    let server = Server::start("good", Clients::NotAsked).await;
    let url = format!("https://localhost:{}/", server.port);
    let host = format!("localhost:{}", server.port);
    assert_eq!(get(&client(tls(&TRUSTING)), &url).await, Ok(host));
    let refused = get(&client(tls(&[])), &url).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    assert!(!refused.contains("localhost"), "{refused}");
}

#[tokio::test]
async fn without_tls_nobody_is_trusted() {
    let server = Server::start("good", Clients::NotAsked).await;
    let client = HttpClient::new(None, None).unwrap();
    let url = format!("https://localhost:{}/", server.port);
    let refused = get(&client, &url).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut server = Server::start("good", Clients::NotAsked).await;
    let client = client(tls(&TRUSTING));
    let url = format!("https://localhost:{}/redirect", server.port);
    let request = client.request(Method::GET, url.parse().unwrap()).await;
    let answer = request.unwrap().send().await.unwrap();
    assert_eq!(answer.status(), 302);
    assert!(server.next().await.is_ok() && server.is_quiet());
}

#[tokio::test]
async fn a_renewed_certificate_is_used_by_the_next_request() {
    let mut server = Server::start("good", Clients::Required).await;
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str| {
        for end in ["pem", "key"] {
            let to = directory.path().join(format!("client.{end}"));
            fs::copy(file(&format!("clients/{name}.{end}")), to).unwrap();
        }
    };
    put("p256");
    let path = |key: &str, end: &str| {
        let path = directory.path().join(format!("client.{end}"));
        format!("key-store.loader.{key}={}", path.display())
    };
    let tls = tls(&trusting(&[
        "key-store.loader.kind=pem-file-path",
        &path("path", "pem"),
        &path("key-path", "key"),
    ]));
    let client = client(tls);
    let url = format!("https://localhost:{}/", server.port);
    for renewed in ["p256", "renewed"] {
        put(renewed);
        for _ in 0..2 {
            get(&client.clone(), &url).await.unwrap();
        }
        let seen = server.next().await.unwrap();
        assert_eq!(seen.handshake, HandshakeKind::Full);
        assert_eq!(seen.client, certificates(&format!("clients/{renewed}.pem")));
        assert!(
            server.is_quiet(),
            "the second request has a connection already"
        );
    }
}

#[tokio::test]
async fn a_server_is_asked_by_the_name_that_it_goes_by() {
    let mut server = Server::start("wrong-host", Clients::NotAsked).await;
    let client = client(tls(&trusting(&["server-name=elsewhere.example"])));
    for host in ["localhost", "127.0.0.1", "localhost"] {
        let url = format!("https://{host}:{}/", server.port);
        let expected = format!("{host}:{}", server.port);
        assert_eq!(get(&client, &url).await, Ok(expected));
    }
    for _ in ["localhost", "127.0.0.1"] {
        let name = server.next().await.unwrap().server_name;
        assert_eq!(name.as_deref(), Some("elsewhere.example"));
    }
    assert!(server.is_quiet());
}

#[tokio::test]
async fn a_server_that_goes_by_an_address_is_verified_by_it() {
    let mut server = Server::start("ip-only", Clients::NotAsked).await;
    let by_address = client(tls(&trusting(&["server-name=127.0.0.1"])));
    let url = format!("https://localhost:{}/", server.port);
    let host = format!("localhost:{}", server.port);
    assert_eq!(get(&by_address, &url).await, Ok(host));
    assert_eq!(server.next().await.unwrap().server_name, None);
    let refused = get(&client(tls(&TRUSTING)), &url).await.unwrap_err();
    assert!(refused.contains("not valid for name"), "{refused}");
}

#[tokio::test]
async fn a_server_name_cannot_go_through_a_proxy() {
    let named = tls(&trusting(&["server-name=elsewhere.example"]));
    let (proxy, text) = crate::proxy::read(&["url=http://localhost:1"]);
    assert_eq!(text, "");
    let error = HttpClient::new(Some(named), proxy.unwrap()).unwrap_err();
    assert!(matches!(error, HttpError::ServerNameThroughProxy { .. }));
    assert!(error.to_string().contains("elsewhere.example"), "{error}");
}
