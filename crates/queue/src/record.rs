//! What the log stores: a header with all that routing needs, and the bytes that go out.

use std::sync::Arc;

use bytes::Bytes;
use kete_event::Metadata;

/// Numbers the records of a log, from 1, without gaps at the time of appending.
pub type Sequence = u64;

/// What a record is taken to cost beside its texts: the struct, its slot in the log, the shorter
/// texts of the header and what the allocator adds. An estimate on the safe side, counted so that
/// `max-bytes` bounds memory and not only bodies.
pub(crate) const OVERHEAD: u64 = 512;

/// Which routes a record is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Every route whose matchers accept it.
    AllRoutes,
    /// One route, by name: a replay, of a dead letter or of what was delivered before.
    Route(Arc<str>),
}

/// Everything about an event that is needed to route it without parsing its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The event's id, Keycloak's own or ours.
    pub event_id: Box<str>,
    /// Whether we derived the id from the content.
    pub id_derived: bool,
    /// The name of the source.
    pub source: Arc<str>,
    /// When intake took it, in milliseconds since 1970.
    pub accepted_at: i64,
    /// What matchers and event names look at.
    pub metadata: Metadata,
    /// Events with the same key keep their order, with `ordering=user`.
    pub ordering_key: Box<str>,
    /// Which routes it is for.
    pub target: Target,
}

/// One event in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the log.
    pub sequence: Sequence,
    /// All that is known of it.
    pub header: Header,
    /// Its canonical JSON.
    pub body: Bytes,
}

impl Record {
    /// What it counts for against the bounds, in bytes: body, texts of the header and overhead.
    #[must_use]
    pub fn cost(&self) -> u64 {
        cost(&self.header, &self.body)
    }

    /// Whether it stands for an event that was in the log before, and goes to one route again.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        matches!(self.header.target, Target::Route(_))
    }
}

pub(crate) fn cost(header: &Header, body: &Bytes) -> u64 {
    OVERHEAD + size(header, body)
}

/// The part of the cost that is the same in every version of kete: what a log on disk counts.
pub(crate) fn size(header: &Header, body: &Bytes) -> u64 {
    (body.len() + header.event_id.len() + header.ordering_key.len()) as u64
}
