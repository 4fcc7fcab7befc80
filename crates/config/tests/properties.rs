//! The reader of `.properties` against Java's answers, against a writer, and against a reader that
//! is too simple to be wrong.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use kete_config::properties::{Entry, SyntaxError, parse};
use proptest::prelude::*;

/// What a text holds, or `None` where Java throws.
type Answer = Option<&'static [(&'static str, &'static str)]>;

/// Printed by a Java program that gave each text to `java.util.Properties.load(Reader)` of
/// OpenJDK 17.0.15 and wrote down every `put`. The answers are as printed; half a surrogate pair and a
/// byte order mark are left out, because there this reader differs on purpose.
#[rustfmt::skip]
const JAVA: &[(&str, Answer)] = &[
    ("a=b", Some(&[("a", "b")])),
    ("a:b", Some(&[("a", "b")])),
    ("a b", Some(&[("a", "b")])),
    ("a\tb", Some(&[("a", "b")])),
    ("a\u{c}b", Some(&[("a", "b")])),
    ("a = b", Some(&[("a", "b")])),
    ("a  :  b", Some(&[("a", "b")])),
    ("a = = b", Some(&[("a", "= b")])),
    ("a : = b", Some(&[("a", "= b")])),
    ("a==b", Some(&[("a", "=b")])),
    ("a", Some(&[("a", "")])),
    ("a=", Some(&[("a", "")])),
    ("=b", Some(&[("", "b")])),
    (":b", Some(&[("", "b")])),
    ("  a=b  ", Some(&[("a", "b  ")])),
    ("\t\u{c} a=b\t", Some(&[("a", "b\t")])),
    ("#a=b", Some(&[])),
    ("!a=b", Some(&[])),
    ("  # a=b", Some(&[])),
    ("a#b=c", Some(&[("a#b", "c")])),
    ("a=#b", Some(&[("a", "#b")])),
    ("a!=b", Some(&[("a!", "b")])),
    ("a=b\\\n  c", Some(&[("a", "bc")])),
    ("a=b\\\\\n  c=d", Some(&[("a", "b\\"), ("c", "d")])),
    ("a=b\\\\\\\n  c", Some(&[("a", "b\\c")])),
    ("a=b\\\r\n  c", Some(&[("a", "bc")])),
    ("a=b\\\r  c", Some(&[("a", "bc")])),
    ("a=b\\\r\r\n c=d", Some(&[("a", "b"), ("c", "d")])),
    ("a=b\\\n\n c=d", Some(&[("a", "b"), ("c", "d")])),
    ("a=b\\\n#c", Some(&[("a", "b#c")])),
    ("# x\\\na=b", Some(&[("a", "b")])),
    ("a\\\n b=c", Some(&[("ab", "c")])),
    ("a\\\n =c", Some(&[("a", "c")])),
    ("a\\\n=c", Some(&[("a", "c")])),
    ("a=b\\", Some(&[("a", "b")])),
    ("a=\\", Some(&[("a", "")])),
    ("\\", Some(&[("", "")])),
    ("a=b\\\n", Some(&[("a", "b")])),
    ("a=b\\\n   ", Some(&[("a", "b")])),
    ("a\\=b=c", Some(&[("a=b", "c")])),
    ("a\\:b:c", Some(&[("a:b", "c")])),
    ("a\\ b c", Some(&[("a b", "c")])),
    ("\\#a=b", Some(&[("#a", "b")])),
    ("\\!a=b", Some(&[("!a", "b")])),
    ("a\\\\=b", Some(&[("a\\", "b")])),
    ("\\ a=b", Some(&[(" a", "b")])),
    ("\\=b", Some(&[("=b", "")])),
    ("a=\\t\\n\\r\\f", Some(&[("a", "\t\n\r\u{c}")])),
    ("a=\\b\\x\\'\\\"\\z", Some(&[("a", "bx'\"z")])),
    ("a=\\u0041\\u00e9", Some(&[("a", "A\u{e9}")])),
    ("a=\\uD83D\\uDE00", Some(&[("a", "\u{1F600}")])),
    ("a=\\uu0041", None),
    ("a=\\U0041", Some(&[("a", "U0041")])),
    ("\\u0061\\u003db=c", Some(&[("a=b", "c")])),
    ("a=\\u000a b", Some(&[("a", "\n b")])),
    ("a=\\u12", None),
    ("a=\\u12G4", None),
    ("a=\\u0041b", Some(&[("a", "Ab")])),
    ("a=b\r\nc=d", Some(&[("a", "b"), ("c", "d")])),
    ("a=b\rc=d", Some(&[("a", "b"), ("c", "d")])),
    ("\r\n\r\na=b", Some(&[("a", "b")])),
    ("a=b\n\n\n", Some(&[("a", "b")])),
    ("a=\u{e9}", Some(&[("a", "\u{e9}")])),
    ("a=b\u{a0}", Some(&[("a", "b\u{a0}")])),
    ("a\u{a0}b=c", Some(&[("a\u{a0}b", "c")])),
    ("\u{a0}a=b", Some(&[("\u{a0}a", "b")])),
    ("\u{b}a=b", Some(&[("\u{b}a", "b")])),
    ("a=b\u{85}c", Some(&[("a", "b\u{85}c")])),
    ("a=b\u{2028}c", Some(&[("a", "b\u{2028}c")])),
    ("a=b\\  ", Some(&[("a", "b  ")])),
    ("a \\\n  = b", Some(&[("a", "b")])),
    ("a\\\n  \\\n  b=c", Some(&[("ab", "c")])),
    ("a=\\\n\\\nb", Some(&[("a", "b")])),
    ("\\\na=b", Some(&[("a", "b")])),
    ("\\\n#a=b", Some(&[])),
    ("   \\\n  a=b", Some(&[("a", "b")])),
    ("a=1\na=2", Some(&[("a", "1"), ("a", "2")])),
    ("a=\0b", Some(&[("a", "\0b")])),
    ("  \\\n\n a=b", Some(&[("a", "b")])),
    ("a=b\\\n\\ c", Some(&[("a", "b c")])),
    ("a=b\\\n\\#c", Some(&[("a", "b#c")])),
    ("a\\u003db c", Some(&[("a=b", "c")])),
    ("#\\\n\\\na=b", Some(&[("a", "b")])),
    ("a=x\\\n  \\\n\n b=c", Some(&[("a", "x"), ("b", "c")])),
    ("\\\r\n a=b", Some(&[("a", "b")])),
    ("a=b \\\n c", Some(&[("a", "b c")])),
    ("a\\\tb c", Some(&[("a\tb", "c")])),
    ("=", Some(&[("", "")])),
    (":", Some(&[("", "")])),
    ("= =", Some(&[("", "=")])),
    ("a\\", Some(&[("a", "")])),
    ("a\\\\", Some(&[("a\\", "")])),
    ("a=\\\\u0041", Some(&[("a", "\\u0041")])),
];

fn pairs(text: &str) -> Vec<(String, String)> {
    let document = parse(text.as_bytes());
    assert_eq!(document.errors, [], "{text:?}");
    document
        .entries
        .into_iter()
        .map(|entry| (entry.key, entry.value))
        .collect()
}

#[test]
fn every_text_is_read_as_java_reads_it() {
    for (text, answer) in JAVA {
        match answer {
            Some(expected) => {
                let found = pairs(text);
                let found: Vec<_> = found
                    .iter()
                    .map(|(k, v)| (k.as_str(), v.as_str()))
                    .collect();
                assert_eq!(found, *expected, "{text:?}");
            }
            None => {
                let document = parse(text.as_bytes());
                assert_eq!(document.entries, [], "{text:?}");
                assert_eq!(
                    document.errors,
                    [SyntaxError::MalformedEscape { line: 1 }],
                    "{text:?}"
                );
            }
        }
    }
}

#[test]
fn an_entry_has_the_line_on_which_its_key_begins() {
    let text = "# one\n\na=1\r\nb=2\\\r\n  more\rc=3\n! \\\nd\\\ne=4\n\\\nf=5\n\n";
    let lines: Vec<(String, String, u32)> = parse(text.as_bytes())
        .entries
        .into_iter()
        .map(|Entry { key, value, line }| (key, value, line))
        .collect();
    let expected = [
        ("a", "1", 3),
        ("b", "2more", 4),
        ("c", "3", 6),
        ("de", "4", 8),
        ("f", "5", 11),
    ];
    assert_eq!(
        lines,
        expected.map(|(key, value, line)| (key.into(), value.into(), line))
    );
}

#[test]
fn every_mistake_is_reported_and_the_rest_is_read() {
    let document = parse(b"a=\\u12\nb=2\n\\uD83D=\\uDE00\nc=\\uD83D\\u0041\nd=\\uD83D\\uZZZZ\ne=5");
    assert_eq!(
        document.errors,
        [
            SyntaxError::MalformedEscape { line: 1 },
            SyntaxError::LoneSurrogate {
                line: 3,
                unit: 0xD83D
            },
            SyntaxError::LoneSurrogate {
                line: 3,
                unit: 0xDE00
            },
            SyntaxError::LoneSurrogate {
                line: 4,
                unit: 0xD83D
            },
            SyntaxError::MalformedEscape { line: 5 },
        ]
    );
    let keys: Vec<_> = document
        .entries
        .iter()
        .map(|entry| entry.key.as_str())
        .collect();
    assert_eq!(keys, ["b", "e"]);
}

#[test]
fn invalid_utf8_is_an_error_with_line_and_byte() {
    let document = parse(b"a=1\r\nname=Andr\xE9 and \xE8\rb=\xC3\nc=\xF0\x9F\x98");
    let at = |line, column, byte| SyntaxError::NotUtf8 { line, column, byte };
    assert_eq!(
        document.errors,
        [at(2, 10, 0xE9), at(3, 3, 0xC3), at(4, 3, 0xF0)]
    );
    assert_eq!(
        document.errors[0].to_string(),
        "byte 10 of the line, 0xE9, is not UTF-8"
    );
    assert_eq!(document.entries.len(), 4);
}

#[test]
fn a_file_that_is_no_text_brings_few_errors() {
    assert_eq!(parse(&b"\xFF\n".repeat(10_000)).errors.len(), 20);
}

#[test]
fn a_byte_order_mark_is_skipped_once() {
    assert_eq!(pairs("\u{FEFF}a=b"), [("a".to_owned(), "b".to_owned())]);
    assert_eq!(pairs("\u{FEFF}\u{FEFF}a=b")[0].0, "\u{FEFF}a");
    assert_eq!(pairs("a=1\n\u{FEFF}b=2")[1].0, "\u{FEFF}b");
}

/// Writes one entry in a way chosen by `style`: raw or escaped, one line or several.
fn write(key: &str, value: &str, style: usize) -> String {
    let mut text = String::new();
    for (part, is_key) in [(key, true), (value, false)] {
        for (index, character) in part.chars().enumerate() {
            let special = is_key || index == 0;
            match character {
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\\' => text.push_str("\\\\"),
                '\t' if special => text.push_str("\\t"),
                '\x0C' if special => text.push_str("\\f"),
                ' ' | '=' | ':' | '#' | '!' if special => text.extend(['\\', character]),
                _ if !character.is_ascii() && style.is_multiple_of(2) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        text.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                _ => text.push(character),
            }
            // What follows a continuation loses its white space, so the next one must have none.
            let next = part.chars().nth(index + 1);
            if style.is_multiple_of(3) && next.is_some_and(char::is_alphanumeric) {
                text.push_str(["\\\n  ", "\\\r\n\t"][style % 2]);
            }
        }
        if is_key {
            text.push_str(["=", " = ", ":", "\t:  "][style % 4]);
        }
    }
    text.push_str(["\n", "\r\n", "\r", "\n\n# c=d\\\n"][style / 4 % 4]);
    text
}

/// Reads texts that have neither backslashes nor carriage returns, the obvious way.
fn read_simple(text: &str) -> Vec<(String, String, u32)> {
    let blank = [' ', '\t', '\x0C'];
    let mut entries = Vec::new();
    for (line, number) in text.split('\n').zip(1..) {
        let line = line.trim_start_matches(blank);
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let (key, rest) = match line.find(['=', ':', ' ', '\t', '\x0C']) {
            Some(end) => line.split_at(end),
            None => (line, ""),
        };
        let rest = rest.trim_start_matches(blank);
        let value = rest
            .strip_prefix('=')
            .or(rest.strip_prefix(':'))
            .unwrap_or(rest);
        let value = value.trim_start_matches(blank);
        entries.push((key.to_owned(), value.to_owned(), number));
    }
    entries
}

proptest! {
    #[test]
    fn what_was_written_is_read_back(
        entries in proptest::collection::vec((".{1,12}", "\\PC{0,20}|.{0,20}", 0usize..48), 0..8)
    ) {
        // A first U+FEFF is a byte order mark, not a key; the comment keeps it from being first.
        let mut text = "#\n".to_owned();
        for (key, value, style) in &entries {
            text.push_str(&write(key, value, *style));
        }
        let expected: Vec<_> =
            entries.into_iter().map(|(key, value, _)| (key, value)).collect();
        prop_assert_eq!(pairs(&text), expected, "{:?}", text);
    }

    #[test]
    fn simple_texts_are_read_as_a_simple_reader_does(text in "[a-c.é#!=: \t\x0C\n]{0,60}") {
        let document = parse(text.as_bytes());
        prop_assert!(document.errors.is_empty());
        let found: Vec<_> = document
            .entries
            .into_iter()
            .map(|entry| (entry.key, entry.value, entry.line))
            .collect();
        prop_assert_eq!(found, read_simple(&text));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_lines_are_within_the_text(
        bytes in proptest::collection::vec(any::<u8>(), 0..300)
    ) {
        lines_are_within(&bytes)?;
    }

    #[test]
    fn arbitrary_nasty_bytes_never_panic(
        bytes in proptest::collection::vec(
            prop::sample::select(b"\\\\\\u00dD8Cc3=: \r\n#!a\xC3\xA9\xFF".to_vec()),
            0..120,
        )
    ) {
        lines_are_within(&bytes)?;
    }
}

fn lines_are_within(bytes: &[u8]) -> Result<(), TestCaseError> {
    let last = u32::try_from(bytes.len()).unwrap() + 1;
    let document = parse(bytes);
    prop_assert!(
        document
            .entries
            .iter()
            .all(|entry| (1..=last).contains(&entry.line))
    );
    prop_assert!(document.entries.is_sorted_by_key(|entry| entry.line));
    prop_assert!(
        document
            .errors
            .iter()
            .all(|error| (1..=last).contains(&error.line()))
    );
    Ok(())
}
