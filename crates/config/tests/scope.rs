//! Reading typed keys through a scope, and the checks for unknown keys section by section.

use std::path::PathBuf;
use std::time::Duration;

use kete_config::{
    AnyKey, Diagnostics, Key, KeyTable, Known, Loader, MapKey, NotYet, Origin, Section, Setting,
    Settings, Severity, UnknownKeys, Unused,
};

static PORT: Key<u16> = Key::with_default("port", "8080", "the port");
static GRACE: Key<Duration> = Key::optional("shutdown.grace", "the grace");
static NAME: Key<String> = Key::with_default("name", "nobody", "the name");
static PATH: Key<PathBuf> = Key::optional("path", "the path");
static TOKEN: Key<String> = Key::required("token", "the token").secret();
static FLAG: Key<bool> = Key::optional("flag", "the flag");
static HEADERS: MapKey = MapKey::new("headers", "NAME", "the headers");
static BROKEN: Key<u16> = Key::with_default("broken", "many", "a wrong default");
static TARGET: Section = Section::new("target", "the target");
static KEYS: KeyTable = &[&PORT, &GRACE, &NAME, &PATH, &TOKEN, &FLAG, &HEADERS];
static WITH_SECTION: KeyTable = &[&PORT, &TARGET];

fn load(assignments: &[&str]) -> Settings {
    let diagnostics = Diagnostics::new();
    let loader = Loader::new("app");
    let settings = assignments
        .iter()
        .fold(loader, |l, text| l.set(*text))
        .load(&diagnostics);
    assert!(diagnostics.is_empty(), "{diagnostics}");
    settings
}

#[test]
fn a_value_is_parsed_and_a_default_is_applied() {
    let settings = load(&["app.port=1", "app.shutdown.grace=2s"]);
    let diagnostics = Diagnostics::new();
    let scope = settings.scope("app", &diagnostics);
    assert_eq!(scope.read_with_origin(&PORT), Some((1, Origin::Set)));
    assert_eq!(scope.read(&GRACE), Some(Duration::from_secs(2)));
    assert_eq!(
        scope.read_with_origin(&NAME),
        Some(("nobody".to_owned(), Origin::Default))
    );
    assert_eq!(scope.read(&PATH), None);
    assert_eq!(
        settings.scope("other", &diagnostics).read(&PORT),
        Some(8080)
    );
    assert!(diagnostics.is_empty());
}

#[test]
fn blank_text_is_absent_and_a_blank_anything_else_is_an_error() {
    let settings = load(&[
        "app.name= ",
        "app.path=",
        "app.flag=",
        "app.port=",
        "app.token=",
    ]);
    let diagnostics = Diagnostics::new();
    let scope = settings.scope("app", &diagnostics);
    assert_eq!(scope.read(&NAME).as_deref(), Some("nobody"));
    assert_eq!(scope.read(&PATH), None);
    assert!(diagnostics.is_empty());
    assert_eq!(
        (scope.read(&FLAG), scope.read(&PORT), scope.read(&TOKEN)),
        (None, None, None)
    );
    let found: Vec<_> = diagnostics
        .iter()
        .map(|found| (found.code, found.key.unwrap(), found.value))
        .collect();
    let blank = Some(String::new());
    assert_eq!(
        found,
        [
            ("bad-value", "app.flag".to_owned(), blank.clone()),
            ("bad-value", "app.port".to_owned(), blank),
            ("missing-key", "app.token".to_owned(), None),
        ]
    );
}

#[test]
fn a_wrong_value_is_reported_once_and_no_default_takes_its_place() {
    let settings = load(&["app.port=x"]);
    let diagnostics = Diagnostics::new();
    let scope = settings.scope("app", &diagnostics);
    assert_eq!((scope.read(&PORT), scope.read(&PORT)), (None, None));
    assert_eq!(diagnostics.summary(), "1 error");
}

#[test]
fn a_default_that_is_wrong_is_reported_as_such() {
    let settings = load(&[]);
    let diagnostics = Diagnostics::new();
    assert_eq!(settings.scope("app", &diagnostics).read(&BROKEN), None);
    assert_eq!(
        diagnostics.to_string(),
        "error[bad-value]: default: app.broken = \"many\"\n  expected a whole number from 0 to \
         65535, but it is not a whole number\n"
    );
    assert!(BROKEN.check_default().is_err());
}

#[test]
fn a_required_key_says_where_its_section_begins_if_it_does() {
    let diagnostics = Diagnostics::new();
    let settings = load(&["app.port=1"]);
    settings.scope("app", &diagnostics).read(&TOKEN);
    settings.scope("elsewhere", &diagnostics).read(&TOKEN);
    assert_eq!(
        diagnostics.to_string(),
        "error[missing-key]: app.token\n  this key is required and not set; its section begins \
         at --set\n  expected text: the token\n\
         error[missing-key]: elsewhere.token\n  this key is required and not set\n  expected \
         text: the token\n"
    );
}

#[test]
fn a_map_has_its_entries_in_order_with_their_letter_case() {
    let settings = load(&["app.headers.X-B=2", "app.headers.X-A=", "app.headers.a.b=3"]);
    let diagnostics = Diagnostics::new();
    let scope = settings.scope("app", &diagnostics);
    let entry = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        scope.map(&HEADERS),
        [entry("X-A", ""), entry("X-B", "2"), entry("a.b", "3")]
    );
    assert_eq!(scope.child("none").map(&HEADERS), []);
    assert!(diagnostics.is_empty());
}

#[test]
fn raw_text_has_an_origin_and_no_placeholder() {
    let settings = load(&["app.a=x", "app.b=${env:X}"]);
    let diagnostics = Diagnostics::new();
    let scope = settings.scope("app", &diagnostics);
    assert_eq!(scope.raw("a"), Some(("x".to_owned(), Origin::Set)));
    assert_eq!(
        (scope.raw("c"), scope.is_set("a"), scope.is_set("c")),
        (None, true, false)
    );
    assert_eq!(
        (scope.origin("a"), scope.origin("c")),
        (Some(Origin::Set), None)
    );
    assert!(diagnostics.is_empty());
    assert_eq!(scope.raw("b"), None);
    assert_eq!(diagnostics.summary(), "1 error");
}

#[test]
fn a_rejected_value_is_shown_only_once_it_is_known_to_be_no_secret() {
    let settings = load(&["app.token=geheim", "app.name=joe", "app.other=geheim"]);
    let diagnostics = Diagnostics::new();
    let scope = settings.scope("app", &diagnostics);
    let _ = (scope.read(&TOKEN), scope.raw("token"), scope.read(&NAME));
    scope.reject("token", "odd", "too short", None);
    scope.warn("name", "odd", "too short", "take another".to_owned());
    scope.reject("other", "odd", "nobody read this", None);
    scope.reject(
        "absent",
        "odd",
        "nobody wrote this",
        Some("write it".to_owned()),
    );
    assert_eq!(
        diagnostics.to_string(),
        "warning[odd]: --set: app.name = \"joe\"\n  too short\n  take another\n\
         error[odd]: --set: app.other\n  nobody read this\n\
         error[odd]: --set: app.token = (hidden)\n  too short\n\
         error[odd]: app.absent\n  nobody wrote this\n  write it\n"
    );
}

#[test]
fn a_scope_checks_what_is_below_it_and_nothing_else() {
    let settings = load(&[
        "app.prt=1",
        "app.port=1",
        "app.headers.X=1",
        "appx=1",
        "other.x=1",
    ]);
    let diagnostics = Diagnostics::new();
    let scope = settings.scope("app", &diagnostics);
    scope.check_unknown(&[KEYS]);
    scope.check_unknown(&[KEYS]);
    assert_eq!(
        diagnostics.to_string(),
        "error[unknown-key]: --set: app.prt\n  there is no such key\n  did you mean app.port?\n"
    );
    assert_eq!(
        (scope.prefix(), scope.full_name("x").as_str()),
        ("app", "app.x")
    );
}

#[test]
fn a_section_is_judged_by_its_own_table_and_by_no_other() {
    let settings = load(&["app.target.prt=1", "app.port=1"]);
    let alone = Diagnostics::new();
    settings.scope("app", &alone).check_unknown(&[WITH_SECTION]);
    assert!(alone.is_empty(), "{alone}");
    for section in ["app.target", "app.*", "app.target.deeper"] {
        let together = Diagnostics::new();
        let known = Known::new().below("app", WITH_SECTION).below(section, KEYS);
        settings.check_unknown(&known, &together);
        assert_eq!(
            together.summary(),
            if section.ends_with("deeper") {
                "no mistakes"
            } else {
                "1 error"
            }
        );
    }
}

#[test]
fn a_scope_checks_sections_below_it_together_with_its_own_keys() {
    let settings = load(&[
        "app.port=1",
        "app.target.port=1",
        "app.target.inner.flag=1",
        "app.target.nmae=x",
        "app.flag=1",
        "app.flg=1",
        "app.target=1",
        "other.target.prt=1",
    ]);
    let diagnostics = Diagnostics::new();
    let sections: [(&str, KeyTable); 2] = [("target", KEYS), ("target.inner", KEYS)];
    let scope = settings.scope("app", &diagnostics);
    scope.check_unknown_sections(&[WITH_SECTION], &sections);
    assert_eq!(
        diagnostics.to_string(),
        "error[unknown-key]: --set: app.flag\n  there is no such key\n  \
         did you mean app.target.flag?\n\
         error[unknown-key]: --set: app.flg\n  there is no such key\n  \
         did you mean app.target.flag?\n\
         error[section-as-value]: --set: app.target\n  \
         this is the name of a section and cannot have a value itself\n  \
         its keys stand below it, such as app.target.port\n\
         error[unknown-key]: --set: app.target.nmae\n  there is no such key\n  \
         did you mean app.target.name?\n"
    );
}

#[test]
fn an_optional_key_tells_absent_from_wrong() {
    let settings = load(&["app.port=x", "app.name=", "app.flag=", "app.path=/a"]);
    let diagnostics = Diagnostics::new();
    let scope = settings.scope("app", &diagnostics);
    assert_eq!(scope.read_optional(&PATH), Some(Some("/a".into())));
    assert_eq!(scope.read_optional(&GRACE), Some(None));
    assert_eq!(scope.read_optional(&NAME), Some(Some("nobody".to_owned())));
    assert!(diagnostics.is_empty(), "{diagnostics}");
    assert_eq!(scope.read_optional(&PORT), None);
    assert_eq!(scope.read_optional(&FLAG), None);
    assert_eq!(diagnostics.errors(), 2);
}

#[test]
fn a_large_value_is_left_out_of_messages() {
    struct Contents;
    impl Setting for Contents {
        const EXPECTED: &'static str = "the contents of a file";
        const IS_LARGE: bool = true;

        fn parse(text: &str) -> Result<Contents, String> {
            match text.starts_with("BEGIN") {
                true => Ok(Contents),
                false => Err("it begins otherwise".to_owned()),
            }
        }
    }
    static ONE: Key<Contents> = Key::optional("one", "the one");
    static OTHER: Key<Contents> = Key::optional("other", "the other").secret();
    let settings = load(&["app.one=BEGIN and so on", "app.other=something"]);
    let diagnostics = Diagnostics::new();
    let scope = settings.scope("app", &diagnostics);
    assert!(scope.read(&ONE).is_some() && scope.read(&OTHER).is_none());
    scope.reject("one", "bad", "it has no end", None);
    let found = diagnostics.into_vec();
    let values: Vec<Option<&str>> = found.iter().map(|it| it.value.as_deref()).collect();
    assert_eq!(values, [None, Some("(hidden)")]);
}

#[test]
fn unknown_keys_are_warnings_where_that_is_asked_for() {
    let mut settings = load(&["app.prt=1"]);
    settings.set_unknown_keys(UnknownKeys::Warn);
    let diagnostics = Diagnostics::new();
    settings.check_unknown(&Known::new().below("app", KEYS), &diagnostics);
    let found = diagnostics.into_vec();
    assert_eq!((found.len(), found[0].severity), (1, Severity::Warning));
}

#[test]
fn suggestions_end_where_they_are_wasted() {
    let many: Vec<String> = (0..150)
        .map(|number| format!("app.x{number:03}.port=1"))
        .collect();
    let settings = load(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let diagnostics = Diagnostics::new();
    settings.check_unknown(&Known::new().below("app", KEYS), &diagnostics);
    let helped = diagnostics
        .iter()
        .filter(|found| found.help.is_some())
        .count();
    assert_eq!((diagnostics.errors(), helped), (150, 100));
}

#[test]
fn the_kindest_of_several_declarations_decides() {
    static TLS: NotYet = NotYet::new("tls", "wait for it");
    static TLS_ENABLED: Key<bool> = Key::optional("tls.enabled", "whether to use TLS");
    static TLS_CIPHERS: Unused = Unused::new("tls.ciphers", "they are chosen elsewhere");
    static MIXED: KeyTable = &[&TLS, &TLS_ENABLED, &TLS_CIPHERS];
    static OLD: Unused = Unused::new("old", "it is not needed");
    static MORE: KeyTable = &[&OLD];
    let settings = load(&[
        "app.tls.enabled=1",
        "app.tls.ciphers=x",
        "app.tls=1",
        "app.old.x=1",
    ]);
    let diagnostics = Diagnostics::new();
    settings
        .scope("app", &diagnostics)
        .check_unknown(&[MIXED, MORE]);
    let found: Vec<_> = diagnostics
        .iter()
        .map(|found| (found.code, found.key.unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            ("unused-key", "app.old.x".to_owned()),
            ("not-yet", "app.tls".to_owned()),
            ("not-yet", "app.tls.ciphers".to_owned()),
        ]
    );
}

#[test]
fn a_table_in_a_section_of_the_users_own_name_knows_exactly_one_level() {
    let settings = load(&[
        "app.routes.a.port=1",
        "app.routes.a.b.port=1",
        "app.routes.port=1",
    ]);
    let diagnostics = Diagnostics::new();
    settings.check_unknown(&Known::new().below("app.routes.*", KEYS), &diagnostics);
    assert_eq!(
        diagnostics.to_string(),
        "error[unknown-key]: --set: app.routes.a.b.port\n  there is no such key\n  \
         did you mean app.routes.a.port?\n\
         error[section-as-value]: --set: app.routes.port\n  \
         this is the name of a section and cannot have a value itself\n  \
         its keys stand below it, such as app.routes.port.port\n"
    );
}

#[test]
fn without_any_table_every_key_is_unknown_and_none_is_suggested() {
    let settings = load(&["app.port=1"]);
    let diagnostics = Diagnostics::new();
    settings.check_unknown(&Known::new(), &diagnostics);
    settings.scope("app", &diagnostics).check_unknown(&[]);
    assert_eq!(
        diagnostics.to_string(),
        "error[unknown-key]: --set: app.port\n  there is no such key\n"
    );
}

#[test]
fn a_missing_key_names_the_one_beside_it_that_may_be_misspelt() {
    static SCHEME: Key<String> = Key::required("kind", "the kind");
    static KIN: Key<String> = Key::optional("kin", "another key");
    let help = |assignments: &[&str]| {
        let settings = load(assignments);
        let diagnostics = Diagnostics::new();
        let scope = settings.scope("app", &diagnostics);
        let _ = (scope.read(&KIN), scope.read(&SCHEME));
        diagnostics.into_vec().remove(0).help.unwrap()
    };
    assert_eq!(
        help(&["app.kidn=x"]),
        "expected text: the kind\napp.kidn is set: is that what was meant?"
    );
    // A key that means something else, and keys that are too far away or too deep.
    for other in ["app.kin=x", "app.name=x", "app.kidn.x=x", "app2.kidn=x"] {
        assert_eq!(help(&[other]), "expected text: the kind", "{other}");
    }
}

#[test]
fn a_wrong_address_is_shown_without_what_may_be_secret() {
    static URL: Key<url::Url> = Key::optional("url", "the address");
    for (value, shown) in [
        ("localhost?token=T77", "localhost?(hidden)"),
        ("http:/u:T77@h/?T77", "(hidden)@h/?(hidden)"),
    ] {
        let settings = load(&[&format!("app.url={value}")]);
        let diagnostics = Diagnostics::new();
        assert_eq!(settings.scope("app", &diagnostics).read(&URL), None);
        assert!(!diagnostics.to_string().contains("T77"), "{diagnostics}");
        assert_eq!(diagnostics.into_vec()[0].value.as_deref(), Some(shown));
    }
}
