//! The main job: many events of many users, over several connections, to each kind of server.

use anyhow::{Result, ensure};
use kete_suites::{
    Kete, Kind, ServerPlan, check_delivery, check_each_once, from_stdin, generate, sockets,
    to_socketio,
};

/// Few enough for each connection that all four are needed.
const FOUR_CONNECTIONS: &[&str] = &[
    "destination.pool.max-total=4",
    "destination.max-in-flight=64",
];

#[tokio::test]
async fn node_receives_ten_thousand_events_complete_and_in_order() -> Result<()> {
    ten_thousand_events_arrive(Kind::Node).await
}

#[tokio::test]
async fn python_receives_ten_thousand_events_complete_and_in_order() -> Result<()> {
    ten_thousand_events_arrive(Kind::Python).await
}

#[tokio::test]
async fn socketioxide_receives_ten_thousand_events_complete_and_in_order() -> Result<()> {
    ten_thousand_events_arrive(Kind::Oxide).await
}

async fn ten_thousand_events_arrive(kind: Kind) -> Result<()> {
    let events = generate(1, 200, 10_000);
    let server = ServerPlan::new(kind).start().await?;
    let route = to_socketio("all", &server.url(), FOUR_CONNECTIONS);
    let mut kete = Kete::run(&[from_stdin(), route]).await?;

    kete.feed_events(&events).await?;
    let ended = kete.finish().await?;

    ensure!(
        ended.summary()?.number("forwarded") == 10_000,
        "{:?}",
        ended.summary()
    );
    let arrivals = server.arrivals().await?;
    check_delivery(&events, &arrivals)?;
    check_each_once(&arrivals)?;
    ensure!(
        arrivals
            .iter()
            .all(|arrival| arrival.event == "keycloak-event"),
        "another name"
    );
    ensure!(
        sockets(&arrivals).len() == 4,
        "it came over {} connections",
        sockets(&arrivals).len()
    );
    Ok(())
}
