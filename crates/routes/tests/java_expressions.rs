//! Expressions on which Java itself was asked: one line each of `java-expressions.jsonl`, with an
//! expression, texts that it accepts and texts that it refuses.
//!
//! They were made at random from the constructs of `java.util.regex` and answered by Java 25
//! (`Pattern.compile(expression, CASE_INSENSITIVE).matcher(text).matches()`). They are here so that
//! a new release of an engine that reads one of them otherwise is found out. Expressions that we
//! refuse to read are not in the file: refusing is allowed, another meaning is not.

#![expect(clippy::panic, reason = "a test helper may panic")]

use kete_routes::{Matcher, MatcherKind};

const CORPUS: &str = include_str!("java-expressions.jsonl");

type Line = (String, Vec<String>, Vec<String>);

fn lines() -> impl Iterator<Item = Line> {
    CORPUS.lines().map(|line| {
        serde_json::from_str(line).unwrap_or_else(|error| {
            panic!("{line}: {error}");
        })
    })
}

fn matcher(expression: &str, negation: &str) -> Matcher {
    let value = format!("regex:{negation}{expression}");
    Matcher::parse("m", &value).unwrap_or_else(|error| panic!("{value}: {error}"))
}

#[test]
fn expressions_accept_and_refuse_what_java_accepts_and_refuses() {
    for (expression, accepted, refused) in lines() {
        let matcher = matcher(&expression, "");
        assert_eq!(matcher.kind(), MatcherKind::Regex);
        for text in &accepted {
            assert!(matcher.accepts(text), "{expression} should accept {text:?}");
        }
        for text in &refused {
            assert!(
                !matcher.accepts(text),
                "{expression} should refuse {text:?}"
            );
        }
        assert_eq!(matcher.gave_up(), 0, "{expression}");
    }
}

#[test]
fn a_negated_expression_says_the_opposite() {
    for (expression, accepted, refused) in lines().step_by(10) {
        let matcher = matcher(&expression, "not:");
        assert!(
            accepted.iter().all(|text| !matcher.accepts(text)),
            "{expression}"
        );
        assert!(
            refused.iter().all(|text| matcher.accepts(text)),
            "{expression}"
        );
    }
}

#[test]
fn the_corpus_has_answers_of_both_kinds_for_every_expression() {
    assert!(lines().count() > 400);
    for (expression, accepted, refused) in lines() {
        assert!(!accepted.is_empty() && !refused.is_empty(), "{expression}");
    }
}
