//! Finds the events of a body: one JSON object, several one after the other, or an array of them.
//!
//! A body is judged as a whole, so the first thing that is not an event decides. Errors say which
//! event it is and on which line it begins, and never quote the body. How deep the JSON nests does
//! not matter: values are skipped over without recursion.

use kete_event::{Event, ParseError};
use serde_json::Deserializer;
use serde_json::value::RawValue;

/// What was in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Events.
    pub(super) events: usize,
    /// Messages of the webhook extension itself, which are not Keycloak's events.
    pub(super) ignored: usize,
}

/// Why a body is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadBody {
    /// There is nothing in it.
    #[error("the body is empty, expected one event, an array of events, or one event per line")]
    Empty,
    /// It is not text.
    #[error("not UTF-8 on line {line}, events must be JSON in UTF-8")]
    NotUtf8 {
        /// Where the first wrong byte is.
        line: usize,
    },
    /// It is malformed. The message below comes from `serde_json` and holds no input.
    #[error("event {number}: not valid JSON: {problem}")]
    Syntax {
        /// The event, counted from 1.
        number: usize,
        /// What is wrong, and where in the body.
        problem: serde_json::Error,
    },
    /// The array is malformed.
    #[error("the array of events is not valid JSON: {0}")]
    Array(serde_json::Error),
    /// A part of it is valid JSON, but no event.
    #[error("event {number}, which begins on line {line}: {problem}")]
    NotAnEvent {
        /// The event, counted from 1.
        number: usize,
        /// The line of the body on which it begins, counted from 1.
        line: usize,
        /// What is wrong; places are counted from where the event begins.
        problem: ParseError,
    },
}

/// Hands every event of a body to `take`, and counts them.
///
/// # Errors
///
/// The first thing in the body that is not an event. `take` has got the events before it.
pub(super) fn each(body: &[u8], mut take: impl FnMut(Event<'_>)) -> Result<Counts, BadBody> {
    let text = std::str::from_utf8(body).map_err(|error| BadBody::NotUtf8 {
        line: line_at(body, error.valid_up_to()),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut counts = Counts::default();
    if text.trim_start().starts_with('[') {
        let values: Vec<&RawValue> = serde_json::from_str(text).map_err(BadBody::Array)?;
        for (index, value) in values.into_iter().enumerate() {
            one(text, value.get(), index + 1, &mut counts, &mut take)?;
        }
        return Ok(counts);
    }
    let values = Deserializer::from_str(text).into_iter::<&RawValue>();
    for (index, value) in values.enumerate() {
        let number = index + 1;
        let value = value.map_err(|problem| BadBody::Syntax { number, problem })?;
        one(text, value.get(), number, &mut counts, &mut take)?;
    }
    if counts == Counts::default() {
        return Err(BadBody::Empty);
    }
    Ok(counts)
}

fn one(
    body: &str,
    value: &str,
    number: usize,
    counts: &mut Counts,
    take: &mut impl FnMut(Event<'_>),
) -> Result<(), BadBody> {
    match Event::parse(value.as_bytes()) {
        Ok(event) => {
            counts.events += 1;
            take(event);
            Ok(())
        }
        // Its sender would send it again for a quarter of an hour if it were refused.
        Err(problem) if problem.is_foreign() => {
            counts.ignored += 1;
            Ok(())
        }
        Err(problem) => {
            // The value is a part of the body, so their addresses tell where it begins.
            let offset = (value.as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
            let line = line_at(body.as_bytes(), offset);
            Err(BadBody::NotAnEvent {
                number,
                line,
                problem,
            })
        }
    }
}

fn line_at(body: &[u8], offset: usize) -> usize {
    let before = &body[..offset.min(body.len())];
    1 + memchr::memchr_iter(b'\n', before).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &str = r#"{"id":"1","type":"LOGIN"}"#;
    const LOGOUT: &str = r#"{"id":"2","type":"LOGOUT"}"#;
    const SYSTEM: &str = r#"{"type":"system.SOMETHING","uid":"3"}"#;

    fn types(body: &str) -> Result<(Vec<String>, usize), String> {
        let mut types = Vec::new();
        let counts = each(body.as_bytes(), |event| {
            types.push(event.event_type().into_owned())
        })
        .map_err(|error| error.to_string())?;
        assert_eq!(counts.events, types.len());
        Ok((types, counts.ignored))
    }

    fn both() -> Result<(Vec<String>, usize), String> {
        Ok((vec!["LOGIN".to_owned(), "LOGOUT".to_owned()], 0))
    }

    #[test]
    fn one_event_in_any_layout() {
        let one = Ok((vec!["LOGIN".to_owned()], 0));
        assert_eq!(types(LOGIN), one);
        assert_eq!(types(&format!("\u{feff}\r\n {LOGIN}\n")), one);
        assert_eq!(types("{\n  \"type\": \"LOGIN\"\n}\n"), one);
        assert_eq!(types(&format!("[{LOGIN}]")), one);
    }

    #[test]
    fn several_as_lines_or_as_an_array() {
        assert_eq!(types(&format!("{LOGIN}\n{LOGOUT}")), both());
        assert_eq!(types(&format!("{LOGIN}\r\n\r\n{LOGOUT}\r\n")), both());
        assert_eq!(types(&format!("\n[{LOGIN},\n {LOGOUT}]\n")), both());
        assert_eq!(types("[]"), Ok((Vec::new(), 0)));
    }

    #[test]
    fn messages_of_the_extension_itself_are_left_out() {
        assert_eq!(types(SYSTEM), Ok((Vec::new(), 1)));
        assert_eq!(
            types(&format!("{SYSTEM}\n{LOGIN}")),
            Ok((vec!["LOGIN".to_owned()], 1))
        );
    }

    #[test]
    fn an_error_names_the_event_the_line_and_the_reason() {
        for (body, expected) in [
            ("".to_owned(), "the body is empty"),
            (" \n ".to_owned(), "the body is empty"),
            (
                format!("{LOGIN}\n{{\"type\":"),
                "event 2: not valid JSON: EOF while parsing",
            ),
            (format!("{LOGIN}\n{{\"type\":"), "line 2"),
            (
                format!("{LOGIN}\nhello"),
                "event 2: not valid JSON: expected value at line 2",
            ),
            (
                format!("[{LOGIN},"),
                "the array of events is not valid JSON: EOF",
            ),
            (format!("[{LOGIN}] x"), "trailing characters at line 1"),
            (
                format!("[{LOGIN},\n\n {{}}]"),
                "event 2, which begins on line 3: no event type",
            ),
            (
                format!("{LOGIN}\n[{LOGIN}]"),
                "event 2, which begins on line 2: expected one event",
            ),
            (
                "\"text\"".to_owned(),
                "event 1, which begins on line 1: expected one event",
            ),
        ] {
            let error = types(&body).unwrap_err();
            assert!(error.contains(expected), "{body}: {error}");
        }
        let error = each(b"{}\n\xff", |_event| {}).unwrap_err();
        assert_eq!(
            error.to_string(),
            "not UTF-8 on line 2, events must be JSON in UTF-8"
        );
    }

    #[test]
    fn deep_nesting_is_an_error_or_an_event_but_never_a_crash() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(types(&deep).unwrap_err().contains("expected one event"));
        assert!(types(&"[".repeat(100_000)).unwrap_err().contains("EOF"));
        let inside = format!(r#"[{LOGIN},{{"type":"LOGIN","x":{deep}}}]"#);
        assert!(types(&inside).unwrap_err().contains("event 2"));
        assert!(
            types(&"{\"a\":".repeat(100_000))
                .unwrap_err()
                .contains("EOF")
        );
    }
}
