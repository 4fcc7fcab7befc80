//! What the queue holds, route by route: gathered from a log, sent over the control socket, shown.
//!
//! The JSON names are a format that others rely on: they are added to, never changed.

use std::path::Path;
use std::time::Duration;

use kete_config::Size;
use kete_pipeline::{PipelineSettings, REPLAYS_SUFFIX};
use kete_queue::{ConsumerStatus, Queue, ReadError, Retain, Span, Sync};
use serde::{Deserialize, Serialize};

use crate::assemble::RouteNames;
use crate::when;

/// The directory of the queue's files in a data directory.
const QUEUE: &str = "queue";

/// What is kept of delivered events if nothing is set.
const NOTHING: &str = "nothing";

/// What the queue holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// Whether a kete runs, and answered this.
    pub(crate) running: bool,
    /// Where and how it is kept.
    pub(crate) log: Log,
    /// Every route that has a place in it.
    pub(crate) routes: Vec<Route>,
    /// Events that somebody has not settled.
    events: u64,
    /// The bytes that count against the bound.
    bytes: u64,
    /// When the oldest event was taken that is stored, delivered or not, in milliseconds since 1970.
    oldest_stored_at: Option<i64>,
    /// The bytes of all files, with what is kept of delivered events.
    bytes_on_disk: Option<u64>,
}

/// Where and how the queue is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Log {
    /// The data directory; none if the queue is in memory.
    pub(crate) directory: Option<String>,
    /// When it is synced, as it is configured.
    pub(crate) sync: Option<String>,
    /// What is kept of events that were delivered, as it is configured.
    pub(crate) retain: Option<String>,
    /// The bounds, as they are configured.
    pub(crate) max_events: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
}

/// A route's place in the queue.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Route {
    /// Its name.
    pub(crate) name: String,
    /// Whether this is about what it gets again, and not about what is new.
    pub(crate) replay: bool,
    pub(crate) state: State,
    /// Events that wait for it.
    events: u64,
    /// Their bytes.
    bytes: u64,
    /// When the oldest of them was taken, in milliseconds since 1970.
    oldest_accepted_at: Option<i64>,
    /// Events that it has lost at a bound: since this kete began those that it dropped itself, and
    /// since it has its place those that the queue lost while nobody worked for it.
    dropped: u64,
}

/// What is known of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Somebody works for it.
    Running,
    /// It is configured, and no kete runs.
    NotRunning,
    /// It is configured and switched off.
    SwitchedOff,
    /// The configuration has no route of this name.
    Removed,
    /// No configuration was named.
    Unknown,
}

impl Status {
    /// Asks a log; `routes` are those of the configuration, if there is one.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub(crate) async fn of(
        queue: &dyn Queue,
        routes: &RouteNames,
        log: Log,
        running: bool,
    ) -> Result<Status, ReadError> {
        let usage = queue.usage();
        look_for_oldest(queue).await?;
        let consumers = queue.consumers();
        let mut found: Vec<Route> = consumers
            .iter()
            .map(|consumer| Route::of(consumer, routes))
            .collect();
        found.sort_by(|one, other| (&one.name, one.replay).cmp(&(&other.name, other.replay)));
        Ok(Status {
            running,
            routes: found,
            events: usage.events,
            bytes: usage.bytes,
            oldest_stored_at: oldest_stored(queue).await?,
            bytes_on_disk: log
                .directory
                .as_deref()
                .map(Path::new)
                .and_then(bytes_of_files),
            log,
        })
    }

    /// Adds what routes have dropped since this kete began, which the log is not told.
    pub(crate) fn count_dropped(&mut self, by_route: impl Fn(&str) -> u64) {
        for route in self.routes.iter_mut().filter(|route| !route.replay) {
            route.dropped += by_route(&route.name);
        }
    }

    /// For people; `now` is in milliseconds since 1970.
    pub(crate) fn text(&self, now: i64) -> String {
        let mut text = table(&self.routes, now);
        let Log {
            directory,
            sync,
            retain,
            max_events,
            max_bytes,
        } = &self.log;
        let running = match self.running {
            true => "kete runs",
            false => "kete does not run",
        };
        let place = match directory {
            Some(directory) => format!("on disk, in {directory}"),
            None => "in memory".to_owned(),
        };
        line(&mut text, "queue", &format!("{place}; {running}"));
        let bytes = approximately(self.bytes);
        let mut stored = format!("{}, {bytes}", amount(self.events));
        if let (Some(events), Some(bytes)) = (max_events, max_bytes) {
            stored.push_str(&format!(" of at most {events} events, {}", Size(*bytes)));
        }
        if self.events > 0 {
            // Behind the oldest, everything is held, whether somebody still waits for it or not.
            stored.push_str("; from the oldest that waits on");
        }
        line(&mut text, "held", &stored);
        if let Some(bytes) = self.bytes_on_disk {
            let kept = bytes.saturating_sub(self.bytes);
            let kept = match retain.as_deref() {
                None | Some(NOTHING) => String::new(),
                Some(_) => format!(", {} of it kept after delivery", approximately(kept)),
            };
            let since = self.oldest_stored_at.map(|at| when::age(at, now));
            let since = since.map(|age| format!(", the oldest event {} old", when::span(age)));
            let files = approximately(bytes) + &kept + &since.unwrap_or_default();
            line(&mut text, "files", &files);
        }
        for (name, value) in [("synced", sync), ("kept when delivered", retain)] {
            if let Some(value) = value {
                line(&mut text, name, value);
            }
        }
        text
    }
}

/// Reads the first event that waits for each route that nobody works for, by which the log learns
/// when it was taken. Routes that somebody works for are left to their reader.
async fn look_for_oldest(queue: &dyn Queue) -> Result<(), ReadError> {
    let unknown = |place: &ConsumerStatus| {
        !place.attached && place.lag.events > 0 && place.oldest_accepted_at.is_none()
    };
    for place in queue.consumers().iter().filter(|place| unknown(place)) {
        if let Some(consumer) = queue.find(&place.name) {
            queue.read(consumer, place.cursor + 1, 1, 1).await?;
        }
    }
    Ok(())
}

async fn oldest_stored(queue: &dyn Queue) -> Result<Option<i64>, ReadError> {
    let ever = Span {
        from: i64::MIN,
        to: i64::MAX,
    };
    let first = queue.read_again(ever, 0, 1, 1).await?.records;
    Ok(first.first().map(|record| record.header.accepted_at))
}

/// Files come and go while kete runs; what cannot be told is left out.
pub(super) fn bytes_of_files(directory: &Path) -> Option<u64> {
    let files = std::fs::read_dir(directory.join(QUEUE)).ok()?;
    let length = |file: std::io::Result<std::fs::DirEntry>| Some(file.ok()?.metadata().ok()?.len());
    Some(files.filter_map(length).sum())
}

impl Log {
    /// As it is configured, as far as that is known.
    pub(crate) fn of(directory: Option<&Path>, pipeline: Option<&PipelineSettings>) -> Log {
        let storage = pipeline.and_then(|pipeline| pipeline.storage.as_ref());
        Log {
            directory: directory.map(|directory| directory.display().to_string()),
            sync: storage.map(|storage| sync_words(storage.sync)),
            retain: storage.map(|storage| retain_words(storage.retain)),
            max_events: pipeline.map(|pipeline| pipeline.queue.max_events),
            max_bytes: pipeline.map(|pipeline| pipeline.queue.max_bytes),
        }
    }
}

impl Route {
    fn of(consumer: &ConsumerStatus, routes: &RouteNames) -> Route {
        let (name, replay) = route_of(&consumer.name);
        Route {
            name: name.to_owned(),
            replay,
            state: match consumer.attached {
                true => State::Running,
                false => State::of(name, routes),
            },
            events: consumer.lag.events,
            bytes: consumer.lag.bytes,
            oldest_accepted_at: consumer.oldest_accepted_at,
            dropped: consumer.dropped,
        }
    }

    fn cells(&self, now: i64) -> [String; 6] {
        let name = match self.replay {
            true => format!("{} (replay)", self.name),
            false => self.name.clone(),
        };
        let oldest = match self.oldest_accepted_at {
            Some(at) if self.events > 0 => when::span(when::age(at, now)),
            _ => "–".to_owned(),
        };
        let bytes = approximately(self.bytes);
        [
            name,
            self.state.words().to_owned(),
            self.events.to_string(),
            bytes,
            oldest,
            self.dropped.to_string(),
        ]
    }
}

impl State {
    /// What is known of a route that nobody works for.
    fn of(name: &str, routes: &RouteNames) -> State {
        let has = |names: &[String]| names.iter().any(|known| known == name);
        if has(&routes.enabled) {
            State::NotRunning
        } else if has(&routes.disabled) {
            State::SwitchedOff
        } else if routes.enabled.is_empty() && routes.disabled.is_empty() {
            State::Unknown
        } else {
            State::Removed
        }
    }

    fn words(self) -> &'static str {
        match self {
            State::Running => "running",
            State::NotRunning => "not running",
            State::SwitchedOff => "switched off",
            State::Removed => "no route of this name",
            State::Unknown => "–",
        }
    }
}

/// The name of the consumer of a route's replays.
pub(crate) fn replay_name(route: &str) -> String {
    format!("{route}{REPLAYS_SUFFIX}")
}

/// The route that a consumer is of, and whether it is the one of its replays.
pub(crate) fn route_of(consumer: &str) -> (&str, bool) {
    match consumer.strip_suffix(REPLAYS_SUFFIX) {
        Some(route) => (route, true),
        None => (consumer, false),
    }
}

fn table(routes: &[Route], now: i64) -> String {
    if routes.is_empty() {
        return "no route has a place in the queue yet\n\n".to_owned();
    }
    let head = ["ROUTE", "STATE", "WAITING", "BYTES", "OLDEST", "DROPPED"].map(str::to_owned);
    // Every route has a place for replays; only those in use say something.
    let shown = routes
        .iter()
        .filter(|route| !route.replay || route.events > 0);
    let rows: Vec<[String; 6]> = std::iter::once(head)
        .chain(shown.map(|route| route.cells(now)))
        .collect();
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let [name, state, waiting, bytes, oldest, dropped] = std::array::from_fn(width);
    let mut text = String::new();
    for [a, b, c, d, e, f] in &rows {
        text.push_str(&format!(
            "{a:<name$}  {b:<state$}  {c:>waiting$}  {d:>bytes$}  {e:>oldest$}  {f:>dropped$}\n"
        ));
    }
    text.push('\n');
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    text.push_str(&format!("{name:<20} {value}\n"));
}

/// A number of events for people.
pub(super) fn amount(events: u64) -> String {
    match events {
        1 => "1 event".to_owned(),
        events => format!("{events} events"),
    }
}

/// A size for people: three digits are enough to see what is large.
pub(crate) fn approximately(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64;
    let mut unit = "B";
    for larger in UNITS {
        if size < 1_000.0 {
            break;
        }
        size /= 1_024.0;
        unit = larger;
    }
    match unit {
        "B" => format!("{bytes} B"),
        _ if size < 10.0 => format!("{size:.1} {unit}"),
        _ => format!("{size:.0} {unit}"),
    }
}

/// How often the queue is synced, in words.
pub(crate) fn sync_words(sync: Sync) -> String {
    match sync {
        Sync::Always => "always".to_owned(),
        Sync::Interval(interval) => format!("every {}", short(interval)),
        Sync::Never => "never".to_owned(),
    }
}

/// What is kept of delivered events, in words.
pub(crate) fn retain_words(retain: Option<Retain>) -> String {
    let Some(retain) = retain else {
        return NOTHING.to_owned();
    };
    let age = retain.age.map(short);
    let bytes = retain.bytes.map(|bytes| Size(bytes).to_string());
    let parts: Vec<String> = age.into_iter().chain(bytes).collect();
    parts.join(", at most ")
}

/// Whole seconds as [`when::span`] shows them, less as it is.
fn short(duration: Duration) -> String {
    match duration.subsec_nanos() {
        0 => when::span(duration),
        _ => format!("{duration:?}"),
    }
}

#[cfg(test)]
mod tests;
