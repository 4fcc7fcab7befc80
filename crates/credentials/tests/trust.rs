//! Whom a client trusts, shown by real TLS handshakes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use kete_credentials::tls::{TlsOptions, client_config};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

/// A server with a certificate for this name. Returns its port and the certificate.
async fn server(name: &str) -> (u16, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = axum::Router::new().fallback(|| async { "hello" });
    tokio::spawn(axum::serve(Tls { listener, acceptor }, app).into_future());
    (port, certificate)
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

async fn get(port: u16, roots: Vec<CertificateDer<'static>>) -> Result<String, String> {
    let tls = client_config(&TlsOptions { extra_roots: roots }).unwrap();
    let client = kete_credentials::http::client(Some(tls)).unwrap();
    let url: Url = format!("https://localhost:{port}/").parse().unwrap();
    let answer = client
        .get(url)
        .send()
        .await
        .map_err(kete_credentials::http::causes)?;
    answer.text().await.map_err(kete_credentials::http::causes)
}

#[tokio::test]
async fn a_trusted_certificate_of_the_right_name_is_accepted() {
    let (port, certificate) = server("localhost").await;
    assert_eq!(get(port, vec![certificate]).await.as_deref(), Ok("hello"));
}

#[tokio::test]
async fn an_unknown_certificate_is_refused() {
    let (port, _certificate) = server("localhost").await;
    let problem = get(port, Vec::new()).await.unwrap_err();
    assert!(problem.contains("UnknownIssuer"), "{problem}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let (port, certificate) = server("elsewhere.example").await;
    let problem = get(port, vec![certificate]).await.unwrap_err();
    assert!(problem.contains("not valid for name"), "{problem}");
}

#[tokio::test]
async fn a_client_for_plain_http_trusts_nobody() {
    let (port, _certificate) = server("localhost").await;
    let client = kete_credentials::http::client(None).unwrap();
    let asked = client
        .get(format!("https://localhost:{port}/"))
        .send()
        .await;
    let problem = kete_credentials::http::causes(asked.unwrap_err());
    assert!(problem.contains("UnknownIssuer"), "{problem}");
}
