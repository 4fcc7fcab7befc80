//! The ordered log of accepted events, with one cursor per consumer.
//!
//! A batch of events is appended once, however many routes want it; each route is a consumer that
//! reads at its own pace and says which events it has settled. An event leaves the log when every
//! consumer that wants it has settled it. The log knows nothing of where events come from or go to.
//!
//! [`Queue`] is what every kind of log does; [`Memory`] is the kind that a crash empties. Kinds on
//! disk or in Redis implement the same trait, and its promises are tested in one place.

mod cursor;
mod limits;
mod memory;
mod receipt;
mod record;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

pub use cursor::SettledRanges;
pub use limits::{ConsumerLimits, Limits, WhenFull, WhenLagging};
pub use memory::Memory;
pub use receipt::{NotTaken, Receipt};
pub use record::{Header, Record, Sequence, Target};

/// Names a consumer while the process runs. Small numbers, given out from 0 and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerId(pub u32);

/// An event that is to be appended.
#[derive(Debug)]
pub struct Draft {
    /// What the log stores beside the body.
    pub header: Header,
    /// The canonical JSON, normalised and redacted.
    pub body: Bytes,
    /// The consumers that want it; never empty. The receipt waits for these only.
    pub wanted: Arc<[ConsumerId]>,
}

/// What a source remembers between runs, saved in the same step as the events it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState {
    /// The name of the source.
    pub source: Arc<str>,
    /// Anything the source can read back.
    pub state: Bytes,
}

/// Events that are appended all or none.
#[derive(Debug, Default)]
pub struct Batch {
    /// The events, in the order in which the log will hold them.
    pub drafts: Vec<Draft>,
    /// What the source is to remember if the batch is taken.
    pub state: Option<SourceState>,
}

/// A batch that was taken.
#[derive(Debug)]
pub struct Appended {
    /// Settles when the events are safe.
    pub receipt: Receipt,
    /// How many of them were dropped at once, by [`WhenFull::DropNewest`].
    pub dropped: u64,
    /// The sequence number of each stored event, in batch order; empty if they were dropped.
    pub sequences: std::ops::Range<Sequence>,
}

/// A batch that was not taken, given back whole so that it can be offered again.
#[derive(Debug)]
pub struct Rejected {
    /// Why.
    pub reason: RejectReason,
    /// What was offered.
    pub batch: Batch,
}

/// Why a batch was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// There is no room now; it can be offered again when [`Queue::room`] changes.
    #[error("the queue is full ({bound}): route {route} is behind by {lag}")]
    Full {
        /// The route that is furthest behind, or whose own bound is reached.
        route: Arc<str>,
        /// What this route has not settled.
        lag: Lag,
        /// The bound that was reached.
        bound: Bound,
        /// Whether the route was asked to drop its oldest, so that there will soon be room.
        makes_room: bool,
    },
    /// The batch is larger than the queue could ever hold; offering it again cannot help.
    #[error("{size} {unit} can never fit: the queue takes {limit} ({bound})", unit = bound.unit())]
    TooBig {
        /// What the batch would take.
        size: u64,
        /// What there is when the queue is empty.
        limit: u64,
        /// The bound that it breaks.
        bound: Bound,
    },
}

/// Which bound a batch ran into; displayed as the setting that raises it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Bound {
    /// The number of stored events.
    #[error("kete.queue.max-events")]
    Events,
    /// The bytes of all stored events.
    #[error("kete.queue.max-bytes")]
    Bytes,
    /// The bytes that one route has not settled.
    #[error("queue.max-lag-bytes")]
    Lag,
}

impl Bound {
    /// What it counts.
    fn unit(self) -> &'static str {
        match self {
            Bound::Events => "events",
            Bound::Bytes | Bound::Lag => "bytes",
        }
    }
}

/// A part of the log, as one read returns it.
#[derive(Debug, Default)]
pub struct Slice {
    /// Records in sequence order. Numbers may be missing: those are not for this consumer.
    pub records: Vec<Arc<Record>>,
    /// Where the next read starts.
    pub next: Sequence,
}

/// A request to a consumer to drop its oldest events until its lag is within these bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shed {
    /// How many requests there have been; a change means that there is something to do.
    pub request: u64,
    /// The lag to come down to, in bytes.
    pub to_bytes: u64,
    /// The lag to come down to, in events.
    pub to_events: u64,
}

/// What a consumer has not settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Events.
    pub events: u64,
    /// Bytes, as [`Record::cost`] counts them.
    pub bytes: u64,
}

impl fmt::Display for Lag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} events, {} bytes", self.events, self.bytes)
    }
}

/// What the log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Stored events.
    pub events: u64,
    /// Stored bytes, as [`Record::cost`] counts them.
    pub bytes: u64,
}

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The storage failed; trying again may help.
    #[error("the queue could not be read: {0}")]
    Storage(#[source] std::io::Error),
}

/// The ordered log.
///
/// Promises, the same for every kind: a batch is taken whole or not at all; sequence numbers grow
/// in the order of [`append`](Queue::append); [`read`](Queue::read) never returns a record before
/// an earlier one that some consumer still wants; settling is idempotent.
pub trait Queue: Send + Sync {
    /// Takes a batch whole, or gives it back. An empty batch is taken and settled at once.
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, Box<Rejected>>>;

    /// Adds a consumer, or changes the limits of the one of this name. A consumer that the log
    /// already knows goes on at its cursor, a new one starts behind the last record.
    fn consumer(&self, name: &str, limits: ConsumerLimits) -> ConsumerId;

    /// Forgets a consumer: what only it wanted leaves the log, and receipts stop waiting for it.
    /// Returns how many events it had not settled.
    fn forget(&self, consumer: ConsumerId) -> u64;

    /// The contiguous prefix that the consumer has settled: everything up to and including this.
    fn cursor(&self, consumer: ConsumerId) -> Sequence;

    /// Records from `from` on that this consumer wants and has not settled, at most `max_events`
    /// and about `max_bytes` of them, but one at least if there is one. A kind that cannot tell who
    /// wants a record returns it: the consumer looks at its header anyway.
    fn read(
        &self,
        consumer: ConsumerId,
        from: Sequence,
        max_events: usize,
        max_bytes: u64,
    ) -> BoxFuture<'_, Result<Slice, ReadError>>;

    /// Says that the consumer is done with these records, whether it wanted them or not.
    fn settle(&self, consumer: ConsumerId, settled: &[std::ops::RangeInclusive<Sequence>]);

    /// The number of the newest record; changes when something is appended.
    fn appended(&self) -> watch::Receiver<Sequence>;

    /// Changes when a consumer has settled something, or a limit was changed.
    fn room(&self) -> watch::Receiver<u64>;

    /// Requests to this consumer to drop its oldest events.
    fn shed(&self, consumer: ConsumerId) -> watch::Receiver<Shed>;

    /// What this consumer has not settled.
    fn lag(&self, consumer: ConsumerId) -> Lag;

    /// What is stored.
    fn usage(&self) -> Usage;

    /// The limits of all consumers together.
    fn limits(&self) -> Limits;

    /// What a source was last given to remember.
    fn source_state(&self, source: &str) -> BoxFuture<'_, Option<Bytes>>;

    /// Whether what it holds survives a crash.
    fn durable(&self) -> bool;
}
