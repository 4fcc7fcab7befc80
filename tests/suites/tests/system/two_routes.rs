//! Two routes, one of them to a server that is away: the other one gets its events, and at the
//! bound of the queue the route's own setting decides what happens.

use anyhow::{Result, bail, ensure};
use kete_suites::{
    Kete, Sample, Server, check_delivery, check_each_once, first_arrivals, from_stdin,
    from_webhook, generate, to_socketio, unused_port,
};

/// Room for some hundred events.
const SMALL_QUEUE: &str = "kete.queue.max-bytes=512KiB\n";

#[tokio::test]
async fn while_one_server_is_away_the_other_gets_everything_up_to_the_bound() -> Result<()> {
    let events = generate(41, 20, 10_000);
    let live = Server::node().start().await?;
    let away = unused_port()?;
    let kete = Kete::run(&[
        from_webhook(&["respond-when=queued"]),
        to_socketio("live", &live.url(), &[]),
        to_socketio("away", &format!("http://127.0.0.1:{away}"), &[]),
        SMALL_QUEUE.to_owned(),
    ])
    .await?;

    let accepted = post_until_refused(&kete, &events).await?;
    let all = accepted.len() as u64;
    kete.wait_until("the live server has all of it", |now| {
        now.forwarded("live") == all
    })
    .await?;
    check_delivery(accepted, &live.arrivals().await?)?;
    let metrics = kete.metrics().await?;
    ensure!(
        metrics.lag("away") == all,
        "{} wait for the server that is away",
        metrics.lag("away")
    );
    ensure!(
        metrics.lag("live") == 0,
        "{} wait for the live server",
        metrics.lag("live")
    );
    ensure!(
        metrics.dropped("away") + metrics.failed("away") == 0,
        "events were given up"
    );

    let back = Server::node().start_on(away).await?;
    kete.wait_until("both have all of it", |now| now.forwarded("away") == all)
        .await?;
    check_delivery(accepted, &back.arrivals().await?)?;
    let next = events[accepted.len()].json.clone();
    ensure!(
        kete.post(next).await?.is_success(),
        "there is room again, and it is refused"
    );
    Ok(())
}

#[tokio::test]
async fn a_route_that_drops_its_oldest_events_holds_up_nobody() -> Result<()> {
    let events = generate(42, 20, 5_000);
    let live = Server::node().start().await?;
    let away = unused_port()?;
    let mut kete = Kete::run(&[
        from_stdin(),
        to_socketio("live", &live.url(), &[]),
        to_socketio(
            "away",
            &format!("http://127.0.0.1:{away}"),
            &["queue.when-full=drop-oldest"],
        ),
        SMALL_QUEUE.to_owned(),
    ])
    .await?;

    kete.feed_events(&events).await?;
    let all = events.len() as u64;
    kete.wait_until("the live server has all of it", |now| {
        now.forwarded("live") == all
    })
    .await?;
    let metrics = kete.wait_until("all is counted", |now| {
        now.dropped("away") + now.lag("away") == all
    });
    ensure!(
        metrics.await?.dropped("away") > 0,
        "the queue was never full"
    );

    let back = Server::node().start_on(away).await?;
    let ended = kete.finish().await?;
    check_delivery(&events, &live.arrivals().await?)?;
    let arrivals = back.arrivals().await?;
    let survivors = first_arrivals(&arrivals).len();
    let dropped = usize::try_from(ended.summary()?.number("dropped"))?;
    ensure!(survivors > 0, "nothing survived");
    ensure!(
        dropped + survivors == events.len(),
        "{dropped} dropped, {survivors} arrived"
    );
    check_delivery(&events[dropped..], &arrivals)?;
    check_each_once(&arrivals)
}

/// Posts the events in small bodies until one is refused; returns those that were accepted.
async fn post_until_refused<'e>(kete: &Kete, events: &'e [Sample]) -> Result<&'e [Sample]> {
    let mut accepted = 0;
    for part in events.chunks(20) {
        let body: Vec<&str> = part.iter().map(|event| event.json.as_str()).collect();
        match kete.post(body.join("\n")).await?.as_u16() {
            200..300 => accepted += part.len(),
            503 => return Ok(&events[..accepted]),
            other => bail!("the webhook answers {other}"),
        }
    }
    bail!("nothing was refused")
}
