//! The time on two clocks, of which each can miss some.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// A moment on two clocks. The first does not count while the machine sleeps; the second may be
/// set at any time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) monotonic: Instant,
    pub(super) wall: SystemTime,
}

impl Moment {
    pub(super) fn now() -> Moment {
        Moment {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// How much time has passed by the clock that counted more of it. A clock that was set makes
    /// a token look older than it is, at the worst, never younger.
    pub(super) fn since(self, earlier: Moment) -> Duration {
        let monotonic = self.monotonic.saturating_duration_since(earlier.monotonic);
        let wall = self.wall.duration_since(earlier.wall);
        monotonic.max(wall.unwrap_or_default())
    }
}
