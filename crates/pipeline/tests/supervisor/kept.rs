//! A queue that behaves as one on disk does: what it has taken is safe at once, what was delivered
//! can be read again, reads return what others want too, and reading and closing can fail. It is
//! memory underneath.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use kete_queue::{
    Appended, Batch, CloseError, ConsumerId, ConsumerLimits, ConsumerStatus, Lag, Limits, Memory,
    Queue, ReadError, Receipt, Record, Rejected, Sequence, Shed, Slice, Span, StartFrom, TakenId,
    Usage,
};
use tokio::sync::watch;

/// How reads end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    Work,
    Fail,
    FindDamage,
}

/// A record, and who wanted it.
type Taken = (Arc<Record>, Arc<[ConsumerId]>);

pub(crate) struct Kept {
    log: Memory,
    /// Everything that was ever taken.
    taken: Mutex<Vec<Taken>>,
    pub(crate) reads: Mutex<Reads>,
    pub(crate) attempts: AtomicUsize,
    pub(crate) close_fails: AtomicBool,
    pub(crate) closed: AtomicUsize,
}

impl Kept {
    pub(crate) fn new(limits: Limits) -> Arc<Kept> {
        Arc::new(Kept {
            log: Memory::new(limits),
            taken: Mutex::default(),
            reads: Mutex::new(Reads::Work),
            attempts: AtomicUsize::new(0),
            close_fails: AtomicBool::new(false),
            closed: AtomicUsize::new(0),
        })
    }

    fn append_now(&self, batch: Batch) -> Result<Appended, Box<Rejected>> {
        let mut records = Vec::new();
        for draft in &batch.drafts {
            let record = Record {
                sequence: 0,
                header: draft.header.clone(),
                body: draft.body.clone(),
            };
            records.push((record, Arc::clone(&draft.wanted)));
        }
        // Held meanwhile, so that nobody reads what is not here yet.
        let mut taken = self.taken.lock().unwrap();
        let appended = self.log.append(batch).now_or_never().unwrap()?;
        for (sequence, (record, wanted)) in appended.sequences.clone().zip(records) {
            taken.push((Arc::new(Record { sequence, ..record }), wanted));
        }
        drop(taken);
        let receipt = Receipt::safe();
        Ok(Appended {
            receipt,
            ..appended
        })
    }

    /// Adds what only others want.
    fn with_others(&self, consumer: ConsumerId, from: Sequence, mut slice: Slice) -> Slice {
        let taken = self.taken.lock().unwrap();
        let others = taken.iter().filter(|(record, wanted)| {
            (from..slice.next).contains(&record.sequence) && !wanted.contains(&consumer)
        });
        slice
            .records
            .extend(others.map(|(record, _)| Arc::clone(record)));
        slice.records.sort_by_key(|record| record.sequence);
        slice
    }
}

impl Queue for Kept {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, Box<Rejected>>> {
        ready(self.append_now(batch)).boxed()
    }

    fn consumer(&self, name: &str, limits: ConsumerLimits, start: StartFrom) -> ConsumerId {
        self.log.consumer(name, limits, start)
    }

    fn detach(&self, _consumer: ConsumerId) -> u64 {
        0
    }

    fn forget(&self, consumer: ConsumerId) -> u64 {
        self.log.forget(consumer)
    }

    fn consumers(&self) -> Vec<ConsumerStatus> {
        self.log.consumers()
    }

    fn find(&self, name: &str) -> Option<ConsumerId> {
        self.log.find(name)
    }

    fn cursor(&self, consumer: ConsumerId) -> Sequence {
        self.log.cursor(consumer)
    }

    fn read(
        &self,
        consumer: ConsumerId,
        from: Sequence,
        max_events: usize,
        max_bytes: u64,
    ) -> BoxFuture<'_, Result<Slice, ReadError>> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        let error = match *self.reads.lock().unwrap() {
            Reads::Work => {
                let read = self.log.read(consumer, from, max_events, max_bytes);
                return read
                    .map(move |slice| Ok(self.with_others(consumer, from, slice?)))
                    .boxed();
            }
            Reads::Fail => ReadError::Storage(std::io::Error::other("the disk is away")),
            Reads::FindDamage => ReadError::Damaged {
                problem: Arc::from("queue/1.log at byte 7: set it aside"),
            },
        };
        ready(Err(error)).boxed()
    }

    fn read_again(
        &self,
        span: Span,
        from: Sequence,
        max_events: usize,
        _max_bytes: u64,
    ) -> BoxFuture<'_, Result<Slice, ReadError>> {
        let taken = self.taken.lock().unwrap();
        let within = |record: &&Arc<Record>| {
            let accepted_at = record.header.accepted_at;
            let asked_for = (span.from..=span.to).contains(&accepted_at) && !record.is_replay();
            record.sequence >= from && asked_for
        };
        let stored = taken.iter().map(|(record, _)| record);
        let mut records: Vec<_> = stored.filter(within).take(max_events + 1).collect();
        let next = match records.len() > max_events {
            true => records.pop().map_or(0, |record| record.sequence),
            false => self.log.appended().borrow().max(from) + 1,
        };
        let records = records.into_iter().map(Arc::clone).collect();
        ready(Ok(Slice { records, next })).boxed()
    }

    fn settle(&self, consumer: ConsumerId, settled: &[RangeInclusive<Sequence>]) {
        assert_eq!(
            self.closed.load(Ordering::SeqCst),
            0,
            "settled after the close"
        );
        self.log.settle(consumer, settled);
    }

    fn appended(&self) -> watch::Receiver<Sequence> {
        self.log.appended()
    }

    fn room(&self) -> watch::Receiver<u64> {
        self.log.room()
    }

    fn shed(&self, consumer: ConsumerId) -> watch::Receiver<Shed> {
        self.log.shed(consumer)
    }

    fn lag(&self, consumer: ConsumerId) -> Lag {
        self.log.lag(consumer)
    }

    fn usage(&self) -> Usage {
        self.log.usage()
    }

    fn limits(&self) -> Limits {
        self.log.limits()
    }

    fn source_state(&self, source: &str) -> BoxFuture<'_, Option<Bytes>> {
        self.log.source_state(source)
    }

    fn taken_ids(&self) -> Vec<TakenId> {
        Vec::new()
    }

    fn durable(&self) -> bool {
        true
    }

    fn close(&self) -> BoxFuture<'_, Result<(), CloseError>> {
        self.closed.fetch_add(1, Ordering::SeqCst);
        let problem = "queue/1.log: no space left".to_owned();
        let result = match self.close_fails.load(Ordering::SeqCst) {
            true => Err(CloseError { problem }),
            false => Ok(()),
        };
        ready(result).boxed()
    }
}
