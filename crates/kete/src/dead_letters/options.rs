//! What can be asked of dead letters, and in which words.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use kete_config::rfc3339;
use kete_pipeline::FailureReason;
use kete_pipeline::dead_letters::Filter;

use crate::cli::DataOptions;
use crate::when::{self, When};

/// The most letters of one list; an export has no bound.
const MOST_LISTED: i64 = 10_000;
/// The most letters of one range that is shown.
const MOST_SHOWN: u64 = 100;

pub(crate) const ABOUT: &str = "\
Looks after events that could not be delivered, whether kete runs or not.

An event becomes a dead letter when its receiver has refused it as often as retry.max-attempts
allows, or when it can never be sent. A kete that runs is asked over its control socket. If none
runs, the files are opened here, and none can start meanwhile. The configuration says where they
are (kete.data-dir or kete.dead-letters.path); --data-dir says it without one.

Letters are chosen by route, reason, time, event type, user and number. Each option can be given
several times, and any of its values will do; different options must all fit. The time is that at
which the event was given up.";

const LIST: &str = "\
Lists dead letters, newest last.

Long ids are cut off at the end; `show` and --format json have them whole.";

const EXPORT: &str = "\
Writes whole dead letters, one JSON object per line, to standard output or into a file.

They stay where they are. The file is for its owner alone, and one that is there already is left
alone.";

const REPLAY: &str = "\
Sends the events again, each to the route that had given it up, whatever its matchers say now.

They are sent apart from live events, in their order among each other, and marked as replays with
destination.event-id=argument. A letter leaves the store when the queue has its event safely; what
is refused again becomes a new dead letter. Letters of routes that are not configured any more, or
switched off, stay.

If kete does not run, the events wait in the queue of kete.data-dir until it does.";

const PURGE: &str = "\
Deletes dead letters for good.

Nothing is deleted without --yes; without it, only the count of what would go is said.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  kete dead-letters list --config kete.properties --from 1d
      Shows what was given up within the last day.
  kete dead-letters show 17 --config kete.properties
      Shows all of number 17, with its event.
  kete dead-letters replay --route shop --reason refused --config kete.properties
      Sends again what the receiver of the route shop had refused.
  kete dead-letters export --route shop --output shop.ndjson --config kete.properties
      Writes those of the route shop into a file.
  kete dead-letters purge --number 3-9 --number 17 --yes --config kete.properties
      Deletes these.

Exit codes: 0 done, 1 failed, or some letters could not be sent again, 2 wrong usage or
configuration.";

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// Lists dead letters, newest last.
    #[command(long_about = LIST)]
    List(ListOptions),
    /// Shows all of some dead letters, with their events.
    Show(ShowOptions),
    /// Sends the events again, each to the route that had given it up.
    #[command(long_about = REPLAY)]
    Replay(ReplayOptions),
    /// Writes whole dead letters, one JSON object per line.
    #[command(long_about = EXPORT)]
    Export(ExportOptions),
    /// Deletes dead letters for good.
    #[command(long_about = PURGE)]
    Purge(PurgeOptions),
}

/// Which letters are meant.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FilterOptions {
    /// Those of this route.
    #[arg(long, value_name = "ROUTE")]
    pub(crate) route: Vec<String>,
    /// Those that were given up for this reason.
    #[arg(long, value_name = "REASON", value_parser = reasons())]
    pub(crate) reason: Vec<String>,
    /// Those since 2026-01-31T08:00:00Z, milliseconds since 1970, or a while ago such as 1h.
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    pub(crate) from: Option<When>,
    /// Those until then.
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    pub(crate) to: Option<When>,
    /// Those of this type, such as LOGIN_ERROR or USER_CREATE.
    #[arg(long, value_name = "TYPE")]
    pub(crate) event_type: Vec<String>,
    /// Those about the user with this id.
    #[arg(long, value_name = "ID")]
    pub(crate) user_id: Vec<String>,
    /// The one with this number, or all in a range such as 3-9.
    #[arg(long, value_name = "NUMBER", value_parser = numbers)]
    pub(crate) number: Vec<RangeInclusive<u64>>,
}

/// What `dead-letters list` has.
#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    #[command(flatten)]
    pub(crate) data: DataOptions,
    #[command(flatten)]
    pub(crate) filter: FilterOptions,
    /// The most that are shown; the newest are.
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=MOST_LISTED))]
    pub(crate) limit: u16,
}

/// What `dead-letters show` has.
#[derive(Debug, Args)]
pub(crate) struct ShowOptions {
    #[command(flatten)]
    pub(crate) data: DataOptions,
    /// Their numbers, as `list` shows them, or ranges such as 3-9.
    #[arg(value_name = "NUMBER", required = true, value_parser = shown)]
    pub(crate) numbers: Vec<RangeInclusive<u64>>,
}

/// What `dead-letters replay` has.
#[derive(Debug, Args)]
pub(crate) struct ReplayOptions {
    #[command(flatten)]
    pub(crate) data: DataOptions,
    #[command(flatten)]
    pub(crate) filter: FilterOptions,
}

/// What `dead-letters export` has.
#[derive(Debug, Args)]
pub(crate) struct ExportOptions {
    #[command(flatten)]
    pub(crate) data: DataOptions,
    #[command(flatten)]
    pub(crate) filter: FilterOptions,
    /// The file to write; without it, standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// What `dead-letters purge` has.
#[derive(Debug, Args)]
pub(crate) struct PurgeOptions {
    #[command(flatten)]
    pub(crate) data: DataOptions,
    #[command(flatten)]
    pub(crate) filter: FilterOptions,
    /// All of them.
    #[arg(long)]
    pub(crate) all: bool,
    /// Really deletes them.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// The span ends before it begins.
#[derive(Debug, thiserror::Error)]
#[error("the span ends before it begins: --from is {from}, --to is {to}")]
pub(crate) struct WrongSpan {
    from: String,
    to: String,
}

impl FilterOptions {
    /// The letters that are meant now.
    ///
    /// # Errors
    ///
    /// The span ends before it begins.
    pub(crate) fn filter(&self) -> Result<Filter, WrongSpan> {
        let now = when::now();
        let millis = |time: Option<When>| time.map(|time| time.millis(now));
        let (from, to) = (millis(self.from), millis(self.to));
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            let (from, to) = (rfc3339(from), rfc3339(to));
            return Err(WrongSpan { from, to });
        }
        Ok(Filter {
            routes: self.route.clone(),
            reasons: self.reason.clone(),
            from,
            to,
            event_types: self.event_type.clone(),
            user_ids: self.user_id.clone(),
            numbers: self.number.clone(),
        })
    }
}

fn reasons() -> PossibleValuesParser {
    PossibleValuesParser::new(FailureReason::ALL.map(FailureReason::as_str))
}

/// `7`, or `3-9`.
fn numbers(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str| match text.trim().parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("expected a number such as 7, or a range such as 3-9".to_owned()),
    };
    let Some((first, last)) = text.split_once('-') else {
        let only = number(text)?;
        return Ok(only..=only);
    };
    match (number(first)?, number(last)?) {
        (first, last) if first > last => Err(format!("it ends before it begins: {last} < {first}")),
        (first, last) => Ok(first..=last),
    }
}

/// The same, as far as it can be shown at once: all of it is in memory then.
fn shown(text: &str) -> Result<RangeInclusive<u64>, String> {
    let range = numbers(text)?;
    match range.end() - range.start() {
        0..MOST_SHOWN => Ok(range),
        _ => Err(format!(
            "at most {MOST_SHOWN} are shown at once; `export --number {text}` writes them all"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_to_be_shown_has_a_bound() {
        assert_eq!(shown("3-9"), Ok(3..=9));
        assert_eq!(shown("1-100"), Ok(1..=100));
        let long = shown("1-101").unwrap_err();
        assert!(long.contains("`export --number 1-101` writes"), "{long}");
        assert!(shown("0").is_err());
    }

    #[test]
    fn numbers_are_single_or_in_a_row() {
        assert_eq!(numbers("7"), Ok(7..=7));
        assert_eq!(numbers("3-9"), Ok(3..=9));
        assert_eq!(numbers(" 3 - 9 "), Ok(3..=9));
        for wrong in ["", "0", "x", "9-3", "-3", "3-", "1-2-3"] {
            assert!(numbers(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_span_that_ends_before_it_begins_is_wrong() {
        let options = FilterOptions {
            from: Some(When::At(2_000)),
            to: Some(When::At(1_000)),
            ..FilterOptions::default()
        };
        let wrong = options.filter().unwrap_err().to_string();
        assert!(wrong.contains("--from is 1970-01-01T00:00:02"), "{wrong}");
        assert!(FilterOptions::default().filter().unwrap().is_everything());
    }
}
