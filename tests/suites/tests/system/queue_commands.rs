//! `kete queue`: what waits is shown, forgotten and sent again, whether kete runs or not.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use kete_suites::{
    Home, Server, check_delivery, eventually, exactly, from_webhook, generate, named, of_types,
    route_named, unused_port,
};

const USERS: u64 = 20;

/// Delivered events are kept, and the arrivals say which ones are replays.
const KEPT: &str = "kete.queue.retain=1h\n";
const MARKED: &str = "destination.event-id=argument";

#[tokio::test]
async fn status_shows_what_waits_whether_kete_runs_or_not() -> Result<()> {
    let home = Home::new()?;
    let port = unused_port()?;
    let both = [
        from_webhook(&[]),
        route_named("one", port, &[]),
        route_named("two", port, &[]),
    ];
    let mut kete = home.run(&both).await?;
    kete.post_events(&generate(91, USERS, 250)).await?;
    ensure!(home.waiting("one").await? == Some(250), "while it runs");
    kete.stop().await?;
    ensure!(home.waiting("two").await? == Some(250), "while it does not");
    let text = home.command(&["queue", "status"]).await?.success()?.stdout;
    for word in ["one", "two", "250"] {
        ensure!(text.contains(word), "no {word} in:\n{text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_forgotten_route_loses_what_waited_and_begins_anew() -> Result<()> {
    let events = generate(92, USERS, 300);
    let (before, after) = events.split_at(200);
    let home = Home::new()?;
    let port = unused_port()?;
    let both = [
        from_webhook(&[]),
        route_named("one", port, &[]),
        route_named("two", port, &[]),
    ];
    let mut kete = home.run(&both).await?;
    kete.post_events(before).await?;
    let refused = home.command(&["queue", "forget", "two", "--yes"]).await?;
    ensure!(
        refused.code != 0,
        "a route that runs was forgotten: {}",
        refused.stdout
    );
    ensure!(
        home.waiting("two").await? == Some(200),
        "its events are gone"
    );
    kete.stop().await?;

    let asked = home.command(&["queue", "forget", "two"]).await?;
    ensure!(asked.code != 0, "nobody said yes: {}", asked.stdout);
    ensure!(
        home.waiting("two").await? == Some(200),
        "its events are gone"
    );
    let forgotten = home
        .command(&["queue", "forget", "two", "--yes"])
        .await?
        .success()?;
    ensure!(
        forgotten.stdout.contains("200"),
        "no count in: {}",
        forgotten.stdout
    );
    ensure!(home.waiting("two").await?.is_none(), "it is still known");

    let kete = home.run(&both).await?;
    kete.post_events(after).await?;
    let server = Server::node().start_on(port).await?;
    kete.drained(&["one", "two"]).await?;
    let arrivals = server.arrivals().await?;
    exactly(&events, &named("one", &arrivals))?;
    exactly(after, &named("two", &arrivals))
}

#[tokio::test]
async fn a_removed_route_is_forgotten_while_kete_runs() -> Result<()> {
    let home = Home::new()?;
    let port = unused_port()?;
    let one = [from_webhook(&[]), route_named("one", port, &[])];
    let mut kete = home
        .run(&[&one[..], &[route_named("two", port, &[])]].concat())
        .await?;
    kete.post_events(&generate(93, USERS, 120)).await?;
    kete.stop().await?;

    let kete = home.run(&one).await?;
    ensure!(
        home.waiting("two").await? == Some(120),
        "its events are gone"
    );
    home.command(&["queue", "forget", "two", "--yes"])
        .await?
        .success()?;
    ensure!(home.waiting("two").await?.is_none(), "it is still known");
    ensure!(
        kete.metrics().await?.lag("one") == 120,
        "another route lost something"
    );
    Ok(())
}

/// An application that lost its own state asks for what came after some moment.
#[tokio::test]
async fn delivered_events_are_sent_again_to_the_route_that_asks() -> Result<()> {
    let events = generate(94, USERS, 400);
    let (before, after) = events.split_at(200);
    let (home, server) = (Home::new()?, Server::node().start().await?);
    let mut kete = home.run(&two_routes(&server)).await?;
    kete.post_events(before).await?;
    kete.drained(&["one", "some"]).await?;
    let between = next_millisecond().await?;
    kete.post_events(after).await?;
    kete.drained(&["one", "some"]).await?;

    replay(&home, "one", &between.to_string(), "now").await?;
    let arrivals = server.wait_for_replays(after.len()).await?;
    exactly(after, &arrivals)?;
    ensure!(
        named("one", &arrivals).len() == after.len(),
        "another route got some of it"
    );

    replay(&home, "some", "1h", "now").await?;
    let wanted = of_types(&events, &["LOGIN"]);
    let arrivals = named(
        "some",
        &server.wait_for_replays(after.len() + wanted.len()).await?,
    );
    exactly(&wanted, &arrivals)?;
    ensure!(
        kete.metrics().await?.forwarded("one") == 400,
        "replays count as forwarded"
    );
    kete.stop().await?;
    let mut live = named("one", &server.arrivals().await?);
    live.retain(|arrival| !arrival.is_replay());
    exactly(&events, &live)
}

#[tokio::test]
async fn what_is_asked_for_while_kete_does_not_run_is_sent_when_it_does() -> Result<()> {
    let events = generate(95, USERS, 300);
    let (home, server) = (Home::new()?, Server::node().start().await?);
    let mut kete = home.run(&two_routes(&server)).await?;
    kete.post_events(&events).await?;
    kete.drained(&["one", "some"]).await?;
    kete.stop().await?;

    replay(&home, "one", "1h", "now").await?;
    let _kete = home.run(&two_routes(&server)).await?;
    let arrivals = server.wait_for_replays(events.len()).await?;
    exactly(&events, &named("one", &arrivals))?;
    ensure!(
        named("some", &arrivals).is_empty(),
        "another route got some of it"
    );
    Ok(())
}

/// A replay under way is as safe as everything else.
#[tokio::test]
async fn a_replay_outlives_a_kill() -> Result<()> {
    let events = generate(96, USERS, 300);
    let home = Home::new()?;
    let mut server = Server::node().start().await?;
    let mut kete = home.run(&two_routes(&server)).await?;
    kete.post_events(&events).await?;
    kete.drained(&["one", "some"]).await?;
    server.stop().await?;
    replay(&home, "one", "1h", "now").await?;
    kete.kill().await?;

    server.start_again().await?;
    let _kete = home.run(&two_routes(&server)).await?;
    let arrivals = server.wait_for_replays(events.len()).await?;
    check_delivery(&events, &arrivals)
}

fn two_routes(server: &Server) -> [String; 4] {
    let some = ["event-matchers.some=list:LOGIN", MARKED];
    [
        from_webhook(&[]),
        route_named("one", server.port(), &[MARKED]),
        route_named("some", server.port(), &some),
        KEPT.to_owned(),
    ]
}

async fn replay(home: &Home, route: &str, from: &str, to: &str) -> Result<()> {
    let span = ["--from", from, "--to", to];
    let command = [&["queue", "replay", "--route", route], &span[..]].concat();
    home.configured_command(&command).await?.success()?;
    Ok(())
}

/// A moment, in milliseconds since 1970, after everything before and before everything after.
async fn next_millisecond() -> Result<u128> {
    let now = || anyhow::Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis());
    let before = now()?;
    eventually("the next millisecond", async || {
        ensure!(now()? > before, "not yet");
        now()
    })
    .await
}
