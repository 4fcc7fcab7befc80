//! kete's own queue, with one consumer that reads and settles.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use kete_event::Event;
use kete_queue::{
    Batch, ConsumerId, ConsumerLimits, DataDirectory, Disk, DiskSettings, Draft, Header, Limits,
    Memory, Queue, Receipt, StartFrom, Sync, Target, WhenFull, WhenLagging,
};

use crate::{Load, Meter, Mode};

/// How many different events are handed over in turn.
const DISTINCT: usize = 10_000;
/// How much the consumer reads at once, as a lane does.
const READ: usize = 512;

const MEMORY: Limits = Limits {
    max_events: 20_000,
    max_bytes: 16 << 20,
    when_full: WhenFull::Refuse,
};
const DISK: Limits = Limits {
    max_events: 1_000_000,
    max_bytes: 1 << 30,
    when_full: WhenFull::Refuse,
};

pub(crate) async fn memory(load: &Load) -> Result<()> {
    run(load, Arc::new(Memory::new(MEMORY)), true).await
}

pub(crate) async fn disk(load: &Load, directory: &Path, mode: Mode) -> Result<()> {
    let directory = DataDirectory::open(directory)?;
    let settings = DiskSettings {
        limits: DISK,
        sync: match mode {
            Mode::Always => Sync::Always,
            Mode::Interval => Sync::Interval(Duration::from_secs(1)),
            Mode::Never => Sync::Never,
        },
        reserve_free: 0,
        retain: None,
    };
    let (queue, _recovered) = Disk::open(&directory, settings)?;
    let queue = Arc::new(queue);
    // With rare syncs, who waits for each batch sees nothing but the interval.
    let waits = !matches!(mode, Mode::Interval);
    run(load, Arc::clone(&queue) as Arc<dyn Queue>, waits).await?;
    Ok(queue.close().await?)
}

/// `waits`: whether a batch has to be safe before the next; else they all have to be at the end.
async fn run(load: &Load, queue: Arc<dyn Queue>, waits: bool) -> Result<()> {
    let limits = ConsumerLimits {
        max_lag_bytes: u64::MAX,
        when_full: WhenLagging::Refuse,
    };
    let consumer = queue.consumer("bench", limits, StartFrom::Now);
    let reader = tokio::spawn(consume(Arc::clone(&queue), consumer));
    let drafts = drafts(load, consumer)?;
    let mut next = drafts.iter().cycle();
    let mut receipts = Receipt::safe();
    let mut meter = Meter::start(load, None)?;
    while meter.goes_on() {
        let batch: Vec<Draft> = next.by_ref().take(load.batch).map(copy).collect();
        let bytes = batch.iter().map(|draft| draft.body.len()).sum();
        let mut room = queue.room();
        let mut offered = Batch {
            drafts: batch,
            state: None,
        };
        let receipt = loop {
            room.mark_unchanged();
            match queue.append(offered).await {
                Ok(appended) => break appended.receipt,
                Err(rejected) => offered = rejected.batch,
            }
            room.changed().await?;
        };
        if waits {
            receipt.settled().await?;
        } else {
            // The newest settles last.
            receipts = receipt;
        }
        meter.took(load.batch, bytes);
    }
    receipts.settled().await?;
    meter.print()?;
    reader.abort();
    Ok(())
}

/// Reads and settles for ever.
async fn consume(queue: Arc<dyn Queue>, consumer: ConsumerId) -> Result<()> {
    let mut appended = queue.appended();
    let mut next = queue.cursor(consumer) + 1;
    loop {
        appended.mark_unchanged();
        let slice = queue.read(consumer, next, READ, u64::MAX).await?;
        if slice.next == next {
            appended.changed().await?;
            continue;
        }
        queue.settle(consumer, &[next..=slice.next - 1]);
        next = slice.next;
    }
}

fn drafts(load: &Load, consumer: ConsumerId) -> Result<Vec<Draft>> {
    let events = measure::first_events(&load.events, DISTINCT)?;
    let source = Arc::from("bench");
    let wanted: Arc<[ConsumerId]> = Arc::from([consumer]);
    let draft = |text: &String| {
        let mut event = Event::parse(text.as_bytes()).map_err(|error| anyhow!("{error}"))?;
        let id_derived = event.derive_id();
        let header = Header {
            event_id: event.id.as_deref().context("it has an id")?.into(),
            id_derived,
            source: Arc::clone(&source),
            accepted_at: 1_700_000_000_000,
            metadata: event.metadata(),
            ordering_key: event.ordering_key().into(),
            target: Target::AllRoutes,
        };
        Ok(Draft {
            header,
            body: event.canonical().into(),
            wanted: Arc::clone(&wanted),
        })
    };
    events.iter().map(draft).collect()
}

fn copy(draft: &Draft) -> Draft {
    Draft {
        header: draft.header.clone(),
        body: draft.body.clone(),
        wanted: Arc::clone(&draft.wanted),
    }
}
