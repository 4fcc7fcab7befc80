//! A TLS server in this process that answers HTTP and tells who asked.

use std::sync::Arc;

use kete_credentials::tls::Tls;
use rustls::pki_types::ServerName;
use rustls::server::WebPkiClientVerifier;
use rustls::{
    HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig, SupportedProtocolVersion,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::fixtures::{certificates, private_key};

/// What a server does about certificates of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clients {
    NotAsked,
    Asked,
    Required,
}

/// A connection that was made.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) handshake: HandshakeKind,
    pub(crate) version: ProtocolVersion,
    pub(crate) server_name: Option<String>,
    /// The chain that the client has shown.
    pub(crate) client: Vec<CertificateDer<'static>>,
}

/// A server; it stops when this is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    seen: mpsc::UnboundedReceiver<Result<Seen, String>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// With one of the certificates in `servers/`.
    pub(crate) async fn start(name: &str, clients: Clients) -> Server {
        Server::with_versions(name, clients, rustls::ALL_VERSIONS).await
    }

    pub(crate) async fn with_versions(
        name: &str,
        clients: Clients,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Server {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let mut authorities = RootCertStore::empty();
        authorities.add_parsable_certificates(certificates("ca.pem"));
        let verifier = WebPkiClientVerifier::builder_with_provider(authorities.into(), provider);
        let builder = match clients {
            Clients::NotAsked => builder.with_no_client_auth(),
            Clients::Asked => {
                let verifier = verifier.allow_unauthenticated().build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
            Clients::Required => builder.with_client_cert_verifier(verifier.build().unwrap()),
        };
        let chain = certificates(&format!("servers/{name}.pem"));
        let key = private_key(&format!("servers/{name}.key"));
        let config = builder.with_single_cert(chain, key).unwrap();
        Server::serve(TlsAcceptor::from(Arc::new(config))).await
    }

    /// With a chain that a test has made itself.
    pub(crate) async fn showing(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Server {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Server::serve(TlsAcceptor::from(Arc::new(config))).await
    }

    async fn serve(acceptor: TlsAcceptor) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (reports, seen) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, reports) = (acceptor.clone(), reports.clone());
                tokio::spawn(async move {
                    match acceptor.accept(stream).await {
                        Ok(stream) => {
                            // The test may be over.
                            let _ = reports.send(Ok(seen_on(&stream)));
                            answer(stream).await;
                        }
                        Err(error) => {
                            let _ = reports.send(Err(error.to_string()));
                        }
                    }
                });
            }
        });
        Server { port, seen, task }
    }

    /// The next connection, or why there was none.
    pub(crate) async fn next(&mut self) -> Result<Seen, String> {
        self.seen.recv().await.unwrap()
    }

    /// Whether a connection was made that nobody has asked for yet.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.seen.try_recv().is_err()
    }
}

fn seen_on(stream: &TlsStream<TcpStream>) -> Seen {
    let (_, connection) = stream.get_ref();
    let client = connection.peer_certificates().unwrap_or_default();
    Seen {
        handshake: connection.handshake_kind().unwrap(),
        version: connection.protocol_version().unwrap(),
        server_name: connection.server_name().map(str::to_owned),
        client: client.iter().map(|it| it.clone().into_owned()).collect(),
    }
}

/// Answers each request with its `Host` header, until the client has enough.
async fn answer(mut stream: TlsStream<TcpStream>) {
    while let Some(head) = read_head(&mut stream).await {
        let host = header(&head, "host").unwrap_or_default();
        let length = host.len();
        let status = match head.starts_with("GET /redirect ") {
            true => "302 Found\r\nlocation: /",
            false => "200 OK",
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{host}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        if header(&head, "connection").as_deref() == Some("close") {
            // The client may have gone first.
            let _ = stream.shutdown().await;
            return;
        }
    }
}

/// The lines before the first empty one; `None` at the end of the stream.
pub(crate) async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// The value of a header.
pub(crate) fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}

/// Makes a connection and asks once. The answer, or what went wrong.
pub(crate) async fn ask(tls: &Tls, port: u16, host: &str) -> Result<String, String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let connector = TlsConnector::from(tls.config().await);
    let name = ServerName::try_from(host).unwrap().to_owned();
    let mut stream = connector
        .connect(name, stream)
        .await
        .map_err(|error| error.to_string())?;
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let asked = stream.write_all(request.as_bytes()).await;
    asked.map_err(|error| error.to_string())?;
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer).await;
    read.map_err(|error| error.to_string())?;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    Ok(body.to_owned())
}
