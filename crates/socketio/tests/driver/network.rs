//! Over loopback TCP and TLS: what an in-memory stream cannot do.

use std::sync::Arc;

use kete_socketio::{CloseReason, ConnectError, Options, OptionsError, Stage, connect};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_async;

use crate::fake::{Server, emit, end, options};

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn options_for(url: String) -> Options {
    Options::new(url.parse().unwrap())
}

/// A certificate authority and a server certificate for `localhost` that it signed.
struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
    acceptor: TlsAcceptor,
}

impl Certificates {
    fn new() -> Certificates {
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(params, key).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Certificates {
            authority,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }

    fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        client_config(roots)
    }
}

fn client_config(roots: RootCertStore) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_refused_with_its_address() {
    let (listener, port) = listener().await;
    drop(listener);
    let error = connect(&options_for(format!("http://127.0.0.1:{port}")))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ConnectError::Tcp { address, source }
            if *address == format!("127.0.0.1:{port}")
                && source.kind() == std::io::ErrorKind::ConnectionRefused),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_host_name_without_an_address_is_named() {
    // Longer than a label can be, so that no name server is asked.
    let name = "a".repeat(64);
    let error = connect(&options_for(format!("http://{name}.test")))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ConnectError::Resolve { host, .. } if host.starts_with(&name)),
        "{error:?}"
    );
    assert_eq!(error.stage(), Some(Stage::Resolving));
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    // `localhost` may have an IPv6 address first, where nobody listens.
    let (listener, port) = listener().await;
    let options = options_for(format!("ws://localhost:{port}"));
    let (connected, _server) = tokio::join!(connect(&options), serve(&listener));
    connected.unwrap();
}

#[tokio::test]
async fn a_connection_that_is_reset_in_the_middle_of_a_burst_ends_with_an_error() {
    let (listener, port) = listener().await;
    let options = options_for(format!("http://127.0.0.1:{port}"));
    let (connected, mut server) = tokio::join!(connect(&options), serve(&listener));
    let (sender, mut receiver) = connected.unwrap();
    sender
        .send((0..20_000).map(|_| emit(&"1".repeat(600), None)).collect())
        .unwrap();
    server.hear_text().await;
    // Closing a socket with unread data makes the kernel reset the connection.
    drop(server);
    let reason = end(&mut receiver).await;
    assert!(
        matches!(reason, CloseReason::Io(_) | CloseReason::Dropped),
        "{reason:?}"
    );
    assert!(sender.is_closed());
}

#[tokio::test]
async fn events_travel_over_tls_to_a_server_whose_certificate_is_trusted() {
    let certificates = Certificates::new();
    let (listener, port) = listener().await;
    let mut options = options_for(format!("https://localhost:{port}"));
    options.tls = Some(certificates.client());
    let serving = async {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = certificates.acceptor.accept(stream).await.unwrap();
        let mut server = Server {
            socket: accept_async(stream).await.unwrap(),
        };
        server.welcome().await;
        server
    };
    let (connected, mut server) = tokio::join!(connect(&options), serving);
    let (sender, _receiver) = connected.unwrap();
    sender.send(vec![emit("1", None)]).unwrap();
    assert_eq!(server.hear_text().await, r#"42["x",1]"#);
}

#[tokio::test]
async fn a_certificate_for_another_name_or_from_a_stranger_is_refused() {
    let certificates = Certificates::new();
    let trusted = (
        certificates.client(),
        "127.0.0.1",
        "certificate not valid for name",
    );
    let stranger = (
        client_config(RootCertStore::empty()),
        "localhost",
        "UnknownIssuer",
    );
    for (tls, host, expected) in [trusted, stranger] {
        let (listener, port) = listener().await;
        let mut options = options_for(format!("wss://{host}:{port}"));
        options.tls = Some(tls);
        let serving = async {
            let (stream, _) = listener.accept().await.unwrap();
            certificates.acceptor.accept(stream).await.err()
        };
        let (connected, _) = tokio::join!(connect(&options), serving);
        let error = connected.map(|_| ()).unwrap_err();
        assert_eq!(error.stage(), Some(Stage::Tls), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_server_without_tls_fails_in_the_tls_stage() {
    let (listener, port) = listener().await;
    let mut options = options_for(format!("https://localhost:{port}"));
    options.tls = Some(client_config(RootCertStore::empty()));
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, answer)
            .await
            .unwrap();
        stream
    };
    let (connected, _stream) = tokio::join!(connect(&options), serving);
    let error = connected.map(|_| ()).unwrap_err();
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn https_without_a_tls_configuration_never_starts() {
    let mut options = options();
    options.url = "https://fake.test".parse().unwrap();
    let error = connect(&options).await.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::Options(OptionsError::TlsMissing { .. })
        ),
        "{error:?}"
    );
    assert!(!error.can_retry_help());
}

async fn serve(listener: &TcpListener) -> Server<TcpStream> {
    let (stream, _) = listener.accept().await.unwrap();
    let mut server = Server {
        socket: accept_async(stream).await.unwrap(),
    };
    server.welcome().await;
    server
}
