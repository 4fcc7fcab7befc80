//! All of some dead letters, with their events, for people.

use std::fmt::Write;
use std::ops::RangeInclusive;

use kete_config::rfc3339;
use kete_pipeline::dead_letters::{Filter, StoredLetter};
use serde::Serialize;

use super::access::Letters;
use super::options::ShowOptions;
use super::{Failure, Said, harmless, in_format};
use crate::exit::Exit;
use crate::{output, when};

/// As programs read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    letters: Vec<StoredLetter>,
    /// Numbers of which there are no letters.
    missing: Vec<u64>,
    /// Ranges in which there is no letter at all, as they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing_ranges: Vec<String>,
}

/// Shows the letters that were asked for; some may not be there.
pub(super) async fn show(letters: &Letters<'_>, options: &ShowOptions) -> Result<Said, Failure> {
    let mut asked = options.numbers.clone();
    asked.sort_unstable_by_key(|range| (*range.start(), *range.end()));
    asked.dedup();
    let filter = Filter {
        numbers: asked.clone(),
        ..Filter::default()
    };
    let mut found = Vec::new();
    let mut after = Some(asked.first().map_or(0, |first| first.start() - 1));
    while let Some(number) = after {
        let slice = letters.slice(&filter, number).await?;
        found.extend(slice.letters);
        after = slice.next;
    }
    asked.retain(|range| !found.iter().any(|letter| range.contains(&letter.number)));
    let shown = Shown::of(found, &asked);
    shown.say_missing();
    let exit = match asked.is_empty() {
        true => Exit::Fine,
        false => Exit::Failed,
    };
    let text = in_format(options.data.options.format, &shown, || {
        let texts: Vec<String> = shown.letters.iter().map(text).collect();
        texts.join("\n")
    });
    Ok(Said { text, exit })
}

impl Shown {
    fn of(letters: Vec<StoredLetter>, missing: &[RangeInclusive<u64>]) -> Shown {
        let (single, ranges): (Vec<_>, Vec<_>) = missing
            .iter()
            .partition(|range| range.start() == range.end());
        let written = |range: &RangeInclusive<u64>| format!("{}-{}", range.start(), range.end());
        Shown {
            letters,
            missing: single.into_iter().map(|range| *range.start()).collect(),
            missing_ranges: ranges.into_iter().map(written).collect(),
        }
    }

    fn say_missing(&self) {
        let single = self.missing.iter().map(u64::to_string);
        let ranges = self.missing_ranges.iter();
        for missing in single.chain(ranges.map(|range| format!("in {range}"))) {
            output::to_stderr(&format!(
                "error: there is no dead letter {missing}; `kete dead-letters list` shows those \
                 that are there\n"
            ));
        }
    }
}

fn text(letter: &StoredLetter) -> String {
    let age = when::span(when::age(letter.at, when::now()));
    let event_type = letter.event_type();
    let mut text = String::new();
    for (name, value) in [
        ("number", letter.number.to_string()),
        ("given up", format!("{} ({age} ago)", rfc3339(letter.at))),
        ("route", letter.route.clone()),
        ("reason", letter.reason.clone()),
        ("detail", letter.detail.clone()),
        ("attempts", letter.attempts.to_string()),
        ("source", letter.source.clone()),
        ("accepted", rfc3339(letter.accepted_at)),
        (
            "event type",
            event_type.unwrap_or_else(|| "unknown".to_owned()),
        ),
        ("event id", letter.event_id.clone()),
    ] {
        // A String can always be written to.
        let _infallible = writeln!(text, "{name:<12} {}", harmless(&value).replace('\n', " "));
    }
    text.push_str("event\n");
    text.push_str(&event(letter));
    text.push('\n');
    text
}

/// The event over several lines, with its members in their order and its values as they are.
fn event(letter: &StoredLetter) -> String {
    let mut pretty = String::new();
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    let mut characters = letter.event.get().chars().peekable();
    let new_line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.push_str(&"  ".repeat(depth));
    };
    while let Some(character) = characters.next() {
        if in_text {
            pretty.push(character);
            in_text = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            '"' => {
                pretty.push(character);
                in_text = true;
            }
            '{' | '[' => {
                pretty.push(character);
                while characters.next_if(char::is_ascii_whitespace).is_some() {}
                if characters
                    .next_if(|next| matches!(next, '}' | ']'))
                    .is_some()
                {
                    pretty.push(if character == '{' { '}' } else { ']' });
                } else {
                    depth += 1;
                    new_line(&mut pretty, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut pretty, depth);
                pretty.push(character);
            }
            ',' => {
                pretty.push(character);
                new_line(&mut pretty, depth);
            }
            ':' => pretty.push_str(": "),
            _ if character.is_ascii_whitespace() => {}
            _ => pretty.push(character),
        }
    }
    harmless(&pretty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_spread_over_lines_and_keeps_its_order_and_values() {
        let event_of = |json: &str| {
            let line = format!(
                r#"{{"number":1,"at":0,"route":"a","reason":"refused","detail":"","attempts":1,
                "source":"s","acceptedAt":0,"eventId":"e","event":{json}}}"#
            );
            event(&serde_json::from_str(&line).unwrap())
        };
        let expected = r#"{
  "z": "a, \"b\": {c} \\",
  "n": 1.50,
  "empty": {},
  "list": [
    1,
    []
  ]
}"#;
        let written = r#"{"z":"a, \"b\": {c} \\", "n":1.50,"empty":{ },"list":[1,[]]}"#;
        assert_eq!(event_of(written), expected);
    }
}
