//! Waits between attempts: exponential, with full jitter, without an end.

use std::time::Duration;

/// Draws the next wait from zero up to a ceiling that doubles with each failure. Full jitter keeps
/// many senders from returning at the same moment.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    initial: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(initial: Duration, max: Duration) -> Backoff {
        Backoff {
            initial,
            max,
            failures: 0,
        }
    }

    /// How often it failed since it last worked.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// It worked: the next wait is short again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// It failed: how long to wait now.
    pub(crate) fn next(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(rand::random::<f64>())
    }

    fn ceiling(&self) -> Duration {
        let doubled = self.initial.saturating_mul(1 << self.failures.min(20));
        doubled.min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_maximum_and_starts_again() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(3));
        let mut ceilings = Vec::new();
        for _ in 0..5 {
            ceilings.push(backoff.ceiling().as_millis());
            let ceiling = backoff.ceiling();
            assert!(backoff.next() <= ceiling);
        }
        assert_eq!(ceilings, [500, 1000, 2000, 3000, 3000]);
        backoff.reset();
        assert_eq!(backoff.ceiling().as_millis(), 500);
    }

    #[test]
    fn it_never_overflows() {
        let mut backoff = Backoff::new(Duration::from_secs(u64::MAX / 4), Duration::MAX);
        backoff.failures = u32::MAX;
        assert_eq!(backoff.ceiling(), Duration::MAX);
    }
}
