//! Modes, blank texts and the words of an explanation.

use kete_config::Setting;
use kete_event::{Kind, Metadata, Outcome};

use super::{MatchMode, MatchSet, Reason, RouteRules};
use crate::matcher::Matcher;

fn set(mode: MatchMode, values: &[&str]) -> MatchSet {
    let matchers = values
        .iter()
        .enumerate()
        .map(|(index, value)| Matcher::parse(&format!("m{index}"), value).unwrap());
    MatchSet::new(mode, matchers.collect())
}

fn metadata(realm: Option<&str>, event_type: &str) -> Metadata {
    Metadata {
        kind: Kind::User,
        realm: realm.map(Box::from),
        event_type: event_type.into(),
        resource_type: None,
        operation_type: None,
        outcome: Outcome::Success,
        event_id: "1".into(),
    }
}

#[test]
fn modes_are_read_in_any_letter_case() {
    assert_eq!(MatchMode::parse("ANY"), Ok(MatchMode::Any));
    assert_eq!(MatchMode::parse("All"), Ok(MatchMode::All));
    assert_eq!(
        MatchMode::parse("al"),
        Err("it is none of these\ndid you mean all?".to_owned())
    );
    assert_eq!(MatchMode::default(), MatchMode::Any);
}

#[test]
fn any_needs_one_and_all_needs_every_matcher() {
    use MatchMode::{All, Any};
    let cases: &[(MatchMode, &[&str], &str, bool)] = &[
        (Any, &[], "LOGIN", true),
        (All, &[], "LOGIN", true),
        (Any, &["glob:LOGIN*"], "LOGIN", true),
        (Any, &["glob:LOGIN*"], "LOGOUT", false),
        (Any, &["glob:LOGIN*", "glob:LOGOUT*"], "LOGOUT", true),
        (All, &["glob:LOGIN*", "glob:LOGOUT*"], "LOGOUT", false),
        (All, &["glob:LOG*", "glob:*OUT"], "LOGOUT", true),
        // one include and one exclude: only `all` excludes
        (
            Any,
            &["glob:LOGIN*", "glob:not:*_ERROR"],
            "LOGIN_ERROR",
            true,
        ),
        (Any, &["glob:LOGIN*", "glob:not:*_ERROR"], "REGISTER", true),
        (
            All,
            &["glob:LOGIN*", "glob:not:*_ERROR"],
            "LOGIN_ERROR",
            false,
        ),
        (All, &["glob:LOGIN*", "glob:not:*_ERROR"], "REGISTER", false),
        (All, &["glob:LOGIN*", "glob:not:*_ERROR"], "LOGIN", true),
        // two excludes in `any` accept everything that is not in both
        (Any, &["list:not:A,B", "list:not:B,C"], "A", true),
        (Any, &["list:not:A,B", "list:not:B,C"], "B", false),
        (All, &["list:not:A,B", "list:not:B,C"], "A", false),
        (All, &["list:not:A,B", "list:not:B,C"], "D", true),
    ];
    for (mode, values, text, expected) in cases {
        let accepted = set(*mode, values).accepts(Some(text));
        assert_eq!(accepted, *expected, "{mode:?} of {values:?} on {text}");
    }
}

#[test]
fn blank_and_missing_text_is_refused_whatever_the_matchers() {
    for set in [
        MatchSet::everything(),
        set(MatchMode::Any, &["glob:*"]),
        set(MatchMode::Any, &["glob:not:x"]),
        set(MatchMode::All, &["list:not:x"]),
    ] {
        for text in [None, Some(""), Some("  ")] {
            let decision = set.decide(text);
            assert!(!decision.accepted);
            assert_eq!(decision.reason, Reason::Blank);
        }
    }
}

#[test]
fn a_decision_names_the_matcher_that_made_it() {
    use MatchMode::{All, Any};
    let two = ["list:LOGOUT", "glob:LOGIN*"];
    let cases: &[(MatchMode, &[&str], &str, &str)] = &[
        (Any, &[], "LOGIN", "accepted, because there are no matchers"),
        (Any, &two, "LOGIN", "accepted by m1=glob:LOGIN*"),
        (
            Any,
            &two,
            "REGISTER",
            "refused, because no matcher accepts it",
        ),
        (All, &two, "LOGIN", "refused by m0=list:LOGOUT"),
        (
            All,
            &["glob:LOG*", "glob:not:*_ERROR"],
            "LOGIN",
            "accepted by every matcher",
        ),
        (
            All,
            &["glob:LOG*", "glob:not:*_ERROR"],
            "LOGIN_ERROR",
            "refused by m1=glob:not:*_ERROR",
        ),
        (Any, &two, " ", "refused, because it is blank"),
    ];
    for (mode, values, text, expected) in cases {
        assert_eq!(set(*mode, values).decide(Some(text)).to_string(), *expected);
    }
}

#[test]
fn an_expression_that_gives_up_is_named_counted_and_does_not_accept() {
    let endless = "regex:not:(?=a)(a|aa|a{3})*(?!.)b";
    let text = "a".repeat(40);
    for mode in [MatchMode::Any, MatchMode::All] {
        let set = set(mode, &[endless]);
        let decision = set.decide(Some(&text));
        assert!(!decision.accepted);
        assert_eq!(decision.reason, Reason::GaveUp);
        assert_eq!(decision.by.map(Matcher::id), Some("m0"));
        assert_eq!(set.gave_up(), 1);
    }
    let with_other = set(MatchMode::Any, &[endless, "glob:a*"]);
    assert!(
        with_other.accepts(Some(&text)),
        "another matcher may still accept"
    );
}

#[test]
fn a_route_needs_its_realm_and_its_event_type_accepted() {
    let rules = RouteRules {
        realm: set(MatchMode::Any, &["list:shop"]),
        event: set(MatchMode::Any, &["glob:LOGIN*"]),
    };
    assert!(rules.accepts(&metadata(Some("Shop"), "LOGIN")));
    assert!(!rules.accepts(&metadata(Some("shop"), "LOGOUT")));
    assert!(!rules.accepts(&metadata(Some("master"), "LOGIN")));
    assert!(!rules.accepts(&metadata(None, "LOGIN")));
    assert!(
        !RouteRules::default().accepts(&metadata(None, "LOGIN")),
        "no realm is never accepted"
    );
    assert_eq!(rules.gave_up(), 0);
}

#[test]
fn an_explanation_gives_both_reasons() {
    let rules = RouteRules {
        realm: MatchSet::everything(),
        event: set(MatchMode::Any, &["glob:LOGIN*"]),
    };
    let shop = metadata(Some("shop"), "LOGOUT");
    let explanation = rules.explain(&shop);
    assert!(!explanation.accepted());
    assert_eq!(
        explanation.to_string(),
        "realm: accepted, because there are no matchers; \
         event type: refused, because no matcher accepts it"
    );
    assert!(rules.explain(&metadata(Some("shop"), "LOGIN")).accepted());
}

#[test]
fn the_only_realm_of_a_route_is_known_where_there_is_one() {
    let only = |mode, values: &[&str]| {
        let matcher = |value: &&str| Matcher::parse("id", value).unwrap();
        let realm = MatchSet::new(mode, values.iter().map(matcher).collect());
        let event = MatchSet::everything();
        RouteRules { realm, event }.only_realm()
    };
    for value in ["list:shop", "glob:shop", "sql:shop", "regex:shop"] {
        assert_eq!(
            only(MatchMode::Any, &[value]).as_deref(),
            Some("shop"),
            "{value}"
        );
    }
    for value in [
        "list:shop,other",
        "glob:sh*",
        "sql:sh_p",
        "regex:shop|b",
        "list:not:shop",
    ] {
        assert_eq!(only(MatchMode::Any, &[value]), None, "{value}");
    }
    assert_eq!(only(MatchMode::Any, &[]), None);
    assert_eq!(only(MatchMode::Any, &["list:shop", "glob:b*"]), None);
    let twice = only(MatchMode::Any, &["list:shop", "glob:SHOP"]);
    assert_eq!(twice.as_deref(), Some("shop"));
    let one_of_all = only(MatchMode::All, &["glob:s*", "list:shop"]);
    assert_eq!(one_of_all.as_deref(), Some("shop"));
}
