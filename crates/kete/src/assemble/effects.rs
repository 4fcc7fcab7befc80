//! Settings that are right, each for itself, and defeat each other.
//!
//! All of them are warnings: kete runs with them, only not as whoever set them expects.

use std::time::Duration;

use kete_config::{AnyKey, Diagnostics, Positive, Setting, Settings, Size};
use kete_pipeline::{Deliveries, PipelineSettings};
use kete_queue::Sync;

use super::ROOT;
use super::sources::{self, ShownSource};
use crate::logging::LogLevel;
use crate::settings::ProcessSettings;

/// What would change nothing as it is set.
const NO_EFFECT: &str = "no-effect";
/// Senders are answered before their events can be safe.
const TOO_LATE: &str = "safe-too-late";

/// The source that answers its senders, and what it answers when.
const WEBHOOK: &str = "webhook";
const RESPOND_WHEN: &str = "respond-when";
const RESPOND_TIMEOUT: &str = "respond-timeout";

/// Warns of delivery lines that the level leaves out.
pub(super) fn judge_log(settings: &Settings, process: &ProcessSettings, found: &Diagnostics) {
    let quiet = matches!(process.log.level, LogLevel::Error | LogLevel::Warn);
    if quiet && process.deliveries != Deliveries::Off {
        let message = "this changes nothing: the lines have the level info, and kete.log.level \
                       leaves them out";
        let help = "set kete.log.level=info, or leave this key out".to_owned();
        settings
            .scope(ROOT, found)
            .warn("log.deliveries", NO_EFFECT, message, help);
    }
}

/// Warns of webhooks that would say 503 to nearly everything, because they wait less for a sync
/// than the next one may be away.
pub(super) fn judge_sync(
    settings: &Settings,
    pipeline: &PipelineSettings,
    sources: &[ShownSource],
    found: &Diagnostics,
) {
    let Some(Sync::Interval(interval)) = pipeline.storage.as_ref().map(|storage| storage.sync)
    else {
        return;
    };
    for shown in sources {
        let source = &shown.source;
        if source.kind.name != WEBHOOK {
            continue;
        }
        let section = format!("{}.{}", sources::SECTION, source.name);
        let value = |name| written(settings, &section, source.kind.keys, name);
        let patience =
            value(RESPOND_TIMEOUT).and_then(|text| Positive::<Duration>::parse(&text).ok());
        let waits = value(RESPOND_WHEN).is_some_and(|text| text.eq_ignore_ascii_case("safe"));
        if let (true, Some(Positive(patience))) = (waits, patience)
            && interval >= patience
        {
            let message = format!(
                "events are safe up to {interval:?} after they came, and source {} answers 503 \
                 after {patience:?} ({section}.{RESPOND_TIMEOUT}): its senders would hardly ever \
                 learn that an event was taken, and send it again",
                source.name
            );
            let help = format!("sync more often than every {patience:?}");
            let scope = settings.scope(ROOT, found);
            scope.warn("queue.sync-interval", TOO_LATE, message, help);
        }
    }
}

/// Warns of routes that may be behind by more than there is room for. Only in memory are the two
/// counted alike: on disk, events take less than what a route is behind by is counted as.
pub(super) fn judge_lag(
    settings: &Settings,
    pipeline: &PipelineSettings,
    section: &str,
    max_lag: u64,
    found: &Diagnostics,
) {
    let bound = pipeline.queue.max_bytes;
    if pipeline.storage.is_none() && max_lag > bound {
        let message = format!(
            "no route is ever so far behind: kete.queue.max-bytes ({}) bounds all of them together",
            Size(bound)
        );
        let help = "raise kete.queue.max-bytes above it, or leave this key out".to_owned();
        let scope = settings.scope(section, found);
        scope.warn("queue.max-lag-bytes", NO_EFFECT, message, help);
    }
}

/// A value as it is written, or its default.
fn written(
    settings: &Settings,
    section: &str,
    keys: &[&'static dyn AnyKey],
    name: &str,
) -> Option<String> {
    let unheard = Diagnostics::new();
    let set = settings.scope(section, &unheard).raw(name);
    let key = keys.iter().find(|key| key.name() == name);
    let default = || key.and_then(|key| key.default()).map(str::to_owned);
    set.map(|(text, _)| text).or_else(default)
}
