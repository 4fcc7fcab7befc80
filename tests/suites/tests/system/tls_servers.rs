//! Real handshakes with servers of every kind of certificate: right ones get every event; wrong
//! ones are named while events wait, and get them once they show a right one.

use anyhow::{Result, ensure};
use kete_suites::{
    Certificates, Kete, Kind, Server, ServerPlan, all_wait, arrived, check_delivery, from_stdin,
    generate, to_socketio, trust,
};

/// A server, and how kete is told to connect to it.
struct Case {
    /// The name of the route.
    name: &'static str,
    /// What the server shows, of `tests/certificates/make`.
    certificate: &'static str,
    /// Options of the server.
    options: &'static [(&'static str, &'static str)],
    /// The host in the URL.
    host: &'static str,
    /// The authorities to trust.
    trusted: &'static str,
    /// Further lines below `destination.tls`.
    keys: &'static [&'static str],
}

/// The version and the name (SNI) that a server has to have seen.
struct Seen(&'static str, &'static str);

/// The usual one, that works.
const GOOD: Case = Case {
    name: "good",
    certificate: "good",
    options: &[],
    host: "localhost",
    trusted: "ca.pem",
    keys: &[],
};

const NEWEST: &str = "TLSv1.3";
const ONLY_1_2: &[(&str, &str)] = &[("tls-max", "TLSv1.2")];
const ONLY_1_3: &[(&str, &str)] = &[("tls-min", "TLSv1.3")];

const RIGHT: &[(Case, Seen)] = &[
    (GOOD, Seen(NEWEST, "localhost")),
    (
        Case {
            name: "good-by-address",
            host: "127.0.0.1",
            ..GOOD
        },
        Seen(NEWEST, ""),
    ),
    (
        Case {
            name: "only-an-address",
            certificate: "ip-only",
            host: "127.0.0.1",
            ..GOOD
        },
        Seen(NEWEST, ""),
    ),
    (
        Case {
            name: "wildcard",
            certificate: "wildcard",
            keys: &["server-name=events.wild.localhost"],
            ..GOOD
        },
        Seen(NEWEST, "events.wild.localhost"),
    ),
    (
        Case {
            name: "another-name",
            certificate: "wrong-host",
            keys: &["server-name=elsewhere.example"],
            ..GOOD
        },
        Seen(NEWEST, "elsewhere.example"),
    ),
    (
        Case {
            name: "any-name",
            certificate: "wrong-host",
            keys: &["verify-hostname=false"],
            ..GOOD
        },
        Seen(NEWEST, "localhost"),
    ),
    (
        Case {
            name: "self-signed",
            certificate: "self-signed",
            trusted: "servers/self-signed.pem",
            ..GOOD
        },
        Seen(NEWEST, "localhost"),
    ),
    (
        Case {
            name: "pinned",
            keys: &["trust-store.include-system-roots=false"],
            ..GOOD
        },
        Seen(NEWEST, "localhost"),
    ),
    (
        Case {
            name: "server-has-1-2",
            options: ONLY_1_2,
            ..GOOD
        },
        Seen("TLSv1.2", "localhost"),
    ),
    (
        Case {
            name: "server-has-1-3",
            options: ONLY_1_3,
            ..GOOD
        },
        Seen(NEWEST, "localhost"),
    ),
    (
        Case {
            name: "client-has-1-2",
            keys: &["version=tlsv1.2"],
            ..GOOD
        },
        Seen("TLSv1.2", "localhost"),
    ),
    (
        Case {
            name: "client-has-both",
            options: ONLY_1_2,
            keys: &["version=TLSv1.2,TLSv1.3"],
            ..GOOD
        },
        Seen("TLSv1.2", "localhost"),
    ),
];

/// With words that the complaint has to have.
const WRONG: &[(Case, &[&str])] = &[
    (
        Case {
            name: "expired",
            certificate: "expired",
            ..GOOD
        },
        &["expired"],
    ),
    (
        Case {
            name: "not-yet-valid",
            certificate: "not-yet-valid",
            ..GOOD
        },
        &["not valid yet"],
    ),
    (
        Case {
            name: "wrong-host",
            certificate: "wrong-host",
            ..GOOD
        },
        &["localhost", "elsewhere.example"],
    ),
    (
        Case {
            name: "wildcard-for-others",
            certificate: "wildcard",
            ..GOOD
        },
        &["localhost", "*.wild.localhost"],
    ),
    (
        Case {
            name: "address-for-a-name",
            certificate: "ip-only",
            ..GOOD
        },
        &["localhost", "127.0.0.1"],
    ),
    (
        Case {
            name: "self-signed",
            certificate: "self-signed",
            ..GOOD
        },
        &["certificate", "trust-store"],
    ),
    (
        // That the name is not looked at does not mean that the authority is not.
        Case {
            name: "self-signed-any-name",
            certificate: "self-signed",
            keys: &["verify-hostname=false"],
            ..GOOD
        },
        &["certificate", "trust-store"],
    ),
    (
        Case {
            name: "expired-any-name",
            certificate: "expired",
            keys: &["verify-hostname=false"],
            ..GOOD
        },
        &["expired"],
    ),
    (
        Case {
            name: "only-1-2",
            options: ONLY_1_2,
            keys: &["version=TLSv1.3"],
            ..GOOD
        },
        &["version"],
    ),
    (
        Case {
            name: "only-1-3",
            options: ONLY_1_3,
            keys: &["version=TLSv1.2"],
            ..GOOD
        },
        &["version"],
    ),
];

#[tokio::test]
async fn node_with_a_right_certificate_gets_everything() -> Result<()> {
    right_certificates_deliver(Kind::Node).await
}

#[tokio::test]
async fn python_with_a_right_certificate_gets_everything() -> Result<()> {
    right_certificates_deliver(Kind::Python).await
}

async fn right_certificates_deliver(kind: Kind) -> Result<()> {
    let events = generate(81, 5, 40);
    let cases: Vec<&Case> = RIGHT.iter().map(|(case, _)| case).collect();
    let (mut kete, servers) = start(kind, &cases).await?;

    kete.feed_events(&events).await?;
    kete.finish().await?;

    for ((case, Seen(version, name)), server) in RIGHT.iter().zip(servers) {
        let arrivals = server.arrivals().await?;
        check_delivery(&events, &arrivals)?;
        for arrival in &arrivals {
            let client = arrival.client()?;
            let seen = (client.version.as_str(), client.server_name.as_str());
            ensure!(seen == (*version, *name), "{}: {client:?}", case.name);
            ensure!(client.subject.is_empty(), "{}: {client:?}", case.name);
        }
    }
    Ok(())
}

#[tokio::test]
async fn node_with_a_wrong_certificate_is_named_and_events_wait() -> Result<()> {
    wrong_certificates_are_named(Kind::Node).await
}

#[tokio::test]
async fn python_with_a_wrong_certificate_is_named_and_events_wait() -> Result<()> {
    wrong_certificates_are_named(Kind::Python).await
}

async fn wrong_certificates_are_named(kind: Kind) -> Result<()> {
    let events = generate(82, 5, 40);
    let cases: Vec<&Case> = WRONG.iter().map(|(case, _)| case).collect();
    let (mut kete, mut servers) = start(kind, &cases).await?;

    kete.feed_events(&events).await?;
    for (case, words) in WRONG {
        // Python hangs up without a word on who speaks another version (asyncio, 3.11).
        let silent = kind == Kind::Python && words.contains(&"version");
        let words = if silent { &["TLS handshake"] } else { *words };
        kete.wait_for_complaint(case.name, words).await?;
        all_wait(&kete, case.name, events.len(), "tls").await?;
    }
    for ((case, _), server) in WRONG.iter().zip(&mut servers) {
        let arrivals = server.arrivals().await?;
        ensure!(arrived(&arrivals).is_empty(), "{} got events", case.name);
        server
            .become_another(ServerPlan::new(kind).tls("good"))
            .await?;
    }
    kete.finish().await?;

    for server in servers {
        check_delivery(&events, &server.arrivals().await?)?;
    }
    ensure!(kete.dead_letters()?.is_empty(), "an event was given up");
    Ok(())
}

#[tokio::test]
async fn a_server_without_tls_is_named_and_events_wait() -> Result<()> {
    let events = generate(83, 5, 40);
    let mut server = Server::node().start().await?;
    let url = format!("https://localhost:{}", server.port());
    let trusted = Certificates::get()?.trusted("kete.routes.all.destination.tls");
    let mut kete = Kete::run(&[from_stdin(), to_socketio("all", &url, &[]), trusted]).await?;

    kete.feed_events(&events).await?;
    kete.wait_for_complaint("all", &["TLS"]).await?;
    all_wait(&kete, "all", events.len(), "tls").await?;
    server.become_another(Server::node().tls("good")).await?;
    kete.finish().await?;

    check_delivery(&events, &server.arrivals().await?)
}

/// A kete with a route to a server for each case.
async fn start(kind: Kind, cases: &[&Case]) -> Result<(Kete, Vec<Server>)> {
    let certificates = Certificates::get()?;
    let mut configuration = vec![from_stdin()];
    let mut servers = Vec::new();
    for case in cases {
        let mut plan = ServerPlan::new(kind).tls(case.certificate);
        for (option, value) in case.options {
            plan = plan.with(option, value);
        }
        let server = plan.start().await?;
        let keys: Vec<String> = case
            .keys
            .iter()
            .map(|key| format!("destination.tls.{key}"))
            .collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        configuration.push(to_socketio(case.name, &server.url_of(case.host), &keys));
        let section = format!("kete.routes.{}.destination.tls", case.name);
        configuration.push(trust(&section, &certificates.file(case.trusted)));
        servers.push(server);
    }
    Ok((Kete::run(&configuration).await?, servers))
}
