//! Mutual TLS: the server sees who the client is, by every kind of key; a client that it does not
//! let in is told so, and its events wait.

use anyhow::{Result, ensure};
use kete_suites::{
    Arrival, Certificates, Kete, Kind, Server, ServerPlan, all_wait, check_delivery, from_stdin,
    generate, named, to_socketio,
};

/// One per type of key.
const CLIENTS: [&str; 4] = ["rsa", "p256", "p384", "ed25519"];
const VERSIONS: [&str; 2] = ["TLSv1.2", "TLSv1.3"];

/// From the client's certificate up; the server itself knows the last one only.
const CHAIN: [&str; 2] = ["kete test intermediate", "kete test authority"];

#[tokio::test]
async fn node_sees_who_the_client_is() -> Result<()> {
    every_client_is_recognised(Kind::Node).await
}

#[tokio::test]
async fn python_sees_who_the_client_is() -> Result<()> {
    every_client_is_recognised(Kind::Python).await
}

async fn every_client_is_recognised(kind: Kind) -> Result<()> {
    let events = generate(91, 5, 40);
    let certificates = Certificates::get()?;
    let server = ServerPlan::new(kind)
        .tls("good")
        .requires_client_certificate()
        .start()
        .await?;
    let mut configuration = vec![from_stdin()];
    for client in CLIENTS {
        for version in VERSIONS {
            let route = route_name(client, version);
            let keys = [
                format!("destination.event-name={route}"),
                format!("destination.tls.version={version}"),
            ];
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            configuration.push(to_socketio(&route, &server.url(), &keys));
            let section = format!("kete.routes.{route}.destination.tls");
            configuration.push(certificates.trusted(&section));
            configuration.push(certificates.presented(&section, client));
        }
    }
    let mut kete = Kete::run(&configuration).await?;
    kete.feed_events(&events).await?;
    kete.finish().await?;

    let arrivals = server.arrivals().await?;
    for client in CLIENTS {
        for version in VERSIONS {
            let arrivals = named(&route_name(client, version), &arrivals);
            check_delivery(&events, &arrivals)?;
            for arrival in &arrivals {
                is_seen(arrival, kind, client, version)?;
            }
        }
    }
    Ok(())
}

/// Python tells no chain, but it lets nobody in who does not send the intermediate.
fn is_seen(arrival: &Arrival, kind: Kind, client: &str, version: &str) -> Result<()> {
    let (seen, subject) = (arrival.client()?, format!("kete-{client}"));
    ensure!(seen.subject == subject, "{subject}: {seen:?}");
    ensure!(seen.issuer == CHAIN[0], "{subject}: {seen:?}");
    ensure!(seen.version == version, "{subject}: {seen:?}");
    let chain = [&[subject.as_str()], &CHAIN[..]].concat();
    let told = kind == Kind::Node && !seen.resumed;
    ensure!(!told || seen.chain == chain, "{subject}: {seen:?}");
    Ok(())
}

#[tokio::test]
async fn node_lets_in_no_wrong_client_and_events_wait() -> Result<()> {
    wrong_clients_are_refused(Kind::Node).await
}

#[tokio::test]
async fn python_lets_in_no_wrong_client_and_events_wait() -> Result<()> {
    wrong_clients_are_refused(Kind::Python).await
}

/// Without a certificate, with one of another authority, with one that has expired. Then the
/// server asks for none any more, and is shown none.
async fn wrong_clients_are_refused(kind: Kind) -> Result<()> {
    let routes = ["none", "other-ca", "expired"];
    let events = generate(92, 5, 40);
    let certificates = Certificates::get()?;
    let mut server = ServerPlan::new(kind)
        .tls("good")
        .requires_client_certificate()
        .start()
        .await?;
    let mut configuration = vec![from_stdin()];
    for route in routes {
        let name = format!("destination.event-name={route}");
        configuration.push(to_socketio(route, &server.url(), &[&name]));
        let section = format!("kete.routes.{route}.destination.tls");
        configuration.push(certificates.trusted(&section));
        if route != "none" {
            configuration.push(certificates.presented(&section, route));
        }
    }
    let mut kete = Kete::run(&configuration).await?;
    kete.feed_events(&events).await?;
    for route in routes {
        kete.wait_for_complaint(route, &["certificate"]).await?;
        all_wait(&kete, route, events.len(), "").await?;
    }
    ensure!(server.arrivals().await?.is_empty(), "somebody was let in");
    server
        .become_another(ServerPlan::new(kind).tls("good"))
        .await?;
    kete.finish().await?;

    let arrivals = server.arrivals().await?;
    for route in routes {
        let arrivals = named(route, &arrivals);
        check_delivery(&events, &arrivals)?;
        for arrival in &arrivals {
            let seen = arrival.client()?;
            ensure!(seen.subject.is_empty(), "it was not asked: {seen:?}");
        }
    }
    ensure!(kete.dead_letters()?.is_empty(), "an event was given up");
    Ok(())
}

#[tokio::test]
async fn a_server_that_asks_and_insists_on_nothing_is_shown_what_there_is() -> Result<()> {
    let events = generate(93, 5, 40);
    let certificates = Certificates::get()?;
    let server = Server::node()
        .tls("good")
        .requires_client_certificate()
        .with("tls-client", "optional")
        .start()
        .await?;
    let mut configuration = vec![from_stdin()];
    for route in ["none", "p256"] {
        let name = format!("destination.event-name={route}");
        configuration.push(to_socketio(route, &server.url(), &[&name]));
        let section = format!("kete.routes.{route}.destination.tls");
        configuration.push(certificates.trusted(&section));
    }
    configuration.push(certificates.presented("kete.routes.p256.destination.tls", "p256"));
    let mut kete = Kete::run(&configuration).await?;
    kete.feed_events(&events).await?;
    kete.finish().await?;

    let arrivals = server.arrivals().await?;
    for (route, subject) in [("none", ""), ("p256", "kete-p256")] {
        let arrivals = named(route, &arrivals);
        check_delivery(&events, &arrivals)?;
        for arrival in &arrivals {
            let seen = arrival.client()?;
            ensure!(seen.subject == subject, "{route}: {seen:?}");
        }
    }
    Ok(())
}

fn route_name(client: &str, version: &str) -> String {
    format!("{client}-{}", version.replace('.', "-"))
}
