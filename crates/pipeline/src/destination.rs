//! What a destination is: connections that take events and later say which of them arrived.
//!
//! A lane owns the order, the window and the retries; a destination only prepares events, opens
//! connections and reports. Everything that a connection learns comes back as a
//! [`ConnectionEvent`], so that the lane can be one loop over events.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use kete_config::{Diagnostics, KeyTable, Scope, Settings};
use kete_event::Metadata;
use kete_queue::Record;
use kete_routes::Serializer;
use tokio::sync::mpsc;

use crate::certificate::{Certificate, CertificateReader};
use crate::lane::LaneSettings;

/// A kind of destination, as `kete.routes.<route>.destination.kind` names it.
pub struct DestinationKind {
    /// The value of `kind`.
    pub name: &'static str,
    /// One sentence for the reference.
    pub doc: &'static str,
    /// Its keys below `destination.`, without `kind` and without [`crate::LANE_KEYS`].
    pub keys: KeyTable,
    /// The keys of sections below that, each with the section's name within `destination.`.
    pub sections: &'static [(&'static str, KeyTable)],
    /// Reads and checks its section; `None` means that diagnostics say why.
    pub check: fn(&DestinationSection<'_>) -> Option<Box<dyn DestinationPlan>>,
}

/// What a destination may read when it is checked.
pub struct DestinationSection<'s> {
    /// The name of the route.
    pub route: &'s Arc<str>,
    /// Its own keys.
    pub scope: &'s Scope<'s>,
    /// Everything, for keys that destinations share.
    pub settings: &'s Settings,
    /// Where to report what is wrong.
    pub diagnostics: &'s Diagnostics,
    /// What turns a canonical event into the bytes that go out.
    pub serializer: &'s Arc<dyn Serializer>,
    /// The route's window, order and waits, read already.
    pub lane: &'s LaneSettings,
    /// The only realm whose events the route takes, if there is such a one.
    pub only_realm: Option<&'s str>,
}

/// A destination whose configuration is right.
pub trait DestinationPlan: Send + Sync {
    /// Takes what the destination needs of the machine, and connects to nothing.
    ///
    /// # Errors
    ///
    /// A sentence that names the key and the way out.
    fn build(self: Box<Self>) -> Result<Arc<dyn Destination>, String>;

    /// What the destination would call an event of this metadata and body, for `kete explain`.
    ///
    /// # Errors
    ///
    /// The event cannot be sent, and why.
    fn subject(&self, metadata: &Metadata, body: &[u8]) -> Result<Arc<str>, EventFailure>;

    /// How the lane is to work; a destination may change what it was given.
    fn lane(&self) -> LaneSettings;

    /// The certificates in the stores that its section names, as they were when it was checked.
    fn certificates(&self) -> Vec<Certificate> {
        Vec::new()
    }
}

/// Where a route's events go.
pub trait Destination: Send + Sync {
    /// Makes of a record what goes out. Fails for this event only.
    fn prepare(&self, record: &Record) -> Result<Prepared, EventFailure>;

    /// Opens a connection, or takes an idle one that is still good. One attempt, with a deadline
    /// of its own; credentials are evaluated anew for each.
    fn connect(&self) -> BoxFuture<'_, Result<Link, ConnectFailure>>;

    /// The most connections there may be at once; at least 1. While there are replays, one more
    /// is asked for beside them: neither has to wait for the other.
    fn max_connections(&self) -> usize;

    /// Closes idle connections gracefully, and waits for those that are closing. The lane has
    /// closed the lent ones before.
    fn close(&self) -> BoxFuture<'_, ()>;

    /// What tells the certificates that are in use, if there are any.
    fn certificates(&self) -> Option<CertificateReader> {
        None
    }
}

/// A connection and what it reports.
pub struct Link {
    /// What takes events.
    pub connection: Box<dyn Connection>,
    /// What it reports, in order; the last is [`ConnectionEvent::Lost`].
    pub events: mpsc::Receiver<ConnectionEvent>,
    /// Where it leads to, for log lines: no credentials in it.
    pub peer: Arc<str>,
}

/// An event as it goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The event name, or whatever the destination calls it.
    pub subject: Arc<str>,
    /// The serialized event.
    pub payload: Bytes,
}

/// An event that is handed to a connection.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its number on this connection: 1, 2, 3 …
    pub ticket: u64,
    /// What goes out.
    pub prepared: Prepared,
    /// What it was made of.
    pub record: Arc<Record>,
    /// How often it has been handed to a connection since kete was started, this time included.
    pub attempt: u32,
}

/// One connection. Nothing here waits: the lane bounds what is in flight.
pub trait Connection: Send {
    /// Sends a batch in order and asks for its confirmation.
    fn send(&mut self, batch: Vec<Outgoing>);

    /// Asks whether the server answers at all, with no event involved: the answer is
    /// [`ConnectionEvent::Proven`].
    fn probe(&mut self);

    /// Gives the connection back to be used again: everything sent on it is confirmed.
    fn release(self: Box<Self>);

    /// Ends the connection so that the server handles everything already sent. The wait for it is
    /// the destination's, bounded by [`CLOSE_DEADLINE`]; [`Destination::close`] waits for it too.
    fn close(self: Box<Self>);

    /// Ends the connection at once.
    fn abort(self: Box<Self>);
}

/// What a connection reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// Every event up to and including this ticket has arrived, except those reported otherwise.
    Confirmed {
        /// The last ticket that is confirmed.
        through: u64,
    },
    /// These events have arrived; others before them may not have.
    Acknowledged {
        /// Their tickets.
        tickets: Vec<u64>,
    },
    /// This event failed; the connection is fine.
    Failed {
        /// Its ticket.
        ticket: u64,
        /// Why.
        failure: EventFailure,
    },
    /// The answer to [`Connection::probe`].
    Proven,
    /// It is to be replaced: it gets no new events, and is closed when all that it carries is
    /// confirmed. New credentials ask for this; nothing is wrong with the connection.
    Retire,
    /// The connection is gone; nothing follows.
    Lost(ConnectFailure),
}

/// Why an event failed while its connection is fine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventFailure {
    /// The receiver refused it; it is offered again.
    Refused {
        /// What the receiver said, bounded; never the event.
        detail: String,
    },
    /// Offering it again cannot help.
    Permanent {
        /// What is wrong, as a label for metrics.
        reason: FailureReason,
        /// What is wrong, for a person; never the event.
        detail: String,
    },
}

/// Why events fail, as the metrics and dead letters name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureReason {
    /// Larger than the receiver takes.
    TooLarge,
    /// It could not be serialized.
    Serialization,
    /// Its event name is empty or reserved.
    EventName,
    /// The receiver refused it, as often as `retry.max-attempts` allows.
    Refused,
    /// The connection ended each time it was sent.
    ConnectionEnded,
}

impl FailureReason {
    /// Every reason there is.
    pub const ALL: [FailureReason; 5] = [
        FailureReason::TooLarge,
        FailureReason::Serialization,
        FailureReason::EventName,
        FailureReason::Refused,
        FailureReason::ConnectionEnded,
    ];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            FailureReason::TooLarge => "too_large",
            FailureReason::Serialization => "serialization",
            FailureReason::EventName => "event_name",
            FailureReason::Refused => "refused",
            FailureReason::ConnectionEnded => "connection_ended",
        }
    }
}

/// Why there is no connection, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConnectFailure {
    /// What kind of failure it is, as a label.
    pub kind: ConnectFailureKind,
    /// What happened, what the server said, and the way out; no credentials in it.
    pub message: String,
}

/// Kinds of connection failures, as the metrics name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConnectFailureKind {
    /// The address could not be found, or nothing listens there.
    Unreachable,
    /// TLS could not be agreed.
    Tls,
    /// The server wants other credentials.
    Unauthorized,
    /// The server speaks, but refuses: a wrong path, a wrong namespace.
    Rejected,
    /// What answers is not what was expected.
    Protocol,
    /// It took too long.
    Timeout,
    /// Events were sent and never confirmed, though the connection stands.
    NoConfirmation,
    /// A connection that worked has ended.
    Ended,
}

impl ConnectFailureKind {
    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ConnectFailureKind::Unreachable => "unreachable",
            ConnectFailureKind::Tls => "tls",
            ConnectFailureKind::Unauthorized => "unauthorized",
            ConnectFailureKind::Rejected => "rejected",
            ConnectFailureKind::Protocol => "protocol",
            ConnectFailureKind::Timeout => "timeout",
            ConnectFailureKind::NoConfirmation => "no_confirmation",
            ConnectFailureKind::Ended => "ended",
        }
    }
}

/// The longest that a destination waits for a graceful close of a connection.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
