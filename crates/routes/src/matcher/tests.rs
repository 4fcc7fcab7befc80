//! The matcher grammar and the four kinds, as tables of values and texts.

use proptest::prelude::*;

use super::{Matcher, MatcherError, MatcherKind};

fn matcher(value: &str) -> Matcher {
    Matcher::parse("m", value).unwrap_or_else(|error| panic!("{value}: {error}"))
}

fn message(value: &str) -> String {
    match Matcher::parse("m", value) {
        Ok(_) => panic!("{value:?} should be refused"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_value_is_split_as_kete_splits_it() {
    let cases = [
        ("glob:LOGIN", MatcherKind::Glob, false, "LOGIN", "not"),
        ("glob:not:LOGIN", MatcherKind::Glob, true, "LOGOUT", "LOGIN"),
        ("glob:NoT:LOGIN", MatcherKind::Glob, true, "LOGOUT", "LOGIN"),
        (
            "  glob  :  not  :  LOGIN  ",
            MatcherKind::Glob,
            true,
            "LOGOUT",
            "LOGIN",
        ),
        ("glob:not", MatcherKind::Glob, false, "not", "LOGIN"),
        ("glob:a:b", MatcherKind::Glob, false, "a:b", "a"),
        ("glob:a : b", MatcherKind::Glob, false, "a:b", "a : b"),
        ("glob::b", MatcherKind::Glob, false, ":b", "b"),
        ("glob:a:", MatcherKind::Glob, false, "a:", "a"),
        ("glob:not:a:b:c", MatcherKind::Glob, true, "a", "a:b:c"),
        ("glob:a:b:c", MatcherKind::Glob, false, "a:b:c", "a:b"),
        ("list:not:a:b", MatcherKind::List, true, "a", "a:b"),
    ];
    for (value, kind, negated, accepted, refused) in cases {
        let matcher = matcher(value);
        assert_eq!(
            (matcher.kind(), matcher.is_negated()),
            (kind, negated),
            "{value}"
        );
        assert!(
            matcher.accepts(accepted),
            "{value} should accept {accepted}"
        );
        assert!(!matcher.accepts(refused), "{value} should refuse {refused}");
    }
}

#[test]
fn a_wrong_value_says_what_is_wrong_and_what_to_write() {
    let format = "matcher must be in format 'kind:pattern' or 'kind:not:pattern'";
    let cases = [
        ("", "matcher value is required"),
        ("   ", "matcher value is required"),
        ("LOGIN", format),
        ("glob", format),
        (":LOGIN", "kind is required"),
        (" : not : x", "kind is required"),
        ("glob:", "pattern is required"),
        ("glob:   ", "pattern is required"),
        ("glob:not:", "pattern is required"),
        ("glob: not :  ", "pattern is required"),
        ("kafka:x", "matcher kind 'kafka' not found"),
        ("GLOB:x", "matcher kind 'GLOB' not found"),
        (r"glob:\q", r"unknown escape sequence '\q' at character 1"),
        (r"glob:ab\", r"pattern is fine"),
        (r"sql:a\*", r"unknown escape sequence '\*' at character 2"),
        (r"glob:a\%", r"unknown escape sequence '\%' at character 2"),
        (
            r"glob:x\u12",
            r"'\u' at character 2 needs four hexadecimal digits of a whole character",
        ),
        (
            r"sql:\uD83D",
            r"'\u' at character 1 needs four hexadecimal digits of a whole character",
        ),
        ("regex:(", "'(' is never closed at character 1"),
    ];
    for (value, expected) in cases {
        if expected == "pattern is fine" {
            assert!(
                matcher(value).accepts("AB"),
                "a lone backslash at the end is dropped"
            );
        } else {
            assert_eq!(message(value), expected, "{value:?}");
        }
    }
}

#[test]
fn a_matcher_needs_a_name() {
    let error = Matcher::parse(" ", "glob:x").unwrap_err();
    assert_eq!(error.to_string(), "name is required");
    let matcher = Matcher::parse(" a.b ", " glob:x ").unwrap();
    assert_eq!(
        (matcher.id(), matcher.to_string().as_str()),
        ("a.b", "glob:x")
    );
}

#[test]
fn every_error_has_a_way_out() {
    let cases = [
        (
            "",
            "write for example 'glob:LOGIN*' or 'list:not:LOGIN,LOGOUT'",
        ),
        ("Glob:x", "did you mean 'glob'?"),
        ("kafka:x", "the kinds are glob, list, regex and sql"),
        (r"glob:\d", r"write \\ for a backslash"),
        ("regex:)", r"write \) for the character"),
    ];
    for (value, help) in cases {
        let error = Matcher::parse("m", value).unwrap_err();
        assert_eq!(error.help().as_deref(), Some(help), "{value:?}");
    }
    assert_eq!(
        Matcher::parse("", "glob:x").unwrap_err().help().as_deref(),
        Some("write a name after the last dot, such as 'event-matchers.a'")
    );
}

#[test]
fn a_pattern_that_compiles_too_large_is_refused() {
    let error = Matcher::parse("m", r"regex:((\p{L}{1000}){1000}){1000}").unwrap_err();
    assert!(matches!(error, MatcherError::TooLarge(_)), "{error:?}");
    let error = Matcher::parse("m", "regex:(?=a)((b{1000}){1000}){1000}").unwrap_err();
    assert!(matches!(error, MatcherError::Backtracking(_)), "{error:?}");
    assert!(error.help().is_some());
}

#[test]
fn blank_text_is_never_accepted() {
    for value in [
        "glob:*",
        "glob:not:x",
        "list:not:x",
        "regex:.*",
        "regex:not:x",
        "sql:%",
    ] {
        for blank in ["", " ", "\t\n"] {
            assert!(!matcher(value).accepts(blank), "{value} accepts {blank:?}");
        }
    }
}

#[test]
fn a_list_holds_whole_names_in_any_letter_case() {
    let list = matcher("list: LOGIN, logout ,, ,Register,");
    for accepted in ["LOGIN", "login", "LOGOUT", "Logout", "REGISTER"] {
        assert!(list.accepts(accepted), "{accepted}");
    }
    for refused in ["LOGIN_ERROR", "LOG", "LOGIN,logout", "LOGIN ", ","] {
        assert!(!list.accepts(refused), "{refused}");
    }
    assert_eq!(list.list_items().len(), 3);
    assert!(matcher("list:,").list_items().is_empty());
    assert!(!matcher("list:,").accepts("LOGIN"));
    assert!(matcher("list:*").accepts("*") && !matcher("list:*").accepts("LOGIN"));
    assert!(matcher("glob:LOGIN").list_items().is_empty());
}

#[test]
fn letter_case_is_ignored_in_ascii_only() {
    for value in ["glob:éK", "sql:éK", "list:éK", "regex:éK"] {
        let matcher = matcher(value);
        assert!(matcher.accepts("ék") && matcher.accepts("éK"), "{value}");
        // Unicode would fold the capital É, and the Kelvin sign onto k.
        assert!(
            !matcher.accepts("Ék") && !matcher.accepts("é\u{212A}"),
            "{value}"
        );
    }
}

#[test]
fn an_expression_that_runs_out_of_steps_does_not_accept_and_is_counted() {
    let text = "a".repeat(40);
    for value in [
        "regex:(?=a)(a|aa|a{3})*(?!.)b",
        "regex:not:(?=a)(a|aa|a{3})*(?!.)b",
    ] {
        let matcher = matcher(value);
        assert_eq!(matcher.gave_up(), 0);
        assert!(!matcher.accepts(&text), "{value}");
        assert_eq!(matcher.gave_up(), 1, "{value}");
        matcher.accepts("z");
        assert_eq!(matcher.gave_up(), 1, "an answer is no giving up");
    }
}

proptest! {
    #[test]
    fn reading_any_value_never_panics(value in ".{0,40}") {
        let _ = Matcher::parse("m", &value).map(|matcher| matcher.accepts("LOGIN"));
    }

    #[test]
    fn reading_anything_as_a_pattern_never_panics(
        kind in "(glob|sql|regex|list)",
        pattern in r"[a-c\\\[\](){}|?*+.^$&\-!<>=:,0-9QEpPuxcknRsdwbi%_]{0,16}",
    ) {
        let value = format!("{kind}:{pattern}");
        if let Ok(matcher) = Matcher::parse("m", &value) {
            matcher.accepts("abc");
        }
    }

    #[test]
    fn a_negated_matcher_says_the_opposite_of_every_text_that_is_not_blank(
        pattern in "[a-c*?]{1,6}", text in "[a-c]{1,6}",
    ) {
        let plain = matcher(&format!("glob:{pattern}"));
        let negated = matcher(&format!("glob:not:{pattern}"));
        prop_assert_ne!(plain.accepts(&text), negated.accepts(&text));
    }
}
