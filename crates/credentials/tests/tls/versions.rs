//! Which versions of TLS are spoken, and how connections go on.

use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ProtocolVersion};

use crate::fixtures::{TRUSTING, tls, trusting};
use crate::server::{Clients, Server, ask};

#[tokio::test]
async fn versions_are_those_that_both_sides_speak() {
    let (both, only_12, only_13) = ([&TLS13, &TLS12], [&TLS12], [&TLS13]);
    let servers: [&[_]; 3] = [&both, &only_12, &only_13];
    let (v12, v13) = (
        Some(ProtocolVersion::TLSv1_2),
        Some(ProtocolVersion::TLSv1_3),
    );
    for (version, expected) in [
        ("TLS", [v13, v12, v13]),
        ("tlsv1.2", [v12, v12, None]),
        ("TLSv1.3", [v13, None, v13]),
        ("TLSv1.2,TLSv1.3", [v13, v12, v13]),
    ] {
        let version = format!("version={version}");
        let tls = tls(&trusting(&[&version]));
        for (versions, expected) in servers.into_iter().zip(expected) {
            let mut server = Server::with_versions("good", Clients::NotAsked, versions).await;
            let answer = ask(&tls, server.port, "localhost").await;
            let seen = server.next().await.ok().map(|seen| seen.version);
            assert_eq!(seen, expected, "{version}");
            assert_eq!(answer.is_ok(), expected.is_some(), "{version}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn the_second_connection_resumes_the_session_of_the_first() {
    for versions in [&TLS12, &TLS13] {
        let mut server = Server::with_versions("good", Clients::NotAsked, &[versions]).await;
        let tls = tls(&TRUSTING);
        let mut handshakes = Vec::new();
        for _ in 0..3 {
            ask(&tls, server.port, "localhost").await.unwrap();
            handshakes.push(server.next().await.unwrap().handshake);
        }
        assert_eq!(
            handshakes,
            [
                HandshakeKind::Full,
                HandshakeKind::Resumed,
                HandshakeKind::Resumed
            ]
        );
    }
}

#[tokio::test]
async fn no_session_is_shared_with_another_section() {
    let mut server = Server::start("good", Clients::NotAsked).await;
    for _ in 0..2 {
        ask(&tls(&TRUSTING), server.port, "localhost")
            .await
            .unwrap();
        assert_eq!(server.next().await.unwrap().handshake, HandshakeKind::Full);
    }
}
