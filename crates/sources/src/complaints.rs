//! Keeps a flood of one complaint out of the log.
//!
//! The first few in a minute are worth a line each; of the rest only their number is. Nothing is
//! forgotten silently: whoever complains next, or ends, is told how many were left out.

use std::time::Duration;

use tokio::time::Instant;

const PER_WINDOW: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// Decides which complaints get a line in the log.
#[derive(Debug)]
pub(crate) struct Complaints {
    window_start: Instant,
    shown: u32,
    left_out: u64,
}

impl Complaints {
    /// None so far.
    pub(crate) fn new(now: Instant) -> Complaints {
        Complaints {
            window_start: now,
            shown: 0,
            left_out: 0,
        }
    }

    /// Counts a complaint. `Some` if it is to be logged, with the number of those left out since
    /// the last one that was.
    pub(crate) fn admit(&mut self, now: Instant) -> Option<u64> {
        if now.duration_since(self.window_start) >= WINDOW {
            self.window_start = now;
            self.shown = 0;
        }
        if self.shown == PER_WINDOW {
            self.left_out += 1;
            return None;
        }
        self.shown += 1;
        Some(self.take_left_out())
    }

    /// How many were left out since the last one that was logged, for a closing line.
    pub(crate) fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_twenty_in_a_minute_are_shown_and_the_others_counted() {
        let start = Instant::now();
        let mut complaints = Complaints::new(start);
        for _ in 0..20 {
            assert_eq!(complaints.admit(start), Some(0));
        }
        for _ in 0..5 {
            assert_eq!(
                complaints.admit(start + WINDOW - Duration::from_millis(1)),
                None
            );
        }
        assert_eq!(complaints.admit(start + WINDOW), Some(5));
        assert_eq!(complaints.admit(start + WINDOW), Some(0));
    }

    #[test]
    fn what_was_left_out_is_told_once() {
        let start = Instant::now();
        let mut complaints = Complaints::new(start);
        let shown = (0..23)
            .filter(|_| complaints.admit(start).is_some())
            .count();
        assert_eq!(shown, 20);
        assert_eq!(complaints.take_left_out(), 3);
        assert_eq!(complaints.take_left_out(), 0);
    }
}
