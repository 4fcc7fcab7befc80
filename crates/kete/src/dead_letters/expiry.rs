//! Letting dead letters go that are too old, also when no new ones come.

use std::convert::Infallible;
use std::time::Duration;

use kete_pipeline::DeadLetters;
use tokio::time::{MissedTickBehavior, interval};
use tracing::error;

/// How often they are looked at.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// Deletes what is too old, now and from time to time; it never ends.
pub(crate) async fn expire(letters: &DeadLetters) -> Infallible {
    let mut times = interval(EVERY);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        if let Err(problem) = letters.expire().await {
            let problem = problem.to_string();
            error!(
                problem,
                "dead letters that are too old could not be deleted"
            );
        }
    }
}
