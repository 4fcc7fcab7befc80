//! One bad event among good ones: it alone becomes a dead letter, and costs the others nothing.

use anyhow::{Context, Result, ensure};
use kete_suites::{
    Kete, Sample, Server, ServerPlan, check_delivery, check_each_once, from_stdin, generate,
    sample_with, sockets, to_socketio,
};
use serde_json::Value;

/// The user of the bad events; good ones of the same user come before and after.
const USER: u64 = 3;

#[tokio::test]
async fn an_event_larger_than_the_server_takes_is_given_up_alone() -> Result<()> {
    let good = generate(31, 20, 400);
    let large = sample_with(&"x".repeat(30_000), USER, 10_000, 10_000);
    let server = Server::node()
        .with("max-http-buffer-size", 20_000)
        .start()
        .await?;
    let route = to_socketio("all", &server.url(), &["destination.pool.max-total=1"]);
    let mut kete = Kete::run(&[from_stdin(), route]).await?;

    kete.feed_events(&around(&good, &large)).await?;
    kete.close_stdin();
    let ended = kete.ended().await?;

    ensure!(
        ended.code == 1,
        "a job with a dead letter ended with {}",
        ended.code
    );
    let arrivals = server.arrivals().await?;
    check_delivery(&good, &arrivals)?;
    check_each_once(&arrivals)?;
    ensure!(
        sockets(&arrivals).len() == 1,
        "the connection did not stay up"
    );
    let letter = only_dead_letter(&kete, &large)?;
    ensure!(letter["reason"] == "too_large", "{}", letter["reason"]);
    ensure!(
        !kete.log_text().contains("xxxxxxxx"),
        "the body is in the log"
    );
    Ok(())
}

/// Nobody checks the size here but the server, which closes the connection when it reads it.
#[tokio::test]
async fn with_barriers_an_event_that_ends_the_connection_each_time_is_given_up_alone() -> Result<()>
{
    let poison = sample_with(&"x".repeat(30_000), USER, 10_000, 10_000);
    let server = Server::node().with("max-http-buffer-size", 20_000);
    poison_is_given_up(poison, server, "destination.max-payload=off").await
}

/// The server's handler ends it, which a barrier would not tell: the event has been read.
#[tokio::test]
async fn with_acknowledgements_an_event_that_ends_the_connection_each_time_is_given_up_alone()
-> Result<()> {
    let poison = sample_with("this-ends-the-connection", USER, 10_000, 10_000);
    let server = Server::node()
        .with("ack", "after-write")
        .with("drop-on", "this-ends-the-connection");
    poison_is_given_up(poison, server, "destination.confirm=ack").await
}

async fn poison_is_given_up(poison: Sample, server: ServerPlan, key: &str) -> Result<()> {
    let good = generate(32, 20, 400);
    let server = server.start().await?;
    let keys = [
        key,
        "retry.max-attempts=2",
        "retry.wait-duration=100ms",
        "destination.pool.max-total=4",
    ];
    let mut kete = Kete::run(&[from_stdin(), to_socketio("all", &server.url(), &keys)]).await?;

    kete.feed_events(&around(&good, &poison)).await?;
    kete.close_stdin();
    let ended = kete.ended().await?;

    ensure!(
        ended.code == 1,
        "a job with a dead letter ended with {}",
        ended.code
    );
    check_delivery(&good, &server.arrivals().await?)?;
    let letter = only_dead_letter(&kete, &poison)?;
    ensure!(
        letter["reason"] == "connection_ended",
        "{}",
        letter["reason"]
    );
    ensure!(
        letter["attempts"] == 2,
        "it was offered {} times",
        letter["attempts"]
    );
    Ok(())
}

#[tokio::test]
async fn an_event_that_the_receiver_refuses_is_given_up_alone() -> Result<()> {
    let good = generate(33, 20, 400);
    let refused = sample_with("this-is-refused", USER, 10_000, 10_000);
    let plan = Server::node()
        .with("ack", "refuse-matching")
        .with("refuse", "this-is-refused");
    let server = plan.start().await?;
    let keys = [
        "retry.max-attempts=3",
        "retry.wait-duration=100ms",
        "destination.confirm=ack",
        "destination.ack.error-pointer=/error",
    ];
    let mut kete = Kete::run(&[from_stdin(), to_socketio("all", &server.url(), &keys)]).await?;

    kete.feed_events(&around(&good, &refused)).await?;
    kete.close_stdin();
    let ended = kete.ended().await?;

    ensure!(
        ended.code == 1,
        "a job with a dead letter ended with {}",
        ended.code
    );
    let arrivals = server.arrivals().await?;
    check_delivery(&good, &arrivals)?;
    check_each_once(&arrivals)?;
    let letter = only_dead_letter(&kete, &refused)?;
    ensure!(letter["reason"] == "refused", "{}", letter["reason"]);
    ensure!(
        letter["attempts"] == 3,
        "it was offered {} times",
        letter["attempts"]
    );
    ensure!(
        letter["detail"] == "refused by the test",
        "{}",
        letter["detail"]
    );
    Ok(())
}

/// The bad event in the middle of the good ones.
fn around(good: &[Sample], bad: &Sample) -> Vec<Sample> {
    let (before, after) = good.split_at(good.len() / 2);
    [before, std::slice::from_ref(bad), after].concat()
}

/// The only dead letter, which is that of this event, whole.
fn only_dead_letter(kete: &Kete, event: &Sample) -> Result<Value> {
    let letters = kete.dead_letters()?;
    ensure!(
        letters.len() == 1,
        "there are {} dead letters",
        letters.len()
    );
    let letter = letters.into_iter().next().context("no dead letter")?;
    ensure!(
        letter["eventId"] == event.id.as_str(),
        "of another event: {letter}"
    );
    ensure!(letter["event"] == event.value(), "not the event: {letter}");
    ensure!(letter["route"] == "all", "of another route: {letter}");
    Ok(letter)
}
