//! `kete explain`: what it says about events, in both formats.

use super::harness::{
    Ended, assert_same_as_file, crate_directory, kete, project, run_to_end, with_settings,
};

const ROUTES: &[&str] = &[
    "kete.routes.logins.realm-matchers.demo=list:demo",
    "kete.routes.logins.event-matchers.login=glob:LOGIN*",
    "kete.routes.logins.destination.kind=socketio",
    "kete.routes.logins.destination.url=http://localhost:3000",
    "kete.routes.logins.destination.event-name=keycloak:${eventTypeKebabCase}",
    "kete.routes.audit.event-matchers.a-changes=regex:.*_(CREATE|UPDATE|DELETE)",
    "kete.routes.audit.event-matchers.b-groups=glob:not:GROUP*",
    "kete.routes.audit.event-match-mode=all",
    "kete.routes.audit.destination.kind=socketio",
    "kete.routes.audit.destination.url=http://localhost:3000",
    "kete.routes.audit.destination.event-name={{ resourceType }}:{{ details.username }}",
];

fn input() -> Vec<u8> {
    std::fs::read(crate_directory().join("tests/explain/events.json")).unwrap()
}

fn explain(arguments: &[&str]) -> Ended {
    run_to_end(with_settings("explain", ROUTES).args(arguments), &input())
}

#[test]
fn people_read_who_takes_each_event_and_why() {
    let ended = explain(&[]);
    assert_eq!(ended.code, Some(1), "a line is bad: {}", ended.stderr);
    let path = crate_directory().join("tests/explain/human.expected");
    assert_same_as_file(&ended.stdout, &path);
}

#[test]
fn programs_read_one_json_object_per_event() {
    let ended = explain(&["--format", "json"]);
    assert_eq!(ended.code, Some(1), "a line is bad: {}", ended.stderr);
    for line in ended.stdout.lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line)
                .unwrap()
                .is_object()
        );
    }
    let path = crate_directory().join("tests/explain/json.expected");
    assert_same_as_file(&ended.stdout, &path);
}

#[test]
fn good_events_alone_end_with_0_and_no_source_is_needed() {
    let event = b"{\"id\":\"1\",\"time\":1,\"type\":\"LOGIN\",\"realmName\":\"demo\"}\n";
    let ended = run_to_end(&mut with_settings("explain", ROUTES), event);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("event name keycloak:login\n"),
        "{}",
        ended.stdout
    );
}

#[test]
fn the_realm_names_of_the_source_count_as_they_do_in_a_run() {
    let event = b"{\"id\":\"1\",\"time\":1,\"type\":\"LOGIN\",\"realmId\":\"r-1\"}\n";
    let explained = |names: &[&str]| {
        let mut settings = ROUTES.to_vec();
        settings.push("kete.sources.in.kind=stdin");
        settings.extend(names);
        run_to_end(&mut with_settings("explain", &settings), event).stdout
    };
    let named = explained(&["kete.sources.in.realm-names.r-1=demo"]);
    assert!(named.contains("event name keycloak:login\n"), "{named}");
    let named = explained(&["kete.sources.in.realm=demo"]);
    assert!(named.contains("event name keycloak:login\n"), "{named}");
    let nameless = explained(&[]);
    assert!(!nameless.contains("event name"), "{nameless}");
    // Another source, which names none, changes nothing.
    let named = explained(&["kete.sources.in.realm=demo", "kete.sources.x.kind=webhook"]);
    assert!(named.contains("event name keycloak:login\n"), "{named}");
}

#[test]
fn among_several_sources_that_name_realms_the_command_line_chooses() {
    let event = b"{\"id\":\"1\",\"time\":1,\"type\":\"LOGIN\",\"realmId\":\"r-1\"}\n";
    let sources = [
        "kete.sources.in.kind=stdin",
        "kete.sources.in.realm=demo",
        "kete.sources.hook.kind=webhook",
        "kete.sources.hook.realm=other",
    ];
    let settings = [ROUTES, &sources].concat();
    let explained = |arguments: &[&str]| {
        run_to_end(
            with_settings("explain", &settings).args(arguments),
            &event[..],
        )
    };
    let unknown = explained(&[]);
    assert!(!unknown.stdout.contains("event name"), "{}", unknown.stdout);
    assert!(
        unknown
            .stderr
            .starts_with("note: the sources hook, in each name realms")
            && unknown.stderr.contains("--source"),
        "{}",
        unknown.stderr
    );
    let chosen = explained(&["--source", "in"]);
    assert_eq!(chosen.stderr, "");
    assert!(
        chosen.stdout.contains("event name keycloak:login\n"),
        "{}",
        chosen.stdout
    );
    let other = explained(&["--source", "hook"]);
    assert!(other.stdout.contains("realm other"), "{}", other.stdout);
    let wrong = explained(&["--source", "hok"]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""));
    assert_eq!(
        wrong.stderr,
        "error: --source hok: there is no such source; there is hook, in\n"
    );
}

#[test]
fn the_quickstart_is_explained_as_it_runs() {
    let config = project("quickstarts/socketio/kete.properties");
    let events = std::fs::read(project("quickstarts/socketio/events.ndjson")).unwrap();
    let mut explain = kete();
    explain.arg("explain").arg("--config").arg(config);
    let ended = run_to_end(&mut explain, &events);
    let (_, sixth) = ended.stdout.split_once("line 6: ").unwrap();
    let sixth = sixth.lines().nth(1).unwrap();
    assert!(sixth.contains(" takes it, event name "), "{sixth}");
}

#[test]
fn a_line_of_standard_output_has_no_event_name() {
    let settings = ["kete.routes.all.destination.kind=stdout"];
    let event = b"{\"id\":\"1\",\"time\":1,\"type\":\"LOGIN\",\"realmName\":\"demo\"}\n";
    let ended = run_to_end(&mut with_settings("explain", &settings), event);
    assert!(
        ended.stdout.contains("  route all takes it\n"),
        "{}",
        ended.stdout
    );
    let mut json = with_settings("explain", &settings);
    let ended = run_to_end(json.args(["--format", "json"]), event);
    let explained: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let route = &explained["routes"][0];
    assert_eq!(
        (&route["accepted"], &route["eventName"]),
        (&true.into(), &serde_json::Value::Null)
    );
}

#[test]
fn a_wrong_configuration_is_refused() {
    let ended = run_to_end(
        &mut with_settings("explain", &["kete.routes.a.enabled=false"]),
        b"",
    );
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("error[no-route]"), "{}", ended.stderr);
}
