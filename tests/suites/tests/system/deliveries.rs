//! `kete.log.deliveries`: did the login of 14:03 arrive? One line for each event and route says.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use kete_suites::{
    Home, Kete, LogLine, Sample, Server, from_webhook, generate, of_types, route_named,
};

const REFUSED: &str = "\"type\":\"LOGIN_ERROR\"";

#[tokio::test]
async fn all_says_one_line_for_each_event_and_route() -> Result<()> {
    let events = generate(131, 10, 200);
    let (kete, _server) = delivered("all", &events).await?;
    let refused = of_types(&events, &["LOGIN_ERROR"]);
    let logins = of_types(&events, &["LOGIN"]);
    let lines = deliveries(&kete);

    let mut told: HashMap<(&str, &str), Vec<&LogLine>> = HashMap::new();
    for line in &lines {
        let one = told
            .entry((line.text("route"), line.text("id")))
            .or_default();
        one.push(line);
    }
    ensure!(
        told.len() == events.len() + logins.len(),
        "{} are told of",
        told.len()
    );
    ensure!(lines.len() == told.len(), "some are told of more than once");
    for event in &events {
        let [line] = told[&("strict", event.id.as_str())][..] else {
            continue;
        };
        let is_refused = refused.iter().any(|one| one.id == event.id);
        let (outcome, attempts) = if is_refused {
            ("refused", 2)
        } else {
            ("delivered", 1)
        };
        ensure!(line.text("outcome") == outcome, "{line:?}");
        ensure!(line.number("attempts") == attempts, "{line:?}");
        ensure!(!line.text("event_type").is_empty(), "{line:?}");
    }
    for event in &logins {
        let [line] = told[&("lax", event.id.as_str())][..] else {
            continue;
        };
        ensure!(line.text("outcome") == "delivered", "{line:?}");
    }
    says_nothing_of_people(&kete, &events)
}

#[tokio::test]
async fn failed_leaves_out_what_was_delivered() -> Result<()> {
    let events = generate(132, 10, 200);
    let (kete, _server) = delivered("failed", &events).await?;
    let lines = deliveries(&kete);
    let refused = of_types(&events, &["LOGIN_ERROR"]);
    ensure!(
        lines.len() == refused.len(),
        "{} lines, {} refused",
        lines.len(),
        refused.len()
    );
    ensure!(
        lines.iter().all(|line| line.text("outcome") == "refused"),
        "{lines:?}"
    );
    says_nothing_of_people(&kete, &events)
}

#[tokio::test]
async fn by_default_nothing_is_said_of_single_events() -> Result<()> {
    let events = generate(133, 10, 50);
    let (kete, _server) = delivered("off", &events).await?;
    ensure!(deliveries(&kete).is_empty(), "{:?}", deliveries(&kete));
    Ok(())
}

/// A kete that has done with all of these events, some of which the receiver refused.
async fn delivered(which: &str, events: &[Sample]) -> Result<(Kete, Server)> {
    let home = Home::new()?;
    let server = Server::node().with("ack", "refuse-matching");
    let server = server.with("refuse", REFUSED).start().await?;
    let strict = [
        "destination.confirm=ack",
        "destination.ack.error-pointer=/error",
        "retry.max-attempts=2",
        "retry.wait-duration=10ms",
    ];
    let mut kete = home
        .run(&[
            from_webhook(&[]),
            route_named("strict", server.port(), &strict),
            route_named("lax", server.port(), &["event-matchers.some=list:LOGIN"]),
            format!("kete.log.deliveries={which}\n"),
        ])
        .await?;
    kete.post_events(events).await?;
    kete.drained(&["strict", "lax"]).await?;
    kete.stop().await?;
    Ok((kete, server))
}

fn deliveries(kete: &Kete) -> Vec<LogLine> {
    let mut lines = kete.log();
    lines.retain(|line| line.text("message") == "delivery");
    lines
}

/// Neither a body nor a user is in the log.
fn says_nothing_of_people(kete: &Kete, events: &[Sample]) -> Result<()> {
    let log = kete.log_text();
    let user = events.iter().find(|event| log.contains(&event.user));
    ensure!(user.is_none(), "the log has {user:?}");
    ensure!(!log.contains("redirect_uri"), "the log has a body");
    Ok(())
}
