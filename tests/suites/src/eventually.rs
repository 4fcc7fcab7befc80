//! Waiting for something to become true, with a deadline and with the last reason why it was not.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How long a test waits for what has to happen; far longer than it takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// How often it is asked.
const EVERY: Duration = Duration::from_millis(20);

/// Asks until there is an answer.
///
/// # Errors
///
/// There was none within [`PATIENCE`]; the last reason is part of the error.
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    eventually_within(PATIENCE, what, ask).await
}

/// As [`eventually`], with another deadline.
///
/// # Errors
///
/// There was no answer in time.
pub async fn eventually_within<T>(
    patience: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let until = Instant::now() + patience;
    let mut turns = interval(EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(reason) if Instant::now() >= until => {
                return Err(reason.context(format!("not within {patience:?}: {what}")));
            }
            Err(_) => {}
        }
    }
}

/// Waits for a future, but not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> Result<T> {
    let waited = timeout(PATIENCE, future).await;
    waited.with_context(|| format!("not within {PATIENCE:?}: {what}"))
}
