//! What can go wrong between two polls, how long to wait then, and what to say about it.
//!
//! No failure ends polling. What may pass by itself is tried again soon, with a growing wait drawn
//! at random; what needs a person is tried again slowly, so that Keycloak is not hammered. The
//! first failure of a kind is logged at once, the following ones as a summary with their number.

use std::time::Duration;

use kete_credentials::oauth::TokenError;
use rand::RngExt;
use tokio::time::Instant;
use tracing::{info, warn};

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The wait after a failure that only a person can end.
const SLOW_WAIT: Duration = Duration::from_secs(30);
/// The longest wait that a server can ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(120);
const SUMMARY_EVERY: Duration = Duration::from_secs(5 * 60);

/// Why a poll failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum PollError {
    /// There is no token to ask with.
    #[error("{0}")]
    Token(TokenError),
    /// A token that was just issued is refused.
    #[error(
        "401 even with a new token: does kete.keycloak.url name the Keycloak that issued it, and \
         is its host name the one in the token?"
    )]
    Unauthorized,
    /// The service account may not read events.
    #[error(
        "403: the service account needs the role view-events (of the client realm-management in \
         the realm, or of the client <realm>-realm in master)"
    )]
    Forbidden,
    /// There is no such realm, or no Keycloak.
    #[error("404: is the realm's name right, and does kete.keycloak.url have the right path?")]
    NotFound,
    /// Keycloak, or what stands before it, is somewhere else.
    #[error("{status}: a redirect; kete.keycloak.url must be the address that it leads to")]
    Redirected {
        /// The HTTP status.
        status: u16,
    },
    /// The request is refused in another way.
    #[error("{status}: {excerpt}; Keycloak must be 26.2 or later")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The beginning of what the server said.
        excerpt: String,
    },
    /// The server cannot answer now.
    #[error("{status}: Keycloak cannot answer now")]
    Busy {
        /// The HTTP status.
        status: u16,
        /// The wait that the server asks for.
        retry_after: Option<Duration>,
    },
    /// The server cannot be reached, or the answer broke off.
    #[error("Keycloak cannot be reached: {0}")]
    Unreachable(String),
    /// The answer is not a list of events.
    #[error("the answer is not a list of events: {0}")]
    Malformed(serde_json::Error),
    /// The answer is too large to hold. Fewer events may not be.
    #[error("an answer of more than {limit} bytes; is this Keycloak, at kete.keycloak.url?")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// One event alone is too large to hold.
    #[error(
        "one event is larger than {limit} bytes, and none behind it can be read: leaving out \
         {first}, it is the first from {time} (milliseconds since 1970) on; wait until Keycloak \
         has expired it, or pass it by with start-from set to a time after it (with kete.data-dir \
         give the source another name as well)"
    )]
    EventTooLarge {
        /// The limit.
        limit: usize,
        /// It has this stamp or a later one.
        time: i64,
        /// How many events from that time on come before it.
        first: usize,
    },
    /// No id of Keycloak is so long.
    #[error(
        "an event has an id of more than {limit} bytes; is this Keycloak, at kete.keycloak.url?"
    )]
    LongId {
        /// The limit.
        limit: usize,
    },
    /// The events have no ids, so that repeats cannot be told.
    #[error(
        "the events have no id, so this Keycloak is older than 26.2; upgrade it, or use a webhook"
    )]
    NoIds,
}

impl PollError {
    /// Whether trying again soon may help.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            PollError::Token(error) => error.can_retry_help(),
            PollError::Busy { .. } | PollError::Unreachable(_) | PollError::Malformed(_) => true,
            _ => false,
        }
    }

    /// The same for failures that are of one kind.
    fn kind(&self) -> (std::mem::Discriminant<PollError>, Option<u16>) {
        let status = match self {
            PollError::Rejected { status, .. } | PollError::Busy { status, .. } => Some(*status),
            _ => None,
        };
        (std::mem::discriminant(self), status)
    }
}

/// Keeps count of failures in a row.
#[derive(Debug)]
pub(super) struct Failures {
    first_wait: Duration,
    in_a_row: u32,
    since: Option<Instant>,
    last_kind: Option<(std::mem::Discriminant<PollError>, Option<u16>)>,
    last_said: Option<Instant>,
    not_said: u32,
}

impl Failures {
    /// None so far. After the first failure the wait is no longer than polling would rest.
    pub(super) fn new(poll_interval: Duration) -> Failures {
        Failures {
            first_wait: poll_interval.min(FIRST_WAIT),
            in_a_row: 0,
            since: None,
            last_kind: None,
            last_said: None,
            not_said: 0,
        }
    }

    /// Takes note of a failure, says what is worth saying, and returns how long to wait.
    pub(super) fn failed(&mut self, error: &PollError, realm: &str, events: &str) -> Duration {
        let now = Instant::now();
        self.since.get_or_insert(now);
        self.in_a_row = self.in_a_row.saturating_add(1);
        let wait = self.wait(error);
        if self.is_worth_saying(error, now) {
            let (failures, unsaid) = (self.in_a_row, self.not_said);
            self.not_said = 0;
            warn!(realm, events, %error, failures, unsaid, retry_in = ?wait, "polling failed");
        } else {
            self.not_said += 1;
        }
        wait
    }

    /// Takes note of a success.
    pub(super) fn recovered(&mut self, realm: &str, events: &str) {
        if let Some(since) = self.since {
            let failures = self.in_a_row;
            info!(realm, events, failures, after = ?since.elapsed(), "polling works again");
        }
        *self = Failures::new(self.first_wait);
    }

    fn is_worth_saying(&mut self, error: &PollError, now: Instant) -> bool {
        let kind = Some(error.kind());
        let due = self
            .last_said
            .is_none_or(|said| now.duration_since(said) >= SUMMARY_EVERY);
        if due || self.last_kind != kind {
            self.last_kind = kind;
            self.last_said = Some(now);
            return true;
        }
        false
    }

    fn wait(&self, error: &PollError) -> Duration {
        if let PollError::Busy {
            retry_after: Some(asked),
            ..
        } = error
        {
            return (*asked).clamp(self.first_wait, LONGEST_ASKED);
        }
        if !error.may_pass() {
            return SLOW_WAIT;
        }
        let doublings = self.in_a_row.saturating_sub(1).min(16);
        let ceiling = self
            .first_wait
            .saturating_mul(1 << doublings)
            .min(LONGEST_WAIT);
        // At random, so that many pollers do not come back in step; never quite at once.
        rand::rng().random_range(ceiling / 10..=ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(retry_after: Option<Duration>) -> PollError {
        PollError::Busy {
            status: 503,
            retry_after,
        }
    }

    fn event_too_large() -> PollError {
        PollError::EventTooLarge {
            limit: 7,
            time: 5,
            first: 3,
        }
    }

    #[test]
    fn an_event_that_is_too_large_is_located_and_said_once() {
        let mut failures = Failures::new(SUMMARY_EVERY);
        let (error, now) = (event_too_large(), Instant::now());
        assert!(error.to_string().starts_with(
            "one event is larger than 7 bytes, and none behind it can be read: leaving out 3, it \
             is the first from 5 (milliseconds since 1970) on"
        ));
        assert!(failures.is_worth_saying(&error, now));
        assert!(!failures.is_worth_saying(&error, now + SLOW_WAIT));
    }

    #[test]
    fn waits_grow_to_a_ceiling_and_start_anew_after_a_success() {
        let mut failures = Failures::new(SUMMARY_EVERY);
        let mut longest = Duration::ZERO;
        for attempt in 0..40 {
            let wait = failures.failed(&busy(None), "shop", "user");
            let ceiling = FIRST_WAIT
                .saturating_mul(1 << attempt.min(16))
                .min(LONGEST_WAIT);
            assert!(
                (ceiling / 10..=ceiling).contains(&wait),
                "{attempt}: {wait:?}"
            );
            longest = longest.max(wait);
        }
        assert!(
            longest > LONGEST_WAIT / 2,
            "thirty draws below the ceiling: {longest:?}"
        );
        failures.recovered("shop", "user");
        assert!(failures.failed(&busy(None), "shop", "user") <= FIRST_WAIT);
    }

    #[test]
    fn a_wait_that_the_server_asks_for_is_kept_within_bounds() {
        let mut failures = Failures::new(SUMMARY_EVERY);
        for (asked, waited) in [(7, 7), (0, 0), (100_000, 120)] {
            let wait = failures.failed(&busy(Some(Duration::from_secs(asked))), "shop", "user");
            assert_eq!(wait, Duration::from_secs(waited).max(FIRST_WAIT));
        }
    }

    #[test]
    fn what_needs_a_person_is_tried_slowly() {
        let mut failures = Failures::new(SUMMARY_EVERY);
        let rejected = PollError::Rejected {
            status: 400,
            excerpt: String::new(),
        };
        let large = PollError::TooLarge { limit: 1 };
        for error in [
            PollError::Unauthorized,
            PollError::Forbidden,
            PollError::NotFound,
            rejected,
            large,
            event_too_large(),
        ] {
            assert_eq!(
                failures.failed(&error, "shop", "user"),
                SLOW_WAIT,
                "{error}"
            );
        }
        assert_eq!(
            failures.failed(&PollError::NoIds, "shop", "user"),
            SLOW_WAIT
        );
    }

    #[test]
    fn the_first_of_a_kind_is_said_and_then_a_summary_now_and_then() {
        let mut failures = Failures::new(SUMMARY_EVERY);
        let now = Instant::now();
        let mut said = |status, at| {
            let error = PollError::Busy {
                status,
                retry_after: None,
            };
            failures.is_worth_saying(&error, at)
        };
        assert!(said(503, now));
        assert!(!said(503, now));
        assert!(said(429, now));
        assert!(!said(429, now + SUMMARY_EVERY / 2));
        assert!(said(429, now + SUMMARY_EVERY));
        assert!(!said(429, now + SUMMARY_EVERY));
        assert!(failures.is_worth_saying(&PollError::Forbidden, now));
    }

    #[test]
    fn every_failure_that_needs_a_person_names_the_way_out() {
        let rejected = PollError::Rejected {
            status: 400,
            excerpt: "Invalid value for 'Date(From)'".to_owned(),
        };
        for (error, way_out) in [
            (PollError::Unauthorized, "kete.keycloak.url"),
            (PollError::Forbidden, "view-events"),
            (PollError::NotFound, "realm's name"),
            (PollError::Redirected { status: 302 }, "kete.keycloak.url"),
            (rejected, "26.2"),
            (PollError::TooLarge { limit: 7 }, "kete.keycloak.url"),
            (PollError::LongId { limit: 7 }, "kete.keycloak.url"),
            (event_too_large(), "start-from"),
            (PollError::NoIds, "26.2"),
        ] {
            assert!(!error.may_pass(), "{error}");
            assert!(error.to_string().contains(way_out), "{error}");
        }
    }

    #[test]
    fn what_may_pass_by_itself_is_told_from_what_does_not() {
        let malformed = serde_json::from_str::<u8>("x").unwrap_err();
        let token = |status| {
            PollError::Token(TokenError::Refused {
                endpoint: "http://host/token".to_owned(),
                status,
                error: "unauthorized_client".to_owned(),
                description: String::new(),
            })
        };
        for error in [
            busy(None),
            PollError::Unreachable("connection refused".to_owned()),
            PollError::Malformed(malformed),
            token(503),
        ] {
            assert!(error.may_pass(), "{error}");
        }
        assert!(!token(401).may_pass());
    }
}
