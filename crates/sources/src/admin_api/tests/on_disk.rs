//! Crashes with the queue in real files.

use std::path::Path;
use std::sync::Arc;

use kete_queue::{DataDirectory, Disk, DiskSettings, Limits, Queue, Sync};
use kete_routes::RouteRules;
use tempfile::TempDir;

use super::fake::Fake;
use super::restarts::Sequence;
use super::{logins, now, settings};
use crate::admin_api::AdminSource;
use crate::testing::{Collector, Pipeline, ROOMY};

struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Place {
        Place {
            directory: TempDir::new().unwrap(),
        }
    }

    /// The data directory and the queue in it. The lock is held until the former is dropped.
    fn open(&self) -> (DataDirectory, Arc<dyn Queue>) {
        let directory = DataDirectory::open(&self.directory.path().join("data")).unwrap();
        let settings = DiskSettings {
            limits: Limits {
                max_bytes: 64 << 20,
                ..ROOMY
            },
            sync: Sync::Always,
            reserve_free: 0,
            retain: None,
        };
        let (disk, _recovered) = Disk::open(&directory, settings).unwrap();
        (directory, Arc::new(disk))
    }

    /// What a crash in this moment would leave.
    fn as_after_a_crash(&self) -> Place {
        let other = Place::new();
        copy(
            &self.directory.path().join("data"),
            &other.directory.path().join("data"),
        );
        other
    }
}

/// Files are only written at their ends, and the oldest are copied first.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    let entries = std::fs::read_dir(from).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    for name in names {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy(&from, &to);
        } else if from.is_file() {
            std::fs::copy(from, to).unwrap();
        }
    }
}

fn run(fake: &Fake, queue: Arc<dyn Queue>, collected: Collector) -> Pipeline {
    let source = AdminSource::new(settings(fake)).unwrap();
    Pipeline::on(queue, source, false, collected, RouteRules::default())
}

#[tokio::test]
async fn crashes_cost_no_row_and_take_none_twice() {
    let fake = Fake::start().await;
    let mut random = Sequence(41);
    let mut place = Place::new();
    let mut committed = 0;
    for _round in 0..15 {
        let more = committed + random.below(12);
        fake.commit(logins(
            committed..more,
            now() - random.below(20_000),
            random.below(3),
        ));
        committed = more;
        let (_lock, queue) = place.open();
        // Nothing is confirmed, so that the queue keeps all it has ever taken.
        let pipeline = run(&fake, queue, Collector::holding());
        fake.asked_again(usize::try_from(random.below(10)).unwrap())
            .await;
        let left = place.as_after_a_crash();
        pipeline.killed().await;
        place = left;
    }
    let (_lock, queue) = place.open();
    let last = run(&fake, queue, Collector::confirming());
    fake.asked_again(usize::try_from(committed).unwrap() / 2 + 4)
        .await;
    let all = usize::try_from(committed).unwrap();
    last.collected.events(all).await;
    let collected = last.collected.clone();
    assert!(last.stopped().await.is_success());
    let mut ids: Vec<i64> = collected
        .ids()
        .iter()
        .map(|id| id.parse().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..committed).collect::<Vec<_>>());
}

#[tokio::test]
async fn after_a_stop_in_order_nothing_comes_again_and_nothing_is_missed() {
    let fake = Fake::start().await;
    let place = Place::new();
    let mut committed = 0;
    for _round in 0..4 {
        fake.commit(logins(committed..committed + 9, now() - 1_000, 7));
        let (_lock, queue) = place.open();
        let pipeline = run(&fake, Arc::clone(&queue), Collector::confirming());
        pipeline.collected.events(9).await;
        let collected = pipeline.collected.clone();
        assert!(pipeline.stopped().await.is_success());
        queue.close().await.unwrap();
        let mut ids: Vec<i64> = collected
            .ids()
            .iter()
            .map(|id| id.parse().unwrap())
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, (committed..committed + 9).collect::<Vec<_>>());
        committed += 9;
    }
}
