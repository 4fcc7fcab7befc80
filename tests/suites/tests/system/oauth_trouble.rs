//! Token servers in trouble: kete says what is wrong, in the server's own words, events wait, none
//! is given up, and all of them arrive when the token server is right again.

use anyhow::{Context, Result, ensure};
use kete_suites::{
    Answers, Kete, Server, TokenEndpoint, all_wait, check_delivery, from_stdin, generate, named,
};
use serde_json::json;

use crate::token_server::{CLIENT, CLIENT_SECRET, TokenServer, owned, route, with_secret};

const LONG: u32 = 300;
const SHORT: u32 = 5;

/// What a token endpoint answers, and what kete has to say of it.
const TROUBLES: &[(&str, Answers, &[&str])] = &[
    ("silent", Answers::Held, &["1s"]),
    (
        "bad-request",
        json_answer(
            400,
            r#"{"error":"invalid_scope","error_description":"no such scope: events"}"#,
        ),
        &["400", "invalid_scope", "no such scope: events"],
    ),
    (
        "unauthorized",
        json_answer(
            401,
            r#"{"error":"invalid_client","error_description":"who?"}"#,
        ),
        &["401", "invalid_client", "who?"],
    ),
    (
        "quoting",
        json_answer(
            401,
            r#"{"error":"invalid_client","error_description":"not events-secret-3f9c"}"#,
        ),
        &["invalid_client", "(hidden)"],
    ),
    (
        "broken",
        json_answer(500, r#"{"error":"unknown_error"}"#),
        &["500"],
    ),
    (
        "garbage",
        json_answer(200, "\u{1}\u{2}{]"),
        &["200", "token"],
    ),
    ("empty", json_answer(200, "{}"), &["200", "token"]),
    (
        "page",
        Answers::Fixed {
            status: 200,
            content_type: "text/html",
            body: "<html><h1>Log in first</h1></html>",
        },
        &["200", "token"],
    ),
    (
        "lost-page",
        Answers::Fixed {
            status: 404,
            content_type: "text/html",
            body: "<html><h1>Not found</h1></html>",
        },
        &["404"],
    ),
];

const fn json_answer(status: u16, body: &'static str) -> Answers {
    Answers::Fixed {
        status,
        content_type: "application/json",
        body,
    }
}

#[tokio::test]
async fn a_token_endpoint_in_trouble_is_named_and_events_wait() -> Result<()> {
    let events = generate(131, 5, 40);
    let tokens = TokenServer::start("troubles", LONG).await?;
    let server = tokens.verifier().start().await?;
    let mut configuration = vec![from_stdin()];
    let mut endpoints = Vec::new();
    for (name, answers, _) in TROUBLES {
        let endpoint = TokenEndpoint::before(&tokens.realm().token_url()).await?;
        endpoint.answer(*answers);
        let oauth = with_secret(&endpoint.url());
        let timeout = owned(&["oauth.timeout-seconds=1"]);
        configuration.push(route(name, &server.url(), &[oauth, timeout]));
        endpoints.push(endpoint);
    }
    let mut kete = Kete::run(&configuration).await?;
    kete.feed_events(&events).await?;
    for (name, _, words) in TROUBLES {
        kete.wait_for_complaint(name, words).await?;
        all_wait(&kete, name, events.len(), "").await?;
    }
    ensure!(server.arrivals().await?.is_empty(), "somebody was let in");
    ensure!(
        !kete.log_text().contains(CLIENT_SECRET),
        "a secret is in the log"
    );
    for endpoint in &endpoints {
        endpoint.answer(Answers::Real);
    }
    kete.finish().await?;

    let arrivals = server.arrivals().await?;
    for (name, _, _) in TROUBLES {
        check_delivery(&events, &named(name, &arrivals)).context(*name)?;
    }
    ensure!(kete.dead_letters()?.is_empty(), "an event was given up");
    Ok(())
}

#[tokio::test]
async fn a_token_endpoint_that_is_away_is_named_and_events_wait() -> Result<()> {
    let events = generate(132, 5, 40);
    let mut tokens = TokenServer::start("away", LONG).await?;
    let server = tokens.verifier().start().await?;
    tokens.endpoint.down().await;
    let mut kete = Kete::run(&tokens.configuration(&server.url(), &[])).await?;
    kete.feed_events(&events).await?;
    kete.wait_for_complaint("all", &[&tokens.endpoint.url(), "refused"])
        .await?;
    all_wait(&kete, "all", events.len(), "").await?;
    tokens.endpoint.up().await?;
    kete.finish().await?;
    check_delivery(&events, &server.arrivals().await?)
}

/// Many connections want a token while the endpoint takes its time: it is asked once.
#[tokio::test]
async fn a_slow_token_endpoint_is_asked_once_for_all_connections() -> Result<()> {
    let events = generate(133, 200, 6_000);
    let tokens = TokenServer::start("slow", LONG).await?;
    let server = tokens.verifier().start().await?;
    tokens.endpoint.answer(Answers::Held);
    let keys = ["pool.max-total=4", "max-in-flight=64", "pool.min-idle=4"];
    let mut kete = Kete::run(&tokens.configuration(&server.url(), &keys)).await?;
    let feed = kete.feed_events(&events);
    let release = async {
        tokens.endpoint.asked(1).await?;
        tokens.endpoint.answer(Answers::Real);
        anyhow::Ok(())
    };
    let (fed, released) = tokio::join!(feed, release);
    fed.and(released)?;
    kete.finish().await?;

    check_delivery(&events, &server.arrivals().await?)?;
    let requests = tokens.endpoint.requests().len();
    ensure!(requests == 1, "there were {requests} requests for a token");
    Ok(())
}

/// Keycloak itself refuses a client that is switched off, at the start and while events flow.
#[tokio::test]
async fn a_client_that_is_disabled_is_named_and_goes_on_when_it_is_enabled() -> Result<()> {
    let events = generate(134, 5, 3_000);
    let tokens = TokenServer::start("disabled", SHORT).await?;
    let plan = tokens.verifier().with("jwt-expired", "disconnect");
    let server = plan.start().await?;
    let switch = async |enabled: bool| {
        let change = json!({ "enabled": enabled });
        tokens.realm().change_client(CLIENT, change).await
    };
    switch(false).await?;
    let mut kete = Kete::run(&tokens.configuration(&server.url(), &[])).await?;
    kete.feed_events(&events[..30]).await?;
    kete.wait_for_complaint("all", &["401", "invalid_client"])
        .await?;
    all_wait(&kete, "all", 30, "").await?;
    switch(true).await?;
    delivered(&kete, 30).await?;

    // A connection ends with its token, and the next one is not given out.
    switch(false).await?;
    let (before, mut fed) = (complaints(&kete), 30);
    while complaints(&kete) == before {
        let next = events.get(fed..=fed).context("the events are used up")?;
        kete.feed_events(next).await?;
        fed += 1;
        kete.wait_until("it is delivered, or refused", |now| {
            now.forwarded("all") == fed as u64 || complaints(&kete) > before
        })
        .await?;
    }
    switch(true).await?;
    kete.finish().await?;
    check_delivery(&events[..fed], &server.arrivals().await?)?;
    ensure!(kete.dead_letters()?.is_empty(), "an event was given up");
    Ok(())
}

#[tokio::test]
async fn a_token_of_a_key_that_was_rotated_away_is_replaced_at_once() -> Result<()> {
    for (check, realm) in [("connect-error", "rotated-1"), ("401", "rotated-2")] {
        let events = generate(135, 5, 80);
        let tokens = TokenServer::start(realm, LONG).await?;
        let plan = || tokens.verifier().with("token-check", check);
        let mut server: Server = plan().start().await?;
        let mut kete = Kete::run(&tokens.configuration(&server.url(), &[])).await?;
        kete.feed_events(&events[..40]).await?;
        delivered(&kete, 40).await?;

        let old = tokens.realm().key_names().await?;
        tokens.realm().rotate_keys().await?;
        let new = tokens.realm().key_names().await?;
        ensure!(!new.iter().any(|name| old.contains(name)), "{new:?}");
        // It has forgotten the keys that are gone.
        server.become_another(plan()).await?;
        kete.feed_events(&events[40..]).await?;
        kete.finish().await?;

        check_delivery(&events, &server.arrivals().await?)?;
        let refused = server.counted("refusedTokens").await?;
        ensure!(refused == 1, "{refused} tokens were refused");
        let requests = tokens.endpoint.requests().len();
        ensure!(requests == 2, "there were {requests} requests for a token");
    }
    Ok(())
}

async fn delivered(kete: &Kete, count: u64) -> Result<()> {
    kete.wait_until("they are delivered", |now| now.forwarded("all") == count)
        .await?;
    Ok(())
}

/// How often kete has said that the client is refused.
fn complaints(kete: &Kete) -> usize {
    let log = kete.log();
    let refused = log
        .iter()
        .filter(|line| line.text("error").contains("invalid_client"));
    refused.count()
}
