//! Points in time as people write them: RFC 3339, and milliseconds since 1970 within.
//!
//! A time without an offset from UTC is refused, because nobody can tell which zone was meant.

/// The milliseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1_000;

/// Reads `2026-01-31T08:00:00[.123](Z|+01:00)` (RFC 3339, section 5.6) as milliseconds since 1970.
///
/// ```
/// assert_eq!(kete_config::rfc3339_millis("1970-01-01T01:00:00+01:00"), Some(0));
/// assert_eq!(kete_config::rfc3339_millis("1970-01-01T00:00:00"), None);
/// ```
pub fn rfc3339_millis(text: &str) -> Option<i64> {
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

/// Writes milliseconds since 1970 as `2026-01-31T08:00:00.123Z`. What lies outside the years 0 to
/// 9999, which no clock shows, is written as the number that it is.
///
/// ```
/// assert_eq!(kete_config::rfc3339(1_500), "1970-01-01T00:00:01.500Z");
/// ```
pub fn rfc3339(millis: i64) -> String {
    let (days, time) = (millis.div_euclid(DAY), millis.rem_euclid(DAY));
    let (year, month, day) = date(days);
    if !(0..=9999).contains(&year) {
        return millis.to_string();
    }
    let (seconds, fraction) = (time / 1_000, time % 1_000);
    let (minutes, second) = (seconds / 60, seconds % 60);
    let (hour, minute) = (minutes / 60, minutes % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z")
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

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn lengths_of_months(year: i64) -> [i64; 12] {
    let february = if is_leap(year) { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// The days from the first of 1970 to the first of a year, in the proleptic Gregorian calendar.
fn days_to_year(year: i64) -> i64 {
    let years = year - 1;
    let leap_days = years.div_euclid(4) - years.div_euclid(100) + years.div_euclid(400);
    // 719,162 days lie between the first day of the year 1 and that of 1970.
    years * 365 + leap_days - 719_162
}

/// `None` for a day that does not exist.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let lengths = lengths_of_months(year);
    let index = usize::try_from(month - 1).ok()?;
    let length = *lengths.get(index)?;
    let before: i64 = lengths[..index].iter().sum();
    (1..=length)
        .contains(&day)
        .then_some(days_to_year(year) + before + day - 1)
}

/// The year, month and day of a number of days since 1970.
fn date(days: i64) -> (i64, i64, i64) {
    // 400 years have 146,097 days, so this is the year or the one after it.
    let mut year = 1970 + days.saturating_mul(400).div_euclid(146_097) + 1;
    while days_to_year(year) > days {
        year -= 1;
    }
    let mut day = days - days_to_year(year);
    let mut month = 1;
    for length in lengths_of_months(year) {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59Z", -1_000),
            ("2000-03-01T00:00:00Z", 951_868_800_000),
            ("2026-11-21T02:15:30.447Z", 1_795_227_330_447),
            ("2026-11-21t03:15:30.4471+01:00", 1_795_227_330_447),
            ("2026-11-20 20:45:30.4-05:30", 1_795_227_330_400),
            ("2016-12-31T23:59:60Z", 1_483_228_799_000),
        ] {
            assert_eq!(rfc3339_millis(text), Some(millis), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_not_read() {
        for text in [
            "",
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
            assert_eq!(rfc3339_millis(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for day in (-719_528..2_932_896).step_by(53) {
            let millis = day * DAY + 12_345_678;
            let text = rfc3339(millis);
            assert_eq!(rfc3339_millis(&text), Some(millis), "{text}");
        }
        for millis in [0, -1, 951_782_400_000, 951_868_799_999, 253_402_300_799_999] {
            assert_eq!(rfc3339_millis(&rfc3339(millis)), Some(millis), "{millis}");
        }
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00.000Z");
    }

    #[test]
    fn times_that_no_clock_shows_are_numbers() {
        assert_eq!(rfc3339(253_402_300_800_000), "253402300800000");
        assert_eq!(rfc3339(i64::MAX), i64::MAX.to_string());
        assert_eq!(rfc3339(i64::MIN), i64::MIN.to_string());
    }
}
