//! Where polling begins: `now`, `earliest`, or a point in time.

use kete_config::Setting;

/// The value of `start-from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartFrom {
    /// The server's time at the first answer, less the overlap.
    Now,
    /// Everything that the store still has.
    Earliest,
    /// Milliseconds since 1970; nothing older is taken.
    At(i64),
}

impl Setting for StartFrom {
    const EXPECTED: &'static str =
        "now, earliest, milliseconds since 1970, or a time such as 2026-01-31T08:00:00Z";

    fn parse(text: &str) -> Result<StartFrom, String> {
        match text.to_ascii_lowercase().as_str() {
            "" => return Err("it is blank".to_owned()),
            "now" => return Ok(StartFrom::Now),
            "earliest" => return Ok(StartFrom::Earliest),
            _ => {}
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let millis = text.parse().map_err(|_| "it is too large".to_owned())?;
            return Ok(StartFrom::At(millis));
        }
        match rfc3339_millis(text) {
            Some(millis) if millis < 0 => Err("it is before 1970".to_owned()),
            Some(millis) => Ok(StartFrom::At(millis)),
            None => Err("it is none of these".to_owned()),
        }
    }
}

/// Reads `2026-01-31T08:00:00[.123](Z|+01:00)` (RFC 3339, section 5.6) as milliseconds since 1970.
fn rfc3339_millis(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (time, rest) = rest.split_at_checked(8)?;
    let [year, month, day] = parts(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = parts(time, ':', [2, 2, 2])?;
    let (fraction, zone) = split_fraction(rest)?;
    // A leap second has no place in milliseconds since 1970 and is read as the one before.
    let in_range = hour < 24 && minute < 60 && second <= 60;
    let days = days_since_1970(year, month, day)?;
    let offset = offset_minutes(zone)?;
    let minutes = (days * 24 + hour) * 60 + minute - offset;
    in_range.then_some((minutes * 60 + second.min(59)) * 1_000 + fraction)
}

/// Three numbers with a fixed number of digits each.
fn parts(text: &str, separator: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut numbers = [0; 3];
    let mut found = text.split(separator);
    for (number, digits) in numbers.iter_mut().zip(digits) {
        *number = number_of(found.next()?, digits)?;
    }
    found.next().is_none().then_some(numbers)
}

fn number_of(text: &str, digits: usize) -> Option<i64> {
    let valid = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| text.parse().ok())?
}

/// Milliseconds of the fraction, and what follows it.
fn split_fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, zone) = rest.split_at(digits);
    let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
    (digits > 0).then_some((millis.parse().ok()?, zone))
}

fn offset_minutes(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, offset) = match zone.strip_prefix('+') {
        Some(offset) => (1, offset),
        None => (-1, zone.strip_prefix('-')?),
    };
    let (hours, minutes) = offset.split_once(':')?;
    let (hours, minutes) = (number_of(hours, 2)?, number_of(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// Days of the proleptic Gregorian calendar; `None` for a day that does not exist.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if leap { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let index = usize::try_from(month - 1).ok()?;
    let length = *lengths.get(index)?;
    let before: i64 = lengths[..index].iter().sum();
    let years = year - 1;
    let leap_days = years / 4 - years / 100 + years / 400;
    // 719,162 days lie between the first day of the year 1 and that of 1970.
    let first_of_year = years * 365 + leap_days - 719_162;
    (1..=length)
        .contains(&day)
        .then_some(first_of_year + before + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_say_when() {
        for (text, start) in [
            ("now", StartFrom::Now),
            ("NOW", StartFrom::Now),
            ("earliest", StartFrom::Earliest),
            ("0", StartFrom::At(0)),
            ("1795223730447", StartFrom::At(1_795_223_730_447)),
            ("1970-01-01T00:00:00Z", StartFrom::At(0)),
            ("2000-03-01T00:00:00Z", StartFrom::At(951_868_800_000)),
            ("2026-11-21T02:15:30.447Z", StartFrom::At(1_795_227_330_447)),
            (
                "2026-11-21t03:15:30.4471+01:00",
                StartFrom::At(1_795_227_330_447),
            ),
            (
                "2026-11-20 20:45:30.4-05:30",
                StartFrom::At(1_795_227_330_400),
            ),
            ("2016-12-31T23:59:60Z", StartFrom::At(1_483_228_799_000)),
        ] {
            assert_eq!(StartFrom::parse(text), Ok(start), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "yesterday",
            "2026-01-31",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+1:00",
            "2026-1-01T00:00:00Z ",
            "2026-01-01T00:00Z",
            "２026-01-01T00:00:00Z",
        ] {
            assert_eq!(
                StartFrom::parse(text),
                Err("it is none of these".to_owned()),
                "{text}"
            );
        }
        assert!(StartFrom::parse("99999999999999999999").is_err());
        assert_eq!(
            StartFrom::parse("1969-12-31T23:59:59Z"),
            Err("it is before 1970".to_owned())
        );
        assert_eq!(StartFrom::parse(""), Err("it is blank".to_owned()));
    }
}
