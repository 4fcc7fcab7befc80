//! Keycloak behind TLS, by `kete.keycloak.tls.*`.

use std::path::Path;
use std::sync::Arc;

use kete_config::{Diagnostics, Loader};
use kete_credentials::http::HttpClient;
use kete_credentials::keycloak::{Keycloak, Prepared, RegistrationError, prepare_client};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::fake::{Fake, administrator};

/// Ends TLS for a fake that speaks plain HTTP, with a certificate of its own.
struct Proxy {
    port: u16,
    certificate: String,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    async fn before(keycloak: &Fake) -> Proxy {
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let behind = keycloak.address;
        let task = tokio::spawn(async move {
            while let Ok((stream, _peer)) = listener.accept().await {
                // A client that does not trust it goes away.
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut plain = TcpStream::connect(behind).await.unwrap();
                    tokio::spawn(async move {
                        let _either_ends = copy_bidirectional(&mut stream, &mut plain).await;
                    });
                }
            }
        });
        Proxy {
            port,
            certificate: own.cert.pem(),
            task,
        }
    }
}

async fn prepare(port: u16, trusted: Option<&Path>) -> Result<Prepared, RegistrationError> {
    let diagnostics = Diagnostics::new();
    let mut loader = Loader::new("kete").set(format!("kete.keycloak.url=https://localhost:{port}"));
    if let Some(path) = trusted {
        let store = "kete.keycloak.tls.trust-store.loader";
        loader = loader
            .set(format!("{store}.kind=pem-file-path"))
            .set(format!("{store}.path={}", path.display()));
    }
    let keycloak = Keycloak::read(&loader.load(&diagnostics), &diagnostics);
    assert_eq!(diagnostics.to_string(), "");
    let keycloak = keycloak.unwrap();
    let http = HttpClient::new(keycloak.tls.build().unwrap(), None).unwrap();
    prepare_client(&http, &keycloak, &administrator(), "demo", "tokens").await
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_where_it_is_named() {
    let keycloak = Fake::start().await;
    let proxy = Proxy::before(&keycloak).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, &proxy.certificate).unwrap();

    let error = prepare(proxy.port, None).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    assert!(keycloak.client("tokens").is_none());
    assert!(prepare(proxy.port, Some(&path)).await.unwrap().created);
}
