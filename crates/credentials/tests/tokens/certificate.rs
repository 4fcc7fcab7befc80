//! `tls-client-auth`, from settings to a server that looks at the certificate.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kete_config::{Diagnostics, Loader};
use kete_credentials::certificate::CertificateFacts;
use kete_credentials::http::HttpClient;
use kete_credentials::oauth::{ClientAuth, ClientCredentials, OauthSettings, TokenSource};
use kete_credentials::tls::TlsSettings;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::fixtures::fixture;
use crate::server::{Reply, text};

fn certificates(name: &str) -> Vec<CertificateDer<'static>> {
    let all = CertificateDer::pem_file_iter(fixture(name)).unwrap();
    all.map(Result::unwrap).collect()
}

/// Requires a certificate of the tests' authority.
fn acceptor() -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(certificates("ca.pem"));
    let clients = Arc::new(authorities);
    let clients = WebPkiClientVerifier::builder_with_provider(clients, Arc::clone(&provider));
    let key = PrivateKeyDer::from_pem_file(fixture("servers/good.key")).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(certificates("servers/good.pem"), key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Gives one token to one request, and returns who asked and the body of the request.
fn serve(listener: TcpListener) -> JoinHandle<(String, String)> {
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor().accept(stream).await.unwrap();
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        let subject = CertificateFacts::of(&chain[0]).unwrap().subject;
        let mut request = Vec::new();
        while !request.ends_with(b"client_id=shop") {
            request.push(stream.read_u8().await.unwrap());
        }
        let body = Reply::token("one", 300).body;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
        let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let request = String::from_utf8(request).unwrap();
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        (subject, body.to_owned())
    })
}

#[tokio::test]
async fn a_client_proves_itself_by_its_certificate() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = serve(listener);
    let file = |name: &str| fixture(name).to_str().unwrap().to_owned();
    let settings = [
        "oauth.enabled=true".to_owned(),
        format!("oauth.token-url=https://localhost:{port}/token"),
        "oauth.client-id=shop".to_owned(),
        "oauth.client-auth=tls-client-auth".to_owned(),
        "oauth.tls.trust-store.loader.kind=pem-file-path".to_owned(),
        format!("oauth.tls.trust-store.loader.path={}", file("ca.pem")),
        "oauth.tls.key-store.loader.kind=pem-file-path".to_owned(),
        format!(
            "oauth.tls.key-store.loader.path={}",
            file("clients/p384.pem")
        ),
        format!(
            "oauth.tls.key-store.loader.key-path={}",
            file("clients/p384.key")
        ),
    ];
    let diagnostics = Diagnostics::new();
    let loader = settings
        .iter()
        .fold(Loader::new("oauth"), |loader, set| loader.set(set));
    let settings = loader.load(&diagnostics);
    let read = OauthSettings::read(&settings.scope("oauth", &diagnostics), None);
    assert_eq!(diagnostics.to_string(), "");
    let settings = read.flatten().unwrap();
    let stores: Vec<_> = settings
        .certificates()
        .iter()
        .map(|one| one.store)
        .collect();
    assert_eq!(stores, ["trust-store", "key-store", "key-store"]);
    assert_eq!(text(&settings.build().unwrap()).await, "one");
    let (subject, body) = serving.await.unwrap();
    assert!(subject.contains("CN=kete-p384"), "{subject}");
    assert_eq!(body, "grant_type=client_credentials&client_id=shop");
}

/// What a section says that trusts this file.
fn trusting(path: &Path, more: &[&str]) -> TokenSource {
    let kind = "oauth.tls.trust-store.loader.kind=pem-file-path";
    let path = format!("oauth.tls.trust-store.loader.path={}", path.display());
    let assignments = [&["oauth.enabled=true", kind, &path], more].concat();
    let diagnostics = Diagnostics::new();
    let loader = assignments
        .iter()
        .fold(Loader::new("oauth"), |loader, set| loader.set(*set));
    let settings = loader.load(&diagnostics);
    let read = OauthSettings::read(&settings.scope("oauth", &diagnostics), None);
    let read = read.unwrap_or_else(|| panic!("{diagnostics}"));
    read.unwrap().build().unwrap()
}

/// A client of a server elsewhere.
const EXTERNAL: [&str; 3] = [
    "oauth.token-url=https://auth.example.com/token",
    "oauth.client-id=shop",
    "oauth.client-secret=hush",
];

/// One whose secret another server is asked for, which is spoken to in another way.
const REGISTERED: [&str; 6] = [
    "oauth.mode=internal",
    "oauth.realm=demo",
    "oauth.token-url=https://auth.example.com/token",
    "kete.keycloak.url=https://keycloak.example.com",
    "kete.keycloak.registration.client-id=registrar",
    "kete.keycloak.registration.client-secret=registrars",
];

#[tokio::test(start_paused = true)]
async fn renewed_files_are_noticed_before_a_token_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    for more in [&EXTERNAL[..], &REGISTERED] {
        fs::copy(fixture("ca.pem"), &path).unwrap();
        let source = trusting(&path, more);
        let before = source.certificates();
        assert_eq!(before.len(), 1);
        fs::copy(fixture("other-ca.pem"), &path).unwrap();
        let renewed = async {
            while source.certificates() == before {
                // The clock is not a real one: it goes on as soon as everybody waits.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            () = source.watch_files() => panic!("it stopped"),
            () = renewed => {}
        }
    }
}

#[tokio::test]
async fn where_no_file_is_there_is_nothing_to_watch() {
    let url = "https://auth.example.com/token".parse().unwrap();
    let tls = TlsSettings::default_for(&url).build().unwrap();
    let credentials = ClientCredentials::new(url, "shop".to_owned(), ClientAuth::TlsClientAuth);
    for tls in [None, tls] {
        let http = HttpClient::new(tls, None).unwrap();
        TokenSource::new(credentials.clone(), http)
            .watch_files()
            .await;
    }
}
