//! Where polling begins: `now`, `earliest`, or a point in time.

use kete_config::{Setting, rfc3339_millis};

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
