//! Routes as they are written in a file: values, defaults and the exact words of every mistake.

use std::time::Duration;

use kete_config::{Diagnostics, Key, Known, Loader, Setting, Status, table_mistakes};

use super::{ROUTE_KEYS, Retry, RouteSettings, Wait, read_route, route_enabled};
use crate::event_name::{EventName, Unresolved, read_event_name};
use crate::match_set::MatchMode;
use crate::serializer::NOT_YET;

/// Reads the route `shop` from `key=value` lines that are relative to it.
fn read(lines: &[&str]) -> (Option<RouteSettings>, String) {
    with_route(lines, |scope| read_route("shop", scope))
}

fn with_route<T>(lines: &[&str], read: impl FnOnce(&kete_config::Scope<'_>) -> T) -> (T, String) {
    let diagnostics = Diagnostics::new();
    let loader = lines.iter().fold(Loader::new("kete"), |loader, line| {
        loader.set(format!("kete.routes.shop.{line}"))
    });
    let settings = loader.load(&diagnostics);
    let value = read(&settings.scope("kete.routes.shop", &diagnostics));
    let known = Known::new().below("kete.routes.*", ROUTE_KEYS);
    settings.check_unknown(&known, &diagnostics);
    let printed = diagnostics.to_string();
    (value, printed)
}

#[test]
fn the_table_is_well_formed() {
    assert_eq!(table_mistakes(ROUTE_KEYS), Vec::<String>::new());
}

#[test]
fn the_page_about_configuration_says_what_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let page = std::fs::read_to_string(path).unwrap();
    let routes = page.split("### Routes\n").nth(1).unwrap();
    let routes = routes.split("\n### ").next().unwrap().replace('`', "");
    for key in ROUTE_KEYS {
        let name = key.written();
        match key.status() {
            Status::Active => {
                let default = key.default().unwrap_or("–");
                let row = format!("| {name} | {default} | {} |", key.doc());
                assert!(routes.lines().any(|line| line == row), "{row}");
            }
            Status::Unused(_) => assert!(page.contains(&format!("`{name}`")), "{name}"),
            _ => {}
        }
    }
}

#[test]
fn every_serializer_of_kete_that_is_not_there_yet_says_so() {
    for kind in NOT_YET {
        let printed = complaint(&format!("serializer.kind={kind}"));
        let expected =
            format!("error[not-yet]\n  {kind} is not there yet\n  use json until then\n");
        assert_eq!(printed, expected);
    }
}

#[test]
fn a_route_without_settings_takes_everything_as_json() {
    let (route, printed) = read(&["destination.kind=socketio"]);
    let route = route.unwrap();
    assert_eq!(printed, "");
    assert_eq!(&*route.name, "shop");
    assert!(route.rules.realm.matchers().is_empty() && route.rules.event.matchers().is_empty());
    assert_eq!(route.serializer.kind(), "json");
    assert_eq!(
        route.retry,
        Retry {
            max_attempts: 3,
            wait: Duration::from_millis(500)
        }
    );
}

#[test]
fn everything_that_is_written_is_read() {
    let (route, printed) = read(&[
        "enabled=yes",
        "realm-matchers.only=list:shop,outlet",
        "event-matchers.b=glob:not:*_ERROR",
        "event-matchers.a=glob:LOGIN*",
        "event-match-mode=All",
        "serializer.kind=json",
        "retry.max-attempts=5",
        "retry.wait-duration=2",
    ]);
    let route = route.unwrap();
    assert_eq!(printed, "");
    let ids: Vec<&str> = route
        .rules
        .event
        .matchers()
        .iter()
        .map(|matcher| matcher.id())
        .collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(route.rules.event.mode(), MatchMode::All);
    assert_eq!(route.rules.realm.mode(), MatchMode::Any);
    assert!(route.rules.event.accepts(Some("LOGIN")));
    assert!(!route.rules.event.accepts(Some("LOGIN_ERROR")));
    assert_eq!(
        route.retry,
        Retry {
            max_attempts: 5,
            wait: Duration::from_secs(2)
        }
    );
}

#[test]
fn blank_texts_are_defaults_as_in_kete() {
    let (route, printed) = read(&[
        "serializer.kind=",
        "realm-match-mode= ",
        "event-match-mode=",
    ]);
    assert_eq!(printed, "");
    assert_eq!(route.unwrap().serializer.kind(), "json");
}

#[test]
fn retry_switched_off_is_one_attempt() {
    let (route, printed) = read(&["retry.enabled=false", "retry.max-attempts=9"]);
    assert_eq!(printed, "");
    assert_eq!(route.unwrap().retry.max_attempts, 1);
}

#[test]
fn waits_are_seconds_or_have_a_unit() {
    for (text, expected) in [
        ("2", Duration::from_secs(2)),
        ("500ms", Duration::from_millis(500)),
        ("5M", Duration::from_secs(300)),
        ("1w", Duration::from_secs(604_800)),
        ("PT2S", Duration::from_secs(2)),
        ("pt0.5s", Duration::from_millis(500)),
    ] {
        assert_eq!(Wait::parse(text), Ok(Wait(expected)), "{text}");
    }
    assert_eq!(Wait::parse("0ms"), Err("it is zero".to_owned()));
}

#[test]
fn a_disabled_route_is_known_by_one_key() {
    assert!(with_route(&[], route_enabled).0);
    assert!(!with_route(&["enabled=off"], route_enabled).0);
    let (enabled, printed) = with_route(&["enabled=perhaps"], route_enabled);
    assert!(enabled, "so that its other mistakes come out");
    assert_eq!(
        printed,
        "error[bad-value]: --set: kete.routes.shop.enabled = \"perhaps\"\n  \
         expected true or false (or yes/no, on/off, y/n, t/f, 1/0), but it is none of these\n"
    );
}

/// What one wrong line prints after its address.
fn complaint(line: &str) -> String {
    let (route, printed) = read(&[line]);
    assert!(route.is_none(), "{line} should be refused");
    let (key, value) = line.split_once('=').unwrap();
    let address = if value.is_empty() {
        format!("--set: kete.routes.shop.{key} = \"\"\n")
    } else {
        format!("--set: kete.routes.shop.{key} = \"{value}\"\n")
    };
    let (head, rest) = printed.split_once(": ").unwrap();
    let rest = rest
        .strip_prefix(&address)
        .unwrap_or_else(|| panic!("{printed}"));
    format!("{head}\n{rest}")
}

#[test]
fn wrong_values_are_reported_with_what_was_expected() {
    let one_of = "error[bad-value]\n  expected one of: any, all, but it is none of these\n";
    let attempts = "error[bad-value]\n  expected a whole number from 1 to 4294967295, but ";
    let wait = "error[bad-value]\n  expected seconds above zero as a whole number, or a duration \
                such as 500ms, 2s, 5m or PT2S, but ";
    let cases = [
        ("realm-match-mode=none", one_of.to_owned()),
        (
            "event-match-mode=anny",
            format!("{one_of}  did you mean any?\n"),
        ),
        ("retry.max-attempts=0", format!("{attempts}it is zero\n")),
        (
            "retry.max-attempts=-1",
            format!("{attempts}it is negative\n"),
        ),
        (
            "retry.max-attempts=three",
            format!("{attempts}it is not a whole number\n"),
        ),
        ("retry.wait-duration=0", format!("{wait}it is zero\n")),
        (
            "serializer.kind=xml",
            "error[not-yet]\n  xml is not there yet\n  use json until then\n".to_owned(),
        ),
        (
            "serializer.kind=jsno",
            "error[bad-value]\n  expected json, but there is no such serializer\n  \
             did you mean json?\n"
                .to_owned(),
        ),
        (
            "serializer.kind=glob",
            "error[bad-value]\n  expected json, but there is no such serializer\n".to_owned(),
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(complaint(line), expected, "{line}");
    }
    assert!(complaint("retry.wait-duration=soon").starts_with(wait));
    assert!(complaint("retry.wait-duration=").contains("but it is blank"));
}

#[test]
fn wrong_matchers_are_reported_with_the_way_out() {
    let example = "  write for example 'glob:LOGIN*' or 'list:not:LOGIN,LOGOUT'\n";
    let cases = [
        (
            "event-matchers.a=",
            format!("  matcher value is required\n{example}"),
        ),
        (
            "event-matchers.a=LOGIN",
            format!("  matcher must be in format 'kind:pattern' or 'kind:not:pattern'\n{example}"),
        ),
        (
            "event-matchers.a=glob:",
            format!("  pattern is required\n{example}"),
        ),
        (
            "realm-matchers.a=globb:x",
            "  matcher kind 'globb' not found\n  did you mean 'glob'?\n".to_owned(),
        ),
        (
            "realm-matchers.x.y=regex:a(b",
            "  '(' is never closed at character 2\n".to_owned(),
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(
            complaint(line),
            format!("error[bad-matcher]\n{expected}"),
            "{line}"
        );
    }
}

#[test]
fn all_mistakes_of_a_route_come_out_together() {
    let (route, printed) = read(&[
        "realm-matchers.a=x",
        "event-matchers.a=y",
        "event-matchers.b=z",
        "event-match-mode=some",
        "serializer.kind=yaml",
        "retry.max-attempts=0",
        "retry.wait-duration=0",
        "retry.wait=5",
    ]);
    assert!(route.is_none());
    assert_eq!(printed.matches("error[").count(), 8, "{printed}");
    assert!(
        printed.contains("did you mean kete.routes.shop.retry.wait-duration?"),
        "{printed}"
    );
}

#[test]
fn keys_that_only_other_serializers_read_are_warnings() {
    let (route, printed) = read(&[
        "serializer.nesting-notation=dot",
        "serializer.template-file-text=x",
    ]);
    assert!(route.is_some());
    assert_eq!(
        printed.matches("warning[unused-key]").count(),
        2,
        "{printed}"
    );
}

#[test]
fn an_exclusion_beside_others_in_any_mode_is_pointed_out() {
    let (route, printed) = read(&[
        "event-matchers.in=glob:LOGIN*",
        "event-matchers.out=glob:not:*_ERROR",
    ]);
    assert!(route.is_some());
    assert_eq!(
        printed,
        "warning[exclusion-without-effect]: --set: kete.routes.shop.event-matchers.out = \
         \"glob:not:*_ERROR\"\n  beside other matchers, 'not' excludes nearly nothing while one \
         matcher that accepts is enough\n  set event-match-mode=all\n"
    );
    for quiet in [
        &["event-matchers.out=glob:not:*_ERROR"][..],
        &[
            "event-matchers.in=glob:L*",
            "event-matchers.out=glob:not:X",
            "event-match-mode=all",
        ],
        &["realm-matchers.in=glob:L*", "event-matchers.out=glob:not:X"],
    ] {
        assert_eq!(read(quiet).1, "", "{quiet:?}");
    }
    let (_, printed) = read(&["realm-matchers.a=list:not:x", "realm-matchers.b=list:not:y"]);
    assert_eq!(
        printed.matches("set realm-match-mode=all").count(),
        2,
        "{printed}"
    );
}

#[test]
fn event_types_that_do_not_exist_are_pointed_out() {
    let (route, printed) = read(&["event-matchers.a=list:LOGN, USER_CREATE ,tenant moved"]);
    assert!(route.is_some());
    assert_eq!(
        printed,
        "warning[unknown-event-type]: --set: kete.routes.shop.event-matchers.a = \
         \"list:LOGN, USER_CREATE ,tenant moved\"\n  no known event type is called LOGN\n  \
         did you mean LOGIN?\n"
    );
    let (_, printed) = read(&["event-matchers.a=list:BRAND_NEW_THING"]);
    assert!(
        printed.contains("this is fine if your Keycloak or an extension sends it"),
        "{printed}"
    );
    for quiet in [
        "realm-matchers.a=list:LOGN",
        "event-matchers.a=glob:LOGN",
        "event-matchers.a=list:login",
    ] {
        assert_eq!(read(&[quiet]).1, "", "{quiet}");
    }
}

#[test]
fn a_list_without_items_is_pointed_out() {
    let (route, printed) = read(&["realm-matchers.a=list: , ,"]);
    assert!(route.is_some());
    assert!(printed.starts_with("warning[empty-list]: --set: kete.routes.shop.realm-matchers.a"));
}

static EVENT_NAME: Key<String> = Key::required("destination.event-name", "the name");
static UNRESOLVED: Key<Unresolved> = Key::with_default(
    "destination.unresolved-variables",
    "literal",
    "what a blank becomes",
);

fn event_name(lines: &[&str]) -> (Option<EventName>, String) {
    with_route(lines, |scope| {
        read_event_name(scope, &EVENT_NAME, &UNRESOLVED)
    })
}

#[test]
fn an_event_name_is_read_with_its_policy() {
    let (name, printed) = event_name(&[
        "destination.event-name=a-${nope:-b}",
        "destination.unresolved-variables=FAIL",
    ]);
    assert_eq!(name.unwrap().is_constant(), Some("a-b"));
    assert_eq!(
        printed,
        "warning[doubtful-event-name]: --set: kete.routes.shop.destination.event-name = \
         \"a-${nope:-b}\"\n  '${nope}' is no variable\n  variables are kind, realm, eventType, \
         resourceType, operationType or result with LowerCase, UpperCase, KebabCase, PascalCase \
         or CamelCase after it\n"
    );
}

#[test]
fn a_wrong_event_name_is_reported() {
    let (name, printed) = event_name(&["destination.event-name=connect"]);
    assert!(name.is_none());
    assert_eq!(
        printed,
        "error[bad-event-name]: --set: kete.routes.shop.destination.event-name = \"connect\"\n  \
         event name 'connect' is reserved by Socket.IO\n  \
         put something before it, such as 'keycloak-'\n"
    );
    let (name, printed) = event_name(&[]);
    assert!(name.is_none());
    assert!(printed.starts_with("error[missing-key]"), "{printed}");
}
