//! SIGTERM in the middle of everything: what was accepted is delivered, and what cannot be is
//! counted.

use std::future::pending;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use kete_suites::{
    Arrival, Kete, Sample, Server, arrived, check_delivery, from_stdin, from_webhook, generate,
    lines, to_socketio, unused_port,
};
use tokio::io::AsyncWriteExt;

/// Half of what a stop may take by default, and many times what this one is given.
const WELL_BEFORE_THE_USUAL_GRACE: Duration = Duration::from_secs(12);

/// How many post at once, and how many events each puts into a body.
const SENDERS: usize = 4;
const BODY: usize = 10;

#[tokio::test]
async fn what_a_webhook_accepted_before_sigterm_is_delivered() -> Result<()> {
    stop_while_posting("respond-when=queued").await
}

#[tokio::test]
async fn what_a_webhook_called_safe_around_sigterm_is_delivered() -> Result<()> {
    stop_while_posting("respond-when=safe").await
}

/// The server stands still until kete was told to stop, so that something is left to deliver.
async fn stop_while_posting(respond_when: &str) -> Result<()> {
    let events = generate(51, 40, 20_000);
    let mut server = Server::node().start().await?;
    let route = to_socketio("all", &server.url(), &[]);
    let mut kete = Kete::run(&[from_webhook(&[respond_when]), route]).await?;

    let warm_up = kete.post(events[0].json.clone()).await?;
    ensure!(
        warm_up.is_success(),
        "the first event is answered with {warm_up}"
    );
    server.freeze()?;
    let posts = (0..SENDERS).map(|sender| post_until_stopped(&kete, &events[1..], sender));
    let stop = async {
        let one_body_each = (SENDERS * BODY) as u64;
        kete.wait_until("events wait", |now| now.lag("all") >= one_body_each)
            .await?;
        kete.terminate()?;
        server.thaw()
    };
    let (posted, stopped) = tokio::join!(join_all(posts), stop);
    stopped?;
    let ended = kete.ended().await?;

    ensure!(ended.code == 0, "it ended with {}", ended.code);
    let mut accepted = vec![events[0].clone()];
    accepted.extend(posted.into_iter().flatten());
    let arrivals = server.arrivals().await?;
    let there = arrived(&arrivals);
    let missing = accepted
        .iter()
        .filter(|event| !there.contains(event.id.as_str()))
        .count();
    ensure!(
        missing == 0,
        "{missing} of {} accepted events did not arrive",
        accepted.len()
    );
    let order: Vec<Sample> = events
        .into_iter()
        .filter(|event| there.contains(event.id.as_str()))
        .collect();
    check_delivery(&order, &arrivals)
}

#[tokio::test]
async fn what_was_read_from_a_pipe_before_sigterm_is_delivered() -> Result<()> {
    let events = generate(52, 40, 100_000);
    let mut server = Server::node().start().await?;
    let route = to_socketio("all", &server.url(), &[]);
    let mut kete = Kete::run(&[from_stdin(), route]).await?;
    let mut stdin = kete.take_stdin()?;

    let feed = async {
        for part in events.chunks(100) {
            // Nobody reads any more.
            if stdin.write_all(&lines(part)).await.is_err() {
                break;
            }
        }
        pending::<()>().await;
    };
    let stop = async {
        kete.wait_until("something is delivered", |now| now.forwarded("all") > 0)
            .await?;
        server.freeze()?;
        kete.wait_until("events wait", |now| now.lag("all") > 100)
            .await?;
        kete.terminate()?;
        server.thaw()
    };
    tokio::select! {
        stopped = stop => stopped?,
        () = feed => {}
    }
    let ended = kete.ended().await?;

    ensure!(ended.code == 0, "it ended with {}", ended.code);
    let forwarded = usize::try_from(ended.summary()?.number("forwarded"))?;
    ensure!(
        ended.summary()?.number("undelivered") == 0,
        "{:?}",
        ended.summary()
    );
    ensure!(
        (100..events.len()).contains(&forwarded),
        "{forwarded} events were taken"
    );
    let arrivals: Vec<Arrival> = server.arrivals().await?;
    check_delivery(&events[..forwarded], &arrivals)
}

#[tokio::test]
async fn with_the_server_away_sigterm_ends_within_the_grace_and_counts_what_is_lost() -> Result<()>
{
    let events = generate(53, 20, 250);
    let nobody = format!("http://127.0.0.1:{}", unused_port()?);
    let grace = "kete.shutdown.grace=2s\n".to_owned();
    let mut kete = Kete::run(&[from_stdin(), to_socketio("all", &nobody, &[]), grace]).await?;

    kete.feed_events(&events).await?;
    kete.wait_until("all events wait", |now| now.lag("all") == 250)
        .await?;
    kete.terminate()?;
    let ended = kete.ended_within(WELL_BEFORE_THE_USUAL_GRACE).await?;

    ensure!(ended.code == 1, "it ended with {}", ended.code);
    ensure!(
        ended.summary()?.number("undelivered") == 250,
        "{:?}",
        ended.summary()
    );
    let lost = ended
        .log
        .iter()
        .find(|line| line.text("message").contains("undelivered"));
    ensure!(lost.is_some_and(|line| line.text("route") == "all" && line.number("events") == 250));
    Ok(())
}

/// Posts the events of this sender's users until kete takes no more; returns what was accepted.
/// Users are divided among the senders, for between two requests there is no order.
async fn post_until_stopped(kete: &Kete, events: &[Sample], sender: usize) -> Vec<Sample> {
    let of_user = |user: &str| user.bytes().map(usize::from).sum::<usize>() % SENDERS;
    let own: Vec<&Sample> = events
        .iter()
        .filter(|event| of_user(&event.user) == sender)
        .collect();
    let mut accepted = Vec::new();
    for part in own.chunks(BODY) {
        let body: Vec<&str> = part.iter().map(|event| event.json.as_str()).collect();
        match kete.post(body.join("\n")).await {
            Ok(status) if status.is_success() => {
                accepted.extend(part.iter().map(|event| (*event).clone()));
            }
            _ => break,
        }
    }
    accepted
}
