//! What is known between two requests: the token in use, and the last failure. No I/O here; the
//! caller brings the time.

use std::time::Duration;

use tokio::time::Instant;

use super::clock::Moment;
use super::{Token, TokenError};

/// The first and the longest time for which a failure is not tried again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// What is to be done for a caller who wants a token.
#[derive(Debug)]
pub(super) enum Step {
    /// Give out this one.
    Use(Token),
    /// It is time for another one. This one is still good until then.
    Renew(Token),
    /// There is none.
    Fetch,
    /// There is none, and it is too early to ask again.
    Fail(TokenError),
}

/// Nothing is known at first.
#[derive(Debug, Default)]
pub(super) struct State {
    current: Option<Token>,
    /// The last token, even if it was refused.
    last: Option<Token>,
    failure: Option<(TokenError, Instant)>,
    failures: u32,
    refused: bool,
}

impl State {
    pub(super) fn step(&self, now: Moment) -> Step {
        let current = self.current.as_ref();
        if let Some(token) = current.filter(|token| token.is_fresh(now)) {
            return Step::Use(token.clone());
        }
        let still_good = self.still_good(now);
        if let Some((error, until)) = &self.failure
            && now.monotonic < *until
        {
            return still_good.map_or_else(|| Step::Fail(error.clone()), Step::Use);
        }
        still_good.map_or(Step::Fetch, Step::Renew)
    }

    /// A token that is due to be renewed, but is not expired.
    pub(super) fn still_good(&self, now: Moment) -> Option<Token> {
        self.current.as_ref()?.to_its_end(now)
    }

    /// The last token there was.
    pub(super) fn last(&self) -> Option<&Token> {
        self.last.as_ref()
    }

    /// A token came.
    pub(super) fn fetched(&mut self, token: Token) -> Token {
        let token = token.after_refusal(self.refused);
        *self = State {
            current: Some(token.clone()),
            last: Some(token.clone()),
            ..State::default()
        };
        token
    }

    /// None came. Nobody asks again for a while.
    pub(super) fn failed(&mut self, error: TokenError, now: Moment) {
        self.failure = Some((error, now.monotonic + pause(self.failures)));
        self.failures = self.failures.saturating_add(1);
    }

    /// A server refused a token. Returns whether it is worth trying again at once.
    pub(super) fn refused(&mut self, token: &Token, now: Moment) -> bool {
        match &self.current {
            Some(current) if !current.is(token) => return true,
            Some(_) => {
                self.current = None;
                self.refused = true;
                // That is reason enough for a request even if one has just failed.
                self.failure = None;
            }
            None => {}
        }
        token.refusal_is_news(now)
    }
}

/// How long a failure is not tried again: doubling, with jitter in the upper half.
fn pause(failures: u32) -> Duration {
    let (first, longest) = PAUSE;
    let ceiling = first.saturating_mul(1 << failures.min(16)).min(longest);
    ceiling.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}

#[cfg(test)]
mod tests;
