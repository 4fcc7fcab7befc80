//! How long a token is used.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::server::{Reply, Server, pass, text};

#[tokio::test]
async fn a_token_is_used_until_half_a_minute_before_its_end() {
    let server = Server::start().await;
    let source = server.source();
    let asked_at = Instant::now();
    let token = source.token().await.unwrap();
    let until = token.use_until() - Duration::from_secs(270);
    assert!((asked_at..=Instant::now()).contains(&until));
    server.answers(Reply::token("two", 300));
    pass(265).await;
    assert_eq!(text(&source).await, "one");
    pass(6).await;
    assert_eq!(text(&source).await, "two");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_short_token_is_used_for_half_its_life_and_an_unknown_life_is_an_hour() {
    let server = Server::start().await;
    server.answers(Reply::token("short", 20));
    let source = server.source();
    assert_eq!(text(&source).await, "short");
    let long = json!({"access_token": "long", "token_type": "bearer"});
    server.answers(Reply::json(200, &long));
    assert_eq!(text(&source).await, "short");
    pass(11).await;
    assert_eq!(text(&source).await, "long");
    let zero = json!({"access_token": "zero", "token_type": "bearer", "expires_in": 0});
    server.answers(Reply::json(200, &zero));
    pass(3500).await;
    assert_eq!(text(&source).await, "long");
    pass(71).await;
    assert_eq!(text(&source).await, "zero");
    pass(3500).await;
    assert_eq!(text(&source).await, "zero");
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_used_to_its_end_and_no_longer() {
    let server = Server::start().await;
    let source = server.source();
    let first = source.token().await.unwrap();
    server.answers(Reply::new(503, "text/plain", "later"));
    pass(280).await;
    let same = source.token().await.unwrap();
    assert_eq!(same.reveal(), "one");
    assert_eq!(
        same.use_until() - first.use_until(),
        Duration::from_secs(30),
        "nothing newer can be had, so it is used to its end"
    );
    assert_eq!(text(&source).await, "one");
    assert_eq!(server.count(), 2, "it was tried once, and is not hammered");
    pass(21).await;
    assert!(source.token().await.is_err());
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn a_life_that_no_clock_can_count_is_cut() {
    let server = Server::start().await;
    let huge = json!({"access_token": "a", "token_type": "Bearer", "expires_in": u64::MAX});
    server.answers(Reply::json(200, &huge));
    let token = server.source().token().await.unwrap();
    let days = (token.use_until() - Instant::now()).as_secs() / 86_400;
    assert_eq!(days, 364);
}
