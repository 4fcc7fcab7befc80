//! Globs and SQL patterns: tables, and a naive matcher that they must agree with.

use proptest::prelude::*;

use super::{EscapeError, GLOB, SQL, Wildcards, expression};

fn matches(pattern: &str, wildcards: Wildcards, text: &str) -> bool {
    let expression = expression(pattern, wildcards).unwrap();
    regex::Regex::new(&format!(r"\A(?:{expression})\z"))
        .unwrap()
        .is_match(text)
}

/// Recursive, slow and obviously right.
fn naive(pattern: &[char], wildcards: Wildcards, text: &[char]) -> bool {
    match (pattern, text) {
        ([], _) => text.is_empty(),
        (['\\'], _) => text.is_empty(),
        (['\\', escaped, pattern @ ..], [first, text @ ..]) => {
            escaped.eq_ignore_ascii_case(first) && naive(pattern, wildcards, text)
        }
        ([run, rest @ ..], _) if *run == wildcards.run => {
            (0..=text.len()).any(|skipped| naive(rest, wildcards, &text[skipped..]))
        }
        ([one, pattern @ ..], [_, text @ ..]) if *one == wildcards.one => {
            naive(pattern, wildcards, text)
        }
        ([literal, pattern @ ..], [first, text @ ..]) => {
            literal.eq_ignore_ascii_case(first) && naive(pattern, wildcards, text)
        }
        (_, []) => false,
    }
}

#[test]
fn globs() {
    let cases = [
        ("*", "x", true),
        ("*", "two\nlines", true),
        ("LOGIN*", "LOGIN_ERROR", true),
        ("LOGIN*", "login", true),
        ("LOGIN*", "XLOGIN", false),
        ("*_ERROR", "LOGIN_ERROR", true),
        ("*LOGIN*", "CLIENT_LOGIN_ERROR", true),
        ("LOGIN?", "LOGIN", false),
        ("LOGIN?", "LOGINS", true),
        ("?", "\n", true),
        ("?", "é", true),
        ("?", "\u{1F600}", true),
        ("?", "ab", false),
        ("a**b", "ab", true),
        ("a*b*c", "a--b--c", true),
        ("a*b*c", "a--c--b", false),
        ("a_b", "axb", false),
        ("a%b", "axb", false),
        ("[ab]", "a", false),
        ("[ab]", "[AB]", true),
        ("{a,b}", "{a,b}", true),
        ("a.c", "abc", false),
        ("^a$", "^a$", true),
        (r"\*", "*", true),
        (r"\*", "x", false),
        (r"\?", "?", true),
        (r"\?", "x", false),
        (r"a\\b", r"a\b", true),
        (r"a\nb", "a\nb", true),
        (r"a\rb\tc", "a\rb\tc", true),
        (r"\u0041", "a", true),
        (r"\u00e9", "é", true),
        (r"\u00E9", "É", false),
        (r"\uD83D\uDE00", "\u{1F600}", true),
        (r"\u002A", "*", true),
        (r"\u002A", "x", false),
        (r"ab\", "ab", true),
        (r"ab\", r"ab\", false),
        (r"ab\\", r"ab\", true),
    ];
    for (pattern, text, expected) in cases {
        assert_eq!(
            matches(pattern, GLOB, text),
            expected,
            "{pattern} on {text:?}"
        );
    }
}

#[test]
fn sql_patterns() {
    let cases = [
        ("%", "x", true),
        ("%", "two\nlines", true),
        ("LOGIN%", "login_error", true),
        ("LOGIN%", "XLOGIN", false),
        ("REALM_ROLE%", "REALMXROLE_CREATE", true),
        ("LOGIN_", "LOGIN", false),
        ("LOGIN_", "LOGINS", true),
        (r"REALM\_ROLE%", "REALMXROLE", false),
        (r"REALM\_ROLE%", "REALM_ROLE_CREATE", true),
        (r"100\%", "100%", true),
        (r"100\%", "1000", false),
        ("a*b", "axb", false),
        ("a*b", "a*b", true),
        ("a?b", "axb", false),
        (r"a\\b", r"a\b", true),
        (r"\u0041_", "aX", true),
        (r"ab\", "ab", true),
    ];
    for (pattern, text, expected) in cases {
        assert_eq!(
            matches(pattern, SQL, text),
            expected,
            "{pattern} on {text:?}"
        );
    }
}

#[test]
fn the_other_notations_wildcard_has_no_escape() {
    let unknown = |character, position| {
        Err(EscapeError::Unknown {
            character,
            position,
        })
    };
    assert_eq!(expression(r"a\%", GLOB), unknown('%', 2));
    assert_eq!(expression(r"\_", GLOB), unknown('_', 1));
    assert_eq!(expression(r"ab\*", SQL), unknown('*', 3));
    assert_eq!(expression(r"\?", SQL), unknown('?', 1));
}

#[test]
fn only_listed_escapes_exist() {
    for letter in ('a'..='z').chain('A'..='Z').chain('0'..='9') {
        if !"nrtu".contains(letter) {
            let pattern = format!("\\{letter}");
            let unknown = Err(EscapeError::Unknown {
                character: letter,
                position: 1,
            });
            assert_eq!(expression(&pattern, GLOB), unknown, "{pattern}");
        }
    }
    for pattern in [r"\u", r"\u004", r"\u00G1", r"\uDE00", r"\uD83Dx"] {
        let error = Err(EscapeError::Unicode { position: 1 });
        assert_eq!(expression(pattern, GLOB), error, "{pattern}");
    }
}

proptest! {
    #[test]
    fn globs_agree_with_a_naive_matcher(
        pattern in r"(\\[*?\\]|[abB*?_%.\[]){0,8}\\?", text in r"[abAB*?_%.\[\\\n]{0,8}",
    ) {
        let (characters, letters) = (chars(&pattern), chars(&text));
        prop_assert_eq!(matches(&pattern, GLOB, &text), naive(&characters, GLOB, &letters));
    }

    #[test]
    fn sql_patterns_agree_with_a_naive_matcher(
        pattern in r"(\\[%_\\]|[abB*?_%.\[]){0,8}\\?", text in r"[abAB*?_%.\[\\\n]{0,8}",
    ) {
        let (characters, letters) = (chars(&pattern), chars(&text));
        prop_assert_eq!(matches(&pattern, SQL, &text), naive(&characters, SQL, &letters));
    }
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}
