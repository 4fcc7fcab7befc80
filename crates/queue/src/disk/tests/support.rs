//! A log on a disk that can fail, and events for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use kete_event::Event;

use super::super::{Disk, DiskSettings, OpenError, Recovered, Sync};
use super::faulty::Faulty;
use crate::{
    Batch, ConsumerId, ConsumerLimits, Draft, Header, Limits, Queue, Receipt, Sequence, StartFrom,
    Target, WhenFull, WhenLagging,
};

pub(super) const SETTINGS: DiskSettings = DiskSettings {
    limits: Limits {
        max_events: 1_000_000,
        max_bytes: 64 << 20,
        when_full: WhenFull::Refuse,
    },
    sync: Sync::Always,
    reserve_free: 0,
    retain: None,
};

pub(super) const PATIENT: ConsumerLimits = ConsumerLimits {
    max_lag_bytes: u64::MAX,
    when_full: WhenLagging::Refuse,
};

/// A clock that stands still until it is set.
#[derive(Debug, Clone, Default)]
pub(super) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub(super) fn set(&self, millis: i64) {
        self.0.store(millis, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(super) fn try_open(
    files: &Faulty,
    settings: DiskSettings,
    hands: &Hands,
) -> Result<(Disk, Recovered), OpenError> {
    let hands = hands.clone();
    let clock = Box::new(move || hands.now());
    Disk::with(Box::new(files.clone()), clock, settings, None)
}

pub(super) fn open(files: &Faulty) -> (Disk, Recovered) {
    try_open(files, SETTINGS, &Hands::default()).unwrap()
}

pub(super) fn consumer(queue: &Disk, name: &str) -> ConsumerId {
    queue.consumer(name, PATIENT, StartFrom::Now)
}

/// An event whose body begins with its number.
pub(super) fn draft(number: u64, size: usize, wanted: &[ConsumerId]) -> Draft {
    let event = br#"{"id":"1","time":1,"type":"LOGIN","realmId":"r","realmName":"demo"}"#;
    let mut body = number.to_le_bytes().to_vec();
    body.resize(size.max(8), b'x');
    let mut metadata = Event::parse(event).unwrap().metadata();
    metadata.event_id = number.to_string().into();
    let header = Header {
        event_id: metadata.event_id.clone(),
        id_derived: false,
        source: Arc::from("test"),
        accepted_at: number as i64,
        metadata,
        ordering_key: "key".into(),
        target: Target::AllRoutes,
    };
    Draft {
        header,
        body: Bytes::from(body),
        wanted: wanted.into(),
    }
}

pub(super) fn batch(numbers: std::ops::Range<u64>, size: usize, wanted: &[ConsumerId]) -> Batch {
    let drafts = numbers.map(|number| draft(number, size, wanted)).collect();
    Batch {
        drafts,
        state: None,
    }
}

/// Appends what there is room for.
pub(super) async fn offer(queue: &Disk, batch: Batch) -> Receipt {
    queue.append(batch).await.unwrap().receipt
}

/// Appends, and waits until it is safe.
pub(super) async fn append(queue: &Disk, batch: Batch) {
    offer(queue, batch).await.settled().await.unwrap();
}

/// What this consumer would be given from there on: sequence and event number.
pub(super) async fn read(
    queue: &Disk,
    consumer: ConsumerId,
    mut from: Sequence,
) -> Vec<(Sequence, u64)> {
    let mut found = Vec::new();
    loop {
        let slice = queue.read(consumer, from, 100, 1 << 20).await.unwrap();
        for record in &slice.records {
            let number = u64::from_le_bytes(*record.body.first_chunk().unwrap());
            assert_eq!(record.header.event_id.parse(), Ok(number));
            found.push((record.sequence, number));
        }
        if slice.next <= from {
            return found;
        }
        from = slice.next;
    }
}

pub(super) async fn numbers(queue: &Disk, consumer: ConsumerId) -> Vec<u64> {
    let found = read(queue, consumer, 1).await;
    found.into_iter().map(|(_, number)| number).collect()
}

/// Runs something to its end.
pub(super) fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(future)
}
