//! A durable queue without a disk, which says what was appended, and can refuse to be written or
//! hang. The tests of sources use it as well.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};
use kete_queue::{
    Appended, Batch, CloseError, ConsumerId, ConsumerLimits, ConsumerStatus, Draft, Lag, Limits,
    Memory, Queue, ReadError, RejectReason, Rejected, Sequence, Shed, Slice, SourceState, Span,
    StartFrom, TakenId, Usage,
};
use tokio::sync::watch;

/// What was taken in one step: ids of events, and what a source remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) ids: Vec<String>,
    pub(crate) state: Option<(String, String)>,
}

/// An entry as a test writes it down.
pub(crate) fn entry(ids: &[&str], state: Option<(&str, &str)>) -> Entry {
    let state = state.map(|(source, text)| (source.to_owned(), text.to_owned()));
    let ids = ids.iter().map(|id| (*id).to_owned()).collect();
    Entry { ids, state }
}

pub(crate) struct Durable {
    memory: Memory,
    entries: Mutex<Vec<Entry>>,
    taken: Mutex<Vec<TakenId>>,
    unwritable: AtomicBool,
    hanging: AtomicBool,
    room: watch::Sender<u64>,
}

impl Durable {
    pub(crate) fn new(limits: Limits) -> Arc<Durable> {
        Arc::new(Durable {
            memory: Memory::new(limits),
            entries: Mutex::default(),
            taken: Mutex::default(),
            unwritable: AtomicBool::new(false),
            hanging: AtomicBool::new(false),
            room: watch::Sender::new(0),
        })
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }

    pub(crate) fn set_unwritable(&self, unwritable: bool) {
        self.unwritable.store(unwritable, Ordering::SeqCst);
        self.wake();
    }

    /// Answers no offer any more.
    pub(crate) fn hang(&self) {
        self.hanging.store(true, Ordering::SeqCst);
    }

    /// Has sources try again, as a log on disk does now and then.
    pub(crate) fn wake(&self) {
        self.room.send_modify(|changes| *changes += 1);
    }
}

fn entry_of(batch: &Batch) -> Entry {
    let id = |draft: &Draft| draft.header.event_id.to_string();
    let text = |state: &SourceState| String::from_utf8(state.state.to_vec()).unwrap();
    let state = batch.state.as_ref();
    Entry {
        ids: batch.drafts.iter().map(id).collect(),
        state: state.map(|state| (state.source.to_string(), text(state))),
    }
}

fn taken_of(batch: &Batch) -> Vec<TakenId> {
    let taken = |draft: &Draft| TakenId {
        id: draft.header.event_id.clone(),
        accepted_at: draft.header.accepted_at,
    };
    let own = batch.drafts.iter().filter(|one| !one.header.id_derived);
    own.map(taken).collect()
}

impl Queue for Durable {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, Box<Rejected>>> {
        async {
            if self.hanging.load(Ordering::SeqCst) {
                future::pending::<()>().await;
            }
            if self.unwritable.load(Ordering::SeqCst) {
                let problem = Arc::from("/data/queue/1.log: no space left on device");
                let reason = RejectReason::Unwritable { problem };
                return Err(Box::new(Rejected { reason, batch }));
            }
            let (entry, taken) = (entry_of(&batch), taken_of(&batch));
            let appended = self.memory.append(batch).await?;
            self.entries.lock().unwrap().push(entry);
            self.taken.lock().unwrap().extend(taken);
            Ok(appended)
        }
        .boxed()
    }

    fn consumer(&self, name: &str, limits: ConsumerLimits, start: StartFrom) -> ConsumerId {
        self.memory.consumer(name, limits, start)
    }

    fn detach(&self, consumer: ConsumerId) -> u64 {
        self.memory.detach(consumer)
    }

    fn forget(&self, consumer: ConsumerId) -> u64 {
        self.memory.forget(consumer)
    }

    fn consumers(&self) -> Vec<ConsumerStatus> {
        self.memory.consumers()
    }

    fn find(&self, name: &str) -> Option<ConsumerId> {
        self.memory.find(name)
    }

    fn cursor(&self, consumer: ConsumerId) -> Sequence {
        self.memory.cursor(consumer)
    }

    fn read(
        &self,
        consumer: ConsumerId,
        from: Sequence,
        max_events: usize,
        max_bytes: u64,
    ) -> BoxFuture<'_, Result<Slice, ReadError>> {
        self.memory.read(consumer, from, max_events, max_bytes)
    }

    fn read_again(
        &self,
        span: Span,
        from: Sequence,
        max_events: usize,
        max_bytes: u64,
    ) -> BoxFuture<'_, Result<Slice, ReadError>> {
        self.memory.read_again(span, from, max_events, max_bytes)
    }

    fn settle(&self, consumer: ConsumerId, settled: &[RangeInclusive<Sequence>]) {
        self.memory.settle(consumer, settled);
        self.wake();
    }

    fn appended(&self) -> watch::Receiver<Sequence> {
        self.memory.appended()
    }

    fn room(&self) -> watch::Receiver<u64> {
        self.room.subscribe()
    }

    fn shed(&self, consumer: ConsumerId) -> watch::Receiver<Shed> {
        self.memory.shed(consumer)
    }

    fn lag(&self, consumer: ConsumerId) -> Lag {
        self.memory.lag(consumer)
    }

    fn usage(&self) -> Usage {
        self.memory.usage()
    }

    fn limits(&self) -> Limits {
        self.memory.limits()
    }

    fn source_state(&self, source: &str) -> BoxFuture<'_, Option<Bytes>> {
        self.memory.source_state(source)
    }

    fn taken_ids(&self) -> Vec<TakenId> {
        self.taken.lock().unwrap().clone()
    }

    fn durable(&self) -> bool {
        true
    }

    fn close(&self) -> BoxFuture<'_, Result<(), CloseError>> {
        future::ready(Ok(())).boxed()
    }
}
