//! A token, as callers hold it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderValue;
use tokio::time::Instant;

use super::clock::Moment;

/// How long before its end a token is renewed, as in KETE.
const MARGIN: Duration = Duration::from_secs(30);

/// With less than this left, a token may end on its way to where it is shown.
const TOO_LITTLE: Duration = Duration::from_secs(5);

/// So long a token that was fetched because of a refusal has to hold before its own refusal is
/// taken for news, and worth another request at once.
const PROBATION: Duration = Duration::from_secs(30);

/// A token. Clones are the same token.
#[derive(Clone)]
pub struct Token {
    text: Arc<str>,
    bearer: HeaderValue,
    use_until: Instant,
    /// Its life began at the latest when it was asked for.
    asked_at: Moment,
    lifetime: Duration,
    /// It was fetched because a server had refused the one before.
    after_refusal: bool,
}

impl Token {
    /// `None` if no header can carry it: RFC 6750, section 2.1, knows letters, digits and some
    /// signs; here every visible ASCII character will do.
    pub(super) fn new(text: &str, asked_at: Moment, lifetime: Duration) -> Option<Token> {
        let is_visible = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let bearer = HeaderValue::try_from(format!("Bearer {text}")).ok();
        let mut bearer = bearer.filter(|_| is_visible)?;
        bearer.set_sensitive(true);
        Some(Token {
            text: Arc::from(text),
            bearer,
            use_until: asked_at.monotonic + useful(lifetime),
            asked_at,
            lifetime,
            after_refusal: false,
        })
    }

    /// The token itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The value of an `Authorization` header (RFC 6750, section 2.1), marked as a secret.
    #[must_use]
    pub fn bearer(&self) -> HeaderValue {
        self.bearer.clone()
    }

    /// When it should be replaced: some time before its end, so that what was authorized with it
    /// can be retired in peace. A token that was given out because no newer one could be had is
    /// to be used until its very end.
    ///
    /// This clock does not count while the machine sleeps, so after that it may be too late. The
    /// source of the token notices such a sleep and gives out another one.
    #[must_use]
    pub fn use_until(&self) -> Instant {
        self.use_until
    }

    /// Whether both are the same token from the same answer.
    pub(super) fn is(&self, other: &Token) -> bool {
        Arc::ptr_eq(&self.text, &other.text)
    }

    /// The same token, fetched because the one before it was refused.
    pub(super) fn after_refusal(self, after_refusal: bool) -> Token {
        Token {
            after_refusal,
            ..self
        }
    }

    /// Whether it is too early to replace it.
    pub(super) fn is_fresh(&self, now: Moment) -> bool {
        now.since(self.asked_at) < useful(self.lifetime)
    }

    /// The same token for as long as it is not expired, to be used to its end.
    pub(super) fn to_its_end(&self, now: Moment) -> Option<Token> {
        let good = now.since(self.asked_at) < self.lifetime;
        let use_until = self.asked_at.monotonic + self.lifetime;
        good.then(|| Token {
            use_until,
            ..self.clone()
        })
    }

    /// Whether it is better to wait for the next one: it has less than 5 seconds left, or less than
    /// a fifth of a short life.
    pub(super) fn is_about_to_end(&self, now: Moment) -> bool {
        let left = self.lifetime.saturating_sub(now.since(self.asked_at));
        left < TOO_LITTLE.min(self.lifetime / 5)
    }

    /// Whether a refusal of it says something new: not if it was fetched just now because of one.
    pub(super) fn refusal_is_news(&self, now: Moment) -> bool {
        !self.after_refusal || now.since(self.asked_at) >= PROBATION
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(hidden)")
    }
}

/// How long a token of this lifetime is used: a short one for half of it.
fn useful(lifetime: Duration) -> Duration {
    if lifetime <= 2 * MARGIN {
        lifetime / 2
    } else {
        lifetime - MARGIN
    }
}
