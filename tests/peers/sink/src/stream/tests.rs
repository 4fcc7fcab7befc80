//! The sink as a client sees it: through real sockets, with real handshakes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use clap::Parser;
use measure::tls;
use rustls::{ALL_VERSIONS, ClientConfig, ClientConnection, HandshakeKind, StreamOwned};
use rustls::{SupportedProtocolVersion, version};

use crate::Options;
use crate::server::Server;

type TlsStream = StreamOwned<ClientConnection, TcpStream>;

const UPGRADE: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// What RFC 6455, section 1.3, answers to that key.
const ACCEPTED: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A sink and its certificate.
struct Running {
    folder: PathBuf,
    address: SocketAddr,
    ended: JoinHandle<u64>,
}

impl Running {
    fn start(name: &str) -> Running {
        let folder = std::env::temp_dir().join(format!("sink-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let files = [certificate, key].map(|path| path.to_str().unwrap().to_owned());
        let [certificate, key] = &files;
        let options = Options::parse_from(["sink", "--tls-cert", certificate, "--tls-key", key]);
        let server = Server::bind(options).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], server.port().unwrap()));
        let (stop, stopped) = mpsc::sync_channel(1);
        let ended = thread::spawn(move || server.run(stop, &stopped).unwrap().events());
        Running {
            folder,
            address,
            ended,
        }
    }

    fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let authority = self.folder.join("certificate.pem");
        Arc::new(tls::client(&authority, None, versions).unwrap())
    }

    fn connect(&self, config: &Arc<ClientConfig>) -> TlsStream {
        let name = tls::server_name("localhost").unwrap();
        let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        StreamOwned::new(connection, TcpStream::connect(self.address).unwrap())
    }

    fn plain(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Stops it and says how many events it saw.
    fn stop(self) -> u64 {
        assert!(self.plain("POST /stop HTTP/1.1\r\n\r\n").contains("200 OK"));
        std::fs::remove_dir_all(&self.folder).unwrap();
        self.ended.join().unwrap()
    }
}

/// A masked text frame, as clients send them (RFC 6455, section 5.2), with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first, 0x80 | 126];
    frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

fn read_until(stream: &mut TlsStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{read:?}");
        read.extend(byte);
    }
    String::from_utf8_lossy(&read).into_owned()
}

#[test]
fn events_are_counted_and_answered_in_order_through_tls() {
    let sink = Running::start("events");
    let mut stream = sink.connect(&sink.client(ALL_VERSIONS));
    stream.write_all(UPGRADE.as_bytes()).unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n").contains(ACCEPTED));
    read_until(&mut stream, "}");
    // Far more than one record, and more than is read at a time.
    let mut events = frame(0x81, b"40");
    for _ in 0..2000 {
        events.extend(frame(0x81, format!("42[\"e\",\"{:600}\"]", "").as_bytes()));
    }
    events.extend(frame(0x81, b"427[\"last\"]"));
    events.extend(frame(0x89, b"barrier"));
    stream.write_all(&events).unwrap();
    let answers = read_until(&mut stream, "barrier");
    assert!(answers.contains("437[]"), "{answers}");
    // A clean end: the sink says goodbye as well.
    stream.write_all(&frame(0x88, b"")).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, [0x88, 0]);
    assert_eq!(sink.stop(), 2001);
}

#[test]
fn sessions_are_resumed() {
    let sink = Running::start("resumed");
    for version in [&version::TLS12, &version::TLS13] {
        let config = sink.client(&[version]);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut stream = sink.connect(&config);
            stream.write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.ends_with(r#"{"status":"up"}"#), "{answer}");
            assert_eq!(stream.conn.handshake_kind(), Some(expected), "{version:?}");
        }
    }
    sink.stop();
}

#[test]
fn a_sink_with_tls_refuses_plain_websockets_and_answers_plain_requests() {
    let sink = Running::start("plain");
    let refused = sink.plain(UPGRADE);
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
    let count = sink.plain("GET /count HTTP/1.1\r\n\r\n");
    assert!(count.ends_with(r#"{"count":0}"#), "{count}");
    sink.stop();
}

#[test]
fn a_client_that_breaks_the_handshake_does_no_harm() {
    let sink = Running::start("broken");
    let mut broken = TcpStream::connect(sink.address).unwrap();
    broken.write_all(&[22, 3, 1, 0, 4, 9, 9, 9, 9]).unwrap();
    let mut answer = Vec::new();
    // An alert, or a reset.
    let _ = broken.read_to_end(&mut answer);
    let mut stream = sink.connect(&sink.client(ALL_VERSIONS));
    stream.write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
    read_until(&mut stream, "\"up\"}");
    sink.stop();
}
