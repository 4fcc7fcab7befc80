//! What a lane is there for: the events of its route as they come, or what is sent again.
//!
//! A route has one lane of each kind over the same destination. They know nothing of each other but
//! this: the live one lets go of the destination only when the other has ended.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What a lane is there for.
pub(crate) enum LaneRole {
    /// Events as they come: those that the route's matchers accept.
    Live {
        /// Says that nobody else uses the destination any more, if anybody else did.
        alone: Option<CancellationToken>,
    },
    /// Replays: what is addressed to this route, whatever its matchers say. It has a connection
    /// only while it has something to send.
    Replay {
        /// Says that something was appended for it. What others append is no reason to look.
        wake: Arc<Notify>,
        /// Says by being dropped that it has ended.
        over: DropGuard,
    },
}

impl LaneRole {
    pub(crate) fn is_replay(&self) -> bool {
        matches!(self, LaneRole::Replay { .. })
    }
}
