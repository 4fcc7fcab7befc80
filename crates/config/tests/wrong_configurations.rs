//! Every kind of wrong configuration, with the exact text that its author gets to read.
//!
//! The cases are in `corpus/wrong.txt`: a title, the properties (`@env` and `@set` lines give
//! the environment and the command line), and after `---` the diagnostics and the summary.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use kete_config::{
    Diagnostics, Key, KeyTable, Known, Loader, MapKey, NotYet, Scope, SecondsOrDuration, Section,
    Size, UnknownKeys, Unused, setting_words, table_mistakes,
};
use url::Url;

enum Level {
    Info,
    Debug,
}
setting_words!(Level { Info = "info", Debug = "debug" });

static UNKNOWN: Key<UnknownKeys> = Key::with_default("unknown-keys", "error", "what they are");
static LEVEL: Key<Level> = Key::with_default("log.level", "info", "how much is logged");
static PORT: Key<u16> = Key::with_default("port", "8080", "the port to listen on");
static BIND: Key<SocketAddr> = Key::optional("bind", "where to listen");
static LIMIT: Key<Size> = Key::with_default("max-bytes", "1MiB", "how much is kept");
static GRACE: Key<Duration> = Key::with_default("grace", "25s", "how long stopping may take");
static REALMS: Key<Vec<String>> = Key::optional("realms", "the realms to ask for");
static APP: KeyTable = &[&UNKNOWN, &LEVEL, &PORT, &BIND, &LIMIT, &GRACE, &REALMS];

static ENABLED: Key<bool> = Key::with_default("enabled", "true", "whether the route takes part");
static WAIT: Key<SecondsOrDuration> = Key::with_default("retry.wait", "1", "the pause");
static ATTEMPTS: Key<NonZeroU32> = Key::with_default("retry.max-attempts", "3", "how often");
static KIND: Key<String> = Key::required("target.kind", "where to send to");
static TARGET: Section = Section::new("target", "settings of the target");
static ROUTE: KeyTable = &[&ENABLED, &WAIT, &ATTEMPTS, &KIND, &TARGET];

static URL: Key<Url> = Key::required("url", "the server to send to");
static NAME: Key<String> = Key::required("event-name", "the name to send under");
static CONFIRM: Key<bool> = Key::with_default("confirm", "yes", "whether to wait for an answer");
static TIMEOUT: Key<Duration> = Key::with_default("confirm.timeout", "30s", "for how long");
static TOKEN: Key<String> = Key::optional("token", "the token to send").secret();
static PIN: Key<u32> = Key::optional("pin", "the number to send").secret();
static HEADERS: MapKey = MapKey::new("headers", "NAME", "extra headers").secret();
static QUERY: MapKey = MapKey::new("query", "NAME", "extra parameters");
static FAIRNESS: Unused = Unused::new("fairness", "connections are shared in order anyway");
static TLS: NotYet = NotYet::new("tls", "put a TLS proxy in front until then");
static HTTP: KeyTable = &[
    &URL, &NAME, &CONFIRM, &TIMEOUT, &TOKEN, &PIN, &HEADERS, &QUERY, &FAIRNESS, &TLS,
];

/// Reads everything there is, as an application would.
fn read(loader: Loader, diagnostics: &Diagnostics) {
    let mut settings = loader.load(diagnostics);
    let unknown = settings.scope("app", diagnostics).read(&UNKNOWN);
    settings.set_unknown_keys(unknown.unwrap_or_default());
    let app = settings.scope("app", diagnostics);
    let _ = (app.read(&LEVEL), app.read(&PORT), app.read(&BIND));
    let _ = (app.read(&LIMIT), app.read(&GRACE), app.read(&REALMS));
    let mut known = Known::new().below("app", APP).below("app.routes.*", ROUTE);
    for name in settings.names_below("app.routes") {
        let route = app.child("routes").child(&name);
        let _ = (
            route.read(&ENABLED),
            route.read(&WAIT),
            route.read(&ATTEMPTS),
        );
        match route.read(&KIND).as_deref() {
            Some("http") => {
                read_http(&route.child("target"));
                known = known.below(&format!("app.routes.{name}.target"), HTTP);
            }
            Some(_) => route.reject("target.kind", "bad-kind", "no such kind", None),
            None => {}
        }
    }
    settings.check_unknown(&known, diagnostics);
}

fn read_http(target: &Scope<'_>) {
    let _ = (target.read(&URL), target.read(&NAME), target.read(&CONFIRM));
    let _ = (
        target.read(&TIMEOUT),
        target.read(&TOKEN),
        target.read(&PIN),
    );
    let _ = (target.map(&HEADERS), target.map(&QUERY));
    if target.is_set("token") && target.is_set("headers.Authorization") {
        target.warn(
            "headers.Authorization",
            "two-tokens",
            "the token wins",
            "drop it".to_owned(),
        );
    }
}

/// What `application` prints for the properties of one case.
fn diagnose(input: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.properties");
    let mut loader = Loader::new("app").file(&path);
    let mut properties = String::new();
    for line in input.lines() {
        if let Some(assignment) = line.strip_prefix("@set ") {
            loader = loader.set(assignment);
        } else if let Some((name, value)) = line
            .strip_prefix("@env ")
            .and_then(|variable| variable.split_once('='))
        {
            loader = loader.environment([(name, value)]);
        } else {
            properties.push_str(line);
            properties.push('\n');
        }
    }
    fs::write(&path, properties).unwrap();
    let diagnostics = Diagnostics::new();
    read(loader, &diagnostics);
    let text = format!("{diagnostics}{}\n", diagnostics.summary());
    text.replace(&format!("{}/", directory.path().display()), "")
}

#[test]
fn every_wrong_configuration_gets_exactly_its_diagnostics() {
    let corpus = fs::read_to_string("tests/corpus/wrong.txt").unwrap();
    let mut cases = 0;
    let mut differences = String::new();
    for case in corpus.split("=== ").skip(1) {
        let (title, rest) = case.split_once('\n').unwrap();
        let (input, expected) = rest.split_once("---\n").unwrap();
        let found = diagnose(input);
        if found.trim_end() != expected.trim_end() {
            differences.push_str(&format!("=== {title}\n{input}---\n{found}\n"));
        }
        cases += 1;
    }
    assert!(cases >= 40, "only {cases} cases");
    assert!(
        differences.is_empty(),
        "these gave something else:\n{differences}"
    );
}

#[test]
fn the_tables_of_this_test_are_in_order() {
    for table in [APP, ROUTE, HTTP] {
        assert_eq!(table_mistakes(table), Vec::<String>::new());
    }
}
