//! What the tests of the log on disk share: a data directory and events.

use std::sync::Arc;

use bytes::Bytes;
use kete_event::Event;
use kete_queue::{
    Batch, ConsumerId, ConsumerLimits, DataDirectory, Disk, DiskSettings, Draft, Header, Limits,
    Queue, Recovered, Sequence, StartFrom, Sync, Target, WhenFull, WhenLagging,
};
use tempfile::TempDir;

pub(crate) const SETTINGS: DiskSettings = DiskSettings {
    limits: Limits {
        max_events: 1_000_000,
        max_bytes: 64 << 20,
        when_full: WhenFull::Refuse,
    },
    sync: Sync::Always,
    reserve_free: 0,
    retain: None,
};

pub(crate) const PATIENT: ConsumerLimits = ConsumerLimits {
    max_lag_bytes: u64::MAX,
    when_full: WhenLagging::Refuse,
};

/// A place for a data directory.
pub(crate) fn place() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Opens the log of the data directory at this place.
pub(crate) fn open(place: &TempDir, settings: DiskSettings) -> (Disk, Recovered) {
    let directory = DataDirectory::open(&place.path().join("data")).unwrap();
    Disk::open(&directory, settings).unwrap()
}

pub(crate) fn consumer(queue: &Disk, name: &str) -> ConsumerId {
    queue.consumer(name, PATIENT, StartFrom::Now)
}

/// An event whose body says which one it is.
pub(crate) fn draft(number: u64, size: usize, wanted: &[ConsumerId]) -> Draft {
    let event = br#"{"id":"1","time":1,"type":"LOGIN","realmId":"r","realmName":"demo"}"#;
    let mut body = number.to_string().into_bytes();
    body.resize(size.max(body.len()), b' ');
    let mut metadata = Event::parse(event).unwrap().metadata();
    metadata.event_id = format!("id-{number}").into();
    let header = Header {
        event_id: metadata.event_id.clone(),
        id_derived: false,
        source: Arc::from("test"),
        accepted_at: 1_000 + number as i64,
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

/// Appends events of these numbers for these consumers, and waits until they are safe.
pub(crate) async fn append(queue: &Disk, numbers: std::ops::Range<u64>, wanted: &[ConsumerId]) {
    let drafts = numbers.map(|number| draft(number, 600, wanted)).collect();
    let batch = Batch {
        drafts,
        state: None,
    };
    let appended = queue.append(batch).await.unwrap();
    appended.receipt.settled().await.unwrap();
}

/// The numbers of all events from there on, read in slices.
pub(crate) async fn read(queue: &Disk, consumer: ConsumerId, mut from: Sequence) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        let slice = queue.read(consumer, from, 512, 1 << 20).await.unwrap();
        let text = |body: &Bytes| String::from_utf8(body.to_vec()).unwrap();
        let number = |body: &Bytes| text(body).trim().parse::<u64>().unwrap();
        numbers.extend(slice.records.iter().map(|record| number(&record.body)));
        if slice.next <= from {
            return numbers;
        }
        from = slice.next;
    }
}
