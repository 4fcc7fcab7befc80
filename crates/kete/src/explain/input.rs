//! Finds the events in an input that people paste: one per line, printed over several lines, or
//! in arrays.
//!
//! A line is an event of its own wherever it can be. Only where the JSON of a line is cut off are
//! the next lines added to it, and if that leads nowhere the line alone is bad and the others are
//! looked at anew: one broken line never swallows the good ones behind it. An event is bounded, so
//! an endless line is read past without being kept.

use std::collections::VecDeque;
use std::io::{BufRead, Read};

use serde_json::value::RawValue;

/// The largest event, and the largest array, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;
/// The most lines that one event may be spread over.
const MAX_LINES: usize = 10_000;

/// One thing in the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A JSON value that may be an event.
    Event {
        /// The line, from 1, on which it begins.
        line: u64,
        json: Vec<u8>,
    },
    /// Something that cannot be one.
    Bad {
        /// The line, from 1.
        line: u64,
        problem: String,
    },
}

/// The items of an input.
pub(super) struct Input<R> {
    reader: R,
    /// Lines that were read ahead.
    ahead: VecDeque<Line>,
    /// How many lines were read.
    lines: u64,
    /// Items that were found together with the last one.
    found: VecDeque<Item>,
    ended: bool,
}

struct Line {
    number: u64,
    /// What is in it, or why it cannot be used.
    text: Result<Vec<u8>, String>,
}

/// What the beginning of the input turned out to be.
enum Value {
    Whole(Vec<u8>),
    CutOff,
    Wrong,
}

impl<R: BufRead> Input<R> {
    pub(super) fn new(reader: R) -> Input<R> {
        let (ahead, found) = (VecDeque::new(), VecDeque::new());
        Input {
            reader,
            ahead,
            lines: 0,
            found,
            ended: false,
        }
    }

    fn next_line(&mut self) -> Option<Line> {
        if let Some(line) = self.ahead.pop_front() {
            return Some(line);
        }
        self.read_line()
    }

    fn read_line(&mut self) -> Option<Line> {
        if self.ended {
            return None;
        }
        let number = self.lines + 1;
        let mut text = Vec::new();
        match (&mut self.reader)
            .take(MAX_BYTES + 1)
            .read_until(b'\n', &mut text)
        {
            Ok(0) => {
                self.ended = true;
                return None;
            }
            Ok(_) => {}
            Err(error) => {
                self.ended = true;
                let text = Err(format!("standard input cannot be read: {error}"));
                return Some(Line { number, text });
            }
        }
        self.lines = number;
        if text.last() != Some(&b'\n') && text.len() as u64 > MAX_BYTES {
            self.ended = self.reader.skip_until(b'\n').is_err();
            let text = Err(format!("the line is longer than {MAX_BYTES} bytes"));
            return Some(Line { number, text });
        }
        Some(Line {
            number,
            text: Ok(text),
        })
    }

    /// Adds lines to one whose JSON is cut off, until it is whole. `None` if it never is; the
    /// lines that were added are then looked at anew.
    fn complete(&mut self, beginning: &[u8]) -> Option<Vec<u8>> {
        let mut text = beginning.to_vec();
        let mut taken = VecDeque::new();
        let mut whole = None;
        while taken.len() < MAX_LINES && text.len() as u64 <= MAX_BYTES {
            let Some(line) = self.next_line() else { break };
            let Ok(more) = &line.text else {
                taken.push_back(line);
                break;
            };
            text.extend_from_slice(more);
            // Only a line that closes something can make it whole.
            let closes = matches!(more.trim_ascii().last(), Some(b'}' | b']'));
            taken.push_back(line);
            if !closes {
                continue;
            }
            match read(&text) {
                Value::Whole(json) => {
                    whole = Some(json);
                    break;
                }
                Value::CutOff => {}
                Value::Wrong => break,
            }
        }
        if whole.is_none() {
            taken.append(&mut self.ahead);
            self.ahead = taken;
        }
        whole
    }

    fn items(&mut self, line: Line) {
        let Line { number, text } = line;
        let text = match text {
            Ok(text) => text,
            Err(problem) => {
                self.found.push_back(Item::Bad {
                    line: number,
                    problem,
                });
                return;
            }
        };
        if text.trim_ascii().is_empty() {
            return;
        }
        let json = match read(&text) {
            Value::Whole(json) => json,
            Value::CutOff => self.complete(&text).unwrap_or(text),
            Value::Wrong => return self.several(number, text),
        };
        self.unpack(number, json);
    }

    /// A line that is not one JSON value may be several in a row.
    fn several(&mut self, line: u64, text: Vec<u8>) {
        let values = serde_json::Deserializer::from_slice(&text).into_iter::<&RawValue>();
        let values: Result<Vec<&RawValue>, _> = values.collect();
        match values {
            Ok(values) => {
                for value in values {
                    self.unpack(line, value.get().as_bytes().to_vec());
                }
            }
            // The parser of events says best what is wrong with it.
            Err(_) => self.unpack(line, text),
        }
    }

    /// An array holds events; everything else is one, or is refused as one.
    fn unpack(&mut self, line: u64, json: Vec<u8>) {
        let json = json.trim_ascii().to_vec();
        if json.first() == Some(&b'[')
            && let Ok(values) = serde_json::from_slice::<Vec<&RawValue>>(&json)
        {
            for value in values {
                let json = value.get().as_bytes().to_vec();
                self.found.push_back(Item::Event { line, json });
            }
            return;
        }
        self.found.push_back(Item::Event { line, json });
    }
}

impl<R: BufRead> Iterator for Input<R> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.found.pop_front() {
                return Some(item);
            }
            let line = self.next_line()?;
            self.items(line);
        }
    }
}

fn read(text: &[u8]) -> Value {
    match serde_json::from_slice::<&RawValue>(text) {
        Ok(value) => Value::Whole(value.get().as_bytes().to_vec()),
        Err(error) if error.is_eof() => Value::CutOff,
        Err(_) => Value::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The items as text: a line number and the JSON without its blanks.
    fn items(input: &str) -> Vec<String> {
        let compact = |json: Vec<u8>| String::from_utf8(json).unwrap().replace([' ', '\n'], "");
        let item = |item| match item {
            Item::Event { line, json } => format!("{line} {}", compact(json)),
            Item::Bad { line, problem } => format!("{line} bad: {problem}"),
        };
        Input::new(input.as_bytes()).map(item).collect()
    }

    #[test]
    fn a_line_is_an_event() {
        assert_eq!(
            items("{\"a\":1}\n\n{\"b\":2}\n"),
            ["1 {\"a\":1}", "3 {\"b\":2}"]
        );
        assert_eq!(items("{\"a\":1}"), ["1 {\"a\":1}"]);
        assert_eq!(items(""), Vec::<String>::new());
    }

    #[test]
    fn an_event_may_be_spread_over_lines() {
        let spread = "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n{\"c\":2}\n";
        assert_eq!(items(spread), ["1 {\"a\":{\"b\":1}}", "6 {\"c\":2}"]);
    }

    #[test]
    fn arrays_and_rows_hold_events() {
        assert_eq!(
            items("[{\"a\":1},{\"b\":2}]"),
            ["1 {\"a\":1}", "1 {\"b\":2}"]
        );
        assert_eq!(
            items("[\n{\"a\":1},\n{\"b\":2}\n]\n"),
            ["1 {\"a\":1}", "1 {\"b\":2}"]
        );
        assert_eq!(items("{\"a\":1}{\"b\":2}"), ["1 {\"a\":1}", "1 {\"b\":2}"]);
    }

    #[test]
    fn a_broken_line_does_not_swallow_those_behind_it() {
        let input = "{\"a\":\n{\"b\":2}\n{\"c\":3}\n";
        assert_eq!(items(input), ["1 {\"a\":", "2 {\"b\":2}", "3 {\"c\":3}"]);
        assert_eq!(
            items("{\"a\":1}}\n{\"b\":2}\n"),
            ["1 {\"a\":1}}", "2 {\"b\":2}"]
        );
        assert_eq!(items("{\"a\":1"), ["1 {\"a\":1"]);
        assert_eq!(items("oops\n{\"b\":2}\n"), ["1 oops", "2 {\"b\":2}"]);
    }

    #[test]
    fn an_endless_line_is_passed_over() {
        let long = "x".repeat(3 * 1024 * 1024);
        let found = items(&format!("{{\"a\":1}}\n{long}\n{{\"b\":2}}\n"));
        let bad = "2 bad: the line is longer than 1048576 bytes";
        assert_eq!(found, ["1 {\"a\":1}", bad, "3 {\"b\":2}"]);
    }
}
