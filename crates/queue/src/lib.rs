//! The ordered log of accepted events, with one cursor per consumer.
//!
//! A batch of events is appended once, however many routes want it; each route is a consumer that
//! reads at its own pace and says which events it has settled. An event leaves the log when every
//! consumer that wants it has settled it. The log knows nothing of where events come from or go to.
//!
//! [`Queue`] is what every kind of log does; [`Memory`] is the kind that a crash empties, [`Disk`] the
//! kind that survives it, in a [`DataDirectory`]. The promises of the trait are tested in one place
//! for both.

mod cursor;
mod directory;
mod disk;
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
pub use directory::{DataDirectory, DataDirectoryError, Found};
pub use disk::{Disk, DiskSettings, OpenError, Recovered, Retain, Sync};
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
    /// The storage takes nothing now; the batch can be offered again when [`Queue::room`] changes.
    #[error("the queue cannot be written: {problem}")]
    Unwritable {
        /// Which file, what the system said, and the way out.
        problem: Arc<str>,
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

/// Where a consumer starts that the log does not know yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartFrom {
    /// Behind the last record.
    #[default]
    Now,
    /// At the oldest record that is still stored, whoever wanted it.
    Earliest,
}

/// A consumer that the log knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Whether somebody works for it in this process.
    pub attached: bool,
    /// Everything up to and including this is settled.
    pub cursor: Sequence,
    /// What it has not settled.
    pub lag: Lag,
    /// When the oldest event that it has not settled was accepted, in milliseconds since 1970, as
    /// far as that is known without reading: it may be the time of an earlier one.
    pub oldest_accepted_at: Option<i64>,
    /// Events that it has lost at a bound of the log, since it was added.
    pub dropped: u64,
}

/// An event that was taken lately, by Keycloak's own id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenId {
    /// The id.
    pub id: Box<str>,
    /// When it was accepted, in milliseconds since 1970.
    pub accepted_at: i64,
}

/// A time span of the log, in milliseconds since 1970 by [`Header::accepted_at`], both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The earliest.
    pub from: i64,
    /// The latest.
    pub to: i64,
}

/// What the log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Stored events that somebody has not settled.
    pub events: u64,
    /// The bytes that count against the bound: of memory, as [`Record::cost`] counts them, or of
    /// disk, without what is only kept because it may be asked for again.
    pub bytes: u64,
}

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The storage failed; trying again may help.
    #[error("the queue could not be read: {0}")]
    Storage(#[source] std::io::Error),
    /// What is stored is not what was written; reading it again will not help.
    #[error("the queue is damaged: {problem}")]
    Damaged {
        /// Which file, where in it, and the way out.
        problem: Arc<str>,
    },
}

/// What could not be saved when a log was closed; everything that was settled before is safe.
#[derive(Debug, thiserror::Error)]
#[error("the queue could not be closed in order: {problem}")]
pub struct CloseError {
    /// Which file, and what the system said.
    pub problem: String,
}

/// The ordered log.
///
/// Promises, the same for every kind: a batch is taken whole or not at all; sequence numbers grow
/// in the order of [`append`](Queue::append); [`read`](Queue::read) never returns a record before
/// an earlier one that some consumer still wants; settling is idempotent.
pub trait Queue: Send + std::marker::Sync {
    /// Takes a batch whole, or gives it back. An empty batch is taken and settled at once.
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, Box<Rejected>>>;

    /// Adds a consumer, or changes the limits of the one of this name, and says that somebody
    /// works for it from now on. One that the log already knows goes on at its cursor, a new one
    /// at `start`.
    fn consumer(&self, name: &str, limits: ConsumerLimits, start: StartFrom) -> ConsumerId;

    /// Nobody works for this consumer any more. A durable log keeps its place: at a bound it loses
    /// its oldest events rather than hold anybody up. Elsewhere it is forgotten. Returns how many
    /// events were lost by that.
    fn detach(&self, consumer: ConsumerId) -> u64;

    /// Forgets a consumer: what only it wanted leaves the log, and receipts stop waiting for it.
    /// Returns how many events it had not settled.
    fn forget(&self, consumer: ConsumerId) -> u64;

    /// Every consumer that the log knows, by name.
    fn consumers(&self) -> Vec<ConsumerStatus>;

    /// The number of the consumer of this name, if the log knows it.
    fn find(&self, name: &str) -> Option<ConsumerId>;

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

    /// Records from `from` on that were accepted within `span`, delivered or not, whoever wanted
    /// them; replays are left out. For asking again for what was sent before. A log in memory
    /// keeps nothing that was delivered.
    fn read_again(
        &self,
        span: Span,
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

    /// The events that were taken lately before the log was opened, oldest first: those that came
    /// with an id of their own. Empty for a log in memory.
    fn taken_ids(&self) -> Vec<TakenId>;

    /// Whether what it holds survives a crash.
    fn durable(&self) -> bool;

    /// Saves what is not saved yet and lets the storage go. Nothing is taken or settled afterwards.
    fn close(&self) -> BoxFuture<'_, Result<(), CloseError>>;
}
