//! Standard input with the queue on disk: what kete has read and made safe outlives it. It cannot
//! say how far that is, so whoever feeds it begins again with the same file, and repeats follow.

use anyhow::{Result, ensure};
use kete_suites::{
    Home, Random, Sample, Server, arrived, check_delivery, exactly, from_stdin, full, generate,
    lines, route_named, unused_port,
};
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::task::JoinHandle;

const USERS: u64 = 40;

#[tokio::test]
async fn a_file_fed_again_after_each_kill_arrives_whole_and_in_order() -> Result<()> {
    let rounds = if full() { 40 } else { 5 };
    let (seed, events) = (151, generate(151, USERS, 6_000));
    eprintln!("{rounds} rounds with seed {seed}");
    let home = Home::new()?;
    let server = Server::node().start().await?;
    let configuration = [from_stdin(), route_named("all", server.port(), &[])];
    let mut random = Random::new(seed);
    for _ in 0..rounds {
        let mut kete = home.run(&configuration).await?;
        let feeding = feed(kete.take_stdin()?, &events);
        let enough = random.below(events.len() as u64);
        kete.wait_until("some of it is taken", |now| now.taken() >= enough)
            .await?;
        kete.kill().await?;
        feeding.await?;
    }
    let mut kete = home.run(&configuration).await?;
    kete.feed_events(&events).await?;
    kete.finish().await?;
    check_delivery(&events, &server.arrivals().await?)?;
    ensure!(home.dead_letters()?.is_empty(), "an event was given up");
    Ok(())
}

/// A pipe that begins anew each time, as a log shipper's: what was taken need not come again.
#[tokio::test]
async fn what_was_taken_from_a_pipe_outlives_a_kill() -> Result<()> {
    let events = generate(152, USERS, 2_000);
    let (first, second) = events.split_at(1_200);
    let home = Home::new()?;
    let port = unused_port()?;
    let configuration = [from_stdin(), route_named("all", port, &[])];
    let mut kete = home.run(&configuration).await?;
    kete.feed_events(first).await?;
    kete.wait_until("all of it is safe", |now| {
        now.lag("all") == first.len() as u64
    })
    .await?;
    kete.kill().await?;

    let server = Server::node().start_on(port).await?;
    let mut kete = home.run(&configuration).await?;
    kete.feed_events(second).await?;
    kete.finish().await?;
    exactly(&events, &server.arrivals().await?)
}

#[tokio::test]
async fn what_was_read_from_a_pipe_before_a_stop_is_delivered_after_it() -> Result<()> {
    let events = generate(153, USERS, 20_000);
    let home = Home::new()?;
    let port = unused_port()?;
    let configuration = [from_stdin(), route_named("all", port, &[])];
    let mut kete = home.run(&configuration).await?;
    let feeding = feed(kete.take_stdin()?, &events);
    kete.wait_until("some of it is taken", |now| now.taken() > 500)
        .await?;
    kete.stop().await?;
    feeding.await?;

    let server = Server::node().start_on(port).await?;
    let mut kete = home.run(&configuration).await?;
    let waited = kete.metrics().await?.lag("all");
    kete.finish().await?;
    let arrivals = server.arrivals().await?;
    let count = arrived(&arrivals).len();
    ensure!(count as u64 == waited, "{waited} waited, {count} arrived");
    ensure!(count > 500, "{count} arrived");
    exactly(&events[..count], &arrivals)
}

/// Feeds all of it, as far as somebody reads.
fn feed(mut stdin: ChildStdin, events: &[Sample]) -> JoinHandle<()> {
    let text = lines(events);
    tokio::spawn(async move {
        // A pipe that breaks in the middle is what these tests are about.
        let _broken = stdin.write_all(&text).await;
    })
}
