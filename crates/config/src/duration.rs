//! Durations: a whole number with a unit, or ISO-8601.
//!
//! The units are KETE's; ISO-8601 is what `java.time.Duration` reads but for signs: days to
//! seconds, with a fraction of seconds only. A bare number is refused, except by
//! [`SecondsOrDuration`], because nobody can tell which unit was meant. Nothing negative and
//! nothing above a hundred years gets through, so that adding a setting to the time of day cannot
//! overflow.

use std::time::Duration;

use crate::setting::{Setting, is_digits};

/// What the settings that must not be zero expect.
pub(crate) const EXPECTED_POSITIVE: &str =
    "a duration above zero with its unit, such as 500ms, 2s, 5m, 1h, 1d or PT2S";

const DAY: u64 = 24 * 60 * 60;
const YEAR: u64 = 365 * DAY;
const LONGEST: Duration = Duration::from_secs(100 * YEAR);

/// KETE's units, each as seconds and nanoseconds.
const UNITS: [(&str, u64, u32); 9] = [
    ("ns", 0, 1),
    ("us", 0, 1_000),
    ("ms", 0, 1_000_000),
    ("s", 1, 0),
    ("m", 60, 0),
    ("h", 60 * 60, 0),
    ("d", DAY, 0),
    ("w", 7 * DAY, 0),
    ("y", YEAR, 0),
];

/// A duration for which a bare number means seconds, as KETE fixed it for some names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecondsOrDuration(pub Duration);

impl Setting for Duration {
    const EXPECTED: &'static str =
        "a duration with its unit, such as 500ms, 2s, 5m, 1h, 1d or PT2S";

    fn parse(text: &str) -> Result<Duration, String> {
        if is_digits(text) {
            return Err(format!(
                "it has no unit\nadd one: {text}s for seconds, {text}ms for milliseconds"
            ));
        }
        parse(text)
    }
}

impl Setting for SecondsOrDuration {
    const EXPECTED: &'static str =
        "seconds as a whole number, or a duration such as 500ms, 2s, 5m, 1h, 1d or PT2S";

    fn parse(text: &str) -> Result<SecondsOrDuration, String> {
        let duration = if is_digits(text) {
            multiple(text, (1, 0))
        } else {
            parse(text)
        };
        duration.map(SecondsOrDuration)
    }
}

fn parse(text: &str) -> Result<Duration, String> {
    if text.is_empty() {
        return Err("it is blank".to_owned());
    }
    if text.starts_with('-') {
        return Err("it is negative".to_owned());
    }
    if text.starts_with(['p', 'P']) {
        return parse_iso(&text[1..]);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start().to_ascii_lowercase();
    let known = UNITS.iter().find(|(name, ..)| *name == unit);
    match known {
        _ if number.is_empty() => Err("it does not begin with a number".to_owned()),
        Some((_, seconds, nanoseconds)) => multiple(number, (*seconds, *nanoseconds)),
        None if unit.starts_with(['.', ',']) => {
            Err("fractions are not read\nuse a smaller unit: 1500ms for 1.5s".to_owned())
        }
        None if unit.contains(|character: char| character.is_ascii_digit()) => {
            Err("it has more than one part\nwrite 90s for 1m30s, or PT1M30S".to_owned())
        }
        None => Err("its unit is none of ns, us, ms, s, m, h, d, w, y".to_owned()),
    }
}

/// Reads what follows the `P` of an ISO-8601 duration.
fn parse_iso(text: &str) -> Result<Duration, String> {
    let malformed = || "it is not of the form P1DT2H3M4.5S".to_owned();
    let upper = text.to_ascii_uppercase();
    let (days, time) = match upper.split_once('T') {
        Some((_, "")) => return Err(malformed()),
        Some((days, time)) => (days, time),
        None => (upper.as_str(), ""),
    };
    if days.is_empty() && time.is_empty() {
        return Err(malformed());
    }
    if upper.contains('-') {
        return Err("a part of it is negative".to_owned());
    }
    let mut total = Duration::ZERO;
    for (mut rest, units) in [
        (days, &[('D', DAY)][..]),
        (time, &[('H', 60 * 60), ('M', 60), ('S', 1)][..]),
    ] {
        for (letter, seconds) in units {
            let Some((number, after)) = rest.split_once(*letter) else {
                continue;
            };
            rest = after;
            let part = match number.split_once(['.', ',']) {
                Some((whole, fraction)) if *letter == 'S' => fractional_seconds(whole, fraction),
                _ if is_digits(number) => multiple(number, (*seconds, 0)),
                _ => Err(malformed()),
            }?;
            total = bounded(total.checked_add(part))?;
        }
        if !rest.is_empty() {
            return Err(malformed());
        }
    }
    Ok(total)
}

/// Seconds with at most nine digits behind the point, as Java reads them.
fn fractional_seconds(whole: &str, fraction: &str) -> Result<Duration, String> {
    if !is_digits(whole) || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("it is not of the form P1DT2H3M4.5S".to_owned());
    }
    if fraction.len() > 9 {
        return Err("it has more than nine digits behind the point".to_owned());
    }
    let nanoseconds: u32 = format!("{fraction:0<9}").parse().unwrap_or(0);
    let seconds = multiple(whole, (1, 0))?;
    bounded(seconds.checked_add(Duration::new(0, nanoseconds)))
}

/// `number` units of (seconds, nanoseconds); the number is known to be digits.
fn multiple(number: &str, unit: (u64, u32)) -> Result<Duration, String> {
    let nanoseconds = u128::from(unit.0) * 1_000_000_000 + u128::from(unit.1);
    let total = number
        .parse::<u64>()
        .ok()
        .map(|count| u128::from(count) * nanoseconds);
    let duration = total.and_then(|total| {
        let seconds = u64::try_from(total / 1_000_000_000).ok()?;
        let rest = u32::try_from(total % 1_000_000_000).ok()?;
        Some(Duration::new(seconds, rest))
    });
    bounded(duration)
}

fn bounded(duration: Option<Duration>) -> Result<Duration, String> {
    duration
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| "it is longer than a hundred years".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_ISO: &str = "it is not of the form P1DT2H3M4.5S";

    #[test]
    fn every_unit_and_iso_form_is_read() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("500 ms", 500),
            ("2s", 2_000),
            ("2S", 2_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("1W", 604_800_000),
            ("1y", 31_536_000_000),
            ("0s", 0),
            ("PT2S", 2_000),
            ("pt0.5s", 500),
            ("PT0,5S", 500),
            ("PT1.S", 1_000),
            ("P1D", 86_400_000),
            ("P1DT1H1M1.001S", 90_061_001),
            ("PT90M", 5_400_000),
            ("100y", 3_153_600_000_000),
        ] {
            assert_eq!(
                Duration::parse(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        assert_eq!(Duration::parse("7ns"), Ok(Duration::from_nanos(7)));
        assert_eq!(Duration::parse("7us"), Ok(Duration::from_micros(7)));
        assert_eq!(
            Duration::parse("PT0.000000001S"),
            Ok(Duration::from_nanos(1))
        );
    }

    #[test]
    fn a_wrong_duration_says_why_and_what_to_write() {
        let long = "it is longer than a hundred years";
        let units = "its unit is none of ns, us, ms, s, m, h, d, w, y";
        for (text, why) in [
            ("", "it is blank"),
            (
                "10",
                "it has no unit\nadd one: 10s for seconds, 10ms for milliseconds",
            ),
            ("-5s", "it is negative"),
            ("-PT5S", "it is negative"),
            ("PT-5S", "a part of it is negative"),
            (
                "1.5s",
                "fractions are not read\nuse a smaller unit: 1500ms for 1.5s",
            ),
            (
                "1m30s",
                "it has more than one part\nwrite 90s for 1m30s, or PT1M30S",
            ),
            ("5min", units),
            ("5 µs", units),
            ("fast", "it does not begin with a number"),
            ("101y", long),
            ("36501d", long),
            ("99999999999999999999999s", long),
            ("18446744073709551615y", long),
            ("P36500DT1S", long),
            ("PT99999999999999999999S", long),
            ("P", NOT_ISO),
            ("PT", NOT_ISO),
            ("P1DT", NOT_ISO),
            ("P1Y", NOT_ISO),
            ("P1W", NOT_ISO),
            ("P1H", NOT_ISO),
            ("PT1D", NOT_ISO),
            ("PT1S1M", NOT_ISO),
            ("PT1.5M", NOT_ISO),
            ("PT.5S", NOT_ISO),
            ("PT1.xS", NOT_ISO),
            ("PTS", NOT_ISO),
            ("PT2", NOT_ISO),
            (
                "PT1.0000000001S",
                "it has more than nine digits behind the point",
            ),
        ] {
            assert_eq!(Duration::parse(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_seconds_only_where_the_type_says_so() {
        for (text, milliseconds) in [("3", 3_000), ("0", 0), ("3ms", 3), ("PT3S", 3_000)] {
            let expected = SecondsOrDuration(Duration::from_millis(milliseconds));
            assert_eq!(SecondsOrDuration::parse(text), Ok(expected), "{text}");
        }
        let long = Err("it is longer than a hundred years".to_owned());
        assert_eq!(SecondsOrDuration::parse("99999999999999999999999"), long);
        assert_eq!(
            SecondsOrDuration::parse("-3"),
            Err("it is negative".to_owned())
        );
        assert_eq!(SecondsOrDuration::parse(""), Err("it is blank".to_owned()));
    }
}
