//! What the configuration of sources means, right and wrong.

use kete_config::{Loader, table_mistakes};

use super::*;

const KEYCLOAK: [&str; 4] = [
    "kete.keycloak.url=https://keycloak.example.com/auth",
    "kete.keycloak.realms=shop",
    "kete.keycloak.client-id=kete",
    "kete.keycloak.client-secret=hush",
];

fn check(settings: &[&str]) -> (Vec<CheckedSource>, String) {
    let diagnostics = Diagnostics::new();
    let loader = settings
        .iter()
        .fold(Loader::new("kete"), |loader, set| loader.set(*set));
    let settings = loader.load(&diagnostics);
    let sources = check_sources(&settings, &diagnostics);
    (sources, diagnostics.to_string())
}

fn mistakes(settings: &[&str]) -> String {
    check(settings).1
}

#[test]
fn the_declarations_are_sound() {
    for kind in KINDS {
        assert_eq!(
            table_mistakes(kind.keys),
            Vec::<String>::new(),
            "{}",
            kind.name
        );
        assert!(
            !kind.doc.is_empty() && !kind.doc.ends_with('.'),
            "{}",
            kind.name
        );
    }
}

#[test]
fn every_kind_of_source_is_known_by_its_name() {
    let (sources, mistakes) = check(
        &[
            &KEYCLOAK[..],
            &[
                "kete.sources.a.kind=stdin",
                "kete.sources.b.kind=webhook",
                "kete.sources.c.kind=admin-api",
            ],
        ]
        .concat(),
    );
    assert_eq!(mistakes, "");
    let facts: Vec<_> = sources
        .iter()
        .map(|source| {
            (
                source.name.as_str(),
                source.kind.name,
                source.finite,
                source.drops_repeats,
            )
        })
        .collect();
    assert_eq!(
        facts,
        [
            ("a", "stdin", true, false),
            ("b", "webhook", false, true),
            ("c", "admin-api", false, true),
        ]
    );
}

#[test]
fn keycloak_alone_means_one_source_that_asks_it() {
    let (sources, mistakes) = check(&KEYCLOAK);
    assert_eq!(mistakes, "");
    assert_eq!(sources.len(), 1);
    assert_eq!(
        (sources[0].name.as_str(), sources[0].kind.name),
        ("keycloak", "admin-api")
    );
}

#[test]
fn beside_other_sources_keycloak_needs_no_client_that_polls() {
    let settings = [
        "kete.sources.a.kind=stdin",
        "kete.keycloak.url=https://keycloak.example.com",
        "kete.keycloak.registration.client-id=registrar",
        "kete.keycloak.registration.client-secret=hush",
    ];
    let (sources, mistakes) = check(&settings);
    assert_eq!((sources.len(), mistakes.as_str()), (1, ""));
}

#[test]
fn no_source_at_all_prints_the_lines_to_add() {
    let mistakes = mistakes(&["kete.log.level=info"]);
    assert!(
        mistakes.starts_with("error[no-source]: there is no source"),
        "{mistakes}"
    );
    for line in ["kete.sources.input.kind=webhook", "kete.keycloak.url="] {
        assert!(mistakes.contains(line), "{mistakes}");
    }
}

#[test]
fn a_wrong_kind_names_the_nearest_or_all() {
    assert_eq!(
        mistakes(&["kete.sources.a.kind=webhok", "kete.sources.a.anything=1"]),
        "error[bad-value]: --set: kete.sources.a.kind = \"webhok\"\n  \
         there is no source of this kind\n  did you mean webhook?\n"
    );
    assert_eq!(
        mistakes(&["kete.sources.a.kind=kafka"]),
        "error[bad-value]: --set: kete.sources.a.kind = \"kafka\"\n  \
         there is no source of this kind\n  write one of: stdin, webhook, admin-api\n"
    );
}

#[test]
fn kinds_that_are_to_come_say_so() {
    for kind in ["log-file", "syslog"] {
        let mistakes = mistakes(&[&format!("kete.sources.a.kind={kind}")]);
        assert!(mistakes.starts_with("error[not-yet]"), "{mistakes}");
    }
}

#[test]
fn a_source_without_a_kind_misses_it() {
    for settings in [
        &["kete.sources.a.bind=127.0.0.1:1"][..],
        &["kete.sources.a.kind="],
    ] {
        let mistakes = mistakes(settings);
        assert!(mistakes.contains("error[missing-key]"), "{mistakes}");
        assert!(mistakes.contains("kete.sources.a.kind"), "{mistakes}");
    }
    assert_eq!(
        mistakes(&["kete.sources.a=stdin", "kete.sources.b.kind=stdin"]),
        "error[section-as-value]: --set: kete.sources.a\n  \
         this is the name of a section and cannot have a value itself\n  \
         its keys stand below it, such as kete.sources.a.kind\n"
    );
}

#[test]
fn keys_that_a_kind_does_not_have_are_unknown() {
    assert_eq!(
        mistakes(&[
            "kete.sources.a.kind=webhook",
            "kete.sources.a.bnid=127.0.0.1:1"
        ]),
        "error[unknown-key]: --set: kete.sources.a.bnid\n  there is no such key\n  \
         did you mean kete.sources.a.bind?\n"
    );
    let foreign = mistakes(&[
        "kete.sources.a.kind=stdin",
        "kete.sources.a.bind=127.0.0.1:1",
    ]);
    assert!(foreign.starts_with("error[unknown-key]"), "{foreign}");
    let keycloak = mistakes(&["kete.sources.a.kind=stdin", "kete.keycloak.ulr=http://x"]);
    assert!(
        keycloak.contains("did you mean kete.keycloak.url?"),
        "{keycloak}"
    );
}

#[test]
fn standard_input_has_one_reader() {
    let mistakes = mistakes(&["kete.sources.a.kind=stdin", "kete.sources.b.kind=stdin"]);
    assert_eq!(
        mistakes,
        "error[stdin-twice]: --set: kete.sources.b.kind = \"stdin\"\n  \
         standard input is read by kete.sources.a already, and there is only one\n  \
         remove one of the two\n"
    );
}

#[test]
fn a_webhook_that_anybody_can_reach_must_be_asked_for() {
    let open = [
        "kete.sources.a.kind=webhook",
        "kete.sources.a.bind=0.0.0.0:8088",
    ];
    let refused = mistakes(&open);
    assert!(
        refused.starts_with("error[open-webhook]: --set: kete.sources.a.bind = \"0.0.0.0:8088\"\n"),
        "{refused}"
    );
    assert!(
        refused.contains("kete.sources.a.allow-unauthenticated=true"),
        "{refused}"
    );
    let allowed = [&open[..], &["kete.sources.a.allow-unauthenticated=true"]].concat();
    assert_eq!(mistakes(&allowed), "");
    for local in [
        "127.0.0.1:1",
        "127.8.8.8:1",
        "[::1]:1",
        "[::ffff:127.0.0.1]:1",
    ] {
        let bind = format!("kete.sources.a.bind={local}");
        assert_eq!(
            mistakes(&["kete.sources.a.kind=webhook", &bind]),
            "",
            "{local}"
        );
    }
}

#[test]
fn values_of_a_webhook_are_checked() {
    for (setting, expected) in [
        ("path=events", "it must begin with /"),
        ("path=/a?b", "it must be a path only"),
        ("max-body-size=0B", "expected a size above zero"),
        ("respond-when=later", "expected one of: safe, queued"),
        ("respond-timeout=0s", "expected a duration above zero"),
        ("bind=8088", "expected an address and a port"),
    ] {
        let setting = format!("kete.sources.a.{setting}");
        let mistakes = mistakes(&["kete.sources.a.kind=webhook", &setting]);
        assert!(mistakes.contains(expected), "{setting}: {mistakes}");
    }
}

#[test]
fn the_admin_api_needs_to_know_where_and_as_whom() {
    let mistakes = mistakes(&["kete.sources.a.kind=admin-api"]);
    for key in ["url", "client-id", "client-secret", "realms"] {
        assert!(
            mistakes.contains(&format!("kete.keycloak.{key}")),
            "{key}: {mistakes}"
        );
    }
}

#[test]
fn values_of_the_admin_api_are_checked() {
    for (setting, expected) in [
        (
            "keycloak.url=ftp://host",
            "must begin with http:// or https://",
        ),
        (
            "keycloak.url=https://joe:secret@host",
            "must not hold a user or password",
        ),
        ("keycloak.url=https://host/?a=b", "must end with its path"),
        (
            "keycloak.tls.verify-hostnam=false",
            "did you mean kete.keycloak.tls.verify-hostname?",
        ),
        (
            "keycloak.tls.verify-hostname=perhaps",
            "expected true or false",
        ),
        (
            "keycloak.registration.relm=x",
            "did you mean kete.keycloak.registration.realm?",
        ),
        (
            "keycloak.registration=x",
            "its keys stand below it, such as kete.keycloak.registration.client-id",
        ),
        ("sources.a.realms=shop,,x", "one of its parts is empty"),
        ("sources.a.realms=shop,shop", "shop is there twice"),
        ("sources.a.poll-interval=10ms", "must be at least 100ms"),
        ("sources.a.page-size=0", "must be from 1 to 10000"),
        ("sources.a.page-size=10001", "must be from 1 to 10000"),
        ("sources.a.overlap=2d", "must be at most 1h"),
        ("sources.a.start-from=yesterday", "expected now, earliest"),
        (
            "sources.a.ignore-own-client=perhaps",
            "expected true or false",
        ),
    ] {
        let setting = format!("kete.{setting}");
        let settings = [&KEYCLOAK[..], &["kete.sources.a.kind=admin-api", &setting]].concat();
        let mistakes = mistakes(&settings);
        assert!(mistakes.contains(expected), "{setting}: {mistakes}");
        assert!(
            !mistakes.contains("secret@") && !mistakes.contains("hush"),
            "{mistakes}"
        );
    }
    let neither = [
        "kete.sources.a.user-events=false",
        "kete.sources.a.admin-events=no",
    ];
    let settings = [&KEYCLOAK[..], &["kete.sources.a.kind=admin-api"], &neither].concat();
    assert!(mistakes(&settings).contains("nothing is left to ask for"));
}

#[test]
fn a_secret_sent_in_the_clear_is_pointed_out() {
    let settings = |url: &str| {
        let url = format!("kete.keycloak.url={url}");
        mistakes(&[&url, KEYCLOAK[1], KEYCLOAK[2], KEYCLOAK[3]])
    };
    assert!(settings("http://keycloak.example.com").starts_with("warning[plain-http]"));
    for fine in [
        "http://localhost:8080",
        "http://127.0.0.1:8080/auth",
        "http://[::1]:80",
    ] {
        assert_eq!(settings(fine), "", "{fine}");
    }
}
