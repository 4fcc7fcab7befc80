//! Sending a route again what was taken within a span of time.
//!
//! A span may hold millions of events. So a replay is asked for in parts: each answer says how far
//! it has come, and the next question says where it goes on. Whoever stops asking ends it.

use std::time::Duration;

use kete_config::{nearest, rfc3339};
use kete_pipeline::{ReplayError, Replayer, SpanProgress};
use kete_queue::{NotTaken, Receipt, Span};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use crate::assemble::RouteNames;

/// How long one part takes at most. That its events are safe takes one more sync.
const PART: Duration = Duration::from_secs(10);
/// And how many batches, for each has a receipt to wait for.
const BATCHES: usize = 256;

/// What is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Replay {
    pub(crate) route: String,
    /// Milliseconds since 1970, both inclusive.
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// How far it has come; none at the beginning.
    pub(crate) progress: Option<SpanProgress>,
}

/// How far it has come.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Replayed {
    pub(crate) route: String,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) progress: SpanProgress,
}

/// What became of all of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    pub(crate) route: String,
    /// Milliseconds since 1970, both inclusive.
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// Events that are sent again.
    pub(crate) events: u64,
    /// Whether a kete runs that sends them now.
    pub(crate) running: bool,
}

impl Outcome {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let (route, from, to) = (&self.route, rfc3339(self.from), rfc3339(self.to));
        match self.events {
            0 => format!(
                "nothing was taken between {from} and {to} that is still stored and that route \
                 {route} wants\n  kete.queue.retain says how long events are kept after delivery\n"
            ),
            events => {
                let events = match events {
                    1 => "1 event goes".to_owned(),
                    events => format!("{events} events go"),
                };
                let when = match self.running {
                    true => "now",
                    false => "when kete runs again",
                };
                format!(
                    "{events} to route {route} again, {when}\n  taken between {from} and {to}\n"
                )
            }
        }
    }
}

/// Refuses a route that is not configured, and says which may have been meant.
pub(crate) fn check_route(routes: &RouteNames, route: &str) -> Result<(), String> {
    let known = || routes.enabled.iter().map(String::as_str);
    if known().any(|name| name == route) {
        return Ok(());
    }
    if routes.disabled.iter().any(|name| name == route) {
        return Err(format!(
            "route {route} is switched off (kete.routes.{route}.enabled), and gets nothing"
        ));
    }
    let hint = match nearest(route, known()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there is {}", known().collect::<Vec<_>>().join(", ")),
    };
    Err(format!("there is no route {route}; {hint}"))
}

/// Does the next part, and waits until it is safe where that does not depend on a receiver.
pub(crate) async fn replay_part(
    replayer: &Replayer,
    question: Replay,
    durable: bool,
) -> Result<Replayed, String> {
    let Replay {
        route, from, to, ..
    } = question;
    let span = Span { from, to };
    let until = Instant::now() + PART;
    let mut progress = question.progress.unwrap_or_else(|| replayer.begin_span());
    let mut receipt = Receipt::safe();
    for _ in 0..BATCHES {
        if progress.is_done() {
            break;
        }
        let part = replayer.replay_part(&route, span, &mut progress);
        match timeout_at(until, part).await {
            Ok(taken) => receipt = receipt.and(&taken.map_err(words)?),
            // There is no room now. Whoever asks waits on by asking again.
            Err(_) => break,
        }
    }
    if durable {
        let safe = receipt.settled().await;
        safe.map_err(|NotTaken| words(ReplayError::Stopping))?;
    }
    Ok(Replayed {
        route,
        from,
        to,
        progress,
    })
}

fn words(problem: ReplayError) -> String {
    problem.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(enabled: &[&str], disabled: &[&str]) -> RouteNames {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        RouteNames {
            enabled: owned(enabled),
            disabled: owned(disabled),
        }
    }

    #[test]
    fn a_route_must_be_there_and_switched_on() {
        let routes = names(&["dashboard", "audit"], &["paused"]);
        assert_eq!(check_route(&routes, "audit"), Ok(()));
        for (route, refused) in [
            (
                "dashbord",
                "there is no route dashbord; did you mean dashboard?",
            ),
            ("x", "there is no route x; there is dashboard, audit"),
            (
                "paused",
                "route paused is switched off (kete.routes.paused.enabled), and gets nothing",
            ),
        ] {
            assert_eq!(check_route(&routes, route), Err(refused.to_owned()));
        }
    }

    #[test]
    fn the_outcome_is_a_sentence() {
        let outcome = |events, running| {
            let (from, to) = (1_795_223_730_447, 1_795_227_330_447);
            let route = "shop".to_owned();
            let outcome = Outcome {
                route,
                from,
                to,
                events,
                running,
            };
            outcome.text()
        };
        assert_eq!(
            outcome(12, true),
            "12 events go to route shop again, now\n  \
             taken between 2026-11-21T01:15:30.447Z and 2026-11-21T02:15:30.447Z\n"
        );
        assert!(outcome(1, false).starts_with("1 event goes to route shop again, when kete runs"));
        assert!(outcome(0, true).starts_with("nothing was taken between 2026-11-21T01:15:30"));
    }
}
