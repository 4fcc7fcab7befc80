//! What happens to servers and networks while events flow: nothing is lost, and what arrives for
//! the first time is in order.

use anyhow::{Result, ensure};
use kete_suites::{
    Kete, Kind, Relay, Sample, Server, ServerPlan, check_delivery, from_stdin, full, generate,
    to_socketio,
};

/// Several connections, each of them with events under way when it breaks.
const SEVERAL_CONNECTIONS: &[&str] = &[
    "destination.pool.max-total=4",
    "destination.max-in-flight=512",
];

/// Servers that notice within a second that nobody is there, and clients likewise.
const PING_MILLISECONDS: (u32, u32) = (400, 300);

#[tokio::test]
async fn connections_that_are_cut_at_random_lose_nothing() -> Result<()> {
    for seed in 0..if full() { 12 } else { 2 } {
        let events = generate(seed, 200, 6_000);
        let server = Server::node().start().await?;
        let relay = Relay::to(server.port()).await?;
        relay.cut_at_random(seed, 12, 300..400_000);
        let route = to_socketio("all", &relay.url(), SEVERAL_CONNECTIONS);
        let mut kete = Kete::run(&[from_stdin(), route]).await?;

        kete.feed_events(&events).await?;
        kete.finish().await?;

        check_delivery(&events, &server.arrivals().await?)?;
        ensure!(
            relay.cuts_done() >= 6,
            "only {} connections were cut",
            relay.cuts_done()
        );
        ensure!(kete.dead_letters()?.is_empty(), "an event was given up");
    }
    Ok(())
}

#[tokio::test]
async fn all_connections_reset_again_and_again_lose_nothing() -> Result<()> {
    let events = generate(21, 200, 6_000);
    let server = Server::node().start().await?;
    let relay = Relay::to(server.port()).await?;
    let route = to_socketio("all", &relay.url(), SEVERAL_CONNECTIONS);
    let mut kete = Kete::run(&[from_stdin(), route]).await?;

    for part in events.chunks(1_000) {
        let before = kete.metrics().await?.forwarded("all");
        kete.feed_events(part).await?;
        kete.wait_until("some of it is delivered", |now| {
            now.forwarded("all") > before
        })
        .await?;
        relay.reset_all();
    }
    kete.finish().await?;

    check_delivery(&events, &server.arrivals().await?)?;
    ensure!(kete.dead_letters()?.is_empty(), "an event was given up");
    Ok(())
}

#[tokio::test]
async fn a_server_that_freezes_beyond_its_ping_timeout_gets_everything_afterwards() -> Result<()> {
    let kinds = [Kind::Node, Kind::Python, Kind::Oxide];
    for kind in &kinds[..if full() { 3 } else { 1 }] {
        a_freeze_loses_nothing(*kind).await?;
    }
    Ok(())
}

async fn a_freeze_loses_nothing(kind: Kind) -> Result<()> {
    let events = generate(3, 200, 6_000);
    let (first, second) = events.split_at(2_000);
    let mut server = quick_to_notice(kind).start().await?;
    let mut kete = Kete::run(&[from_stdin(), cautious_route(&server.url())]).await?;

    kete.feed_events(first).await?;
    kete.wait_until("something is delivered", |now| now.forwarded("all") > 0)
        .await?;
    server.freeze()?;
    kete.feed_events(second).await?;
    kete.wait_until("it is noticed", |now| {
        now.connect_failures("all", "timeout") > 0
    })
    .await?;
    server.thaw()?;
    kete.finish().await?;

    check_delivery(&events, &server.arrivals().await?)
}

#[tokio::test]
async fn a_network_that_swallows_everything_is_noticed_and_loses_nothing() -> Result<()> {
    let events = generate(4, 200, 4_000);
    let (first, second) = events.split_at(1_000);
    let server = quick_to_notice(Kind::Node).start().await?;
    let relay = Relay::to(server.port()).await?;
    let mut kete = Kete::run(&[from_stdin(), cautious_route(&relay.url())]).await?;

    kete.feed_events(first).await?;
    kete.wait_until("something is delivered", |now| now.forwarded("all") > 0)
        .await?;
    relay.swallow(true);
    kete.feed_events(second).await?;
    kete.wait_until("it is noticed", |now| {
        now.connect_failures("all", "timeout") > 0
    })
    .await?;
    relay.swallow(false);
    kete.finish().await?;

    check_delivery(&events, &server.arrivals().await?)
}

#[tokio::test]
async fn node_restarted_gracefully_loses_nothing() -> Result<()> {
    restarts_lose_nothing(Kind::Node, "barrier").await
}

/// While it closes, python-socketio 5.18 answers pings and throws away events: it takes a client
/// out of its namespaces before it closes the connection. Only acknowledgements tell.
#[tokio::test]
async fn with_acknowledgements_python_restarted_gracefully_loses_nothing() -> Result<()> {
    restarts_lose_nothing(Kind::Python, "ack").await
}

/// socketioxide 0.18 does the same.
#[tokio::test]
async fn with_acknowledgements_socketioxide_restarted_gracefully_loses_nothing() -> Result<()> {
    restarts_lose_nothing(Kind::Oxide, "ack").await
}

async fn restarts_lose_nothing(kind: Kind, confirm: &str) -> Result<()> {
    let events = generate(5, 200, 4_000);
    let mut plan = ServerPlan::new(kind);
    if confirm == "ack" {
        plan = plan.with("ack", "after-write");
    }
    let mut server = plan.start().await?;
    let confirm = format!("destination.confirm={confirm}");
    let keys = [SEVERAL_CONNECTIONS, &[confirm.as_str()]].concat();
    let route = to_socketio("all", &server.url(), &keys);
    let mut kete = Kete::run(&[from_stdin(), route]).await?;

    for part in events.chunks(events.len() / 4) {
        let before = kete.metrics().await?.forwarded("all");
        kete.feed_events(part).await?;
        kete.wait_until("some of it is delivered", |now| {
            now.forwarded("all") > before
        })
        .await?;
        server.stop().await?;
        server.start_again().await?;
    }
    kete.finish().await?;

    check_delivery(&events, &server.arrivals().await?)?;
    ensure!(kete.dead_letters()?.is_empty(), "an event was given up");
    Ok(())
}

#[tokio::test]
async fn with_acknowledgements_a_killed_node_server_loses_nothing() -> Result<()> {
    kills_lose_nothing(Kind::Node).await
}

#[tokio::test]
async fn with_acknowledgements_a_killed_python_server_loses_nothing() -> Result<()> {
    kills_lose_nothing(Kind::Python).await
}

#[tokio::test]
async fn with_acknowledgements_a_killed_socketioxide_server_loses_nothing() -> Result<()> {
    kills_lose_nothing(Kind::Oxide).await
}

/// The recorder writes to the disk before it acknowledges.
async fn kills_lose_nothing(kind: Kind) -> Result<()> {
    let kills = if full() { 12 } else { 3 };
    let events = generate(6, 200, 2_000 * (kills + 1));
    let mut server = ServerPlan::new(kind)
        .with("ack", "after-write")
        .start()
        .await?;
    let keys = ["destination.confirm=ack", "destination.pool.max-total=4"];
    let route = to_socketio("all", &server.url(), &keys);
    let mut kete = Kete::run(&[from_stdin(), route]).await?;

    let parts: Vec<&[Sample]> = events.chunks(2_000).collect();
    for part in &parts[..kills] {
        let before = kete.metrics().await?.forwarded("all");
        kete.feed_events(part).await?;
        kete.wait_until("some of it is delivered", |now| {
            now.forwarded("all") > before
        })
        .await?;
        server.kill().await?;
        server.start_again().await?;
    }
    kete.feed_events(parts[kills]).await?;
    kete.finish().await?;

    check_delivery(&events, &server.arrivals().await?)?;
    ensure!(kete.dead_letters()?.is_empty(), "an event was given up");
    Ok(())
}

fn quick_to_notice(kind: Kind) -> ServerPlan {
    let (interval, timeout) = PING_MILLISECONDS;
    ServerPlan::new(kind)
        .with("ping-interval", interval)
        .with("ping-timeout", timeout)
}

/// Connecting gives up after a second, so that a frozen server holds up nothing for long.
fn cautious_route(url: &str) -> String {
    let keys = [SEVERAL_CONNECTIONS, &["destination.timeout-seconds=1"]].concat();
    to_socketio("all", url, &keys)
}
