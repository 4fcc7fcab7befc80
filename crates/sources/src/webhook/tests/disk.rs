//! The webhook in front of a durable queue, whose disk may be full.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::fixture::{Fixture, settings, start_on};
use super::{LOGIN, LOGOUT};
use crate::testing::durable::Durable;
use crate::testing::words::Words;
use crate::testing::{Collector, ROOMY};
use crate::webhook::Settings;
use crate::webhook::server::Bounds;

async fn start(queue: &Arc<Durable>) -> Fixture {
    let queue = Arc::clone(queue) as _;
    start_on(
        queue,
        settings(),
        Bounds::default(),
        Collector::confirming(),
    )
    .await
}

#[tokio::test]
async fn a_full_disk_sends_the_sender_away_and_only_the_log_says_why() {
    let words = Words::listen();
    let queue = Durable::new(ROOMY);
    let fixture = start(&queue).await;
    queue.set_unwritable(true);
    let reply = fixture.post(LOGIN).await;
    assert_eq!(reply.status, 503);
    assert!(reply.head.contains("retry-after: 2"), "{reply:?}");
    assert_eq!(
        reply.body,
        json!({ "error": "events cannot be stored at the moment" })
    );
    let said = words.with("intake stops until it can be written");
    assert!(
        said.len() == 1 && said[0].contains("no space left"),
        "{said:?}"
    );
    queue.set_unwritable(false);
    assert_eq!(
        fixture.post(LOGIN).await.status,
        200,
        "it is no repeat: it was not taken"
    );
    assert_eq!(fixture.pipeline.collected.ids(), ["1"]);
    assert!(fixture.stopped().await.is_success());
}

#[tokio::test]
async fn a_disk_that_hangs_does_not_keep_the_sender_waiting() {
    let queue = Durable::new(ROOMY);
    queue.hang();
    let hasty = Settings {
        respond_timeout: Duration::from_millis(20),
        ..settings()
    };
    let collected = Collector::confirming();
    let fixture = start_on(Arc::clone(&queue) as _, hasty, Bounds::default(), collected).await;
    let reply = fixture.post(LOGIN).await;
    assert_eq!(reply.status, 503);
    assert!(reply.head.contains("retry-after: 2"), "{reply:?}");
    let error = reply.body["error"].as_str().unwrap();
    assert!(error.contains("not taken in time"), "{error}");
    assert!(queue.entries().is_empty());
    assert!(fixture.stopped().await.is_success());
}

#[tokio::test]
async fn what_a_sender_repeats_after_a_restart_is_dropped() {
    let queue = Durable::new(ROOMY);
    let first = start(&queue).await;
    assert_eq!(first.post(LOGIN).await.status, 200);
    first.pipeline.killed().await;
    let second = start(&queue).await;
    let both = format!("{LOGIN}{LOGOUT}");
    assert_eq!(second.post(both).await.status, 200);
    assert_eq!(second.pipeline.collected.ids(), ["2"]);
    assert_eq!(second.pipeline.telemetry().repeated.get(), 1);
}
