//! kete is stopped and started again on the same data directory: every route goes on where it was,
//! and a stop in good order brings no repeats.

use anyhow::{Result, ensure};
use kete_suites::{
    Home, Kete, Server, body, check_delivery, exactly, from_webhook, full, generate, named,
    of_types, route_named, unused_port,
};

const MIB: u64 = 1024 * 1024;
const USERS: u64 = 30;

/// The window of a route that is stopped so often under load.
const WINDOW: usize = 64;
const STOPS: usize = 8;

/// Much more than kete needs beside what it holds of the queue in memory, in a debug build.
const MOST_MEMORY: u64 = 96 * MIB;

#[tokio::test]
async fn a_backlog_outlives_a_stop_and_each_event_of_it_arrives_once() -> Result<()> {
    let events = generate(81, USERS, 3_000);
    let home = Home::new()?;
    let port = unused_port()?;
    let configuration = [from_webhook(&[]), route_named("all", port, &[])];
    for part in events.chunks(1_000) {
        let mut kete = home.run(&configuration).await?;
        kete.post_events(part).await?;
        kete.stop().await?;
    }

    let mut kete = home.run(&configuration).await?;
    let waiting = kete.metrics().await?.lag("all");
    ensure!(waiting == events.len() as u64, "{waiting} wait");
    let server = Server::node().start_on(port).await?;
    kete.drained(&["all"]).await?;
    kete.stop().await?;
    let arrivals = server.arrivals().await?;
    exactly(&events, &arrivals)
}

#[tokio::test]
async fn with_barriers_a_stop_under_load_brings_few_repeats() -> Result<()> {
    stop_under_load("barrier").await
}

#[tokio::test]
async fn with_acknowledgements_a_stop_under_load_brings_few_repeats() -> Result<()> {
    stop_under_load("ack").await
}

/// Stopped in the middle of delivering, again and again. What was confirmed behind an event that
/// was not sent yet comes again; all of it was in the window.
async fn stop_under_load(confirm: &str) -> Result<()> {
    let events = generate(82, USERS, 4_000);
    let home = Home::new()?;
    let server = Server::node().with("ack", "after-write").start().await?;
    let confirm = format!("destination.confirm={confirm}");
    let keys = [
        confirm.as_str(),
        &format!("destination.max-in-flight={WINDOW}"),
    ];
    let configuration = [from_webhook(&[]), route_named("all", server.port(), &keys)];
    for part in events.chunks(events.len() / STOPS) {
        let mut kete = home.run(&configuration).await?;
        kete.post_events(part).await?;
        kete.stop().await?;
    }
    let kete = home.run(&configuration).await?;
    kete.drained(&["all"]).await?;
    let arrivals = server.arrivals().await?;
    check_delivery(&events, &arrivals)?;
    let repeats = arrivals.len() - events.len();
    ensure!(repeats <= STOPS * WINDOW, "{repeats} came again");
    Ok(())
}

#[tokio::test]
async fn a_new_route_starts_now_unless_it_asks_for_the_earliest() -> Result<()> {
    let events = generate(83, USERS, 600);
    let (before, after) = events.split_at(400);
    let home = Home::new()?;
    let port = unused_port()?;
    let mut kete = home
        .run(&[from_webhook(&[]), route_named("known", port, &[])])
        .await?;
    kete.post_events(before).await?;
    kete.stop().await?;

    let kete = home
        .run(&[
            from_webhook(&[]),
            route_named("known", port, &[]),
            route_named("new", port, &[]),
            route_named("old", port, &["queue.start-from=earliest"]),
        ])
        .await?;
    kete.post_events(after).await?;
    let server = Server::node().start_on(port).await?;
    kete.drained(&["known", "new", "old"]).await?;
    let arrivals = server.arrivals().await?;
    exactly(&events, &named("known", &arrivals))?;
    exactly(after, &named("new", &arrivals))?;
    exactly(&events, &named("old", &arrivals))
}

#[tokio::test]
async fn a_removed_route_keeps_its_place_and_comes_back() -> Result<()> {
    comes_back(|_| String::new()).await
}

#[tokio::test]
async fn a_disabled_route_keeps_its_place_and_comes_back() -> Result<()> {
    comes_back(|port| route_named("away", port, &["enabled=false"])).await
}

async fn comes_back(meanwhile: fn(u16) -> String) -> Result<()> {
    let events = generate(84, USERS, 600);
    let (before, after) = events.split_at(300);
    let home = Home::new()?;
    let port = unused_port()?;
    let both = [
        from_webhook(&[]),
        route_named("stays", port, &[]),
        route_named("away", port, &[]),
    ];
    let mut kete = home.run(&both).await?;
    kete.post_events(before).await?;
    kete.stop().await?;

    let one = [
        from_webhook(&[]),
        route_named("stays", port, &[]),
        meanwhile(port),
    ];
    let mut kete = home.run(&one).await?;
    kete.wait_for_log("that it waits for a route that is not there", |line| {
        line.text("route") == "away" && line.number("events") == before.len() as u64
    })
    .await?;
    kete.post_events(after).await?;
    let mut server = Server::node().start_on(port).await?;
    kete.drained(&["stays"]).await?;
    exactly(&events, &named("stays", &server.arrivals().await?))?;
    ensure!(
        named("away", &server.arrivals().await?).is_empty(),
        "the other got something"
    );
    kete.stop().await?;
    server.stop().await?;

    let kete = home.run(&both).await?;
    server.start_again().await?;
    kete.drained(&["away"]).await?;
    let arrivals = server.arrivals().await?;
    exactly(before, &named("away", &arrivals))?;
    exactly(&events, &named("stays", &arrivals))
}

/// What the route does not want any more it does not get; what it did not want is not there.
#[tokio::test]
async fn changed_matchers_count_for_what_waits() -> Result<()> {
    let events = generate(85, USERS, 600);
    let (before, after) = events.split_at(400);
    let home = Home::new()?;
    let port = unused_port()?;
    let only = |types: &str| {
        let matcher = format!("event-matchers.only=list:{types}");
        [from_webhook(&[]), route_named("some", port, &[&matcher])]
    };
    let mut kete = home.run(&only("LOGIN,LOGIN_ERROR")).await?;
    kete.post_events(before).await?;
    kete.stop().await?;

    let kete = home.run(&only("LOGIN_ERROR,REFRESH_TOKEN")).await?;
    kete.post_events(after).await?;
    let server = Server::node().start_on(port).await?;
    kete.drained(&["some"]).await?;
    let mut wanted = of_types(before, &["LOGIN_ERROR"]);
    wanted.extend(of_types(after, &["LOGIN_ERROR", "REFRESH_TOKEN"]));
    exactly(&wanted, &named("some", &server.arrivals().await?))
}

/// Neither the start nor the stop waits for what waits, and memory does not hold it.
#[tokio::test]
async fn a_large_backlog_delays_neither_readiness_nor_a_stop() -> Result<()> {
    let bytes = if full() { 2048 * MIB } else { 50 * MIB };
    let home = Home::new()?;
    let configuration = [
        from_webhook(&["max-body-size=4MiB"]),
        route_named("all", unused_port()?, &[]),
        "kete.queue.max-bytes=4GiB\nkete.queue.max-events=10000000\n".to_owned(),
    ];
    let mut kete = home.run(&configuration).await?;
    let (mut posted, mut events) = (0, 0);
    for seed in 0.. {
        if posted >= bytes {
            break;
        }
        let batch = generate(10_000 + seed, USERS, 2_000);
        let body = body(&batch);
        posted += body.len() as u64;
        events += batch.len() as u64;
        let status = kete.post(body).await?;
        ensure!(status.is_success(), "the webhook answers {status}");
    }
    small(&kete)?;
    kete.stop().await?;

    let mut kete = home.run(&configuration).await?;
    let waiting = kete.metrics().await?.lag("all");
    ensure!(waiting == events, "{waiting} of {events} wait");
    small(&kete)?;
    kete.stop().await?;
    Ok(())
}

fn small(kete: &Kete) -> Result<()> {
    let memory = kete.memory()?;
    ensure!(
        memory.peak < MOST_MEMORY,
        "kete takes {} MiB",
        memory.peak / MIB
    );
    Ok(())
}

/// Nobody can deliver for it, so it must not stop those that somebody can deliver for.
#[tokio::test]
async fn a_removed_route_loses_its_oldest_events_rather_than_hold_up_the_others() -> Result<()> {
    let events = generate(86, USERS, 16_000);
    let (before, after) = events.split_at(3_000);
    let home = Home::new()?;
    let port = unused_port()?;
    let bound = "kete.queue.max-bytes=4MiB\n".to_owned();
    let one = [from_webhook(&[]), route_named("stays", port, &[]), bound];
    let mut kete = home
        .run(&[&one[..], &[route_named("away", port, &[])]].concat())
        .await?;
    kete.post_events(before).await?;
    kete.stop().await?;

    let server = Server::node().start_on(port).await?;
    let kete = home.run(&one).await?;
    kete.drained(&["stays"]).await?;
    for part in after.chunks(1_000) {
        kete.post_events(part).await?;
        kete.drained(&["stays"]).await?;
    }
    exactly(&events, &named("stays", &server.arrivals().await?))?;
    let left = home.waiting("away").await?.unwrap_or_default();
    ensure!(left < before.len() as u64, "{left} of its events are kept");
    Ok(())
}
