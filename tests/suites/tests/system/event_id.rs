//! What a receiver is told so that it can drop repeats: `destination.event-id=argument`.

use anyhow::{Context, Result, ensure};
use kete_suites::{
    Kete, Kind, Server, ServerPlan, check_delivery, check_each_once, from_stdin, generate,
    to_socketio,
};
use serde_json::json;

const ARGUMENT: &str = "destination.event-id=argument";

#[tokio::test]
async fn node_gets_the_event_as_ever_and_the_argument_behind_it() -> Result<()> {
    each_event_has_its_argument(ServerPlan::new(Kind::Node), &[ARGUMENT]).await
}

#[tokio::test]
async fn python_gets_the_event_as_ever_and_the_argument_behind_it() -> Result<()> {
    each_event_has_its_argument(ServerPlan::new(Kind::Python), &[ARGUMENT]).await
}

#[tokio::test]
async fn a_callback_comes_behind_the_argument() -> Result<()> {
    for kind in [Kind::Node, Kind::Python] {
        let server = ServerPlan::new(kind).with("ack", "after-write");
        each_event_has_its_argument(server, &[ARGUMENT, "destination.confirm=ack"]).await?;
    }
    Ok(())
}

async fn each_event_has_its_argument(server: ServerPlan, keys: &[&str]) -> Result<()> {
    let events = generate(161, 10, 300);
    let server = server.start().await?;
    let route = to_socketio("all", &server.url(), keys);
    let mut kete = Kete::run(&[from_stdin(), route]).await?;
    kete.feed_events(&events).await?;
    kete.finish().await?;
    let arrivals = server.arrivals().await?;
    check_delivery(&events, &arrivals)?;
    check_each_once(&arrivals)?;
    for arrival in &arrivals {
        let expected = json!({ "id": arrival.id(), "attempt": 1, "replay": false });
        ensure!(arrival.more == [expected], "{arrival:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_event_that_is_sent_again_says_so() -> Result<()> {
    let events = generate(162, 3, 20);
    let refused = &events[7].id;
    let server = Server::node()
        .with("ack", "refuse-matching")
        .with("refuse", refused)
        .start()
        .await?;
    let keys = [
        ARGUMENT,
        "destination.confirm=ack",
        "destination.ack.error-pointer=/error",
        "retry.max-attempts=1000",
        "retry.wait-duration=20ms",
    ];
    let mut kete = Kete::run(&[from_stdin(), to_socketio("all", &server.url(), &keys)]).await?;
    kete.feed_events(&events).await?;
    kete.wait_until("the event is offered again", |now| {
        now.sum("kete_retries_total", &[("route", "all")]) >= 3
    })
    .await?;
    server.set_mode(json!({ "ack": "after-write" })).await?;
    kete.finish().await?;
    let arrivals = server.arrivals().await?;
    let of = |id: &str| arrivals.iter().find(|arrival| arrival.id() == id);
    let again = of(refused).context("it did not arrive")?;
    let attempt = again.more[0]["attempt"].as_u64().context("no attempt")?;
    ensure!(attempt >= 4, "attempt {attempt}");
    for other in arrivals.iter().filter(|arrival| arrival.id() != refused) {
        ensure!(other.more[0]["attempt"] == 1, "{other:?}");
    }
    Ok(())
}
