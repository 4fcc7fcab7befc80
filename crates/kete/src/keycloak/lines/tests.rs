//! Lines for configurations that have nothing, something or all of them.

use kete_config::{Loader, properties};

use super::*;

fn settings(set: &[&str]) -> Settings {
    let diagnostics = Diagnostics::new();
    let loader = set
        .iter()
        .fold(Loader::new("kete"), |loader, set| loader.set(*set));
    let settings = loader.load(&diagnostics);
    assert_eq!(diagnostics.to_string(), "");
    settings
}

/// The text of the lines for the client `tokens` of realm `shop`.
fn lines_with(secret: SecretAt<'_>, routes: &[&str], set: &[&str]) -> String {
    let target = Target {
        realm: "shop",
        client_id: "tokens",
        secret,
    };
    let routes: Vec<String> = routes.iter().map(|route| (*route).to_owned()).collect();
    let lines = of(&target, &routes, &settings(set));
    lines.iter().map(Line::to_string).collect()
}

fn lines(routes: &[&str], set: &[&str]) -> String {
    let secret = Secret::new("hush".to_owned());
    lines_with(SecretAt::Key(&secret), routes, set)
}

const NEW: &str = "\
kete.routes.events.destination.oauth.enabled=true
kete.routes.events.destination.oauth.mode=internal
kete.routes.events.destination.oauth.realm=shop
kete.routes.events.destination.oauth.client-id=tokens
kete.routes.events.destination.oauth.client-secret=hush
";

#[test]
fn a_configuration_without_routes_gets_the_lines_of_a_new_one() {
    assert_eq!(lines(&[], &[]), NEW);
    assert_eq!(
        lines(&[], &["kete.routes.a.destination.oauth.mode=external"]),
        NEW
    );
    let two = lines(&["a", "b"], &[]);
    let expected = ["a", "b"].map(|name| NEW.replace("events", name)).concat();
    assert_eq!(two, expected);
}

#[test]
fn routes_that_use_the_client_get_what_they_lack() {
    let set = [
        "kete.routes.a.destination.oauth.mode=INTERNAL",
        "kete.routes.a.destination.oauth.client-id=tokens",
        "kete.routes.b.destination.oauth.mode=internal",
        "kete.routes.b.destination.oauth.client-id=tokens",
        "kete.routes.b.destination.oauth.realm=other",
        "kete.routes.c.destination.oauth.mode=internal",
        "kete.routes.d.destination.oauth.mode=internal",
        "kete.routes.d.destination.oauth.client-id=another",
    ];
    assert_eq!(
        lines(&[], &set),
        "kete.routes.a.destination.oauth.enabled=true\n\
         kete.routes.a.destination.oauth.realm=shop\n\
         kete.routes.a.destination.oauth.client-secret=hush\n"
    );
}

#[test]
fn the_client_of_kete_is_the_one_of_routes_that_name_none() {
    let secret = Secret::new("hush".to_owned());
    let target = Target {
        realm: "shop",
        client_id: DEFAULT_OAUTH_CLIENT,
        secret: SecretAt::Key(&secret),
    };
    let settings = settings(&[
        "kete.routes.a.destination.oauth.mode=internal",
        "kete.routes.a.destination.oauth.client-id=",
    ]);
    let keys: Vec<String> = of(&target, &[], &settings)
        .into_iter()
        .map(|line| line.key)
        .collect();
    assert!(
        keys.iter().all(|key| key.starts_with("kete.routes.a.")),
        "{keys:?}"
    );
}

#[test]
fn what_is_there_and_right_is_left_out_and_what_is_wrong_is_replaced() {
    let all: Vec<&str> = NEW.lines().collect();
    assert_eq!(lines(&["events"], &all), "");
    let mut old = all;
    old[0] = "kete.routes.events.destination.oauth.enabled=false";
    old[4] = "kete.routes.events.destination.oauth.client-secret=old-secret";
    assert_eq!(
        lines(&["events"], &old),
        "# The next line has to take the place of --set.\n\
         kete.routes.events.destination.oauth.enabled=true\n\
         # The next line has to take the place of --set.\n\
         kete.routes.events.destination.oauth.client-secret=hush\n"
    );
}

#[test]
fn words_may_be_written_otherwise_and_names_may_not() {
    let mut set: Vec<&str> = NEW.lines().collect();
    set[0] = "kete.routes.events.destination.oauth.enabled=Yes";
    set[1] = "kete.routes.events.destination.oauth.mode=Internal";
    assert_eq!(lines(&["events"], &set), "");
    set[2] = "kete.routes.events.destination.oauth.realm=Shop";
    assert!(lines(&["events"], &set).ends_with("oauth.realm=shop\n"));
}

#[test]
fn a_secret_moves_into_a_file_and_out_of_it() {
    let path = Path::new("/run/secrets/tokens");
    let mut set: Vec<&str> = NEW.lines().collect();
    let moved = lines_with(SecretAt::File(path), &["events"], &set);
    let line = "kete.routes.events.destination.oauth.client-secret-file=/run/secrets/tokens";
    assert_eq!(
        moved,
        format!("# The next line has to take the place of --set.\n{line}\n")
    );
    set[4] = line;
    assert_eq!(lines_with(SecretAt::File(path), &["events"], &set), "");
    assert!(lines(&["events"], &set).ends_with(
        "# The next line has to take the place of --set.\n\
         kete.routes.events.destination.oauth.client-secret=hush\n"
    ));
}

#[test]
fn a_properties_file_reads_the_lines_as_they_are_meant() {
    let (realm, client_id) = (" a\\b=c:d ", "#x\ty");
    let secret = Secret::new("!s\n#=ü".to_owned());
    let target = Target {
        realm,
        client_id,
        secret: SecretAt::Key(&secret),
    };
    let written = of(&target, &["a b:c=d#e\\".to_owned()], &settings(&[]));
    let text: String = written.iter().map(Line::to_string).collect();
    let read = properties::parse(text.as_bytes());
    let read: Vec<(String, String)> = read
        .entries
        .into_iter()
        .map(|entry| (entry.key, entry.value))
        .collect();
    let written: Vec<(String, String)> = written
        .into_iter()
        .map(|line| (line.key, line.value))
        .collect();
    assert_eq!(read, written);
}

#[test]
fn a_comment_is_one_line_whatever_is_in_it() {
    assert_eq!(comment("a\nkete.x=1"), "# a\u{fffd}kete.x=1\n");
}
