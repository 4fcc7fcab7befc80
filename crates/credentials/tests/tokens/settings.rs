//! What is said of an `oauth` section, word for word.

use std::fs;
use std::path::Path;

use kete_config::{Diagnostics, Known, Loader};
use kete_credentials::keycloak::{KEYCLOAK_KEYS, KEYCLOAK_SECTIONS};
use kete_credentials::oauth::{OAUTH_KEYS, OAUTH_SECTIONS, OauthSettings};

mod client;
mod endpoint;

/// A section that is right by itself.
const EXTERNAL: [&str; 4] = [
    "oauth.enabled=true",
    "oauth.token-url=https://auth.example.com/token",
    "oauth.client-id=shop",
    "oauth.client-secret=hush",
];

const INTERNAL: [&str; 5] = [
    "oauth.enabled=true",
    "oauth.mode=internal",
    "oauth.realm=demo",
    "oauth.client-secret=hush",
    "kete.keycloak.url=https://keycloak.example.com/auth",
];

type Read = (Option<Option<OauthSettings>>, String);

fn read_for(only_realm: Option<&str>, assignments: &[&str]) -> Read {
    let diagnostics = Diagnostics::new();
    let loader = assignments
        .iter()
        .fold(Loader::new("oauth"), |loader, set| loader.set(*set));
    let settings = loader.load(&diagnostics);
    let known = Known::new()
        .below("oauth", OAUTH_KEYS)
        .below("kete.keycloak", KEYCLOAK_KEYS);
    let known = OAUTH_SECTIONS.iter().fold(known, |known, (name, keys)| {
        known.below(&format!("oauth.{name}"), keys)
    });
    let known = KEYCLOAK_SECTIONS.iter().fold(known, |known, (name, keys)| {
        known.below(&format!("kete.keycloak.{name}"), keys)
    });
    settings.check_unknown(&known, &diagnostics);
    let read = OauthSettings::read(&settings.scope("oauth", &diagnostics), only_realm);
    assert_eq!(read.is_none(), diagnostics.has_errors(), "{diagnostics}");
    (read, diagnostics.to_string())
}

fn read(assignments: &[&str]) -> Read {
    read_for(None, assignments)
}

/// These, with later ones in place of earlier ones. An assignment without a value takes one away.
fn with<'a>(base: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let name = |set: &str| set.split('=').next().unwrap_or_default().to_owned();
    let is_kept = |set: &&&str| more.iter().all(|other| name(other) != name(set));
    let kept = base.iter().filter(is_kept);
    let more = more.iter().filter(|set| set.contains('='));
    kept.chain(more).copied().collect()
}

/// What is said of an external section with more.
fn external(more: &[&str]) -> String {
    read(&with(&EXTERNAL, more)).1
}

fn internal(more: &[&str]) -> String {
    read(&with(&INTERNAL, more)).1
}

/// A section about which nothing is said.
fn settings(assignments: &[&str]) -> OauthSettings {
    let (read, said) = read(assignments);
    assert_eq!(said, "");
    read.unwrap().unwrap()
}

fn file(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_section_with_the_least_is_read_with_the_defaults() {
    let settings = settings(&EXTERNAL);
    let send_as = settings.send_as();
    assert!(send_as.header && !send_as.auth && !send_as.query);
    assert_eq!(settings.auth_key(), "token");
    assert!(!settings.reconnect_before_expiry());
    assert!(settings.certificates().is_empty());
    let shown = format!("{settings:?}");
    for expected in ["auth.example.com", "\"shop\"", "SecretBasic", "10s"] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn what_is_not_enabled_is_not_read() {
    for assignments in [
        &[][..],
        &["oauth.enabled=false"],
        &[
            "oauth.enabled=false",
            "oauth.mode=nowhere",
            "oauth.timeout-seconds=x",
        ],
    ] {
        let (read, said) = read(assignments);
        assert!(matches!(read, Some(None)) && said.is_empty(), "{said}");
    }
}

#[test]
fn a_section_without_enabled_is_warned_of() {
    let (read, said) = read(&EXTERNAL[1..]);
    assert!(matches!(read, Some(None)));
    assert_eq!(
        said,
        "warning[no-effect]: oauth.enabled\n  nothing of this section has an effect, because it \
         is not enabled\n  write oauth.enabled=true, or false to keep it for later\n"
    );
}

#[test]
fn all_mistakes_come_out_together() {
    let said = read(&[
        "oauth.enabled=yep",
        "oauth.mode=extern",
        "oauth.token-url=auth.example.com/token",
        "oauth.client-auth=basic",
        "oauth.timeout-seconds=ten",
        "oauth.send-as=body",
        "oauth.reconnect-before-expiry=perhaps",
        "oauth.parameters.scope=x",
        "oauth.tls.verify-hostname=maybe",
        "oauth.proxy.url=proxy",
        "oauth.secret=x",
    ])
    .1;
    let keys: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("error["))
        .filter_map(|line| line.split(' ').nth(2))
        .collect();
    assert_eq!(
        keys,
        [
            "oauth.client-auth",
            "oauth.enabled",
            "oauth.mode",
            "oauth.parameters.scope",
            "oauth.proxy.url",
            "oauth.reconnect-before-expiry",
            "oauth.secret",
            "oauth.send-as",
            "oauth.timeout-seconds",
            "oauth.tls.verify-hostname",
            "oauth.token-url",
        ],
        "{said}"
    );
}

#[test]
fn words_that_are_nearly_right_are_suggested() {
    for (more, expected) in [
        (
            "oauth.mode=interne",
            "error[bad-value]: --set: oauth.mode = \"interne\"\n  expected one of: external, \
             internal, but it is none of these\n  did you mean internal?\n",
        ),
        (
            "oauth.send-as=header,querry",
            "error[bad-value]: --set: oauth.send-as = \"header,querry\"\n  expected header, auth, \
             query, or a comma-separated list of these, but it is none of these\n  did you mean \
             query?\n",
        ),
        (
            "oauth.client-auth=private-key-jwk",
            "error[bad-value]: --set: oauth.client-auth = \"private-key-jwk\"\n  expected one of: \
             client-secret-basic, client-secret-post, private-key-jwt, jwt-file, tls-client-auth, \
             but it is none of these\n  did you mean private-key-jwt?\n",
        ),
    ] {
        assert_eq!(external(&[more]), expected);
    }
    let (read, said) = read(&with(&INTERNAL, &["oauth.mode=INTERNAL"]));
    assert!(matches!(read, Some(Some(_))) && said.is_empty(), "{said}");
}

#[test]
fn no_timeout_is_ten_seconds() {
    let (read, said) = read(&with(&EXTERNAL, &["oauth.timeout-seconds=0"]));
    assert_eq!(
        said,
        "warning[no-effect]: --set: oauth.timeout-seconds = \"0\"\n  in KETE that is no end at \
         all; here it is the default, 10s\n  write how many seconds a token may take\n"
    );
    assert!(format!("{:?}", read.unwrap()).contains("deadline: 10s"));
    let longer = settings(&with(&EXTERNAL, &["oauth.timeout-seconds=25"]));
    assert!(format!("{longer:?}").contains("deadline: 25s"));
    assert_eq!(
        external(&["oauth.timeout-seconds=-1"]),
        "error[bad-value]: --set: oauth.timeout-seconds = \"-1\"\n  expected a whole number from \
         0 to 4294967295, but it is negative\n"
    );
}

#[test]
fn what_every_request_says_is_no_parameter() {
    for (name, help) in [
        ("grant_type", None),
        ("client_id", Some("client-id")),
        ("client_secret", Some("client-secret")),
        ("client_assertion", Some("client-auth")),
        ("client_assertion_type", Some("client-auth")),
        ("scope", Some("scope")),
    ] {
        let help = help.map_or_else(String::new, |key| {
            format!("  oauth.{key} is the key for it\n")
        });
        assert_eq!(
            external(&[&format!("oauth.parameters.{name}=x")]),
            format!(
                "error[contradiction]: --set: oauth.parameters.{name} = (hidden)\n  every request \
                 says this by itself\n{help}"
            )
        );
    }
    let settings = settings(&with(
        &EXTERNAL,
        &[
            "oauth.parameters.audience=https://events.example.com",
            "oauth.parameters.x.y=z",
            "oauth.parameters.resource=",
        ],
    ));
    let shown = format!("{settings:?}");
    assert!(
        shown.contains("audience") && shown.contains("x.y") && !shown.contains("events.example"),
        "{shown}"
    );
    assert!(!shown.contains("resource"), "{shown}");
}

#[test]
fn tokens_are_sent_where_it_is_said_and_a_name_without_a_place_is_warned_of() {
    let all = settings(&with(
        &EXTERNAL,
        &[
            "oauth.send-as=auth, query",
            "oauth.auth-key=jwt",
            "oauth.reconnect-before-expiry=true",
        ],
    ));
    let send_as = all.send_as();
    assert!(!send_as.header && send_as.auth && send_as.query);
    assert_eq!(all.auth_key(), "jwt");
    assert!(all.reconnect_before_expiry());
    assert_eq!(
        external(&["oauth.auth-key=jwt"]),
        "warning[no-effect]: --set: oauth.auth-key = \"jwt\"\n  it names a member of the auth \
         object or of the query, and send-as has neither\n  leave it out, or write send-as=auth \
         or send-as=query\n"
    );
}

#[test]
fn scopes_are_words() {
    let settings = settings(&with(&EXTERNAL, &["oauth.scope= events:write  profile "]));
    let shown = format!("{settings:?}");
    assert!(shown.contains("[\"events:write\", \"profile\"]"), "{shown}");
}
