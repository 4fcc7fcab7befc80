//! Finds the secrets in one JSON text and replaces them, and nothing else, byte for byte.
//!
//! One pass over the text collects which byte ranges to replace by what; only then a new text is
//! made. Order, number forms and white space of everything else therefore stay as they were.
//!
//! Whether a `value` is a secret can depend on a sibling that comes behind it (`type`), so each
//! open object remembers where its `value` was until it closes. The open objects are kept in a
//! list of bounded length, never on the call stack.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::ops::Range;

use serde_json::value::RawValue;

use super::{MASK, names};
use crate::canonical::write_text;
use crate::error::JsonType;
use crate::parse::NESTING_LIMIT;
use crate::scan::Scanner;

/// How often a text may hold JSON whose texts hold JSON; beyond it the text is masked wholly.
const EMBEDDING_LIMIT: usize = 3;

/// What is known about a JSON text from where it was found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// Nothing.
    Anything,
    /// It is a credential: as a scalar a secret, as an object one whose `value` is a secret.
    Credential,
    /// It is the value of a secret member.
    Secret,
}

/// What came of a JSON text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There are no secrets in it.
    Clean,
    /// The text with its secrets masked, and how many there were.
    Masked { json: String, values: usize },
    /// It is not valid JSON, so nobody can say what is in it.
    NotJson,
    /// It is nested deeper than the limit.
    TooDeep,
}

/// Masks the secrets in a JSON text.
pub(super) fn redact_json(json: &str, root: Root) -> Verdict {
    redact_embedded(json, root, 0)
}

/// Masks the secrets in a text that is no JSON itself but may hold some. `None` if there are none.
pub(super) fn redact_text(text: &str) -> Option<(String, usize)> {
    redact_text_at(text, 0)
}

fn redact_text_at(text: &str, embedding: usize) -> Option<(String, usize)> {
    if names::is_private_key(text) {
        return Some((MASK.to_owned(), 1));
    }
    let inner = text.trim_start();
    if !inner.starts_with(['{', '[', '"']) {
        return None;
    }
    if embedding >= EMBEDDING_LIMIT {
        return is_json(text).then(|| (MASK.to_owned(), 1));
    }
    match redact_embedded(text, Root::Anything, embedding + 1) {
        // Text that merely begins like JSON: a pattern such as `[a-z]+`.
        Verdict::NotJson | Verdict::Clean => None,
        Verdict::Masked { json, values } => Some((json, values)),
        Verdict::TooDeep => Some((MASK.to_owned(), 1)),
    }
}

fn redact_embedded(json: &str, root: Root, embedding: usize) -> Verdict {
    if !is_json(json) {
        return Verdict::NotJson;
    }
    let mut walk = Walk {
        json,
        scanner: Scanner::new(json),
        open: Vec::new(),
        replacements: Vec::new(),
        root,
        embedding,
    };
    match walk.run() {
        Err(TooDeep) => Verdict::TooDeep,
        Ok(()) if walk.replacements.is_empty() => Verdict::Clean,
        Ok(()) => splice(json, walk.replacements),
    }
}

struct TooDeep;

/// A part of the text, and what comes in its place.
struct Replacement {
    range: Range<usize>,
    text: Cow<'static, str>,
    values: usize,
}

/// An array or object that has not ended yet.
struct Open {
    is_object: bool,
    /// Its `value` is a secret (for an array: that of the objects in it).
    is_credential: bool,
    /// Where its `value` is (each of them, should there be several). The last range is empty until
    /// that value has been read.
    values: Vec<Range<usize>>,
}

struct Walk<'a> {
    json: &'a str,
    scanner: Scanner<'a>,
    open: Vec<Open>,
    replacements: Vec<Replacement>,
    root: Root,
    embedding: usize,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<(), TooDeep> {
        match self.root {
            Root::Secret => self.mask_next(),
            Root::Credential => self.element(true)?,
            Root::Anything => self.element(false)?,
        }
        while let Some(open) = self.open.last_mut() {
            if let Some(last) = open.values.last_mut().filter(|last| last.start == last.end) {
                last.end = self.scanner.offset();
            }
            let (is_object, is_credential) = (open.is_object, open.is_credential);
            match self.scanner.peek() {
                Some(b'}' | b']') | None => self.close(),
                Some(_) if is_object => self.member()?,
                Some(_) => self.element(is_credential)?,
            }
        }
        Ok(())
    }

    /// One member of the innermost object.
    fn member(&mut self) -> Result<(), TooDeep> {
        let name = self.scanner.value().decode();
        // A name that cannot be read may be any name.
        let Some(name) = name.filter(|name| !names::is_secret(name)) else {
            self.mask_next();
            return Ok(());
        };
        if name.eq_ignore_ascii_case("value") {
            return self.credential_value();
        }
        if names::holds_credentials(&name) {
            return self.element(true);
        }
        if self.makes_credential(&name)
            && let Some(open) = self.open.last_mut()
        {
            open.is_credential = true;
        }
        self.element(false)
    }

    /// A member `value`: a secret if its object turns out to be a credential.
    fn credential_value(&mut self) -> Result<(), TooDeep> {
        self.scanner.peek();
        let start = self.scanner.offset();
        if let Some(open) = self.open.last_mut() {
            open.values.push(start..start);
        }
        self.element(false)
    }

    /// Whether the member of this name, whose value comes next, makes its object a credential.
    fn makes_credential(&mut self, name: &str) -> bool {
        if name.eq_ignore_ascii_case("temporary") {
            return true;
        }
        let judge = if name.eq_ignore_ascii_case("type") {
            names::is_credential_type
        } else if name.eq_ignore_ascii_case("name") || name.eq_ignore_ascii_case("key") {
            names::is_secret
        } else {
            return false;
        };
        if self.scanner.peek() != Some(b'"') {
            return false;
        }
        let value = self.scanner.clone().value().decode();
        value.is_none_or(|text| judge(&text))
    }

    /// Any value that is not a secret by its name: steps into it, or over it.
    fn element(&mut self, is_credential: bool) -> Result<(), TooDeep> {
        match self.scanner.peek() {
            Some(bracket @ (b'{' | b'[')) => {
                if self.open.len() >= NESTING_LIMIT {
                    return Err(TooDeep);
                }
                self.scanner.step();
                let is_object = bracket == b'{';
                self.open.push(Open {
                    is_object,
                    is_credential,
                    values: Vec::new(),
                });
            }
            // A bare secret where a credential is expected: in `credentials`, or as a whole body.
            _ if is_credential => self.mask_next(),
            _ => self.scalar(),
        }
        Ok(())
    }

    /// A value that is neither array nor object; a text may still hold a secret.
    fn scalar(&mut self) {
        let start = self.scanner.offset();
        let value = self.scanner.value();
        if JsonType::of(value.raw) != JsonType::Text {
            return;
        }
        let range = start..self.scanner.offset();
        let Some(text) = value.decode() else {
            return self.mask(range);
        };
        if let Some((text, values)) = redact_text_at(&text, self.embedding) {
            let text = Cow::Owned(quote(&text));
            self.replacements.push(Replacement {
                range,
                text,
                values,
            });
        }
    }

    fn close(&mut self) {
        self.scanner.step();
        if let Some(Open {
            is_credential: true,
            values,
            ..
        }) = self.open.pop()
        {
            for range in values {
                self.mask(range);
            }
        }
    }

    /// Steps over the next value, which is a secret.
    fn mask_next(&mut self) {
        self.scanner.peek();
        let start = self.scanner.offset();
        self.scanner.value();
        self.mask(start..self.scanner.offset());
    }

    fn mask(&mut self, range: Range<usize>) {
        if let Some(text) = mask_of(self.json.get(range.clone()).unwrap_or_default()) {
            self.replacements.push(Replacement {
                range,
                text: Cow::Borrowed(text),
                values: 1,
            });
        }
    }
}

/// What to put in the place of a secret; nothing where there is nothing to hide.
fn mask_of(secret: &str) -> Option<&'static str> {
    let mask = match JsonType::of(secret) {
        JsonType::Null | JsonType::Boolean => return None,
        JsonType::Array => "[\"**********\"]",
        _ => "\"**********\"",
    };
    let empty = matches!(secret, "\"\"" | "[]" | "{}");
    (!empty && secret != mask).then_some(mask)
}

/// The text with all replacements made. Where one lies within another, the outer one counts.
fn splice(json: &str, mut replacements: Vec<Replacement>) -> Verdict {
    replacements.sort_by_key(|each| (each.range.start, Reverse(each.range.end)));
    let mut result = String::with_capacity(json.len());
    let (mut copied, mut values) = (0, 0);
    for Replacement {
        range,
        text,
        values: count,
    } in replacements
    {
        if range.start < copied {
            continue;
        }
        result.push_str(json.get(copied..range.start).unwrap_or_default());
        result.push_str(&text);
        copied = range.end;
        values += count;
    }
    result.push_str(json.get(copied..).unwrap_or_default());
    Verdict::Masked {
        json: result,
        values,
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// `text` as a JSON text.
fn quote(text: &str) -> String {
    let mut quoted = Vec::with_capacity(text.len() + 2);
    write_text(&mut quoted, text);
    String::from_utf8_lossy(&quoted).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(json: &str) -> String {
        match redact_json(json, Root::Anything) {
            Verdict::Clean => json.to_owned(),
            Verdict::Masked { json, .. } => json,
            other => panic!("{other:?}"),
        }
    }

    fn count(json: &str) -> usize {
        match redact_json(json, Root::Anything) {
            Verdict::Masked { values, .. } => values,
            _ => 0,
        }
    }

    #[test]
    fn what_surrounds_a_secret_stays_byte_for_byte() {
        let before = "{ \"n\" : 1.50e+03 ,\n\t\"password\" :\"x\" , \"big\":12345678901234567890 }";
        let after = before.replace("\"x\"", "\"**********\"");
        assert_eq!(masked(before), after);
    }

    #[test]
    fn a_value_is_masked_whether_its_type_comes_before_or_behind_it() {
        for json in [
            r#"{"type":"password","value":"x"}"#,
            r#"{"value":"x","type":"PASSWORD"}"#,
            r#"{"value":"x","temporary":false}"#,
            r#"[[{"a":{"value":{"b":["x"]},"type":"otp"}}]]"#,
        ] {
            assert!(!masked(json).contains('x'), "{json}");
            assert_eq!(count(json), 1, "{json}");
        }
    }

    #[test]
    fn every_one_of_several_values_in_one_credential_is_masked() {
        let json = r#"{"value":"x1","Value":"x2","type":"secret","value":["x3"]}"#;
        assert_eq!(
            masked(json),
            r#"{"value":"**********","Value":"**********","type":"secret","value":["**********"]}"#
        );
    }

    #[test]
    fn a_value_beside_anything_else_stays() {
        for json in [
            r#"{"type":"role","value":"x"}"#,
            r#"{"value":{"type":"password"}}"#,
            r#"{"type":7,"value":"x"}"#,
            r#"[{"type":"password"},{"value":"x"}]"#,
            r#"{"name":"department","value":"x"}"#,
        ] {
            assert_eq!(redact_json(json, Root::Anything), Verdict::Clean, "{json}");
        }
    }

    #[test]
    fn a_mask_within_a_masked_value_counts_once() {
        let json = r#"{"value":{"password":"x"},"type":"password"}"#;
        assert_eq!(masked(json), r#"{"value":"**********","type":"password"}"#);
        assert_eq!(count(json), 1);
    }

    #[test]
    fn an_escaped_name_is_read_before_it_is_judged() {
        assert_eq!(
            masked(r#"{"p\u0061ssword":"x"}"#),
            r#"{"p\u0061ssword":"**********"}"#
        );
    }

    #[test]
    fn names_and_texts_that_stand_for_no_characters_are_taken_for_secrets() {
        assert_eq!(masked(r#"{"a\ud800":"x"}"#), r#"{"a\ud800":"**********"}"#);
        let text = r#"["{\"password\":\"x\ud800\"}"]"#;
        assert_eq!(masked(text), r#"["**********"]"#);
    }

    #[test]
    fn json_in_texts_is_masked_and_written_back_as_a_text() {
        let json = r#"{"config":"{\"clientSecret\":\"x\",\"n\":1}"}"#;
        assert_eq!(
            masked(json),
            r#"{"config":"{\"clientSecret\":\"**********\",\"n\":1}"}"#
        );
    }

    #[test]
    fn json_wrapped_too_often_is_masked_wholly() {
        let mut json = r#"{"password":"x"}"#.to_owned();
        for _ in 0..=EMBEDDING_LIMIT {
            json = quote(&json);
        }
        assert!(!masked(&json).contains('x'));
        assert!(masked(&json).contains(MASK));
    }

    #[test]
    fn text_that_only_begins_like_json_stays() {
        for json in [r#"["[a-z]+"]"#, r#"["{0} said"]"#, r#"["\"quoted\" text"]"#] {
            assert_eq!(redact_json(json, Root::Anything), Verdict::Clean, "{json}");
        }
    }

    #[test]
    fn the_deepest_allowed_text_passes_and_one_level_more_does_not() {
        let verdict = |levels: usize| {
            let nested = "[".repeat(levels) + &"]".repeat(levels);
            redact_json(&nested, Root::Anything)
        };
        assert_eq!(verdict(NESTING_LIMIT), Verdict::Clean);
        assert_eq!(verdict(NESTING_LIMIT + 1), Verdict::TooDeep);
        assert_eq!(verdict(100_000), Verdict::TooDeep);
    }

    #[test]
    fn a_secret_is_masked_however_deep_it_is_nested_itself() {
        let json = format!(
            r#"{{"secret":{}{}}}"#,
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        assert_eq!(masked(&json), r#"{"secret":["**********"]}"#);
    }

    #[test]
    fn what_is_known_from_outside_decides_about_the_whole_text() {
        let credential = |json| redact_json(json, Root::Credential);
        let mask = |json: &str| Verdict::Masked {
            json: json.into(),
            values: 1,
        };
        assert_eq!(credential(r#""x""#), mask(r#""**********""#));
        let object = credential(r#"{"value":"x"}"#);
        assert_eq!(object, mask(r#"{"value":"**********"}"#));
        assert_eq!(credential(r#"{"other":"x"}"#), Verdict::Clean);
        let secret = redact_json(r#"{"a":"x"}"#, Root::Secret);
        assert_eq!(secret, mask(r#""**********""#));
        assert_eq!(redact_json("null", Root::Secret), Verdict::Clean);
    }

    #[test]
    fn what_is_cut_off_is_not_json() {
        for json in ["", "{", r#"{"password":"x"#, r#"{"a":1}}"#, "hello"] {
            assert_eq!(
                redact_json(json, Root::Anything),
                Verdict::NotJson,
                "{json}"
            );
        }
    }
}
