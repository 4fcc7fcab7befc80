//! Finding one's way in JSON that is known to be valid.
//!
//! `serde_json` judges every text first; only what it accepted is read here. That division keeps
//! this file small and quick: commas and colons are skipped like white space, numbers and literals
//! end where the next separator is, and nothing is checked twice. Nothing here recurses, so no
//! nesting can overflow the stack. Text that is not valid JSON gives nonsense, never a panic.

use std::borrow::Cow;

use memchr::memchr2;

/// One value as it is written, and whether it holds a backslash (meaningful for texts only).
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    pub(crate) raw: &'a str,
    pub(crate) escaped: bool,
}

/// A reading position in valid JSON.
#[derive(Clone)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    offset: usize,
}

/// The members of one object: name and value, in order.
pub(crate) struct Members<'a> {
    scanner: Scanner<'a>,
}

/// The members of `object`, which is the text of one JSON object without white space around it.
pub(crate) fn members(object: &str) -> Members<'_> {
    Members {
        scanner: Scanner {
            text: object,
            offset: 1,
        },
    }
}

impl<'a> Value<'a> {
    /// The characters this text stands for. `None` if an escape stands for no character, or if
    /// this is not a text.
    pub(crate) fn decode(self) -> Option<Cow<'a, str>> {
        if self.escaped {
            serde_json::from_str(self.raw).ok().map(Cow::Owned)
        } else {
            self.raw
                .strip_prefix('"')?
                .strip_suffix('"')
                .map(Cow::Borrowed)
        }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Value<'a>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match self.scanner.peek()? {
            b'"' => Some((self.scanner.value(), self.scanner.value())),
            _ => None,
        }
    }
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Scanner<'a> {
        Scanner { text, offset: 0 }
    }

    /// The first byte of what comes next, be it a value, a name or a bracket.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.as_bytes().get(self.offset) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' => self.offset += 1,
                _ => return Some(byte),
            }
        }
        None
    }

    /// Where the reading position is, in bytes.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// Steps over the bracket that [`Scanner::peek`] saw.
    pub(crate) fn step(&mut self) {
        self.offset += 1;
    }

    /// Steps over one whole value or name.
    pub(crate) fn value(&mut self) -> Value<'a> {
        let first = self.peek();
        let start = self.offset;
        let bytes = self.text.as_bytes();
        let (end, escaped) = match first {
            Some(b'"') => end_of_text(bytes, start),
            Some(b'{' | b'[') => (end_of_container(bytes, start), false),
            _ => (end_of_literal(bytes, start), false),
        };
        self.offset = end.max(start + 1);
        Value {
            raw: self.text.get(start..end).unwrap_or_default(),
            escaped,
        }
    }
}

/// Whether arrays and objects lie inside each other deeper than `limit` levels.
pub(crate) fn nested_deeper_than(json: &str, limit: usize) -> bool {
    let bytes = json.as_bytes();
    let (mut offset, mut depth) = (0, 0_usize);
    while let Some(&byte) = bytes.get(offset) {
        match byte {
            b'"' => {
                offset = end_of_text(bytes, offset).0;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return true;
        }
        offset += 1;
    }
    false
}

/// Appends `json` without the white space between its tokens.
pub(crate) fn write_compact(out: &mut Vec<u8>, json: &str) {
    let bytes = json.as_bytes();
    let (mut offset, mut unwritten) = (0, 0);
    while let Some(&byte) = bytes.get(offset) {
        match byte {
            b'"' => offset = end_of_text(bytes, offset).0,
            b' ' | b'\t' | b'\r' | b'\n' => {
                out.extend_from_slice(&bytes[unwritten..offset]);
                offset += 1;
                unwritten = offset;
            }
            _ => offset += 1,
        }
    }
    out.extend_from_slice(&bytes[unwritten.min(bytes.len())..]);
}

/// Where the text that begins with the quote at `start` ends, and whether it holds an escape.
fn end_of_text(bytes: &[u8], start: usize) -> (usize, bool) {
    let body = start + 1;
    match memchr2(b'"', b'\\', bytes.get(body..).unwrap_or_default()) {
        Some(found) if bytes[body + found] == b'"' => (body + found + 1, false),
        Some(found) => (end_of_escaped_text(bytes, body + found), true),
        None => (bytes.len(), false),
    }
}

/// The same, once a backslash was found at `offset`.
fn end_of_escaped_text(bytes: &[u8], mut offset: usize) -> usize {
    while bytes.get(offset) == Some(&b'\\') {
        offset += 2;
        let rest = bytes.get(offset..).unwrap_or_default();
        match memchr2(b'"', b'\\', rest) {
            Some(found) => offset += found,
            None => return bytes.len(),
        }
    }
    offset + 1
}

fn end_of_container(bytes: &[u8], start: usize) -> usize {
    let (mut offset, mut depth) = (start, 0_usize);
    while let Some(&byte) = bytes.get(offset) {
        match byte {
            b'"' => {
                offset = end_of_text(bytes, offset).0;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return offset + 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        offset += 1;
    }
    bytes.len()
}

fn end_of_literal(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let length = rest
        .iter()
        .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n'));
    length.map_or(bytes.len(), |length| start + length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;

    #[test]
    fn members_are_found_between_all_kinds_of_white_space() {
        let object = "{ \"a\" :\t1 ,\r\n\"b\\\"}\":[ {} , \"]\" ] , \"c\":\"x\\\\\" }";
        let found: Vec<_> = members(object)
            .map(|(name, value)| (name.raw, value.raw, value.escaped))
            .collect();
        assert_eq!(
            found,
            [
                ("\"a\"", "1", false),
                ("\"b\\\"}\"", "[ {} , \"]\" ]", false),
                ("\"c\"", "\"x\\\\\"", true),
            ]
        );
    }

    #[test]
    fn texts_without_escapes_are_borrowed() {
        let value = Scanner::new("\"caf\u{e9}\"").value();
        assert!(matches!(value.decode(), Some(Cow::Borrowed("caf\u{e9}"))));
    }

    #[test]
    fn an_escape_that_stands_for_no_character_decodes_to_nothing() {
        assert_eq!(Scanner::new("\"\\ud800\"").value().decode(), None);
        assert_eq!(Scanner::new("12").value().decode(), None);
    }

    #[test]
    fn depth_counts_brackets_and_not_those_in_texts() {
        assert!(!nested_deeper_than("\"[[[[\"", 0));
        assert!(!nested_deeper_than("[[],{\"a\":[]}]", 3));
        assert!(nested_deeper_than("[[],{\"a\":[]}]", 2));
    }

    fn json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            "[ -~\\\\\"\n\té😀]{0,12}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
                prop::collection::btree_map("[a-z\\\\\" ]{0,6}", inner, 0..5)
                    .prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn members_are_what_serde_json_finds(object in json(), pretty in any::<bool>()) {
            let Json::Object(expected) = object else { return Ok(()) };
            let object = Json::Object(expected.clone());
            let text = if pretty { format!("{object:#}") } else { object.to_string() };
            let mut found = serde_json::Map::new();
            for (name, value) in members(&text) {
                let value: Json = serde_json::from_str(value.raw).unwrap();
                prop_assert!(found.insert(name.decode().unwrap().into(), value).is_none());
            }
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn compact_text_is_what_serde_json_writes(value in json()) {
            let mut compact = Vec::new();
            write_compact(&mut compact, &format!("{value:#}"));
            prop_assert_eq!(String::from_utf8(compact).unwrap(), value.to_string());
        }

        #[test]
        fn text_that_is_no_json_never_makes_it_panic(text in "[\\[\\]{}\",:\\\\ a1é]{0,30}") {
            for (name, value) in members(&text) {
                let _ = (name.decode(), value.decode());
            }
            write_compact(&mut Vec::new(), &text);
            nested_deeper_than(&text, 3);
        }
    }
}
