//! Servers with which nothing can be delivered: kete says which of all reasons it is, the events
//! wait, none is given up, and when the server is right, on the same port, everything arrives.

use anyhow::{Result, ensure};
use kete_suites::{
    Fake, Kete, Kind, Sample, Server, ServerPlan, check_delivery, from_stdin, generate,
    to_socketio, unused_port,
};
use serde_json::json;

#[tokio::test]
async fn a_refused_namespace_is_named_and_events_wait() -> Result<()> {
    let mut server = Server::node().start().await?;
    let mut waiting = Waiting::start(&server.url(), &["destination.namespace=/private"]).await?;
    waiting
        .complains(
            &["refused the namespace /private", "Invalid namespace"],
            "rejected",
        )
        .await?;
    server
        .become_another(Server::node().with("namespaces", "/,/private"))
        .await?;
    let arrivals = waiting.arrive_at(&server).await?;
    ensure!(
        arrivals
            .iter()
            .all(|arrival| arrival.namespace == "/private"),
        "another namespace"
    );
    Ok(())
}

#[tokio::test]
async fn credentials_refused_over_http_are_named_and_events_wait() -> Result<()> {
    let plan = Server::node()
        .with("token", "right")
        .with("token-check", "401");
    let server = plan.start().await?;
    let keys = ["destination.headers.Authorization=Bearer wrong-and-secret"];
    let mut waiting = Waiting::start(&server.url(), &keys).await?;
    let words = [
        "HTTP 401",
        "credentials",
        "headers.Authorization",
        "the token is missing or wrong",
    ];
    waiting.complains(&words, "unauthorized").await?;
    ensure!(
        !waiting.kete.log_text().contains("wrong-and-secret"),
        "a secret is in the log"
    );
    server
        .set_mode(json!({ "token": "wrong-and-secret" }))
        .await?;
    waiting.arrive_at(&server).await?;
    Ok(())
}

#[tokio::test]
async fn credentials_refused_by_the_namespace_are_named_and_events_wait() -> Result<()> {
    let server = Server::node().with("token", "right").start().await?;
    let keys = ["destination.auth.token=wrong-and-secret"];
    let mut waiting = Waiting::start(&server.url(), &keys).await?;
    waiting
        .complains(
            &["refused the namespace /", "unauthorized", "auth.<KEY>"],
            "unauthorized",
        )
        .await?;
    ensure!(
        !waiting.kete.log_text().contains("wrong-and-secret"),
        "a secret is in the log"
    );
    server
        .set_mode(json!({ "token": "wrong-and-secret" }))
        .await?;
    waiting.arrive_at(&server).await?;
    Ok(())
}

#[tokio::test]
async fn a_path_where_there_is_nothing_is_named_and_events_wait() -> Result<()> {
    let mut server = ServerPlan::new(Kind::Python)
        .with("path", "/elsewhere/")
        .start()
        .await?;
    let mut waiting = Waiting::start(&server.url(), &[]).await?;
    waiting
        .complains(
            &["HTTP 404", "nothing speaks Socket.IO at this path"],
            "rejected",
        )
        .await?;
    server.become_another(ServerPlan::new(Kind::Python)).await?;
    waiting.arrive_at(&server).await?;
    Ok(())
}

/// Node closes such a connection without a word.
#[tokio::test]
async fn a_path_that_nobody_answers_is_named_and_events_wait() -> Result<()> {
    let mut server = Server::node().with("path", "/elsewhere/").start().await?;
    let mut waiting = Waiting::start(&server.url(), &[]).await?;
    let words = [
        "the connection ended while waiting for the answer to the WebSocket upgrade",
        "path",
    ];
    waiting.complains(&words, "unreachable").await?;
    server.become_another(Server::node()).await?;
    waiting.arrive_at(&server).await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_no_socket_io_server_is_named_and_events_wait() -> Result<()> {
    let page = Fake::web_page().await?;
    let port = page.port();
    let mut waiting = Waiting::start(&page.url(), &[]).await?;
    waiting
        .complains(
            &["HTTP 200", "not like a Socket.IO server", "It works"],
            "protocol",
        )
        .await?;
    page.stop().await;
    let server = Server::node().start_on(port).await?;
    waiting.arrive_at(&server).await?;
    Ok(())
}

#[tokio::test]
async fn a_refused_connection_is_named_and_events_wait() -> Result<()> {
    let port = unused_port()?;
    let mut waiting = Waiting::start(&format!("http://127.0.0.1:{port}"), &[]).await?;
    let words = [
        "cannot connect to 127.0.0.1",
        "refused",
        "check the host and port",
    ];
    waiting.complains(&words, "unreachable").await?;
    let server = Server::node().start_on(port).await?;
    waiting.arrive_at(&server).await?;
    Ok(())
}

#[tokio::test]
async fn a_silent_server_is_named_and_events_wait() -> Result<()> {
    let silent = Fake::silent().await?;
    let port = silent.port();
    let mut waiting = Waiting::start(&silent.url(), &["destination.timeout-seconds=1"]).await?;
    let words = [
        "no connection within 1s",
        "waiting for the answer to the WebSocket upgrade",
    ];
    waiting.complains(&words, "timeout").await?;
    silent.stop().await;
    let server = Server::node().start_on(port).await?;
    waiting.arrive_at(&server).await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_never_acknowledges_is_named_and_events_wait() -> Result<()> {
    let mut server = Server::node().with("ack", "never").start().await?;
    let keys = [
        "destination.confirm=ack",
        "destination.confirm.timeout=500ms",
    ];
    let mut waiting = Waiting::start(&server.url(), &keys).await?;
    let words = [
        "confirmed nothing for 500ms",
        "destination.confirm.timeout",
        "confirm=ack",
    ];
    waiting.complains(&words, "no_confirmation").await?;
    // More losses than an event has attempts, for this must not cost any.
    let often = |now: &kete_suites::Metrics| now.connect_failures("all", "no_confirmation") > 8;
    waiting
        .kete
        .wait_until("it tries again and again", often)
        .await?;
    server
        .become_another(Server::node().with("ack", "after-write"))
        .await?;
    waiting.arrive_at(&server).await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_answers_no_barrier_is_named_and_events_wait() -> Result<()> {
    let mut server = Server::node().with("ack", "never").start().await?;
    let mut waiting = Waiting::start(&server.url(), &[]).await?;
    let words = [
        "answered no barrier",
        "confirm=ack",
        "engine-ping",
        "confirm=written",
    ];
    waiting.complains(&words, "no_confirmation").await?;
    ensure!(
        server.arrivals().await?.is_empty(),
        "events were sent that nobody could confirm"
    );
    server.become_another(Server::node()).await?;
    waiting.arrive_at(&server).await?;
    Ok(())
}

/// A kete with events for a server that takes none.
struct Waiting {
    kete: Kete,
    events: Vec<Sample>,
}

impl Waiting {
    async fn start(url: &str, keys: &[&str]) -> Result<Waiting> {
        let events = generate(9, 20, 300);
        let mut kete = Kete::run(&[from_stdin(), to_socketio("all", url, keys)]).await?;
        kete.feed_events(&events).await?;
        Ok(Waiting { kete, events })
    }

    /// It says what is wrong, also as a label of a metric, while every event waits.
    async fn complains(&self, words: &[&str], kind: &str) -> Result<()> {
        self.kete.wait_for_complaint("all", words).await?;
        let holds = |now: &kete_suites::Metrics| {
            now.connect_failures("all", kind) > 0 && now.lag("all") == self.events.len() as u64
        };
        let metrics = self
            .kete
            .wait_until(&format!("{kind}, and all events wait"), holds)
            .await?;
        ensure!(metrics.failed("all") == 0, "events were given up");
        Ok(())
    }

    /// Everything arrives, and nothing was given up on the way.
    async fn arrive_at(&mut self, server: &Server) -> Result<Vec<kete_suites::Arrival>> {
        let ended = self.kete.finish().await?;
        let forwarded = ended.summary()?.number("forwarded");
        ensure!(
            forwarded == self.events.len() as u64,
            "{forwarded} were forwarded"
        );
        ensure!(
            self.kete.dead_letters()?.is_empty(),
            "an event was given up"
        );
        let arrivals = server.arrivals().await?;
        check_delivery(&self.events, &arrivals)?;
        Ok(arrivals)
    }
}
