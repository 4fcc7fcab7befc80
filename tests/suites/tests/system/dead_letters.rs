//! `kete dead-letters`: what was given up is shown, exported, sent again and thrown away, whether
//! kete runs or not.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use kete_suites::{
    Arrival, Home, Kete, Sample, Server, check_each_once, exactly, from_webhook, generate, named,
    of_types, route_named,
};
use serde_json::{Value, json};

const USERS: u64 = 10;

/// The receiver refuses these; they are some of the events, of several users.
const REFUSED: &str = "\"type\":\"LOGIN_ERROR\"";

#[tokio::test]
async fn what_was_refused_is_shown_and_sent_again_while_kete_runs() -> Result<()> {
    let events = generate(101, USERS, 300);
    let refused = of_types(&events, &["LOGIN_ERROR"]);
    let (home, server) = (Home::new()?, refusing().await?);
    let mut kete = with_dead_letters(&home, &server, &events).await?;

    is_listed(&home, &refused).await?;
    is_shown(&home, &refused[0]).await?;
    server.set_mode(json!({ "ack": "after-write" })).await?;
    home.configured_command(&["dead-letters", "replay", "--route", "strict"])
        .await?
        .success()?;
    let arrivals = arrive_again(&server, refused.len()).await?;
    exactly(&refused, &arrivals)?;
    nothing_is_left(&home).await?;
    kete.drained(&["strict", "lax"]).await?;
    kete.stop().await?;
    each_route_has_its_events(&server, &events).await
}

#[tokio::test]
async fn what_was_refused_is_shown_and_sent_again_while_kete_does_not_run() -> Result<()> {
    let events = generate(102, USERS, 300);
    let refused = of_types(&events, &["LOGIN_ERROR"]);
    let (home, server) = (Home::new()?, refusing().await?);
    let mut kete = with_dead_letters(&home, &server, &events).await?;
    kete.stop().await?;

    is_listed(&home, &refused).await?;
    is_shown(&home, &refused[0]).await?;
    server.set_mode(json!({ "ack": "after-write" })).await?;
    home.configured_command(&["dead-letters", "replay", "--route", "strict"])
        .await?
        .success()?;
    nothing_is_left(&home).await?;
    let mut kete = home.run(&configuration(&server)).await?;
    let arrivals = arrive_again(&server, refused.len()).await?;
    exactly(&refused, &arrivals)?;
    kete.stop().await?;
    each_route_has_its_events(&server, &events).await
}

#[tokio::test]
async fn filters_choose_what_is_listed_exported_and_thrown_away() -> Result<()> {
    let events = generate(103, USERS, 300);
    let refused = of_types(&events, &["LOGIN_ERROR"]);
    let (home, server) = (Home::new()?, refusing().await?);
    let mut kete = with_dead_letters(&home, &server, &events).await?;
    let user = refused[0].user.as_str();
    let of_user: Vec<&Sample> = refused.iter().filter(|event| event.user == user).collect();
    ensure!(
        of_user.len() < refused.len(),
        "all refused events are of one user"
    );

    let count = async |filter: &[&str]| anyhow::Ok(list(&home, filter).await?.len());
    ensure!(
        count(&["--user-id", user]).await? == of_user.len(),
        "by user"
    );
    ensure!(
        count(&["--route", "lax"]).await? == 0,
        "by a route that gave nothing up"
    );
    ensure!(
        count(&["--event-type", "LOGIN"]).await? == 0,
        "by another event type"
    );
    ensure!(
        count(&["--from", "1h"]).await? == refused.len(),
        "by a time before"
    );
    ensure!(count(&["--to", "1h"]).await? == 0, "by a time before all");
    ensure!(
        count(&["--reason", "refused"]).await? == refused.len(),
        "by reason"
    );

    let export = ["dead-letters", "export", "--user-id", user];
    let exported = home.command(&export).await?.success()?.stdout;
    ensure!(
        exported.lines().count() == of_user.len(),
        "exported: {exported}"
    );
    let first: Value = serde_json::from_str(exported.lines().next().context("nothing")?)?;
    ensure!(first["event"] == of_user[0].value(), "exported: {first}");

    let all = home.command(&["dead-letters", "purge", "--yes"]).await?;
    ensure!(
        all.code != 0,
        "everything was thrown away without being asked for"
    );
    let purge = ["dead-letters", "purge", "--user-id", user, "--yes"];
    home.command(&purge).await?.success()?;
    ensure!(
        count(&[]).await? == refused.len() - of_user.len(),
        "after throwing away"
    );
    kete.stop().await?;
    ensure!(
        count(&[]).await? == refused.len() - of_user.len(),
        "after a stop"
    );
    home.command(&["dead-letters", "purge", "--all", "--yes"])
        .await?
        .success()?;
    nothing_is_left(&home).await
}

#[tokio::test]
async fn dead_letters_outlive_a_kill() -> Result<()> {
    let events = generate(104, USERS, 300);
    let refused = of_types(&events, &["LOGIN_ERROR"]);
    let (home, server) = (Home::new()?, refusing().await?);
    let mut kete = with_dead_letters(&home, &server, &events).await?;
    kete.kill().await?;
    is_listed(&home, &refused).await?;
    let _kete = home.run(&configuration(&server)).await?;
    // The place of the route may not have been saved: then some are given up once more.
    let letters = list(&home, &[]).await?;
    let listed: BTreeSet<&str> = letters
        .iter()
        .filter_map(|one| one["id"].as_str())
        .collect();
    let wanted: BTreeSet<&str> = refused.iter().map(|event| event.id.as_str()).collect();
    ensure!(listed == wanted, "listed: {letters:?}");
    Ok(())
}

async fn refusing() -> Result<Server> {
    let plan = Server::node().with("ack", "refuse-matching");
    plan.with("refuse", REFUSED).start().await
}

/// One route whose events the receiver may refuse, and one to the same receiver that asks nothing.
fn configuration(server: &Server) -> [String; 4] {
    let strict = [
        "destination.confirm=ack",
        "destination.ack.error-pointer=/error",
        "destination.event-id=argument",
        "retry.max-attempts=2",
        "retry.wait-duration=10ms",
    ];
    [
        from_webhook(&[]),
        route_named("strict", server.port(), &strict),
        route_named("lax", server.port(), &["event-matchers.some=list:LOGIN"]),
        "kete.dead-letters.max-bytes=16MiB\n".to_owned(),
    ]
}

/// A kete that has delivered all of the events but those that are refused.
async fn with_dead_letters(home: &Home, server: &Server, events: &[Sample]) -> Result<Kete> {
    let kete = home.run(&configuration(server)).await?;
    kete.post_events(events).await?;
    kete.drained(&["strict", "lax"]).await?;
    let refused = of_types(events, &["LOGIN_ERROR"]).len() as u64;
    let failed = kete.metrics().await?.failed("strict");
    ensure!(failed == refused, "{failed} of {refused} were given up");
    Ok(kete)
}

async fn list(home: &Home, filter: &[&str]) -> Result<Vec<Value>> {
    let usual = [
        "dead-letters",
        "list",
        "--format",
        "json",
        "--limit",
        "1000",
    ];
    let listed = home.command(&[&usual[..], filter].concat()).await?.json()?;
    Ok(listed["letters"].as_array().context("no letters")?.clone())
}

async fn is_listed(home: &Home, refused: &[Sample]) -> Result<()> {
    let letters = list(home, &[]).await?;
    let mut ids: Vec<&str> = letters
        .iter()
        .filter_map(|one| one["id"].as_str())
        .collect();
    let mut wanted: Vec<&str> = refused.iter().map(|event| event.id.as_str()).collect();
    ids.sort_unstable();
    wanted.sort_unstable();
    ensure!(ids == wanted, "listed: {letters:?}");
    let right = |letter: &&Value| letter["route"] == "strict" && letter["attempts"] == 2;
    ensure!(
        letters.iter().filter(right).count() == refused.len(),
        "listed: {letters:?}"
    );
    Ok(())
}

async fn is_shown(home: &Home, event: &Sample) -> Result<()> {
    let letters = list(home, &[]).await?;
    let letter = letters
        .iter()
        .find(|letter| letter["id"] == event.id.as_str());
    let number = letter.context("it is not listed")?["number"].to_string();
    let shown = home
        .command(&["dead-letters", "show", &number])
        .await?
        .success()?
        .stdout;
    for word in [
        event.id.as_str(),
        event.user.as_str(),
        "LOGIN_ERROR",
        "strict",
    ] {
        ensure!(shown.contains(word), "no {word} in:\n{shown}");
    }
    Ok(())
}

async fn nothing_is_left(home: &Home) -> Result<()> {
    let left = list(home, &[]).await?;
    ensure!(left.is_empty(), "left: {left:?}");
    ensure!(home.dead_letters()?.is_empty(), "the files still have some");
    Ok(())
}

/// A replay comes after what it was given up among, so only the set is compared here.
/// Waits until so many replays have arrived, which are all of the one route.
async fn arrive_again(server: &Server, count: usize) -> Result<Vec<Arrival>> {
    let replays = server.wait_for_replays(count).await?;
    ensure!(
        named("strict", &replays).len() == replays.len(),
        "at another route"
    );
    Ok(replays)
}

/// A replay comes after later events of its user, so its order is not compared here.
async fn each_route_has_its_events(server: &Server, events: &[Sample]) -> Result<()> {
    let arrivals = server.arrivals().await?;
    let (strict, lax) = (named("strict", &arrivals), named("lax", &arrivals));
    check_each_once(&strict)?;
    ensure!(strict.len() == events.len(), "{} arrived", strict.len());
    exactly(&of_types(events, &["LOGIN"]), &lax)
}
