//! Receivers that are in trouble for long, with the queue on disk: what waits for them is counted
//! exactly, costs nobody else anything, and is all delivered in the end.

use anyhow::{Result, ensure};
use kete_suites::{
    Home, Kete, Sample, Senders, Server, check_delivery, exactly, from_webhook, full, generate,
    named, route_named, unused_port,
};
use serde_json::json;

const MIB: u64 = 1024 * 1024;
const USERS: u64 = 40;

/// What kete may take of memory, in a debug build, whatever waits on disk.
const MOST_MEMORY: u64 = 96 * MIB;

#[tokio::test]
async fn forty_nine_dead_routes_hold_up_nobody() -> Result<()> {
    let events = generate(111, USERS, if full() { 40_000 } else { 4_000 });
    let home = Home::new()?;
    let (server, port) = (Server::node().start().await?, unused_port()?);
    let kete = home.run(&fifty_routes(server.port(), port, &[])).await?;
    for part in events.chunks(1_000) {
        let before = kete.metrics().await?.forwarded("live");
        kete.post_events(part).await?;
        kete.drained(&["live"]).await?;
        let delivered = kete.metrics().await?.forwarded("live") - before;
        ensure!(delivered == part.len() as u64, "{delivered} were delivered");
    }
    exactly(&events, &named("live", &server.arrivals().await?))?;
    let metrics = kete.metrics().await?;
    for dead in (0..49).map(dead) {
        ensure!(
            metrics.lag(&dead) == events.len() as u64,
            "{dead}: {}",
            metrics.lag(&dead)
        );
        ensure!(metrics.failed(&dead) == 0, "{dead} gave something up");
    }
    let status = home.command(&["queue", "status"]).await?.success()?.stdout;
    let listed = (0..49)
        .filter(|number| status.contains(&dead(*number)))
        .count();
    ensure!(listed == 49 && status.contains("live"), "listed:\n{status}");
    bounded(&kete)
}

#[tokio::test]
async fn dead_routes_that_drop_their_oldest_keep_the_queue_within_its_bound() -> Result<()> {
    const BOUND: u64 = 4 * MIB;
    let events = generate(112, USERS, 8_000);
    let home = Home::new()?;
    let (server, port) = (Server::node().start().await?, unused_port()?);
    // A window is in memory, and each route has its own.
    let drops = [
        "queue.when-full=drop-oldest",
        "destination.max-in-flight-bytes=256KiB",
    ];
    let mut configuration = fifty_routes(server.port(), port, &drops);
    configuration.push(format!("kete.queue.max-bytes={BOUND}B\n"));
    let mut kete = home.run(&configuration).await?;
    let mut senders = Senders::start(&events, 4, 100)?;
    senders.send_to(&kete).await?;
    eprintln!("{:?}", senders.finish().await?);
    kete.drained(&["live"]).await?;
    exactly(&events, &named("live", &server.arrivals().await?))?;
    let bytes = home.queue_bytes()?;
    ensure!(
        bytes <= BOUND,
        "{bytes} bytes on disk, the bound is {BOUND}"
    );
    let metrics = kete.metrics().await?;
    for dead in (0..49).map(dead) {
        let (dropped, lag) = (metrics.dropped(&dead), metrics.lag(&dead));
        ensure!(dropped > 0, "{dead} dropped nothing");
        ensure!(
            dropped + lag == events.len() as u64,
            "{dead}: {dropped} dropped, {lag} wait"
        );
    }
    bounded(&kete)?;
    kete.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_comes_and_goes_gets_everything() -> Result<()> {
    let flaps = if full() { 40 } else { 6 };
    let events = generate(113, USERS, 800 * flaps);
    let home = Home::new()?;
    let mut server = acknowledging().start().await?;
    let mut kete = home.run(&acknowledged(server.port(), &[])).await?;
    for (flap, part) in (0..).zip(events.chunks(800)) {
        let before = kete.metrics().await?.forwarded("all");
        kete.post_events(part).await?;
        kete.wait_until("some of it is delivered", |now| {
            now.forwarded("all") > before
        })
        .await?;
        if flap % 2 == 0 {
            server.kill().await?;
        } else {
            server.stop().await?;
        }
        server.start_again().await?;
    }
    all_is_well(&home, &mut kete, &events, &server).await
}

#[tokio::test]
async fn a_receiver_that_never_confirms_for_long_gets_everything_in_the_end() -> Result<()> {
    let events = generate(114, USERS, 1_000);
    let home = Home::new()?;
    let server = Server::node().with("ack", "none").start().await?;
    let impatient = ["destination.confirm.timeout=500ms"];
    let mut kete = home.run(&acknowledged(server.port(), &impatient)).await?;
    kete.post_events(&events).await?;
    kete.wait_until("it gave up waiting several times", |now| {
        now.connect_failures("all", "no_confirmation") >= 4
    })
    .await?;
    let metrics = kete.metrics().await?;
    ensure!(
        metrics.forwarded("all") == 0,
        "what nobody confirmed counts"
    );
    ensure!(
        metrics.lag("all") == events.len() as u64,
        "{} wait",
        metrics.lag("all")
    );

    server.set_mode(json!({ "ack": "after-write" })).await?;
    all_is_well(&home, &mut kete, &events, &server).await
}

#[tokio::test]
async fn a_receiver_that_confirms_slowly_gets_everything_once() -> Result<()> {
    let events = generate(115, USERS, 1_500);
    let home = Home::new()?;
    let server = acknowledging().with("ack-delay", 150).start().await?;
    let mut kete = home.run(&acknowledged(server.port(), &[])).await?;
    kete.post_events(&events).await?;
    all_is_well(&home, &mut kete, &events, &server).await?;
    exactly(&events, &named("all", &server.arrivals().await?))
}

/// The counts match exactly, and nothing was given up.
async fn all_is_well(
    home: &Home,
    kete: &mut Kete,
    events: &[Sample],
    server: &Server,
) -> Result<()> {
    kete.drained(&["all"]).await?;
    let (metrics, count) = (kete.metrics().await?, events.len() as u64);
    let (taken, forwarded) = (metrics.taken(), metrics.forwarded("all"));
    ensure!(taken == count, "{taken} of {count} were taken");
    ensure!(forwarded == count, "{forwarded} of {count} were delivered");
    ensure!(
        metrics.failed("all") + metrics.dropped("all") == 0,
        "something was given up"
    );
    ensure!(home.dead_letters()?.is_empty(), "there are dead letters");
    kete.stop().await?;
    check_delivery(events, &named("all", &server.arrivals().await?))
}

fn acknowledging() -> kete_suites::ServerPlan {
    Server::node().with("ack", "after-write")
}

fn acknowledged(port: u16, keys: &[&str]) -> [String; 2] {
    let keys = [&["destination.confirm=ack"], keys].concat();
    [from_webhook(&[]), route_named("all", port, &keys)]
}

fn fifty_routes(live: u16, nobody: u16, keys: &[&str]) -> Vec<String> {
    let mut lines = vec![from_webhook(&[]), route_named("live", live, &[])];
    lines.extend((0..49).map(|number| route_named(&dead(number), nobody, keys)));
    lines
}

fn dead(number: u32) -> String {
    format!("dead-{number:02}")
}

fn bounded(kete: &Kete) -> Result<()> {
    let memory = kete.memory()?;
    ensure!(
        memory.peak < MOST_MEMORY,
        "kete takes {} MiB",
        memory.peak / MIB
    );
    Ok(())
}
