//! Points in time on the command line, and how times are shown in answers.
//!
//! People ask for "the last hour", scripts for exact times: both are read. Times without an offset
//! from UTC are refused, for nobody can tell whose clock was meant. Answers are in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kete_config::{Setting, rfc3339, rfc3339_millis};

/// What one may write.
const EXPECTED: &str = "a time such as 2026-01-31T08:00:00Z or 2026-01-31T09:00:00+01:00, \
                        milliseconds since 1970, a while ago such as 1h or \"90m ago\", or now";

/// Milliseconds of 1973; a smaller number was meant as something else.
const SHORTEST: i64 = 100_000_000_000;

/// A point in time, as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Milliseconds since 1970.
    At(i64),
    /// So long before now.
    Ago(Duration),
}

impl When {
    /// In milliseconds since 1970, if it is `now` (in the same unit) now.
    pub(crate) fn millis(self, now: i64) -> i64 {
        match self {
            When::At(millis) => millis,
            When::Ago(duration) => {
                now.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
            }
        }
    }
}

/// Reads a point in time; for `clap`.
pub(crate) fn parse(text: &str) -> Result<When, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("now") {
        return Ok(When::Ago(Duration::ZERO));
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return number(text).map(When::At);
    }
    if let Some(millis) = rfc3339_millis(text) {
        return Ok(When::At(millis));
    }
    if rfc3339_millis(&format!("{text}Z")).is_some() {
        return Err(format!(
            "it does not say in which time zone; for UTC: {text}Z"
        ));
    }
    let span = text.strip_suffix("ago").map_or(text, str::trim_end);
    match Duration::parse(span) {
        Ok(duration) => Ok(When::Ago(duration)),
        // Why a duration is wrong helps only whoever meant one, which begins with its number.
        Err(why) if span.starts_with(|first: char| first.is_ascii_digit()) && !is_date(span) => {
            Err(wrong(why.lines().next().unwrap_or_default()))
        }
        Err(_) => Err(wrong("it is none of these")),
    }
}

/// Whether it may be meant as a time of the calendar.
fn is_date(text: &str) -> bool {
    text.contains(['-', ':', '/'])
}

/// Seconds instead of milliseconds would silently mean a day of January 1970.
fn number(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(millis) if (1..SHORTEST).contains(&millis) => Err(format!(
            "milliseconds since 1970 have 13 digits; if these are seconds: {text}000"
        )),
        Ok(millis) => Ok(millis),
        Err(_) => Err(wrong("it is too large")),
    }
}

fn wrong(why: &str) -> String {
    format!("expected {EXPECTED}, but {why}")
}

/// Now, in milliseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// Why nothing can have been taken within a span, if so; all three in milliseconds since 1970.
pub(crate) fn nothing_between(from: i64, to: i64, now: i64) -> Option<String> {
    let (begins, ends, today) = (rfc3339(from), rfc3339(to), rfc3339(now));
    if from > now {
        return Some(format!(
            "--from lies in the future, so nothing was taken since: it is {begins}, and now is \
             {today}"
        ));
    }
    (from > to)
        .then(|| format!("the span ends before it begins: --from is {begins}, --to is {ends}"))
}

/// How long something lasts, for people: its two largest units, such as `2h 5m`.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [
        ("d", seconds / 86_400),
        ("h", seconds / 3_600 % 24),
        ("m", seconds / 60 % 60),
        ("s", seconds % 60),
    ];
    let Some(first) = units.iter().position(|(_, number)| *number > 0) else {
        return "0s".to_owned();
    };
    let shown = units[first..].iter().take(2);
    let words = shown.filter(|(_, number)| *number > 0);
    let words: Vec<String> = words
        .map(|(unit, number)| format!("{number}{unit}"))
        .collect();
    words.join(" ")
}

/// How long ago it was; zero for what lies ahead, which a clock that was set back makes possible.
pub(crate) fn age(millis: i64, now: i64) -> Duration {
    Duration::from_millis(u64::try_from(now.saturating_sub(millis)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_227_330_447;

    #[test]
    fn every_way_to_say_when() {
        for (text, millis) in [
            ("now", NOW),
            (" NOW ", NOW),
            ("0", 0),
            ("1795223730447", 1_795_223_730_447),
            ("2026-11-21T02:15:30.447Z", NOW),
            ("2026-11-21T03:15:30.447+01:00", NOW),
            ("1h", NOW - 3_600_000),
            ("1h ago", NOW - 3_600_000),
            ("90m  ago", NOW - 5_400_000),
            ("PT2S", NOW - 2_000),
            ("2d", NOW - 172_800_000),
        ] {
            assert_eq!(
                parse(text).map(|when| when.millis(NOW)),
                Ok(millis),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_words() {
        for text in [
            "",
            "yesterday",
            "ago",
            "-1h",
            "2026-02-30T00:00:00Z",
            "1x",
            "90000d",
            "99999999999999999999",
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.starts_with("expected a time such as"), "{text}");
        }
        for (text, why) in [
            ("90000d", ", but it is longer than"),
            ("1x", ", but its unit is none of"),
            ("2026-02-30T00:00:00Z", ", but it is none of these"),
            ("yesterday", ", but it is none of these"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(why), "{text}: {problem}");
        }
        assert_eq!(
            parse("1795227330"),
            Err(
                "milliseconds since 1970 have 13 digits; if these are seconds: 1795227330000"
                    .to_owned()
            )
        );
        assert_eq!(
            parse("2026-11-21T02:15:30"),
            Err("it does not say in which time zone; for UTC: 2026-11-21T02:15:30Z".to_owned())
        );
    }

    #[test]
    fn a_span_without_anything_in_it_says_why() {
        let nothing = |from, to| nothing_between(from, to, NOW).unwrap_or_default();
        assert_eq!(nothing(NOW - 2, NOW - 1), "");
        assert_eq!(nothing(NOW, NOW), "");
        assert!(nothing(NOW - 1, NOW - 2).starts_with("the span ends before it begins: --from is"));
        // Without --to the span ends now, which is not what is wrong.
        assert!(nothing(NOW + 1, NOW).starts_with("--from lies in the future"));
    }

    #[test]
    fn spans_are_short() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (61, "1m 1s"),
            (7_500, "2h 5m"),
            (3_601, "1h"),
            (86_400 * 3 + 3_600 * 4 + 59, "3d 4h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
        assert_eq!(age(NOW - 1_000, NOW), Duration::from_secs(1));
        assert_eq!(age(NOW + 1_000, NOW), Duration::ZERO);
    }
}
