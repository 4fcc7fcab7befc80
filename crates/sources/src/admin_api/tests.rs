//! Polling against a fake Keycloak over HTTP.

mod fake;
mod on_disk;
mod restarts;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kete_queue::Limits;
use kete_routes::RouteRules;
use serde_json::{Value, json};

use self::fake::{Fake, Instead};
use super::start_from::StartFrom;
use super::*;
use crate::testing::{Collector, Pipeline, ROOMY, polling_client};

fn settings(fake: &Fake) -> Settings {
    Settings {
        client: polling_client(&format!("http://{}/auth", fake.address)),
        realms: vec!["shop".to_owned()],
        poll_interval: Duration::from_millis(5),
        page_size: 4,
        largest_answer: 32 << 20,
        overlap: 30_000,
        start_from: StartFrom::Earliest,
        ignore_own_client: true,
        user_events: true,
        admin_events: false,
    }
}

fn start(settings: Settings) -> Pipeline {
    Pipeline::start(AdminSource::new(settings).unwrap(), false)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn login(id: impl ToString, time: i64) -> Value {
    json!({
        "id": id.to_string(), "time": time, "type": "LOGIN", "realmId": "realm-id",
        "clientId": "app", "userId": "ann", "details": { "username": "ann" },
    })
}

fn logins(ids: std::ops::Range<i64>, first: i64, step: i64) -> Vec<Value> {
    ids.map(|id| login(id, first + id * step)).collect()
}

async fn sorted_ids(collected: &Collector, count: usize) -> Vec<i64> {
    collected.events(count).await;
    let mut ids: Vec<i64> = collected
        .ids()
        .iter()
        .map(|id| id.parse().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn user_and_admin_events_arrive_with_the_name_of_their_realm() {
    let fake = Fake::start().await;
    fake.commit([login(1, now())]);
    fake.commit([json!({ "id": "2", "time": now(), "type": "BRAND_NEW", "realmId": "realm-id" })]);
    fake.commit_admin([json!({
        "id": "3", "time": now(), "realmId": "realm-id", "operationType": "PONDER",
        "resourceType": "GADGET", "resourcePath": "users/77",
        "authDetails": { "realmId": "realm-id", "userId": "root" },
        "representation": "{\"username\":\"bob\",\"credentials\":[{\"value\":\"hunter2",
    })]);
    let pipeline = start(Settings {
        admin_events: true,
        ..settings(&fake)
    });
    let mut events = pipeline.collected.events(3).await;
    events.sort_by_key(|event| event["id"].as_str().unwrap().to_owned());
    assert!(
        events.iter().all(|event| event["realmName"] == "shop"),
        "{events:?}"
    );
    assert_eq!(events[1]["type"], "BRAND_NEW");
    assert_eq!(events[2]["resourceTypeAsString"], "GADGET");
    assert_eq!(events[2]["authDetails"]["realmName"], "shop");
    assert!(
        !events[2].to_string().contains("hunter2"),
        "a cut representation hides nothing"
    );
    assert_eq!(pipeline.telemetry().bad.get(), 0);
    assert!(pipeline.stopped().await.is_success());
}

#[tokio::test]
async fn every_page_is_read_and_nothing_comes_twice() {
    let fake = Fake::start().await;
    fake.commit(logins(0..10, now() - 5_000, 100));
    // Two and a half pages within one millisecond.
    fake.commit(logins(10..20, now() - 1_000, 0));
    let pipeline = start(settings(&fake));
    assert_eq!(
        sorted_ids(&pipeline.collected, 20).await,
        (0..20).collect::<Vec<_>>()
    );
    fake.asked_again(20).await;
    fake.commit([login(20, now())]);
    assert_eq!(
        sorted_ids(&pipeline.collected, 21).await,
        (0..21).collect::<Vec<_>>()
    );
    assert!(
        fake.requests()
            .iter()
            .any(|request| !request.contains("first=0"))
    );
    assert_eq!(fake.tokens(), 1);
}

#[tokio::test]
async fn a_row_that_appears_late_is_found_within_the_overlap() {
    let fake = Fake::start().await;
    fake.commit([login(1, now())]);
    let pipeline = start(Settings {
        start_from: StartFrom::Now,
        ..settings(&fake)
    });
    pipeline.collected.events(1).await;
    fake.commit([login(2, now() - 20_000), login(3, now() + 3_600_000)]);
    pipeline.collected.events(3).await;
    fake.commit([login(4, now() - 10_000)]);
    assert_eq!(sorted_ids(&pipeline.collected, 4).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn polling_begins_where_it_is_told() {
    let fake = Fake::start().await;
    let start_of_test = now();
    fake.commit([
        login(1, start_of_test - 60_000),
        login(2, start_of_test - 50),
    ]);
    let at = StartFrom::At(start_of_test - 100);
    let pipeline = start(Settings {
        start_from: at,
        ..settings(&fake)
    });
    assert_eq!(sorted_ids(&pipeline.collected, 1).await, [2]);
    let pipeline = start(Settings {
        start_from: StartFrom::Now,
        ..settings(&fake)
    });
    assert_eq!(sorted_ids(&pipeline.collected, 1).await, [2]);
    let pipeline = start(settings(&fake));
    assert_eq!(sorted_ids(&pipeline.collected, 2).await, [1, 2]);
}

#[tokio::test]
async fn a_store_that_is_emptied_does_not_end_polling() {
    let fake = Fake::start().await;
    fake.commit(logins(0..6, now() - 1_000, 10));
    let pipeline = start(settings(&fake));
    pipeline.collected.events(6).await;
    fake.clear();
    fake.asked_again(2).await;
    fake.commit([login(6, now())]);
    assert_eq!(
        sorted_ids(&pipeline.collected, 7).await,
        (0..7).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_token_that_is_refused_in_the_middle_is_replaced() {
    let fake = Fake::start().await;
    fake.commit(logins(0..10, now() - 5_000, 100));
    fake.instead([Instead::Revoke]);
    let pipeline = start(settings(&fake));
    pipeline.collected.events(10).await;
    fake.instead([Instead::Revoke]);
    fake.asked_again(6).await;
    fake.commit([login(10, now())]);
    assert_eq!(
        sorted_ids(&pipeline.collected, 11).await,
        (0..11).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn trouble_passes_and_loses_nothing() {
    let fake = Fake::start().await;
    fake.commit(logins(0..10, now() - 5_000, 100));
    let burst = [
        Instead::Status(503),
        Instead::Status(500),
        Instead::Status(429),
    ];
    fake.instead(burst);
    let pipeline = start(settings(&fake));
    pipeline.collected.events(10).await;
    for trouble in [Instead::CutOff, Instead::Html, Instead::Status(502)] {
        fake.instead([trouble]);
        fake.asked_again(3).await;
    }
    fake.commit([login(10, now())]);
    assert_eq!(
        sorted_ids(&pipeline.collected, 11).await,
        (0..11).collect::<Vec<_>>()
    );
    assert_eq!(pipeline.telemetry().bad.get(), 0);
}

#[tokio::test]
async fn without_a_token_polling_waits_for_one() {
    let fake = Fake::start().await;
    fake.fail_tokens(1);
    fake.commit([login(1, now())]);
    let pipeline = start(settings(&fake));
    assert_eq!(sorted_ids(&pipeline.collected, 1).await, [1]);
}

#[tokio::test]
async fn what_is_forbidden_does_not_hold_up_the_rest() {
    let fake = Fake::start().await;
    fake.forbid_admin_events();
    fake.commit([login(1, now())]);
    let realms = vec!["gone".to_owned(), "shop".to_owned()];
    let pipeline = start(Settings {
        admin_events: true,
        realms,
        ..settings(&fake)
    });
    assert_eq!(sorted_ids(&pipeline.collected, 1).await, [1]);
    fake.asked_again(5).await;
    assert!(pipeline.stopped().await.is_success());
    let missing = fake
        .requests()
        .iter()
        .filter(|request| request.contains("/gone/"))
        .count();
    assert!(
        missing <= 2,
        "once for each kind, and not again for a long while: {missing}"
    );
}

#[tokio::test]
async fn events_without_ids_are_refused_as_a_whole() {
    let fake = Fake::start().await;
    let old = json!({ "time": now(), "type": "LOGIN", "realmId": "realm-id" });
    fake.commit([login(1, now()), old]);
    let pipeline = start(settings(&fake));
    while fake.requests().len() < 2 {
        tokio::task::yield_now().await;
    }
    let collected = pipeline.collected.clone();
    assert!(pipeline.stopped().await.is_success());
    assert_eq!(collected.so_far().len(), 0);
}

#[tokio::test]
async fn a_row_that_is_no_event_is_left_out_and_counted() {
    let fake = Fake::start().await;
    fake.commit([json!({ "id": "1", "time": now() }), login(2, now())]);
    let pipeline = start(settings(&fake));
    assert_eq!(sorted_ids(&pipeline.collected, 1).await, [2]);
    fake.asked_again(3).await;
    assert_eq!(
        pipeline.telemetry().bad.get(),
        1,
        "once, however often the row is read"
    );
}

#[tokio::test]
async fn logins_that_polling_causes_are_left_out_unless_they_fail() {
    let own = |id: i64, kind: &str, error: Option<&str>| {
        json!({
            "id": id.to_string(), "time": now() + id, "type": kind, "realmId": "realm-id",
            "clientId": "kete", "error": error,
        })
    };
    let events = [
        own(1, "CLIENT_LOGIN", None),
        own(2, "CLIENT_LOGIN_ERROR", Some("invalid_client_credentials")),
        own(3, "CLIENT_LOGIN", Some("odd")),
        own(4, "LOGIN", None),
        login(5, now()),
    ];
    let fake = Fake::start().await;
    fake.commit(events.clone());
    let pipeline = start(settings(&fake));
    assert_eq!(sorted_ids(&pipeline.collected, 4).await, [2, 3, 4, 5]);
    let all = start(Settings {
        ignore_own_client: false,
        ..settings(&fake)
    });
    assert_eq!(sorted_ids(&all.collected, 5).await, [1, 2, 3, 4, 5]);
    // A client of the same name in a realm that it does not log in to is somebody else.
    let mut elsewhere = settings(&fake);
    elsewhere.client.auth_realm = Some("master".to_owned());
    let elsewhere = start(elsewhere);
    assert_eq!(sorted_ids(&elsewhere.collected, 5).await, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn polling_pauses_while_there_is_no_room() {
    let fake = Fake::start().await;
    fake.commit(logins(0..40, now() - 5_000, 10));
    let limits = Limits {
        max_events: 8,
        ..ROOMY
    };
    let collected = Collector::holding();
    let source = AdminSource::new(settings(&fake)).unwrap();
    let rules = RouteRules::default();
    let pipeline = Pipeline::with(source, false, limits, collected.clone(), rules);
    // Four rows of the first page, and three new ones of the second, which begins with the last.
    collected.events(7).await;
    // The server's time, two pages that fit, and at most one that waits for room.
    assert!(fake.requests().len() <= 4, "{:?}", fake.requests());
    collected.release();
    assert_eq!(
        sorted_ids(&pipeline.collected, 40).await,
        (0..40).collect::<Vec<_>>()
    );
}

/// A login that takes so many bytes more than others.
fn large_login(id: i64, time: i64, bytes: usize) -> Value {
    let mut event = login(id, time);
    event["details"]["padding"] = "x".repeat(bytes).into();
    event
}

#[tokio::test]
async fn a_page_that_is_too_large_is_read_in_parts() {
    let fake = Fake::start().await;
    let first = now() - 5_000;
    // Any two of them are too large, four within one millisecond.
    fake.commit((0..6).map(|id| large_login(id, first + id.max(3) * 10, 6_000)));
    fake.commit(logins(6..30, first + 1_000, 10));
    let pipeline = start(Settings {
        largest_answer: 10_000,
        ..settings(&fake)
    });
    assert_eq!(
        sorted_ids(&pipeline.collected, 30).await,
        (0..30).collect::<Vec<_>>()
    );
    let requests = fake.requests();
    // The very first request asks for the server's time.
    let mut asked = requests.iter().skip(1);
    assert!(
        asked.any(|request| request.ends_with("max=1")),
        "{requests:?}"
    );
    let grown = asked.any(|request| request.ends_with("max=4"));
    assert!(grown, "it grows back: {requests:?}");
    assert_eq!(pipeline.telemetry().bad.get(), 0);
}

#[tokio::test]
async fn an_event_that_is_too_large_holds_up_its_own_kind_only() {
    let fake = Fake::start().await;
    let first = now() - 5_000;
    fake.commit([login(1, first), login(2, first + 10)]);
    fake.commit([large_login(3, first + 20, 20_000), login(4, first + 30)]);
    let pipeline = start(Settings {
        largest_answer: 10_000,
        admin_events: true,
        ..settings(&fake)
    });
    assert_eq!(sorted_ids(&pipeline.collected, 2).await, [1, 2]);
    let alone = format!("dateFrom={}&direction=asc&first=1&max=1", first + 10);
    let asked_alone = || {
        let requests = fake.requests();
        requests
            .iter()
            .filter(|request| request.ends_with(&alone))
            .count()
    };
    while asked_alone() == 0 {
        fake.asked_again(1).await;
    }
    fake.asked_again(20).await;
    fake.commit_admin([json!({
        "id": "5", "time": now(), "realmId": "realm-id", "operationType": "UPDATE",
        "resourceType": "USER", "resourcePath": "users/77",
    })]);
    assert_eq!(sorted_ids(&pipeline.collected, 3).await, [1, 2, 5]);
    assert_eq!(asked_alone(), 1, "it is tried again slowly");
    assert!(pipeline.stopped().await.is_success());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_keycloak() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fake = Fake::start().await;
    let mut settings = settings(&fake);
    settings.client = polling_client(&format!("http://{}", silent.local_addr().unwrap()));
    let pipeline = start(settings);
    let (_connection, _peer) = silent.accept().await.unwrap();
    assert!(pipeline.stopped().await.is_success());
}
