//! What is *not* promised, shown: each of these losses is described in `docs/delivery.md`, and so
//! is the setting that prevents it.

use anyhow::{Result, ensure};
use kete_suites::{
    Kete, Relay, Sample, Senders, Server, check_delivery, from_webhook, generate, route_named,
    to_socketio,
};

/// A handler that takes a minute: its server never lives that long here.
const SLOWLY: u32 = 60_000;

/// A sender is told at once that its events were taken, whatever becomes of them.
const QUEUED: &[&str] = &["respond-when=queued"];

#[tokio::test]
async fn with_barriers_a_receiver_that_dies_after_reading_loses_what_it_had_not_handled()
-> Result<()> {
    let events = generate(141, 10, 200);
    let mut server = Server::node().with("handle-delay", SLOWLY).start().await?;
    let route = route_named("all", server.port(), &["destination.confirm=barrier"]);
    let kete = Kete::run(&[from_webhook(QUEUED), route]).await?;
    kete.post_events(&events).await?;
    kete.wait_until("all is confirmed", |now| now.forwarded("all") == 200)
        .await?;
    server.kill().await?;
    let arrivals = server.arrivals().await?;
    ensure!(arrivals.is_empty(), "{} were handled", arrivals.len());
    Ok(())
}

#[tokio::test]
async fn with_acknowledgements_a_receiver_that_dies_after_reading_loses_nothing() -> Result<()> {
    let events = generate(142, 10, 200);
    let slow = Server::node().with("handle-delay", SLOWLY);
    let mut server = slow.with("ack", "after-write").start().await?;
    let route = route_named("all", server.port(), &["destination.confirm=ack"]);
    let kete = Kete::run(&[from_webhook(QUEUED), route]).await?;
    kete.post_events(&events).await?;
    kete.wait_until("all of it that may be is under way", |now| {
        now.sum("kete_events_inflight", &[("route", "all")]) > 0
    })
    .await?;
    server.kill().await?;
    ensure!(
        kete.metrics().await?.forwarded("all") == 0,
        "what nobody handled counts"
    );

    let quick = Server::node().with("ack", "after-write");
    server.start_as(quick).await?;
    kete.drained(&["all"]).await?;
    check_delivery(&events, &server.arrivals().await?)
}

#[tokio::test]
async fn with_written_a_network_that_breaks_loses_what_was_under_way() -> Result<()> {
    let events = generate(143, 10, 200);
    let server = Server::node().start().await?;
    let relay = Relay::to(server.port()).await?;
    let route = to_socketio("all", &relay.url(), &["destination.confirm=written"]);
    let mut kete = Kete::run(&[from_webhook(QUEUED), route]).await?;
    let (first, rest) = events.split_at(1);
    kete.post_events(first).await?;
    server.wait_for(1).await?;
    relay.swallow(true);
    kete.post_events(rest).await?;
    kete.wait_until("all is written", |now| now.forwarded("all") == 200)
        .await?;
    // It goes on swallowing: what it has not read when it is reset must not get through either.
    relay.reset_all();
    kete.stop().await?;
    let arrivals = server.arrivals().await?;
    ensure!(arrivals.len() < events.len(), "all of it arrived");
    Ok(())
}

/// Without a data directory the queue dies with kete. A sender that was told "safe" has lost
/// nothing, and one that sends again what was not answered loses nothing either.
#[tokio::test]
async fn with_a_queue_in_memory_a_kill_loses_only_what_nobody_was_told_is_safe() -> Result<()> {
    let events = generate(144, 40, 4_000);
    let server = Server::node().start().await?;
    let configuration = [from_webhook(&[]), route_named("all", server.port(), &[])];
    let mut senders = Senders::start(&events, 4, 20)?;
    for _ in 0..3 {
        let mut kete = Kete::run(&configuration).await?;
        senders.send_to(&kete).await?;
        senders.wait_for_more(500).await?;
        kete.kill().await?;
    }
    let mut kete = Kete::run(&configuration).await?;
    senders.send_to(&kete).await?;
    senders.finish().await?;
    kete.stop().await?;
    check_delivery(&events, &server.arrivals().await?)
}

/// `respond-when=queued` is outside the promise while the queue is in memory.
#[tokio::test]
async fn with_a_queue_in_memory_what_was_only_queued_dies_with_kete() -> Result<()> {
    let events: Vec<Sample> = generate(145, 10, 200);
    let nobody = kete_suites::unused_port()?;
    let configuration = [from_webhook(QUEUED), route_named("all", nobody, &[])];
    let mut kete = Kete::run(&configuration).await?;
    kete.post_events(&events).await?;
    kete.kill().await?;
    let kete = Kete::run(&configuration).await?;
    ensure!(kete.metrics().await?.lag("all") == 0, "something survived");
    Ok(())
}
