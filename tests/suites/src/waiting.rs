//! Events that wait because their server cannot be reached.

use anyhow::{Result, ensure};

use crate::{Kete, Metrics};

/// Waits until so many events of the route are under way and the route has failed to connect for
/// this reason (the label `kind`; blank: any); none of them may have been given up.
///
/// # Errors
///
/// The metrics say otherwise.
pub async fn all_wait(kete: &Kete, route: &str, count: usize, reason: &str) -> Result<Metrics> {
    let failed = |now: &Metrics| match reason {
        "" => now.sum("kete_route_connect_failures_total", &[("route", route)]) > 0,
        reason => now.connect_failures(route, reason) > 0,
    };
    let what = format!("{route}: {count} events wait, the reason is {reason}");
    let waiting = kete.wait_until(&what, |now| failed(now) && now.lag(route) == count as u64);
    let metrics = waiting.await?;
    ensure!(metrics.failed(route) == 0, "{route}: events were given up");
    Ok(metrics)
}
