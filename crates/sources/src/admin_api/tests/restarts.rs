//! Restarts with a durable queue: polling goes on where it stopped.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use kete_queue::{Batch, Queue, SourceState};
use kete_routes::RouteRules;
use serde_json::{Value, json};

use super::fake::Fake;
use super::{login, logins, now, settings};
use crate::admin_api::AdminSource;
use crate::admin_api::settings::Settings;
use crate::admin_api::start_from::StartFrom;
use crate::testing::durable::Durable;
use crate::testing::words::Words;
use crate::testing::{Collector, Pipeline, ROOMY};

const POSITION: &str = "test/position/user/shop";
const SEEN: &str = "test/seen/user/shop";

fn run(settings: Settings, queue: &Arc<Durable>) -> Pipeline {
    let source = AdminSource::new(settings).unwrap();
    let collected = Collector::confirming();
    Pipeline::on(
        Arc::clone(queue) as _,
        source,
        false,
        collected,
        RouteRules::default(),
    )
}

fn from(start_from: StartFrom, fake: &Fake) -> Settings {
    Settings {
        start_from,
        ..settings(fake)
    }
}

/// Every event that was ever taken, in order.
fn taken(queue: &Durable) -> Vec<i64> {
    let entries = queue.entries().into_iter();
    entries
        .flat_map(|entry| entry.ids)
        .map(|id| id.parse().unwrap())
        .collect()
}

/// What is remembered under this name.
async fn remembered(queue: &Durable, name: &str) -> Option<Value> {
    let state = queue.source_state(name).await?;
    Some(serde_json::from_slice(&state).unwrap())
}

async fn position(queue: &Durable) -> i64 {
    let saved = remembered(queue, POSITION).await.unwrap();
    saved["position"].as_i64().unwrap()
}

async fn remember(queue: &Durable, name: &str, state: Value) {
    let batch = Batch {
        drafts: Vec::new(),
        state: Some(SourceState {
            source: Arc::from(name),
            state: Bytes::from(state.to_string()),
        }),
    };
    queue.append(batch).await.unwrap();
}

/// A queue in which this source stands at `position`, with its own address.
async fn at(position: i64, fake: &Fake) -> Arc<Durable> {
    let queue = Durable::new(ROOMY);
    remember(&queue, POSITION, standing(position, fake)).await;
    queue
}

fn standing(position: i64, fake: &Fake) -> Value {
    let server = settings(fake).client.keycloak.url.to_string();
    json!({ "format": 1, "position": position, "server": server })
}

fn first_date_from(fake: &Fake, requests_before: usize) -> i64 {
    let requests = fake.requests().split_off(requests_before);
    // The first of a run asks for the server's time.
    let (_, query) = requests[1].split_once("dateFrom=").unwrap();
    query.split_once('&').unwrap().0.parse().unwrap()
}

#[tokio::test]
async fn polling_goes_on_where_it_stopped_and_start_from_counts_no_more() {
    for start_from in [StartFrom::Now, StartFrom::Earliest] {
        let fake = Fake::start().await;
        let queue = Durable::new(ROOMY);
        let start = now() - 5_000;
        fake.commit(logins(0..10, start, 100));
        let first = run(from(start_from, &fake), &queue);
        first.collected.events(10).await;
        assert!(first.stopped().await.is_success());
        let position = position(&queue).await;
        if start_from == StartFrom::Earliest {
            assert_eq!(position, start + 900);
        }
        let asked = fake.requests().len();
        fake.commit([login(10, now() - 3_000), login(11, now())]);
        let second = run(from(StartFrom::Now, &fake), &queue);
        second.collected.events(2).await;
        fake.asked_again(3).await;
        assert_eq!(first_date_from(&fake, asked), position - 30_000);
        assert_eq!(second.collected.ids(), ["10", "11"]);
        assert_eq!(taken(&queue), (0..12).collect::<Vec<_>>());
        assert_eq!(
            second.telemetry().repeated.get(),
            10,
            "the overlap is read again"
        );
    }
}

#[tokio::test]
async fn a_position_is_saved_with_the_events_that_it_covers() {
    let fake = Fake::start().await;
    let queue = Durable::new(ROOMY);
    let first = now() - 20_000;
    fake.commit(logins(0..10, first, 100));
    let pipeline = run(settings(&fake), &queue);
    pipeline.collected.events(10).await;
    assert!(pipeline.stopped().await.is_success());
    for entry in queue.entries().iter().filter(|entry| !entry.ids.is_empty()) {
        let (name, state) = entry.state.as_ref().unwrap();
        let state: Value = serde_json::from_str(state).unwrap();
        let newest: i64 = entry.ids.last().unwrap().parse().unwrap();
        assert_eq!((name.as_str(), &state["format"]), (POSITION, &json!(1)));
        assert_eq!(state["position"], first + newest * 100, "{entry:?}");
    }
}

#[tokio::test]
async fn from_now_on_nothing_is_missed_even_if_nothing_happened_before_the_end() {
    let fake = Fake::start().await;
    let queue = Durable::new(ROOMY);
    let started = now();
    let first = run(from(StartFrom::Now, &fake), &queue);
    fake.asked_again(3).await;
    first.killed().await;
    let position = position(&queue).await;
    assert!((started - 1_000..=now()).contains(&position), "{position}");
    let asked = fake.requests().len();
    let second = run(from(StartFrom::Now, &fake), &queue);
    fake.asked_again(3).await;
    assert_eq!(first_date_from(&fake, asked), position - 30_000);
    assert!(second.stopped().await.is_success());
    assert!(taken(&queue).is_empty());
}

#[tokio::test]
async fn what_was_too_old_for_start_from_is_not_taken_after_a_restart_either() {
    let fake = Fake::start().await;
    let queue = Durable::new(ROOMY);
    let floor = now() - 5_000;
    fake.commit([login(1, floor - 1), login(2, floor)]);
    let first = run(from(StartFrom::At(floor), &fake), &queue);
    first.collected.events(1).await;
    first.killed().await;
    fake.commit([login(3, now())]);
    let second = run(from(StartFrom::Earliest, &fake), &queue);
    second.collected.events(1).await;
    fake.asked_again(3).await;
    assert_eq!(taken(&queue), [2, 3]);
}

#[tokio::test]
async fn realms_and_kinds_have_positions_of_their_own() {
    let fake = Fake::start().await;
    let queue = Durable::new(ROOMY);
    let start = now() - 5_000;
    fake.commit([login(1, start)]);
    fake.commit_admin([json!({
        "id": "2", "time": start + 500, "realmId": "realm-id", "operationType": "UPDATE",
        "resourceType": "USER", "resourcePath": "users/77",
    })]);
    let both = Settings {
        admin_events: true,
        ..settings(&fake)
    };
    let pipeline = run(both, &queue);
    pipeline.collected.events(2).await;
    let user = remembered(&queue, POSITION).await.unwrap();
    let admin = remembered(&queue, "test/position/admin/shop")
        .await
        .unwrap();
    let apart = admin["position"].as_i64().unwrap() - user["position"].as_i64().unwrap();
    assert_eq!(apart, 500, "{user} {admin}");
}

#[tokio::test]
async fn what_the_next_sweep_reads_again_is_remembered_for_when_the_queue_knows_it_no_more() {
    let fake = Fake::start().await;
    let queue = Durable::new(ROOMY);
    fake.commit(logins(0..3, now() - 5_000, 100));
    let first = run(settings(&fake), &queue);
    first.collected.events(3).await;
    fake.asked_again(3).await;
    first.killed().await;
    let seen = remembered(&queue, SEEN).await.unwrap();
    assert_eq!(seen, json!({ "format": 1, "ids": ["2", "1", "0"] }));
    // Another queue, which remembers and has taken nothing itself.
    let position = remembered(&queue, POSITION).await.unwrap();
    let queue = Durable::new(ROOMY);
    remember(&queue, POSITION, position).await;
    remember(&queue, SEEN, seen).await;
    fake.commit([login(3, now())]);
    let second = run(settings(&fake), &queue);
    second.collected.events(1).await;
    fake.asked_again(3).await;
    assert_eq!(taken(&queue), [3]);
}

#[tokio::test]
async fn a_position_in_the_future_passes_nothing_over() {
    let words = Words::listen();
    let fake = Fake::start().await;
    let queue = at(now() + 3_600_000, &fake).await;
    fake.commit([login(1, now())]);
    let pipeline = run(from(StartFrom::Now, &fake), &queue);
    pipeline.collected.events(1).await;
    assert_eq!(
        words
            .with("in the future, so Keycloak's clock was set back")
            .len(),
        1
    );
    assert!(pipeline.stopped().await.is_success());
    let position = position(&queue).await;
    assert!(position <= now(), "{position}");
}

#[tokio::test]
async fn what_keycloak_may_have_expired_meanwhile_is_said() {
    let hours = |count: i64| count * 3_600_000;
    let gap = "Keycloak has no event from before the position";
    for (stood, oldest, said) in [
        (3, Some(2), gap),
        (3, None, "Keycloak has no events"),
        (3, Some(4), ""),
        (0, Some(0), ""),
    ] {
        let words = Words::listen();
        let fake = Fake::start().await;
        let queue = at(now() - hours(stood), &fake).await;
        fake.commit(oldest.map(|oldest| login(1, now() - hours(oldest))));
        let pipeline = run(settings(&fake), &queue);
        fake.asked_again(3).await;
        let told = [words.with(gap), words.with("Keycloak has no events")].concat();
        assert_eq!(told.len(), usize::from(!said.is_empty()), "{told:?}");
        assert!(
            told.iter()
                .all(|line| line.contains("WARN") && line.contains(said)),
            "{told:?}"
        );
        assert!(pipeline.stopped().await.is_success());
    }
}

#[tokio::test]
async fn another_address_is_said_and_the_position_kept() {
    let words = Words::listen();
    let fake = Fake::start().await;
    let queue = Durable::new(ROOMY);
    let stood = now() - 60_000;
    let elsewhere = json!({ "format": 1, "position": stood, "server": "https://old.example/" });
    remember(&queue, POSITION, elsewhere).await;
    fake.commit([login(1, stood - 40_000), login(2, stood + 10)]);
    let pipeline = run(from(StartFrom::Now, &fake), &queue);
    pipeline.collected.events(1).await;
    assert_eq!(taken(&queue), [2]);
    let said = words.with("kete.keycloak.url was another");
    assert!(
        said.len() == 1 && said[0].contains("https://old.example/"),
        "{said:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_read_ends_the_source_with_the_way_out() {
    let fake = Fake::start().await;
    for (state, expected) in [
        (json!("nonsense"), "cannot be read"),
        (json!({ "format": 1, "position": "late" }), "cannot be read"),
        (
            json!({ "format": 2 }),
            "was written by a newer kete (format 2)",
        ),
    ] {
        let queue = Durable::new(ROOMY);
        remember(&queue, POSITION, state).await;
        let report = run(settings(&fake), &queue).ended().await;
        let failed = report.failed_source.unwrap().to_string();
        assert!(
            failed.contains(POSITION) && failed.contains(expected),
            "{failed}"
        );
        assert!(failed.contains("give the source another name"), "{failed}");
    }
    assert_eq!(fake.requests().len(), 0);
}

#[tokio::test]
async fn while_the_disk_takes_nothing_polling_pauses_and_then_misses_nothing() {
    let words = Words::listen();
    let fake = Fake::start().await;
    let queue = Durable::new(ROOMY);
    fake.commit(logins(0..3, now() - 5_000, 10));
    let pipeline = run(settings(&fake), &queue);
    pipeline.collected.events(3).await;
    queue.set_unwritable(true);
    fake.commit(logins(3..30, now() - 4_000, 10));
    while words
        .with("intake stops until it can be written")
        .is_empty()
    {
        tokio::task::yield_now().await;
    }
    let asked = fake.requests().len();
    queue.wake();
    tokio::task::yield_now().await;
    assert_eq!(fake.requests().len(), asked, "nothing is polled");
    queue.set_unwritable(false);
    pipeline.collected.events(30).await;
    assert_eq!(taken(&queue), (0..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn killed_again_and_again_it_takes_every_row_once() {
    let fake = Fake::start().await;
    let queue = Durable::new(ROOMY);
    let mut random = Sequence(23);
    let mut committed = 0;
    for _round in 0..30 {
        let more = committed + random.below(12);
        fake.commit(logins(
            committed..more,
            now() - random.below(20_000),
            random.below(3),
        ));
        committed = more;
        let pipeline = run(from(StartFrom::Earliest, &fake), &queue);
        fake.asked_again(usize::try_from(random.below(8)).unwrap())
            .await;
        pipeline.killed().await;
    }
    let last = run(from(StartFrom::Earliest, &fake), &queue);
    fake.asked_again(committed as usize / 2 + 4).await;
    assert!(last.stopped().await.is_success());
    let all = taken(&queue);
    let distinct: HashSet<i64> = all.iter().copied().collect();
    assert_eq!(distinct, (0..committed).collect());
    assert_eq!(all.len(), distinct.len());
}

/// Numbers that look random and are the same in every run.
pub(super) struct Sequence(pub(super) u64);

impl Sequence {
    pub(super) fn below(&mut self, bound: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        i64::try_from(self.0 >> 33).unwrap() % bound
    }
}
