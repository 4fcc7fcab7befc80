//! The server's time, from the `Date` of its answers.
//!
//! Events carry Keycloak's time, so positions are compared with Keycloak's clock and not with
//! ours. The estimate is never ahead: the header is cut to whole seconds, and the answer was under
//! way for a while.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Knows the time of the server as of its last answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServerClock {
    millis: i64,
    at: Instant,
}

impl ServerClock {
    /// Reads the `Date` of an answer that came at `at`. Without one, which only a proxy can have
    /// taken away, our own clock has to do.
    pub(super) fn read(date: Option<&str>, at: Instant) -> ServerClock {
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let time = date.unwrap_or_else(SystemTime::now);
        ServerClock {
            millis: millis(time.duration_since(UNIX_EPOCH).unwrap_or_default()),
            at,
        }
    }

    /// The time of the server in milliseconds since 1970.
    pub(super) fn at(&self, instant: Instant) -> i64 {
        self.millis
            .saturating_add(millis(instant.saturating_duration_since(self.at)))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_from_the_date_of_the_answer() {
        let at = Instant::now();
        let clock = ServerClock::read(Some("Sat, 21 Nov 2026 02:15:30 GMT"), at);
        assert_eq!(clock.at(at), 1_795_227_330_000);
        assert_eq!(
            clock.at(at + Duration::from_millis(1_500)),
            1_795_227_331_500
        );
    }

    #[test]
    fn without_a_date_our_own_clock_counts() {
        for date in [None, Some("noon")] {
            let at = Instant::now();
            let before = millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
            let clock = ServerClock::read(date, at);
            let after = millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
            assert!((before..=after).contains(&clock.at(at)), "{date:?}");
        }
    }
}
